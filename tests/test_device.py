"""Devices: their names, the one launch, and what is refused."""

import importlib
import pickle

import numpy as np
import pytest

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn.device import Device, cpu, launch, observe
from minitorch_cnn.kernels import drivers, workspace
from minitorch_cnn.ops import operands
from minitorch_cnn.ops.reduce import Sum


@pytest.fixture
def elsewhere():
    """A second device, whose kernels happen to be the CPU's."""
    device = object.__new__(Device)
    device.type, device.index, device._kernels, device._memory = "cpu", 7, {}, None
    return device


def test_names():
    assert torch.device("cpu") is torch.device(torch.device("cpu")) is cpu
    assert repr(torch.device("cuda:1")) == "device(type='cuda', index=1)"
    assert str(torch.device("cuda", 1)) == "cuda:1"
    assert str(cpu) == "cpu"
    assert repr(cpu) == "device(type='cpu')"
    assert torch.device("cuda:1") is torch.device("cuda", 1)
    assert pickle.loads(pickle.dumps(torch.device("cuda:1"))) is torch.device("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cpu:-1"])
def test_names_of_no_device(name):
    with pytest.raises(RuntimeError, match="expected 'cpu', 'cuda' or 'cuda:N', not"):
        torch.device(name)


def test_a_name_must_be_a_string():
    with pytest.raises(TypeError, match="not 3"):
        torch.device(3)


@pytest.mark.parametrize("name", ["conv.no_such_kernel", "no_such_family.kernel"])
def test_a_missing_kernel_is_named(name):
    with pytest.raises(RuntimeError, match=f"device 'cpu' has no kernel {name}"):
        launch(cpu, name)


def test_tensors_of_two_devices_do_not_mix(elsewhere):
    here, there = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)
    there.device = elsewhere
    for use in (lambda: here + there, lambda: F.conv2d(here, there), lambda: here @ there):
        with pytest.raises(RuntimeError, match=r"expected all tensors on one device, .* cpu:7"):
            use()


def test_ops_run_on_whatever_device_their_inputs_are_on(elsewhere):
    x = torch.ones(2, 3)
    x.device = elsewhere
    y = torch.relu(x * 2).sum()
    assert y.device is elsewhere
    assert y.item() == 12


def test_every_kernel_runs_through_launch(monkeypatch):
    monkeypatch.setattr(operands, "_constants", {})  # another test may have met the number
    seen = []
    before = observe(
        lambda device, name, function, args, seconds: seen.append((device, name, args))
    )
    try:
        torch.ones(2, 3) * 2
    finally:
        observe(before)
    assert [name for _, name, _ in seen] == ["shape.fill", "shape.fill", "elementwise.mul"]
    assert all(device is cpu for device, _, _ in seen)
    np.testing.assert_array_equal(seen[-1][2][2], np.full((2, 3), 2, np.float32))
    torch.ones(2)
    assert len(seen) == 3


def prepared_runs():
    return [run for run in workspace.prepared.runs.values() if run is not None]


def test_launches_that_were_prepared_are_observed_and_recorded_like_others():
    x = torch.ones(2, 3)
    for _ in range(3):
        total = x.sum()
    seen = []
    before = observe(lambda device, name, *_: seen.append(name))
    try:
        total = total + x.sum()
    finally:
        observe(before)
    assert seen == ["reduce.sum", "elementwise.add"]
    assert total.item() == 12
    assert torch.compile(lambda x: x.sum() * 2)(x).item() == 12


def test_launches_are_prepared_anew_when_threads_or_algorithms_change():
    x, w = torch.randn(2, 8, 9, 9), torch.randn(8, 8, 3, 3)
    threads, tile = torch.get_num_threads(), torch.get_winograd_tile()
    changes = [
        lambda: torch.set_num_threads(1),
        lambda: torch.set_num_threads(threads),
        lambda: torch.set_winograd_tile(0),
        lambda: torch.set_winograd_tile(tile),
    ]
    expected = F.conv2d(x, w).numpy()
    for change in changes:
        for _ in range(3):
            np.testing.assert_allclose(F.conv2d(x, w).numpy(), expected, atol=1e-4)
        assert prepared_runs()
        change()
        assert not prepared_runs()


def test_options_of_zero_keep_their_sign():
    x = torch.ones(2, 3)
    for divisor in (0.0, 0.0, 0.0, -0.0, 0.0, -0.0):
        total = Sum.apply(x, dims=(0, 1), keepdim=False, divisor=divisor).item()
        assert total == np.copysign(np.inf, divisor)


def test_prepared_launches_are_bounded(monkeypatch):
    monkeypatch.setattr(drivers, "MOST_PREPARED", 3)
    workspace.forget_prepared()
    for n in (1, 2, 3, 4, 5, 1, 1, 5):
        assert (torch.ones(n) * 3).sum().item() == 3 * n
    assert len(workspace.prepared.runs) <= 3


def test_a_tensor_that_gets_other_memory_is_of_another_form():
    for change in (
        lambda x: x.unsqueeze_(0),
        lambda x: x.t_(),
        lambda x: setattr(x, "data", torch.ones(4, 5, dtype=torch.float64)),
    ):
        x = torch.arange(6.0).reshape(2, 3).clone()
        for _ in range(2):
            y = x + x
        change(x)
        y = x + x
        assert y.shape == x.shape
        assert y.dtype is x.dtype
        np.testing.assert_array_equal(y.numpy(), 2 * x.numpy())
        assert y.sum().item() == 2 * x.numpy().sum()


def test_forms_are_bounded(monkeypatch):
    tensors = importlib.import_module("minitorch_cnn.tensor")
    monkeypatch.setattr(tensors, "MOST_FORMS", 4)
    tensors.Form._known.clear()
    for n in (*range(1, 20), 3, 3):
        assert (torch.ones(n) + 1).sum().item() == 2 * n
    assert len(tensors.Form._known) <= 4
