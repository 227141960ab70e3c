"""Batch normalisation."""

from __future__ import annotations

from typing import Any

from ..autograd import grad
from ..autograd.graph import GradMode
from ..autograd.op import Op, Result
from ..device import launch
from ..tensor import Tensor
from .matmul import require_floating
from .reduce import mean
from .shape import reshape


class BatchNorm(Op):
    """y = (x - mean) invstd weight + bias over each channel of (n, c, s); with mean and invstd"""

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
        return BatchNormGrad.apply(gy, x, weight, mean, invstd, eps=self.attrs["eps"])


class BatchNormGrad(Op):
    """The gradients of batch_norm for x, weight and bias"""

    kernel = "norm.batch_norm_grad"
    results_named = ("gx", "gweight", "gbias")
    differentiable = 3

    @staticmethod
    def outputs(
        gy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, invstd: Tensor, *, eps: float
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
    ) -> list[Tensor | None]:
        """By way of the formula in ops that can be differentiated as often as anyone likes."""
        with GradMode(True):
            gy, x = _as_input(gy), _as_input(x)
            weight = None if weight is None else _as_input(weight)
            scale = 1.0 if weight is None else reshape(weight, 1, -1, 1)
            centred = x - mean(x, (0, 2), keepdim=True)
            invstd = (mean(centred * centred, (0, 2), keepdim=True) + self.attrs["eps"]).rsqrt()
            unit = centred * invstd
            slope = gy - mean(gy, (0, 2), keepdim=True)
            slope = slope - unit * mean(gy * unit, (0, 2), keepdim=True)
            gx = scale * invstd * slope
            gweight, gbias = (gy * unit).sum((0, 2)), gy.sum((0, 2))
        inputs = [gy, x] if weight is None else [gy, x, weight]
        found = list(grad((gx, gweight, gbias), inputs, (ggx, ggweight, ggbias), create_graph=True))
        return [*found, *[None] * (5 - len(found))]


def _as_input(t: Tensor) -> Tensor:
    """The tensor under a node of its own, at which a local gradient ends: its history may lead on
    to another of the inputs, a path that is not the formula's."""
    return reshape(t, t.shape) if t.requires_grad else t.detach().requires_grad_()


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
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm: expected (n, c) or (n, c, ..), got {list(input.shape)}")
    channels = input._buffer.shape[1]
    for name, t in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if t is not None and t._buffer.shape != (channels,):
            raise RuntimeError(
                f"batch_norm: {name} of shape {list(t.shape)} does not fit {channels} channels"
            )
    require_floating("batch_norm", input, weight, bias, running_mean, running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm: out of training it needs running_mean and running_var")
        return _by_running_statistics(input, running_mean, running_var, weight, bias, eps)
    if eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    count = input.numel() // max(channels, 1)
    if count <= 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    x = reshape(input, input.shape[0], channels, -1)
    y, average, invstd = BatchNorm.apply(x, weight, bias, eps=float(eps))
    if running_mean is not None and running_var is not None:
        launch(
            input.device,
            "norm.update_running",
            average._buffer,
            invstd._buffer,
            running_mean._buffer,
            running_var._buffer,
            float(momentum),
            float(eps),
            count,
        )
        running_mean._bump()
        running_var._bump()
    return reshape(y, input.shape)


def _by_running_statistics(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias"""
    column = (1, -1) + (1,) * (input.ndim - 2)
    scale = (running_var + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -running_mean * scale
    shift = shift if bias is None else shift + bias
    return input * reshape(scale, column) + reshape(shift, column)
