"""Layers whose channels change places, with each other or with pixels."""

from __future__ import annotations

from . import functional as F
from .option_layer import OptionLayer

__all__ = ["ChannelShuffle", "PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(OptionLayer):
    """Every upscale_factor^2 channels become one of a larger image: `F.pixel_shuffle`.

    Shapes: input (.., c r^2, h, w), output (.., c, h r, w r). Raises RuntimeError for channels that
    r^2 does not divide. As https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.PixelShuffle(3)(torch.zeros(1, 9, 4, 4)).shape
    torch.Size([1, 1, 12, 12])
    """

    function = staticmethod(F.pixel_shuffle)
    shown = ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        super().__init__(upscale_factor=upscale_factor)


class PixelUnshuffle(OptionLayer):
    """Every channel becomes downscale_factor^2 of a smaller image: `F.pixel_unshuffle`.

    Shapes: input (.., c, h r, w r), output (.., c r^2, h, w). Raises RuntimeError for sizes that r
    does not divide. As https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.PixelUnshuffle(3)(torch.zeros(1, 1, 12, 12)).shape
    torch.Size([1, 9, 4, 4])
    """

    function = staticmethod(F.pixel_unshuffle)
    shown = ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        super().__init__(downscale_factor=downscale_factor)


class ChannelShuffle(OptionLayer):
    """Channels from all groups in turn: `F.channel_shuffle`.

    Shapes: input (n, c, ..), output the same. The call raises RuntimeError for groups that are not
    positive or do not divide the channels. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ChannelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    function = staticmethod(F.channel_shuffle)
    shown = ("groups",)

    def __init__(self, groups: int) -> None:
        super().__init__(groups=groups)
