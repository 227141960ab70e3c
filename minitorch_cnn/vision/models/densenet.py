"""DenseNet: each layer sees the maps of all layers before it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ... import Tensor, cat, flatten, nn
from ...nn import functional as F
from .weights import refuse_weights

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201"]


class DenseLayer(nn.Module):
    """Makes `growth_rate` new channels of all those there are, by way of bn_size times as many.

    Shape: a list of `(n, channels, h, w)`, `num_input_features` channels in all, to
    `(n, growth_rate, h, w)`.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.densenet import DenseLayer
    >>> maps = [torch.zeros(1, 8, 5, 5), torch.zeros(1, 4, 5, 5)]
    >>> DenseLayer(12, growth_rate=4, bn_size=2, drop_rate=0)(maps).shape
    torch.Size([1, 4, 5, 5])
    """

    def __init__(
        self, num_input_features: int, growth_rate: int, bn_size: int, drop_rate: float
    ) -> None:
        super().__init__()
        between = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, between, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(between)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(between, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = self.conv1(self.relu1(self.norm1(cat(maps, 1))))
        x = self.conv2(self.relu2(self.norm2(x)))
        return F.dropout(x, self.drop_rate, self.training) if self.drop_rate > 0 else x


class DenseBlock(nn.ModuleDict):
    """`num_layers` layers, and the channels of all of them beside the input's.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.densenet import DenseBlock
    >>> DenseBlock(3, 8, bn_size=2, growth_rate=4, drop_rate=0)(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 20, 5, 5])
    """

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            layer = DenseLayer(
                num_input_features + i * growth_rate, growth_rate, bn_size, drop_rate
            )
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return cat(maps, 1)


class Transition(nn.Sequential):
    """Between two blocks: fewer channels, and half the size."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """A 7x7 convolution, four dense blocks with transitions between them, and a linear layer.

    - `growth_rate`: how many channels each layer adds (the paper's k)
    - `block_config`: how many layers each block has
    - `num_init_features`: the first convolution's channels
    - `bn_size`: a layer's bottleneck has `bn_size * growth_rate` channels
    - `drop_rate`: the probability of dropout behind each layer

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits; h and w at least 29.
    torchvision's `memory_efficient`, which computes layers twice to keep less, is not here.

    Source: G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, "Densely connected convolutional
    networks", arXiv:1608.06993, 2016. As
    https://docs.pytorch.org/vision/stable/models/densenet.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> net = models.DenseNet(growth_rate=8, block_config=(2, 2), num_init_features=16)
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 1000])
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        channels = num_init_features
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(channels),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for i, count in enumerate(block_config, start=1):
            block = DenseBlock(count, channels, bn_size, growth_rate, drop_rate)
            layers[f"denseblock{i}"] = block
            channels += count * growth_rate
            if i < len(block_config):
                layers[f"transition{i}"] = Transition(channels, channels // 2)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        return self.classifier(flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


def densenet121(*, weights: None = None, **kwargs: Any) -> DenseNet:
    """`DenseNet` of 121 layers, with 7,978,856 parameters for 1,000 classes."""
    refuse_weights("densenet121", weights)
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


def densenet161(*, weights: None = None, **kwargs: Any) -> DenseNet:
    """`DenseNet` of 161 layers that add 48 channels each, with 28,681,000 parameters."""
    refuse_weights("densenet161", weights)
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


def densenet169(*, weights: None = None, **kwargs: Any) -> DenseNet:
    """`DenseNet` of 169 layers, with 14,149,480 parameters for 1,000 classes."""
    refuse_weights("densenet169", weights)
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


def densenet201(*, weights: None = None, **kwargs: Any) -> DenseNet:
    """`DenseNet` of 201 layers, with 20,013,928 parameters for 1,000 classes."""
    refuse_weights("densenet201", weights)
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)
