"""The threads that prepare batches ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["Epoch", "Team", "WorkerInfo", "get_worker_info"]


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker a thread is: its number of how many, a seed of its own, and the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Here(threading.local):
    info: WorkerInfo | None = None


_here = _Here()


def get_worker_info() -> WorkerInfo | None:
    """In a loader's worker, which one it is; elsewhere None.

    An `IterableDataset` asks it to hand out its share alone. As
    https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.get_worker_info; but workers are
    threads, which share one dataset.

    >>> from minitorch_cnn.utils.data import get_worker_info
    >>> get_worker_info() is None
    True
    """
    return _here.info


class Team:
    """Workers, each with a queue of what it is asked to prepare."""

    def __init__(
        self, count: int, seed: int, dataset: Any, init: Callable[[int], Any] | None
    ) -> None:
        self.queues: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(count)]
        self.threads = []
        for number, queue in enumerate(self.queues):
            info = WorkerInfo(number, count, seed + number, dataset)
            # As daemons: a program that ends half-way through an epoch does not wait for them.
            thread = threading.Thread(
                target=_work, args=(queue, info, init), name=f"DataLoader_{number}", daemon=True
            )
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        """Let every worker end after what it is doing, and wait for that."""
        for queue in self.queues:
            queue.put(None)
        # The garbage collector may do this in a worker's thread, which cannot wait for itself.
        if _here.info is None:
            for thread in self.threads:
                thread.join()


class Epoch:
    """One walk's use of a team: asks for batches and receives them in the same order."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.given_up = False
        self._replies: list[SimpleQueue[Any]] = [SimpleQueue() for _ in team.queues]

    def ask(self, worker: int, prepare: Callable[[Any], Any], wanted: Any) -> None:
        """Have a worker prepare something."""
        self.team.queues[worker].put((self, worker, prepare, wanted))

    def receive(self, worker: int, timeout: float) -> Any:
        """What the worker was asked for first of all that it has not yet handed over.

        Raises what was raised there, and RuntimeError after so many seconds, unless they are 0.
        """
        try:
            result, error = self._replies[worker].get(timeout=timeout or None)
        except Empty:
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds") from None
        if error is not None:
            raise error
        return result


def _work(queue: SimpleQueue[Any], info: WorkerInfo, init: Callable[[int], Any] | None) -> None:
    _here.info = info
    failure: BaseException | None = None
    if init is not None:
        try:
            init(info.id)
        except BaseException as error:
            failure = error
    while (task := queue.get()) is not None:
        epoch, worker, prepare, wanted = task
        reply: tuple[Any, BaseException | None] = None, failure
        if failure is None and not epoch.given_up:
            try:
                reply = prepare(wanted), None
            except BaseException as error:
                reply = None, error
        epoch._replies[worker].put(reply)
        del task, epoch, prepare, wanted, reply  # nothing lives longer for the waiting
