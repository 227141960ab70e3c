"""What convolution and pooling are known to do: sizes, symmetries, equal bits, equal training."""

import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn, optim
from minitorch_cnn.kernels import jit
from minitorch_cnn.vision.models import NotebookNet

from . import reference
from .op_table import exact
from .strategies import convs, pools

seeds = st.integers(0, 2**32 - 1)
small = st.integers(1, 4)


def drawn(seed, *shapes):
    """Tensors of float64 that require gradients."""
    generator = np.random.default_rng(seed)
    return [mt.tensor(generator.normal(size=shape), requires_grad=True) for shape in shapes]


def close(actual, expected):
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-9, atol=1e-9)


# Sizes


@given(convs())
def test_a_convolution_has_the_size_of_the_formula(config):
    x, w = drawn(0, config.x_shape, config.w_shape)
    assert F.conv2d(x, w, **config.options).shape == config.y_shape


@given(convs())
def test_padding_same_keeps_the_size(config):
    x, w = drawn(0, config.x_shape, config.w_shape)
    y = F.conv2d(x, w, padding="same", dilation=config.dilation, groups=config.groups)
    assert y.shape == (config.n, config.o, *config.size)


@given(convs())
def test_padding_valid_is_none(config):
    sides = zip(config.size, config.kernel, config.dilation, strict=True)
    assume(all(d * (k - 1) < n for n, k, d in sides))
    x, w = drawn(0, config.x_shape, config.w_shape)
    options = {**config.options, "padding": 0}
    expected = F.conv2d(x, w, **options)
    assert mt.equal(F.conv2d(x, w, **{**options, "padding": "valid"}), expected)


@given(pools())
def test_max_pooling_has_the_size_of_the_formula(config):
    (x,) = drawn(0, config.x_shape)
    y = F.max_pool2d(
        x, config.kernel, config.stride, config.padding, config.dilation, config.ceil_mode
    )
    assert y.shape == config.y_shape


@given(pools(dilated=False))
def test_average_pooling_has_the_size_of_the_formula(config):
    (x,) = drawn(0, config.x_shape)
    y = F.avg_pool2d(x, config.kernel, config.stride, config.padding, config.ceil_mode)
    assert y.shape == config.y_shape


# Convolution


@given(convs(max_channels=2), seeds)
def test_conv2d_is_the_six_loops(config, seed):
    x, w, b = drawn(seed, config.x_shape, config.w_shape, (config.o,))
    expected = reference.conv2d(
        x.detach().numpy(), w.detach().numpy(), b.detach().numpy(), **config.options
    )
    close(F.conv2d(x, w, b, **config.options), expected)


@given(convs(), seeds)
def test_the_gradients_are_adjoints(config, seed):
    """<conv(x, w), y> = <x, its gradient for x> = <w, its gradient for w>"""
    x, w, y = drawn(seed, config.x_shape, config.w_shape, config.y_shape)
    product = (F.conv2d(x, w, **config.options) * y).sum()
    gx, gw = mt.autograd.grad(product, (x, w))
    close((x * gx).sum(), product.item())
    close((w * gw).sum(), product.item())


@given(convs(), seeds)
def test_convolution_is_linear_in_input_and_kernel(config, seed):
    x1, x2 = drawn(seed, config.x_shape, config.x_shape)
    w1, w2 = drawn(seed + 1, config.w_shape, config.w_shape)

    def conv(x, w):
        return F.conv2d(x, w, **config.options).detach()

    close(conv(2 * x1 - 3 * x2, w1), (2 * conv(x1, w1) - 3 * conv(x2, w1)).numpy())
    close(conv(x1, 2 * w1 - 3 * w2), (2 * conv(x1, w1) - 3 * conv(x1, w2)).numpy())


@given(st.integers(0, 3), st.integers(0, 3), seeds)
def test_convolution_commutes_with_translation(down, right, seed):
    x, w = drawn(seed, (1, 2, 5, 6), (3, 2, 3, 2))
    shifted = mt.zeros(1, 2, 5 + down, 6 + right, dtype=mt.float64)
    shifted[:, :, down:, right:] = x
    close(F.conv2d(shifted, w)[:, :, down:, right:], F.conv2d(x, w).detach().numpy())


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), seeds)
def test_convolve2d_is_conv2d_with_the_kernel_turned(height, width, kh, kw, seed):
    x, w = drawn(seed, (height + 2, width + 2), (kh, kw))
    turned = F.conv2d(x[None, None], w.flip(0, 1)[None, None], padding=(1, 0))
    close(F.convolve2d(x, w, padding=(1, 0)), turned[0, 0].detach().numpy())
    expected = reference.convolve2d(x.detach().numpy(), w.detach().numpy(), padding=(1, 0))
    close(F.convolve2d(x, w, padding=(1, 0)), expected)


@given(small, small, small, small, seeds)
def test_true_convolution_commutes(height, width, kh, kw, seed):
    x, w = drawn(seed, (height, width), (kh, kw))
    whole = F.convolve2d(x, w, padding=(kh - 1, kw - 1))
    close(F.convolve2d(w, x, padding=(height - 1, width - 1)), whole.detach().numpy())


def test_the_edge_detector_of_the_notebook():
    x = mt.tensor([[1, 2, 3, 0, 0], [4, 5, 6, 0, 0], [7, 8, 9, 0, 0], [0] * 5, [0] * 5]).float()
    kernel = mt.tensor([[1.0, 0.0, -1.0]] * 3)
    expected = mt.tensor(
        [
            [-7.0, -4.0, 7.0, 9.0, 0.0],
            [-15.0, -6.0, 15.0, 18.0, 0.0],
            [-13.0, -4.0, 13.0, 15.0, 0.0],
            [-8.0, -2.0, 8.0, 9.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    assert mt.equal(F.conv2d(x[None, None], kernel[None, None], padding=1)[0, 0], expected)
    assert mt.equal(F.convolve2d(x, kernel, padding=1), -expected)


# Pooling


@given(st.integers(0, 1), st.integers(0, 1), seeds)
def test_max_pooling_overlooks_a_small_shift(down, right, seed):
    """A lone peak that stays in its window gives the same result."""
    generator = np.random.default_rng(seed)
    peaks = generator.uniform(1, 2, (2, 3, 4, 4))
    images = []
    for r, s in ((0, 0), (down, right)):
        image = np.zeros((2, 3, 8, 8))
        image[:, :, r::2, s::2] = peaks
        images.append(F.max_pool2d(mt.tensor(image), 2).numpy())
    np.testing.assert_array_equal(images[0], peaks)
    np.testing.assert_array_equal(images[1], peaks)


# Equal bits

LARGE = {
    "conv2d": lambda x, w: F.conv2d(x, w, padding=1),
    "conv2d strided": lambda x, w: F.conv2d(x, w, stride=2),
    "batch_norm": lambda x, w: F.batch_norm(x, None, None, training=True) * w.sum(),
    "sum": lambda x, w: x.sum((0, 2)) * w.sum(),
    "matmul": lambda x, w: x.flatten(0, 2) @ w.reshape(64, 18),
}


@pytest.mark.parametrize("name", LARGE)
def test_bits_do_not_depend_on_the_number_of_threads(name):
    generator = np.random.default_rng(3)
    arrays = [exact(generator.normal(size=size)) for size in ((8, 8, 64, 64), (16, 8, 3, 3))]
    assert arrays[0].size > jit.PARALLEL_WORK
    found = []
    threads = numba.get_num_threads()
    try:
        for count in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(count)
            x, w = (mt.tensor(a, dtype=mt.float32, requires_grad=True) for a in arrays)
            y = LARGE[name](x, w)
            (y * y).sum().backward()
            found.append([t.detach().numpy() for t in (y, x.grad, w.grad)])
    finally:
        numba.set_num_threads(threads)
    for one, all_of_them in zip(*found, strict=True):
        np.testing.assert_array_equal(one, all_of_them)


# Training


def test_training_follows_pytorch():
    """The notebook's network, from equal weights on equal batches, has PyTorch's losses."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    ours, theirs = NotebookNet(), pytorch_net(torch)
    state = theirs.state_dict()
    ours.load_state_dict({name: mt.tensor(state[name].numpy()) for name in ours.state_dict()})
    losses = []
    for t, net, adam, criterion in (
        (mt, ours, optim.Adam(ours.parameters(), lr=0.001), nn.CrossEntropyLoss()),
        (torch, theirs, torch.optim.Adam(theirs.parameters(), 0.001), torch.nn.CrossEntropyLoss()),
    ):
        generator = np.random.default_rng(0)
        losses.append([])
        for _ in range(200):
            images = t.from_numpy(generator.normal(size=(4, 3, 32, 32)).astype(np.float32))
            labels = t.from_numpy(generator.integers(0, 10, 4))
            adam.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            adam.step()
            losses[-1].append(loss.item())
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-3)
    assert len(set(losses[0])) == 200


def pytorch_net(torch):
    """The same network made of PyTorch's layers."""
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(3, 6, 5)
            self.conv2 = torch.nn.Conv2d(6, 16, 5)
            self.fc1 = torch.nn.Linear(400, 120)
            self.fc2 = torch.nn.Linear(120, 84)
            self.fc3 = torch.nn.Linear(84, 10)

        def forward(self, x):
            functional = torch.nn.functional
            for conv in (self.conv1, self.conv2):
                x = functional.max_pool2d(torch.relu(conv(x)), 2)
            x = torch.flatten(x, 1)
            for fc in (self.fc1, self.fc2):
                x = functional.gelu(fc(x))
            return self.fc3(x)

    return Net()
