"""New tensors: from values, of constants, ranges and random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dlpack, dtypes
from ..device import Device, as_device, launch, numbered
from ..dtypes import DType, as_dtype, dtype_of
from ..layout import MemoryFormat, preserve_format
from ..random import Generator, generator_for
from ..tensor import Tensor, legacy_buffer, method, wrap
from .convert import TYPE_NAMES, contiguous
from .operands import cast, fitting
from .shape import sizes

DeviceLike = str | Device | None


def _values(data: Any) -> tuple[np.ndarray[Any, Any], DType]:
    """Values as an array, and the type that a tensor of them has unless told otherwise."""
    if isinstance(data, Tensor):
        return data._host(), data.dtype
    array = np.asarray(_numbers(data))
    if _is_python(data) and array.dtype == np.float64:
        return array, dtypes.get_default_dtype()
    if _is_python(data) and array.size and isinstance(array.flat[0], (int, np.uint64)):
        raise OverflowError(f"{data!r} does not fit int64")
    return array, dtype_of(array)


def _is_python(data: Any) -> bool:
    """Whether these are Python's numbers, which must fit, or lists of them."""
    return not isinstance(data, (Tensor, np.ndarray, np.generic))


def _numbers(data: Any) -> Any:
    """Nested lists with the tensors among them replaced by lists, whose numbers are Python's."""
    if isinstance(data, (list, tuple)):
        return [_numbers(value) for value in data]
    return data.tolist() if isinstance(data, Tensor) else data


def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with a copy of the data: numbers, nested lists of them, arrays, tensors.

    Floats become the default type unless they come in an array.

    >>> import minitorch_cnn as torch
    >>> torch.tensor([[1, 2], [3, 4]]).dtype, torch.tensor([1.5]).dtype
    (torch.int64, torch.float32)
    """
    try:
        array, kind = _values(data)
    except ValueError as error:
        raise ValueError(f"tensor: the lists do not form a regular array: {error}") from None
    kind = kind if dtype is None else as_dtype(dtype)
    if kind.category == 1 and array.dtype != kind.numpy and array.size and _is_python(data):
        for bound in (array.min(), array.max()):
            fitting(bound.item(), kind)
    place = as_device(device)
    buffer = place.empty(array.shape, kind.numpy)
    launch(place, "shape.copy", array, buffer)
    return wrap(buffer, kind, place).requires_grad_(requires_grad)


def asarray(
    obj: Any,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The object as a tensor: sharing its memory where that is possible, or `copy` False demands
    it, and a copy where it is True. `requires_grad` is set, not kept.

    >>> import minitorch_cnn as torch
    >>> x = torch.ones(2)
    >>> torch.asarray(x) is x, torch.asarray(x, copy=True) is x
    (True, False)
    """
    shared = as_tensor(obj, dtype=dtype, device=device)
    source = obj._buffer if isinstance(obj, Tensor) else obj
    shares = isinstance(source, np.ndarray) and np.shares_memory(source, shared._buffer)
    if copy is False and not shares:
        raise ValueError(
            f"asarray: a tensor of {shared.dtype} can't share the memory of "
            f"{type(obj).__name__}{f' of {source.dtype}' if isinstance(source, np.ndarray) else ''}"
        )
    out = shared.clone() if copy and shares else shared
    if requires_grad and not out.requires_grad:
        out.requires_grad_()
    return out


def from_dlpack(ext_tensor: Any, *, device: DeviceLike = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of any array that speaks DLPack: NumPy's, PyTorch's, CuPy's, ..; or
    that a capsule shows, which can be taken once.

    With `copy` it has memory of its own; so it has on another `device` than the array's, which
    `copy=False` refuses. https://dmlc.github.io/dlpack/latest/python_spec.html

    >>> import numpy as np
    >>> import minitorch_cnn as torch
    >>> array = np.zeros(2)
    >>> torch.from_dlpack(array)[0] = 1
    >>> array
    array([1., 0.])
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        if device is not None or copy is not None:
            raise AssertionError(
                "device and copy kwargs not supported when ext_tensor is already a DLPack capsule."
            )
        ext_tensor = dlpack.Capsule(ext_tensor)
    place = numbered(*ext_tensor.__dlpack_device__())
    target = place if device is None else as_device(device)
    if target is not place and copy is False:
        raise ValueError(
            f"cannot move DLPack tensor from device '{place}' to '{target}' without copying. "
            "Set copy=None or copy=True."
        )
    shared = dlpack.receive(dlpack.offered(ext_tensor, on_host=place.type == "cpu"))
    if place.type == "cpu":
        t = wrap(dlpack.array_of(shared), dtype_of(shared), place)
    else:
        t = wrap(place.memory.adopt(shared), dtype_of(shared), place)
    return t.clone() if copy and target is place else t.to(target)


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule of DLPack, of before it had versions, that shows a tensor's memory.

    `from_dlpack`, here or in another library, takes tensors as they are; this is for code that
    expects capsules.
    """
    return tensor.__dlpack__()


def as_tensor(data: Any, dtype: DType | None = None, device: DeviceLike = None) -> Tensor:
    """The data as a tensor that shares its memory where it can: an array of NumPy's, or one in a
    GPU's memory that has `__cuda_array_interface__`, as CuPy's and PyTorch's do."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if hasattr(data, "__cuda_array_interface__"):
        shared = dlpack.of_interface(data)
        place = numbered(*shared.device)
        t = wrap(place.memory.adopt(shared), dtype_of(shared), place)
        return t.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray) and as_device(device).type == "cpu":
        return cast(from_numpy(data), None if dtype is None else as_dtype(dtype))
    return tensor(data, dtype=dtype, device=device)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor over an array's memory: a write to one is seen in the other.

    An array that can't be written, or isn't aligned for its type, is copied.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy expected an ndarray, not {type(array).__name__}")
    kind = dtype_of(array)
    usable = np.require(array, requirements=["A", "W"])
    return wrap(usable, kind, as_device("cpu"))


@method("__array_wrap__")
def _of_ufunc(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What NumPy's functions make of a tensor is a tensor."""
    return from_numpy(np.asarray(array))


def filled(
    shape: tuple[int, ...], value: Any, dtype: DType, device: DeviceLike, requires_grad: bool
) -> Tensor:
    """A tensor of one value."""
    out = _empty(shape, dtype, device)
    launch(out.device, "shape.fill", out._buffer, fitting(value, out.dtype))
    return out.requires_grad_(requires_grad)


def _empty(shape: tuple[int, ...], dtype: DType | None, device: DeviceLike) -> Tensor:
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(shape)}")
    kind = dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)
    place = as_device(device)
    return wrap(place.empty(shape, kind.numpy), kind, place)


def empty(
    *shape: Any,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """A tensor whose elements are whatever the memory holds."""
    return _empty(sizes(shape, named), dtype, device).requires_grad_(requires_grad)


def zeros(
    *shape: Any,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """A tensor of zeros."""
    return filled(sizes(shape, named), 0, dtype, device, requires_grad)  # type: ignore[arg-type]


def ones(
    *shape: Any,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """A tensor of ones."""
    return filled(sizes(shape, named), 1, dtype, device, requires_grad)  # type: ignore[arg-type]


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of one value, whose type it takes unless told otherwise."""
    fill_value = _number(fill_value)
    if dtype is None:
        dtype = (
            dtypes.bool_
            if isinstance(fill_value, bool)
            else (dtypes.int64 if isinstance(fill_value, int) else dtypes.get_default_dtype())
        )
    return filled(sizes((size,)), fill_value, dtype, device, requires_grad)


def _like(make: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        *args: Any,
        memory_format: MemoryFormat = preserve_format,
        dtype: DType | None = None,
        device: DeviceLike = None,
        requires_grad: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        out = make(
            tuple(input.shape),
            *args,
            dtype=input.dtype if dtype is None else dtype,
            device=input.device if device is None else device,
            **kwargs,
        )
        return contiguous(out, memory_format).requires_grad_(requires_grad)

    function.__name__ = name
    function.__doc__ = f"`{make.__name__}` in the shape, type and device of `input`."
    return function


def _new(make: Callable[..., Tensor], name: str) -> None:
    def function(
        self: Tensor,
        *args: Any,
        dtype: DType | None = None,
        device: DeviceLike = None,
        **kwargs: Any,
    ) -> Tensor:
        return make(
            *args,
            dtype=self.dtype if dtype is None else dtype,
            device=self.device if device is None else device,
            **kwargs,
        )

    function.__name__ = name
    function.__doc__ = f"`{make.__name__}` in this tensor's type and device."
    method(name)(function)


@method("new")
def _new_of_old(self: Tensor, *args: Any) -> Tensor:
    """A tensor in this one's type: `new(2, 3)` of a size, unset, `new([2, 3])` of values."""
    return wrap(legacy_buffer(args, self.dtype), self.dtype, self.device)


class TensorType:
    """`torch.FloatTensor` and its like: makes tensors of a type as `Tensor` does of the default
    one, stands for the type in `Tensor.type`, and knows such tensors by `isinstance`.

    >>> import minitorch_cnn as torch
    >>> torch.LongTensor([1, 2]), isinstance(torch.ones(2), torch.FloatTensor)
    (tensor([1, 2]), True)
    >>> torch.ones(2).type(torch.IntTensor)
    tensor([1, 1], dtype=torch.int32)
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype

    def __call__(self, *args: Any) -> Tensor:
        return wrap(legacy_buffer(args, self.dtype), self.dtype, as_device("cpu"))

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype is self.dtype

    def __repr__(self) -> str:
        return f"<class '{TYPE_NAMES[self.dtype]}'>"


(
    BoolTensor,
    ByteTensor,
    CharTensor,
    ShortTensor,
    IntTensor,
    LongTensor,
    FloatTensor,
    DoubleTensor,
) = [TensorType(dtype) for dtype in TYPE_NAMES]


def _number(value: Any) -> Any:
    """A Python number, given as such or as a tensor of one element."""
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


def arange(
    start: float | None = None,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, .. below end; from 0 if only the end is given."""
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = None, start
    if end is None:
        raise TypeError("arange: expected at least an end")
    start = 0 if start is None else start
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange: from {start} to {end} leads no step of {step}")
    if dtype is None:
        whole = all(isinstance(v, int) for v in (start, end, step))
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    out = _empty((max(math.ceil((end - start) / step), 0),), dtype, device)
    launch(out.device, "shape.arange", out._buffer, start, step)
    return out.requires_grad_(requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` powers of the base, their exponents at equal distances from start to end.

    >>> import minitorch_cnn as torch
    >>> torch.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    exponents = linspace(start, end, steps, dtype=dtypes.float64, device=device)
    kind = dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)
    return cast(base**exponents, kind).requires_grad_(requires_grad)


def scalar_tensor(
    s: Any,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A number as a tensor without dimensions, of the default type."""
    kind = dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)
    return full((), s, dtype=kind, device=device, requires_grad=requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers at equal distances from start to end, both included."""
    start, end = _number(start), _number(end)
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, not {steps}")
    out = tensor(np.linspace(start, end, steps), device=device)
    kind = dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)
    return cast(out, kind).requires_grad_(requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """A matrix with ones on its diagonal."""
    out = zeros(n, n if m is None else m, dtype=dtype, device=device)
    k = arange(min(out.shape))
    out[k, k] = 1
    return out.requires_grad_(requires_grad)


# ---------------------------------------------------------------------- random numbers


def _random(kernel: str, out: Tensor, generator: Generator | None, *parameters: Any) -> Tensor:
    source = generator_for(out.device) if generator is None else generator
    launch(out.device, kernel, source.state._buffer, out._buffer, *parameters)
    return out


def rand(
    *shape: Any,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Numbers uniform in [0, 1)."""
    out = _empty(sizes(shape, named), _real("rand", dtype), device)
    return _random("random.uniform", out, generator, 0.0, 1.0).requires_grad_(requires_grad)


def randn(
    *shape: Any,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    **named: Any,
) -> Tensor:
    """Numbers from the normal distribution of mean 0 and variance 1."""
    out = _empty(sizes(shape, named), _real("randn", dtype), device)
    return _random("random.normal", out, generator, 0.0, 1.0).requires_grad_(requires_grad)


def _real(name: str, dtype: DType | None) -> DType:
    kind = dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)
    if not kind.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point dtype, not {kind}")
    return kind


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from low to high - 1: `randint(high, size)` or `randint(low, high, size)`."""
    if size is None:
        low, high, size = 0, low, high
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: size must be a tuple of ints, not {size!r}")
    if low >= high:
        raise RuntimeError(
            f"randint expects 'low' to be less than 'high', but got low={low} >= high={high}"
        )
    out = _empty(sizes((size,)), dtypes.int64, device)
    _random("random.integers", out, generator, low, high)
    kind = dtypes.int64 if dtype is None else as_dtype(dtype)
    return cast(out, kind).requires_grad_(requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """The integers below n in a random order: that of as many random numbers."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")
    keys = _random("random.integers", _empty((n,), dtypes.int64, device), generator, 0, 2**63 - 1)
    order = np.argsort(keys._host(), kind="stable")
    kind = dtypes.int64 if dtype is None else as_dtype(dtype)
    return cast(wrap(order, dtypes.int64, as_device("cpu")).to(keys.device), kind).requires_grad_(
        requires_grad
    )


@method("uniform_")
def uniform_(
    self: Tensor,
    from_: float = 0,
    to: float = 1,
    *,
    generator: Generator | None = None,
    **kwargs: Any,
) -> Tensor:
    """Fill with numbers uniform in [from, to)."""
    low = kwargs.pop("from", from_)
    if kwargs:
        raise TypeError(f"uniform_() got unexpected arguments {sorted(kwargs)}")
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}"
        )
    return _refill(self, "random.uniform", generator, float(low), float(to))


@method("normal_")
def normal_(
    self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Tensor:
    """Fill with numbers from a normal distribution."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _refill(self, "random.normal", generator, float(mean), float(std))


def _refill(self: Tensor, kernel: str, generator: Generator | None, *parameters: float) -> Tensor:
    """Overwrite with random numbers, as `copy_` of them would."""
    drawn = _empty(tuple(self.shape), _real(kernel, self.dtype), self.device)
    return self.copy_(_random(kernel, drawn, generator, *parameters))


empty_like = _like(empty, "empty_like")
zeros_like = _like(zeros, "zeros_like")
ones_like = _like(ones, "ones_like")
full_like = _like(full, "full_like")
rand_like = _like(rand, "rand_like")
randn_like = _like(randn, "randn_like")
for _make in (empty, zeros, ones, full, tensor):
    _new(_make, f"new_{_make.__name__}")
