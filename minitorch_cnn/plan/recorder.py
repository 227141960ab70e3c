"""What a recorded step consists of: launches, and the pieces of memory that they show."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import record
from ..device import Device
from ..memory import Foreign, address, owner

__all__ = [
    "Conditions",
    "Launch",
    "Root",
    "Slot",
    "StepRecorder",
    "arrays_of",
    "bytes_of",
    "recording",
    "shown_shapes",
    "slots",
    "with_arrays",
]


class Slot(NamedTuple):
    """An array of a launch: some of the bytes of a root."""

    root: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


class Launch(NamedTuple):
    """A recorded launch. Its arrays are slots, or themselves if they stay where they are."""

    device: Device
    name: str
    args: tuple[Any, ...]


class Root:
    """A piece of memory that the recorded function made, or was given."""

    __slots__ = ("device", "memory", "nbytes", "start", "weak")

    def __init__(self, device: Device | None, start: int, nbytes: int) -> None:
        self.device = device
        """Whose memory it is; None for an argument."""
        self.start, self.nbytes = start, nbytes
        self.memory: Any = None
        """What `part` takes to show it; None while somebody else may hold it or not."""
        self.weak: Callable[[], Any] = _nobody

    @classmethod
    def given(cls, buffer: Any) -> Root:
        """An argument's, which may lie elsewhere in each call."""
        self = cls(None, address(buffer), buffer.nbytes)
        self.memory = buffer
        return self

    @classmethod
    def made(cls, device: Device, buffer: Any) -> Root:
        """A new buffer's."""
        self = cls(device, address(buffer), buffer.nbytes)
        self.weak = weakref.ref(owner(buffer))
        return self

    @property
    def input(self) -> bool:
        """Whether it is an argument's."""
        return self.device is None

    @property
    def is_free(self) -> bool:
        """Whether nobody holds it: the plan may lay it out where it likes."""
        return not self.input and self.weak() is None


def _nobody() -> None:
    """Who holds memory that does not exist yet."""


class StepRecorder(record.Recorder):
    """Notes launches, and the memory that they show; whether it puts them off."""

    def __init__(self, inputs: Sequence[Any], puts_off: bool = False) -> None:
        super().__init__()
        self.puts_off = puts_off
        self.launches: list[Launch] = []
        self.roots = [Root.given(buffer) for buffer in inputs]
        self._inputs = [(r.start, r.start + r.nbytes, i) for i, r in enumerate(self.roots)]
        self._made: dict[int, int] = {}

    def launched(self, device: Device, name: str, args: tuple[Any, ...]) -> bool:
        self.launches.append(Launch(device, name, with_arrays(args, self.slot)))
        return self.puts_off

    def allocated(self, device: Device, buffer: Any) -> None:
        self._made[id(owner(buffer))] = len(self.roots)
        self.roots.append(Root.made(device, buffer))

    def made(self, buffer: Any) -> bool:
        return isinstance(self.slot(buffer), Slot)

    def slot(self, array: Any) -> Any:
        start = address(array)
        number = next((n for a, b, n in self._inputs if a <= start < b), None)
        if number is None:
            whole = owner(array)
            number = self._made.get(id(whole))
            if number is None or self.roots[number].weak() is not whole:
                return array  # made before, or not by a device: a parameter, a constant
        offset = start - self.roots[number].start
        return Slot(number, offset, array.shape, array.strides, array.dtype)


_one_at_a_time = threading.RLock()


def _after_fork() -> None:
    """In a forked child, another thread may have been recording, and will never end."""
    global _one_at_a_time
    _one_at_a_time, record.recorder = threading.RLock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def recording(recorder: StepRecorder) -> Iterator[None]:
    """Have what this thread does noted."""
    with _one_at_a_time:
        record.recorder = recorder
        try:
            yield
        finally:
            record.recorder = None


class Conditions:
    """What must be as it was when a function was recorded, for its launches to be repeated."""

    def __init__(self, recorder: StepRecorder) -> None:
        self.structure, self._switches = record.structure, record.switches
        self._modes = [*recorder.modes.values()]
        self._expected = [(t, g) for t, read, g in recorder.leaves.values() if read]

    def fits(self) -> bool:
        """Whether nothing changed by which the function would take another way."""
        if self.structure != record.structure:
            return False
        if self._switches != record.switches:
            if any([module.training is not mode for module, mode in self._modes]):
                return False
            self._switches = record.switches
        return all([t._grad is g for t, g in self._expected])


_ARRAYS = (np.ndarray, Foreign, Slot)


def with_arrays(args: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
    """A launch's arguments, with what `change` makes of each array or slot in its place."""
    changed = []
    for a in args:
        if isinstance(a, _ARRAYS):
            a = change(a)
        elif isinstance(a, tuple) and a and isinstance(a[0], _ARRAYS):
            parts = tuple([change(part) for part in a])
            if any([new is not old for new, old in zip(parts, a)]):
                a = parts
        changed.append(a)
    return tuple(changed)


def arrays_of(args: tuple[Any, ...]) -> list[Any]:
    """The arrays and slots among a launch's arguments."""
    found: list[Any] = []

    def note(array: Any) -> Any:
        found.append(array)
        return array

    with_arrays(args, note)
    return found


def bytes_of(arrays: Sequence[Any]) -> int:
    """Bytes of all elements of arrays or slots."""
    return sum([math.prod(a.shape) * a.dtype.itemsize for a in arrays])


def shown_shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    """Shapes as a table of launches shows them: the first few."""
    few = " ".join(["x".join(map(str, shape)) or "()" for shape in shapes[:6]])
    return few + " .." * (len(shapes) > 6)


def slots(launch: Launch) -> list[Slot]:
    """The slots among a launch's arguments."""
    return [a for a in arrays_of(launch.args) if isinstance(a, Slot)]
