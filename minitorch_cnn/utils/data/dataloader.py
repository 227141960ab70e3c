"""The loader: batches of a dataset, prepared ahead by threads."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, cycle, islice, repeat
from operator import index as as_int
from typing import Any

from ... import Generator, Tensor, cuda, randint
from .collate import default_collate, default_convert, pin
from .dataset import IterableDataset, batch_fetcher, fetch_run, fetch_samples, joinable, singly
from .randomness import batch_seed
from .sampler import BatchSampler, RandomSampler, Runs, SequentialSampler
from .workers import Epoch, Team

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")

# Small batches are prepared in runs of up to so many, and of about so many bytes: what Python code
# and hand-overs between threads cost is shared by the run.
LONGEST_RUN = 64
RUN_BYTES = 1 << 21

_END = object()


class DataLoader:
    """Iterates over a dataset in batches; each time anew, and in a new order where it shuffles.

    Arguments:
    - `dataset`: anything with `__getitem__`, and with `__len__` unless a sampler is given; or an
      `IterableDataset`, which decides on the order itself.
    - `batch_size`, `drop_last`: samples in a batch; whether a shorter last batch is left out. With
      `batch_size=None` samples come one by one, through `default_convert`.
    - `shuffle`, `sampler`, `batch_sampler`: the order; at most one of them.
    - `num_workers`: threads that prepare batches ahead, `prefetch_factor` (2) for each; 0 prepares
      a batch when it is asked for. Threads share the dataset with the caller and with each other,
      so nothing is copied or pickled, and NumPy and our kernels run while they work.
    - `collate_fn`: makes a batch of a list of samples, `default_collate` unless given. With that
      default, a dataset that has `get_batch` (see `Dataset`) hands out whole batches.
    - `timeout`: how many seconds to wait for a batch of a worker; 0 waits for ever.
    - `worker_init_fn`: called with the worker's number as it begins; see `get_worker_info`.
    - `persistent_workers`: whether workers stay for the next epoch.
    - `pin_memory`: whether batches lie in pinned memory, from which `to("cuda", non_blocking=True)`
      does not wait for the GPU. Without a GPU it warns, as PyTorch does, and does nothing.
    - `generator`: the source of the shuffling and of the seeds of the batches.

    Batches come in the sampler's order, and equal seeds give equal batches for any number of
    workers: the transforms of `vision` draw from streams that belong to the batch, and all else in
    this package from its `batch_generator()`, as long as the batch is being made. Python's and
    NumPy's own generators the threads share: what is drawn from them comes in no certain order. The
    workers of an `IterableDataset` take turns.
    An exception in a worker is raised where its batch is taken, with its original traceback, and
    ends the iteration. Threads end with the iterator, be it used up or not.

    PyTorch's `multiprocessing_context`, `pin_memory_device` and `in_order` are left out: there are
    no processes, memory is pinned for CUDA alone, and batches come in order.

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
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        *,
        generator: Generator | None = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if as_int(num_workers) < 0:
            raise ValueError(f"num_workers option should be non-negative, but got {num_workers}")
        if timeout < 0:
            raise ValueError(f"timeout option should be non-negative, but got {timeout}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                f"prefetch_factor={prefetch_factor} needs workers: let num_workers be positive, "
                "or leave prefetch_factor out"
            )
        if prefetch_factor is not None and as_int(prefetch_factor) < 1:
            raise ValueError(f"prefetch_factor should be positive, but got {prefetch_factor}")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        for option, given in (("shuffle", shuffle), ("sampler", sampler)):
            if isinstance(dataset, IterableDataset) and given not in (None, False):
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {option} option, "
                    f"but got {option}={given}"
                )
        if isinstance(dataset, IterableDataset) and batch_sampler is not None:
            raise ValueError(
                "DataLoader with IterableDataset: expected unspecified batch_sampler option, "
                f"but got batch_sampler={batch_sampler}"
            )
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
        if isinstance(dataset, IterableDataset):
            sampler = repeat(None)  # it has nothing to say
        elif sampler is None:
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
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._kept: list[Team] = []
        # Not at the program's end, which need not wait for what they are doing.
        weakref.finalize(self, _dismiss, self._kept).atexit = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and name in self.__dict__:
            raise ValueError(f"{name} attribute should not be set after DataLoader is initialized")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            length = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return length
            whole, rest = divmod(length, self.batch_size)
            return whole + (rest > 0 and not self.drop_last)
        order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        return len(order)

    def __iter__(self) -> Iterator[Any]:
        if self.pin_memory and not cuda.is_available():
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=2,
            )
        seed = int(randint(2**62, (), generator=self.generator).item())
        if self.num_workers:
            return self._prefetched(seed)
        if self.timeout:
            raise ValueError(f"timeout={self.timeout} needs workers: let num_workers be positive")
        return self._on_demand(seed)

    @property
    def _joins(self) -> bool:
        """Whether several batches can be had at once, as one to be cut."""
        whole = self.batch_sampler is not None and self.collate_fn is default_collate
        return whole and not isinstance(self.dataset, IterableDataset) and joinable(self.dataset)

    def _tasks(self, seed: int, steady: bool) -> Callable[[int], Any]:
        """A function that says what to prepare next, up to so many batches, or None at the end.

        If they are to be `steady`, several are taken at once only where nobody can tell.
        """
        if self._joins:
            runs = Runs(self.batch_sampler)
            ahead = not steady or (runs.steady and getattr(self.dataset, "steady", False))

            def take(count: int) -> Any:
                nonlocal seed
                indices, sizes = runs.take(count if ahead else 1)
                task = indices, sizes, seed
                seed += len(sizes)
                return task if sizes else None

            return take
        order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        if isinstance(self.dataset, IterableDataset):
            order = repeat(None)
        tasks = zip(order, count(seed))
        return lambda count: next(tasks, None)

    def _preparer(self) -> Callable[[Any], list[Any]]:
        """A function that prepares the batches of a task."""
        dataset, collate = self.dataset, self.collate_fn
        if self._joins:
            return functools.partial(fetch_run, dataset)
        if self.batch_sampler is None:
            prepare = lambda index: collate(dataset[index])  # noqa: E731
        elif collate is default_collate:
            prepare = batch_fetcher(dataset)
        else:
            prepare = lambda indices: collate(fetch_samples(dataset, indices))  # noqa: E731

        def prepare_seeded(task: tuple[Any, int]) -> list[Any]:
            wanted, seed = task
            with batch_seed(seed):
                return [prepare(wanted)]

        return prepare_seeded

    def _stream(self) -> Callable[[Any], Any]:
        """A function that prepares the next batch of an iterable dataset, or returns `_END`."""
        samples: Iterator[Any] | None = None

        def prepare(task: tuple[Any, int]) -> Any:
            nonlocal samples
            with batch_seed(task[1]):
                if samples is None:  # in the worker's thread, which is to know its part
                    samples = iter(self.dataset)
                if self.batch_size is None:
                    sample: Any = next(samples, _END)
                    return _END if sample is _END else [self.collate_fn(sample)]
                batch = list(islice(samples, self.batch_size))
                if len(batch) < (self.batch_size if self.drop_last else 1):
                    return _END
                return [self.collate_fn(batch)]

        return prepare

    def _on_demand(self, seed: int) -> Iterator[Any]:
        take, prepare = self._tasks(seed, steady=True), self._new_preparer()
        length = 0
        while (task := take(length or 1)) is not None:
            try:
                batches = prepare(task)
            except Exception:
                if not self._joins or length < 2:
                    raise
                for single in singly(*task):  # until the batch that can't be had
                    yield from prepare(single)
                continue
            if batches is _END:
                return
            length = length or run_length(batches[0])
            yield from batches

    def _new_preparer(self) -> Callable[[Any], Any]:
        iterable = isinstance(self.dataset, IterableDataset)
        prepare = self._stream() if iterable else self._preparer()
        if not (self.pin_memory and cuda.is_available()):
            return prepare

        def pinned(task: Any) -> Any:
            batches = prepare(task)
            return batches if batches is _END else [pin(batch) for batch in batches]

        return pinned

    def _prefetched(self, seed: int) -> Iterator[Any]:
        workers = self.num_workers
        team = self._kept.pop() if self._kept else self._new_team(seed)
        epoch = Epoch(team)
        prepare = [self._new_preparer() for _ in range(workers)]
        # Consumed here, in the caller's thread, so that samplers need not be thread-safe.
        take, turns = self._tasks(seed, steady=False), cycle(range(workers))
        active = set(range(workers))
        asked: deque[int] = deque()
        length = 0

        def ask() -> None:
            task = take(length or 1) if active else None
            if task is not None:
                worker = next(number for number in turns if number in active)
                epoch.ask(worker, prepare[worker], task)
                asked.append(worker)

        try:
            for _ in range(workers * (self.prefetch_factor or 0)):
                ask()
            while asked:
                worker = asked.popleft()
                if worker not in active:
                    continue
                batches = epoch.receive(worker, self.timeout)
                if batches is _END:
                    active.discard(worker)
                    ask()
                    continue
                length = length or run_length(batches[0])
                ask()
                yield from batches
        finally:  # a dropped iterator ends here, too
            epoch.given_up = True
            if self.persistent_workers and not self._kept:
                self._kept.append(team)
            else:
                team.stop()

    def _new_team(self, seed: int) -> Team:
        return Team(self.num_workers, seed, self.dataset, self.worker_init_fn)


def _dismiss(teams: list[Team]) -> None:
    while teams:
        teams.pop().stop()


def run_length(batch: Any) -> int:
    """How many batches such as this are prepared at once."""
    return max(1, min(LONGEST_RUN, RUN_BYTES // max(1, _bytes(batch))))


def _bytes(batch: Any) -> int:
    """How many bytes the tensors of a batch hold."""
    if isinstance(batch, Tensor):
        return batch.numel() * batch.element_size()
    if isinstance(batch, dict):
        batch = list(batch.values())
    return sum(map(_bytes, batch)) if isinstance(batch, (list, tuple)) else 0
