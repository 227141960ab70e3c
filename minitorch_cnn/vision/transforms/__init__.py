"""Transforms of images, each for one image and for a whole batch."""

from .compose import Compose, Lambda
from .convert import Normalize, ToTensor
from .geometry import RandomCrop, RandomHorizontalFlip
from .transform import ImageTransform

__all__ = [
    "Compose",
    "ImageTransform",
    "Lambda",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "ToTensor",
]
