"""The optimizers beside SGD and Adam: against PyTorch's, and what their kernels do with memory."""

import copy
import itertools
import math

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import optim

from .optim_formulas import assert_tracks, leaf, random_problem, take_steps

TYPES = {"float32": mt.float32, "float64": mt.float64}
BOTH = [False, True]


def combinations(**choices):
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


OPTIONS = {
    "NAdam": combinations(
        weight_decay=[0, 0.01], decoupled_weight_decay=BOTH, momentum_decay=[4e-3, 0.5]
    )
    + [{"betas": (0.3, 0.6), "maximize": True}],
    "RAdam": combinations(
        weight_decay=[0, 0.01], decoupled_weight_decay=BOTH, betas=[(0.9, 0.999), (0.3, 0.8)]
    )
    + [{"eps": 1e-3, "maximize": True}],
    "Adamax": combinations(weight_decay=[0, 0.01], maximize=BOTH, betas=[(0.9, 0.999), (0.3, 0.6)]),
    "Adagrad": combinations(
        weight_decay=[0, 0.01], lr_decay=[0, 0.1], initial_accumulator_value=[0, 0.5]
    )
    + [{"eps": 1e-3, "maximize": True}],
    "Adadelta": combinations(weight_decay=[0, 0.01], maximize=BOTH, rho=[0.9, 0.5]),
    "RMSprop": combinations(weight_decay=[0, 0.01], momentum=[0, 0.9], centered=BOTH)
    + [{"alpha": 0.5, "eps": 1e-3, "maximize": True}],
    "Rprop": combinations(maximize=BOTH, etas=[(0.5, 1.2), (0.1, 3.0)], step_sizes=[(1e-6, 50)])
    + [{"step_sizes": (0.005, 0.02)}],
    "ASGD": combinations(weight_decay=[0, 0.01], maximize=BOTH, t0=[1e6, 20])
    + [{"lambd": 0.1, "alpha": 0.5}],
}
CASES = [(kind, chosen) for kind, sets in OPTIONS.items() for chosen in sets]


def name(value):
    return "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("kind", "chosen"), CASES, ids=name)
def test_trajectories_are_pytorchs(pytorch, kind, chosen, dtype):
    start, gradients = random_problem(dtype)
    ours, theirs = leaf(start, TYPES[dtype]), pytorch.tensor(start, requires_grad=True)
    ours_optimizer = getattr(optim, kind)([ours], lr=0.01, **chosen)
    their_optimizer = getattr(pytorch.optim, kind)([theirs], lr=0.01, **chosen)
    found = take_steps(mt, ours_optimizer, ours, gradients)
    assert found.dtype == dtype
    expected = take_steps(pytorch, their_optimizer, theirs, gradients)
    if chosen.get("centered"):
        # v - m * m cancels: its error, seen from v, is magnified at the first steps.
        np.testing.assert_allclose(found, expected, rtol=2e-4 if dtype == "float32" else 1e-9)
    else:
        assert_tracks(found, expected)


@pytest.mark.parametrize("kind", OPTIONS)
def test_defaults_state_and_text_are_pytorchs(pytorch, kind):
    def trained(framework):
        first = framework.tensor([1.0, 2.0], requires_grad=True)
        second = framework.tensor([[3.0]], requires_grad=True)
        unused = framework.tensor([4.0], requires_grad=True)
        groups = [{"params": [first]}, {"params": [unused, second], "lr": 0.5}]
        optimizer = getattr(framework.optim, kind)(groups)
        for _ in range(3):
            for p in (first, second):
                p.grad = framework.full_like(p, 0.25)
            optimizer.step()
        return optimizer

    ours, theirs = trained(mt), trained(pytorch)
    found, expected = ours.state_dict(), theirs.state_dict()
    assert list(found["state"]) == list(expected["state"])
    for number, entries in expected["state"].items():
        assert list(found["state"][number]) == list(entries)
        for entry, value in entries.items():
            assert found["state"][number][entry].shape == tuple(value.shape)
            np.testing.assert_allclose(
                found["state"][number][entry].numpy(), value.numpy(), rtol=2e-6
            )
    for mine, their in zip(found["param_groups"], expected["param_groups"]):
        assert mine.items() <= their.items()
        assert list(mine) == [key for key in their if key in mine]


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [(kind, sets[0]) for kind, sets in OPTIONS.items()]
    + [("RMSprop", {"momentum": 0.9, "centered": True})],
    ids=name,
)
def test_loaded_state_continues_with_the_same_bits(kind, chosen):
    start, gradients = random_problem("float32", 20)
    p = leaf(start, mt.float32)
    uninterrupted = take_steps(mt, getattr(optim, kind)([p], **chosen), p, gradients)
    p = leaf(start, mt.float32)
    first = getattr(optim, kind)([p], **chosen)
    middle = take_steps(mt, first, p, gradients[:10])[-1]
    q = leaf(middle, mt.float32)
    second = getattr(optim, kind)([q])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    np.testing.assert_array_equal(take_steps(mt, second, q, gradients[10:]), uninterrupted[10:])


@pytest.mark.parametrize("kind", OPTIONS)
def test_goes_on_where_pytorch_stopped(pytorch, kind):
    start, gradients = random_problem("float32", 40)
    theirs = pytorch.tensor(start, requires_grad=True)
    their_optimizer = getattr(pytorch.optim, kind)([theirs], lr=0.01)
    middle = take_steps(pytorch, their_optimizer, theirs, gradients[:20])[-1]
    state = copy.deepcopy(their_optimizer.state_dict())
    for entries in state["state"].values():
        for entry, value in entries.items():
            entries[entry] = mt.tensor(value.numpy())
    ours = leaf(middle, mt.float32)
    optimizer = getattr(optim, kind)([ours], lr=1.0)
    optimizer.load_state_dict(state)
    found = take_steps(mt, optimizer, ours, gradients[20:])
    assert_tracks(found, take_steps(pytorch, their_optimizer, theirs, gradients[20:]))


@pytest.mark.parametrize(("kind", "sets"), OPTIONS.items(), ids=list(OPTIONS))
def test_a_compiled_step_is_the_step(kind, sets):
    def trained(compiled):
        mt.manual_seed(0)
        net = mt.nn.Linear(3, 2)
        optimizer = getattr(optim, kind)(net.parameters(), lr=0.01, **sets[-2])
        scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        calls = []

        def step(x):
            calls.append(x)
            optimizer.zero_grad()
            loss = (net(x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = mt.compile(step) if compiled else step
        for _ in range(8):
            loss = step(mt.randn(4, 3))
            scheduler.step()
        assert len(calls) == (1 if compiled else 8)
        state = [value for p in net.parameters() for value in optimizer.state[p].values()]
        return [t.detach().numpy().copy() for t in (loss, *net.parameters(), *state)]

    for found, expected in zip(trained(True), trained(False), strict=True):
        np.testing.assert_array_equal(found, expected)


# Sizes that end within a task, at its end and beyond it, and none at all.
SIZES = [3, 0, 1, 4096, 5000]


@pytest.mark.parametrize(("kind", "sets"), OPTIONS.items(), ids=list(OPTIONS))
def test_parameters_of_many_sizes_move_as_each_alone(kind, sets):
    rng = np.random.default_rng(3)
    starts = [rng.standard_normal(size) for size in SIZES]
    gradients = [rng.standard_normal((3, size)) for size in SIZES]
    together = [leaf(start) for start in starts]
    optimizer = getattr(optim, kind)(together, **sets[-2])
    for step in range(3):
        for p, g in zip(together, gradients):
            p.grad = mt.tensor(g[step])
        optimizer.step()
    for p, start, gs in zip(together, starts, gradients):
        alone = leaf(start)
        *_, expected = take_steps(mt, getattr(optim, kind)([alone], **sets[-2]), alone, gs)
        # Serial and parallel code may contract products and sums differently.
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", OPTIONS)
def test_moments_that_decay_become_zero_and_no_number_is_hidden(kind):
    tiny = np.finfo(np.float32).tiny
    gradients = np.zeros((60, 2), np.float32)
    gradients[0] = [1e-30, 1e-18]
    chosen = {
        "Adadelta": {"rho": 0.1},
        "RMSprop": {"alpha": 0.1, "momentum": 0.1, "centered": True},
        "Adagrad": {},
        "Rprop": {},
        "ASGD": {},
    }.get(kind, {"betas": (0.1, 0.1)})
    p = leaf([1.0, 1.0], mt.float32)
    optimizer = getattr(optim, kind)([p], **chosen)
    for gradient in gradients:
        take_steps(mt, optimizer, p, [gradient])
        for entry, moment in optimizer.state[p].items():
            if entry not in ("mu_product", "eta", "mu"):
                size = np.abs(moment.numpy())
                assert ((size == 0) | (size >= tiny)).all(), entry
    if kind == "Rprop":
        return  # a sign is none of a number that is none, there and here
    for bad in (math.nan, math.inf):
        p = leaf([1.0, 1.0], mt.float32)
        found = take_steps(mt, getattr(optim, kind)([p]), p, np.array([[bad, 0.5]] * 3, np.float32))
        assert not np.isfinite(found[-1, 0])
        assert np.isfinite(found[-1, 1])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0])
@pytest.mark.parametrize("kind", OPTIONS)
def test_odd_gradients_do_what_they_do_in_pytorch(pytorch, kind, bad):
    gradients = np.array([[1.0, bad], [bad, 1.0], [1.0, 1.0], [bad, -1.0]])
    ours, theirs = leaf([1.0, 1.0]), pytorch.ones(2, dtype=pytorch.float64, requires_grad=True)
    found = take_steps(mt, getattr(optim, kind)([ours]), ours, gradients)
    expected = take_steps(pytorch, getattr(pytorch.optim, kind)([theirs]), theirs, gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("NAdam", {"momentum_decay": -1}),
        ("NAdam", {"betas": (1.0, 0.9)}),
        ("RAdam", {"betas": (0.9, 1.5)}),
        ("Adamax", {"eps": -1e-8}),
        ("Adagrad", {"lr_decay": -0.5}),
        ("Adagrad", {"initial_accumulator_value": -0.5}),
        ("Adadelta", {"rho": 1.5}),
        ("Adadelta", {"rho": -0.5}),
        ("RMSprop", {"alpha": -0.5}),
        ("RMSprop", {"momentum": -0.5}),
        ("Rprop", {"etas": (0.5, 0.9)}),
        ("Rprop", {"lr": -0.5}),
        ("ASGD", {"weight_decay": -0.5}),
    ],
    ids=name,
)
def test_options_that_make_no_sense_are_refused_as_in_pytorch(pytorch, kind, chosen):
    with pytest.raises(ValueError, match="Invalid"):
        getattr(pytorch.optim, kind)([pytorch.zeros(1, requires_grad=True)], **chosen)
    with pytest.raises(ValueError, match=next(iter(chosen))):
        getattr(optim, kind)([leaf([0.0])], **chosen)


def test_adagrad_has_its_sums_at_once_and_for_later_groups():
    p, q = leaf([1.0]), leaf([1.0, 2.0])
    optimizer = optim.Adagrad([p], initial_accumulator_value=0.5)
    assert optimizer.state[p]["sum"].tolist() == [0.5]
    optimizer.add_param_group({"params": [q], "initial_accumulator_value": 2.0})
    assert optimizer.state[q]["sum"].tolist() == [2.0, 2.0]


# ---------------------------------------------------------------------- hooks


def hooked(framework, kind):
    """What hooks of all kinds saw of a step, of saving and of loading."""
    seen = []
    p = framework.tensor([1.0], requires_grad=True)
    optimizer = kind(framework)([p])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", args[1:], kwargs)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", kwargs)))
    removed = optimizer.register_step_post_hook(lambda *_: seen.append("removed"))
    removed.remove()
    p.grad = framework.ones_like(p)
    optimizer.step(closure=None)
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 5})
    optimizer.register_state_dict_post_hook(lambda o, state: seen.append(list(state)), prepend=True)
    state = optimizer.state_dict()
    seen.append(list(state))

    def halve(optimizer, state):
        groups = [{**group, "lr": group["lr"] / 2} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(halve)
    optimizer.register_load_state_dict_post_hook(
        lambda o: seen.append(o.param_groups[0]["lr"]), prepend=True
    )
    optimizer.load_state_dict(state)
    return seen


@pytest.mark.parametrize("kind", ["SGD", "Adamax"])
def test_hooks_are_called_as_in_pytorch(pytorch, kind):
    found = hooked(mt, lambda framework: getattr(framework.optim, kind))
    assert found == hooked(pytorch, lambda framework: getattr(framework.optim, kind))


def test_a_hook_may_give_a_step_other_arguments_and_nothing_else():
    p = leaf([1.0])
    optimizer = optim.SGD([p], lr=1.0)

    def closure():
        p.grad = mt.ones_like(p)
        return 7.0

    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, closure), {}))
    assert optimizer.step() == 7.0
    assert p.item() == 0.0
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 5)
    with pytest.raises(RuntimeError, match="got 5"):
        optimizer.step()


def test_a_step_of_a_subclass_has_hooks_and_counts_once():
    class Twice(optim.SGD):
        def step(self, closure=None):
            super().step()
            super().step()

    p, seen = leaf([1.0]), []
    p.grad = mt.ones_like(p)
    optimizer = Twice([p], lr=0.25)
    optimizer.register_step_post_hook(lambda *_: seen.append(p.item()))
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    scheduler.step()
    assert seen == [0.5]
