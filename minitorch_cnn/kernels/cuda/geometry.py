"""How work is laid out in blocks: functions of shapes alone, for launchers and for tests."""

from functools import lru_cache
from math import prod
from typing import NamedTuple

__all__ = [
    "Cut",
    "Tile",
    "blocks_for",
    "collapse",
    "cut_rows",
    "pieces_for",
    "splits_for",
    "tile_for",
]

DIMENSIONS = 4
"""Of strided operands, that a kernel can tell apart."""

MULTIPROCESSORS = 128
"""About as many as large GPUs have: work is cut so that each has some. A constant, so that sums
are cut alike, and come out alike, on all."""


def blocks_for(count: int, threads: int) -> int:
    """Blocks of one thread an element."""
    return -(-count // threads)


Strides = tuple[int, ...]


@lru_cache(maxsize=1024)
def collapse(
    shape: tuple[int, ...], strides: tuple[Strides, ...]
) -> tuple[tuple[int, ...], tuple[Strides, ...]]:
    """The same elements with as few dimensions as all operands' strides allow, the last innermost.

    A dimension of size 1 goes, and two become one where every operand steps from the inner one's
    end to the outer one's next.
    """
    sizes: list[int] = []
    steps: list[list[int]] = []
    for d, n in enumerate(shape):
        if n == 1:
            continue
        here = [s[d] for s in strides]
        if sizes and all([outer == n * inner for outer, inner in zip(steps[-1], here)]):
            sizes[-1] *= n
            steps[-1] = here
        else:
            sizes.append(n)
            steps.append(here)
    return tuple(sizes), tuple([tuple([s[k] for s in steps]) for k in range(len(strides))])


def padded(sizes: tuple[int, ...], fill: int) -> tuple[int, ...]:
    """Four numbers: those given, behind as many of `fill` as are wanting."""
    return (fill,) * (DIMENSIONS - len(sizes)) + sizes


class Tile(NamedTuple):
    """How a block computes its part of a product of matrices."""

    rows: int
    columns: int
    """Of the result."""
    depth: int
    """Terms in shared memory at a time."""
    high: int
    wide: int
    """Results of one thread."""

    @property
    def threads(self) -> int:
        """Of a block."""
        return (self.rows // self.high) * (self.columns // self.wide)


SMALL = Tile(64, 64, 8, 4, 4)
LARGE = Tile(128, 128, 8, 8, 8)
TINY = Tile(8, 8, 4, 2, 2)
"""For the simulator."""


def tile_for(rows: int, columns: int, itemsize: int, stack: int = 1) -> Tile:
    """The tile by which a product is computed: the large one if it leaves nobody without work."""
    tiles = -(-rows // LARGE.rows) * -(-columns // LARGE.columns) * stack
    full = rows % LARGE.rows == 0 or rows > 4 * LARGE.rows
    if itemsize == 4 and full and tiles >= 2 * MULTIPROCESSORS:
        return LARGE
    return SMALL


def grid_for(rows: int, columns: int, tile: Tile, stack: int) -> tuple[int, int, int]:
    """Blocks of a product: columns first, of which there may be most."""
    return -(-columns // tile.columns), -(-rows // tile.rows), stack


def splits_for(rows: int, columns: int, depth: int, tile: Tile, stack: int) -> int:
    """Into how many sums, added up later, a product of long sums and few results is cut."""
    tiles = prod(grid_for(rows, columns, tile, stack))
    if tiles == 0:
        return 1
    return max(1, min(2 * MULTIPROCESSORS // tiles, depth // (32 * tile.depth), 64))


def pieces_for(outputs: int, summed: int, threads: int) -> int:
    """Into how many pieces a sum is cut, so that there are blocks enough, none with too little."""
    wanted = -(-2 * MULTIPROCESSORS // max(outputs, 1))
    return max(1, min(wanted, summed // (16 * threads)))


class Cut(NamedTuple):
    """How rows of one length, which lie in order, are cut for blocks: where several rows fit into
    what a block has room for, into lines of whole rows; else each row is a line of several parts.
    """

    line: int
    """Elements of a line, the last of which may have fewer."""
    parts: int
    """Blocks that share a line."""
    blocks: int


def cut_rows(rows: int, length: int, room: int) -> Cut:
    """The cut for blocks that each have room for so many elements."""
    if rows == 0 or length == 0:
        return Cut(1, 1, 0)
    if length > room:
        parts = -(-length // room)
        return Cut(length, parts, rows * parts)
    together = min(room // length, -(-rows // (2 * MULTIPROCESSORS)))
    return Cut(together * length, 1, -(-rows // together))
