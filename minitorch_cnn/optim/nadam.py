"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_betas, check_number

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: a step looks ahead by the next step's share of the mean.

    At step t, with mu = b1 * (1 - 0.96**(t * `momentum_decay`) / 2) and m, v as in `Adam`,
    p = p - lr * ((1 - mu) * g / (1 - P) + mu' * m / (1 - P * mu')) / (sqrt(v / (1 - b2**t)) + eps),
    where P is the product of all mu so far and mu' the next of them. `weight_decay` and
    `decoupled_weight_decay` as in `Adam`.

    From Dozat, Incorporating Nesterov momentum into Adam (2016). Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html.

    Raises ValueError for negative options and for betas outside [0, 1).

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.NAdam([w], lr=0.1)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8944], requires_grad=True)
    """

    kernel = "adaptive.nadam"
    hyper = (
        "lr",
        "betas",
        "eps",
        "weight_decay",
        "momentum_decay",
        "decoupled_weight_decay",
        "maximize",
    )
    moments = ("exp_avg", "exp_avg_sq")
    numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay", "momentum_decay"):
            check_number(self, name, options[name])
        check_betas(self, options["betas"])

    def _start(self, name: str, group: dict[str, Any]) -> float:
        return 1.0 if name == "mu_product" else 0.0
