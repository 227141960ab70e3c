"""What the helper of a process that compiles does: see `kernels/helper.py`."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable

from . import Tensor, nn, optim, randint, randn
from .kernels.jit import Call, Elsewhere, KernelCache, capture, captured
from .kernels.tasks import compile_call
from .plan.compiled import repeating_launches
from .vision.models import NotebookNet

__all__ = ["main"]


def main() -> None:
    """Compile the calls of a training step, the last first, as long as the standard input is open.

    The process that waits for them compiles them from the first on: so the two meet in the middle.
    First come those that a step makes in any case, then the others of a plain step or, if something
    comes from the input, of one that is repeated.
    """
    repeated = threading.Event()
    threading.Thread(target=_listen, args=(repeated,), daemon=True).start()
    KernelCache.waits = False
    plain, fused = plain_calls(), repeated_calls()
    of_both = {call.compiled for call in plain} & {call.compiled for call in fused}
    for call in reversed(fused):
        if call.compiled in of_both:
            _compile(call, chained=True)
    for call in reversed(plain):
        if not repeated.is_set():
            _compile(call, chained=False)
    if repeated.is_set():
        for call in reversed(fused):
            _compile(call, chained=True)


def plain_calls() -> list[Call]:
    """The calls that a training step comes to, and those before it."""
    with captured(computing=True) as calls:
        step, batch = training_step()
        step(*batch)
    return calls


def repeated_calls() -> list[Call]:
    """The calls before a training step, and those that would repeat it."""
    with captured(computing=True) as calls:
        launches = repeating_launches(*training_step())
    return calls + [call for launch in launches for call in capture(*launch) or ()]


def training_step() -> tuple[Callable[..., None], tuple[Tensor, ...]]:
    """A step as most networks of images take it, of whose kernels most are theirs, too; and what
    it takes."""
    net, criterion = NotebookNet(), nn.CrossEntropyLoss()
    optimizer = optim.Adam(net.parameters())

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        criterion(net(images), labels).backward()
        optimizer.step()

    return step, (randn(4, 3, 32, 32), randint(0, 10, (4,)))


def _compile(call: Call, chained: bool) -> None:
    with contextlib.suppress(Elsewhere):  # another process compiles it
        compile_call(call, chained)


def _listen(repeated: threading.Event) -> None:
    """Note that something came from the input; end the process when the input does."""
    while os.read(sys.stdin.fileno(), 1):
        repeated.set()
    os._exit(0)
