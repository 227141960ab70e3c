"""Residual networks: each block adds what it computes to what it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import Tensor, flatten, nn
from .weights import refuse_weights

__all__ = [
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

Norm = Callable[..., nn.Module]


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A 3x3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes, out_planes, 3, stride, dilation, dilation, groups=groups, bias=False
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut around them (figure 5 of the paper, left).

    Shape: `(n, inplanes, h, w)` to `(n, planes, h / stride, w / stride)`. Raises ValueError for
    groups, widths and dilations, which only `Bottleneck` has.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.resnet import BasicBlock
    >>> BasicBlock(8, 8)(torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if (groups, base_width, dilation) != (1, 64, 1):
            raise ValueError(
                "BasicBlock only supports groups=1, base_width=64 and dilation=1, "
                f"got {groups}, {base_width} and {dilation}"
            )
        norm = norm_layer or nn.BatchNorm2d
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(out + shortcut)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, and the shortcut around them (figure 5, right).

    The stride is the 3x3 convolution's; in the paper it was the first one's. `groups` and
    `base_width` make it the block of a ResNeXt or of a wide ResNet.
    Shape: `(n, inplanes, h, w)` to `(n, 4 planes, h / stride, w / stride)`.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.resnet import Bottleneck
    >>> Bottleneck(32, 8)(torch.zeros(1, 32, 4, 4)).shape
    torch.Size([1, 32, 4, 4])
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(out + shortcut)


class ResNet(nn.Module):
    """A 7x7 convolution, four stages of residual blocks, and one linear layer.

    - `block`, `layers`: the kind of block, and how many in each stage
    - `zero_init_residual`: start each block as the identity, its last normalisation's weight 0
    - `groups`, `width_per_group`: of the bottlenecks' 3x3 convolutions
    - `replace_stride_with_dilation`: for the last three stages, whether convolutions spread
      their kernels instead of halving the size
    - `norm_layer`: makes a normalisation for a number of channels; `nn.BatchNorm2d` if None

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits. Raises ValueError for
    `replace_stride_with_dilation` of other than three elements.

    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition",
    arXiv:1512.03385, 2015. As https://docs.pytorch.org/vision/stable/models/resnet.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.resnet18(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        dilate = replace_stride_with_dilation or (False, False, False)
        if len(dilate) != 3:
            raise ValueError(
                "replace_stride_with_dilation should be None or a 3-element tuple, "
                f"got {replace_stride_with_dilation}"
            )
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 64
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)

    def _make_layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        """A stage. Only its first block changes size and channels, and has a layer as shortcut."""
        norm, before = self._norm_layer, self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(
                conv1x1(self.inplanes, planes * block.expansion, stride),
                norm(planes * block.expansion),
            )
        layers = []
        for i in range(blocks):
            first = i == 0
            layers.append(
                block(
                    self.inplanes,
                    planes,
                    stride if first else 1,
                    downsample if first else None,
                    self.groups,
                    self.base_width,
                    before if first else self.dilation,
                    norm,
                )
            )
            self.inplanes = planes * block.expansion
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(flatten(self.avgpool(x), 1))


def resnet18(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`ResNet` of 18 layers, with 11,689,512 parameters for 1,000 classes."""
    refuse_weights("resnet18", weights)
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


def resnet34(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`ResNet` of 34 layers."""
    refuse_weights("resnet34", weights)
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


def resnet50(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`ResNet` of 50 layers, with 25,557,032 parameters for 1,000 classes."""
    refuse_weights("resnet50", weights)
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


def resnet101(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`ResNet` of 101 layers."""
    refuse_weights("resnet101", weights)
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


def resnet152(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`ResNet` of 152 layers."""
    refuse_weights("resnet152", weights)
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


def resnext50_32x4d(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`resnet50` with 3x3 convolutions in 32 groups of 4 channels (Xie et al., 2017)."""
    refuse_weights("resnext50_32x4d", weights)
    return ResNet(Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4, **kwargs)


def resnext101_32x8d(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`resnet101` with 3x3 convolutions in 32 groups of 8 channels (Xie et al., 2017)."""
    refuse_weights("resnext101_32x8d", weights)
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8, **kwargs)


def resnext101_64x4d(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`resnet101` with 3x3 convolutions in 64 groups of 4 channels (Xie et al., 2017)."""
    refuse_weights("resnext101_64x4d", weights)
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=64, width_per_group=4, **kwargs)


def wide_resnet50_2(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`resnet50` with 3x3 convolutions of twice the width (Zagoruyko, Komodakis, 2016)."""
    refuse_weights("wide_resnet50_2", weights)
    return ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=128, **kwargs)


def wide_resnet101_2(*, weights: None = None, **kwargs: Any) -> ResNet:
    """`resnet101` with 3x3 convolutions of twice the width (Zagoruyko, Komodakis, 2016)."""
    refuse_weights("wide_resnet101_2", weights)
    return ResNet(Bottleneck, [3, 4, 23, 3], width_per_group=128, **kwargs)
