"""Filling, copying and joining buffers; and the way from the host to the GPU and back."""

from math import prod
from typing import Any

import numpy as np

from ...memory import is_pinned
from . import buffer
from .buffer import contents, empty, write
from .elementwise import layout, run, strides_of
from .functions import place, thread_index
from .geometry import DIMENSIONS, blocks_for
from .registry import BLOCK, f32, f64, i32, i64, integers, of, u32, variants, vector


def fill(y: Any, value: Any) -> None:
    """y = value, converted as C does"""
    if y.dtype.kind != "f" and isinstance(value, int):
        value = int(np.int64(value).astype(y.dtype))
    run("fill", y, constants=(value,))


def copy(x: Any, y: Any) -> None:
    """y = x, broadcast and cast to y's type. Either may be an array of the host's."""
    if isinstance(x, np.ndarray):
        with np.errstate(all="ignore"):
            values = np.broadcast_to(x, y.shape).astype(y.dtype, copy=False)
        if y.flags.c_contiguous:
            write(values, y)
        else:
            there = empty(y.shape, y.dtype)
            write(values, there)
            run("copy", there, y)
    elif isinstance(y, np.ndarray):
        if x.dtype != y.dtype or not x.flags.c_contiguous:
            there = empty(x.shape, y.dtype)
            run("copy", x, there)
            x = there
        np.copyto(y, contents(x))
    else:
        run("copy", x, y)


def in_order(x: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """x broadcast to a shape, contiguous and of an element type, its own if none is given"""
    dtype = dtype or x.dtype
    if x.shape == shape and x.flags.c_contiguous and x.dtype == dtype:
        return x
    there = empty(shape, dtype)
    run("copy", x, there)
    return there


def last(x: Any, dim: int) -> Any:
    """x, a dimension of it moved behind the others"""
    return x.transpose(*[d for d in range(x.ndim) if d != dim], dim)


def in_rows(x: Any, dim: int) -> Any:
    """x as a matrix whose rows run along a dimension"""
    x = last(x, dim)
    return in_order(x, x.shape).reshape(prod(x.shape[:-1]), x.shape[-1])


def send(x: Any, y: Any) -> None:
    """y = x; from pinned memory of the host the GPU copies by itself, later"""
    ready = isinstance(x, np.ndarray) and is_pinned(x) and x.flags.c_contiguous
    if ready and x.dtype == y.dtype and y.flags.c_contiguous:
        buffer.send(x, y)
    else:
        copy(x, y)


def copy_second(x: Any, source: Any, y: Any) -> None:
    """y = source; x is what y held before, of no importance"""
    copy(source, y)


@variants((f32, f64), (i64, i64), double=True)
def count(kind: Any, number: Any) -> tuple[Any, ...]:
    """y[i] = start + i step"""

    def count(y, size, start, step):
        i = thread_index()
        if i < u32(size):
            y[i] = start + number(i) * step

    return count, (vector(kind), i64, number, number)


def arange(y: Any, start: float, step: float) -> None:
    """y[i] = start + i step"""
    number = i64 if type(start) is int and type(step) is int else f64
    count(of(y.dtype), number)(blocks_for(y.size, BLOCK), y, y.size, start, step)


def cat(*buffers: Any) -> None:
    """y = the inputs one after the other along a dimension; arguments: inputs, y, dim"""
    *inputs, y, dim = buffers
    start = 0
    for x in inputs:
        stop = start + x.shape[dim]
        run("copy", x, y[(slice(None),) * dim + (slice(start, stop),)])
        start = stop


@variants((f32,))
def turned(kind: Any) -> tuple[Any, ...]:
    """y = x, from its element `start` on, by strides that may lead backwards"""

    def turned(x, y, sizes, x_steps, y_steps, start):
        i = thread_index()
        if i < u32(sizes[0]):
            # Unsigned numbers wrap around, so adding a negative stride's goes back.
            y[place(i, sizes, y_steps)] = x[u32(u32(start) + place(i, sizes, x_steps))]

    steps = integers(DIMENSIONS)
    return turned, (vector(kind), vector(kind), integers(5), steps, steps, i32)


def flip(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """y = x, the given dimensions running backwards"""
    if not y.size:
        return
    steps = [s // x.itemsize for s in x.strides]
    start = sum([steps[d] * (x.shape[d] - 1) for d in dims])
    backwards = tuple([-s if d in dims else s for d, s in enumerate(steps)])
    found = layout(y.shape, backwards, strides_of(y, y.shape))
    if found is None:
        _flip_parts(x, y, dims)
        return
    sizes, (x_steps, y_steps) = found
    kernel = turned(of(x.dtype))
    kernel(blocks_for(sizes[0], BLOCK), x, y, sizes, x_steps, y_steps, start)


def _flip_parts(x: Any, y: Any, dims: tuple[int, ...]) -> None:
    """flip, with a launch for each place along the first dimension"""
    inner = tuple([d - 1 for d in dims if d])
    last = x.shape[0] - 1
    for i in range(x.shape[0]):
        flip(x[last - i if 0 in dims else i], y[i], inner)


def add_patches(x: Any, y: Any, stride: tuple[int, int], dilation: tuple[int, int]) -> None:
    """y[n,c,r,s] = sum of x[n,c,u,v,i,j] where r = i*sh+u*dh and s = j*sw+v*dw"""
    fill(y, 0)
    height, width = [(n - 1) * s + 1 for n, s in zip(x.shape[4:], stride)]
    for u, v in np.ndindex(*x.shape[2:4]):  # a launch for each tap: they add to the same places
        r, s = u * dilation[0], v * dilation[1]
        part = y[:, :, r : r + height : stride[0], s : s + width : stride[1]]
        run("add", part, x[:, :, u, v], part)
