"""How a kernel reaches as many buffers as a call happens to have: by their addresses."""

import ctypes
from typing import Any

import numpy as np

from . import driver
from .buffer import constant
from .registry import device_function, types

__all__ = ["addresses", "known", "load", "store"]

if driver.SIMULATED or driver.cuda is None:

    def _element(address, index, like):
        kind = ctypes.c_double if like.itemsize == 8 else ctypes.c_float
        return kind.from_address(int(address) + int(index) * int(like.itemsize))

    def load(address, index, like):
        """The element at an index of the array of like's type that begins at an address"""
        return like.dtype.type(_element(address, index, like).value)

    def store(address, index, value, like):
        """Write such an element"""
        _element(address, index, like).value = float(value)

else:
    from numba.cuda.extending import intrinsic

    @intrinsic
    def _load(typingctx, address, index, like):
        kind = like.dtype

        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_data_type(kind).as_pointer())
            return builder.load(builder.gep(pointer, [args[1]]))

        return kind(address, index, like), codegen

    @intrinsic
    def _store(typingctx, address, index, value, like):
        kind = like.dtype

        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], context.get_data_type(kind).as_pointer())
            element = context.cast(builder, args[2], value, kind)
            builder.store(element, builder.gep(pointer, [args[1]]))
            return context.get_dummy_value()

        return types.void(address, index, value, like), codegen

    _intrinsics: Any = _load, _store  # as kernels call them: without the typing context
    _load_element, _store_element = _intrinsics

    def _load_at(address, index, like):
        return _load_element(address, index, like)

    def _store_at(address, index, value, like):
        _store_element(address, index, value, like)

    load, store = device_function(_load_at), device_function(_store_at)


def addresses(buffers: Any) -> Any:
    """A buffer of where contiguous buffers begin, kept if they have a dict `known`."""
    return known(buffers, "addresses", lambda: np.array([b.address for b in buffers], np.int64))


def known(buffers: Any, name: str, make: Any) -> Any:
    """What `make` returns, an array, as a buffer; made once for those that have a dict `known`."""
    kept = getattr(buffers, "known", {})
    if name not in kept:
        kept[name] = constant(make())
    return kept[name]
