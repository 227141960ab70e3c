"""The gradients of a convolution whose result is pooled in pairs.

On the CPU only the numbers that count are multiplied. A GPU's threads go in step, and what three of
four of them left out would be lost: here the pooling's gradient is made whole, then multiplied.
"""

from typing import Any

from .buffer import empty
from .conv import conv2d_input_grad, conv2d_weight_grad
from .pool_pairs import max_pool_pairs_grad

__all__ = ["input_grad", "weight_grad"]

Pair = tuple[int, int]


def weight_grad(gy: Any, code: Any, x: Any, gw: Any, gb: Any, padding: Pair) -> None:
    """gw[o,c,u,v] = sum_{n,i,j} g[n,o,i,j] x[n,c,i+u-ph,j+v-pw], gb[o] = sum_{n,i,j} g[n,o,i,j]
    unless gb is empty, where g is what max_pool_pairs_grad makes of gy and code"""
    g = _whole(gy, code, x, gw, padding)
    conv2d_weight_grad(g, x, gw, gb, (1, 1), padding, (1, 1), 1)


def input_grad(gy: Any, code: Any, w: Any, gx: Any, padding: Pair) -> None:
    """gx[n,c,r,s] = sum of g[n,o,i,j] w[o,c,u,v] where r = i+u-ph and s = j+v-pw; g is what
    max_pool_pairs_grad makes of gy and code"""
    conv2d_input_grad(_whole(gy, code, gx, w, padding), w, gx, (1, 1), padding, (1, 1), 1)


def _whole(gy: Any, code: Any, x: Any, w: Any, padding: Pair) -> Any:
    """The gradient of all results of a convolution of x by filters w"""
    size = [n + 2 * p - k + 1 for n, p, k in zip(x.shape[2:], padding, w.shape[2:])]
    g = empty((*gy.shape[:2], *size), gy.dtype)
    max_pool_pairs_grad(gy, code, g)
    return g
