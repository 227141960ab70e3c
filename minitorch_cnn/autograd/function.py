"""Function: operations that users write themselves, forward and backward."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..dtypes import DType
from ..tensor import Tensor
from .graph import GradMode, Node, recording, reduce_to

__all__ = ["Function", "once_differentiable"]


class FunctionContext:
    """What a Function's forward leaves for its backward: `ctx`."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._saved: tuple[Tensor | None, ...] | None = ()
        self._versions: tuple[int, ...] = ()
        self._not_differentiable: set[int] = set()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or results in between for `backward`."""
        for i, t in enumerate(tensors):
            if not (t is None or isinstance(t, Tensor)):
                raise TypeError(
                    f"save_for_backward can only save tensors, but argument {i} is "
                    f"a {type(t).__name__}"
                )
        self._saved = tensors
        self._versions = tuple([0 if t is None else t._version for t in tensors])

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What `save_for_backward` kept."""
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Specify retain_graph=True if you "
                "need to backward through the graph a second time."
            )
        for t, version in zip(self._saved, self._versions):
            if t is not None and t._version != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: a saved tensor of shape {list(t.shape)} is at version "
                    f"{t._version}; expected version {version} instead."
                )
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Name outputs that carry no gradient."""
        self._not_differentiable = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` sees zeros (the default) or None for outputs nobody used."""
        self._materialize = value


class _FunctionNode(Node):
    __slots__ = ("arguments", "context", "function", "places", "returned")

    arguments: list[tuple[tuple[int, ...], DType] | None]
    """Shape and type of every argument that is a tensor."""
    context: FunctionContext
    function: type[Function]
    places: list[int]
    """Where among all it returned the outputs that are tensors stand."""
    returned: int

    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def backward(
        self, grads: list[Tensor | None], asked: set[int] | None = None
    ) -> Sequence[Tensor | None]:
        if self.context._saved is None:
            _ = self.context.saved_tensors  # raises
        if self.context._materialize:
            grads = [self.zeros(i) if g is None else g for i, g in enumerate(grads)]
        given: list[Tensor | None] = [None] * self.returned
        for place, g in zip(self.places, grads):
            given[place] = g
        found = self.function.backward(self.context, *given)
        found = found if isinstance(found, tuple) else (found,)
        expected = len(self.context.needs_input_grad)
        if len(found) > expected and all(g is None for g in found[expected:]):
            found = found[:expected]
        if len(found) != expected:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients "
                f"(expected {expected}, got {len(found)})"
            )
        return [self._fitted(i, g) for i, g in enumerate(found)]

    def _fitted(self, index: int, g: Any) -> Tensor | None:
        """A returned gradient in the type and shape of its argument; a broadcast one is summed."""
        argument = self.arguments[index]
        if g is None or argument is None:
            return None
        if not isinstance(g, Tensor):
            raise TypeError(
                f"function {self.name()} returned a gradient that is no Tensor at index {index}: "
                f"{g!r}"
            )
        shape, dtype = argument
        tail = g.shape[g.ndim - len(shape) :]
        if len(shape) > g.ndim or any([n not in (1, m) for n, m in zip(shape, tail)]):
            raise RuntimeError(
                f"function {self.name()} returned an invalid gradient at index {index}: got "
                f"{list(g.shape)} but expected shape compatible with {list(shape)}"
            )
        return reduce_to(g.to(dtype), shape)

    def release(self) -> None:
        if self.context._saved:
            self.context._saved = None


class Function:
    """Base of users' own operations, as `torch.autograd.Function`.

    `forward(ctx, *args)` computes, unrecorded; `backward(ctx, *grads)` returns a gradient, or None,
    for each argument. Tensor code in `backward` can be differentiated again.

    >>> import minitorch_cnn as torch
    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> x = torch.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    setup_context: ClassVar[Callable[..., None] | None] = None
    """`setup_context(ctx, inputs, output)` if `forward` is to be written without a context."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function needs a forward")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gradients of the arguments from those of the outputs."""
        raise NotImplementedError("a Function needs a backward to be differentiated")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run the operation and record it if any tensor among the arguments requires grad."""
        context = FunctionContext()
        tensors = [t if isinstance(t, Tensor) else None for t in args]
        context.needs_input_grad = tuple([t is not None and t.requires_grad for t in tensors])
        recorded = recording.enabled and any(context.needs_input_grad)
        with GradMode(False):
            if cls.setup_context is not None:
                result = cls.forward(*args)
                cls.setup_context(context, args, result)
            else:
                result = cls.forward(context, *args)
        outputs = result if isinstance(result, tuple) else (result,)
        if recorded:
            # An argument handed back as it is must not become its own history.
            fresh = {id(t): t.detach() for t in args if isinstance(t, Tensor)}
            given_back = outputs
            outputs = tuple([fresh.get(id(t), t) for t in given_back])
            places = [i for i, t in enumerate(outputs) if isinstance(t, Tensor)]
            node = _FunctionNode(tensors, [outputs[i] for i in places])
            node.context, node.function = context, cls
            node.arguments = [t if t is None else (t._buffer.shape, t.dtype) for t in tensors]
            node.places, node.returned = places, len(outputs)
            for index, place in enumerate(places):
                t = outputs[place]
                marked = id(given_back[place]) in context._not_differentiable
                if t.dtype.is_floating_point and not marked:
                    t._node, t._index, t._requires_grad = node, index, True
        return outputs if isinstance(result, tuple) else outputs[0]


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a `backward` that is not made of recorded operations: its gradients can't be
    differentiated, and an attempt to is an error."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        with GradMode(False):
            found = backward(ctx, *grads)
        if not (recording.enabled and any([g is not None and g.requires_grad for g in grads])):
            return found
        several = found if isinstance(found, tuple) else (found,)
        outputs = [g.detach() if isinstance(g, Tensor) else g for g in several]
        node = _OnceNode(grads, [g for g in outputs if isinstance(g, Tensor)])
        for i, g in enumerate([g for g in outputs if isinstance(g, Tensor)]):
            g._node, g._index, g._requires_grad = node, i, True
        return tuple(outputs) if isinstance(found, tuple) else outputs[0]

    return wrapped


class _OnceNode(Node):
    """The history of gradients that can't be differentiated."""

    __slots__ = ()

    def backward(
        self, grads: list[Tensor | None], asked: set[int] | None = None
    ) -> Sequence[Tensor | None]:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )
