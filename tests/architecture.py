"""How networks of the literature are written down: once, with the framework as a parameter."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


def tokens(vocabulary, *shape):
    """A network's input that is whole numbers, not normal ones."""
    return lambda rng: rng.integers(0, vocabulary, shape)


def classify(torch, net, x):
    """Cross entropy, the classes of the images being 0, 1, 2, ... in turns."""
    y = net(x)
    return torch.nn.functional.cross_entropy(y, torch.arange(len(y)) % y.shape[1]), y


def imitate(torch, net, x):
    """The mean square of the distance from something that depends on the place alone."""
    y = net(x)
    wave = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).view(y.shape)
    return torch.nn.functional.mse_loss(y, wave), y


@dataclass(frozen=True)
class Architecture:
    """A network, what it is shown, what it is to do, and what trains it."""

    make: Callable  # of a framework: the network
    inputs: tuple  # shapes, or functions of a random generator
    loss: Callable  # of framework, network and inputs: (loss, what else is compared)
    optimizer: str
    options: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.make.__name__

    def arrays(self, dtype):
        """The inputs; equal ones every time."""
        rng = np.random.default_rng(len(self.name))
        drawn = [x(rng) if callable(x) else rng.standard_normal(x) for x in self.inputs]
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in drawn]


ARCHITECTURES: dict[str, Architecture] = {}


def architecture(*inputs, loss=classify, optimizer="SGD", **options):
    """Register the network that the decorated function makes, with its optimizer's options."""

    def register(make):
        assert make.__name__ not in ARCHITECTURES, make.__name__
        options.setdefault("lr", 0.01)
        ARCHITECTURES[make.__name__] = Architecture(make, inputs, loss, optimizer, options)
        return make

    return register
