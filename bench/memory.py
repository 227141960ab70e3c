"""Peak memory of training steps of a ResNet-18 at batch 16, ours and PyTorch's.

    python -m bench.memory [--batch 16] [--size 224] [--quick] [--json FILE]

Each runs in a process of its own, ours once before to compile its kernels. Reported is the most
that the process ever held; what it held before the first step, when all was imported and built; and
what the step passes on from launch to launch, activations most of it. Of a compiled step that is
what its plan says: it is recorded in an eager step, whose memory the process held. Of an eager one
it is what came on top of parameters, their gradients and their moments.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

COMPILED = "compiled"
FRAMEWORKS = {"minitorch_cnn": "ours", COMPILED: "ours, compiled", "torch": "PyTorch"}


def residual_blocks(torch: Any, inputs: int, stages: Sequence[tuple[int, int]]) -> list[Any]:
    """Blocks of two convolutions and a shortcut, of so many channels and with such strides."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x: Any) -> Any:
            y = functional.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            return functional.relu(y + (x if self.downsample is None else self.downsample(x)))

    blocks = []
    for outputs, stride in stages:
        blocks.append(Block(inputs, outputs, stride))
        inputs = outputs
    return blocks


def resnet18(torch: Any) -> Any:
    """The network of He et al., Deep residual learning for image recognition (2015)."""
    nn = torch.nn
    widths = (64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *residual_blocks(torch, 64, widths),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, 1000),
    )


def peak() -> float:
    """The most that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts the parent's memory at the fork as well
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def train(framework: str, batch: int, size: int, steps: int) -> dict[str, float]:
    """Peak memory before the first step and after the last, and what steps pass on, in MB."""
    compiled = framework == COMPILED
    torch = importlib.import_module("minitorch_cnn" if compiled else framework)
    net = resnet18(torch)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((batch, 3, size, size), np.float32))
    labels = torch.from_numpy(rng.integers(0, 1000, batch))

    def step(images: Any, labels: Any) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()

    before = peak()
    repeated = torch.compile(step) if compiled else step
    for _ in range(max(steps, 2) if compiled else steps):
        repeated(images, labels)
    if compiled:
        ((plan,),) = repeated._plans.values()
        passed_on = plan.nbytes
    else:
        parameters = sum([p.numel() * p.element_size() for p in net.parameters()])
        passed_on = (peak() - before) * 2**20 - 2 * parameters
    return {"before": before, "peak": peak(), "passed on": passed_on / 2**20}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, write the JSON file."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--size", type=int, default=224, help="of the square images")
    options.add_argument("--steps", type=int, default=4)
    options.add_argument("--quick", action="store_true", help="small images, few steps")
    options.add_argument("--json", type=Path, help="a file for the results")
    options.add_argument("--framework", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    args = options.parse_args(argv)
    if args.quick:
        args.batch, args.size, args.steps = min(args.batch, 2), min(args.size, 32), 1
    if args.framework:
        print(json.dumps(train(args.framework, args.batch, args.size, args.steps)))
        return
    found = {}
    sizes = [f"--{name}={getattr(args, name)}" for name in ("batch", "size", "steps")]
    for framework in ("minitorch_cnn", *FRAMEWORKS):  # the first run compiles
        if framework == "torch" and importlib.util.find_spec("torch") is None:
            continue
        command = [sys.executable, "-m", "bench.memory", f"--framework={framework}", *sizes]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        found[FRAMEWORKS[framework]] = json.loads(result.stdout)
    print("| | MB before the first step | MB at the peak | MB passed on |\n|---|---:|---:|---:|")
    for name, row in found.items():
        print(f"| {name} | {row['before']:.0f} | {row['peak']:.0f} | {row['passed on']:.0f} |")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
