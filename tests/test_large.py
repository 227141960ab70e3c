"""What is computed in kernels once there is much of it, and by NumPy before."""

import numpy as np
import pytest

from minitorch_cnn.kernels.cpu import elementwise, shape
from minitorch_cnn.kernels.cpu.elementwise import LARGE

from .kernel_calls import call

FUNCTIONS = {"add": np.add, "sub": np.subtract, "mul": np.multiply}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_of_many_elements_is_that_of_few(name, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=LARGE + 3).astype(dtype) for _ in range(2))
    a[:4], b[:4] = [np.nan, np.inf, np.inf, -0.0], [1, 0, np.inf, 0]
    with np.errstate(invalid="ignore"):
        expected = FUNCTIONS[name](a, b)
    found = call(getattr(elementwise, name), [a, b], [(a.shape, dtype)])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found[3]), np.signbit(expected[3]))


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
