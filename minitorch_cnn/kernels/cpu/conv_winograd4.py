"""Winograd's convolution F(4x4, 3x3): 36 products where sixteen sums of nine terms have 144.

As in `conv_winograd`, which has all but the transforms, with tiles of 6 x 6 and

    B^T = 4  0 -5  0  1  0     G =  1/4    0    0      A^T = 1  1  1  1  1  0
          0 -4 -4  1  1  0         -1/6 -1/6 -1/6            0  1 -1  2 -2  0
          0  4 -4 -1  1  0         -1/6  1/6 -1/6            0  1  1  4  4  0
          0 -2 -1  2  1  0         1/24 1/12  1/6            0  1 -1  8 -8  1
          0  2 -1 -2  1  0         1/24 -1/12 1/6
          0  4  0 -5  0  1            0    0    1

whose factors make the error about ten times that of the direct sum.
"""

from ..jit import inner
from ..tasks import task_kernel
from .conv_winograd import load_parted, multiply_tiles, spread_weights
from .simd import lanes, load, parted, store, store_interleaved


@task_kernel
def winograd4_weights(thread, threads, weight, points, targets, target_step, source_step, turned):
    """points of [t,e,s] = (G g G^T)[e], g the filter from source s to target t, turned or not

    They lie as those of `winograd_weights`.
    """
    spread_weights(
        6, _spread, thread, threads, weight, points, targets, target_step, source_step, turned
    )


@inner
def _spread(g, i, step, out, j, out_step):
    """G g: three vectors into six"""
    a, b, c = load(g, i), load(g, i + step), load(g, i + 2 * step)
    near, middle = (a + c) * (-1 / 6), b * (1 / 6)
    far, side = a * (1 / 24) + c * (1 / 6), b * (1 / 12)
    store(a * 0.25, out, j)
    store(near - middle, out, j + out_step)
    store(near + middle, out, j + 2 * out_step)
    store(far + side, out, j + 3 * out_step)
    store(far - side, out, j + 4 * out_step)
    store(c, out, j + 5 * out_step)


@task_kernel
def winograd4(thread, threads, x, points, bias, y, memories, top, left, apart, task_rows):
    """y[n,o,i,j] = bias[o] + sum_{c,u,v} x[n,c,i+(u-top)d,j+(v-left)d] w[o,c,u,v], d = apart

    The points are of w.
    """
    multiply_tiles(
        4, _part, _spread_tile, _join_tile, thread, threads, x, points, bias, y, memories, top,
        left, apart, task_rows,
    )  # fmt: skip


@inner
def _part(x, i, first, last, strips, to, size):
    """strips[to + v*size + q] = x[i + 4q + v] where first <= 4q + v < last, else 0, for a vector
    of q and v < 6"""
    vector = lanes(x)
    for v in range(0, 6, 4):
        even, odd = load_parted(x, i + v, first - v, last - v)
        far = v + 2 * vector
        more_even, more_odd = load_parted(x, i + far, first - far, last - far)
        c0, c2 = parted(even, more_even)
        c1, c3 = parted(odd, more_odd)
        store(c0, strips, to + v * size)
        store(c1, strips, to + (v + 1) * size)
        if v == 0:
            store(c2, strips, to + 2 * size)
            store(c3, strips, to + 3 * size)


@inner
def _spread_tile(strips, at, across, size, spread, to, point, half):
    """(B^T d B) for a vector of tiles; half[u,v] is B^T d"""
    vector = lanes(strips)
    for v in range(6):
        high = at + v * size
        _differences(strips, high, high + across, 6 * size, half, v * vector, 6 * vector)
    for u in range(6):
        row = 6 * u * vector
        _differences(half, row, row + 4 * vector, vector, spread, to + 6 * u * point, point)


@inner
def _differences(d, i, low, step, out, j, out_step):
    """B^T d: six vectors, the last two from `low` on, into six"""
    a, b, c = load(d, i), load(d, i + step), load(d, i + 2 * step)
    e, f, g = load(d, i + 3 * step), load(d, low), load(d, low + step)
    even, odd = f - c * 4, e - b * 4
    store(a * 4 + (f - c * 5), out, j)
    store(even + odd, out, j + out_step)
    store(even - odd, out, j + 2 * out_step)
    even, odd = f - c, (e - b) * 2
    store(even + odd, out, j + 3 * out_step)
    store(even - odd, out, j + 4 * out_step)
    store(b * 4 + (g - e * 5), out, j + 5 * out_step)


@inner
def _join_tile(products, at, point, shift, y, to, step, half):
    """y[to + i*step + 4q + j] = shift + (A^T m A)[i,j] of tile q; half[i,v] is A^T m"""
    vector = lanes(y)
    for v in range(6):
        r0, r1, r2, r3 = _sums(products, at + v * point, 6 * point)
        store(r0, half, v * vector)
        store(r1, half, (6 + v) * vector)
        store(r2, half, (12 + v) * vector)
        store(r3, half, (18 + v) * vector)
    # Of each row first the columns 0 and 2 of all tiles, and 1 and 3, are put into their order.
    pairs = 24 * vector
    for i in range(4):
        r0, r1, r2, r3 = _sums(half, 6 * i * vector, vector)
        store_interleaved(r0 + shift, r2 + shift, half, pairs)
        store_interleaved(r1 + shift, r3 + shift, half, pairs + 2 * vector)
        for k in range(2):
            even = load(half, pairs + k * vector)
            odd = load(half, pairs + (2 + k) * vector)
            store_interleaved(even, odd, y, to + i * step + 2 * k * vector)


@inner
def _sums(m, at, step):
    """A^T m: six vectors into four"""
    a, b, c = load(m, at), load(m, at + step), load(m, at + 2 * step)
    d, e, f = load(m, at + 3 * step), load(m, at + 4 * step), load(m, at + 5 * step)
    near, far = b + c, d + e
    near_side, far_side = b - c, d - e
    return a + near + far, near_side + far_side * 2, near + far * 4, near_side + far_side * 8 + f
