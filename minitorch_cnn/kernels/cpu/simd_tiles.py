"""Tiles of vectors that stay in registers: the running sums of a small matrix product.

A *tile* is rows x columns of vectors. As long as they, the vectors of one row and one more fit into
the `REGISTERS`, nothing but the operands goes through memory, and the processor can multiply and
add in every cycle.

The functions are intrinsics as those of `simd`. The offsets of a tile's rows or columns are one
number, the step from each to the next, or a tuple with one for each.
"""

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from . import instructions as emit
from .simd import intrinsic


class Tile(types.Type):
    """Numba's type of rows x columns of vectors; with `half` the last column has halves of them.

    The halves of two rows share a register, so that no lane is empty.
    """

    def __init__(self, dtype, rows, columns, half=False):
        self.dtype, self.rows, self.columns, self.half = dtype, rows, columns, half
        super().__init__(name=f"tile({dtype}, {rows}, {columns}, {half})")

    def kinds(self):
        """LLVM's types of the vectors of a row."""
        kind = emit.kind(self.dtype)
        last = ir.VectorType(kind.element, kind.count // 2) if self.half else kind
        return [kind] * (self.columns - 1) + [last]

    def registers(self):
        """LLVM's type of what holds a tile: whole vectors row by row, then those of halves."""
        count = self.rows * self.columns - self.half * self.rows // 2
        return ir.LiteralStructType([emit.kind(self.dtype)] * count)


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, fe_type.registers())


def _registers(builder, tile_type, tile):
    return [builder.extract_value(tile, i) for i in range(len(tile_type.registers()))]


def _in_registers(builder, tile_type, registers):
    value = ir.Constant(tile_type.registers(), ir.Undefined)
    for i, register in enumerate(registers):
        value = builder.insert_value(value, register, i)
    return value


def _vectors(builder, tile_type, tile):
    """The vectors of a tile, row by row."""
    registers = _registers(builder, tile_type, tile)
    if not tile_type.half:
        return registers
    whole, count = tile_type.columns - 1, emit.kind(tile_type.dtype).count
    vectors = []
    for m in range(tile_type.rows):
        both, first = registers[tile_type.rows * whole + m // 2], m % 2 * count // 2
        half = emit.shuffle(builder, both, both, range(first, first + count // 2))
        vectors += [*registers[m * whole : (m + 1) * whole], half]
    return vectors


def _tile(builder, tile_type, vectors):
    """A tile of its vectors, row by row."""
    if tile_type.half:
        columns = tile_type.columns
        halves = vectors[columns - 1 :: columns]
        vectors = [v for i, v in enumerate(vectors) if i % columns < columns - 1]
        lanes = range(emit.kind(tile_type.dtype).count)
        for m in range(0, tile_type.rows, 2):
            vectors.append(emit.shuffle(builder, halves[m], halves[m + 1], lanes))
    return _in_registers(builder, tile_type, vectors)


@intrinsic(prefer_literal=True)
def zero_tile(typingctx, x, rows, columns):
    """A tile of zeros of x's type; rows and columns are literals."""
    return _zero_tile(x, rows, columns, half=False)


@intrinsic(prefer_literal=True)
def zero_tile_and_half(typingctx, x, rows, columns):
    """zero_tile of an even number of rows whose last column has halves of vectors: to load,
    multiply, add and store"""
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
        kind = emit.kind(like.dtype)
        first = emit.element(context, builder, x, args[1], i, args[2])
        row = [
            emit.load(builder, part, builder.gep(first, [emit.INDEX(n * kind.count)]))
            for n, part in enumerate(like.kinds())
        ]
        return _tile(builder, like, row * like.rows)

    return like(like, x, i), codegen


@intrinsic
def column_tile(typingctx, like, x, i):
    """tile[m,n] = a vector of x[i + m], alike in all columns; the shape is another tile's"""

    def codegen(context, builder, signature, args):
        kind = emit.kind(like.dtype)
        first = emit.element(context, builder, x, args[1], i, args[2])
        vectors = []
        for m in range(like.rows):
            value = builder.load(builder.gep(first, [emit.INDEX(m)]))
            vectors += [emit.filled(builder, kind, value)] * like.columns
        return _tile(builder, like, vectors)

    return like(like, x, i), codegen


@intrinsic
def load_tile(typingctx, like, x, i, rows, columns):
    """tile[m,n] = the vector x[i + rows(m) + columns(n) :]; the shape is another tile's"""
    if not (isinstance(like, Tile) and emit.is_index(rows) and emit.is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        _, x_value, i_value, row_steps, column_steps = args
        first = emit.element(context, builder, x, x_value, i, i_value)
        vectors = []
        for m in range(like.rows):
            row = builder.gep(first, [emit.step(context, builder, rows, row_steps, m)])
            for n, kind in enumerate(like.kinds()):
                place = builder.gep(row, [emit.step(context, builder, columns, column_steps, n)])
                vectors.append(emit.load(builder, kind, place))
        return _tile(builder, like, vectors)

    return like(like, x, i, rows, columns), codegen


@intrinsic
def load_tile_inside(typingctx, like, x, i, rows, count):
    """load_tile of columns side by side, of which only the elements j < count are read, others 0"""
    if not (isinstance(like, Tile) and emit.is_index(rows)):
        return None

    def codegen(context, builder, signature, args):
        kind, lanes_inside = emit.kind(like.dtype), _inside(context, builder, like, count, args[4])
        first = emit.element(context, builder, x, args[1], i, args[2])
        vectors = []
        for m in range(like.rows):
            row = builder.gep(first, [emit.step(context, builder, rows, args[3], m)])
            for n, mask in enumerate(lanes_inside):
                place = builder.gep(row, [emit.INDEX(n * kind.count)])
                vectors.append(emit.load_masked(builder, kind, place, mask))
        return _tile(builder, like, vectors)

    return like(like, x, i, rows, count), codegen


def _inside(context, builder, tile, kind, count):
    """By column of a tile, which lanes are among so many elements of a row."""
    number, vector = emit.index(context, builder, kind, count), emit.kind(tile.dtype)
    ends = [builder.sub(number, emit.INDEX(n * vector.count)) for n in range(tile.columns)]
    return [emit.mask(builder, vector, emit.INDEX(0), end) for end in ends]


def _extent(name):
    """An intrinsic for the rows or columns of a tile's shape."""

    def count(typingctx, tile):
        def codegen(context, builder, signature, args):
            return emit.INDEX(getattr(tile, name))

        return types.int64(tile), codegen

    return count


def _offsets(name):
    """An intrinsic for as many entries of a table as a tile has rows or columns."""

    def take(typingctx, tile, table, i):
        count = getattr(tile, name)

        def codegen(context, builder, signature, args):
            first = emit.element(context, builder, table, args[1], i, args[2])
            values = [builder.load(builder.gep(first, [emit.INDEX(k)])) for k in range(count)]
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
        return emit.INDEX(sum([kind.count for kind in tile.kinds()]))

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
    if not (isinstance(tile, Tile) and emit.is_index(rows) and emit.is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        tile_value, a_value, i_value, row_steps, b_value, j_value, column_steps = args
        kind, whole = emit.kind(tile.dtype), tile.columns - tile.half
        sums = _registers(builder, tile, tile_value)
        left = emit.element(context, builder, a, a_value, i, i_value)
        right = emit.element(context, builder, b, b_value, j, j_value)
        row = []
        for n, part in enumerate(tile.kinds()):
            step = emit.step(context, builder, columns, column_steps, n)
            row.append(emit.load(builder, part, builder.gep(right, [step])))
        if tile.half:
            row[-1] = emit.shuffle(builder, row[-1], row[-1], [*range(kind.count // 2)] * 2)

        def add(at, factor, vector):
            sums[at] = emit.multiply_add(builder, factor, vector, sums[at])
            sums[at] = emit.in_order(builder, sums[at])

        factors = []
        for m in range(tile.rows):
            step = emit.step(context, builder, rows, row_steps, m)
            factors.append(emit.filled(builder, kind, builder.load(builder.gep(left, [step]))))
            for n in range(whole):
                add(m * whole + n, factors[m], row[n])
            if tile.half and m % 2:
                lanes = [*range(kind.count // 2), *range(3 * kind.count // 2, 2 * kind.count)]
                both = emit.shuffle(builder, factors[m - 1], factors[m], lanes)
                add(tile.rows * whole + m // 2, both, row[whole])
        return _in_registers(builder, tile, sums)

    return tile(tile, a, i, rows, b, j, columns), codegen


@intrinsic
def add_scaled(typingctx, tile, a, i, b, j, rows, columns):
    """tile[m,n] + a[i] * the vector b[j + rows(m) + columns(n) :]"""
    if not (isinstance(tile, Tile) and emit.is_index(rows) and emit.is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        tile_value, a_value, i_value, b_value, j_value, row_steps, column_steps = args
        kind = emit.kind(tile.dtype)
        sums = _vectors(builder, tile, tile_value)
        value = builder.load(emit.element(context, builder, a, a_value, i, i_value))
        factor = emit.filled(builder, kind, value)
        first = emit.element(context, builder, b, b_value, j, j_value)
        for m in range(tile.rows):
            row = builder.gep(first, [emit.step(context, builder, rows, row_steps, m)])
            for n in range(tile.columns):
                step = emit.step(context, builder, columns, column_steps, n)
                vector = emit.load(builder, kind, builder.gep(row, [step]))
                at = m * tile.columns + n
                sums[at] = emit.multiply_add(builder, factor, vector, sums[at])
                sums[at] = emit.in_order(builder, sums[at])
        return _tile(builder, tile, sums)

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
    if not (isinstance(tile, Tile) and emit.is_index(rows) and emit.is_index(columns)):
        return None

    def codegen(context, builder, signature, args):
        tile_value, a_value, i_value, row_steps, b_value, j_value, column_steps, *number = args
        kind = emit.kind(tile.dtype)
        sums = _vectors(builder, tile, tile_value)
        first = emit.element(context, builder, a, a_value, i, i_value)
        second = emit.element(context, builder, b, b_value, j, j_value)
        masks = [
            emit.mask(builder, kind, emit.INDEX(0), emit.index(context, builder, *end))
            for end in zip(count, number)
        ]

        def vector(start, steps, values, k):
            place = builder.gep(start, [emit.step(context, builder, steps, values, k)])
            if masks:
                return emit.load_masked(builder, kind, place, masks[0])
            return emit.load(builder, kind, place)

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
                    sums[at] = emit.multiply_add(builder, kept[m], passing, sums[at])
                    sums[at] = emit.in_order(builder, sums[at])
        else:
            kept = [column(n) for n in range(tile.columns)]
            for m in range(tile.rows):
                passing = row(m)
                for n in range(tile.columns):
                    at = m * tile.columns + n
                    sums[at] = emit.multiply_add(builder, passing, kept[n], sums[at])
                    sums[at] = emit.in_order(builder, sums[at])
        return _tile(builder, tile, sums)

    return tile(tile, a, i, rows, b, j, columns, *count), codegen


def _writes(combine):
    """An intrinsic that writes a tile to y[i + rows(m) + columns(n) :]."""

    def write(typingctx, tile, y, i, rows, columns):
        if not (isinstance(tile, Tile) and emit.is_index(rows) and emit.is_index(columns)):
            return None

        def codegen(context, builder, signature, args):
            tile_value, y_value, i_value, row_steps, column_steps = args
            vectors = _vectors(builder, tile, tile_value)
            first = emit.element(context, builder, y, y_value, i, i_value)
            for m in range(tile.rows):
                row = builder.gep(first, [emit.step(context, builder, rows, row_steps, m)])
                for n in range(tile.columns):
                    step = emit.step(context, builder, columns, column_steps, n)
                    place, vector = builder.gep(row, [step]), vectors[m * tile.columns + n]
                    emit.store(builder, combine(builder, vector, place), place)
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
    if not (isinstance(tile, Tile) and emit.is_index(rows)):
        return None

    def codegen(context, builder, signature, args):
        vectors, kind = _vectors(builder, tile, args[0]), emit.kind(tile.dtype)
        lanes_inside = _inside(context, builder, tile, count, args[4])
        first = emit.element(context, builder, y, args[1], i, args[2])
        for m in range(tile.rows):
            row = builder.gep(first, [emit.step(context, builder, rows, args[3], m)])
            for n, mask in enumerate(lanes_inside):
                place = builder.gep(row, [emit.INDEX(n * kind.count)])
                emit.store_masked(builder, vectors[m * tile.columns + n], place, mask)
        return context.get_dummy_value()

    return types.void(tile, y, i, rows, count), codegen


@intrinsic
def add_tile(typingctx, tile, y, i, rows, columns):
    """y[i + rows(m) + columns(n) :] += the vector tile[m,n]"""
    return _writes(
        lambda builder, vector, place: builder.fadd(emit.load(builder, vector.type, place), vector)
    )(typingctx, tile, y, i, rows, columns)


@intrinsic
def store_sums(typingctx, tile, y, i, rows, columns):
    """y[i + rows(m) + columns(n)] = the sum of the lanes of tile[m,n], by halves"""

    def codegen(context, builder, signature, args):
        tile_value, y_value, i_value, row_steps, column_steps = args
        vectors = _vectors(builder, tile, tile_value)
        first = emit.element(context, builder, y, y_value, i, i_value)
        for m in range(tile.rows):
            row = builder.gep(first, [emit.step(context, builder, rows, row_steps, m)])
            for n in range(tile.columns):
                value = emit.sum_of_lanes(builder, vectors[m * tile.columns + n])
                place = builder.gep(row, [emit.step(context, builder, columns, column_steps, n)])
                builder.store(value, place)
        return context.get_dummy_value()

    return types.void(tile, y, i, rows, columns), codegen
