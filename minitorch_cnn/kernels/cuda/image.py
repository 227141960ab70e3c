"""Images of bytes on their way into a batch: found, cut, mirrored and converted in one pass.

Image i of a batch is number index[i] of `images`. Its pixel (r, q) is there at (r0 + r rs, c0 + q
cs), where r0, rs, c0 and cs are row i of `places`, both steps 1 or -1. Beyond the image lie the
bytes `fill`, one a channel (mode 0), or what `folded` says. Of an index outside the images nothing
is written, and strays[0] counts such.
"""

from typing import Any

from .functions import block_sum, thread_index
from .geometry import blocks_for
from .registry import (
    BLOCK,
    cuda,
    device_function,
    f32,
    f64,
    i32,
    i64,
    integers,
    of,
    types,
    u32,
    variants,
    vector,
)

u8 = types.uint8


@device_function
def folded(i, size, mode):
    """Which of `size` elements stands at place i of a row that repeats the last one (mode 1) or
    mirrors it, without (2) or with (3) the element at the edge"""
    last = i32(size - i32(1))
    if mode == 1:
        return min(max(i, i32(0)), last)
    edge = i32(0) if mode == 2 else i32(1)
    while i < 0 or i > last:
        if i < 0:
            i = i32(i32(-edge) - i)
        else:
            i = i32(i32(i32(last + last) + edge) - i)
    return i


@device_function
def byte_at(images, index, places, fill, i, c, r, q, p):
    """The byte of channel c at (r, q) of image i of the batch, or -1 if there is no such image

    p: elements of the batch, images, their height, width and channels, rows, columns, mode.
    """
    count = i64(p[1])
    k = index[i]
    if k < -count or k >= count:
        return i32(-1)
    image = u32(k if k >= i64(0) else k + count)
    at = u32(i * u32(4))
    row = i32(i32(places[at]) + i32(i32(places[u32(at + u32(1))]) * i32(r)))
    at = u32(at + u32(2))
    column = i32(i32(places[at]) + i32(i32(places[u32(at + u32(1))]) * i32(q)))
    if p[7] != 0:
        row, column = folded(row, p[2], p[7]), folded(column, p[3], p[7])
    if row < 0 or row >= p[2] or column < 0 or column >= p[3]:
        return i32(fill[c])
    line = u32(u32(image * u32(p[2])) + u32(row))
    pixel = u32(u32(line * u32(p[3])) + u32(column))
    return i32(images[u32(u32(pixel * u32(p[4])) + c)])


# Of what both kernels are given, the arrays in front of the result.
SOURCES = vector(u8), vector(i64), vector(i64)


@variants((f32,), (f64,))
def converted(kind: Any) -> tuple[Any, ...]:
    """y[i, c, r, q] = table[c, the byte there]"""

    def gather(images, index, places, table, fill, y, p):
        e = thread_index()
        if e < u32(p[0]):
            line = u32(e // u32(p[6]))
            q = u32(e - u32(line * u32(p[6])))
            plane = u32(line // u32(p[5]))
            r = u32(line - u32(plane * u32(p[5])))
            i = u32(plane // u32(p[4]))
            c = u32(plane - u32(i * u32(p[4])))
            byte = byte_at(images, index, places, fill, i, c, r, q, p)
            if byte >= 0:
                y[e] = table[u32(u32(c * u32(256)) + u32(byte))]

    return gather, (*SOURCES, vector(kind), vector(u8), vector(kind), integers(8))


@variants((0,))
def copied(_: int) -> tuple[Any, ...]:
    """y[i, r, q, c] = the byte there"""

    def gather_bytes(images, index, places, fill, y, p):
        e = thread_index()
        if e < u32(p[0]):
            pixel = u32(e // u32(p[4]))
            c = u32(e - u32(pixel * u32(p[4])))
            line = u32(pixel // u32(p[6]))
            q = u32(pixel - u32(line * u32(p[6])))
            i = u32(line // u32(p[5]))
            r = u32(line - u32(i * u32(p[5])))
            byte = byte_at(images, index, places, fill, i, c, r, q, p)
            if byte >= 0:
                y[e] = u8(byte)

    return gather_bytes, (*SOURCES, vector(u8), vector(u8), integers(8))


@variants((0,))
def outside(_: int) -> tuple[Any, ...]:
    """strays[0] = how many of n indices lie outside of `count` images; in one block"""

    def count_strays(index, strays, n, count):
        shared = cuda.shared.array(BLOCK, i32)
        k, total = i32(cuda.threadIdx.x), i32(0)
        while k < n:
            if index[k] < i64(-count) or index[k] >= i64(count):
                total = i32(total + i32(1))
            k = i32(k + i32(BLOCK))
        total = block_sum(shared, total)
        if cuda.threadIdx.x == 0:
            strays[0] = total

    return count_strays, (vector(i64), vector(i64), i32, i32)


def gather(
    images: Any, index: Any, places: Any, table: Any, fill: Any, y: Any, strays: Any, mode: int
) -> None:
    """y[i, c, r, q] = table[c, images[index[i], r0 + r rs, c0 + q cs, c]]"""
    p = (y.size, *images.shape, *y.shape[2:], mode)
    outside(0)(1, index, strays, index.size, images.shape[0])
    blocks = blocks_for(y.size, BLOCK)
    converted(of(y.dtype))(blocks, images, index, places, table, fill, y, p)


def gather_bytes(
    images: Any, index: Any, places: Any, fill: Any, y: Any, strays: Any, mode: int
) -> None:
    """y[i, r, q] = images[index[i], r0 + r rs, c0 + q cs]"""
    p = (y.size, *images.shape, *y.shape[1:3], mode)
    outside(0)(1, index, strays, index.size, images.shape[0])
    copied(0)(blocks_for(y.size, BLOCK), images, index, places, fill, y, p)
