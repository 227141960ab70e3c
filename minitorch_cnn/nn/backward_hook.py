"""How a module's full backward hooks see the gradients that enter and leave it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.function import Function
from ..autograd.graph import is_grad_enabled
from ..tensor import Tensor

__all__ = ["BackwardHook"]

Gradients = tuple[Any, ...]
See = Callable[[Gradients], Gradients]


class BackwardHook:
    """One call of a module that has backward hooks.

    Its inputs and outputs pass through an operation that does nothing but hand their gradients,
    all at once, to the hooks.
    """

    def __init__(
        self,
        module: Any,
        pre_hooks: Sequence[Callable[..., Any]],
        hooks: Sequence[Callable[..., Any]],
    ) -> None:
        self.module = module
        self.pre_hooks = pre_hooks
        self.hooks = hooks
        self.inputs = 0
        self.watched = False
        self.grad_output: Gradients | None = None

    def watch_inputs(self, args: Gradients) -> Gradients:
        """The arguments, their gradients on the way out of the module seen."""
        self.inputs = len(args)
        watched, self.watched = _watch(args, self._leave)
        return watched

    def watch_outputs(self, result: Any) -> Any:
        """The result, its gradients on the way into the module seen."""
        if isinstance(result, tuple):
            return _watch(result, self._enter)[0]
        if isinstance(result, Tensor):
            return _watch((result,), self._enter)[0][0]
        warnings.warn(
            "For backward hooks to be called, module output should be a Tensor or a tuple of "
            f"Tensors but received {type(result)}",
            stacklevel=4,
        )
        return result

    def _enter(self, grad_output: Gradients) -> Gradients:
        for hook in self.pre_hooks:
            grad_output = _replaced(grad_output, hook(self.module, grad_output), "grad_output")
        self.grad_output = grad_output
        if not self.watched and self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module "
                "outputs since no inputs require gradients.",
                stacklevel=2,
            )
            self._leave((None,) * self.inputs)
        return grad_output

    def _leave(self, grad_input: Gradients) -> Gradients:
        if self.grad_output is None:
            return grad_input  # a gradient that did not come through the module's output
        for hook in self.hooks:
            returned = hook(self.module, grad_input, self.grad_output)
            grad_input = _replaced(grad_input, returned, "grad_input")
        self.grad_output = None
        return grad_input


class _Watch(Function):
    """The identity; `see` maps the gradients of all values, None for those that have none."""

    @staticmethod
    def forward(ctx: Any, see: See, places: list[int], count: int, *tensors: Any) -> Any:
        ctx.see, ctx.places, ctx.count = see, places, count
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Gradients:
        every: list[Any] = [None] * ctx.count
        for place, grad in zip(ctx.places, grads, strict=True):
            every[place] = grad
        seen = ctx.see(tuple(every))
        return (None, None, None, *[seen[place] for place in ctx.places])


def _watch(values: Gradients, see: See) -> tuple[Gradients, bool]:
    """The values, of which those that require grad are watched; whether any is."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not places or not is_grad_enabled():
        return values, False
    watched = list(values)
    results = _Watch.apply(see, places, len(values), *[values[i] for i in places])
    for place, tensor in zip(places, results, strict=True):
        watched[place] = tensor
    return tuple(watched), True


def _replaced(gradients: Gradients, returned: Any, name: str) -> Gradients:
    if returned is None:
        return gradients
    new = returned if isinstance(returned, tuple) else (returned,)
    if len(new) != len(gradients):
        raise RuntimeError(
            f"Backward hook returned an invalid number of {name}, "
            f"got {len(new)}, but expected {len(gradients)}"
        )
    return new
