"""Running totals along a dimension."""

from typing import Any

import numpy as np

from .elementwise import quiet


def cumsum(x: Any, y: Any, dim: int) -> None:
    """y[i] = x[0] + .. + x[i]; of floats the totals are in float64"""
    quiet.run(_cumsum, x, y, dim)


def _cumsum(x: Any, y: Any, dim: int) -> None:
    if y.dtype == np.float32:
        np.copyto(y, np.add.accumulate(x, dim, np.float64), casting="same_kind")
    else:
        np.add.accumulate(x, dim, y.dtype, y)


def argcummax(x: Any, y: Any, dim: int) -> None:
    """y[i] = the last place of the largest among x[0], .., x[i]; NaN is larger than any"""
    _last_place(x, np.maximum.accumulate(x, dim), y, dim)


def argcummin(x: Any, y: Any, dim: int) -> None:
    """y[i] = the last place of the smallest among x[0], .., x[i]; NaN is smaller than any"""
    _last_place(x, np.minimum.accumulate(x, dim), y, dim)


def _last_place(x: Any, extremes: Any, y: Any, dim: int) -> None:
    found = x == extremes
    if x.dtype.kind == "f":
        found |= np.isnan(x)
    places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    np.maximum.accumulate(np.where(found, places, 0), dim, out=y)
