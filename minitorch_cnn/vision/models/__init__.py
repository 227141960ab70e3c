"""Networks, written as one writes them for PyTorch."""

from .lenet import LeNet5
from .notebook import NotebookNet

__all__ = ["LeNet5", "NotebookNet"]
