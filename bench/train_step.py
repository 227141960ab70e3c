"""One training step of the notebook's network: forward, backward and Adam; eager and compiled.

    python -m bench.train_step [--batches 4 64 256] [--net notebook|other|resnet20] [--quick]
        [--against-compiled] [--replays 100000]
    python -m bench.train_step --net resnet20 --batches 128 --rounds 3
    python -m bench.train_step --ways eager module compiled

Both start from equal weights. The losses of the first steps must agree before a time is believed.
`other` is a network with other channels and kernel sizes, batch norm and average pooling;
`resnet20` that of He et al. for images of 32 x 32, but that convolutions lead past narrower blocks.
It is trained by SGD with momentum. `module` is the eager step with the network alone compiled.
PyTorch's steps are eager, or by `torch.compile` with `--against-compiled`, which takes a compiler
for C++. `--replays` asks instead by how much a process grows that repeats a compiled step so often.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import minitorch_cnn
from minitorch_cnn.autograd.graph import walk
from minitorch_cnn.device import observe
from minitorch_cnn.kernels.workspace import forget_prepared

from . import harness
from .harness import Comparison
from .memory import residual_blocks

# Operations of an image: the first convolution needs no gradient of its input.
FLOP = {
    "notebook": 2
    * (2 * 28**2 * 3 * 6 * 25 + 3 * 10**2 * 6 * 16 * 25 + 3 * (400 * 120 + 120 * 84 + 84 * 10)),
    "other": 2 * (2 * 32**2 * 3 * 8 * 9 + 3 * 12**2 * 8 * 24 * 25 + 3 * (864 * 64 + 64 * 10)),
    "resnet20": 6 * 40_800_000,
}


def other_network(torch: Any) -> Any:
    """One with other layers than the notebook's."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 24, 5),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(864, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def resnet20(torch: Any) -> Any:
    """Nine residual blocks."""
    nn = torch.nn
    widths = [(16, 1)] * 3 + [(32, 2)] + [(32, 1)] * 2 + [(64, 2)] + [(64, 1)] * 2
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        *residual_blocks(torch, 16, widths),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


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


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "notebook": network,
    "other": other_network,
    "resnet20": resnet20,
}

WAYS = {"eager": "", "module": ", compiled module", "compiled": ", compiled"}
"""How a step is taken, as rows tell it."""

# Then the learning rate becomes 0. Once a batch is known by heart its gradients vanish, and moments
# that decay into denormal numbers have times of their own.
LEARNT = 20


class Training:
    """A network, its optimizer and a batch; each call trains one step and returns the loss."""

    def __init__(
        self,
        torch: ModuleType,
        weights: dict[str, Any],
        batch: int,
        way: str = "eager",
        net: str = "notebook",
    ) -> None:
        self.net = NETWORKS[net](torch)
        self.net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
        self.criterion = torch.nn.CrossEntropyLoss()
        if net == "resnet20":
            self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)
        else:
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.001)
        rng = np.random.default_rng(0)
        self.images = torch.from_numpy(rng.standard_normal((batch, 3, 32, 32), np.float32))
        self.labels = torch.from_numpy(rng.integers(0, 10, batch))
        self.steps = 0
        if way == "module":
            self.net = torch.compile(self.net)
        self.step = torch.compile(self.eager) if way == "compiled" else self.eager

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


# For how many steps the losses of both are compared. Of millions of numbers before relu some are so
# close to 0 that rounding decides on which side they lie, and what follows grows from step to step:
# with ResNet-20 PyTorch's losses in float32 are 3e-3 from its own in float64 after 20 steps on 16
# images. The notebook's loss by PyTorch's compiled step is 3e-4 from that in float64 after 20 steps
# of 64, where the eager ones of both still agree.
COMPARED = {"notebook": 20, "other": 10, "resnet20": 5}
COMPARED_TO_COMPILED = 10


def losses_agree(steps: int, ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    """Raise AssertionError unless both learn alike: to 1e-4 of a loss, or of 1 if it is less, for
    of one image known by heart PyTorch's is 0."""
    for _ in range(steps):
        mine, other = harness.array(ours()), float(harness.array(theirs()))
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-4 * max(1, other))


def comparison(batch: int, way: str, net: str, against_compiled: bool) -> Comparison:
    """Training steps on the same images from the same weights."""
    minitorch_cnn.manual_seed(0)
    weights = {k: v.numpy() for k, v in NETWORKS[net](minitorch_cnn).state_dict().items()}

    def make(torch: Any) -> Training:
        theirs = "compiled" if against_compiled else "eager"
        return Training(torch, weights, batch, way if torch is minitorch_cnn else theirs, net)

    name = f"batch {batch}{WAYS[way]}" + ", the other network" * (net == "other")
    steps = min(COMPARED[net], COMPARED_TO_COMPILED) if against_compiled else COMPARED[net]
    return Comparison(name, make, flop=batch * FLOP[net], check=partial(losses_agree, steps))


@contextlib.contextmanager
def idle_kernels() -> Iterator[None]:
    """Kernels do nothing in the block: what is left of a step is its Python code."""
    kernels = minitorch_cnn.device("cpu")._kernels
    before = dict(kernels)
    kernels.update(dict.fromkeys(before, lambda *args: None))
    forget_prepared()
    try:
        yield
    finally:
        kernels.update(before)
        forget_prepared()


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
    before = observe(count)
    loss, counts = forward(), [launches[0]]
    walk(loss)
    counts.append(launches[0] - counts[0])
    observe(before)
    times = np.empty((steps, 2))
    with idle_kernels():
        for row in times:
            training.optimizer.zero_grad()
            begun = time.perf_counter()
            loss = forward()
            between = time.perf_counter()
            walk(loss)  # as the first steps do: later ones repeat it without its Python code
            row[:] = between - begun, time.perf_counter() - between
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


def resident() -> float:
    """What this process holds in memory now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say what a process holds")


def growth(replays: int) -> str:
    """By how much the process grows while a compiled step is repeated on ever new batches."""
    weights = {k: v.numpy() for k, v in network(minitorch_cnn).state_dict().items()}
    training = Training(minitorch_cnn, weights, batch=4, way="compiled")
    images, labels = training.images, training.labels

    def repeat(times: int) -> None:
        for _ in range(times):
            training.images, training.labels = images.clone(), labels.clone()
            training().item()

    repeat(1000)
    before = resident()
    repeat(replays)
    return f"{replays:,} replayed steps: {before:.1f} MB before, {resident():.1f} MB after"


def main(argv: Sequence[str] | None = None) -> None:
    """Time the steps and print a table."""
    options = harness.parser(__doc__)
    options.add_argument("--batches", type=int, nargs="+", default=[4, 64, 256])
    options.add_argument("--net", choices=NETWORKS, default="notebook")
    options.add_argument("--ways", choices=WAYS, nargs="+", default=["eager", "compiled"])
    options.add_argument("--against-compiled", action="store_true", help="PyTorch's compiled step")
    options.add_argument("--replays", type=int, help="count bytes over so many, and no times")
    args = options.parse_args(argv)
    if args.replays:
        print(growth(args.replays))
        return
    rows = [
        comparison(batch, way, args.net, args.against_compiled)
        for batch in args.batches
        for way in args.ways
    ]
    harness.report(rows, args)
    print(python_work(20 if args.quick else 500))
    print(replay_work(2 if args.quick else 50))


if __name__ == "__main__":
    main()
