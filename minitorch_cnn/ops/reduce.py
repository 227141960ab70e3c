"""Reductions: sums, means, extremes and norms over dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from .. import dtypes
from ..autograd.op import Attributes, Op, Result
from ..dtypes import DType, as_dtype
from ..tensor import Form, Tensor, form, method
from . import return_types
from .compare import isnan, maximum, minimum, where
from .index import TakeAlong
from .operands import cast, floating, numpy_names
from .shape import cat, dimension, dimensions, dimensions_of, reshape

Dim = int | Sequence[int] | None


class Reduction(Op):
    """y = a number for the elements along `dims`, whose sizes become 1 or, without keepdim, go."""

    parameters: ClassVar[tuple[str, ...]] = ("dims",)
    contiguous = False

    @classmethod
    def outputs(cls, x: Tensor, *, dims: tuple[int, ...], keepdim: bool, **rest: Any) -> Result:
        return _reduced(x._buffer.shape, dims, keepdim), x.dtype

    def widen(self, t: Tensor) -> Tensor:
        """A tensor of the result's shape with the reduced dimensions back as 1."""
        shape, dims = self.shapes[0], self.attrs["dims"]
        assert shape is not None
        return t if self.attrs["keepdim"] else reshape(t, _reduced(shape, dims, True))


@lru_cache(maxsize=4096)
def _reduced(shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    if keepdim:
        return tuple([1 if d in dims else n for d, n in enumerate(shape)])
    return tuple([n for d, n in enumerate(shape) if d not in dims])


class Sum(Reduction):
    """y = sum of x over dims, divided"""

    kernel = "reduce.sum"
    parameters = ("dims", "divisor")
    contiguous = True
    attrs: Attributes

    @classmethod
    def outputs(cls, x: Tensor, *, dims: tuple[int, ...], keepdim: bool, **rest: Any) -> Result:
        dtype = x.dtype if x.dtype.is_floating_point else dtypes.int64
        return _reduced(x._buffer.shape, dims, keepdim), dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return SumGrad.apply(gy, given=self.attrs)


class SumGrad(Op):
    """gx = gy / divisor at every place along dims: the adjoint of Sum, whose attributes it takes"""

    kernel = "reduce.sum_grad"
    parameters = Sum.parameters
    attrs: Attributes

    @staticmethod
    def outputs(gy: Tensor, *, size: tuple[int, ...], **rest: Any) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor) -> Tensor:
        return Sum.apply(g, given=self.attrs)


class Amax(Reduction):
    """y = the largest of x over dims; equal ones share the gradient"""

    kernel = "reduce.amax"

    def grad_x(self, gy: Tensor, x: Tensor, y: Tensor) -> Tensor:
        chosen = cast(x == self.widen(y), gy.dtype)
        return self.widen(gy) * chosen / chosen.sum(self.attrs["dims"], keepdim=True)


class Amin(Amax):
    """y = the smallest of x over dims; equal ones share the gradient"""

    kernel = "reduce.amin"


class ArgMax(Op):
    """y = the index of the first largest of x along a dimension"""

    kernel = "reduce.argmax"
    parameters = ("dim",)
    contiguous = False

    @classmethod
    def outputs(cls, x: Tensor, *, dim: int) -> Result:
        return _reduced(x._buffer.shape, (dim,), False), dtypes.int64


class ArgMin(ArgMax):
    """y = the index of the first smallest of x along a dimension"""

    kernel = "reduce.argmin"


class Any_(Reduction):
    """Whether some of x over dims is not zero."""

    kernel = "reduce.any"

    @classmethod
    def outputs(cls, x: Tensor, *, dims: tuple[int, ...], keepdim: bool, **rest: Any) -> Result:
        dtype = dtypes.uint8 if x.dtype is dtypes.uint8 else dtypes.bool_  # as PyTorch has it
        return _reduced(x._buffer.shape, dims, keepdim), dtype


class All(Any_):
    """Whether none of x over dims is zero."""

    kernel = "reduce.all"


class LogSumExp(Reduction):
    """y = log sum exp(x) over dims"""

    kernel = "reduce.logsumexp"

    def grad_x(self, gy: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return self.widen(gy) * (x - self.widen(y)).exp()


class Norm(Reduction):
    """y = (sum |x|^p over dims)^(1/p)"""

    kernel = "reduce.norm"
    parameters = ("dims", "p")

    def grad_x(self, gy: Tensor, x: Tensor, y: Tensor) -> Tensor:
        # Where the norm is 0 it has a kink; PyTorch's choice of slope there is 0.
        p, g, size = self.attrs["p"], self.widen(gy), self.widen(y)
        if p == 0:
            return gy.sum() * 0 * x
        if p == 1:
            return g * x.sign()
        if math.isinf(p):
            chosen = cast(x.abs() == size, gy.dtype)
            return g * chosen * x.sign() / chosen.sum(self.attrs["dims"], keepdim=True)
        safe = where(size == 0, 1.0, size)
        if p == 2:
            return where(size == 0, 0.0, g / safe) * x
        slope = x.sign() * where(x == 0, 1.0, x.abs()) ** (p - 1)
        return where((size == 0) | (x == 0), 0.0, g * slope / safe ** (p - 1))


def _apply(op: type[Op], input: Tensor, dim: Dim, keepdim: bool, **attrs: Any) -> Tensor:
    return op.apply(input, dims=dimensions(input, dim), keepdim=keepdim, **attrs)


def _some(name: str, input: Tensor, dim: Dim) -> None:
    """Refuse to look for an extreme among no elements."""
    if dim == () and input._buffer.size == 0:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input of shape "
            f"{list(input.shape)}, which has no elements"
        )
    for d in dimensions(input, dim):
        if input._buffer.shape[d] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size, "
                f"the input has shape {list(input.shape)}"
            )


@method("sum")
@numpy_names
def sum(
    input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The sum over dimensions, over all if none is given; of integers it is int64.

    Of floats, sums of short stretches are in their type, the totals of these in float64, in an
    order that depends on the shape alone.
    """
    if dtype is not None:
        input = cast(input, as_dtype(dtype))
    dim = tuple(dim) if isinstance(dim, list) else dim
    return Sum.apply_one(input, _summing(form(input), dim, keepdim, 1))


@lru_cache(maxsize=4096, typed=True)
def _summing(form: Form, dim: Dim, keepdim: bool, divisor: int | float | None) -> Attributes:
    """Attributes of a sum; without a divisor, of a mean."""
    dims, size = dimensions_of(len(form.shape), dim), form.shape
    if divisor is None:
        divisor = math.prod([size[d] for d in dims])
    return Attributes(dims=dims, keepdim=keepdim, divisor=divisor, size=size)


@method("mean")
@numpy_names
def mean(
    input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The mean over dimensions, over all if none is given."""
    if dtype is not None:
        input = cast(input, as_dtype(dtype))
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"mean(): the input must be floating point, not {input.dtype}")
    dim = tuple(dim) if isinstance(dim, list) else dim
    return Sum.apply_one(input, _summing(form(input), dim, keepdim, None))


def _count(input: Tensor, dim: Dim) -> int:
    return math.prod([input._buffer.shape[d] for d in dimensions(input, dim)])


@method("var")
@numpy_names
def var(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float = 1,
) -> Tensor:
    """The variance, its sum of squares divided by the count less `correction`, not below 0."""
    if isinstance(dim, bool):  # PyTorch's older form: var(input, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"var(): the input must be floating point, not {input.dtype}")
    centred = input - mean(input, dim, keepdim=True)
    freedom = max(_count(input, dim) - correction, 0)
    squares = centred * centred
    if freedom == 0:
        return sum(squares, dim, keepdim) / 0.0
    dim = tuple(dim) if isinstance(dim, list) else dim
    return Sum.apply(squares, given=_summing(form(squares), dim, keepdim, freedom))


@method("std")
@numpy_names
def std(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float = 1,
) -> Tensor:
    """The square root of the variance."""
    return var(input, dim, unbiased, keepdim, correction=correction).sqrt()


@numpy_names
def var_mean(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float = 1,
) -> tuple[Tensor, Tensor]:
    """The variance and the mean."""
    spread = var(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@numpy_names
def std_mean(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float = 1,
) -> tuple[Tensor, Tensor]:
    """The square root of the variance, and the mean."""
    spread = std(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@method("nansum")
@numpy_names
def nansum(
    input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The sum over dimensions of what is not NaN."""
    return sum(where(isnan(input), 0, input), dim, keepdim, dtype=dtype)


@method("nanmean")
@numpy_names
def nanmean(
    input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The mean over dimensions of what is not NaN."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"nanmean(): the input must be floating point, not {input.dtype}")
    total = nansum(input, dim, keepdim, dtype=dtype)
    return total / sum(~isnan(input), dim, keepdim)


@method("count_nonzero")
@numpy_names
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements over dimensions are not zero."""
    return sum(input != 0, dim)


@method("dist")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    return norm(input - other, p)


@method("amax")
@numpy_names
def amax(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest elements over dimensions; equal ones share the gradient."""
    _some("amax", input, dim)
    return _apply(Amax, input, dim, keepdim)


@method("amin")
@numpy_names
def amin(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest elements over dimensions; equal ones share the gradient."""
    _some("amin", input, dim)
    return _apply(Amin, input, dim, keepdim)


def _arg(op: type[Op], name: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    _some(name, input, dim)
    if dim is None:
        found = op.apply(reshape(input, -1), dim=0)
        return reshape(found, (1,) * input.ndim) if keepdim else found
    d = dimension(input, dim)
    if input.ndim == 0:
        return op.apply(reshape(input, 1), dim=0)
    found = op.apply(input, dim=d)
    return found.unsqueeze(d) if keepdim else found


@method("argmax")
@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first largest element, along a dimension or of the flattened tensor."""
    return _arg(ArgMax, "argmax", input, dim, keepdim)


@method("argmin")
@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first smallest element, along a dimension or of the flattened tensor."""
    return _arg(ArgMin, "argmin", input, dim, keepdim)


@method("aminmax")
@numpy_names
def aminmax(
    input: Tensor, *, dim: int | None = None, keepdim: bool = False
) -> return_types.aminmax:
    """The smallest and the largest elements, of all or along a dimension."""
    over = () if dim is None else dim
    return return_types.aminmax(amin(input, over, keepdim), amax(input, over, keepdim))


def _extreme(
    kind: Any,
    pick: Callable[..., Tensor],
    whole: Callable[..., Tensor],
    elementwise: Callable[..., Tensor],
    input: Tensor,
    dim: Any,
    keepdim: bool,
    other: Tensor | None,
) -> Any:
    name = kind.__name__
    if isinstance(dim, Tensor) or other is not None:
        return elementwise(input, dim if other is None else other)
    if dim is None:
        if input._buffer.size == 0:
            raise RuntimeError(f"{name}(): Expected reduction over a tensor with elements")
        return whole(input)
    d = dimension(input, dim)
    if input.ndim == 0:
        return kind(input.clone(), pick(input, 0))
    indices = pick(input, d, keepdim=True)
    values = TakeAlong.apply(input, indices, dim=d)
    if not keepdim:
        values, indices = values.squeeze(d), indices.squeeze(d)
    return kind(values, indices)


@method("max")
@numpy_names
def max_(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None
) -> Any:
    """The largest element; along a dimension, values and indices; with a tensor, elementwise."""
    return _extreme(return_types.max, argmax, amax, maximum, input, dim, keepdim, other)


@method("min")
@numpy_names
def min_(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None
) -> Any:
    """The smallest element; along a dimension, values and indices; with a tensor, elementwise."""
    return _extreme(return_types.min, argmin, amin, minimum, input, dim, keepdim, other)


@method("any")
@numpy_names
def any_(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether some element is not zero."""
    return _apply(Any_, input, dim, keepdim)


@method("all")
@numpy_names
def all_(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether no element is zero."""
    return _apply(All, input, dim, keepdim)


@method("prod")
@numpy_names
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The product along a dimension or of all elements, multiplied pair by pair.

    The tree of products gives right gradients where elements are zero, of every order.
    """
    if dtype is not None:
        input = cast(input, as_dtype(dtype))
    elif not input.dtype.is_floating_point:
        input = cast(input, dtypes.int64)
    if dim is None:
        whole = prod(reshape(input, -1), 0)
        return reshape(whole, (1,) * input.ndim) if keepdim else whole
    d = dimension(input, dim)
    factors = input if input.ndim else reshape(input, 1)
    while factors.shape[d] > 1:
        n = factors.shape[d]
        half = factors.narrow(d, 0, n // 2) * factors.narrow(d, n // 2, n // 2)
        rest = factors.narrow(d, n - 1, n % 2)
        factors = cat([half, rest], d) if n % 2 else half
    if factors.shape[d] == 0:
        factors = factors.sum(d, keepdim=True) + 1  # of nothing: 1
    if not input.ndim:
        return reshape(factors, ())
    return factors.clone() if keepdim else factors.squeeze(d)


@method("logsumexp")
@numpy_names
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum exp(x) over dimensions, without overflow."""
    return _apply(LogSumExp, floating(input), dim, keepdim)


@method("norm")
@numpy_names
def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Tensor:
    """The p-norm of the elements over dimensions; "fro" is 2. As `torch.norm` for vectors."""
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p must be a number or 'fro', not {p!r}")
    input = cast(input, None if dtype is None else as_dtype(dtype))
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"norm(): expected a floating point tensor as input, not {input.dtype}")
    power = 2.0 if p in (None, "fro") else float(p)
    if power == -math.inf:
        _some("norm", input, dim)
    return _apply(Norm, input, dim, keepdim, p=power)
