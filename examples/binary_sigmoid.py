"""Two classes need one output: a CNN tells eights from threes, and a sigmoid says how surely.

The digits are scikit-learn's, under noise that makes the task hard enough for mistakes. Prints
what the decision threshold does to accuracy, precision and recall, and draws it.

    python examples/binary_sigmoid.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pictures
from digits import Digits
from matplotlib.figure import Figure
from tqdm import trange

import minitorch_cnn as torch
from minitorch_cnn import Tensor, nn, optim
from minitorch_cnn.utils.data import DataLoader
from minitorch_cnn.vision import transforms


def network() -> nn.Sequential:
    """A small CNN whose single output is a logit: above zero for an eight."""
    return nn.Sequential(
        nn.Conv2d(1, 4, kernel_size=5),  # 4 maps of 24x24
        nn.ReLU(),
        nn.MaxPool2d(4),  # 6x6
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, 1),
        nn.Flatten(0),  # one number an image
    )


def noisy(images: Tensor, noise: float) -> Tensor:
    return images + noise * torch.randn_like(images)


def train(model: nn.Module, loader: DataLoader, epochs: int, noise: float) -> None:
    # The sigmoid is part of this loss, which is exact where the sigmoid alone rounds to 0 or 1.
    criterion = nn.BCEWithLogitsLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    for _ in trange(epochs, desc="Training", unit="epoch", disable=None):
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(model(noisy(images, noise)), labels.float()).backward()
            optimizer.step()


def rates(probabilities: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, ...]:
    """Accuracy, precision and recall where a probability above the threshold means an eight."""
    taken, eights = probabilities > threshold, labels == 1
    found = (taken & eights).sum()
    precision = found / taken.sum() if taken.any() else 1.0
    return (taken == eights).mean(), precision, found / max(eights.sum(), 1)


def draw(logits: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> Figure:
    picture = pictures.figure(10, 4)
    left, right = picture.subplots(1, 2)
    limit = np.abs(logits).max() + 1
    x = np.linspace(-limit, limit, 200)
    left.plot(x, 1 / (1 + np.exp(-x)), color="black", label="sigmoid")
    for label, name, colour in (0, "three", "tab:blue"), (1, "eight", "tab:red"):
        chosen = labels == label
        left.scatter(
            logits[chosen], probabilities[chosen], s=24, alpha=0.6, color=colour, label=name
        )
    left.axvline(0, color="gray", linestyle=":")
    left.set(xlabel="output of the network (logit)", ylabel="probability of an eight")
    left.set_title("Every test image on the sigmoid")
    left.legend()

    thresholds = np.linspace(0, 1, 201)
    curves = np.array([rates(probabilities, labels, threshold) for threshold in thresholds])
    for name, curve in zip(("accuracy", "precision", "recall"), curves.T):
        right.plot(thresholds, curve, label=name)
    right.axvline(0.5, color="gray", linestyle=":")
    right.set(xlabel="threshold", ylabel="share", ylim=(0.4, 1.02))
    right.set_title("What the threshold decides")
    right.legend(loc="lower center")
    right.grid(alpha=0.3)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--noise", type=float, default=0.7, help="its standard deviation, default: %(default)s"
    )
    parser.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for pictures, default: %(default)s"
    )
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    train_set, test_set = (
        Digits(train, transforms.ToTensor(), options.seed, classes=(3, 8))
        for train in (True, False)
    )
    model = network()
    train(model, DataLoader(train_set, 16, shuffle=True), options.epochs, options.noise)

    images, labels = next(iter(DataLoader(test_set, len(test_set))))
    with torch.no_grad():
        logits = model(noisy(images, options.noise))
        probabilities = torch.sigmoid(logits)
        print(f"Loss on {len(test_set)} held-out images, from logits and from probabilities:")
        print(f"   BCEWithLogitsLoss {nn.BCEWithLogitsLoss()(logits, labels.float()).item():.4f}")
        print(f"   BCELoss           {nn.BCELoss()(probabilities, labels.float()).item():.4f}")
    print("Threshold  accuracy  precision  recall")
    for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
        accuracy, precision, recall = rates(probabilities.numpy(), labels.numpy(), threshold)
        print(f"{threshold:9.1f}  {accuracy:8.1%}  {precision:9.1%}  {recall:6.1%}")
    picture = draw(logits.numpy(), probabilities.numpy(), labels.numpy())
    pictures.save(picture, options.out, "binary_sigmoid")


if __name__ == "__main__":
    main()
