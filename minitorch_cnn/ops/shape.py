"""Views, joining and cutting: what changes a tensor's shape but not its numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.graph import recording, reduce_to
from ..autograd.op import Op, Result, View, check_in_place
from ..device import launch
from ..dtypes import DType
from ..tensor import Size, Tensor, method, wrap
from .convert import clone
from .operands import broadcast_shape, cast, numpy_names, result_type

# ---------------------------------------------------------------------- views


class Reshape(View):
    """The same elements in order, in another shape."""

    @staticmethod
    def view(buffer: Any, *, size: tuple[int, ...]) -> Any:
        return buffer.reshape(size)

    def grad_x(self, gy: Tensor) -> Tensor:
        return _reshaped(gy, self.shapes[0])


class Permute(View):
    """The dimensions in another order."""

    @staticmethod
    def view(buffer: Any, *, dims: tuple[int, ...]) -> Any:
        return buffer.transpose(dims)

    def grad_x(self, gy: Tensor) -> Tensor:
        dims = self.attrs["dims"]
        return Permute.apply(gy, dims=tuple(sorted(range(len(dims)), key=dims.__getitem__)))


class Expand(View):
    """One element shown at many places."""

    @staticmethod
    def view(buffer: Any, *, size: tuple[int, ...]) -> Any:
        buffer = buffer.reshape((1,) * (len(size) - buffer.ndim) + buffer.shape)
        return buffer if buffer.shape == size else np.broadcast_to(buffer, size)

    def grad_x(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])


class PutView(Op):
    """y = 0, but the elements that a view shows are x"""

    @staticmethod
    def outputs(
        x: Tensor, *, size: tuple[int, ...], op: type[View], attrs: dict[str, Any]
    ) -> Result:
        return size, x.dtype

    @classmethod
    def apply(cls, *inputs: Any, into: Tensor | None = None, **attrs: Any) -> Any:
        (x,) = inputs
        buffer = x.device.empty(attrs["size"], x.dtype.numpy)
        launch(x.device, "shape.fill", buffer, 0)
        launch(x.device, "shape.copy", x._buffer, attrs["op"].view(buffer, **attrs["attrs"]))
        out = wrap(buffer, x.dtype, x.device)
        if x.requires_grad and recording.enabled:
            cls.record(inputs, attrs, (out,))
        return out

    def grad_x(self, gy: Tensor) -> Tensor:
        return self.attrs["op"].apply(gy, **self.attrs["attrs"])


class Diagonal(View):
    """y[.., i] = x[.., i, .., i + offset, ..]"""

    @staticmethod
    def view(buffer: Any, *, offset: int, dims: tuple[int, int]) -> Any:
        shown = buffer.diagonal(offset, *dims)
        # NumPy's are read-only, lest one forget that they are views.
        shown.flags.writeable = buffer.flags.writeable
        return shown

    def grad_x(self, gy: Tensor) -> Tensor:
        return PutView.apply(gy, size=self.shapes[0], op=Diagonal, attrs=self.attrs)


def dimension(tensor: Tensor, dim: int, *, extra: int = 0) -> int:
    """A dimension counted from the front, of the tensor or of one with `extra` more."""
    return dimension_of(tensor._buffer.ndim + extra, dim)


def dimension_of(ndim: int, dim: int) -> int:
    """The same of a tensor with so many."""
    n = max(ndim, 1)
    if type(dim) is not int and (isinstance(dim, bool) or not isinstance(dim, (int, np.integer))):
        raise TypeError(f"a dimension must be an int, not {dim!r}")
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
        )
    return int(dim) % n


def dimensions(tensor: Tensor, dim: int | Sequence[int] | None) -> tuple[int, ...]:
    """Dimensions counted from the front and sorted; all of them for None or none."""
    return dimensions_of(tensor._buffer.ndim, dim)


def dimensions_of(ndim: int, dim: int | Sequence[int] | None) -> tuple[int, ...]:
    """The same of a tensor with so many."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    if type(dim) is int and 0 <= dim < ndim:
        return (dim,)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    found = sorted([dimension_of(ndim, d) for d in dims])
    if len(set(found)) < len(found):
        raise RuntimeError(f"a dim appears multiple times in the list of dims {tuple(dims)}")
    return tuple(found) if ndim else ()


def sizes(
    args: tuple[Any, ...], named: dict[str, Any] | None = None, name: str = "size"
) -> tuple[int, ...]:
    """A shape given as ints, as one sequence of them or, of this name, among keyword arguments."""
    if named:
        if args or set(named) != {name}:
            raise TypeError(
                f"expected ints, one sequence of them or `{name}`, not {args} and {sorted(named)}"
            )
        args = (named[name],)
    given = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    return tuple([n if type(n) is int else operator.index(n) for n in given])


def _fill_in(numel: int, size: tuple[int, ...]) -> tuple[int, ...]:
    """The size with its -1 replaced by what makes the count of elements right."""
    if -1 not in size and math.prod(size) == numel and min(size, default=0) >= 0:
        return size
    count = math.prod([n for n in size if n != -1])
    unknown = size.count(-1)
    if unknown:
        fits = unknown == 1 and count != 0 and numel % count == 0
    else:
        fits = count == numel
    if not fits or min(size, default=0) < -1:
        raise RuntimeError(f"shape '{list(size)}' is invalid for input of size {numel}")
    return tuple([numel // count if n == -1 else n for n in size])


@method("reshape")
def reshape(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """The same elements in order in another shape, where one size may be -1; a view if possible."""
    return _reshaped(input, _fill_in(input._buffer.size, sizes(shape, named, "shape")))


def _reshaped(input: Tensor, size: tuple[int, ...]) -> Tensor:
    if not _shows_as(input._buffer, size):
        input = clone(input)
    return Reshape.apply(input, size=size)


def _shows_as(buffer: Any, size: tuple[int, ...]) -> bool:
    """Whether a view of the buffer can have this shape."""
    if buffer.flags.c_contiguous:
        return True
    try:
        return np.may_share_memory(buffer.reshape(size), buffer)
    except ValueError:  # from a buffer that never copies
        return False


@method("view")
def view(self: Tensor, *shape: Any, **named: Any) -> Tensor:
    """As `reshape`, but never a copy; or, given a dtype, the same bytes read as another type.

    >>> import minitorch_cnn as torch
    >>> torch.ones(2).view(torch.int32)
    tensor([1065353216, 1065353216], dtype=torch.int32)
    """
    (kind,) = shape if len(shape) == 1 else (named.get("dtype"),)
    if isinstance(kind, DType):
        return _bytes_as(self, kind)
    size = _fill_in(self._buffer.size, sizes(shape, named))
    if not _shows_as(self._buffer, size):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return Reshape.apply(self, size=size)


def _bytes_as(x: Tensor, dtype: DType) -> Tensor:
    """The same memory, its bytes those of another type; no gradient passes."""
    if dtype is x.dtype:
        return Reshape.apply(x, size=x._buffer.shape)
    try:
        buffer = x._buffer.view(dtype.numpy)
    except ValueError as error:
        raise RuntimeError(
            f"view: a tensor of {x.dtype}, shape {list(x.shape)} and strides {x.stride()} "
            f"does not show as {dtype}: {error}"
        ) from None
    out = wrap(buffer, dtype, x.device)
    out._counter = x._counter
    return out


method("view_as")(lambda self, other: view(self, other.shape))
method("reshape_as")(lambda self, other: reshape(self, other.shape))


@method("ravel")
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension; a view if possible."""
    return reshape(input, -1)


@method("flatten")
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` made one."""
    start, end = dimension(input, start_dim), dimension(input, end_dim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input._buffer.shape
    between = math.prod(shape[start : end + 1])
    return _reshaped(input, (*shape[:start], between, *shape[end + 1 :]))


@method("unflatten")
@numpy_names
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension made several; one of the sizes may be -1."""
    d = dimension(input, dim)
    shape = input.shape
    if not shape or not len(sizes):
        raise RuntimeError(
            f"unflatten: a tensor of shape {list(shape)} has no dimension for sizes {list(sizes)}"
        )
    inner = _fill_in(shape[d], tuple(sizes))
    return reshape(input, *shape[:d], *inner, *shape[d + 1 :])


@method("squeeze")
@numpy_names
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without its dimensions of size 1, or without those named that have size 1."""
    dims = () if dim == () else dimensions(input, dim)
    kept = [n for i, n in enumerate(input.shape) if n != 1 or i not in dims]
    return Reshape.apply(input, size=tuple(kept))


@method("unsqueeze")
@numpy_names
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 before `dim`."""
    d = dimension(input, dim, extra=1)
    shape = input._buffer.shape
    return Reshape.apply(input, size=(*shape[:d], 1, *shape[d:]))


@method("permute")
def permute(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The dimensions in the given order."""
    dims = sizes(dims, named, "dims")
    fits = len(dims) == input.ndim
    order = tuple([dimension(input, d) for d in dims]) if fits else ()
    if not fits or sorted(order) != list(range(input.ndim)):
        raise RuntimeError(
            f"permute: the dims {dims} do not name each of {input.ndim} dimensions once"
        )
    return Permute.apply(input, dims=order)


@method("transpose", "swapdims")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    a, b = dimension(input, dim0), dimension(input, dim1)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = b, a
    return Permute.apply(input, dims=tuple(order))


@method("swapaxes")
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """As `transpose`, under NumPy's name."""
    return transpose(input, axis0, axis1)


@method("t")
def t(input: Tensor) -> Tensor:
    """A matrix transposed; what has fewer dimensions as it is."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return transpose(input, 0, -1) if input.ndim == 2 else input


@method("movedim", "moveaxis")
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places, the rest keeping their order."""
    froms = [dimension(input, d) for d in ([source] if isinstance(source, int) else source)]
    tos = [
        dimension(input, d)
        for d in ([destination] if isinstance(destination, int) else destination)
    ]
    if len(froms) != len(tos) or len({*froms}) < len(froms) or len({*tos}) < len(tos):
        raise RuntimeError(
            f"movedim: source {source} and destination {destination} must name as many dimensions, "
            "each once"
        )
    rest = iter([d for d in range(input.ndim) if d not in froms])
    order = [froms[tos.index(i)] if i in tos else next(rest) for i in range(input.ndim)]
    return permute(input, *order)


def _turned(self: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    return Permute.apply(self, dims=tuple(range(self.ndim))[::-1])


@method("adjoint")
def adjoint(input: Tensor) -> Tensor:
    """Matrices, in the last two dimensions, transposed: of real numbers, their adjoints."""
    if input.ndim == 1:
        raise RuntimeError(
            "adjoint is only supported on matrices or batches of matrices, not on a 1-D tensor"
        )
    return transpose(input, -2, -1) if input.ndim else input


def _adjoint(self: Tensor) -> Tensor:
    """A matrix transposed: of real numbers, its adjoint."""
    if self.ndim not in (0, 2):
        raise RuntimeError(f"H is only supported on matrices, not on a {self.ndim}-D tensor")
    return adjoint(self)


Tensor.T = property(_turned)
Tensor.mT = Tensor.mH = property(adjoint)
Tensor.H = property(_adjoint)


@method("expand")
def expand(input: Tensor, *size: Any, **named: Any) -> Tensor:
    """Dimensions of size 1 shown as larger ones, without a copy; -1 keeps a size."""
    wanted = sizes(size, named)
    shape = input._buffer.shape
    extra = len(wanted) - len(shape)
    full = tuple([shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(wanted)])
    fits = extra >= 0 and all([n in (1, full[i + extra]) for i, n in enumerate(shape)])
    if not fits or min(full, default=0) < 0:
        raise RuntimeError(f"expand: the size {list(shape)} can't be expanded to {list(wanted)}")
    return Expand.apply(input, size=full)


@method("sum_to_size")
def sum_to_size(self: Tensor, *size: Any, **named: Any) -> Tensor:
    """Summed to a shape that can be expanded to this one's."""
    wanted = sizes(size, named)
    if broadcast_shape("sum_to_size", wanted, self._buffer.shape) != self._buffer.shape:
        raise RuntimeError(f"size {list(wanted)} is not expandable to size {list(self.shape)}")
    return reduce_to(self, wanted)


@method("expand_as")
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to another tensor's shape."""
    return expand(input, other.shape)


@method("broadcast_to")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expanded to a shape."""
    return expand(input, *size)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All expanded to the shape they meet in."""
    size = broadcast_shape("broadcast_tensors", (), *[t._buffer.shape for t in tensors])
    return tuple([expand(t, *size) for t in tensors])


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that shapes, tuples or single ints, meet in.

    >>> import minitorch_cnn as torch
    >>> torch.broadcast_shapes((2, 1), 3)
    torch.Size([2, 3])
    """
    return Size(broadcast_shape("broadcast_shapes", *[sizes((shape,)) for shape in shapes or [()]]))


# ---------------------------------------------------------------------- views in place


def _in_place(function: Callable[..., Tensor], name: str) -> None:
    """The form of a view that the tensor itself becomes: `unsqueeze_` of `unsqueeze`."""

    def become(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        shown = function(self, *args, **kwargs)
        if shown is self:
            return self
        if self.requires_grad and recording.enabled:
            check_in_place(self)
        if shown.requires_grad or self._origin is not None:
            assert shown._origin is not None
            self._origin = (_moved(self), *shown._origin[1:])
            self._node, self._index = shown._node, shown._index
        self._show(shown)
        self._bump()
        self._current = self._counter[0]
        return self

    become.__name__ = name
    become.__doc__ = f"In-place form of `{name[:-1]}`: the tensor itself gets another shape."
    method(name)(become)


def _moved(tensor: Tensor) -> Tensor:
    """Another tensor with all that this one was."""
    old = wrap(tensor._buffer, tensor.dtype, tensor.device)
    old._counter, old._current, old._origin = tensor._counter, tensor._current, tensor._origin
    old._node, old._index, old._requires_grad = tensor._node, tensor._index, tensor.requires_grad
    return old


for _view in (squeeze, unsqueeze, transpose, t):
    _in_place(_view, f"{_view.__name__}_")
_in_place(swapaxes, "swapaxes_")
_in_place(transpose, "swapdims_")


# ---------------------------------------------------------------------- turning, joining, cutting


class Flip(Op):
    """y = x, the given dimensions running backwards"""

    kernel = "shape.flip"
    parameters = ("dims",)
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, dims: tuple[int, ...]) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return Flip.apply(gy, **self.attrs)


@method("flip")
def flip(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The given dimensions reversed, as a copy."""
    reversed_dims = sizes(dims, named, "dims")
    return Flip.apply(input, dims=dimensions(input, reversed_dims) if reversed_dims else ())


class Cat(Op):
    """y = the inputs one after the other along a dimension"""

    kernel = "shape.cat"
    parameters = ("dim",)
    contiguous = False

    @staticmethod
    def outputs(*tensors: Tensor, dim: int) -> Result:
        first = tensors[0]._buffer.shape
        total = 0
        for i, t in enumerate(tensors):
            shape = t._buffer.shape
            if len(shape) != len(first) or shape[:dim] + shape[dim + 1 :] != (
                first[:dim] + first[dim + 1 :]
            ):
                raise RuntimeError(
                    f"cat: sizes of tensors must match except in dimension {dim}; expected "
                    f"{list(first)} but got {list(shape)} for tensor number {i}"
                )
            total += shape[dim]
        return (*first[:dim], total, *first[dim + 1 :]), tensors[0].dtype

    def grads(self, gy: Tensor) -> tuple[Tensor, ...]:
        dim = self.attrs["dim"]
        return split(gy, [shape[dim] for shape in self.shapes if shape is not None], dim)


@numpy_names
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along a dimension."""
    if not tensors:
        raise ValueError("cat: expected a non-empty list of Tensors")
    # PyTorch's rule of old: an empty vector joins anything.
    filled = [t for t in tensors if t._buffer.shape != (0,)] or [tensors[0]]
    if 0 in [t._buffer.ndim for t in filled]:
        raise RuntimeError("cat: zero-dimensional tensors cannot be concatenated; stack them")
    dtype = result_type(*tensors)
    return Cat.apply(*[cast(t, dtype) for t in filled], dim=dimension(filled[0], dim))


@numpy_names
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, t in enumerate(tensors):
        if t._buffer.shape != tensors[0]._buffer.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} "
                f"at entry 0 and {list(t.shape)} at entry {i}"
            )
    d = dimension(tensors[0], dim, extra=1)
    return cat([unsqueeze(t, d) for t in tensors], d)


@method("narrow")
@numpy_names
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """The part of a dimension from `start` on, a view."""
    _require_dimension("narrow", input)
    start, length = operator.index(start), operator.index(length)
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, not {length}")
    d = dimension(input, dim)
    n = input._buffer.shape[d]
    if not -n <= start <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    start = start + n if start < 0 else start
    if start + length > n:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})"
        )
    return input[(slice(None),) * d + (slice(start, start + length),)]


def _require_dimension(name: str, tensor: Tensor) -> None:
    if tensor._buffer.ndim == 0:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces of a size along a dimension, the last perhaps smaller, or of given sizes.

    Unlike PyTorch's, they may be written in place where gradients are wanted, as may `chunk`'s and
    `unbind`'s.
    """
    _require_dimension("split", tensor)
    size = split_size_or_sections
    if isinstance(size, int) and size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    d = dimension(tensor, dim)
    n = tensor._buffer.shape[d]
    if isinstance(size, int):
        if size == 0 and n != 0:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
            )
        sections = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    else:
        sections = list(split_size_or_sections)
        if sum(sections) != n or min(sections, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
                f"at dimension {d}), but got split_sizes={sections}"
            )
    pieces, start = [], 0
    for size in sections:
        pieces.append(narrow(tensor, d, start, size))
        start += size
    return tuple(pieces)


@method("split")
def _split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """As the function `split`."""
    return split(self, split_size, dim)


@method("split_with_sizes")
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces of the given sizes along a dimension."""
    return split(input, tuple(split_sizes), dim)


@method("chunk")
@numpy_names
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `chunks` pieces of equal size, the last perhaps smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    _require_dimension("chunk", input)
    n = input._buffer.shape[dimension(input, dim)]
    return split(input, -(-n // chunks) if n else (0,) * chunks, dim)


@method("unbind")
@numpy_names
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of all slices along a dimension."""
    d = dimension(input, dim)
    return tuple([input[(slice(None),) * d + (i,)] for i in range(input._buffer.shape[d])])


@method("select")
@numpy_names
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One slice of a dimension, a view."""
    return input[(slice(None),) * dimension(input, dim) + (index,)]
