"""Datasets of files in folders, one for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .vision import VisionDataset

__all__ = ["IMG_EXTENSIONS", "DatasetFolder", "ImageFolder", "default_loader"]

IMG_EXTENSIONS = (
    ".jpg",
    ".jpeg",
    ".png",
    ".ppm",
    ".bmp",
    ".pgm",
    ".tif",
    ".tiff",
    ".webp",
)


def default_loader(path: str | Path) -> Any:
    """The image in a file, as a PIL image of mode RGB."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("image files need pillow: pip install minitorch-cnn[examples]") from error
    with open(path, "rb") as file:  # closed at once, not when the image is collected
        return Image.open(file).convert("RGB")


class DatasetFolder(VisionDataset):
    """Files in `ROOT/CLASS/`, in folders of any depth: a sample is (loader(path), class number).

    Arguments: `loader` reads a file; `extensions` says which files count, or `is_valid_file(path)`
    does; `allow_empty` lets classes have no files. `samples` is the list of (path, class number),
    in order; `classes` are the folders' names in order, `class_to_idx` their numbers.

    Raises FileNotFoundError where there is no class, or none of a class's files count; ValueError
    unless there is one of `extensions` and `is_valid_file`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.DatasetFolder.html
    """

    def __init__(
        self,
        root: str | Path,
        loader: Callable[[str], Any],
        extensions: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError(
                "Both extensions and is_valid_file cannot be None or not None at the same time"
            )
        self.loader = loader
        self.extensions = extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self._find_samples(is_valid_file, allow_empty)
        self.targets = [number for _, number in self.samples]

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """The names of the classes and their numbers."""
        classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        if not classes:
            raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
        return classes, {name: number for number, name in enumerate(classes)}

    def _find_samples(
        self, is_valid_file: Callable[[str], bool] | None, allow_empty: bool
    ) -> list[tuple[str, int]]:
        endings = tuple(ending.lower() for ending in self.extensions or ())
        counts = is_valid_file or (lambda path: path.lower().endswith(endings))
        samples, empty = [], []
        for name in sorted(self.class_to_idx):
            found = [
                os.path.join(folder, file)
                for folder, _, files in sorted(os.walk(self.root / name, followlinks=True))
                for file in sorted(files)
            ]
            valid = [path for path in found if counts(path)]
            samples += [(path, self.class_to_idx[name]) for path in valid]
            if not valid:
                empty.append(name)
        if empty and not allow_empty:
            text = f"Found no valid file for the classes {', '.join(empty)}."
            if self.extensions is not None:
                text += f" Supported extensions are: {', '.join(self.extensions)}"
            raise FileNotFoundError(text)
        return samples

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return sample, target

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Image files in `ROOT/CLASS/`: a sample is (PIL image of mode RGB, class number).

    Needs pillow, of the extra `examples`. All else as in `DatasetFolder`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html

    >>> from minitorch_cnn.vision import datasets, transforms
    >>> train = datasets.ImageFolder("pictures", transforms.ToTensor())  # doctest: +SKIP
    """

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(
            root,
            loader,
            None if is_valid_file is not None else IMG_EXTENSIONS,
            transform,
            target_transform,
            is_valid_file,
            allow_empty,
        )
        self.imgs = self.samples
