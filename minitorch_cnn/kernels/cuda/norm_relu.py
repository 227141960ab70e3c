"""Batch normalisation of x[n,c,h,w] and what follows it, relu and averages of windows or a sum, in
one, and the gradients.

On the CPU what lies between stays in the cache. Here one part is made after the other.
"""

from typing import Any

from .activation import relu, relu_grad
from .buffer import empty
from .elementwise import add
from .norm import batch_norm, batch_norm_grad, normalise
from .pool import avg_pool2d, avg_pool2d_grad

__all__ = [
    "batch_norm_add_relu",
    "batch_norm_relu",
    "batch_norm_relu_grad",
    "relu_of_normalised",
]

Pair = tuple[int, int]


def batch_norm_relu(
    x: Any, weight: Any, bias: Any, y: Any, mean: Any, invstd: Any, eps: float, kernel_size: Pair
) -> None:
    """y = means over windows side by side of max(z, 0), z = (x-mean)*invstd*weight + bias,
    invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    z = empty(x.shape, x.dtype)
    batch_norm(x, weight, bias, z, mean, invstd, eps)
    if kernel_size == (1, 1):
        relu(z, y)
    else:
        relu(z, z)
        avg_pool2d(z, y, kernel_size, kernel_size, (0, 0), True, None)


def relu_of_normalised(x: Any, weight: Any, bias: Any, mean: Any, invstd: Any, y: Any) -> None:
    """y = max((x-mean)*invstd*weight + bias, 0): what batch_norm_relu makes, by its statistics"""
    z = empty(x.shape, x.dtype)
    normalise(x, mean, invstd, weight, bias, z)
    relu(z, y)


def batch_norm_add_relu(
    x: Any, other: Any, weight: Any, bias: Any, y: Any, mean: Any, invstd: Any, eps: float
) -> None:
    """y = max(z + other, 0), z = (x-mean)*invstd*weight + bias,
    invstd = 1/sqrt(mean((x-mean)^2) + eps) by channel"""
    z = empty(x.shape, x.dtype)
    batch_norm(x, weight, bias, z, mean, invstd, eps)
    add(z, other, z)
    relu(z, y)


def batch_norm_relu_grad(
    gy: Any,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    invstd: Any,
    gx: Any,
    gweight: Any,
    gbias: Any,
    kernel_size: Pair,
) -> None:
    """gx = weight*invstd*(g - mean(g) - u*mean(g*u)), gweight = sum g*u, gbias = sum g

    Here u = (x-mean)*invstd; g is gy / the windows' size where u*weight + bias > 0, else 0.
    """
    z, g = empty(x.shape, x.dtype), gy
    normalise(x, mean, invstd, weight, bias, z)
    if kernel_size != (1, 1):
        g = empty(x.shape, x.dtype)
        avg_pool2d_grad(gy, g, kernel_size, kernel_size, (0, 0), True, None)
    relu_grad(g, z, z)
    batch_norm_grad(z, x, weight, mean, invstd, gx, gweight, gbias, True)
