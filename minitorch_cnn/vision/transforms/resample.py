"""Transforms that make pixels between pixels: other sizes, rotations, affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...utils.data import SampleStreams
from . import functional as F
from .functional import InterpolationMode
from .transform import OneByOne

__all__ = ["RandomAffine", "RandomResizedCrop", "RandomRotation", "Resize"]


class Resize(OneByOne):
    """Gives the image another size: (height, width), or one number for its smaller edge.

    `max_size` bounds the longer edge. With `antialias` the pixels of a smaller image are means over
    all that they cover; PIL images always are. Bytes are rounded.

    Raises ValueError for a `max_size` beside two numbers or not above the one, and for
    interpolations that only PIL images have.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Resize.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.Resize((1, 2))(np.array([[0, 2, 4, 6], [2, 4, 6, 8]], np.uint8))
    array([[2, 6]], dtype=uint8)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        sizes = (size,) if isinstance(size, int) else tuple(size)
        if len(sizes) not in (1, 2):
            raise ValueError(f"If size is a sequence, it should have 1 or 2 values, not {size}")
        if max_size is not None and len(sizes) == 2:
            raise ValueError("max_size should only be passed if size specifies the smaller edge")
        self.size = size
        self.max_size = max_size
        self.interpolation = _as_enum("Resize", interpolation)
        self.antialias = antialias

    def transform(self, image: Any) -> Any:
        return F.resize(image, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


TRIES = 10


class RandomResizedCrop(OneByOne):
    """Cuts out a window of random area, shape and place, and gives it the size wanted.

    Its area is a share of the image's, drawn from the interval `scale`; its width over its height
    is drawn from the interval `ratio`, evenly in its logarithm. What does not fit is drawn again,
    up to ten times; then the largest window in the middle is taken whose shape is in the interval.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomResizedCrop.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.RandomResizedCrop(8)(np.zeros((32, 32, 3), np.uint8)).shape
    (8, 8, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.size = F.two("size", size)
        for name, ends in (("scale", scale), ("ratio", ratio)):
            if len(ends) != 2 or not 0 < ends[0] <= ends[1]:
                raise ValueError(
                    f"RandomResizedCrop: {name} should be two positive numbers in order, not {ends}"
                )
        self.scale, self.ratio = scale, ratio
        self.interpolation = _as_enum("RandomResizedCrop", interpolation)
        self.antialias = antialias

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        return [streams.uniform() for _ in range(2 * TRIES + 2)]

    def transform(self, image: Any, *numbers: Any) -> Any:
        _, height, width = F.get_dimensions(image)
        window = F.crop(image, *self._window(height, width, numbers))
        return F.resize(window, self.size, self.interpolation, None, self.antialias)

    def _window(
        self, height: int, width: int, numbers: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Top, left, height and width."""
        least, most = self.ratio
        for share, shape in zip(numbers[0:-2:2], numbers[1:-2:2], strict=True):
            area = height * width * _between(self.scale, share)
            ratio = math.exp(_between((math.log(least), math.log(most)), shape))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top, left = (
                    int(number * (spare + 1))
                    for number, spare in zip(numbers[-2:], (height - h, width - w), strict=True)
                )
                return top, left, h, w
        h, w = height, width
        if width / height < least:
            h = round(w / least)
        elif width / height > most:
            w = round(h * most)
        return (height - h) // 2, (width - w) // 2, h, w

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(s, 4) for s in ends) for ends in (self.scale, self.ratio))
        return (
            f"RandomResizedCrop(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomRotation(OneByOne):
    """Turns the image counter-clockwise by an angle from `degrees`, (min, max) or (-d, d).

    About its middle, or `center`, (x, y) from the upper left corner. With `expand` the result is as
    large as the whole turned image needs. `fill` is what lies beyond, a number or one a channel.

    Raises ValueError for negative single `degrees`.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomRotation.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.RandomRotation((90, 90))(np.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ) -> None:
        self.degrees = _symmetric("degrees", degrees)
        if center is not None and len(center) != 2:
            raise ValueError(f"center should be two numbers, not {center}")
        self.center = center
        self.interpolation = _as_enum("RandomRotation", interpolation)
        self.expand = expand
        self.fill = fill
        self.batchable = not expand  # images of different sizes make no batch

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        return (streams.uniform(),)

    def transform(self, image: Any, number: Any) -> Any:
        angle = _between(self.degrees, number)
        return F.rotate(image, angle, self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        fill = "" if self.fill is None else f", fill={self.fill}"
        return (
            f"RandomRotation(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}{fill})"
        )


class RandomAffine(OneByOne):
    """Turns, moves, scales and shears the image about its middle, or `center`.

    Arguments: `degrees` as in `RandomRotation`, but clockwise; `translate`, the largest shares of
    the width and the height to be moved by; `scale`, an interval of factors; `shear`, an interval
    of degrees along x as `degrees` is, or four numbers for x and y; `fill`, what lies beyond.

    Raises ValueError for shares outside 0 and 1, scales that are not positive, negative single
    degrees.

    See https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAffine.html

    >>> import numpy as np
    >>> from minitorch_cnn.vision import transforms
    >>> transforms.RandomAffine(0, translate=(0.1, 0.1))(np.zeros((8, 8, 3), np.uint8)).shape
    (8, 8, 3)
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        self.degrees = _symmetric("degrees", degrees)
        if translate is not None:
            if len(translate) != 2:
                raise ValueError(f"translate should be two numbers, not {translate}")
            if not all(0 <= share <= 1 for share in translate):
                raise ValueError(f"translation values should be between 0 and 1, not {translate}")
        if scale is not None:
            if len(scale) != 2:
                raise ValueError(f"scale should be two numbers, not {scale}")
            if min(scale) <= 0:
                raise ValueError(f"scale values should be positive, not {scale}")
        if center is not None and len(center) != 2:
            raise ValueError(f"center should be two numbers, not {center}")
        self.translate, self.scale, self.center, self.fill = translate, scale, center, fill
        self.shear = None if shear is None else _symmetric("shear", shear, (2, 4))
        self.interpolation = _as_enum("RandomAffine", interpolation)

    def draw(self, streams: SampleStreams) -> Sequence[np.ndarray]:
        return [streams.uniform() for _ in range(6)]

    def transform(self, image: Any, *numbers: Any) -> Any:
        turn, right, down, size, shear_x, shear_y = numbers
        _, height, width = F.get_dimensions(image)
        angle, moved, scale, shear = _between(self.degrees, turn), (0, 0), 1.0, (0.0, 0.0)
        if self.translate is not None:
            most_x, most_y = self.translate[0] * width, self.translate[1] * height
            x, y = _between((-most_x, most_x), right), _between((-most_y, most_y), down)
            moved = round(x), round(y)
        if self.scale is not None:
            scale = _between(self.scale, size)
        if self.shear is not None:
            along_y = _between(self.shear[2:], shear_y) if len(self.shear) == 4 else 0.0
            shear = _between(self.shear[:2], shear_x), along_y
        return F.affine(
            image, angle, moved, scale, shear, self.interpolation, self.fill, self.center
        )

    def __repr__(self) -> str:
        text = f"RandomAffine(degrees={self.degrees}"
        for name in ("translate", "scale", "shear"):
            if getattr(self, name) is not None:
                text += f", {name}={getattr(self, name)}"
        if self.interpolation is not InterpolationMode.NEAREST:
            text += f", interpolation={self.interpolation.value}"
        text += f", fill={self.fill}" if self.fill != 0 else ""
        return text + (f", center={self.center})" if self.center is not None else ")")


def _between(ends: Sequence[float], number: float) -> float:
    """What lies in an interval where a number does between 0 and 1."""
    return float(ends[0] + (ends[1] - ends[0]) * number)


def _symmetric(name: str, value: Any, lengths: Sequence[int] = (2,)) -> list[float]:
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive, not {value}")
        value = [-value, value]
    if len(value) not in lengths:
        raise ValueError(f"{name} should be one number or {lengths} numbers, not {value}")
    return [float(number) for number in value]


def _as_enum(name: str, interpolation: Any) -> InterpolationMode:
    return InterpolationMode(F.as_mode(name, interpolation, [m.value for m in InterpolationMode]))
