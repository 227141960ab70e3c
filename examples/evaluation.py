"""How well a classifier does: what it predicts, and which classes it takes for which."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

import minitorch_cnn as torch
from minitorch_cnn import nn

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]
"""Images with their labels, as a loader gives them."""


def predict(
    model: nn.Module, batches: Batches, mirror: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The labels of images, and the classes that the model sees in them.

    With `mirror` it looks at each image and at its mirror image, and what it says of both counts.
    """

    def scores(images: torch.Tensor) -> torch.Tensor:
        return model(images) + model(images.flip(3)) if mirror else model(images)

    labels, predicted = [], []
    classify = torch.compile(lambda images: scores(images).argmax(1))
    model.eval()
    with torch.no_grad():
        for images, targets in batches:
            predicted.append(classify(images).numpy())
            labels.append(targets.numpy())
    return np.concatenate(labels), np.concatenate(predicted)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many images of class i (row) were taken for class j (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts
