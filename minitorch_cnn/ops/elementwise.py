"""Arithmetic, comparisons and elementary functions of each element, with broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.op import Op, Result
from ..device import Device, cpu, launch
from ..dtypes import DType, as_dtype, dtype_of, promote
from ..tensor import Tensor, method, wrap

Function = Callable[..., Tensor]


# ---------------------------------------------------------------------- operands


def full_like_scalar(value: Any, dtype: DType, device: Device) -> Tensor:
    """A 0-dim tensor of one value."""
    buffer = device.empty((), dtype.numpy)
    launch(device, "shape.fill", buffer, value)
    return wrap(buffer, dtype, device)


def as_operand(value: Any, like: Tensor) -> tuple[Tensor | None, DType, Any]:
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
        tensor, dtype, _ = as_operand(value, operands[0])
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


def operands(*values: Any, floating: bool = False) -> list[Tensor]:
    """The values as tensors of one type, on one device."""
    first = next((v for v in values if isinstance(v, Tensor)), None)
    if first is None:
        raise TypeError(f"expected at least one Tensor among {values!r}")
    dtype = first.dtype
    if not all(
        isinstance(v, Tensor) and v.dtype is dtype or type(v) is int and dtype.category == 2
        for v in values
    ):
        dtype = result_type(*values)
    if floating and not dtype.is_floating_point:
        dtype = dtypes.get_default_dtype()
    tensors = []
    for value in values:
        tensor, _, number = as_operand(value, first)
        if tensor is None:
            tensor = full_like_scalar(number, dtype, first.device)
        elif tensor.dtype is not dtype:
            tensor = cast(tensor, dtype)
        tensors.append(tensor)
    return tensors


def broadcast_shape(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes meet in: aligned at the last dimension, sizes equal or 1."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    result = [1] * max(len(shape) for shape in shapes)
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


class Elementwise(Op):
    """An op on elements. Its inputs come with one type, any strides, and broadcast."""

    contiguous = False

    @classmethod
    def broadcast(cls, *tensors: Tensor) -> tuple[int, ...]:
        """The shape of the result."""
        return broadcast_shape(cls.__name__.lower(), *[t._buffer.shape for t in tensors])


class Unary(Elementwise):
    """y = f(x)"""

    @classmethod
    def outputs(cls, x: Tensor) -> Result:
        return x._buffer.shape, x.dtype


class Binary(Elementwise):
    """y = f(a, b)"""

    @classmethod
    def outputs(cls, a: Tensor, b: Tensor) -> Result:
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


@method()
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`to(dtype)`, `to(device)`, `to(device, dtype)` or `to(other)`; itself if nothing changes.

    Keywords `device`, `dtype`, `copy` and `non_blocking`, as PyTorch's.
    """
    dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
    copy = kwargs.pop("copy", False)
    kwargs.pop("non_blocking", None)  # a copy on one device has nothing to wait for
    if kwargs:
        raise TypeError(f"to() got unexpected arguments {sorted(kwargs)}")
    for value in args:
        if isinstance(value, Tensor):
            dtype, device = value.dtype, value.device
        elif isinstance(value, (str, Device)):
            device = value
        elif isinstance(value, DType) or value in (float, int, bool) and not isinstance(value, bool):
            dtype = value
        elif isinstance(value, bool) or value is None:
            continue  # non_blocking, by position
        else:
            raise TypeError(f"to() expected a dtype, a device or a Tensor, not {value!r}")
    if device is not None and Device(device) is not self.device:
        raise RuntimeError(f"device '{device}' has no kernels in this version; use device='cpu'")
    if dtype is None or as_dtype(dtype) is self.dtype:
        return self.clone() if copy else self
    return cast(self, as_dtype(dtype))


@method("type")
def _type(self: Tensor, dtype: DType | None = None) -> Any:
    """The tensor in another type; without one, PyTorch's name of its type."""
    if dtype is not None:
        return cast(self, as_dtype(dtype))
    names = {"bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int",
             "int64": "Long", "float32": "Float", "float64": "Double"}
    return f"torch.{names[self.dtype.name]}Tensor"


@method()
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in another one's type."""
    return cast(self, other.dtype)


for _name, _dtype in {"float": dtypes.float32, "double": dtypes.float64, "int": dtypes.int32,
                      "long": dtypes.int64, "bool": dtypes.bool_, "byte": dtypes.uint8}.items():
    method(_name)(lambda self, _dtype=_dtype: cast(self, _dtype))


# ---------------------------------------------------------------------- arithmetic


class Add(Binary):
    """y = a + b"""

    kernel = "elementwise.add"

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[1])


class Sub(Binary):
    """y = a - b"""

    kernel = "elementwise.sub"

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor) -> Tensor:
        return reduce_to(-gy, self.shapes[1])


class Mul(Binary):
    """y = a b"""

    kernel = "elementwise.mul"

    def grad_a(self, gy: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * b, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor) -> Tensor:
        return reduce_to(gy * a, self.shapes[1])


class Div(Binary):
    """y = a / b"""

    kernel = "elementwise.div"

    def grad_a(self, gy: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy / b, self.shapes[0])

    def grad_b(self, gy: Tensor, b: Tensor, y: Tensor) -> Tensor:
        return reduce_to(-gy * (y / b), self.shapes[1])


class FloorDivide(Binary):
    """y = floor(a / b)"""

    kernel = "elementwise.floor_divide"


class Remainder(Binary):
    """y = a - b floor(a / b)"""

    kernel = "elementwise.remainder"

    def grad_a(self, gy: Tensor) -> Tensor:
        return reduce_to(gy, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(-gy * floor_divide(a, b), self.shapes[1])


class Pow(Binary):
    """y = a^b"""

    kernel = "elementwise.pow"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        slope = where(b == 0, 0.0, b * a ** (b - 1))  # a^0 is flat, at 0 too
        return reduce_to(gy * slope, self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor, y: Tensor) -> Tensor:
        slope = where((a == 0) & (b >= 0), 0.0, y * log(a))  # 0^b is flat where it is defined
        return reduce_to(gy * slope, self.shapes[1])


class Maximum(Binary):
    """y = max(a, b); equal elements share the gradient"""

    kernel = "elementwise.maximum"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * _share(a > b, a == b, gy), self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * _share(b > a, a == b, gy), self.shapes[1])


class Minimum(Binary):
    """y = min(a, b); equal elements share the gradient"""

    kernel = "elementwise.minimum"

    def grad_a(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * _share(a < b, a == b, gy), self.shapes[0])

    def grad_b(self, gy: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return reduce_to(gy * _share(b < a, a == b, gy), self.shapes[1])


def _share(chosen: Tensor, tied: Tensor, like: Tensor) -> Tensor:
    return cast(chosen, like.dtype) + cast(tied, like.dtype) * 0.5


# ---------------------------------------------------------------------- functions of one number


class Neg(Unary):
    """y = -x"""

    kernel = "elementwise.neg"

    def grad_x(self, gy: Tensor) -> Tensor:
        return -gy


class Abs(Unary):
    """y = |x|"""

    kernel = "elementwise.abs"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * sign(x)


class Reciprocal(Unary):
    """y = 1 / x"""

    kernel = "elementwise.reciprocal"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return -gy * y * y


class Sqrt(Unary):
    """y = sqrt(x)"""

    kernel = "elementwise.sqrt"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return gy / (y * 2)


class Exp(Unary):
    """y = e^x"""

    kernel = "elementwise.exp"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return gy * y


class Expm1(Unary):
    """y = e^x - 1, right for small x too"""

    kernel = "elementwise.expm1"

    def grad_x(self, gy: Tensor, y: Tensor) -> Tensor:
        return gy * (y + 1)


class Log(Unary):
    """y = ln(x)"""

    kernel = "elementwise.log"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / x


class Log1p(Unary):
    """y = ln(1 + x), right for small x too"""

    kernel = "elementwise.log1p"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x + 1)


class Log2(Unary):
    """y = log2(x)"""

    kernel = "elementwise.log2"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x * math.log(2))


class Log10(Unary):
    """y = log10(x)"""

    kernel = "elementwise.log10"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x * math.log(10))


class Sin(Unary):
    """y = sin(x)"""

    kernel = "elementwise.sin"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy * cos(x)


class Cos(Unary):
    """y = cos(x)"""

    kernel = "elementwise.cos"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return -gy * sin(x)


class Atan(Unary):
    """y = arctan(x)"""

    kernel = "elementwise.atan"

    def grad_x(self, gy: Tensor, x: Tensor) -> Tensor:
        return gy / (x * x + 1)


class Step(Unary):
    """A function that is flat almost everywhere: its gradient is zero."""

    def grad_x(self, gy: Tensor) -> Tensor:
        return gy * 0


class Sign(Step):
    """y = 1 above zero, -1 below, else 0"""

    kernel = "elementwise.sign"


class Floor(Step):
    """y = the largest integer that is not above x"""

    kernel = "elementwise.floor"


class Ceil(Step):
    """y = the smallest integer that is not below x"""

    kernel = "elementwise.ceil"


class Round(Step):
    """y = the integer nearest to x, the even one of two"""

    kernel = "elementwise.round"


class Trunc(Step):
    """y = x without its fraction"""

    kernel = "elementwise.trunc"


class IsNan(Test):
    """Whether x is not a number."""

    kernel = "elementwise.isnan"


class IsInf(Test):
    """Whether x is infinite."""

    kernel = "elementwise.isinf"


class IsFinite(Test):
    """Whether x is neither infinite nor NaN."""

    kernel = "elementwise.isfinite"


class LogicalNot(Test):
    """Whether x is zero."""

    kernel = "elementwise.logical_not"


class BitwiseNot(Unary):
    """y = the complement of x's bits, or of a truth value"""

    kernel = "elementwise.bitwise_not"


# ---------------------------------------------------------------------- comparisons


class Eq(Comparison):
    """Whether a = b."""

    kernel = "elementwise.eq"


class Ne(Comparison):
    """Whether a differs from b."""

    kernel = "elementwise.ne"


class Lt(Comparison):
    """Whether a < b."""

    kernel = "elementwise.lt"


class Le(Comparison):
    """Whether a <= b."""

    kernel = "elementwise.le"


class Gt(Comparison):
    """Whether a > b."""

    kernel = "elementwise.gt"


class Ge(Comparison):
    """Whether a >= b."""

    kernel = "elementwise.ge"


class LogicalAnd(Comparison):
    """Whether neither a nor b is zero."""

    kernel = "elementwise.logical_and"


class LogicalOr(Comparison):
    """Whether a or b is not zero."""

    kernel = "elementwise.logical_or"


class LogicalXor(Comparison):
    """Whether just one of a and b is zero."""

    kernel = "elementwise.logical_xor"


class BitwiseAnd(Binary):
    """y = a & b, bit by bit"""

    kernel = "elementwise.bitwise_and"


class BitwiseOr(Binary):
    """y = a | b, bit by bit"""

    kernel = "elementwise.bitwise_or"


class BitwiseXor(Binary):
    """y = a ^ b, bit by bit"""

    kernel = "elementwise.bitwise_xor"


# ---------------------------------------------------------------------- choosing


class Where(Elementwise):
    """y = a where the condition holds, else b"""

    kernel = "elementwise.where"

    @classmethod
    def outputs(cls, condition: Tensor, a: Tensor, b: Tensor) -> Result:
        if condition.dtype is not dtypes.bool_:
            raise RuntimeError(f"where: expected condition to be a bool tensor, not {condition.dtype}")
        return cls.broadcast(condition, a, b), a.dtype

    def grad_a(self, gy: Tensor, condition: Tensor) -> Tensor:
        return reduce_to(where(condition, gy, 0.0), self.shapes[1])

    def grad_b(self, gy: Tensor, condition: Tensor) -> Tensor:
        return reduce_to(where(condition, 0.0, gy), self.shapes[2])


class Clamp(Elementwise):
    """y = min(max(x, low), high)"""

    kernel = "elementwise.clamp"

    @classmethod
    def outputs(cls, x: Tensor, low: Tensor, high: Tensor) -> Result:
        return cls.broadcast(x, low, high), x.dtype

    def grad_x(self, gy: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return reduce_to(where((x >= low) & (x <= high), gy, 0.0), self.shapes[0])

    def grad_low(self, gy: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return reduce_to(where((x < low) & (low < high), gy, 0.0), self.shapes[1])

    def grad_high(self, gy: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return reduce_to(where((x > high) | (low > high), gy, 0.0), self.shapes[2])


# ---------------------------------------------------------------------- the public functions


def in_place(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The form of a function that writes its first argument: `exp_` of `exp`."""

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(self, *args, into=self, **kwargs)

    write.__name__ = name
    write.__doc__ = f"In-place form of `{name[:-1]}`."
    return method(name)(write)


def unary(op: type[Op], name: str, *, to_float: bool = True) -> tuple[Function, Function]:
    """The function `name(input)` of an op, and its in-place form; methods of the same names.

    With `to_float`, integers are first turned into floating-point numbers.
    """

    def function(input: Tensor, *, into: Tensor | None = None) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}: expected a Tensor, not {type(input).__name__}")
        return op.apply(floating(input) if to_float else input, into=into)

    function.__name__, function.__doc__ = name, op.__doc__
    method(name)(function)
    return function, in_place(function, f"{name}_")


def binary(
    op: type[Op], name: str, operator: str = "", *, to_float: bool = False
) -> tuple[Function, Function]:
    """The function `name(input, other)` of an op, and its in-place form; methods of these names
    and, given `operator`, `__operator__`, `__roperator__` and `__ioperator__`."""

    def function(input: Any, other: Any, *, into: Tensor | None = None) -> Tensor:
        return op.apply(*operands(input, other, floating=to_float), into=into)

    function.__name__, function.__doc__ = name, op.__doc__
    method(name)(function)
    written = in_place(function, f"{name}_")
    if operator:
        bind_operator(operator, function, written)
    return function, written


def bind_operator(name: str, function: Function, written: Function | None = None) -> None:
    """Bind a function of two operands to Tensor's operator, from both sides and in place."""

    def is_operand(value: Any) -> bool:
        return isinstance(value, (Tensor, bool, int, float, np.ndarray, np.generic))

    def left(self: Tensor, other: Any) -> Tensor:
        return function(self, other) if is_operand(other) else NotImplemented

    def right(self: Tensor, other: Any) -> Tensor:
        return function(other, self) if is_operand(other) else NotImplemented

    method(f"__{name}__")(left)
    if written is not None:
        method(f"__r{name}__")(right)
        method(f"__i{name}__")(written)


def add(input: Any, other: Any, *, alpha: Any = 1, into: Tensor | None = None) -> Tensor:
    """input + alpha * other"""
    a, b = operands(input, other)
    return Add.apply(a, b if alpha == 1 else b * alpha, into=into)


def sub(input: Any, other: Any, *, alpha: Any = 1, into: Tensor | None = None) -> Tensor:
    """input - alpha * other"""
    a, b = operands(input, other)
    if a.dtype is dtypes.bool_:
        raise RuntimeError("sub: bool tensors can't be subtracted; use logical_xor or ^ instead")
    return Sub.apply(a, b if alpha == 1 else b * alpha, into=into)


method("add")(add)
method("sub", "subtract")(sub)
add_, sub_ = in_place(add, "add_"), in_place(sub, "sub_")
bind_operator("add", add, add_)
bind_operator("sub", sub, sub_)
mul, mul_ = binary(Mul, "mul", "mul")
_true_divide, _ = binary(Div, "true_divide", to_float=True)
floor_divide, floor_divide_ = binary(FloorDivide, "floor_divide", "floordiv")
remainder, remainder_ = binary(Remainder, "remainder", "mod")
pow, pow_ = binary(Pow, "pow", "pow")
maximum, _ = binary(Maximum, "maximum")
minimum, _ = binary(Minimum, "minimum")
eq, _ = binary(Eq, "eq")
ne, _ = binary(Ne, "ne")
lt, _ = binary(Lt, "lt")
le, _ = binary(Le, "le")
gt, _ = binary(Gt, "gt")
ge, _ = binary(Ge, "ge")
logical_and, logical_and_ = binary(LogicalAnd, "logical_and")
logical_or, logical_or_ = binary(LogicalOr, "logical_or")
logical_xor, logical_xor_ = binary(LogicalXor, "logical_xor")
bitwise_and, bitwise_and_ = binary(BitwiseAnd, "bitwise_and", "and")
bitwise_or, bitwise_or_ = binary(BitwiseOr, "bitwise_or", "or")
bitwise_xor, bitwise_xor_ = binary(BitwiseXor, "bitwise_xor", "xor")
for _name, _comparison in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
    bind_operator(_name, _comparison)
method("multiply")(mul)


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, into: Tensor | None = None
) -> Tensor:
    """input / other, exact or rounded: "trunc" towards zero, "floor" down."""
    if rounding_mode == "floor":
        return floor_divide(input, other, into=into)
    if rounding_mode not in (None, "trunc"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' "
            f"but found '{rounding_mode}'"
        )
    if rounding_mode is None:
        return _true_divide(input, other, into=into)
    rounded = trunc(_true_divide(input, other))
    rounded = cast(rounded, result_type(input, other))
    return rounded if into is None else into.copy_(rounded)


method("div", "divide")(div)
div_ = in_place(div, "div_")
bind_operator("truediv", div, div_)

neg, neg_ = unary(Neg, "neg", to_float=False)
abs, abs_ = unary(Abs, "abs", to_float=False)
sign, sign_ = unary(Sign, "sign", to_float=False)
isnan, _ = unary(IsNan, "isnan", to_float=False)
isinf, _ = unary(IsInf, "isinf", to_float=False)
isfinite, _ = unary(IsFinite, "isfinite", to_float=False)
logical_not, logical_not_ = unary(LogicalNot, "logical_not", to_float=False)
bitwise_not, bitwise_not_ = unary(BitwiseNot, "bitwise_not", to_float=False)
floor, floor_ = unary(Floor, "floor", to_float=False)
ceil, ceil_ = unary(Ceil, "ceil", to_float=False)
round, round_ = unary(Round, "round", to_float=False)
trunc, trunc_ = unary(Trunc, "trunc", to_float=False)
reciprocal, reciprocal_ = unary(Reciprocal, "reciprocal")
sqrt, sqrt_ = unary(Sqrt, "sqrt")
exp, exp_ = unary(Exp, "exp")
expm1, expm1_ = unary(Expm1, "expm1")
log, log_ = unary(Log, "log")
log1p, log1p_ = unary(Log1p, "log1p")
log2, log2_ = unary(Log2, "log2")
log10, log10_ = unary(Log10, "log10")
sin, sin_ = unary(Sin, "sin")
cos, cos_ = unary(Cos, "cos")
atan, atan_ = unary(Atan, "atan")
method("__neg__")(neg)
method("__abs__")(abs)
method("__invert__")(bitwise_not)
method("__pos__")(lambda self: self)


@method("square")
def square(input: Tensor) -> Tensor:
    """x^2"""
    return input * input


@method("rsqrt")
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x)"""
    return reciprocal(sqrt(input))


@method("clamp", "clip")
def clamp(
    input: Tensor, min: Any = None, max: Any = None, *, into: Tensor | None = None
) -> Tensor:
    """min where the input is below it, max where it is above; numbers or tensors, None for none."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of 'min' or 'max' must not be None")
    if min is None:
        return minimum(input, max, into=into) if isinstance(max, Tensor) else _clip(input, None, max, into)
    if max is None:
        return maximum(input, min, into=into) if isinstance(min, Tensor) else _clip(input, min, None, into)
    return Clamp.apply(*operands(input, min, max), into=into)


def _clip(input: Tensor, min: Any, max: Any, into: Tensor | None) -> Tensor:
    """Bounded on one side by a number, where the gradient passes at the bound itself."""
    dtype = result_type(input, max if min is None else min)
    low, high = (-math.inf, math.inf)
    if not dtype.is_floating_point:
        limits = np.iinfo(dtype.numpy)
        low, high = limits.min, limits.max
    return Clamp.apply(
        *operands(input, low if min is None else min, high if max is None else max), into=into
    )


clamp_ = in_place(clamp, "clamp_")
method("clip_")(clamp_)


@method("where")
def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The tensor's elements where the condition holds, else the other's."""
    return where(condition, self, other)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """input where the condition holds, else other."""
    if not isinstance(condition, Tensor):
        raise TypeError(f"where: expected a bool Tensor as condition, not {condition!r}")
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = result_type(input, other)
        a = full_like_scalar(input, dtype, condition.device)
        return Where.apply(condition, a, full_like_scalar(other, dtype, condition.device))
    return Where.apply(condition, *operands(input, other))


@method("masked_fill")
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """The input with `value` where the mask holds."""
    value = value if isinstance(value, Tensor) else full_like_scalar(value, input.dtype, input.device)
    return where(mask, value, input)


@method("masked_fill_")
def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """In-place form of `masked_fill`."""
    return self.copy_(masked_fill(self, mask, value))


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
        return gy * 0

    def grad_source(self, gy: Tensor) -> Tensor:
        return cast(reduce_to(gy, self.shapes[1]), self.types[1])


@method("copy_")
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of `src`, broadcast and cast, into this tensor."""
    if not isinstance(src, Tensor):
        src = full_like_scalar(src, self.dtype, self.device)
    return CopyInto.apply(self, src, into=self)


@method("fill_")
def fill_(self: Tensor, value: Any) -> Tensor:
    """Write one value everywhere."""
    return copy_(self, value)


@method("zero_")
def zero_(self: Tensor) -> Tensor:
    """Write zero everywhere."""
    return copy_(self, 0)


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether |input - other| <= atol + rtol |other| everywhere."""
    return bool(np.allclose(input._host(), other._host(), rtol, atol, equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    return bool(np.array_equal(input._host(), other._host()))


method("allclose")(allclose)
method("equal")(equal)
