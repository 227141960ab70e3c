"""Functions of shapes called with any small numbers, sensible or not: what PyTorch gives for them
is given, and what it refuses is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt

from .strategies import shapes

dims = st.integers(-4, 3)
counts = st.integers(0, 4)
some = st.lists(st.integers(-1, 4), max_size=3).map(tuple)
positive = st.lists(st.integers(0, 3), max_size=4).map(tuple)
nothing = st.tuples()

CALLS = {
    "squeeze": st.tuples(st.one_of(dims, some)),
    "unsqueeze": st.tuples(dims),
    "flatten": st.tuples(dims, dims),
    "transpose": st.tuples(dims, dims),
    "swapaxes": st.tuples(dims, dims),
    "permute": st.tuples(st.one_of(some, st.permutations([0, 1, 2]))),
    "movedim": st.one_of(st.tuples(dims, dims), st.tuples(some, some)),
    "reshape": st.tuples(some),
    "view": st.tuples(some),
    "expand": st.tuples(positive),
    "broadcast_to": st.tuples(positive),
    "sum_to_size": st.tuples(positive),
    "repeat": st.tuples(positive),
    "tile": st.tuples(positive),
    "unflatten": st.tuples(dims, some),
    "chunk": st.tuples(st.integers(-1, 4), dims),
    "split": st.tuples(st.one_of(st.integers(-1, 4), some), dims),
    "tensor_split": st.tuples(st.one_of(counts, some), dims),
    "hsplit": st.tuples(counts),
    "vsplit": st.tuples(counts),
    "dsplit": st.tuples(counts),
    "unbind": st.tuples(dims),
    "narrow": st.tuples(dims, dims, st.integers(-1, 4)),
    "select": st.tuples(dims, dims),
    "unfold": st.tuples(dims, st.integers(-1, 3), st.integers(-1, 3)),
    "roll": st.one_of(st.tuples(dims), st.tuples(dims, dims), st.tuples(some, some)),
    "rot90": st.tuples(dims, some),
    "repeat_interleave": st.one_of(st.tuples(counts), st.tuples(counts, dims)),
    "diagonal": st.tuples(dims, dims, dims),
    "diag": st.tuples(dims),
    "diagflat": st.tuples(dims),
    "tril": st.tuples(dims),
    "triu": st.tuples(dims),
    **dict.fromkeys(["t", "adjoint", "ravel", "fliplr", "flipud"], nothing),
}
several = st.one_of(
    st.lists(shapes(0, 3, 0, 3), min_size=1, max_size=3),
    st.builds(lambda shape, n: [shape] * n, shapes(0, 3, 0, 3), st.integers(1, 3)),
)
JOINS = ["hstack", "vstack", "dstack", "column_stack", "broadcast_tensors", "block_diag"]


def outcome(call):
    """Shapes and values; or None where the call is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = call()
    except (RuntimeError, IndexError, TypeError, ValueError):
        return None
    found = found if isinstance(found, (tuple, list)) else [found]
    return [(tuple(y.shape), y.tolist()) for y in found]


def numbered(t, shape):
    return t.arange(int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@settings(max_examples=40)
def test_methods_of_shapes(name, data):
    torch = pytest.importorskip("torch")
    shape, args = data.draw(shapes(0, 4, 0, 3)), data.draw(CALLS[name])

    def call(t):
        return getattr(numbered(t, shape), name)(*args)

    assert outcome(lambda: call(mt)) == outcome(lambda: call(torch))


@pytest.mark.parametrize("name", JOINS)
@given(several=several)
@settings(max_examples=30)
def test_functions_of_several_tensors(name, several):
    torch = pytest.importorskip("torch")

    def call(t):
        tensors = [numbered(t, shape) for shape in several]
        function = getattr(t, name)
        return function(*tensors) if name[:5] in ("broad", "block") else function(tensors)

    assert outcome(lambda: call(mt)) == outcome(lambda: call(torch))


@pytest.mark.parametrize("name", ["cat", "stack"])
@given(several=several, dim=dims)
@settings(max_examples=50)
def test_cat_and_stack(name, several, dim):
    torch = pytest.importorskip("torch")
    if all(shape == (0,) for shape in several):
        return  # PyTorch joins them along any dimension, whether they have it or not

    def call(t):
        return getattr(t, name)([numbered(t, shape) for shape in several], dim)

    assert outcome(lambda: call(mt)) == outcome(lambda: call(torch))
