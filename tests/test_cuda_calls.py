"""Kernels for CUDA that functions of the table seldom or never reach, called on both devices."""

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.device import cpu, launch
from minitorch_cnn.kernels.cuda import buffer

from .cuda_device import needs_numba_cuda, stand_in

pytestmark = [needs_numba_cuda, pytest.mark.filterwarnings("ignore::RuntimeWarning")]


@pytest.fixture(autouse=True)
def device():
    with stand_in():
        yield torch.device("cuda:0")


def on_both(name, inputs, outputs, *parameters):
    """The outputs, which begin as copies of these arrays, of a launch on the CPU and on CUDA."""
    here = [array.copy() for array in outputs]
    launch(cpu, name, *inputs, *here, *parameters)
    there = []
    for array in (*inputs, *outputs):
        there.append(buffer.empty(array.shape, array.dtype))
        buffer.write(array, there[-1])
    launch(torch.device("cuda:0"), name, *there, *parameters)
    return here, [buffer.contents(b) for b in there[len(inputs) :]]


def assert_equal(pairs):
    for here, there in zip(*pairs, strict=True):
        np.testing.assert_array_equal(there, here)


# ---------------------------------------------------------------------- pooling


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (1, 2, 5, 8), (1, 1, 3, 2), (0, 2, 4, 4)])
def test_pooling_in_pairs(shape, dtype):
    # Few values, so that many are equal.
    x = np.random.default_rng(1).integers(-2, 3, shape).astype(dtype)
    if x.size > 8:
        x.flat[::7], x.flat[3::11], x.flat[5::13] = np.nan, -np.inf, np.inf
    small = (*shape[:2], shape[2] // 2, shape[3] // 2)
    for relu in (False, True):
        outputs = np.full(small, -1, dtype), np.full(small, 9, np.uint8)
        found = on_both("pool_pairs.max_pool_pairs", [x], outputs, relu)
        assert_equal(found)
        gy = np.random.default_rng(2).normal(size=small).astype(dtype)
        gx = np.full(shape, np.nan, dtype)
        assert_equal(on_both("pool_pairs.max_pool_pairs_grad", [gy, found[0][1]], [gx]))


# ---------------------------------------------------------------------- indices


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_indices_that_end_earlier_than_what_they_add_to(dim):
    rng = np.random.default_rng(dim)
    x, source = rng.normal(size=(3, 4, 5)), rng.normal(size=(2, 3, 4))
    index = rng.integers(0, 3, (2, 2, 3))
    for how in ("sum", "prod", "amax", "amin"):
        here = [torch.from_numpy(array) for array in (x, index, source)]
        there = [t.to("cuda") for t in here]
        (a, i, s), (b, j, r) = here, there
        expected, found = (
            a.scatter_reduce(dim, i, s, how),
            b.scatter_reduce(dim, j, r, how),
        )
        np.testing.assert_allclose(found.cpu().numpy(), expected.numpy(), rtol=1e-12)
