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

Where gradients are best found together, one rule gives several: `grads_a_b`, or `grads` all.

`Mul.apply(x, y)` checks, allocates, launches the kernel and, if a gradient can be asked for,
records itself: the recorded call is an instance of the class, so a rule finds the attributes of
the call in `self.attrs` and its inputs' shapes in `self.shapes`. Rules are ordinary code on
tensors, so they can be differentiated in turn, and one whose gradient nobody needs never runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from .. import record
from ..device import Device, launch, launch_kind, prepared_run
from ..dtypes import DType
from ..tensor import Form, Tensor, form, wrap
from .graph import Node, numbers, recording

__all__ = ["Op", "View"]

Result = tuple[tuple[int, ...], DType]


class Rule(NamedTuple):
    """A gradient rule: for which inputs it is, and what it names after the outputs' gradients."""

    inputs: tuple[int, ...] | None
    """None for all of them, however many a call has."""
    function: Callable[..., Any]
    names: tuple[str, ...]


class Plan(NamedTuple):
    """What `backward` takes for one choice of inputs that have gradients."""

    wanted: int
    """The choice, as a binary number."""
    inputs: list[int]
    """Which inputs must be kept."""
    many: bool
    """Whether all inputs behind the named ones must."""
    outputs: list[int]
    """Which outputs must."""
    names: list[str]
    """Of all that is kept: the inputs, those behind, the outputs."""
    rules: list[tuple[tuple[int, ...], Callable[..., Any], list[int] | None]]
    """For each rule the inputs it is for, and the places of its arguments among what is kept; None
    if it takes all."""


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], str]:
    """The names of a function's positional parameters, and of the one behind that takes the rest.

    At every import this is asked hundreds of times, and `inspect.signature` takes its time.
    """
    plain = getattr(function, "__func__", function)
    if hasattr(plain, "__signature__"):  # one that says itself what it takes
        return tuple(plain.__signature__.parameters), ""
    code = plain.__code__
    names = code.co_varnames
    many = code.co_argcount + code.co_kwonlyargcount
    bound = plain is not function  # a class method has its class already
    rest = names[many] if code.co_flags & inspect.CO_VARARGS else ""
    return names[bound : code.co_argcount], rest


class Kind:
    """What calls of an op have in common, the forms of their tensors and their attributes; and what
    follows from these, so that it is found out once."""

    __slots__ = (
        "absent",
        "device",
        "differentiable",
        "gaps",
        "made",
        "options",
        "results",
        "shapes",
        "types",
    )

    def __init__(self, inputs: Sequence[Any], results: list[Result], differentiable: int) -> None:
        forms = [None if t is None else form(t) for t in inputs]
        self.shapes = [None if f is None else f.shape for f in forms]
        self.types = [None if f is None else f.dtype for f in forms]
        self.results = results
        self.differentiable = results[:differentiable]
        """Those that carry gradients."""
        if not results[0][1].is_floating_point:
            self.differentiable = []
        self.device = device = inputs[0].device
        self.made = [(device.maker(s, t.numpy), Form.of(s, t, device)) for s, t in results]
        """For each of the results what makes its buffer, and its form."""
        self.absent = [i for i, f in enumerate(forms) if f is None]
        self.gaps = [i for i, f in enumerate(forms) if f is not None and f.strides is not None]
        """The inputs that are not contiguous."""
        self.options: list[Any] = []
        """Of attributes given as one object, those that the kernel takes."""


class Attributes(dict[str, Any]):
    """Attributes of calls, given to them as one object. Whoever gives the same one for the same
    attributes spares the calls to look at each."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__  # type: ignore[assignment]


MOST_KINDS = 512
"""Kinds that are remembered of an op."""


@functools.cache
def _absent(device: Device, dtype: DType) -> Any:
    return device.empty((0,), dtype.numpy)


def _is_constant(t: Tensor) -> bool:
    """Whether a tensor needs no gradient, and is no view of one that does."""
    return t._origin is None and not t._requires_grad


class Op(Node):
    """An operation on tensors; an instance is one recorded call of it."""

    __slots__ = ("attrs", "kind", "plan", "saved", "shapes", "types")

    kernel: ClassVar[str]
    """ "family.function": what `launch` runs on inputs, outputs and `parameters`."""
    parameters: ClassVar[tuple[str, ...]] = ()
    """The attributes that the kernel takes, in its order."""
    results_named: ClassVar[tuple[str, ...]] = ("y",)
    """The outputs' names, by which gradient rules ask for them."""
    differentiable: ClassVar[int] = 1
    """How many of the outputs, counted from the first, carry gradients."""
    shown: ClassVar[int | None] = None
    """How many of them the caller gets; the others are for gradient rules alone. If 1, that one."""
    contiguous: ClassVar[bool] = True
    """Whether the kernel needs its inputs contiguous."""

    inputs_named: ClassVar[tuple[str, ...]]
    _many: ClassVar[str]
    _rules: ClassVar[list[Rule]]
    _plans: ClassVar[dict[int, Plan]]
    """By which inputs have gradients: a binary number, after a leading 1 a digit for each."""
    _kinds: ClassVar[dict[Any, Kind]]

    attrs: dict[str, Any]
    kind: Kind
    shapes: Sequence[Any]
    """The inputs' shapes, and their types; None for an absent input."""
    types: Sequence[Any]
    plan: Plan
    saved: list[Any] | None

    outputs: ClassVar[Callable[..., Any]]
    """Static or class method: from the inputs' shapes and types, and the attributes by keyword,
    shape and type of the output or a list of them; raises for arguments that do not fit. It is
    asked once for equal ones."""

    def __init_subclass__(cls) -> None:
        """Read off the rules what each needs."""
        if not hasattr(cls, "outputs"):
            return  # the base of a family
        cls.inputs_named, cls._many = _parameters(cls.outputs)
        if twice := {*cls.inputs_named} & {*cls.results_named}:
            raise TypeError(f"{cls.__name__}: {sorted(twice)} name both an input and an output")
        cls._rules, cls._plans, cls._kinds = [], {}, {}
        members = {name for base in cls.__mro__ for name in vars(base) if name[:4] == "grad"}
        for method in sorted(members):
            kind, _, named = method.partition("_")
            if kind not in ("grad", "grads"):
                continue
            inputs = [cls.inputs_named.index(name) for name in named.split("_") if name]
            rule = getattr(cls, method)
            names = _parameters(rule)[0][1 + cls.differentiable :]
            cls._rules.append(Rule(tuple(inputs) or None, rule, names))

    @classmethod
    def apply(
        cls,
        *inputs: Any,
        into: Tensor | None = None,
        given: dict[str, Any] | None = None,
        **attrs: Any,
    ) -> Any:
        """Compute; record if any input requires grad.

        With `into`, one of the inputs, the result takes its place: its memory and its history. The
        attributes come by keyword or are all `given`, `Attributes` or those of another call.
        """
        buffers: list[Any] = []
        key: list[Any] = []
        requires_grad = False
        for t in inputs:
            if t is None:
                buffers.append(None)
                key.append(None)
                continue
            buffers.append(t._buffer)
            key.append(t._form or form(t))
            # The property would look twice at what is no view.
            if t._requires_grad if t._origin is None else t.requires_grad:
                requires_grad = True
        if attrs:
            key += attrs.values()
            key += map(type, attrs.values())  # 1, 1.0 and True are equal
        elif given is not None:
            attrs = given
            if type(given) is Attributes:
                key.append(given)
            else:
                key += given.values()
                key += map(type, given.values())
        known: Any = tuple(key)
        try:
            kind = cls._kinds.get(known)
        except TypeError:  # an attribute has no hash
            kind = known = None
        if kind is None:
            cls._require_one_device(inputs)
            results = cls.outputs(*inputs, **attrs)
            kind = cls._remember(known, inputs, results if type(results) is list else [results])
            if type(given) is Attributes:
                kind.options = [given[parameter] for parameter in cls.parameters]
        device = kind.device
        for i in kind.absent:  # an absent tensor reaches the kernel as an empty one
            buffers[i] = _absent(device, inputs[0].dtype)
        if kind.gaps and cls.contiguous:
            for i in kind.gaps:
                gappy, buffers[i] = buffers[i], device.empty(buffers[i].shape, buffers[i].dtype)
                launch(device, "shape.copy", gappy, buffers[i])
        if into is not None:
            return cls._apply_into(into, inputs, attrs, kind, device, buffers, requires_grad)
        recorded = requires_grad and kind.differentiable and recording.enabled
        shown = None if recorded else cls.shown
        outputs: list[Any] = []
        for make, made in kind.made:
            if record.recorder is None:
                buffer = make()
            else:
                buffer = device.empty(made.shape, made.dtype.numpy)
            buffers.append(buffer)
            if shown is None or len(outputs) < shown:
                output = wrap(buffer, made.dtype, device)
                output._form = made
                outputs.append(output)
        for parameter in cls.parameters:
            buffers.append(attrs[parameter])
        if known is None:
            launch(device, cls.kernel, *buffers)
        else:
            launch_kind(kind, device, cls.kernel, buffers)
        if recorded:
            node = cls.__new__(cls)
            node._describe(kind, inputs, attrs, device)
            node.saved = node._keep(inputs, outputs)
            for i, t in enumerate(outputs[: cls.differentiable]):
                t._node, t._index, t._requires_grad = node, i, True
        return outputs[0] if len(outputs) == 1 or cls.shown == 1 else tuple(outputs)

    @classmethod
    def apply_one(cls, x: Tensor, given: Attributes | None = None) -> Tensor:
        """`apply` of an op of one input and one result, in fewer steps as `apply_two`."""
        kind = cls._kinds.get((x._form,) if given is None else (x._form, given))
        if kind is None or kind.gaps or (recording.enabled and not _is_constant(x)):
            return cls.apply(x, given=given)
        run = prepared_run(kind)
        if run is None:
            return cls.apply(x, given=given)
        make, made = kind.made[0]
        buffer = make()
        run(x._buffer, buffer, *kind.options)
        output = wrap(buffer, made.dtype, kind.device)
        output._form = made
        return output

    @classmethod
    def apply_two(cls, a: Tensor, b: Tensor) -> Tensor:
        """`apply` of an op of two inputs, one result and no attributes, which sums and products of
        tensors are: where nothing is recorded and such a call is known, it takes fewer steps."""
        kind = cls._kinds.get((a._form, b._form))
        if (
            kind is None
            or kind.gaps
            or (recording.enabled and not (_is_constant(a) and _is_constant(b)))
        ):
            return cls.apply(a, b)
        run = prepared_run(kind)
        if run is None:
            return cls.apply(a, b)
        make, made = kind.made[0]
        buffer = make()
        run(a._buffer, b._buffer, buffer)
        output = wrap(buffer, made.dtype, kind.device)
        output._form = made
        return output

    @classmethod
    def _require_one_device(cls, inputs: Sequence[Any]) -> None:
        device = inputs[0].device
        for t in inputs:
            if t is not None and t.device is not device:
                raise RuntimeError(
                    f"{cls.__name__}: expected all tensors on one device, "
                    f"but found {device} and {t.device}"
                )

    @classmethod
    def _recall(cls, key: list[Any]) -> tuple[Kind | None, Any]:
        """The kind that is known by a key, and the key; None if an attribute has no hash."""
        known = tuple(key)
        try:
            return cls._kinds.get(known), known
        except TypeError:
            return None, None

    @classmethod
    def _remember(cls, key: Any, inputs: Sequence[Any], results: list[Result]) -> Kind:
        kind = Kind(inputs, results, cls.differentiable)
        if key is None:
            return kind
        if len(cls._kinds) >= MOST_KINDS:
            cls._kinds.clear()
        return cls._kinds.setdefault(key, kind)

    @classmethod
    def record(
        cls, inputs: tuple[Any, ...], attrs: dict[str, Any], outputs: Sequence[Tensor]
    ) -> None:
        """Make the outputs' history this call."""
        results = [(t._buffer.shape, t.dtype) for t in outputs]
        if not results[0][1].is_floating_point:
            return
        key: list[Any] = [*results]
        for t in inputs:
            key.append(None if t is None else (t._buffer.shape, t.dtype))
        key += attrs.values()
        key += map(type, attrs.values())
        kind, known = cls._recall(key)
        if kind is None:
            kind = cls._remember(known, inputs, results)
        node = cls.__new__(cls)
        node._describe(kind, inputs, attrs, outputs[0].device)
        node.saved = node._keep(inputs, outputs)
        for i, t in enumerate(outputs[: cls.differentiable]):
            t._node, t._index, t._requires_grad = node, i, True

    @classmethod
    def _apply_into(
        cls,
        into: Tensor,
        inputs: tuple[Any, ...],
        attrs: dict[str, Any],
        kind: Kind,
        device: Device,
        buffers: list[Any],
        requires_grad: bool,
    ) -> Tensor:
        shape, dtype = kind.results[0]
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
            node = cls.__new__(cls)
            node._describe(kind, olds, attrs, device)
            for i in node.plan.inputs:
                old = olds[i]
                if old is not None and old._buffer is into._buffer:
                    # The rules look at what is about to be overwritten.
                    old._show(wrap(device.empty(shape, old.dtype.numpy), old.dtype, device))
                    old._counter = [0]
                    launch(device, "shape.copy", into._buffer, old._buffer)
            node.saved = node._keep(olds, None)
        direct = into._buffer.flags.c_contiguous or not cls.contiguous
        target = into._buffer if direct else device.empty(shape, dtype.numpy)
        launch(device, cls.kernel, *buffers, target, *[attrs[p] for p in cls.parameters])
        if not direct:
            launch(device, "shape.copy", target, into._buffer)
        into._bump()
        if node is not None:
            assert node.saved is not None
            node._keep_outputs(node.saved, [into])
            take_history(into, node)
        return into

    def _describe(
        self, kind: Kind, inputs: Sequence[Any], attrs: dict[str, Any], device: Device
    ) -> None:
        """Note all of a call but what is kept for `backward`."""
        edges: list[Any] = []
        wanted = 1
        for t in inputs:
            wanted += wanted
            if t is not None and (t._requires_grad if t._origin is None else t.requires_grad):
                edges.append((t, 0) if t._node is None else (t._node, t._index))
                wanted += 1
            else:
                edges.append(None)
        self.kind, self.edges, self.attrs, self.device = kind, edges, attrs, device
        self.shapes, self.types, self.results = kind.shapes, kind.types, kind.differentiable
        self.number = next(numbers)
        self.hooks = self.retaining = None
        self.plan = self._plans.get(wanted) or self._make_plan(wanted)

    def _make_plan(self, key: int) -> Plan:
        """What the rules need that the edges can ask for."""
        wanted = [i for i, e in enumerate(self.edges) if e is not None]
        rules = [r for r in self._rules if r.inputs is None or not {*wanted}.isdisjoint(r.inputs)]
        if any(r.inputs is None for r in rules):
            rules = [r for r in rules if r.inputs is None]
        needed = {name for rule in rules for name in rule.names}
        inputs = [i for i, name in enumerate(self.inputs_named) if name in needed]
        outputs = [i for i, name in enumerate(self.results_named) if name in needed]
        many = self._many in needed
        names = [self.inputs_named[i] for i in inputs] + [self._many] * many
        names += [self.results_named[i] for i in outputs]
        every = tuple(range(len(self.edges)))
        taken = [
            (
                r.inputs or every,
                r.function,
                None if [*r.names] == names else [names.index(name) for name in r.names],
            )
            for r in rules
        ]
        plan = self._plans[key] = Plan(key, inputs, many, outputs, names, taken)
        return plan

    def _keep(self, inputs: Sequence[Any], outputs: Sequence[Tensor] | None) -> list[Any]:
        """What the rules that can be asked for need, in the plan's order, and its versions."""
        plan = self.plan
        kept: list[Any] = []
        for i in plan.inputs:
            t = inputs[i]
            kept.append(None if t is None else (t, t._counter, t._counter[0], None, 0))
        if plan.many:
            rest = inputs[len(self.inputs_named) :]
            kept.append([(t, t._counter, t._counter[0], None, 0) for t in rest])
        if plan.outputs and outputs is not None:
            self._keep_outputs(kept, outputs)
        return kept

    def _keep_outputs(self, kept: list[Any], outputs: Sequence[Tensor]) -> None:
        for i in self.plan.outputs:
            t = outputs[i]
            if i < self.differentiable:
                # Not the output itself, which holds this node: memory must not wait for the garbage
                # collector.
                kept.append((t._buffer, t._counter, t._counter[0], t.dtype, i))
            else:
                kept.append((t, t._counter, t._counter[0], None, 0))

    def backward(
        self, grads: list[Tensor | None], asked: set[int] | None = None
    ) -> Sequence[Tensor | None]:
        if self.saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Specify retain_graph=True if you "
                "need to backward through the graph a second time."
            )
        gys: list[Any] = grads
        if len(grads) > 1:  # else the one is there: it is why this was called
            gys = [self.zeros(i) if g is None else g for i, g in enumerate(grads)]
        kept: list[Any] = []
        for entry in self.saved:
            if type(entry) is tuple and entry[3] is None:  # a tensor, most likely unchanged
                t, counter, version, _, _ = entry
                if t._counter is counter and counter[0] == version:
                    kept.append(t)
                    continue
            kept.append(self._take(len(kept), entry))
        found: list[Tensor | None] = [None] * len(self.edges)
        for inputs, rule, places in self.plan.rules:
            if asked is not None and asked.isdisjoint(inputs):
                continue
            # Most rules name all that is kept, in its order: no list need be made for them.
            values = kept if places is None else [kept[place] for place in places]
            gradients = rule(self, *gys, *values)
            if isinstance(gradients, (list, tuple)):
                for i, g in zip(inputs, gradients):
                    found[i] = g
            else:
                found[inputs[0]] = gradients
        return found

    def _take(self, place: int, entry: Any) -> Any:
        """What was kept, unless it was overwritten since."""
        if entry is None:
            return None
        if type(entry) is list:
            return [self._take(place, e) for e in entry]
        kept, counter, version, dtype, index = entry
        if dtype is None:
            if kept._counter is counter and counter[0] == version:
                return kept
            current = kept._counter[0]
        elif counter[0] == version:
            output = wrap(kept, dtype, self.device)
            output._counter = counter
            output._node, output._index, output._requires_grad = self, index, True
            return output
        else:
            current = counter[0]
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an "
            f"inplace operation: {self.plan.names[place]}, {type(self).__name__.lower()}'s "
            f"{self._role(place)} of shape {list(kept.shape)}, "
            f"is at version {current}; expected version {version} instead."
        )

    def _role(self, place: int) -> str:
        return "output" if self.plan.names[place] in self.results_named else "input"

    def release(self) -> None:
        if self.saved:
            self.saved = None


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
            out._origin = (x, None, x._node if x._origin is None else x._root()._node)
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
        view._check_shown(*view._origin)
        parents.append((view, *view._origin))
        # What the parent was before, while it can still be told.
        view = view._origin[0]
    olds = [_before(parent, parent) for _, parent, _, _ in parents]
    tensor._node, tensor._index, tensor._requires_grad = node, 0, True
    tensor._current = tensor._counter[0]
    for (view, parent, op, attrs), old in zip(parents, olds):
        written = WriteView.__new__(WriteView)
        kind = Kind((old, view), [(parent._buffer.shape, parent.dtype)], 1)
        written._describe(kind, (old, view), {"op": op, "attrs": attrs}, parent.device)
        written.saved = []
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
