"""Losses that say how improbable targets are under distributions other than a softmax's."""

from __future__ import annotations

import math
import warnings

from ..tensor import Tensor
from .compare import where
from .creation import full_like
from .distance import at_least
from .loss import check_reduction, reduced
from .matmul import require_floating
from .operands import cast
from .reduce import sum
from .shape import unsqueeze


def kl_div(
    input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """target (ln target - input), for an input of logarithms of probabilities.

    `log_target` says that the target's logarithms are given. The reduction may also be
    "batchmean", the sum divided by the first dimension's size, which is the divergence's mean;
    of "mean", which divides by all sizes, a warning says so.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html
    """
    require_floating("kl_div", input, target)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support "
            "size. 'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.",
            stacklevel=2,
        )
    if log_target:
        losses = target.exp() * (target - input)
    else:
        entropy = target * where(target == 0, 1.0, target).log()  # 0 ln 0 is 0
        losses = entropy - target * input
    if reduction == "batchmean":
        return sum(losses) / (input.shape[0] if input.ndim else 1)
    return reduced(losses, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """e^input - target input, or input - target ln(input + eps) unless `log_input`: how improbable
    counts are under Poisson's distribution; `full` adds Stirling's term for targets above 1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.poisson_nll_loss.html
    """
    check_reduction(reduction)
    require_floating("poisson_nll_loss", input)
    if log_input:
        losses = input.exp() - target * input
    else:
        losses = input - target * (input + eps).log()
    if full:
        large = where(target > 1, cast(target, input.dtype), 1.0)
        stirling = large * large.log() - large + (large * (2 * math.pi)).log() * 0.5
        losses = losses + where(target > 1, stirling, 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(ln var + (input - target)^2 / var) / 2: how improbable targets are under normal
    distributions of these means and variances; `full` adds ln(2 pi) / 2.

    Shapes: `var` is a number or has the input's shape, or 1 or no size in its last dimension;
    variances below `eps` count as that, unseen by the gradient.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gaussian_nll_loss.html
    """
    check_reduction(reduction)
    if not isinstance(var, Tensor):
        var = full_like(input, var)
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        unequal = [n for n, m in zip(var.shape, input.shape) if n != m]
        if var.shape == input.shape[:-1]:
            var = unsqueeze(var, -1)
        elif var.ndim != input.ndim or unequal != [1]:
            raise ValueError(
                f"var is of incorrect size: {list(var.shape)} for input {list(input.shape)}"
            )
    variance = at_least(var, eps)
    losses = (variance.log() + (input - target) ** 2 / variance) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)
