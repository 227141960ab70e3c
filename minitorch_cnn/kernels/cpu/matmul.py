"""Matrix products on tiles of registers.

Not BLAS, which has a second pool of threads, and bits that vary with their number. Two ways:

- *by columns*: lanes are neighbouring columns of the result; a panel of the right matrix, a tile's
  width of columns, is multiplied with all rows of the left one. It is copied first where its rows
  lie far apart and many rows use it, or if it is stored transposed.
- *by rows*: lanes run along the sum, for a transposed right matrix and few rows on the left.
"""

from typing import Any

import numpy as np

from ..jit import driver, inner, threads_for
from ..tasks import task_kernel
from ..workspace import workspace
from .reduce import sum
from .simd import (
    VECTOR_BYTES,
    column_offsets,
    column_tile,
    dot,
    lanes,
    load,
    load_tile,
    multiply_add,
    row_tile,
    store,
    store_sums,
    store_tile,
    tile_columns,
    transpose,
    zero_tile,
)
from .tiles import FOUR

MANY = 32  # rows that repay a copy of the right matrix
TERMS = 256  # of which a panel is made at a time
LARGE = 1 << 24  # multiply-adds from which a last narrow panel is worth a kernel
BLOCK = 1 << 15  # elements that stay in fast memory, the second level of caches


@driver
def matmul(a: Any, b: Any, y: Any, turn_a: bool, turn_b: bool) -> None:
    """y = a b for stacks of matrices; a turned one is stored transposed, a stack of 1 serves all"""
    product(a, b, np.empty(0, y.dtype), y, turn_a, turn_b)


@driver
def linear(x: Any, w: Any, b: Any, y: Any) -> None:
    """y[n,o] = b[o] + sum_i x[n,i] w[o,i]"""
    product(x[None], w[None], b, y[None], False, True)


@driver
def linear_input_grad(gy: Any, w: Any, gx: Any) -> None:
    """gx[n,i] = sum_o gy[n,o] w[o,i]"""
    product(gy[None], w[None], np.empty(0, gx.dtype), gx[None], False, False)


@driver
def linear_weight_grad(gy: Any, x: Any, gw: Any, gb: Any) -> None:
    """gw[o,i] = sum_n gy[n,o] x[n,i], gb[o] = sum_n gy[n,o] unless gb is empty"""
    product(gy[None], x[None], np.empty(0, gw.dtype), gw[None], True, False)
    if gb.size:
        sum(gy, gb, (0,), 1)


def product(
    a: Any, b: Any, bias: Any, y: Any, turn_a: bool, turn_b: bool, bias_of_rows: bool = False
) -> None:
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j]; or bias[i]"""
    stack, rows, columns = y.shape
    depth = a.shape[1 if turn_a else 2]
    if y.size == 0:
        return
    threads = threads_for(y.size * depth)
    vector = VECTOR_BYTES // y.itemsize
    if turn_b and not turn_a and not bias_of_rows and (rows < MANY or columns < vector):
        by_rows(threads, a, b, bias, y)
        return
    panels = -(-columns // (FOUR * vector))
    # Blocks of rows of the left matrix, of whole tiles: so small that one stays in fast memory for
    # all panels, and so many that each thread has some.
    blocks = max(rows * min(depth, TERMS) // BLOCK, -(-2 * threads // (panels * stack)))
    blocks = max(1, min(rows // 8, blocks))
    panel = workspace("panel", threads, (TERMS + 5) * FOUR * vector, y.dtype)
    # If the last panel is but a vector and work is large, a kernel for it pays its compilation.
    last = columns % (FOUR * vector)
    split = columns > last > 0 and last <= vector and y.size * depth > LARGE
    end = columns - last if split else columns
    options = turn_a, turn_b, blocks, bias_of_rows
    by_columns(threads, a, b, bias, y, panel, 0, end, *options)
    if split:
        by_column(threads, a, b, bias, y, panel, end, columns, *options)


@task_kernel
def by_columns(
    thread, threads, a, b, bias, y, memories, begin, end, turn_a, turn_b, blocks, bias_of_rows
):
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j] for begin <= j < end; or bias[i]"""
    _by_columns(
        zero_tile(y, 4, FOUR), thread, threads, a, b, bias, y, memories[thread], begin, end,
        turn_a, turn_b, blocks, bias_of_rows,
    )  # fmt: skip


@task_kernel
def by_column(
    thread, threads, a, b, bias, y, memories, begin, end, turn_a, turn_b, blocks, bias_of_rows
):
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j] for begin <= j < end; or bias[i]

    In tiles of one vector's columns.
    """
    _by_columns(
        zero_tile(y, 4, 1), thread, threads, a, b, bias, y, memories[thread], begin, end,
        turn_a, turn_b, blocks, bias_of_rows,
    )  # fmt: skip


@inner
def _by_columns(
    shape, thread, threads, a, b, bias, y, memory, begin, end, turn_a, turn_b, blocks, bias_of_rows
):
    """by_columns for one thread"""
    stack, rows, columns = y.shape
    depth = a.shape[1] if turn_a else a.shape[2]
    vector = lanes(y)
    width = tile_columns(shape) * vector
    panels = (end - begin + width - 1) // width
    row_step, term_step = (1, rows) if turn_a else (depth, 1)
    lefts, rights = a.shape[0], b.shape[0]
    a, b, y = a.reshape(-1), b.reshape(-1), y.reshape(-1)
    buffer, line = memory[TERMS * width :], memory[(TERMS + 4) * width :]
    tasks = stack * panels * blocks
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        s, rest = task // (panels * blocks), task % (panels * blocks)
        block, j = rest // panels, begin + rest % panels * width
        some = min(width, end - j)
        left = s * rows * depth if lefts > 1 else 0
        right = s * depth * columns if rights > 1 else 0
        # Whole tiles in all blocks but the last.
        i0 = block * (rows // 4) // blocks * 4
        i1 = rows if block == blocks - 1 else (block + 1) * (rows // 4) // blocks * 4
        # Some terms at a time: so much of the panel stays in the fastest memory for all rows.
        for k0 in range(0, max(1, depth), TERMS):
            terms = min(depth - k0, TERMS)
            source, at, step = b, right + k0 * columns + j, columns
            if turn_b or some < width or rows >= MANY:
                _copy_panel(b, right, depth, columns, k0, terms, j, some, turn_b, memory, width)
                source, at, step = memory, 0, width
            if bias.size > 0 and not bias_of_rows:
                for lane in range(width):
                    line[lane] = bias[j + min(lane, some - 1)]
            for i in range(i0, i1, 4):
                # A tile that juts out below repeats the last row.
                tall = min(4, i1 - i)
                whole = some == width and tall == 4
                steps = _four_steps(row_step, tall)
                here = left + i * row_step + k0 * term_step
                place = (s * rows + i) * columns + j
                if k0 > 0 and whole:
                    tile = load_tile(shape, y, place, columns, vector)
                elif k0 > 0:
                    for m in range(4):
                        for lane in range(width):
                            r, c = min(m, tall - 1), min(lane, some - 1)
                            buffer[m * width + lane] = y[place + r * columns + c]
                    tile = load_tile(shape, buffer, 0, width, vector)
                elif bias.size == 0:
                    tile = shape
                elif bias_of_rows:
                    for m in range(4):
                        line[m] = bias[i + min(m, tall - 1)]
                    tile = column_tile(shape, line, 0)
                else:
                    tile = row_tile(shape, line, 0)
                for k in range(terms):
                    tile = multiply_add(
                        tile, a, here + k * term_step, steps, source, at + k * step, vector
                    )
                if whole:
                    store_tile(tile, y, place, columns, vector)
                    continue
                store_tile(tile, buffer, 0, width, vector)
                for m in range(tall):
                    for lane in range(some):
                        y[place + m * columns + lane] = buffer[m * width + lane]


@inner
def _four_steps(step, count):
    """Offsets of four rows of which only `count` are there; the last stands for the others."""
    last = count - 1
    return 0, min(1, last) * step, min(2, last) * step, last * step


@inner
def _copy_panel(b, right, depth, columns, k0, terms, j, some, turned, panel, width):
    """panel[k,lane] = b[k0+k,j+lane] for k < terms, 0 for lane >= some; b may be transposed"""
    vector = lanes(b)
    zero = b.dtype.type(0)
    if not turned:
        for k in range(terms):
            row, out = right + (k0 + k) * columns + j, k * width
            if some == width:
                for lane in range(0, width, vector):
                    store(load(b, row + lane), panel, out + lane)
            else:
                for lane in range(width):
                    panel[out + lane] = b[row + lane] if lane < some else zero
        return
    for lane in range(0, width, vector):
        here = min(vector, some - lane)
        if here <= 0 or terms < vector:
            for k in range(terms):
                for m in range(lane, lane + vector):
                    value = b[right + (j + m) * depth + k0 + k] if m < some else zero
                    panel[k * width + m] = value
            continue
        for q in range(0, terms, vector):
            k = min(q, terms - vector)
            at = right + (j + lane) * depth + k0 + k
            transpose(b, at, depth, here, panel, k * width + lane, width, vector)


@task_kernel
def by_rows(thread, threads, a, b, bias, y):
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,j,k]"""
    stack, rows, columns = y.shape
    depth = a.shape[2]
    lefts, rights = a.shape[0], b.shape[0]
    a, b, y = a.reshape(-1), b.reshape(-1), y.reshape(-1)
    vector = lanes(y)
    whole = depth // vector * vector
    buffer, places = np.empty(4 * FOUR, y.dtype), np.empty(FOUR, np.int64)
    tall, wide = (rows + 3) // 4, (columns + FOUR - 1) // FOUR
    tasks = stack * tall * wide
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        s, rest = task // (tall * wide), task % (tall * wide)
        j, i = rest // tall * FOUR, rest % tall * 4
        left = (s * rows if lefts > 1 else 0) * depth + i * depth
        right = (s * columns if rights > 1 else 0) * depth + j * depth
        # A tile that juts out repeats the last row or column.
        high, broad = min(4, rows - i), min(FOUR, columns - j)
        steps = _four_steps(depth, high)
        for n in range(FOUR):
            places[n] = min(n, broad - 1) * depth
        tile = zero_tile(y, 4, FOUR)
        across = column_offsets(tile, places, 0)
        for k in range(0, whole, vector):
            tile = dot(tile, a, left + k, steps, b, right + k, across)
        store_sums(tile, buffer, 0, FOUR, 1)
        for m in range(high):
            for n in range(broad):
                total = buffer[m * FOUR + n]
                for k in range(whole, depth):
                    total += a[left + m * depth + k] * b[right + n * depth + k]
                if bias.size > 0:
                    total += bias[j + n]
                y[(s * rows + i + m) * columns + j + n] = total
