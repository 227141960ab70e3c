"""Transforms of PIL images, by Pillow's own functions, as torchvision does them.

Imported only where there is a PIL image, so Pillow is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from . import planes

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}


def resize(image: Any, size: tuple[int, int], mode: str) -> Any:
    """Another size, (height, width)."""
    return image.resize(size[::-1], RESAMPLING[mode])


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """A window, black where it lies beyond the image."""
    return image.crop((left, top, left + width, top + height))


def flip(image: Any, vertically: bool) -> Any:
    """Mirrored."""
    way = Image.Transpose.FLIP_TOP_BOTTOM if vertically else Image.Transpose.FLIP_LEFT_RIGHT
    return image.transpose(way)


def pad(image: Any, sides: Sequence[int], fill: Any, mode: str) -> Any:
    """Margins left, top, right and bottom."""
    if mode == "constant":
        bands = len(image.getbands())
        if not isinstance(fill, (int, float)):
            fill = tuple(fill) if len(fill) == bands else (fill[0],) * bands
        elif bands > 1:
            fill = (int(fill),) * bands
        return ImageOps.expand(image, border=tuple(sides), fill=fill)
    pixels = np.asarray(image)
    channels = pixels[..., None] if pixels.ndim == 2 else pixels
    padded = planes.pad(np.moveaxis(channels, -1, 0), sides, 0, mode)
    back = np.moveaxis(padded, 0, -1)
    return Image.fromarray(np.ascontiguousarray(back[..., 0] if pixels.ndim == 2 else back))


def _fill(image: Any, fill: Any) -> Any:
    """A fill colour for an image's mode."""
    bands = len(image.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, (int, float)):
        return (int(fill),) * bands if bands > 1 else fill
    fill = tuple(int(value) for value in fill)
    if len(fill) != bands and len(fill) != 1:
        raise ValueError(f"fill {fill} does not fit an image of {bands} channels")
    return fill * bands if len(fill) == 1 and bands > 1 else fill if bands > 1 else fill[0]


def rotate(image: Any, angle: float, mode: str, expand: bool, centre: Any, fill: Any) -> Any:
    """Turned counter-clockwise."""
    return image.rotate(angle, RESAMPLING[mode], expand, centre, fillcolor=_fill(image, fill))


def affine(image: Any, matrix: Sequence[float], mode: str, fill: Any) -> Any:
    """Moved by the map from the result to the image."""
    way = Image.Transform.AFFINE
    return image.transform(
        image.size, way, tuple(matrix), RESAMPLING[mode], fillcolor=_fill(image, fill)
    )


def brightness(image: Any, factor: float) -> Any:
    """Between black and the image, or beyond."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Any, factor: float) -> Any:
    """Between its mean grey and the image, or beyond."""
    return ImageEnhance.Contrast(image).enhance(factor)


def saturation(image: Any, factor: float) -> Any:
    """Between its grey picture and the image, or beyond."""
    return ImageEnhance.Color(image).enhance(factor)


def hue(image: Any, factor: float) -> Any:
    """Colours turned by so many full circles."""
    mode = image.mode
    if mode in ("L", "1", "I", "F"):
        return image
    bands = list(image.convert("HSV").split())
    turned = np.asarray(bands[0]).astype(np.int64) + int(factor * 255)
    bands[0] = Image.fromarray((turned % 256).astype(np.uint8), "L")
    return Image.merge("HSV", bands).convert(mode)


def grey(image: Any, channels: int) -> Any:
    """Grey, in one channel or in three that are equal."""
    plane = image.convert("L")
    return plane if channels == 1 else Image.merge("RGB", [plane] * 3)


def from_array(pixels: np.ndarray, mode: str | None) -> Any:
    """An image of an array (height, width) or (height, width, channels)."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if mode == "LA" or (mode is None and pixels.ndim == 3 and pixels.shape[2] == 2):
        return Image.merge("LA", [Image.fromarray(pixels[:, :, i]) for i in range(2)])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if mode is None or image.mode == mode:
        return image
    if pixels.ndim == 3 and mode in ("YCbCr", "HSV", "CMYK", "RGBX"):
        bands = [Image.fromarray(np.ascontiguousarray(pixels[:, :, i])) for i in range(len(mode))]
        return Image.merge(mode, bands[: pixels.shape[2]])
    raise ValueError(f"Incorrect mode ({mode}) for an image of mode {image.mode}")
