"""What the recorder of a step is told by the code that runs, besides launches.

A recorded step is repeated without its Python code. So code that puts a Python value where kernels
read it, or looks at one to decide what to launch, says so here.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "Recorder",
    "apart",
    "called",
    "is_recording",
    "leaf",
    "repeat",
    "restructured",
    "structure",
    "switched",
]


class Recorder:
    """Is told what one thread does; `launched` and `allocated` by its device."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.repeated: list[Callable[[], None]] = []
        self.leaves: dict[int, tuple[Any, bool, Any]] = {}
        """By id: a leaf, whether its gradient was read before it was written, and that gradient."""
        self.modes: dict[int, tuple[Any, bool]] = {}
        """By id: a module that was called, and whether it was in training mode."""
        self.foreseen = 0
        """How often `structure` went up for what the step takes into account already."""

    def launched(self, device: Any, name: str, args: tuple[Any, ...]) -> bool:
        """A kernel is about to run on a device; whether that is put off."""
        return False

    def allocated(self, device: Any, buffer: Any) -> None:
        """A device made a buffer."""

    def read(self) -> None:
        """A tensor's value is about to be looked at."""
        raise RuntimeError(
            "the value of a tensor is read in a compiled function, which later runs without "
            "its Python code; return the tensor, and read it outside"
        )

    def made(self, buffer: Any) -> bool:
        """Whether a buffer was made in this step."""
        return False


recorder: Recorder | None = None
"""The one there is; only one thread records at a time."""

structure = 0
"""Goes up when anything changes by which steps take other ways: what a module is made of, the
parameters of an optimizer, whether a tensor requires grad."""

switches = 0
"""Goes up when a module is put into training or evaluation mode."""


def is_recording() -> bool:
    """Whether this thread's step is being recorded."""
    return recorder is not None and recorder.thread == threading.get_ident()


def repeat(action: Callable[[], None]) -> None:
    """Before the recorded step is repeated, run this, which puts Python values into buffers."""
    if recorder is not None and is_recording():
        recorder.repeated.append(action)


def switched() -> None:
    """Say that a module changed between training and evaluation mode."""
    global switches
    switches += 1


def called(module: Any) -> None:
    """Note that a module is about to run, whose mode decides which way the step takes."""
    if recorder is not None and is_recording():
        recorder.modes.setdefault(id(module), (module, module.training))


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """What is launched in the block is no part of the step: before it is repeated, `repeat` does
    the like."""
    global recorder
    if not is_recording():  # another thread's recording is none of this one's business
        yield
        return
    before, recorder = recorder, None
    try:
        yield
    finally:
        recorder = before


def leaf(tensor: Any, read: bool) -> None:
    """Note that a leaf's gradient is about to be read or replaced."""
    if recorder is None or not is_recording() or id(tensor) in recorder.leaves:
        return
    if not recorder.made(tensor._buffer):
        recorder.leaves[id(tensor)] = tensor, read, tensor._grad


def restructured(buffer: Any = None, *, foreseen: bool = False) -> None:
    """Say that steps recorded before may take other ways now, unless all that changed is a tensor
    with a buffer that the step itself made.

    It is `foreseen` if the step that is being recorded takes the new way already.
    """
    global structure
    if recorder is not None and is_recording():
        if buffer is not None and recorder.made(buffer):
            return
        recorder.foreseen += foreseen
    structure += 1
