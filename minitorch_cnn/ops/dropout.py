"""Dropout."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autograd.op import Op, Result
from ..random import default_generator
from ..tensor import Tensor
from .matmul import require_floating


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


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element zero with probability p, the others divided by 1 - p.

    Hinton et al., Improving neural networks by preventing co-adaptation of feature detectors, 2012.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    require_floating("dropout", input)
    y: Any
    y, _ = Dropout.apply(input, default_generator.state, p=float(p))
    return input.copy_(y) if inplace else y
