"""Sums of few elements along a dimension: what padding by copies and resizing are made of."""

from math import prod
from typing import Any

import numpy as np

from ..jit import inner, kernel, prange


def blend(x: Any, starts: Any, sources: Any, weights: Any, y: Any, dim: int) -> None:
    """y[..,i,..] = sum of weights[t] x[..,sources[t],..] for starts[i] <= t < starts[i+1]"""
    before, after = prod(x.shape[:dim]), prod(x.shape[dim + 1 :])
    if y.size:
        x = x.reshape(before, x.shape[dim], after)
        _blend_middle(x, starts, sources, weights, y.reshape(before, y.shape[dim], after))


@kernel(work=lambda x, starts, sources, weights, y: 2 * (x.shape[0] * x.shape[2] * sources.size))
def _blend_middle(x, starts, sources, weights, y):
    """y[o,i,j] = sum of weights[t] x[o,sources[t],j] for starts[i] <= t < starts[i+1]"""
    rows = y.shape[1]
    if y.shape[2] == 1:
        for o in prange(y.shape[0]):
            _blend_row(x[o, :, 0], starts, sources, weights, y[o, :, 0])
    else:
        for task in prange(y.shape[0] * rows):
            o, i = divmod(np.int64(task), rows)
            row, first = y[o, i], starts[i]
            if first == starts[i + 1]:
                row[:] = 0
                continue
            weight, source = weights[first], x[o, sources[first]]
            for j in range(row.size):
                row[j] = weight * source[j]
            for t in range(first + 1, starts[i + 1]):
                weight, source = weights[t], x[o, sources[t]]
                for j in range(row.size):
                    row[j] += weight * source[j]


@inner
def _blend_row(x, starts, sources, weights, y):
    """y[i] = sum of weights[t] x[sources[t]] for starts[i] <= t < starts[i+1]"""
    for i in range(y.size):
        total = x.dtype.type(0)
        for t in range(np.uint64(starts[i]), np.uint64(starts[i + 1])):
            total += weights[t] * x[np.uint64(sources[t])]
        y[i] = total
