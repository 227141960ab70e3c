"""Kernels that stray by one element, for the tests of the guard that must notice them."""

from minitorch_cnn.kernels.jit import kernel, prange

# Numba counts negative indices from the end, once: one below those is in front of the buffer.


@kernel()
def reads_before(x, y):
    """y = x, but 0 after a 77"""
    for i in range(x.size):
        y[i] = 0 if x[i - x.size - 1] == 77 else x[i]


@kernel(work=lambda x, y: x.size)
def reads_behind(x, y):
    """y = x, but 0 before a 77"""
    for i in prange(x.size):
        y[i] = 0 if x[i + 1] == 77 else x[i]


@kernel()
def writes_before(x, y):
    """y = x, and one more"""
    for i in range(x.size):
        y[i - y.size - 1] = x[i]


@kernel()
def writes_behind(x, y):
    """y = x, and one more"""
    for i in range(x.size):
        y[i + 1] = x[i]
