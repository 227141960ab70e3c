"""Optimizer steps, in place: one launch for all parameters, which come as tuples of buffers.

What may change between steps is read from buffers: `hyper` holds the options, in float64, and
`step` counts. So a recorded launch stays right when the learning rate changes. Factors are made in
float64 and rounded once to the parameters' type, as PyTorch does. Moments that have decayed into
denormal numbers, which processors handle far more slowly, become zero.

A task takes equally many elements of all parameters in a row, so large and small ones together
keep the threads equally busy. No element's number depends on the task that it falls to.
"""

from typing import Any

import numpy as np

from ..jit import driver, exact, inner, kernel, threads_for
from ..table import TASK, addresses, array_at, parts
from ..tasks import task_kernel
from .reals import tiny_of


@driver
def sgd(p: Any, g: Any, momentum_buffer: Any, hyper: Any) -> None:
    """d = ±g + w p; b = mu b + (1 - tau) d; p = p - lr (d + mu b if nesterov, b, or d if mu = 0)

    Of all parameters, their gradients and buffers, which are tuples; `momentum_buffer` may be ().
    """
    table, firsts = parts(p)
    threads, like = threads_for(2 * TASK * (firsts.size - 1)), np.empty(0, p[0].dtype)
    if momentum_buffer:
        at = [addresses(arrays) for arrays in (p, g, momentum_buffer)]
        _momentum(threads, like, *at, table, firsts, hyper)
    else:
        _sgd(threads, like, addresses(p), addresses(g), table, firsts, hyper)


@inner
def flushed(value, tiny, zero):
    """0 if |value| < tiny else value; NaN stays"""
    return zero if abs(value) < tiny else value


@exact
def mean(keep, old, toward, new):
    """keep old + toward new, infinite for an infinite one: as new + keep (old - new) it is NaN"""
    return keep * old + toward * new


@exact
def lerp(old, new, toward, keep):
    """The same from the nearer of both, as PyTorch moves first moments"""
    return old + toward * (new - old) if toward < 0.5 else new - keep * (new - old)


@task_kernel
def _sgd(thread, threads, like, p_at, g_at, table, firsts, hyper):
    """sgd of the arrays of like's type that begin at these addresses, without momentum"""
    tasks = firsts.size - 1
    for k in range(firsts[tasks * thread // threads], firsts[tasks * (thread + 1) // threads]):
        i, start, size = table[k, 0], table[k, 1], table[k, 2]
        p, g = array_at(p_at[i], start, size, like), array_at(g_at[i], start, size, like)
        sgd_part(p, g, hyper)


@task_kernel
def _momentum(thread, threads, like, p_at, g_at, b_at, table, firsts, hyper):
    """sgd of the arrays of like's type that begin at these addresses, with momentum"""
    tasks = firsts.size - 1
    for k in range(firsts[tasks * thread // threads], firsts[tasks * (thread + 1) // threads]):
        i, start, size = table[k, 0], table[k, 1], table[k, 2]
        p, g = array_at(p_at[i], start, size, like), array_at(g_at[i], start, size, like)
        momentum_part(p, g, array_at(b_at[i], start, size, like), hyper)


@inner
def sgd_part(p, g, hyper):
    """d = ±g + w p; p = p - lr d"""
    real = p.dtype.type
    lr, weight_decay = real(hyper[0]), real(hyper[3])
    sign, zero = real(-1 if hyper[5] != 0 else 1), real(0)
    for i in range(p.size):
        p[i] -= lr * (sign * g[i] + (weight_decay * p[i] if weight_decay != 0 else zero))


@inner
def momentum_part(p, g, momentum_buffer, hyper):
    """d = ±g + w p; b = mu b + (1 - tau) d; p = p - lr (d + mu b if nesterov else b)"""
    real = p.dtype.type
    tiny, zero = tiny_of(real(0)), real(0)
    lr, momentum, gain = real(hyper[0]), real(hyper[1]), real(1.0 - hyper[2])
    weight_decay, nesterov = real(hyper[3]), hyper[4] != 0
    sign = real(-1 if hyper[5] != 0 else 1)
    for i in range(p.size):
        d = sign * g[i] + (weight_decay * p[i] if weight_decay != 0 else zero)
        b = flushed(momentum * momentum_buffer[i] + gain * d, tiny, zero)
        momentum_buffer[i] = b
        p[i] -= lr * (d + momentum * b if nesterov else b)


@driver
def adam(
    p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, max_exp_avg_sq: Any, step: Any, hyper: Any
) -> None:
    """m, v = means of d, d^2; p = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    Of all parameters, their gradients, moments and step counts, which are tuples;
    `max_exp_avg_sq` may be ().
    """
    table, firsts = parts(p)
    # It waits for memory longer than it computes.
    threads, like = threads_for(4 * TASK * (firsts.size - 1)), np.empty(0, p[0].dtype)
    steps = np.empty(len(p))
    _count(addresses(step), step[0].reshape(-1), steps)
    at = [addresses(arrays) for arrays in (p, g, exp_avg, exp_avg_sq)]
    if max_exp_avg_sq:
        largest_at = addresses(max_exp_avg_sq)
        _amsgrad(threads, like, *at, largest_at, steps, table, firsts, hyper)
    else:
        _adam(threads, like, *at, steps, table, firsts, hyper)


@kernel()
def _count(steps_at, like, steps):
    """t += 1, which is one more step; all of them gathered"""
    for i in range(steps_at.size):
        t = array_at(steps_at[i], 0, 1, like)
        t[0] += 1
        steps[i] = t[0]


@task_kernel
def _adam(thread, threads, like, p_at, g_at, m_at, v_at, steps, table, firsts, hyper):
    """adam of the arrays of like's type that begin at these addresses"""
    tasks = firsts.size - 1
    for k in range(firsts[tasks * thread // threads], firsts[tasks * (thread + 1) // threads]):
        i, start, size = table[k, 0], table[k, 1], table[k, 2]
        p, g = array_at(p_at[i], start, size, like), array_at(g_at[i], start, size, like)
        m, v = array_at(m_at[i], start, size, like), array_at(v_at[i], start, size, like)
        adam_part(p, g, m, v, None, steps[i], hyper)


@task_kernel
def _amsgrad(thread, threads, like, p_at, g_at, m_at, v_at, l_at, steps, table, firsts, hyper):
    """adam with the largest second moments in the root"""
    tasks = firsts.size - 1
    for k in range(firsts[tasks * thread // threads], firsts[tasks * (thread + 1) // threads]):
        i, start, size = table[k, 0], table[k, 1], table[k, 2]
        p, g = array_at(p_at[i], start, size, like), array_at(g_at[i], start, size, like)
        m, v = array_at(m_at[i], start, size, like), array_at(v_at[i], start, size, like)
        largest = array_at(l_at[i], start, size, like)
        adam_part(p, g, m, v, largest, steps[i], hyper)


@inner
def adam_part(p, g, exp_avg, exp_avg_sq, largest, steps, hyper):
    """d = ±g + w p; m, v = means of d, d^2; p = (1 - w') p - rate m / (sqrt(v) / root + eps)

    w is the weight decay if coupled and w' = lr * it if not, else they are 0. In the root
    `largest`, the greatest v so far, takes v's place if it is there.
    """
    real = p.dtype.type
    tiny, zero = tiny_of(real(0)), real(0)
    lr, beta1, beta2, eps, decoupled = hyper[0], hyper[1], hyper[2], real(hyper[3]), hyper[5] != 0
    rate, root = real(lr / (1.0 - beta1**steps)), real(np.sqrt(1.0 - beta2**steps))
    toward1, keep1, toward2, keep2 = real(1.0 - beta1), real(beta1), real(1.0 - beta2), real(beta2)
    shrink = real(1.0 - lr * hyper[4] if decoupled else 1.0)
    weight_decay = real(0.0 if decoupled else hyper[4])
    sign = real(-1 if hyper[6] != 0 else 1)
    for i in range(p.size):
        d = sign * g[i] + (weight_decay * p[i] if weight_decay != 0 else zero)
        m = flushed(lerp(exp_avg[i], d, toward1, keep1), tiny, zero)
        v = flushed(mean(keep2, exp_avg_sq[i], toward2, d * d), tiny, zero)
        exp_avg[i], exp_avg_sq[i] = m, v
        if largest is not None:
            v = largest[i] if largest[i] > v else v
            largest[i] = v
        p[i] = shrink * p[i] - rate * (m / (np.sqrt(v) / root + eps))
