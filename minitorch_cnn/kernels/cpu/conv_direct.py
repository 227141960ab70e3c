"""Convolution and both its gradients as sums over terms, in tiles of registers.

The same sums in two layouts, by what fills the lanes of a vector:

- *by channels*: neighbouring channels of the output. The weights are turned to make them
  neighbours; an element of the source serves all lanes. The lanes are full for any width, stride
  and dilation; the sums are transposed once, when they are written.
- *by positions*: neighbouring columns of the output and of the source; a weight serves all lanes.
  Nothing is turned, and nothing copied unless there is padding: for few channels or few terms.

A task owns what it writes, and the shapes alone decide the order of every sum. Arrays are flat, and
offsets count elements; `conv_geometry` says where things lie. `memories` has a row for each thread,
for laid-out images and for sums.
"""

from math import lcm

import numpy as np

from ..jit import inner, kernel
from ..tasks import task_kernel
from .conv_geometry import (
    ACROSS,
    ADVANCE,
    APART,
    BLOCK,
    BLOCKS,
    COLUMN_STEP,
    COLUMNS,
    COPIED,
    DOWN,
    LEFT,
    PHASES,
    PLACE_ENDS,
    PLACES,
    POSITIONS,
    ROW_ENDS,
    ROW_STEP,
    ROWS,
    SEEN,
    SOURCE_SIZE,
    SPARE,
    STARTS,
    TARGETS,
    TERM_ENDS,
    TERMS,
    TOP,
    VALID,
    WEIGHTS,
)
from .simd import (
    REGISTERS,
    add_tile,
    column_offsets,
    column_tile,
    dot,
    entry,
    lanes,
    load,
    load_tile,
    multiply_add,
    row_offsets,
    row_tile,
    store,
    store_tile,
    tile_columns,
    tile_rows,
    transpose,
    zero_tile,
)

# Tiles of rows x columns vectors. They, a row of vectors and one more must fit in the registers.
WIDE = (REGISTERS - 3) // 2  # rows of tiles of two vectors
SLIM = 8  # rows of tiles of one vector, held down by the addresses of as many rows
LONG = REGISTERS // 2 - 1  # columns of tiles of one row
NINE = 9  # columns of tiles of one row if they are terms: as many as a filter of 3 x 3 has
FOUR, SIX = (REGISTERS - 1) // 5, (REGISTERS - 1) // 7  # columns of tiles of four and six rows

NEAR = 4096  # elements that stay in the fastest memory
WHOLE = lcm(WIDE, SLIM)  # a multiple of the rows of either tile


@task_kernel
def pack(thread, threads, weight, bias, packed, tables, lane_step, group_step, outputs):
    """packed[panel] = the bias of its channels, then for every term their weights"""
    groups, size = packed.shape
    panel = 2 * lanes(packed)
    panels = (outputs + panel - 1) // panel
    flat = packed.reshape(-1)
    terms = tables[TERMS]
    weights = tables[tables[WEIGHTS] :]
    tasks = groups * panels
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        group, first = task // panels, task % panels * panel
        here = min(panel, outputs - first)
        width = _panel_width(here, lanes(packed))
        for lane in range(width):
            o = first + min(lane, here - 1)
            column = flat[group * size + first * (terms + 1) + lane :]
            column[0] = bias[group * outputs + o] if bias.size > 0 else packed.dtype.type(0)
            row = weight[group * group_step + o * lane_step :]
            for t in range(terms):
                column[(t + 1) * width] = row[weights[t]]


@task_kernel
def by_channels(thread, threads, x, packed, y, memories, tables, groups):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t]"""
    memory = memories[thread]
    batch, channels, height, width = x.shape
    outputs, high, wide = y.shape[1] // groups, y.shape[2], y.shape[3]
    inputs = channels // groups
    block, blocks, phases, terms = tables[BLOCK], tables[BLOCKS], tables[PHASES], tables[TERMS]
    term_ends, starts = tables[tables[TERM_ENDS] :], tables[tables[STARTS] :]
    place_ends, targets = tables[tables[PLACE_ENDS] :], tables[tables[TARGETS] :]
    size = packed.shape[1]
    x, y, packed = x.reshape(-1), y.reshape(-1), packed.reshape(-1)
    sums = memory[tables[SOURCE_SIZE] :]
    few = np.empty(tables[POSITIONS] + SPARE, np.int64)
    vector = lanes(x)
    wide_tile, slim_tile = zero_tile(x, WIDE, 2), zero_tile(x, SLIM, 1)
    source = x
    tasks = batch * groups * blocks
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        n, rest = task // (groups * blocks), task % (groups * blocks)
        group, part = rest // blocks, rest % blocks
        at = (n * channels + group * inputs) * height * width
        if tables[COPIED]:
            margin = blocks > 1 or task == thread * tasks // threads
            first = part * tables[ADVANCE]
            _lay_out(x, at, height, width, memory, inputs, tables, first, margin)
            source, at = memory, 0
        else:
            at += part * tables[ADVANCE] * width
        for f in range(phases):
            count = _positions(tables, f, min(block, high - part * block))
            if count == 0:
                continue
            places = tables[tables[PLACES] + place_ends[f] :]
            if count < place_ends[f + 1] - place_ends[f] - SPARE:
                _repeat(places, count, few)
                places = few
            for o in range(0, outputs, 2 * vector):
                here = min(2 * vector, outputs - o)
                panel = group * size + o * (terms + 1)
                to = ((n * groups + group) * outputs + o) * high * wide + part * block * wide
                t0, t1 = term_ends[f], term_ends[f + 1]
                if here > vector:
                    _sum_channels(
                        wide_tile, source, at, starts, t0, t1, places, count, packed, panel, sums
                    )
                else:
                    _sum_channels(
                        slim_tile, source, at, starts, t0, t1, places, count, packed, panel, sums
                    )
                if phases == 1:
                    _write_turned(sums, count, here, y, to, high * wide)
                else:
                    _scatter(sums, count, here, y, to, high * wide, targets[place_ends[f] :])


@inner
def _sum_channels(shape, source, at, starts, t0, t1, places, count, packed, panel, sums):
    """sums[p,o] = packed[0,o] + sum_{t0<=t<t1} source[at + starts[t] + places[p]] packed[t+1,o]

    Some terms at a time, so that their weights stay in the fastest memory for all positions.
    """
    vector = lanes(source)
    width = tile_columns(shape) * vector
    some = NEAR // width
    for first in range(t0, max(t1, t0 + 1), some):
        last = min(t1, first + some)
        for p in range(0, count, tile_rows(shape)):
            if first == t0:
                tile = row_tile(shape, packed, panel)
            else:
                tile = load_tile(shape, sums, p * width, width, vector)
            rows = row_offsets(shape, places, p)
            weights = panel + (first + 1) * width
            for t in range(first, last):
                tile = multiply_add(
                    tile, source, at + entry(starts, t), rows, packed, weights, vector
                )
                weights += width
            store_tile(tile, sums, p * width, width, vector)


@inner
def _write_turned(sums, count, channels, y, to, plane):
    """y[to + o*plane + p] = sums[p,o] for o < channels, p < count"""
    vector = lanes(y)
    width = _panel_width(channels, vector)
    for o in range(0, channels, vector):
        if count < vector:
            for k in range(o, min(channels, o + vector)):
                row = y[to + k * plane :]
                for p in range(count):
                    row[p] = sums[p * width + k]
            continue
        here = min(vector, channels - o)
        for q in range(0, count, vector):
            p = min(q, count - vector)
            transpose(sums, p * width + o, width, vector, y, to + o * plane + p, plane, here)


@inner
def _scatter(sums, count, channels, y, to, plane, targets):
    """y[to + o*plane + targets[p]] = sums[p,o] for o < channels, p < count"""
    width = _panel_width(channels, lanes(y))
    for o in range(channels):
        row = y[to + o * plane :]
        for p in range(count):
            row[targets[p]] = sums[p * width + o]


# By positions there is a kernel for each number of channels that a tile may have: a program
# compiles those that it needs.


@task_kernel
def by_positions_1(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], one channel at a time"""
    _by_positions(
        zero_tile(x, 1, LONG), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step,
    )  # fmt: skip


@task_kernel
def by_positions_4(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], for 4 or more channels"""
    _by_positions(
        zero_tile(x, 4, FOUR), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step,
    )  # fmt: skip


@task_kernel
def by_positions_6(
    thread, threads, x, weight, bias, y, memories, tables, groups, lane_step, group_step
):
    """y[n,o,p] = bias[o] + sum_t x[n, starts[t] + places[p]] weight[o,t], for 6 or more channels"""
    _by_positions(
        zero_tile(x, 6, SIX), thread, threads, x, weight, bias, y, memories[thread], tables,
        groups, lane_step, group_step,
    )  # fmt: skip


@inner
def _by_positions(
    shape, thread, threads, x, weight, bias, y, memory, tables, groups, lane_step, group_step
):
    """by_positions_N for one thread."""
    batch, channels, height, width = x.shape
    outputs, high, wide = y.shape[1] // groups, y.shape[2], y.shape[3]
    inputs = channels // groups
    block, blocks = tables[BLOCK], tables[BLOCKS]
    place_ends, valid = tables[tables[PLACE_ENDS] :], tables[tables[VALID] :]
    term_ends, vector = tables[tables[TERM_ENDS] :], lanes(x)
    x, y = x.reshape(-1), y.reshape(-1)
    buffer = memory[tables[SOURCE_SIZE] :]
    few_places = np.empty(LONG + SPARE, np.int64)
    few_targets = np.empty(LONG + SPARE, np.int64)
    source = x
    tasks = batch * groups * blocks
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        n, rest = task // (groups * blocks), task % (groups * blocks)
        group, part = rest // blocks, rest % blocks
        at = (n * channels + group * inputs) * height * width
        if tables[COPIED]:
            margin = blocks > 1 or task == thread * tasks // threads
            first = part * tables[ADVANCE]
            _lay_out(x, at, height, width, memory, inputs, tables, first, margin)
            source, at = memory, 0
        else:
            at += part * tables[ADVANCE] * width
        to = (n * groups + group) * outputs * high * wide + part * block * wide
        for f in range(tables[PHASES]):
            count = _positions(tables, f, min(block, high - part * block))
            if count == 0:
                continue
            places = tables[tables[PLACES] + place_ends[f] :]
            targets = tables[tables[TARGETS] + place_ends[f] :]
            if count < LONG:
                _repeat(places, count, few_places)
                _repeat(targets, count, few_targets)
                places, targets = few_places, few_targets
            # So many positions that their terms stay in fast memory for all outputs.
            terms = max(1, term_ends[f + 1] - term_ends[f])
            columns = tile_columns(shape)
            some = max(1, NEAR // (terms * vector * columns)) * columns
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
    vector, columns = lanes(source), tile_columns(shape)
    term_ends, apart = tables[tables[TERM_ENDS] :], tables[APART]
    starts, weights = tables[tables[STARTS] :], tables[tables[WEIGHTS] :]
    for q in range(v0, v1, columns):
        v = max(0, min(q, count - columns))
        tile = column_tile(shape, bias, b) if bias.size > 0 else shape
        here = column_offsets(shape, places, v)
        for t in range(term_ends[f], term_ends[f + 1]):
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
def weight_by_channels(
    thread, threads, gy, x, gw, sums, bias_sums, memories, tables, groups, splits
):
    """gw[o,t] = sum_{n,p} gy[n,o,p] x[n, starts[t] + places[p]], gb[o] = sum_{n,p} gy[n,o,p]

    With one part of the batch gw is written, with more of them their sums, for
    `join_channel_parts`. Sums for gb are written unless `bias_sums` has no place for them.
    """
    memory = memories[thread]
    batch, channels, height, width = x.shape
    outputs, high, wide = gy.shape[1] // groups, gy.shape[2], gy.shape[3]
    inputs = channels // groups
    block, blocks, terms = tables[BLOCK], tables[BLOCKS], tables[TERMS]
    starts, places = tables[tables[STARTS] :], tables[tables[PLACES] :]
    taps = terms // inputs
    plane = high * wide
    parts, padded = sums.shape[0], sums.shape[3]
    x, gy = x.reshape(-1), gy.reshape(-1)
    vector = lanes(x)
    wide_tile, slim_tile = zero_tile(x, WIDE, 2), zero_tile(x, SLIM, 1)
    panels = sums.shape[2]
    one_channel = (tables[SOURCE_SIZE] - 1) // inputs if tables[COPIED] else height * width
    turned = memory[tables[SOURCE_SIZE] :]
    source = x
    tasks = parts * groups * panels * splits
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        part, rest = task // (groups * panels * splits), task % (groups * panels * splits)
        group, rest = rest // (panels * splits), rest % (panels * splits)
        o, split = rest // splits * 2 * vector, rest % splits
        here = min(2 * vector, outputs - o)
        # The terms of this task, in whole tiles, and the channels they are of.
        t0 = split * (padded // WHOLE) // splits * WHOLE
        t1 = (split + 1) * (padded // WHOLE) // splits * WHOLE
        c0, c1 = t0 // taps, (min(t1, terms) - 1) // taps + 1
        total = sums[part, group, o // (2 * vector)].reshape(-1)
        wide_panel = _panel_width(here, vector)
        for i in range(t0 * wide_panel, t1 * wide_panel):
            total[i] = 0
        bias_outputs = here if bias_sums.size > 0 and split == 0 else 0
        for k in range(group * outputs + o, group * outputs + o + bias_outputs):
            bias_sums[part, k] = 0
        for n in range(part * batch // parts, (part + 1) * batch // parts):
            for rows in range(blocks):
                at = (n * channels + group * inputs) * height * width
                if tables[COPIED]:
                    at += c0 * height * width
                    first = rows * tables[ADVANCE]
                    margin = blocks > 1 or n == part * batch // parts
                    _lay_out(x, at, height, width, memory, c1 - c0, tables, first, margin)
                    source, at = memory, -c0 * one_channel
                else:
                    at += rows * tables[ADVANCE] * width
                count = min(block, high - rows * block) * wide
                first = ((n * groups + group) * outputs + o) * plane + rows * block * wide
                for k in range(bias_outputs):
                    pixels = gy[first + k * plane :]
                    bias_sums[part, group * outputs + o + k] += plain_sum(pixels, count)
                _turn(gy, first, plane, count, here, turned)
                if here > vector:
                    _sum_weights(
                        wide_tile, source, at, places, count, starts, turned, total, t0, t1
                    )
                else:
                    _sum_weights(
                        slim_tile, source, at, places, count, starts, turned, total, t0, t1
                    )
        if parts == 1:
            _write_weights(sums[0, group], o, outputs, t0, min(t1, terms), gw, group)


@inner
def _turn(gy, first, plane, count, channels, turned):
    """turned[p,o] = gy[first + o*plane + p] for o < channels, p < count"""
    vector = lanes(gy)
    width = _panel_width(channels, vector)
    for o in range(0, width, vector):
        here = min(vector, channels - o)
        if count < vector:
            for p in range(count):
                for k in range(vector):
                    k1 = min(k, here - 1)
                    turned[p * width + o + k] = gy[first + (o + k1) * plane + p]
            continue
        for q in range(0, count, vector):
            p = min(q, count - vector)
            at = first + o * plane + p
            transpose(gy, at, plane, here, turned, p * width + o, width, vector)


@inner
def _sum_weights(shape, source, at, places, count, starts, turned, total, t0, t1):
    """total[t,o] += sum_{p<count} source[at + starts[t] + places[p]] turned[p,o] for t0 <= t < t1

    A block's sum is added as one number: the error grows with a block's positions, not with all.
    """
    vector = lanes(source)
    width = tile_columns(shape) * vector
    for t in range(t0, t1, tile_rows(shape)):
        tile = shape
        rows = row_offsets(shape, starts, t)
        for p in range(count):
            tile = multiply_add(
                tile, source, at + entry(places, p), rows, turned, p * width, vector
            )
        add_tile(tile, total, t * width, width, vector)


@kernel()
def join_channel_parts(sums, gw, groups):
    """gw[o,t] = the sum over the parts of the batch"""
    outputs = gw.shape[0] // groups
    terms, vector = gw.size // gw.shape[0], lanes(sums)
    for group in range(groups):
        for panel in range(sums.shape[2]):
            total = sums[0, group, panel].reshape(-1)
            for part in range(1, sums.shape[0]):
                more = sums[part, group, panel].reshape(-1)
                for i in range(total.size):
                    total[i] += more[i]
            _write_weights(sums[0, group], 2 * vector * panel, outputs, 0, terms, gw, group)


@inner
def _write_weights(sums, o, outputs, t0, t1, gw, group):
    """gw[group*outputs + o + k, t] = sums[panel, t, k] for t0 <= t < t1"""
    vector = lanes(gw)
    here = min(2 * vector, outputs - o)
    width = _panel_width(here, vector)
    total = sums[o // (2 * vector)].reshape(-1)
    flat = gw.reshape(-1)
    terms = gw.size // gw.shape[0]
    for k in range(here):
        row = flat[(group * outputs + o + k) * terms :]
        for t in range(t0, t1):
            row[t] = total[t * width + k]


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
    valid = tables[tables[VALID]]
    parts, outputs_padded, padded = sums.shape[0], sums.shape[2], sums.shape[3] * sums.shape[4]
    x, gy, flat = x.reshape(-1), gy.reshape(-1), sums.reshape(-1)
    lined = memory[tables[SOURCE_SIZE] :]
    source = x
    tasks = parts * groups
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        part, group = task // groups, task % groups
        total = (part * groups + group) * outputs_padded * padded
        for i in range(outputs_padded * padded):
            flat[total + i] = 0
        for o in range(outputs if bias_sums.size > 0 else 0):
            bias_sums[part, group * outputs + o] = 0
        for n in range(part * batch // parts, (part + 1) * batch // parts):
            for rows in range(blocks):
                at = (n * channels + group * inputs) * height * width
                if tables[COPIED]:
                    first = rows * tables[ADVANCE]
                    margin = blocks > 1 or n == part * batch // parts
                    _lay_out(x, at, height, width, memory, inputs, tables, first, margin)
                    source, at = memory, 0
                else:
                    at += rows * tables[ADVANCE] * width
                count = _positions(tables, 0, min(block, high - rows * block))
                to = (n * groups + group) * outputs * high * wide + rows * block * wide
                for o in range(outputs if bias_sums.size > 0 else 0):
                    pixels = gy[to + o * high * wide :]
                    count_here = min(block, high - rows * block) * wide
                    bias_sums[part, group * outputs + o] += plain_sum(pixels, count_here)
                for o in range(0, outputs, tile_rows(shape)):
                    some = min(tile_rows(shape), outputs - o)
                    first = to + o * high * wide
                    _line_up(gy, first, high * wide, some, targets, seen, count, valid, lined)
                    _dot_weights(
                        shape, lined, count, source, at, places, starts, terms, flat,
                        total + o * padded, padded,
                    )  # fmt: skip


@kernel()
def join_position_parts(sums, gw):
    """gw[o,t] = sum over parts and lanes of sums[part,group,o,t,lane]"""
    parts, groups, _, _, vector = sums.shape
    flat = gw.reshape(-1)
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
def _dot_weights(shape, lined, count, source, at, places, starts, terms, sums, total, padded):
    """sums[total + m*padded + t*lanes ..] += sum_v lined[m,v] source[at + starts[t] + places[v] ..]
    lane by lane"""
    vector = lanes(source)
    for t in range(0, terms, tile_columns(shape)):
        tile = shape
        columns = column_offsets(shape, starts, t)
        for v in range(count):
            place = at + entry(places, v)
            tile = dot(tile, lined, v * vector, count * vector, source, place, columns)
        add_tile(tile, sums, total + t * vector, padded, vector)


@inner
def plain_sum(x, count):
    """x[0] + .. + x[count - 1], stretch by stretch in float64"""
    total = 0.0
    for start in range(0, count, 512):
        stretch = x[start : min(count, start + 512)]
        part = x.dtype.type(0)
        for i in range(stretch.size):
            part += stretch[i]
        total += part
    return total


@inner
def _panel_width(channels, vector):
    return 2 * vector if channels > vector else vector


@inner
def _positions(tables, f, rows):
    """How many positions of phase f are in a block of so many rows."""
    return tables[tables[ROW_ENDS] + f * (tables[BLOCK] + 1) + rows]


@inner
def _repeat(table, count, out):
    """out[i] = table[i] for i < count, and the last again as often as a tile may ask"""
    for i in range(count + SPARE):
        out[i] = table[min(i, count - 1)]


@inner
def _lay_out(x, at, height, width, image, channels, tables, first, margin):
    """image[c,a,b,r,q] = x[c, (first+r)*sh+a-top, q*sw+b-left], 0 outside x

    Without `margin` the image before was laid out by the same rows: what is outside is 0 already.
    """
    sh, sw, top, left = tables[ROW_STEP], tables[COLUMN_STEP], tables[TOP], tables[LEFT]
    down, across, rows, columns = tables[DOWN], tables[ACROSS], tables[ROWS], tables[COLUMNS]
    vector = lanes(x)
    if margin:
        # With what the last row's vectors have beyond it: a zero times NaN would be NaN.
        whole = image[: channels * down * across * rows * columns + vector]
        for i in range(whole.size):
            whole[i] = 0
    for a in range(down):
        r0 = min(rows, max(0, (top - a + sh - 1) // sh - first))
        r1 = min(rows, (height - 1 - a + top) // sh + 1 - first)
        for b in range(across):
            # Rows r0 <= r < r1 and columns q0 <= q < q1 are inside x.
            q0 = min(columns, max(0, (left - b + sw - 1) // sw))
            count = min(columns, (width - 1 - b + left) // sw + 1) - q0
            for c in range(channels):
                for r in range(r0, r1):
                    i = (first + r) * sh + a - top
                    pixel = at + (c * height + i) * width + q0 * sw + b - left
                    place = (((c * down + a) * across + b) * rows + r) * columns + q0
                    if sw == 1 and count >= vector:
                        for q in range(0, count, vector):
                            k = min(q, count - vector)
                            store(load(x, pixel + k), image, place + k)
                    else:
                        source, row = x[pixel:], image[place:]
                        for q in range(count):
                            row[q] = source[q * sw]
