"""Copies: to another type, into memory of their own, into memory that is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes, memory
from ..autograd.graph import recording, reduce_to, zeros
from ..autograd.op import Result
from ..device import Device, as_device, cpu, launch, pinned
from ..dtypes import DType, as_dtype
from ..layout import MemoryFormat, channels_last, contiguous_format, preserve_format
from ..tensor import Tensor, method, wrap
from .operands import Elementwise, cast, fitting, full_like_scalar


@method()
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`to(dtype)`, `to(device)`, `to(device, dtype)` or `to(other)`; itself if nothing changes.

    Keywords `device`, `dtype`, `non_blocking`, `copy` and `memory_format`, as PyTorch's;
    `non_blocking` and `copy` also stand behind the others by position.

    With `non_blocking`, the host need not wait for a copy from pinned memory to a GPU: it must
    leave that memory as it is until the GPU has come to the copy, which `cuda.synchronize` tells.
    Copies from a GPU are done when this returns.
    """
    memory_format = kwargs.pop("memory_format", preserve_format)
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
    named = [kwargs.pop("non_blocking", False), kwargs.pop("copy", False)]
    non_blocking, copy = flags + named[len(flags) :]
    if kwargs:
        raise TypeError(f"to() got unexpected arguments {sorted(kwargs)}")
    if device is not None and as_device(device) is not self.device:
        kernel = "shape.send" if non_blocking else "shape.copy"
        self, copy = Transfer.apply(self, device=as_device(device), kernel=kernel), False
    converted = cast(self, None if dtype is None else as_dtype(dtype))
    if copy and converted is self:
        return clone(self, memory_format=memory_format)
    return contiguous(converted, memory_format) if memory_format is channels_last else converted


class Transfer(Elementwise):
    """y = x on another device"""

    @classmethod
    def outputs(cls, x: Tensor, *, device: Device, kernel: str) -> Result:
        return x._buffer.shape, x.dtype

    @classmethod
    def apply(cls, *inputs: Any, into: Tensor | None = None, **attrs: Any) -> Any:
        (x,), device = inputs, attrs["device"]
        buffer = device.empty(x._buffer.shape, x.dtype.numpy)
        # The device that is not the host knows the way to it and back.
        launch(x.device if device is cpu else device, attrs["kernel"], x._buffer, buffer)
        out = wrap(buffer, x.dtype, device)
        if x.requires_grad and recording.enabled:
            cls.record(inputs, {**attrs, "back": x.device}, (out,))
        return out

    def grad_x(self, gy: Tensor) -> Tensor:
        back = self.attrs["back"]
        moved: Tensor = Transfer.apply(gy, device=back, kernel="shape.copy")
        return moved


@method("is_pinned")
def is_pinned(self: Tensor) -> bool:
    """Whether its elements lie in pinned memory of the host, from which a GPU copies by itself."""
    return memory.is_pinned(self._buffer)


@method("pin_memory")
def pin_memory(self: Tensor) -> Tensor:
    """The tensor in pinned memory of the host: itself if it is there, else a copy.

    From there `to("cuda", non_blocking=True)` does not wait for the GPU. Raises RuntimeError if
    there is no GPU, and for a tensor that is on one.

    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.pin_memory.html
    """
    if self.device is not cpu:
        raise RuntimeError(f"cannot pin a tensor on '{self.device}': only those on the CPU can be")
    if memory.is_pinned(self._buffer):
        return self
    buffer = pinned(self._buffer.shape, self.dtype.numpy)
    launch(cpu, "shape.copy", self._buffer, buffer)
    return wrap(buffer, self.dtype, cpu)


TYPE_NAMES = {
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
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The tensor in another type, given as a dtype, as `torch.LongTensor` or by its name; without
    one, its type's name.

    >>> import minitorch_cnn as torch
    >>> torch.ones(2).type()
    'torch.FloatTensor'
    """
    if dtype is None:
        return TYPE_NAMES[self.dtype]
    if isinstance(dtype, str):
        named = {name: kind for kind, name in TYPE_NAMES.items()}
        if dtype not in named:
            raise ValueError(f"invalid type: {dtype!r}")
        return cast(self, named[dtype])
    return cast(self, as_dtype(getattr(dtype, "dtype", dtype)))


def typename(obj: Any) -> str:
    """A tensor's type as `Tensor.type` has it; of other things, the name of their class.

    >>> import minitorch_cnn as torch
    >>> torch.typename(torch.ones(2)), torch.typename(torch.nn.ReLU())
    ('torch.FloatTensor', 'minitorch_cnn.nn.activation.ReLU')
    """
    if isinstance(obj, Tensor):
        return TYPE_NAMES[obj.dtype]
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None)
    return named.__qualname__ if module in (None, "builtins") else f"{module}.{named.__qualname__}"


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


for _name in ("half", "bfloat16"):

    def _missing(self: Tensor, *, _name: str = _name) -> Tensor:
        raise RuntimeError(
            f"{_name}() needs 16-bit floating-point elements, which there are none of; "
            "the floating-point types are float32 and float64"
        )

    method(_name)(_missing)


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
def clone(input: Tensor, *, memory_format: MemoryFormat = preserve_format) -> Tensor:
    """A copy, through which gradients pass; contiguous unless asked for in `channels_last`."""
    if memory_format is channels_last:
        if input.ndim != 4:
            raise RuntimeError(
                "required rank 4 tensor to use channels_last format, not one of shape "
                f"{list(input.shape)}"
            )
        return clone(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return Clone.apply(input)


@method("contiguous")
def contiguous(self: Tensor, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """Itself if its elements lie in order without gaps, else a copy that does.

    >>> import minitorch_cnn as torch
    >>> x = torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    >>> x.shape, x.stride()
    (torch.Size([2, 3, 4, 5]), (60, 1, 15, 3))
    """
    if memory_format is channels_last:
        return (
            self if self.is_contiguous(memory_format) else clone(self, memory_format=memory_format)
        )
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


@method("apply_")
def apply_(self: Tensor, callable: Any) -> Tensor:
    """Replace each element by what a Python function makes of it. It is slow."""
    return _map(self, callable, self)


@method("map_")
def map_(self: Tensor, tensor: Tensor, callable: Any) -> Tensor:
    """Replace each element by what a Python function makes of it and the other tensor's."""
    return _map(self, callable, self, tensor.expand(self.shape))


def _map(x: Tensor, function: Any, *tensors: Tensor) -> Tensor:
    if x.requires_grad:
        raise RuntimeError("Can't call apply_() or map_() on a tensor that requires grad")
    rows = [t._host().reshape(-1).tolist() for t in tensors]
    values = np.array([function(*numbers) for numbers in zip(*rows)], x.dtype.numpy)
    launch(x.device, "shape.copy", values.reshape(x.shape), x._buffer)
    x._bump()
    return x


@method("zero_")
def zero_(self: Tensor) -> Tensor:
    """Write zero everywhere."""
    return fill_(self, 0)
