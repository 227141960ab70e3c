"""Each intrinsic of the kernels' vectors and tiles against plain NumPy.

The numbers are small integers, so that sums are exact in any order.
"""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from minitorch_cnn.kernels.cpu import processor, tiles
from minitorch_cnn.kernels.cpu.simd import (
    add_neighbours,
    add_to,
    as_row,
    broadcast,
    copy_few,
    drain,
    entry,
    filled,
    lanes,
    larger,
    largest_of_lanes,
    load,
    parted,
    passed,
    prefetch,
    prefetch_to_write,
    store,
    store_first,
    store_interleaved,
    store_past_caches,
    store_threes,
    sum_of_lanes,
    sums_of_rows,
    transpose,
    zeros,
)
from minitorch_cnn.kernels.cpu.simd_tiles import (
    add_tile,
    column_offsets,
    column_tile,
    dot,
    load_tile,
    load_tile_inside,
    multiply_add,
    row_offsets,
    row_tile,
    store_sums,
    store_tile,
    store_tile_inside,
    tile_columns,
    tile_rows,
    tile_width,
    zero_tile,
    zero_tile_and_half,
)

WIDE, SLIM, LONG, NINE = (getattr(tiles, n) for n in ("WIDE", "SLIM", "LONG", "NINE"))
FOUR, SIX = tiles.FOUR, tiles.SIX

FLOATS = (np.float32, np.float64)
DEPTH = 3  # terms of a sum


def vector_of(dtype):
    """How many elements of a type fill a vector."""
    return processor.VECTOR_BYTES // np.dtype(dtype).itemsize


def numbers(dtype, *shape, seed=0):
    """Small integers, none of them zero."""
    generator = np.random.default_rng(seed)
    return (generator.integers(1, 9, shape) * generator.choice([-1, 1], shape)).astype(dtype)


# One kernel uses all that a tile can do, so that a shape is compiled once. It reads a and b from
# places 2 and 3 on, with steps between rows and columns that are numbers and ones that are tables,
# and writes into one row of y after the other, from its element 1 on.


@njit
def exercise(tile, a, b, steps, rows, columns, y, step):
    vector = lanes(a)
    by_row, by_column = row_offsets(tile, rows, 1), column_offsets(tile, columns, 1)
    products, tabled = tile, tile
    dots, dots_tabled = tile, tile
    for t in range(DEPTH):
        products = multiply_add(products, a, 2 + t, steps[0], b, 3 + t, steps[1])
        tabled = multiply_add(tabled, a, 2 + t, by_row, b, 3 + t, by_column)
        dots = dot(dots, a, 2 + t, steps[0], b, 3 + t, steps[1])
        dots_tabled = dot(dots_tabled, a, 2 + t, by_row, b, 3 + t, by_column)
    store_tile(tile, y[0], 1, step, vector)
    store_tile(row_tile(tile, a, 2), y[1], 1, step, vector)
    store_tile(column_tile(tile, a, 2), y[2], 1, step, vector)
    store_tile(products, y[3], 1, step, vector)
    store_tile(tabled, y[4], 1, step, vector)
    store_tile(tabled, y[5], 1, by_row, by_column)
    add_tile(tabled, y[6], 1, step, vector)
    store_tile(dots, y[7], 1, step, vector)
    store_tile(dots_tabled, y[8], 1, step, vector)
    store_sums(dots, y[9], 1, step, 1)
    store_tile(load_tile(tile, b, 3, steps[0], steps[1]), y[10], 1, step, vector)
    store_tile(load_tile(tile, b, 3, by_row, by_column), y[11], 1, step, vector)
    return tile_rows(tile), tile_columns(tile)


@njit
def exercise_wide(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, WIDE, 2), a, b, steps, rows, columns, y, step)


@njit
def exercise_slim(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, SLIM, 1), a, b, steps, rows, columns, y, step)


@njit
def exercise_six(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, 6, SIX), a, b, steps, rows, columns, y, step)


@njit
def exercise_four(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, 4, FOUR), a, b, steps, rows, columns, y, step)


@njit
def exercise_nine(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, 1, NINE), a, b, steps, rows, columns, y, step)


@njit
def exercise_single(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, 1, 1), a, b, steps, rows, columns, y, step)


@njit
def exercise_low(a, b, steps, rows, columns, y, step):
    return exercise(zero_tile(a, 2, 3), a, b, steps, rows, columns, y, step)


# The tiles that kernels use, but for those that differ from one of these in their columns alone;
# and one of more columns than rows, as the tiles of four rows are where there are more registers.
TILES = [
    (exercise_wide, WIDE, 2),
    (exercise_slim, SLIM, 1),
    (exercise_six, 6, SIX),
    (exercise_four, 4, FOUR),
    (exercise_nine, 1, NINE),
    (exercise_single, 1, 1),
    (exercise_low, 2, 3),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("kernel", "m", "n"), TILES)
def test_tiles_compute_their_formulas(kernel, m, n, dtype):
    vector = vector_of(dtype)
    a, b = numbers(dtype, 2000, seed=1), numbers(dtype, 2000, seed=2)
    # Of the tables the first entry is not asked for. The others are in no order, and far enough
    # apart for what is written there.
    shuffle = np.random.default_rng(3).permutation
    rows = np.append(9, shuffle(m) * n * (vector + 3))
    columns = np.append(9, shuffle(n) * (vector + 3))
    steps, step = (5, vector + 1), n * vector + 3
    y = np.full((12, m * n * (vector + 3) + 1), 7, dtype)
    expected = y.astype(np.float64)

    def terms(x, start, offsets):
        """[offset, t, lane], of a place and `offset` and `t` beyond it"""
        places = start + offsets[:, None] + np.arange(DEPTH)
        return x[places[:, :, None] + np.arange(vector)].astype(np.float64)

    def put(y, tile, row_offsets, column_offsets):
        for r, c in np.ndindex(m, n):
            at = 1 + row_offsets[r] + column_offsets[c]
            y[at : at + tile.shape[2]] = tile[r, c]

    close = np.arange(m) * step, np.arange(n) * vector
    ones = np.ones((m, n, vector))
    put(expected[0], 0 * ones, *close)
    put(expected[1], ones * a[2 : 2 + n * vector].reshape(n, vector), *close)
    put(expected[2], ones * a[2 : 2 + m, None, None], *close)
    for k, by_row, by_column in (
        (3, np.arange(m) * steps[0], np.arange(n) * steps[1]),
        (4, rows[1:], columns[1:]),
    ):
        left, right = terms(a, 2, by_row), terms(b, 3, by_column)
        products = np.einsum("rt,ctl->rcl", left[..., 0], right)
        dots = np.einsum("rtl,ctl->rcl", left, right)
        put(expected[k], products, *close)
        put(expected[k + 4], dots, *close)
        places = 3 + by_row[:, None, None] + by_column[:, None] + np.arange(vector)
        put(expected[k + 7], b[places], *close)
        if k == 3:
            put(expected[9], dots.sum(2, keepdims=True), close[0], np.arange(n))
        else:
            put(expected[5], products, by_row, by_column)
            put(expected[6], products + 7, *close)
    assert kernel(a, b, steps, rows, columns, y, step) == (m, n)
    for k in range(12):
        np.testing.assert_array_equal(y[k], expected[k], err_msg=f"y[{k}]")


@njit
def exercise_half(a, b, step, rows, y, width):
    vector = lanes(a)
    tile = zero_tile_and_half(a, WIDE, 2)
    by_row = row_offsets(tile, rows, 1)
    products = load_tile(tile, b, 1, by_row, vector)
    store_tile(row_tile(tile, a, 2), y[0], 1, width, vector)
    store_tile(products, y[1], 1, width, vector)
    for t in range(DEPTH):
        products = multiply_add(products, a, 2 + t, by_row, b, 3 + t * step, vector)
    store_tile(products, y[2], 1, width, vector)
    add_tile(products, y[3], 1, width, vector)
    return tile_rows(tile), tile_width(tile)


@pytest.mark.parametrize("dtype", FLOATS)
def test_tiles_with_a_half_column_compute_their_formulas(dtype):
    width = vector_of(dtype) * 3 // 2
    step = width + 1
    a, b = numbers(dtype, 4000, seed=1), numbers(dtype, 4000, seed=2)
    rows = np.append(9, np.random.default_rng(3).permutation(WIDE) * step)
    y = np.full((4, WIDE * step + 1), 7, dtype)
    expected = y.astype(np.float64)
    tiles_of = expected[:, 1:].reshape(4, WIDE, step)[:, :, :width]
    tiles_of[0] = a[2 : 2 + width]
    tiles_of[1] = b[1 + rows[1:, None] + np.arange(width)]
    terms = np.arange(DEPTH)
    right = b[3 + terms[:, None] * step + np.arange(width)].astype(np.float64)
    tiles_of[2] = tiles_of[1] + a[2 + rows[1:, None] + terms] @ right
    tiles_of[3] += tiles_of[2]
    assert exercise_half(a, b, step, rows, y, step) == (WIDE, width)
    np.testing.assert_array_equal(y, expected)


@njit
def transposes(x, i, x_step, x_count, y, j, y_step, y_count):
    transpose(x, i, x_step, x_count, y, j, y_step, y_count)


@pytest.mark.parametrize("dtype", FLOATS)
def test_transpose_reads_and_writes_as_many_rows_as_told(dtype):
    vector = vector_of(dtype)
    x_step, y_step = vector + 3, vector + 5
    for x_count in range(1, vector + 1):
        # Not one element more than it may read.
        x = numbers(dtype, 2 + (x_count - 1) * x_step + vector, seed=x_count)
        rows = x[2 + np.minimum(np.arange(vector), x_count - 1)[:, None] * x_step + range(vector)]
        for y_count in range(1, vector + 1):
            y = np.full(y_count * y_step + 1, 9, dtype)
            expected = y.copy()
            for q in range(y_count):
                expected[1 + q * y_step :][:vector] = rows[:, q]
            transposes(x, 2, x_step, x_count, y, 1, y_step, y_count)
            np.testing.assert_array_equal(y, expected)


@njit
def prefetches(x, i, count):
    prefetch(x, i, count)
    prefetch_to_write(x, i, count)


@pytest.mark.parametrize("dtype", FLOATS)
def test_prefetching_changes_nothing_wherever_it_points(dtype):
    x = numbers(dtype, 100)
    before = x.copy()
    for i, count in ((0, 100), (3, 1), (90, 500), (-7, 20), (50, 0), (50, -9), (1 << 44, 64)):
        prefetches(x, i, count)
    np.testing.assert_array_equal(x, before)


@njit
def copies_few(x, i, y, j, count):
    copy_few(x, i, y, j, count)


@pytest.mark.parametrize("dtype", FLOATS)
def test_few_elements_are_copied_and_no_more(dtype):
    for count in range(vector_of(dtype) + 1):
        x, y = numbers(dtype, 2 + count), np.full(count + 3, 9, dtype)
        copies_few(x, 2, y, 1, count)
        np.testing.assert_array_equal(y, [9, *x[2:], 9, 9])


@njit
def moves_inside(x, i, x_step, y, j, y_step, count):
    tile = load_tile_inside(zero_tile(x, 2, 2), x, i, x_step, count)
    store_tile(tile, y[0], j, y_step, lanes(x))
    store_tile_inside(tile, y[1], j, y_step, count)


@pytest.mark.parametrize("dtype", FLOATS)
def test_tiles_end_inside_their_columns(dtype):
    width = 2 * vector_of(dtype)
    x_step, y_step = width + 3, width + 2
    for count in range(width + 1):
        x = numbers(dtype, 2 + x_step + count)  # and not one element more
        y = np.full((2, 1 + y_step + width), 9, dtype)
        expected = y.copy()
        for m, start in enumerate((1, 1 + y_step)):
            row = x[2 + m * x_step :][:count]
            expected[:, start : start + count] = row
            expected[0, start + count : start + width] = 0
        moves_inside(x, 2, x_step, y, 1, y_step, count)
        np.testing.assert_array_equal(y, expected)


@njit
def moves_past_caches(x, i, y, j):
    store_past_caches(load(x, i), y, j)
    drain()


@pytest.mark.parametrize("dtype", FLOATS)
def test_vectors_are_written_past_the_caches(dtype):
    vector = vector_of(dtype)
    x, y = numbers(dtype, vector + 1), np.full(4 * vector, 9, dtype)
    first = -(y.ctypes.data // y.itemsize) % vector + vector
    moves_past_caches(x, 1, y, first)
    expected = np.full(4 * vector, 9, dtype)
    expected[first : first + vector] = x[1:]
    np.testing.assert_array_equal(y, expected)


@njit
def vectors(x, y):
    vector = lanes(x)
    a, b = load(x, 1), load(x, 1 + vector)
    store(a, y[0], 1)
    store(broadcast(x, 2), y[1], 1)
    store(a + b, y[2], 1)
    store(a - b, y[3], 1)
    store(a * 0.5, y[4], 1)
    store(a * -3, y[5], 1)
    store_interleaved(a, b, y[6], 1)
    even, odd = parted(a, b)
    store(even, y[7], 1)
    store(odd, y[8], 2)
    store(add_neighbours(x, 2), y[9], 1)
    for k, count in enumerate((0, vector - 1, vector)):
        store_first(a, y[10 + k], 1, count)
    store(zeros(x), y[13], 1)
    store(passed(a, b), y[14], 1)
    store(larger(b, a), y[15], 1)
    store(a * b, y[16], 1)
    return vector, sum_of_lanes(a), largest_of_lanes(a)


@pytest.mark.parametrize("dtype", FLOATS)
def test_vectors_compute_their_formulas(dtype):
    vector = vector_of(dtype)
    x = numbers(dtype, 2 * vector + 2)
    x[1 + vector : 4 + vector] = 0, -0.0, np.nan
    y = np.full((17, 2 * vector + 3), 7, dtype)
    expected = y.copy()
    a, b = x[1 : 1 + vector], x[1 + vector : -1]
    for k, value in enumerate((a, x[2], a + b, a - b, a / 2, -3 * a)):
        expected[k, 1 : 1 + vector] = value
    expected[6, 1:-2] = np.stack([a, b], 1).ravel()
    expected[7, 1 : 1 + vector], expected[8, 2 : 2 + vector] = x[1:-1:2], x[2:-1:2]
    expected[9, 1 : 1 + vector] = x[2::2] + x[3::2]
    expected[11, 1:vector], expected[12, 1 : 1 + vector] = a[:-1], a
    expected[13, 1 : 1 + vector] = 0
    expected[14, 1 : 1 + vector] = np.where(b <= 0, 0, a)
    expected[15, 1 : 1 + vector] = np.where(b > a, b, a)  # of a NaN in b nothing stays
    expected[16, 1 : 1 + vector] = a * b
    assert vectors(x, y) == (vector, a.sum(), a.max())
    np.testing.assert_array_equal(y, expected)


@njit
def threes(x, step, y):
    store_threes(x, 1, step, y, 2)


@njit
def sums(x, y, totals, sizes):
    for k in range(sizes.size):
        store(sums_of_rows(x, 1, sizes[k]), y[k], 0)
    store(filled(x, 3.0) / 4, y[sizes.size], 0)
    add_to(load(x, 0), totals, 1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_of_rows_and_in_float64(dtype):
    vector = vector_of(dtype)
    sizes = np.array([0, 1, vector - 1, vector, 3 * vector + 1])
    x = numbers(dtype, 1 + vector * int(sizes[-1]))
    y, totals = np.full((sizes.size + 1, vector), 7, dtype), numbers(np.float64, vector + 2)
    expected = totals.copy()
    expected[1:-1] += x[:vector]
    sums(x, y, totals, sizes)
    for size, row in zip(sizes.tolist(), y):
        some = x[1 : 1 + vector * size].reshape(vector, size)
        np.testing.assert_array_equal(row, some.sum(1))
    np.testing.assert_array_equal(y[-1], 0.75)
    np.testing.assert_array_equal(totals, expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_store_threes_puts_three_rows_into_one_element_by_element(dtype):
    vector = vector_of(dtype)
    step = vector + 2
    x, y = numbers(dtype, 1 + 2 * step + vector), np.full(3 * vector + 3, 7, dtype)
    expected = y.copy()
    expected[2:-1] = x[1 + np.arange(vector)[:, None] + step * np.arange(3)].ravel()
    threes(x, step, y)
    np.testing.assert_array_equal(y, expected)


@njit
def entries(table, count):
    total = 0
    for i in range(count):
        total += (i + 1) * entry(table, i)
    return total


def test_entry_is_the_element_of_a_table():
    assert entries(np.array([5, 7, 11]), 3) == 5 + 14 + 33


@njit
def one_product(x, y):
    tile = zero_tile(x, 1, 1)
    tile = multiply_add(tile, x, 0, 1, x, 1, 1)
    tile = dot(tile, x, 1, 1, x, 1, 1)
    store_tile(tile, y, 0, 1, 1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_through(value, dtype):
    vector = vector_of(dtype)
    x = np.ones(1 + vector, dtype)
    x[0] = value
    y = np.zeros(vector, dtype)
    one_product(x, y)
    np.testing.assert_array_equal(y, np.full(vector, value, dtype))


def test_a_vector_is_as_wide_as_a_register():
    assert (processor.VECTOR_BYTES, processor.REGISTERS) in {(16, 16), (16, 32), (32, 16), (64, 32)}


@pytest.mark.parametrize(("rows", "columns"), [(row[1], row[2]) for row in TILES])
def test_tiles_fit_into_the_registers(rows, columns):
    sums = rows * columns
    assert sums + min(rows, columns) + 1 <= processor.REGISTERS


@njit
def row_of(x):
    return as_row(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 0, 3), (1, 2, 1, 3)])
def test_as_row_shows_the_same_memory(shape, dtype):
    x = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    row = row_of(x)
    assert (row.dtype, row.shape, row.strides) == (x.dtype, (x.size,), (x.itemsize,))
    np.testing.assert_array_equal(row, x.reshape(-1))
    row[:] = 7
    assert (x == 7).all()


def test_as_row_keeps_memory_that_nobody_else_does():
    @njit
    def make(n):
        return as_row(np.full((n, n), 3.0))

    rows = [make(100) for _ in range(20)]
    assert all((row == 3).all() for row in rows)


def test_as_row_takes_part_of_an_array_if_it_has_no_gaps():
    @njit
    def part(x):
        return as_row(x[1, 2])

    x = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(part(x), x[1, 2].reshape(-1))
    with pytest.raises(TypingError, match="without gaps"):
        row_of(x[:, :, ::2])
    x.flags.writeable = False
    assert not row_of(x).flags.writeable
