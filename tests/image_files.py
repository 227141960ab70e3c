"""Small image files in the official formats, full of noise.

python -m tests.image_files FOLDER        # CIFAR-10 with 40 images a file
"""

import gzip
import sys
from pathlib import Path

import numpy as np

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FOLDER = "cifar-10-batches-bin"


def cifar_files(records=4):
    """CIFAR-10's files with so many records each, and the images and labels in them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, records, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, (6, records), dtype=np.uint8)
    names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    files = {"batches.meta.txt": ("\n".join(CLASSES) + "\n\n").encode()}
    for name, pictures, numbers in zip(names, images, labels, strict=True):
        files[name] = b"".join(
            bytes([number]) + picture.tobytes()
            for number, picture in zip(numbers, pictures, strict=True)
        )
    return files, images, labels


def write_cifar(root, files):
    """Put the files where the dataset looks for them."""
    (root / FOLDER).mkdir(parents=True)
    for name, content in files.items():
        (root / FOLDER / name).write_bytes(content)


def idx(array):
    """An array in the format of MNIST's files."""
    header = bytes([0, 0, 8, array.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + sizes + array.astype(np.uint8).tobytes()


def mnist_files(train=7, test=3):
    """MNIST's files with so many images, and the images and labels in them."""
    rng = np.random.default_rng(1)
    files, arrays = {}, {}
    for prefix, size in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, size, dtype=np.uint8)
        files[f"{prefix}-images-idx3-ubyte"] = idx(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx(labels)
        arrays[prefix] = images, labels
    return files, arrays


def write_mnist(folder, files, packed=False):
    """Write the files, plain or packed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    write_cifar(Path(sys.argv[1]), cifar_files(records=40)[0])
