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
    optimizer = framework.optim.SGD(groups, lr=0.1, momentum=0.9)
    schedulers = make(framework.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(epochs):
        found.append([group["lr"] for group in optimizer.param_groups])
        assert schedulers[-1].get_last_lr() == found[-1]
        found.append([group["momentum"] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def sequence(s, o, *parts, at):
    return [s.SequentialLR(o, list(parts), milestones=list(at))]


class Halves:
    """A callable object, whose state is saved."""

    def __init__(self, base=0.5):
        self.base = base

    def __call__(self, x):
        return self.base**x


CYCLES = {"momentum": 0.9}
SCHEDULES = {
    "step": lambda s, o: [s.StepLR(o, 3)],
    "step each": lambda s, o: [s.StepLR(o, step_size=1, gamma=0.9)],
    "lambda": lambda s, o: [s.LambdaLR(o, lambda epoch: 0.95**epoch)],
    "lambdas": lambda s, o: [s.LambdaLR(o, [lambda epoch: epoch // 5, Halves(0.9)])],
    "multiplicative": lambda s, o: [s.MultiplicativeLR(o, lambda epoch: 0.9)],
    "milestones": lambda s, o: [s.MultiStepLR(o, [3, 8, 8, 20], gamma=0.3)],
    "constant": lambda s, o: [s.ConstantLR(o, factor=0.3, total_iters=7)],
    "constant, default": lambda s, o: [s.ConstantLR(o)],
    "linear": lambda s, o: [s.LinearLR(o)],
    "linear, falling": lambda s, o: [s.LinearLR(o, 1.0, 0.1, 12)],
    "exponential": lambda s, o: [s.ExponentialLR(o, 0.9)],
    "polynomial": lambda s, o: [s.PolynomialLR(o)],
    "polynomial, square": lambda s, o: [s.PolynomialLR(o, total_iters=40, power=2.0)],
    "cosine": lambda s, o: [s.CosineAnnealingLR(o, 10)],
    "cosine, floor": lambda s, o: [s.CosineAnnealingLR(o, T_max=7, eta_min=0.01)],
    "cosine, to and fro": lambda s, o: [s.CosineAnnealingLR(o, T_max=1)],
    "restarts": lambda s, o: [s.CosineAnnealingWarmRestarts(o, 7)],
    "restarts, longer": lambda s, o: [s.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.01)],
    "cyclic": lambda s, o: [s.CyclicLR(o, 0.01, 0.1, step_size_up=5)],
    "cyclic, halving": lambda s, o: [
        s.CyclicLR(o, [0.01, 0.02], [0.1, 0.2], 4, 6, mode="triangular2", cycle_momentum=False)
    ],
    "cyclic, exponential": lambda s, o: [
        s.CyclicLR(o, 0.01, 0.1, 5, mode="exp_range", gamma=0.97, base_momentum=0.5)
    ],
    "cyclic, own": lambda s, o: [s.CyclicLR(o, 0.01, 0.1, 5, scale_fn=Halves())],
    "one cycle": lambda s, o: [s.OneCycleLR(o, 0.3, total_steps=100)],
    "one cycle, epochs": lambda s, o: [
        s.OneCycleLR(o, [0.3, 1.0], epochs=10, steps_per_epoch=11, anneal_strategy="linear")
    ],
    "one cycle, three phases": lambda s, o: [
        s.OneCycleLR(o, 0.3, 120, three_phase=True, pct_start=0.4, div_factor=5.0)
    ],
    "step, then cosine": lambda s, o: [s.StepLR(o, 4, 0.5), s.CosineAnnealingLR(o, 9)],
    "warmup, then cosine": lambda s, o: sequence(
        s, o, s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20), at=[5]
    ),
    "three in a row": lambda s, o: sequence(
        s,
        o,
        s.ConstantLR(o, 0.1, 3),
        s.ExponentialLR(o, 0.9),
        s.MultiStepLR(o, [2, 5]),
        at=[4, 10],
    ),
    "polynomial, then step": lambda s, o: sequence(
        s, o, s.PolynomialLR(o, 10), s.StepLR(o, 3), s.LinearLR(o), at=[4, 20]
    ),
    "chained": lambda s, o: [s.ChainedScheduler([s.ConstantLR(o), s.ExponentialLR(o, 0.9)])],
    "restarts in a row": lambda s, o: sequence(
        s, o, s.LinearLR(o), s.CosineAnnealingWarmRestarts(o, 5), at=[7]
    ),
}
schedules = pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)


@schedules
def test_schedules_are_pytorchs(pytorch, make):
    assert rates(mt, make, 100) == rates(pytorch, make, 100)


@schedules
def test_schedules_keep_their_state_as_pytorchs_do(pytorch, make):
    def resumed(framework):
        def groups():
            return [{"params": [framework.zeros(1, requires_grad=True)]} for _ in range(2)]

        optimizer = framework.optim.SGD(groups(), lr=0.4, momentum=0.9)
        schedulers = make(framework.optim.lr_scheduler, optimizer)
        for _ in range(12):
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
        again = framework.optim.SGD(groups(), lr=9.0, momentum=0.9)
        later = make(framework.optim.lr_scheduler, again)
        again.load_state_dict(optimizer.state_dict())
        for new, old in zip(later, schedulers):
            new.load_state_dict(old.state_dict())
        found = []
        for _ in range(12):
            again.step()
            for scheduler in later:
                scheduler.step()
            found += later[-1].get_last_lr()
            found += [group["momentum"] for group in again.param_groups]
        return found, [
            scheduler.last_epoch for scheduler in later if "last_epoch" in vars(scheduler)
        ]

    assert resumed(mt) == resumed(pytorch)


@schedules
def test_states_hold_what_pytorchs_hold(pytorch, make):
    def state(framework):
        groups = [{"params": [framework.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 1)]
        optimizer = framework.optim.SGD(groups, lr=0.1, momentum=0.9)
        return [s.state_dict() for s in make(framework.optim.lr_scheduler, optimizer)]

    for mine, theirs in zip(state(mt), state(pytorch), strict=True):
        ignored = {"_get_lr_called_within_step", "_is_initial", "_schedule_phases", "_phases"}
        assert mine.keys() - ignored == theirs.keys() - ignored
        for key in mine.keys() - ignored - {"_schedulers"}:
            assert mine[key] == theirs[key], key


@pytest.mark.parametrize("epoch", [0, 3, 11])
def test_an_epoch_may_be_named_as_in_pytorch(pytorch, epoch):
    def named(framework):
        p = framework.zeros(1, requires_grad=True)
        found = []
        for make in SCHEDULES.values():
            optimizer = framework.optim.SGD(
                [{"params": [p]}, {"params": [p * 1]}][:1], momentum=0.9
            )
            try:
                scheduler, *others = make(framework.optim.lr_scheduler, optimizer)
            except ValueError:  # it is for two groups
                continue
            optimizer.step()
            if others or hasattr(scheduler, "_schedulers"):
                continue
            if not type(scheduler).__name__.endswith("Restarts"):
                with pytest.warns(UserWarning, match="deprecated"):
                    scheduler.step(epoch)
            else:
                scheduler.step(epoch + 0.25)
            found += scheduler.get_last_lr()
        return found

    assert named(mt) == named(pytorch)


LOSSES = [5, 4, 4, 3.9999, 3.5, 3.5, 3.6, 3.4, 3.4, 3.4, 3.4, 3.4, float("nan"), 3.0, 3.0] * 3


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"patience": 0, "factor": 0.5, "cooldown": 2},
        {"mode": "max", "patience": 2, "min_lr": [0.01, 0.4]},
        {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.3},
        {"patience": 1, "threshold_mode": "abs", "threshold": 0.3, "eps": 0.05},
    ],
    ids=str,
)
def test_plateaus_are_pytorchs(pytorch, options):
    def reduced(framework):
        groups = [{"params": [framework.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 1)]
        optimizer = framework.optim.SGD(groups)
        scheduler = framework.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        found = []
        for i, loss in enumerate(LOSSES):
            scheduler.step(framework.tensor(loss))
            found.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.in_cooldown))
            if i == 20:
                state = scheduler.state_dict()
                scheduler = framework.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
                scheduler.load_state_dict(state)
        return found, sorted(scheduler.state_dict().items())

    assert repr(reduced(mt)) == repr(reduced(pytorch))


def test_plateaus_follow_new_groups():
    optimizer = optim.SGD([leaf([0.0])], lr=1.0)
    make = optim.lr_scheduler.ReduceLROnPlateau
    whole, listed = make(optimizer, patience=0), make(optimizer, patience=0, min_lr=[0.5])
    optimizer.add_param_group({"params": [leaf([0.0])]})
    for scheduler in (whole, listed):
        scheduler.step(1.0)
    whole.step(1.0)
    assert whole.get_last_lr() == [0.1, 0.1]
    with pytest.raises(RuntimeError, match="min_lrs"):
        listed.step(1.0)


def test_schedules_follow_their_formulas():
    found = rates(mt, lambda s, o: [s.StepLR(o, 3, 0.5)], 12)[::2]
    expected = [[lr * 0.5 ** (epoch // 3) for lr in (0.1, 0.5)] for epoch in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    found = rates(mt, lambda s, o: [s.CosineAnnealingLR(o, 8, 0.01)], 17)[::2]
    factor = (1 + np.cos(np.pi * np.arange(17) / 8)) / 2
    expected = 0.01 + factor[:, None] * (np.array([[0.1, 0.5]]) - 0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("StepLR", (3,)),
        ("CosineAnnealingLR", (8,)),
        ("CosineAnnealingWarmRestarts", (8,)),
        ("MultiStepLR", ([5, 7],)),
        ("LinearLR", (0.5, 1.0, 7)),
        ("ConstantLR", (0.5, 7)),
        ("ExponentialLR", (0.5,)),
        ("PolynomialLR", (7,)),
        ("LambdaLR", (Halves(),)),
        ("MultiplicativeLR", (Halves(),)),
        ("CyclicLR", (0.1, 0.5, 3)),
    ],
)
def test_schedules_start_at_a_later_epoch(pytorch, kind, arguments):
    def started(framework):
        group = {"params": [framework.zeros(1, requires_grad=True)], "initial_lr": 0.4, "lr": 0.2}
        optimizer = framework.optim.SGD([group], lr=0.1, momentum=0.5)
        schedule = getattr(framework.optim.lr_scheduler, kind)
        scheduler = schedule(optimizer, *arguments, last_epoch=4)
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


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "match"),
    [
        ("LambdaLR", ([abs],), ValueError, "Expected 2 lr_lambdas, but got 1"),
        ("MultiplicativeLR", (5,), TypeError, "should be a function"),
        ("ConstantLR", (1.5,), ValueError, "between 0 and 1"),
        ("LinearLR", (0,), ValueError, "greater than 0"),
        ("LinearLR", (1, 2), ValueError, "between 0 and 1"),
        ("CosineAnnealingWarmRestarts", (0,), ValueError, "got 0"),
        ("CosineAnnealingWarmRestarts", (1, 0), ValueError, "got 0"),
        ("CosineAnnealingWarmRestarts", (1, 1, "a"), ValueError, "got a"),
        ("CyclicLR", (0.1, [1.0]), ValueError, "max_lr has 1 values"),
        ("CyclicLR", (0.1, 1.0, 5, None, "square"), ValueError, "invalid"),
        ("OneCycleLR", (0.1,), ValueError, "total_steps OR"),
        ("OneCycleLR", (0.1, 0), ValueError, "got 0"),
        ("OneCycleLR", (0.1, None, 2, -1), ValueError, "got -1"),
        ("OneCycleLR", (0.1, 9, None, None, 1.5), ValueError, "got 1.5"),
        ("OneCycleLR", (0.1, 9, None, None, 0.5, "square"), ValueError, "square"),
        ("ReduceLROnPlateau", ("best",), ValueError, "best"),
        ("ReduceLROnPlateau", ("min", 1.5), ValueError, r"< 1\.0"),
        ("ReduceLROnPlateau", ("min", 0.1, 1, 0.1, "best"), ValueError, "best"),
        ("SequentialLR", ([], []), ValueError, "at least one"),
        ("SequentialLR", ([5], []), TypeError, "`optimizer`"),
    ],
)
def test_what_schedules_refuse_as_pytorchs_do(pytorch, kind, arguments, error, match):
    for framework in (pytorch, mt):
        groups = [{"params": [framework.zeros(1, requires_grad=True)]} for _ in range(2)]
        optimizer = framework.optim.SGD(groups, lr=0.1, momentum=0.9)
        with pytest.raises(error, match=match if framework is mt else None):
            getattr(framework.optim.lr_scheduler, kind)(optimizer, *arguments)
        assert optimizer.param_groups[0]["lr"] == 0.1


def test_combined_schedules_refuse_strangers_and_plateaus():
    s = optim.lr_scheduler
    first, second = (optim.SGD([leaf([0.0])], lr=0.1) for _ in range(2))
    plain, plateau = s.ExponentialLR(first, 0.5), s.ReduceLROnPlateau(first)
    with pytest.raises(ValueError, match="same optimizer"):
        s.ChainedScheduler([plain, s.ExponentialLR(second, 0.5)])
    with pytest.raises(ValueError, match="ReduceLROnPlateau"):
        s.SequentialLR(first, [plain, plateau], [1])
    with pytest.raises(ValueError, match="2 schedulers and 2 milestones"):
        s.SequentialLR(first, [plain, plain], [1, 2])
    with pytest.raises(ValueError, match="momentum"):
        s.OneCycleLR(optim.Adagrad([leaf([0.0])]), 0.1, 10)
    once = s.OneCycleLR(optim.Adam([leaf([0.0])]), 0.1, 4)
    assert once.optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    once.optimizer._step_called = True
    for _ in range(4):
        once.step()
    with pytest.raises(ValueError, match="5 times"):
        once.step()
