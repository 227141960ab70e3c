"""ResNet-20 learns the ten classes of CIFAR-10, as in the paper on residual networks.

SGD with momentum on randomly cropped and flipped images, the learning rate falling along a cosine.
Prints loss, accuracy on the test images and time of every epoch, and saves a checkpoint after
each, from which --resume goes on as if nothing had stopped it.

    python examples/resnet_cifar10.py --root data --download
    python examples/resnet_cifar10.py --root data --resume out/resnet_cifar10.pt
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from evaluation import predict
from tqdm import tqdm

import minitorch_cnn as torch
from minitorch_cnn import nn, optim
from minitorch_cnn.utils.data import DataLoader, Subset
from minitorch_cnn.vision import datasets, models, transforms

# The means and standard deviations of the training images' channels.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def loaders(options: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    """Batches of training images, changed at random, and of test images as they are."""
    to_input = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    changed = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    train_set = datasets.CIFAR10(
        options.root, True, transforms.Compose(changed + to_input), download=options.download
    )
    test_set = datasets.CIFAR10(options.root, False, transforms.Compose(to_input))

    def batches(dataset: datasets.CIFAR10, shuffle: bool) -> DataLoader:
        images = Subset(dataset, range(len(dataset))[: options.limit])
        return DataLoader(images, options.batch_size, shuffle=shuffle, num_workers=2)

    return batches(train_set, shuffle=True), batches(test_set, shuffle=False)


class Training:
    """A model with what trains it: all that a checkpoint holds."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.epoch = 0
        self.model = models.resnet20()
        self.criterion = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)
        self.optimizer = optim.SGD(
            self.model.parameters(),
            lr=options.lr,
            momentum=0.9,
            weight_decay=options.weight_decay,
            nesterov=options.nesterov,
        )
        self.scheduler = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, options.epochs)

    @torch.compile  # its launches are recorded once and repeated
    def step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One step on a batch; returns the loss."""
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def run_epoch(self, loader: DataLoader) -> float:
        """Train on all batches once; returns their mean loss."""
        self.epoch += 1
        self.model.train()
        losses = []
        for images, labels in tqdm(loader, f"Epoch {self.epoch}", disable=None, leave=False):
            losses.append(self.step(images, labels).item())
        self.scheduler.step()
        return float(np.mean(losses))

    def save(self, path: Path) -> None:
        """Write a checkpoint, in place of an older one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "random": torch.get_rng_state(),
        }
        torch.save(state, path)

    def load(self, path: Path) -> None:
        """Be where the checkpoint was written."""
        state = torch.load(path)
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
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
        "--label-smoothing",
        type=float,
        default=0.0,
        help="share of each target spread over all classes, default: %(default)s",
    )
    parser.add_argument("--nesterov", action="store_true", help="look ahead along the momentum")
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
    training = Training(options)
    try:
        train_loader, test_loader = loaders(options)
        if options.resume:
            training.load(options.resume)
    except (RuntimeError, OSError) as error:
        parser.error(str(error))

    while training.epoch < options.epochs:
        started = time.perf_counter()
        loss = training.run_epoch(train_loader)
        labels, predicted = predict(training.model, test_loader, options.mirror)
        training.save(options.out / "resnet_cifar10.pt")
        print(
            f"Epoch {training.epoch}: loss {loss:.4f}, "
            f"test accuracy {np.mean(labels == predicted):.2%}, "
            f"time {time.perf_counter() - started:.1f} s"
        )
    print(f"Saved {options.out / 'resnet_cifar10.pt'}")


if __name__ == "__main__":
    main()
