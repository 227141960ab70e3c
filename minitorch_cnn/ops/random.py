"""Random numbers of all distributions but the two that `creation` draws itself.

Each is a formula of uniform, normal or whole numbers, drawn in float64 so that its tails reach far.
No gradient passes through a draw: that of the parameters is zero, as in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..device import launch
from ..dtypes import DType
from ..random import Generator
from ..tensor import Tensor, method
from .convert import CopyInto, copy_
from .creation import DeviceLike, empty, rand, randint, randn
from .operands import broadcast_shape, cast
from .shape import expand, reshape

# ---------------------------------------------------------------------- new tensors


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from normal distributions: of one mean and deviation, in a size; or of means and
    deviations, either or both of them tensors, in their common shape.

    >>> import minitorch_cnn as torch
    >>> torch.normal(torch.zeros(3), 2.0).shape
    torch.Size([3])
    """
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if not tensors:
        if size is None:
            raise TypeError("normal: numbers as mean and std need a size")
        out = empty(size, dtype=dtype, device=device)
        return out.normal_(mean, std, generator=generator).requires_grad_(requires_grad)
    if size is not None or dtype is not None or device is not None or requires_grad:
        raise TypeError(
            "normal: with tensors as mean or std there is no size, dtype, device or requires_grad"
        )
    kind = tensors[0].dtype
    if not kind.is_floating_point:
        raise NotImplementedError(f"normal is not defined for {kind}")
    if isinstance(std, Tensor):
        if std.numel() and not bool((std >= 0).all()):
            raise RuntimeError(f"normal expects all elements of std >= 0.0, but found {std.min()}")
    elif std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    shape = broadcast_shape("normal", *[tuple(t.shape) for t in tensors])
    drawn = randn(shape, generator=generator, dtype=kind, device=tensors[0].device)
    detached = [t.detach() if isinstance(t, Tensor) else t for t in (mean, std)]
    return _through(cast(drawn * detached[1] + detached[0], kind), *tensors)


def _through(drawn: Tensor, *parameters: Tensor) -> Tensor:
    """What was drawn, as a function of parameters whose gradients are zero."""
    for t in parameters:
        if t.requires_grad:
            drawn = CopyInto.apply(expand(cast(t, drawn.dtype), *drawn.shape), drawn)
    return drawn


def _probabilities(name: str, p: Tensor) -> Tensor:
    if p.numel() and not bool(((p >= 0) & (p <= 1)).all()):
        raise RuntimeError(
            f"{name}: probabilities must lie between 0 and 1, but they go from {p.min().item()} "
            f"to {p.max().item()}"
        )
    return p


@method("bernoulli")
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Ones with the probabilities that the input holds, else zeros; or all with probability p.

    >>> import minitorch_cnn as torch
    >>> torch.bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    out = empty(*input.shape, dtype=input.dtype, device=input.device)
    if p is not None:
        return bernoulli_(out, p, generator=generator)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"bernoulli: probabilities can't be of {input.dtype}")
    return _through(bernoulli_(out, input.detach(), generator=generator), input)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from low to high - 1 in the shape and type of the input: `randint_like(x, high)` or
    `randint_like(x, low, high)`."""
    return randint(
        0 if high is None else low,
        low if high is None else high,
        tuple(input.shape),
        generator=generator,
        dtype=input.dtype if dtype is None else dtype,
        device=input.device if device is None else device,
        requires_grad=requires_grad,
    )


@method("multinomial")
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with probabilities in proportion to the weights in a vector, or in each row of
    a matrix; without replacement no index comes twice.

    >>> import minitorch_cnn as torch
    >>> torch.multinomial(torch.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, not {input.ndim}")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"multinomial only supports floating-point dtypes, not {input.dtype}")
    n = input.shape[-1]
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {num_samples}")
    if not replacement and num_samples > n:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{num_samples} of {n}"
        )
    weights = cast(reshape(input.detach(), -1, n), dtypes.float64)
    if not bool(((weights >= 0) & (weights < math.inf)).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    found = (weights > 0).sum(1)
    least = 1 if replacement else num_samples
    if found.numel() and int(found.min()) < least:
        raise RuntimeError(
            f"invalid multinomial distribution: {least} categories of more than no probability are "
            f"needed, and there are {int(found.min())}"
        )
    rows = weights.shape[0]
    drawn = rand(
        rows,
        num_samples if replacement else n,
        generator=generator,
        dtype=dtypes.float64,
        device=input.device,
    )
    out = empty(rows, num_samples, dtype=dtypes.int64, device=input.device)
    kernel = "random.choose" if replacement else "random.choose_distinct"
    launch(out.device, kernel, weights.contiguous()._buffer, drawn._buffer, out._buffer)
    return out if input.ndim == 2 else reshape(out, -1)


# ---------------------------------------------------------------------- drawn into a tensor


def _uniform(x: Tensor, generator: Generator | None) -> Tensor:
    """Numbers in [0, 1) for the elements of x."""
    return rand(*x.shape, generator=generator, dtype=dtypes.float64, device=x.device)


def _require(name: str, holds: bool, condition: str, x: Tensor | None = None) -> None:
    if not holds:
        raise RuntimeError(f"{name} expects {condition}")
    if x is not None and not x.dtype.is_floating_point:
        raise NotImplementedError(f"{name} is not defined for {x.dtype}")


@method("bernoulli_")
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones, with probability p or with those in a tensor p, and zeros."""
    if isinstance(p, Tensor):
        p = expand(_probabilities("bernoulli_", p.detach()), *self.shape)
    elif not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return copy_(self, _uniform(self, generator) < p)


@method("random_")
def random_(
    self: Tensor,
    from_: int | None = None,
    to: int | None = None,
    *,
    generator: Generator | None = None,
    **kwargs: Any,
) -> Tensor:
    """Fill with integers: `random_(from, to)` from there to `to` - 1, `random_(to)` from 0, and
    `random_()` with all that the type can hold from 0 on, of floating-point types all up to 2^24
    or 2^53."""
    low = kwargs.pop("from", from_)
    if kwargs:
        raise TypeError(f"random_() got unexpected arguments {sorted(kwargs)}")
    least, most = _whole_numbers(self.dtype)
    if to is None:
        low, to = 0, most + 1 if low is None else low
    low = 0 if low is None else low
    if low >= to:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={to}"
        )
    if low < least or to - 1 > most:
        raise RuntimeError(f"random_: from {low} to {to - 1} is out of bounds for {self.dtype}")
    drawn = randint(low, to, tuple(self.shape), generator=generator, device=self.device)
    return copy_(self, drawn)


def _whole_numbers(dtype: DType) -> tuple[int, int]:
    """From where to where a type holds every integer."""
    if dtype.is_floating_point:
        most = 2 ** (np.finfo(dtype.numpy).nmant + 1)
        return -most, most
    if dtype is dtypes.bool_:
        return 0, 1
    limits = np.iinfo(dtype.numpy)
    return int(limits.min), int(limits.max)


@method("exponential_")
def exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of density lambd e^(-lambd x)."""
    _require("exponential_", lambd > 0, f"lambda > 0.0, but found lambda={lambd}", self)
    return copy_(self, (-_uniform(self, generator)).log1p() / -lambd)


@method("log_normal_")
def log_normal_(
    self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers whose logarithms have a normal distribution."""
    _require("log_normal_", std > 0, f"std > 0.0, but found std={std}", self)
    drawn = randn(*self.shape, generator=generator, dtype=dtypes.float64, device=self.device)
    return copy_(self, (drawn * std + mean).exp())


@method("cauchy_")
def cauchy_(
    self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers of density sigma / (pi (sigma^2 + (x - median)^2))."""
    _require("cauchy_", sigma > 0, f"sigma > 0.0, but found sigma={sigma}", self)
    angle = (_uniform(self, generator) - 0.5) * math.pi
    return copy_(self, angle.sin() / angle.cos() * sigma + median)


@method("geometric_")
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of the first of many trials that succeeds, each with probability p."""
    _require("geometric_", 0 < p < 1, f"p to be in (0, 1), but got p={p}")
    drawn = (-_uniform(self, generator)).log1p() / math.log1p(-p)
    return copy_(self, drawn.ceil().clamp(min=1))
