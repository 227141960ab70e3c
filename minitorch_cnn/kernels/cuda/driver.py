"""The one module that imports numba-cuda, and what is asked of its driver.

numba-cuda replaces `numba.cuda`. The target of that name in Numba itself is deprecated: it knows no
recent GPU, so it is not taken instead.
"""

import importlib.util
from typing import Any

import numba
import numpy as np

__all__ = ["SIMULATED", "address", "allocate", "cuda", "missing", "require", "types"]

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


def allocate(nbytes: int) -> Any:
    """Bytes of a GPU's memory."""
    return cuda.device_array(nbytes, np.uint8)


def address(memory: Any) -> int:
    """Where what `allocate` returned begins."""
    if SIMULATED:
        return int(memory._ary.ctypes.data)
    return int(memory.__cuda_array_interface__["data"][0])


def require(index: int | None) -> None:
    """Raise RuntimeError unless the device of this number can be used."""
    if reason := missing():
        raise RuntimeError(f"device 'cuda' is not available: {reason}")
    if index:
        raise RuntimeError(f"device 'cuda:{index}' can't be used: kernels run on cuda:0 alone")
