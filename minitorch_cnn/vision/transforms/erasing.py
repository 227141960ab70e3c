"""Random erasing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import Generator, Tensor, randn, tensor
from ...utils.data import SampleStreams
from . import functional as F
from .resample import TRIES
from .transform import OneByOne

__all__ = ["RandomErasing"]


class RandomErasing(OneByOne):
    """Erases a window of a tensor, with probability `p`.

    Its area is a share of the image's from the interval `scale`; its height over its width is drawn
    from `ratio`, evenly in its logarithm. What does not fit is drawn again, up to ten times; then
    the image is left alone. `value` fills it: a number, one a channel, or "random" for normal
    numbers. `inplace` overwrites the tensor.

    Raises TypeError for anything but a tensor; ValueError for intervals that make no sense, and
    another number of values than channels.

    From Zhong et al., Random erasing data augmentation (2017). See
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomErasing.html

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import transforms
    >>> erased = transforms.RandomErasing(p=1)(torch.ones(3, 16, 16))
    >>> bool((erased == 0).any())
    True
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        if isinstance(value, str) and value != "random":
            raise ValueError(f"If value is str, it should be 'random', not {value!r}")
        if not isinstance(value, (int, float, str, tuple, list)):
            raise TypeError(f"value should be a number, 'random' or a sequence, not {value!r}")
        if len(scale) != 2 or not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"Scale should be two numbers between 0 and 1, not {scale}")
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"ratio should be two positive numbers in order, not {ratio}")
        if not 0 <= p <= 1:
            raise ValueError(f"Random erasing probability should be between 0 and 1, not {p}")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        chosen = streams.uniform() < self.p
        return [chosen, streams.integers(2**31), *[streams.uniform() for _ in range(2 * TRIES + 2)]]

    def transform(self, image: Any, chosen: Any, seed: Any, *numbers: Any) -> Tensor:
        if not isinstance(image, Tensor):
            raise TypeError(f"RandomErasing: image should be a Tensor. Got {type(image)}")
        channels, height, width = F.get_dimensions(image)
        values = () if isinstance(self.value, (int, float, str)) else tuple(self.value)
        if values and len(values) not in (1, channels):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{channels} (number of input channels), not {len(values)}"
            )
        window = self._window(height, width, numbers) if chosen else None
        if window is None:
            return image
        top, left, h, w = window
        value: Any = self.value
        if value == "random":
            shape = (*image.shape[:-2], h, w)
            value = randn(*shape, dtype=image.dtype, generator=Generator().manual_seed(int(seed)))
        elif values:
            value = tensor(values, dtype=image.dtype).reshape(-1, 1, 1)
        return F.erase(image, top, left, h, w, value, self.inplace)

    def _window(
        self, height: int, width: int, numbers: Sequence[float]
    ) -> tuple[int, int, int, int] | None:
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for share, shape in zip(numbers[0:-2:2], numbers[1:-2:2], strict=True):
            area = height * width * (self.scale[0] + (self.scale[1] - self.scale[0]) * share)
            ratio = math.exp(low + (high - low) * shape)
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if h < height and w < width:
                top, left = int(numbers[-2] * (height - h + 1)), int(numbers[-1] * (width - w + 1))
                return top, left, h, w
        return None

    def __repr__(self) -> str:
        return (
            f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
