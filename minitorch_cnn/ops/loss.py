"""Softmax and the losses."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from .. import dtypes
from ..autograd.op import Attributes, Op, Result
from ..dtypes import DType, as_dtype
from ..tensor import Form, Tensor, form, method
from .conv import integer
from .creation import arange, rand_like
from .matmul import require_floating
from .operands import cast
from .reduce import argmax, mean, sum
from .shape import broadcast_tensors, dimension, dimension_of, reshape

REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


class Softmax(Op):
    """y = e^x / sum e^x along a dimension"""

    kernel = "loss.softmax"
    parameters = ("dim",)

    @staticmethod
    def outputs(x: Tensor, *, dim: int) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return SoftmaxGrad.apply(gy, y, dim=self.attrs["dim"])


class SoftmaxGrad(Op):
    """gx = y (gy - sum gy y)"""

    kernel = "loss.softmax_grad"
    parameters = ("dim",)
    results_named = ("gx",)

    @staticmethod
    def outputs(gy: Tensor, y: Tensor, *, dim: int) -> Result:
        return y._buffer.shape, y.dtype

    def grad_gy(self, g: Tensor, y: Tensor) -> Tensor:
        return SoftmaxGrad.apply(g, y, dim=self.attrs["dim"])

    def grad_y(self, g: Tensor, gy: Tensor, y: Tensor) -> Tensor:
        dim = self.attrs["dim"]
        return g * (gy - sum(gy * y, dim, keepdim=True)) - gy * sum(g * y, dim, keepdim=True)


class LogSoftmax(Op):
    """y = x - log sum e^x along a dimension"""

    kernel = "loss.log_softmax"
    parameters = ("dim",)

    @staticmethod
    def outputs(x: Tensor, *, dim: int) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return LogSoftmaxGrad.apply(gy, y, dim=self.attrs["dim"])


class LogSoftmaxGrad(Op):
    """gx = gy - e^y sum gy"""

    kernel = "loss.log_softmax_grad"
    parameters = ("dim",)
    results_named = ("gx",)

    @staticmethod
    def outputs(gy: Tensor, y: Tensor, *, dim: int) -> Result:
        return y._buffer.shape, y.dtype

    def grad_gy(self, g: Tensor, y: Tensor) -> Tensor:
        return g - sum(g * y.exp(), self.attrs["dim"], keepdim=True)

    def grad_y(self, g: Tensor, gy: Tensor, y: Tensor) -> Tensor:
        return -g * y.exp() * sum(gy, self.attrs["dim"], keepdim=True)


class LabelledLoss(Op):
    """A loss for labels (n, ..) of x (n, c, ..): none, averaged or summed; and the total of the
    labels' weights"""

    parameters = ("ignore_index", "reduction", "label_smoothing")
    shown = 1

    @property
    def options(self) -> dict[str, Any]:
        """The parameters of this call, for ops that share them."""
        return {name: self.attrs[name] for name in self.parameters}


class NllLoss(LabelledLoss):
    """y = -weight[target] logp[target], smoothed"""

    kernel = "loss.nll_loss"
    results_named = ("y", "total")

    @staticmethod
    def outputs(
        logp: Tensor,
        target: Tensor,
        weight: Tensor | None,
        *,
        ignore_index: int,
        reduction: int,
        label_smoothing: float,
    ) -> list[Result]:
        shape = () if reduction else target._buffer.shape
        return [(shape, logp.dtype), ((), logp.dtype)]

    def grad_logp(self, gy: Tensor, target: Tensor, weight: Tensor | None, total: Tensor) -> Tensor:
        return NllLossGrad.apply(gy, target, weight, total, size=self.shapes[0], **self.attrs)


class NllLossGrad(LabelledLoss):
    """glogp = the adjoint of nll_loss, which is linear in logp"""

    kernel = "loss.nll_loss_grad"

    @staticmethod
    def outputs(
        gy: Tensor,
        target: Tensor,
        weight: Tensor | None,
        total: Tensor,
        *,
        size: tuple[int, ...],
        ignore_index: int,
        reduction: int,
        label_smoothing: float,
    ) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        return NllLoss.apply(g, target, weight, **self.options)


class CrossEntropy(LabelledLoss):
    """y = nll_loss(log_softmax(x)); and p = softmax(x)"""

    kernel = "loss.cross_entropy"
    results_named = ("y", "total", "p")

    @staticmethod
    def outputs(
        x: Tensor,
        target: Tensor,
        weight: Tensor | None,
        *,
        ignore_index: int,
        reduction: int,
        label_smoothing: float,
    ) -> list[Result]:
        shape = () if reduction else target._buffer.shape
        return [(shape, x.dtype), ((), x.dtype), (x._buffer.shape, x.dtype)]

    def grad_x(
        self,
        gy: Tensor,
        x: Tensor,
        target: Tensor,
        weight: Tensor | None,
        total: Tensor,
        p: Tensor,
    ) -> Tensor:
        return CrossEntropyGrad.apply(gy, x, target, weight, total, p, given=self.attrs)


class CrossEntropyGrad(LabelledLoss):
    """gx = g - p sum g, g = the gradient of nll_loss. It depends on x by way of p = softmax(x)."""

    kernel = "loss.cross_entropy_grad"

    @staticmethod
    def outputs(
        gy: Tensor,
        x: Tensor,
        target: Tensor,
        weight: Tensor | None,
        total: Tensor,
        p: Tensor,
        *,
        ignore_index: int,
        reduction: int,
        label_smoothing: float,
    ) -> Result:
        return x._buffer.shape, x.dtype

    def grad_gy(self, g: Tensor, x: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        along = g - sum(g * softmax(x, 1), 1, keepdim=True)
        return NllLoss.apply(along, target, weight, **self.options)

    def grad_x(
        self,
        g: Tensor,
        gy: Tensor,
        x: Tensor,
        target: Tensor,
        weight: Tensor | None,
        total: Tensor,
    ) -> Tensor:
        size = self.shapes[1]
        g_logp = NllLossGrad.apply(gy, target, weight, total, size=size, **self.options)
        weighted = g * sum(g_logp, 1, keepdim=True)
        return -SoftmaxGrad.apply(weighted, softmax(x, 1), dim=1)


class ElementwiseLoss(Op):
    """y = a loss of each x and its target t"""

    @classmethod
    def outputs(cls, x: Tensor, t: Tensor) -> Result:
        return x._buffer.shape, x.dtype


class SquaredError(ElementwiseLoss):
    """y = (x - t)^2"""

    kernel = "loss.mse_loss"

    def grad_x(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * (x - t) * 2

    def grad_t(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * (t - x) * 2


class AbsoluteError(ElementwiseLoss):
    """y = |x - t|"""

    kernel = "loss.l1_loss"

    def grad_x(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * (x - t).sign()

    def grad_t(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * (t - x).sign()


class BinaryCrossEntropy(ElementwiseLoss):
    """y = -t ln x - (1 - t) ln(1 - x), the logarithms not below -100"""

    kernel = "loss.binary_cross_entropy"

    def grad_x(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * (x - t) / ((1 - x) * x).clamp(min=1e-12)  # PyTorch's bound

    def grad_t(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * ((1 - x).log().clamp(min=-100) - x.log().clamp(min=-100))


class BinaryCrossEntropyWithLogits(ElementwiseLoss):
    """y = (1 - t) x + ln(1 + e^-x), without overflow"""

    kernel = "loss.binary_cross_entropy_with_logits"

    def grad_x(self, gy: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return gy * (x.sigmoid() - t)

    def grad_t(self, gy: Tensor, x: Tensor) -> Tensor:
        return -gy * x


# ---------------------------------------------------------------------- softmax


def _along(op: type[Op], name: str, input: Tensor, dim: int | None, dtype: DType | None) -> Tensor:
    if dim is None:
        raise TypeError(f"{name}: give the dimension along which to normalise as dim")
    x = input if dtype is None else cast(input, as_dtype(dtype))
    return op.apply_one(x, _normalising(name, form(x), dim))


@lru_cache(maxsize=4096, typed=True)
def _normalising(name: str, x: Form, dim: int) -> Attributes:
    """The attributes of a call for what has this form, if it fits."""
    require_floating(name, x)
    return Attributes(dim=dimension_of(len(x.shape), dim))


@method("softmax")
def softmax(input: Tensor, dim: int | None = None, *, dtype: DType | None = None) -> Tensor:
    """e^x / sum e^x along a dimension: positive numbers that sum to 1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html

    >>> import minitorch_cnn as torch
    >>> torch.softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return _along(Softmax, "softmax", input, dim, dtype)


@method("log_softmax")
def log_softmax(input: Tensor, dim: int | None = None, *, dtype: DType | None = None) -> Tensor:
    """The logarithm of softmax, exact where softmax itself is nearly 0.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html
    """
    return _along(LogSoftmax, "log_softmax", input, dim, dtype)


def softmin(input: Tensor, dim: int | None = None, *, dtype: DType | None = None) -> Tensor:
    """Softmax of -x: the smallest element has the largest share."""
    return softmax(-input, dim, dtype=dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Draws of one of several, differentiable: softmax((logits + g) / tau), g from Gumbel's
    distribution; if `hard`, its largest element is 1 and the others 0, with the same gradient.

    `eps` is without effect, as in PyTorch. Jang et al., Categorical reparameterization with
    Gumbel-softmax, 2016.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html
    """
    require_floating("gumbel_softmax", logits)
    exponential = -rand_like(logits).log()
    soft = softmax((logits - exponential.log()) / tau, dim)
    if not hard:
        return soft
    d = dimension(soft, dim)
    places = arange(soft.shape[d], device=soft.device)
    places = reshape(places, *[-1 if i == d else 1 for i in range(soft.ndim)])
    one = cast(places == argmax(soft, d, keepdim=True), soft.dtype)
    return one - soft.detach() + soft


# ---------------------------------------------------------------------- losses


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their mean or their sum."""
    check_reduction(reduction)
    return losses if reduction == "none" else (mean if reduction == "mean" else sum)(losses)


def check_reduction(reduction: str) -> None:
    """Refuse what is no reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction!r} is not a valid reduction: 'none', 'mean' and 'sum' are")


def _matched(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    require_floating(name, input, target)
    if input._buffer.shape != target._buffer.shape:
        warnings.warn(
            f"{name}: Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting.",
            stacklevel=3,
        )
    x, t = broadcast_tensors(input, target)
    return x, t


def _weighted(losses: Tensor, weight: Tensor | None, reduction: str, *, mean: bool) -> Tensor:
    """The losses times their weights, reduced; by `mean`, a mean is over the weights."""
    if weight is None:
        return reduced(losses, reduction)
    if weight._buffer.shape != losses._buffer.shape:
        raise ValueError(
            f"Weights and input must have the same size, got {weight.shape} and {losses.shape}"
        )
    if mean and reduction == "mean":
        return sum(losses * weight) / sum(weight)
    return reduced(losses * weight, reduction)


def mse_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """(input - target)^2

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html
    """
    losses = SquaredError.apply(*_matched("mse_loss", input, target))
    return _weighted(losses, weight, reduction, mean=True)


def l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """|input - target|

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html
    """
    losses = AbsoluteError.apply(*_matched("l1_loss", input, target))
    return _weighted(losses, weight, reduction, mean=True)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d^2 / 2 for distances d = |input - target| up to delta, above it delta (d - delta / 2).

    Huber, Robust estimation of a location parameter, 1964.
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html
    """
    if not delta > 0:
        raise RuntimeError(
            f"huber_loss does not support non-positive values for delta, got {delta}"
        )
    losses = _bent(*_matched("huber_loss", input, target), float(delta))
    return _weighted(losses, weight, reduction, mean=False)


def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """d^2 / (2 beta) for distances d = |input - target| up to beta, above it d - beta / 2.

    Girshick, Fast R-CNN, 2015.
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.smooth_l1_loss.html
    """
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    losses = _bent(*_matched("smooth_l1_loss", input, target), float(beta))
    return reduced(losses / beta, reduction)


def _bent(input: Tensor, target: Tensor, knee: float) -> Tensor:
    """d^2 / 2 up to the knee, and then straight on; d = |input - target|"""
    d = (input - target).abs()
    near = d.clamp(max=knee)
    return near * (d - near * 0.5)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-target ln(input) - (1 - target) ln(1 - input), for probabilities; logarithms not below -100.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html
    """
    _same_shape("binary_cross_entropy", input, target)
    values = input._host()
    if not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError("binary_cross_entropy: all elements of input should be between 0 and 1")
    losses = BinaryCrossEntropy.apply(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of sigmoid(input), without the loss of accuracy by way of it.

    `pos_weight` multiplies the losses of the targets that are 1, one weight a class.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html
    """
    _same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        losses = BinaryCrossEntropyWithLogits.apply(input, target)
    else:
        ones = (target * 0) + 1
        positive = BinaryCrossEntropyWithLogits.apply(input, ones)
        negative = BinaryCrossEntropyWithLogits.apply(input, target * 0)
        losses = target * pos_weight * positive + (1 - target) * negative
    return reduced(losses if weight is None else losses * weight, reduction)


def _same_shape(name: str, input: Tensor, target: Tensor) -> None:
    if input._buffer.shape != target._buffer.shape:
        raise ValueError(
            f"{name}: Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    require_floating(name, input, target)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-weight[target] input[target], for logarithms of probabilities.

    Shapes: input (c) or (n, c) or (n, c, ..), target () or (n) or (n, ..) of int64. The mean is
    over the weights; targets equal to `ignore_index` count for nothing.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html
    """
    return _labelled(NllLoss, "nll_loss", input, target, weight, ignore_index, reduction, 0.0)


def _labelled(
    op: type[LabelledLoss],
    name: str,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """A loss for labels of input (c) or (n, c) or (n, c, ..), its arguments checked."""
    if type(ignore_index) is not int:
        ignore_index = integer(f"{name}: ignore_index", ignore_index)
    given = _labelling(
        name,
        input._form or form(input),
        target._form or form(target),
        None if weight is None else form(weight),
        ignore_index,
        reduction,
        float(label_smoothing),
    )
    if target.dtype is not dtypes.int64:
        target = cast(target, dtypes.int64)
    if input._buffer.ndim > 1:
        return op.apply(input, target, weight, given=given)
    rows = reshape(input, 1, input._buffer.shape[0])
    y = op.apply(rows, reshape(target, 1), weight, given=given)
    return reshape(y, ()) if reduction == "none" else y


@lru_cache(maxsize=4096, typed=True)
def _labelling(
    name: str,
    input: Form,
    target: Form,
    weight: Form | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Attributes:
    """The attributes of a loss for labels of what has these forms, if they fit."""
    _check_smoothed(reduction, label_smoothing)
    shape = input.shape
    if not shape or target.shape != (shape[:1] + shape[2:] if len(shape) > 1 else ()):
        raise ValueError(
            f"{name}: target of shape {list(target.shape)} does not fit input of shape "
            f"{list(shape)}"
        )
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(f"{name}: expected class indices of type int64, not {target.dtype}")
    require_floating(name, input, weight)
    _check_weight(name, weight, shape[0 if len(shape) == 1 else 1])
    return Attributes(
        ignore_index=ignore_index,
        reduction=REDUCTIONS[reduction],
        label_smoothing=label_smoothing,
    )


def _check_weight(name: str, weight: Tensor | Form | None, classes: int) -> None:
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"{name}: weight tensor should be defined either for all {classes} classes or no "
            f"classes but got weight tensor of shape: {list(weight.shape)}"
        )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-likelihood of the targets under softmax(input).

    Shapes: input (c) or (n, c) or (n, c, ..); target holds class indices of int64, () or (n) or
    (n, ..), or probabilities of classes in the input's shape. `weight` is a factor for each class,
    `label_smoothing` the share of every target that is spread evenly over the classes.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.cross_entropy(torch.zeros(1, 10), torch.tensor([3]))
    tensor(2.3026)
    """
    if target.dtype.is_floating_point:
        _check_smoothed(reduction, label_smoothing)
        dim = 0 if input.ndim == 1 else 1
        logp = log_softmax(input, dim)
        return _soft_cross_entropy(logp, target, weight, reduction, label_smoothing, dim)
    options = ignore_index, reduction, label_smoothing
    return _labelled(CrossEntropy, "cross_entropy", input, target, weight, *options)


def _check_smoothed(reduction: str, label_smoothing: float) -> None:
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")


def _soft_cross_entropy(
    logp: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
    dim: int,
) -> Tensor:
    """The loss for targets that are probabilities."""
    if target._buffer.shape != logp._buffer.shape:
        raise RuntimeError(
            f"cross_entropy: probabilities of shape {list(target.shape)} do not fit input of "
            f"shape {list(logp.shape)}"
        )
    require_floating("cross_entropy", logp, target, weight)
    classes = logp._buffer.shape[dim]
    _check_weight("cross_entropy", weight, classes)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = logp * target
    if weight is not None:
        terms = terms * _per_class(weight, logp, dim)
    if reduction == "none":
        return -sum(terms, dim)
    total = -sum(terms)
    return total if reduction == "sum" else total / (logp.numel() / classes)


def _per_class(weight: Tensor, like: Tensor, dim: int) -> Tensor:
    """A weight a class, laid along the classes' dimension."""
    return reshape(weight, *[-1 if d == dim else 1 for d in range(like.ndim)])
