"""Winograd's convolution F(2x2, 3x3): 16 products where four sums of nine terms have 36.

For a 4 x 4 tile d of the source and a filter g, the 2 x 2 results are

    A^T [ (G g G^T) * (B^T d B) ] A        * element by element

    B^T = 1  0 -1  0     G = 1    0    0      A^T = 1  1  1  0
          0  1  1  0         1/2  1/2  1/2          0  1 -1 -1
          0 -1  1  0         1/2 -1/2  1/2
          0  1  0 -1         0    0    1

so that over many channels each of the 16 *points* is a matrix product. Lanes are neighbouring
tiles. The gradient of the weight is the adjoint, G^T [sum over tiles of (A gy A^T) * (B^T d B)] G.
All factors are 1 or 1/2: the error is that of the direct sum.

With a dilation d, only elements that lie d apart meet: an image falls into d x d images, each with
a convolution of its own.

A task takes some rows of tiles, of one image or several. `memories` has a row for each thread.
Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015).
"""

import numpy as np

from ..jit import allocating, inner
from ..tasks import task_kernel
from .simd import (
    as_row,
    broadcast,
    copy_few,
    entry,
    lanes,
    load,
    load_inside,
    parted,
    prefetch,
    prefetch_to_write,
    store,
    store_interleaved,
    transpose,
    zeros,
)
from .simd_tiles import (
    add_tile,
    multiply_add,
    row_offsets,
    store_tile,
    tile_columns,
    tile_rows,
    zero_tile,
)
from .tiles import BROAD, FOUR, SLIM

POINTS = 16
OUTPUTS = 32  # channels of the target whose products are in memory at once

# Elements by which points lie further apart than they are long. At multiples of a page's size their
# places in the fastest memory would be the same.
SKEW = 16

# What a task looks up of each of its rows of tiles: of which image it is, its number there and
# where the elements that meet begin in a plane of the source, with how many rows and columns of
# them; where its results lie in a plane of the target, how many rows and columns of them.
IMAGE, NUMBER, SOURCE, ROWS, COLUMNS, TARGET, HIGH, WIDTH = range(8)
FOUND = 8


def winograd_size(m, lines, task_rows, across, vector):
    """Elements of memory for the points of so many lines of tiles of m x m, of which the channels
    of the source are one part and those of the target the other; and for the columns of tiles."""
    padded = (task_rows * across + 2 * vector - 1) // vector * vector
    strips = m * (m + 2) * (2 * task_rows * across + 2 * vector)
    return (m + 2) ** 2 * (lines * padded + 2 * SKEW) + strips + m * (across + 2)


@task_kernel
def winograd_weights(thread, threads, weight, points, targets, target_step, source_step, turned):
    """points of [t,e,s] = (G g G^T)[e], g the filter from source s to target t, turned or not

    They lie as `multiply_tiles` reads them: points[t // OUTPUTS, e, t % OUTPUTS // 4, s, t % 4].
    """
    spread_weights(
        4, _spread, thread, threads, weight, points, targets, target_step, source_step, turned
    )


@allocating
def spread_weights(
    line, spread, thread, threads, weight, points, targets, target_step, source_step, turned
):
    """The points of filters to a multiple of four targets; `spread` is G g, of three vectors, for
    as many as a `line`"""
    count = line * line
    sources = points.size // (count * targets)
    vector = lanes(points)
    g, half = np.empty(9 * vector, points.dtype), np.empty(3 * line * vector, points.dtype)
    out, pairs = np.empty(4 * count * vector, points.dtype), np.empty(4 * vector, points.dtype)
    for four in range(thread * targets // (4 * threads), (thread + 1) * targets // (4 * threads)):
        block = 4 * four // OUTPUTS * OUTPUTS
        some = min(OUTPUTS, targets - block)
        for first in range(0, sources, vector):
            here = min(vector, sources - first)
            for k in range(4):
                for lane in range(vector):
                    source = first + min(lane, here - 1)
                    filter = weight[(4 * four + k) * target_step + source * source_step :]
                    for i in range(9):
                        g[i * vector + lane] = filter[8 - i if turned else i]
                for v in range(3):
                    spread(g, v * vector, 3 * vector, half, v * vector, 3 * vector)
                for u in range(line):
                    to = (k * count + line * u) * vector
                    spread(half, 3 * u * vector, vector, out, to, vector)
            for e in range(count):
                to = (block * count + e * some + 4 * four - block) * sources + 4 * first
                if here == vector:
                    _store_fours(out, e * vector, count * vector, pairs, points, to)
                    continue
                for lane in range(here):
                    for k in range(4):
                        points[to + 4 * lane + k] = out[(k * count + e) * vector + lane]


@inner
def _store_fours(x, at, step, pairs, y, to):
    """y[to + 4*lane + k] = x[at + k*step + lane] for k < 4"""
    vector = lanes(x)
    for k in range(2):
        even, odd = load(x, at + k * step), load(x, at + (k + 2) * step)
        store_interleaved(even, odd, pairs, 2 * k * vector)
    for k in range(2):
        even, odd = load(pairs, k * vector), load(pairs, (2 + k) * vector)
        store_interleaved(even, odd, y, to + 2 * k * vector)


@inner
def _spread(g, i, step, out, j, out_step):
    """G g: three vectors into four"""
    a, b, c = load(g, i), load(g, i + step), load(g, i + 2 * step)
    both, middle = (a + c) * 0.5, b * 0.5
    store(a, out, j)
    store(both + middle, out, j + out_step)
    store(both - middle, out, j + 2 * out_step)
    store(c, out, j + 3 * out_step)


@task_kernel
def winograd(thread, threads, x, points, bias, y, memories, top, left, apart, task_rows):
    """y[n,o,i,j] = bias[o] + sum_{c,u,v} x[n,c,i+(u-top)d,j+(v-left)d] w[o,c,u,v], d = apart

    The points are of w.
    """
    multiply_tiles(
        2, _part, _spread_tile, _join_tile, thread, threads, x, points, bias, y, memories, top,
        left, apart, task_rows,
    )  # fmt: skip


@allocating
def multiply_tiles(
    m, part, spread_tile, join_tile, thread, threads, x, points, bias, y, memories, top, left,
    apart, task_rows,
):  # fmt: skip
    """`winograd` for tiles of m x m results and the transforms of such tiles"""
    batch, channels, height, width = x.shape
    outputs, high, wide = y.shape[1:]
    down, across = _every(high, apart * m), _every(wide, apart * m)
    x, y = as_row(x), as_row(y)
    vector = lanes(x)
    count = (m + 2) * (m + 2)
    padded = _padded(task_rows * across, vector)
    memory = memories[thread]
    spread = memory
    point, product_point = channels * padded + SKEW, OUTPUTS * padded + SKEW
    products = memory[count * point :]
    strips = products[count * product_point :]
    half, found = np.empty(count * vector, x.dtype), np.empty(task_rows * FOUND, np.int64)
    full, rest = zero_tile(x, 4, FOUR), zero_tile(x, 4, 2)
    rows = batch * apart * apart * down
    in_place = apart == 1 and across % vector == high % m == wide % m == 0
    tasks = (rows + task_rows - 1) // task_rows
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        first, last = task * task_rows, min(rows, (task + 1) * task_rows)
        here = last - first
        _find_rows(m, first, last, apart, height, width, high, wide, found)
        for c in range(channels):
            _spread_tiles(
                m, part, spread_tile, x, c, channels, height, width, top, left, apart, found, here,
                across, strips, spread, c * padded, point, half,
            )  # fmt: skip
        vectors = (here * across + vector - 1) // vector
        for o in range(0, outputs, OUTPUTS):
            some = min(OUTPUTS, outputs - o)
            # A few tiles' vectors stay in the fastest memory for all these outputs, whose points
            # are read as they lie.
            for e in range(count):
                v = 0
                while v < vectors:
                    whole = v + FOUR <= vectors
                    place = e * point + v * vector
                    for k in range(0, some, 4):
                        at = (o * count + e * some + k) * channels
                        to = e * product_point + k * padded + v * vector
                        if whole:
                            _multiply(full, points, at, channels, spread, place, padded, products,
                                      to)  # fmt: skip
                        else:
                            _multiply(rest, points, at, channels, spread, place, padded, products,
                                      to)  # fmt: skip
                    v += FOUR if whole else 2
            for k in range(some):
                shift, at = broadcast(bias, o + k), k * padded
                for row in range(here):
                    next_channel = _place(found, row, o + k + 1, outputs, high * wide)
                    prefetch_to_write(y, next_channel, m * apart * wide)
                if in_place:
                    for row in range(here):
                        to = _place(found, row, o + k, outputs, high * wide)
                        for q in range(0, across, vector):
                            join_tile(products, at + row * across + q, product_point, shift, y,
                                      to + m * q, wide, half)  # fmt: skip
                    continue
                line = m * padded
                for q in range(0, vectors * vector, vector):
                    join_tile(products, at + q, product_point, shift, strips, m * q, line, half)
                for row in range(here):
                    to = _place(found, row, o + k, outputs, high * wide)
                    columns = entry(found, row * FOUND + WIDTH)
                    for i in range(min(m, entry(found, row * FOUND + HIGH))):
                        begin = i * line + row * m * across
                        _copy_to(strips, begin, columns, y, to + i * apart * wide, apart)


@inner
def _place(found, row, channel, channels, plane):
    """Where the results of a row of tiles begin in a channel of the target."""
    image = entry(found, row * FOUND + IMAGE)
    return (image * channels + channel) * plane + entry(found, row * FOUND + TARGET)


@inner
def _copy_to(x, at, count, y, to, step):
    """y[to + q*step] = x[at + q] for q < count"""
    vector = lanes(x)
    if step == 1:
        for q in range(0, count, vector):
            copy_few(x, at + q, y, to + q, min(vector, count - q))
    else:
        for q in range(count):
            y[to + q * step] = x[at + q]


@inner
def _every(size, apart):
    """How many of so many elements every `apart`-th is."""
    return (size + apart - 1) // apart


@inner
def _find_rows(m, first, last, apart, height, width, high, wide, found):
    """The table of some rows of tiles: divisions take long, and each channel needs their results"""
    down, images = _every(high, apart * m), apart * apart
    for row in range(first, last):
        image, r = row // down, row % down
        a, b = image % images // apart, image % apart
        i = apart * m * r + a
        of = (row - first) * FOUND
        found[of + IMAGE], found[of + NUMBER] = image // images, r
        found[of + SOURCE], found[of + TARGET] = a * width + b, i * wide + b
        found[of + ROWS], found[of + COLUMNS] = _every(height - a, apart), _every(width - b, apart)
        found[of + HIGH], found[of + WIDTH] = _every(high - i, apart), _every(wide - b, apart)


@inner
def _padded(tiles, vector):
    """Elements for a line of tiles, and for what the last vector writes beyond them."""
    return (tiles + 2 * vector - 1) // vector * vector


@inner
def _multiply(shape, points, at, channels, spread, place, padded, products, to):
    """products[to + m*padded + p] = sum_c points[at + 4*c + m] spread[place + c*padded + p],
    m < 4, p up to the tile's width"""
    vector = lanes(points)
    tile = shape
    for c in range(channels):
        tile = multiply_add(tile, points, at + 4 * c, 1, spread, place + c * padded, vector)
    store_tile(tile, products, to, padded, vector)


@inner
def _spread_tiles(
    m, part, spread_tile, x, c, channels, height, width, top, left, apart, found, rows, across,
    strips, spread, place, point, half,
):  # fmt: skip
    """spread[place + e*point + tile] = (B^T d B)[e] of channel c for the tiles of some rows

    For rows of tiles one below the other, a *run*,
    strips[(phase*(m+2) + v)*size + k*across + q] = x[m*k + phase - top, m*q + v - left], 0 outside
    x: the tiles' elements at row u and column v, phase = u % m, follow one another without a gap
    from u // m * across. All runs are laid out before the first is read, for the processor waits
    where a vector is loaded of what has just been stored in parts.
    """
    vector = lanes(x)
    size = 2 * rows * across + 2 * vector
    copied = m * (m + 2) * size  # where elements that lie apart are put side by side
    at = row = 0
    while row < rows:
        run = _run(found, row, rows)
        of = row * FOUND
        columns = entry(found, of + COLUMNS)
        plane = (entry(found, of + IMAGE) * channels + c) * height * width
        plane += entry(found, of + SOURCE)
        for k in range(run + 1):
            for phase in range(m if k < run else 2):
                i = m * (entry(found, of + NUMBER) + k) + phase - top
                end = columns + left if 0 <= i < entry(found, of + ROWS) else 0
                source, here = x, plane + i * apart * width
                if apart > 1:
                    for j in range(end - left):
                        strips[copied + j] = x[here + j * apart]
                    source, here = strips, copied
                # What a vector has beyond the row, the next row is written over.
                for q in range(0, across, vector):
                    to, first = phase * (m + 2) * size + at + k * across + q, left - m * q
                    part(source, here - first, first, end - m * q, strips, to, size)
                next_channel = plane + height * width
                prefetch(x, next_channel + i * apart * width, (end - left) * apart)
        at += (run + 1) * across
        row += run
    at = row = 0
    while row < rows:
        run = _run(found, row, rows)
        for q in range(0, run * across, vector):
            to = place + row * across + q
            spread_tile(strips, at + q, across, size, spread, to, point, half)
        at += (run + 1) * across
        row += run


@inner
def _run(found, row, rows):
    """How many rows of tiles from this one on, of so many in all, are of one image."""
    end = row + 1
    while end < rows and entry(found, end * FOUND + NUMBER) > 0:
        end += 1
    return end - row


@inner
def _part(x, i, first, last, strips, to, size):
    """strips[to + v*size + q] = x[i + 2q + v] where first <= 2q + v < last, else 0, for a vector
    of q and v < 4"""
    for v in range(0, 4, 2):
        even, odd = load_parted(x, i + v, first - v, last - v)
        store(even, strips, to + v * size)
        store(odd, strips, to + (v + 1) * size)


@inner
def load_parted(x, i, first, last):
    """The vectors x[i + 2q] and x[i + 2q + 1], 0 outside first <= 2q (+ 1) < last, where x is not
    read"""
    vector = lanes(x)
    low = _load_between(x, i, first, last)
    high = _load_between(x, i + vector, first - vector, last - vector)
    return parted(low, high)


@inner
def _load_between(x, i, first, last):
    """`load_inside`, without the making of a mask where all is inside or nothing"""
    if first <= 0 and last >= lanes(x):
        return load(x, i)
    if last <= 0 or first >= lanes(x):
        return zeros(x)
    return load_inside(x, i, first, last)


@inner
def _spread_tile(strips, at, across, size, spread, to, point, half):
    """(B^T d B) for a vector of tiles"""
    low = at + across
    a0, a1, a2, a3 = _column(strips, at, low, size)
    b0, b1, b2, b3 = _column(strips, at + size, low + size, size)
    c0, c1, c2, c3 = _column(strips, at + 2 * size, low + 2 * size, size)
    d0, d1, d2, d3 = _column(strips, at + 3 * size, low + 3 * size, size)
    _store_four(_differences(a0, b0, c0, d0), spread, to, point)
    _store_four(_differences(a1, b1, c1, d1), spread, to + 4 * point, point)
    _store_four(_differences(a2, b2, c2, d2), spread, to + 8 * point, point)
    _store_four(_differences(a3, b3, c3, d3), spread, to + 12 * point, point)


@inner
def _column(strips, high, low, size):
    """B^T d for a column of the tiles, of which the lower two rows begin at `low`"""
    return _differences(
        load(strips, high), load(strips, high + 4 * size),
        load(strips, low), load(strips, low + 4 * size),
    )  # fmt: skip


@inner
def _differences(a, b, c, d):
    """B^T d"""
    return a - c, b + c, c - b, b - d


@inner
def _store_four(vectors, y, to, step):
    store(vectors[0], y, to)
    store(vectors[1], y, to + step)
    store(vectors[2], y, to + 2 * step)
    store(vectors[3], y, to + 3 * step)


@inner
def _join_tile(products, at, point, shift, y, to, step, half):
    """y[to + i*step + 2q + j] = shift + (A^T m A)[i,j] of tile q"""
    a0, a1 = _sums(products, at, 4 * point)
    b0, b1 = _sums(products, at + point, 4 * point)
    c0, c1 = _sums(products, at + 2 * point, 4 * point)
    d0, d1 = _sums(products, at + 3 * point, 4 * point)
    store_interleaved(a0 + b0 + c0 + shift, b0 - c0 - d0 + shift, y, to)
    store_interleaved(a1 + b1 + c1 + shift, b1 - c1 - d1 + shift, y, to + step)


@inner
def _sums(m, at, step):
    """A^T m: four vectors into two"""
    a, b, c, d = load(m, at), load(m, at + step), load(m, at + 2 * step), load(m, at + 3 * step)
    return a + b + c, b - c - d


@task_kernel
def winograd_weight_grad(
    thread, threads, gy, x, sums, bias_sums, memories, top, left, apart, task_rows, together
):
    """sums[part,split,e,c,o] = sum over the part's tiles of (A gy A^T)[e] (B^T d B)[e], and
    bias_sums[part,o] = the sum of gy over its rows

    A part is some of all rows of tiles, a split some of the outputs; `winograd_collect` makes the
    gradient of it. Of gy so many rows of tiles are turned `together`.
    """
    batch, channels, height, width = x.shape
    outputs, high, wide = gy.shape[1:]
    parts, splits, _, padded_channels, some = sums.shape
    down, across = _every(high, apart * 2), _every(wide, apart * 2)
    x, gy = as_row(x), as_row(gy)
    vector = lanes(x)
    padded = _padded(task_rows * across, vector)
    spread = memories[thread]
    point, slope_point = channels * padded + SKEW, padded * some + SKEW
    slopes = spread[POINTS * point :]
    strips = slopes[POINTS * slope_point :]
    half = np.empty(0, x.dtype)  # which these transforms do without
    found = np.empty(task_rows * FOUND, np.int64)
    # Channels are taken in whole tiles, of which the last repeats the last channel.
    places = np.empty(padded_channels, np.int64)
    for c in range(padded_channels):
        places[c] = min(c, channels - 1) * padded
    broad, slim = zero_tile(x, BROAD, 2), zero_tile(x, SLIM, 1)
    rows = batch * apart * apart * down
    tasks = parts * splits
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        part, split = task // splits, task % splits
        total = as_row(sums[part, split])
        if bias_sums.size > 0:
            for o in range(split * some, min(outputs, (split + 1) * some)):
                bias_sums[part, o] = 0
        begin, end = part * rows // parts, (part + 1) * rows // parts
        for first in range(begin, end, task_rows):
            last = min(end, first + task_rows)
            _find_rows(2, first, last, apart, height, width, high, wide, found)
            for c in range(channels):
                _spread_tiles(
                    2, _part, _spread_tile, x, c, channels, height, width, top, left, apart, found,
                    last - first, across, strips, spread, c * padded, point, half,
                )  # fmt: skip
            for o in range(0, min(some, outputs - split * some), vector):
                output = split * some + o
                here = min(vector, outputs - output)
                _spread_slopes(
                    gy, output, here, outputs, high, wide, apart, found, last - first, across,
                    together, strips, slopes, o, some, slope_point, bias_sums, part,
                )  # fmt: skip
            tiles, more = (last - first) * across, first > begin
            for e in range(POINTS):
                near, far = e * point, e * slope_point
                to = e * padded_channels * some
                if some == vector:
                    _add_products(slim, spread, near, places, slopes, far, some, tiles, more,
                                  total, to)  # fmt: skip
                else:
                    _add_products(broad, spread, near, places, slopes, far, some, tiles, more,
                                  total, to)  # fmt: skip


@inner
def _add_products(shape, spread, near, places, slopes, far, some, tiles, more, total, to):
    """total[to + c*some + o] = sum over tiles of spread[near + places[c] + tile]
    slopes[far + tile*some + o], o < some; added to what is there if these are `more`"""
    vector = lanes(spread)
    for c in range(0, places.size, tile_rows(shape)):
        offsets = row_offsets(shape, places, c)
        for o in range(0, some, tile_columns(shape) * vector):
            tile = shape
            for p in range(tiles):
                at = far + p * some + o
                tile = multiply_add(tile, spread, near + p, offsets, slopes, at, vector)
            if more:
                add_tile(tile, total, to + c * some + o, some, vector)
            else:
                store_tile(tile, total, to + c * some + o, some, vector)


@inner
def _spread_slopes(
    gy, o, count, outputs, high, wide, apart, found, rows, across, together, turned, slopes, to,
    some, point, bias_sums, part,
):  # fmt: skip
    """slopes[e, tile, to + k] = (A gy A^T)[e] of channel o + k for the tiles of some rows"""
    vector = lanes(gy)
    plane = high * wide
    row = 0
    while row < rows:
        of = row * FOUND
        group = min(together, _run(found, row, rows))
        columns = entry(found, of + WIDTH)
        lines = 2 * (group - 1) + min(2, entry(found, (row + group - 1) * FOUND + HIGH))
        # turned[i*columns + j, k] = gy[o+k] at row i and column j of the tiles
        here = (entry(found, of + IMAGE) * outputs + o) * plane + entry(found, of + TARGET)
        if apart == 1:
            _turn(gy, here, plane, count, 1, lines * columns, turned, 0)
        else:
            for i in range(lines):
                _turn(gy, here + i * apart * wide, plane, count, apart, columns, turned,
                      i * columns * vector)  # fmt: skip
        nothing = zeros(turned)
        following = here + 2 * group * apart * wide
        for k in range(count):
            prefetch(gy, following + k * plane, lines * apart * wide)
        for r in range(group):
            total = nothing
            above, below = 2 * r < lines, 2 * r + 1 < lines
            for q in range(across):
                at = (2 * r * columns + 2 * q) * vector
                under = at + columns * vector
                left, right = 2 * q < columns, 2 * q + 1 < columns
                y0 = load(turned, at) if above and left else nothing
                y1 = load(turned, at + vector) if above and right else nothing
                z0 = load(turned, under) if below and left else nothing
                z1 = load(turned, under + vector) if below and right else nothing
                place = ((row + r) * across + q) * some + to
                _slope_line(y0, y1, slopes, place, point)
                _slope_line(y0 + z0, y1 + z1, slopes, place + 4 * point, point)
                _slope_line(y0 - z0, y1 - z1, slopes, place + 8 * point, point)
                _slope_line(z0 * -1.0, z1 * -1.0, slopes, place + 12 * point, point)
                total = total + ((y0 + z0) + (y1 + z1))
            if bias_sums.size > 0:
                store(total, turned, 0)  # of a row that is done
                for k in range(count):
                    bias_sums[part, o + k] += turned[k]
        row += group


@inner
def _turn(gy, at, plane, channels, step, count, turned, to):
    """turned[to + j*lanes + k] = gy[at + k*plane + j*step] for j < count, k < channels"""
    vector = lanes(gy)
    if step == 1 and count >= vector:
        for q in range(0, count, vector):
            j = min(q, count - vector)
            transpose(gy, at + j, plane, channels, turned, to + j * vector, vector, vector)
        return
    for k in range(vector):
        row = at + min(k, channels - 1) * plane
        for j in range(count):
            turned[to + j * vector + k] = gy[row + j * step]


@inner
def _slope_line(a, b, out, to, step):
    """A y: two vectors into four"""
    _store_four((a, a + b, a - b, b * -1.0), out, to, step)


@task_kernel
def winograd_collect(thread, threads, sums, gw):
    """gw[o,c] = G^T [sum over parts of sums[part,..,c,o]] G"""
    parts, splits, _, padded_channels, some = sums.shape
    outputs, channels = gw.shape[:2]
    vector = lanes(gw)
    flat, weights = as_row(sums), as_row(gw)
    whole = np.empty(POINTS * vector, gw.dtype)
    half, g = np.empty(12 * vector, gw.dtype), np.empty(9 * vector, gw.dtype)
    # Filters of neighbouring channels share lines of the cache: they are written one after another.
    for split in range(splits):
        for o in range(0, min(some, outputs - split * some), vector):
            begin = split * some + o
            for c in range(thread * channels // threads, (thread + 1) * channels // threads):
                for e in range(POINTS):
                    place = ((split * POINTS + e) * padded_channels + c) * some + o
                    total = load(flat, place)
                    for part in range(1, parts):
                        more = part * splits * POINTS * padded_channels * some
                        total = total + load(flat, more + place)
                    store(total, whole, e * vector)
                for u in range(4):
                    _collect(whole, 4 * u * vector, vector, half, 3 * u * vector, vector)
                for v in range(3):
                    _collect(half, v * vector, 3 * vector, g, v * vector, 3 * vector)
                for lane in range(min(vector, outputs - begin)):
                    filter = weights[((begin + lane) * channels + c) * 9 :]
                    for k in range(9):
                        filter[k] = g[k * vector + lane]


@inner
def _collect(u, i, step, out, j, out_step):
    """G^T u: four vectors into three"""
    a, b, c, d = load(u, i), load(u, i + step), load(u, i + 2 * step), load(u, i + 3 * step)
    both = (b + c) * 0.5
    store(a + both, out, j)
    store((b - c) * 0.5, out, j + out_step)
    store(both + d, out, j + 2 * out_step)
