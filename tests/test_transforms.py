"""Transforms: one image against plain loops and PyTorch, whole batches against single images."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch_cnn as torch
from minitorch_cnn.utils.data import DataLoader, SampleStreams, TensorDataset, default_collate
from minitorch_cnn.utils.data.randomness import batch_seed
from minitorch_cnn.vision import transforms


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def planes(*shape, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(values)


def same_bits(one, other):
    assert type(one) is type(other)
    one, other = np.asarray(one), np.asarray(other)
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


def splitmix64(state):
    """The generator as published, in Python's own integers."""
    mask = 2**64 - 1
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


class TestStreams:
    def test_reference_is_splitmix64(self):
        stream = splitmix64(1234567)
        assert [next(stream) for _ in range(3)] == [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
        ]

    def test_draws_are_splitmix64s(self):
        with batch_seed(77):
            streams = SampleStreams(5)
            keys = splitmix64(77)
            references = [splitmix64(next(keys)) for _ in range(5)]
            assert streams.uniform().tolist() == [(next(r) >> 11) / 2**53 for r in references]
            for high in (1, 9, 2**31):
                expected = [(next(r) >> 32) * high >> 32 for r in references]
                assert streams.integers(high).tolist() == expected

    def test_streams_of_a_batch_are_counted(self):
        with batch_seed(2**62):
            together = SampleStreams(9).uniform().tolist()
        with batch_seed(2**62):
            assert [SampleStreams(1).uniform().item() for _ in range(9)] == together

    def test_outside_a_batch_the_global_seed_decides(self):
        def draw():
            return SampleStreams(3).uniform().tolist()

        torch.manual_seed(3)
        first, second = draw(), draw()
        torch.manual_seed(3)
        assert draw() == first != second

    def test_nothing_is_drawn_until_asked_for(self):
        torch.manual_seed(3)
        expected = torch.rand(4).tolist()
        torch.manual_seed(3)
        SampleStreams(5)
        assert torch.rand(4).tolist() == expected
        with batch_seed(1):
            expected = SampleStreams(1).uniform()
        with batch_seed(1):
            SampleStreams(5)
            assert SampleStreams(1).uniform() == expected


class TestToTensor:
    @given(
        shape=st.sampled_from([(4, 5), (4, 5, 1), (4, 5, 3), (1, 1, 4), (0, 5, 3)]),
        dtype=st.sampled_from([np.uint8, np.int64, np.float32, np.float64, np.bool_]),
    )
    def test_values(self, shape, dtype):
        image = (pixels(*shape) / (1 if dtype == np.uint8 else 2)).astype(dtype)
        tensor = transforms.ToTensor()(image)
        expected = np.moveaxis(image if image.ndim == 3 else image[..., None], -1, 0)
        if dtype == np.uint8:
            expected = expected.astype(np.float32) / np.float32(255)
        assert isinstance(tensor, torch.Tensor)
        same_bits(tensor.numpy(), np.ascontiguousarray(expected.astype(tensor.numpy().dtype)))
        assert tensor.numpy().dtype == (np.float32 if dtype == np.uint8 else dtype)

    def test_all_pixel_values_as_pytorch_divides(self):
        peer = pytest.importorskip("torch")
        values = np.arange(256, dtype=np.uint8).reshape(16, 16)
        expected = peer.from_numpy(values)[None].to(peer.float32).div(255)
        same_bits(transforms.ToTensor()(values).numpy(), expected.numpy())

    def test_owns_its_memory(self):
        image = np.ones((2, 2, 1), np.float32)
        tensor = transforms.ToTensor()(image)
        image[:] = 5
        assert tensor.tolist() == [[[1, 1], [1, 1]]]

    def test_default_type(self):
        torch.set_default_dtype(torch.float64)
        try:
            tensor = transforms.ToTensor()(pixels(2, 2))
        finally:
            torch.set_default_dtype(torch.float32)
        assert tensor.dtype is torch.float64
        assert tensor.tolist() == [(pixels(2, 2) / 255).tolist()]

    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "I", "F"])
    def test_pil_images(self, mode):
        pil = pytest.importorskip("PIL.Image")
        image = pil.fromarray(pixels(6, 5, 3)).convert(mode)
        tensor = transforms.ToTensor()(image)
        bands = len(image.getbands())
        assert tensor.shape == (bands, 6, 5)
        for y in range(6):
            for x in range(5):
                values = np.array(image.getpixel((x, y))).reshape(-1)
                if mode in ("I", "F"):
                    assert tensor[:, y, x].tolist() == values.tolist()
                else:
                    expected = values.astype(np.float32) / np.float32(255)
                    assert tensor[:, y, x].tolist() == expected.tolist()

    def test_batch(self):
        for images in (pixels(4, 6, 5, 3), pixels(4, 6, 5), pixels(0, 6, 5, 3)):
            batch = transforms.ToTensor().batch(images)
            assert batch.shape == (len(images), images.shape[3] if images.ndim == 4 else 1, 6, 5)
            for image, tensor in zip(images, batch, strict=True):
                same_bits(tensor, transforms.ToTensor()(image))

    @pytest.mark.parametrize("image", [[[1, 2]], "picture", None, torch.zeros(3, 4, 4)])
    def test_refuses_other_types(self, image):
        with pytest.raises(TypeError, match="Got <class"):
            transforms.ToTensor()(image)

    def test_refuses_other_dimensions(self):
        for shape in ((4,), (1, 2, 3, 4)):
            with pytest.raises(ValueError, match=f"2/3 dimensional. Got {len(shape)}"):
                transforms.ToTensor()(np.zeros(shape, np.uint8))
        with pytest.raises(ValueError, match=r"3/4 dimensional. Got 2"):
            transforms.ToTensor().batch(np.zeros((4, 4), np.uint8))


class TestNormalize:
    @pytest.mark.parametrize(
        ("mean", "std"),
        [((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)), ((0.5,), (0.5,)), (0.5, 0.25)],
    )
    def test_as_pytorch_computes_it(self, mean, std):
        peer = pytest.importorskip("torch")
        image = planes(3, 7, 5)
        theirs = peer.from_numpy(image.numpy().copy())
        column = [peer.tensor(v, dtype=peer.float32).reshape(-1, 1, 1) for v in (mean, std)]
        expected = theirs.sub(column[0]).div(column[1]).numpy()
        same_bits(transforms.Normalize(mean, std)(image).numpy(), expected)

    def test_in_place(self):
        image = planes(3, 2, 2)
        before = image.numpy().copy()
        assert transforms.Normalize(0.5, 0.5)(image) is not image
        same_bits(image.numpy(), before)
        result = transforms.Normalize(0.5, 0.5, inplace=True)(image)
        same_bits(image.numpy(), (before - np.float32(0.5)) / np.float32(0.5))
        assert result is image

    def test_passes_gradients(self):
        image = planes(3, 2, 2).requires_grad_()
        transforms.Normalize(0.5, (0.5, 0.25, 2.0))(image).sum().backward()
        assert image.grad[:, 0, 0].tolist() == [2.0, 4.0, 0.5]

    def test_batch(self):
        normalize = transforms.Normalize((0.1, 0.2, 0.3), (0.3, 0.2, 0.1))
        images = planes(4, 3, 6, 5)
        for image, result in zip(images, normalize.batch(images), strict=True):
            same_bits(result, normalize(image))

    def test_refuses(self):
        normalize = transforms.Normalize(0.5, 0.5)
        with pytest.raises(TypeError, match=r"should be a Tensor. Got <class 'numpy.ndarray'>"):
            normalize(np.zeros((3, 2, 2)))
        with pytest.raises(TypeError, match=r"float tensor. Got torch.uint8"):
            normalize(torch.from_numpy(pixels(3, 2, 2)))
        with pytest.raises(ValueError, match=r"\(4, 5\)"):
            normalize(torch.zeros(4, 5))
        with pytest.raises(ValueError, match="division by zero"):
            transforms.Normalize(0.5, (0.5, 0.0, 0.5))(torch.zeros(3, 2, 2))
        with pytest.raises(ValueError, match="division by zero"):
            transforms.Normalize(0.5, 1e-60)(torch.zeros(3, 2, 2))
        with pytest.raises(ValueError, match="2 numbers do not fit 3 channels"):
            transforms.Normalize((0.5, 0.5), 0.5)(torch.zeros(3, 2, 2))


class TestRandomCrop:
    @given(
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        sides=st.tuples(*[st.integers(0, 3)] * 4),
        mode=st.sampled_from(["constant", "edge", "reflect", "symmetric"]),
        seed=st.integers(0, 2**30),
        data=st.data(),
    )
    def test_is_a_window_of_the_padded_image(self, height, width, sides, mode, seed, data):
        left, top, right, bottom = sides
        image = pixels(height, width, 2, seed=seed)
        padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), mode=mode)
        size = (
            data.draw(st.integers(1, padded.shape[0])),
            data.draw(st.integers(1, padded.shape[1])),
        )
        torch.manual_seed(seed)
        crop = transforms.RandomCrop(size, padding=sides, padding_mode=mode)(image)
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, (0, 1))
        assert crop.shape == (*size, 2)
        assert crop.dtype == np.uint8
        assert (windows == np.moveaxis(crop, -1, 0)).all(axis=(2, 3, 4)).any()

    def test_every_place_is_equally_likely(self):
        image = np.arange(12).reshape(4, 3)
        torch.manual_seed(0)
        crops = transforms.RandomCrop((3, 2)).batch(np.repeat(image[None], 8000, axis=0))
        corners, counts = np.unique(crops[:, 0, 0], return_counts=True)
        assert corners.tolist() == [0, 1, 3, 4]
        # Six standard deviations of a binomial count with p = 1/4.
        assert np.abs(counts - 2000).max() < 6 * (8000 * 3 / 16) ** 0.5

    @pytest.mark.parametrize(
        ("padding", "shape"),
        [(1, (6, 7)), ((1, 2), (8, 7)), ([1, 2, 3, 4], (10, 9)), ([2], (8, 9))],
    )
    def test_paddings(self, padding, shape):
        crop = transforms.RandomCrop(shape, padding, fill=9)(np.zeros((4, 5), np.uint8))
        left, top = (np.resize(padding, 4)[:2]) if not isinstance(padding, int) else (1, 1)
        assert crop.shape == shape
        assert (crop == 0).sum() == 20
        assert (crop[top : top + 4, left : left + 5] == 0).all()

    def test_pad_if_needed(self):
        crop = transforms.RandomCrop((6, 3), pad_if_needed=True, fill=7)
        torch.manual_seed(0)
        result = crop(np.zeros((4, 5, 1), np.uint8))
        assert result.shape == (6, 3, 1)
        # Both sides get two rows, and the window leaves out two of those eight rows.
        assert sorted(np.unique(result[:, 0], return_counts=True)[1].tolist()) == [2, 4]

    def test_fill_for_each_channel(self):
        filled = transforms.RandomCrop(3, padding=1, fill=(1, 2, 3))
        array = filled.batch(np.zeros((2, 1, 1, 3), np.uint8))
        tensor = filled.batch(torch.zeros(2, 3, 1, 1))
        assert array[1, 0, 0].tolist() == [1, 2, 3]
        assert array[1, 1, 1].tolist() == [0, 0, 0]
        same_bits(tensor.numpy(), np.ascontiguousarray(array.transpose(0, 3, 1, 2), np.float32))

    def test_tensors(self):
        images = planes(5, 3, 6, 7)
        crop = transforms.RandomCrop((4, 5), padding=1)
        torch.manual_seed(1)
        from_tensor = crop.batch(images)
        torch.manual_seed(1)
        from_array = crop.batch(images.numpy().transpose(0, 2, 3, 1))
        assert isinstance(from_tensor, torch.Tensor)
        same_bits(from_tensor.numpy(), np.ascontiguousarray(from_array.transpose(0, 3, 1, 2)))

    @pytest.mark.parametrize(
        "arguments",
        [
            {"size": 0},
            {"size": (1, 2, 3)},
            {"size": 4, "padding": -1},
            {"size": 4, "padding": (1, 2, 3)},
            {"size": 4, "padding_mode": "wrap"},
        ],
    )
    def test_refuses_arguments(self, arguments):
        with pytest.raises(ValueError, match="RandomCrop: "):
            transforms.RandomCrop(**arguments)

    def test_refuses_images(self):
        with pytest.raises(ValueError, match=r"size \(5, 5\) is larger.*size \(4, 6\)"):
            transforms.RandomCrop(5)(pixels(4, 6))
        for fill in (300, -1, 0.5):
            with pytest.raises(ValueError, match=f"fill {fill} does not fit into uint8"):
                transforms.RandomCrop(4, padding=1, fill=fill)(pixels(4, 6))
        for image in (pixels(4, 6, 3), pixels(4, 6)):
            with pytest.raises(ValueError, match=r"fill \(1, 2\) does not fit [31] channels"):
                transforms.RandomCrop(4, padding=1, fill=(1, 2))(image)


class TestRandomHorizontalFlip:
    @pytest.mark.parametrize("image", [pixels(4, 5, 3), pixels(4, 5), planes(3, 4, 5)])
    def test_certain(self, image):
        array = np.asarray(image)
        columns = 1 if isinstance(image, np.ndarray) else 2
        mirrored = np.ascontiguousarray(np.flip(array, columns))
        same_bits(np.asarray(transforms.RandomHorizontalFlip(1)(image)), mirrored)
        same_bits(np.asarray(transforms.RandomHorizontalFlip(0)(image)), array)

    def test_as_often_as_told(self):
        torch.manual_seed(0)
        flipped = transforms.RandomHorizontalFlip(0.3).batch(
            np.repeat(np.array([[[0, 1]]]), 10_000, axis=0)
        )
        # Six standard deviations of a binomial count.
        assert abs(flipped[:, 0, 0].sum() - 3000) < 6 * (10_000 * 0.3 * 0.7) ** 0.5

    @pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
    def test_refuses(self, p):
        with pytest.raises(ValueError, match=f"between 0 and 1, not {p}"):
            transforms.RandomHorizontalFlip(p)


class TestLambda:
    def test_one_and_batch(self):
        double = transforms.Lambda(lambda image: image * 2)
        assert double(np.array([[3]])).tolist() == [[6]]
        assert double.batch(np.array([[[3]], [[4]]])).tolist() == [[[6]], [[8]]]

    def test_refuses(self):
        with pytest.raises(TypeError, match="should be callable, got 'int'"):
            transforms.Lambda(3)


class Negative:
    """A transform from elsewhere that can take a batch."""

    def __call__(self, image):
        return 255 - image

    def batch(self, images):
        return 255 - images


def pipelines():
    crop = transforms.RandomCrop(6, padding=2)
    crop_edge = transforms.RandomCrop((5, 6), padding=(1, 2), padding_mode="reflect")
    flip = transforms.RandomHorizontalFlip()
    to_input = [transforms.ToTensor(), transforms.Normalize((0.5, 0.4, 0.3), (0.5, 0.6, 0.7))]
    return {
        "the usual": [crop, flip, *to_input],
        "tensors first": [*to_input, crop_edge, flip],
        "nested": [transforms.Compose([flip, crop]), transforms.Compose([flip, *to_input])],
        "twice": [crop, crop_edge, flip, flip],
        "from elsewhere": [crop, Negative(), flip, *to_input],
        "with a function": [flip, transforms.Lambda(lambda image: image // 2), crop, *to_input],
        "with a function inside": [flip, transforms.Compose([crop, np.copy]), *to_input],
        "nothing": [],
    }


class TestCompose:
    @pytest.mark.parametrize("name", pipelines())
    def test_batch_equals_single_images(self, name):
        compose = transforms.Compose(pipelines()[name])
        images = pixels(40, 6, 6, 3)
        with batch_seed(5):
            batch = compose.batch(images)
        with batch_seed(5):
            expected = default_collate([compose(image) for image in images])
        same_bits(np.asarray(batch), np.asarray(expected))

    def test_samples_draw_their_own_numbers(self):
        images = np.repeat(pixels(1, 6, 6, 3), 40, axis=0)
        torch.manual_seed(5)
        batch = transforms.Compose(pipelines()["twice"]).batch(images)
        assert len(np.unique(batch, axis=0)) > 20

    def test_batches_are_whole_where_all_members_take_them(self):
        seen = []

        class Watching(Negative):
            def __call__(self, image):
                seen.append("image")
                return image

            def batch(self, images):
                seen.append("batch")
                return images

        transforms.Compose([Watching(), transforms.ToTensor()]).batch(pixels(3, 4, 4))
        transforms.Compose([Watching(), np.copy, transforms.ToTensor()]).batch(pixels(3, 4, 4))
        assert seen == ["batch", "image", "image", "image"]

    @pytest.mark.parametrize("batch", [[1, 2], None])
    def test_batch_refuses_other_types(self, batch):
        with pytest.raises(TypeError, match="an array or a tensor, not"):
            transforms.Compose([]).batch(batch)

    def test_pil_images(self):
        pil = pytest.importorskip("PIL.Image")
        image = pixels(6, 6, 3)
        compose = transforms.Compose(pipelines()["the usual"])
        torch.manual_seed(2)
        expected = compose(image)
        torch.manual_seed(2)
        same_bits(compose(pil.fromarray(image)), expected)


def test_batches_of_a_loader_do_not_depend_on_workers():
    class Images(TensorDataset):
        transform = transforms.Compose(pipelines()["the usual"])

        def __getitem__(self, index):
            return self.transform(self.tensors[0][index].numpy())

    images = Images(torch.from_numpy(pixels(30, 6, 6, 3)))
    runs = []
    for workers in (0, 1, 3):
        torch.manual_seed(9)
        runs.append(list(DataLoader(images, 4, shuffle=True, num_workers=workers)))
    for run in runs[1:]:
        for batch, expected in zip(run, runs[0], strict=True):
            same_bits(batch, expected)


def test_new_transforms_say_what_they_lack():
    with pytest.raises(NotImplementedError, match="Half does not define apply"):
        type("Half", (transforms.ImageTransform,), {})()(pixels(2, 2))


def test_printed_form():
    compose = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.Lambda(abs),
            transforms.ToTensor(),
            transforms.Normalize((0.5,), (0.25,)),
        ]
    )
    assert repr(compose) == inspect.cleandoc(
        """
        Compose(
            RandomCrop(size=(32, 32), padding=4)
            RandomHorizontalFlip(p=0.5)
            Lambda()
            ToTensor()
            Normalize(mean=(0.5,), std=(0.25,))
        )
        """
    )
