"""Transforms of colours."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from ...utils.data import SampleStreams
from . import functional as F
from .transform import OneByOne

__all__ = ["ColorJitter", "Grayscale", "RandomGrayscale"]


class ColorJitter(OneByOne):
    """Changes brightness, contrast, saturation and hue at random, in a random order.

    Each is a number or an interval: of factors from 1 - x to 1 + x, for the hue of full circles
    from -x to x. What is 0 is left alone.

    Raises ValueError for negative numbers, and intervals beyond 0 or, for the hue, 0.5.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ColorJitter.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.ColorJitter(brightness=(0.5, 0.5))(np.full((1, 1, 3), 100, np.uint8))
    array([[[50, 50, 50]]], dtype=uint8)
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        self.brightness = F.span("brightness", brightness, 1, 0, inf)
        self.contrast = F.span("contrast", contrast, 1, 0, inf)
        self.saturation = F.span("saturation", saturation, 1, 0, inf)
        self.hue = F.span("hue", hue, 0, -0.5, 0.5)

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        return [streams.uniform() for _ in range(8)]

    def transform(self, image: Any, *numbers: Any) -> Any:
        changes = [
            (self.brightness, F.adjust_brightness),
            (self.contrast, F.adjust_contrast),
            (self.saturation, F.adjust_saturation),
            (self.hue, F.adjust_hue),
        ]
        for i in np.argsort(numbers[:4], kind="stable").tolist():
            ends, change = changes[i]
            if ends is not None:
                image = change(image, float(ends[0] + (ends[1] - ends[0]) * numbers[4 + i]))
        return image

    def __repr__(self) -> str:
        return (
            f"ColorJitter(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class Grayscale(OneByOne):
    """Makes the image grey, in one channel or in three that are equal.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Grayscale.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.Grayscale()(np.array([[[255, 0, 0]]], np.uint8))
    array([[[76]]], dtype=uint8)
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(
                f"num_output_channels should be either 1 or 3, not {num_output_channels}"
            )
        self.num_output_channels = num_output_channels

    def transform(self, image: Any) -> Any:
        return F.rgb_to_grayscale(image, self.num_output_channels)

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class RandomGrayscale(OneByOne):
    """Makes the image grey with probability `p`, in as many channels as it has.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomGrayscale.html
    """

    def __init__(self, p: float = 0.1) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomGrayscale: p should be between 0 and 1, not {p}")
        self.p = p

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        return (streams.uniform() < self.p,)

    def transform(self, image: Any, chosen: Any) -> Any:
        channels = F.get_image_num_channels(image)
        return F.rgb_to_grayscale(image, channels) if chosen else image

    def __repr__(self) -> str:
        return f"RandomGrayscale(p={self.p})"
