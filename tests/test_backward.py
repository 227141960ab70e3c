"""Backward passes that are repeated, against the walk over the graph."""

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn
from minitorch_cnn.autograd import graph
from minitorch_cnn.plan import backward

from .rows import ROWS
from .test_ops import results

STEPS = backward.OFTEN + 2


@pytest.fixture(autouse=True)
def walks(monkeypatch):
    """How many walks there were; none is known at first."""
    monkeypatch.setattr(backward, "_known", {})
    walks, walk = [], graph._walk

    def counted(*args, **kwargs):
        walks.append(args)
        return walk(*args, **kwargs)

    monkeypatch.setattr(graph, "_walk", counted)
    return walks


def taken(leaves):
    """The leaves' gradients, which they have no more."""
    found = [None if leaf.grad is None else leaf.grad.numpy().copy() for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return found


def same(actual, expected):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        np.testing.assert_array_equal(a, b)


def check(loss_of, leaves, walks, repeats=True):
    """Gradients of a loss of the step's number: of ever so many steps, those of the walk."""
    for step in range(STEPS):
        mt.manual_seed(step)
        loss_of(step).backward()
        actual = taken(leaves)
        mt.manual_seed(step)
        loss = loss_of(step)
        before = len(walks)
        graph.walk(loss)
        del walks[before:]
        same(actual, taken(leaves))
    assert len(walks) == (backward.OFTEN if repeats else STEPS)


def network():
    mt.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.SiLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(72, 10),
    )


def images(step, batch=4):
    rng = np.random.default_rng(step)
    x = rng.standard_normal((batch, 3, 16, 16), np.float32)
    return mt.from_numpy(x), mt.from_numpy(rng.integers(0, 10, batch))


def network_loss(net):
    def loss_of(step):
        x, y = images(step)
        return F.cross_entropy(net(x), y)

    return loss_of


def test_a_network(walks):
    net = network()
    check(network_loss(net), [*net.parameters()], walks)


@settings(max_examples=1, phases=[Phase.generate], database=None)
@given(st.data())
def check_row(row, data):
    case = data.draw(row.cases)
    for step in range(STEPS):
        found = []
        for backward_from in (graph.backward, graph.walk):
            scale = 1.0 - step / 32
            inputs = []
            for a in case.arrays:
                if a.dtype == np.float64:
                    t = mt.from_numpy(np.array(a * scale, np.float32)).requires_grad_()
                else:  # places or classes
                    t = mt.from_numpy(a.copy())
                inputs.append(t)
            mt.manual_seed(step)
            outputs = results(mt, row, case, inputs, np.float32)
            parts = [(y * y).sum() for y in outputs if y.requires_grad]
            if not parts:
                return
            backward_from(sum(parts[1:], parts[0]))
            found.append([None if t.grad is None else t.grad.numpy() for t in inputs])
        same(*found)


def test_functions_of_the_table():
    for row in ROWS[::12]:
        try:
            check_row(row)
        except Exception as error:
            raise AssertionError(f"{row.name}: repeated, it differs") from error
    assert len([walk for walk in backward._known.values() if walk]) > len(ROWS) / 48


def test_gradients_belong_to_their_step(walks):
    w = mt.ones(3, requires_grad=True)
    kept = []
    for step in range(STEPS):
        (w * float(step + 1) * mt.full((3,), float(step))).sum().backward()
        kept.append(w.grad)
        w.grad = None
    for step, g in enumerate(kept):
        np.testing.assert_array_equal(g.numpy(), np.full(3, (step + 1.0) * step, np.float32))


def test_numbers_in_the_graph_decide(walks):
    """Equal numbers of other kinds, other signs of zero: each has its own gradient."""
    x = mt.tensor([2.0, -3.0], requires_grad=True)
    for number in [2.0, 0.0, -0.0, 3.0, 2.0, -0.0, 0.0] * backward.OFTEN:
        (x * number).sum().backward()
        np.testing.assert_array_equal(np.signbit(x.grad.numpy()), np.signbit([number] * 2))
        np.testing.assert_array_equal(x.grad.numpy(), np.float32([number] * 2))
        x.grad = None
    assert len(walks) < 7 * backward.OFTEN


def test_a_view_is_not_taken_for_a_copy(walks):
    w = mt.ones(3, requires_grad=True)
    rng = np.random.default_rng(0)
    for step in range(2 * STEPS):
        a = mt.from_numpy(rng.standard_normal((2, 3), np.float32))
        b = a[1] if step < STEPS else mt.from_numpy(rng.standard_normal(3, np.float32))
        ((w * a).sum() + (w * b).sum()).backward()
        expected = a.numpy().sum(0) + b.numpy()
        np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-6)
        w.grad = None


def test_gradients_add_up(walks):
    net = network()
    loss_of, leaves = network_loss(net), [*net.parameters()]
    for step in range(STEPS):
        loss_of(step).backward()
        first = taken(leaves)
        loss_of(step).backward()
        second = taken(leaves)
        mt.manual_seed(0)
        loss_of(step).backward()
        loss_of(step).backward()
        total = taken(leaves)
        assert [t.shape for t in total] == [a.shape for a in first] == [b.shape for b in second]
    w = mt.ones(2, requires_grad=True)
    for step in range(1, STEPS):
        (w * 3.0).sum().backward()
        np.testing.assert_array_equal(w.grad.numpy(), np.full(2, 3.0 * step, np.float32))


def test_hooks_are_called_whenever_they_come(walks):
    w = mt.ones(2, requires_grad=True)

    def step():
        y = w * 2.0
        y.sum().backward()
        g, w.grad = w.grad.numpy().copy(), None
        return g

    for _ in range(STEPS):
        step()
    handle = w.register_hook(lambda g: g * 10)
    np.testing.assert_array_equal(step(), [20, 20])
    handle.remove()
    np.testing.assert_array_equal(step(), [2, 2])
    y = w * 2.0
    y.register_hook(lambda g: g * 5)
    y.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [10, 10])
    w.grad = None
    y = w * 2.0
    y.retain_grad()
    y.sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [1, 1])


def test_a_frozen_parameter_gets_no_gradient(walks):
    net = network()
    loss_of, leaves = network_loss(net), [*net.parameters()]
    for step in range(STEPS):
        loss_of(step).backward()
        taken(leaves)
    leaves[0].requires_grad_(False)
    loss_of(0).backward()
    assert leaves[0].grad is None
    assert all([leaf.grad is not None for leaf in leaves[1:]])


def test_what_was_overwritten_is_noticed(walks):
    w = mt.ones(2, requires_grad=True)
    for step in range(STEPS):
        a = mt.full((2,), 2.0)
        loss = (w * a).sum()
        if step == STEPS - 1:
            a.add_(1.0)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()
            assert w.grad is None
        else:
            loss.backward()
            w.grad = None


def test_a_second_time_is_refused(walks):
    w = mt.ones(2, requires_grad=True)
    for _ in range(STEPS):
        loss = (w * w).sum()
        loss.backward()
        w.grad = None
        with pytest.raises(RuntimeError, match="a second time"):
            loss.backward()


def test_a_graph_that_is_kept_is_walked(walks):
    w = mt.ones(2, requires_grad=True)
    for _ in range(STEPS):
        loss = (w * w).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        np.testing.assert_array_equal(w.grad.numpy(), [4, 4])
        w.grad = None


def test_the_functions_of_users_are_walked(walks):
    calls = []

    class Double(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(g)
            return g * 2

    w = mt.ones(2, requires_grad=True)
    for _ in range(STEPS):
        Double.apply(w).sum().backward()
    assert len(calls) == STEPS


def test_other_numbers_of_threads_give_the_same_bits(walks):
    net = network()
    loss_of, leaves = network_loss(net), [*net.parameters()]
    before = mt.get_num_threads()
    found = []
    for threads in (1, before):
        mt.set_num_threads(threads)
        for _ in range(STEPS):
            mt.manual_seed(0)
            loss_of(0).backward()
            found.append(taken(leaves))
    for g in found[1:]:
        same(g, found[0])


def test_two_python_threads_at_once():
    net = network().eval()
    x, y = images(0)
    leaves = [*net.parameters()]
    F.cross_entropy(net(x), y).backward()
    expected = taken(leaves)
    wrong = []

    owns = [network().eval() for _ in range(2)]

    def train(own):
        for _ in range(3 * STEPS):
            F.cross_entropy(own(x), y).backward()
            for a, b in zip(taken([*own.parameters()]), expected):
                if not np.array_equal(a, b):
                    wrong.append(a)

    others = [threading.Thread(target=train, args=(own,)) for own in owns]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert not wrong


def test_nothing_is_kept_of_the_step_that_was_recorded(walks):
    net = network()
    seen = []
    for step in range(STEPS):
        x, y = images(step)
        h = net[0](x)
        seen.append(weakref.ref(h._buffer))
        F.cross_entropy(net[1:](h), y).backward()
        taken([*net.parameters()])
        del h
    gc.collect()
    assert not any([ref() is not None for ref in seen])


def test_much_memory_is_not_kept(walks, monkeypatch):
    monkeypatch.setattr(backward, "MOST_BYTES", 1 << 10)
    net = network()
    check(network_loss(net), [*net.parameters()], walks, repeats=False)


def test_an_activation_in_place(walks):
    w = mt.ones(4, requires_grad=True)

    def loss_of(step):
        x = mt.from_numpy(np.float32([1, -2, 3, -4]) * (step + 1))
        return (F.relu(w * x, inplace=True) * x).sum()

    check(loss_of, [w], walks)
