"""Where the time goes: every kernel that is launched in a block, with its shapes and its time."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .device import Device, observe
from .plan.recorder import arrays_of, bytes_of, shown_shapes
from .printing import aligned

__all__ = ["Event", "EventList", "ProfilerActivity", "profile"]

Self = TypeVar("Self", bound="profile")


class ProfilerActivity(enum.Enum):
    """On which devices launches are noted."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class Event:
    """A launch, or several of one kernel together."""

    key: str
    """The kernel's name, "family.function"."""
    input_shapes: tuple[tuple[int, ...], ...]
    """Shapes of all arrays that it was given, those that it writes among them; () if launches on
    other shapes are counted with it."""
    nbytes: int
    """Bytes of those arrays, of all launches together."""
    count: int
    """Launches."""
    cpu_time_total: float
    """Microseconds, of all launches together."""

    @property
    def cpu_time(self) -> float:
        """Microseconds of a launch, on average."""
        return self.cpu_time_total / self.count


class EventList(list[Event]):
    """Events, in the order of their first launch."""

    def total_average(self) -> Event:
        """All together."""
        us = sum([e.cpu_time_total for e in self], 0.0)
        return Event("Total", (), sum([e.nbytes for e in self]), sum([e.count for e in self]), us)

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """Kernels, launches, bytes, microseconds and shares of the time.

        - `sort_by`: an event's attribute, of which the largest come first, such as
          "cpu_time_total"; if None, the order is that of the first launches
        - `row_limit`: rows that are shown; -1 for all
        """
        events = list(self)
        if sort_by is not None:
            if sort_by not in SORTABLE:
                raise ValueError(f"table: sort_by must be one of {SORTABLE}, not {sort_by!r}")
            events.sort(key=lambda event: -getattr(event, sort_by))
        shown = events if row_limit < 0 else events[:row_limit]
        total = self.total_average()
        rows = [("kernel", "shapes", "launches", "bytes", "us", "share")]
        for e in shown:
            share = e.cpu_time_total / total.cpu_time_total if total.cpu_time_total else 0.0
            shapes = shown_shapes(e.input_shapes)
            numbers = (f"{e.count:,}", f"{e.nbytes:,}", f"{e.cpu_time_total:.1f}")
            rows.append((e.key, shapes, *numbers, f"{share:.1%}"))
        numbers = (f"{total.count:,}", f"{total.nbytes:,}", f"{total.cpu_time_total:.1f}")
        rows.append(("together", "", *numbers, ""))
        return aligned(rows, left=2)


SORTABLE = ("count", "cpu_time", "cpu_time_total", "nbytes")


class profile:
    """Note every launch in the block: `with profile() as prof: ...`, then read `prof`.

    While it looks on, each launch is waited for before the next, and no backward pass is repeated
    without its Python code, as those of training loops otherwise are. Launches of all threads are
    noted, but none inside a function of `compile`, of which `compile(f).explain` tells.

    - `activities`: on which devices; if None, on all
    - `record_shapes`: whether launches on arrays of other shapes can be told apart afterwards

    Named after https://docs.pytorch.org/docs/stable/profiler.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.profiler import profile
    >>> x = torch.ones(4, 4)
    >>> with profile(record_shapes=True) as prof:
    ...     y = (x @ x).relu()
    >>> [event.key for event in prof.key_averages()]
    ['matmul.matmul', 'activation.relu']
    >>> print(prof.key_averages().table(sort_by="cpu_time_total"))  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        record_shapes: bool = False,
    ) -> None:
        self._devices = {a.value for a in (ProfilerActivity if activities is None else activities)}
        self._record_shapes = record_shapes
        self._events: list[Event] = []
        self._before: Any = None

    def __enter__(self: Self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to note launches."""
        self._before = observe(self._note)

    def stop(self) -> None:
        """Note no more."""
        observe(self._before)
        self._before = None

    def _note(
        self, device: Device, name: str, function: Any, args: Sequence[Any], seconds: float
    ) -> None:
        if device.type in self._devices:
            arrays = arrays_of(tuple(args))
            shapes = tuple([a.shape for a in arrays]) if self._record_shapes else ()
            self._events.append(Event(name, shapes, bytes_of(arrays), 1, seconds * 1e6))
        if self._before is not None:
            self._before(device, name, function, args, seconds)

    def events(self) -> EventList:
        """Every launch, in order."""
        return EventList(self._events)

    def key_averages(self, group_by_input_shape: bool = False) -> EventList:
        """The launches of a kernel together; or those on arrays of the same shapes, if these were
        recorded."""
        if group_by_input_shape and not self._record_shapes:
            raise ValueError("key_averages: shapes are known only to profile(record_shapes=True)")
        together: dict[Any, Event] = {}
        for e in self._events:
            shapes = e.input_shapes if group_by_input_shape else ()
            old = together.get((e.key, shapes), Event(e.key, shapes, 0, 0, 0.0))
            total = old.cpu_time_total + e.cpu_time_total
            new = Event(e.key, shapes, old.nbytes + e.nbytes, old.count + 1, total)
            together[e.key, shapes] = new
        return EventList(together.values())
