"""How many threads kernels run on. Numba, which has them, is imported later: it asks here."""

import os

from .workspace import forget_prepared

__all__ = ["get_num_threads", "set_num_threads"]

chosen: int | None = None
"""What `set_num_threads` was told."""

launched: int | None = None
"""How many threads Numba has, if it is imported."""

forked = False
"""Whether this process is a forked child. It has none of its parent's threads, and would wait for
them for ever; so its kernels run on one."""


def set_num_threads(num: int) -> None:
    """Run kernels on so many threads, whichever thread calls them, from now on.

    At first they run on as many as there are processors for this process, or as the environment
    variable NUMBA_NUM_THREADS says; more there never are. Results do not depend on it, to the bit.
    See https://docs.pytorch.org/docs/stable/generated/torch.set_num_threads.html.

    >>> import minitorch_cnn as torch
    >>> before = torch.get_num_threads()
    >>> torch.set_num_threads(1)
    >>> torch.get_num_threads()
    1
    >>> torch.set_num_threads(before)
    """
    global chosen
    if not isinstance(num, int) or isinstance(num, bool):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {num}")
    chosen = num
    forget_prepared()


def get_num_threads() -> int:
    """How many threads kernels run on; large calls, that is: small ones run on one.

    In a forked child it is one, whatever it is told: it has none of its parent's threads.
    """
    if forked:
        return 1
    most = _processors() if launched is None else launched
    return most if chosen is None else min(chosen, most)


def _processors() -> int:
    """As Numba counts them."""
    asked = os.environ.get("NUMBA_NUM_THREADS")
    if asked:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
