"""Crops, margins and flips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import Tensor, from_numpy
from ...utils.data import SampleStreams
from . import functional as F
from .pixels import PADDING_MODES, PixelBatch
from .transform import ImageTransform, OneByOne, is_pil_image


class RandomCrop(ImageTransform):
    """Cuts a window of the given size out of the image, at a random place.

    Arguments:
    - `size`: (height, width), or one number for a square.
    - `padding`: pixels added at each side first: one number, (left and right, top and bottom) or
      (left, top, right, bottom).
    - `pad_if_needed`: whether an image smaller than the window is padded, on both sides.
    - `fill`: what constant padding holds: a number, or one number a channel.
    - `padding_mode`: "constant", "edge" (the last pixel repeated), "reflect" (mirrored without
      repeating it) or "symmetric" (mirrored with it).

    Arrays and tensors stay what they are. Raises ValueError for a window larger than the padded
    image, and for sizes, paddings and fills that make no sense.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomCrop.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.RandomCrop(32, padding=4)(np.zeros((32, 32, 3), np.uint8)).shape
    (32, 32, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        sizes = (size,) if isinstance(size, int) else tuple(size)
        if len(sizes) not in (1, 2) or min(sizes) < 1:
            raise ValueError(f"RandomCrop: size should be one or two positive numbers, not {size}")
        sides = (padding or 0,) if isinstance(padding, (int, type(None))) else tuple(padding)
        if len(sides) not in (1, 2, 4) or min(sides) < 0:
            raise ValueError(
                f"RandomCrop: padding should be 1, 2 or 4 non-negative numbers, not {padding}"
            )
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"RandomCrop: padding_mode should be one of {PADDING_MODES}, not {padding_mode!r}"
            )
        self.size: tuple[int, int] = (sizes[0], sizes[-1])
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode
        self._sides = sides * (4 // len(sides))  # left, top, right, bottom

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        if not is_pil_image(image):
            return super().apply_one(image, streams)
        height, width = self.size
        if any(self._sides):
            image = F.pad(image, self._sides, self.fill, self.padding_mode)
        if self.pad_if_needed:
            wide, tall = max(0, width - image.width), max(0, height - image.height)
            if wide or tall:
                image = F.pad(image, (wide, tall), self.fill, self.padding_mode)
        spare = image.height - height, image.width - width
        if min(spare) < 0:
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than "
                f"input image size {(image.height, image.width)}"
            )
        top, left = (int(streams.integers(n + 1)[0]) for n in spare) if any(spare) else (0, 0)
        return F.crop(image, top, left, height, width)

    def apply(self, images: Any, streams: SampleStreams) -> Any:
        pixels, rows = _pixels(images)
        height, width = self.size
        pixels = self._pad(pixels, rows, self._sides)
        if self.pad_if_needed:
            wide = max(0, width - pixels.shape[rows + 1])
            tall = max(0, height - pixels.shape[rows])
            pixels = self._pad(pixels, rows, (wide, tall, wide, tall))
        spare_rows = pixels.shape[rows] - height
        spare_columns = pixels.shape[rows + 1] - width
        if spare_rows < 0 or spare_columns < 0:
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than "
                f"input image size {pixels.shape[rows : rows + 2]}"
            )
        if spare_rows or spare_columns:
            pixels = self._cut(pixels, rows, streams, spare_rows, spare_columns)
        return from_numpy(pixels) if isinstance(images, Tensor) else pixels

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        height, width = self.size
        left, top, right, bottom = self._sides
        padded_height, padded_width = batch.height + top + bottom, batch.width + left + right
        if self.pad_if_needed:
            tall, wide = max(0, height - padded_height), max(0, width - padded_width)
            if (
                (tall or wide)
                and any(self._sides)
                and self.padding_mode not in ("constant", "edge")
            ):
                return False  # it mirrors what it has mirrored
            left, top, right, bottom = left + wide, top + tall, right + wide, bottom + tall
            padded_height, padded_width = padded_height + 2 * tall, padded_width + 2 * wide
        spare_rows, spare_columns = padded_height - height, padded_width - width
        if spare_rows < 0 or spare_columns < 0:
            return False
        if not batch.pad((left, top, right, bottom), self.padding_mode, self.fill):
            return False
        if spare_rows or spare_columns:
            tops, lefts = streams.integers(spare_rows + 1), streams.integers(spare_columns + 1)
            batch.crop(tops, lefts, height, width)
        return True

    def _cut(
        self, pixels: np.ndarray, rows: int, streams: SampleStreams, *spare: int
    ) -> np.ndarray:
        height, width = self.size
        shape = (*pixels.shape[:rows], height, width, *pixels.shape[rows + 2 :])
        windows = np.empty(shape, pixels.dtype)
        tops, lefts = (streams.integers(extra + 1).tolist() for extra in spare)
        for window, image, top, left in zip(windows, pixels, tops, lefts, strict=True):
            window[...] = image[_window(rows - 1, top, left, height, width)]
        return windows

    def _pad(self, pixels: np.ndarray, rows: int, sides: Sequence[int]) -> np.ndarray:
        left, top, right, bottom = sides
        if not any(sides):
            return pixels
        around = [(0, 0)] * pixels.ndim
        around[rows : rows + 2] = (top, bottom), (left, right)
        if self.padding_mode != "constant":
            return np.pad(pixels, around, mode=self.padding_mode)  # type: ignore[call-overload]
        height, width = pixels.shape[rows : rows + 2]
        shape = [size + sum(extra) for size, extra in zip(pixels.shape, around, strict=True)]
        padded = np.empty(shape, pixels.dtype)
        padded[...] = self._fill_for(pixels, rows)
        padded[_window(rows, top, left, height, width)] = pixels
        return padded

    def _fill_for(self, pixels: np.ndarray, rows: int) -> np.ndarray:
        """The fill in the images' element type, shaped to be broadcast over the channels."""
        fill = np.asarray(self.fill)
        if pixels.dtype.kind in "ui" and (fill != fill.astype(pixels.dtype)).any():
            raise ValueError(f"RandomCrop: fill {self.fill} does not fit into {pixels.dtype}")
        if fill.ndim == 0:
            return fill
        channels_last = rows == 1
        channels = pixels.shape[-1 if channels_last else rows - 1] if pixels.ndim > 3 else 1
        if fill.shape != (channels,):
            raise ValueError(f"RandomCrop: fill {self.fill} does not fit {channels} channels")
        return fill if channels_last else fill.reshape(-1, 1, 1)

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip(ImageTransform):
    """Mirrors the image, left to right, with probability `p`.

    Arrays and tensors stay what they are. Raises ValueError where `p` is outside 0 and 1.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomHorizontalFlip.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.RandomHorizontalFlip(p=1)(np.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p should be between 0 and 1, not {p}")
        self.p = p

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        if not is_pil_image(image):
            return super().apply_one(image, streams)
        return F.hflip(image) if streams.uniform()[0] < self.p else image

    def apply(self, images: Any, streams: SampleStreams) -> Any:
        pixels, rows = _pixels(images)
        chosen = (streams.uniform() < self.p).reshape(-1, *[1] * (pixels.ndim - 1))
        flipped = np.where(chosen, np.flip(pixels, rows + 1), pixels)
        return from_numpy(flipped) if isinstance(images, Tensor) else flipped

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        batch.flip(streams.uniform() < self.p)
        return True

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class RandomVerticalFlip(OneByOne):
    """Mirrors the image, top to bottom, with probability `p`.

    Raises ValueError where `p` is outside 0 and 1.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomVerticalFlip.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.RandomVerticalFlip(p=1)(np.array([[1], [2]]))
    array([[2],
           [1]])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomVerticalFlip: p should be between 0 and 1, not {p}")
        self.p = p

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        return (streams.uniform() < self.p,)

    def transform(self, image: Any, chosen: Any) -> Any:
        return F.vflip(image) if chosen else image

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        batch.flip(streams.uniform() < self.p, vertically=True)
        return True

    def __repr__(self) -> str:
        return f"RandomVerticalFlip(p={self.p})"


class CenterCrop(OneByOne):
    """Cuts the middle out of the image; to one that is smaller zeros are added first.

    `size` is (height, width), or one number for a square.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.CenterCrop(1)(np.arange(9).reshape(3, 3))
    array([[4]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = F.two("size", size)

    def transform(self, image: Any) -> Any:
        return F.center_crop(image, self.size)

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        height, width = self.size
        down, right = batch.height - height, batch.width - width
        if down < 0 or right < 0:
            return False
        batch.crop(round(down / 2.0), round(right / 2.0), height, width)
        return True

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class Pad(OneByOne):
    """Adds margins: one width, (left and right, top and bottom) or (left, top, right, bottom).

    `fill` is a number, or one a channel, of constant margins; the other modes of padding are those
    of `RandomCrop`. Negative widths cut.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Pad.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.Pad((1, 0))(np.array([[5]]))
    array([[0, 5, 0]])
    """

    def __init__(
        self,
        padding: int | Sequence[int],
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        self._sides = F.four("padding", padding)
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"Pad: padding_mode should be one of {PADDING_MODES}, not {padding_mode!r}"
            )
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def transform(self, image: Any) -> Any:
        return F.pad(image, self._sides, self.fill, self.padding_mode)

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        if min(self._sides) < 0:
            return False
        return batch.pad(self._sides, self.padding_mode, self.fill)

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class FiveCrop(OneByOne):
    """Cuts the four corners and the middle out of the image: a tuple of five images.

    `size` is (height, width), or one number for a square. Raises ValueError for images that are
    smaller.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.FiveCrop.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> [int(crop[0, 0]) for crop in transforms.FiveCrop(1)(np.arange(9).reshape(3, 3))]
    [0, 2, 6, 8, 4]
    """

    batchable = False

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = F.two("size", size)

    def transform(self, image: Any) -> Any:
        return F.five_crop(image, self.size)

    def __repr__(self) -> str:
        return f"FiveCrop(size={self.size})"


def _window(rows: int, top: int, left: int, height: int, width: int) -> tuple[slice, ...]:
    """The index of a window, in arrays whose dimension `rows` holds the rows."""
    return (slice(None),) * rows + (slice(top, top + height), slice(left, left + width))


def _pixels(images: Any) -> tuple[np.ndarray, int]:
    """The numbers of a batch, and which dimension holds the rows: the columns come next."""
    if isinstance(images, Tensor):
        return images.numpy(), images.ndim - 2
    return images, 1
