"""Maximum and average over windows of planes, and their gradients, which gather: a thread owns an
element of the result and adds up what belongs to it, so no order is left to chance."""

import math
from typing import Any

import numpy as np

from .buffer import empty
from .functions import thread_index
from .geometry import blocks_for
from .registry import (
    BLOCK,
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

Pair = tuple[int, int]


@device_function
def position(e, high, wide):
    """The plane, the row and the column of element e of planes of one size"""
    above = u32(e // u32(wide))
    plane = u32(above // u32(high))
    return plane, i32(u32(above - u32(plane * u32(high)))), i32(u32(e - u32(above * u32(wide))))


@variants((f32,), (f64,))
def maximum(kind: Any) -> tuple[Any, ...]:
    """y[e] = max of the window, found = where in the plane; p: elements, h, w, oh, ow, kernel size,
    stride, padding, dilation"""

    def max_pool2d(x, y, found, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, i, j = position(e, p[3], p[4])
            start = u32(u32(plane * u32(p[1])) * u32(p[2]))
            best, spot = kind(-math.inf), i32(-1)
            for u in range(p[5]):
                r = i32(i32(i32(i * p[7]) - p[9]) + i32(i32(u) * p[11]))
                if r >= 0 and r < p[1]:
                    for v in range(p[6]):
                        s = i32(i32(i32(j * p[8]) - p[10]) + i32(i32(v) * p[12]))
                        if s >= 0 and s < p[2]:
                            at = i32(i32(r * p[2]) + s)
                            value = x[u32(start + u32(at))]
                            # The first of equals wins, but a NaN over all before it.
                            if value > best or value != value or spot < 0:
                                best, spot = value, at
            y[e] = best
            found[e] = spot

    return max_pool2d, (vector(kind), vector(kind), vector(i64), integers(13))


def max_pool2d(
    x: Any, y: Any, indices: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    """y[n,c,i,j] = max_{u,v} x[n,c,r,s], indices r*w+s: r = i*sh+u*dh-ph, s = j*sw+v*dw-pw

    The first of equal maxima wins, but a NaN over all that came before it, as in PyTorch. The index
    is -1 if the window holds nothing but padding.
    """
    p = (y.size, *x.shape[2:], *y.shape[2:], *kernel_size, *stride, *padding, *dilation)
    maximum(of(x.dtype))(blocks_for(y.size, BLOCK), x, y, indices, p)


# Which windows found their maximum in a place: to ask all of a plane would take a time that grows
# with its square. So, of the rows and the columns of windows, first between which rows, or columns,
# of the plane they found something; then, of each row and column of the plane, the first and the
# last that may have found something there. Both are noted as pairs, rows before columns.
@variants(())
def bounds() -> tuple[Any, ...]:
    """found = between which rows of the plane a row of windows found something; columns alike

    p: rows and columns in all, height and width of windows, width of planes.
    """

    def max_pool2d_bounds(indices, found, p):
        e = thread_index()
        if e < u32(p[0]):
            lines = u32(u32(p[1]) + u32(p[2]))
            plane = u32(e // lines)
            line = u32(e - u32(plane * lines))
            by_row = line < u32(p[1])
            window = u32(u32(plane * u32(p[1])) * u32(p[2]))
            window = u32(window + (u32(line * u32(p[2])) if by_row else u32(line - u32(p[1]))))
            low, high = i32(2147483647), i32(-1)
            for _ in range(p[2] if by_row else p[1]):
                at = i32(indices[window])
                if at >= 0:
                    row = u32(u32(at) // u32(p[3]))
                    here = i32(row) if by_row else i32(u32(u32(at) - u32(row * u32(p[3]))))
                    low, high = min(low, here), max(high, here)
                window = u32(window + (u32(1) if by_row else u32(p[2])))
            found[u32(e * u32(2))] = low
            found[u32(u32(e * u32(2)) + u32(1))] = high

    return max_pool2d_bounds, (vector(i64), vector(i32), integers(4))


@variants(())
def reach() -> tuple[Any, ...]:
    """found = the first row of windows that may have found something in a row of the plane, and
    the one behind the last; columns alike

    p: rows and columns in all, height and width of planes, height and width of windows.
    """

    def max_pool2d_reach(between, found, p):
        e = thread_index()
        if e < u32(p[0]):
            lines = u32(u32(p[1]) + u32(p[2]))
            plane = u32(e // lines)
            line = i32(u32(e - u32(plane * lines)))
            by_row = line < p[1]
            start = u32(plane * u32(u32(p[3]) + u32(p[4])))
            start = u32(start + (u32(0) if by_row else u32(p[3])))
            here = line if by_row else i32(line - p[1])
            first, last = i32(2147483647), i32(0)
            for k in range(p[3] if by_row else p[4]):
                at = u32(u32(start + u32(k)) * u32(2))
                if between[at] <= here and here <= between[u32(at + u32(1))]:
                    first, last = min(first, i32(k)), i32(k + 1)
            found[u32(e * u32(2))] = first
            found[u32(u32(e * u32(2)) + u32(1))] = last

    return max_pool2d_reach, (vector(i32), vector(i32), integers(5))


@variants((f32,), (f64,))
def collected(kind: Any) -> tuple[Any, ...]:
    """gx[e] = sum of gy over the windows that found something at e; p: elements, h, w, oh, ow"""

    def max_pool2d_grad(gy, indices, windows, gx, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, r, s = position(e, p[1], p[2])
            at = i32(i32(r * p[2]) + s)
            lines = u32(plane * u32(u32(p[1]) + u32(p[2])))
            row = u32(u32(lines + u32(r)) * u32(2))
            column = u32(u32(u32(lines + u32(p[1])) + u32(s)) * u32(2))
            first, last = windows[column], windows[u32(column + u32(1))]
            total = kind(0)
            for i in range(windows[row], windows[u32(row + u32(1))]):
                line = u32(u32(u32(plane * u32(p[3])) + u32(i)) * u32(p[4]))
                for j in range(first, last):
                    window = u32(line + u32(j))
                    if i32(indices[window]) == at:
                        total += gy[window]
            gx[e] = total

    array = vector(kind)
    return max_pool2d_grad, (array, vector(i64), vector(i32), array, integers(5))


def max_pool2d_grad(gy: Any, indices: Any, gx: Any) -> None:
    """gx[n,c,p] = sum of gy[n,c,i,j] where indices[n,c,i,j] = p"""
    planes, (high, wide) = gx.shape[0] * gx.shape[1], gy.shape[2:]
    lines, places = planes * (high + wide), planes * (gx.shape[2] + gx.shape[3])
    between, windows = [empty((n, 2), np.dtype(np.int32)) for n in (lines, places)]
    bounds()(blocks_for(lines, BLOCK), indices, between, (lines, high, wide, gx.shape[3]))
    p = (places, *gx.shape[2:], high, wide)
    reach()(blocks_for(places, BLOCK), between, windows, p)
    p = (gx.size, *gx.shape[2:], high, wide)
    collected(of(gx.dtype))(blocks_for(gx.size, BLOCK), gy, indices, windows, gx, p)


@variants((f32,), (f64,))
def gathered(kind: Any) -> tuple[Any, ...]:
    """y[e] = x where window e found its maximum, or 0; p: elements, windows and size of a plane"""

    def max_pool2d_gather(x, indices, y, p):
        e = thread_index()
        if e < u32(p[0]):
            at = i32(indices[e])
            start = u32(u32(e // u32(p[1])) * u32(p[2]))
            y[e] = x[u32(start + u32(at))] if at >= 0 else kind(0)

    return max_pool2d_gather, (vector(kind), vector(i64), vector(kind), integers(3))


def max_pool2d_gather(x: Any, indices: Any, y: Any) -> None:
    """y[n,c,i,j] = x[n,c,p] where p = indices[n,c,i,j], or 0 where p = -1"""
    p = (y.size, y.shape[2] * y.shape[3], x.shape[2] * x.shape[3])
    gathered(of(x.dtype))(blocks_for(y.size, BLOCK), x, indices, y, p)


@device_function
def window(i, size, kernel_size, stride, padding):
    """Where window i starts and stops within 0:size, and its length with the padding it covers"""
    start = i32(i32(i * stride) - padding)
    stop = min(i32(start + kernel_size), i32(size + padding))
    first = max(start, i32(0))
    return first, max(first, min(stop, size)), i32(stop - start)


@device_function
def length(start, stop, padded, padding_counts):
    """What a window's side counts for in the divisor"""
    return padded if padding_counts != 0 else max(i32(stop - start), i32(1))


# p: elements, h, w, oh, ow, kernel size, stride, padding, whether padding counts, the divisor or 0
@variants((f32,), (f64,))
def average(kind: Any) -> tuple[Any, ...]:
    """y[e] = sum over the window / divisor"""

    def avg_pool2d(x, y, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, i, j = position(e, p[3], p[4])
            r0, r1, rows = window(i, p[1], p[5], p[7], p[9])
            s0, s1, columns = window(j, p[2], p[6], p[8], p[10])
            total = kind(0)
            for r in range(r0, r1):
                row = u32(u32(u32(plane * u32(p[1])) + u32(r)) * u32(p[2]))
                for s in range(s0, s1):
                    total += x[u32(row + u32(s))]
            divisor = p[12]
            if divisor == 0:
                divisor = i32(length(r0, r1, rows, p[11]) * length(s0, s1, columns, p[11]))
            y[e] = total / kind(divisor)

    return avg_pool2d, (vector(kind), vector(kind), integers(13))


@variants((f32,), (f64,), registers=80)
def average_grad(kind: Any) -> tuple[Any, ...]:
    """gx[e] = sum of gy / divisor over the windows that hold e"""

    def avg_pool2d_grad(gy, gx, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, r, s = position(e, p[1], p[2])
            a, b = i32(r + p[9]), i32(s + p[10])
            i0 = i32(u32(max(i32(i32(a - p[5]) + p[7]), i32(0))) // u32(p[7]))
            j0 = i32(u32(max(i32(i32(b - p[6]) + p[8]), i32(0))) // u32(p[8]))
            i1 = min(i32(i32(u32(a) // u32(p[7])) + i32(1)), p[3])
            j1 = min(i32(i32(u32(b) // u32(p[8])) + i32(1)), p[4])
            total = kind(0)
            for i in range(i0, i1):
                r0, r1, rows = window(i32(i), p[1], p[5], p[7], p[9])
                row = u32(u32(u32(plane * u32(p[3])) + u32(i)) * u32(p[4]))
                for j in range(j0, j1):
                    s0, s1, columns = window(i32(j), p[2], p[6], p[8], p[10])
                    divisor = p[12]
                    if divisor == 0:
                        high, wide = length(r0, r1, rows, p[11]), length(s0, s1, columns, p[11])
                        divisor = i32(high * wide)
                    total += gy[u32(row + u32(j))] / kind(divisor)
            gx[e] = total

    return avg_pool2d_grad, (vector(kind), vector(kind), integers(13))


def avg_pool2d(
    x: Any,
    y: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> None:
    """y[n,c,i,j] = sum over the window of x[n,c] / divisor"""
    windows = (*kernel_size, *stride, *padding, int(count_include_pad), divisor_override or 0)
    p = (y.size, *x.shape[2:], *y.shape[2:], *windows)
    average(of(x.dtype))(blocks_for(y.size, BLOCK), x, y, p)


def avg_pool2d_grad(
    gy: Any,
    gx: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> None:
    """gx[n,c,r,s] = sum of gy[n,c,i,j] / divisor over the windows that hold r, s"""
    windows = (*kernel_size, *stride, *padding, int(count_include_pad), divisor_override or 0)
    p = (gx.size, *gx.shape[2:], *gy.shape[2:], *windows)
    average_grad(of(gx.dtype))(blocks_for(gx.size, BLOCK), gy, gx, p)


@device_function
def part(i, size, parts):
    """Where part i of an axis starts and stops; neighbours overlap unless parts divides size"""
    start = i32(u32(u32(i * size) // u32(parts)))
    return start, i32(u32(u32(i32(i + i32(1)) * size) + u32(parts - i32(1))) // u32(parts))


@variants((f32,), (f64,))
def adaptive(kind: Any) -> tuple[Any, ...]:
    """y[e] = mean of its part of the plane; p: elements, h, w, oh, ow"""

    def adaptive_avg_pool2d(x, y, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, i, j = position(e, p[3], p[4])
            r0, r1 = part(i, p[1], p[3])
            s0, s1 = part(j, p[2], p[4])
            total = kind(0)
            for r in range(r0, r1):
                row = u32(u32(u32(plane * u32(p[1])) + u32(r)) * u32(p[2]))
                for s in range(s0, s1):
                    total += x[u32(row + u32(s))]
            y[e] = total / kind(i32(i32(r1 - r0) * i32(s1 - s0)))

    return adaptive_avg_pool2d, (vector(kind), vector(kind), integers(5))


@variants((f32,), (f64,), registers=80)
def adaptive_grad(kind: Any) -> tuple[Any, ...]:
    """gx[e] = sum of gy / size over the parts that hold e; p: elements, h, w, oh, ow"""

    def adaptive_avg_pool2d_grad(gy, gx, p):
        e = thread_index()
        if e < u32(p[0]):
            plane, r, s = position(e, p[1], p[2])
            i0 = i32(u32(i32(r * p[3])) // u32(p[1]))
            i1 = i32(u32(u32(i32(r + i32(1)) * p[3]) + u32(p[1] - i32(1))) // u32(p[1]))
            j0 = i32(u32(i32(s * p[4])) // u32(p[2]))
            j1 = i32(u32(u32(i32(s + i32(1)) * p[4]) + u32(p[2] - i32(1))) // u32(p[2]))
            total = kind(0)
            for i in range(i0, i1):
                r0, r1 = part(i32(i), p[1], p[3])
                row = u32(u32(u32(plane * u32(p[3])) + u32(i)) * u32(p[4]))
                for j in range(j0, j1):
                    s0, s1 = part(i32(j), p[2], p[4])
                    total += gy[u32(row + u32(j))] / kind(i32(i32(r1 - r0) * i32(s1 - s0)))
            gx[e] = total

    return adaptive_avg_pool2d_grad, (vector(kind), vector(kind), integers(5))


def adaptive_avg_pool2d(x: Any, y: Any) -> None:
    """y[n,c,i,j] = mean of x[n,c,r,s] for floor(i*h/oh) <= r < ceil((i+1)*h/oh), s alike"""
    p = (y.size, *x.shape[2:], *y.shape[2:])
    adaptive(of(x.dtype))(blocks_for(y.size, BLOCK), x, y, p)


def adaptive_avg_pool2d_grad(gy: Any, gx: Any) -> None:
    """gx[n,c,r,s] = sum of gy[n,c,i,j] / (window's size) over the windows that hold r, s"""
    p = (gx.size, *gx.shape[2:], *gy.shape[2:])
    adaptive_grad(of(gx.dtype))(blocks_for(gx.size, BLOCK), gy, gx, p)
