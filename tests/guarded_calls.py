"""Calls that together reach every kernel of the CPU's: the table of ops, and larger shapes.

Sizes lie around those of registers and of the blocks that kernels work in.
"""

import itertools

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn.device import launch
from minitorch_cnn.kernels.cpu import large, reduce
from minitorch_cnn.kernels.cpu.elementwise import LARGE
from minitorch_cnn.utils.data import SampleStreams
from minitorch_cnn.vision.transforms import RandomCrop, RandomHorizontalFlip, ToTensor
from minitorch_cnn.vision.transforms.compose import apply_all
from minitorch_cnn.vision.transforms.pixels import PADDING_MODES, PixelBatch, Table

from .rows import ROWS
from .strategies import LAYOUTS, convs, in_layout, pools
from .test_ops import evaluate

DTYPES = (np.float32, np.float64)
LENGTHS = (0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 130, 300)
CONVS = [  # batch, channels, size; filters, kernel; options
    ((2, 3, 32, 32), (6, 3, 5, 5), {}),
    ((2, 6, 14, 14), (16, 6, 5, 5), {}),
    ((1, 32, 9, 9), (33, 32, 3, 3), {"padding": 1}),
    ((2, 16, 7, 7), (64, 16, 1, 1), {}),
    ((2, 64, 7, 9), (68, 64, 3, 3), {"padding": 1}),
    ((1, 70, 12, 5), (128, 70, 3, 3), {}),
    ((1, 3, 40, 33), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((2, 12, 10, 11), (12, 1, 3, 3), {"padding": 1, "groups": 12}),
    ((2, 8, 10, 11), (8, 4, 3, 3), {"padding": 1, "groups": 2}),  # tiles of four channels
    ((2, 3, 12, 11), (24, 3, 5, 5), {"padding": (0, 1)}),  # taps that overlap
    ((2, 3, 8, 16), (7, 3, 3, 3), {"padding": 1}),  # a tile of channels that is not full
    ((1, 400, 7, 7), (1024, 400, 1, 1), {}),  # a large product, in blocks of rows
    ((3, 130, 5, 5), (33, 130, 1, 1), {}),  # one of planes side by side
    ((1, 256, 5, 6), (160, 256, 1, 1), {"stride": (2, 3)}),  # pixels apart
]


def drawn(examples, *strategies):
    """Run a function on so many draws, the same in every run."""
    return lambda function: settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(given(*strategies)(function))


def run_all():
    """All calls below."""
    table()
    activations()
    arithmetic()
    past_caches()
    drawn(30, convs(3, 20, 20, 2), st.sampled_from(DTYPES), st.integers(0, 99))(convolution)()
    for x, w, options in CONVS:
        for dtype in DTYPES:
            convolve(dtype, x, w, True, options)
    winograd_by_four()
    drawn(30, pools(2, 5, 40), st.sampled_from(DTYPES))(pooling)()
    drawn(30, st.tuples(*[st.integers(0, 40)] * 2), st.sampled_from(DTYPES))(pooling_in_pairs)()
    products()
    normalisations_and_losses()
    norms_in_one()
    reductions()
    random_numbers()
    images()
    filling()
    optimizers()


def table():
    """Every row of the table of ops, in any layout and both precisions."""

    def evaluated(row, way):
        evaluate(mt, row, *way)

    for row in ROWS:
        way = st.tuples(row.cases, st.sampled_from(DTYPES), st.sampled_from(LAYOUTS))
        drawn(3, st.just(row), way)(evaluated)()


def leaf(shape, dtype, layout="contiguous"):
    """A tensor of normal numbers that wants a gradient."""
    numbers = np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)
    return mt.from_numpy(in_layout(numbers, layout)).requires_grad_()


def backward(y):
    """Gradients for one that is not all equal."""
    y.backward(leaf(tuple(y.shape), y.dtype.numpy).detach())


def activations():
    functions = [F.relu, F.leaky_relu, F.silu, F.gelu, mt.sigmoid, mt.tanh, mt.erf]
    functions += [lambda x: F.gelu(x, approximate="tanh"), F.dropout]
    for function in functions:
        for dtype in DTYPES:
            for n in LENGTHS:
                backward(function(leaf((n,), dtype)))


def past_caches():
    """As if these could hold nothing."""
    most, large.CACHES = large.CACHES, 0
    try:
        arithmetic(19)
    finally:
        large.CACHES = most


def arithmetic(more=5):
    """Of so many more elements than NumPy computes with."""
    for dtype in DTYPES:
        x, y = (leaf((LARGE + more,), dtype).detach() for _ in range(2))
        for function in (mt.add, mt.sub, mt.mul, mt.div):
            function(x, y)
        for function in (mt.neg, mt.abs, mt.sqrt, mt.exp, mt.log):
            function(x)
        x.clone()
        for repeated in (x[:1].expand(LARGE), x[: LARGE // 2].expand(2, -1)):
            repeated.clone()


def convolution(config, dtype, seed):
    convolve(dtype, config.x_shape, config.w_shape, seed % 2, config.options)


def convolve(dtype, x_shape, w_shape, biased, options):
    bias = leaf(w_shape[:1], dtype) if biased else None
    backward(F.conv2d(leaf(x_shape, dtype), leaf(w_shape, dtype), bias, **options))


def winograd_by_four():
    mt.set_winograd_tile(4)
    try:
        for dtype in DTYPES:
            convolve(dtype, (2, 64, 7, 9), (68, 64, 3, 3), True, {"padding": 1})
            convolve(dtype, (1, 40, 12, 39), (32, 40, 3, 3), True, {})
    finally:
        mt.set_winograd_tile(2)


def pooling(config, dtype):
    options = {"stride": config.stride, "padding": config.padding, "ceil_mode": config.ceil_mode}
    x = leaf(config.x_shape, dtype)
    y = F.max_pool2d(x, config.kernel, dilation=config.dilation, **options)
    (gx,) = mt.autograd.grad(y, x, leaf(tuple(y.shape), dtype), create_graph=True)
    backward(gx)
    if config.dilation == (1, 1):
        backward(F.avg_pool2d(x, config.kernel, **options))
    backward(F.adaptive_avg_pool2d(x, config.stride))


def pooling_in_pairs(size, dtype):
    height, width = size[0] + 2, 2 * size[1] + 2
    x, y = leaf((1, 2, height, width), dtype).detach(), mt.empty(1, 2, height // 2, width // 2)
    y, code = y.to(x.dtype), mt.empty(*y.shape, dtype=mt.uint8)
    for relu in (False, True):
        launch(x.device, "pool_pairs.max_pool_pairs", x._buffer, y._buffer, code._buffer, relu)
    launch(x.device, "pool_pairs.max_pool_pairs_grad", y._buffer, code._buffer, x._buffer)
    F.max_pool2d(x, 2, return_indices=True)
    backward(F.avg_pool2d(x.requires_grad_(), 2))
    x = x.detach()
    for taps, padding in ((3, 0), (5, 2)):
        seen = (edge + taps - 1 - 2 * padding for edge in (height, width))
        source = leaf((1, 2, *seen), dtype)
        if min(source.shape) > 0:
            gw, gb = (mt.empty(*shape, dtype=x.dtype) for shape in ((2, 2, taps, taps), (2,)))
            arrays = [t._buffer for t in (y, code, source.detach(), gw, gb)]
            launch(x.device, "conv_sparse.weight_grad", *arrays, (padding, padding))
            arrays = [*arrays[:2], arrays[3], arrays[2]]
            launch(x.device, "conv_sparse.input_grad", *arrays, (padding, padding))


def products():
    sizes = np.random.default_rng(0)
    for dtype in DTYPES:
        for _ in range(20):
            b, m, k, n = (int(size) for size in sizes.integers(1, 70, 4))
            for turn_a in (False, True):
                for turn_b in (False, True):
                    x = leaf((k, m) if turn_a else (m, k), dtype)
                    y = leaf((n, k) if turn_b else (k, n), dtype)
                    backward((x.t() if turn_a else x) @ (y.t() if turn_b else y))
            backward(leaf((b % 4, m, k), dtype) @ leaf((k, n), dtype))
            backward(F.linear(leaf((m, k), dtype), leaf((n, k), dtype), leaf((n,), dtype)))
            backward(F.linear(leaf((m, k), dtype), leaf((n, k), dtype)))


def norms_in_one():
    """With what follows them."""
    for dtype in DTYPES:
        for size, window in (
            ((3, 5), (1, 1)),
            ((2, 34), (2, 2)),
            ((5, 12), (2, 2)),
            ((4, 7), (2, 3)),
        ):
            x, other = (leaf((2, 3, *size), dtype).detach()._buffer for _ in range(2))
            small = [n // k for n, k in zip(size, window)]
            y, (weight, bias, mean, invstd) = (
                np.empty((2, 3, *small), dtype),
                np.ones((4, 3), dtype),
            )
            given = weight, bias, y, mean, invstd, 1e-5
            launch(mt.device("cpu"), "norm_relu.batch_norm_relu", x, *given, window)
            given = weight, bias, mean, invstd, x.copy()
            launch(mt.device("cpu"), "norm_relu.relu_of_normalised", x, *given)
            given = weight, bias, mean, invstd, x.copy(), weight.copy(), bias.copy()
            launch(mt.device("cpu"), "norm_relu.batch_norm_relu_grad", y, x, *given, window)
            given = weight, bias, other, mean, invstd, 1e-5
            launch(mt.device("cpu"), "norm_relu.batch_norm_add_relu", x, x.copy(), *given)


def normalisations_and_losses():
    for dtype in DTYPES:
        for n in LENGTHS[1:]:
            x = leaf((3, n), dtype)
            labels = mt.tensor([0, n - 1, n // 2])
            backward(F.cross_entropy(x, labels))
            backward(mt.softmax(x, 1))
            backward(mt.log_softmax(x, 1))
            backward(mt.softmax(leaf((2, n, 3), dtype), 1))
            backward(mt.log_softmax(leaf((2, n, 3), dtype), 1))
            backward(F.nll_loss(leaf((2, n, 3), dtype), mt.zeros(2, 3).long(), reduction="none"))
            target = mt.full((n,), 0.25, dtype=x.dtype)
            for loss in (F.mse_loss, F.l1_loss, F.binary_cross_entropy_with_logits):
                backward(loss(leaf((n,), dtype), target))
            backward(F.binary_cross_entropy(mt.sigmoid(leaf((n,), dtype)), target))
            running = mt.zeros(3, dtype=x.dtype), mt.ones(3, dtype=x.dtype)
            scale = leaf((3,), dtype), leaf((3,), dtype)
            backward(F.batch_norm(leaf((2, 3, n), dtype), *running, *scale, training=True))
            backward(F.batch_norm(leaf((2, 3, n, 2), dtype), None, None, training=True))


def reductions():
    for dtype in DTYPES:
        for n in LENGTHS:
            x = leaf((3, n, 5), dtype)
            for dims in (0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)):
                backward(x.sum(dims))
        # So many rows that each is summed by itself; and some, and columns, so long that they are
        # added up in pieces.
        backward(leaf((3, reduce.PIECE // 300 + 1, 300), dtype).sum((0, 2)))
        backward(leaf((2, reduce.PIECE + 3), dtype).mean(1))
        backward(leaf((2 * reduce.MANY + 1, reduce.LARGE // reduce.MANY), dtype).mean(0))


def random_numbers():
    for dtype in (mt.float32, mt.float64):
        for n in LENGTHS:
            mt.rand(n, dtype=dtype)
            mt.randn(n, dtype=dtype)
    for n in LENGTHS:
        mt.randint(-3, 9, (n,))
        mt.randperm(n)
        SampleStreams(n).uniform()
        mt.multinomial(mt.ones(2, n + 1), n + 2, replacement=True)
        mt.multinomial(mt.ones(2, n + 1), n + 1)


def images():
    """Batches of images of one colour and of three, cut, mirrored, padded and converted."""
    rng = np.random.default_rng(0)
    shapes = [(3, 5, 7), (2, 5, 7, 3), (2, 4, 4, 2), (1, 1, 1, 1)]
    for shape, mode, n in itertools.product(shapes, PADDING_MODES, (0, 1, 5)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        padding = min(2, shape[1] - 1)
        size = (shape[1] + padding, max(1, shape[2] - 2))
        moved = [RandomCrop(size, padding, padding_mode=mode, fill=7), RandomHorizontalFlip()]
        for transforms in ([ToTensor()], [*moved, ToTensor()], moved):
            batch = PixelBatch(pixels, rng.integers(-shape[0], shape[0], n))
            result = apply_all(transforms, batch, SampleStreams(n))
            if result is batch:
                result.array()
                # Without a formula, values are looked up.
                batch.table = Table(batch.table.values)
                batch.array()


def filling():
    for dtype, n in itertools.product(DTYPES, LENGTHS):
        launch(mt.device("cpu"), "fill.fill_reals", np.empty(n, dtype), 2.0)


def optimizers():
    sgd, adam = mt.optim.SGD, mt.optim.Adam
    for dtype in DTYPES:
        for n in LENGTHS:
            for kind, options in [
                (sgd, {}),
                (sgd, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
                (adam, {}),
                (adam, {"amsgrad": True, "weight_decay": 0.1}),
                (mt.optim.AdamW, {"maximize": True}),
                (mt.optim.NAdam, {"weight_decay": 0.1}),
                (mt.optim.RAdam, {"betas": (0.3, 0.8)}),
                (mt.optim.Adamax, {}),
                (mt.optim.Adagrad, {}),
                (mt.optim.Adadelta, {}),
                (mt.optim.RMSprop, {"momentum": 0.9, "centered": True}),
                (mt.optim.RMSprop, {}),
                (mt.optim.Rprop, {}),
                (mt.optim.ASGD, {"t0": 0}),
            ]:
                p = leaf((n,), dtype)
                optimizer = kind([p], lr=0.1, **options)
                for _ in range(2):
                    optimizer.zero_grad()
                    backward(p * 1)
                    optimizer.step()
