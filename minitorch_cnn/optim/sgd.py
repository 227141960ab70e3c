"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import record
from ..ops.creation import zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer, check_number

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: p = p - lr * g, where g may be smoothed by a momentum.

    With `weight_decay` w, g is first the gradient plus w * p. With `momentum` mu, the buffer
    b = mu * b + (1 - `dampening`) * g (at first b = g) takes its place, or, with `nesterov`,
    g + mu * b. `maximize` climbs instead. Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html.

    Raises ValueError for negative options, and for `nesterov` without momentum or with dampening.

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.7000], requires_grad=True)
    """

    hyper = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            check_number(self, name, options[name])
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                "Nesterov momentum requires a momentum and zero dampening, "
                f"got momentum {options['momentum']} and dampening {options['dampening']}"
            )

    def _update(self, params: list[Tensor], group: dict[str, Any], memory: Any) -> None:
        if group["momentum"] == 0:
            self._launch("optim.sgd", params, [[]], [], group, memory)
            return
        states = [self.state[p] for p in params]
        fresh = [state.get("momentum_buffer") is None for state in states]
        if any(fresh):
            for p, state, new in zip(params, states, fresh):
                if new:
                    with record.apart():  # a recorded step finds it there
                        state["momentum_buffer"] = zeros_like(p).contiguous()
            if group["dampening"] != 0:  # the first gradient enters whole
                record.restructured()
                first = [p for p, new in zip(params, fresh) if new]
                params = [p for p, new in zip(params, fresh) if not new]
                self._step(first, {**group, "dampening": 0}, type(memory)())
        if params:
            self._step(params, group, memory)

    def _step(self, params: list[Tensor], group: dict[str, Any], memory: Any) -> None:
        buffers = [self.state[p]["momentum_buffer"] for p in params]
        self._launch("optim.sgd", params, [buffers], [], group, memory)
