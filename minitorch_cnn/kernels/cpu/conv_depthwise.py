"""Depthwise convolution by filters of 3 x 3: each channel is convolved with a filter of its own.

There is little to compute for a number that is read, so images are read where they lie. Where a
vector reaches over a row's end its lanes there are 0; rows that an image has not are left out.
"""

import numpy as np

from ..jit import inner
from ..tasks import task_kernel
from .conv_layout import plain_sum
from .simd import broadcast, copy_few, fused, lanes, load, load_inside, store

TAPS = 9


@task_kernel
def depthwise(thread, threads, x, w, bias, y, top, left, turned):
    """y[n,c,i,j] = bias[c] + sum_{u,v} x[n,c,i+u-top,j+v-left] w[c,u,v], or w[c,2-u,2-v] if turned

    The bias may be empty.
    """
    few = np.zeros(2 * lanes(x), x.dtype)
    _depthwise(thread, threads, x, w, bias, y, top, left, turned, few)


@inner
def _depthwise(thread, threads, x, w, bias, y, top, left, turned, few):
    """depthwise for one thread; few has place for a vector, and zeros behind it."""
    batch, channels, height, width = x.shape
    high, wide = y.shape[2], y.shape[3]
    x, w, y = x.reshape(-1), w.reshape(-1), y.reshape(-1)
    vector, planes = lanes(x), batch * channels
    for plane in range(thread * planes // threads, (thread + 1) * planes // threads):
        c = plane % channels
        step = -1 if turned else 1
        first = TAPS * c + (TAPS - 1 if turned else 0)
        above, middle, below = (
            _taps(w, first, step),
            _taps(w, first + 3 * step, step),
            _taps(w, first + 6 * step, step),
        )
        start = broadcast(bias, c) if bias.size > 0 else load(few, vector)
        for j in range(0, wide, vector):
            column = max(0, min(j, wide - vector))
            for i in range(high):
                r, total = i - top, start
                at = (plane * height + r) * width
                if 0 <= r < height:
                    total = _sum(total, above, x, at, column - left, width)
                if 0 <= r + 1 < height:
                    total = _sum(total, middle, x, at + width, column - left, width)
                if 0 <= r + 2 < height:
                    total = _sum(total, below, x, at + 2 * width, column - left, width)
                to = (plane * high + i) * wide + column
                if wide < vector:
                    store(total, few, 0)
                    copy_few(few, 0, y, to, wide)
                else:
                    store(total, y, to)


@inner
def _taps(w, i, step):
    """A vector each of w[i], w[i + step], w[i + 2*step]"""
    return broadcast(w, i), broadcast(w, i + step), broadcast(w, i + 2 * step)


@inner
def _sum(total, taps, x, at, column, width):
    """total + sum_{v<3} taps[v] x[at + column + v :], of the row x[at : at + width]"""
    i, last = at + column, width - column
    total = fused(taps[0], load_inside(x, i, -column, last), total)
    total = fused(taps[1], load_inside(x, i + 1, -column - 1, last - 1), total)
    return fused(taps[2], load_inside(x, i + 2, -column - 2, last - 2), total)


@task_kernel
def depthwise_weight(thread, threads, gy, x, gw, gb, top, left):
    """gw[c,u,v] = sum_{n,i,j} gy[n,c,i,j] x[n,c,i+u-top,j+v-left], gb[c] = sum_{n,i,j} gy[n,c,i,j]
    unless gb is empty"""
    sums = np.zeros(TAPS * lanes(x), x.dtype)
    _depthwise_weight(thread, threads, gy, x, gw, gb, top, left, sums, np.empty(TAPS))


@inner
def _depthwise_weight(thread, threads, gy, x, gw, gb, top, left, sums, totals):
    """depthwise_weight for one thread; sums has place for a vector for each tap."""
    batch, channels, height, width = x.shape
    high, wide = gy.shape[2], gy.shape[3]
    x, gy, gw = x.reshape(-1), gy.reshape(-1), gw.reshape(-1)
    vector = lanes(x)
    for c in range(thread * channels // threads, (thread + 1) * channels // threads):
        bias_total = 0.0
        for k in range(TAPS):
            totals[k] = 0.0
        for n in range(batch):
            plane = n * channels + c
            for k in range(sums.size):
                sums[k] = 0
            for j in range(0, wide, vector):
                above, middle, below = (
                    _loaded(sums, 0),
                    _loaded(sums, 3 * vector),
                    _loaded(sums, 6 * vector),
                )
                for i in range(high):
                    r, row = i - top, (plane * high + i) * wide
                    slopes = load_inside(gy, row + j, 0, wide - j)
                    at = (plane * height + r) * width
                    if 0 <= r < height:
                        above = _add(above, slopes, x, at, j - left, width, wide - j)
                    if 0 <= r + 1 < height:
                        middle = _add(middle, slopes, x, at + width, j - left, width, wide - j)
                    if 0 <= r + 2 < height:
                        below = _add(below, slopes, x, at + 2 * width, j - left, width, wide - j)
                _keep(above, sums, 0)
                _keep(middle, sums, 3 * vector)
                _keep(below, sums, 6 * vector)
            # A plane's sum is added as one number: the error grows with its size, not with all.
            for k in range(TAPS):
                for lane in range(vector):
                    totals[k] += sums[k * vector + lane]
            if gb.size > 0:
                bias_total += plain_sum(gy[plane * high * wide :], high * wide)
        for k in range(TAPS):
            gw[TAPS * c + k] = totals[k]
        if gb.size > 0:
            gb[c] = bias_total


@inner
def _loaded(sums, i):
    """Three vectors that lie one behind the other"""
    return load(sums, i), load(sums, i + lanes(sums)), load(sums, i + 2 * lanes(sums))


@inner
def _keep(vectors, sums, i):
    """sums[i :] = three vectors, one behind the other"""
    for v in range(3):
        store(vectors[v], sums, i + v * lanes(sums))


@inner
def _add(totals, slopes, x, at, column, width, count):
    """totals[v] + slopes x[at + column + v :] for v < 3, of the row x[at : at + width]

    Lanes from count on are left out: zeros would make a NaN of what is infinite in x.
    """
    i, last = at + column, width - column
    return (
        fused(slopes, load_inside(x, i, -column, min(last, count)), totals[0]),
        fused(slopes, load_inside(x, i + 1, -column - 1, min(last - 1, count)), totals[1]),
        fused(slopes, load_inside(x, i + 2, -column - 2, min(last - 2, count)), totals[2]),
    )
