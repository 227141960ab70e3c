"""Max pooling of windows of 2 x 2 that do not overlap, alone or after relu.

`code` says which of a window's four numbers was the largest, row by row; 4 if relu cut it off.
"""

import numpy as np

from ..jit import driver, inner, threads_for
from ..tasks import task_kernel
from .simd import as_row, lanes
from .windows import largest_of_fours, spread_to_fours

NONE = 4


@driver
def max_pool_pairs(x, y, code, relu):
    """y[n,c,i,j] = max_{u,v<2} x[n,c,2i+u,2j+v], code = 2u+v of the first; with relu max(y, 0)

    A NaN is above all that came before it. With relu, code = 4 where y is 0.
    """
    _max_pool_pairs(threads_for(4 * x.size), x, y, code, relu)


@task_kernel
def _max_pool_pairs(thread, threads, x, y, code, relu):
    """max_pool_pairs for one thread"""
    planes, height, width = x.shape[0] * x.shape[1], x.shape[2], x.shape[3]
    oh, ow = y.shape[2], y.shape[3]
    vector = lanes(x)
    xs, ys, codes = as_row(x), as_row(y), as_row(code)
    plane_in, plane_out = np.empty(0, x.dtype), np.empty(0, x.dtype)
    plane_code = np.empty(0, np.uint8)
    first, last = thread * planes // threads, (thread + 1) * planes // threads
    narrow = ow < vector
    if narrow:  # a vector juts out over a row's end: what it writes there the next row overwrites
        plane_in = np.zeros(height * width + 2 * vector, x.dtype)
        plane_out, plane_code = (
            np.empty(oh * ow + vector, x.dtype),
            np.empty(oh * ow + vector, np.uint8),
        )
    for plane in range(first, last):
        at, to = plane * height * width, plane * oh * ow
        if narrow and _juts_out(plane, last, height * width, oh * ow, vector):
            _copy(xs[at : at + height * width], plane_in)
            for i in range(oh):
                above = 2 * i * width
                largest_of_fours(
                    plane_in, above, above + width, plane_out, plane_code, i * ow, relu
                )
            _copy(plane_out[: oh * ow], ys[to:])
            _copy(plane_code[: oh * ow], codes[to:])
            continue
        for i in range(oh):
            for j in range(0, ow, vector):
                k = max(0, min(j, ow - vector))
                above = at + 2 * (i * width + k)
                largest_of_fours(xs, above, above + width, ys, codes, to + i * ow + k, relu)


@inner
def _juts_out(plane, last, pixels, windows, vector):
    """Whether a vector at the end of this plane may reach beyond a thread's planes, up to the last:
    there it would read outside x, or write what another thread has written."""
    after = last - plane - 1
    return after * pixels < 2 * vector or after * windows < vector


@inner
def _copy(x, y):
    """y[i] = x[i], as far as x goes"""
    for i in range(x.size):
        y[i] = x[i]


@driver
def max_pool_pairs_grad(gy, code, gx):
    """gx[n,c,2i+u,2j+v] = gy[n,c,i,j] where code = 2u+v, else 0"""
    _max_pool_pairs_grad(threads_for(2 * gx.size), gy, code, gx)


@task_kernel
def _max_pool_pairs_grad(thread, threads, gy, code, gx):
    """max_pool_pairs_grad for one thread"""
    planes, height, width = gx.shape[0] * gx.shape[1], gx.shape[2], gx.shape[3]
    oh, ow = gy.shape[2], gy.shape[3]
    vector = lanes(gx)
    xs, ys, codes = as_row(gx), as_row(gy), as_row(code)
    plane_out, plane_in = np.empty(0, gx.dtype), np.empty(0, gx.dtype)
    plane_code = np.empty(0, np.uint8)
    first, last = thread * planes // threads, (thread + 1) * planes // threads
    narrow = ow < vector
    if narrow:
        plane_out = np.empty(height * width + 2 * vector + width, gx.dtype)
        plane_in, plane_code = (
            np.zeros(oh * ow + vector, gx.dtype),
            np.zeros(oh * ow + vector, np.uint8),
        )
    for plane in range(first, last):
        at, to = plane * height * width, plane * oh * ow
        if narrow and _juts_out(plane, last, height * width, oh * ow, vector):
            _copy(ys[to : to + oh * ow], plane_in)
            _copy(codes[to : to + oh * ow], plane_code)
            for i in range(oh):
                above = 2 * i * width
                spread_to_fours(plane_in, plane_code, i * ow, plane_out, above, above + width)
            _copy(plane_out[: 2 * oh * width], xs[at:])
        else:
            for i in range(oh):
                for j in range(0, ow, vector):
                    k = max(0, min(j, ow - vector))
                    above = at + 2 * (i * width + k)
                    spread_to_fours(ys, codes, to + i * ow + k, xs, above, above + width)
        rest = xs[at + 2 * oh * width : at + height * width]
        for i in range(rest.size):
            rest[i] = 0
