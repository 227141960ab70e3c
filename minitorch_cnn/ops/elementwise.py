"""Arithmetic and elementary functions of each element, with broadcasting."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..autograd.graph import reduce_to, zeros
from ..tensor import Tensor, method
from .compare import where
from .operands import Binary, Unary, binary, bind_operator, cast, in_place, operands, unary

# ---------------------------------------------------------------------- arithmetic


class Add(Binary):
    """y = a + b"""

    kernel = "elementwise.add"

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[1])


class Sub(Binary):
    """y = a - b"""

    kernel = "elementwise.sub"

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor) -> Tensor:
        return reduce_to(-gy, self.shapes[1])


class Mul(Binary):
    """y = a b"""

    kernel = "elementwise.mul"

    def grad_a(self, gy: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * b, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor) -> Tensor:
        return reduce_to(gy * a, self.shapes[1])


class Div(Binary):
    """y = a / b"""

    kernel = "elementwise.div"

    def grad_a(self, gy: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy / b, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        # Not from y, which may be written in place, as in `y = a / b; y += 1`.
        return reduce_to(-gy * (a / b / b), self.shapes[1])


class FloorDivide(Binary):
    """y = floor(a / b)"""

    kernel = "elementwise.floor_divide"
    categories = (1, 2)


class TruncDivide(Binary):
    """y = a / b without its fraction"""

    kernel = "elementwise.trunc_divide"
    categories = (1, 2)


class Remainder(Binary):
    """y = a - b floor(a / b)"""

    kernel = "elementwise.remainder"
    categories = (1, 2)

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(-gy * floor_divide(a, b), self.shapes[1])


class Pow(Binary):
    """y = a^b"""

    kernel = "elementwise.pow"
    categories = (1, 2)

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        slope = where(b == 0, 0.0, b * a ** (b - 1))  # a^0 is flat, at 0 too
        return reduce_to(gy * slope, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor, y: Tensor) -> Tensor:
        slope = where((a == 0) & (b >= 0), 0.0, y * log(a))  # 0^b is flat where it is defined
        return reduce_to(gy * slope, self.shapes[1])


# ---------------------------------------------------------------------- functions of one number


class Neg(Unary):
    """y = -x"""

    kernel = "elementwise.neg"
    categories = (1, 2)

    def grad_x(self, gy: Tensor) -> Tensor:
        return -gy


class Abs(Unary):
    """y = |x|"""

    kernel = "elementwise.abs"
    categories = (1, 2)

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * sign(x)


class Reciprocal(Unary):
    """y = 1 / x"""

    kernel = "elementwise.reciprocal"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return -gy * y * y


class Sqrt(Unary):
    """y = sqrt(x)"""

    kernel = "elementwise.sqrt"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return gy / (y * 2)


class Exp(Unary):
    """y = e^x"""

    kernel = "elementwise.exp"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return gy * y


class Expm1(Unary):
    """y = e^x - 1, right for small x too"""

    kernel = "elementwise.expm1"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return gy * (y + 1)


class Log(Unary):
    """y = ln(x)"""

    kernel = "elementwise.log"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / x


class Log1p(Unary):
    """y = ln(1 + x), right for small x too"""

    kernel = "elementwise.log1p"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x + 1)


class Log2(Unary):
    """y = log2(x)"""

    kernel = "elementwise.log2"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x * math.log(2))


class Log10(Unary):
    """y = log10(x)"""

    kernel = "elementwise.log10"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x * math.log(10))


class Sin(Unary):
    """y = sin(x)"""

    kernel = "elementwise.sin"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * cos(x)


class Cos(Unary):
    """y = cos(x)"""

    kernel = "elementwise.cos"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return -gy * sin(x)


class Atan(Unary):
    """y = arctan(x)"""

    kernel = "elementwise.atan"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x * x + 1)


class Step(Unary):
    """A function that is flat almost everywhere: its gradient is zero."""

    def grad_x(self, gy: Tensor) -> Tensor:
        return zeros(gy._buffer.shape, gy.dtype, gy.device)


class Sign(Step):
    """y = 1 above zero, -1 below, else 0"""

    kernel = "elementwise.sign"


class Floor(Step):
    """y = the largest integer that is not above x"""

    kernel = "elementwise.floor"
    categories = (1, 2)


class Ceil(Step):
    """y = the smallest integer that is not below x"""

    kernel = "elementwise.ceil"
    categories = (1, 2)


class Round(Step):
    """y = the integer nearest to x, the even one of two"""

    kernel = "elementwise.round"
    categories = (1, 2)


class Trunc(Step):
    """y = x without its fraction"""

    kernel = "elementwise.trunc"
    categories = (1, 2)


# ---------------------------------------------------------------------- the public functions


def _scaled(b: Tensor, alpha: Any) -> Tensor:
    if alpha == 1:
        return b
    if isinstance(alpha, float) and b.dtype.category != 2:
        raise RuntimeError(f"alpha must be an integer for operands of {b.dtype}, not {alpha}")
    return cast(b * alpha, b.dtype)


def add(input: Any, other: Any, *, alpha: Any = 1, into: Tensor | None = None) -> Tensor:
    """input + alpha * other"""
    a, b = operands(input, other)
    return Add.apply(a, _scaled(b, alpha), into=into)


def sub(input: Any, other: Any, *, alpha: Any = 1, into: Tensor | None = None) -> Tensor:
    """input - alpha * other"""
    if _is_truth(input) or _is_truth(other):
        raise RuntimeError("sub: truth values can't be subtracted; use logical_xor or ^ instead")
    a, b = operands(input, other)
    return Sub.apply(a, _scaled(b, alpha), into=into)


def _is_truth(value: Any) -> bool:
    return value.dtype is dtypes.bool_ if isinstance(value, Tensor) else isinstance(value, bool)


method("add")(add)
method("sub", "subtract")(sub)
add_, sub_ = in_place(add, "add_"), in_place(sub, "sub_")
bind_operator("add", add, add_)
bind_operator("sub", sub, sub_)
mul, mul_ = binary(Mul, "mul", "mul")
method("multiply")(mul)
true_divide, _ = binary(Div, "true_divide", to_float=True)
floor_divide, _ = binary(FloorDivide, "floor_divide", "floordiv")
_truncate_divide, _ = binary(TruncDivide, "trunc_divide")
remainder, _ = binary(Remainder, "remainder", "mod")


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, into: Tensor | None = None
) -> Tensor:
    """input / other, exact or rounded: "trunc" towards zero, "floor" down."""
    modes = {None: true_divide, "trunc": _truncate_divide, "floor": floor_divide}
    if rounding_mode not in modes:
        raise RuntimeError(
            f"div: rounding_mode must be None, 'trunc' or 'floor', not {rounding_mode!r}"
        )
    return modes[rounding_mode](input, other, into=into)


method("div", "divide")(div)
div_ = in_place(div, "div_")
bind_operator("truediv", div, div_)


def pow(input: Any, exponent: Any, *, into: Tensor | None = None) -> Tensor:
    """input to the power of the exponent; a negative number is none for integers."""
    a, b = operands(input, exponent)
    if a.dtype.category == 1 and isinstance(exponent, int) and exponent < 0:
        raise RuntimeError(
            f"pow: integers to the negative integer power {exponent} are not allowed"
        )
    return Pow.apply(a, b, into=into)


method("pow")(pow)
pow_ = in_place(pow, "pow_")
bind_operator("pow", pow, pow_)

neg, neg_ = unary(Neg, "neg", to_float=False)
abs, abs_ = unary(Abs, "abs", to_float=False)
sign, sign_ = unary(Sign, "sign", to_float=False)
floor, floor_ = unary(Floor, "floor", to_float=False)
ceil, ceil_ = unary(Ceil, "ceil", to_float=False)
round, round_ = unary(Round, "round", to_float=False)
trunc, trunc_ = unary(Trunc, "trunc", to_float=False)
reciprocal, reciprocal_ = unary(Reciprocal, "reciprocal")
sqrt, sqrt_ = unary(Sqrt, "sqrt")
exp, exp_ = unary(Exp, "exp")
expm1, expm1_ = unary(Expm1, "expm1")
log, log_ = unary(Log, "log")
log1p, log1p_ = unary(Log1p, "log1p")
log2, log2_ = unary(Log2, "log2")
log10, log10_ = unary(Log10, "log10")
sin, sin_ = unary(Sin, "sin")
cos, cos_ = unary(Cos, "cos")
atan, atan_ = unary(Atan, "atan")
method("__neg__")(neg)
method("__abs__")(abs)
method("__pos__")(lambda self: self)


@method("square")
def square(input: Tensor) -> Tensor:
    """x^2"""
    return pow(input, 2)


@method("rsqrt")
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x)"""
    return reciprocal(sqrt(input))
