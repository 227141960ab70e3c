"""Adam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .optimizer import Optimizer, check_betas, check_number

__all__ = ["Adam"]


class Adam(Optimizer):
    """Adam: steps of the gradient's running mean over the root of its square's running mean.

    At step t, with m = b1 * m + (1 - b1) * g and v = b2 * v + (1 - b2) * g**2,
    p = p - lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps).
    `weight_decay` w adds w * p to the gradient g or, if `decoupled_weight_decay`, shrinks p by
    the factor 1 - lr * w instead (AdamW). `amsgrad` takes the largest v so far. `maximize` climbs.

    From Kingma and Ba, Adam: a method for stochastic optimization (2014); amsgrad from Reddi et
    al., On the convergence of Adam and beyond (2018). Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html.

    Raises ValueError for negative options and for betas outside [0, 1).

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adam([w], lr=0.1)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "optim.adam"
    hyper = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay", "maximize")
    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay"):
            check_number(self, name, options[name])
        check_betas(self, options["betas"])

    def _moments(self, group: dict[str, Any]) -> Sequence[str]:
        return (*self.moments, "max_exp_avg_sq" if group["amsgrad"] else "")
