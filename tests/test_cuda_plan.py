"""Compiled steps on the device "cuda", without a GPU: launches repeated against the step itself."""

import gc

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn
from minitorch_cnn.device import observe
from minitorch_cnn.kernels.cuda import buffer, chain, driver

from .cuda_device import needs_numba_cuda, stand_in
from .ptx_program import PTXError
from .rows import ROWS
from .test_cuda_training import MAKERS
from .test_ops import gradients, results

pytestmark = [needs_numba_cuda, pytest.mark.filterwarnings("ignore::RuntimeWarning")]


@pytest.fixture(autouse=True)
def device():
    with stand_in():
        yield torch.device("cuda:0")


def bits(tensors):
    """All elements of tensors, to be compared."""
    return [None if t is None else t.detach().cpu().numpy().tobytes() for t in tensors]


def batches(*sizes):
    torch.manual_seed(7)
    return [(torch.randn(n, 1, 4, 4).cuda(), torch.randint(0, 3, (n,)).cuda()) for n in sizes]


class Net(nn.Module):
    """What a plan must keep going is in it: running statistics, and draws."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(2, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        return self.fc(self.drop(torch.flatten(x, 1)))


class Trainer:
    """A small net in training."""

    def __init__(self, make=MAKERS["adam"]):
        torch.manual_seed(3)
        self.net = Net().to("cuda")
        self.optimizer = make(self.net.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        tensors = [*self.net.state_dict().values(), *[p.grad for p in self.net.parameters()]]
        for entries in self.optimizer.state.values():
            tensors += [v for v in entries.values() if isinstance(v, torch.Tensor)]
        return tensors


def assert_same_training(data, make, after_step):
    """Train step by step and repeated; all losses and all state must agree to the bit."""
    found = []
    for compiled in (False, True):
        trainer = Trainer(make)
        step = torch.compile(trainer.step) if compiled else trainer.step
        torch.manual_seed(5)
        losses = []
        for i, (x, y) in enumerate(data):
            losses.append(step(x, y))
            after_step(trainer, i)
        found.append(bits([*losses, *trainer.state()]))
    assert found[0] == found[1]
    return step


@pytest.mark.parametrize("name", ["adam"] if driver.SIMULATED else ["adam", "sgd with momentum"])
def test_training_repeats_to_the_bit(name):
    """Dropout draws on, batch norm's statistics move, learning rates fall, and a shorter batch has
    its own plan."""

    def schedule(trainer, i):
        trainer.optimizer.param_groups[0]["lr"] *= 0.5

    step = assert_same_training(batches(2, 2, 2, 1, 2, 1), MAKERS[name], schedule)
    assert len(step._plans) == 2


def test_a_repeated_step_runs_no_launcher_and_leaves_memory_as_it_was(device, monkeypatch):
    trainer = Trainer()
    step = torch.compile(trainer.step)
    data = batches(2, 2, 2, 2)
    for x, y in data[:2]:
        step(x, y)
    before = torch.cuda.memory_allocated()
    launched = []
    monkeypatch.setattr(device, "_kernels", {"shape.copy": device.kernel("shape.copy")})
    monkeypatch.setattr(chain.Chain, "_note", None)
    last = observe(lambda device, name, *_: launched.append(name))
    try:
        for x, y in data[2:]:
            step(x, y)
            assert torch.cuda.memory_allocated() == before
    finally:
        observe(last)
    assert launched == ["shape.copy"] * 2  # a loss of its own for the caller


def test_memory_of_a_plan_is_nobody_elses():
    found = []
    for compiled in (False, True):
        trainer = Trainer()
        step = torch.compile(trainer.step) if compiled else trainer.step
        torch.manual_seed(5)
        losses, mine = [], []
        for x, y in batches(2, 2, 2):
            losses.append(step(x, y))
            torch.cuda.empty_cache()
            for size in (1, 8, 30, 100, 500, 2000):
                mine += [torch.full((size,), float("nan"), device="cuda") for _ in range(3)]
        found.append(bits([*losses, *trainer.state()]))
        assert all([np.isnan(t.cpu().numpy()).all() for t in mine])
    assert found[0] == found[1]


def test_results_are_the_callers_unless_asked_for():
    for reuse in (False, True):
        double = torch.compile(lambda x: x * 2, reuse_results=reuse)
        first, second = [double(torch.full((3,), v, device="cuda")) for v in (1.0, 2.0)]
        third = double(torch.full((3,), 3.0, device="cuda"))
        kept = [t.cpu().tolist() for t in (first, second, third)]
        assert kept == ([[6.0] * 3] * 3 if reuse else [[2.0] * 3, [4.0] * 3, [6.0] * 3])


def test_arguments_may_lie_elsewhere_and_are_the_callers():
    @torch.compile
    def step(x, y):
        x[1:].mul_(2)
        return x, x[1], (x.t() + y).sum(), y.unsqueeze(0)

    for start in (0, 5, 9):
        x = torch.arange(start, start + 6.0, device="cuda").reshape(2, 3)
        y = torch.ones(8, device="cuda")[start // 3 : start // 3 + 2]  # part of a larger buffer
        array = x.cpu().numpy().copy()
        array[1] *= 2
        same, row, total, view = step(x, y)
        assert same is x
        np.testing.assert_array_equal(x.cpu().numpy(), array)
        np.testing.assert_array_equal(row.cpu().numpy(), array[1])
        assert row.data_ptr() == x[1].data_ptr()
        assert total.item() == (array.T + 1).sum()
        assert view.data_ptr() == y.data_ptr()


def test_copies_between_host_and_gpu_are_repeated():
    weight = torch.arange(3.0, device="cuda")

    @torch.compile
    def there_and_back(x):
        y = x.to("cuda") * weight
        return y, y.cpu() + x

    for value in (1.0, 2.0, 3.0):
        x = torch.full((2, 3), value)
        y, z = there_and_back(x)
        np.testing.assert_array_equal(y.cpu().numpy(), [[0, value, 2 * value]] * 2)
        np.testing.assert_array_equal(z.numpy(), y.cpu().numpy() + value)
    assert len(there_and_back._plans) == 1

    @torch.compile
    def back(x):
        return (x * 2).cpu().sum()

    assert [back(torch.full((4,), v, device="cuda")).item() for v in (1.0, 2.0)] == [8.0, 16.0]
    (plan,) = [p for some in back._plans.values() for p in some]
    assert [launch.device.type for launch in plan.launches] == ["cuda"] * 2 + ["cpu"]


def test_arguments_on_two_devices_run_as_they_are():
    calls = []

    @torch.compile
    def step(x, y):
        calls.append(1)
        return x * 2, y * 2

    for _ in range(3):
        x, y = step(torch.ones(2), torch.ones(2, device="cuda"))
        assert x.tolist() == y.tolist() == [2.0, 2.0]
    assert len(calls) == 3


def test_buffers_in_a_table_of_addresses_may_lie_elsewhere(device):
    """The step of an optimizer finds gradients by addresses; here they are the arguments."""
    hyper = torch.tensor([0.5, 0, 0, 0, 0, 0], dtype=torch.float64).cuda()._buffer
    p, g, other = [torch.full((3,), v).cuda() for v in (1.0, 2.0, 4.0)]
    step = device.bind([("optim.sgd", ((p._buffer,), (g._buffer,), (), hyper))], [g._buffer])
    step([g._buffer])
    assert p.tolist() == [0.0] * 3
    step([other._buffer])
    assert p.tolist() == [-2.0] * 3


def test_launches_share_what_they_work_in(device):
    """Sums of pieces are kept from one launch to the next: each may use the same memory."""
    size = 2_000 if driver.SIMULATED else 20_000  # more than one piece
    x = torch.ones(size, device="cuda")._buffer
    sums = [device.empty((), x.dtype) for _ in range(4)]
    scratch = []
    gc.collect()
    for count in (1, 4):
        before = torch.cuda.memory_allocated()
        step = device.bind([("reduce.sum", (x, y, (0,), 1)) for y in sums[:count]], [])
        scratch.append(torch.cuda.memory_allocated() - before)
        step([])
        assert [buffer.contents(y).item() for y in sums[:count]] == [size] * count
        del step
        assert torch.cuda.memory_allocated() == before
    assert scratch[0] == scratch[1] > 0


def test_explain_lists_launches():
    trainer = Trainer()
    (data,) = batches(2)
    table = torch.compile(trainer.step).explain(*data, repeats=1)
    assert "conv.conv2d" in table
    assert "optim.adam" in table


# ---------------------------------------------------------------------- every kernel


def check_repeating(row, reached):
    """Compare a row's call and gradients with their repetition, if they reach new kernels."""

    @settings(max_examples=1, phases=[Phase.generate], database=None, deadline=None)
    @given(row.cases)
    def check(case):
        real = [a.dtype == np.float64 for a in case.arrays]

        def drawn(scale):
            return [
                torch.from_numpy(np.array(a * scale, np.float32) if floats else a.copy()).cuda()
                for a, floats in zip(case.arrays, real, strict=True)
            ]

        def run(*tensors):
            inputs = [t.clone().requires_grad_(f) for t, f in zip(tensors, real, strict=True)]
            outputs = results(torch, row, case, inputs, np.float32)
            wanted = any(real) and any([y.requires_grad for y in outputs])
            slopes = gradients(torch, outputs, inputs) if wanted else []
            return [y.detach() for y in outputs], slopes

        launched = set()
        before = observe(lambda device, name, *_: launched.add(name))
        try:
            run(*drawn(1.0))
        except (RuntimeError, PTXError):
            return  # the test of the table says why
        finally:
            observe(before)
        if launched <= reached:
            return
        repeated = torch.compile(run)
        try:
            for scale in (1.0, 0.5):
                found, expected = repeated(*drawn(scale)), run(*drawn(scale))
                assert [bits(part) for part in found] == [bits(part) for part in expected]
        except RuntimeError as error:
            if "the value of a tensor is read" not in str(error):
                raise
        reached.update(launched)

    check()


@pytest.mark.skipif(driver.SIMULATED, reason="the machine that runs PTX tells as much, and sooner")
def test_functions_of_the_table_repeat():
    reached = set()
    for row in ROWS[::8]:
        try:
            check_repeating(row, reached)
        except Exception as error:
            raise AssertionError(f"{row.name}: repeated, it differs") from error
    assert len(reached) > 40
