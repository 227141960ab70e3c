"""Parameter: a tensor that a Module learns."""

from __future__ import annotations

from typing import Any

from ..ops.creation import empty
from ..tensor import Tensor, _initialise

__all__ = ["Buffer", "Parameter", "clear_grad"]


class Parameter(Tensor):
    """A tensor that, as an attribute of a `Module`, is one of its parameters.

    It shares the memory of `data`, a Tensor. Unlike other tensors it requires grad by default,
    also when made under `no_grad`. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Parameter(torch.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor, not {type(data).__name__}")
        _initialise(self, data._buffer, data.dtype, data.device)
        self._counter = data._counter
        self.requires_grad_(requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.data.clone(), self.requires_grad)
        return memo[id(self)]

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that, as an attribute of a `Module`, is one of its buffers.

    It shares the memory of `data`. Unless `persistent`, `state_dict` leaves it out. As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Buffer.html.

    >>> import minitorch_cnn as torch
    >>> torch.nn.Buffer(torch.ones(2))
    tensor([1., 1.])
    """

    persistent: bool

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is None:
            data = empty(0)
        _initialise(self, data._buffer, data.dtype, data.device)
        self._counter = data._counter
        self.persistent = persistent


def clear_grad(tensor: Tensor, set_to_none: bool) -> None:
    """Forget a tensor's gradient, or fill it with zeros."""
    if set_to_none or tensor.grad is None:
        tensor.grad = None
    else:
        if tensor.grad.requires_grad:
            tensor.grad = tensor.grad.detach()
        tensor.grad.zero_()
