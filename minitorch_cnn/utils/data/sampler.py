"""In which order a loader visits the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

from ... import Generator, randint, randperm

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
        generator = self.generator
        if generator is None:
            # Its own generator: how far a walk has got changes no other random number.
            generator = Generator().manual_seed(int(randint(2**62, ()).item()))
        size, left = len(self.data_source), self.num_samples
        if size == 0:
            raise ValueError(f"RandomSampler: cannot draw {left} samples from an empty data source")
        while left > 0:
            if self.replacement:
                drawn = randint(size, (min(left, self._CHUNK),), generator=generator).tolist()
            else:
                drawn = randperm(size, generator=generator).tolist()[:left]
            yield from drawn
            left -= len(drawn)

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
