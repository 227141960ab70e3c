"""Lines along an axis, in blocks of which a task owns one: rows of x[rows,n], whose elements lie
one after another, and columns of x[outer,n,size], which lie beside one another.

Vectors lie along rows and across columns. Sums are in float64: a line may be long, and its
exponentials of very different size.
"""

import numpy as np

from ..jit import exact, inner
from . import functions
from .reduce import total_of_long
from .simd import apart, as_row, filled, lanes, larger, largest_of_lanes, load

BLOCK = 1024  # elements of rows, or columns, in a task: what is kept of them stays in the cache
LONG = 64  # elements of a row that fill vectors by themselves


@inner
def row_tasks(x):
    """How many blocks the rows of x make"""
    rows = max(BLOCK // max(x.shape[1], 1), 1)
    return (x.shape[0] + rows - 1) // rows


@inner
def row_block(x, task):
    """The rows of a block: x[a:b]"""
    rows = max(BLOCK // max(x.shape[1], 1), 1)
    a = np.int64(task) * rows
    return a, min(a + rows, x.shape[0])


@inner
def column_tasks(x):
    """How many blocks the columns of x make"""
    return x.shape[0] * ((x.shape[2] + BLOCK - 1) // BLOCK)


@inner
def column_block(x, task):
    """The columns of a block: x[o,:,a:b]"""
    o, part = divmod(np.int64(task), (x.shape[2] + BLOCK - 1) // BLOCK)
    return o, part * BLOCK, min((part + 1) * BLOCK, x.shape[2])


@inner
def row_exponentials(x, e, tops, totals):
    """tops = max x, e = exp(x - top), totals = sum e, of each row"""
    if x.shape[1] < LONG:
        short_exponentials(x, e, tops, totals)
    else:
        long_exponentials(x, e, tops, totals)


@inner
def _top(x):
    """The largest of x, NaN if there is one"""
    highest = functions.ordered(x.dtype.type(-np.inf))
    for c in range(x.size):
        highest = max(highest, functions.ordered(x[c]))
    return functions.unordered(highest)


@inner
def _top_of_long(x):
    """The largest of x but for NaN, of which x - top is one in any case"""
    vector = lanes(x)
    a = b = c = d = filled(x, -np.inf)
    last = x.size - vector
    for i in range(0, last - 3 * vector + 1, 4 * vector):
        a, b = larger(load(x, i), a), larger(load(x, i + vector), b)
        c, d = larger(load(x, i + 2 * vector), c), larger(load(x, i + 3 * vector), d)
    # Of those left over some may be looked at twice.
    for k in range(4):
        a = larger(load(x, max(last - k * vector, 0)), a)
    return largest_of_lanes(larger(larger(a, b), larger(c, d)))


@inner
def short_exponentials(x, e, tops, totals):
    """row_exponentials of rows of few classes: each by itself would leave much of a vector empty"""
    for r in range(x.shape[0]):
        top = tops[r] = _top(x[r])
        for c in range(x.shape[1]):
            e[r, c] = top - x[r, c]
    every = as_row(e)
    for i in range(every.size):
        every[i] = functions.decay(every[i])
    for r in range(x.shape[0]):
        totals[r] = _total(e[r])


@inner
def long_exponentials(x, e, tops, totals):
    """row_exponentials of rows"""
    for r in range(x.shape[0]):
        xs, es, top = x[r], e[r], _top_of_long(x[r])
        _decays(xs, top, es)
        tops[r], totals[r] = top, total_of_long(es, 0, es.size)


@inner
def row_totals(x, tops, totals):
    """tops = max x, totals = sum exp(x - top), of each row"""
    for r in range(x.shape[0]):
        tops[r] = _top_of_long(x[r])
        totals[r] = _total_of_decays(x[r], tops[r])


@inner
def _total_of_decays(x, top):
    """sum exp(x - top)"""
    apart()
    total = 0.0
    for first in range(0, x.size, BLOCK):
        some, part = x[first : first + BLOCK], x.dtype.type(0)
        for c in range(some.size):
            part += functions.decay(top - some[c])
        total += part
    return total


@inner
def _decays(x, top, e):
    """e = exp(x - top)"""
    apart()
    for c in range(x.size):
        e[c] = functions.decay(top - x[c])


@inner
def _total(x):
    """sum x"""
    total = 0.0
    for c in range(x.size):
        total += x[c]
    return total


@inner
def column_exponentials(x, e, a, b, tops, totals):
    """tops = max x, e = exp(x - top), totals = sum e, of each of the columns x[:,a:b]"""
    for i in range(tops.size):
        tops[i], totals[i] = -np.inf, 0
    for c in range(x.shape[0]):
        xs = x[c, a:b]
        for i in range(xs.size):
            tops[i] = xs[i] if xs[i] > tops[i] else tops[i]
    for c in range(x.shape[0]):
        xs, es = x[c, a:b], e[c, a:b]
        for i in range(xs.size):
            es[i] = functions.decay(tops[i] - xs[i])
        # In a loop of its own: vectors of float64 are half as wide.
        for i in range(es.size):
            totals[i] += es[i]


@inner
def divide_rows(e, totals):
    """e / totals, of each row"""
    for r in range(e.shape[0]):
        scale = e.dtype.type(1 / totals[r])
        for c in range(e.shape[1]):
            e[r, c] *= scale


@inner
def divide_columns(e, a, b, totals, scales):
    """e / totals, of each of the columns e[:,a:b]; scales are what remains: 1 / totals"""
    for i in range(totals.size):
        scales[i] = 1 / totals[i]
    for c in range(e.shape[0]):
        es = e[c, a:b]
        for i in range(es.size):
            es[i] *= scales[i]


@exact
def from_top(x, top, log_total):
    """(x - top) - log_total: the sum of the latter would be rounded far more"""
    return (x - top) - log_total


@inner
def less_decays(gy, y, factor, gx):
    """gx = gy - exp(y) * factor"""
    apart()
    for c in range(y.size):
        gx[c] = gy[c] - functions.decay(-y[c]) * factor
