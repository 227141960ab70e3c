"""Images as the list of their windows, and back."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.op import Op, Result, View
from ..tensor import Tensor
from .convert import clone, contiguous
from .pad import pad
from .shape import reshape
from .sides import Pair, pair
from .strided import with_strides


class Patches(View):
    """y[n,c,u,v,i,j] = x[n,c,i s + u d,j s + v d], without a copy"""

    @staticmethod
    def view(buffer: Any, *, count: Pair, kernel_size: Pair, stride: Pair, dilation: Pair) -> Any:
        n, c, r, s = buffer.strides
        steps = (n, c, r * dilation[0], s * dilation[1], r * stride[0], s * stride[1])
        shown = with_strides(buffer, (*buffer.shape[:2], *kernel_size, *count), steps)
        shown.flags.writeable = False  # one element at many places
        return shown

    def grad_x(self, gy: Tensor) -> Tensor:
        options = {"stride": self.attrs["stride"], "dilation": self.attrs["dilation"]}
        return AddPatches.apply(gy, size=self.shapes[0][2:], **options)


class AddPatches(Op):
    """y[n,c,r,s] = sum of x[n,c,u,v,i,j] where r = i s + u d and s = j s + v d"""

    kernel = "shape.add_patches"
    parameters = ("stride", "dilation")
    contiguous = False

    @staticmethod
    def outputs(x: Tensor, *, size: Pair, stride: Pair, dilation: Pair) -> Result:
        return (*x._buffer.shape[:2], *size), x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        _, _, kh, kw, oh, ow = self.shapes[0]
        options = {"stride": self.attrs["stride"], "dilation": self.attrs["dilation"]}
        return Patches.apply(gy, kernel_size=(kh, kw), count=(oh, ow), **options)


def _window_options(
    name: str, size: Pair, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[dict[str, Any], Pair]:
    """How many windows images of this size have, with the options of ops; and the padding."""
    options = {
        "kernel_size": pair(f"{name}: kernel_size", kernel_size),
        "dilation": pair(f"{name}: dilation", dilation),
        "stride": pair(f"{name}: stride", stride),
    }
    for option, value in options.items():
        if min(value) < 1:
            raise RuntimeError(f"{name}: {option} must be greater than zero, not {value}")
    margin = pair(f"{name}: padding", padding)
    if min(margin) < 0:
        raise RuntimeError(f"{name}: padding must not be negative, and this is {margin}")
    sides = zip(size, margin, options["kernel_size"], options["dilation"], options["stride"])
    count = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, k, d, s in sides]
    if min(count) < 1:
        raise RuntimeError(
            f"{name}: kernel {options['kernel_size']} with dilation {options['dilation']} does not "
            f"fit images of size {size} with padding {margin}"
        )
    return {**options, "count": (count[0], count[1])}, margin


def unfold(
    input: Tensor,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Tensor:
    """The windows that a convolution sees, one after the other.

    Shapes: (n, c, h, w) or (c, h, w) to (n, c kh kw, windows), padded with zeros.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.unfold.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.unfold(torch.arange(6.0).reshape(1, 2, 3), kernel_size=2)
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    shape = input._buffer.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            f"unfold: expected images (c, h, w) or (n, c, h, w) with no size but n zero, "
            f"got {list(shape)}"
        )
    options, (ph, pw) = _window_options(
        "unfold", shape[-2:], kernel_size, dilation, padding, stride
    )
    x = input if len(shape) == 4 else input.unsqueeze(0)
    if ph or pw:
        x = pad(x, (pw, pw, ph, ph))
    windows = clone(Patches.apply(x, **options))
    rows = shape[-3] * math.prod(options["kernel_size"])
    y = reshape(windows, x._buffer.shape[0], rows, math.prod(options["count"]))
    return y if len(shape) == 4 else y.squeeze(0)


def fold(
    input: Tensor,
    output_size: int | Pair,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Tensor:
    """Images from their windows; where these overlap, their sum: the adjoint of `unfold`.

    Shapes: (n, c kh kw, windows) or (c kh kw, windows) to (n, c, *output_size).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.fold.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.fold(torch.ones(4, 2), output_size=(2, 3), kernel_size=2)
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    shape = input._buffer.shape
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            f"fold: expected windows (c kh kw, l) or (n, c kh kw, l) with no size but n zero, "
            f"got {list(shape)}"
        )
    size = pair("fold: output_size", output_size)
    options, (ph, pw) = _window_options("fold", size, kernel_size, dilation, padding, stride)
    (kh, kw), (oh, ow) = options["kernel_size"], options["count"]
    if shape[-2] % (kh * kw) or shape[-1] != oh * ow:
        raise RuntimeError(
            f"fold: kernel {(kh, kw)} makes of images of size {size} {oh * ow} windows of "
            f"{kh * kw} elements for each channel, which does not fit an input of {list(shape)}"
        )
    windows = reshape(
        input, -1 if len(shape) == 2 else shape[0], shape[-2] // (kh * kw), kh, kw, oh, ow
    )
    padded = (size[0] + 2 * ph, size[1] + 2 * pw)
    steps = {"stride": options["stride"], "dilation": options["dilation"]}
    y = AddPatches.apply(windows, size=padded, **steps)
    if ph or pw:
        y = contiguous(y[:, :, ph : ph + size[0], pw : pw + size[1]])
    return y if len(shape) == 3 else y.squeeze(0)
