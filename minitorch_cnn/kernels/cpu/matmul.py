"""Matrix products on tiles of registers.

Not BLAS, which has a second pool of threads, and bits that vary with their number. Two ways:

- *by columns*: lanes are neighbouring columns of the result; a panel of the right matrix, a tile's
  width of columns, is multiplied with all rows of the left one. It is copied first where its rows
  lie far apart and many rows use it, if it is stored transposed, or where columns end inside it.
  Where one left matrix serves a stack of right ones, their columns count as those of one matrix: a
  panel may begin in one and end in the next, and only the last of all has empty lanes.
- *by rows*: lanes run along the sum, for a transposed right matrix and few rows on the left.
"""

from typing import Any

import numpy as np

from ..jit import driver, inner, threads_for
from ..tasks import task_kernel
from ..workspace import workspace
from .processor import VECTOR_BYTES
from .reduce import sum
from .simd import (
    as_row,
    copy_few,
    lanes,
    load,
    load_inside,
    prefetch,
    prefetch_to_write,
    store,
    transpose,
)
from .simd_tiles import (
    column_offsets,
    column_tile,
    dot,
    dot_inside,
    load_tile_inside,
    multiply_add,
    row_tile,
    store_sums,
    store_tile,
    store_tile_inside,
    tile_columns,
    zero_tile,
)
from .tiles import FOUR

MANY = 32  # rows that repay a copy of the right matrix
TERMS = 256  # of which a panel is made at a time
BLOCK = 1 << 17  # elements that stay in fast memory, the second level of caches
AT_ONCE = 16  # rows that are finished before their pieces are handed out


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
    _, rows, columns = y.shape
    depth = a.shape[1 if turn_a else 2]
    if y.size == 0:
        return
    threads, vector = threads_for(y.size * depth), VECTOR_BYTES // y.itemsize
    if turn_b and not turn_a and not bias_of_rows and (rows < MANY or columns < vector):
        by_rows(threads, a, b, bias, y)
        return
    # Blocks of rows of the left matrix, so small that one stays in fast memory for all panels.
    blocks = max(1, min(-(-rows // 4), rows * min(depth, TERMS) // BLOCK))
    memory = workspace("panel", threads, (TERMS + 1 + AT_ONCE) * FOUR * vector, y.dtype)
    one_for_all = 1 == a.shape[0] < b.shape[0] and not turn_b
    beside = one_for_all and (bias_of_rows or bias.size == 0)
    way = by_columns_of_all if beside else by_columns
    way(threads, a, b, bias, y, memory, turn_a, turn_b, blocks, bias_of_rows)


@task_kernel
def by_columns(thread, threads, a, b, bias, y, memories, turn_a, turn_b, blocks, bias_of_rows):
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j]; or bias[i]"""
    memory, options = memories[thread], (turn_a, turn_b, blocks, bias_of_rows)
    _by_columns(thread, threads, a, b, bias, y, memory, None, *options)


@task_kernel
def by_columns_of_all(
    thread, threads, a, b, bias, y, memories, turn_a, turn_b, blocks, bias_of_rows
):
    """The same, of one a for all: the columns of all b lie side by side, as those of one matrix"""
    memory, options = memories[thread], (turn_a, turn_b, blocks, bias_of_rows)
    results = memory[(TERMS + 1) * FOUR * lanes(y) :]
    _by_columns(thread, threads, a, b, bias, y, memory, results, *options)


@inner
def _by_columns(
    thread, threads, a, b, bias, y, memory, results, turn_a, turn_b, blocks, bias_of_rows
):
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j]; or bias[i]

    In tiles of four rows: in the order of blocks of rows, in these of panels, in these of rows.
    Every thread does as many in a row as the others, counted by their vectors of columns. Where
    columns lie side by side, there is memory for the `results` of panels that end in the next
    matrix; else it is None, and what it is for is not compiled.
    """
    stack, rows, columns = y.shape
    depth = a.shape[1] if turn_a else a.shape[2]
    vector = lanes(y)
    line = memory[TERMS * FOUR * vector :]
    wide, slim = zero_tile(y, 4, FOUR), zero_tile(y, 4, 2)
    side_by_side = 1 if results is None else stack
    stack, across = stack // side_by_side, columns * side_by_side
    tiles, vectors = (rows + 3) // 4, (across + vector - 1) // vector
    # What wide panels leave is done in slim ones, unless these together are as wide as one more.
    wides = vectors // FOUR
    slims = (vectors - wides * FOUR + 1) // 2
    if 2 * slims >= FOUR:
        wides, slims = wides + 1, 0
    vectors = wides * FOUR + slims * 2
    parts = max(1, (depth + TERMS - 1) // TERMS)
    row_step, term_step = (1, rows) if turn_a else (depth, 1)
    lefts, rights = a.shape[0], b.shape[0]
    a, b, y = as_row(a), as_row(b), as_row(y)
    place = stack * tiles * vectors * thread // threads
    end = stack * tiles * vectors * (thread + 1) // threads
    while place < end:
        s, first, here, i0, i1, place = _panel_at(place, end, tiles, vectors, wides, blocks)
        i1 = min(i1, rows)
        if i0 >= i1:
            continue
        s += first * vector // columns
        j, width = first * vector % columns, here * vector
        some = min(width, across - first * vector)
        goes_on = j + some > columns  # in the next matrix
        right = s * depth * columns if rights > 1 else 0
        left, to = s * rows * depth if lefts > 1 else 0, s * rows * columns + j
        for lane in range(0, width, vector):
            inside = 0 if bias_of_rows or bias.size == 0 else some - lane
            store(load_inside(bias, j + lane, 0, inside), line, lane)
        of_rows = bias if bias_of_rows else line[:0]
        # Some terms at a time: so much of the panel stays in fast memory for all rows.
        for part in range(parts):
            k0, k1 = part * depth // parts, (part + 1) * depth // parts
            source, at, step = b, right + k0 * columns + j, columns
            if results is not None and goes_on:
                _copy_pieces(b, at, columns, j, depth, k1 - k0, some, memory, width)
            elif turn_b or some < width or rows >= MANY:
                _copy_panel(b, right, depth, columns, k0, k1 - k0, j, some, turn_b, memory, width)
            if goes_on or turn_b or some < width or rows >= MANY:
                source, at, step = memory, 0, width
            # Rows of results that go on in the next matrix are made elsewhere, some at a time.
            target, out, out_step, count, rows_here = y, to, columns, some, i1 - i0
            if results is not None and goes_on:
                target, out_step, count, rows_here = results, width, width, AT_ONCE
            for i in range(i0, i1, rows_here):
                last = min(i + rows_here, i1)
                if results is not None and goes_on:
                    out = -i * width
                    if k0 > 0:
                        _hand_out(y, to, columns, j, rows, i, last, some, results, width, True)
                if here == FOUR:
                    _multiply(
                        wide, a, left + k0 * term_step, row_step, term_step, source, at, step, k0,
                        k1, of_rows, line, target, out, out_step, i, last, count,
                    )  # fmt: skip
                else:
                    _multiply(
                        slim, a, left + k0 * term_step, row_step, term_step, source, at, step, k0,
                        k1, of_rows, line, target, out, out_step, i, last, count,
                    )  # fmt: skip
                if results is not None and goes_on:
                    _hand_out(y, to, columns, j, rows, i, last, some, results, width, False)


@inner
def _panel_at(place, end, tiles, vectors, wides, blocks):
    """The panel that a place is in: its matrix; the vectors before it, and its own; the rows that
    a thread does of it whose places end at `end`; and where the next one begins"""
    s, rest = place // (tiles * vectors), place % (tiles * vectors)
    block = ((rest // vectors + 1) * blocks - 1) // tiles
    t0, t1 = block * tiles // blocks, (block + 1) * tiles // blocks
    origin = place - rest + t0 * vectors
    first, here = 0, FOUR
    if place - origin >= (t1 - t0) * wides * FOUR:
        first, here = wides * FOUR, 2
    first += (place - origin - (t1 - t0) * first) // ((t1 - t0) * here) * here
    origin += (t1 - t0) * first
    # A tile is done by the thread that its first vector falls to.
    i0 = (t0 + (place - origin + here - 1) // here) * 4
    i1 = min((t0 + (end - origin + here - 1) // here) * 4, t1 * 4)
    return s, first, here, i0, i1, origin + (t1 - t0) * here


@inner
def _multiply(
    shape, a, left, row_step, term_step, b, right, step, k0, k1, bias, line, y, to, columns,
    i0, i1, some,
):  # fmt: skip
    """y[i,j] = the sum of terms before k0, if any, else bias[i] or line[j],
    + sum_{k0<=k<k1} a[i,k] b[k,j], for i0 <= i < i1, j < some"""
    vector = lanes(y)
    for i in range(i0, i1, 4):
        # A tile that juts out below has its last row several times.
        tall = min(4, i1 - i)
        steps, rows = _four_steps(row_step, tall), _four_steps(columns, tall)
        here, place = left + i * row_step, to + i * columns
        if k0 > 0:
            tile = load_tile_inside(shape, y, place, rows, some)
        elif bias.size > 0:
            for m in range(4):
                line[m] = bias[i + min(m, tall - 1)]
            tile = column_tile(shape, line, 0)
        else:
            tile = row_tile(shape, line, 0)
        for k in range(k1 - k0):
            tile = multiply_add(tile, a, here + k * term_step, steps, b, right + k * step, vector)
        if some == tile_columns(shape) * vector:
            store_tile(tile, y, place, rows, vector)
            for m in range(tall):
                prefetch_to_write(y, place + m * columns + some, some)
        else:
            store_tile_inside(tile, y, place, rows, some)


@inner
def _four_steps(step, count):
    """Offsets of four rows of which only `count` are there; the last stands for the others."""
    last = count - 1
    return 0, min(1, last) * step, min(2, last) * step, last * step


@inner
def _copy_pieces(b, at, columns, j, depth, terms, some, panel, width):
    """panel[k,lane] = b[k,j+lane] for k < terms, 0 for lane >= some; b begins before `at` by j

    Columns beyond the last are those of the next of a stack of matrices with so many rows.
    """
    zero = b.dtype.type(0)
    done = 0
    while done < some:
        count = min(columns - j, some - done)
        for k in range(terms):
            _copy_row(b, at + k * columns, panel, k * width + done, count)
        at, j, done = at - j + depth * columns, 0, done + count
    for k in range(terms):
        for lane in range(some, width):
            panel[k * width + lane] = zero


@inner
def _hand_out(y, to, columns, j, rows, i0, i1, some, results, width, back):
    """y[i,j+lane] = results[i-i0,lane] for i0 <= i < i1, lane < some, or the other way; y begins
    before `to` by j, and columns beyond the last are those of the next of a stack of matrices"""
    done = 0
    while done < some:
        count = min(columns - j, some - done)
        for i in range(i0, i1):
            place, here = to + i * columns, (i - i0) * width + done
            if back:
                _copy_row(y, place, results, here, count)
            else:
                _copy_row(results, here, y, place, count)
        to, j, done = to - j + rows * columns, 0, done + count


@inner
def _copy_row(x, i, y, j, count):
    """y[j+q] = x[i+q] for q < count"""
    vector = lanes(y)
    whole = count // vector * vector
    for q in range(0, whole, vector):
        store(load(x, i + q), y, j + q)
    copy_few(x, i + whole, y, j + whole, count - whole)


@inner
def _copy_panel(b, right, depth, columns, k0, terms, j, some, turned, panel, width):
    """panel[k,lane] = b[k0+k,j+lane] for k < terms, 0 for lane >= some; b may be transposed"""
    vector = lanes(b)
    zero = b.dtype.type(0)
    if not turned:
        for k in range(terms):
            row, out = right + (k0 + k) * columns + j, k * width
            for lane in range(0, width, vector):
                if some == width:
                    store(load(b, row + lane), panel, out + lane)
                else:
                    store(load_inside(b, row + lane, 0, some - lane), panel, out + lane)
            prefetch(b, row + width, width)  # of the next panel: pieces of rows are short
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
    a, b, y = as_row(a), as_row(b), as_row(y)
    vector = lanes(y)
    places, outs, one = np.empty(FOUR, np.int64), np.empty(FOUR, np.int64), np.ones(1, y.dtype)
    tall, wide = (rows + 3) // 4, (columns + FOUR - 1) // FOUR
    tasks = stack * tall * wide
    for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
        s, rest = task // (tall * wide), task % (tall * wide)
        j, i = rest // tall * FOUR, rest % tall * 4
        left = (s * rows if lefts > 1 else 0) * depth + i * depth
        right = (s * columns if rights > 1 else 0) * depth + j * depth
        # A tile that juts out has its last row or column several times.
        high, broad = min(4, rows - i), min(FOUR, columns - j)
        steps = _four_steps(depth, high)
        for n in range(FOUR):
            outs[n] = min(n, broad - 1)
            places[n] = outs[n] * depth
        tile = zero_tile(y, 4, FOUR)
        across, out = column_offsets(tile, places, 0), column_offsets(tile, outs, 0)
        if bias.size > 0:
            tile = dot_inside(tile, one, 0, 0, bias, j, out, 1)
        for k in range(0, depth - vector + 1, vector):
            tile = dot(tile, a, left + k, steps, b, right + k, across)
        rest = depth % vector
        if rest > 0:
            k = depth - rest
            tile = dot_inside(tile, a, left + k, steps, b, right + k, across, rest)
        store_sums(tile, y, (s * rows + i) * columns + j, _four_steps(columns, high), out)
