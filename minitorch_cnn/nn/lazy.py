"""Layers that find out at their first call how large their input is.

Before that their parameters are `UninitializedParameter`s; after it they are layers like others,
of the class without "Lazy". Arguments are that class's, less the input's size. As
https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from ..tensor import Tensor
from .conv import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from .linear import Linear
from .module import Module
from .norm import BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d
from .parameter import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyLinear",
    "LazyModuleMixin",
]


class LazyModuleMixin(Module):
    """What makes a module lazy: it calls `initialize_parameters` before its first `forward`.

    A class that has it, before the class whose parameters it makes later, gives them as
    `UninitializedParameter`s, and materialises them there, with `forward`'s arguments at hand. If
    it names a class as `cls_to_become`, it is one of that class from then on.
    """

    cls_to_become: ClassVar[type[Module] | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        make: Any = super().__init__
        make(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(
            self._infer_parameters, with_kwargs=True
        )

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materialise the parameters for these arguments of `forward`."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        return any(is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values()))

    def _lazy_load_hook(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            value = state_dict.get(prefix + name)
            if is_lazy(tensor) and isinstance(value, Tensor) and not is_lazy(value):
                tensor.materialize(value.shape)  # type: ignore[union-attr]

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any) -> None:
        module.initialize_parameters(*args, **kwargs)
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become


class _Lazy(LazyModuleMixin):
    """A layer of `cls_to_become`, whose first argument, the input's size, is found out."""

    __signature__: ClassVar[inspect.Signature]
    _size_name: ClassVar[str]
    _defaults: ClassVar[dict[str, Any]] = {}
    """Those that are other than in `cls_to_become`."""

    def __init_subclass__(cls) -> None:
        if cls.cls_to_become is None:
            return
        size, *rest = inspect.signature(cls.cls_to_become).parameters.values()
        cls._size_name = size.name
        new = [p.replace(default=cls._defaults.get(p.name, p.default)) for p in rest]
        cls.__signature__ = inspect.Signature(new)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        sized: Any = super().__init__
        sized(0, *bound.args, **bound.kwargs)
        self._arguments = bound.args, bound.kwargs
        for name, parameter in self._parameters.items():
            if parameter is not None:
                kind = (parameter.device, parameter.dtype)
                self._parameters[name] = UninitializedParameter(True, *kind)
        for name, buffer in self._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                kind = (buffer.device, buffer.dtype)
                self._buffers[name] = UninitializedBuffer(False, *kind)

    def reset_parameters(self) -> None:
        """Draw the parameters anew, once their shapes are known."""
        if not self.has_uninitialized_params() and getattr(self, self._size_name) != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Make the parameters that a layer for inputs of this size has."""
        arguments, options = self._arguments
        size = self._size(input)
        if self.has_uninitialized_params():
            make: Any = self.cls_to_become
            made = make(size, *arguments, **options)
            for name, member in made._own_state():
                own: Any = getattr(self, name)
                if is_lazy(own):
                    own.materialize(member.shape)
                    own.data = member.detach().to(device=own.device, dtype=own.dtype)
        setattr(self, self._size_name, size)
        del self._arguments

    def _size(self, input: Tensor) -> int:
        """The input's size along the dimension that counts."""
        return input.shape[1]


class _LazyConv(_Lazy):
    _dims: ClassVar[int]

    def _size(self, input: Tensor) -> int:
        if input.dim() not in (self._dims + 1, self._dims + 2):
            raise RuntimeError(
                f"Expected {self._dims + 1}D (unbatched) or {self._dims + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        return input.shape[-self._dims - 1]


class LazyLinear(_Lazy, Linear):
    """`Linear` whose `in_features` are those of its first input.

    >>> import minitorch_cnn as torch
    >>> layer = torch.nn.LazyLinear(3)
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(torch.zeros(2, 5)).shape
    torch.Size([2, 3])
    >>> layer
    Linear(in_features=5, out_features=3, bias=True)
    """

    cls_to_become = Linear

    def _size(self, input: Tensor) -> int:
        return input.shape[-1]


class LazyConv1d(_LazyConv, Conv1d):
    """`Conv1d` whose `in_channels` are those of its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """`Conv2d` whose `in_channels` are those of its first input.

    >>> import minitorch_cnn as torch
    >>> conv = torch.nn.LazyConv2d(8, 3)
    >>> conv(torch.zeros(1, 3, 9, 9)).shape
    torch.Size([1, 8, 7, 7])
    >>> conv
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
    """

    cls_to_become = Conv2d


class LazyConvTranspose1d(_LazyConv, ConvTranspose1d):
    """`ConvTranspose1d` whose `in_channels` are those of its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConv, ConvTranspose2d):
    """`ConvTranspose2d` whose `in_channels` are those of its first input."""

    cls_to_become = ConvTranspose2d


class LazyBatchNorm1d(_Lazy, BatchNorm1d):
    """`BatchNorm1d` whose `num_features` are those of its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_Lazy, BatchNorm2d):
    """`BatchNorm2d` whose `num_features` are those of its first input."""

    cls_to_become = BatchNorm2d


_TRACKED = {"affine": True, "track_running_stats": True}  # PyTorch's, if lazy


class LazyInstanceNorm1d(_Lazy, InstanceNorm1d):
    """`InstanceNorm1d` whose `num_features` are those of its first input."""

    cls_to_become = InstanceNorm1d
    _defaults = _TRACKED


class LazyInstanceNorm2d(_Lazy, InstanceNorm2d):
    """`InstanceNorm2d` whose `num_features` are those of its first input."""

    cls_to_become = InstanceNorm2d
    _defaults = _TRACKED
