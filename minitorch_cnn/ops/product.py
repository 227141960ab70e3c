"""Products of vectors, matrices and tensors, all by way of `matmul`."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor, method
from .diagonal import diagonal
from .matmul import alike, bmm, matmul, mm
from .operands import broadcast_shape, numpy_names, written
from .reduce import sum
from .shape import cat, dimension, expand, narrow, permute, reshape, unsqueeze

# ---------------------------------------------------------------------- vectors and matrices


def _ranks(name: str, *wanted: tuple[Tensor, int]) -> None:
    """Refuse tensors of another number of dimensions."""
    if any(t.ndim != rank for t, rank in wanted):
        raise RuntimeError(
            f"{name}: expected {' and '.join(f'{rank}D' for _, rank in wanted)} tensors, "
            f"got shapes {' and '.join(str(list(t.shape)) for t, _ in wanted)}"
        )


@method("mv")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    _ranks("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


@method("vdot")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors of real numbers."""
    _ranks("vdot", (input, 1), (other, 1))
    return matmul(input, other)


@method("outer", "ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector with each of another."""
    _ranks("outer", (input, 1), (vec2, 1))
    return unsqueeze(input, 1) * vec2


@method("inner")
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last dimensions, which must agree."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner: the last dimensions must match, but the shapes are {list(input.shape)} "
            f"and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@method("trace")
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    _ranks("trace", (input, 2))
    return sum(diagonal(input))


@method("kron")
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The tensor whose blocks are `other` times each element of the input.

    >>> import minitorch_cnn as torch
    >>> torch.kron(torch.eye(2), torch.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    rank = max(input.ndim, other.ndim)
    a = [1] * (rank - input.ndim) + list(input.shape)
    b = [1] * (rank - other.ndim) + list(other.shape)
    wide = reshape(input, *[n for side in a for n in (side, 1)])
    tiles = wide * reshape(other, *[n for side in b for n in (1, side)])
    return reshape(tiles, *[n * m for n, m in zip(a, b)])


@method("cross")
@numpy_names
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along a dimension of three: the first that has so many, unless given."""
    shape = broadcast_shape("cross", input._buffer.shape, other._buffer.shape)
    if dim is None:
        if 3 not in input.shape:
            raise RuntimeError(f"cross: no dimension of size 3 in input {list(input.shape)}")
        dim = input.shape.index(3)
    if input.ndim != other.ndim:
        raise RuntimeError(
            f"cross: inputs must have the same number of dimensions, got {input.ndim} "
            f"and {other.ndim}"
        )
    d = dimension(input, dim)
    if input.shape[d] != 3 or other.shape[d] != 3:
        raise RuntimeError(
            f"cross: dimension {dim} does not have length 3 in {list(input.shape)} "
            f"and {list(other.shape)}"
        )
    a, b = expand(input, *shape), expand(other, *shape)
    return _turn(_turn(b, d) * a - b * _turn(a, d), d)


def _turn(x: Tensor, d: int) -> Tensor:
    """(x1, x2, x0) for (x0, x1, x2) along a dimension"""
    return cat([narrow(x, d, 1, 2), narrow(x, d, 0, 1)], d)


# ---------------------------------------------------------------------- a product and a summand


def _plus(name: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * product; with beta = 0 the input is not looked at and may be NaN."""
    alike(name, input, product)
    for number in (beta, alpha):
        if isinstance(number, float) and not input.dtype.is_floating_point:
            raise RuntimeError(
                f"{name}: beta and alpha must be integers for {input.dtype}, not {number}"
            )
    shape = product._buffer.shape
    if broadcast_shape(name, input._buffer.shape, shape) != shape:
        raise RuntimeError(
            f"{name}: the input of shape {list(input.shape)} can't be expanded to {list(shape)}"
        )
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled
    return (input if beta == 1 else input * beta) + scaled


@method("addmm")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 mat2, for matrices."""
    return _plus("addmm", input, mm(mat1, mat2), beta, alpha)


@method("addmv")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat vec, for a matrix and a vector."""
    return _plus("addmv", input, mv(mat, vec), beta, alpha)


@method("addr")
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * vec1 vec2^T, for vectors."""
    return _plus("addr", input, outer(vec1, vec2), beta, alpha)


@method("baddbmm")
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * batch1 batch2, for stacks of matrices."""
    return _plus("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@method("addbmm")
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha times the sum of batch1 batch2 over the stack."""
    return _plus("addbmm", input, sum(bmm(batch1, batch2), 0), beta, alpha)


addmm_, addmv_, addr_ = written(addmm, "addmm_"), written(addmv, "addmv_"), written(addr, "addr_")
baddbmm_, addbmm_ = written(baddbmm, "baddbmm_"), written(addbmm, "addbmm_")

# ---------------------------------------------------------------------- chains of matrices


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, in the order that takes the fewest multiplications."""
    for matrix in matrices:
        _ranks("chain_matmul", (matrix, 2))
    if len(matrices) < 2:
        if not matrices:
            raise RuntimeError("chain_matmul: expected at least one matrix")
        return matrices[0]
    return chain(list(matrices))


def chain(matrices: Sequence[Tensor]) -> Tensor:
    """The product of matrices whose sizes fit, split where it is cheapest."""
    sides = [matrices[0].shape[0], *[m.shape[1] for m in matrices]]

    @functools.cache
    def plan(first: int, last: int) -> tuple[int, int]:
        """The least number of multiplications for a part of the chain, and where to split it."""
        if last - first == 1:
            return 0, first
        return min(
            (
                plan(first, at)[0] + plan(at, last)[0] + sides[first] * sides[at] * sides[last],
                at,
            )
            for at in range(first + 1, last)
        )

    def product(first: int, last: int) -> Tensor:
        if last - first == 1:
            return matrices[first]
        at = plan(first, last)[1]
        return mm(product(first, at), product(at, last))

    return product(0, len(matrices))


# ---------------------------------------------------------------------- sums over chosen dimensions


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sums of products over dimensions of a and as many of b: the last of a and the first of b,
    or those given as two lists. What remains of a comes first.

    >>> import minitorch_cnn as torch
    >>> torch.tensordot(torch.ones(2, 3, 4), torch.ones(4, 3), dims=([1, 2], [1, 0]))
    tensor([12., 12.])
    """
    alike("tensordot", a, b)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(
                f"tensordot: dims={dims} does not suit tensors of {a.ndim} and {b.ndim} dimensions"
            )
        dims = range(a.ndim - dims, a.ndim), range(dims)
    of_a, of_b = [[d] if isinstance(d, int) else list(d) for d in dims]
    summed_a, summed_b = [dimension(a, d) for d in of_a], [dimension(b, d) for d in of_b]
    sizes = [a.shape[d] for d in summed_a], [b.shape[d] for d in summed_b]
    if sizes[0] != sizes[1]:
        raise RuntimeError(
            f"tensordot: the dimensions {of_a} of sizes {sizes[0]} and {of_b} of sizes {sizes[1]} "
            "do not match"
        )
    kept_a = [d for d in range(a.ndim) if d not in summed_a]
    kept_b = [d for d in range(b.ndim) if d not in summed_b]
    rows, columns = [a.shape[d] for d in kept_a], [b.shape[d] for d in kept_b]
    between = math.prod(sizes[0])
    left = reshape(permute(a, *kept_a, *summed_a), math.prod(rows), between)
    right = reshape(permute(b, *summed_b, *kept_b), between, math.prod(columns))
    return reshape(mm(left, right), *rows, *columns)


Label = Any
"""What names a dimension: a letter or, for those of "...", -1, -2 and so on from the last."""


def einsum(*args: Any) -> Tensor:
    """Einstein's summation, `einsum("ij,jk->ik", a, b)`: a sum of products over the letters that
    the result lacks.

    A letter that stands twice in an operand takes its diagonal; "..." stands for any dimensions,
    which broadcast. Without "->" the result has the letters that stand once, in order. Numbers may
    stand for letters, each list behind its operand: `einsum(a, [0, 1], b, [1, 2], [0, 2])`. Two
    operands at a time, from the left, are multiplied as stacks of matrices.

    >>> import minitorch_cnn as torch
    >>> torch.einsum("ii->i", torch.arange(4).reshape(2, 2))
    tensor([0, 3])
    """
    equation, operands = _equation(args)
    tensors = alike("einsum", *operands)
    terms, result = _labels(equation, tensors)
    sizes = _sizes(equation, terms, tensors)
    whole, labels = _operand(tensors[0], terms[0], sizes)
    for i in range(1, len(tensors)):
        other, others = _operand(tensors[i], terms[i], sizes)
        later = {*result, *[label for term in terms[i + 1 :] for label in term]}
        whole, labels = _pair(whole, labels, other, others, later)
    whole, labels = _sum_out(whole, labels, set(result))
    return permute(whole, *[labels.index(label) for label in result])


def _equation(args: tuple[Any, ...]) -> tuple[str, Sequence[Tensor]]:
    """The equation and the operands, from either way to give them."""
    if not args:
        raise ValueError("einsum: expected an equation and operands")
    if isinstance(args[0], str):
        equation, *operands = args
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
        return equation.replace(" ", ""), operands

    def letters(numbers: Sequence[Any]) -> str:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < len(alphabet):
                raise ValueError(f"einsum: a subscript must lie between 0 and 51, not {n}")
        return "".join(["..." if n is Ellipsis else alphabet[n] for n in numbers])

    pairs = len(args) // 2
    equation = ",".join([letters(args[2 * i + 1]) for i in range(pairs)])
    if len(args) % 2:
        equation += "->" + letters(args[-1])
    return equation, args[: 2 * pairs : 2]


def _labels(equation: str, tensors: Sequence[Tensor]) -> tuple[list[list[Label]], list[Label]]:
    """The labels of each operand's dimensions and those of the result."""
    inputs, arrow, output = equation.partition("->")
    texts = inputs.split(",")
    if len(texts) != len(tensors):
        raise RuntimeError(f"einsum: {equation!r} names {len(texts)} operands, got {len(tensors)}")
    for text in [*texts, output]:
        letters = text.replace("...", "", 1)
        if not all(c.isascii() and c.isalpha() for c in letters):
            raise RuntimeError(
                f"einsum: only letters, ',', '...' and '->' are understood, not {equation!r}"
            )
    terms = []
    for text, t in zip(texts, tensors):
        rest = t.ndim - len(text.replace("...", ""))
        if rest < 0 or (rest and "..." not in text):
            raise RuntimeError(
                f"einsum: the subscripts {text!r} do not fit an operand of {t.ndim} dimensions"
            )
        terms.append(_spread(text, rest))
    joined = [label for term in terms for label in term]
    dots = -min([label for label in joined if isinstance(label, int)], default=0)
    if arrow:
        result = _spread(output, dots)
    else:
        letters_once = [c for c in {*joined} if isinstance(c, str) and joined.count(c) == 1]
        result = [*range(-dots, 0), *sorted(letters_once)]
    if not {*result} <= {*joined} or len({*result}) != len(result):
        raise RuntimeError(
            f"einsum: the result {output!r} must name letters of the operands, each once"
        )
    return terms, result


def _spread(text: str, dots: int) -> list[Label]:
    """The labels of a term whose "..." stands for so many dimensions."""
    before, found, after = text.partition("...")
    return [*before, *(range(-dots, 0) if found else ()), *after]


def _sizes(equation: str, terms: list[list[Label]], tensors: Sequence[Tensor]) -> dict[Label, int]:
    """The size of each label; one of 1 counts as any other, which it is broadcast to."""
    sizes: dict[Label, int] = {}
    for term, t in zip(terms, tensors):
        for label, n in zip(term, t._buffer.shape):
            if sizes.setdefault(label, n) != n and n != 1:
                if sizes[label] != 1:
                    raise RuntimeError(
                        f"einsum: in {equation!r}, subscript {label} has size {n} for one operand "
                        f"and {sizes[label]} for another"
                    )
                sizes[label] = n
    return sizes


def _operand(t: Tensor, term: list[Label], sizes: dict[Label, int]) -> tuple[Tensor, list[Label]]:
    """An operand in its full size, with each label once."""
    t, labels = expand(t, *[sizes[label] for label in term]), list(term)
    for label in term:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            t = diagonal(t, 0, first, second)
            del labels[second], labels[first]
            labels.append(label)
    return t, labels


def _sum_out(t: Tensor, labels: list[Label], kept: set[Label]) -> tuple[Tensor, list[Label]]:
    """Summed over the labels that are not kept."""
    dims = tuple([i for i, label in enumerate(labels) if label not in kept])
    if not dims:
        return t, labels
    return sum(t, dims).to(t.dtype), [label for label in labels if label in kept]


def _pair(
    a: Tensor, of_a: list[Label], b: Tensor, of_b: list[Label], later: set[Label]
) -> tuple[Tensor, list[Label]]:
    """The product of two operands, summed over what neither the result nor a later one has."""
    a, of_a = _sum_out(a, of_a, later | {*of_b})
    b, of_b = _sum_out(b, of_b, later | {*of_a})
    size = {**dict(zip(of_a, a.shape)), **dict(zip(of_b, b.shape))}
    both = [label for label in of_a if label in of_b]
    stack = [label for label in both if label in later]
    summed = [label for label in both if label not in later]
    left, right = [x for x in of_a if x not in both], [x for x in of_b if x not in both]
    labels = [*stack, *left, *right]

    def arranged(t: Tensor, of_t: list[Label], *groups: list[Label]) -> Tensor:
        """The dimensions of each group made one, those that are missing being 1."""
        t = permute(t, *[of_t.index(x) for group in groups for x in group if x in of_t])
        return reshape(t, *[math.prod([size[x] for x in g if x in of_t]) for g in groups])

    if summed and (left or right):
        rows = arranged(a, of_a, stack, left, summed)
        product = matmul(rows, arranged(b, of_b, stack, summed, right))
    else:
        groups = stack, left, right, summed
        product = arranged(a, of_a, *groups) * arranged(b, of_b, *groups)
        product = sum(product, -1).to(a.dtype)
    return reshape(product, *[size[x] for x in labels]), labels
