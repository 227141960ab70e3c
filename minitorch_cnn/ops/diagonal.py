"""Diagonals, and the triangles on either side of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType
from ..tensor import Tensor, method
from .compare import where
from .convert import clone, copy_
from .creation import DeviceLike, arange, tensor
from .operands import full_like_scalar, in_place
from .scatter import fill_view
from .shape import Diagonal, PutView, dimension, reshape

# ---------------------------------------------------------------------- diagonals


@method("diagonal")
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements where the indices of two dimensions agree, or differ by the offset; a view.

    The diagonal is the last dimension of the result.

    >>> import minitorch_cnn as torch
    >>> x = torch.arange(9).reshape(3, 3)
    >>> x.diagonal(), x.diagonal(1)
    (tensor([0, 4, 8]), tensor([1, 5]))
    """
    dims = dimension(input, dim1), dimension(input, dim2)
    if dims[0] == dims[1]:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return Diagonal.apply(input, offset=offset, dims=dims)


@method("diag_embed")
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Zeros but for the input's last dimension, which stands on the diagonal of two new ones.

    >>> import minitorch_cnn as torch
    >>> torch.diag_embed(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 0:
        raise IndexError("diag_embed expects a tensor with at least one dimension")
    a, b = dimension(input, dim1, extra=1), dimension(input, dim2, extra=1)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape = input._buffer.shape
    side = shape[-1] + abs(offset)
    rest = iter(shape[:-1])
    size = tuple([side if d in (a, b) else next(rest) for d in range(len(shape) + 1)])
    attrs = {"offset": offset, "dims": (a, b)}
    return PutView.apply(input, size=size, op=Diagonal, attrs=attrs)


@method("diag")
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix of zeros; of a matrix, a copy of its diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim == 2:
        return clone(Diagonal.apply(input, offset=diagonal, dims=(0, 1)))
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")


@method("diagflat")
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements on the diagonal of a matrix of zeros."""
    return diag_embed(reshape(input, -1), offset)


@method("fill_diagonal_")
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write one value where all indices are equal; with `wrap`, in a matrix with more rows than
    columns, again below the square and one row."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    shape = self._buffer.shape
    if self.ndim > 2 and len({*shape}) > 1:
        raise RuntimeError(f"all dimensions of input must be of equal length, not {list(shape)}")
    places = (arange(min(shape), device=self.device),) * len(shape)
    if wrap and self.ndim == 2 and shape[0] > shape[1] > 0:
        flat = arange(0, shape[0] * shape[1], shape[1] + 1, device=self.device)
        places = (flat // shape[1], flat % shape[1])
    self[places] = fill_value
    return self


@method("diagonal_scatter")
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy of the input with `src` on a diagonal."""
    out = clone(input)
    fill_view(diagonal(out, offset, dim1, dim2), src)
    return out


# ---------------------------------------------------------------------- triangles


def _triangle(name: str, x: Tensor, k: int, upper: bool, into: Tensor | None) -> Tensor:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    m, n = x._buffer.shape[-2:]
    rows, columns = arange(m, device=x.device).unsqueeze(1) + k, arange(n, device=x.device)
    kept = columns >= rows if upper else columns <= rows
    found = where(kept, x, full_like_scalar(0, x.dtype, x.device))
    return found if into is None else copy_(into, found)


@method("tril")
def tril(input: Tensor, diagonal: int = 0, *, into: Tensor | None = None) -> Tensor:
    """Matrices with zeros above a diagonal: 0 the main one, 1 that above it, -1 that below.

    >>> import minitorch_cnn as torch
    >>> torch.ones(2, 3).tril()
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return _triangle("tril", input, diagonal, False, into)


@method("triu")
def triu(input: Tensor, diagonal: int = 0, *, into: Tensor | None = None) -> Tensor:
    """Matrices with zeros below a diagonal: 0 the main one, 1 that above it, -1 that below."""
    return _triangle("triu", input, diagonal, True, into)


def _triangle_indices(
    row: int, col: int, offset: int, upper: bool, dtype: DType | None, device: DeviceLike
) -> Tensor:
    if row < 0 or col < 0:
        raise RuntimeError(f"row and col must be non-negative, got {row} and {col}")
    places = np.stack(np.nonzero(np.tri(row, col, offset - upper, dtype=bool) ^ upper))
    return tensor(places, dtype=dtype, device=device)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: DeviceLike = None
) -> Tensor:
    """The rows and the columns of the elements that `tril` keeps."""
    return _triangle_indices(row, col, offset, False, dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: DeviceLike = None
) -> Tensor:
    """The rows and the columns of the elements that `triu` keeps."""
    return _triangle_indices(row, col, offset, True, dtype, device)


tril_, triu_ = in_place(tril, "tril_"), in_place(triu, "triu_")
