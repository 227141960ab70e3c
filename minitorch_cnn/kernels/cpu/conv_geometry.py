"""Where a convolution reads and writes: tables worked out once for every shape.

A convolution and its adjoint in the input are one thing to a kernel: every element of the
*target*'s planes is a sum of *terms*, each a weight times an element of the *source*'s planes. The
adjoint of a stride s falls into s phases by row and as many by column, target elements that meet
the same taps. Within a phase the source element is found by a sum of two numbers, one for the term
and one for the position in the target:

    starts[term] + places[position]

The source is the tensor itself or, where the sum could leave it, a copy with a margin of zeros.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Axis(NamedTuple):
    """One dimension: target index r and tap u meet in row bases[r] + reaches[u] of plane planes[u].

    Plane a of the source holds, as row q, its row q*step + a - margin.
    """

    bases: np.ndarray
    phases: np.ndarray
    reaches: np.ndarray
    tap_phases: np.ndarray
    planes: np.ndarray
    step: int
    margin: int


def forward_axis(size, kernel, stride, padding, dilation, spread):
    """r meets u in source row r*stride + u*dilation - padding.

    With `spread`, neighbours in the target have neighbours in the source: rows that lie `stride`
    apart are put together in one of `stride` planes.
    """
    taps, step = np.arange(kernel) * dilation, stride if spread else 1
    bases = np.arange(size) * (1 if spread else stride)
    one_phase = np.zeros(size, np.int64), np.zeros(kernel, np.int64)
    return Axis(bases, one_phase[0], taps // step, one_phase[1], taps % step, step, padding)


def adjoint_axis(size, kernel, stride, padding, dilation):
    """r meets u in source row (r + padding - u*dilation) / stride, if that is whole."""
    rows, taps = np.arange(size) + padding, np.arange(kernel) * dilation
    farthest = (kernel - 1) * dilation // stride
    return Axis(
        rows // stride - padding // stride,
        rows % stride,
        farthest - taps // stride,
        taps % stride,
        np.zeros(kernel, np.int64),
        1,
        farthest - padding // stride,
    )


# The header of Geometry.tables: flags and sizes, then where each table starts.
(
    COPIED, DOWN, ACROSS, ROWS, COLUMNS, ROW_STEP, COLUMN_STEP, TOP, LEFT,
    BLOCK, BLOCKS, ADVANCE, APART, PHASES, TERMS, POSITIONS, SOURCE_SIZE,
    TERM_ENDS, STARTS, WEIGHTS, PLACE_ENDS, PLACES, TARGETS, SEEN, FIRSTS, LASTS, ROW_ENDS, VALID,
) = range(28)  # fmt: skip


SPARE = 64
"""How often the last entry of a table is repeated, so that there is a whole number of tiles."""


class Geometry(NamedTuple):
    """The tables for the channels of one group and a block of the target's rows at a time.

    `tables` is one array, as a kernel's every argument costs time: a header of numbers, which
    the constants above name, and behind it the tables, each from the place that the header tells.

    TERM_ENDS    phase f has the terms from entry f up to entry f + 1
    STARTS       of a term, its place in the source
    WEIGHTS      of a term, where its weight lies
    PLACE_ENDS   phase f has the positions from entry f up to entry f + 1
    PLACES       of a position, its place in the source
    TARGETS      of a position, its place in the block's rows of the target
    FIRSTS       of a position, the first term whose source is not in the margin above or below,
    LASTS        and the one after the last; all terms, where they are not in order of their rows
    SEEN         of a position, how many of its lanes the one before it has as well
    ROW_ENDS     [f, r]: how many positions of phase f are in the first r rows of a block
    VALID        of phase f, how many lanes of a position are in the target
    """

    copied: bool  # whether the source is a copy, of shape [channel][down][across][rows][columns]
    source_size: int
    terms: int
    positions: int
    phases: int
    tables: np.ndarray


def _padded(table):
    """A table, and SPARE times its last entry."""
    return np.append(table, np.repeat(table[-1:], SPARE))


def _terms(by_channel, by_tap, by_kernel_row):
    """The sums of a number for each channel and one for each tap, in the order of the terms."""
    order = (1, 0, 2) if by_kernel_row else (0, 1, 2)
    return (by_channel[:, :, None] + by_tap).transpose(order).ravel()


@lru_cache(maxsize=512)
def geometry(
    adjoint, channels, weight_step, source, target, kernel, stride, padding, dilation, lanes, block
):
    """The tables for a convolution (or its adjoint) of `channels` planes of size `source`.

    `weight_step` is the distance between the weights of two of these channels. A position is one
    element of the target or, with `lanes` > 1, as many that are neighbours in the target and in the
    source; where a row does not end on a full number of them the last overlaps the one before.
    A block has about `block` rows.

    The adjoint with `lanes` has its terms in the order of the kernel's rows: those that meet the
    margin, which is wide then, can be left out. All others go channel by channel.
    """
    if adjoint:
        by_row, by_column = map(adjoint_axis, target, kernel, stride, padding, dilation)
        row_phases, column_phases = stride
    else:
        spread = [lanes > 1] * 2
        by_row, by_column = map(forward_axis, target, kernel, stride, padding, dilation, spread)
        row_phases = column_phases = 1
    down, across = int(by_row.planes.max()) + 1, int(by_column.planes.max()) + 1
    height, width = target
    # Blocks of equal size, of whole phases.
    blocks = -(-height // max(1, block))
    block = -(-height // (blocks * row_phases)) * row_phases
    blocks = -(-height // block)
    last = min(block, height) - 1

    needed = [int(axis.bases.max() + axis.reaches.max()) + 1 for axis in (by_row, by_column)]
    inside = (by_row.margin, by_column.margin, by_row.step, by_column.step) == (0, 0, 1, 1)
    inside = inside and needed[0] <= source[0] and needed[1] <= source[1]
    narrow = lanes > 1 and width // column_phases < lanes
    copied = narrow or not inside
    if copied:
        rows = int(by_row.bases[: last + 1].max() + by_row.reaches.max()) + 1
        columns = needed[1]
    else:
        rows, columns = source

    starts, weights, term_ends = [], [], [0]
    firsts, lasts = [], []
    by_kernel_row = adjoint and lanes > 1
    places, targets, seen, place_ends, row_ends, valid = [], [], [], [0], [], []
    plane = rows * columns
    c = np.arange(channels)[:, None]
    for a in range(row_phases):
        for b in range(column_phases):
            u = np.flatnonzero(by_row.tap_phases == a)[:, None]
            v = np.flatnonzero(by_column.tap_phases == b)
            start = (by_row.planes[u] * across + by_column.planes[v]) * plane
            start += by_row.reaches[u] * columns + by_column.reaches[v]
            starts.append(_terms(c * (down * across * plane), start, by_kernel_row))
            weights.append(_terms(c * weight_step, u * kernel[1] + v, by_kernel_row))
            term_ends.append(term_ends[-1] + starts[-1].size)
            r = np.flatnonzero(by_row.phases[: last + 1] == a)
            s = np.flatnonzero(by_column.phases == b)
            valid.append(min(lanes, s.size))
            overlap = np.zeros(s.size, np.int64)
            if lanes > 1 and s.size:
                first = np.arange(0, s.size, lanes)
                overlap = first - np.minimum(first, max(0, s.size - lanes))
                s = s[first - overlap]
            places.append(
                _padded((by_row.bases[r][:, None] * columns + by_column.bases[s]).ravel())
            )
            targets.append(_padded((r[:, None] * width + s).ravel()))
            seen.append(_padded(np.tile(overlap, r.size)))
            met = np.full((r.size, 2), term_ends[-2:])
            if by_kernel_row and blocks == 1 and u.size:
                row = by_row.bases[r][:, None] + by_row.reaches[u.ravel()] - by_row.margin
                inside = (row >= 0) & (row < source[0])
                step = channels * v.size
                met[:, 0] = term_ends[-2] + inside.argmax(1) * step
                met[:, 1] = met[:, 0] + inside.sum(1) * step
            firsts.append(_padded(np.repeat(met[:, 0], s.size)))
            lasts.append(_padded(np.repeat(met[:, 1], s.size)))
            place_ends.append(place_ends[-1] + places[-1].size)
            row_ends.append(np.searchsorted(r, np.arange(block + 1)) * s.size)
    advance = int(by_row.bases[block] if block < height else 0)
    positions = max(p.size for p in places) - SPARE
    starts[-1] = _padded(starts[-1])
    source_size = channels * down * across * plane + lanes if copied else 0
    header = [
        copied, down, across, rows, columns, by_row.step, by_column.step, by_row.margin,
        by_column.margin, block, blocks, advance, column_phases, len(valid), term_ends[-1],
        positions, source_size,
    ]  # fmt: skip
    parts = [
        np.array(term_ends), np.concatenate(starts), np.concatenate(weights),
        np.array(place_ends), np.concatenate(places), np.concatenate(targets),
        np.concatenate(seen), np.concatenate(firsts), np.concatenate(lasts),
        np.concatenate(row_ends), np.array(valid),
    ]  # fmt: skip
    at = len(header) + len(parts)
    for part in parts:
        header.append(at)
        at += part.size
    tables = np.concatenate([np.array(header), *parts]).astype(np.int64)
    return Geometry(copied, source_size, term_ends[-1], positions, len(valid), tables)
