"""Pooling layers: each window of an image becomes one number; and what undoes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops.sides import pair, sides
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .option_layer import OptionLayer

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "FractionalMaxPool2d",
    "LPPool1d",
    "LPPool2d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxUnpool1d",
    "MaxUnpool2d",
]

Single = int | tuple[int]
Pair = int | tuple[int, int]


class _MaxPool(OptionLayer):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=stride if stride is not None else kernel_size,
            padding=padding,
            dilation=dilation,
            return_indices=return_indices,
            ceil_mode=ceil_mode,
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window of sequences: `F.max_pool1d`.

    Arguments are `MaxPool2d`'s, of one number each. Shapes: input (n, c, l) or (c, l), output
    (n, c, ol) with
    ol = floor((l + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.MaxPool1d(3, stride=1)(torch.tensor([[3.0, 1.0, 2.0, 5.0]]))
    tensor([[3., 5.]])
    """

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
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

    function = staticmethod(F.max_pool2d)


class _MaxUnpool(Module):
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    def __init__(self, dims: int, kernel_size: Any, stride: Any, padding: Any) -> None:
        super().__init__()
        name = type(self).__name__
        step = stride if stride is not None else kernel_size
        self.kernel_size = sides(f"{name}: kernel_size", kernel_size, dims)
        self.stride = sides(f"{name}: stride", step, dims)
        self.padding = sides(f"{name}: padding", padding, dims)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        undo: Any = F.max_unpool1d if len(self.kernel_size) == 1 else F.max_unpool2d
        return undo(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Puts the maxima that `MaxPool1d` found back to where they were, among zeros.

    Arguments and call are `MaxUnpool2d`'s, of one number each, for sequences (n, c, l) or (c, l).
    As https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> y, indices = nn.MaxPool1d(2, return_indices=True)(torch.tensor([[3.0, 1.0, 2.0, 5.0]]))
    >>> nn.MaxUnpool1d(2)(y, indices)
    tensor([[3., 0., 0., 5.]])
    """

    def __init__(
        self, kernel_size: Single, stride: Single | None = None, padding: Single = 0
    ) -> None:
        super().__init__(1, kernel_size, stride, padding)


class MaxUnpool2d(_MaxUnpool):
    """Puts the maxima that `MaxPool2d` found back to where they were: `F.max_unpool2d`.

    `kernel_size`, `stride` (if None, the kernel's) and `padding` are the pooling's. The call takes
    what that returned, values and indices, and an `output_size` if several sizes give theirs.

    Shapes: input and indices (n, c, h, w) or (c, h, w), output (n, c, oh, ow) with
    oh = (h - 1) stride - 2 padding + kernel_size unless asked otherwise, ow alike. Raises
    ValueError for output sizes that are a stride or more away, RuntimeError for indices outside.
    As https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> pool, undo = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> undo(*pool(torch.arange(4.0).reshape(1, 2, 2)))
    tensor([[[0., 0.],
             [0., 3.]]])
    """

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__(2, kernel_size, stride, padding)


class AvgPool1d(OptionLayer):
    """The mean of each window of sequences: `F.avg_pool1d`.

    Arguments are `AvgPool2d`'s, of one number each. Shapes: input (n, c, l) or (c, l), output
    (n, c, ol) with ol = floor((l + 2 padding - kernel_size) / stride) + 1. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AvgPool1d(3, stride=1)(torch.tensor([[3.0, 1.0, 2.0, 6.0]]))
    tensor([[2., 3.]])
    """

    function = staticmethod(F.avg_pool1d)
    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Single,
        stride: Single | None = None,
        padding: Single = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        step = stride if stride is not None else kernel_size
        super().__init__(
            kernel_size=sides("AvgPool1d: kernel_size", kernel_size, 1),
            stride=sides("AvgPool1d: stride", step, 1),
            padding=sides("AvgPool1d: padding", padding, 1),
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )


class AvgPool2d(OptionLayer):
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

    function = staticmethod(F.avg_pool2d)
    shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=stride if stride is not None else kernel_size,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )


class _LPPool(OptionLayer):
    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        options = {"kernel_size": kernel_size, "stride": stride, "ceil_mode": ceil_mode}
        super().__init__(norm_type=norm_type, **options)


class LPPool1d(_LPPool):
    """The root of the sum of powers in each window of sequences: `F.lp_pool1d`.

    Arguments are `LPPool2d`'s, of one number each. Shapes: input (n, c, l) or (c, l), output
    (n, c, ol) with ol = floor((l - kernel_size) / stride) + 1. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.LPPool1d(1, 2)(torch.tensor([[3.0, 1.0, 2.0, 6.0]]))
    tensor([[4., 8.]])
    """

    function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """The root of the sum of powers in each window, (sum of x^p)^(1/p): `F.lp_pool2d`.

    - `norm_type`: the power p; 1 gives sums, infinity maxima
    - `kernel_size`, `stride` (if None, the kernel's): a number, or one for height and one for width
    - `ceil_mode`: round the output's size up, so that the border is covered

    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, oh, ow) with
    oh = floor((h - kernel_size) / stride) + 1, ow alike. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.LPPool2d(2, (1, 2))(torch.tensor([[[3.0, 4.0, 6.0, 8.0]]]))
    tensor([[[ 5., 10.]]])
    """

    function = staticmethod(F.lp_pool2d)


class _AdaptiveAvgPool(OptionLayer):
    shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__(output_size=output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of as many, evenly spread windows as the output is to have: `F.adaptive_avg_pool1d`.

    Shapes: input (n, c, l) or (c, l), output (n, c, output_size). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AdaptiveAvgPool1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1.5000, 2.5000]])
    """

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of as many, evenly spread windows as the output is to have: `F.adaptive_avg_pool2d`.

    `output_size` is a number, or one for height and one for width; None means the input's.
    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, *output_size). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AdaptiveAvgPool2d(1)(torch.arange(6.0).reshape(1, 2, 3))
    tensor([[[2.5000]]])
    """

    function = staticmethod(F.adaptive_avg_pool2d)


class _AdaptiveMaxPool(OptionLayer):
    shown = ("output_size",)

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size=output_size, return_indices=return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of as many, evenly spread windows as the output is to have: `F.adaptive_max_pool1d`.

    With `return_indices` also where each maximum was. Shapes: input (n, c, l) or (c, l), output
    (n, c, output_size). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AdaptiveMaxPool1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3.]])
    """

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of as many, evenly spread windows as the output is to have: `F.adaptive_max_pool2d`.

    `output_size` is a number, or one for height and one for width; None means the input's. With
    `return_indices` also where in its h * w plane each maximum was. Shapes: input (n, c, h, w) or
    (c, h, w), output (n, c, *output_size). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.AdaptiveMaxPool2d((1, None))(torch.arange(6.0).reshape(1, 2, 3))
    tensor([[[3., 4., 5.]]])
    """

    function = staticmethod(F.adaptive_max_pool2d)


class FractionalMaxPool2d(Module):
    """Maxima of windows at random, nearly equal distances: `F.fractional_max_pool2d`.

    - `kernel_size`: a number, or one for height and one for width
    - `output_size` or `output_ratio`: of the output, or by how much, between 0 and 1, it is smaller
    - `return_indices`: also return where in its h * w plane each maximum was
    - `_random_samples`: two numbers from 0 to 1 for each plane, (n, c, 2), which say where the
      windows are; drawn at each call if not given

    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, oh, ow). Raises ValueError unless one of
    size and ratio is given. Benjamin Graham, Fractional max-pooling (2014). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(torch.zeros(2, 3, 10, 20)).shape
    torch.Size([2, 3, 7, 14])
    """

    _random_samples: Tensor | None

    def __init__(
        self,
        kernel_size: Pair,
        output_size: Pair | None = None,
        output_ratio: float | tuple[float, float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        if output_size is None and output_ratio is None:
            raise ValueError(
                "FractionalMaxPool2d requires specifying either an output size or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError(
                "only one of output_size and output_ratio may be specified, "
                f"got {output_size} and {output_ratio}"
            )
        if isinstance(output_ratio, (int, float)):
            output_ratio = (output_ratio, output_ratio)
        if output_ratio is not None and not all([0 < ratio < 1 for ratio in output_ratio]):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        name = type(self).__name__
        self.kernel_size = pair(f"{name}: kernel_size", kernel_size)
        self.output_size = None if output_size is None else pair(f"{name}: output", output_size)
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        options = (self.kernel_size, self.output_size, self.output_ratio, self.return_indices)
        return F.fractional_max_pool2d(input, *options, _random_samples=self._random_samples)
