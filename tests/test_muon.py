"""Muon: against its formula by singular values, against PyTorch's, and in compiled steps."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch_cnn as mt
from minitorch_cnn import optim
from minitorch_cnn.optim.muon import orthogonalized

from .optim_formulas import leaf, take_steps

COEFFICIENTS = (3.4445, -4.775, 2.0315)
OPTIONS = [
    {},
    {"nesterov": False},
    {"momentum": 0.5, "weight_decay": 0.5},
    {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
    {"adjust_lr_fn": "match_rms_adamw"},
    {"adjust_lr_fn": "original", "ns_steps": 3},
    {"ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 12},
    {"eps": 100.0, "ns_steps": 2},
]


def by_singular_values(matrix, coefficients, steps, eps):
    """What Newton and Schulz's iteration does to a matrix: a polynomial of each singular value."""
    a, b, c = coefficients
    left, s, right = np.linalg.svd(matrix, full_matrices=False)
    s = s / max(math.sqrt((matrix**2).sum()), eps)
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return left * s @ right


def muon_formula(
    p,
    gradients,
    lr,
    weight_decay=0.1,
    momentum=0.95,
    nesterov=True,
    ns_coefficients=COEFFICIENTS,
    eps=1e-7,
    ns_steps=5,
    adjust_lr_fn=None,
):
    rows, columns = p.shape
    scale = math.sqrt(max(1, rows / columns))
    if adjust_lr_fn == "match_rms_adamw":
        scale = 0.2 * math.sqrt(max(rows, columns))
    buffer = np.zeros_like(p)
    for g in gradients:
        buffer = momentum * buffer + (1 - momentum) * g
        u = momentum * buffer + (1 - momentum) * g if nesterov else buffer
        p = (1 - lr * weight_decay) * p
        p = p - lr * scale * by_singular_values(u, ns_coefficients, ns_steps, eps)
        yield p


def problem(shape, steps=12):
    rng = np.random.default_rng(7)
    return rng.standard_normal(shape), rng.standard_normal((steps, *shape))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 6), (6, 1)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_follow_the_formula(options, shape):
    start, gradients = problem(shape)
    p = leaf(start)
    found = take_steps(mt, optim.Muon([p], lr=0.02, **options), p, gradients)
    expected = list(muon_formula(start, gradients, 0.02, **options))
    # An iteration may raise a rounding's share of a small singular value by the slope at 0, 3.4;
    # the parameters are about 1, and move by at most 0.02 a step.
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (6, 6)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_are_pytorchs(options, shape):
    torch = pytest.importorskip("torch")
    start, gradients = [a.astype(np.float32) for a in problem(shape)]
    ours, theirs = leaf(start, mt.float32), torch.tensor(start, requires_grad=True)
    mine = optim.Muon([ours], lr=0.02, **options)
    their = torch.optim.Muon([theirs], lr=0.02, **options)
    found = take_steps(mt, mine, ours, gradients)
    expected = take_steps(torch, their, theirs, gradients)
    # PyTorch iterates in bfloat16, whose numbers are 1/128 apart at 1. A rounding, half of that,
    # grows with the iterations: a few 128ths of an orthogonal matrix's element for each step.
    matched = options.get("adjust_lr_fn") == "match_rms_adamw"
    scale = 0.2 * math.sqrt(max(shape)) if matched else math.sqrt(max(1, shape[0] / shape[1]))
    step = np.arange(1, len(gradients) + 1)[:, None, None]
    assert (np.abs(found - expected) <= 0.02 * scale * step * 8 / 128).all()
    buffer, their_buffer = [o.state_dict()["state"][0]["momentum_buffer"] for o in (mine, their)]
    np.testing.assert_allclose(buffer.numpy(), their_buffer.numpy(), rtol=1e-5, atol=1e-6)
    assert (
        mine.param_groups[0].items()
        >= {k: v for k, v in their.param_groups[0].items() if k != "params"}.items()
    )


@given(
    st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 6), st.integers(0, 99)
)
def test_a_stack_is_orthogonalized_one_by_one(n, rows, columns, steps, seed):
    matrices = np.random.default_rng(seed).standard_normal((n, rows, columns))
    found = orthogonalized(mt.tensor(matrices), COEFFICIENTS, steps, 1e-7).numpy()
    expected = [by_singular_values(m, COEFFICIENTS, steps, 1e-7) for m in matrices]
    # Roundings grow by the slope of the polynomial, at most 3.4445 a step.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * 3.4445**steps)


def test_singular_values_come_near_one():
    rng = np.random.default_rng(0)
    left, right = [np.linalg.qr(rng.standard_normal((8, 8)))[0] for _ in range(2)]
    values = np.array([1, 0.9, 0.5, 0.3, 0.1, 0.05, 0.03, 0.02])  # at least 1/100 of their norm
    found = orthogonalized(mt.tensor((left * values @ right)[None]), COEFFICIENTS, 5, 1e-7)
    s = np.linalg.svd(found[0].numpy(), compute_uv=False)
    assert s.min() > 0.68
    assert s.max() < 1.14


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_filters_count_as_rows(dtype):
    start, gradients = problem((4, 3, 2, 2))
    filters, rows = leaf(start, dtype), leaf(start.reshape(4, 12), dtype)
    other = leaf(np.ones((2, 3)), dtype)
    moved, alone = optim.Muon([other, filters], lr=0.1), optim.Muon([rows], lr=0.1)
    for g in gradients:
        filters.grad, rows.grad = (
            mt.tensor(g, dtype=dtype),
            mt.tensor(g.reshape(4, 12), dtype=dtype),
        )
        other.grad = mt.full((2, 3), 0.5, dtype=dtype)
        moved.step()
        alone.step()
    np.testing.assert_array_equal(filters.detach().numpy().reshape(4, 12), rows.detach().numpy())
    assert filters.dtype is dtype


def test_parameters_that_are_views_move_too():
    start, gradients = problem((3, 5))
    straight = leaf(start)
    turned = mt.tensor(start.T).T.requires_grad_()
    assert not turned.is_contiguous()
    for p in (straight, turned):
        take_steps(mt, optim.Muon([p], lr=0.1), p, gradients)
    np.testing.assert_array_equal(turned.detach().numpy(), straight.detach().numpy())


def test_loaded_state_continues_with_the_same_bits():
    start, gradients = problem((3, 5), 20)
    p = leaf(start)
    uninterrupted = take_steps(mt, optim.Muon([p], lr=0.1, momentum=0.8), p, gradients)
    p = leaf(start)
    first = optim.Muon([p], lr=0.1, momentum=0.8)
    middle = take_steps(mt, first, p, gradients[:10])[-1]
    q = leaf(middle)
    second = optim.Muon([q])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    np.testing.assert_array_equal(take_steps(mt, second, q, gradients[10:]), uninterrupted[10:])


def test_no_number_is_hidden():
    for odd in (math.nan, math.inf):
        p, still = leaf(np.ones((2, 2))), leaf(np.ones((2, 2)))
        p.grad, still.grad = mt.tensor([[1.0, odd], [0.0, 0.0]], dtype=mt.float64), mt.zeros_like(p)
        optim.Muon([p, still], lr=0.1, weight_decay=0.5).step()
        assert np.isnan(p.detach().numpy()).all()  # each depends on the norm of all
        np.testing.assert_array_equal(still.detach().numpy(), np.full((2, 2), 1 - 0.1 * 0.5))


def test_parameters_without_elements_or_gradients_stay():
    empty, idle = leaf(np.ones((0, 3))), leaf(np.ones((2, 2)))
    thin = leaf(np.ones((3, 0)))
    empty.grad, thin.grad = mt.zeros_like(empty), mt.zeros_like(thin)
    optim.Muon([empty, thin, idle]).step()
    assert [p.shape for p in (empty, thin)] == [(0, 3), (3, 0)]
    np.testing.assert_array_equal(idle.detach().numpy(), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"lr": -1.0}, "lr must be"),
        ({"weight_decay": math.nan}, "weight_decay must be"),
        ({"momentum": -0.5}, "momentum must be"),
        ({"eps": -1e-7}, "eps must be"),
        ({"ns_steps": 100}, "ns_steps must be less than 100"),
        ({"ns_steps": -1}, "ns_steps must be"),
        ({"ns_coefficients": (1.0, 2.0)}, r"three numbers, got \(1.0, 2.0\)"),
        ({"adjust_lr_fn": "newest"}, "got 'newest'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        optim.Muon([leaf(np.ones((2, 2)))], **options)


def test_parameters_that_are_no_matrices_are_refused():
    optimizer = optim.Muon([leaf(np.ones((2, 2)))])
    with pytest.raises(ValueError, match=r"got one of shape \(3,\)"):
        optimizer.add_param_group({"params": [leaf(np.ones(3))]})
    assert len(optimizer.param_groups) == 1


def test_a_parameter_of_another_shape_than_its_gradient_is_refused_before_any_moves():
    first, second = leaf(np.ones((2, 2))), leaf(np.ones((2, 3)))
    optimizer = optim.Muon([first, second], lr=0.1)
    first.grad, second.grad = mt.ones_like(first), mt.ones_like(second)
    second.data = mt.ones(1, 3, dtype=mt.float64)
    with pytest.raises(RuntimeError, match=r"of shape \(1, 3\) has a gradient of shape \(2, 3\)"):
        optimizer.step()
    np.testing.assert_array_equal(first.detach().numpy(), np.ones((2, 2)))
    assert not optimizer.state[first]["momentum_buffer"].any()


def trained(compiled, steps, **options):
    """A small network, trained by Muon; `steps(optimizer, i)` is called before each step."""
    mt.manual_seed(0)
    net = mt.nn.Sequential(mt.nn.Conv2d(2, 3, 3), mt.nn.ReLU(), mt.nn.Conv2d(3, 2, 3))
    optimizer = optim.Muon([p for p in net.parameters() if p.ndim == 4], lr=0.1, **options)

    def step(x):
        optimizer.zero_grad()
        loss = (net(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    step = mt.compile(step) if compiled else step
    losses = []
    for i in range(8):
        steps(optimizer, i)
        losses.append(step(mt.randn(4, 2, 7, 7)).item())
    return losses, [p.detach().numpy().copy() for p in net.parameters()]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_compiled_step_is_the_step_whatever_is_scheduled(options):
    def change(optimizer, i):
        optimizer.param_groups[0].update(
            lr=0.1 / (i + 1), momentum=0.95 - 0.05 * i, weight_decay=0.01 * i
        )

    losses, expected = trained(False, change, **options)
    repeated, found = trained(True, change, **options)
    assert repeated == losses
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert losses != trained(False, lambda optimizer, i: None, **options)[0]


@pytest.mark.parametrize(
    "change",
    [{"nesterov": False}, {"ns_steps": 3}, {"adjust_lr_fn": "match_rms_adamw"}, {"eps": 1.0}],
    ids=str,
)
def test_a_compiled_step_refuses_options_that_it_can_not_follow(change):
    def late(optimizer, i):
        if i == 7:
            optimizer.param_groups[0].update(change)

    trained(False, late)
    with pytest.raises(RuntimeError, match=f"Muon: {next(iter(change))} changed from"):
        trained(True, late)
