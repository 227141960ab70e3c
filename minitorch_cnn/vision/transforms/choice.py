"""Transforms that choose among others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...utils.data import SampleStreams
from .transform import ImageTransform

__all__ = ["RandomApply", "RandomChoice", "RandomOrder"]


class _OfOthers(ImageTransform):
    """What they share. A batch goes image by image: its images go different ways."""

    batchable = False

    def __init__(self, transforms: Sequence[Any]) -> None:
        if isinstance(transforms, (str, bytes)) or not hasattr(transforms, "__len__"):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def _in_order(self, order: Any, image: Any, streams: SampleStreams) -> Any:
        for i in order:
            t = self.transforms[i]
            image = t.apply_one(image, streams) if isinstance(t, ImageTransform) else t(image)
        return image

    def _lines(self, *first: str) -> str:
        lines = [*first, *[f"    {t}" for t in self.transforms]]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    def __repr__(self) -> str:
        return self._lines()


class RandomApply(_OfOthers):
    """Applies all of the transforms with probability `p`, or none.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomApply.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> flip = transforms.RandomHorizontalFlip(p=1)
    >>> transforms.RandomApply([flip], p=1)(np.array([[1, 2]]))
    array([[2, 1]])
    """

    def __init__(self, transforms: Sequence[Any], p: float = 0.5) -> None:
        super().__init__(transforms)
        if not 0 <= p <= 1:
            raise ValueError(f"RandomApply: p should be between 0 and 1, not {p}")
        self.p = p

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        if streams.uniform()[0] >= self.p:
            return image
        return self._in_order(range(len(self.transforms)), image, streams)

    def __repr__(self) -> str:
        return self._lines(f"    p={self.p}")


class RandomChoice(_OfOthers):
    """Applies one of the transforms, each as often as another or by the weights `p`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomChoice.html
    """

    def __init__(self, transforms: Sequence[Any], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"p should have {len(transforms)} weights, not {len(p)}")
        self.p = p

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        ends = np.cumsum([1.0] * len(self.transforms) if self.p is None else self.p)
        i = np.searchsorted(ends, streams.uniform()[0] * ends[-1], "right")
        return self._in_order([min(int(i), len(ends) - 1)], image, streams)

    def __repr__(self) -> str:
        return self._lines() + f"(p={self.p})"


class RandomOrder(_OfOthers):
    """Applies the transforms in a random order.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomOrder.html
    """

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        numbers = [streams.uniform()[0] for _ in self.transforms]
        return self._in_order(np.argsort(numbers, kind="stable").tolist(), image, streams)
