"""Transforms of images as functions: against PyTorch's sampling, against Pillow, against formulas.

torchvision isn't needed: what it composes of PyTorch's and Pillow's functions is composed here.
"""

import colorsys
import math

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn.vision.transforms import InterpolationMode, planes
from minitorch_cnn.vision.transforms import functional as F

SIZES = [(5, 6), (30, 20), (13, 4), (14, 17), (1, 1)]
ANGLES = [0, 10, 90, 33.3, 180, -40, 270]


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


@pytest.fixture
def pil():
    return pytest.importorskip("PIL.Image")


def noise(*shape, dtype=np.uint8):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, 256, shape).astype(dtype)


# ---------------------------------------------------------------------- resizing


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_resizing_is_pytorchs_interpolation(pytorch, mode, antialias, size):
    exact = mode.startswith("nearest")
    options = {} if exact else {"antialias": antialias, "align_corners": False}
    for dtype in (np.float32, np.float64, np.uint8):
        pixels = noise(2, 3, 13, 17, dtype=dtype)
        there = pytorch.from_numpy(pixels)
        real = there.float() if dtype == np.uint8 else there
        expected = pytorch.nn.functional.interpolate(real, size, mode=mode, **options)
        if dtype == np.uint8:
            expected = expected.clamp(0, 255).round().byte()
        found = F.resize(mt.tensor(pixels), list(size), InterpolationMode(mode), None, antialias)
        assert found.numpy().dtype == dtype
        if dtype == np.uint8:  # a sum that rounds to a half may fall either way
            difference = np.abs(found.numpy().astype(int) - expected.numpy().astype(int))
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.01
        else:
            tolerance = 8 * np.finfo(dtype).eps
            np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "box", "lanczos", "hamming"])
def test_pil_images_are_resized_by_pillow_and_arrays_nearly_so(pil, mode, size):
    pixels = noise(13, 17, 3)
    image = pil.fromarray(pixels)
    found = F.resize(image, list(size), InterpolationMode(mode))
    assert found.size == size[::-1]
    expected = np.asarray(image.resize(size[::-1], getattr(pil.Resampling, mode.upper())))
    np.testing.assert_array_equal(np.asarray(found), expected)
    if mode in ("bilinear", "bicubic"):  # Pillow rounds, and cuts off, after each of two passes
        array = F.resize(pixels, list(size), InterpolationMode(mode))
        difference = np.abs(array.astype(int) - expected.astype(int))
        assert difference.max() <= (1 if mode == "bilinear" else 16)
        assert difference.mean() < 0.5
    elif mode != "nearest":
        with pytest.raises(ValueError, match=f"{mode}.*unsupported"):
            F.resize(pixels, list(size), InterpolationMode(mode))


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [(8, None, (8, 16)), ([8], None, (8, 16)), (8, 12, (6, 12)), ([4, 5], None, (4, 5))],
)
def test_sizes_by_the_smaller_edge(size, most, expected):
    assert F.resize(noise(20, 40), size, max_size=most).shape == expected
    flipped = F.resize(noise(40, 20), size, max_size=most).shape
    assert flipped == (expected if expected == (4, 5) else expected[::-1])


def test_what_resizing_refuses():
    for size, most, match in (
        ([1, 2, 3], None, "1 or 2 values"),
        ([1, 2], 5, "max_size should only"),
        (8, 8, "strictly greater"),
    ):
        with pytest.raises(ValueError, match=match):
            F.resize(noise(20, 40), size, max_size=most)
    with pytest.raises(TypeError, match="square"):
        F.resize(noise(2, 2), 1, "square")
    with pytest.raises(TypeError, match="Got <class 'list'>"):
        F.resize([[1]], 1)
    assert F.resize(noise(4, 4), 2, 2).shape == (2, 2)  # Pillow's number of bilinear


# ---------------------------------------------------------------------- rotations


def sampled(pytorch, pixels, matrix, size, mode, fill):
    """What torchvision composes of `grid_sample`: the grid, the image and a mask beside it."""
    (height, width), (rows, columns) = pixels.shape[-2:], size
    theta = pytorch.tensor(matrix, dtype=pytorch.float64).reshape(1, 2, 3)
    base = pytorch.ones(1, rows, columns, 3, dtype=pytorch.float64)
    base[..., 0] = pytorch.linspace(0.5 - columns / 2, columns / 2 - 0.5, columns)
    base[..., 1] = pytorch.linspace(0.5 - rows / 2, rows / 2 - 0.5, rows)[:, None]
    scaled = theta.transpose(1, 2) / pytorch.tensor([0.5 * width, 0.5 * height])
    grid = base.view(1, rows * columns, 3).bmm(scaled).view(1, rows, columns, 2)
    image = pytorch.from_numpy(pixels)[None].double()
    both = pytorch.cat([image, pytorch.ones_like(image[:, :1])], 1)
    found = pytorch.nn.functional.grid_sample(
        both, grid, mode=mode, padding_mode="zeros", align_corners=False
    )
    found, mask = found[0, :-1], found[0, -1:]
    beyond = pytorch.tensor(fill, dtype=pytorch.float64).reshape(-1, 1, 1)
    if mode == "nearest":
        return pytorch.where(mask < 0.5, beyond, found).numpy()
    return (found * mask + (1 - mask) * beyond).numpy()


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("center", [None, (3, 5)])
def test_rotations_sample_as_pytorch(pytorch, angle, expand, mode, center):
    pixels = noise(3, 13, 17, dtype=np.float64)
    found = F.rotate(mt.tensor(pixels), angle, InterpolationMode(mode), expand, center).numpy()
    middle = (0, 0) if center is None else (center[0] - 17 / 2, center[1] - 13 / 2)
    matrix = planes.inverse_matrix(middle, -angle, (0, 0), 1.0, (0, 0))
    expected = sampled(pytorch, pixels, matrix, found.shape[1:], mode, [0.0])
    if mode == "bilinear":
        # Within a pixel of the edge torchvision weighs what is beyond twice; without a fill it does
        # not, and so not here.
        assert F.rotate(pixels[0], angle, InterpolationMode(mode)).shape == (13, 17)
        inside = (
            sampled(pytorch, np.ones((1, 13, 17)), matrix, found.shape[1:], mode, [0.0])[0]
            > 1 - 1e-9
        )
        np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=1e-9)
    else:
        # A place half-way between two pixels may fall to either.
        assert (found != expected).mean() < (0.01 if center else 1e-9)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("expand", [False, True])
def test_pil_images_are_rotated_by_pillow_and_arrays_nearly_so(pil, angle, expand):
    pixels = noise(16, 16, 3)
    image = pil.fromarray(pixels)
    found = F.rotate(image, angle, expand=expand, fill=(1, 2, 3))
    expected = image.rotate(angle, expand=expand, fillcolor=(1, 2, 3))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    if angle % 90 == 0:
        array = F.rotate(pixels, angle, expand=expand, fill=[1, 2, 3])
        np.testing.assert_array_equal(array, np.rot90(pixels, angle // 90 % 4))
        np.testing.assert_array_equal(array, np.asarray(expected))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("angle", "translate", "scale", "shear"),
    [(0, (2, -1), 1, 0), (30, (0, 0), 1.5, 0), (10, (1, 1), 0.7, (10, 20)), (0, (0, 0), 1, [15])],
)
def test_affine_maps_sample_as_pytorch(pytorch, mode, angle, translate, scale, shear):
    pixels = noise(3, 13, 17, dtype=np.float64)
    arguments = (angle, translate, scale, shear, InterpolationMode(mode))
    found = F.affine(mt.tensor(pixels), *arguments, fill=[0.5]).numpy()
    shears = (*np.atleast_1d(shear), 0)[:2]
    matrix = planes.inverse_matrix((0, 0), angle, translate, scale, shears)
    expected = sampled(pytorch, pixels, matrix, (13, 17), mode, [0.5])
    if mode == "bilinear":
        inside = sampled(pytorch, np.ones((1, 13, 17)), matrix, (13, 17), mode, [0.0])[0] > 1 - 1e-9
        found, expected = found[:, inside], expected[:, inside]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_affine_maps_move_scale_and_shear(pil):
    pixels = noise(8, 8)
    moved = F.affine(pixels, 0, (2, 1), 1.0, 0.0, fill=7)
    np.testing.assert_array_equal(moved[1:, 2:], pixels[:-1, :-2])
    assert (moved[0] == 7).all()
    assert (moved[:, :2] == 7).all()
    image = pil.fromarray(pixels)
    np.testing.assert_array_equal(np.asarray(F.affine(image, 0, (2, 1), 1.0, 0.0, fill=7)), moved)
    turned = F.affine(pixels, 90, (0, 0), 1.0, 0.0)
    np.testing.assert_array_equal(turned, np.rot90(pixels, -1))
    twice = F.affine(np.kron(pixels, np.ones((2, 2), np.uint8)), 0, (0, 0), 0.5, 0.0)
    np.testing.assert_array_equal(twice[4:12, 4:12], pixels)
    for arguments, match in (
        ((0, (1,), 1.0, 0.0), "translate"),
        ((0, (0, 0), 0.0, 0.0), "scale"),
        ((0, (0, 0), 1.0, (1, 2, 3)), "Shear"),
    ):
        with pytest.raises(ValueError, match=match):
            F.affine(pixels, *arguments)


# ---------------------------------------------------------------------- margins and windows


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("sides", [2, (1, 2), (1, 2, 3, 0)])
def test_margins_are_numpys(pil, mode, sides):
    pixels = noise(6, 5, 3)
    left, top, right, bottom = np.resize(sides, 4) if not isinstance(sides, int) else [sides] * 4
    around = ((top, bottom), (left, right), (0, 0))
    expected = np.pad(pixels, around, mode)
    np.testing.assert_array_equal(F.pad(pixels, sides, 0, mode), expected)
    np.testing.assert_array_equal(
        np.asarray(F.pad(pil.fromarray(pixels), sides, 0, mode)), expected
    )
    tensor = F.pad(mt.tensor(pixels.transpose(2, 0, 1)), sides, 0, mode)
    np.testing.assert_array_equal(tensor.numpy(), expected.transpose(2, 0, 1))


def test_fills_and_negative_margins(pil):
    pixels = noise(4, 4, 3)
    padded = F.pad(pixels, (-1, 1), fill=(1, 2, 3))
    assert padded.shape == (6, 2, 3)
    assert padded[0, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(padded[1:5], pixels[:, 1:3])
    image = F.pad(pil.fromarray(pixels), 1, fill=(1, 2, 3))
    assert image.getpixel((0, 0)) == (1, 2, 3)
    for sides, mode, match in ((1, "wrap", "wrap"), ((1, 2, 3), "constant", "element tuple")):
        with pytest.raises(ValueError, match=match):
            F.pad(pixels, sides, 0, mode)
    with pytest.raises(ValueError, match=r"fill \(1, 2\) does not fit 3 channels"):
        F.pad(pixels, 1, (1, 2))


def test_windows(pil):
    pixels = noise(7, 6, 3)
    image, tensor = pil.fromarray(pixels), mt.tensor(pixels.transpose(2, 0, 1))
    whole = np.pad(pixels, ((3, 9), (3, 9), (0, 0)))
    for top, left, height, width in ((1, 2, 3, 2), (-2, -1, 4, 3), (5, 4, 6, 5)):
        expected = whole[3 + top : 3 + top + height, 3 + left : 3 + left + width]
        window = (top, left, height, width)
        np.testing.assert_array_equal(F.crop(pixels, *window), expected)
        np.testing.assert_array_equal(np.asarray(F.crop(image, *window)), expected)
        np.testing.assert_array_equal(F.crop(tensor, *window).numpy(), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(F.center_crop(pixels, (3, 2)), pixels[2:5, 2:4])
    np.testing.assert_array_equal(
        F.center_crop(pixels, 9), np.pad(pixels, ((1, 1), (1, 2), (0, 0)))
    )
    np.testing.assert_array_equal(
        np.asarray(F.center_crop(image, [3, 8])), np.pad(pixels[2:5], ((0, 0), (1, 1), (0, 0)))
    )
    corners = F.five_crop(pixels, (2, 3))
    expected = [pixels[:2, :3], pixels[:2, 3:], pixels[5:, :3], pixels[5:, 3:], pixels[2:4, 2:5]]
    for found, window in zip(corners, expected, strict=True):
        np.testing.assert_array_equal(found, window)
    with pytest.raises(ValueError, match=r"\(8, 8\) is bigger than input size \(7, 6\)"):
        F.five_crop(pixels, 8)
    np.testing.assert_array_equal(F.resized_crop(pixels, 1, 1, 4, 4, (4, 4)), pixels[1:5, 1:5])


def test_flips(pil):
    pixels = noise(4, 5, 3)
    for flip, expected in ((F.hflip, pixels[:, ::-1]), (F.vflip, pixels[::-1])):
        np.testing.assert_array_equal(flip(pixels), expected)
        np.testing.assert_array_equal(np.asarray(flip(pil.fromarray(pixels))), expected)
        planes_ = flip(mt.tensor(pixels.transpose(2, 0, 1)))
        np.testing.assert_array_equal(planes_.numpy(), expected.transpose(2, 0, 1))


# ---------------------------------------------------------------------- colours


COLOURS = [
    (F.adjust_brightness, "Brightness"),
    (F.adjust_contrast, "Contrast"),
    (F.adjust_saturation, "Color"),
]


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
@pytest.mark.parametrize(("function", "name"), COLOURS)
def test_colours_of_pil_images_are_pillows_and_of_arrays_nearly_so(pil, function, name, factor):
    enhance = pytest.importorskip("PIL.ImageEnhance")
    pixels = noise(6, 7, 3)
    image = pil.fromarray(pixels)
    expected = np.asarray(getattr(enhance, name)(image).enhance(factor))
    np.testing.assert_array_equal(np.asarray(function(image, factor)), expected)
    # Pillow's grey has integer weights and rounds its mean.
    difference = np.abs(function(pixels, factor).astype(int) - expected.astype(int))
    assert difference.max() <= 2


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.7])
def test_colours_follow_their_formulas(factor):
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-12)):
        pixels = noise(2, 3, 6, 7, dtype=dtype)
        grey = (np.array([0.2989, 0.587, 0.114])[:, None, None] * pixels).sum(1, keepdims=True)
        towards = {"Brightness": 0, "Contrast": grey.mean((1, 2, 3), keepdims=True), "Color": grey}
        for function, name in COLOURS:
            expected = (factor * pixels + (1 - factor) * towards[name]).clip(0, 1)
            found = function(mt.tensor(pixels), factor)
            np.testing.assert_allclose(found.numpy(), expected, atol=tolerance)
        found = F.rgb_to_grayscale(mt.tensor(pixels))
        np.testing.assert_allclose(found.numpy(), grey, atol=tolerance)
        assert F.rgb_to_grayscale(mt.tensor(pixels), 3).shape == (2, 3, 6, 7)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 0.5])
def test_hues_turn_as_the_standard_library_says(pil, turn):
    pixels = noise(3, 5, 6, dtype=np.float64)
    pixels[:, 0, 0] = 0.5  # no colour at all
    found = F.adjust_hue(mt.tensor(pixels), turn).numpy()
    for y in range(5):
        for x in range(6):
            hue, saturation, value = colorsys.rgb_to_hsv(*pixels[:, y, x])
            expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            np.testing.assert_allclose(found[:, y, x], expected, atol=1e-9)
    bytes_ = (pixels.transpose(1, 2, 0) * 255).astype(np.uint8)
    expected = np.asarray(F.adjust_hue(pil.fromarray(bytes_), turn))
    assert np.abs(F.adjust_hue(bytes_, turn).astype(int) - expected).max() <= 16  # hues in bytes


def test_grey_images_have_no_colours(pil):
    plane = noise(1, 4, 4)
    for function in (F.adjust_saturation, F.adjust_hue):
        np.testing.assert_array_equal(function(mt.tensor(plane), 0.3).numpy(), plane)
    image = F.to_grayscale(pil.fromarray(noise(4, 4, 3)), 3)
    assert (image.mode, F.get_dimensions(image)) == ("RGB", [3, 4, 4])
    with pytest.raises(TypeError, match="should be PIL"):
        F.to_grayscale(plane)


def test_what_colours_refuse():
    pixels = noise(4, 4, 3)
    for function, factor in (
        (F.adjust_brightness, -1),
        (F.adjust_contrast, -1),
        (F.adjust_hue, 0.6),
    ):
        with pytest.raises(ValueError, match="factor"):
            function(pixels, factor)
    with pytest.raises(TypeError, match="1 or 3, but found 2"):
        F.adjust_contrast(noise(4, 4, 2), 1)
    with pytest.raises(ValueError, match="either 1 or 3"):
        F.rgb_to_grayscale(pixels, 2)


# ---------------------------------------------------------------------- kinds and types


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I", "F", "1"])
def test_pil_images_to_tensors_and_back(pil, mode):
    image = pil.fromarray(noise(5, 6, 3)).convert(mode)
    tensor = F.pil_to_tensor(image)
    assert tensor.shape == (len(image.getbands()), 5, 6)
    back = F.to_pil_image(tensor, "F" if mode == "F" else None)
    assert back.mode == ("L" if mode == "1" else mode)
    np.testing.assert_array_equal(np.asarray(back.convert(mode)), np.asarray(image))
    with pytest.raises(TypeError, match="should be PIL"):
        F.pil_to_tensor(np.asarray(image))


def test_arrays_and_floats_to_pil_images(pil):
    pixels = noise(5, 6, 3)
    np.testing.assert_array_equal(np.asarray(F.to_pil_image(pixels)), pixels)
    np.testing.assert_array_equal(np.asarray(F.to_pil_image(F.to_tensor(pixels))), pixels)
    assert F.to_pil_image(pixels, "HSV").mode == "HSV"
    assert F.to_pil_image(noise(5, 6)).mode == "L"
    for wrong, error in (
        ([[1]], TypeError),
        (noise(2), ValueError),
        (mt.zeros(1, 1, 1, 1), ValueError),
        (noise(2, 2, 5), ValueError),
        (noise(2, 2, 3, dtype=np.float64), TypeError),
    ):
        with pytest.raises(error, match=r"pic should|not supported"):
            F.to_pil_image(wrong)
    with pytest.raises(ValueError, match="Incorrect mode"):
        F.to_pil_image(pixels, "L")


def test_values_in_other_types():
    convert = F.convert_image_dtype
    bytes_ = mt.tensor([0, 1, 254, 255], dtype=mt.uint8)
    floats = convert(bytes_, mt.float32)
    np.testing.assert_allclose(floats.numpy(), np.array([0, 1, 254, 255]) / 255, rtol=1e-7)
    assert convert(floats, mt.uint8).tolist() == [0, 1, 254, 255]
    assert convert(bytes_).dtype is mt.float32
    assert convert(bytes_, mt.uint8) is bytes_
    assert convert(bytes_, mt.int16).tolist() == [0, 128, 254 * 128, 255 * 128]
    assert convert(mt.tensor([0, 127, 128, 32767], dtype=mt.int16), mt.uint8).tolist() == [
        0,
        0,
        1,
        255,
    ]
    assert convert(mt.tensor([1.0], dtype=mt.float64), mt.int32).item() == 2**31 - 1
    assert convert(floats, mt.float64).dtype is mt.float64
    for real, integer in ((mt.float32, mt.int32), (mt.float64, mt.int64)):
        with pytest.raises(RuntimeError, match="cannot be performed safely"):
            convert(mt.zeros(1, dtype=real), integer)
    with pytest.raises(TypeError, match="should be Tensor"):
        convert(np.zeros(1), mt.uint8)


def test_sizes_of_images(pil):
    for image in (noise(4, 5, 3), pil.fromarray(noise(4, 5, 3)), mt.zeros(2, 3, 4, 5)):
        assert F.get_dimensions(image) == [3, 4, 5]
        assert F.get_image_size(image) == [5, 4]
        assert F.get_image_num_channels(image) == 3
    assert F.get_dimensions(noise(4, 5)) == F.get_dimensions(mt.zeros(4, 5)) == [1, 4, 5]
    with pytest.raises(TypeError, match="Got <class 'int'>"):
        F.get_dimensions(5)


def test_erasing_a_window(pil):
    image = mt.ones(3, 4, 4)
    erased = F.erase(image, 1, 2, 2, 1, 0.0)
    assert (erased == 0).sum().item() == 6
    assert (image == 1).all()
    assert F.erase(image, 0, 0, 1, 1, mt.tensor([5.0, 6.0, 7.0]).reshape(3, 1, 1), True) is image
    assert image[:, 0, 0].tolist() == [5.0, 6.0, 7.0]
    pixels = noise(4, 4, 3)
    assert (F.erase(pixels, 0, 0, 2, 2, 9)[:2, :2] == 9).all()
    with pytest.raises(TypeError, match="PIL"):
        F.erase(pil.fromarray(pixels), 0, 0, 1, 1, 0)


def test_normalizing_and_converting_are_the_transforms():
    pixels = noise(4, 4, 3)
    tensor = F.normalize(F.to_tensor(pixels), [0.5], [0.25])
    expected = (pixels.transpose(2, 0, 1) / np.float32(255) - 0.5) / 0.25
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6)


def test_the_size_of_what_was_turned():
    for degrees in range(0, 360, 15):
        matrix = planes.inverse_matrix((0, 0), -degrees, (0, 0), 1.0, (0, 0))
        height, width = planes.rotated_size(matrix, 20, 30)
        c, s = (abs(f(math.radians(degrees))) for f in (math.cos, math.sin))
        assert height - (20 * c + 30 * s) in (pytest.approx(0, abs=2), 0)
        assert width - (30 * c + 20 * s) in (pytest.approx(0, abs=2), 0)
