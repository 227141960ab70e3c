"""Schedules of the learning rate against PyTorch's and their formulas."""

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import optim

from .optim_formulas import leaf


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


def rates(framework, make, epochs, lrs=(0.1, 0.5)):
    """The learning rates of two groups over the epochs under the schedulers that `make` returns."""
    groups = [{"params": [framework.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs]
    optimizer = framework.optim.SGD(groups, lr=0.1)
    schedulers = make(framework.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(epochs):
        found.append([group["lr"] for group in optimizer.param_groups])
        assert schedulers[-1].get_last_lr() == found[-1]
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda s, o: [s.StepLR(o, 3)],
        lambda s, o: [s.StepLR(o, step_size=1, gamma=0.9)],
        lambda s, o: [s.CosineAnnealingLR(o, 10)],
        lambda s, o: [s.CosineAnnealingLR(o, T_max=7, eta_min=0.01)],
        lambda s, o: [s.CosineAnnealingLR(o, T_max=1)],
        lambda s, o: [s.StepLR(o, 4, 0.5), s.CosineAnnealingLR(o, 9)],
    ],
)
def test_schedules_are_pytorchs(pytorch, make):
    assert rates(mt, make, 30) == rates(pytorch, make, 30)


def test_schedules_follow_their_formulas():
    found = rates(mt, lambda s, o: [s.StepLR(o, 3, 0.5)], 12)
    expected = [[lr * 0.5 ** (epoch // 3) for lr in (0.1, 0.5)] for epoch in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    found = rates(mt, lambda s, o: [s.CosineAnnealingLR(o, 8, 0.01)], 17)
    factor = (1 + np.cos(np.pi * np.arange(17) / 8)) / 2
    expected = 0.01 + factor[:, None] * (np.array([[0.1, 0.5]]) - 0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda s, o: s.StepLR(o, 3, 0.5), lambda s, o: s.CosineAnnealingLR(o, 8)]
)
def test_schedules_resume(pytorch, make):
    def resumed(framework):
        p = framework.zeros(1, requires_grad=True)
        optimizer = framework.optim.SGD([p], lr=0.4)
        scheduler = make(framework.optim.lr_scheduler, optimizer)
        for _ in range(5):
            optimizer.step()
            scheduler.step()
        again = framework.optim.SGD([p], lr=9.0)
        next_scheduler = make(framework.optim.lr_scheduler, again)
        again.load_state_dict(optimizer.state_dict())
        next_scheduler.load_state_dict(scheduler.state_dict())
        found = []
        for _ in range(5):
            again.step()
            next_scheduler.step()
            found += next_scheduler.get_last_lr()
        return next_scheduler.last_epoch, found

    assert resumed(mt) == resumed(pytorch)


@pytest.mark.parametrize(("kind", "length"), [("StepLR", 3), ("CosineAnnealingLR", 8)])
def test_schedules_start_at_a_later_epoch(pytorch, kind, length):
    def started(framework):
        group = {"params": [framework.zeros(1, requires_grad=True)], "initial_lr": 0.4, "lr": 0.2}
        optimizer = framework.optim.SGD([group], lr=0.1)
        schedule = getattr(framework.optim.lr_scheduler, kind)
        scheduler = schedule(optimizer, length, last_epoch=4)
        found = [*scheduler.get_last_lr()]
        for _ in range(4):
            optimizer.step()
            scheduler.step()
            found += scheduler.get_last_lr()
        return found

    assert started(mt) == started(pytorch)


def test_what_schedules_refuse_or_warn_of():
    optimizer = optim.SGD([leaf([0.0])], lr=0.1)
    with pytest.raises(TypeError, match="not an Optimizer"):
        optim.lr_scheduler.StepLR(0.1, 3)
    with pytest.raises(KeyError, match="initial_lr"):
        optim.lr_scheduler.StepLR(optimizer, 3, last_epoch=4)
    for make in (optim.lr_scheduler.StepLR, optim.lr_scheduler.CosineAnnealingLR):
        with pytest.raises(ValueError, match="positive, got 0"):
            make(optimizer, 0)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    with pytest.raises(NotImplementedError):
        optim.lr_scheduler.LRScheduler(optimizer)
