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
from .simd import (
    VECTOR_BYTES,
    add_scaled,
    entry,
    lanes,
    load,
    load_inside,
    load_tile,
    store,
    store_threes,
    store_tile,
    tile_columns,
    zero_tile,
)

FRAME = 9  # vectors of a frame that are summed at once
WINDOWS = 32  # whose frames stay near, if a row has no more
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
    grads, codes, flat = gy.reshape(-1), code.reshape(-1), sums.reshape(-1)
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
    plane, vector, pixels = height * width, lanes(x), x.reshape(-1)
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
    max_pool_pairs_grad makes of gy and code"""
    _, channels, height, width = gx.shape
    outputs, _, taps, across = w.shape
    step = FRAME * VECTOR_BYTES // gx.itemsize
    parts = -(-(taps + 1) * (across + 1) * channels // step)
    frames = shaped_workspace("sparse frames", (outputs, 4, parts, step), gx.dtype)
    _frames(threads_for(frames.size), w, frames)
    windows = max(WINDOWS, gy.shape[3])
    size = (height + 2 * padding[0]) * (width + 2 * padding[1]) * channels + step
    size += windows * (parts * step + outputs)
    threads = threads_for(gy.size * parts * step)
    memory = workspace("sparse image", threads, size, gx.dtype)
    _spread_frames(threads, gy, w, frames, gx, memory, code, *padding)


@task_kernel
def _frames(thread, threads, w, frames):
    """frames[o,k] = the filter of output o, channels last, in a frame one row and column larger

    It lies where a window's number k puts it: k // 2 rows from the top and k % 2 columns in.
    """
    outputs, channels, taps, across = w.shape
    size, row = frames.shape[2] * frames.shape[3], (across + 1) * channels
    w, frames, zero = w.reshape(-1), frames.reshape(-1), w.dtype.type(0)
    for o in range(outputs * thread // threads, outputs * (thread + 1) // threads):
        for k in range(4):
            frame = frames[(4 * o + k) * size : (4 * o + k + 1) * size]
            for i in range(size):
                frame[i] = zero
            for c in range(channels):
                for u in range(taps):
                    taps_of_row = w[((o * channels + c) * taps + u) * across :]
                    target = frame[(u + (k >> 1)) * row + (k & 1) * channels + c :]
                    at, apart = np.uint64(0), np.uint64(channels)  # never negative
                    for v in range(across):
                        target[at] = taps_of_row[v]
                        at += apart


@task_kernel
def _spread_frames(thread, threads, gy, w, frames, gx, memories, code, top, left):
    """input_grad by frames of filters"""
    places = np.empty(gy.shape[1] * max(WINDOWS, gy.shape[3]), np.int64)
    _spread(
        zero_tile(gx, 1, FRAME), thread, threads, gy, w, frames, gx, memories[thread], code, top,
        left, places,
    )  # fmt: skip


@inner
def _spread(shape, thread, threads, gy, w, frames, gx, memory, code, top, left, places):
    """input_grad for one thread; places has one for each output of some windows"""
    batch, channels, height, width = gx.shape
    outputs, high, wide = gy.shape[1:]
    taps, across = w.shape[2:]
    parts, step = frames.shape[2], frames.shape[3]
    vector, most = lanes(gx), max(WINDOWS, wide)
    row, line = (across + 1) * channels, (width + 2 * left) * channels
    whole = row // vector * vector
    grads, codes = gy.reshape(-1), code.reshape(-1)
    target, frames = gx.reshape(-1), frames.reshape(-1)
    sums, values = memory[: most * parts * step], memory[most * parts * step :]
    pixels = values[most * outputs :][: (height + 2 * top) * line + vector]
    zero = gx.dtype.type(0)
    for n in range(batch * thread // threads, batch * (thread + 1) // threads):
        # pixels[r,s*C+c] = the sum of all frames, a margin around gx.
        for i in range(pixels.size):
            pixels[i] = zero
        for first in range(0, high * wide, most // wide * wide):
            windows = min(most // wide * wide, high * wide - first)
            for o in range(outputs):
                at = (n * outputs + o) * high * wide + first
                grad, which = grads[at : at + windows], codes[at : at + windows]
                for q in range(windows):
                    counts = which[q] < 4
                    values[q * outputs + o] = grad[q] if counts else zero
                    places[q * outputs + o] = (4 * o + which[q] * counts) * parts * step
            for part in range(parts):
                for q in range(windows):
                    tile = shape
                    for k in range(q * outputs, (q + 1) * outputs):
                        place = entry(places, k) + part * step
                        tile = add_scaled(tile, values, k, frames, place, 0, vector)
                    store_tile(tile, sums, (q * parts + part) * step, 0, vector)
            for q in range(windows):
                i, j = (first + q) // wide, (first + q) % wide
                at, begin = 2 * (i * line + j * channels), q * parts * step
                for _ in range(taps + 1):
                    for k in range(0, whole, vector):
                        store(load(pixels, at + k) + load(sums, begin + k), pixels, at + k)
                    if whole < row:
                        more = load_inside(sums, begin + whole, 0, row - whole)
                        store(load(pixels, at + whole) + more, pixels, at + whole)
                    at, begin = at + line, begin + row
        for c in range(channels):
            for r in range(height):
                source = pixels[(r + top) * line + left * channels + c :]
                place = ((n * channels + c) * height + r) * width
                out = target[place : place + width]
                at, apart = np.uint64(0), np.uint64(channels)  # never negative
                for s in range(width):
                    out[s] = source[at]
                    at += apart
