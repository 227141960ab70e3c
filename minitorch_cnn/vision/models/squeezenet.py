"""SqueezeNet: AlexNet's accuracy with fifty times fewer parameters."""

from __future__ import annotations

from typing import Any

from ... import Tensor, cat, flatten, nn
from .weights import refuse_weights

__all__ = ["SqueezeNet", "squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then one of 1x1 and one of 3x3 side by side to many.

    Shape: `(n, inplanes, h, w)` to `(n, expand1x1_planes + expand3x3_planes, h, w)`.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.squeezenet import Fire
    >>> Fire(16, 4, 8, 8)(torch.zeros(1, 16, 5, 5)).shape
    torch.Size([1, 16, 5, 5])
    """

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return cat([narrow, wide], 1)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


class SqueezeNet(nn.Module):
    """Eight `Fire` modules between two convolutions, and the mean of each class's map.

    - `version`: "1_0", as in the paper, or "1_1", which pools earlier and needs 2.4 times less
      computing
    - `dropout`: the probability of the dropout before the last convolution

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits. Raises ValueError for another
    version.

    Source: F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
    < 0.5 MB model size", arXiv:1602.07360, 2016. As
    https://docs.pytorch.org/vision/stable/models/squeezenet.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.squeezenet1_1(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.num_classes = num_classes
        if version == "1_0":
            self.features = nn.Sequential(
                nn.Conv2d(3, 96, kernel_size=7, stride=2),
                nn.ReLU(inplace=True),
                _pool(),
                Fire(96, 16, 64, 64),
                Fire(128, 16, 64, 64),
                Fire(128, 32, 128, 128),
                _pool(),
                Fire(256, 32, 128, 128),
                Fire(256, 48, 192, 192),
                Fire(384, 48, 192, 192),
                Fire(384, 64, 256, 256),
                _pool(),
                Fire(512, 64, 256, 256),
            )
        elif version == "1_1":
            self.features = nn.Sequential(
                nn.Conv2d(3, 64, kernel_size=3, stride=2),
                nn.ReLU(inplace=True),
                _pool(),
                Fire(64, 16, 64, 64),
                Fire(128, 16, 64, 64),
                _pool(),
                Fire(128, 32, 128, 128),
                Fire(256, 32, 128, 128),
                _pool(),
                Fire(256, 48, 192, 192),
                Fire(384, 48, 192, 192),
                Fire(384, 64, 256, 256),
                Fire(512, 64, 256, 256),
            )
        else:
            raise ValueError(f"Unsupported SqueezeNet version {version!r}: '1_0' or '1_1' expected")
        last = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return flatten(self.classifier(self.features(x)), 1)


def squeezenet1_0(*, weights: None = None, **kwargs: Any) -> SqueezeNet:
    """Version 1.0 of `SqueezeNet`, with 1,248,424 parameters for 1,000 classes."""
    refuse_weights("squeezenet1_0", weights)
    return SqueezeNet("1_0", **kwargs)


def squeezenet1_1(*, weights: None = None, **kwargs: Any) -> SqueezeNet:
    """Version 1.1 of `SqueezeNet`, with 1,235,496 parameters for 1,000 classes."""
    refuse_weights("squeezenet1_1", weights)
    return SqueezeNet("1_1", **kwargs)
