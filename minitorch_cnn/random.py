"""Random numbers from a counter: draw i of a seed is a function of both, whatever computes it.

Philox 4x32-10 of Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011). So a draw does
not depend on the number of threads, nor on the device.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import dtypes, record
from .device import Device, as_device, cpu, launch
from .tensor import Tensor, wrap

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


class Generator:
    """A stream of random numbers, as `torch.Generator`.

    Its `state`, the seed and how many blocks of numbers were drawn, is a tensor that the kernels
    read and move on.

    >>> import minitorch_cnn as torch
    >>> g = torch.Generator().manual_seed(0)
    >>> torch.equal(torch.rand(3, generator=g), torch.rand(3, generator=g.manual_seed(0)))
    True
    """

    def __init__(self, device: str | Device = "cpu") -> None:
        self.device = as_device(device)
        buffer = self.device.empty((2,), dtypes.uint64.numpy)
        self.state = wrap(buffer, dtypes.uint64, self.device)
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of a seed, an int from -2^63 to 2^64 - 1; returns the generator."""
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed expected an int, not {seed!r}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed expected a seed from -2^63 to 2^64 - 1, not {seed}")
        self._write(np.array([int(seed) % 2**64, 0], np.uint64))
        return self

    def _write(self, state: np.ndarray[Any, Any]) -> None:
        launch(self.device, "shape.copy", state, self.state._buffer)

    def seed(self) -> int:
        """Start the stream of a seed that nobody could foresee, and return it."""
        chosen = secrets.randbits(63)
        self.manual_seed(chosen)
        return chosen

    def initial_seed(self) -> int:
        """The seed of the stream."""
        return int(self.state._host()[0])

    def get_state(self) -> Tensor:
        """The state as 16 bytes."""
        bytes_ = np.frombuffer(self.state._host().tobytes(), np.uint8).copy()
        return wrap(bytes_, dtypes.uint8, as_device("cpu"))

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from a state that `get_state` gave."""
        if new_state.dtype is not dtypes.uint8 or new_state.shape != (16,):
            raise TypeError(
                f"set_state expected 16 bytes from get_state, not {new_state.dtype} "
                f"of shape {list(new_state.shape)}"
            )
        self._write(np.frombuffer(new_state.numpy().tobytes(), np.uint64))
        return self

    def __repr__(self) -> str:
        return f"Generator(device='{self.device}', seed={self.initial_seed()})"


class _StandIn(threading.local):
    """Whom a thread asks for a generator in the default one's place; nobody, unless told."""

    source: Callable[[], Generator | None] | None = None


stand_in = _StandIn()


class _DefaultGenerator(Generator):
    """The generator that is used where none is given. A thread may have a stand-in for it."""

    @property
    def state(self) -> Tensor:
        """The seed and the number of blocks drawn, of the stand-in if there is one."""
        source = stand_in.source
        other = None if source is None else source()
        return self._state if other is None else other.state

    @state.setter
    def state(self, state: Tensor) -> None:
        self._state = state


default_generator: Generator = _DefaultGenerator()
_generators = {cpu: default_generator}


def generator_for(device: Device) -> Generator:
    """The generator that is used on a device where none is given; each has one, of equal seeds."""
    if device not in _generators:
        with record.apart():  # a step that is the first to draw does not make it again
            _generators[device] = Generator(device).manual_seed(default_generator.initial_seed())
    return _generators[device]


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Within this block draws do not touch the default generators: they go on as if there had been
    none. `devices` says in PyTorch for which GPUs; here it is for all.

    >>> import minitorch_cnn as torch
    >>> before = torch.get_rng_state()
    >>> with torch.random.fork_rng():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    states = [(generator, generator.get_state()) for generator in _generators.values()]
    try:
        yield
    finally:
        for generator, state in states if enabled else []:
            generator.set_state(state)


def manual_seed(seed: int) -> Generator:
    """Seed the generators that are used where none is given; returns the CPU's."""
    for generator in _generators.values():
        generator.manual_seed(seed)
    return default_generator


def seed() -> int:
    """Give the default generator a seed that nobody could foresee, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Have the default generator go on from a state."""
    default_generator.set_state(new_state)
