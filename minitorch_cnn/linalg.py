"""Norms and products of vectors and matrices, as `torch.linalg`.

What needs a decomposition of matrices (inverses, determinants, eigenvalues, singular values and the
norms made of them) is not offered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .dtypes import DType, as_dtype
from .ops import diagonal as _diagonal
from .ops.creation import eye
from .ops.matmul import matmul as matmul
from .ops.operands import cast, numpy_names
from .ops.product import chain
from .ops.product import cross as _cross
from .ops.reduce import Dim, amax, amin, sum
from .ops.reduce import norm as _norm
from .ops.shape import dimension, expand, squeeze, unsqueeze
from .tensor import Tensor

__all__ = [
    "cross",
    "diagonal",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "vecdot",
    "vector_norm",
]


@numpy_names
def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over dimensions, of all elements if none is given; the largest |x| for
    infinity, the smallest for -infinity, the count of what is not zero for 0.

    >>> import minitorch_cnn as torch
    >>> torch.linalg.vector_norm(torch.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    if isinstance(ord, str):
        raise TypeError(f"vector_norm: ord must be a number, not {ord!r}")
    return _norm(x, ord, dim, keepdim, dtype)


def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """The norm of matrices that two dimensions hold: "fro" the root of the sum of squares, 1 the
    largest sum of |A| over a column, -1 the smallest, infinity and -infinity the same of rows.

    The norms "nuc", 2 and -2, made of singular values, are not offered.

    >>> import minitorch_cnn as torch
    >>> torch.linalg.matrix_norm(torch.tensor([[1.0, -2.0], [3.0, 4.0]]), float("inf"))
    tensor(7.)
    """
    if len(dim) != 2 or A.ndim < 2:
        raise RuntimeError(
            f"matrix_norm: expected two dimensions of a tensor with at least two, got {tuple(dim)} "
            f"of shape {list(A.shape)}"
        )
    rows, columns = dimension(A, dim[0]), dimension(A, dim[1])
    if rows == columns:
        raise RuntimeError(f"matrix_norm: the dims {tuple(dim)} must be different")
    A = cast(A, None if dtype is None else as_dtype(dtype))
    if ord == "fro":
        return _norm(A, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        raise NotImplementedError(f"matrix_norm: ord={ord!r} needs singular values, not offered")
    if ord not in (1, -1, math.inf, -math.inf):
        raise RuntimeError(f"matrix_norm: ord {ord!r} is not supported")
    if not A.dtype.is_floating_point:
        raise RuntimeError(f"matrix_norm: expected floating-point numbers, not {A.dtype}")
    summed, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
    totals = sum(A.abs(), summed, keepdim=True)
    extreme = (amax if ord > 0 else amin)(totals, other, keepdim=True)
    return extreme if keepdim else squeeze(extreme, (rows, columns))


def norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """A vector's or a matrix's norm: the latter for two dimensions or, with `ord`, for a matrix."""
    two = (A.ndim if dim is None else len(dim) if isinstance(dim, (tuple, list)) else 1) == 2
    if ord is not None and dim is None and A.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: with ord, the input must be a vector or a matrix, not {list(A.shape)}"
        )
    if ord is not None and two:
        dims = (0, 1) if dim is None else dim
        return matrix_norm(A, ord, dims, keepdim, dtype=dtype)  # type: ignore[arg-type]
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)  # type: ignore[arg-type]


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices in the order that takes the fewest multiplications; the first and the
    last may be vectors, a row and a column."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot: expected at least 2 tensors, got {len(tensors)}")
    for i, t in enumerate(tensors):
        if t.ndim != 2 and not (t.ndim == 1 and i in (0, len(tensors) - 1)):
            raise RuntimeError(f"multi_dot: tensor {i} is of shape {list(t.shape)}, not a matrix")
    matrices = list(tensors)
    if tensors[0].ndim == 1:
        matrices[0] = unsqueeze(tensors[0], 0)
    if tensors[-1].ndim == 1:
        matrices[-1] = unsqueeze(tensors[-1], 1)
    product = chain(matrices)
    if tensors[0].ndim == 1:
        product = squeeze(product, 0)
    return squeeze(product, -1) if tensors[-1].ndim == 1 else product


def matrix_power(A: Tensor, n: int) -> Tensor:
    """Square matrices to a power, which must not be negative: inverses are not offered."""
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"matrix_power: expected square matrices, not shape {list(A.shape)}")
    if n < 0:
        raise NotImplementedError(f"matrix_power: n={n} needs an inverse, which is not offered")
    if n == 0:
        return expand(eye(A.shape[-1], dtype=A.dtype), *A.shape).clone()
    half = A if n == 1 else matrix_power(A, n // 2)
    if n == 1:
        return half
    square = matmul(half, half)
    return matmul(square, A) if n % 2 else square


@numpy_names
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products of vectors along a dimension."""
    return sum(x * y, dim)


@numpy_names
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector products of vectors of three numbers along a dimension."""
    return _cross(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices that two dimensions hold, a view."""
    return _diagonal.diagonal(A, offset, dim1, dim2)
