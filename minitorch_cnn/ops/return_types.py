"""What functions return that have two results: tuples with names, as `torch.return_types`.

>>> import minitorch_cnn as torch
>>> torch.sort(torch.tensor([3, 1, 2]))
torch.return_types.sort(
values=tensor([1, 2, 3]),
indices=tensor([1, 2, 0]))
"""

from __future__ import annotations

from typing import NamedTuple

from ..tensor import Tensor


class _Named:
    """Prints a tuple as PyTorch does."""

    __slots__ = ()

    def __repr__(self) -> str:
        fields = self._asdict().items()  # type: ignore[attr-defined]
        inner = ",\n".join([f"{name}={value!r}" for name, value in fields])
        return f"torch.return_types.{type(self).__name__}(\n{inner})"


class _Found(NamedTuple):
    values: Tensor
    indices: Tensor


class _Bounds(NamedTuple):
    min: Tensor
    max: Tensor


class max(_Named, _Found):
    """The largest elements along a dimension, and where they stood."""


class min(_Named, _Found):
    """The smallest elements along a dimension, and where they stood."""


class median(_Named, _Found):
    """The medians along a dimension, and where they stood."""


class nanmedian(_Named, _Found):
    """The medians along a dimension of what is not NaN, and where they stood."""


class mode(_Named, _Found):
    """The most frequent elements along a dimension, and where they stood."""


class kthvalue(_Named, _Found):
    """The k-th smallest elements along a dimension, and where they stood."""


class topk(_Named, _Found):
    """The k largest or smallest elements along a dimension, and where they stood."""


class sort(_Named, _Found):
    """The elements in order along a dimension, and where they stood."""


class cummax(_Named, _Found):
    """The largest elements so far along a dimension, and where they stood."""


class cummin(_Named, _Found):
    """The smallest elements so far along a dimension, and where they stood."""


class aminmax(_Named, _Bounds):
    """The smallest and the largest elements."""
