"""A batch that is still to be made: which images, and what becomes of their places and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np

from ... import Tensor
from ...device import cpu, launch
from ...tensor import wrap

__all__ = ["PADDING_MODES", "PixelBatch", "Table", "through_table"]

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
"""In the order in which the kernel numbers them."""


class PixelBatch:
    """Images among many of bytes, which transforms cut, mirror and convert without touching them.

    `data` is a uint8 array (count, height, width) or (count, height, width, channels), of which
    `indices` are taken. What a transform does to places and bytes is noted: where each image begins
    and which way it runs, and what each of the 256 values has become. One kernel then writes the
    batch, `array()`. The table of what became of the values is made by the transforms' own code, so
    a pixel has the bits that it has in an image transformed alone.
    """

    def __init__(self, data: np.ndarray, indices: np.ndarray) -> None:
        self.grey = data.ndim == 3
        if not data.flags.c_contiguous:
            data, indices = np.ascontiguousarray(data[indices]), np.arange(len(indices))
        self.data = data[..., None] if self.grey else data
        self.indices = indices
        self.height, self.width = self.data.shape[1:3]
        self.table = _every_value(self.data.shape[3], self.grey)
        self.mode = 0
        self._whole, self._mirrored = True, False
        self._fill = _zeros(self.data.shape[3])
        self._places: np.ndarray | None = None  # of first row and its step, first column and step

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def converted(self) -> bool:
        """Whether it is a batch of floats by now, channels first."""
        return isinstance(self.table.values, Tensor)

    def crop(self, tops: Any, lefts: Any, height: int, width: int) -> None:
        """Keep windows that lie within the images."""
        self._move(tops, lefts)
        self._whole = self._whole and (height, width) == (self.height, self.width)
        self.height, self.width = height, width

    def pad(self, sides: Sequence[int], mode: str, fill: Any) -> bool:
        """Add margins: left, top, right, bottom. False, with nothing done, if it can't be noted:
        after an earlier margin or cut, or of floats."""
        left, top, right, bottom = sides
        if not any(sides):
            return True
        bytes_ = _bytes(fill if isinstance(fill, (int, float)) else tuple(fill), len(self._fill))
        number = PADDING_MODES.index(mode)
        if not self._whole or self.converted or bytes_ is None:
            return False
        if number >= 2:
            reach = 1 if number == 2 else 0
            if max(top, bottom) > self.height - reach or max(left, right) > self.width - reach:
                return False
        self._move(-top, -left)
        self.height += top + bottom
        self.width += left + right
        self.mode, self._fill = number, bytes_
        self._whole = False
        return True

    def flip(self, chosen: np.ndarray, vertically: bool = False) -> None:
        """Mirror the chosen images."""
        axis, size = (0, self.height) if vertically else (2, self.width)
        if self._places is None:
            self._move(0, 0)
        assert self._places is not None
        first, step = self._places[:, axis], self._places[:, axis + 1]
        distance = chosen * (size - 1)
        first += distance * step if self._mirrored else distance
        step *= 1 - 2 * chosen
        self._mirrored = True

    def _move(self, rows: Any, columns: Any) -> None:
        places = self._places
        if places is None:
            places = self._places = _unmoved(len(self.indices)).copy()
            places[:, 0], places[:, 2] = rows, columns
        elif not self._mirrored:
            places[:, 0] += rows
            places[:, 2] += columns
        else:
            places[:, 0] += places[:, 1] * rows
            places[:, 2] += places[:, 3] * columns

    def array(self) -> Any:
        """The batch: an array of the data's layout or, if it was converted, a tensor."""
        count, channels = len(self.indices), self.data.shape[3]
        places = _unmoved(count) if self._places is None else self._places
        strays, result = np.empty(1, np.int64), None
        if self.converted:
            table = self.table.numbers
            out = cpu.empty((count, channels, self.height, self.width), table.dtype)
            which = (self.data, self.indices, places)
            launch(cpu, "image.gather", *which, table, self._fill, out, strays, self.mode)
            result = wrap(out, self.table.values.dtype, cpu)
        else:
            out = cpu.empty((count, self.height, self.width, channels), np.dtype(np.uint8))
            which = (self.data, self.indices, places)
            launch(cpu, "image.gather_bytes", *which, self._fill, out, strays, self.mode)
            result = out[..., 0] if self.grey else out
        if strays[0]:
            raise IndexError(
                f"of the indices {self.indices.tolist()} some are out of range for "
                f"{len(self.data)} images"
            )
        return result


class Table:
    """What each of the 256 values has become, in each channel.

    `values` is a batch of one image in whose row v all pixels were v. `formula`, if it is known, is
    (divisor, mean, deviation), numbers or one number a channel: the values are (v / divisor - mean)
    / deviation.
    """

    def __init__(self, values: Any, formula: tuple[Any, Any, Any] | None = None) -> None:
        self.values, self.formula = values, formula

    @cached_property
    def numbers(self) -> np.ndarray:
        """What the kernel is given: the values, and five numbers a channel behind them if with
        these it computes the same values, to the bit."""
        table = self.values._buffer.reshape(-1, 256)
        if self.formula is None or table.dtype != np.float32:
            return table.reshape(-1)
        numbers = np.empty((len(table), 5), np.float32)
        for column, number in zip((0, 2, 3), self.formula):
            numbers[:, column] = number
        with np.errstate(all="ignore"):
            numbers[:, [1, 4]] = 1 / numbers[:, [0, 3]]
        both = np.concatenate([table, numbers], axis=None)
        pixels = np.repeat(np.arange(256, dtype=np.uint8), len(table)).reshape(1, 1, 256, -1)
        places = np.array([(0, 1, 0, 1), (0, 1, 255, -1)])  # as they stand, and mirrored
        found = np.empty((2, len(table), 1, 256), np.float32)
        which = (pixels, np.zeros(2, np.int64), places)
        fill, strays = _zeros(len(table)), np.empty(1, np.int64)
        launch(cpu, "image.gather", *which, both, fill, found, strays, 0)
        same = found[0].tobytes() == table.tobytes() == found[1, :, :, ::-1].tobytes()
        return both if same else table.reshape(-1)


def through_table(
    transform: Any,
    table: Table,
    parameters: tuple[Any, ...],
    formula: tuple[Any, Any, Any] | None = None,
) -> Table:
    """What the 256 values become by a transform's `apply`, kept until its parameters change."""
    known = vars(transform).get("_table")
    if known is not None and known[0] is table and known[1] == parameters:
        return known[2]
    result = Table(transform.apply(table.values, None), formula)
    vars(transform)["_table"] = table, parameters, result
    return result


@cache
def _every_value(channels: int, grey: bool) -> Table:
    """What they are to begin with."""
    values = np.empty((1, 256, 1, channels), np.uint8)
    values[:] = np.arange(256, dtype=np.uint8)[:, None, None]
    return Table(values[..., 0] if grey else values)


@lru_cache(maxsize=64)
def _bytes(fill: Any, channels: int) -> np.ndarray | None:
    """A fill as one byte a channel; None if it is none."""
    values = np.asarray(fill)
    if values.shape not in ((), (channels,)) or (values != values.astype(np.uint8)).any():
        return None
    return np.full(channels, values, np.uint8)


@cache
def _zeros(channels: int) -> np.ndarray:
    return np.zeros(channels, np.uint8)


@cache
def _unmoved(count: int) -> np.ndarray:
    places = np.empty((count, 4), np.int64)
    places[:] = (0, 1, 0, 1)
    return places
