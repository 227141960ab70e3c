"""What the benchmarks share: ours and PyTorch's in turns in one process, and what the times mean.

Clocks and caches are noisy, and a machine's speed changes within minutes. So what is reported is
the ratio of two samples taken one after the other, its median over many rounds and its spread; and
beside it the same for a function against itself, which shows how much of a spread is noise.
Without PyTorch our times are reported alone.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

try:  # before our first launch: two OpenMP teams in a process disturb each other
    import torch as pytorch
except ImportError:
    pytorch = None  # type: ignore[assignment]

import numba
from numba import njit, prange

import minitorch_cnn

CACHE = 1 << 25
"""Bytes above which arrays are taken to lie in memory."""


@dataclass
class Comparison:
    """A computation in ours and in PyTorch, and how much it is."""

    name: str
    make: Callable[[Any], Callable[[], Any]]
    """Given minitorch_cnn or PyTorch, the function to time."""
    group: str = ""
    """Rows of one group have a geometric mean of their own."""
    flop: float = 0
    """Floating-point operations of a call."""
    bytes: float = 0
    """The least that a call must read and write."""
    check: Callable[[Callable[[], Any], Callable[[], Any]], None] | None = None
    """Given both functions, raises AssertionError if they don't compute the same. By default their
    results, tensors or sequences of tensors, are compared."""


@dataclass
class Row:
    """What was measured of a comparison. Times in microseconds, rates in 10^9 a second."""

    name: str
    group: str
    ours: float
    theirs: float | None = None
    ratio: float | None = None
    """The median of PyTorch's time / ours; then its quartiles, its least and its greatest."""
    quartiles: tuple[float, float] | None = None
    extremes: tuple[float, float] | None = None
    gflops: float | None = None
    gbytes: float | None = None
    of_limit: float | None = None
    """The fraction of what this machine's arithmetic or memory, whichever is nearer, can do."""


@dataclass
class Limits:
    """What this machine does at most, as measured: GFLOP/s in float32 and GB/s."""

    gflops: float
    gbytes: float


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    options = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=15, help="samples of each function")
    options.add_argument("--sample", type=float, default=4, help="milliseconds a sample lasts")
    options.add_argument("--threads", type=int, help="of both; all that Numba finds if not given")
    options.add_argument("--only", default="", help="only rows whose name contains this")
    options.add_argument(
        "--quick", action="store_true", help="a look in seconds, not a measurement"
    )
    options.add_argument("--json", type=Path, help="a file for the results")
    return options


def report(comparisons: Iterable[Comparison], args: argparse.Namespace) -> list[Row]:
    """Measure all that `--only` asks for, print the table, write the JSON file."""
    if args.quick:
        args.rounds, args.sample = min(args.rounds, 2), min(args.sample, 0.2)
    if args.threads:
        minitorch_cnn.set_num_threads(args.threads)
    numba.set_num_threads(minitorch_cnn.get_num_threads())
    if pytorch is not None:
        pytorch.set_num_threads(minitorch_cnn.get_num_threads())
    limits = measure_limits(args.quick)
    rows: list[Row] = []
    wanted = [c for c in comparisons if args.only in f"{c.name}, {c.group}"]
    for comparison in tqdm(wanted, delay=2, leave=False, disable=None):  # silent but on a terminal
        rows.append(measure(comparison, limits, args))
        if len(rows) == 1:
            control = measure(comparison, limits, args, against_itself=True)
    if not rows:
        raise SystemExit(f"no row's name contains {args.only!r}")
    means = geometric_means(rows)
    print(table([*rows, control]))
    print("\n" + "".join([f"geometric mean, {g}: {mean:.2f}\n" for g, mean in means.items()]))
    print(f"limits of this machine: {limits.gflops:.0f} GFLOP/s, {limits.gbytes:.1f} GB/s")
    if args.json:
        found = {
            "machine": machine(),
            "limits": asdict(limits),
            "rounds": args.rounds,
            "rows": [asdict(row) for row in rows],
            "control": asdict(control),
            "geometric_means": means,
        }
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return rows


def measure(
    comparison: Comparison, limits: Limits, args: argparse.Namespace, against_itself: bool = False
) -> Row:
    """Check that both agree, then time them in turns. Against itself any ratio but 1 is noise."""
    c = comparison
    functions = [c.make(minitorch_cnn)]
    if against_itself:
        c = Comparison("(control: the first row against itself)", c.make)
        functions.append(functions[0])
    elif pytorch is not None:
        functions.append(c.make(pytorch))
        try:
            (c.check or agree)(*functions)
        except AssertionError as error:
            message = f"{c.name}: the results differ, so their times say nothing\n{error}"
            raise SystemExit(message) from None
    repeats = [_repeats(f, args.sample / 1e3) for f in functions]
    # Who comes first changes from round to round.
    samples: list[list[float]] = [[] for _ in functions]
    for r in range(args.rounds):
        for i in (range(len(functions)), reversed(range(len(functions))))[r % 2]:
            settle(functions[i])
            samples[i].append(seconds(functions[i], repeats[i]))
    row = Row(c.name, c.group, statistics.median(samples[0]) * 1e6)
    if len(samples) == 2:
        ratios = np.divide(samples[1], samples[0])
        least, low, middle, high, greatest = np.quantile(ratios, [0, 0.25, 0.5, 0.75, 1]).tolist()
        row.theirs = statistics.median(samples[1]) * 1e6
        row.ratio, row.quartiles, row.extremes = middle, (low, high), (least, greatest)
    used = []
    if c.flop:
        row.gflops = c.flop / row.ours / 1e3
        used.append(row.gflops / limits.gflops)
    if c.bytes:
        row.gbytes = c.bytes / row.ours / 1e3
        if c.bytes >= CACHE:  # what fits into a cache is not held up by memory
            used.append(row.gbytes / limits.gbytes)
    row.of_limit = max(used, default=None)
    return row


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """The time of one call, of so many."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


# How long threads that wait for work may keep a processor from others.
SPIN = 0.01


def settle(function: Callable[[], Any]) -> None:
    """Call until the threads of what ran before sleep: each framework has threads of its own."""
    end = time.perf_counter() + SPIN
    while time.perf_counter() < end:
        function()


def _repeats(function: Callable[[], Any], sample: float) -> int:
    """How many calls make a sample last long enough."""
    repeats = 1
    while (once := seconds(function, repeats)) * repeats < sample / 2:
        repeats *= 2
    return max(1, round(sample / once))


def agree(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    """Raise AssertionError unless the results of both are close."""
    assert_close(ours(), theirs())


def assert_close(mine: Any, other: Any, tolerance: float = 1e-4) -> None:
    """Raise AssertionError unless two tensors, or sequences of such, are close, as seen from the
    largest element: a small one may be a difference of large ones."""
    if isinstance(mine, (list, tuple)):
        for a, b in zip(mine, other, strict=True):
            assert_close(a, b, tolerance)
    else:
        expected = array(other)
        largest = np.abs(expected).max(initial=0)
        np.testing.assert_allclose(array(mine), expected, rtol=0, atol=tolerance * largest)


def array(values: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor of either framework."""
    return np.asarray(values.detach().numpy() if hasattr(values, "detach") else values)


# ---------------------------------------------------------------------- what the machine can do


def measure_limits(quick: bool = False) -> Limits:
    """Multiply-adds in registers and a copy of arrays larger than the caches, all threads."""
    tasks, steps = numba.get_num_threads(), 100 if quick else 2000
    source = np.ones(1 << (20 if quick else 25), np.float32)
    target, points = np.zeros_like(source), np.ones((tasks, 512), np.float32)
    _polynomials(points, 1), _copy(source, target)  # compiled
    arithmetic = min(seconds(lambda: _polynomials(points, steps), 1) for _ in range(15))
    memory = min(seconds(lambda: _copy(source, target), 1) for _ in range(15))
    flop = points.size * steps * 6 * 16 * 2
    return Limits(flop / arithmetic / 1e9, 2 * source.nbytes / memory / 1e9)


@njit(parallel=True, fastmath={"contract"}, error_model="numpy")
def _polynomials(points, steps):  # type: ignore[no-untyped-def]
    """Six polynomials of degree 16 at each point: long chains of multiply-adds, side by side."""
    for task in prange(points.shape[0]):
        row = points[task]
        for _ in range(steps):
            for i in range(row.size):
                x = row[i]
                a = b = c = d = e = f = x
                for _ in range(16):
                    a = a * x + np.float32(0.1)
                    b = b * x + np.float32(0.2)
                    c = c * x + np.float32(0.3)
                    d = d * x + np.float32(0.4)
                    e = e * x + np.float32(0.5)
                    f = f * x + np.float32(0.6)
                row[i] = (a + b + c + d + e + f) * np.float32(1e-9)


@njit(parallel=True, error_model="numpy")
def _copy(source, target):  # type: ignore[no-untyped-def]
    for i in prange(source.size):
        target[i] = source[i]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processor": _processor(),
        "threads": minitorch_cnn.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "minitorch_cnn": minitorch_cnn.__version__,
        "torch": None if pytorch is None else str(pytorch.__version__),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# ---------------------------------------------------------------------- results


def geometric_means(rows: Sequence[Row]) -> dict[str, float]:
    """Of the ratios of each group and of all."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row.ratio is not None:
            for group in {row.group or "all", "all"}:
                groups.setdefault(group, []).append(math.log(row.ratio))
    return {g: math.exp(statistics.fmean(logs)) for g, logs in sorted(groups.items())}


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| | ours us | PyTorch us | PyTorch / ours (quartiles) | GFLOP/s | GB/s | of limit |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for r in rows:
        spread = "-" if r.quartiles is None else "({:.2f} to {:.2f})".format(*r.quartiles)
        cells = [
            f"{r.name}, {r.group}" if r.group else r.name,
            f"{r.ours:.1f}",
            _cell(r.theirs, ".1f"),
            f"{_cell(r.ratio, '.2f')} {spread}" if r.ratio is not None else "-",
            _cell(r.gflops, ".1f"),
            _cell(r.gbytes, ".1f"),
            _cell(r.of_limit, ".0%"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
