"""Matrix products. Numba's own: BLAS has a second pool of threads, and bits that vary with it."""

from typing import Any

import numpy as np

from ..jit import kernel, prange


def matmul(a: Any, b: Any, y: Any, turn_a: bool, turn_b: bool) -> None:
    """y = a b for stacks of matrices; a turned one is stored transposed, a stack of 1 serves all"""
    if turn_a:
        a = a.swapaxes(1, 2)
    if turn_b:
        _rows_by_rows(np.ascontiguousarray(a), b, y)
    else:
        _rows_by_columns(a, b, y)


def _multiply_adds(a: Any, b: Any, y: Any) -> int:
    return int(y.size * a.shape[2])


@kernel(work=_multiply_adds)
def _rows_by_columns(a, b, y):
    """y[s,i,j] = sum_k a[s,i,k] b[s,k,j]"""
    stack, rows, columns = y.shape
    depth = b.shape[1]
    for task in prange(stack * rows):
        s = task // rows
        i = task - s * rows
        left = a[s if a.shape[0] > 1 else 0, i]
        right = b[s if b.shape[0] > 1 else 0]
        out = y[s, i]
        for j in range(columns):
            out[j] = 0
        # out[j] += sum of four products, so that out is read and written a quarter as often
        fours = depth // 4
        for q in range(fours):
            k = 4 * q
            a0, a1, a2, a3 = left[k], left[k + 1], left[k + 2], left[k + 3]
            b0, b1, b2, b3 = right[k], right[k + 1], right[k + 2], right[k + 3]
            for j in range(columns):
                out[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j])
        for k in range(4 * fours, depth):
            a0, b0 = left[k], right[k]
            for j in range(columns):
                out[j] += a0 * b0[j]


@kernel(work=_multiply_adds)
def _rows_by_rows(a, b, y):
    """y[s,i,j] = sum_k a[s,i,k] b[s,j,k]"""
    stack, rows, columns = y.shape
    depth = b.shape[2]
    for task in prange(stack * rows):
        s = task // rows
        i = task - s * rows
        left = a[s if a.shape[0] > 1 else 0, i]
        right = b[s if b.shape[0] > 1 else 0]
        for j in range(columns):
            row = right[j]
            total = y.dtype.type(0)
            for k in range(depth):
                total += left[k] * row[k]
            y[s, i, j] = total


@kernel(work=lambda x, w, b, y: x.size * w.shape[0])
def linear(x, w, b, y):
    """y[n,o] = b[o] + sum_i x[n,i] w[o,i]"""
    rows, depth = x.shape
    for n in prange(rows):
        left = x[n]
        for o in range(w.shape[0]):
            row = w[o]
            total = b[o] if b.size > 0 else y.dtype.type(0)
            for i in range(depth):
                total += left[i] * row[i]
            y[n, o] = total


def einsum(*args: Any) -> None:
    """y = the sum that the equation names; arguments: inputs, y, equation"""
    *inputs, y, equation = args
    np.einsum(equation, *inputs, out=y, optimize=False)
