"""Windows of a plane, which a pooling looks at: a vector of them at once, by intrinsics."""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from . import instructions as emit
from .simd import intrinsic


def _bytes(builder, array, lanes):
    """The address of a vector of bytes."""
    return builder.bitcast(array, ir.VectorType(emit.BYTE, lanes).as_pointer())


@intrinsic
def spread_to_fours(typingctx, gy, code, k, x, i, j):
    """x[i+2q], x[i+2q+1], x[j+2q], x[j+2q+1] = gy[k+q] at the number code[k+q] from 0, else 0"""

    def codegen(context, builder, signature, args):
        kind = emit.kind(x.dtype)
        count = kind.count
        integers = ir.VectorType(ir.IntType(8 * emit.size(kind)), count)
        at = emit.index(context, builder, k, args[2])
        value = emit.load(builder, kind, emit.pointer(context, builder, gy, args[0], at))
        place = _bytes(builder, emit.pointer(context, builder, code, args[1], at), count)
        found = builder.zext(builder.load(place, align=1), integers)
        zero = ir.Constant(kind, [0.0] * count)
        for row in range(2):
            parts = []
            for column in range(2):
                number = ir.Constant(integers, [2 * row + column] * count)
                here = builder.icmp_unsigned("==", found, number)
                parts.append(builder.select(here, value, zero))
            index = emit.index(context, builder, signature.args[4 + row], args[4 + row])
            first = emit.pointer(context, builder, x, args[3], index)
            emit.store_interleaved(builder, parts[0], parts[1], first)
        return context.get_dummy_value()

    return types.void(gy, code, k, x, i, j), codegen


@intrinsic
def largest_of_fours(typingctx, x, i, j, y, code, k, relu):
    """y[k+q] = the largest of x[i+2q], x[i+2q+1], x[j+2q], x[j+2q+1], code[k+q] = which, from 0

    Of equals the first, but a NaN is above all before it. With relu, y is at least 0, code 4 if 0.
    """

    def codegen(context, builder, signature, args):
        kind = emit.kind(x.dtype)
        count = kind.count
        integers = ir.VectorType(ir.IntType(8 * emit.size(kind)), count)
        best, found = None, None
        for row in range(2):
            at = emit.index(context, builder, signature.args[1 + row], args[1 + row])
            first = emit.pointer(context, builder, x, args[0], at)
            low = emit.load(builder, kind, first)
            high = emit.load(builder, kind, builder.gep(first, [emit.INDEX(count)]))
            for column in range(2):
                value = emit.shuffle(builder, low, high, range(column, 2 * count, 2))
                number = ir.Constant(integers, [2 * row + column] * count)
                if best is None:
                    best, found = value, number
                    continue
                above = builder.fcmp_ordered(">", value, best)
                nan = builder.fcmp_unordered("uno", value, value)
                better = builder.or_(above, nan)
                best = builder.select(better, value, best)
                found = builder.select(better, number, found)
        zero = ir.Constant(kind, [0.0] * count)
        flag = context.cast(builder, args[6], relu, types.boolean)
        flags = emit.filled(builder, ir.VectorType(ir.IntType(1), count), flag)
        cut = builder.and_(builder.fcmp_ordered("<=", best, zero), flags)
        best = builder.select(cut, zero, best)
        found = builder.select(cut, ir.Constant(integers, [4] * count), found)
        at = emit.index(context, builder, k, args[5])
        emit.store(builder, best, emit.pointer(context, builder, y, args[3], at))
        narrow = builder.trunc(found, ir.VectorType(emit.BYTE, count))
        place = _bytes(builder, emit.pointer(context, builder, code, args[4], at), count)
        builder.store(narrow, place, align=1)
        return context.get_dummy_value()

    return types.void(x, i, j, y, code, k, relu), codegen


def _largest(step):
    """An intrinsic for a vector of windows that lie so many elements apart."""

    def largest(typingctx, x, i, width, rows, columns, y, k, indices, m, start, line, firsts, j):
        """y[k+q] = the largest of x[i + u*width + v + q*step] for u < rows, v < columns; of equals
        the first, but a NaN is above all before it. indices[m+q] = start + q*step + u*line + v of
        it, or + firsts[j+q] where all are -inf.
        """

        def codegen(context, builder, signature, args):
            kind = emit.kind(x.dtype)
            count = kind.count
            integers = ir.VectorType(ir.IntType(8 * emit.size(kind)), count)
            places = ir.VectorType(emit.INDEX, count)
            i, width, rows, columns, k, m, start, line, j = (
                emit.index(context, builder, signature.args[n], args[n])
                for n in (1, 2, 3, 4, 6, 8, 9, 10, 12)
            )
            at = builder.bitcast(
                emit.pointer(context, builder, firsts, args[11], j),
                ir.VectorType(emit.INT32, count).as_pointer(),
            )
            first = builder.load(at, align=4)
            first = first if emit.size(kind) == 4 else builder.sext(first, integers)
            lowest = ir.Constant(kind, [float("-inf")] * count)
            best = cgutils.alloca_once_value(builder, lowest)
            found = cgutils.alloca_once_value(builder, first)
            corner = emit.pointer(context, builder, x, args[0], i)
            with cgutils.for_range(builder, rows) as down:
                row = builder.gep(corner, [builder.mul(down.index, width)])
                row_place = builder.mul(down.index, line)
                with cgutils.for_range(builder, columns) as right:
                    place = builder.gep(row, [right.index])
                    value = emit.load(builder, kind, place)
                    if step == 2:
                        behind = emit.load(builder, kind, builder.gep(place, [emit.INDEX(count)]))
                        value = emit.shuffle(builder, value, behind, range(0, 2 * count, 2))
                    above = builder.fcmp_ordered(">", value, builder.load(best))
                    better = builder.or_(above, builder.fcmp_unordered("uno", value, value))
                    number = builder.add(row_place, right.index)
                    if emit.size(kind) == 4:
                        number = builder.trunc(number, emit.INT32)
                    number = emit.filled(builder, integers, number)
                    builder.store(builder.select(better, value, builder.load(best)), best)
                    builder.store(builder.select(better, number, builder.load(found)), found)
            emit.store(builder, builder.load(best), emit.pointer(context, builder, y, args[5], k))
            place = builder.load(found)
            place = builder.sext(place, places) if emit.size(kind) == 4 else place
            place = builder.add(place, emit.filled(builder, places, start))
            place = builder.add(place, ir.Constant(places, [step * q for q in range(count)]))
            target = emit.pointer(context, builder, indices, args[7], m)
            builder.store(place, builder.bitcast(target, places.as_pointer()), align=8)
            return context.get_dummy_value()

        kinds = (x, i, width, rows, columns, y, k, indices, m, start, line, firsts, j)
        return types.void(*kinds), codegen

    return intrinsic(largest)


largest_side_by_side = _largest(1)
largest_of_every_second = _largest(2)
