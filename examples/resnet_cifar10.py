"""ResNet-20 learns the ten classes of CIFAR-10, as in the paper on residual networks.

SGD with momentum on randomly cropped and flipped images, the learning rate falling along a cosine.
Prints loss, accuracy on the test images and time of every epoch, and saves a checkpoint after
each, from which --resume goes on as if nothing had stopped it.

    python examples/resnet_cifar10.py --root data --download
    python examples/resnet_cifar10.py --root data --resume out/resnet_cifar10.pt

A recipe for few epochs:

    python examples/resnet_cifar10.py --root data --epochs 30 --schedule linear --lr 0.2 \\
        --nesterov --weight-decay 5e-4 --muon 0.02 --muon-decay 0.05 --label-smoothing 0.1 \\
        --padding-mode reflect --alternate --mirror
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from evaluation import predict
from tqdm import tqdm

import minitorch_cnn as torch
from minitorch_cnn import nn, optim
from minitorch_cnn.nn import functional as F
from minitorch_cnn.utils.data import DataLoader, Subset
from minitorch_cnn.vision import datasets, models, transforms

# The means and standard deviations of the training images' channels.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
TO_INPUT = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]


class TrainingImages:
    """The training images, changed in every epoch anew."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.dataset = datasets.CIFAR10(options.root, True, download=options.download)
        self.originals = self.dataset.data
        self.chosen = range(len(self.dataset))[: options.limit]

    def batches(self, epoch: int) -> DataLoader:
        """The batches of an epoch, counted from 1."""
        options = self.options
        crop = transforms.RandomCrop(32, options.padding, padding_mode=options.padding_mode)
        changes: list[object] = [crop]
        if options.alternate:
            self.dataset.data = half_mirrored(self.originals, epoch % 2)
        else:
            changes.append(transforms.RandomHorizontalFlip())
        self.dataset.transform = transforms.Compose(changes + TO_INPUT)
        images = Subset(self.dataset, self.chosen)
        return DataLoader(images, options.batch_size, shuffle=True, num_workers=2)


def half_mirrored(images: np.ndarray, first: int) -> np.ndarray:
    """A copy of images `(n, h, w, c)` in which every other one, from `first`, is mirrored."""
    copy = images.copy()
    copy[first::2] = images[first::2, :, ::-1]
    return copy


def test_batches(options: argparse.Namespace) -> DataLoader:
    """Batches of the test images as they are."""
    dataset = datasets.CIFAR10(options.root, False, transforms.Compose(TO_INPUT))
    images = Subset(dataset, range(len(dataset))[: options.limit])
    return DataLoader(images, options.batch_size, num_workers=2)


class Enlarged:
    """A loader's batches with images of `size` rows and columns: a network sees more in them."""

    def __init__(self, loader: DataLoader | CutOut, size: int) -> None:
        self.loader = loader
        self.size = (size, size)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in self.loader:
            yield F.interpolate(images, self.size, mode="bilinear"), labels


class CutOut:
    """A loader's batches with a square of the mean colour somewhere in each image, at its edge a
    part of one: a network has to look at more than one thing.

    Source: T. DeVries, G. Taylor, "Improved regularization of convolutional neural networks with
    cutout", arXiv:1708.04552, 2017.
    """

    def __init__(self, loader: DataLoader, side: int) -> None:
        self.loader, self.side = loader, side

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in self.loader:
            pixels, side = images.numpy(), self.side
            ends = torch.randint(1, pixels.shape[-1] + side, (len(pixels), 2)).tolist()
            for image, (row, column) in zip(pixels, ends, strict=True):
                image[:, max(row - side, 0) : row, max(column - side, 0) : column] = 0
            yield images, labels


def optimizers(model: nn.Module, options: argparse.Namespace) -> list[optim.Optimizer]:
    """What updates a model's parameters: SGD, or Muon for the filters and SGD for the others."""
    parameters = list(model.parameters())
    found: list[optim.Optimizer] = []
    if options.muon:
        filters = [p for p in parameters if p.ndim == 4]
        parameters = [p for p in parameters if p.ndim != 4]
        found.append(optim.Muon(filters, options.muon, options.muon_decay, momentum=0.9))
    sgd = optim.SGD(
        parameters,
        lr=options.lr,
        momentum=0.9,
        weight_decay=options.weight_decay,
        nesterov=options.nesterov,
    )
    return [*found, sgd]


def schedule(
    optimizer: optim.Optimizer, options: argparse.Namespace, steps: int
) -> optim.lr_scheduler.LRScheduler:
    """What moves the learning rate in each of so many steps, to 0 in the end."""
    if options.schedule == "cosine":
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return optim.lr_scheduler.OneCycleLR(
        optimizer,
        optimizer.defaults["lr"],
        steps,
        pct_start=0.1,
        anneal_strategy="linear",
        cycle_momentum=False,
    )


class Training:
    """A model with what trains it: all that a checkpoint holds."""

    def __init__(self, options: argparse.Namespace, images: int) -> None:
        self.epoch = 0
        self.model = models.resnet20()
        self.criterion = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
        self.optimizers = optimizers(self.model, options)
        steps = options.epochs * -(-images // options.batch_size)
        self.schedulers = [schedule(optimizer, options, steps) for optimizer in self.optimizers]

    @torch.compile  # its launches are recorded once and repeated
    def step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One step on a batch; returns the loss."""
        self.model.zero_grad()
        loss = self.criterion(self.model(images), labels)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def run_epoch(self, loader: DataLoader | CutOut | Enlarged) -> float:
        """Train on all batches once; returns their mean loss."""
        self.epoch += 1
        self.model.train()
        losses = []
        for images, labels in tqdm(loader, f"Epoch {self.epoch}", disable=None, leave=False):
            losses.append(self.step(images, labels).item())
            for scheduler in self.schedulers:
                scheduler.step()
        return float(np.mean(losses))

    def save(self, path: Path) -> None:
        """Write a checkpoint, in place of an older one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "random": torch.get_rng_state(),
        }
        torch.save(state, path)

    def load(self, path: Path) -> None:
        """Be where the checkpoint was written."""
        state = torch.load(path)
        if len(state["optimizers"]) != len(self.optimizers):
            how = "with" if len(state["optimizers"]) > 1 else "without"
            raise RuntimeError(f"{path} was written {how} --muon: go on {how} it")
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for scheduler, saved in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)
        torch.set_rng_state(state["random"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=os.environ.get("MINITORCH_CNN_DATA", "data"),
        help="folder of the data, default: $MINITORCH_CNN_DATA or data",
    )
    parser.add_argument("--download", action="store_true", help="fetch what is missing there")
    parser.add_argument("--epochs", type=int, default=164, help="in all, default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=0.1, help="at first, default: %(default)s")
    parser.add_argument(
        "--weight-decay", type=float, default=1e-4, help="default: %(default)s, the paper's"
    )
    parser.add_argument(
        "--muon",
        type=float,
        metavar="LR",
        help="train convolutions' filters by Muon, at this learning rate at first, not by SGD",
    )
    parser.add_argument(
        "--muon-decay", type=float, default=0.1, help="Muon's weight decay, default: %(default)s"
    )
    parser.add_argument(
        "--label-smoothing",
        type=float,
        default=0.0,
        help="share of each target spread over all classes, default: %(default)s",
    )
    parser.add_argument("--nesterov", action="store_true", help="look ahead along the momentum")
    parser.add_argument(
        "--schedule",
        choices=["cosine", "linear"],
        default="cosine",
        help="how the learning rate falls; linear: after rising in a tenth of all steps, "
        "default: %(default)s",
    )
    parser.add_argument(
        "--padding", type=int, default=4, help="of images before the crop, default: %(default)s"
    )
    parser.add_argument(
        "--padding-mode",
        choices=["constant", "edge", "reflect", "symmetric"],
        default="constant",
        help="what pads them, default: %(default)s",
    )
    parser.add_argument(
        "--alternate", action="store_true", help="mirror images in turn, not at random"
    )
    parser.add_argument(
        "--cutout",
        type=int,
        default=0,
        metavar="N",
        help="cut a square out of each training image in the last N epochs, default: %(default)s",
    )
    parser.add_argument(
        "--cutout-side", type=int, default=8, help="of the square, in pixels, default: %(default)s"
    )
    parser.add_argument(
        "--enlarged",
        type=int,
        default=0,
        metavar="N",
        help="train and test on enlarged images in the last N epochs, default: %(default)s",
    )
    parser.add_argument(
        "--enlarged-size",
        type=int,
        default=40,
        help="rows and columns of an enlarged image, default: %(default)s",
    )
    parser.add_argument(
        "--mirror", action="store_true", help="test on the images and their mirror images together"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--limit", type=int, help="train and test on this many images only")
    parser.add_argument("--resume", type=Path, help="checkpoint to go on from")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder of checkpoints, default: %(default)s"
    )
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    try:
        images, test_loader = TrainingImages(options), test_batches(options)
        training = Training(options, len(images.chosen))
        if options.resume:
            training.load(options.resume)
    except (RuntimeError, OSError) as error:
        parser.error(str(error))

    while training.epoch < options.epochs:
        started = time.perf_counter()
        train, test = images.batches(training.epoch + 1), test_loader
        if training.epoch >= options.epochs - options.cutout:
            train = CutOut(train, options.cutout_side)
        if training.epoch >= options.epochs - options.enlarged:
            train, test = (
                Enlarged(train, options.enlarged_size),
                Enlarged(test, options.enlarged_size),
            )
        loss = training.run_epoch(train)
        labels, predicted = predict(training.model, test, options.mirror)
        training.save(options.out / "resnet_cifar10.pt")
        print(
            f"Epoch {training.epoch}: loss {loss:.4f}, "
            f"test accuracy {np.mean(labels == predicted):.2%}, "
            f"time {time.perf_counter() - started:.1f} s"
        )
    print(f"Saved {options.out / 'resnet_cifar10.pt'}")


if __name__ == "__main__":
    main()
