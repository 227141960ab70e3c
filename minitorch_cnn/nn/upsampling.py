"""Layers that resize images: `F.interpolate` with its options kept."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]

Sizes = int | tuple[int, ...]
Factors = float | tuple[float, ...]


class Upsample(Module):
    """Images of another size: `F.interpolate`.

    - `size` or `scale_factor`: of the output, or by what to multiply the input's; one number, or
      one for each dimension
    - `mode`: "nearest", "linear" (3 dimensions), "bilinear", "bicubic" (4) or "trilinear" (5)
    - `align_corners`: whether the centres of the outermost pixels stand still, for the modes that
      interpolate
    - `recompute_scale_factor`: compute with the ratio of the sizes instead of the scale factor

    Shapes: input (n, c, l), (n, c, h, w) or (n, c, d, h, w), output of the sizes asked for, or
    floor(input's times scale_factor). The call raises what `F.interpolate` raises. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.Upsample(scale_factor=2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    scale_factor: Factors | None

    def __init__(
        self,
        size: Sizes | None = None,
        scale_factor: Factors | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor = tuple([float(factor) for factor in scale_factor])
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        options = (self.size, self.scale_factor, self.mode, self.align_corners)
        return F.interpolate(input, *options, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` in mode "nearest".

    As https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.UpsamplingNearest2d(size=(1, 3))(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2.]]]])
    """

    def __init__(self, size: Sizes | None = None, scale_factor: Factors | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` in mode "bilinear", its corners aligned.

    As https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> nn.UpsamplingBilinear2d(size=(1, 3))(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """

    def __init__(self, size: Sizes | None = None, scale_factor: Factors | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
