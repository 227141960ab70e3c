"""The weight's gradient of a convolution whose result is pooled in pairs.

Of four numbers in a window only the largest counts, and none where relu cut it off. So instead of
sums over all positions there is a list of those that count: for each the gradient is multiplied by
the part of the image that the kernel saw there. With the channels last, each of its rows is one
stretch of memory.
"""

import numpy as np

from ..jit import driver, inner, threads_for
from ..tasks import task_kernel
from ..workspace import shaped_workspace, workspace
from .conv_layout import add_up, plain_sum
from .simd import (
    VECTOR_BYTES,
    add_scaled,
    entry,
    lanes,
    load_tile,
    store_tile,
    tile_columns,
    zero_tile,
)

PARTS = 16  # of the batch, summed apart: by the shape alone, whatever the number of threads
WIDTHS = {3: 3, 5: 2}  # by the rows of a kernel: how many vectors of a row a tile has


@driver
def weight_grad(gy, code, x, gw, gb, padding):
    """gw[o,c,u,v] = sum_{n,i,j} g[n,o,i,j] x[n,c,i+u-ph,j+v-pw], gb[o] = sum_{n,i,j} g[n,o,i,j]
    unless gb is empty, where g is what max_pool_pairs_grad makes of gy and code"""
    batch, channels, height, width = x.shape
    outputs, _, taps, across = gw.shape
    step = WIDTHS[taps] * VECTOR_BYTES // x.itemsize  # elements of a row of a tile
    row = -(-across * channels // step) * step
    parts = max(1, min(batch, PARTS))
    sums = shaped_workspace("sparse sums", (parts, outputs, taps, row), x.dtype)
    bias_sums = np.empty((parts, outputs), np.float64)
    size = (height + 2 * padding[0]) * (width + 2 * padding[1]) * channels + row
    threads = threads_for(gy.size * taps * row)
    memory = workspace("sparse image", threads, size, x.dtype)
    run = {3: _sums_of_3, 5: _sums_of_5}[taps]
    run(threads, gy, x, sums, bias_sums, memory, code, *padding)
    _join(threads_for(sums.size), sums, gw)
    if gb.size:
        add_up(bias_sums, gb)


@task_kernel
def _sums_of_3(thread, threads, gy, x, sums, bias_sums, memories, code, top, left):
    """sums[part,o,u,v*C+c] of weight_grad for kernels of 3 rows"""
    count = gy.shape[2] * gy.shape[3]
    _sums(
        zero_tile(x, 3, 3), thread, threads, gy, code, x, sums, bias_sums, memories[thread], top,
        left, np.empty(count, x.dtype), np.empty(count, np.int64),
    )  # fmt: skip


@task_kernel
def _sums_of_5(thread, threads, gy, x, sums, bias_sums, memories, code, top, left):
    """sums[part,o,u,v*C+c] of weight_grad for kernels of 5 rows"""
    count = gy.shape[2] * gy.shape[3]
    _sums(
        zero_tile(x, 5, 2), thread, threads, gy, code, x, sums, bias_sums, memories[thread], top,
        left, np.empty(count, x.dtype), np.empty(count, np.int64),
    )  # fmt: skip


@inner
def _sums(shape, thread, threads, gy, code, x, sums, bias_sums, image, top, left, values, places):
    """sums[part,o,u,v*C+c] of weight_grad for one thread; in values and places it lists numbers"""
    batch, channels, height, width = x.shape
    parts, outputs, taps, row = sums.shape
    high, wide = gy.shape[2], gy.shape[3]
    vector = lanes(x)
    step, line = tile_columns(shape) * vector, (width + 2 * left) * channels
    pixels, flat = x.reshape(-1), sums.reshape(-1)
    grads, codes = gy.reshape(-1), code.reshape(-1)
    zero = x.dtype.type(0)
    if top > 0 or left > 0:
        for i in range(image.size):
            image[i] = zero
    for part in range(parts * thread // threads, parts * (thread + 1) // threads):
        for i in range(outputs * taps * row):
            flat[part * outputs * taps * row + i] = zero
        for o in range(outputs):
            bias_sums[part, o] = 0.0
        for n in range(batch * part // parts, batch * (part + 1) // parts):
            # image[h,w*C+c] = x[n,c,h,w], a margin around it.
            for c in range(channels):
                for h in range(height):
                    source = pixels[((n * channels + c) * height + h) * width :]
                    target = image[(h + top) * line + left * channels + c :]
                    at, apart = np.uint64(0), np.uint64(channels)  # never negative
                    for w in range(width):
                        target[at] = source[w]
                        at += apart
            for o in range(outputs):
                listed = np.uint64(0)
                for i in range(high):
                    at = ((n * outputs + o) * high + i) * wide
                    grad, which = grads[at : at + wide], codes[at : at + wide]
                    for j in range(wide):
                        values[listed] = grad[j]
                        down, right = which[j] >> 1, which[j] & 1
                        places[listed] = (2 * i + down) * line + (2 * j + right) * channels
                        # Where it does not count, the next one is written over it.
                        listed += np.uint64((which[j] < 4) & (grad[j] != zero))
                count = np.int64(listed)
                bias_sums[part, o] += plain_sum(values, count)
                for t in range(0, row, step):
                    at = (part * outputs + o) * taps * row + t
                    tile = load_tile(shape, flat, at, row, vector)
                    for k in range(count):
                        place = entry(places, k) + t
                        tile = add_scaled(tile, values, k, image, place, line, vector)
                    store_tile(tile, flat, at, row, vector)


@task_kernel
def _join(thread, threads, sums, gw):
    """gw[o,c,u,v] = sum_part sums[part,o,u,v*C+c]"""
    parts, _, taps, row = sums.shape
    outputs, channels, _, across = gw.shape
    totals = np.empty(row, np.float64)
    for o in range(outputs * thread // threads, outputs * (thread + 1) // threads):
        for u in range(taps):
            for i in range(row):
                totals[i] = 0.0
            for part in range(parts):
                some = sums[part, o, u]
                for i in range(row):
                    totals[i] += some[i]
            for c in range(channels):
                for v in range(across):
                    gw[o, c, u, v] = totals[v * channels + c]
