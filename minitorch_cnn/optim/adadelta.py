"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_number

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps x = sqrt(u + eps) / sqrt(v + eps) * g, with running means v of g**2 and u of x**2.

    v = `rho` * v + (1 - `rho`) * g**2 enters the step, u = `rho` * u + (1 - `rho`) * x**2 only the
    next one; p = p - lr * x. `weight_decay` w adds w * p to the gradient g. `maximize` climbs.

    From Zeiler, ADADELTA: an adaptive learning rate method (2012). Options and defaults are those
    of https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html.

    Raises ValueError for negative options and for a `rho` above 1.

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adadelta([w], eps=0.01)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.6855], requires_grad=True)
    """

    kernel = "adaptive.adadelta"
    hyper = ("lr", "rho", "eps", "weight_decay", "maximize")
    moments = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "rho", "eps", "weight_decay"):
            check_number(self, name, options[name])
        if options["rho"] > 1:
            raise ValueError(f"Adadelta: rho must be at most 1, got {options['rho']}")
