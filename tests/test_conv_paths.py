"""Every way in which a convolution and its gradients are computed, against the definition.

Integers make sums exact in any order, so what is compared must be equal to the last bit.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from minitorch_cnn import get_winograd_tile, set_winograd_tile
from minitorch_cnn.kernels import workspace
from minitorch_cnn.kernels.cpu import conv, processor
from minitorch_cnn.kernels.cpu.conv_geometry import BLOCKS
from minitorch_cnn.kernels.jit import Kernel
from minitorch_cnn.kernels.tasks import TaskKernel

from .kernel_calls import call, call_on_threads
from .strategies import FLOATS, Conv


def lanes_of(dtype):
    """How many elements of a type fill a vector."""
    return processor.VECTOR_BYTES // np.dtype(dtype).itemsize


def conv_sums(x, w, b, gy, stride, padding, dilation, groups):
    """(y, gx, gw, gb) in float64: for each tap a product of matrices, over slices of the images."""
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    x, w, b, gy = (np.asarray(array, np.float64) for array in (x, w, b, gy))
    kh, kw = w.shape[2:]
    high, wide = gy.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph + kh * dh), (pw, pw + kw * dw)))
    by_group = padded.reshape(len(x), groups, x.shape[1] // groups, *padded.shape[2:])
    gradient = np.zeros_like(by_group)
    weight = w.reshape(groups, len(w) // groups, *w.shape[1:])
    slopes = gy.reshape(len(gy), groups, len(w) // groups, high, wide)
    y, gw = np.zeros(slopes.shape), np.zeros(weight.shape)
    for u, v in np.ndindex(kh, kw):
        rows = slice(u * dh, u * dh + high * sh, sh)
        columns = slice(v * dw, v * dw + wide * sw, sw)
        pixels = by_group[..., rows, columns][..., :high, :wide]
        tap = weight[..., u, v]
        y += np.einsum("ngchw,goc->ngohw", pixels, tap, optimize=True)
        gw[..., u, v] = np.einsum("ngohw,ngchw->goc", slopes, pixels, optimize=True)
        target = gradient[..., rows, columns][..., :high, :wide]
        target += np.einsum("ngohw,goc->ngchw", slopes, tap, optimize=True)
    height, width = x.shape[2:]
    gx = gradient.reshape(padded.shape)[:, :, ph : ph + height, pw : pw + width]
    y = y.reshape(gy.shape) + b[:, None, None] if b.size else y.reshape(gy.shape)
    return y, gx, gw.reshape(w.shape), gy.sum((0, 2, 3)) if b.size else b


@dataclass(frozen=True)
class Case:
    """A convolution, its channels and sizes given in vectors (v) and elements."""

    name: str
    n: int = 2
    c: tuple[int, int] = (0, 3)  # vectors, elements
    o: tuple[int, int] = (0, 3)
    size: tuple[int, int] = (7, 9)
    more_columns: int = 0  # vectors of columns besides
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    biased: bool = True
    tile: int = 2  # of Winograd's algorithm, 0: never that, however many channels vectors make
    paths: tuple[str, str, str] = ()

    def conv(self, dtype):
        vector = lanes_of(dtype)
        c, o = (self.groups * (vectors * vector + some) for vectors, some in (self.c, self.o))
        size = self.size[0], self.size[1] + self.more_columns * vector
        options = self.kernel, self.stride, self.padding, self.dilation, self.groups
        return Conv(self.n, c, o, size, *options)


CHANNELS, POSITIONS, PRODUCT, WINOGRAD = "by_channels", "by_positions", "product", "winograd"
FIRST = CHANNELS, POSITIONS, "weight_by_channels"  # of few channels many, as a first layer does
DILATED = {"padding": (1, 2), "dilation": (1, 2)}  # lest taps overlap on the way back
LAST = POSITIONS, CHANNELS, "weight_by_positions"
FEW = POSITIONS, POSITIONS, "weight_by_positions"
MANY = CHANNELS, CHANNELS, "weight_by_channels"
# Of as many channels as a vector has lanes.
LANES = (POSITIONS, POSITIONS, "weight_by_positions") if processor.REGISTERS < 32 else MANY
DEPTHWISE = "depthwise", "depthwise", "depthwise_weight"
OVERLAP = CHANNELS, "spread_taps", "weight_by_channels"
ALL_WINOGRAD = WINOGRAD, WINOGRAD, "winograd_weight_grad"
SUBSAMPLED = "subsample product", "product subsample_adjoint", "subsample"
WINOGRAD4 = "winograd4", "winograd4", "winograd_weight_grad"

CASES = [
    Case("slim panel", o=(1, 0), **DILATED, paths=FIRST),
    Case("panel of a vector and a half", o=(1, 2), **DILATED, paths=FIRST),
    Case("wide panel", o=(2, -1), **DILATED, paths=FIRST),
    Case("wide and slim panel", o=(3, 0), **DILATED, paths=FIRST),
    Case("two wide panels", o=(2, 3), biased=False, **DILATED, paths=FIRST),
    Case("into few channels", c=(2, 1), paths=LAST),
    Case("many channels", c=(2, 1), o=(1, 2), size=(6, 5), paths=MANY),
    Case("many terms", n=1, c=(0, 301), o=(2, 1), size=(4, 5), paths=MANY),
    Case("blocks of rows", c=(1, 1), o=(1, 2), size=(40, 31), padding=(0, 2), paths=MANY),
    Case("long rows", n=1, c=(1, 1), o=(2, 0), size=(3, 300), padding=(2, 0), tile=0, paths=MANY),
    Case("as many channels as lanes", n=3, c=(1, 0), o=(1, 0), size=(6, 0), more_columns=2, tile=0,
         paths=LANES),
    Case("as many channels as lanes, strided", c=(1, 0), o=(1, 0), size=(6, 0), more_columns=2,
         stride=(1, 2), tile=0, paths=MANY),
    Case("as many channels as lanes, few columns", c=(1, 0), o=(1, 0), size=(6, 3), tile=0,
         paths=MANY),
    Case("fewer positions than a tile has", c=(1, 2), o=(2, 1), size=(3, 1), paths=MANY),
    Case("one position", n=3, c=(2, 0), o=(1, 2), size=(3, 3), padding=(0, 0), tile=0, paths=MANY),
    Case("one pixel", n=1, c=(1, 2), o=(2, 1), size=(1, 1), padding=(2, 2), paths=MANY),
    Case("kernel as wide as the image", c=(1, 3), o=(1, 3), kernel=(7, 9), padding=(0, 0),
         paths=MANY),
    Case("even kernel", c=(2, 3), o=(1, 2), kernel=(2, 4), padding=(0, 3), paths=MANY),
    Case("stride, by channels", c=(3, 1), o=(3, 2), size=(13, 14), stride=(2, 2), paths=MANY),
    Case("uneven strides, by channels", c=(3, 1), o=(3, 2), size=(17, 19), kernel=(5, 4),
         stride=(2, 3), padding=(2, 1), paths=MANY),
    Case("blocks of rows and phases", c=(3, 1), o=(3, 2), size=(41, 30), stride=(2, 2), n=1,
         paths=MANY),
    Case("stride, by positions", c=(0, 2), o=(0, 7), size=(13, 2), more_columns=4, stride=(2, 2),
         paths=None),
    Case("strides, by positions, narrow", c=(0, 2), o=(0, 3), size=(9, 7), stride=(2, 3),
         paths=FEW),
    Case("phases without taps, by channels", c=(0, 40), o=(0, 33), size=(7, 9), kernel=(1, 1),
         stride=(2, 2), paths=MANY),
    Case("phases without taps, by positions", c=(0, 3), o=(0, 3), size=(8, 3), more_columns=2,
         kernel=(1, 1), stride=(2, 2), paths=FEW),
    Case("pixels apart", c=(40, 5), o=(52, 3), size=(7, 1), more_columns=2, kernel=(1, 1),
         stride=(2, 2), padding=(0, 0), paths=SUBSAMPLED),
    Case("pixels farther apart than the image is wide", c=(40, 0), o=(52, 0), size=(9, 4),
         kernel=(1, 1), stride=(4, 5), padding=(0, 0), biased=False,
         paths=SUBSAMPLED),
    Case("pixels apart, groups", c=(40, 1), o=(26, 2), size=(4, 5), groups=2, kernel=(1, 1),
         stride=(2, 1), padding=(0, 0), paths=None),
    Case("pixels apart, no images", n=0, c=(46, 0), o=(46, 0), kernel=(1, 1), stride=(2, 2),
         padding=(0, 0), paths=None),
    Case("pixels apart, few channels", n=3, c=(0, 2), o=(0, 3), size=(8, 3), more_columns=3,
         kernel=(1, 1), stride=(1, 2), padding=(0, 0), paths=FEW),
    Case("stride greater than the kernel", c=(0, 3), o=(0, 3), size=(11, 13), kernel=(2, 1),
         stride=(4, 3), padding=(0, 0), paths=FEW),
    Case("dilation, by channels", c=(1, 1), o=(1, 2), size=(8, 11), dilation=(2, 3), paths=MANY),
    Case("dilation and stride, by channels", c=(2, 0), o=(2, 0), size=(13, 11), stride=(2, 3),
         dilation=(3, 2), paths=None),
    Case("dilation, by positions", c=(0, 2), o=(0, 3), size=(8, 2), more_columns=3,
         dilation=(2, 3), paths=FEW),
    Case("dilation and stride, by positions", c=(0, 2), o=(0, 3), size=(13, 2), more_columns=4,
         stride=(3, 2), dilation=(2, 3), paths=FEW),
    Case("groups, by channels", c=(1, 3), o=(1, 1), groups=2, paths=MANY),
    Case("groups, by positions", c=(0, 2), o=(0, 3), groups=3, more_columns=1, paths=FEW),
    Case("depthwise", c=(0, 1), o=(0, 1), groups=7, more_columns=2, paths=DEPTHWISE),
    Case("depthwise, narrow, uneven padding", c=(0, 1), o=(0, 1), groups=3, size=(4, 3),
         padding=(0, 2), biased=False, paths=DEPTHWISE),
    Case("depthwise, many rows", c=(0, 1), o=(0, 1), groups=2, size=(140, 60), paths=DEPTHWISE),
    Case("depthwise, many channels", n=3, c=(0, 1), o=(0, 1), groups=35, size=(4, 5),
         paths=DEPTHWISE),
    Case("depthwise, stride and two multiples", c=(0, 1), o=(0, 2), groups=5, more_columns=3,
         stride=(2, 2), paths=FEW),
    Case("tile of six rows", c=(0, 2), o=(0, 6), more_columns=2, padding=(0, 0), paths=None),
    Case("tiles of six and four rows", c=(0, 1), o=(0, 10), size=(9, 3), more_columns=1,
         padding=(0, 0), biased=False, paths=None),
    Case("tiles of four rows and one", c=(0, 2), o=(0, 7), more_columns=1, paths=None),
    Case("rows shorter than a vector", n=3, c=(0, 2), o=(0, 7), size=(6, 3), paths=None),
    Case("one column", c=(0, 2), o=(0, 3), size=(5, 1), padding=(1, 1), paths=FEW),
    Case("nothing to copy", c=(0, 2), o=(0, 3), size=(6, 2), more_columns=2, padding=(0, 0),
         paths=FEW),
    Case("blocks by positions", n=1, c=(0, 2), o=(0, 3), size=(150, 2), more_columns=4, paths=FEW),
    Case("large kernel", n=1, c=(0, 3), o=(0, 3), size=(15, 20), kernel=(7, 7), padding=(3, 3),
         paths=FEW),
    Case("taps that overlap", c=(0, 3), o=(0, 24), padding=(0, 0), paths=OVERLAP),
    Case("taps that overlap, one image", n=1, c=(0, 20), o=(0, 26), size=(11, 10), kernel=(5, 4),
         padding=(1, 0), paths=OVERLAP),
    Case("taps that overlap, many images", n=17, c=(0, 4), o=(0, 25), size=(8, 9), kernel=(4, 5),
         padding=(0, 1), biased=False, paths=OVERLAP),
    Case("taps that overlap, wide", c=(0, 3), o=(0, 24), size=(9, 3), more_columns=2,
         kernel=(5, 5), padding=(1, 0), paths=OVERLAP),
    Case("taps that overlap, wide margins on the sides", c=(0, 3), o=(0, 24), size=(7, 9),
         kernel=(5, 3), padding=(0, 3), paths=OVERLAP),
    Case("taps that overlap, blocks of channels", n=16, c=(0, 33), o=(0, 40), size=(17, 17),
         kernel=(9, 9), padding=(2, 1), paths=OVERLAP),
    Case("no images", n=0, c=(1, 1), o=(1, 1), paths=(None, None, None)),
    Case("no channels", c=(0, 0), o=(1, 1), paths=None),
    Case("no filters", c=(1, 1), o=(0, 0), paths=None),
    Case("pointwise", c=(0, 5), o=(0, 7), size=(6, 1), more_columns=1, kernel=(1, 1),
         padding=(0, 0), paths=None),
    Case("pointwise, many channels", n=3, c=(2, 5), o=(3, 7), size=(8, 1), more_columns=1,
         kernel=(1, 1), padding=(0, 0), paths=(PRODUCT, PRODUCT, "weight_by_channels")),
    Case("pointwise, many terms, planes side by side", n=3, c=(8, 1), o=(8, 3), size=(3, 1),
         more_columns=1, kernel=(1, 1), padding=(0, 0),
         paths=(PRODUCT, PRODUCT, "weight_by_channels")),
    Case("pointwise, no filters", c=(1, 1), o=(0, 0), more_columns=1, kernel=(1, 1),
         padding=(0, 0), paths=None),
    Case("pointwise, no channels", c=(0, 0), o=(1, 1), more_columns=1, kernel=(1, 1),
         padding=(0, 0), paths=None),
    Case("pointwise, small planes", n=5, c=(0, 70), o=(0, 65), size=(2, 2), kernel=(1, 1),
         padding=(0, 0), paths=None),
    Case("pointwise, groups", c=(0, 3), o=(0, 3), groups=2, more_columns=2, kernel=(1, 1),
         padding=(0, 0), paths=FEW),
    Case("pointwise with padding", c=(0, 3), o=(0, 3), more_columns=2, kernel=(1, 1), paths=FEW),
    Case("Winograd", c=(0, 32), o=(0, 32), size=(9, 11), paths=ALL_WINOGRAD),
    Case("Winograd without padding", c=(0, 32), o=(0, 36), size=(8, 7), padding=(0, 0),
         biased=False, paths=ALL_WINOGRAD),
    Case("Winograd, wide margins", c=(0, 36), o=(0, 32), size=(5, 6), padding=(2, 2),
         paths=ALL_WINOGRAD),
    Case("Winograd, uneven padding", c=(0, 32), o=(0, 32), size=(6, 5), padding=(2, 0),
         paths=ALL_WINOGRAD),
    Case("Winograd, several images in a task", n=9, c=(0, 32), o=(0, 68), size=(3, 5),
         paths=ALL_WINOGRAD),
    Case("Winograd, several tasks", n=3, c=(0, 32), o=(0, 32), size=(26, 27), paths=ALL_WINOGRAD),
    Case("Winograd, long rows", n=1, c=(0, 32), o=(0, 32), size=(3, 230), paths=ALL_WINOGRAD),
    Case("Winograd, whole vectors", c=(0, 32), o=(0, 32), size=(5, 2), more_columns=2,
         paths=ALL_WINOGRAD),
    Case("Winograd, vectors of tiles", n=3, c=(0, 16), o=(0, 16), size=(6, 0), more_columns=2,
         paths=ALL_WINOGRAD),
    Case("Winograd, vectors of tiles and an odd row", c=(0, 20), o=(0, 20), size=(5, 0),
         more_columns=2, paths=ALL_WINOGRAD),
    Case("Winograd, many weights", c=(0, 260), o=(0, 256), size=(4, 5), paths=ALL_WINOGRAD),
    Case("Winograd, whole vectors without padding", c=(0, 32), o=(0, 32), size=(6, 4),
         more_columns=2, padding=(0, 0), paths=ALL_WINOGRAD),
    Case("Winograd, dilation", c=(0, 32), o=(0, 36), size=(9, 11), padding=(2, 2),
         dilation=(2, 2), paths=ALL_WINOGRAD),
    Case("Winograd, dilation, uneven padding", n=3, c=(0, 36), o=(0, 32), size=(8, 5),
         padding=(3, 6), dilation=(3, 3), paths=ALL_WINOGRAD),
    Case("Winograd by 4, dilation", n=1, c=(0, 32), o=(0, 32), size=(19, 24), padding=(2, 4),
         dilation=(2, 2), tile=4, paths=WINOGRAD4),
    Case("Winograd by none for phases that differ", c=(0, 32), o=(0, 32), size=(9, 8),
         dilation=(2, 2), paths=MANY),
    Case("Winograd, one pixel", n=2, c=(0, 32), o=(0, 32), size=(1, 1), paths=ALL_WINOGRAD),
    Case("Winograd, one result", n=1, c=(0, 32), o=(0, 32), size=(3, 3), padding=(0, 0),
         paths=ALL_WINOGRAD),
    Case("Winograd one way", c=(0, 33), o=(0, 32), size=(5, 7),
         paths=(WINOGRAD, CHANNELS, "winograd_weight_grad")),
    Case("Winograd by none", c=(0, 32), o=(0, 32), size=(5, 7), tile=0, paths=MANY),
    Case("Winograd by 4", c=(0, 32), o=(0, 36), size=(9, 11), tile=4, biased=False,
         paths=WINOGRAD4),
    Case("Winograd by 4, wide margins", c=(0, 36), o=(0, 32), size=(7, 8), padding=(2, 2), tile=4,
         paths=WINOGRAD4),
    Case("Winograd by 4, uneven padding", c=(0, 32), o=(0, 32), size=(13, 10), padding=(0, 2),
         tile=4, paths=WINOGRAD4),
    Case("Winograd by 4, several images in a task", n=9, c=(0, 32), o=(0, 68), size=(3, 7),
         tile=4, paths=WINOGRAD4),
    Case("Winograd by 4, several tasks", n=3, c=(0, 40), o=(0, 32), size=(33, 35), tile=4,
         paths=WINOGRAD4),
    Case("Winograd by 4, long rows", n=1, c=(0, 32), o=(0, 32), size=(4, 330), tile=4,
         paths=WINOGRAD4),
    Case("Winograd by 4 but for tiny images", c=(0, 32), o=(0, 32), size=(2, 2), tile=4,
         paths=ALL_WINOGRAD),
]  # fmt: skip

BY_NAME = {case.name: case for case in CASES}


def arrays_of(config, dtype, biased, draw):
    """x, w, b, gy"""
    biases = (config.o * biased,)
    shapes = config.x_shape, config.w_shape, biases, config.y_shape
    return [draw(shape).astype(dtype) for shape in shapes]


def integers(seed):
    """Draws small ones, none of them 0, which would hide what is left out."""
    generator = np.random.default_rng(seed)

    def draw(shape):
        return generator.integers(1, 5, shape) * generator.choice([-1, 1], shape)

    return draw


def calls(config, x, w, b, gy):
    """(kernel, inputs, outputs, parameters) of the convolution and its two gradients."""
    parameters = config.stride, config.padding, config.dilation, config.groups
    dtype = x.dtype
    return [
        (conv.conv2d, [x, w, b], [(gy.shape, dtype)], *parameters),
        (conv.conv2d_input_grad, [gy, w], [(x.shape, dtype)], *parameters),
        (conv.conv2d_weight_grad, [gy, x], [(w.shape, dtype), (b.shape, dtype)], *parameters),
    ]


@contextmanager
def winograd_tile(size):
    before = get_winograd_tile()
    set_winograd_tile(size)
    try:
        yield
    finally:
        set_winograd_tile(before)


def roundings(arrays, options, dtype):
    """What all the products together, rounded to either side, could not err by."""
    sizes = conv_sums(*map(np.abs, arrays), *options)
    return [32 * np.finfo(dtype).eps * (1 + size) for size in sizes]


def results(found):
    """(y, gx, gw, gb) of what three calls have given"""
    return [found[0], found[1], *found[2]]


@pytest.fixture
def spoiled_workspaces():
    """What kernels find in their workspaces are NaNs, in either precision."""
    workspace.free_workspaces()
    workspace.workspace("memory", 1, 1 << 20, np.dtype(np.float32))
    for name in ("points", "packed", "weight sums", "panel"):
        workspace.workspace(name, 1, 1 << 18, np.dtype(np.float32))

    def spoil():
        for block in workspace.kept.blocks.values():
            block[:] = 0xFF

    spoil()
    return spoil


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_path_computes_the_definition(name, dtype, spoiled_workspaces):
    case = BY_NAME[name]
    config = case.conv(dtype)
    arrays = arrays_of(config, dtype, case.biased, integers(1))
    found = []
    with winograd_tile(case.tile):
        for arguments in calls(config, *arrays):
            spoiled_workspaces()
            found.append(call(*arguments))
    options = config.stride, config.padding, config.dilation, config.groups
    expected, errors = conv_sums(*arrays, *options), roundings(arrays, options, dtype)
    names = ("y", "gx", "gw", "gb")
    for what, value, wanted, error in zip(names, results(found), expected, errors, strict=True):
        # Among the factors of tiles of 4 are thirds.
        exact = case.tile < 4 or what in ("gw", "gb")
        assert np.all(np.abs(value - wanted) <= (0 if exact else error)), what


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_path_gives_equal_bits_on_any_number_of_threads(name, dtype):
    case = BY_NAME[name]
    generator = np.random.default_rng(2)
    config = case.conv(dtype)
    arrays = arrays_of(config, dtype, case.biased, lambda shape: generator.normal(size=shape))
    with winograd_tile(case.tile):
        pairs = [call_on_threads(*arguments) for arguments in calls(config, *arrays)]
    one, several = (results([pair[k] for pair in pairs]) for k in range(2))
    for what, first, second in zip(("y", "gx", "gw", "gb"), one, several, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=what)
    options = config.stride, config.padding, config.dilation, config.groups
    expected, errors = conv_sums(*arrays, *options), roundings(arrays, options, dtype)
    for value, wanted, error in zip(one, expected, errors, strict=True):
        assert np.all(np.abs(value - wanted) <= error)


def test_what_is_infinite_stays_in_its_window_of_a_depthwise_convolution():
    config = BY_NAME["depthwise"].conv(np.float32)
    x, w, b, gy = arrays_of(config, np.float32, True, integers(4))
    x[0, :, -1, -1] = np.inf
    found = results([call(*arguments) for arguments in calls(config, x, w, b, gy)])
    options = config.stride, config.padding, config.dilation, config.groups
    for value, wanted in zip(found, conv_sums(x, w, b, gy, *options), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_errors_of_winograds_algorithm_are_as_stated():
    generator = np.random.default_rng(3)
    config = Conv(2, 64, 64, (30, 30), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    arrays = arrays_of(config, np.float32, True, lambda shape: generator.normal(size=shape))
    expected = conv_sums(*arrays, config.stride, config.padding, config.dilation, config.groups)
    errors = {}
    for tile in (0, 2, 4):
        with winograd_tile(tile):
            found = results([call(*arguments) for arguments in calls(config, *arrays)])
        errors[tile] = np.array(
            [np.abs(a - b).max() / b.std() for a, b in zip(found, expected, strict=True)]
        )
    assert np.all(errors[2] < 1.5 * errors[0])
    assert np.all(errors[4][:2] < 20 * errors[0][:2])
    # It is another algorithm.
    assert np.all(errors[4][:2] > 3 * errors[2][:2])
    np.testing.assert_array_equal(errors[4][2:], errors[2][2:])


@pytest.mark.parametrize("size", [1, 3, -2, 2.5, "4", None, True])
def test_winograd_tiles_of_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="expects 0, 2 or 4"):
        set_winograd_tile(size)
    assert get_winograd_tile() == 2


KERNELS = [k for k, value in vars(conv).items() if isinstance(value, TaskKernel | Kernel)]
KERNELS.append(PRODUCT)


@pytest.fixture
def recorded(monkeypatch):
    """A list of the names of the kernels that are called, none of which runs, and of the kinds of
    tables that they are called with."""
    called = []

    def recorder(name):
        return lambda *args, **kwargs: called.append(name)

    for name in KERNELS:
        monkeypatch.setattr(conv, name, recorder(name))
    make = conv.geometry

    def geometry(*args):
        plan = make(*args)
        called.append("copied" if plan.copied else "in place")
        called.append("phases" if plan.phases > 1 else "one phase")
        called.append("blocks" if plan.tables[BLOCKS] > 1 else "one block")
        return plan

    monkeypatch.setattr(conv, "geometry", geometry)
    return called


def recordings(case, dtype, called):
    """What each of the three calls records."""
    config = case.conv(dtype)
    arrays = arrays_of(config, dtype, case.biased, np.zeros)
    found = []
    for kernel, inputs, outputs, *parameters in calls(config, *arrays):
        called.clear()
        workspace.kept.repeats.clear()  # the driver is to decide anew
        with winograd_tile(case.tile), np.errstate(all="ignore"):  # sums that no kernel has written
            kernel(*inputs, *(np.empty(*output) for output in outputs), *parameters)
        found.append(" ".join(called))
    return found


@pytest.mark.parametrize("name", [case.name for case in CASES if case.paths])
def test_shapes_take_their_paths(name, recorded):
    if processor.VECTOR_BYTES < 32:
        pytest.skip("channels fill short vectors more often")
    case = BY_NAME[name]
    for found, path in zip(recordings(case, np.float32, recorded), case.paths, strict=True):
        assert (path in found) if path else (found == "")


def test_the_cases_reach_every_path(recorded):
    found = [call for case in CASES for call in recordings(case, np.float32, recorded)]
    for kernel in KERNELS:
        assert any(kernel in call.split() for call in found), kernel
    wanted = ["copied", "in place", "blocks", "one block"]
    for path in (CHANNELS, POSITIONS):
        for kind in (*wanted, "phases"):
            assert any(path in call and kind in call for call in found), (path, kind)
