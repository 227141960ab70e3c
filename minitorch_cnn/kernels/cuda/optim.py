"""Optimizer steps, in place: one launch for all parameters, which come as tuples of buffers.

What may change between steps is read from buffers: `hyper` holds the options, in float64, and
`step` counts. Factors are made in float64 by a kernel of a thread a parameter, and rounded once to
the parameters' type, as PyTorch does. A block takes a stretch of one parameter, found in a table.
"""

from typing import Any

import numpy as np

from . import functions
from .buffer import empty
from .geometry import blocks_for
from .pointers import addresses, known, load, store
from .registry import BLOCK, cuda, f32, f64, i32, i64, of, u32, variants, vector

STRETCH = 4 * BLOCK
"""Elements of a block."""

ADAM_FACTORS = 10
SGD_FACTORS = 6


def stretches(buffers: Any) -> Any:
    """For each block the parameter, its first element, and how many it takes."""

    def make() -> Any:
        rows = [
            (i, start, min(STRETCH, b.size - start))
            for i, b in enumerate(buffers)
            for start in range(0, b.size, STRETCH)
        ]
        return np.array(rows, np.int32).reshape(-1)

    return known(buffers, "stretches", make)


@variants((f32,), (f64,), double=True)
def sgd_factors(kind: Any) -> tuple[Any, ...]:
    """lr, momentum, 1 - dampening, weight decay, whether nesterov, the gradient's sign"""

    def sgd_factors(hyper, factors):
        if cuda.threadIdx.x == 0:
            factors[0] = hyper[0]
            factors[1] = hyper[1]
            factors[2] = f64(1) - hyper[2]
            factors[3] = hyper[3]
            factors[4] = hyper[4]
            factors[5] = f64(-1) if hyper[5] != f64(0) else f64(1)

    return sgd_factors, (vector(f64), vector(kind))


@variants((f32, True), (f32, False), (f64, True), pointers=True)
def sgd_step(kind: Any, with_momentum: bool) -> tuple[Any, ...]:
    """d = ±g + w p; b = mu b + (1 - tau) d; p = p - lr (d + mu b if nesterov, b, or d if mu = 0)"""
    tiny = float(np.finfo(str(kind)).tiny)

    def sgd(p_at, g_at, b_at, table, factors):
        row = u32(u32(cuda.blockIdx.x) * u32(3))
        i = table[row]
        start, size = table[u32(row + u32(1))], table[u32(row + u32(2))]
        lr, momentum, gain = factors[0], factors[1], factors[2]
        decay, nesterov, sign = factors[3], factors[4], factors[5]
        k = i32(cuda.threadIdx.x)
        while k < size:
            e = i64(i32(start + k))
            p = load(p_at[i], e, factors)
            d = sign * load(g_at[i], e, factors)
            if decay != kind(0):
                d += decay * p
            if with_momentum:
                b = momentum * load(b_at[i], e, factors) + gain * d
                # Numbers about to become denormal end at 0, as on the CPU.
                b = kind(0) if abs(b) < kind(tiny) else b
                store(b_at[i], e, b, factors)
                d = d + momentum * b if nesterov != kind(0) else b
            store(p_at[i], e, p - lr * d, factors)
            k = i32(k + i32(BLOCK))

    at = vector(i64)
    return sgd, (at, at, at, vector(i32), vector(kind))


def sgd(p: Any, g: Any, momentum_buffer: Any, hyper: Any) -> None:
    """d = ±g + w p; b = mu b + (1 - tau) d; p = p - lr (d + mu b if nesterov, b, or d if mu = 0)

    Of all parameters, their gradients and buffers, which are tuples; `momentum_buffer` may be ().
    """
    kind, table = of(p[0].dtype), stretches(p)
    factors = empty((SGD_FACTORS,), p[0].dtype)
    sgd_factors(kind)(1, hyper, factors)
    at = addresses(p), addresses(g), addresses(momentum_buffer or p)
    sgd_step(kind, bool(momentum_buffer))(table.size // 3, *at, table, factors)


@variants((f32,), (f64,), double=True, pointers=True)
def adam_factors(kind: Any) -> tuple[Any, ...]:
    """t += 1, and of each parameter rate = lr / (1 - b1^t), root = sqrt(1 - b2^t), 1 - b1, b1,
    1 - b2, b2, eps, 1 - lr w', w and the gradient's sign"""

    def adam_factors(step_at, like, hyper, factors, count):
        i = u32(u32(cuda.blockIdx.x) * u32(BLOCK) + u32(cuda.threadIdx.x))
        if i < u32(count):
            t = load(step_at[i], i64(0), like) + f32(1)
            store(step_at[i], i64(0), t, like)
            one, steps = f64(1), f64(t)
            lr, beta1, beta2, decay = hyper[0], hyper[1], hyper[2], hyper[4]
            coupled = hyper[5] == f64(0)
            row = u32(i * u32(ADAM_FACTORS))
            factors[row] = lr / (one - functions.exp(steps * functions.log(beta1)))
            factors[u32(row + u32(1))] = functions.sqrt(
                one - functions.exp(steps * functions.log(beta2))
            )
            factors[u32(row + u32(2))] = one - beta1
            factors[u32(row + u32(3))] = beta1
            factors[u32(row + u32(4))] = one - beta2
            factors[u32(row + u32(5))] = beta2
            factors[u32(row + u32(6))] = hyper[3]
            factors[u32(row + u32(7))] = one if coupled else one - lr * decay
            factors[u32(row + u32(8))] = decay if coupled else f64(0)
            factors[u32(row + u32(9))] = f64(-1) if hyper[6] != f64(0) else one

    return adam_factors, (vector(i64), vector(f32), vector(f64), vector(kind), i32)


@variants((f32, False), (f32, True), (f64, False), pointers=True)
def adam_step(kind: Any, with_largest: bool) -> tuple[Any, ...]:
    """d = ±g + w p; m, v = means of d, d^2; p = (1 - w') p - rate m / (sqrt(v) / root + eps)"""
    tiny = float(np.finfo(str(kind)).tiny)

    def adam(p_at, g_at, m_at, v_at, l_at, table, factors):
        row = u32(u32(cuda.blockIdx.x) * u32(3))
        i = table[row]
        start, size = table[u32(row + u32(1))], table[u32(row + u32(2))]
        own = u32(u32(i) * u32(ADAM_FACTORS))
        rate, root = factors[own], factors[u32(own + u32(1))]
        toward1, keep1 = factors[u32(own + u32(2))], factors[u32(own + u32(3))]
        toward2, keep2 = factors[u32(own + u32(4))], factors[u32(own + u32(5))]
        eps, shrink = factors[u32(own + u32(6))], factors[u32(own + u32(7))]
        decay, sign = factors[u32(own + u32(8))], factors[u32(own + u32(9))]
        k = i32(cuda.threadIdx.x)
        while k < size:
            e = i64(i32(start + k))
            p = load(p_at[i], e, factors)
            d = sign * load(g_at[i], e, factors)
            if decay != kind(0):
                d += decay * p
            m = keep1 * load(m_at[i], e, factors) + toward1 * d
            v = keep2 * load(v_at[i], e, factors) + toward2 * d * d
            # Numbers about to become denormal end at 0, as on the CPU.
            m = kind(0) if abs(m) < kind(tiny) else m
            v = kind(0) if abs(v) < kind(tiny) else v
            store(m_at[i], e, m, factors)
            store(v_at[i], e, v, factors)
            if with_largest:
                largest = load(l_at[i], e, factors)
                v = largest if largest > v else v
                store(l_at[i], e, v, factors)
            p = shrink * p - rate * (m / (functions.sqrt(v) / root + eps))
            store(p_at[i], e, p, factors)
            k = i32(k + i32(BLOCK))

    at = vector(i64)
    return adam, (at, at, at, at, at, vector(i32), vector(kind))


def adam(
    p: Any, g: Any, exp_avg: Any, exp_avg_sq: Any, max_exp_avg_sq: Any, step: Any, hyper: Any
) -> None:
    """m, v = means of d, d^2; p = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    Of all parameters, their gradients, moments and step counts, which are tuples;
    `max_exp_avg_sq` may be ().
    """
    kind, table = of(p[0].dtype), stretches(p)
    factors = empty((len(p), ADAM_FACTORS), p[0].dtype)
    like = step[0].reshape(1)
    blocks = blocks_for(len(p), BLOCK)
    adam_factors(kind)(blocks, addresses(step), like, hyper, factors, len(p))
    at = [addresses(column) for column in (p, g, exp_avg, exp_avg_sq, max_exp_avg_sq or p)]
    adam_step(kind, bool(max_exp_avg_sq))(table.size // 3, *at, table, factors)
