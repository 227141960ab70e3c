"""ASGD."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_number

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: the mean of the later parameters is kept beside them.

    At step t, p = (1 - `lambd` * eta) * p - eta * g with eta = lr / (1 + lambd * lr * t)**`alpha`,
    first lr. `state[p]["ax"]` is p until step `t0` and the mean of all p from then on.
    `weight_decay` w adds w * p to the gradient g. `maximize` climbs.

    From Polyak and Juditsky, Acceleration of stochastic approximation by averaging (1992). Options
    and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html.

    Raises ValueError for a negative `lr` or `weight_decay`.

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.ASGD([w], lr=0.1, lambd=0)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.7000], requires_grad=True)
    """

    kernel = "adaptive.asgd"
    hyper = ("lr", "lambd", "alpha", "t0", "weight_decay", "maximize")
    moments = ("ax",)
    numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay"):
            check_number(self, name, options[name])

    def _start(self, name: str, group: dict[str, Any]) -> float:
        return {"eta": group["lr"], "mu": 1.0}.get(name, 0.0)
