"""Devices: their names, the one launch, and what is refused."""

import pickle

import numpy as np
import pytest

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn.device import Device, cpu, launch, observe


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


def test_every_kernel_runs_through_launch():
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
