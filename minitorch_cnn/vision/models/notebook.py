"""The network of the notebook that this project reproduces."""

from __future__ import annotations

from ... import Tensor, flatten, nn
from ...nn import functional as F


class NotebookNet(nn.Module):
    """Two convolutions and three fully connected layers, for 32x32 colour images in ten classes.

    Shape: `(n, 3, 32, 32)` to `(n, 10)`, the classes' logits.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import models
    >>> models.NotebookNet()(torch.zeros(4, 3, 32, 32)).shape
    torch.Size([4, 10])
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = flatten(x, 1)
        x = F.gelu(self.fc1(x))
        x = F.gelu(self.fc2(x))
        return self.fc3(x)
