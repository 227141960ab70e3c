"""EfficientNet: depth, width and image size grown together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ... import Tensor, flatten, nn
from ..ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from .rounding import make_divisible
from .weights import refuse_weights

__all__ = [
    "EfficientNet",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
]

Norm = Callable[..., nn.Module]


class Stage(NamedTuple):
    """A row of the paper's table 1."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int

    def scaled(self, width_mult: float, depth_mult: float) -> Stage:
        """The stage with more channels and layers."""
        return self._replace(
            input_channels=make_divisible(self.input_channels * width_mult, 8),
            out_channels=make_divisible(self.out_channels * width_mult, 8),
            num_layers=math.ceil(self.num_layers * depth_mult),
        )


B0 = (
    Stage(1, 3, 1, 32, 16, 1),
    Stage(6, 3, 2, 16, 24, 2),
    Stage(6, 5, 2, 24, 40, 2),
    Stage(6, 3, 2, 40, 80, 3),
    Stage(6, 5, 1, 80, 112, 3),
    Stage(6, 5, 2, 112, 192, 4),
    Stage(6, 3, 1, 192, 320, 1),
)


class MBConv(nn.Module):
    """An inverted residual block with squeeze and excitation, for a `Stage` of one layer.

    In training its branch is left out with probability `stochastic_depth_prob` where there is a
    shortcut. Raises ValueError for a stride other than 1 and 2.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> from minitorch_cnn.vision.models.efficientnet import MBConv, Stage
    >>> block = MBConv(Stage(6, 3, 2, 8, 16, 1), 0.0, nn.BatchNorm2d)
    >>> block(torch.zeros(2, 8, 6, 6)).shape
    torch.Size([2, 16, 3, 3])
    """

    def __init__(self, cnf: Stage, stochastic_depth_prob: float, norm_layer: Norm) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"illegal stride value: {cnf.stride}")
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        inner = make_divisible(cnf.input_channels * cnf.expand_ratio, 8)
        layers: list[nn.Module] = []
        if inner != cnf.input_channels:
            layers.append(conv(cnf.input_channels, inner, 1))
        layers += [
            conv(inner, inner, cnf.kernel, cnf.stride, groups=inner),
            SqueezeExcitation(
                inner, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)
            ),
            Conv2dNormActivation(
                inner, cnf.out_channels, 1, norm_layer=norm_layer, activation_layer=None
            ),
        ]
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class EfficientNet(nn.Module):
    """A convolution, seven stages of `MBConv` blocks, a 1x1 convolution, and a linear layer.

    - `inverted_residual_setting`: the stages
    - `dropout`: the probability of the dropout before the linear layer
    - `stochastic_depth_prob`: that of leaving out the last block, smaller for those before
    - `norm_layer`: makes a normalisation for a number of channels; `nn.BatchNorm2d` if None
    - `last_channel`: the last convolution's channels; four times those before it if None

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits. Raises ValueError without
    stages.

    Source: M. Tan, Q. Le, "EfficientNet: rethinking model scaling for convolutional neural
    networks", arXiv:1905.11946, 2019. As
    https://docs.pytorch.org/vision/stable/models/efficientnet.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.efficientnet_b0(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        stages = list(inverted_residual_setting)
        if not stages:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        features: list[nn.Module] = [conv(3, stages[0].input_channels, 3, 2)]
        total, count = sum(stage.num_layers for stage in stages), 0
        for stage in stages:
            blocks: list[nn.Module] = []
            for i in range(stage.num_layers):
                cnf = (
                    stage if i == 0 else stage._replace(input_channels=stage.out_channels, stride=1)
                )
                blocks.append(MBConv(cnf, stochastic_depth_prob * count / total, norm))
                count += 1
            features.append(nn.Sequential(*blocks))
        before = stages[-1].out_channels
        last = 4 * before if last_channel is None else last_channel
        features.append(conv(before, last, 1))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(flatten(x, 1))


def _scaled(
    name: str,
    weights: None,
    width_mult: float,
    depth_mult: float,
    options: dict[str, Any],
    dropout: float,
) -> EfficientNet:
    refuse_weights(name, weights)
    stages = [stage.scaled(width_mult, depth_mult) for stage in B0]
    return EfficientNet(stages, **{"dropout": dropout, **options})


def efficientnet_b0(*, weights: None = None, **kwargs: Any) -> EfficientNet:
    """`EfficientNet`-B0, with 5,288,548 parameters, for images of 224x224."""
    return _scaled("efficientnet_b0", weights, 1.0, 1.0, kwargs, dropout=0.2)


def efficientnet_b1(*, weights: None = None, **kwargs: Any) -> EfficientNet:
    """`EfficientNet`-B1, with 7,794,184 parameters, for images of 240x240."""
    return _scaled("efficientnet_b1", weights, 1.0, 1.1, kwargs, dropout=0.2)


def efficientnet_b2(*, weights: None = None, **kwargs: Any) -> EfficientNet:
    """`EfficientNet`-B2, with 9,109,994 parameters, for images of 288x288."""
    return _scaled("efficientnet_b2", weights, 1.1, 1.2, kwargs, dropout=0.3)


def efficientnet_b3(*, weights: None = None, **kwargs: Any) -> EfficientNet:
    """`EfficientNet`-B3, with 12,233,232 parameters, for images of 300x300."""
    return _scaled("efficientnet_b3", weights, 1.2, 1.4, kwargs, dropout=0.3)


def efficientnet_b4(*, weights: None = None, **kwargs: Any) -> EfficientNet:
    """`EfficientNet`-B4, with 19,341,616 parameters, for images of 380x380."""
    return _scaled("efficientnet_b4", weights, 1.4, 1.8, kwargs, dropout=0.4)
