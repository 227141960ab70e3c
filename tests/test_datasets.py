"""The image datasets, on small files in the official formats, and downloads from a server here."""

import gzip
import hashlib
import inspect
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.utils.data import DataLoader, Subset, default_collate
from minitorch_cnn.utils.data.randomness import batch_seed
from minitorch_cnn.vision import datasets, transforms
from minitorch_cnn.vision.datasets.mnist import read_idx

from .image_files import CLASSES, FOLDER, cifar_files, idx, mnist_files, write_cifar, write_mnist


def tar_gz(entries):
    """A .tar.gz with these (name or TarInfo, content)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for entry, content in entries:
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files` on this machine; `cut` breaks answers off, `ranges` says whether to resume."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, []
        self.cut, self.ranges = None, True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name, server = self.path.lstrip("/"), self.server
        begin = self.headers.get("Range")
        server.asked.append((name, begin))
        if name not in server.files:
            self.send_error(404)
            return
        content, start = server.files[name], 0
        if begin and server.ranges:
            start = int(begin.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : server.cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def cifar(tmp_path):
    files, images, labels = cifar_files()
    write_cifar(tmp_path, files)
    return tmp_path, images, labels


@pytest.fixture
def mnist(tmp_path):
    files, arrays = mnist_files()
    write_mnist(tmp_path, files)
    return tmp_path, arrays


class TestCIFAR10:
    @pytest.mark.parametrize("train", [True, False])
    def test_reads_the_official_layout(self, cifar, train):
        root, images, labels = cifar
        dataset = datasets.CIFAR10(root, train)
        files = slice(0, 5) if train else slice(5, 6)
        images, labels = images[files].reshape(-1, 3, 32, 32), labels[files].reshape(-1)
        assert len(dataset) == len(images)
        assert dataset.data.shape == (len(images), 32, 32, 3)
        assert dataset.data.dtype == np.uint8
        assert dataset.targets == labels.tolist()
        for number, (image, label) in enumerate(dataset):
            for channel in range(3):
                assert (image[:, :, channel] == images[number, channel]).all()
            assert type(label) is int
            assert label == labels[number]

    def test_classes(self, cifar):
        dataset = datasets.CIFAR10(str(cifar[0]))
        assert dataset.classes == CLASSES
        assert dataset.class_to_idx == {name: number for number, name in enumerate(CLASSES)}

    def test_missing_files(self, cifar):
        (cifar[0] / FOLDER / "data_batch_3.bin").unlink()
        with pytest.raises(RuntimeError, match=r"lacks \['data_batch_3.bin'\].*download=True"):
            datasets.CIFAR10(cifar[0])
        assert len(datasets.CIFAR10(cifar[0], train=False)) == 4
        with pytest.raises(RuntimeError, match=r"nowhere.*lacks.*download=True"):
            datasets.CIFAR10(cifar[0] / "nowhere")

    @pytest.mark.parametrize("size", [0, 3072, 4 * 3073 - 1, 4 * 3073 + 1])
    def test_truncated_file(self, cifar, size):
        path = cifar[0] / FOLDER / "test_batch.bin"
        path.write_bytes((path.read_bytes() + b"x")[:size])
        with pytest.raises(
            RuntimeError, match=f"test_batch.bin is damaged: expected .*3073.*found {size} bytes"
        ):
            datasets.CIFAR10(cifar[0], train=False)

    def test_label_out_of_range(self, cifar):
        path = cifar[0] / FOLDER / "test_batch.bin"
        content = bytearray(path.read_bytes())
        content[2 * 3073] = 10
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"test_batch.bin.*found 10 in record 2"):
            datasets.CIFAR10(cifar[0], train=False)

    def test_class_names_are_counted(self, cifar):
        (cifar[0] / FOLDER / "batches.meta.txt").write_text("cat\ndog\n")
        with pytest.raises(RuntimeError, match="10 classes, found 2"):
            datasets.CIFAR10(cifar[0])


class TestMNIST:
    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize(
        ("make", "folder"),
        [
            (datasets.MNIST, "MNIST/raw"),
            (datasets.MNIST, "mnist"),
            (datasets.MNIST, "."),
            (datasets.FashionMNIST, "FashionMNIST/raw"),
            (datasets.FashionMNIST, "fashion-mnist"),
        ],
    )
    def test_reads_the_official_layout(self, tmp_path, make, folder, packed):
        files, arrays = mnist_files()
        write_mnist(tmp_path / folder, files, packed)
        for train, prefix in ((True, "train"), (False, "t10k")):
            images, labels = arrays[prefix]
            dataset = make(tmp_path, train)
            assert dataset.data.dtype is torch.uint8
            assert dataset.targets.dtype is torch.int64
            assert dataset.data.shape == images.shape
            assert len(dataset) == len(images)
            assert dataset.targets.tolist() == labels.tolist()
            for (image, label), picture, number in zip(dataset, images, labels, strict=True):
                assert image.shape == (28, 28)
                assert image.dtype == np.uint8
                assert (image == picture).all()
                assert type(label) is int
                assert label == number

    def test_each_finds_its_own_files(self, tmp_path):
        files, _ = mnist_files()
        write_mnist(tmp_path / "mnist", files)
        with pytest.raises(RuntimeError, match=r"no train-images-idx3-ubyte.*fashion-mnist"):
            datasets.FashionMNIST(tmp_path)

    def test_classes(self, mnist):
        assert datasets.MNIST(mnist[0]).class_to_idx["3 - three"] == 3
        assert datasets.FashionMNIST(mnist[0]).class_to_idx["Ankle boot"] == 9

    def test_missing_files(self, tmp_path):
        with pytest.raises(RuntimeError, match=r"no t10k-images-idx3-ubyte.*download=True"):
            datasets.MNIST(tmp_path, train=False)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "header of 16 bytes.*found nothing in a file of 0 bytes"),
            (bytes([0, 0, 8, 3, 0, 0, 0]), "header of 16 bytes.*file of 7 bytes"),
            (idx(np.zeros((2, 3))).ljust(40), "begins with 00000803, found 00000802"),
            (bytes([0, 0, 13, 3]).ljust(40), "begins with 00000803, found 00000d03"),
            (idx(np.zeros((2, 4, 4)))[:-1], r"expected 48 bytes for the shape \(2, 4, 4\).*47"),
            (idx(np.zeros((2, 4, 4))) + b"x", "expected 48 bytes.*found 49 bytes"),
            (bytes([0, 0, 8, 3]) + b"\xff" * 12, "expected 79228162458924105385300197391 bytes"),
        ],
    )
    def test_damaged_idx(self, tmp_path, content, words):
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=f"{path.name} is damaged: .*{words}"):
            read_idx(path, rank=3)

    @pytest.mark.parametrize("damage", ["cut", "flipped", "not gzip"])
    def test_damaged_gz(self, tmp_path, damage):
        content = bytearray(gzip.compress(idx(np.arange(320).reshape(5, 8, 8) % 256)))
        if damage == "cut":
            del content[-20:]
        elif damage == "flipped":
            content[40] ^= 0xFF
        else:
            content[0] = 0
        path = tmp_path / "train-images-idx3-ubyte.gz"
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=f"{path.name} is damaged: it does not decompress"):
            read_idx(path, rank=3)

    def test_images_and_labels_that_do_not_match(self, mnist):
        (mnist[0] / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5)))
        with pytest.raises(RuntimeError, match=r"7 images.*5 labels"):
            datasets.MNIST(mnist[0])

    def test_label_out_of_range(self, mnist):
        (mnist[0] / "train-labels-idx1-ubyte").write_bytes(idx(np.full(7, 10)))
        with pytest.raises(RuntimeError, match="labels from 0 to 9, found 10"):
            datasets.MNIST(mnist[0])


def pipelines():
    crop, flip = transforms.RandomCrop(28, padding=4), transforms.RandomHorizontalFlip()
    to_input = [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
    return {
        "none": None,
        "whole batches": transforms.Compose([crop, flip, *to_input]),
        "no tensor": transforms.Compose([crop, flip]),
        "image by image": transforms.Compose([crop, transforms.Lambda(np.copy), *to_input]),
        "a function": np.copy,
    }


class TestSamplesAndBatches:
    @pytest.mark.parametrize("name", pipelines())
    @pytest.mark.parametrize("target_transform", [None, lambda label: label + 100])
    @pytest.mark.parametrize("make", [datasets.CIFAR10, datasets.MNIST])
    def test_batch_equals_collated_samples(self, tmp_path, make, name, target_transform):
        write_cifar(tmp_path, cifar_files()[0])
        write_mnist(tmp_path, mnist_files()[0])
        dataset = make(tmp_path, True, pipelines()[name], target_transform)
        indices = np.array([3, 0, 5, 5])
        with batch_seed(4):
            expected = default_collate([dataset[i] for i in indices.tolist()])
        with batch_seed(4):
            batch = dataset.get_batch(indices)
        assert type(batch) is list
        assert len(batch) == 2
        for actual, wanted in zip(batch, expected, strict=True):
            assert actual.dtype is wanted.dtype
            np.testing.assert_array_equal(actual.numpy(), wanted.numpy())

    def test_loaders_ask_for_whole_batches_unless_samples_are_overridden(self, cifar):
        class Whole(datasets.CIFAR10):
            def get_batch(self, indices):
                return "whole batch"

        class Own(Whole):
            def __getitem__(self, index):
                return "own sample"

        assert set(DataLoader(Whole(cifar[0]), 4)) == {"whole batch"}
        assert set(DataLoader(Subset(Whole(cifar[0]), [0, 1]), 4)) == {"whole batch"}
        assert next(iter(DataLoader(Own(cifar[0]), 2))) == ["own sample"] * 2

    def test_samples_do_not_share_memory_with_the_dataset(self, cifar):
        dataset = datasets.CIFAR10(cifar[0])
        image, _ = dataset[0]
        before = dataset.data[0].copy()
        image[:] = 0
        assert (dataset.data[0] == before).all()

    def test_replaced_data_is_used(self, mnist):
        dataset = datasets.MNIST(mnist[0])
        dataset.data, dataset.targets = dataset.data[:2], [5, 6]
        assert len(dataset) == 2
        assert dataset.get_batch(np.array([1]))[1].tolist() == [6]

    def test_index_out_of_range(self, mnist):
        with pytest.raises(IndexError):
            datasets.MNIST(mnist[0])[7]

    @pytest.mark.parametrize("train", [True, False])
    def test_printed_form_names_the_split(self, mnist, train):
        line = "    Split: Train" if train else "    Split: Test"
        assert repr(datasets.MNIST(mnist[0], train)).splitlines()[-1] == line

    def test_printed_form(self, cifar):
        dataset = datasets.CIFAR10(cifar[0])
        lines = inspect.cleandoc(
            f"""
            Dataset CIFAR10
                Number of datapoints: 20
                Root location: {cifar[0]}
                Split: Train
            """
        )
        assert repr(dataset) == lines
        dataset.transform = transforms.Compose([transforms.ToTensor()])
        dataset.target_transform = transforms.Lambda(int)
        assert repr(dataset) == lines + (
            "\n    StandardTransform"
            "\nTransform: Compose("
            "\n               ToTensor()"
            "\n           )"
            "\nTarget transform: Lambda()"
        )

    def test_printed_form_of_a_subclass(self):
        class Stripes(datasets.VisionDataset):
            data, targets = np.eye(3), [0, 1, 2]

        assert repr(Stripes("here")).endswith("\n    Root location: here")


class TestDownload:
    @pytest.fixture
    def served(self, server, monkeypatch):
        """CIFAR10 pointed at the server, which holds a small archive."""
        files, _, _ = cifar_files()
        archive = tar_gz([(f"{FOLDER}/{name}", content) for name, content in files.items()])
        server.files[datasets.CIFAR10.filename] = archive
        monkeypatch.setattr(datasets.CIFAR10, "url", server.url + datasets.CIFAR10.filename)
        monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
        return server

    def test_cifar(self, served, tmp_path, capfd):
        root = tmp_path / "new" / "data"
        dataset = datasets.CIFAR10(root, download=True)
        assert len(dataset) == 20
        assert "cifar-10-binary.tar.gz: 100%" in capfd.readouterr().err
        left = sorted(path.name for path in root.rglob("*") if path.is_file())
        assert left == sorted([*cifar_files()[0], "cifar-10-binary.tar.gz"])
        datasets.CIFAR10(root, download=True)
        assert len(served.asked) == 1

    def test_archive_placed_by_hand_is_unpacked(self, served, tmp_path):
        name = datasets.CIFAR10.filename
        (tmp_path / name).write_bytes(served.files.pop(name))
        assert len(datasets.CIFAR10(tmp_path, train=False, download=True)) == 4
        assert served.asked == []

    @pytest.mark.parametrize("ranges", [True, False])
    def test_broken_off_and_resumed(self, served, tmp_path, ranges):
        name, part = datasets.CIFAR10.filename, tmp_path / "cifar-10-binary.tar.gz.part"
        served.cut, served.ranges = 5000, ranges
        with pytest.raises(RuntimeError, match=r"[Cc]all again to continue"):
            datasets.CIFAR10(tmp_path, download=True)
        assert part.read_bytes() == served.files[name][:5000]
        assert not (tmp_path / name).exists()
        served.cut = None
        assert len(datasets.CIFAR10(tmp_path, download=True)) == 20
        assert served.asked == [(name, None), (name, "bytes=5000-")]
        assert (tmp_path / name).read_bytes() == served.files[name]
        assert not part.exists()

    def test_complete_part_is_only_renamed(self, served, tmp_path):
        name = datasets.CIFAR10.filename
        (tmp_path / f"{name}.part").write_bytes(served.files[name])
        assert len(datasets.CIFAR10(tmp_path, download=True)) == 20

    @pytest.mark.parametrize("start", [b"", b"rubbish"])
    def test_wrong_checksum(self, served, tmp_path, monkeypatch, start):
        name = datasets.CIFAR10.filename
        monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", "0" * 32)
        if start:
            (tmp_path / f"{name}.part").write_bytes(start)
        with pytest.raises(RuntimeError, match=f"has the MD5 .*, expected {'0' * 32}"):
            datasets.CIFAR10(tmp_path, download=True)
        assert list(tmp_path.iterdir()) == []

    def test_without_length(self, served, tmp_path, monkeypatch):
        def send_header(handler, key, value):
            if key != "Content-Length":
                BaseHTTPRequestHandler.send_header(handler, key, value)

        monkeypatch.setattr(Handler, "send_header", send_header, raising=False)
        assert len(datasets.CIFAR10(tmp_path, download=True)) == 20

    def test_no_such_file(self, served, tmp_path):
        served.files.clear()
        url = datasets.CIFAR10.url
        with pytest.raises(RuntimeError, match=f"could not download {url} .*404.*put it at .*gz"):
            datasets.CIFAR10(tmp_path, download=True)

    def test_no_network(self, tmp_path, monkeypatch):
        closed = Server()
        url = closed.url + datasets.CIFAR10.filename
        closed.server_close()
        monkeypatch.setattr(datasets.CIFAR10, "url", url)
        place = tmp_path / datasets.CIFAR10.filename
        with pytest.raises(RuntimeError, match=f"could not download {url}.*put it at {place}"):
            datasets.CIFAR10(tmp_path, download=True)

    @pytest.fixture
    def mnist_server(self, server, monkeypatch):
        packed = {f"{name}.gz": gzip.compress(text) for name, text in mnist_files()[0].items()}
        server.files.update(packed)
        monkeypatch.setattr(datasets.MNIST, "mirrors", (server.url + "gone/", server.url))
        monkeypatch.setattr(
            datasets.MNIST, "resources", tuple((name, md5(text)) for name, text in packed.items())
        )
        return server

    def test_mnist_from_the_second_mirror(self, mnist_server, tmp_path):
        dataset = datasets.MNIST(tmp_path, download=True)
        assert len(dataset) == 7
        raw = tmp_path / "MNIST" / "raw"
        assert sorted(path.name for path in raw.iterdir()) == sorted(mnist_server.files)
        asked = len(mnist_server.asked)
        assert asked == 8
        datasets.MNIST(tmp_path, train=False, download=True)
        assert len(mnist_server.asked) == asked

    def test_mnist_from_no_mirror(self, mnist_server, tmp_path):
        mnist_server.files.clear()
        with pytest.raises(RuntimeError) as caught:
            datasets.MNIST(tmp_path, download=True)
        for mirror in datasets.MNIST.mirrors:
            assert f"could not download {mirror}train-images-idx3-ubyte.gz" in str(caught.value)

    def test_official_files_are_named(self):
        assert datasets.CIFAR10.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
        for make in (datasets.MNIST, datasets.FashionMNIST):
            names = [name for name, _ in make.resources]
            assert names == [f"{name}.gz" for name in mnist_files()[0]]
            assert all(len(checksum) == 32 for _, checksum in make.resources)


class TestUnpack:
    def place(self, root, entries):
        (root / datasets.CIFAR10.filename).write_bytes(tar_gz(entries))

    def entries(self):
        return [(f"{FOLDER}/{name}", content) for name, content in cifar_files()[0].items()]

    def test_takes_only_what_it_expects(self, tmp_path):
        link = tarfile.TarInfo(f"{FOLDER}/readme.html")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        strange = [
            ("../outside.bin", b"x"),
            ("/absolute.bin", b"x"),
            (f"{FOLDER}/../test_batch.bin", b"x"),
            (f"other/{FOLDER}/test_batch.bin", b"x"),
            (f"{FOLDER}/more.bin", b"x"),
            (link, b""),
        ]
        root = tmp_path / "root"
        root.mkdir()
        self.place(root, strange + self.entries())
        datasets.CIFAR10(root, download=True)
        written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
        names = {f"root/{FOLDER}/{name}" for name in cifar_files()[0]}
        assert {str(path) for path in written} == names | {f"root/{datasets.CIFAR10.filename}"}

    def test_links_are_not_followed(self, tmp_path):
        link = tarfile.TarInfo(f"{FOLDER}/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        self.place(tmp_path, [(link, b""), *self.entries()[:-1]])
        with pytest.raises(RuntimeError, match=r"lacks \['test_batch.bin'\]"):
            datasets.CIFAR10(tmp_path, download=True)

    def test_leading_dot(self, tmp_path):
        self.place(tmp_path, [(f"./{name}", content) for name, content in self.entries()])
        assert len(datasets.CIFAR10(tmp_path, download=True)) == 20

    @pytest.mark.parametrize("damage", ["cut", "flipped", "not gzip", "wrong checksum at the end"])
    def test_damaged_archive(self, tmp_path, damage):
        content = bytearray(tar_gz(self.entries()))
        if damage == "cut":
            del content[len(content) // 2 :]
        elif damage == "flipped":
            content[len(content) // 2] ^= 0xFF
        elif damage == "not gzip":
            content[:] = b"not an archive"
        else:
            content = bytearray(gzip.compress(gzip.decompress(content) + bytes(10**6)))
            content[-8] ^= 0xFF
        (tmp_path / datasets.CIFAR10.filename).write_bytes(content)
        with pytest.raises(RuntimeError, match=r"cifar-10-binary.tar.gz is damaged"):
            datasets.CIFAR10(tmp_path, download=True)
