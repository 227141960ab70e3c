"""A parallel region: a function called once on each of several threads.

With `prange` Numba counts out ranges of an index to the threads and has them wait for each other
twice. What runs here counts out its work itself, and waits once. So OpenMP is asked directly, where
its library has GNU's names, as others have too; that takes half the time. Elsewhere it is a
`prange` over the threads.
"""

import ctypes
import functools
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import COMPILED, PRANGE_ONLY, KernelCache, compiled_for

__all__ = ["TASK", "WORD", "address_of", "region"]

# What runs on a thread is at last a function of (thread, threads, block), three words, of which the
# last is an address of what it needs. So one loop over threads does for all.
WORD = ir.IntType(64)
TASK = ir.FunctionType(ir.VoidType(), [WORD, WORD, WORD])

OPENMP = "GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads"
PREFIX = "minitorch_cnn."
"""Of these names in compiled code: a process may have several such libraries."""


def address_of(overload: Any) -> int:
    """Where compiled code lies, which takes its arguments as Numba's functions do each other's."""
    code = overload.library  # Numba's word for what it compiles together
    return int(code.get_pointer_to_function(overload.fndesc.llvm_func_name))


@functools.cache
def region() -> int:
    """Where a function of (address, threads, block) lies, called as Numba's are, that calls the
    task at the address with (thread, threads, block) for every thread."""
    return address_of(compiled_for(_by_openmp if _has_openmp() else _by_numba, (0, 0, 0)))


def _has_openmp() -> bool:
    """Whether Numba has its threads from OpenMP; if so, its functions can be called by name."""
    numba.get_num_threads()  # before, there are no threads
    if numba.threading_layer() != "omp":
        return False
    try:
        from numba.np.ufunc import omppool  # type: ignore[attr-defined]

        # As what it calls is found: in what is open to all, such as PyTorch's, or else in what it
        # is linked to. Of two such libraries each would have threads of its own.
        addresses = _openmp(None) or _openmp(omppool.__file__)
    except (ImportError, OSError, TypeError):
        return False
    for name, address in zip(OPENMP, addresses):
        llvm.add_symbol(PREFIX + name, address)
    return bool(addresses)


def _openmp(library: str | None) -> list[int]:
    """Where OpenMP's functions lie, if a library has them all."""
    handle = ctypes.CDLL(library)
    if not all([hasattr(handle, name) for name in OPENMP]):
        return []
    return [ctypes.cast(getattr(handle, name), ctypes.c_void_p).value or 0 for name in OPENMP]


_intrinsic: Any = intrinsic  # as it is called: without the typing context


@_intrinsic
def _call_task(typingctx: Any, address: Any, thread: Any, threads: Any, block: Any) -> Any:
    """Call the task at an address with (thread, threads, block)."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        task, *given = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(values, signature.args)
        ]
        builder.call(builder.inttoptr(task, TASK.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(address, thread, threads, block), codegen


@_intrinsic
def _call_openmp(typingctx: Any, address: Any, threads: Any, block: Any) -> Any:
    """Have OpenMP's threads call the task at an address."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        packed = cgutils.alloca_once_value(builder, cgutils.pack_struct(builder, values))
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        member = _member(builder.module, packed.type)
        kind = ir.FunctionType(ir.VoidType(), [member.type, pointer, number, number])
        start = cgutils.get_or_insert_function(builder.module, kind, PREFIX + OPENMP[0])
        count = builder.trunc(values[1], number)
        builder.call(start, [member, builder.bitcast(packed, pointer), count, number(0)])
        return context.get_dummy_value()

    return types.void(address, threads, block), codegen


def _member(module: Any, given: Any) -> Any:
    """What OpenMP calls on each of its threads, with the place of what is given. A thread makes one
    call, and more if there are fewer threads than were asked for."""
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    function = ir.Function(module, kind, module.get_unique_name("member"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    packed = builder.load(builder.bitcast(function.args[0], given))
    address, threads, block = cgutils.unpack_tuple(builder, packed)
    ask = ir.FunctionType(ir.IntType(32), [])
    first, step = [
        builder.zext(
            builder.call(cgutils.get_or_insert_function(module, ask, PREFIX + name), []), WORD
        )
        for name in OPENMP[1:]
    ]
    task = builder.inttoptr(address, TASK.as_pointer())
    with cgutils.for_range_slice(builder, first, threads, step, WORD) as (thread, _):
        builder.call(task, [thread, threads, block])
    builder.ret_void()
    return function


def _spread_by_openmp(address, threads, block):
    _call_openmp(address, threads, block)


def _spread(address, threads, block):
    for thread in prange(threads):
        _call_task(address, thread, threads, block)


_by_openmp: Any = njit(**COMPILED)(_spread_by_openmp)
_by_openmp._cache = KernelCache(_spread_by_openmp, "serial")
_by_numba: Any = njit(**{**COMPILED, "parallel": PRANGE_ONLY})(_spread)
_by_numba._cache = KernelCache(_spread, "parallel")
