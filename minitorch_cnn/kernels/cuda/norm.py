"""Batch normalisation of x[n,c,s] (batch, channels, all other axes) and its gradients.

A block gathers a channel's sums, of the differences from the mean for the variance; other launches
then make the results, a thread each.
"""

import math
from typing import Any

from . import functions
from .functions import block_sum, thread_index
from .geometry import blocks_for
from .registry import BLOCK, cuda, device_function, f32, f64, integers, of, u32, variants, vector


@device_function
def element(k, channel, p):
    """Where element k of a channel of x lies; p: batch * size, channels, size"""
    n = u32(k // u32(p[2]))
    plane = u32(u32(n * u32(p[1])) + channel)
    return u32(u32(plane * u32(p[2])) + u32(k - u32(n * u32(p[2]))))


@variants((f32,), (f64,))
def moments(kind: Any) -> tuple[Any, ...]:
    """mean, invstd = 1 / sqrt(mean((x - mean)^2) + eps) of a channel"""

    def moments(x, mean, invstd, p, eps):
        shared = cuda.shared.array(BLOCK, kind)
        channel, t = u32(cuda.blockIdx.x), u32(cuda.threadIdx.x)
        origin = x[element(u32(0), channel, p)]
        total, k = kind(0), t
        while k < u32(p[0]):
            total += x[element(k, channel, p)] - origin
            k = u32(k + u32(BLOCK))
        centre = origin + block_sum(shared, total) / kind(p[0])
        total, k = kind(0), t
        while k < u32(p[0]):
            d = x[element(k, channel, p)] - centre
            total += d * d
            k = u32(k + u32(BLOCK))
        variance = block_sum(shared, total) / kind(p[0])
        if t == u32(0):
            mean[channel] = centre
            invstd[channel] = kind(1) / functions.sqrt(variance + eps)

    return moments, (vector(kind), vector(kind), vector(kind), integers(3), kind)


@variants((f32,), (f64,))
def normalised(kind: Any) -> tuple[Any, ...]:
    """y = (x - mean) invstd weight + bias; p: elements, channels, size, whether there are weights,
    biases"""

    def normalised(x, mean, invstd, weight, bias, y, p):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[2]))
            c = u32(row - u32(u32(row // u32(p[1])) * u32(p[1])))
            scale = invstd[c] * weight[c] if p[3] != 0 else invstd[c]
            value = (x[e] - mean[c]) * scale
            y[e] = value + bias[c] if p[4] != 0 else value

    array = vector(kind)
    return normalised, (array, array, array, array, array, array, integers(5))


def normalise(x: Any, mean: Any, invstd: Any, weight: Any, bias: Any, y: Any) -> None:
    _, channels, size = _by_channel(x)
    p = (x.size, channels, size, int(weight.size > 0), int(bias.size > 0))
    kernel = normalised(of(x.dtype))
    kernel(blocks_for(x.size, BLOCK), x, mean, invstd, weight, bias, y, p)


def _by_channel(x: Any) -> tuple[int, int, int]:
    """Elements of a channel, channels, and elements of a plane."""
    batch, channels = x.shape[:2]
    size = math.prod(x.shape[2:])
    return batch * size, channels, size


def batch_norm(x: Any, weight: Any, bias: Any, y: Any, mean: Any, invstd: Any, eps: float) -> None:
    """y = (x-mean)*invstd*weight + bias, invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    if x.size:
        moments(of(x.dtype))(x.shape[1], x, mean, invstd, _by_channel(x), eps)
        normalise(x, mean, invstd, weight, bias, y)


@variants((f32,), (f64,))
def deviation(kind: Any) -> tuple[Any, ...]:
    """invstd = 1 / sqrt(var + eps)"""

    def deviation(var, invstd, p, eps):
        c = thread_index()
        if c < u32(p[0]):
            invstd[c] = kind(1) / functions.sqrt(var[c] + eps)

    return deviation, (vector(kind), vector(kind), integers(1), kind)


def running_norm(
    x: Any, mean: Any, var: Any, weight: Any, bias: Any, y: Any, invstd: Any, eps: float
) -> None:
    """y = (x-mean)*invstd*weight + bias, invstd = 1/sqrt(var + eps), by channel"""
    deviation(of(x.dtype))(blocks_for(var.size, BLOCK), var, invstd, (var.size,), eps)
    normalise(x, mean, invstd, weight, bias, y)


@variants((f32,), (f64,))
def products(kind: Any) -> tuple[Any, ...]:
    """gbias = sum gy, gweight = invstd sum gy (x - mean), of a channel"""

    def products(gy, x, mean, invstd, gweight, gbias, p):
        shared = cuda.shared.array(BLOCK, kind)
        channel, t = u32(cuda.blockIdx.x), u32(cuda.threadIdx.x)
        total, product, k = kind(0), kind(0), t
        while k < u32(p[0]):
            at = element(k, channel, p)
            total += gy[at]
            product += gy[at] * (x[at] - mean[channel])
            k = u32(k + u32(BLOCK))
        total = block_sum(shared, total)
        product = block_sum(shared, product)
        if t == u32(0):
            gbias[channel] = total
            gweight[channel] = product * invstd[channel]

    array = vector(kind)
    return products, (array, array, array, array, array, array, integers(3))


@variants((f32,), (f64,))
def slopes(kind: Any) -> tuple[Any, ...]:
    """gx = weight invstd (gy - (gbias + z gweight) / count), z = (x - mean) invstd; or without what
    is taken off; p: elements, channels, size, whether there are weights, count, whether training"""

    def slopes(gy, x, weight, mean, invstd, gweight, gbias, gx, p):
        e = thread_index()
        if e < u32(p[0]):
            row = u32(e // u32(p[2]))
            c = u32(row - u32(u32(row // u32(p[1])) * u32(p[1])))
            scale = invstd[c] * weight[c] if p[3] != 0 else invstd[c]
            slope = gy[e]
            if p[5] != 0:
                z = (x[e] - mean[c]) * invstd[c]
                slope -= (gbias[c] + z * gweight[c]) / kind(p[4])
            gx[e] = slope * scale

    return slopes, (*[vector(kind)] * 8, integers(6))


def batch_norm_grad(
    gy: Any,
    x: Any,
    weight: Any,
    mean: Any,
    invstd: Any,
    gx: Any,
    gweight: Any,
    gbias: Any,
    training: bool,
) -> None:
    """gx = weight*invstd*(gy - mean(gy) - z*mean(gy*z)), gweight = sum gy*z, z = (x-mean)*invstd

    Out of training, mean and invstd are not the batch's: gx = weight*invstd*gy.
    """
    count, channels, size = shape = _by_channel(x)
    kind = of(x.dtype)
    products(kind)(channels, gy, x, mean, invstd, gweight, gbias, shape)
    p = (x.size, channels, size, int(weight.size > 0), count, int(training))
    blocks = blocks_for(x.size, BLOCK)
    slopes(kind)(blocks, gy, x, weight, mean, invstd, gweight, gbias, gx, p)


@variants((f32,), (f64,))
def moved(kind: Any) -> tuple[Any, ...]:
    """running = (1-momentum)*running + momentum*batch, the variance without bias"""

    def update_running(mean, invstd, running_mean, running_var, p, momentum, eps, correction):
        c = thread_index()
        if c < u32(p[0]):
            # Rounding must not make the variance of a constant channel negative.
            variance = max(kind(1) / (invstd[c] * invstd[c]) - eps, kind(0)) * correction
            rest = kind(1) - momentum
            running_mean[c] = rest * running_mean[c] + momentum * mean[c]
            running_var[c] = rest * running_var[c] + momentum * variance

    array = vector(kind)
    return update_running, (array, array, array, array, integers(1), kind, kind, kind)


def update_running(
    mean: Any,
    invstd: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float,
    eps: float,
    count: int,
) -> None:
    """running = (1-momentum)*running + momentum*batch, the variance without bias"""
    buffers = mean, invstd, running_mean, running_var
    blocks = blocks_for(mean.size, BLOCK)
    moved(of(mean.dtype))(blocks, *buffers, (mean.size,), momentum, eps, count / (count - 1))
