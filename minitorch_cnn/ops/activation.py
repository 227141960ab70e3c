"""Activations: elementwise functions between the layers, each with a kernel for its slope."""

from __future__ import annotations

import math

from .. import dtypes
from ..autograd.op import Op, Result
from ..tensor import Tensor
from .matmul import require_floating
from .operands import in_place, unary


class Activation(Op):
    """y = f(x), element by element; the input comes as one block"""

    @classmethod
    def outputs(cls, x: Tensor) -> Result:
        if x.dtype is dtypes.bool_:
            raise RuntimeError(f"{cls.__name__.lower()}: expected a tensor of numbers, not of bool")
        return x._buffer.shape, x.dtype


class Slope(Op):
    """gx = gy f'(x), from x or y as suits f; linear in gy"""

    @classmethod
    def outputs(cls, gy: Tensor, x: Tensor) -> Result:
        return x._buffer.shape, x.dtype

    def grad_gy(self, g: Tensor, x: Tensor) -> Tensor:
        return type(self).apply(g, x)


class Relu(Activation):
    """y = max(x, 0)"""

    kernel = "activation.relu"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return ReluGrad.apply(gy, y)


class ReluGrad(Slope):
    """gx = gy where y > 0, else 0"""

    kernel = "activation.relu_grad"


class LeakyRelu(Op):
    """y = x above 0, slope x below"""

    kernel = "activation.leaky_relu"
    parameters = ("slope",)

    @classmethod
    def outputs(cls, x: Tensor, *, slope: float) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return LeakyReluGrad.apply(gy, x, **self.attrs)


class LeakyReluGrad(Op):
    """gx = gy where x > 0, else slope gy"""

    kernel = "activation.leaky_relu_grad"
    parameters = ("slope",)

    @classmethod
    def outputs(cls, gy: Tensor, x: Tensor, *, slope: float) -> Result:
        return x._buffer.shape, x.dtype

    def grad_gy(self, g: Tensor, x: Tensor) -> Tensor:
        return LeakyReluGrad.apply(g, x, **self.attrs)


class Sigmoid(Activation):
    """y = 1 / (1 + e^-x)"""

    kernel = "activation.sigmoid"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return SigmoidGrad.apply(gy, y)


class SigmoidGrad(Slope):
    """gx = gy y (1 - y), where x stands for y"""

    kernel = "activation.sigmoid_grad"

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        return g * gy * (1 - 2 * x)


class Tanh(Activation):
    """y = tanh x"""

    kernel = "activation.tanh"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return TanhGrad.apply(gy, y)


class TanhGrad(Slope):
    """gx = gy (1 - y^2), where x stands for y"""

    kernel = "activation.tanh_grad"

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        return g * gy * x * -2


class Erf(Activation):
    """y = 2/sqrt(pi) integral from 0 to x of e^(-t^2)"""

    kernel = "activation.erf"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * (x * x).neg().exp() * (2 / math.sqrt(math.pi))


class Gelu(Activation):
    """y = x Phi(x), Phi the normal distribution"""

    kernel = "activation.gelu"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return GeluGrad.apply(gy, x)


class GeluGrad(Slope):
    """gx = gy (Phi(x) + x phi(x))"""

    kernel = "activation.gelu_grad"

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        density = (x * x * -0.5).exp() / math.sqrt(2 * math.pi)
        return g * gy * density * (2 - x * x)


class GeluTanh(Activation):
    """y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))"""

    kernel = "activation.gelu_tanh"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return GeluTanhGrad.apply(gy, x)


class GeluTanhGrad(Slope):
    """gx = gy times the slope of gelu's tanh form"""

    kernel = "activation.gelu_tanh_grad"

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        c, cube = math.sqrt(2 / math.pi), 0.044715
        inner = c * (1 + 3 * cube * x * x)
        u = tanh(c * (x + cube * x * x * x))
        bend = 2 * inner - 2 * x * u * inner * inner + x * (c * 6 * cube) * x
        return g * gy * 0.5 * (1 - u * u) * bend


class Silu(Activation):
    """y = x / (1 + e^-x)"""

    kernel = "activation.silu"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return SiluGrad.apply(gy, x)


class SiluGrad(Slope):
    """gx = gy s (1 + x (1 - s)), s = sigmoid(x)"""

    kernel = "activation.silu_grad"

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        s = sigmoid(x)
        return g * gy * s * (1 - s) * (2 + x * (1 - 2 * s))


relu, relu_ = unary(Relu, "relu", to_float=False)
sigmoid, sigmoid_ = unary(Sigmoid, "sigmoid")
tanh, tanh_ = unary(Tanh, "tanh")
erf, erf_ = unary(Erf, "erf")


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the probability that a normal variable is below x: Hendrycks and Gimpel, 2016.

    `approximate` is "none" for the error function or "tanh" for the paper's approximation.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    require_floating("gelu", input)
    return (Gelu if approximate == "none" else GeluTanh).apply(input)


def leaky_relu(
    input: Tensor, negative_slope: float = 0.01, *, into: Tensor | None = None
) -> Tensor:
    """x above zero, negative_slope x below."""
    require_floating("leaky_relu", input)
    return LeakyRelu.apply(input, slope=float(negative_slope), into=into)


leaky_relu_ = in_place(leaky_relu, "leaky_relu_")


def silu(input: Tensor, *, into: Tensor | None = None) -> Tensor:
    """x sigmoid(x), also called swish."""
    require_floating("silu", input)
    return Silu.apply(input, into=into)


silu_ = in_place(silu, "silu_")
