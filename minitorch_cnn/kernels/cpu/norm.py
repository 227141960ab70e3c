"""Batch normalisation of x[n,c,s] (batch, channels, all other axes) and its gradients.

Every kernel goes through the data twice, for sums and for the result. Where there is one element a
channel, x[n,c], vectors run along the channels.
"""

from typing import Any

import numpy as np

from ..drivers import driver, repeating_driver
from ..jit import inner, kernel, threads_for
from ..tasks import task_kernel
from .norm_rows import products_of_row, scale_row, slopes_of_row, times_row
from .norm_sums import (
    by_channel,
    cut_into_tasks,
    factors_of,
    factors_of_gradient,
    moments,
    statistics,
    statistics_of,
)
from .simd import as_row, broadcast, zeros


@driver
def batch_norm(x: Any, weight: Any, bias: Any, y: Any, mean: Any, invstd: Any, eps: float) -> None:
    """y = (x-mean)*invstd*weight + bias, invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    channels = x.shape[1]
    if x.size == x.shape[0] * channels:
        flat = x.shape[0], channels
        x, y = x.reshape(flat), y.reshape(flat)
        _batch_norm_columns(x, weight, bias, y, mean, invstd, np.empty((1, 3, channels)), eps)
    else:
        _batch_norm(x, weight, bias, y, mean, invstd, eps)


@repeating_driver
def _batch_norm(x: Any, weight: Any, bias: Any, y: Any, mean: Any, invstd: Any, eps: float) -> None:
    """batch_norm of more than one element a channel"""
    shape = by_channel(x)
    x, y = x.reshape(shape), y.reshape(shape)
    threads, sums, cut = threads_for(3 * x.size), *cut_into_tasks(*shape)
    moments(threads, x, sums, *cut)
    statistics(x, weight, bias, mean, invstd, sums, eps)
    _normalise(threads, x, mean, sums, y)


@repeating_driver
def running_norm(
    x: Any, mean: Any, var: Any, weight: Any, bias: Any, y: Any, invstd: Any, eps: float
) -> None:
    """y = (x-mean)*invstd*weight + bias, invstd = 1/sqrt(var + eps), by channel"""
    batch, channels, size = shape = by_channel(x)
    factors = np.empty((1, 2, channels))
    _running(var, weight, bias, invstd, factors, eps)
    if size == 1:
        flat = (batch, channels)
        _normalise_columns(x.reshape(flat), mean, factors, y.reshape(flat))
    else:
        x, y = x.reshape(shape), y.reshape(shape)
        _normalise(threads_for(2 * x.size), x, mean, factors, y)


@repeating_driver
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
    batch, channels, size = shape = by_channel(x)
    if size == 1:
        sums, flat = np.empty((1, 3, channels)), (batch, channels)
        gy, x, gx = gy.reshape(flat), x.reshape(flat), gx.reshape(flat)
        _batch_norm_grad_columns(gy, x, weight, mean, invstd, gx, gweight, gbias, sums, training)
    else:
        gy, x, gx = gy.reshape(shape), x.reshape(shape), gx.reshape(shape)
        threads, sums, cut = threads_for(4 * x.size), *cut_into_tasks(*shape)
        _products(threads, gy, x, weight, mean, invstd, sums, gx, *cut, training)
        factors_of_gradient(weight, invstd, gweight, gbias, sums, batch * size)
        if training:
            _through_statistics(threads, gy, x, mean, sums, gx)


@task_kernel
def _normalise(thread, threads, x, mean, factors, y):
    """y[n,c,s] = (x[n,c,s] - mean[c]) scale[c] + shift[c]; scale and shift are factors[0]"""
    channels, size = x.shape[1], x.shape[2]
    planes, xs, ys, numbers = (
        x.shape[0] * channels,
        as_row(x),
        as_row(y),
        np.empty(2, x.dtype),
    )
    for plane in range(thread * planes // threads, (thread + 1) * planes // threads):
        c = plane % channels
        numbers[0], numbers[1] = factors[0, 0, c], factors[0, 1, c]
        scale, shift = broadcast(numbers, 0), broadcast(numbers, 1)
        at = plane * size
        scale_row(xs, at, size, broadcast(mean, c), scale, shift, False, ys, at)


@kernel()
def _batch_norm_columns(x, weight, bias, y, mean, invstd, sums, eps):
    """y = (x-mean)*invstd*weight + bias, invstd = 1/sqrt(mean((x-mean)^2) + eps) by column"""
    batch_norm_columns(x, weight, bias, y, mean, invstd, sums, eps)


@inner
def batch_norm_columns(x, weight, bias, y, mean, invstd, sums, eps):
    """_batch_norm_columns"""
    origin, total, squares = x[0], sums[0, 0], sums[0, 1]
    for c in range(origin.size):
        total[c] = squares[c] = 0.0
    for n in range(x.shape[0]):
        row = x[n]
        for c in range(row.size):
            d = np.float64(row[c]) - origin[c]
            total[c] += d
            squares[c] += d * d
    for c in range(mean.size):
        statistics_of(origin[c], c, weight, bias, mean, invstd, sums, x.shape[0], eps)
    normalise_columns(x, mean, sums[0, 0], sums[0, 1], y)


@inner
def normalise_columns(x, mean, scale, shift, y):
    """y[n,c] = (x[n,c] - mean[c]) scale[c] + shift[c]"""
    for n in range(x.shape[0]):
        row, out = x[n], y[n]
        for c in range(row.size):
            out[c] = (row[c] - mean[c]) * y.dtype.type(scale[c]) + y.dtype.type(shift[c])


@kernel()
def _normalise_columns(x, mean, factors, y):
    """y[n,c] = (x[n,c] - mean[c]) scale[c] + shift[c]; scale and shift are factors[0]"""
    normalise_columns(x, mean, factors[0, 0], factors[0, 1], y)


@kernel()
def _running(var, weight, bias, invstd, factors, eps):
    """invstd = 1 / sqrt(var + eps), scale = invstd weight, shift = bias"""
    for c in range(var.size):
        invstd[c] = 1 / np.sqrt(np.float64(var[c]) + eps)
        factors[0, 0, c] = invstd[c] * (weight[c] if weight.size else 1)
        factors[0, 1, c] = bias[c] if bias.size else 0


@task_kernel
def _products(thread, threads, gy, x, weight, mean, invstd, sums, gx, length, width, training):
    """Of a task, sums[piece,0,c] = sum gy, sums[piece,1,c] = sum gy (x - mean); and out of training
    gx = gy weight invstd"""
    channels, size, xs, grads = x.shape[1], x.shape[2], as_row(x), as_row(gy)
    blocks, nothing, outs = -(-channels // width), zeros(x), as_row(gx)
    number = np.empty(1, x.dtype)
    tasks = sums.shape[0] * blocks
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        piece, first = task // blocks, task % blocks * width
        last, here = min(first + width, channels), sums[piece]
        for c in range(first, last):
            here[0, c] = here[1, c] = 0.0
        for n in range(piece * length, min((piece + 1) * length, x.shape[0])):
            for c in range(first, last):
                at, middle = (n * channels + c) * size, broadcast(mean, c)
                total, product = products_of_row(
                    grads, at, xs, at, size, middle, nothing, nothing, False
                )
                here[0, c] += total
                here[1, c] += product
                if not training:
                    number[0] = np.float64(invstd[c]) * (weight[c] if weight.size else 1)
                    times_row(grads, at, size, broadcast(number, 0), outs)


@task_kernel
def _through_statistics(thread, threads, gy, x, mean, factors, gx):
    """gx = gy rate + (x - mean) fall + level; these are factors[0]"""
    channels, size = x.shape[1], x.shape[2]
    xs, grads, outs = as_row(x), as_row(gy), as_row(gx)
    planes, numbers, nothing = x.shape[0] * channels, np.empty(3, x.dtype), zeros(x)
    for plane in range(thread * planes // threads, (thread + 1) * planes // threads):
        c, at = plane % channels, plane * size
        for k in range(3):
            numbers[k] = factors[0, k, c]
        rate, fall, level = broadcast(numbers, 0), broadcast(numbers, 1), broadcast(numbers, 2)
        slopes_of_row(
            grads, at, xs, at, size, broadcast(mean, c), nothing, nothing, False,
            rate, fall, level, outs,
        )  # fmt: skip


@kernel()
def _batch_norm_grad_columns(gy, x, weight, mean, invstd, gx, gweight, gbias, sums, training):
    """gx = weight*invstd*(gy - mean(gy) - z*mean(gy*z)), gweight = sum gy*z, z = (x-mean)*invstd"""
    batch_norm_grad_columns(gy, x, weight, mean, invstd, gx, gweight, gbias, sums, training)


@inner
def batch_norm_grad_columns(gy, x, weight, mean, invstd, gx, gweight, gbias, sums, training):
    """_batch_norm_grad_columns"""
    total, product = sums[0, 0], sums[0, 1]
    for c in range(total.size):
        total[c] = product[c] = 0.0
    for n in range(x.shape[0]):
        row, grad = x[n], gy[n]
        for c in range(row.size):
            total[c] += grad[c]
            product[c] += np.float64(grad[c]) * (row[c] - mean[c])
    factors_of(weight, invstd, gweight, gbias, sums, x.shape[0])
    real, rate, fall, level = gx.dtype.type, sums[0, 0], sums[0, 1], sums[0, 2]
    for n in range(x.shape[0]):
        row, grad, out = x[n], gy[n], gx[n]
        if training:
            for c in range(row.size):
                through = (row[c] - mean[c]) * real(fall[c]) + real(level[c])
                out[c] = grad[c] * real(rate[c]) + through
        else:
            for c in range(row.size):
                out[c] = grad[c] * real(rate[c])


@kernel()
def update_running(mean, invstd, running_mean, running_var, momentum, eps, count):
    """running = (1-momentum)*running + momentum*batch, the variance without bias"""
    for c in range(mean.size):
        # Rounding must not make the variance of a constant channel negative.
        variance = max(1 / np.float64(invstd[c]) ** 2 - eps, 0.0) * count / (count - 1)
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c]
        running_var[c] = (1 - momentum) * running_var[c] + momentum * variance
