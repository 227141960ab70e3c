"""Maximum and average over windows of planes, and their gradients.

Each task owns a plane of what it writes, so windows may overlap. Averages are summed in float64: a
window may be a whole plane.
"""

import numpy as np

from ..jit import inner, kernel, prange


@kernel(work=lambda x, y, indices, kernel_size, *_: y.size * kernel_size[0] * kernel_size[1])
def max_pool2d(x, y, indices, kernel_size, stride, padding, dilation):
    """y[n,c,i,j] = max_{u,v} x[n,c,r,s], indices r*w+s: r = i*sh+u*dh-ph, s = j*sw+v*dw-pw"""
    height, width = x.shape[2:]
    oh, ow = y.shape[2:]
    x, y, indices = _planes(x), _planes(y), _planes(indices)
    for plane in prange(x.shape[0]):
        for i in range(oh):
            for j in range(ow):
                # The first of equal maxima wins, but a NaN wins over all that came before it, as
                # in PyTorch. The index stays -1 if the window holds nothing but padding.
                best, index = x.dtype.type(-np.inf), -1
                for u in range(kernel_size[0]):
                    r = i * stride[0] - padding[0] + u * dilation[0]
                    if 0 <= r < height:
                        for v in range(kernel_size[1]):
                            s = j * stride[1] - padding[1] + v * dilation[1]
                            if 0 <= s < width:
                                value = x[plane, r, s]
                                if value > best or index < 0 or np.isnan(value):
                                    best, index = value, r * width + s
                y[plane, i, j] = best
                indices[plane, i, j] = index


@kernel(work=lambda gy, indices, gx: gx.size)
def max_pool2d_grad(gy, indices, gx):
    """gx[n,c,p] = sum of gy[n,c,i,j] where indices[n,c,i,j] = p"""
    gx, gy, indices = _rows(gx), _rows(gy), _rows(indices)
    for plane in prange(gx.shape[0]):
        gx[plane] = 0
        for j in range(gy.shape[1]):
            index = indices[plane, j]
            if index >= 0:
                gx[plane, index] += gy[plane, j]


@kernel(work=lambda x, indices, y: y.size)
def max_pool2d_gather(x, indices, y):
    """y[n,c,i,j] = x[n,c,p] where p = indices[n,c,i,j], or 0 where p = -1"""
    x, indices, y = _rows(x), _rows(indices), _rows(y)
    for plane in prange(x.shape[0]):
        for j in range(y.shape[1]):
            index = indices[plane, j]
            y[plane, j] = x[plane, index] if index >= 0 else 0


@kernel(work=lambda x, y, kernel_size, *_: y.size * kernel_size[0] * kernel_size[1])
def avg_pool2d(x, y, kernel_size, stride, padding, count_include_pad, divisor_override):
    """y[n,c,i,j] = sum over the window of x[n,c] / divisor"""
    height, width = x.shape[2:]
    oh, ow = y.shape[2:]
    x, y = _planes(x), _planes(y)
    for plane in prange(x.shape[0]):
        for i in range(oh):
            r0, r1, padded_rows = _window(i, height, kernel_size[0], stride[0], padding[0])
            for j in range(ow):
                s0, s1, padded_columns = _window(j, width, kernel_size[1], stride[1], padding[1])
                area = padded_rows * padded_columns
                divisor = _divisor(r1 - r0, s1 - s0, area, count_include_pad, divisor_override)
                y[plane, i, j] = _sum(x, plane, r0, r1, s0, s1) / divisor


@kernel(work=lambda gy, gx, kernel_size, *_: gy.size * kernel_size[0] * kernel_size[1])
def avg_pool2d_grad(gy, gx, kernel_size, stride, padding, count_include_pad, divisor_override):
    """gx[n,c,r,s] = sum of gy[n,c,i,j] / divisor over the windows that hold r, s"""
    height, width = gx.shape[2:]
    oh, ow = gy.shape[2:]
    gx, gy = _planes(gx), _planes(gy)
    for plane in prange(gx.shape[0]):
        gx[plane] = 0
        for i in range(oh):
            r0, r1, padded_rows = _window(i, height, kernel_size[0], stride[0], padding[0])
            for j in range(ow):
                s0, s1, padded_columns = _window(j, width, kernel_size[1], stride[1], padding[1])
                area = padded_rows * padded_columns
                divisor = _divisor(r1 - r0, s1 - s0, area, count_include_pad, divisor_override)
                _add(gx, plane, r0, r1, s0, s1, gy[plane, i, j] / divisor)


@kernel(work=lambda x, y: x.size)
def adaptive_avg_pool2d(x, y):
    """y[n,c,i,j] = mean of x[n,c,r,s] for floor(i*h/oh) <= r < ceil((i+1)*h/oh), s alike"""
    height, width = x.shape[2:]
    oh, ow = y.shape[2:]
    x, y = _planes(x), _planes(y)
    for plane in prange(x.shape[0]):
        for i in range(oh):
            r0, r1 = _part(i, height, oh)
            for j in range(ow):
                s0, s1 = _part(j, width, ow)
                y[plane, i, j] = _sum(x, plane, r0, r1, s0, s1) / ((r1 - r0) * (s1 - s0))


@kernel(work=lambda gy, gx: gx.size)
def adaptive_avg_pool2d_grad(gy, gx):
    """gx[n,c,r,s] = sum of gy[n,c,i,j] / (window's size) over the windows that hold r, s"""
    height, width = gx.shape[2:]
    oh, ow = gy.shape[2:]
    gx, gy = _planes(gx), _planes(gy)
    for plane in prange(gx.shape[0]):
        gx[plane] = 0
        for i in range(oh):
            r0, r1 = _part(i, height, oh)
            for j in range(ow):
                s0, s1 = _part(j, width, ow)
                value = gy[plane, i, j] / ((r1 - r0) * (s1 - s0))
                _add(gx, plane, r0, r1, s0, s1, value)


@inner
def _planes(x):
    """x[n,c,h,w] as [n*c,h,w]"""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2], x.shape[3])


@inner
def _rows(x):
    """x[n,c,h,w] as [n*c,h*w]"""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2] * x.shape[3])


@inner
def _window(i, size, kernel_size, stride, padding):
    """Where window i starts and stops within 0:size, and its length with the padding it covers."""
    start = i * stride - padding
    stop = min(start + kernel_size, size + padding)
    first = max(start, 0)
    return first, max(first, min(stop, size)), stop - start


@inner
def _divisor(rows, columns, padded_area, count_include_pad, divisor_override):
    """What avg_pool2d divides by. A window of padding alone sums to 0, so any number will do."""
    if divisor_override:
        return divisor_override
    return padded_area if count_include_pad else max(rows * columns, 1)


@inner
def _part(i, size, parts):
    """Where part i of an axis starts and stops; neighbours overlap unless parts divides size."""
    return i * size // parts, ((i + 1) * size + parts - 1) // parts


@inner
def _sum(x, plane, r0, r1, s0, s1):
    """sum of x[plane,r0:r1,s0:s1]"""
    total = 0.0
    for r in range(r0, r1):
        row = x[plane, r, s0:s1]
        for s in range(row.size):
            total += row[s]
    return total


@inner
def _add(x, plane, r0, r1, s0, s1, value):
    """x[plane,r0:r1,s0:s1] += value"""
    value = x.dtype.type(value)
    for r in range(r0, r1):
        row = x[plane, r, s0:s1]
        for s in range(row.size):
            row[s] += value
