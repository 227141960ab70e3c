"""Views, joining and cutting: what changes a tensor's shape but not its numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.graph import reduce_to
from ..autograd.op import Op, Result, View
from ..tensor import Tensor, method
from .convert import clone
from .operands import broadcast_shape, cast, result_type

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


def dimension(tensor: Tensor, dim: int, *, extra: int = 0) -> int:
    """A dimension counted from the front, of the tensor or of one with `extra` more."""
    n = max(tensor._buffer.ndim + extra, 1)
    if type(dim) is not int and (isinstance(dim, bool) or not isinstance(dim, (int, np.integer))):
        raise TypeError(f"a dimension must be an int, not {dim!r}")
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
        )
    return int(dim) % n


def dimensions(tensor: Tensor, dim: int | Sequence[int] | None) -> tuple[int, ...]:
    """Dimensions counted from the front and sorted; all of them for None or none."""
    if dim is None or dim == ():
        return tuple(range(tensor._buffer.ndim))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    found = sorted([dimension(tensor, d) for d in dims])
    if len(set(found)) < len(found):
        raise RuntimeError(f"a dim appears multiple times in the list of dims {tuple(dims)}")
    return tuple(found) if tensor._buffer.ndim else ()


def sizes(args: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as ints or as one sequence of them."""
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
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in order in another shape, where one size may be -1; a view if possible."""
    return _reshaped(input, _fill_in(input._buffer.size, sizes(shape)))


def _reshaped(input: Tensor, size: tuple[int, ...]) -> Tensor:
    if not _shows_as(input._buffer, size):
        input = clone(input)
    return Reshape.apply(input, size=size)


def _shows_as(buffer: Any, size: tuple[int, ...]) -> bool:
    """Whether a view of the buffer can have this shape."""
    return buffer.flags.c_contiguous or np.may_share_memory(buffer.reshape(size), buffer)


@method("view")
def view(self: Tensor, *shape: Any) -> Tensor:
    """As `reshape`, but never a copy."""
    size = _fill_in(self._buffer.size, sizes(shape))
    if not _shows_as(self._buffer, size):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return Reshape.apply(self, size=size)


method("view_as")(lambda self, other: view(self, other.shape))
method("reshape_as")(lambda self, other: reshape(self, other.shape))


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
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension made several; one of the sizes may be -1."""
    d = dimension(input, dim)
    shape = input.shape
    inner = _fill_in(shape[d], tuple(sizes))
    return reshape(input, *shape[:d], *inner, *shape[d + 1 :])


@method("squeeze")
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without its dimensions of size 1, or without those named that have size 1."""
    dims = dimensions(input, dim)
    kept = [n for i, n in enumerate(input.shape) if n != 1 or i not in dims]
    return Reshape.apply(input, size=tuple(kept))


@method("unsqueeze")
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 before `dim`."""
    d = dimension(input, dim, extra=1)
    shape = input._buffer.shape
    return Reshape.apply(input, size=(*shape[:d], 1, *shape[d:]))


@method("permute")
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in the given order."""
    order = tuple([dimension(input, d) for d in sizes(dims)])
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(
            f"permute: the dims {sizes(dims)} do not name each of {input.ndim} dimensions once"
        )
    return Permute.apply(input, dims=order)


@method("transpose", "swapaxes")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    a, b = dimension(input, dim0), dimension(input, dim1)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = b, a
    return Permute.apply(input, dims=tuple(order))


@method("t")
def t(input: Tensor) -> Tensor:
    """A matrix transposed; what has fewer dimensions as it is."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return transpose(input, 0, -1) if input.ndim == 2 else input


@method("movedim")
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places, the rest keeping their order."""
    one = isinstance(source, int)
    froms = [dimension(input, d) for d in ([source] if one else source)]
    tos = [dimension(input, d) for d in ([destination] if one else destination)]
    rest = iter([d for d in range(input.ndim) if d not in froms])
    order = [froms[tos.index(i)] if i in tos else next(rest) for i in range(input.ndim)]
    return permute(input, *order)


def _turned(self: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    return Permute.apply(self, dims=tuple(range(self.ndim))[::-1])


Tensor.T = property(_turned)
Tensor.mT = property(lambda self: transpose(self, -1, -2))


@method("expand")
def expand(input: Tensor, *size: Any) -> Tensor:
    """Dimensions of size 1 shown as larger ones, without a copy; -1 keeps a size."""
    wanted = sizes(size)
    shape = input._buffer.shape
    extra = len(wanted) - len(shape)
    full = tuple([shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(wanted)])
    if extra < 0 or any(n not in (1, full[i + extra]) for i, n in enumerate(shape)) or -1 in full:
        raise RuntimeError(f"expand: the size {list(shape)} can't be expanded to {list(wanted)}")
    return Expand.apply(input, size=full)


@method("expand_as")
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to another tensor's shape."""
    return expand(input, other.shape)


@method("broadcast_to")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """Expanded to a shape."""
    return expand(input, *size)


def broadcast_tensors(*tensors: Tensor) -> list[Tensor]:
    """All expanded to the shape they meet in."""
    size = broadcast_shape("broadcast_tensors", *[t._buffer.shape for t in tensors])
    return [expand(t, *size) for t in tensors]


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
def flip(input: Tensor, *dims: Any) -> Tensor:
    """The given dimensions reversed, as a copy."""
    return Flip.apply(input, dims=dimensions(input, sizes(dims)))


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

    def grads(self, gy: Tensor) -> list[Tensor]:
        dim = self.attrs["dim"]
        return split(gy, [shape[dim] for shape in self.shapes if shape is not None], dim)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one after the other along a dimension."""
    if not tensors:
        raise ValueError("cat: expected a non-empty list of Tensors")
    # PyTorch's rule of old: an empty vector joins anything.
    filled = [t for t in tensors if t._buffer.shape != (0,)] or [tensors[0]]
    if filled[0].ndim == 0:
        raise RuntimeError("cat: zero-dimensional tensors cannot be concatenated; stack them")
    dtype = result_type(*tensors)
    return Cat.apply(*[cast(t, dtype) for t in filled], dim=dimension(filled[0], dim))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    if not tensors:
        raise ValueError("stack: expected a non-empty list of Tensors")
    for i, t in enumerate(tensors):
        if t._buffer.shape != tensors[0]._buffer.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} "
                f"at entry 0 and {list(t.shape)} at entry {i}"
            )
    d = dimension(tensors[0], dim, extra=1)
    return cat([unsqueeze(t, d) for t in tensors], d)


@method("narrow")
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """The part of a dimension from `start` on, a view."""
    d = dimension(input, dim)
    n = input._buffer.shape[d]
    start = start + n if start < 0 else start
    if not 0 <= start <= start + length <= n:
        raise RuntimeError(
            f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})"
        )
    return input[(slice(None),) * d + (slice(start, start + length),)]


@method("split")
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> list[Tensor]:
    """Views of pieces of a size along a dimension, the last perhaps smaller, or of given sizes.

    Unlike PyTorch's, they may be written in place where gradients are wanted, as may `chunk`'s and
    `unbind`'s.
    """
    d = dimension(tensor, dim)
    n = tensor._buffer.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n != 0):
            raise RuntimeError(f"split expects split_size to be positive, but got {size}")
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
    return pieces


@method("chunk")
def chunk(input: Tensor, chunks: int, dim: int = 0) -> list[Tensor]:
    """Views of at most `chunks` pieces of equal size, the last perhaps smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._buffer.shape[dimension(input, dim)]
    return split(input, max(-(-n // chunks), 1), dim)


@method("unbind")
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of all slices along a dimension."""
    d = dimension(input, dim)
    return tuple([input[(slice(None),) * d + (i,)] for i in range(input._buffer.shape[d])])


@method("select")
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One slice of a dimension, a view."""
    return input[(slice(None),) * dimension(input, dim) + (index,)]
