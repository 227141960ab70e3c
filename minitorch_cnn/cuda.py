"""What PyTorch's `torch.cuda` tells of NVIDIA GPUs.

See https://docs.pytorch.org/docs/stable/cuda.html.

None of it has run on a GPU. The kernels were compiled for four generations of them, and executed in
a simulator and in an interpreter of PTX; what asks the driver, as the functions here do, ran with a
stand-in for it.
"""

from __future__ import annotations

import importlib
from typing import Any

from .device import Device
from .random import generator_for

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "synchronize",
]


def _driver() -> Any:
    return importlib.import_module(f"{__package__}.kernels.cuda.driver")


def _usable() -> Any:
    """numba-cuda, or RuntimeError if there is no GPU to ask."""
    driver = _driver()
    driver.require(0)
    return driver.cuda


def _pool() -> Any:
    _driver().require(0)
    return importlib.import_module(f"{__package__}.kernels.cuda.buffer").pool


def is_available() -> bool:
    """Whether tensors can live on a GPU: numba-cuda is installed, and a driver finds one."""
    return not _driver().missing()


def device_count() -> int:
    """How many GPUs tensors can live on: the first, if there is one."""
    return int(is_available())


def manual_seed(seed: int) -> None:
    """Seed what is drawn on the GPU. Without a GPU this does nothing, as in PyTorch."""
    if is_available():
        generator_for(Device("cuda")).manual_seed(seed)


manual_seed_all = manual_seed


def current_device() -> int:
    """The number of the GPU that "cuda" means: 0."""
    _usable()
    return 0


def get_device_name(device: Any = None) -> str:
    """The GPU's name."""
    name = _usable().get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's compute capability, major and minor."""
    major, minor = _usable().get_current_device().compute_capability
    return int(major), int(minor)


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done all that it was given."""
    driver = _driver()
    driver.require(0)
    driver.synchronize()


def memory_allocated(device: Any = None) -> int:
    """Bytes that buffers occupy."""
    return int(_pool().allocated)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that buffers occupied since the start or `reset_peak_memory_stats`."""
    return int(_pool().most_allocated)


def memory_reserved(device: Any = None) -> int:
    """Bytes taken from the driver: those of buffers, and those kept for coming ones."""
    return int(_pool().reserved)


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes taken from the driver since the start or `reset_peak_memory_stats`."""
    return int(_pool().most_reserved)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let both maxima start from what there is now."""
    pool = _pool()
    pool.most_allocated, pool.most_reserved = pool.allocated, pool.reserved


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of the GPU's memory, as the driver tells."""
    free, total = _usable().current_context().get_memory_info()
    return int(free), int(total)


def empty_cache() -> None:
    """Give memory that is kept for coming buffers back to the driver."""
    _pool().empty_cache()
