"""Arithmetic, comparisons and elementary functions, element by element with broadcasting.

A kernel is made of a function of up to three elements. Operands may have any strides. An integer
divided by zero gives some integer: to refuse it would take reading the divisor back.
"""

import builtins
import itertools
import math
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from . import functions
from .functions import place, rounded, thread_index
from .geometry import DIMENSIONS, blocks_for, collapse, padded
from .registry import (
    BLOCK,
    boolean,
    device_function,
    f32,
    f64,
    i64,
    integers,
    of,
    types,
    u32,
    variants,
    vector,
)

__all__ = ["layout", "operation", "run", "strides_of"]


CONSTANTS = 3
"""Numbers that a kernel is given; most make no use of them."""

Layout = tuple[tuple[int, ...], list[tuple[int, ...]]]


class Operation(NamedTuple):
    """A function of elements, made for the element type of the last operand."""

    make: Callable[[Any], Any]
    inputs: int
    constant: bool
    """Whether numbers that are the same for all elements come behind them, as a tuple."""
    kinds: tuple[Any, ...]
    """Element types in which it is tested."""
    truth: bool
    """Whether its results are truth values."""


OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str,
    make: Callable[[Any], Any],
    *,
    constant: bool = False,
    kinds: tuple[Any, ...] = (f32,),
    truth: bool = False,
) -> None:
    """Define what `run` can run."""
    inputs = make(f32).__code__.co_argcount - constant
    OPERATIONS[name] = Operation(make, inputs, constant, kinds, truth)


def _logical_not(kind):
    return lambda a: a == kind(0)


def _bitwise_not(kind):
    return _logical_not(kind) if kind is boolean else lambda a: ~a


def _sign(kind):
    return lambda x: kind(1) if x > kind(0) else (kind(-1) if x < kind(0) else kind(0))


def _rounding(name):
    def make(kind):
        if kind not in (f32, f64):
            return lambda x: x
        function = rounded(name, kind)
        return lambda x: function(x)

    return make


def _floor_divide(kind):
    if kind not in (f32, f64):
        return lambda a, b: a // b
    floor = rounded("floor", kind)

    def divide(a, b):
        if b == kind(0):
            return a / b
        rest = functions.fmod(a, b)
        quotient = (a - rest) / b
        if rest != kind(0) and (b < kind(0)) != (rest < kind(0)):
            quotient -= kind(1)
        near = floor(quotient)
        return near + kind(1) if quotient - near > kind(0.5) else near

    return divide


def _trunc_divide(kind):
    if kind in (f32, f64):
        trunc = rounded("trunc", kind)
        return lambda a, b: trunc(a / b)

    def divide(a, b):
        quotient = a // b
        return quotient + 1 if quotient < 0 and quotient * b != a else quotient

    return divide


def _remainder(kind):
    if kind not in (f32, f64):
        return lambda a, b: a % b

    def rest(a, b):
        r = functions.fmod(a, b)
        return r + b if r != kind(0) and (b < kind(0)) != (r < kind(0)) else r

    return rest


def _pow(kind):
    if kind in (f32, f64):
        return lambda a, b: a * a if b == kind(2) else functions.power(a, b)

    def power(a, b):
        if b < 0:
            return kind(1) if a == 1 or (a == -1 and b % 2 == 0) else kind(-1 if a == -1 else 0)
        y, square, left = kind(1), a, b
        while left > 0:
            if left % 2 == 1:
                y = kind(y * square)
            square, left = kind(square * square), kind(left // 2)
        return y

    return power


def _fmod(kind):
    if kind in (f32, f64):
        return lambda a, b: functions.fmod(a, b)

    def rest(a, b):
        r = a % b
        return r - b if r != 0 and (r < 0) != (a < 0) else r

    return rest


def _shift(left):
    def make(kind):
        if kind in (f32, f64, boolean):
            return lambda a, b: a
        bits, lowest = np.iinfo(str(kind)).bits, kind(0)

        def to_left(a, b):
            return kind(a << b) if b >= lowest and b < bits else kind(0)

        def to_right(a, b):
            over = kind(-1) if a < lowest else kind(0)
            return kind(a >> b) if b >= lowest and b < bits else over

        return to_left if left else to_right

    return make


def _logaddexp(base):
    scale = math.log(base)

    def make(kind):
        def f(a, b):
            distance = builtins.abs(a - b)
            if distance != distance:  # NaN, or equal infinities
                return a + b if a != b else a
            top = a if a > b else b
            return top + functions.log1p(functions.exp(-distance * kind(scale))) / kind(scale)

        return f

    return make


def _xlogy(kind):
    return lambda a, b: kind(0) if a == kind(0) and b == b else a * functions.log(b)


def _lerp(kind):
    def f(a, b, w):
        step = b - a
        return a + w * step if builtins.abs(w) < kind(0.5) else b - (kind(1) - w) * step

    return f


def _same(function: Any) -> Callable[[Any], Any]:
    return lambda kind: function


def _clamp(x, low, high):
    # A NaN in a bound spreads too, as NumPy's.
    x = low if x < low or low != low else x
    return high if x > high or high != high else x


operation("copy", _same(lambda a: a))
operation("add", _same(lambda a, b: a + b))
operation("sub", _same(lambda a, b: a - b))
operation("mul", _same(lambda a, b: a * b), kinds=(f32, f64))
operation("div", _same(lambda a, b: a / b))
operation("eq", _same(lambda a, b: a == b), truth=True)
operation("ne", _same(lambda a, b: a != b), truth=True)
operation("lt", _same(lambda a, b: a < b), truth=True)
operation("le", _same(lambda a, b: a <= b), truth=True)
operation("gt", _same(lambda a, b: a > b), truth=True)
operation("ge", _same(lambda a, b: a >= b), truth=True)
operation("logical_and", lambda kind: lambda a, b: (a != kind(0)) & (b != kind(0)), truth=True)
operation("logical_or", lambda kind: lambda a, b: (a != kind(0)) | (b != kind(0)), truth=True)
operation("logical_xor", lambda kind: lambda a, b: (a != kind(0)) ^ (b != kind(0)), truth=True)
operation("logical_not", _logical_not, truth=True)
operation("bitwise_and", _same(lambda a, b: a & b), kinds=(i64, boolean))
operation("bitwise_or", _same(lambda a, b: a | b), kinds=(i64, boolean))
operation("bitwise_xor", _same(lambda a, b: a ^ b), kinds=(i64, boolean))
operation("bitwise_not", _bitwise_not, kinds=(i64, boolean))
operation("isnan", _same(lambda x: x != x), truth=True)
operation("isinf", _same(lambda x: (x == x) & (x - x != x - x)), truth=True)
operation("isfinite", _same(lambda x: x - x == x - x), truth=True)
operation("neg", _same(lambda x: -x))
operation("abs", _same(lambda x: builtins.abs(x)))
operation("reciprocal", lambda kind: lambda x: kind(1) / x)
operation("sqrt", _same(lambda x: functions.sqrt(x)))
operation("exp", _same(lambda x: functions.exp(x)))
operation("expm1", _same(lambda x: functions.expm1(x)))
operation("log", _same(lambda x: functions.log(x)))
operation("log1p", _same(lambda x: functions.log1p(x)))
operation("log2", _same(lambda x: functions.log2(x)))
operation("log10", _same(lambda x: functions.log10(x)))
operation("sin", _same(lambda x: functions.sin(x)))
operation("cos", _same(lambda x: functions.cos(x)))
operation("atan", _same(lambda x: functions.atan(x)))
operation("floor", _rounding("floor"))
operation("ceil", _rounding("ceil"))
operation("round", _rounding("rint"))
operation("trunc", _rounding("trunc"))
operation("sign", _sign)
operation("floor_divide", _floor_divide)
operation("trunc_divide", _trunc_divide)
operation("remainder", _remainder)
operation("pow", _pow, kinds=(f32, i64))
operation("maximum", _same(lambda a, b: a if a > b or a != a else b))
operation("minimum", _same(lambda a, b: a if a < b or a != a else b))
operation("clamp", lambda kind: _clamp)
operation("where", _same(lambda condition, a, b: a if condition else b))
operation("exp2", lambda kind: lambda x: functions.power(kind(2), x))
operation("tan", _same(lambda x: functions.tan(x)))
operation("asin", _same(lambda x: functions.asin(x)))
operation("acos", _same(lambda x: functions.acos(x)))
operation("sinh", _same(lambda x: functions.sinh(x)))
operation("cosh", _same(lambda x: functions.cosh(x)))
operation("asinh", _same(lambda x: functions.asinh(x)))
operation("acosh", _same(lambda x: functions.acosh(x)))
operation("atanh", _same(lambda x: functions.atanh(x)))
operation("atan2", _same(lambda a, b: functions.atan2(a, b)))
operation("hypot", _same(lambda a, b: functions.hypot(a, b)))
operation("logaddexp", _logaddexp(math.e))
operation("logaddexp2", _logaddexp(2))
operation("copysign", _same(lambda a, b: functions.copysign(a, b)))
operation("signbit", lambda kind: lambda x: functions.copysign(kind(1), x) < kind(0), truth=True)
operation("fmax", _same(lambda a, b: a if a >= b or b != b else b))
operation("fmin", _same(lambda a, b: a if a <= b or b != b else b))
operation("fmod", _fmod, kinds=(f32, i64))
operation("left_shift", _shift(True), kinds=(i64,))
operation("right_shift", _shift(False), kinds=(i64,))
operation("xlogy", _xlogy)
operation("logit", lambda kind: lambda x: functions.log(x / (kind(1) - x)))
operation("lerp", _lerp)
operation("fill", _same(lambda c: c[0]), constant=True, kinds=(f32, i64, boolean))


def _examples() -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for name, (_, inputs, _, kinds, truth) in OPERATIONS.items():
        for kind in kinds:
            given = (boolean, kind, kind) if name == "where" else (kind,) * inputs
            found.append((name, given, boolean if truth else kind))
    casts = itertools.product((f32, i64, boolean), repeat=2)
    return [*found, *[("copy", (a,), b) for a, b in casts if a is not b]]


SLOW = ("sin", "cos", "tan")


# Beyond the first turns, these reduce their argument with an array of its bits. Powers, rests
# and quotients of int64 are of 64 bits.
@variants(
    _examples,
    double=lambda name, kinds, result: name in SLOW or f64 in kinds,
    long_division=lambda name, kinds, result: i64 in kinds,
    local=lambda name, kinds, result: name in SLOW,
)
def elementwise(name: str, kinds: tuple[Any, ...], result: Any) -> tuple[Any, ...]:
    """y = an operation on the operands' elements, by its name and the element types"""
    make, inputs, constant, *_ = OPERATIONS[name]
    # The element type is that of the last operand: `where` begins with a truth value.
    given = device_function(make(kinds[-1] if kinds else result))

    if inputs == 0:

        def body(y, sizes, y_steps, c):
            i = thread_index()
            if i < u32(sizes[0]):
                y[place(i, sizes, y_steps)] = c[0]

    elif inputs == 1:
        f = given if constant else device_function(lambda a, c: given(a))

        def body(x, y, sizes, x_steps, y_steps, c):  # type: ignore[misc]
            i = thread_index()
            if i < u32(sizes[0]):
                y[place(i, sizes, y_steps)] = f(x[place(i, sizes, x_steps)], c)

    elif inputs == 2:
        f = given if constant else device_function(lambda a, b, c: given(a, b))

        def body(a, b, y, sizes, a_steps, b_steps, y_steps, c):  # type: ignore[misc]
            i = thread_index()
            if i < u32(sizes[0]):
                value = f(a[place(i, sizes, a_steps)], b[place(i, sizes, b_steps)], c)
                y[place(i, sizes, y_steps)] = value

    else:

        def body(a, b, d, y, sizes, a_steps, b_steps, d_steps, y_steps, c):  # type: ignore[misc]
            i = thread_index()
            if i < u32(sizes[0]):
                first, second = a[place(i, sizes, a_steps)], b[place(i, sizes, b_steps)]
                value = given(first, second, d[place(i, sizes, d_steps)])
                y[place(i, sizes, y_steps)] = value

    body.__name__ = name
    arrays = tuple(vector(kind) for kind in (*kinds, result))
    numbers = types.UniTuple(result, CONSTANTS)
    return body, (*arrays, integers(5), *[integers(DIMENSIONS) for _ in arrays], numbers)


def layout(shape: tuple[int, ...], *strides: tuple[int, ...]) -> Layout | None:
    """Sizes and strides as kernels take them; None if there are more dimensions than they know."""
    sizes, steps = collapse(shape, strides)
    if len(sizes) > DIMENSIONS:
        return None
    one = int(len(sizes) <= 1)
    return (prod(sizes), *padded(sizes, 1)[1:], one), [padded(s, 0) for s in steps]


def strides_of(buffer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements from neighbour to neighbour along each dimension of a shape it is broadcast to."""
    extra, size = len(shape) - buffer.ndim, buffer.itemsize
    found = [0 if n == 1 else s // size for n, s in zip(buffer.shape, buffer.strides)]
    return (0,) * extra + tuple(found)


def run(name: str, *buffers: Any, constants: tuple[Any, ...] = ()) -> None:
    """Launch an operation on inputs, which are broadcast, and the output."""
    *inputs, y = buffers
    if not y.size:
        return
    found = layout(y.shape, *[strides_of(b, y.shape) for b in buffers])
    if found is None:  # one launch for each place along the first dimension
        for i in range(y.shape[0]):
            run(name, *[_at(b, i, y.ndim) for b in buffers], constants=constants)
        return
    sizes, steps = found
    kernel = elementwise(name, tuple([of(b.dtype) for b in inputs]), of(y.dtype))
    numbers = constants + (0,) * (CONSTANTS - len(constants))
    kernel(blocks_for(sizes[0], BLOCK), *buffers, sizes, *steps, numbers)


def _at(buffer: Any, i: int, ndim: int) -> Any:
    if buffer.ndim < ndim:
        return buffer
    return buffer[i if buffer.shape[0] > 1 else 0]


def _unary(name: str) -> Callable[..., None]:
    def launch(x: Any, y: Any) -> None:
        run(name, x, y)

    launch.__name__, launch.__doc__ = name, f"y = {name} of x"
    return launch


def _binary(name: str) -> Callable[..., None]:
    def launch(a: Any, b: Any, y: Any) -> None:
        run(name, a, b, y)

    launch.__name__, launch.__doc__ = name, f"y = {name} of a and b"
    return launch


add, sub, mul, div = _binary("add"), _binary("sub"), _binary("mul"), _binary("div")
eq, ne, lt = _binary("eq"), _binary("ne"), _binary("lt")
le, gt, ge = _binary("le"), _binary("gt"), _binary("ge")
logical_and, logical_or = _binary("logical_and"), _binary("logical_or")
logical_xor, logical_not = _binary("logical_xor"), _unary("logical_not")
bitwise_and, bitwise_or = _binary("bitwise_and"), _binary("bitwise_or")
bitwise_xor, bitwise_not = _binary("bitwise_xor"), _unary("bitwise_not")
isnan, isinf, isfinite = _unary("isnan"), _unary("isinf"), _unary("isfinite")
neg, abs, reciprocal, sqrt = _unary("neg"), _unary("abs"), _unary("reciprocal"), _unary("sqrt")
exp, expm1, log, log1p = _unary("exp"), _unary("expm1"), _unary("log"), _unary("log1p")
log2, log10 = _unary("log2"), _unary("log10")
sin, cos, atan = _unary("sin"), _unary("cos"), _unary("atan")
floor, ceil, round, trunc = _unary("floor"), _unary("ceil"), _unary("round"), _unary("trunc")
sign = _unary("sign")
floor_divide, trunc_divide = _binary("floor_divide"), _binary("trunc_divide")
remainder, pow = _binary("remainder"), _binary("pow")
maximum, minimum = _binary("maximum"), _binary("minimum")
exp2, tan, asin, acos = _unary("exp2"), _unary("tan"), _unary("asin"), _unary("acos")
sinh, cosh, asinh = _unary("sinh"), _unary("cosh"), _unary("asinh")
acosh, atanh, signbit = _unary("acosh"), _unary("atanh"), _unary("signbit")
atan2, hypot, copysign = _binary("atan2"), _binary("hypot"), _binary("copysign")
logaddexp, logaddexp2 = _binary("logaddexp"), _binary("logaddexp2")
fmax, fmin, fmod = _binary("fmax"), _binary("fmin"), _binary("fmod")
left_shift, right_shift = _binary("left_shift"), _binary("right_shift")
xlogy, logit = _binary("xlogy"), _unary("logit")


def lerp(a: Any, b: Any, w: Any, y: Any) -> None:
    """y = a + w (b - a) for |w| < 1/2, else the same number as b - (1 - w) (b - a)"""
    run("lerp", a, b, w, y)


def clamp(x: Any, low: Any, high: Any, y: Any) -> None:
    """y = min(max(x, low), high), NaN for NaN"""
    run("clamp", x, low, high, y)


def where(condition: Any, a: Any, b: Any, y: Any) -> None:
    """y = a where the condition holds, else b"""
    run("where", condition, a, b, y)
