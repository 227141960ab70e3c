"""Reductions along dimensions, every sum in a fixed order."""

import functools
from typing import Any

import numpy as np

from ..jit import driver, inner, kernel, on_host, prange
from .arrays import groups_of
from .elementwise import quiet

PIECE = 16384
"""Elements that one task sums."""
COLUMNS = 512
"""Columns summed side by side: their running totals stay in the first-level cache."""
TASKS = 8
"""So many occupy all threads of most machines: then columns are not cut into pieces."""


@driver
def sum(x: Any, y: Any, dims: tuple[int, ...], divisor: float) -> None:
    """y = sum of x over dims, divided; of floats the totals are in float64"""
    if x.dtype.kind != "f":
        on_host()
        np.add.reduce(x, axis=dims, dtype=y.dtype, out=y.reshape(_kept(x, dims)))
        return
    plan = _plan(x.shape, dims)
    if plan is None:
        on_host()
        kept = [d for d in range(x.ndim) if d not in dims]
        x = np.ascontiguousarray(x.transpose(*kept, *dims))
        plan = _rows(y.size, 1, 1, x.size // max(y.size, 1))
    summing, shape, totals, outputs = plan
    summing(x.reshape(shape), np.empty(totals), y.reshape(outputs), float(divisor))


Plan = tuple[Any, tuple[int, ...], tuple[int, ...], tuple[int, int]]
"""A kernel, and the shapes in which it sees x, its totals and y."""


@functools.cache
def _plan(shape: tuple[int, ...], dims: tuple[int, ...]) -> Plan | None:
    groups = groups_of(shape, dims)
    if groups is None:
        return None
    outer, summed, columns, inner = groups
    if inner != 1 or columns == 1:
        return _rows(*groups)
    pieces = -(-summed * min(columns, COLUMNS) // PIECE)
    if outer * -(-columns // COLUMNS) >= TASKS:
        pieces = min(pieces, 1)
    return _sum_columns, (outer, summed, columns), (outer, pieces, columns), (outer, columns)


def _rows(outer: int, summed: int, columns: int, inner: int) -> Plan:
    shape = (outer, summed, columns, inner)
    return _sum_rows, shape, (outer, summed, columns, -(-inner // PIECE)), (outer, columns)


def _kept(x: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for d, n in enumerate(x.shape) if d not in dims])


@kernel(work=lambda x, totals, y, divisor: 2 * x.size)
def _sum_rows(x, totals, y, divisor):
    """y[i,j] = sum_{k,l} x[i,k,j,l] / divisor, by way of the totals of pieces of every row"""
    outer, summed, columns, inner = x.shape
    pieces = totals.shape[3]
    rows, parts = x.reshape(outer * summed * columns, inner), totals.reshape(-1)
    every = y.reshape(-1)
    if pieces == 1:
        some = max(PIECE // inner, 1)
        for task in prange((rows.shape[0] + some - 1) // some):
            first = np.int64(task) * some
            row_totals(rows, first, min(first + some, rows.shape[0]), parts)
            if summed == 1:
                divide(parts, divisor, first, min(first + some, rows.shape[0]), every)
    else:
        for task in prange(parts.size):
            row = np.int64(task) // pieces
            parts[task] = piece_total(rows, row, (np.int64(task) - row * pieces) * PIECE)
    if parts.size == 0:
        for i in range(every.size):
            every[i] = 0.0 / divisor
    elif pieces != 1 or summed != 1:
        for i in range(outer):
            join(totals[i], y[i], divisor)


@inner
def row_totals(rows, first, last, totals):
    """totals[r] = the sum of row r for first <= r < last; of four rows at a time, so that short
    ones do not wait for each other"""
    fours = (last - first) // 4
    for k in range(fours):
        r = first + 4 * k
        a, b, c, d = rows[r], rows[r + 1], rows[r + 2], rows[r + 3]
        total_a, total_b, total_c, total_d = 0.0, 0.0, 0.0, 0.0
        for i in range(a.size):
            total_a += a[i]
            total_b += b[i]
            total_c += c[i]
            total_d += d[i]
        totals[r], totals[r + 1], totals[r + 2], totals[r + 3] = total_a, total_b, total_c, total_d
    for r in range(first + 4 * fours, last):
        row, total = rows[r], 0.0
        for i in range(row.size):
            total += row[i]
        totals[r] = total


@inner
def piece_total(rows, row, start):
    """The sum of a piece of a row"""
    piece, total = rows[row][start : start + PIECE], 0.0
    for i in range(piece.size):
        total += piece[i]
    return total


@inner
def divide(totals, divisor, first, last, y):
    """y[r] = totals[r] / divisor for first <= r < last"""
    some, out = totals[first:last], y[first:last]
    for r in range(out.size):
        out[r] = some[r] / divisor


@inner
def join(totals, y, divisor):
    """y[j] = sum_{k,piece} totals[k,j,piece] / divisor; of the totals the first are overwritten"""
    summed, columns, pieces = totals.shape
    for j in range(columns):
        total = 0.0
        for piece in range(pieces):
            total += totals[0, j, piece]
        totals[0, j, 0] = total
    for k in range(1, summed):
        for j in range(columns):
            total = 0.0
            for piece in range(pieces):
                total += totals[k, j, piece]
            totals[0, j, 0] += total
    for j in range(columns):
        y[j] = totals[0, j, 0] / divisor


@kernel(work=lambda x, totals, y, divisor: 2 * x.size)
def _sum_columns(x, totals, y, divisor):
    """y[i,j] = sum_k x[i,k,j] / divisor, by way of the totals of pieces of every column"""
    outer, summed, columns = x.shape
    pieces, blocks = totals.shape[1], (columns + COLUMNS - 1) // COLUMNS
    length = (summed + pieces - 1) // max(pieces, 1)
    for task in prange(outer * pieces * blocks):
        i, rest = divmod(np.int64(task), pieces * blocks)
        piece, block = divmod(rest, blocks)
        column_totals(x, i, piece * length, length, block * COLUMNS, totals[i, piece])
        if pieces == 1:
            last = min((block + 1) * COLUMNS, columns)
            divide(totals[i, 0], divisor, block * COLUMNS, last, y[i])
    if pieces != 1:
        for i in range(outer):
            join_columns(totals[i], y[i], divisor)


@inner
def join_columns(totals, y, divisor):
    """y[j] = sum_piece totals[piece,j] / divisor; of the totals the first are overwritten"""
    if totals.shape[0] == 0:
        for j in range(y.size):
            y[j] = 0.0 / divisor
        return
    sums = totals[0]
    for piece in range(1, totals.shape[0]):
        some = totals[piece]
        for j in range(sums.size):
            sums[j] += some[j]
    divide(sums, divisor, 0, sums.size, y)


@inner
def column_totals(x, i, start, length, first, totals):
    """totals[j] = sum_k x[i,k,j] over start <= k < start + length, of COLUMNS from the first on; of
    four rows at a time"""
    rows, last = x[i][start : start + length], min(first + COLUMNS, x.shape[2])
    y, fours = totals[first:last], rows.shape[0] // 4
    for j in range(y.size):
        y[j] = 0.0
    for k in range(fours):
        a, b = rows[4 * k][first:last], rows[4 * k + 1][first:last]
        c, d = rows[4 * k + 2][first:last], rows[4 * k + 3][first:last]
        for j in range(y.size):
            y[j] += (np.float64(a[j]) + b[j]) + (np.float64(c[j]) + d[j])
    for k in range(4 * fours, rows.shape[0]):
        a = rows[k][first:last]
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
