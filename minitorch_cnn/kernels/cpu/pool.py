"""Maximum and average over windows of planes, and their gradients.

Each task owns a plane of what it writes, so windows may overlap. Windows are worked on together,
one tap u, v of all of them after the other: each tap has its stretch of windows where it lies
inside the plane, so no element is tested, and vectors lie along the windows. Averages are summed in
float64: a window may be a whole plane.
"""

import numpy as np

from ..jit import allocating, driver, inner, kernel, prange, threads_for
from ..tasks import task_kernel
from ..workspace import shaped_workspace, workspace
from .pool_average import average_windows, average_windows_grad, side_by_side
from .pool_pairs import max_pool_pairs
from .processor import VECTOR_BYTES
from .reduce import sum, sum_grad
from .simd import as_row, lanes
from .windows import largest_of_every_second, largest_side_by_side

WINDOWS = 1024  # that are worked on together: what is kept of them stays in the first cache


@driver
def max_pool2d(x, y, indices, kernel_size, stride, padding, dilation):
    """y[n,c,i,j] = max_{u,v} x[n,c,r,s], indices r*w+s: r = i*sh+u*dh-ph, s = j*sw+v*dw-pw"""
    if _in_pairs(x.shape, kernel_size, stride, padding, dilation):
        code = shaped_workspace("code", y.shape, np.dtype(np.uint8))
        max_pool_pairs(x, y, code, False)
        _pair_indices(code, indices, x.shape[3])
    elif dilation == (1, 1) and stride[1] in (1, 2):
        rows, columns = _seen(x.shape, y.shape, kernel_size, stride, padding)
        # To compare costs more than to multiply and add; the copy counts too.
        threads = threads_for(2 * (y.size * kernel_size[0] * kernel_size[1] + x.size))
        seen = workspace("windows", threads, rows * (columns + 2 * VECTOR_BYTES // 4), x.dtype)
        _max_of_windows(threads, x, y, indices, seen, rows, kernel_size, stride, padding)
    else:
        _max_pool2d(x, y, indices, kernel_size, stride, padding, dilation)


def _in_pairs(x_shape, kernel_size, stride, padding, dilation):
    """Whether the windows are pairs of rows and of columns, and no column is left over."""
    twos = kernel_size == (2, 2) and stride == (2, 2)
    return twos and padding == (0, 0) and dilation == (1, 1) and x_shape[3] % 2 == 0


def _seen(x_shape, y_shape, kernel_size, stride, padding):
    """Rows and columns of a plane with as much padding as windows see, and all of itself."""
    sides = zip(x_shape[2:], y_shape[2:], kernel_size, stride, padding)
    return [max((m - 1) * s + k, n + p) for n, m, k, s, p in sides]


@task_kernel
def _max_of_windows(thread, threads, x, y, indices, memories, high, kernel_size, stride, padding):
    """max_pool2d for one thread, of windows without gaps whose columns are one or two apart

    A plane is first copied to where its padding is -inf. Every window has an element of it.
    """
    planes, height, width = x.shape[0] * x.shape[1], x.shape[2], x.shape[3]
    oh, ow = y.shape[2], y.shape[3]
    vector, seen = lanes(x), memories[thread]
    wide = seen.size // high
    xs, ys, places = as_row(x), as_row(y), as_row(indices)
    for i in range(seen.size):
        seen[i] = -np.inf
    # Where windows of a row have their first element; and, of windows too few for a vector, what
    # was found.
    firsts = np.empty(max(ow, vector), np.int32)
    few, few_places = np.empty(vector, x.dtype), np.empty(vector, np.int64)
    for plane in range(thread * planes // threads, (thread + 1) * planes // threads):
        for r in range(height):
            start = (plane * height + r) * width
            copy_row(xs[start : start + width], seen[(r + padding[0]) * wide + padding[1] :])
        for i in range(oh):
            above = max(padding[0] - i * stride[0], 0) * width
            for j in range(firsts.size):
                firsts[j] = above + max(padding[1] - j * stride[1], 0)
            corner = (i * stride[0] - padding[0]) * width - padding[1]
            row, to = i * stride[0] * wide, (plane * oh + i) * ow
            for j in range(0, ow, vector):
                k = max(min(j, ow - vector), 0)
                at, start = row + k * stride[1], corner + k * stride[1]
                if ow >= vector:
                    largest(
                        seen, at, wide, kernel_size, stride[1], ys, to + k, places, to + k,
                        start, width, firsts, k,
                    )  # fmt: skip
                else:
                    largest(
                        seen, at, wide, kernel_size, stride[1], few, 0, few_places, 0,
                        start, width, firsts, k,
                    )  # fmt: skip
                    for q in range(ow):
                        ys[to + q], places[to + q] = few[q], few_places[q]


@inner
def copy_row(x, y):
    """y[i] = x[i], as far as x goes"""
    for i in range(x.size):
        y[i] = x[i]


@inner
def largest(x, i, width, kernel_size, step, y, k, indices, m, start, line, firsts, j):
    """The largest of each of a vector of windows, and where they are"""
    rows, columns = kernel_size
    if step == 1:
        largest_side_by_side(x, i, width, rows, columns, y, k, indices, m, start, line, firsts, j)
    else:
        largest_of_every_second(
            x, i, width, rows, columns, y, k, indices, m, start, line, firsts, j
        )


@kernel(work=lambda code, indices, width: code.size)
def _pair_indices(code, indices, width):
    """indices[n,c,i,j] = (2i+u) width + 2j+v where code = 2u+v"""
    ow = code.shape[3]
    oh = code.shape[2]
    planes = code.shape[0] * code.shape[1]
    code, indices = code.reshape(planes, -1), indices.reshape(planes, -1)
    for plane in prange(planes):
        for i in range(oh):
            which, out = code[plane][i * ow :], indices[plane][i * ow :]
            for j in range(ow):
                out[j] = (2 * i + (which[j] >> 1)) * width + 2 * j + (which[j] & 1)


@kernel(work=lambda x, y, indices, kernel_size, *_: 4 * y.size * kernel_size[0] * kernel_size[1])
def _max_pool2d(x, y, indices, kernel_size, stride, padding, dilation):
    """max_pool2d of any windows

    The first of equal maxima wins, but a NaN over all that came before it, as in PyTorch. The index
    is -1 if the window holds nothing but padding.
    """
    width, oh, ow = x.shape[3], y.shape[2], y.shape[3]
    taps, steps = kernel_size[0] * kernel_size[1], max(WINDOWS // max(ow, 1), 1)
    x, y, indices = _planes(x), as_row(y), as_row(indices)
    total = x.shape[0] * oh
    for task in prange((total + steps - 1) // steps):
        # Some rows of windows, of one plane after the other.
        row = np.int64(task) * steps
        rows = min(steps, total - row)
        # A multiple of what the compiler may take at once: the rest it would do one by one, with
        # branches that none can foretell.
        size = (rows * ow + 63) // 64 * 64
        values, best = np.empty(size, x.dtype), np.empty(size, x.dtype)
        winners = np.empty(size, np.int32)
        for t in range(size):
            values[t], best[t], winners[t] = -np.inf, -np.inf, -1
        offsets = np.empty(taps, np.int64)
        for tap in range(taps):
            u, v = divmod(tap, kernel_size[1])
            offsets[tap] = u * dilation[0] * width + v * dilation[1]
            first = u * dilation[0] - padding[0], v * dilation[1] - padding[1]
            _copy_tap(x, values, row, rows, oh, ow, first, stride)
            winner = np.int32(tap)
            for t in range(size):
                value, old, place = values[t], best[t], winners[t]
                better = (value > old) | (value != value)
                best[t] = value if better else old
                winners[t] = winner if better else place
        some, found = y[row * ow : (row + rows) * ow], indices[row * ow : (row + rows) * ow]
        for t in range(some.size):
            some[t] = best[t]
        plane, i = divmod(row, oh)
        t = 0
        for _ in range(rows):
            corner = (i * stride[0] - padding[0]) * width - padding[1]
            for j in range(ow):
                if winners[t] < 0:  # nothing was above -inf
                    found[t] = _first_place(x[plane], i, j, kernel_size, stride, padding, dilation)
                else:
                    found[t] = corner + j * stride[1] + offsets[winners[t]]
                t += 1
            i += 1
            if i == oh:
                plane, i = plane + 1, 0


@kernel(work=lambda gy, indices, gx: gx.size)
def max_pool2d_grad(gy, indices, gx):
    """gx[n,c,p] = sum of gy[n,c,i,j] where indices[n,c,i,j] = p"""
    gx, gy, indices = _rows(gx), _rows(gy), _rows(indices)
    for plane in prange(gx.shape[0]):
        _clear(gx[plane])
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


@driver
def avg_pool2d(x, y, kernel_size, stride, padding, count_include_pad, divisor_override):
    """y[n,c,i,j] = sum over the window of x[n,c] / divisor"""
    if side_by_side(x.shape[2:], y.shape[2:], kernel_size, stride, padding):
        divisor = divisor_override or kernel_size[0] * kernel_size[1]
        average_windows(threads_for(x.size), x, y, kernel_size, divisor)
    else:
        _avg_pool2d(x, y, kernel_size, stride, padding, count_include_pad, divisor_override)


@kernel(work=lambda x, y, kernel_size, *_: 4 * (x.size + y.size * kernel_size[1]))
def _avg_pool2d(x, y, kernel_size, stride, padding, count_include_pad, divisor_override):
    """avg_pool2d of any windows"""
    x, y = _planes(x), _planes(y)
    counts = np.empty(y.shape[2])
    _counts(counts, x.shape[2], kernel_size[1], stride[1], padding[1], count_include_pad)
    for plane in prange(x.shape[0]):
        sums, down = np.empty(y.shape[2]), np.empty(x.shape[2])
        _average(
            x, y, plane, kernel_size, stride, padding, count_include_pad, divisor_override,
            counts, sums, down,
        )  # fmt: skip


@inner
def _average(
    x, y, plane, kernel_size, stride, padding, count_include_pad, divisor_override,
    columns, sums, down,
):  # fmt: skip
    """avg_pool2d of a plane"""
    height, width = x.shape[1:]
    for i in range(y.shape[1]):
        r0, r1, rows = _window(i, height, kernel_size[0], stride[0], padding[0])
        for s in range(down.size):
            down[s] = 0
        for r in range(r0, r1):
            row = x[plane, r]
            for s in range(down.size):
                down[s] += row[s]
        for j in range(sums.size):
            sums[j] = 0
        for v in range(kernel_size[1]):
            a, b = _inside(v - padding[1], width, stride[1], sums.size)
            if a < b:
                taps, some = down[a * stride[1] + v - padding[1] :], sums[a:b]
                if stride[1] == 2:
                    for j in range(some.size):
                        some[j] += taps[2 * j]
                else:
                    for j in range(some.size):
                        some[j] += taps[stride[1] * j]
        rows = rows if count_include_pad else max(r1 - r0, 1)
        row = y[plane, i]
        if divisor_override:
            for j in range(row.size):
                row[j] = sums[j] / divisor_override
        else:
            for j in range(row.size):
                row[j] = sums[j] / (rows * columns[j])


@driver
def avg_pool2d_grad(gy, gx, kernel_size, stride, padding, count_include_pad, divisor_override):
    """gx[n,c,r,s] = sum of gy[n,c,i,j] / divisor over the windows that hold r, s"""
    if side_by_side(gx.shape[2:], gy.shape[2:], kernel_size, stride, padding):
        divisor = divisor_override or kernel_size[0] * kernel_size[1]
        average_windows_grad(threads_for(gx.size), gy, gx, kernel_size, divisor)
    else:
        _avg_pool2d_grad(gy, gx, kernel_size, stride, padding, count_include_pad, divisor_override)


@kernel(work=lambda gy, gx, kernel_size, *_: 4 * (gx.size + gy.size * kernel_size[1]))
def _avg_pool2d_grad(gy, gx, kernel_size, stride, padding, count_include_pad, divisor_override):
    """avg_pool2d_grad of any windows"""
    gx, gy = _planes(gx), _planes(gy)
    counts = np.empty(gy.shape[2])
    _counts(counts, gx.shape[2], kernel_size[1], stride[1], padding[1], count_include_pad)
    for plane in prange(gx.shape[0]):
        shares, along = np.empty(gy.shape[2], gx.dtype), np.empty(gx.shape[2], gx.dtype)
        _average_grad(
            gy, gx, plane, kernel_size, stride, padding, count_include_pad, divisor_override,
            counts, shares, along,
        )  # fmt: skip


@inner
def _average_grad(
    gy, gx, plane, kernel_size, stride, padding, count_include_pad, divisor_override,
    columns, shares, along,
):  # fmt: skip
    """avg_pool2d_grad of a plane"""
    height, width = gx.shape[1:]
    _clear(gx[plane])
    for i in range(gy.shape[1]):
        r0, r1, rows = _window(i, height, kernel_size[0], stride[0], padding[0])
        rows = rows if count_include_pad else max(r1 - r0, 1)
        row = gy[plane, i]
        if divisor_override:
            for j in range(row.size):
                shares[j] = row[j] / divisor_override
        else:
            for j in range(row.size):
                shares[j] = row[j] / (rows * columns[j])
        for s in range(along.size):
            along[s] = 0
        for v in range(kernel_size[1]):
            a, b = _inside(v - padding[1], width, stride[1], shares.size)
            if a < b:
                taps, some = along[a * stride[1] + v - padding[1] :], shares[a:b]
                if stride[1] == 1:
                    for j in range(some.size):
                        taps[j] += some[j]
                else:
                    for j in range(some.size):
                        taps[stride[1] * j] += some[j]
        for r in range(r0, r1):
            row = gx[plane, r]
            for s in range(along.size):
                row[s] += along[s]


@driver
def adaptive_avg_pool2d(x, y):
    """y[n,c,i,j] = mean of x[n,c,r,s] for floor(i*h/oh) <= r < ceil((i+1)*h/oh), s alike"""
    if y.shape[2:] == (1, 1):
        sum(x, y, (2, 3), x.shape[2] * x.shape[3])
    else:
        _adaptive_avg_pool2d(x, y)


@kernel(work=lambda x, y: x.size)
def _adaptive_avg_pool2d(x, y):
    """adaptive_avg_pool2d of any windows"""
    height, width = x.shape[2:]
    oh, ow = y.shape[2:]
    x, y = _planes(x), _planes(y)
    for plane in prange(x.shape[0]):
        for i in range(oh):
            r0, r1 = _part(i, height, oh)
            for j in range(ow):
                s0, s1 = _part(j, width, ow)
                y[plane, i, j] = _sum(x, plane, r0, r1, s0, s1) / ((r1 - r0) * (s1 - s0))


@driver
def adaptive_avg_pool2d_grad(gy, gx):
    """gx[n,c,r,s] = sum of gy[n,c,i,j] / (window's size) over the windows that hold r, s"""
    if gy.shape[2:] == (1, 1):
        sum_grad(gy, gx, (2, 3), gx.shape[2] * gx.shape[3])
    else:
        _adaptive_avg_pool2d_grad(gy, gx)


@kernel(work=lambda gy, gx: gx.size)
def _adaptive_avg_pool2d_grad(gy, gx):
    """adaptive_avg_pool2d_grad of any windows"""
    height, width = gx.shape[2:]
    oh, ow = gy.shape[2:]
    gx, gy = _planes(gx), _planes(gy)
    for plane in prange(gx.shape[0]):
        _clear(gx[plane])
        for i in range(oh):
            r0, r1 = _part(i, height, oh)
            for j in range(ow):
                s0, s1 = _part(j, width, ow)
                value = gy[plane, i, j] / ((r1 - r0) * (s1 - s0))
                _add(gx, plane, r0, r1, s0, s1, value)


@allocating
def _planes(x):
    """x[n,c,h,w] as [n*c,h,w]"""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2], x.shape[3])


@allocating
def _rows(x):
    """x[n,c,h,w] as [n*c,h*w]"""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2] * x.shape[3])


@inner
def _clear(x):
    """x = 0"""
    every = as_row(x)
    for i in range(every.size):
        every[i] = 0


@inner
def _inside(shift, size, stride, windows):
    """From which window to which a tap, at stride * window + shift, lies within 0:size"""
    first = max(-(shift // stride), 0)
    return first, max(min((size - 1 - shift) // stride + 1, windows), first)


@inner
def _copy_tap(x, values, row, rows, oh, ow, first, stride):
    """values = x[plane, first + stride * (i,j)] for some rows plane, i of windows, -inf outside"""
    height, width = x.shape[1:]
    a, b = _inside(first[1], width, stride[1], ow)
    plane, i = divmod(row, oh)
    t = 0
    for _ in range(rows):
        r = first[0] + i * stride[0]
        start, stop = (a, b) if 0 <= r < height else (0, 0)
        for j in range(start):
            values[t + j] = -np.inf
        for j in range(start, stop):
            values[t + j] = x[plane, r, first[1] + j * stride[1]]
        for j in range(stop, ow):
            values[t + j] = -np.inf
        t += ow
        i += 1
        if i == oh:
            plane, i = plane + 1, 0


@inner
def _first_place(x, i, j, kernel_size, stride, padding, dilation):
    """The place of a window's first tap within x, or -1"""
    for u in range(kernel_size[0]):
        for v in range(kernel_size[1]):
            r = i * stride[0] - padding[0] + u * dilation[0]
            s = j * stride[1] - padding[1] + v * dilation[1]
            if 0 <= r < x.shape[0] and 0 <= s < x.shape[1]:
                return r * x.shape[1] + s
    return -1


@inner
def _counts(columns, width, kernel_size, stride, padding, count_include_pad):
    """For each window along a row, how many columns it has for the divisor, at least 1"""
    for j in range(columns.size):
        s0, s1, padded = _window(j, width, kernel_size, stride, padding)
        columns[j] = padded if count_include_pad else max(s1 - s0, 1)


@inner
def _window(i, size, kernel_size, stride, padding):
    """Where window i starts and stops within 0:size, and its length with the padding it covers."""
    start = i * stride - padding
    stop = min(start + kernel_size, size + padding)
    first = max(start, 0)
    return first, max(first, min(stop, size)), stop - start


@inner
def _part(i, size, parts):
    """Where part i of an axis starts and stops; neighbours overlap unless parts divides size."""
    return i * size // parts, ((i + 1) * size + parts - 1) // parts


@inner
def _sum(x, plane, r0, r1, s0, s1):
    """sum of x[plane,r0:r1,s0:s1]"""
    total = 0.0
    if s1 - s0 == x.shape[2]:  # whole rows are one
        every = as_row(x[plane, r0:r1])
        for k in range(every.size):
            total += every[k]
        return total
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
