"""Activation layers: `nn.functional`'s functions of each element, and softmax, as modules.

A layer is its function and its options: their names, defaults and order are the constructor's,
and what `repr` shows.
"""

from __future__ import annotations

from ..device import Device
from ..dtypes import DType
from ..ops.creation import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .option_layer import OptionLayer
from .parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Activation(OptionLayer):
    """A function of each element; `repr` shows all options, of `inplace` only that it is so."""

    def extra_repr(self) -> str:
        shown = [name for name in self._options if name != "inplace"]
        texts = [f"{name}={getattr(self, name)!r}" for name in shown]
        return ", ".join(texts + ["inplace=True"] * getattr(self, "inplace", False))


class _Plain(_Activation):
    """A function without options."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:  # without options, which cost time
        return self.function(input)


class _InPlace(_Activation):
    """A function whose one option is to write over its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:  # without a dict of options, which costs time
        return self.function(input, self.inplace)


class _Along(_Activation):
    """A function along one dimension."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, self.dim)


class _Shrink(_Activation):
    """A function that takes `lambd` to 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class ReLU(_InPlace):
    """max(x, 0), written over x if `inplace`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function = staticmethod(F.relu)


class SiLU(_InPlace):
    """x * sigmoid(x), also called swish, written over x if `inplace`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.SiLU()(torch.tensor([0.0, 2.0]))
    tensor([0.0000, 1.7616])
    """

    function = staticmethod(F.silu)


class Mish(_InPlace):
    """x * tanh(ln(1 + e^x)), written over x if `inplace`.

    From Misra, Mish: a self regularized non-monotonic activation function (2019).

    >>> import minitorch_cnn as torch
    >>> torch.nn.Mish()(torch.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """

    function = staticmethod(F.mish)


class Hardswish(_InPlace):
    """x * min(max(x + 3, 0), 6) / 6, written over x if `inplace`.

    From Howard et al., Searching for MobileNetV3 (2019).

    >>> import minitorch_cnn as torch
    >>> torch.nn.Hardswish()(torch.tensor([-1.0, 2.0]))
    tensor([-0.3333,  1.6667])
    """

    function = staticmethod(F.hardswish)
    extra_repr = Module.extra_repr  # PyTorch's says nothing


class Hardsigmoid(_InPlace):
    """min(max(x + 3, 0), 6) / 6, written over x if `inplace`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Hardsigmoid()(torch.tensor([-1.0, 2.0]))
    tensor([0.3333, 0.8333])
    """

    function = staticmethod(F.hardsigmoid)
    extra_repr = Module.extra_repr  # PyTorch's says nothing


class SELU(_InPlace):
    """`ELU` scaled so that mean 0 and variance 1 stay, written over x if `inplace`.

    From Klambauer et al., Self-normalizing neural networks (2017).

    >>> import minitorch_cnn as torch
    >>> torch.nn.SELU()(torch.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    function = staticmethod(F.selu)


class LeakyReLU(_Activation):
    """x where positive, elsewhere `negative_slope` * x; written over x if `inplace`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.LeakyReLU(0.5)(torch.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])
    """

    function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class RReLU(_Activation):
    """`LeakyReLU` whose slopes are drawn from `lower` to `upper`; in evaluation mode their mean.

    From Xu et al., Empirical evaluation of rectified activations in convolutional network (2015).

    >>> import minitorch_cnn as torch
    >>> torch.nn.RReLU(0.25, 0.75).eval()(torch.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])
    """

    function = staticmethod(F.rrelu)

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__(lower=lower, upper=upper, inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class ELU(_Activation):
    """x where positive, elsewhere `alpha` * (e^x - 1); written over x if `inplace`.

    From Clevert et al., Fast and accurate deep network learning by exponential linear units (2015).

    >>> import minitorch_cnn as torch
    >>> torch.nn.ELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class CELU(_Activation):
    """x where positive, elsewhere `alpha` * (e^(x / alpha) - 1); written over x if `inplace`.

    From Barron, Continuously differentiable exponential linear units (2017).

    >>> import minitorch_cnn as torch
    >>> torch.nn.CELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    function = staticmethod(F.celu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class Hardtanh(_Activation):
    """x, but `min_val` below that and `max_val` above that; written over x if `inplace`.

    Raises AssertionError unless `max_val` is greater than `min_val`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Hardtanh()(torch.tensor([-9.0, 0.5, 9.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    function = staticmethod(F.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        if max_val <= min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6), written over x if `inplace`.

    From Krizhevsky, Convolutional deep belief networks on CIFAR-10 (2010).

    >>> import minitorch_cnn as torch
    >>> torch.nn.ReLU6()(torch.tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Threshold(_Activation):
    """x above `threshold`, elsewhere `value`; written over x if `inplace`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Threshold(0.5, 9.0)(torch.tensor([-1.0, 2.0]))
    tensor([9., 2.])
    """

    function = staticmethod(F.threshold)

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class GELU(_Activation):
    """x times the standard normal distribution function of x; its tanh form if so `approximate`d.

    From Hendrycks and Gimpel, Gaussian error linear units (2016).

    >>> import minitorch_cnn as torch
    >>> torch.nn.GELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class Softplus(_Activation):
    """ln(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x exceeds `threshold`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Softplus()(torch.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """

    function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__(beta=beta, threshold=threshold)


class Hardshrink(_Shrink):
    """0 from -`lambd` to `lambd`, elsewhere x.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Hardshrink()(torch.tensor([-1.0, 0.25]))
    tensor([-1.,  0.])
    """

    function = staticmethod(F.hardshrink)


class Softshrink(_Shrink):
    """x moved by `lambd` towards 0, and 0 from -`lambd` to `lambd`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Softshrink()(torch.tensor([-1.0, 0.25]))
    tensor([-0.5000,  0.0000])
    """

    function = staticmethod(F.softshrink)


class Sigmoid(_Plain):
    """1 / (1 + e^-x).

    >>> import minitorch_cnn as torch
    >>> torch.nn.Sigmoid()(torch.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """

    function = staticmethod(F.sigmoid)


class LogSigmoid(_Plain):
    """ln(1 / (1 + e^-x)), exact where the sigmoid is nearly 0.

    >>> import minitorch_cnn as torch
    >>> torch.nn.LogSigmoid()(torch.tensor([0.0, -200.0]))
    tensor([  -0.6931, -200.0000])
    """

    function = staticmethod(F.logsigmoid)


class Tanh(_Plain):
    """The hyperbolic tangent.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Tanh()(torch.tensor([0.0, 2.0]))
    tensor([0.0000, 0.9640])
    """

    function = staticmethod(F.tanh)


class Tanhshrink(_Plain):
    """x - tanh(x).

    >>> import minitorch_cnn as torch
    >>> torch.nn.Tanhshrink()(torch.tensor([0.0, 2.0]))
    tensor([0.0000, 1.0360])
    """

    function = staticmethod(F.tanhshrink)


class Softsign(_Plain):
    """x / (1 + |x|).

    >>> import minitorch_cnn as torch
    >>> torch.nn.Softsign()(torch.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    function = staticmethod(F.softsign)


class GLU(_Activation):
    """The first half along `dim` times the sigmoid of the second.

    From Dauphin et al., Language modeling with gated convolutional networks (2016). Raises
    RuntimeError for a dimension of odd size.

    >>> import minitorch_cnn as torch
    >>> torch.nn.GLU()(torch.tensor([3.0, 0.0]))
    tensor([1.5000])
    """

    function = staticmethod(F.glu)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Softmax(_Along):
    """e^x / sum(e^x) along `dim`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Softmax(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    function = staticmethod(F.softmax)


class LogSoftmax(_Along):
    """The logarithm of softmax along `dim`, computed without its underflow.

    >>> import minitorch_cnn as torch
    >>> torch.nn.LogSoftmax(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([-0.6931, -0.6931])
    """

    function = staticmethod(F.log_softmax)


class Softmin(_Along):
    """Softmax of -x along `dim`.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Softmin(dim=0)(torch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    function = staticmethod(F.softmin)


class PReLU(Module):
    """x where positive, elsewhere weight * x, the weights learnt.

    `num_parameters` is 1 or the number of channels of inputs (n, channels, ..); all start at
    `init`. From He et al., Delving deep into rectifiers (2015). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.PReLU()(torch.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    weight: Parameter

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all weights back to `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Softmax2d(Module):
    """Softmax over the channels of (n, c, h, w) or (c, h, w), at each place.

    Raises ValueError for other dimensions.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Softmax2d()(torch.zeros(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(
                f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead"
            )
        return F.softmax(input, -3)
