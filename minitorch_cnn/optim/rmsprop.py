"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .optimizer import Optimizer, check_number

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Steps x = g / (sqrt(v) + eps), with v = `alpha` * v + (1 - `alpha`) * g**2.

    If `centered`, the square of the gradient's running mean is taken from v in the root. Then
    p = p - lr * x or, with `momentum` mu, b = mu * b + x and p = p - lr * b. `weight_decay` w adds
    w * p to the gradient g. `maximize` climbs.

    From Hinton's lecture 6 of Neural networks for machine learning (2012); centered from Graves,
    Generating sequences with recurrent neural networks (2013). Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html.

    Raises ValueError for negative options.

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RMSprop([w], lr=0.01)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "adaptive.rmsprop"
    hyper = ("lr", "alpha", "eps", "weight_decay", "momentum", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "momentum", "alpha", "eps", "weight_decay"):
            check_number(self, name, options[name])

    def _moments(self, group: dict[str, Any]) -> Sequence[str]:
        return (
            "square_avg",
            "momentum_buffer" if group["momentum"] > 0 else "",
            "grad_avg" if group["centered"] else "",
        )
