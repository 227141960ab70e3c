"""How a kernel reaches as many arrays as a call happens to have: by their addresses.

An argument for each array would have Numba compile anew for every number of them and look at each
in every call. So the arrays of a launch come as tuples, and their kernel gets the addresses, and a
table of parts: the elements of all, as if they stood in one row, are cut into tasks of equal size.
"""

import ctypes
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

__all__ = ["TASK", "addresses", "array_at", "parts"]

TASK = 4096
"""Elements of a task."""


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
        base, first, count, _ = args
        element = context.get_data_type(kind.dtype)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(element))
        data = builder.gep(builder.inttoptr(base, element.as_pointer()), [first])
        array = context.make_array(kind)(context, builder)
        populate_array(array, data, [count], [itemsize], itemsize, meminfo=None)
        return array._getvalue()

    return kind(types.int64, types.int64, types.int64, like), codegen


array_at: Any = intrinsic(_array_at)
