"""Activations: elementwise functions between the layers, and how steep they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ..autograd.op import Op, Result
from ..tensor import Tensor, method
from .compare import where
from .convert import clone, copy_
from .creation import empty_like
from .matmul import require_floating
from .operands import cast, unary
from .shape import dimension, narrow, reshape


class Activation(Op):
    """y = f(x), element by element; the input comes as one block"""

    categories: ClassVar[tuple[int, ...]] = (2,)
    """The categories of element types for which it is defined."""

    @classmethod
    def outputs(cls, x: Tensor, **options: Any) -> Result:
        if x.dtype.category not in cls.categories:
            raise NotImplementedError(f"{cls.__name__.lower()} is not defined for {x.dtype}")
        return x._buffer.shape, x.dtype


class Curve(Activation):
    """An activation whose slope is a formula in ops: shorter than a kernel for it, and slower"""

    def slope(self, x: Tensor) -> Tensor:
        """f'(x)"""
        raise NotImplementedError

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * self.slope(x)


class Slope(Op):
    """gx = gy f'(x), from x or y as suits f; linear in gy"""

    @classmethod
    def outputs(cls, gy: Tensor, x: Tensor, **options: Any) -> Result:
        return x._buffer.shape, x.dtype

    def grad_gy(self, g: Tensor, x: Tensor) -> Tensor:
        return type(self).apply(g, x, **self.attrs)


class Relu(Activation):
    """y = max(x, 0)"""

    kernel = "activation.relu"
    categories = (1, 2)

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return ReluGrad.apply(gy, y)


class ReluGrad(Slope):
    """gx = gy where y > 0, else 0"""

    kernel = "activation.relu_grad"


class LeakyRelu(Activation):
    """y = x above 0, slope x below"""

    kernel = "activation.leaky_relu"
    parameters = ("slope",)

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return LeakyReluGrad.apply(gy, x, **self.attrs)


class LeakyReluGrad(Slope):
    """gx = gy where x > 0, else slope gy"""

    kernel = "activation.leaky_relu_grad"
    parameters = ("slope",)


class Hardtanh(Activation):
    """y = min(max(x, low), high)"""

    kernel = "activation.hardtanh"
    parameters = ("low", "high")

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return HardtanhGrad.apply(gy, x, **self.attrs)


class HardtanhGrad(Slope):
    """gx = gy unless x <= low or x >= high, else 0"""

    kernel = "activation.hardtanh_grad"
    parameters = ("low", "high")


class Hardsigmoid(Curve):
    """y = min(max(x + 3, 0), 6) / 6"""

    kernel = "activation.hardsigmoid"

    def slope(self, x: Tensor) -> Tensor:
        return cast((x > -3) & (x < 3), x.dtype) / 6


class Hardswish(Activation):
    """y = x min(max(x + 3, 0), 6) / 6"""

    kernel = "activation.hardswish"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return HardswishGrad.apply(gy, x)


class HardswishGrad(Slope):
    """gx = gy times 0 up to -3, 1 from 3 on, between them x / 3 + 1/2"""

    kernel = "activation.hardswish_grad"

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        return g * gy * (cast((x > -3) & (x < 3), x.dtype) / 3)


class Elu(Activation):
    """y = scale x above 0, scale alpha (e^(rate x) - 1) below"""

    kernel = "activation.elu"
    parameters = ("alpha", "scale", "rate")

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return EluGrad.apply(gy, x, **self.attrs)


class EluGrad(Slope):
    """gx = scale gy above 0, scale alpha rate e^(rate x) gy below"""

    kernel = "activation.elu_grad"
    parameters = ("alpha", "scale", "rate")

    def grad_x(self, g: Tensor, gy: Tensor, x: Tensor) -> Tensor:
        alpha, scale, rate = (self.attrs[name] for name in self.parameters)
        bend = (x * rate).exp() * (scale * alpha * rate * rate)
        return g * gy * where(x > 0, 0.0, bend)


class Softplus(Curve):
    """y = ln(1 + e^(beta x)) / beta, and x where beta x > threshold"""

    kernel = "activation.softplus"
    parameters = ("beta", "threshold")

    def slope(self, x: Tensor) -> Tensor:
        z = x * self.attrs["beta"]
        return where(z > self.attrs["threshold"], 1.0, sigmoid(z))


class Mish(Curve):
    """y = x tanh(ln(1 + e^x))"""

    kernel = "activation.mish"

    def slope(self, x: Tensor) -> Tensor:
        t = tanh(softplus(x))
        return t + x * sigmoid(x) * (1 - t * t)


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


class Erfc(Activation):
    """y = 1 - erf(x), right for large x too"""

    kernel = "activation.erfc"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * (x * x).neg().exp() * (-2 / math.sqrt(math.pi))


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


# ---------------------------------------------------------------------- the public functions

relu, relu_ = unary(Relu, "relu", to_float=False)
sigmoid, sigmoid_ = unary(Sigmoid, "sigmoid")
tanh, tanh_ = unary(Tanh, "tanh")
erf, erf_ = unary(Erf, "erf")
erfc, erfc_ = unary(Erfc, "erfc")


def activation(op: type[Activation], name: str) -> Callable[..., Tensor]:
    """The function `name(input, inplace=False)` of an activation without parameters."""

    def function(input: Tensor, inplace: bool = False) -> Tensor:
        return op.apply(input, into=input if inplace else None)

    function.__name__, function.__doc__ = name, op.__doc__
    return function


silu = activation(Silu, "silu")
mish = activation(Mish, "mish")
hardsigmoid = activation(Hardsigmoid, "hardsigmoid")
hardswish = activation(Hardswish, "hardswish")


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the probability that a normal variable is below x: Hendrycks and Gimpel, 2016.

    `approximate` is "none" for the error function or "tanh" for the paper's approximation.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return (Gelu if approximate == "none" else GeluTanh).apply(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x above zero, negative_slope x below.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html
    """
    into = input if inplace else None
    return LeakyRelu.apply(input, slope=float(negative_slope), into=into)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x, but min_val below that and max_val above that; its gradient is 0 at both.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardtanh.html
    """
    if min_val > max_val:
        raise ValueError(
            f"hardtanh: min_val cannot be greater than max_val, got {min_val} and {max_val}"
        )
    into = input if inplace else None
    return Hardtanh.apply(input, low=float(min_val), high=float(max_val), into=into)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6): Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010."""
    return hardtanh(input, 0.0, 6.0, inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above zero, alpha (e^x - 1) below: Clevert et al., 2015.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.elu.html
    """
    into = input if inplace else None
    return Elu.apply(input, alpha=float(alpha), scale=1.0, rate=1.0, into=into)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above zero, alpha (e^(x/alpha) - 1) below, smooth for every alpha: Barron, 2017."""
    if alpha == 0:
        raise RuntimeError("celu: alpha cannot be 0")
    into = input if inplace else None
    return Elu.apply(input, alpha=float(alpha), scale=1.0, rate=1.0 / alpha, into=into)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu scaled so that mean 0 and variance 1 stay: Klambauer et al., Self-normalizing networks.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.selu.html
    """
    into = input if inplace else None
    return Elu.apply(input, alpha=SELU_ALPHA, scale=SELU_SCALE, rate=1.0, into=into)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x exceeds the threshold.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html
    """
    return Softplus.apply(input, beta=float(beta), threshold=float(threshold))


def logsigmoid(input: Tensor) -> Tensor:
    """ln(1 / (1 + e^-x)), exact where the sigmoid is nearly 0."""
    return -softplus(-input, threshold=math.inf)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - tanh(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 from -lambd to lambd, x elsewhere."""
    require_floating("hardshrink", input)
    return where((input >= -lambd) & (input <= lambd), 0.0, input)


method("hardshrink")(hardshrink)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, and 0 from -lambd to lambd."""
    require_floating("softshrink", input)
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    shift = cast(input > lambd, input.dtype) - cast(input < -lambd, input.dtype)
    return where(input.abs() <= lambd, 0.0, input - lambd * shift)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x above the threshold, the value elsewhere.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html
    """
    x = clone(input) if inplace else input
    y = where(x <= threshold, value, x)
    return copy_(input, y) if inplace else y


@method("prelu")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x above zero, weight x below: one weight, or one for each channel of (n, c, ..).

    He et al., Delving deep into rectifiers, 2015.
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.prelu.html
    """
    require_floating("prelu", input, weight)
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: weight must be scalar or 1D, not of shape {list(weight.shape)}")
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("prelu: an input without dimensions takes one weight")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                f"prelu: {weight.numel()} weights do not fit {channels} channels of input "
                f"{list(input.shape)}"
            )
    if input.ndim:
        weight = reshape(weight, *[-1 if d == 1 else 1 for d in range(max(input.ndim, 1))])
    else:
        weight = reshape(weight, ())
    above = input > 0
    return where(above, input, where(above, 0.0, input) * weight)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """leaky_relu, each slope drawn from lower to upper in training and their mean otherwise.

    Xu et al., Empirical evaluation of rectified activations in convolutional network, 2015.
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rrelu.html
    """
    if not lower <= upper:
        raise RuntimeError(
            f"Lower bound should be less than or equal to the upper bound, got {lower} and {upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    require_floating("rrelu", input)
    x = clone(input) if inplace else input
    y = where(x > 0, x, x * empty_like(x).uniform_(lower, upper))
    return copy_(input, y) if inplace else y


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along a dimension times the sigmoid of the second: Dauphin et al., 2016.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.glu.html
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = dimension(input, dim)
    if input.shape[dim] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}"
        )
    half = input.shape[dim] // 2
    return narrow(input, dim, 0, half) * sigmoid(narrow(input, dim, half, half))


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The form that writes over its input: `elu_` of `elu`."""

    def write(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(input, *args, **kwargs, inplace=True)

    write.__name__ = f"{function.__name__}_"
    write.__doc__ = f"In-place form of `{function.__name__}`."
    return write


leaky_relu_ = _in_place(leaky_relu)
hardtanh_ = _in_place(hardtanh)
elu_ = _in_place(elu)
celu_ = _in_place(celu)
selu_ = _in_place(selu)
threshold_ = _in_place(threshold)
rrelu_ = _in_place(rrelu)
