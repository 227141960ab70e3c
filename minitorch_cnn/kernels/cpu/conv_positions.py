"""Convolution and its gradients as sums over terms, neighbouring columns in a vector's lanes.

They are neighbours in the output and in the source; a weight serves all lanes. Nothing is turned,
and nothing copied unless there is padding or a stride: for few channels or few terms.

The rest is as in `conv_channels`.
"""

import numpy as np

from ..jit import inner, kernel
from ..tasks import task_kernel
from .conv_geometry import (
    ADVANCE,
    APART,
    BLOCK,
    BLOCKS,
    COPIED,
    FIRSTS,
    LASTS,
    PHASES,
    PLACE_ENDS,
    PLACES,
    SEEN,
    SOURCE_SIZE,
    SPARE,
    STARTS,
    TARGETS,
    TERMS,
    VALID,
    WEIGHTS,
)
from .conv_layout import lay_out, plain_sum, positions_of, repeat
from .simd import as_row, entry, lanes, load, prefetch, prefetch_to_write, store
from .simd_tiles import (
    add_tile,
    column_offsets,
    column_tile,
    dot,
    multiply_add,
    store_tile,
    tile_columns,
    tile_rows,
    zero_tile,
)
from .tiles import FOUR, LONG, NEAR, NINE, SIX, THREE

# By positions there is a kernel for each number of channels that a tile may have: a program
# compiles those that it needs.


@task_kernel
def by_positions_1(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], one channel at a time"""
    _by_positions(
        zero_tile(x, 1, LONG), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step, np.empty(2 * (LONG + SPARE), np.int64),
    )  # fmt: skip


@task_kernel
def by_positions_3(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], for three channels"""
    _by_positions(
        zero_tile(x, 3, THREE), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step, np.empty(2 * (LONG + SPARE), np.int64),
    )  # fmt: skip


@task_kernel
def by_positions_4(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], for 4 or more channels"""
    _by_positions(
        zero_tile(x, 4, FOUR), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step, np.empty(2 * (LONG + SPARE), np.int64),
    )  # fmt: skip


@task_kernel
def by_positions_6(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], for 6 or more channels"""
    _by_positions(
        zero_tile(x, 6, SIX), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step, np.empty(2 * (LONG + SPARE), np.int64),
    )  # fmt: skip


@inner
def _by_positions(
    shape, thread, threads, x, weight, bias, y, memory, tables, groups, lane_step, group_step, few
):
    """by_positions_N for one thread; few has place for two short tables."""
    batch, channels, height, width = x.shape
    outputs, high, wide = y.shape[1] // groups, y.shape[2], y.shape[3]
    inputs = channels // groups
    block, blocks = tables[BLOCK], tables[BLOCKS]
    place_ends, valid = tables[tables[PLACE_ENDS] :], tables[tables[VALID] :]
    vector = lanes(x)
    x, y = as_row(x), as_row(y)
    buffer = memory[tables[SOURCE_SIZE] :]
    few_places, few_targets = few[: LONG + SPARE], few[LONG + SPARE :]
    source = x
    tasks = batch * groups * blocks
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        n, rest = task // (groups * blocks), task % (groups * blocks)
        group, part = rest // blocks, rest % blocks
        at = (n * channels + group * inputs) * height * width
        if tables[COPIED]:
            margin = blocks > 1 or task == thread * tasks // threads
            first = part * tables[ADVANCE]
            lay_out(x, at, height, width, memory, inputs, tables, first, margin)
            source, at = memory, 0
        else:
            at += part * tables[ADVANCE] * width
        to = (n * groups + group) * outputs * high * wide + part * block * wide
        if blocks == 1:  # of the next image: pieces of planes are short
            image = inputs * height * width
            prefetch(x, (n * groups + group + 1) * image, image)
            prefetch_to_write(y, to + outputs * high * wide, outputs * high * wide)
        for f in range(tables[PHASES]):
            count = positions_of(tables, f, min(block, high - part * block))
            if count == 0:
                continue
            places = tables[tables[PLACES] + place_ends[f] :]
            targets = tables[tables[TARGETS] + place_ends[f] :]
            if count < LONG:
                repeat(places, count, few_places)
                repeat(targets, count, few_targets)
                places, targets = few_places, few_targets
            # So many positions that what they see stays in fast memory for all outputs: of each
            # input about as much as there are positions, for the taps overlap.
            columns = tile_columns(shape)
            some = max(1, NEAR // (max(1, inputs) * vector * columns)) * columns
            for v0 in range(0, count, some):
                v1 = min(count, v0 + some)
                for q in range(0, outputs, tile_rows(shape)):
                    # The last tile may hold channels that the one before it has as well.
                    o = max(0, min(q, outputs - tile_rows(shape)))
                    w, b = group * group_step + o * lane_step, group * outputs + o
                    plane = to + o * high * wide
                    _sum_positions(
                        shape, source, at, tables, f, places, v0, v1, count, weight, w, lane_step,
                        bias, b, y, targets, plane, high * wide, valid[f], buffer,
                    )  # fmt: skip


@inner
def _sum_positions(
    shape, source, at, tables, f, places, v0, v1, count, weight, w, lane_step,
    bias, b, y, targets, to, plane, valid, buffer,
):  # fmt: skip
    """y[to + o*plane + targets[v] + lane] = bias[o]
    + sum_t weight[o,t] source[at + starts[t] + places[v] + lane] for v0 <= v < v1"""
    vector, columns, apart = lanes(source), tile_columns(shape), tables[APART]
    starts, weights = tables[tables[STARTS] :], tables[tables[WEIGHTS] :]
    place_ends = tables[tables[PLACE_ENDS] :]
    firsts = tables[tables[FIRSTS] + place_ends[f] :]
    lasts = tables[tables[LASTS] + place_ends[f] :]
    for q in range(v0, v1, columns):
        v = max(0, min(q, count - columns))
        tile = column_tile(shape, bias, b) if bias.size > 0 else shape
        here = column_offsets(shape, places, v)
        first, last = firsts[v], lasts[v]
        for k in range(1, columns):
            first, last = min(first, firsts[v + k]), max(last, lasts[v + k])
        for t in range(first, last):
            tile = multiply_add(
                tile, weight, w + entry(weights, t), lane_step, source, at + entry(starts, t), here
            )
        if valid == vector and apart == 1:
            store_tile(tile, y, to, plane, column_offsets(shape, targets, v))
            continue
        store_tile(tile, buffer, 0, columns * vector, vector)
        for m in range(tile_rows(shape)):
            for k in range(min(columns, count - v)):
                row = y[to + m * plane + targets[v + k] :]
                part = buffer[(m * columns + k) * vector :]
                for lane in range(valid):
                    row[lane * apart] = part[lane]


@task_kernel
def weight_by_positions_1(thread, threads, gy, x, sums, bias_sums, memories, tables):
    """gw[o,t] = sum_{n,p} gy[n,o,p] x[n, starts[t] + places[p]], one channel at a time"""
    _weight_by_positions(
        zero_tile(x, 1, NINE), thread, threads, gy, x, sums, bias_sums,
        memories[thread], tables,
    )  # fmt: skip


@task_kernel
def weight_by_positions_4(thread, threads, gy, x, sums, bias_sums, memories, tables):
    """gw[o,t] = sum_{n,p} gy[n,o,p] x[n, starts[t] + places[p]], in tiles of 4 channels"""
    _weight_by_positions(
        zero_tile(x, 4, FOUR), thread, threads, gy, x, sums, bias_sums,
        memories[thread], tables,
    )  # fmt: skip


@task_kernel
def weight_by_positions_6(thread, threads, gy, x, sums, bias_sums, memories, tables):
    """gw[o,t] = sum_{n,p} gy[n,o,p] x[n, starts[t] + places[p]], in tiles of 6 channels"""
    _weight_by_positions(
        zero_tile(x, 6, SIX), thread, threads, gy, x, sums, bias_sums,
        memories[thread], tables,
    )  # fmt: skip


@inner
def _weight_by_positions(shape, thread, threads, gy, x, sums, bias_sums, memory, tables):
    """sums[part,group,o,t] = sum of gy[n,o,p] x[n, starts[t] + places[p]] over a part of n and p,
    bias_sums[part,o] that of gy[n,o,p], for one thread

    The last dimension of sums are the lanes, which `join_position_parts` adds up.
    """
    groups = sums.shape[1]
    batch, channels, height, width = x.shape
    outputs, high, wide = gy.shape[1] // groups, gy.shape[2], gy.shape[3]
    inputs = channels // groups
    block, blocks, terms = tables[BLOCK], tables[BLOCKS], tables[TERMS]
    starts, places = tables[tables[STARTS] :], tables[tables[PLACES] :]
    targets, seen = tables[tables[TARGETS] :], tables[tables[SEEN] :]
    valid, vector = tables[tables[VALID]], lanes(x)
    parts, outputs_padded, padded = sums.shape[0], sums.shape[2], sums.shape[3] * sums.shape[4]
    x, gy, flat = as_row(x), as_row(gy), as_row(sums)
    lined = memory[tables[SOURCE_SIZE] :]
    source = x
    tasks = parts * groups
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        part, group = task // groups, task % groups
        total = (part * groups + group) * outputs_padded * padded
        cleared = flat[total : total + outputs_padded * padded]
        for i in range(cleared.size):
            cleared[i] = 0
        for o in range(outputs if bias_sums.size > 0 else 0):
            bias_sums[part, group * outputs + o] = 0
        for n in range(part * batch // parts, (part + 1) * batch // parts):
            for rows in range(blocks):
                at = (n * channels + group * inputs) * height * width
                if tables[COPIED]:
                    first = rows * tables[ADVANCE]
                    margin = blocks > 1 or n == part * batch // parts
                    lay_out(x, at, height, width, memory, inputs, tables, first, margin)
                    source, at = memory, 0
                else:
                    at += rows * tables[ADVANCE] * width
                count = positions_of(tables, 0, min(block, high - rows * block))
                to = (n * groups + group) * outputs * high * wide + rows * block * wide
                if blocks == 1:  # of the next image
                    image = inputs * height * width
                    prefetch(x, (n * groups + group + groups) * image, image)
                    prefetch(gy, to + groups * outputs * high * wide, outputs * high * wide)
                for o in range(outputs if bias_sums.size > 0 else 0):
                    pixels = gy[to + o * high * wide :]
                    count_here = min(block, high - rows * block) * wide
                    bias_sums[part, group * outputs + o] += plain_sum(pixels, count_here)
                for o in range(0, outputs, tile_rows(shape)):
                    some = min(tile_rows(shape), outputs - o)
                    first = to + o * high * wide
                    slopes, begin, step = gy, first, high * wide
                    if wide % vector > 0 or some < tile_rows(shape):
                        _line_up(gy, first, high * wide, some, targets, seen, count, valid, lined)
                        slopes, begin, step = lined, 0, count * vector
                    _dot_weights(
                        shape, slopes, begin, step, count, source, at, places, starts, terms, flat,
                        total + o * padded, padded,
                    )  # fmt: skip


@kernel()
def join_position_parts(sums, gw):
    """gw[o,t] = sum over parts and lanes of sums[part,group,o,t,lane]"""
    parts, groups, _, _, vector = sums.shape
    flat = as_row(gw)
    outputs, terms = gw.shape[0] // groups, gw.size // gw.shape[0]
    for o in range(gw.shape[0]):
        for t in range(terms):
            total = 0.0
            for part in range(parts):
                for lane in range(vector):
                    total += sums[part, o // outputs, o % outputs, t, lane]
            flat[o * terms + t] = total


@inner
def _line_up(gy, first, plane, rows, targets, seen, count, valid, lined):
    """lined[m,v,lane] = gy[first + m*plane + targets[v] + lane], 0 where it was in an earlier v"""
    vector = lanes(gy)
    zero = gy.dtype.type(0)
    for m in range(rows):
        for v in range(count):
            at, place = first + m * plane + targets[v], (m * count + v) * vector
            if seen[v] == 0 and valid == vector:
                store(load(gy, at), lined, place)
                continue
            pixels, out = gy[at:], lined[place : place + vector]
            for lane in range(vector):
                out[lane] = pixels[lane] if seen[v] <= lane < valid else zero


@inner
def _dot_weights(
    shape, gy, first, step, count, source, at, places, starts, terms, sums, total, padded
):
    """sums[total + m*padded + t*lanes ..] +=
    sum_v gy[first + m*step + v*lanes ..] source[at + starts[t] + places[v] ..] lane by lane"""
    vector = lanes(source)
    for t in range(0, terms, tile_columns(shape)):
        tile = shape
        columns = column_offsets(shape, starts, t)
        for v in range(count):
            place = at + entry(places, v)
            tile = dot(tile, gy, first + v * vector, step, source, place, columns)
        add_tile(tile, sums, total + t * vector, padded, vector)
