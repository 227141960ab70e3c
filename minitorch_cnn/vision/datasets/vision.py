"""What the image datasets share: pixels and labels in memory, transformed as they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ... import Tensor, int64
from ...device import cpu
from ...tensor import wrap
from ...utils.data import Dataset, SampleStreams, default_collate, default_convert
from ..transforms.compose import apply_all
from ..transforms.pixels import PixelBatch
from ..transforms.transform import ImageTransform


class VisionDataset(Dataset[tuple[Any, Any]]):
    """Base class of the image datasets: `data` holds the pixels, `targets` the labels.

    `data` is a uint8 array or tensor with one image a row, `targets` a list or tensor of class
    numbers. A sample is (image, label): the image is a uint8 array (height, width) or (height,
    width, channels) of its own, where torchvision has a PIL image, and goes through `transform`;
    the label is an int and goes through `target_transform`. Where the transform has a method
    `batch`, as those of `vision.transforms` do, a loader gets whole batches.

    >>> import numpy as np
    >>> from minitorch_cnn.vision.datasets import VisionDataset
    >>> class Stripes(VisionDataset):
    ...     data, targets = np.eye(3, dtype=np.uint8)[:, None], [2, 1, 0]
    >>> Stripes("nowhere")[0]
    (array([[1, 0, 0]], dtype=uint8), 2)
    """

    steady = True
    data: Any
    targets: Any

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.root = Path(root).expanduser()
        self.transform = transform
        self.target_transform = target_transform

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = np.asarray(self.data)[index].copy(), int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def get_batch(self, indices: np.ndarray) -> list[Any]:
        """The batch that `default_collate` makes of these samples."""
        transform, data = self.transform, self.data
        if isinstance(data, Tensor):
            data = data.numpy()
        if self._transforms_batches and data.dtype == np.uint8 and data.ndim in (3, 4):
            batch = PixelBatch(data, indices)
            images = apply_all([transform], batch, SampleStreams(len(indices)))
            images = images.array() if images is batch else images
        elif transform is None:
            images = data[indices]
        elif getattr(transform, "batchable", True) and hasattr(transform, "batch"):
            images = transform.batch(data[indices])
        else:
            return default_collate([self[index] for index in indices.tolist()])
        if not isinstance(images, Tensor):
            images = default_convert(images)
        targets: Any = self._targets_at(indices)
        if self.target_transform is None:
            return [images, wrap(targets, int64, cpu)]
        targets = [self.target_transform(target) for target in targets.tolist()]
        return [images, default_collate(targets)]

    @property
    def _transforms_batches(self) -> bool:
        return isinstance(self.transform, ImageTransform) and self.transform.batchable

    @property
    def joinable(self) -> bool:  # type: ignore[override]
        """Whether batches can be made at once, as one to be cut; not with transforms of unknown
        kinds, which may do to a batch what they like."""
        if isinstance(self.transform, ImageTransform):
            return self.transform.batchable and self.transform.known
        return self.transform is None

    def _targets_at(self, indices: np.ndarray) -> np.ndarray:
        targets = self.targets
        if isinstance(targets, Tensor):
            targets = targets.numpy()
        if isinstance(targets, np.ndarray):
            return targets[indices].astype(np.int64)
        return np.array([*map(targets.__getitem__, indices.tolist())], np.int64)

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Lines that a subclass adds to the printed form."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"Number of datapoints: {len(self)}",
            f"Root location: {self.root}",
            *self.extra_repr().splitlines(),
        ]
        if self.transform is not None or self.target_transform is not None:
            lines.append("StandardTransform")
        text = "\n    ".join([f"Dataset {type(self).__name__}", *lines])
        for name, t in ("Transform", self.transform), ("Target transform", self.target_transform):
            if t is not None:
                text += f"\n{name}: " + repr(t).replace("\n", "\n" + " " * len(f"{name}: "))
        return text
