"""Parameter: a tensor that a Module learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import record
from ..device import Device
from ..dtypes import DType
from ..ops.creation import empty
from ..tensor import Size, Tensor, _initialise

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "clear_grad",
    "is_lazy",
]


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

    persistent: bool = True

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is None:
            data = empty(0)
        _initialise(self, data._buffer, data.dtype, data.device)
        self._counter = data._counter
        self.persistent = persistent


class _Uninitialized(Tensor):
    """A tensor that has a type and a device, but no shape and no memory yet."""

    cls_to_become: type[Tensor]

    def _begin(self, requires_grad: bool, device: str | Device | None, dtype: DType | None) -> None:
        none = empty(0, device=device, dtype=dtype)
        _initialise(self, none._buffer, none.dtype, none.device)
        self._requires_grad = requires_grad
        del self._buffer

    def materialize(
        self,
        shape: Sequence[int],
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        """Become an ordinary parameter or buffer of this shape, its values arbitrary."""
        made = empty(*shape, device=device or self.device, dtype=dtype or self.dtype)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self._show(made)

    def __getattr__(self, name: str) -> Any:
        if name == "_buffer":
            raise ValueError(
                f"Attempted to use an uninitialized parameter. Call `forward` with a dummy batch "
                f"to initialize the lazy module that this {type(self).__name__} is of"
            )
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def shape(self) -> Size:
        """There is none yet: RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    @property
    def data(self) -> Tensor:
        """An empty tensor of its type and device, which a conversion of modules changes."""
        return empty(0, device=self.device, dtype=self.dtype)

    @data.setter
    def data(self, value: Tensor) -> None:
        self.dtype, self.device = value.dtype, value.device

    def detach(self) -> Tensor:
        """Itself: there is nothing to share."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            make: Any = type(self)
            memo[id(self)] = make(self._requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self._requires_grad, self.device, self.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape a lazy module finds out at its first call.

    >>> import minitorch_cnn as torch
    >>> weight = torch.nn.UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> weight.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __init__(
        self,
        requires_grad: bool = True,
        device: str | Device | None = None,
        dtype: DType | None = None,
    ) -> None:
        self._begin(requires_grad, device, dtype)


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer whose shape a lazy module finds out at its first call."""

    cls_to_become = Buffer

    def __init__(
        self,
        requires_grad: bool = False,
        device: str | Device | None = None,
        dtype: DType | None = None,
        persistent: bool = True,
    ) -> None:
        self._begin(requires_grad, device, dtype)
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer has no shape yet."""
    return isinstance(param, _Uninitialized)


def clear_grad(tensor: Tensor, set_to_none: bool) -> None:
    """Forget a tensor's gradient, or fill it with zeros."""
    record.leaf(tensor, read=not set_to_none)
    if set_to_none or tensor.grad is None:
        tensor.grad = None
    else:
        if tensor.grad.requires_grad:
            tensor.grad = tensor.grad.detach()
        tensor.grad.zero_()
