"""The one module that imports numba-cuda, and what is asked of its driver.

numba-cuda replaces `numba.cuda`. The target of that name in Numba itself is deprecated: it knows no
recent GPU, so it is not taken instead.
"""

import ctypes
import functools
import importlib
import importlib.util
from typing import Any

import numba
import numpy as np

__all__ = [
    "SIMULATED",
    "address",
    "allocate",
    "cublas",
    "cuda",
    "download",
    "finish",
    "lent",
    "missing",
    "pinned",
    "require",
    "send",
    "synchronize",
    "types",
    "upload",
]

SIMULATED = bool(vars(numba.config)["ENABLE_CUDASIM"])
"""Whether kernels run in numba-cuda's simulator, `NUMBA_ENABLE_CUDASIM=1`: threads of the processor
act as a GPU's, thousands of times slower, for tests of a few elements."""

types: Any = numba.types
cuda: Any = None
if importlib.util.find_spec("numba_cuda") is not None:
    from numba import cuda


def missing() -> str:
    """What keeps tensors from living on a GPU here; nothing if they can."""
    if cuda is None:
        return "it needs the package numba-cuda: pip install 'minitorch-cnn[cuda]'"
    if not cuda.is_available():
        return "no NVIDIA driver with a GPU was found: install NVIDIA's driver, or use device='cpu'"
    return ""


@functools.cache
def cublas() -> Any:
    """CuPy, whose products of matrices are cuBLAS's, or None if it is not installed."""
    if SIMULATED or importlib.util.find_spec("cupy") is None:
        return None
    return importlib.import_module("cupy")


def allocate(nbytes: int) -> Any:
    """Bytes of a GPU's memory."""
    return cuda.device_array(nbytes, np.uint8)


def pinned(nbytes: int) -> np.ndarray[Any, Any]:
    """Bytes of the host's memory that a GPU reads and writes by itself."""
    array: np.ndarray[Any, Any] = cuda.pinned_array(nbytes, np.uint8)
    return array


def upload(memory: Any, array: np.ndarray[Any, Any]) -> None:
    """Copy an array to the GPU, waiting for it."""
    memory.copy_to_device(array)


def download(memory: Any) -> np.ndarray[Any, Any]:
    """A copy of a GPU's memory, once all is done that writes it."""
    return np.asarray(memory.copy_to_host())


def send(memory: Any, array: np.ndarray[Any, Any]) -> Any:
    """Have the GPU copy a pinned array when it comes to it; what can be asked by `query` whether it
    has, or None if it has already."""
    if SIMULATED:
        memory.copy_to_device(array)
        return None
    stream = cuda.default_stream()
    memory.copy_to_device(array, stream=stream)
    event = cuda.event(timing=False)
    event.record(stream)
    return event


def address(memory: Any) -> int:
    """Where what `allocate` returned begins."""
    if SIMULATED:
        return int(memory._ary.ctypes.data)
    return int(memory.__cuda_array_interface__["data"][0])


class _Bytes:
    """What numba-cuda makes a device array of."""

    def __init__(self, address: int, nbytes: int) -> None:
        self.__cuda_array_interface__ = {
            "data": (address, False),
            "shape": (nbytes,),
            "strides": None,
            "typestr": "|u1",
            "version": 2,
        }


def lent(address: int, nbytes: int) -> Any:
    """Bytes of a GPU's memory that somebody else allocated."""
    if SIMULATED:
        from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

        whole: Any = (ctypes.c_uint8 * nbytes).from_address(address)
        return FakeCUDAArray(np.frombuffer(whole, np.uint8))
    return cuda.as_cuda_array(_Bytes(address, nbytes), sync=False)


def finish(stream: int) -> None:
    """Wait for another library's stream."""
    if not SIMULATED:
        cuda.external_stream(stream).synchronize()


def synchronize() -> None:
    """Wait until the GPU has done all that it was given."""
    cuda.synchronize()


def require(index: int | None) -> None:
    """Raise RuntimeError unless the device of this number can be used."""
    if reason := missing():
        raise RuntimeError(f"device 'cuda' is not available: {reason}")
    if index:
        raise RuntimeError(f"device 'cuda:{index}' can't be used: kernels run on cuda:0 alone")
