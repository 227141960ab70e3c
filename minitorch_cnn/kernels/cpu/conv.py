"""Convolution of images and its two gradients: which way each shape is computed."""

from functools import lru_cache

import numpy as np

from ..drivers import repeating_driver
from ..jit import on_host, threads_for
from ..precision import get_winograd_tile
from ..workspace import shaped_workspace, workspace
from .conv_channels import by_channels, join_channel_parts, pack, weight_by_channels
from .conv_depthwise import TAPS, bands, depthwise, depthwise_weight
from .conv_geometry import SPARE, geometry
from .conv_layout import add_up, subsample, subsample_adjoint
from .conv_overlap import spread_taps
from .conv_positions import (
    by_positions_1,
    by_positions_3,
    by_positions_4,
    by_positions_6,
    join_position_parts,
    weight_by_positions_1,
    weight_by_positions_4,
    weight_by_positions_6,
)
from .conv_winograd import (
    OUTPUTS,
    POINTS,
    winograd,
    winograd_collect,
    winograd_size,
    winograd_weight_grad,
    winograd_weights,
)
from .conv_winograd4 import winograd4, winograd4_weights
from .matmul import product
from .processor import REGISTERS, VECTOR_BYTES
from .tiles import BROAD, FOUR, LONG, NEAR, SIX, SLIM, TALL, THREE, WHOLE

# Positions of the target that are worked on at once: their sums stay in fast memory.
BLOCK = 256

# Elements of products that a thread adds up at once where taps overlap, and how many more terms of
# a product would take as long as that.
NEAR_PRODUCTS = 1 << 15
OVERLAP = 8

# Elements of Winograd's transforms that a thread works on at once.
NEAR_TRANSFORMS = 1 << 19

# Vectors of products that a pixel must be in, lest to copy it take longer than is gained.
PRODUCTS = 2048

# Tasks to deal out to threads, if there is work for so many. By the shape alone, whatever the
# number of threads, so that sums have the same parts.
TASKS = 16


@repeating_driver
def conv2d(x, w, b, y, stride, padding, dilation, groups):
    """y[n,o,i,j] = b[o] + sum_{c,u,v} x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw] w[o,c,u,v]"""
    taps = w.shape[2] * w.shape[3]
    steps = w.shape[1] * taps, taps
    if _pays_subsampling(w, stride, padding):
        x, stride = _subsampled(x, y.shape[2:], stride), (1, 1)
    _correlate(False, x, w, b, y, steps, stride, padding, dilation, groups)


@repeating_driver
def conv2d_input_grad(gy, w, gx, stride, padding, dilation, groups):
    """gx[n,c,r,s] = sum of gy[n,o,i,j] w[o,c,u,v] where r = i*sh+u*dh-ph and s = j*sw+v*dw-pw"""
    taps = w.shape[2] * w.shape[3]
    if _pays_overlap(gy, w, gx, stride, padding, dilation, groups):
        _overlap(gy, w, gx, padding)
        return
    steps = taps, w.shape[1] * taps
    none = np.empty(0, gy.dtype)
    if not _pays_subsampling(w, stride, padding):
        _correlate(True, gy, w, none, gx, steps, stride, padding, dilation, groups)
        return
    some = shaped_workspace("subsampled", (*gx.shape[:2], *gy.shape[2:]), gx.dtype)
    _correlate(True, gy, w, none, some, steps, (1, 1), padding, dilation, groups)
    subsample_adjoint(threads_for(gx.size), _planes(some), _planes(gx), *stride)


@repeating_driver
def conv2d_weight_grad(gy, x, gw, gb, stride, padding, dilation, groups):
    """gw[o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw],
    gb[o] = sum_{n,i,j} gy[n,o,i,j] unless gb is empty"""
    kernel, vector = gw.shape[2:], VECTOR_BYTES // x.itemsize
    if _pays_subsampling(gw, stride, padding):
        x, stride = _subsampled(x, gy.shape[2:], stride), (1, 1)
    if _is_pointwise(kernel, stride, padding):
        gy, x = _as_rows(gy), _as_rows(x)
    batch, outputs, inputs = x.shape[0], gw.shape[0] // groups, gw.shape[1]
    width = gy.shape[3]
    taps = kernel[0] * kernel[1]
    terms = inputs * taps
    if gw.size == 0 or gy.size == 0 or x.size == 0:
        on_host()
        gw[...] = 0
        gb[...] = gy.sum((0, 2, 3)) if gb.size else 0
        return
    if _is_depthwise(kernel, stride, padding, dilation, inputs, outputs):
        threads = threads_for(TAPS * gy.size)
        depthwise_weight(threads, gy, x, gw, gb, *bands(threads, gy), *padding)
        return
    if _pays_winograd(kernel, stride, padding, dilation, groups, inputs, outputs):
        _winograd_weight_grad(gy, x, gw, gb, padding, dilation[0])
        return
    in_lanes = outputs >= vector and not _one_vector(outputs, width, stride, vector)
    block = BLOCK if in_lanes else BLOCK // 2 * vector
    plan = geometry(
        False, inputs, taps, x.shape[2:], gy.shape[2:], kernel, stride, padding, dilation,
        1 if in_lanes else vector, max(1, block // width),
    )  # fmt: skip
    threads = threads_for(gw.size * gy.size // gy.shape[1])
    if in_lanes:
        panels = -(-outputs // (2 * vector))
        padded = -(-terms // WHOLE) * WHOLE
        splits = max(1, min(-(-TASKS // (groups * panels)), padded // (4 * WHOLE)))
        parts = max(1, min(batch, TASKS // (groups * panels * splits)))
        shape = (parts, groups, panels, padded, 2 * vector)
        sums = shaped_workspace("weight sums", shape, x.dtype)
        size = plan.source_size + (plan.positions + vector) * 2 * vector
        memory = workspace("memory", threads, size, x.dtype)
        bias_sums = np.empty((parts, gb.size), np.float64)
        weight_by_channels(threads, gy, x, gw, sums, bias_sums, memory, plan.tables, groups, splits)
        if parts > 1:
            join_channel_parts(sums, gw, groups)
    else:
        rows = _tile_rows(outputs)
        parts = max(1, min(batch, TASKS // groups))
        shape = (parts, groups, -(-outputs // rows) * rows, terms + SPARE, vector)
        sums = shaped_workspace("weight sums", shape, x.dtype)
        size = plan.source_size + rows * plan.positions * vector
        memory = workspace("memory", threads, size, x.dtype)
        bias_sums = np.empty((parts, gb.size), np.float64)
        run = {1: weight_by_positions_1, 4: weight_by_positions_4, 6: weight_by_positions_6}[rows]
        run(threads, gy, x, sums, bias_sums, memory, plan.tables)
        join_position_parts(sums, gw)
    if gb.size:
        add_up(bias_sums, gb)


def _correlate(adjoint, source, w, bias, target, steps, stride, padding, dilation, groups):
    """All sums of a convolution or its adjoint.

    `steps` are the distances between the weights of two channels of the target and of the source.
    """
    if target.size == 0:
        return
    kernel, vector = w.shape[2:], VECTOR_BYTES // source.itemsize
    inputs, outputs = source.shape[1] // groups, target.shape[1] // groups
    size = target.shape[2:]
    way = _way(kernel, stride, padding, dilation, groups, inputs, outputs, size, vector)
    if way == "product":
        batch, pixels = target.shape[0], size[0] * size[1]
        product(
            w.reshape(1, *w.shape[:2]), source.reshape(batch, inputs, pixels), bias,
            target.reshape(batch, outputs, pixels), adjoint, False, bias_of_rows=True,
        )  # fmt: skip
        return
    if way == "depthwise":
        top, left = (2 - p if adjoint else p for p in padding)
        threads = threads_for(TAPS * target.size)
        places = bands(threads, target)
        depthwise(threads, source, w, bias, target, *places, top, left, adjoint)
        return
    if way == "winograd":
        _winograd(adjoint, source, w, bias, target, steps, padding, dilation[0])
        return
    if _is_pointwise(kernel, stride, padding):
        source, target = _as_rows(source), _as_rows(target)
    terms, in_lanes = inputs * kernel[0] * kernel[1], way == "channels"
    # Three channels are an image's colours.
    rows = 3 if outputs == 3 else _tile_rows(outputs)
    if in_lanes:
        block = max(1, BLOCK // target.shape[3])
    else:
        columns = {1: LONG, 3: THREE, 4: FOUR, 6: SIX}[rows]
        most = 2 * BLOCK
        if source.shape[0] * groups >= TASKS:
            most = max(most, 2 * NEAR // max(1, inputs))  # what they see stays in fast memory
        block = _block_rows(*target.shape[2:], vector, columns, most)
    plan = geometry(
        adjoint, inputs, steps[1], source.shape[2:], target.shape[2:], kernel, stride, padding,
        dilation, 1 if in_lanes else vector, block,
    )  # fmt: skip
    threads = threads_for(target.size * terms)
    if in_lanes:
        padded = -(-outputs // vector) * vector
        packed = shaped_workspace("packed", (groups, (plan.terms + 1) * padded), source.dtype)
        size = plan.source_size + (plan.positions + SPARE) * 2 * vector
        memory = workspace("memory", threads, size, source.dtype)
        pack(
            threads_for(packed.size), w.reshape(-1), bias, packed, plan.tables, steps[0],
            w.size // groups, outputs,
        )  # fmt: skip
        by_channels(threads, source, packed, target, memory, plan.tables, groups)
    else:
        size = plan.source_size + REGISTERS * vector
        memory = workspace("memory", threads, size, source.dtype)
        run = {1: by_positions_1, 3: by_positions_3, 4: by_positions_4, 6: by_positions_6}[rows]
        run(
            threads, source, w.reshape(-1), bias, target, memory, plan.tables, groups, steps[0],
            w.size // groups,
        )  # fmt: skip


def _way(kernel, stride, padding, dilation, groups, inputs, outputs, size, vector):
    """By which method: a product of matrices, Winograd's, by channels or by positions.

    Tuned with `python -m bench.conv_layers`. `inputs` and `outputs` are channels of a group of the
    source and the target, whose planes are of this `size`.
    """
    pixels = size[0] * size[1]
    pointwise = _is_pointwise(kernel, stride, padding)
    # Memory limits it: an image is read in place.
    if _is_depthwise(kernel, stride, padding, dilation, inputs, outputs):
        return "depthwise"
    # Memory limits it: a product reads every image in place, and its rows are whole planes. With
    # many terms these may be short: to turn as many weights would take longer than to join planes.
    if pointwise and groups == 1 and (pixels >= 3 * vector or inputs >= 8 * vector):
        return "product"
    # Fewer multiplications than the sum has terms.
    if _pays_winograd(kernel, stride, padding, dilation, groups, inputs, outputs):
        return "winograd"
    # Lanes that hold channels would stay empty.
    if outputs < vector:
        return "positions"
    # To turn the weights, and the sums at the end, would take longer than to add up the terms. But
    # with a stride, neighbours in lanes have to be brought together or put apart one by one.
    if stride == (1, 1) and inputs * kernel[0] * kernel[1] < (64 if pointwise else 24):
        return "positions"
    if _one_vector(outputs, size[1], stride, vector):
        return "positions"
    # Full lanes whatever the width, the stride and the dilation.
    return "channels"


def _one_vector(outputs, width, stride, vector):
    """Whether channels fill one vector, and positions do better.

    A tile of one vector of channels loads a factor for every product, which processors with few
    registers, and short vectors, do at half their speed. With a stride that is no worse than to
    bring neighbours together, and with few columns than to leave a quarter of the lanes empty.
    """
    full = 4 * width >= 3 * vector * -(-width // vector)
    return REGISTERS < 32 and outputs == vector and stride == (1, 1) and full


def _tile_rows(outputs):
    """How many channels a tile by positions has: 6, 4 or 1, so that the fewest are worked on."""
    if outputs < 4:
        return 1
    return 6 if outputs >= 6 and -(-outputs // 6) * 6 < -(-outputs // 4) * 4 else 4


@lru_cache(maxsize=512)
def _block_rows(high, wide, vector, columns, most):
    """How many rows of the target are worked on at once, by positions.

    They have from half of BLOCK to `most` positions; of such numbers it is the one with the least
    work. The last tile of a block takes as long as a full one, to begin a block about half as long.
    """
    across = -(-wide // vector)  # vectors of a row

    def work(blocks):
        rows = -(-high // blocks)
        whole, rest = divmod(high, rows)
        tiles = whole * -(-rows * across // columns) - (-rest * across // columns)
        return 2 * tiles + blocks

    few, many = (max(1, min(high, -(-high * wide // size))) for size in (most, BLOCK // 2))
    return -(-high // min(range(few, many + 1), key=work))


def _pays_overlap(gy, w, gx, stride, padding, dilation, groups):
    """Whether to add products where taps overlap takes less time than to multiply the margins."""
    outputs, inputs, *kernel = w.shape
    vector, plane = VECTOR_BYTES // gy.itemsize, gy.shape[2] * gy.shape[3]
    plain = stride == dilation == (1, 1) and groups == 1
    if not plain or gx.size == 0 or kernel[0] * kernel[1] < TALL or plane < vector:
        return False
    if _pays_winograd(tuple(kernel), stride, padding, dilation, groups, outputs, inputs):
        return False
    # In vectors: sums by positions or by channels, and products.
    high, wide = gx.shape[2:]
    sums = high * wide / vector if inputs >= vector else high * -(-wide // vector)
    products = -(-plane // vector)
    return sums * outputs > products * (outputs + OVERLAP)


def _overlap(gy, w, gx, padding):
    vector, inputs = VECTOR_BYTES // gy.itemsize, w.shape[1]
    size = w.shape[2] * w.shape[3] * gy.shape[2] * gy.shape[3]
    blocks = max(-(-inputs * size // NEAR_PRODUCTS), -(-TASKS // gy.shape[0]))
    some = -(-inputs // min(inputs, blocks))
    threads = threads_for(w.size * gy.size // gy.shape[1])
    memory = workspace("memory", threads, some * size + gx.shape[2] * vector, gy.dtype)
    spread_taps(threads, gy, w, gx, memory, *padding, some)


def _pays_winograd(kernel, stride, padding, dilation, groups, inputs, outputs):
    """Whether the transforms cost less than the products they save."""
    apart = dilation[0]
    plain = kernel == (3, 3) and stride == (1, 1) and groups == 1 and dilation == (apart, apart)
    # Of a dilated one's padding a multiple: then the phases of both images are the same.
    inside = max(padding) <= 2 * apart and padding[0] % apart == padding[1] % apart == 0
    enough = min(inputs, outputs) >= 16 and outputs % 4 == 0
    return plain and inside and enough and get_winograd_tile() > 0


def _tiles(size, apart, m):
    """How many tiles of m results cover so many elements, of which every `apart`-th is in one."""
    return -(-size // (apart * m))


def _winograd(adjoint, source, w, bias, target, steps, padding, apart):
    batch, channels = source.shape[:2]
    outputs, high, wide = target.shape[1:]
    top, left = (2 - p // apart if adjoint else p // apart for p in padding)
    m, run, turn = 2, winograd, winograd_weights
    # Where many of their results would lie outside, large tiles have more products than small ones.
    large, small = (
        _tiles(high, apart, size) * _tiles(wide, apart, size) * (size + 2) ** 2 for size in (4, 2)
    )
    if get_winograd_tile() == 4 and large < small:
        m, run, turn = 4, winograd4, winograd4_weights
    count = (m + 2) ** 2
    points = shaped_workspace("points", (outputs * count * channels,), source.dtype)
    turn(threads_for(points.size), w.reshape(-1), points, outputs, *steps, adjoint)
    vector = VECTOR_BYTES // source.itemsize
    rows, across = batch * apart * apart * _tiles(high, apart, m), _tiles(wide, apart, m)
    task_rows = _task_rows(rows, across, count * channels, vector)
    size = winograd_size(m, channels + OUTPUTS, task_rows, across, vector)
    threads = threads_for(target.size * channels * 4)
    memory = workspace("memory", threads, size, source.dtype)
    if not bias.size:
        bias = np.zeros(outputs, source.dtype)
    run(threads, source, points, bias, target, memory, top, left, apart, task_rows)


def _winograd_weight_grad(gy, x, gw, gb, padding, apart):
    batch, channels = x.shape[:2]
    outputs, high, wide = gy.shape[1:]
    vector = VECTOR_BYTES // x.itemsize
    rows, across = batch * apart * apart * _tiles(high, apart, 2), _tiles(wide, apart, 2)
    # Each part has sums of its own: many take long to add up.
    parts = 4 if outputs * channels <= 128 * 128 else 2
    if outputs * channels > 256 * 256 and outputs >= 8 * vector:
        parts = 1
    parts = min(rows, parts)
    splits = 4 // parts
    some = vector if outputs <= vector else -(-outputs // (splits * 2 * vector)) * 2 * vector
    task_rows = _task_rows(rows, across, POINTS * (channels + some) // 2, vector)
    rows_once = BROAD if some > vector else SLIM
    padded_channels = -(-channels // rows_once) * rows_once
    shape = (parts, splits, POINTS, padded_channels, some)
    sums = shaped_workspace("weight sums", shape, x.dtype)
    size = winograd_size(2, channels + some, task_rows, across, vector)
    # Of narrow images many rows are turned at once, so that vectors are full.
    turned = task_rows if apart == 1 and wide < vector else 1
    size += 4 * vector * across * turned
    threads = threads_for(gy.size * channels * 4)
    memory = workspace("memory", threads, size, x.dtype)
    bias_sums = np.empty((parts, gb.size), np.float64)
    top, left = padding[0] // apart, padding[1] // apart
    winograd_weight_grad(
        threads, gy, x, sums, bias_sums, memory, top, left, apart, task_rows, turned
    )
    if gb.size:
        add_up(bias_sums, gb)
    winograd_collect(threads_for(sums.size), sums, gw)


@lru_cache(maxsize=512)
def _task_rows(rows, across, tile_size, vector):
    """Rows of tiles in a task.

    So few that their transforms stay near, each tile's being `tile_size` elements; of these numbers
    the one by which four threads would have the least to do, counted in vectors of tiles: those
    that do not fill a tile of registers are done in pairs, and take a third longer, and a task
    reads all weights.
    """
    tiles = min(192, max(48, NEAR_TRANSFORMS // tile_size))

    def work(some):
        vectors = -(-some * across // vector)
        rest = vectors % FOUR
        return -(-rows // (4 * some)) * (3 * (vectors - rest) + 8 * -(-rest // 2) + 3), -some

    return min(range(1, max(1, min(rows, tiles // across)) + 1), key=work)


def _is_depthwise(kernel, stride, padding, dilation, inputs, outputs):
    """Whether each channel has a filter of 3 x 3 of its own, at every place of the image."""
    plain = kernel == (3, 3) and stride == dilation == (1, 1)
    return plain and inputs == outputs == 1 and max(padding) <= 2


def _is_pointwise(kernel, stride, padding):
    return kernel == (1, 1) and stride == (1, 1) and padding == (0, 0)


def _pays_subsampling(w, stride, padding):
    """Whether pixels `stride` apart are all that is seen of the images, and are put together first.

    Then they are read once, and not for every few channels anew; the rest is as without a stride.
    That pays if each is in many products. `w` are the weights, or has their shape.
    """
    outputs, inputs, *kernel = w.shape
    apart = kernel == [1, 1] and stride != (1, 1) and padding == (0, 0)
    return apart and inputs * outputs >= PRODUCTS * (VECTOR_BYTES // w.itemsize)


def _subsampled(x, size, stride):
    """The pixels of x that lie `stride` apart, in planes of this size."""
    some = shaped_workspace("subsampled", (*x.shape[:2], *size), x.dtype)
    subsample(threads_for(some.size), _planes(x), _planes(some), *stride)
    return some


def _planes(images):
    """The planes of all images and channels."""
    batch, channels, height, width = images.shape
    return images.reshape(batch * channels, height, width)


def _as_rows(images):
    """Images without a neighbourhood: planes cut into as few rows as make blocks."""
    batch, channels, height, width = images.shape
    size = height * width
    rows = next((k for k in range(1, height) if size % k == 0 and size <= 2 * BLOCK * k), height)
    return images.reshape(batch, channels, rows, size // max(rows, 1))
