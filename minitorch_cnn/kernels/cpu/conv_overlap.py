"""The gradient of a convolution's input as a product of matrices, added up where taps overlap.

Each tap of a kernel carries the gradient of the whole result to another place of the input. As sums
over an input's positions that takes a margin of zeros, which is multiplied with the rest: of small
images it is about as large as they are. The product has only the numbers that count, and its lanes
are full, as planes are read from end to end. (Its adjoint is known as im2col, itself as col2im.)
"""

import numpy as np

from ..jit import inner
from ..tasks import task_kernel
from .simd import as_row, lanes, load, load_inside, store, store_first, zeros
from .simd_tiles import column_offsets, multiply_add, store_tile, tile_rows, zero_tile
from .tiles import TALL


@task_kernel
def spread_taps(thread, threads, gy, w, gx, memories, top, left, some):
    """gx[n,c,r,s] = sum_{u,v} sum_o gy[n,o,r+top-u,s+left-v] w[o,c,u,v], `some` channels at once"""
    batch, outputs, high, wide = gy.shape
    channels, height, width = gx.shape[1:]
    taps = w.shape[2] * w.shape[3]
    plane, terms = high * wide, channels * taps
    memory, vector = memories[thread], lanes(gy)
    flat, weight, target = as_row(gy), as_row(w), as_row(gx)
    image = memory[some * taps * plane :]
    places = np.empty((plane + vector - 1) // vector, np.int64)
    for q in range(places.size):
        places[q] = min(q * vector, plane - vector)
    three, two, one = zero_tile(gy, TALL, 3), zero_tile(gy, TALL, 2), zero_tile(gy, TALL, 1)
    blocks = (channels + some - 1) // some
    tasks = batch * blocks
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        n, c0 = task // blocks, task % blocks * some
        c1 = min(channels, c0 + some)
        rows, at = (c1 - c0) * taps, n * outputs * plane
        for q in range(0, places.size, 3):
            here = places.size - q
            if here >= 3:
                _carried(three, flat, at, plane, weight, c0 * taps, terms, rows, places, q, memory)
            elif here == 2:
                _carried(two, flat, at, plane, weight, c0 * taps, terms, rows, places, q, memory)
            else:
                _carried(one, flat, at, plane, weight, c0 * taps, terms, rows, places, q, memory)
        for c in range(c0, c1):
            _overlapped(
                memory, (c - c0) * taps * plane, w.shape[2], w.shape[3], high, wide,
                target, (n * channels + c) * height * width, height, width, top, left, image,
            )  # fmt: skip


@inner
def _carried(shape, gy, at, plane, w, first, terms, rows, places, q, memory):
    """memory[k*plane + p] = sum_o gy[at + o*plane + p] w[o*terms + first + k] for k < rows and p of
    the shape's columns of vectors from place q"""
    outputs = w.size // terms
    columns = column_offsets(shape, places, q)
    for i in range(0, rows, tile_rows(shape)):
        k = min(i, rows - tile_rows(shape))
        tile = shape
        for o in range(outputs):
            tile = multiply_add(tile, w, o * terms + first + k, 1, gy, at + o * plane, columns)
        store_tile(tile, memory, k * plane, plane, columns)


@inner
def _overlapped(memory, first, taps, across, high, wide, gx, to, height, width, top, left, image):
    """gx[to + r*width + s] =
    sum_{v,u} memory[first + ((u*across+v)*high + r+top-u)*wide + s+left-v]

    A vector of columns at a time: `image` has its sums, row by row.
    """
    vector, plane = lanes(gx), high * wide
    for s in range(0, width, vector):
        for r in range(height):
            store(zeros(gx), image, r * vector)
        for v in range(across):
            begin, end = max(0, v - left - s), min(width, wide + v - left) - s
            for u in range(taps):
                i0, i1 = max(0, top - u), min(high, height + top - u)
                at = first + (u * across + v) * plane + i0 * wide + s + left - v
                row = (i0 + u - top) * vector
                for _ in range(i0, i1):
                    more = load_inside(memory, at, begin, end)
                    store(load(image, row) + more, image, row)
                    at, row = at + wide, row + vector
        for r in range(height):
            store_first(load(image, r * vector), gx, to + r * width + s, width - s)
