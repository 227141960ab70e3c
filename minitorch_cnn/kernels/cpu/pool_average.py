"""Averages over windows side by side, which neither overlap nor see padding, and their gradients.

Some rows of windows are worked on together: of what they see, first rows are added to rows, then
neighbours in what came of it, which is without gaps. So vectors are full however narrow a plane is.
"""

import numpy as np

from ..jit import inner
from ..tasks import task_kernel
from .simd import (
    add_neighbours,
    as_row,
    lanes,
    load,
    load_inside,
    store,
    store_first,
    store_interleaved,
)

LARGEST = 64
"""Elements of a window up to which sums are made in the type of the elements."""

TOGETHER = 2048
"""Elements of rows that are added up together: they stay in the first cache, and the processor has
written the first when it reads them again."""


def side_by_side(size, windows, kernel_size, stride, padding):
    """Whether windows neither overlap nor have gaps nor padding between them, and are not large."""
    inside = all([n * k <= s for s, n, k in zip(size, windows, kernel_size)])
    small = kernel_size[0] * kernel_size[1] <= LARGEST
    return small and inside and stride == kernel_size and padding == (0, 0)


@inner
def planes_together(height, width, oh, high):
    """How many planes are worked on together: small ones, if no rows are left over between them."""
    return max(1, TOGETHER // max(height * width, 1)) if height == oh * high else 1


@inner
def rows_together(rows, wide):
    """Of so many rows of windows, how many are worked on together."""
    return max(1, min(rows, TOGETHER // max(wide, 1)))


@task_kernel
def average_windows(thread, threads, x, y, kernel_size, divisor):
    """y[n,c,i,j] = sum of x[n,c,kh*i+u,kw*j+v] / divisor, for one thread"""
    planes, height, width = x.shape[0] * x.shape[1], x.shape[2], x.shape[3]
    oh, ow, (high, wide) = y.shape[2], y.shape[3], kernel_size
    together = planes_together(height, width, oh, high)
    some = rows_together(together * oh, ow * wide)
    sums = np.empty(some * ow * wide + 2 * lanes(x), x.dtype)
    xs, ys, share = as_row(x), as_row(y), x.dtype.type(1 / divisor)
    last = (thread + 1) * planes // threads
    for plane in range(thread * planes // threads, last, together):
        all_rows = min(together, last - plane) * oh
        for first in range(0, all_rows, some):
            rows = min(some, all_rows - first)
            for i in range(rows):
                line = (plane * height + (first + i) * high) * width
                add_rows(xs, line, width, high, sums, i * ow * wide, ow * wide, False)
            average_neighbours(sums, ys, (plane * oh + first) * ow, rows * ow, wide, share)


@inner
def add_rows(x, i, width, count, y, j, wide, room):
    """y[j + s] = sum of x[i + u*width + s] over u < count, for s < wide; behind it y may change

    If there is room, a vector of x may be read from where its last rows end.
    """
    vector = lanes(x)
    whole = wide + (-wide % vector if room else -(wide % vector))
    for s in range(0, whole, vector):
        total = load(x, i + s)
        for u in range(1, count):
            total = total + load(x, i + u * width + s)
        store(total, y, j + s)
    if whole < wide:
        total = load_inside(x, i + whole, 0, wide - whole)
        for u in range(1, count):
            total = total + load_inside(x, i + u * width + whole, 0, wide - whole)
        store(total, y, j + whole)


@inner
def average_neighbours(x, y, i, size, count, share):
    """y[i + j] = share * sum of x[count*j + v] over v < count, for j < size"""
    if count == 2:
        vector = lanes(x)
        for j in range(0, size - size % vector, vector):
            store(add_neighbours(x, 2 * j) * share, y, i + j)
        j = size - size % vector
        store_first(add_neighbours(x, 2 * j) * share, y, i + j, size - j)
    else:
        out = y[i : i + size]
        for j in range(size):
            total = x[count * j]
            for v in range(1, count):
                total += x[count * j + v]
            out[j] = total * share


@task_kernel
def average_windows_grad(thread, threads, gy, gx, kernel_size, divisor):
    """gx[n,c,kh*i+u,kw*j+v] = gy[n,c,i,j] / divisor, 0 where no window is, for one thread"""
    planes, height, width = gx.shape[0] * gx.shape[1], gx.shape[2], gx.shape[3]
    oh, ow, (high, wide) = gy.shape[2], gy.shape[3], kernel_size
    together = planes_together(height, width, oh, high)
    some = rows_together(together * oh, ow * wide)
    shares = np.empty(some * ow * wide + 2 * lanes(gx), gx.dtype)
    xs, ys, share = as_row(gx), as_row(gy), gx.dtype.type(1 / divisor)
    last = (thread + 1) * planes // threads
    for plane in range(thread * planes // threads, last, together):
        many = min(together, last - plane)
        for first in range(0, many * oh, some):
            rows = min(some, many * oh - first)
            spread_to_neighbours(ys, (plane * oh + first) * ow, rows * ow, wide, share, shares)
            line = (plane * height + first * high) * width
            copy_rows(shares, rows, ow * wide, high, xs, line, width)
        clear(xs[(plane * height + many * oh * high) * width : (plane + many) * height * width])


@inner
def spread_to_neighbours(x, i, size, count, share, y):
    """y[count*j + v] = share * x[i + j] for v < count, j < size; behind it y may change"""
    if count == 2:
        vector = lanes(x)
        for j in range(0, size - size % vector, vector):
            value = load(x, i + j) * share
            store_interleaved(value, value, y, 2 * j)
        j = size - size % vector
        value = load_inside(x, i + j, 0, size - j) * share
        store_interleaved(value, value, y, 2 * j)
    else:
        row = x[i : i + size]
        for j in range(size):
            value = row[j] * share
            for v in range(count):
                y[count * j + v] = value


@inner
def spread_planes(gy, plane, many, height, width, windows, shares, gx):
    """gx[p,kh*i+u,kw*j+v] = gy[plane+p,i,j] / (kh*kw), 0 where no window is, for p < many"""
    oh, ow, high, wide = windows
    rows, share = many * oh, gx.dtype.type(1 / (high * wide))
    spread_to_neighbours(gy, plane * oh * ow, rows * ow, wide, share, shares)
    copy_rows(shares, rows, ow * wide, high, gx, 0, width)
    clear(gx[rows * high * width : many * height * width])


@inner
def copy_rows(x, rows, wide, count, y, j, width):
    """y[j + (count*i + u)*width + s] = x[i*wide + s] for i < rows, u < count, s < wide, then 0 for
    s < width"""
    vector = lanes(x)
    whole = wide - wide % vector
    for i in range(rows):
        for u in range(count):
            to, last = j + (count * i + u) * width, i + 1 == rows and u + 1 == count
            for s in range(0, whole, vector):
                store(load(x, i * wide + s), y, to + s)
            if whole < wide:
                rest = load(x, i * wide + whole)
                if last or whole + vector > 2 * width:
                    store_first(rest, y, to + whole, wide - whole)
                else:  # what it holds beyond the row is overwritten next
                    store(rest, y, to + whole)
            if wide < width:
                clear(y[to + wide : to + width])


@inner
def clear(x):
    """x = 0"""
    for i in range(x.size):
        x[i] = 0
