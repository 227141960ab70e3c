"""Architectures of the literature: the same code, the same weights, and PyTorch's numbers."""

from importlib.util import find_spec

import numpy as np
import pytest

import minitorch_cnn as torch

from . import (
    nets_classic,
    nets_dense,
    nets_generative,
    nets_mobile,
    nets_other,
    nets_residual,
)
from .architecture import ARCHITECTURES

FILES = (nets_classic, nets_dense, nets_generative, nets_mobile, nets_other, nets_residual)


@pytest.fixture(scope="module")
def peer():
    """PyTorch on one thread: nets this small take it longer with more."""
    peer = pytest.importorskip("torch")
    threads = peer.get_num_threads()
    peer.set_num_threads(1)
    yield peer
    peer.set_num_threads(threads)


def arrays(tensors):
    return {name: np.array(value.detach().numpy()) for name, value in tensors}


class Run:
    """One framework's network, its inputs, and what came of them."""

    def __init__(self, framework, case, dtype, state=None):
        self.framework, self.case = framework, case
        framework.manual_seed(0)
        self.net = case.make(framework).to(getattr(framework, dtype))
        if state is not None:
            tensors = {name: framework.from_numpy(value.copy()) for name, value in state.items()}
            self.net.load_state_dict(tensors)
        self.inputs = [framework.from_numpy(x) for x in case.arrays(dtype)]

    def loss(self):
        return self.case.loss(self.framework, self.net, *self.inputs)

    def state(self):
        return arrays(self.net.state_dict().items())

    def once(self):
        """Loss, output, every gradient and running statistics of one pass each way."""
        self.net.zero_grad()
        loss, y = self.loss()
        loss.backward()
        parameters = self.net.named_parameters()
        gradients = [(f"{n}.grad", p.grad) for n, p in parameters if p.grad is not None]
        return {**arrays([("loss", loss), ("output", y)]), **arrays(gradients), **self.state()}

    def train(self, steps):
        """The losses of so many steps, the state after them, and the output in evaluation."""
        make = getattr(self.framework.optim, self.case.optimizer)
        trained = [p for p in self.net.parameters() if p.requires_grad]
        optimizer = make(trained, **self.case.options)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss, _ = self.loss()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        self.net.eval()
        _, y = self.loss()
        return {"losses": np.array(losses), **arrays([("output", y)]), **self.state()}


def close(actual, expected, bound):
    """Every array within `bound` of its largest element, all of them the same ones."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype, name
        assert actual[name].shape == value.shape, name
        scale = np.abs(value).max(initial=1e-3)
        np.testing.assert_allclose(
            actual[name], value, rtol=bound, atol=bound * scale, err_msg=name
        )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_same_numbers_as_in_pytorch(name, peer):
    case = ARCHITECTURES[name]
    theirs = Run(peer, case, "float64")
    state = theirs.state()
    ours = Run(torch, case, "float64", state)
    assert repr(ours.net) == repr(theirs.net)
    assert [n for n, _ in ours.net.named_modules()] == [n for n, _ in theirs.net.named_modules()]
    exact = theirs.once()
    close(ours.once(), exact, 1e-9)
    trained = ours.train(10)
    close(trained, theirs.train(10), 1e-9)
    assert trained["losses"][-1] < trained["losses"][0]

    single = {n: v.astype(np.float32) if v.dtype == float else v for n, v in state.items()}
    ours, theirs = (Run(f, case, "float32", single).once() for f in (torch, peer))
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype, key
        scale = np.abs(exact[key]).max(initial=1e-3)
        error = np.abs(value - exact[key]).max(initial=0) + 4e-6 * scale
        np.testing.assert_allclose(ours[key], exact[key], rtol=0, atol=8 * error, err_msg=key)


@pytest.mark.skipif(find_spec("torch") is not None, reason="shown by the test above")
def test_ten_steps_lower_the_loss():
    for case in ARCHITECTURES.values():
        losses = Run(torch, case, "float32").train(10)["losses"]
        assert losses[-1] < losses[0], case.name
