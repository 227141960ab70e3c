"""Softmax and the losses, on x[outer,n,inner] along the middle axis or element by element.

Each task owns a line along the axis, an image or an element. Sums along an axis and over a batch
are in float64: a line may be long, and its exponentials of very different size.
"""

import math

import numpy as np

from ..jit import inner, kernel, prange


@kernel(work=lambda x, y: 16 * x.size)
def softmax(x, y):
    """y = exp(x - max x) / sum exp(x - max x)"""
    outer, _, size = x.shape
    for line in prange(outer * size):
        o, i = divmod(np.int64(line), size)
        # A line alone in its row is contiguous: the compiler must see it to make vector code.
        if size == 1:
            _softmax(_lines(x)[o], _lines(y)[o])
        else:
            _softmax(x[o, :, i], y[o, :, i])


@kernel(work=lambda gy, y, gx: 4 * y.size)
def softmax_grad(gy, y, gx):
    """gx = y * (gy - sum gy*y)"""
    outer, _, size = y.shape
    for line in prange(outer * size):
        o, i = divmod(np.int64(line), size)
        if size == 1:
            _softmax_grad(_lines(gy)[o], _lines(y)[o], _lines(gx)[o])
        else:
            _softmax_grad(gy[o, :, i], y[o, :, i], gx[o, :, i])


@kernel(work=lambda x, y: 16 * x.size)
def log_softmax(x, y):
    """y = x - max x - log sum exp(x - max x)"""
    outer, _, size = x.shape
    for line in prange(outer * size):
        o, i = divmod(np.int64(line), size)
        if size == 1:
            _log_softmax(_lines(x)[o], _lines(y)[o])
        else:
            _log_softmax(x[o, :, i], y[o, :, i])


@kernel(work=lambda gy, y, gx: 16 * y.size)
def log_softmax_grad(gy, y, gx):
    """gx = gy - exp(y) * sum gy"""
    outer, _, size = y.shape
    for line in prange(outer * size):
        o, i = divmod(np.int64(line), size)
        if size == 1:
            _log_softmax_grad(_lines(gy)[o], _lines(y)[o], _lines(gx)[o])
        else:
            _log_softmax_grad(gy[o, :, i], y[o, :, i], gx[o, :, i])


def nll_loss(logp, target, weight, y, total, ignore_index, reduction):
    """y = -weight[target] * logp[target], 0 where ignored; 1: sum y / total; 2: sum y"""
    classes, bad = logp.shape[1], np.empty(1, np.int64)
    _bad_label(target, bad, classes, ignore_index)
    if bad[0] >= 0:
        raise IndexError(
            f"nll_loss: target {target.flat[bad[0]]} is out of bounds for {classes} classes"
        )
    _nll_loss(logp, target, weight, y.reshape(-1), total.reshape(-1), ignore_index, reduction)


def nll_loss_grad(gy, target, weight, total, gx, ignore_index, reduction):
    """gx[target] = -weight[target] * gy, 0 elsewhere and where ignored; 1: divided by total"""
    _nll_loss_grad(gy.reshape(-1), target, weight, total.reshape(-1), gx, ignore_index, reduction)


@kernel(flat=True)
def _bad_label(target, bad, classes, ignore_index):
    """bad = the first position whose label is neither ignored nor in 0:classes, else -1"""
    bad[0] = -1
    for s in range(target.size):
        if target[s] != ignore_index and not 0 <= target[s] < classes:
            bad[0] = s
            return


@kernel()
def _nll_loss(logp, target, weight, y, total, ignore_index, reduction):
    """The body of nll_loss, with y and total of one dimension."""
    batch, _, size = logp.shape
    losses, weights = 0.0, 0.0
    for n in range(batch):
        for s in range(size):
            label = target[n, s]
            scale = _label_weight(weight, label, ignore_index, y.dtype.type(1))
            loss = -scale * logp[n, label, s] if label != ignore_index else y.dtype.type(0)
            losses += loss
            weights += scale
            if reduction == 0:
                y[n * size + s] = loss
    total[0] = weights
    if reduction == 1:
        y[0] = losses / weights
    elif reduction == 2:
        y[0] = losses


@kernel(work=lambda gy, target, weight, total, gx, *_: gx.size)
def _nll_loss_grad(gy, target, weight, total, gx, ignore_index, reduction):
    """The body of nll_loss_grad, with gy and total of one dimension."""
    batch, _, size = gx.shape
    for n in prange(batch):
        gx[n] = 0
        for s in range(size):
            label = target[n, s]
            if label != ignore_index:
                grad = gy[np.int64(n) * size + s] if reduction == 0 else gy[0]
                if reduction == 1:
                    grad /= total[0]
                gx[n, label, s] = -_label_weight(weight, label, ignore_index, grad)


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
    for i in prange(y.size):
        y[i] = (t[i] - 1) * _clamped(np.log1p(-x[i])) - t[i] * _clamped(np.log(x[i]))


@kernel(work=lambda x, t, y: 32 * x.size, flat=True)
def binary_cross_entropy_with_logits(x, t, y):
    """y = (1-t)*x + max(-x,0) + log(1 + exp(-|x|))"""
    for i in prange(y.size):
        y[i] = (1 - t[i]) * x[i] + max(-x[i], 0) + np.log1p(np.exp(-abs(x[i])))


@inner
def _lines(x):
    """x[outer,n,1] as [outer,n]"""
    return x.reshape(x.shape[0], x.shape[1])


@inner
def _max(x):
    """max x, or -inf"""
    top = x.dtype.type(-np.inf)
    for i in range(x.size):
        top = max(top, x[i])
    return top


@inner
def _softmax(x, y):
    top, total = _max(x), 0.0
    for i in range(x.size):
        y[i] = math.exp(x[i] - top)
        total += y[i]
    scale = y.dtype.type(1 / total)
    for i in range(x.size):
        y[i] *= scale


@inner
def _softmax_grad(gy, y, gx):
    total = 0.0
    for i in range(y.size):
        total += gy[i] * y[i]
    mean = y.dtype.type(total)
    for i in range(y.size):
        gx[i] = y[i] * (gy[i] - mean)


@inner
def _log_softmax(x, y):
    top, total = _max(x), 0.0
    # x - max is kept in y, lest the compiler add max and the logarithm, which rounds far more.
    for i in range(x.size):
        y[i] = x[i] - top
        total += math.exp(y[i])
    log_total = y.dtype.type(np.log(total))
    for i in range(x.size):
        y[i] -= log_total


@inner
def _log_softmax_grad(gy, y, gx):
    total = 0.0
    for i in range(y.size):
        total += gy[i]
    sum_ = y.dtype.type(total)
    for i in range(y.size):
        gx[i] = gy[i] - math.exp(y[i]) * sum_


@inner
def _label_weight(weight, label, ignore_index, unit):
    """unit times the weight of a label"""
    if label == ignore_index:
        return unit * 0
    return unit * weight[label] if weight.size else unit


@inner
def _clamped(x):
    """max(x, -100); NaN passes"""
    return -100.0 if x < -100 else x
