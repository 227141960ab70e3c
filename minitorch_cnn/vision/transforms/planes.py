"""Transforms of planes of pixels: arrays (..., height, width), as torchvision does them to tensors.

Bytes are computed with in float32 and rounded where torchvision rounds, cut off where it cuts off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["affine", "blend", "grey", "pad", "resize", "shift_hue"]

Planes = np.ndarray


def largest(dtype: np.dtype[Any]) -> float:
    """The value of white."""
    return 1.0 if dtype.kind in "fb" else float(np.iinfo(dtype).max)


def pad(planes: Planes, sides: Sequence[int], fill: Any, mode: str) -> Planes:
    """Margins left, top, right and bottom; negative ones cut."""
    left, top, right, bottom = sides
    if min(sides) < 0:
        height, width = planes.shape[-2:]
        rows = slice(max(-top, 0), height - max(-bottom, 0))
        planes = planes[..., rows, max(-left, 0) : width - max(-right, 0)]
        left, top, right, bottom = (max(side, 0) for side in sides)
    around = [(0, 0)] * (planes.ndim - 2) + [(top, bottom), (left, right)]
    if mode != "constant":
        return np.pad(planes, around, mode=mode)  # type: ignore[call-overload]
    height, width = planes.shape[-2:]
    shape = (*planes.shape[:-2], top + height + bottom, left + width + right)
    padded = np.empty(shape, planes.dtype)
    padded[...] = _per_channel(fill, planes)
    padded[..., top : top + height, left : left + width] = planes
    return padded


def _per_channel(fill: Any, planes: Planes) -> Planes:
    """A fill in the planes' type, one number or one a channel."""
    values = np.asarray(0 if fill is None else fill)
    if values.ndim == 0:
        return values.astype(planes.dtype)
    channels = planes.shape[-3] if planes.ndim > 2 else 1
    if values.shape not in ((1,), (channels,)):
        raise ValueError(f"fill {fill} does not fit {channels} channels")
    return values.astype(planes.dtype).reshape(-1, 1, 1)


# ---------------------------------------------------------------------- other sizes


def resize(planes: Planes, size: tuple[int, int], mode: str, antialias: bool) -> Planes:
    """Each row and each column resampled, as `interpolate(..., align_corners=False)` does."""
    height, width = size
    if planes.shape[-2:] == (height, width):
        return planes
    exact = mode in ("nearest", "nearest-exact")
    result = planes if exact or planes.dtype.kind == "f" else planes.astype(np.float32)
    # Along rows first: the order decides on the last bit.
    result = _resample(result, -1, width, mode, antialias)
    result = _resample(result, -2, height, mode, antialias)
    if result.dtype == planes.dtype:
        return result
    if mode == "bicubic":
        result = result.clip(0, largest(planes.dtype))
    return np.rint(result).astype(planes.dtype)


def _resample(planes: Planes, axis: int, size: int, mode: str, antialias: bool) -> Planes:
    if planes.shape[axis] == size:
        return planes
    index, weights = _taps(planes.shape[axis], size, mode, antialias)
    if weights is None:
        return planes.take(index[0], axis)
    shape = (-1,) if axis == -1 else (-1, 1)
    total: Any = 0
    for places, weight in zip(index, weights.astype(planes.dtype), strict=True):
        total = total + planes.take(places, axis) * weight.reshape(shape)
    return total


@lru_cache(maxsize=64)
def _taps(source: int, size: int, mode: str, antialias: bool) -> tuple[Planes, Planes | None]:
    """Which elements enter each result, and with which weights: arrays (taps, size)."""
    scale = source / size
    places = np.arange(size)
    if mode == "nearest":
        return np.minimum((places * scale).astype(np.int64), source - 1)[None], None
    if mode == "nearest-exact":
        return np.minimum(((places + 0.5) * scale).astype(np.int64), source - 1)[None], None
    centre = (places + 0.5) * scale
    if antialias:
        stretch = max(scale, 1.0)
        support = (1 if mode == "bilinear" else 2) * stretch
        first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
        last = np.minimum((centre + support + 0.5).astype(np.int64), source)
        index = first + np.arange(int((last - first).max()))[:, None]
        weights = _kernel((index - centre + 0.5) / stretch, mode, -0.5) * (index < last)
        return np.minimum(index, source - 1), weights / weights.sum(0)
    if mode == "bilinear":
        at = np.maximum(centre - 0.5, 0)
        first = at.astype(np.int64)
        index = first + np.arange(2)[:, None]
    else:
        at = centre - 0.5
        index = np.floor(at).astype(np.int64) + np.arange(-1, 3)[:, None]
    weights = _kernel(index - at, mode, -0.75)
    return index.clip(0, source - 1), weights


def _kernel(distance: Planes, mode: str, a: float) -> Planes:
    """A triangle, or Keys' cubic of parameter a."""
    x = np.abs(distance)
    if mode == "bilinear":
        return np.maximum(1 - x, 0)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# ---------------------------------------------------------------------- other places


def affine(
    planes: Planes, matrix: Sequence[float], size: tuple[int, int], mode: str, fill: Any
) -> Planes:
    """result[y, x] = planes at the matrix's (x, y), both counted from the centres of the images."""
    height, width = planes.shape[-2:]
    rows, columns = size
    x = np.arange(columns) - (columns - 1) / 2
    y = (np.arange(rows) - (rows - 1) / 2)[:, None]
    source_x = matrix[0] * x + matrix[1] * y + matrix[2] + (width - 1) / 2
    source_y = matrix[3] * x + matrix[4] * y + matrix[5] + (height - 1) / 2
    if mode == "nearest":
        # Rotations by right angles meet pixels but for rounding, which must not decide on an edge.
        column = np.rint(source_x.round(9)).astype(np.int64)
        row = np.rint(source_y.round(9)).astype(np.int64)
        there = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        found = planes[..., row.clip(0, height - 1), column.clip(0, width - 1)]
        return np.where(there, found, _per_channel(fill, planes))
    real = planes if planes.dtype.kind == "f" else planes.astype(np.float32)
    low_x, low_y = np.floor(source_x).astype(np.int64), np.floor(source_y).astype(np.int64)
    total: Any = 0
    covered: Any = 0
    for row, row_share in ((low_y, 1 - (source_y - low_y)), (low_y + 1, source_y - low_y)):
        for column, share in ((low_x, 1 - (source_x - low_x)), (low_x + 1, source_x - low_x)):
            there = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = (there * row_share * share).astype(real.dtype)
            total = total + weight * real[..., row.clip(0, height - 1), column.clip(0, width - 1)]
            covered = covered + weight
    if fill is not None:
        total = total + (1 - covered) * _per_channel(fill, real)
    if total.dtype != planes.dtype:
        total = np.rint(total).astype(planes.dtype)
    return total


def inverse_matrix(
    centre: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """The affine map from a result to its source: of a rotation, shear, scale and translation.

    The result is T C R(angle) Sh(shear) S(scale) C^-1 of the source, C moving the centre to 0.
    """
    rotation, shear_x, shear_y = math.radians(angle), *map(math.radians, shear)
    a = math.cos(rotation - shear_y) / math.cos(shear_y)
    b = -math.cos(rotation - shear_y) * math.tan(shear_x) / math.cos(shear_y) - math.sin(rotation)
    c = math.sin(rotation - shear_y) / math.cos(shear_y)
    d = -math.sin(rotation - shear_y) * math.tan(shear_x) / math.cos(shear_y) + math.cos(rotation)
    matrix = [number / scale for number in (d, -b, 0.0, -c, a, 0.0)]
    (x, y), (right, down) = centre, translate
    matrix[2] += matrix[0] * (-x - right) + matrix[1] * (-y - down) + x
    matrix[5] += matrix[3] * (-x - right) + matrix[4] * (-y - down) + y
    return matrix


def rotated_size(matrix: Sequence[float], height: int, width: int) -> tuple[int, int]:
    """The (height, width) into which a whole rotated image fits, in whole pixels of the image's."""
    sizes = []
    for row, size in ((matrix[3:], height), (matrix[:3], width)):
        x, y = 0.5 * width * abs(row[0]), 0.5 * height * abs(row[1])
        ends = (row[2] + 0.5 * size - x - y, row[2] + 0.5 * size + x + y)
        # A thousandth of a pixel is rounding.
        least, most = (math.trunc(round(end * 1e3, 6)) / 1e3 for end in ends)
        sizes.append(math.ceil(most) - math.floor(least))
    return sizes[0], sizes[1]


# ---------------------------------------------------------------------- other colours


def grey(planes: Planes) -> Planes:
    """0.2989 r + 0.587 g + 0.114 b of planes (..., 3, height, width), which keep one channel."""
    if planes.shape[-3] == 1:
        return planes
    red, green, blue = (planes[..., i, :, :] for i in range(3))
    real = np.float64 if planes.dtype == np.float64 else np.float32
    mixed = real(0.2989) * red + real(0.587) * green + real(0.114) * blue
    return mixed.astype(planes.dtype)[..., None, :, :]


def blend(first: Planes, second: Any, ratio: float) -> Planes:
    """ratio first + (1 - ratio) second, within black and white."""
    real = np.float64 if first.dtype == np.float64 else np.float32
    mixed = real(ratio) * first + real(1.0 - ratio) * second
    return mixed.clip(0, largest(first.dtype)).astype(first.dtype)


def contrast_mean(planes: Planes) -> Planes:
    """The mean grey of each image, as planes of one pixel."""
    real = planes.dtype if planes.dtype.kind == "f" else np.dtype(np.float32)
    return grey(planes).astype(real).mean((-3, -2, -1), keepdims=True, dtype=real)


def shift_hue(planes: Planes, by: float) -> Planes:
    """The colours turned by so many full circles."""
    real = planes if planes.dtype.kind == "f" else planes.astype(np.float32) / np.float32(255)
    hue, saturation, value = _to_hsv(real)
    shifted = _from_hsv((hue + real.dtype.type(by)) % 1, saturation, value)
    if planes.dtype.kind == "f":
        return shifted.astype(planes.dtype)
    return (shifted * np.float32(255 + 1.0 - 1e-3)).astype(planes.dtype)


def _to_hsv(planes: Planes) -> tuple[Planes, Planes, Planes]:
    red, green, blue = (planes[..., i, :, :] for i in range(3))
    most, least = planes.max(-3), planes.min(-3)
    span, colourless = most - least, most == least
    saturation = span / np.where(colourless, 1, most)
    divisor = np.where(colourless, 1, span)
    from_red, from_green, from_blue = ((most - c) / divisor for c in (red, green, blue))
    hue = np.where(
        most == red,
        from_blue - from_green,
        np.where(most == green, 2 + from_red - from_blue, 4 + from_green - from_red),
    )
    return np.fmod(hue / 6 + 1, 1), saturation, most


def _from_hsv(hue: Planes, saturation: Planes, value: Planes) -> Planes:
    sixth = np.floor(hue * 6)
    rest = hue * 6 - sixth
    p = (value * (1 - saturation)).clip(0, 1)
    q = (value * (1 - saturation * rest)).clip(0, 1)
    t = (value * (1 - saturation * (1 - rest))).clip(0, 1)
    which = sixth.astype(np.int64) % 6
    red = np.choose(which, [value, q, p, p, t, value])
    green = np.choose(which, [t, value, value, q, p, p])
    blue = np.choose(which, [p, p, t, value, value, q])
    return np.stack([red, green, blue], -3)
