"""Memory in which kernels keep what they make for themselves: laid-out images, turned weights.

It stays from call to call, so that a training step asks the system for none. Every Python thread
has its own, since two may run kernels at once.
"""

import contextlib
import math
import threading

import numpy as np

# Bytes up to which a workspace is kept; a larger one is made for its call alone.
KEPT_BYTES = 64 << 20

ALIGNMENT = 64  # of every row, in bytes: a line of cache

# Workspaces of different shapes that are remembered, so that the next call need not cut them out.
SHAPES = 1024


class _Kept(threading.local):
    def __init__(self):
        self.blocks = {}
        self.cut = {}
        self.repeats = {}
        """Calls of drivers, of which some arguments are cut out of the blocks."""

    def forget(self):
        """What is cut out of a block would keep it."""
        self.cut.clear()
        self.repeats.clear()
        prepared.runs.clear()


kept = _Kept()


class _Prepared(threading.local):
    def __init__(self):
        self.runs = {}
        """By kind of launch what makes one, which may use what is cut out of this thread's blocks;
        None for a kind that was met once."""


prepared = _Prepared()


def forget_prepared():
    """Have all threads decide anew what launches come to: by what they decide has changed."""
    global prepared
    prepared = _Prepared()


def workspace(name, rows, size, dtype):
    """`rows` rows of at least `size` elements, their contents arbitrary, good until the next call
    with this name in this thread."""
    known = kept.cut.get((name, rows, size, dtype))
    return _cut(name, rows, size, dtype) if known is None else known


def _cut(name, rows, size, dtype):
    row_bytes = max(1, -(-size * dtype.itemsize // ALIGNMENT)) * ALIGNMENT
    needed = rows * row_bytes
    block = kept.blocks.get(name)
    if block is None or block.size < needed:
        raw = np.empty(needed + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        block = raw[start : start + needed]
        if needed > KEPT_BYTES:
            return block.view(dtype).reshape(rows, -1)
        kept.blocks[name] = block
        kept.forget()
    elif len(kept.cut) >= SHAPES:
        kept.cut.clear()
    cut = kept.cut[name, rows, size, dtype] = block[:needed].view(dtype).reshape(rows, -1)
    return cut


def shaped_workspace(name, shape, dtype):
    """The same as an array of this shape."""
    known = kept.cut.get((name, shape, dtype))
    if known is None:
        size = math.prod(shape)
        row = workspace(name, 1, size, dtype)
        known = row[0, :size].reshape(shape)
        if row.nbytes <= KEPT_BYTES:
            kept.cut[name, shape, dtype] = known
    return known


@contextlib.contextmanager
def separate_workspaces():
    """Memory that is nobody else's is handed out in the block, and not kept after it."""
    before = kept.blocks, kept.cut, kept.repeats
    kept.blocks, kept.cut, kept.repeats = {}, {}, {}
    try:
        yield
    finally:
        kept.blocks, kept.cut, kept.repeats = before


def free_workspaces():
    """Give back what this thread keeps."""
    kept.blocks.clear()
    kept.forget()
