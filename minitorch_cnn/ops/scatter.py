"""Functions that read or write a tensor at indices along one dimension, in a row, or by a mask.

All are made of what `x[...]` is made of, `Take`, `Put` and `PutAdd`, and of gather's two ops. Where
indices repeat, sums run in their order, and of values written to one place the last one stays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.op import Op, Result
from ..dtypes import DType
from ..tensor import Tensor, method
from .compare import where
from .convert import clone, copy_
from .creation import arange
from .elementwise import add
from .index import (
    Put,
    PutAdd,
    PutAlongAdd,
    Take,
    check_places,
    nonzero,
    sliced,
    take_along,
    take_at,
)
from .operands import broadcast_shape, cast, fitting, full_like_scalar, in_place, numpy_names
from .shape import broadcast_tensors, dimension, expand, reshape, select, sizes, unsqueeze

# ---------------------------------------------------------------------- a vector of indices


def _places(
    name: str,
    x: Tensor,
    index: Tensor,
    dim: int,
    *,
    negative: bool = False,
    error: Any = IndexError,
) -> tuple[Tensor, int]:
    """A vector of indices of a dimension, and the dimension counted from the front."""
    d = dimension(x, dim)
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index, not {index.dtype}")
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, not of shape {list(index.shape)}"
        )
    vector = cast(reshape(index, -1), dtypes.int64)
    check_places(vector, x.shape[d] if x.ndim else 1, d, negative=negative, error=error)
    return vector, d


def _filled_number(name: str, value: Any, x: Tensor) -> Tensor:
    """A number, or a tensor without dimensions, as a tensor of x's type."""
    if not isinstance(value, Tensor):
        return full_like_scalar(fitting(value, x.dtype), x.dtype, x.device)
    if value.ndim:
        raise RuntimeError(
            f"{name} only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    return cast(value, x.dtype)


def _require_same_type(name: str, x: Tensor, source: Tensor) -> None:
    if x.dtype is not source.dtype:
        raise RuntimeError(
            f"{name}: self and source expected to have the same dtype, but got {x.dtype} and "
            f"{source.dtype}"
        )


def _require_slices(name: str, x: Tensor, d: int, index: Tensor, source: Tensor) -> None:
    """Refuse a source that is not x with as many slices of a dimension as there are indices."""
    if x.ndim == 0 and index.numel() != 1:
        raise IndexError(f"{name}: a tensor without dimensions has one slice, not {index.numel()}")
    shape, given, count = x._buffer.shape, source._buffer.shape, index._buffer.size
    if len(given) != len(shape) or given[:d] + given[d + 1 :] != shape[:d] + shape[d + 1 :]:
        raise RuntimeError(
            f"{name}: source tensor shape must match self tensor shape, excluding the specified "
            f"dimension. Got self.shape = {list(shape)} source.shape = {list(given)}"
        )
    if given and given[d] != count:
        raise (IndexError if name == "index_copy" else RuntimeError)(
            f"{name}: Number of indices ({count}) should be equal to source.size(dim): "
            f"({given[d]}), for dim: {d}"
        )


@method("index_select")
@numpy_names
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension that a vector of indices names.

    >>> import minitorch_cnn as torch
    >>> torch.arange(6).reshape(2, 3).index_select(1, torch.tensor([2, 0]))
    tensor([[2, 0],
            [5, 3]])
    """
    places, d = _places("index_select", input, index, dim)
    if input.ndim == 0:
        if places.numel() != 1:
            raise RuntimeError("index_select: a tensor without dimensions has one slice")
        return clone(input)
    return Take.apply(input, places, dims=(d,))


@method("index_add")
@numpy_names
def index_add(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    *,
    alpha: Any = 1,
    into: Tensor | None = None,
) -> Tensor:
    """The input with `alpha` times the source's slices added to those that the indices name."""
    places, d = _places("index_add", input, index, dim, error=RuntimeError)
    _require_same_type("index_add", input, source)
    _require_slices("index_add", input, d, places, source)
    if input.ndim == 0:
        return add(input, source, alpha=alpha, into=into)
    added = PutAdd.apply(source, places, size=input._buffer.shape, dims=(d,))
    return add(input, added, alpha=alpha, into=into)


@method("index_copy")
@numpy_names
def index_copy(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, into: Tensor | None = None
) -> Tensor:
    """The input with the slices that the indices name replaced by the source's."""
    places, d = _places("index_copy", input, index, dim)
    _require_same_type("index_copy", input, source)
    _require_slices("index_copy", input, d, places, source)
    if input.ndim == 0:
        return copy_(input if into is not None else clone(input), source)
    return Put.apply(input, source, places, dims=(d,), into=into)


@method("index_fill")
@numpy_names
def index_fill(
    input: Tensor, dim: int, index: Tensor, value: Any, *, into: Tensor | None = None
) -> Tensor:
    """The input with one value in all slices that the indices name."""
    places, d = _places("index_fill", input, index, dim, negative=True)
    number = _filled_number("index_fill", value, input)
    if places.numel() == 0:
        return input if into is not None else clone(input)
    if input.ndim == 0:
        return copy_(input if into is not None else clone(input), number)
    return Put.apply(input, number, places, dims=(d,), into=into)


# ---------------------------------------------------------------------- an index for each element


def _along(
    name: str, x: Tensor, dim: int, index: Tensor, src: Tensor | None
) -> tuple[Tensor, int, Any]:
    """The indices, the dimension, and the part of the source that they speak of."""
    d = dimension(x, dim)
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index, not {index.dtype}")
    shape = index._buffer.shape
    if src is not None:
        _require_same_type(name, x, src)
    if index.numel() == 0:
        return cast(index, dtypes.int64), d, src
    if index.ndim != x.ndim or (src is not None and src.ndim != x.ndim):
        raise RuntimeError(
            f"{name}: index and src must have the same number of dimensions as self, but got "
            f"{index.ndim} and {src.ndim if src is not None else x.ndim} for {x.ndim}"
        )
    fits = all([n <= m for i, (n, m) in enumerate(zip(shape, x._buffer.shape)) if i != d])
    within = src is None or all([n <= m for n, m in zip(shape, src._buffer.shape)])
    if not (fits and within):
        raise RuntimeError(
            f"Expected index {list(shape)} to be no larger than self {list(x.shape)} apart from "
            f"dimension {d}"
            + (f" and to be no larger size than src {list(src.shape)}" if src is not None else "")
        )
    check_places(index, x.shape[d], d)
    if src is not None and src._buffer.shape != shape:
        src = src[tuple([slice(n) for n in shape])]
    return cast(index, dtypes.int64), d, src


def _raised(x: Any) -> Any:
    """A tensor without dimensions as one of a single element; what is none as it is."""
    return reshape(x, 1) if isinstance(x, Tensor) and x.ndim == 0 else x


def _has_number(input: Tensor, index: Tensor) -> bool:
    """Whether these are to be raised: a vector has an element without dimensions as its index."""
    return input.ndim == 0 or (input.ndim == 1 and index.ndim == 0)


def _put_along(x: Tensor, value: Tensor, index: Tensor, d: int, into: Tensor | None) -> Tensor:
    """x, but at the indices along a dimension the value."""
    shape = index._buffer.shape
    places = []
    for i, n in enumerate(shape):
        if i == d:
            places.append(index)
        else:
            places.append(arange(n, device=x.device).reshape(n, *[1] * (len(shape) - i - 1)))
    return Put.apply(x, value, *places, dims=tuple(range(len(shape))), into=into)


@method("scatter")
@numpy_names
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
    into: Tensor | None = None,
) -> Tensor:
    """The input with `src`, or one value, written at the indices: y[index[i][j]][j] = src[i][j] for
    dim 0, and so on for others. `reduce` "add" or "multiply" has what is there changed instead.

    >>> import minitorch_cnn as torch
    >>> torch.zeros(2, 3).scatter(1, torch.tensor([[0], [2]]), 1.0)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    given = value if src is None else src
    if (src is None) == (value is None):
        raise TypeError("scatter: expected either src or value")
    if reduce is not None and reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if _has_number(input, index):
        parts = _raised(index), _raised(given)
        return _result(scatter(_raised(input), dim, *parts, reduce=reduce), input, into)
    tensor = given if isinstance(given, Tensor) else None
    places, d, part = _along("scatter", input, dim, index, tensor)
    if places.numel() == 0:
        return clone(input) if into is None else into
    if part is None:
        part = _filled_number("scatter", given, input)
    if reduce is not None:
        part = expand(part, *index.shape)
        how = "sum" if reduce == "add" else "prod"
        return _result(scatter_reduce(input, d, places, part, how), input, into)
    return _put_along(input, part, places, d, into)


def _result(found: Tensor, x: Tensor, into: Tensor | None) -> Tensor:
    """What was found, in x's shape, written to `into` if given."""
    found = reshape(found, x.shape)
    return found if into is None else copy_(into, found)


@method("scatter_add")
@numpy_names
def scatter_add(
    input: Tensor, dim: int, index: Tensor, src: Tensor, *, into: Tensor | None = None
) -> Tensor:
    """The input with `src` added at the indices along a dimension: the adjoint of `gather`."""
    if not isinstance(src, Tensor):
        raise TypeError(f"scatter_add: src must be a Tensor, not {type(src).__name__}")
    if _has_number(input, index):
        return _result(scatter_add(_raised(input), dim, _raised(index), _raised(src)), input, into)
    places, d, part = _along("scatter_add", input, dim, index, src)
    if places.numel() == 0:
        return clone(input) if into is None else into
    return add(input, PutAlongAdd.apply(part, places, dim=d, size=input._buffer.shape), into=into)


class ScatterReduce(Op):
    """y = x, then y[.., index[.., i, ..], ..] = how(itself, src[.., i, ..])"""

    kernel = "index.put_along_reduce"
    parameters = ("dim", "how")
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, src: Tensor, index: Tensor, *, dim: int, how: str) -> Result:
        return x._buffer.shape, x.dtype

    def grads(self, gy: Tensor, x: Tensor, src: Tensor, index: Tensor, y: Tensor) -> Any:
        d = self.attrs["dim"]
        if self.attrs["how"] == "prod":
            return self._product_grads(gy, x, src, index, d)
        # The elements that equal the extreme share its gradient.
        of_x = cast(x == y, gy.dtype)
        of_src = cast(src == take_along(y, index, d), gy.dtype)
        shared = gy / (of_x + PutAlongAdd.apply(of_src, index, dim=d, size=x._buffer.shape))
        return of_x * shared, of_src * take_along(shared, index, d), None

    def _product_grads(self, gy: Tensor, x: Tensor, src: Tensor, index: Tensor, d: int) -> Any:
        """Each factor's gradient is the product of the others: where one is zero, of the rest."""
        one = full_like_scalar(1, x.dtype, x.device)
        of_src = ScatterReduce.apply(expand(one, *x.shape), src, index, dim=d, how="prod")
        zero_x, zero_src = x == 0, src == 0
        zeros = cast(zero_x, x.dtype) + PutAlongAdd.apply(
            cast(zero_src, x.dtype), index, dim=d, size=x._buffer.shape
        )
        factors = where(zero_x, one, x), where(zero_src, one, src)
        rest = ScatterReduce.apply(*factors, index, dim=d, how="prod")
        g, zeros = [take_along(t, index, d) for t in (gy * rest, zeros)]
        others = cast(zeros == cast(zero_src, x.dtype), x.dtype)
        return gy * of_src, g * others / where(zero_src, one, src), None


def _identity(how: str, dtype: DType) -> Any:
    """What changes nothing when it is joined."""
    if how in ("amax", "amin"):
        sign = -1 if how == "amax" else 1
        if dtype.category != 1:
            return sign * math.inf if dtype.is_floating_point else sign > 0
        limits = np.iinfo(dtype.numpy)
        return limits.min if how == "amax" else limits.max
    return 1 if how == "prod" else 0


@method("scatter_reduce")
@numpy_names
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
    into: Tensor | None = None,
) -> Tensor:
    """The input with `src` joined, at the indices along a dimension, to what is there: its "sum",
    "prod", "mean", "amax" or "amin"; without `include_self` of the source's elements alone.

    >>> import minitorch_cnn as torch
    >>> torch.zeros(2).scatter_reduce(0, torch.tensor([0, 0]), torch.tensor([1.0, 3.0]), "amax")
    tensor([3., 0.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if _has_number(input, index):
        parts = _raised(input), dim, _raised(index), _raised(src), reduce
        return _result(scatter_reduce(*parts, include_self=include_self), input, into)
    places, d, part = _along("scatter_reduce", input, dim, index, src)
    if places.numel() == 0:
        return clone(input) if into is None else into
    x = input
    if not include_self:
        start = full_like_scalar(_identity(reduce, x.dtype), x.dtype, x.device)
        x = _put_along(x, start, places, d, None)
    if reduce in ("sum", "mean"):
        found = scatter_add(x, d, places, part)
    else:
        found = ScatterReduce.apply(x, part, places, dim=d, how=reduce)
    if reduce == "mean":
        ones = expand(full_like_scalar(1, x.dtype, x.device), *part.shape)
        count = PutAlongAdd.apply(ones, places, dim=d, size=x._buffer.shape) + int(include_self)
        count = count.clamp(min=1)
        found = found / count if x.dtype.is_floating_point else found // count
    return found if into is None else copy_(into, found)


@method("take_along_dim")
@numpy_names
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As `gather`, where sizes that differ are broadcast; without a dimension, from all elements as
    one row. Negative indices count from the end."""
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(
            f"take_along_dim(): dtype of indices should be Long but got {indices.dtype}"
        )
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(indices, -1), 0)
    if indices.ndim != input.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but "
            f"got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    d = dimension(input, dim)
    others = [[1 if i == d else n for i, n in enumerate(t.shape)] for t in (input, indices)]
    common = broadcast_shape("take_along_dim", *[tuple(size) for size in others])
    check_places(indices, input.shape[d], d, negative=True)
    x, places = [
        expand(t, *[t.shape[i] if i == d else n for i, n in enumerate(common)])
        for t in (input, indices)
    ]
    return take_along(x, places, d)


# ---------------------------------------------------------------------- all elements as one row


def _flat_places(name: str, x: Tensor, index: Tensor) -> Tensor:
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index.dtype}")
    n, values = x.numel(), index._host()
    for value in (values.min(), values.max()) if values.size else ():
        if not -n <= value < n:
            raise IndexError(
                f"out of range: tried to access index {value} on a tensor of {n} elements."
            )
    return index


@method("take")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at indices that count all elements as one row, in the indices' shape.

    >>> import minitorch_cnn as torch
    >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([3, 0]))
    tensor([4, 1])
    """
    return Take.apply(reshape(input, -1), _flat_places("take", input, index), dims=(0,))


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Indices that count all elements of a shape as one row, as an index for each dimension.

    >>> import minitorch_cnn as torch
    >>> torch.unravel_index(torch.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.dtype.category != 1:
        raise TypeError(f"unravel_index: expected integers as indices, not {indices.dtype}")
    found: list[Tensor] = []
    rest = indices
    for n in reversed(sizes((shape,))):
        if n < 0:
            raise ValueError(f"unravel_index: {shape} is no shape: a size is negative")
        found.insert(0, rest % n)
        rest = rest // n
    return tuple(found)


@method("put")
def put(
    input: Tensor,
    index: Tensor,
    source: Tensor,
    accumulate: bool = False,
    *,
    into: Tensor | None = None,
) -> Tensor:
    """The input with the source's elements written to, or added at, indices that count all elements
    as one row."""
    places = reshape(_flat_places("put_", input, index), -1)
    _require_same_type("put_()", input, source)
    if source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}"
        )
    flat, values = reshape(input, -1), reshape(source, -1)
    if accumulate:
        found = flat + PutAdd.apply(values, places, size=flat._buffer.shape, dims=(0,))
    else:
        found = Put.apply(flat, values, places, dims=(0,))
    return _result(found, input, into)


# ---------------------------------------------------------------------- indices for each dimension


@method("index_put")
def index_put(
    input: Tensor,
    indices: Any,
    values: Tensor,
    accumulate: bool = False,
    *,
    into: Tensor | None = None,
) -> Tensor:
    """The input with `values` written to, or added at, x[indices]; a sequence of index tensors.

    >>> import minitorch_cnn as torch
    >>> torch.zeros(3).index_put((torch.tensor([1, 1]),), torch.tensor(2.0), accumulate=True)
    tensor([0., 4., 0.])
    """
    if not isinstance(values, Tensor):
        raise TypeError(f"index_put: values must be a Tensor, not {type(values).__name__}")
    if not all([isinstance(index, Tensor) for index in indices]):
        raise TypeError("index_put: indices must be a sequence of Tensors")
    _require_same_type("index_put", input, values)
    out = clone(input) if into is None else into
    if not accumulate:
        out[tuple(indices)] = values
        return out
    part, places = sliced(out, tuple(indices))
    if places:
        shown = expand(values, *take_at(part.detach(), places).shape)
        values = PutAdd.apply(shown, *places.values(), size=part._buffer.shape, dims=tuple(places))
    part.add_(values)
    return out


# ---------------------------------------------------------------------- a slice


def fill_view(part: Tensor, src: Tensor) -> None:
    """Write a source of the same shape into a view."""
    if part.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self: src {list(src.shape)}, "
            f"slice {list(part.shape)}"
        )
    copy_(part, src)


@method("select_scatter")
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of the input with `src` as one slice of a dimension."""
    out = clone(input)
    fill_view(select(out, dim, index), src)
    return out


@method("slice_scatter")
def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy of the input with `src` as the slices start, start + step, .. of a dimension."""
    out = clone(input)
    index = (slice(None),) * dimension(input, dim) + (slice(start, end, step),)
    fill_view(out[index], src)
    return out


# ---------------------------------------------------------------------- masks


def _require_mask(name: str, mask: Tensor) -> None:
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"{name}: expected BoolTensor for mask, not {mask.dtype}")


@method("masked_select")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask, broadcast with the input, holds, in a row."""
    _require_mask("masked_select", mask)
    x, kept = broadcast_tensors(input, mask)
    return x[kept]


@method("masked_scatter")
def masked_scatter(
    input: Tensor, mask: Tensor, source: Tensor, *, into: Tensor | None = None
) -> Tensor:
    """The input with the source's first elements, in order, where the mask holds.

    >>> import minitorch_cnn as torch
    >>> x = torch.zeros(4)
    >>> x.masked_scatter(torch.tensor([True, False, True, False]), torch.tensor([5.0, 6.0, 7.0]))
    tensor([5., 0., 6., 0.])
    """
    _require_mask("masked_scatter", mask)
    _require_same_type("masked_scatter", input, source)
    x, kept = broadcast_tensors(input, mask)
    count = int(kept.sum())
    if count > source.numel():
        raise RuntimeError(
            f"masked_scatter: the mask holds at {count} places, for which the source of "
            f"{source.numel()} elements does not suffice"
        )
    out = clone(x)
    out[kept] = reshape(source, -1)[:count]
    return out if into is None else copy_(into, out)


@method("argwhere")
def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not zero, a row each."""
    return nonzero(input)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """For each class a vector of zeros with a one at its number; -1 asks for as many classes as
    there are up to the largest. Shapes (*) to (*, num_classes).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html

    >>> import minitorch_cnn as torch
    >>> torch.nn.functional.one_hot(torch.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, not {tensor.dtype}"
        )
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    else:
        low, high = int(tensor.min()), int(tensor.max())
        if low < 0:
            raise RuntimeError(f"Class values must be non-negative, not {low}.")
        if num_classes != -1 and high >= num_classes:
            raise RuntimeError(
                f"Class values must be smaller than num_classes: {high} for {num_classes}."
            )
        num_classes = high + 1 if num_classes == -1 else num_classes
    classes = arange(num_classes, device=tensor.device)
    return cast(unsqueeze(tensor, -1) == classes, dtypes.int64)


index_add_, index_copy_ = in_place(index_add, "index_add_"), in_place(index_copy, "index_copy_")
index_fill_, index_put_ = in_place(index_fill, "index_fill_"), in_place(index_put, "index_put_")
scatter_, scatter_add_ = in_place(scatter, "scatter_"), in_place(scatter_add, "scatter_add_")
scatter_reduce_, put_ = in_place(scatter_reduce, "scatter_reduce_"), in_place(put, "put_")
masked_scatter_ = in_place(masked_scatter, "masked_scatter_")
