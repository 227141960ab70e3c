"""Padding layers: `F.pad` with its mode and margins kept."""

from __future__ import annotations

from typing import ClassVar

from ..tensor import Tensor
from . import functional as F
from .module import Module
from .tuples import _pair, _quadruple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ZeroPad1d",
    "ZeroPad2d",
]

Pair = int | tuple[int, int]
Four = int | tuple[int, int, int, int]


class _Pad(Module):
    """What padding layers have: margins, of which they have their text."""

    mode: ClassVar[str]
    padding: tuple[int, ...]

    def __init__(self, padding: tuple[int, ...]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _Pad1d(_Pad):
    def __init__(self, padding: Pair) -> None:
        super().__init__(_pair(padding))


class _Pad2d(_Pad):
    def __init__(self, padding: Four) -> None:
        super().__init__(_quadruple(padding))


class CircularPad1d(_Pad1d):
    """Sequences with a margin of what is at the other end: `F.pad` in mode "circular".

    `padding` is a number for both ends, or (left, right); negative ones cut off. Shapes: input
    (n, c, l) or (c, l), output (n, c, left + l + right). Raises RuntimeError for margins longer
    than the sequence. As https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.CircularPad1d((1, 0))(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3.]])
    """

    mode = "circular"


class CircularPad2d(_Pad2d):
    """Images with a margin of what is at the other end: `F.pad` in mode "circular".

    `padding` is a number for all sides, or (left, right, top, bottom); negative ones cut off.
    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, top + h + bottom, left + w + right).
    Raises RuntimeError for margins larger than the image. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.CircularPad2d((1, 0, 0, 0))(torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 1., 2., 3.]]])
    """

    mode = "circular"


class ReflectionPad1d(_Pad1d):
    """Sequences mirrored about their first and last element: `F.pad` in mode "reflect".

    `padding` is a number for both ends, or (left, right); negative ones cut off. Shapes: input
    (n, c, l) or (c, l), output (n, c, left + l + right). Raises RuntimeError for margins that are
    not shorter than the sequence. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ReflectionPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    mode = "reflect"


class ReflectionPad2d(_Pad2d):
    """Images mirrored about their outermost pixels: `F.pad` in mode "reflect".

    `padding` is a number for all sides, or (left, right, top, bottom); negative ones cut off.
    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, top + h + bottom, left + w + right).
    Raises RuntimeError for margins that are not smaller than the image. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ReflectionPad2d((1, 1, 0, 0))(torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[2., 1., 2., 3., 2.]]])
    """

    mode = "reflect"


class ReplicationPad1d(_Pad1d):
    """Sequences whose first and last element go on: `F.pad` in mode "replicate".

    `padding` is a number for both ends, or (left, right); negative ones cut off. Shapes: input
    (n, c, l) or (c, l), output (n, c, left + l + right). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ReplicationPad1d((0, 2))(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 2., 3., 3., 3.]])
    """

    mode = "replicate"


class ReplicationPad2d(_Pad2d):
    """Images whose outermost pixels go on: `F.pad` in mode "replicate".

    `padding` is a number for all sides, or (left, right, top, bottom); negative ones cut off.
    Shapes: input (n, c, h, w) or (c, h, w), output (n, c, top + h + bottom, left + w + right). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ReplicationPad2d((2, 0, 0, 0))(torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[1., 1., 1., 2., 3.]]])
    """

    mode = "replicate"


class _ConstantPad(_Pad):
    """A margin of one value."""

    mode = "constant"

    def __init__(self, padding: tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A margin of one value around the last dimension: `F.pad`.

    `padding` is a number for both ends, or (left, right); negative ones cut off. Shapes: input
    (.., l), output (.., left + l + right). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ConstantPad1d((2, -1), 7.5)(torch.tensor([1.0, 2.0, 3.0]))
    tensor([7.5000, 7.5000, 1.0000, 2.0000])
    """

    def __init__(self, padding: Pair, value: float) -> None:
        super().__init__(_pair(padding), value)


class ConstantPad2d(_ConstantPad):
    """A margin of one value around the last two dimensions: `F.pad`.

    `padding` is a number for all sides, or (left, right, top, bottom); negative ones cut off.
    Shapes: input (.., h, w), output (.., top + h + bottom, left + w + right). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ConstantPad2d((1, 0, 0, 1), 9.0)(torch.tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2.],
            [9., 9., 9.]])
    """

    def __init__(self, padding: Four, value: float) -> None:
        super().__init__(_quadruple(padding), value)


class ZeroPad1d(ConstantPad1d):
    """A margin of zeros around the last dimension: `ConstantPad1d` of value 0.

    As https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ZeroPad1d(1)(torch.tensor([1.0, 2.0]))
    tensor([0., 1., 2., 0.])
    """

    def __init__(self, padding: Pair) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """A margin of zeros around the last two dimensions: `ConstantPad2d` of value 0.

    As https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.ZeroPad2d((1, 0, 0, 1))(torch.tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2.],
            [0., 0., 0.]])
    """

    def __init__(self, padding: Four) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"
