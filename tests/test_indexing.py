"""Indexing against PyTorch: what is read, what is written, and the gradients of both."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


# Indices, as recipes from which both libraries make theirs


@st.composite
def indices(draw, shape):
    """An index that fits a shape: a list of (kind, value)."""
    entries, dim = [], 0
    together = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    ellipsis = draw(st.integers(0, 2 * len(shape) + 1))
    while dim < len(shape) and draw(st.integers(0, 5)):
        if ellipsis == dim:
            entries.append(("plain", Ellipsis))
            ellipsis = -1
            dim += draw(st.integers(0, len(shape) - dim))
            continue
        n = shape[dim]
        kind = draw(st.sampled_from(["int", "slice", "new", "tensor", "list", "mask", "scalar"]))
        if kind == "new":
            entries.append(("plain", None))
            continue
        if kind == "mask":
            dims = draw(st.integers(1, len(shape) - dim))
            size = shape[dim : dim + dims]
            bits = draw(
                st.lists(st.booleans(), min_size=int(np.prod(size)), max_size=int(np.prod(size)))
            )
            entries.append(("mask", np.array(bits, bool).reshape(size)))
            dim += dims
            continue
        if n == 0 or kind == "slice":
            bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            step = st.one_of(st.none(), st.integers(1, 3))
            entries.append(("plain", slice(draw(bound), draw(bound), draw(step))))
        elif kind in ("int", "scalar"):
            entries.append((kind, draw(st.integers(-n, n - 1))))
        else:
            size = (
                together
                if kind == "tensor"
                else (draw(st.sampled_from([1, together[-1]])) if together else 1,)
            )
            count = int(np.prod(size))
            places = draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count))
            entries.append((kind, np.array(places, np.int64).reshape(size)))
        dim += 1
    return entries


def make(t, entries):
    made = []
    for kind, value in entries:
        if kind in ("tensor", "mask"):
            value = t.tensor(value.tolist(), dtype=t.bool if kind == "mask" else t.int64).reshape(
                value.shape
            )
        elif kind == "list":
            value = value.tolist()
        elif kind == "scalar":
            value = t.tensor(value)
        made.append(value)
    return made[0] if len(made) == 1 and not isinstance(made[0], list) else tuple(made)


@st.composite
def arrays_and_indices(draw):
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    return shape, draw(indices(shape))


def outcome(call):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of masks that hold nowhere
            return call()
    except (IndexError, RuntimeError) as error:
        return type(error).__name__


def source(t, shape):
    size = int(np.prod(shape))
    values = np.arange(1.0, size + 1).reshape(shape)
    return t.tensor(values.tolist(), dtype=t.float64).reshape(shape).requires_grad_()


def assert_same(ours, theirs):
    if isinstance(theirs, str):
        assert isinstance(ours, str), "PyTorch refuses it"
        return
    assert not isinstance(ours, str), f"PyTorch accepts it: {ours}"
    for a, b in zip(ours, theirs, strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_array_equal(np.array(a.tolist()), np.array(b.tolist()))


@settings(max_examples=300)
@given(arrays_and_indices())
def test_reading_and_its_gradient_are_pytorchs(case):
    torch = pytest.importorskip("torch")
    shape, entries = case

    def read(t):
        x = source(t, shape)
        y = x[make(t, entries)]
        (y * y).sum().backward()
        return y.detach(), x.grad

    assert_same(outcome(lambda: read(mt)), outcome(lambda: read(torch)))


@settings(max_examples=300)
@given(arrays_and_indices(), st.sampled_from(["number", "scalar", "row", "whole", "ones"]))
def test_writing_and_its_gradients_are_pytorchs(case, kind):
    torch = pytest.importorskip("torch")
    shape, entries = case

    def write(t):
        x, factor = source(t, shape), t.tensor(3.0, dtype=t.float64, requires_grad=True)
        y, index = x * 1, make(t, entries)
        part = y[index].shape
        if kind == "number":
            value = 7
        elif kind == "scalar":
            value = factor * 1
        else:
            size = {"row": part[-1:], "whole": part, "ones": (1, *part)}[kind]
            # Equal values, as the order of writes to one place is anybody's choice.
            value = factor.expand(size)
        y[index] = value
        (y * y).sum().backward()
        unused = factor.grad is None
        return y.detach(), x.grad, t.zeros(()) if unused else factor.grad

    places = [value for kind, value in entries if kind in ("tensor", "list")]
    ours, theirs = outcome(lambda: write(mt)), outcome(lambda: write(torch))
    if places and kind not in ("number",) and not isinstance(theirs, str):
        # Where an index repeats, PyTorch gives each of the repeated writes the whole gradient.
        ours, theirs = ours[:2], theirs[:2]
    assert_same(ours, theirs)


@given(arrays_and_indices())
def test_second_derivatives_pass_through_indexing(case):
    shape, entries = case
    x = source(mt, shape)
    try:
        y = x[make(mt, entries)]
    except IndexError:
        return
    (times,) = mt.autograd.grad(y.sum(), x, retain_graph=True)
    (first,) = mt.autograd.grad((y**3).sum(), x, create_graph=True)
    (second,) = mt.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(second.numpy(), 6 * x.detach().numpy() * times.numpy())


# The same against NumPy, whose rule for where the indexed dimensions land differs only for numbers
# among index arrays: these are arrays to it, and slices are cut before to us.


@st.composite
def numpy_cases(draw):
    shape, entries = draw(arrays_and_indices())
    kinds = {kind for kind, _ in entries}
    if kinds & {"tensor", "list", "mask"}:
        entries = [
            ("plain", slice(value, (value + 1) or None))
            if kind in ("int", "scalar")
            else (kind, value)
            for kind, value in entries
        ]
    return shape, entries


def numpy_index(entries):
    return tuple([value for _, value in entries])


@settings(max_examples=150)
@given(numpy_cases())
def test_reading_and_its_gradient_are_numpys(case):
    shape, entries = case
    x = source(mt, shape)
    array = x.detach().numpy()
    y = outcome(lambda: x[make(mt, entries)])
    expected = outcome(lambda: array[numpy_index(entries)])
    if isinstance(expected, str) or isinstance(y, str):
        assert type(y) is type(expected)
        return
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    weights = np.arange(1.0, expected.size + 1).reshape(expected.shape)
    y.backward(mt.from_numpy(weights))
    slow = np.zeros(shape)
    np.add.at(slow, numpy_index(entries), weights)
    np.testing.assert_array_equal(x.grad.numpy(), slow)


@settings(max_examples=150)
@given(numpy_cases(), st.booleans())
def test_writing_adding_and_their_gradients_are_numpys(case, row):
    shape, entries = case
    x = source(mt, shape)
    array = x.detach().numpy().copy()
    expected = outcome(lambda: array[numpy_index(entries)])
    if isinstance(expected, str):
        return
    size = expected.shape[-1:] if row else ()
    value = mt.full(size, 0.5, dtype=mt.float64, requires_grad=True)
    y = x * 1
    y[make(mt, entries)] = value
    array[numpy_index(entries)] = 0.5
    np.testing.assert_array_equal(y.detach().numpy(), array)
    weights = np.arange(1.0, array.size + 1).reshape(shape)
    y.backward(mt.from_numpy(weights))
    kept = np.ones(shape)
    kept[numpy_index(entries)] = 0
    np.testing.assert_array_equal(x.grad.numpy(), kept * weights)
    indices = [mt.tensor(v) for k, v in entries if k in ("tensor", "mask", "list")]
    if indices and len(indices) == len(entries):
        added = x.detach().index_put(tuple(indices), value, accumulate=True)
        slow = x.detach().numpy().copy()
        np.add.at(slow, numpy_index(entries), 0.5)
        np.testing.assert_array_equal(added.detach().numpy(), slow)


@given(numpy_cases())
def test_indexing_passes_gradcheck(case):
    shape, entries = case
    x = (source(mt, shape).detach() / 7).requires_grad_()
    if isinstance(outcome(lambda: x[make(mt, entries)]), str) or x.numel() == 0:
        return
    factor = mt.tensor(0.3, dtype=mt.float64, requires_grad=True)

    def rewritten(x, factor):
        y = x * x
        y[make(mt, entries)] = factor * factor
        return y

    assert mt.autograd.gradcheck(lambda x: x[make(mt, entries)] ** 2, [x])
    assert mt.autograd.gradgradcheck(lambda x: x[make(mt, entries)] ** 3, [x])
    assert mt.autograd.gradcheck(rewritten, [x, factor])
    assert mt.autograd.gradgradcheck(rewritten, [x, factor])


# What is accepted and refused


@pytest.mark.parametrize(
    "index",
    [
        lambda t: 1,
        lambda t: -2,
        lambda t: np.int64(1),
        lambda t: np.array([0, 1]),
        lambda t: np.array([True, False]),
        lambda t: [0, 1],
        lambda t: [],
        lambda t: [True, False],
        lambda t: range(2),
        lambda t: (),
        lambda t: None,
        lambda t: Ellipsis,
        lambda t: True,
        lambda t: False,
        lambda t: (True, 0),
        lambda t: (0, t.tensor(True)),
        lambda t: t.tensor([0, 1], dtype=t.int32),
        lambda t: t.tensor(1, dtype=t.int8),
        lambda t: (slice(None), t.tensor([[0, 1], [2, 0]])),
        lambda t: (t.tensor([0, 1]), slice(None), t.tensor([[1], [2]])),
        lambda t: (t.tensor([0, 1]), None, t.tensor([1, 2])),
        lambda t: (0, slice(None), t.tensor([1, 2])),
        lambda t: (t.tensor([0]), 1, t.tensor([1, 2])),
        lambda t: slice(t.tensor(0), t.tensor(2)),
        lambda t: slice(-100, 100, 5),
        lambda t: t.zeros(2, 3, dtype=t.bool),
    ],
)
def test_indices_that_pytorch_accepts(torch, index):
    ours, theirs = (t.arange(24).reshape(2, 3, 4)[index(t)] for t in (mt, torch))
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("error", "index"),
    [
        (IndexError, lambda t: 2),
        (IndexError, lambda t: -3),
        (IndexError, lambda t: (0, 0, 0, 0)),
        (IndexError, lambda t: 1.0),
        (IndexError, lambda t: [2]),
        (IndexError, lambda t: [-3]),
        (IndexError, lambda t: (slice(None), t.tensor([3]))),
        (IndexError, lambda t: t.tensor([0.0, 1.0])),
        (IndexError, lambda t: t.tensor([0, 1], dtype=t.int16)),
        (IndexError, lambda t: t.tensor([True, False, True])),
        (IndexError, lambda t: t.zeros(2, 3, 4, 1, dtype=t.bool)),
        (IndexError, lambda t: (t.tensor([0, 1]), t.tensor([0, 1, 2]))),
        (ValueError, lambda t: slice(None, None, -1)),
        (ValueError, lambda t: slice(None, None, 0)),
    ],
)
def test_indices_that_pytorch_refuses(torch, error, index):
    for t in (torch, mt):
        x = t.arange(24).reshape(2, 3, 4)
        with pytest.raises(error):
            x[index(t)]
        with pytest.raises(error):
            x[index(t)] = 1
        assert x.flatten().tolist() == list(range(24))


def test_indices_that_pytorch_means_to_refuse_are_refused():
    x = mt.arange(24).reshape(2, 3, 4)
    bytes_ = mt.tensor([0, 1], dtype=mt.uint8)
    for index in (bytes_, [slice(None), 0], (..., 0, ...), "a", [[0], 1]):
        with pytest.raises(IndexError):
            x[index]


@pytest.mark.parametrize(
    ("error", "index", "value"),
    [
        (RuntimeError, lambda t: 0, lambda t: t.ones(2, 4)),
        (RuntimeError, lambda t: [0], lambda t: t.ones(5)),
        (RuntimeError, lambda t: [0, 1], lambda t: t.ones(4, dtype=t.float64)),
        (RuntimeError, lambda t: [True, False, True], lambda t: t.ones(4, dtype=t.int64)),
        (RuntimeError, lambda t: [True, False, True], lambda t: t.ones(3, 4)),
        (TypeError, lambda t: 0, lambda t: [1.0, 2.0, 3.0, 4.0]),
        (TypeError, lambda t: 0, lambda t: np.ones(4)),
        (TypeError, lambda t: 0, lambda t: None),
        (TypeError, lambda t: 0, lambda t: "a"),
    ],
)
def test_values_that_pytorch_refuses(torch, error, index, value):
    for t in (torch, mt):
        x = t.zeros(3, 4)
        with pytest.raises((error, IndexError) if t is torch else error):
            x[index(t)] = value(t)
        assert not x.any()


def test_values_are_cast_and_checked(torch):
    for t in (torch, mt):
        x = t.zeros(3, dtype=t.uint8)
        x[0] = 2.9
        x[1] = True
        x[2] = t.tensor(7.5)
        assert x.tolist() == [2, 1, 7]
        with pytest.raises(RuntimeError, match="overflow"):
            x[0] = 300


def test_repeated_writes_keep_one_of_the_values_and_repeated_reads_add_gradients():
    x = mt.zeros(3)
    x[[1, 1, 1]] = mt.tensor([4.0, 5.0, 6.0])
    assert x[1].item() in (4, 5, 6)
    assert x[[0, 2]].tolist() == [0, 0]
    leaf = mt.ones(3, requires_grad=True)
    (leaf[[1, 1, 2]] * mt.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert leaf.grad.tolist() == [0, 11, 100]


@pytest.mark.parametrize("shape", [(3, 4), (0,), (), (2, 0, 3)])
def test_nonzero_is_pytorchs(torch, shape):
    values = np.arange(int(np.prod(shape))).reshape(shape) % 3
    ours, theirs = mt.tensor(values), torch.tensor(values)
    assert tuple(ours.nonzero().shape) == tuple(theirs.nonzero().shape)
    assert ours.nonzero().tolist() == theirs.nonzero().tolist()
    pairs = zip(ours.nonzero(as_tuple=True), theirs.nonzero(as_tuple=True), strict=True)
    assert all(a.tolist() == b.tolist() for a, b in pairs)


@given(st.data())
def test_gather_and_its_gradient_are_pytorchs(data):
    torch = pytest.importorskip("torch")
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = [data.draw(st.integers(0, n)) for n in shape]
    size[dim] = data.draw(st.integers(0, 5))
    n = shape[dim]
    count = int(np.prod(size))
    places = data.draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count))
    results = []
    for t in (mt, torch):
        x = source(t, shape)
        y = x.gather(dim, t.tensor(places, dtype=t.int64).reshape(size))
        (y * y).sum().backward()
        results.append((y.detach(), x.grad))
    assert_same(*results)


def test_gather_refuses_what_does_not_fit(torch):
    for t in (torch, mt):
        x = t.ones(2, 3)
        for dim, index in ((1, [[3]]), (1, [[-1]]), (0, [[0], [0], [0]][:3]), (1, [0])):
            with pytest.raises(RuntimeError):
                x.gather(dim, t.tensor(index) + (2 if dim == 0 else 0))
        with pytest.raises(IndexError):
            x.gather(2, t.tensor([[0]]))
