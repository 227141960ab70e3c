"""Reductions along dimensions, every sum in a fixed order."""

import functools
from typing import Any

import numpy as np

from ..jit import driver, exact, inner, kernel, on_host, threads_for
from ..tasks import task_kernel
from ..workspace import shaped_workspace
from .arrays import groups_of
from .elementwise import quiet
from .processor import VECTOR_BYTES
from .simd import (
    add_to,
    lanes,
    load,
    load_inside,
    store,
    store_first,
    sum_of_lanes,
    sums_of_rows,
    zeros,
)
from .spread import quotient, spread

PIECE = 16384
"""Elements that one task sums."""
PIECES = 32
"""Of a long row there are no more."""
STRETCH = 128
"""Vectors that are summed in the elements' type: of rows of more, totals are added up."""
SHORT = 16
"""Vectors of a row that is short."""
COLUMNS = 1024
"""Columns summed side by side: their sums stay in the first-level cache."""
FEW = 8
"""Rows of them that are added up in registers."""
MANY = 256
"""Rows that are in the elements' type."""
LARGE = 1 << 16
"""Elements of columns so long that, where there are few, they are cut into pieces."""
FOUR = 4
"""Of tasks there is a multiple, so that two threads or four have as many each."""
TASKS = 8
"""So many occupy all threads of most machines: then columns are not cut into pieces."""


@driver
def sum(x: Any, y: Any, dims: tuple[int, ...], divisor: float) -> None:
    """y = sum of x over dims, divided

    Of floats, sums of stretches are in the elements' type, the totals of these in float64. On its
    way an element is rounded less than 48 times, so the error is below 24 ulp of sum |x|, and most
    often a small part of that. A stretch whose sum is too large for the type gives infinity, as in
    PyTorch, even where what follows would have brought it back.
    """
    if x.dtype.kind != "f":
        on_host()
        np.add.reduce(x, axis=dims, dtype=y.dtype, out=y.reshape(_kept(x, dims)))
        return
    vector = VECTOR_BYTES // x.itemsize
    plan = _plan(x.shape, dims, vector)
    if plan is None:
        on_host()
        kept = [d for d in range(x.ndim) if d not in dims]
        x = np.ascontiguousarray(x.transpose(*kept, *dims))
        plan = _rows(y.size, 1, 1, x.size // max(y.size, 1), vector)
    summing, shape, sizes = plan
    x, y, threads = x.reshape(-1), y.reshape(-1), threads_for(x.size)
    if sizes is None:
        summing(threads, x, y, float(divisor))
        return
    totals = shaped_workspace("totals", shape, np.dtype(float))
    summing(threads, x, y, totals, sizes, float(divisor))
    if totals.size:
        _join(totals, y, float(divisor))


Plan = tuple[Any, tuple[int, ...], Any]
"""A kernel; if it sums by way of totals, their shape and the sizes that it takes of x."""


@functools.cache
def _plan(shape: tuple[int, ...], dims: tuple[int, ...], vector: int) -> Plan | None:
    groups = groups_of(shape, dims)
    if groups is None:
        return None
    outer, summed, columns, size = groups
    if size != 1 or columns == 1 or 0 in groups:
        return _rows(*groups, vector)
    blocks = _shared(-(-columns // COLUMNS))
    pieces = -(-summed * min(columns, COLUMNS) // LARGE)
    if outer * blocks >= TASKS:
        pieces = 1
    width = -(-columns // (16 * blocks)) * 16  # whole vectors
    totals = (outer if pieces > 1 else 0, pieces, columns)
    summing = _sum_short_columns if pieces == 1 and summed <= MANY else _sum_columns
    return summing, totals, np.array((outer, summed, columns, pieces, width))


def _rows(outer: int, summed: int, columns: int, size: int, vector: int) -> Plan:
    if 0 in (summed, columns, size) or (summed == 1 and size <= PIECE):
        return _sum_rows, (0,), None
    if size > STRETCH * vector:
        pieces = _shared(min(-(-size // PIECE), PIECES))
        return _sum_long_rows, (outer, summed * pieces, columns), np.array((size, pieces))
    runs = _shared(-(-summed // max(PIECE // max(columns * size, 1), 1)))
    run = -(-summed // runs)
    if run == 1 and size > SHORT * vector:
        return _sum_each, (outer, summed, columns), np.array((summed, size))
    return _sum_runs, (outer, -(-summed // run), columns), np.array((summed, size, run))


def _shared(tasks: int) -> int:
    """So many tasks or, if it is more than one, somewhat more."""
    return tasks if tasks <= 1 else tasks + -tasks % FOUR


def _kept(x: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for d, n in enumerate(x.shape) if d not in dims])


@task_kernel
def _sum_rows(thread, threads, x, y, divisor):
    """y[r] = sum_l x[r,l] / divisor"""
    size, vector = x.size // max(y.size, 1), lanes(x)
    groups = (y.size + vector - 1) // vector
    row = groups * thread // threads * vector
    last = min(groups * (thread + 1) // threads * vector, y.size)
    if size <= SHORT * vector:
        while row + vector <= last:
            store(quotient(sums_of_rows(x, row * size, size), divisor), y, row)
            row += vector
    if size > STRETCH * vector:
        while row < last:
            y[row] = quotient(total_of_long(x, row * size, size), divisor)
            row += 1
    half = (last - row + 1) // 2
    for low in range(row, row + half):
        high = low + half if low + half < last else low
        one, other = totals_of_two(x, low * size, high * size, size)
        y[low], y[high] = quotient(one, divisor), quotient(other, divisor)


@task_kernel
def _sum_long_rows(thread, threads, x, y, totals, sizes, divisor):
    """totals[i,(k,p),j] = sum_l x[i,k,j,l] over piece p of the row"""
    size, pieces, columns = sizes[0], sizes[1], totals.shape[2]
    vectors, above = size // lanes(x), totals.shape[1] // pieces
    length = (vectors // pieces + 1) * lanes(x)
    for part in range(totals.size * thread // threads, totals.size * (thread + 1) // threads):
        row, piece = divmod(part, pieces)
        rest, j = divmod(row, columns)
        i, k = divmod(rest, above)
        start = min(piece * length, size)
        total = total_of_long(x, row * size + start, min(size - start, length))
        totals[i, k * pieces + piece, j] = total


@inner
def total_of_long(x, at, size):
    """sum_l x[at + l] over l < size, both halves of it at once"""
    vector = lanes(x)
    half, stretch = size // (2 * vector) * vector, STRETCH * vector
    total, _ = totals_of_two(x, at + 2 * half, at + 2 * half, size - 2 * half)
    for k in range(0, half, stretch):
        one, other = totals_of_two(x, at + k, at + half + k, min(half - k, stretch))
        total += one + other
    return total


@task_kernel
def _sum_each(thread, threads, x, y, totals, sizes, divisor):
    """totals[i,k,j] = sum_l x[i,k,j,l]"""
    size, sums = sizes[1], totals.ravel()
    row, last = sums.size * thread // threads, sums.size * (thread + 1) // threads
    half = (last - row + 1) // 2
    for low in range(row, row + half):
        high = low + half if low + half < last else low
        sums[low], sums[high] = totals_of_two(x, low * size, high * size, size)


@task_kernel
def _sum_runs(thread, threads, x, y, totals, sizes, divisor):
    """totals[i,r,j] = sum_{k,l} x[i,k,j,l] over the rows k of run r"""
    runs, columns = totals.shape[1:]
    summed, size, run = sizes[0], sizes[1], sizes[2]
    some = max(PIECE // (run * size) // lanes(x), 1) * lanes(x)
    blocks = (columns + some - 1) // some
    tasks = totals.shape[0] * runs * blocks
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        above, block = divmod(task, blocks)
        i, r = divmod(above, runs)
        first, last, sums = block * some, min((block + 1) * some, columns), totals[i, r]
        for j in range(first, last):
            sums[j] = 0.0
        for k in range(r * run, min((r + 1) * run, summed)):
            at = ((i * summed + k) * columns + first) * size
            add_rows(x, at, size, sums, first, last)


@inner
def add_rows(x, at, size, sums, first, last):
    """sums[first + r] += sum_l x[at + r size + l] over l < size, for first + r < last"""
    vector, j = lanes(x), first
    if size <= SHORT * vector:
        while j + vector <= last:
            add_to(sums_of_rows(x, at, size), sums, j)
            at, j = at + vector * size, j + vector
    half = (last - j + 1) // 2
    for low in range(j, j + half):
        high = low + half if low + half < last else low
        one, other = totals_of_two(x, at, at + (high - low) * size, size)
        sums[low] += one
        if high > low:
            sums[high] += other
        at += size


@exact
def totals_of_two(x, low, high, size):
    """sum_l x[low + l] and sum_l x[high + l] over l < size, which is at most a stretch

    Two rows at once, far apart and each read from its beginning to its end: so the processor
    fetches ahead most.
    """
    vector, last = lanes(x), low + size
    count = size // vector
    fours = count // 4 * 4
    a, b = sums_of_two(x, low, high, fours)
    low, high = low + fours * vector, high + fours * vector
    for _ in range(fours, count):
        a, b = a + load(x, low), b + load(x, high)
        low, high = low + vector, high + vector
    if low < last:
        a = a + load_inside(x, low, 0, last - low)
        b = b + load_inside(x, high, 0, last - low)
    return sum_of_lanes(a), sum_of_lanes(b)


@exact
def sums_of_two(x, low, high, count):
    """The sums of the vectors from x[low] on and from x[high] on, so many; it is a multiple of 4"""
    vector = lanes(x)
    a, b, c, d = zeros(x), zeros(x), zeros(x), zeros(x)
    e, f, g, h = zeros(x), zeros(x), zeros(x), zeros(x)
    for k in range(0, count * vector, 4 * vector):
        a, e = a + load(x, low + k), e + load(x, high + k)
        b, f = b + load(x, low + k + vector), f + load(x, high + k + vector)
        c, g = c + load(x, low + k + 2 * vector), g + load(x, high + k + 2 * vector)
        d, h = d + load(x, low + k + 3 * vector), h + load(x, high + k + 3 * vector)
    return (a + b) + (c + d), (e + f) + (g + h)


@task_kernel
def _sum_short_columns(thread, threads, x, y, totals, sizes, divisor):
    """y[i,j] = sum_k x[i,k,j] / divisor over at most `MANY` rows"""
    outer, rows, columns, wide = sizes[0], sizes[1], sizes[2], sizes[4]
    blocks = (columns + wide - 1) // wide
    tasks = outer * blocks
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        i, block = divmod(task, blocks)
        first = block * wide
        width, place = min(wide, columns - first), i * columns + first
        sum_rows(x, i * rows * columns + first, rows, columns, width, y, place)
        if divisor != 1:
            divide(y[place : place + width], divisor, y[place : place + width])


@task_kernel
def _sum_columns(thread, threads, x, y, totals, sizes, divisor):
    """totals[i,p,j] = sum_k x[i,k,j] over piece p of the column; of a whole one, divided, it is
    y[i,j]"""
    outer, summed, columns, pieces, wide = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    blocks = (columns + wide - 1) // wide
    length = (summed + pieces - 1) // pieces
    tasks = outer * pieces * blocks
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        i, rest = divmod(task, pieces * blocks)
        piece, block = divmod(rest, blocks)
        start, first = min(piece * length, summed), block * wide
        at, rows = (i * summed + start) * columns + first, min(length, summed - start)
        width = min(wide, columns - first)
        some, sums = np.empty(COLUMNS, x.dtype), np.zeros(COLUMNS)
        begin = np.int64(0)  # a mere 0 has a type of its own, for which all is compiled once more
        for k in range(0, rows, MANY):
            sum_rows(x, at + k * columns, min(MANY, rows - k), columns, width, some, begin)
            for j in range(width):
                sums[j] += some[j]
        if pieces == 1:
            divide(sums[:width], divisor, y[i * columns + first :])
        else:
            divide(sums[:width], 1.0, totals[i, piece, first:])


@inner
def sum_rows(x, at, rows, step, width, y, j):
    """y[j + l] = sum_k x[at + k step + l] over k < rows <= MANY, for l < width"""
    first = rows % FEW
    add_few(x, at, first, step, width, y, j, True)
    for k in range(first, rows, FEW):
        add_few(x, at + k * step, FEW, step, width, y, j, k == 0)


@exact
def add_few(x, at, rows, step, width, y, j, fresh):
    """y[j + l] = sum_k x[at + k step + l] over k < rows, for l < width; added to it unless fresh"""
    vector = lanes(x)
    whole = width - width % vector
    for place in range(0, whole, vector):
        sums = zeros(x)
        for k in range(rows):
            sums = sums + load(x, at + place + k * step)
        store(sums if fresh else load(y, j + place) + sums, y, j + place)
    if whole < width:
        count, sums = width - whole, zeros(x)
        for k in range(rows):
            sums = sums + load_inside(x, at + whole + k * step, 0, count)
        if not fresh:
            sums = load_inside(y, j + whole, 0, count) + sums
        store_first(sums, y, j + whole, count)


@inner
def divide(totals, divisor, y):
    """y[j] = totals[j] / divisor"""
    out = y[: totals.size]
    for j in range(totals.size):
        out[j] = totals[j] / divisor


@kernel()
def _join(totals, y, divisor):
    """y[i,j] = sum_p totals[i,p,j] / divisor; of the totals the first are overwritten"""
    columns = totals.shape[2]
    for i in range(totals.shape[0]):
        sums = totals[i, 0]
        for part in range(1, totals.shape[1]):
            some = totals[i, part]
            for j in range(columns):
                sums[j] += some[j]
        divide(sums, divisor, y[i * columns :])


@driver
def sum_grad(gy: Any, gx: Any, dims: tuple[int, ...], divisor: float) -> None:
    """gx = gy / divisor at every place along dims"""
    groups = groups_of(gx.shape, dims)
    if groups is None:
        on_host()
        shape = tuple([1 if d in dims else n for d, n in enumerate(gx.shape)])
        np.divide(gy.reshape(shape), divisor, out=gx)
    else:
        _, repeats, columns, length = groups
        if divisor != 1 and length == 1 and repeats > 1:  # rows are divided once
            given, gy = gy, shaped_workspace("quotients", gy.shape, gy.dtype)
            spread(given.reshape(-1), gy.reshape(-1), 1, gy.size, 1, float(divisor))
            divisor = 1
        spread(gy.reshape(-1), gx.reshape(-1), repeats, columns, length, float(divisor))


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
