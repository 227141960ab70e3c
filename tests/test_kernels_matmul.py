"""Products of matrices against NumPy's, for sizes around those of tiles, panels and blocks.

The numbers are small integers, so that sums are exact in any order.
"""

import numpy as np
import pytest

from minitorch_cnn.kernels.cpu import matmul
from minitorch_cnn.kernels.cpu.processor import VECTOR_BYTES
from minitorch_cnn.kernels.cpu.tiles import FOUR

# Rows, terms and columns: of heads of networks, less than a tile, around whole panels, and more
# terms than are summed at a time.
SIZES = [
    (4, 400, 120), (1, 120, 84), (7, 84, 10), (33, 10, 84), (64, 20, 64), (37, 33, 300), (40, 0, 5),
    (5, 1, 1), (3, 700, 33), (66, 513, 97), (260, 300, 40),
    *[(9, 5, FOUR * VECTOR_BYTES // 4 * n + more) for n in (0, 1) for more in (1, 23, 50, 96)],
]  # fmt: skip


@pytest.fixture(params=[(1, matmul.BLOCK), (3, 1 << 15)])
def shares(request, monkeypatch):
    """Products are made in so many threads' shares, the last first, in blocks of such a size."""
    count, block = request.param
    monkeypatch.setattr(matmul, "BLOCK", block)
    monkeypatch.setattr(matmul, "threads_for", lambda work: count)

    def in_turns(kernel):
        def run(threads, *args):
            for thread in reversed(range(threads)):
                kernel.serial(thread, threads, *args)

        return run

    for name in ("by_columns", "by_columns_of_all", "by_rows"):
        monkeypatch.setattr(matmul, name, in_turns(getattr(matmul, name)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_all_sizes(dtype, shares):
    generator = np.random.default_rng(0)
    for rows, depth, columns in SIZES:
        for lefts, rights in ((1, 1), (2, 1), (1, 2), (1, 5), (3, 3)):
            a = generator.integers(-4, 5, (lefts, rows, depth)).astype(dtype)
            b = generator.integers(-4, 5, (rights, depth, columns)).astype(dtype)
            exact = a.astype(np.int64) @ b.astype(np.int64)
            for turn_a, turn_b in np.ndindex(2, 2):
                left = np.ascontiguousarray(a.swapaxes(1, 2)) if turn_a else a
                right = np.ascontiguousarray(b.swapaxes(1, 2)) if turn_b else b
                for size, of_rows in ((0, False), (columns, False), (rows, True)):
                    bias = generator.integers(-9, 10, size).astype(dtype)
                    y = np.full(exact.shape, np.nan, dtype)
                    matmul.product(left, right, bias, y, turn_a, turn_b, of_rows)
                    added = (bias[:, None] if of_rows else bias) if size else 0
                    told = f"{rows} {depth} {columns} {lefts} {rights} {turn_a} {turn_b} {size}"
                    np.testing.assert_array_equal(y, exact + added, err_msg=told)
