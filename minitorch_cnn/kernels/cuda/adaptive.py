"""Steps of optimizers that give each number a rate of its own: one launch for all parameters.

They work as SGD's and Adam's in `optim`. Each is a rule: what its factors are, made in float64 by a
thread a parameter, and what becomes of an element by them. Its options come in `hyper`, in the
order that the CPU's kernels tell.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import functions
from .buffer import empty
from .functions import thread_index
from .geometry import blocks_for
from .optim import stretches
from .pointers import addresses, load, store
from .registry import BLOCK, cuda, device_function, f32, f64, i32, i64, of, u32, variants, vector

FACTORS = 11
"""Of a parameter, the first two the gradient's sign and the weight decay that is added to it."""
MOMENTS = 3
NUMBERS = 3
"""Of a parameter, the first the count of steps."""


class Rule(NamedTuple):
    """How an optimizer steps."""

    factors: Callable[..., Any]
    """(t, a, b, hyper, f): writes factors to f, and returns what a and b, numbers that are kept
    beside t, are from now on."""
    element: Callable[..., Any]
    """Of an element type and of whether each moment is there, a function (p, d, a, b, c, f): an
    element, its gradient, its moments and the factors; it returns the element and its moments."""


@device_function
def sign_of(maximize):
    """-1 if the sum is to grow, else 1"""
    return -1.0 if maximize != 0.0 else 1.0


@device_function
def power(base, exponent):
    """base^exponent, for a base that is not negative"""
    return functions.exp(exponent * functions.log(base))


def flusher(kind: Any) -> Any:
    """A function that makes numbers about to become denormal 0, as on the CPU."""
    tiny = float(np.finfo(str(kind)).tiny)
    return device_function(lambda value: kind(0) if abs(value) < kind(tiny) else value)


def lerp_of(kind: Any) -> Any:
    """keep old + toward new, from the nearer of both, as PyTorch moves first moments"""

    def lerp(old, new, toward, keep):
        return old + toward * (new - old) if toward < kind(0.5) else new - keep * (new - old)

    return device_function(lerp)


# ---------------------------------------------------------------------- NAdam

LOG_096 = math.log(0.96)


def nadam_factors(t, product, b, hyper, f):
    lr, beta1, beta2 = hyper[0], hyper[1], hyper[2]
    mu = beta1 * (1.0 - 0.5 * functions.exp(t * hyper[5] * LOG_096))
    mu_next = beta1 * (1.0 - 0.5 * functions.exp((t + 1.0) * hyper[5] * LOG_096))
    product = f64(f32(product * f64(f32(mu))))  # it is kept as float32
    coupled = hyper[6] == 0.0
    f[0], f[1] = sign_of(hyper[7]), hyper[4] if coupled else 0.0
    f[2], f[3] = lr * (1.0 - mu) / (1.0 - product), lr * mu_next / (1.0 - product * mu_next)
    f[4], f[5] = hyper[3], 1.0 - power(beta2, t)
    f[6] = 1.0 if coupled else 1.0 - lr * hyper[4]
    f[7], f[8], f[9], f[10] = beta1, 1.0 - beta1, beta2, 1.0 - beta2
    return product, b


def nadam_element(kind, *present):
    """m, v = means of d, d^2; p = p - (rate d + rate' m) / (sqrt(v / (1 - b2^t)) + eps)"""
    flushed, lerp = flusher(kind), lerp_of(kind)

    def element(p, d, m, v, c, f):
        rate, rate_next, eps, root, shrink, keep1, toward1, keep2, toward2 = f[2:11]
        m = flushed(lerp(m, d, toward1, keep1))
        v = flushed(keep2 * v + toward2 * (d * d))
        p = shrink * p - (rate * d + rate_next * m) / (functions.sqrt(v / root) + eps)
        return p, m, v, c

    return element


# ---------------------------------------------------------------------- RAdam


def radam_factors(t, a, b, hyper, f):
    lr, beta1, beta2 = hyper[0], hyper[1], hyper[2]
    left = power(beta2, t)
    correction, longest = 1.0 - left, 2.0 / (1.0 - beta2) - 1.0
    length = longest - 2.0 * t * left / correction
    rectified = length > 5.0
    rate = lr / (1.0 - power(beta1, t))
    if rectified:
        r = (length - 4.0) * (length - 2.0) * longest
        rate *= functions.sqrt(r / ((longest - 4.0) * (longest - 2.0) * length) * correction)
    coupled = hyper[5] == 0.0
    f[0], f[1] = sign_of(hyper[6]), hyper[4] if coupled else 0.0
    f[2], f[3], f[4] = rate, 1.0 if rectified else 0.0, hyper[3]
    f[5] = 1.0 if coupled else 1.0 - lr * hyper[4]
    f[6], f[7], f[8], f[9] = beta1, 1.0 - beta1, beta2, 1.0 - beta2
    return a, b


def radam_element(kind, *present):
    """m, v = means of d, d^2; p = p - rate m / (sqrt(v) + eps), or p - rate m if not rectified"""
    flushed, lerp = flusher(kind), lerp_of(kind)

    def element(p, d, m, v, c, f):
        rate, rectified, eps, shrink, keep1, toward1, keep2, toward2 = f[2:10]
        m = flushed(lerp(m, d, toward1, keep1))
        v = flushed(keep2 * v + toward2 * (d * d))
        step = rate * m
        step = step / (functions.sqrt(v) + eps) if rectified != kind(0) else step
        return shrink * p - step, m, v, c

    return element


# ---------------------------------------------------------------------- Adamax


def adamax_factors(t, a, b, hyper, f):
    beta1 = hyper[1]
    f[0], f[1] = sign_of(hyper[5]), hyper[4]
    f[2], f[3], f[4] = hyper[0] / (1.0 - power(beta1, t)), hyper[3], hyper[2]
    f[5], f[6] = beta1, 1.0 - beta1
    return a, b


def adamax_element(kind, *present):
    """m = mean of d; u = max(b2 u, |d| + eps); p = p - lr m / ((1 - b1^t) u)"""
    flushed, lerp = flusher(kind), lerp_of(kind)

    def element(p, d, m, u, c, f):
        rate, eps, keep2, keep1, toward1 = f[2:7]
        m = flushed(lerp(m, d, toward1, keep1))
        before, now = flushed(keep2 * u), abs(d) + eps
        u = before if before > now or before != before else now
        return p - rate * m / u, m, u, c

    return element


# ---------------------------------------------------------------------- Adagrad


def adagrad_factors(t, a, b, hyper, f):
    f[0], f[1] = sign_of(hyper[4]), hyper[2]
    f[2], f[3] = hyper[0] / (1.0 + (t - 1.0) * hyper[1]), hyper[3]
    return a, b


def adagrad_element(kind, *present):
    """s = s + d^2; p = p - lr / (1 + (t - 1) lr_decay) d / (sqrt(s) + eps)"""

    def element(p, d, s, b, c, f):
        rate, eps = f[2:4]
        s += d * d
        return p - rate * d / (functions.sqrt(s) + eps), s, b, c

    return element


# ---------------------------------------------------------------------- Adadelta


def adadelta_factors(t, a, b, hyper, f):
    f[0], f[1] = sign_of(hyper[4]), hyper[3]
    f[2], f[3], f[4], f[5] = hyper[0], hyper[1], 1.0 - hyper[1], hyper[2]
    return a, b


def adadelta_element(kind, *present):
    """v = mean of d^2; x = sqrt(u + eps) / sqrt(v + eps) d; u = mean of x^2; p = p - lr x"""
    flushed = flusher(kind)

    def element(p, d, v, u, c, f):
        lr, keep, toward, eps = f[2:6]
        v = flushed(keep * v + toward * (d * d))
        x = functions.sqrt(u + eps) / functions.sqrt(v + eps) * d
        u = flushed(keep * u + toward * (x * x))
        return p - lr * x, v, u, c

    return element


# ---------------------------------------------------------------------- RMSprop


def rmsprop_factors(t, a, b, hyper, f):
    f[0], f[1] = sign_of(hyper[5]), hyper[3]
    f[2], f[3], f[4], f[5], f[6] = hyper[0], hyper[1], 1.0 - hyper[1], hyper[2], hyper[4]
    return a, b


def rmsprop_element(kind, _, smooth, centered):
    """v = mean of d^2; x = d / (sqrt(v - (mean of d)^2 if centered) + eps); p = p - lr x

    With momentum b = mu b + x takes x's place.
    """
    flushed, lerp = flusher(kind), lerp_of(kind)

    def element(p, d, v, b, m, f):
        lr, keep, toward, eps, momentum = f[2:7]
        v = flushed(keep * v + toward * (d * d))
        rest = v
        if centered:
            m = flushed(lerp(m, d, toward, keep))
            rest -= flushed(m * m)  # v may be flushed: what is left must not fall below 0
        x = d / (functions.sqrt(rest) + eps)
        if smooth:
            x = flushed(momentum * b + x)
        return p - lr * x, v, x, m

    return element


# ---------------------------------------------------------------------- Rprop


def rprop_factors(t, a, b, hyper, f):
    f[0], f[1] = sign_of(hyper[4]), 0.0
    f[2], f[3], f[4], f[5] = hyper[0], hyper[1], hyper[2], hyper[3]
    return a, b


def rprop_element(kind, *present):
    """s = s eta+, eta- or 1 as d prev is > 0, < 0 or neither; p = p - sign(d) s unless it is < 0"""

    def element(p, d, prev, s, c, f):
        shorter, longer, least, most = f[2:6]
        agreement = d * prev
        s *= longer if agreement > kind(0) else shorter if agreement < kind(0) else kind(1)
        s = least if s < least else most if s > most else s
        d = kind(0) if agreement < kind(0) else d
        return p - (s if d > kind(0) else -s if d < kind(0) else kind(0)), d, s, c

    return element


# ---------------------------------------------------------------------- ASGD


def asgd_factors(t, eta, mu, hyper, f):
    """Those of this step are kept from the last; those of the next are eta = lr / (1 + lambd lr
    t)^alpha and mu = 1 / max(1, t - t0)"""
    f[0], f[1] = sign_of(hyper[5]), hyper[4]
    f[2], f[3], f[4] = eta, mu, 1.0 - hyper[1] * eta
    return hyper[0] / power(1.0 + hyper[1] * hyper[0] * t, hyper[2]), 1.0 / max(1.0, t - hyper[3])


def asgd_element(kind, *present):
    """p = (1 - lambd eta) p - eta d; ax = ax + mu (p - ax), or p if mu = 1"""

    def element(p, d, ax, b, c, f):
        eta, mu, keep = f[2:5]
        p = keep * p - eta * d
        return p, ax + mu * (p - ax) if mu != kind(1) else p, b, c

    return element


# ---------------------------------------------------------------------- all of them

RULES = {
    "nadam": Rule(nadam_factors, nadam_element),
    "radam": Rule(radam_factors, radam_element),
    "adamax": Rule(adamax_factors, adamax_element),
    "adagrad": Rule(adagrad_factors, adagrad_element),
    "adadelta": Rule(adadelta_factors, adadelta_element),
    "rmsprop": Rule(rmsprop_factors, rmsprop_element),
    "rprop": Rule(rprop_factors, rprop_element),
    "asgd": Rule(asgd_factors, asgd_element),
}


@variants(*[(name, f32) for name in RULES], ("nadam", f64), double=True, pointers=True)
def factors(name: str, kind: Any) -> tuple[Any, ...]:
    """t += 1, the numbers kept beside it moved on, and the factors of each parameter"""
    make = device_function(RULES[name].factors)

    def body(step_at, a_at, b_at, like, hyper, factors, count):
        i = thread_index()
        if i < u32(count):
            first = i64(0)
            t = load(step_at[i], first, like) + f32(1)
            own = factors[i64(i) * FACTORS : (i64(i) + 1) * FACTORS]
            a, b = load(a_at[i], first, like), load(b_at[i], first, like)
            a, b = make(f64(t), f64(a), f64(b), hyper, own)
            # An address that stands for none is that of the count, which is written last.
            store(a_at[i], first, a, like)
            store(b_at[i], first, b, like)
            store(step_at[i], first, t, like)

    body.__name__ = f"{name}_factors"
    at = vector(i64)
    return body, (at, at, at, vector(f32), vector(f64), vector(kind), i32)


@device_function
def row_of(factors, i):
    """A parameter's factors, read once: for all the compiler knows, later writes change them"""
    r = factors[i64(i) * FACTORS : (i64(i) + 1) * FACTORS]
    return r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10]


def _examples() -> list[tuple[Any, ...]]:
    two = [(name, f32, True, True, False) for name in RULES if name not in ("adagrad", "asgd")]
    one = [(name, f32, True, False, False) for name in ("adagrad", "asgd", "rmsprop")]
    return [*two, *one, ("rmsprop", f32, True, True, True), ("nadam", f64, True, True, False)]


@variants(_examples, registers=80, pointers=True)
def elements(name: str, kind: Any, *present: bool) -> tuple[Any, ...]:
    """A rule's step of each element, in a block those of a stretch"""
    step = device_function(RULES[name].element(kind, *present))
    with_a, with_b, with_c = present

    def body(p_at, g_at, a_at, b_at, c_at, table, factors):
        row = u32(u32(cuda.blockIdx.x) * u32(3))
        i = table[row]
        start, size = table[u32(row + u32(1))], table[u32(row + u32(2))]
        f = row_of(factors, i)
        k = i32(cuda.threadIdx.x)
        while k < size:
            e = i64(i32(start + k))
            p, d = load(p_at[i], e, factors), f[0] * load(g_at[i], e, factors)
            if f[1] != kind(0):
                d += f[1] * p
            a = load(a_at[i], e, factors) if with_a else kind(0)
            b = load(b_at[i], e, factors) if with_b else kind(0)
            c = load(c_at[i], e, factors) if with_c else kind(0)
            p, a, b, c = step(p, d, a, b, c, f)
            store(p_at[i], e, p, factors)
            if with_a:
                store(a_at[i], e, a, factors)
            if with_b:
                store(b_at[i], e, b, factors)
            if with_c:
                store(c_at[i], e, c, factors)
            k = i32(k + i32(BLOCK))

    body.__name__ = name
    at = vector(i64)
    return body, (at, at, at, at, at, vector(i32), vector(kind))


def _step(name: str, p: Any, g: Any, moments: Any, numbers: Any, hyper: Any) -> None:
    """Run a rule on all parameters, their gradients, moments and numbers, which are tuples."""
    kind, table, steps = of(p[0].dtype), stretches(p), numbers[0]
    own = empty((len(p), FACTORS), p[0].dtype)
    at = [addresses(n) for n in (*numbers, *[steps] * (NUMBERS - len(numbers)))]
    blocks = blocks_for(len(p), BLOCK)
    factors(name, kind)(blocks, *at, steps[0].reshape(1), hyper, own, len(p))
    columns = (*moments, *[()] * (MOMENTS - len(moments)))
    at = [addresses(column or p) for column in (p, g, *columns)]
    elements(name, kind, *map(bool, columns))(table.size // 3, *at, table, own)


def nadam(
    p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, step: Any, mu_product: Any, hyper: Any
) -> None:
    """Adam with Nesterov's momentum, whose weight mu grows with the steps."""
    _step("nadam", p, g, (exp_avg, exp_avg_sq), (step, mu_product), hyper)


def radam(p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, step: Any, hyper: Any) -> None:
    """Adam that leaves the second moment out until its variance can be known, then corrects it."""
    _step("radam", p, g, (exp_avg, exp_avg_sq), (step,), hyper)


def adamax(p: Any, g: Any, exp_avg: Any, exp_inf: Any, step: Any, hyper: Any) -> None:
    """Adam by the largest gradient instead of the mean square."""
    _step("adamax", p, g, (exp_avg, exp_inf), (step,), hyper)


def adagrad(p: Any, g: Any, sums: Any, step: Any, hyper: Any) -> None:
    """Steps that shrink with the sum of the squares so far."""
    _step("adagrad", p, g, (sums,), (step,), hyper)


def adadelta(p: Any, g: Any, square_avg: Any, acc_delta: Any, step: Any, hyper: Any) -> None:
    """Steps as large as the earlier ones were, by the size of the gradient."""
    _step("adadelta", p, g, (square_avg, acc_delta), (step,), hyper)


def rmsprop(
    p: Any, g: Any, square_avg: Any, momentum_buffer: Any, grad_avg: Any, step: Any, hyper: Any
) -> None:
    """Steps of the gradient over the root of its square's running mean.

    `momentum_buffer` and `grad_avg` may be ().
    """
    _step("rmsprop", p, g, (square_avg, momentum_buffer, grad_avg), (step,), hyper)


def rprop(p: Any, g: Any, prev: Any, step_size: Any, step: Any, hyper: Any) -> None:
    """Steps by the gradient's sign, longer while it stays and shorter when it changes."""
    _step("rprop", p, g, (prev, step_size), (step,), hyper)


def asgd(p: Any, g: Any, ax: Any, step: Any, eta: Any, mu: Any, hyper: Any) -> None:
    """Steps of a rate that falls, and the mean of what they led to."""
    _step("asgd", p, g, (ax,), (step, eta, mu), hyper)
