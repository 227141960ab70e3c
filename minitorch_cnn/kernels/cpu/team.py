"""Threads that go through the stages of a chain together, in one parallel region.

To start a region takes longer than most launches of a small step. So there is one for a whole
chain. One thread leads: it makes the launches that run on one thread, and opens the stages, whose
shares are dealt out. Every thread takes its own share first, since what it made in the stage before
is in its cache; and the leader, once it is done with its own, takes each that nobody has begun. So
it never waits for a thread that the system gave no processor, or did not start. The others wait for
the next stage; one that has waited too long goes home, and the leader does its work.

Of what they tell each other every word only grows: stages are numbered on from run to run.
"""

import ctypes
import os
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from ..region import WORD, region

__all__ = ["SHARE", "STATUS", "TABLE", "Team"]

STATUS = ir.IntType(32)
TABLE = WORD.as_pointer()
SHARE = ir.FunctionType(ir.VoidType(), [WORD, WORD, TABLE])
"""Of what does a thread's share of a stage: (thread, threads, table of inputs)."""

LINE = 16  # words from one to the next, so that no two are on a line of the cache, nor on a pair
SPINS = 256  # looks at a word between two offers of the processor to somebody else
PATIENCE = 1 << 16  # looks, some milliseconds, after which a thread goes home

# What a thread does between two looks: LLVM's name of it, and its arguments.
PAUSES: dict[str, tuple[str, list[int]]] = {
    "x86_64": ("llvm.x86.sse2.pause", []),
    "AMD64": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.hint", [1]),
    "arm64": ("llvm.aarch64.hint", [1]),
}


class Team:
    """So many threads, and the words by which they tell each other how far they are."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        memory = np.zeros(LINE * (4 + 2 * threads), np.int64)
        self._memory = memory
        start = -memory.ctypes.data % (8 * LINE) // 8
        origin = memory[start:].ctypes.data
        self._opened, self._before, self._status = (origin + 8 * LINE * i for i in range(3))
        # By thread: the last stage of which its share is somebody's; and of which it did it.
        self._taken, self._done = (origin + 8 * LINE * (3 + i * threads) for i in range(2))
        self._stages: list[Any] = []
        self._functions: dict[str, Any] = {}

    def open(self, builder: Any, share: Any, table: Any) -> None:
        """Have the leader, whose code is built, open a stage and see it done."""
        self._stages.append(share)
        number = self._number(builder, len(self._stages))
        builder.call(self._lead_stage(builder.module), [share, number, table])

    def run(self, module: Any, name: str, lead: Any) -> None:
        """Build the function of a table that goes through all stages, and another, `alone`, by
        which the leader does; both return what `lead` does."""
        help_ = self._help(module, name)
        member = ir.Function(module, SHARE, f"{name}.member")
        builder = ir.IRBuilder(member.append_basic_block())
        thread, _, table = member.args
        with builder.if_else(builder.icmp_unsigned("==", thread, WORD(0))) as (first, others):
            with first:
                builder.store(builder.call(lead, [table]), self._word(builder, self._status))
                # If it failed half-way: nothing is left to do, and nobody need wait.
                end = self._number(builder, len(self._stages))
                for t in range(1, self.threads):
                    self._tell(builder, self._taken, t, end)
                self._tell(builder, self._opened, 0, end)
            with others:
                builder.call(help_, [thread, table])
        builder.ret_void()

        function, builder = self._begin(module, f"{name}.alone")
        builder.ret(builder.call(lead, [function.args[0]]))
        function, builder = self._begin(module, name)
        convention = cpu_target.target_context.call_conv
        kinds = convention.get_function_type(types.none, [types.int64] * 3)
        callee = builder.inttoptr(WORD(region()), kinds.as_pointer())
        result, error = builder.alloca(kinds.args[0].pointee), builder.alloca(kinds.args[1].pointee)
        words = [builder.ptrtoint(member, WORD), WORD(self.threads)]
        words.append(builder.ptrtoint(function.args[0], WORD))
        builder.call(callee, [result, error, *words])
        builder.ret(builder.load(self._word(builder, self._status)))

    def _begin(self, module: Any, name: str) -> tuple[Any, Any]:
        """A function of a table that notes the number of the last stage opened, and its builder."""
        function = ir.Function(module, ir.FunctionType(WORD, [TABLE]), name)
        builder = ir.IRBuilder(function.append_basic_block())
        before = builder.load(self._word(builder, self._opened))
        builder.store(before, self._word(builder, self._before))
        return function, builder

    def _number(self, builder: Any, stage: int) -> Any:
        """A stage's number in this run."""
        return builder.add(builder.load(self._word(builder, self._before)), WORD(stage))

    def _word(self, builder: Any, origin: int, thread: Any = 0) -> Any:
        if isinstance(thread, int):
            return builder.inttoptr(WORD(origin + 8 * LINE * thread), TABLE)
        return builder.gep(builder.inttoptr(WORD(origin), TABLE), [builder.mul(thread, WORD(LINE))])

    def _tell(self, builder: Any, origin: int, thread: Any, number: Any) -> None:
        builder.store_atomic(number, self._word(builder, origin, thread), "release", 8)

    def _lead_stage(self, module: Any) -> Any:
        """Open a stage, do one's own share and those that nobody began, and wait for the others."""
        kind = ir.FunctionType(ir.VoidType(), [SHARE.as_pointer(), WORD, TABLE])
        function, builder = self._function(module, "lead_stage", kind)
        if builder is None:
            return function
        share, number, table = function.args
        self._tell(builder, self._opened, 0, number)
        builder.call(share, [WORD(0), WORD(self.threads), table])
        for t in range(1, self.threads):
            with builder.if_then(self._take(builder, t, number)):
                builder.call(share, [WORD(t), WORD(self.threads), table])
                self._tell(builder, self._done, t, number)
        for t in range(1, self.threads):
            self._wait(builder, self._word(builder, self._done, t), number, 0)
        builder.ret_void()
        return function

    def _help(self, module: Any, name: str) -> Any:
        """Wait for each stage and do one's share of it, if the leader does not."""
        kind = ir.FunctionType(ir.VoidType(), [WORD, TABLE])
        function = ir.Function(module, kind, f"{name}.help")
        builder = ir.IRBuilder(function.append_basic_block())
        thread, table = function.args
        for stage, share in enumerate(self._stages, 1):
            number = self._number(builder, stage)
            opened = self._word(builder, self._opened)
            with builder.if_then(builder.not_(self._wait(builder, opened, number, PATIENCE))):
                builder.ret_void()
            with builder.if_then(self._take(builder, thread, number)):
                builder.call(share, [thread, WORD(self.threads), table])
                self._tell(builder, self._done, thread, number)
        builder.ret_void()
        return function

    def _take(self, builder: Any, thread: Any, number: Any) -> Any:
        """Whether a thread's share of a stage is the caller's: it is if nobody took it before."""
        word = self._word(builder, self._taken, thread)
        before = builder.load_atomic(word, "monotonic", 8)
        earlier = builder.icmp_signed("<", before, number)
        # Where it is not earlier the word stays what it is.
        after = builder.select(earlier, number, before)
        swapped = builder.cmpxchg(word, before, after, "acq_rel", "monotonic")
        return builder.and_(earlier, builder.extract_value(swapped, 1))

    def _wait(self, builder: Any, word: Any, number: Any, patience: int) -> Any:
        """Wait until a word has reached a number; whether it did before patience, if any, ended."""
        kind = ir.FunctionType(ir.IntType(1), [TABLE, WORD, WORD])
        function, inner = self._function(builder.module, "wait", kind)
        if inner is not None:
            _build_wait(function, inner)
        return builder.call(function, [word, number, WORD(patience)])

    def _function(self, module: Any, name: str, kind: Any) -> tuple[Any, Any]:
        """A function of the module, and a builder of its code unless it has some."""
        known = self._functions.get(name)
        if known is not None:
            return known, None
        function = self._functions[name] = ir.Function(module, kind, f"{module.name}.{name}")
        return function, ir.IRBuilder(function.append_basic_block())


def _build_wait(function: Any, builder: Any) -> None:
    word, number, patience = function.args
    loop, reached, later = (function.append_basic_block() for _ in range(3))
    start = builder.block
    builder.branch(loop)
    builder.position_at_end(loop)
    looks = builder.phi(WORD)
    looks.add_incoming(WORD(1), start)
    there = builder.icmp_signed(">=", builder.load_atomic(word, "acquire", 8), number)
    builder.cbranch(there, reached, later)
    builder.position_at_end(reached)
    builder.ret(ir.IntType(1)(1))
    builder.position_at_end(later)
    if platform.machine() in PAUSES:
        name, words = PAUSES[platform.machine()]
        kind = ir.FunctionType(ir.VoidType(), [STATUS] * len(words))
        builder.call(ir.Function(builder.module, kind, name), [STATUS(word) for word in words])
    often = builder.icmp_unsigned("==", builder.urem(looks, WORD(SPINS)), WORD(0))
    with builder.if_then(often, likely=False):
        if os.name == "posix":
            offer = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p)
            kind = ir.FunctionType(STATUS, [])
            builder.call(builder.inttoptr(WORD(offer.value), kind.as_pointer()), [])
        with builder.if_then(builder.icmp_unsigned("==", looks, patience)):
            builder.ret(ir.IntType(1)(0))
    looks.add_incoming(builder.add(looks, WORD(1)), builder.block)
    builder.branch(loop)
