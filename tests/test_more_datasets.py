"""CIFAR-100, KMNIST, EMNIST, folders of files and noise; the others are in test_datasets.py."""

import gzip
import zipfile

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn.utils.data import DataLoader, default_collate
from minitorch_cnn.vision import datasets, transforms

from .image_files import idx, mnist_files, write_mnist


@pytest.fixture
def cifar100(tmp_path):
    """A folder with CIFAR-100's files, their images and fine labels."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "fine_label_names.txt").write_text("".join(f"thing{i}\n" for i in range(100)) + "\n")
    content = {}
    for name, count in (("train.bin", 5), ("test.bin", 3)):
        coarse, fine = rng.integers(0, 20, count), rng.integers(0, 100, count)
        images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        records = np.concatenate([coarse[:, None], fine[:, None], images.reshape(count, -1)], 1)
        (folder / name).write_bytes(records.astype(np.uint8).tobytes())
        content[name] = images, fine
    return tmp_path, content


@pytest.mark.parametrize("train", [True, False])
def test_cifar100_reads_the_fine_labels(cifar100, train):
    root, content = cifar100
    images, fine = content["train.bin" if train else "test.bin"]
    dataset = datasets.CIFAR100(root, train=train, transform=transforms.ToTensor())
    np.testing.assert_array_equal(dataset.data, images.transpose(0, 2, 3, 1))
    assert dataset.targets == fine.tolist()
    assert dataset.classes[7] == "thing7"
    batch, labels = next(iter(DataLoader(dataset, 3)))
    np.testing.assert_array_equal(batch.numpy(), images[:3] / np.float32(255))
    assert labels.tolist() == fine[:3].tolist()


def test_damaged_cifar100(cifar100):
    root, _ = cifar100
    path = root / "cifar-100-binary" / "test.bin"
    content = bytearray(path.read_bytes())
    content[3074] = 25  # a coarse label
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match="from 0 to 19, found 25 in record 1"):
        datasets.CIFAR100(root, train=False)
    path.write_bytes(content[:-1])
    with pytest.raises(RuntimeError, match="records of 3074 bytes"):
        datasets.CIFAR100(root, train=False)


def test_kmnist_is_read_as_mnist(tmp_path):
    files, arrays = mnist_files()
    write_mnist(tmp_path / "KMNIST" / "raw", files, packed=True)
    dataset = datasets.KMNIST(tmp_path, train=False)
    np.testing.assert_array_equal(dataset.data.numpy(), arrays["t10k"][0])
    assert dataset.class_to_idx["wo"] == 9
    for _, checksum in datasets.KMNIST.resources:
        assert len(checksum) == 32


@pytest.fixture
def letters():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 28, 28)), rng.integers(1, 27, 6)
    files = {
        f"emnist-letters-{part}-{kind}-ubyte": idx(array)
        for part in ("train", "test")
        for kind, array in (("images-idx3", images), ("labels-idx1", labels))
    }
    return files, images, labels


def test_emnist_takes_a_split_out_of_the_archive_once(tmp_path, letters):
    files, images, labels = letters
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    with zipfile.ZipFile(raw / "gzip.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"gzip/{name}.gz", gzip.compress(content))
    dataset = datasets.EMNIST(tmp_path, "letters", train=True, download=True)
    np.testing.assert_array_equal(dataset.data.numpy(), images)
    np.testing.assert_array_equal(dataset.targets.numpy(), labels)
    assert dataset.classes[26] == "z"
    (raw / "gzip.zip").write_bytes(b"no archive")
    assert len(datasets.EMNIST(tmp_path, split="letters", train=False, download=True)) == 6
    with pytest.raises(RuntimeError, match="is damaged"):
        datasets.EMNIST(tmp_path, "digits", download=True)


def test_emnist_splits(tmp_path):
    counts = {name: len(classes) for name, classes in datasets.EMNIST.classes_split_dict.items()}
    assert counts == {
        "byclass": 62,
        "bymerge": 47,
        "balanced": 47,
        "letters": 27,
        "digits": 10,
        "mnist": 10,
    }
    with pytest.raises(ValueError, match="Unknown value 'words'"):
        datasets.EMNIST(tmp_path, "words")
    with pytest.raises(RuntimeError, match="no emnist-mnist-train-images-idx3-ubyte"):
        datasets.EMNIST(tmp_path, "mnist")


# ---------------------------------------------------------------------- folders


@pytest.fixture
def folder(tmp_path):
    for name, files in {
        "cat": ["b.txt", "a.TXT", "deep/c.txt"],
        "ant": ["z.txt", "skip.doc"],
    }.items():
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} {file}")
    return tmp_path


def read(path):
    with open(path) as file:
        return file.read()


def test_files_of_classes_in_order(folder):
    (folder / "stray.txt").write_text("of no class")
    dataset = datasets.DatasetFolder(folder, read, (".txt",), target_transform=lambda t: t + 10)
    assert dataset.classes == ["ant", "cat"]
    assert [dataset[i] for i in range(len(dataset))] == [
        ("ant z.txt", 10),
        ("cat a.TXT", 11),
        ("cat b.txt", 11),
        ("cat deep/c.txt", 11),
    ]
    assert dataset.targets == [0, 1, 1, 1]
    assert "Number of datapoints: 4" in repr(dataset)
    assert next(iter(DataLoader(dataset, 2)))[1].tolist() == [10, 11]
    chosen = datasets.DatasetFolder(
        folder, read, is_valid_file=lambda path: "doc" in path, allow_empty=True
    )
    assert [chosen[i] for i in range(len(chosen))] == [("ant skip.doc", 0)]


def test_what_folders_refuse(folder, tmp_path_factory):
    with pytest.raises(
        FileNotFoundError, match=r"the classes cat\. Supported extensions are: \.doc"
    ):
        datasets.DatasetFolder(folder, read, (".doc",))
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder"):
        datasets.DatasetFolder(tmp_path_factory.mktemp("empty"), read, (".txt",))
    for options in ({}, {"extensions": (".txt",), "is_valid_file": len}):
        with pytest.raises(ValueError, match="cannot be None or not None"):
            datasets.DatasetFolder(folder, read, **options)


def test_image_folders_hand_out_pil_images(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    for i, pixels in enumerate(pictures):
        (tmp_path / f"class{i % 2}").mkdir(exist_ok=True)
        pil.fromarray(pixels).save(tmp_path / f"class{i % 2}" / f"{i}.png")
    pil.fromarray(pictures[0]).convert("L").save(tmp_path / "class0" / "grey.PNG")
    (tmp_path / "class0" / "notes.txt").write_text("no image")
    dataset = datasets.ImageFolder(tmp_path)
    assert len(dataset) == 5
    assert dataset.imgs == dataset.samples
    image, label = dataset[0]
    assert (image.mode, image.size, label) == ("RGB", (5, 6), 0)
    np.testing.assert_array_equal(np.asarray(image), pictures[0])
    assert dataset[2][0].mode == "RGB"  # the grey one
    transform = transforms.Compose([transforms.CenterCrop(4), transforms.ToTensor()])
    loader = DataLoader(datasets.ImageFolder(tmp_path, transform), 5, num_workers=2)
    ((images, labels),) = loader
    assert images.shape == (5, 3, 4, 4)
    assert labels.tolist() == [0, 0, 0, 1, 1]


# ---------------------------------------------------------------------- noise


def test_noise_is_the_same_at_each_look():
    dataset = datasets.FakeData(6, (3, 4, 5), num_classes=4, transform=transforms.ToTensor())
    mt.manual_seed(0)
    first = [dataset[i] for i in range(6)]
    mt.manual_seed(1)
    for (image, label), (again, same) in zip(first, [dataset[i] for i in range(6)], strict=True):
        np.testing.assert_array_equal(image.numpy(), again.numpy())
        assert label == same in range(4)
    assert first[0][0].shape == (3, 4, 5)
    assert not mt.equal(first[0][0], first[1][0])
    other = datasets.FakeData(6, (3, 4, 5), random_offset=1)[0][0]
    np.testing.assert_array_equal(other, datasets.FakeData(6, (3, 4, 5))[1][0])
    np.testing.assert_array_equal(dataset[-1][0].numpy(), dataset[5][0].numpy())
    images, labels = next(iter(DataLoader(dataset, 6, num_workers=1)))
    expected = default_collate(first)
    np.testing.assert_array_equal(images.numpy(), expected[0].numpy())
    assert labels.tolist() == expected[1].tolist()
    with pytest.raises(IndexError, match="6 out of range for 6"):
        dataset[6]
