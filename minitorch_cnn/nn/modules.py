"""PyTorch's names for the files of `nn`, for code that looks there for base classes.

>>> from minitorch_cnn import nn
>>> from minitorch_cnn.nn.modules.batchnorm import _BatchNorm
>>> isinstance(nn.BatchNorm2d(3), _BatchNorm)
True
"""

import sys

from . import (
    activation,
    container,
    conv,
    distance,
    dropout,
    embedding,
    flatten,
    fold,
    lazy,
    linear,
    loss,
    module,
    norm,
    padding,
    pooling,
    shuffle,
    tuples,
    upsampling,
)

__path__: list[str] = []  # what makes a package of a module

FILES = {
    "activation": activation,
    "batchnorm": norm,
    "channelshuffle": shuffle,
    "container": container,
    "conv": conv,
    "distance": distance,
    "dropout": dropout,
    "flatten": flatten,
    "fold": fold,
    "instancenorm": norm,
    "lazy": lazy,
    "linear": linear,
    "loss": loss,
    "module": module,
    "normalization": norm,
    "padding": padding,
    "pixelshuffle": shuffle,
    "pooling": pooling,
    "sparse": embedding,
    "upsampling": upsampling,
    "utils": tuples,
}
globals().update(FILES)
sys.modules.update({f"{__name__}.{name}": file for name, file in FILES.items()})
