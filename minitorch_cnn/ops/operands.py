"""Operands: numbers and tensors brought to one type, broadcasting, and how functions of them are
offered under PyTorch's names."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import dtypes, record
from ..autograd.graph import recording, reduce_to
from ..autograd.op import Op, Result
from ..device import Device, cpu, launch
from ..dtypes import DType, dtype_of, promote
from ..tensor import Tensor, method, wrap

Function = Callable[..., Tensor]
F = TypeVar("F", bound=Callable[..., Any])

# ---------------------------------------------------------------------- numbers and promotion


def full_like_scalar(value: Any, dtype: DType, device: Device) -> Tensor:
    """A 0-dim tensor of one value, converted as C does: integers wrap around."""
    buffer = device.empty((), dtype.numpy)
    launch(device, "shape.fill", buffer, value)
    return wrap(buffer, dtype, device)


MOST_CONSTANTS = 256

_constants: dict[Any, Tensor] = {}
"""Numbers that operators met, as tensors; nobody else sees them, so nobody writes them."""


def _constant(value: Any, dtype: DType, device: Device) -> Tensor:
    """`full_like_scalar`, but the same tensor for the same number."""
    key: Any = type(value), value, dtype, device
    if value == 0:  # there are two zeros, equal and unlike
        key += (math.copysign(1, value),)
    found = _constants.get(key)
    if found is None:
        if len(_constants) >= MOST_CONSTANTS:
            _constants.clear()
        with record.apart():  # a recorded step finds it there
            found = _constants[key] = full_like_scalar(value, dtype, device)
    return found


def fitting(value: Any, dtype: DType) -> Any:
    """The number itself; refused if the type can't hold it."""
    if dtype.category == 1:
        limits = np.iinfo(dtype.numpy)
        fits = limits.min <= value <= limits.max  # NaN does not
    else:
        fits = dtype.category == 0 or not np.finfo(dtype.numpy).max < abs(value) < float("inf")
    if not fits:
        raise RuntimeError(f"value {value} cannot be converted to type {dtype} without overflow")
    return value


def as_operand(value: Any) -> tuple[Tensor | None, DType, Any]:
    """A tensor, or None and the Python number; and its type for promotion."""
    if isinstance(value, Tensor):
        return value, value.dtype, None
    if isinstance(value, np.ndarray):
        array = wrap(value, dtype_of(value), cpu)
        return array, array.dtype, None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return None, dtypes.bool_, value
    if isinstance(value, int):
        return None, dtypes.int64, value
    if isinstance(value, float):
        return None, dtypes.get_default_dtype(), value
    raise TypeError(f"expected a Tensor or a number, not {type(value).__name__}")


def result_type(*operands: Any) -> DType:
    """The type in which operands meet: tensors with dimensions count first, then those without,
    then Python numbers; lesser ones only lift the result to a higher category.

    >>> import minitorch_cnn as torch
    >>> torch.result_type(torch.ones(2, dtype=torch.uint8), 3.5)
    torch.float32
    """
    ranks: list[DType | None] = [None, None, None]
    for value in operands:
        tensor, dtype, _ = as_operand(value)
        rank = 2 if tensor is None else (0 if tensor._buffer.ndim else 1)
        before = ranks[rank]
        ranks[rank] = dtype if before is None else promote(before, dtype)
    result: DType | None = None
    for dtype_at_rank in ranks:
        if dtype_at_rank is not None and (
            result is None or dtype_at_rank.category > result.category
        ):
            result = dtype_at_rank
    assert result is not None
    return result


def pair(a: Any, b: Any) -> Sequence[Tensor]:
    """Two values as tensors of one type, on one device."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.dtype is b.dtype:
        return a, b
    return operands(a, b)


def operands(*values: Any, floating: bool = False) -> list[Tensor]:
    """The values as tensors of one type, on one device."""
    first = next((v for v in values if isinstance(v, Tensor)), None)
    if first is None:
        raise TypeError(f"expected at least one Tensor among {values!r}")
    dtype = first.dtype
    for v in values:
        if isinstance(v, Tensor):
            if v.dtype is not dtype:
                dtype = result_type(*values)
                break
        elif dtype.category != 2 or type(v) not in (int, float):
            dtype = result_type(*values)
            break
    if floating and dtype.category != 2:
        dtype = dtypes.get_default_dtype()
    tensors = []
    for value in values:
        tensor, _, number = as_operand(value)
        if tensor is None:
            tensor = _constant(number, dtype, first.device)
        elif tensor.dtype is not dtype:
            tensor = cast(tensor, dtype)
        tensors.append(tensor)
    return tensors


def broadcast_shape(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes meet in: aligned at the last dimension, sizes equal or 1."""
    first = shapes[0]
    if all([shape == first for shape in shapes]):
        return first
    result = [1] * max([len(shape) for shape in shapes])
    for shape in shapes:
        offset = len(result) - len(shape)
        for i, n in enumerate(shape, offset):
            if n != 1:
                if result[i] not in (1, n):
                    raise RuntimeError(
                        f"{name}: the sizes {' and '.join(str(tuple(s)) for s in shapes)} do not "
                        f"match at dimension {i}: {result[i]} and {n}"
                    )
                result[i] = n
    return tuple(result)


# ---------------------------------------------------------------------- kinds of op


class Elementwise(Op):
    """An op on elements. Its inputs come with one type, any strides, and broadcast."""

    contiguous = False
    categories: ClassVar[tuple[int, ...]] = (0, 1, 2)
    """The categories of element types for which it is defined."""

    @classmethod
    def broadcast(cls, *tensors: Tensor) -> tuple[int, ...]:
        """The shape of the result."""
        return broadcast_shape(cls.__name__.lower(), *[t._buffer.shape for t in tensors])

    @classmethod
    def require_category(cls, x: Tensor) -> None:
        """Refuse element types for which the op is not defined."""
        if x.dtype.category not in cls.categories:
            raise NotImplementedError(f"{cls.__name__.lower()} is not defined for {x.dtype}")


class Unary(Elementwise):
    """y = f(x)"""

    @classmethod
    def outputs(cls, x: Tensor) -> Result:
        cls.require_category(x)
        return x._buffer.shape, x.dtype


class Binary(Elementwise):
    """y = f(a, b)"""

    @classmethod
    def outputs(cls, a: Tensor, b: Tensor) -> Result:
        cls.require_category(a)
        return cls.broadcast(a, b), a.dtype


class Test(Unary):
    """y = whether something holds of x"""

    @classmethod
    def outputs(cls, x: Tensor) -> Result:
        return x._buffer.shape, dtypes.bool_


class Comparison(Binary):
    """y = whether something holds of a and b"""

    @classmethod
    def outputs(cls, a: Tensor, b: Tensor) -> Result:
        return cls.broadcast(a, b), dtypes.bool_


# ---------------------------------------------------------------------- types


class Cast(Elementwise):
    """y = x in another type"""

    kernel = "shape.copy"

    @classmethod
    def outputs(cls, x: Tensor, *, dtype: DType) -> Result:
        return x._buffer.shape, dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return cast(gy, self.types[0])


def cast(input: Tensor, dtype: DType | None) -> Tensor:
    """The tensor itself if it has the type, else a copy that has."""
    return input if dtype is None or input.dtype is dtype else Cast.apply(input, dtype=dtype)


def floating(input: Tensor) -> Tensor:
    """The tensor in the default type, if its own isn't a floating-point one."""
    return input if input.dtype.category == 2 else cast(input, dtypes.get_default_dtype())


# ---------------------------------------------------------------------- public names


def numpy_names(function: F) -> F:
    """Have a function take NumPy's names too, `axis` and `keepdims`, as PyTorch does."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return function(*args)
        for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")):
            if theirs in kwargs:
                kwargs[ours] = kwargs.pop(theirs)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def in_place(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The form of a function that writes its first argument: `exp_` of `exp`."""

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(self, *args, into=self, **kwargs)

    return _named(write, name)


def written(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """As `in_place`, for a function of several ops: it is computed first and then copied."""

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = [a for a in (self, *args) if isinstance(a, Tensor)]
        # What the ops keep for `backward` must not be overwritten.
        recorded = recording.enabled and any([a.requires_grad for a in given])
        kept = self.clone() if recorded else self
        result = function(kept, *[kept if a is self else a for a in args], **kwargs)
        if result.dtype.category > self.dtype.category:
            raise RuntimeError(
                f"result type {result.dtype} can't be cast to the desired output type {self.dtype}"
            )
        if result._buffer.shape != self._buffer.shape:
            raise RuntimeError(
                f"output with shape {list(self.shape)} doesn't match "
                f"the broadcast shape {list(result.shape)}"
            )
        return self.copy_(result)

    return _named(write, name)


def _named(write: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    write.__name__ = name
    write.__doc__ = f"In-place form of `{name[:-1]}`."
    return method(name)(write)


def alias(function: Callable[..., Any], write: Callable[..., Any] | None, *names: str) -> None:
    """Offer a function, and its in-place form, as methods of other names too."""
    for name in names:
        method(name)(function)
        if write is not None:
            method(f"{name}_")(write)


def function_of(
    op: type[Op], name: str, *, to_float: bool = False, numbers: bool = True
) -> Function:
    """The function `name(input)` or `name(input, other)` of an op, and the method.

    With `to_float`, integers are first turned into floating-point numbers. Without `numbers`, both
    operands must be tensors.
    """

    def one(input: Tensor, *, into: Tensor | None = None) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}: expected a Tensor, not {type(input).__name__}")
        x = floating(input) if to_float else input
        return op.apply_one(x) if into is None else op.apply(x, into=into)

    def two(input: Any, other: Any, *, into: Tensor | None = None) -> Tensor:
        if not numbers:
            for value in (input, other):
                if not isinstance(value, Tensor):
                    raise TypeError(f"{name}: expected a Tensor, not {value!r}")
        a, b = operands(input, other, floating=True) if to_float else pair(input, other)
        return op.apply_two(a, b) if into is None else op.apply(a, b, into=into)

    function: Function = one if len(op.inputs_named) == 1 else two
    function.__name__, function.__doc__ = name, op.__doc__
    return method(name)(function)


def unary(op: type[Op], name: str, *, to_float: bool = True) -> tuple[Function, Function]:
    """The function `name(input)` of an op, and its in-place form; methods of the same names."""
    function = function_of(op, name, to_float=to_float)
    return function, in_place(function, f"{name}_")


def binary(
    op: type[Op],
    name: str,
    operator: str = "",
    *,
    to_float: bool = False,
    numbers: bool = True,
) -> tuple[Function, Function]:
    """The function `name(input, other)` of an op, and its in-place form; methods of these names
    and, given `operator`, `__operator__`, `__roperator__` and `__ioperator__`."""
    function = function_of(op, name, to_float=to_float, numbers=numbers)
    write = in_place(function, f"{name}_")
    if operator:
        bind_operator(operator, function, write, None if to_float else op)
    return function, write


def bind_operator(
    name: str, function: Function, written: Function | None = None, op: type[Op] | None = None
) -> None:
    """Bind a function of two operands to Tensor's operator, from both sides and in place. Of two
    tensors of one type it comes to an op, if that is given."""

    known = (Tensor, bool, int, float, np.ndarray, np.generic)

    def left(self: Tensor, other: Any) -> Tensor:
        if op is not None and isinstance(other, Tensor) and other.dtype is self.dtype:
            return op.apply_two(self, other)
        return function(self, other) if isinstance(other, known) else NotImplemented

    def right(self: Tensor, other: Any) -> Tensor:
        return function(other, self) if isinstance(other, known) else NotImplemented

    method(f"__{name}__")(left)
    if written is not None:
        method(f"__r{name}__")(right)
        method(f"__i{name}__")(written)


# ---------------------------------------------------------------------- ops from a table

Slope = Callable[..., Tensor]


def _rule(slope: Slope, place: int) -> Callable[..., Tensor]:
    """The gradient rule of a function whose slope in one argument is a function of some of its
    arguments and its result, by name."""

    def rule(self: Op, gy: Tensor, *kept: Tensor) -> Tensor:
        return reduce_to(gy * slope(*kept), self.shapes[place])

    names = ["self", "gy", *inspect.signature(slope).parameters]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    rule.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    return rule


def _op(base: type[Op], name: str, formula: str, slopes: dict[str, Slope | None]) -> type[Op]:
    """The op behind a line of a table. Its kernel has its name."""
    body: dict[str, Any] = {"__doc__": formula, "kernel": f"elementwise.{name}"}
    for place, (argument, slope) in enumerate(slopes.items()):
        if slope is not None:
            body[f"grad_{argument}"] = _rule(slope, place)
    return type(name.title(), (base,), body)


def smooth(name: str, formula: str, slope: Slope) -> tuple[Function, Function]:
    """The function `name(input)` of real numbers, and its in-place form; methods of these names.

    The slope is a function of the argument "x", the result "y" or both.
    """
    return unary(_op(Unary, name, formula, {"x": slope}), name)


def smooth_of_two(
    name: str,
    formula: str,
    slope_a: Slope | None,
    slope_b: Slope | None,
    *,
    to_float: bool = False,
    categories: tuple[int, ...] = (0, 1, 2),
    numbers: bool = False,
) -> Function:
    """The function `name(input, other)`, and the method.

    The slopes are functions of some of the arguments "a" and "b" and the result "y"; None for zero.
    """
    op = _op(Binary, name, formula, {"a": slope_a, "b": slope_b})
    op.categories = categories  # type: ignore[attr-defined]
    return function_of(op, name, to_float=to_float, numbers=numbers)
