"""Launches prepared once, to be repeated without asking again how.

What a launch is given, from its blocks to the memory of its buffers, was worked out when it was
noted, and stays; but for inputs, which may lie elsewhere each time.

CUDA graphs, which start many launches at once, are not used. numba-cuda can launch into one, by
taking a `GraphBuilder` of cuda.core for a stream; but a graph can be built, and tried, on a GPU
alone, and none was at hand.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...memory import Foreign, address, part
from .buffer import Buffer, OnHost, Scratch, noted
from .registry import Call

__all__ = ["bind"]

Launch = tuple[Callable[..., None], tuple[Any, ...]]
"""A launcher and its arguments."""

Place = tuple[int, int]
"""Where an input lies: its address, and how many bytes."""


def bind(launches: Sequence[Launch], inputs: Sequence[Any]) -> Callable[[Sequence[Any]], None]:
    """A function that makes launches, with buffers like `inputs` in the place of those."""
    return Chain(launches, [(address(a), max(a.nbytes, 1)) for a in inputs])


class Chain:
    """Launches that are made one after the other."""

    def __init__(self, launches: Sequence[Launch], places: list[Place]) -> None:
        self._launches = launches  # and with them the memory of their arguments
        self._places = places
        self._scratch = Scratch()
        self._steps: list[tuple[Callable[..., None], bool]] = []
        """Each step, and whether it is told where inputs lie."""
        for function, args in launches:
            self._steps += self._steps_of(function, args)

    def _steps_of(
        self, function: Callable[..., None], args: tuple[Any, ...]
    ) -> list[tuple[Callable[..., None], bool]]:
        # A kernel that finds buffers by their addresses has these in a table, which stays.
        listed = any([type(a) is tuple and self._shows(a) for a in args])
        calls = None if listed else self._note(function, args)
        if calls is None:
            return [self._in_python(function, args)]
        # The calls go, and with them the buffers: what they worked in is free for the next launch.
        return [self._prepared(call) for call in calls]

    def __call__(self, buffers: Sequence[Any]) -> None:
        for step, told in self._steps:
            if told:
                step(buffers)
            else:
                step()

    def _note(self, function: Callable[..., None], args: tuple[Any, ...]) -> list[Call] | None:
        """The launches of kernels that a launcher comes to, none of them made; None if the host
        would copy something itself."""
        noted.calls, noted.scratch = [], self._scratch
        try:
            function(*args)
            return noted.calls
        except OnHost:
            return None
        finally:
            noted.calls = noted.scratch = None

    def _in_python(
        self, function: Callable[..., None], args: tuple[Any, ...]
    ) -> tuple[Callable[..., None], bool]:
        if not self._shows(args):
            return lambda: function(*args), False
        return lambda buffers: function(*self._moved(args, buffers)), True

    def _prepared(self, call: Call) -> tuple[Callable[..., None], bool]:
        kernel, blocks, args = call
        shown = [(i, a) for i, a in enumerate(args) if self._shows(a)]
        given = [a.flat if type(a) is Buffer else a for a in args]
        if not shown:
            return kernel.prepared(blocks, given), False

        def launch(buffers: Sequence[Any]) -> None:
            here = [*given]
            for i, buffer in shown:
                here[i] = self._moved(buffer, buffers).flat
            kernel.prepared(blocks, here)()

        return launch, True

    def _found(self, buffer: Any) -> tuple[int, int]:
        """Of which input a buffer is a part, and how many bytes in it begins; -1 if of none."""
        start = address(buffer)
        for i, (begin, size) in enumerate(self._places):
            if begin <= start < begin + size:
                return i, start - begin
        return -1, 0

    def _shows(self, value: Any) -> bool:
        """Whether an argument is a buffer that shows an input, or holds one."""
        if isinstance(value, tuple):
            return any([self._shows(member) for member in value])
        return isinstance(value, (np.ndarray, Foreign)) and self._found(value)[0] >= 0

    def _moved(self, value: Any, buffers: Sequence[Any]) -> Any:
        """Arguments with other buffers in the place of inputs."""
        if isinstance(value, tuple):
            return tuple([self._moved(member, buffers) for member in value])
        if not self._shows(value):
            return value
        number, offset = self._found(value)
        return part(buffers[number], offset, value.shape, value.strides, value.dtype)
