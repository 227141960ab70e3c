"""Reductions along dimensions, every sum in a fixed order.

A block gathers what one output needs, its threads in turns, and joins their parts as a tree. Where
there are few outputs, several blocks each gather a piece, and a second launch joins the pieces.
"""

import math
from math import prod
from typing import Any

import numpy as np

from . import functions
from .buffer import empty
from .elementwise import operation, run, strides_of
from .functions import place
from .geometry import DIMENSIONS, collapse, padded, pieces_for
from .registry import (
    BLOCK,
    boolean,
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

INF = math.inf


def _largest(kind, sign):
    """The number below all others, or above them"""
    if kind in (f32, f64):
        return -sign * INF
    if kind is boolean:
        return sign < 0
    limits = np.iinfo(str(kind))
    return int(limits.min if sign > 0 else limits.max)


# For each: where to start, what an element counts, and how two counts are joined. The number c is
# the same for all elements: the power of a norm.
def _sum(kind, total):
    return 0, lambda x, c: total(x), lambda a, b: a + b


def _amax(kind, total):
    return _largest(kind, 1), lambda x, c: x, lambda a, b: a if a > b or a != a else b


def _amin(kind, total):
    return _largest(kind, -1), lambda x, c: x, lambda a, b: a if a < b or a != a else b


def _any(kind, total):
    return False, lambda x, c: x != kind(0), lambda a, b: a | b


def _all(kind, total):
    return True, lambda x, c: x != kind(0), lambda a, b: a & b


def _powers(kind, total):
    return 0, lambda x, c: functions.power(abs(x), c), lambda a, b: a + b


def _abs_max(kind, total):
    return 0, lambda x, c: abs(x), lambda a, b: a if a > b or a != a else b


def _abs_min(kind, total):
    return INF, lambda x, c: abs(x), lambda a, b: a if a < b or a != a else b


def _nonzero(kind, total):
    return 0, lambda x, c: total(1) if x != kind(0) else total(0), lambda a, b: a + b


REDUCTIONS = {
    "sum": _sum,
    "amax": _amax,
    "amin": _amin,
    "any": _any,
    "all": _all,
    "powers": _powers,
    "abs_max": _abs_max,
    "abs_min": _abs_min,
    "nonzero": _nonzero,
}


def _examples() -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for name in REDUCTIONS:
        found.append((name, f32, boolean if name in ("any", "all") else f32))
    return [*found, ("sum", f64, f64), ("sum", i64, i64), ("amax", i64, i64)]


@variants(_examples)
def gather(name: str, kind: Any, total: Any) -> tuple[Any, ...]:
    """y[o,p] = what is gathered of piece p of the elements of x that output o needs

    `outer` and `inner` are where the outputs' and their elements lie.
    """
    start, count, join = REDUCTIONS[name](kind, total)
    count, join = device_function(count), device_function(join)
    compensated = name in ("sum", "powers") and total in (f32, f64)

    def body(x, y, outer, outer_steps, inner, inner_steps, pieces, length, c):
        shared = cuda.shared.array(BLOCK, total)
        o, piece = u32(cuda.blockIdx.x), u32(cuda.blockIdx.y)
        base = place(o, outer, outer_steps)
        t = u32(cuda.threadIdx.x)
        last = min(u32(u32(piece + u32(1)) * u32(length)), u32(inner[0]))
        k = u32(u32(piece * u32(length)) + t)
        gathered = total(start)
        if compensated:  # what rounding loses is added with the next element
            lost = total(0)
            while k < last:
                value = count(x[u32(base + place(k, inner, inner_steps))], c)
                value -= lost
                after = total(gathered + value)
                lost = total(after - gathered) - value
                lost = lost if lost == lost else total(0)  # of infinities
                gathered = after
                k = u32(k + u32(BLOCK))
        else:
            while k < last:
                value = total(count(x[u32(base + place(k, inner, inner_steps))], c))
                gathered = total(join(gathered, value))
                k = u32(k + u32(BLOCK))
        shared[t] = gathered
        half = u32(BLOCK // 2)
        while half > u32(0):
            cuda.syncthreads()
            if t < half:
                shared[t] = join(shared[t], shared[u32(t + half)])
            half = u32(half // u32(2))
        if t == u32(0):
            y[u32(u32(o * u32(pieces)) + piece)] = shared[0]

    body.__name__ = name
    sizes, steps = integers(5), integers(DIMENSIONS)
    arrays = vector(kind), vector(total)
    return body, (*arrays, sizes, steps, sizes, steps, i32, i32, kind)


def reduce(name: str, x: Any, y: Any, dims: tuple[int, ...], constant: Any = 0) -> None:
    """Gather x over dims into y, which lies in order."""
    if not y.size:
        return
    x = _few_dimensions(x, dims)
    steps = strides_of(x, x.shape)
    kept = [d for d in range(x.ndim) if d not in dims]
    outer, outer_steps = _side(x.shape, steps, kept)
    inner, inner_steps = _side(x.shape, steps, list(dims))
    kind, total = of(x.dtype), of(y.dtype)
    pieces = pieces_for(outer[0], inner[0], BLOCK)
    length = -(-inner[0] // pieces)
    parts = y if pieces == 1 else empty((outer[0], pieces), y.dtype)
    sides = outer, outer_steps, inner, inner_steps
    gather(name, kind, total)((outer[0], pieces), x, parts, *sides, pieces, length, constant)
    if pieces > 1:
        joined = {"powers": "sum", "nonzero": "sum", "abs_max": "amax", "abs_min": "amin"}
        reduce(joined.get(name, name), parts, y, (1,))


def _side(
    shape: tuple[int, ...], steps: tuple[int, ...], dims: list[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sizes, (found,) = collapse(tuple([shape[d] for d in dims]), (tuple([steps[d] for d in dims]),))
    every = prod([shape[d] for d in dims])
    return (every, *padded(sizes, 1)[1:], int(len(sizes) <= 1)), padded(found, 0)


def _few_dimensions(x: Any, dims: tuple[int, ...]) -> Any:
    """x, copied in order of its kept dimensions, then the others, if it has too many of either."""
    kept = [d for d in range(x.ndim) if d not in dims]
    steps = strides_of(x, x.shape)
    for side in (kept, list(dims)):
        shape = tuple([x.shape[d] for d in side])
        if len(collapse(shape, (tuple([steps[d] for d in side]),))[0]) > DIMENSIONS:
            turned = x.transpose(*kept, *dims)
            there = empty(turned.shape, x.dtype)
            run("copy", turned, there)
            back = sorted(range(x.ndim), key=[*kept, *dims].__getitem__)
            return there.transpose(*back)
    return x


operation("scaled", lambda kind: lambda x, c: x / c[0], constant=True)
operation("root", lambda kind: lambda x, c: functions.power(x, c[0]), constant=True)


def sum(x: Any, y: Any, dims: tuple[int, ...], divisor: float) -> None:
    """y = sum of x over dims, divided; what rounding loses of floats is kept track of"""
    if x.dtype != y.dtype:
        there = empty(x.shape, y.dtype)
        run("copy", x, there)
        x = there
    reduce("sum", x, y, dims)
    if divisor != 1:
        run("scaled", y, y, constants=(divisor,))


def sum_grad(gy: Any, gx: Any, dims: tuple[int, ...], divisor: float) -> None:
    """gx = gy / divisor at every place along dims"""
    shape = tuple([1 if d in dims else n for d, n in enumerate(gx.shape)])
    run("scaled", gy.reshape(shape), gx, constants=(divisor,))


def amax(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the largest of x over dims"""
    reduce("amax", x, y, dims)


def amin(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the smallest of x over dims"""
    reduce("amin", x, y, dims)


def any(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = whether some of x over dims is not zero"""
    reduce("any", x, y, dims)


def all(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = whether none of x over dims is zero"""
    reduce("all", x, y, dims)


def norm(x: Any, y: Any, dims: tuple[int, ...], p: float) -> None:
    """y = (sum |x|^p over dims)^(1/p); the largest |x| for infinity, the count of x != 0 for 0"""
    if p in (INF, -INF):
        reduce("abs_max" if p > 0 else "abs_min", x, y, dims)
    elif p == 0:
        reduce("nonzero", x, y, dims)
    else:
        reduce("powers", x, y, dims, p)
        run("root", y, y, constants=(1 / p,))


@variants(("argmax", f32), ("argmin", f32), ("argmax", i64))
def search(name: str, kind: Any) -> tuple[Any, ...]:
    """y[o] = the first place of the largest, or smallest, of output o's elements; NaN before all"""
    sign = 1 if name == "argmax" else -1
    start = _largest(kind, sign)
    better = device_function((lambda a, b: a > b) if sign > 0 else (lambda a, b: a < b))

    def precedes(a, i, b, j):
        """Whether element a at place i is the one to name rather than b at j"""
        if a != a or b != b:
            return (a != a) and (b == b or i < j)
        return better(a, b) or (a == b and i < j)

    first = device_function(precedes)

    def body(x, y, outer, outer_steps, count, step):
        values = cuda.shared.array(BLOCK, kind)
        places = cuda.shared.array(BLOCK, i32)
        o = u32(cuda.blockIdx.x)
        base = place(o, outer, outer_steps)
        t = i32(cuda.threadIdx.x)
        value, spot = kind(start), i32(2147483647)
        k = t
        while k < count:
            other = x[u32(base + u32(u32(k) * u32(step)))]
            if first(other, k, value, spot):
                value, spot = other, k
            k = i32(k + i32(BLOCK))
        values[t] = value
        places[t] = spot
        half = i32(BLOCK // 2)
        while half > i32(0):
            cuda.syncthreads()
            if t < half and first(values[t + half], places[t + half], values[t], places[t]):
                values[t] = values[t + half]
                places[t] = places[t + half]
            half = i32(half // 2)
        if t == 0:
            y[o] = places[0]

    body.__name__ = name
    return body, (vector(kind), vector(i64), integers(5), integers(DIMENSIONS), i32, i32)


def _search(name: str, x: Any, y: Any, dim: int) -> None:
    if not y.size:
        return
    if x.ndim == 0:
        x, dim = x.reshape(1), 0
    x = _few_dimensions(x, (dim,))
    steps = strides_of(x, x.shape)
    outer, outer_steps = _side(x.shape, steps, [d for d in range(x.ndim) if d != dim])
    search(name, of(x.dtype))(outer[0], x, y, outer, outer_steps, x.shape[dim], steps[dim])


def argmax(x: Any, y: Any, dim: int) -> None:
    """y = the index of the first largest of x along a dimension"""
    _search("argmax", x, y, dim)


def argmin(x: Any, y: Any, dim: int) -> None:
    """y = the index of the first smallest of x along a dimension"""
    _search("argmin", x, y, dim)


operation("finite", lambda kind: lambda x: x if x - x == x - x else kind(0))
operation("exp_minus", lambda kind: lambda x, m: functions.exp(x - m))
operation("log_plus", lambda kind: lambda x, m: functions.log(x) + m)


def logsumexp(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = log sum exp(x) over dims, the largest taken out first"""
    shape = tuple([1 if d in dims else n for d, n in enumerate(x.shape)])
    largest, powers = empty(shape, x.dtype), empty(x.shape, x.dtype)
    reduce("amax", x, largest, dims)
    run("finite", largest, largest)
    run("exp_minus", x, largest, powers)
    reduce("sum", powers, y, dims)
    run("log_plus", y, largest.reshape(y.shape), y)
