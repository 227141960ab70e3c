"""PTX, the assembly language of NVIDIA's GPUs, read into instructions.

Source: https://docs.nvidia.com/cuda/parallel-thread-execution. What is read is what NVVM writes for
the kernels here: one entry, no functions but it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

TYPES = {
    "b8": np.uint8, "u8": np.uint8, "s8": np.int8,
    "b16": np.uint16, "u16": np.uint16, "s16": np.int16, "f16": np.float16,
    "b32": np.uint32, "u32": np.uint32, "s32": np.int32, "f32": np.float32,
    "b64": np.uint64, "u64": np.uint64, "s64": np.int64, "f64": np.float64,
    "pred": np.bool_,
}  # fmt: skip


class PTXError(Exception):
    """What a kernel does wrong, or what of its language is not known here."""


@dataclass
class Instruction:
    """`@!%p1 op.a.b d, x, y;`"""

    text: str
    op: str
    """The first part of the operation's name."""
    parts: tuple[str, ...]
    """The others."""
    operands: list[str]
    predicate: str
    """The register that decides which threads take part, with a "!" before if it is those
    where it is false; or nothing."""

    @property
    def types(self) -> list[str]:
        """The types that the operation names."""
        return [p for p in self.parts if p in TYPES]


@dataclass
class Space:
    """Named arrays in shared or local memory."""

    offsets: dict[str, int] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, alignment: int, size: int) -> None:
        """Give an array its place."""
        start = -(-self.size // alignment) * alignment
        self.offsets[name], self.size = start, start + size


@dataclass
class Program:
    """A kernel: its parameters, registers, memory and instructions."""

    name: str
    target: str
    parameters: list[tuple[str, str]]
    """Type and name."""
    registers: dict[str, str]
    """Types of the registers by name."""
    shared: Space
    local: Space
    tables: dict[str, np.ndarray]
    """Bytes of named arrays of constants."""
    instructions: list[Instruction]
    labels: dict[str, int]


ARRAY = re.compile(r"\.(shared|local)\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d*)\]")
TABLE = re.compile(r"\.(?:global|const)\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[\d+\]\s*=\s*\{([^}]*)\}")
ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*\((.*?)\)\s*(?:\.\w+[^{;]*)?\{(.*)\}", re.DOTALL)
PARAMETER = re.compile(
    r"\.param\s+\.(\w+)\s+(?:\.ptr\s+(?:\.\w+\s+)*(?:\d+\s+)?)?([\w$]+)(?:,|\s*$)"
)
STATEMENT = re.compile(r"([\w$]+)\s*:|([^;:{}]*(?:\{[^{}]*\}[^;:{}]*)*);")


def read(ptx: str) -> Program:
    """The program in a PTX module with one entry."""
    ptx = re.sub(r"//[^\n]*|/\*.*?\*/", "", ptx, flags=re.DOTALL)
    entry = ENTRY.search(ptx)
    if entry is None:
        raise PTXError("there is no .entry")
    if re.search(r"\.func\b", ptx):
        raise PTXError("functions are not known here")
    target = re.search(r"\.target\s+(\w+)", ptx)
    shared, local = Space(), Space()
    for space, alignment, name, size in ARRAY.findall(ptx):
        (shared if space == "shared" else local).add(name, int(alignment), int(size or 0))
    tables = {
        name: np.array([int(n, 0) for n in values.split(",")], np.uint8)
        for name, values in TABLE.findall(ptx)
    }
    body = entry[3]
    registers = {}
    for kind, prefix, count in re.findall(r"\.reg\s+\.(\w+)\s+(%\w+)<(\d+)>", body):
        registers.update({f"{prefix}{i}": kind for i in range(int(count))})
    registers.update({name: kind for kind, name in re.findall(r"\.reg\s+\.(\w+)\s+(%\w+);", body)})
    body = re.sub(r"^\s*\.(reg|local|loc|pragma)[^\n;]*;?", "", body, flags=re.MULTILINE)
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for label, statement in STATEMENT.findall(_without_scopes(body)):
        if label:
            labels[label] = len(instructions)
        elif statement.strip():
            instructions.append(_instruction(" ".join(statement.split())))
    parameters = PARAMETER.findall(re.sub(r"\s+", " ", entry[2]))
    return Program(
        entry[1], target[1] if target else "", parameters, registers, shared, local, tables,
        instructions, labels,
    )  # fmt: skip


def _without_scopes(body: str) -> str:
    """The body less braces that hold statements rather than operands."""
    while True:
        found = re.sub(r"\{([^{}]*;[^{}]*)\}", r"\1", body)
        if found == body:
            return body
        body = found


def _instruction(text: str) -> Instruction:
    predicate, rest = "", text
    if guard := re.match(r"@(!?%\w+)\s+(.*)", text):
        predicate, rest = guard[1], guard[2]
    name, _, operands = rest.partition(" ")
    op, *parts = name.split(".")
    return Instruction(text, op, tuple(parts), split(operands), predicate)


def split(operands: str) -> list[str]:
    """Operands at the commas that no bracket encloses."""
    found, depth, current = [], 0, ""
    for letter in operands:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            found.append(current.strip())
            current = ""
        else:
            current += letter
    return [*found, current.strip()] if current.strip() else found
