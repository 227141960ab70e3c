"""Losses: `nn.functional`'s, as modules.

A loss is its function and its options: their names and defaults are the constructor's. Those that
PyTorch puts after its deprecated `size_average` and `reduce`, which are not here, go by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..tensor import Tensor
from . import functional as F
from .distance import PairwiseDistance
from .module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]

Distance = Callable[[Tensor, Tensor], Tensor]


class _Loss(Module):
    """A function of tensors, whose options are the module's attributes; weights are buffers."""

    function: ClassVar[Callable[..., Tensor]]
    """Static method: function(*inputs, **options)"""
    reduction: str

    def __init__(self, **options: Any) -> None:
        super().__init__()
        for name, value in options.items():
            if name in ("weight", "pos_weight"):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)
        self._options = tuple(options)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        return self.function(*inputs, **named, **self._values(*self._options))


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"expected margin to be greater than 0, got {margin} instead")


class CrossEntropyLoss(_Loss):
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

    function = staticmethod(F.cross_entropy)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )

    # By place and from where they are kept, which takes less time than by name.
    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        own = self.__dict__
        try:
            weight = own["_buffers"]["weight"]
        except KeyError:  # somebody made it a parameter
            weight = self.weight
        options = own["ignore_index"], own["reduction"], own["label_smoothing"]
        return F.cross_entropy(input, target, weight, *options)


class NLLLoss(_Loss):
    """-input[target], for an input of log-probabilities; otherwise as `CrossEntropyLoss`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.NLLLoss()(torch.tensor([[-1.0, -0.5]]), torch.tensor([1]))
    tensor(0.5000)
    """

    function = staticmethod(F.nll_loss)

    def __init__(
        self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction)


class MSELoss(_Loss):
    """(input - target)**2, of which `reduction` takes the "mean", the "sum" or ("none") each.

    >>> import minitorch_cnn as torch
    >>> torch.nn.MSELoss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """

    function = staticmethod(F.mse_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class L1Loss(_Loss):
    """|input - target|, of which `reduction` takes the "mean", the "sum" or ("none") each.

    >>> import minitorch_cnn as torch
    >>> torch.nn.L1Loss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(1.)
    """

    function = staticmethod(F.l1_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class SmoothL1Loss(_Loss):
    """d^2 / (2 beta) for distances d up to `beta`, above it d - beta / 2.

    From Girshick, Fast R-CNN (2015).

    >>> import minitorch_cnn as torch
    >>> torch.nn.SmoothL1Loss()(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 3.0]))
    tensor(1.5000)
    """

    function = staticmethod(F.smooth_l1_loss)

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction, beta=beta)


class HuberLoss(_Loss):
    """d^2 / 2 for distances d up to `delta`, above it delta (d - delta / 2).

    From Huber, Robust estimation of a location parameter (1964). Raises TypeError for a `delta`
    that is no number.

    >>> import minitorch_cnn as torch
    >>> torch.nn.HuberLoss()(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 3.0]))
    tensor(1.5000)
    """

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        if not isinstance(delta, (float, int)):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction, delta=delta)


class KLDivLoss(_Loss):
    """target (ln target - input), for an input of logarithms of probabilities.

    `log_target` says that the target's logarithms are given. The reduction may also be
    "batchmean", the sum divided by the first dimension's size. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.KLDivLoss(reduction="sum")(torch.zeros(1), torch.tensor([0.5]))
    tensor(-0.3466)
    """

    function = staticmethod(F.kl_div)

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction, log_target=log_target)


class BCELoss(_Loss):
    """How far probabilities are from those of the target, for two classes.

    -weight * (target * log(input) + (1 - target) * log(1 - input)), logarithms not below -100, of
    which `reduction` takes the "mean", the "sum" or ("none") each. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.BCELoss()(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    function = staticmethod(F.binary_cross_entropy)

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(weight=weight, reduction=reduction)


class BCEWithLogitsLoss(_Loss):
    """`BCELoss` of sigmoid(input), computed together and so without overflow.

    `pos_weight` is a factor for the targets' positive part. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.BCEWithLogitsLoss()(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)


class PoissonNLLLoss(_Loss):
    """How improbable counts are under Poisson's distribution of this mean or, if `log_input`, of
    a mean with this logarithm; `full` adds Stirling's term for targets above 1.

    As https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.PoissonNLLLoss()(torch.tensor([0.0]), torch.tensor([3.0]))
    tensor(1.)
    """

    function = staticmethod(F.poisson_nll_loss)

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(log_input=log_input, full=full, eps=eps, reduction=reduction)


class GaussianNLLLoss(_Loss):
    """How improbable targets are under normal distributions of these means and variances.

    Called with input, target and variances, which are of the input's shape or have 1 or no size
    in its last dimension; below `eps` they count as that. `full` adds ln(2 pi) / 2. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.GaussianNLLLoss()(torch.tensor([0.0]), torch.tensor([2.0]), torch.tensor([1.0]))
    tensor(2.)
    """

    function = staticmethod(F.gaussian_nll_loss)

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(full=full, eps=eps, reduction=reduction)


class SoftMarginLoss(_Loss):
    """ln(1 + e^(-target input)), for targets of 1 and -1.

    >>> import minitorch_cnn as torch
    >>> torch.nn.SoftMarginLoss()(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0]))
    tensor(0.4100)
    """

    function = staticmethod(F.soft_margin_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class MarginRankingLoss(_Loss):
    """max(0, margin - target (input1 - input2)): the first should be larger where the target
    is 1, smaller where it is -1.

    >>> import minitorch_cnn as torch
    >>> rank = torch.nn.MarginRankingLoss(1.0)
    >>> rank(torch.tensor([2.0]), torch.tensor([1.5]), torch.tensor([1.0]))
    tensor(0.5000)
    """

    function = staticmethod(F.margin_ranking_loss)

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


class HingeEmbeddingLoss(_Loss):
    """The input, a distance, where the target is 1, and max(0, margin - input) where it is -1.

    >>> import minitorch_cnn as torch
    >>> torch.nn.HingeEmbeddingLoss()(torch.tensor([0.25, 0.25]), torch.tensor([1.0, -1.0]))
    tensor(0.5000)
    """

    function = staticmethod(F.hinge_embedding_loss)

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


class CosineEmbeddingLoss(_Loss):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1; cos is that of the
    angle between the inputs.

    Shapes: inputs (n, d) and target (n), or (d) and ().

    >>> import minitorch_cnn as torch
    >>> x = torch.eye(2)
    >>> torch.nn.CosineEmbeddingLoss()(x, x, torch.tensor([1.0, -1.0]))
    tensor(0.5000)
    """

    function = staticmethod(F.cosine_embedding_loss)

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


class MultiMarginLoss(_Loss):
    """sum over i of max(0, margin - x[target] + x[i])^p / classes, for i other than the target.

    Shapes: input (n, c) and target (n) of int64, or (c) and (). `weight` is a factor for each
    class as target. Raises ValueError for other `p` than 1 and 2.

    >>> import minitorch_cnn as torch
    >>> torch.nn.MultiMarginLoss()(torch.tensor([[0.5, 1.0]]), torch.tensor([0]))
    tensor(0.7500)
    """

    function = staticmethod(F.multi_margin_loss)

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
    ) -> None:
        if p not in (1, 2):
            raise ValueError(f"only p == 1 and p == 2 supported, not {p}")
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D"
            )
        super().__init__(p=p, margin=margin, weight=weight, reduction=reduction)


class MultiLabelMarginLoss(_Loss):
    """sum of max(0, 1 - x[j] + x[i]) / classes over targets j and all i that are none.

    Shapes: input and target (n, c) or (c); the target's rows are class indices up to the first -1.

    >>> import minitorch_cnn as torch
    >>> torch.nn.MultiLabelMarginLoss()(torch.tensor([0.5, 1.0]), torch.tensor([0, -1]))
    tensor(0.7500)
    """

    function = staticmethod(F.multilabel_margin_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class MultiLabelSoftMarginLoss(_Loss):
    """The mean over classes of binary cross-entropy with logits: several labels to an input.

    Shapes: input and target (.., c); `weight` is a factor for each class.

    >>> import minitorch_cnn as torch
    >>> torch.nn.MultiLabelSoftMarginLoss()(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """

    function = staticmethod(F.multilabel_soft_margin_loss)

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(weight=weight, reduction=reduction)


class TripletMarginLoss(_Loss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d of the norm of order `p`.

    With `swap`, d(positive, negative) is taken where it is less than d(anchor, negative). From
    Balntas et al., Learning local feature descriptors with triplets (2016). Shapes: (n, d) or (d).
    Raises ValueError unless the margin is positive. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html.

    >>> import minitorch_cnn as torch
    >>> x = torch.tensor([[0.0, 0.0]])
    >>> torch.nn.TripletMarginLoss()(x, x, x + 3.0)
    tensor(0.)
    """

    function = staticmethod(F.triplet_margin_loss)

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        _check_margin(margin)
        super().__init__(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` for any distance of two batches of vectors, `PairwiseDistance` if None.

    >>> import minitorch_cnn as torch
    >>> farthest = torch.nn.TripletMarginWithDistanceLoss(
    ...     distance_function=lambda a, b: (a - b).abs().amax(1)
    ... )
    >>> x = torch.tensor([[0.0, 0.0]])
    >>> farthest(x, x + 2.0, x + 1.0)
    tensor(2.)
    """

    function = staticmethod(F.triplet_margin_with_distance_loss)

    def __init__(
        self,
        *,
        distance_function: Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        _check_margin(margin)
        if distance_function is None:
            distance_function = PairwiseDistance()
        super().__init__(
            distance_function=distance_function, margin=margin, swap=swap, reduction=reduction
        )
