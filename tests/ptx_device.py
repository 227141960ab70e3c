"""The device "cuda" without a GPU: kernels compiled to PTX, which a machine on the processor runs.

Compiling takes no driver. So host code, launch geometry and the very code that a GPU would be given
are tested together.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minitorch_cnn.device import Device
from minitorch_cnn.kernels.cuda import buffer, driver
from minitorch_cnn.kernels.cuda.registry import Kernel

from .ptx_machine import Machine, Region
from .ptx_program import Program, read

CAPABILITY = (9, 0)

KEPT = os.environ.get("PTX_FOLDER")
"""A folder where processes that are given the same sources leave each other the PTX they made. It
must be a new one after any change."""

_programs: dict[int, tuple[Any, Program]] = {}
launches = 0
"""How many kernels were run."""


@functools.lru_cache(maxsize=1)
def compile_ir(kernel: Kernel, capability: tuple[int, int] = CAPABILITY) -> Any:
    """A kernel as Numba compiles it: its LLVM code, of which NVVM makes PTX.

    It is the same for all GPUs from sm_75 on, and takes most of the time; so the last is kept.
    """
    from numba.cuda import compiler, dispatcher

    class Target:
        compute_capability = capability

    # What a kernel calls is compiled for the current device, which is asked of a driver.
    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: Target
    try:
        library, _ = compiler._compile_pyfunc_with_fixup(
            kernel.function, kernel.signature, device=False, abi="numba", cc=capability
        )
    finally:
        dispatcher.get_current_device = before
    return library


def compile_ptx(kernel: Kernel, capability: tuple[int, int] = CAPABILITY) -> str:
    """The PTX of a kernel for GPUs of a compute capability."""
    path = _kept(kernel, capability)
    if path is not None and path.exists():
        return path.read_text()
    (ptx,) = compile_ir(kernel).get_asm_strs(cc=capability)
    if path is not None:
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(str(ptx))
        aside.replace(path)
    return str(ptx)


def _kept(kernel: Kernel, capability: tuple[int, int]) -> Path | None:
    """Where the PTX of a kernel is kept, if it is: of one that the package has, for the machine."""
    if not KEPT or not kernel.variant or capability != CAPABILITY:
        return None
    told = repr((kernel.variant, kernel.signature))
    assert " at 0x" not in told, told  # which would be of this process alone
    return Path(KEPT) / f"{kernel.name}-{hashlib.sha256(told.encode()).hexdigest()[:32]}.ptx"


def program_of(kernel: Kernel) -> Program:
    """A kernel's program, compiled once."""
    if id(kernel) not in _programs:
        _programs[id(kernel)] = kernel, read(compile_ptx(kernel))
    return _programs[id(kernel)][1]


class HostMemory:
    """Memory of the processor that acts as a GPU's: what `driver.allocate` returns."""

    def __init__(self, array: np.ndarray[Any, Any], owner: int) -> None:
        self.array, self.owner = array, owner

    @property
    def address(self) -> int:
        """Where it begins."""
        return int(self.array.ctypes.data)

    def __getitem__(self, part: slice) -> HostMemory:
        return HostMemory(self.array[part], self.owner)

    def view(self, dtype: Any) -> HostMemory:
        """The same bytes as elements of a type."""
        return HostMemory(self.array.view(dtype), self.owner)

    def copy_to_host(self) -> np.ndarray[Any, Any]:
        """The elements."""
        return self.array.copy()

    def copy_to_device(self, array: np.ndarray[Any, Any]) -> None:
        """Write the elements."""
        self.array[...] = array

    def region(self) -> Region:
        """What a launch that is given this memory may touch."""
        return Region(self.address, self.array.view(np.uint8), self.owner)


_memories: weakref.WeakValueDictionary[int, HostMemory] = weakref.WeakValueDictionary()


def allocate(nbytes: int) -> HostMemory:
    """Bytes of which each is 0xFF: as floating-point numbers, NaN."""
    whole = np.full(nbytes + 256, 0xFF, np.uint8)
    aligned = whole[-whole.ctypes.data % 256 :][:nbytes]
    memory = HostMemory(aligned, aligned.ctypes.data)
    _memories[memory.address] = memory
    return memory


def lent(address: int, nbytes: int) -> HostMemory:
    """Memory that somebody else allocated."""
    whole = (ctypes.c_uint8 * nbytes).from_address(address)
    return HostMemory(np.frombuffer(whole, np.uint8), address)


def flatten(kernel: Kernel, given: list[Any]) -> tuple[list[Any], list[Region]]:
    """Arguments as the parameters of PTX, and what of memory they show."""
    numbers: list[Any] = []
    regions: list[Region] = []
    types = driver.types
    for value, kind in zip(given, kernel.signature, strict=True):
        if isinstance(kind, types.Array):
            array = value.array
            assert array.ndim == 1, kernel.name
            wanted = np.dtype(np.bool_ if kind.dtype is types.boolean else str(kind.dtype))
            assert array.dtype == wanted, (kernel.name, array.dtype, kind)
            size = array.itemsize
            numbers += [0, 0, array.size, size, value.address, array.size, size]
            regions.append(value.region())
        elif isinstance(kind, types.BaseTuple):
            assert len(value) == len(kind), (kernel.name, value, kind)
            numbers += [number(n, kind.dtype) for n in value]
        else:
            numbers.append(number(value, kind))
    return numbers, regions


def number(value: Any, kind: Any) -> Any:
    """A number as an argument of a type; what does not fit is refused."""
    if kind is driver.types.boolean:
        return int(bool(value))
    with np.errstate(over="ignore"):
        given = np.dtype(str(kind)).type(value)
    assert given.dtype.kind == "f" or int(given) == int(value), (value, kind)
    return given


def start(kernel: Kernel, blocks: int | tuple[int, ...], given: list[Any]) -> None:
    """Run a launch on the machine."""
    global launches
    launches += 1
    numbers, regions = flatten(kernel, given)
    grid = (blocks,) if isinstance(blocks, int) else blocks
    others = [memory.region() for memory in _memories.values()] if kernel.limits.pointers else []
    machine = Machine(
        program_of(kernel), numbers, kernel.threads, (*grid, 1, 1)[:3], regions, others
    )
    machine.run()


@contextlib.contextmanager
def interpreted() -> Iterator[None]:
    """Let tensors live on "cuda", its kernels run by the machine."""
    if driver.SIMULATED:
        raise RuntimeError("NUMBA_ENABLE_CUDASIM is set: there is no compiler in the simulator")
    replaced = [
        (driver, "missing", lambda: ""),
        (driver, "allocate", allocate),
        (driver, "address", lambda memory: memory.address),
        (driver, "pinned", lambda nbytes: np.empty(nbytes, np.uint8)),
        (driver, "send", lambda memory, array: memory.copy_to_device(array)),
        (driver, "synchronize", lambda: None),
        (driver, "finish", lambda stream: None),
        (driver, "lent", lent),
        (Kernel, "prepared", lambda *launch: functools.partial(start, *launch)),
    ]
    before = [getattr(owner, name) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    pool = buffer.pool
    buffer.pool = buffer.Pool()
    try:
        yield
    finally:
        buffer.pool = pool
        Device("cuda", 0)._memory = None  # that it can be used is to be found out anew
        for (owner, name, _), value in zip(replaced, before, strict=True):
            setattr(owner, name, value)
