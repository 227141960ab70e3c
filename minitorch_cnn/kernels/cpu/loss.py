"""Softmax and the losses, on x[outer,n,inner] along the middle axis or element by element.

A task owns a block of lines along the axis. Lines one after another (inner = 1) are rows, vectors
lie along them; lines beside one another are columns, vectors lie across them. Sums along an axis
and over a batch are in float64: a line may be long, and its exponentials of very different size.
"""

import math

import numpy as np

from ..jit import allocating, driver, exact, inner, kernel, prange
from . import functions

BLOCK = 1024  # elements of rows, or columns, in a task: what is kept of them stays in the cache


@kernel(work=lambda x, y: 16 * x.size)
def softmax(x, y):
    """y = exp(x - max x) / sum exp(x - max x)"""
    for task in prange(_tasks(x)):
        o, a, b = _block(x, task)
        tops, totals = np.empty(b - a, x.dtype), np.empty(b - a)
        _exponentials(x, y, o, a, b, tops, totals)
        _normalise(y, o, a, b, totals)


@kernel(work=lambda gy, y, gx: 4 * y.size)
def softmax_grad(gy, y, gx):
    """gx = y * (gy - sum gy*y)"""
    for task in prange(_tasks(y)):
        o, a, b = _block(y, task)
        if y.shape[2] == 1:
            _softmax_grad_rows(_rows(gy), _rows(y), _rows(gx), a, b)
        else:
            _softmax_grad_columns(gy[o], y[o], gx[o], a, b)


@kernel(work=lambda x, y: 16 * x.size)
def log_softmax(x, y):
    """y = x - max x - log sum exp(x - max x)"""
    for task in prange(_tasks(x)):
        o, a, b = _block(x, task)
        tops, totals = np.empty(b - a, x.dtype), np.empty(b - a)
        _exponentials(x, y, o, a, b, tops, totals)
        logs = np.empty(b - a, x.dtype)
        for i in range(totals.size):
            logs[i] = math.log(totals[i])
        if x.shape[2] == 1:
            xs, ys = _rows(x)[a:b], _rows(y)[a:b]
            for r in range(b - a):
                top, log_total = tops[r], logs[r]
                for c in range(x.shape[1]):
                    ys[r, c] = _from_top(xs[r, c], top, log_total)
        else:
            for c in range(x.shape[1]):
                xs, ys = x[o, c, a:b], y[o, c, a:b]
                for i in range(xs.size):
                    ys[i] = _from_top(xs[i], tops[i], logs[i])


@kernel(work=lambda gy, y, gx: 16 * y.size)
def log_softmax_grad(gy, y, gx):
    """gx = gy - exp(y) * sum gy"""
    for task in prange(_tasks(y)):
        o, a, b = _block(y, task)
        if y.shape[2] == 1:
            _log_softmax_grad_rows(_rows(gy), _rows(y), _rows(gx), a, b)
        else:
            _log_softmax_grad_columns(gy[o], y[o], gx[o], a, b)


@driver
def nll_loss(logp, target, weight, y, total, ignore_index, reduction, label_smoothing=0.0):
    """y = -weight[target] * logp[target], 0 where ignored; 1: sum y / total; 2: sum y

    With label_smoothing a, of n classes: (1-a) times that, - a/n sum weight*logp.
    """
    options = ignore_index, reduction, label_smoothing
    logp, target = _lines(logp), _line_labels(target)
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
    gx, target = _lines(gx), _line_labels(target)
    _nll_loss_grad(gy.reshape(-1), target, weight, total.reshape(-1), gx, *options)


@driver
def cross_entropy(x, target, weight, y, total, p, ignore_index, reduction, label_smoothing):
    """y = nll_loss of log_softmax(x); p = softmax(x)"""
    x, p, target = _lines(x), _lines(p), _line_labels(target)
    losses = np.empty(target.shape)
    options = ignore_index, reduction, label_smoothing
    y, total = y.reshape(-1), total.reshape(-1)
    try:
        _cross_entropy(x, target, weight, y, total, p, losses, *options)
    except IndexError:
        raise _bad_label("cross_entropy", target, ignore_index, x) from None


@driver
def cross_entropy_grad(
    gy, x, target, weight, total, p, gx, ignore_index, reduction, label_smoothing
):
    """gx = g - p sum g, g = nll_loss_grad; of x it needs no more than p = softmax(x)"""
    options = ignore_index, reduction, label_smoothing
    p, gx, target = _lines(p), _lines(gx), _line_labels(target)
    _cross_entropy_grad(gy.reshape(-1), target, weight, total.reshape(-1), p, gx, *options)


def _lines(x):
    """x[n,c,..] as x[n,c,s]"""
    return x if x.ndim == 3 else x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _line_labels(target):
    """target[n,..] as target[n,s]"""
    return target if target.ndim == 2 else target.reshape(len(target), math.prod(target.shape[1:]))


def _bad_label(name, target, ignore_index, x):
    """The error to raise for the first label that is neither a class nor ignored."""
    bad = (target != ignore_index) & ((target < 0) | (target >= x.shape[1]))
    label = target.flat[bad.argmax()]
    return IndexError(f"{name}: target {label} is out of bounds for {x.shape[1]} classes")


@kernel()
def _nll_loss(logp, target, weight, y, total, ignore_index, reduction, label_smoothing):
    """The body of nll_loss; IndexError for a label that is neither a class nor ignored"""
    batch, classes, size = logp.shape
    check_labels(target, classes, ignore_index)
    losses, weights = 0.0, 0.0
    for n in range(batch):
        for s in range(size):
            label, loss = target[n, s], 0.0
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
            label = target[n, s]
            grad = _line_grad(gy, total, n, s, size, reduction)
            grad = 0.0 if label == ignore_index else grad
            share = grad * label_smoothing / classes
            for c in range(classes):
                gx[n, c, s] = -share * _label_weight(weight, c) if label_smoothing else 0
            if label != ignore_index:
                gx[n, label, s] -= (1 - label_smoothing) * grad * _label_weight(weight, label)


@kernel(work=lambda x, *_: 16 * x.size)
def _cross_entropy(
    x, target, weight, y, total, p, losses, ignore_index, reduction, label_smoothing
):
    """The body of cross_entropy; IndexError for a label that is neither a class nor ignored"""
    outer, classes, size = x.shape
    check_labels(target, classes, ignore_index)
    for task in prange(_tasks(x)):
        o, a, b = _block(x, task)
        tops, totals = np.empty(b - a, x.dtype), np.empty(b - a)
        _exponentials(x, p, o, a, b, tops, totals)
        _normalise(p, o, a, b, totals)
        for k in range(b - a):
            n, i = (a + k, 0) if size == 1 else (o, a + k)
            label, loss, log_total = target[n, i], 0.0, math.log(totals[k])
            if label != ignore_index:
                logp = (x[n, label, i] - tops[k]) - log_total
                loss = -(1 - label_smoothing) * _label_weight(weight, label) * logp
                if label_smoothing:
                    for c in range(classes):
                        logp = (x[n, c, i] - tops[k]) - log_total
                        loss -= label_smoothing / classes * _label_weight(weight, c) * logp
            losses[n, i] = loss
    total_loss, weights = 0.0, 0.0
    for n in range(outer):
        for i in range(size):
            total_loss += losses[n, i]
            if target[n, i] != ignore_index:
                weights += _label_weight(weight, target[n, i])
            if reduction == 0:
                y[n * size + i] = losses[n, i]
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
            label = target[n, i]
            if label != ignore_index:
                scale = (1 - label_smoothing) * _label_weight(weight, label) + smooth_weight
                scales[k] = scale * _line_grad(gy, total, n, i, size, reduction)
        if size == 1:
            ps, gxs = _rows(p)[a:b], _rows(gx)[a:b]
            for k in range(b - a):
                scale = scales[k]
                for c in range(classes):
                    gxs[k, c] = scale * ps[k, c]
        else:
            for c in range(classes):
                ps, gxs = p[o, c, a:b], gx[o, c, a:b]
                for i in range(ps.size):
                    gxs[i] = scales[i] * ps[i]
        for k in range(b - a):
            n, i = (a + k, 0) if size == 1 else (o, a + k)
            label = target[n, i]
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


@allocating
def _rows(x):
    """x[outer,n,1] as [outer,n]: rows are contiguous, as the compiler must see"""
    return x.reshape(x.shape[0], x.shape[1])


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


@allocating
def _exponentials(x, e, o, a, b, tops, totals):
    """For a block's lines: tops = max x, e = exp(x - top), totals = sum e"""
    if x.shape[2] == 1:
        _row_exponentials(_rows(x)[a:b], _rows(e)[a:b], tops, totals)
    else:
        _column_exponentials(x[o], e[o], a, b, tops, totals)


@inner
def _row_exponentials(x, e, tops, totals):
    for r in range(x.shape[0]):
        highest = functions.ordered(x.dtype.type(-np.inf))
        for c in range(x.shape[1]):
            highest = max(highest, functions.ordered(x[r, c]))
        top = tops[r] = functions.unordered(highest)
        for c in range(x.shape[1]):
            e[r, c] = top - x[r, c]
    # The rows as one: few classes would leave much of a vector empty.
    every = e.reshape(-1)
    for i in range(every.size):
        every[i] = functions.decay(every[i])
    for r in range(x.shape[0]):
        total = 0.0
        for c in range(x.shape[1]):
            total += e[r, c]
        totals[r] = total


@inner
def _column_exponentials(x, e, a, b, tops, totals):
    for i in range(totals.size):
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


@allocating
def _normalise(e, o, a, b, totals):
    """e / totals, for a block's lines"""
    if e.shape[2] == 1:
        es = _rows(e)[a:b]
        for r in range(totals.size):
            scale = e.dtype.type(1 / totals[r])
            for c in range(es.shape[1]):
                es[r, c] *= scale
    else:
        scales = np.empty(totals.size, e.dtype)
        for i in range(totals.size):
            scales[i] = 1 / totals[i]
        for c in range(e.shape[1]):
            es = e[o, c, a:b]
            for i in range(es.size):
                es[i] *= scales[i]


@exact
def _from_top(x, top, log_total):
    """(x - top) - log_total: the sum of the latter would be rounded far more"""
    return (x - top) - log_total


@inner
def _softmax_grad_rows(gy, y, gx, a, b):
    for r in range(a, b):
        total = 0.0
        for c in range(y.shape[1]):
            total += gy[r, c] * y[r, c]
        mean = y.dtype.type(total)
        for c in range(y.shape[1]):
            gx[r, c] = y[r, c] * (gy[r, c] - mean)


@allocating
def _softmax_grad_columns(gy, y, gx, a, b):
    totals, means = np.zeros(b - a), np.empty(b - a, y.dtype)
    for c in range(y.shape[0]):
        gys, ys = gy[c, a:b], y[c, a:b]
        for i in range(ys.size):
            totals[i] += gys[i] * ys[i]
    for i in range(totals.size):
        means[i] = totals[i]
    for c in range(y.shape[0]):
        gys, ys, gxs = gy[c, a:b], y[c, a:b], gx[c, a:b]
        for i in range(ys.size):
            gxs[i] = ys[i] * (gys[i] - means[i])


@inner
def _log_softmax_grad_rows(gy, y, gx, a, b):
    for r in range(a, b):
        total = 0.0
        for c in range(y.shape[1]):
            total += gy[r, c]
        sum_ = y.dtype.type(total)
        for c in range(y.shape[1]):
            gx[r, c] = gy[r, c] - functions.decay(-y[r, c]) * sum_


@allocating
def _log_softmax_grad_columns(gy, y, gx, a, b):
    totals, sums = np.zeros(b - a), np.empty(b - a, y.dtype)
    for c in range(y.shape[0]):
        gys = gy[c, a:b]
        for i in range(gys.size):
            totals[i] += gys[i]
    for i in range(totals.size):
        sums[i] = totals[i]
    for c in range(y.shape[0]):
        gys, ys, gxs = gy[c, a:b], y[c, a:b], gx[c, a:b]
        for i in range(ys.size):
            gxs[i] = gys[i] - functions.decay(-ys[i]) * sums[i]


@inner
def check_labels(target, classes, ignore_index):
    """Raise IndexError for a label that is neither ignored nor a class"""
    for n in range(target.shape[0]):
        for s in range(target.shape[1]):
            label = target[n, s]
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
