"""In which order a loader visits the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ... import Generator, as_tensor, float64, rand, randint, randperm

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Base class of samplers: an iterable over indices, or over lists of indices.

    A subclass defines `__iter__` and, where a loader's length is wanted, `__len__`.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Sampler

    >>> from minitorch_cnn.utils.data import Sampler
    >>> class Backwards(Sampler[int]):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(range(len(self.data) - 1, -1, -1))
    >>> list(Backwards("abc"))
    [2, 1, 0]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler[int]):
    """Visits the samples in order.

    >>> from minitorch_cnn.utils.data import SequentialSampler
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def arrays(self) -> Iterator[np.ndarray]:
        """The indices of a walk in arrays."""
        yield np.arange(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Visits the samples in a random order, a new one each time it is iterated.

    Arguments: `replacement` draws each index independently; `num_samples` is how many are drawn,
    as many as there are samples unless given (without replacement, every sample comes up once
    before any comes up again); `generator` is the source of the draws.

    Raises TypeError where `replacement` is no bool, ValueError where `num_samples` is not positive.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.RandomSampler

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import RandomSampler
    >>> sorted(RandomSampler("abcd", generator=torch.Generator().manual_seed(0)))
    [0, 1, 2, 3]
    """

    _CHUNK = 1024  # indices drawn at once with replacement: a long walk needs no long list

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got {replacement=}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                "num_samples should be a positive integer value, "
                f"but got num_samples={self.num_samples}"
            )

    @property
    def num_samples(self) -> int:
        """How many indices one walk yields."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        for array in self.arrays():
            yield from array.tolist()

    def arrays(self) -> Iterator[np.ndarray]:
        """The indices of a walk in arrays."""
        generator = self.generator
        if generator is None:
            # Its own generator: how far a walk has got changes no other random number.
            generator = Generator().manual_seed(int(randint(2**62, ()).item()))
        size, left = len(self.data_source), self.num_samples
        if size == 0:
            raise ValueError(f"RandomSampler: cannot draw {left} samples from an empty data source")
        while left > 0:
            if self.replacement:
                drawn = randint(size, (min(left, self._CHUNK),), generator=generator).numpy()
            else:
                drawn = randperm(size, generator=generator).numpy()[:left]
            yield drawn
            left -= len(drawn)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[Any]):
    """Visits the given indices in a random order, a new one each time it is iterated.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.SubsetRandomSampler

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import SubsetRandomSampler
    >>> sorted(SubsetRandomSampler([7, 3, 5], generator=torch.Generator().manual_seed(0)))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[Any], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[Any]:
        for i in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Draws `num_samples` of the numbers from 0 on, each as often as its weight says.

    The weights need not add up to 1. Without `replacement` no number comes up twice: each is drawn
    among those left, by their weights.

    Raises ValueError where `num_samples` is no positive integer, `replacement` no bool, the weights
    have not one dimension, and, when iterated, where they are negative, not finite, all zero, or
    too few to draw so many without replacement.

    Without replacement by the keys of Efraimidis and Spirakis, Weighted random sampling with a
    reservoir (2006). See
    https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.WeightedRandomSampler

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import WeightedRandomSampler
    >>> list(WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got {num_samples=}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got {replacement=}")
        self.weights = as_tensor(weights, dtype=float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "weights should be a 1d sequence but given weights have shape "
                f"{tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        weights, count = self.weights.numpy(), self.num_samples
        if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
            raise ValueError(
                "WeightedRandomSampler: weights must be finite, not negative and not all zero"
            )
        if self.replacement:
            ends = np.cumsum(weights)
            drawn = rand(count, dtype=float64, generator=self.generator).numpy() * ends[-1]
            # Rounding may lead to the very end, behind the last weight that isn't zero.
            last = np.flatnonzero(weights)[-1]
            yield from np.minimum(np.searchsorted(ends, drawn, "right"), last).tolist()
            return
        possible = np.flatnonzero(weights)
        if count > len(possible):
            raise ValueError(
                f"WeightedRandomSampler: cannot draw {count} samples without replacement, as only "
                f"{len(possible)} of {len(weights)} weights are not zero"
            )
        drawn = rand(len(possible), dtype=float64, generator=self.generator).numpy()
        keys = -np.log1p(-drawn) / weights[possible]
        yield from possible[np.argsort(keys, kind="stable")[:count]].tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Groups the indices of another sampler into lists of `batch_size`.

    `drop_last` leaves out a last list that is shorter.

    Raises ValueError where `batch_size` is no positive integer or `drop_last` no bool.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.BatchSampler

    >>> from minitorch_cnn.utils.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got {batch_size=}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got {drop_last=}")
        self.sampler: Any = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        shortest = self.batch_size if self.drop_last else 1
        while len(batch := list(islice(indices, self.batch_size))) >= shortest:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


class Runs:
    """The batches of a walk, taken several at once: their indices in one array, and their sizes."""

    def __init__(self, batches: Any) -> None:
        self._batches: Iterator[list[int]] | None = None
        sampler: Any = getattr(batches, "sampler", None)
        kinds = SequentialSampler, RandomSampler
        if type(batches) is BatchSampler and type(sampler) in kinds:
            self._arrays, self._left = sampler.arrays(), np.empty(0, np.int64)
            self._size, self._drop_last = batches.batch_size, batches.drop_last
        else:
            self._batches = iter(batches)

    @property
    def steady(self) -> bool:
        """Whether it makes no difference when a batch is taken."""
        return self._batches is None

    def take(self, count: int) -> tuple[np.ndarray, list[int]]:
        """The next so many batches, fewer at the end."""
        if self._batches is not None:
            lists = [*islice(self._batches, count)]
            together = np.array([index for indices in lists for index in indices], np.int64)
            return together, [len(indices) for indices in lists]
        size, left = self._size, self._left
        while len(left) < count * size:
            more = next(self._arrays, None)
            if more is None:
                break
            left = np.concatenate([left, more]) if len(left) else more
        whole, rest = divmod(min(len(left), count * size), size)
        sizes = [size] * whole + [rest] * (rest > 0 and not self._drop_last)
        taken = sum(sizes)
        self._left = left[taken:]
        return left[:taken], sizes
