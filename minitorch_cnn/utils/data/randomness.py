"""Where the random numbers of a batch come from: not from the thread that happens to prepare it.

A loader gives each batch a seed, made of the epoch's seed and the batch's number. What is random
while that batch is prepared follows from this seed, so a seeded run yields the same batches for any
number of workers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ... import Generator, randint

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class _Batch(threading.local):
    """The batch that a thread prepares; without a seed, none."""

    seed: int | None = None
    generator: Generator | None = None
    streams = 0


_batch = _Batch()


@contextmanager
def batch_seed(seed: int) -> Iterator[None]:
    """Within this block, this thread prepares the batch that has this seed."""
    outer = _batch.seed, _batch.generator, _batch.streams
    _batch.seed, _batch.generator, _batch.streams = seed, None, 0
    try:
        yield
    finally:
        _batch.seed, _batch.generator, _batch.streams = outer


def batch_generator() -> Generator | None:
    """The generator of the batch that this thread prepares; None, for the default one, elsewhere.

    A dataset passes it on to what it draws with: the default generator would serve the threads in
    the order in which they happen to ask.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import DataLoader, Dataset, batch_generator
    >>> class Noise(Dataset):
    ...     def __getitem__(self, index):
    ...         return torch.rand(2, generator=batch_generator())
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

    def __init__(self, count: int) -> None:
        self._count = count
        self._state: np.ndarray | None = None

    def uniform(self) -> np.ndarray:
        """For each sample a float64 in [0, 1)."""
        return (self._bits() >> np.uint64(11)) * 2.0**-53

    def integers(self, high: int) -> np.ndarray:
        """For each sample an int64 in [0, high), for `high` up to 2**31."""
        scaled = (self._bits() >> np.uint64(32)) * np.uint64(high)
        return (scaled >> np.uint64(32)).astype(np.int64)

    def _bits(self) -> np.ndarray:
        if self._state is None:
            self._state = self._first_state()
        self._state += _STEP
        return _mixed(self._state)

    def _first_state(self) -> np.ndarray:
        seed, start = _batch.seed, _batch.streams
        if seed is None:
            seed = int(randint(2**62, ()).item())
        else:
            _batch.streams += self._count
        numbers = np.arange(start + 1, start + 1 + self._count, dtype=np.uint64)
        return _mixed(np.uint64(seed) + numbers * _STEP)


def _mixed(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))
