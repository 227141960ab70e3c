"""Max pooling of windows of 2 x 2 that do not overlap, alone or after relu.

`code` says which of a window's four numbers was the largest, row by row; 4 if relu cut it off.
"""

from typing import Any

from .functions import thread_index
from .geometry import blocks_for
from .pool import position
from .registry import BLOCK, f32, f64, integers, of, types, u32, variants, vector

u8 = types.uint8
NONE = 4


@variants((f32, False), (f32, True), (f64, True))
def largest(kind: Any, relu: bool) -> tuple[Any, ...]:
    """y[e] = the largest of its window, code = which; p: elements, h, w, oh, ow"""

    def max_pool_pairs(x, y, code, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, i, j = position(e, p[3], p[4])
            line = u32(u32(plane * u32(p[1])) + u32(u32(i) * u32(2)))
            start = u32(u32(line * u32(p[2])) + u32(u32(j) * u32(2)))
            best, found = x[start], u32(0)
            for k in range(1, 4):
                row, column = u32(u32(k) >> u32(1)), u32(u32(k) & u32(1))
                value = x[u32(u32(start + u32(row * u32(p[2]))) + column)]
                # The first of equals wins, but a NaN over all before it.
                if value > best or value != value:
                    best, found = value, u32(k)
            if relu and best <= kind(0):
                best, found = kind(0), u32(NONE)
            y[e] = best
            code[e] = u8(found)

    return max_pool_pairs, (vector(kind), vector(kind), vector(u8), integers(5))


def max_pool_pairs(x: Any, y: Any, code: Any, relu: bool) -> None:
    """y[n,c,i,j] = max_{u,v<2} x[n,c,2i+u,2j+v], code = 2u+v of the first; with relu max(y, 0)

    A NaN is above all that came before it. With relu, code = 4 where y is 0.
    """
    p = (y.size, *x.shape[2:], *y.shape[2:])
    largest(of(x.dtype), bool(relu))(blocks_for(y.size, BLOCK), x, y, code, p)


@variants((f32,), (f64,))
def spread(kind: Any) -> tuple[Any, ...]:
    """gx[e] = gy of its window if it was the largest, else 0; p: elements, h, w, oh, ow"""

    def max_pool_pairs_grad(gy, code, gx, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, r, s = position(e, p[1], p[2])
            i, j = u32(u32(r) >> u32(1)), u32(u32(s) >> u32(1))
            value = kind(0)
            if i < u32(p[3]):  # a last row may be left over
                window = u32(u32(u32(u32(plane * u32(p[3])) + i) * u32(p[4])) + j)
                place = u32(u32(u32(u32(r) & u32(1)) * u32(2)) + u32(u32(s) & u32(1)))
                if u32(code[window]) == place:
                    value = gy[window]
            gx[e] = value

    return max_pool_pairs_grad, (vector(kind), vector(u8), vector(kind), integers(5))


def max_pool_pairs_grad(gy: Any, code: Any, gx: Any) -> None:
    """gx[n,c,2i+u,2j+v] = gy[n,c,i,j] where code = 2u+v, else 0"""
    p = (gx.size, *gx.shape[2:], *gy.shape[2:])
    spread(of(gx.dtype))(blocks_for(gx.size, BLOCK), gy, code, gx, p)
