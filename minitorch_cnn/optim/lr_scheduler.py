"""Schedules for the learning rates of an optimizer's groups."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "LRScheduler", "StepLR"]


class LRScheduler:
    """The base of schedules: call `step` once an epoch, after the optimizer's.

    A schedule says in `get_lr` which learning rates follow on the present ones at epoch
    `last_epoch`. So schedules can be chained, and changes from outside stay in force. To go on
    with a training, give the last epoch it had done and an optimizer whose loaded groups hold
    `initial_lr`. See https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate.

    Raises TypeError for what is not an Optimizer, KeyError for a missing `initial_lr`.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    f"with last_epoch {last_epoch}: load the optimizer's state first"
                )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._advance()

    def get_lr(self) -> list[float]:
        """The learning rates at epoch `last_epoch`, computed from the groups' present ones."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The learning rates that the latest step set."""
        return self._last_lr

    def step(self) -> None:
        """Go to the next epoch and set its learning rates."""
        if self._step_count == 1 and not self.optimizer._step_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: "
                "the first value of the learning rate schedule is skipped",
                stacklevel=2,
            )
        self._advance()

    def _advance(self) -> None:
        self._step_count += 1
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = self._present()

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. The optimizer's state is loaded separately."""
        self.__dict__.update(state_dict)


class StepLR(LRScheduler):
    """Multiply the learning rates by `gamma` every `step_size` epochs.

    As https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html.

    Raises ValueError unless `step_size` is positive.

    >>> import minitorch_cnn as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size <= 0:
            raise ValueError(f"StepLR: step_size must be positive, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._present()
        return [lr * self.gamma for lr in self._present()]


class CosineAnnealingLR(LRScheduler):
    """Let the learning rates fall along half a cosine, to `eta_min` at epoch `T_max`, then rise.

    At epoch t the rate is eta_min + (initial - eta_min) * (1 + cos(pi * t / T_max)) / 2. Each is
    computed from the one before, as PyTorch does:
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html.
    From Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts (2016).

    Raises ValueError unless `T_max` is positive.

    >>> import minitorch_cnn as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max <= 0:
            raise ValueError(f"CosineAnnealingLR: T_max must be positive, got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._step_count == 1:
            return self._present()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            # The rate before was eta_min, from which no factor leads away.
            first_rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                lr + (base_lr - self.eta_min) * first_rise
                for lr, base_lr in zip(self._present(), self.base_lrs, strict=True)
            ]
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in self._present()]
