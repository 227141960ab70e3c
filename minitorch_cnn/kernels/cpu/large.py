"""Arithmetic, functions and copies of so many elements that threads share them, without gaps.

What the caches can't hold is written past them, in kernels of its own: the lines of a result need
not be fetched first, so that of a sum's four streams from and to memory there are three.
"""

import functools
import math
from typing import Any

import numpy as np

from ..jit import inner, kernel, prange, threads_for
from ..tasks import PART, task_kernel
from . import functions
from .arrays import groups_of, in_step
from .simd import drain, lanes, load, store_past_caches
from .spread import quotient, spread

CACHES = 1 << 25
"""Bytes of all arrays beyond which results are written past the caches. At 20 MB this takes as long
or longer, at 39 MB it was 1.2 to 1.3 times as fast, at 157 MB 1.4 to 1.6 times."""


def _traffic(*arrays):
    return 8 * arrays[0].size  # to fetch and to write them takes as long as so many multiply-adds


def arithmetic(name: str, a: Any, b: Any, y: Any) -> None:
    """y = a + b, a - b, a b or a / b, by the name `add`, `sub`, `mul` or `div`"""
    past = _PAST_CACHES.get(name)
    # Over an operand it is written where it was read: the line is there.
    in_place = np.may_share_memory(a, y) or np.may_share_memory(b, y)
    if past is None or in_place or 3 * y.nbytes <= CACHES:
        _WITHIN_CACHES[name](a, b, y)
    else:
        past(threads_for(_traffic(y)), a.reshape(-1), b.reshape(-1), y.reshape(-1))


@kernel(work=_traffic, flat=True)
def add(a, b, y):
    """y = a + b"""
    for i in prange(y.size):
        y[i] = a[i] + b[i]


@kernel(work=_traffic, flat=True)
def sub(a, b, y):
    """y = a - b"""
    for i in prange(y.size):
        y[i] = a[i] - b[i]


@kernel(work=_traffic, flat=True)
def mul(a, b, y):
    """y = a b"""
    for i in prange(y.size):
        y[i] = a[i] * b[i]


@kernel(work=_traffic, flat=True)
def div(a, b, y):
    """y = a / b"""
    for i in prange(y.size):
        y[i] = quotient(a[i], b[i])


@kernel(work=_traffic, flat=True)
def neg(x, y):
    """y = -x"""
    for i in prange(y.size):
        y[i] = -x[i]


@kernel(work=_traffic, flat=True)
def abs(x, y):
    """y = |x|"""
    for i in prange(y.size):
        y[i] = math.fabs(x[i])


@kernel(work=_traffic, flat=True)
def sqrt(x, y):
    """y = the square root of x, NaN below 0"""
    for i in prange(y.size):
        y[i] = math.sqrt(x[i])


@kernel(work=_traffic, flat=True)
def exp(x, y):
    """y = e^x"""
    for i in prange(y.size):
        y[i] = functions.exp(x[i])


@kernel(work=_traffic, flat=True)
def log(x, y):
    """y = ln x"""
    for i in prange(y.size):
        y[i] = functions.log(x[i])


@task_kernel
def add_past_caches(thread, threads, a, b, y):
    """y = a + b"""
    first, start, stop, last = _share(y, thread, threads)
    for i in range(first, start):
        y[i] = a[i] + b[i]
    for i in range(start, stop, lanes(y)):
        store_past_caches(load(a, i) + load(b, i), y, i)
    for i in range(stop, last):
        y[i] = a[i] + b[i]
    drain()


@task_kernel
def sub_past_caches(thread, threads, a, b, y):
    """y = a - b"""
    first, start, stop, last = _share(y, thread, threads)
    for i in range(first, start):
        y[i] = a[i] - b[i]
    for i in range(start, stop, lanes(y)):
        store_past_caches(load(a, i) - load(b, i), y, i)
    for i in range(stop, last):
        y[i] = a[i] - b[i]
    drain()


@task_kernel
def mul_past_caches(thread, threads, a, b, y):
    """y = a b"""
    first, start, stop, last = _share(y, thread, threads)
    for i in range(first, start):
        y[i] = a[i] * b[i]
    for i in range(start, stop, lanes(y)):
        store_past_caches(load(a, i) * load(b, i), y, i)
    for i in range(stop, last):
        y[i] = a[i] * b[i]
    drain()


@inner
def _share(y, thread, threads):
    """Where a thread's elements begin, where its vectors do, and where these and those end.

    Vectors lie at multiples of their size: only there can they be written past the caches.
    """
    lines = (y.size + PART - 1) // PART
    first = min(lines * thread // threads * PART, y.size)
    last = min(lines * (thread + 1) // threads * PART, y.size)
    vector = lanes(y)
    to_vector = -(y.ctypes.data // y.itemsize + first) % vector
    start = min(first + to_vector, last) if y.ctypes.data % y.itemsize == 0 else last
    return first, start, start + (last - start) // vector * vector, last


_WITHIN_CACHES = {"add": add, "sub": sub, "mul": mul, "div": div}
_PAST_CACHES = {"add": add_past_caches, "sub": sub_past_caches, "mul": mul_past_caches}


def copied(x: Any, y: Any) -> bool:
    """Whether kernels can make y = x, and did: x has no gaps, or repeats numbers that have none."""
    if in_step(x, y):
        if 2 * y.nbytes <= CACHES:
            _copy(x, y)
        else:
            copy_past_caches(threads_for(_traffic(y)), x.reshape(-1), y.reshape(-1))
        return True
    alike = x.shape == y.shape and x.dtype == y.dtype and x.dtype.kind == "f"
    if not alike or not y.flags.c_contiguous or np.may_share_memory(x, y):
        return False
    plan = _repeats(x.shape, x.strides, x.itemsize)
    if plan is None:
        return False
    part, *sizes = plan
    spread(x[part].reshape(-1), y.reshape(-1), *sizes, 1.0)
    return True


@functools.cache
def _repeats(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> Any:
    """Where an array has each of its numbers once; then, when like neighbours of its dimensions are
    joined, how often rows are repeated, their length, and how often each of their numbers is.

    None if there is more to say, or if there are gaps.
    """
    again = tuple([d for d, stride in enumerate(strides) if stride == 0])
    groups = groups_of(shape, again)
    step = itemsize
    for n, stride in zip(reversed(shape), reversed(strides)):
        if n > 1 and stride not in (0, step):
            return None
        step *= 1 if stride == 0 else n
    if groups is None:
        return None
    part = tuple([0 if d in again else slice(None) for d in range(len(shape))])
    return (*part, Ellipsis), groups[1], groups[2], groups[3]


@kernel(work=_traffic, flat=True)
def _copy(x, y):
    """y = x"""
    for i in prange(y.size):
        y[i] = x[i]


@task_kernel
def copy_past_caches(thread, threads, x, y):
    """y = x"""
    first, start, stop, last = _share(y, thread, threads)
    for i in range(first, start):
        y[i] = x[i]
    for i in range(start, stop, lanes(y)):
        store_past_caches(load(x, i), y, i)
    for i in range(stop, last):
        y[i] = x[i]
    drain()
