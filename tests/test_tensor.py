"""Tensor itself: what it is, how it is read as Python's and NumPy's, copied and converted."""

import copy
import pickle

import numpy as np
import pytest

import minitorch_cnn as mt

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


# What it is


def attributes(t, dtype, shape):
    x = t.ones(shape, dtype=getattr(t, dtype)).transpose(0, -1)
    return (
        tuple(x.shape),
        x.ndim,
        x.dim(),
        tuple(x.size()),
        [x.size(d) for d in range(-x.ndim, x.ndim)],
        x.numel(),
        x.nelement(),
        x.element_size(),
        x.itemsize,
        x.nbytes,
        x.is_floating_point(),
        str(x.dtype),
        x.is_cpu,
        x.is_cuda,
        x.get_device(),
        str(x.device),
        x.device.type,
        x.requires_grad,
        x.is_leaf,
        x.grad is None,
        x.grad_fn is None,
        x.type(),
        len(x),
        x.dtype.is_floating_point,
        x.dtype.is_signed,
        x.dtype.itemsize,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_attributes_are_pytorchs(torch, dtype):
    for shape in ((3,), (2, 3), (4, 1, 2)):
        assert attributes(mt, dtype, shape) == attributes(torch, dtype, shape)


def test_strides_and_contiguity_are_pytorchs(torch):
    for view in (
        lambda x: x,
        lambda x: x.transpose(0, 2),
        lambda x: x[:, 1],
        lambda x: x[..., ::2],
        lambda x: x[:, :1].expand(2, 5, 4),
    ):
        x, y = (view(t.arange(24.0).reshape(2, 3, 4)) for t in (mt, torch))
        assert x.stride() == y.stride()
        assert [x.stride(d) for d in range(-x.ndim, x.ndim)] == [
            y.stride(d) for d in range(-y.ndim, y.ndim)
        ]
        assert x.is_contiguous() == y.is_contiguous()
    with pytest.raises(IndexError):
        mt.ones(2).stride(1)
    with pytest.raises(IndexError):
        mt.ones(2).size(1)


def test_size_is_a_tuple_that_prints_as_pytorchs(torch):
    size = mt.ones(2, 3).shape
    assert size == (2, 3)
    assert repr(size) == repr(torch.ones(2, 3).shape) == "torch.Size([2, 3])"
    assert size.numel() == 6
    assert mt.ones(()).shape.numel() == 1
    assert isinstance(size, mt.Size)
    assert mt.zeros(size).shape == size
    first, *rest = size
    assert (first, rest) == (2, [3])


def test_addresses():
    x = mt.arange(6)
    assert x[2:].data_ptr() == x.data_ptr() + 2 * 8
    assert x.data_ptr() == x.numpy().ctypes.data


# To Python and NumPy


@pytest.mark.parametrize("dtype", DTYPES)
def test_items_and_lists_are_pythons_numbers(torch, dtype):
    values = [[1, 0], [1, 1]]
    x, y = (t.tensor(values, dtype=getattr(t, dtype)) for t in (mt, torch))
    assert x.tolist() == y.tolist()
    assert type(x.tolist()[0][0]) is type(y.tolist()[0][0])
    assert type(x[0, 0].item()) is type(y[0, 0].item())
    assert x[0, 0].tolist() == y[0, 0].tolist()
    assert mt.tensor([[5]]).item() == 5
    for empty in (x, mt.zeros(0)):
        with pytest.raises(RuntimeError, match="cannot be converted to Scalar"):
            empty.item()


def test_conversion_to_python_numbers(torch):
    for t in (torch, mt):
        assert int(t.tensor(2.7)) == 2
        assert float(t.tensor([3])) == 3.0
        assert bool(t.tensor(0.5)) is True
        assert bool(t.tensor([[0]])) is False
        assert [10, 20, 30][t.tensor(1)] == 20
        assert list(range(5))[t.tensor(1) : t.tensor([3])] == [1, 2]
        for values in ([1, 2], []):
            with pytest.raises(RuntimeError, match="ambiguous"):
                bool(t.tensor(values))
        for index in (t.tensor(1.0), t.tensor([1, 2])):
            with pytest.raises(TypeError, match="only integer tensors"):
                [0, 1][index]


def test_len_iteration_and_membership(torch):
    for t in (torch, mt):
        x = t.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert len(x) == 2
        assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
        assert 3 in x
        assert 5.0 not in x
        assert t.tensor(2.0) in x
        for call in (len, list):
            with pytest.raises(TypeError, match="0-d tensor"):
                call(t.tensor(1))
        with pytest.raises(RuntimeError):
            "a" in x  # noqa: B015
    for row in (x := mt.zeros(2, 2)):
        row.add_(1)
    assert x.sum() == 4


def test_hash_and_equality():
    x = mt.ones(2)
    assert {x: 1}[x] == 1
    assert len({x, mt.ones(2)}) == 2
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False


def test_format_is_pytorchs(torch):
    for t in (torch, mt):
        loss = (t.tensor([1.0, 2.0], requires_grad=True) * 2).sum()
        assert f"{loss:.3f}" == "6.000"
        assert f"{t.tensor(1.5)} {t.tensor(7):03d}" == "1.5 007"
        assert f"{t.tensor([1.5])}" == "tensor([1.5000])"
        with pytest.raises(TypeError):
            f"{t.tensor([1.5]):.2f}"


def test_repr_shows_the_history():
    x = mt.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr((x * 2).detach()) == "tensor([2.])"
    assert repr(x[0]) == "tensor(1., grad_fn=<SliceBackward0>)"


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_and_from_numpy_share_memory(dtype):
    array = np.arange(6).astype(dtype).reshape(2, 3).T
    x = mt.from_numpy(array)
    assert str(x.dtype) == f"torch.{dtype}"
    assert np.shares_memory(x.numpy(), array)
    x[0, 1] = 1
    assert array[0, 1] == 1
    array[2, 0] = 0
    assert x[2, 0] == 0
    assert np.shares_memory(np.asarray(x), array)
    assert np.shares_memory(mt.as_tensor(array).numpy(), array)
    assert not np.shares_memory(mt.tensor(array).numpy(), array)
    assert not np.shares_memory(np.array(x), array)
    assert np.asarray(x, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, np.complex64, copy=False)


def test_arrays_that_tensors_cannot_share_are_copied_or_refused():
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    x = mt.from_numpy(frozen)
    x.add_(1)
    assert frozen.tolist() == [0, 1, 2]
    assert x.tolist() == [1, 2, 3]
    for array in (np.zeros(2, np.complex64), np.zeros(2, np.float16), np.array(["a"])):
        with pytest.raises(TypeError, match="can't hold"):
            mt.from_numpy(array)
    with pytest.raises(TypeError):
        mt.from_numpy([1.0])
    big_endian = np.arange(3, dtype=">f8")
    with pytest.raises((TypeError, ValueError)):
        mt.from_numpy(big_endian)
    reversed_ = mt.from_numpy(np.arange(3.0)[::-1])
    assert (reversed_ * 2).tolist() == [4, 2, 0]


def test_tensors_that_require_grad_do_not_become_arrays():
    x = mt.ones(2, requires_grad=True)
    for call in (lambda: x.numpy(), lambda: np.asarray(x), lambda: (x * 2).numpy()):
        with pytest.raises(RuntimeError, match="detach"):
            call()
    assert x.detach().numpy().tolist() == x.tolist() == [1, 1]


def test_arrays_and_tensors_in_one_expression():
    x = mt.ones(2)
    for y in (x + np.ones(2, np.float32), np.ones(2, np.float32) + x, np.float32(1) + x):
        assert isinstance(y, mt.Tensor)
        assert y.tolist() == [2, 2]
        assert y.dtype is mt.float32


# Copies


def test_deepcopy_copies_values_gradients_and_nothing_of_the_graph():
    x = mt.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    y.data.add_(1)
    y.grad.add_(1)
    assert (x.tolist(), x.grad.tolist()) == ([1, 2], [2, 4])
    assert (y.tolist(), y.grad.tolist()) == ([2, 3], [3, 5])
    assert y.requires_grad
    assert y.is_leaf
    first, second = copy.deepcopy([x, x])
    assert first is second
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(x * 2)
    base = mt.zeros(4)
    view = base[1:3]
    base.mul_(x[0])  # through which the view gets a history
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(view)
    assert copy.copy(x.detach()).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle_keeps_values_type_and_requires_grad(dtype):
    matrix = mt.tensor([[1, 0], [2, 3]], dtype=getattr(mt, dtype))
    for x in (matrix.t(), mt.zeros(2, 0), mt.ones(())):
        y = pickle.loads(pickle.dumps(x))
        assert y.dtype is x.dtype
        assert y.shape == x.shape
        assert y.tolist() == x.tolist()
    leaf = mt.ones(2, requires_grad=True)
    assert pickle.loads(pickle.dumps(leaf)).requires_grad
    assert pickle.loads(pickle.dumps(leaf * 3)).tolist() == [3, 3]
    assert pickle.loads(pickle.dumps(leaf.dtype)) is mt.float32
    assert pickle.loads(pickle.dumps(leaf.device)) is leaf.device
    assert pickle.loads(pickle.dumps(leaf.shape)) == (2,)


def test_clone_and_contiguous():
    x = mt.arange(6.0).reshape(2, 3)
    assert x.contiguous() is x
    turned = x.t().contiguous()
    assert turned.is_contiguous()
    assert turned.tolist() == x.t().tolist()
    y = x.clone()
    y.add_(1)
    assert x[0, 0] == 0


# Conversion


CONVERSIONS = {
    "dtype": lambda t, x: x.to(t.float64),
    "same dtype": lambda t, x: x.to(t.float32),
    "python type": lambda t, x: x.to(t.int64),
    "device": lambda t, x: x.to("cpu"),
    "device object": lambda t, x: x.to(t.device("cpu")),
    "device, dtype": lambda t, x: x.to("cpu", t.int32),
    "other": lambda t, x: x.to(t.ones(1, dtype=t.uint8)),
    "keywords": lambda t, x: x.to(device="cpu", dtype=t.float64),
    "None": lambda t, x: x.to(None),
    "copy": lambda t, x: x.to(t.float32, copy=True),
    "non_blocking": lambda t, x: x.to("cpu", non_blocking=True),
    "positional": lambda t, x: x.to("cpu", t.float32, False, True),
    "positional, no copy": lambda t, x: x.to("cpu", t.float32, True, False),
    "float": lambda t, x: x.float(),
    "double": lambda t, x: x.double(),
    "int": lambda t, x: x.int(),
    "long": lambda t, x: x.long(),
    "short": lambda t, x: x.short(),
    "char": lambda t, x: x.char(),
    "byte": lambda t, x: x.byte(),
    "bool": lambda t, x: x.bool(),
    "type": lambda t, x: x.type(t.float64),
    "type by name": lambda t, x: x.type("torch.LongTensor"),
    "type_as": lambda t, x: x.type_as(t.ones(1, dtype=t.int16)),
    "cpu": lambda t, x: x.cpu(),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions_are_pytorchs(torch, name):
    pair = []
    for t in (mt, torch):
        x = t.tensor([0.0, 1.7, 2.5])
        y = CONVERSIONS[name](t, x)
        pair.append((y is x, str(y.dtype), y.tolist()))
    assert pair[0] == pair[1]


def test_conversions_that_do_not_exist_are_errors(torch):
    x = mt.ones(2)
    for error, call in [
        (RuntimeError, lambda: x.to("float32")),
        (RuntimeError, lambda: x.to("cuda")),
        (RuntimeError, lambda: mt.ones(2, device="cuda")),
        (RuntimeError, lambda: mt.device("tpu")),
        (TypeError, lambda: x.to(1.0)),
        (TypeError, lambda: x.to(shape=2)),
        (ValueError, lambda: x.type("torch.NoTensor")),
        (TypeError, lambda: mt.ones(2, dtype=np.float32)),
    ]:
        with pytest.raises(error):
            call()


def test_parameters_keep_their_attributes_through_pickle_and_copy():
    p = mt.nn.Parameter(mt.ones(2), requires_grad=False)
    p.group = "slow"
    restored, shallow = pickle.loads(pickle.dumps(p)), copy.copy(p)
    for q in (restored, shallow):
        assert (type(q), q.requires_grad, q.group) == (mt.nn.Parameter, False, "slow")
    shallow.add_(1)
    assert p.tolist() == [2, 2]
    assert restored.tolist() == [1, 1]
    tied = mt.nn.ModuleList([mt.nn.Linear(2, 2), mt.nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    for made in (copy.deepcopy(tied), pickle.loads(pickle.dumps(tied))):
        assert made[1].weight is made[0].weight
        assert made[0].weight is not tied[0].weight


def test_devices_compare_and_print_as_pytorchs(torch):
    for t in (mt, torch):
        assert t.ones(1).device == t.device("cpu")
        assert repr(t.device("cuda", 1)) == "device(type='cuda', index=1)"
        assert str(t.device("cuda:1")) == "cuda:1"
        assert t.device("cuda:1") == t.device("cuda", 1) != t.device("cuda")


def test_conversion_passes_gradients_in_the_leafs_type():
    x = mt.tensor([1.0, 2.0], requires_grad=True)
    y = x.double() * mt.tensor([3.0, 4.0], dtype=mt.float64)
    assert y.dtype is mt.float64
    y.sum().backward()
    assert x.grad.dtype is mt.float32
    assert x.grad.tolist() == [3, 4]
    assert not x.long().requires_grad


# data and requires_grad


def test_data_is_the_same_memory_without_history(torch):
    for t in (mt, torch):
        x = t.ones(2, requires_grad=True)
        x.data.add_(1)
        x.data[0] = 7.0
        assert x.tolist() == [7, 2]
        assert not x.data.requires_grad
        x.data = t.zeros(3)
        assert x.tolist() == [0, 0, 0]
        assert x.requires_grad
        (x * 2).sum().backward()
        assert x.grad.tolist() == [2, 2, 2]
        with pytest.raises(TypeError):
            x.data = 1
        with pytest.raises(RuntimeError):
            x.data = t.ones(2, dtype=t.int64)


def test_a_write_through_data_between_forward_and_backward_is_pytorchs(torch):
    grads = []
    for t in (mt, torch):
        x = t.ones(2, requires_grad=True)
        y = (x * x).sum()
        x.data.mul_(3)
        y.backward()
        grads.append(x.grad.tolist())
    assert grads[0] == grads[1]


def test_requires_grad_rules(torch):
    for t in (mt, torch):
        x = t.ones(2)
        assert x.requires_grad_() is x
        assert x.requires_grad
        x.requires_grad = False
        assert not x.requires_grad
        with pytest.raises(RuntimeError, match="floating point"):
            t.ones(2, dtype=t.int64).requires_grad_()
        with pytest.raises(RuntimeError):
            t.tensor([1, 2], requires_grad=True)
        y = t.ones(2, requires_grad=True) * 2
        assert y.requires_grad_() is y
        with pytest.raises(RuntimeError, match="leaf"):
            y.requires_grad = False


def test_constructor():
    assert mt.Tensor(2, 3).shape == (2, 3)
    assert mt.Tensor(2, 3).dtype is mt.float32
    assert mt.Tensor([1, 2]).dtype is mt.float32
    assert mt.Tensor([1, 2]).tolist() == [1, 2]
    assert mt.Tensor(mt.ones(2)).tolist() == [1, 1]
    assert mt.Tensor().shape == (0,)
