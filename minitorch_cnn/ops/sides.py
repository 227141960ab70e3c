"""Options that are one number for all dimensions of an image, or one for each."""

from __future__ import annotations

from typing import Any

Single = tuple[int]
Pair = tuple[int, int]


def integer(name: str, value: Any) -> int:
    """An option that must be an int."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an int, not {value!r}")
    return int(value.__index__())


def pair(name: str, value: Any) -> Pair:
    """An option that is one int for both dimensions or one for each."""
    if type(value) is int:
        return value, value
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        return value
    first, second = sides(name, value, 2)
    return first, second


def sides(name: str, value: Any, dims: int) -> tuple[int, ...]:
    """An option that is one int for all of so many dimensions or one for each."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, dims):
        wanted = "an int" if dims == 1 else "an int or two of them"
        raise RuntimeError(f"{name}: expected {wanted}, not {value!r}")
    found = tuple([integer(name, v) for v in values])
    return found if len(found) == dims else found * dims
