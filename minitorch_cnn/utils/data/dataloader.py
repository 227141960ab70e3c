"""The loader: batches of a dataset, prepared ahead by threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import index as as_int
from typing import Any

from ... import Generator, randint
from .collate import default_collate, default_convert
from .dataset import fetch_batch, fetch_samples
from .randomness import batch_seed
from .sampler import BatchSampler, RandomSampler, SequentialSampler

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset")
_thread = threading.local()


class DataLoader:
    """Iterates over a dataset in batches; each time anew, and in a new order where it shuffles.

    Arguments:
    - `dataset`: anything with `__getitem__`, and with `__len__` unless a sampler is given.
    - `batch_size`, `drop_last`: samples in a batch; whether a shorter last batch is left out. With
      `batch_size=None` samples come one by one, through `default_convert`.
    - `shuffle`, `sampler`, `batch_sampler`: the order; at most one of them.
    - `num_workers`: threads that prepare batches ahead, `prefetch_factor` (2) for each; 0 prepares
      a batch when it is asked for. Threads share the dataset with the caller and with each other,
      so nothing is copied or pickled, and NumPy and our kernels run while they work.
    - `collate_fn`: makes a batch of a list of samples, `default_collate` unless given. With that
      default, a dataset that has `get_batch` (see `Dataset`) hands out whole batches.
    - `generator`: the source of the shuffling and of the seeds of the batches.

    Batches come in the sampler's order, and equal seeds give equal batches for any number of
    workers: the transforms of `vision` draw from streams that belong to the batch, and datasets can
    draw from `batch_generator()`, which does, too. An exception in a worker is raised where its
    batch is taken, with its original traceback, and ends the iteration. Threads end with the
    iterator, be it used up or not.

    Raises ValueError for arguments that contradict each other, as PyTorch's loader does.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.utils.data import DataLoader, TensorDataset
    >>> for (batch,) in DataLoader(TensorDataset(torch.arange(5)), batch_size=2, num_workers=2):
    ...     print(batch)
    tensor([0, 1])
    tensor([2, 3])
    tensor([4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        *,
        drop_last: bool = False,
        generator: Generator | None = None,
        prefetch_factor: int | None = None,
    ) -> None:
        if as_int(num_workers) < 0:
            raise ValueError(f"num_workers option should be non-negative, but got {num_workers}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                f"prefetch_factor={prefetch_factor} needs workers: let num_workers be positive, "
                "or leave prefetch_factor out"
            )
        if prefetch_factor is not None and as_int(prefetch_factor) < 1:
            raise ValueError(f"prefetch_factor should be positive, but got {prefetch_factor}")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                    f"and drop_last, but got {batch_size=}, {shuffle=}, {sampler=}, {drop_last=}"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        if sampler is None:
            sampler = (
                RandomSampler(dataset, generator=generator)
                if shuffle
                else SequentialSampler(dataset)
            )
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor or (2 if num_workers else None)
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and name in self.__dict__:
            raise ValueError(f"{name} attribute should not be set after DataLoader is initialized")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        return len(order)

    def __iter__(self) -> Iterator[Any]:
        seed = int(randint(2**62, (), generator=self.generator).item())
        return self._prefetched(seed) if self.num_workers else self._on_demand(seed)

    def _tasks(self, seed: int) -> Iterator[tuple[Any, int]]:
        """What to fetch for each batch, and the seed of its random numbers."""
        order = self.sampler if self.batch_sampler is None else self.batch_sampler
        return ((wanted, seed + number) for number, wanted in enumerate(order))

    def _prepare(self, wanted: Any, seed: int) -> Any:
        with batch_seed(seed):
            if self.batch_sampler is None:
                return self.collate_fn(self.dataset[wanted])
            if self.collate_fn is default_collate:
                return fetch_batch(self.dataset, wanted)
            return self.collate_fn(fetch_samples(self.dataset, wanted))

    def _on_demand(self, seed: int) -> Iterator[Any]:
        for task in self._tasks(seed):
            yield self._prepare(*task)

    def _prefetched(self, seed: int) -> Iterator[Any]:
        # Imported here: a loader without workers need not wait for it.
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(self.num_workers, "DataLoader", initializer=_mark_as_worker)
        # Consumed here, in the caller's thread, so that samplers need not be thread-safe.
        submitted = (pool.submit(self._prepare, *task) for task in self._tasks(seed))
        ahead = self.num_workers * (self.prefetch_factor or 0)
        try:
            pending = deque(islice(submitted, ahead))
            while pending:
                batch = pending.popleft().result()
                pending.extend(islice(submitted, 1))
                yield batch
        finally:
            # A dropped iterator ends here, too. The garbage collector may drop it in a worker's
            # thread, which cannot wait for itself.
            pool.shutdown(wait=not hasattr(_thread, "is_worker"), cancel_futures=True)


def _mark_as_worker() -> None:
    _thread.is_worker = True
