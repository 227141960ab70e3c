"""Kernels that deal out tasks themselves, and parts of arrays dealt out to threads: compiled once,
run on one thread or on all.

With `prange` a kernel's body is compiled for the serial variant and again, several times over, for
the threads' sake. That is cheap for a plain loop and not for the long code of a convolution. Such a
kernel is a function of a thread's number, the number of threads and its arguments, and does that
thread's share of the tasks; on several threads it is called by its address. A kernel that works
element by element is called so, too: each thread has it work on parts of the arrays.
"""

import functools
import itertools
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

STRETCH = 16384
"""Elements of a thread's part that are one call. With every launch their order is turned round: the
next begins where this one ended, with what is in the cache. A sum of two tensors that both caches
just can't hold takes a tenth less time."""

LONGEST = 1 << 19
"""Elements of a part of which that is so. What comes from memory comes faster in its order."""

_turns = itertools.cycle((0, 1))
"""Whether a launch begins with the last stretches; for who has the team."""


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
        at, address = region(), self._address((*given,))
        # To find out types again takes as long as a small kernel.
        run = compiled_for(_call_on_threads, (at, address, threads, (*given,))).entry_point
        return lambda *some: run_on_threads(run, at, address, threads, some), (*given,)

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
    run = compiled_for(_call_on_parts, (at, address, threads, 0, tuple(args))).entry_point

    # Most have two or three arrays alone: what is said of any number takes longer.
    def two(x: Any, y: Any) -> None:
        with team:
            run(at, address, threads, next(_turns), (ravel(x), ravel(y)))

    def three(a: Any, b: Any, y: Any) -> None:
        with team:
            run(at, address, threads, next(_turns), (ravel(a), ravel(b), ravel(y)))

    def many(*given: Any) -> None:
        with team:
            parts = *map(ravel, given[:arrays]), *given[arrays:]
            run(at, address, threads, next(_turns), parts)

    if arrays == len(args) == 2:
        return two
    return three if arrays == len(args) == 3 else many


def compile_call(call: Call, chained: bool = False) -> None:
    """Compile what a call noted by `captured` needs, alone or in a chain, unless it is already."""
    if call.threads and not call.flat:
        compiled_for(call.compiled, (0, 1, *call.args))
        if call.threads > 1 and not chained:
            region()
            compiled_for(_call_on_threads, (0, 0, call.threads, call.args))
    else:
        compiled_for(call.compiled, call.args)


_intrinsic: Any = intrinsic  # as it is called: without the typing context


@_intrinsic
def _run(typingctx: Any, loop: Any, address: Any, threads: Any, args: Any) -> Any:
    """Have a region call the compiled function at an address with (thread, threads, *args)."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loop_at, function_at, count, given = values
        count = context.cast(builder, count, threads, types.int64)
        task = functools.partial(_with_thread, context, [*args])
        _call_region(context, builder, loop_at, count, [function_at, given], task)
        return context.get_dummy_value()

    return types.void(loop, address, threads, args), codegen


@_intrinsic
def _run_parts(typingctx: Any, loop: Any, address: Any, threads: Any, back: Any, args: Any) -> Any:
    """Have a region call the compiled function at an address with stretches of the arrays in args,
    the last first if told to go `back`."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        loop_at, function_at, count, turned, given = values
        count = context.cast(builder, count, threads, types.int64)
        turned = context.cast(builder, turned, back, types.int64)
        task = functools.partial(_on_stretches, context, [*args])
        _call_region(context, builder, loop_at, count, [function_at, given, turned], task)
        return context.get_dummy_value()

    return types.void(loop, address, threads, back, args), codegen


Writer = Callable[..., None]
"""Writes, given a builder, a thread, the number of threads and what a task needs, its code."""


def _call_region(
    context: Any, builder: Any, loop_at: Any, count: Any, needed: list[Any], write: Writer
) -> None:
    """Have a region run a task on so many threads."""
    block = cgutils.alloca_once_value(builder, cgutils.pack_struct(builder, needed))
    task = ir.Function(builder.module, TASK, builder.module.get_unique_name("task"))
    task.linkage = "internal"
    inside = ir.IRBuilder(task.append_basic_block())
    thread, threads, at = task.args
    packed = inside.load(inside.inttoptr(at, block.type))
    write(inside, thread, threads, *cgutils.unpack_tuple(inside, packed))
    inside.ret_void()
    words = [builder.ptrtoint(task, WORD), count, builder.ptrtoint(block, WORD)]
    _call(context, builder, loop_at, [types.int64] * 3, words)


def _with_thread(
    context: Any, kinds: list[Any], builder: Any, thread: Any, threads: Any, at: Any, args: Any
) -> None:
    """Call the function at an address with (thread, threads, *args)."""
    given = [thread, threads, *cgutils.unpack_tuple(builder, args)]
    _call(context, builder, at, [types.int64, types.int64, *kinds], given)


def _on_stretches(
    context: Any,
    kinds: list[Any],
    builder: Any,
    thread: Any,
    threads: Any,
    at: Any,
    args: Any,
    back: Any,
) -> None:
    """Call the function at an address with one stretch after the other of a thread's part."""
    given = cgutils.unpack_tuple(builder, args)
    size = context.make_array(kinds[0])(context, builder, given[0]).nitems
    start = first_of(builder, size, thread, threads)
    stop = first_of(builder, size, builder.add(thread, WORD(1)), threads)
    length = WORD(STRETCH)
    rest = builder.sub(stop, start)
    count = builder.udiv(builder.add(rest, WORD(STRETCH - 1)), length)
    is_short = builder.icmp_unsigned("<=", rest, WORD(LONGEST))
    backwards = builder.and_(builder.icmp_unsigned("!=", back, WORD(0)), is_short)
    with cgutils.for_range(builder, count) as loop:
        from_end = builder.sub(builder.sub(count, WORD(1)), loop.index)
        turn = builder.select(backwards, from_end, loop.index)
        first = builder.add(start, builder.mul(turn, length))
        left = builder.sub(stop, first)
        some = builder.select(builder.icmp_unsigned("<", left, length), left, length)
        stretches = [
            _part(context, builder, kind, value, first, some)
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(kinds, given)
        ]
        _call(context, builder, at, kinds, stretches)


def _part(context: Any, builder: Any, kind: Any, array: Any, first: Any, size: Any) -> Any:
    """So many elements, from the first on, of an array of one dimension."""
    part = context.make_array(kind)(context, builder, array)
    part.data = builder.gep(part.data, [first])
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


def _start_parts(loop, address, threads, back, args):
    _run_parts(loop, address, threads, back, args)


_call_on_threads: Any = njit(**COMPILED)(_start)
_call_on_threads._cache = KernelCache(_start, "serial")
_call_on_parts: Any = njit(**COMPILED)(_start_parts)
_call_on_parts._cache = KernelCache(_start_parts, "serial")
