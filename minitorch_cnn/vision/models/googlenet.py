"""GoogLeNet: convolutions of several sizes side by side, and classifiers on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ... import Tensor, cat, flatten, nn
from ...nn import functional as F
from .weights import refuse_weights

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet"]

Block = Callable[..., nn.Module]


class GoogLeNetOutputs(NamedTuple):
    """What `GoogLeNet` returns in training: the logits, and those of the two on the way."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """A convolution, a batch normalisation and a ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches side by side (figure 2b of the paper).

    They are a 1x1 convolution, one of 1x1 and then 3x3, another such pair, pooling and then 1x1.
    The paper's third branch ends in 5x5; torchvision's in 3x3, and its parameters are kept.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.googlenet import Inception
    >>> Inception(8, 4, 2, 6, 2, 3, 5)(torch.zeros(1, 8, 7, 7)).shape
    torch.Size([1, 18, 7, 7])
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Block | None = None,
    ) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1),
            conv(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1),
            conv(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier on the way, which brings gradients to the lower layers.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision.models.googlenet import InceptionAux
    >>> InceptionAux(16, num_classes=10)(torch.zeros(1, 16, 14, 14)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Block | None = None,
        dropout: float = 0.7,
    ) -> None:
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4)))
        x = F.relu(self.fc1(flatten(x, 1)), inplace=True)
        return self.fc2(self.dropout(x))


def _pool(size: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(size, stride=2, ceil_mode=True)


class GoogLeNet(nn.Module):
    """Three convolutions, nine `Inception` blocks and a linear layer: 22 layers.

    - `aux_logits`: whether there are the two classifiers on the way
    - `transform_input`: whether images normalised with ImageNet's means and deviations are first
      mapped to those of 0.5
    - `init_weights`: whether weights are drawn from a truncated normal distribution (slow), and
      not by the layers
    - `blocks`: makers of `BasicConv2d`, `Inception` and `InceptionAux`
    - `dropout`, `dropout_aux`: the probabilities of the dropouts before the linear layers

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits, or in training with
    `aux_logits` three of them, `GoogLeNetOutputs`. Raises ValueError for other than three blocks.

    Source: C. Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842, 2014; batch
    normalisation came later. As
    https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.googlenet.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> net = models.googlenet(num_classes=10, init_weights=False)
    >>> logits, second, first = net(torch.zeros(2, 3, 32, 32))
    >>> logits.shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        blocks: Sequence[Block] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        blocks = [BasicConv2d, Inception, InceptionAux] if blocks is None else blocks
        if len(blocks) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(blocks)}")
        conv, inception, aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = _pool(3)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = _pool(3)
        self.inception3a = inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = _pool(3)
        self.inception4a = inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = _pool(2)
        self.inception5a = inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights:
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=0.01, a=-2, b=2)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        if self.transform_input:
            scale = x.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1) / 0.5
            shift = (x.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1) - 0.5) / 0.5
            x = x * scale + shift
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        lower = self.inception4a(x)
        upper = self.inception4d(self.inception4c(self.inception4b(lower)))
        x = self.maxpool4(self.inception4e(upper))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(flatten(self.avgpool(x), 1)))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(logits, self.aux2(upper), self.aux1(lower))
        return logits


def googlenet(*, weights: None = None, **kwargs: Any) -> GoogLeNet:
    """`GoogLeNet`, with 13,004,888 parameters for 1,000 classes, 6,624,904 without aux_logits."""
    refuse_weights("googlenet", weights)
    return GoogLeNet(**kwargs)
