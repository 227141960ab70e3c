"""Convolution of images and its two gradients, as implicit products of matrices.

    forward          y[o, n i j]    = sum over c u v of w[o, c u v] x[c u v, n i j]
    input's gradient gx[c, n r s]   = sum over o u v of w[c, o u v] gy[o u v, n r s]
    weight's         gw[o, c u v]   = sum over n i j of gy[o, n i j] x[n i j, c u v]

where nothing is copied: the right matrix is found, element by element, in the images. Groups are a
stack of products. Groups of few channels, depthwise ones above all, would leave tiles empty: they
have kernels that give each result a thread. Kernel sizes and strides are compiled in, so that no
division is by an unknown number but those by the sizes of images.
"""

from typing import Any

from .buffer import empty
from .functions import block_sum, thread_index
from .gemm import grid, tiled, used
from .geometry import LARGE, SMALL, Tile, blocks_for, splits_for, tile_for
from .reduce import reduce, sum
from .registry import BLOCK, cuda, f32, f64, i32, integers, of, u32, variants, vector
from .shape import fill

Pair = tuple[int, int]

FEW = 4
"""Channels of a group up to which each result is computed by a thread of its own."""

# What the tuple p holds for all kernels here, behind the four numbers of a product and the pieces:
# 5 groups, 6 channels, 7 height, 8 width of x; 9 channels, 10 height, 11 width of y; 12:14 padding,
# 14:16 dilation, 16 whether there is a bias, 17 the batch.
SIZES = 18

EXAMPLES = [
    (f32, SMALL, (3, 3), (1, 1)),
    (f32, LARGE, (3, 3), (1, 1)),
    (f32, SMALL, (5, 5), (1, 1)),
    (f32, SMALL, (3, 3), (2, 2)),
    (f32, SMALL, (1, 1), (1, 1)),
    (f64, SMALL, (3, 2), (3, 1)),
]
FEW_EXAMPLES = [(f32, (3, 3), (1, 1)), (f32, (3, 2), (2, 3)), (f64, (3, 3), (1, 1))]


def _threads(kind: Any, tile: Tile, *_: Any) -> int:
    return used(tile).threads


def _signature(kind: Any) -> tuple[Any, ...]:
    return (*[vector(kind)] * 4, integers(SIZES))


@variants(*EXAMPLES, threads=_threads, registers=128)
def forward(kind: Any, tile: Tile, kernel: Pair, stride: Pair) -> tuple[Any, ...]:
    """y[n,o,i,j] = b[o] + sum_{c,u,v} x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw] w[o,c,u,v]"""
    kw, taps = kernel[1], kernel[0] * kernel[1]
    sh, sw = stride

    def load_a(w, p, s, m, k):
        return w[u32(u32(u32(u32(s) * u32(p[0])) + m) * u32(p[2]) + k)]

    def start_column(p, s, n):
        size = u32(u32(p[10]) * u32(p[11]))
        image = u32(n // size)
        rest = u32(n - u32(image * size))
        i = u32(rest // u32(p[11]))
        j = u32(rest - u32(i * u32(p[11])))
        channel = u32(u32(image * u32(p[6])) + u32(u32(s) * u32(u32(p[6]) // u32(p[5]))))
        r0 = i32(i32(u32(i * u32(sh))) - p[12])
        s0 = i32(i32(u32(j * u32(sw))) - p[13])
        return channel, r0, s0

    def load_b(x, p, column, k):
        c = u32(k // u32(taps))
        tap = u32(k - u32(c * u32(taps)))
        u = u32(tap // u32(kw))
        v = u32(tap - u32(u * u32(kw)))
        r = i32(column[1] + i32(i32(u) * p[14]))
        q = i32(column[2] + i32(i32(v) * p[15]))
        if r >= 0 and r < p[7] and q >= 0 and q < p[8]:
            row = u32(u32(u32(column[0] + c) * u32(p[7])) + u32(r))
            return x[u32(u32(row * u32(p[8])) + u32(q))]
        return kind(0)

    def end_column(p, s, n):
        size = u32(u32(p[10]) * u32(p[11]))
        image = u32(n // size)
        plane = u32(u32(image * u32(p[9])) + u32(u32(s) * u32(p[0])))
        return u32(u32(plane * size) + u32(n - u32(image * size))), size

    def store(y, bias, p, s, m, column, value):
        if p[16] != 0:
            value += bias[u32(u32(u32(s) * u32(p[0])) + m)]
        y[u32(column[0] + u32(m * column[1]))] = value

    body = tiled(kind, tile, load_a, start_column, load_b, end_column, store)
    body.__name__ = "conv2d"
    return body, _signature(kind)


@variants(*EXAMPLES, threads=_threads, registers=128)
def backward(kind: Any, tile: Tile, kernel: Pair, stride: Pair) -> tuple[Any, ...]:
    """gx[n,c,r,s] = sum of gy[n,o,i,j] w[o,c,u,v] where r = i*sh+u*dh-ph and s = j*sw+v*dw-pw"""
    kw, taps = kernel[1], kernel[0] * kernel[1]
    sh, sw = stride

    def load_a(w, p, s, m, k):
        o = u32(k // u32(taps))
        tap = u32(k - u32(o * u32(taps)))
        outputs = u32(u32(p[9]) // u32(p[5]))
        row = u32(u32(u32(u32(s) * outputs) + o) * u32(p[0]))
        return w[u32(u32(u32(row + m) * u32(taps)) + tap)]

    def start_column(p, s, n):
        size = u32(u32(p[7]) * u32(p[8]))
        image = u32(n // size)
        rest = u32(n - u32(image * size))
        r = u32(rest // u32(p[8]))
        q = u32(rest - u32(r * u32(p[8])))
        channel = u32(u32(image * u32(p[9])) + u32(u32(s) * u32(u32(p[9]) // u32(p[5]))))
        return channel, i32(i32(r) + p[12]), i32(i32(q) + p[13])

    def load_b(gy, p, column, k):
        o = u32(k // u32(taps))
        tap = u32(k - u32(o * u32(taps)))
        u = u32(tap // u32(kw))
        v = u32(tap - u32(u * u32(kw)))
        r = i32(column[1] - i32(i32(u) * p[14]))
        q = i32(column[2] - i32(i32(v) * p[15]))
        if r >= 0 and q >= 0:
            i, j = u32(u32(r) // u32(sh)), u32(u32(q) // u32(sw))
            met = u32(i * u32(sh)) == u32(r) and u32(j * u32(sw)) == u32(q)
            if met and i < u32(p[10]) and j < u32(p[11]):
                row = u32(u32(u32(column[0] + o) * u32(p[10])) + i)
                return gy[u32(u32(row * u32(p[11])) + j)]
        return kind(0)

    def end_column(p, s, n):
        size = u32(u32(p[7]) * u32(p[8]))
        image = u32(n // size)
        plane = u32(u32(image * u32(p[6])) + u32(u32(s) * u32(p[0])))
        return u32(u32(plane * size) + u32(n - u32(image * size))), size

    def store(gx, none, p, s, m, column, value):
        gx[u32(column[0] + u32(m * column[1]))] = value

    body = tiled(kind, tile, load_a, start_column, load_b, end_column, store)
    body.__name__ = "conv2d_input_grad"
    return body, _signature(kind)


@variants(*EXAMPLES, threads=_threads, registers=128)
def weight(kind: Any, tile: Tile, kernel: Pair, stride: Pair) -> tuple[Any, ...]:
    """gw[s,o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw], of pieces s"""
    kw, taps = kernel[1], kernel[0] * kernel[1]
    sh, sw = stride

    def load_a(gy, p, s, m, k):
        size = u32(u32(p[10]) * u32(p[11]))
        image = u32(k // size)
        group = u32(u32(s) // u32(p[4]))
        o = u32(u32(group * u32(p[0])) + m)
        plane = u32(u32(image * u32(p[9])) + o)
        return gy[u32(u32(plane * size) + u32(k - u32(image * size)))]

    def start_column(p, s, n):
        c = u32(n // u32(taps))
        tap = u32(n - u32(c * u32(taps)))
        u = u32(tap // u32(kw))
        v = u32(tap - u32(u * u32(kw)))
        group = u32(u32(s) // u32(p[4]))
        channel = u32(u32(group * u32(u32(p[6]) // u32(p[5]))) + c)
        return channel, i32(i32(i32(u) * p[14]) - p[12]), i32(i32(i32(v) * p[15]) - p[13])

    def load_b(x, p, column, k):
        size = u32(u32(p[10]) * u32(p[11]))
        image = u32(k // size)
        rest = u32(k - u32(image * size))
        i = u32(rest // u32(p[11]))
        j = u32(rest - u32(i * u32(p[11])))
        r = i32(column[1] + i32(u32(i * u32(sh))))
        q = i32(column[2] + i32(u32(j * u32(sw))))
        if r >= 0 and r < p[7] and q >= 0 and q < p[8]:
            plane = u32(u32(image * u32(p[6])) + column[0])
            row = u32(u32(plane * u32(p[7])) + u32(r))
            return x[u32(u32(row * u32(p[8])) + u32(q))]
        return kind(0)

    def end_column(p, s, n):
        return n

    def store(gw, none, p, s, m, n, value):
        row = u32(u32(u32(s) * u32(p[0])) + m)
        gw[u32(u32(row * u32(p[1])) + n)] = value

    body = tiled(kind, tile, load_a, start_column, load_b, end_column, store)
    body.__name__ = "conv2d_weight_grad"
    return body, _signature(kind)


@variants(*FEW_EXAMPLES)
def forward_few(kind: Any, kernel: Pair, stride: Pair) -> tuple[Any, ...]:
    """forward, a thread for each element of y"""
    kh, kw = kernel
    sh, sw = stride

    def body(x, w, bias, y, p):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[11]))
            j = u32(e - u32(row * u32(p[11])))
            plane = u32(row // u32(p[10]))
            i = u32(row - u32(plane * u32(p[10])))
            image = u32(plane // u32(p[9]))
            o = u32(plane - u32(image * u32(p[9])))
            inputs, outputs = u32(u32(p[6]) // u32(p[5])), u32(u32(p[9]) // u32(p[5]))
            channel = u32(u32(image * u32(p[6])) + u32(u32(o // outputs) * inputs))
            total = kind(0)
            for c in range(inputs):
                start = u32(u32(u32(channel + u32(c)) * u32(p[7])))
                tap = u32(u32(u32(o * inputs) + u32(c)) * u32(kh * kw))
                for u in range(kh):
                    r = i32(i32(i32(u32(i * u32(sh))) - p[12]) + i32(i32(u) * p[14]))
                    if r >= 0 and r < p[7]:
                        base = u32(u32(start + u32(r)) * u32(p[8]))
                        for v in range(kw):
                            q = i32(i32(i32(u32(j * u32(sw))) - p[13]) + i32(i32(v) * p[15]))
                            if q >= 0 and q < p[8]:
                                total += x[u32(base + u32(q))] * w[u32(tap + u32(u * kw + v))]
            if p[16] != 0:
                total += bias[o]
            y[e] = total

    body.__name__ = "conv2d_few"
    return body, _signature(kind)


@variants(*FEW_EXAMPLES)
def backward_few(kind: Any, kernel: Pair, stride: Pair) -> tuple[Any, ...]:
    """backward, a thread for each element of gx"""
    kh, kw = kernel
    sh, sw = stride

    def body(gy, w, none, gx, p):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[8]))
            s = u32(e - u32(row * u32(p[8])))
            plane = u32(row // u32(p[7]))
            r = u32(row - u32(plane * u32(p[7])))
            image = u32(plane // u32(p[6]))
            channel = u32(plane - u32(image * u32(p[6])))
            inputs, outputs = u32(u32(p[6]) // u32(p[5])), u32(u32(p[9]) // u32(p[5]))
            group = u32(channel // inputs)
            c = u32(channel - u32(group * inputs))
            total = kind(0)
            for k in range(outputs):
                o = u32(u32(group * outputs) + u32(k))
                start = u32(u32(u32(image * u32(p[9])) + o) * u32(p[10]))
                tap = u32(u32(u32(o * inputs) + c) * u32(kh * kw))
                for u in range(kh):
                    a = i32(i32(i32(r) + p[12]) - i32(i32(u) * p[14]))
                    i = u32(u32(max(a, i32(0))) // u32(sh))
                    if a >= 0 and u32(i * u32(sh)) == u32(a) and i < u32(p[10]):
                        base = u32(u32(start + i) * u32(p[11]))
                        for v in range(kw):
                            b = i32(i32(i32(s) + p[13]) - i32(i32(v) * p[15]))
                            j = u32(u32(max(b, i32(0))) // u32(sw))
                            if b >= 0 and u32(j * u32(sw)) == u32(b) and j < u32(p[11]):
                                total += gy[u32(base + j)] * w[u32(tap + u32(u * kw + v))]
            gx[e] = total

    body.__name__ = "conv2d_input_grad_few"
    return body, _signature(kind)


@variants(*FEW_EXAMPLES)
def weight_few(kind: Any, kernel: Pair, stride: Pair) -> tuple[Any, ...]:
    """weight, a block for each element of gw"""
    kh, kw = kernel
    sh, sw = stride

    def body(gy, x, none, gw, p):
        shared = cuda.shared.array(BLOCK, kind)
        e = u32(cuda.blockIdx.x)
        row = u32(e // u32(kh * kw))
        tap = u32(e - u32(row * u32(kh * kw)))
        u = u32(tap // u32(kw))
        v = u32(tap - u32(u * u32(kw)))
        inputs, outputs = u32(u32(p[6]) // u32(p[5])), u32(u32(p[9]) // u32(p[5]))
        o = u32(row // inputs)
        channel = u32(u32(u32(o // outputs) * inputs) + u32(row - u32(o * inputs)))
        total = kind(0)
        size = u32(u32(p[10]) * u32(p[11]))
        k = u32(cuda.threadIdx.x)
        while k < u32(p[2]):
            image = u32(k // size)
            rest = u32(k - u32(image * size))
            i = u32(rest // u32(p[11]))
            j = u32(rest - u32(i * u32(p[11])))
            r = i32(i32(i32(u32(i * u32(sh))) - p[12]) + i32(i32(u) * p[14]))
            q = i32(i32(i32(u32(j * u32(sw))) - p[13]) + i32(i32(v) * p[15]))
            if r >= 0 and r < p[7] and q >= 0 and q < p[8]:
                plane = u32(u32(image * u32(p[6])) + channel)
                at = u32(u32(u32(u32(plane * u32(p[7])) + u32(r)) * u32(p[8])) + u32(q))
                out = u32(u32(u32(image * u32(p[9])) + o) * size)
                total += gy[u32(out + rest)] * x[at]
            k = u32(k + u32(BLOCK))
        total = block_sum(shared, total)
        if cuda.threadIdx.x == 0:
            gw[e] = total

    body.__name__ = "conv2d_weight_grad_few"
    return body, _signature(kind)


def _parameters(x: Any, y: Any, padding: Pair, dilation: Pair, groups: int, bias: bool) -> Any:
    return (groups, *x.shape[1:], *y.shape[1:], *padding, *dilation, int(bias), x.shape[0])


def conv2d(
    x: Any, w: Any, b: Any, y: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> None:
    """y[n,o,i,j] = b[o] + sum_{c,u,v} x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw] w[o,c,u,v]"""
    if not y.size:
        return
    kernel, kind = w.shape[2:], of(y.dtype)
    rest = _parameters(x, y, padding, dilation, groups, b.size > 0)
    outputs, inputs = w.shape[0] // groups, w.shape[1]
    positions = x.shape[0] * y.shape[2] * y.shape[3]
    if groups > 1 and outputs <= FEW:
        p = (y.size, 0, 0, 0, 0, *rest)
        forward_few(kind, kernel, stride)(blocks_for(y.size, BLOCK), x, w, b, y, p)
        return
    tile = tile_for(outputs, positions, y.itemsize, groups)
    p = (outputs, positions, inputs * kernel[0] * kernel[1], 0, 1, *rest)
    forward(kind, tile, kernel, stride)(grid(outputs, positions, tile, groups), w, x, b, y, p)


def conv2d_input_grad(
    gy: Any, w: Any, gx: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> None:
    """gx[n,c,r,s] = sum of gy[n,o,i,j] w[o,c,u,v] where r = i*sh+u*dh-ph and s = j*sw+v*dw-pw"""
    if not gx.size:
        return
    kernel, kind = w.shape[2:], of(gx.dtype)
    rest = _parameters(gx, gy, padding, dilation, groups, False)
    outputs, inputs = w.shape[0] // groups, w.shape[1]
    positions = gx.shape[0] * gx.shape[2] * gx.shape[3]
    if groups > 1 and inputs <= FEW:
        p = (gx.size, 0, 0, 0, 0, *rest)
        run = backward_few(kind, kernel, stride)
        run(blocks_for(gx.size, BLOCK), gy, w, empty((0,), gx.dtype), gx, p)
        return
    tile = tile_for(inputs, positions, gx.itemsize, groups)
    p = (inputs, positions, outputs * kernel[0] * kernel[1], 0, 1, *rest)
    run = backward(kind, tile, kernel, stride)
    run(grid(inputs, positions, tile, groups), w, gy, empty((0,), gx.dtype), gx, p)


def conv2d_weight_grad(
    gy: Any, x: Any, gw: Any, gb: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> None:
    """gw[o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw],
    gb[o] = sum_{n,i,j} gy[n,o,i,j] unless gb is empty"""
    if gb.size:
        sum(gy, gb, (0, 2, 3), 1)
    if not gw.size:
        return
    if not gy.size or not x.size:
        fill(gw, 0)
        return
    kernel, kind = gw.shape[2:], of(gw.dtype)
    rest = _parameters(x, gy, padding, dilation, groups, False)
    outputs, columns = gw.shape[0] // groups, gw.size // gw.shape[0]
    terms, none = x.shape[0] * gy.shape[2] * gy.shape[3], empty((0,), gw.dtype)
    if groups > 1 and outputs <= FEW:
        p = (0, 0, terms, 0, 0, *rest)
        weight_few(kind, kernel, stride)(gw.size, gy, x, none, gw, p)
        return
    tile = tile_for(outputs, columns, gw.itemsize, groups)
    splits = splits_for(outputs, columns, terms, tile, groups)
    each = -(-terms // splits) if splits > 1 else 0
    p = (outputs, columns, terms, each, splits, *rest)
    sums = gw if splits == 1 else empty((groups, splits, outputs, columns), gw.dtype)
    blocks = grid(outputs, columns, tile, groups * splits)
    weight(kind, tile, kernel, stride)(blocks, gy, x, none, sums, p)
    if splits > 1:
        reduce("sum", sums, gw, (1,))
