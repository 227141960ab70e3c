"""Arithmetic and copies of so many elements that threads share them; all arrays without gaps."""

import functools
from typing import Any

import numpy as np

from ..jit import kernel, prange
from .arrays import groups_of, in_step
from .spread import spread


def _traffic(*arrays):
    return 8 * arrays[0].size  # to fetch and to write them takes as long as so many multiply-adds


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


def copied(x: Any, y: Any) -> bool:
    """Whether kernels can make y = x, and did: x has no gaps, or repeats numbers that have none."""
    if in_step(x, y):
        _copy(x, y)
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
