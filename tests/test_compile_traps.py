"""What goes wrong with recorded steps: each case either works, or raises a sentence."""

import threading

import numpy as np
import pytest

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn, optim
from minitorch_cnn.device import cpu

from .test_compile import Net, Trainer, images, plans, same


@pytest.fixture(autouse=True)
def only_rules_that_keep_bits(monkeypatch):
    """Replayed steps are compared with eager ones to the bit."""
    monkeypatch.setattr("minitorch_cnn.plan.fuse.REORDERING", ())


def ran(function, *args):
    """How often a compiled function's Python code runs in three calls."""
    count = []

    def counting(*args):
        count.append(1)
        return function(*args)

    compiled = mt.compile(counting)
    for _ in range(3):
        compiled(*args)
    return len(count)


@pytest.mark.parametrize(
    "read",
    [
        lambda y: y.sum().item(),
        lambda y: bool(y.sum() > 0),
        lambda y: float(y.sum()),
        lambda y: y.numpy(),
        lambda y: y.tolist(),
        lambda y: repr(y),
        lambda y: np.asarray(y),
        lambda y: [1, 2, 3][(y.sum() * 0).long()],
    ],
)
def test_reading_a_value_raises_and_nothing_is_kept(read):
    compiled = mt.compile(lambda x: read(x * 2))
    with pytest.raises(RuntimeError, match="value of a tensor is read in a compiled function"):
        compiled(mt.ones(3))
    assert not plans(compiled)
    assert (mt.ones(2) + 1).tolist() == [2.0, 2.0]  # nothing is recorded any more


def test_results_are_not_overwritten_unless_asked_for():
    for reuse in (False, True):
        f = mt.compile(lambda x: x + 1, reuse_results=reuse)
        results = [f(mt.full((3,), float(i))) for i in range(4)]
        first = 4.0 if reuse else 1.0
        assert results[0].tolist() == [first] * 3
        assert (results[1] is results[2]) == reuse


def test_arguments_in_results_are_those_of_the_call():
    f = mt.compile(lambda x, w: (x, x[1:], {"w": w, "sum": x.sum()}, [1, "a", None]))
    for i in range(3):
        x, w = mt.arange(4.0) + i, mt.ones(2)
        whole, part, both, others = f(x, w)
        assert whole is x
        assert both["w"] is w
        assert part.tolist() == x.tolist()[1:]
        part[0] = 7.0
        assert x[1].item() == 7.0  # a view
        assert both["sum"].item() == 6.0 + 4 * i
        assert others == [1, "a", None]


def test_arguments_written_in_place_are_the_callers():
    f = mt.compile(lambda x: x.add_(1))
    for _ in range(3):
        x = mt.zeros(3)
        assert f(x).tolist() == [1.0] * 3
        assert x.tolist() == [1.0] * 3


def test_the_same_tensor_twice_and_overlapping_ones():
    f = mt.compile(lambda a, b: a.mul_(2) + b)
    for _ in range(3):
        x = mt.ones(4)
        assert f(x, x).tolist() == [4.0] * 4
        assert f(mt.ones(4), mt.ones(4)).tolist() == [3.0] * 4
        x = mt.ones(5)
        assert f(x[:4], x[1:]).tolist() == [4.0, 4.0, 4.0, 3.0]


def test_arguments_that_are_not_contiguous():
    f = mt.compile(lambda x: x * 2 + 1)
    for i in range(3):
        x = mt.arange(6.0).reshape(2, 3).t() + i
        assert f(x).tolist() == (x * 2 + 1).tolist()


def test_other_shapes_types_and_values_have_plans_of_their_own():
    f = mt.compile(lambda x, k: x * k)
    for x in (mt.ones(2), mt.ones(3), mt.ones(2, dtype=mt.float64), mt.ones(2, dtype=mt.int64)):
        for k in (1, 2, 2.0, True):
            for _ in range(2):
                expected = x * k
                found = f(x, k)
                assert found.dtype is expected.dtype
                assert found.tolist() == expected.tolist()
    assert len(plans(f)) <= 16


def test_arguments_that_cannot_be_compared_run_anew():
    class Odd:
        __hash__ = None

    assert ran(lambda x, odd: x + 1, mt.ones(2), Odd()) == 3
    assert ran(lambda x, odd: x + 1, mt.ones(2), None) == 1


def test_arguments_and_results_with_history_run_anew():
    x = mt.ones(2, requires_grad=True)
    assert ran(lambda x: x * 2, x) == 3
    w = mt.ones(2, requires_grad=True)
    assert ran(lambda x: x * w, mt.ones(2)) == 3
    f = mt.compile(lambda x: (x * w).sum())
    for i in range(1, 4):
        f(mt.ones(2)).backward()
        assert w.grad.tolist() == [float(i)] * 2


@pytest.mark.parametrize("last", ["sum", "mean"])
def test_a_step_whose_loss_ends_in_an_operation_that_keeps_nothing_is_repeated(last):
    net = nn.Linear(3, 2)
    calls = []

    @mt.compile
    def step(x):
        calls.append(x)
        net.zero_grad()
        loss = getattr(net(x) ** 2, last)()
        loss.backward()
        return loss

    for _ in range(3):
        loss = step(mt.ones(4, 3))
        assert loss.item() == getattr(net(mt.ones(4, 3)) ** 2, last)().item()
    assert len(calls) == 1


def test_the_first_call_makes_the_launches_that_repeat_it(monkeypatch):
    x, y = images(4)
    expected = Trainer().step(x, y)
    step = mt.compile(Trainer().step)

    def refuse(*args):
        raise AssertionError("relu is a part of pooling")

    for name in ("activation.relu", "activation.relu_grad"):
        assert name in cpu._kernels
        monkeypatch.setitem(cpu._kernels, name, refuse)
    same([step(x, y)], [expected])


@pytest.mark.parametrize("options", [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}, {}])
def test_a_step_that_makes_its_optimizers_state_is_repeated(options):
    trainer = Trainer(optimizer=optim.SGD if options else optim.Adam, **options)
    calls = []

    @mt.compile
    def step(x, y):
        calls.append(x)
        return trainer.step(x, y)

    for i in range(3):
        step(*images(4, i))
    assert len(calls) == 1


def test_a_first_step_unlike_the_others_is_not_repeated():
    def steps(compiled):
        w = mt.ones(3, requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1, momentum=0.9, dampening=0.5)

        def step(x):
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()

        step = mt.compile(step) if compiled else step
        for i in range(4):
            step(mt.full((3,), i + 1.0))
        return [w, *optimizer.state[w].values()]

    same(steps(True), steps(False))


def test_what_a_function_did_before_it_raised_is_done():
    def f(x, y):
        x.add_(1)
        z = x * y  # nobody holds it when the next line raises
        y.copy_(z + z)
        del z
        raise ValueError("no more")

    found = []
    for function in (f, mt.compile(f)):
        x, y = mt.ones(3), mt.full((3,), 5.0)
        with pytest.raises(ValueError, match="no more"):
            function(x, y)
        found.append([x, y])
    same(*found)


@pytest.mark.parametrize("has_gradients", [False, True])
def test_a_first_call_that_a_kernel_refuses_leaves_training_as_it_was(has_gradients):
    good, (x, _) = images(4), images(4, 1)
    bad = x, mt.full((4,), 10)

    def trained(compiled, refused):
        trainer = Trainer()
        step = mt.compile(trainer.step) if compiled else trainer.step
        if has_gradients:
            F.cross_entropy(trainer.net(x), mt.zeros(4, dtype=mt.int64)).backward()
        before = [p.grad for p in trainer.net.parameters()]
        if refused:
            with pytest.raises(IndexError, match="target 10 is out of bounds for 10 classes"):
                step(*bad)
            found = [p.grad for p in trainer.net.parameters()]
            assert all(a is b for a, b in zip(found, before, strict=True))
        return [step(*good) for _ in range(3)] + trainer.state()

    same(trained(True, True), trained(False, False))


def test_launches_are_observed_as_the_function_makes_them():
    x = mt.ones(3)
    with mt.profiler.profile() as profile:
        mt.compile(F.relu)(x)
    assert [event.key for event in profile.events()] == ["activation.relu"]


def test_no_grad_is_part_of_the_signature():
    w = mt.ones(2, requires_grad=True)
    f = mt.compile(lambda x: x * w)
    for _ in range(2):
        with mt.no_grad():
            assert not f(mt.ones(2)).requires_grad
        assert f(mt.ones(2)).requires_grad


def test_train_and_eval():
    mt.manual_seed(0)
    net = Net(norm=True, dropout=0.5)
    f = mt.compile(net)
    x, _ = images(4)
    net.eval()
    with mt.no_grad():
        for _ in range(2):
            same([f(x)], [net(x)])
        net.train()
        means = net.norm.running_mean.clone()
        first, second = f(x), f(x)
        assert not mt.equal(first, second)  # dropout draws anew
        assert not mt.equal(means, net.norm.running_mean)
        net.eval()
        same([f(x)], [net(x)])


def test_an_attribute_of_a_module():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = 2.0

        def forward(self, x):
            return x * self.factor

    net = Scale()
    f = mt.compile(net)
    for factor in (2.0, 2.0, 3.0, 3.0):
        net.factor = factor
        assert f(mt.ones(2)).tolist() == [factor] * 2
    assert f.factor == 3.0  # attributes are the module's


def test_replacing_a_buffer_raises():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", mt.zeros(2))

        def forward(self, x):
            self.mean = 0.5 * self.mean + x
            return self.mean

    with pytest.raises(RuntimeError, match="replaces the buffer 'mean'"):
        mt.compile(Mean())(mt.ones(2))


def test_load_state_dict():
    for assign in (False, True):
        trainer, other = Trainer(seed=0), Trainer(seed=1)
        step = mt.compile(trainer.step)
        x, y = images(4)
        for _ in range(3):
            step(x, y)
        copies = {k: v.clone() for k, v in other.net.state_dict().items()}
        trainer.net.load_state_dict(copies, assign=assign)
        if assign:  # the optimizer has the old parameters
            trainer.optimizer = optim.SGD(trainer.net.parameters(), lr=0.0)
            step = mt.compile(trainer.step)
        same([step(x, y)], [F.cross_entropy(other.net(x), y)])


def test_data_that_is_replaced():
    w = mt.ones(2)
    f = mt.compile(lambda x: x * w)
    for value in (1.0, 1.0, 5.0, 5.0):
        if value == 5.0:
            w.data = mt.full((2,), 5.0)
        assert f(mt.ones(2)).tolist() == [value] * 2


def test_a_parameter_that_is_frozen_and_thawed():
    found = []
    for compiled in (False, True):
        trainer = Trainer(optimizer=optim.SGD, lr=0.1)
        step = mt.compile(trainer.step) if compiled else trainer.step
        for i in range(8):
            trainer.net.conv1.weight.requires_grad_(i not in (3, 4, 5))
            step(*images(4, i))
        found.append([*trainer.net.state_dict().values()])
    same(*found)


def test_a_parameter_group_that_is_added():
    found = []
    for compiled in (False, True):
        trainer = Trainer()
        trainer.optimizer = optim.SGD(trainer.net.fc2.parameters(), lr=0.1)
        step = mt.compile(trainer.step) if compiled else trainer.step
        for i in range(6):
            if i == 3:
                trainer.optimizer.add_param_group(
                    {"params": trainer.net.fc1.parameters(), "lr": 0.5}
                )
            step(*images(4, i))
        found.append([*trainer.net.state_dict().values()])
    same(*found)


def test_optimizer_load_state_dict():
    found = []
    for compiled in (False, True):
        trainer, other = Trainer(), Trainer()
        step = mt.compile(trainer.step) if compiled else trainer.step
        for i in range(3):
            other.step(*images(4, 10 + i))
            step(*images(4, i))
        trainer.optimizer.load_state_dict(other.optimizer.state_dict())
        for i in range(3):
            step(*images(4, i))
        found.append(trainer.state())
    same(*found)


def test_options_of_a_group_that_change():
    found = []
    for compiled in (False, True):
        trainer = Trainer(optimizer=optim.SGD, lr=0.1, momentum=0.9)
        step = mt.compile(trainer.step) if compiled else trainer.step
        for i in range(6):
            trainer.optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
            trainer.optimizer.param_groups[0]["weight_decay"] = 0.01 * i
            step(*images(4, i))
        found.append(trainer.state())
    same(*found)


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_gradients_zeroed_and_accumulated(inside, set_to_none):
    found = []
    for compiled in (False, True):
        net = nn.Linear(3, 2)
        nn.init.ones_(net.weight)
        nn.init.zeros_(net.bias)

        def step(x, net=net):
            if inside:
                net.zero_grad(set_to_none)
            (net(x) ** 2).sum().backward()

        if compiled:
            step = mt.compile(step)
        grads = []
        for i in range(9):
            if not inside and i % 3 == 0:
                net.zero_grad(set_to_none)
            step(mt.full((2, 3), float(i)))
            grads += [p.grad.clone() for p in net.parameters()]
        found.append(grads)
    same(*found)


def test_gradients_that_are_forgotten_between_steps():
    net = nn.Linear(2, 1)
    x = mt.ones(1, 2)

    @mt.compile
    def step(x):
        net.zero_grad()
        net(x).sum().backward()

    for _ in range(4):
        step(x)
        assert net.weight.grad.tolist() == [[1.0, 1.0]]
        net.weight.grad = None


def test_gradients_changed_between_backward_and_step():
    found = []
    for compiled in (False, True):
        trainer = Trainer(optimizer=optim.SGD, lr=0.1)
        net, optimizer = trainer.net, trainer.optimizer

        def step(x, y, net=net, optimizer=optimizer):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            optimizer.step()

        step = mt.compile(step) if compiled else step
        for i in range(4):
            step(*images(4, i))
        found.append(trainer.state())
    same(*found)


def test_an_exception_half_way_leaves_things_usable():
    fail = [True]
    w = mt.ones(2)

    @mt.compile
    def f(x):
        y = x * w
        if fail[0]:
            raise KeyError("half-way")
        return y + 1

    with pytest.raises(KeyError, match="half-way"):
        f(mt.ones(2))
    fail[0] = False
    for _ in range(3):
        assert f(mt.ones(2)).tolist() == [2.0, 2.0]


def test_a_bad_label_raises_in_a_repeated_step():
    trainer = Trainer()
    step = mt.compile(trainer.step)
    x, y = images(4)
    for _ in range(3):
        step(x, y)
    before = [p.clone() for p in trainer.net.parameters()]
    y[1] = 10
    with pytest.raises(IndexError, match="target 10 is out of bounds for 10 classes"):
        step(x, y)
    same([p.detach() for p in trainer.net.parameters()], [p.detach() for p in before])
    y[1] = 1
    step(x, y)


def test_a_compiled_function_in_another():
    inner = mt.compile(lambda x: x * 2)
    outer = mt.compile(lambda x: inner(x) + 1)
    for i in range(4):
        x = mt.full((2,), float(i))
        assert outer(x).tolist() == [2 * i + 1] * 2
        assert inner(x).tolist() == [2 * i] * 2


def test_two_models_in_one_step():
    found = []
    for compiled in (False, True):
        a, b = Trainer(seed=0), Trainer(seed=1)

        def step(x, y, a=a, b=b):
            a.optimizer.zero_grad()
            b.optimizer.zero_grad()
            la, lb = F.cross_entropy(a.net(x), y), F.cross_entropy(b.net(x), y)
            (la + 2 * lb).backward()
            a.optimizer.step()
            b.optimizer.step()
            return la, lb

        step = mt.compile(step) if compiled else step
        for i in range(4):
            step(*images(4, i))
        found.append(a.state() + b.state())
    same(*found)


def test_two_threads():
    expected = []
    for seed in range(2):
        trainer = Trainer(seed=seed)
        for i in range(20):
            trainer.step(*images(8, i))
        expected.append(trainer.state())
    trainers = [Trainer(seed=seed) for seed in range(2)]
    shared = mt.compile(lambda x: mt.tanh(x).sum())
    sums = []

    def train(trainer):
        step = mt.compile(trainer.step)
        for i in range(20):
            step(*images(8, i))
            sums.append((i, shared(images(8, i)[0]).item()))

    workers = [threading.Thread(target=train, args=(t,)) for t in trainers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for trainer, state in zip(trainers, expected):
        same(trainer.state(), state)
    for i in range(20):
        value = mt.tanh(images(8, i)[0]).sum().item()
        assert [s for k, s in sums if k == i] == [value, value]


def test_random_numbers_go_on():
    def draws(f):
        mt.manual_seed(3)
        return [f() for _ in range(4)]

    def draw():
        return mt.rand(5), mt.randn(5), F.dropout(mt.ones(5), 0.5), mt.randint(0, 9, (5,))

    for a, b in zip(draws(draw), draws(mt.compile(draw))):
        same(a, b)


def test_methods_and_decorators():
    class Model:
        def __init__(self, factor):
            self.factor = mt.full((2,), factor)

        @mt.compile
        def scaled(self, x):
            """Its documentation."""
            return x * self.factor

        @mt.compile(disable=True)
        def plain(self, x):
            return x

    a, b = Model(2.0), Model(3.0)
    for _ in range(3):
        assert a.scaled(mt.ones(2)).tolist() == [2.0, 2.0]
        assert b.scaled(mt.ones(2)).tolist() == [3.0, 3.0]
    assert Model.scaled.__doc__ == "Its documentation."
    assert a.scaled.__name__ == "scaled"
    assert a.scaled.__doc__ == "Its documentation."
    assert a.scaled == a.scaled != b.scaled
    assert len({a.scaled, a.scaled, b.scaled}) == 2
    assert "elementwise.mul" in a.scaled.explain(mt.ones(2), repeats=1)
    assert not isinstance(Model.plain, type(Model.scaled))
    with pytest.raises(TypeError, match="expected a function or a module, not int"):
        mt.compile(3)


def test_constants_made_in_python():
    f = mt.compile(lambda x: x + mt.tensor([1.0, 2.0]) + mt.from_numpy(np.ones(2, np.float32)))
    for i in range(3):
        assert f(mt.full((2,), float(i))).tolist() == [i + 2.0, i + 3.0]


def test_no_launches_and_no_elements():
    f = mt.compile(lambda: 3)
    assert [f(), f()] == [3, 3]
    g = mt.compile(lambda x: (x * 2).sum())
    assert [g(mt.ones(0)).item() for _ in range(3)] == [0.0] * 3


def test_going_back_to_a_mode_finds_its_plan_again():
    net = Net(norm=True, dropout=0.5)
    f = mt.compile(net)
    x, _ = images(4)
    runs = []
    with mt.no_grad():
        for mode in (True, False, True, False, True):
            net.train(mode)
            f(x)
            runs.append(len(plans(f)))
        assert runs == [1, 2, 2, 2, 2]
        net.eval()
        net.drop.train()  # one module alone
        assert not mt.equal(f(x), f(x))
        assert len(plans(f)) == 3


def test_hooks_that_are_added():
    net = nn.Linear(2, 2)
    f = mt.compile(net)
    x = mt.ones(1, 2)
    with mt.no_grad():
        same([f(x), f(x)], [net(x), net(x)])
        handle = net.register_forward_hook(lambda module, args, result: result + 1)
        same([f(x), f(x)], [net(x), net(x)])
        handle.remove()
        same([f(x), f(x)], [net(x), net(x)])
