"""A LeNet learns to read handwritten digits, in less than a minute.

Trains on four fifths of the 1,797 digits that come with scikit-learn and tests on the rest. Draws
the loss, the filters of the first layer and the confusion matrix.

    python examples/quickstart.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pictures
from digits import Digits
from evaluation import confusion_matrix, predict
from tqdm import trange

import minitorch_cnn as torch
from minitorch_cnn import nn, optim
from minitorch_cnn.utils.data import DataLoader
from minitorch_cnn.vision import transforms


def lenet() -> nn.Sequential:
    """LeNet for 28x28 pixels, with the max pooling and the ReLU of today."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),  # 6 maps of 28x28
        nn.ReLU(),
        nn.MaxPool2d(2),  # 14x14
        nn.Conv2d(6, 16, kernel_size=5),  # 16 maps of 10x10
        nn.ReLU(),
        nn.MaxPool2d(2),  # 5x5
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def train(model: nn.Module, loader: DataLoader, epochs: int) -> list[float]:
    """Train with Adam, its learning rate falling to zero; returns the loss of every batch."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    losses = []
    for _ in (progress := trange(epochs, desc="Training", unit="epoch", disable=None)):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        progress.set_postfix(loss=f"{losses[-1]:.3f}")
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for pictures, default: %(default)s"
    )
    options = parser.parse_args()

    started = time.perf_counter()
    torch.manual_seed(options.seed)
    # A digit stays what it is when it moves by a pixel: each epoch sees each at a new place.
    moved = transforms.Compose([transforms.RandomCrop(28, padding=1), transforms.ToTensor()])
    train_set = Digits(train=True, transform=moved, seed=options.seed)
    test_set = Digits(train=False, transform=transforms.ToTensor(), seed=options.seed)

    model = lenet()
    losses = train(model, DataLoader(train_set, batch_size=16, shuffle=True), options.epochs)
    labels, predicted = predict(model, DataLoader(test_set, batch_size=16))
    accuracy = (labels == predicted).mean()
    print(f"Accuracy on {len(labels)} held-out digits: {accuracy:.2%}")
    print(f"Time: {time.perf_counter() - started:.1f} s")

    counts = confusion_matrix(labels, predicted, len(test_set.classes))
    first_layer = model[0].weight.detach().numpy()
    title = f"{accuracy:.2%} of {len(labels)} held-out digits right"
    for name, picture in {
        "loss": pictures.loss_curve(losses, options.epochs, "LeNet on scikit-learn's digits"),
        "filters": pictures.filters(first_layer, "What the first layer looks for"),
        "confusion": pictures.confusion(counts, test_set.classes, title),
    }.items():
        pictures.save(picture, options.out, f"quickstart_{name}")


if __name__ == "__main__":
    main()
