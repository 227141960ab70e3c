"""Averages of a model's weights over the training."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from ..autograd import no_grad
from ..device import Device
from ..dtypes import int64
from ..nn.module import Module
from ..nn.norm import _BatchNorm as BatchNorm
from ..ops.creation import tensor
from ..tensor import Tensor
from .lr_scheduler.scheduler import LRScheduler, one_a_group
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """An exponential average for `AveragedModel`: decay * average + (1 - decay) * parameter.

    Raises ValueError for a decay outside [0, 1].

    >>> import minitorch_cnn as torch
    >>> average = torch.optim.swa_utils.get_ema_avg_fn(0.75)
    >>> average(torch.tensor([4.0]), torch.tensor([8.0]), 1)
    tensor([5.])
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Average:
    """The mean for `AveragedModel`: average + (parameter - average) / (num_averaged + 1).

    >>> import minitorch_cnn as torch
    >>> average = torch.optim.swa_utils.get_swa_avg_fn()
    >>> average(torch.tensor([4.0]), torch.tensor([8.0]), 1)
    tensor([6.])
    """

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` of lists of tensors, in place.

    Raises ValueError for a decay outside [0, 1].
    """
    _check_decay(decay)

    def toward(num_averaged: Any) -> float:
        return 1 - decay

    return _of_lists(toward, get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` of lists of tensors, in place."""

    def toward(num_averaged: Any) -> float:
        return 1 / (float(num_averaged) + 1)

    return _of_lists(toward, get_swa_avg_fn())


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def _of_lists(toward: Callable[[Any], float], otherwise: Average) -> MultiAverage:
    """Floats move toward the new values by a fraction; for other types there is a formula."""

    @no_grad()
    def update(averages: list[Tensor], values: list[Tensor], num_averaged: Any) -> None:
        fraction = toward(num_averaged)
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.add_((value - average) * fraction)
            else:
                average.copy_(otherwise(average, value, num_averaged))

    return update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those that the model has had.

    `update_parameters(model)` takes the present ones in: into the mean or, given `avg_fn(average,
    parameter, num_averaged)`, into what it returns; `multi_avg_fn` takes lists of them and works in
    place. Buffers are copied or, with `use_buffers`, averaged as well. `forward` is the copy's. As
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html. From
    Izmailov et al., Averaging weights leads to wider optima and better generalization (2018).

    Raises AssertionError for both functions at once.

    >>> import minitorch_cnn as torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> averaged = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = torch.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged(torch.ones(1, 1))
    tensor([[2.]], grad_fn=<LinearBackward0>)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: str | Device | None = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of a model, or those of another of its kind, in."""
        own = [p.detach() for p in self._averaged(self.module)]
        others = [p.detach().to(o.device) for o, p in zip(own, self._averaged(model))]
        if int(self.n_averaged) == 0:
            for average, value in zip(own, others):
                average.copy_(value)
        elif self.avg_fn is not None:
            for average, value in zip(own, others):
                average.copy_(self.avg_fn(average, value, self.n_averaged.to(average.device)))
        else:
            kinds: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
            for average, value in zip(own, others):
                pair = kinds.setdefault((average.device, average.dtype), ([], []))
                pair[0].append(average)
                pair[1].append(value)
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for (device, _), (averages, values) in kinds.items():
                update(averages, values, self.n_averaged.to(device))
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.detach().copy_(theirs.detach().to(mine.device))
        self.n_averaged += 1

    def _averaged(self, model: Module) -> Iterable[Tensor]:
        if self.use_buffers:
            return chain(model.parameters(), model.buffers())
        return model.parameters()


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: str | Device | None = None) -> None:
    """Compute the running statistics of a model's batch norms anew, as means over a loader.

    Of a batch that is a list or tuple the first entry is the input. As
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.update_bn.html.

    >>> import minitorch_cnn as torch
    >>> model = torch.nn.BatchNorm2d(1)
    >>> batches = [torch.full((2, 1, 1, 1), 1.0), torch.full((2, 1, 1, 1), 3.0)]
    >>> torch.optim.swa_utils.update_bn(batches, model)
    >>> model.running_mean
    tensor([2.])
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    if not norms:
        return
    was_training, momenta = model.training, [norm.momentum for norm in norms]
    model.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for batch in loader:
            images = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(images if device is None else images.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Go from the present learning rates to `swa_lr` within `anneal_epochs`, and stay there.

    Along a cosine or a line (`anneal_strategy` "cos", "linear"). As
    https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.SWALR.html.

    Raises ValueError for an unknown strategy, a negative number of epochs, and another number of
    rates than groups.

    >>> import minitorch_cnn as torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = torch.optim.swa_utils.SWALR(optimizer, 0.5, 2, anneal_strategy="linear")
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        rates = one_a_group("swa_lr", optimizer, swa_lr)
        for lr, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, swa_lr = group["lr"], group["swa_lr"]
            first = swa_lr if before == 1 else (lr - before * swa_lr) / (1 - before)
            rates.append(swa_lr * now + first * (1 - now))
        return rates

    def _share(self, step: int) -> float:
        """How much of the way is done, as a share of the rate at its end."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t
