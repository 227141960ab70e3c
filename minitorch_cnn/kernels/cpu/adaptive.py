"""Steps of optimizers that give each number a rate of its own: one launch for all parameters.

They work as SGD's and Adam's in `optim`: options come in the buffer `hyper`, in the order in which
each formula's docstring names them, and counts of steps are buffers as well. Each is one formula
for a stretch of a parameter, d = ±g + w p its gradient with the weight decay, and one line for the
driver, `each_part`, which finds the stretches. Moments that are absent arrive without elements.
"""

from typing import Any

import numpy as np

from ..jit import driver, inner, kernel, threads_for
from ..table import TASK, addresses, array_at, parts
from ..tasks import task_kernel
from .optim import lerp, mean
from .reals import tiny_of


def _step(rule: Any, p: Any, g: Any, moments: Any, scalars: Any, hyper: Any) -> None:
    """Run a rule on all parameters, their gradients and up to three moments, which are tuples."""
    table, firsts = parts(p)
    like = np.empty(0, p[0].dtype)
    absent = np.zeros(len(p), np.int64)
    columns = [addresses(arrays) if arrays else absent for arrays in moments]
    columns += [absent] * (3 - len(columns))
    at = np.stack([addresses(p), addresses(g), *columns])
    threads = threads_for(4 * TASK * (firsts.size - 1))
    rule(threads, like, at, scalars, table, firsts, hyper)


def _counted(step: Any, rows: int = 1) -> Any:
    """The counts of steps, each of them one greater, as the first of so many rows of numbers."""
    scalars = np.empty((rows, len(step)))
    _count(addresses(step), step[0].reshape(-1), scalars[0])
    return scalars


@kernel()
def _count(steps_at, like, steps):
    """t += 1, which is one more step; all of them gathered"""
    for i in range(steps_at.size):
        t = array_at(steps_at[i], 0, 1, like)
        t[0] += 1
        steps[i] = t[0]


@inner
def each_part(part, thread, threads, like, at, scalars, table, firsts, hyper):
    """A thread's share of the stretches: `part` of the arrays there, the numbers and the options"""
    tasks = firsts.size - 1
    for k in range(firsts[tasks * thread // threads], firsts[tasks * (thread + 1) // threads]):
        i, start, size = table[k, 0], table[k, 1], table[k, 2]
        p, g = array_at(at[0, i], start, size, like), array_at(at[1, i], start, size, like)
        a = array_at(at[2, i], start, size if at[2, i] else 0, like)
        b = array_at(at[3, i], start, size if at[3, i] else 0, like)
        c = array_at(at[4, i], start, size if at[4, i] else 0, like)
        part(p, g, a, b, c, scalars[:, i], hyper)


@inner
def flushed(value, like):
    """0 if |value| is denormal else value; NaN stays"""
    return like.dtype.type(0) if abs(value) < tiny_of(like.dtype.type(0)) else value


@inner
def gradient(g, p, sign, weight_decay):
    """±g + w p, without the product if w = 0: it may be none of a number"""
    return sign * g + (weight_decay * p if weight_decay != 0 else weight_decay)


@inner
def sign_of(maximize, like):
    """-1 if the sum is to grow, else 1"""
    return like.dtype.type(-1 if maximize != 0 else 1)


# ---------------------------------------------------------------------- NAdam


@driver
def nadam(
    p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, step: Any, mu_product: Any, hyper: Any
) -> None:
    """Adam with Nesterov's momentum, whose weight mu grows with the steps.

    `hyper`: lr, two betas, eps, weight_decay, momentum_decay, decoupled, maximize.
    """
    scalars = _counted(step, rows=3)
    _products(addresses(mu_product), mu_product[0].reshape(-1), scalars, hyper)
    _step(_nadam, p, g, (exp_avg, exp_avg_sq), scalars, hyper)


@kernel()
def _products(at, like, scalars, hyper):
    """mu = b1 (1 - 0.96^(t psi) / 2), P = P mu; gathered as rows 1 and 2 of scalars, t is row 0"""
    for i in range(at.size):
        product, beta1, decay, t = array_at(at[i], 0, 1, like), hyper[1], hyper[5], scalars[0, i]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * decay))
        product[0] *= like.dtype.type(mu)
        scalars[1, i], scalars[2, i] = mu, product[0]


@task_kernel
def _nadam(thread, threads, like, at, scalars, table, firsts, hyper):
    """nadam of the arrays of like's type that begin at these addresses"""
    each_part(nadam_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def nadam_part(p, g, exp_avg, exp_avg_sq, _, scalars, hyper):
    """m, v = means of d, d^2; p = p - (rate d + rate' m) / (sqrt(v / (1 - b2^t)) + eps)"""
    real = p.dtype.type
    t, mu, product = scalars[0], scalars[1], scalars[2]
    lr, beta1, beta2, decay = hyper[0], hyper[1], hyper[2], hyper[4]
    mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * hyper[5]))
    rate, rate_next = (
        real(lr * (1.0 - mu) / (1.0 - product)),
        real(lr * mu_next / (1.0 - product * mu_next)),
    )
    eps, root = real(hyper[3]), real(1.0 - beta2**t)
    shrink = real(1.0 - lr * decay if hyper[6] != 0 else 1.0)
    weight_decay, sign = real(0.0 if hyper[6] != 0 else decay), sign_of(hyper[7], p)
    toward1, keep1, toward2, keep2 = real(1.0 - beta1), real(beta1), real(1.0 - beta2), real(beta2)
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        m = flushed(lerp(exp_avg[i], d, toward1, keep1), p)
        v = flushed(mean(keep2, exp_avg_sq[i], toward2, d * d), p)
        exp_avg[i], exp_avg_sq[i] = m, v
        p[i] = shrink * p[i] - (rate * d + rate_next * m) / (np.sqrt(v / root) + eps)


# ---------------------------------------------------------------------- RAdam


@driver
def radam(p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, step: Any, hyper: Any) -> None:
    """Adam that leaves the second moment out until its variance can be known, and corrects for it.

    `hyper`: lr, two betas, eps, weight_decay, decoupled, maximize.
    """
    _step(_radam, p, g, (exp_avg, exp_avg_sq), _counted(step), hyper)


@task_kernel
def _radam(thread, threads, like, at, scalars, table, firsts, hyper):
    """radam of the arrays of like's type that begin at these addresses"""
    each_part(radam_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def radam_part(p, g, exp_avg, exp_avg_sq, _, scalars, hyper):
    """m, v = means of d, d^2; p = p - lr m / (1 - b1^t) (r root / (sqrt(v) + eps) or 1)

    r rectifies, root = sqrt(1 - b2^t).
    """
    real = p.dtype.type
    t, lr, beta1, beta2, eps = scalars[0], hyper[0], hyper[1], hyper[2], real(hyper[3])
    shrink = real(1.0 - lr * hyper[4] if hyper[5] != 0 else 1.0)
    weight_decay, sign = real(0.0 if hyper[5] != 0 else hyper[4]), sign_of(hyper[6], p)
    toward1, keep1, toward2, keep2 = real(1.0 - beta1), real(beta1), real(1.0 - beta2), real(beta2)
    correction, longest = 1.0 - beta2**t, 2.0 / (1.0 - beta2) - 1.0
    length = longest - 2.0 * t * beta2**t / correction
    rectified = length > 5.0
    rate = lr / (1.0 - beta1**t)
    if rectified:
        r = (length - 4.0) * (length - 2.0) * longest
        rate *= np.sqrt(r / ((longest - 4.0) * (longest - 2.0) * length) * correction)
    rate_there = real(rate)
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        m = flushed(lerp(exp_avg[i], d, toward1, keep1), p)
        v = flushed(mean(keep2, exp_avg_sq[i], toward2, d * d), p)
        exp_avg[i], exp_avg_sq[i] = m, v
        step = rate_there * m
        p[i] = shrink * p[i] - (step / (np.sqrt(v) + eps) if rectified else step)


# ---------------------------------------------------------------------- Adamax


@driver
def adamax(p: Any, g: Any, exp_avg: Any, exp_inf: Any, step: Any, hyper: Any) -> None:
    """Adam by the largest gradient instead of the mean square.

    `hyper`: lr, two betas, eps, weight_decay, maximize.
    """
    _step(_adamax, p, g, (exp_avg, exp_inf), _counted(step), hyper)


@task_kernel
def _adamax(thread, threads, like, at, scalars, table, firsts, hyper):
    """adamax of the arrays of like's type that begin at these addresses"""
    each_part(adamax_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def adamax_part(p, g, exp_avg, exp_inf, _, scalars, hyper):
    """m = mean of d; u = max(b2 u, |d| + eps); p = p - lr m / ((1 - b1^t) u)"""
    real = p.dtype.type
    beta1, keep2, eps = hyper[1], real(hyper[2]), real(hyper[3])
    rate, toward1, keep1 = hyper[0] / (1.0 - beta1 ** scalars[0]), real(1.0 - beta1), real(beta1)
    clr, weight_decay, sign = real(rate), real(hyper[4]), sign_of(hyper[5], p)
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        m = flushed(lerp(exp_avg[i], d, toward1, keep1), p)
        before, now = flushed(keep2 * exp_inf[i], p), abs(d) + eps
        u = before if before > now or before != before else now
        exp_avg[i], exp_inf[i] = m, u
        p[i] -= clr * m / u


# ---------------------------------------------------------------------- Adagrad


@driver
def adagrad(p: Any, g: Any, sums: Any, step: Any, hyper: Any) -> None:
    """Steps that shrink with the sum of the squares so far.

    `hyper`: lr, lr_decay, weight_decay, eps, maximize.
    """
    _step(_adagrad, p, g, (sums,), _counted(step), hyper)


@task_kernel
def _adagrad(thread, threads, like, at, scalars, table, firsts, hyper):
    """adagrad of the arrays of like's type that begin at these addresses"""
    each_part(adagrad_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def adagrad_part(p, g, sums, _b, _c, scalars, hyper):
    """s = s + d^2; p = p - lr / (1 + (t - 1) lr_decay) d / (sqrt(s) + eps)"""
    real = p.dtype.type
    rate = real(hyper[0] / (1.0 + (scalars[0] - 1.0) * hyper[1]))
    weight_decay, eps, sign = real(hyper[2]), real(hyper[3]), sign_of(hyper[4], p)
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        s = sums[i] + d * d
        sums[i] = s
        p[i] -= rate * d / (np.sqrt(s) + eps)


# ---------------------------------------------------------------------- Adadelta


@driver
def adadelta(p: Any, g: Any, square_avg: Any, acc_delta: Any, step: Any, hyper: Any) -> None:
    """Steps as large as the earlier ones were, by the size of the gradient.

    `hyper`: lr, rho, eps, weight_decay, maximize.
    """
    _step(_adadelta, p, g, (square_avg, acc_delta), _counted(step), hyper)


@task_kernel
def _adadelta(thread, threads, like, at, scalars, table, firsts, hyper):
    """adadelta of the arrays of like's type that begin at these addresses"""
    each_part(adadelta_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def adadelta_part(p, g, square_avg, acc_delta, _, scalars, hyper):
    """v = mean of d^2; x = sqrt(u + eps) / sqrt(v + eps) d; u = mean of x^2; p = p - lr x"""
    real = p.dtype.type
    lr, keep, toward, eps = real(hyper[0]), real(hyper[1]), real(1.0 - hyper[1]), real(hyper[2])
    weight_decay, sign = real(hyper[3]), sign_of(hyper[4], p)
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        v = flushed(mean(keep, square_avg[i], toward, d * d), p)
        x = np.sqrt(acc_delta[i] + eps) / np.sqrt(v + eps) * d
        square_avg[i], acc_delta[i] = v, flushed(mean(keep, acc_delta[i], toward, x * x), p)
        p[i] -= lr * x


# ---------------------------------------------------------------------- RMSprop


@driver
def rmsprop(
    p: Any, g: Any, square_avg: Any, momentum_buffer: Any, grad_avg: Any, step: Any, hyper: Any
) -> None:
    """Steps of the gradient over the root of its square's running mean.

    `momentum_buffer` and `grad_avg` may be (). `hyper`: lr, alpha, eps, weight_decay, momentum,
    maximize.
    """
    _step(_rmsprop, p, g, (square_avg, momentum_buffer, grad_avg), _counted(step), hyper)


@task_kernel
def _rmsprop(thread, threads, like, at, scalars, table, firsts, hyper):
    """rmsprop of the arrays of like's type that begin at these addresses"""
    each_part(rmsprop_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def rmsprop_part(p, g, square_avg, momentum_buffer, grad_avg, scalars, hyper):
    """v = mean of d^2; x = d / (sqrt(v - (mean of d)^2 if centered) + eps); p = p - lr x

    With momentum b = mu b + x takes x's place.
    """
    real = p.dtype.type
    lr, keep, toward, eps = real(hyper[0]), real(hyper[1]), real(1.0 - hyper[1]), real(hyper[2])
    weight_decay, momentum, sign = real(hyper[3]), real(hyper[4]), sign_of(hyper[5], p)
    centered, smooth = grad_avg.size > 0, momentum_buffer.size > 0
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        v = flushed(mean(keep, square_avg[i], toward, d * d), p)
        square_avg[i] = v
        if centered:
            m = flushed(lerp(grad_avg[i], d, toward, keep), p)
            grad_avg[i] = m
            v -= flushed(m * m, p)  # v may be flushed: what is left must not fall below 0
        x = d / (np.sqrt(v) + eps)
        if smooth:
            x = flushed(momentum * momentum_buffer[i] + x, p)
            momentum_buffer[i] = x
        p[i] -= lr * x


# ---------------------------------------------------------------------- Rprop


@driver
def rprop(p: Any, g: Any, prev: Any, step_size: Any, step: Any, hyper: Any) -> None:
    """Steps by the gradient's sign, longer while it stays and shorter when it changes.

    `hyper`: two etas, two step_sizes, maximize.
    """
    _step(_rprop, p, g, (prev, step_size), _counted(step), hyper)


@task_kernel
def _rprop(thread, threads, like, at, scalars, table, firsts, hyper):
    """rprop of the arrays of like's type that begin at these addresses"""
    each_part(rprop_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def rprop_part(p, g, prev, step_size, _, scalars, hyper):
    """s = s eta+, eta- or 1 as d prev is > 0, < 0 or neither; p = p - sign(d) s unless it is < 0"""
    real = p.dtype.type
    shorter, longer, least, most = real(hyper[0]), real(hyper[1]), real(hyper[2]), real(hyper[3])
    sign, zero, one = sign_of(hyper[4], p), real(0), real(1)
    for i in range(p.size):
        d = sign * g[i]
        agreement = d * prev[i]
        s = step_size[i] * (longer if agreement > 0 else shorter if agreement < 0 else one)
        s = least if s < least else most if s > most else s
        d = zero if agreement < 0 else d
        prev[i], step_size[i] = d, s
        p[i] -= s if d > 0 else -s if d < 0 else zero


# ---------------------------------------------------------------------- ASGD


@driver
def asgd(p: Any, g: Any, ax: Any, step: Any, eta: Any, mu: Any, hyper: Any) -> None:
    """Steps of a rate that falls, and the mean of what they led to.

    `hyper`: lr, lambd, alpha, t0, weight_decay, maximize.
    """
    scalars = _counted(step, rows=3)
    _rates(addresses(eta), addresses(mu), eta[0].reshape(-1), scalars, hyper)
    _step(_asgd, p, g, (ax,), scalars, hyper)


@kernel()
def _rates(eta_at, mu_at, like, scalars, hyper):
    """eta and mu gathered as rows 1 and 2 of scalars, then those of the next step: lr / (1 + lambd
    lr t)^alpha and 1 / max(1, t - t0)"""
    for i in range(eta_at.size):
        eta, mu, t = array_at(eta_at[i], 0, 1, like), array_at(mu_at[i], 0, 1, like), scalars[0, i]
        scalars[1, i], scalars[2, i] = eta[0], mu[0]
        eta[0] = hyper[0] / (1.0 + hyper[1] * hyper[0] * t) ** hyper[2]
        mu[0] = 1.0 / max(1.0, t - hyper[3])


@task_kernel
def _asgd(thread, threads, like, at, scalars, table, firsts, hyper):
    """asgd of the arrays of like's type that begin at these addresses"""
    each_part(asgd_part, thread, threads, like, at, scalars, table, firsts, hyper)


@inner
def asgd_part(p, g, ax, _b, _c, scalars, hyper):
    """p = (1 - lambd eta) p - eta d; ax = ax + mu (p - ax), or p if mu = 1"""
    real = p.dtype.type
    eta, mu, keep = real(scalars[1]), real(scalars[2]), real(1.0 - hyper[1] * scalars[1])
    weight_decay, sign = real(hyper[4]), sign_of(hyper[5], p)
    for i in range(p.size):
        d = gradient(g[i], p[i], sign, weight_decay)
        new = keep * p[i] - eta * d
        ax[i] = ax[i] + mu * (new - ax[i]) if mu != 1 else new
        p[i] = new
