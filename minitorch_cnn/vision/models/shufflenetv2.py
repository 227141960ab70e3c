"""ShuffleNetV2: half of the channels pass each block as they are, and then all are mixed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import Tensor, cat, nn
from .weights import refuse_weights

__all__ = [
    "ShuffleNetV2",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Takes channels from the `groups` parts of x in turns.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.shufflenetv2 import channel_shuffle
    >>> channel_shuffle(torch.arange(6).view(1, 6, 1, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    n, channels, h, w = x.shape
    return x.view(n, groups, channels // groups, h, w).transpose(1, 2).reshape(n, channels, h, w)


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)


def _pointwise(inp: int, oup: int) -> list[nn.Module]:
    return [nn.Conv2d(inp, oup, 1, bias=False), nn.BatchNorm2d(oup), nn.ReLU(inplace=True)]


class InvertedResidual(nn.Module):
    """Two branches, joined and shuffled; at stride 1 the first is half of the input (figure 3).

    Shape: `(n, inp, h, w)` to `(n, oup, ceil(h / stride), ceil(w / stride))`. Raises ValueError for
    strides other than 1 to 3, and if at stride 1 the input has not as many channels as the output.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.shufflenetv2 import InvertedResidual
    >>> InvertedResidual(4, 8, stride=2)(torch.zeros(1, 4, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError(f"illegal stride value: {stride}")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(f"at stride 1 {inp} channels must become as many, not {oup}")
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                _depthwise(inp, stride), nn.BatchNorm2d(inp), *_pointwise(inp, half)
            )
        self.branch2 = nn.Sequential(
            *_pointwise(inp if stride > 1 else half, half),
            _depthwise(half, stride),
            nn.BatchNorm2d(half),
            *_pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1) if self.stride == 1 else (self.branch1(x), x)
        return channel_shuffle(cat((kept, self.branch2(changed)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """A convolution, three stages of blocks, a 1x1 convolution, and a linear layer.

    - `stages_repeats`: how many blocks each of the three stages has
    - `stages_out_channels`: of the first convolution, the stages and the last convolution
    - `inverted_residual`: makes a block

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits. Raises ValueError unless there
    are three and five numbers.

    Source: N. Ma, X. Zhang, H. Zheng, J. Sun, "ShuffleNet V2: practical guidelines for efficient
    CNN architecture design", arXiv:1807.11164, 2018. As
    https://docs.pytorch.org/vision/stable/models/shufflenetv2.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.shufflenet_v2_x0_5(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., nn.Module] = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError(
                f"expected stages_repeats as list of 3 positive ints, got {stages_repeats}"
            )
        if len(stages_out_channels) != 5:
            raise ValueError(
                "expected stages_out_channels as list of 5 positive ints, "
                f"got {stages_out_channels}"
            )
        first, *stages, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        made, channels = [], first
        for repeats, wide in zip(stages_repeats, stages, strict=True):
            later = [inverted_residual(wide, wide, 1) for _ in range(repeats - 1)]
            made.append(nn.Sequential(inverted_residual(channels, wide, 2), *later))
            channels = wide
        self.stage2, self.stage3, self.stage4 = made
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


def shufflenet_v2_x0_5(*, weights: None = None, **kwargs: Any) -> ShuffleNetV2:
    """`ShuffleNetV2` of half the width, with 1,366,792 parameters for 1,000 classes."""
    refuse_weights("shufflenet_v2_x0_5", weights)
    return ShuffleNetV2([4, 8, 4], [24, 48, 96, 192, 1024], **kwargs)


def shufflenet_v2_x1_0(*, weights: None = None, **kwargs: Any) -> ShuffleNetV2:
    """`ShuffleNetV2`, with 2,278,604 parameters for 1,000 classes."""
    refuse_weights("shufflenet_v2_x1_0", weights)
    return ShuffleNetV2([4, 8, 4], [24, 116, 232, 464, 1024], **kwargs)


def shufflenet_v2_x1_5(*, weights: None = None, **kwargs: Any) -> ShuffleNetV2:
    """`ShuffleNetV2` of 1.5 times the width, with 3,503,624 parameters for 1,000 classes."""
    refuse_weights("shufflenet_v2_x1_5", weights)
    return ShuffleNetV2([4, 8, 4], [24, 176, 352, 704, 1024], **kwargs)


def shufflenet_v2_x2_0(*, weights: None = None, **kwargs: Any) -> ShuffleNetV2:
    """`ShuffleNetV2` of twice the width, with 7,393,996 parameters for 1,000 classes."""
    refuse_weights("shufflenet_v2_x2_0", weights)
    return ShuffleNetV2([4, 8, 4], [24, 244, 488, 976, 2048], **kwargs)
