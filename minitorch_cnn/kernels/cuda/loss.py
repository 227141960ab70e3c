"""Softmax and the losses, on x[outer,n,inner] along the middle axis or element by element.

A block has one line along the axis; sums over a batch are those of `reduce`. A label that is
neither ignored nor a class makes its loss NaN: to refuse it would take reading labels back.
"""

import math
from typing import Any

from . import functions
from .buffer import empty
from .elementwise import operation, run
from .functions import block_sum, thread_index
from .geometry import blocks_for
from .reduce import reduce
from .registry import (
    BLOCK,
    cuda,
    device_function,
    f32,
    f64,
    i32,
    i64,
    integers,
    of,
    u32,
    variants,
    vector,
)


@device_function
def block_max(shared, value):
    """The largest of all threads' values, for every thread; `shared` has BLOCK places"""
    t = i32(cuda.threadIdx.x)
    cuda.syncthreads()
    shared[t] = value
    half = i32(BLOCK // 2)
    while half > 0:
        cuda.syncthreads()
        if t < half:
            shared[t] = max(shared[t], shared[t + half])
        half = i32(half // 2)
    cuda.syncthreads()
    return shared[0]


@device_function
def line_start(line, n, inner):
    """Where line `line` of x[outer,n,inner] begins; its elements are `inner` apart"""
    o = u32(line // u32(inner))
    return u32(u32(u32(o * u32(n)) * u32(inner)) + u32(line - u32(o * u32(inner))))


@variants(("softmax", f32), ("log_softmax", f32), ("softmax", f64))
def normalised(name: str, kind: Any) -> tuple[Any, ...]:
    """y = exp(x - max x) / sum exp(x - max x), or its logarithm; p: n, inner"""
    logarithm = name == "log_softmax"

    def body(x, y, p):
        shared = cuda.shared.array(BLOCK, kind)
        start = line_start(u32(cuda.blockIdx.x), p[0], p[1])
        top, t = kind(-math.inf), u32(cuda.threadIdx.x)
        c = t
        while c < u32(p[0]):
            top = max(top, x[u32(start + u32(c * u32(p[1])))])
            c = u32(c + u32(BLOCK))
        top = block_max(shared, top)
        total, c = kind(0), t
        while c < u32(p[0]):
            total += functions.exp(x[u32(start + u32(c * u32(p[1])))] - top)
            c = u32(c + u32(BLOCK))
        total = block_sum(shared, total)
        c = t
        if logarithm:
            total = functions.log(total)
        while c < u32(p[0]):
            at = u32(start + u32(c * u32(p[1])))
            if logarithm:
                y[at] = (x[at] - top) - total
            else:
                y[at] = functions.exp(x[at] - top) / total
            c = u32(c + u32(BLOCK))

    body.__name__ = name
    return body, (vector(kind), vector(kind), integers(2))


def softmax(x: Any, y: Any, dim: int = 1) -> None:
    """y = exp(x - max x) / sum exp(x - max x) along a dimension"""
    _lines(normalised("softmax", of(x.dtype)), dim, x, y)


def log_softmax(x: Any, y: Any, dim: int = 1) -> None:
    """y = x - max x - log sum exp(x - max x) along a dimension"""
    _lines(normalised("log_softmax", of(x.dtype)), dim, x, y)


def _lines(kernel: Any, dim: int, *buffers: Any) -> None:
    shape, size = buffers[0].shape, buffers[0].size
    n = shape[dim] if shape else 1
    if size:
        kernel(size // n, *buffers, (n, math.prod(shape[dim + 1 :])))


@variants(("softmax_grad", f32), ("log_softmax_grad", f32), ("softmax_grad", f64))
def slope(name: str, kind: Any) -> tuple[Any, ...]:
    """gx = y (gy - sum gy y), or gy - exp(y) sum gy; p: n, inner"""
    logarithm = name == "log_softmax_grad"

    def body(gy, y, gx, p):
        shared = cuda.shared.array(BLOCK, kind)
        start = line_start(u32(cuda.blockIdx.x), p[0], p[1])
        total, c = kind(0), u32(cuda.threadIdx.x)
        while c < u32(p[0]):
            at = u32(start + u32(c * u32(p[1])))
            total += gy[at] if logarithm else gy[at] * y[at]
            c = u32(c + u32(BLOCK))
        total = block_sum(shared, total)
        c = u32(cuda.threadIdx.x)
        while c < u32(p[0]):
            at = u32(start + u32(c * u32(p[1])))
            if logarithm:
                gx[at] = gy[at] - functions.exp(y[at]) * total
            else:
                gx[at] = y[at] * (gy[at] - total)
            c = u32(c + u32(BLOCK))

    body.__name__ = name
    return body, (vector(kind), vector(kind), vector(kind), integers(2))


def softmax_grad(gy: Any, y: Any, gx: Any, dim: int = 1) -> None:
    """gx = y * (gy - sum gy*y)"""
    _lines(slope("softmax_grad", of(y.dtype)), dim, gy, y, gx)


def log_softmax_grad(gy: Any, y: Any, gx: Any, dim: int = 1) -> None:
    """gx = gy - exp(y) * sum gy"""
    _lines(slope("log_softmax_grad", of(y.dtype)), dim, gy, y, gx)


@variants((True, f32), (False, f32), (True, f64))
def lines_losses(from_logits: bool, kind: Any) -> tuple[Any, ...]:
    """Of each line its loss and its label's weight; p: classes, inner, whether there are weights

    From logits, also p = softmax(x); else x holds the logarithms of probabilities.
    """

    def body(x, target, weight, losses, weights, probability, p, ignored, smoothing):
        shared = cuda.shared.array(BLOCK, kind)
        line, t = u32(cuda.blockIdx.x), u32(cuda.threadIdx.x)
        start = line_start(line, p[0], p[1])
        top, log_total = kind(0), kind(0)
        if from_logits:
            top, c = kind(-math.inf), t
            while c < u32(p[0]):
                top = max(top, x[u32(start + u32(c * u32(p[1])))])
                c = u32(c + u32(BLOCK))
            top = block_max(shared, top)
            total, c = kind(0), t
            while c < u32(p[0]):
                total += functions.exp(x[u32(start + u32(c * u32(p[1])))] - top)
                c = u32(c + u32(BLOCK))
            total = block_sum(shared, total)
            log_total, c = functions.log(total), t
            while c < u32(p[0]):
                at = u32(start + u32(c * u32(p[1])))
                probability[at] = functions.exp(x[at] - top) / total
                c = u32(c + u32(BLOCK))
        spread = kind(0)
        if smoothing > kind(0):
            c = t
            while c < u32(p[0]):
                logp = (x[u32(start + u32(c * u32(p[1])))] - top) - log_total
                spread += weight[c] * logp if p[2] != 0 else logp
                c = u32(c + u32(BLOCK))
            spread = block_sum(shared, spread)
        if t == u32(0):
            label = target[line]
            loss, scale = kind(0), kind(0)
            if label != ignored:
                if label < 0 or label >= p[0]:
                    loss = kind(math.nan)
                else:
                    at = u32(start + u32(u32(label) * u32(p[1])))
                    scale = weight[u32(label)] if p[2] != 0 else kind(1)
                    logp = (x[at] - top) - log_total
                    loss = -(kind(1) - smoothing) * scale * logp
                    if smoothing > kind(0):
                        loss -= smoothing / kind(p[0]) * spread
            losses[line] = loss
            weights[line] = scale

    body.__name__ = "cross_entropy" if from_logits else "nll_loss"
    array = vector(kind)
    arrays = array, vector(i64), array, array, array, array
    return body, (*arrays, integers(3), i64, kind)


def _losses(
    from_logits: bool,
    x: Any,
    target: Any,
    weight: Any,
    y: Any,
    total: Any,
    probability: Any,
    ignore_index: int,
    reduction: int,
    label_smoothing: float,
) -> None:
    lines, inner = target.size, math.prod(x.shape[2:])
    losses = y if reduction == 0 else empty((lines,), x.dtype)
    weights = empty((lines,), x.dtype)
    p = (x.shape[1], inner, int(weight.size > 0))
    buffers = x, target, weight, losses, weights, probability
    lines_losses(from_logits, of(x.dtype))(lines, *buffers, p, ignore_index, label_smoothing)
    reduce("sum", weights, total, (0,))
    if reduction:
        reduce("sum", losses, y, (0,))
        if reduction == 1:
            run("div", y, total, y)


def nll_loss(
    logp: Any,
    target: Any,
    weight: Any,
    y: Any,
    total: Any,
    ignore_index: int,
    reduction: int,
    label_smoothing: float = 0.0,
) -> None:
    """y = -weight[target] * logp[target], 0 where ignored; 1: sum y / total; 2: sum y

    With label_smoothing a, of n classes: (1-a) times that, - a/n sum weight*logp.
    """
    options = ignore_index, reduction, label_smoothing
    _losses(False, logp, target, weight, y, total, empty((0,), logp.dtype), *options)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any,
    y: Any,
    total: Any,
    p: Any,
    ignore_index: int,
    reduction: int,
    label_smoothing: float,
) -> None:
    """y = nll_loss of log_softmax(x); p = softmax(x)"""
    options = ignore_index, reduction, label_smoothing
    _losses(True, x, target, weight, y, total, p, *options)


@variants((True, f32), (False, f32), (True, f64))
def lines_slopes(from_logits: bool, kind: Any) -> tuple[Any, ...]:
    """gx[e], a thread each; p: elements, classes, inner, whether there are weights, reduction"""

    def body(gy, target, weight, total, probability, gx, p, ignored, smoothing):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[2]))
            n = u32(row // u32(p[1]))
            c = u32(row - u32(n * u32(p[1])))
            line = u32(u32(n * u32(p[2])) + u32(e - u32(row * u32(p[2]))))
            label = target[line]
            value = kind(0)
            if label != ignored:
                grad = gy[line] if p[4] == 0 else gy[0]
                if p[4] == 1:
                    grad /= total[0]
                share = smoothing / kind(p[1])
                whole = (kind(1) - smoothing) * grad
                if p[3] != 0:
                    # Of a label that is no class, the loss is NaN.
                    known = label >= 0 and label < p[1]
                    whole *= weight[u32(label)] if known else kind(math.nan)
                if from_logits:
                    scale = smoothing * grad
                    if p[3] != 0 and smoothing > kind(0):
                        scale = kind(0)
                        for k in range(p[1]):
                            scale += share * grad * weight[u32(k)]
                    value = (whole + scale) * probability[e]
                if i64(c) == label:
                    value -= whole
                if smoothing > kind(0):
                    value -= share * grad * (weight[c] if p[3] != 0 else kind(1))
            gx[e] = value

    body.__name__ = "cross_entropy_grad" if from_logits else "nll_loss_grad"
    array = vector(kind)
    arrays = array, vector(i64), array, array, array, array
    return body, (*arrays, integers(5), i64, kind)


def _slopes(
    from_logits: bool,
    gy: Any,
    target: Any,
    weight: Any,
    total: Any,
    probability: Any,
    gx: Any,
    ignore_index: int,
    reduction: int,
    label_smoothing: float,
) -> None:
    p = (gx.size, gx.shape[1], math.prod(gx.shape[2:]), int(weight.size > 0), reduction)
    buffers = gy, target, weight, total, probability, gx
    kernel = lines_slopes(from_logits, of(gx.dtype))
    kernel(blocks_for(gx.size, BLOCK), *buffers, p, ignore_index, label_smoothing)


def nll_loss_grad(
    gy: Any,
    target: Any,
    weight: Any,
    total: Any,
    gx: Any,
    ignore_index: int,
    reduction: int,
    label_smoothing: float = 0.0,
) -> None:
    """gx[target] = -weight[target] * gy, 0 elsewhere and where ignored; 1: divided by total

    With label_smoothing a, of n classes: (1-a) times that, - a/n weight gy.
    """
    options = ignore_index, reduction, label_smoothing
    _slopes(False, gy, target, weight, total, empty((0,), gx.dtype), gx, *options)


def cross_entropy_grad(
    gy: Any,
    x: Any,
    target: Any,
    weight: Any,
    total: Any,
    p: Any,
    gx: Any,
    ignore_index: int,
    reduction: int,
    label_smoothing: float,
) -> None:
    """gx = g - p sum g, g = nll_loss_grad; of x it needs no more than p = softmax(x)"""
    options = ignore_index, reduction, label_smoothing
    _slopes(True, gy, target, weight, total, p, gx, *options)


def _binary_cross_entropy(kind):
    def loss(x, t):
        log_x = max(functions.log(x), kind(-100))
        log_rest = max(functions.log1p(-x), kind(-100))
        return (t - kind(1)) * log_rest - t * log_x

    return loss


def _with_logits(kind):
    def loss(x, t):
        above = -x if x < kind(0) else kind(0)
        return (kind(1) - t) * x + above + functions.log1p(functions.exp(-abs(x)))

    return loss


operation("mse_loss", lambda kind: lambda x, t: (x - t) * (x - t))
operation("l1_loss", lambda kind: lambda x, t: abs(x - t))
operation("binary_cross_entropy", _binary_cross_entropy)
operation("binary_cross_entropy_with_logits", _with_logits)


def mse_loss(x: Any, t: Any, y: Any) -> None:
    """y = (x - t)^2"""
    run("mse_loss", x, t, y)


def l1_loss(x: Any, t: Any, y: Any) -> None:
    """y = |x - t|"""
    run("l1_loss", x, t, y)


def binary_cross_entropy(x: Any, t: Any, y: Any) -> None:
    """y = -t*log(x) - (1-t)*log(1-x), either logarithm at least -100"""
    run("binary_cross_entropy", x, t, y)


def binary_cross_entropy_with_logits(x: Any, t: Any, y: Any) -> None:
    """y = (1-t)*x + max(-x,0) + log(1 + exp(-|x|))"""
    run("binary_cross_entropy_with_logits", x, t, y)
