"""Matrix products: cuBLAS's where CuPy is installed, else on tiles of registers."""

from typing import Any

from . import driver
from .buffer import OnHost, empty, noted
from .elementwise import run
from .gemm import grid, tiled, used
from .geometry import LARGE, SMALL, Tile, splits_for, tile_for
from .reduce import reduce, sum
from .registry import f32, f64, integers, of, u32, variants, vector

__all__ = ["product"]


@variants(
    (f32, SMALL),
    (f32, LARGE),
    (f64, SMALL),
    threads=lambda kind, tile: used(tile).threads,
    registers=128,
)
def strided(kind: Any, tile: Tile) -> tuple[Any, ...]:
    """y[s,m,n] = bias[n] + sum_k a[s,m,k] b[s,k,n], each found by its strides

    p[4]: the pieces a sum is cut into; p[5:8] and p[8:11]: strides of a and b; p[11]: whether there
    is a bias.
    """

    def load_a(a, p, s, m, k):
        part = u32(u32(s) // u32(p[4]))
        at = u32(u32(part * u32(p[5])) + u32(m * u32(p[6])))
        return a[u32(at + u32(k * u32(p[7])))]

    def start_column(p, s, n):
        part = u32(u32(s) // u32(p[4]))
        return u32(u32(part * u32(p[8])) + u32(n * u32(p[10])))

    def load_b(b, p, start, k):
        return b[u32(start + u32(k * u32(p[9])))]

    def end_column(p, s, n):
        return n

    def store(y, bias, p, s, m, n, value):
        if p[11] != 0:
            value += bias[n]
        y[u32(u32(u32(u32(u32(s) * u32(p[0])) + m) * u32(p[1])) + n)] = value

    body = tiled(kind, tile, load_a, start_column, load_b, end_column, store)
    body.__name__ = "product"
    array = vector(kind)
    return body, (array, array, array, array, integers(12))


def product(a: Any, b: Any, bias: Any, y: Any, turn_a: bool, turn_b: bool) -> None:
    """y[s,i,j] = bias[j] + sum_k a[s,i,k] b[s,k,j]; a turned one is stored transposed"""
    stack, rows, columns = y.shape
    depth = a.shape[1 if turn_a else 2]
    if not y.size:
        return
    cupy = driver.cublas()
    if cupy is not None and depth:
        _by_cublas(cupy, a, b, bias, y, turn_a, turn_b)
        return
    tile = tile_for(rows, columns, y.itemsize, stack)
    splits = splits_for(rows, columns, depth, tile, stack) if not bias.size else 1
    each = -(-depth // splits)
    a_steps = (1, rows) if turn_a else (depth, 1)
    b_steps = (1, depth) if turn_b else (columns, 1)
    a_stack = a.shape[1] * a.shape[2] if a.shape[0] > 1 else 0
    b_stack = b.shape[1] * b.shape[2] if b.shape[0] > 1 else 0
    sizes = rows, columns, depth, each if splits > 1 else 0, splits
    p = (*sizes, a_stack, *a_steps, b_stack, *b_steps, int(bias.size > 0))
    sums = y if splits == 1 else empty((stack, splits, rows, columns), y.dtype)
    kernel = strided(of(y.dtype), tile)
    kernel(grid(rows, columns, tile, stack * splits), a, b, bias, sums, p)
    if splits > 1:
        reduce("sum", sums, y, (1,))


def _by_cublas(cupy: Any, a: Any, b: Any, bias: Any, y: Any, turn_a: bool, turn_b: bool) -> None:
    """product, by CuPy on the same memory and in the same stream"""
    if noted.calls is not None:
        raise OnHost  # CuPy makes its launches anew each time
    left, right, out = [cupy.asarray(buffer) for buffer in (a, b, y)]
    left = left.swapaxes(1, 2) if turn_a else left
    right = right.swapaxes(1, 2) if turn_b else right
    cupy.matmul(left, right, out=out)
    if bias.size:
        run("add", y, bias, y)


def matmul(a: Any, b: Any, y: Any, turn_a: bool, turn_b: bool) -> None:
    """y = a b for stacks of matrices; a turned one is stored transposed, a stack of 1 serves all"""
    product(a, b, _none(y), y, turn_a, turn_b)


def linear(x: Any, w: Any, b: Any, y: Any) -> None:
    """y[n,o] = b[o] + sum_i x[n,i] w[o,i]"""
    product(x[None], w[None], b, y[None], False, True)


def linear_input_grad(gy: Any, w: Any, gx: Any) -> None:
    """gx[n,i] = sum_o gy[n,o] w[o,i]"""
    product(gy[None], w[None], _none(gx), gx[None], False, False)


def linear_weight_grad(gy: Any, x: Any, gw: Any, gb: Any) -> None:
    """gw[o,i] = sum_n gy[n,o] x[n,i], gb[o] = sum_n gy[n,o] unless gb is empty"""
    product(gy[None], x[None], _none(gw), gw[None], True, False)
    if gb.size:
        sum(gy, gb, (0,), 1)


def _none(like: Any) -> Any:
    return empty((0,), like.dtype)
