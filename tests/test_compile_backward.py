"""Compiled modules and functions in ordinary training loops: gradients through their results are
eager ones to the bit, and what can't be repeated runs plainly or raises a sentence."""

import gc
import threading

import numpy as np
import pytest

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn, optim
from minitorch_cnn.plan.halves import Halves, Recorder

from .test_compile import Net, images, plans, same


@pytest.fixture(autouse=True)
def only_rules_that_keep_bits(monkeypatch):
    """Repeated calls are compared with eager ones to the bit."""
    monkeypatch.setattr("minitorch_cnn.plan.fuse.REORDERING", ())


def plain(function):
    return function


def repeats(compiled):
    """Whether the next call of a compiled function is repeated, both ways."""
    found = [p for p in plans(compiled) if isinstance(p, Halves) and p.fits()]
    return any([p.free and not (p.is_forgotten or p.unfit) for p in found])


def agree(make):
    """Compare what a test case returns, given `compile` and given nothing of the kind."""
    results = []
    for wrap in (plain, mt.compile):
        mt.manual_seed(0)
        results.append(make(wrap))
    same(results[1], results[0])


class Counting(nn.Module):
    """A network that counts how often its Python code runs."""

    def __init__(self, **options):
        super().__init__()
        self.net, self.calls = Net(**options), []

    def forward(self, x):
        self.calls.append(1)
        return self.net(x)


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_a_training_loop_around_a_compiled_module(optimizer):
    calls = []

    def train(wrap):
        net = Counting(norm=True, dropout=0.3)
        f, opt = wrap(net), optimizer(net.parameters(), lr=1e-2)
        found = []
        for step in range(8):
            x, y = images(4, step)
            opt.zero_grad()
            loss = F.cross_entropy(f(x), y)
            loss.backward()
            opt.step()
            found.append(loss)
        calls.append(len(net.calls))
        return [*found, *net.state_dict().values(), *[p.grad for p in net.parameters()]]

    agree(train)
    assert calls[0] == 8
    assert calls[1] <= 2  # the first step of an optimizer makes its state


def test_a_bare_function_of_parameters_and_arguments_with_history():
    w = mt.randn(3, generator=mt.Generator().manual_seed(0)).requires_grad_()

    def gradients(wrap):
        f, found = wrap(lambda a, b, k: (mt.tanh(a * w) @ b * k, (a + b).sum())), []
        for step in range(5):
            leaf = (mt.arange(3.0) + step).requires_grad_()
            inner = leaf * 2.0
            y, total = f(inner, mt.ones(3) * step, k=3.0)
            inner.retain_grad()
            (y.sin() + total * total).backward()
            found += [y, total, leaf.grad, inner.grad, w.grad]
            w.grad = None
        return found

    agree(gradients)


def test_gradients_are_added_to_those_that_are_there():
    def accumulate(wrap):
        net = Net()
        f = wrap(net)
        for step in range(6):
            x, y = images(2, step)
            F.cross_entropy(f(x), y).backward()
        return [p.grad for p in net.parameters()]

    agree(accumulate)


@pytest.mark.parametrize("turned", [False, True])
def test_two_calls_before_gradients_are_asked_for(turned):
    def siamese(wrap):
        net = Net(norm=True)
        f, found = wrap(net), []
        for step in range(5):
            net.zero_grad()
            a, b = f(images(2, step)[0]), f(images(2, step + 50)[0])
            if step % 2:
                (a - b).square().mean().backward()
            else:
                for y in (b, a) if turned else (a, b):
                    y.square().mean().backward()
            found += [a, b, *[p.grad.clone() for p in net.parameters()]]
        return [*found, *net.state_dict().values()]

    agree(siamese)


def test_results_that_nobody_differentiates():
    kept = []

    def run(wrap):
        net = Net(norm=True, dropout=0.2)
        f, found = wrap(net), []
        for step in range(9):
            x, _ = images(2, step)
            y = f(x)
            if step in (0, 3):
                kept.append(y)  # as long as it is there, gradients may be asked for
            elif step in (1, 6):
                found.append(y.detach())
            elif step in (2, 7):
                with mt.no_grad():
                    y = f(x)
                assert not y.requires_grad
                found.append(y)
            else:
                net.zero_grad()
                y.sum().backward()
                found += [p.grad for p in net.parameters()]
            del y
            if step == 5:
                kept[-1].square().sum().backward()
                found += [p.grad.clone() for p in net.parameters()]
        return found

    agree(run)


def test_calls_that_nobody_differentiates_are_not_recorded_for_ever():
    net = nn.Linear(2, 2)
    f = mt.compile(net)
    for _ in range(20):
        f(mt.ones(1, 2))
    assert plans(f)[0].unfit
    f(mt.ones(1, 2)).sum().backward()
    assert not repeats(f)
    net.bias.requires_grad_(False)  # another function, as it were
    for _ in range(3):
        f(mt.ones(1, 2)).sum().backward()
    assert repeats(f)


def test_gradients_of_gradients_raise():
    x = mt.ones(3).requires_grad_()
    f = mt.compile(lambda x: (x**3).sum())
    for _ in range(2):  # the call that is recorded, and one that repeats it
        with pytest.raises(RuntimeError, match="can't be differentiated in turn"):
            mt.autograd.grad(f(x), x, create_graph=True)
        f(x).backward()
    assert x.grad.tolist() == [6.0] * 3
    assert repeats(f)


def test_a_graph_is_gone_through_once():
    x = mt.ones(3).requires_grad_()
    f = mt.compile(lambda x: (x**2).sum())
    for step in range(3):
        y = f(x)
        y.backward(retain_graph=True)
        assert x.grad.tolist() == [2.0 * (step + 1)] * 3
        with pytest.raises(RuntimeError, match="second time"):
            y.backward()


def test_hooks_outside_and_inside():
    def hooked(wrap, inside):
        w = mt.arange(3.0).requires_grad_()
        seen = []

        def function(x):
            h = w * x
            if inside:
                h.register_hook(lambda g: seen.append(g.clone()))
            return h.exp()

        f = wrap(function)
        w.register_hook(lambda g: g * 2)
        w.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.clone()))
        for step in range(4):
            w.grad = None
            y = f(mt.ones(3) * step)
            y.register_hook(lambda g, seen=seen: seen.append(g.clone()))
            y.retain_grad()
            y.sum().backward()
            seen += [y.grad, w.grad]
        return seen

    agree(lambda wrap: hooked(wrap, False))
    agree(lambda wrap: hooked(wrap, True))


def test_a_parameter_that_changes_before_its_gradient_raises():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    f = mt.compile(net)
    for step in range(3):
        y = f(mt.ones(2, 3)).sum()
        with mt.no_grad():
            net[1].weight.mul_(0.5)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()
        net.zero_grad()
        f(mt.ones(2, 3)).sum().backward()
        assert net[0].bias.grad.tolist() == pytest.approx((2 * net[1].weight[0]).tolist()), step


def test_an_argument_that_changes_before_its_gradient_raises():
    w = mt.ones(3).requires_grad_()
    f = mt.compile(lambda x: (x * w).sum())
    for _ in range(3):
        x = mt.ones(3)
        y = f(x)
        x.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()
        f(x).backward()


def test_parameters_that_change_between_steps():
    def change(wrap):
        net, other = Net(), Net()
        f, found = wrap(net), []
        for step in range(12):
            x, y = images(2, step)
            net.zero_grad()
            F.cross_entropy(f(x), y).backward()
            found += [None if p.grad is None else p.grad.clone() for p in net.parameters()]
            if step == 3:
                net.load_state_dict(other.state_dict())
            if step == 5:
                net.conv1.requires_grad_(False)
            if step == 7:
                net.conv1.requires_grad_(True)
            if step == 9:
                net.fc2 = nn.Linear(40, 10)
        return found

    agree(change)


def test_modes_and_statistics():
    def switch(wrap):
        net = Net(norm=True, dropout=0.4)
        f, found = wrap(net), []
        for step in range(12):
            net.train(step % 4 < 2)
            x, y = images(3, step)
            net.zero_grad()
            loss = F.cross_entropy(f(x), y)
            loss.backward()
            found += [loss, *[p.grad for p in net.parameters()]]
        return [*found, *net.state_dict().values()]

    agree(switch)


def test_exceptions_leave_a_function_as_it_was():
    w = mt.ones(2, 2).requires_grad_()

    def function(x):
        if x.shape[0] == 5:
            raise ValueError("five")
        return x @ w

    f = mt.compile(function)
    for _ in range(3):
        with pytest.raises(ValueError, match="five"):
            f(mt.ones(5, 2))
        with pytest.raises(RuntimeError):
            f(mt.ones(2, 3))
        y = f(mt.ones(3, 2))
        with pytest.raises(RuntimeError, match="Mismatch in shape"):
            y.backward(mt.ones(2, 2))
        w.grad = None
        y.backward(mt.ones(3, 2))
        assert w.grad.tolist() == [[3.0, 3.0]] * 2
    assert repeats(f)


def test_threads_share_a_compiled_module():
    net = Net(norm=False)
    f, parameters = mt.compile(net), [*net.parameters()]
    cases = [images(2, seed) for seed in range(6)]

    def gradients(function, case):
        x, y = case
        return mt.autograd.grad(F.cross_entropy(function(x), y), parameters)

    expected = [gradients(net, case) for case in cases]
    found = {}

    def work(first):
        for turn in range(4):
            for i in range(first, len(cases), 2):
                found[i, turn] = gradients(f, cases[i])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(found) == 24
    for (i, _), some in found.items():
        same(some, expected[i])


def test_gradients_from_another_thread():
    w = mt.ones(3).requires_grad_()
    f = mt.compile(lambda x: (x * w).sum())
    for step in range(1, 5):
        y = f(mt.ones(3) * step)
        w.grad = None
        thread = threading.Thread(target=y.backward)
        thread.start()
        thread.join()
        assert w.grad.tolist() == [float(step)] * 3
    f(mt.ones(3)).backward()
    assert repeats(f)


def test_some_results_used_and_one_twice():
    def use(wrap):
        w = mt.arange(1.0, 4.0).requires_grad_()

        def function(x):
            h = x * w
            return {"both": [h, h[1:].exp()], "none": h.detach(), "places": h.argmax()}

        f, found = wrap(function), []
        for step in range(8):
            w.grad = None
            result = f(mt.ones(3) + step)
            h, e = result["both"]
            used = [h.sum(), e.sum(), (h[1:] * e + h[0]).sum(), (e * 2.0).sum() + h[0]][step % 4]
            used.backward()
            found += [h, e, result["none"], result["places"], w.grad]
        return found

    agree(use)


def test_output_gradients_that_are_not_memory_of_their_own():
    def given(wrap):
        w = mt.arange(6.0).reshape(2, 3).requires_grad_()
        f, found = wrap(lambda x: (w * x, w + x)), []
        for step in range(6):
            w.grad = None
            x = mt.arange(6.0).reshape(2, 3) + step
            a, b = f(x)
            gradients = [(x, x), (mt.ones(3, 2).t(), mt.ones(1).expand(2, 3)), (x.clone(), x)]
            mt.autograd.backward([a, b], gradients[step % 3])
            found.append(w.grad)
        return found

    agree(given)


def test_gradients_that_show_memory_of_others():
    def show(wrap):
        a, b = mt.ones(2, 3).requires_grad_(), mt.ones(2, 3).requires_grad_()
        f, found = wrap(lambda x: ((a.t() @ b).sum(0) + x * (a + b).sum(0)).exp()), []
        for step in range(4):
            a.grad = b.grad = None
            x = (mt.arange(3.0) * 0.1 * step).requires_grad_()
            y = f(x) + f(x.detach())
            y.sum().backward()
            found += [y, a.grad, b.grad, x.grad]
        return found

    agree(show)


def test_arguments_that_are_written_over():
    def write(wrap):
        f, found = wrap(lambda x: F.relu(x, inplace=True) * 2), []
        for step in range(4):
            leaf = (mt.arange(4.0) - 2 + step).requires_grad_()
            x = leaf * 1.0
            y = f(x)
            (y + x).sum().backward()
            found += [x, y, leaf.grad]
        return found

    agree(write)
    f = mt.compile(lambda x: x.mul_(2))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            f(mt.ones(2).requires_grad_())


def test_arguments_and_views_of_them_as_results():
    f = mt.compile(lambda x, w: (x, w[1:], x * w))
    for step in range(3):
        x, w = mt.ones(3).requires_grad_() * 1.0, mt.ones(3).requires_grad_()
        whole, part, product = f(x, w)
        assert whole is x
        (part.sum() + product.sum()).backward()
        assert w.grad.tolist() == [1.0, 2.0, 2.0], step


def test_a_view_with_history_as_an_argument():
    f = mt.compile(lambda x: x.mul_(3.0).sum())
    for _ in range(3):
        leaf = mt.ones(4).requires_grad_()
        x = leaf * 1.0
        (f(x[1:]) + x.sum()).backward()
        assert leaf.grad.tolist() == [1.0, 6.0, 6.0, 6.0]


def test_gradients_of_a_compiled_function_inside_another():
    w = mt.ones(3).requires_grad_()
    inner = mt.compile(lambda x: (x * w).sum())
    for _ in range(3):
        inner(mt.ones(3)).backward()
    assert repeats(inner)
    y = inner(mt.ones(3))
    with pytest.raises(RuntimeError, match="compile both as one"):
        mt.compile(lambda x: y.backward())(mt.ones(1))

    @mt.compile
    def step(x):
        w.grad = None
        inner(x).backward()
        return w.grad

    for i in range(3):
        assert step(mt.ones(3) * i).tolist() == [float(i)] * 3


def test_some_gradients_alone():
    def some(wrap):
        w = mt.ones(3).requires_grad_()
        f, found = wrap(lambda x: (x * w).exp()), []
        for step in range(4):
            x = (mt.arange(3.0) + step).requires_grad_()
            found += mt.autograd.grad(f(x).sum(), [x])
            f(x).sum().backward(inputs=[w])
            assert x.grad is None
        return [*found, w.grad]

    agree(some)


def test_reused_results_have_history():
    w = mt.ones(3).requires_grad_()
    f = mt.compile(lambda x: x * w, reuse_results=True)
    for step in range(4):
        y = f(mt.ones(3) * step)
        w.grad = None
        (y * y).sum().backward()
        assert w.grad.tolist() == [2.0 * step**2] * 3
    assert repeats(f)


def test_results_and_gradients_are_not_overwritten():
    w = mt.ones(3).requires_grad_()
    f = mt.compile(lambda x: (x * w).exp())
    results, gradients = [], []
    for step in range(5):
        y = f(mt.ones(3) * step)
        y.sum().backward()
        results.append(y.detach())
        gradients.append(w.grad)
        w.grad = None
    for step in range(5):
        assert results[step].tolist() == pytest.approx([np.exp(step)] * 3)
        assert gradients[step].tolist() == pytest.approx([step * np.exp(step)] * 3)


def test_nothing_is_kept_of_a_graph_that_was_let_go():
    net = Net(norm=True)
    f = mt.compile(net)
    for step in range(3):
        f(images(2, step)[0]).sum().backward()
    gc.collect()
    (halves,) = plans(f)
    assert halves.free
    assert halves._recorder is None
    y = f(images(2)[0])
    assert not halves.free
    node = y.grad_fn
    assert node.name() == "CompiledBackward0"
    y.sum().backward()
    assert halves.free
    assert not node.arguments


def test_ops_of_users_and_what_was_made_before_run_plainly():
    class Double(mt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    def users(wrap):
        w = mt.ones(3).requires_grad_()
        before = w.exp()
        found = []
        for function in (lambda x: Double.apply(x * w), lambda x: x * before):
            f = wrap(function)
            for step in range(3):
                w.grad = None
                f(mt.ones(3) * step).sum().backward(retain_graph=True)
                before.sum().backward(retain_graph=True)
                found.append(w.grad)
        return found

    agree(users)


@pytest.mark.parametrize("repeated", [False, True])
def test_gradients_that_are_parts_of_others_or_shared(repeated):
    def share(wrap):
        a, b = mt.arange(3.0).requires_grad_(), (mt.ones(3) * 0.5).requires_grad_()
        if repeated:
            f = wrap(lambda x: (mt.cat([a, b]) * x).exp())
        else:  # both have the gradient that comes in
            f = wrap(lambda x: a + b + x)
        found = []
        for step in range(5):
            a.grad = b.grad = None
            y = f(mt.ones(6 if repeated else 3) * 0.1 * step)
            y.square().sum().backward()
            found += [y, a.grad, b.grad]
        if wrap is mt.compile:
            assert repeats(f) == repeated
        return found

    agree(share)


def test_results_that_are_one_and_leaves_made_inside():
    def run(wrap):
        w, found = mt.ones(2).requires_grad_(), []

        def made(x):
            inner = mt.ones(2).requires_grad_()
            return (inner * x * w).exp(), inner

        twice = wrap(lambda x: (lambda h: (h, h))((x * w).exp()))
        f = wrap(made)
        for step in range(4):
            w.grad = None
            a, b = twice(mt.ones(2) * step)
            (a * 2.0 + b).sum().backward()
            y, inner = f(mt.ones(2) * step)
            y.sum().backward()
            found += [a, b, y, w.grad, inner.grad]
        if wrap is mt.compile:
            assert not repeats(twice)
            assert not repeats(f)
        return found

    agree(run)


def test_gradients_in_other_layouts_and_early_parts_of_others():
    def run(wrap):
        w = mt.arange(6.0).reshape(2, 3).requires_grad_()
        a, b = (mt.arange(3.0) * 0.1).requires_grad_(), mt.ones(3).requires_grad_()
        turned = wrap(lambda x: (w.t() * x).exp())
        joined = wrap(lambda x: (mt.cat([a, (b * x).tanh().tanh().tanh().tanh()]) * 2.0).exp())
        found = []
        for step in range(4):
            w.grad = a.grad = b.grad = None
            y, z = turned(mt.ones(3, 2) * 0.1 * step), joined(mt.ones(3) * 0.1 * step)
            (y * y).sum().backward()
            (z * z).sum().backward()
            found += [y, z, w.grad, a.grad, b.grad]
        if wrap is mt.compile:
            assert repeats(turned)
            assert repeats(joined)
        return found

    agree(run)


def test_a_parameter_inside_and_before():
    def run(wrap):
        w, found = (mt.arange(3.0) + 1).requires_grad_(), []
        f = wrap(lambda x: x * w)
        for step in range(4):
            w.grad = None
            f((w * step).exp()).sum().backward()
            found.append(w.grad)
        return found

    agree(run)


def test_gradients_that_the_function_clears():
    def run(wrap):
        w, found = mt.ones(3).requires_grad_(), []

        def function(x):
            w.grad = None
            return x * w

        f = wrap(function)
        for step in range(4):
            f(mt.ones(3) * step).sum().backward()
            found.append(w.grad.clone())
        return found

    agree(run)


def test_the_first_way_back_inside_another_compiled_function():
    w = mt.ones(3).requires_grad_()
    y = mt.compile(lambda x: (x * w).sum())(mt.ones(3))

    def function(x):
        y.backward()
        return x * 2

    f = mt.compile(function)
    for step in range(3):
        w.grad = None
        assert f(mt.ones(3) * step).tolist() == [2.0 * step] * 3
        assert w.grad.tolist() == [1.0] * 3


def test_a_value_that_is_read_on_the_way_back():
    recorder = Recorder([])
    with pytest.raises(RuntimeError, match="value of a tensor is read"):
        recorder.read()
    recorder.back = True
    recorder.read()  # it is known, but the launches are not repeated
    assert recorder.unfit
