"""Where the random numbers of a batch come from: not from the thread that happens to prepare it.

A loader gives each batch a seed, made of the epoch's seed and the batch's number. What is random
while that batch is prepared follows from this seed, so a seeded run yields the same batches for any
number of workers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ... import Generator, randint
from ...device import cpu, launch
from ...random import stand_in

_STEP = np.uint64(0x9E3779B97F4A7C15)  # splitmix64's


class _Batch(threading.local):
    """The batch that a thread prepares; without a seed, none."""

    seed: int | None = None
    generator: Generator | None = None
    streams = 0
    run: tuple[int, Sequence[int]] | None = None
    """If it prepares several at once: the seed of the first, and their sizes."""


_batch = _Batch()


class batch_seed:
    """Within this block, this thread prepares the batch that has this seed."""

    def __init__(self, seed: int) -> None:
        self._seed: int | None = seed
        self._run: tuple[int, Sequence[int]] | None = None

    def __enter__(self) -> None:
        self._outer = _batch.seed, _batch.generator, _batch.streams, _batch.run
        self._outer_source, stand_in.source = stand_in.source, batch_generator
        _batch.seed, _batch.generator, _batch.streams, _batch.run = self._seed, None, 0, self._run

    def __exit__(self, *error: object) -> None:
        _batch.seed, _batch.generator, _batch.streams, _batch.run = self._outer
        stand_in.source = self._outer_source


class run_seeds(batch_seed):
    """Within this block, this thread prepares several batches of these sizes as one.

    Their seeds go up by one. They have their streams of random numbers, but no generator.
    """

    def __init__(self, seed: int, sizes: Sequence[int]) -> None:
        self._seed = None
        self._run = seed, sizes


def batch_generator() -> Generator | None:
    """The generator of the batch that this thread prepares; None elsewhere.

    There it stands in for the default generator, which would serve the threads in the order in
    which they happen to ask. So what a dataset draws with `torch.rand` and its like is the same for
    any number of workers.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import DataLoader, Dataset
    >>> class Noise(Dataset):
    ...     def __getitem__(self, index):
    ...         return torch.rand(2)
    ...     def __len__(self):
    ...         return 4
    >>> _ = torch.manual_seed(0)
    >>> one = list(DataLoader(Noise(), batch_size=2))
    >>> _ = torch.manual_seed(0)
    >>> two = list(DataLoader(Noise(), batch_size=2, num_workers=3))
    >>> all(torch.equal(a, b) for a, b in zip(one, two))
    True
    """
    if _batch.generator is None and _batch.seed is not None:
        # Made only where something draws: most batches need none.
        _batch.generator = Generator().manual_seed(_batch.seed)
    return _batch.generator


class SampleStreams:
    """One independent stream of random numbers for each of `count` samples.

    A random transform of a batch draws once from all streams together, a random transform of one
    image from a single stream. Within a batch of a loader the streams are counted, so a sample
    meets the same numbers either way: the two ways agree. Outside a loader each `SampleStreams`
    follows from one draw of the default generator, made when a number is first asked for.

    A stream is the generator splitmix64, and so is what the streams start from.

    Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import SampleStreams
    >>> _ = torch.manual_seed(0)
    >>> draws = SampleStreams(100).integers(6)
    >>> draws.shape, int(draws.min()), int(draws.max())
    ((100,), 0, 5)
    """

    _AHEAD = 4  # numbers of each stream that are made at once

    def __init__(self, count: int) -> None:
        self._count = count
        self._drawn = 0
        self._numbers: np.ndarray | None = None

    def uniform(self) -> np.ndarray:
        """For each sample a float64 in [0, 1)."""
        return (self._bits() >> np.uint64(11)) * 2.0**-53

    def integers(self, high: int) -> np.ndarray:
        """For each sample an int64 in [0, high), for `high` up to 2**31."""
        scaled = self._bits() >> np.uint64(32)
        scaled *= np.uint64(high)
        scaled >>= np.uint64(32)
        return scaled.view(np.int64)

    def _bits(self) -> np.ndarray:
        if self._numbers is None:
            self._first = self._first_state()
        row = self._drawn % self._AHEAD
        if row == 0:
            self._numbers = np.empty((self._AHEAD, self._count), np.uint64)
            launch(cpu, "random.streams", self._first, self._numbers, self._drawn)
        self._drawn += 1
        assert self._numbers is not None
        return self._numbers[row]

    def _first_state(self) -> np.ndarray:
        """What the streams begin with: the seeds' own streams, so many numbers further on."""
        seed, start = _batch.seed, _batch.streams
        if _batch.run is not None:
            _batch.streams += 1
            first_seed, sizes = _batch.run
            return np.uint64(first_seed) + _steps_of_run(tuple(sizes), start)
        if seed is None:
            seed = int(randint(2**62, ()).item())
        else:
            _batch.streams += self._count
        first = np.arange(start, start + self._count, dtype=np.uint64)
        return np.uint64(seed) + first * _STEP


@lru_cache(maxsize=8)  # in a walk they come again and again
def _steps_of_run(sizes: tuple[int, ...], start: int) -> np.ndarray:
    """How far behind the first seed the streams of each sample begin that its batch asks for after
    so many others."""
    counts = np.array(sizes, np.uint64)
    batches = np.repeat(np.arange(len(sizes)), sizes)
    before = np.cumsum(counts) - counts
    places = np.arange(len(batches), dtype=np.uint64) - before[batches]
    return batches.astype(np.uint64) + (places + np.uint64(start) * counts[batches]) * _STEP
