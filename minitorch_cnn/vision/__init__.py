"""Image datasets, transforms and models, under torchvision's names."""

from . import datasets, models, ops, transforms, utils

__all__ = ["datasets", "models", "ops", "transforms", "utils"]
