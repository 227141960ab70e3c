"""Pooling layers: each window of an image becomes one number."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d"]

Pair = int | tuple[int, int]


class MaxPool2d(Module):
    """The largest element of each window: `F.max_pool2d`.

    - `kernel_size`, `stride` (if None, the kernel's), `padding` (at most half the kernel, with
      -inf) and `dilation`: a number, or one for height and one for width
    - `return_indices`: also return where in its h * w plane each maximum was
    - `ceil_mode`: round the output's size up, so that the border is covered

    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, oh, ow) with
    oh = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, ow alike. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.MaxPool2d(2)(torch.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window: `F.avg_pool2d`.

    - `kernel_size`, `stride` (if None, the kernel's) and `padding` (at most half the kernel, with
      zeros): a number, or one for height and one for width
    - `ceil_mode`: round the output's size up, so that the border is covered
    - `count_include_pad`: whether padded zeros count among what is averaged
    - `divisor_override`: divide by this instead of the window's size

    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, oh, ow) with
    oh = floor((h + 2 padding - kernel_size) / stride) + 1, ow alike. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AvgPool2d(2)(torch.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AdaptiveAvgPool2d(Module):
    """Means of as many, evenly spread windows as the output is to have: `F.adaptive_avg_pool2d`.

    `output_size` is a number, or one for height and one for width; None means the input's.
    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, *output_size). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AdaptiveAvgPool2d(1)(torch.arange(6.0).reshape(1, 2, 3))
    tensor([[[2.5000]]])
    """

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
