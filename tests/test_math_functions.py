"""The elementary functions of kernels, against wider floating-point numbers, and at their ends."""

import math

import numba
import numpy as np
import pytest

from minitorch_cnn.kernels.cpu import functions
from minitorch_cnn.kernels.jit import FASTMATH

exp, expm1, log, log1p = functions.exp, functions.expm1, functions.log, functions.log1p
tanh, sigmoid, erf, decay = functions.tanh, functions.sigmoid, functions.erf, functions.decay
gelu, gelu_slope = functions.gelu, functions.gelu_slope

# With a kernel's flags: what they allow must not spoil what it calls.
compiled = numba.njit(fastmath=FASTMATH, error_model="numpy")


@compiled
def apply_exp(x, y):
    for i in range(y.size):
        y[i] = exp(x[i])


@compiled
def apply_decay(x, y):
    for i in range(y.size):
        y[i] = decay(-x[i])


@compiled
def apply_expm1(x, y):
    for i in range(y.size):
        y[i] = expm1(x[i])


@compiled
def apply_log(x, y):
    for i in range(y.size):
        y[i] = log(x[i])


@compiled
def apply_log1p(x, y):
    for i in range(y.size):
        y[i] = log1p(x[i])


@compiled
def apply_tanh(x, y):
    for i in range(y.size):
        y[i] = tanh(x[i])


@compiled
def apply_sigmoid(x, y):
    for i in range(y.size):
        y[i] = sigmoid(x[i])


@compiled
def apply_erf(x, y):
    for i in range(y.size):
        y[i] = erf(x[i])


@compiled
def apply_gelu(x, y):
    for i in range(y.size):
        y[i] = gelu(x[i])


@compiled
def apply_gelu_slope(x, y):
    for i in range(y.size):
        y[i] = gelu_slope(x[i])


def wide_sigmoid(x):
    """1 / (1 + e^-x), from the smaller of the two powers"""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def wide_erf(x):
    """The error function of C, in float64"""
    return np.array([math.erf(float(t)) for t in x])


# Function, reference, bounds in ulp: float32, float64; and the worst arguments known in float32.
CASES = {
    "exp": (apply_exp, np.exp, 1.3, 1.3, [59.26458, 37.77686, 48.86729]),
    "expm1": (apply_expm1, np.expm1, 1.8, 2.0, [0.34710082, 0.34796506]),
    "log": (apply_log, np.log, 0.9, 1.0, [0.70614856, 0.69879836]),
    "log1p": (apply_log1p, np.log1p, 1.5, 1.6, [0.42009482, 0.46428552]),
    "tanh": (apply_tanh, np.tanh, 1.2, 1.5, [0.8042166, 0.8053003]),
    "sigmoid": (apply_sigmoid, wide_sigmoid, 2.4, 2.4, [-2.7580607, -3.4651163, -15.540095]),
    "erf": (apply_erf, wide_erf, 1.7, 2.5, [0.93904626, 0.94478583]),
}


def sample(dtype, worst):
    """Numbers of every size and either sign: denormal ones, and many where functions bend."""
    generator = np.random.default_rng(0)
    integer = np.dtype(f"i{dtype().itemsize}")
    info = np.finfo(dtype)
    exponents = np.repeat(np.arange(2 ** (info.bits - info.nmant - 1) - 1, dtype=integer), 12)
    fractions = generator.integers(0, 2**info.nmant, exponents.size, integer)
    everywhere = ((exponents << info.nmant) | fractions).view(dtype)
    near = np.concatenate([generator.uniform(-s, s, 20_000) for s in (0.5, 3, 20, 110, 750)])
    x = np.concatenate([everywhere, near, generator.uniform(0.4, 3, 40_000), worst]).astype(dtype)
    return np.concatenate([x, -x])


def ulps(actual, exact, dtype):
    """How far from the exact results, in units in the last place of these."""
    info = np.finfo(dtype)
    exponents = np.floor(np.log2(np.maximum(np.abs(exact), info.tiny)))
    return np.abs(actual - exact) / 2.0 ** (exponents - info.nmant).astype(np.longdouble)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_functions_keep_their_bounds(name, dtype):
    apply, reference, *bounds, worst = CASES[name]
    x = sample(dtype, worst)
    y = np.empty_like(x)
    apply(x, y)
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.longdouble)).astype(np.longdouble)
        rounded = exact.astype(dtype)
        finite = np.isfinite(rounded) & (rounded != 0)
        errors = ulps(y[finite].astype(np.longdouble), exact[finite], dtype)
    assert errors.max() <= bounds[dtype is np.float64], x[finite][errors.argmax()]
    np.testing.assert_array_equal(np.isnan(y), np.isnan(exact))
    # Overflow and underflow come within an ulp of where they are due.
    limits = np.abs(exact[~finite & ~np.isnan(exact)])
    assert np.all((limits == 0) | (limits > np.finfo(dtype).max) | (limits < np.finfo(dtype).tiny))
    ends = ~finite & ~np.isnan(exact)
    np.testing.assert_array_equal(y[ends], rounded[ends])
    np.testing.assert_array_equal(np.signbit(y[ends]), np.signbit(rounded[ends]))


INF, NAN = np.inf, np.nan
ENDS = {
    "exp": ([0.0, -0.0, INF, -INF, NAN, 1e30, -1e30], [1, 1, INF, 0, NAN, INF, 0]),
    "decay": ([-0.0, -INF, NAN, -1e30], [1, 0, NAN, 0]),
    "expm1": ([0.0, -0.0, INF, -INF, NAN], [0.0, -0.0, INF, -1, NAN]),
    "log": ([0.0, -0.0, INF, -INF, NAN, -1.0, 1.0], [-INF, -INF, INF, NAN, NAN, NAN, 0.0]),
    "log1p": ([0.0, -0.0, INF, -1.0, -2.0, NAN], [0.0, -0.0, INF, -INF, NAN, NAN]),
    "tanh": ([0.0, -0.0, INF, -INF, NAN, 1e30, -50.0], [0.0, -0.0, 1, -1, NAN, 1, -1]),
    "sigmoid": ([0.0, INF, -INF, NAN, 1e30, -1e30], [0.5, 1, 0, NAN, 1, 0]),
    "erf": ([0.0, -0.0, INF, -INF, NAN, 1e30, -9.0], [0.0, -0.0, 1, -1, NAN, 1, -1]),
    "gelu": ([0.0, -0.0, INF, -INF, NAN, 1e30, -1e30], [0.0, -0.0, INF, NAN, NAN, 1e30, -0.0]),
    "gelu_slope": ([0.0, INF, -INF, NAN, 1e30, -1e30], [0.5, 1, -0.0, NAN, 1, -0.0]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ENDS)
def test_functions_at_their_ends(name, dtype):
    # Many of each, so that both the vector code and what it leaves over are run.
    x, wanted = (np.repeat(np.array(values, dtype), 37) for values in ENDS[name])
    y = np.empty_like(x)
    globals()[f"apply_{name}"](x, y)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(np.signbit(y[y == 0]), np.signbit(wanted[y == 0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_and_arguments_may_be_denormal(dtype):
    tiny, least = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    x = np.array([tiny, tiny / 2, 3 * least, least, -least, -tiny / 4], dtype)
    for apply in (apply_tanh, apply_expm1, apply_log1p):
        y = np.empty_like(x)
        apply(x, y)
        np.testing.assert_array_equal(y, x)
    x = np.linspace(np.log(tiny.astype(float)) - 8, np.log(tiny.astype(float)) + 2, 50).astype(
        dtype
    )
    for apply in (apply_exp, apply_decay, apply_sigmoid):
        y = np.empty_like(x)
        apply(x, y)
        exact = np.exp(x.astype(np.longdouble))
        assert np.abs(y - exact).max() <= 2.4 * max(least, np.spacing(y.max()))
        assert (y > 0).all()


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 110), (np.float64, 120)])
def test_gelu_keeps_its_digits_far_out(dtype, bound):
    """Rounded, x^2/2 costs e^(-x^2/2) so many ulp as it is large."""
    x = np.linspace(-6 if dtype is np.float64 else -12.5, 6, 8001).astype(dtype)
    wide = x.astype(np.longdouble)
    probability = np.array([0.5 * math.erfc(-float(t) * math.sqrt(0.5)) for t in x])
    bell = np.exp(-0.5 * wide * wide) / np.sqrt(2 * np.longdouble(math.pi))
    exact, slopes = wide * probability, probability + wide * bell
    y = np.empty_like(x)
    apply_gelu(x, y)
    errors = ulps(y.astype(np.longdouble), exact, dtype)
    assert errors.max() <= bound
    assert errors[x > -1].max() <= (3.4 if dtype is np.float32 else 7.2)
    apply_gelu_slope(x, y)
    far = x < -2
    assert ulps(y.astype(np.longdouble), slopes, dtype)[far].max() <= bound
    # Below 0 it is small where it changes its sign.
    assert np.abs(y - slopes).max() <= 2 * np.finfo(dtype).eps


def test_gelu_ends_in_denormal_numbers():
    x = np.linspace(-15, -12.5, 2001).astype(np.float32)
    exact = np.array([0.5 * float(t) * math.erfc(-float(t) * math.sqrt(0.5)) for t in x])
    y = np.empty_like(x)
    apply_gelu(x, y)
    assert np.all(np.abs(y - exact) <= 8 * np.finfo(np.float32).smallest_subnormal - 1e-5 * exact)
