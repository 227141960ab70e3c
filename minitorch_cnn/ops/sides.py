"""Options that are one number for all dimensions of an image or one for each; and sequences, which
are computed as images of one row."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

Single = tuple[int]
Pair = tuple[int, int]


def integer(name: str, value: Any) -> int:
    """An option that must be an int."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, not {value!r}")
    return int(value.__index__())


def sides(name: str, value: Any, dims: int) -> tuple[int, ...]:
    """An option that is one int for all of one or two dimensions or one for each."""
    if type(value) is int:
        return (value,) * dims
    if type(value) is tuple and len(value) == dims and type(value[0]) is type(value[-1]) is int:
        return value
    values = value if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, dims):
        wanted = "an int" if dims == 1 else "an int or two of them"
        raise RuntimeError(f"{name}: expected {wanted}, not {value!r}")
    found = tuple([integer(name, v) for v in values])
    return found if len(found) == dims else found * dims


def pair(name: str, value: Any) -> Pair:
    """An option of images that is one int for both dimensions or one for each."""
    first, second = sides(name, value, 2)
    return first, second


OF_ONE_ROW = {"size": 1, "kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}


def as_images(**options: tuple[int, ...]) -> dict[str, Any]:
    """Options of an op on images from those of as many dimensions as there are."""
    return {k: (OF_ONE_ROW[k], *v) if len(v) == 1 else v for k, v in options.items()}


def lifted(x: Tensor, dims: int) -> Tensor:
    """Sequences or images, or one of them, as a batch of images."""
    if x._buffer.ndim == dims + 1:
        x = x.unsqueeze(0)
    return x.unsqueeze(2) if dims == 1 else x


def lowered(y: Tensor, like: Tensor, dims: int) -> Tensor:
    """What was found for `lifted(like)`, as like is."""
    if dims == 1:
        y = y.squeeze(2)
    return y.squeeze(0) if like._buffer.ndim == dims + 1 else y
