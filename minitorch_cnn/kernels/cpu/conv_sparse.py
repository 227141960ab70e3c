"""The gradients of a convolution whose result is pooled in pairs.

Of four numbers in a window only the largest counts, and none where relu cut it off. So instead of
sums over all positions there are sums over those that count. For the weight each such number is
multiplied by the part of the image that the kernel saw there, for the input by the filter. With the
channels last, each row of either is one stretch of memory.
"""

import numpy as np

from ..jit import driver, inner, threads_for
from ..tasks import task_kernel
from ..workspace import shaped_workspace, workspace
from .conv_layout import add_up, plain_sum
from .processor import VECTOR_BYTES
from .simd import as_row, entry, lanes, store_threes
from .simd_tiles import add_scaled, add_tile, load_tile, store_tile, tile_columns, zero_tile

NUMBERS = 5  # of a window, one of which counts; the last stands for none
PARTS = 16  # of the batch, summed apart: by the shape alone, whatever the number of threads
WIDTHS = {3: 3, 5: 1}  # by the rows of a kernel: how many vectors of a row a tile has


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
        left, np.empty(count, x.dtype), np.empty(2 * count + 5, np.int64),
    )  # fmt: skip


@task_kernel
def _sums_of_5(thread, threads, gy, x, sums, bias_sums, memories, code, top, left):
    """sums[part,o,u,v*C+c] of weight_grad for kernels of 5 rows"""
    count = gy.shape[2] * gy.shape[3]
    _sums(
        zero_tile(x, 5, 1), thread, threads, gy, code, x, sums, bias_sums, memories[thread], top,
        left, np.empty(count, x.dtype), np.empty(2 * count + 5, np.int64),
    )  # fmt: skip


@inner
def _sums(shape, thread, threads, gy, code, x, sums, bias_sums, image, top, left, values, places):
    """sums[part,o,u,v*C+c] of weight_grad for one thread; in values and places it lists numbers"""
    batch, channels, _, width = x.shape
    parts, outputs, taps, row = sums.shape
    high, wide = gy.shape[2], gy.shape[3]
    vector = lanes(x)
    step, line = tile_columns(shape) * vector, (width + 2 * left) * channels
    grads, codes, flat = as_row(gy), as_row(code), as_row(sums)
    zero = x.dtype.type(0)
    windows = high * wide
    corners = places[windows : 2 * windows]
    for q in range(windows):
        corners[q] = 2 * (q // wide * line + q % wide * channels)
    offsets = places[2 * windows :]  # of a window's numbers, and one for what is cut off
    for k in range(5):
        offsets[k] = k // 2 % 2 * line + k % 2 * channels
    if top > 0 or left > 0:
        for i in range(image.size):
            image[i] = zero
    for part in range(parts * thread // threads, parts * (thread + 1) // threads):
        cleared = flat[part * outputs * taps * row : (part + 1) * outputs * taps * row]
        for i in range(cleared.size):
            cleared[i] = zero
        for o in range(outputs):
            bias_sums[part, o] = 0.0
        for n in range(batch * part // parts, batch * (part + 1) // parts):
            # image[h,w*C+c] = x[n,c,h,w], a margin around it.
            _put_channels_last(x[n], image[top * line + left * channels :], line)
            for o in range(outputs):
                listed = np.uint64(0)
                at = (n * outputs + o) * windows
                grad, which = grads[at : at + windows], codes[at : at + windows]
                for q in range(windows):
                    values[listed] = grad[q]
                    places[listed] = corners[q] + entry(offsets, which[q])
                    # Where it does not count, the next one is written over it.
                    listed += np.uint64(which[q] < 4)
                count = np.int64(listed)
                bias_sums[part, o] += plain_sum(values, count)
                for t in range(0, row, step):
                    at = (part * outputs + o) * taps * row + t
                    tile = load_tile(shape, flat, at, row, vector)
                    for k in range(count):
                        place = entry(places, k) + t
                        tile = add_scaled(tile, values, k, image, place, line, vector)
                    store_tile(tile, flat, at, row, vector)


@inner
def _put_channels_last(x, image, line):
    """image[h*line + w*C + c] = x[c,h,w]"""
    channels, height, width = x.shape
    plane, vector, pixels = height * width, lanes(x), as_row(x)
    if channels == 3 and width >= vector:  # an image's colours
        for h in range(height):
            for q in range(0, width, vector):
                w = min(q, width - vector)
                store_threes(pixels, h * width + w, plane, image, h * line + 3 * w)
        return
    for c in range(channels):
        for h in range(height):
            source, target = pixels[c * plane + h * width :], image[h * line + c :]
            at, apart = np.uint64(0), np.uint64(channels)  # never negative
            for w in range(width):
                target[at] = source[w]
                at += apart


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


@driver
def input_grad(gy, code, w, gx, padding):
    """gx[n,c,r,s] = sum of g[n,o,i,j] w[o,c,u,v] where r = i+u-ph and s = j+v-pw; g is what
    max_pool_pairs_grad makes of gy and code

    A number of gy that is infinite or NaN spoils whole vectors of the rows that its filter reaches.
    """
    _, channels, height, width = gx.shape
    outputs, _, taps, across = w.shape
    step = 2 * VECTOR_BYTES // gx.itemsize  # elements of a row of a tile
    row = -(-across * channels // step) * step
    filters = shaped_workspace("sparse filters", (outputs, taps, row), gx.dtype)
    _turn_filters(threads_for(filters.size), w, filters)
    size = (height + 2 * padding[0]) * (width + 2 * padding[1]) * channels + row
    size += NUMBERS * gy.shape[3] * outputs
    threads = threads_for(gy.size * taps * row)
    memory = workspace("sparse image", threads, size, gx.dtype)
    run = {3: _spread_filters_of_3, 5: _spread_filters_of_5}[taps]
    run(threads, gy, filters, gx, memory, code, *padding)


@task_kernel
def _turn_filters(thread, threads, w, filters):
    """filters[o,u,v*C+c] = w[o,c,u,v], then 0"""
    outputs, channels, taps, across = w.shape
    row, zero = filters.shape[2], w.dtype.type(0)
    for o in range(outputs * thread // threads, outputs * (thread + 1) // threads):
        for u in range(taps):
            target = filters[o, u]
            for i in range(across * channels, row):
                target[i] = zero
            for c in range(channels):
                at, apart = np.uint64(c), np.uint64(channels)  # never negative
                for v in range(across):
                    target[at] = w[o, c, u, v]
                    at += apart


@task_kernel
def _spread_filters_of_3(thread, threads, gy, filters, gx, memories, code, top, left):
    """input_grad for kernels of 3 rows"""
    _spread_filters(
        zero_tile(gx, 3, 2), thread, threads, gy, filters, gx, memories[thread], code, top, left,
        np.empty(NUMBERS * gy.shape[3] * gy.shape[1], np.int64),
        np.empty(NUMBERS * gy.shape[3], np.int64),
    )  # fmt: skip


@task_kernel
def _spread_filters_of_5(thread, threads, gy, filters, gx, memories, code, top, left):
    """input_grad for kernels of 5 rows"""
    _spread_filters(
        zero_tile(gx, 5, 2), thread, threads, gy, filters, gx, memories[thread], code, top, left,
        np.empty(NUMBERS * gy.shape[3] * gy.shape[1], np.int64),
        np.empty(NUMBERS * gy.shape[3], np.int64),
    )  # fmt: skip


@inner
def _spread_filters(
    shape, thread, threads, gy, filters, gx, memory, code, top, left, places, listed
):
    """input_grad for one thread; places has one for each output at each number of a row's windows,
    listed counts those at each"""
    batch, channels, height, width = gx.shape
    outputs, high, wide = gy.shape[1:]
    taps, row = filters.shape[1:]
    vector, line = lanes(gx), (width + 2 * left) * channels
    step = 2 * vector
    grads, codes, target = as_row(gy), as_row(code), as_row(gx)
    filters, zero = as_row(filters), gx.dtype.type(0)
    values, pixels = memory[: places.size], memory[places.size :]
    pixels, some = pixels[: (height + 2 * top) * line + row], np.uint64(outputs)
    for n in range(batch * thread // threads, batch * (thread + 1) // threads):
        # pixels[r,s*C+c] = the sum of all filters, a margin around gx. Vectors of a row of a filter
        # end in zeros, which are added, too.
        for i in range(pixels.size):
            pixels[i] = zero
        for i in range(high):
            # The outputs of each window of a row, by which of its numbers counts.
            for k in range(listed.size):
                listed[k] = 0
            for o in range(outputs):
                at = ((n * outputs + o) * high + i) * wide
                grad, which = grads[at : at + wide], codes[at : at + wide]
                for j in range(wide):
                    k = np.uint64(NUMBERS * j + which[j])  # never negative
                    place = k * some + np.uint64(entry(listed, k))
                    values[place], places[place] = grad[j], o * taps * row
                    listed[k] += 1
            for j in range(wide):
                corner = 2 * (i * line + j * channels)
                for k in range(NUMBERS - 1):
                    first = (NUMBERS * j + k) * outputs
                    end = first + entry(listed, NUMBERS * j + k)
                    if first == end:
                        continue
                    begin = corner + (k >> 1) * line + (k & 1) * channels
                    for t in range(0, row, step):
                        tile = shape
                        for m in range(first, end):
                            place = entry(places, m) + t
                            tile = add_scaled(tile, values, m, filters, place, row, vector)
                        add_tile(tile, pixels, begin + t, line, vector)
        for c in range(channels):
            for r in range(height):
                source = pixels[(r + top) * line + left * channels + c :]
                place = ((n * channels + c) * height + r) * width
                out = target[place : place + width]
                at, apart = np.uint64(0), np.uint64(channels)  # never negative
                for s in range(width):
                    out[s] = source[at]
                    at += apart
