"""Kernels that deal out tasks themselves: compiled once, run on one thread or on all.

With `prange` a kernel's body is compiled for the serial variant and again, several times over, for
the threads' sake. That is cheap for a plain loop and not for the long code of a convolution. Such a
kernel is a function of a thread's number, the number of threads and its arguments, and does that
thread's share of the tasks; on several threads a small loop calls it by its address.
"""

import functools
from typing import Any

import numba
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import drivers
from .drivers import Call
from .jit import COMPILED, PRANGE_ONLY, KernelCache, run_on_threads

__all__ = ["TaskKernel", "address_of", "compile_call", "compiled_for", "task_kernel"]


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
            run_on_threads(_call_on_threads, _loop(), address, threads, *args)

    def call(self, threads: int, *args: Any) -> Call:
        """The call that it comes to in a chain."""
        return Call(self.serial, args, threads=threads)

    def _address(self, args: tuple[Any, ...]) -> int:
        """Where the code for these arguments lies."""
        address = address_of(compiled_for(self.serial, (0, 1, *args)))
        return self._addresses.setdefault(args[0].dtype, address)


def compile_call(call: Call) -> None:
    """Compile what a call noted by `captured` needs, unless it is compiled already."""
    if call.threads and not call.flat:
        compiled_for(call.compiled, (0, 1, *call.args))
        if call.threads > 1:
            compiled_for(_on_threads, (0, 0, 0))
            compiled_for(_call_on_threads, (0, 0, call.threads, call.args))
    else:
        compiled_for(call.compiled, call.args)


def compiled_for(function: Any, args: tuple[Any, ...]) -> Any:
    """What Numba compiles of a function for arguments of these types."""
    signature = tuple([numba.typeof(a) for a in args])
    function.compile(signature)
    return function.overloads[signature]


def address_of(overload: Any) -> int:
    """Where compiled code lies, which takes its arguments as Numba's functions do each other's."""
    code = overload.library  # Numba's word for what it compiles together
    return int(code.get_pointer_to_function(overload.fndesc.llvm_func_name))


_intrinsic: Any = intrinsic  # as it is called: without the typing context

task_kernel = TaskKernel
"""Compile a function of (thread, threads, *args), its arrays contiguous and of one real type."""


# What runs on several threads is at last a function of (thread, threads, block), three words, of
# which the last is the address of its arguments. So the loop over threads is compiled once.

WORD = ir.IntType(64)
TASK = ir.FunctionType(ir.VoidType(), [WORD, WORD, WORD])


@_intrinsic
def _call_task(typingctx: Any, address: Any, thread: Any, threads: Any, block: Any) -> Any:
    """Call the function of (thread, threads, block) at an address."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        task, *given = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(values, signature.args)
        ]
        builder.call(builder.inttoptr(task, TASK.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(address, thread, threads, block), codegen


def _spread(address, threads, block):
    for thread in prange(threads):
        _call_task(address, thread, threads, block)


_parallel: dict[str, Any] = {**COMPILED, "parallel": PRANGE_ONLY}
_on_threads: Any = njit(**_parallel)(_spread)
_on_threads._cache = KernelCache(_spread, "parallel")


@functools.cache
def _loop() -> int:
    """Where that loop lies."""
    return address_of(compiled_for(_on_threads, (0, 0, 0)))


@_intrinsic
def _run(typingctx: Any, loop: Any, address: Any, threads: Any, args: Any) -> Any:
    """Have the loop call the compiled function at an address with (thread, threads, *args)."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loop_at, function_at, count, given = values
        packed = cgutils.pack_struct(builder, [function_at, given])
        block = cgutils.alloca_once_value(builder, packed)
        task = _task(context, builder.module, block.type, [types.int64, types.int64, *args])
        words = [
            builder.ptrtoint(task, WORD),
            context.cast(builder, count, threads, types.int64),
            builder.ptrtoint(block, WORD),
        ]
        _call(context, builder, loop_at, [types.int64] * 3, words)
        return context.get_dummy_value()

    return types.void(loop, address, threads, args), codegen


def _task(context: Any, module: Any, block_type: Any, kinds: list[Any]) -> Any:
    """A task whose block holds the address of a compiled function, and a tuple of arguments."""
    task = ir.Function(module, TASK, module.get_unique_name("task"))
    task.linkage = "internal"
    builder = ir.IRBuilder(task.append_basic_block())
    thread, threads, block = task.args
    packed = builder.load(builder.inttoptr(block, block_type))
    function_at, given = cgutils.unpack_tuple(builder, packed)
    _call(
        context,
        builder,
        function_at,
        kinds,
        [thread, threads, *cgutils.unpack_tuple(builder, given)],
    )
    builder.ret_void()
    return task


def _call(context: Any, builder: Any, address: Any, kinds: list[Any], given: list[Any]) -> None:
    """Call the compiled function at an address."""
    convention = context.call_conv
    function_type = convention.get_function_type(types.none, kinds)
    function = builder.inttoptr(address, function_type.as_pointer())
    convention.call_function(builder, function, types.none, kinds, given)


def _start(loop, address, threads, *args):
    _run(loop, address, threads, args)


_call_on_threads: Any = njit(**COMPILED)(_start)
_call_on_threads._cache = KernelCache(_start, "serial")
