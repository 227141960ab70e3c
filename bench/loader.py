"""Walks through images in memory, batch by batch: what they cost whoever trains with them.

    python -m bench.loader [--batches 4 128] [--workers 0 2] [--quick]

As many images of 32 x 32 pixels as `--images` says, shuffled, in a dataset as those of `vision`
and, for PyTorch, in one whose samples are transformed by torchvision's formulas on tensors, the
data being in memory in both. A call is a walk through all of them, so that batches which workers
made ahead count too; workers stay from walk to walk. What both hand out last must agree before a
time is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minitorch_cnn
from minitorch_cnn.vision import datasets, transforms

from . import harness
from .harness import Comparison

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


class Images(datasets.VisionDataset):
    """Random images as those of CIFAR-10."""

    def __init__(self, count: int, transform: Any = None) -> None:
        super().__init__("memory", transform)
        rng = np.random.default_rng(0)
        self.data = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.targets = rng.integers(0, 10, count)


class Samples:
    """The same images for PyTorch: a dataset that transforms one at a time."""

    def __init__(self, torch: Any, images: Images, augmented: bool) -> None:
        self.torch, self.augmented = torch, augmented
        self.images = torch.from_numpy(images.data)
        self.targets = images.targets.tolist()
        self.mean, self.std = (torch.tensor(t).view(3, 1, 1) for t in (MEAN, STD))

    def __getitem__(self, index: int) -> Any:
        torch = self.torch
        image = self.images[index].permute(2, 0, 1)
        if self.augmented:
            image = torch.nn.functional.pad(image, (4, 4, 4, 4))
            top, left = torch.randint(9, (2,)).tolist()
            image = image[:, top : top + 32, left : left + 32]
            if torch.rand(()) < 0.5:
                image = image.flip(-1)
        return (image.float().div(255) - self.mean) / self.std, self.targets[index]

    def __len__(self) -> int:
        return len(self.targets)


def pipeline(augmented: bool) -> transforms.Compose:
    """The usual transforms, with or without those that are random."""
    random = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    fixed = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose([*random, *fixed] if augmented else fixed)


def walk(loader: Any) -> Callable[[], Any]:
    """A function that takes all batches; it returns the last."""

    def through() -> Any:
        batch = None
        for batch in loader:  # noqa: B007
            pass
        return batch

    return through


def comparison(images: Images, batch: int, workers: int, augmented: bool) -> Comparison:
    """Walks through the same images."""

    def loader(torch: Any, shuffle: bool = True) -> Any:
        ours = torch is minitorch_cnn
        images.transform = None
        dataset: Any = Images(len(images), pipeline(augmented)) if ours else None
        if not ours:
            dataset = Samples(torch, images, augmented)
        kind = torch.utils.data.DataLoader
        return kind(dataset, batch, shuffle, num_workers=workers, persistent_workers=workers > 0)

    def agree(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
        if augmented:  # by other random numbers
            return
        walks = [walk(loader(torch, shuffle=False)) for torch in (minitorch_cnn, harness.pytorch)]
        harness.agree(*walks)

    kind = "crop, flip, convert" if augmented else "convert"
    return Comparison(
        f"{kind}, {-(-len(images) // batch)} batches of {batch}",
        lambda torch: walk(loader(torch)),
        group=f"{workers} workers",
        check=agree,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Time the walks and print a table."""
    options = harness.parser(__doc__)
    options.add_argument("--batches", type=int, nargs="+", default=[4, 128])
    options.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    options.add_argument("--images", type=int, default=4000)
    args = options.parse_args(argv)
    images = Images(min(args.images, 512) if args.quick else args.images)
    harness.report(
        [
            comparison(images, batch, workers, augmented)
            for workers in args.workers
            for augmented in (False, True)
            for batch in args.batches
        ],
        args,
    )


if __name__ == "__main__":
    main()
