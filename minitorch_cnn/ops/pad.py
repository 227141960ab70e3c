"""Padding: tensors with a margin, of one value or of copies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .blend import Table, blend
from .convert import clone
from .creation import full
from .index import PutSlice
from .operands import cast
from .sides import integer

Margin = tuple[int, int]


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """The tensor with a margin around its last dimensions.

    - `pad`: how much before and after the last dimension, then before and after the last but one,
      and so on; negative numbers cut off
    - `mode`: "constant" for a margin of `value` (0 if None) around any dimensions; around the last
      one of two or three, two of three or four, three of four or five dimensions also "reflect",
      the image mirrored about its outermost elements, "replicate", these repeated, or "circular",
      what is at the other end

    Raises RuntimeError for an odd or too long `pad`, cuts that leave less than nothing, margins
    wider than what they would mirror or wrap around, and a value where none is used;
    NotImplementedError for other modes or numbers of dimensions.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.pad(torch.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    sides = [integer("pad: pad", n) for n in pad]
    shape = input._buffer.shape
    if len(sides) % 2:
        raise RuntimeError(f"pad: padding length must be divisible by 2, and {sides} is not")
    if len(sides) > 2 * len(shape):
        raise RuntimeError(
            f"pad: padding length should be at most two times the input dimension, but got "
            f"{len(sides)} and input of dimension {len(shape)}"
        )
    margins = list(zip(sides[-2::-2], sides[::-2]))
    margins = [(0, 0)] * (len(shape) - len(margins)) + margins
    if mode == "constant":
        return _constant(input, margins, 0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: unrecognised padding mode {mode!r}")
    if value not in (None, 0):
        raise RuntimeError(f"pad: mode {mode!r} takes no value, and this is {value}")
    dims = len(sides) // 2
    if not 1 <= dims <= 3 or len(shape) - dims not in (1, 2):
        raise NotImplementedError(
            f"pad: padding of length {len(sides)} is not supported for an input of {len(shape)} "
            f"dimensions in mode {mode!r}; it takes 2 for 2 or 3, 4 for 3 or 4, 6 for 4 or 5"
        )
    return _copies(input, margins, mode, dims)


def _constant(input: Tensor, margins: list[Margin], value: Any) -> Tensor:
    shape = input._buffer.shape
    size = tuple([n + before + after for n, (before, after) in zip(shape, margins)])
    if any([n + min(a, 0) + min(b, 0) < 0 for n, (a, b) in zip(shape, margins)]):
        raise RuntimeError(
            f"pad: the padding {margins} cuts more from an input of shape {list(shape)} than it has"
        )
    if any([min(margin) < 0 for margin in margins]):
        cut = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(shape, margins)]
        input = input[tuple(cut)]
    if input._buffer.shape == size:
        return clone(input)
    inside = tuple([slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(size, margins)])
    if value == 0:
        return PutSlice.apply(input, size=size, index=inside)
    if input.dtype.category != 2:
        value = bool(value) if input.dtype is dtypes.bool_ else int(value)
    padded = full(size, value, dtype=input.dtype, device=input.device)
    padded[inside] = input
    return padded


def _copies(input: Tensor, margins: list[Margin], mode: str, dims: int) -> Tensor:
    shape = input._buffer.shape
    channel = len(shape) - dims - 1
    if mode != "circular" and 0 in shape[channel:]:
        raise RuntimeError(
            f"pad: mode {mode!r} takes an input without dimensions of size 0 but for the batch, "
            f"not {list(shape)}"
        )
    for n, (before, after) in zip(shape[channel + 1 :], margins[channel + 1 :]):
        _check_margin(mode, n, before, after)
    if input.dtype is dtypes.bool_:
        if mode != "circular":
            raise NotImplementedError(f"pad: mode {mode!r} is not for truth values")
        return cast(_copies(cast(input, dtypes.uint8), margins, mode, dims), dtypes.bool_)
    padded = input
    for dim, (before, after) in enumerate(margins):
        if before or after:
            padded = blend(padded, _table(mode, shape[dim], before, after), dim)
    return clone(input) if padded is input else padded


def _check_margin(mode: str, n: int, before: int, after: int) -> None:
    """Refuse a margin that copies can't fill."""
    wide = max(before, after)
    kept = n + min(before, 0) + min(after, 0)
    if mode == "reflect" and wide >= n:
        raise RuntimeError(
            f"pad: reflected margins must be smaller than the dimension, but are {(before, after)} "
            f"for one of {n}"
        )
    if mode == "circular" and not 0 <= max(wide, 0) <= kept:
        raise RuntimeError(
            f"pad: circular margins {(before, after)} wrap around more than once "
            f"for a dimension of {n}"
        )
    if n + before + after < (mode != "circular"):
        raise RuntimeError(
            f"pad: a dimension of {n} with margins {(before, after)} would have "
            f"{n + before + after}, which is too small"
        )


@lru_cache(maxsize=512)
def _table(mode: str, n: int, before: int, after: int) -> Table:
    """Which elements of a dimension of size n stand in its margins, and between them."""
    places = np.arange(-before, n + after)
    if mode == "reflect":
        places = np.abs(places)
        places = np.where(places < n, places, 2 * (n - 1) - places)
    elif mode == "replicate":
        places = places.clip(0, n - 1)
    else:  # of what a cut leaves
        first, last = max(-before, 0), n - max(-after, 0)
        places = first + (places - first) % max(last - first, 1)
    return Table.of(n, places)
