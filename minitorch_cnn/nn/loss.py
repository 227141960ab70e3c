"""Losses: `nn.functional`'s, as modules."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
]


class CrossEntropyLoss(Module):
    """How far class scores are from the true classes: -log softmax(input)[target].

    - `weight`: a factor for each class
    - `ignore_index`: a target that counts for nothing
    - `reduction`: "mean" (over the weights of the targets), "sum" or "none"
    - `label_smoothing`: the share of each target that is spread over all classes

    Shapes: input (n, classes) or (n, classes, ...); target (n) or (n, ...) of class numbers, or of
    the input's shape, of probabilities. Output a number, or with "none" (n) or (n, ...). Options
    are given by name. As https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.CrossEntropyLoss()(torch.zeros(3, 10), torch.tensor([4, 0, 9]))
    tensor(2.3026)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Module):
    """-input[target], for an input of log-probabilities; otherwise as `CrossEntropyLoss`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.NLLLoss()(torch.tensor([[-1.0, -0.5]]), torch.tensor([1]))
    tensor(0.5000)
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(Module):
    """(input - target)**2, of which `reduction` takes the "mean", the "sum" or ("none") each.

    >>> import minitorch_cnn as torch
    >>> torch.nn.MSELoss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Module):
    """|input - target|, of which `reduction` takes the "mean", the "sum" or ("none") each.

    >>> import minitorch_cnn as torch
    >>> torch.nn.L1Loss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class BCELoss(Module):
    """How far probabilities are from those of the target, for two classes.

    -weight * (target * log(input) + (1 - target) * log(1 - input)), logarithms not below -100, of
    which `reduction` takes the "mean", the "sum" or ("none") each. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.BCELoss()(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Module):
    """`BCELoss` of sigmoid(input), computed together and so without overflow.

    `pos_weight` is a factor for the targets' positive part. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.BCEWithLogitsLoss()(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input,
            target,
            weight=self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
        )
