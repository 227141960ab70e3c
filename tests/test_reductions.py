"""Reductions against PyTorch: over any dimensions and layout, with NaN, infinity and nothing."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt

from .strategies import LAYOUTS, in_layout

NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module", autouse=True)
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


SEVERAL = {
    "sum": lambda t, x, d: x.sum(**d),
    "mean": lambda t, x, d: x.mean(**d),
    "var": lambda t, x, d: x.var(**d),
    "var biased": lambda t, x, d: x.var(unbiased=False, **d) if d else x.var(unbiased=False),
    "var correction": lambda t, x, d: x.var(correction=2, **d),
    "std": lambda t, x, d: x.std(**d),
    "amax": lambda t, x, d: x.amax(**d),
    "amin": lambda t, x, d: x.amin(**d),
    "norm": lambda t, x, d: x.norm(2, **d) if d else x.norm(),
    "norm 1": lambda t, x, d: x.norm(1, **d),
    "norm 3": lambda t, x, d: x.norm(3, **d),
    "norm inf": lambda t, x, d: x.norm(INF, **d),
    "norm -inf": lambda t, x, d: x.norm(-INF, **d),
    "norm 0": lambda t, x, d: x.norm(0, **d),
    "any": lambda t, x, d: x.any(**d),
    "all": lambda t, x, d: x.all(**d),
    "logsumexp": lambda t, x, d: x.logsumexp(**(d or {"dim": tuple(range(x.ndim))})),
}
ONE = {
    "prod": lambda t, x, d: x.prod(**d),
    "max": lambda t, x, d: x.max(**d),
    "min": lambda t, x, d: x.min(**d),
    "argmax": lambda t, x, d: x.argmax(**d),
    "argmin": lambda t, x, d: x.argmin(**d),
}
NOT_FINITE = [NAN, INF, -INF]


@st.composite
def reductions(draw, several):
    """An array and the keywords of a reduction of it."""
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=4)))
    values = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(-4, 5, shape) / 2
    values = np.asarray(values, draw(st.sampled_from(["float32", "float64"])))
    for special in draw(st.lists(st.sampled_from(NOT_FINITE), max_size=2)):
        values[tuple(draw(st.integers(0, n - 1)) for n in shape)] = special
    options = {}
    if shape and draw(st.integers(0, 3)):
        dims = st.integers(-len(shape), len(shape) - 1)
        dim = draw(dims)
        if several and draw(st.booleans()):
            dim = tuple(draw(st.lists(dims, min_size=1, unique_by=lambda d: d % len(shape))))
        options = {"dim": dim, "keepdim": draw(st.booleans())}
    return in_layout(values, draw(st.sampled_from(LAYOUTS))), options


def outcome(t, call, values, options):
    x = t.from_numpy(values).requires_grad_()
    y = call(t, x, options)
    y, indices = y if isinstance(y, tuple) else (y, None)
    if y.requires_grad:
        (y * y).sum().backward()
    return y.detach(), indices, x.grad


def assert_same(ours, theirs, gradient):
    gradient = gradient and np.isfinite(np.array(theirs[0].tolist())).all()
    for a, b in zip(ours[: 2 + gradient], theirs, strict=False):
        assert (a is None) == (b is None)
        if a is not None:
            assert tuple(a.shape) == tuple(b.shape)
            assert str(a.dtype) == str(b.dtype)
            tolerance = 1e-12 if str(a.dtype) == "torch.float64" else 2e-5
            np.testing.assert_allclose(a.tolist(), b.tolist(), tolerance, tolerance)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("name", SEVERAL)
def test_reductions_over_dimensions_are_pytorchs(torch, name):
    @settings(max_examples=40)
    @given(reductions(several=True))
    def check(case):
        values, options = case
        array = np.ascontiguousarray(values)
        ours = outcome(mt, SEVERAL[name], values, options)
        theirs = outcome(torch, SEVERAL[name], array.reshape(values.shape), options)
        assert_same(ours, theirs, gradient=np.isfinite(values).all() and name != "norm 0")

    check()


@pytest.mark.parametrize("name", ONE)
def test_reductions_along_a_dimension_are_pytorchs(torch, name):
    @settings(max_examples=40)
    @given(reductions(several=False))
    def check(case):
        values, options = case
        if not options and name == "prod" and not values.ndim:
            return
        array = np.ascontiguousarray(values).reshape(values.shape)
        ours = outcome(mt, ONE[name], values, options)
        theirs = outcome(torch, ONE[name], array, options)
        if name in ("argmax", "argmin", "max", "min"):
            # Of equal elements PyTorch takes any; the first is taken here.
            ours, theirs = check_first(name, values, options, ours, theirs)
        if theirs:
            assert_same(ours, theirs, gradient=np.isfinite(values).all())

    check()


def check_first(name, values, options, ours, theirs):
    found = ours[0] if name.startswith("arg") else ours[1]
    if found is not None:
        pick = np.argmax if "max" in name else np.argmin
        expected = pick(values, axis=options.get("dim"), keepdims=options.get("keepdim", False))
        assert found.tolist() == np.asarray(expected).tolist()
    if name.startswith("arg"):
        return ours[:0], theirs[:0]
    unique = not options or len(np.unique(values)) == values.size
    return (
        ((ours[0], None, ours[2]), (theirs[0], None, theirs[2]))
        if unique
        else (ours[:1], theirs[:1])
    )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64"])
def test_reductions_of_integers_are_pytorchs(torch, dtype):
    values = (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)
    for name in ("sum", "prod", "amax", "amin", "any", "all", "max", "min"):
        for options in ({}, {"dim": 1}, {"dim": -1, "keepdim": True}):
            results = []
            for t in (mt, torch):
                y = getattr(t.from_numpy(values), name)(**options)
                y = y.values if name in ("max", "min") and options else y
                results.append((str(y.dtype), y.tolist()))
            assert results[0] == results[1], (name, options)
    assert mt.from_numpy(values).sum(dtype=mt.float32).dtype is mt.float32
    with pytest.raises(RuntimeError, match="floating point"):
        mt.from_numpy(values).mean()


EMPTY = {
    "sum": lambda x: x.sum(),
    "sum 0": lambda x: x.sum(0),
    "sum 1": lambda x: x.sum(1),
    "mean": lambda x: x.mean(),
    "mean 1": lambda x: x.mean(1),
    "prod": lambda x: x.prod(),
    "prod 1": lambda x: x.prod(1),
    "any 1": lambda x: x.any(1),
    "all 1": lambda x: x.all(1),
    "all": lambda x: x.all(),
    "logsumexp 1": lambda x: x.logsumexp(1),
    "norm 1": lambda x: x.norm(2, 1),
    "amax 0": lambda x: x.amax(0),
    "amax 1": lambda x: x.amax(1),
    "amax": lambda x: x.amax(),
    "max": lambda x: x.max(),
    "max 1": lambda x: x.max(1).values,
    "argmax 1": lambda x: x.argmax(1),
    "argmax 0": lambda x: x.argmax(0),
    "argmax": lambda x: x.argmax(),
    "std 1": lambda x: x.std(1),
}


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("name", EMPTY)
def test_reductions_of_nothing_are_pytorchs(torch, name):
    results = []
    for t in (mt, torch):
        try:
            y = EMPTY[name](t.zeros(3, 0))
            results.append((tuple(y.shape), str(y.tolist()).replace("-nan", "nan")))
        except (RuntimeError, IndexError) as error:
            results.append(type(error))
    assert results[0] == results[1]


def test_dimensions_that_do_not_fit_are_errors(torch):
    for t in (mt, torch):
        x = t.ones(2, 3)
        for name in ("sum", "mean", "amax", "argmax", "max", "prod", "std", "logsumexp"):
            for dim in (2, -3):
                with pytest.raises(IndexError):
                    getattr(x, name)(dim)
        with pytest.raises(RuntimeError):
            x.sum((0, 0))
        with pytest.raises(RuntimeError):
            x.amax((1, -1))
    with pytest.raises(TypeError, match="int"):
        mt.ones(2).sum("a")


def test_scalars_reduce_to_themselves(torch):
    for t in (mt, torch):
        x = t.tensor(3.0)
        for name in ("sum", "mean", "prod", "amax", "amin", "max", "min", "norm"):
            assert getattr(x, name)().item() == 3
        assert x.sum(0).shape == x.sum(-1, keepdim=True).shape == ()
        assert x.argmax().item() == x.argmax(0).item() == 0
        assert tuple(v.item() for v in x.max(0)) == (3, 0)


def test_the_gradient_of_products_with_zeros(torch):
    for values in ([2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [2.0, 5.0, 3.0], [0.0]):
        grads = []
        for t in (mt, torch):
            x = t.tensor(values, dtype=t.float64, requires_grad=True)
            x.prod().backward()
            grads.append(x.grad.tolist())
        np.testing.assert_allclose(*grads)
    x = mt.tensor([2.0, 0.0, 3.0], dtype=mt.float64, requires_grad=True)
    assert mt.autograd.gradgradcheck(lambda x: x.prod(), x)


def test_logsumexp_neither_overflows_nor_loses_infinity(torch):
    for values in ([1e4, 1e4], [-1e4, -1e4], [INF, 1.0], [-INF, 1.0], [-INF, -INF], [NAN, 1.0]):
        results = [t.tensor(values).logsumexp(0).item() for t in (mt, torch)]
        np.testing.assert_allclose(*results, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1_000_000,), (1000, 1000), (10, 100_000)])
def test_sums_of_a_million_float32(shape):
    values = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    x = mt.from_numpy(values)
    exact = math.fsum(values.ravel().tolist())
    eps = np.finfo(np.float32).eps
    assert abs(x.sum().item() - exact) <= eps * exact
    assert abs(x.mean().item() - exact / values.size) <= 2 * eps * exact / values.size
    spread = math.fsum((values.ravel().astype(np.float64) - exact / values.size) ** 2)
    assert abs(x.var().item() - spread / (values.size - 1)) <= 1e-5
    rows = values.astype(np.float64).sum(0) if len(shape) > 1 else exact
    # Up to 48 roundings of half an eps at worst, which by far do not all go one way.
    np.testing.assert_allclose(x.sum(0).numpy(), rows, rtol=4 * eps)


def test_a_million_tenths_and_cancellation():
    x, exact = mt.full((1_000_000,), 0.1), math.fsum([float(np.float32(0.1))] * 1_000_000)
    assert abs(x.sum().item() - exact) <= 4 * np.finfo(np.float32).eps * exact
    x = x.double()
    assert abs(x.sum().item() - 1_000_000 * x[0].item()) <= 1e-10
    pairs = mt.tensor([1e8, 1.0, -1e8, 1.0])
    assert pairs.sum().item() == 2.0


# One for every way of summing: short rows, long ones, more of them, columns; some in pieces.
SUMS = [
    ((70, 1), 1),
    ((70, 49), 1),
    ((5, 784), 1),
    ((3, 5000), 1),
    ((3, 40_000), 1),
    ((3, 40_000), (0, 1)),
    ((2, 5, 3, 20_000), (1, 3)),
    ((3, 61, 300), (0, 2)),
    ((40, 37, 49), (0, 2)),
    ((2, 40, 5, 700), (1, 3)),
    ((2, 7, 5, 1), (0, 2)),
    ((7, 1100), 0),
    ((3, 9, 33), 1),
    ((600, 130), 0),
    ((70_000, 3), 0),
    ((2, 3, 4, 5, 6), (0, 2, 4)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "dims"), SUMS)
def test_sums_are_as_close_as_their_roundings_allow(shape, dims, dtype):
    values = np.random.default_rng(2).normal(1, 3, shape).astype(dtype)
    kept = [d for d in range(values.ndim) if d not in np.atleast_1d(dims)]
    rows = values.transpose(*kept, *np.atleast_1d(dims)).reshape(*[shape[d] for d in kept], -1)
    exact = np.apply_along_axis(math.fsum, -1, rows.astype(np.float64))
    # Fewer than 48 roundings of an element on its way, and those of float64's totals.
    bound = 24 * np.finfo(dtype).eps * np.abs(rows).sum(-1)
    x = mt.from_numpy(values).requires_grad_()
    for y, divisor in ((x.sum(dims), 1), (x.mean(dims), rows.shape[-1])):
        assert y.dtype is x.dtype
        assert (np.abs(y.detach().numpy() * np.float64(divisor) - exact) <= bound).all()
        gy = mt.from_numpy(np.random.default_rng(3).normal(size=y.shape).astype(dtype))
        (gx,) = mt.autograd.grad(y, x, gy)
        spread = np.expand_dims(gy.numpy() / dtype(divisor), dims)
        np.testing.assert_array_equal(gx.numpy(), np.broadcast_to(spread, shape))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "dims"), SUMS)
def test_sums_of_integers_are_exact(shape, dims, dtype):
    values = np.random.default_rng(4).integers(-9, 10, shape)
    y = mt.from_numpy(values.astype(dtype)).sum(dims)
    np.testing.assert_array_equal(y.numpy(), values.sum(tuple(np.atleast_1d(dims).tolist())))


@pytest.mark.parametrize(("shape", "dims"), SUMS)
def test_sums_pass_nan_and_infinity(shape, dims):
    values = np.ones(shape, np.float32)
    for value in (INF, -INF, NAN):
        values.flat[values.size // 2] = value
        x = mt.from_numpy(values)
        for function, reference in ((x.sum, np.sum), (x.mean, np.mean)):
            expected = reference(values, tuple(np.atleast_1d(dims).tolist()))
            np.testing.assert_allclose(function(dims).numpy(), expected, rtol=1e-6)


def test_the_gradient_of_a_sum_is_an_op_whose_gradient_is_the_sum():
    x = mt.randn(3, 4, 5, dtype=mt.float64).requires_grad_()
    for dims in (0, 1, (0, 2), (0, 1, 2)):
        assert mt.autograd.gradgradcheck(lambda x, d=dims: (x * x).sum(d) * (x * x).mean(d), x)


WHOLE = 64, 70, 50


@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        *[(WHOLE, dim) for dim in (None, 0, 1, (0, 2), 2, (0, 1))],
        ((5, 61, 1001), 2),
        ((5, 61, 1001), (0, 2)),
        ((3, 70_001), 1),
    ],
)
def test_equal_bits_on_one_thread_and_on_two(shape, dim):
    x = mt.from_numpy(np.random.default_rng(1).normal(size=shape).astype(np.float32))
    threads, results = numba.get_num_threads(), []
    try:
        for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(count)
            results.append([f(dim).numpy().tobytes() for f in (x.sum, x.mean, x.var)])
    finally:
        numba.set_num_threads(threads)
    assert results[0] == results[1]
