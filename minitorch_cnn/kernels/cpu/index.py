"""Gathering and scattering by indices. Where indices repeat, sums run in their order."""

from typing import Any

import numpy as np


def put_slice(x: Any, y: Any, index: tuple[Any, ...]) -> None:
    """y = 0, then y[index] = x"""
    y.fill(0)
    y[index] = x


def take(x: Any, *args: Any) -> None:
    """y = x[.., indices, ..], each at its dimension; arguments: x, indices, y, dims"""
    *indices, y, dims = args
    y[...] = x[_index(x.ndim, dims, indices)]


def put_add(x: Any, *args: Any) -> None:
    """y = 0, then y[.., indices, ..] += x, in order; arguments: x, indices, y, dims"""
    *indices, y, dims = args
    y.fill(0)
    np.add.at(y, _index(y.ndim, dims, indices), x)


def put(x: Any, value: Any, *args: Any) -> None:
    """y = x, then y[.., indices, ..] = value; arguments: x, value, indices, y, dims"""
    *indices, y, dims = args
    if y is not x:
        np.copyto(y, x)
    y[_index(y.ndim, dims, indices)] = value


def _index(ndim: int, dims: tuple[int, ...], indices: list[Any]) -> tuple[Any, ...]:
    index: list[Any] = [slice(None)] * ndim
    for dim, indices_of_dim in zip(dims, indices):
        index[dim] = indices_of_dim
    return tuple(index)


def take_along(x: Any, indices: Any, y: Any, dim: int) -> None:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..]"""
    np.copyto(y, np.take_along_axis(x, indices, dim))


def put_along_add(x: Any, indices: Any, y: Any, dim: int) -> None:
    """y = 0, then y[.., indices[.., i, ..], ..] += x[.., i, ..]"""
    y.fill(0)
    places = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    places[dim] = indices
    np.add.at(y, tuple(places), x)


_JOINS = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def put_along_reduce(x: Any, src: Any, indices: Any, y: Any, dim: int, how: str) -> None:
    """y = x, then y[.., indices[.., i, ..], ..] = how(itself, src[.., i, ..])"""
    np.copyto(y, x)
    places = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    places[dim] = indices
    _JOINS[how].at(y, tuple(places), src)
