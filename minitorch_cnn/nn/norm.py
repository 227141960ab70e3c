"""Normalisation layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

from ..device import Device
from ..dtypes import DType, int64
from ..ops.creation import empty, tensor
from ..ops.norm import count_batch
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]

DeviceLike = str | Device | None


class _Affine(Module):
    """What the layers that scale and shift share: `weight` and `bias`, or None for them."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_affine(self, shape: Any, weight: bool, bias: bool, **factory: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", weight and bias)):
            self.register_parameter(name, Parameter(empty(shape, **factory)) if wanted else None)

    def reset_parameters(self) -> None:
        """Make weight and bias 1 and 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _RunningNorm(_Affine):
    """What batch and instance normalisation share: running statistics, or None for them."""

    _version = 2
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    """None, as the two before, unless `track_running_stats`."""
    dims: ClassVar[tuple[int, ...]]
    """How many dimensions the input may have."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: DeviceLike = None,
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
        self._make_affine(num_features, affine, bias, device=device, dtype=dtype)
        for name in ("running_mean", "running_var"):
            vector = empty(num_features, device=device, dtype=dtype)
            self.register_buffer(name, vector if track_running_stats else None)
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
        super().reset_parameters()

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        # Old states, and such as do not tell their age, need not have counted.
        if self.track_running_stats and local_metadata.get("version", 1) < 2:
            state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in self.dims:
            expected = " or ".join(f"{n}D" for n in self.dims)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    """What the batch normalisations share; they differ in the inputs they take."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            count_batch(self.num_batches_tracked)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        values = self._values("running_mean", "running_var", "weight", "bias")
        training = self.training or values["running_mean"] is None
        if self.training and not self.track_running_stats:
            values["running_mean"] = values["running_var"] = None
        return F.batch_norm(input, **values, training=training, momentum=momentum, eps=self.eps)


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


class _InstanceNorm(_RunningNorm):
    """What the instance normalisations share. The first of `dims` is that of a single image."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: DeviceLike = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        one = input.dim() == self.dims[0]
        dim = 0 if one else 1
        if input.shape[dim] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features "
                    f"({self.num_features}), but got: {input.shape[dim]}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. You can silence this "
                "warning by not passing in num_features, which is not used because affine=False",
                stacklevel=3,
            )
        y = F.instance_norm(
            input.unsqueeze(0) if one else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if one else y


class InstanceNorm2d(_InstanceNorm):
    """Gives every channel of each image mean 0 and variance 1: `BatchNorm2d` for batches of one.

    Unlike there, `affine` and `track_running_stats` are false by default, and then an image's own
    statistics are used in evaluation mode too.

    Shapes: input and output (n, num_features, h, w) or (num_features, h, w). Raises ValueError
    for other dimensions, for images of one pixel in training, and for another number of channels
    if `affine`. From Ulyanov et al., Instance normalization (2016). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.InstanceNorm2d(1)(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    dims = (3, 4)


class InstanceNorm1d(_InstanceNorm):
    """As `InstanceNorm2d` for the channels of sequences.

    Shapes: input and output (n, num_features, length) or (num_features, length).

    >>> import minitorch_cnn as torch
    >>> torch.nn.InstanceNorm1d(2)(torch.tensor([[1.0, 3.0], [4.0, 8.0]]))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    dims = (2, 3)


class GroupNorm(_Affine):
    """Gives every group of channels of each image mean 0 and variance 1, then scale and shift.

    `weight` and `bias`, learnt if `affine`, have an element for each channel; `num_groups` of 1
    takes all channels together, `num_channels` each alone.

    Shapes: input and output (n, num_channels, ..). Raises ValueError unless the groups divide the
    channels. From Wu and He, Group normalization (2018). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.GroupNorm(1, 2)(torch.tensor([[1.0, 3.0]])).detach()
    tensor([[-1.0000,  1.0000]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: DeviceLike = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_affine(num_channels, affine, bias, device=device, dtype=dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class LayerNorm(_Affine):
    """Gives the last dimensions, together, mean 0 and variance 1, then scale and shift.

    `normalized_shape` are their sizes, or the size of the last one; `weight` and `bias`, learnt if
    `elementwise_affine`, have that shape.

    Shapes: input and output (.., *normalized_shape); RuntimeError for others. From Ba et al.,
    Layer normalization (2016). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.LayerNorm(2)(torch.tensor([[1.0, 3.0], [5.0, 9.0]])).detach()
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        self._make_affine(shape, elementwise_affine, bias, device=device, dtype=dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divides by the root of the last dimensions' mean square, then scales.

    `normalized_shape` and `weight` are as in `LayerNorm`; `eps`, added to the mean square, is the
    distance of 1 to the next number if None. From Zhang and Sennrich, Root mean square layer
    normalization (2019). As https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.RMSNorm(2)(torch.tensor([[3.0, -3.0]])).detach()
    tensor([[ 1., -1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: DeviceLike = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(empty(self.normalized_shape, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make the weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class LocalResponseNorm(Module):
    """Divides by (k + alpha m)^beta, m the mean of the squares of `size` neighbouring channels.

    Shapes: input and output (n, c, ..) of 3 dimensions or more; ValueError for fewer. From
    Krizhevsky et al., ImageNet classification with deep convolutional neural networks (2012). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.LocalResponseNorm(2, alpha=1.0, beta=1.0)(torch.ones(1, 2, 1)).flatten()
    tensor([0.6667, 0.5000])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
