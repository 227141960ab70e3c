"""Layers that work on images and sequences against PyTorch's: text, state, outputs, gradients and
errors."""

import pickle

import numpy as np
import pytest

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn

from .test_layers import copied

IMAGE, LINE = (2, 4, 9, 8), (2, 4, 9)


def layer(name, *args, shape=IMAGE, **options):
    """A layer's name and arguments, and the shape it is given."""
    return name, args, options, shape


def line(name, *args, **options):
    return layer(name, *args, shape=LINE, **options)


LAYERS = [
    line("Conv1d", 4, 6, 3),
    line("Conv1d", 4, 6, (3,), 2, 1, 2, 2, False),
    line("Conv1d", 4, 6, 4, padding="same", dilation=[2]),
    line("Conv1d", 4, 6, 3, padding=(2,), padding_mode="reflect"),
    line("Conv1d", 4, 6, 4, padding="same", padding_mode="replicate"),
    layer("Conv1d", 4, 6, 3, padding="valid", padding_mode="circular", shape=(4, 9)),
    layer("Conv1d", 4, 6, 3, shape=(0, 4, 9)),
    *[
        layer("Conv2d", 4, 6, (3, 2), padding=(2, 1), padding_mode=mode)
        for mode in ["reflect", "replicate", "circular"]
    ],
    layer("Conv2d", 4, 6, (4, 3), padding="same", padding_mode="reflect", dilation=(1, 2)),
    layer("Conv2d", 4, 6, 3, 2, 1, 1, 2, True, "circular", shape=(4, 9, 8)),
    line("ConvTranspose1d", 4, 6, 3),
    line("ConvTranspose1d", 4, 6, 3, 2, 1, 1, 2, False, 2),
    layer("ConvTranspose1d", 4, 6, [3], shape=(4, 9)),
    layer("ConvTranspose2d", 4, 6, 3),
    layer("ConvTranspose2d", 4, 6, (4, 3), (2, 3), (1, 0), (0, 2), 2, True, (1, 2)),
    layer("ConvTranspose2d", 4, 6, 4, stride=2, padding=1, bias=False, shape=(4, 5, 3)),
    layer("ConvTranspose2d", 4, 6, 2, stride=2, shape=(0, 4, 5, 3)),
    # Pooling
    line("MaxPool1d", 3),
    line("MaxPool1d", (3,), 2, 1, 2, True, True),
    layer("MaxPool1d", 2, shape=(4, 9)),
    layer("MaxPool2d", (3, 2), stride=1, padding=1, return_indices=True),
    line("AvgPool1d", 3),
    line("AvgPool1d", [4], 2, (1,), True, False),
    layer("AvgPool1d", 2, shape=(4, 9)),
    line("LPPool1d", 2, 3),
    line("LPPool1d", 2.0, 3, stride=1, ceil_mode=True),
    layer("LPPool2d", 2, (3, 2)),
    layer("LPPool2d", float("inf"), 4, (3, 2), True),
    line("AdaptiveAvgPool1d", 4),
    layer("AdaptiveAvgPool1d", (5,), shape=(4, 9)),
    line("AdaptiveMaxPool1d", 4),
    line("AdaptiveMaxPool1d", output_size=3, return_indices=True),
    layer("AdaptiveMaxPool2d", 1),
    layer("AdaptiveMaxPool2d", (5, None), True),
    layer("AdaptiveMaxPool2d", 4, shape=(4, 9, 8)),
    # Padding
    *[
        line(f"{kind}Pad1d", padding)
        for kind in ["Circular", "Reflection", "Replication", "Zero"]
        for padding in [2, (3, -1)]
    ],
    *[
        layer(f"{kind}Pad2d", padding)
        for kind in ["Circular", "Reflection", "Replication", "Zero"]
        for padding in [1, (3, -1, 0, 2)]
    ],
    line("ConstantPad1d", (1, 2), 3.5),
    layer("ConstantPad2d", padding=2, value=-1),
    layer("ReflectionPad2d", 2, shape=(4, 9, 8)),
    # Resizing
    layer("Upsample", scale_factor=2),
    layer("Upsample", (5, 11)),
    layer("Upsample", None, (1.5, 2), "bilinear", True),
    layer("Upsample", scale_factor=1.7, mode="bicubic", recompute_scale_factor=True),
    line("Upsample", 5, mode="linear", align_corners=False),
    layer("UpsamplingNearest2d", scale_factor=(2, 3)),
    layer("UpsamplingBilinear2d", 12),
    # Windows and channels
    layer("Unfold", 3),
    layer("Unfold", (2, 3), (1, 2), 1, 2),
    layer("Fold", (9, 8), 3, shape=(2, 18, 42)),
    layer("Fold", 4, (2, 1), dilation=2, padding=(1, 0), stride=(2, 1), shape=(6, 8)),
    layer("PixelShuffle", 2),
    layer("PixelUnshuffle", 3, shape=(4, 9, 6)),
    layer("ChannelShuffle", 2),
]


def named(case):
    name, args, options, shape = case
    given = [*map(repr, args), *[f"{k}={v!r}" for k, v in options.items()]]
    return f"{name}({', '.join(given)}) {shape}"


@pytest.fixture(scope="module")
def pytorch():
    return pytest.importorskip("torch")


def made(t, case):
    name, args, options, _ = case
    return getattr(t.nn, name)(*args, **options)


def listed(outputs):
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("case", LAYERS, ids=named)
def test_layers_are_pytorchs(case, pytorch):
    ours, theirs = made(mt, case), made(pytorch, case)
    assert repr(ours) == repr(theirs)
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    copied(pytorch, ours, theirs)
    values = np.random.default_rng(4).standard_normal(case[-1])
    found = []
    for t, module in ((mt, ours), (pytorch, theirs)):
        x = t.tensor(values, requires_grad=True)
        outputs = listed(module(x))
        y = outputs[0]
        direction = t.tensor(np.random.default_rng(5).standard_normal(tuple(y.shape)))
        y.backward(direction)
        gradients = [x.grad, *[p.grad for p in module.parameters()]]
        found.append([v.detach().numpy() for v in [*outputs, *gradients]])
    for actual, expected in zip(*found, strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", LAYERS, ids=named)
def test_layers_survive_pickling(case):
    before = made(mt, case)
    assert repr(pickle.loads(pickle.dumps(before))) == repr(before)


@pytest.mark.parametrize("dims", [1, 2])
def test_unpooling_layers_are_pytorchs(dims, pytorch):
    values = np.random.default_rng(0).standard_normal((2, 3, 9, 8)[: dims + 2])
    found = []
    for t in (mt, pytorch):
        pool = getattr(t.nn, f"MaxPool{dims}d")(3, 2, 1, return_indices=True)
        undo = getattr(t.nn, f"MaxUnpool{dims}d")(3, 2, padding=1)
        x = t.tensor(values, requires_grad=True)
        y = undo(*pool(x), output_size=x.shape)
        (y * y).sum().backward()
        found.append([repr(undo), y.detach().tolist(), x.grad.tolist()])
    assert found[0] == found[1]


@pytest.mark.parametrize("options", [{"output_size": (4, 3)}, {"output_ratio": (0.7, 0.5)}])
def test_fractional_pooling_is_pytorchs_for_the_same_samples(options, pytorch):
    values = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    samples = np.random.default_rng(1).uniform(size=(2, 3, 2))
    found = []
    for t in (mt, pytorch):
        pool = t.nn.FractionalMaxPool2d(
            (3, 2), return_indices=True, _random_samples=t.tensor(samples), **options
        )
        y, places = pool(t.tensor(values))
        found.append([repr(pool), [*pool.state_dict()], y.tolist(), places.tolist()])
    assert found[0] == found[1]


@pytest.mark.parametrize("size", [(0, 3), (5, 0), (0, 0)])
def test_pooling_to_nothing_is_as_in_pytorch(size, pytorch):
    found = []
    for t in (mt, pytorch):
        x = t.ones(1, 2, 9, 7)
        pooled = [
            *t.nn.functional.adaptive_max_pool2d(x, size, return_indices=True),
            t.nn.functional.adaptive_avg_pool2d(x, size),
            t.nn.functional.fractional_max_pool2d(x, 2, size),
        ]
        found.append([tuple(y.shape) for y in pooled])
    assert found[0] == found[1]


def test_fractional_pooling_draws_windows_that_cover_the_image():
    mt.manual_seed(0)
    pool = nn.FractionalMaxPool2d(2, output_ratio=0.6, return_indices=True)
    x = mt.arange(400.0).reshape(4, 1, 10, 10)
    y, places = pool(x)
    assert y.shape == (4, 1, 6, 6)
    assert (y[:, 0, -1, -1] == mt.tensor([99.0, 199.0, 299.0, 399.0])).all()
    assert len({tuple(plane.flatten().tolist()) for plane in places}) > 1
    mt.manual_seed(0)
    assert mt.equal(pool(x)[0], y)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("upsample", {"scale_factor": 2, "mode": "bilinear", "align_corners": True}),
        ("upsample_nearest", {"size": (4, 5)}),
        ("upsample_bilinear", {"scale_factor": 1.5}),
    ],
)
def test_older_names_of_interpolate_warn(name, options, pytorch):
    found = []
    for t in (mt, pytorch):
        with pytest.warns(UserWarning, match=f"`nn.functional.{name}` is deprecated"):
            found.append(getattr(t.nn.functional, name)(t.ones(1, 1, 3, 4), **options).tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearest_places_are_pytorchs_whatever_the_rounding(dtype, pytorch):
    for n in range(1, 40):
        x = np.arange(n, dtype=dtype)[None, None]
        for m in range(1, 60):
            for mode in ("nearest", "nearest-exact"):
                ours, theirs = (
                    t.nn.functional.interpolate(t.from_numpy(x), m, mode=mode)
                    for t in (mt, pytorch)
                )
                assert ours.tolist() == theirs.tolist(), (n, m, mode)


def test_sampling_asks_for_the_corners(pytorch):
    for t in (mt, pytorch):
        x, theta = t.ones(1, 1, 2, 2), t.eye(2, 3)[None]
        with pytest.warns(UserWarning, match="align_corners"):
            grid = t.nn.functional.affine_grid(theta, (1, 1, 2, 2))
        with pytest.warns(UserWarning, match="align_corners"):
            assert t.nn.functional.grid_sample(x, grid).tolist() == x.tolist()


NAMES = [
    "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
    "avg_pool1d",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "max_pool1d",
    "max_pool2d",
    "pixel_shuffle",
    "pixel_unshuffle",
]


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_pytorchs_of_the_package_too(name, pytorch):
    assert callable(getattr(pytorch, name))
    assert getattr(mt, name) is getattr(F, name)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_large_images_are_resized_as_their_rows_and_columns_are(mode):
    """By products of matrices, made of images so small that no threads are used for them."""
    x = np.random.default_rng(0).standard_normal((2, 2, 200, 300))
    ways = [
        F.interpolate(mt.eye(n, dtype=mt.float64)[None, None], (m, n), mode=mode).numpy()[0, 0]
        for n, m in [(200, 150), (300, 500)]
    ]
    y = mt.from_numpy(x).requires_grad_()
    found = F.interpolate(y, (150, 500), mode=mode)
    np.testing.assert_allclose(found.detach().numpy(), ways[0] @ x @ ways[1].T, atol=1e-12)
    direction = np.random.default_rng(1).standard_normal((2, 2, 150, 500))
    found.backward(mt.from_numpy(direction))
    np.testing.assert_allclose(y.grad.numpy(), ways[0].T @ direction @ ways[1], atol=1e-12)


def test_tuples_of_options(pytorch):
    from minitorch_cnn.nn.modules.utils import _pair, _quadruple, _reverse_repeat_tuple, _single

    theirs = pytorch.nn.modules.utils
    for make in (_single, _pair, _quadruple):
        for value in (3, (1, 2), [4], "ab"):
            assert make(value) == getattr(theirs, make.__name__)(value)
    assert _reverse_repeat_tuple((1, 2), 2) == theirs._reverse_repeat_tuple((1, 2), 2)


def test_padding_and_resizing_by_copies_keep_what_is_exact():
    x = mt.tensor([[[1e30, -1e-30, 3.0]]])
    assert F.pad(x, (2, 2), "reflect").flatten().tolist()[2:5] == x.flatten().tolist()
    assert F.interpolate(x, 6).flatten().tolist()[::2] == x.flatten().tolist()


OUTPUT_SIZES = [(18, 16), (19, 17), [2, 6, 18, 17]]


@pytest.mark.parametrize("size", OUTPUT_SIZES)
def test_transposed_convolutions_take_an_output_size(size, pytorch):
    found = []
    for t in (mt, pytorch):
        convolution = t.nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1)
        found.append(tuple(convolution(t.ones(2, 4, 9, 8), output_size=size).shape))
    assert found[0] == found[1] == (2, 6, *size[-2:])


def test_default_weights_have_pytorchs_spread(pytorch):
    for case in [line("Conv1d", 8, 40, 9), layer("ConvTranspose2d", 40, 8, 5)]:
        ours, theirs = (abs(made(t, case).weight).max().item() for t in (mt, pytorch))
        assert ours == pytest.approx(theirs, rel=0.05)


def test_changed_weights_go_through_conv_forward():
    convolution = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    x, weight = mt.ones(1, 1, 4, 4), mt.ones(1, 1, 3, 3)
    assert convolution._conv_forward(x, weight, None).tolist() == (9 * x).tolist()


REFUSED = [
    (lambda t: t.nn.Conv1d(3, 4, 3, groups=2), "in_channels"),
    (lambda t: t.nn.Conv1d(4, 4, 3, padding="full"), "'full'"),
    (lambda t: t.nn.Conv1d(4, 4, 3, stride=2, padding="same"), r"\(2,\)"),
    (lambda t: t.nn.Conv2d(4, 4, 3, padding_mode="mirror"), "'mirror'"),
    (lambda t: t.nn.Conv1d(4, 4, 3)(t.zeros(1, 3, 9)), "3 channels"),
    (lambda t: t.nn.Conv1d(4, 4, 3)(t.zeros(1, 4, 9, 9)), r"\[1, 4, 9, 9\]"),
    (lambda t: t.nn.Conv1d(4, 4, 3)(t.zeros(1, 4, 2)), r"\(3,\).*\(2,\)"),
    (lambda t: t.nn.Conv1d(1, 1, 2, stride=0)(t.zeros(1, 1, 4)), r"\(0,\)"),
    (
        lambda t: t.nn.Conv2d(1, 1, 3, padding=4, padding_mode="reflect")(t.zeros(1, 1, 4, 4)),
        r"\(4, 4\)",
    ),
    (lambda t: t.nn.ConvTranspose2d(4, 4, 3, groups=3), "3"),
    (lambda t: t.nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"), "'reflect'"),
    (lambda t: t.nn.ConvTranspose2d(4, 4, 3)(t.zeros(1, 3, 4, 4)), "3 channels"),
    (lambda t: t.nn.ConvTranspose2d(4, 4, 3)(t.zeros(3, 4)), r"\[3, 4\]"),
    (lambda t: t.nn.ConvTranspose2d(1, 1, 3, 2, 0, 2)(t.zeros(1, 1, 4, 4)), r"\(2, 2\)"),
    (lambda t: t.nn.ConvTranspose2d(1, 1, 3, padding=3)(t.zeros(1, 1, 2, 2)), r"\(-2, -2\)"),
    (lambda t: t.nn.ConvTranspose2d(1, 1, 3, padding=-1)(t.zeros(1, 1, 2, 2)), r"\(-1, -1\)"),
    (lambda t: t.nn.ConvTranspose2d(1, 1, 3, 2)(t.zeros(1, 1, 4, 4), (8, 9)), r"\(8, 9\)"),
    (lambda t: t.nn.ConvTranspose2d(1, 1, 3, 2)(t.zeros(1, 1, 4, 4), (9,)), "got 1"),
    # Pooling
    (lambda t: t.nn.MaxPool1d(2)(t.zeros(4)), r"\[4\]"),
    (lambda t: t.nn.MaxPool1d(2)(t.zeros(1, 2, 3, 4)), r"\[1, 2, 3, 4\]"),
    (lambda t: t.nn.MaxPool1d((2, 2))(t.zeros(2, 4)), r"\(2, 2\)"),
    (lambda t: t.nn.MaxPool1d(2, padding=2)(t.zeros(2, 4)), r"\(2,\)"),
    (lambda t: t.nn.MaxPool1d(2, stride=0)(t.zeros(2, 4)), r"stride.*\(0,\)"),
    (lambda t: t.nn.AvgPool1d(5)(t.zeros(2, 4)), r"\(5,\).*\(4,\)"),
    (lambda t: t.nn.AvgPool1d(2)(t.zeros(2, 0, 4)), r"\[2, 0, 4\]"),
    (lambda t: t.nn.LPPool2d(0, 2)(t.zeros(2, 4, 4)), "division"),
    (lambda t: t.nn.AdaptiveAvgPool1d(None)(t.zeros(2, 4)), "None"),
    (lambda t: t.nn.AdaptiveMaxPool1d(-1)(t.zeros(2, 4)), r"\(-1,\)|\[-1\]"),
    (lambda t: t.nn.AdaptiveMaxPool2d((1, 2, 3))(t.zeros(1, 2, 4, 4)), r"\(1, 2, 3\)"),
    (lambda t: t.nn.AdaptiveMaxPool2d(2)(t.zeros(2, 0, 4, 4)), r"\[2, 0, 4, 4\]"),
    (lambda t: t.nn.FractionalMaxPool2d(2), "size or"),
    (lambda t: t.nn.FractionalMaxPool2d(2, 3, 0.5), "3 and 0.5"),
    (lambda t: t.nn.FractionalMaxPool2d(2, output_ratio=1.5), "1.5"),
    (lambda t: t.nn.FractionalMaxPool2d(3, 3)(t.zeros(1, 1, 4, 4)), r"\(3, 3\)"),
    (
        lambda t: t.nn.FractionalMaxPool2d(2, 2, _random_samples=t.zeros(1, 2, 2))(
            t.zeros(1, 1, 4, 4)
        ),
        r"\[1, 2, 2\]",
    ),
    (
        lambda t: t.nn.MaxUnpool2d(2)(t.zeros(1, 2, 2), t.zeros(1, 2, 2).int()),
        "int32",
    ),
    (lambda t: t.nn.MaxUnpool2d(2)(t.zeros(1, 2, 2), t.zeros(1, 2, 1).long()), r"\[1, 2, 1\]"),
    (lambda t: t.nn.MaxUnpool2d(2)(t.zeros(1, 2, 2), t.zeros(1, 2, 2).long() + 16), "16"),
    (lambda t: t.nn.MaxUnpool2d(2)(t.zeros(1, 2, 2), t.zeros(1, 2, 2).long() - 1), "-1"),
    (
        lambda t: t.nn.MaxUnpool2d(2)(t.zeros(1, 2, 2), t.zeros(1, 2, 2).long(), (4, 7)),
        r"\(4, 7\)",
    ),
    # Resizing
    *[
        (lambda t, given=given: t.nn.functional.interpolate(t.ones(1, 2, 3, 4), **given), text)
        for given, text in [
            ({}, "either"),
            ({"size": 2, "scale_factor": 2}, "only one"),
            ({"size": (2, 2, 2)}, r"\[3, 4\]"),
            ({"size": 2.5}, "2.5"),
            ({"size": 0}, r"\(0, 0\)"),
            ({"scale_factor": 0.1}, r"\(0, 0\)"),
            ({"scale_factor": "2"}, "'2'"),
            ({"size": 2, "recompute_scale_factor": True}, "2"),
            ({"size": 2, "align_corners": False}, "'nearest'"),
            ({"size": 2, "mode": "linear"}, "4 dimensions.*'linear' needs 3"),
            ({"size": 2, "mode": "smooth"}, "'smooth'"),
            ({"size": 2, "antialias": True}, "'nearest'"),
            ({"size": 2, "mode": "lanczos"}, "lanczos"),
        ]
    ],
    (lambda t: t.nn.Upsample(2)(t.ones(3, 4)), "2 dimensions"),
    (lambda t: t.nn.Upsample(2)(t.ones(1, 0, 3, 4)), r"\[1, 0, 3, 4\]"),
    (lambda t: t.nn.Upsample(2, mode="bilinear")(t.ones(1, 1, 3, 4).long()), "int64"),
    # Windows and channels
    (lambda t: t.nn.Unfold(5)(t.zeros(1, 1, 4, 4)), r"\(5, 5\).*\(4, 4\)"),
    (lambda t: t.nn.Unfold(2, stride=0)(t.zeros(1, 1, 4, 4)), r"\(0, 0\)"),
    (lambda t: t.nn.Unfold(2, padding=-1)(t.zeros(1, 1, 4, 4)), r"\(-1, -1\)"),
    (lambda t: t.nn.Unfold(2)(t.zeros(1, 0, 4, 4)), r"\[1, 0, 4, 4\]"),
    (lambda t: t.nn.Fold((3, 4), 2)(t.zeros(1, 8, 5)), "6 windows of 4"),
    (lambda t: t.nn.Fold((3, 4), 2)(t.zeros(1, 7, 6)), r"\[1, 7, 6\]"),
    (lambda t: t.nn.Fold((3, 4), 2)(t.zeros(6)), r"\[6\]"),
    (lambda t: t.nn.PixelShuffle(2)(t.zeros(1, 6, 2, 2)), "6 channels"),
    (lambda t: t.nn.PixelShuffle(0)(t.zeros(1, 4, 2, 2)), "0"),
    (lambda t: t.nn.PixelUnshuffle(2)(t.zeros(1, 4, 3, 2)), r"\[1, 4, 3, 2\]"),
    (lambda t: t.nn.PixelUnshuffle(2)(t.zeros(4, 2)), r"\[4, 2\]"),
    (lambda t: t.nn.ChannelShuffle(3)(t.zeros(1, 4, 3, 2)), "4 channels"),
    # Sampling
    *[
        (
            lambda t, x=x, grid=grid, given=given: t.nn.functional.grid_sample(
                t.zeros(x), t.zeros(grid), align_corners=False, **given
            ),
            text,
        )
        for x, grid, given, text in [
            ((1, 1, 2, 2), (1, 2, 2, 3), {}, r"\[1, 2, 2, 3\]"),
            ((1, 1, 2, 2), (2, 2, 2, 2), {}, r"\[2, 2, 2, 2\]"),
            ((1, 1, 2), (1, 2, 2, 2), {}, r"\[1, 1, 2\]"),
            ((1, 1, 2, 0), (1, 2, 2, 2), {}, r"\[1, 1, 2, 0\]"),
            ((1, 1, 2, 2), (1, 2, 2, 2), {"mode": "linear"}, "'linear'"),
            ((1, 1, 2, 2), (1, 2, 2, 2), {"padding_mode": "edge"}, "'edge'"),
        ]
    ],
    (lambda t: t.nn.functional.affine_grid(t.zeros(1, 2, 2), (1, 1, 2, 2), True), r"\[1, 2, 2\]"),
    (lambda t: t.nn.functional.affine_grid(t.zeros(1, 2, 3), (1, 1, 2, 0), True), "0"),
    (lambda t: t.nn.functional.affine_grid(t.zeros(1, 2, 3).long(), (1, 1, 2, 2), True), "int64"),
    # Padding
    (lambda t: t.nn.functional.pad(t.zeros(3), (1,)), r"\[1\]"),
    (lambda t: t.nn.functional.pad(t.zeros(3), (1, 1, 1, 1)), "4 and input of dimension 1"),
    (lambda t: t.nn.functional.pad(t.zeros(3), (-2, -2)), r"\(-2, -2\).*\[3\]"),
    (lambda t: t.nn.functional.pad(t.zeros(3), (1.0, 1)), "1.0"),
    (lambda t: t.nn.functional.pad(t.zeros(3).to(t.uint8), (1, 1), value=-1), "overflow"),
    (lambda t: t.nn.functional.pad(t.zeros(3), (1, 1), "mirror"), "mirror"),
    (lambda t: t.nn.functional.pad(t.zeros(3), (1, 1), "reflect"), "1 dimensions|1D"),
    (lambda t: t.nn.functional.pad(t.zeros(1, 3), (1, 1), "reflect", 2.0), "reflect"),
    (lambda t: t.nn.functional.pad(t.zeros(1, 3), (3, 0), "reflect"), r"\(3, 0\)"),
    (lambda t: t.nn.functional.pad(t.zeros(1, 3), (4, 0), "circular"), "more than once"),
    (lambda t: t.nn.functional.pad(t.zeros(1, 3), (-2, -1), "replicate"), "too small"),
    (lambda t: t.nn.functional.pad(t.zeros(1, 3, 0), (1, 1), "replicate"), r"\[1, 3, 0\]"),
    (lambda t: t.nn.functional.pad(t.zeros(1, 3) > 0, (1, 1), "reflect"), "truth values|Bool"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_are_refused_as_in_pytorch(case, pytorch):
    call, text = case
    with pytest.raises(Exception, match=r"\S") as theirs:
        call(pytorch)
    with pytest.raises(theirs.type, match=text):
        call(mt)
