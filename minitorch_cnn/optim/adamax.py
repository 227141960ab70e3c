"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_betas, check_number

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam by the largest of the recent gradients, u = max(b2 * u, abs(g) + eps), for the root.

    At step t, with m as in `Adam`, p = p - lr * m / ((1 - b1**t) * u). `weight_decay` w adds w * p
    to the gradient g. `maximize` climbs.

    From Kingma and Ba, Adam: a method for stochastic optimization (2014). Options and defaults are
    those of https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html.

    Raises ValueError for negative options and for betas outside [0, 1).

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adamax([w], lr=0.1)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "adaptive.adamax"
    hyper = ("lr", "betas", "eps", "weight_decay", "maximize")
    moments = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay"):
            check_number(self, name, options[name])
        check_betas(self, options["betas"])
