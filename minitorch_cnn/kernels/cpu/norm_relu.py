"""Batch normalisation of x[n,c,h,w] and what follows it, relu and averages of windows or a sum, in
one, and the gradients.

As norm.py, each goes through the data twice: what lies between is made of a plane at a time, and
stays in the first cache. Which numbers relu cut off the gradient finds from x again.
"""

import numpy as np

from ..jit import allocating, driver, kernel, threads_for
from ..tasks import task_kernel
from .norm_rows import add_to_scaled_row, products_of_row, scale_row, slopes_of_row
from .norm_sums import by_channel, cut_into_tasks, factors_of_gradient, moments, statistics
from .pool_average import add_rows, average_neighbours, planes_together, spread_planes
from .simd import as_row, broadcast, lanes


@driver
def batch_norm_relu(x, weight, bias, y, mean, invstd, eps, kernel_size):
    """y = means over windows side by side of max(z, 0), z = (x-mean)*invstd*weight + bias,
    invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    factors, threads = _normalised_by(x, weight, bias, mean, invstd, eps), threads_for(3 * x.size)
    _normalise_relu(threads, x, mean, factors, y, kernel_size)


@driver
def relu_of_normalised(x, weight, bias, mean, invstd, y):
    """y = max((x-mean)*invstd*weight + bias, 0): what batch_norm_relu makes, by its statistics"""
    factors = np.empty((1, 2, x.shape[1]))
    _scales(weight, bias, invstd, factors.reshape(-1))
    _normalise_relu(threads_for(2 * x.size), x, mean, factors, y, (1, 1))


@driver
def batch_norm_add_relu(x, other, weight, bias, y, mean, invstd, eps):
    """y = max(z + other, 0), z = (x-mean)*invstd*weight + bias,
    invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    factors, threads = _normalised_by(x, weight, bias, mean, invstd, eps), threads_for(3 * x.size)
    shape = by_channel(x)
    x, other, y = x.reshape(shape), other.reshape(shape), y.reshape(shape)
    _normalise_add_relu(threads, x, other, mean, factors, y)


def _normalised_by(x, weight, bias, mean, invstd, eps):
    """The statistics of x, and what it is scaled and shifted by: the first two rows of the first"""
    shape = by_channel(x)
    sums, cut = cut_into_tasks(*shape)
    moments(threads_for(3 * x.size), x.reshape(shape), sums, *cut)
    statistics(x.reshape(shape), weight, bias, mean, invstd, sums, eps)
    return sums


@task_kernel
def _normalise_relu(thread, threads, x, mean, factors, y, kernel_size):
    """y = means over windows of max((x - mean) scale + shift, 0), for one thread

    Scale and shift are factors[0].
    """
    planes, channels, height, width = x.shape[0] * x.shape[1], x.shape[1], x.shape[2], x.shape[3]
    oh, ow, (high, wide) = y.shape[2], y.shape[3], kernel_size
    size, whole, share = height * width, high == wide == 1, y.dtype.type(1 / (high * wide))
    together = planes_together(height, width, oh, high)
    xs, ys, numbers = as_row(x), as_row(y), np.empty(2, x.dtype)
    z = np.empty(0 if whole else together * size + lanes(x), x.dtype)
    sums = np.empty(0 if whole else together * oh * ow * wide + 2 * lanes(x), x.dtype)
    last = (thread + 1) * planes // threads
    for first in range(thread * planes // threads, last, together):
        many = min(together, last - first)
        for k in range(many):
            c, at = (first + k) % channels, (first + k) * size
            numbers[0], numbers[1] = factors[0, 0, c], factors[0, 1, c]
            middle, scale, shift = broadcast(mean, c), broadcast(numbers, 0), broadcast(numbers, 1)
            if whole:
                scale_row(xs, at, size, middle, scale, shift, True, ys, at)
            else:
                scale_row(xs, at, size, middle, scale, shift, True, z, k * size)
        if not whole:
            for i in range(many * oh):
                add_rows(z, i * high * width, width, high, sums, i * ow * wide, ow * wide, True)
            average_neighbours(sums, ys, first * oh * ow, many * oh * ow, wide, share)


@task_kernel
def _normalise_add_relu(thread, threads, x, other, mean, factors, y):
    """y = max((x - mean) scale + shift + other, 0), for one thread

    Scale and shift are factors[0].
    """
    channels, size, numbers = x.shape[1], x.shape[2], np.empty(2, x.dtype)
    planes, xs, others, ys = x.shape[0] * channels, as_row(x), as_row(other), as_row(y)
    for plane in range(thread * planes // threads, (thread + 1) * planes // threads):
        c = plane % channels
        numbers[0], numbers[1] = factors[0, 0, c], factors[0, 1, c]
        scale, shift = broadcast(numbers, 0), broadcast(numbers, 1)
        add_to_scaled_row(xs, plane * size, size, broadcast(mean, c), scale, shift, others, ys)


@driver
def batch_norm_relu_grad(gy, x, weight, bias, mean, invstd, gx, gweight, gbias, kernel_size):
    """gx = weight*invstd*(g - mean(g) - u*mean(g*u)), gweight = sum g*u, gbias = sum g: the
    gradients of batch_norm_relu

    Here u = (x-mean)*invstd; g is gy / the windows' size where u*weight + bias > 0, else 0.
    """
    shape = by_channel(x)
    (sums, cut), factors = cut_into_tasks(*shape), np.empty(2 * x.shape[1], x.dtype)
    threads, windows = threads_for(5 * x.size), (*gy.shape[2:], *kernel_size)
    gy = gy.reshape(-1)
    _scales(weight, bias, invstd, factors)
    _relu_products(threads, gy, x, mean, factors, sums, *cut, windows)
    factors_of_gradient(weight, invstd, gweight, gbias, sums, shape[0] * shape[2])
    _relu_through_statistics(threads, gy, x, mean, factors, sums, gx, windows)


@kernel()
def _scales(weight, bias, invstd, factors):
    """scale = invstd weight, shift = bias; they are factors, one behind the other"""
    for c in range(invstd.size):
        factors[c] = invstd[c] * (weight[c] if weight.size else 1)
        factors[invstd.size + c] = bias[c] if bias.size else 0


@task_kernel
def _relu_products(thread, threads, gy, x, mean, factors, sums, length, width, windows):
    """Of a task, sums[piece,0,c] = sum g, sums[piece,1,c] = sum g (x - mean)"""
    channels, size, xs = x.shape[1], x.shape[2] * x.shape[3], as_row(x)
    blocks = -(-channels // width)
    tasks, (whole, together, g, shares) = sums.shape[0] * blocks, _room(x, windows)
    source = gy if whole else g
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        piece, first = task // blocks, task % blocks * width
        last, here = min(first + width, channels), sums[piece]
        for c in range(first, last):
            here[0, c] = here[1, c] = 0.0
        for n in range(piece * length, min((piece + 1) * length, x.shape[0])):
            for start in range(first, last, together):
                plane, many = n * channels + start, min(together, last - start)
                origin = 0 if whole else plane * size
                if not whole:
                    spread_planes(gy, plane, many, x.shape[2], x.shape[3], windows, shares, g)
                for c in range(start, start + many):
                    at, scale = (n * channels + c) * size, broadcast(factors, c)
                    middle, shift = broadcast(mean, c), broadcast(factors, channels + c)
                    total, product = products_of_row(
                        source, at - origin, xs, at, size, middle, scale, shift, True
                    )
                    here[0, c] += total
                    here[1, c] += product


@task_kernel
def _relu_through_statistics(thread, threads, gy, x, mean, factors, sums, gx, windows):
    """gx = g rate + (x - mean) fall + level, for one thread; these are sums[0]"""
    channels, size, numbers = x.shape[1], x.shape[2] * x.shape[3], np.empty(3, x.dtype)
    planes, xs, outs = x.shape[0] * channels, as_row(x), as_row(gx)
    whole, together, g, shares = _room(x, windows)
    source, last = gy if whole else g, (thread + 1) * planes // threads
    for first in range(thread * planes // threads, last, together):
        many = min(together, last - first)
        origin = 0 if whole else first * size
        if not whole:
            spread_planes(gy, first, many, x.shape[2], x.shape[3], windows, shares, g)
        for plane in range(first, first + many):
            c, at = plane % channels, plane * size
            for k in range(3):
                numbers[k] = sums[0, k, c]
            rate, fall, level = broadcast(numbers, 0), broadcast(numbers, 1), broadcast(numbers, 2)
            middle, scale = broadcast(mean, c), broadcast(factors, c)
            slopes_of_row(
                source, at - origin, xs, at, size, middle, scale, broadcast(factors, channels + c),
                True, rate, fall, level, outs,
            )  # fmt: skip


@allocating
def _room(x, windows):
    """Whether windows are single elements; how many planes are worked on together; and if they are
    not, memory for the gradient of these, and for that of rows of windows."""
    (oh, ow, high, wide), some = windows, 2 * lanes(x)
    whole, size = high == wide == 1, x.shape[2] * x.shape[3]
    together = planes_together(x.shape[2], x.shape[3], oh, high)
    g = np.empty(0 if whole else together * size + some, x.dtype)
    return whole, together, g, np.empty(0 if whole else together * oh * ow * wide + some, x.dtype)
