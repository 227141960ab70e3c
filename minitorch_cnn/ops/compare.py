"""Comparisons, logic, bits, and choosing between elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.graph import reduce_to
from ..autograd.op import Result
from ..dtypes import DType
from ..tensor import Tensor, method
from .convert import copy_
from .operands import (
    Binary,
    Comparison,
    Elementwise,
    Test,
    Unary,
    binary,
    bind_operator,
    cast,
    fitting,
    full_like_scalar,
    in_place,
    operands,
    result_type,
    unary,
)

# ---------------------------------------------------------------------- comparisons and logic


class Eq(Comparison):
    """Whether a = b."""

    kernel = "elementwise.eq"


class Ne(Comparison):
    """Whether a differs from b."""

    kernel = "elementwise.ne"


class Lt(Comparison):
    """Whether a < b."""

    kernel = "elementwise.lt"


class Le(Comparison):
    """Whether a <= b."""

    kernel = "elementwise.le"


class Gt(Comparison):
    """Whether a > b."""

    kernel = "elementwise.gt"


class Ge(Comparison):
    """Whether a >= b."""

    kernel = "elementwise.ge"


class LogicalAnd(Comparison):
    """Whether neither a nor b is zero."""

    kernel = "elementwise.logical_and"


class LogicalOr(Comparison):
    """Whether a or b is not zero."""

    kernel = "elementwise.logical_or"


class LogicalXor(Comparison):
    """Whether just one of a and b is zero."""

    kernel = "elementwise.logical_xor"


class LogicalNot(Test):
    """Whether x is zero."""

    kernel = "elementwise.logical_not"


class IsNan(Test):
    """Whether x is not a number."""

    kernel = "elementwise.isnan"


class IsInf(Test):
    """Whether x is infinite."""

    kernel = "elementwise.isinf"


class IsFinite(Test):
    """Whether x is neither infinite nor NaN."""

    kernel = "elementwise.isfinite"


# ---------------------------------------------------------------------- bits


class BitwiseAnd(Binary):
    """y = a & b, bit by bit"""

    kernel = "elementwise.bitwise_and"
    categories = (0, 1)


class BitwiseOr(Binary):
    """y = a | b, bit by bit"""

    kernel = "elementwise.bitwise_or"
    categories = (0, 1)


class BitwiseXor(Binary):
    """y = a ^ b, bit by bit"""

    kernel = "elementwise.bitwise_xor"
    categories = (0, 1)


class BitwiseNot(Unary):
    """y = the complement of x's bits, or of a truth value"""

    kernel = "elementwise.bitwise_not"
    categories = (0, 1)


# ---------------------------------------------------------------------- choosing


class Where(Elementwise):
    """y = a where the condition holds, else b"""

    kernel = "elementwise.where"

    @classmethod
    def outputs(cls, condition: Tensor, a: Tensor, b: Tensor) -> Result:
        if condition.dtype is not dtypes.bool_:
            raise RuntimeError(
                f"where: expected condition to be a bool tensor, not {condition.dtype}"
            )
        return cls.broadcast(condition, a, b), a.dtype

    def grad_a(self, gy: Tensor, condition: Tensor) -> Tensor:
        return reduce_to(where(condition, gy, 0.0), self.shapes[1])

    def grad_b(self, gy: Tensor, condition: Tensor) -> Tensor:
        return reduce_to(where(condition, 0.0, gy), self.shapes[2])


class Maximum(Binary):
    """y = max(a, b); equal elements share the gradient"""

    kernel = "elementwise.maximum"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(_share(gy, a < b, a == b), self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(_share(gy, b < a, a == b), self.shapes[1])


class Minimum(Binary):
    """y = min(a, b); equal elements share the gradient"""

    kernel = "elementwise.minimum"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(_share(gy, a > b, a == b), self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(_share(gy, b > a, a == b), self.shapes[1])


def _share(gy: Tensor, lost: Tensor, tied: Tensor) -> Tensor:
    return where(lost, 0.0, where(tied, gy * 0.5, gy))


class Clamp(Elementwise):
    """y = min(max(x, low), high)"""

    kernel = "elementwise.clamp"
    categories = (1, 2)

    @classmethod
    def outputs(cls, x: Tensor, low: Tensor, high: Tensor) -> Result:
        cls.require_category(x)
        return cls.broadcast(x, low, high), x.dtype

    def grad_x(self, gy: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return reduce_to(where((x >= low) & (x <= high), gy, 0.0), self.shapes[0])

    def grad_low(self, gy: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return reduce_to(where((x < low) & (low < high), gy, 0.0), self.shapes[1])

    def grad_high(self, gy: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return reduce_to(where((x > high) | (low > high), gy, 0.0), self.shapes[2])


# ---------------------------------------------------------------------- the public functions

eq, _ = binary(Eq, "eq")
ne, _ = binary(Ne, "ne")
lt, _ = binary(Lt, "lt")
le, _ = binary(Le, "le")
gt, _ = binary(Gt, "gt")
ge, _ = binary(Ge, "ge")
for _name, _comparison in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
    bind_operator(_name, _comparison)
logical_and, _ = binary(LogicalAnd, "logical_and")
logical_or, _ = binary(LogicalOr, "logical_or")
logical_xor, _ = binary(LogicalXor, "logical_xor")
logical_not, _ = unary(LogicalNot, "logical_not", to_float=False)
isnan, _ = unary(IsNan, "isnan", to_float=False)
isinf, _ = unary(IsInf, "isinf", to_float=False)
isfinite, _ = unary(IsFinite, "isfinite", to_float=False)
bitwise_and, _ = binary(BitwiseAnd, "bitwise_and", "and")
bitwise_or, _ = binary(BitwiseOr, "bitwise_or", "or")
bitwise_xor, _ = binary(BitwiseXor, "bitwise_xor", "xor")
bitwise_not, _ = unary(BitwiseNot, "bitwise_not", to_float=False)
method("__invert__")(bitwise_not)
maximum, _ = binary(Maximum, "maximum")
minimum, _ = binary(Minimum, "minimum")


@method("clamp", "clip")
def clamp(input: Tensor, min: Any = None, max: Any = None, *, into: Tensor | None = None) -> Tensor:
    """min where the input is below it, max where it is above; numbers or tensors, None for none."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of 'min' or 'max' must not be None")
    dtype = result_type(input, *[bound for bound in (min, max) if bound is not None])
    low, high = _extremes(dtype)
    bounds = (low if min is None else min, high if max is None else max)
    return Clamp.apply(*[cast(t, dtype) for t in operands(input, *bounds)], into=into)


def _extremes(dtype: DType) -> tuple[Any, Any]:
    """The least and the greatest number of a type."""
    if dtype.category == 1:
        limits = np.iinfo(dtype.numpy)
        return limits.min, limits.max
    return (-math.inf, math.inf) if dtype.is_floating_point else (False, True)


clamp_ = in_place(clamp, "clamp_")
method("clip_")(clamp_)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """input where the condition holds, else other."""
    if not isinstance(condition, Tensor):
        raise TypeError(f"where: expected a bool Tensor as condition, not {condition!r}")
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = result_type(input, other)
        a = full_like_scalar(input, dtype, condition.device)
        return Where.apply(condition, a, full_like_scalar(other, dtype, condition.device))
    return Where.apply(condition, *operands(input, other))


@method("where")
def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The tensor's elements where the condition holds, else the other's."""
    return where(condition, self, other)


@method("masked_fill")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """The input with `value`, a number or a tensor without dimensions, where the mask holds."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"masked_fill only supports boolean masks, not {mask.dtype}")
    if not isinstance(value, Tensor):
        value = full_like_scalar(fitting(value, input.dtype), input.dtype, input.device)
    elif value.ndim:
        raise RuntimeError(
            "masked_fill only supports a value tensor without dimensions, "
            f"not of shape {list(value.shape)}"
        )
    return where(mask, cast(value, input.dtype), input)


@method("masked_fill_")
def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """In-place form of `masked_fill`."""
    return copy_(self, masked_fill(self, mask, value))


@method("allclose")
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
    if input.dtype is not other.dtype:
        raise RuntimeError(f"allclose: the types {input.dtype} and {other.dtype} do not match")
    return bool(np.allclose(input._host(), other._host(), rtol, atol, equal_nan))


@method("equal")
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return bool(np.array_equal(input._host(), other._host()))
