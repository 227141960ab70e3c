"""Runs kernels with every buffer flush against memory that may not be touched.

    python -m tests.guarded REPORT [PLANTED]

`REPORT` is a file, which says at any time what is being run: a stray access ends the process.
`PLANTED` is the name of a kernel, to run that one alone.
"""

import ctypes
import importlib
import mmap
import pkgutil
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

import minitorch_cnn.kernels
from minitorch_cnn.device import cpu
from minitorch_cnn.kernels import drivers, jit
from minitorch_cnn.kernels.jit import Kernel
from minitorch_cnn.kernels.tasks import TaskKernel
from minitorch_cnn.kernels.workspace import kept

PAGE = mmap.PAGESIZE
MARGIN = 64
FILLING = 0xFF  # not a number, in floats

VARIANTS = {"serial": sys.maxsize, "parallel": 0}
"""For either variant, the work from which kernels are to run on threads."""
KINDS = Kernel, TaskKernel
PLACEMENTS = ("end", "start")
"""Which end of a buffer lies at the edge of a page that may not be touched."""


class Region:
    """Pages between two that may not be touched."""

    def __init__(self, size):
        pages = -(-size // PAGE)
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        libc = ctypes.CDLL(None, use_errno=True)
        for guard in (address, address + (pages + 1) * PAGE):
            if libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect failed")
        self.bytes = np.ndarray((pages * PAGE,), np.uint8, memory, PAGE)


class Regions:
    """Places for buffers, used again and again."""

    def __init__(self):
        self.free = {}
        self.taken = []

    def place(self, nbytes, placement):
        """(bytes, offset) of a stretch of so many; what is beside it is filled."""
        pages = max(1, -(-nbytes // PAGE))
        free = self.free.setdefault(pages, [])
        region = free.pop() if free else Region(pages * PAGE)
        whole = region.bytes
        start = len(whole) - nbytes if placement == "end" else 0
        margin = whole[max(0, start - MARGIN) : start]
        if placement == "start":
            margin = whole[nbytes : nbytes + MARGIN]
        margin[:] = FILLING
        self.taken.append((pages, region, margin))
        return whole, start

    def release(self, count):
        """Take all but the first `count` places back; refuses to if a margin was written."""
        taken, self.taken = self.taken[count:], self.taken[:count]
        for pages, region, margin in taken:
            self.free[pages].append(region)
            if not np.all(margin == FILLING):
                raise AssertionError("a kernel wrote beside a buffer")


def arrays_in(args):
    """The arrays among arguments, also those in tuples."""
    found = []
    for arg in args:
        if isinstance(arg, np.ndarray):
            found.append(arg)
        elif isinstance(arg, tuple):
            found += arrays_in(arg)
    return found


def moved(args, place):
    """The arguments with their arrays copied to where `place(nbytes)`, (bytes, offset), says. Their
    strides stay, and arrays that share memory share it there."""
    spans = []
    for low, high in sorted(_span(a) for a in arrays_in(args) if a.size):
        if spans and low < spans[-1][1]:
            spans[-1][1] = max(high, spans[-1][1])
        else:
            spans.append([low, high])
    places = [(low, high, *place(high - low)) for low, high in spans]

    def move(arg):
        if isinstance(arg, tuple):
            return tuple([move(a) for a in arg])
        if not isinstance(arg, np.ndarray):
            return arg
        if arg.size == 0:
            return np.ndarray(arg.shape, arg.dtype, *place(0), arg.strides)
        low, _ = _span(arg)
        start, whole, offset = next((s, w, o) for s, e, w, o in places if s <= low < e)
        offset += arg.ctypes.data - start
        copy = np.ndarray(arg.shape, arg.dtype, whole, offset, arg.strides)
        np.copyto(copy, arg)
        copy.flags.writeable = arg.flags.writeable
        return copy

    return tuple([move(arg) for arg in args])


def _span(array):
    """The addresses between which an array's elements lie."""
    reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    low = array.ctypes.data + sum(min(r, 0) for r in reach)
    return low, array.ctypes.data + sum(max(r, 0) for r in reach) + array.itemsize


def described(args):
    """Arguments, with arrays told by type, shape and, if there are gaps, strides."""
    words = []
    for arg in args:
        if isinstance(arg, np.ndarray):
            strides = "" if arg.flags.c_contiguous else f" with strides {arg.strides}"
            words.append(f"{arg.dtype}{list(arg.shape)}{strides}")
        elif isinstance(arg, tuple):
            words.append(f"({described(arg)})")
        else:
            words.append(repr(arg))
    return ", ".join(words)


class Guard:
    """While `watching`, repeats every launch with its kernels' buffers at the edges of pages."""

    def __init__(self, report):
        self.report = report
        self.regions = Regions()
        self.placement = None
        self.reached = set()
        self.launches = 0
        self.called = False

    @contextmanager
    def watching(self):
        originals, kernels = [kind.__call__ for kind in KINDS], cpu._kernels
        for kind, original in zip(KINDS, originals, strict=True):
            kind.__call__ = self.watched(original)
        # Calls that are repeated would be made of the code itself.
        resolved, Kernel.resolved = Kernel.resolved, lambda kernel, args: kernel
        direct, TaskKernel.direct = TaskKernel.direct, lambda kernel, args: (kernel, args)
        cpu._kernels = Launches(self, kernels)
        kept.forget()  # what was prepared of kernels that nobody watched
        try:
            yield self
        finally:
            kept.forget()
            cpu._kernels, Kernel.resolved, TaskKernel.direct = kernels, resolved, direct
            for kind, original in zip(KINDS, originals, strict=True):
                kind.__call__ = original

    def watched(self, original):
        """The method that calls a kernel, here in guarded memory if that is to be tried."""

        def call(kernel, *args):
            self.called = True
            noted = drivers.capturing is not None and drivers.capturing.here()
            if self.placement is None or noted:
                original(kernel, *args)
                return
            count = len(self.regions.taken)
            there = moved(args, self.place)
            self.say(f"{kernel.__module__}.{kernel.__name__}({described(args)})")
            before = [copy.tobytes() for copy in arrays_in(there)]
            original(kernel, *there)
            for here, copy, old in zip(arrays_in(args), arrays_in(there), before, strict=True):
                if copy.tobytes() != old:  # else the kernel may have written it by its address
                    np.copyto(here, copy)
            self.regions.release(count)
            self.reached.add((kernel, self.variant, self.placement))

        return call

    def place(self, nbytes):
        return self.regions.place(nbytes, self.placement)

    def launch(self, name, function, *args):
        """Run a kernel in every way; the results must be those of ordinary memory, to the bit."""
        self.launches += 1
        kept = moved(args, ordinary)
        self.called = False
        self.launched = f"{name}({described(args)})"
        for variant in VARIANTS:
            expected = self.run(function, kept, variant, None)
            if not self.called:
                break  # it is NumPy's
            for placement in PLACEMENTS:
                found = self.run(function, kept, variant, placement)
                for a, b in zip(arrays_in(expected), arrays_in(found), strict=True):
                    if a.tobytes() != b.tobytes():
                        raise AssertionError("a kernel's result depends on where its buffers lie")
                self.regions.release(0)
        function(*args)

    def run(self, function, kept, variant, placement):
        """The arguments after a call."""
        work, jit.PARALLEL_WORK = jit.PARALLEL_WORK, VARIANTS[variant]
        self.variant, self.placement = variant, placement
        try:
            # Those of the launch too, since kernels may be handed their addresses.
            args = moved(kept, self.place if placement else ordinary)
            self.say(self.launched)
            function(*args)
        finally:
            jit.PARALLEL_WORK, self.placement = work, None
        return args

    def say(self, text):
        where = f"at the {self.placement} of pages" if self.placement else "anywhere"
        line = f"{text}, {self.variant}, buffers {where}"
        self.report.seek(0)
        self.report.write(line.ljust(2000) + "\n")
        self.report.flush()


class Launches(dict):
    """A device's kernels by name, each of them watched."""

    def __init__(self, guard, kernels):
        super().__init__()
        self.guard, self.kernels = guard, kernels

    def get(self, name):
        if name not in self:
            family, _, function = name.partition(".")
            module = importlib.import_module(f"minitorch_cnn.kernels.cpu.{family}")
            self[name] = partial(self.guard.launch, name, getattr(module, function))
        return super().get(name)


def ordinary(nbytes):
    """Memory that a stray write can't harm much."""
    return np.full(nbytes + 2 * MARGIN, FILLING, np.uint8), MARGIN


def all_kernels():
    """Every kernel of the CPU's."""
    found = set()
    package = minitorch_cnn.kernels
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        members = vars(importlib.import_module(module.name)).values()
        found |= {member for member in members if isinstance(member, KINDS)}
    return found


def missing(guard):
    """What was not run, in words."""
    left = []
    for kernel in all_kernels():
        serial = isinstance(kernel, jit.Kernel) and kernel.work is None
        for variant in ["serial"] if serial else VARIANTS:
            for placement in PLACEMENTS:
                if (kernel, variant, placement) not in guard.reached:
                    left.append(f"{kernel.__module__}.{kernel.__name__}, {variant}, {placement}")
    return sorted(left)


def main():
    with Path(sys.argv[1]).open("w") as report, Guard(report).watching() as guard:
        if sys.argv[2:]:
            planted = getattr(importlib.import_module("tests.planted_kernels"), sys.argv[2])
            guard.launch(sys.argv[2], planted, np.arange(5.0), np.zeros(5))
            return
        importlib.import_module("tests.guarded_calls").run_all()
    left = missing(guard)
    if left:
        raise SystemExit("kernels that no call reached:\n" + "\n".join(left))
    kernels = len({kernel for kernel, _, _ in guard.reached})
    print(f"{guard.launches} launches of {kernels} kernels")


if __name__ == "__main__":
    main()
