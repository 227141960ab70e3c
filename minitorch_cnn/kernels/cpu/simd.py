"""Vectors and tiles of vectors that stay in registers: what the fast kernels are built from.

A *vector* holds as many elements as a register of the processor: `VECTOR_BYTES` of them. A *tile*
is rows x columns of vectors, the running sums of a small matrix product. As long as they, the
vectors of one row and one more fit into the `REGISTERS`, nothing but the operands goes through
memory, and the processor can multiply and add in every cycle.

The functions are Numba intrinsics: each writes the LLVM instructions for itself into the kernel
that calls it. They take flat arrays with offsets into them, counted in elements, and check no
bounds. The offsets of a tile's rows or columns are one number, the step from each to the next, or a
tuple with one for each.
"""

import operator
import platform
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, overload, register_model

intrinsic: Any = numba_intrinsic  # as it is called: without the typing context

_PROBE = """
define void @probe(ptr %x) {
  %a = load <16 x float>, ptr %x
  %b = fadd <16 x float> %a, %a
  store <16 x float> %b, ptr %x
  ret void
}
"""


def _processor():
    """The width in bytes and the number of the vector registers that Numba compiles for.

    Read off the code that LLVM makes of a sum of sixteen floats for Numba's processor, which
    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES may narrow: a name alone implies features that no list
    tells.
    """
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(processor, features)
    code = machine.emit_assembly(llvm.parse_assembly(_PROBE))
    if "zmm" in code:  # AVX-512
        return 64, 32
    if "ymm" in code:  # AVX, AVX2
        return 32, 16
    return 16, 32 if platform.machine().lower() in ("aarch64", "arm64") else 16


VECTOR_BYTES, REGISTERS = _processor()

INDEX = ir.IntType(64)
INT32 = ir.IntType(32)


class Vector(types.Type):
    """Numba's type of one register of elements."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"vector({dtype})")


class Tile(types.Type):
    """Numba's type of rows x columns of vectors; with `half` the last column has halves of them."""

    def __init__(self, dtype, rows, columns, half=False):
        self.dtype, self.rows, self.columns, self.half = dtype, rows, columns, half
        super().__init__(name=f"tile({dtype}, {rows}, {columns}, {half})")

    def kinds(self):
        """LLVM's types of the vectors of a row."""
        kind = _kind(self.dtype)
        last = ir.VectorType(kind.element, kind.count // 2) if self.half else kind
        return [kind] * (self.columns - 1) + [last]


def _kind(dtype):
    """LLVM's type of a vector of elements."""
    element = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
    return ir.VectorType(element, VECTOR_BYTES * 8 // dtype.bitwidth)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _kind(fe_type.dtype))


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        kinds = fe_type.kinds() * fe_type.rows
        super().__init__(manager, fe_type, ir.LiteralStructType(kinds))


# What the intrinsics below write their instructions with.


def _pointer(context, builder, array_type, array, index):
    """The address of element `index` of a flat array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _size(kind):
    return 4 if isinstance(kind.element, ir.FloatType) else 8


def _load(builder, kind, pointer):
    """The vector at an address, which need be aligned to its elements only."""
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=_size(kind))


def _store(builder, value, pointer):
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, place, align=_size(value.type))


def _filled(builder, kind, scalar):
    """A vector of one value."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, scalar, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, nothing, zeros)


def _mask(builder, kind, first, last):
    """Which lanes of a vector are first <= lane < last."""
    integers = ir.VectorType(ir.IntType(8 * _size(kind)), kind.count)
    numbers = ir.Constant(integers, list(range(kind.count)))
    # Numbers beyond all lanes are cut off, so that they fit.
    bounds = []
    for bound in (first, last):
        for beyond, limit in ((">", INDEX(kind.count)), ("<", INDEX(0))):
            outside = builder.icmp_signed(beyond, bound, limit)
            bound = builder.select(outside, limit, bound)
        narrow = bound if _size(kind) == 8 else builder.trunc(bound, integers.element)
        bounds.append(_filled(builder, integers, narrow))
    return builder.and_(
        builder.icmp_signed(">=", numbers, bounds[0]),
        builder.icmp_signed("<", numbers, bounds[1]),
    )


def _load_masked(builder, kind, pointer, mask):
    """The vector at an address, of which lanes outside the mask are 0 and not read."""
    place = builder.bitcast(pointer, kind.as_pointer())
    name = f"llvm.masked.load.v{kind.count}f{8 * _size(kind)}.p0"
    told = ir.FunctionType(kind, [place.type, INT32, mask.type, kind])
    masked = cgutils.get_or_insert_function(builder.module, told, name)
    zeros = ir.Constant(kind, [0.0] * kind.count)
    return builder.call(masked, [place, INT32(_size(kind)), mask, zeros])


def _store_masked(builder, value, pointer, mask):
    """Write the lanes inside the mask to an address."""
    kind = value.type
    place = builder.bitcast(pointer, kind.as_pointer())
    name = f"llvm.masked.store.v{kind.count}f{8 * _size(kind)}.p0"
    told = ir.FunctionType(ir.VoidType(), [kind, place.type, INT32, mask.type])
    masked = cgutils.get_or_insert_function(builder.module, told, name)
    builder.call(masked, [value, place, INT32(_size(kind)), mask])


def _shuffle(builder, a, b, lanes):
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
    return builder.shuffle_vector(a, b, mask)


def _multiply_add(builder, a, b, c):
    """a b + c, in one instruction and with one rounding where the processor has it."""
    name = f"llvm.fmuladd.v{a.type.count}f{8 * _size(a.type)}"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def _in_order(builder, vector):
    """The vector itself; no load that follows is moved before the instruction that made it.

    LLVM would load the operands of many rows, or of several steps of a loop, before it uses the
    first, and for these there are no registers. An empty piece of assembly stands in its way.
    """
    register = "w" if platform.machine().lower() in ("aarch64", "arm64") else "v"
    kind = ir.FunctionType(vector.type, [vector.type])
    constraint = f"={register},0,~{{memory}}"
    return builder.asm(kind, "", constraint, [vector], side_effect=True)


def _unknown(builder, pointer):
    """A pointer that is another's equal, which LLVM does not know."""
    kind = ir.FunctionType(pointer.type, [pointer.type])
    return builder.asm(kind, "", "=r,0", [pointer], side_effect=False)


def _is_index(kind):
    kinds: Any = kind if isinstance(kind, types.BaseTuple) else [kind]
    return all(isinstance(k, types.Integer) for k in kinds)


def _step(context, builder, kind, steps, i):
    """Offset i of a tile's rows or columns."""
    if isinstance(kind, types.BaseTuple):
        return context.cast(builder, builder.extract_value(steps, i), kind[i], types.int64)
    return builder.mul(context.cast(builder, steps, kind, types.int64), INDEX(i))


def _index(context, builder, kind, value):
    return context.cast(builder, value, kind, types.int64)


def _vectors(builder, tile_type, tile):
    return [builder.extract_value(tile, i) for i in range(tile_type.rows * tile_type.columns)]


def _tile(builder, vectors):
    value = ir.Constant(ir.LiteralStructType([v.type for v in vectors]), ir.Undefined)
    for i, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, i)
    return value


@intrinsic
def lanes(typingctx, x):
    """How many elements of x's type a vector holds."""

    def codegen(context, builder, signature, args):
        return INDEX(_kind(x.dtype).count)

    return types.int64(x), codegen


@intrinsic
def entry(typingctx, table, i):
    """table[i] for 0 <= i: without the test for an index that counts from the end"""

    def codegen(context, builder, signature, args):
        index = _index(context, builder, i, args[1])
        return builder.load(_pointer(context, builder, table, args[0], index))

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


# Tiles.


@intrinsic(prefer_literal=True)
def zero_tile(typingctx, x, rows, columns):
    """A tile of zeros of x's type; rows and columns are literals."""
    return _zero_tile(x, rows, columns, half=False)


@intrinsic(prefer_literal=True)
def zero_tile_and_half(typingctx, x, rows, columns):
    """zero_tile whose last column has halves of vectors: to load, multiply, add and store"""
    return _zero_tile(x, rows, columns, half=True)


def _zero_tile(x, rows, columns, half):
    result = Tile(x.dtype, rows.literal_value, columns.literal_value, half)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return result(x, rows, columns), codegen


@intrinsic
def row_tile(typingctx, like, x, i):
    """tile[m,n] = the vector x[i + n*lanes :], alike in all rows; the shape is another tile's"""

    def codegen(context, builder, signature, args):
        kind = _kind(like.dtype)
        first = _pointer(context, builder, x, args[1], _index(context, builder, i, args[2]))
        row = [
            _load(builder, part, builder.gep(first, [INDEX(n * kind.count)]))
            for n, part in enumerate(like.kinds())
        ]
        return _tile(builder, row * like.rows)

    return like(like, x, i), codegen


@intrinsic
def column_tile(typingctx, like, x, i):
    """tile[m,n] = a vector of x[i + m], alike in all columns; the shape is another tile's"""

    def codegen(context, builder, signature, args):
        kind = _kind(like.dtype)
        first = _pointer(context, builder, x, args[1], _index(context, builder, i, args[2]))
        vectors = []
        for m in range(like.rows):
            value = builder.load(builder.gep(first, [INDEX(m)]))
            vectors += [_filled(builder, kind, value)] * like.columns
        return _tile(builder, vectors)

    return like(like, x, i), codegen


@intrinsic
def load_tile(typingctx, like, x, i, rows, columns):
    """tile[m,n] = the vector x[i + rows(m) + columns(n) :]; the shape is another tile's"""
    if not (isinstance(like, Tile) and _is_index(rows) and _is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        _, x_value, i_value, row_steps, column_steps = args
        first = _pointer(context, builder, x, x_value, _index(context, builder, i, i_value))
        vectors = []
        for m in range(like.rows):
            row = builder.gep(first, [_step(context, builder, rows, row_steps, m)])
            for n, kind in enumerate(like.kinds()):
                place = builder.gep(row, [_step(context, builder, columns, column_steps, n)])
                vectors.append(_load(builder, kind, place))
        return _tile(builder, vectors)

    return like(like, x, i, rows, columns), codegen


@intrinsic
def load_tile_inside(typingctx, like, x, i, rows, count):
    """load_tile of columns side by side, of which only the elements j < count are read, others 0"""
    if not (isinstance(like, Tile) and _is_index(rows)):
        return None

    def codegen(context, builder, signature, args):
        kind, lanes_inside = _kind(like.dtype), _inside(context, builder, like, count, args[4])
        first = _pointer(context, builder, x, args[1], _index(context, builder, i, args[2]))
        vectors = []
        for m in range(like.rows):
            row = builder.gep(first, [_step(context, builder, rows, args[3], m)])
            for n, mask in enumerate(lanes_inside):
                place = builder.gep(row, [INDEX(n * kind.count)])
                vectors.append(_load_masked(builder, kind, place, mask))
        return _tile(builder, vectors)

    return like(like, x, i, rows, count), codegen


def _inside(context, builder, tile, kind, count):
    """By column of a tile, which lanes are among so many elements of a row."""
    number, vector = _index(context, builder, kind, count), _kind(tile.dtype)
    ends = [builder.sub(number, INDEX(n * vector.count)) for n in range(tile.columns)]
    return [_mask(builder, vector, INDEX(0), end) for end in ends]


def _extent(name):
    """An intrinsic for the rows or columns of a tile's shape."""

    def count(typingctx, tile):
        def codegen(context, builder, signature, args):
            return INDEX(getattr(tile, name))

        return types.int64(tile), codegen

    return count


def _offsets(name):
    """An intrinsic for as many entries of a table as a tile has rows or columns."""

    def take(typingctx, tile, table, i):
        count = getattr(tile, name)

        def codegen(context, builder, signature, args):
            first = _pointer(context, builder, table, args[1], _index(context, builder, i, args[2]))
            values = [builder.load(builder.gep(first, [INDEX(k)])) for k in range(count)]
            return context.make_tuple(builder, signature.return_type, values)

        return types.UniTuple(table.dtype, count)(tile, table, i), codegen

    return take


@intrinsic
def tile_rows(typingctx, tile):
    """How many rows of vectors a tile has."""
    return _extent("rows")(typingctx, tile)


@intrinsic
def tile_columns(typingctx, tile):
    """How many columns of vectors a tile has."""
    return _extent("columns")(typingctx, tile)


@intrinsic
def tile_width(typingctx, tile):
    """How many elements a row of a tile has."""

    def codegen(context, builder, signature, args):
        return INDEX(sum([kind.count for kind in tile.kinds()]))

    return types.int64(tile), codegen


@intrinsic
def row_offsets(typingctx, tile, table, i):
    """(table[i], table[i + 1], ...), one for each row of the tile"""
    return _offsets("rows")(typingctx, tile, table, i)


@intrinsic
def column_offsets(typingctx, tile, table, i):
    """(table[i], table[i + 1], ...), one for each column of the tile"""
    return _offsets("columns")(typingctx, tile, table, i)


@intrinsic
def multiply_add(typingctx, tile, a, i, rows, b, j, columns):
    """tile[m,n] + a[i + rows(m)] * the vector b[j + columns(n) :]"""
    if not (isinstance(tile, Tile) and _is_index(rows) and _is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        tile_value, a_value, i_value, row_steps, b_value, j_value, column_steps = args
        kind = _kind(tile.dtype)
        sums = _vectors(builder, tile, tile_value)
        left = _pointer(context, builder, a, a_value, _index(context, builder, i, i_value))
        right = _pointer(context, builder, b, b_value, _index(context, builder, j, j_value))
        apart = _unknown(builder, left) if tile.half else left
        row = []
        for n, part in enumerate(tile.kinds()):
            step = _step(context, builder, columns, column_steps, n)
            row.append(_load(builder, part, builder.gep(right, [step])))
        for m in range(tile.rows):
            step = _step(context, builder, rows, row_steps, m)
            factor = _filled(builder, kind, builder.load(builder.gep(left, [step])))
            factors = [factor] * tile.columns
            if tile.half:
                # Loaded again: as part of the other LLVM would copy it, and run out of registers.
                value = builder.load(builder.gep(apart, [step]))
                factors[-1] = _filled(builder, row[-1].type, value)
            for n in range(tile.columns):
                at = m * tile.columns + n
                sums[at] = _multiply_add(builder, factors[n], row[n], sums[at])
                sums[at] = _in_order(builder, sums[at])
        return _tile(builder, sums)

    return tile(tile, a, i, rows, b, j, columns), codegen


@intrinsic
def add_scaled(typingctx, tile, a, i, b, j, rows, columns):
    """tile[m,n] + a[i] * the vector b[j + rows(m) + columns(n) :]"""
    if not (isinstance(tile, Tile) and _is_index(rows) and _is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        tile_value, a_value, i_value, b_value, j_value, row_steps, column_steps = args
        kind = _kind(tile.dtype)
        sums = _vectors(builder, tile, tile_value)
        index = _index(context, builder, i, i_value)
        factor = _filled(builder, kind, builder.load(_pointer(context, builder, a, a_value, index)))
        first = _pointer(context, builder, b, b_value, _index(context, builder, j, j_value))
        for m in range(tile.rows):
            row = builder.gep(first, [_step(context, builder, rows, row_steps, m)])
            for n in range(tile.columns):
                step = _step(context, builder, columns, column_steps, n)
                vector = _load(builder, kind, builder.gep(row, [step]))
                at = m * tile.columns + n
                sums[at] = _in_order(builder, _multiply_add(builder, factor, vector, sums[at]))
        return _tile(builder, sums)

    return tile(tile, a, i, b, j, rows, columns), codegen


@intrinsic
def dot(typingctx, tile, a, i, rows, b, j, columns):
    """tile[m,n] + a[i + rows(m) :] * b[j + columns(n) :], lane by lane"""
    return _dot(tile, a, i, rows, b, j, columns)


@intrinsic
def dot_inside(typingctx, tile, a, i, rows, b, j, columns, count):
    """dot in the lanes below count, alone in which a and b are read"""
    return _dot(tile, a, i, rows, b, j, columns, count)


def _dot(tile, a, i, rows, b, j, columns, *count):
    if not (isinstance(tile, Tile) and _is_index(rows) and _is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        tile_value, a_value, i_value, row_steps, b_value, j_value, column_steps, *number = args
        kind = _kind(tile.dtype)
        sums = _vectors(builder, tile, tile_value)
        first = _pointer(context, builder, a, a_value, _index(context, builder, i, i_value))
        second = _pointer(context, builder, b, b_value, _index(context, builder, j, j_value))
        masks = [
            _mask(builder, kind, INDEX(0), _index(context, builder, *end))
            for end in zip(count, number)
        ]

        def vector(start, steps, values, k):
            place = builder.gep(start, [_step(context, builder, steps, values, k)])
            if masks:
                return _load_masked(builder, kind, place, masks[0])
            return _load(builder, kind, place)

        def row(m):
            return vector(first, rows, row_steps, m)

        def column(n):
            return vector(second, columns, column_steps, n)

        # Of the two, the fewer stay in registers while the others pass by.
        if tile.rows < tile.columns:
            kept = [row(m) for m in range(tile.rows)]
            for n in range(tile.columns):
                passing = column(n)
                for m in range(tile.rows):
                    at = m * tile.columns + n
                    sums[at] = _multiply_add(builder, kept[m], passing, sums[at])
                    sums[at] = _in_order(builder, sums[at])
        else:
            kept = [column(n) for n in range(tile.columns)]
            for m in range(tile.rows):
                passing = row(m)
                for n in range(tile.columns):
                    at = m * tile.columns + n
                    sums[at] = _multiply_add(builder, passing, kept[n], sums[at])
                    sums[at] = _in_order(builder, sums[at])
        return _tile(builder, sums)

    return tile(tile, a, i, rows, b, j, columns, *count), codegen


def _writes(combine):
    """An intrinsic that writes a tile to y[i + rows(m) + columns(n) :]."""

    def write(typingctx, tile, y, i, rows, columns):
        if not (isinstance(tile, Tile) and _is_index(rows) and _is_index(columns)):
            return None

        def codegen(context, builder, signature, args):
            tile_value, y_value, i_value, row_steps, column_steps = args
            vectors = _vectors(builder, tile, tile_value)
            first = _pointer(context, builder, y, y_value, _index(context, builder, i, i_value))
            for m in range(tile.rows):
                row = builder.gep(first, [_step(context, builder, rows, row_steps, m)])
                for n in range(tile.columns):
                    place = builder.gep(row, [_step(context, builder, columns, column_steps, n)])
                    _store(builder, combine(builder, vectors[m * tile.columns + n], place), place)
            return context.get_dummy_value()

        return types.void(tile, y, i, rows, columns), codegen

    return write


@intrinsic
def store_tile(typingctx, tile, y, i, rows, columns):
    """y[i + rows(m) + columns(n) :] = the vector tile[m,n]"""
    return _writes(lambda builder, vector, place: vector)(typingctx, tile, y, i, rows, columns)


@intrinsic
def store_tile_inside(typingctx, tile, y, i, rows, count):
    """store_tile of columns side by side, of which only the elements j < count are written"""
    if not (isinstance(tile, Tile) and _is_index(rows)):
        return None

    def codegen(context, builder, signature, args):
        vectors, kind = _vectors(builder, tile, args[0]), _kind(tile.dtype)
        lanes_inside = _inside(context, builder, tile, count, args[4])
        first = _pointer(context, builder, y, args[1], _index(context, builder, i, args[2]))
        for m in range(tile.rows):
            row = builder.gep(first, [_step(context, builder, rows, args[3], m)])
            for n, mask in enumerate(lanes_inside):
                place = builder.gep(row, [INDEX(n * kind.count)])
                _store_masked(builder, vectors[m * tile.columns + n], place, mask)
        return context.get_dummy_value()

    return types.void(tile, y, i, rows, count), codegen


@intrinsic
def add_tile(typingctx, tile, y, i, rows, columns):
    """y[i + rows(m) + columns(n) :] += the vector tile[m,n]"""
    return _writes(
        lambda builder, vector, place: builder.fadd(_load(builder, vector.type, place), vector)
    )(typingctx, tile, y, i, rows, columns)


def _sum_of_lanes(builder, value):
    """The sum of a vector's lanes, by halves."""
    while value.type.count > 1:
        half = value.type.count // 2
        low = _shuffle(builder, value, value, range(half))
        high = _shuffle(builder, value, value, range(half, 2 * half))
        value = builder.fadd(low, high)
    return builder.extract_element(value, INT32(0))


@intrinsic
def store_sums(typingctx, tile, y, i, rows, columns):
    """y[i + rows(m) + columns(n)] = the sum of the lanes of tile[m,n], by halves"""

    def codegen(context, builder, signature, args):
        tile_value, y_value, i_value, row_steps, column_steps = args
        vectors = _vectors(builder, tile, tile_value)
        first = _pointer(context, builder, y, y_value, _index(context, builder, i, i_value))
        for m in range(tile.rows):
            row = builder.gep(first, [_step(context, builder, rows, row_steps, m)])
            for n in range(tile.columns):
                value = _sum_of_lanes(builder, vectors[m * tile.columns + n])
                place = builder.gep(row, [_step(context, builder, columns, column_steps, n)])
                builder.store(value, place)
        return context.get_dummy_value()

    return types.void(tile, y, i, rows, columns), codegen


# A square of vectors.


def _transposed(builder, rows):
    """The transpose of as many vectors as they have lanes: step by step, blocks change places."""
    count = len(rows)
    distance = 1
    while distance < count:
        low = [i if not i & distance else count + i - distance for i in range(count)]
        high = [i + distance if not i & distance else count + i for i in range(count)]
        for i in range(count):
            if not i & distance:
                a, b = rows[i], rows[i + distance]
                rows[i] = _shuffle(builder, a, b, low)
                rows[i + distance] = _shuffle(builder, a, b, high)
        distance *= 2
    return rows


@intrinsic
def transpose(typingctx, x, i, x_step, x_count, y, j, y_step, y_count):
    """y[j + q*y_step + p] = x[i + p*x_step + q] for p < lanes, q < y_count <= lanes

    Of x only the rows p < x_count are read; beyond, y gets copies of the last.
    """

    def codegen(context, builder, signature, args):
        args = [
            value if k in (0, 4) else _index(context, builder, kind, value)
            for k, (kind, value) in enumerate(zip(signature.args, args))
        ]
        x_value, i_value, x_rows, x_last, y_value, j_value, y_rows, y_last = args
        kind = _kind(x.dtype)
        source = _pointer(context, builder, x, x_value, i_value)
        target = _pointer(context, builder, y, y_value, j_value)
        last = builder.sub(x_last, INDEX(1))
        rows = []
        for p in range(kind.count):
            inside = builder.icmp_signed("<", INDEX(p), x_last)
            row = builder.mul(builder.select(inside, INDEX(p), last), x_rows)
            rows.append(_load(builder, kind, builder.gep(source, [row])))
        for q, row in enumerate(_transposed(builder, rows)):
            with builder.if_then(builder.icmp_signed("<", INDEX(q), y_last)):
                _store(builder, row, builder.gep(target, [builder.mul(y_rows, INDEX(q))]))
        return context.get_dummy_value()

    return types.void(x, i, x_step, x_count, y, j, y_step, y_count), codegen


# Arithmetic with single vectors.


@intrinsic
def load(typingctx, x, i):
    """The vector x[i :]"""

    def codegen(context, builder, signature, args):
        index = _index(context, builder, i, args[1])
        return _load(builder, _kind(x.dtype), _pointer(context, builder, x, args[0], index))

    return Vector(x.dtype)(x, i), codegen


@intrinsic
def load_inside(typingctx, x, i, first, last):
    """The vector x[i :] in the lanes first <= lane < last, 0 in others, which are not read"""

    def codegen(context, builder, signature, args):
        kind = _kind(x.dtype)
        at, *bounds = (_index(context, builder, signature.args[k], args[k]) for k in (1, 2, 3))
        mask = _mask(builder, kind, *bounds)
        return _load_masked(builder, kind, _pointer(context, builder, x, args[0], at), mask)

    return Vector(x.dtype)(x, i, first, last), codegen


@intrinsic
def store_first(typingctx, vector, y, i, count):
    """y[i + q] = vector[q] in the lanes q < count; those behind are not touched"""

    def codegen(context, builder, signature, args):
        at, number = (_index(context, builder, signature.args[k], args[k]) for k in (2, 3))
        mask = _mask(builder, args[0].type, INDEX(0), number)
        _store_masked(builder, args[0], _pointer(context, builder, y, args[1], at), mask)
        return context.get_dummy_value()

    return types.void(vector, y, i, count), codegen


@intrinsic
def fused(typingctx, a, b, c):
    """a b + c, with one rounding where the processor has an instruction for it"""

    def codegen(context, builder, signature, args):
        return _multiply_add(builder, *args)

    return c(a, b, c), codegen


@intrinsic
def zeros(typingctx, x):
    """A vector of zeros of x's type"""

    def codegen(context, builder, signature, args):
        return ir.Constant(_kind(x.dtype), [0.0] * _kind(x.dtype).count)

    return Vector(x.dtype)(x), codegen


@intrinsic
def passed(typingctx, a, b):
    """a in the lanes where b is above 0, or NaN; 0 in others"""

    def codegen(context, builder, signature, args):
        nothing = ir.Constant(args[0].type, [0.0] * args[0].type.count)
        return builder.select(builder.fcmp_ordered("<=", args[1], nothing), nothing, args[0])

    return a(a, b), codegen


@intrinsic
def sum_of_lanes(typingctx, vector):
    """The sum of a vector's lanes in float64, by halves"""

    def codegen(context, builder, signature, args):
        value = args[0]
        if _size(value.type) == 4:
            value = builder.fpext(value, ir.VectorType(ir.DoubleType(), value.type.count))
        return _sum_of_lanes(builder, value)

    return types.float64(vector), codegen


@intrinsic
def store(typingctx, vector, y, i):
    """y[i :] = the vector"""

    def codegen(context, builder, signature, args):
        index = _index(context, builder, i, args[2])
        _store(builder, args[0], _pointer(context, builder, y, args[1], index))
        return context.get_dummy_value()

    return types.void(vector, y, i), codegen


@intrinsic
def copy_few(typingctx, x, i, y, j, count):
    """y[j + q] = x[i + q] for q < count <= lanes; elements of x beyond are not read"""

    def codegen(context, builder, signature, args):
        i_value, j_value, number = (
            _index(context, builder, signature.args[k], args[k]) for k in (1, 3, 4)
        )
        source = _pointer(context, builder, x, args[0], i_value)
        target = _pointer(context, builder, y, args[2], j_value)
        # As many as each binary digit of the number says.
        some = _kind(x.dtype).count
        while some:
            kind = ir.VectorType(_kind(x.dtype).element, some)
            here = builder.and_(number, INDEX(some))
            with builder.if_then(builder.icmp_signed("!=", here, INDEX(0))):
                first = builder.and_(number, INDEX(-2 * some))
                vector = _load(builder, kind, builder.gep(source, [first]))
                _store(builder, vector, builder.gep(target, [first]))
            some //= 2
        return context.get_dummy_value()

    return types.void(x, i, y, j, count), codegen


@intrinsic
def broadcast(typingctx, x, i):
    """A vector of x[i]"""

    def codegen(context, builder, signature, args):
        index = _index(context, builder, i, args[1])
        value = builder.load(_pointer(context, builder, x, args[0], index))
        return _filled(builder, _kind(x.dtype), value)

    return Vector(x.dtype)(x, i), codegen


def _store_interleaved(builder, even, odd, first):
    """Write two vectors to an address, element by element in turn."""
    count = even.type.count
    for half in range(2):
        start = half * count // 2
        both = [start + k // 2 + count * (k % 2) for k in range(count)]
        vector = _shuffle(builder, even, odd, both)
        _store(builder, vector, builder.gep(first, [INDEX(half * count)]))


@intrinsic
def store_interleaved(typingctx, even, odd, y, i):
    """y[i + 2k] = even[k], y[i + 2k + 1] = odd[k]"""

    def codegen(context, builder, signature, args):
        first = _pointer(context, builder, y, args[2], _index(context, builder, i, args[3]))
        _store_interleaved(builder, args[0], args[1], first)
        return context.get_dummy_value()

    return types.void(even, odd, y, i), codegen


@intrinsic
def store_threes(typingctx, x, i, step, y, j):
    """y[j + 3q + c] = x[i + c*step + q] for c < 3, q < lanes"""

    def codegen(context, builder, signature, args):
        i_value, step_value, j_value = (
            _index(context, builder, signature.args[k], args[k]) for k in (1, 2, 4)
        )
        kind = _kind(x.dtype)
        count = kind.count
        source = _pointer(context, builder, x, args[0], i_value)
        target = _pointer(context, builder, y, args[3], j_value)
        planes = [
            _load(builder, kind, builder.gep(source, [builder.mul(step_value, INDEX(c))]))
            for c in range(3)
        ]
        for start in range(0, 3 * count, count):
            places = [divmod(k, 3) for k in range(start, start + count)]  # q, c
            two = [q + c * count if c < 2 else 0 for q, c in places]
            all_three = [k if c < 2 else count + q for k, (q, c) in enumerate(places)]
            vector = _shuffle(builder, planes[0], planes[1], two)
            vector = _shuffle(builder, vector, planes[2], all_three)
            _store(builder, vector, builder.gep(target, [INDEX(start)]))
        return context.get_dummy_value()

    return types.void(x, i, step, y, j), codegen


@intrinsic
def parted(typingctx, a, b):
    """Two vectors: the elements at even places of a and, behind them, b, and those at odd ones"""

    def codegen(context, builder, signature, args):
        low, high = args
        parts = [_shuffle(builder, low, high, range(n, 2 * low.type.count, 2)) for n in (0, 1)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(a, 2)(a, b), codegen


@intrinsic
def add_neighbours(typingctx, x, i):
    """The vector of x[i + 2q] + x[i + 2q + 1]"""

    def codegen(context, builder, signature, args):
        kind = _kind(x.dtype)
        first = _pointer(context, builder, x, args[0], _index(context, builder, i, args[1]))
        low = _load(builder, kind, first)
        high = _load(builder, kind, builder.gep(first, [INDEX(kind.count)]))
        even, odd = [_shuffle(builder, low, high, range(n, 2 * kind.count, 2)) for n in (0, 1)]
        return builder.fadd(even, odd)

    return Vector(x.dtype)(x, i), codegen


# Windows of 2 x 2, which a pooling looks at: a vector of them at once.

BYTE = ir.IntType(8)


def _bytes(builder, array, lanes):
    """The address of a vector of bytes."""
    return builder.bitcast(array, ir.VectorType(BYTE, lanes).as_pointer())


@intrinsic
def spread_to_fours(typingctx, gy, code, k, x, i, j):
    """x[i+2q], x[i+2q+1], x[j+2q], x[j+2q+1] = gy[k+q] at the number code[k+q] from 0, else 0"""

    def codegen(context, builder, signature, args):
        kind = _kind(x.dtype)
        count = kind.count
        integers = ir.VectorType(ir.IntType(8 * _size(kind)), count)
        at = _index(context, builder, k, args[2])
        value = _load(builder, kind, _pointer(context, builder, gy, args[0], at))
        place = _bytes(builder, _pointer(context, builder, code, args[1], at), count)
        found = builder.zext(builder.load(place, align=1), integers)
        zero = ir.Constant(kind, [0.0] * count)
        for row in range(2):
            parts = []
            for column in range(2):
                number = ir.Constant(integers, [2 * row + column] * count)
                here = builder.icmp_unsigned("==", found, number)
                parts.append(builder.select(here, value, zero))
            index = _index(context, builder, signature.args[4 + row], args[4 + row])
            first = _pointer(context, builder, x, args[3], index)
            _store_interleaved(builder, parts[0], parts[1], first)
        return context.get_dummy_value()

    return types.void(gy, code, k, x, i, j), codegen


@intrinsic
def largest_of_fours(typingctx, x, i, j, y, code, k, relu):
    """y[k+q] = the largest of x[i+2q], x[i+2q+1], x[j+2q], x[j+2q+1], code[k+q] = which, from 0

    Of equals the first, but a NaN is above all before it. With relu, y is at least 0, code 4 if 0.
    """

    def codegen(context, builder, signature, args):
        kind = _kind(x.dtype)
        count = kind.count
        integers = ir.VectorType(ir.IntType(8 * _size(kind)), count)
        best, found = None, None
        for row in range(2):
            at = _index(context, builder, signature.args[1 + row], args[1 + row])
            first = _pointer(context, builder, x, args[0], at)
            low = _load(builder, kind, first)
            high = _load(builder, kind, builder.gep(first, [INDEX(count)]))
            for column in range(2):
                value = _shuffle(builder, low, high, range(column, 2 * count, 2))
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
        flags = _filled(builder, ir.VectorType(ir.IntType(1), count), flag)
        cut = builder.and_(builder.fcmp_ordered("<=", best, zero), flags)
        best = builder.select(cut, zero, best)
        found = builder.select(cut, ir.Constant(integers, [4] * count), found)
        at = _index(context, builder, k, args[5])
        _store(builder, best, _pointer(context, builder, y, args[3], at))
        narrow = builder.trunc(found, ir.VectorType(BYTE, count))
        place = _bytes(builder, _pointer(context, builder, code, args[4], at), count)
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
            kind = _kind(x.dtype)
            count = kind.count
            integers = ir.VectorType(ir.IntType(8 * _size(kind)), count)
            places = ir.VectorType(INDEX, count)
            i, width, rows, columns, k, m, start, line, j = (
                _index(context, builder, signature.args[n], args[n])
                for n in (1, 2, 3, 4, 6, 8, 9, 10, 12)
            )
            at = builder.bitcast(
                _pointer(context, builder, firsts, args[11], j),
                ir.VectorType(INT32, count).as_pointer(),
            )
            first = builder.load(at, align=4)
            first = first if _size(kind) == 4 else builder.sext(first, integers)
            lowest = ir.Constant(kind, [float("-inf")] * count)
            best = cgutils.alloca_once_value(builder, lowest)
            found = cgutils.alloca_once_value(builder, first)
            corner = _pointer(context, builder, x, args[0], i)
            with cgutils.for_range(builder, rows) as down:
                row = builder.gep(corner, [builder.mul(down.index, width)])
                row_place = builder.mul(down.index, line)
                with cgutils.for_range(builder, columns) as right:
                    place = builder.gep(row, [right.index])
                    value = _load(builder, kind, place)
                    if step == 2:
                        behind = _load(builder, kind, builder.gep(place, [INDEX(count)]))
                        value = _shuffle(builder, value, behind, range(0, 2 * count, 2))
                    above = builder.fcmp_ordered(">", value, builder.load(best))
                    better = builder.or_(above, builder.fcmp_unordered("uno", value, value))
                    number = builder.add(row_place, right.index)
                    if _size(kind) == 4:
                        number = builder.trunc(number, INT32)
                    number = _filled(builder, integers, number)
                    builder.store(builder.select(better, value, builder.load(best)), best)
                    builder.store(builder.select(better, number, builder.load(found)), found)
            _store(builder, builder.load(best), _pointer(context, builder, y, args[5], k))
            place = builder.load(found)
            place = builder.sext(place, places) if _size(kind) == 4 else place
            place = builder.add(place, _filled(builder, places, start))
            place = builder.add(place, ir.Constant(places, [step * q for q in range(count)]))
            target = _pointer(context, builder, indices, args[7], m)
            builder.store(place, builder.bitcast(target, places.as_pointer()), align=8)
            return context.get_dummy_value()

        kinds = (x, i, width, rows, columns, y, k, indices, m, start, line, firsts, j)
        return types.void(*kinds), codegen

    return intrinsic(largest)


largest_side_by_side = _largest(1)
largest_of_every_second = _largest(2)


def _arithmetic(name):
    """An intrinsic for an instruction of two vectors."""

    def operation(typingctx, a, b):
        def codegen(context, builder, signature, args):
            return getattr(builder, name)(*args)

        return a(a, b), codegen

    return intrinsic(operation)


_vector_add, _vector_sub = _arithmetic("fadd"), _arithmetic("fsub")


@intrinsic
def _vector_scale(typingctx, vector, factor):
    def codegen(context, builder, signature, args):
        scalar = context.cast(builder, args[1], factor, vector.dtype)
        return builder.fmul(args[0], _filled(builder, args[0].type, scalar))

    return vector(vector, factor), codegen


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
    if isinstance(a, Vector) and isinstance(b, (types.Float, types.Integer)):
        return lambda a, b: _vector_scale(a, b)
    return None
