"""A second process that compiles what a first training step will need, while this one compiles.

Numba compiles on one processor. When the first kernel is not found on disk, a helper is started
that writes down the calls of a training step and compiles them, beginning with the last
(`minitorch_cnn/ahead.py`), into the cache that this process reads. Once a step is repeated, it is
told so: that takes other kernels. It prints nothing, ends with this process, and whatever goes
wrong in it is of no concern here. The environment variable MINITORCH_CNN_COMPILE_AHEAD=0 keeps it
away.
"""

import contextlib
import functools
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from . import threads

__all__ = ["start", "steps_are_repeated"]

SWITCH = "MINITORCH_CNN_COMPILE_AHEAD"

_line: int | None = None
"""Where the helper is told."""
_repeated = False


@functools.cache
def start() -> None:
    """Start the helper, the first time that this is called, where there is a use for one."""
    wanted = os.environ.get(SWITCH, "1") != "0" and threads.get_num_threads() > 1
    # One of several processes that do the same would start as many helpers.
    alone = not threads.forked and multiprocessing.parent_process() is None
    # A program that holds Python may have another for an executable: itself, it might be.
    python = bool(sys.executable) and not getattr(sys, "frozen", False)
    if not (wanted and alone and python and hasattr(os, "fork")):
        return
    package = __package__.split(".")[0]
    path = [str(Path(__file__).parents[2]), *sys.path]
    program = f"import sys; sys.path[:] = {path!r}; from {package} import ahead; ahead.main()"
    # It ends when its input does, which is when this process ends, however that comes about.
    read, line = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", f"import os; os.fork() and os._exit(0); {program}"],
            env={**os.environ, SWITCH: "0"},
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # The helper is that process's child: nobody has to wait for it once it is done.
        process.wait()
        _connect(line)
    except OSError:
        pass
    finally:
        os.close(read)


def _connect(line: int) -> None:
    global _line
    _line = line
    if _repeated:
        _tell()


def steps_are_repeated() -> None:
    """Say that a training step was recorded, and is about to be compiled as it is repeated."""
    global _repeated
    if not _repeated:
        _repeated = True
        _tell()


def _tell() -> None:
    if _line is not None:
        with contextlib.suppress(OSError):  # it may have ended
            os.write(_line, b"r")
