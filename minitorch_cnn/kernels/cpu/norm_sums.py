"""What batch norm takes of the elements of each channel: sums, and from these the factors by which
it scales them, or their gradients.

A task takes a range of the batch and of the channels, so that its elements lie together in memory
and few channels occupy all threads too; the sums of the tasks are then added up in order. They are
in float64, and those of squares count from each channel's first element: a variance is a difference
of numbers that may be close.
"""

from typing import Any

import numpy as np

from ..jit import inner, kernel
from ..tasks import task_kernel
from .norm_rows import moments_of_row
from .simd import as_row

TASK = 16384
"""Elements of a task, about."""


def by_channel(x: Any) -> tuple[int, int, int]:
    batch, channels = x.shape[:2]
    return batch, channels, x.size // max(batch * channels, 1)


def cut_into_tasks(batch: int, channels: int, size: int) -> tuple[Any, tuple[int, int]]:
    """Room for the tasks' sums; how many of the batch and of the channels a task takes."""
    width = max(1, min(channels, TASK // 4 // max(size, 1)))
    length = max(1, TASK // (width * max(size, 1)))
    return np.empty((-(-batch // length), 3, channels)), (length, width)


@task_kernel
def moments(thread, threads, x, sums, length, width):
    """Of a task, sums[piece,0,c] = sum d, sums[piece,1,c] = sum d^2, d = x[n,c,s] - x[0,c,0]"""
    channels, size, xs = x.shape[1], x.shape[2], as_row(x)
    blocks = -(-channels // width)
    tasks = sums.shape[0] * blocks
    for task in range(tasks * thread // threads, tasks * (thread + 1) // threads):
        piece, first = task // blocks, task % blocks * width
        last = min(first + width, channels)
        here = sums[piece]
        for c in range(first, last):
            here[0, c] = here[1, c] = 0.0
        for n in range(piece * length, min((piece + 1) * length, x.shape[0])):
            for c in range(first, last):
                at = (n * channels + c) * size
                total, squares = moments_of_row(xs, at, size, c * size)
                here[0, c] += total
                here[1, c] += squares


@kernel()
def statistics(x, weight, bias, mean, invstd, sums, eps):
    """mean and invstd from the sums, then in their place scale and shift"""
    count = x.shape[0] * x.shape[2]
    for c in range(mean.size):
        statistics_of(x[0, c, 0], c, weight, bias, mean, invstd, sums, count, eps)


@inner
def statistics_of(origin, c, weight, bias, mean, invstd, sums, count, eps):
    """mean = origin + sum d / count, invstd = 1 / sqrt(sum d^2 / count - (sum d / count)^2 + eps);
    scale = invstd weight, shift = bias"""
    total, squares = 0.0, 0.0
    for piece in range(sums.shape[0]):
        total += sums[piece, 0, c]
        squares += sums[piece, 1, c]
    centre = total / count
    variance = squares / count - centre * centre
    if variance < 0:  # by rounding
        variance = 0.0
    mean[c] = origin + centre
    invstd[c] = 1 / np.sqrt(variance + eps)
    sums[0, 0, c] = invstd[c] * (weight[c] if weight.size else 1)
    sums[0, 1, c] = bias[c] if bias.size else 0


@kernel()
def factors_of_gradient(weight, invstd, gweight, gbias, sums, count):
    """gbias and gweight from the sums, then in their place rate, fall and level"""
    factors_of(weight, invstd, gweight, gbias, sums, count)


@inner
def factors_of(weight, invstd, gweight, gbias, sums, count):
    """gbias = sum gy, gweight = invstd sum gy (x - mean); then in place of the sums rate, fall and
    level: gx = gy rate + (x - mean) fall + level"""
    for c in range(gbias.size):
        total, product = 0.0, 0.0
        for piece in range(sums.shape[0]):
            total += sums[piece, 0, c]
            product += sums[piece, 1, c]
        gbias[c] = total
        gweight[c] = product * invstd[c]
        scale = np.float64(invstd[c]) * (weight[c] if weight.size else 1)
        sums[0, 0, c] = scale
        sums[0, 1, c] = -scale * product * np.float64(invstd[c]) ** 2 / count
        sums[0, 2, c] = -scale * total / count
