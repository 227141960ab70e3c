"""LLVM's instructions for vectors, as the intrinsics of this folder write them into kernels.

Each function writes its own where an LLVM builder stands and returns the value they make.
"""

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .processor import VECTOR_BYTES

INDEX = ir.IntType(64)
INT32 = ir.IntType(32)
BYTE = ir.IntType(8)


def kind(dtype):
    """LLVM's type of a vector of elements."""
    element = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
    return ir.VectorType(element, VECTOR_BYTES * 8 // dtype.bitwidth)


def pointer(context, builder, array_type, array, index):
    """The address of element `index` of a flat array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def size(kind):
    """The bytes of an element of a vector."""
    return 4 if isinstance(kind.element, ir.FloatType) else 8


def load(builder, kind, pointer):
    """The vector at an address, which need be aligned to its elements only."""
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=size(kind))


def store(builder, value, pointer):
    """Write a vector to an address, which need be aligned to its elements only."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, place, align=size(value.type))


def store_past_caches(builder, value, pointer):
    """Write a vector to an address that is a multiple of its size, without use of the caches."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    written = builder.store(value, place, align=VECTOR_BYTES)
    written.set_metadata("nontemporal", builder.module.add_metadata([INT32(1)]))


def filled(builder, kind, scalar):
    """A vector of one value."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, nothing, zeros)


def mask(builder, kind, first, last):
    """Which lanes of a vector are first <= lane < last."""
    integers = ir.VectorType(ir.IntType(8 * size(kind)), kind.count)
    numbers = ir.Constant(integers, list(range(kind.count)))
    # Numbers beyond all lanes are cut off, so that they fit.
    bounds = []
    for bound in (first, last):
        for beyond, limit in ((">", INDEX(kind.count)), ("<", INDEX(0))):
            outside = builder.icmp_signed(beyond, bound, limit)
            bound = builder.select(outside, limit, bound)
        narrow = bound if size(kind) == 8 else builder.trunc(bound, integers.element)
        bounds.append(filled(builder, integers, narrow))
    return builder.and_(
        builder.icmp_signed(">=", numbers, bounds[0]),
        builder.icmp_signed("<", numbers, bounds[1]),
    )


def load_masked(builder, kind, pointer, mask):
    """The vector at an address, of which lanes outside the mask are 0 and not read."""
    place = builder.bitcast(pointer, kind.as_pointer())
    name = f"llvm.masked.load.v{kind.count}f{8 * size(kind)}.p0"
    told = ir.FunctionType(kind, [place.type, INT32, mask.type, kind])
    masked = cgutils.get_or_insert_function(builder.module, told, name)
    zeros = ir.Constant(kind, [0.0] * kind.count)
    return builder.call(masked, [place, INT32(size(kind)), mask, zeros])


def store_masked(builder, value, pointer, mask):
    """Write the lanes inside the mask to an address."""
    kind = value.type
    place = builder.bitcast(pointer, kind.as_pointer())
    name = f"llvm.masked.store.v{kind.count}f{8 * size(kind)}.p0"
    told = ir.FunctionType(ir.VoidType(), [kind, place.type, INT32, mask.type])
    masked = cgutils.get_or_insert_function(builder.module, told, name)
    builder.call(masked, [value, place, INT32(size(kind)), mask])


def shuffle(builder, a, b, lanes):
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
    return builder.shuffle_vector(a, b, mask)


def parted(builder, low, high):
    """Two vectors: the elements at even places of two of them, and those at odd ones."""
    return [shuffle(builder, low, high, range(n, 2 * low.type.count, 2)) for n in (0, 1)]


def multiply_add(builder, a, b, c):
    """a b + c, in one instruction and with one rounding where the processor has it."""
    name = f"llvm.fmuladd.v{a.type.count}f{8 * size(a.type)}"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def in_order(builder, vector):
    """The vector itself; no load that follows is moved before the instruction that made it.

    LLVM would load the operands of many rows, or of several steps of a loop, before it uses the
    first, and for these there are no registers. An empty piece of assembly stands in its way.
    """
    register = "w" if platform.machine().lower() in ("aarch64", "arm64") else "v"
    kind = ir.FunctionType(vector.type, [vector.type])
    constraint = f"={register},0,~{{memory}}"
    return builder.asm(kind, "", constraint, [vector], side_effect=True)


def is_index(kind):
    """Whether a Numba type is an integer's or that of a tuple of them."""
    kinds: Any = kind if isinstance(kind, types.BaseTuple) else [kind]
    return all(isinstance(k, types.Integer) for k in kinds)


def step(context, builder, kind, steps, i):
    """Offset i of a tile's rows or columns."""
    if isinstance(kind, types.BaseTuple):
        return context.cast(builder, builder.extract_value(steps, i), kind[i], types.int64)
    return builder.mul(context.cast(builder, steps, kind, types.int64), INDEX(i))


def index(context, builder, kind, value):
    """An integer of any type as an index."""
    return context.cast(builder, value, kind, types.int64)


def sum_of_lanes(builder, value):
    """The sum of a vector's lanes, by halves."""
    while value.type.count > 1:
        half = value.type.count // 2
        low = shuffle(builder, value, value, range(half))
        high = shuffle(builder, value, value, range(half, 2 * half))
        value = builder.fadd(low, high)
    return builder.extract_element(value, INT32(0))


def larger(builder, a, b):
    """a in the lanes where it is above b, else b: one instruction of most processors"""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def largest_of_lanes(builder, value):
    """The largest of a vector's lanes, by halves."""
    while value.type.count > 1:
        half = value.type.count // 2
        low = shuffle(builder, value, value, range(half))
        high = shuffle(builder, value, value, range(half, 2 * half))
        value = larger(builder, low, high)
    return builder.extract_element(value, INT32(0))


def transposed(builder, rows):
    """The transpose of as many vectors as they have lanes: step by step, blocks change places."""
    count = len(rows)
    distance = 1
    while distance < count:
        low = [i if not i & distance else count + i - distance for i in range(count)]
        high = [i + distance if not i & distance else count + i for i in range(count)]
        for i in range(count):
            if not i & distance:
                a, b = rows[i], rows[i + distance]
                rows[i] = shuffle(builder, a, b, low)
                rows[i + distance] = shuffle(builder, a, b, high)
        distance *= 2
    return rows


def store_interleaved(builder, even, odd, first):
    """Write two vectors to an address, element by element in turn."""
    count = even.type.count
    for half in range(2):
        start = half * count // 2
        both = [start + k // 2 + count * (k % 2) for k in range(count)]
        vector = shuffle(builder, even, odd, both)
        store(builder, vector, builder.gep(first, [INDEX(half * count)]))


def element(context, builder, array_type, array, kind, number):
    """The address of an element, by an index of any type of integers."""
    return pointer(context, builder, array_type, array, index(context, builder, kind, number))
