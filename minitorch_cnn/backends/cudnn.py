"""cuDNN, NVIDIA's library of convolutions, which is not used here: convolutions have kernels of
their own. The settings below can be made and have no effect."""

from __future__ import annotations

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether cuDNN is used: it is not."""
    return False


def version() -> int | None:
    """The version of cuDNN: there is none."""
    return None
