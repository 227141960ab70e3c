"""Images read at any places: spatial transformers, warps and rotations.

Jaderberg et al., Spatial transformer networks (2015).
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from .compare import clamp, where
from .creation import linspace, ones, zeros
from .elementwise import floor, round
from .matmul import matmul, require_floating
from .pool import MaxPool2dGather
from .resize import cubic
from .shape import expand, reshape, stack, transpose

MODES = ("bilinear", "nearest", "bicubic")
PADDING_MODES = ("zeros", "border", "reflection")


def _corners(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            f"{name}: align_corners is False unless given, as in PyTorch since 1.3.0; say which "
            "you mean",
            stacklevel=3,
        )
    return bool(align_corners)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where each pixel of an image lies in another, for an affine map: what `grid_sample` takes.

    Shapes: theta (n, 2, 3), size (n, c, h, w), the result (n, h, w, 2) of pairs x, y. Both images
    reach from -1 to 1: to the centres of their outermost pixels if `align_corners`, to their
    borders if not. Raises ValueError for shapes that do not fit.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> mirror = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(mirror, (1, 1, 1, 3), align_corners=True)[0, 0, :, 0]
    tensor([ 1.,  0., -1.])
    """
    if not theta.dtype.is_floating_point:
        raise ValueError(f"affine_grid: expected theta to be floating point, not {theta.dtype}")
    aligned = _corners("affine_grid", align_corners)
    if len(size) != 4 or theta._buffer.shape != (size[0], 2, 3):
        raise ValueError(
            f"affine_grid: expected theta of shape [n, 2, 3] and a size of n, c, h, w, "
            f"got {list(theta.shape)} and {tuple(size)}"
        )
    if min(size) < 1:
        raise ValueError(f"affine_grid: expected sizes above 0, got {tuple(size)}")
    n, _, h, w = size
    options: Any = {"dtype": theta.dtype, "device": theta.device}
    x, y = [
        linspace(-1, 1, m, **options) * (1.0 if aligned else (m - 1) / m)
        if m > 1
        else zeros(1, **options)
        for m in (w, h)
    ]
    places = (expand(x, h, w), expand(y.unsqueeze(1), h, w), ones(h, w, **options))
    return reshape(matmul(reshape(stack(places, 2), h * w, 3), transpose(theta, 1, 2)), n, h, w, 2)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The image at given places.

    - `grid`: for each output pixel x and y in the input, which reaches from -1 to 1
    - `mode`: "bilinear", "nearest" or "bicubic" between pixels
    - `padding_mode`: outside there are "zeros", or it is the "border"'s pixels, or the
      "reflection" of the image
    - `align_corners`: whether -1 and 1 are the centres of the outermost pixels, or their borders

    Shapes: input (n, c, h, w), grid (n, oh, ow, 2), the result (n, c, oh, ow). Volumes, of which
    PyTorch takes samples too, are not offered. Raises ValueError for unknown modes, RuntimeError
    for shapes and types that do not fit.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> x, place = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[0.0, 0.0]]]])
    >>> F.grid_sample(x, place, align_corners=True)
    tensor([[[[2.]]]])
    """
    for option, value, known in (
        ("mode", mode, MODES),
        ("padding_mode", padding_mode, PADDING_MODES),
    ):
        if value not in known:
            raise ValueError(f"grid_sample: {option} must be one of {known}, not {value!r}")
    aligned = _corners("grid_sample", align_corners)
    require_floating("grid_sample", input, grid)
    shape, places = input._buffer.shape, grid._buffer.shape
    if len(shape) != 4 or len(places) != 4 or places[0] != shape[0] or places[3] != 2:
        raise RuntimeError(
            f"grid_sample: expected an input (n, c, h, w) and a grid (n, oh, ow, 2), "
            f"got {list(shape)} and {list(places)}"
        )
    if 0 in shape[2:]:
        raise RuntimeError(f"grid_sample: expected images that are not empty, got {list(shape)}")
    at: list[Any] = []
    for i, n in ((1, shape[2]), (0, shape[3])):
        g = grid[..., i] + 1
        at.append(g / 2 * (n - 1) if aligned else (g * n - 1) / 2)
    if mode == "nearest":
        y, x = [_into(v, n, padding_mode, aligned) for v, n in zip(at, shape[2:])]
        return _pixels(input, round(y), round(x))
    if mode == "bilinear":
        at = [_into(v, n, padding_mode, aligned) for v, n in zip(at, shape[2:])]
    total: Any = 0.0
    (rows, columns) = [_taps(v, n, mode, padding_mode, aligned) for v, n in zip(at, shape[2:])]
    for (y, down), (x, along) in itertools.product(rows, columns):
        total = total + _pixels(input, y, x) * (down * along).unsqueeze(1)
    return total


def _taps(
    v: Tensor, n: int, mode: str, padding_mode: str, aligned: bool
) -> list[tuple[Tensor, Tensor]]:
    """The pixels next to a place along one dimension, and their weights."""
    first = floor(v)
    t = v - first
    if mode == "bilinear":
        return [(first, 1 - t), (first + 1, t)]
    far, near = cubic(-0.75)
    weights = (far(t + 1), near(t), near(1 - t), far(2 - t))
    return [
        (_into(first + i, n, padding_mode, aligned), weight)
        for i, weight in zip(range(-1, 3), weights)
    ]


def _into(v: Tensor, n: int, padding_mode: str, aligned: bool) -> Tensor:
    """A place among n pixels for one that may lie outside; at the border it has no slope."""
    if padding_mode == "zeros":
        return v
    if padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if aligned else (-0.5, float(n))
        if span == 0:
            v = v * 0
        else:
            v = where(v < low, low - v, v - low)
            turns = floor(v / span)
            v = v - turns * span
            v = where(turns % 2 == 0, v, span - v) + low
    return where(v <= 0, 0.0, where(v >= n - 1, float(n - 1), v))


def _pixels(input: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The pixels at whole numbers y and x (n, oh, ow), zeros outside."""
    n, c, h, w = input._buffer.shape
    y, x = y.detach(), x.detach()
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    places = clamp(y, 0, h - 1).long() * w + clamp(x, 0, w - 1).long()
    places = where(inside, places, -1)
    return MaxPool2dGather.apply(input, expand(places.unsqueeze(1), n, c, *places.shape[1:]))
