"""Element types and PyTorch's rules for mixing them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "DType",
    "as_dtype",
    "can_cast",
    "dtype_of",
    "finfo",
    "get_default_dtype",
    "iinfo",
    "promote",
    "set_default_dtype",
]


class DType:
    """An element type. The few that exist are compared with `is`."""

    __slots__ = ("category", "is_floating_point", "is_signed", "itemsize", "name", "numpy")

    def __init__(self, name: str, category: int) -> None:
        self.name = name
        self.numpy = np.dtype(name)
        self.category = category  # 0 bool, 1 integer, 2 floating point: the higher one decides
        self.is_floating_point = category == 2
        self.is_signed = self.numpy.kind in "if"
        self.itemsize = self.numpy.itemsize

    def __repr__(self) -> str:
        # PyTorch's spelling, which code written for it reads and, after the import, evaluates.
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name if self.name != "bool" else "bool_"


bool_ = DType("bool", 0)
uint8 = DType("uint8", 1)
int8 = DType("int8", 1)
int16 = DType("int16", 1)
int32 = DType("int32", 1)
int64 = DType("int64", 1)
float32 = DType("float32", 2)
float64 = DType("float64", 2)
uint64 = DType("uint64", 1)  # of random states alone: not a type that users meet

_ALL = (bool_, uint8, int8, int16, int32, int64, float32, float64)
_BY_CHAR = {
    **{d.numpy.char: d for d in _ALL},
    "q": int64,
    "l": int64 if np.dtype("l").itemsize == 8 else int32,
}
_BY_PYTHON_TYPE = {bool: bool_, int: int64}

_default = float32


def get_default_dtype() -> DType:
    """The element type of new floating-point tensors: float32 unless changed."""
    return _default


def set_default_dtype(d: DType) -> None:
    """Make `d`, float32 or float64, the element type of new floating-point tensors."""
    global _default
    if not (isinstance(d, DType) and d.is_floating_point):
        raise TypeError(f"only floating-point types are supported as the default type, not {d!r}")
    _default = d


def dtype_of(array: Any) -> DType:
    """The element type of an array."""
    found = _BY_CHAR.get(array.dtype.char) if array.dtype.isnative else None
    if found is None:
        names = ", ".join([d.name for d in _ALL])
        raise TypeError(f"can't hold elements of type {array.dtype!r}; the types are: {names}")
    return found


def as_dtype(d: Any) -> DType:
    """A DType from itself or from Python's `float`, `int` or `bool`."""
    if isinstance(d, DType):
        return d
    if d is float:
        return _default
    try:
        return _BY_PYTHON_TYPE[d]
    except (KeyError, TypeError):
        names = ", ".join([known.name for known in _ALL])
        raise TypeError(f"{d!r} is not a dtype; the dtypes are: {names}") from None


_promoted: dict[tuple[DType, DType], DType] = {}


def promote(type1: DType, type2: DType) -> DType:
    """The type that holds both: the higher category's, or the wider one within a category.

    >>> import minitorch_cnn as torch
    >>> torch.promote_types(torch.uint8, torch.int8)
    torch.int16
    >>> torch.promote_types(torch.int64, torch.float32)
    torch.float32
    """
    a, b = type1, type2
    if a is b:
        return a
    found = _promoted.get((a, b))
    if found is None:
        if a.category != b.category:
            found = a if a.category > b.category else b
        else:
            found = _BY_CHAR[np.promote_types(a.numpy, b.numpy).char]
        _promoted[a, b] = found
    return found


def can_cast(from_: DType, to: DType) -> bool:
    """Whether PyTorch lets a result of one type be written to a tensor of another: what has a
    fraction not to integers, numbers not to truth values.

    >>> import minitorch_cnn as torch
    >>> torch.can_cast(torch.int64, torch.float32), torch.can_cast(torch.float32, torch.int64)
    (True, False)
    """
    return from_.category <= to.category


class finfo:
    """The limits of a floating-point type, the default one if none is named; as `torch.finfo`.

    >>> import minitorch_cnn as torch
    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: DType | None = None) -> None:
        dtype = _default if type is None else type
        if not dtype.is_floating_point:
            raise TypeError(f"finfo requires a floating point type, not {dtype}; use iinfo")
        limits = np.finfo(dtype.numpy)
        self.dtype = dtype.name
        self.bits = 8 * dtype.itemsize
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = 10.0**-limits.precision

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        limits = ", ".join([f"{name}={getattr(self, name):g}" for name in names])
        return f"finfo({limits}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer type, as `torch.iinfo`.

    >>> import minitorch_cnn as torch
    >>> torch.iinfo(torch.uint8).max
    255
    """

    def __init__(self, type: DType) -> None:
        if type.category != 1:
            raise TypeError(f"iinfo requires an integer type, not {type}; use finfo")
        limits = np.iinfo(type.numpy)
        self.dtype = type.name
        self.bits = 8 * type.itemsize
        self.max, self.min = int(limits.max), int(limits.min)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
