"""CIFAR-10 and CIFAR-100, from their binary files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .download import fetch, unpack
from .vision import VisionDataset

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE  # the red, green and blue planes; labels stand before them


class CIFAR10(VisionDataset):
    """60,000 colour images of 32x32 pixels in ten classes, 10,000 of them for testing.

    Reads the *binary version*, `ROOT/cifar-10-batches-bin/`, because the Python version would have
    to be unpickled. `download=True` fetches and unpacks what is missing; an archive that lies in
    `root` already is unpacked as it is. `data` is a uint8 array (n, 32, 32, 3), `targets` a list.

    Raises RuntimeError where files are missing, damaged or cannot be downloaded.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html. Arguments as in
    https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR10.html

    >>> from minitorch_cnn.vision import datasets
    >>> train = datasets.CIFAR10("data", download=True)  # doctest: +SKIP
    >>> train[0][0].shape  # doctest: +SKIP
    (32, 32, 3)
    """

    base_folder = "cifar-10-batches-bin"
    filename = "cifar-10-binary.tar.gz"
    url = f"https://www.cs.toronto.edu/~kriz/{filename}"
    tgz_md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    train_list: tuple[str, ...] = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
    test_list: tuple[str, ...] = ("test_batch.bin",)
    meta = "batches.meta.txt"
    labels: tuple[int, ...] = (10,)
    """How many classes each label of a record knows; the last one is the target."""

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train = train
        if download:
            self.download()
        folder = self.root / self.base_folder
        names = self.train_list if train else self.test_list
        missing = [name for name in (*names, self.meta) if not (folder / name).is_file()]
        if missing:
            raise RuntimeError(
                f"Dataset not found: {folder} lacks {missing}. You can use download=True to "
                f"download it, or unpack {self.url} in {self.root}"
            )
        self.classes = (folder / self.meta).read_text().split()
        if len(self.classes) != self.labels[-1]:
            raise RuntimeError(
                f"{folder / self.meta} should hold the names of {self.labels[-1]} classes, "
                f"found {len(self.classes)}"
            )
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        files = [folder / name for name in names]
        total = sum([file.stat().st_size for file in files]) // (len(self.labels) + _PIXELS)
        self.data: np.ndarray = np.empty((total, _SIDE, _SIDE, 3), np.uint8)
        self.targets: list[int] = []
        for file in files:
            records = _read_records(file, self.labels)
            start = len(self.targets)
            self.targets += records[:, len(self.labels) - 1].tolist()
            _put_channels_last(
                records[:, len(self.labels) :], self.data[start : start + len(records)]
            )

    def download(self) -> None:
        """Fetch the archive and unpack it, unless the files are there."""
        folder, archive = self.root / self.base_folder, self.root / self.filename
        names = (*self.train_list, *self.test_list, self.meta)
        if all((folder / name).is_file() for name in names):
            return
        if not archive.is_file():
            fetch(self.url, archive, self.tgz_md5)
        unpack(archive, folder, names)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """60,000 colour images of 32x32 pixels in a hundred classes, 10,000 of them for testing.

    Reads the *binary version*, `ROOT/cifar-100-binary/`. The targets are the fine labels, as in
    torchvision. All else as in `CIFAR10`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR100.html

    >>> from minitorch_cnn.vision import datasets
    >>> train = datasets.CIFAR100("data", download=True)  # doctest: +SKIP
    """

    base_folder = "cifar-100-binary"
    filename = "cifar-100-binary.tar.gz"
    url = f"https://www.cs.toronto.edu/~kriz/{filename}"
    tgz_md5 = "03b5dce01913d631647c71ecec9e9cb8"
    train_list = ("train.bin",)
    test_list = ("test.bin",)
    meta = "fine_label_names.txt"
    labels = (20, 100)


def _put_channels_last(planes: np.ndarray, images: np.ndarray) -> None:
    """Images (n, height, width, 3) of rows of planes, some at a time: these stay in the cache."""
    few = 64
    for i in range(0, len(images), few):
        given = planes[i : i + few].reshape(-1, 3, _SIDE**2)
        wanted = images[i : i + few].reshape(-1, _SIDE**2, 3)
        for channel in range(3):
            wanted[:, :, channel] = given[:, channel]


def _read_records(path: Path, labels: tuple[int, ...]) -> np.ndarray:
    content = np.fromfile(path, np.uint8)
    record = len(labels) + _PIXELS
    if content.size == 0 or content.size % record:
        raise RuntimeError(
            f"{path} is damaged: expected records of {record} bytes, {10_000 * record} bytes in "
            f"10,000 images, found {content.size} bytes"
        )
    records = content.reshape(-1, record)
    for place, classes in enumerate(labels):
        column = records[:, place]
        if column.max() >= classes:
            number = int((column >= classes).argmax())
            raise RuntimeError(
                f"{path} is damaged: expected labels from 0 to {classes - 1}, "
                f"found {column[number]} in record {number}"
            )
    return records
