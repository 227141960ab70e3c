"""Kernels and how they are launched.

A kernel is a plain function, compiled for its one signature when it is first launched. Functions
under `@variants` make them: for an element type, and for what else must be known when a kernel is
compiled. Each names examples of its variants, by which tests compile and run every kernel without a
GPU; and every kernel comes from one, so there is none that tests don't know.

fastmath stays off: infinity and NaN pass through, division and square root are exact to the last
bit. Multiplications and additions are still fused.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .buffer import Buffer, noted
from .driver import SIMULATED, cuda, types

__all__ = [
    "BLOCK",
    "FACTORIES",
    "TILE",
    "Call",
    "Kernel",
    "boolean",
    "device_function",
    "f32",
    "f64",
    "i32",
    "i64",
    "integers",
    "of",
    "u32",
    "variants",
    "vector",
]

f32, f64, i32, i64 = types.float32, types.float64, types.int32, types.int64
u32, boolean = types.uint32, types.boolean

BLOCK = 16 if SIMULATED else 256
"""Threads of a block, but for products of matrices. The simulator takes as many threads of the
operating system, so it gets few."""

TILE = 4 * BLOCK
"""Elements that a block sorts or totals in shared memory."""


class Kernel:
    """A function with the signature for which it is compiled, and limits that tests hold it to."""

    __slots__ = ("_compiled", "function", "limits", "name", "signature", "threads", "variant")

    def __init__(
        self,
        function: Any,
        signature: tuple[Any, ...],
        threads: int,
        limits: "Limits",
        variant: tuple[Any, ...] = (),
    ) -> None:
        self.function, self.signature = function, signature
        self.name = function.__name__
        self.threads, self.limits, self.variant = threads, limits, variant
        self._compiled: Any = None

    def __call__(self, blocks: int | tuple[int, ...], *args: Any) -> None:
        """Launch so many blocks on buffers, tuples of integers and numbers."""
        if blocks == 0 or (type(blocks) is tuple and 0 in blocks):
            return
        given = []
        for a, kind in zip(args, self.signature, strict=True):
            if SIMULATED and isinstance(kind, types.Float):
                a = np.dtype(str(kind)).type(a)
            elif SIMULATED and isinstance(kind, types.BaseTuple):
                element = np.dtype(np.bool_ if kind.dtype is boolean else str(kind.dtype)).type
                a = tuple(element(n) for n in a)
            given.append(a)
        if noted.calls is not None:
            noted.calls.append(Call(self, blocks, given))
        else:
            self.prepared(blocks, [a.flat if type(a) is Buffer else a for a in given])()

    def prepared(self, blocks: int | tuple[int, ...], given: list[Any]) -> Callable[[], None]:
        """A launch on what numba-cuda takes, compiled if it was not yet."""
        compiled = self._compiled
        if compiled is None:
            jit = cuda.jit if SIMULATED else cuda.jit(self.signature)
            compiled = self._compiled = jit(self.function)
        if SIMULATED:  # whose kernel itself remembers for how many blocks it was asked last
            return lambda: compiled[blocks, self.threads](*given)
        return functools.partial(compiled[blocks, self.threads], *given)


class Call(NamedTuple):
    """A launch that was noted, not made."""

    kernel: Kernel
    blocks: int | tuple[int, ...]
    args: list[Any]
    """Buffers, tuples of integers and numbers."""


class Limits(NamedTuple):
    """What a kernel's machine code may take."""

    registers: int
    double: bool
    """Whether it may compute in float64."""
    long_division: bool
    """Whether it may divide numbers of 64 bits."""
    local: bool
    """Whether a thread may keep an array outside its registers."""
    pointers: bool
    """Whether it finds buffers by addresses in other buffers."""


class Factory(NamedTuple):
    make: Callable[..., Kernel]
    examples: Callable[[], Sequence[tuple[Any, ...]]]


FACTORIES: dict[str, Factory] = {}
"""By "file.name"."""


def variants(
    *examples: Any,
    threads: int | Callable[..., int] = BLOCK,
    registers: int = 64,
    double: Callable[..., bool] | bool = False,
    long_division: Callable[..., bool] | bool = False,
    local: Callable[..., bool] | bool = False,
    pointers: bool = False,
) -> Callable[[Callable[..., tuple[Any, ...]]], Callable[..., Kernel]]:
    """Make a function that returns a kernel's body and signature one that returns the kernel.

    The examples are tuples of its arguments, or one function that returns a list of such.
    """

    def bind(make: Callable[..., tuple[Any, ...]]) -> Callable[..., Kernel]:
        @functools.cache
        @functools.wraps(make)
        def made(*key: Any) -> Kernel:
            body, signature = make(*key)
            count = threads(*key) if callable(threads) else threads
            here = [v(*key) if callable(v) else v for v in (double, long_division, local)]
            limits = Limits(registers, here[0] or f64 in key, here[1], here[2], pointers)
            return Kernel(body, signature, count, limits, (name, *key))

        name = f"{make.__module__.rpartition('.')[2]}.{make.__name__}"
        listed = examples[0] if callable(examples[0]) else lambda: examples
        FACTORIES[name] = Factory(made, listed)
        return made

    return bind


def of(dtype: np.dtype[Any]) -> Any:
    """Numba's name for an element type."""
    return types.boolean if dtype.kind == "b" else getattr(types, dtype.name)


def vector(kind: Any) -> Any:
    """The type of a buffer as a kernel gets it."""
    return types.Array(kind, 1, "C")


def integers(count: int) -> Any:
    """The type of a tuple of so many sizes, strides and the like."""
    return types.UniTuple(i32, count)


device_function: Any = cuda.jit(device=True) if cuda is not None else (lambda function: function)
"""For a function that kernels call; its code is compiled into theirs."""
