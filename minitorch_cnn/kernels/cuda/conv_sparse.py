"""The weight's gradient of a convolution whose result is pooled in pairs.

On the CPU only the numbers that count are multiplied. A GPU's threads go in step, and what three of
four of them left out would be lost: here the pooling's gradient is made whole, then multiplied.
"""

from typing import Any

from .buffer import empty
from .conv import conv2d_weight_grad
from .pool_pairs import max_pool_pairs_grad

__all__ = ["weight_grad"]

Pair = tuple[int, int]


def weight_grad(gy: Any, code: Any, x: Any, gw: Any, gb: Any, padding: Pair) -> None:
    """gw[o,c,u,v] = sum_{n,i,j} g[n,o,i,j] x[n,c,i+u-ph,j+v-pw], gb[o] = sum_{n,i,j} g[n,o,i,j]
    unless gb is empty, where g is what max_pool_pairs_grad makes of gy and code"""
    size = [n + 2 * p - k + 1 for n, p, k in zip(x.shape[2:], padding, gw.shape[2:])]
    g = empty((*gy.shape[:2], *size), gy.dtype)
    max_pool_pairs_grad(gy, code, g)
    conv2d_weight_grad(g, x, gw, gb, (1, 1), padding, (1, 1), 1)
