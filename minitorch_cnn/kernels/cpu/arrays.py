"""What kernels ask of the shapes and the memory of arrays."""

from typing import Any

import numpy as np


def in_step(x: Any, y: Any) -> bool:
    """Whether x and y are floats of one type and shape without gaps, and no element of y lies where
    another element of x does."""
    return (
        x.shape == y.shape
        and x.dtype == y.dtype
        and x.dtype.kind == "f"
        and x.flags.c_contiguous
        and y.flags.c_contiguous
        and (x is y or not np.may_share_memory(x, y) or x.ctypes.data == y.ctypes.data)
    )


def groups_of(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The shape (kept, summed, kept, summed) of x when like neighbours are joined, if it has one.

    What is summed in one stretch comes last.
    """
    groups = [1, 1, 1, 1]
    at = 0
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if (at % 2 == 1) != (d in dims):
            at += 1
        if at == 4:
            return None
        groups[at] *= n
    if groups[2] == groups[3] == 1:
        groups[1], groups[3] = 1, groups[1]
    return groups[0], groups[1], groups[2], groups[3]
