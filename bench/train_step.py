"""One training step of the notebook's network: forward, backward and Adam; eager and compiled.

    python -m bench.train_step [--batches 4 64 256] [--quick]

Both start from equal weights. The losses of the first steps must agree before a time is believed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

import minitorch_cnn
from minitorch_cnn.device import observe

from . import harness
from .harness import Comparison

# Multiply-adds of an image: the first convolution needs no gradient of its input.
FLOP = 2 * (2 * 28**2 * 3 * 6 * 25 + 3 * 10**2 * 6 * 16 * 25 + 3 * (400 * 120 + 120 * 84 + 84 * 10))


def network(torch: Any) -> Any:
    """The notebook's network in whichever framework."""
    nn = torch.nn

    class Net(nn.Module):  # type: ignore[name-defined]
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


# Then the learning rate becomes 0. Once a batch is known by heart its gradients vanish, and moments
# that decay into denormal numbers have times of their own.
LEARNT = 10


class Training:
    """A network, its optimizer and a batch; each call trains one step and returns the loss."""

    def __init__(
        self, torch: ModuleType, weights: dict[str, Any], batch: int, compiled: bool = False
    ) -> None:
        self.net = network(torch)
        self.net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
        self.criterion = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.001)
        rng = np.random.default_rng(0)
        self.images = torch.from_numpy(rng.standard_normal((batch, 3, 32, 32), np.float32))
        self.labels = torch.from_numpy(rng.integers(0, 10, batch))
        self.steps = 0
        self.step = torch.compile(self.eager) if compiled else self.eager

    def eager(self, images: Any, labels: Any) -> Any:
        """One step, as it stands in a training loop."""
        self.optimizer.zero_grad()
        loss = self.criterion(self.net(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss

    def __call__(self) -> Any:
        self.steps += 1
        if self.steps > LEARNT:
            self.optimizer.param_groups[0]["lr"] = 0.0
        return self.step(self.images, self.labels)


def losses_agree(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    """Raise AssertionError unless both learn alike."""
    for _ in range(LEARNT):
        harness.assert_close(ours(), theirs(), 1e-3)


def comparison(batch: int, compiled: bool) -> Comparison:
    """Training steps on the same images from the same weights; PyTorch's are eager always."""
    minitorch_cnn.manual_seed(0)
    weights = {k: v.numpy() for k, v in network(minitorch_cnn).state_dict().items()}
    return Comparison(
        f"batch {batch}" + ", compiled" * compiled,
        lambda torch: Training(torch, weights, batch, compiled and torch is minitorch_cnn),
        flop=batch * FLOP,
        check=losses_agree,
    )


@contextlib.contextmanager
def idle_kernels() -> Iterator[None]:
    """Kernels do nothing in the block: what is left of a step is its Python code."""
    kernels = minitorch_cnn.device("cpu")._kernels
    before = dict(kernels)
    kernels.update(dict.fromkeys(before, lambda *args: None))
    try:
        yield
    finally:
        kernels.update(before)


def python_work(steps: int) -> str:
    """What the Python code of an eager step takes for each launch, forward and backward."""
    weights = {k: v.numpy() for k, v in network(minitorch_cnn).state_dict().items()}
    training = Training(minitorch_cnn, weights, batch=4)
    for _ in range(LEARNT):
        training()
    launches = [0]

    def count(*launch: Any) -> None:
        launches[0] += 1

    def forward() -> Any:
        return training.criterion(training.net(training.images), training.labels)

    training.optimizer.zero_grad()
    times = np.empty((steps, 2))
    before = observe(count)  # while somebody looks on, no backward pass is repeated without a walk
    with idle_kernels():
        loss, counts = forward(), [launches[0]]
        loss.backward()
        counts.append(launches[0] - counts[0])
        for row in times:
            training.optimizer.zero_grad()
            begun = time.perf_counter()
            loss = forward()
            between = time.perf_counter()
            loss.backward()
            row[:] = between - begun, time.perf_counter() - between
    observe(before)
    parts = zip(("forward", "backward, walked,"), np.median(times, 0) * 1e6, counts)
    told = [f"{name} {us:.0f} us, {us / n:.1f} a launch" for name, us, n in parts]
    return "Python code of an eager step, its kernels idle: " + "; ".join(told)


def chain(launches: int) -> Callable[[], Any]:
    """A compiled function of so many launches that have next to nothing to do."""
    x = minitorch_cnn.ones(1)

    @minitorch_cnn.compile(reuse_results=True)
    def step(x: Any) -> Any:
        y = x
        for _ in range(launches):
            y = minitorch_cnn.relu(y)
        return y

    step(x)
    step(x)
    return lambda: step(x)


def replay_work(rounds: int) -> str:
    """What a replayed launch takes besides its kernel, and what a call of a plan does: from the
    times of chains of minimal launches, a short one and a long one."""
    few, many = 10, 210
    chains = {launches: chain(launches) for launches in (few, many)}
    times = {launches: np.empty(rounds) for launches in chains}
    for i in range(rounds):
        for launches, replay in chains.items():
            times[launches][i] = harness.seconds(replay, 100) * 1e6
    a_launch = float(np.median(times[many] - times[few])) / (many - few)
    a_call = float(np.median(times[few])) - few * a_launch
    return f"Replay of minimal launches: {a_launch:.3f} us a launch, {a_call:.1f} us a call"


def main(argv: Sequence[str] | None = None) -> None:
    """Time the steps and print a table."""
    options = harness.parser(__doc__)
    options.add_argument("--batches", type=int, nargs="+", default=[4, 64, 256])
    args = options.parse_args(argv)
    rows = [comparison(batch, way) for batch in args.batches for way in (False, True)]
    harness.report(rows, args)
    print(python_work(20 if args.quick else 500))
    print(replay_work(2 if args.quick else 50))


if __name__ == "__main__":
    main()
