"""Images of bytes on their way into a batch: found, cut, mirrored and converted in one pass.

On one thread: loaders call it from threads of their own, and a network may be training meanwhile.
Image i of a batch is number index[i] of `images`. Its pixel (r, q) is there at (r0 + r rs, c0 + q
cs), where r0, rs, c0 and cs are row i of `places`, both steps 1 or -1. Beyond the image lie the
bytes `fill`, one a channel (mode 0), or what `folded` says. An index outside the images adds one to
strays[0].
"""

import numpy as np

from ..jit import exact, inner, kernel
from ..table import BLOCK, array_at, fill_block, move_some

__all__ = ["NUMBERS", "gather", "gather_bytes"]

NUMBERS = 5
"""By which `convert` computes the values of a channel."""

MOST_PIXELS = 1 << 16  # of images whose bytes are put in order first: they stay in the cache


@kernel()
def gather(images, index, places, table, fill, y, strays, mode):
    """y[i, c, r, q] = table[c, images[index[i], r0 + r rs, c0 + q cs, c]]

    Behind the 256 values of each channel `table` may hold five numbers for each, of which `convert`
    makes the same values: to compute them is faster than to look them up.
    """
    count, height, width, channels = images.shape
    n, _, rows, columns = y.shape
    # Views without an owner: to count an owner's references takes longer than to convert a row.
    source, target, values = images.ctypes.data, y.ctypes.data, table.ctypes.data
    byte, real = np.empty(0, np.uint8), np.empty(0, y.dtype)
    size, part = height * width, rows * columns
    computed = table.size > channels * 256 and max(size, part) <= MOST_PIXELS
    # An image's bytes by channels, then those of the result, each with room for whole blocks.
    room = np.empty(channels * (size + part) + 2 * BLOCK if computed else 0, np.uint8)
    planes = room.ctypes.data + BLOCK
    moved = planes + channels * size
    strays[0] = 0
    for i in range(n):
        k = index[i]
        if k < -count or k >= count:
            strays[0] += 1
            continue
        image = (k if k >= 0 else k + count) * height
        start, step = places[i, 2], places[i, 3]
        first, inside, low = span(start, step, width, columns)
        if computed:
            split(source, image * width, channels, size, planes, byte)
            whole = places[i, 0] == 0 and places[i, 1] == 1 and rows == height
            whole = whole and step == 1 and inside == columns and inside == width
            for c in range(channels):
                if not whole:
                    plane = planes + c * size, height, width
                    wanted = moved + c * part, rows, columns
                    arrange(plane, wanted, places, i, fill[c], mode, byte)
                convert(
                    array_at(planes if whole else moved, c * part, part, byte),
                    array_at(values, channels * 256 + c * NUMBERS, NUMBERS, real),
                    array_at(target, (i * channels + c) * part, part, real),
                )
            continue
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
                        look_up(pixels, 3, step, of_value, middle)
                    else:
                        look_up(pixels, channels, step, of_value, middle)
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
                        column = folded(start + step * q, width, mode)
                        out[q] = of_value[pixels[column * channels + c]]
    if computed:
        room[0] = 0  # Numba frees an array after its last use: what is done by address is none


@inner
def arrange(plane, wanted, places, i, fill, mode, byte):
    """Each byte of a channel of image i in the place where `gather` wants it

    plane, wanted: the addresses, rows and columns of what there is and of what is made. Rows are
    made in whole blocks, the last of each row first: what they write behind a row's end is
    overwritten by those that follow.
    """
    pixels, height, width = plane
    target, rows, columns = wanted
    start, step = places[i, 2], places[i, 3]
    first, inside, _ = span(start, step, width, columns)
    row_start, row_step = places[i, 0], places[i, 1]
    for q in range((columns - 1) // BLOCK * BLOCK, -1, -BLOCK):
        begin = max(first - q, 0)
        count = min(first + inside - q, BLOCK) - begin
        shift = start + q if step > 0 else start - q - BLOCK + 1
        for r in range(rows):
            row = row_start + row_step * r
            if mode != 0:
                row = folded(row, height, mode)
            line, out = pixels + row * width + shift, target + r * columns + q
            if row < 0 or row >= height or count <= 0:
                fill_block(fill, out)
            elif step > 0:
                move_some(line, out, begin, count, fill, False)
            else:
                move_some(line, out, begin, count, fill, True)
    if mode != 0 and inside < columns:
        for r in range(rows):
            row = folded(row_start + row_step * r, height, mode)
            given = array_at(pixels, row * width, width, byte)
            made = array_at(target, r * columns, columns, byte)
            for q in range(columns):
                if q < first or q >= first + inside:
                    made[q] = given[folded(start + step * q, width, mode)]


@inner
def split(source, first, channels, size, planes, byte):
    """planes[c, q] = source[first + q, c], of so many pixels"""
    if channels == 3:  # a loop of its own, which shuffles vectors
        pixels = array_at(source, 3 * first, 3 * size, byte)
        a, b, c = (
            array_at(planes, 0, size, byte),
            array_at(planes, size, size, byte),
            array_at(planes, 2 * size, size, byte),
        )
        for q in range(size):
            a[q] = pixels[3 * q]
            b[q] = pixels[3 * q + 1]
            c[q] = pixels[3 * q + 2]
        return
    pixels = array_at(source, channels * first, channels * size, byte)
    for k in range(channels):
        a = array_at(planes, k * size, size, byte)
        for q in range(size):
            a[q] = pixels[q * channels + k]


@exact
def convert(plane, numbers, out):
    """out[q] = (plane[q] / divisor - mean) / deviation

    numbers: the divisor and its reciprocal, the mean, the deviation and its reciprocal. A quotient
    is a product, corrected by what remains: if a multiply-add rounds once, that is the rounded
    quotient but for rare divisors. P. Markstein, "Computation of elementary functions on the IBM
    RISC System/6000 processor", 1990.
    """
    divisor, by_divisor, mean = numbers[0], numbers[1], numbers[2]
    deviation, by_deviation = numbers[3], numbers[4]
    for q in range(out.size):
        x = numbers.dtype.type(np.int32(plane[q]))
        x = quotient(x, divisor, by_divisor) - mean
        out[q] = quotient(x, deviation, by_deviation)


@exact
def quotient(x, y, by_y):
    """x / y, given 1 / y"""
    z = x * by_y
    return z + (x - z * y) * by_y


@inner
def look_up(pixels, channels, step, of_value, out):
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
