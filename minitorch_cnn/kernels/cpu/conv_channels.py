"""Convolution and its gradients as sums over terms, neighbouring channels in a vector's lanes.

The weights are turned to make the channels of the output neighbours; an element of the source
serves all lanes. So the lanes are full for any width, stride and dilation. The sums are transposed
once, when they are written.

A task owns what it writes, and the shapes alone decide the order of every sum. Arrays are flat, and
offsets count elements; `conv_geometry` says where things lie. `memories` has a row for each thread,
for laid-out images and for sums.
"""

import numpy as np

from ..jit import inner, kernel
from ..tasks import task_kernel
from .conv_geometry import (
    ADVANCE,
    BLOCK,
    BLOCKS,
    COPIED,
    PHASES,
    PLACE_ENDS,
    PLACES,
    POSITIONS,
    SOURCE_SIZE,
    SPARE,
    STARTS,
    TARGETS,
    TERM_ENDS,
    TERMS,
    WEIGHTS,
)
from .conv_layout import lay_out, plain_sum, positions_of, repeat
from .simd import as_row, entry, lanes, transpose
from .simd_tiles import (
    add_tile,
    load_tile,
    multiply_add,
    row_offsets,
    row_tile,
    store_tile,
    tile_rows,
    tile_width,
    zero_tile,
    zero_tile_and_half,
)
from .tiles import HALVES, NEAR, SLIM, WHOLE, WIDE


@task_kernel
def pack(thread, threads, weight, bias, packed, tables, lane_step, group_step, outputs):
    """packed[panel] = the bias of its channels, then for every term their weights"""
    groups, size = packed.shape
    panel = 2 * lanes(packed)
    panels = (outputs + panel - 1) // panel
    flat = as_row(packed)
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
    few = np.empty(tables[POSITIONS] + SPARE, np.int64)
    _by_channels(thread, threads, x, packed, y, memories[thread], tables, groups, few)


@inner
def _by_channels(thread, threads, x, packed, y, memory, tables, groups, few):
    """by_channels for one thread; few has place for a table of positions."""
    batch, channels, height, width = x.shape
    outputs, high, wide = y.shape[1] // groups, y.shape[2], y.shape[3]
    inputs = channels // groups
    block, blocks, phases, terms = tables[BLOCK], tables[BLOCKS], tables[PHASES], tables[TERMS]
    term_ends, starts = tables[tables[TERM_ENDS] :], tables[tables[STARTS] :]
    place_ends, targets = tables[tables[PLACE_ENDS] :], tables[tables[TARGETS] :]
    size = packed.shape[1]
    x, y, packed = as_row(x), as_row(y), as_row(packed)
    sums = memory[tables[SOURCE_SIZE] :]
    vector = lanes(x)
    wide_tile, slim_tile = zero_tile(x, WIDE, 2), zero_tile(x, SLIM, 1)
    half_tile = zero_tile_and_half(x, WIDE, 2)
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
        for f in range(phases):
            count = positions_of(tables, f, min(block, high - part * block))
            if count == 0:
                continue
            places = tables[tables[PLACES] + place_ends[f] :]
            if count < place_ends[f + 1] - place_ends[f] - SPARE:
                repeat(places, count, few)
                places = few
            for o in range(0, outputs, 2 * vector):
                here = min(2 * vector, outputs - o)
                panel = group * size + o * (terms + 1)
                to = ((n * groups + group) * outputs + o) * high * wide + part * block * wide
                t0, t1 = term_ends[f], term_ends[f + 1]
                if _panel_width(here, vector) == 2 * vector:
                    _sum_channels(
                        wide_tile, source, at, starts, t0, t1, places, count, packed, panel, sums
                    )
                elif HALVES and here > vector:
                    _sum_channels(
                        half_tile, source, at, starts, t0, t1, places, count, packed, panel, sums
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
    width = tile_width(shape)
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


@task_kernel
def weight_by_channels(
    thread, threads, gy, x, gw, sums, bias_sums, memories, tables, groups, splits
):
    """gw[o,t] = sum_{n,p} gy[n,o,p] x[n, starts[t] + places[p]], gb[o] = sum_{n,p} gy[n,o,p]

    With one part of the batch gw is written, with more of them their sums, for
    `join_channel_parts`. Sums for gb are written unless `bias_sums` has no place for them.
    """
    _weight_by_channels(
        thread, threads, gy, x, gw, sums, bias_sums, memories[thread], tables, groups, splits
    )


@inner
def _weight_by_channels(
    thread, threads, gy, x, gw, sums, bias_sums, memory, tables, groups, splits
):
    """weight_by_channels for one thread."""
    batch, channels, height, width = x.shape
    outputs, high, wide = gy.shape[1] // groups, gy.shape[2], gy.shape[3]
    inputs = channels // groups
    block, blocks, terms = tables[BLOCK], tables[BLOCKS], tables[TERMS]
    starts, places = tables[tables[STARTS] :], tables[tables[PLACES] :]
    taps = terms // inputs
    plane = high * wide
    parts, padded = sums.shape[0], sums.shape[3]
    x, gy = as_row(x), as_row(gy)
    vector = lanes(x)
    wide_tile, slim_tile = zero_tile(x, WIDE, 2), zero_tile(x, SLIM, 1)
    half_tile = zero_tile_and_half(x, WIDE, 2)
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
        end = min(t1, terms)
        c0, c1 = t0 // taps, (end - 1) // taps + 1
        total = as_row(sums[part, group, o // (2 * vector)])
        wide_panel = _panel_width(here, vector)
        cleared = total[t0 * wide_panel : t1 * wide_panel]
        for i in range(cleared.size):
            cleared[i] = 0
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
                    lay_out(x, at, height, width, memory, c1 - c0, tables, first, margin)
                    source, at = memory, -c0 * one_channel
                else:
                    at += rows * tables[ADVANCE] * width
                count = min(block, high - rows * block) * wide
                first = ((n * groups + group) * outputs + o) * plane + rows * block * wide
                for k in range(bias_outputs):
                    pixels = gy[first + k * plane :]
                    bias_sums[part, group * outputs + o + k] += plain_sum(pixels, count)
                _turn(gy, first, plane, count, here, turned)
                if wide_panel == 2 * vector:
                    _sum_weights(
                        wide_tile, source, at, places, count, starts, turned, total, t0, end
                    )
                elif HALVES and here > vector:
                    _sum_weights(
                        half_tile, source, at, places, count, starts, turned, total, t0, end
                    )
                else:
                    _sum_weights(
                        slim_tile, source, at, places, count, starts, turned, total, t0, end
                    )
        if parts == 1:
            _write_weights(sums[0, group], o, outputs, t0, end, gw, group)


@inner
def _turn(gy, first, plane, count, channels, turned):
    """turned[p,o] = gy[first + o*plane + p] for o < channels, p < count"""
    vector = lanes(gy)
    width = _panel_width(channels, vector)
    # The last first: what it writes into the row behind, if half of it does, is written over.
    for part in range((channels - 1) // vector, -1, -1):
        o = part * vector
        here = min(vector, channels - o)
        if count < vector:
            for p in range(count):
                for k in range(min(vector, width - o)):
                    k1 = min(k, here - 1)
                    turned[p * width + o + k] = gy[first + (o + k1) * plane + p]
            continue
        for q in range(0, count, vector):
            p = min(q, count - vector)
            at = first + o * plane + p
            transpose(gy, at, plane, here, turned, p * width + o, width, vector)


@inner
def _sum_weights(shape, source, at, places, count, starts, turned, total, t0, end):
    """total[t,o] += sum_{p<count} source[at + starts[t] + places[p]] turned[p,o] for t0 <= t < end
    and those behind that fill the last tile

    A block's sum is added as one number: the error grows with a block's positions, not with all.
    """
    vector = lanes(source)
    width = tile_width(shape)
    for t in range(t0, end, tile_rows(shape)):
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
    begin = np.int64(0)  # a mere 0 has a type of its own, for which all is compiled once more
    flat, size = as_row(sums), sums.size // sums.shape[0]
    total = flat[:size]
    for part in range(1, sums.shape[0]):
        more = flat[part * size :]
        for i in range(size):
            total[i] += more[i]
    for group in range(groups):
        for panel in range(sums.shape[2]):
            _write_weights(sums[0, group], 2 * vector * panel, outputs, begin, terms, gw, group)


@inner
def _write_weights(sums, o, outputs, t0, t1, gw, group):
    """gw[group*outputs + o + k, t] = sums[panel, t, k] for t0 <= t < t1"""
    vector = lanes(gw)
    here = min(2 * vector, outputs - o)
    width = _panel_width(here, vector)
    total = as_row(sums[o // (2 * vector)])
    flat = as_row(gw)
    terms = gw.size // gw.shape[0]
    for k in range(here):
        row = flat[(group * outputs + o + k) * terms :]
        for t in range(t0, t1):
            row[t] = total[t * width + k]


@inner
def _panel_width(channels, vector):
    """The columns of a panel for so many channels: those of two vectors, one and a half, or one."""
    if channels <= vector:
        return vector
    return vector + vector // 2 if HALVES and 2 * channels <= 3 * vector else 2 * vector
