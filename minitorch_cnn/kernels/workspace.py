"""Memory in which kernels keep what they make for themselves: laid-out images, turned weights.

It stays from call to call, so that a training step asks the system for none. Every Python thread
has its own, since two may run kernels at once.
"""

import math
import threading

import numpy as np

# Bytes up to which a workspace is kept; a larger one is made for its call alone.
KEPT_BYTES = 64 << 20

ALIGNMENT = 64  # of every row, in bytes: a line of cache


class _Kept(threading.local):
    def __init__(self):
        self.blocks = {}


_kept = _Kept()


def workspace(name, rows, size, dtype):
    """`rows` rows of at least `size` elements, their contents arbitrary, good until the next call
    with this name in this thread."""
    dtype = np.dtype(dtype)
    row_bytes = max(1, -(-size * dtype.itemsize // ALIGNMENT)) * ALIGNMENT
    needed = rows * row_bytes
    block = _kept.blocks.get(name)
    if block is None or block.size < needed:
        raw = np.empty(needed + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        block = raw[start : start + needed]
        if needed <= KEPT_BYTES:
            _kept.blocks[name] = block
    return block[:needed].view(dtype).reshape(rows, -1)


def shaped_workspace(name, shape, dtype):
    """The same as an array of this shape."""
    size = math.prod(shape)
    return workspace(name, 1, size, dtype)[0, :size].reshape(shape)


def free_workspaces():
    """Give back what this thread keeps."""
    _kept.blocks.clear()
