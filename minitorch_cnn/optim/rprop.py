"""Rprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Optimizer, check_number

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Steps by the gradient's sign alone, each number with a step size of its own.

    A step size begins as `lr`; it is multiplied by the second of `etas` while the gradient keeps
    its sign and by the first when it changes, within `step_sizes`. After a change the number rests
    for a step. `maximize` climbs. For gradients of the whole data set, not of batches.

    From Riedmiller and Braun, A direct adaptive method for faster backpropagation learning (1993).
    Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html.

    Raises ValueError for a negative `lr` and unless 0 < etas[0] < 1 < etas[1].

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Rprop([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (3 * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([0.7800], requires_grad=True)
    """

    kernel = "adaptive.rprop"
    hyper = ("etas", "step_sizes", "maximize")
    moments = ("prev", "step_size")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        check_number(self, "lr", options["lr"])
        for name in ("etas", "step_sizes"):
            if len(options[name]) != 2:
                raise ValueError(f"Rprop: {name} must be two, got {options[name]}")
        if not 0 < options["etas"][0] < 1 < options["etas"][1]:
            raise ValueError(
                "Rprop: of etas the first must lie between 0 and 1 and the second above 1, "
                f"got {options['etas']}"
            )

    def _start(self, name: str, group: dict[str, Any]) -> float:
        return group["lr"] if name == "step_size" else 0.0
