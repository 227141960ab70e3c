"""What order tells: sorting, the largest few, medians and other quantiles, places in a sorted row,
and how often values occur."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import dtypes
from ..autograd.op import Op, Result
from ..device import cpu
from ..tensor import Tensor, method, wrap
from . import return_types
from .compare import isnan, where
from .creation import as_tensor
from .index import TakeAlong
from .operands import cast, full_like_scalar, numpy_names, pair
from .reduce import Amax, sum
from .shape import dimension, movedim, reshape, squeeze, unsqueeze

# ---------------------------------------------------------------------- ops


class ArgSort(Op):
    """y = where the elements of x stand in order along a dimension, equal ones as they stood"""

    kernel = "order.argsort"
    parameters = ("dim", "descending")
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, dim: int, descending: bool) -> Result:
        return x._buffer.shape, dtypes.int64


class ArgTopK(Op):
    """y = where the k largest or smallest of x stand along a dimension, in order"""

    kernel = "order.argtopk"
    parameters = ("k", "dim", "largest")
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, k: int, dim: int, largest: bool) -> Result:
        shape = x._buffer.shape
        return (*shape[:dim], k, *shape[dim + 1 :]), dtypes.int64


class ArgOne(Op):
    """y = the place of one of x along a dimension, which is kept"""

    parameters: ClassVar[tuple[str, ...]] = ("dim",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, dim: int, **rest: Any) -> Result:
        shape = x._buffer.shape
        return (*shape[:dim], 1, *shape[dim + 1 :]), dtypes.int64


class ArgKth(ArgOne):
    """y = the place of the k-th smallest of x along a dimension, counted from 0"""

    kernel = "order.argkth"
    parameters = ("k", "dim")


class ArgMedian(ArgOne):
    """y = the place of the lower median of x along a dimension, of the first NaN if there is one"""

    kernel = "order.argmedian"


class ArgNanMedian(ArgOne):
    """y = the place of the lower median of what is not NaN in x along a dimension"""

    kernel = "order.argnanmedian"


class ArgMode(ArgOne):
    """y = the last place of the most frequent of x along a dimension, of several the smallest"""

    kernel = "order.argmode"


class Median(Amax):
    """y = the lower median of all of x, NaN if any is; equal ones share the gradient"""

    kernel = "order.median"


class NanMedian(Amax):
    """y = the lower median of what is not NaN in x; equal ones share the gradient"""

    kernel = "order.nanmedian"


class SearchSorted(Op):
    """y = before how many elements of a sorted row each value belongs"""

    kernel = "order.searchsorted"
    parameters = ("right",)
    contiguous = False

    @staticmethod
    def outputs(rows: Tensor, values: Tensor, *, right: bool) -> Result:
        return values._buffer.shape, dtypes.int64


class BinCount(Op):
    """y[i] = how many of x are i, or the sum of their weights"""

    kernel = "order.bincount"

    @staticmethod
    def outputs(x: Tensor, weights: Tensor | None, *, size: int) -> Result:
        if weights is None:
            return (size,), dtypes.int64
        single = weights.dtype is dtypes.float32
        return (size,), dtypes.float32 if single else dtypes.float64


class HistC(Op):
    """y[i] = how many of x lie in the i-th of equal parts of [low, high]"""

    kernel = "order.histc"
    parameters = ("low", "high")

    @staticmethod
    def outputs(x: Tensor, *, bins: int, low: float, high: float) -> Result:
        return (bins,), x.dtype


# ---------------------------------------------------------------------- sorting


def _row(input: Tensor, dim: int) -> tuple[Tensor, int]:
    """The input with at least one dimension, and the dimension meant."""
    d = dimension(input, dim)
    return (input if input.ndim else reshape(input, 1)), d


def _like(result: Tensor, input: Tensor) -> Tensor:
    return result if input.ndim else reshape(result, ())


def _found(kind: Any, input: Tensor, x: Tensor, places: Tensor, d: int) -> Any:
    """Values and their places, as many dimensions as the input has."""
    values = TakeAlong.apply(x, places, dim=d)
    return kind(_like(values, input), _like(places, input))


@method("argsort")
@numpy_names
def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> Tensor:
    """Where the elements stand in order along a dimension; the order is always a stable one."""
    x, d = _row(input, dim)
    return _like(ArgSort.apply(x, dim=d, descending=bool(descending)), input)


@method("sort")
@numpy_names
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> return_types.sort:
    """The elements in order along a dimension, NaN as the largest, and where they stood.

    Equal elements keep their order, whether `stable` asks for it or not.

    >>> import minitorch_cnn as torch
    >>> values, indices = torch.sort(torch.tensor([3.0, 1.0, 2.0]), descending=True)
    >>> values, indices
    (tensor([3., 2., 1.]), tensor([0, 2, 1]))
    """
    x, d = _row(input, dim)
    places = ArgSort.apply(x, dim=d, descending=bool(descending))
    return _found(return_types.sort, input, x, places, d)


@method("msort")
def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension."""
    return sort(input, 0).values


@method("topk")
@numpy_names
def topk(
    input: Tensor, k: int, dim: int | None = None, largest: bool = True, sorted: bool = True
) -> return_types.topk:
    """The k largest or smallest elements along a dimension (the last), and where they stood.

    They come in order, whether `sorted` asks for it or not.
    """
    x, d = _row(input, -1 if dim is None else dim)
    if not 0 <= k <= x.shape[d]:
        raise RuntimeError(f"topk: selected index k={k} is out of range for {x.shape[d]} elements")
    places = ArgTopK.apply(x, k=k, dim=d, largest=bool(largest))
    values = TakeAlong.apply(x, places, dim=d)
    if input.ndim or k == 0:
        return return_types.topk(values, places)
    return return_types.topk(_like(values, input), _like(places, input))


def _one_place(kind: Any, input: Tensor, x: Tensor, places: Tensor, d: int, keepdim: bool) -> Any:
    """The value and the place of one element along a dimension."""
    if input.ndim and not keepdim:
        return kind(squeeze(TakeAlong.apply(x, places, dim=d), d), squeeze(places, d))
    return _found(kind, input, x, places, d)


@method("kthvalue")
@numpy_names
def kthvalue(
    input: Tensor, k: int, dim: int | None = None, keepdim: bool = False
) -> return_types.kthvalue:
    """The k-th smallest element along a dimension (the last), counted from 1, and its place."""
    x, d = _row(input, -1 if dim is None else dim)
    if not 1 <= k <= x.shape[d]:
        raise RuntimeError(f"kthvalue: k={k} is out of range for {x.shape[d]} elements")
    places = ArgKth.apply(x, k=k - 1, dim=d)
    return _one_place(return_types.kthvalue, input, x, places, d, keepdim)


@method("mode")
@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> return_types.mode:
    """The most frequent element along a dimension, of several the smallest, and its last place."""
    x, d = _row(input, dim)
    _filled("mode", x, d)
    places = ArgMode.apply(x, dim=d)
    return _one_place(return_types.mode, input, x, places, d, keepdim)


def _filled(name: str, x: Tensor, d: int) -> None:
    if x.shape[d] == 0:
        raise IndexError(
            f"{name}(): Expected reduction dim {d} to have non-zero size, but the input has shape "
            f"{list(x.shape)}"
        )


@method("median")
@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of all elements; along a dimension, medians and their places. Of two in the middle
    it is the lower one, and NaN if any element is.

    >>> import minitorch_cnn as torch
    >>> torch.median(torch.tensor([1.0, 7.0, 3.0, 5.0]))
    tensor(3.)
    """
    if dim is None:
        return _median_of_all(Median, input)
    return _median_along(ArgMedian, return_types.median, input, dim, keepdim)


@method("nanmedian")
@numpy_names
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """As `median`, of what is not NaN."""
    if dim is None:
        return _median_of_all(NanMedian, input)
    return _median_along(ArgNanMedian, return_types.nanmedian, input, dim, keepdim)


def _median_along(op: type[Op], kind: Any, input: Tensor, dim: int, keepdim: bool) -> Any:
    x, d = _row(input, dim)
    _filled(kind.__name__, x, d)
    return _one_place(kind, input, x, op.apply(x, dim=d), d, keepdim)


def _median_of_all(op: type[Op], input: Tensor) -> Tensor:
    if input.numel() == 0:
        nan = math.nan if input.dtype.is_floating_point else np.iinfo(input.dtype.numpy).min
        return full_like_scalar(nan, input.dtype, input.device)
    return op.apply(input, dims=tuple(range(input.ndim)), keepdim=False)


def _nans(x: Tensor, d: int) -> Tensor:
    return sum(isnan(x), d, keepdim=True)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@method("quantile")
@numpy_names
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The q-quantiles along a dimension or of all elements; NaN where any element is.

    Shape: that of a reduction, after the dimension of q if it is a vector. Between two elements the
    quantile is interpolated, or is one of them or their mean.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, ignore_nan=False)


@method("nanquantile")
@numpy_names
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """As `quantile`, of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, ignore_nan=True)


def _quantile(
    name: str,
    input: Tensor,
    q: Any,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    ignore_nan: bool,
) -> Tensor:
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}: interpolation must be one of {', '.join(_INTERPOLATIONS)}, "
            f"not {interpolation!r}"
        )
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"{name}: the input must be of floating point, not {input.dtype}")
    fractions = q if isinstance(q, Tensor) else full_like_scalar(q, input.dtype, input.device)
    if fractions.dtype is not input.dtype or fractions.ndim > 1:
        raise RuntimeError(
            f"{name}: q must be a number or a vector of {input.dtype}, not of {fractions.dtype} "
            f"and shape {list(fractions.shape)}"
        )
    inside = ((q >= 0) & (q <= 1)).all() if isinstance(q, Tensor) else 0 <= q <= 1
    if not inside:
        raise RuntimeError(f"{name}: q must lie between 0 and 1, not {fractions.tolist()}")
    if input.numel() == 0:
        raise RuntimeError(f"{name}: the input has no elements")
    x = reshape(input, -1) if dim is None else movedim(_row(input, dim)[0], dim, -1)
    values = sort(x, -1).values
    nans = _nans(values, -1)
    last = cast(values.shape[-1] - 1 - nans, input.dtype)
    rank = reshape(fractions, -1) * last.clamp(min=0)
    if not ignore_nan:  # NaN stands last
        rank = where(nans > 0, float(values.shape[-1] - 1), rank)
    below = rank.round() if interpolation == "nearest" else rank.floor()
    below, above = cast(below, dtypes.int64), cast(rank.ceil(), dtypes.int64)
    last_dim = values.ndim - 1
    if interpolation in ("lower", "nearest"):
        found = TakeAlong.apply(values, below, dim=last_dim)
    elif interpolation == "higher":
        found = TakeAlong.apply(values, above, dim=last_dim)
    else:
        half = full_like_scalar(0.5, rank.dtype, rank.device)
        weight = half if interpolation == "midpoint" else rank - below
        low = TakeAlong.apply(values, below, dim=last_dim)
        found = low.lerp(TakeAlong.apply(values, above, dim=last_dim), weight)
    out = movedim(found, -1, 0)
    if keepdim and input.ndim:
        if dim is None:
            out = reshape(out, -1, *[1] * input.ndim)
        else:
            out = unsqueeze(out, dimension(input, dim) + 1)
    return out if fractions.ndim else squeeze(out, 0)


# ---------------------------------------------------------------------- places in a sorted row


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where values belong in a sorted row: before the elements that are not smaller or, from the
    right, behind those that are not larger.

    Of several rows, each has values of its own. `sorter` tells the order of rows that have none.

    >>> import minitorch_cnn as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 6]))
    tensor([1, 3])
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted: side must be 'left' or 'right', not {side!r}")
    if side == "left" and right:
        raise RuntimeError("searchsorted: side 'left' contradicts right=True")
    rows = sorted_sequence
    rows, input = pair(rows, input)
    if rows.ndim != 1 and rows.shape[:-1] != input.shape[:-1]:
        raise RuntimeError(
            f"searchsorted: the rows of shape {list(rows.shape)} do not match the values of shape "
            f"{list(input.shape)} but for the last dimension"
        )
    if sorter is not None:
        if sorter.shape != rows.shape or sorter.dtype is not dtypes.int64:
            raise RuntimeError(
                f"searchsorted: sorter must be int64 of shape {list(rows.shape)}, not "
                f"{sorter.dtype} of {list(sorter.shape)}"
            )
        rows = rows.gather(-1, sorter)
    found = SearchSorted.apply(rows.detach(), input.detach(), right=right or side == "right")
    return cast(found, dtypes.int32) if out_int32 else found


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Between which boundaries each value lies; a boundary itself counts to the part below it or,
    from the right, to the part above."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries must be a vector, not {list(boundaries.shape)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# ---------------------------------------------------------------------- how often values occur


@method("unique")
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, or slices along a dimension, in order.

    Asked for, there follow the place of each element among them, and how often each occurs.

    >>> import minitorch_cnn as torch
    >>> torch.unique(torch.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    axis = None if dim is None else dimension(input, dim)
    found = np.unique(
        input._host(), return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    values, inverse, counts = found
    inverse = inverse.reshape(input.shape if axis is None else -1)
    return _with_counts(input, values, inverse, counts, return_inverse, return_counts)


@method("unique_consecutive")
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements, or slices along a dimension, without those equal to the one before.

    Asked for, there follow the place of each element among them, and how often each is repeated.
    """
    axis = None if dim is None else dimension(input, dim)
    x = input._host()
    rows = x.reshape(-1, 1) if axis is None else np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = np.flatnonzero(first)
    values = x.reshape(-1)[starts] if axis is None else np.take(x, starts, axis)
    inverse = np.cumsum(first) - 1
    inverse = inverse.reshape(x.shape) if axis is None else inverse
    counts = np.diff(np.append(starts, len(rows)))
    return _with_counts(input, values, inverse, counts, return_inverse, return_counts)


def _with_counts(
    input: Tensor, values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool
) -> Any:
    found = [wrap(np.ascontiguousarray(values), input.dtype, cpu).to(input.device)]
    for wanted, array in ((return_inverse, inverse), (return_counts, counts)):
        if wanted:
            found.append(as_tensor(np.asarray(array, np.int64), device=input.device))
    return found[0] if len(found) == 1 else tuple(found)


@method("bincount")
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, .. occurs among integers, or the sum of their weights."""
    if input.ndim != 1 or input.dtype.category != 1:
        raise RuntimeError(
            "bincount: expected a vector of integers that are not negative, got "
            f"{input.dtype} of shape {list(input.shape)}"
        )
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength must not be negative, but is {minlength}")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(
            f"bincount: weights of shape {list(weights.shape)} do not fit {list(input.shape)}"
        )
    if input.numel() and (least := int(input.amin())) < 0:
        raise RuntimeError(f"bincount: the integers must not be negative, but one is {least}")
    if not input.numel():
        return BinCount.apply(input, None, size=minlength)
    size = max(int(input.amax()) + 1, minlength)
    return BinCount.apply(input, None if weights is None else weights.detach(), size=size)


@method("histc")
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of equal parts of [min, max], the last part closed.

    If both are equal, the range is that of the elements.
    """
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"histc is not defined for {input.dtype}")
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0, but is {bins}")
    low, high = float(min), float(max)
    if low == high and input.numel():
        low, high = float(input.amin()), float(input.amax())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"histc: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"histc: max must be larger than min, but they are {high} and {low}")
    return HistC.apply(input.detach(), bins=bins, low=low, high=high)
