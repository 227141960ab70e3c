"""DLPack's structures, by which libraries hand each other arrays without copying.

NumPy speaks it for arrays of the processor; this is for memory of a GPU, and for capsules that come
without their array. https://dmlc.github.io/dlpack/latest/c_api.html
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "HOST",
    "VERSION",
    "Capsule",
    "DLDeviceType",
    "Shared",
    "array_of",
    "export",
    "of_interface",
    "offered",
    "receive",
]


class DLDeviceType(enum.IntEnum):
    """DLPack's numbers for kinds of devices."""

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17


HOST = {
    DLDeviceType.kDLCPU,
    DLDeviceType.kDLCUDAHost,
    DLDeviceType.kDLROCMHost,
    DLDeviceType.kDLCUDAManaged,
}
"""Kinds of memory that the processor reads."""

CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
KINDS = {code: kind for kind, code in CODES.items()}

READ_ONLY = 1
VERSION = (1, 0)

_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("index", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    name = b"dltensor"
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


class _Versioned(ctypes.Structure):
    name = b"dltensor_versioned"
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


def _python(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new = _python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_is_valid = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_rename = _python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
# Of a capsule that is being destroyed, which must not be referred to any more.
_dying_is_valid = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_dying_pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)

_lent: dict[int, Any] = {}
"""By its address: a structure that somebody else holds, and the memory that it shows."""


@_Deleter
def _give_back(pointer: int) -> None:
    _lent.pop(pointer, None)


@_Deleter
def _destroy(capsule: int) -> None:
    """Of a capsule that nobody took, what it holds is given back."""
    for kind in (_Managed, _Versioned):
        if _dying_is_valid(capsule, kind.name):
            _give_back(_dying_pointer(capsule, kind.name))


def export(
    address: int,
    shape: Sequence[int],
    strides: Sequence[int],
    dtype: np.dtype[Any],
    device: tuple[int, int],
    owner: Any,
    versioned: bool,
) -> Any:
    """A capsule that shows memory, with strides in bytes; `owner` lives as long as it is used."""
    managed: Any = (_Versioned if versioned else _Managed)()
    count, size = len(shape), dtype.itemsize
    sizes = (ctypes.c_int64 * count)(*shape)
    steps = (ctypes.c_int64 * count)(*[s // size for s in strides])
    shown = managed.tensor
    shown.data, shown.device = address, _Device(*device)
    shown.ndim, shown.dtype = count, _Type(CODES[dtype.kind], 8 * size, 1)
    shown.shape, shown.strides, shown.byte_offset = sizes, steps, 0
    managed.deleter = _give_back
    if versioned:
        managed.major, managed.minor = VERSION
    pointer = ctypes.addressof(managed)
    _lent[pointer] = managed, sizes, steps, owner
    return _new(pointer, managed.name, ctypes.cast(_destroy, ctypes.c_void_p))


class Shared(NamedTuple):
    """Memory that another library shares."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""
    dtype: np.dtype[Any]
    device: tuple[int, int]
    read_only: bool
    owner: Any
    """The memory is there as long as this is."""
    stream: int | None = None
    """In which it may still be written; None if that is of no concern."""


def of_interface(array: Any) -> Shared:
    """Memory of a GPU that an array's `__cuda_array_interface__` shows.

    https://nvidia.github.io/numba-cuda/user/cuda_array_interface.html
    """
    shown = array.__cuda_array_interface__
    dtype, shape = np.dtype(shown["typestr"]), tuple(shown["shape"])
    if shown.get("mask") is not None or dtype.kind not in CODES:
        raise TypeError(f"can't share an array of {dtype}" + " with a mask" * ("mask" in shown))
    address, read_only = shown["data"]
    strides = shown.get("strides") or in_order(shape, dtype)
    stream = shown.get("stream")
    device = DLDeviceType.kDLCUDA, 0
    return Shared(address or 0, shape, tuple(strides), dtype, device, read_only, array, stream)


def in_order(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Strides in bytes of elements in order."""
    steps = [dtype.itemsize] * len(shape)
    for d in reversed(range(len(shape) - 1)):
        steps[d] = steps[d + 1] * shape[d + 1]
    return tuple(steps)


class Capsule:
    """An array of which there is only a capsule."""

    def __init__(self, capsule: Any) -> None:
        shown = _managed(capsule).tensor.device
        self._capsule, self._device = capsule, (shown.kind, shown.index)

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


def offered(array: Any, on_host: bool) -> Any:
    """The capsule of an array; one with a version, which says whether it may be written, if its
    library knows versions."""
    # 1 is DLPack's name for the stream that all work on a GPU runs in here.
    options = {} if on_host else {"stream": 1}
    try:
        return array.__dlpack__(**options, max_version=VERSION)
    except TypeError:
        return array.__dlpack__(**options)


class _Host:
    """What NumPy makes an array of."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.__array_interface__ = {
            "data": (shared.address, shared.read_only),
            "shape": shared.shape,
            "strides": shared.strides,
            "typestr": shared.dtype.str,
            "version": 3,
        }


def array_of(shared: Shared) -> np.ndarray[Any, Any]:
    """The array over memory of the host that another library shares."""
    if 0 in shared.shape:
        return np.empty(shared.shape, shared.dtype)
    return np.asarray(_Host(shared))


class _Owner:
    """Gives a structure back to whom it came from."""

    def __init__(self, managed: Any) -> None:
        self._managed = managed

    def __del__(self) -> None:
        if self._managed.deleter:
            self._managed.deleter(ctypes.addressof(self._managed))


def receive(capsule: Any) -> Shared:
    """Take what a capsule holds, which can be done once."""
    managed = _managed(capsule)
    shown = managed.tensor
    kind, bits, lanes = shown.dtype.code, shown.dtype.bits, shown.dtype.lanes
    if kind not in KINDS or lanes != 1 or bits % 8:
        raise BufferError(
            f"from_dlpack: elements of code {kind}, {bits} bits and {lanes} lanes are not known"
        )
    if getattr(managed, "major", VERSION[0]) != VERSION[0]:
        raise BufferError(
            f"from_dlpack: a capsule of DLPack's version {managed.major} is not known"
        )
    dtype = np.dtype(f"{KINDS[kind]}{bits // 8}")
    shape = tuple(shown.shape[: shown.ndim])
    strides = in_order(shape, dtype)
    if shown.strides:
        strides = tuple([step * dtype.itemsize for step in shown.strides[: shown.ndim]])
    _rename(capsule, _USED[managed.name])
    return Shared(
        (shown.data or 0) + shown.byte_offset,
        shape,
        strides,
        dtype,
        (shown.device.kind, shown.device.index),
        bool(getattr(managed, "flags", 0) & READ_ONLY),
        _Owner(managed),
    )


_USED = {kind.name: b"used_" + kind.name for kind in (_Managed, _Versioned)}
"""What a capsule is called once it was taken."""


def _managed(capsule: Any) -> Any:
    """The structure in a capsule."""
    for kind in (_Versioned, _Managed):
        if type(capsule).__name__ == "PyCapsule" and _is_valid(capsule, kind.name):
            return kind.from_address(_pointer(capsule, kind.name))
    raise RuntimeError(
        "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only "
        "once, so you might have already constructed a tensor from it once."
    )
