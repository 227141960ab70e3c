"""Convolution of images and its two gradients, as sums of scaled stretches of memory.

An image is first laid out so that whatever a tap of the filter meets lies in one stretch. Padded
with zeros and cut by the stride into phases, plane (a, b) holding the pixels whose row and column
are a and b more than multiples of the stride, tap (u, v) sees plane (u dh mod sh, v dw mod sw) from
row u dh div sh and column v dw div sw on. Rows of a plane are `wide` columns, those of the result
fewer; computing all `wide` of them makes the whole result one stretch, of which the last columns
are thrown away. So every loop that counts is long and plain, whatever stride, padding and dilation.

Each task owns what it writes, and the shapes alone decide the order of every sum. Sums over
channels and taps run in the arrays' own type, as those of a matrix product do. The weight's
gradient, which sums over batch and positions, adds stretches in the arrays' type and these in
float64.
"""

import numpy as np

from ..jit import inner, kernel, prange

# Elements of a stretch that are worked on at once: with their sources they stay in fast memory.
STRETCH = 1024

# Parts of a batch whose weight gradients are summed apart, to occupy threads if filters are few.
PARTS = 8


def _multiply_adds(w, y):
    return y.size * w.shape[1] * w.shape[2] * w.shape[3]


@kernel(work=lambda x, w, b, y, *_: _multiply_adds(w, y))
def conv2d(x, w, b, y, stride, padding, dilation, groups):
    """y[n,o,i,j] = b[o] + sum_{c,u,v} x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw] w[o,c,u,v]"""
    batch = x.shape[0]
    outputs, group_channels, kh, kw = w.shape
    oh, ow = y.shape[2:]
    down, across, high, wide, offsets = _layout(kh, kw, oh, ow, stride, dilation)
    terms = group_channels * kh * kw
    starts = np.empty(terms, np.int64)
    for t in range(terms):
        c, tap = divmod(t, kh * kw)
        starts[t] = c * down * across * high * wide + offsets[tap]
    group_outputs = outputs // groups
    blocks = (group_outputs + 15) // 16  # of filters that share a task and its layout of the image
    filters = w.reshape(outputs, terms)
    for task in prange(batch * groups * blocks):
        n, rest = divmod(np.int64(task), groups * blocks)
        group, block = divmod(rest, blocks)
        planes = np.empty((group_channels, down, across, high, wide), x.dtype)
        _spread(
            x[n, group * group_channels : (group + 1) * group_channels], planes, stride, padding
        )
        flat = planes.reshape(-1)
        totals = np.empty((4, STRETCH), x.dtype)
        weights = np.empty((4, terms), x.dtype)
        rows = max(1, STRETCH // wide)
        first = group * group_outputs + 16 * block
        last = min(first + 16, (group + 1) * group_outputs)
        for o in range(first, last, 4):
            count = min(4, last - o)
            for k in range(4):
                for t in range(terms):
                    weights[k, t] = filters[o + min(k, count - 1), t]
            for i in range(0, oh, rows):
                # totals[k, (i' - i) wide + j] = b[o+k] + sum_t weights[k,t] flat[starts[t] + ..]
                size = (min(rows, oh - i) - 1) * wide + ow
                for done in range(0, size, STRETCH):
                    part = min(STRETCH, size - done)
                    for k in range(count):
                        _fill(totals[k], part, b[o + k] if b.size else x.dtype.type(0))
                    _add_terms(totals, count, part, weights, flat, starts, i * wide + done)
                    for k in range(count):
                        _keep(totals[k], part, done, wide, y[n, o + k], i)


@kernel(work=lambda gy, w, gx, *_: _multiply_adds(w, gy))
def conv2d_input_grad(gy, w, gx, stride, padding, dilation, groups):
    """gx[n,c,r,s] = sum of gy[n,o,i,j] w[o,c,u,v] where r = i*sh+u*dh-ph and s = j*sw+v*dw-pw"""
    batch = gx.shape[0]
    outputs, group_channels, kh, kw = w.shape
    oh, ow = gy.shape[2:]
    down, across, high, wide, offsets = _layout(kh, kw, oh, ow, stride, dilation)
    plane = high * wide
    margin = (high - oh) * wide + wide - ow  # the farthest that a tap reaches back
    group_outputs = outputs // groups
    blocks = (group_channels + 15) // 16
    for task in prange(batch * groups * blocks):
        n, rest = divmod(np.int64(task), groups * blocks)
        group, block = divmod(rest, blocks)
        o0 = group * group_outputs
        source = np.zeros((group_outputs, margin + plane), gy.dtype)
        for o in range(group_outputs):
            _widen(gy[n, o0 + o], source[o, margin:], wide)
        flat = source.reshape(-1)
        totals = np.empty((4, STRETCH), gy.dtype)
        weights = np.empty((4, group_outputs * kh * kw), gy.dtype)
        starts = np.empty(group_outputs * kh * kw, np.int64)
        planes = np.zeros((4, down, across, plane), gy.dtype)
        last = min(16 * block + 16, group_channels)
        for c in range(16 * block, last, 4):
            count = min(4, last - c)
            for phase in range(down * across):
                # planes[k, phase, p] = sum_{o, taps of the phase} w[o,c+k,u,v] source[o, p - ..]
                terms = 0
                for o in range(group_outputs):
                    for tap in range(kh * kw):
                        which, offset = divmod(offsets[tap], plane)
                        if which == phase:
                            starts[terms] = o * (margin + plane) + margin - offset
                            for k in range(4):
                                weights[k, terms] = w[
                                    o0 + o, c + min(k, count - 1), tap // kw, tap % kw
                                ]
                            terms += 1
                a, b = divmod(phase, across)
                for done in range(0, plane, STRETCH):
                    part = min(STRETCH, plane - done)
                    for k in range(count):
                        _fill(totals[k], part, gy.dtype.type(0))
                    _add_terms(totals, count, part, weights, flat, starts[:terms], done)
                    for k in range(count):
                        _copy(totals[k], planes[k, a, b, done:], part)
            for k in range(count):
                image = planes[k].reshape(down, across, high, wide)
                _gather(image, gx[n, group * group_channels + c + k], stride, padding)


@kernel(work=lambda gy, x, gw, *_: _multiply_adds(gw, gy))
def conv2d_weight_grad(gy, x, gw, stride, padding, dilation, groups):
    """gw[o,c,u,v] = sum_{n,i,j} gy[n,o,i,j] x[n,c,i*sh+u*dh-ph,j*sw+v*dw-pw]"""
    batch, outputs, oh, ow = gy.shape
    group_channels, kh, kw = gw.shape[1:]
    down, across, high, wide, offsets = _layout(kh, kw, oh, ow, stride, dilation)
    terms = group_channels * kh * kw
    group_outputs = outputs // groups
    quads = (group_outputs + 3) // 4
    parts = max(1, min(batch, PARTS // (groups * quads)))
    sums = np.zeros((parts, groups * quads, 4, terms), np.float64)
    for task in prange(parts * groups * quads):
        part, block = divmod(np.int64(task), groups * quads)
        group, quad = divmod(block, quads)
        first = group * group_outputs + 4 * quad
        count = min(4, group_outputs - 4 * quad)
        planes = np.empty((group_channels, down, across, high, wide), x.dtype)
        flat = planes.reshape(-1)
        source = np.zeros((4, oh * wide), gy.dtype)
        for n in range(part * batch // parts, (part + 1) * batch // parts):
            images = x[n, group * group_channels : (group + 1) * group_channels]
            _spread(images, planes, stride, padding)
            for k in range(count):
                _widen(gy[n, first + k], source[k], wide)
            # sums[k,t] += sum_p source[k,p] flat[start of t + p]
            size = (oh - 1) * wide + ow
            for done in range(0, size, STRETCH):
                length = min(STRETCH, size - done)
                for t in range(terms):
                    c, tap = divmod(t, kh * kw)
                    start = c * down * across * high * wide + offsets[tap] + done
                    _add_products(sums[part, block], t, source, count, done, length, flat, start)
    for o in range(outputs):
        group, rest = divmod(o, group_outputs)
        for t in range(terms):
            total = 0.0
            for part in range(parts):
                total += sums[part, group * quads + rest // 4, rest % 4, t]
            gw[o, t // (kh * kw), t // kw % kh, t % kw] = total


# Loops, not slice assignments, which Numba compiles to much more: these may overlap or broadcast.


@inner
def _fill(y, size, value):
    """y[i] = value for i < size"""
    for i in range(size):
        y[i] = value


@inner
def _copy(x, y, size):
    """y[i] = x[i] for i < size"""
    for i in range(size):
        y[i] = x[i]


@inner
def _layout(kh, kw, oh, ow, stride, dilation):
    """Planes down and across, their height and width, and where in them each tap starts."""
    (sh, sw), (dh, dw) = stride, dilation
    down, across = sh if kh > 1 else 1, sw if kw > 1 else 1
    high, wide = oh + dh * (kh - 1) // sh, ow + dw * (kw - 1) // sw
    offsets = np.empty(kh * kw, np.int64)
    for u in range(kh):
        for v in range(kw):
            (r, a), (q, b) = divmod(u * dh, sh), divmod(v * dw, sw)
            offsets[u * kw + v] = ((a * across + b) * high + r) * wide + q
    return down, across, high, wide, offsets


@inner
def _spread(images, planes, stride, padding):
    """planes[c,a,b,r,q] = images[c, r*sh+a-ph, q*sw+b-pw], 0 outside"""
    (sh, sw), (ph, pw) = stride, padding
    channels, height, width = images.shape
    down, across, high, wide = planes.shape[1:]
    for c in range(channels):
        for a in range(down):
            for b in range(across):
                q0 = min(wide, max(0, (pw - b + sw - 1) // sw))
                q1 = max(q0, min(wide, (width - 1 - b + pw) // sw + 1))
                for r in range(high):
                    row = planes[c, a, b, r]
                    i = r * sh + a - ph
                    if i < 0 or i >= height:
                        _fill(row, wide, row.dtype.type(0))
                        continue
                    _fill(row, q0, row.dtype.type(0))
                    _fill(row[q1:], wide - q1, row.dtype.type(0))
                    inside = row[q0:q1]
                    pixels = images[c, i, q0 * sw + b - pw :]
                    for q in range(inside.size):
                        inside[q] = pixels[q * sw]


@inner
def _gather(planes, image, stride, padding):
    """image[r*sh+a-ph, q*sw+b-pw] = planes[a,b,r,q]; 0 where no plane has it"""
    (sh, sw), (ph, pw) = stride, padding
    down, across, high, wide = planes.shape
    for i in range(image.shape[0]):
        r, a = divmod(i + ph, sh)
        row = image[i]
        _fill(row, row.size, row.dtype.type(0))
        if a < down and r < high:
            for j in range(row.size):
                q, b = divmod(j + pw, sw)
                if b < across and q < wide:
                    row[j] = planes[a, b, r, q]


@inner
def _widen(image, stretch, wide):
    """stretch[i*wide+j] = image[i,j]; what is between the rows stays"""
    for i in range(image.shape[0]):
        _copy(image[i], stretch[i * wide :], image.shape[1])


@inner
def _keep(totals, size, done, wide, image, first):
    """image[first+i, j] = totals[i*wide+j-done], for what of it there is"""
    ow = image.shape[1]
    for i in range(done // wide, (done + size - 1) // wide + 1):
        j0 = max(0, done - i * wide)
        j1 = min(ow, done + size - i * wide)
        if j0 < j1:
            _copy(totals[i * wide - done + j0 :], image[first + i, j0:], j1 - j0)


@inner
def _add_terms(totals, count, size, weights, flat, starts, shift):
    """totals[k,p] += sum_t weights[k,t] flat[starts[t]+shift+p] for k < count <= 4, p < size

    Four terms at a time, so that a total is read and written once for four multiply-adds; and for
    more than one k all four, so that a source is read once for as many.
    """
    y0, y1, y2, y3 = totals[0, :size], totals[1, :size], totals[2, :size], totals[3, :size]
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    fours = starts.size // 4 * 4
    for t in range(0, fours, 4):
        a, b = flat[starts[t] + shift :], flat[starts[t + 1] + shift :]
        c, d = flat[starts[t + 2] + shift :], flat[starts[t + 3] + shift :]
        a0, b0, c0, d0 = w0[t], w0[t + 1], w0[t + 2], w0[t + 3]
        if count == 1:
            for p in range(size):
                y0[p] += (a0 * a[p] + b0 * b[p]) + (c0 * c[p] + d0 * d[p])
            continue
        a1, b1, c1, d1 = w1[t], w1[t + 1], w1[t + 2], w1[t + 3]
        a2, b2, c2, d2 = w2[t], w2[t + 1], w2[t + 2], w2[t + 3]
        a3, b3, c3, d3 = w3[t], w3[t + 1], w3[t + 2], w3[t + 3]
        for p in range(size):
            ap, bp, cp, dp = a[p], b[p], c[p], d[p]
            y0[p] += (a0 * ap + b0 * bp) + (c0 * cp + d0 * dp)
            y1[p] += (a1 * ap + b1 * bp) + (c1 * cp + d1 * dp)
            y2[p] += (a2 * ap + b2 * bp) + (c2 * cp + d2 * dp)
            y3[p] += (a3 * ap + b3 * bp) + (c3 * cp + d3 * dp)
    for t in range(fours, starts.size):
        a = flat[starts[t] + shift :]
        for k in range(count):
            weight, y = weights[k, t], totals[k, :size]
            for p in range(size):
                y[p] += weight * a[p]


@inner
def _add_products(sums, t, source, count, shift, size, flat, start):
    """sums[k,t] += sum_p source[k,shift+p] flat[start+p] for k < count <= 4, p < size"""
    x = flat[start : start + size]
    g0, g1 = source[0, shift : shift + size], source[1, shift : shift + size]
    g2, g3 = source[2, shift : shift + size], source[3, shift : shift + size]
    s0 = s1 = s2 = s3 = flat.dtype.type(0)
    if count == 1:
        for p in range(size):
            s0 += g0[p] * x[p]
    else:
        for p in range(size):
            s0 += g0[p] * x[p]
            s1 += g1[p] * x[p]
            s2 += g2[p] * x[p]
            s3 += g3[p] * x[p]
    sums[0, t] += s0
    sums[1, t] += s1
    sums[2, t] += s2
    sums[3, t] += s3
