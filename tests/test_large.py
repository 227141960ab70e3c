"""What is computed in kernels once there is much of it, and by NumPy before."""

import numpy as np
import pytest

from minitorch_cnn.kernels.cpu import elementwise, large, shape
from minitorch_cnn.kernels.cpu.elementwise import LARGE

from .kernel_calls import call, call_on_threads

FUNCTIONS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_of_many_elements_is_that_of_few(name, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=LARGE + 3).astype(dtype) for _ in range(2))
    a[:4], b[:4] = [np.nan, np.inf, np.inf, -0.0], [1, 0, np.inf, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = FUNCTIONS[name](a, b)
    found = call(getattr(elementwise, name), [a, b], [(a.shape, dtype)])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[3]), np.signbit(expected[3]))


@pytest.mark.parametrize("name", ["neg", "abs", "sqrt", "exp", "log"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_many_elements_are_those_of_few(name, dtype):
    """Exact, or within the error that `functions` states, and NumPy's own of as much."""
    rng = np.random.default_rng(0)
    x = (20 * rng.normal(size=LARGE + 10)).astype(dtype)
    x[:7] = np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).smallest_subnormal, 1000
    few = np.empty_like(x)
    for start in range(0, x.size, LARGE - 1):
        part = slice(start, start + LARGE - 1)
        getattr(elementwise, name)(x[part], few[part])
    many = call(getattr(elementwise, name), [x], [(x.shape, dtype)])
    with np.errstate(invalid="ignore"):
        off = np.abs(many - few) / np.spacing(np.abs(few))
    nothing = np.isnan(few)
    np.testing.assert_array_equal(np.isnan(many), nothing)
    assert ((many == few) | nothing | (off <= (4 if name in ("exp", "log") else 0))).all()
    np.testing.assert_array_equal(np.signbit(many[~nothing]), np.signbit(few[~nothing]))


def test_operands_that_overlap_the_result_are_read_before_they_are_written():
    whole = np.arange(LARGE + 1.0)
    expected = whole.copy()
    expected[1:] = whole[:-1] + whole[1:]
    elementwise.add(whole[:-1], whole[1:], whole[1:])
    np.testing.assert_array_equal(whole, expected)
    shape.copy(whole[:-1], whole[1:])
    np.testing.assert_array_equal(whole[1:], expected[:-1])


def test_large_copies_take_any_layout_and_type():
    x = np.random.default_rng(0).normal(size=(2, LARGE // 2)).astype(np.float32)
    for source in (x, x.T, np.broadcast_to(x[:1], x.shape), x.astype(np.float64)):
        found = np.full(source.shape, np.nan, np.float32)
        shape.copy(source, found)
        np.testing.assert_array_equal(found, source.astype(np.float32))


PAST_CACHES = {
    "add": (large.add_past_caches, np.add, 2),
    "sub": (large.sub_past_caches, np.subtract, 2),
    "mul": (large.mul_past_caches, np.multiply, 2),
    "copy": (large.copy_past_caches, np.positive, 1),
}


@pytest.mark.parametrize("name", PAST_CACHES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_past_the_caches_begin_and_end_anywhere(name, dtype):
    kernel, function, operands = PAST_CACHES[name]
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=700).astype(dtype) for _ in range(operands)]
    for n in (0, 1, 5, 16, 31, 64, 65, 130, 600):
        given = [x[:n] for x in inputs]
        for first in range(18):
            for threads in (1, 2, 3):
                found = np.full(n + 36, 9, dtype)
                y = found[first : first + n]
                for thread in range(threads):
                    kernel.serial(thread, threads, *given, y)
                np.testing.assert_array_equal(y, function(*given))
                np.testing.assert_array_equal(np.delete(found, slice(first, first + n)), 9)


@pytest.mark.parametrize("name", PAST_CACHES)
def test_results_past_the_caches_may_lie_askew(name):
    """At an address that is no multiple of an element's size, as a buffer of a file may."""
    kernel, function, operands = PAST_CACHES[name]
    inputs = [np.random.default_rng(k).normal(size=200) for k in range(operands)]
    y = np.zeros(200 * 8 + 3, np.uint8)[3:].view(np.float64)
    kernel.serial(0, 1, *inputs, y)
    np.testing.assert_array_equal(y, function(*inputs))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_the_caches_cannot_hold_goes_past_them(monkeypatch, dtype):
    past = []

    def noting(name, kernel):
        return lambda *args: (past.append(name), kernel(*args))

    for name, kernel in large._PAST_CACHES.items():
        monkeypatch.setitem(large._PAST_CACHES, name, noting(name, kernel))
    monkeypatch.setattr(large, "copy_past_caches", noting("copy", large.copy_past_caches))
    monkeypatch.setattr(large, "CACHES", 0)
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(3, LARGE // 3 + 5)).astype(dtype) for _ in range(2))
    for name, function in FUNCTIONS.items():
        for found in call_on_threads(getattr(elementwise, name), [a, b], [(a.shape, dtype)]):
            np.testing.assert_array_equal(found, function(a, b))
        found = a.copy()
        getattr(elementwise, name)(found, b, found)  # not past them: there it was read
        np.testing.assert_array_equal(found, function(a, b))
    np.testing.assert_array_equal(call(shape.copy, [a], [(a.shape, dtype)]), a)
    assert past == ["add", "add", "sub", "sub", "mul", "mul", "copy"]
