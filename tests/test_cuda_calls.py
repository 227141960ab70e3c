"""Kernels for CUDA that functions of the table seldom or never reach, called on both devices."""

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.device import cpu, launch
from minitorch_cnn.kernels.cuda import buffer
from minitorch_cnn.kernels.cuda.registry import BLOCK
from minitorch_cnn.vision.transforms.pixels import PADDING_MODES

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


@pytest.mark.parametrize("window", [(1, 1), (2, 3)])
def test_batch_norm_and_what_follows_it(window):
    rng = np.random.default_rng(3)
    x, other = rng.normal(size=(2, 2, 3, 5, 7))
    weight, bias = rng.normal(size=(2, 3))
    small = 2, 3, 5 // window[0], 7 // window[1]
    statistics, y = np.full((2, 3), np.nan), np.full(small, np.nan)
    pairs = [
        on_both("norm_relu.batch_norm_relu", [x, weight, bias], [y, *statistics], 1e-5, window)
    ]
    given = [rng.normal(size=small), x, weight, bias, *pairs[0][0][1:]]
    outputs = [np.full(x.shape, np.nan), *statistics]
    pairs.append(on_both("norm_relu.batch_norm_relu_grad", given, outputs, window))
    given = [x, other, weight, bias]
    pairs.append(on_both("norm_relu.batch_norm_add_relu", given, outputs, 1e-5))
    given = [x, weight, bias, *pairs[0][0][1:]]
    pairs.append(on_both("norm_relu.relu_of_normalised", given, [np.full(x.shape, np.nan)]))
    for here, there in pairs:
        for expected, found in zip(here, there, strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("batch", "padding"), [(2, (0, 0)), (3, (2, 1)), (0, (0, 0))])
def test_gradients_of_a_pooled_convolution(batch, padding, bias):
    rng = np.random.default_rng(batch)
    x, weight = rng.normal(size=(batch, 2, 9, 8)), (4, 2, 3, 3)
    small = (batch, 4, 3 + padding[0], 3 + padding[1])  # a last row is left over
    code, gy = rng.integers(0, 5, small).astype(np.uint8), rng.normal(size=small)
    outputs = np.full(weight, np.nan), np.full(4 if bias else 0, np.nan)
    here, there = on_both("conv_sparse.weight_grad", [gy, code, x], outputs, padding)
    w, gx = rng.normal(size=weight), np.full(x.shape, np.nan)
    for ours, theirs in zip(
        (here, there), on_both("conv_sparse.input_grad", [gy, code, w], [gx], padding)
    ):
        ours += theirs
    for expected, found in zip(here, there, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


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


# ---------------------------------------------------------------------- images


@pytest.mark.parametrize("mode", range(len(PADDING_MODES)))
@pytest.mark.parametrize("shape", [(3, 3, 4, 3), (2, 3, 3, 1), (1, 1, 1, 2)])
def test_images_on_their_way_into_a_batch(shape, mode):
    rng = np.random.default_rng(mode)
    count, height, width, channels = shape
    images = rng.integers(0, 256, shape, np.uint8)
    fill = np.arange(7, 7 + channels, dtype=np.uint8)
    # As far beyond an edge as can be mirrored.
    margin = [min(2, size - 1) if mode == 2 else min(2, size) for size in (height, width)]
    rows, columns = height + 2 * margin[0], width + 2 * margin[1]
    for n in (4, 0):
        index = rng.integers(-count, count, n)
        places = np.empty((n, 4), np.int64)
        for axis, size in ((0, height), (2, width)):
            step = rng.choice([-1, 1], n)
            m = margin[axis // 2]
            places[:, axis], places[:, axis + 1] = np.where(step > 0, -m, size - 1 + m), step
        for strays in {0, n // 2}:
            index[:strays] = [count, -(2**40)][:strays]
            seen = [images, index, places]
            counted = np.full(1, -1, np.int64)
            blank = np.full((n, rows, columns, channels), 99, np.uint8)
            found = on_both("image.gather_bytes", [*seen, fill], [blank, counted], mode)
            assert_equal(found)
            assert found[1][1][0] == strays
            for dtype in (np.float32, np.float64):
                table = rng.normal(size=(channels, 256)).astype(dtype)
                blank = np.full((n, channels, rows, columns), 99, dtype)
                found = on_both("image.gather", [*seen, table, fill], [blank, counted], mode)
                assert_equal(found)


# ---------------------------------------------------------------------- random choices


def test_streams_of_random_numbers():
    first = np.random.default_rng(0).integers(0, 2**64, 19, np.uint64)
    for count, rows, drawn in ((19, 4, 0), (7, 3, 2**33), (0, 4, 8)):
        y = np.zeros((rows, count), np.uint64)
        assert_equal(on_both("random.streams", [first[:count]], [y], drawn))


@pytest.mark.parametrize("name", ["random.choose", "random.choose_distinct"])
def test_choices_in_proportion_to_weights(name):
    rng = np.random.default_rng(3)
    for rows, n, draws in ((3, 1, 1), (2, 40, 40), (1, BLOCK + 3, 17), (0, 4, 2)):
        weights = rng.exponential(size=(rows, n)) * 10.0 ** rng.integers(-3, 3, (rows, n))
        if n > 4:  # none in front, within and at the end
            weights[:, [0, 3, 5, -1]] = 0
        u = rng.random((rows, n if name.endswith("distinct") else draws))
        u[:, 0], u[:, -1] = 0, 1  # 1 is beyond all draws, and where rounding may lead
        assert_equal(on_both(name, [weights, u], [np.full((rows, draws), -1)]))


def test_a_seed_chooses_the_same_on_both_devices():
    weights = torch.rand(3, 20)
    for replacement in (True, False):
        torch.manual_seed(2)
        here = torch.multinomial(weights, 7, replacement)
        torch.manual_seed(2)
        there = torch.multinomial(weights.to("cuda"), 7, replacement)
        np.testing.assert_array_equal(there.cpu().numpy(), here.numpy())
