"""Running totals along a dimension: sums, products, extremes, and differences, their inverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..autograd.op import Op, Result
from ..dtypes import DType, as_dtype
from ..tensor import Tensor, method
from . import return_types
from .elementwise import logaddexp, mul
from .index import TakeAlong
from .operands import cast, numpy_names, written
from .shape import cat, dimension, flip, narrow, reshape


class Cumsum(Op):
    """y[i] = x[0] + .. + x[i] along a dimension"""

    kernel = "scan.cumsum"
    parameters = ("dim",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, dim: int) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        dim = self.attrs["dim"]
        return flip(Cumsum.apply(flip(gy, dim), dim=dim), dim)


class ArgCummax(Op):
    """y[i] = the last place of the largest among x[0], .., x[i] along a dimension"""

    kernel = "scan.argcummax"
    parameters = ("dim",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, dim: int) -> Result:
        return x._buffer.shape, dtypes.int64


class ArgCummin(ArgCummax):
    """y[i] = the last place of the smallest among x[0], .., x[i] along a dimension"""

    kernel = "scan.argcummin"


def _along(scan: Callable[[Tensor, int], Tensor], input: Tensor, dim: int) -> Tensor:
    """A scan of a tensor, of which one without dimensions counts as one of a single element."""
    d = dimension(input, dim)
    return scan(input, d) if input.ndim else reshape(scan(reshape(input, 1), 0), ())


def _summable(input: Tensor, dtype: DType | None) -> Tensor:
    """The input in the given type; if none is, integers as int64."""
    if dtype is not None:
        return cast(input, as_dtype(dtype))
    return input if input.dtype.is_floating_point else cast(input, dtypes.int64)


@method("cumsum")
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """The sums of the first elements along a dimension, totalled in float64.

    >>> import minitorch_cnn as torch
    >>> torch.cumsum(torch.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    return _along(lambda x, d: Cumsum.apply(x, dim=d), _summable(input, dtype), dim)


def _doubling(combine: Callable[[Tensor, Tensor], Tensor], x: Tensor, d: int) -> Tensor:
    """y[i] = x[0] combined with .. x[i], in log2 n steps: step k joins stretches of 2^k elements.

    Made of what combines two, it has right gradients where elements are zero, of every order.
    """
    n, reach = x._buffer.shape[d], 1
    while reach < n:
        rest = combine(narrow(x, d, reach, n - reach), narrow(x, d, 0, n - reach))
        x = cat([narrow(x, d, 0, reach), rest], d)
        reach *= 2
    return x.clone() if n < 2 else x


@method("cumprod")
@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """The products of the first elements along a dimension."""
    return _along(lambda x, d: _doubling(mul, x, d), _summable(input, dtype), dim)


@method("logcumsumexp")
@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(e^x[0] + .. + e^x[i]) along a dimension, without overflow."""
    return _along(lambda x, d: _doubling(logaddexp, x, d), input, dim)


def _running(op: type[Op], kind: Any, input: Tensor, dim: int) -> Any:
    indices = _along(lambda x, d: op.apply(x, dim=d), input, dim)
    if not input.ndim:
        return kind(input.clone(), indices)
    return kind(TakeAlong.apply(input, indices, dim=dimension(input, dim)), indices)


@method("cummax")
@numpy_names
def cummax(input: Tensor, dim: int) -> return_types.cummax:
    """The largest of the first elements along a dimension, and the last place where each stood."""
    return _running(ArgCummax, return_types.cummax, input, dim)


@method("cummin")
@numpy_names
def cummin(input: Tensor, dim: int) -> return_types.cummin:
    """The smallest of the first elements along a dimension, and the last place where each stood."""
    return _running(ArgCummin, return_types.cummin, input, dim)


cumsum_, cumprod_ = written(cumsum, "cumsum_"), written(cumprod, "cumprod_")


@method("diff")
@numpy_names
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The differences of neighbours along a dimension, taken n times; first, what is to stand
    before and behind the input is joined to it."""
    if n < 0:
        raise RuntimeError(f"diff: the order must not be negative, but is {n}")
    if not input.ndim:
        raise RuntimeError("diff: the input must have at least one dimension")
    d = dimension(input, dim)
    x = cat([t for t in (prepend, input, append) if t is not None], d)
    for _ in range(min(n, x.shape[d])):
        last = max(x.shape[d] - 1, 0)
        after, before = narrow(x, d, min(1, x.shape[d]), last), narrow(x, d, 0, last)
        x = after ^ before if x.dtype is dtypes.bool_ else after - before
    return x
