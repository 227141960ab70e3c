"""Convolutions of LeNet, of small networks for CIFAR and of ResNet, called as a user calls them.

    python -m bench.conv_layers [--only k3] [--quick] [--json FILE]

Each is timed forward, under `no_grad`, and forward with the gradients of input, weight and bias.
GFLOP/s are counted for the direct sum, also where fewer operations are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import harness
from .harness import Comparison


@dataclass
class Convolution:
    """A layer and the square images it is given."""

    batch: int
    channels: int
    size: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def name(self) -> str:
        """As in 64x32x16->32 k3 p1."""
        options = {"s": (self.stride, 1), "p": (self.padding, 0), "d": (self.dilation, 1)}
        options["g"] = (self.groups, 1)
        more = "".join([f" {k}{v}" for k, (v, usual) in options.items() if v != usual])
        images = f"{self.batch}x{self.channels}x{self.size}"
        return f"{images}->{self.outputs} k{self.kernel}{more}"

    @property
    def output_size(self) -> int:
        """Height and width of the result."""
        reach = self.dilation * (self.kernel - 1) + 1
        return (self.size + 2 * self.padding - reach) // self.stride + 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of input, weight, bias and the result."""
        return {
            "x": (self.batch, self.channels, self.size, self.size),
            "w": (self.outputs, self.channels // self.groups, self.kernel, self.kernel),
            "b": (self.outputs,),
            "y": (self.batch, self.outputs, self.output_size, self.output_size),
        }


CONVOLUTIONS = [
    Convolution(4, 3, 32, 6, 5),
    Convolution(4, 6, 14, 16, 5),
    Convolution(256, 3, 32, 6, 5),
    Convolution(256, 6, 14, 16, 5),
    Convolution(64, 1, 28, 32, 3),
    Convolution(64, 32, 26, 64, 3),
    Convolution(64, 16, 32, 16, 3, padding=1),
    Convolution(64, 16, 32, 32, 3, stride=2, padding=1),
    Convolution(64, 32, 16, 32, 3, padding=1),
    Convolution(64, 64, 8, 64, 3, padding=1),
    Convolution(64, 32, 33, 48, 5, stride=3, padding=2),
    Convolution(16, 3, 224, 64, 7, stride=2, padding=3),
    Convolution(16, 64, 56, 64, 3, padding=1),
    Convolution(16, 64, 56, 64, 1),
    Convolution(16, 64, 56, 128, 3, stride=2, padding=1),
    Convolution(16, 128, 28, 128, 3, padding=1),
    Convolution(16, 128, 28, 128, 3, padding=2, dilation=2),
    Convolution(16, 128, 28, 128, 3, padding=1, groups=32),
    Convolution(16, 256, 14, 256, 3, padding=1),
    Convolution(16, 256, 14, 1024, 1),
    Convolution(16, 512, 7, 512, 3, padding=1),
    Convolution(16, 96, 28, 96, 3, padding=1, groups=96),
]


def make(layer: Convolution, backward: bool, torch: Any) -> Callable[[], Any]:
    """The function to time, in either framework."""
    rng = np.random.default_rng(0)
    values = {k: rng.standard_normal(shape, np.float32) for k, shape in layer.shapes.items()}
    values["w"] /= np.sqrt(np.float32(values["w"][0].size))
    x, w, b, gy = (torch.from_numpy(values[k]) for k in "xwby")
    options = layer.stride, layer.padding, layer.dilation, layer.groups
    convolve = torch.nn.functional.conv2d
    if not backward:

        def forward() -> Any:
            with torch.no_grad():
                return convolve(x, w, b, *options)

        return forward

    inputs = [t.requires_grad_() for t in (x, w, b)]

    def both() -> Any:
        return torch.autograd.grad(convolve(x, w, b, *options), inputs, gy)

    return both


def comparisons() -> Iterator[Comparison]:
    """All convolutions, forward and with their gradients."""
    for backward in (False, True):
        for layer in CONVOLUTIONS:
            size = {k: float(np.prod(shape)) for k, shape in layer.shapes.items()}
            passes = 3 if backward else 1
            yield Comparison(
                layer.name,
                lambda torch, layer=layer, backward=backward: make(layer, backward, torch),
                group="forward and backward" if backward else "forward",
                flop=2 * passes * size["y"] * size["w"] / layer.outputs,
                bytes=4 * passes * (size["x"] + size["w"] + size["y"]),
            )


def main(argv: Sequence[str] | None = None) -> None:
    """Time the convolutions and print a table."""
    args = harness.parser(__doc__).parse_args(argv)
    harness.report(list(comparisons()), args)


if __name__ == "__main__":
    main()
