"""Vectors that stay in registers: what the fast kernels are built from.

A *vector* holds as many elements as a register of the processor: `VECTOR_BYTES` of them.

The functions are Numba intrinsics: each writes the LLVM instructions for itself into the kernel
that calls it. They take flat arrays with offsets into them, counted in elements, and check no
bounds.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import NumbaTypeError
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, overload, register_model

from . import instructions as emit

intrinsic: Any = numba_intrinsic  # as it is called: without the typing context


class Vector(types.Type):
    """Numba's type of one register of elements."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"vector({dtype})")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, emit.kind(fe_type.dtype))


@intrinsic
def lanes(typingctx, x):
    """How many elements of x's type a vector holds."""

    def codegen(context, builder, signature, args):
        return emit.INDEX(emit.kind(x.dtype).count)

    return types.int64(x), codegen


@intrinsic
def as_row(typingctx, x):
    """All elements of an array without gaps, as one row: x.reshape(-1) without tests of sizes"""
    if not (isinstance(x, types.Array) and x.is_c_contig):
        raise NumbaTypeError(f"as_row: expected an array without gaps, not {x}")
    kind = types.Array(x.dtype, 1, "C", readonly=not x.mutable, aligned=x.aligned)

    def codegen(context, builder, signature, args):
        # It takes a twentieth of a second to import, and compiled code needs it no more.
        from numba.np.arrayobj import populate_array

        given = context.make_array(x)(context, builder, args[0])
        row, size = context.make_array(kind)(context, builder), given.itemsize
        owner = {"meminfo": given.meminfo, "parent": given.parent}
        populate_array(row, given.data, [given.nitems], [size], size, **owner)
        return impl_ret_borrowed(context, builder, kind, row._getvalue())

    return kind(x), codegen


@intrinsic
def entry(typingctx, table, i):
    """table[i] for 0 <= i: without the test for an index that counts from the end"""

    def codegen(context, builder, signature, args):
        index = emit.index(context, builder, i, args[1])
        return builder.load(emit.pointer(context, builder, table, args[0], index))

    return table.dtype(table, i), codegen


@intrinsic
def apart(typingctx):
    """Keep the function that calls this from being made a part of its callers.

    A loop in a loop has its constants loaded before the outer one, for which there may be too few
    registers: each step of the inner one then loads them again. In a function it has its own.
    """

    def codegen(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def transpose(typingctx, x, i, x_step, x_count, y, j, y_step, y_count):
    """y[j + q*y_step + p] = x[i + p*x_step + q] for p < lanes, q < y_count <= lanes

    Of x only the rows p < x_count are read; beyond, y gets copies of the last.
    """

    def codegen(context, builder, signature, args):
        args = [
            value if k in (0, 4) else emit.index(context, builder, kind, value)
            for k, (kind, value) in enumerate(zip(signature.args, args))
        ]
        x_value, i_value, x_rows, x_last, y_value, j_value, y_rows, y_last = args
        kind = emit.kind(x.dtype)
        source = emit.pointer(context, builder, x, x_value, i_value)
        target = emit.pointer(context, builder, y, y_value, j_value)
        last = builder.sub(x_last, emit.INDEX(1))
        rows = []
        for p in range(kind.count):
            inside = builder.icmp_signed("<", emit.INDEX(p), x_last)
            row = builder.mul(builder.select(inside, emit.INDEX(p), last), x_rows)
            rows.append(emit.load(builder, kind, builder.gep(source, [row])))
        for q, row in enumerate(emit.transposed(builder, rows)):
            with builder.if_then(builder.icmp_signed("<", emit.INDEX(q), y_last)):
                emit.store(builder, row, builder.gep(target, [builder.mul(y_rows, emit.INDEX(q))]))
        return context.get_dummy_value()

    return types.void(x, i, x_step, x_count, y, j, y_step, y_count), codegen


@intrinsic
def load(typingctx, x, i):
    """The vector x[i :]"""

    def codegen(context, builder, signature, args):
        place = emit.element(context, builder, x, args[0], i, args[1])
        return emit.load(builder, emit.kind(x.dtype), place)

    return Vector(x.dtype)(x, i), codegen


@intrinsic
def load_inside(typingctx, x, i, first, last):
    """The vector x[i :] in the lanes first <= lane < last, 0 in others, which are not read"""

    def codegen(context, builder, signature, args):
        kind = emit.kind(x.dtype)
        at, *bounds = (emit.index(context, builder, signature.args[k], args[k]) for k in (1, 2, 3))
        mask = emit.mask(builder, kind, *bounds)
        return emit.load_masked(builder, kind, emit.pointer(context, builder, x, args[0], at), mask)

    return Vector(x.dtype)(x, i, first, last), codegen


@intrinsic
def store_first(typingctx, vector, y, i, count):
    """y[i + q] = vector[q] in the lanes q < count; those behind are not touched"""

    def codegen(context, builder, signature, args):
        at, number = (emit.index(context, builder, signature.args[k], args[k]) for k in (2, 3))
        mask = emit.mask(builder, args[0].type, emit.INDEX(0), number)
        emit.store_masked(builder, args[0], emit.pointer(context, builder, y, args[1], at), mask)
        return context.get_dummy_value()

    return types.void(vector, y, i, count), codegen


@intrinsic
def fused(typingctx, a, b, c):
    """a b + c, with one rounding where the processor has an instruction for it"""

    def codegen(context, builder, signature, args):
        return emit.multiply_add(builder, *args)

    return c(a, b, c), codegen


@intrinsic
def zeros(typingctx, x):
    """A vector of zeros of x's type"""

    def codegen(context, builder, signature, args):
        return ir.Constant(emit.kind(x.dtype), [0.0] * emit.kind(x.dtype).count)

    return Vector(x.dtype)(x), codegen


@intrinsic
def passed(typingctx, a, b):
    """a in the lanes where b is above 0, or NaN; 0 in others"""

    def codegen(context, builder, signature, args):
        nothing = ir.Constant(args[0].type, [0.0] * args[0].type.count)
        return builder.select(builder.fcmp_ordered("<=", args[1], nothing), nothing, args[0])

    return a(a, b), codegen


@intrinsic
def larger(typingctx, a, b):
    """a in the lanes where it is above b, else b: of a NaN in a nothing stays"""

    def codegen(context, builder, signature, args):
        return emit.larger(builder, *args)

    return b(a, b), codegen


@intrinsic
def largest_of_lanes(typingctx, vector):
    """The largest of a vector's lanes, none of which is NaN"""

    def codegen(context, builder, signature, args):
        return emit.largest_of_lanes(builder, args[0])

    return vector.dtype(vector), codegen


@intrinsic
def sum_of_lanes(typingctx, vector):
    """The sum of a vector's lanes in float64, by halves"""

    def codegen(context, builder, signature, args):
        value = args[0]
        if emit.size(value.type) == 4:
            value = builder.fpext(value, ir.VectorType(ir.DoubleType(), value.type.count))
        return emit.sum_of_lanes(builder, value)

    return types.float64(vector), codegen


@intrinsic
def sums_of_rows(typingctx, x, i, size):
    """The vector of sum_q x[i + k size + q] over q < size, for k < lanes, in x's type"""

    def codegen(context, builder, signature, args):
        kind = emit.kind(x.dtype)
        vector = emit.INDEX(kind.count)
        first = emit.element(context, builder, x, args[0], i, args[1])
        length = emit.index(context, builder, size, args[2])
        starts = [
            builder.gep(first, [builder.mul(length, emit.INDEX(k))]) for k in range(kind.count)
        ]
        nothing = ir.Constant(kind, [0.0] * kind.count)
        sums = [cgutils.alloca_once_value(builder, nothing) for _ in starts]  # in registers
        whole = builder.sdiv(length, vector)
        with cgutils.for_range(builder, whole) as loop:
            at = builder.mul(loop.index, vector)
            for start, place in zip(starts, sums):
                more = emit.load(builder, kind, builder.gep(start, [at]))
                builder.store(builder.fadd(builder.load(place), more), place)
        at = builder.mul(whole, vector)
        rest = builder.sub(length, at)
        with builder.if_then(builder.icmp_signed("!=", rest, emit.INDEX(0))):
            mask = emit.mask(builder, kind, emit.INDEX(0), rest)
            for start, place in zip(starts, sums):
                more = emit.load_masked(builder, kind, builder.gep(start, [at]), mask)
                builder.store(builder.fadd(builder.load(place), more), place)
        rows = [builder.load(place) for place in sums]
        while len(rows) > 1:  # of two rows, the sums of neighbours make one
            pairs = zip(rows[::2], rows[1::2])
            rows = [builder.fadd(*emit.parted(builder, low, high)) for low, high in pairs]
        return rows[0]

    return Vector(x.dtype)(x, i, size), codegen


@intrinsic
def add_to(typingctx, vector, totals, i):
    """totals[i + q] += vector[q], in float64"""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(ir.DoubleType(), args[0].type.count)
        value = args[0] if emit.size(args[0].type) == 8 else builder.fpext(args[0], kind)
        place = emit.element(context, builder, totals, args[1], i, args[2])
        emit.store(builder, builder.fadd(emit.load(builder, kind, place), value), place)
        return context.get_dummy_value()

    return types.void(vector, totals, i), codegen


@intrinsic
def store(typingctx, vector, y, i):
    """y[i :] = the vector"""

    def codegen(context, builder, signature, args):
        index = emit.index(context, builder, i, args[2])
        emit.store(builder, args[0], emit.pointer(context, builder, y, args[1], index))
        return context.get_dummy_value()

    return types.void(vector, y, i), codegen


@intrinsic
def store_past_caches(typingctx, vector, y, i):
    """y[i :] = the vector, its address a multiple of a vector's size; `drain` has to follow

    The caches neither fetch what it overwrites nor keep what it writes.
    """

    def codegen(context, builder, signature, args):
        place = emit.element(context, builder, y, args[1], i, args[2])
        emit.store_past_caches(builder, args[0], place)
        return context.get_dummy_value()

    return types.void(vector, y, i), codegen


@intrinsic
def drain(typingctx):
    """Have what was written past the caches be there before anything that is written after it."""

    def codegen(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


def _prefetching(x, i, count, writing):
    line = 64 * 8 // x.dtype.bitwidth  # elements

    def codegen(context, builder, signature, args):
        first = emit.element(context, builder, x, args[0], i, args[1])
        number = emit.index(context, builder, count, args[2])
        lines = builder.sdiv(builder.add(number, emit.INDEX(line - 1)), emit.INDEX(line))
        kind = ir.FunctionType(ir.VoidType(), [first.type, *[emit.INT32] * 3])
        hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        often, data = emit.INT32(3), emit.INT32(1)
        with cgutils.for_range(builder, lines) as loop:
            place = builder.gep(first, [builder.mul(loop.index, emit.INDEX(line))])
            builder.call(hint, [place, emit.INT32(int(writing)), often, data])
        return context.get_dummy_value()

    return types.void(x, i, count), codegen


@intrinsic
def prefetch(typingctx, x, i, count):
    """Have x[i : i + count] brought near; what of it lies outside x does no harm.

    A processor foresees by itself which lines of the cache are read next, but only after some of
    them, and in short pieces that lie far apart it never gets there.
    """
    return _prefetching(x, i, count, writing=False)


@intrinsic
def prefetch_to_write(typingctx, x, i, count):
    """prefetch of what is going to be written"""
    return _prefetching(x, i, count, writing=True)


@intrinsic
def copy_few(typingctx, x, i, y, j, count):
    """y[j + q] = x[i + q] for q < count <= lanes; elements of x beyond are not read"""

    def codegen(context, builder, signature, args):
        i_value, j_value, number = (
            emit.index(context, builder, signature.args[k], args[k]) for k in (1, 3, 4)
        )
        source = emit.pointer(context, builder, x, args[0], i_value)
        target = emit.pointer(context, builder, y, args[2], j_value)
        # As many as each binary digit of the number says.
        some = emit.kind(x.dtype).count
        while some:
            kind = ir.VectorType(emit.kind(x.dtype).element, some)
            here = builder.and_(number, emit.INDEX(some))
            with builder.if_then(builder.icmp_signed("!=", here, emit.INDEX(0))):
                first = builder.and_(number, emit.INDEX(-2 * some))
                vector = emit.load(builder, kind, builder.gep(source, [first]))
                emit.store(builder, vector, builder.gep(target, [first]))
            some //= 2
        return context.get_dummy_value()

    return types.void(x, i, y, j, count), codegen


@intrinsic
def broadcast(typingctx, x, i):
    """A vector of x[i]"""

    def codegen(context, builder, signature, args):
        index = emit.index(context, builder, i, args[1])
        value = builder.load(emit.pointer(context, builder, x, args[0], index))
        return emit.filled(builder, emit.kind(x.dtype), value)

    return Vector(x.dtype)(x, i), codegen


@intrinsic
def filled(typingctx, x, value):
    """A vector of x's type of one value"""

    def codegen(context, builder, signature, args):
        scalar = context.cast(builder, args[1], value, x.dtype)
        return emit.filled(builder, emit.kind(x.dtype), scalar)

    return Vector(x.dtype)(x, value), codegen


@intrinsic
def store_interleaved(typingctx, even, odd, y, i):
    """y[i + 2k] = even[k], y[i + 2k + 1] = odd[k]"""

    def codegen(context, builder, signature, args):
        first = emit.element(context, builder, y, args[2], i, args[3])
        emit.store_interleaved(builder, args[0], args[1], first)
        return context.get_dummy_value()

    return types.void(even, odd, y, i), codegen


@intrinsic
def store_threes(typingctx, x, i, step, y, j):
    """y[j + 3q + c] = x[i + c*step + q] for c < 3, q < lanes"""

    def codegen(context, builder, signature, args):
        i_value, step_value, j_value = (
            emit.index(context, builder, signature.args[k], args[k]) for k in (1, 2, 4)
        )
        kind = emit.kind(x.dtype)
        count = kind.count
        source = emit.pointer(context, builder, x, args[0], i_value)
        target = emit.pointer(context, builder, y, args[3], j_value)
        planes = [
            emit.load(builder, kind, builder.gep(source, [builder.mul(step_value, emit.INDEX(c))]))
            for c in range(3)
        ]
        for start in range(0, 3 * count, count):
            places = [divmod(k, 3) for k in range(start, start + count)]  # q, c
            two = [q + c * count if c < 2 else 0 for q, c in places]
            all_three = [k if c < 2 else count + q for k, (q, c) in enumerate(places)]
            vector = emit.shuffle(builder, planes[0], planes[1], two)
            vector = emit.shuffle(builder, vector, planes[2], all_three)
            emit.store(builder, vector, builder.gep(target, [emit.INDEX(start)]))
        return context.get_dummy_value()

    return types.void(x, i, step, y, j), codegen


@intrinsic
def parted(typingctx, a, b):
    """Two vectors: the elements at even places of a and, behind them, b, and those at odd ones"""

    def codegen(context, builder, signature, args):
        parts = emit.parted(builder, *args)
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(a, 2)(a, b), codegen


@intrinsic
def add_neighbours(typingctx, x, i):
    """The vector of x[i + 2q] + x[i + 2q + 1]"""

    def codegen(context, builder, signature, args):
        kind = emit.kind(x.dtype)
        first = emit.element(context, builder, x, args[0], i, args[1])
        low = emit.load(builder, kind, first)
        high = emit.load(builder, kind, builder.gep(first, [emit.INDEX(kind.count)]))
        return builder.fadd(*emit.parted(builder, low, high))

    return Vector(x.dtype)(x, i), codegen


def _arithmetic(instruction):
    """An intrinsic for an instruction of two vectors."""

    def operation(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, instruction)(*args)

        return a(a, b), codegen

    return intrinsic(operation)


_vector_add, _vector_sub = _arithmetic("fadd"), _arithmetic("fsub")
_vector_multiply = _arithmetic("fmul")


def _arithmetic_with_scalar(instruction):
    """An intrinsic for an instruction of a vector and a vector of one value."""

    def operation(typingctx, vector, value):
        def codegen(context, builder, signature, args):
            scalar = context.cast(builder, args[1], value, vector.dtype)
            filled_vector = emit.filled(builder, args[0].type, scalar)
            return getattr(builder, instruction)(args[0], filled_vector)

        return vector(vector, value), codegen

    return intrinsic(operation)


_vector_scale, _vector_divide = _arithmetic_with_scalar("fmul"), _arithmetic_with_scalar("fdiv")


@overload(operator.add)
def _add(a, b):
    if isinstance(a, Vector) and isinstance(b, Vector):
        return lambda a, b: _vector_add(a, b)
    return None


@overload(operator.sub)
def _sub(a, b):
    if isinstance(a, Vector) and isinstance(b, Vector):
        return lambda a, b: _vector_sub(a, b)
    return None


@overload(operator.mul)
def _mul(a, b):
    if isinstance(a, Vector) and isinstance(b, Vector):
        return lambda a, b: _vector_multiply(a, b)
    if isinstance(a, Vector) and isinstance(b, (types.Float, types.Integer)):
        return lambda a, b: _vector_scale(a, b)
    return None


@overload(operator.truediv)
def _truediv(a, b):
    if isinstance(a, Vector) and isinstance(b, (types.Float, types.Integer)):
        return lambda a, b: _vector_divide(a, b)
    return None
