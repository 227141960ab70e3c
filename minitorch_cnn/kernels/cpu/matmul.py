"""Matrix products on tiles of registers.

Not BLAS, which has a second pool of threads, and bits that vary with their number. Two ways:

- *by columns*: lanes are neighbouring columns of the result; a panel of the right matrix, a tile's
  width of columns, is multiplied with all rows of the left one. It is copied first where its rows
  lie far apart and many rows use it, or if it is stored transposed.
- *by rows*: lanes run along the sum, for a transposed right matrix and few rows on the left.
"""

from typing import Any

import numpy as np

from ..jit import inner, threads_for
from ..tasks import task_kernel
from ..workspace import workspace
from .simd import (
    REGISTERS,
    VECTOR_BYTES,
    column_offsets,
    dot,
    lanes,
    load,
    load_tile,
    multiply_add,
    store,
    store_sums,
    store_tile,
    transpose,
    zero_tile,
)

FOUR = (REGISTERS - 1) // 5  # columns of vectors in a tile of four rows, as in conv_direct
MANY = 32  # rows that repay a copy of the right matrix
BLOCK = 1 << 15  # elements that stay in fast memory, the second level of caches


def matmul(a: Any, b: Any, y: Any, turn_a: bool, turn_b: bool) -> None:
    """y = a b for stacks of matrices; a turned one is stored transposed, a stack of 1 serves all"""
    product(a, b, np.empty(0, y.dtype), y, turn_a, turn_b)


def linear(x: Any, w: Any, b: Any, y: Any) -> None:
    """y[n,o] = b[o] + sum_i x[n,i] w[o,i]"""
    product(x[None], w[None], b, y[None], False, True)


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
    blocks = max(rows * depth // BLOCK, -(-2 * threads // (panels * stack)))
    blocks = max(1, min(rows // 8, blocks))
    panel = workspace("panel", threads, (depth + 4) * FOUR * vector, y.dtype)
    by_columns(threads, a, b, bias, y, panel, turn_a, turn_b, blocks, bias_of_rows)


@task_kernel
def by_columns(thread, threads, a, b, bias, y, memories, turn_a, turn_b, blocks, bias_of_rows):
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j]; or bias[i]"""
    stack, rows, columns = y.shape
    depth = a.shape[1] if turn_a else a.shape[2]
    vector = lanes(y)
    width = FOUR * vector
    panels = (columns + width - 1) // width
    row_step, term_step = (1, rows) if turn_a else (depth, 1)
    lefts, rights = a.shape[0], b.shape[0]
    a, b, y = a.reshape(-1), b.reshape(-1), y.reshape(-1)
    memory = memories[thread]
    buffer = memory[depth * width :]
    tasks = stack * panels * blocks
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        s, rest = task // (panels * blocks), task % (panels * blocks)
        block, j = rest // panels, rest % panels * width
        some = min(width, columns - j)
        left = s * rows * depth if lefts > 1 else 0
        right = s * depth * columns if rights > 1 else 0
        # Whole tiles in all blocks but the last.
        i0 = block * (rows // 4) // blocks * 4
        i1 = rows if block == blocks - 1 else (block + 1) * (rows // 4) // blocks * 4
        source, at, step = b, right + j, columns
        if turn_b or some < width or rows >= MANY:
            _copy_panel(b, right, depth, columns, j, some, turn_b, memory, width)
            source, at, step = memory, 0, width
        for i in range(i0, i1, 4):
            # A tile that juts out below repeats the last row.
            tall = min(4, i1 - i)
            steps = _four_steps(row_step, tall)
            here, place = left + i * row_step, (s * rows + i) * columns + j
            tile = zero_tile(y, 4, FOUR)
            if bias.size > 0:
                for m in range(4):
                    for lane in range(width):
                        k = i + min(m, tall - 1) if bias_of_rows else j + min(lane, some - 1)
                        buffer[m * width + lane] = bias[k]
                tile = load_tile(tile, buffer, 0, width, vector)
            for k in range(depth):
                tile = multiply_add(
                    tile, a, here + k * term_step, steps, source, at + k * step, vector
                )
            if some == width and tall == 4:
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
def _copy_panel(b, right, depth, columns, j, some, turned, panel, width):
    """panel[k,lane] = b[k,j+lane], of a b that may be stored transposed, 0 for lane >= some"""
    vector = lanes(b)
    zero = b.dtype.type(0)
    if not turned and some == width:
        for k in range(depth):
            for lane in range(0, width, vector):
                row = load(b, right + k * columns + j + lane)
                store(row, panel, k * width + lane)
        return
    if not turned:
        for k in range(depth):
            row, out = b[right + k * columns + j :], panel[k * width : (k + 1) * width]
            for lane in range(some):
                out[lane] = row[lane]
            for lane in range(some, width):
                out[lane] = zero
        return
    for lane in range(0, width, vector):
        here = min(vector, some - lane)
        if here <= 0 or depth < vector:
            for k in range(depth):
                for m in range(lane, lane + vector):
                    panel[k * width + m] = b[right + (j + m) * depth + k] if m < some else zero
            continue
        for q in range(0, depth, vector):
            k = min(q, depth - vector)
            at = right + (j + lane) * depth + k
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


def einsum(*args: Any) -> None:
    """y = the sum that the equation names; arguments: inputs, y, equation"""
    *inputs, y, equation = args
    np.einsum(equation, *inputs, out=y, optimize=False)
