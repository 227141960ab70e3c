"""Softmax and the losses, on x[outer,n,inner] along the middle axis or element by element.

A task owns a block of lines along the axis. Lines one after another (inner = 1) are rows, vectors
lie along them; lines beside one another are columns, vectors lie across them. Sums along an axis
and over a batch are in float64: a line may be long, and its exponentials of very different size.
"""

import functools
import math

import numpy as np

from ..jit import driver, exact, inner, kernel, prange
from . import functions
from .reduce import total_of_long
from .simd import apart, filled, lanes, larger, largest_of_lanes, load

BLOCK = 1024  # elements of rows, or columns, in a task: what is kept of them stays in the cache
LONG = 64  # elements of a row that fill vectors by themselves


@driver
def softmax(x, y, dim=1):
    """y = exp(x - max x) / sum exp(x - max x) along a dimension"""
    _along(dim, _softmax, x, y)


@driver
def softmax_grad(gy, y, gx, dim=1):
    """gx = y * (gy - sum gy*y)"""
    _along(dim, _softmax_grad, gy, y, gx)


@driver
def log_softmax(x, y, dim=1):
    """y = x - max x - log sum exp(x - max x) along a dimension"""
    _along(dim, _log_softmax, x, y)


@driver
def log_softmax_grad(gy, y, gx, dim=1):
    """gx = gy - exp(y) * sum gy"""
    _along(dim, _log_softmax_grad, gy, y, gx)


def _along(dim, compiled, *arrays):
    """Call a kernel for which the dimension stands in the middle of three."""
    shape = _about(arrays[0].shape, dim)
    compiled(*[a.reshape(shape) for a in arrays])


@functools.cache
def _about(shape, dim):
    """The shape with a dimension in the middle; that of a number, which has none, is 1."""
    n = shape[dim] if shape else 1
    return math.prod(shape[:dim]), n, math.prod(shape[dim + 1 :])


@kernel(work=lambda x, y: 16 * x.size)
def _softmax(x, y):
    """softmax along the middle dimension"""
    tops, totals = np.empty(_lines_of(x), x.dtype), np.empty(_lines_of(x))
    for task in prange(_tasks(x)):
        _exponentials(x, y, task, tops, totals)
        _normalise(y, task, totals, tops)


@kernel(work=lambda gy, y, gx: 4 * y.size)
def _softmax_grad(gy, y, gx):
    """softmax_grad along the middle dimension"""
    totals, means = np.empty(_lines_of(y)), np.empty(_lines_of(y), y.dtype)
    for task in prange(_tasks(y)):
        _softmax_grad_block(gy, y, gx, task, totals, means)


@kernel(work=lambda x, y: 16 * x.size)
def _log_softmax(x, y):
    """log_softmax along the middle dimension"""
    tops, totals = np.empty(_lines_of(x), x.dtype), np.empty(_lines_of(x))
    logs = np.empty(_lines_of(x), x.dtype)
    for task in prange(_tasks(x)):
        if x.shape[2] == 1 and x.shape[1] >= LONG:
            _totals_of_rows(x, task, tops, totals)
        else:
            _exponentials(x, y, task, tops, totals)
        _logarithms(x, y, task, tops, totals, logs)


@kernel(work=lambda gy, y, gx: 16 * y.size)
def _log_softmax_grad(gy, y, gx):
    """log_softmax_grad along the middle dimension"""
    totals, sums = np.empty(_lines_of(y)), np.empty(_lines_of(y), y.dtype)
    for task in prange(_tasks(y)):
        _log_softmax_grad_block(gy, y, gx, task, totals, sums)


@driver
def nll_loss(logp, target, weight, y, total, ignore_index, reduction, label_smoothing=0.0):
    """y = -weight[target] * logp[target], 0 where ignored; 1: sum y / total; 2: sum y

    With label_smoothing a, of n classes: (1-a) times that, - a/n sum weight*logp.
    """
    options = ignore_index, reduction, label_smoothing
    logp, target = logp.reshape(_by_line(logp.shape)), target.reshape(-1)
    try:
        _nll_loss(logp, target, weight, y.reshape(-1), total.reshape(-1), *options)
    except IndexError:
        raise _bad_label("nll_loss", target, ignore_index, logp) from None


@driver
def nll_loss_grad(gy, target, weight, total, gx, ignore_index, reduction, label_smoothing=0.0):
    """gx[target] = -weight[target] * gy, 0 elsewhere and where ignored; 1: divided by total

    With label_smoothing a, of n classes: (1-a) times that, - a/n weight gy.
    """
    options = ignore_index, reduction, label_smoothing
    gx, target = gx.reshape(_by_line(gx.shape)), target.reshape(-1)
    _nll_loss_grad(gy.reshape(-1), target, weight, total.reshape(-1), gx, *options)


@driver
def cross_entropy(x, target, weight, y, total, p, ignore_index, reduction, label_smoothing):
    """y = nll_loss of log_softmax(x); p = softmax(x)"""
    shape = _by_line(x.shape)
    x, p, target = x.reshape(shape), p.reshape(shape), target.reshape(-1)
    options = ignore_index, reduction, label_smoothing
    try:
        _cross_entropy(x, target, weight, y.reshape(-1), total.reshape(-1), p, *options)
    except IndexError:
        raise _bad_label("cross_entropy", target, ignore_index, x) from None


@driver
def cross_entropy_grad(
    gy, x, target, weight, total, p, gx, ignore_index, reduction, label_smoothing
):
    """gx = g - p sum g, g = nll_loss_grad; of x it needs no more than p = softmax(x)"""
    options = ignore_index, reduction, label_smoothing
    shape = _by_line(p.shape)
    p, gx, target = p.reshape(shape), gx.reshape(shape), target.reshape(-1)
    _cross_entropy_grad(gy.reshape(-1), target, weight, total.reshape(-1), p, gx, *options)


@functools.cache
def _by_line(shape):
    """(n,c,..) as (n,c,s)"""
    return *shape[:2], math.prod(shape[2:])


def _bad_label(name, target, ignore_index, x):
    """The error to raise for the first label that is neither a class nor ignored."""
    bad = (target != ignore_index) & ((target < 0) | (target >= x.shape[1]))
    label = target[bad.argmax()]
    return IndexError(f"{name}: target {label} is out of bounds for {x.shape[1]} classes")


@kernel()
def _nll_loss(logp, target, weight, y, total, ignore_index, reduction, label_smoothing):
    """The body of nll_loss; IndexError for a label that is neither a class nor ignored"""
    batch, classes, size = logp.shape
    check_labels(target, classes, ignore_index)
    losses, weights = 0.0, 0.0
    for n in range(batch):
        for s in range(size):
            label, loss = target[n * size + s], 0.0
            if label != ignore_index:
                scale = _label_weight(weight, label)
                loss = -(1 - label_smoothing) * scale * logp[n, label, s]
                if label_smoothing:
                    for c in range(classes):
                        weighted = _label_weight(weight, c) * logp[n, c, s]
                        loss -= label_smoothing / classes * weighted
                weights += scale
            losses += loss
            if reduction == 0:
                y[n * size + s] = loss
    total[0] = weights
    if reduction == 1:
        y[0] = losses / weights
    elif reduction == 2:
        y[0] = losses


@kernel(work=lambda gy, target, weight, total, gx, *_: gx.size)
def _nll_loss_grad(gy, target, weight, total, gx, ignore_index, reduction, label_smoothing):
    """The body of nll_loss_grad, with gy and total of one dimension."""
    batch, classes, size = gx.shape
    for n in prange(batch):
        for s in range(size):
            label = target[np.int64(n) * size + s]
            grad = _line_grad(gy, total, n, s, size, reduction)
            grad = 0.0 if label == ignore_index else grad
            share = grad * label_smoothing / classes
            for c in range(classes):
                gx[n, c, s] = -share * _label_weight(weight, c) if label_smoothing else 0
            if label != ignore_index:
                gx[n, label, s] -= (1 - label_smoothing) * grad * _label_weight(weight, label)


@kernel(work=lambda x, *_: 16 * x.size)
def _cross_entropy(x, target, weight, y, total, p, ignore_index, reduction, label_smoothing):
    """The body of cross_entropy; IndexError for a label that is neither a class nor ignored"""
    classes, size = x.shape[1:]
    check_labels(target, classes, ignore_index)
    narrow, wide = np.empty((2, _lines_of(x)), x.dtype), np.empty((2, _lines_of(x)))
    tops, totals, losses = narrow[0], wide[0], wide[1]
    for task in prange(_tasks(x)):
        _exponentials(x, p, task, tops, totals)
        _normalise(p, task, totals, narrow[1])
        o, a, b = _block(x, task)
        for k in range(a, b):
            n, i, line = (k, 0, k) if size == 1 else (o, k, o * size + k)
            label, loss, log_total = target[line], 0.0, math.log(totals[line])
            if label != ignore_index:
                logp = (x[n, label, i] - tops[line]) - log_total
                loss = -(1 - label_smoothing) * _label_weight(weight, label) * logp
                if label_smoothing:
                    for c in range(classes):
                        logp = (x[n, c, i] - tops[line]) - log_total
                        loss -= label_smoothing / classes * _label_weight(weight, c) * logp
            losses[line] = loss
    total_loss, weights = 0.0, 0.0
    for line in range(losses.size):
        total_loss += losses[line]
        if target[line] != ignore_index:
            weights += _label_weight(weight, target[line])
        if reduction == 0:
            y[line] = losses[line]
    total[0] = weights
    if reduction == 1:
        y[0] = total_loss / weights
    elif reduction == 2:
        y[0] = total_loss


@kernel(work=lambda gy, target, weight, total, p, *_: 2 * p.size)
def _cross_entropy_grad(gy, target, weight, total, p, gx, ignore_index, reduction, label_smoothing):
    """The body of cross_entropy_grad, with gy and total of one dimension."""
    classes, size = p.shape[1:]
    smooth_weight = 0.0
    if label_smoothing:
        for c in range(classes):
            smooth_weight += label_smoothing / classes * _label_weight(weight, c)
    for task in prange(_tasks(p)):
        o, a, b = _block(p, task)
        scales = np.zeros(b - a, p.dtype)
        for k in range(b - a):
            n, i = (a + k, 0) if size == 1 else (o, a + k)
            label = target[n * size + i]
            if label != ignore_index:
                scale = (1 - label_smoothing) * _label_weight(weight, label) + smooth_weight
                scales[k] = scale * _line_grad(gy, total, n, i, size, reduction)
        _scaled(p, gx, o, a, b, scales)
        for k in range(b - a):
            n, i = (a + k, 0) if size == 1 else (o, a + k)
            label = target[n * size + i]
            if label != ignore_index:
                grad = _line_grad(gy, total, n, i, size, reduction)
                gx[n, label, i] -= (1 - label_smoothing) * _label_weight(weight, label) * grad
                if label_smoothing:
                    for c in range(classes):
                        share = label_smoothing / classes * _label_weight(weight, c)
                        gx[n, c, i] -= share * grad


@kernel(work=lambda x, t, y: x.size, flat=True)
def mse_loss(x, t, y):
    """y = (x - t)^2"""
    for i in prange(y.size):
        y[i] = (x[i] - t[i]) ** 2


@kernel(work=lambda x, t, y: x.size, flat=True)
def l1_loss(x, t, y):
    """y = |x - t|"""
    for i in prange(y.size):
        y[i] = abs(x[i] - t[i])


@kernel(work=lambda x, t, y: 32 * x.size, flat=True)
def binary_cross_entropy(x, t, y):
    """y = -t*log(x) - (1-t)*log(1-x), either logarithm at least -100"""
    one, least = y.dtype.type(1), y.dtype.type(-100)
    for i in prange(y.size):
        log_x, log_rest = functions.log(x[i]), functions.log1p(-x[i])
        log_x = least if log_x < least else log_x
        log_rest = least if log_rest < least else log_rest
        y[i] = (t[i] - one) * log_rest - t[i] * log_x


@kernel(work=lambda x, t, y: 32 * x.size, flat=True)
def binary_cross_entropy_with_logits(x, t, y):
    """y = (1-t)*x + max(-x,0) + log(1 + exp(-|x|))"""
    one, zero = y.dtype.type(1), y.dtype.type(0)
    for i in prange(y.size):
        above = -x[i] if x[i] < zero else zero
        y[i] = (one - t[i]) * x[i] + above + functions.log1p(functions.decay(abs(x[i])))


@inner
def _lines_of(x):
    """How many lines x has"""
    return x.shape[0] * x.shape[2]


@inner
def _tasks(x):
    """How many blocks the lines of x make"""
    outer, n, size = x.shape
    if size == 1:
        rows = max(BLOCK // max(n, 1), 1)
        return (outer + rows - 1) // rows
    return outer * ((size + BLOCK - 1) // BLOCK)


@inner
def _block(x, task):
    """The lines of a block: rows x[a:b], o without meaning; or columns x[o,:,a:b]"""
    outer, n, size = x.shape
    if size == 1:
        rows = max(BLOCK // max(n, 1), 1)
        a = np.int64(task) * rows
        return np.int64(0), a, min(a + rows, outer)
    o, part = divmod(np.int64(task), (size + BLOCK - 1) // BLOCK)
    return o, part * BLOCK, min((part + 1) * BLOCK, size)


@inner
def _exponentials(x, e, task, tops, totals):
    """For a block's lines: tops = max x, e = exp(x - top), totals = sum e"""
    o, a, b = _block(x, task)
    if x.shape[2] != 1:
        first = o * x.shape[2]
        _column_exponentials(x[o], e[o], a, b, tops[first + a :], totals[first + a :])
        return
    rows = x.shape[0], x.shape[1]
    xs, es = x.reshape(rows)[a:b], e.reshape(rows)[a:b]
    if x.shape[1] < LONG:
        _short_exponentials(xs, es, tops[a:b], totals[a:b])
    else:
        _long_exponentials(xs, es, tops[a:b], totals[a:b])


@inner
def _top(x):
    """The largest of x, NaN if there is one"""
    highest = functions.ordered(x.dtype.type(-np.inf))
    for c in range(x.size):
        highest = max(highest, functions.ordered(x[c]))
    return functions.unordered(highest)


@inner
def _top_of_long(x):
    """The largest of x but for NaN, of which x - top is one in any case"""
    vector = lanes(x)
    a = b = c = d = filled(x, -np.inf)
    last = x.size - vector
    for i in range(0, last - 3 * vector + 1, 4 * vector):
        a, b = larger(load(x, i), a), larger(load(x, i + vector), b)
        c, d = larger(load(x, i + 2 * vector), c), larger(load(x, i + 3 * vector), d)
    # Of those left over some may be looked at twice.
    for k in range(4):
        a = larger(load(x, max(last - k * vector, 0)), a)
    return largest_of_lanes(larger(larger(a, b), larger(c, d)))


@inner
def _short_exponentials(x, e, tops, totals):
    """_exponentials of rows of few classes: each by itself would leave much of a vector empty"""
    for r in range(x.shape[0]):
        top = tops[r] = _top(x[r])
        for c in range(x.shape[1]):
            e[r, c] = top - x[r, c]
    every = e.reshape(-1)
    for i in range(every.size):
        every[i] = functions.decay(every[i])
    for r in range(x.shape[0]):
        totals[r] = _total(e[r])


@inner
def _long_exponentials(x, e, tops, totals):
    """_exponentials of rows"""
    for r in range(x.shape[0]):
        xs, es, top = x[r], e[r], _top_of_long(x[r])
        _decays(xs, top, es)
        tops[r], totals[r] = top, total_of_long(es, 0, es.size)


@inner
def _totals_of_rows(x, task, tops, totals):
    """tops = max x, totals = sum exp(x - top), of a block's rows"""
    _, a, b = _block(x, task)
    rows = x.reshape((x.shape[0], x.shape[1]))
    for r in range(a, b):
        tops[r] = _top_of_long(rows[r])
        totals[r] = _total_of_decays(rows[r], tops[r])


@inner
def _total_of_decays(x, top):
    """sum exp(x - top)"""
    apart()
    total = 0.0
    for first in range(0, x.size, BLOCK):
        some, part = x[first : first + BLOCK], x.dtype.type(0)
        for c in range(some.size):
            part += functions.decay(top - some[c])
        total += part
    return total


@inner
def _decays(x, top, e):
    """e = exp(x - top)"""
    apart()
    for c in range(x.size):
        e[c] = functions.decay(top - x[c])


@inner
def _total(x):
    """sum x"""
    total = 0.0
    for c in range(x.size):
        total += x[c]
    return total


@inner
def _column_exponentials(x, e, a, b, tops, totals):
    for i in range(b - a):
        tops[i], totals[i] = -np.inf, 0
    for c in range(x.shape[0]):
        xs = x[c, a:b]
        for i in range(xs.size):
            tops[i] = xs[i] if xs[i] > tops[i] else tops[i]
    for c in range(x.shape[0]):
        xs, es = x[c, a:b], e[c, a:b]
        for i in range(xs.size):
            es[i] = functions.decay(tops[i] - xs[i])
        # In a loop of its own: vectors of float64 are half as wide.
        for i in range(es.size):
            totals[i] += es[i]


@inner
def _normalise(e, task, totals, scales):
    """e / totals, for a block's lines; scales are what remains: 1 / totals"""
    o, a, b = _block(e, task)
    if e.shape[2] == 1:
        es = e.reshape(e.shape[0], e.shape[1])[a:b]
        for r in range(es.shape[0]):
            scale = scales[a + r] = 1 / totals[a + r]
            scale = e.dtype.type(scale)
            for c in range(es.shape[1]):
                es[r, c] *= scale
        return
    first = o * e.shape[2]
    some, factors = totals[first + a : first + b], scales[first + a : first + b]
    for i in range(some.size):
        factors[i] = 1 / some[i]
    for c in range(e.shape[1]):
        es = e[o, c, a:b]
        for i in range(es.size):
            es[i] *= factors[i]


@inner
def _logarithms(x, y, task, tops, totals, logs):
    """y = x - tops - log(totals), for a block's lines"""
    o, a, b = _block(x, task)
    if x.shape[2] == 1:
        rows = x.shape[0], x.shape[1]
        xs, ys = x.reshape(rows)[a:b], y.reshape(rows)[a:b]
        for r in range(xs.shape[0]):
            top, log_total = tops[a + r], x.dtype.type(math.log(totals[a + r]))
            for c in range(xs.shape[1]):
                ys[r, c] = _from_top(xs[r, c], top, log_total)
        return
    first = o * x.shape[2]
    some, log_totals = totals[first + a : first + b], logs[first + a : first + b]
    heights = tops[first + a : first + b]
    for i in range(some.size):
        log_totals[i] = math.log(some[i])
    for c in range(x.shape[1]):
        xs, ys = x[o, c, a:b], y[o, c, a:b]
        for i in range(xs.size):
            ys[i] = _from_top(xs[i], heights[i], log_totals[i])


@inner
def _scaled(p, gx, o, a, b, scales):
    """gx = scales * p, for a block's lines"""
    if p.shape[2] == 1:
        rows = p.shape[0], p.shape[1]
        ps, gxs = p.reshape(rows)[a:b], gx.reshape(rows)[a:b]
        for r in range(ps.shape[0]):
            scale = scales[r]
            for c in range(ps.shape[1]):
                gxs[r, c] = scale * ps[r, c]
    else:
        for c in range(p.shape[1]):
            ps, gxs = p[o, c, a:b], gx[o, c, a:b]
            for i in range(ps.size):
                gxs[i] = scales[i] * ps[i]


@exact
def _from_top(x, top, log_total):
    """(x - top) - log_total: the sum of the latter would be rounded far more"""
    return (x - top) - log_total


@inner
def _softmax_grad_block(gy, y, gx, task, totals, means):
    """gx = y * (gy - sum gy*y) for a block's lines"""
    o, a, b = _block(y, task)
    if y.shape[2] == 1:
        rows = y.shape[0], y.shape[1]
        gys, ys, gxs = gy.reshape(rows)[a:b], y.reshape(rows)[a:b], gx.reshape(rows)[a:b]
        for r in range(ys.shape[0]):
            total = 0.0
            for c in range(ys.shape[1]):
                total += gys[r, c] * ys[r, c]
            mean = y.dtype.type(total)
            for c in range(ys.shape[1]):
                gxs[r, c] = ys[r, c] * (gys[r, c] - mean)
        return
    first = o * y.shape[2]
    some, middles = totals[first + a : first + b], means[first + a : first + b]
    for i in range(some.size):
        some[i] = 0
    for c in range(y.shape[1]):
        gs, es = gy[o, c, a:b], y[o, c, a:b]
        for i in range(es.size):
            some[i] += gs[i] * es[i]
    for i in range(some.size):
        middles[i] = some[i]
    for c in range(y.shape[1]):
        gs, es, out = gy[o, c, a:b], y[o, c, a:b], gx[o, c, a:b]
        for i in range(es.size):
            out[i] = es[i] * (gs[i] - middles[i])


@inner
def _log_softmax_grad_block(gy, y, gx, task, totals, sums):
    """gx = gy - exp(y) * sum gy for a block's lines"""
    o, a, b = _block(y, task)
    if y.shape[2] == 1:
        rows = y.shape[0], y.shape[1]
        gys, ys, gxs = gy.reshape(rows)[a:b], y.reshape(rows)[a:b], gx.reshape(rows)[a:b]
        for r in range(ys.shape[0]):
            total = 0.0
            for c in range(ys.shape[1]):
                total += gys[r, c]
            _less_decays(gys[r], ys[r], y.dtype.type(total), gxs[r])
        return
    first = o * y.shape[2]
    some, narrow = totals[first + a : first + b], sums[first + a : first + b]
    for i in range(some.size):
        some[i] = 0
    for c in range(y.shape[1]):
        gs = gy[o, c, a:b]
        for i in range(gs.size):
            some[i] += gs[i]
    for i in range(some.size):
        narrow[i] = some[i]
    for c in range(y.shape[1]):
        gs, es, out = gy[o, c, a:b], y[o, c, a:b], gx[o, c, a:b]
        for i in range(es.size):
            out[i] = gs[i] - functions.decay(-es[i]) * narrow[i]


@inner
def _less_decays(gy, y, factor, gx):
    """gx = gy - exp(y) * factor"""
    apart()
    for c in range(y.size):
        gx[c] = gy[c] - functions.decay(-y[c]) * factor


@inner
def check_labels(target, classes, ignore_index):
    """Raise IndexError for a label that is neither ignored nor a class"""
    for line in range(target.size):
        label = target[line]
        if label != ignore_index and (label < 0 or label >= classes):
            raise IndexError("a target is out of bounds")


@inner
def _label_weight(weight, label):
    """The weight of a label: 1 unless weights are given"""
    return np.float64(weight[label]) if weight.size else 1.0


@inner
def _line_grad(gy, total, n, s, size, reduction):
    """The gradient of the loss of line n, s"""
    if reduction == 0:
        return np.float64(gy[np.int64(n) * size + s])
    return np.float64(gy[0]) / total[0] if reduction == 1 else np.float64(gy[0])
