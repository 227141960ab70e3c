"""Convolution (cross-correlation, as in every deep-learning library) and its adjoints.

The three ops are linear in each argument, and each one's gradients are the other two: the family is
closed under differentiation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..autograd.op import Op, Result
from ..tensor import Tensor
from .matmul import require_floating
from .pad import pad
from .reduce import sum
from .shape import flip
from .sides import Pair, Single, as_images, integer, lifted, lowered, sides


class Conv2d(Op):
    """y[n,o,i,j] = b[o] + sum_{c,k,l} x[n, c, i s + k d - p, j s + l d - p] w[o,c,k,l]

    `size` is the output's height and width; `padding` the rows above and columns to the left.
    """

    kernel = "conv.conv2d"
    parameters = ("stride", "padding", "dilation", "groups")

    @staticmethod
    def outputs(
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        *,
        size: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Result:
        return (x._buffer.shape[0], w._buffer.shape[0], *size), x.dtype

    def grad_x(self, gy: Tensor, w: Tensor) -> Tensor:
        return Conv2dInputGrad.apply(gy, w, **{**self.attrs, "size": self.shapes[0]})

    def grads_w_b(self, gy: Tensor, x: Tensor) -> list[Tensor | None]:
        """One op, as it reads gy once for both."""
        if self.edges[1] is None:
            return [None, sum(gy, (0, 2, 3))]
        for_b = self.edges[2] is not None
        sizes = {"size": self.shapes[1], "bias": for_b}
        gw, gb = Conv2dWeightGrad.apply(gy, x, **{**self.attrs, **sizes})
        return [gw, gb if for_b else None]


class Conv2dInputGrad(Op):
    """gx = the adjoint of conv2d in x; `size` is x's shape"""

    kernel = "conv.conv2d_input_grad"
    parameters = ("stride", "padding", "dilation", "groups")

    @staticmethod
    def outputs(
        gy: Tensor,
        w: Tensor,
        *,
        size: tuple[int, ...],
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor, w: Tensor) -> Tensor:
        return Conv2d.apply(g, w, None, **{**self.attrs, "size": self.shapes[0][2:]})

    def grad_w(self, g: Tensor, gy: Tensor) -> Tensor:
        sizes = {"size": self.shapes[1], "bias": False}
        return Conv2dWeightGrad.apply(gy, g, **{**self.attrs, **sizes})[0]


class Conv2dWeightGrad(Op):
    """gw and gb = the adjoint of conv2d in w and b; `size` is w's shape

    Without `bias`, gb is empty.
    """

    kernel = "conv.conv2d_weight_grad"
    parameters = ("stride", "padding", "dilation", "groups")
    differentiable = 2

    @staticmethod
    def outputs(
        gy: Tensor,
        x: Tensor,
        *,
        size: tuple[int, ...],
        bias: bool,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> list[Result]:
        return [(size, gy.dtype), ((size[0] if bias else 0,), gy.dtype)]

    def grad_gy(self, g: Tensor, gb: Tensor, x: Tensor) -> Tensor:
        b = gb if self.attrs["bias"] else None
        return Conv2d.apply(x, g, b, **{**self._attrs, "size": self.shapes[0][2:]})

    def grad_x(self, g: Tensor, gb: Tensor, gy: Tensor) -> Tensor:
        return Conv2dInputGrad.apply(gy, g, **{**self._attrs, "size": self.shapes[1]})

    @property
    def _attrs(self) -> dict[str, Any]:
        return {name: self.attrs[name] for name in self.parameters}


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Single = 1,
    padding: int | Single | str = 0,
    dilation: int | Single = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` of sequences: images of one row.

    Shapes: input (n, c, l) or (c, l), weight (o, c / groups, k), bias (o), the result (n, o, ol)
    with ol = floor((l + 2 padding - dilation (k - 1) - 1) / stride) + 1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2.]])
    """
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Slide every filter over the images: the cross-correlation that CNNs call convolution.

    Shapes: input (n, c, h, w) or (c, h, w); weight (o, c / groups, kh, kw); bias (o); the result
    (n, o, oh, ow) with oh = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1. `padding`
    is rows and columns of zeros on each side, or "valid" for none, or "same" for as many as keep
    the size at stride 1. `groups` splits channels into groups that do not see each other.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return _convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def _convolve(
    name: str,
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    """A convolution over the last one or two dimensions."""
    _check_operands(name, dims, input, weight, bias)
    attrs = _checked(
        name,
        input._buffer.shape,
        weight._buffer.shape,
        None if bias is None else bias._buffer.shape,
        sides(f"{name}: stride", stride, dims),
        padding if type(padding) in (int, str) else sides(f"{name}: padding", padding, dims),
        sides(f"{name}: dilation", dilation, dims),
        integer(f"{name}: groups", groups),
    )
    x, w = lifted(input, dims), lifted(weight, dims)
    return lowered(Conv2d.apply(x, w, bias, **attrs), input, dims)


def _check_operands(
    name: str, dims: int, input: Tensor, weight: Tensor, bias: Tensor | None
) -> None:
    shape, weight_shape = input._buffer.shape, weight._buffer.shape
    if len(shape) not in (dims + 1, dims + 2) or len(weight_shape) != dims + 2:
        raise RuntimeError(
            f"{name}: expected input of {dims + 1} or {dims + 2} dimensions and weight of "
            f"{dims + 2}, got shapes {list(shape)} and {list(weight_shape)}"
        )
    require_floating(name, input, weight, bias)


def _check_options(
    name: str, stride: tuple[int, ...], dilation: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    for option, value in (("stride", stride), ("dilation", dilation)):
        if min(value) < 1:
            raise RuntimeError(f"{name}: {option} must be positive, not {value}")
    if min(kernel) < 1:
        raise RuntimeError(f"{name}: the kernel must not be empty, not {kernel}")


def _check_channels(
    name: str,
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    groups: int,
    given: int,
    expected: int,
    outputs: int,
) -> None:
    if groups < 1 or given % groups or outputs % groups:
        raise RuntimeError(
            f"{name}: {given} input and {outputs} output channels can't be split into "
            f"{groups} groups"
        )
    if given != expected:
        raise RuntimeError(
            f"{name}: input of shape {list(shape)} has {given} channels, but the weight of shape "
            f"{list(weight_shape)} with {groups} groups expects {expected}"
        )
    if bias_shape not in (None, (outputs,)):
        raise RuntimeError(
            f"{name}: bias of shape {list(bias_shape or ())} does not fit {outputs} output channels"
        )


@lru_cache(maxsize=512)
def _checked(
    name: str,
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    stride: tuple[int, ...],
    padding: int | tuple[int, ...] | str,
    dilation: tuple[int, ...],
    groups: int,
) -> dict[str, Any]:
    """The attributes of a convolution of these shapes."""
    dims = len(stride)
    o, c_group, *kernel = weight_shape
    channels = (shape[-dims - 1], c_group * groups, o)
    _check_options(name, stride, dilation, tuple(kernel))
    _check_channels(name, shape, weight_shape, bias_shape, groups, *channels)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"{name}: padding must be 'same', 'valid' or ints, not {padding!r}")
        if padding == "same" and max(stride) > 1:
            raise RuntimeError(f"{name}: padding='same' is not for strides, and this is {stride}")
        # Of an odd number of rows the last goes below: above are the fewer.
        whole = reach if padding == "same" else [0] * dims
        before = tuple([n // 2 for n in whole])
    else:
        before = sides(f"{name}: padding", padding, dims)
        if min(before) < 0:
            raise RuntimeError(f"{name}: negative padding is not supported, and this is {before}")
        whole = [2 * n for n in before]
    room = [n + p - r - 1 for n, p, r in zip(shape[-dims:], whole, reach)]
    if min(room) < 0:
        raise RuntimeError(
            f"{name}: kernel {tuple(kernel)} with dilation {dilation} does not fit input "
            f"{shape[-dims:]} with padding {padding}"
        )
    size = tuple([n // s + 1 for n, s in zip(room, stride)])
    attrs = as_images(size=size, stride=stride, padding=before, dilation=dilation)
    return {**attrs, "groups": groups}


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Single = 1,
    padding: int | Single = 0,
    output_padding: int | Single = 0,
    groups: int = 1,
    dilation: int | Single = 1,
) -> Tensor:
    """`conv_transpose2d` of sequences: images of one row.

    Shapes: input (n, c, l) or (c, l), weight (c, o / groups, k), bias (o), the result (n, o, ol)
    with ol = (l - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 1.0]]]), stride=2)
    tensor([[1., 1., 2., 2.]])
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _transpose("conv_transpose1d", 1, input, weight, bias, *options)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """The adjoint of `conv2d`: every number of the input stamps its filter onto the result.

    Shapes: input (n, c, h, w) or (c, h, w); weight (c, o / groups, kh, kw); bias (o); the result
    (n, o, oh, ow) with oh = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
    Several sizes give one under a strided convolution; `output_padding`, less than the stride or
    the dilation, says which of them is meant.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.conv_transpose2d(torch.tensor([[[1.0, 2.0]]]), torch.ones(1, 1, 2, 2), stride=2)
    tensor([[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]])
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _transpose("conv_transpose2d", 2, input, weight, bias, *options)


def _transpose(
    name: str,
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    """A transposed convolution over the last one or two dimensions."""
    _check_operands(name, dims, input, weight, bias)
    attrs, unreached = _checked_transpose(
        name,
        input._buffer.shape,
        weight._buffer.shape,
        None if bias is None else bias._buffer.shape,
        sides(f"{name}: stride", stride, dims),
        sides(f"{name}: padding", padding, dims),
        sides(f"{name}: output_padding", output_padding, dims),
        integer(f"{name}: groups", groups),
        sides(f"{name}: dilation", dilation, dims),
    )
    x, w = lifted(input, dims), lifted(weight, dims)
    size = (x._buffer.shape[0], w._buffer.shape[1] * attrs["groups"], *attrs["size"])
    y = Conv2dInputGrad.apply(x, w, **{**attrs, "size": size})
    if unreached:
        y = pad(y, unreached)
    if bias is not None:
        y = y + bias.reshape(-1, 1, 1)
    return lowered(y, input, dims)


@lru_cache(maxsize=512)
def _checked_transpose(
    name: str,
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
) -> tuple[dict[str, Any], list[int]]:
    """The attributes of a transposed convolution of these shapes, for the part of the output that
    its kernels reach; and how to pad this."""
    dims = len(stride)
    c, o_group, *kernel = weight_shape
    channels = (shape[-dims - 1], c, o_group * max(groups, 1))
    _check_options(name, stride, dilation, tuple(kernel))
    _check_channels(name, shape, weight_shape, bias_shape, groups, *channels)
    if min(padding) < 0 or min(output_padding) < 0:
        raise RuntimeError(
            f"{name}: negative padding is not supported, and these are {padding} "
            f"and {output_padding} for the output"
        )
    if any(p >= max(s, d) for p, s, d in zip(output_padding, stride, dilation)):
        raise RuntimeError(
            f"{name}: output_padding must be smaller than stride or dilation, but is "
            f"{output_padding} with stride {stride} and dilation {dilation}"
        )
    sides_of = zip(shape[-dims:], kernel, stride, padding, output_padding, dilation)
    size = tuple([(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, e, d in sides_of])
    if min(size) < 1 or min(shape[-dims:]) < 1:
        raise RuntimeError(
            f"{name}: kernel {tuple(kernel)} with padding {padding} makes of input {shape[-dims:]} "
            f"an output of size {size}, which is too small"
        )
    # Of output_padding what exceeds the padding lies behind the last kernel's last tap.
    beyond = [min(max(e - p, 0), n) for n, e, p in zip(size, output_padding, padding)]
    size = tuple([n - b for n, b in zip(size, beyond)])
    attrs = as_images(size=size, stride=stride, padding=padding, dilation=dilation)
    margins = [n for b in reversed(beyond) for n in (0, b)]
    return {**attrs, "groups": groups}, margins if any(margins) else []


def convolve2d(input: Tensor, kernel: Tensor, padding: int | Pair = 0) -> Tensor:
    """The convolution of mathematics: conv2d with the kernel turned by 180 degrees.

    y[i,j] = sum_{k,l} x[i - k, j - l] w[k,l], shifted so that the first full overlap comes first.
    Shapes as in `conv2d`, or plain matrices (h, w) and (kh, kw). For a network the difference is of
    no matter, as it learns the turned kernel; for commutativity and for signals it is.

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> x, edge = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[1.0, -1.0]])
    >>> F.convolve2d(x, edge), F.conv2d(x[None, None], edge[None, None])[0, 0]
    (tensor([[1., 2.]]), tensor([[-1., -2.]]))
    """
    if input.ndim == 2 and kernel.ndim == 2:
        return convolve2d(input[None, None], kernel[None, None], padding)[0, 0]
    if kernel.ndim != 4:
        raise RuntimeError(
            "convolve2d: expected two matrices, or images and filters as in conv2d, "
            f"got shapes {list(input.shape)} and {list(kernel.shape)}"
        )
    return conv2d(input, flip(kernel, 2, 3), padding=padding)
