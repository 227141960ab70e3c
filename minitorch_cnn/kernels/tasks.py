"""Kernels that deal out tasks themselves, and parts of arrays dealt out to threads: compiled once,
run on one thread or on all.

With `prange` a kernel's body is compiled for the serial variant and again, several times over, for
the threads' sake. That is cheap for a plain loop and not for the long code of a convolution. Such a
kernel is a function of a thread's number, the number of threads and its arguments, and does that
thread's share of the tasks; on several threads it is called by its address. A kernel that works
element by element is called so, too: each thread has it work on parts of the arrays.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy import ndarray

from . import drivers
from .drivers import Call
from .jit import COMPILED, KernelCache, compiled_for, run_on_threads, team
from .region import TASK, WORD, address_of, region

__all__ = ["PART", "TaskKernel", "compile_call", "first_of", "on_parts", "task_kernel"]

PART = 64
"""Elements of which a thread takes whole numbers, where arrays are cut anywhere: some vectors."""


class TaskKernel:
    """A compiled function of (thread, threads, *args), called with the number of threads."""

    native = True

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.serial: Any = njit(**COMPILED)(function)
        self.serial._cache = KernelCache(function, "tasks")
        self._addresses: dict[Any, int] = {}

    def __call__(self, threads: int, *args: Any) -> None:
        capturing = drivers.capturing
        if capturing is not None and capturing.here():
            capturing.note(self, (threads, *args))
        elif threads == 1:
            self.serial(0, 1, *args)
        else:
            # Of the arguments' types only this one differs between calls.
            address = self._addresses.get(args[0].dtype) or self._address(args)
            run_on_threads(_call_on_threads, region(), address, threads, *args)

    def direct(self, args: tuple[Any, ...]) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """The function, and its arguments, that a call comes to with arguments of these types."""
        threads, *given = args
        if threads == 1:
            alone = (0, 1, *given)
            return compiled_for(self.serial, alone).entry_point, alone
        return run_on_threads, (_call_on_threads, region(), self._address((*given,)), *args)

    def call(self, threads: int, *args: Any) -> Call:
        """The call that it comes to in a chain."""
        return Call(self.serial, args, threads=threads)

    def _address(self, args: tuple[Any, ...]) -> int:
        """Where the code for these arguments lies."""
        address = address_of(compiled_for(self.serial, (0, 1, *args)))
        return self._addresses.setdefault(args[0].dtype, address)


task_kernel = TaskKernel
"""Compile a function of (thread, threads, *args), its arrays contiguous and of one real type."""


def on_parts(compiled: Any, threads: int, args: Sequence[Any]) -> Callable[..., None]:
    """A function of arguments like these, which start with arrays of one size and no gaps, that has
    each thread call compiled code with its part of the arrays, as one row each."""
    at, address = region(), address_of(compiled_for(compiled, args))
    arrays, ravel = len([a for a in args if type(a) is ndarray]), ndarray.ravel
    run = compiled_for(_call_on_parts, (at, address, threads, tuple(args))).entry_point

    # Most have two or three arrays alone: what is said of any number takes longer.
    def two(x: Any, y: Any) -> None:
        with team:
            run(at, address, threads, (ravel(x), ravel(y)))

    def three(a: Any, b: Any, y: Any) -> None:
        with team:
            run(at, address, threads, (ravel(a), ravel(b), ravel(y)))

    def many(*given: Any) -> None:
        with team:
            run(at, address, threads, (*map(ravel, given[:arrays]), *given[arrays:]))

    if arrays == len(args) == 2:
        return two
    return three if arrays == len(args) == 3 else many


def compile_call(call: Call) -> None:
    """Compile what a call noted by `captured` needs, unless it is compiled already."""
    if call.threads and not call.flat:
        compiled_for(call.compiled, (0, 1, *call.args))
        if call.threads > 1:
            region()
            compiled_for(_call_on_threads, (0, 0, call.threads, call.args))
    else:
        compiled_for(call.compiled, call.args)


_intrinsic: Any = intrinsic  # as it is called: without the typing context


@_intrinsic
def _run(typingctx: Any, loop: Any, address: Any, threads: Any, args: Any) -> Any:
    """Have a region call the compiled function at an address with (thread, threads, *args)."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _call_region(context, builder, values, threads, args, parts=False)
        return context.get_dummy_value()

    return types.void(loop, address, threads, args), codegen


@_intrinsic
def _run_parts(typingctx: Any, loop: Any, address: Any, threads: Any, args: Any) -> Any:
    """Have a region call the compiled function at an address with parts of the arrays in args."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _call_region(context, builder, values, threads, args, parts=True)
        return context.get_dummy_value()

    return types.void(loop, address, threads, args), codegen


def _call_region(
    context: Any, builder: Any, values: Sequence[Any], threads: Any, args: Any, parts: bool
) -> None:
    loop_at, function_at, count, given = values
    packed = cgutils.pack_struct(builder, [function_at, given])
    block = cgutils.alloca_once_value(builder, packed)
    task = _task(context, builder.module, block.type, [*args], parts)
    words = [
        builder.ptrtoint(task, WORD),
        context.cast(builder, count, threads, types.int64),
        builder.ptrtoint(block, WORD),
    ]
    _call(context, builder, loop_at, [types.int64] * 3, words)


def _task(context: Any, module: Any, block_type: Any, kinds: list[Any], parts: bool) -> Any:
    """A task whose block holds the address of a compiled function, and a tuple of arguments."""
    task = ir.Function(module, TASK, module.get_unique_name("task"))
    task.linkage = "internal"
    builder = ir.IRBuilder(task.append_basic_block())
    thread, threads, block = task.args
    packed = builder.load(builder.inttoptr(block, block_type))
    function_at, tuple_ = cgutils.unpack_tuple(builder, packed)
    given = cgutils.unpack_tuple(builder, tuple_)
    if parts:
        for i, kind in enumerate(kinds):
            if isinstance(kind, types.Array):
                given[i] = _part(context, builder, kind, given[i], thread, threads)
    else:
        kinds, given = [types.int64, types.int64, *kinds], [thread, threads, *given]
    _call(context, builder, function_at, kinds, given)
    builder.ret_void()
    return task


def _part(context: Any, builder: Any, kind: Any, array: Any, thread: Any, threads: Any) -> Any:
    """A thread's part of an array of one dimension."""
    part = context.make_array(kind)(context, builder, array)
    start = first_of(builder, part.nitems, thread, threads)
    size = builder.sub(first_of(builder, part.nitems, builder.add(thread, WORD(1)), threads), start)
    part.data = builder.gep(part.data, [start])
    part.nitems, part.shape = size, cgutils.pack_array(builder, [size])
    return part._getvalue()


def first_of(builder: Any, size: Any, thread: Any, threads: Any) -> Any:
    """The first of so many elements that is a thread's."""
    lines = builder.udiv(builder.add(size, WORD(PART - 1)), WORD(PART))
    first = builder.mul(builder.udiv(builder.mul(lines, thread), threads), WORD(PART))
    return builder.select(builder.icmp_unsigned(">", first, size), size, first)


def _call(context: Any, builder: Any, address: Any, kinds: list[Any], given: list[Any]) -> None:
    """Call the compiled function at an address."""
    convention = context.call_conv
    function_type = convention.get_function_type(types.none, kinds)
    function = builder.inttoptr(address, function_type.as_pointer())
    convention.call_function(builder, function, types.none, kinds, given)


def _start(loop, address, threads, *args):
    _run(loop, address, threads, args)


def _start_parts(loop, address, threads, args):
    _run_parts(loop, address, threads, args)


_call_on_threads: Any = njit(**COMPILED)(_start)
_call_on_threads._cache = KernelCache(_start, "serial")
_call_on_parts: Any = njit(**COMPILED)(_start_parts)
_call_on_parts._cache = KernelCache(_start_parts, "serial")
