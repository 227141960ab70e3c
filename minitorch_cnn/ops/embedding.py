"""Rows of a table by number."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autograd.graph import GradMode
from ..autograd.op import Op, Result
from ..tensor import Tensor
from .compare import where
from .index import PutAlongAdd
from .matmul import require_floating
from .operands import cast
from .reduce import norm
from .shape import reshape, unsqueeze


class Damped(Op):
    """y = x, of whose gradient the given share passes"""

    kernel = "shape.copy"
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, share: Any) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return gy * self.attrs["share"]


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """The weight's rows of these numbers.

    Shapes: input (..) of int64 or int32, weight (rows, d), output (.., d). The row `padding_idx`
    gets no gradient. With `max_norm`, longer rows are first, in place, cut down to this norm of
    order `norm_type`. `scale_grad_by_freq` divides a row's gradient by how often it is asked for.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html

    >>> import minitorch_cnn as torch
    >>> table = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> torch.nn.functional.embedding(torch.tensor([1, 0, 1]), table)
    tensor([[2., 3.],
            [0., 1.],
            [2., 3.]])
    """
    require_floating("embedding", weight)
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, not of shape {list(weight.shape)}")
    if input.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"embedding: expected indices of type int64 or int32, not {input.dtype}")
    rows = weight.shape[0]
    if input.numel():
        low, high = int(input.min()), int(input.max())
        if not 0 <= low <= high < rows:
            raise IndexError(
                f"index out of range in self: {low if low < 0 else high} for {rows} rows"
            )
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"padding_idx must be within the {rows} rows, got {padding_idx}")
        padding_idx %= rows
    numbers = cast(reshape(input, -1), dtypes.int64)
    if max_norm is not None and numbers.numel():
        _cut_down(weight, numbers, max_norm, norm_type)
    y = weight[numbers]
    if padding_idx is not None:
        y = where(unsqueeze(numbers == padding_idx, 1), y.detach(), y)
    if scale_grad_by_freq:
        ones = weight.new_ones(numbers.shape)
        counts = PutAlongAdd.apply(ones, numbers, dim=0, size=(rows,))
        y = Damped.apply(y, share=unsqueeze(counts[numbers].reciprocal(), 1))
    return reshape(y, *input.shape, weight.shape[1])


def _cut_down(weight: Tensor, numbers: Tensor, max_norm: float, norm_type: float) -> None:
    """Bring rows of these numbers to the norm, where theirs is larger."""
    with GradMode(False):
        found = weight[numbers]
        norms = norm(found, norm_type, 1, keepdim=True)
        weight[numbers] = found * where(norms > max_norm, max_norm / (norms + 1e-7), 1.0)
