"""Indexing: x[...] read and written, with numbers, slices, masks and index tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.graph import reduce_to
from ..autograd.op import Op, Result, View
from ..device import cpu
from ..dtypes import dtype_of
from ..tensor import Tensor, method, wrap
from .operands import broadcast_shape, cast, fitting, full_like_scalar, numpy_names
from .shape import dimension


class Slice(View):
    """y = x[index], an index of ints, slices, None and an Ellipsis"""

    @staticmethod
    def view(buffer: Any, *, index: tuple[Any, ...]) -> Any:
        return buffer[index]

    def grad_x(self, gy: Tensor) -> Tensor:
        return PutSlice.apply(gy, size=self.shapes[0], **self.attrs)


class PutSlice(Op):
    """y = 0, but y[index] = x"""

    kernel = "index.put_slice"
    parameters = ("index",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, size: tuple[int, ...], index: tuple[Any, ...]) -> Result:
        return size, x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return Slice.apply(gy, index=self.attrs["index"])


class Take(Op):
    """y = x[.., indices, ..], each index tensor at its dimension"""

    kernel = "index.take"
    parameters = ("dims",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *indices: Tensor, dims: tuple[int, ...]) -> Result:
        return _taken_shape(x._buffer.shape, indices, dims), x.dtype

    def grad_x(self, gy: Tensor, indices: list[Tensor]) -> Tensor:
        return PutAdd.apply(gy, *indices, size=self.shapes[0], **self.attrs)


class PutAdd(Op):
    """y = 0, then y[.., indices, ..] += x"""

    kernel = "index.put_add"
    parameters = ("dims",)
    contiguous = False

    @staticmethod
    def outputs(
        x: Tensor, *indices: Tensor, size: tuple[int, ...], dims: tuple[int, ...]
    ) -> Result:
        return size, x.dtype

    def grad_x(self, gy: Tensor, indices: list[Tensor]) -> Tensor:
        return Take.apply(gy, *indices, dims=self.attrs["dims"])


class Put(Op):
    """y = x, but y[.., indices, ..] = value"""

    kernel = "index.put"
    parameters = ("dims",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, value: Tensor, *indices: Tensor, dims: tuple[int, ...]) -> Result:
        shape = _taken_shape(x._buffer.shape, indices, dims)
        if broadcast_shape("index_put", shape, value._buffer.shape) != shape:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast "
                f"to indexing result of shape {list(shape)}"
            )
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor, indices: list[Tensor]) -> Tensor:
        zero = full_like_scalar(0, gy.dtype, gy.device)
        return Put.apply(gy, zero, *indices, **self.attrs)

    def grad_value(self, gy: Tensor, indices: list[Tensor]) -> Tensor:
        return reduce_to(Take.apply(gy, *indices, **self.attrs), self.shapes[1])


class TakeAlong(Op):
    """y = x at the indices along a dimension"""

    kernel = "index.take_along"
    parameters = ("dim",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, indices: Tensor, *, dim: int) -> Result:
        return indices._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor, indices: Tensor) -> Tensor:
        return PutAlongAdd.apply(gy, indices, size=self.shapes[0], **self.attrs)


class PutAlongAdd(Op):
    """y = 0, then x added at the indices along a dimension"""

    kernel = "index.put_along_add"
    parameters = ("dim",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, indices: Tensor, *, dim: int, size: tuple[int, ...]) -> Result:
        return size, x.dtype

    def grad_x(self, gy: Tensor, indices: Tensor) -> Tensor:
        return take_along(gy, indices, self.attrs["dim"])


def take_along(x: Tensor, indices: Tensor, dim: int) -> Tensor:
    """x at the indices along a dimension; in others, indices may end earlier."""
    shape = indices._buffer.shape
    if any([n != m for i, (n, m) in enumerate(zip(shape, x._buffer.shape)) if i != dim]):
        x = Slice.apply(
            x, index=tuple([slice(None) if i == dim else slice(n) for i, n in enumerate(shape)])
        )
    return TakeAlong.apply(x, indices, dim=dim)


def _taken_shape(
    shape: tuple[int, ...], indices: tuple[Tensor, ...], dims: tuple[int, ...]
) -> tuple[int, ...]:
    """The index tensors' common shape in the place of their dimensions if these are neighbours,
    else in front; then the sizes of the other dimensions."""
    try:
        together = broadcast_shape("index", *[t._buffer.shape for t in indices])
    except RuntimeError as error:
        raise IndexError(str(error)) from None
    rest = [n for i, n in enumerate(shape) if i not in dims]
    neighbours = dims[-1] - dims[0] + 1 == len(dims)
    spot = dims[0] if neighbours else 0
    return (*rest[:spot], *together, *rest[spot:])


def _parse(x: Tensor, index: Any) -> tuple[tuple[Any, ...], dict[int, Tensor]]:
    """An index in two steps: a basic one, then index tensors by the dimension of its result."""
    basic: list[Any] = []
    tensors: dict[int, Tensor] = {}
    entries = [_entry(x, e) for e in (index if isinstance(index, tuple) else (index,))]
    used = sum(_width(e) for e in entries)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}: {used}")
    ellipses = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if ellipses:
        entries[ellipses[0] : ellipses[0] + 1] = [slice(None)] * (x.ndim - used)
    source = result = 0  # dimensions of x and of the basic index's result passed so far
    for entry in entries:
        if isinstance(entry, Tensor):
            if entry.dtype is not dtypes.bool_:
                places = [entry]
            elif entry.ndim:
                places = _nonzero(x, entry, source)
            else:  # a truth value: a new dimension of which it keeps all or nothing
                places = [wrap(np.zeros(int(entry), np.int64), dtypes.int64, cpu)]
            for i, place in enumerate(places):
                tensors[result + i] = place
            width = _width(entry)
            basic += [slice(None)] * width if width else [None]
            source += width
            result += len(places)
        else:
            basic.append(entry)
            source += entry is not None
            result += not isinstance(entry, int)
    return (*basic, Ellipsis), tensors


def _entry(x: Tensor, entry: Any) -> Any:
    """One part of an index as an int, a slice of ints, None, Ellipsis or an index tensor."""
    if entry is None or entry is Ellipsis:
        return entry
    if isinstance(entry, slice):
        start, stop, step = [
            None if v is None else operator.index(v) for v in (entry.start, entry.stop, entry.step)
        ]
        if step is not None and step <= 0:
            raise ValueError(f"slice step must be positive, not {step}")
        return slice(start, stop, step)
    if isinstance(entry, (list, range, np.ndarray, bool, np.bool_)):
        entry = _index_tensor(entry)
    if isinstance(entry, Tensor):
        if entry.dtype is dtypes.bool_:
            return entry
        if entry.ndim == 0 and entry.dtype.is_signed and entry.dtype.category == 1:
            return int(entry)
        if entry.dtype not in (dtypes.int64, dtypes.int32):
            raise IndexError(
                f"an index tensor must be of type int64, int32 or bool, not {entry.dtype}"
            )
        return cast(entry, dtypes.int64)
    if hasattr(entry, "__index__"):
        return entry.__index__()
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or bool tensors are valid "
        f"indices, not {type(entry).__name__}"
    )


def _index_tensor(values: Any) -> Tensor:
    try:
        array = np.asarray(values)
        array = array if array.size else array.astype(np.int64)
        return wrap(array, dtype_of(array), cpu)
    except (TypeError, ValueError):
        raise IndexError(f"{values!r} is no regular list of integers or truth values") from None


def _width(entry: Any) -> int:
    """How many dimensions an entry of an index speaks of."""
    if entry is None or entry is Ellipsis:
        return 0
    mask = isinstance(entry, Tensor) and entry.dtype is dtypes.bool_
    return entry.ndim if mask else 1


def _nonzero(x: Tensor, mask: Tensor, source: int) -> list[Tensor]:
    """Where a mask holds: an index tensor for each of its dimensions."""
    if mask._buffer.shape != x._buffer.shape[source : source + mask.ndim]:
        raise IndexError(
            f"The shape of the mask {list(mask.shape)} at dimension {source} does not match the "
            f"shape of the indexed tensor {list(x.shape)}"
        )
    return [wrap(places, dtypes.int64, cpu) for places in np.nonzero(mask._host())]


_BOUNDS = {int, type(None)}
"""The types of bounds that need no conversion."""


@method("__getitem__")
def getitem(self: Tensor, index: Any) -> Tensor:
    """x[index]: a view for ints, slices, None and Ellipsis, a copy for index tensors and masks."""
    plain = type(index) is slice and index.step is None and self._buffer.ndim
    if plain and type(index.start) in _BOUNDS and type(index.stop) in _BOUNDS:
        return Slice.apply(self, index=(index,))
    part, tensors = sliced(self, index)
    return take_at(part, tensors) if tensors else part


def sliced(x: Tensor, index: Any) -> tuple[Tensor, dict[int, Tensor]]:
    """The view that the basic part of an index shows, and the index tensors to apply to it."""
    basic, tensors = _parse(x, index)
    for dim, entry in _ints(basic):
        n = x._buffer.shape[dim]
        if not -n <= entry < n:
            raise IndexError(f"index {entry} is out of bounds for dimension {dim} with size {n}")
    part = Slice.apply(x, index=basic)
    for dim, places in tensors.items():
        check_places(places, part._buffer.shape[dim], dim, negative=True, error=IndexError)
    return part, {dim: places.to(x.device) for dim, places in tensors.items()}


def check_places(
    places: Tensor, n: int, dim: int, *, negative: bool = False, error: Any = RuntimeError
) -> None:
    """Refuse indices that a dimension of size n does not have."""
    values = places._host()
    if values.size == 0:
        return
    low, high, least = int(values.min()), int(values.max()), -n if negative else 0
    if low < least or high >= n:
        wrong = low if low < least else high
        raise error(f"index {wrong} is out of bounds for dimension {dim} with size {n}")


def take_at(part: Tensor, tensors: dict[int, Tensor]) -> Tensor:
    """The elements of what `sliced` gave."""
    return Take.apply(part, *tensors.values(), dims=tuple(tensors))


def _ints(basic: tuple[Any, ...]) -> list[tuple[int, int]]:
    """The ints of a basic index with the dimensions they index."""
    found, dim = [], 0
    for entry in basic:
        if isinstance(entry, int):
            found.append((dim, entry))
        dim += entry is not None
    return found


@method("__setitem__")
def setitem(self: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, broadcast and cast."""
    part, tensors = sliced(self, index)
    if not isinstance(value, Tensor):
        if not isinstance(value, (bool, int, float, np.generic)):
            raise TypeError(f"can't assign a {type(value).__name__} to a tensor of {self.dtype}")
        value = full_like_scalar(fitting(value, self.dtype), self.dtype, self.device)
    elif tensors and value.dtype is not self.dtype:
        raise RuntimeError(
            f"an index put requires the source and destination dtypes match, got {self.dtype} for "
            f"the destination and {value.dtype} for the source"
        )
    while value.ndim and value.shape[0] == 1 and (tensors or value.ndim > part.ndim):
        value = value[0]
    if tensors:
        Put.apply(part, value, *tensors.values(), into=part, dims=tuple(tensors))
    else:
        part.copy_(value)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Indices of the elements that are not zero: a row each, or a tensor for each dimension."""
    places = np.nonzero(np.atleast_1d(input._host()))
    if as_tuple:
        return tuple([wrap(p, dtypes.int64, cpu).to(input.device) for p in places])
    rows = np.stack(places, 1)[:, : input.ndim]
    return wrap(np.ascontiguousarray(rows), dtypes.int64, cpu).to(input.device)


method("nonzero")(nonzero)


@method("gather")
@numpy_names
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """y[i][j] = x[index[i][j]][j] for dim 0, and so on for others."""
    d = dimension(input, dim)
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"gather(): Expected dtype int32/int64 for index, not {index.dtype}")
    if input.ndim == 0 or (index.ndim == 0 and input.ndim == 1):
        places = index.reshape(-1)
        return gather(input.reshape(-1), 0, places).reshape(index.shape)
    if index.ndim != input.ndim or any(
        n > m for i, (n, m) in enumerate(zip(index.shape, input.shape)) if i != d
    ):
        raise RuntimeError(
            f"gather: index of shape {list(index.shape)} does not fit input of shape "
            f"{list(input.shape)} apart from dimension {d}"
        )
    check_places(index, input.shape[d], d)
    return take_along(input, cast(index, dtypes.int64), d)
