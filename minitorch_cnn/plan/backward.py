"""Backward passes over graphs of one shape, recorded once and then repeated.

A training loop walks the same graph in every step: the same operations on arrays of the same
shapes, in other memory. So `backward` counts the graphs that it meets. One that was met a few times
is walked once more with all launches noted; from then on these are repeated as one compiled call,
and the walk is left out. Gradients are the same to the bit: no rule is applied that reorders a sum.

What is not quite ordinary is walked every time: hooks, gradients to be added to others or
differentiated in turn, operations of users, several threads at once, devices but the CPU.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from .. import record
from ..autograd import graph
from ..autograd.op import Kind, Op
from ..device import cpu, observed
from ..dtypes import DType, get_default_dtype
from ..kernels import precision, threads
from ..memory import address, part
from ..tensor import Tensor, wrap
from .fuse import fuse
from .layout import lay_out
from .recorder import Launch, Root, Slot, StepRecorder, recording, with_arrays

__all__ = ["repeated"]

OFTEN = 16
"""Walks of a graph, after which it is recorded."""

MOST_GRAPHS = 64
"""Graphs that are remembered."""

MOST_BYTES = 32 << 20
"""What the launches of a recorded walk may pass on to each other: that memory is kept, and of the
time of a walk through larger arrays its Python code is a small part."""

MOST_KEPT = 256 << 20
"""Bytes of all recorded walks together."""


Shown = tuple[int, int, int]
"""An array, another of which it shows a part, and how many bytes after its beginning."""


class _Graph:
    """What decides the launches of a walk, and what they look at."""

    __slots__ = ("arrays", "key", "leaves", "nodes")

    def __init__(self, root: Any) -> None:
        """Raises _Unfit for what is walked every time."""
        if root is None:
            raise _Unfit
        self.nodes: list[Any] = [root]
        self.arrays: list[Any] = []
        """All that is kept for the rules."""
        self.leaves: list[Tensor] = []
        numbers = {id(root): 0}
        places: dict[int, int] = {}
        key: list[Any] = [
            threads.get_num_threads(),
            precision.get_winograd_tile(),
            get_default_dtype(),
        ]
        leaves, arrays, nodes = self.leaves, self.arrays, self.nodes
        for node in nodes:
            if not isinstance(node, Op) or node.device is not cpu:
                raise _Unfit
            saved = node.saved
            if saved is None or node.hooks is not None or node.retaining is not None:
                raise _Unfit
            key += (node.kind, node.plan.wanted)
            if node.attrs:
                key += _numbers(node.attrs)
            for edge in node.edges:
                if edge is None:  # of which the plan knows
                    continue
                target, index = edge
                number = numbers.get(id(target))
                if number is None:
                    if isinstance(target, Tensor):
                        if target._grad is not None or target._hooks is not None:
                            raise _Unfit
                        leaves.append(target)
                        number = numbers[id(target)] = -len(leaves)
                    else:
                        number = numbers[id(target)] = len(nodes)
                        nodes.append(target)
                key += (number, index)
            for entry in saved:
                if entry is None:
                    continue  # an absent tensor, as the kind says
                if type(entry) is list:
                    raise _Unfit
                kept, counter, version, dtype, _ = entry
                if dtype is None:
                    if kept._counter is not counter:
                        raise _Unfit
                    kept = kept._buffer
                if counter[0] != version:
                    raise _Unfit  # the walk says what is wrong
                place = places.get(id(kept))
                if place is None:
                    if not kept.flags.c_contiguous or not kept.size:
                        raise _Unfit
                    place = places[id(kept)] = len(arrays)
                    arrays.append(kept)
                key.append(place)
        self.key = tuple(key)


def _numbers(attrs: dict[str, Any]) -> list[Any]:
    """The values of attributes, and the signs of numbers: there are two zeros, equal and unlike."""
    values = [*attrs.values()]
    return values + [math.copysign(1, v) for v in values if type(v) is float]


class _Unfit(Exception):
    """Raised for a graph that can't be repeated."""


def _is_plain(value: Any) -> bool:
    """Whether part of a key is equal to another only if rules make the same of both."""
    if isinstance(value, tuple):
        return all([_is_plain(part) and type(part) is not float for part in value])
    return value is None or isinstance(value, (bool, int, float, str, type, DType, Kind))


class _Recorder(StepRecorder):
    """Notes the launches of a walk, which may turn out to do more than to launch."""

    def __init__(self, inputs: list[Any]) -> None:
        super().__init__(inputs)
        self.unfit = False

    def read(self) -> None:
        self.unfit = True


class _Walk:
    """The launches of a walk over a graph, to be made with the arrays of others like it."""

    def __init__(
        self, recorder: _Recorder, given: _Graph, inputs: list[int], shown: list[Shown]
    ) -> None:
        """Raises _Unfit if gradients are not in memory of their own, or others need much."""
        self._inputs, self._shown = inputs, shown
        self._lock = threading.Lock()
        self._made: list[tuple[int, tuple[int, ...], DType]] = []
        roots = recorder.roots
        outputs = []
        for i, leaf in enumerate(given.leaves):
            g = leaf._grad
            if g is None:
                continue
            slot = recorder.slot(g._buffer)
            if not isinstance(slot, Slot) or roots[slot.root].input or slot.root in outputs:
                raise _Unfit
            if slot.offset or g._buffer.nbytes != roots[slot.root].nbytes:
                raise _Unfit
            outputs.append(slot.root)
            self._made.append((i, g._buffer.shape, g.dtype))
        for n in outputs:
            roots[n].device = None
        # Where arguments lie is not known yet. What stands for them is never touched.
        for n in (*range(len(inputs)), *outputs):
            roots[n].memory = np.empty(roots[n].nbytes, np.uint8)
        launches = fuse(recorder.launches, roots, reorder=False)
        self.nbytes = lay_out(roots, launches)
        if self.nbytes > MOST_BYTES:
            raise _Unfit
        stand_ins = [roots[n].memory for n in (*range(len(inputs)), *outputs)]
        self._run = cpu.bind([_bound(entry, roots) for entry in launches], stand_ins)

    def run(self, found: _Graph) -> bool:
        """Repeat the launches for another graph; False if they do not fit or are under way."""
        arrays = found.arrays
        for i, j, distance in self._shown:
            if address(arrays[i]) - address(arrays[j]) != distance:
                return False
        buffers = [arrays[i] for i in self._inputs]
        gradients = []
        for i, shape, dtype in self._made:
            buffer = cpu.empty(shape, dtype.numpy)
            buffers.append(buffer)
            gradients.append((found.leaves[i], buffer, dtype))
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._run(buffers)
        finally:
            self._lock.release()
        for node in found.nodes:
            node.release()
        for leaf, buffer, dtype in gradients:
            leaf._grad = wrap(buffer, dtype, cpu)
        return True


def _bound(entry: Launch, roots: list[Root]) -> tuple[str, tuple[Any, ...]]:
    def array(slot: Any) -> Any:
        if not isinstance(slot, Slot):
            return slot
        return part(roots[slot.root].memory, *slot[1:])

    return entry.name, with_arrays(entry.args, array)


def _memories(arrays: list[Any]) -> tuple[list[int], list[Shown]]:
    """Arrays that between them show all memory, and of the others which of those they show.

    Raises _Unfit for arrays that overlap otherwise.
    """
    whole: list[int] = []
    shown: list[Shown] = []
    end = 0
    for start, size, i in sorted([(address(a), -a.nbytes, i) for i, a in enumerate(arrays)]):
        if start >= end:
            whole.append(i)
            end = start - size
        elif start - size <= end:
            shown.append((i, whole[-1], start - address(arrays[whole[-1]])))
        else:
            raise _Unfit
    return whole, shown


# ---------------------------------------------------------------------- what `backward` asks

_known: dict[Any, int | _Walk | None] = {}
"""By a graph's key: how often it was walked, or how to repeat it; None if it can't be repeated."""

_refused: set[int] = set()
"""Hashes of keys that hold what can't be compared."""


def repeated(root: Tensor) -> bool:
    """Do what `root.backward()` does, if there is a quicker way than the walk."""
    if record.recorder is not None or observed() or root._buffer.size != 1:
        return False
    try:
        found = _Graph(root._node)
        key = root._index, found.key
        walk = _known.get(key, 0)
    except (_Unfit, TypeError):  # TypeError: something in the key has no hash
        return False
    if isinstance(walk, _Walk):
        return walk.run(found)
    if walk is None or hash(key) in _refused:
        return False
    if not all([_is_plain(part) for part in found.key]):
        if len(_refused) >= MOST_GRAPHS:
            _refused.clear()
        _refused.add(hash(key))
        return False
    if walk == 0 and len(_known) >= MOST_GRAPHS:
        _known.clear()
    _known[key] = walk + 1
    if walk + 1 < OFTEN:
        return False
    _known[key] = _record(root, found)
    if sum([walk.nbytes for walk in _known.values() if isinstance(walk, _Walk)]) > MOST_KEPT:
        _known.clear()
    return True


def _record(root: Tensor, given: _Graph) -> _Walk | None:
    """Walk, and note how to repeat it."""
    try:
        inputs, shown = _memories(given.arrays)
    except _Unfit:
        graph.walk(root)
        return None
    recorder = _Recorder([given.arrays[i] for i in inputs])
    with recording(recorder):
        graph.walk(root)
    if recorder.unfit or recorder.repeated:
        return None
    try:
        return _Walk(recorder, given, inputs, shown)
    except _Unfit:
        return None


graph.repeated = repeated
