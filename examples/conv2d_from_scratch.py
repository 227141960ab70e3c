"""conv2d as a loop that anyone can follow, and the library's conv2d beside it.

Shows what a convolution computes, how the true one differs from the cross-correlation that neural
networks call by its name, and how large the result is for any padding, stride and dilation. Every
claim is checked. Draws a photograph before and after edge filters.

    python examples/conv2d_from_scratch.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pictures
from matplotlib.figure import Figure

import minitorch_cnn as torch
import minitorch_cnn.nn.functional as F
from minitorch_cnn import Tensor


def output_size(size: int, kernel: int, padding: int, stride: int, dilation: int = 1) -> int:
    """How many places the kernel takes along a side: floor((h + 2p - d(k - 1) - 1) / s) + 1."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def conv2d(
    image: np.ndarray, kernel: np.ndarray, padding: int = 0, stride: int = 1, dilation: int = 1
) -> np.ndarray:
    """Slide the kernel over the image; at each place, multiply what lies under it and add up."""
    padded = np.pad(image, padding)
    kh, kw = kernel.shape
    result = np.empty(
        [output_size(n, k, padding, stride, dilation) for n, k in zip(image.shape, kernel.shape)]
    )
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            top, left = i * stride, j * stride
            under = padded[
                top : top + dilation * (kh - 1) + 1 : dilation,
                left : left + dilation * (kw - 1) + 1 : dilation,
            ]
            result[i, j] = np.sum(under * kernel)
    return result


def tensor(matrix: np.ndarray) -> Tensor:
    return torch.tensor(matrix, dtype=torch.float32)


def library_conv2d(image: np.ndarray, kernel: np.ndarray, **options: int) -> np.ndarray:
    """The library's conv2d, which takes batches of images with channels, on one matrix."""
    return F.conv2d(tensor(image)[None, None], tensor(kernel)[None, None], **options)[0, 0].numpy()


def print_side_by_side(*matrices: np.ndarray) -> None:
    for row in range(max(map(len, matrices))):
        texts = []
        for matrix in matrices:
            values = matrix[row] if row < len(matrix) else []
            texts.append("".join(f"{value:4.0f}" for value in values).ljust(4 * matrix.shape[1]))
        print("   " + "    ".join(texts).rstrip())


def show_example() -> None:
    image = np.zeros((5, 5))
    image[:3, :3] = np.arange(1, 10).reshape(3, 3)
    kernel = np.array([[1.0, 0.0, -1.0]] * 3)
    result = conv2d(image, kernel, padding=1)
    expected = [
        [-7, -4, 7, 9, 0],
        [-15, -6, 15, 18, 0],
        [-13, -4, 13, 15, 0],
        [-8, -2, 8, 9, 0],
        [0, 0, 0, 0, 0],
    ]
    assert np.array_equal(result, expected)
    assert np.array_equal(library_conv2d(image, kernel, padding=1), expected)
    print("1. An image, a filter for vertical edges, and the result with padding 1")
    print_side_by_side(image, kernel, result)
    print("   The loop and the library agree on every number.\n")


def show_true_convolution() -> None:
    point = np.zeros((3, 3))
    point[1, 1] = 1
    kernel = np.arange(1.0, 10).reshape(3, 3)
    correlation = library_conv2d(point, kernel, padding=1)
    turned = kernel[::-1, ::-1]
    convolution = F.convolve2d(tensor(point), tensor(kernel), padding=1).numpy()
    assert np.array_equal(convolution, kernel)
    assert np.array_equal(correlation, turned)
    assert np.array_equal(convolution, conv2d(point, turned, padding=1))
    print("2. A single bright point, filtered with the numbers 1 to 9")
    print("   The point, its cross-correlation (conv2d), its true convolution (convolve2d):")
    print_side_by_side(point, correlation, convolution)
    print("   The true one turns the kernel by 180 degrees first, and so shows it as it is.")
    print("   A network learns its kernels, turned or not, so libraries leave the turn out.\n")


def show_sizes(rng: np.random.Generator) -> None:
    print("3. The size of the result: floor((h + 2p - d(k - 1) - 1) / s) + 1")
    print("   `h - k + 2 * p // s + 1` divides the padding alone: right only where s = d = 1")
    print("      h   k   p   s   d |  size  slip")
    for h, k, p, s, d in [
        (5, 3, 1, 1, 1),
        (32, 5, 0, 1, 1),
        (32, 5, 2, 1, 1),
        (28, 2, 0, 2, 1),
        (32, 3, 1, 2, 1),
        (32, 7, 3, 4, 1),
        (32, 3, 2, 1, 2),
        (32, 3, 0, 3, 4),
    ]:
        image, kernel = rng.standard_normal((h, h)), rng.standard_normal((k, k))
        size, slip = output_size(h, k, p, s, d), h - k + 2 * p // s + 1
        ours = library_conv2d(image, kernel, padding=p, stride=s, dilation=d)
        assert ours.shape == (size, size)
        assert np.allclose(ours, conv2d(image, kernel, p, s, d), atol=1e-5)
        mark = "" if slip == size else "  wrong"
        print(f"   {h:4d}{k:4d}{p:4d}{s:4d}{d:4d} | {size:5d} {slip:5d}{mark}")
    print("   The loop and the library agree on every size and, to rounding, on every number.\n")


def edges() -> Figure:
    """A photograph, and what Sobel's two filters and their length make of it."""
    try:
        from sklearn.datasets import load_sample_image

        photograph = load_sample_image("china.jpg").mean(2) / 255
    except ImportError:
        raise SystemExit(
            'The photograph needs scikit-learn and pillow: pip install "minitorch-cnn[examples]"'
        ) from None
    sobel = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    across, down = (library_conv2d(photograph, kernel) for kernel in (sobel, sobel.T))
    picture = pictures.figure(9, 6.4)
    for axes, image, title, colours, limits in zip(
        picture.subplots(2, 2).flat,
        [photograph, across, down, np.hypot(across, down)],
        [
            "before",
            "vertical edges: Sobel's filter",
            "horizontal edges: the same filter, transposed",
            "all edges: the length of the two",
        ],
        ["gray", "RdBu_r", "RdBu_r", "gray_r"],
        [(0, 1), (-2, 2), (-2, 2), (0, 2.5)],
    ):
        axes.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1])
        axes.set_title(title, fontsize=10)
        axes.axis("off")
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the images in the table, default: %(default)s"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for pictures, default: %(default)s"
    )
    options = parser.parse_args()

    show_example()
    show_true_convolution()
    show_sizes(np.random.default_rng(options.seed))
    pictures.save(edges(), options.out, "conv2d_edges")


if __name__ == "__main__":
    main()
