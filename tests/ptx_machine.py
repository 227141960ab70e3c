"""A machine that executes PTX on the processor, all threads of a launch at once, and checks it.

It holds every register as a NumPy array of all threads. Of the threads that are not done or waiting
it always runs those furthest behind, so branches meet again. It raises PTXError for

- an access outside the buffers that the launch was given, misaligned, or to shared or local memory
  outside the kernel's own;
- two threads that touch one place of memory, one of them writing, with no barrier between them, in
  shared memory or in a buffer (where a barrier orders the threads of one block only);
- a read of shared memory that nobody has written;
- a barrier that some threads of a block never reach, or at which they wait in different places;
- a shuffle from a lane that takes no part, and a loop without end.

It is no GPU: it knows nothing of time, of caches and their coherence, of what the assembler makes
of PTX, nor of the last bits of approximate functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .ptx_program import TYPES, Instruction, Program, PTXError, split

Array = np.ndarray[Any, Any]
Operand = Callable[[Any], Any]
"""From the threads that take part, an index, the values they have."""


class Region(NamedTuple):
    """A stretch of memory that a kernel may touch: an address and the bytes there."""

    start: int
    bytes: Array
    owner: int
    """Where the allocation begins of which it is a part."""


class Watch:
    """Who touched each place of a memory last, and in which stretch between barriers."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.writer = np.full(shape, -1, np.int32)
        self.written = np.full(shape, -1, np.int32)
        self.reader = np.full(shape, -1, np.int32)
        self.read = np.full(shape, -1, np.int32)

    def note_read(self, place: Any, thread: Array, epoch: Array, ordered: Array) -> Array:
        """Where a read meets another thread's write; `ordered` is of which writes a barrier is."""
        clash = (self.writer[place] >= 0) & (self.writer[place] != thread) & ~ordered
        same = (self.read[place] == epoch) & (self.reader[place] >= 0)
        several = same & (self.reader[place] != thread) | (self.reader[place] == -2) & same
        self.reader[place] = np.where(several, -2, thread)
        self.read[place] = epoch
        # Threads that read one place in this very step.
        self.reader[place] = np.where(self.reader[place] != thread, -2, self.reader[place])
        return clash

    def note_write(self, place: Any, thread: Array, epoch: Array) -> None:
        """Remember a write."""
        self.writer[place] = thread
        self.written[place] = epoch


BINARY: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}  # fmt: skip
COMPARE: dict[str, Any] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater,
    "hs": np.greater_equal,
}  # fmt: skip
COMBINE: dict[str, Any] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
ROUND: dict[str, Any] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def _reciprocal(x: Array) -> Array:
    return np.ones((), x.dtype) / x


UNARY: dict[str, Any] = {
    "neg": np.negative, "abs": np.abs, "not": np.invert, "ex2": np.exp2, "lg2": np.log2,
    "sqrt": np.sqrt, "rcp": _reciprocal, "rsqrt": lambda x: _reciprocal(np.sqrt(x)),
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
}  # fmt: skip


class Machine:
    """One launch of a program."""

    def __init__(
        self,
        program: Program,
        arguments: list[Any],
        block: int,
        grid: tuple[int, int, int],
        regions: list[Region],
        others: Sequence[Region] = (),
        most_steps: int = 2_000_000,
    ) -> None:
        """`arguments` are numbers, one for each parameter. The buffers they point to lie in
        `regions`; in `others`, what is found by addresses that stand in buffers."""
        if len(arguments) != len(program.parameters):
            raise PTXError(f"{len(arguments)} arguments for {len(program.parameters)} parameters")
        self.program, self.block, self.most_steps = program, block, most_steps
        self.blocks = int(np.prod(grid))
        count = self.threads = block * self.blocks
        every = np.arange(count)
        self.thread, self.of_block = every % block, every // block
        self.every = every
        specials = {
            "%tid.x": self.thread, "%tid.y": 0, "%tid.z": 0, "%ntid.x": block, "%ntid.y": 1,
            "%ntid.z": 1, "%ctaid.x": self.of_block % grid[0],
            "%ctaid.y": self.of_block // grid[0] % grid[1],
            "%ctaid.z": self.of_block // (grid[0] * grid[1]), "%nctaid.x": grid[0],
            "%nctaid.y": grid[1], "%nctaid.z": grid[2], "%laneid": self.thread % 32,
            "%warpid": self.thread // 32,
        }  # fmt: skip
        self.specials = {
            name: np.broadcast_to(np.asarray(value, np.uint32), (count,))
            for name, value in specials.items()
        }
        self.registers: dict[str, Array] = {}
        for name, kind in program.registers.items():
            width = np.bool_ if kind == "pred" else TYPES[f"b{kind[1:]}"]
            self.registers[name] = np.zeros(count, width)
        self.parameters = {
            name: (kind, value)
            for (kind, name), value in zip(program.parameters, arguments, strict=True)
        }
        self.carry = np.zeros(count, np.uint64)
        self.epoch = np.zeros(self.blocks, np.int32)
        self.shared = np.full((self.blocks, -(-program.shared.size // 8) * 8), 0xFF, np.uint8)
        self.shared_watch = Watch((self.blocks, self.shared.shape[1] // 4))
        self.shared_bytes_watch = _has_small_accesses(program)
        self.local = np.zeros((count, -(-max(program.local.size, 8) // 8) * 8), np.uint8)
        self.tables = {name: int(table.ctypes.data) for name, table in program.tables.items()}
        constants = [
            Region(self.tables[name], table, self.tables[name])
            for name, table in program.tables.items()
        ]
        self.regions, self.others = [*regions, *constants], [*others]
        self.watches: dict[int, Watch] = {}
        self.steps = 0
        self.code = [self._decode(i) for i in program.instructions]

    # ------------------------------------------------------------------ running

    def run(self) -> int:
        """Execute until every thread has returned; returns the number of steps."""
        with np.errstate(all="ignore"):
            return self._run()

    def _run(self) -> int:
        program, count = self.program, self.threads
        heads = set(program.labels.values())
        at, done = np.zeros(count, np.int64), np.zeros(count, bool)
        waiting = np.zeros(count, bool)
        never = 1 << 40
        while True:
            effective = np.where(done | waiting, never, at)
            here = int(effective.min())
            if here == never:
                if done.all():
                    return self.steps
                self._meet(at, done, waiting)
                continue
            if here >= len(self.code):
                raise PTXError("a thread ran past the end")
            some = np.flatnonzero(effective == here)
            threads: Any = slice(None) if len(some) == count else some
            here = self._stretch(here, heads, some, threads)
            kind, predicate, what = self.code[here]
            self._count(here)
            if kind == "op":  # it ended before the head of another stretch
                at[threads] = here
                self.steps -= 1
                continue
            part = np.ones(len(some), bool) if predicate is None else predicate(threads)
            at[threads] = here + 1
            if kind == "bra":
                at[threads] = np.where(part, what, here + 1)
            elif kind == "ret":
                done[some[part]] = True
            else:
                waiting[some[part]] = True

    def _stretch(self, here: int, heads: set[int], some: Array, threads: Any) -> int:
        """Execute instructions one after the other, up to one that parts threads, or is where
        others may join."""
        first = here
        while True:
            if here >= len(self.code) or (here in heads and here != first):
                return here if here < len(self.code) else self._past_end()
            kind, predicate, what = self.code[here]
            if kind != "op":
                return here
            self._count(here)
            if predicate is None:
                what(threads)
            else:
                part = some[predicate(threads)]
                if len(part):
                    what(part)
            here += 1

    def _past_end(self) -> int:
        raise PTXError("a thread ran past the end")

    def _count(self, here: int) -> None:
        self.steps += 1
        if self.steps > self.most_steps:
            text = self.program.instructions[here].text
            raise PTXError(f"more than {self.most_steps} steps: a loop without end? at {text}")

    def _meet(self, at: Array, done: Array, waiting: Array) -> None:
        """Let blocks pass a barrier at which all their threads wait."""
        for b in range(self.blocks):
            part = slice(b * self.block, (b + 1) * self.block)
            wait = waiting[part]
            if not wait.any():
                continue
            if done[part].any():
                raise PTXError(
                    f"block {b} waits at a barrier that {int(done[part].sum())} of its threads, "
                    "which returned, never reach"
                )
            if len(set(at[part][wait].tolist())) > 1:
                raise PTXError(f"divergent barriers: threads of block {b} wait in several places")
            self.epoch[b] += 1
        waiting[:] = False

    # ------------------------------------------------------------------ operands

    def _constant(self, text: str, kind: Any) -> Any:
        kind = np.dtype(kind)
        if text[:2] in ("0f", "0F"):
            value = np.array([int(text[2:], 16)], np.uint32).view(np.float32)[0]
            return value if kind == np.float32 else value.view(np.uint32).astype(kind)
        if text[:2] in ("0d", "0D"):
            bits = np.array([int(text[2:], 16)], np.uint64)
            return bits.view(np.float64)[0] if kind == np.float64 else bits[0]
        number = int(text.rstrip("U"), 0)
        if kind.kind == "b":
            return np.bool_(number)
        if kind.kind == "f":
            return kind.type(number)
        bits = kind.itemsize * 8
        unsigned = np.array([number & ((1 << bits) - 1)], np.uint64).astype(TYPES[f"u{bits}"])
        return unsigned.view(kind)[0]

    def _read(self, text: str, kind: Any) -> Operand:
        """What an operand of a type holds."""
        negated, text = text.startswith("!"), text.lstrip("!")
        kind = np.dtype(kind)
        if text in self.registers:
            register = self.registers[text]
            if kind.kind == "b":
                return (lambda i: ~register[i]) if negated else (lambda i: register[i])
            if register.dtype.itemsize == kind.itemsize:
                view = register.view(kind)
                return lambda i: view[i]
            unsigned = TYPES[f"u{kind.itemsize * 8}"]
            return lambda i: register[i].astype(unsigned).view(kind)
        if text in self.specials:
            special = self.specials[text].astype(kind)
            return lambda i: special[i]
        for space in (self.program.shared, self.program.local):
            if text in space.offsets:
                place = np.asarray(space.offsets[text]).astype(kind)[()]
                return lambda i: place
        if text in self.tables:
            where = np.asarray(self.tables[text]).astype(kind)[()]
            return lambda i: where
        constant = self._constant(text, kind)
        return lambda i: constant

    def _write(self, text: str) -> Callable[[Any, Any], None]:
        """How a result gets into a register."""
        if text == "_":
            return lambda i, value: None
        register = self.registers[text]
        kind = register.dtype

        def write(i: Any, value: Any) -> None:
            value = np.asarray(value)
            if kind.kind != "b":
                if value.dtype.itemsize != kind.itemsize:
                    value = value.astype(f"{value.dtype.kind}{kind.itemsize}")
                value = value.view(kind) if value.ndim else value.reshape(1).view(kind)[0]
            register[i] = value

        return write

    def _address(self, text: str) -> Operand:
        found = re.fullmatch(r"\[\s*([^\]+]+?)\s*(?:\+\s*(-?\d+))?\s*\]", text)
        if found is None:
            raise PTXError(f"no address: {text}")
        base, offset = found[1], int(found[2] or 0)
        narrow = base in self.registers and self.registers[base].dtype.itemsize == 4
        read = self._read(base, np.uint32 if narrow else np.int64)
        return lambda i: np.asarray(read(i)).astype(np.int64) + offset

    # ------------------------------------------------------------------ memory

    def _fail(self, i: Any, where: Any, instruction: Instruction, what: str) -> None:
        t = np.broadcast_to(self.every[i], np.shape(where))[where][0]
        raise PTXError(
            f"{what}: thread {self.thread[t]} of block {self.of_block[t]} at {instruction.text}"
        )

    def _access(
        self,
        space: str,
        address: Any,
        size: int,
        i: Any,
        instruction: Instruction,
        value: Any = None,
    ) -> Any:
        """Read, or write a value of, so many bytes for each thread."""
        threads = self.every[i]
        address = np.broadcast_to(address, threads.shape)
        if (address % size).any():
            self._fail(i, address % size != 0, instruction, "misaligned access")
        if space == "shared":
            return self._access_shared(address, size, threads, i, instruction, value)
        if space == "local":
            outside = (address < 0) | (address + size > self.local.shape[1])
            if outside.any():
                self._fail(i, outside, instruction, "access outside local memory")
            memory = self.local.view(TYPES[f"u{size * 8}"])
            if value is None:
                return memory[threads, address // size]
            memory[threads, address // size] = value
            return None
        return self._access_global(address, size, threads, i, instruction, value)

    def _access_shared(
        self,
        address: Array,
        size: int,
        threads: Array,
        i: Any,
        instruction: Instruction,
        value: Any,
    ) -> Any:
        block = self.of_block[threads]
        outside = (address < 0) | (address + size > self.program.shared.size)
        if outside.any():
            self._fail(i, outside, instruction, "access outside shared memory")
        memory = self.shared.view(TYPES[f"u{size * 8}"])
        if not self.shared_bytes_watch:
            self._watch(
                self.shared_watch, (block, address // 4), threads, i, instruction, value is None,
                self.epoch[block], "shared memory",
            )  # fmt: skip
        if value is None:
            return memory[block, address // size]
        memory[block, address // size] = value
        return None

    def _watch(
        self,
        watch: Watch,
        place: Any,
        threads: Array,
        i: Any,
        instruction: Instruction,
        reads: bool,
        epoch: Array,
        what: str,
    ) -> None:
        """Raise PTXError for a race, or for what was never written."""
        writer = watch.writer[place]
        # A barrier orders what a thread of the same block did in an earlier stretch.
        same_block = writer // self.block == threads // self.block
        ordered = same_block & (watch.written[place] < epoch)
        if what == "shared memory" and reads and (writer < 0).any():
            self._fail(i, writer < 0, instruction, "read of shared memory that nobody wrote")
        if reads:
            clash = watch.note_read(place, threads, epoch, ordered)
            if clash.any():
                self._fail(i, clash, instruction, f"race in {what}: a read after another's write")
            return
        clash = (writer >= 0) & (writer != threads) & ~ordered
        if clash.any():
            self._fail(i, clash, instruction, f"race in {what}: a write after another's write")
        reader, read = watch.reader[place], watch.read[place]
        same_block = reader // self.block == threads // self.block
        earlier = (reader == -1) | ((reader == -2) & (what == "shared memory") & (read < epoch))
        earlier |= (reader >= 0) & same_block & (read < epoch)
        clash = ~earlier & (reader != threads)
        if clash.any():
            self._fail(i, clash, instruction, f"race in {what}: a write after another's read")
        watch.note_write(place, threads, epoch)
        clash = watch.writer[place] != threads
        if clash.any():
            self._fail(
                i, clash, instruction, f"race in {what}: two threads write one place at once"
            )

    def _access_global(
        self,
        address: Array,
        size: int,
        threads: Array,
        i: Any,
        instruction: Instruction,
        value: Any,
    ) -> Any:
        unit = TYPES[f"u{size * 8}"]
        result = np.empty(threads.shape, unit) if value is None else None
        value = None if value is None else np.broadcast_to(value, threads.shape)
        left = np.ones(threads.shape, bool)
        for region in (*self.regions, *self.others):
            inside = left & (address >= region.start)
            inside &= address + size <= region.start + region.bytes.size
            if not inside.any():
                continue
            left &= ~inside
            place = (address[inside] - region.start) // size
            taking_part = threads[inside]
            self._watch(
                self._watch_of(region), address[inside] - region.owner, taking_part, taking_part,
                instruction, result is not None, self.epoch[self.of_block[taking_part]], "a buffer",
            )  # fmt: skip
            memory = region.bytes[: region.bytes.size // size * size].view(unit)
            if result is not None:
                result[inside] = memory[place]
            else:
                memory[place] = value[inside]
        if left.any():
            wrong = int(address[left][0])
            near = min(
                self.regions, key=lambda r: abs(wrong - r.start), default=Region(0, np.empty(0), 0)
            )
            self._fail(
                i, left, instruction,
                f"access outside the buffers, at byte {wrong - near.start} of one of "
                f"{near.bytes.size}",
            )  # fmt: skip
        return result

    def _watch_of(self, region: Region) -> Watch:
        """Of the allocation: parts of one may overlap."""
        if region.owner not in self.watches:
            parts = [r for r in (*self.regions, *self.others) if r.owner == region.owner]
            end = max(r.start + r.bytes.size for r in parts)
            self.watches[region.owner] = Watch((end - region.owner,))
        return self.watches[region.owner]

    # ------------------------------------------------------------------ instructions

    def _decode(self, ins: Instruction) -> tuple[str, Any, Any]:
        predicate = self._read(ins.predicate, np.bool_) if ins.predicate else None
        if ins.op == "bra":
            return "bra", predicate, self.program.labels[ins.operands[0]]
        if ins.op in ("ret", "exit"):
            return "ret", predicate, None
        if ins.op in ("bar", "barrier"):
            return "bar", predicate, None
        return "op", predicate, self._operation(ins)

    def _operation(self, ins: Instruction) -> Callable[[Any], None]:
        decode = getattr(self, f"_op_{ins.op}", None)
        if decode is not None:
            return decode(ins)  # type: ignore[no-any-return]
        kind = TYPES[ins.types[-1]] if ins.types else None
        if ins.op in BINARY and kind is not None:
            function = BINARY[ins.op] if kind != np.bool_ else COMBINE[ins.op]
            return self._apply(ins, function, kind, kind)
        if ins.op in UNARY:
            function = np.logical_not if kind == np.bool_ else UNARY[ins.op]
            return self._apply(ins, function, kind)
        raise PTXError(f"an instruction not known here: {ins.text}")

    def _apply(self, ins: Instruction, function: Any, *kinds: Any) -> Callable[[Any], None]:
        """d = function of operands of these types"""
        write = self._write(ins.operands[0].partition("|")[0])
        reads = [self._read(text, kind) for text, kind in zip(ins.operands[1:], kinds)]
        if len(reads) == 1:
            (read,) = reads
            return lambda i: write(i, function(read(i)))
        if len(reads) == 2:
            a, b = reads
            return lambda i: write(i, function(a(i), b(i)))
        return lambda i: write(i, function(*[read(i) for read in reads]))

    def _kind(self, ins: Instruction) -> Any:
        return TYPES[ins.types[-1]]

    def _op_mov(self, ins: Instruction) -> Callable[[Any], None]:
        kind, (to, source) = self._kind(ins), ins.operands
        if source.startswith("{"):  # halves, the low one first
            half = TYPES[f"u{np.dtype(kind).itemsize * 4}"]
            low, high = [self._read(part, half) for part in split(source.strip("{}"))]
            write, shift = self._write(to), kind(np.dtype(half).itemsize * 8)

            def join(i: Any) -> None:
                upper = np.asarray(high(i)).astype(kind) << shift
                write(i, np.asarray(low(i)).astype(kind) | upper)

            return join
        if to.startswith("{"):
            half = TYPES[f"u{np.dtype(kind).itemsize * 4}"]
            first, second = [self._write(part) for part in split(to.strip("{}"))]
            read, shift = self._read(source, kind), kind(np.dtype(half).itemsize * 8)

            def part(i: Any) -> None:
                value = np.asarray(read(i))
                first(i, value.astype(half))
                second(i, (value >> shift).astype(half))

            return part
        return self._apply(ins, lambda x: x, kind)

    def _op_cvta(self, ins: Instruction) -> Callable[[Any], None]:
        return self._apply(ins, lambda x: x, np.uint64)

    def _op_mul(self, ins: Instruction) -> Callable[[Any], None]:
        return self._apply(ins, _product(ins, self._kind(ins)), *[self._kind(ins)] * 2)

    def _op_mad(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        product = _product(ins, kind)
        wide = TYPES[f"{ins.types[-1][0]}{np.dtype(kind).itemsize * 16}"]
        third = wide if "wide" in ins.parts else kind
        if "cc" in ins.parts or ins.op == "madc":
            return self._carrying(ins, lambda a, b: product(a, b), +1)
        return self._apply(ins, lambda a, b, c: product(a, b) + c, kind, kind, third)

    def _op_madc(self, ins: Instruction) -> Callable[[Any], None]:
        return self._op_mad(ins)

    def _carrying(self, ins: Instruction, first: Any, sign: int) -> Callable[[Any], None]:
        """d = x + y, or x - y, of 32 bits, with the carry from before if the name has a c, kept for
        the next with .cc; x is one operand or a product of two"""
        if self._kind(ins) not in (np.uint32, np.int32):
            raise PTXError(f"an instruction not known here: {ins.text}")
        reads = [self._read(text, np.uint32) for text in ins.operands[1:]]
        write, takes = self._write(ins.operands[0]), ins.op.endswith("c")
        keeps = "cc" in ins.parts

        def run(i: Any) -> None:
            values = [np.asarray(read(i)) for read in reads]
            a = (first(*values[:-1]) if first else values[0]).astype(np.int64)
            total = a + sign * values[-1].astype(np.int64)
            if takes:
                total = total + sign * self.carry[i].astype(np.int64)
            if keeps:
                self.carry[i] = (total >> 32) & 1
            write(i, (total & 0xFFFFFFFF).astype(np.uint32))

        return run

    def _op_add(self, ins: Instruction) -> Callable[[Any], None]:
        if "cc" in ins.parts:
            return self._carrying(ins, None, +1)
        return self._apply(ins, np.add, *[self._kind(ins)] * 2)

    def _op_addc(self, ins: Instruction) -> Callable[[Any], None]:
        return self._carrying(ins, None, +1)

    def _op_sub(self, ins: Instruction) -> Callable[[Any], None]:
        if "cc" in ins.parts:
            return self._carrying(ins, None, -1)
        return self._apply(ins, np.subtract, *[self._kind(ins)] * 2)

    def _op_subc(self, ins: Instruction) -> Callable[[Any], None]:
        return self._carrying(ins, None, -1)

    def _op_fma(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        if kind == np.float32:
            return self._apply(ins, _fused, kind, kind, kind)
        return self._apply(ins, lambda a, b, c: a * b + c, kind, kind, kind)

    def _op_min(self, ins: Instruction) -> Callable[[Any], None]:
        function = np.minimum if "NaN" in ins.parts else np.fmin
        return self._apply(ins, function, *[self._kind(ins)] * 2)

    def _op_max(self, ins: Instruction) -> Callable[[Any], None]:
        function = np.maximum if "NaN" in ins.parts else np.fmax
        return self._apply(ins, function, *[self._kind(ins)] * 2)

    def _op_div(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        if np.dtype(kind).kind == "f":
            return self._apply(ins, np.divide, kind, kind)
        return self._apply(ins, lambda a, b: _truncated(a, b)[0], kind, kind)

    def _op_rem(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        return self._apply(ins, lambda a, b: _truncated(a, b)[1], kind, kind)

    def _op_shl(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        return self._apply(ins, lambda a, n: _shifted(np.left_shift, a, n), kind, np.uint32)

    def _op_shr(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        return self._apply(ins, lambda a, n: _shifted(np.right_shift, a, n), kind, np.uint32)

    def _op_shf(self, ins: Instruction) -> Callable[[Any], None]:
        left, wraps = "l" in ins.parts, "wrap" in ins.parts

        def shift(low: Any, high: Any, n: Any) -> Any:
            n = (np.asarray(n) & 31 if wraps else np.minimum(n, 32)).astype(np.uint64)
            both = np.asarray(low).astype(np.uint64) | np.asarray(high).astype(
                np.uint64
            ) << np.uint64(32)
            if left:
                return ((both << n) >> np.uint64(32)).astype(np.uint32)
            return (both >> n).astype(np.uint32)

        return self._apply(ins, shift, np.uint32, np.uint32, np.uint32)

    def _op_bfi(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        bits = np.dtype(kind).itemsize * 8

        def insert(part: Any, into: Any, start: Any, length: Any) -> Any:
            start, length = np.minimum(start, bits).astype(kind), np.minimum(length, bits)
            ones = np.where(length >= bits, ~kind(0), (kind(1) << length.astype(kind)) - kind(1))
            mask = (ones.astype(kind) << start).astype(kind)
            return np.asarray((into & ~mask) | ((part << start) & mask)).astype(kind)

        return self._apply(ins, insert, kind, kind, np.uint32, np.uint32)

    def _op_prmt(self, ins: Instruction) -> Callable[[Any], None]:
        def permute(low: Any, high: Any, chosen: Any) -> Any:
            word = np.uint64
            both = np.asarray(low).astype(word) | np.asarray(high).astype(word) << word(32)
            result = word(0)
            for k in range(4):
                which = np.asarray(chosen).astype(word) >> word(4 * k)
                byte = both >> ((which & word(7)) << word(3)) & word(255)
                signs = np.where(byte >> word(7) != 0, word(255), word(0))
                byte = np.where(which & word(8) != 0, signs, byte)
                result = result | byte << word(8 * k)
            return np.asarray(result).astype(np.uint32)

        return self._apply(ins, permute, np.uint32, np.uint32, np.uint32)

    def _op_dp4a(self, ins: Instruction) -> Callable[[Any], None]:
        signed = [kind == "s32" for kind in ins.types]

        def part(x: Any, k: int, sign: bool) -> Any:
            byte = (np.asarray(x) >> np.uint32(8 * k)).astype(np.uint8)
            return (byte.view(np.int8) if sign else byte).astype(np.int64)

        def dot(a: Any, b: Any, c: Any) -> Any:
            products = [part(a, k, signed[0]) * part(b, k, signed[1]) for k in range(4)]
            return (sum(products) + np.asarray(c).astype(np.int64)).astype(np.uint32)

        return self._apply(ins, dot, np.uint32, np.uint32, np.uint32)

    def _op_clz(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        bits = np.dtype(kind).itemsize * 8

        def zeros(x: Any) -> Any:
            return np.array([bits - int(v).bit_length() for v in np.atleast_1d(x)], np.uint32)

        return self._apply(ins, zeros, kind)

    def _op_popc(self, ins: Instruction) -> Callable[[Any], None]:
        def ones(x: Any) -> Any:
            return np.array([int(v).bit_count() for v in np.atleast_1d(x)], np.uint32)

        return self._apply(ins, ones, self._kind(ins))

    def _op_copysign(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        return self._apply(ins, lambda a, b: np.copysign(b, a), kind, kind)

    def _op_setp(self, ins: Instruction) -> Callable[[Any], None]:
        kind, name = self._kind(ins), ins.parts[0]
        compare = _comparison(name, np.dtype(kind).kind == "f")
        if name in COMBINE:
            raise PTXError(f"an instruction not known here: {ins.text}")
        combine = next((COMBINE[p] for p in ins.parts[1:] if p in COMBINE), None)
        if combine is None:
            return self._apply(ins, compare, kind, kind)
        return self._apply(ins, lambda a, b, p: combine(compare(a, b), p), kind, kind, np.bool_)

    def _op_selp(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        return self._apply(ins, lambda a, b, p: np.where(p, a, b), kind, kind, np.bool_)

    def _op_cvt(self, ins: Instruction) -> Callable[[Any], None]:
        to, source = (TYPES[t] for t in ins.types)
        rounding = next((ROUND[p] for p in ins.parts if p in ROUND), None)
        saturates = "sat" in ins.parts

        def convert(x: Any) -> Any:
            x = np.asarray(x)
            if rounding is not None:
                x = rounding(x)
            if np.dtype(source).kind == "f" and np.dtype(to).kind in "iu":
                limits = np.iinfo(to)
                inside = np.nan_to_num(x.astype(np.float64))
                top = inside >= float(limits.max)
                inside = np.clip(inside, float(limits.min), float(limits.max))
                return np.where(top, to(limits.max), np.where(top, 0, inside).astype(to))
            if saturates and np.dtype(to).kind == "f":
                x = np.clip(np.nan_to_num(x), 0, 1)
            return x.astype(to)

        return self._apply(ins, convert, source)

    def _op_ld(self, ins: Instruction) -> Callable[[Any], None]:
        kind = self._kind(ins)
        size, space = np.dtype(kind).itemsize, _space(ins)
        if "param" in ins.parts:
            name = ins.operands[1].strip("[] ")
            if name not in self.parameters:
                raise PTXError(f"no parameter {name}")
            value = self.parameters[name][1]
            if np.dtype(kind).kind == "f":
                constant = kind(value)
            else:
                given = np.asarray(value)
                if given.dtype.kind == "f":  # its bits
                    value = int(given.view(TYPES[f"u{given.dtype.itemsize * 8}"]))
                bits = int(value) & ((1 << size * 8) - 1)
                constant = np.array([bits], np.uint64).astype(TYPES[f"u{size * 8}"])[0]
            write = self._write(ins.operands[0])
            return lambda i: write(i, constant)
        address = self._address(ins.operands[1])
        targets = [self._write(t) for t in split(ins.operands[0].strip("{}"))]
        # Into a wider register a signed number goes with its sign.
        shown = kind if np.dtype(kind).kind == "i" else TYPES[f"u{size * 8}"]

        def load(i: Any) -> None:
            start = address(i)
            self._require_aligned(start, size * len(targets), i, ins)
            for k, write in enumerate(targets):
                write(i, self._access(space, start + k * size, size, i, ins).view(shown))

        return load

    def _op_st(self, ins: Instruction) -> Callable[[Any], None]:
        size, space = np.dtype(self._kind(ins)).itemsize, _space(ins)
        address, unit = self._address(ins.operands[0]), TYPES[f"u{size * 8}"]
        sources = [self._read(s, unit) for s in split(ins.operands[1].strip("{}"))]

        def store(i: Any) -> None:
            start = address(i)
            self._require_aligned(start, size * len(sources), i, ins)
            for k, read in enumerate(sources):
                self._access(space, start + k * size, size, i, ins, read(i))

        return store

    def _require_aligned(self, address: Array, size: int, i: Any, ins: Instruction) -> None:
        if (np.asarray(address) % size).any():
            wrong = np.broadcast_to(address, self.every[i].shape) % size != 0
            self._fail(i, wrong, ins, "misaligned access")

    def _op_shfl(self, ins: Instruction) -> Callable[[Any], None]:
        mode = next(p for p in ins.parts if p in ("up", "down", "bfly", "idx"))
        to, _, inside = ins.operands[0].partition("|")
        write, write_inside = self._write(to), self._write(inside or "_")
        value, lane, clamp, members = [self._read(t, np.uint32) for t in ins.operands[1:5]]
        source = self.registers[ins.operands[1]]

        def shuffle(i: Any) -> None:
            threads = self.every[i]
            active = np.zeros(self.threads, bool)
            active[threads] = True
            own = self.thread[threads] % 32
            step = np.broadcast_to(lane(i), threads.shape).astype(np.int64)
            limits = np.broadcast_to(clamp(i), threads.shape).astype(np.int64)
            segment = limits >> 8 & 31
            last = (own & segment) | (limits & ~segment & 31)
            asked = {
                "down": own + step, "up": own - step, "bfly": own ^ step,
                "idx": (own & segment) | (step & ~segment & 31),
            }[mode]  # fmt: skip
            ok = asked >= last if mode == "up" else asked <= last
            asked = np.where(ok, asked, own)
            there = threads - own + asked
            mask = np.broadcast_to(members(i), threads.shape)
            missing = ~active[np.minimum(there, self.threads - 1)]
            missing |= there // self.block != threads // self.block
            missing |= (mask >> asked.astype(np.uint32) & 1) == 0
            if missing.any():
                self._fail(i, missing, ins, "a shuffle from a lane that takes no part")
            write(i, source[there])
            write_inside(i, ok)

        del value
        return shuffle


def _has_small_accesses(program: Program) -> bool:
    """Whether a kernel keeps elements of less than a word in shared memory: then places of a word
    would be too coarse to tell threads apart."""
    return any(
        i.op in ("ld", "st") and "shared" in i.parts and i.types[-1] in ("u8", "s8", "b8")
        for i in program.instructions
    )


def _space(ins: Instruction) -> str:
    return next((p for p in ins.parts if p in ("global", "shared", "local")), "generic")


def _product(ins: Instruction, kind: Any) -> Any:
    """The product that mul, mad and their like form: of floats, or the low, high or whole part"""
    bits = np.dtype(kind).itemsize * 8
    if np.dtype(kind).kind == "f":
        return np.multiply
    if "wide" in ins.parts:
        wide = TYPES[f"{np.dtype(kind).kind.replace('i', 's')}{bits * 2}"]
        return lambda a, b: np.asarray(a).astype(wide) * np.asarray(b).astype(wide)
    if "hi" in ins.parts:
        if bits == 32:
            wide = np.int64 if np.dtype(kind).kind == "i" else np.uint64
            return lambda a, b: (
                (np.asarray(a).astype(wide) * np.asarray(b).astype(wide)) >> wide(32)
            ).astype(kind)

        def high(a: Any, b: Any) -> Any:
            pairs = zip(*np.broadcast_arrays(np.atleast_1d(a), np.atleast_1d(b)))
            found = [(int(p) * int(q)) >> bits & ((1 << bits) - 1) for p, q in pairs]
            return np.array(found, np.uint64).view(kind)

        return high
    return np.multiply


def _fused(a: Any, b: Any, c: Any) -> Any:
    """a b + c with one rounding: in float64 the product of two float32 is exact, and what its sum
    with a third loses is seldom seen once more is rounded off"""
    exact = np.asarray(a).astype(np.float64) * np.asarray(b).astype(np.float64)
    return (exact + np.asarray(c).astype(np.float64)).astype(np.float32)


def _truncated(a: Any, b: Any) -> tuple[Any, Any]:
    """The quotient towards zero, and what is left; of one by zero, as the machine has it"""
    a, b = np.asarray(a), np.asarray(b)
    safe = np.where(b == 0, b.dtype.type(1), b)
    if a.dtype.kind == "u":
        quotient, rest = a // safe, a % safe
    else:
        quotient = a // safe
        quotient = quotient + ((quotient < 0) & (quotient * safe != a))
        rest = a - quotient * safe
    return np.where(b == 0, ~a.dtype.type(0), quotient).astype(a.dtype), rest.astype(a.dtype)


def _shifted(shift: Any, a: Any, n: Any) -> Any:
    a, n = np.asarray(a), np.asarray(n)
    bits = a.dtype.itemsize * 8
    near = np.minimum(n, bits - 1).astype(a.dtype)
    moved = shift(a, near)
    over = np.zeros((), a.dtype) if a.dtype.kind == "u" or shift is np.left_shift else moved
    return np.where(n >= bits, over, moved).astype(a.dtype)


def _comparison(name: str, floats: bool) -> Any:
    if name == "nan":
        return lambda a, b: np.isnan(a) | np.isnan(b)
    if name == "num":
        return lambda a, b: ~(np.isnan(a) | np.isnan(b))
    if name in COMPARE:
        plain = COMPARE[name]
        if floats and name == "ne":
            return lambda a, b: np.not_equal(a, b) & ~(np.isnan(a) | np.isnan(b))
        return plain
    plain = COMPARE[name[:-1]]  # with a "u": true of NaN too
    return lambda a, b: plain(a, b) | np.isnan(a) | np.isnan(b)
