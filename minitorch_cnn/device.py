"""Devices, and `launch`: the one place where a kernel runs."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, ClassVar

import numpy as np

from . import record
from .dlpack import HOST, DLDeviceType
from .kernels import drivers, workspace
from .memory import LEAST, empty, maker, owns

__all__ = [
    "Device",
    "as_device",
    "launch",
    "launch_kind",
    "numbered",
    "observe",
    "observed",
    "pinned",
]

Observer = Callable[["Device", str, Callable[..., None], tuple[Any, ...], float], None]
"""Of device, kernel's name, kernel, arguments, and the seconds that the launch took."""


class Device:
    """Where a tensor lives and its kernels run, as `torch.device`: `device("cpu")`.

    A device is a thin object over a folder of kernels and, but for the CPU, a module of memory. It
    can be named where it can't be used: the first allocation on it says what is missing.
    """

    __slots__ = ("_kernels", "_memory", "index", "type")
    _known: ClassVar[dict[tuple[str, int | None], Device]] = {}
    index: int | None
    type: str
    _kernels: dict[str, Callable[..., None]]
    _memory: Any

    def __new__(cls, type: str | Device, index: int | None = None) -> Device:
        if isinstance(type, Device):
            return type
        if not isinstance(type, str):
            raise TypeError(f"device: expected a name such as 'cpu', not {type!r}")
        kind, colon, number = type.partition(":")
        if kind not in ("cpu", "cuda") or (colon and (index is not None or not number.isdigit())):
            raise RuntimeError(f"device: expected 'cpu', 'cuda' or 'cuda:N', not {type!r}")
        if number:
            index = int(number)
        self = cls._known.get((kind, index))
        if self is None:  # devices are compared with `is`: the same name gives the same object
            self = super().__new__(cls)
            self.type, self.index, self._kernels = kind, index, {}
            self._memory = None
            self = cls._known.setdefault((kind, index), self)
        return self

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (self.type, self.index)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A new buffer, its contents arbitrary: those of one that died, it may be."""
        if self.type != "cpu":
            buffer = self.memory.empty(shape, dtype)
        else:
            buffer = np.empty(shape, dtype) if prod(shape) < LEAST else empty(shape, dtype)
        if record.recorder is not None and record.is_recording():
            record.recorder.allocated(self, buffer)
        return buffer

    def maker(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], Any]:
        """A function that does what `empty` does, but for a recorder: it learns of nothing."""
        if self.type != "cpu":
            return partial(self.empty, shape, dtype)
        return partial(np.empty, shape, dtype) if prod(shape) < LEAST else maker(shape, dtype)

    def owns(self, buffer: Any) -> bool:
        """Whether a buffer is alone on its memory, but for views of it."""
        return owns(buffer) if self.type == "cpu" else self.memory.owns(buffer)

    @property
    def memory(self) -> Any:
        """Where a GPU's buffers come from: the module, imported once the device can be used."""
        if self._memory is None:
            folder = f"{__package__}.kernels.{self.type}"
            importlib.import_module(f"{folder}.driver").require(self.index)
            self._memory = importlib.import_module(f"{folder}.buffer")
        return self._memory

    def synchronize(self) -> None:
        """Wait for what was launched, on a device that does not end a launch before it returns."""
        if self.type != "cpu":
            self.memory.synchronize()

    def bind(self, launches: Sequence[tuple[str, tuple[Any, ...]]], inputs: Sequence[Any]) -> Any:
        """A function that makes launches, with buffers like `inputs` in the place of those.

        All other buffers stay where they are: they are alive as long as the function.
        """
        chain = importlib.import_module(f"{__package__}.kernels.{self.type}.chain")
        return chain.bind([(self.kernel(name), args) for name, args in launches], inputs)

    def kernel(self, name: str) -> Callable[..., None]:
        """The function behind "family.function", imported at its first use."""
        function = self._kernels.get(name)
        if function is None:
            family, _, attribute = name.partition(".")
            path = f"{__package__}.kernels.{self.type}.{family}"
            try:
                module = importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise  # something that the kernels themselves need
                module = None
            function = getattr(module, attribute, None)
            if function is None:
                raise RuntimeError(f"device '{self}' has no kernel {name}")
            self._kernels[name] = function
        return function


cpu = Device("cpu")

_observer: Observer | None = None


def launch(device: Device, name: str, *args: Any) -> None:
    """Run a kernel: input buffers, output buffers, then plain parameters.

    A recorder may put it off.
    """
    function = device._kernels.get(name) or device.kernel(name)
    recorder = record.recorder
    if recorder is not None and record.is_recording() and recorder.launched(device, name, args):
        return
    if _observer is None:
        function(*args)
        return
    started = time.perf_counter()
    function(*args)
    device.synchronize()
    _observer(device, name, function, args, time.perf_counter() - started)


def launch_kind(kind: Any, device: Device, name: str, args: Sequence[Any]) -> None:
    """`launch`, where launches of one `kind` have arrays of the same shapes, strides and types and
    equal options, and what they write is memory of its own.

    What the kernel decides by these, it decides once.
    """
    if record.recorder is not None or _observer is not None:
        launch(device, name, *args)
        return
    run = workspace.prepared.runs.get(kind)
    if run is None:
        run = drivers.prepare(kind, device._kernels.get(name) or device.kernel(name), args)
    run(*args)


def prepared_run(kind: Any) -> Callable[..., None] | None:
    """What `launch_kind` calls for a kind, if that is known and nobody is told of launches."""
    if record.recorder is not None or _observer is not None:
        return None
    return workspace.prepared.runs.get(kind)


def observe(observer: Observer | None) -> Observer | None:
    """Have every launch reported to `observer` after it ran; returns the one before."""
    global _observer
    before, _observer = _observer, observer
    return before


def observed() -> bool:
    """Whether launches are reported to somebody."""
    return _observer is not None


def pinned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A new buffer of the CPU's, its contents arbitrary, from which a GPU copies by itself.

    Raises RuntimeError if there is no GPU.
    """
    buffer: np.ndarray[Any, Any] = Device("cuda", 0).memory.staging.empty(shape, dtype)
    return buffer


def numbered(kind: int, index: int) -> Device:
    """The device that DLPack gives these numbers."""
    if kind == DLDeviceType.kDLCUDA:
        return Device("cuda", index)
    if kind not in HOST:
        raise BufferError(f"memory of DLPack's device {(int(kind), index)} can't be shared here")
    return cpu


def as_device(device: str | Device | None) -> Device:
    """The device that tensors live on, from itself, its name, or None for the CPU: "cuda" means the
    first one."""
    if device is None:
        return cpu
    named = Device(device)
    return Device("cuda", 0) if named.type == "cuda" and named.index is None else named
