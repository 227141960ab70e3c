"""A second process that compiles what a first training step will need, while this one compiles.

Numba compiles on one processor. When the first kernel is not found on disk, a helper is started
that writes down the calls of a training step and compiles them, beginning with the last
(`minitorch_cnn/ahead.py`), into the cache that this process reads. It prints nothing, ends with
this process, and whatever goes wrong in it is of no concern here. The environment variable
MINITORCH_CNN_COMPILE_AHEAD=0 keeps it away.
"""

import functools
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from . import threads

__all__ = ["start"]

SWITCH = "MINITORCH_CNN_COMPILE_AHEAD"


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
    read, _ = os.pipe()
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
    except OSError:
        pass
    finally:
        os.close(read)
