"""Normalisation and loss kernels against slow references, and these against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn.kernels.cpu import loss, norm, norm_relu, norm_sums

from . import reference
from .kernel_calls import assert_close, call, call_on_threads
from .strategies import FLOATS, arrays, random_values, shapes

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(FLOATS)
lines = shapes(3, 3, 1, 6)


@pytest.fixture(scope="module")
def pytorch():
    return pytest.importorskip("torch")


@given(shapes(2, 4, 1, 7), dtypes, seeds, st.booleans(), st.booleans())
@settings(max_examples=40)
def test_batch_norm_kernels_compute_their_definitions(shape, dtype, seed, weighted, biased):
    generator, channels = np.random.default_rng(seed), shape[1]
    shape = (shape[0] + 1, *shape[1:])  # at least two values a channel
    x = random_values(generator, shape, dtype) + dtype(3)
    gy = random_values(generator, shape, dtype)
    weight = random_values(generator, channels * weighted, dtype)
    bias = random_values(generator, channels * biased, dtype)
    outputs = [(shape, dtype), (channels, dtype), (channels, dtype)]
    y, mean, invstd = call(norm.batch_norm, [x, weight, bias], outputs, 1e-3)
    scale, shift = weight if weighted else None, bias if biased else None
    expected_y, expected_mean, expected_var = reference.batch_norm(x, scale, shift, 1e-3)
    # A channel that hardly varies magnifies the rounding of its mean.
    steep = 8 / np.sqrt(expected_var.min() + 1e-3)
    assert_close(y, expected_y, 4, steep)
    assert_close(mean, expected_mean, 4, 4)
    assert_close(invstd, 1 / np.sqrt(expected_var + 1e-3), 4, steep)

    results = call(norm.batch_norm_grad, [gy, x, weight, mean, invstd], outputs, True)
    expected = reference.batch_norm_grads(gy, x, scale, 1e-3)
    for result, wanted in zip(results, expected, strict=True):
        assert_close(result, wanted, 8, steep**2 * x[:, 0].size)


def test_batch_norm_of_numbers_far_from_zero_keeps_its_digits():
    x = (np.random.default_rng(4).normal(0, 1, (8, 2, 500)) + 1000).astype(np.float32)
    nothing = np.empty(0, np.float32)
    outputs = [(x.shape, np.float32), (2, np.float32), (2, np.float32)]
    y, _, invstd = call(norm.batch_norm, [x, nothing, nothing], outputs, 1e-5)
    expected, _, variance = reference.batch_norm(x)
    np.testing.assert_allclose(invstd, 1 / np.sqrt(variance + 1e-5), rtol=1e-6)
    np.testing.assert_allclose(y, expected, atol=1000 * np.finfo(np.float32).eps)


@given(shapes(2, 4, 1, 7), dtypes, seeds, st.booleans(), st.booleans())
@settings(max_examples=30)
def test_running_norm_kernels_compute_their_definitions(shape, dtype, seed, weighted, biased):
    generator, channels = np.random.default_rng(seed), shape[1]
    x, gy = (random_values(generator, shape, dtype) for _ in range(2))
    mean, var = random_values(generator, channels, dtype), generator.random(channels).astype(dtype)
    weight = random_values(generator, channels * weighted, dtype)
    bias = random_values(generator, channels * biased, dtype)
    outputs = [(shape, dtype), (channels, dtype)]
    y, invstd = call(norm.running_norm, [x, mean, var, weight, bias], outputs, 0.1)
    column = (channels,) + (1,) * (len(shape) - 2)
    steep = 1 / np.sqrt(var.astype(float) + 0.1)
    unit = (x - mean.astype(float).reshape(column)) * steep.reshape(column)
    scale = weight.astype(float) if weighted else np.ones(channels)
    shift = bias if biased else np.zeros(channels)
    assert_close(y, unit * scale.reshape(column) + shift.reshape(column), 4, 40)
    assert_close(invstd, steep, 4, 4)

    x.flat[0] = np.inf  # the gradient of x does not depend on x
    outputs = [(shape, dtype), (channels, dtype), (channels, dtype)]
    inputs = [gy, x, weight, mean, invstd]
    gx, gweight, gbias = call(norm.batch_norm_grad, inputs, outputs, False)
    others = tuple(d for d in range(len(shape)) if d != 1)
    assert_close(gx, gy * (scale * steep).reshape(column), 4, 40)
    assert_close(gbias, gy.sum(others, dtype=float), 4, gx.size)
    assert_close(gweight[1:], (gy * unit).sum(others)[1:], 4, 40 * gx.size)


# One task; tasks of a channel; tasks of several channels, the last of fewer; and columns.
@pytest.mark.parametrize(
    ("shape", "task"), [((4, 7, 30), 9999), ((4, 7, 30), 100), ((9, 5, 6), 100), ((40, 7), 100)]
)
def test_batch_norm_kernels_on_threads_give_the_definition_and_equal_bits(shape, task, monkeypatch):
    monkeypatch.setattr(norm_sums, "TASK", task)
    generator, channels = np.random.default_rng(5), shape[1]
    x, gy = (random_values(generator, shape, np.float32) for _ in range(2))
    weight, bias = (random_values(generator, channels, np.float32) for _ in range(2))
    outputs = [(x.shape, np.float32), (channels, np.float32), (channels, np.float32)]
    one, all_ = call_on_threads(norm.batch_norm, [x, weight, bias], outputs, 1e-5)
    expected_y, _, _ = reference.batch_norm(x, weight, bias)
    assert_close(one[0], expected_y, 4, 8)
    inputs = [gy, x, weight, one[1], one[2]]
    one_grads, all_grads = call_on_threads(norm.batch_norm_grad, inputs, outputs, True)
    for result, wanted in zip(one_grads, reference.batch_norm_grads(gy, x, weight), strict=True):
        assert_close(result, wanted, 8, 100)
    for first, second in zip((*one, *one_grads), (*all_, *all_grads), strict=True):
        np.testing.assert_array_equal(first, second)
    inputs = [x, one[1], one[2], weight, bias]
    outputs = outputs[:2]
    one, all_ = call_on_threads(norm.running_norm, inputs, outputs, 1e-5)
    for first, second in zip(one, all_, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((4, 3, 7, 9), (1, 1)),
        ((4, 3, 6, 12), (2, 2)),
        ((3, 2, 9, 70), (2, 2)),
        ((3, 2, 9, 7), (3, 2)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_and_what_follows_compute_their_definitions(shape, window, dtype):
    generator, channels = np.random.default_rng(7), shape[1]
    x, other = (random_values(generator, shape, dtype) for _ in range(2))
    weight, bias = (random_values(generator, channels, dtype) for _ in range(2))
    z, mean, var = reference.batch_norm(x, weight, bias)
    statistics = [(channels, dtype), (channels, dtype)]
    windows = reference.avg_pool2d_windows(shape[2:], window)
    expected = reference.pool_average(np.maximum(z, 0), windows)
    given = [x, weight, bias], [(expected.shape, dtype), *statistics], 1e-5, window
    one, all_ = call_on_threads(norm_relu.batch_norm_relu, *given)
    for found, wanted in zip(one, (expected, mean, 1 / np.sqrt(var + 1e-5)), strict=True):
        assert_close(found, wanted, 4, 8)

    if window == (1, 1):
        given = [x, weight, bias, *one[1:]], [(shape, dtype)]
        for again in call_on_threads(norm_relu.relu_of_normalised, *given):
            np.testing.assert_array_equal(again, one[0])

    gy = random_values(generator, expected.shape, dtype)
    g = np.where(z > 0, reference.pool_average_grad(gy, shape[2:], windows), 0)
    given = [gy, x, weight, bias, *one[1:]], [(shape, dtype), *statistics], window
    one_grads, all_grads = call_on_threads(norm_relu.batch_norm_relu_grad, *given)
    for found, wanted in zip(one_grads, reference.batch_norm_grads(g, x, weight), strict=True):
        assert_close(found, wanted, 8, 100)

    given = [x, other, weight, bias], [(shape, dtype), *statistics], 1e-5
    one_sum, all_sums = call_on_threads(norm_relu.batch_norm_add_relu, *given)
    assert_close(one_sum[0], np.maximum(z + other, 0), 4, 8)
    for first, second in zip((*one, *one_grads, *one_sum), (*all_, *all_grads, *all_sums)):
        np.testing.assert_array_equal(first, second)


def test_batch_norm_of_equal_numbers_has_no_variance_and_of_infinity_is_nan():
    nothing = np.empty(0)
    outputs = [((4, 1, 5), float), (1, float), (1, float)]
    y, mean, invstd = call(
        norm.batch_norm, [np.full((4, 1, 5), 0.1), nothing, nothing], outputs, 4.0
    )
    assert not y.any()
    assert (mean, invstd) == (0.1, 0.5)
    for bad in (np.inf, np.nan):
        x = np.ones((4, 1, 5))
        x[2, 0, 3] = bad
        y, _, _ = call(norm.batch_norm, [x, nothing, nothing], outputs, 1e-5)
        assert np.isnan(y).all()


@pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0])
def test_running_statistics_move_towards_the_unbiased_ones(momentum):
    generator = np.random.default_rng(6)
    x = random_values(generator, (5, 3, 4))
    variance = x.var((0, 2))
    running_mean, running_var = random_values(generator, 3), np.abs(random_values(generator, 3))
    expected_mean = (1 - momentum) * running_mean + momentum * x.mean((0, 2))
    expected_var = (1 - momentum) * running_var + momentum * x.var((0, 2), ddof=1)
    invstd = 1 / np.sqrt(variance + 1e-5)
    norm.update_running(x.mean((0, 2)), invstd, running_mean, running_var, momentum, 1e-5, 20)
    np.testing.assert_allclose(running_mean, expected_mean, rtol=1e-13)
    np.testing.assert_allclose(running_var, expected_var, rtol=1e-13)


@given(arrays(lines, layouts=("contiguous",), scale=10.0), st.sampled_from([0.0, 1e4, -1e4]), seeds)
@settings(max_examples=40)
def test_softmax_kernels_compute_their_definitions(x, offset, seed):
    x = x + x.dtype.type(offset)
    gy = random_values(np.random.default_rng(seed), x.shape, x.dtype)
    like = [(x.shape, x.dtype)]
    p, logp = reference.softmax(x, 1), reference.log_softmax(x, 1)
    assert_close(call(loss.softmax, [x], like), p, 4, 4)
    assert_close(call(loss.log_softmax, [x], like), logp, 4, 40)

    p, logp = p.astype(x.dtype), logp.astype(x.dtype)
    wide = gy.astype(float)
    gx = call(loss.softmax_grad, [gy, p], like)
    assert_close(gx, p * (wide - (wide * p).sum(1, keepdims=True)), 4, 4)
    gx = call(loss.log_softmax_grad, [gy, logp], like)
    assert_close(gx, wide - np.exp(logp) * wide.sum(1, keepdims=True), 40, 8)


@pytest.mark.parametrize("inner", [1, 3])
def test_softmax_kernels_treat_infinities_and_nan_as_pytorch(pytorch, inner):
    rows = np.array(
        [
            [-np.inf, -np.inf, -np.inf],
            [-np.inf, 0.0, 1.0],
            [np.inf, 0.0, 1.0],
            [np.inf, -np.inf, 1.0],
            [np.nan, 0.0, np.inf],
            [np.nan, np.nan, np.nan],
        ]
    )
    x = np.repeat(rows[..., None], inner, 2)
    tensor = pytorch.from_numpy(x)
    like = [(x.shape, x.dtype)]
    for kernel, outputs, wanted in (
        (loss.softmax, like, tensor.softmax(1)),
        (loss.log_softmax, like, tensor.log_softmax(1)),
    ):
        np.testing.assert_allclose(call(kernel, [x], outputs), wanted.numpy(), rtol=1e-12)


@pytest.mark.parametrize("inner", [1, 5])
def test_softmax_kernels_on_threads_give_the_definition_and_equal_bits(inner):
    generator = np.random.default_rng(7)
    x, gy = (random_values(generator, (9, 11, inner), np.float32) for _ in range(2))
    p, logp = reference.softmax(x, 1), reference.log_softmax(x, 1)
    like, f4 = (x.shape, np.float32), np.float32
    p_grad = p * (gy - (gy * p).sum(1, keepdims=True))
    logp_grad = gy - p * gy.sum(1, keepdims=True, dtype=float)
    for kernel, inputs, output, wanted in (
        (loss.softmax, [x], like, p),
        (loss.log_softmax, [x], like, logp),
        (loss.softmax_grad, [gy, p.astype(f4)], like, p_grad),
        (loss.log_softmax_grad, [gy, logp.astype(f4)], like, logp_grad),
    ):
        one, all_ = call_on_threads(kernel, inputs, [output])
        assert_close(one, wanted, 4, 8)
        np.testing.assert_array_equal(one, all_)


@pytest.mark.parametrize("shape", [(700, 3, 1), (2, 1500, 1), (2, 3, 2100), (0, 3, 1), (2, 0, 4)])
def test_softmax_kernels_of_many_blocks_compute_their_definitions(shape):
    generator = np.random.default_rng(11)
    x, gy = (random_values(generator, shape, np.float32) for _ in range(2))
    like = [(shape, np.float32)]
    if not x.size:
        for kernel in (loss.softmax, loss.log_softmax):
            assert call(kernel, [x], like).shape == shape
        return
    p, logp = reference.softmax(x, 1), reference.log_softmax(x, 1)
    assert_close(call(loss.softmax, [x], like), p, 4, 4)
    assert_close(call(loss.log_softmax, [x], like), logp, 4, 8)
    gx = call(loss.softmax_grad, [gy, p.astype(np.float32)], like)
    assert_close(gx, p * (gy - (gy * p).sum(1, keepdims=True)), 4, 8)
    gx = call(loss.log_softmax_grad, [gy, logp.astype(np.float32)], like)
    total = gy.sum(1, keepdims=True, dtype=float)
    assert_close(gx, gy - p * total, 8, np.abs(total).max())


@pytest.mark.parametrize("shape", [(700, 3, 1), (2, 1500, 1), (2, 3, 2100)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", [0, 1, 2])
def test_cross_entropy_kernels_compute_their_definitions(shape, smoothing, reduction):
    generator = np.random.default_rng(12)
    x = random_values(generator, shape)
    outer, classes, size = shape
    target = generator.integers(0, classes, (outer, size))
    weight = generator.random(classes) + 0.5
    parameters = 0, reduction, smoothing
    result_shape = target.shape if reduction == 0 else ()
    outputs = [(result_shape, float), ((), float), (shape, float)]
    y, total, p = call(loss.cross_entropy, [x, target, weight], outputs, *parameters)
    options = weight, 0, REDUCTIONS[reduction]
    expected = reference.cross_entropy(x, target, *options, label_smoothing=smoothing)
    np.testing.assert_allclose(y, expected, rtol=1e-11)
    np.testing.assert_allclose(p, reference.softmax(x, 1), rtol=1e-12)
    gy = random_values(generator, result_shape)
    inputs = [gy, x, target, weight, total, p]
    gx = call(loss.cross_entropy_grad, inputs, [(shape, float)], *parameters)
    wanted = (1 - smoothing) * np.moveaxis(np.eye(classes)[target], 2, 1) + smoothing / classes
    wanted = wanted * weight[:, None]
    scale = np.where(target == 0, 0, gy)[:, None] / (total if reduction == 1 else 1)
    expected = scale * (p * wanted.sum(1, keepdims=True) - wanted)
    np.testing.assert_allclose(gx, expected, rtol=1e-9, atol=1e-12)


REDUCTIONS = ("none", "mean", "sum")


@given(lines, dtypes, seeds, st.booleans(), st.integers(0, 2), st.integers(-2, 6))
@settings(max_examples=40)
def test_nll_loss_kernels_compute_their_definitions(
    shape, dtype, seed, weighted, reduction, ignore_index
):
    generator = np.random.default_rng(seed)
    batch, classes, size = shape
    logp = random_values(generator, shape, dtype)
    target = generator.integers(0, classes, (batch, size))
    target[generator.random(target.shape) < 0.2] = ignore_index
    target = np.where((target >= classes) & (target != ignore_index), 0, target)
    weight = (generator.random(classes * weighted) + 0.5).astype(dtype)
    result_shape = target.shape if reduction == 0 else ()
    outputs = [(result_shape, dtype), ((), dtype)]
    parameters = ignore_index, reduction
    y, total = call(loss.nll_loss, [logp, target, weight], outputs, *parameters)
    scales = (weight.astype(float) if weighted else np.ones(classes))[target % classes]
    scales = np.where(target == ignore_index, 0, scales)
    name = REDUCTIONS[reduction]
    expected = reference.nll_loss(logp, target, weight if weighted else None, ignore_index, name)
    assert_close(y, expected, 36, 4)
    assert_close(total, scales.sum(), 36, 4)

    gy = random_values(generator, result_shape, dtype)
    gx = call(loss.nll_loss_grad, [gy, target, weight, total], [(shape, dtype)], *parameters)
    expected = np.zeros(shape)
    for n, s in np.argwhere(scales):
        grad = -scales[n, s] * (gy[n, s] if reduction == 0 else gy)
        expected[n, target[n, s], s] = grad / scales.sum() if reduction == 1 else grad
    assert_close(gx, expected, 4, 4)


def test_nll_loss_of_ignored_labels_alone_is_nan_or_zero():
    logp, target = np.zeros((2, 3, 1)), np.full((2, 1), -100)
    for reduction, wanted in ((1, np.nan), (2, 0.0)):
        outputs = [((), float), ((), float)]
        y, total = call(loss.nll_loss, [logp, target, np.empty(0)], outputs, -100, reduction)
        np.testing.assert_equal((float(y), float(total)), (wanted, 0.0))


@pytest.mark.parametrize("label", [10, -1])
def test_nll_loss_refuses_labels_out_of_range_before_it_writes(label):
    target = np.array([[3], [label], [12]])
    y, total = np.full((), 7.0), np.full((), 8.0)
    with pytest.raises(IndexError, match=f"target {label} is out of bounds for 10 classes"):
        loss.nll_loss(np.zeros((3, 10, 1)), target, np.empty(0), y, total, -100, 1)
    assert (y, total) == (7.0, 8.0)


@given(arrays(shapes(0, 3), layouts=("contiguous",)), seeds)
@settings(max_examples=30)
def test_elementwise_losses_compute_their_definitions(x, seed):
    generator = np.random.default_rng(seed)
    t = generator.random(x.shape).astype(x.dtype)
    like = [(x.shape, x.dtype)]
    wide = x.astype(float)
    assert_close(call(loss.mse_loss, [x, t], like), (wide - t) ** 2, 4, 20)
    assert_close(call(loss.l1_loss, [x, t], like), abs(wide - t), 1, 5)
    for scale in (1, 50):
        logits = x * x.dtype.type(scale)
        expected = reference.binary_cross_entropy_with_logits(logits, t, reduction="none")
        y = call(loss.binary_cross_entropy_with_logits, [logits, t], like)
        assert_close(y, expected, 4, 4 * scale)
    p = generator.random(x.shape).astype(x.dtype)
    p = np.where(generator.random(x.shape) < 0.2, p.round(), p)
    expected = reference.binary_cross_entropy(p, t, reduction="none")
    assert_close(call(loss.binary_cross_entropy, [p, t], like), expected, 4, 8)


def test_elementwise_losses_on_threads_give_the_definition_and_equal_bits():
    generator = np.random.default_rng(8)
    x, t = (generator.random(1001, np.float32) for _ in range(2))
    for kernel, wanted in (
        (loss.mse_loss, (x.astype(float) - t) ** 2),
        (loss.l1_loss, abs(x.astype(float) - t)),
        (loss.binary_cross_entropy, reference.binary_cross_entropy(x, t, reduction="none")),
        (
            loss.binary_cross_entropy_with_logits,
            reference.binary_cross_entropy_with_logits(x, t, reduction="none"),
        ),
    ):
        one, all_ = call_on_threads(kernel, [x, t], [(x.shape, np.float32)])
        assert_close(one, wanted, 4, 8)
        np.testing.assert_array_equal(one, all_)


@given(shape=lines, seed=seeds, weighted=st.booleans(), smoothing=st.sampled_from([0.0, 0.3]))
@settings(max_examples=30)
def test_reference_losses_are_pytorchs(pytorch, shape, seed, weighted, smoothing):
    functional, tensor = pytorch.nn.functional, pytorch.from_numpy
    generator = np.random.default_rng(seed)
    x, p, t = random_values(generator, shape), generator.random(shape), generator.random(shape)
    labels = generator.integers(0, shape[1], (shape[0], shape[2]))
    weight = generator.random(shape[1]) + 0.5 if weighted else None
    scales = tensor(weight) if weighted else None
    for reduction in REDUCTIONS:
        common = {"reduction": reduction, "label_smoothing": smoothing}
        for target in (labels, t):
            wanted = functional.cross_entropy(tensor(x), tensor(target), scales, **common)
            ours = reference.cross_entropy(x, target, weight, **common)
            assert_close(np.asarray(ours), wanted.numpy(), 36, 40)
        ignoring = {"ignore_index": 0, "reduction": reduction}
        wanted = functional.nll_loss(tensor(x), tensor(labels), scales, **ignoring)
        ours = reference.nll_loss(x, labels, weight, **ignoring)
        assert_close(np.asarray(ours), wanted.numpy(), 36, 40)
        wanted = functional.cross_entropy(
            tensor(x), tensor(labels), scales, label_smoothing=smoothing, **ignoring
        )
        ours = reference.cross_entropy(x, labels, weight, label_smoothing=smoothing, **ignoring)
        assert_close(np.asarray(ours), wanted.numpy(), 36, 40)
        wanted = functional.binary_cross_entropy(tensor(p), tensor(t), reduction=reduction)
        ours = reference.binary_cross_entropy(p, t, reduction=reduction)
        assert_close(np.asarray(ours), wanted.numpy(), 36, 40)
        wanted = functional.binary_cross_entropy_with_logits(
            tensor(x), tensor(t), reduction=reduction, pos_weight=tensor(p)
        )
        ours = reference.binary_cross_entropy_with_logits(x, t, pos_weight=p, reduction=reduction)
        assert_close(np.asarray(ours), wanted.numpy(), 36, 40)


def test_reference_normalisation_and_gelu_are_pytorchs(pytorch):
    functional, tensor = pytorch.nn.functional, pytorch.from_numpy
    generator = np.random.default_rng(9)
    x, gy = (random_values(generator, (3, 4, 5)) for _ in range(2))
    weight, bias = random_values(generator, 4), random_values(generator, 4)
    tensors = [tensor(array).requires_grad_() for array in (x, weight, bias)]
    y = functional.batch_norm(tensors[0], None, None, *tensors[1:], training=True)
    y.backward(tensor(gy))
    assert_close(y.detach().numpy(), reference.batch_norm(x, weight, bias)[0], 15, 4)
    expected = reference.batch_norm_grads(gy, x, weight)
    for parameter, wanted in zip(tensors, expected, strict=True):
        assert_close(parameter.grad.numpy(), wanted, 15, 4)
    for approximate in ("none", "tanh"):
        wanted = functional.gelu(tensor(x), approximate=approximate).numpy()
        assert_close(wanted, reference.gelu(x, approximate), 4)


def test_reference_optimizer_steps_are_pytorchs(pytorch):
    cases = (
        (pytorch.optim.SGD, reference.sgd_step, {"lr": 0.1}),
        (
            pytorch.optim.SGD,
            reference.sgd_step,
            {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1},
        ),
        (pytorch.optim.SGD, reference.sgd_step, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (pytorch.optim.Adam, reference.adam_step, {"weight_decay": 0.1, "amsgrad": True}),
        (pytorch.optim.AdamW, reference.adamw_step, {"lr": 0.01, "maximize": True}),
    )
    for optimizer, step, options in cases:
        generator, state = np.random.default_rng(10), {}
        p = random_values(generator, 6)
        parameter = pytorch.nn.Parameter(pytorch.from_numpy(p.copy()))
        peer = optimizer([parameter], **options)
        for _ in range(5):
            g = random_values(generator, 6)
            parameter.grad = pytorch.from_numpy(g)
            peer.step()
            p = step(p, g, state, **options)
        np.testing.assert_allclose(parameter.detach().numpy(), p, rtol=1e-12)


def test_reference_convolve2d_turns_the_kernel():
    x = np.zeros((3, 3))
    x[1, 1] = 1
    w = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(reference.convolve2d(x, w, padding=1), w)
    turned = w[::-1, ::-1]
    by_correlation = reference.conv2d(x[None, None], turned[None, None], None, 2, 1)[0, 0]
    np.testing.assert_array_equal(reference.convolve2d(x, w, 2, 1), by_correlation)
