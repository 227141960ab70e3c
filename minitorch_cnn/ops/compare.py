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
    alias,
    binary,
    bind_operator,
    cast,
    fitting,
    full_like_scalar,
    function_of,
    in_place,
    operands,
    pair,
    result_type,
    unary,
    written,
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


class SignBit(Test):
    """Whether the sign of x is negative, that of -0 too."""

    kernel = "elementwise.signbit"


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


class LeftShift(Binary):
    """y = a 2^b, what does not fit being lost"""

    kernel = "elementwise.left_shift"
    categories = (1,)


class RightShift(Binary):
    """y = floor(a / 2^b)"""

    kernel = "elementwise.right_shift"
    categories = (1,)


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


class Fmax(Binary):
    """y = max(a, b), of NaN and a number the number; the first of equals has the gradient"""

    kernel = "elementwise.fmax"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(where((a >= b) | isnan(b), gy, 0.0), self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(where((a >= b) | isnan(b), 0.0, gy), self.shapes[1])


class Fmin(Binary):
    """y = min(a, b), of NaN and a number the number; the first of equals has the gradient"""

    kernel = "elementwise.fmin"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(where((a <= b) | isnan(b), gy, 0.0), self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(where((a <= b) | isnan(b), 0.0, gy), self.shapes[1])


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


eq, eq_ = binary(Eq, "eq")
ne, ne_ = binary(Ne, "ne")
lt, lt_ = binary(Lt, "lt")
le, le_ = binary(Le, "le")
gt, gt_ = binary(Gt, "gt")
ge, ge_ = binary(Ge, "ge")
for _name, _comparison in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
    bind_operator(_name, _comparison)
alias(ne, ne_, "not_equal")
alias(lt, lt_, "less")
alias(le, le_, "less_equal")
alias(gt, gt_, "greater")
alias(ge, ge_, "greater_equal")
logical_and, _ = binary(LogicalAnd, "logical_and", numbers=False)
logical_or, _ = binary(LogicalOr, "logical_or", numbers=False)
logical_xor, _ = binary(LogicalXor, "logical_xor", numbers=False)
logical_not, _ = unary(LogicalNot, "logical_not", to_float=False)
bitwise_and, _ = binary(BitwiseAnd, "bitwise_and", "and")
bitwise_or, _ = binary(BitwiseOr, "bitwise_or", "or")
bitwise_xor, _ = binary(BitwiseXor, "bitwise_xor", "xor")
bitwise_left_shift, _ = binary(LeftShift, "bitwise_left_shift", "lshift")
bitwise_right_shift, _ = binary(RightShift, "bitwise_right_shift", "rshift")
bitwise_not, _ = unary(BitwiseNot, "bitwise_not", to_float=False)
method("__invert__")(bitwise_not)
maximum = function_of(Maximum, "maximum", numbers=False)
minimum = function_of(Minimum, "minimum", numbers=False)
fmax = function_of(Fmax, "fmax", numbers=False)
fmin = function_of(Fmin, "fmin", numbers=False)
isnan = function_of(IsNan, "isnan")
isinf = function_of(IsInf, "isinf")
isfinite = function_of(IsFinite, "isfinite")
signbit = function_of(SignBit, "signbit")


@method("isposinf")
def isposinf(input: Tensor) -> Tensor:
    """Whether each element is the positive infinity."""
    return eq(input, math.inf)


@method("isneginf")
def isneginf(input: Tensor) -> Tensor:
    """Whether each element is the negative infinity."""
    return eq(input, -math.inf)


@method("isreal")
def isreal(input: Tensor) -> Tensor:
    """True for each element: there are no complex ones."""
    return eq(input, input) | isnan(input)


@method("nan_to_num")
def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """`nan` for NaN, and for the infinities numbers too: the type's largest unless given."""
    if not input.dtype.is_floating_point:
        return input.clone()
    largest = float(np.finfo(input.dtype.numpy).max)
    high = largest if posinf is None else posinf
    low = -largest if neginf is None else neginf
    finite = where(eq(input, -math.inf), low, where(eq(input, math.inf), high, input))
    return where(isnan(input), nan, finite)


nan_to_num_ = written(nan_to_num, "nan_to_num_")


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


@method("clamp_min")
def clamp_min(input: Tensor, min: Any, *, into: Tensor | None = None) -> Tensor:
    """min, a number or a tensor, where the input is below it."""
    return clamp(input, min, None, into=into)


@method("clamp_max")
def clamp_max(input: Tensor, max: Any, *, into: Tensor | None = None) -> Tensor:
    """max, a number or a tensor, where the input is above it."""
    return clamp(input, None, max, into=into)


clamp_min_, clamp_max_ = in_place(clamp_min, "clamp_min_"), in_place(clamp_max, "clamp_max_")


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; of a condition alone, the indices where it
    holds, a tensor for each dimension."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(condition, Tensor):
        raise TypeError(f"where: expected a bool Tensor as condition, not {condition!r}")
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = result_type(input, other)
        a = full_like_scalar(input, dtype, condition.device)
        return Where.apply(condition, a, full_like_scalar(other, dtype, condition.device))
    return Where.apply(condition, *pair(input, other))


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


@method("isclose")
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Whether |input - other| <= atol + rtol |other|, or both are the same infinity; or, with
    `equal_nan`, both NaN."""
    if input.dtype is not other.dtype:
        raise RuntimeError(f"isclose: the types {input.dtype} and {other.dtype} do not match")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must not be negative, but are {rtol}, {atol}")
    close = input == other
    if equal_nan:
        close = close | (isnan(input) & isnan(other))
    if input.dtype is dtypes.bool_:
        return close
    gap, size = (input - other).abs(), other.abs() * rtol + atol
    return close | (isfinite(gap) & (gap <= size))


@method("allclose")
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@method("equal")
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return input.shape == other.shape and bool((input == other).all())


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among the test elements, or with `invert` is not.

    `assume_unique` changes nothing: it promises what an algorithm that sorts could use.
    """
    a, b = pair(elements, test_elements)
    found = (a.unsqueeze(-1) == b.reshape(-1)).any(-1)
    return ~found if invert else found
