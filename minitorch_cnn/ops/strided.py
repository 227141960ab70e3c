"""Views that may show an element at several places: sliding windows, and strides of one's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.op import View
from ..tensor import Tensor, method
from .creation import arange
from .index import PutAdd
from .shape import dimension as _dimension
from .shape import movedim, reshape


def with_strides(buffer: Any, size: Any, strides: Any) -> Any:
    """A buffer's memory from its first element on, with other sizes and strides, of bytes."""
    if isinstance(buffer, np.ndarray):
        return np.lib.stride_tricks.as_strided(buffer, size, strides)
    return buffer.as_strided(size, strides)


class Windows(View):
    """y[.., i, .., k] = x[.., i step + k, ..]"""

    @staticmethod
    def view(buffer: Any, *, dim: int, size: int, step: int) -> Any:
        windows = np.lib.stride_tricks.sliding_window_view(
            buffer, size, dim, writeable=buffer.flags.writeable
        )
        return windows[(slice(None),) * dim + (slice(None, None, step),)]

    def grad_x(self, gy: Tensor) -> Tensor:
        shape, dim = self.shapes[0], self.attrs["dim"]
        places = Windows.apply(arange(shape[dim], device=gy.device), **{**self.attrs, "dim": 0})
        return PutAdd.apply(movedim(gy, -1, dim + 1), places, size=shape, dims=(dim,))


class Strided(View):
    """y[i, j, ..] = the element i stride_0 + j stride_1 + .. + offset of x"""

    @staticmethod
    def view(buffer: Any, *, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
        strides = [s * buffer.itemsize for s in stride]
        shown = with_strides(buffer.reshape(-1)[offset:], size, strides)
        if any([n > 1 and s == 0 for n, s in zip(size, stride)]):
            shown.flags.writeable = False  # one element at many places, as of what was expanded
        return shown

    def grad_x(self, gy: Tensor) -> Tensor:
        shape = self.shapes[0]
        count = math.prod(shape)
        places = Strided.apply(arange(count, device=gy.device), **self.attrs)
        return reshape(PutAdd.apply(gy, places, size=(count,), dims=(0,)), *shape)


@method()
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of a size along a dimension, `step` apart: a view, with the elements of a window
    in a new last dimension. (`nn.functional.unfold` cuts images into patches.)

    >>> import minitorch_cnn as torch
    >>> torch.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    x = self if self.ndim else reshape(self, 1)
    dim = _dimension(x, dimension)
    if size < 0:
        raise RuntimeError(f"unfold: size is {size} but must be >= 0")
    if step <= 0:
        raise RuntimeError(f"unfold: step is {step} but must be > 0")
    if size > x.shape[dim]:
        raise RuntimeError(
            f"maximum size for tensor at dimension {dim} is {x.shape[dim]} but size is {size}"
        )
    windows = Windows.apply(x, dim=dim, size=size, step=step)
    return windows if self.ndim else reshape(windows, -1)


@method("as_strided")
def as_strided(
    input: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """A view with a shape and strides of one's own, the offset counted from the beginning of the
    memory that the input is part of.

    PyTorch lets the view leave the input for any part of that memory; here it stays inside, and
    the input is contiguous.

    >>> import minitorch_cnn as torch
    >>> torch.arange(4).as_strided((2, 3), (1, 1))
    tensor([[0, 1, 2],
            [1, 2, 3]])
    """
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any([s < 0 for s in stride]) or any([n < 0 for n in size]):
        raise RuntimeError(
            f"as_strided: negative sizes or strides are not supported, got sizes {list(size)} and "
            f"strides {list(stride)}"
        )
    if not input.is_contiguous():
        raise RuntimeError(
            f"as_strided: only contiguous tensors are supported, not one of strides "
            f"{input.stride()}; call .contiguous() first"
        )
    begin = input.storage_offset()
    offset = 0 if storage_offset is None else storage_offset - begin
    last = offset + sum([(n - 1) * s for n, s in zip(size, stride)])
    if math.prod(size) == 0:
        offset = 0
    elif offset < 0 or last >= input.numel():
        raise RuntimeError(
            f"as_strided: sizes {list(size)}, strides {list(stride)} and storage offset "
            f"{offset + begin} are out of bounds: elements {offset} to {last} of {input.numel()}"
        )
    return Strided.apply(input, size=tuple(size), stride=tuple(stride), offset=offset)
