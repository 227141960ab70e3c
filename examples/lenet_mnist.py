"""LeNet-5 reads MNIST's handwritten digits, or Fashion-MNIST's clothes.

LeNet-5 with ReLU and max pooling, as it is built today, or with the tanh and the averages of 1998.
Prints the accuracy on the test images after each epoch; draws the loss, the confusion matrix and
some mistakes.

    python examples/lenet_mnist.py --root data --download
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pictures
from evaluation import confusion_matrix, predict
from matplotlib.figure import Figure
from quickstart import lenet
from tqdm import tqdm

import minitorch_cnn as torch
from minitorch_cnn import Tensor, nn, optim
from minitorch_cnn.utils.data import DataLoader
from minitorch_cnn.vision import datasets, models, transforms


def train(
    model: nn.Module, loader: DataLoader, test_loader: DataLoader, epochs: int
) -> list[float]:
    """Train the model and print its accuracy after each epoch; returns the loss of every batch."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    losses = []
    for epoch in range(epochs):
        model.train()
        for images, labels in tqdm(loader, f"Epoch {epoch + 1}", disable=None, leave=False):
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        labels, predicted = predict(model, test_loader)
        mean_loss, accuracy = np.mean(losses[-len(loader) :]), np.mean(labels == predicted)
        print(f"Epoch {epoch + 1}: loss {mean_loss:.4f}, test accuracy {accuracy:.2%}")
    return losses


def mistakes(images: Tensor, names: list[str], labels: np.ndarray, predicted: np.ndarray) -> Figure:
    """The first images that are taken for something else."""
    wrong = np.flatnonzero(labels != predicted)
    picture = pictures.figure(7.5, 6.5)
    panels = picture.subplots(4, 6).flatten()
    for axes in panels:
        axes.axis("off")
    for axes, number in zip(panels, wrong):
        axes.imshow(images[number].numpy(), cmap="gray_r")
        true, taken = names[labels[number]], names[predicted[number]]
        axes.set_title(f"{true},\ntaken for {taken}", fontsize=8)
    picture.suptitle(f"{min(len(wrong), 24)} of the {len(wrong)} mistakes")
    return picture


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
    parser.add_argument("--fashion", action="store_true", help="train on Fashion-MNIST")
    parser.add_argument("--classic", action="store_true", help="the network of 1998")
    parser.add_argument("--epochs", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for pictures, default: %(default)s"
    )
    options = parser.parse_args()

    started = time.perf_counter()
    torch.manual_seed(options.seed)
    name, source = (
        ("fashion_mnist", datasets.FashionMNIST) if options.fashion else ("mnist", datasets.MNIST)
    )
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.1307, 0.3081)])
    try:
        train_set = source(options.root, True, transform, download=options.download)
        test_set = source(options.root, False, transform, download=options.download)
    except RuntimeError as error:
        parser.error(str(error))
    train_loader = DataLoader(train_set, options.batch_size, shuffle=True, num_workers=1)
    test_loader = DataLoader(test_set, batch_size=500)

    model = models.LeNet5() if options.classic else lenet()
    losses = train(model, train_loader, test_loader, options.epochs)
    print(f"Time: {time.perf_counter() - started:.1f} s")

    labels, predicted = predict(model, test_loader)
    title = f"LeNet-5: {np.mean(labels == predicted):.2%} of {len(labels)} test images right"
    names = [name.split(" - ")[0] for name in test_set.classes]  # "7" of "7 - seven"
    counts = confusion_matrix(labels, predicted, len(names))
    for what, picture in {
        "loss": pictures.loss_curve(losses, options.epochs, f"LeNet-5 on {source.__name__}"),
        "confusion": pictures.confusion(counts, names, title),
        "mistakes": mistakes(test_set.data, names, labels, predicted),
    }.items():
        pictures.save(picture, options.out, f"{name}_{what}")


if __name__ == "__main__":
    main()
