"""Datasets: anything with a length and an index, and the parts of them."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from ... import Generator, Tensor, randperm
from ...tensor import wrap
from .collate import default_collate
from .randomness import batch_seed, run_seeds

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base class of datasets: a subclass defines `__getitem__(index)` and `__len__()`.

    It may also define `get_batch(indices)`, which takes an int64 array and returns what
    `default_collate([self[i] for i in indices])` would, in one go: a loader without a `collate_fn`
    of its own then asks for whole batches. A subclass that overrides `__getitem__` alone is read
    sample by sample again. If a sample is alike in any batch, it may set `joinable`: then a
    loader's workers ask for several batches at once, as one to be cut; and so does a loader without
    workers if it sets `steady` as well, which says that it stays as it is during a walk. PyTorch's
    `__getitems__`, a list of samples for a list of indices, is honoured, too.

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

    joinable: bool = False
    steady: bool = False

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Base class of datasets without indices: a subclass defines `__iter__()`.

    A loader takes samples as they come. With workers each of them iterates over the dataset, in its
    own thread; so that samples don't come up several times, the dataset asks `get_worker_info()`
    and hands out that worker's share. In PyTorch each worker has a copy of the dataset, here they
    share it: `__iter__` had better keep its state in local variables.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset

    >>> from minitorch_cnn.utils.data import DataLoader, IterableDataset, get_worker_info
    >>> class Odd(IterableDataset[int]):
    ...     def __iter__(self):
    ...         worker = get_worker_info()
    ...         first, workers = (worker.id, worker.num_workers) if worker else (0, 1)
    ...         return iter(range(1 + 2 * first, 10, 2 * workers))
    >>> [batch.tolist() for batch in DataLoader(Odd(), batch_size=2, num_workers=2)]
    [[1, 5], [3, 7], [9]]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __add__(self, other: Dataset[T_co]) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of tensors that agree in their first dimension; a sample is one row of each.

    Raises AssertionError where the first dimensions differ.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.TensorDataset

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import TensorDataset
    >>> TensorDataset(torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1]))[1]
    (tensor([3, 4]), tensor(1))
    """

    joinable = True

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
        self._array: tuple[Any, np.ndarray] | None = None

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    @property
    def joinable(self) -> bool:  # type: ignore[override]
        """As the dataset is."""
        return joinable(self.dataset)

    @property
    def steady(self) -> bool:  # type: ignore[override]
        """As the dataset is."""
        return getattr(self.dataset, "steady", False)

    def get_batch(self, indices: np.ndarray) -> Any:
        """The dataset's own batch of these samples."""
        if not isinstance(self.indices, range):
            return fetch_batch(self.dataset, [self.indices[i] for i in indices.tolist()])
        if self._array is None or self._array[0] is not self.indices:
            self._array = self.indices, np.array(self.indices, np.int64)
        return fetch_batch(self.dataset, self._array[1][indices])

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        return fetch_samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """The samples of several datasets, one dataset after the other.

    Raises AssertionError for no datasets and for an `IterableDataset`, ValueError for an index
    before the first sample, IndexError for one behind the last.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.ConcatDataset

    >>> from minitorch_cnn.utils.data import ConcatDataset
    >>> list(ConcatDataset(["abc", "de"]))
    ['a', 'b', 'c', 'd', 'e']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        if index < -len(self):
            raise ValueError(
                "absolute value of index should not exceed dataset length, but it is "
                f"{index} of {len(self)}"
            )
        if index >= len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        index = index % len(self)
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset[T_co]):
    """The samples of several iterable datasets, one dataset after the other.

    Raises AssertionError, when iterated, for a dataset that isn't iterable.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.ChainDataset
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T_co]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class StackDataset(Dataset[Any]):
    """Samples of several datasets side by side: tuples, or dicts if the datasets have names.

    Raises ValueError for no datasets, for some with and some without names, and for different
    lengths.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.StackDataset

    >>> from minitorch_cnn.utils.data import StackDataset
    >>> StackDataset(letter="abc", number=[1, 2, 3])[1]
    {'letter': 'b', 'number': 2}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either `tuple`- (via `args`) or `dict`- (via `kwargs`) like input, but "
                "both types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets: Any = kwargs or args
        lengths = [len(dataset) for dataset in (kwargs.values() or args)]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: their lengths are {lengths}")

    def __getitem__(self, index: Any) -> Any:
        return self._each(lambda dataset: dataset[index])

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        columns = self._each(lambda dataset: fetch_samples(dataset, indices))
        if isinstance(columns, dict):
            rows = zip(*columns.values(), strict=True)
            return [dict(zip(columns, row, strict=True)) for row in rows]
        return list(zip(*columns, strict=True))

    def _each(self, function: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: function(dataset) for name, dataset in self.datasets.items()}
        return tuple(function(dataset) for dataset in self.datasets)

    def __len__(self) -> int:
        whole = self.datasets
        return len(next(iter(whole.values())) if isinstance(whole, dict) else whole[0])


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


def fetch_batch(dataset: Any, indices: Any) -> Any:
    """The collated samples at these indices, by `get_batch` where the dataset has it."""
    return batch_fetcher(dataset)(indices)


def batch_fetcher(dataset: Any) -> Callable[[Any], Any]:
    """The function that `fetch_batch` calls, for one who fetches many."""
    if _makes_batches(type(dataset)):
        return lambda indices: dataset.get_batch(np.asarray(indices, np.int64))
    return lambda indices: default_collate(fetch_samples(dataset, [*indices]))


def _makes_batches(dataset_type: type) -> bool:
    """Whether the class that decides on the samples decides on batches, too.

    An inherited `get_batch` does not speak for a subclass that overrides `__getitem__`.
    """
    ways = {"get_batch", "__getitem__", "__getitems__"}
    defined = (ways & vars(base).keys() for base in dataset_type.__mro__)
    return "get_batch" in next(filter(None, defined), ())


def joinable(dataset: Any) -> bool:
    """Whether several batches can be had at once, as one to be cut.

    An inherited `joinable` does not speak for a subclass that overrides `get_batch`.
    """
    if not _makes_batches(type(dataset)) or not getattr(dataset, "joinable", False):
        return False
    defined = (vars(part).keys() for part in (dataset, *type(dataset).__mro__))
    return "joinable" in next(names for names in defined if {"joinable", "get_batch"} & names)


def fetch_run(dataset: Any, task: tuple[np.ndarray, list[int], int]) -> list[Any]:
    """The batches of a dataset that can join them: their indices one after the other, their sizes,
    and the seed of the first; those of the others go up by one."""
    indices, sizes, seed = task
    if len(sizes) == 1:
        with batch_seed(seed):
            return [dataset.get_batch(indices)]
    with run_seeds(seed, sizes):
        whole = dataset.get_batch(indices)
    return _parts(whole, _slices(sizes))


def singly(
    indices: np.ndarray, sizes: list[int], seed: int
) -> Iterator[tuple[np.ndarray, list[int], int]]:
    """For `fetch_run`, one batch after the other instead of several."""
    for i, which in enumerate(_slices(sizes)):
        yield indices[which], sizes[i : i + 1], seed + i


def _slices(sizes: list[int]) -> list[slice]:
    return _slices_of(tuple(sizes))


@lru_cache(maxsize=8)  # in a walk they come again and again
def _slices_of(sizes: tuple[int, ...]) -> list[slice]:
    return [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes))]


def _parts(batch: Any, samples: list[slice]) -> list[Any]:
    """These samples of a batch each as one of its own, in the memory of the whole."""
    if isinstance(batch, Tensor):
        buffer, dtype, device = batch._buffer, batch.dtype, batch.device
        return [wrap(buffer[which], dtype, device) for which in samples]
    if isinstance(batch, Mapping):
        columns = [_parts(value, samples) for value in batch.values()]
        return [dict(zip(batch, row)) for row in zip(*columns)]
    nested = (Tensor, list, tuple, Mapping)
    if isinstance(batch, (list, tuple)) and batch and isinstance(batch[0], nested):
        kind, rows = type(batch), zip(*[_parts(value, samples) for value in batch])
        if kind is list:
            return [[*row] for row in rows]
        return [kind(*row) if hasattr(batch, "_fields") else kind(row) for row in rows]
    return [batch[which] for which in samples]
