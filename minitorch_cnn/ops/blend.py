"""Sums of few elements along a dimension, as a table says.

Padding by copies and resizing of images are linear along each dimension, and an output depends on
few inputs. So each is a table, and one op computes all of them; its gradient is the op itself with
the table of the adjoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..autograd.op import Op, Result
from ..device import Device, cpu
from ..dtypes import DType, dtype_of
from ..tensor import Tensor, wrap
from .convert import to

Array = np.ndarray[Any, Any]


class Table:
    """Of which elements along a dimension of `size`, and how much of each, outputs are made.

    `starts` has for each output where its entries begin, and where the last one's end; `sources`
    and `weights` have the entries.
    """

    def __init__(self, size: int, starts: Array, sources: Array, weights: Array) -> None:
        self.size, self.starts, self.sources, self.weights = size, starts, sources, weights
        self._on: dict[tuple[Device, DType], list[Tensor]] = {}

    @classmethod
    def of(cls, size: int, sources: Sequence[Any] | Array, weights: Any = 1.0) -> Table:
        """From a row of sources, and of weights, for each output; or from one source each."""
        rows = np.asarray(sources, np.int64)
        rows = rows[:, None] if rows.ndim == 1 else rows
        starts = np.arange(len(rows) + 1) * rows.shape[1]
        return cls(size, starts, rows.ravel(), np.broadcast_to(weights, rows.shape).ravel())

    @cached_property
    def adjoint(self) -> Table:
        """The table that gives to each source what each output has of it."""
        outputs = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        order = np.argsort(self.sources, kind="stable")
        counts = np.bincount(self.sources, minlength=self.size)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return Table(len(self.starts) - 1, starts, outputs[order], self.weights[order])

    def tensors(self, device: Device, dtype: DType) -> list[Tensor]:
        """Starts, sources and, in the given type, weights."""
        found = self._on.get((device, dtype))
        if found is None:
            arrays = (self.starts, self.sources, self.weights.astype(dtype.numpy))
            found = [to(wrap(a, dtype_of(a), cpu), device) for a in arrays]
            self._on[device, dtype] = found
        return found


class Blend(Op):
    """y[.., i, ..] = sum of weights[t] x[.., sources[t], ..] for starts[i] <= t < starts[i + 1]"""

    kernel = "blend.blend"
    parameters = ("dim",)

    @staticmethod
    def outputs(
        x: Tensor, starts: Tensor, sources: Tensor, weights: Tensor, *, table: Table, dim: int
    ) -> Result:
        shape = x._buffer.shape
        return (*shape[:dim], len(table.starts) - 1, *shape[dim + 1 :]), x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return blend(gy, self.attrs["table"].adjoint, self.attrs["dim"])


def blend(x: Tensor, table: Table, dim: int) -> Tensor:
    """What the table says, along a dimension counted from the front."""
    return Blend.apply(x, *table.tensors(x.device, x.dtype), table=table, dim=dim)
