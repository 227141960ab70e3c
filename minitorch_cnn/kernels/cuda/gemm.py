"""The tiled product from which convolutions and matrix products are made.

y[m,n] = sum_k a(m,k) b(k,n), where functions say how elements of a and b are found. A block makes
a tile of y, a thread a small rectangle of it in registers. The terms come through shared memory a
few at a time: a transposed and with its rows padded, so that threads write to different banks.

Volkov and Demmel, Benchmarking GPUs to tune dense linear algebra, 2008.
Chetlur et al., cuDNN: efficient primitives for deep learning, 2014.
"""

from typing import Any

from .driver import SIMULATED, cuda
from .geometry import TINY, Tile, grid_for
from .registry import device_function, i32, u32

__all__ = ["grid", "tiled", "used"]


def grid(rows: int, columns: int, tile: Tile, stack: int) -> tuple[int, int, int]:
    """Blocks for a product of this shape."""
    return grid_for(rows, columns, used(tile), stack)


def used(tile: Tile) -> Tile:
    """The tile itself, but in the simulator a tiny one."""
    return TINY if SIMULATED else tile


def tiled(
    real: Any,
    tile: Tile,
    load_a: Any,
    start_column: Any,
    load_b: Any,
    end_column: Any,
    store: Any,
) -> Any:
    """The body of a kernel on (a, b, bias, y, p), p a tuple of integers.

    - p[:5]: rows, columns and terms of the product; terms that a block takes of a sum in pieces, or
      0; and how many pieces.
    - load_a(a, p, s, m, k): an element of the left matrix of part s.
    - start_column(p, s, n): whatever helps to find elements of column n; computed once for each.
    - load_b(b, p, column, k): an element of the right matrix.
    - end_column(p, s, n): whatever helps to store elements of column n.
    - store(y, bias, p, s, m, column, value)

    The third index of a block, s, tells the parts of a stack, and pieces of a split sum, apart.
    """
    tile = used(tile)
    rows, columns, depth, high, wide = tile
    threads = tile.threads
    padded = rows + 4
    across = columns // wide
    a_each, b_each = rows * depth // threads, depth * columns // threads
    b_step = threads // columns
    load_a, load_b = device_function(load_a), device_function(load_b)
    start_column, end_column = device_function(start_column), device_function(end_column)
    store = device_function(store)

    def body(a, b, bias, y, p):
        left = cuda.shared.array((depth, padded), real)
        right = cuda.shared.array((depth, columns), real)
        sums = cuda.local.array((high, wide), real)
        a_part = cuda.local.array(high, real)
        b_part = cuda.local.array(wide, real)
        t = u32(cuda.threadIdx.x)
        tx, ty = i32(t % u32(across)), i32(t // u32(across))
        s = i32(cuda.blockIdx.z)
        m0 = i32(i32(cuda.blockIdx.y) * i32(rows))
        n0 = i32(i32(cuda.blockIdx.x) * i32(columns))
        for i in range(high):
            for j in range(wide):
                sums[i, j] = real(0)
        # Of the right matrix a thread loads elements of one column.
        column, first = i32(t % u32(columns)), i32(t // u32(columns))
        inside = i32(n0 + column) < p[1]
        found = start_column(p, s, u32(i32(n0 + column)))
        k0 = i32(0)
        end = p[2]
        if p[3] > 0:  # a piece of a split sum
            k0 = i32(i32(u32(u32(s) % u32(p[4]))) * p[3])
            end = min(end, i32(k0 + p[3]))
        while k0 < end:
            for r in range(a_each):
                index = u32(t + u32(r * threads))
                m, k = i32(index // u32(depth)), i32(index % u32(depth))
                value = real(0)
                if i32(m0 + m) < p[0] and i32(k0 + k) < end:
                    value = load_a(a, p, s, u32(i32(m0 + m)), u32(i32(k0 + k)))
                left[k, m] = value
            for r in range(b_each):
                k = i32(first + i32(r * b_step))
                value = real(0)
                if inside and i32(k0 + k) < end:
                    value = load_b(b, p, found, u32(i32(k0 + k)))
                right[k, column] = value
            cuda.syncthreads()
            for k in range(depth):
                for i in range(high):
                    a_part[i] = left[k, ty * high + i]
                for j in range(wide):
                    b_part[j] = right[k, tx * wide + j]
                for i in range(high):
                    for j in range(wide):
                        sums[i, j] += a_part[i] * b_part[j]
            cuda.syncthreads()
            k0 = i32(k0 + i32(depth))
        for j in range(wide):
            n = i32(n0 + i32(tx * i32(wide)) + i32(j))
            if n < p[1]:
                target = end_column(p, s, u32(n))
                for i in range(high):
                    m = i32(m0 + i32(ty * i32(high)) + i32(i))
                    if m < p[0]:
                        store(y, bias, p, s, u32(m), target, sums[i, j])

    return body
