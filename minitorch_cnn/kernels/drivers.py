"""Drivers: kernels in plain Python that leave all computing to compiled ones, whose calls of those
are noted once and repeated."""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from math import copysign
from typing import Any, NamedTuple

from numpy import empty, ndarray

from . import workspace
from .precision import get_winograd_tile
from .threads import get_num_threads
from .workspace import KEPT_BYTES, kept

__all__ = [
    "Call",
    "capture",
    "captured",
    "driver",
    "noting",
    "on_host",
    "prepare",
    "repeating_driver",
]

MOST_REPEATS = 1024
"""Kinds of calls that are remembered."""

MOST_PREPARED = 4096
"""Kinds of launches that are."""

MOST_BYTES = 1 << 14
"""What an array may have that a driver makes in a call that is remembered."""


def driver(function: Callable[..., None]) -> Callable[..., None]:
    """Mark a kernel in plain Python that leaves all computing to compiled ones.

    What it decides, it decides by shapes and options, so that its calls can be noted once and
    repeated. A part that computes in Python begins with `on_host()`.
    """
    function.native = True  # type: ignore[attr-defined]
    return function


class Repeating:
    """A driver with so much to decide that it repeats its calls itself, when its arguments are of
    the same shapes and types again."""

    native = True

    def __init__(self, function: Callable[..., None]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: Any) -> None:
        if capturing is not None and capturing.here():
            self._function(*args)
            return
        kind = [self, get_num_threads(), get_winograd_tile()]
        for a in args:
            if type(a) is ndarray:
                kind += a.shape, a.strides, a.dtype
            else:
                kind.append(a)
        (kept.repeats.get(tuple(kind)) or self._meet(tuple(kind), args))(*args)

    def _meet(self, kind: tuple[Any, ...], args: tuple[Any, ...]) -> Callable[..., None]:
        """What makes a call of this kind: from the second on, a repetition of those noted then."""
        if kind in kept.repeats:
            kept.repeats[kind] = run = _repeat(self._function, args) or self._function
            return run
        if len(kept.repeats) >= MOST_REPEATS:
            kept.repeats.clear()
        kept.repeats[kind] = None
        return self._function


repeating_driver = Repeating


def noting() -> bool:
    """Whether a driver's calls are noted now, not made, and it is to compute nothing itself."""
    return capturing is not None and capturing.here() and not capturing.computing


def on_host(instead: Callable[..., None] | None = None) -> None:
    """Say that a driver is about to compute something itself: with the same arguments all that is
    done `instead`, if that is a function."""
    if noting():
        raise _OnHost(instead)


class _OnHost(Exception):
    """Raised where a driver would compute something in Python."""

    def __init__(self, instead: Callable[..., None] | None) -> None:
        self.instead = instead


# ---------------------------------------------------------------------- calls noted


class Call(NamedTuple):
    """A call of compiled code."""

    compiled: Any
    """What Numba made of a function."""
    args: tuple[Any, ...]
    spreads: bool = False
    """Whether it spreads itself over threads."""
    threads: int = 0
    """If not 0, it is to be made so often, with the number of the thread and of threads before the
    arguments."""
    flat: bool = False
    """Whether it is to be made with parts of the arrays instead of those numbers."""


class _Capture:
    """The calls of compiled kernels that a thread comes to, noted instead of made."""

    def __init__(self, chained: bool, computing: bool) -> None:
        self.calls: list[Any] = []
        self.chained = chained
        """Whether they are to become one call: its threads are awake."""
        self.computing = computing
        """Whether drivers compute what they leave to no compiled kernel."""
        self._thread = threading.get_ident()

    def here(self) -> bool:
        return threading.get_ident() == self._thread

    def note(self, kernel: Any, args: tuple[Any, ...]) -> None:
        self.calls.append(kernel.call(*args) if self.chained else (kernel, args))


capturing: _Capture | None = None
_capture_lock = threading.Lock()


@contextlib.contextmanager
def captured(chained: bool = True, computing: bool = False) -> Iterator[list[Any]]:
    """The calls of compiled code that this thread comes to in the block, none of them made.

    Unless `chained`, kernels and their arguments. What a driver computes in Python ends it, unless
    it is to be `computing` that.
    """
    global capturing
    with _capture_lock:
        capturing = _Capture(chained, computing)
        try:
            yield capturing.calls
        finally:
            capturing = None


def _after_fork() -> None:
    """In a forked child, another thread may have held the lock, and will never release it."""
    global capturing, _capture_lock
    capturing, _capture_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def capture(function: Callable[..., None], args: tuple[Any, ...]) -> list[Call] | None:
    """The calls of compiled code that a kernel comes to with these arguments, none of them made.

    None if it computes something in Python.
    """
    if not getattr(function, "native", False):
        return None
    with captured() as calls:
        try:
            function(*args)
        except _OnHost:
            return None
    return calls


# ---------------------------------------------------------------------- calls repeated


def prepare(kind: Any, function: Callable[..., None], args: Sequence[Any]) -> Callable[..., None]:
    """What does what a kernel does: for this launch and, kept in `prepared`, for all of its kind.

    These have arrays of the same shapes, strides and types, and equal options; what is written
    shares memory with nothing else.
    """
    if capturing is not None and capturing.here():
        return function  # what it comes to is noted
    runs = workspace.prepared.runs
    if len(runs) >= MOST_PREPARED:
        runs.clear()
    if kind not in runs and _is_driver(function):
        runs[kind] = None  # it may never come again, and to note a driver's calls takes its time
        return function
    run = _resolved(function, args)
    if _is_driver(function):
        run = _repeat(getattr(function, "__wrapped__", function), args) or function
    runs[kind] = run
    return run


def _is_driver(function: Callable[..., None]) -> bool:
    return getattr(function, "native", False) and not hasattr(function, "resolved")


def _resolved(kernel: Any, args: Sequence[Any]) -> Callable[..., None]:
    """What a kernel says that its call comes to, with arguments of the kind of these."""
    run: Callable[..., None] = kernel.resolved(args) if hasattr(kernel, "resolved") else kernel
    return run


def _repeat(function: Callable[..., None], args: Sequence[Any]) -> Callable[..., None] | None:
    """A function that makes a driver's calls, on arguments of the same kind as these.

    None if there is no telling from the arguments what the calls' are.
    """
    if any([type(a) is ndarray and not a.flags.c_contiguous for a in args]):
        return None
    # Options are fixed, but two zeros are equal and unlike.
    others = [
        f"copysign(1, a{i}) {'<' if copysign(1, a) > 0 else '>'} 0"
        for i, a in enumerate(args)
        if _is_zero(a)
    ]
    if any([_is_zero(part) for a in args if isinstance(a, tuple) for part in a]):
        return None
    # Arrays like those given. These may be one, and it could not be told which of them is meant.
    models = [empty(a.shape, a.dtype) if type(a) is ndarray else a for a in args]
    try:
        with captured(chained=False) as noted:
            function(*models)
    except _OnHost as host:
        return _resolved(host.instead, args) if host.instead and not noted else None
    values: list[Any] = []

    def constant(value: Any) -> str:
        values.append(value)
        return f"c{len(values) - 1}"

    if len(noted) == 1 and not others and getattr(noted[0][0], "flat", False):
        kernel, given = noted[0]
        if len(given) == len(models) and all([a is b for a, b in zip(given, models)]):
            return _resolved(kernel, args)  # which raises nothing of its own
    calls = []
    for kernel, given in noted:
        if hasattr(kernel, "direct"):
            run, given = kernel.direct(given)
        else:
            run = _resolved(kernel, given)
        words = []
        for value in given:
            number = _shown(value, models)
            if number is None:
                if type(value) is ndarray:
                    most = MOST_BYTES if value.base is None else KEPT_BYTES
                    if value.nbytes > most:
                        return None
                words.append(constant(value))
                continue
            model = models[number]
            if value.dtype != model.dtype or value.size != model.size:
                return None  # it shows a part
            if value.shape == model.shape:
                words.append(f"a{number}")
            elif value.ndim == 1:
                words.append(f"ravel(a{number})")  # takes half as long as to reshape
            else:
                words.append(f"a{number}.reshape({constant(value.shape)})")
        calls.append(f"{constant(run)}({', '.join(words)})")
    write = _writer("; ".join(calls), " or ".join(others), len(models), len(values))
    return write(function, *values)


def _is_zero(value: Any) -> bool:
    return type(value) is float and value == 0


def _shown(value: Any, models: Sequence[Any]) -> int | None:
    """Which of the models a value is, or shows."""
    if type(value) is not ndarray:
        return None
    return next((n for n, m in enumerate(models) if value is m or value.base is m), None)


@functools.cache
def _writer(
    calls: str, others: str, args: int, constants: int
) -> Callable[..., Callable[..., None]]:
    """What makes, of a driver and constants, the function of so many arguments with these calls; it
    leaves it to the driver where a condition holds by which arguments are others.

    It has their text in Python: a loop over a list of them takes as long as a small kernel.
    """
    given = ", ".join([f"a{i}" for i in range(args)])
    names = ", ".join(["function"] + [f"c{i}" for i in range(constants)])
    text = f"""
def write({names}):
    def repeat({given}):
        if {others or False}:
            return function({given})
        try:
            {calls or None}
        except Exception:
            function({given})  # raises what there is to say
            raise
    return repeat
"""
    scope: dict[str, Any] = {"copysign": copysign, "ravel": ndarray.ravel}
    exec(text, scope)
    write: Callable[..., Callable[..., None]] = scope["write"]
    return write
