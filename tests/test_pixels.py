"""Batches made by one kernel: against the same transforms of one image after the other."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_cnn as torch
from minitorch_cnn.device import cpu, launch, observe
from minitorch_cnn.utils.data import DataLoader, SampleStreams, Subset, TensorDataset
from minitorch_cnn.utils.data.dataset import joinable
from minitorch_cnn.vision import transforms as T
from minitorch_cnn.vision.datasets import VisionDataset
from minitorch_cnn.vision.transforms.pixels import PADDING_MODES, PixelBatch


class Images(VisionDataset):
    """Random images; labels in a list, an array or a tensor."""

    def __init__(self, shape, transform=None, kind=list, target_transform=None):
        super().__init__("memory", transform, target_transform)
        rng = np.random.default_rng(0)
        self.data = rng.integers(0, 256, shape, dtype=np.uint8)
        labels = rng.integers(0, 10, shape[0])
        self.targets = {list: labels.tolist(), np: labels, torch: torch.from_numpy(labels)}[kind]


def arrays(structure):
    if isinstance(structure, (list, tuple)):
        return [arrays(part) for part in structure]
    return np.asarray(structure)


def assert_same(found, expected):
    for a, b in zip(arrays(found), arrays(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def one_by_one(dataset, size, **options):
    """The batches of a loader that transforms one image after the other."""
    return DataLoader(
        dataset,
        size,
        collate_fn=lambda samples: torch.utils.data.default_collate(samples),
        **options,
    )


class Swapped(T.ImageTransform):
    """A transform that no kernel knows."""

    def apply(self, images, streams):
        return images.flip(-1) if isinstance(images, torch.Tensor) else images[:, ::-1]


MEMBERS = {
    "crop": lambda mode: T.RandomCrop((6, 5)),
    "padded crop": lambda mode: T.RandomCrop((6, 5), padding=(1, 2, 3, 1), padding_mode=mode),
    "filled crop": lambda mode: T.RandomCrop(6, padding=2, fill=9, padding_mode=mode),
    "grown crop": lambda mode: T.RandomCrop((9, 12), pad_if_needed=True, padding_mode=mode),
    "padded grown crop": lambda mode: T.RandomCrop(
        12, padding=1, pad_if_needed=True, padding_mode=mode
    ),
    "odd fill": lambda mode: T.RandomCrop(6, padding=1, fill=2.0, padding_mode=mode),
    "flip": lambda mode: T.RandomHorizontalFlip(),
    "convert": lambda mode: T.ToTensor(),
    "unknown": lambda mode: Swapped(),
    "nested": lambda mode: T.Compose([T.RandomHorizontalFlip(), T.RandomCrop(5)]),
}
AFTERWARDS = {
    "normalize": lambda: T.Normalize(0.4, 0.3),
    "in place": lambda: T.Normalize([0.4], [0.3], inplace=True),
    "flip": lambda: T.RandomHorizontalFlip(),
    "crop": lambda: T.RandomCrop(5),
    "padded": lambda: T.RandomCrop(5, padding=1, fill=0.5),
    "unknown": lambda: Swapped(),
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(MEMBERS)), max_size=3),
    st.lists(st.sampled_from(sorted(AFTERWARDS)), max_size=3),
    st.sampled_from(PADDING_MODES),
    st.sampled_from([(7, 8, 9), (7, 8, 39, 3), (7, 8, 9, 1)]),
    st.integers(0, 3),
    st.integers(0, 99),
)
def test_any_chain_gives_the_bits_of_single_images(names, later, mode, shape, workers, seed):
    chain = [MEMBERS[name](mode) for name in names]
    if "convert" in names:
        chain = chain[: names.index("convert") + 1]
    else:
        later = ["crop", "flip"]
    chain += [AFTERWARDS[name]() for name in later]
    dataset = Images(shape, T.Compose(chain))
    torch.manual_seed(seed)
    try:
        expected = list(one_by_one(dataset, 3, shuffle=True))
    except ValueError:  # a crop that does not fit into the one before
        with pytest.raises(ValueError, match="larger than"):
            list(DataLoader(dataset, 3, shuffle=True, num_workers=workers))
        return
    for _ in range(2):  # with a table to be made, and with one that is known
        torch.manual_seed(seed)
        found = list(DataLoader(dataset, 3, shuffle=True, num_workers=workers))
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_converted_values_are_exact_in_both_precisions(dtype):
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    torch.set_default_dtype(dtype)
    try:
        found = T.Compose([T.ToTensor(), T.Normalize(0.25, 0.5)]).batch(values)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == dtype
    real = dtype.numpy.type
    expected = (values.astype(real) / real(255) - real(0.25)) / real(0.5)
    np.testing.assert_array_equal(found.numpy(), expected[:, None])


def test_a_chain_is_one_launch_and_changes_of_its_transforms_count():
    transform = T.Compose(
        [T.RandomCrop(8, padding=1), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(0.0, 1.0)]
    )
    dataset = Images((5, 8, 8, 3), transform)
    loader = DataLoader(dataset, 5)
    next(iter(loader))
    seen = []
    before = observe(lambda device, name, function, args, seconds: seen.append(name))
    try:
        batches = iter(loader)
        seen.clear()
        images, _ = next(batches)
    finally:
        observe(before)
    assert [name for name in seen if name.startswith("image")] == ["image.gather"]
    assert not [name for name in seen if name.startswith("elementwise")]
    transform.transforms[-1].mean = 1.0
    shifted, _ = next(iter(loader))
    assert images.max().item() <= 1
    assert shifted.max().item() <= 0


def test_indices_are_checked_and_may_count_from_the_end():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    assert PixelBatch(pixels, np.array([-1, 0])).array().tolist() == [
        [[8, 9], [10, 11]],
        [[0, 1], [2, 3]],
    ]
    for wrong in (3, -4):
        for converted in (False, True):
            batch = PixelBatch(pixels, np.array([0, wrong]))
            if converted:
                T.ToTensor().note(batch, None)
            with pytest.raises(IndexError, match=f"{wrong}.*out of range for 3 images"):
                batch.array()


def test_images_that_lie_apart_and_none_at_all():
    pixels = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6)
    apart = pixels[:, ::2, ::3]
    transform = T.Compose([T.ToTensor()])
    np.testing.assert_array_equal(transform.batch(apart).numpy(), apart[:, None] / np.float32(255))
    assert transform.batch(pixels[:0]).shape == (0, 1, 4, 6)
    locked = pixels.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(
        transform.batch(locked).numpy(), locked[:, None] / np.float32(255)
    )


def test_a_flip_of_both_directions_and_a_cut_of_what_was_flipped():
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    batch = PixelBatch(pixels, np.array([0, 1]))
    batch.flip(np.array([True, False]), vertically=True)
    batch.flip(np.array([True, True]))
    batch.crop(np.array([0, 1]), 1, 2, 3)
    expected = [pixels[0, ::-1, ::-1][0:2, 1:4], pixels[1, :, ::-1][1:3, 1:4]]
    np.testing.assert_array_equal(batch.array(), expected)


@pytest.mark.parametrize("kind", [list, np, torch])
@pytest.mark.parametrize("transform", [None, T.ToTensor(), T.Lambda(lambda image: image[:1])])
@pytest.mark.parametrize("target_transform", [None, lambda label: label * 0.5])
def test_labels_of_any_kind(kind, transform, target_transform):
    dataset = Images((7, 4, 4), transform, kind, target_transform)
    for workers in (0, 2):
        for a, b in zip(DataLoader(dataset, 3, num_workers=workers), one_by_one(dataset, 3)):
            assert_same(a, b)


def test_which_datasets_join_batches():
    assert joinable(TensorDataset(torch.arange(3)))
    assert joinable(Subset(TensorDataset(torch.arange(3)), [1]))
    assert joinable(Images((2, 2, 2)))
    assert joinable(Images((2, 2, 2), T.Compose([T.ToTensor(), Swapped()])))
    assert not joinable(Images((2, 2, 2), T.Lambda(abs)))
    assert not joinable(Images((2, 2, 2), lambda image: image))
    assert not joinable([1, 2])
    assert not joinable(Subset([1, 2], [0]))

    class Own(Images):
        def get_batch(self, indices):
            return "of a kind of its own"

    assert not joinable(Own((2, 2, 2)))


def test_batches_made_ahead_without_workers_come_out_before_the_one_that_fails():
    dataset = Images((64, 2, 2), T.ToTensor(), target_transform=lambda label: 1 // label)
    dataset.targets = [1] * 50 + [0] * 14
    assert dataset.steady
    batches = iter(DataLoader(dataset, 4))
    assert [len(next(batches)[0]) for _ in range(12)] == [4] * 12
    with pytest.raises(ZeroDivisionError):
        next(batches)


@pytest.mark.parametrize("size", [1, 3, 64])
@pytest.mark.parametrize("drop_last", [False, True])
def test_joined_batches_are_the_batches(size, drop_last):
    numbers = TensorDataset(torch.arange(500), torch.arange(1000).reshape(500, 2))
    for dataset in (numbers, Subset(numbers, range(499, 0, -1))):
        for _ in range(2):
            torch.manual_seed(1)
            apart = list(DataLoader(dataset, size, True, drop_last=drop_last))
            torch.manual_seed(1)
            joined = list(DataLoader(dataset, size, True, drop_last=drop_last, num_workers=2))
            for a, b in zip(joined, apart, strict=True):
                assert_same(a, b)


def test_streams_of_joined_batches_are_those_of_the_batches():
    drawn = []

    class Drawing(TensorDataset):
        joinable = True

        def get_batch(self, indices):
            streams = SampleStreams(len(indices))
            more = SampleStreams(len(indices))
            numbers = [streams.integers(1000) for _ in range(6)] + [more.uniform()]
            drawn.append(len(indices))
            return [torch.from_numpy(np.stack(numbers, 1))]

    dataset = Drawing(torch.arange(100))
    runs = []
    for workers in (0, 1):
        torch.manual_seed(5)
        runs.append([batch for (batch,) in DataLoader(dataset, 7, num_workers=workers)])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert max(drawn) > 7


def test_joined_batches_keep_their_structure():
    Pair = namedtuple("Pair", ["names", "numbers"])

    class Structured(TensorDataset):
        joinable = True

        def get_batch(self, indices):
            names = [f"number {i}" for i in indices]
            numbers = torch.from_numpy(indices)
            return {"pair": Pair(names, numbers), "nested": (numbers, [numbers, indices])}

    batches = list(DataLoader(Structured(torch.arange(9)), 2, num_workers=1))
    assert [b["pair"].names for b in batches[-2:]] == [["number 6", "number 7"], ["number 8"]]
    for i, batch in enumerate(batches):
        assert isinstance(batch["pair"], Pair)
        numbers, (again, array) = batch["nested"]
        for found in (batch["pair"].numbers, numbers, again, array):
            assert found.tolist() == [2 * i, 2 * i + 1][: len(found)]


@pytest.mark.parametrize("mode", range(4))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("columns", [5, 32, 33, 80])
def test_computed_values_stand_where_looked_up_ones_would(mode, channels, columns):
    rng = np.random.default_rng(columns)
    height, width, rows, margin = 6, 70, 7, 250
    images = rng.integers(0, 256, (4, height, width, channels), dtype=np.uint8)
    count = 40
    index = rng.integers(0, len(images), count)
    steps = rng.choice([-1, 1], (count, 2))
    low, high = (-3, -8), (3, width) if mode else (height + 2, width + 8)
    starts = rng.integers(low, high, (count, 2))
    if mode == 0:
        starts[:2, 1] = (-85, width + 85)  # some images show nothing of their rows
        steps[:2, 1] = (1, -1)
    starts += (steps < 0) * (rows - 1, columns - 1) * (mode == 0)
    places = np.stack([starts[:, 0], steps[:, 0], starts[:, 1], steps[:, 1]], 1)
    # By (v / 1 - 0) / 1 bytes stay what they are; in the table they would all be 0.
    numbers = np.tile(np.array([1, 1, 0, 1, 1], np.float32), channels)
    table = np.concatenate([np.zeros(256 * channels, np.float32), numbers])
    fill, strays = rng.integers(0, 256, channels, dtype=np.uint8), np.empty(1, np.int64)
    found = np.empty((count, channels, rows, columns), np.float32)
    launch(cpu, "image.gather", images, index, places, table, fill, found, strays, mode)
    assert strays[0] == 0
    around = [(0, 0), (margin, margin), (margin, margin)]
    for i, (r0, rs, c0, cs) in enumerate(places.tolist()):
        for c in range(channels):
            plane = images[index[i]][None, ..., c]
            if mode == 0:
                plane = np.pad(plane, around, constant_values=fill[c])
            else:
                plane = np.pad(plane, around, mode=PADDING_MODES[mode])
            expected = plane[0][
                np.ix_(margin + r0 + rs * np.arange(rows), margin + c0 + cs * np.arange(columns))
            ]
            np.testing.assert_array_equal(found[i, c], expected)
