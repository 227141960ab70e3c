"""Optimizer steps, in place, one kernel for all of a parameter's arithmetic.

What may change between steps is read from buffers: `hyper` holds the options, in float64, and
`step` counts. So a recorded launch stays right when the learning rate changes. Factors are made in
float64 and rounded once to the parameter's type, as PyTorch does. Moments that have decayed into
denormal numbers, which processors handle far more slowly, become zero.
"""

import numpy as np

from ..jit import inner, kernel, prange


@inner
def flushed(value, tiny, zero):
    """0 if |value| < tiny else value; NaN stays"""
    return zero if abs(value) < tiny else value


@kernel(work=lambda p, *_: p.size, flat=True)
def sgd(p, g, momentum_buffer, hyper):
    """d = ±g + w p; b = mu b + (1 - tau) d; p = p - lr (d + mu b if nesterov, b, or d if mu = 0)"""
    real = p.dtype.type
    tiny, zero = real(np.finfo(p.dtype).tiny), real(0)
    lr, momentum, gain = real(hyper[0]), real(hyper[1]), real(1.0 - hyper[2])
    weight_decay, nesterov = real(hyper[3]), hyper[4] != 0
    sign = real(-1 if hyper[5] != 0 else 1)
    if momentum_buffer.size == 0:
        # p = p - lr d
        for i in prange(p.size):
            d = sign * g[i]
            if weight_decay != 0:
                d += weight_decay * p[i]
            p[i] -= lr * d
    else:
        # b = mu b + (1 - tau) d; p = p - lr (d + mu b or b)
        for i in prange(p.size):
            d = sign * g[i]
            if weight_decay != 0:
                d += weight_decay * p[i]
            b = flushed(momentum * momentum_buffer[i] + gain * d, tiny, zero)
            momentum_buffer[i] = b
            p[i] -= lr * (d + momentum * b if nesterov else b)


@kernel(work=lambda p, *_: 4 * p.size, flat=True)
def adam(p, g, exp_avg, exp_avg_sq, max_exp_avg_sq, step, hyper):
    """m, v = means of d, d^2; p = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)"""
    real = p.dtype.type
    tiny, zero = real(np.finfo(p.dtype).tiny), real(0)
    step[0] += 1
    t = np.float64(step[0])
    lr, beta1, beta2, weight_decay = hyper[0], hyper[1], hyper[2], hyper[4]
    toward1, keep1 = real(1.0 - beta1), real(beta1)
    toward2, keep2 = real(1.0 - beta2), real(beta2)
    step_size = real(lr / (1.0 - beta1**t))
    correction, eps = real(np.sqrt(1.0 - beta2**t)), real(hyper[3])
    decoupled = hyper[5] != 0
    shrink = real(1.0 - lr * weight_decay if decoupled else 1.0)
    coupled_decay = real(0.0 if decoupled else weight_decay)
    sign = real(-1 if hyper[6] != 0 else 1)
    amsgrad = max_exp_avg_sq.size > 0
    for i in prange(p.size):
        # d = ±g + w p; p = (1 - lr w) p: the first of these if coupled, the second if decoupled
        d = sign * g[i]
        if coupled_decay != 0:
            d += coupled_decay * p[i]
        # m += (1 - b1) (d - m), from the nearer end; v = b2 v + (1 - b2) d^2
        m, v = exp_avg[i], exp_avg_sq[i]
        if toward1 < 0.5:
            m += toward1 * (d - m)
        else:
            m = d - keep1 * (d - m)
        m, v = flushed(m, tiny, zero), flushed(keep2 * v + toward2 * d * d, tiny, zero)
        exp_avg[i], exp_avg_sq[i] = m, v
        if amsgrad:
            v = max(max_exp_avg_sq[i], v)
            max_exp_avg_sq[i] = v
        p[i] = shrink * p[i] - step_size * (m / (np.sqrt(v) / correction + eps))
