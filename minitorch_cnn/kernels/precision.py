"""What users may choose between precision and speed. Kernels ask here."""

from .workspace import forget_prepared

__all__ = ["get_winograd_tile", "set_winograd_tile"]

_winograd_tile = 2


def set_winograd_tile(size: int) -> None:
    """Choose by which of Winograd's algorithms 3 x 3 convolutions of many channels are computed.

    They compute tiles of size x size results with fewer multiplications than the definition has:

    - 2: 2.25 times fewer; the error is no larger than that of the definition's sum. The default.
    - 4: 4 times fewer; the error is about ten times as large. The gradients of weights are computed
      with tiles of 2 all the same.
    - 0: none, but the definition's sum.

    In float32, the largest errors of a layer of 64 channels, in units of the results' standard
    deviation, were 2e-6, 4e-5 and 4e-6.

    Infinity or NaN in the input spreads over the tiles that read it, at sizes 2 and 4.

    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015).

    >>> import minitorch_cnn as torch
    >>> torch.set_winograd_tile(4)
    >>> torch.get_winograd_tile()
    4
    >>> torch.set_winograd_tile(2)
    """
    global _winograd_tile
    if isinstance(size, bool) or size not in (0, 2, 4):
        raise ValueError(f"set_winograd_tile expects 0, 2 or 4, but got {size!r}")
    _winograd_tile = int(size)
    forget_prepared()


def get_winograd_tile() -> int:
    """The size of the tiles of Winograd's algorithm, or 0: see `set_winograd_tile`."""
    return _winograd_tile
