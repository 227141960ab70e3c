"""What a recorded step consists of: launches, and the pieces of memory that they show."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import record
from ..device import Device

__all__ = ["Launch", "Root", "Slot", "StepRecorder", "arrays_of", "slots", "with_arrays"]


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

    __slots__ = ("array", "input", "nbytes", "start", "weak")

    def __init__(self, array: np.ndarray[Any, Any], is_input: bool) -> None:
        self.start, self.nbytes = array.ctypes.data, array.nbytes
        self.input = is_input
        """Whether it is an argument's, which may lie elsewhere in each call."""
        self.array: Any = array if is_input else None
        """The contiguous array that has the memory; None while somebody else may hold it or not."""
        self.weak = None if is_input else weakref.ref(array)

    @property
    def is_free(self) -> bool:
        """Whether nobody holds it: the plan may lay it out where it likes."""
        return self.weak is not None and self.weak() is None


class StepRecorder(record.Recorder):
    """Notes launches, and the memory that they show."""

    def __init__(self, inputs: Sequence[np.ndarray[Any, Any]]) -> None:
        super().__init__()
        self.launches: list[Launch] = []
        self.roots = [Root(array, True) for array in inputs]
        self._inputs = [(r.start, r.start + r.nbytes, i) for i, r in enumerate(self.roots)]
        self._made: dict[int, int] = {}

    def launched(self, device: Device, name: str, args: tuple[Any, ...]) -> None:
        self.launches.append(Launch(device, name, with_arrays(args, self.slot)))

    def allocated(self, buffer: np.ndarray[Any, Any]) -> None:
        self._made[id(buffer)] = len(self.roots)
        self.roots.append(Root(buffer, False))

    def made(self, buffer: Any) -> bool:
        return isinstance(self.slot(buffer), Slot)

    def slot(self, array: np.ndarray[Any, Any]) -> Any:
        address = array.ctypes.data
        number = next((n for a, b, n in self._inputs if a <= address < b), None)
        if number is None:
            owner: Any = array
            while type(owner.base) is np.ndarray:
                owner = owner.base
            number = self._made.get(id(owner))
            if number is None or self.roots[number].weak() is not owner:  # type: ignore[misc]
                return array  # made before, or not by a device: a parameter, a constant
        offset = address - self.roots[number].start
        return Slot(number, offset, array.shape, array.strides, array.dtype)


def with_arrays(args: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
    """A launch's arguments, with what `change` makes of each array or slot in its place."""
    changed = []
    for a in args:
        if isinstance(a, (np.ndarray, Slot)):
            a = change(a)
        elif isinstance(a, tuple) and a and isinstance(a[0], (np.ndarray, Slot)):
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


def slots(launch: Launch) -> list[Slot]:
    """The slots among a launch's arguments."""
    return [a for a in arrays_of(launch.args) if isinstance(a, Slot)]
