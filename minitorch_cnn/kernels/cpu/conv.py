"""Convolution of planes and its two gradients, as sums of scaled rows and of products of rows.

Each task owns what it writes: a plane of the result, or the taps between a pair of channels. So
the order of every sum is fixed. Sums over channels and taps run in the arrays' own type, as those
of a matrix product do. The weight gradient also sums over the batch and all positions: there the
rows of one image are added in the arrays' type, column by column, and all else in float64.
"""

import numpy as np

from ..jit import inner, kernel, prange


def _multiply_adds(w, y):
    return y.size * w.shape[1] * w.shape[2] * w.shape[3]


@kernel(work=lambda x, w, b, y, *_: _multiply_adds(w, y))
def conv2d(x, w, b, y, stride, padding, dilation, groups):
    """y[n,o,i,j] = b[o] + sum_{c,u,v} x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw] w[o,c,u,v]"""
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    batch, channels, height, width = x.shape
    out_channels, group_channels, kh, kw = w.shape
    oh, ow = y.shape[2:]
    x_flat, w_flat = x.reshape(-1), w.reshape(-1)
    spans = _spans(kw, sw, pw, dw, width, ow)
    for plane in prange(batch * out_channels):
        n, o = divmod(np.int64(plane), out_channels)
        first = o // (out_channels // groups) * group_channels
        terms = np.empty((group_channels * kh, 2), np.int64)
        for i in range(oh):
            # y[i,j] = b + sum_l sum_{c,u} w[c,u,v] x[c,i*sh+u*dh-ph,j*sw+v*dw-pw]
            count = 0
            for c in range(group_channels):
                for u in range(kh):
                    r = i * sh + u * dh - ph
                    if 0 <= r < height:
                        terms[count, 0] = ((o * group_channels + c) * kh + u) * kw
                        terms[count, 1] = ((n * channels + first + c) * height + r) * width
                        count += 1
            row = y[n, o, i]
            row[:] = b[o] if b.size else 0
            for v in range(kw):
                j0, j1 = spans[v]
                s = j0 * sw + v * dw - pw
                _add_scaled_rows(row, j0, j1, w_flat, v, x_flat, s, sw, terms, count)


@kernel(work=lambda gy, w, gx, *_: _multiply_adds(w, gy))
def conv2d_input_grad(gy, w, gx, stride, padding, dilation, groups):
    """gx[n,c,r,s] = sum of gy[n,o,i,j] w[o,c,u,v] where r = i*sh+u*dh-ph and s = j*sw+v*dw-pw"""
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    batch, channels, height, width = gx.shape
    out_channels, group_channels, kh, kw = w.shape
    group_outputs = out_channels // groups
    oh, ow = gy.shape[2:]
    gy_flat, w_flat = gy.reshape(-1), w.reshape(-1)
    spans = _spans(kw, sw, pw, dw, width, ow)
    for plane in prange(batch * channels):
        n, channel = divmod(np.int64(plane), channels)
        group, c = divmod(channel, group_channels)
        terms = np.empty((group_outputs * kh, 2), np.int64)
        # A row of gy goes to every sw-th column of gx. Columns with the same remainder are kept
        # side by side until the row is done, so that adding to them is vector code.
        columns = np.empty((sw, (width + sw - 1) // sw), gx.dtype)
        for r in range(height):
            # gx[r,s] = sum_l sum_{o,u} w[o,u,v] gy[o,i,j]
            count = 0
            for o in range(group * group_outputs, (group + 1) * group_outputs):
                for u in range(kh):
                    i, rest = divmod(r + ph - u * dh, sh)
                    if rest == 0 and 0 <= i < oh:
                        terms[count, 0] = ((o * group_channels + c) * kh + u) * kw
                        terms[count, 1] = ((n * out_channels + o) * oh + i) * ow
                        count += 1
            columns[:] = 0
            for v in range(kw):
                j0, j1 = spans[v]
                q, remainder = divmod(j0 * sw + v * dw - pw, sw)
                row = columns[remainder]
                _add_scaled_rows(row, q, q + j1 - j0, w_flat, v, gy_flat, j0, 1, terms, count)
            for remainder in range(sw):
                row = columns[remainder]
                for q in range((width - remainder + sw - 1) // sw):
                    gx[n, channel, r, q * sw + remainder] = row[q]


@kernel(work=lambda gy, x, gw, *_: _multiply_adds(gw, gy))
def conv2d_weight_grad(gy, x, gw, stride, padding, dilation, groups):
    """gw[o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw]"""
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    batch, out_channels, oh, ow = gy.shape
    channels, height, width = x.shape[1:]
    group_channels, kh, kw = gw.shape[1:]
    gy_flat, x_flat = gy.reshape(-1), x.reshape(-1)
    spans = _spans(kw, sw, pw, dw, width, ow)
    for pair in prange(out_channels * group_channels):
        o, c = divmod(np.int64(pair), group_channels)
        channel = o // (out_channels // groups) * group_channels + c
        terms = np.empty((oh, 2), np.int64)
        products = np.empty(ow, gy.dtype)
        total = np.zeros((kh, kw, ow), np.float64)
        for n in range(batch):
            # total[u,v,j] += sum_i gy[i,j] x[i*sh+u*dh-ph,j*sw+v*dw-pw]
            for u in range(kh):
                count = 0
                for i in range(oh):
                    r = i * sh + u * dh - ph
                    if 0 <= r < height:
                        terms[count, 0] = ((n * out_channels + o) * oh + i) * ow
                        terms[count, 1] = ((n * channels + channel) * height + r) * width
                        count += 1
                for v in range(kw):
                    j0, j1 = spans[v]
                    s = j0 * sw + v * dw - pw
                    _add_row_products(
                        total[u, v], products, j1 - j0, gy_flat, j0, x_flat, s, sw, terms, count
                    )
        for u in range(kh):
            for v in range(kw):
                gw[o, c, u, v] = total[u, v].sum()


# The helpers below take whole arrays and cut them themselves: a slice handed to a function costs
# two atomic counts of references, which for short rows is as much as the arithmetic.
# They take four rows at a time, so that the sum is read and written once for four multiply-adds.
# A stride becomes vector code only if the compiler knows it: hence the loops for 1 and 2.


@inner
def _spans(taps, stride, padding, dilation, inputs, outputs):
    """For each tap t, the range of outputs i where 0 <= i*stride+t*dilation-padding < inputs."""
    spans = np.empty((taps, 2), np.int64)
    for t in range(taps):
        offset = t * dilation - padding
        first = min(outputs, max(0, -(offset // stride)))
        spans[t, 0] = first
        spans[t, 1] = max(first, min(outputs, (inputs - 1 - offset) // stride + 1))
    return spans


@inner
def _add_scaled_rows(y, j0, j1, w, v, x, s, stride, terms, count):
    """y[j0+j] += sum_t w[terms[t,0]+v] x[terms[t,1]+s+j*stride]"""
    if j0 >= j1:
        return
    y = y[j0:j1]
    fours = count // 4 * 4
    for t in range(0, fours, 4):
        wa, wb = w[terms[t, 0] + v], w[terms[t + 1, 0] + v]
        wc, wd = w[terms[t + 2, 0] + v], w[terms[t + 3, 0] + v]
        a, b = x[terms[t, 1] + s :], x[terms[t + 1, 1] + s :]
        c, d = x[terms[t + 2, 1] + s :], x[terms[t + 3, 1] + s :]
        if stride == 1:
            for j in range(y.size):
                y[j] += wa * a[j] + wb * b[j] + wc * c[j] + wd * d[j]
        elif stride == 2:
            for j in range(y.size):
                y[j] += wa * a[2 * j] + wb * b[2 * j] + wc * c[2 * j] + wd * d[2 * j]
        else:
            for j in range(y.size):
                q = stride * j
                y[j] += wa * a[q] + wb * b[q] + wc * c[q] + wd * d[q]
    for t in range(fours, count):
        wa, a = w[terms[t, 0] + v], x[terms[t, 1] + s :]
        if stride == 1:
            for j in range(y.size):
                y[j] += wa * a[j]
        else:
            for j in range(y.size):
                y[j] += wa * a[stride * j]


@inner
def _add_row_products(total, z, size, y, j0, x, s, stride, terms, count):
    """total[j0+j] += z[j] = sum_t y[terms[t,0]+j0+j] x[terms[t,1]+s+j*stride] for 0 <= j < size"""
    if size == 0:
        return
    z, total = z[:size], total[j0 : j0 + size]
    z[:] = 0
    fours = count // 4 * 4
    for t in range(0, fours, 4):
        ya, yb = y[terms[t, 0] + j0 :], y[terms[t + 1, 0] + j0 :]
        yc, yd = y[terms[t + 2, 0] + j0 :], y[terms[t + 3, 0] + j0 :]
        a, b = x[terms[t, 1] + s :], x[terms[t + 1, 1] + s :]
        c, d = x[terms[t + 2, 1] + s :], x[terms[t + 3, 1] + s :]
        if stride == 1:
            for j in range(z.size):
                z[j] += ya[j] * a[j] + yb[j] * b[j] + yc[j] * c[j] + yd[j] * d[j]
        elif stride == 2:
            for j in range(z.size):
                z[j] += ya[j] * a[2 * j] + yb[j] * b[2 * j] + yc[j] * c[2 * j] + yd[j] * d[2 * j]
        else:
            for j in range(z.size):
                q = stride * j
                z[j] += ya[j] * a[q] + yb[j] * b[q] + yc[j] * c[q] + yd[j] * d[q]
    for t in range(fours, count):
        ya, a = y[terms[t, 0] + j0 :], x[terms[t, 1] + s :]
        if stride == 1:
            for j in range(z.size):
                z[j] += ya[j] * a[j]
        else:
            for j in range(z.size):
                z[j] += ya[j] * a[stride * j]
    for j in range(z.size):
        total[j] += z[j]
