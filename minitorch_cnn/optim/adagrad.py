"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_number

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Steps of the gradient over the root of the sum of all its squares, s.

    At step t, s = s + g**2 and p = p - lr / (1 + (t - 1) * `lr_decay`) * g / (sqrt(s) + eps); s
    begins as `initial_accumulator_value`. `weight_decay` w adds w * p to the gradient g. `maximize`
    climbs.

    From Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic
    optimization (2011). Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html.

    Raises ValueError for negative options.

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adagrad([w], lr=0.1)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "adaptive.adagrad"
    hyper = ("lr", "lr_decay", "weight_decay", "eps", "maximize")
    moments = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters; their sums are there at once, as in PyTorch."""
        super().add_param_group(param_group)
        self._prepare(self.param_groups[-1]["params"], self.param_groups[-1])

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number(self, name, options[name])

    def _start(self, name: str, group: dict[str, Any]) -> float:
        return group["initial_accumulator_value"] if name == "sum" else 0.0
