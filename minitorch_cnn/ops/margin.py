"""Losses with a margin: what is right by more than that costs nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import dtypes
from ..tensor import Tensor
from .activation import logsigmoid, relu, softplus
from .compare import minimum, where
from .creation import arange
from .distance import pairwise_distance
from .index import gather
from .loss import check_reduction, reduced
from .matmul import require_floating
from .operands import cast
from .reduce import amin, any_, sum
from .shape import reshape, unsqueeze


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - target (input1 - input2)): the first should be larger where the target is 1,
    smaller where it is -1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.margin_ranking_loss.html
    """
    check_reduction(reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss: All input tensors should have same dimension but got sizes "
            f"{list(input1.shape)}, {list(input2.shape)} and {list(target.shape)}"
        )
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """The input, a distance, where the target is 1, and max(0, margin - input) where it is -1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html
    """
    check_reduction(reduction)
    far = where(target != 1, (margin - input).clamp(min=0), 0.0)
    return reduced(far + where(target != -1, input, 0.0), reduction)


def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """ln(1 + e^(-target input)), for targets of 1 and -1; without overflow.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.soft_margin_loss.html
    """
    require_floating("soft_margin_loss", input)
    return reduced(softplus(-target * input, threshold=math.inf), reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1; cos is that of the angle
    between the inputs.

    Shapes: inputs (n, d) and target (n), or (d) and ().

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html
    """
    check_reduction(reduction)
    if target.ndim > 1 or target.ndim + 1 != input1.ndim or target.ndim + 1 != input2.ndim:
        raise RuntimeError(
            "cosine_embedding_loss: expected inputs (n, d) and target (n), or (d) and (), got "
            f"{list(input1.shape)}, {list(input2.shape)} and {list(target.shape)}"
        )
    squares = [sum(x * x, -1) + 1e-12 for x in (input1, input2)]
    cosines = sum(input1 * input2, -1) / (squares[0] * squares[1]).sqrt()
    near = where(target == 1, 1 - cosines, 0.0)
    return reduced(near + where(target == -1, (cosines - margin).clamp(min=0), 0.0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d of the norm of order p.

    With `swap`, d(positive, negative) is taken where it is less than d(anchor, negative):
    Balntas et al., Learning local feature descriptors with triplets, 2016.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html
    """

    def distance(x1: Tensor, x2: Tensor) -> Tensor:
        return pairwise_distance(x1, x2, p, eps)

    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=distance,
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` for any distance of two batches of vectors.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_with_distance_loss.html
    """
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: {anchor.ndim}, {positive.ndim} and {negative.ndim}"
        )
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced((margin + near - far).clamp(min=0), reduction)


def _classes(name: str, input: Tensor, target: Tensor, target_dims: int) -> tuple[Tensor, Tensor]:
    """Scores (n, c) and int64 targets with the batch in front, which one line of scores lacks."""
    require_floating(name, input)
    batch = input.shape[: input.ndim - 1]
    if input.ndim not in (1, 2) or target.shape[: target.ndim - target_dims] != batch:
        raise RuntimeError(
            f"{name}: target of shape {list(target.shape)} does not fit input of shape "
            f"{list(input.shape)}"
        )
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"{name}: expected class indices of type int64, not {target.dtype}")
    return (input, target) if input.ndim == 2 else (unsqueeze(input, 0), unsqueeze(target, 0))


def _places(x: Tensor) -> Tensor:
    """The classes of (n, c)."""
    return arange(x.shape[1], device=x.device)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over i of max(0, margin - x[target] + x[i])^p / classes, for i other than the target.

    Shapes: input (n, c) and target (n) of int64, or (c) and (). `weight` is a factor for each
    class as target.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multi_margin_loss.html
    """
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, not {p}")
    x, y = _classes("multi_margin_loss", input, target, 0)
    if weight is not None and tuple(weight.shape) != (x.shape[1],):
        error = ValueError if weight.ndim != 1 else RuntimeError
        raise error(
            f"multi_margin_loss: weight must be one-dimensional, one for each of {x.shape[1]} "
            f"classes, not of shape {list(weight.shape)}"
        )
    y = unsqueeze(y, 1)
    excess = relu(margin - gather(x, 1, y) + x)
    excess = where(_places(x) == y, 0.0, excess if p == 1 else excess * excess)
    if weight is not None:
        excess = excess * weight[y]
    losses = sum(excess, 1) / x.shape[1]
    return reduced(losses if input.ndim == 2 else reshape(losses, ()), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """sum of max(0, 1 - x[j] + x[i]) / classes over targets j and all i that are none.

    Shapes: input and target (n, c) or (c); the target's rows are class indices up to the first -1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_margin_loss.html
    """
    check_reduction(reduction)
    if input.shape != target.shape:
        raise RuntimeError(
            f"multilabel_margin_loss: target of shape {list(target.shape)} does not fit input of "
            f"shape {list(input.shape)}"
        )
    x, y = _classes("multilabel_margin_loss", input, target, 1)
    places, classes = _places(x), x.shape[1]
    end = amin(where(y < 0, places, classes), 1, keepdim=True)
    counts = places < end
    named = y.clamp(min=0)
    is_target = any_((unsqueeze(named, 2) == places) & unsqueeze(counts, 2), 1)
    excess = relu(1 - unsqueeze(gather(x, 1, named), 2) + unsqueeze(x, 1))  # (n, target, class)
    wrong = unsqueeze(counts, 2) & ~unsqueeze(is_target, 1)
    losses = sum(where(wrong, excess, 0.0), (1, 2)) / classes
    return reduced(losses if input.ndim == 2 else reshape(losses, ()), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """The mean over classes of binary cross-entropy with logits: one or more labels to an input.

    Shapes: input and target (.., c); `weight` is a factor for each class.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_soft_margin_loss.html
    """
    check_reduction(reduction)
    target = cast(target, input.dtype)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(sum(losses, -1) / input.shape[-1], reduction)
