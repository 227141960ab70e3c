"""Who compiles an entry of the cache: of several processes that need it, one; the others wait."""

import time
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # not on Windows: there each compiles for itself
    fcntl = None  # type: ignore[assignment]

__all__ = ["Claim", "Elsewhere"]

PATIENCE = 30.0  # seconds: far longer than any kernel takes, unless who compiles it stands still
PAUSE = 0.002


class Elsewhere(Exception):
    """Another process compiles what was asked for."""


class Claim:
    """A process's claim to an entry: a lock on a file beside it, which ends with the process.

    Where there is no such lock, or its holder takes too long, it is as if nobody had a claim.
    """

    def __init__(self, entry: Path, waits: bool) -> None:
        self._path = entry.with_suffix(".claim")
        self._file: IO[bytes] | None = None
        if fcntl is None:
            return
        try:
            self._file = self._path.open("wb")
            end = time.monotonic() + PATIENCE
            while not self._lock() and time.monotonic() < end:
                if not waits:
                    self._file.close()
                    raise Elsewhere
                time.sleep(PAUSE)
        except OSError:
            return

    def _lock(self) -> bool:
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give it up, the entry being written."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
