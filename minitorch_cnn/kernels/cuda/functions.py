"""What kernels compute with: indices, elementary functions, sums over a block's threads.

The simulator runs kernels as Python, where `math.exp(1000.0)` raises: there NumPy's functions take
their place.
"""

import math
from typing import Any

import numpy as np

from .driver import SIMULATED, cuda
from .registry import BLOCK, TILE, device_function, f32, i32, u32

__all__ = [
    "block_sum",
    "cos",
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "place",
    "rounded",
    "sin",
    "sqrt",
    "tanh",
    "thread_index",
    "tile_of",
]

Function = Any  # of a number; its type is that of what it is given, once compiled

if SIMULATED:
    exp, expm1, log, log1p = np.exp, np.expm1, np.log, np.log1p
    log2, log10, sin, cos = np.log2, np.log10, np.sin, np.cos
    atan, tanh, sqrt = np.arctan, np.tanh, np.sqrt
    erf, erfc, power, fmod = math.erf, math.erfc, np.power, np.fmod
    tan, asin, acos, atan2 = np.tan, np.arcsin, np.arccos, np.arctan2
    sinh, cosh, asinh, acosh = np.sinh, np.cosh, np.arcsinh, np.arccosh
    atanh, hypot, copysign = np.arctanh, np.hypot, np.copysign
    cospi: Function = lambda x: np.cos(np.pi * x)  # noqa: E731
    sinpi: Function = lambda x: np.sin(np.pi * x)  # noqa: E731
else:
    compiled: Any = math
    exp, expm1, log, log1p = compiled.exp, compiled.expm1, compiled.log, compiled.log1p
    log2, log10, sin, cos = compiled.log2, compiled.log10, compiled.sin, compiled.cos
    atan, tanh, sqrt = compiled.atan, compiled.tanh, compiled.sqrt
    erf, erfc, power, fmod = compiled.erf, compiled.erfc, compiled.pow, compiled.fmod
    tan, asin, acos, atan2 = compiled.tan, compiled.asin, compiled.acos, compiled.atan2
    sinh, cosh, asinh, acosh = compiled.sinh, compiled.cosh, compiled.asinh, compiled.acosh
    atanh, hypot, copysign = compiled.atanh, compiled.hypot, compiled.copysign
    if cuda is not None:  # for float64 alone
        cospi, sinpi = cuda.libdevice.cospi, cuda.libdevice.sinpi


def rounded(name: str, kind: Any) -> Any:
    """floor, ceil, rint or trunc, whose result stays a floating-point number of its type."""
    if SIMULATED or cuda is None:
        return getattr(np, name)
    return getattr(cuda.libdevice, f"{name}f" if kind is f32 else name)


@device_function
def thread_index():
    """The number of this thread among all of a launch"""
    return u32(u32(cuda.blockIdx.x) * u32(BLOCK) + u32(cuda.threadIdx.x))


@device_function
def place(i, sizes, strides):
    """Where element i of a strided operand lies; sizes are (all, .., the inner three, whether there
    is but one dimension)"""
    if sizes[4] != 0:
        return u32(i * u32(strides[3]))
    a = u32(i // u32(sizes[3]))
    b = u32(a // u32(sizes[2]))
    c = u32(b // u32(sizes[1]))
    inner = u32(u32(i - u32(a * u32(sizes[3]))) * u32(strides[3]))
    inner = u32(inner + u32(u32(a - u32(b * u32(sizes[2]))) * u32(strides[2])))
    inner = u32(inner + u32(u32(b - u32(c * u32(sizes[1]))) * u32(strides[1])))
    return u32(inner + u32(c * u32(strides[0])))


@device_function
def block_sum(shared, value):
    """The sum of all threads' values in a fixed order, for each; `shared` has BLOCK places"""
    t = i32(cuda.threadIdx.x)
    cuda.syncthreads()
    shared[t] = value
    half = i32(BLOCK // 2)
    while half > 0:
        cuda.syncthreads()
        if t < half:
            shared[t] += shared[t + half]
        half = i32(half // 2)
    cuda.syncthreads()
    return shared[0]


@device_function
def tile_of(elements, line, parts):
    """This block's part of rows cut by `cut_rows`: where it begins, how far into its line, and how
    many elements it has"""
    b = u32(cuda.blockIdx.x)
    above = u32(b // u32(parts))
    into = u32(u32(b - u32(above * u32(parts))) * u32(TILE))
    start = u32(u32(above * u32(line)) + into)
    count = min(u32(u32(line) - into), u32(u32(elements) - start))
    return start, into, min(u32(TILE), count)
