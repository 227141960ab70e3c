"""The transforms as functions, under torchvision's names: of PIL images, arrays and tensors.

An array is an image (height, width) or (height, width, channels); a tensor is one or many images
(..., height, width). Results are of the argument's kind. To PIL images Pillow's own functions are
applied; arrays are treated as tensors. As
https://docs.pytorch.org/vision/stable/transforms.html#functional-transforms.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ... import Tensor, from_numpy
from ...dtypes import DType
from . import planes
from .transform import is_pil_image

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "affine",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "erase",
    "five_crop",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "normalize",
    "pad",
    "pil_to_tensor",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]


class InterpolationMode(enum.Enum):
    """How pixels between pixels are made. BOX, HAMMING and LANCZOS are for PIL images alone."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_EVERY_MODE = [mode.value for mode in InterpolationMode]
_PILLOWS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""In the order of Pillow's numbers."""


def as_mode(name: str, interpolation: Any, allowed: Sequence[str]) -> str:
    """An interpolation's name, from the enum or Pillow's number."""
    if isinstance(interpolation, int) and 0 <= interpolation < len(_PILLOWS):
        interpolation = InterpolationMode(_PILLOWS[interpolation])
    if not isinstance(interpolation, InterpolationMode):
        raise TypeError(
            f"{name}: interpolation should be an InterpolationMode or a Pillow integer constant, "
            f"not {interpolation!r}"
        )
    if interpolation.value not in allowed:
        raise ValueError(
            f"{name}: interpolation {interpolation.value!r} is unsupported for this kind of image; "
            f"supported are {', '.join(allowed)}"
        )
    return interpolation.value


def _pillow() -> ModuleType:
    try:
        from . import pillow
    except ImportError as error:
        raise ImportError("PIL images need pillow: pip install minitorch-cnn[examples]") from error
    return pillow


def _on_planes(image: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """A function of planes (..., height, width), of an array's or a tensor's."""
    if isinstance(image, Tensor):
        if image.dim() < 2:
            raise TypeError("Tensor is not a torch image.")
        return from_numpy(np.ascontiguousarray(function(image.detach().numpy())))
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image should be PIL Image, ndarray or Tensor. Got {type(image)}")
    if image.ndim not in (2, 3):
        raise ValueError(f"image should be 2/3 dimensional. Got {image.ndim} dimensions.")
    if image.ndim == 2:
        return np.ascontiguousarray(function(image[None])[0])
    return np.ascontiguousarray(np.moveaxis(function(np.moveaxis(image, -1, 0)), 0, -1))


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width."""
    if is_pil_image(img):
        return [len(img.getbands()), img.height, img.width]
    if isinstance(img, Tensor):
        return [1 if img.dim() == 2 else img.shape[-3], *img.shape[-2:]]
    if isinstance(img, np.ndarray) and img.ndim in (2, 3):
        return [1 if img.ndim == 2 else img.shape[2], *img.shape[:2]]
    raise TypeError(f"image should be PIL Image, ndarray or Tensor. Got {type(img)}")


def get_image_size(img: Any) -> list[int]:
    """Width and height."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """How many channels an image has."""
    return get_dimensions(img)[0]


# ---------------------------------------------------------------------- kinds of images


def to_tensor(pic: Any) -> Tensor:
    """`transforms.ToTensor()` of an image."""
    from .convert import ToTensor

    return ToTensor()(pic)


def pil_to_tensor(pic: Any) -> Tensor:
    """A PIL image as a tensor (channels, height, width) of its own element type.

    Raises TypeError for anything else.
    """
    if not is_pil_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    pixels = np.array(pic, copy=True)
    pixels = pixels * np.uint8(255) if pixels.dtype == bool else pixels
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A PIL image of a tensor (channels, height, width) or an array (height, width, channels).

    Floats of a tensor, from 0 to 1, become bytes. `mode` is Pillow's, found by the channels and the
    element type unless given.

    Raises TypeError for anything else, ValueError for other dimensions, more than 4 channels, and a
    mode that does not fit.
    """
    pillow = _pillow()
    if isinstance(pic, Tensor):
        if pic.dim() not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.dim()} dimensions.")
        pixels = pic.detach().numpy()
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels.transpose(1, 2, 0)
        if pixels.dtype.kind == "f" and mode != "F":
            pixels = (pixels * 255).astype(np.int64).astype(np.uint8)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = pic[:, :, None] if pic.ndim == 2 else pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pixels.shape[2] > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {pixels.shape[2]} channels.")
    if pixels.shape[2] > 1 and pixels.dtype != np.uint8:
        raise TypeError(f"Input type {pixels.dtype} is not supported")
    return pillow.from_array(pixels, mode)


def convert_image_dtype(image: Tensor, dtype: DType | None = None) -> Tensor:
    """A tensor's values in another type, white being 1 among floats and the largest among integers.

    Raises TypeError for anything but a tensor, RuntimeError where a type can't hold the values.
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    kind = _default_float() if dtype is None else dtype
    if image.dtype is kind:
        return image
    source, target = image.dtype.numpy, kind.numpy
    white, white_there = planes.largest(source), planes.largest(target)
    if image.is_floating_point():
        if target.kind == "f":
            return image.to(kind)
        exact = {np.dtype(np.float32): (4, 8), np.dtype(np.float64): (8,)}[source]
        if target.itemsize in exact:
            raise RuntimeError(f"The cast from {image.dtype} to {kind} cannot be performed safely.")
        return (image * (white_there + 1.0 - 1e-3)).to(kind)
    if target.kind == "f":
        return image.to(kind) / white
    values = image.detach().numpy()
    if white > white_there:
        factor = (int(white) + 1) // (int(white_there) + 1)
        return from_numpy((values // factor).astype(target))
    factor = (int(white_there) + 1) // (int(white) + 1)
    return from_numpy(values.astype(target) * target.type(factor))


def _default_float() -> DType:
    from ... import float32

    return float32


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """`transforms.Normalize(mean, std, inplace)` of a tensor."""
    from .convert import Normalize

    return Normalize(mean, std, inplace)(tensor)


# ---------------------------------------------------------------------- places


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window that begins at (top, left); what lies beyond the image is 0."""
    if is_pil_image(img):
        return _pillow().crop(img, top, left, height, width)

    def cut(pixels: np.ndarray) -> np.ndarray:
        bottom = top + height - pixels.shape[-2]
        right = left + width - pixels.shape[-1]
        return planes.pad(pixels, (-left, -top, right, bottom), 0, "constant")

    return _on_planes(img, cut)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle of the image; where it is smaller, zeros are added around it first."""
    height, width = two("output_size", output_size)
    _, tall, wide = get_dimensions(img)
    if width > wide or height > tall:
        across, down = max(width - wide, 0), max(height - tall, 0)
        img = pad(img, [across // 2, down // 2, (across + 1) // 2, (down + 1) // 2])
        _, tall, wide = get_dimensions(img)
    top, left = round((tall - height) / 2.0), round((wide - width) / 2.0)
    return crop(img, top, left, height, width)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners, top left, top right, bottom left and bottom right, and the middle."""
    height, width = two("size", size)
    _, tall, wide = get_dimensions(img)
    if width > wide or height > tall:
        raise ValueError(
            f"Requested crop size {(height, width)} is bigger than input size {(tall, wide)}"
        )
    down, right = tall - height, wide - width
    corners = [crop(img, y, x, height, width) for y in (0, down) for x in (0, right)]
    return (*corners, center_crop(img, [height, width]))


def pad(
    img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"
) -> Any:
    """Margins, as in `transforms.Pad`."""
    sides = four("padding", padding)
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(
            "Padding mode should be either constant, edge, reflect or symmetric, "
            f"not {padding_mode!r}"
        )
    if is_pil_image(img):
        return _pillow().pad(img, sides, fill, padding_mode)
    return _on_planes(img, lambda pixels: planes.pad(pixels, sides, fill, padding_mode))


def hflip(img: Any) -> Any:
    """Mirrored, left to right."""
    if is_pil_image(img):
        return _pillow().flip(img, vertically=False)
    return _on_planes(img, lambda pixels: pixels[..., ::-1])


def vflip(img: Any) -> Any:
    """Mirrored, top to bottom."""
    if is_pil_image(img):
        return _pillow().flip(img, vertically=True)
    return _on_planes(img, lambda pixels: pixels[..., ::-1, :])


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Another size, as in `transforms.Resize`."""
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"If size is a sequence, it should have 1 or 2 values, not {size}")
    if max_size is not None and len(sizes) != 1:
        raise ValueError("max_size should only be passed if size specifies the smaller edge")
    _, height, width = get_dimensions(img)
    target = resized(sizes, max_size, height, width)
    if is_pil_image(img):
        mode = as_mode("resize", interpolation, _EVERY_MODE)
        return img if target == (height, width) else _pillow().resize(img, target, mode)
    mode = as_mode("resize", interpolation, ("nearest", "nearest-exact", "bilinear", "bicubic"))
    return _on_planes(img, lambda pixels: planes.resize(pixels, target, mode, bool(antialias)))


def resized(sizes: Sequence[int], max_size: int | None, height: int, width: int) -> tuple[int, int]:
    """The (height, width) that a size stands for: both, or that of the smaller edge."""
    if len(sizes) == 2:
        return sizes[0], sizes[1]
    short, long = min(height, width), max(height, width)
    new_short, new_long = sizes[0], int(sizes[0] * long / short)
    if max_size is not None:
        if max_size <= sizes[0]:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the "
                f"smaller edge size = {sizes[0]}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A window in another size."""
    return resize(crop(img, top, left, height, width), size, interpolation, None, antialias)


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    """Turned by so many degrees counter-clockwise, as in `transforms.RandomRotation`."""
    mode = as_mode("rotate", interpolation, _affine_modes(img))
    if center is not None and len(center) != 2:
        raise ValueError(f"center should be two numbers, not {center}")
    if is_pil_image(img):
        return _pillow().rotate(img, angle, mode, expand, center, fill)
    _, height, width = get_dimensions(img)
    middle = _from_middle(center, height, width)
    matrix = planes.inverse_matrix(middle, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    size = planes.rotated_size(matrix, height, width) if expand else (height, width)
    return _on_planes(img, lambda pixels: planes.affine(pixels, matrix, size, mode, fill))


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Turned clockwise, moved, scaled and sheared about its centre, as in `RandomAffine`."""
    mode = as_mode("affine", interpolation, _affine_modes(img))
    if len(translate) != 2:
        raise ValueError(f"translate should be two numbers, not {translate}")
    if scale <= 0.0:
        raise ValueError(f"Argument scale should be positive, not {scale}")
    shears = (shear, 0.0) if isinstance(shear, (int, float)) else tuple(shear)
    shears = (*shears, 0.0) if len(shears) == 1 else shears
    if len(shears) != 2:
        raise ValueError(f"Shear should be one or two numbers, not {shear}")
    _, height, width = get_dimensions(img)
    if is_pil_image(img):
        middle = [width * 0.5, height * 0.5] if center is None else center
        matrix = planes.inverse_matrix(middle, angle, translate, scale, shears)
        return _pillow().affine(img, matrix, mode, fill)
    middle = _from_middle(center, height, width)
    matrix = planes.inverse_matrix(middle, angle, translate, scale, shears)
    return _on_planes(
        img, lambda pixels: planes.affine(pixels, matrix, (height, width), mode, fill)
    )


def _affine_modes(img: Any) -> Sequence[str]:
    return ("nearest", "bilinear", "bicubic") if is_pil_image(img) else ("nearest", "bilinear")


def _from_middle(center: Sequence[float] | None, height: int, width: int) -> list[float]:
    """A centre counted from the image's."""
    return [0.0, 0.0] if center is None else [center[0] - width * 0.5, center[1] - height * 0.5]


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """A window of a tensor (..., channels, height, width) or an array replaced by v."""
    if is_pil_image(img):
        raise TypeError("erase: img should be a Tensor or an array, not a PIL image")
    if isinstance(img, np.ndarray):
        value = np.moveaxis(np.asarray(v), 0, -1) if np.ndim(v) == 3 else np.asarray(v)
        img = img if inplace else img.copy()
        img[i : i + h, j : j + w] = value
        return img
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


# ---------------------------------------------------------------------- colours


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Grey, in one channel or in three that are equal."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"num_output_channels should be either 1 or 3, not {num_output_channels}")
    if is_pil_image(img):
        return _pillow().grey(img, num_output_channels)
    _colours(img)

    def mixed(pixels: np.ndarray) -> np.ndarray:
        plane = planes.grey(pixels)
        if num_output_channels == 1 or plane.shape[-3] == 3:
            return plane
        return plane.repeat(3, -3)

    return _on_planes(img, mixed)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` of PIL images."""
    if not is_pil_image(img):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(img, num_output_channels)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """As many times as bright; 0 is black."""
    _check_factor("brightness_factor", brightness_factor)
    if is_pil_image(img):
        return _pillow().brightness(img, brightness_factor)
    _colours(img)
    return _on_planes(img, lambda pixels: planes.blend(pixels, 0, brightness_factor))


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """As many times as far from the mean grey; 0 is grey all over."""
    _check_factor("contrast_factor", contrast_factor)
    if is_pil_image(img):
        return _pillow().contrast(img, contrast_factor)
    _colours(img)
    return _on_planes(
        img, lambda pixels: planes.blend(pixels, planes.contrast_mean(pixels), contrast_factor)
    )


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """As many times as far from the grey picture, which 0 is."""
    _check_factor("saturation_factor", saturation_factor)
    if is_pil_image(img):
        return _pillow().saturation(img, saturation_factor)
    if _colours(img) == 1:
        return img
    return _on_planes(
        img, lambda pixels: planes.blend(pixels, planes.grey(pixels), saturation_factor)
    )


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Colours turned by so many full circles, from -0.5 to 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if is_pil_image(img):
        return _pillow().hue(img, hue_factor)
    if _colours(img) == 1:
        return img
    return _on_planes(img, lambda pixels: planes.shift_hue(pixels, hue_factor))


def _check_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def _colours(img: Any) -> int:
    channels = get_dimensions(img)[0]
    if channels not in (1, 3):
        raise TypeError(
            f"Input image tensor permitted channel values are 1 or 3, but found {channels}"
        )
    return channels


# ---------------------------------------------------------------------- arguments


def two(name: str, size: Any) -> tuple[int, int]:
    """(height, width) from one number or two."""
    sizes = (size,) if isinstance(size, int) else tuple(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"{name} should be one or two numbers, not {size}")
    return int(sizes[0]), int(sizes[-1])


def four(name: str, padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom from one number, two or four."""
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"{name} must be an int or a 1, 2, or 4 element tuple, not {padding}")
    return tuple(sides * (4 // len(sides)))


def span(
    name: str, value: Any, centre: float, low: float, high: float
) -> tuple[float, float] | None:
    """The interval of a factor, by its distance from the centre or its ends; None for no change."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative, not {value}")
        ends = (centre - value, centre + value)
        if low == 0:
            ends = (max(ends[0], 0.0), ends[1])
    else:
        ends = tuple(map(float, value))  # type: ignore[assignment]
        if len(ends) != 2:
            raise TypeError(f"{name} should be a single number or two, not {value}")
    if not low <= ends[0] <= ends[1] <= high:
        raise ValueError(f"{name} values should be between {(low, high)}, but got {ends}.")
    return None if ends[0] == ends[1] == centre else ends
