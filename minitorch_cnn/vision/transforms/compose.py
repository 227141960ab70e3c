"""Transforms made of others, and of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...utils.data import SampleStreams
from .pixels import PixelBatch
from .transform import ImageTransform


def apply_all(transforms: Iterable[Any], images: Any, streams: SampleStreams) -> Any:
    """A batch, or one that is still to be made, transformed by one after the other.

    What a batch to be made can note costs nothing until one kernel makes it.
    """
    for t in transforms:
        if isinstance(t, Compose):
            images = t.apply(images, streams)
            continue
        ours = isinstance(t, ImageTransform)
        if isinstance(images, PixelBatch):
            if ours and t.note(images, streams):
                continue
            images = images.array()
        images = t.apply(images, streams) if ours else t.batch(images)
    return images


class Compose(ImageTransform):
    """Applies transforms one after the other.

    A batch goes through each of them as a whole where all can take one, and image by image where
    one cannot. Members from elsewhere are functions of one image; such a function can take a batch
    if it has a method `batch`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Compose.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> to_input = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    >>> to_input(np.zeros((32, 32, 3), np.uint8)).shape
    torch.Size([3, 32, 32])
    >>> to_input.batch(np.zeros((4, 32, 32, 3), np.uint8)).shape
    torch.Size([4, 3, 32, 32])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    @property
    def batchable(self) -> bool:  # type: ignore[override]
        return all(
            getattr(t, "batchable", callable(getattr(t, "batch", None))) for t in self.transforms
        )

    @property
    def known(self) -> bool:  # type: ignore[override]
        return all(isinstance(t, ImageTransform) and t.known for t in self.transforms)

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        for t in self.transforms:
            image = t.apply_one(image, streams) if isinstance(t, ImageTransform) else t(image)
        return image

    def batch(self, images: Any) -> Any:
        """Every image of a batch transformed, as one batch."""
        bytes_ = isinstance(images, np.ndarray) and images.dtype == np.uint8
        if bytes_ and images.ndim in (3, 4) and self.batchable and self.transforms:
            images = PixelBatch(images, np.arange(len(images)))
            images = self.apply(images, SampleStreams(len(images)))
            return images.array() if isinstance(images, PixelBatch) else images
        return super().batch(images)

    def apply(self, images: Any, streams: SampleStreams) -> Any:
        return apply_all(self.transforms, images, streams)

    def __repr__(self) -> str:
        lines = [f"    {t}" for t in self.transforms]
        return "\n".join(["Compose(", *lines, ")"])


class Lambda(ImageTransform):
    """Applies a function to an image; to a batch, image by image.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Lambda.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.Lambda(lambda image: image // 2)(np.array([[100, 200]]))
    array([[ 50, 100]])
    """

    batchable = False

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        return self.lambd(image)
