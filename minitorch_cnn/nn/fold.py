"""Layers that take images apart into their windows, or put them together."""

from __future__ import annotations

from . import functional as F
from .option_layer import OptionLayer

__all__ = ["Fold", "Unfold"]

Pair = int | tuple[int, int]


class Unfold(OptionLayer):
    """The windows that a convolution sees, one after the other: `F.unfold`.

    `kernel_size`, `dilation`, `padding` (with zeros) and `stride` are a number, or one for height
    and one for width. Shapes: input (n, c, h, w) or (c, h, w), output (n, c kh kw, windows). The
    call raises RuntimeError for options that do not fit. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.Unfold(kernel_size=(2, 3))(torch.zeros(2, 5, 3, 4)).shape
    torch.Size([2, 30, 4])
    """

    function = staticmethod(F.unfold)
    shown = ("kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
    ) -> None:
        options = {"dilation": dilation, "padding": padding, "stride": stride}
        super().__init__(kernel_size=kernel_size, **options)


class Fold(OptionLayer):
    """Images from their windows, summed where these overlap: `F.fold`.

    `output_size`, `kernel_size`, `dilation`, `padding` and `stride` are a number, or one for height
    and one for width. Shapes: input (n, c kh kw, windows) or (c kh kw, windows), output
    (n, c, *output_size). The call raises RuntimeError for options that do not fit. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.Fold(output_size=(4, 5), kernel_size=2)(torch.zeros(1, 3 * 2 * 2, 12)).shape
    torch.Size([1, 3, 4, 5])
    """

    function = staticmethod(F.fold)
    shown = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self,
        output_size: Pair,
        kernel_size: Pair,
        dilation: Pair = 1,
        padding: Pair = 0,
        stride: Pair = 1,
    ) -> None:
        options = {"dilation": dilation, "padding": padding, "stride": stride}
        super().__init__(output_size=output_size, kernel_size=kernel_size, **options)
