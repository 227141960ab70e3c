"""Training on the device "cuda" without a GPU: the same steps as on the CPU."""

import copy
import math

import numpy as np
import pytest

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn, optim
from minitorch_cnn.device import observe
from minitorch_cnn.kernels.cuda import buffer, driver
from minitorch_cnn.kernels.cuda.optim import STRETCH
from minitorch_cnn.vision import models

from .cuda_device import needs_numba_cuda, stand_in

pytestmark = [needs_numba_cuda, pytest.mark.filterwarnings("ignore::RuntimeWarning")]


@pytest.fixture(autouse=True)
def device():
    with stand_in():
        yield


class Small(nn.Module):
    """A layer of each kind, so small that the simulator is done with it in seconds."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 3, padding=1, bias=False)  # the norm would take it off
        self.norm = nn.BatchNorm2d(2)
        self.conv2 = nn.Conv2d(2, 2, 3, groups=2)
        self.drop = nn.Dropout(0.3)
        self.fc1 = nn.Linear(2, 3)
        self.fc2 = nn.Linear(3, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2)
        x = self.drop(F.relu(self.conv2(x)))
        return self.fc2(F.gelu(self.fc1(torch.flatten(x, 1))))


def train(net, x, labels, make, steps):
    optimizer = make(net.parameters())
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def assert_same(net, twin, tolerance=1e-5):
    for (name, t), other in zip(net.state_dict().items(), twin.state_dict().values(), strict=True):
        assert other.device.type == "cuda"
        a, b = t.numpy(), other.cpu().numpy()
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance, err_msg=name)


MAKERS = {
    "adam": lambda p: optim.Adam(p, lr=1e-3),
    "adamw, amsgrad": lambda p: optim.AdamW(p, lr=1e-3, amsgrad=True),
    "sgd with momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", list(MAKERS)[: 1 if driver.SIMULATED else None])
def test_a_small_net_learns_alike(name):
    torch.manual_seed(3)
    net, x, labels = Small(), torch.randn(2, 1, 6, 6), torch.tensor([2, 0])
    twin = copy.deepcopy(net).to("cuda")
    there = x.to("cuda"), labels.to("cuda")
    steps = 1 if driver.SIMULATED else 3
    torch.manual_seed(5)
    losses = train(net, x, labels, MAKERS[name], steps)
    torch.manual_seed(5)  # the same seed drops the same elements
    twins = train(twin, *there, MAKERS[name], steps)
    np.testing.assert_allclose([t.item() for t in twins], [t.item() for t in losses], rtol=1e-5)
    assert_same(net, twin)


in_minutes = pytest.mark.skipif(
    driver.SIMULATED, reason="it takes the simulator minutes; the machine that runs PTX does it"
)


def notebook():
    """The notebook's net and its twin on the GPU, and what they are trained on, here and there."""
    torch.manual_seed(0)
    net, x = models.NotebookNet(), torch.randn(2, 3, 32, 32)
    labels = torch.tensor([3, 1])
    return net, copy.deepcopy(net).to("cuda"), (x, labels), (x.to("cuda"), labels.to("cuda"))


def assert_same_step(net, twin):
    assert_same(net, twin)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(q.grad.cpu().numpy(), p.grad.numpy(), rtol=0, atol=1e-5)


@in_minutes
def test_a_step_of_the_notebook_net_is_the_cpus():
    net, twin, here, there = notebook()
    launches = []
    train(net, *here, MAKERS["adam"], 1)
    before = observe(lambda device, name, *_: launches.append((device.type, name)))
    try:
        waits = buffer.downloads
        train(twin, *there, MAKERS["adam"], 1)
        assert buffer.downloads == waits, "the host waited within a step"
    finally:
        observe(before)
    assert {kind for kind, _ in launches} == {"cuda"}
    assert_same_step(net, twin)


@in_minutes
def test_a_compiled_step_of_the_notebook_net_is_the_cpus():
    """Once it is recorded, all is set back to where it began, and the launches are repeated."""
    net, twin, here, there = notebook()
    train(net, *here, MAKERS["adam"], 1)
    optimizer = MAKERS["adam"](twin.parameters())
    start = [p.detach().clone() for p in twin.parameters()]

    @torch.compile
    def step(x, labels):
        optimizer.zero_grad()
        loss = F.cross_entropy(twin(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    step(*there)
    with torch.no_grad():
        for p, q in zip(twin.parameters(), start, strict=True):
            p.copy_(q)
            for t in optimizer.state[p].values():
                t.zero_()
    launched = []
    before = observe(lambda device, name, *_: launched.append(name))
    try:
        step(*there)
    finally:
        observe(before)
    assert launched == ["shape.copy"]  # the loss, for the caller: the rest was repeated
    assert_same_step(net, twin)


def test_the_same_bits_each_time():
    torch.manual_seed(1)
    net, x, labels = Small(), torch.randn(2, 1, 6, 6), torch.tensor([1, 2])
    found = []
    for _ in range(2):
        twin = copy.deepcopy(net).to("cuda")
        torch.manual_seed(2)
        train(twin, x.to("cuda"), labels.to("cuda"), MAKERS["adam"], 1)
        found.append([p.detach().cpu().numpy().tobytes() for p in twin.parameters()])
    assert found[0] == found[1]


OPTIMIZERS = [
    ("NAdam", {"weight_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.5}),
    ("RAdam", {"weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {"weight_decay": 0.1, "betas": (0.3, 0.6)}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1}),
    ("Adadelta", {"rho": 0.3, "weight_decay": 0.1}),
    ("RMSprop", {"weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "alpha": 0.3}),
    ("Rprop", {"step_sizes": (1e-3, 0.1)}),
    ("ASGD", {"t0": 2, "lambd": 0.1, "weight_decay": 0.1}),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_optimizers_step_alike(kind, options, dtype):
    rng = np.random.default_rng(4)
    # Sizes that end within a block's stretch and beyond it, and none at all.
    sizes = [3, 0, 1, STRETCH + 5]
    sides = []
    for device in ("cpu", "cuda"):
        starts = [np.random.default_rng(size).normal(size=size) for size in sizes]
        leaves = [torch.tensor(s, dtype=dtype, device=device).requires_grad_() for s in starts]
        sides.append((leaves, getattr(optim, kind)(leaves, lr=0.01, **options)))
    odd = [1e-30, 0.0, math.inf, math.nan]
    for step in range(6):  # RAdam rectifies from the sixth on
        gradients = [rng.normal(size=size) for size in sizes]
        gradients[3][: len(odd)] = odd if step == 3 else 0
        for leaves, optimizer in sides:
            for p, g in zip(leaves, gradients, strict=True):
                p.grad = torch.tensor(g, dtype=dtype, device=p.device)
            optimizer.step()
    tolerance = 64 * torch.finfo(dtype).eps
    for p, twin in zip(sides[0][0], sides[1][0], strict=True):
        states = [optimizer.state[t] for (_, optimizer), t in zip(sides, (p, twin))]
        for name in ("", *states[0]):
            here, there = [s[name] for s in states] if name else (p.detach(), twin.detach())
            assert there.device.type == "cuda"
            a, b = here.numpy(), there.cpu().numpy()
            # Counts of steps and their like are float32 always, but the last bit.
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance, err_msg=name)


def test_muon_steps_alike():
    rng = np.random.default_rng(4)
    shapes = [(3, 4), (5, 2), (2, 3, 2, 1), (2, 6)]
    starts = [rng.normal(size=shape) for shape in shapes]
    sides = []
    for device in ("cpu", "cuda"):
        leaves = [torch.tensor(s, device=device).requires_grad_() for s in starts]
        sides.append((leaves, optim.Muon(leaves, lr=0.1, momentum=0.8)))
    for _ in range(3):
        gradients = [rng.normal(size=shape) for shape in shapes]
        for leaves, optimizer in sides:
            for p, g in zip(leaves, gradients, strict=True):
                p.grad = torch.tensor(g, device=p.device)
            optimizer.step()
    for p, twin in zip(sides[0][0], sides[1][0], strict=True):
        assert twin.device.type == "cuda"
        np.testing.assert_allclose(twin.detach().cpu().numpy(), p.detach().numpy(), rtol=1e-12)
