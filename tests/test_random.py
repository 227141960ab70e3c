"""Random numbers: Philox's known answers, distributions, and what equal seeds promise."""

import math
import pickle

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch_cnn as mt
from minitorch_cnn.kernels import jit
from minitorch_cnn.kernels.cpu import random as kernels

ALL_ONES = 2**64 - 1


def words(*text):
    return [int(word, 16) for word in " ".join(text).split()]


# Known answers of Random123's philox4x32-10: counter, key, result. The kernel's counter is a
# block's number in the two low words; the two high ones are zero.


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (
            "00000000 00000000 00000000 00000000",
            "00000000 00000000",
            "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        ),
        (
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "408f276d 41c83b0e a20bc7c6 6d5451fd",
        ),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_its_known_answers(counter, key, expected):
    found = run_rounds(np.array(words(counter), np.uint64), np.array(words(key), np.uint64))
    assert list(found) == words(expected)


@numba.njit
def run_rounds(counter, key):
    return kernels.rounds(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@numba.njit
def block(seed, number):
    return kernels.philox(seed, number)


def reference(seed, number):
    """Philox 4x32-10 in Python's integers, from the paper."""
    c, k = [number % 2**32, number >> 32, 0, 0], [seed % 2**32, seed >> 32]
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


@given(st.integers(0, ALL_ONES), st.integers(0, ALL_ONES))
def test_blocks_are_philox_of_their_number_and_the_seed(seed, number):
    found = block(np.uint64(seed), np.uint64(number))
    assert list(found) == reference(seed, number)


def test_uniform_numbers_are_the_words_of_consecutive_blocks():
    mt.manual_seed(12345)
    drawn = np.concatenate([mt.rand(6).numpy(), mt.rand(3).numpy()])
    blocks = [reference(12345, i) for i in range(3)]
    expected = [*blocks[0], *blocks[1][:2], *blocks[2][:3]]  # a call starts with a new block
    np.testing.assert_array_equal(drawn, [(word >> 8) / 2**24 for word in expected])


# Distributions

COUNT = 200_000


def distance(values, cdf):
    """Kolmogorov and Smirnov's: the largest gap between the empirical and the true distribution."""
    values = np.sort(values)
    steps = np.arange(values.size + 1) / values.size
    expected = cdf(values)
    return max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))


# A gap above 2.5 / sqrt(n) has a probability of 2 exp(-2 * 2.5^2), less than 1 in 100,000.
BOUND = 2.5 / math.sqrt(COUNT)


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_uniform_numbers_are_uniform(dtype):
    mt.manual_seed(0)
    x = mt.rand(COUNT, dtype=dtype).numpy()
    assert x.min() >= 0
    assert x.max() < 1
    assert distance(x, lambda v: v) < BOUND
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / math.sqrt(COUNT)
    shifted = mt.empty(COUNT, dtype=dtype).uniform_(-3, 5).numpy()
    assert shifted.min() >= -3
    assert shifted.max() <= 5
    assert distance(shifted, lambda v: (v + 3) / 8) < BOUND


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_normal_numbers_are_normal(dtype):
    mt.manual_seed(1)
    x = mt.randn(COUNT, dtype=dtype).numpy().astype(np.float64)
    cdf = np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))
    assert np.isfinite(x).all()
    assert distance(x, cdf) < BOUND
    # Means of x, x^2, x^3, x^4 with the standard deviations of these means.
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - mean) < 5 * math.sqrt(variance / COUNT)
    for step in (1, 2, 4):
        assert abs(np.corrcoef(x[:-step], x[step:])[0, 1]) < 5 / math.sqrt(COUNT)
    shifted = mt.empty(COUNT, dtype=dtype).normal_(3, 0.5).numpy().astype(np.float64)
    assert distance((shifted - 3) / 0.5, cdf) < BOUND


def test_integers_are_equally_likely_and_within_their_bounds():
    mt.manual_seed(2)
    x = mt.randint(-3, 4, (70_000,))
    assert x.dtype is mt.int64
    values, counts = np.unique(x.numpy(), return_counts=True)
    assert values.tolist() == list(range(-3, 4))
    chi_square = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_square < 35  # six degrees of freedom: less than 1 in 100,000
    assert set(mt.randint(2, (100,)).tolist()) == {0, 1}
    wide = mt.randint(-(2**63), 2**63 - 1, (1000,)).numpy().astype(np.float64)
    assert abs(wide.mean()) < 5 * 2**64 / math.sqrt(12 * 1000)
    assert mt.randint(5, 6, (3,), dtype=mt.float32).tolist() == [5, 5, 5]


CONTINUOUS = {
    "exponential_": (lambda x: x.exponential_(2.0), lambda v: -np.expm1(-2 * v)),
    "cauchy_": (lambda x: x.cauchy_(1, 2), lambda v: np.arctan((v - 1) / 2) / math.pi + 0.5),
    "log_normal_": (
        lambda x: x.log_normal_(0.5, 0.25),
        np.vectorize(lambda v: 0.5 * (1 + math.erf((math.log(v) - 0.5) / 0.25 / math.sqrt(2)))),
    ),
    "normal of tensors": (
        lambda x: mt.normal(mt.full_like(x, 3), mt.full_like(x, 0.5)),
        np.vectorize(lambda v: 0.5 * (1 + math.erf((v - 3) / 0.5 / math.sqrt(2)))),
    ),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_draws_have_their_distribution(name):
    mt.manual_seed(5)
    draw, cdf = CONTINUOUS[name]
    for dtype in (mt.float32, mt.float64):
        x = draw(mt.empty(COUNT, dtype=dtype)).numpy().astype(np.float64)
        assert np.isfinite(x).all()
        assert distance(x, cdf) < BOUND


def chi_square(values, probabilities):
    """How far the counts of 0, 1, .. are from those expected, in squared deviations; and how many
    counts there are."""
    counts = np.bincount(values, minlength=len(probabilities))
    expected = np.asarray(probabilities) * values.size
    assert counts.size == expected.size
    assert not counts[expected == 0].any()
    sure = expected > 0
    return ((counts - expected)[sure] ** 2 / expected[sure]).sum(), int(sure.sum())


WEIGHTS = [0.0, 1.0, 2.0, 0.0, 4.0, 1.0]
DISCRETE = {
    "bernoulli": (lambda n: mt.bernoulli(mt.full((n,), 0.3)), [0.7, 0.3]),
    "bernoulli_": (lambda n: mt.empty(n, dtype=mt.int32).bernoulli_(0.8), [0.2, 0.8]),
    "random_": (lambda n: mt.empty(n).random_(2, 6), [0, 0] + [0.25] * 4),
    "random_ to": (lambda n: mt.empty(n, dtype=mt.uint8).random_(3), [1 / 3] * 3),
    "random_ bool": (lambda n: mt.empty(n, dtype=mt.bool).random_(), [0.5, 0.5]),
    "random_ bytes": (lambda n: mt.empty(n, dtype=mt.uint8).random_(), [1 / 256] * 256),
    "geometric_": (
        lambda n: mt.empty(n).geometric_(0.3).clamp(max=9),
        [0.0] + [0.3 * 0.7**k for k in range(8)] + [0.7**8],
    ),
    "multinomial": (
        lambda n: mt.multinomial(mt.tensor(WEIGHTS), n, replacement=True),
        [w / 8 for w in WEIGHTS],
    ),
    "multinomial rows": (
        lambda n: mt.multinomial(mt.tensor([WEIGHTS, WEIGHTS]), n // 2, True).reshape(-1),
        [w / 8 for w in WEIGHTS],
    ),
    "multinomial first": (
        lambda n: mt.multinomial(mt.tensor(WEIGHTS).expand(n, -1), 4)[:, 0],
        [w / 8 for w in WEIGHTS],
    ),
    # The second of two, once the first has left.
    "multinomial second": (
        lambda n: mt.multinomial(mt.tensor([1.0, 2.0, 1.0]).expand(n, -1), 2)[:, 1],
        [1 / 3 * 1 / 4 + 1 / 2 * 1 / 2, 1 / 4 * 2 / 3 * 2, 1 / 3 * 1 / 4 + 1 / 2 * 1 / 2],
    ),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_draws_have_their_distribution(name):
    mt.manual_seed(6)
    draw, probabilities = DISCRETE[name]
    distance, cells = chi_square(draw(20_000).long().numpy(), probabilities)
    # A normal number of this mean and deviation is above in less than 1 of 100,000 draws; so is
    # a chi square but for few degrees of freedom, which the constant is for.
    assert distance < cells - 1 + 4.5 * math.sqrt(2 * (cells - 1)) + 8


def test_draws_without_replacement_are_distinct():
    mt.manual_seed(7)
    for n in (1, 2, 50):
        drawn = mt.multinomial(mt.rand(9, n) + 0.1, n)
        assert drawn.dtype is mt.int64
        assert all(sorted(row) == list(range(n)) for row in drawn.tolist())


def test_whole_numbers_fill_the_range_of_their_type():
    mt.manual_seed(8)
    x = mt.empty(1000, dtype=mt.int64).random_().numpy().astype(np.float64)
    assert x.min() >= 0
    assert abs(x.mean() / 2**62 - 1) < 5 / math.sqrt(3 * 1000)
    y = mt.empty(1000).random_()
    assert (y == y.floor()).all()
    assert 0.9 * 2**24 < y.max().item() <= 2**24


@pytest.mark.parametrize("n", [0, 1, 2, 17, 5000])
def test_permutations_hold_every_number_once(n):
    x = mt.randperm(n, generator=mt.Generator().manual_seed(n))
    assert x.dtype is mt.int64
    assert sorted(x.tolist()) == list(range(n))


def test_permutations_are_equally_likely():
    mt.manual_seed(3)
    counts = {}
    for _ in range(6000):
        order = tuple(mt.randperm(3).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 33


# Seeds and states

DRAWS = {
    "rand": lambda g: mt.rand(1001, generator=g),
    "rand float64": lambda g: mt.rand(1001, generator=g, dtype=mt.float64),
    "randn": lambda g: mt.randn(1001, generator=g),
    "randn float64": lambda g: mt.randn(30, 7, generator=g, dtype=mt.float64),
    "randint": lambda g: mt.randint(0, 1000, (1001,), generator=g),
    "randperm": lambda g: mt.randperm(1001, generator=g),
    "uniform_": lambda g: mt.empty(1001).uniform_(2, 3, generator=g),
    "normal_": lambda g: mt.empty(1001).normal_(2, 3, generator=g),
    "normal": lambda g: mt.normal(mt.ones(1001), 2.0, generator=g),
    "bernoulli": lambda g: mt.bernoulli(mt.full((1001,), 0.5), generator=g),
    "bernoulli_": lambda g: mt.empty(1001).bernoulli_(0.5, generator=g),
    "random_": lambda g: mt.empty(1001).random_(generator=g),
    "exponential_": lambda g: mt.empty(1001).exponential_(generator=g),
    "log_normal_": lambda g: mt.empty(1001).log_normal_(generator=g),
    "cauchy_": lambda g: mt.empty(1001).cauchy_(generator=g),
    "geometric_": lambda g: mt.empty(1001).geometric_(0.1, generator=g),
    "multinomial": lambda g: mt.multinomial(mt.ones(100), 50, generator=g),
    "multinomial often": lambda g: mt.multinomial(mt.ones(100), 500, True, generator=g),
    "randint_like": lambda g: mt.randint_like(mt.ones(1001), 100, generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
def test_equal_seeds_give_equal_bits_and_others_do_not(name):
    draw = DRAWS[name]
    g = mt.Generator().manual_seed(7)
    first, second = draw(g), draw(g)
    again = mt.Generator().manual_seed(7)
    assert first.numpy().tobytes() == draw(again).numpy().tobytes()
    assert second.numpy().tobytes() == draw(again).numpy().tobytes()
    assert first.numpy().tobytes() != second.numpy().tobytes()
    assert draw(mt.Generator().manual_seed(8)).numpy().tobytes() != first.numpy().tobytes()


@pytest.mark.parametrize("name", DRAWS)
def test_states_can_be_kept_and_taken_up_again(name):
    draw = DRAWS[name]
    g = mt.Generator().manual_seed(7)
    draw(g)
    state = g.get_state()
    first = draw(g).numpy().tobytes()
    g.set_state(state)
    assert draw(g).numpy().tobytes() == first
    other = mt.Generator()
    other.set_state(pickle.loads(pickle.dumps(state)))
    assert draw(other).numpy().tobytes() == first


@pytest.mark.parametrize("name", ["uniform", "normal", "integers"])
def test_equal_bits_on_any_number_of_threads(name, monkeypatch):
    monkeypatch.setattr(jit, "PARALLEL_WORK", 0)
    kernel, results, threads = getattr(kernels, name), [], numba.get_num_threads()
    dtype, low, high = (np.int64, 0, 1000) if name == "integers" else (np.float32, 0.0, 1.0)
    try:
        for count in range(1, numba.config.NUMBA_NUM_THREADS + 1):
            numba.set_num_threads(count)
            state, y = np.array([5, 3], np.uint64), np.empty(10_007, dtype)
            kernel(state, y, low, high)
            results.append((y.tobytes(), state.tolist()))
    finally:
        numba.set_num_threads(threads)
    assert all(result == results[0] for result in results)
    assert results[0][1][0] == 5
    assert results[0][1][1] > 3


def test_a_draw_does_not_depend_on_the_shape_it_is_drawn_in():
    shapes = [(24,), (2, 3, 4), (24, 1), (6, 4)]
    for draw in (mt.rand, mt.randn):
        bits = {
            draw(*shape, generator=mt.Generator().manual_seed(1)).numpy().tobytes()
            for shape in shapes
        }
        assert len(bits) == 1
    long = mt.rand(1000, generator=mt.Generator().manual_seed(1))
    short = mt.rand(10, generator=mt.Generator().manual_seed(1))
    assert long[:10].tolist() == short.tolist()


def test_draws_cut_at_blocks_join_to_the_whole():
    g = mt.Generator().manual_seed(4)
    parts = [mt.rand(n, generator=g) for n in (4, 8, 20)]
    whole = mt.rand(32, generator=mt.Generator().manual_seed(4))
    assert mt.cat(parts).tolist() == whole.tolist()


def test_the_default_generator_and_its_state():
    g = mt.manual_seed(11)
    assert g is mt.default_generator
    assert mt.initial_seed() == g.initial_seed() == 11
    state = mt.get_rng_state()
    x = mt.rand(5)
    mt.set_rng_state(state)
    assert mt.rand(5).tolist() == x.tolist()
    seed = mt.seed()
    assert mt.initial_seed() == seed
    assert mt.seed() != seed
    mt.manual_seed(-1)
    assert mt.initial_seed() == 2**64 - 1
    mt.manual_seed(0)


def test_shapes_and_types_of_draws_are_pytorchs():
    torch = pytest.importorskip("torch")
    for make in (
        lambda t: t.rand(2, 3),
        lambda t: t.rand((2, 3), dtype=t.float64),
        lambda t: t.randn(4, requires_grad=True),
        lambda t: t.randn(()),
        lambda t: t.randint(5, (2, 2)),
        lambda t: t.randint(1, 5, (0,), dtype=t.int32),
        lambda t: t.randperm(4, dtype=t.int32),
        lambda t: t.rand_like(t.ones(2, 2, dtype=t.float64)),
        lambda t: t.randn_like(t.ones(3)),
    ):
        x, y = make(mt), make(torch)
        assert (tuple(x.shape), str(x.dtype), x.requires_grad) == (
            tuple(y.shape),
            str(y.dtype),
            y.requires_grad,
        )


def test_what_cannot_be_drawn_is_an_error():
    torch = pytest.importorskip("torch")
    for t in (mt, torch):
        for error, call in [
            (RuntimeError, lambda t=t: t.rand(2, dtype=t.int64)),
            (RuntimeError, lambda t=t: t.randn(2, dtype=t.int64)),
            (RuntimeError, lambda t=t: t.randint(5, 5, (2,))),
            (RuntimeError, lambda t=t: t.randperm(-1)),
            (RuntimeError, lambda t=t: t.empty(2).uniform_(2, 1)),
            (RuntimeError, lambda t=t: t.empty(2).normal_(0, -1)),
            (RuntimeError, lambda t=t: t.ones(2, requires_grad=True).normal_()),
            (TypeError, lambda t=t: t.randint(5, 3)),
            (RuntimeError, lambda t=t: t.rand(-1)),
            ((TypeError, RuntimeError), lambda t=t: t.Generator().set_state(t.zeros(3))),
            ((TypeError, ValueError), lambda t=t: t.manual_seed("a")),
        ]:
            with pytest.raises(error):
                call()


def test_random_writes_respect_views_and_history():
    x = mt.zeros(4, 6)
    x[:, ::2].uniform_(1, 2)
    assert ((x[:, ::2] >= 1) & (x[:, ::2] <= 2)).all()
    assert not x[:, 1::2].any()
    w = mt.ones(3, requires_grad=True)
    y = w * 2
    y.normal_()
    y.sum().backward()
    assert w.grad.tolist() == [0, 0, 0]
    with mt.no_grad():
        w.uniform_(-1, 1)
    assert w.requires_grad
