"""From pixels to a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import Tensor, from_numpy, get_default_dtype
from ...dtypes import DType
from ...utils.data import SampleStreams
from . import functional as F
from .pixels import PixelBatch, through_table
from .transform import ImageTransform, OneByOne


class ToTensor(ImageTransform):
    """Turns uint8 pixels into a float tensor with values from 0 to 1, channels first.

    An array (height, width) or (height, width, channels), or a PIL image, becomes a tensor
    (channels, height, width); a batch of arrays a tensor (n, channels, height, width). uint8 is
    divided by 255; other element types keep type and values.

    Raises TypeError for anything else, tensors included; ValueError for other numbers of
    dimensions.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToTensor.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.ToTensor()(np.array([[0, 51], [102, 255]], np.uint8))
    tensor([[[0.0000, 0.2000],
             [0.4000, 1.0000]]])
    """

    def apply(self, images: Any, streams: SampleStreams) -> Tensor:
        if not isinstance(images, np.ndarray):
            raise TypeError(f"ToTensor: image should be PIL Image or ndarray. Got {type(images)}")
        if images.ndim == 3:
            images = images[..., None]
        if images.ndim != 4:
            raise ValueError(
                f"ToTensor: a batch should be 3/4 dimensional. Got {images.ndim} dimensions"
            )
        planes = images.transpose(0, 3, 1, 2)
        if planes.dtype != np.uint8:
            return from_numpy(planes.copy(order="C"))
        # One pass: each pixel is converted, divided and put in its channel's plane.
        scaled = np.empty(planes.shape, get_default_dtype().numpy)
        np.divide(planes, scaled.dtype.type(255), out=scaled)
        return from_numpy(scaled)

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        if not batch.converted:
            # No transform of bytes goes through the table before.
            dtype = get_default_dtype()
            batch.table = through_table(self, batch.table, (dtype,), (255, 0, 1))
            return True
        return False


class Normalize(ImageTransform):
    """Computes `(x - mean) / std` for each channel of a float tensor.

    `mean` and `std` are numbers or one number a channel; `inplace` overwrites the tensor.
    Shape: `(..., channels, height, width)`, kept.

    Raises TypeError for anything but a tensor of floats; ValueError where a number in `std` is
    zero or the tensor has fewer than three dimensions.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Normalize.html

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import transforms
    >>> normalize = transforms.Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    >>> normalize(torch.ones(3, 1, 1)).flatten()
    tensor([2., 2., 2.])
    """

    def __init__(
        self, mean: Sequence[float] | float, std: Sequence[float] | float, inplace: bool = False
    ) -> None:
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def apply_one(self, image: Any, streams: SampleStreams) -> Tensor:
        return self.apply(image, streams)

    def apply(self, images: Any, streams: SampleStreams) -> Tensor:
        if not isinstance(images, Tensor):
            raise TypeError(f"Normalize: image should be a Tensor. Got {type(images)}")
        if not images.is_floating_point():
            raise TypeError(f"Normalize: image should be a float tensor. Got {images.dtype}")
        if images.ndim < 3:
            raise ValueError(
                "Normalize: expected a tensor of size (..., C, H, W), "
                f"but got {tuple(images.shape)}"
            )
        mean, std = self._planes(self.mean, images), self._planes(self.std, images)
        if not std.all():
            raise ValueError(
                f"Normalize: std {self.std} holds a zero in {images.dtype}, "
                "leading to division by zero"
            )
        # The values of a batch to be made are kept: they come without streams.
        inplace = self.inplace and streams is not None
        centred = images.sub_(from_numpy(mean)) if inplace else images.sub(from_numpy(mean))
        return centred.div_(from_numpy(std))

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        if not batch.converted:
            return False
        formula = batch.table.formula
        if formula is not None:
            formula = (255, self.mean, self.std) if formula[1:] == (0, 1) else None
        parameters = (_frozen(self.mean), _frozen(self.std))
        batch.table = through_table(self, batch.table, parameters, formula)
        return True

    def _planes(self, value: Sequence[float] | float, images: Tensor) -> np.ndarray:
        """One number a channel, shaped to be combined with planes of pixels."""
        planes = np.array(value, images.dtype.numpy).reshape(-1, 1, 1)
        if len(planes) not in (1, images.shape[-3]):
            raise ValueError(
                f"Normalize: {len(planes)} numbers do not fit {images.shape[-3]} channels, "
                f"with mean {self.mean} and std {self.std}"
            )
        return planes

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class PILToTensor(OneByOne):
    """Turns a PIL image into a tensor (channels, height, width) of its own element type.

    Raises TypeError for anything else.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.PILToTensor.html
    """

    batchable = False

    def apply_one(self, image: Any, streams: SampleStreams) -> Tensor:
        return F.pil_to_tensor(image)


class ToPILImage(OneByOne):
    """Turns a tensor or an array into a PIL image.

    Of a shape (channels, height, width) and (height, width, channels). A tensor's floats, from 0 to
    1, become bytes. `mode` is Pillow's, found by the channels and the element type unless given.
    Raises TypeError and ValueError for what makes no image.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToPILImage.html
    """

    batchable = False

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        return F.to_pil_image(image, self.mode)

    def __repr__(self) -> str:
        return "ToPILImage(" + ("" if self.mode is None else f"mode={self.mode}") + ")"


class ConvertImageDtype(OneByOne):
    """Turns a tensor's values into another type, white being 1 or the largest integer.

    Raises TypeError for anything but a tensor, RuntimeError where a type can't hold the values.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ConvertImageDtype.html

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.ConvertImageDtype(torch.uint8)(torch.tensor([[[0.0, 0.5, 1.0]]]))
    tensor([[[  0, 127, 255]]], dtype=torch.uint8)
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype

    def transform(self, image: Any) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


def _frozen(value: Any) -> Any:
    """What equals itself as long as the value does not change."""
    return value if isinstance(value, (tuple, float, int)) else np.array(value).tobytes()
