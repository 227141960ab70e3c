"""Sums of few elements along a dimension: what padding by copies and resizing are made of."""

from math import prod
from typing import Any

from .functions import thread_index
from .geometry import blocks_for
from .registry import BLOCK, f32, f64, i32, i64, integers, of, types, u32, variants, vector


@variants((f32,), (f64,), (i64,), (types.uint8,))
def blended(kind: Any) -> tuple[Any, ...]:
    """y[o,i,j] = sum of weights[t] x[o,sources[t],j] for starts[i] <= t < starts[i+1]

    p: elements, and the sizes of x's and of y's middle dimension, and of the last.
    """
    total_kind = kind if kind in (f32, f64) else i64

    def blend(x, starts, sources, weights, y, p):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[3]))
            j = u32(e - u32(row * u32(p[3])))
            o = u32(row // u32(p[2]))
            i = u32(row - u32(o * u32(p[2])))
            total = total_kind(0)
            for t in range(i32(starts[i]), i32(starts[u32(i + u32(1))])):
                source = u32(u32(o * u32(p[1])) + u32(sources[u32(t)]))
                total += weights[u32(t)] * x[u32(u32(source * u32(p[3])) + j)]
            y[e] = total

    entries = vector(i64)
    return blend, (vector(kind), entries, entries, vector(kind), vector(kind), integers(4))


def blend(x: Any, starts: Any, sources: Any, weights: Any, y: Any, dim: int) -> None:
    """y[..,i,..] = sum of weights[t] x[..,sources[t],..] for starts[i] <= t < starts[i+1]"""
    p = (y.size, x.shape[dim], y.shape[dim], prod(x.shape[dim + 1 :]))
    blended(of(x.dtype))(blocks_for(y.size, BLOCK), x, starts, sources, weights, y, p)
