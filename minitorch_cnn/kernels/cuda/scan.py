"""Running totals along a dimension.

A block totals what has room in shared memory, by doublings: step k joins each place with the one
2^k before. Of rows in several parts, what each part comes to is totalled alike, and joined with
those behind it. So the order is fixed, and of the additions in a total of n numbers only some
log2(n) follow one another: it rounds well without float64.
"""

from typing import Any

import numpy as np

from .buffer import empty
from .elementwise import run
from .functions import thread_index, tile_of
from .geometry import blocks_for, cut_rows
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
from .shape import in_rows, last

TWO_TILES = 2 * TILE


def _join(name: str, kind: Any) -> Any:
    """What stretches come to together, of which `a` comes first: their sum, or the place of one"""
    if name == "cumsum":
        return device_function(lambda x, row, a, b: kind(a + b))
    largest = name == "argcummax"

    def later(x, row, a, b):
        first, second = x[u32(row + u32(a))], x[u32(row + u32(b))]
        if first != first or second != second:
            return b if second != second else a
        return b if (second >= first if largest else second <= first) else a

    return device_function(later)


NAMES = [(n, k) for n in ("cumsum", "argcummax", "argcummin") for k in (f32, i64)]


# Totals are numbers of x's type, or places in its rows. p: elements, length of a row, of a line,
# parts of a line, the length of x's rows, whether there is no `given` but each element's own place.
@variants(*NAMES, ("cumsum", f64))
def tiles(name: str, kind: Any) -> tuple[Any, ...]:
    """y = the running totals of `given` within a tile, `ends` = what each tile comes to"""
    join, numbered = _join(name, kind), name != "cumsum"
    state = i32 if numbered else kind

    def body(x, given, y, ends, p):
        totals = cuda.shared.array(TWO_TILES, state)
        start, into, count = tile_of(p[0], p[2], p[3])
        n, t = u32(p[1]), u32(cuda.threadIdx.x)
        k = t
        while k < count:
            if numbered and p[5] != 0:
                totals[k] = i32(u32(into + u32(k % n)))
            else:
                totals[k] = given[u32(start + k)]
            k = u32(k + u32(BLOCK))
        here, there, reach = u32(0), u32(TILE), u32(1)
        while reach < min(n, u32(TILE)):
            cuda.syncthreads()
            k = t
            while k < count:
                total = totals[u32(here + k)]
                if u32(k % n) >= reach:
                    row = u32(u32(u32(start + k) // n) * u32(p[4]))
                    total = join(x, row, totals[u32(u32(here + k) - reach)], total)
                totals[u32(there + k)] = total
                k = u32(k + u32(BLOCK))
            here, there = there, here
            reach = u32(reach * u32(2))
        k = t
        while k < count:
            total = totals[u32(here + k)]
            y[u32(start + k)] = total
            if p[3] > 1 and u32(k + u32(1)) == count:
                ends[u32(cuda.blockIdx.x)] = total
            k = u32(k + u32(BLOCK))

    body.__name__ = name
    state_array = vector(state)
    return body, (vector(kind), state_array, state_array, state_array, integers(6))


@variants(*NAMES, ("cumsum", f64))
def carrying(name: str, kind: Any) -> tuple[Any, ...]:
    """y = what all tiles before come to, joined with y; p: elements, length of a row, parts of a
    row, the length of x's rows"""
    join = _join(name, kind)

    def body(x, ends, y, p):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[1]))
            part = u32(u32(e - u32(row * u32(p[1]))) // u32(TILE))
            if part > u32(0):
                before = ends[u32(u32(u32(row * u32(p[2])) + part) - u32(1))]
                y[e] = join(x, u32(row * u32(p[3])), before, y[e])

    body.__name__ = f"{name}_carried"
    state_array = vector(kind if name == "cumsum" else i32)
    return body, (vector(kind), state_array, state_array, integers(4))


def _scan(name: str, x: Any, y: Any, dim: int) -> None:
    x, there = in_rows(x, dim), last(y, dim)
    dtype = y.dtype if name == "cumsum" else np.dtype(np.int32)
    direct = there.dtype == dtype and there.flags.c_contiguous
    totals = there.reshape(x.shape) if direct else empty(x.shape, dtype)
    _total(name, x, x if name == "cumsum" else None, totals)
    if not direct:
        run("copy", totals.reshape(there.shape), there)


def _total(name: str, x: Any, given: Any, y: Any) -> None:
    """y = the running totals of rows: of those given, or of places in x's"""
    rows, n = y.shape
    cut = cut_rows(rows, n, TILE)
    ends, totals = [empty((rows, cut.parts), y.dtype) for _ in "ab"]
    p = (y.size, n, cut.line, cut.parts, x.shape[1], int(given is None))
    tiles(name, of(x.dtype))(cut.blocks, x, y if given is None else given, y, ends, p)
    if cut.parts > 1:
        _total(name, x, ends, totals)
        sizes = (y.size, n, cut.parts, x.shape[1])
        carrying(name, of(x.dtype))(blocks_for(y.size, BLOCK), x, totals, y, sizes)


def cumsum(x: Any, y: Any, dim: int) -> None:
    """y[i] = x[0] + .. + x[i]"""
    _scan("cumsum", x, y, dim)


def argcummax(x: Any, y: Any, dim: int) -> None:
    """y[i] = the last place of the largest among x[0], .., x[i]; NaN is larger than any"""
    _scan("argcummax", x, y, dim)


def argcummin(x: Any, y: Any, dim: int) -> None:
    """y[i] = the last place of the smallest among x[0], .., x[i]; NaN is smaller than any"""
    _scan("argcummin", x, y, dim)
