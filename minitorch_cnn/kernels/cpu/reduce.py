"""Reductions along dimensions, every sum in a fixed order."""

from typing import Any

import numpy as np

from ..jit import kernel, prange
from .elementwise import quiet

# Columns summed side by side: their running totals stay in the first-level cache.
BLOCK = 256


def sum(x: Any, y: Any, dims: tuple[int, ...], divisor: float) -> None:
    """y = sum of x over dims, divided"""
    if x.dtype.kind != "f":
        np.add.reduce(x, axis=dims, dtype=y.dtype, out=y.reshape(_kept(x, dims)))
        return
    groups = _groups(x, dims)
    if groups is None:
        kept = [d for d in range(x.ndim) if d not in dims]
        x = np.ascontiguousarray(x.transpose(*kept, *dims))
        groups = (y.size, 1, 1, x.size // max(y.size, 1))
    _sum(x.reshape(groups), y.reshape(groups[0], groups[2]), divisor)


def _kept(x: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for d, n in enumerate(x.shape) if d not in dims])


def _groups(x: Any, dims: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The shape (kept, summed, kept, summed) that x has when like neighbours are joined, if any."""
    groups = [1, 1, 1, 1]
    at = 0
    for d, n in enumerate(x.shape):
        if n == 1:
            continue
        if (at % 2 == 1) != (d in dims):
            at += 1
        if at == 4:
            return None
        groups[at] *= n
    return groups[0], groups[1], groups[2], groups[3]


@kernel(work=lambda x, y, divisor: x.size)
def _sum(x, y, divisor):
    """y[i,j] = sum_{k,l} x[i,k,j,l] / divisor, the totals in float64"""
    kept, summed, columns, inner = x.shape
    blocks = (columns + BLOCK - 1) // BLOCK
    for task in prange(kept * blocks):
        i = task // blocks
        first = (task - i * blocks) * BLOCK
        last = min(first + BLOCK, columns)
        totals = np.zeros(last - first)
        # totals[j] = sum_{k,l} x[i, k, first + j, l]
        for k in range(summed):
            if inner == 1:
                row = x[i, k, first:last, 0]
                for j in range(row.size):
                    totals[j] += row[j]
            else:
                for j in range(last - first):
                    row = x[i, k, first + j]
                    total = 0.0
                    for m in range(inner):
                        total += row[m]
                    totals[j] += total
        out = y[i, first:last]
        for j in range(out.size):
            out[j] = totals[j] / divisor


def amax(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the largest of x over dims"""
    np.maximum.reduce(x, axis=dims, out=y.reshape(_kept(x, dims)))


def amin(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the smallest of x over dims"""
    np.minimum.reduce(x, axis=dims, out=y.reshape(_kept(x, dims)))


def argmax(x: Any, y: Any, dim: int) -> None:
    """y = the index of the first largest of x along a dimension"""
    np.argmax(x, axis=dim, out=y)


def argmin(x: Any, y: Any, dim: int) -> None:
    """y = the index of the first smallest of x along a dimension"""
    np.argmin(x, axis=dim, out=y)


def any(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = whether some of x over dims is not zero"""
    np.logical_or.reduce(x, axis=dims, out=y.reshape(_kept(x, dims)))


def all(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = whether none of x over dims is zero"""
    np.logical_and.reduce(x, axis=dims, out=y.reshape(_kept(x, dims)))


def logsumexp(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = log sum exp(x) over dims, the largest taken out first"""
    quiet.run(_logsumexp, x, y.reshape(_kept(x, dims)), dims)


def _logsumexp(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    largest = np.asarray(np.max(x, axis=dims, keepdims=True, initial=-np.inf))
    largest[~np.isfinite(largest)] = 0
    np.log(np.exp(x - largest).sum(axis=dims), out=y)
    y += largest.reshape(y.shape)


def norm(x: Any, y: Any, dims: tuple[int, ...], p: float) -> None:
    """y = (sum |x|^p over dims)^(1/p); the largest |x| for infinity, the count of x != 0 for 0"""
    quiet.run(_norm, x, y.reshape(_kept(x, dims)), dims, p)


def _norm(x: Any, y: Any, dims: tuple[int, ...], p: float) -> None:
    size = np.abs(x)
    if p == np.inf:
        np.maximum.reduce(size, axis=dims, out=y, initial=0)
    elif p == -np.inf:
        np.minimum.reduce(size, axis=dims, out=y)
    elif p == 0:
        np.copyto(y, np.count_nonzero(size, axis=dims))
    else:
        total = np.add.reduce(size.astype(np.float64) ** p, axis=dims)
        np.copyto(y, total ** (1 / p), casting="unsafe")
