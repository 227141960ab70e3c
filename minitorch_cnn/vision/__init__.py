"""Image datasets, transforms and models, under torchvision's names."""

from . import datasets, models, transforms

__all__ = ["datasets", "models", "transforms"]
