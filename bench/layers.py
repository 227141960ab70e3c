"""Layers, losses and optimizers one at a time, called as a user calls them.

    python -m bench.layers [--batches 4 64] [--only gelu] [--quick]

Each layer is timed forward, under `no_grad`, and forward with backward. Shapes are those of LeNet
and of small residual networks.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import harness
from .harness import Comparison


@dataclass
class Layer:
    """A layer, the shapes it is timed on, and how to make it of either framework's modules."""

    name: str
    make: Callable[[Any], Callable[..., Any]]
    shapes: tuple[tuple[int, ...], ...]
    """Without the batch."""
    output: float = 1
    """How large the output is beside an input."""
    inputs: int = 1
    multiply_adds: float = 0
    """For each element of an input."""
    check: Callable[[Callable[[], Any], Callable[[], Any]], None] | None = None


def classification(torch: Any) -> Callable[..., Any]:
    """Cross-entropy with labels that stay."""
    criterion = torch.nn.CrossEntropyLoss()
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 10, 4096))
    return lambda x: criterion(x, labels[: x.shape[0]])


def dropout_alike(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    """Half are zero, but for six standard deviations."""
    for results in (ours(), theirs()):
        y = harness.array(results[0] if isinstance(results, list) else results)
        zeros = (y == 0).mean()
        assert abs(zeros - 0.5) < 3 / np.sqrt(y.size), f"{zeros} of dropout's results are zero"


MAPS = ((6, 28, 28), (64, 28, 28), (64, 7, 7))
EVERYWHERE = (*MAPS, (120,))
LAYERS = [
    Layer("max pool 2x2", lambda torch: torch.nn.MaxPool2d(2), MAPS[:2], 1 / 4),
    Layer("max pool 3x3, stride 2", lambda torch: torch.nn.MaxPool2d(3, 2, 1), MAPS[:2], 1 / 4),
    Layer("average pool 2x2", lambda torch: torch.nn.AvgPool2d(2), MAPS[:2], 1 / 4),
    Layer("global average pool", lambda torch: torch.nn.AdaptiveAvgPool2d(1), MAPS[1:], 0),
    Layer("batch norm 2d", lambda torch: torch.nn.BatchNorm2d(64), MAPS[1:]),
    Layer("batch norm 2d, few channels", lambda torch: torch.nn.BatchNorm2d(6), MAPS[:1]),
    Layer("batch norm 1d", lambda torch: torch.nn.BatchNorm1d(120), ((120,),)),
    Layer("batch norm 2d, eval", lambda torch: torch.nn.BatchNorm2d(64).eval(), MAPS[1:]),
    Layer("relu", lambda torch: torch.nn.ReLU(), EVERYWHERE),
    Layer("gelu", lambda torch: torch.nn.GELU(), EVERYWHERE),
    Layer("gelu by tanh", lambda torch: torch.nn.GELU("tanh"), EVERYWHERE[2:]),
    Layer("silu", lambda torch: torch.nn.SiLU(), EVERYWHERE),
    Layer("sigmoid", lambda torch: torch.nn.Sigmoid(), EVERYWHERE[1:]),
    Layer("tanh", lambda torch: torch.nn.Tanh(), EVERYWHERE[1:]),
    Layer("softmax", lambda torch: torch.nn.Softmax(1), ((10,), (1000,))),
    Layer("log softmax", lambda torch: torch.nn.LogSoftmax(1), ((10,), (1000,))),
    Layer("cross-entropy", classification, ((10,), (1000,)), 0),
    Layer("dropout", lambda torch: torch.nn.Dropout(0.5), EVERYWHERE[1:], check=dropout_alike),
    Layer(
        "linear 400 to 120",
        lambda torch: torch.nn.Linear(400, 120),
        ((400,),),
        0.3,
        multiply_adds=120,
    ),
    Layer(
        "linear 120 to 84", lambda torch: torch.nn.Linear(120, 84), ((120,),), 0.7, multiply_adds=84
    ),
    Layer(
        "linear 512 to 10", lambda torch: torch.nn.Linear(512, 10), ((512,),), 0, multiply_adds=10
    ),
    Layer("add", lambda torch: lambda a, b: a + b, EVERYWHERE[1:], inputs=2),
    Layer("multiply", lambda torch: lambda a, b: a * b, EVERYWHERE[1:], inputs=2),
    Layer("sum of all", lambda torch: lambda x: x.sum(), EVERYWHERE[1:], 0),
    Layer("mean of all", lambda torch: lambda x: x.mean(), EVERYWHERE[1:], 0),
    Layer("mean over positions", lambda torch: lambda x: x.mean((2, 3)), MAPS[1:], 0),
    Layer("sum over the batch", lambda torch: lambda x: x.sum(0), EVERYWHERE[1:], 0),
    Layer("sum but of channels", lambda torch: lambda x: x.sum((0, 2, 3)), MAPS[1:], 0),
]


def run(layer: Layer, shape: tuple[int, ...], backward: bool, torch: Any) -> Any:
    """A function of no arguments that runs a layer of a framework on inputs that stay."""
    rng = np.random.default_rng(0)
    function = layer.make(torch)
    parameters = list(function.parameters()) if isinstance(function, torch.nn.Module) else []
    with torch.no_grad():
        for p in parameters:
            p.copy_(torch.from_numpy(0.1 * rng.standard_normal(tuple(p.shape), np.float32)))
    xs = [torch.from_numpy(rng.standard_normal(shape, np.float32)) for _ in range(layer.inputs)]

    def forward() -> Any:
        with torch.no_grad():
            return function(*xs)

    gy = torch.from_numpy(rng.standard_normal(tuple(forward().shape), np.float32))
    leaves = [*xs, *parameters]

    def forward_and_backward() -> list[Any]:
        for leaf in leaves:
            leaf.grad = None
        y = function(*xs)
        y.backward(gy)
        return [y, *[leaf.grad for leaf in leaves]]

    if not backward:
        return forward
    for x in xs:
        x.requires_grad_()
    return forward_and_backward


def layers(batches: Sequence[int]) -> Iterator[Comparison]:
    """Every layer, on every shape, at every batch, forward and with backward."""
    for batch, layer in itertools.product(batches, LAYERS):
        for shape, backward in itertools.product(layer.shapes, (False, True)):
            full = (batch, *shape)
            size = math.prod(full)
            yield Comparison(
                f"{layer.name} ({', '.join(map(str, full))})",
                functools.partial(run, layer, full, backward),
                f"{'with backward' if backward else 'forward'}, batch {batch}",
                2 * layer.multiply_adds * size * (3 if backward else 1),
                4 * (layer.inputs + layer.output) * size * (2 if backward else 1),
                layer.check,
            )


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda torch, params: torch.optim.SGD(params, lr=1e-3),
    "SGD, momentum": lambda torch, params: torch.optim.SGD(params, lr=1e-3, momentum=0.9),
    "Adam": lambda torch, params: torch.optim.Adam(params, lr=1e-3),
    "AdamW": lambda torch, params: torch.optim.AdamW(params, lr=1e-3),
}
LENET = [
    (6, 3, 5, 5),
    (6,),
    (16, 6, 5, 5),
    (16,),
    (120, 400),
    (120,),
    (84, 120),
    (84,),
    (10, 84),
    (10,),
]
RESNET = [(64, 3, 3, 3), (64,), (64,), *[(64, 64, 3, 3), (64,), (64,)] * 12, (10, 64), (10,)]
MOMENTS = {"SGD": 0, "SGD, momentum": 1, "Adam": 2, "AdamW": 2}
MATRICES = [(64, 576)] * 12
"""The filters of ResNet as PyTorch's Muon takes them."""


def optimizers() -> Iterator[Comparison]:
    """A step of each optimizer on the parameters of a small net and of a larger one."""
    for net, shapes in (("LeNet", LENET), ("ResNet", RESNET)):
        for name, make in OPTIMIZERS.items():
            yield Comparison(
                f"{name}, {len(shapes)} parameters of {net}",
                functools.partial(stepper, make, shapes),
                "optimizer",
                bytes=4 * sum(map(math.prod, shapes)) * (3 + 2 * MOMENTS[name]),
            )
    rows, columns = MATRICES[0]
    yield Comparison(
        f"Muon, {len(MATRICES)} matrices of {rows} x {columns}",
        functools.partial(stepper, lambda torch, params: torch.optim.Muon(params), MATRICES),
        "optimizer",
        flop=len(MATRICES) * 5 * 2 * rows * rows * (2 * columns + rows),
    )


def stepper(make: Callable[..., Any], shapes: Sequence[tuple[int, ...]], torch: Any) -> Any:
    """A function that takes a step with gradients that stay."""
    rng = np.random.default_rng(0)
    params = [torch.from_numpy(rng.standard_normal(s, np.float32)) for s in shapes]
    for p in params:
        p.requires_grad_()
        p.grad = torch.from_numpy(rng.standard_normal(tuple(p.shape), np.float32))
    optimizer = make(torch, params)

    def step() -> list[Any]:
        optimizer.step()
        return params

    return step


def main(argv: Sequence[str] | None = None) -> None:
    """Time the layers and the optimizers and print a table."""
    options = harness.parser(__doc__)
    options.add_argument("--batches", type=int, nargs="+", default=[4, 64])
    args = options.parse_args(argv)
    harness.report([*layers(args.batches), *optimizers()], args)


if __name__ == "__main__":
    main()
