"""What several examples draw: loss curves, filters, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError:
    raise SystemExit(
        'The pictures need matplotlib: pip install "minitorch-cnn[examples]"'
    ) from None


def figure(width: float, height: float) -> Figure:
    """An empty picture, in inches. Made without pyplot, it needs no display."""
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def save(picture: Figure, folder: Path, name: str) -> None:
    """Write the picture as a PNG file, and say where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    picture.savefig(path)
    print(f"Saved {path}")


def loss_curve(losses: Sequence[float], epochs: int, title: str) -> Figure:
    """The loss of every batch, and the mean over a third of an epoch."""
    picture = figure(6.4, 4)
    axes = picture.subplots()
    epoch = (np.arange(len(losses)) + 1) * (epochs / len(losses))
    axes.plot(epoch, losses, color="tab:blue", alpha=0.3, linewidth=0.8, label="each batch")
    window = max(1, len(losses) // (3 * epochs))
    means = np.convolve(losses, np.ones(window) / window, mode="valid")
    axes.plot(epoch[window - 1 :], means, color="tab:blue", label=f"mean of {window} batches")
    axes.set(xlabel="epoch", ylabel="cross-entropy", yscale="log", title=title)
    axes.set_xlim(0, epochs)
    axes.grid(alpha=0.3)
    axes.legend()
    return picture


def filters(weight: np.ndarray, title: str) -> Figure:
    """The filters of a first layer with one input channel, negative blue and positive red."""
    picture = figure(1.3 * len(weight) + 1, 1.9)
    limit = np.abs(weight).max()
    panels = picture.subplots(1, len(weight), squeeze=False)[0]
    for number, (axes, kernel) in enumerate(zip(panels, weight[:, 0], strict=True), start=1):
        image = axes.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(f"filter {number}", fontsize=9)
        axes.set(xticks=[], yticks=[])
    picture.colorbar(image, ax=panels, label="weight")
    picture.suptitle(title)
    return picture


def confusion(counts: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix, coloured by each row's shares."""
    picture = figure(7, 6)
    axes = picture.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=45 if max(map(len, classes)) > 2 else 0)
    axes.set_yticks(places, classes)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row, counts[row, column], color=colour, ha="center", va="center", fontsize=9
        )
    picture.colorbar(image, label="share of the true class")
    return picture
