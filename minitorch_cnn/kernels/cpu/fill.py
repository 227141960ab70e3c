"""What NumPy does outside of chains: within, what it took to call it would part them in two."""

from ..jit import kernel

__all__ = ["fill_reals"]


@kernel(flat=True)
def fill_reals(y, value):
    """y = value"""
    value = y.dtype.type(value)
    for i in range(y.size):
        y[i] = value
