"""Reductions along dimensions, every sum in a fixed order."""

import functools
from typing import Any

import numpy as np

from ..jit import driver, inner, kernel, on_host, prange
from .elementwise import quiet

PIECE = 16384
"""Elements that one task sums."""
COLUMNS = 512
"""Columns summed side by side: their running totals stay in the first-level cache."""


@driver
def sum(x: Any, y: Any, dims: tuple[int, ...], divisor: float) -> None:
    """y = sum of x over dims, divided; of floats the totals are in float64"""
    if x.dtype.kind != "f":
        on_host()
        np.add.reduce(x, axis=dims, dtype=y.dtype, out=y.reshape(_kept(x, dims)))
        return
    groups = _groups(x.shape, dims)
    if groups is None:
        on_host()
        kept = [d for d in range(x.ndim) if d not in dims]
        x = np.ascontiguousarray(x.transpose(*kept, *dims))
        groups = y.size, 1, 1, x.size // max(y.size, 1)
    outer, summed, columns, inner = groups
    if inner == 1 < columns:
        pieces = -(-summed * min(columns, COLUMNS) // PIECE)
        totals = np.empty((outer, pieces, columns))
        x, y = x.reshape(outer, summed, columns), y.reshape(outer, columns)
        _sum_columns(x, totals, y, float(divisor))
    else:
        totals = np.empty((outer, summed, columns, -(-inner // PIECE)))
        _sum_rows(x.reshape(groups), totals, y.reshape(outer, columns), float(divisor))


def _kept(x: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for d, n in enumerate(x.shape) if d not in dims])


@functools.cache
def _groups(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The shape (kept, summed, kept, summed) of x when like neighbours are joined, if it has one.

    What is summed in one stretch comes last.
    """
    groups = [1, 1, 1, 1]
    at = 0
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if (at % 2 == 1) != (d in dims):
            at += 1
        if at == 4:
            return None
        groups[at] *= n
    if groups[2] == groups[3] == 1:
        groups[1], groups[3] = 1, groups[1]
    return groups[0], groups[1], groups[2], groups[3]


@kernel(work=lambda x, totals, y, divisor: x.size)
def _sum_rows(x, totals, y, divisor):
    """y[i,j] = sum_{k,l} x[i,k,j,l] / divisor, by way of the totals of pieces of every row"""
    outer, summed, columns, inner = x.shape
    pieces = totals.shape[3]
    rows, parts = x.reshape(outer * summed * columns, inner), totals.reshape(-1)
    for task in prange(parts.size):
        row = task // pieces
        start = (task - row * pieces) * PIECE
        piece = rows[row][start : min(start + PIECE, inner)]
        total = 0.0
        for i in range(piece.size):
            total += piece[i]
        parts[task] = total
    for i in range(outer):
        for j in range(columns):
            total = 0.0
            for k in range(summed):
                for piece in range(pieces):
                    total += totals[i, k, j, piece]
            y[i, j] = total / divisor


@kernel(work=lambda x, totals, y, divisor: x.size)
def _sum_columns(x, totals, y, divisor):
    """y[i,j] = sum_k x[i,k,j] / divisor, by way of the totals of pieces of every column"""
    outer, summed, columns = x.shape
    pieces, blocks = totals.shape[1], -(-columns // COLUMNS)
    length = -(-summed // max(pieces, 1))
    for task in prange(outer * pieces * blocks):
        i, rest = task // (pieces * blocks), task % (pieces * blocks)
        piece, first = rest // blocks, rest % blocks * COLUMNS
        last = min(first + COLUMNS, columns)
        total = totals[i, piece][first:last]
        add_columns(x[i][piece * length : (piece + 1) * length], first, total)
        if pieces == 1:
            out = y[i][first:last]
            for j in range(out.size):
                out[j] = total[j] / divisor
    if pieces != 1:
        for i in range(outer):
            for j in range(columns):
                total = 0.0
                for piece in range(pieces):
                    total += totals[i, piece, j]
                y[i, j] = total / divisor


@inner
def add_columns(x, first, y):
    """y[j] = sum_k x[k,first+j], of four rows at a time"""
    last, fours = first + y.size, x.shape[0] // 4
    for j in range(y.size):
        y[j] = 0.0
    for k in range(fours):
        a, b = x[4 * k][first:last], x[4 * k + 1][first:last]
        c, d = x[4 * k + 2][first:last], x[4 * k + 3][first:last]
        for j in range(y.size):
            y[j] += (np.float64(a[j]) + b[j]) + (np.float64(c[j]) + d[j])
    for k in range(4 * fours, x.shape[0]):
        a = x[k][first:last]
        for j in range(y.size):
            y[j] += a[j]


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
