"""Products of matrices and of stacks of them."""

from __future__ import annotations

from typing import Any

from ..autograd.op import Op, Result
from ..tensor import Form, Size, Tensor, method
from .operands import bind_operator, broadcast_shape
from .reduce import sum
from .shape import expand, reshape, transpose


class Matmul(Op):
    """y = a b for stacks of matrices (s, rows, columns); a turned one is stored transposed.

    A stack of one matrix is multiplied with every matrix of the other stack.
    """

    kernel = "matmul.matmul"
    parameters = ("turn_a", "turn_b")

    @staticmethod
    def outputs(a: Tensor, b: Tensor, *, turn_a: bool = False, turn_b: bool = False) -> Result:
        sa, m, k = a._buffer.shape
        sb, k2, n = b._buffer.shape
        m, k = (k, m) if turn_a else (m, k)
        k2, n = (n, k2) if turn_b else (k2, n)
        if k != k2:
            raise RuntimeError(
                f"matmul: mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {k2}x{n})"
            )
        return (max(sa, sb) if sa and sb else 0, m, n), a.dtype

    def grad_a(self, gy: Tensor, b: Tensor) -> Tensor:
        turn_a, turn_b = self.attrs["turn_a"], self.attrs["turn_b"]
        if turn_a:
            g = Matmul.apply(b, gy, turn_a=turn_b, turn_b=True)
        else:
            g = Matmul.apply(gy, b, turn_a=False, turn_b=not turn_b)
        return self._unspread(g, 0)

    def grad_b(self, gy: Tensor, a: Tensor) -> Tensor:
        turn_a, turn_b = self.attrs["turn_a"], self.attrs["turn_b"]
        if turn_b:
            g = Matmul.apply(gy, a, turn_a=True, turn_b=turn_a)
        else:
            g = Matmul.apply(a, gy, turn_a=not turn_a, turn_b=False)
        return self._unspread(g, 1)

    def _unspread(self, g: Tensor, i: int) -> Tensor:
        """The sum over the stack for a matrix that served all of it."""
        shape = self.shapes[i]
        assert shape is not None
        return g if g.shape[0] == shape[0] else sum(g, 0, keepdim=True)


class Linear(Op):
    """y[n,o] = b[o] + sum_i x[n,i] w[o,i]"""

    kernel = "matmul.linear"

    @staticmethod
    def outputs(x: Tensor, w: Tensor, b: Tensor | None) -> Result:
        return (x._buffer.shape[0], w._buffer.shape[0]), x.dtype

    def grad_x(self, gy: Tensor, w: Tensor) -> Tensor:
        return LinearInputGrad.apply(gy, w)

    def grads_w_b(self, gy: Tensor, x: Tensor) -> list[Tensor | None]:
        """One op, as it reads gy once for both."""
        if self.edges[1] is None:
            return [None, sum(gy, 0)]
        for_b = self.edges[2] is not None
        gw, gb = LinearWeightGrad.apply(gy, x, bias=for_b)
        return [gw, gb if for_b else None]


class LinearInputGrad(Op):
    """gx[n,i] = sum_o gy[n,o] w[o,i], the adjoint of linear in x"""

    kernel = "matmul.linear_input_grad"

    @staticmethod
    def outputs(gy: Tensor, w: Tensor) -> Result:
        return (gy._buffer.shape[0], w._buffer.shape[1]), gy.dtype

    def grad_gy(self, g: Tensor, w: Tensor) -> Tensor:
        return Linear.apply(g, w, None)

    def grad_w(self, g: Tensor, gy: Tensor) -> Tensor:
        return LinearWeightGrad.apply(gy, g, bias=False)[0]


class LinearWeightGrad(Op):
    """gw[o,i] = sum_n gy[n,o] x[n,i], gb[o] = sum_n gy[n,o]: the adjoint of linear in w and b

    Without `bias`, gb is empty.
    """

    kernel = "matmul.linear_weight_grad"
    differentiable = 2

    @staticmethod
    def outputs(gy: Tensor, x: Tensor, *, bias: bool) -> list[Result]:
        out_features, in_features = gy._buffer.shape[1], x._buffer.shape[1]
        return [
            ((out_features, in_features), gy.dtype),
            ((out_features if bias else 0,), gy.dtype),
        ]

    def grad_gy(self, g: Tensor, gb: Tensor, x: Tensor) -> Tensor:
        return Linear.apply(x, g, gb if self.attrs["bias"] else None)

    def grad_x(self, g: Tensor, gb: Tensor, gy: Tensor) -> Tensor:
        return LinearInputGrad.apply(gy, g)


def _is_turned(t: Tensor) -> bool:
    """Whether a matrix, or a stack, is the transpose of one that lies in memory in order."""
    return not t.is_contiguous() and t._buffer.swapaxes(-1, -2).flags.c_contiguous


def _product(a: Tensor, b: Tensor) -> Tensor:
    turn_a, turn_b = _is_turned(a), _is_turned(b)
    a = transpose(a, 1, 2) if turn_a else a
    b = transpose(b, 1, 2) if turn_b else b
    return Matmul.apply(a, b, turn_a=turn_a, turn_b=turn_b)


@method("matmul")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, over the last two dimensions, the rest broadcast; as PyTorch's.

    Vectors count as a row on the left and as a column on the right; that dimension then goes.
    """
    a, b = alike("matmul", input, other)
    if not a.ndim or not b.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    inner = (a.shape[-1], b.shape[0 if b.ndim == 1 else -2])
    if inner[0] != inner[1]:
        raise RuntimeError(
            "matmul: mat1 and mat2 shapes cannot be multiplied "
            f"({'x'.join(map(str, a.shape))} and {'x'.join(map(str, b.shape))})"
        )
    if a.dtype.category != 2:
        return _integer_matmul(a, b)
    left = a.unsqueeze(0) if a.ndim == 1 else a
    right = b.unsqueeze(1) if b.ndim == 1 else b
    if right.ndim == 2:  # one matrix for all: the stack is only more rows
        rows = Size(left.shape[:-1]).numel()
        left_stack = left.unsqueeze(0) if left.ndim == 2 else reshape(left, 1, rows, inner[0])
        out = _product(left_stack, right.unsqueeze(0))
        out = reshape(out, *left.shape[:-1], right.shape[-1])
    else:
        stack = broadcast_shape("matmul", left.shape[:-2], right.shape[:-2])
        out = _product(_stacked(left, stack), _stacked(right, stack))
        out = reshape(out, *stack, left.shape[-2], right.shape[-1])
    if a.ndim == 1:
        out = out.squeeze(-2)
    return out.squeeze(-1) if b.ndim == 1 else out


def alike(name: str, *tensors: Any) -> tuple[Tensor, ...]:
    """The factors, if they are tensors of one type."""
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: expected tensors, not {type(t).__name__}")
    if any(t.dtype is not tensors[0].dtype for t in tensors):
        raise RuntimeError(
            f"{name}: expected tensors of one dtype, got {', '.join(str(t.dtype) for t in tensors)}"
        )
    return tensors


def _stacked(t: Tensor, stack: tuple[int, ...]) -> Tensor:
    """Matrices in one stack; a single one is not repeated."""
    matrix = t.shape[-2:]
    if t.ndim == 2 or Size(t.shape[:-2]).numel() == 1:
        return reshape(t, 1, *matrix)
    return reshape(expand(t, *stack, *matrix), Size(stack).numel(), *matrix)


def _integer_matmul(a: Tensor, b: Tensor) -> Tensor:
    """Products of integers: small work, done as a sum over an expanded product."""
    left = a if a.ndim > 1 else a.unsqueeze(0)
    right = b if b.ndim > 1 else b.unsqueeze(1)
    out = sum(left.unsqueeze(-1) * right.unsqueeze(-3), -2).to(a.dtype)
    if a.ndim == 1:
        out = out.squeeze(-2)
    return out.squeeze(-1) if b.ndim == 1 else out


bind_operator("matmul", matmul)


@method("mm")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm: expected two matrices, got {input.ndim}D and {mat2.ndim}D tensors")
    return matmul(input, mat2)


@method("bmm")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two stacks of as many matrices."""
    if input.ndim != 3 or mat2.ndim != 3 or input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            f"bmm: expected two stacks of as many matrices, got {list(input.shape)} "
            f"and {list(mat2.shape)}"
        )
    return matmul(input, mat2)


@method("dot")
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"dot: 1D tensors expected, but got {input.ndim}D and {tensor.ndim}D")
    return matmul(input, tensor)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias, over the last dimension."""
    if weight.ndim != 2:
        raise RuntimeError(f"linear: weight must be a matrix, not of shape {list(weight.shape)}")
    out_features, in_features = weight._buffer.shape
    if input.ndim == 0 or input._buffer.shape[-1] != in_features:
        raise RuntimeError(
            f"linear: input of shape {list(input.shape)} does not end on the {in_features} "
            f"features that the weight of shape {list(weight.shape)} takes"
        )
    if bias is not None and bias._buffer.shape != (out_features,):
        raise RuntimeError(
            f"linear: bias of shape {list(bias.shape)} does not fit {out_features} output features"
        )
    require_floating("linear", input, weight, bias)
    if input.ndim == 2:
        return Linear.apply(input, weight, bias)
    rows = input.numel() // in_features if in_features else Size(input.shape[:-1]).numel()
    out = Linear.apply(reshape(input, rows, in_features), weight, bias)
    return reshape(out, *input.shape[:-1], out_features)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1^T weight[o] x2 + bias[o] for every output o.

    Shapes: inputs (.., i) and (.., j), weight (o, i, j), bias (o), output (.., o).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.bilinear.html
    """
    if weight.ndim != 3 or input1.ndim == 0 or input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear: inputs of shapes {list(input1.shape)} and {list(input2.shape)} and a "
            f"weight of shape {list(weight.shape)} do not fit"
        )
    outputs, first, second = weight.shape
    if (input1.shape[-1], input2.shape[-1]) != (first, second):
        raise RuntimeError(
            f"bilinear: inputs of shapes {list(input1.shape)} and {list(input2.shape)} do not end "
            f"on the {first} and {second} features that the weight of shape "
            f"{list(weight.shape)} takes"
        )
    if bias is not None and bias._buffer.shape != (outputs,):
        raise RuntimeError(
            f"bilinear: bias of shape {list(bias.shape)} does not fit {outputs} output features"
        )
    require_floating("bilinear", input1, input2, weight, bias)
    batch = Size(input1.shape[:-1]).numel()
    columns = reshape(transpose(weight, 0, 1), first, outputs * second)
    half = reshape(mm(reshape(input1, batch, first), columns), batch, outputs, second)
    y = sum(half * reshape(input2, batch, 1, second), 2)
    return reshape(y if bias is None else y + bias, *input1.shape[:-1], outputs)


def require_floating(name: str, *tensors: Tensor | Form | None) -> None:
    """Refuse integers, and a mix of types, where an op computes with real numbers."""
    first = tensors[0]
    assert first is not None
    for t in tensors:
        if t is not None and (t.dtype.category != 2 or t.dtype is not first.dtype):
            raise RuntimeError(
                f"{name}: expected floating-point tensors of one type, "
                f"got {', '.join(str(t.dtype) for t in tensors if t is not None)}"
            )
