"""Transforms of any kind of image: what they draw, that batches are as single images."""

import io

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn.utils.data import DataLoader, default_collate
from minitorch_cnn.vision import transforms as T
from minitorch_cnn.vision import utils
from minitorch_cnn.vision.datasets import VisionDataset


@pytest.fixture
def pil():
    return pytest.importorskip("PIL.Image")


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class Images(VisionDataset):
    def __init__(self, transform):
        super().__init__("memory", transform)
        self.data, self.targets = noise(10, 9, 11, 3), list(range(10))


ARRAYS = {  # of images of bytes
    "Resize": lambda: T.Resize((5, 6)),
    "CenterCrop": lambda: T.CenterCrop((4, 3)),
    "CenterCrop, larger": lambda: T.CenterCrop(12),
    "Pad": lambda: T.Pad((1, 2), fill=3),
    "Pad, cut": lambda: T.Pad(-1),
    "Pad, mirrored": lambda: T.Pad(2, padding_mode="reflect"),
    "RandomResizedCrop": lambda: T.RandomResizedCrop(6),
    "RandomVerticalFlip": lambda: T.RandomVerticalFlip(),
    "RandomRotation": lambda: T.RandomRotation(30, fill=5),
    "RandomAffine": lambda: T.RandomAffine(20, (0.2, 0.1), (0.8, 1.2), (-5, 5, -3, 3)),
    "ColorJitter": lambda: T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    "Grayscale": lambda: T.Grayscale(3),
    "RandomGrayscale": lambda: T.RandomGrayscale(0.5),
    "RandomApply": lambda: T.RandomApply([T.RandomHorizontalFlip(), T.ColorJitter(0.5)]),
    "RandomChoice": lambda: T.RandomChoice([T.Pad(0), T.RandomVerticalFlip(1)], p=[1, 3]),
    "RandomOrder": lambda: T.RandomOrder([T.Grayscale(3), T.RandomHorizontalFlip()]),
}
TENSORS = {
    "RandomErasing": lambda: T.RandomErasing(0.7),
    "RandomErasing, random": lambda: T.RandomErasing(1, value="random"),
    "RandomErasing, colour": lambda: T.RandomErasing(1, value=(1.0, 2.0, 3.0)),
    "ConvertImageDtype": lambda: T.ConvertImageDtype(mt.float64),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", [*ARRAYS, *TENSORS])
def test_batches_are_as_single_images(name, workers):
    before = [ARRAYS[name]()] if name in ARRAYS else []
    after = [TENSORS[name]()] if name in TENSORS else []
    pipeline = [T.RandomHorizontalFlip(), *before, T.ToTensor(), *after, T.Normalize(0.5, 0.5)]
    runs = []
    for options in ({"collate_fn": lambda batch: default_collate(batch)}, {"num_workers": workers}):
        mt.manual_seed(3)
        loader = DataLoader(Images(T.Compose(pipeline)), 4, **options)
        runs.append([images.numpy() for images, _ in loader])
    for one_by_one, whole in zip(*runs, strict=True):
        np.testing.assert_array_equal(one_by_one, whole)


@pytest.mark.parametrize("name", ARRAYS)
def test_all_kinds_of_images_come_out_as_they_went_in(pil, name):
    transform, pixels = ARRAYS[name](), noise(9, 11, 3)
    array, image = transform(pixels), transform(pil.fromarray(pixels))
    tensor, batch = (
        transform(mt.tensor(pixels.transpose(2, 0, 1))),
        transform(mt.zeros(2, 3, 9, 11)),
    )
    assert array.dtype == np.uint8
    assert (image.mode, image.size) == ("RGB", (array.shape[1], array.shape[0]))
    assert tensor.dtype is mt.uint8
    assert tensor.shape == (3, *array.shape[:2])
    assert batch.shape == (2, *tensor.shape)
    if transform.batchable:
        assert transform.batch(noise(3, 9, 11, 3)).shape == (3, *array.shape)
        assert transform.batch(noise(0, 9, 11, 3)).shape == (0, *array.shape)
        assert transform.batch(mt.zeros(0, 3, 9, 11)).shape == (0, *tensor.shape)


@pytest.mark.parametrize("padding_mode", ["constant", "edge", "reflect"])
def test_crops_and_flips_of_pil_images_are_those_of_arrays(pil, padding_mode):
    pixels = noise(9, 11, 3)
    for transform in (
        T.RandomCrop(7, 2, padding_mode=padding_mode),
        T.RandomCrop(14, 1, pad_if_needed=True, padding_mode=padding_mode),
        T.RandomHorizontalFlip(),
    ):
        mt.manual_seed(1)
        found = [np.asarray(transform(pil.fromarray(pixels))) for _ in range(5)]
        mt.manual_seed(1)
        for result in found:
            np.testing.assert_array_equal(result, transform(pixels))
    with pytest.raises(ValueError, match="larger than"):
        T.RandomCrop(20)(pil.fromarray(pixels))


def test_windows_that_are_resized_have_the_areas_and_shapes_asked_for():
    crop, sizes = T.RandomResizedCrop(4, scale=(0.2, 0.6), ratio=(0.5, 2.0)), []
    rng = np.random.default_rng(0)
    for _ in range(500):
        top, left, height, width = crop._window(60, 50, rng.random(22))
        assert 0 <= top <= 60 - height
        assert 0 <= left <= 50 - width
        sizes.append((height * width / 3000, width / height))
    areas, ratios = np.array(sizes).T
    assert 0.19 < areas.min() < 0.25
    assert 0.55 < areas.max() < 0.61
    assert 0.48 < ratios.min() < 0.6
    assert 1.7 < ratios.max() < 2.1
    # What never fits: the middle, of the nearest shape.
    narrow = T.RandomResizedCrop(4, scale=(1, 1), ratio=(3, 3))
    assert narrow._window(60, 30, rng.random(22)) == (25, 0, 10, 30)
    wide = T.RandomResizedCrop(4, scale=(1, 1), ratio=(0.25, 0.25))
    assert wide._window(20, 60, rng.random(22)) == (0, 27, 20, 5)
    whole = T.RandomResizedCrop(4, scale=(2, 2), ratio=(0.5, 2.0))
    assert whole._window(20, 30, rng.random(22)) == (0, 0, 20, 30)


def test_erased_windows_have_the_areas_and_values_asked_for():
    mt.manual_seed(0)
    erasing = T.RandomErasing(p=0.8, scale=(0.1, 0.3), ratio=(0.5, 2.0), value=-1)
    shares = []
    for _ in range(200):
        erased = erasing(mt.ones(3, 40, 30))
        mask = erased.numpy() == -1
        assert (mask[0] == mask[1]).all()
        rows, columns = np.flatnonzero(mask[0].any(1)), np.flatnonzero(mask[0].any(0))
        assert mask[0].sum() == len(rows) * len(columns)
        shares.append(mask[0].mean())
    some = [share for share in shares if share]
    assert 0.09 < min(some) < 0.13
    assert 0.26 < max(some) < 0.32
    assert 130 < len(some) < 185
    image = mt.ones(3, 40, 30)
    assert T.RandomErasing(1, inplace=True)(image) is image
    random = T.RandomErasing(1, scale=(0.3, 0.3), value="random")(mt.zeros(3, 40, 30)).numpy()
    assert 0.8 < random[random != 0].std() < 1.2
    assert (
        T.RandomErasing(1, scale=(1, 1), ratio=(1, 1))(mt.ones(3, 4, 4)) == 1
    ).all()  # too large


def test_choices_follow_their_chances():
    mt.manual_seed(0)
    image = np.zeros((1, 1), np.uint8)
    add = [T.Lambda(lambda x, n=n: x + n) for n in (1, 2, 3)]
    chosen = [int(T.RandomChoice(add, p=[1, 0, 3])(image)[0, 0]) for _ in range(400)]
    assert set(chosen) == {1, 3}
    assert 60 < chosen.count(1) < 140
    assert {int(T.RandomChoice(add)(image)[0, 0]) for _ in range(60)} == {1, 2, 3}
    applied = [int(T.RandomApply(add[:2], p=0.3)(image)[0, 0]) for _ in range(400)]
    assert set(applied) == {0, 3}
    assert 80 < applied.count(3) < 160
    order = T.RandomOrder([T.Lambda(lambda x: x * 2), T.Lambda(lambda x: x + 1)])
    assert {int(order(image)[0, 0]) for _ in range(60)} == {1, 2}


def test_jitter_draws_from_its_intervals_in_any_order():
    mt.manual_seed(0)
    grey = np.full((1, 1, 3), 100, np.uint8)
    found = [int(T.ColorJitter(brightness=0.5)(grey)[0, 0, 0]) for _ in range(300)]
    assert 50 <= min(found) < 55
    assert 145 < max(found) <= 150
    assert (T.ColorJitter()(noise(4, 4, 3)) == noise(4, 4, 3)).all()
    both = T.ColorJitter(brightness=(2, 2), contrast=(0, 0))  # 2 * 200 is cut off before or after
    results = {int(both(np.array([[[100] * 3, [200] * 3]], np.uint8))[0, 0, 0]) for _ in range(40)}
    assert results == {255, 226}


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: T.RandomVerticalFlip(2), ValueError, "p should be"),
        (lambda: T.RandomGrayscale(-1), ValueError, "p should be"),
        (lambda: T.RandomApply([], 2), ValueError, "p should be"),
        (lambda: T.RandomApply(T.Pad(1)), TypeError, "sequence"),
        (lambda: T.RandomChoice([T.Pad(1)], p=[1, 2]), ValueError, "1 weights"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "1 or 2 values"),
        (lambda: T.Resize((1, 2), max_size=4), ValueError, "max_size"),
        (lambda: T.Resize(1, "cubic"), TypeError, "cubic"),
        (lambda: T.CenterCrop((1, 2, 3)), ValueError, "one or two"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "element tuple"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "wrap"),
        (lambda: T.RandomResizedCrop(4, scale=(0.5, 0.1)), ValueError, "scale"),
        (lambda: T.RandomResizedCrop(4, ratio=(0, 1)), ValueError, "ratio"),
        (lambda: T.RandomRotation(-5), ValueError, "degrees"),
        (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees"),
        (lambda: T.RandomRotation(5, center=(1,)), ValueError, "center"),
        (lambda: T.RandomAffine(5, translate=(2, 0)), ValueError, "between 0 and 1"),
        (lambda: T.RandomAffine(5, translate=(1,)), ValueError, "translate"),
        (lambda: T.RandomAffine(5, scale=(0, 1)), ValueError, "positive"),
        (lambda: T.RandomAffine(5, scale=(1,)), ValueError, "scale"),
        (lambda: T.RandomAffine(5, shear=(1, 2, 3)), ValueError, "shear"),
        (lambda: T.RandomAffine(5, center=(1,)), ValueError, "center"),
        (lambda: T.ColorJitter(brightness=-1), ValueError, "brightness"),
        (lambda: T.ColorJitter(hue=0.7), ValueError, "hue"),
        (lambda: T.ColorJitter(contrast=(1, 2, 3)), TypeError, "contrast"),
        (lambda: T.Grayscale(2), ValueError, "1 or 3"),
        (lambda: T.RandomErasing(2), ValueError, "probability"),
        (lambda: T.RandomErasing(value="black"), ValueError, "black"),
        (lambda: T.RandomErasing(value=None), TypeError, "value"),
        (lambda: T.RandomErasing(scale=(0.5, 2)), ValueError, "Scale"),
        (lambda: T.RandomErasing(ratio=(2, 1)), ValueError, "ratio"),
        (lambda: T.RandomErasing(1)(noise(4, 4)), TypeError, "should be a Tensor"),
        (lambda: T.RandomErasing(1, value=(1, 2))(mt.ones(3, 4, 4)), ValueError, "not 2"),
        (lambda: T.Resize(4)("picture"), TypeError, "Got <class 'str'>"),
        (lambda: T.PILToTensor()(noise(2, 2)), TypeError, "PIL"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_printed_forms():
    shown = {
        T.Resize(32): "Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)",
        T.CenterCrop(3): "CenterCrop(size=(3, 3))",
        T.Pad(1): "Pad(padding=1, fill=0, padding_mode=constant)",
        T.FiveCrop(2): "FiveCrop(size=(2, 2))",
        T.RandomVerticalFlip(): "RandomVerticalFlip(p=0.5)",
        T.RandomResizedCrop(8): "RandomResizedCrop(size=(8, 8), scale=(0.08, 1.0), "
        "ratio=(0.75, 1.3333), interpolation=bilinear, antialias=True)",
        T.RandomRotation(10): "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, "
        "expand=False, fill=0)",
        T.RandomAffine(0, (0.1, 0.1)): "RandomAffine(degrees=[0.0, 0.0], translate=(0.1, 0.1))",
        T.ColorJitter(0.5): "ColorJitter(brightness=(0.5, 1.5), contrast=None, saturation=None, "
        "hue=None)",
        T.Grayscale(): "Grayscale(num_output_channels=1)",
        T.RandomGrayscale(): "RandomGrayscale(p=0.1)",
        T.RandomErasing(): "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, "
        "inplace=False)",
        T.RandomApply([T.Pad(1)]): "RandomApply(\n    p=0.5\n    "
        "Pad(padding=1, fill=0, padding_mode=constant)\n)",
        T.RandomChoice([]): "RandomChoice(\n)(p=None)",
        T.RandomOrder([]): "RandomOrder(\n)",
        T.ToPILImage(): "ToPILImage()",
        T.ToPILImage("L"): "ToPILImage(mode=L)",
        T.PILToTensor(): "PILToTensor()",
    }
    assert {repr(transform): text for transform, text in shown.items()} == {
        text: text for text in shown.values()
    }


def test_to_pil_image_and_back(pil):
    pixels = noise(5, 6, 3)
    image = T.ToPILImage()(pixels)
    assert isinstance(image, pil.Image)
    np.testing.assert_array_equal(T.PILToTensor()(image).numpy(), pixels.transpose(2, 0, 1))
    corners = T.FiveCrop(3)(image)
    assert [corner.size for corner in corners] == [(3, 3)] * 5


# ---------------------------------------------------------------------- grids


def test_grids_hold_the_images_in_rows():
    images = mt.tensor(noise(5, 3, 4, 6).astype(np.float32) / 255)
    grid = utils.make_grid(images, nrow=2, padding=1, pad_value=0.5)
    assert grid.shape == (3, 3 * 5 + 1, 2 * 7 + 1)
    for i in range(5):
        top, left = 1 + i // 2 * 5, 1 + i % 2 * 7
        np.testing.assert_array_equal(
            grid[:, top : top + 4, left : left + 6].numpy(), images[i].numpy()
        )
    assert (grid[:, 0] == 0.5).all()
    assert (grid[:, 11:, 8:] == 0.5).all()
    np.testing.assert_array_equal(
        utils.make_grid(list(images.unbind(0)), 2, 1, pad_value=0.5).numpy(), grid.numpy()
    )


def test_grids_of_one_of_grey_ones_and_of_other_ranges():
    image = mt.tensor(noise(3, 4, 5).astype(np.float32))
    np.testing.assert_array_equal(utils.make_grid(image).numpy(), image.numpy())
    assert utils.make_grid(image[0]).shape == (3, 4, 5)
    assert utils.make_grid(image[:, None]).shape == (3, 8, 23)
    found = utils.make_grid(image, normalize=True).numpy()
    assert (found.min(), found.max()) == (0, 1)
    found = utils.make_grid(image, normalize=True, value_range=(0, 510)).numpy()
    np.testing.assert_allclose(found, image.numpy() / 510, rtol=1e-6)
    two = mt.stack([mt.full((3, 2, 2), 5.0), mt.full((3, 2, 2), 9.0)])
    two[:, :, 0] = 4.0
    each = utils.make_grid(two, padding=0, normalize=True, scale_each=True)
    assert each[0].tolist() == [[0, 0, 0, 0], [1, 1, 1, 1]]
    with pytest.raises(TypeError, match="expected, got"):
        utils.make_grid(np.zeros(3))
    with pytest.raises(TypeError, match="value_range"):
        utils.make_grid(image, value_range=[0, 1])


def test_files_of_images(pil, tmp_path):
    images = mt.tensor(noise(2, 3, 4, 6).astype(np.float32) / 255)
    utils.save_image(images, tmp_path / "grid.png", padding=1)
    with pil.open(tmp_path / "grid.png") as file:
        found = np.asarray(file)
    assert found.shape == (6, 15, 3)
    np.testing.assert_array_equal(found[1:5, 1:7].transpose(2, 0, 1), noise(2, 3, 4, 6)[0])
    buffer = io.BytesIO()
    utils.save_image(images[0], buffer, format="PNG")
    assert pil.open(buffer).size == (6, 4)
    assert (found[0] == 0).all()
