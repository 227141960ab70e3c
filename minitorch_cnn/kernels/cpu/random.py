"""Philox 4x32-10: four random words from a seed and the number of a block of draws.

Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011). A kernel reads the seed and the
number of its first block from `state` and leaves there the number of the next one's.
"""

import math
from typing import Any

import numpy as np

from ..jit import driver, inner, kernel, prange, threads_for
from ..tasks import task_kernel

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
TWO_PI = 2 * math.pi


@inner
def rounds(c0, c1, c2, c3, key0, key1):
    """Ten rounds on a counter of four words with a key of two."""
    for _ in range(10):
        product0, product1 = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product1 >> HALF) ^ c1 ^ key0,
            product1 & LOW,
            (product0 >> HALF) ^ c3 ^ key1,
            product0 & LOW,
        )
        key0, key1 = (key0 + WEYL_0) & LOW, (key1 + WEYL_1) & LOW
    return c0, c1, c2, c3


@inner
def philox(seed, block):
    """The four 32-bit words of a block, each in 64 bits."""
    zero = np.uint64(0)
    return rounds(block & LOW, block >> HALF, zero, zero, seed & LOW, seed >> HALF)


@inner
def pick(words, i):
    """words[i] of four"""
    low = words[0] if i == 0 else words[1]
    high = words[2] if i == 2 else words[3]
    return low if i < 2 else high


@kernel()
def _advance(state, blocks):
    """The first block of the next call comes so many blocks later."""
    state[1] += np.uint64(blocks)


@driver
def uniform(state: Any, y: Any, low: float, high: float) -> None:
    """y uniform in [low, high): 24 random bits in float32, 53 in float64"""
    y = y.reshape(-1)
    _uniform(threads_for(20 * y.size), y, state, float(low), float(high))
    _advance(state, -(-y.nbytes // 16))


@task_kernel
def _uniform(thread, threads, y, state, low, high):
    """y uniform in [low, high): 24 random bits in float32, 53 in float64"""
    each = 4 // (y.itemsize // 4)  # elements from a block
    blocks = (y.size + each - 1) // each
    seed, first = state[0], state[1]
    span = high - low
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        words = philox(seed, first + np.uint64(block))
        out = y[each * block : each * (block + 1)]
        for i in range(out.size):
            if each == 4:
                unit = (pick(words, i) >> np.uint64(8)) * 2.0**-24
            else:
                bits = (pick(words, 2 * i) << np.uint64(21)) ^ (
                    pick(words, 2 * i + 1) >> np.uint64(11)
                )
                unit = bits * 2.0**-53
            out[i] = low + unit * span


@driver
def normal(state: Any, y: Any, mean: float, std: float) -> None:
    """y normal, by Box and Muller: sqrt(-2 ln u) times cos and sin of 2 pi v"""
    y = y.reshape(-1)
    _normal(threads_for(20 * y.size), y, state, float(mean), float(std))
    _advance(state, -(-y.size // 4))


@task_kernel
def _normal(thread, threads, y, state, mean, std):
    """y normal, by Box and Muller: sqrt(-2 ln u) times cos and sin of 2 pi v"""
    blocks = (y.size + 3) // 4
    seed, first = state[0], state[1]
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        words = philox(seed, first + np.uint64(block))
        out = y[4 * block : 4 * (block + 1)]
        for i in range(out.size):
            u = (pick(words, i & 2) + np.uint64(1)) * 2.0**-32  # in (0, 1]
            v = TWO_PI * (pick(words, (i & 2) + 1) * 2.0**-32)
            radius = math.sqrt(-2 * math.log(u))
            out[i] = mean + std * radius * (math.cos(v) if i & 1 == 0 else math.sin(v))


@driver
def integers(state: Any, y: Any, low: int, high: int) -> None:
    """y an integer from low to high - 1, of 64 random bits"""
    y = y.reshape(-1)
    _integers(threads_for(20 * y.size), y, state, low, np.uint64((high - low) % 2**64))
    _advance(state, -(-y.size // 2))


@task_kernel
def _integers(thread, threads, y, state, low, span):
    """y an integer from low to low + span - 1, of 64 random bits"""
    blocks = (y.size + 1) // 2
    seed, first = state[0], state[1]
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        words = philox(seed, first + np.uint64(block))
        out = y[2 * block : 2 * (block + 1)]
        for i in range(out.size):
            bits = (pick(words, 2 * i) << HALF) ^ pick(words, 2 * i + 1)
            out[i] = low + np.int64(bits % span)


def choose(weights: Any, u: Any, y: Any) -> None:
    """y[r, i] = the index where the sum of the weights of row r passes u[r, i] times all of it"""
    for row, part, chosen in zip(weights, u, y):
        sums = np.cumsum(row)
        last = np.flatnonzero(row)[-1]  # which rounding must not carry a draw beyond
        chosen[:] = np.minimum(np.searchsorted(sums, part * sums[-1], side="right"), last)


def choose_distinct(weights: Any, u: Any, y: Any) -> None:
    """y[r] = the indices of the first of exponential waiting times, one for each weight of row r"""
    for row, part, chosen in zip(weights, u, y):
        waits = np.full(row.size, np.inf)
        np.divide(-np.log1p(-part), row, out=waits, where=row > 0)
        chosen[:] = np.argsort(waits, kind="stable")[: chosen.size]


@driver
def dropout(x: Any, state: Any, y: Any, mask: Any, p: float) -> None:
    """mask = whether a draw is p or more; y = mask x / (1 - p), NaN for NaN"""
    x, y, mask = x.reshape(-1), y.reshape(-1), mask.reshape(-1)
    _dropout(threads_for(20 * y.size), x, state, y, mask, float(p))
    _advance(state, -(-y.size // 4))


@task_kernel
def _dropout(thread, threads, x, state, y, mask, p):
    """mask = whether a draw is p or more; y = mask x / (1 - p), NaN for NaN"""
    blocks = (y.size + 3) // 4
    seed, first = state[0], state[1]
    scale = y.dtype.type(1 / (1 - p) if p < 1 else 0)
    zero = y.dtype.type(0)
    limit = np.uint64(p * 2.0**32)
    for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
        words = philox(seed, first + np.uint64(block))
        start = 4 * block
        for i in range(min(4, y.size - start)):
            kept = pick(words, i) >= limit
            mask[start + i] = kept
            y[start + i] = x[start + i] * (scale if kept else zero)


@kernel(work=lambda gy, mask, gx, p: gx.size, flat=True)
def dropout_grad(gy, mask, gx, p):
    """gx = mask gy / (1 - p)"""
    scale = gx.dtype.type(1 / (1 - p) if p < 1 else 0)
    zero = gx.dtype.type(0)
    for i in prange(gx.size):
        gx[i] = gy[i] * (scale if mask[i] else zero)


@kernel()
def streams(first, y, drawn):
    """y[j, i] = number drawn + j of the stream that begins with splitmix64's number first[i]

    G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number generators (2014).
    """
    step = np.uint64(0x9E3779B97F4A7C15)
    for i in range(first.size):
        state = splitmix(first[i] + step) + step * np.uint64(drawn)
        for j in range(y.shape[0]):
            state += step
            y[j, i] = splitmix(state)


@inner
def splitmix(z):
    """A bijection of 64 bits that mixes them well"""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
