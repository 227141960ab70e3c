"""Filling, copying and joining buffers."""

from typing import Any

import numpy as np

from .elementwise import quiet


def fill(y: Any, value: Any) -> None:
    """y = value"""
    y.fill(value)


def copy(x: Any, y: Any) -> None:
    """y = x, broadcast and cast to y's type"""
    if x.dtype == y.dtype:
        np.copyto(y, x)
    else:
        quiet.run(_cast, x, y)


def _cast(x: Any, y: Any) -> None:
    np.copyto(y, x, casting="unsafe")


def arange(y: Any, start: float, step: float) -> None:
    """y[i] = start + i step"""
    np.multiply(np.arange(y.size), step, out=y, casting="unsafe")
    np.add(y, start, out=y, casting="unsafe")


def cat(*buffers: Any) -> None:
    """y = the inputs one after the other along a dimension; arguments: inputs, y, dim"""
    *inputs, y, dim = buffers
    np.concatenate(inputs, axis=dim, out=y)


def flip(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = x, the given dimensions running backwards"""
    np.copyto(y, np.flip(x, dims))


def triangle(x: Any, y: Any, diagonal: int, upper: bool) -> None:
    """y = x on and above (or below) a diagonal, elsewhere 0"""
    np.copyto(y, np.triu(x, diagonal) if upper else np.tril(x, diagonal))


def copy_second(x: Any, source: Any, y: Any) -> None:
    """y = source; x is what y held before, of no importance"""
    copy(source, y)
