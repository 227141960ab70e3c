"""Depthwise convolution by filters of 3 x 3: each channel is convolved with a filter of its own.

There is little to compute for a number that is read. So a plane's rows, some at a time, are laid
out with their margins of zeros where they stay near, each is loaded once for the three rows of the
result that it is a part of, and no vector has to be cut off.
"""

from typing import Any

import numpy as np

from ..jit import inner
from ..tasks import task_kernel
from ..workspace import workspace
from .conv_layout import plain_sum
from .processor import VECTOR_BYTES
from .simd import add_to, as_row, broadcast, copy_few, fused, lanes, load, load_inside, store, zeros

TAPS = 9
PLANES = 16  # neighbours in memory of which the weights' gradients are added up at a time
BAND = 1 << 13  # elements of rows that are laid out at a time


def bands(threads: int, y: Any) -> tuple[Any, int, int]:
    """For each thread, place for rows of an image that some of y's rows are computed from; how far
    apart they are laid out there; and how many rows of y that is."""
    high, wide = y.shape[2:]
    vector = VECTOR_BYTES // y.itemsize
    pitch = max(wide, vector) + 2
    rows = min(high, max(1, BAND // pitch - 2))
    return workspace("memory", threads, (rows + 2) * pitch + vector, y.dtype), pitch, rows


@task_kernel
def depthwise(thread, threads, x, w, bias, y, memories, pitch, most, top, left, turned):
    """y[n,c,i,j] = bias[c] + sum_{u,v} x[n,c,i+u-top,j+v-left] w[c,u,v], or w[c,2-u,2-v] if turned

    The bias may be empty. `most` rows of y are computed at a time.
    """
    batch, channels, height, width = x.shape
    high, wide = y.shape[2], y.shape[3]
    x, w, y = as_row(x), as_row(w), as_row(y)
    vector, planes, memory = lanes(x), batch * channels, memories[thread]
    few = memory[memory.size - vector :]
    memory[:] = 0
    for plane in range(thread * planes // threads, (thread + 1) * planes // threads):
        c = plane % channels
        step = -1 if turned else 1
        first = TAPS * c + (TAPS - 1 if turned else 0)
        above, middle, below = (
            _taps(w, first, step),
            _taps(w, first + 3 * step, step),
            _taps(w, first + 6 * step, step),
        )
        start = broadcast(bias, c) if bias.size > 0 else zeros(x)
        for i0 in range(0, high, most):
            rows = min(most, high - i0)
            at = plane * height * width
            _lay_out(x, at, height, width, i0 - top, rows + 2, memory, pitch, left)
            for j in range(0, wide, vector):
                column = max(0, min(j, wide - vector))
                to, stop = (plane * high + i0) * wide + column, (plane + 1) * high * wide
                # Sums of the next row but one, and of the next, as far as they are known.
                later = _sum(start, above, _shifted(memory, column))
                row = _shifted(memory, pitch + column)
                soon, later = _sum(later, middle, row), _sum(start, above, row)
                for i in range(rows):
                    row = _shifted(memory, (i + 2) * pitch + column)
                    total = _sum(soon, below, row)
                    soon, later = _sum(later, middle, row), _sum(start, above, row)
                    # Beyond a row that is shorter than a vector the next one is written over it.
                    if to + vector <= stop:
                        store(total, y, to)
                    else:
                        store(total, few, 0)
                        copy_few(few, 0, y, to, wide)
                    to += wide


@inner
def _lay_out(x, at, height, width, first, rows, memory, pitch, left):
    """memory[r, left + q] = x[first + r, q] for r < rows, 0 in a row that the plane at `at` has not

    What is beside the columns of a row is left as it is, or made 0.
    """
    vector = lanes(x)
    for r in range(rows):
        i, to = first + r, r * pitch
        if i < 0 or i >= height:
            for q in range(0, pitch, vector):
                store(zeros(x), memory, to + min(q, pitch - vector))
        elif width < vector:
            store(load_inside(x, at + i * width, 0, width), memory, to + left)
        else:
            for q in range(0, width, vector):
                column = min(q, width - vector)
                store(load(x, at + i * width + column), memory, to + left + column)


@inner
def _taps(w, i, step):
    """A vector each of w[i], w[i + step], w[i + 2*step]"""
    return broadcast(w, i), broadcast(w, i + step), broadcast(w, i + 2 * step)


@inner
def _shifted(x, i):
    """The vectors x[i :], x[i + 1 :] and x[i + 2 :]"""
    return load(x, i), load(x, i + 1), load(x, i + 2)


@inner
def _sum(total, taps, row):
    """total + sum_{v<3} taps[v] row[v]"""
    total = fused(taps[0], row[0], total)
    return fused(taps[2], row[2], fused(taps[1], row[1], total))


@task_kernel
def depthwise_weight(thread, threads, gy, x, gw, gb, memories, pitch, most, top, left):
    """gw[c,u,v] = sum_{n,i,j} gy[n,c,i,j] x[n,c,i+u-top,j+v-left], gb[c] = sum_{n,i,j} gy[n,c,i,j]
    unless gb is empty"""
    size = TAPS * lanes(x)
    totals, bias_totals = np.empty(PLANES * size), np.empty(PLANES)
    _depthwise_weight(
        thread, threads, gy, x, gw, gb, memories[thread], pitch, most, top, left,
        np.empty(size, x.dtype), totals, bias_totals,
    )  # fmt: skip


@inner
def _depthwise_weight(
    thread, threads, gy, x, gw, gb, memory, pitch, most, top, left, sums, totals, bias_totals
):  # fmt: skip
    """depthwise_weight for one thread; sums has place for a vector for each tap, totals for those
    of PLANES planes."""
    batch, channels, height, width = x.shape
    high, wide = gy.shape[2], gy.shape[3]
    x, gy, gw = as_row(x), as_row(gy), as_row(gw)
    vector, size = lanes(x), TAPS * lanes(x)
    memory[:] = 0
    end = (thread + 1) * channels // threads
    for c0 in range(thread * channels // threads, end, PLANES):
        planes = min(PLANES, end - c0)
        totals[:], bias_totals[:] = 0, 0
        for n in range(batch):
            for c in range(planes):
                plane = n * channels + c0 + c
                sums[:] = 0
                for i0 in range(0, high, most):
                    rows = min(most, high - i0)
                    at = plane * height * width
                    _lay_out(x, at, height, width, i0 - top, rows + 2, memory, pitch, left)
                    for j in range(0, wide, vector):
                        place = (plane * high + i0) * wide + j
                        # For whole vectors it is compiled without a mask.
                        if wide - j >= vector:
                            _add_column(gy, place, wide, rows, memory, j, pitch, vector, sums)
                        else:
                            _add_column(gy, place, wide, rows, memory, j, pitch, wide - j, sums)
                # What a plane adds up to is added as a whole: the error grows with its size alone.
                for k in range(0, size, vector):
                    add_to(load(sums, k), totals, c * size + k)
                if gb.size > 0:
                    bias_totals[c] += plain_sum(gy[plane * high * wide :], high * wide)
        for c in range(planes):
            for k in range(TAPS):
                total, first = 0.0, c * size + k * vector
                for lane in range(vector):
                    total += totals[first + lane]
                gw[TAPS * (c0 + c) + k] = total
            if gb.size > 0:
                gb[c0 + c] = bias_totals[c]


@inner
def _add_column(gy, place, wide, rows, memory, j, pitch, count, sums):
    """sums[u,v,lane] += sum_{i<rows} gy[i,lane] memory[i+u,j+v+lane] for lanes below count

    Other lanes are left out: zeros would make a NaN of what is infinite in an image.
    """
    vector = lanes(gy)
    above, middle, below = (
        _three(sums, 0),
        _three(sums, 3 * vector),
        _three(sums, 6 * vector),
    )
    before, last = zeros(gy), zeros(gy)  # gradients of the row before the last, and of the last
    for r in range(rows + 2):
        row = _three_first(memory, r * pitch + j, count)
        if r >= 2:
            below = _add(below, before, row)
        if 1 <= r <= rows:
            middle = _add(middle, last, row)
        before = last
        if r < rows:
            last = _first(gy, place + r * wide, count)
            above = _add(above, last, row)
    _keep(above, sums, 0)
    _keep(middle, sums, 3 * vector)
    _keep(below, sums, 6 * vector)


@inner
def _first(x, i, count):
    """The vector x[i :] in the lanes below count, 0 in others"""
    return load(x, i) if count >= lanes(x) else load_inside(x, i, 0, count)


@inner
def _three_first(x, i, count):
    """The same of x[i :], x[i + 1 :] and x[i + 2 :]"""
    return _first(x, i, count), _first(x, i + 1, count), _first(x, i + 2, count)


@inner
def _three(x, i):
    """Three vectors, one behind the other"""
    return load(x, i), load(x, i + lanes(x)), load(x, i + 2 * lanes(x))


@inner
def _keep(vectors, x, i):
    """x[i :] = three vectors, one behind the other"""
    for v in range(3):
        store(vectors[v], x, i + v * lanes(x))


@inner
def _add(totals, slopes, row):
    """totals[v] + slopes row[v] for v < 3"""
    return (
        fused(slopes, row[0], totals[0]),
        fused(slopes, row[1], totals[1]),
        fused(slopes, row[2], totals[2]),
    )
