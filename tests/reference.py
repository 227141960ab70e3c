"""Slow, obvious references in float64, against which the tests compare the framework.

Each follows its definition, with loops where a formula would hide something. None of them imports
the framework.
"""

import math

import numpy as np

INF = float("inf")


def pair(value):
    """A number as two equal ones; a pair as it is."""
    return (value, value) if isinstance(value, int) else tuple(value)


# Sizes


def conv_output_size(size, kernel, stride=1, padding=0, dilation=1):
    """floor((size + 2*padding - dilation*(kernel-1) - 1) / stride) + 1"""
    return math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1


def pool_output_size(size, kernel, stride, padding=0, dilation=1, ceil_mode=False):
    """A convolution's, or rounded up as long as every window starts in the input or left of it."""
    rounded = math.ceil if ceil_mode else math.floor
    windows = rounded((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
    if ceil_mode and (windows - 1) * stride >= size + padding:
        windows -= 1
    return windows


# Convolution


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, output_size=None):
    """Cross-correlation as libraries mean it. `padding` is above and to the left; below and to the
    right it is the same, or whatever `output_size` asks for."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    batch, _, height, width = x.shape
    out_channels, group_channels, kh, kw = w.shape
    oh, ow = output_size or (
        conv_output_size(height, kh, sh, ph, dh),
        conv_output_size(width, kw, sw, pw, dw),
    )
    y = np.zeros((batch, out_channels, oh, ow))
    for n, o, i, j in np.ndindex(y.shape):
        first = o // (out_channels // groups) * group_channels
        for c, u, v in np.ndindex(group_channels, kh, kw):
            r, s = i * sh + u * dh - ph, j * sw + v * dw - pw
            if 0 <= r < height and 0 <= s < width:
                y[n, o, i, j] += float(x[n, first + c, r, s]) * float(w[o, c, u, v])
        if b is not None:
            y[n, o, i, j] += b[o]
    return y


def conv2d_grads(gy, x, w, stride=1, padding=0, dilation=1, groups=1):
    """(gx, gw): each product gy * x * w of the convolution, handed to its x and to its w."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    height, width = x.shape[2:]
    out_channels, group_channels, kh, kw = w.shape
    gx, gw = np.zeros(x.shape), np.zeros(w.shape)
    for n, o, i, j in np.ndindex(gy.shape):
        first = o // (out_channels // groups) * group_channels
        for c, u, v in np.ndindex(group_channels, kh, kw):
            r, s = i * sh + u * dh - ph, j * sw + v * dw - pw
            if 0 <= r < height and 0 <= s < width:
                gx[n, first + c, r, s] += float(gy[n, o, i, j]) * float(w[o, c, u, v])
                gw[o, c, u, v] += float(gy[n, o, i, j]) * float(x[n, first + c, r, s])
    return gx, gw


def convolve2d(x, w, stride=1, padding=0):
    """True convolution of two-dimensional arrays: the kernel is turned by half a circle."""
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    (height, width), (kh, kw) = x.shape, w.shape
    y = np.zeros((conv_output_size(height, kh, sh, ph), conv_output_size(width, kw, sw, pw)))
    for i, j in np.ndindex(y.shape):
        for u, v in np.ndindex(kh, kw):
            r, s = i * sh + u - ph, j * sw + v - pw
            if 0 <= r < height and 0 <= s < width:
                y[i, j] += x[r, s] * w[kh - 1 - u, kw - 1 - v]
    return y


# Pooling


def max_pool2d(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    """(values, indices in the flattened plane): the first of equal maxima, but the last NaN. The
    index is -1 where a window holds nothing but padding."""
    (kh, kw), (ph, pw), (dh, dw) = pair(kernel), pair(padding), pair(dilation)
    sh, sw = pair(kernel if stride is None else stride)
    batch, channels, height, width = x.shape
    oh = pool_output_size(height, kh, sh, ph, dh, ceil_mode)
    ow = pool_output_size(width, kw, sw, pw, dw, ceil_mode)
    values = np.full((batch, channels, oh, ow), -INF)
    indices = np.full(values.shape, -1, np.int64)
    for at in np.ndindex(values.shape):
        n, c, i, j = at
        for u, v in np.ndindex(kh, kw):
            r, s = i * sh + u * dh - ph, j * sw + v * dw - pw
            if 0 <= r < height and 0 <= s < width:
                value = x[n, c, r, s]
                if indices[at] == -1 or value > values[at] or math.isnan(value):
                    values[at], indices[at] = value, r * width + s
    return values, indices


def max_pool2d_grad(gy, indices, input_size):
    """Each gradient goes to the position its maximum came from."""
    gx = np.zeros((*gy.shape[:2], input_size[0] * input_size[1]))
    for n, c, i, j in np.ndindex(gy.shape):
        if indices[n, c, i, j] >= 0:
            gx[n, c, indices[n, c, i, j]] += gy[n, c, i, j]
    return gx.reshape(*gy.shape[:2], *input_size)


def avg_pool2d_windows(
    input_size,
    kernel,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """The output's size, and for each output the positions averaged and what divides their sum.

    Padding counts where count_include_pad says so, but what ceil_mode adds beyond it never does."""
    (height, width), (kh, kw), (ph, pw) = input_size, pair(kernel), pair(padding)
    sh, sw = pair(kernel if stride is None else stride)
    oh = pool_output_size(height, kh, sh, ph, 1, ceil_mode)
    ow = pool_output_size(width, kw, sw, pw, 1, ceil_mode)
    windows = {}
    for i, j in np.ndindex(oh, ow):
        cells = [(i * sh - ph + u, j * sw - pw + v) for u, v in np.ndindex(kh, kw)]
        padded = [(r, s) for r, s in cells if r < height + ph and s < width + pw]
        inside = [(r, s) for r, s in padded if 0 <= r < height and 0 <= s < width]
        counted = len(padded if count_include_pad else inside)
        windows[i, j] = inside, divisor_override or max(counted, 1)
    return (oh, ow), windows


def adaptive_avg_pool2d_windows(input_size, output_size):
    """As avg_pool2d_windows: output i averages floor(i*h/oh) to ceil((i+1)*h/oh)."""
    (height, width), (oh, ow) = input_size, output_size
    windows = {}
    for i, j in np.ndindex(oh, ow):
        rows = range(math.floor(i * height / oh), math.ceil((i + 1) * height / oh))
        columns = range(math.floor(j * width / ow), math.ceil((j + 1) * width / ow))
        inside = [(r, s) for r in rows for s in columns]
        windows[i, j] = inside, len(inside)
    return (oh, ow), windows


def pool_average(x, size_and_windows):
    """Averages over windows from one of the two functions above."""
    (oh, ow), windows = size_and_windows
    y = np.zeros((*x.shape[:2], oh, ow))
    for (i, j), (inside, divisor) in windows.items():
        for r, s in inside:
            y[:, :, i, j] += x[:, :, r, s] / divisor
    return y


def pool_average_grad(gy, input_size, size_and_windows):
    """The adjoint of pool_average."""
    gx = np.zeros((*gy.shape[:2], *input_size))
    for (i, j), (inside, divisor) in size_and_windows[1].items():
        for r, s in inside:
            gx[:, :, r, s] += gy[:, :, i, j] / divisor
    return gx


def avg_pool2d(
    x,
    kernel,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """Averages over windows, with PyTorch's rules for what they are divided by."""
    windows = avg_pool2d_windows(
        x.shape[2:], kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return pool_average(x, windows)


def adaptive_avg_pool2d(x, output_size):
    """Averages over as many windows as asked for."""
    return pool_average(x, adaptive_avg_pool2d_windows(x.shape[2:], pair(output_size)))


# Normalisation


def batch_norm(x, weight=None, bias=None, eps=1e-5):
    """(y, mean, biased variance) with the statistics of the batch; channels are axis 1."""
    x = np.asarray(x, np.float64)
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    mean = x.mean(axes)
    variance = ((x - mean.reshape(shape)) ** 2).mean(axes)
    y = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + eps)
    if weight is not None:
        y = y * weight.reshape(shape)
    if bias is not None:
        y = y + bias.reshape(shape)
    return y, mean, variance


def batch_norm_grads(gy, x, weight=None, eps=1e-5):
    """(gx, gweight, gbias), from the whole Jacobian of one channel's normalisation."""
    x, gy = np.asarray(x, np.float64), np.asarray(gy, np.float64)
    channels = x.shape[1]
    gx, gweight, gbias = np.zeros(x.shape), np.zeros(channels), np.zeros(channels)
    for c in range(channels):
        line, grad = x[:, c].ravel(), gy[:, c].ravel()
        count = line.size
        deviation = np.sqrt(line.var() + eps)
        z = (line - line.mean()) / deviation
        # d z_i / d x_j = (delta_ij - 1/count - z_i z_j / count) / deviation
        jacobian = (np.eye(count) - 1 / count - np.outer(z, z) / count) / deviation
        gweight[c], gbias[c] = (grad * z).sum(), grad.sum()
        scale = 1.0 if weight is None else weight[c]
        gx[:, c] = (scale * grad @ jacobian).reshape(gx[:, c].shape)
    return gx, gweight, gbias


# Activations


def gelu(x, approximate="none"):
    """x * Phi(x), with the normal distribution's erf or its approximation by tanh."""

    def one(v):
        if approximate == "tanh":
            return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
        return 0.5 * v * (1 + math.erf(v / math.sqrt(2)))

    return np.array([one(float(v)) for v in np.ravel(x)]).reshape(np.shape(x))


def softmax(x, dim):
    """exp(x) / sum exp(x) along an axis."""
    return np.exp(log_softmax(x, dim))


def log_softmax(x, dim):
    """-log sum_j exp(x_j - x_i) along an axis: differences keep the digits of finite numbers."""
    x = np.moveaxis(np.asarray(x, np.float64), dim, -1)
    y = -logsumexp(x[..., None, :] - x[..., :, None], -1)
    return np.moveaxis(y, -1, dim)


def logsumexp(x, dim, keepdims=False):
    """log sum exp(x) along an axis, by one log(exp(a) + exp(b)) after the other."""
    return np.logaddexp.reduce(np.asarray(x, np.float64), axis=dim, keepdims=keepdims)


# Losses


def reduce_loss(losses, reduction, total=None):
    """The losses, their sum, or their sum over `total` (their number if not given)."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    total = losses.size if total is None else total
    return losses.sum() / total if total else math.nan


def nll_loss(logp, target, weight=None, ignore_index=-100, reduction="mean"):
    """-weight[t] * logp[t] for each label t; the mean is over the weights of labels not ignored."""
    losses, total = np.zeros(np.shape(target)), 0.0
    for at in np.ndindex(losses.shape):
        label = int(target[at])
        if label != ignore_index:
            scale = 1.0 if weight is None else float(weight[label])
            losses[at] = -scale * float(logp[(*at[:1], label, *at[1:])])
            total += scale
    return reduce_loss(losses, reduction, total)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Cross-entropy of logits with labels (integers) or probabilities (floats); classes are axis 1.

    Smoothed, a label t is the distribution (1-a)*[class = t] + a/classes. The mean is over the
    weights of the labels, or over the number of distributions."""
    logp = log_softmax(x, 1)
    classes = logp.shape[1]
    scales = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    of_labels = np.issubdtype(np.asarray(target).dtype, np.integer)
    positions = np.delete(np.array(logp.shape), 1)
    losses, total = np.zeros(positions), 0.0
    for at in np.ndindex(*positions):
        line = (*at[:1], slice(None), *at[1:])
        if of_labels:
            label = int(target[at])
            if label == ignore_index:
                continue
            wanted = np.eye(classes)[label]
            total += scales[label]
        else:
            wanted = np.asarray(target, np.float64)[line]
            total += 1
        wanted = (1 - label_smoothing) * wanted + label_smoothing / classes
        losses[at] = -(scales * wanted * logp[line]).sum()
    return reduce_loss(losses, reduction, total)


def binary_cross_entropy(x, target, weight=None, reduction="mean"):
    """-t*log(x) - (1-t)*log(1-x), each logarithm at least -100."""
    losses = np.zeros(np.shape(x))
    for at in np.ndindex(losses.shape):
        p, t = float(x[at]), float(target[at])
        log_p = max(math.log(p), -100.0) if p > 0 else -100.0
        log_q = max(math.log1p(-p), -100.0) if p < 1 else -100.0
        losses[at] = -(t * log_p + (1 - t) * log_q) * (1.0 if weight is None else weight[at])
    return reduce_loss(losses, reduction)


def binary_cross_entropy_with_logits(x, target, weight=None, pos_weight=None, reduction="mean"):
    """-p*t*log(s(x)) - (1-t)*log(1-s(x)) with the logistic function s and positive weight p."""
    x, target = np.asarray(x, np.float64), np.asarray(target, np.float64)
    log_s, log_rest = -np.logaddexp(0, -x), -np.logaddexp(0, x)
    losses = -(1.0 if pos_weight is None else pos_weight) * target * log_s - (1 - target) * log_rest
    return reduce_loss(losses if weight is None else losses * weight, reduction)


# Optimizers: one step of one parameter. `state` is a dict that the next step is given again.


def sgd_step(
    p,
    g,
    state,
    lr,
    momentum=0.0,
    dampening=0.0,
    weight_decay=0.0,
    nesterov=False,
    maximize=False,
):
    """v = momentum*v + (1-dampening)*g, p = p - lr*v; Nesterov's looks ahead: g + momentum*v."""
    g = (-g if maximize else g) + weight_decay * p
    if momentum:
        v = state.get("v")
        v = g if v is None else momentum * v + (1 - dampening) * g
        state["v"] = v
        g = g + momentum * v if nesterov else v
    return p - lr * g


def adam_step(
    p,
    g,
    state,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=False,
    maximize=False,
    decoupled=False,
):
    """m and v are running means of g and g^2, freed of their start at 0; p -= lr*m / (sqrt(v)+eps).

    Weight decay is part of the gradient, or, decoupled (AdamW), shrinks p by itself."""
    g = -g if maximize else g
    if decoupled:
        p = p - lr * weight_decay * p
    else:
        g = g + weight_decay * p
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = betas[0] * state.get("m", 0.0) + (1 - betas[0]) * g
    v = state["v"] = betas[1] * state.get("v", 0.0) + (1 - betas[1]) * g * g
    if amsgrad:
        v = state["v_max"] = np.maximum(state.get("v_max", 0.0), v)
    mean, square = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return p - lr * mean / (np.sqrt(square) + eps)


def adamw_step(p, g, state, weight_decay=1e-2, **options):
    """Adam whose weight decay does not pass through the moments."""
    return adam_step(p, g, state, weight_decay=weight_decay, decoupled=True, **options)
