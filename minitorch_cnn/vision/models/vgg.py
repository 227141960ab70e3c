"""VGG: nothing but 3x3 convolutions and pooling, 11 to 19 layers deep."""

from __future__ import annotations

from typing import Any

from ... import Tensor, flatten, nn
from .weights import refuse_weights

__all__ = [
    "VGG",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

# The paper's table 1: the convolutions' channels, with "M" where the size is halved.
CONFIGURATIONS: dict[str, list[int | str]] = {
    "A": [64, "M", 128, "M", *[256] * 2, "M", *[512] * 2, "M", *[512] * 2, "M"],
    "B": [*[64] * 2, "M", *[128] * 2, "M", *[256] * 2, "M", *[512] * 2, "M", *[512] * 2, "M"],
    "D": [*[64] * 2, "M", *[128] * 2, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "E": [*[64] * 2, "M", *[128] * 2, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


def make_layers(configuration: list[int | str], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions of a configuration, each with a ReLU, and the pooling between them."""
    layers: list[nn.Module] = []
    in_channels = 3
    for channels in configuration:
        if isinstance(channels, str):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(in_channels, channels, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU(inplace=True))
        in_channels = channels
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """A chain of convolutions, and three fully connected layers on 7x7 means of what they see.

    - `features`: the convolutions, to 512 channels
    - `init_weights`: whether weights are drawn as for deep chains of ReLUs, and not by the layers
    - `dropout`: the probability of the two dropouts between the fully connected layers

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits; h and w at least 32, 224 in
    the paper.

    Source: K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image
    recognition", arXiv:1409.1556, 2014; batch normalisation came later. As
    https://docs.pytorch.org/vision/stable/models/vgg.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models import vgg
    >>> features = vgg.make_layers(vgg.CONFIGURATIONS["A"], batch_norm=True)
    >>> features(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 512, 1, 1])
    """

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self._draw_weights()

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(flatten(x, 1))


def _vgg(name: str, configuration: str, weights: None, **kwargs: Any) -> VGG:
    refuse_weights(name, weights)
    return VGG(make_layers(CONFIGURATIONS[configuration], name.endswith("_bn")), **kwargs)


def vgg11(*, weights: None = None, **kwargs: Any) -> VGG:
    """Configuration A of `VGG`, of 11 layers."""
    return _vgg("vgg11", "A", weights, **kwargs)


def vgg11_bn(*, weights: None = None, **kwargs: Any) -> VGG:
    """`vgg11` with batch normalisation."""
    return _vgg("vgg11_bn", "A", weights, **kwargs)


def vgg13(*, weights: None = None, **kwargs: Any) -> VGG:
    """Configuration B of `VGG`, of 13 layers."""
    return _vgg("vgg13", "B", weights, **kwargs)


def vgg13_bn(*, weights: None = None, **kwargs: Any) -> VGG:
    """`vgg13` with batch normalisation."""
    return _vgg("vgg13_bn", "B", weights, **kwargs)


def vgg16(*, weights: None = None, **kwargs: Any) -> VGG:
    """Configuration D of `VGG`, of 16 layers."""
    return _vgg("vgg16", "D", weights, **kwargs)


def vgg16_bn(*, weights: None = None, **kwargs: Any) -> VGG:
    """`vgg16` with batch normalisation."""
    return _vgg("vgg16_bn", "D", weights, **kwargs)


def vgg19(*, weights: None = None, **kwargs: Any) -> VGG:
    """Configuration E of `VGG`, of 19 layers."""
    return _vgg("vgg19", "E", weights, **kwargs)


def vgg19_bn(*, weights: None = None, **kwargs: Any) -> VGG:
    """`vgg19` with batch normalisation."""
    return _vgg("vgg19_bn", "E", weights, **kwargs)
