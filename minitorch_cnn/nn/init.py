"""Initial values for parameters, as in PyTorch's torch.nn.init; all fill a tensor in place.

The names of the distributions' parameters, the errors and the distributions themselves are those
of https://docs.pytorch.org/docs/stable/nn.init.html. `generator` is the source of randomness, the
default one if None.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import no_grad
from ..ops.creation import empty, empty_like, from_numpy, randperm
from ..ops.creation import eye as identity
from ..tensor import Tensor

if TYPE_CHECKING:
    from ..random import Generator

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAIN_ONE = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By what a layer's weights should be scaled for the nonlinearity that follows it.

    `param` is leaky_relu's negative slope, 0.01 if None. Raises ValueError for an unknown
    nonlinearity or a slope that is no number.

    >>> from minitorch_cnn import nn
    >>> nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in _GAIN_ONE:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


@no_grad()
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with draws from the uniform distribution on [a, b).

    >>> import minitorch_cnn as torch
    >>> w = torch.nn.init.uniform_(torch.empty(3, 5), -1, 1)
    >>> bool((w.abs() <= 1).all())
    True
    """
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with draws from the normal distribution of this mean and standard deviation."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with draws from a normal distribution, those outside [a, b] redrawn.

    Raises ValueError unless a <= b, std is positive and all are numbers. Warns, as PyTorch does,
    if the mean lies more than two standard deviations outside [a, b].
    """
    if not (a <= b and 0 < std < math.inf and math.isfinite(mean)):
        raise ValueError(
            f"trunc_normal_: needs a <= b and a positive std, got mean {mean}, std {std}, "
            f"a {a}, b {b}"
        )
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=3,
        )
    inside = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    draw = _from_normal if inside > 0.3 else _from_uniform
    pending = None
    while pending is None or pending.any():
        values, accepted = draw(tensor, mean, std, a, b, generator)
        tensor.copy_(values if pending is None else values.where(pending, tensor))
        pending = ~accepted if pending is None else pending & ~accepted
    return tensor


def _from_normal(
    like: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    """Draws from the whole normal distribution, and which of them lie inside [a, b]."""
    values = empty_like(like).normal_(mean, std, generator=generator)
    return values, (values >= a) & (values <= b)


def _from_uniform(
    like: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    """Uniform draws on [a, b], and which of them to take: each as often as the density asks."""
    values = empty_like(like).uniform_(a, b, generator=generator)
    peak = (max(a, min(mean, b)) - mean) / std
    likelihood = (((peak**2) - ((values - mean) / std) ** 2) / 2).exp()
    return values, empty_like(like).uniform_(generator=generator) < likelihood


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill with the identity matrix, so that a linear layer passes on what it is given.

    Raises ValueError unless the tensor has two dimensions.

    >>> import minitorch_cnn as torch
    >>> torch.nn.init.eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.dim() != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got one of {tensor.dim()}")
    return tensor.copy_(identity(*tensor.shape))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight with kernels that pass on their channel, in each of `groups`.

    Raises ValueError unless the tensor has 3, 4 or 5 dimensions, the first a multiple of `groups`.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError(
            f"Only tensors with 3, 4, or 5 dimensions are supported, got one of {tensor.dim()}"
        )
    if groups <= 0 or tensor.shape[0] % groups != 0:
        raise ValueError(f"dim 0, {tensor.shape[0]}, must be divisible by groups, {groups}")
    channels = tensor.shape[0] // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    tensor.zero_()
    for group in range(groups):
        for channel in range(min(channels, tensor.shape[1])):
            index = (group * channels + channel, channel, *centre)
            tensor[index] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output of the layer depends on, and how many outputs on an input."""
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got one of shape {tuple(tensor.shape)}"
        )
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / (fan_in + fan_out))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill uniformly from [-a, a), a = gain * sqrt(6 / (fan_in + fan_out)).

    From Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010). Raises ValueError for a tensor of fewer than two dimensions.
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill normally with std = gain * sqrt(2 / (fan_in + fan_out)); otherwise `xavier_uniform_`."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _kaiming(
    tensor: Tensor, a: float, mode: str, nonlinearity: str, fill: Callable[[float], Tensor]
) -> Tensor:
    """Fill with a distribution of the standard deviation gain / sqrt(fan)."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return tensor
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]
    return fill(calculate_gain(nonlinearity, a) / math.sqrt(fan))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill uniformly from [-bound, bound), bound = gain * sqrt(3 / fan).

    `mode` says which fan: "fan_in" keeps the variance forward, "fan_out" backward. The gain is
    that of `nonlinearity`, `a` the slope of leaky_relu. From He et al., Delving deep into
    rectifiers (2015). Raises ValueError for other modes, unknown nonlinearities and a tensor of
    fewer than two dimensions; warns and does nothing if it has no elements.

    >>> import minitorch_cnn as torch
    >>> w = torch.nn.init.kaiming_uniform_(torch.empty(8, 3, 5, 5), nonlinearity="relu")
    >>> bool((w.abs() <= (6 / 75) ** 0.5).all())
    True
    """

    def fill(std: float) -> Tensor:
        return uniform_(tensor, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, generator)

    return _kaiming(tensor, a, mode, nonlinearity, fill)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill normally with std = gain / sqrt(fan); otherwise as `kaiming_uniform_`."""

    def fill(std: float) -> Tensor:
        return normal_(tensor, 0.0, std, generator)

    return _kaiming(tensor, a, mode, nonlinearity, fill)


def reset_weight_and_bias(weight: Tensor, bias: Tensor | None) -> None:
    """Draw both uniformly from ±1/sqrt(fan_in): PyTorch's default for convolutions and Linear."""
    kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        uniform_(bias, -bound, bound)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with `gain` times a random matrix whose rows or columns are orthonormal.

    Dimensions after the first count as one. From Saxe et al., Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks (2013). Raises ValueError for a tensor of
    fewer than two dimensions.
    """
    if tensor.dim() < 2:
        raise ValueError(
            f"Only tensors with 2 or more dimensions are supported, got one of {tensor.dim()}"
        )
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    normal = empty(rows, columns, dtype=tensor.dtype).normal_(generator=generator).numpy()
    q, r = np.linalg.qr(normal if rows >= columns else normal.T)
    q *= np.sign(np.diag(r))  # else it would not be uniform over the orthogonal matrices
    q = q if rows >= columns else q.T
    values = from_numpy(np.ascontiguousarray(gain * q))
    return tensor.copy_(values.reshape(tensor.shape))


@no_grad()
def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Fill normally, but with 0 in `sparsity` of each column, rounded up, drawn at random.

    From Martens, Deep learning via Hessian-free optimization (2010). Raises ValueError unless the
    tensor has two dimensions.

    >>> import minitorch_cnn as torch
    >>> w = torch.nn.init.sparse_(torch.empty(10, 3), sparsity=0.25)
    >>> (w == 0).sum(0)
    tensor([3, 3, 3])
    """
    if tensor.dim() != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got one of {tensor.dim()}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0.0, std, generator=generator)
    for column in range(columns):
        tensor[randperm(rows)[:zeros], column] = 0
    return tensor


def _older(name: str) -> Callable[..., Tensor]:
    """The name that a function had before it ended on "_", which warns of that."""
    function = globals()[f"{name}_"]

    def fill(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    fill.__name__, fill.__doc__ = name, f"Deprecated, as in PyTorch: `{name}_`."
    return fill


uniform = _older("uniform")
normal = _older("normal")
constant = _older("constant")
eye = _older("eye")
dirac = _older("dirac")
xavier_uniform = _older("xavier_uniform")
xavier_normal = _older("xavier_normal")
kaiming_uniform = _older("kaiming_uniform")
kaiming_normal = _older("kaiming_normal")
orthogonal = _older("orthogonal")
sparse = _older("sparse")
