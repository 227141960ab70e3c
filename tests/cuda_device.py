"""The device "cuda" for tests on a machine without a GPU, and where numba-cuda may be missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from minitorch_cnn.kernels.cuda import driver

from . import ptx_device

needs_numba_cuda = pytest.mark.skipif(
    driver.cuda is None, reason="numba-cuda is not installed: pip install 'minitorch-cnn[cuda]'"
)
needs_compiler = pytest.mark.skipif(
    driver.cuda is None or driver.SIMULATED,
    reason="numba-cuda's compiler is not here: it is not installed, or only its simulator is on",
)


@contextlib.contextmanager
def stand_in() -> Iterator[None]:
    """Let kernels run without a GPU: in numba-cuda's simulator if it is on, else compiled to PTX
    that the machine in `ptx_machine` executes."""
    if driver.SIMULATED:
        yield
    else:
        with ptx_device.interpreted():
            yield
