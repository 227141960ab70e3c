"""Grids of images, and files of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .. import Tensor, cat, full, no_grad, stack, uint8

__all__ = ["make_grid", "save_image"]


@no_grad()
def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """One image (channels, height, width) of many (n, channels, height, width), `nrow` in a row.

    Around each lie `padding` pixels of `pad_value`. With `normalize` values are moved from
    `value_range`, by default their own, to 0 to 1; of each image apart if `scale_each`. A single
    image, of one, is returned as it is; grey ones get three channels.

    Raises TypeError for anything but tensors, or a range that is no pair.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.utils.make_grid.html

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.utils import make_grid
    >>> make_grid(torch.zeros(10, 1, 28, 28), nrow=5).shape
    torch.Size([3, 62, 152])
    """
    images: Any = tensor
    if isinstance(tensor, (list, tuple)) and all(isinstance(t, Tensor) for t in tensor):
        images = stack(list(tensor), 0)
    if not isinstance(images, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if value_range is not None and (not isinstance(value_range, tuple) or len(value_range) != 2):
        raise TypeError(f"value_range has to be a tuple (min, max), not {value_range!r}")
    while images.dim() < 4:
        images = images.unsqueeze(0)
    if images.shape[1] == 1:
        images = cat([images, images, images], 1)
    if normalize:
        parts = list(images.unbind(0)) if scale_each else [images]
        parts = [_normalized(part, value_range) for part in parts]
        images = stack(parts, 0) if scale_each else parts[0]
    count, channels, height, width = images.shape
    if count == 1:
        return images.squeeze(0)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    tall, wide = height + padding, width + padding
    size = (channels, tall * rows + padding, wide * columns + padding)
    grid = full(size, pad_value, dtype=images.dtype, device=images.device)
    for i in range(count):
        top, left = i // columns * tall + padding, i % columns * wide + padding
        grid[:, top : top + height, left : left + width] = images[i]
    return grid


def _normalized(tensor: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    """Values of a range, or their own, moved to 0 to 1."""
    low, high = value_range or (float(tensor.min()), float(tensor.max()))
    return (tensor.clamp(low, high) - low) / max(high - low, 1e-5)


@no_grad()
def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: str | Path | BinaryIO,
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write an image, or the grid of many, to a file; values from 0 to 1 become bytes.

    `format` is Pillow's, found by the file's name unless given; what else is given `make_grid`
    takes. Needs pillow, of the extra `examples`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.utils.save_image.html
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("save_image needs pillow: pip install minitorch-cnn[examples]") from error
    grid = make_grid(tensor, **kwargs)
    pixels = (grid * 255 + 0.5).clamp(0, 255).permute(1, 2, 0).to(uint8)
    Image.fromarray(pixels.contiguous().numpy()).save(fp, format=format)
