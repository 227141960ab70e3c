"""Lengths, distances and angles of vectors along a dimension."""

from __future__ import annotations

from ..autograd.graph import GradMode
from ..tensor import Tensor
from .convert import clone
from .matmul import require_floating
from .reduce import norm, sum
from .shape import broadcast_tensors


def at_least(x: Tensor, bound: float) -> Tensor:
    """x, or the bound where it is larger; the gradient takes no notice of that."""
    y = clone(x)
    with GradMode(False):
        y.clamp_(min=bound)
    return y


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Vectors along a dimension divided by their norm of order p, or by eps if that is less.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
    """
    require_floating("normalize", input)
    return input / norm(input, p, dim, keepdim=True).clamp(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along a dimension; lengths not less than eps.

    Shapes: two that can be broadcast; the result's lacks the dimension.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html
    """
    require_floating("cosine_similarity", x1, x2)
    x1, x2 = broadcast_tensors(x1, x2)
    units = [x / at_least(norm(x, 2, dim, keepdim=True), eps) for x in (x1, x2)]
    return sum(units[0] * units[1], dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The norm of order p of x1 - x2 + eps along the last dimension.

    Shapes: two that can be broadcast.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pairwise_distance.html
    """
    require_floating("pairwise_distance", x1, x2)
    return norm(x1 - x2 + eps, p, -1, keepdim=keepdim)
