"""Sorting, medians and counts. NaN is larger than any number."""

from typing import Any

import numpy as np


def argsort(x: Any, y: Any, dim: int, descending: bool) -> None:
    """y = the places of x's elements in order, equal ones as they stood"""
    if descending:  # the order of the row turned round, turned round
        turned = np.argsort(np.flip(x, dim), dim, kind="stable")
        np.subtract(x.shape[dim] - 1, np.flip(turned, dim), out=y)
    else:
        np.copyto(y, np.argsort(x, dim, kind="stable"))


def argtopk(x: Any, y: Any, k: int, dim: int, largest: bool) -> None:
    """y = the places of the k largest or smallest of x, in order"""
    n = x.shape[dim]
    if k == 0 or x.size == 0:
        return
    if 4 * k < n:  # not worth while otherwise
        part = slice(n - k, n) if largest else slice(k)
        chosen = np.argpartition(x, n - k if largest else k - 1, dim)
        chosen = np.sort(chosen[(slice(None),) * dim + (part,)], dim)
    else:
        chosen = np.broadcast_to(
            np.arange(n).reshape([-1 if d == dim else 1 for d in range(x.ndim)]), x.shape
        )
    values = np.take_along_axis(x, chosen, dim)
    order = np.empty(chosen.shape, np.int64)
    argsort(values, order, dim, largest)
    first = order[(slice(None),) * dim + (slice(k),)]
    np.copyto(y, np.take_along_axis(chosen, first, dim))


def argkth(x: Any, y: Any, k: int, dim: int) -> None:
    """y = the place of the k-th smallest of x, counted from 0"""
    y[...] = np.argpartition(x, k, dim)[(slice(None),) * dim + (slice(k, k + 1),)]


def argmedian(x: Any, y: Any, dim: int) -> None:
    """y = the place of the lower median of x, of the first NaN if there is one"""
    argkth(x, y, (x.shape[dim] - 1) // 2, dim)
    if x.dtype.kind == "f":
        nan = np.isnan(x)
        np.copyto(y, np.argmax(nan, dim, keepdims=True), where=nan.any(dim, keepdims=True))


def argnanmedian(x: Any, y: Any, dim: int) -> None:
    """y = the place of the lower median of what is not NaN in x"""
    numbers = np.count_nonzero(x == x, dim, keepdims=True)
    ranks = np.maximum(numbers - 1, 0) // 2
    np.copyto(y, np.take_along_axis(np.argsort(x, dim, kind="stable"), ranks, dim))


def argmode(x: Any, y: Any, dim: int) -> None:
    """y = the last place of the most frequent of x, of several the smallest"""
    places = np.moveaxis(np.argsort(x, dim, kind="stable"), dim, -1)
    ordered = np.take_along_axis(np.moveaxis(x, dim, -1), places, -1)
    spots = np.broadcast_to(np.arange(ordered.shape[-1]), ordered.shape)
    starts = np.zeros(ordered.shape, np.int64)
    starts[..., 1:] = np.where(ordered[..., 1:] != ordered[..., :-1], spots[..., 1:], 0)
    repeats = spots - np.maximum.accumulate(starts, -1)
    longest = np.argmax(repeats, -1)[..., None]  # the end of the first of the longest runs
    np.copyto(y, np.moveaxis(np.take_along_axis(places, longest, -1), -1, dim))


def median(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the lower median of all of x, NaN if any is"""
    ordered = np.sort(x, None)
    y[...] = ordered[-1] if ordered[-1] != ordered[-1] else ordered[(x.size - 1) // 2]


def nanmedian(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = the lower median of what is not NaN in x"""
    ordered = np.sort(x, None)
    numbers = x.size - np.count_nonzero(ordered != ordered)
    y[...] = ordered[max(numbers - 1, 0) // 2]


def searchsorted(rows: Any, values: Any, y: Any, right: bool) -> None:
    """y = how many elements of a sorted row are less than a value or, from the right, not more"""
    side: Any = "right" if right else "left"
    if rows.ndim == 1:
        np.copyto(y, np.searchsorted(rows, values, side))
        return
    for at in np.ndindex(rows.shape[:-1]):
        y[at] = np.searchsorted(rows[at], values[at], side)


def bincount(x: Any, weights: Any, y: Any) -> None:
    """y[i] = how many of x are i, or the sum of their weights, in order"""
    if y.dtype.kind == "i":
        np.copyto(y, np.bincount(x, minlength=y.size))
    else:
        np.copyto(y, np.bincount(x, weights, y.size), casting="same_kind")


def histc(x: Any, y: Any, low: float, high: float) -> None:
    """y[i] = how many of x lie in the i-th of equal parts of [low, high]"""
    inside = x[(x >= low) & (x <= high)]
    part = ((inside - x.dtype.type(low)) * y.size / x.dtype.type(high - low)).astype(np.int64)
    np.copyto(y, np.bincount(np.minimum(part, y.size - 1), minlength=y.size), casting="unsafe")
