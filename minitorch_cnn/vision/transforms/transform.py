"""What all transforms share: one rule, applied to an image or to a batch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import Tensor, stack
from ...utils.data import SampleStreams, default_collate
from .pixels import PixelBatch


class ImageTransform:
    """Base class of the transforms: `transform(image)` for one, `transform.batch(images)` for many.

    An image is an array (height, width) or (height, width, channels), or a tensor (..., height,
    width); a PIL image is taken as its array. A batch has one more dimension in front. A subclass
    defines `apply(images, streams)` for a batch, and draws what is random in it from `streams`, one
    for each image (see `SampleStreams`): then a loader's batches are the same, bit for bit, be they
    made by one `batch(images)` or by a `transform(image)` for each.

    >>> import numpy as np
    >>> from minitorch_cnn.vision.transforms import ImageTransform
    >>> class Invert(ImageTransform):
    ...     def apply(self, images, streams):
    ...         return 255 - images
    >>> Invert()(np.array([[0, 255]], np.uint8))
    array([[255,   0]], dtype=uint8)
    """

    #: Whether a batch is transformed as a whole; if not, image by image.
    batchable: bool = True
    #: Whether a batch's images are transformed each for itself, so that batches can be joined.
    known: bool = True

    def __call__(self, image: Any) -> Any:
        return self.apply_one(image, SampleStreams(1))

    def batch(self, images: Any) -> Any:
        """Every image of a batch transformed, as one batch."""
        if not isinstance(images, (np.ndarray, Tensor)):
            raise TypeError(f"{self!r}: a batch is an array or a tensor, not {type(images)}")
        if not self.batchable:
            return default_collate([self(image) for image in images])
        return self.apply(images, SampleStreams(len(images)))

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        """One image transformed, with numbers from the single stream in `streams`."""
        return self.apply(self._checked(image)[None], streams)[0]

    def apply(self, images: Any, streams: SampleStreams) -> Any:
        """A batch transformed, with numbers from `streams`."""
        raise NotImplementedError(f"{type(self).__name__} does not define apply")

    def note(self, batch: PixelBatch, streams: SampleStreams) -> bool:
        """Have a batch that is still to be made come out as if transformed; False if it can't, and
        nothing has been noted or drawn: then it is made first, and `apply` transforms it."""
        return False

    def _checked(self, image: Any) -> np.ndarray | Tensor:
        if is_pil_image(image):
            image = np.asarray(image)
            # Mode "1" holds booleans: black and white.
            image = image * np.uint8(255) if image.dtype == bool else image
        if isinstance(image, np.ndarray):
            if image.ndim not in (2, 3):
                raise ValueError(f"{self!r}: image should be 2/3 dimensional. Got {image.ndim}")
        elif not isinstance(image, Tensor):
            raise TypeError(
                f"{self!r}: image should be PIL Image, ndarray or Tensor. Got {type(image)}"
            )
        return image

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class OneByOne(ImageTransform):
    """Base class of transforms that treat the images of a batch one after the other.

    A subclass defines `transform(image, *numbers)`, for PIL images, arrays and tensors alike, and,
    if it is random, `draw(streams)`, which returns those numbers: arrays with one for each image.
    So that all streams stay in step, it draws equally many whatever comes out.
    """

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        """What is random in the transform: arrays with an entry for each stream."""
        return ()

    def transform(self, image: Any, *numbers: Any) -> Any:
        """One image, or many that are treated alike, transformed."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform")

    def apply_one(self, image: Any, streams: SampleStreams) -> Any:
        if not is_pil_image(image):
            self._checked(image)
        return self.transform(image, *[numbers[0] for numbers in self.draw(streams)])

    def apply(self, images: Any, streams: SampleStreams) -> Any:
        if len(images) == 0:  # what shape none of them would have, an image of zeros tells
            shape, like = images.shape[1:], isinstance(images, Tensor)
            zeros = images.new_zeros(shape) if like else np.zeros(shape, images.dtype)
            return self.apply_one(zeros, SampleStreams(1))[None][:0]
        numbers = list(zip(*self.draw(streams), strict=True)) or [()] * len(images)
        results = [self.transform(image, *n) for image, n in zip(images, numbers, strict=True)]
        return stack(results) if isinstance(results[0], Tensor) else np.stack(results)


def is_pil_image(image: Any) -> bool:
    """Whether this is a PIL image; pillow is not imported to find out."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)
