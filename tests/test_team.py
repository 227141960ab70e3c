"""Chains of launches on threads that share their stages out among themselves."""

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn import nn
from minitorch_cnn.kernels import threads

pytestmark = pytest.mark.skipif(threads.get_num_threads() < 2, reason="takes two threads")


def trained(batch, steps=3, meanwhile=None):
    """Losses and weights of some compiled steps of a net whose launches are small and large."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.SiLU(), nn.AvgPool2d(2),
        nn.Conv2d(16, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(6 * 36, 40), nn.GELU(), nn.Linear(40, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    @torch.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))
    losses = []
    for i in range(steps + 2):
        if meanwhile is not None and i == 2:
            meanwhile()
        losses.append(step(x, y).item())
    return np.array(losses), [p.detach().numpy().copy() for p in net.parameters()]


def assert_same_bits(ours, theirs):
    np.testing.assert_array_equal(ours[0], theirs[0])
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("batch", [1, 5, 16])
def test_threads_that_share_a_chain_give_the_bits_of_one(batch):
    many = trained(batch)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = trained(batch)
    finally:
        torch.set_num_threads(before)
    assert_same_bits(many, one)


def test_who_waited_too_long_goes_home_and_the_leader_does_it_all(monkeypatch):
    from minitorch_cnn.kernels.cpu import team

    expected = trained(4)
    # Whoever looks in vain once has waited too long.
    monkeypatch.setattr(team, "SPINS", 1)
    monkeypatch.setattr(team, "PATIENCE", 1)
    assert_same_bits(trained(4), expected)


def test_a_team_of_which_only_the_leader_came_does_it_all(monkeypatch):
    from minitorch_cnn.kernels.cpu import team

    expected = trained(4)
    monkeypatch.setattr(team.Team, "_help", lambda self, module, name: _nothing(module, name))
    assert_same_bits(trained(4), expected)


def test_the_leader_alone_gives_the_same_bits(monkeypatch):
    from minitorch_cnn.kernels.cpu import chain

    expected = trained(4, steps=8)
    choose = chain.Ways._choose
    monkeypatch.setattr(chain.Ways, "_choose", lambda self, alone: choose(self, True))
    assert_same_bits(trained(4, steps=8), expected)


@pytest.mark.parametrize(
    ("together", "alone", "tried", "chosen"),
    [
        (0.5e-3, 0.4e-3, True, "alone"),
        (0.3e-3, 0.4e-3, True, "together"),
        (2e-3, 1e-3, False, "together"),  # so long a call is not tried on one thread
    ],
)
def test_the_way_is_gone_that_took_less_time(monkeypatch, together, alone, tried, chosen):
    from minitorch_cnn.kernels.cpu import chain

    now, gone = [0.0], []
    monkeypatch.setattr(chain.time, "perf_counter", lambda: now[0])

    def way(name, seconds):
        def call(table):
            # After the other way the first call is slow. They are judged by one that is not.
            now[0] += seconds if gone[-1:] == [name] else 9 * seconds
            gone.append(name)
            return table

        return call

    ways = chain.Ways(way("together", together), way("alone", alone))
    expected = ["together"] * (chain.TRIALS - 1 + chain.TRIALS) + ["alone"] * chain.TRIALS * tried
    expected += [chosen] * (chain.BETWEEN - 1)
    expected += ["together"]  # it is tried again
    assert [ways(number) for number in range(len(expected))] == [*range(len(expected))]
    assert gone == expected


def _nothing(module, name):
    """A function of (thread, table) that returns at once."""
    from llvmlite import ir

    from minitorch_cnn.kernels.cpu.team import TABLE, WORD

    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD, TABLE]), f"{name}.help")
    ir.IRBuilder(function.append_basic_block()).ret_void()
    return function
