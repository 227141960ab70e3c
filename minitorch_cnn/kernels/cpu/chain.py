"""Many calls of kernels as one: compiled code that makes them one after the other.

A call from Python costs a microsecond or more, most of it spent on looking at the arguments. A list
of calls with arguments that stay is compiled into a function without any: their addresses and sizes
are constants in it. Only where inputs lie may differ each time.
"""

import ctypes
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from ..jit import PRANGE_ONLY, Call, KernelCache, capture, run_on_threads
from ..tasks import address_of, compiled_for
from ..workspace import separate_workspaces

__all__ = ["bind"]

WORD = ir.IntType(64)
STATUS = ir.IntType(32)

Place = tuple[int, int]
"""Where an input lies: its address, and how many bytes."""

_numbers = itertools.count()


Launch = tuple[Any, tuple[Any, ...]]
"""A kernel and its arguments."""


def bind(launches: Sequence[Launch], inputs: Sequence[Any]) -> Callable[[Sequence[Any]], None]:
    """A function that makes launches, with arrays like `inputs` in the place of those.

    Launches of compiled kernels that follow each other become one chain; between chains are those
    that compute something in Python.
    """
    places = [(a.ctypes.data, max(a.nbytes, 1)) for a in inputs]
    steps: list[Callable[[Sequence[Any]], None]] = []
    with separate_workspaces():
        noted = [(launch, capture(*launch)) for launch in launches]
    native: list[tuple[Launch, list[Call]]] = []
    for launch, calls in noted:
        if calls is not None:
            native.append((launch, calls))
            continue
        if native:
            steps.append(Chain(native, places))
            native = []
        steps.append(_in_python(launch, places))
    if native:
        steps.append(Chain(native, places))
    if len(steps) == 1:
        return steps[0]

    def run(arrays: Sequence[Any]) -> None:
        for step in steps:
            step(arrays)

    return run


def _in_python(launch: Launch, places: list[Place]) -> Callable[[Sequence[Any]], None]:
    """A launch whose arguments may show inputs."""
    function, args = launch
    if not any([_shows(a, places) for a in args]):
        return lambda arrays: function(*args)
    return lambda arrays: function(*_moved(args, places, arrays))


def _shows(value: Any, places: list[Place]) -> bool:
    """Whether an argument is an array that shows an input, or holds one."""
    if isinstance(value, tuple):
        return any([_shows(part, places) for part in value])
    return isinstance(value, np.ndarray) and _place(value.ctypes.data, places) is not None


def _place(address: int, places: list[Place]) -> int | None:
    """The number of the input that an address is in."""
    return next((i for i, (a, size) in enumerate(places) if a <= address < a + size), None)


def _moved(value: Any, places: list[Place], arrays: Sequence[Any]) -> Any:
    """Arguments with other arrays in the place of inputs."""
    if isinstance(value, tuple):
        return tuple([_moved(part, places, arrays) for part in value])
    number = _place(value.ctypes.data, places) if isinstance(value, np.ndarray) else None
    if number is None:
        return value
    offset = value.ctypes.data - places[number][0]
    return np.ndarray(value.shape, value.dtype, arrays[number], offset, value.strides)


class Chain:
    """Launches of compiled kernels as one call."""

    def __init__(self, launches: Sequence[tuple[Launch, list[Call]]], places: list[Place]) -> None:
        self._launches = [launch for launch, calls in launches for _ in calls]
        calls = [call for _, some in launches for call in some]
        self._calls = calls  # and with them the arrays
        self._places = places
        self._library, self._run = _compile(calls, places)
        self._spreads = any([call.spreads for call in calls])
        self._table = (ctypes.c_int64 * max(1, len(places)))()

    def __call__(self, arrays: Sequence[Any]) -> None:
        table = self._table
        for i, array in enumerate(arrays):
            table[i] = array.ctypes.data
        if self._spreads:
            failed = run_on_threads(self._run, table)
        else:
            failed = self._run(table)
        if failed:
            function, args = self._launches[failed - 1]
            function(*_moved(args, self._places, arrays))  # raises what there is to say
            raise RuntimeError(f"{function.__name__} failed, and not when it was run again")


def _compile(calls: Sequence[Call], places: list[Place]) -> tuple[Any, Any]:
    """The compiled function of a table of addresses, and the library that holds its code."""
    name = f"minitorch_cnn.chain{next(_numbers)}"  # all code of a process shares its names
    module = ir.Module(name)
    kind = ir.FunctionType(WORD, [WORD.as_pointer()])
    function = ir.Function(module, kind, name)
    builder = ir.IRBuilder(function.append_basic_block())
    context = None
    for number, call in enumerate(calls):
        if call.threads <= 1:
            given = (0, 1, *call.args) if call.threads else call.args
            overload = compiled_for(call.compiled, given)
            status = _call(builder, overload, given, function.args[0], places)
        else:
            task = _task(module, f"{name}.{number}", call, places)
            address = builder.ptrtoint(task, WORD)
            given = (0, call.threads, 0)
            overload = compiled_for(_on_threads(), given)
            words = [address, WORD(call.threads), builder.ptrtoint(function.args[0], WORD)]
            status = _call(builder, overload, given, function.args[0], places, words)
        context = overload.target_context
        with builder.if_then(builder.icmp_unsigned("!=", status, STATUS(0)), likely=False):
            builder.ret(WORD(number + 1))
    builder.ret(WORD(0))
    if context is None:
        return None, lambda table: 0
    with global_compiler_lock:
        library = context.codegen().create_library(name)
        library.add_ir_module(module)
        library.finalize()
    address = library.get_pointer_to_function(name)
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(ctypes.c_int64))
    return library, prototype(address)


def _task(module: Any, name: str, call: Call, places: list[Place]) -> Any:
    """A function of (thread, threads, table) that does a thread's share of a call."""
    kind = ir.FunctionType(ir.VoidType(), [WORD, WORD, WORD])
    function = ir.Function(module, kind, name)
    builder = ir.IRBuilder(function.append_basic_block())
    thread, count, table = function.args
    given = (0, call.threads, *call.args)
    overload = compiled_for(call.compiled, given)
    table = builder.inttoptr(table, WORD.as_pointer())
    _call(builder, overload, given, table, places, [thread, count])
    builder.ret_void()
    return function


def _call(
    builder: Any,
    overload: Any,
    args: tuple[Any, ...],
    table: Any,
    places: list[Place],
    first: Sequence[Any] = (),
) -> Any:
    """Call compiled code with constants, the first of them given as they are; its status."""
    context, signature = overload.target_context, overload.signature
    kind = context.call_conv.get_function_type(signature.return_type, signature.args)
    words = list(first)
    for argument, value in list(zip(signature.args, args))[len(words) :]:
        _words(argument, value, words)
    callee = builder.inttoptr(WORD(address_of(overload)), kind.as_pointer())
    given = [
        _constant(builder, word, wanted, table, places)
        for word, wanted in zip(words, kind.args[2:], strict=True)
    ]
    result = builder.alloca(kind.args[0].pointee)
    error = builder.alloca(kind.args[1].pointee)
    return builder.call(callee, [result, error, *given])


def _words(kind: Any, value: Any, words: list[Any]) -> None:
    """What Numba passes for a value: of an array owner, sizes, address, shape and strides."""
    if isinstance(kind, types.Array):
        address = value.ctypes.data
        words += [0, 0, value.size, value.itemsize, address, *value.shape, *value.strides]
    elif isinstance(kind, types.BaseTuple):
        members: Any = kind
        for i, part in enumerate(value):
            _words(members[i], part, words)
    elif isinstance(kind, (types.Integer, types.Boolean)):
        words.append(int(value))
    elif isinstance(kind, types.Float):
        words.append(float(value))
    elif isinstance(kind, types.NoneType):
        words.append(0)
    else:
        raise NotImplementedError(f"chain: can't pass a {kind} to a kernel")


def _constant(builder: Any, word: Any, kind: Any, table: Any, places: list[Place]) -> Any:
    if not isinstance(word, (int, float)):
        return word
    if not isinstance(kind, ir.PointerType):
        return ir.Constant(kind, word)
    number = _place(int(word), places)
    if number is None:
        return builder.inttoptr(WORD(word), kind)
    origin = builder.load(builder.gep(table, [WORD(number)]))
    return builder.inttoptr(builder.add(origin, WORD(word - places[number][0])), kind)


def _call_task(typingctx: Any, address: Any, thread: Any, count: Any, table: Any) -> Any:
    """Call the function of (thread, threads, table) at an address."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [WORD, WORD, WORD])
        given = [
            context.cast(builder, value, known, types.int64)
            for value, known in zip(values[1:], signature.args[1:])
        ]
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), given)
        return context.get_dummy_value()

    return types.void(address, thread, count, table), codegen


_made: Any = intrinsic(_call_task)


def _spread(address, count, table):
    for thread in prange(count):
        _made(address, thread, count, table)


@functools.cache
def _on_threads() -> Any:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "parallel": PRANGE_ONLY}
    compiled: Any = njit(**options)(_spread)
    compiled._cache = KernelCache(_spread, "parallel")
    return compiled
