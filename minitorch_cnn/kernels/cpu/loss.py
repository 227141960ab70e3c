"""Softmax and the losses, on x[outer,n,inner] along the middle axis or element by element.

A task owns a block of lines along the axis: rows (inner = 1) or columns, each with a kernel of its
own, so that only what is needed is compiled. Sums along an axis and over a batch are in float64.
"""

import functools
import math

import numpy as np

from ..jit import driver, inner, kernel, prange
from . import functions
from .lines import (
    LONG,
    column_block,
    column_exponentials,
    column_tasks,
    divide_columns,
    divide_rows,
    from_top,
    less_decays,
    long_exponentials,
    row_block,
    row_exponentials,
    row_tasks,
    row_totals,
    short_exponentials,
)


@driver
def softmax(x, y, dim=1):
    """y = exp(x - max x) / sum exp(x - max x) along a dimension"""
    _along(dim, _softmax_rows, _softmax_columns, x, y)


@driver
def softmax_grad(gy, y, gx, dim=1):
    """gx = y * (gy - sum gy*y)"""
    _along(dim, _softmax_grad_rows, _softmax_grad_columns, gy, y, gx)


@driver
def log_softmax(x, y, dim=1):
    """y = x - max x - log sum exp(x - max x) along a dimension"""
    _along(dim, _log_softmax_rows, _log_softmax_columns, x, y)


@driver
def log_softmax_grad(gy, y, gx, dim=1):
    """gx = gy - exp(y) * sum gy"""
    _along(dim, _log_softmax_grad_rows, _log_softmax_grad_columns, gy, y, gx)


def _along(dim, of_rows, of_columns, *arrays):
    """Call the kernel for lines that lie along a dimension."""
    shape = _about(arrays[0].shape, dim)
    compiled = of_rows if len(shape) == 2 else of_columns
    compiled(*[a.reshape(shape) for a in arrays])


@functools.cache
def _about(shape, dim):
    """The shape as that of rows or columns along a dimension; that of a number, with none, is 1."""
    n = shape[dim] if shape else 1
    size = math.prod(shape[dim + 1 :])
    return (math.prod(shape[:dim]), n) if size == 1 else (math.prod(shape[:dim]), n, size)


@kernel(work=lambda x, y: 16 * x.size)
def _softmax_rows(x, y):
    """softmax of rows"""
    tops, totals = np.empty(x.shape[0], x.dtype), np.empty(x.shape[0])
    for task in prange(row_tasks(x)):
        a, b = row_block(x, task)
        row_exponentials(x[a:b], y[a:b], tops[a:b], totals[a:b])
        divide_rows(y[a:b], totals[a:b])


@kernel(work=lambda x, y: 16 * x.size)
def _softmax_columns(x, y):
    """softmax of columns"""
    outer, _, size = x.shape
    tops, totals = np.empty((outer, size), x.dtype), np.empty((outer, size))
    for task in prange(column_tasks(x)):
        o, a, b = column_block(x, task)
        column_exponentials(x[o], y[o], a, b, tops[o, a:b], totals[o, a:b])
        divide_columns(y[o], a, b, totals[o, a:b], tops[o, a:b])


@kernel(work=lambda gy, y, gx: 4 * y.size)
def _softmax_grad_rows(gy, y, gx):
    """softmax_grad of rows"""
    for task in prange(row_tasks(y)):
        a, b = row_block(y, task)
        for r in range(a, b):
            gs, es, out, total = gy[r], y[r], gx[r], 0.0
            for c in range(es.size):
                total += gs[c] * es[c]
            mean = y.dtype.type(total)
            for c in range(es.size):
                out[c] = es[c] * (gs[c] - mean)


@kernel(work=lambda gy, y, gx: 4 * y.size)
def _softmax_grad_columns(gy, y, gx):
    """softmax_grad of columns"""
    outer, n, size = y.shape
    wide, narrow = np.empty((outer, size)), np.empty((outer, size), y.dtype)
    for task in prange(column_tasks(y)):
        o, a, b = column_block(y, task)
        totals, means = wide[o, a:b], narrow[o, a:b]
        for i in range(totals.size):
            totals[i] = 0
        for c in range(n):
            gs, es = gy[o, c, a:b], y[o, c, a:b]
            for i in range(es.size):
                totals[i] += gs[i] * es[i]
        for i in range(totals.size):
            means[i] = totals[i]
        for c in range(n):
            gs, es, out = gy[o, c, a:b], y[o, c, a:b], gx[o, c, a:b]
            for i in range(es.size):
                out[i] = es[i] * (gs[i] - means[i])


@kernel(work=lambda x, y: 16 * x.size)
def _log_softmax_rows(x, y):
    """log_softmax of rows"""
    tops, totals = np.empty(x.shape[0], x.dtype), np.empty(x.shape[0])
    for task in prange(row_tasks(x)):
        a, b = row_block(x, task)
        if x.shape[1] < LONG:
            row_exponentials(x[a:b], y[a:b], tops[a:b], totals[a:b])
        else:
            row_totals(x[a:b], tops[a:b], totals[a:b])
        for r in range(a, b):
            xs, ys, top = x[r], y[r], tops[r]
            log_total = x.dtype.type(math.log(totals[r]))
            for c in range(xs.size):
                ys[c] = from_top(xs[c], top, log_total)


@kernel(work=lambda x, y: 16 * x.size)
def _log_softmax_columns(x, y):
    """log_softmax of columns"""
    outer, n, size = x.shape
    narrow, wide = np.empty((2, outer, size), x.dtype), np.empty((outer, size))
    for task in prange(column_tasks(x)):
        o, a, b = column_block(x, task)
        tops, log_totals, totals = narrow[0, o, a:b], narrow[1, o, a:b], wide[o, a:b]
        column_exponentials(x[o], y[o], a, b, tops, totals)
        for i in range(totals.size):
            log_totals[i] = math.log(totals[i])
        for c in range(n):
            xs, ys = x[o, c, a:b], y[o, c, a:b]
            for i in range(xs.size):
                ys[i] = from_top(xs[i], tops[i], log_totals[i])


@kernel(work=lambda gy, y, gx: 16 * y.size)
def _log_softmax_grad_rows(gy, y, gx):
    """log_softmax_grad of rows"""
    for task in prange(row_tasks(y)):
        a, b = row_block(y, task)
        for r in range(a, b):
            gs, total = gy[r], 0.0
            for c in range(gs.size):
                total += gs[c]
            less_decays(gs, y[r], y.dtype.type(total), gx[r])


@kernel(work=lambda gy, y, gx: 16 * y.size)
def _log_softmax_grad_columns(gy, y, gx):
    """log_softmax_grad of columns"""
    outer, n, size = y.shape
    wide, narrow = np.empty((outer, size)), np.empty((outer, size), y.dtype)
    for task in prange(column_tasks(y)):
        o, a, b = column_block(y, task)
        totals, sums = wide[o, a:b], narrow[o, a:b]
        for i in range(totals.size):
            totals[i] = 0
        for c in range(n):
            gs = gy[o, c, a:b]
            for i in range(gs.size):
                totals[i] += gs[i]
        for i in range(totals.size):
            sums[i] = totals[i]
        for c in range(n):
            gs, es, out = gy[o, c, a:b], y[o, c, a:b], gx[o, c, a:b]
            for i in range(es.size):
                out[i] = gs[i] - functions.decay(-es[i]) * sums[i]


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
    options = ignore_index, reduction, label_smoothing
    shape, target = _about(x.shape, 1), target.reshape(-1)
    x, y, total, p = x.reshape(shape), y.reshape(-1), total.reshape(-1), p.reshape(shape)
    of_rows = _cross_entropy_short_rows if x.shape[1] < LONG else _cross_entropy_long_rows
    compiled = of_rows if len(shape) == 2 else _cross_entropy_columns
    try:
        compiled(x, target, weight, y, total, p, *options)
    except IndexError:
        raise _bad_label("cross_entropy", target, ignore_index, x) from None


@driver
def cross_entropy_grad(
    gy, x, target, weight, total, p, gx, ignore_index, reduction, label_smoothing
):
    """gx = g - p sum g, g = nll_loss_grad; of x it needs no more than p = softmax(x)"""
    options = ignore_index, reduction, label_smoothing
    shape, target = _about(p.shape, 1), target.reshape(-1)
    gy, total, p, gx = gy.reshape(-1), total.reshape(-1), p.reshape(shape), gx.reshape(shape)
    compiled = _cross_entropy_grad_rows if len(shape) == 2 else _cross_entropy_grad_columns
    compiled(gy, target, weight, total, p, gx, *options)


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
            grad = _line_grad(gy, total, np.int64(n) * size + s, reduction)
            grad = 0.0 if label == ignore_index else grad
            share = grad * label_smoothing / classes
            for c in range(classes):
                gx[n, c, s] = -share * _label_weight(weight, c) if label_smoothing else 0
            if label != ignore_index:
                gx[n, label, s] -= (1 - label_smoothing) * grad * _label_weight(weight, label)


# Numba spreads a `prange` over threads only where it stands in the kernel itself: so the two for
# rows repeat their frame, and share `_row_losses`.


@kernel(work=lambda x, *_: 16 * x.size)
def _cross_entropy_short_rows(
    x, target, weight, y, total, p, ignore_index, reduction, label_smoothing
):
    """cross_entropy of rows of few classes; IndexError for a label neither a class nor ignored"""
    check_labels(target, x.shape[1], ignore_index)
    tops, wide = np.empty(x.shape[0], x.dtype), np.empty((2, x.shape[0]))
    totals, losses = wide[0], wide[1]
    for task in prange(row_tasks(x)):
        a, b = row_block(x, task)
        short_exponentials(x[a:b], p[a:b], tops[a:b], totals[a:b])
        _row_losses(x, target, weight, p, tops, totals, losses, a, b, ignore_index, label_smoothing)
    _reduce_losses(losses, target, weight, y, total, ignore_index, reduction)


@kernel(work=lambda x, *_: 16 * x.size)
def _cross_entropy_long_rows(
    x, target, weight, y, total, p, ignore_index, reduction, label_smoothing
):
    """cross_entropy of rows of many classes; IndexError for a label neither a class nor ignored"""
    check_labels(target, x.shape[1], ignore_index)
    tops, wide = np.empty(x.shape[0], x.dtype), np.empty((2, x.shape[0]))
    totals, losses = wide[0], wide[1]
    for task in prange(row_tasks(x)):
        a, b = row_block(x, task)
        long_exponentials(x[a:b], p[a:b], tops[a:b], totals[a:b])
        _row_losses(x, target, weight, p, tops, totals, losses, a, b, ignore_index, label_smoothing)
    _reduce_losses(losses, target, weight, y, total, ignore_index, reduction)


@inner
def _row_losses(x, target, weight, p, tops, totals, losses, a, b, ignore_index, label_smoothing):
    """losses of the rows x[a:b], and p of these, where the exponentials are"""
    divide_rows(p[a:b], totals[a:b])
    for r in range(a, b):
        label, losses[r] = target[r], 0.0
        if label != ignore_index:
            losses[r] = _line_loss(x[r], label, weight, tops[r], totals[r], label_smoothing)


@kernel(work=lambda x, *_: 16 * x.size)
def _cross_entropy_columns(
    x, target, weight, y, total, p, ignore_index, reduction, label_smoothing
):
    """cross_entropy of columns; IndexError for a label that is neither a class nor ignored"""
    outer, classes, size = x.shape
    check_labels(target, classes, ignore_index)
    narrow, wide = np.empty((2, outer, size), x.dtype), np.empty((outer, size))
    losses = np.empty(outer * size)
    for task in prange(column_tasks(x)):
        o, a, b = column_block(x, task)
        tops, totals = narrow[0, o, a:b], wide[o, a:b]
        column_exponentials(x[o], p[o], a, b, tops, totals)
        divide_columns(p[o], a, b, totals, narrow[1, o, a:b])
        for i in range(b - a):
            line, xs = o * size + a + i, x[o, :, a + i]
            label, losses[line] = target[line], 0.0
            if label != ignore_index:
                losses[line] = _line_loss(xs, label, weight, tops[i], totals[i], label_smoothing)
    _reduce_losses(losses, target, weight, y, total, ignore_index, reduction)


@kernel(work=lambda gy, target, weight, total, p, *_: 2 * p.size)
def _cross_entropy_grad_rows(
    gy, target, weight, total, p, gx, ignore_index, reduction, label_smoothing
):
    """cross_entropy_grad of rows"""
    spread = _spread_weight(weight, p.shape[1], label_smoothing)
    for task in prange(row_tasks(p)):
        a, b = row_block(p, task)
        for r in range(a, b):
            label, ps, gxs, grad, scale = target[r], p[r], gx[r], 0.0, p.dtype.type(0)
            if label != ignore_index:
                grad = _line_grad(gy, total, r, reduction)
                scale = p.dtype.type(_scale(weight, label, label_smoothing, spread) * grad)
            for c in range(ps.size):
                gxs[c] = scale * ps[c]
            if label != ignore_index:
                _subtract_targets(gxs, label, weight, grad, label_smoothing)


@kernel(work=lambda gy, target, weight, total, p, *_: 2 * p.size)
def _cross_entropy_grad_columns(
    gy, target, weight, total, p, gx, ignore_index, reduction, label_smoothing
):
    """cross_entropy_grad of columns"""
    outer, classes, size = p.shape
    spread = _spread_weight(weight, classes, label_smoothing)
    scales, grads = np.zeros((outer, size), p.dtype), np.empty((outer, size))
    for task in prange(column_tasks(p)):
        o, a, b = column_block(p, task)
        labels = target[o * size + a : o * size + b]
        some, factors = grads[o, a:b], scales[o, a:b]
        for i in range(labels.size):
            if labels[i] != ignore_index:
                some[i] = _line_grad(gy, total, o * size + a + i, reduction)
                factors[i] = _scale(weight, labels[i], label_smoothing, spread) * some[i]
        for c in range(classes):
            ps, gxs = p[o, c, a:b], gx[o, c, a:b]
            for i in range(ps.size):
                gxs[i] = factors[i] * ps[i]
        for i in range(labels.size):
            if labels[i] != ignore_index:
                gxs = gx[o, :, a + i]
                _subtract_targets(gxs, labels[i], weight, some[i], label_smoothing)


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
def _line_loss(x, label, weight, top, total, label_smoothing):
    """cross_entropy of a line x with total = sum exp(x - top)"""
    log_total = math.log(total)
    logp = (x[label] - top) - log_total
    loss = -(1 - label_smoothing) * _label_weight(weight, label) * logp
    if label_smoothing:
        for c in range(x.size):
            logp = (x[c] - top) - log_total
            loss -= label_smoothing / x.size * _label_weight(weight, c) * logp
    return loss


@inner
def _reduce_losses(losses, target, weight, y, total, ignore_index, reduction):
    """y and total of cross_entropy"""
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


@inner
def _line_grad(gy, total, line, reduction):
    """The gradient of a line's loss"""
    if reduction == 0:
        return np.float64(gy[line])
    return np.float64(gy[0]) / total[0] if reduction == 1 else np.float64(gy[0])


@inner
def _spread_weight(weight, classes, label_smoothing):
    """a/n sum weight, of n classes, with label_smoothing a"""
    total = 0.0
    if label_smoothing:
        for c in range(classes):
            total += label_smoothing / classes * _label_weight(weight, c)
    return total


@inner
def _scale(weight, label, label_smoothing, spread):
    """What stands before the logarithms of a line's probabilities, all together"""
    return (1 - label_smoothing) * _label_weight(weight, label) + spread


@inner
def _subtract_targets(gx, label, weight, grad, label_smoothing):
    """gx -= grad times what stands before the logarithm of each of a line's probabilities"""
    gx[label] -= (1 - label_smoothing) * _label_weight(weight, label) * grad
    if label_smoothing:
        for c in range(gx.size):
            gx[c] -= label_smoothing / gx.size * _label_weight(weight, c) * grad
