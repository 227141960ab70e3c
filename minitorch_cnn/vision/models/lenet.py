"""LeNet-5, the network that read handwritten digits."""

from __future__ import annotations

from ... import Tensor, flatten, nn
from ...nn import functional as F


class LeNet5(nn.Module):
    """LeNet-5 for 28x28 images, which its first layer pads to the paper's 32x32.

    As is usual today, and other than in the paper, every map of the second convolution sees all
    six maps below it, subsampling is a plain average, and the output layer is linear.
    Shape: `(n, in_channels, 28, 28)` to `(n, num_classes)`, the classes' logits.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86(11), 1998.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.LeNet5()(torch.zeros(4, 1, 28, 28)).shape
    torch.Size([4, 10])
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, kernel_size=5, padding=2)
        self.pool = nn.AvgPool2d(kernel_size=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.tanh(self.conv1(x)))
        x = self.pool(F.tanh(self.conv2(x)))
        x = flatten(x, 1)
        x = F.tanh(self.fc1(x))
        x = F.tanh(self.fc2(x))
        return self.fc3(x)
