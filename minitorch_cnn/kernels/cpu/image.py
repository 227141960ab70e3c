"""Images of bytes on their way into a batch: found, cut, mirrored and converted in one pass.

On one thread: loaders call it from threads of their own, and a network may be training meanwhile.
Image i of a batch is number index[i] of `images`. Its pixel (r, q) is there at (r0 + r rs, c0 + q
cs), where r0, rs, c0 and cs are row i of `places`, both steps 1 or -1. Beyond the image lie the
bytes `fill`, one a channel (mode 0), or what `folded` says. An index outside the images adds one to
strays[0].
"""

import numpy as np

from ..jit import inner, kernel
from ..table import array_at

__all__ = ["gather", "gather_bytes"]


@kernel()
def gather(images, index, places, table, fill, y, strays, mode):
    """y[i, c, r, q] = table[c, images[index[i], r0 + r rs, c0 + q cs, c]]"""
    count, height, width, channels = images.shape
    n, _, rows, columns = y.shape
    # Views without an owner: to count an owner's references takes longer than to convert a row.
    source, target, values = images.ctypes.data, y.ctypes.data, table.ctypes.data
    byte, real = np.empty(0, np.uint8), np.empty(0, y.dtype)
    strays[0] = 0
    for i in range(n):
        k = index[i]
        if k < -count or k >= count:
            strays[0] += 1
            continue
        image = (k if k >= 0 else k + count) * height
        start, step = places[i, 2], places[i, 3]
        first, inside, low = span(start, step, width, columns)
        for r in range(rows):
            row = places[i, 0] + places[i, 1] * r
            if mode != 0:
                row = folded(row, height, mode)
            there = 0 <= row < height
            pixels_at = (image + row) * width * channels
            for c in range(channels):
                out_at = ((i * channels + c) * rows + r) * columns
                out, of_value = (
                    array_at(target, out_at, columns, real),
                    array_at(values, c * 256, 256, real),
                )
                if there and inside > 0:
                    middle = array_at(target, out_at + first, inside, real)
                    pixels = array_at(
                        source, pixels_at + low * channels + c, inside * channels - c, byte
                    )
                    if channels == 3:  # as a constant it makes the index cheap
                        convert(pixels, 3, step, of_value, middle)
                    else:
                        convert(pixels, channels, step, of_value, middle)
                if mode == 0:
                    beyond = of_value[fill[c]]
                    before = first if there else columns
                    for q in range(before):
                        out[q] = beyond
                    for q in range(first + inside, columns if there else 0):
                        out[q] = beyond
                elif inside < columns:
                    pixels = array_at(source, pixels_at, width * channels, byte)
                    for q in range(columns):
                        there = folded(start + step * q, width, mode)
                        out[q] = of_value[pixels[there * channels + c]]


@inner
def convert(pixels, channels, step, of_value, out):
    """out[q] = of_value[pixels[q channels]], backwards if step < 0"""
    if step > 0:
        for q in range(out.size):
            out[q] = of_value[pixels[q * channels]]
    else:
        for q in range(out.size):
            out[out.size - 1 - q] = of_value[pixels[q * channels]]


@kernel()
def gather_bytes(images, index, places, fill, y, strays, mode):
    """y[i, r, q] = images[index[i], r0 + r rs, c0 + q cs]"""
    count, height, width, channels = images.shape
    n, rows, columns, _ = y.shape
    strays[0] = 0
    for i in range(n):
        k = index[i]
        if k < -count or k >= count:
            strays[0] += 1
            continue
        image = images[k if k >= 0 else k + count]
        for r in range(rows):
            row = places[i, 0] + places[i, 1] * r
            for q in range(columns):
                column = places[i, 2] + places[i, 3] * q
                if mode != 0:
                    row, column = folded(row, height, mode), folded(column, width, mode)
                there = 0 <= row < height and 0 <= column < width
                for c in range(channels):
                    y[i, r, q, c] = image[row, column, c] if there else fill[c]


@inner
def span(start, step, width, columns):
    """Of `columns` places from `start` on, the first that lies within [0, width), how many do, and
    the lowest of theirs"""
    first = -start if step > 0 else start - (width - 1)
    first = min(max(first, 0), columns)
    end = width - start if step > 0 else start + 1
    inside = max(min(end, columns) - first, 0)
    begin = start + step * first
    return first, inside, begin if step > 0 else begin - inside + 1


@inner
def folded(i, size, mode):
    """Which of `size` elements stands at place i of a row that repeats the last one (mode 1) or
    mirrors it, without (2) or with (3) the element at the edge"""
    last = size - 1
    if mode == 1:
        return min(max(i, 0), last)
    while i < 0 or i > last:
        if i < 0:
            i = -i if mode == 2 else -1 - i
        else:
            i = 2 * last - i if mode == 2 else 2 * last + 1 - i
    return i
