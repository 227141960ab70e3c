"""Resizing: images with more or fewer pixels, one dimension after the other."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .blend import Array, Table, blend
from .convert import clone
from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d

WITHOUT_CORNERS = ("nearest", "nearest-exact", "area")
DIMENSIONS = {"linear": 3, "bilinear": 4, "bicubic": 4, "lanczos": 4, "trilinear": 5}
ANTIALIASED = ("bilinear", "bicubic", "lanczos")


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images of another size.

    - `size` or `scale_factor`: of the result, or by what to multiply the input's; one number, or
      one for each dimension
    - `mode`: "nearest" (by rounding down) or "nearest-exact"; "linear", "bilinear" and "trilinear"
      for three, four and five dimensions; "bicubic", for four (Keys, 1981, a = -0.75); or "area",
      the adaptive mean, for three and four
    - `align_corners`: whether the centres of the outermost pixels, instead of their outer borders,
      stand still
    - `recompute_scale_factor`: compute with the ratio of the sizes instead of the scale factor
    - `antialias`: blur what shrinks, as Pillow does; "bilinear", "bicubic" and "lanczos" only

    Shapes: (n, c, l), (n, c, h, w) or (n, c, d, h, w). "area" takes no five dimensions, and only
    the nearest modes take bytes, where PyTorch has more.

    Raises ValueError for a size and a scale factor, or neither, or of another length than the
    image's; NotImplementedError for modes and types that do not fit; RuntimeError for sizes of 0.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.interpolate(torch.tensor([[[0.0, 2.0, 4.0]]]), size=5, mode="linear", align_corners=True)
    tensor([[[0., 1., 2., 3., 4.]]])
    """
    if mode in WITHOUT_CORNERS and align_corners is not None:
        raise ValueError(f"interpolate: align_corners is not for mode {mode!r}")
    shape = input._buffer.shape
    sizes, scales = _target(shape[2:], size, scale_factor)
    if scales is None and recompute_scale_factor:
        raise ValueError(f"interpolate: recompute_scale_factor is not meaningful with size {size}")
    if recompute_scale_factor or mode == "area":
        scales = None
    if antialias and (mode not in ANTIALIASED or len(shape) != 4):
        raise ValueError(
            f"interpolate: antialias is for modes {', '.join(ANTIALIASED)} and four dimensions, "
            f"not for {mode!r} and {len(shape)}"
        )
    if not 3 <= len(shape) <= 5 or mode not in (*WITHOUT_CORNERS, *DIMENSIONS):
        raise NotImplementedError(
            f"interpolate: mode {mode!r} is not for an input of {len(shape)} dimensions"
        )
    if DIMENSIONS.get(mode, len(shape)) != len(shape) or (mode == "area" and len(shape) == 5):
        raise NotImplementedError(
            f"interpolate: got an input of {len(shape)} dimensions, but mode {mode!r} needs "
            f"{DIMENSIONS.get(mode, '3 or 4')}"
        )
    if mode == "lanczos" and not (antialias and not align_corners):
        raise ValueError("interpolate: mode 'lanczos' is for antialias without align_corners")
    if mode == "area":
        pool: Any = adaptive_avg_pool1d if len(shape) == 3 else adaptive_avg_pool2d
        return pool(input, sizes)
    if not input.dtype.is_floating_point and (
        mode not in WITHOUT_CORNERS or input.dtype is not dtypes.uint8
    ):
        raise NotImplementedError(f"interpolate: mode {mode!r} is not for {input.dtype}")
    if min(*shape[1:], *sizes) < 1:
        raise RuntimeError(
            f"interpolate: channels and sizes should be greater than 0, but got an input of "
            f"{list(shape)} and an output of {sizes}"
        )
    kind = f"antialiased {mode}" if antialias else mode
    narrow = input.dtype is not dtypes.float64
    resized = input
    for d in _order(shape[2:], sizes):
        scale = None if scales is None else scales[d]
        table = _table(kind, shape[2 + d], sizes[d], scale, bool(align_corners), narrow)
        if table is not None:
            resized = blend(resized, table, 2 + d)
    return clone(input) if resized is input else resized


def _target(
    shape: tuple[int, ...], size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    """The result's sizes, and the scale factors if these were given."""
    if (size is None) == (scale_factor is None):
        which = "either" if size is None else "only one"
        raise ValueError(f"interpolate: {which} of size and scale_factor should be defined")
    given = scale_factor if size is None else size
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * len(shape)
    if len(values) != len(shape):
        raise ValueError(
            "interpolate: input and output must have the same number of spatial dimensions, but "
            f"got sizes {list(shape)} for the input and {list(values)} for the output"
        )
    number: Any = (int, float) if size is None else int
    if not all([isinstance(v, number) or hasattr(v, "__index__") for v in values]):
        raise TypeError(f"interpolate: expected numbers that fit {list(shape)}, not {given!r}")
    if size is not None:
        return tuple([int(v) for v in values]), None
    factors = tuple([float(v) for v in values])
    return tuple([int(n * f) for n, f in zip(shape, factors)]), factors


def _order(shape: tuple[int, ...], sizes: tuple[int, ...]) -> list[int]:
    """What shrinks comes first, so that there is less to do; and rows, which lie together, are
    best blended while they are long."""
    shrinking = [d for d, (n, m) in enumerate(zip(shape, sizes)) if m < n]
    return shrinking + [d for d in reversed(range(len(shape))) if d not in shrinking]


# ---------------------------------------------------------------------- what an output is made of


@lru_cache(maxsize=512)
def _table(
    kind: str, n: int, m: int, scale: float | None, align_corners: bool, narrow: bool
) -> Table | None:
    """How m outputs are made of n inputs; None if they are the inputs. `narrow` is for images that
    are no float64."""
    if align_corners:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
    else:
        step = 1 / scale if scale is not None and scale > 0 else n / m
    i = np.arange(m)
    if kind.startswith("nearest"):
        places = np.minimum(_nearest(i, step, kind == "nearest-exact", narrow), n - 1)
        return None if m == n and (places == i).all() else Table.of(n, places)
    if kind.startswith("antialiased"):
        return None if m == n else _smoothed(n, m, step, *FILTERS[kind.split()[1]])
    source = i * step if align_corners else (i + 0.5) * step - 0.5
    if kind == "bicubic":
        first = np.minimum(np.floor(source), n - 1)
        t = np.clip(source - first, 0, 1)
        far, near = cubic(-0.75)
        weights = np.stack([far(t + 1), near(t), near(1 - t), far(2 - t)], 1)
        return Table.of(n, np.clip(first[:, None] + np.arange(-1, 3), 0, n - 1), weights)
    source = i + 0.0 if m == n else source.clip(0)
    first = np.minimum(np.floor(source), n - 1)
    t = np.clip(source - first, 0, 1)
    second = first if m == n else np.minimum(first + 1, n - 1)
    return Table.of(n, np.stack([first, second], 1), np.stack([1 - t, t], 1))


def _nearest(i: Array, step: float, exact: bool, narrow: bool) -> Array:
    """floor(i step), or the place nearest to (i + 1/2) step, with PyTorch's roundings: they decide
    where a result should be whole."""
    kept = np.float32 if narrow else np.float64
    step = float(kept(step))
    found = i * step
    if exact:
        found = ((i + 0.5) * step - 0.5).astype(kept) + kept(0.5)
    return np.floor(found.astype(np.float32)).astype(np.int64)


def cubic(a: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The two pieces of the cubic kernel, for distances from 1 to 2 and from 0 to 1."""
    return (
        lambda x: ((a * x - 5 * a) * x + 8 * a) * x - 4 * a,
        lambda x: ((a + 2) * x - (a + 3)) * x * x + 1,
    )


def _cubic_filter(x: Array) -> Array:
    far, near = cubic(-0.5)
    return np.where(x < 1, near(x), np.where(x < 2, far(x), 0))


FILTERS: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, _cubic_filter),
    "lanczos": (3, lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}
"""How far a filter reaches, in pixels of the output if these are the larger, and what it weighs at
distances from 0."""


def _smoothed(n: int, m: int, step: float, reach: int, weigh: Callable[[Array], Array]) -> Table:
    """Each output is the mean of the inputs in reach, weighed by their distance."""
    wide = max(step, 1.0)
    centres = (np.arange(m) + 0.5) * step
    first = np.maximum((centres - reach * wide + 0.5).astype(np.int64), 0)
    stop = np.minimum((centres + reach * wide + 0.5).astype(np.int64), n)
    most = math.ceil(reach * wide) * 2 + 1
    counts = np.clip(stop - first, 0, most)
    starts = np.concatenate([[0], np.cumsum(counts)])
    outputs = np.repeat(np.arange(m), counts)
    sources = np.arange(starts[-1]) - starts[outputs] + first[outputs]
    weights = weigh(abs(sources - centres[outputs] + 0.5) / wide)
    return Table(n, starts, sources, weights / np.bincount(outputs, weights, m)[outputs])


# ---------------------------------------------------------------------- older names


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate` under its older name; warns, as PyTorch does."""
    _warn_of_age("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Tensor:
    """`interpolate` in mode "nearest"; warns, as PyTorch does."""
    _warn_of_age("upsample_nearest")
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Tensor:
    """`interpolate` in mode "bilinear" with aligned corners; warns, as PyTorch does."""
    _warn_of_age("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)


def _warn_of_age(name: str) -> None:
    text = f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead."
    warnings.warn(text, stacklevel=3)
