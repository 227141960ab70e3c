"""Arithmetic, comparisons and elementary functions, element by element with broadcasting.

These are NumPy's ufuncs: vectorised, at home with any strides, and ready without compilation.
"""

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import numpy as np


class _Quiet(threading.local):
    """Runs ufuncs without floating-point warnings: infinity and NaN are results like others.

    A context costs a tenth of entering `numpy.errstate` at each call.
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
    return run


add = _elementwise(np.add)
sub = _elementwise(np.subtract)
mul = _elementwise(np.multiply)
div = _elementwise(np.true_divide)
remainder = _elementwise(np.remainder)
pow = _elementwise(np.power)
maximum = _elementwise(np.maximum)
minimum = _elementwise(np.minimum)
atan2 = _elementwise(np.arctan2)

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

neg = _elementwise(np.negative)
abs = _elementwise(np.absolute)
floor = _elementwise(np.floor)
ceil = _elementwise(np.ceil)
round = _elementwise(np.rint)
trunc = _elementwise(np.trunc)
reciprocal = _elementwise(np.reciprocal)
sqrt = _elementwise(np.sqrt)
exp = _elementwise(np.exp)
expm1 = _elementwise(np.expm1)
log = _elementwise(np.log)
log1p = _elementwise(np.log1p)
log2 = _elementwise(np.log2)
log10 = _elementwise(np.log10)
sin = _elementwise(np.sin)
cos = _elementwise(np.cos)
atan = _elementwise(np.arctan)


def sign(x: Any, y: Any) -> None:
    """y = 1 above zero, -1 below, else 0, for NaN too"""
    np.sign(x, y)
    if y.dtype.kind == "f":
        np.copyto(y, 0, where=np.isnan(x))


def floor_divide(a: Any, b: Any, y: Any) -> None:
    """y = floor(a / b)"""
    if b.dtype.kind in "iu" and not b.all():
        raise RuntimeError("floor_divide: integer division by zero")
    quiet.run(np.floor_divide, a, b, y)


def clamp(x: Any, low: Any, high: Any, y: Any) -> None:
    """y = min(max(x, low), high)"""
    np.clip(x, low, high, y)


def where(condition: Any, a: Any, b: Any, y: Any) -> None:
    """y = a where the condition holds, else b"""
    np.copyto(y, b)
    np.copyto(y, a, where=condition)
