"""MNIST and what followed it, from idx files."""

from __future__ import annotations

import gzip
import string
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ... import from_numpy
from .download import fetch
from .vision import VisionDataset

_UINT8 = 8  # the idx format's number for unsigned bytes


class MNIST(VisionDataset):
    """70,000 handwritten digits of 28x28 grey pixels, 10,000 of them for testing.

    Reads the idx files, plain or as .gz, from `ROOT/MNIST/raw/` (torchvision's place), `ROOT` or
    `ROOT/mnist`; `download=True` puts what is missing into the first. `data` is a uint8 tensor (n,
    28, 28), `targets` an int64 tensor.

    Raises RuntimeError where files are missing, damaged or cannot be downloaded.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits",
    http://yann.lecun.com/exdb/mnist/. Arguments as in
    https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.MNIST.html

    >>> from minitorch_cnn.vision import datasets
    >>> test = datasets.MNIST("data", train=False, download=True)  # doctest: +SKIP
    >>> test[0][0].shape  # doctest: +SKIP
    (28, 28)
    """

    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    resources: tuple[tuple[str, str], ...] = (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
    classes: ClassVar[list[str]] = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]
    folder = "mnist"

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
        prefix = self._prefix(train)
        images_at = self._locate(f"{prefix}-images-idx3-ubyte")
        labels_at = self._locate(f"{prefix}-labels-idx1-ubyte")
        images, labels = read_idx(images_at, rank=3), read_idx(labels_at, rank=1)
        if len(images) != len(labels):
            raise RuntimeError(
                f"{images_at} holds {len(images)} images, but {labels_at} {len(labels)} labels"
            )
        if labels.max(initial=0) >= len(self.classes):
            raise RuntimeError(
                f"{labels_at} is damaged: expected labels from 0 to {len(self.classes) - 1}, "
                f"found {labels.max()}"
            )
        self.data = from_numpy(images)
        self.targets = from_numpy(labels.astype(np.int64))

    def _prefix(self, train: bool) -> str:
        """How the names of the files begin."""
        return "train" if train else "t10k"

    @property
    def raw_folder(self) -> Path:
        """Where downloads go, and files are looked for first."""
        return self.root / type(self).__name__ / "raw"

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def download(self) -> None:
        """Fetch the files that are not there, from the first mirror that has them."""
        for name, md5 in self.resources:
            if self._find(name.removesuffix(".gz")) is not None:
                continue
            failures = []
            for mirror in self.mirrors:
                try:
                    fetch(mirror + name, self.raw_folder / name, md5)
                    break
                except RuntimeError as error:
                    failures.append(error)
            else:
                raise RuntimeError("\n".join(map(str, failures))) from failures[-1]

    def _find(self, name: str) -> Path | None:
        for folder in (self.raw_folder, self.root, self.root / self.folder):
            for path in (folder / name, folder / f"{name}.gz"):
                if path.is_file():
                    return path
        return None

    def _locate(self, name: str) -> Path:
        path = self._find(name)
        if path is None:
            raise RuntimeError(
                f"Dataset not found: there is no {name}, plain or as .gz, in {self.raw_folder}, "
                f"{self.root} or {self.root / self.folder}. You can use download=True to "
                "download it"
            )
        return path

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """70,000 pieces of clothing of 28x28 grey pixels in ten classes, 10,000 of them for testing.

    Reads the idx files, plain or as .gz, from `ROOT/FashionMNIST/raw/` (torchvision's place),
    `ROOT` or `ROOT/fashion-mnist`. All else as in `MNIST`.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms", 2017, https://github.com/zalandoresearch/fashion-mnist. Arguments
    as in https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.FashionMNIST.html

    >>> from minitorch_cnn.vision import datasets
    >>> datasets.FashionMNIST.classes[9]
    'Ankle boot'
    """

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    )
    classes: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]
    folder = "fashion-mnist"


class KMNIST(MNIST):
    """70,000 cursive Japanese characters of 28x28 grey pixels in ten classes, 10,000 for testing.

    Reads the idx files, plain or as .gz, from `ROOT/KMNIST/raw/` (torchvision's place), `ROOT` or
    `ROOT/kmnist`. All else as in `MNIST`.

    Source: T. Clanuwat et al., "Deep learning for classical Japanese literature", 2018,
    http://codh.rois.ac.jp/kmnist/. Arguments as in
    https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.KMNIST.html

    >>> from minitorch_cnn.vision import datasets
    >>> datasets.KMNIST.classes[1]
    'ki'
    """

    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    )
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    folder = "kmnist"


class EMNIST(MNIST):
    """Handwritten letters and digits of 28x28 grey pixels, in six ways to split them.

    `split` is "byclass" (62 classes), "bymerge" (47: letters that look alike as capitals are one),
    "balanced" (these, equally many of each), "letters" (1 to 26), "digits" or "mnist". Reads the
    idx files, plain or as .gz, from `ROOT/EMNIST/raw/` (torchvision's place), `ROOT` or
    `ROOT/emnist`; `download=True` fetches the archive of all splits, 560 MB, unless `gzip.zip` is
    in the first, and takes this split's files out of it. As in the files, and in torchvision, rows
    and columns of the images are exchanged. All else as in `MNIST`.

    Raises ValueError for another split.

    Source: G. Cohen et al., "EMNIST: an extension of MNIST to handwritten letters", 2017. Arguments
    as in https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.EMNIST.html

    >>> from minitorch_cnn.vision import datasets
    >>> datasets.EMNIST.classes_split_dict["letters"][:3]
    ['N/A', 'a', 'b']
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": sorted(string.digits + string.ascii_letters),
        "bymerge": sorted(set(string.digits + string.ascii_letters) - set("cijklmopsuvwxyz")),
        "balanced": sorted(set(string.digits + string.ascii_letters) - set("cijklmopsuvwxyz")),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }
    folder = "emnist"

    def __init__(self, root: str | Path, split: str, **kwargs: Any) -> None:
        if split not in self.splits:
            raise ValueError(
                f"Unknown value {split!r} for argument split: it is one of {self.splits}"
            )
        self.split = split
        self.classes = self.classes_split_dict[split]  # type: ignore[misc]
        super().__init__(root, **kwargs)

    def _prefix(self, train: bool) -> str:
        return f"emnist-{self.split}-{'train' if train else 'test'}"

    def download(self) -> None:
        """Fetch the archive and take this split's files out of it, unless they are there."""
        names = [
            f"{self._prefix(train)}-{content}-ubyte"
            for train in (True, False)
            for content in ("images-idx3", "labels-idx1")
        ]
        missing = [name for name in names if self._find(name) is None]
        if not missing:
            return
        archive = self.raw_folder / "gzip.zip"
        if not archive.is_file():
            fetch(self.url, archive, self.md5)
        try:
            with zipfile.ZipFile(archive) as content:
                for name in missing:
                    data = content.read(f"gzip/{name}.gz")
                    (self.raw_folder / f"{name}.gz").write_bytes(data)
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise RuntimeError(
                f"the archive {archive} is damaged ({error}): delete it and download it again"
            ) from error


def read_idx(path: Path, rank: int) -> np.ndarray:
    """The uint8 array in an idx file, plain or .gz, that must have this many dimensions.

    The file holds two zero bytes, the element type, the number of dimensions, their sizes as
    big-endian 32-bit numbers, and the elements. Raises RuntimeError for anything else.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RuntimeError(f"{path} is damaged: it does not decompress ({error})") from error
    magic = bytes([0, 0, _UINT8, rank])
    header = len(magic) + 4 * rank
    if len(content) < header or content[: len(magic)] != magic:
        raise RuntimeError(
            f"{path} is damaged: expected an idx header of {header} bytes that begins with "
            f"{magic.hex()}, found {content[: len(magic)].hex() or 'nothing'} "
            f"in a file of {len(content)} bytes"
        )
    shape = np.frombuffer(content, ">u4", rank, len(magic)).astype(np.int64).tolist()
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise RuntimeError(
            f"{path} is damaged: expected {expected} bytes for the shape {tuple(shape)}, "
            f"found {len(content)} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()
