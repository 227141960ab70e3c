"""Channels that change places, with each other or with pixels."""

from __future__ import annotations

from ..tensor import Tensor
from .convert import clone
from .shape import permute, reshape
from .sides import integer


def _check(name: str, input: Tensor, option: str, value: int) -> int:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name}: expected an input of at least 3 dimensions, not {list(input.shape)}"
        )
    number = integer(f"{name}: {option}", value)
    if number < 1:
        raise RuntimeError(f"{name}: {option} must be positive, not {number}")
    return number


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Every r^2 channels become one of r times the height and the width.

    Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network (2016). Shapes: (.., c r^2, h, w) to (.., c, h r, w r).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_shuffle.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.pixel_shuffle(torch.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    r = _check("pixel_shuffle", input, "upscale_factor", upscale_factor)
    *batch, c, h, w = input._buffer.shape
    if c % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: the {c} channels of an input of shape {list(input.shape)} are not "
            f"divisible by the square of upscale_factor {r}"
        )
    n = len(batch)
    apart = reshape(input, *batch, c // (r * r), r, r, h, w)
    order = [*range(n), n, n + 3, n + 1, n + 4, n + 2]
    return reshape(clone(permute(apart, order)), *batch, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Every channel becomes r^2 of 1/r the height and the width: undoes `pixel_shuffle`.

    Shapes: (.., c, h r, w r) to (.., c r^2, h, w).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_unshuffle.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.pixel_unshuffle(torch.arange(4.0).reshape(1, 2, 2), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    r = _check("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    *batch, c, h, w = input._buffer.shape
    if h % r or w % r:
        raise RuntimeError(
            f"pixel_unshuffle: height and width of an input of shape {list(input.shape)} are not "
            f"divisible by downscale_factor {r}"
        )
    n = len(batch)
    apart = reshape(input, *batch, c, h // r, r, w // r, r)
    order = [*range(n), n, n + 2, n + 4, n + 1, n + 3]
    return reshape(clone(permute(apart, order)), *batch, c * r * r, h // r, w // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels from all groups in turn: the first of each, then the second of each, and so on.

    Zhang et al., ShuffleNet (2018). Shapes: (n, c, ..) to the same.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.channel_shuffle(torch.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    g = _check("channel_shuffle", input, "groups", groups)
    n, c, *rest = input._buffer.shape
    if c % g:
        raise RuntimeError(f"channel_shuffle: {c} channels are not divisible by groups {g}")
    apart = reshape(input, n, g, c // g, *rest)
    order = [0, 2, 1, *range(3, 3 + len(rest))]
    return reshape(clone(permute(apart, order)), n, c, *rest)
