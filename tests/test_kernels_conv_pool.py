"""Convolution and pooling kernels against slow references, and these against PyTorch."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_cnn.kernels.cpu import conv, pool, pool_pairs

from . import reference
from .kernel_calls import assert_close, call, call_on_threads, framed
from .strategies import FLOATS, Pool, convs, pools, random_values

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(FLOATS)
# Windows that ceil_mode lets reach beyond the padding.
BEYOND_PADDING = Pool(1, 1, (6, 7), (3, 4), (2, 2), (1, 1), (1, 1), ceil_mode=True)
PRODUCT = 8.0  # about the largest product of two of our normal numbers


@pytest.fixture(scope="module")
def pytorch():
    return pytest.importorskip("torch")


def options(config):
    """What every convolution kernel takes after its buffers."""
    return config.stride, config.padding, config.dilation, config.groups


@given(convs(max_channels=2, max_size=7), dtypes, seeds, st.booleans())
@settings(max_examples=40)
def test_conv2d_kernels_compute_their_definitions(config, dtype, seed, biased):
    generator = np.random.default_rng(seed)
    x, w, gy, b = (
        random_values(generator, shape, dtype)
        for shape in (config.x_shape, config.w_shape, config.y_shape, config.o * biased)
    )
    y = call(conv.conv2d, [x, w, b], [(gy.shape, dtype)], *options(config))
    gx = call(conv.conv2d_input_grad, [gy, w], [(x.shape, dtype)], *options(config))
    gw, gb = call(
        conv.conv2d_weight_grad, [gy, x], [(w.shape, dtype), (b.shape, dtype)], *options(config)
    )
    expected_gx, expected_gw = reference.conv2d_grads(gy, x, w, **config.options)
    bias = b if biased else None
    assert_close(y, reference.conv2d(x, w, bias, **config.options), w[0].size, PRODUCT)
    assert_close(gx, expected_gx, w[:, 0].size, PRODUCT)
    assert_close(gw, expected_gw, gy[:, 0].size, PRODUCT)
    if biased:
        assert_close(gb, gy.sum((0, 2, 3), dtype=np.float64), gy[:, 0].size)


@pytest.mark.parametrize(
    ("kernel", "extra"), [((2, 4), (1, 1)), ((3, 2), (0, 1)), ((2, 3), (3, 0))]
)
def test_conv2d_kernels_take_the_padding_below_and_right_from_the_result(kernel, extra):
    generator = np.random.default_rng(1)
    x, w = random_values(generator, (2, 3, 6, 7)), random_values(generator, (4, 3, *kernel))
    padding = (kernel[0] - 1) // 2, (kernel[1] - 1) // 2
    oh, ow = (
        reference.conv_output_size(size, k, 1, p) + more
        for size, k, p, more in zip(x.shape[2:], kernel, padding, extra, strict=True)
    )
    gy = random_values(generator, (2, 4, oh, ow))
    parameters = (1, 1), padding, (1, 1), 1
    expected_gx, expected_gw = reference.conv2d_grads(gy, x, w, padding=padding)
    y = call(conv.conv2d, [x, w, np.empty(0)], [(gy.shape, float)], *parameters)
    assert_close(y, reference.conv2d(x, w, None, 1, padding, output_size=(oh, ow)), 40, PRODUCT)
    gx = call(conv.conv2d_input_grad, [gy, w], [(x.shape, float)], *parameters)
    assert_close(gx, expected_gx, 40, PRODUCT)
    outputs = [(w.shape, float), (0, float)]
    gw, _ = call(conv.conv2d_weight_grad, [gy, x], outputs, *parameters)
    assert_close(gw, expected_gw, 100, PRODUCT)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv2d_kernels_on_threads_give_the_definition_and_equal_bits(stride):
    generator = np.random.default_rng(2)
    x = random_values(generator, (2, 4, 17, 19), np.float32)
    w = random_values(generator, (stride**2 * 6, 4, 3, 3), np.float32)
    b = random_values(generator, w.shape[0], np.float32)
    y_shape = reference.conv2d(x[:, :1], w[:, :1], None, stride, 1).shape
    gy = random_values(generator, y_shape, np.float32)
    parameters = (stride, stride), (1, 1), (1, 1), 1
    expected = (
        reference.conv2d(x, w, b, stride, 1),
        *reference.conv2d_grads(gy, x, w, stride, 1),
    )
    calls = (
        (conv.conv2d, [x, w, b], [y_shape], 37),
        (conv.conv2d_input_grad, [gy, w], [x.shape], w[:, 0].size),
        (conv.conv2d_weight_grad, [gy, x], [w.shape, b.shape], gy[:, 0].size),
    )
    for (kernel, inputs, shapes, terms), wanted in zip(calls, expected, strict=True):
        outputs = [(shape, np.float32) for shape in shapes]
        one, all_threads = call_on_threads(kernel, inputs, outputs, *parameters)
        assert_close(one[0] if len(shapes) > 1 else one, wanted, terms, PRODUCT)
        if len(shapes) == 1:
            one, all_threads = [one], [all_threads]
        for first, second in zip(one, all_threads, strict=True):
            np.testing.assert_array_equal(first, second)


def test_weight_gradient_of_many_positions_keeps_its_digits():
    gy = np.full((20, 1, 100, 100), 0.1, np.float32)
    x = np.ones((20, 1, 100, 100), np.float32)
    parameters = (1, 1), (0, 0), (1, 1), 1
    outputs = [((1, 1, 1, 1), np.float32), (1, np.float32)]
    gw, gb = call(conv.conv2d_weight_grad, [gy, x], outputs, *parameters)
    np.testing.assert_allclose(gb.item(), np.float64(np.float32(0.1)) * gy.size, rtol=1e-6)
    np.testing.assert_allclose(gw.item(), np.float64(np.float32(0.1)) * gy.size, rtol=1e-6)


@given(pools(), dtypes, seeds)
@settings(max_examples=40)
def test_max_pool2d_kernels_compute_their_definitions(config, dtype, seed):
    generator = np.random.default_rng(seed)
    # Few different numbers make ties; NaN and -inf are rare.
    x = generator.integers(-3, 4, config.x_shape).astype(dtype)
    x[generator.random(x.shape) < 0.03] = np.nan
    x[generator.random(x.shape) < 0.03] = -np.inf
    window = config.kernel, config.stride, config.padding, config.dilation
    expected = reference.max_pool2d(x, *window, config.ceil_mode)
    outputs = [(config.y_shape, dtype), (config.y_shape, np.int64)]
    y, indices = call(pool.max_pool2d, [x], outputs, *window)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(indices, expected[1])

    gy = random_values(generator, y.shape, dtype)
    gx = call(pool.max_pool2d_grad, [gy, indices], [(x.shape, dtype)])
    assert_close(gx, reference.max_pool2d_grad(gy, indices, config.size), gy.size)
    again = call(pool.max_pool2d_gather, [x, indices], [(y.shape, dtype)])
    np.testing.assert_array_equal(again, np.where(indices < 0, 0, y))


@pytest.mark.parametrize(("size", "kernel"), [((60, 70), 2), ((9, 11), 3)])
def test_max_pool2d_of_many_windows_computes_its_definition(size, kernel):
    x = np.random.default_rng(13).integers(-9, 9, (7, 9, *size)).astype(np.float32)
    x[0, 0], x[1, :, :5] = -np.inf, np.nan
    window = (kernel, kernel), (2, 2), (kernel // 2, kernel // 2)
    y, indices = reference.max_pool2d(x, *window)
    outputs = [(y.shape, np.float32), (y.shape, np.int64)]
    for found in call_on_threads(pool.max_pool2d, [x], outputs, *window, (1, 1)):
        np.testing.assert_array_equal(found[0], y)
        np.testing.assert_array_equal(found[1], indices)


@given(pools(dilated=False), dtypes, seeds, st.booleans(), st.none() | st.integers(1, 7))
@example(BEYOND_PADDING, np.float64, 0, True, None)
@example(BEYOND_PADDING, np.float64, 0, False, None)
@settings(max_examples=40)
def test_avg_pool2d_kernels_compute_their_definitions(config, dtype, seed, include_pad, divisor):
    generator = np.random.default_rng(seed)
    windows = reference.avg_pool2d_windows(
        config.size, config.kernel, config.stride, config.padding, config.ceil_mode,
        include_pad, divisor,
    )  # fmt: skip
    x = random_values(generator, config.x_shape, dtype)
    gy = random_values(generator, config.y_shape, dtype)
    parameters = config.kernel, config.stride, config.padding, include_pad, divisor or 0
    y = call(pool.avg_pool2d, [x], [(gy.shape, dtype)], *parameters)
    assert_close(y, reference.pool_average(x, windows), 25)
    gx = call(pool.avg_pool2d_grad, [gy], [(x.shape, dtype)], *parameters)
    assert_close(gx, reference.pool_average_grad(gy, config.size, windows), 25)


@pytest.mark.parametrize(
    ("size", "kernel"), [((5, 71), (2, 2)), ((8, 12), (2, 2)), ((9, 66), (3, 4))]
)
def test_avg_pool2d_of_windows_side_by_side_computes_its_definition(size, kernel):
    generator = np.random.default_rng(14)
    windows = reference.avg_pool2d_windows(size, kernel, kernel, (0, 0))
    x = random_values(generator, (7, 3, *size), np.float32)
    x[0, 0, 0, :9], x[1, 1, :4] = np.nan, np.inf
    y = reference.pool_average(x, windows)
    gy = random_values(generator, y.shape, np.float32)
    gx, options = reference.pool_average_grad(gy, size, windows), (kernel, kernel, (0, 0), True, 0)
    for found in call_on_threads(pool.avg_pool2d, [x], [(y.shape, np.float32)], *options):
        assert_close(found, y, 12)
    for found in call_on_threads(pool.avg_pool2d_grad, [gy], [(x.shape, np.float32)], *options):
        assert_close(found, gx, 12)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("size", [(2, 2), (5, 10), (28, 28), (6, 38), (3, 70)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maxima_of_pairs_are_those_of_windows_whoever_is_first(size, dtype, relu):
    x = random_values(np.random.default_rng(15), (3, 5, *size), dtype)
    oh, ow = size[0] // 2, size[1] // 2
    windows = x[:, :, : 2 * oh].reshape(3, 5, oh, 2, ow, 2).swapaxes(3, 4).reshape(3, 5, oh, ow, 4)
    y, code, gx = windows.max(-1), windows.argmax(-1), np.zeros_like(x)
    if relu:
        y, code = np.maximum(y, 0), np.where(y > 0, code, 4)
    gy = random_values(np.random.default_rng(16), y.shape, dtype)
    spread = (gy[..., None] * (np.arange(4) == code[..., None])).reshape(3, 5, oh, ow, 2, 2)
    gx[:, :, : 2 * oh] = spread.swapaxes(3, 4).reshape(3, 5, 2 * oh, -1)

    # What one thread writes beyond its planes would stay in those of another that came before.
    x, gy = framed(x), framed(gy)
    found = framed(np.empty_like(y)), framed(np.empty(y.shape, np.uint8)), framed(np.empty_like(x))
    for thread in (2, 1, 0):
        pool_pairs._max_pool_pairs.serial(thread, 3, x, *found[:2], relu)
    for thread in (2, 1, 0):
        pool_pairs._max_pool_pairs_grad.serial(thread, 3, gy, found[1], found[2])
    for one, other in zip(found, (y, code, gx), strict=True):
        np.testing.assert_array_equal(one, other)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(sizes, sizes, st.integers(0, 2), dtypes, seeds)
@settings(max_examples=30)
def test_adaptive_avg_pool2d_kernels_compute_their_definitions(size, parts, batch, dtype, seed):
    generator = np.random.default_rng(seed)
    windows = reference.adaptive_avg_pool2d_windows(size, parts)
    x = random_values(generator, (batch, 2, *size), dtype)
    gy = random_values(generator, (batch, 2, *parts), dtype)
    y = call(pool.adaptive_avg_pool2d, [x], [(gy.shape, dtype)])
    assert_close(y, reference.pool_average(x, windows), 81)
    gx = call(pool.adaptive_avg_pool2d_grad, [gy], [(x.shape, dtype)])
    assert_close(gx, reference.pool_average_grad(gy, size, windows), 81)


def test_pooling_kernels_on_threads_give_the_definition_and_equal_bits():
    generator = np.random.default_rng(3)
    x = random_values(generator, (3, 5, 13, 11), np.float32)
    window = (3, 2), (2, 1), (1, 0)
    y, indices = reference.max_pool2d(x, *window)
    gy = random_values(generator, y.shape, np.float32)
    averaged = reference.avg_pool2d_windows(x.shape[2:], *window)
    parts = reference.adaptive_avg_pool2d_windows(x.shape[2:], y.shape[2:])
    size, f4 = x.shape[2:], np.float32
    calls = (
        (pool.max_pool2d_grad, [gy, indices], x, reference.max_pool2d_grad(gy, indices, size), ()),
        (pool.max_pool2d_gather, [x, indices], y, y, ()),
        (pool.avg_pool2d, [x], y, reference.pool_average(x, averaged), (*window, True, 0)),
        (
            pool.avg_pool2d_grad, [gy], x,
            reference.pool_average_grad(gy, size, averaged), (*window, True, 0),
        ),
        (pool.adaptive_avg_pool2d, [x], y, reference.pool_average(x, parts), ()),
        (pool.adaptive_avg_pool2d_grad, [gy], x, reference.pool_average_grad(gy, size, parts), ()),
    )  # fmt: skip
    for kernel, inputs, like, wanted, parameters in calls:
        results = call_on_threads(kernel, inputs, [(like.shape, f4)], *parameters)
        assert_close(results[0], wanted, 12)
        np.testing.assert_array_equal(results[0], results[1])
    outputs = [(y.shape, f4), (y.shape, np.int64)]
    for values, positions in call_on_threads(pool.max_pool2d, [x], outputs, *window, (1, 1)):
        np.testing.assert_array_equal(values, y)
        np.testing.assert_array_equal(positions, indices)


@given(config=convs(max_channels=2, max_size=6), seed=seeds)
@settings(max_examples=20)
def test_reference_conv2d_is_pytorchs(pytorch, config, seed):
    generator = np.random.default_rng(seed)
    x, w = random_values(generator, config.x_shape), random_values(generator, config.w_shape)
    gy, b = random_values(generator, config.y_shape), random_values(generator, config.o)
    tensors = [pytorch.from_numpy(array).requires_grad_() for array in (x, w, b)]
    y = pytorch.nn.functional.conv2d(*tensors, **config.options)
    y.backward(pytorch.from_numpy(gy))
    gx, gw = reference.conv2d_grads(gy, x, w, **config.options)
    assert_close(y.detach().numpy(), reference.conv2d(x, w, b, **config.options), 50, PRODUCT)
    assert_close(tensors[0].grad.numpy(), gx, 50, PRODUCT)
    assert_close(tensors[1].grad.numpy(), gw, 100, PRODUCT)


@given(config=pools(), seed=seeds)
@settings(max_examples=30)
def test_reference_max_pool2d_is_pytorchs(pytorch, config, seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(-3, 4, config.x_shape).astype(float)
    x[generator.random(x.shape) < 0.03] = np.nan
    window = config.kernel, config.stride, config.padding, config.dilation, config.ceil_mode
    values, indices = reference.max_pool2d(x, *window)
    y, positions = pytorch.nn.functional.max_pool2d(
        pytorch.from_numpy(x), *window, return_indices=True
    )
    np.testing.assert_array_equal(y.numpy(), values)
    # PyTorch's index of a window of padding alone lies outside the plane: ours is -1.
    np.testing.assert_array_equal(positions.numpy()[indices >= 0], indices[indices >= 0])


@given(
    config=pools(dilated=False),
    include_pad=st.booleans(),
    divisor=st.none() | st.integers(1, 7),
    seed=seeds,
)
@settings(max_examples=30)
def test_reference_average_pooling_is_pytorchs(pytorch, config, include_pad, divisor, seed):
    x = random_values(np.random.default_rng(seed), config.x_shape)
    window = config.kernel, config.stride, config.padding, config.ceil_mode
    y = pytorch.nn.functional.avg_pool2d(pytorch.from_numpy(x), *window, include_pad, divisor)
    assert_close(y.numpy(), reference.avg_pool2d(x, *window, include_pad, divisor), 25)
    y = pytorch.nn.functional.adaptive_avg_pool2d(pytorch.from_numpy(x), config.kernel)
    assert_close(y.numpy(), reference.adaptive_avg_pool2d(x, config.kernel), 81)
