"""The base of schedules."""

from __future__ import annotations

import warnings
from typing import Any

from ..optimizer import Optimizer

__all__ = ["LRScheduler", "as_optimizer", "one_a_group"]


class LRScheduler:
    """The base of schedules: call `step` once an epoch, after the optimizer's.

    A schedule says in `get_lr` which learning rates follow on the present ones at epoch
    `last_epoch`. So schedules can be chained, and changes from outside stay in force. Where the
    rates can be computed from the initial ones, `_get_closed_form_lr` does. To go on with a
    training, give the last epoch it had done and an optimizer whose loaded groups hold
    `initial_lr`. See https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate.

    Raises TypeError for what is not an Optimizer, KeyError for a missing `initial_lr`.

    >>> import minitorch_cnn as torch
    >>> class Halving(torch.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr * 0.5**self.last_epoch for lr in self.base_lrs]
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    >>> scheduler = Halving(optimizer)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    _is_initial = False
    """Whether this is the step that a schedule takes when it is made."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = as_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    f"with last_epoch {last_epoch}: load the optimizer's state first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def get_lr(self) -> list[float]:
        """The learning rates at epoch `last_epoch`, computed from the groups' present ones."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The learning rates that the latest step set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or to `epoch`, and set its learning rates.

        To name the epoch is deprecated, as in PyTorch: chain schedules or use `SequentialLR`.
        """
        if self._step_count == 1 and not self.optimizer._step_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: "
                "the first value of the learning rate schedule is skipped",
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(
                "The epoch parameter in `scheduler.step()` is deprecated: call it without",
                stacklevel=2,
            )
        self._update_lr(epoch)

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _update_lr(self, epoch: int | None = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = getattr(self, "_get_closed_form_lr", self.get_lr)()
        self._set(rates)

    def _set(self, rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
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


def as_optimizer(optimizer: Any) -> Optimizer:
    """Refuse what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def one_a_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A number for each group, from one for all of them or a list."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} "
            f"values, param_groups has {count}."
        )
    return list(value)
