"""Rows of elements of a channel: the sums that batch norm takes of them, and what it makes of them.

Sums of a few vectors are made in the elements' type, those of such sums in float64. Every step is
a vector's, so a row has the same bits wherever it is computed: in batch norm alone, or in one with
what follows it.
"""

import numpy as np

from ..jit import inner
from .simd import (
    broadcast,
    fused,
    lanes,
    load,
    load_inside,
    passed,
    store,
    store_first,
    sum_of_lanes,
    zeros,
)

FEW = 16
"""Vectors that are added up in the elements' type."""


@inner
def moments_of_row(x, i, size, first):
    """sum d, sum d^2 over s < size, d = x[i + s] - x[first]"""
    vector, origin, total, squares = lanes(x), broadcast(x, first), 0.0, 0.0
    whole = size - size % vector
    for start in range(0, whole, FEW * vector):
        sums, more = zeros(x), zeros(x)
        for s in range(start, min(start + FEW * vector, whole), vector):
            d = load(x, i + s) - origin
            sums, more = sums + d, fused(d, d, more)
        total += sum_of_lanes(sums)
        squares += sum_of_lanes(more)
    for s in range(whole, size):
        rest = np.float64(x[i + s]) - x[first]
        total += rest
        squares += rest * rest
    return total, squares


@inner
def scale_row(x, i, size, mean, scale, shift, relu, y, j):
    """y[j + s] = (x[i + s] - mean) scale + shift over s < size, with relu at least 0; the numbers
    are vectors"""
    vector = lanes(x)
    whole = size - size % vector
    for s in range(0, whole, vector):
        z = fused(load(x, i + s) - mean, scale, shift)
        store(passed(z, z) if relu else z, y, j + s)
    if whole < size:
        z = fused(load_inside(x, i + whole, 0, size - whole) - mean, scale, shift)
        store_first(passed(z, z) if relu else z, y, j + whole, size - whole)


@inner
def times_row(gy, i, size, scale, gx):
    """gx[i + s] = gy[i + s] scale over s < size; the scale is a vector"""
    vector, nothing = lanes(gy), zeros(gy)
    whole = size - size % vector
    for s in range(0, whole, vector):
        store(fused(load(gy, i + s), scale, nothing), gx, i + s)
    if whole < size:
        rest = load_inside(gy, i + whole, 0, size - whole)
        store_first(fused(rest, scale, nothing), gx, i + whole, size - whole)


@inner
def add_to_scaled_row(x, i, size, mean, scale, shift, other, y):
    """y[i + s] = max((x[i + s] - mean) scale + shift + other[i + s], 0) over s < size"""
    vector = lanes(x)
    whole = size - size % vector
    for s in range(0, whole, vector):
        z = fused(load(x, i + s) - mean, scale, shift) + load(other, i + s)
        store(passed(z, z), y, i + s)
    if whole < size:
        z = fused(load_inside(x, i + whole, 0, size - whole) - mean, scale, shift)
        z = z + load_inside(other, i + whole, 0, size - whole)
        store_first(passed(z, z), y, i + whole, size - whole)


@inner
def products_of_row(gy, j, x, i, size, mean, scale, shift, relu):
    """sum g, sum g (x[i + s] - mean) over s < size, where g = gy[j + s]; with relu only where
    (x[i + s] - mean) scale + shift is above 0, else 0"""
    vector, total, product = lanes(x), 0.0, 0.0
    whole = size - size % vector
    for start in range(0, whole, FEW * vector):
        sums, more = zeros(x), zeros(x)
        for s in range(start, min(start + FEW * vector, whole), vector):
            d, g = load(x, i + s) - mean, load(gy, j + s)
            g = passed(g, fused(d, scale, shift)) if relu else g
            sums, more = sums + g, fused(g, d, more)
        total += sum_of_lanes(sums)
        product += sum_of_lanes(more)
    if whole < size:
        d = load_inside(x, i + whole, 0, size - whole) - mean
        g = load_inside(gy, j + whole, 0, size - whole)
        g = passed(g, fused(d, scale, shift)) if relu else g
        total += sum_of_lanes(g)
        product += sum_of_lanes(fused(g, d, zeros(x)))
    return total, product


@inner
def slopes_of_row(gy, j, x, i, size, mean, scale, shift, relu, rate, fall, level, gx):
    """gx[i + s] = g rate + (x[i + s] - mean) fall + level over s < size, g as in products_of_row"""
    vector = lanes(x)
    whole = size - size % vector
    for s in range(0, whole, vector):
        d, g = load(x, i + s) - mean, load(gy, j + s)
        g = passed(g, fused(d, scale, shift)) if relu else g
        store(fused(g, rate, fused(d, fall, level)), gx, i + s)
    if whole < size:
        d = load_inside(x, i + whole, 0, size - whole) - mean
        g = load_inside(gy, j + whole, 0, size - whole)
        g = passed(g, fused(d, scale, shift)) if relu else g
        store_first(fused(g, rate, fused(d, fall, level)), gx, i + whole, size - whole)
