"""Optimizers against their formulas and against PyTorch; their groups, state and errors."""

import copy
import itertools
import math

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import optim

from .optim_formulas import (
    adam_formula,
    assert_tracks,
    leaf,
    random_problem,
    sgd_formula,
    take_steps,
)

TYPES = {"float32": mt.float32, "float64": mt.float64}


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


def options(**choices):
    """Every combination of the choices, as keyword arguments."""
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def name(value):
    return "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None


SGD_OPTIONS = [
    o
    for o in options(
        momentum=[0, 0.9],
        dampening=[0, 0.3],
        weight_decay=[0, 0.01],
        nesterov=[False, True],
        maximize=[False, True],
    )
    if not o["nesterov"] or (o["momentum"] and not o["dampening"])
]
ADAM_OPTIONS = options(
    betas=[(0.9, 0.999), (0.3, 0.6)],
    weight_decay=[0, 0.01],
    amsgrad=[False, True],
    maximize=[False, True],
)


# ---------------------------------------------------------------------- formulas


@pytest.mark.parametrize("chosen", SGD_OPTIONS, ids=name)
def test_sgd_follows_its_formula(chosen):
    start, gradients = random_problem(steps=10)
    p = leaf(start)
    found = take_steps(mt, optim.SGD([p], lr=0.05, **chosen), p, gradients)
    assert_tracks(found, np.array(list(sgd_formula(start, gradients, 0.05, **chosen))))


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("chosen", ADAM_OPTIONS, ids=name)
def test_adam_and_adamw_follow_their_formula(chosen, decoupled):
    start, gradients = random_problem(steps=10)
    p = leaf(start)
    kind = optim.AdamW if decoupled else optim.Adam
    found = take_steps(mt, kind([p], lr=0.05, **chosen), p, gradients)
    expected = adam_formula(start, gradients, 0.05, decoupled=decoupled, **chosen)
    assert_tracks(found, np.array(list(expected)))


def test_sgd_on_a_parabola_shrinks_geometrically():
    p = leaf([3.0, -2.0])
    optimizer = optim.SGD([p], lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        (2 * p * p).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), np.array([3.0, -2.0]) * 0.6**20, rtol=1e-13)


def test_momentum_sums_a_constant_gradient_geometrically():
    p = leaf([0.0])
    found = take_steps(mt, optim.SGD([p], lr=1.0, momentum=0.5), p, np.ones((20, 1)))
    velocity = (1 - 0.5 ** np.arange(1, 21)) / 0.5
    np.testing.assert_allclose(found[:, 0], -np.cumsum(velocity), rtol=1e-14)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_adam_moves_by_the_learning_rate_whatever_the_size_of_a_constant_gradient(kind):
    gradient = np.array([1e-5, -1.0, 1e5])
    p = leaf(np.zeros(3))
    found = take_steps(mt, kind([p], lr=0.01, eps=0, weight_decay=0), p, [gradient] * 20)
    expected = -0.01 * np.arange(1, 21)[:, None] * np.sign(gradient)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_adamw_without_gradient_shrinks_and_adam_does_not_move_without_decay():
    for optimizer, expected in (
        (lambda p: optim.AdamW([p], lr=0.1, weight_decay=0.5), 2 * 0.95**10),
        (lambda p: optim.Adam([p], lr=0.1), 2.0),
    ):
        p = leaf([2.0])
        found = take_steps(mt, optimizer(p), p, np.zeros((10, 1)))
        np.testing.assert_allclose(found[-1], expected, rtol=1e-14)


# ---------------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("chosen", SGD_OPTIONS, ids=name)
def test_sgd_tracks_pytorch(pytorch, chosen, dtype):
    compare_with_pytorch(pytorch, "SGD", chosen, dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["Adam", "AdamW"])
@pytest.mark.parametrize("chosen", ADAM_OPTIONS, ids=name)
def test_adam_tracks_pytorch(pytorch, kind, chosen, dtype):
    compare_with_pytorch(pytorch, kind, chosen, dtype)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("Adam", {}),
        ("Adam", {"betas": (0.4, 0.6)}),
        ("AdamW", {}),
    ],
    ids=name,
)
def test_numbers_that_are_none_leave_what_they_leave_in_pytorch(pytorch, kind, chosen, bad):
    gradients = np.array([[1.0, bad], [bad, 1.0], [1.0, 1.0], [1.0, -bad]])
    ours, theirs = leaf([1.0, 1.0]), pytorch.ones(2, dtype=pytorch.float64, requires_grad=True)
    ours_optimizer = getattr(optim, kind)([ours], **chosen)
    their_optimizer = getattr(pytorch.optim, kind)([theirs], **chosen)
    for gradient in gradients:
        found = take_steps(mt, ours_optimizer, ours, [gradient])
        expected = take_steps(pytorch, their_optimizer, theirs, [gradient])
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        for entry, moment in their_optimizer.state[theirs].items():
            if moment is not None:
                mine = ours_optimizer.state[ours][entry].numpy()
                np.testing.assert_allclose(mine, moment.numpy(), rtol=1e-12)


def compare_with_pytorch(pytorch, kind, chosen, dtype):
    start, gradients = random_problem(dtype)
    ours, theirs = leaf(start, TYPES[dtype]), pytorch.tensor(start, requires_grad=True)
    ours_optimizer = getattr(optim, kind)([ours], lr=0.01, **chosen)
    their_optimizer = getattr(pytorch.optim, kind)([theirs], lr=0.01, **chosen)
    found = take_steps(mt, ours_optimizer, ours, gradients)
    assert found.dtype == dtype
    assert_tracks(found, take_steps(pytorch, their_optimizer, theirs, gradients))


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("SGD", {}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        ("Adam", {"betas": (0.5, 0.9), "amsgrad": True}),
        ("AdamW", {}),
    ],
    ids=name,
)
def test_state_dict_and_text_are_pytorchs(pytorch, kind, chosen):
    def trained(framework):
        first = framework.tensor([1.0, 2.0], requires_grad=True)
        second = framework.tensor([[3.0]], requires_grad=True)
        unused = framework.tensor([4.0], requires_grad=True)
        groups = [{"params": [first]}, {"params": [unused, second], "lr": 0.5}]
        optimizer = getattr(framework.optim, kind)(groups, **chosen)
        for _ in range(3):
            for p in (first, second):
                p.grad = framework.full_like(p, 0.25)
            optimizer.step()
        return optimizer

    ours, theirs = trained(mt), trained(pytorch)
    found, expected = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(expected)
    assert list(found["state"]) == list(expected["state"])
    for number, entries in expected["state"].items():
        assert list(found["state"][number]) == list(entries)
        for entry, value in entries.items():
            np.testing.assert_allclose(
                found["state"][number][entry].numpy(), value.numpy(), rtol=1e-6
            )
    for mine, their in zip(found["param_groups"], expected["param_groups"]):
        assert mine.items() <= their.items()
        assert list(mine) == [key for key in their if key in mine]
    shown = [
        line
        for line in repr(theirs).splitlines()
        if not line.startswith("    ") or line.strip().split(":")[0] in found["param_groups"][0]
    ]
    assert repr(ours).splitlines() == shown


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_goes_on_where_pytorch_stopped(pytorch, kind):
    start, gradients = random_problem("float32")
    chosen = {"lr": 0.01, **({"momentum": 0.9} if kind == "SGD" else {})}
    theirs = pytorch.tensor(start, requires_grad=True)
    their_optimizer = getattr(pytorch.optim, kind)([theirs], **chosen)
    middle = take_steps(pytorch, their_optimizer, theirs, gradients[:50])[-1]
    state = copy.deepcopy(their_optimizer.state_dict())
    for entries in state["state"].values():
        for entry, value in entries.items():
            entries[entry] = mt.tensor(value.numpy())
    ours = leaf(middle, mt.float32)
    optimizer = getattr(optim, kind)([ours], lr=1.0)
    optimizer.load_state_dict(state)
    found = take_steps(mt, optimizer, ours, gradients[50:])
    assert_tracks(found, take_steps(pytorch, their_optimizer, theirs, gradients[50:]))


# ---------------------------------------------------------------------- groups and state


def test_groups_have_their_own_options_and_later_groups_join():
    p, q, r = leaf([1.0]), leaf([1.0]), leaf([1.0])
    optimizer = optim.SGD([{"params": p}, {"params": [q], "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": r, "maximize": True})
    for t in (p, q, r):
        t.grad = mt.ones_like(t)
    optimizer.step()
    np.testing.assert_allclose([p.item(), q.item(), r.item()], [0.9, 0.5, 1.1], rtol=1e-15)


def test_named_parameters_keep_their_names():
    net = mt.nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["params"] == [net.weight, net.bias]
    state = optimizer.state_dict()
    assert state["param_groups"][0]["param_names"] == ["weight", "bias"]
    other = optim.SGD(mt.nn.Linear(2, 1).parameters(), lr=0.2)
    other.load_state_dict(state)
    assert other.param_groups[0]["param_names"] == ["weight", "bias"]


def test_a_changed_learning_rate_counts_from_the_next_step():
    p = leaf([0.0])
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = mt.ones_like(p)
    for lr in (1.0, 0.25, 4.0):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    assert p.item() == -5.25


def test_parameters_without_gradient_stay_and_start_later():
    p, q = leaf([0.0]), leaf([0.0])
    optimizer = optim.SGD([p, q], lr=1.0, momentum=0.5, dampening=0.5)
    p.grad = mt.ones_like(p)
    optimizer.step()
    assert (p.item(), q.item()) == (-1.0, 0.0)
    q.grad = mt.ones_like(q)
    optimizer.step()  # p: b = 0.5 * 1 + 0.5 * 1; q: b = 1, its first
    assert (p.item(), q.item()) == (-2.0, -1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
        lambda p: optim.AdamW(p, lr=0.1),
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_loaded_state_continues_with_the_same_bits(make):
    start, gradients = random_problem("float32", 20)
    p = leaf(start, mt.float32)
    uninterrupted = take_steps(mt, make([p]), p, gradients)
    p = leaf(start, mt.float32)
    first = make([p])
    middle = take_steps(mt, first, p, gradients[:10])[-1]
    q = leaf(middle, mt.float32)
    second = make([q])
    second.param_groups[0]["lr"] = 7.0
    second.load_state_dict(first.state_dict())
    kept = {k: v.clone() for k, v in first.state[p].items()}
    np.testing.assert_array_equal(take_steps(mt, second, q, gradients[10:]), uninterrupted[10:])
    for entry, value in kept.items():  # the loaded state is a copy
        np.testing.assert_array_equal(first.state[p][entry].numpy(), value.numpy())


def test_deepcopy_is_independent():
    p = leaf([1.0])
    optimizer = optim.SGD([p], lr=0.5, momentum=0.9)
    take_steps(mt, optimizer, p, np.ones((1, 1)))
    twin = copy.deepcopy(optimizer)
    (q,) = twin.param_groups[0]["params"]
    take_steps(mt, twin, q, np.ones((1, 1)))
    assert p.item() == 0.5
    np.testing.assert_allclose(q.item(), 0.5 - 0.5 * 1.9, rtol=1e-15)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none):
    p = leaf([1.0, 2.0])
    optimizer = optim.SGD([p], lr=0.1)
    (p**3).sum().backward(create_graph=True)
    optimizer.zero_grad(set_to_none=set_to_none)
    if set_to_none:
        assert p.grad is None
    else:
        assert p.grad.tolist() == [0.0, 0.0]
        assert not p.grad.requires_grad


def test_closure_is_called_with_gradients_enabled_and_its_loss_returned():
    p = leaf([2.0])
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with mt.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 4.0
    assert p.item() == 1.0
    assert optimizer.step() is None


def test_a_subclass_may_write_its_own_step():
    class SignDescent(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with mt.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(group["lr"] * p.grad.sign())

    p = leaf([1.0, 1.0])
    p.grad = leaf([-5.0, 3.0]).detach()
    SignDescent([p], lr=0.5).step()
    assert p.tolist() == [1.5, 0.5]
    with pytest.raises(NotImplementedError):
        optim.Optimizer([p], {}).step()


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("SGD", {"lr": -0.1}),
        ("SGD", {"momentum": -0.1}),
        ("SGD", {"weight_decay": -0.1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        ("Adam", {"lr": -1.0}),
        ("Adam", {"lr": math.nan}),
        ("Adam", {"eps": -1e-8}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, -0.1)}),
        ("AdamW", {"weight_decay": -1.0}),
        ("SGD", {"nonsense": 1}),
    ],
    ids=name,
)
def test_options_that_make_no_sense_are_refused_as_in_pytorch(pytorch, kind, chosen):
    with pytest.raises((ValueError, TypeError)) as theirs:
        getattr(pytorch.optim, kind)([pytorch.zeros(1, requires_grad=True)], **chosen)
    with pytest.raises(theirs.type, match=f"(?i){next(iter(chosen))}"):
        getattr(optim, kind)([leaf([0.0])], **chosen)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        (lambda t: [], ValueError),
        (lambda t: t, TypeError),
        (lambda t: [1.0], TypeError),
        (lambda t: [t * 2], ValueError),
        (lambda t: [{"params": {t}}], TypeError),
        (lambda t: [{"params": [t]}, {"params": [t]}], ValueError),
        (lambda t: [{"params": [t]}, t], TypeError),
        (lambda t: [("a", t), t.detach()], ValueError),
        (lambda t: [{"params": [t]}, {"params": [("a", t.detach())]}], ValueError),
    ],
)
def test_parameters_that_make_no_sense_are_refused_as_in_pytorch(pytorch, params, error):
    with pytest.raises(error):
        pytorch.optim.SGD(params(pytorch.zeros(1, requires_grad=True)), lr=0.1)
    with pytest.raises(error):
        optim.SGD(params(leaf([0.0])), lr=0.1)


def test_a_parameter_twice_in_a_group_warns():
    p = leaf([0.0])
    with pytest.warns(UserWarning, match="duplicate"):
        optim.SGD([p, p], lr=0.1)


def test_a_refused_group_or_option_leaves_the_optimizer_as_it_was():
    p = leaf([0.0])
    optimizer = optim.SGD([p], lr=0.1)
    for group in ({"params": [p]}, {"params": [leaf([1.0])], "lr": -1}):
        with pytest.raises(ValueError, match=r"more than one|must be"):
            optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    "others",
    [
        lambda: optim.SGD([{"params": [leaf([0.0])]}, {"params": [leaf([0.0])]}], momentum=0.9),
        lambda: optim.SGD([leaf([0.0]), leaf([0.0])], momentum=0.9),
        lambda: optim.SGD([leaf([0.0, 0.0])], momentum=0.9),
    ],
    ids=["groups", "sizes", "shapes"],
)
def test_foreign_state_is_refused_and_nothing_changed(others):
    other = others()
    for group in other.param_groups:
        for p in group["params"]:
            p.grad = mt.ones_like(p)
    other.step()
    p = leaf([0.0])
    optimizer = optim.SGD([p], lr=0.125, momentum=0.5)
    with pytest.raises(ValueError, match="loaded state dict"):
        optimizer.load_state_dict(other.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.125
    assert not optimizer.state


def test_a_parameter_that_changed_type_after_the_first_step_is_refused():
    net = mt.nn.Linear(2, 1)
    optimizer = optim.Adam(net.parameters())
    net(mt.ones(1, 2)).sum().backward()
    optimizer.step()
    net.double()
    with pytest.raises(RuntimeError, match="float32"):
        optimizer.step()


def test_other_refusals():
    with pytest.raises(ValueError, match="betas must be two"):
        optim.Adam([leaf([0.0])], betas=(0.9,))
    with pytest.raises(TypeError, match="must be a dict"):
        optim.SGD([leaf([0.0])]).add_param_group([leaf([1.0])])
    numbers = mt.ones(2, dtype=mt.int64)
    numbers.grad = mt.ones(2, dtype=mt.int64)
    with pytest.raises(RuntimeError, match=r"can't update.*int64"):
        optim.SGD([numbers]).step()
    assert numbers.tolist() == [1, 1]


def test_state_of_no_parameter_and_state_that_is_no_tensor_are_kept():
    p = leaf([1.0])
    optimizer = optim.SGD([p], momentum=0.5)
    state = optimizer.state_dict()
    state["state"] = {0: {"note": "text", "step": 3}, "extra": 5}
    optimizer.load_state_dict(state)
    assert optimizer.state["extra"] == 5
    assert optimizer.state[p]["note"] == "text"
    assert optimizer.state[p]["step"].item() == 3
