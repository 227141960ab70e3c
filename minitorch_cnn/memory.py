"""Memory for buffers: a large one is made of a block that an earlier one gave back.

Fresh memory costs more than its allocation. The system hands it out page by page, at the first
touch and filled with zeros, which for results of some megabytes can take as long as the kernel that
writes them. Blocks that are used again have their pages already.
"""

from __future__ import annotations

import functools
import math
import os
import threading
import weakref
from collections.abc import Callable
from ctypes import addressof, c_char
from typing import Any

import numpy as np
from numpy import ndarray

from .kernels.workspace import free_workspaces

__all__ = [
    "LEAST",
    "Foreign",
    "Pinned",
    "Pool",
    "address",
    "empty",
    "empty_cache",
    "is_pinned",
    "maker",
    "owner",
    "owns",
    "part",
]

# Elements from which a buffer had better come from here; fewer the C library serves as fast.
LEAST = 1 << 14

ALIGNMENT = 64

# Bytes that may lie idle whatever arrays need; and at most.
SLACK = 64 << 20
MOST_IDLE = 1 << 30

from_buffer = c_char.from_buffer


class Block(np.ndarray[Any, Any]):
    """A stretch of bytes with at most one array of the pool's on it.

    That array has the block as its base, and every view of the array has the array: looking for the
    owner of some memory, NumPy stops before an array of another type. So when the array dies no
    view is left either, and the block is free.
    """

    __slots__ = ("lease", "offset", "shelf")
    lease: Lease | None
    """Of the array that is on it."""
    offset: int
    """Where its aligned part begins."""
    shelf: Shelf

    @classmethod
    def of(cls, shelf: Shelf) -> Block:
        """A new one."""
        self = cls((shelf.size + ALIGNMENT,), np.uint8)
        self.offset = -self.ctypes.data % ALIGNMENT
        self.shelf = shelf
        return self


class Shelf(list["Lease"]):
    """The idle blocks of one size, by what the dead arrays on them left; the one put there last is
    taken first."""

    __slots__ = ("size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        """When a block was last taken, by the pool's clock."""


class Lease(weakref.ref[Any]):
    """A reference to the array on a block. What is called when the array dies learns the block."""

    __slots__ = ("block",)
    block: Block


class Pool:
    """Blocks, of which each request takes an idle one or, if there is none of its size, a new one.

    Sizes are rounded up to four significant bits, by less than an eighth. The memory is bounded:
    idle blocks are at most `MOST_IDLE` bytes; and before a new block is made, idle ones of sizes
    not asked for of late are freed, so that all stay below 9/8 of what arrays alone have needed at
    their peak, and `SLACK`.

    It may be used from several threads. A block can come back at any moment, even when a garbage
    collection interrupts the pool at its own work. So nobody waits for the lock, under which blocks
    are made and freed: what finds it taken does without. All else is done by single operations on
    lists, which are atomic.
    """

    __slots__ = ("_clock", "_lock", "_shelf_for", "_shelves", "bytes", "peak_bytes")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelves: dict[int, Shelf] = {}  # by their own size
        self._shelf_for: dict[int, Shelf] = {}  # by the bytes of a request
        self._clock = 0
        self.bytes = self.peak_bytes = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A new array aligned to 64 bytes, its contents arbitrary."""
        return self._take(self._shelf(math.prod(shape) * dtype.itemsize), shape, dtype)

    def maker(
        self, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Callable[[], np.ndarray[Any, Any]]:
        """A function that makes such an array at each call."""
        shelf = self._shelf(math.prod(shape) * dtype.itemsize)
        return functools.partial(self._take, shelf, shape, dtype)

    def _take(
        self, shelf: Shelf, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> np.ndarray[Any, Any]:
        try:
            block = shelf.pop().block
        except IndexError:
            new = self._new_block(shelf)
            if new is None:
                return np.empty(shape, dtype)
            block = new
        shelf.used = self._clock
        array = ndarray(shape, dtype, block, block.offset)
        # If all blocks together may stay, nothing needs to be said of one that comes back.
        lease = Lease(array, shelf.append if self.bytes < MOST_IDLE // 2 else self._give_back)
        lease.block, block.lease = block, lease
        return array

    @property
    def idle_bytes(self) -> int:
        """What is kept for coming requests."""
        return sum([len(shelf) * shelf.size for shelf in list(self._shelves.values())])

    def empty_cache(self) -> None:
        """Free all idle blocks."""
        if self._lock.acquire(False):
            try:
                self._shrink(0)
                self.peak_bytes = self.bytes
            finally:
                self._lock.release()

    def _give_back(self, lease: Lease) -> None:
        lease.block.shelf.append(lease)
        while self.idle_bytes > MOST_IDLE // 2 and self._lock.acquire(False):
            try:
                self._shrink(MOST_IDLE // 2)
            finally:
                self._lock.release()

    def _shelf(self, nbytes: int) -> Shelf:
        """The one for so many bytes."""
        known = self._shelf_for.get(nbytes)
        return self._new_shelf(int(nbytes)) if known is None else known

    def _new_shelf(self, nbytes: int) -> Shelf:
        grain = 1 << max(nbytes.bit_length() - 4, 6)
        size = (nbytes + grain - 1) & -grain
        if len(self._shelf_for) >= 4096:  # with so many sizes they rarely come again
            self._shelf_for.clear()
        shelf = self._shelf_for[nbytes] = self._shelves.setdefault(size, Shelf(size))
        return shelf

    def _new_block(self, shelf: Shelf) -> Block | None:
        if not self._lock.acquire(False):
            return None
        try:
            self._clock += 1
            used = self.bytes - self.idle_bytes + shelf.size
            self.peak_bytes = max(self.peak_bytes, used)
            self._shrink(self.peak_bytes * 9 // 8 + SLACK - used)
            try:
                block = Block.of(shelf)
            except MemoryError:
                self._shrink(0)
                block = Block.of(shelf)
            self.bytes += shelf.size
            return block
        finally:
            self._lock.release()

    def _shrink(self, most: int) -> None:
        """Free idle blocks, those of the sizes that were asked for longest ago first."""
        excess = self.idle_bytes - most
        for shelf in sorted(self._shelves.values(), key=lambda shelf: shelf.used):
            while shelf and excess > 0:
                try:
                    shelf.pop(0).block.lease = None  # or the two would keep each other
                except IndexError:
                    break  # another thread took it
                excess -= shelf.size
                self.bytes -= shelf.size


_pool = Pool()
empty, maker = _pool.empty, _pool.maker


def empty_cache() -> None:
    """Give the memory that dead tensors left, and that is kept for new ones, back to the system.

    So is what kernels keep to work in, for calls from this thread. Tensors stay as they are. Of use
    when another program, or another library in this one, needs the memory; as
    `torch.cuda.empty_cache` does for a GPU.

    >>> import minitorch_cnn as torch
    >>> x = torch.zeros(1000, 1000)
    >>> del x
    >>> torch.memory.empty_cache()
    """
    _pool.empty_cache()
    free_workspaces()


def owns(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array is the only one on its memory, but for views of it."""
    return array.base is None or type(array.base) is Block


class Foreign:
    """What stands for an array, or for memory, of another device than the processor."""

    __slots__ = ()
    address: int
    """Of the first byte."""
    owner: Any
    """What is there as long as the memory is its own."""

    def part(self, offset: int, shape: Any, strides: Any, dtype: np.dtype[Any]) -> Foreign:
        """The array that begins so many bytes in."""
        raise NotImplementedError


class Pinned(np.ndarray[Any, Any]):
    """A stretch of bytes that stays where it is in the host's memory, so that a GPU can read it by
    itself. Arrays on it have it as their base; once there are none, it is given back."""

    give_back: Any = None

    def __del__(self) -> None:
        if self.give_back is not None:
            self.give_back()


def is_pinned(buffer: Any) -> bool:
    """Whether a buffer lies in pinned memory of the host."""
    return type(getattr(owner(buffer), "base", None)) is Pinned


def address(buffer: Any) -> int:
    """Where a buffer of any device begins."""
    try:  # several times as fast as what NumPy offers
        return addressof(from_buffer(buffer))
    except (TypeError, ValueError, BufferError):  # read-only, empty, with gaps or not here
        return buffer.address if isinstance(buffer, Foreign) else int(buffer.ctypes.data)


def owner(buffer: Any) -> Any:
    """What is there as long as the memory of a buffer is its own, whatever shows it."""
    if isinstance(buffer, Foreign):
        return buffer.owner
    while type(buffer.base) is np.ndarray:
        buffer = buffer.base
    return buffer


def part(memory: Any, offset: int, shape: Any, strides: Any, dtype: np.dtype[Any]) -> Any:
    """The buffer that begins so many bytes after the beginning of one that has no gaps."""
    if isinstance(memory, Foreign):
        return memory.part(offset, shape, strides, dtype)
    return np.ndarray(shape, dtype, memory, offset, strides)


def _after_fork() -> None:
    """In a forked child, another thread may have held the lock, and will never release it."""
    _pool._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
