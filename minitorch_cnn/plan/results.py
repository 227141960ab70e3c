"""Nested results of a recorded function, and how its tensors are handed out when it is repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import launch
from ..memory import LEAST, part
from ..tensor import Tensor, wrap
from .recorder import Slot, StepRecorder

__all__ = ["Made", "with_tensors"]


def with_tensors(value: Any, change: Callable[[Any], Any], kind: type = Tensor) -> Any:
    """Nested tuples, lists and dicts with what `change` makes of each tensor in its place."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, (tuple, list)):
        parts = [with_tensors(part, change, kind) for part in value]
        if isinstance(value, list):
            return parts
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {key: with_tensors(part, change, kind) for key, part in value.items()}
    return value


class Made:
    """A tensor of the result, and how to hand it out."""

    __slots__ = ("_input", "_slot", "_tensor", "_written")

    def __init__(self, t: Tensor, inputs: Sequence[Tensor], recorder: StepRecorder) -> None:
        self._input = next((i for i, given in enumerate(inputs) if given is t), None)
        slot = recorder.slot(t._buffer)
        self._slot = slot if isinstance(slot, Slot) and recorder.roots[slot.root].input else None
        self._written = isinstance(slot, Slot)
        self._tensor = None if self._input is not None else t.detach() if self._written else t

    def tensor(self, inputs: Sequence[Tensor], reuse: bool) -> Tensor:
        """An argument or part of it, a parameter, or a copy, unless `reuse`, of what was made."""
        if self._input is not None:
            return inputs[self._input]
        t = self._tensor
        assert t is not None
        if self._slot is not None:
            slot, given = self._slot, inputs[self._slot.root]
            return wrap(part(given._buffer, *slot[1:]), t.dtype, t.device)
        if reuse or not self._written:
            return t
        if type(t._buffer) is np.ndarray and t._buffer.size < LEAST:
            return wrap(t._buffer.copy(), t.dtype, t.device)
        buffer = t.device.empty(t._buffer.shape, t.dtype.numpy)
        launch(t.device, "shape.copy", t._buffer, buffer)
        return wrap(buffer, t.dtype, t.device)
