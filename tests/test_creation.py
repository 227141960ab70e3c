"""New tensors from values, constants and ranges, against PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minitorch_cnn as mt


@pytest.fixture(scope="module", autouse=True)
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


VALUES = {
    "int": 3,
    "float": 2.5,
    "bool": True,
    "list": [1, 2, 3],
    "floats": [1.5, 2],
    "bools": [True, False],
    "bools and ints": [True, 2],
    "nested": [[1, 2], [3, 4]],
    "tuple": ((1.0,), (2.0,)),
    "empty": [],
    "empty rows": [[], []],
    "large": [2**40, -(2**62)],
    "nan": [math.nan, math.inf],
    "numpy float": np.float64(1.5),
    "float32 array": np.ones((2, 2), np.float32),
    "float64 array": np.ones(2),
    "int32 array": np.arange(3, dtype=np.int32),
    "bool array": np.array([True, False]),
    "0-dim array": np.array(3),
    "turned array": np.arange(6.0).reshape(2, 3).T,
    "range": range(3),
}


@pytest.mark.parametrize("name", VALUES)
def test_tensor_has_pytorchs_type_and_values(torch, name):
    x, y = (t.tensor(VALUES[name]) for t in (mt, torch))
    if name == "numpy float":  # a Python float to PyTorch, an array's element here
        x = x.float()
        y = y.float()
    assert str(x.dtype) == str(y.dtype)
    assert tuple(x.shape) == tuple(y.shape)
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    for dtype in ("float64", "int64", "bool"):
        if name != "nan" or dtype == "float64":
            pair = [t.tensor(VALUES[name], dtype=getattr(t, dtype)).tolist() for t in (mt, torch)]
            np.testing.assert_array_equal(*pair)


def test_tensor_copies_and_takes_tensors():
    array = np.ones(2)
    x = mt.tensor(array)
    array[0] = 5
    assert x.tolist() == [1, 1]
    y = mt.tensor(x, dtype=mt.float32)
    assert y.dtype is mt.float32
    assert mt.tensor([mt.tensor(1.0), mt.tensor(2.0)]).tolist() == [1, 2]
    assert mt.tensor([x, x]).shape == (2, 2)
    assert mt.as_tensor(x) is x
    assert mt.as_tensor([1, 2], dtype=mt.float64).dtype is mt.float64
    assert mt.tensor([1.0], requires_grad=True).requires_grad


def test_values_that_are_no_tensor_are_errors(torch):
    for t in (mt, torch):
        for error, data, options in [
            (ValueError, [[1, 2], [3]], {}),
            ((TypeError, RuntimeError), [None], {}),
            ((TypeError, RuntimeError), None, {}),
            ((TypeError, ValueError), "abc", {}),
            (RuntimeError, [300], {"dtype": t.uint8}),
            (RuntimeError, [math.nan], {"dtype": t.int64}),
            ((RuntimeError, ValueError, OverflowError), 2**64, {}),
            (RuntimeError, [1], {"requires_grad": True}),
        ]:
            with pytest.raises(error):
                t.tensor(data, **options)


CONSTANTS = {
    "zeros": lambda t: t.zeros(2, 3),
    "zeros tuple": lambda t: t.zeros((2, 3), dtype=t.int32),
    "zeros list": lambda t: t.zeros([2]),
    "zeros of nothing": lambda t: t.zeros(0, 3),
    "zeros 0-dim": lambda t: t.zeros(()),
    "ones": lambda t: t.ones(2, 3, dtype=t.bool),
    "ones float64": lambda t: t.ones(2, dtype=t.float64, requires_grad=True),
    "full float": lambda t: t.full((2, 2), 1.5),
    "full int": lambda t: t.full((2,), 7),
    "full bool": lambda t: t.full((2,), True),
    "full cut": lambda t: t.full((2,), 1.9, dtype=t.int64),
    "eye": lambda t: t.eye(3),
    "eye wide": lambda t: t.eye(2, 4, dtype=t.int64),
    "eye tall": lambda t: t.eye(3, 1),
    "eye 0": lambda t: t.eye(0),
    "zeros_like": lambda t: t.zeros_like(t.ones(2, 3, dtype=t.int16)),
    "ones_like": lambda t: t.ones_like(t.zeros(2, 3), dtype=t.float64),
    "full_like": lambda t: t.full_like(t.zeros(2, dtype=t.int32), 5),
    "new_zeros": lambda t: t.ones(1, dtype=t.float64).new_zeros(2, 2),
    "new_ones": lambda t: t.ones(1, dtype=t.float64).new_ones((2, 2), dtype=t.int8),
    "new_full": lambda t: t.ones(1, dtype=t.float64).new_full((2,), 3),
    "new_tensor": lambda t: t.ones(1, dtype=t.float64).new_tensor([1, 2]),
    "arange": lambda t: t.arange(5),
    "arange float": lambda t: t.arange(1.0, 2.0, 0.25),
    "arange down": lambda t: t.arange(5, 0, -2),
    "arange empty": lambda t: t.arange(3, 3),
    "arange as float": lambda t: t.arange(4, dtype=t.float64),
    "arange large": lambda t: t.arange(2**53, 2**53 + 3),
    "linspace": lambda t: t.linspace(-1, 1, 5),
    "linspace one": lambda t: t.linspace(3, 4, 1),
    "linspace none": lambda t: t.linspace(3, 4, 0),
    "linspace float64": lambda t: t.linspace(0, 1, 11, dtype=t.float64),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_and_ranges_are_pytorchs(torch, name):
    x, y = (CONSTANTS[name](t) for t in (mt, torch))
    assert str(x.dtype) == str(y.dtype)
    assert tuple(x.shape) == tuple(y.shape)
    assert x.requires_grad == y.requires_grad
    assert x.is_contiguous()
    np.testing.assert_allclose(x.tolist(), y.tolist(), rtol=1e-7, atol=1e-7)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(-9, 9))
def test_arange_of_integers_is_pythons_range(start, end, step):
    assume(step and (end - start) * step >= 0)
    assert mt.arange(start, end, step).tolist() == list(range(start, end, step))


@given(st.floats(-100, 100), st.floats(0.01, 50), st.floats(0.01, 3))
def test_arange_of_floats_is_pytorchs_to_the_last_bit(start, length, step):
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float64"):
        x, y = (t.arange(start, start + length, step, dtype=getattr(t, dtype)) for t in (mt, torch))
        assert tuple(x.shape) == tuple(y.shape)
        ulp = np.finfo(dtype).eps
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=ulp, atol=ulp * abs(start))


def test_what_cannot_be_made_is_an_error(torch):
    for t in (mt, torch):
        for error, call in [
            (RuntimeError, lambda t=t: t.zeros(-1)),
            (RuntimeError, lambda t=t: t.arange(0, 5, 0)),
            (RuntimeError, lambda t=t: t.arange(0, 5, -1)),
            (RuntimeError, lambda t=t: t.linspace(0, 1, -1)),
            (RuntimeError, lambda t=t: t.full((2,), 300, dtype=t.uint8)),
            (RuntimeError, lambda t=t: t.ones(2, dtype=t.int64, requires_grad=True)),
            (TypeError, lambda t=t: t.zeros(2.0)),
            (TypeError, lambda t=t: t.zeros("a")),
            (TypeError, lambda t=t: t.eye("a")),
            (RuntimeError, lambda t=t: t.eye(-1)),
        ]:
            with pytest.raises(error):
                call()


def test_empty_tensors_are_separate():
    x, y = mt.empty(3, dtype=mt.float64), mt.empty_like(mt.ones(2, 2))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((3,), mt.float64, (2, 2), mt.float32)
    assert mt.ones(1).new_empty(2, 3).shape == (2, 3)
