"""MobileNetV2: depthwise convolutions between thin ends, for small processors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import Tensor, flatten, nn
from ..ops import Conv2dNormActivation
from .rounding import make_divisible
from .weights import refuse_weights

__all__ = ["MobileNetV2", "mobilenet_v2"]

Layer = Callable[..., nn.Module]

# The paper's table 2: expansion, channels, blocks, the first block's stride.
SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Widens the channels `expand_ratio` times, convolves each alone, and narrows them again.

    There is a shortcut from thin end to thin end where they have one shape.
    Shape: `(n, inp, h, w)` to `(n, oup, ceil(h / stride), ceil(w / stride))`. Raises ValueError for
    a stride other than 1 and 2.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.mobilenetv2 import InvertedResidual
    >>> InvertedResidual(4, 8, stride=2, expand_ratio=6)(torch.zeros(1, 4, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: float,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        hidden = round(inp * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(
                Conv2dNormActivation(inp, hidden, 1, norm_layer=norm, activation_layer=nn.ReLU6)
            )
        layers += [
            Conv2dNormActivation(
                hidden,
                hidden,
                stride=stride,
                groups=hidden,
                norm_layer=norm,
                activation_layer=nn.ReLU6,
            ),
            nn.Conv2d(hidden, oup, 1, bias=False),
            norm(oup),
        ]
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """A convolution, 17 inverted residual blocks, a 1x1 convolution, and a linear layer.

    - `width_mult`: scales all numbers of channels
    - `inverted_residual_setting`: (expansion, channels, blocks, stride) of each stage; the
      paper's if None
    - `round_nearest`: numbers of channels are rounded to a multiple of it
    - `block`, `norm_layer`: `InvertedResidual` and `nn.BatchNorm2d` if None
    - `dropout`: the probability of the dropout before the linear layer

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits. Raises ValueError for a
    setting that is not made of fours.

    Source: M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks",
    arXiv:1801.04381, 2018. As
    https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.mobilenet_v2.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.mobilenet_v2(num_classes=10, width_mult=0.25)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        setting = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or any(len(stage) != 4 for stage in setting):
            raise ValueError(
                "inverted_residual_setting should be a non-empty list of 4-element lists, "
                f"got {inverted_residual_setting}"
            )
        block = block or InvertedResidual
        norm = norm_layer or nn.BatchNorm2d
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [
            Conv2dNormActivation(3, channels, stride=2, norm_layer=norm, activation_layer=nn.ReLU6)
        ]
        for expansion, base_channels, blocks, stride in setting:
            wide = make_divisible(base_channels * width_mult, round_nearest)
            for i in range(blocks):
                features.append(
                    block(
                        channels,
                        wide,
                        stride if i == 0 else 1,
                        expand_ratio=expansion,
                        norm_layer=norm,
                    )
                )
                channels = wide
        features.append(
            Conv2dNormActivation(
                channels, self.last_channel, 1, norm_layer=norm, activation_layer=nn.ReLU6
            )
        )
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).mean((2, 3))
        return self.classifier(flatten(x, 1))


def mobilenet_v2(*, weights: None = None, **kwargs: Any) -> MobileNetV2:
    """`MobileNetV2`, with 3,504,872 parameters for 1,000 classes."""
    refuse_weights("mobilenet_v2", weights)
    return MobileNetV2(**kwargs)
