"""How long one waits: for the import, and for the first training step of the notebook's network.

    python -m bench.startup [--batch 4] [--quick]

The step runs in a process of its own, once with an empty cache of compiled kernels and once with
what that left. Seconds count from the start of the process, Python's own start included. Kernels
that a helper compiles beside it are not listed: MINITORCH_CNN_COMPILE_AHEAD=0 keeps it away.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# One process: it prints what it measured as JSON. With no batch it imports and stops.
PROCESS = """
import json, sys, time
started, batch = float(sys.argv[1]), int(sys.argv[2])
python = time.time() - started
import minitorch_cnn as torch
found = {"python": python, "imported": time.time() - started}
if batch:
    from minitorch_cnn.vision.models import NotebookNet
    net, criterion = NotebookNet(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters())
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    for step in ("first_step", "second_step"):
        optimizer.zero_grad()
        criterion(net(images), labels).backward()
        optimizer.step()
        found[step] = time.time() - started
    found["second_step"] -= found["first_step"]
    from minitorch_cnn.kernels.jit import KernelCache
    found["compiled"] = sorted(KernelCache.compiled, key=lambda entry: -entry[2])
print(json.dumps(found))
"""


def measure(cache: str | None, batch: int) -> dict[str, Any]:
    """What a new process found, its kernels cached in a folder, if not where they always are."""
    environment = os.environ if cache is None else {**os.environ, "NUMBA_CACHE_DIR": cache}
    return json.loads(
        subprocess.run(
            [sys.executable, "-c", PROCESS, str(time.time()), str(batch)],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Start the processes and print what they waited for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="the import alone: nothing compiles")
    parser.add_argument("--json", type=Path, help="a file for the results")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as cache:
        found = {"import": measure(cache, 0)}
        if not args.quick:
            found["empty cache"] = measure(cache, args.batch)
            found["warm cache"] = measure(cache, args.batch)
    print("| seconds from the start of Python | imported | first step | kernels compiled |")
    print("|---|---:|---:|---:|")
    for name, times in found.items():
        step = f"{times['first_step']:.2f}" if "first_step" in times else "-"
        print(f"| {name} | {times['imported']:.2f} | {step} | {len(times.get('compiled', []))} |")
    compiled = found.get("empty cache", {}).get("compiled", [])
    if compiled:
        total = sum([seconds for *_, seconds in compiled])
        print(f"\nSeconds to compile each kernel, {total:.1f} in all:\n")
        print(
            "\n".join(
                [f"{seconds:7.2f}  {name} ({variant})" for name, variant, seconds in compiled]
            )
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
