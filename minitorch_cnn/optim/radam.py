"""RAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_betas, check_number

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam whose first steps leave the second moment out, and whose next ones trust it by degrees.

    With m, v as in `Adam`, R = 2 / (1 - b2) - 1 and r = R - 2 * t * b2**t / (1 - b2**t), step t is
    p = p - lr * m / (1 - b1**t) and, once r > 5, times sqrt((r - 4) * (r - 2) * R / ((R - 4) *
    (R - 2) * r)) * sqrt(1 - b2**t) / (sqrt(v) + eps). `weight_decay` and `decoupled_weight_decay`
    as in `Adam`.

    From Liu et al., On the variance of the adaptive learning rate and beyond (2019). Options and
    defaults are those of https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html.

    Raises ValueError for negative options and for betas outside [0, 1).

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RAdam([w], lr=0.1)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.7000], requires_grad=True)
    """

    kernel = "adaptive.radam"
    hyper = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay", "maximize")
    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay"):
            check_number(self, name, options[name])
        check_betas(self, options["betas"])
