"""Buffers in a GPU's memory, and the pool that their memory comes from."""

import math
import threading
from collections import defaultdict
from typing import Any

import numpy as np

from . import driver

__all__ = ["Buffer", "Pool", "contents", "empty", "owns", "pool", "write"]

MOST_IDLE = 1 << 30
"""Bytes of blocks that may lie idle."""

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

    def take(self, nbytes: int) -> "Block":
        """A block of at least so many bytes."""
        grain = 1 << max(nbytes.bit_length() - 4, 9)
        size = max((nbytes + grain - 1) & -grain, grain)
        with self._lock:
            shelf = self._idle[size]
            memory = shelf.pop() if shelf else self._new(size)
            self.allocated += size
            self.most_allocated = max(self.most_allocated, self.allocated)
        return Block(self, memory, size)

    def _new(self, size: int) -> Any:
        try:
            memory = driver.allocate(size)
        except Exception:  # the driver's own kind of error, for want of memory among others
            self.empty_cache()
            memory = driver.allocate(size)
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


class Block:
    """Memory on loan from the pool until nothing refers to it."""

    __slots__ = ("_pool", "address", "memory", "size")

    def __init__(self, source: Pool, memory: Any, size: int) -> None:
        self._pool, self.memory, self.size = source, memory, size
        self.address = driver.address(memory)

    def __del__(self) -> None:
        self._pool.give_back(self.memory, self.size)


class Layout:
    """NumPy's view of memory that it must not touch: what `np.asarray` makes an array of."""

    def __init__(self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.__array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }


class Buffer:
    """An array in a GPU's memory. It can be looked at in another shape, but not read: kernels do.

    Shape, strides and the address of the first element are those of a NumPy array that only stands
    for the memory, so views of it follow NumPy's rules. Nothing here touches its elements.
    """

    __slots__ = ("_flat", "_layout", "block")

    def __init__(self, block: Block, layout: np.ndarray[Any, Any]) -> None:
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
    block = pool.take(math.prod(shape) * dtype.itemsize)
    return Buffer(block, np.asarray(Layout(block.address, tuple(shape), dtype)))


def owns(buffer: Any) -> bool:
    """Whether a buffer is all that was allocated, rather than a view."""
    return isinstance(buffer._layout.base, Layout)


downloads = 0
"""How often the host has waited for results."""


def contents(buffer: Buffer) -> np.ndarray[Any, Any]:
    """A contiguous buffer's elements, copied to the host once the GPU has computed them."""
    global downloads
    downloads += 1
    if not buffer.size:
        return np.empty(buffer.shape, buffer.dtype)
    return np.asarray(buffer.flat.copy_to_host()).reshape(buffer.shape)


def write(array: np.ndarray[Any, Any], buffer: Buffer) -> None:
    """Copy the host's array into a contiguous buffer of its shape and type."""
    if buffer.size:
        buffer.flat.copy_to_device(np.ascontiguousarray(array).reshape(-1))
