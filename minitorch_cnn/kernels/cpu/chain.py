"""Many calls of kernels as one: compiled code that makes them one after the other.

A call from Python costs a microsecond or more, most of it spent on looking at the arguments. A list
of calls with arguments that stay is compiled into a function without any: their addresses and sizes
are constants in it. Only where inputs lie may differ each time.

What runs on several threads does so in one parallel region, as `team` has it: to start one costs
more than most launches of a small step.
"""

import ctypes
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock

from ..jit import Call, capture, compiled_for, run_on_threads
from ..region import WORD, address_of
from ..tasks import first_of
from ..workspace import separate_workspaces
from .team import SHARE, STATUS, TABLE, Team

__all__ = ["bind"]

DATA = object.__basicsize__
"""Where in an array's object NumPy keeps the address of the first element: behind what all objects
begin with, a promise of its C interface. Compiled code finds it there by itself; to ask for it in
Python takes a microsecond for each array."""

Place = tuple[int, int]
"""Where an input lies: its address, and how many bytes."""

TRIALS = 6
"""Calls by which a way is judged: by the one that took the least time."""
BETWEEN = 500
"""Calls from one trial to the next."""
SHORT = 1e-3
"""Seconds that a call takes at most which is tried on one thread, too. There is less to gain for
longer ones, and more to lose."""

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
    for alone, some in itertools.groupby(noted, lambda entry: _stands_alone(entry[1])):
        if alone:
            steps += [_in_python(launch, places) for launch, _ in some]
        else:
            steps.append(Chain([(launch, calls or []) for launch, calls in some], places))
    if len(steps) == 1:
        return steps[0]

    def run(arrays: Sequence[Any]) -> None:
        for step in steps:
            step(arrays)

    return run


def _stands_alone(calls: list[Call] | None) -> bool:
    """Whether a launch is made from Python: it computes there, or starts threads itself."""
    return calls is None or any([call.spreads and not call.threads for call in calls])


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
        team = Team(max([call.threads for call in calls], default=1))
        self._team = team  # and with it its words
        self._library, ways = _compile(calls, places, team)
        self._ways = Ways(*ways) if team.threads > 1 else None
        self._run = ways[0]
        self._table = (ctypes.c_int64 * max(1, len(places)))()

    def __call__(self, arrays: Sequence[Any]) -> None:
        table = self._table
        if arrays:
            table[:] = [*map(id, arrays)]
        failed = self._run(table) if self._ways is None else run_on_threads(self._ways, table)
        if failed:
            function, args = self._launches[failed - 1]
            function(*_moved(args, self._places, arrays))  # raises what there is to say
            raise RuntimeError(f"{function.__name__} failed, and not when it was run again")


Way = Callable[[Any], int]


class Ways:
    """A chain on all threads and the same on the caller's alone: whichever takes less time.

    Several threads take less where the processors are there for them, and near each other. On a
    machine that others use, too, a small step on two of them has taken twice the time of one, for
    minutes. So both are tried again and again. The results are the same.
    """

    def __init__(self, together: Way, alone: Way) -> None:
        self._ways = together, alone
        self._choose(False)
        self._left = TRIALS  # calls until the next trial; the first are slower than those to come

    def __call__(self, table: Any) -> int:
        self._left -= 1
        return self._chosen(table) if self._left > 0 else self._try(table)

    def _try(self, table: Any) -> int:
        """The same, timed; after some calls of each way one of them is chosen."""
        turn = -self._left
        alone = turn >= TRIALS
        start = time.perf_counter()
        failed = self._ways[alone](table)
        taken = time.perf_counter() - start
        self._shortest[alone] = min(self._shortest[alone], taken)
        if turn == TRIALS - 1 and self._shortest[0] > SHORT:
            self._choose(False)
        elif turn == 2 * TRIALS - 1:
            self._choose(self._shortest[1] < self._shortest[0])
        return failed

    def _choose(self, alone: bool) -> None:
        self._chosen = self._ways[alone]
        self._left = BETWEEN
        self._shortest = [math.inf, math.inf]


class _Library(JITCodeLibrary):
    """Code that does little but call other code: to optimise it takes longer than all else here,
    and makes no step faster."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Left as it is."""


def _compile(calls: Sequence[Call], places: list[Place], team: Team) -> tuple[Any, list[Way]]:
    """The library that holds the code of functions of a table of arrays, and these: one, or if
    there is a team another, with which its leader does without it.

    They return 0, or which call failed, counted from 1.
    """
    name = f"minitorch_cnn.chain{next(_numbers)}"  # all code of a process shares its names
    module = ir.Module(name)
    kind = ir.FunctionType(WORD, [TABLE])
    lead = ir.Function(module, kind, f"{name}.lead" if team.threads > 1 else name)
    builder = ir.IRBuilder(lead.append_basic_block())
    for number, call in enumerate(calls):
        if call.threads > 1:
            share = _share(module, f"{name}.{number}", call, places)
            team.open(builder, share, lead.args[0])
            continue
        status = _call(builder, call, lead.args[0], places)
        with builder.if_then(builder.icmp_unsigned("!=", status, STATUS(0)), likely=False):
            builder.ret(WORD(number + 1))
    builder.ret(WORD(0))
    if not calls:
        return None, [lambda table: 0]
    if team.threads > 1:
        team.run(module, name, lead)
    context = compiled_for(calls[0].compiled, _given(calls[0])).target_context
    with global_compiler_lock:
        library = _Library(context.codegen(), name)
        library.add_ir_module(module)
        library.finalize()
    names = [name, f"{name}.alone"] if team.threads > 1 else [name]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(ctypes.c_int64))
    return library, [prototype(library.get_pointer_to_function(n)) for n in names]


def _given(call: Call) -> tuple[Any, ...]:
    """What compiled code is called with; the first two, if it takes them, by which thread."""
    return (0, max(1, call.threads), *call.args) if call.threads and not call.flat else call.args


def _share(module: Any, name: str, call: Call, places: list[Place]) -> Any:
    """A function of (thread, threads, table) that does a thread's share of a call."""
    function = ir.Function(module, SHARE, name)
    builder = ir.IRBuilder(function.append_basic_block())
    _call(builder, call, function.args[2], places, function.args[:2])
    builder.ret_void()
    return function


def _call(
    builder: Any, call: Call, table: Any, places: list[Place], thread: Sequence[Any] = ()
) -> Any:
    """Make a call, or of one that several threads make a thread's share; its status."""
    overload = compiled_for(call.compiled, _given(call))
    context, signature = overload.target_context, overload.signature
    kind = context.call_conv.get_function_type(signature.return_type, signature.args)
    words: list[Any] = []
    for argument, value in zip(signature.args, _given(call)):
        if call.flat and thread and isinstance(argument, types.Array):
            words += _part(builder, value, *thread)
        else:
            _words(argument, value, words)
    if call.threads and not call.flat and thread:
        words[:2] = thread
    callee = builder.inttoptr(WORD(address_of(overload)), kind.as_pointer())
    given = [
        _constant(builder, word, wanted, table, places)
        for word, wanted in zip(words, kind.args[2:], strict=True)
    ]
    result = builder.alloca(kind.args[0].pointee)
    error = builder.alloca(kind.args[1].pointee)
    return builder.call(callee, [result, error, *given])


class _At(NamedTuple):
    """A place in memory: some bytes behind an address."""

    address: int
    offset: Any


def _part(builder: Any, array: Any, thread: Any, threads: Any) -> list[Any]:
    """What Numba passes for a thread's part of an array of one dimension."""
    start = first_of(builder, WORD(array.size), thread, threads)
    stop = first_of(builder, WORD(array.size), builder.add(thread, WORD(1)), threads)
    size = builder.sub(stop, start)
    at = _At(array.ctypes.data, builder.mul(start, WORD(array.itemsize)))
    return [0, 0, size, array.itemsize, at, size, array.itemsize]


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
    if isinstance(word, _At):
        origin = builder.ptrtoint(_constant(builder, word.address, kind, table, places), WORD)
        return builder.inttoptr(builder.add(origin, word.offset), kind)
    if not isinstance(word, (int, float)):
        return word
    if not isinstance(kind, ir.PointerType):
        return ir.Constant(kind, word)
    number = _place(int(word), places)
    if number is None:
        return builder.inttoptr(WORD(word), kind)
    array = builder.add(builder.load(builder.gep(table, [WORD(number)])), WORD(DATA))
    origin = builder.load(builder.inttoptr(array, TABLE))
    return builder.inttoptr(builder.add(origin, WORD(word - places[number][0])), kind)
