"""Schedules of cycles, in which the momentum falls while the learning rate rises."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .scheduler import LRScheduler, as_optimizer, one_a_group

__all__ = ["CyclicLR", "OneCycleLR"]

MODES = ("triangular", "triangular2", "exp_range")


class _Cycle(LRScheduler):
    """A schedule of the momentum, too: of `momentum` or of the first of `betas`."""

    use_beta1: bool
    cycle_momentum: bool

    def _begin_momentum(self, base: Any, most: Any, last_epoch: int) -> None:
        """Note the momenta between which the groups' go to and fro, and begin with the greatest."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        self.use_beta1 = "betas" in defaults
        if last_epoch == -1:
            for low, high, group in zip(base, most, self.optimizer.param_groups, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_Cycle):
    """Let the learning rates go to and fro between `base_lr` and `max_lr`, once a batch.

    They rise in `step_size_up` steps and fall in `step_size_down`, as many unless given.
    The height of cycle c is whole in the mode "triangular", 1 / 2**(c - 1) in "triangular2" and
    `gamma`**step in "exp_range", or what `scale_fn` says, of the cycle or of the step
    (`scale_mode` "cycle" or "iterations"). With `cycle_momentum`, the momentum goes between
    `max_momentum` and `base_momentum` the other way. As
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html.
    From Smith, Cyclical learning rates for training neural networks (2015).

    Raises ValueError for an unknown mode without `scale_fn`, for lists that don't fit the groups,
    and for `cycle_momentum` where the optimizer has none.

    >>> import minitorch_cnn as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], momentum=0.9)
    >>> scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.25, 0.75, step_size_up=2)
    >>> rates = []
    >>> for batch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.25, 0.5, 0.75, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = as_optimizer(optimizer)
        if mode not in MODES and scale_fn is None:
            raise ValueError(f"mode {mode!r} is invalid and scale_fn is None; modes are {MODES}")
        base_lrs = one_a_group("base_lr", optimizer, base_lr)
        self.max_lrs = one_a_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                group["lr"] = lr
        up = float(step_size_up)
        self.total_size = up + (float(step_size_down) if step_size_down is not None else up)
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums = one_a_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = one_a_group("max_momentum", optimizer, max_momentum)
            self._begin_momentum(self.base_momentums, self.max_momentums, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of a cycle, of its number or of the step's."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / 2.0 ** (x - 1)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            momenta = zip(self.base_momentums, self.max_momentums, strict=True)
            for (low, high), group in zip(momenta, self.optimizer.param_groups, strict=True):
                self._set_momentum(group, high - (high - low) * height * scale)
        rates = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height * scale for low, high in rates]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of a `scale_fn` what it holds if it is no function."""
        state = super().state_dict()
        scale_fn = self._scale_fn_custom
        held = scale_fn is not None and not isinstance(scale_fn, types.FunctionType)
        state["_scale_fn_custom"] = vars(scale_fn).copy() if held else None
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; a `scale_fn` stays."""
        state = dict(state_dict)
        held = state.pop("_scale_fn_custom")
        super().load_state_dict(state)
        if held is not None:
            vars(self._scale_fn_custom).update(held)


class OneCycleLR(_Cycle):
    """One rise and one fall of the learning rates over the whole training; step once a batch.

    They begin at `max_lr` / `div_factor`, are at `max_lr` after the fraction `pct_start` of the
    steps, and end at the first divided by `final_div_factor`, along a cosine or a line
    (`anneal_strategy` "cos", "linear"). With `three_phase` they fall to the first as fast as they
    rose before they end. The number of steps is `total_steps` or `epochs` * `steps_per_epoch`. With
    `cycle_momentum`, the momentum goes from `max_momentum` to `base_momentum` and back. As
    https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html. From
    Smith and Topin, Super-convergence: very fast training of neural networks using large learning
    rates (2017).

    Raises ValueError for numbers of steps that are missing or not positive, a `pct_start` outside 0
    and 1, an unknown strategy, lists that don't fit the groups, `cycle_momentum` where the
    optimizer has none, and a step beyond the last.

    >>> import minitorch_cnn as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], momentum=0.9)
    >>> scheduler = torch.optim.lr_scheduler.OneCycleLR(
    ...     optimizer, max_lr=1.0, total_steps=4, pct_start=0.5, div_factor=2, final_div_factor=2
    ... )
    >>> rates = []
    >>> for batch in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 1.0, 0.625, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = as_optimizer(optimizer)
        if total_steps is not None:
            self.total_steps = _positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _positive("epochs", epochs)
            self.total_steps *= _positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy!r}"
            )
        # Of each phase: its last step; the rates and momenta at which it begins and ends.
        top, end = float(pct_start * self.total_steps) - 1, self.total_steps - 1
        rise = (top, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if three_phase:
            fallen = float(2 * pct_start * self.total_steps) - 2
            fall = (fallen, "max_lr", "initial_lr", "base_momentum", "max_momentum")
            last = (end, "initial_lr", "min_lr", "max_momentum", "max_momentum")
            self._phases = [rise, fall, last]
        else:
            self._phases = [rise, (end, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        self._anneal_func_type = anneal_strategy
        max_lrs = one_a_group("max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            most = one_a_group("max_momentum", optimizer, max_momentum)
            base = one_a_group("base_momentum", optimizer, base_momentum)
            self._begin_momentum(base, most, last_epoch)
        if last_epoch == -1:
            for lr, group in zip(max_lrs, optimizer.param_groups, strict=True):
                group["initial_lr"] = lr / div_factor
                group["max_lr"] = lr
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        begin = 0.0
        for phase in self._phases:
            end, first_lr, last_lr, first_momentum, last_momentum = phase
            if step <= end or phase is self._phases[-1]:
                break
            begin = end
        fraction = (step - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._anneal(group[first_lr], group[last_lr], fraction))
            if self.cycle_momentum:
                start, stop = group[first_momentum], group[last_momentum]
                self._set_momentum(group, self._anneal(start, stop, fraction))
        return rates

    def _anneal(self, start: float, end: float, fraction: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * fraction) + 1)
        return (end - start) * fraction + start


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value
