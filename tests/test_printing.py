"""The text of tensors, compared with PyTorch's and, where it is absent, with texts it gave."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitorch_cnn.printing import set_printoptions, tensor_repr

DTYPES = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.fixture(autouse=True)
def default_options():
    yield
    set_printoptions(profile="default")


def text_of(array, **details):
    return tensor_repr(array, dtype=array.dtype.name, **details)


@st.composite
def arrays(draw):
    """Every dtype; floats of all bits, of one magnitude, whole, or mostly not finite."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    if dtype.kind != "f":
        return draw(hnp.arrays(dtype, shape))
    width = 8 * dtype.itemsize
    elements = draw(
        st.sampled_from(
            [
                st.floats(width=width),
                st.floats(-1024, 1024, width=width),
                st.floats(0.125, 1, width=width),
                st.integers(-(10**4), 10**10).map(float),
                st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 12.0]),
                st.sampled_from([math.nan, -math.inf, 0.25, -31.0]),
            ]
        )
    )
    # 10**10 is rounded on its way into a float32.
    return np.array(draw(hnp.arrays(np.float64, shape, elements=elements)), dtype)


options = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(["default", "short", "full"]),
        "precision": st.integers(0, 8),
        "threshold": st.sampled_from([0, 5, 60, math.inf]),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.sampled_from([1, 20, 79, 200]),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)


@given(arrays(), st.booleans(), st.booleans())
def test_same_text_as_pytorch(array, requires_grad, has_history):
    torch = pytest.importorskip("torch")
    theirs = torch.from_numpy(array.copy())
    requires_grad = requires_grad and array.dtype.kind == "f"
    has_history = has_history and requires_grad
    theirs.requires_grad_(requires_grad)
    if has_history:
        theirs = theirs * 1
    name = "MulBackward0" if has_history else None
    assert text_of(array, requires_grad=requires_grad, grad_fn=name) == repr(theirs)


@given(st.lists(options, min_size=1, max_size=3), arrays())
def test_options_as_in_pytorch(calls, array):
    torch = pytest.importorskip("torch")
    try:
        for call in calls:
            set_printoptions(**call)
            torch.set_printoptions(**call)
        assert text_of(array) == repr(torch.from_numpy(array.copy()))
    finally:
        set_printoptions(profile="default")
        torch.set_printoptions(profile="default")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1000,), (1001,), (2, 3, 200), (7, 6, 5, 8), (1, 1, 1, 2000)])
def test_summary_as_in_pytorch(dtype, shape):
    torch = pytest.importorskip("torch")
    # The great element lies outside what is shown, where it must not widen the columns.
    array = (np.arange(math.prod(shape)) % 100).astype(dtype).reshape(shape)
    if shape[-1] > 6:
        array[..., 4] = 120
    assert text_of(array) == repr(torch.from_numpy(array))


@given(arrays())
def test_default_dtype_goes_unmentioned(array):
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    try:
        assert text_of(array, default_dtype="float64") == repr(torch.from_numpy(array.copy()))
    finally:
        torch.set_default_dtype(torch.float32)


def test_prefix_sets_the_indent():
    torch = pytest.importorskip("torch")

    class Weights(torch.Tensor):
        pass

    array = np.linspace(0, 1, 40).reshape(2, 20)
    theirs = torch.from_numpy(array).as_subclass(Weights)
    assert text_of(array, prefix="Weights(") == repr(theirs)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.float32([1, 2.5]), "tensor([1.0000, 2.5000])"),
        (np.float32([1, -2]), "tensor([ 1., -2.])"),
        (np.array(7), "tensor(7)"),
        (np.float64(0.1), "tensor(0.1000, dtype=torch.float64)"),
        (np.array([True, False]), "tensor([ True, False])"),
        (
            np.uint8([[1, 20], [255, 0]]),
            "tensor([[  1,  20],\n        [255,   0]], dtype=torch.uint8)",
        ),
        (np.float32([1, math.nan, -math.inf]), "tensor([1., nan, -inf])"),
        (np.float32([1e-5, 1]), "tensor([1.0000e-05, 1.0000e+00])"),
        (np.zeros((0, 3), np.float32), "tensor([], size=(0, 3))"),
        (np.zeros(0, np.float32), "tensor([])"),
        (np.zeros(0, np.int64), "tensor([], dtype=torch.int64)"),
        (np.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
        (np.zeros((2, 1, 1), np.float32), "tensor([[[0.]],\n\n        [[0.]]])"),
    ],
)  # fmt: skip
def test_known_texts(array, expected):
    assert text_of(array) == expected


def test_known_suffixes():
    array = np.float32([[0.5] * 9])
    elements = "[[0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000]]"
    assert text_of(array, requires_grad=True) == f"tensor({elements},\n       requires_grad=True)"
    name = "ReluBackward0"
    assert text_of(array[0, :1], requires_grad=True, grad_fn=name) == (
        "tensor([0.5000], grad_fn=<ReluBackward0>)"
    )


def test_strides_do_not_matter():
    array = np.arange(24.0).reshape(2, 3, 4)
    assert text_of(array.transpose(2, 0, 1)) == text_of(array.transpose(2, 0, 1).copy())
    assert text_of(array[:, ::-1, ::2]) == text_of(array[:, ::-1, ::2].copy())


def test_profile_replaces_earlier_options():
    set_printoptions(precision=1, edgeitems=1, threshold=2, sci_mode=True)
    assert text_of(np.float32([0.25, 1, 2])) == "tensor([2.5e-01,  ..., 2.0e+00])"
    set_printoptions(profile="short")
    assert text_of(np.float32([0.25, 1, 2])) == "tensor([0.25, 1.00, 2.00])"


@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ({"precision": -1}, ValueError, "precision must be 0 or more, got -1"),
        ({"precision": 2.0}, TypeError, "precision must be an integer, got 2.0"),
        ({"edgeitems": -3}, ValueError, "edgeitems must be 0 or more, got -3"),
        ({"linewidth": 0}, ValueError, "linewidth must be 1 or more, got 0"),
        ({"threshold": math.nan}, ValueError, "threshold must be 0 or more, got nan"),
        ({"profile": "long"}, ValueError, "must be one of default, short, full, got 'long'"),
        ({"sci_mode": 1}, TypeError, "sci_mode must be True, False or None, got 1"),
    ],
)
def test_bad_options_change_nothing(option, error, message):
    with pytest.raises(error, match=message):
        set_printoptions(**{"precision": 1, "profile": "short", **option})
    assert text_of(np.float32([0.5])) == "tensor([0.5000])"
