"""Copies: to another type, into memory of their own, into memory that is there."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autograd.graph import reduce_to, zeros
from ..autograd.op import Result
from ..device import Device
from ..dtypes import DType, as_dtype
from ..tensor import Tensor, method
from .operands import Elementwise, cast, fitting, full_like_scalar


@method()
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`to(dtype)`, `to(device)`, `to(device, dtype)` or `to(other)`; itself if nothing changes.

    Keywords `device`, `dtype`, `non_blocking` and `copy`, as PyTorch's; the last two also stand
    behind the others by position.
    """
    dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
    flags = []
    for value in args:
        if isinstance(value, Tensor):
            dtype, device = value.dtype, value.device
        elif isinstance(value, bool):
            flags.append(value)
        elif isinstance(value, (str, Device)):
            device = value
        elif isinstance(value, DType) or value in (float, int, bool):
            dtype = value
        elif value is not None:
            raise TypeError(f"to() expected a dtype, a device or a Tensor, not {value!r}")
    # A copy on one device has nothing to wait for: `non_blocking` is read and left alone.
    named = [kwargs.pop("non_blocking", False), kwargs.pop("copy", False)]
    copy = (flags + named[len(flags) :])[1]
    if kwargs:
        raise TypeError(f"to() got unexpected arguments {sorted(kwargs)}")
    if device is not None and Device(device) is not self.device:
        raise RuntimeError(f"device '{device}' has no kernels in this version; use device='cpu'")
    if dtype is None or as_dtype(dtype) is self.dtype:
        return clone(self) if copy else self
    return cast(self, as_dtype(dtype))


_TYPE_NAMES = {
    dtypes.bool_: "torch.BoolTensor",
    dtypes.uint8: "torch.ByteTensor",
    dtypes.int8: "torch.CharTensor",
    dtypes.int16: "torch.ShortTensor",
    dtypes.int32: "torch.IntTensor",
    dtypes.int64: "torch.LongTensor",
    dtypes.float32: "torch.FloatTensor",
    dtypes.float64: "torch.DoubleTensor",
}


@method("type")
def type_(self: Tensor, dtype: DType | str | None = None) -> Any:
    """The tensor in another type, given as a dtype or by its name; without one, its type's name.

    >>> import minitorch_cnn as torch
    >>> torch.ones(2).type()
    'torch.FloatTensor'
    """
    if dtype is None:
        return _TYPE_NAMES[self.dtype]
    named = {name: kind for kind, name in _TYPE_NAMES.items()}
    return cast(self, named[dtype] if dtype in named else as_dtype(dtype))


@method()
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in another one's type."""
    return cast(self, other.dtype)


for _name, _dtype in {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "bool": dtypes.bool_,
    "byte": dtypes.uint8,
    "char": dtypes.int8,
    "short": dtypes.int16,
    "int": dtypes.int32,
    "long": dtypes.int64,
}.items():
    method(_name)(lambda self, _dtype=_dtype: cast(self, _dtype))


@method("cpu")
def _cpu(self: Tensor) -> Tensor:
    """The tensor on the CPU."""
    return to(self, "cpu")


class Clone(Elementwise):
    """y = x in memory of its own, contiguous"""

    kernel = "shape.copy"

    @classmethod
    def outputs(cls, x: Tensor) -> Result:
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return gy


@method("clone")
def clone(input: Tensor) -> Tensor:
    """A copy, through which gradients pass."""
    return Clone.apply(input)


@method("contiguous")
def contiguous(self: Tensor) -> Tensor:
    """Itself if its elements lie in order without gaps, else a copy that does."""
    return self if self._buffer.flags.c_contiguous else clone(self)


class CopyInto(Elementwise):
    """x = source, broadcast and cast"""

    kernel = "shape.copy_second"

    @classmethod
    def outputs(cls, x: Tensor, source: Tensor) -> Result:
        if cls.broadcast(x, source) != x._buffer.shape:
            raise RuntimeError(
                f"copy_: the shape {list(source.shape)} can't be broadcast to {list(x.shape)}"
            )
        return x._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return zeros(gy._buffer.shape, gy.dtype, gy.device)

    def grad_source(self, gy: Tensor) -> Tensor:
        return cast(reduce_to(gy, self.shapes[1]), self.types[1])


@method("copy_")
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write the elements of `src`, broadcast and cast, into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_: expected a Tensor, not {type(src).__name__}")
    return CopyInto.apply(self, src, into=self)


@method("fill_")
def fill_(self: Tensor, value: Any) -> Tensor:
    """Write one value everywhere: a number, or a tensor without dimensions."""
    if not isinstance(value, Tensor):
        value = full_like_scalar(fitting(value, self.dtype), self.dtype, self.device)
    elif value.ndim:
        raise RuntimeError(
            "fill_ only supports a value tensor without dimensions, "
            f"not of shape {list(value.shape)}"
        )
    return copy_(self, value)


@method("zero_")
def zero_(self: Tensor) -> Tensor:
    """Write zero everywhere."""
    return fill_(self, 0)
