"""Buffers in a GPU's memory, and the pool that their memory comes from."""

import collections
import ctypes
import functools
import math
import threading
from collections import defaultdict
from typing import Any

import numpy as np

from ... import dlpack
from ...memory import Foreign, Pinned
from . import driver

__all__ = [
    "Buffer",
    "OnHost",
    "Pool",
    "Scratch",
    "adopt",
    "constant",
    "contents",
    "empty",
    "export",
    "noted",
    "owns",
    "pool",
    "send",
    "staging",
    "synchronize",
    "write",
]

MOST_IDLE = 1 << 30
"""Bytes of blocks that may lie idle."""

MOST_STAGED = 256 << 20
"""Bytes of pinned blocks that may lie idle."""

LITTLE = 1 << 20
"""Bytes up to which an array is copied to pinned memory first, so that nobody waits for the GPU."""

LONGEST = 2**31 - 1
"""Kernels count elements in 32 bits."""


class Pool:
    """Blocks of GPU memory, kept when their buffer dies for the next one of about their size.

    To ask the driver for memory, and to give it back, waits for all that the GPU is doing. Blocks
    are used again at once: all work runs in one stream, so what reads an old buffer comes before
    what writes the new one.
    """

    def __init__(self, most_idle: int = MOST_IDLE) -> None:
        self.most_idle = most_idle
        # A block may come back while the same thread is in here, from a garbage collection.
        self._lock = threading.RLock()
        self._idle: defaultdict[int, list[Any]] = defaultdict(list)
        self.allocated = self.reserved = self.most_allocated = self.most_reserved = 0

    def _allocate(self, size: int) -> Any:
        return driver.allocate(size)

    def take(self, nbytes: int) -> Any:
        """A block of at least so many bytes."""
        grain = 1 << max(nbytes.bit_length() - 4, 9)
        size = max((nbytes + grain - 1) & -grain, grain)
        with self._lock:
            shelf = self._idle[size]
            memory = shelf.pop() if shelf else self._new(size)
            self.allocated += size
            self.most_allocated = max(self.most_allocated, self.allocated)
        return self._lend(memory, size)

    def _lend(self, memory: Any, size: int) -> Any:
        return Block(self, memory, size)

    def _new(self, size: int) -> Any:
        try:
            memory = self._allocate(size)
        except Exception:  # the driver's own kind of error, for want of memory among others
            self.empty_cache()
            memory = self._allocate(size)
        self.reserved += size
        self.most_reserved = max(self.most_reserved, self.reserved)
        return memory

    def give_back(self, memory: Any, size: int) -> None:
        """Keep a block for the next request, unless enough lies idle."""
        with self._lock:
            self.allocated -= size
            if self.reserved - self.allocated <= self.most_idle:
                self._idle[size].append(memory)
            else:
                self.reserved -= size

    def empty_cache(self) -> None:
        """Give all idle blocks back to the driver."""
        with self._lock:
            self.reserved -= sum([size * len(shelf) for size, shelf in self._idle.items()])
            self._idle.clear()


pool = Pool()


class Scratch(Pool):
    """Blocks of the pool in which launches work that are repeated, one launch after another: they
    are nobody else's as long as this is there."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        """What else must stay."""

    def _new(self, size: int) -> Any:
        block = pool.take(size)
        self.kept.append(block)
        return block.memory


class Staging(Pool):
    """Blocks of pinned memory, from which a GPU copies while the host goes on."""

    def _allocate(self, size: int) -> Any:
        return driver.pinned(size)

    def _lend(self, memory: Any, size: int) -> Pinned:
        # Not a view of the array: NumPy would look through it, and have that one as the base.
        bytes_: Any = (ctypes.c_uint8 * size).from_address(memory.ctypes.data)
        block = Pinned((size,), np.uint8, bytes_)
        block.give_back = functools.partial(self.give_back, memory, size)
        return block

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A new array, its contents arbitrary."""
        return np.ndarray(shape, dtype, self.take(math.prod(shape) * dtype.itemsize))


staging = Staging(MOST_STAGED)

_under_way: collections.deque[tuple[Any, Any]] = collections.deque()
"""Copies that the GPU may not have made yet, and the arrays that must stay until it has."""


class Noted(threading.local):
    """Where a thread's launches are noted, while they are not made: see `chain`."""

    calls: list[Any] | None = None
    scratch: Scratch | None = None


noted = Noted()


class OnHost(Exception):
    """Raised where launches are noted, but the host itself would copy something."""


class Memory(Foreign):
    """Memory of a GPU in which buffers lie."""

    __slots__ = ("__weakref__", "address", "memory")
    owner = property(lambda self: self)

    def __init__(self, memory: Any) -> None:
        self.memory, self.address = memory, driver.address(memory)

    def part(self, offset: int, shape: Any, strides: Any, dtype: np.dtype[Any]) -> "Buffer":
        layout = Layout(self.address + offset, tuple(shape), dtype, tuple(strides))
        return Buffer(self, np.asarray(layout))


class Block(Memory):
    """Memory on loan from the pool until nothing refers to it."""

    __slots__ = ("_pool", "size")

    def __init__(self, source: Pool, memory: Any, size: int) -> None:
        super().__init__(memory)
        self._pool, self.size = source, size

    def __del__(self) -> None:
        self._pool.give_back(self.memory, self.size)


class Lent(Memory):
    """Another library's memory, which is there as long as `lender` is."""

    __slots__ = ("lender",)

    def __init__(self, address: int, nbytes: int, lender: Any) -> None:
        super().__init__(driver.lent(address, nbytes))
        self.lender = lender


class Layout:
    """NumPy's view of memory that it must not touch: what `np.asarray` makes an array of."""

    def __init__(
        self,
        address: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.__array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "strides": strides,
            "typestr": dtype.str,
            "version": 3,
        }
        self.whole = strides is None
        """Whether it shows all of the memory, in order."""


class Buffer(Foreign):
    """An array in a GPU's memory. It can be looked at in another shape, but not read: kernels do.

    Shape, strides and the address of the first element are those of a NumPy array that only stands
    for the memory, so views of it follow NumPy's rules. Nothing here touches its elements.
    """

    __slots__ = ("_flat", "_layout", "block")

    def __init__(self, block: Memory, layout: np.ndarray[Any, Any]) -> None:
        self.block, self._layout, self._flat = block, layout, None

    shape = property(lambda self: self._layout.shape)
    strides = property(lambda self: self._layout.strides)
    dtype = property(lambda self: self._layout.dtype)
    ndim = property(lambda self: self._layout.ndim)
    size = property(lambda self: self._layout.size)
    itemsize = property(lambda self: self._layout.itemsize)
    nbytes = property(lambda self: self._layout.nbytes)
    flags = property(lambda self: self._layout.flags)
    address = property(lambda self: self._layout.__array_interface__["data"][0])
    owner = property(lambda self: self.block)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What CuPy, PyTorch and others read to share the memory."""
        layout = self._layout
        return {
            "typestr": layout.dtype.str,
            "shape": layout.shape,
            "strides": None if layout.flags.c_contiguous else layout.strides,
            "data": (self.address if layout.size else 0, False),
            "version": 2,
        }

    def __len__(self) -> int:
        return len(self._layout)

    def __repr__(self) -> str:
        return f"Buffer(shape={self.shape}, dtype={self.dtype}, address=0x{self.address:x})"

    def __getitem__(self, index: Any) -> "Buffer":
        """The part that ints, slices, None and an Ellipsis show."""
        parts = index if isinstance(index, tuple) else (index,)
        if not all([p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts]):
            raise TypeError(f"a buffer on a GPU can't be indexed with {index!r}")
        # The ellipsis makes it a view even where it shows one element.
        whole = parts if any([p is Ellipsis for p in parts]) else (*parts, ...)
        return Buffer(self.block, self._layout[whole])

    def reshape(self, *shape: Any) -> "Buffer":
        """In another shape; ValueError where that would take a copy."""
        return Buffer(self.block, self._layout.reshape(*shape, copy=False))

    def transpose(self, *dims: Any) -> "Buffer":
        """With its dimensions in another order."""
        return Buffer(self.block, self._layout.transpose(*dims))

    def swapaxes(self, a: int, b: int) -> "Buffer":
        """With two dimensions exchanged."""
        return Buffer(self.block, self._layout.swapaxes(a, b))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> "Buffer":
        """The elements that two of its dimensions number alike."""
        return Buffer(self.block, self._layout.diagonal(offset, axis1, axis2))

    def view(self, dtype: Any) -> "Buffer":
        """The same bytes as elements of another type."""
        return Buffer(self.block, self._layout.view(dtype))

    def as_strided(self, shape: Any, strides: Any) -> "Buffer":
        """From its first element on, in another shape and with other strides, of bytes."""
        return Buffer(self.block, np.lib.stride_tricks.as_strided(self._layout, shape, strides))

    def __array_function__(self, function: Any, kinds: Any, args: Any, kwargs: Any) -> Any:
        layouts = [a._layout if isinstance(a, Buffer) else a for a in args]
        if function in (np.broadcast_to, np.lib.stride_tricks.sliding_window_view):
            return Buffer(self.block, function(*layouts, **kwargs))
        if function is np.may_share_memory:
            return np.may_share_memory(*layouts, **kwargs)
        return NotImplemented

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a buffer on a GPU can't be read by the host; call .cpu() on its tensor")

    def part(self, offset: int, shape: Any, strides: Any, dtype: np.dtype[Any]) -> "Buffer":
        start = self.address - self.block.address
        return self.block.part(start + offset, shape, strides, dtype)

    @property
    def flat(self) -> Any:
        """What kernels get: the memory from the first element to the last, as one row."""
        if self._flat is None:
            layout = self._layout
            steps = [(n - 1) * s for n, s in zip(layout.shape, layout.strides)]
            span = sum(steps) + layout.itemsize if layout.size else 0
            if span > LONGEST * layout.itemsize:
                raise RuntimeError(
                    f"a tensor of shape {list(layout.shape)} has more elements than CUDA kernels "
                    f"here can count, {LONGEST}"
                )
            if span:
                start = self.address - self.block.address
                self._flat = self.block.memory[start : start + span].view(layout.dtype)
            else:  # one that no kernel reads
                self._flat = self.block.memory[:16].view(layout.dtype)
        return self._flat


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
    """A new buffer, its contents arbitrary."""
    return _of(noted.scratch or pool, shape, dtype)


def _of(source: Pool, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
    block = source.take(math.prod(shape) * dtype.itemsize)
    return Buffer(block, np.asarray(Layout(block.address, tuple(shape), dtype)))


def owns(buffer: Any) -> bool:
    """Whether a buffer is all that was allocated, rather than a view."""
    return isinstance(buffer._layout.base, Layout) and buffer._layout.base.whole


downloads = 0
"""How often the host has waited for results."""


def contents(buffer: Buffer) -> np.ndarray[Any, Any]:
    """A contiguous buffer's elements, copied to the host once the GPU has computed them."""
    global downloads
    if noted.calls is not None:
        raise OnHost
    downloads += 1
    if not buffer.size:
        return np.empty(buffer.shape, buffer.dtype)
    return driver.download(buffer.flat).reshape(buffer.shape)


def write(array: np.ndarray[Any, Any], buffer: Buffer) -> None:
    """Copy the host's array into a contiguous buffer of its shape and type."""
    if noted.calls is not None:
        raise OnHost
    _upload(array, buffer)


def _upload(array: np.ndarray[Any, Any], buffer: Buffer) -> None:
    if 0 < buffer.nbytes <= LITTLE:
        staged = staging.empty(array.shape, array.dtype)
        np.copyto(staged, array)
        _send(staged, buffer)
    elif buffer.size:
        driver.upload(buffer.flat, np.ascontiguousarray(array).reshape(-1))


def send(array: np.ndarray[Any, Any], buffer: Buffer) -> None:
    """Have a pinned array, of a contiguous buffer's shape and type, copied there at some time
    before the next launch."""
    if noted.calls is not None:
        raise OnHost
    if buffer.size:
        _send(array, buffer)


def _send(array: np.ndarray[Any, Any], buffer: Buffer) -> None:
    event = driver.send(buffer.flat, array.reshape(-1))
    if event is not None:
        _under_way.append((event, array))
        while _under_way and _under_way[0][0].query():
            _under_way.popleft()


def constant(array: np.ndarray[Any, Any]) -> Buffer:
    """A buffer with what the host's array holds, which launches that are noted find there later."""
    there = _of(pool, array.shape, array.dtype)
    _upload(array, there)
    if noted.scratch is not None:
        noted.scratch.kept.append(there)
    return there


def export(buffer: Buffer, device: tuple[int, int], stream: int | None, versioned: bool) -> Any:
    """A capsule of DLPack that shows a buffer to who will read it in a stream.

    All work here runs in the default stream, which DLPack calls 1; -1 asks for no waiting.
    """
    if stream == 2:
        raise BufferError("per-thread default stream is not supported.")
    if stream not in (None, -1, 1):
        driver.synchronize()
    shown = buffer.address if buffer.size else 0
    return dlpack.export(
        shown, buffer.shape, buffer.strides, buffer.dtype, device, buffer, versioned
    )


def adopt(shared: dlpack.Shared) -> Buffer:
    """A buffer over another library's memory."""
    if any([stride < 0 for stride in shared.strides]):
        raise BufferError(
            f"memory with negative strides, {shared.strides}, can't be shared; copy it first"
        )
    if 0 in shared.shape:
        return empty(shared.shape, shared.dtype)
    if shared.stream is not None:
        driver.finish(shared.stream)
    steps = [(n - 1) * s for n, s in zip(shared.shape, shared.strides)]
    memory = Lent(shared.address, sum(steps) + shared.dtype.itemsize, shared.owner)
    return memory.part(0, shared.shape, shared.strides, shared.dtype)


def synchronize() -> None:
    """Wait until the GPU has done all that it was given."""
    driver.synchronize()
