"""Filling, copying and joining buffers."""

from typing import Any

import numpy as np

from ..drivers import driver, noting, on_host
from .elementwise import LARGE, quiet


@driver
def fill(y: Any, value: Any) -> None:
    """y = value, converted as C does"""
    if noting() and y.dtype.kind == "f" and y.flags.c_contiguous:
        from .fill import fill_reals  # compiled only where it is to be part of a chain

        fill_reals(y, float(value))
        return
    on_host()
    if y.dtype.kind == "f":
        quiet.run(y.fill, value)
    elif isinstance(value, int) and y.dtype.kind in "iu":  # `fill` would refuse what wraps around
        y[...] = np.int64(value).astype(y.dtype)
    else:
        y.fill(value)


@driver
def copy(x: Any, y: Any) -> None:
    """y = x, broadcast and cast to y's type"""
    if y.size >= LARGE:
        from . import large

        if large.copied(x, y):
            return
    on_host()
    if x.dtype == y.dtype:
        np.copyto(y, x)
    else:
        quiet.run(_cast, x, y)


def send(x: Any, y: Any) -> None:
    """y = x, at the latest when somebody looks"""
    copy(x, y)


def _cast(x: Any, y: Any) -> None:
    np.copyto(y, x, casting="unsafe")


def arange(y: Any, start: float, step: float) -> None:
    """y[i] = start + i step"""
    np.copyto(y, start + np.arange(y.size) * step, casting="unsafe")


def cat(*buffers: Any) -> None:
    """y = the inputs one after the other along a dimension; arguments: inputs, y, dim"""
    *inputs, y, dim = buffers
    np.concatenate(inputs, axis=dim, out=y)


def flip(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = x, the given dimensions running backwards"""
    np.copyto(y, np.flip(x, dims))


def copy_second(x: Any, source: Any, y: Any) -> None:
    """y = source; x is what y held before, of no importance"""
    copy(source, y)


def add_patches(x: Any, y: Any, stride: tuple[int, int], dilation: tuple[int, int]) -> None:
    """y[n,c,r,s] = sum of x[n,c,u,v,i,j] where r = i*sh+u*dh and s = j*sw+v*dw"""
    y.fill(0)
    height, width = [(n - 1) * s + 1 for n, s in zip(x.shape[4:], stride)]
    for u, v in np.ndindex(*x.shape[2:4]):
        r, s = u * dilation[0], v * dilation[1]
        y[:, :, r : r + height : stride[0], s : s + width : stride[1]] += x[:, :, u, v]
