"""A function whose results can be differentiated: its launches, and those of the way back.

The first call runs the function and keeps the graph that it made. When gradients come, they are
carried through that graph with all launches noted; then the graph is let go, and the launches of
both ways are laid out together. Later calls repeat the first half, and hand out results whose only
node repeats the second. What that needs lies in memory that the next call would overwrite: as long
as it may be asked for, other calls run as if the function were not compiled.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import record
from ..autograd import graph
from ..autograd.op import Op
from ..device import cpu, launch
from ..dtypes import DType
from ..memory import address
from ..tensor import Tensor, wrap
from .again import made_again
from .fuse import fuse
from .layout import keep_held, lay_out, placed
from .order import independent_first
from .recorder import Conditions, Launch, Root, Slot, StepRecorder, recording
from .results import Made, with_tensors

__all__ = ["Entrances", "Halves", "Recorder"]

MOST_FORGOTTEN = 8
"""Calls that are recorded though nobody asked for the gradients of those before."""

TURN = Launch(cpu, "", ())
"""Stands between the launches of both ways."""


class Recorder(StepRecorder):
    """Notes the launches of a call, and later those of the way back."""

    def __init__(self, inputs: Sequence[Any], puts_off: bool = False) -> None:
        super().__init__(inputs, puts_off)
        self.arguments = len(inputs)
        self.back = self.unfit = False

    def give(self, buffer: Any) -> int:
        """Take a buffer for an argument from now on; its root's number."""
        root = Root.given(buffer)
        self._inputs.append((root.start, root.start + root.nbytes, len(self.roots)))
        self.roots.append(root)
        return len(self.roots) - 1

    def read(self) -> None:
        if not self.back:
            super().read()
        self.unfit = True


class Entrance(graph.Node):
    """What an argument with history is inside the function: itself. The way back ends here once
    somebody else takes gradients on from here."""

    __slots__ = ()

    def backward(
        self, grads: list[Tensor | None], asked: set[int] | None = None
    ) -> Sequence[Tensor | None]:
        return grads


class Entrances:
    """What a function gets for those of its arguments that require grad: tensors on their memory,
    whose history is an `Entrance`."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.inputs = inputs
        self.start = next(graph.numbers)
        """Nodes of the call have higher numbers."""
        self.aliases: dict[int, Tensor] = {}
        self._given = [(t._counter[0], t.requires_grad) for t in inputs]
        for i, t in enumerate(inputs):
            if t.requires_grad and graph.is_grad_enabled():
                alias = self.aliases[i] = wrap(t._buffer, t.dtype, t.device)
                alias._counter, alias._current = t._counter, t._counter[0]
                alias._node, alias._requires_grad = Entrance((t,), (alias,)), True

    def inside(self, arguments: Any) -> Any:
        """The arguments as the function gets them."""
        if not self.aliases:
            return arguments
        aliases = {id(self.inputs[i]): alias for i, alias in self.aliases.items()}
        return with_tensors(arguments, lambda t: aliases.get(id(t), t))

    def outside(self, result: Any) -> Any:
        """The result, with the arguments themselves in it. Those that were written over have the
        history of that."""
        for i, alias in self.aliases.items():
            t = self.inputs[i]
            if type(alias._node) is not Entrance:
                if t._node is None:
                    raise RuntimeError(
                        "a leaf Variable that requires grad is being used in an in-place operation."
                    )
                t._node, t._index, t._current = alias._node, alias._index, alias._current
        if not self.aliases:
            return result
        arguments = {id(alias): self.inputs[i] for i, alias in self.aliases.items()}
        return with_tensors(result, lambda t: arguments.get(id(t), t))

    @property
    def changed(self) -> bool:
        """Whether the function changed an argument that requires grad, or requires it now."""
        pairs = zip(self.inputs, self._given)
        changed = [t.requires_grad and (t._counter[0], True) != before for t, before in pairs]
        return any(changed)


class _Unfit(Exception):
    """Raised for what can't be repeated."""


class Call(graph.Node):
    """The history of the results of one call of a compiled function."""

    __slots__ = ("arguments", "done", "graph", "halves", "versions")

    def __init__(
        self,
        halves: Halves,
        inputs: Sequence[Tensor],
        results: Sequence[Tensor],
        inner: list[graph.Edge] | None = None,
    ) -> None:
        super().__init__([], results)
        self.edges = halves.edges(inputs)
        self.halves, self.graph, self.done = halves, inner, False
        self.arguments: Sequence[Any] = [t._buffer for t in inputs]
        watched = [t._counter for t in inputs] + halves.watched
        self.versions = [(counter, counter[0]) for counter in watched]

    def name(self) -> str:
        return "CompiledBackward0"

    def backward(
        self, grads: list[Tensor | None], asked: set[int] | None = None
    ) -> Sequence[Tensor | None]:
        if graph.recording.enabled:
            raise RuntimeError(
                "gradients of a compiled function can't be differentiated in turn (create_graph); "
                "call the function itself for that, or compile it with disable=True"
            )
        if self.done:
            raise RuntimeError(
                "Trying to backward through the graph of a compiled function a second time: what "
                "it kept is gone, even with retain_graph=True; call the function itself for that, "
                "or compile it with disable=True"
            )
        gys = [self.zeros(i) if g is None else g for i, g in enumerate(grads)]
        try:
            return self.halves.back(self, gys)
        finally:
            self.done, self.graph, self.arguments = True, None, ()


class Halves(Conditions):
    """The launches of a function for arguments of some shapes, and of its backward pass."""

    def __init__(
        self, recorder: Recorder, result: Any, entrances: Entrances, found: _Graph
    ) -> None:
        super().__init__(recorder)
        inputs, aliases = entrances.inputs, entrances.aliases
        self._recorder: Recorder | None = recorder
        self._turn = len(recorder.launches)
        self._result = with_tensors(result, lambda t: _Result(t, inputs, recorder, found))
        self._wanted, self._leaves = [*aliases], found.leaves
        self.watched = found.watched
        self._modules = [module for module, _ in recorder.modes.values()]
        self._lock = threading.Lock()
        self._latest: Callable[[], Call | None] = lambda: None
        self.unfit = False
        """Whether it turned out that calls can't be repeated."""
        self.forgotten = 0
        """How many such calls before were recorded, of which nobody asked for gradients."""
        self.nbytes = 0
        """Bytes of the memory that launches pass on to each other, once they are known."""
        self._targets: list[graph.Edge] = []
        for alias in aliases.values():
            assert alias._node is not None
            alias._node.edges = ()
            self._targets.append((alias._node, 0))
        self._targets += [(t, 0) for t in self._leaves]
        results = [r.copy() for r in self._differentiable()]
        self._begun = Call(self, inputs, results, found.roots), results, inputs

    @classmethod
    def of(cls, recorder: Recorder, result: Any, entrances: Entrances) -> Halves | None:
        """What repeats a call that was recorded; None if it can't be repeated."""
        results: list[Tensor] = []
        with_tensors(result, results.append)
        devices = [t.device for t in (*results, *entrances.inputs)]
        devices += [entry.device for entry in recorder.launches]
        if any([d is not cpu for d in devices]) or entrances.changed:
            return None
        if recorder.leaves or recorder.repeated:  # it asked for gradients itself, or used them
            return None
        try:
            found = _Graph(results, recorder, entrances)
        except _Unfit:
            return None
        return cls(recorder, result, entrances, found)

    def edges(self, inputs: Sequence[Tensor]) -> tuple[graph.Edge, ...]:
        """Where gradients go: to arguments, then to leaves."""
        return (*[graph.edge(inputs[i]) for i in self._wanted], *[(t, 0) for t in self._leaves])

    @property
    def free(self) -> bool:
        """Whether nobody can ask any more for what the latest call kept."""
        latest = self._latest()
        return latest is None or latest.done

    @property
    def is_forgotten(self) -> bool:
        """Whether it is free with the way back still unknown."""
        return self._recorder is not None and self.free

    def first(self, forgotten: int) -> Any:
        """The results of the call that was recorded; the graph is kept behind them."""
        self.forgotten = forgotten
        if forgotten >= MOST_FORGOTTEN:
            self.unfit, self._recorder = True, None
        call, results, inputs = self._begun
        del self._begun
        return self._handed(call, inputs, iter(results), False)

    def run(self, inputs: Sequence[Tensor], reuse: bool) -> Any:
        """Repeat the launches of the function."""
        self._there([t._buffer for t in inputs])
        results = [r.shared() if reuse else r.copy() for r in self._differentiable()]
        call = Call(self, inputs, results)
        return self._handed(call, inputs, iter(results), reuse)

    def _differentiable(self) -> list[_Result]:
        found: list[_Result] = []
        with_tensors(self._result, found.append, _Result)
        return [r for r in found if r.differentiable]

    def _handed(self, call: Call, inputs: Sequence[Tensor], results: Any, reuse: bool) -> Any:
        self._latest = weakref.ref(call)
        number = itertools.count()

        def hand(made: _Result) -> Tensor:
            if not made.differentiable:
                return made.tensor(inputs, reuse)
            t = next(results)
            t._node, t._index, t._requires_grad = call, next(number), True
            return t

        return with_tensors(self._result, hand, _Result)

    def back(self, call: Call, gys: list[Tensor]) -> Sequence[Tensor | None]:
        """The gradients of arguments and leaves."""
        if call.graph is not None:
            return self._first_back(call, gys)
        if record.is_recording():
            raise RuntimeError(
                "backward, in a compiled function, of what another compiled function made outside; "
                "compile both as one, or call the other inside"
            )
        for counter, version in call.versions:
            if counter[0] != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    "inplace operation: an argument or a parameter of a compiled function is at "
                    f"version {counter[0]}; expected version {version} instead."
                )
        buffers = _apart(gys, call.arguments)
        made = [(i, cpu.empty(shape, dtype.numpy), dtype) for i, shape, dtype in self._made]
        with self._lock:
            self._again([*call.arguments, *buffers, *[buffer for _, buffer, _ in made]])
        gradients: list[Tensor | None] = [None] * len(call.edges)
        for i, buffer, dtype in made:
            gradients[i] = wrap(buffer, dtype, cpu)
        for i, source, dtype in self._copied:
            gradients[i] = wrap(_copy(source), dtype, cpu)
        return gradients

    # ------------------------------------------------------------------ the first way back

    def _first_back(self, call: Call, gys: list[Tensor]) -> Sequence[Tensor | None]:
        recorder, inner = self._recorder, call.graph
        assert inner is not None
        same = self.structure == record.structure and record.recorder is None
        if recorder is None or not same or recorder.thread != threading.get_ident():
            return self._gradients(graph._walk([*zip(inner, gys)], False, False, self._targets))
        inputs = recorder.roots[: recorder.arguments]
        buffers = _apart(gys, [root.memory for root in inputs])
        recorder.back = True
        places = [recorder.give(buffer) for buffer in buffers]
        given = [wrap(b, g.dtype, cpu) for b, g in zip(buffers, gys)]
        with recording(recorder):
            arrived = graph._walk([*zip(inner, given)], False, False, self._targets)
        gradients = self._gradients(arrived)
        del arrived, inner
        call.graph = None
        self.unfit = recorder.unfit or bool(recorder.repeated)
        if not self.unfit:
            try:
                self._prepare(recorder, [*range(len(inputs)), *places], gradients)
            except _Unfit:
                self.unfit = True
        self._recorder = None
        return gradients

    def _gradients(self, arrived: dict[Any, Any]) -> list[Tensor | None]:
        found = [arrived.get((id(target), i)) for target, i in self._targets]
        self._targets = []
        return [None if entry is None else entry[1] for entry in found]

    def _prepare(
        self, recorder: Recorder, given: list[int], gradients: Sequence[Tensor | None]
    ) -> None:
        """Lay out and bind the launches of both ways."""
        roots = recorder.roots
        keep_held(roots)
        held = [r.root for r in self._differentiable()]
        self._made: list[tuple[int, tuple[int, ...], DType]] = []
        copied = []
        for i, g in enumerate(gradients):
            if g is None:
                continue
            slot = recorder.slot(g._buffer)
            if not isinstance(slot, Slot):
                raise _Unfit
            root = roots[slot.root]
            whole = not slot.offset and g._buffer.nbytes == root.nbytes
            whole = whole and g._buffer.flags.c_contiguous
            if whole and not root.input and slot.root not in held:
                self._made.append((i, g._buffer.shape, g.dtype))
                given.append(slot.root)
                held.append(slot.root)
                root.device = None
                # Where it will lie is not known yet. What stands for it is never touched.
                root.memory = np.empty(root.nbytes, np.uint8)
            elif slot.root in held:
                raise _Unfit
            else:
                copied.append((i, slot, g.dtype))
        for _, slot, _ in copied:  # of which a part is copied when all launches are done
            if roots[slot.root].input:
                raise _Unfit
            roots[slot.root].memory = np.empty(roots[slot.root].nbytes, np.uint8)
        there, back = recorder.launches[: self._turn], recorder.launches[self._turn :]
        both = made_again(fuse([*there, TURN, *back], roots), roots)
        turn = next(i for i, entry in enumerate(both) if entry is TURN)
        there, back = independent_first(both[:turn]), both[turn + 1 :]
        self.launches = [*there, *back]
        self.nbytes = lay_out(roots, self.launches)

        def bound(launches: Sequence[Launch], stand_ins: Sequence[Any]) -> Any:
            calls = [(name, placed(args, roots)) for _, name, args in launches]
            return cpu.bind(calls, stand_ins)

        stand_ins = [roots[n].memory for n in given]
        self._there = bound(there, stand_ins[: recorder.arguments])
        self._again = bound(back, stand_ins)
        self._copied = [(i, *placed((slot,), roots), dtype) for i, slot, dtype in copied]
        parameters = [p for m in self._modules for p in m._parameters.values() if p is not None]
        counters = self.watched + [p._counter for p in parameters]
        self.watched = [*{id(counter): counter for counter in counters}.values()]


class _Result(Made):
    """A tensor of the result; `differentiable` if it has history."""

    __slots__ = ("differentiable", "root")

    def __init__(
        self, t: Tensor, inputs: Sequence[Tensor], recorder: StepRecorder, found: _Graph
    ) -> None:
        super().__init__(t, inputs, recorder)
        self.differentiable = any([t is other for other in found.results])
        self.root = recorder.slot(t._buffer).root if self.differentiable else -1

    def shared(self) -> Tensor:
        """Another tensor on the memory of what was made."""
        assert self._tensor is not None
        return self._tensor.detach()

    def copy(self) -> Tensor:
        """The same in memory of its own."""
        t = self._tensor
        assert t is not None
        return wrap(_copy(t._buffer), t.dtype, t.device)


class _Graph:
    """The graph that a function made: from its results to leaves and entrances."""

    def __init__(self, results: Sequence[Tensor], recorder: Recorder, entrances: Entrances) -> None:
        """Raises _Unfit for one that can't be let go and repeated."""
        self.results = [t for t in results if t.requires_grad]
        self.roots = [graph.edge(t) for t in self.results]
        self.leaves: list[Tensor] = []
        self.watched: list[list[int]] = []
        """Counts of writes to what was there before, and is needed on the way back."""
        if len({(id(node), i) for node, i in self.roots}) != len(self.roots):
            raise _Unfit
        for t in self.results:
            slot = recorder.slot(t._buffer)
            if not isinstance(slot, Slot) or recorder.roots[slot.root].input:
                raise _Unfit
            if not t._buffer.flags.c_contiguous or t._node is None:
                raise _Unfit
        ends = {id(t._node) for t in entrances.aliases.values()}
        seen = {id(node) for node, _ in self.roots}
        nodes = [*{id(node): node for node, _ in self.roots}.values()]
        for node in nodes:
            if id(node) in ends:
                continue
            self._look_at(node, recorder, entrances.start)
            for e in node.edges:
                if e is None or id(e[0]) in seen:
                    continue
                seen.add(id(e[0]))
                if isinstance(e[0], Tensor):
                    if recorder.made(e[0]._buffer):
                        raise _Unfit
                    self.leaves.append(e[0])
                    self.watched.append(e[0]._counter)
                else:
                    nodes.append(e[0])

    def _look_at(self, node: Any, recorder: Recorder, start: int) -> None:
        if not isinstance(node, Op) or node.number < start or node.device is not cpu:
            raise _Unfit
        if node.saved is None or node.hooks is not None or node.retaining is not None:
            raise _Unfit
        entries = list(node.saved)
        for entry in entries:
            if type(entry) is list:
                entries += entry
            elif entry is not None:
                kept, counter, _, dtype, _ = entry
                buffer = kept._buffer if dtype is None else kept
                if not recorder.made(buffer):
                    self.watched.append(counter)


def _apart(tensors: Sequence[Tensor], others: Sequence[Any]) -> list[Any]:
    """The buffers of tensors, contiguous and each in memory that no other shows."""
    taken = [(address(b), address(b) + b.nbytes) for b in others]
    buffers = []
    for t in tensors:
        buffer = t._buffer
        start = address(buffer)
        clash = any([a < start + buffer.nbytes and start < b for a, b in taken])
        if clash or not buffer.flags.c_contiguous:
            buffer = _copy(buffer)
            start = address(buffer)
        taken.append((start, start + buffer.nbytes))
        buffers.append(buffer)
    return buffers


def _copy(buffer: Any) -> Any:
    copy = cpu.empty(buffer.shape, buffer.dtype)
    launch(cpu, "shape.copy", buffer, copy)
    return copy
