"""How a kernel reaches as many arrays as a call happens to have: by their addresses.

An argument for each array would have Numba compile anew for every number of them and look at each
in every call. So the arrays of a launch come as tuples, and their kernel gets the addresses, and a
table of parts: the elements of all, as if they stood in one row, are cut into tasks of equal size.
"""

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["BLOCK", "TASK", "addresses", "array_at", "fill_block", "move_some", "parts"]

TASK = 4096
"""Elements of a task."""

BLOCK = 32
"""Bytes that are moved at once."""

_BYTES = ir.VectorType(ir.IntType(8), BLOCK)
_LANE = ir.IntType(32)


def addresses(arrays: Any) -> Any:
    """Where contiguous arrays begin, kept for the next call if they have a dict `known`."""
    known = getattr(arrays, "known", {})
    if "addresses" not in known:
        known["addresses"] = np.array([_address(a) for a in arrays], np.int64)
    return known["addresses"]


def _address(array: Any) -> int:
    try:  # several times as fast as `array.ctypes.data`
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # read-only or empty
        return array.ctypes.data


def parts(arrays: Any) -> Any:
    """Rows of (array, first element, elements), and at which row each task begins, and the end."""
    known = getattr(arrays, "known", {})
    if "parts" not in known:
        rows, firsts, room = [], [0], TASK
        for i, array in enumerate(arrays):
            start = 0
            while start < array.size:
                size = min(room, array.size - start)
                rows.append((i, start, size))
                start, room = start + size, room - size
                if not room:
                    firsts.append(len(rows))
                    room = TASK
        table = np.array(rows, np.int64).reshape(-1, 3)
        known["parts"] = table, np.array([*firsts, len(rows)], np.int64)
    return known["parts"]


def _array_at(typingctx, address, start, size, like):
    """The array of `size` elements of like's type that begins `start` elements after an address"""
    kind = types.Array(like.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        # It takes a twentieth of a second to import, and compiled code needs it no more.
        from numba.np.arrayobj import populate_array

        base, first, count, _ = args
        element = context.get_data_type(kind.dtype)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(element))
        data = builder.gep(builder.inttoptr(base, element.as_pointer()), [first])
        array = context.make_array(kind)(context, builder)
        populate_array(array, data, [count], [itemsize], itemsize, meminfo=None)
        return array._getvalue()

    return kind(types.int64, types.int64, types.int64, like), codegen


def _block_at(builder, address):
    return builder.inttoptr(address, _BYTES.as_pointer())


def _shuffled(builder, block, lanes):
    mask = ir.Constant(ir.VectorType(_LANE, BLOCK), list(lanes))
    return builder.shuffle_vector(block, ir.Constant(_BYTES, ir.Undefined), mask)


def _block_of(builder, value):
    """A block of one byte."""
    first = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), value, _LANE(0))
    return _shuffled(builder, first, [0] * BLOCK)


def _move_some(typingctx, source, target, begin, count, value, backwards):
    """Copy a block of bytes from an address to another, in reverse order if a literal says so; but
    in places outside of `count` from `begin` on, both within the block, write a value"""
    reverse = backwards.literal_value

    def codegen(context, builder, signature, args):
        block = builder.load(_block_at(builder, args[0]), align=1)
        if reverse:
            block = _shuffled(builder, block, reversed(range(BLOCK)))
        begin, count = [
            _block_of(builder, builder.trunc(number, _BYTES.element)) for number in args[2:4]
        ]
        places = builder.sub(ir.Constant(_BYTES, list(range(BLOCK))), begin)
        inside = builder.icmp_unsigned("<", places, count)
        block = builder.select(inside, block, _block_of(builder, args[4]))
        builder.store(block, _block_at(builder, args[1]), align=1)
        return context.get_dummy_value()

    given = source, target, types.int64, types.int64, types.uint8, backwards
    return types.void(*given), codegen


def _fill_block(typingctx, value, target):
    """Write a block of one byte to an address"""

    def codegen(context, builder, signature, args):
        builder.store(_block_of(builder, args[0]), _block_at(builder, args[1]), align=1)
        return context.get_dummy_value()

    return types.void(value, target), codegen


array_at: Any = intrinsic(_array_at)
move_some: Any = intrinsic(prefer_literal=True)(_move_some)
fill_block: Any = intrinsic(_fill_block)
