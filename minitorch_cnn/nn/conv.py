"""Convolution layers, and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..device import Device
from ..dtypes import DType
from ..ops.creation import empty
from ..ops.sides import sides
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .tuples import _reverse_repeat_tuple

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

Single = int | tuple[int]
Pair = int | tuple[int, int]
Sides = tuple[int, ...]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all convolution layers have: weight, bias, options, and their text."""

    _dims: ClassVar[int]
    """Over how many dimensions kernels slide."""
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sides,
        stride: int | Sides,
        padding: int | Sides | str,
        dilation: int | Sides,
        transposed: bool,
        output_padding: int | Sides,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups != 0:
                raise ValueError(f"{name} must be divisible by groups, got {channels} and {groups}")
        self.kernel_size = self._sides("kernel_size", kernel_size)
        self.stride = self._sides("stride", stride)
        self.padding = padding if isinstance(padding, str) else self._sides("padding", padding)
        self.dilation = self._sides("dilation", dilation)
        self.output_padding = self._sides("output_padding", output_padding)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of 'same', 'valid'"
                )
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(
                    "padding='same' is not supported for strided convolutions, "
                    f"got stride {self.stride}"
                )
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.transposed = transposed
        self.groups = groups
        self.padding_mode = padding_mode
        first, second = out_channels, in_channels // groups
        if transposed:
            first, second = in_channels, out_channels // groups
        self.weight = Parameter(empty(first, second, *self.kernel_size, device=device, dtype=dtype))
        shift = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", shift)
        self.reset_parameters()

    def _sides(self, option: str, value: Any) -> Sides:
        return sides(f"{type(self).__name__}: {option}", value, self._dims)

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.reset_weight_and_bias(self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with another weight: what layers that change theirs build on."""
        convolve: Any = F.conv1d if self._dims == 1 else F.conv2d
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._margins(), self.padding_mode), 0
        return convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _margins(self) -> Sequence[int]:
        """The padding as `F.pad` takes it: the last dimension first."""
        if not isinstance(self.padding, str):
            return _reverse_repeat_tuple(self.padding, 2)
        margins = []
        for d, k in zip(reversed(self.dilation), reversed(self.kernel_size)):
            whole = d * (k - 1) if self.padding == "same" else 0
            margins += [whole // 2, whole - whole // 2]
        return margins

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        zeros = (0,) * self._dims
        if self.padding != zeros:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self._dims:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != zeros:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv1d(_ConvNd):
    """Slides learnt kernels over sequences: `F.conv1d` with a weight and a bias.

    Arguments are `Conv2d`'s, of one number each. Shapes: input (n, in_channels, l) or
    (in_channels, l), output (n, out_channels, ol) with
    ol = floor((l + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> conv = nn.Conv1d(3, 6, kernel_size=5, padding="same", padding_mode="circular")
    >>> conv(torch.zeros(4, 3, 32)).shape
    torch.Size([4, 6, 32])
    """

    _dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Single,
        stride: Single = 1,
        padding: Single | str = 0,
        dilation: Single = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        window = (kernel_size, stride, padding, dilation, False, 0)
        rest = (groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, *window, *rest)


class Conv2d(_ConvNd):
    """Slides learnt kernels over images: `F.conv2d` with a weight and a bias.

    - `in_channels`, `out_channels`: of the input and the output
    - `kernel_size`, `stride`, `dilation`: a number, or one for height and one for width
    - `padding`: the same; or "valid" for none, "same" for an output as large as the input
    - `groups`: into how many parts the channels are split, each convolved on its own
    - `bias`: whether a learnt number is added to each output channel
    - `padding_mode`: what the margin holds: "zeros", or copies as in `F.pad`: "reflect",
      "replicate" or "circular"

    Shapes: input (n, in_channels, h, w) or (in_channels, h, w), output (n, out_channels, oh, ow)
    with oh = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, ow alike.
    `weight` is (out_channels, in_channels / groups, kh, kw); it and `bias` start uniform on
    ±1/sqrt(in_channels / groups * kh * kw).

    Raises ValueError for groups that do not divide the channels, unknown paddings and padding
    modes, and padding "same" with a stride. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> conv = nn.Conv2d(3, 6, kernel_size=5)
    >>> conv(torch.zeros(4, 3, 32, 32)).shape
    torch.Size([4, 6, 28, 28])
    """

    _dims = 2

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
        window = (kernel_size, stride, padding, dilation, False, 0)
        rest = (groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, *window, *rest)


class _ConvTransposeNd(_ConvNd):
    """What transposed convolution layers have: an output whose size may be asked for."""

    def __init__(self, *args: Any) -> None:
        padding_mode = args[10]
        if padding_mode != "zeros":
            raise ValueError(
                f"Only 'zeros' padding mode is supported for {type(self).__name__}, "
                f"got {padding_mode!r}"
            )
        super().__init__(*args)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        convolve: Any = F.conv_transpose1d if self._dims == 1 else F.conv_transpose2d
        extra = self._output_padding(input, output_size)
        options = (self.stride, self.padding, extra, self.groups, self.dilation)
        return convolve(input, self.weight, self.bias, *options)

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> Sides:
        """The output padding that makes the output have this size."""
        if output_size is None:
            return self.output_padding
        dims = self._dims
        given = tuple(output_size)
        leading = input.ndim - dims
        if len(given) == input.ndim:
            given = given[leading:]
        if len(given) != dims:
            raise ValueError(
                f"{type(self).__name__}: for an input of {input.ndim} dimensions, output_size must "
                f"have {dims} or {input.ndim} elements, got {len(given)}"
            )
        options: Any = (self.kernel_size, self.stride, self.padding, self.dilation)
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, k, s, p, d in zip(input.shape[leading:], *options)
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride)]
        if any([not low <= n <= high for n, low, high in zip(given, least, most)]):
            raise ValueError(
                f"requested an output size of {given}, but valid sizes range from {least} "
                f"to {most} (for an input of {list(input.shape[leading:])})"
            )
        return tuple([n - low for n, low in zip(given, least)])


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of `Conv1d`: `F.conv_transpose1d` with a weight and a bias.

    Arguments are `ConvTranspose2d`'s, of one number each. Shapes: input (n, in_channels, l) or
    (in_channels, l), output (n, out_channels, ol) with
    ol = (l - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ConvTranspose1d(3, 6, 4, stride=2, padding=1)(torch.zeros(2, 3, 8)).shape
    torch.Size([2, 6, 16])
    """

    _dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Single,
        stride: Single = 1,
        padding: Single = 0,
        output_padding: Single = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Single = 1,
        padding_mode: str = "zeros",
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        window = (kernel_size, stride, padding, dilation, True, output_padding)
        rest = (groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, *window, *rest)


class ConvTranspose2d(_ConvTransposeNd):
    """Stamps learnt kernels onto a larger image: `F.conv_transpose2d` with a weight and a bias.

    - `in_channels`, `out_channels`, `kernel_size`, `stride`, `dilation`, `groups`, `bias`: as in
      `Conv2d`
    - `padding`: how many rows and columns are cut from each side of the output
    - `output_padding`: how many more rows and columns the output has below and to the right

    Shapes: input (n, in_channels, h, w) or (in_channels, h, w), output (n, out_channels, oh, ow)
    with oh = (h - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1, ow
    alike; a call may name another size that the stride allows, as `output_size`. `weight` is
    (in_channels, out_channels / groups, kh, kw); it and `bias` start uniform on
    ±1/sqrt(out_channels / groups * kh * kw).

    Raises ValueError for groups that do not divide the channels, padding modes other than "zeros"
    and output sizes that are out of reach. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> up = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1)
    >>> up(torch.zeros(1, 16, 7, 7), output_size=(14, 14)).shape
    torch.Size([1, 8, 14, 14])
    """

    _dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        padding_mode: str = "zeros",
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        window = (kernel_size, stride, padding, dilation, True, output_padding)
        rest = (groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, *window, *rest)
