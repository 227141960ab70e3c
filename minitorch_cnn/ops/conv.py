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
from .reduce import sum
from .shape import flip

Pair = tuple[int, int]


def integer(name: str, value: Any) -> int:
    """An option that must be an int."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, not {value!r}")
    return int(value.__index__())


def pair(name: str, value: Any) -> Pair:
    """An option that is one int for both dimensions or one for each."""
    if type(value) is int:
        return value, value
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        return value
    values = value if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, 2):
        raise RuntimeError(f"{name}: expected an int or two of them, not {value!r}")
    return integer(name, values[0]), integer(name, values[-1])


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
    shape, weight_shape = input._buffer.shape, weight._buffer.shape
    if len(shape) not in (3, 4) or len(weight_shape) != 4:
        raise RuntimeError(
            "conv2d: expected input of 3 or 4 dimensions and weight of 4, "
            f"got shapes {list(shape)} and {list(weight_shape)}"
        )
    require_floating("conv2d", input, weight, bias)
    attrs = _checked(
        shape,
        weight_shape,
        None if bias is None else bias._buffer.shape,
        pair("conv2d: stride", stride),
        padding if type(padding) in (int, str) else pair("conv2d: padding", padding),
        pair("conv2d: dilation", dilation),
        integer("conv2d: groups", groups),
    )
    if len(shape) == 4:
        return Conv2d.apply(input, weight, bias, **attrs)
    return Conv2d.apply(input.unsqueeze(0), weight, bias, **attrs).squeeze(0)


@lru_cache(maxsize=512)
def _checked(
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    stride: Pair,
    padding: int | Pair | str,
    dilation: Pair,
    groups: int,
) -> dict[str, Any]:
    """The attributes of a convolution of these shapes."""
    c, h, w = shape[-3:]
    o, c_group, kh, kw = weight_shape
    for name, value, least in (("stride", stride, 1), ("dilation", dilation, 1)):
        if min(value) < least:
            raise RuntimeError(f"conv2d: {name} must be positive, not {value}")
    if groups < 1 or c % groups or o % groups:
        raise RuntimeError(
            f"conv2d: {c} input and {o} output channels can't be split into {groups} groups"
        )
    if c != c_group * groups:
        raise RuntimeError(
            f"conv2d: input of shape {list(shape)} has {c} channels, but the weight of shape "
            f"{list(weight_shape)} with {groups} groups expects {c_group * groups}"
        )
    if bias_shape not in (None, (o,)):
        raise RuntimeError(
            f"conv2d: bias of shape {list(bias_shape or ())} does not fit {o} output channels"
        )
    if min(kh, kw) < 1:
        raise RuntimeError(f"conv2d: the kernel must not be empty, not {(kh, kw)}")
    reach = (dilation[0] * (kh - 1), dilation[1] * (kw - 1))
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"conv2d: padding must be 'same', 'valid' or ints, not {padding!r}")
        if padding == "same" and stride != (1, 1):
            raise RuntimeError(f"conv2d: padding='same' is not for strides, and this is {stride}")
        # Of an odd number of rows the last goes below: above are the fewer.
        before = (reach[0] // 2, reach[1] // 2) if padding == "same" else (0, 0)
        whole = reach if padding == "same" else (0, 0)
    else:
        before = pair("conv2d: padding", padding)
        if min(before) < 0:
            raise RuntimeError(f"conv2d: negative padding is not supported, and this is {before}")
        whole = (2 * before[0], 2 * before[1])
    room = (h + whole[0] - reach[0] - 1, w + whole[1] - reach[1] - 1)
    if min(room) < 0:
        raise RuntimeError(
            f"conv2d: kernel {(kh, kw)} with dilation {dilation} does not fit input {(h, w)} "
            f"with padding {padding}"
        )
    return {
        "size": (room[0] // stride[0] + 1, room[1] // stride[1] + 1),
        "stride": stride,
        "padding": before,
        "dilation": dilation,
        "groups": groups,
    }


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
