"""Normalisation layers."""

from __future__ import annotations

from ..device import Device
from ..dtypes import DType, int64
from ..ops.creation import empty, tensor
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d"]


class _BatchNorm(Module):
    """What the batch normalisations share; they differ in the inputs they take."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    """None, as the two before, unless `track_running_stats`."""
    dims: tuple[int, ...]
    """How many dimensions the input may have."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | Device | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

        def vector() -> Tensor:
            return empty(num_features, device=device, dtype=dtype)

        self.register_parameter("weight", Parameter(vector()) if affine else None)
        self.register_parameter("bias", Parameter(vector()) if affine and bias else None)
        self.register_buffer("running_mean", vector() if track_running_stats else None)
        self.register_buffer("running_var", vector() if track_running_stats else None)
        count = tensor(0, dtype=int64, device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Make weight and bias 1 and 0, and forget the batches seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in self.dims:
            expected = " or ".join(f"{n}D" for n in self.dims)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")
        momentum = 0.0 if self.momentum is None else self.momentum
        tracking = self.training and self.track_running_stats
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        known = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if known else None,
            self.running_var if known else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm2d(_BatchNorm):
    """Gives every channel of a batch mean 0 and variance 1, then a learnt scale and shift.

    y = (x - mean) / sqrt(var + eps) * weight + bias, mean and (biased) variance taken over batch,
    height and width. In evaluation mode running means of both, of which each training batch made
    the fraction `momentum`, take their place; with `momentum` None all batches count alike.

    - `num_features`: channels
    - `affine`, `bias`: whether there are `weight` and `bias`, or the second of them
    - `track_running_stats`: if false, the batch's own statistics are used in evaluation mode too

    Shapes: input and output (n, num_features, h, w). Raises ValueError for other dimensions and
    for training on one value a channel. From Ioffe and Szegedy, Batch normalization (2015). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> norm = nn.BatchNorm2d(3)
    >>> y = norm(5 + 2 * torch.randn(8, 3, 4, 4))
    >>> bool((y.mean((0, 2, 3)).abs() < 1e-5).all())
    True
    """

    dims = (4,)


class BatchNorm1d(_BatchNorm):
    """As `BatchNorm2d` for features, or for channels of sequences.

    Shapes: input and output (n, num_features) or (n, num_features, length).

    >>> import minitorch_cnn as torch
    >>> torch.nn.BatchNorm1d(2)(torch.tensor([[1.0, 5.0], [3.0, 7.0]])).detach()
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])
    """

    dims = (2, 3)
