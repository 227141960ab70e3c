"""The handwritten digits that come with scikit-learn, as a dataset in MNIST's format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitorch_cnn.vision.datasets import VisionDataset

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError:
    raise SystemExit(
        'The digits come with scikit-learn: pip install "minitorch-cnn[examples]"'
    ) from None


class Digits(VisionDataset):
    """1,797 handwritten digits; a fifth of them, chosen by `seed`, is for testing.

    The 8x8 pixels are enlarged three times and framed by a margin of two: 28x28, MNIST's size. With
    `classes`, only these digits are kept, and a label is the digit's place among them.
    """

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        seed: int = 0,
        classes: Sequence[int] = range(10),
    ) -> None:
        super().__init__("scikit-learn", transform)
        digits = load_digits()
        order = np.random.default_rng(seed).permutation(len(digits.target))
        held_out = len(order) // 5
        chosen = order[held_out:] if train else order[:held_out]
        chosen = chosen[np.isin(digits.target[chosen], classes)]
        enlarged = np.kron(digits.images[chosen], np.ones((1, 3, 3)))
        framed = np.pad(enlarged, ((0, 0), (2, 2), (2, 2)))
        self.data = (framed * (255 / 16)).astype(np.uint8)
        self.targets = [list(classes).index(digit) for digit in digits.target[chosen]]
        self.classes = [str(digit) for digit in classes]
