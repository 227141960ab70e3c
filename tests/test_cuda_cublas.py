"""Products of matrices by CuPy's cuBLAS: what it is given, here by a stand-in for CuPy."""

import ctypes

import numpy as np
import pytest

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn.kernels.cuda import driver

from .cuda_device import needs_compiler, stand_in

pytestmark = needs_compiler


class Array:
    """An array over memory that `__cuda_array_interface__` shows, as `cupy.asarray` makes."""

    def __init__(self, shown, array):
        self.shown, self.array = shown, array

    def swapaxes(self, a, b):
        return Array(self.shown, self.array.swapaxes(a, b))


class CuPy:
    """What is used of CuPy; `products` holds what was multiplied into what."""

    def __init__(self):
        self.products = []

    def asarray(self, buffer):
        shown = buffer.__cuda_array_interface__
        address, read_only = shown["data"]
        assert not read_only
        assert shown["strides"] is None, "the kernels are given what lies in order"
        dtype, shape = np.dtype(shown["typestr"]), shown["shape"]
        memory = (ctypes.c_uint8 * (dtype.itemsize * int(np.prod(shape)))).from_address(address)
        return Array(shown, np.frombuffer(memory, dtype).reshape(shape))

    def matmul(self, a, b, *, out):
        self.products.append((a, b, out))
        np.matmul(a.array, b.array, out=out.array)


@pytest.fixture
def cupy(monkeypatch):
    found = CuPy()
    with stand_in():
        monkeypatch.setattr(driver, "cublas", lambda: found)
        yield found


def strides_of(operand):
    """In elements."""
    return tuple([s // operand.array.itemsize for s in operand.array.strides])


def test_a_linear_layer_and_its_gradients(cupy):
    torch.manual_seed(0)
    x, w, b = torch.randn(4, 3), torch.randn(5, 3), torch.randn(5)
    gy = torch.randn(4, 5)
    found = []
    for device in ("cpu", "cuda"):
        leaves = [t.to(device).requires_grad_() for t in (x, w, b)]
        y = F.linear(*leaves)
        found.append([y, *torch.autograd.grad(y, leaves, gy.to(device))])
        if device == "cuda":
            weight, out = leaves[1], y
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(
            there.detach().cpu().numpy(), here.detach().numpy(), rtol=1e-5, atol=1e-6
        )
    forward, by_input, by_weight = cupy.products
    a, right, y = forward
    assert (a.array.shape, right.array.shape, y.array.shape) == ((1, 4, 3), (1, 3, 5), (1, 4, 5))
    assert strides_of(a)[1:] == (3, 1)
    assert strides_of(right)[1:] == (1, 3)  # the weight, turned by its strides alone
    assert right.shown["data"][0] == weight.data_ptr()
    assert y.shown["data"][0] == out.data_ptr()
    assert [o.array.shape for o in by_input] == [(1, 4, 5), (1, 5, 3), (1, 4, 3)]
    assert [strides_of(o)[1:] for o in by_input] == [(5, 1), (3, 1), (3, 1)]
    assert [o.array.shape for o in by_weight] == [(1, 5, 4), (1, 4, 3), (1, 5, 3)]
    assert [strides_of(o)[1:] for o in by_weight] == [(1, 5), (3, 1), (3, 1)]
    assert {o.shown["typestr"] for product in cupy.products for o in product} == {"<f4"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 2))]
)
def test_stacks_of_matrices(cupy, a, b, dtype):
    torch.manual_seed(0)
    x, y = torch.randn(*a, dtype=dtype), torch.randn(*b, dtype=dtype)
    found = torch.matmul(x.to("cuda"), y.to("cuda"))
    np.testing.assert_allclose(found.cpu().numpy(), np.matmul(x.numpy(), y.numpy()), rtol=1e-5)
    assert len(cupy.products) == 1


def test_sums_of_nothing_and_no_results(cupy):
    assert (
        torch.matmul(torch.ones(2, 0).cuda(), torch.ones(0, 3).cuda()).tolist() == [[0.0] * 3] * 2
    )
    assert torch.matmul(torch.ones(0, 2).cuda(), torch.ones(2, 3).cuda()).shape == (0, 3)
    assert not cupy.products


def test_a_compiled_step_repeats_products(cupy):
    w = torch.arange(6.0).reshape(2, 3).cuda()
    double = torch.compile(lambda x: F.linear(x, w) * 2)
    for value in (1.0, 2.0, 3.0):
        y = double(torch.full((1, 3), value, device="cuda"))
        assert y.tolist() == [[6 * value, 24 * value]]
    assert len(cupy.products) == 3
    first, *_, last = [product[0].shown["data"][0] for product in cupy.products]
    assert first
    assert last


def test_without_cupy_the_tiles_do_it():
    assert driver.cublas() is None
