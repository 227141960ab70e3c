"""Images of noise, to try things with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import Generator, randint, uint8
from .vision import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` images of noise with labels at random, the same at each look.

    `image_size` is (channels, height, width). A sample is (image, label), the image a uint8 array
    (height, width, channels), where torchvision has a PIL image, of evenly distributed bytes.
    `random_offset` changes the noise.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.FakeData.html

    >>> from minitorch_cnn.vision import datasets
    >>> image, label = datasets.FakeData(size=10, image_size=(3, 4, 5))[0]
    >>> image.shape
    (4, 5, 3)
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__("", transform, target_transform)
        self.size = size
        self.image_size = image_size
        self.num_classes = num_classes
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{type(self).__name__} index {index} out of range for {len(self)}")
        generator = Generator().manual_seed(index % len(self) + self.random_offset)
        channels, height, width = self.image_size
        pixels = randint(256, (height, width, channels), dtype=uint8, generator=generator)
        target: Any = int(randint(self.num_classes, (1,), generator=generator).item())
        image = pixels.numpy()
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return self.size
