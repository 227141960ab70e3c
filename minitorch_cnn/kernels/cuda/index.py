"""Gathering and scattering by indices. Where indices repeat, sums run in their order: a thread owns
a place along the other dimensions and goes through the indices one by one."""

from math import prod
from typing import Any

import numpy as np

from .buffer import empty
from .elementwise import operation, run, strides_of
from .functions import place, thread_index
from .geometry import DIMENSIONS, blocks_for, collapse, padded
from .registry import (
    BLOCK,
    device_function,
    f32,
    f64,
    i64,
    integers,
    of,
    u32,
    variants,
    vector,
)
from .shape import copy, fill, in_order


def put_slice(x: Any, y: Any, index: tuple[Any, ...]) -> None:
    """y = 0, then y[index] = x"""
    fill(y, 0)
    copy(x, y[index])


# p: places in front of the indexed dimensions, indices, places behind; and, for take_along and its
# adjoint, the distance of neighbours along the dimension, whose indices every place has of its own.
@variants((f32,), (i64,))
def gather(kind: Any) -> tuple[Any, ...]:
    """y[f,t,b] = x[f, offsets[t], b], or offsets[f,t,b]"""

    def take(x, offsets, y, front, front_steps, back, back_steps, p):
        e = thread_index()
        if e < u32(u32(u32(p[0]) * u32(p[1])) * u32(p[2])):
            row = u32(e // u32(p[2]))
            b = u32(e - u32(row * u32(p[2])))
            f = u32(row // u32(p[1]))
            t = u32(row - u32(f * u32(p[1])))
            at = u32(place(f, front, front_steps) + place(b, back, back_steps))
            if p[3] != 0:
                at = u32(at + u32(u32(offsets[e]) * u32(p[3])))
            else:
                at = u32(at + u32(offsets[t]))
            y[e] = x[at]

    sizes, steps = integers(5), integers(DIMENSIONS)
    arrays = vector(kind), vector(i64), vector(kind)
    return take, (*arrays, sizes, steps, sizes, steps, integers(4))


# What becomes of what is there and what is put there.
JOINS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "set": lambda a, b: b,
    "prod": lambda a, b: a * b,
    "amax": lambda a, b: a if a > b or a != a else b,
    "amin": lambda a, b: a if a < b or a != a else b,
}


@variants(*[(mode, f32) for mode in JOINS], ("add", f64), ("add", i64), ("amax", i64))
def scatter(mode: str, kind: Any) -> tuple[Any, ...]:
    """y[f, offsets[t], b] += x[f,t,b], or joined with it in another way; t runs in order"""
    join = device_function(JOINS[mode])

    def body(x, offsets, y, front, front_steps, back, back_steps, p):
        e = thread_index()
        if e < u32(u32(p[0]) * u32(p[2])):
            f = u32(e // u32(p[2]))
            b = u32(e - u32(f * u32(p[2])))
            base = u32(place(f, front, front_steps) + place(b, back, back_steps))
            for t in range(p[1]):
                source = u32(u32(u32(u32(f * u32(p[1])) + u32(t)) * u32(p[2])) + b)
                if p[3] != 0:
                    at = u32(base + u32(u32(offsets[source]) * u32(p[3])))
                else:
                    at = u32(base + u32(offsets[u32(t)]))
                y[at] = join(y[at], x[source])

    body.__name__ = f"put_{mode}"
    sizes, steps = integers(5), integers(DIMENSIONS)
    arrays = vector(kind), vector(i64), vector(kind)
    return body, (*arrays, sizes, steps, sizes, steps, integers(4))


operation(
    "wrapped", lambda kind: lambda i, c: i + c[0] if i < kind(0) else i, constant=True, kinds=(i64,)
)
operation("times", lambda kind: lambda i, c: i * c[0], constant=True, kinds=(i64,))


def _offsets(shape: Any, steps: Any, dims: tuple[int, ...], indices: list[Any]) -> Any:
    """Where in a buffer the elements lie that indices name, counted in elements."""
    together = np.broadcast_shapes(*[i.shape for i in indices])
    found = empty(together, np.dtype(np.int64))
    for k, (dim, index) in enumerate(zip(dims, indices)):
        here = empty(index.shape, index.dtype)
        run("wrapped", index, here, constants=(shape[dim],))
        run("times", here, here, constants=(steps[dim],))
        if k == 0:
            run("copy", here, found)
        else:
            run("add", found, here, found)
    return found


def _sides(x: Any, dims: tuple[int, ...]) -> tuple[Any, ...]:
    """The places in front of the indices in the result, and those behind, with their strides in x:
    if the indexed dimensions are no neighbours, all come behind."""
    first = dims[0] if dims[-1] - dims[0] + 1 == len(dims) else 0
    rest = [d for d in range(x.ndim) if d not in dims]
    steps = strides_of(x, x.shape)
    found: list[Any] = []
    for side in (rest[:first], rest[first:]):
        shape = tuple([x.shape[d] for d in side])
        sizes, (here,) = collapse(shape, (tuple([steps[d] for d in side]),))
        if len(sizes) > DIMENSIONS:
            raise RuntimeError(
                f"device 'cuda' can't index a tensor of shape {list(x.shape)} with strides "
                f"{list(steps)} along the dimensions {list(dims)}; call .contiguous() first"
            )
        found.append((prod(shape), *padded(sizes, 1)[1:], int(len(sizes) <= 1)))
        found.append(padded(here, 0))
    return tuple(found)


def take(x: Any, *args: Any) -> None:
    """y = x[.., indices, ..], each at its dimension; arguments: x, indices, y, dims"""
    *indices, y, dims = args
    if not y.size:
        return
    offsets = _offsets(x.shape, strides_of(x, x.shape), dims, indices)
    sides = _sides(x, dims)
    p = (sides[0][0], offsets.size, sides[2][0], 0)
    gather(of(x.dtype))(blocks_for(y.size, BLOCK), x, offsets, y, *sides, p)


def _scatter(mode: str, x: Any, y: Any, dims: tuple[int, ...], indices: list[Any]) -> None:
    offsets = _offsets(y.shape, strides_of(y, y.shape), dims, indices)
    sides = _sides(y, dims)
    places = sides[0][0] * sides[2][0]
    if not places or not offsets.size:
        return
    first = dims[0] if dims[-1] - dims[0] + 1 == len(dims) else 0
    rest = [n for d, n in enumerate(y.shape) if d not in dims]
    values = in_order(x, (*rest[:first], *offsets.shape, *rest[first:]))
    p = (sides[0][0], offsets.size, sides[2][0], 0)
    scatter(mode, of(y.dtype))(blocks_for(places, BLOCK), values, offsets, y, *sides, p)


def put_add(x: Any, *args: Any) -> None:
    """y = 0, then y[.., indices, ..] += x, in order; arguments: x, indices, y, dims"""
    *indices, y, dims = args
    fill(y, 0)
    _scatter("add", x, y, dims, indices)


def put(x: Any, value: Any, *args: Any) -> None:
    """y = x, then y[.., indices, ..] = value; arguments: x, value, indices, y, dims"""
    *indices, y, dims = args
    if y is not x:
        copy(x, y)
    _scatter("set", value, y, dims, indices)


def take_along(x: Any, indices: Any, y: Any, dim: int) -> None:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..]"""
    if not y.size:
        return
    x, y, indices = _with_dimensions(x, y, indices)
    there = empty(indices.shape, indices.dtype)
    run("wrapped", indices, there, constants=(x.shape[dim],))
    sides = _sides(x, (dim,))
    p = (sides[0][0], y.shape[dim], sides[2][0], strides_of(x, x.shape)[dim] or 1)
    gather(of(x.dtype))(blocks_for(y.size, BLOCK), x, there, y, *sides, p)


def put_along_add(x: Any, indices: Any, y: Any, dim: int) -> None:
    """y = 0, then y[.., indices[.., i, ..], ..] += x[.., i, ..]"""
    fill(y, 0)
    _put_along("add", x, indices, y, dim)


def put_along_reduce(x: Any, src: Any, indices: Any, y: Any, dim: int, how: str) -> None:
    """y = x, then y[.., indices[.., i, ..], ..] = how(itself, src[.., i, ..])"""
    copy(x, y)
    _put_along(how, src, indices, y, dim)


def _put_along(mode: str, x: Any, indices: Any, y: Any, dim: int) -> None:
    if not indices.size:
        return
    x, y, indices = _with_dimensions(x, y, indices)
    there = empty(indices.shape, indices.dtype)
    run("wrapped", indices, there, constants=(y.shape[dim],))
    # Beside that dimension indices may end earlier than y.
    y = y[tuple([slice(None if d == dim else n) for d, n in enumerate(indices.shape)])]
    x, sides = in_order(x, indices.shape), _sides(y, (dim,))
    places = sides[0][0] * sides[2][0]
    p = (sides[0][0], x.shape[dim], sides[2][0], strides_of(y, y.shape)[dim] or 1)
    scatter(mode, of(y.dtype))(blocks_for(places, BLOCK), x, there, y, *sides, p)


def _with_dimensions(*buffers: Any) -> list[Any]:
    return [b.reshape(1) if b.ndim == 0 else b for b in buffers]
