"""The graph of recorded operations, and the walk over it that finds gradients.

Every recorded operation is a `Node` with an edge for each input: to the node that made it, or to
the leaf tensor itself. Nodes are numbered as they are made, so an operation's number is above
those of everything it was computed from: walking by falling number meets each node after all that
used it, with no recursion however deep the graph.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, TypeVar

from .. import record
from ..device import Device, cpu, launch, launch_kind
from ..dtypes import DType, float32
from ..tensor import Tensor, form, method, wrap

__all__ = [
    "GradMode",
    "Node",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]

F = TypeVar("F", bound=Callable[..., Any])


# ---------------------------------------------------------------------- is anything recorded?


class _Recording(threading.local):
    enabled = True


recording = _Recording()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return recording.enabled


class GradMode:
    """Records or does not record, inside a `with` block or a decorated function."""

    enabled: bool
    _before: Any = None
    """What was the case outside the block, and outside those around it that are of this object."""

    def __new__(cls, enabled: bool) -> Any:
        self = object.__new__(cls)
        self.enabled = enabled
        return self

    def __enter__(self) -> None:
        self._before = recording.enabled, self._before
        recording.enabled = self.enabled

    def __exit__(self, *error: object) -> None:
        recording.enabled, self._before = self._before

    def __call__(self, function: F) -> F:
        enabled = self.enabled

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with GradMode(enabled):
                return function(*args, **kwargs)

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            resume: Callable[[], Any] = functools.partial(next, generator)
            while True:
                try:
                    with GradMode(enabled):  # while the generator runs, not while it waits
                        value = resume()
                except StopIteration as end:
                    return end.value
                try:
                    resume = functools.partial(generator.send, (yield value))
                except GeneratorExit:
                    with GradMode(enabled):
                        generator.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)

        return generate if inspect.isgeneratorfunction(function) else call  # type: ignore[return-value]


class no_grad(GradMode):
    """Do not record operations: `with no_grad(): ...`, or `@no_grad()` on a function.

    >>> import minitorch_cnn as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    enabled = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = object.__new__(cls)
        return self if function is None else self(function)  # @no_grad, without brackets


class enable_grad(GradMode):
    """Record operations, inside `no_grad` too."""

    enabled = True

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = object.__new__(cls)
        return self if function is None else self(function)


class set_grad_enabled(GradMode):
    """Record or not, from now on as a call, within the block as a context."""

    def __new__(cls, mode: bool) -> Any:
        self = super().__new__(cls, bool(mode))
        GradMode.__enter__(self)
        return self

    def __enter__(self) -> None:
        recording.enabled = self.enabled

    def __call__(self, function: F) -> F:
        self.__exit__()  # a decorator says nothing of what comes after it
        return super().__call__(function)


class inference_mode(GradMode):
    """As `no_grad`. PyTorch further forbids later use of the results in recorded operations; here
    they are ordinary tensors."""

    def __new__(cls, mode: Any = True) -> Any:
        if callable(mode):
            return super().__new__(cls, False)(mode)
        return super().__new__(cls, not mode)


# ---------------------------------------------------------------------- nodes

numbers = itertools.count()

Edge = tuple[Any, int]
"""A node and the number of its output; or a leaf tensor and 0."""


class Node:
    """One recorded operation."""

    __slots__ = ("__weakref__", "device", "edges", "hooks", "number", "results", "retaining")

    edges: Sequence[Edge | None]
    results: Sequence[tuple[tuple[int, ...], DType]]
    """Shape and type of every output."""

    def __init__(self, inputs: Iterable[Tensor | None], outputs: Sequence[Tensor]) -> None:
        self.edges = tuple([edge(t) if t is not None and t.requires_grad else None for t in inputs])
        self.number = next(numbers)
        self.device = outputs[0].device
        self.results = tuple([(t._buffer.shape, t.dtype) for t in outputs])
        self.hooks: dict[int, dict[int, Callable[[Tensor], Any]]] | None = None
        self.retaining: dict[int, Any] | None = None

    def name(self) -> str:
        """What PyTorch would print: MulBackward0."""
        return f"{type(self).__name__}Backward0"

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes behind the inputs, None for leaves."""
        return tuple(
            [
                (e[0], e[1]) if e is not None and isinstance(e[0], Node) else (None, 0)
                for e in self.edges
            ]
        )

    def backward(
        self, grads: list[Tensor | None], asked: set[int] | None = None
    ) -> Sequence[Tensor | None]:
        """Gradients of the inputs from those of the outputs; of those inputs that are `asked` for,
        if a set of them is given: others may be left out."""
        raise NotImplementedError

    def release(self) -> None:
        """Let go of what was kept for `backward`."""

    def zeros(self, index: int) -> Tensor:
        """A gradient of nothing but zeros for an output that nobody used."""
        shape, dtype = self.results[index]
        return zeros(shape, dtype, self.device)


def zeros(shape: tuple[int, ...], dtype: DType, device: Device) -> Tensor:
    """A tensor of zeros."""
    buffer = device.empty(shape, dtype.numpy)
    launch(device, "shape.fill", buffer, 0)
    return wrap(buffer, dtype, device)


def reduce_to(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of a broadcast: the sum over the elements that one element was spread to."""
    if g._buffer.shape == shape:
        return g
    extra = g._buffer.ndim - len(shape)
    dims = tuple(
        [*range(extra)]
        + [i + extra for i, n in enumerate(shape) if n == 1 and g._buffer.shape[i + extra] != 1]
    )
    g = g.sum(dims, keepdim=True)
    return g.reshape(shape) if extra else g


def edge(tensor: Tensor) -> Edge:
    """Where a tensor's gradient goes."""
    return (tensor, 0) if tensor._node is None else (tensor._node, tensor._index)


# ---------------------------------------------------------------------- the walk


def _walk(
    roots: list[tuple[Edge, Tensor]],
    retain_graph: bool,
    create_graph: bool,
    wanted: list[Edge] | None = None,
) -> dict[tuple[int, int], tuple[Any, Tensor]]:
    """Carry gradients from the roots through the graph.

    Returns those that reach leaves or, given `wanted` edges, these alone: by (id, output number),
    the edge's target and its gradient.
    """
    running = known = watched = None
    if wanted is not None:
        nodes = _reachable([target for (target, _), _ in roots if isinstance(target, Node)])
        running = _leading_to(nodes, wanted)
        known = running | {target for target, _ in wanted if isinstance(target, Node)}
        watched = {(id(target), i) for target, i in wanted}
    pending: dict[Node, list[Tensor | None]] = {}
    # Of the nodes in `pending`, that of the highest number first.
    waiting: list[tuple[int, Node]] = []
    arrived: dict[tuple[int, int], tuple[Any, Tensor]] = {}
    before, recording.enabled = recording.enabled, create_graph
    try:
        while roots or waiting:
            if roots:
                e, g = roots.pop()
                edges: Sequence[Edge | None] = (e,)
                found: Sequence[Tensor | None] = (g,)
            else:
                node = heappop(waiting)[1]
                grads = pending.pop(node)
                if node.hooks or node.retaining:
                    _call_hooks(node, grads)
                if watched is not None:
                    for i, known_grad in enumerate(grads):
                        if known_grad is not None and (id(node), i) in watched:
                            arrived[id(node), i] = (node, known_grad)
                if running is not None and node not in running:
                    continue
                edges, asked = node.edges, None
                if known is not None and watched is not None:
                    asked = {
                        i
                        for i, e in enumerate(edges)
                        if e is not None and (e[0] in known or (id(e[0]), e[1]) in watched)
                    }
                found = node.backward(grads, asked)
                if not retain_graph:
                    node.release()
            for edge_, part in zip(edges, found):
                if edge_ is None or part is None:
                    continue
                target, index = edge_
                if isinstance(target, Tensor):
                    if watched is None or (id(target), 0) in watched:
                        entry = arrived.get((id(target), 0))
                        total = part if entry is None else entry[1] + part
                        arrived[id(target), 0] = (target, total)
                elif known is None or target in known:
                    slots = pending.get(target)
                    if slots is None:
                        slots = pending[target] = [None] * len(target.results)
                        heappush(waiting, (-target.number, target))
                    earlier = slots[index]
                    slots[index] = part if earlier is None else earlier + part
    finally:
        recording.enabled = before
    return arrived


def _reachable(starts: list[Node]) -> list[Node]:
    """All nodes that the starts were computed from, latest first."""
    seen = set(starts)
    stack = list(seen)
    while stack:
        for e in stack.pop().edges:
            if e is not None and isinstance(e[0], Node) and e[0] not in seen:
                seen.add(e[0])
                stack.append(e[0])
    return sorted(seen, key=lambda node: node.number, reverse=True)


def _leading_to(nodes: list[Node], wanted: list[Edge]) -> set[Node]:
    """Those nodes whose inputs' gradients are wanted or lead to one that is."""
    targets = {id(target) for target, _ in wanted}
    useful: set[Node] = set()
    for node in reversed(nodes):
        if any([e is not None and (id(e[0]) in targets or e[0] in useful) for e in node.edges]):
            useful.add(node)
    return useful


def _call_hooks(node: Node, grads: list[Tensor | None]) -> None:
    for i, g in enumerate(grads):
        if g is None:
            continue
        if node.hooks and i in node.hooks:
            grads[i] = g = _hooked(g, node.hooks[i])
        if node.retaining and i in node.retaining and (tensor := node.retaining[i]()) is not None:
            tensor._grad = g.clone() if tensor._grad is None else tensor._grad + g


def _hooked(g: Tensor, hooks: dict[int, Callable[[Tensor], Any]]) -> Tensor:
    """The gradient after the hooks, each of which may replace it."""
    for hook in list(hooks.values()):
        new = hook(g)
        if new is not None:
            if not isinstance(new, Tensor):
                raise TypeError(f"a gradient hook must return None or a Tensor, not {new!r}")
            if new.shape != g.shape:
                raise RuntimeError(
                    f"a gradient hook must keep the shape {tuple(g.shape)}, not return one of "
                    f"shape {tuple(new.shape)}"
                )
            g = new
    return g


def _accumulate(leaf: Tensor, holder: list[Tensor], create_graph: bool) -> None:
    """leaf.grad += holder.pop()"""
    g = holder.pop()
    record.leaf(leaf, read=True)
    if leaf._hooks and leaf._node is None:
        g = _hooked(g, leaf._hooks)
    before = leaf._grad
    if create_graph:
        leaf._grad = g.clone() if before is None else before + g
    elif before is not None:
        launch(leaf.device, "elementwise.add", before._buffer, g._buffer, before._buffer)
        before._bump()
    elif (
        _references(g) == _alone()
        and g.device.owns(g._buffer)
        and g._buffer.flags.c_contiguous
        and not g._requires_grad
    ):
        leaf._grad = g  # nobody else can see it: it need not be copied
    else:
        held = form(g)
        copy = g.device.empty(held.shape, g.dtype.numpy)
        launch_kind(("shape.copy", held), g.device, "shape.copy", (g._buffer, copy))
        leaf._grad = wrap(copy, g.dtype, g.device)
    if leaf._hooks is not None and leaf._node is None:
        for hook in list(leaf._hooks.after.values()):
            hook(leaf)


def _references(g: Tensor) -> tuple[int, int]:
    """How many references there are to a tensor and to its buffer."""
    return sys.getrefcount(g), sys.getrefcount(g._buffer)


@functools.cache
def _alone() -> tuple[int, int]:
    """What `_references` counts for a tensor that only its caller holds."""
    g = zeros((), float32, cpu)
    return _references(g)


def _roots(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]
) -> list[tuple[Edge, Tensor]]:
    if len(outputs) != len(gradients):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(gradients)} gradients")
    roots = []
    for i, (output, g) in enumerate(zip(outputs, gradients)):
        if not output.requires_grad:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        if g is None:
            if output._buffer.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs, "
                    f"not for shape {tuple(output.shape)}"
                )
            buffer = output.device.empty(output._buffer.shape, output.dtype.numpy)
            launch(output.device, "shape.fill", buffer, 1)
            g = wrap(buffer, output.dtype, output.device)
        elif g._buffer.shape != output._buffer.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} "
                f"and output[{i}] has a shape of {output.shape}."
            )
        elif g.dtype is not output.dtype:
            g = g.to(output.dtype)
        roots.append((edge(output), g))
    return roots


def _sequence(value: Any) -> Sequence[Any]:
    return (value,) if value is None or isinstance(value, Tensor) else tuple(value)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of the tensors' sum to the `grad` of the leaves they depend on.

    Tensors of more than one element need their own gradient in `grad_tensors`. With `inputs`, only
    these receive a gradient. As `torch.autograd.backward`.

    A graph that comes again and again is walked a few times; then its launches are repeated.
    """
    outputs = _sequence(tensors)
    ordinary = grad_tensors is None and inputs is None and not retain_graph and not create_graph
    if ordinary and len(outputs) == 1 and repeated is not None and repeated(outputs[0]):
        return
    gradients = (None,) * len(outputs) if grad_tensors is None else _sequence(grad_tensors)
    _backward(outputs, gradients, retain_graph, create_graph, inputs)


def walk(root: Tensor) -> None:
    """`root.backward()`, by walking."""
    _backward((root,), (None,), False, False, None)


repeated: Callable[[Tensor], bool] | None = None
"""Does what `walk` does, if there is a quicker way, and says whether it did."""


def _backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Tensor | Sequence[Tensor] | None,
) -> None:
    roots = _roots(outputs, gradients)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        arrived = _walk(roots, keep, create_graph)
        tensors_by_edge = {key: entry[0] for key, entry in arrived.items()}
    else:
        tensors_by_edge = {}
        if len(_sequence(inputs)) == 0:
            raise RuntimeError("backward: inputs must not be empty")
        for t in _sequence(inputs):
            if not t.requires_grad:
                raise RuntimeError("One of the differentiated Tensors does not require grad")
            target, index = edge(t)
            tensors_by_edge[id(target), index] = t
        arrived = _walk(roots, keep, create_graph, [edge(t) for t in tensors_by_edge.values()])
    before, recording.enabled = recording.enabled, create_graph
    try:
        for key, t in tensors_by_edge.items():
            if key in arrived:
                _accumulate(t, [arrived.pop(key)[1]], create_graph)
    finally:
        recording.enabled = before


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of the outputs' sum for the inputs; nobody's `grad` changes.

    With `create_graph` they can be differentiated again. An input that the outputs do not depend on
    is an error unless `allow_unused` (None for it) or `materialize_grads` (zeros).
    As `torch.autograd.grad`.

    >>> import minitorch_cnn as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> first, = torch.autograd.grad(x**3, x, create_graph=True)
    >>> torch.autograd.grad(first, x)
    (tensor(18.),)
    """
    ys, xs = _sequence(outputs), _sequence(inputs)
    gradients = (None,) * len(ys) if grad_outputs is None else _sequence(grad_outputs)
    for x in xs:
        if not x.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True"
        )
    keep = create_graph if retain_graph is None else retain_graph
    edges = [edge(x) for x in xs]
    arrived = _walk(_roots(ys, gradients), keep, create_graph, edges)
    found: list[Tensor | None] = []
    for x, (target, index) in zip(xs, edges):
        _, g = arrived.get((id(target), index), (None, None))
        if g is not None and x._node is None and x._hooks:
            g = _hooked(g, x._hooks)
        if g is None and materialize_grads:
            g = zeros(x._buffer.shape, x.dtype, x.device)
        elif g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        found.append(g)
    return tuple(found)


# ---------------------------------------------------------------------- methods of Tensor


@method("backward")
def _backward_from(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add this tensor's gradients to the `grad` of the leaves it depends on."""
    backward(self, gradient, retain_graph, create_graph, inputs)


class RemovableHandle:
    """Takes a hook back: `handle.remove()`, or at the end of a `with` block."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.hooks = hooks
        self.id = next(self._ids)
        record.restructured()

    def remove(self) -> None:
        """Take the hook back."""
        record.restructured()
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class LeafHooks(dict[int, Callable[[Tensor], Any]]):
    """What a leaf does with its gradient before it is added to `grad`; and `after` that."""

    def __init__(self) -> None:
        self.after: dict[int, Callable[[Tensor], None]] = {}


@method()
def register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], None]
) -> RemovableHandle:
    """Call `hook(tensor)` whenever `backward` has added to the `grad` of this leaf.

    >>> import minitorch_cnn as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
    >>> x.sum().backward()
    tensor([1., 1.])
    """
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self._node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if self._hooks is None:
        self._hooks = LeafHooks()
    handle = RemovableHandle(self._hooks.after)
    self._hooks.after[handle.id] = hook
    return handle


@method()
def register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call `hook(grad)` when this tensor's gradient is known; what it returns replaces it."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self._node is None:
        if self._hooks is None:
            self._hooks = LeafHooks()
        hooks: dict[int, Any] = self._hooks
    else:
        if self._node.hooks is None:
            self._node.hooks = {}
        hooks = self._node.hooks.setdefault(self._index, {})
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


@method()
def retain_grad(self: Tensor) -> None:
    """Have `backward` fill in `grad` although this is no leaf."""
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self._node is not None:
        if self._node.retaining is None:
            self._node.retaining = {}
        self._node.retaining[self._index] = weakref.ref(self)


@method()
def detach_(input: Tensor) -> Tensor:
    """Cut this tensor off from the graph."""
    if input._origin is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    input._node, input._index, input._requires_grad = None, 0, False
    return input
