"""Memory shared with other libraries: DLPack, and __cuda_array_interface__."""

import ctypes
import gc
import weakref

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import dlpack
from minitorch_cnn.dlpack import DLDeviceType
from minitorch_cnn.utils.dlpack import from_dlpack, to_dlpack

from .cuda_device import needs_numba_cuda, stand_in

TYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]

LAYOUTS = {
    "whole": lambda a: a,
    "turned": lambda a: a.T,
    "a part": lambda a: a[1:, ::2],
    "no elements": lambda a: a[:0],
    "one element": lambda a: a[1, 2, ...],
}


def counting(dtype):
    return (np.arange(12).reshape(3, 4) % 2 if dtype == "bool" else np.arange(12)).astype(dtype)


def table(dtype):
    return counting(dtype).reshape(3, 4)


class Offering:
    """An array known by a capsule of `export`."""

    def __init__(self, array, device=(DLDeviceType.kDLCPU, 0)):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        a, versioned = self.array, max_version is not None
        return dlpack.export(a.ctypes.data, a.shape, a.strides, a.dtype, self.device, a, versioned)


# ---------------------------------------------------------------------- the processor's memory


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numpy_and_tensors_share_memory(dtype, layout):
    array = LAYOUTS[layout](table(dtype))
    t = mt.from_dlpack(array)
    assert t.numpy().dtype == array.dtype
    assert t.shape == array.shape
    assert t.numpy().strides == array.strides or not array.size
    back = np.from_dlpack(t)
    np.testing.assert_array_equal(back, array)
    if array.size:
        assert t.data_ptr() == array.ctypes.data == back.ctypes.data
        t[...] = 1
        assert (array == 1).all()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pytorch_and_tensors_share_memory(dtype, layout):
    torch = pytest.importorskip("torch")
    theirs = LAYOUTS[layout](torch.from_numpy(table(dtype)))
    ours = mt.from_dlpack(theirs)
    assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2]
    assert (ours.shape, ours.stride()) == (theirs.shape, theirs.stride()) or not ours.numel()
    back = torch.from_dlpack(ours)
    assert torch.equal(back, theirs)
    if ours.numel():
        assert ours.data_ptr() == theirs.data_ptr() == back.data_ptr()
        back.fill_(1)
        assert bool((ours == 1).all())


def test_expanded_tensors_are_exported_as_pytorch_does():
    torch = pytest.importorskip("torch")
    x = torch.from_dlpack(mt.ones(1, 3).expand(2, 3))
    assert x.stride() == (0, 1)
    assert torch.equal(x, torch.ones(2, 3))
    assert mt.from_dlpack(torch.ones(1, 3).expand(2, 3)).stride() == (0, 1)


def test_memory_that_must_not_be_written_stays_so():
    array = np.arange(3.0)
    array.flags.writeable = False
    t = mt.from_dlpack(array)
    assert t.data_ptr() == array.ctypes.data
    with pytest.raises((RuntimeError, ValueError)):
        t.add_(1)
    assert not np.from_dlpack(t).flags.writeable
    with pytest.raises(BufferError):  # before there were versions nothing could say it
        to_dlpack(t)


def test_capsules():
    x = mt.arange(3)
    capsule = to_dlpack(x)
    assert '"dltensor"' in repr(capsule)
    assert '"dltensor_versioned"' in repr(x.__dlpack__(max_version=(1, 0)))
    y = from_dlpack(capsule)
    assert y.data_ptr() == x.data_ptr()
    y[0] = 7
    assert x.tolist() == [7, 1, 2]
    for used in (capsule, 3, object()):
        with pytest.raises(RuntimeError, match="received an invalid capsule"):
            from_dlpack(used)
    with pytest.raises(AssertionError, match="device and copy kwargs"):
        from_dlpack(to_dlpack(x), copy=True)


def test_capsules_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(4.0)
    taken = from_dlpack(torch.to_dlpack(theirs))
    assert taken.data_ptr() == theirs.data_ptr()
    taken.add_(1)
    assert theirs.tolist() == [1, 2, 3, 4]
    ours = mt.arange(4.0)
    assert torch.utils.dlpack.from_dlpack(to_dlpack(ours)).data_ptr() == ours.data_ptr()


def test_copies_are_made_where_asked_for():
    x = mt.arange(3)
    assert mt.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    assert mt.from_dlpack(x, copy=False).data_ptr() == x.data_ptr()
    assert np.from_dlpack(x, copy=True).ctypes.data != x.data_ptr()
    assert mt.from_dlpack(x, device="cpu").data_ptr() == x.data_ptr()


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (BufferError, r"use tensor\.detach", lambda t: t.clone().requires_grad_().__dlpack__()),
        (BufferError, r"use tensor\.detach", lambda t: to_dlpack(t.clone().requires_grad_())),
        (TypeError, "stream must be", lambda t: t.__dlpack__(stream="1")),
        (AssertionError, "stream should be None on cpu", lambda t: t.__dlpack__(stream=5)),
        (BufferError, "can't be exported to device", lambda t: t.__dlpack__(dl_device=(8, 0))),
        (ValueError, "without copying", lambda t: mt.from_dlpack(t, device="cuda", copy=False)),
    ],
)
def test_what_is_refused(error, match, call):
    with pytest.raises(error, match=match):
        call(mt.ones(2))


def test_the_device_is_named_by_number():
    kind, index = mt.ones(1).__dlpack_device__()
    assert kind is DLDeviceType.kDLCPU
    assert (kind, index) == (1, 0)


# ---------------------------------------------------------------------- the structures


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_numpy_and_pytorch_read_what_is_exported(dtype, layout):
    array = LAYOUTS[layout](table(dtype))
    array = np.asarray(array)
    found = np.from_dlpack(Offering(array))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.strides == array.strides or not array.size
    torch = pytest.importorskip("torch")
    theirs = torch.from_dlpack(Offering(array))
    np.testing.assert_array_equal(theirs.numpy(), array)
    assert theirs.data_ptr() == array.ctypes.data or not array.size


@pytest.mark.parametrize("versioned", [False, True])
def test_what_numpy_and_pytorch_export_is_read(versioned):
    options = {"max_version": (1, 0)} if versioned else {}
    array = table("int16")[1:, ::2]
    makers = [array.__dlpack__, Offering(array).__dlpack__]
    try:
        import torch
    except ImportError:
        pass
    else:
        makers.append(torch.from_numpy(array).__dlpack__)
    for make in makers:
        shared = dlpack.receive(make(**options))
        assert shared.address == array.ctypes.data
        assert (shared.shape, shared.strides) == (array.shape, array.strides)
        assert shared.dtype == array.dtype
        assert shared.device == (1, 0)
        assert not shared.read_only
    array.flags.writeable = False
    if versioned:
        assert dlpack.receive(array.__dlpack__(**options)).read_only


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_memory_lives_as_long_as_somebody_holds_it(versioned, taken):
    class Owner:
        pass

    gc.collect()
    owner, data = Owner(), np.zeros(3)
    alive = weakref.ref(owner)
    before = len(dlpack._lent)
    capsule = dlpack.export(data.ctypes.data, (3,), (8,), data.dtype, (1, 0), owner, versioned)
    del owner
    gc.collect()
    assert alive() is not None
    held = dlpack.receive(capsule) if taken else capsule
    del capsule
    assert alive() is not None
    assert len(dlpack._lent) == before + 1
    del held
    assert alive() is None
    assert len(dlpack._lent) == before


@pytest.mark.parametrize("versioned", [False, True])
def test_a_structure_byte_for_byte(versioned):
    """As dlpack.h lays it out on a machine of 64 bits."""
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    name = b"dltensor_versioned" if versioned else b"dltensor"
    capsule = dlpack.export(
        0x7000, (2, 3), (4, 8), np.dtype(np.float32), (DLDeviceType.kDLCUDA, 0), None, versioned
    )
    size = 80 if versioned else 64
    found = ctypes.string_at(pointer(capsule, name), size)
    start = 0
    if versioned:
        assert found[:8] == np.array([1, 0], np.uint32).tobytes()
        assert found[24:32] == bytes(8)  # flags: it may be written, and is no copy
        start = 32
    tensor = found[start : start + 48]
    assert tensor[:8] == (0x7000).to_bytes(8, "little")
    assert tensor[8:20] == np.array([2, 0, 2], np.int32).tobytes()  # CUDA, the first, dimensions
    assert tensor[20:24] == bytes([2, 32, 1, 0])  # a float of 32 bits, alone
    shape, strides = np.frombuffer(tensor[24:40], np.uint64)
    assert np.frombuffer(ctypes.string_at(int(shape), 16), np.int64).tolist() == [2, 3]
    assert np.frombuffer(ctypes.string_at(int(strides), 16), np.int64).tolist() == [1, 2]
    assert tensor[40:48] == bytes(8)


def test_devices_that_are_not_known():
    with pytest.raises(BufferError, match=r"DLPack's device \(8, 0\) can't be shared"):
        mt.from_dlpack(Offering(np.zeros(2), (DLDeviceType.kDLMetal, 0)))


def test_arrays_outlive_who_made_them():
    t = mt.from_dlpack(np.arange(1000.0))
    gc.collect()
    assert float(t.sum()) == 499500


def test_elements_that_are_not_known():
    with pytest.raises(BufferError, match="code 5, 64 bits and 1 lanes"):
        dlpack.receive(np.zeros(2, np.complex64).__dlpack__())


# ---------------------------------------------------------------------- a GPU's memory


@pytest.fixture
def device():
    with stand_in():
        yield


class Interface:
    """Another library's array in a GPU's memory, by its __cuda_array_interface__."""

    def __init__(self, t, **more):
        self.__cuda_array_interface__ = {**t.__cuda_array_interface__, **more}
        self.tensor = t


@needs_numba_cuda
@pytest.mark.parametrize("versioned", [False, True])
def test_a_tensor_on_a_gpu_is_exported(device, versioned):
    x = mt.arange(12.0).reshape(3, 4).to("cuda").t()[1:]
    assert x.__dlpack_device__() == (DLDeviceType.kDLCUDA, 0)
    for stream in (None, -1, 1, 77):
        options = {"max_version": (1, 0)} if versioned else {}
        shared = dlpack.receive(x.__dlpack__(stream=stream, **options))
        assert shared.address == x.data_ptr()
        assert (shared.shape, shared.strides) == ((3, 3), (4, 16))
        assert shared.dtype == np.float32
        assert shared.device == (2, 0)
    with pytest.raises(BufferError, match="per-thread default stream"):
        x.__dlpack__(stream=2)
    with pytest.raises(BufferError, match=r"use tensor\.detach"):
        x.clone().requires_grad_().__dlpack__()
    with pytest.raises(BufferError, match="without copying"):
        x.__dlpack__(dl_device=(1, 0), copy=False)
    np.testing.assert_array_equal(np.from_dlpack(mt.from_dlpack(x, device="cpu")), x.cpu().numpy())


@needs_numba_cuda
def test_memory_of_a_gpu_goes_round(device):
    x = mt.arange(12.0).reshape(3, 4).to("cuda")
    used = mt.cuda.memory_allocated()
    for y in (mt.from_dlpack(x), from_dlpack(to_dlpack(x)), mt.as_tensor(Interface(x))):
        assert y.device == x.device
        assert y.data_ptr() == x.data_ptr()
        y.mul_(2)
    np.testing.assert_array_equal(x.cpu().numpy(), 8 * np.arange(12.0).reshape(3, 4))
    turned = mt.from_dlpack(x.t()[1:])
    np.testing.assert_array_equal((turned + 0).cpu().numpy(), x.cpu().numpy().T[1:])
    assert mt.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    assert mt.from_dlpack(x[:0]).shape == (0, 4)
    address = x.data_ptr()
    del x, y
    gc.collect()
    assert turned.data_ptr() == address + 4
    assert mt.cuda.memory_allocated() == used  # it is held by who shares it
    del turned
    gc.collect()
    assert mt.cuda.memory_allocated() < used


@needs_numba_cuda
def test_arrays_with_an_interface_are_shared(device):
    x = mt.arange(6).to("cuda").reshape(2, 3)
    shared = mt.as_tensor(Interface(x.t(), stream=1))
    assert shared.data_ptr() == x.data_ptr()
    assert shared.dtype is mt.int64
    assert shared.stride() == (1, 3)
    assert mt.as_tensor(Interface(x), device="cpu").tolist() == x.tolist()
    assert mt.as_tensor(Interface(x), dtype=mt.float32).tolist() == x.tolist()
    assert mt.as_tensor(Interface(x, shape=(0, 3), data=(0, False))).shape == (0, 3)
    with pytest.raises(TypeError, match="with a mask"):
        mt.as_tensor(Interface(x, mask=x))
    with pytest.raises(BufferError, match="negative strides"):
        mt.as_tensor(Interface(x, strides=(24, -8)))
