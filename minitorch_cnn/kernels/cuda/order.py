"""Sorting, medians and counts. NaN is larger than any number.

Rows are sorted by merging, from runs of one element on. An element's place in the run that two make
is its place in its own and, found by bisection, that in the other; equal ones keep their order, and
no two threads write one place. A block merges in shared memory what has room there, a launch for
each doubling the rest. All else is looked up in the sorted rows.
"""

import math
from typing import Any

import numpy as np

from .buffer import empty
from .elementwise import run
from .functions import block_sum, thread_index, tile_of
from .geometry import blocks_for, cut_rows
from .index import take_along
from .reduce import argmax
from .registry import (
    BLOCK,
    TILE,
    cuda,
    device_function,
    f32,
    f64,
    i32,
    i64,
    integers,
    of,
    u32,
    variants,
    vector,
)
from .shape import in_order, in_rows, last

TWO_TILES = 2 * TILE


@device_function
def precedes(a, b):
    """Whether a comes before b in order"""
    return a < b or (b != b and a == a)


@device_function
def rank(keys, low, high, value, behind, descending):
    """Where a value belongs in the sorted keys[low:high], before its equals or behind them"""
    while low < high:
        middle = u32(low + u32(u32(high - low) // u32(2)))
        key = keys[middle]
        a, b = (value, key) if descending else (key, value)
        if precedes(a, b) or (behind and not precedes(b, a)):
            low = u32(middle + u32(1))
        else:
            high = middle
    return low


@device_function
def merged(keys, row, q, width, n, descending):
    """Where element q of a row, of n from keys[row] on, comes to stand when sorted runs of a width
    have become ones of twice that"""
    own = u32(q - u32(q & u32(width - u32(1))))
    other = u32(own ^ width)
    low, high = u32(row + min(other, n)), u32(row + min(u32(other + width), n))
    value = keys[u32(row + q)]
    passed = u32(rank(keys, low, high, value, other < own, descending) - low)
    return u32(u32(min(own, other) + u32(q - own)) + passed)


# p: elements, length of a row, of a line, parts of a line, whether it descends.
@variants((f32,), (f64,), (i64,))
def tiles(kind: Any) -> tuple[Any, ...]:
    """keys = x, the part of each row that is in a tile sorted; places = where in the row it was"""

    def sort_tiles(x, keys, places, p):
        values = cuda.shared.array(TWO_TILES, kind)
        spots = cuda.shared.array(TWO_TILES, i32)
        start, into, count = tile_of(p[0], p[2], p[3])
        n, t = u32(p[1]), u32(cuda.threadIdx.x)
        k = t
        while k < count:
            values[k] = x[u32(start + k)]
            spots[k] = i32(u32(into + u32(k % n)))
            k = u32(k + u32(BLOCK))
        here, there, width = u32(0), u32(TILE), u32(1)
        while width < min(n, u32(TILE)):
            cuda.syncthreads()
            k = t
            while k < count:
                q = u32(k % n)
                row = u32(k - q)
                length = min(n, u32(count - row))
                source = u32(here + row)
                to = merged(values, source, q, width, length, p[4] != 0)
                to = u32(u32(there + row) + to)
                values[to] = values[u32(here + k)]
                spots[to] = spots[u32(here + k)]
                k = u32(k + u32(BLOCK))
            here, there = there, here
            width = u32(width * u32(2))
        cuda.syncthreads()
        k = t
        while k < count:
            keys[u32(start + k)] = values[u32(here + k)]
            places[u32(start + k)] = spots[u32(here + k)]
            k = u32(k + u32(BLOCK))

    return sort_tiles, (vector(kind), vector(kind), vector(i32), integers(5))


@variants((f32,), (f64,), (i64,))
def merging(kind: Any) -> tuple[Any, ...]:
    """Sorted runs become ones of twice their width; p: elements, length of a row, width, whether it
    descends"""

    def merge_runs(x, spots, keys, places, p):
        e = thread_index()
        if e < u32(p[0]):
            q = u32(e % u32(p[1]))
            row = u32(e - q)
            to = u32(row + merged(x, row, q, u32(p[2]), u32(p[1]), p[3] != 0))
            keys[to] = x[e]
            places[to] = spots[e]

    arrays = vector(kind), vector(i32), vector(kind), vector(i32)
    return merge_runs, (*arrays, integers(4))


def ordered(x: Any, descending: bool = False) -> tuple[Any, Any]:
    """The rows of a matrix sorted, and where in its row each element stood, as int32."""
    rows, n = x.shape
    cut = cut_rows(rows, n, TILE)
    found = [(empty(x.shape, x.dtype), empty(x.shape, np.dtype(np.int32))) for _ in "ab"]
    p = (x.size, n, cut.line, cut.parts, int(descending))
    tiles(of(x.dtype))(cut.blocks, x, *found[0], p)
    width = TILE
    while width < n:
        sizes = (x.size, n, width, int(descending))
        merging(of(x.dtype))(blocks_for(x.size, BLOCK), *found[0], *found[1], sizes)
        found.reverse()
        width *= 2
    return found[0]


def argsort(x: Any, y: Any, dim: int, descending: bool) -> None:
    """y = the places of x's elements in order, equal ones as they stood"""
    argtopk(x, y, x.shape[dim], dim, descending)


def argtopk(x: Any, y: Any, k: int, dim: int, largest: bool) -> None:
    """y = the places of the k largest or smallest of x, in order"""
    _slice(ordered(in_rows(x, dim), largest)[1], y, 0, dim)


def argkth(x: Any, y: Any, k: int, dim: int) -> None:
    """y = the place of the k-th smallest of x, counted from 0"""
    _slice(ordered(in_rows(x, dim))[1], y, k, dim)


def _slice(found: Any, y: Any, start: int, dim: int) -> None:
    """y = found from a column on, of which it has as many as y's dimension is long"""
    y = last(y, dim)
    run("copy", found[:, start : start + y.shape[-1]].reshape(y.shape), y)


@variants(("places", f32), ("places", f64), ("places", i64), ("values", f32), ("values", i64))
def medians(what: str, kind: Any) -> tuple[Any, ...]:
    """y[row] = what stands where the lower median is in sorted keys

    p: rows, their length, whether NaN are no elements; else the first of them is the median.
    """
    floating = kind in (f32, f64)
    nan = math.nan if floating else 0

    def body(keys, source, y, p):
        r = thread_index()
        if r < u32(p[0]):
            n = u32(p[1])
            start = u32(r * n)
            numbers = n
            if floating:
                numbers = u32(rank(keys, start, u32(start + n), kind(nan), False, False) - start)
            at = u32(max(u32(numbers), u32(1)) - u32(1)) // u32(2)
            if numbers < n and p[2] == 0:
                at = numbers
            y[r] = source[u32(start + u32(at))]

    body.__name__ = f"median_{what}"
    kinds = (i32, i64) if what == "places" else (kind, kind)
    return body, (vector(kind), *map(vector, kinds), integers(3))


def _median(what: str, x: Any, y: Any, ignore_nan: bool) -> None:
    keys, places = ordered(x)
    source = places if what == "places" else keys
    p = (*x.shape, int(ignore_nan))
    medians(what, of(x.dtype))(blocks_for(len(x), BLOCK), keys, source, y, p)


def argmedian(x: Any, y: Any, dim: int) -> None:
    """y = the place of the lower median of x, of the first NaN if there is one"""
    _median("places", in_rows(x, dim), y, False)


def argnanmedian(x: Any, y: Any, dim: int) -> None:
    """y = the place of the lower median of what is not NaN in x"""
    _median("places", in_rows(x, dim), y, True)


def median(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the lower median of all of x, NaN if any is"""
    _median("values", x.reshape(1, x.size), y, False)


def nanmedian(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the lower median of what is not NaN in x"""
    _median("values", x.reshape(1, x.size), y, True)


@variants((f32,), (f64,), (i64,))
def repeats(kind: Any) -> tuple[Any, ...]:
    """y[e] = how many equal elements stand before e in its sorted row; p: elements, their number in
    a row"""

    def repeats(keys, y, p):
        e = thread_index()
        if e < u32(p[0]):
            value = keys[e]
            row = u32(e - u32(e % u32(p[1])))
            first = rank(keys, row, e, value, False, False)
            y[e] = i32(u32(e - first)) if value == value else i32(0)

    return repeats, (vector(kind), vector(i32), integers(2))


def argmode(x: Any, y: Any, dim: int) -> None:
    """y = the last place of the most frequent of x, of several the smallest"""
    x = in_rows(x, dim)
    keys, places = ordered(x)
    before, found = empty(x.shape, places.dtype), empty((len(x), 1), places.dtype)
    repeats(of(x.dtype))(blocks_for(x.size, BLOCK), keys, before, (x.size, x.shape[1]))
    ends = empty((len(x), 1), y.dtype)
    argmax(before, ends, 1)  # of the first of the longest runs
    take_along(places, ends, found, 1)
    _slice(found, y, 0, dim)


@variants((f32,), (f64,), (i64,))
def searching(kind: Any) -> tuple[Any, ...]:
    """y = where values belong in sorted rows; p: values, length of a row, values of a row, whether
    behind their equals"""

    def searchsorted(rows, values, y, p):
        e = thread_index()
        if e < u32(p[0]):
            start = u32(u32(e // u32(p[2])) * u32(p[1]))
            stop = u32(start + u32(p[1]))
            y[e] = u32(rank(rows, start, stop, values[e], p[3] != 0, False) - start)

    return searchsorted, (vector(kind), vector(kind), vector(i64), integers(4))


def searchsorted(rows: Any, values: Any, y: Any, right: bool) -> None:
    """y = how many elements of a sorted row are less than a value or, from the right, not more"""
    if not y.size:
        return
    each = values.size if rows.ndim == 1 else values.shape[-1]
    p = (values.size, rows.shape[-1], each, int(right))
    rows, values = in_order(rows, rows.shape), in_order(values, values.shape)
    searching(of(rows.dtype))(blocks_for(y.size, BLOCK), rows, values, y, p)


@variants(())
def counts() -> tuple[Any, ...]:
    """y[i] = how many of n sorted keys are i"""

    def bincount(keys, y, n, size):
        i = thread_index()
        if i < u32(size):
            first = rank(keys, u32(0), u32(n), i64(i), False, False)
            y[i] = u32(rank(keys, first, u32(n), i64(i), True, False) - first)

    return bincount, (vector(i64), vector(i64), i32, i32)


@variants((f32,), (f64,))
def weights_of(kind: Any) -> tuple[Any, ...]:
    """y[i] = the sum of the weights of those of n sorted keys that are i, a block for each"""

    def bincount_weighted(keys, places, weights, y, n):
        shared = cuda.shared.array(BLOCK, kind)
        i, t = i64(cuda.blockIdx.x), u32(cuda.threadIdx.x)
        k = u32(rank(keys, u32(0), u32(n), i, False, False) + t)
        stop = rank(keys, u32(0), u32(n), i, True, False)
        total = kind(0)
        while k < stop:
            total += weights[places[k]]
            k = u32(k + u32(BLOCK))
        total = block_sum(shared, total)
        if t == u32(0):
            y[u32(i)] = total

    arrays = vector(i64), vector(i32), vector(kind), vector(kind)
    return bincount_weighted, (*arrays, i32)


def bincount(x: Any, weights: Any, y: Any) -> None:
    """y[i] = how many of x are i, or the sum of their weights, in a fixed order"""
    keys, places = ordered(in_order(x, x.shape, np.dtype(np.int64)).reshape(1, x.size))
    if y.dtype.kind == "i":
        counts()(blocks_for(y.size, BLOCK), keys, y, x.size, y.size)
    else:
        weights = in_order(weights, weights.shape, y.dtype)
        weights_of(of(y.dtype))(y.size, keys, places, weights, y, x.size)


@variants((f32,), (f64,))
def parts(kind: Any) -> tuple[Any, ...]:
    """y[e] = in which of equal parts of [low, high] x[e] lies, or -1"""

    def histc(x, y, size, bins, low, high, length):
        e = thread_index()
        if e < u32(size):
            value, part = x[e], i32(-1)
            if value >= low and value <= high:
                part = min(i32((value - low) * kind(bins) / length), i32(bins - i32(1)))
            y[e] = part

    return histc, (vector(kind), vector(i64), i32, i32, kind, kind, kind)


def histc(x: Any, y: Any, low: float, high: float) -> None:
    """y[i] = how many of x lie in the i-th of equal parts of [low, high]"""
    found = empty((1, x.size), np.dtype(np.int64))
    ends = low, high, high - low
    parts(of(x.dtype))(blocks_for(x.size, BLOCK), x, found, x.size, y.size, *ends)
    numbers = empty(y.shape, found.dtype)
    bincount(found.reshape(x.size), None, numbers)
    run("copy", numbers, y)
