"""Dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "FeatureAlphaDropout"]


class _Dropout(Module):
    """What the kinds of dropout share; they differ in what goes together, and goes where."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zeroes each element with probability `p` and divides the others by 1 - p.

    In evaluation mode it returns its input. From Hinton et al., Improving neural networks by
    preventing co-adaptation of feature detectors (2012). Raises ValueError unless 0 <= p <= 1. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Dropout(0.5).eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of sequences.

    Shapes: input and output (n, c, length) or (c, length). Raises RuntimeError for other
    dimensions. As https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html.

    >>> import minitorch_cnn as torch
    >>> y = torch.nn.Dropout1d()(torch.ones(2, 3, 4))
    >>> bool((y == y[..., :1]).all())
    True
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of images, whose neighbouring pixels tell the same.

    From Tompson et al., Efficient object localization using convolutional networks (2015).
    Shapes: input and output (n, c, h, w); three dimensions are taken as (n, c, length), with a
    warning. As https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html.

    >>> import minitorch_cnn as torch
    >>> y = torch.nn.Dropout2d()(torch.ones(2, 3, 4, 4))
    >>> bool((y == y[..., :1, :1]).all())
    True
    """

    function = staticmethod(F.dropout2d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of `SELU`.

    Elements go to the value that SELU has far below zero. From Klambauer et al., Self-normalizing
    neural networks (2017).

    >>> import minitorch_cnn as torch
    >>> torch.nn.AlphaDropout().eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    function = staticmethod(F.alpha_dropout)

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch's, which is never in place
        return self.function(input, self.p, self.training)


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels of (n, c, ..).

    >>> import minitorch_cnn as torch
    >>> torch.nn.FeatureAlphaDropout().eval()(torch.ones(1, 3))
    tensor([[1., 1., 1.]])
    """

    function = staticmethod(F.feature_alpha_dropout)
