"""Kernels that deal out tasks themselves: compiled once, run on one thread or on all.

With `prange` a kernel's body is compiled for the serial variant and again, several times over, for
the threads' sake. That is cheap for a plain loop and not for the long code of a convolution. Such a
kernel is a function of a thread's number, the number of threads and its arguments, and does that
thread's share of the tasks; on several threads a small loop calls it by its address.
"""

import functools
from typing import Any

import numba
from numba import njit, prange, types
from numba.extending import intrinsic

from . import jit
from .jit import FASTMATH, PRANGE_ONLY, KernelCache, run_on_threads

__all__ = ["TaskKernel", "address_of", "compiled_for", "task_kernel"]


class TaskKernel:
    """A compiled function of (thread, threads, *args), called with the number of threads."""

    native = True

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
        self.serial: Any = njit(**options)(function)
        self.serial._cache = KernelCache(function, "tasks")
        self._addresses: dict[Any, int] = {}

    def __call__(self, threads: int, *args: Any) -> None:
        capturing = jit._capturing
        if capturing is not None and capturing.here():
            capturing.add(jit.Call(self.serial, args, threads=threads))
        elif threads == 1:
            self.serial(0, 1, *args)
        else:
            # Of the arguments' types only this one differs between calls.
            address = self._addresses.get(args[0].dtype) or self._address(args)
            run_on_threads(_call_on_threads, address, threads, *args)

    def _address(self, args: tuple[Any, ...]) -> int:
        """Where the code for these arguments lies."""
        address = address_of(compiled_for(self.serial, (0, 1, *args)))
        return self._addresses.setdefault(args[0].dtype, address)


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


@_intrinsic
def _call(typingctx: Any, address: Any, thread: Any, threads: Any, args: Any) -> Any:
    """Call the compiled function at an address with (thread, threads, *args)."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = [types.int64, types.int64, *args]
        function_type = context.call_conv.get_function_type(types.none, kinds)
        function = builder.inttoptr(values[0], function_type.as_pointer())
        given = [
            context.cast(builder, values[1], thread, types.int64),
            context.cast(builder, values[2], threads, types.int64),
            *[builder.extract_value(values[3], i) for i in range(len(kinds) - 2)],
        ]
        context.call_conv.call_function(builder, function, types.none, kinds, given)
        return context.get_dummy_value()

    return types.void(address, thread, threads, args), codegen


def _spread(address, threads, *args):
    for thread in prange(threads):
        _call(address, thread, threads, args)


_options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "parallel": PRANGE_ONLY}
_call_on_threads: Any = njit(**_options)(_spread)
_call_on_threads._cache = KernelCache(_spread, "parallel")
