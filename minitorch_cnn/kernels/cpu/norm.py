"""Batch normalisation of x[n,c,s] (batch, channels, all other axes) and its gradients.

Each task owns a channel. All sums are in float64: they run over the batch and every position, and
the variance is a difference of numbers that may be close.
"""

import numpy as np

from ..jit import kernel, prange


@kernel(work=lambda x, *_: 3 * x.size)
def batch_norm(x, weight, bias, y, mean, invstd, eps):
    """y = (x-mean)*invstd*weight + bias, invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    batch, channels, size = x.shape
    for c in prange(channels):
        # mean = sum_{n,s} x / count
        total = 0.0
        for n in range(batch):
            row = x[n, c]
            for s in range(size):
                total += row[s]
        centre = total / (batch * size)
        # variance = sum_{n,s} (x - mean)^2 / count
        total = 0.0
        for n in range(batch):
            row = x[n, c]
            for s in range(size):
                total += (row[s] - centre) ** 2
        mean[c] = centre
        invstd[c] = 1 / np.sqrt(total / (batch * size) + eps)
        # y = (x - mean) * scale + shift, with mean and invstd as the gradient will read them
        middle, scale = mean[c], x.dtype.type(invstd[c] * (weight[c] if weight.size else 1))
        shift = x.dtype.type(bias[c] if bias.size else 0)
        for n in range(batch):
            row, out = x[n, c], y[n, c]
            for s in range(size):
                out[s] = (row[s] - middle) * scale + shift


@kernel(work=lambda gy, *_: 4 * gy.size)
def batch_norm_grad(gy, x, weight, mean, invstd, gx, gweight, gbias):
    """gx = weight*invstd*(gy - mean(gy) - z*mean(gy*z)), gweight = sum gy*z, z = (x-mean)*invstd"""
    batch, channels, size = x.shape
    for c in prange(channels):
        # gbias = sum_{n,s} gy, gweight = invstd * sum_{n,s} gy * (x - mean)
        middle, total, product = mean[c], 0.0, 0.0
        for n in range(batch):
            row, grad = x[n, c], gy[n, c]
            for s in range(size):
                total += grad[s]
                product += np.float64(grad[s]) * (row[s] - middle)
        gbias[c] = total
        gweight[c] = product * invstd[c]
        # gx = (gy - (x - mean) * slope - level) * scale
        scale = gx.dtype.type(invstd[c] * (weight[c] if weight.size else 1))
        level = gx.dtype.type(total / (batch * size))
        slope = gx.dtype.type(product * np.float64(invstd[c]) ** 2 / (batch * size))
        for n in range(batch):
            row, grad, out = x[n, c], gy[n, c], gx[n, c]
            for s in range(size):
                out[s] = (grad[s] - (row[s] - middle) * slope - level) * scale


@kernel()
def update_running(mean, invstd, running_mean, running_var, momentum, eps, count):
    """running = (1-momentum)*running + momentum*batch, the variance without bias"""
    for c in range(mean.size):
        # Rounding must not make the variance of a constant channel negative.
        variance = max(1 / np.float64(invstd[c]) ** 2 - eps, 0.0) * count / (count - 1)
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c]
        running_var[c] = (1 - momentum) * running_var[c] + momentum * variance
