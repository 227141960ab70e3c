"""Tensors on the device "cuda": memory, copies, and what is refused. Without a GPU."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.kernels.cuda import buffer, driver
from minitorch_cnn.kernels.cuda.geometry import (
    LARGE,
    SMALL,
    blocks_for,
    collapse,
    grid_for,
    pieces_for,
    splits_for,
    tile_for,
)

from .cuda_device import needs_numba_cuda, stand_in

no_gpu = pytest.mark.skipif(
    driver.cuda is not None and not driver.missing(), reason="there is a GPU, or the simulator"
)


@pytest.fixture
def device():
    with stand_in():
        yield


# ---------------------------------------------------------------------- without a GPU


@no_gpu
@pytest.mark.parametrize(
    "use",
    [
        lambda: torch.zeros(2, device="cuda"),
        lambda: torch.ones(2).to("cuda"),
        lambda: torch.nn.Linear(2, 2).to("cuda"),
        lambda: torch.Generator("cuda"),
        lambda: torch.cuda.synchronize(),
        lambda: torch.cuda.memory_allocated(),
        lambda: torch.cuda.get_device_name(),
    ],
)
def test_what_is_missing_is_said(use):
    assert not torch.cuda.is_available()
    assert torch.cuda.device_count() == 0
    missing = "pip install 'minitorch-cnn" if driver.cuda is None else "install NVIDIA's driver"
    with pytest.raises(RuntimeError, match=f"device 'cuda' is not available: .*{missing}"):
        use()


def test_the_package_imports_neither_numba_nor_its_cuda_target():
    code = (
        "import sys, minitorch_cnn as torch; torch.device('cuda'); "
        "print([m for m in sys.modules if m.startswith(('numba', 'cuda'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------- memory


class Memory(bytearray):
    """What stands for memory where only bookkeeping is tested."""


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(driver, "allocate", lambda size: Memory())
    monkeypatch.setattr(driver, "address", id)
    return buffer.Pool()


def test_a_block_is_used_again(pool):
    block = pool.take(1000)
    memory = block.memory
    assert pool.allocated == pool.reserved == 1024
    del block
    assert (pool.allocated, pool.reserved) == (0, 1024)
    assert pool.take(1001).memory is memory
    assert pool.most_allocated == pool.most_reserved == 1024


def test_the_idle_memory_is_bounded(pool):
    pool.most_idle = 3000
    blocks = [pool.take(1024) for _ in range(5)]
    assert pool.reserved == 5 * 1024
    blocks.clear()
    assert pool.allocated == 0
    assert pool.reserved <= 3 * 1024
    pool.empty_cache()
    assert pool.reserved == 0


def test_idle_memory_is_freed_when_the_driver_has_none_left(pool, monkeypatch):
    pool.take(4096)
    assert pool.reserved == 4096
    tries = []

    def allocate(size):
        tries.append(size)
        if len(tries) == 1:
            raise MemoryError("out of memory")
        return Memory()

    monkeypatch.setattr(driver, "allocate", allocate)
    pool.take(100_000)
    assert len(tries) == 2
    assert pool.reserved == tries[0]


@needs_numba_cuda
def test_buffers_follow_numpys_views(device):
    cuda = torch.device("cuda:0")
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    x = torch.from_numpy(array).to("cuda")._buffer
    for view in (
        lambda a: a.transpose(2, 0, 1),
        lambda a: a[1],
        lambda a: a[:, ::2, None, 1:],
        lambda a: a[1, 2, 3],
        lambda a: np.broadcast_to(a[:, :1], (2, 5, 4)),
        lambda a: a.reshape(6, 4)[1::2],
        lambda a: a.swapaxes(0, 2),
    ):
        expected, shown = view(array), view(x)
        assert shown.shape == np.shape(expected)
        if np.ndim(expected):
            assert shown.strides == expected.strides
        whole = cuda.empty(shown.shape, np.dtype(np.float32))
        cuda.kernel("shape.copy")(shown, whole)
        np.testing.assert_array_equal(buffer.contents(whole), expected)
        assert not buffer.owns(shown)
    assert buffer.owns(x)
    with pytest.raises(ValueError, match="copy"):
        x.transpose(2, 0, 1).reshape(24)
    with pytest.raises(TypeError, match=r"can't be read by the host; call \.cpu\(\)"):
        np.asarray(x)
    with pytest.raises(TypeError, match="can't be indexed"):
        x[np.array([0])]


@needs_numba_cuda
def test_copies_to_and_fro(device):
    array = np.arange(12).reshape(3, 4)
    x = torch.from_numpy(array.T).to("cuda")  # the host's array need not lie in order
    assert str(x.device) == "cuda:0"
    assert x.is_cuda
    assert x.get_device() == 0
    np.testing.assert_array_equal(x.cpu().numpy(), array.T)
    np.testing.assert_array_equal(x.t().to("cpu").numpy(), array)  # nor the device's
    assert x.to("cuda:0") is x
    assert x[1, 2].item() == 9
    assert x.tolist() == array.T.tolist()
    assert repr(x[0]) == "tensor([0, 4, 8])"
    assert int(x.to("cuda", torch.float64).sum()) == 66
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy"):
        x.numpy()


@needs_numba_cuda
def test_gradients_pass_from_device_to_device(device):
    x = torch.ones(3, requires_grad=True)
    y = (x.to("cuda") * torch.tensor([1.0, 2.0, 3.0], device="cuda")).sum()
    y.backward()
    assert x.grad.device.type == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), [1, 2, 3])


@needs_numba_cuda
def test_a_copy_stays_on_its_device(device):
    x = torch.arange(3.0, device="cuda").requires_grad_()
    for copied in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert str(copied.device) == "cuda:0"
        assert copied.requires_grad
        np.testing.assert_array_equal(copied.detach().cpu().numpy(), [0, 1, 2])


@needs_numba_cuda
def test_devices_do_not_mix(device):
    with pytest.raises(RuntimeError, match=r"expected all tensors on one device"):
        torch.ones(2) + torch.ones(2, device="cuda")
    with pytest.raises(RuntimeError, match="kernels run on cuda:0 alone"):
        torch.ones(2, device="cuda:1")


@needs_numba_cuda
def test_a_missing_kernel_is_named(device):
    for name in ("scan.missing", "missing.cumsum"):
        with pytest.raises(RuntimeError, match=f"device 'cuda:0' has no kernel {name}"):
            torch.device("cuda:0").kernel(name)


@needs_numba_cuda
def test_memory_figures(device):
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    x = torch.empty(1000, device="cuda")
    assert torch.cuda.memory_allocated() == before + 4096
    assert torch.cuda.max_memory_allocated() >= before + 4096
    del x
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.memory_reserved() >= 4096
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() == torch.cuda.memory_allocated()
    assert torch.cuda.max_memory_reserved() >= 4096
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 1


@needs_numba_cuda
def test_memory_is_shared_by_the_array_interface(device):
    x = torch.arange(12.0, device="cuda").reshape(3, 4)
    shown = x.__cuda_array_interface__
    assert shown["shape"] == (3, 4)
    assert shown["strides"] is None
    assert shown["typestr"] == "<f4"
    assert shown["data"] == (x.data_ptr(), False)
    turned = x.t()[1:].__cuda_array_interface__
    assert turned["strides"] == (4, 16)
    assert turned["data"] == (x.data_ptr() + 4, False)
    with pytest.raises(RuntimeError, match=r"use tensor\.detach"):
        _ = torch.ones(2, device="cuda", requires_grad=True).__cuda_array_interface__
    with pytest.raises(AttributeError, match=r"'cpu' has no __cuda_array_interface__"):
        _ = torch.ones(2).__cuda_array_interface__


# ---------------------------------------------------------------------- random numbers


@needs_numba_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_seed_draws_the_same_on_both_devices(device, dtype):
    for draw in (
        lambda g, d: torch.rand(37, generator=g, device=d, dtype=dtype),
        lambda g, d: torch.randint(-5, 9, (7, 5), generator=g, device=d),
    ):
        here, there = torch.Generator().manual_seed(9), torch.Generator("cuda").manual_seed(9)
        for _ in range(2):
            a, b = draw(here, "cpu"), draw(there, "cuda")
            np.testing.assert_array_equal(a.numpy(), b.cpu().numpy())
    here, there = torch.Generator().manual_seed(9), torch.Generator("cuda").manual_seed(9)
    a = torch.randn(37, generator=here, dtype=dtype)
    b = torch.randn(37, generator=there, dtype=dtype, device="cuda")
    np.testing.assert_allclose(
        a.numpy(), b.cpu().numpy(), rtol=1e-6 if dtype is torch.float32 else 1e-12
    )
    assert there.initial_seed() == 9


@needs_numba_cuda
def test_dropout_drops_the_same(device):
    x = torch.ones(50)
    torch.manual_seed(4)
    a = torch.nn.functional.dropout(x, 0.4)
    torch.manual_seed(4)
    b = torch.nn.functional.dropout(x.to("cuda"), 0.4)
    np.testing.assert_array_equal(a.numpy(), b.cpu().numpy())


# ---------------------------------------------------------------------- geometry


def test_dimensions_collapse():
    assert collapse((2, 3, 4), ((12, 4, 1),)) == ((24,), ((1,),))
    assert collapse((2, 1, 4), ((4, 9, 1), (1, 0, 2))) == ((2, 4), ((4, 1), (1, 2)))
    assert collapse((2, 3), ((1, 2), (0, 0))) == ((2, 3), ((1, 2), (0, 0)))
    assert collapse((), ((),)) == ((), ((),))
    assert collapse((1, 1), ((5, 5),)) == ((), ((),))


def test_blocks_cover_all():
    for count in (0, 1, 255, 256, 257, 10_000):
        assert 0 <= blocks_for(count, 256) * 256 - count < 256
    assert grid_for(65, 129, SMALL, 3) == (3, 2, 3)
    assert grid_for(128, 128, LARGE, 1) == (1, 1, 1)


def test_tiles_suit_shapes():
    assert tile_for(6, 784, 4) is SMALL
    assert tile_for(128, 100_000, 4) is LARGE
    assert tile_for(128, 100_000, 8) is SMALL  # float64 has registers for no more
    assert SMALL.threads == LARGE.threads == 256


def test_sums_are_cut_where_results_are_few():
    assert splits_for(4096, 4096, 64, SMALL, 1) == 1
    splits = splits_for(16, 75, 50_000, SMALL, 1)
    assert 1 < splits <= 64
    assert splits_for(16, 75, 100, SMALL, 1) == 1
    assert pieces_for(1, 1 << 20, 256) > 1
    assert pieces_for(10_000, 1 << 20, 256) == 1
    assert pieces_for(1, 100, 256) == 1
