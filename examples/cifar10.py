"""A small CNN learns to tell the ten classes of CIFAR-10 apart.

Two convolutions and three fully connected layers, trained with Adam on batches of four for two
epochs. Prints the mean loss of every 2,000 batches, then the accuracy on the test images, overall
and for each class, and the confusion matrix, which it draws as well.

    python examples/cifar10.py --root data --download
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pictures
from evaluation import confusion_matrix, predict
from tqdm import tqdm

import minitorch_cnn as torch
from minitorch_cnn import nn, optim
from minitorch_cnn.utils.data import DataLoader, Dataset, Subset
from minitorch_cnn.vision import datasets, models, transforms

REPORT_EVERY = 2000  # batches


def first(dataset: Dataset, limit: int | None) -> Subset:
    """The first images of a dataset, all of them without a limit."""
    return Subset(dataset, range(len(dataset))[:limit])


def train(model: nn.Module, loader: DataLoader, epochs: int) -> None:
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    every = min(REPORT_EVERY, len(loader))

    @torch.compile  # its launches are recorded once and repeated; without, the same numbers
    def step(inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss

    for epoch in range(epochs):
        running_loss = 0.0
        batches = tqdm(loader, desc=f"Epoch {epoch + 1}", unit="batch", disable=None, leave=False)
        for i, (inputs, labels) in enumerate(batches):
            running_loss += step(inputs, labels).item()
            if (i + 1) % every == 0:
                tqdm.write(f"[{epoch + 1}, {i + 1:5d}] loss: {running_loss / every:.3f}")
                running_loss = 0.0
    print("Finished Training")


def report(counts: np.ndarray, classes: list[str]) -> None:
    """Print the accuracy, overall and for each class, and the confusion matrix."""
    print(f"Accuracy on the {counts.sum()} test images: {counts.trace() / counts.sum():.2%}")
    for name, right, total in zip(classes, counts.diagonal(), counts.sum(1), strict=True):
        print(f"Accuracy for class {name:10s}: {right / max(total, 1):6.1%}")
    print("Confusion matrix (a row for each true class, a column for each predicted one):")
    print(" " * 10 + "".join(f"{name[:6]:>7s}" for name in classes))
    for name, row in zip(classes, counts, strict=True):
        print(f"{name:10s}" + "".join(f"{count:7d}" for count in row))


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
    parser.add_argument("--epochs", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--limit", type=int, help="train and test on this many images only")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for pictures, default: %(default)s"
    )
    options = parser.parse_args()

    started = time.perf_counter()
    torch.manual_seed(options.seed)
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
    )
    try:
        train_set = datasets.CIFAR10(options.root, True, transform, download=options.download)
        test_set = datasets.CIFAR10(options.root, False, transform)
    except RuntimeError as error:
        parser.error(str(error))
    train_loader = DataLoader(
        first(train_set, options.limit), options.batch_size, shuffle=True, num_workers=2
    )
    test_loader = DataLoader(first(test_set, options.limit), options.batch_size, num_workers=2)

    model = models.NotebookNet()
    train(model, train_loader, options.epochs)
    labels, predicted = predict(model, test_loader)
    counts = confusion_matrix(labels, predicted, len(test_set.classes))
    report(counts, test_set.classes)
    print(f"Time: {time.perf_counter() - started:.1f} s")
    accuracy = counts.trace() / counts.sum()
    picture = pictures.confusion(
        counts, test_set.classes, f"CIFAR-10: {accuracy:.1%} of {counts.sum()} test images right"
    )
    pictures.save(picture, options.out, "cifar10_confusion")


if __name__ == "__main__":
    main()
