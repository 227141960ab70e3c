"""Arithmetic and elementary functions of each element, with broadcasting."""

from __future__ import annotations

import builtins
import math
from typing import Any

from .. import dtypes
from ..autograd.graph import reduce_to, zeros
from ..autograd.op import Result
from ..tensor import Tensor, method
from .compare import where
from .operands import (
    Binary,
    Elementwise,
    Unary,
    alias,
    binary,
    bind_operator,
    cast,
    full_like_scalar,
    function_of,
    in_place,
    pair,
    result_type,
    smooth,
    smooth_of_two,
    unary,
    written,
)

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


class Fmod(Binary):
    """y = a - b trunc(a / b)"""

    kernel = "elementwise.fmod"
    categories = (1, 2)

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(-gy * _truncate_divide(a, b), self.shapes[1])


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


class Lerp(Elementwise):
    """y = a + w (b - a), reckoned from the nearer end"""

    kernel = "elementwise.lerp"
    categories = (2,)

    @classmethod
    def outputs(cls, a: Tensor, b: Tensor, w: Tensor) -> Result:
        cls.require_category(a)
        return cls.broadcast(a, b, w), a.dtype

    def grad_a(self, gy: Tensor, w: Tensor) -> Tensor:
        return reduce_to(gy * (1 - w), self.shapes[0])

    def grad_b(self, gy: Tensor, w: Tensor) -> Tensor:
        return reduce_to(gy * w, self.shapes[1])

    def grad_w(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * (b - a), self.shapes[2])


# ---------------------------------------------------------------------- the public functions


def _scaled(b: Tensor, alpha: Any) -> Tensor:
    if isinstance(alpha, float) and b.dtype.category != 2:
        raise RuntimeError(f"alpha must be an integer for operands of {b.dtype}, not {alpha}")
    return cast(b * alpha, b.dtype)


def add(input: Any, other: Any, *, alpha: Any = 1, into: Tensor | None = None) -> Tensor:
    """input + alpha * other"""
    a, b = pair(input, other)
    return Add.apply(a, b if alpha == 1 else _scaled(b, alpha), into=into)


def sub(input: Any, other: Any, *, alpha: Any = 1, into: Tensor | None = None) -> Tensor:
    """input - alpha * other"""
    if _is_truth(input) or _is_truth(other):
        raise RuntimeError("sub: truth values can't be subtracted; use logical_xor or ^ instead")
    a, b = pair(input, other)
    return Sub.apply(a, b if alpha == 1 else _scaled(b, alpha), into=into)


def _is_truth(value: Any) -> bool:
    return value.dtype is dtypes.bool_ if isinstance(value, Tensor) else isinstance(value, bool)


method("add")(add)
method("sub")(sub)
add_, sub_ = in_place(add, "add_"), in_place(sub, "sub_")
bind_operator("add", add, add_, Add)
bind_operator("sub", sub, sub_)
mul, mul_ = binary(Mul, "mul", "mul")
true_divide, _ = binary(Div, "true_divide", to_float=True)
floor_divide, _ = binary(FloorDivide, "floor_divide", "floordiv")
_truncate_divide = function_of(TruncDivide, "_truncate_divide")
remainder, _ = binary(Remainder, "remainder", "mod")
fmod, _ = binary(Fmod, "fmod")


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input"""
    return sub(other, input, alpha=alpha)


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


method("div")(div)
div_ = in_place(div, "div_")
bind_operator("truediv", div, div_)
alias(sub, sub_, "subtract")
alias(mul, mul_, "multiply")
alias(div, div_, "divide")


def pow(input: Any, exponent: Any, *, into: Tensor | None = None) -> Tensor:
    """input to the power of the exponent; a negative number is none for integers."""
    a, b = pair(input, exponent)
    if a.dtype.category == 1 and isinstance(exponent, int) and exponent < 0:
        raise RuntimeError(
            f"pow: integers to the negative integer power {exponent} are not allowed"
        )
    return Pow.apply(a, b, into=into)


method("pow")(pow)
pow_ = in_place(pow, "pow_")
bind_operator("pow", pow, pow_)


def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power of the exponent, in float64 whatever the operands' types."""
    return pow(
        *[cast(v, dtypes.float64) if isinstance(v, Tensor) else v for v in (input, exponent)]
    )


method("float_power")(float_power)
method("float_power_")(written(float_power, "float_power_"))

neg, neg_ = unary(Neg, "neg", to_float=False)
abs, abs_ = unary(Abs, "abs", to_float=False)
sign, sign_ = unary(Sign, "sign", to_float=False)
floor, floor_ = unary(Floor, "floor", to_float=False)
ceil, ceil_ = unary(Ceil, "ceil", to_float=False)
trunc, trunc_ = unary(Trunc, "trunc", to_float=False)
alias(neg, neg_, "negative")
alias(abs, abs_, "absolute")
alias(sign, sign_, "sgn")
alias(trunc, trunc_, "fix")
method("__neg__")(neg)
method("__abs__")(abs)


@method("positive", "__pos__")
def positive(input: Tensor) -> Tensor:
    """The input itself."""
    if input.dtype is dtypes.bool_:
        raise RuntimeError("positive: the sign + is not defined for a bool tensor")
    return input


_round_to_integers = function_of(Round, "_round_to_integers")


@method("round")
def round(input: Tensor, *, decimals: int = 0, into: Tensor | None = None) -> Tensor:
    """The nearest number of so many decimals, of two the even one; -2 decimals are hundreds."""
    if decimals == 0:
        return _round_to_integers(input, into=into)
    if input.dtype.category != 2:
        raise NotImplementedError(f"round: {input.dtype} has no decimals to round {decimals} of")
    unit = 10.0 ** builtins.abs(decimals)
    if decimals > 0:
        return div(_round_to_integers(input * unit), unit, into=into)
    return mul(_round_to_integers(input / unit), unit, into=into)


round_ = in_place(round, "round_")


@method("frac")
def frac(input: Tensor, *, into: Tensor | None = None) -> Tensor:
    """x without its integer part."""
    if input.dtype.category != 2:
        raise NotImplementedError(f"frac is not defined for {input.dtype}")
    return sub(input, trunc(input), into=into)


frac_ = in_place(frac, "frac_")


@method("square")
def square(input: Tensor, *, into: Tensor | None = None) -> Tensor:
    """x^2"""
    return pow(input, 2, into=into)


square_ = in_place(square, "square_")


@method("rsqrt")
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x)"""
    return reciprocal(sqrt(input))


rsqrt_ = written(rsqrt, "rsqrt_")

# ---------------------------------------------------------------------- the table
# A function's name, which is its kernel's too, its formula, and its slope: in each argument, if it
# has two.

reciprocal, reciprocal_ = smooth("reciprocal", "1 / x", lambda y: -y * y)
sqrt, sqrt_ = smooth("sqrt", "The square root of x.", lambda y: 0.5 / y)
exp, exp_ = smooth("exp", "e^x", lambda y: y)
exp2, exp2_ = smooth("exp2", "2^x", lambda y: y * math.log(2))
expm1, expm1_ = smooth("expm1", "e^x - 1, right for small x too.", lambda y: y + 1)
log, log_ = smooth("log", "The natural logarithm of x.", lambda x: 1 / x)
log1p, log1p_ = smooth("log1p", "ln(1 + x), right for small x too.", lambda x: 1 / (x + 1))
log2, log2_ = smooth("log2", "The logarithm of x to base 2.", lambda x: 1 / (x * math.log(2)))
log10, log10_ = smooth("log10", "The logarithm of x to base 10.", lambda x: 1 / (x * math.log(10)))
sin, sin_ = smooth("sin", "sin x", lambda x: x.cos())
cos, cos_ = smooth("cos", "cos x", lambda x: -x.sin())
tan, tan_ = smooth("tan", "tan x", lambda y: 1 + y * y)
asin, asin_ = smooth("asin", "The arc sine of x.", lambda x: rsqrt(1 - x * x))
acos, acos_ = smooth("acos", "The arc cosine of x.", lambda x: -rsqrt(1 - x * x))
atan, atan_ = smooth("atan", "The arc tangent of x.", lambda x: 1 / (x * x + 1))
sinh, sinh_ = smooth("sinh", "(e^x - e^-x) / 2", lambda x: x.cosh())
cosh, cosh_ = smooth("cosh", "(e^x + e^-x) / 2", lambda x: x.sinh())
asinh, asinh_ = smooth("asinh", "The inverse of sinh.", lambda x: rsqrt(x * x + 1))
acosh, acosh_ = smooth("acosh", "The inverse of cosh.", lambda x: rsqrt(x * x - 1))
atanh, atanh_ = smooth("atanh", "The inverse of tanh.", lambda x: 1 / (1 - x * x))
alias(asin, asin_, "arcsin")
alias(acos, acos_, "arccos")
alias(atan, atan_, "arctan")
alias(asinh, asinh_, "arcsinh")
alias(acosh, acosh_, "arccosh")
alias(atanh, atanh_, "arctanh")

atan2 = smooth_of_two(
    "atan2",
    "The angle of the point (other, input), from -pi to pi.",
    lambda a, b: b / (a * a + b * b),
    lambda a, b: -a / (a * a + b * b),
    to_float=True,
)
atan2_ = in_place(atan2, "atan2_")
alias(atan2, atan2_, "arctan2")
hypot = smooth_of_two(
    "hypot", "sqrt(input^2 + other^2)", lambda a, y: a / y, lambda b, y: b / y, categories=(2,)
)
logaddexp = smooth_of_two(
    "logaddexp",
    "log(e^input + e^other), without overflow.",
    lambda a, b: _share_of(a, b),
    lambda a, b: _share_of(b, a),
    categories=(2,),
)
logaddexp2 = smooth_of_two(
    "logaddexp2",
    "log2(2^input + 2^other), without overflow.",
    lambda a, b: _share_of(a * math.log(2), b * math.log(2)),
    lambda a, b: _share_of(b * math.log(2), a * math.log(2)),
    categories=(2,),
)
copysign = smooth_of_two(
    "copysign",
    "The input with the sign of the other.",
    lambda a, y: where(a == 0, 0.0, y / a),
    None,
    to_float=True,
    numbers=True,
)
xlogy = smooth_of_two(
    "xlogy",
    "input log(other); zero where the input is, whatever the other but NaN.",
    lambda a, b: where((a == 0) & (b <= 0), 0.0, log(b)),
    lambda a, b: a / b,
    to_float=True,
    numbers=True,
)


hypot_, copysign_ = in_place(hypot, "hypot_"), in_place(copysign, "copysign_")
xlogy_ = in_place(xlogy, "xlogy_")


def _share_of(a: Tensor, b: Tensor) -> Tensor:
    """e^a / (e^a + e^b); of equal infinities a half each."""
    return where(a == b, 0.5, 1 / (1 + exp(b - a)))


# ---------------------------------------------------------------------- of several arguments


_logit = smooth(
    "logit",
    "log(x / (1 - x))",
    lambda x: where((x < 0) | (x > 1), math.nan, 1 / (x * (1 - x))),
)[0]


@method("logit")
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; x is first brought to [eps, 1 - eps] if given."""
    return _logit(input if eps is None else input.clamp(eps, 1 - eps))


logit_ = written(logit, "logit_")


@method("lerp")
def lerp(input: Tensor, end: Tensor, weight: Any, *, into: Tensor | None = None) -> Tensor:
    """input + weight * (end - input), with a number or a tensor as weight."""
    if end.dtype is not input.dtype:
        raise RuntimeError(f"lerp: expected {input.dtype} for `end`, but got {end.dtype}")
    if not isinstance(weight, Tensor):
        weight = full_like_scalar(weight, input.dtype, input.device)
    elif weight.dtype is not input.dtype and weight.ndim:
        raise RuntimeError(f"lerp: expected {input.dtype} for `weight`, but got {weight.dtype}")
    return Lerp.apply(input, end, cast(weight, input.dtype), into=into)


lerp_ = in_place(lerp, "lerp_")


@method("addcmul")
def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, into: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 * tensor2; among integers the value loses its fraction."""
    if result_type(input, tensor1, tensor2).category != 2:
        value = int(value)
    return add(input, tensor1 * tensor2, alpha=value, into=into)


addcmul_ = in_place(addcmul, "addcmul_")


@method("addcdiv")
def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, into: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 / tensor2"""
    if tensor1.dtype.category != 2 and tensor2.dtype.category != 2:
        raise RuntimeError(
            f"addcdiv: integers are not divided, but tensor1 and tensor2 are of {tensor1.dtype} "
            f"and {tensor2.dtype}"
        )
    return add(input, tensor1 / tensor2, alpha=value, into=into)


addcdiv_ = in_place(addcdiv, "addcdiv_")


@method("deg2rad")
def deg2rad(input: Tensor, *, into: Tensor | None = None) -> Tensor:
    """Degrees as radians."""
    return mul(input, math.pi / 180, into=into)


@method("rad2deg")
def rad2deg(input: Tensor, *, into: Tensor | None = None) -> Tensor:
    """Radians as degrees."""
    return mul(input, 180 / math.pi, into=into)


deg2rad_, rad2deg_ = in_place(deg2rad, "deg2rad_"), in_place(rad2deg, "rad2deg_")
