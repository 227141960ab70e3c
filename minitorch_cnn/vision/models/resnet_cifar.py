"""The small residual networks for CIFAR's 32x32 images."""

from __future__ import annotations

from ... import Tensor, flatten, nn
from ...nn import functional as F

__all__ = [
    "CifarResNet",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
]


class CifarBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters, the paper's option A.

    Where the size halves and the channels grow, the shortcut takes every second pixel and adds
    channels of zeros, half of them before and half behind the others.
    Shape: `(n, in_channels, h, w)` to `(n, channels, ceil(h / stride), ceil(w / stride))`.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.resnet_cifar import CifarBlock
    >>> CifarBlock(4, 8, stride=2)(torch.zeros(1, 4, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.more = channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        before = self.more // 2
        return F.pad(x, (0, 0, 0, 0, before, self.more - before)) if self.more else x


class CifarResNet(nn.Module):
    """A 3x3 convolution, three stages of `blocks` residual blocks each, and one linear layer.

    The stages have 16, 32 and 64 channels on maps of 32, 16 and 8 pixels' side. With the first and
    the last layer there are 6 `blocks` + 2 layers.

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits; 32x32 images in the paper.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition",
    arXiv:1512.03385, 2015, section 4.2. torchvision has no such model.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.resnet20()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, blocks: int, num_classes: int = 10) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"CifarResNet: there must be a block in each stage, not {blocks}")
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._stage(blocks, 16, 16, stride=1)
        self.layer2 = self._stage(blocks, 16, 32, stride=2)
        self.layer3 = self._stage(blocks, 32, 64, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def _stage(blocks: int, in_channels: int, channels: int, stride: int) -> nn.Sequential:
        later = [CifarBlock(channels, channels) for _ in range(blocks - 1)]
        return nn.Sequential(CifarBlock(in_channels, channels, stride), *later)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(flatten(self.avgpool(x), 1))


def resnet20(num_classes: int = 10) -> CifarResNet:
    """`CifarResNet` of 20 layers, with 0.27 million parameters."""
    return CifarResNet(3, num_classes)


def resnet32(num_classes: int = 10) -> CifarResNet:
    """`CifarResNet` of 32 layers, with 0.46 million parameters."""
    return CifarResNet(5, num_classes)


def resnet44(num_classes: int = 10) -> CifarResNet:
    """`CifarResNet` of 44 layers, with 0.66 million parameters."""
    return CifarResNet(7, num_classes)


def resnet56(num_classes: int = 10) -> CifarResNet:
    """`CifarResNet` of 56 layers, with 0.85 million parameters."""
    return CifarResNet(9, num_classes)


def resnet110(num_classes: int = 10) -> CifarResNet:
    """`CifarResNet` of 110 layers, with 1.7 million parameters."""
    return CifarResNet(18, num_classes)
