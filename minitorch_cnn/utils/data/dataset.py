"""Datasets: anything with a length and an index, and the parts of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from ... import Generator, Tensor, randperm
from .collate import default_collate

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base class of datasets: a subclass defines `__getitem__(index)` and `__len__()`.

    It may also define `get_batch(indices)`, which takes an int64 array and returns what
    `default_collate([self[i] for i in indices])` would, in one go: a loader without a `collate_fn`
    of its own then asks for whole batches. A subclass that overrides `__getitem__` alone is read
    sample by sample again. PyTorch's `__getitems__`, a list of samples for a list of indices, is
    honoured, too.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset

    >>> from minitorch_cnn.utils.data import Dataset
    >>> class Squares(Dataset[int]):
    ...     def __getitem__(self, index):
    ...         return index**2
    ...     def __len__(self):
    ...         return 10
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of tensors that agree in their first dimension; a sample is one row of each.

    Raises AssertionError where the first dimensions differ.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.TensorDataset

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import TensorDataset
    >>> TensorDataset(torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1]))[1]
    (tensor([3, 4]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise IndexError("TensorDataset needs at least one tensor")
        lengths = [tensor.size(0) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise AssertionError(f"Size mismatch between tensors: their lengths are {lengths}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def get_batch(self, indices: np.ndarray) -> list[Tensor]:
        """These rows of each tensor."""
        return [tensor[indices] for tensor in self.tensors]

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class Subset(Dataset[T_co]):
    """The samples of another dataset at the given indices.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Subset

    >>> from minitorch_cnn.utils.data import Subset
    >>> list(Subset("abcdef", [4, 0]))
    ['e', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def get_batch(self, indices: np.ndarray) -> Any:
        """The dataset's own batch of these samples."""
        return fetch_batch(self.dataset, [self.indices[i] for i in indices.tolist()])

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        return fetch_samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[Any]]:
    """Split a dataset at random into parts of the given lengths, which no sample shares.

    `lengths` add up to the dataset's length, or are fractions that add up to 1: then each part is
    rounded down, and the samples left over go to the parts in turn.

    Raises ValueError where lengths do not add up or a fraction is outside 0 and 1. Warns of a part
    that comes out empty.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split

    >>> from minitorch_cnn.utils.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    size = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        counts = _counts(lengths, size)
    else:
        counts = [int(length) for length in lengths]
        if counts != list(lengths) or min(counts, default=0) < 0 or sum(counts) != size:
            raise ValueError(
                f"random_split: the lengths {list(lengths)} are not whole numbers that add up "
                f"to the dataset's length {size}, nor fractions that add up to 1"
            )
    order = randperm(size, generator=generator).tolist()
    return [
        Subset(dataset, order[end - count : end])
        for end, count in zip(accumulate(counts), counts, strict=True)
    ]


def _counts(fractions: Sequence[float], size: int) -> list[int]:
    for position, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(
                f"random_split: fraction {fraction} at index {position} is not between 0 and 1"
            )
    counts = [math.floor(size * fraction) for fraction in fractions]
    for extra in range(size - sum(counts)):
        counts[extra % len(counts)] += 1
    for position, count in enumerate(counts):
        if count == 0:
            warnings.warn(
                f"random_split: the part at index {position} is empty, as {fractions[position]} "
                f"of {size} samples is less than one",
                stacklevel=3,
            )
    return counts


def fetch_samples(dataset: Any, indices: list[Any]) -> list[Any]:
    """The samples at these indices, one by one unless the dataset has `__getitems__`."""
    if callable(getattr(dataset, "__getitems__", None)):
        return dataset.__getitems__(indices)
    return [dataset[index] for index in indices]


def fetch_batch(dataset: Any, indices: list[Any]) -> Any:
    """The collated samples at these indices, by `get_batch` where the dataset has it."""
    if _makes_batches(type(dataset)):
        return dataset.get_batch(np.asarray(indices, dtype=np.int64))
    return default_collate(fetch_samples(dataset, indices))


def _makes_batches(dataset_type: type) -> bool:
    """Whether the class that decides on the samples decides on batches, too.

    An inherited `get_batch` does not speak for a subclass that overrides `__getitem__`.
    """
    ways = {"get_batch", "__getitem__", "__getitems__"}
    defined = (ways & vars(base).keys() for base in dataset_type.__mro__)
    return "get_batch" in next(filter(None, defined), ())
