"""Normalisation: of batches, and of groups, layers and instances by way of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import grad
from ..autograd.graph import GradMode
from ..autograd.op import Attributes, Op, Result
from ..device import Device, launch
from ..tensor import Form, Size, Tensor, form
from .matmul import require_floating
from .pool import avg_pool2d
from .reduce import mean as average
from .shape import narrow, reshape


class BatchNorm(Op):
    """y = (x - mean) invstd weight + bias over each channel of (n, c, ..); with mean and invstd"""

    kernel = "norm.batch_norm"
    parameters = ("eps",)
    results_named = ("y", "mean", "invstd")

    @staticmethod
    def outputs(
        x: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float
    ) -> list[Result]:
        channels = (x._buffer.shape[1],)
        return [(x._buffer.shape, x.dtype), (channels, x.dtype), (channels, x.dtype)]

    def grads(
        self, gy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, invstd: Tensor
    ) -> Any:
        eps = self.attrs["eps"]
        return BatchNormGrad.apply(gy, x, weight, mean, invstd, eps=eps, training=True)


class RunningNorm(Op):
    """y = (x - mean) invstd weight + bias, invstd = 1 / sqrt(var + eps); with invstd"""

    kernel = "norm.running_norm"
    parameters = ("eps",)
    results_named = ("y", "invstd")
    shown = 1

    @staticmethod
    def outputs(
        x: Tensor,
        mean: Tensor,
        var: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        *,
        eps: float,
    ) -> list[Result]:
        return [(x._buffer.shape, x.dtype), (var._buffer.shape, x.dtype)]

    def grads(
        self, gy: Tensor, x: Tensor, mean: Tensor, weight: Tensor | None, invstd: Tensor
    ) -> Any:
        eps = self.attrs["eps"]
        gx, gweight, gbias = BatchNormGrad.apply(
            gy, x, weight, mean, invstd, eps=eps, training=False
        )
        return gx, None, None, gweight, gbias


class BatchNormGrad(Op):
    """The gradients of batch_norm for x, weight and bias; out of training, of running_norm"""

    kernel = "norm.batch_norm_grad"
    parameters = ("training",)
    results_named = ("gx", "gweight", "gbias")
    differentiable = 3

    @staticmethod
    def outputs(
        gy: Tensor,
        x: Tensor,
        weight: Tensor | None,
        mean: Tensor,
        invstd: Tensor,
        *,
        eps: float,
        training: bool,
    ) -> list[Result]:
        channels = (x._buffer.shape[1],)
        return [(x._buffer.shape, x.dtype), (channels, x.dtype), (channels, x.dtype)]

    def grads(
        self,
        ggx: Tensor,
        ggweight: Tensor,
        ggbias: Tensor,
        gy: Tensor,
        x: Tensor,
        weight: Tensor | None,
        mean: Tensor,
        invstd: Tensor,
    ) -> list[Tensor | None]:
        """By way of the formula in ops that can be differentiated as often as anyone likes."""
        others = (0, *range(2, x.ndim))
        column = (1, -1) + (1,) * (x.ndim - 2)
        with GradMode(True):
            gy, x = _as_input(gy), _as_input(x)
            weight = None if weight is None else _as_input(weight)
            scale = 1.0 if weight is None else reshape(weight, column)
            if self.attrs["training"]:
                centred = x - average(x, others, keepdim=True)
                variance = average(centred * centred, others, keepdim=True)
                deviation = (variance + self.attrs["eps"]).rsqrt()
                unit = centred * deviation
                slope = gy - average(gy, others, keepdim=True)
                slope = slope - unit * average(gy * unit, others, keepdim=True)
            else:
                deviation = reshape(invstd.detach(), column)
                unit = (x - reshape(mean.detach(), column)) * deviation
                slope = gy
            gx = scale * deviation * slope
            gweight, gbias = (gy * unit).sum(others), gy.sum(others)
        inputs = [gy, x] if weight is None else [gy, x, weight]
        found = list(
            grad(
                (gx, gweight, gbias),
                inputs,
                (ggx, ggweight, ggbias),
                create_graph=True,
                allow_unused=True,
            )
        )
        return [*found, *[None] * (5 - len(found))]


def _as_input(t: Tensor) -> Tensor:
    """The tensor under a node of its own, at which a local gradient ends: its history may lead on
    to another of the inputs, a path that is not the formula's."""
    return reshape(t, t.shape) if t.requires_grad else t.detach().requires_grad_()


def count_batch(count: Tensor) -> None:
    """count += 1, for a count of batches that has no gradient"""
    launch(count.device, "elementwise.add", count._buffer, _one(count.device), count._buffer)
    count._bump()


@functools.cache
def _one(device: Device) -> Any:
    """The number 1 on a device."""
    buffer = device.empty((), np.dtype(np.int64))
    launch(device, "shape.fill", buffer, 1)
    return buffer


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Every channel brought to mean 0 and variance 1, then scaled and shifted.

    Shapes: input (n, c) or (n, c, ..), the rest (c). In training the statistics are the batch's
    own, and the running ones move towards them by `momentum`; otherwise the running ones are used.
    Ioffe and Szegedy, Batch normalization, 2015.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
    """
    given = _normalising(
        input._form or form(input),
        None if running_mean is None else form(running_mean),
        None if running_var is None else form(running_var),
        None if weight is None else form(weight),
        None if bias is None else form(bias),
        bool(training),
        float(eps),
    )
    if not training:
        return RunningNorm.apply(input, running_mean, running_var, weight, bias, given=given)
    y, mean, invstd = BatchNorm.apply(input, weight, bias, given=given)
    if running_mean is not None and running_var is not None:
        launch(
            input.device,
            "norm.update_running",
            mean._buffer,
            invstd._buffer,
            running_mean._buffer,
            running_var._buffer,
            float(momentum),
            float(eps),
            input._buffer.size // input._buffer.shape[1],
        )
        running_mean._bump()
        running_var._bump()
    return y


@functools.lru_cache(maxsize=4096)
def _normalising(
    input: Form,
    running_mean: Form | None,
    running_var: Form | None,
    weight: Form | None,
    bias: Form | None,
    training: bool,
    eps: float,
) -> Attributes:
    """The attributes of a batch normalisation of what has these forms, if they fit."""
    if len(input.shape) < 2:
        raise RuntimeError(f"batch_norm: expected (n, c) or (n, c, ..), got {list(input.shape)}")
    channels = input.shape[1]
    vectors = {
        "running_mean": running_mean,
        "running_var": running_var,
        "weight": weight,
        "bias": bias,
    }
    for name, t in vectors.items():
        if t is not None and t.shape != (channels,):
            raise RuntimeError(
                f"batch_norm: {name} of shape {list(t.shape)} does not fit {channels} channels"
            )
    require_floating("batch_norm", input, weight, bias, running_mean, running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: out of training it needs running_mean and running_var")
    elif eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif math.prod(input.shape) // max(channels, 1) <= 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{Size(input.shape)}"
        )
    return Attributes(eps=eps)


# ---------------------------------------------------------------------- over other elements


def _unit(input: Tensor, rows: int, eps: float) -> Tensor:
    """As many rows of neighbouring elements as said, each brought to mean 0 and variance 1."""
    y, _, _ = BatchNorm.apply(_rows(input, rows), None, None, eps=float(eps))
    return reshape(y, input.shape)


def _rows(input: Tensor, rows: int) -> Tensor:
    """(1, rows, the rest)"""
    return reshape(input, 1, rows, input.numel() // max(rows, 1))


def _scaled(
    y: Tensor, weight: Tensor | None, bias: Tensor | None, shape: tuple[int, ...] | None = None
) -> Tensor:
    """y weight + bias, both laid out in a shape"""
    for factor, combine in ((weight, Tensor.__mul__), (bias, Tensor.__add__)):
        if factor is not None:
            y = combine(y, factor if shape is None else reshape(factor, shape))
    return y


def _check_channels(
    name: str, channels: int, input: Tensor, **vectors: Tensor | None
) -> tuple[int, ...]:
    """Refuse vectors that do not fit; the shape in which a vector lies along the channels."""
    for role, t in vectors.items():
        if t is not None and t._buffer.shape != (channels,):
            raise RuntimeError(
                f"{name}: {role} of shape {list(t.shape)} does not fit {channels} channels"
            )
    require_floating(name, input, *vectors.values())
    return (1, -1) + (1,) * (input.ndim - 2)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Groups of channels brought to mean 0 and variance 1 in each image; scaled by channel.

    Shapes: input (n, c, ..), weight and bias (c). Wu and He, Group normalization, 2018.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html
    """
    if input.ndim < 2:
        raise RuntimeError(
            f"group_norm: expected at least 2 dimensions, got input of shape {list(input.shape)}"
        )
    n, channels = input.shape[:2]
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input "
            f"of shape {list(input.shape)} and num_groups={num_groups}"
        )
    along = _check_channels("group_norm", channels, input, weight=weight, bias=bias)
    if input.numel() == n * channels and n * channels == num_groups:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    return _scaled(_unit(input, n * num_groups, eps), weight, bias, along)


def _normalized(
    name: str, input: Tensor, shape: Sequence[int], *vectors: Tensor | None
) -> tuple[int, ...]:
    """The last dimensions, as many as the shape has, which must be theirs and the vectors'."""
    expected = tuple(shape)
    if not expected:
        raise RuntimeError(f"{name}: expected normalized_shape to have at least 1 dimension")
    for t in vectors:
        if t is not None and t._buffer.shape != expected:
            raise RuntimeError(
                f"{name}: weight or bias of shape {list(t.shape)} is not normalized_shape "
                f"{list(expected)}"
            )
    if tuple(input.shape[-len(expected) :]) != expected:
        raise RuntimeError(
            f"Given normalized_shape={list(expected)}, expected input with shape "
            f"[*, {', '.join(map(str, expected))}], but got input of size{list(input.shape)}"
        )
    require_floating(name, input, *vectors)
    return tuple(range(-len(expected), 0))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The last dimensions brought to mean 0 and variance 1 together; scaled element by element.

    Shapes: input (.., *normalized_shape), weight and bias normalized_shape. Ba et al., Layer
    normalization, 2016.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html
    """
    _normalized("layer_norm", input, normalized_shape, weight, bias)
    rows = Size(input.shape[: input.ndim - len(normalized_shape)]).numel()
    return _scaled(_unit(input, rows, eps), weight, bias)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean x^2 + eps) over the last dimensions together; scaled element by element.

    `eps` is the distance of 1 to the next number if None. Zhang and Sennrich, Root mean square
    layer normalization, 2019.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rms_norm.html
    """
    dims = _normalized("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = float(np.finfo(input.dtype.numpy).eps)
    return _scaled(input * (average(input * input, dims, keepdim=True) + eps).rsqrt(), weight, None)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Every channel of each image brought to mean 0 and variance 1, then scaled and shifted.

    Shapes: input (n, c, ..), the rest (c). The running statistics move, by `momentum`, towards
    the means over the batch of the images' own; unless `use_input_stats`, they are used instead.
    Ulyanov et al., Instance normalization, 2016.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if input.ndim < 2:
        raise RuntimeError(f"instance_norm: expected (n, c, ..), got {list(input.shape)}")
    n, channels = input.shape[:2]
    running = {"running_mean": running_mean, "running_var": running_var}
    along = _check_channels("instance_norm", channels, input, weight=weight, bias=bias, **running)
    count = Size(input.shape[2:]).numel()
    if count == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    unit, mean, invstd = BatchNorm.apply(_rows(input, n * channels), None, None, eps=float(eps))
    if running_mean is not None and running_var is not None and n:
        with GradMode(False):
            variances = (invstd * invstd).reciprocal() - eps
            unbiased = variances * (count / (count - 1))
            for kept, seen in ((running_mean, mean), (running_var, unbiased)):
                kept.mul_(1 - momentum).add_(average(reshape(seen, n, channels), 0) * momentum)
    return _scaled(reshape(unit, input.shape), weight, bias, along)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha m)^beta, m the mean of the squares of `size` channels about the element's own.

    Shapes: input (n, c, ..) of 3 dimensions or more. Krizhevsky et al., ImageNet classification
    with deep convolutional neural networks, 2012; there, alpha is a factor of the sum.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.local_response_norm.html
    """
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)"
        )
    require_floating("local_response_norm", input)
    if input.numel() == 0:
        return input
    n, channels = input.shape[:2]
    squares = reshape(input * input, n, 1, channels, -1)
    means = avg_pool2d(squares, (size, 1), stride=1, padding=(size // 2, 0))
    means = reshape(narrow(means, 2, 0, channels), input.shape)  # an even size has one too many
    return input / (means * alpha + k) ** beta
