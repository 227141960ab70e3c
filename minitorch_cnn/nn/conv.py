"""Convolution layers."""

from __future__ import annotations

from ..device import Device
from ..dtypes import DType
from ..ops.conv import pair
from ..ops.creation import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Conv2d"]

Pair = int | tuple[int, int]


class Conv2d(Module):
    """Slides learnt kernels over images: `F.conv2d` with a weight and a bias.

    - `in_channels`, `out_channels`: of the input and the output
    - `kernel_size`, `stride`, `dilation`: a number, or one for height and one for width
    - `padding`: the same, of zeros; or "valid" for none, "same" for an output as large as the input
    - `groups`: into how many parts the channels are split, each convolved on its own
    - `bias`: whether a learnt number is added to each output channel

    Shapes: input (n, in_channels, h, w) or (in_channels, h, w), output (n, out_channels, oh, ow)
    with oh = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, ow alike.
    `weight` is (out_channels, in_channels / groups, kh, kw); it and `bias` start uniform on
    ±1/sqrt(in_channels / groups * kh * kw).

    Raises ValueError for groups that do not divide the channels, unknown paddings, padding "same"
    with a stride, and padding modes other than "zeros", which PyTorch has too. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> conv = nn.Conv2d(3, 6, kernel_size=5)
    >>> conv(torch.zeros(4, 3, 32, 32)).shape
    torch.Size([4, 6, 28, 28])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups != 0:
                raise ValueError(f"{name} must be divisible by groups, got {channels} and {groups}")
        if padding_mode != "zeros":
            raise ValueError(f"Conv2d: padding_mode must be 'zeros', got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("Conv2d: kernel_size", kernel_size)
        self.stride = pair("Conv2d: stride", stride)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d: padding", padding)
        self.dilation = pair("Conv2d: dilation", dilation)
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of 'same', 'valid'"
                )
            if padding == "same" and self.stride != (1, 1):
                raise ValueError(
                    "padding='same' is not supported for strided convolutions, "
                    f"got stride {self.stride}"
                )
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        shift = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.reset_weight_and_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
