"""Tensors joined, cut, repeated and turned, all in terms of views, `cat` and `flip`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor, method
from .convert import clone
from .creation import empty, full, tensor
from .operands import full_like_scalar, numpy_names
from .shape import (
    cat,
    dimension,
    expand,
    flip,
    narrow,
    reshape,
    sizes,
    split,
    stack,
    transpose,
    unsqueeze,
)

# ---------------------------------------------------------------------- at least so many dimensions


def _atleast(tensors: tuple[Any, ...], raised: Callable[[Tensor], Tensor]) -> Any:
    """The tensors, or those of one sequence, each raised; a tuple unless there is just one."""
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return raised(tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple([raised(t) for t in given])


def _to_2d(x: Tensor) -> Tensor:
    return x if x.ndim >= 2 else reshape(x, 1, -1)


def _to_3d(x: Tensor) -> Tensor:
    return x if x.ndim >= 3 else unsqueeze(_to_2d(x), -1)


def atleast_1d(*tensors: Any) -> Any:
    """Tensors without dimensions with one."""
    return _atleast(tensors, lambda x: x if x.ndim else reshape(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """Vectors as matrices of one row, numbers as those of one element."""
    return _atleast(tensors, _to_2d)


def atleast_3d(*tensors: Any) -> Any:
    """Matrices (m, n) as (m, n, 1), vectors as (1, n, 1), numbers as (1, 1, 1)."""
    return _atleast(tensors, _to_3d)


# ---------------------------------------------------------------------- joining


def _several(name: str, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: along the second dimension, vectors along their only one."""
    raised = [atleast_1d(t) for t in _several("hstack", tensors)]
    return cat(raised, 0 if raised[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors below each other, vectors as rows."""
    return cat([_to_2d(t) for t in _several("vstack", tensors)], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors behind each other, along the third dimension."""
    return cat([_to_3d(t) for t in _several("dstack", tensors)], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side, vectors as columns."""
    columns = [t if t.ndim > 1 else reshape(t, -1, 1) for t in _several("column_stack", tensors)]
    return hstack(columns)


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a matrix of zeros; vectors are rows.

    >>> import minitorch_cnn as torch
    >>> torch.block_diag(torch.ones(1, 2), torch.full((2, 1), 3.0))
    tensor([[1., 1., 0.],
            [0., 0., 3.],
            [0., 0., 3.]])
    """
    tensors = tensors or (empty(1, 0),)
    for i, t in enumerate(tensors):
        if t.ndim > 2:
            raise RuntimeError(
                f"block_diag: tensors must have 2 or fewer dimensions, but number {i} has {t.ndim}"
            )
    blocks = [_to_2d(t) for t in tensors]
    width = sum([b.shape[1] for b in blocks])
    rows, left = [], 0
    for b in blocks:
        n, m = b.shape
        zero = full_like_scalar(0, b.dtype, b.device)
        sides = [expand(zero, n, k) for k in (left, width - left - m)]
        rows.append(cat([sides[0], b, sides[1]], 1))
        left += m
    return cat(rows, 0)


# ---------------------------------------------------------------------- cutting


@method("tensor_split")
@numpy_names
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of so many pieces of equal size, the first ones perhaps larger by one; or of the pieces
    between given indices.

    >>> import minitorch_cnn as torch
    >>> torch.arange(5).tensor_split(2), torch.arange(5).tensor_split((1, 4))
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2, 3]), tensor([4])))
    """
    if input.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor")
    d = dimension(input, dim)
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        sections, n = indices_or_sections, input.shape[d]
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        return split(input, [n // sections + (i < n % sections) for i in range(sections)], d)
    bounds = [0, *indices_or_sections, None]
    before = (slice(None),) * d
    return tuple([input[before + (slice(a, b),)] for a, b in itertools.pairwise(bounds)])


def _cut(name: str, least: int, input: Tensor, indices_or_sections: Any, d: int) -> Any:
    """`tensor_split` that wants pieces of equal size."""
    if input.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension"
            f"{'s' * (least > 1)}, but got a tensor with {input.ndim} dimensions!"
        )
    n = input.shape[d]
    if isinstance(indices_or_sections, int) and (
        indices_or_sections <= 0 or n % indices_or_sections
    ):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {d}, but the size of the dimension "
            f"{n} is not divisible by the split_size {indices_or_sections}!"
        )
    return tensor_split(input, indices_or_sections, d)


@method("hsplit")
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut along the second dimension, a vector along its only one."""
    return _cut("hsplit", 1, input, indices_or_sections, 0 if input.ndim == 1 else 1)


@method("vsplit")
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut along the first dimension."""
    return _cut("vsplit", 2, input, indices_or_sections, 0)


@method("dsplit")
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Cut along the third dimension."""
    return _cut("dsplit", 3, input, indices_or_sections, 2)


# ---------------------------------------------------------------------- repeating


@method("repeat")
def repeat(self: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """The tensor so many times along each dimension; more numbers make new ones in front.

    >>> import minitorch_cnn as torch
    >>> torch.tensor([1, 2]).repeat(2, 3)
    tensor([[1, 2, 1, 2, 1, 2],
            [1, 2, 1, 2, 1, 2]])
    """
    times = sizes(repeats, named, "repeats")
    extra = len(times) - self.ndim
    if extra < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions "
            f"of tensor: {times} for {self.ndim}"
        )
    if any([n < 0 for n in times]):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {times}")
    shape = (1,) * extra + self._buffer.shape
    apart = reshape(self, *[n for side in shape for n in (1, side)])
    shown = expand(apart, *[n for pair in zip(times, shape) for n in pair])
    return reshape(clone(shown), *[n * side for n, side in zip(times, shape)])


@method("tile")
def tile(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """As `repeat`, where missing numbers are ones in front."""
    times = sizes(dims, named, "dims")
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


@method("repeat_interleave")
@numpy_names
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element along a dimension so many times; `repeats` is a number, or has one for each.

    Without a dimension the elements stand in one row. `repeat_interleave(repeats)` alone gives
    each index as often as its number says.

    >>> import minitorch_cnn as torch
    >>> torch.tensor([5, 6]).repeat_interleave(torch.tensor([1, 3]))
    tensor([5, 6, 6, 6])
    """
    if repeats is None:
        return _counted(input, output_size)
    x, d = (reshape(input, -1), 0) if dim is None else (input, dimension(input, dim))
    n = x.shape[d] if x.ndim else 1
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {repeats}")
        repeats = full((), repeats, device=x.device)
    if repeats.ndim > 1 or (repeats.ndim == 1 and repeats.shape[0] not in (1, n)):
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats of shape "
            f"{list(repeats.shape)} and input.size({d}) = {n}"
        )
    chosen = _counted(expand(reshape(repeats, -1), n), output_size)
    return x[(slice(None),) * d + (chosen,)]


def _counted(repeats: Tensor, output_size: int | None) -> Tensor:
    """Each index as often as its number says."""
    if repeats.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"repeats has to be Long or Int tensor, not of {repeats.dtype}")
    if repeats.ndim != 1:
        raise RuntimeError(
            "repeat_interleave only accepts 1D vector as repeat, "
            f"not one of shape {list(repeats.shape)}"
        )
    counts = repeats._host()
    if (counts < 0).any():
        raise RuntimeError(f"Repeats must be non-negative, got {counts.min()}")
    places = np.repeat(np.arange(counts.size), counts)
    if output_size is not None and output_size != places.size:
        raise RuntimeError(
            f"repeat_interleave: output_size {output_size} does not match required size "
            f"{places.size}"
        )
    return tensor(places, device=repeats.device)


# ---------------------------------------------------------------------- turning


def _one_or_many(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


@method("roll")
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved along dimensions, those that leave at the end coming back at the beginning.

    Without dimensions, all elements as one row.

    >>> import minitorch_cnn as torch
    >>> torch.arange(5).roll(2)
    tensor([3, 4, 0, 1, 2])
    """
    steps = _one_or_many(shifts)
    if dims is None or dims == ():
        if len(steps) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:0")
        return reshape(roll(reshape(input, -1), steps[0], 0), input.shape)
    named = _one_or_many(dims)
    if len(named) != len(steps):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(named)}"
        )
    if input.numel() == 0:
        return clone(input)
    out = input
    for step, dim in zip(steps, named):
        d = dimension(out, dim)
        n = out.shape[d]
        start = -step % n if n else 0
        out = cat([narrow(out, d, start, n - start), narrow(out, d, 0, start)], d)
    return out


@method("rot90")
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k right angles in the plane of two dimensions, from the first to the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = [dimension(input, d) for d in dims]
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    if k % 4 == 1:
        return transpose(flip(input, b), a, b)
    if k % 4 == 2:
        return flip(input, a, b)
    return transpose(flip(input, a), a, b) if k % 4 else input.clone()


@method("fliplr")
def fliplr(input: Tensor) -> Tensor:
    """The second dimension reversed."""
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d, not {input.ndim}-d")
    return flip(input, 1)


@method("flipud")
def flipud(input: Tensor) -> Tensor:
    """The first dimension reversed."""
    if input.ndim < 1:
        raise RuntimeError(f"Input must be >= 1-d, not {input.ndim}-d")
    return flip(input, 0)


method("__reversed__")(lambda self: flip(self, 0) if self.ndim else self)

# ---------------------------------------------------------------------- grids and choices


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Vectors as coordinates: views of each, expanded along the dimensions of the others.

    With `indexing` "ij", PyTorch's default, the first vector runs along the first dimension; with
    "xy" along the second, as pictures are addressed.

    >>> import minitorch_cnn as torch
    >>> torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4]), indexing="ij")[0]
    tensor([[1, 1],
            [2, 2]])
    """
    given = list(
        tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    )
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    for t in given:
        if t.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got one of shape "
                f"{list(t.shape)}"
            )
        if t.dtype is not given[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    turned = indexing == "xy" and len(given) > 1
    if turned:
        given[:2] = given[1::-1]
    size = [t.numel() for t in given]
    grids = [
        expand(reshape(t, *[-1 if i == j else 1 for j in range(len(given))]), *size)
        for i, t in enumerate(given)
    ]
    if turned:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All choices of an element of each vector, a row each; of one vector, itself."""
    for t in tensors:
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, -1) for grid in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, a row each, in its order."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input[:0]
    choose: Any = (
        itertools.combinations_with_replacement if with_replacement else itertools.combinations
    )
    places = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return input[tensor(places, device=input.device)]
