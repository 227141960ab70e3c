"""Drivers that repeat their calls: results are those of their code, whatever comes in between."""

import threading

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.kernels import drivers, workspace
from minitorch_cnn.kernels.cpu import conv
from tests import reference

OPTIONS = ((1, 1), (1, 1), (1, 1), 1)


def draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def convolved(x, w, b):
    y = np.full((*x.shape[:1], w.shape[0], *x.shape[2:]), np.nan, np.float32)
    conv.conv2d(x, w, b, y, *OPTIONS)
    return y


def expected(x, w, b):
    return reference.conv2d(x, w, b, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)


@pytest.fixture(autouse=True)
def forgotten():
    workspace.free_workspaces()
    yield
    workspace.free_workspaces()


def test_calls_are_repeated_on_other_arrays():
    w, b = draw(9, 5, 3, 3), draw(9)
    for batch in range(4):
        x = draw(2, 5, 6, 7) + batch
        np.testing.assert_allclose(convolved(x, w, b), expected(x, w, b), rtol=1e-4, atol=1e-4)
    (repeat,) = workspace.kept.repeats.values()
    assert repeat is not None


def test_arguments_that_were_one_array_may_be_two():
    gy = draw(2, 4, 5, 5)
    runs = []
    for x in (gy, gy, gy, draw(2, 4, 5, 5) * 2):
        gw, gb = np.empty((4, 4, 3, 3), np.float32), np.empty(4, np.float32)
        conv.conv2d_weight_grad(gy, x, gw, gb, *OPTIONS)
        runs.append(gw)
    workspace.free_workspaces()
    conv.conv2d_weight_grad(gy, x, gw, gb, *OPTIONS)
    np.testing.assert_array_equal(runs[0], runs[2])
    np.testing.assert_array_equal(runs[3], gw)


def test_a_workspace_that_grows_is_let_go():
    w, b = draw(9, 5, 3, 3), draw(9)
    x = draw(2, 5, 6, 7)
    first = [convolved(x, w, b) for _ in range(3)][0]
    blocks = dict(workspace.kept.blocks)
    large = draw(2, 5, 90, 95)
    for _ in range(3):
        convolved(large, w, b)
    assert any(workspace.kept.blocks[name] is not block for name, block in blocks.items())
    np.testing.assert_array_equal(convolved(x, w, b), first)


def test_threads_and_python_threads_have_repeats_of_their_own():
    x, w, b = draw(8, 16, 20, 20), draw(16, 16, 3, 3), draw(16)
    first, found, before = convolved(x, w, b), [], torch.get_num_threads()

    def run():
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.extend([convolved(x, w, b) for _ in range(3)])

    try:
        other = threading.Thread(target=run)
        other.start()
        other.join()
        run()
    finally:
        torch.set_num_threads(before)
    assert len(found) == 18
    for y in found:
        np.testing.assert_array_equal(y, first)


def test_kinds_of_calls_are_bounded(monkeypatch):
    monkeypatch.setattr(drivers, "MOST_REPEATS", 3)
    w, b = draw(2, 1, 3, 3), draw(2)
    for height in (3, 4, 5, 6, 7, 3, 3, 3):
        x = draw(1, 1, height, 4)
        np.testing.assert_allclose(convolved(x, w, b), expected(x, w, b), rtol=1e-4, atol=1e-5)
    assert len(workspace.kept.repeats) <= 3


def test_a_driver_that_makes_large_arrays_is_not_repeated(monkeypatch):
    monkeypatch.setattr(drivers, "MOST_BYTES", 16)
    gy, x = draw(2, 4, 5, 5), draw(2, 3, 5, 5)
    gw, gb = np.empty((4, 3, 3, 3), np.float32), np.empty(4, np.float32)
    for _ in range(3):
        conv.conv2d_weight_grad(gy, x, gw, gb, *OPTIONS)
    (run,) = workspace.kept.repeats.values()
    assert run == conv.conv2d_weight_grad.__wrapped__
