"""Batch normalisation."""

from __future__ import annotations

from typing import Any

from ..autograd import grad
from ..autograd.graph import GradMode
from ..autograd.op import Op, Result
from ..device import launch
from ..tensor import Tensor
from .matmul import require_floating
from .reduce import mean as average
from .shape import reshape


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
        y, _ = RunningNorm.apply(input, running_mean, running_var, weight, bias, eps=float(eps))
        return y
    if eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    count = input.numel() // max(channels, 1)
    if count <= 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    y, mean, invstd = BatchNorm.apply(input, weight, bias, eps=float(eps))
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
            count,
        )
        running_mean._bump()
        running_var._bump()
    return y
