"""Philox 4x32-10, as on the CPU: the same seed draws the same numbers there and here.

A kernel reads the seed and the number of its first block of draws from `state`; another launch then
moves that number on.
"""

import math
from typing import Any

import numpy as np

from . import functions
from .buffer import empty
from .functions import thread_index
from .geometry import blocks_for
from .order import argtopk
from .registry import (
    BLOCK,
    boolean,
    cuda,
    device_function,
    f32,
    f64,
    i32,
    i64,
    of,
    types,
    u32,
    variants,
    vector,
)

u64 = types.uint64
LOW, HALF = 0xFFFFFFFF, 32


@device_function
def philox(seed, block):
    """The four 32-bit words of a block, each in 64 bits"""
    low, half = u64(LOW), u64(HALF)
    c0, c1, c2, c3 = block & low, block >> half, u64(0), u64(0)
    key0, key1 = seed & low, seed >> half
    for _ in range(10):
        product0, product1 = u64(0xD2511F53) * c0, u64(0xCD9E8D57) * c2
        c0 = (product1 >> half) ^ c1 ^ key0
        c2 = (product0 >> half) ^ c3 ^ key1
        c1, c3 = product1 & low, product0 & low
        key0 = (key0 + u64(0x9E3779B9)) & low
        key1 = (key1 + u64(0xBB67AE85)) & low
    return c0, c1, c2, c3


@device_function
def pick(words, i):
    """words[i] of four"""
    low = words[0] if i == 0 else words[1]
    high = words[2] if i == 2 else words[3]
    return low if i < 2 else high


@device_function
def block_of(state, element, each):
    """The words of the block from which an element is drawn"""
    return philox(state[0], state[1] + u64(u32(element // u32(each))))


@variants((0,))
def advance(_: int) -> tuple[Any, ...]:
    """The number of the next block, so many on"""

    def advance(state, blocks):
        if cuda.threadIdx.x == 0:
            state[1] += u64(blocks)

    return advance, (vector(u64), i64)


@variants((f32,), (f64,), double=True)
def uniform_numbers(kind: Any) -> tuple[Any, ...]:
    """y uniform in [low, high): 24 random bits in float32, 53 in float64"""
    single = kind is f32

    def uniform(state, y, size, low, high):
        e = thread_index()
        if e < u32(size):
            if single:
                words = block_of(state, e, 4)
                word = pick(words, i32(e & u32(3)))
                unit = f64(i64(word >> u64(8))) * f64(2.0**-24)
            else:
                words = block_of(state, e, 2)
                i = i32(u32(e & u32(1)) * u32(2))
                bits = (pick(words, i) << u64(21)) ^ (pick(words, i + 1) >> u64(11))
                unit = f64(i64(bits)) * f64(2.0**-53)
            y[e] = low + unit * (high - low)

    return uniform, (vector(u64), vector(kind), i32, f64, f64)


def uniform(state: Any, y: Any, low: float, high: float) -> None:
    """y uniform in [low, high): 24 random bits in float32, 53 in float64"""
    uniform_numbers(of(y.dtype))(blocks_for(y.size, BLOCK), state, y, y.size, low, high)
    advance(0)(1, state, -(-y.nbytes // 16))


@variants((f32,), (f64,), double=True)
def normal_numbers(kind: Any) -> tuple[Any, ...]:
    """y normal, by Box and Muller: sqrt(-2 ln u) times cos and sin of 2 pi v"""

    def normal(state, y, size, mean, std):
        e = thread_index()
        if e < u32(size):
            words = block_of(state, e, 4)
            i = i32(e & u32(2))
            u = f64(i64(pick(words, i) + u64(1))) * f64(2.0**-32)  # in (0, 1]
            v = f64(i64(pick(words, i + 1))) * f64(2.0**-31)  # in turns of pi
            radius = functions.sqrt(f64(-2) * functions.log(u))
            turn = functions.cospi(v) if e & u32(1) == u32(0) else functions.sinpi(v)
            y[e] = mean + std * radius * turn

    return normal, (vector(u64), vector(kind), i32, f64, f64)


def normal(state: Any, y: Any, mean: float, std: float) -> None:
    """y normal, by Box and Muller: sqrt(-2 ln u) times cos and sin of 2 pi v"""
    normal_numbers(of(y.dtype))(blocks_for(y.size, BLOCK), state, y, y.size, mean, std)
    advance(0)(1, state, -(-y.size // 4))


@variants((0,), long_division=True)
def whole_numbers(_: int) -> tuple[Any, ...]:
    """y an integer from low to low + span - 1, of 64 random bits"""

    def integers(state, y, size, low, span):
        e = thread_index()
        if e < u32(size):
            words = block_of(state, e, 2)
            i = i32(u32(e & u32(1)) * u32(2))
            bits = (pick(words, i) << u64(HALF)) ^ pick(words, i + 1)
            y[e] = low + i64(bits % span)

    return integers, (vector(u64), vector(i64), i32, i64, u64)


def integers(state: Any, y: Any, low: int, high: int) -> None:
    """y an integer from low to high - 1, of 64 random bits"""
    span = np.uint64((high - low) % 2**64)
    whole_numbers(0)(blocks_for(y.size, BLOCK), state, y, y.size, np.int64(low), span)
    advance(0)(1, state, -(-y.size // 2))


@variants((0,), double=True)
def sums_of_rows(_: int) -> tuple[Any, ...]:
    """sums[r, i] = weights[r, 0] + .. + weights[r, i], last = the last of a row that is not zero

    A block takes a row, its threads fetch and store, and one of them adds up: in order, so that the
    sums have the CPU's bits, and draws choose the same.
    """

    def choose_sums(weights, sums, last, n):
        part = cuda.shared.array(BLOCK, f64)
        t = i32(cuda.threadIdx.x)
        start = u32(u32(cuda.blockIdx.x) * u32(n))
        total, found, first = f64(0), i32(0), i32(0)
        while first < n:
            k = i32(first + t)
            if k < n:
                part[t] = weights[u32(start + u32(k))]
            cuda.syncthreads()
            if t == 0:
                for j in range(min(i32(BLOCK), i32(n - first))):
                    if part[j] != f64(0):
                        found = i32(first + i32(j))
                    total += part[j]
                    part[j] = total
            cuda.syncthreads()
            if k < n:
                sums[u32(start + u32(k))] = part[t]
            first = i32(first + i32(BLOCK))
        if t == 0:
            last[u32(cuda.blockIdx.x)] = found

    return choose_sums, (vector(f64), vector(f64), vector(i32), i32)


@variants((0,), double=True)
def choices(_: int) -> tuple[Any, ...]:
    """y[r, i] = the first place whose sum is greater than u[r, i] times all of it

    draws: of a row; n: weights of a row.
    """

    def choose(sums, last, u, y, size, draws, n):
        e = thread_index()
        if e < u32(size):
            row = u32(e // u32(draws))
            start = u32(row * u32(n))
            target = u[e] * sums[u32(start + u32(n - i32(1)))]
            low, high = u32(0), u32(n)
            while low < high:
                middle = u32(u32(low + high) >> u32(1))
                if sums[u32(start + middle)] <= target:
                    low = u32(middle + u32(1))
                else:
                    high = middle
            y[e] = min(i32(low), last[row])  # beyond which rounding must not carry a draw

    return choose, (vector(f64), vector(i32), vector(f64), vector(i64), i32, i32, i32)


def choose(weights: Any, u: Any, y: Any) -> None:
    """y[r, i] = the index where the sum of the weights of row r passes u[r, i] times all of it"""
    rows, n = weights.shape
    sums, last = empty((rows, n), weights.dtype), empty((rows,), np.dtype(np.int32))
    sums_of_rows(0)(rows, weights, sums, last, n)
    choices(0)(blocks_for(y.size, BLOCK), sums, last, u, y, y.size, y.shape[1], n)


@variants((0,), double=True)
def waiting_times(_: int) -> tuple[Any, ...]:
    """waits = exponential ones, infinite where the weight is 0"""

    def choose_waits(weights, u, waits, size):
        e = thread_index()
        if e < u32(size):
            weight, wait = weights[e], f64(math.inf)
            if weight > f64(0):
                wait = -functions.log1p(-u[e]) / weight
            waits[e] = wait

    return choose_waits, (vector(f64), vector(f64), vector(f64), i32)


def choose_distinct(weights: Any, u: Any, y: Any) -> None:
    """y[r] = the indices of the first of exponential waiting times, one for each weight of row r"""
    waits = empty(weights.shape, weights.dtype)
    waiting_times(0)(blocks_for(waits.size, BLOCK), weights, u, waits, waits.size)
    argtopk(waits, y, y.shape[1], 1, False)


@variants((f32,), (f64,))
def drop(kind: Any) -> tuple[Any, ...]:
    """mask = whether a draw is `limit` or more; y = mask x scale, NaN for NaN"""

    def dropout(x, state, y, mask, size, limit, scale):
        e = thread_index()
        if e < u32(size):
            words = block_of(state, e, 4)
            kept = pick(words, i32(e & u32(3))) >= limit
            mask[e] = kept
            y[e] = x[e] * (scale if kept else kind(0))

    arrays = vector(kind), vector(u64), vector(kind), vector(boolean)
    return dropout, (*arrays, i32, u64, kind)


def dropout(x: Any, state: Any, y: Any, mask: Any, p: float) -> None:
    """mask = whether a draw is p or more; y = mask x / (1 - p), NaN for NaN"""
    limit = np.uint64(p * 2.0**32)
    blocks = blocks_for(y.size, BLOCK)
    drop(of(x.dtype))(blocks, x, state, y, mask, y.size, limit, _scale(p))
    advance(0)(1, state, -(-y.size // 4))


def _scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0


@variants((f32,), (f64,))
def drop_grad(kind: Any) -> tuple[Any, ...]:
    """gx = mask gy scale"""

    def dropout_grad(gy, mask, gx, size, scale):
        e = thread_index()
        if e < u32(size):
            gx[e] = gy[e] * (scale if mask[e] else kind(0))

    return dropout_grad, (vector(kind), vector(boolean), vector(kind), i32, kind)


def dropout_grad(gy: Any, mask: Any, gx: Any, p: float) -> None:
    """gx = mask gy / (1 - p)"""
    blocks = blocks_for(gx.size, BLOCK)
    drop_grad(of(gx.dtype))(blocks, gy, mask, gx, gx.size, _scale(p))


@device_function
def splitmix(z):
    """A bijection of 64 bits that mixes them well"""
    z = (z ^ (z >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> u64(27))) * u64(0x94D049BB133111EB)
    return z ^ (z >> u64(31))


@variants((0,))
def numbers_of_streams(_: int) -> tuple[Any, ...]:
    """y[j, i] = number drawn + j of stream i, a thread each; count: streams"""

    def streams(first, y, drawn, count, size):
        e = thread_index()
        if e < u32(size):
            j = u32(e // u32(count))
            start, step = first[u32(e - u32(j * u32(count)))], u64(0x9E3779B97F4A7C15)
            state = splitmix(start + step) + step * (drawn + u64(j) + u64(1))
            y[e] = splitmix(state)

    return streams, (vector(u64), vector(u64), u64, i32, i32)


def streams(first: Any, y: Any, drawn: int) -> None:
    """y[j, i] = number drawn + j of the stream that begins with splitmix64's number first[i]"""
    blocks = blocks_for(y.size, BLOCK)
    numbers_of_streams(0)(blocks, first, y, np.uint64(drawn), first.size, y.size)
