"""One training step of the notebook's network, ours and PyTorch's in turns.

    python -m bench.train_step [--batches 4 64 256] [--rounds 15]

Both start from equal weights. The losses of the first steps must agree before a time is believed.
Reported: the median time of a step and, as machines are noisy, the median and the spread of the
ratio over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

try:  # before our first launch: two OpenMP teams in a process disturb each other
    import torch as pytorch
except ImportError:
    pytorch = None  # type: ignore[assignment]

import minitorch_cnn


def network(torch: Any) -> Any:
    """The notebook's network in whichever framework."""
    nn = torch.nn

    class Net(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 6, 5),
                nn.ReLU(),
                nn.MaxPool2d(2, 2),
                nn.Conv2d(6, 16, 5),
                nn.ReLU(),
                nn.MaxPool2d(2, 2),
            )
            self.head = nn.Sequential(
                nn.Flatten(),
                nn.Linear(400, 120),
                nn.GELU(),
                nn.Linear(120, 84),
                nn.GELU(),
                nn.Linear(84, 10),
            )

        def forward(self, x: Any) -> Any:
            return self.head(self.features(x))

    return Net()


def training_step(torch: ModuleType, weights: dict[str, Any], batch: int) -> Callable[[], Any]:
    """A function that trains one step on a fixed batch and returns the loss."""
    net = network(torch)
    net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.standard_normal((batch, 3, 32, 32), np.float32))
    labels = torch.from_numpy(rng.integers(0, 10, batch))

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def seconds(step: Callable[[], Any], repeats: int) -> float:
    """The time of one step."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def main() -> None:
    """Time the steps and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 64, 256])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    minitorch_cnn.manual_seed(0)
    weights = {k: v.numpy() for k, v in network(minitorch_cnn).state_dict().items()}
    print("batch    ours us   PyTorch us   PyTorch / ours (least to greatest)")
    for batch in args.batches:
        ours = training_step(minitorch_cnn, weights, batch)
        repeats = max(5, 400 // batch)
        theirs = None if pytorch is None else training_step(pytorch, weights, batch)
        for _ in range(10):
            loss = ours().item()
            if theirs is not None and abs(loss - theirs().item()) > 1e-3:
                raise SystemExit("the losses differ: no time of these steps means anything")
        times = [
            (seconds(ours, repeats), seconds(theirs, repeats) if theirs else float("nan"))
            for _ in range(args.rounds)
        ]
        mine, other = (statistics.median(column) * 1e6 for column in zip(*times))
        ratios = sorted(b / a for a, b in times)
        print(
            f"{batch:5d} {mine:10.0f} {other:12.0f}   {statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
