"""The small blocks that several models are built of, under torchvision.ops' names."""

from __future__ import annotations

from collections.abc import Callable

from .. import Tensor, nn, ones
from ..nn import functional as F

__all__ = ["Conv2dNormActivation", "SqueezeExcitation", "StochasticDepth", "stochastic_depth"]

Layer = Callable[..., nn.Module]


class Conv2dNormActivation(nn.Sequential):
    """A convolution, a normalisation and an activation, each of the latter two unless None.

    - `padding`: None keeps the size at stride 1
    - `bias`: None means one where no normalisation follows
    - `inplace`: whether the activation writes over its input

    Shapes: as `nn.Conv2d`'s. As
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.Conv2dNormActivation.html.

    >>> from minitorch_cnn.vision import ops
    >>> ops.Conv2dNormActivation(3, 8, stride=2)
    Conv2dNormActivation(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
      (1): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
      (2): ReLU(inplace=True)
    )
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            padding = (kernel_size - 1) // 2 * dilation
        if bias is None:
            bias = norm_layer is None
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
            )
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            options = {} if inplace is None else {"inplace": inplace}
            layers.append(activation_layer(**options))
        super().__init__(*layers)
        self.out_channels = out_channels


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number that two small layers make of all channels' means.

    Shapes: input and output (n, input_channels, h, w) or without n. From Hu, Shen, Sun,
    Squeeze-and-excitation networks (2018). As
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.SqueezeExcitation.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import ops
    >>> ops.SqueezeExcitation(16, 4)(torch.ones(2, 16, 8, 8)).shape
    torch.Size([2, 16, 8, 8])
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Layer = nn.ReLU,
        scale_activation: Layer = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        scale = self.activation(self.fc1(self.avgpool(input)))
        return self.scale_activation(self.fc2(scale)) * input


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Zeroes samples with probability `p`, in training, and divides the others by 1 - p.

    `mode` is "row" to draw for each sample, or "batch" to draw once for all. A residual branch that
    is zeroed leaves its block the identity. Raises ValueError for other modes and unless
    0 <= p <= 1. From Huang et al., Deep networks with stochastic depth (2016). As
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.stochastic_depth.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import ops
    >>> ops.stochastic_depth(torch.ones(2, 3), p=1.0, mode="row")
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode!r}")
    if not training or p == 0:
        return input
    draws = input.shape[:1] if mode == "row" else (1,)
    ones_per_draw = ones(*draws, *[1] * (input.dim() - 1), dtype=input.dtype, device=input.device)
    return input * F.dropout(ones_per_draw, p)


class StochasticDepth(nn.Module):
    """`stochastic_depth` as a layer.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import ops
    >>> ops.StochasticDepth(0.2, "row").eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"StochasticDepth(p={self.p}, mode={self.mode})"
