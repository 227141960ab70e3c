"""What an optimizer's kernels do with memory: sizes, layouts, launches, threads, odd numbers."""

import math

import numba
import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import optim
from minitorch_cnn.device import observe

from .optim_formulas import adam_formula, leaf, sgd_formula, take_steps


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


def test_moments_that_decay_become_zero_not_denormal():
    tiny = np.finfo(np.float32).tiny
    gradients = np.zeros((80, 2), np.float32)
    gradients[0] = [1e-30, 1e-18]
    for make, moments in (
        (lambda p: optim.SGD([p], momentum=0.5), ["momentum_buffer"]),
        (lambda p: optim.Adam([p], betas=(0.5, 0.5)), ["exp_avg", "exp_avg_sq"]),
    ):
        p = leaf([1.0, 1.0], mt.float32)
        optimizer = make(p)
        for gradient in gradients:
            take_steps(mt, optimizer, p, [gradient])
            for entry in moments:
                moment = np.abs(optimizer.state[p][entry].numpy())
                assert ((moment == 0) | (moment >= tiny)).all()
        assert moment.max() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_is_not_hidden(bad):
    for make in (lambda p: optim.SGD([p], momentum=0.9), lambda p: optim.Adam([p])):
        p = leaf([1.0, 1.0], mt.float32)
        found = take_steps(mt, make(p), p, np.array([[bad, 0.0]] * 2, np.float32))
        assert not np.isfinite(found[-1, 0])
        assert np.isfinite(found[-1, 1])


@pytest.mark.parametrize(
    "make",
    [lambda p: optim.SGD(p, momentum=0.9), lambda p: optim.Adam(p, weight_decay=0.1)],
    ids=["sgd", "adam"],
)
def test_bits_do_not_depend_on_the_threads_nor_much_on_the_size(make):
    rng = np.random.default_rng(2)
    start, gradient = rng.standard_normal((2, 60_011)).astype(np.float32)

    def stepped(threads):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            p = leaf(start, mt.float32)
            return take_steps(mt, make([p]), p, [gradient] * 2)[-1]
        finally:
            numba.set_num_threads(before)

    whole = stepped(1)
    np.testing.assert_array_equal(whole, stepped(numba.config.NUMBA_NUM_THREADS))
    cuts = np.arange(1000, 60_011, 1000)
    parts = [leaf(part, mt.float32) for part in np.split(start, cuts)]
    optimizer = make(parts)
    for _ in range(2):
        for part, g in zip(parts, np.split(gradient, cuts)):
            part.grad = mt.tensor(g)
        optimizer.step()
    apart = np.concatenate([part.detach().numpy() for part in parts])
    # Serial and parallel code may contract products and sums differently.
    np.testing.assert_allclose(whole, apart, rtol=0, atol=4 * np.finfo(np.float32).eps * 4)


# Sizes that end within a task, at its end and beyond it, and none at all.
SIZES = [3, 0, 1, 4096, 5000, 2, 3091, 9000]


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_of_parameters_of_many_sizes_follows_its_formula(amsgrad):
    options = {"betas": (0.9, 0.99), "weight_decay": 0.1, "amsgrad": amsgrad, "maximize": False}
    make = lambda ps: optim.Adam(ps, lr=0.05, **options)  # noqa: E731
    check_many_sizes(make, lambda p, gs: adam_formula(p, gs, 0.05, **options))


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_sgd_of_parameters_of_many_sizes_follows_its_formula(momentum):
    options = {"momentum": momentum, "dampening": 0, "weight_decay": 0.1}
    options |= {"nesterov": False, "maximize": False}
    make = lambda ps: optim.SGD(ps, lr=0.05, **options)  # noqa: E731
    check_many_sizes(make, lambda p, gs: sgd_formula(p, gs, 0.05, **options))


def check_many_sizes(make, formula):
    rng = np.random.default_rng(3)
    starts = [rng.standard_normal(size) for size in SIZES]
    gradients = [rng.standard_normal((3, size)) for size in SIZES]
    params = [leaf(start) for start in starts]
    optimizer = make(params)
    for step in range(3):
        for p, g in zip(params, gradients):
            p.grad = mt.tensor(g[step])
        optimizer.step()
    for p, start, gs in zip(params, starts, gradients):
        *_, expected = formula(start, gs)
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-9, atol=1e-9)


def test_a_step_is_one_launch_for_each_type_that_shows_its_buffers():
    params = [leaf(np.ones(n), mt.float32) for n in (2, 3, 4)] + [leaf(np.ones(5))]
    unused = leaf([7.0])
    optimizer = optim.Adam([*params, unused], lr=0.5)
    for p in params:
        p.grad = mt.ones_like(p)
    optimizer.step()
    seen = []
    before = observe(
        lambda device, name, function, args, seconds: seen.append((name, function, args))
    )
    try:
        optimizer.step()
    finally:
        observe(before)
    assert [name for name, _, _ in seen] == ["optim.adam"] * 2
    assert [len(args[0]) for _, _, args in seen] == [3, 1]
    (_, function, args), _ = seen
    for p, values, gradient, exp_avg, step in zip(params, args[0], args[1], args[2], args[5]):
        assert values is p._buffer
        assert gradient is p.grad._buffer
        assert exp_avg is optimizer.state[p]["exp_avg"]._buffer
        assert step is optimizer.state[p]["step"]._buffer
    function(*args)  # what was seen can be run again
    np.testing.assert_allclose(
        [p.detach().numpy()[0] for p in params], [-0.5] * 3 + [0.0], atol=1e-6
    )
    assert [optimizer.state[p]["step"].item() for p in params] == [3, 3, 3, 2]
    assert unused.item() == 7.0


def test_memory_that_was_exchanged_between_steps_is_followed():
    p, q = leaf([1.0, 1.0]), leaf([1.0])
    optimizer = optim.SGD([p, q], lr=1.0, momentum=0.5)
    for t in (p, q):
        t.grad = mt.ones_like(t)
    optimizer.step()
    old = p.data
    p.data = mt.tensor([5.0, 6.0], dtype=mt.float64)
    optimizer.step()  # b = 1.5
    assert (old.tolist(), p.tolist(), q.tolist()) == ([0.0, 0.0], [3.5, 4.5], [-1.5])
    optimizer.state[p]["momentum_buffer"] = mt.tensor([0.0, 2.0], dtype=mt.float64)
    optimizer.step()  # b = 1 and 2; 1.75
    assert (p.tolist(), q.tolist()) == ([2.5, 2.5], [-3.25])
    optimizer.state.clear()
    optimizer.step()
    assert (p.tolist(), q.tolist()) == ([1.5, 1.5], [-4.25])
    q.grad = None
    optimizer.step()
    assert (p.tolist(), q.tolist()) == ([0.0, 0.0], [-4.25])


def test_a_parameter_that_is_there_twice_takes_two_steps_as_in_pytorch(pytorch):
    def moved(framework):
        p = framework.tensor([1.0], requires_grad=True)
        with pytest.warns(UserWarning, match="duplicate"):
            optimizer = framework.optim.Adam([p, p], lr=0.25)
        for g in (1.0, -3.0):
            p.grad = framework.tensor([g])
            optimizer.step()
        return p.item(), optimizer.state[p]["step"].item()

    np.testing.assert_allclose(moved(mt), moved(pytorch), rtol=1e-6)


def test_a_gradient_of_another_size_than_its_parameter_is_refused():
    p = leaf([1.0, 1.0])
    p.grad = mt.ones_like(p)
    p.data = mt.ones(3000, dtype=mt.float64)
    for optimizer in (optim.SGD([p]), optim.Adam([p])):
        with pytest.raises(RuntimeError, match="not of its shape and type"):
            optimizer.step()
    assert (p.detach().numpy() == 1).all()


def test_parameters_and_gradients_of_any_layout_and_size():
    values = np.arange(6.0).reshape(2, 3)
    p = mt.tensor(values).t().requires_grad_()
    assert not p.is_contiguous()
    p.grad = mt.tensor(values).t()
    empty = leaf(np.zeros((0, 3)))
    empty.grad = mt.zeros_like(empty)
    for make in (lambda ps: optim.SGD(ps, lr=0.5), lambda ps: optim.SGD(ps, lr=0.5, momentum=0.9)):
        make([p, empty]).step()
    np.testing.assert_array_equal(p.detach().numpy(), np.zeros((3, 2)))


def test_a_step_spoils_what_was_saved_for_backward():
    p = leaf([2.0])
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
