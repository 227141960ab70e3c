"""Why a CNN and not an MLP: few connections, shared parameters, local receptive fields.

Counts connections and parameters, finds with gradients which pixels each layer sees, and trains a
CNN and an MLP with equally many parameters for equally many epochs. Then it moves the test images
by a few pixels. Uses scikit-learn's digits, or CIFAR-10 if told where it is.

    python examples/cnn_vs_mlp.py
    python examples/cnn_vs_mlp.py --root data
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import pictures
from digits import Digits
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from tqdm import trange

import minitorch_cnn as torch
from minitorch_cnn import nn, optim
from minitorch_cnn.utils.data import DataLoader, Dataset
from minitorch_cnn.vision import datasets, transforms

FARTHEST = 4  # pixels that test images are moved by


def cnn(channels: int, side: int) -> nn.Sequential:
    """Two convolutions and three fully connected layers."""
    last = ((side - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * last * last, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def mlp(inputs: int, parameters: int) -> nn.Sequential:
    """One hidden layer, as wide as the number of parameters allows."""
    hidden = (parameters - 10) // (inputs + 1 + 10)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def show_connections() -> None:
    print("1. Connections of one neuron on an image of 32x32x3")
    print(f"   in an MLP:               {nn.Linear(32 * 32 * 3, 1).weight.numel():>10,}")
    print(f"   with a filter of 5x5x3:  {nn.Conv2d(3, 1, kernel_size=5).weight.numel():>10,}\n")
    layer = nn.Conv2d(3, 6, kernel_size=5)
    neurons = layer(torch.zeros(1, 3, 32, 32)).numel()
    print(f"2. Parameters of a layer that makes 6 maps of 28x28 of it, {neurons:,} neurons")
    print(f"   fully connected:         {neurons * (32 * 32 * 3 + 1):>10,}")
    print(f"   a 5x5x3 filter each:     {neurons * (5 * 5 * 3 + 1):>10,}")
    print(f"   one filter for each map: {count(layer):>10,}\n")


def seen_pixels(layers: nn.Sequential, shape: tuple[int, int, int]) -> np.ndarray:
    """The mean size of each pixel's gradient, of the outputs in the middle.

    Which pixels max pooling and ReLU pass on depends on the image, so there are many images.
    """
    images = torch.randn(256, *shape, requires_grad=True)
    outputs = layers(images)
    while outputs.ndim > 2:
        outputs = outputs[..., outputs.shape[-1] // 2]
    outputs.sum().backward()
    return images.grad.abs().mean((0, 1)).numpy()


def receptive_fields(networks: dict[str, nn.Sequential], shape: tuple[int, int, int]) -> Figure:
    """Print and draw the region of the image that the last layer's neurons in the middle see."""
    print("3. Receptive fields, found by gradients")
    picture = pictures.figure(2.2 * len(networks), 2.8)
    for axes, (name, layers) in zip(picture.subplots(1, len(networks)), networks.items()):
        strength = seen_pixels(layers, shape)
        rows, columns = np.nonzero(strength)
        top, left = rows.min(), columns.min()
        height, width = rows.max() + 1 - top, columns.max() + 1 - left
        print(
            f"   {name:24s} {height:2d} x {width:2d} pixels: rows {top} to {rows.max()}, "
            f"columns {left} to {columns.max()}"
        )
        axes.imshow(strength, cmap="magma")
        frame = Rectangle((left - 0.5, top - 0.5), width, height, fill=False, color="cyan", lw=1.5)
        frame.set_clip_on(False)
        axes.add_patch(frame)
        axes.set_title(f"{name}\n{height} x {width}", fontsize=9)
        axes.set(xticks=[], yticks=[])
    picture.suptitle("Which pixels the neurons in the middle see: size of their gradients")
    return picture


def train(model: nn.Module, train_set: Dataset, epochs: int, name: str) -> None:
    loader = DataLoader(train_set, batch_size=16, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    for _ in trange(epochs, desc=name, unit="epoch", disable=None, leave=False):
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(model(images), labels).backward()
            optimizer.step()


def accuracy_when_moved(model: nn.Module, test_set: Dataset) -> list[float]:
    """The accuracy on the test images moved by 0, 1, .. pixels, in each of eight directions."""
    directions = [step for step in itertools.product((-1, 0, 1), repeat=2) if any(step)]
    right = np.zeros(FARTHEST + 1)
    with torch.no_grad():
        for images, labels in DataLoader(test_set, batch_size=500):
            side, margin = images.shape[-1], [(0, 0)] * 2 + [(FARTHEST, FARTHEST)] * 2
            framed = torch.from_numpy(np.pad(images.numpy(), margin))
            for distance, (down, across) in itertools.product(range(FARTHEST + 1), directions):
                top, left = FARTHEST - distance * down, FARTHEST - distance * across
                moved = framed[:, :, top : top + side, left : left + side]
                right[distance] += (model(moved).argmax(1) == labels).sum().item()
    return (right / (len(test_set) * len(directions))).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="folder of CIFAR-10, to use it")
    parser.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for pictures, default: %(default)s"
    )
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    to_tensor = transforms.ToTensor()
    if options.root is None:
        train_set, test_set = (Digits(train, to_tensor, options.seed) for train in (True, False))
    else:
        try:
            train_set, test_set = (
                datasets.CIFAR10(options.root, train, to_tensor) for train in (True, False)
            )
        except RuntimeError as error:
            parser.error(str(error))

    show_connections()
    shape = tuple(train_set[0][0].shape)
    convolutional = cnn(shape[0], shape[-1])
    perceptron = mlp(int(np.prod(shape)), count(convolutional))
    fields = receptive_fields(
        {
            "CNN: first convolution": convolutional[:1],
            "first pooling": convolutional[:3],
            "second convolution": convolutional[:4],
            "second pooling": convolutional[:6],
            "MLP: hidden layer": perceptron[:2],
        },
        shape,
    )
    pictures.save(fields, options.out, "cnn_vs_mlp_receptive_fields")

    print(f"\n4. Test accuracy after {options.epochs} epochs, with images moved by 0, 1, .. pixels")
    print("        parameters  " + "".join(f"{distance:8d}" for distance in range(FARTHEST + 1)))
    picture = pictures.figure(6, 4)
    axes = picture.subplots()
    for name, model in ("CNN", convolutional), ("MLP", perceptron):
        train(model, train_set, options.epochs, name)
        accuracies = accuracy_when_moved(model, test_set)
        print(f"   {name}  {count(model):>10,}  " + "".join(f"{a:8.1%}" for a in accuracies))
        axes.plot(accuracies, marker="o", label=f"{name}, {count(model):,} parameters")
    axes.set(xlabel="pixels that the test images are moved by", ylabel="accuracy", ylim=(0, 1.02))
    axes.set_xticks(range(FARTHEST + 1))
    axes.set_title(f"{type(test_set).__name__}: {options.epochs} epochs each")
    axes.grid(alpha=0.3)
    axes.legend()
    pictures.save(picture, options.out, "cnn_vs_mlp_moved")


if __name__ == "__main__":
    main()
