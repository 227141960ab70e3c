"""Op: a differentiable operation, declared in one place.

    class Mul(Op):
        '''y = a b'''

        kernel = "elementwise.mul"

        @staticmethod
        def outputs(a, b):                 # refuses bad arguments; the result's shape and type
            return broadcast("mul", a, b)

        def grad_a(self, gy, b):           # a rule for each input that has a gradient. What it
            return reduce_to(gy * b, self.shapes[0])    # names after gy is kept for it: inputs
                                                        # and outputs, by name
        def grad_b(self, gy, a): ...

`Mul.apply(x, y)` checks, allocates, launches the kernel and, if a gradient can be asked for,
records itself: the recorded call is an instance of the class, so a rule finds the attributes of
the call in `self.attrs` and its inputs' shapes in `self.shapes`. Rules are ordinary code on
tensors, so they can be differentiated in turn, and one whose gradient nobody needs never runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..device import Device, launch
from ..dtypes import DType
from ..tensor import Tensor, wrap
from .graph import Node, recording

__all__ = ["Op", "View"]

Result = tuple[tuple[int, ...], DType]


class Op(Node):
    """An operation on tensors; an instance is one recorded call of it."""

    __slots__ = ("attrs", "saved", "shapes", "types")

    kernel: ClassVar[str]
    """ "family.function": what `launch` runs on inputs, outputs and `parameters`."""
    parameters: ClassVar[tuple[str, ...]] = ()
    """The attributes that the kernel takes, in its order."""
    results_named: ClassVar[tuple[str, ...]] = ("y",)
    """The outputs' names, by which gradient rules ask for them."""
    differentiable: ClassVar[int] = 1
    """How many of the outputs, counted from the first, carry gradients."""
    contiguous: ClassVar[bool] = True
    """Whether the kernel needs its inputs contiguous."""

    inputs_named: ClassVar[tuple[str, ...]]
    _many: ClassVar[str]
    _rules: ClassVar[list[tuple[int, Callable[..., Any], tuple[str, ...]]]]
    _joint: ClassVar[tuple[str, ...] | None]
    _needs: ClassVar[dict[tuple[bool, ...], frozenset[str]]]
    """What `_needed` found for each choice of inputs with gradients."""

    attrs: dict[str, Any]
    shapes: tuple[Any, ...]
    """The inputs' shapes, and their types; None for an absent input."""
    types: tuple[Any, ...]
    saved: dict[str, Any] | None

    outputs: ClassVar[Callable[..., Any]]
    """Static or class method: from the inputs, and the attributes by keyword, shape and type of the
    output or a list of them; raises for arguments that do not fit."""

    def __init_subclass__(cls) -> None:
        """Read off the rules what each needs."""
        if not hasattr(cls, "outputs"):
            return  # the base of a family
        parameters = inspect.signature(cls.outputs).parameters.values()
        cls.inputs_named = tuple([p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD])
        cls._many = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        if twice := {*cls.inputs_named} & {*cls.results_named}:
            raise TypeError(f"{cls.__name__}: {sorted(twice)} name both an input and an output")
        cls._rules, cls._needs = [], {}
        for i, name in enumerate(cls.inputs_named):
            rule = getattr(cls, f"grad_{name}", None)
            if rule is not None:
                cls._rules.append((i, rule, _names_after_gradients(rule, cls.differentiable)))
        joint = getattr(cls, "grads", None)
        cls._joint = None if joint is None else _names_after_gradients(joint, cls.differentiable)

    @classmethod
    def apply(cls, *inputs: Any, into: Tensor | None = None, **attrs: Any) -> Any:
        """Compute; record if any input requires grad.

        With `into`, one of the inputs, the result takes its place: its memory and its history.
        """
        results = cls.outputs(*inputs, **attrs)
        if type(results) is not list:
            results = [results]
        device, buffers, requires_grad = cls._read(inputs)
        if into is not None:
            return cls._apply_into(into, inputs, attrs, results[0], device, buffers, requires_grad)
        outputs = []
        for shape, dtype in results:
            buffer = device.empty(shape, dtype.numpy)
            buffers.append(buffer)
            outputs.append(wrap(buffer, dtype, device))
        launch(device, cls.kernel, *buffers, *[attrs[p] for p in cls.parameters])
        if requires_grad and recording.enabled:
            cls.record(inputs, attrs, outputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    @classmethod
    def _read(cls, inputs: tuple[Any, ...]) -> tuple[Device, list[Any], bool]:
        """The inputs' device, their buffers as the kernel wants them, whether any requires grad."""
        device = inputs[0].device
        buffers = []
        requires_grad = False
        for t in inputs:
            if t is None:  # an absent tensor reaches the kernel as an empty one
                buffers.append(device.empty((0,), inputs[0].dtype.numpy))
                continue
            if t.device is not device:
                raise RuntimeError(
                    f"{cls.__name__}: expected all tensors on one device, "
                    f"but found {device} and {t.device}"
                )
            buffer = t._buffer
            if cls.contiguous and not buffer.flags.c_contiguous:
                buffer = device.empty(buffer.shape, t.dtype.numpy)
                launch(device, "shape.copy", t._buffer, buffer)
            buffers.append(buffer)
            requires_grad = requires_grad or t.requires_grad
        return device, buffers, requires_grad

    @classmethod
    def record(
        cls, inputs: tuple[Any, ...], attrs: dict[str, Any], outputs: Sequence[Tensor]
    ) -> None:
        """Make the outputs' history this call."""
        differentiable = outputs[: cls.differentiable]
        if not differentiable[0].dtype.is_floating_point:
            return
        node = cls(inputs, differentiable)
        node._describe(inputs, attrs)
        node.saved = node._save(inputs, outputs)
        for i, t in enumerate(differentiable):
            t._node, t._index, t._requires_grad = node, i, True

    @classmethod
    def _apply_into(
        cls,
        into: Tensor,
        inputs: tuple[Any, ...],
        attrs: dict[str, Any],
        result: Result,
        device: Device,
        buffers: list[Any],
        requires_grad: bool,
    ) -> Tensor:
        shape, dtype = result
        if not into._buffer.flags.writeable:
            _make_writeable(into)
        if shape != into._buffer.shape:
            raise RuntimeError(
                f"output with shape {list(into.shape)} doesn't match "
                f"the broadcast shape {list(shape)}"
            )
        if dtype.category > into.dtype.category:
            raise RuntimeError(
                f"result type {dtype} can't be cast to the desired output type {into.dtype}"
            )
        if dtype is not into.dtype:
            return into.copy_(cls.apply(*inputs, **attrs))
        node = None
        if recording.enabled and (requires_grad or into._root().requires_grad):
            check_in_place(into)
            olds = [_before(t, into) for t in inputs]
            node = cls(olds, (into,))
            node._describe(inputs, attrs)
            for name, old in zip(cls.inputs_named, olds):
                if old is not None and old._buffer is into._buffer and name in node._needed():
                    # The rules look at what is about to be overwritten.
                    old._buffer, old._counter = device.empty(shape, old.dtype.numpy), [0]
                    launch(device, "shape.copy", into._buffer, old._buffer)
            node.saved = node._save(tuple(olds), ())
        direct = into._buffer.flags.c_contiguous or not cls.contiguous
        target = into._buffer if direct else device.empty(shape, dtype.numpy)
        launch(device, cls.kernel, *buffers, target, *[attrs[p] for p in cls.parameters])
        if not direct:
            launch(device, "shape.copy", target, into._buffer)
        into._bump()
        if node is not None:
            assert node.saved is not None
            node.saved.update(node._save((), (into,)))
            take_history(into, node)
        return into

    def _describe(self, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> None:
        self.attrs = attrs
        self.shapes = tuple([None if t is None else t._buffer.shape for t in inputs])
        self.types = tuple([None if t is None else t.dtype for t in inputs])

    def _needed(self) -> frozenset[str]:
        """The inputs and outputs that the rules for the inputs with gradients name."""
        wanted = tuple([e is not None for e in self.edges])
        names = self._needs.get(wanted)
        if names is None:
            named = (
                [n for i, _, n in self._rules if wanted[i]]
                if self._joint is None
                else [self._joint]
            )
            names = self._needs[wanted] = frozenset([name for some in named for name in some])
        return names

    def _save(self, inputs: tuple[Any, ...], outputs: Sequence[Tensor]) -> dict[str, Any]:
        """What the rules that can be asked for need, by name."""
        names = self._needed()
        saved: dict[str, Any] = {}
        for name, t in zip(self.inputs_named, inputs):
            if name in names:
                saved[name] = None if t is None else (t, t._counter, t._counter[0])
        if self._many in names and inputs:
            many = inputs[len(self.inputs_named) :]
            saved[self._many] = [(t, t._counter, t._counter[0]) for t in many]
        for i, (name, t) in enumerate(zip(self.results_named, outputs)):
            if name in names:  # not the output itself, which holds this node: memory must not wait
                # for the garbage collector
                saved[name] = (t._buffer, t._counter, t._counter[0], t.dtype, i)
        return saved

    def backward(self, grads: list[Tensor | None]) -> Sequence[Tensor | None]:
        if self.saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Specify retain_graph=True if you "
                "need to backward through the graph a second time."
            )
        gys = [self.zeros(i) if g is None else g for i, g in enumerate(grads)]
        if self._joint is not None:
            values = [self._unpack(name) for name in self._joint]
            return self.grads(*gys, *values)  # type: ignore[attr-defined]
        found: list[Tensor | None] = [None] * len(self.edges)
        for i, rule, names in self._rules:
            if self.edges[i] is not None:
                found[i] = rule(self, *gys, *[self._unpack(name) for name in names])
        return found

    def _unpack(self, name: str) -> Any:
        assert self.saved is not None
        entry = self.saved[name]
        if isinstance(entry, list):
            return [self._check(name, e) for e in entry]
        return None if entry is None else self._check(name, entry)

    def _check(self, name: str, entry: tuple[Any, ...]) -> Tensor:
        """What was saved, unless it was overwritten since."""
        kept, counter, version = entry[:3]
        current = kept._counter if isinstance(kept, Tensor) else counter
        if current is not counter or counter[0] != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: {name}, {type(self).__name__.lower()}'s "
                f"{'input' if isinstance(kept, Tensor) else 'output'} of shape {list(kept.shape)}, "
                f"is at version {current[0]}; expected version {version} instead."
            )
        if isinstance(kept, Tensor):
            return kept
        output = wrap(kept, entry[3], self.device)
        output._counter = counter
        if entry[4] < self.differentiable:
            output._node, output._index, output._requires_grad = self, entry[4], True
        return output

    def release(self) -> None:
        if self.saved:
            self.saved = None


def _names_after_gradients(rule: Callable[..., Any], gradients: int) -> tuple[str, ...]:
    return tuple(inspect.signature(rule).parameters)[1 + gradients :]


class View(Op):
    """An op whose output shows its input's memory. It has no kernel, and an inverse: the op that
    carries a gradient of the view's shape back."""

    @staticmethod
    def outputs(x: Tensor, **attrs: Any) -> Result:
        """What the view shows says it."""
        raise NotImplementedError

    view: ClassVar[Callable[..., Any]]
    """Static method: the part of a buffer that is seen, for the attributes by keyword."""

    @classmethod
    def apply(cls, *inputs: Any, into: Tensor | None = None, **attrs: Any) -> Any:
        (x,) = inputs
        requires_grad = x.requires_grad
        out = wrap(cls.view(x._buffer, **attrs), x.dtype, x.device)
        out._counter, out._current, out._origin = x._counter, x._counter[0], (x, cls, attrs)
        if not recording.enabled:  # it stays without history
            out._origin = (x, None, x._root()._node)
        elif requires_grad:
            cls.record(inputs, attrs, (out,))
        return out


# ---------------------------------------------------------------------- writing in place


def _make_writeable(tensor: Tensor) -> None:
    """Allow writes to what NumPy, careful about expanded arrays, holds to be read-only; refuse them
    where several elements really are one."""
    if any([n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.stride())]):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    tensor._buffer.flags.writeable = True


def check_in_place(tensor: Tensor) -> None:
    """Refuse a recorded write to a leaf whose gradient is wanted: it would lose its old value."""
    if tensor._origin is not None and tensor._origin[1] is None:
        raise RuntimeError(
            "a view that was created in no_grad mode is being modified inplace with grad mode "
            "enabled; the tensor it shows would not learn of it"
        )
    base = tensor._base
    if base is not None and base._requires_grad and base._node is None:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation."
        )
    if tensor._requires_grad and tensor._node is None:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )


def _before(tensor: Tensor | None, written: Tensor) -> Tensor | None:
    """For a tensor that is about to be overwritten, another that keeps its history."""
    if tensor is not written:
        return tensor
    old = wrap(tensor._buffer, tensor.dtype, tensor.device)
    old._counter = tensor._counter
    old._requires_grad, old._node, old._index = tensor.requires_grad, tensor._node, tensor._index
    return old


def take_history(tensor: Tensor, node: Node) -> None:
    """Make `node` the history of a tensor it wrote, and of the tensors this is a view of."""
    parents = []
    view = tensor
    while view._origin is not None:
        parents.append((view, *view._origin))
        # What the parent was before, while it can still be told.
        view = view._origin[0]
    olds = [_before(parent, parent) for _, parent, _, _ in parents]
    tensor._node, tensor._index, tensor._requires_grad = node, 0, True
    tensor._current = tensor._counter[0]
    for (view, parent, op, attrs), old in zip(parents, olds):
        written = WriteView((old, view), (parent,))
        written._describe((old, view), {"op": op, "attrs": attrs})
        written.saved = {}
        parent._node, parent._index, parent._requires_grad = written, 0, True
        parent._current = parent._counter[0]


class WriteView(Op):
    """A tensor part of whose memory was written through a view; the memory itself says the rest."""

    @staticmethod
    def outputs(x: Tensor, part: Tensor) -> Any: ...

    def grad_x(self, gy: Tensor) -> Tensor:
        return ZeroView.apply(gy, **self.attrs)

    def grad_part(self, gy: Tensor) -> Tensor:
        return self.attrs["op"].apply(gy, **self.attrs["attrs"])


class ZeroView(Op):
    """y = x with the elements that a view shows set to 0"""

    @staticmethod
    def outputs(x: Tensor, *, op: Any, attrs: dict[str, Any]) -> Result:
        return x._buffer.shape, x.dtype

    @classmethod
    def apply(cls, *inputs: Any, into: Tensor | None = None, **attrs: Any) -> Any:
        (x,) = inputs
        buffer = x.device.empty(x._buffer.shape, x.dtype.numpy)
        launch(x.device, "shape.copy", x._buffer, buffer)
        launch(x.device, "shape.fill", attrs["op"].view(buffer, **attrs["attrs"]), 0)
        out = wrap(buffer, x.dtype, x.device)
        if x.requires_grad and recording.enabled:
            cls.record(inputs, attrs, (out,))
        return out

    def grad_x(self, gy: Tensor) -> Tensor:
        return ZeroView.apply(gy, **self.attrs)
