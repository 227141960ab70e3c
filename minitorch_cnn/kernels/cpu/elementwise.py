"""Arithmetic, comparisons and elementary functions, element by element with broadcasting.

These are NumPy's ufuncs: vectorised, at home with any strides, and ready without compilation. They
run on one thread; so for arithmetic with many elements, and for what is most often computed of
them, there are kernels, in `large`, which is imported when it is needed.
"""

import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..drivers import driver, on_host
from .arrays import in_step

LARGE = 1 << 17
"""Elements from which a second thread is worth waking."""


class _Quiet(threading.local):
    """Runs ufuncs without floating-point warnings: infinity and NaN are results like others.

    A context costs a fraction of entering `numpy.errstate` at each call.
    """

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.run = context.run


quiet = _Quiet()


def _elementwise(ufunc: Any) -> Callable[..., None]:
    def run(*args: Any) -> None:
        quiet.run(ufunc, *args)

    run.__name__ = ufunc.__name__
    run.resolved = lambda args: functools.partial(quiet.run, ufunc)  # type: ignore[attr-defined]
    return run


def _arithmetic(ufunc: Any, name: str) -> Callable[..., None]:
    alone = _elementwise(ufunc)

    def run(a: Any, b: Any, y: Any) -> None:
        if y.size >= LARGE and in_step(a, y) and in_step(b, y):
            from . import large

            large.arithmetic(name, a, b, y)
        else:
            on_host(alone)
            alone(a, b, y)

    run.__name__ = ufunc.__name__
    return driver(run)


def _function(ufunc: Any, name: str) -> Callable[..., None]:
    alone = _elementwise(ufunc)

    def run(x: Any, y: Any) -> None:
        if y.size >= LARGE and in_step(x, y):
            from . import large

            getattr(large, name)(x, y)
        else:
            on_host(alone)
            alone(x, y)

    run.__name__ = ufunc.__name__
    return driver(run)


add = _arithmetic(np.add, "add")
sub = _arithmetic(np.subtract, "sub")
mul = _arithmetic(np.multiply, "mul")
div = _arithmetic(np.true_divide, "div")

eq = _elementwise(np.equal)
ne = _elementwise(np.not_equal)
lt = _elementwise(np.less)
le = _elementwise(np.less_equal)
gt = _elementwise(np.greater)
ge = _elementwise(np.greater_equal)
logical_and = _elementwise(np.logical_and)
logical_or = _elementwise(np.logical_or)
logical_xor = _elementwise(np.logical_xor)
logical_not = _elementwise(np.logical_not)
bitwise_and = _elementwise(np.bitwise_and)
bitwise_or = _elementwise(np.bitwise_or)
bitwise_xor = _elementwise(np.bitwise_xor)
bitwise_not = _elementwise(np.invert)
isnan = _elementwise(np.isnan)
isinf = _elementwise(np.isinf)
isfinite = _elementwise(np.isfinite)

neg = _function(np.negative, "neg")
abs = _function(np.absolute, "abs")
reciprocal = _elementwise(np.reciprocal)
sqrt = _function(np.sqrt, "sqrt")
exp = _function(np.exp, "exp")
exp2 = _elementwise(np.exp2)
expm1 = _elementwise(np.expm1)
log = _function(np.log, "log")
log1p = _elementwise(np.log1p)
log2 = _elementwise(np.log2)
log10 = _elementwise(np.log10)
sin = _elementwise(np.sin)
cos = _elementwise(np.cos)
tan = _elementwise(np.tan)
asin = _elementwise(np.arcsin)
acos = _elementwise(np.arccos)
atan = _elementwise(np.arctan)
sinh = _elementwise(np.sinh)
cosh = _elementwise(np.cosh)
asinh = _elementwise(np.arcsinh)
acosh = _elementwise(np.arccosh)
atanh = _elementwise(np.arctanh)
atan2 = _elementwise(np.arctan2)
hypot = _elementwise(np.hypot)
logaddexp = _elementwise(np.logaddexp)
logaddexp2 = _elementwise(np.logaddexp2)
copysign = _elementwise(np.copysign)
signbit = _elementwise(np.signbit)
fmax = _elementwise(np.fmax)
fmin = _elementwise(np.fmin)
left_shift = _elementwise(np.left_shift)
right_shift = _elementwise(np.right_shift)


def _rounding(ufunc: Any) -> Callable[..., None]:
    def run(x: Any, y: Any) -> None:
        if x.dtype.kind == "f":
            ufunc(x, y)
        else:  # an integer already
            np.copyto(y, x)

    run.__name__ = ufunc.__name__
    return run


floor = _rounding(np.floor)
ceil = _rounding(np.ceil)
round = _rounding(np.rint)
trunc = _rounding(np.trunc)


def sign(x: Any, y: Any) -> None:
    """y = 1 above zero, -1 below, else 0, for NaN too"""
    if x.dtype.kind == "b":
        np.copyto(y, x)
        return
    quiet.run(np.sign, x, y)
    if y.dtype.kind == "f":
        np.copyto(y, 0, where=np.isnan(x))


def _require_divisor(name: str, b: Any) -> None:
    if b.dtype.kind in "iu" and not b.all():
        raise RuntimeError(f"{name}: integer division by zero")


def floor_divide(a: Any, b: Any, y: Any) -> None:
    """y = floor(a / b)"""
    _require_divisor("floor_divide", b)
    quiet.run(np.floor_divide, a, b, y)


def trunc_divide(a: Any, b: Any, y: Any) -> None:
    """y = a / b without its fraction"""
    _require_divisor("div", b)
    quiet.run(_trunc_divide, a, b, y)


def _trunc_divide(a: Any, b: Any, y: Any) -> None:
    if y.dtype.kind == "f":
        np.trunc(np.true_divide(a, b), y)
    else:
        floors, rest = np.divmod(a, b)
        np.add(floors, (floors < 0) & (rest != 0), out=y)


def remainder(a: Any, b: Any, y: Any) -> None:
    """y = a - b floor(a / b)"""
    _require_divisor("remainder", b)
    quiet.run(np.remainder, a, b, y)


def fmod(a: Any, b: Any, y: Any) -> None:
    """y = a - b trunc(a / b)"""
    _require_divisor("fmod", b)
    quiet.run(np.fmod, a, b, y)


def xlogy(a: Any, b: Any, y: Any) -> None:
    """y = a log(b), 0 where a is and b is not NaN"""
    quiet.run(_xlogy, a, b, y)


def _xlogy(a: Any, b: Any, y: Any) -> None:
    np.copyto(y, np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b)))


def logit(x: Any, y: Any) -> None:
    """y = log(x / (1 - x))"""
    quiet.run(_logit, x, y)


def _logit(x: Any, y: Any) -> None:
    np.log(x / (1 - x), y)


def lerp(a: Any, b: Any, w: Any, y: Any) -> None:
    """y = a + w (b - a) for |w| < 1/2, else the same number as b - (1 - w) (b - a)"""
    quiet.run(_lerp, a, b, w, y)


def _lerp(a: Any, b: Any, w: Any, y: Any) -> None:
    step = b - a
    if w.size != 1:
        np.copyto(y, np.where(np.abs(w) < 0.5, a + w * step, b - (1 - w) * step))
    elif -0.5 < w.item() < 0.5:
        np.add(a, step * w, y)
    else:
        np.subtract(b, step * (1 - w), y)


def pow(a: Any, b: Any, y: Any) -> None:
    """y = a^b; a negative power of an integer is that of 1 and -1, 0 of all others"""
    if b.size == 1 and b.item() == 2:
        quiet.run(np.multiply, a, a, y)
    elif y.dtype.kind == "i" and (b < 0).any():
        inverse = np.where(np.abs(a) == 1, a ** (b & 1), 0)
        np.copyto(y, np.where(b < 0, inverse, a ** np.maximum(b, 0)))
    else:
        quiet.run(np.power, a, b, y)


def maximum(a: Any, b: Any, y: Any) -> None:
    """y = max(a, b), NaN for NaN"""
    quiet.run(np.maximum, a, b, out=y)


def minimum(a: Any, b: Any, y: Any) -> None:
    """y = min(a, b), NaN for NaN"""
    quiet.run(np.minimum, a, b, out=y)


def clamp(x: Any, low: Any, high: Any, y: Any) -> None:
    """y = min(max(x, low), high), NaN for NaN"""
    np.clip(x, low, high, y)


def where(condition: Any, a: Any, b: Any, y: Any) -> None:
    """y = a where the condition holds, else b"""
    np.copyto(y, b)
    np.copyto(y, a, where=condition)
