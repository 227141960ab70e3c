"""Dropout."""

from __future__ import annotations

import warnings
from typing import Any

from .. import dtypes
from ..autograd.op import Op, Result
from ..random import generator_for
from ..tensor import Tensor
from .compare import where
from .matmul import require_floating
from .shape import squeeze, unsqueeze


class Dropout(Op):
    """y = x / (1 - p), each element zero with probability p; and where it was kept"""

    kernel = "random.dropout"
    parameters = ("p",)
    results_named = ("y", "mask")

    @staticmethod
    def outputs(x: Tensor, state: Tensor, *, p: float) -> list[Result]:
        return [(x._buffer.shape, x.dtype), (x._buffer.shape, dtypes.bool_)]

    def grad_x(self, gy: Tensor, mask: Tensor) -> Tensor:
        return DropoutGrad.apply(gy, mask, **self.attrs)


class DropoutGrad(Op):
    """gx = gy / (1 - p) where the mask holds, else 0"""

    kernel = "random.dropout_grad"
    parameters = ("p",)

    @staticmethod
    def outputs(gy: Tensor, mask: Tensor, *, p: float) -> Result:
        return gy._buffer.shape, gy.dtype

    def grad_gy(self, g: Tensor, mask: Tensor) -> Tensor:
        return DropoutGrad.apply(g, mask, **self.attrs)


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element zero with probability p, the others divided by 1 - p.

    Hinton et al., Improving neural networks by preventing co-adaptation of feature detectors, 2012.
    """
    _check_probability(p)
    if not training or p == 0:
        return input
    require_floating("dropout", input)
    y: Any
    y, _ = Dropout.apply(input, generator_for(input.device).state, p=float(p))
    return input.copy_(y) if inplace else y


def _per_channel(input: Tensor) -> Tensor:
    """Ones in a shape that multiplies (n, c, ..) by channel."""
    if input.ndim < 2:
        raise RuntimeError(
            f"Feature dropout requires at least 2 dimensions in the input, got {list(input.shape)}"
        )
    return input.new_ones((*input.shape[:2], *[1] * (input.ndim - 2)))


def _whole_channels(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """`dropout` of the channels of (n, c, ..)."""
    if not training or p == 0:
        return input
    require_floating("dropout", input)
    kept = dropout(_per_channel(input), p)
    return input.mul_(kept) if inplace else input * kept


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (n, c, l) or (c, l): Tompson et al., 2015.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout1d.html
    """
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D one")
    if input.ndim == 3:
        return _whole_channels(input, p, training, inplace)
    return squeeze(_whole_channels(unsqueeze(input, 0), p, training, inplace), 0)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (n, c, h, w): Tompson et al., Efficient object localization
    using convolutional networks, 2015.

    Three dimensions are taken as (n, c, l), with a warning; others, as in PyTorch, too.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout2d.html
    """
    _check_probability(p)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D "
            "dropout behavior is desired: it is taken as (n, c, l)",
            stacklevel=2,
        )
    elif input.ndim != 4:
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated",
            stacklevel=2,
        )
    return _whole_channels(input, p, training, inplace)


SELU_LOW = -1.7580993408473766
"""What selu comes to for minus infinity."""


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean 0 and variance 1, for networks of `selu`: Klambauer et al., 2017.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.alpha_dropout.html
    """
    _check_probability(p)
    return _dropped_to_low(input, p, training, inplace, whole=False)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of (n, c, ..).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.feature_alpha_dropout.html
    """
    _check_probability(p)
    return _dropped_to_low(input, p, training, inplace, whole=True)


def _dropped_to_low(input: Tensor, p: float, training: bool, inplace: bool, whole: bool) -> Tensor:
    """a x + b of the elements that are kept, a low + b for the others."""
    if not training or p == 0 or input.numel() == 0:
        return input
    require_floating("alpha_dropout", input)
    ones = _per_channel(input) if whole else input.new_ones(input.shape)
    if p == 1:
        scale, shift = ones * 0, ones * 0
    else:
        _, kept = Dropout.apply(ones, generator_for(input.device).state, p=float(p))
        a = ((SELU_LOW**2 * p + 1) * (1 - p)) ** -0.5
        scale = where(kept, ones, 0.0) * a
        shift = where(kept, 0.0, ones) * (a * SELU_LOW) - a * SELU_LOW * p
    return input.mul_(scale).add_(shift) if inplace else input * scale + shift
