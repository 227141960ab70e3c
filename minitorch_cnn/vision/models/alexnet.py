"""AlexNet, the network that won ImageNet's challenge of 2012."""

from __future__ import annotations

from typing import Any

from ... import Tensor, flatten, nn
from .weights import refuse_weights

__all__ = ["AlexNet", "alexnet"]


class AlexNet(nn.Module):
    """Five convolutions and three fully connected layers, in the form for one GPU.

    - `dropout`: the probability of the two dropouts before the fully connected layers

    Shape: `(n, 3, h, w)` to `(n, num_classes)`, the classes' logits; h and w at least 63, 224 in
    the paper.

    Source: A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
    arXiv:1404.5997, 2014. As
    https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.alexnet.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.AlexNet(num_classes=10).features(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 256, 1, 1])
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(flatten(x, 1))


def alexnet(*, weights: None = None, **kwargs: Any) -> AlexNet:
    """`AlexNet`, with 61,100,840 parameters for 1,000 classes."""
    refuse_weights("alexnet", weights)
    return AlexNet(**kwargs)
