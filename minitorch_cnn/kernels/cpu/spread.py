"""What repeats elements: expanded tensors copied, gradients of sums and means."""

import numpy as np

from ..jit import exact, inner, kernel, prange
from .simd import filled, lanes, load, load_inside, store, store_first

__all__ = ["spread"]

PIECE = 16384
"""Elements of a task."""


@kernel(work=lambda x, y, repeats, columns, length, divisor: 8 * y.size)
def spread(x, y, repeats, columns, length, divisor):
    """y[i,k,j,l] = x[i,j] / divisor for k < repeats, j < columns, l < length; both in one row"""
    for task in prange((y.size + PIECE - 1) // PIECE):
        first = np.int64(task) * PIECE
        last = min(first + PIECE, y.size)
        if length > 1:
            spread_elements(x, y, first, last, repeats, columns, length, divisor)
        else:
            spread_rows(x, y, first, last, repeats, columns, divisor)


@exact
def quotient(a, b):
    """a / b, to the nearest number: not by way of 1 / b"""
    return a / b


@inner
def spread_elements(x, y, first, last, repeats, columns, length, divisor):
    """spread from element first to last of y: of each of x a stretch of so many"""
    row = first // length
    above = row // columns
    i = above // repeats
    k, j = above - i * repeats, row - above * columns
    stop = (row + 1) * length
    while first < last:
        value = y.dtype.type(quotient(x[i * columns + j], divisor))
        fill(y, first, min(stop, last), value)
        first, stop, j = stop, stop + length, j + 1
        if j == columns:
            j, k = 0, k + 1
            if k == repeats:
                k, i = 0, i + 1


@inner
def fill(y, first, last, value):
    """y[first:last] = value"""
    vector, some, place = lanes(y), filled(y, value), first
    while place + vector <= last:
        store(some, y, place)
        place += vector
    if place < last:
        if first + vector <= last:
            store(some, y, last - vector)
        else:
            store_first(some, y, place, last - place)


@inner
def spread_rows(x, y, first, last, repeats, columns, divisor):
    """spread from element first to last of y: of x rows of so many columns"""
    while first < last:
        row = first // columns
        stop = min((row + 1) * columns, last)
        at = row // repeats * columns + first - row * columns
        copy_divided(x, at, y, first, stop, divisor)
        first = stop


@exact
def copy_divided(x, at, y, first, last, divisor):
    """y[first + j] = x[at + j] / divisor for first + j < last"""
    vector = lanes(y)
    while first + vector <= last:
        some = load(x, at)
        store(some if divisor == 1 else some / divisor, y, first)
        first, at = first + vector, at + vector
    if first < last:
        some = load_inside(x, at, 0, last - first)
        store_first(some if divisor == 1 else some / divisor, y, first, last - first)
