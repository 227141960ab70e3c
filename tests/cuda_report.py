"""What the machine code of the CUDA kernels takes, found without a GPU or CUDA's tools.

    python -m tests.cuda_report            # what is not as it should be, in any kernel for any GPU
    python -m tests.cuda_report --update   # the same, and KERNELS.md written anew
    python -m tests.cuda_report --update order scan    # the rows of these families alone

It takes some minutes. PTX is assembled by nvJitLink, which comes with numba-cuda.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from minitorch_cnn.kernels import cuda as kernels
from minitorch_cnn.kernels.cuda.registry import FACTORIES, Kernel

from .ptx_device import compile_ptx

CAPABILITIES = [(7, 5), (8, 0), (9, 0), (10, 0)]

PAGE = Path(__file__).resolve().parents[1] / "KERNELS.md"

REGISTERS = 65_536
"""Of a multiprocessor, and so the most of a block."""
SHARED_BYTES = 48 * 1024
"""Of a block, unless it asks for more in a way that these don't."""


class Multiprocessor(NamedTuple):
    """What a block shares with others.

    Source: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities
    """

    warps: int
    blocks: int
    shared: int
    """Bytes of memory."""
    reserved: int
    """Bytes that each block takes beside those that the assembler reports."""


MULTIPROCESSORS = {
    (7, 5): Multiprocessor(32, 16, 64 * 1024, 0),
    (8, 0): Multiprocessor(64, 32, 164 * 1024, 1024),
    (9, 0): Multiprocessor(64, 32, 228 * 1024, 0),
    (10, 0): Multiprocessor(64, 32, 228 * 1024, 1024),
}


@dataclass
class Code:
    """The machine code of a kernel for GPUs of one compute capability."""

    kernel: Kernel
    capability: tuple[int, int]
    ptx: str
    cubin: bytes
    registers: int
    shared: int
    stack: int
    spills: int

    @property
    def occupancy(self) -> float:
        """The share of a multiprocessor's threads that can be there at once, as registers and
        shared memory bound it."""
        most, warps = MULTIPROCESSORS[self.capability], -(-self.kernel.threads // 32)
        each = -(-self.registers * 32 // 256) * 256
        by_registers = REGISTERS // each // warps
        by_shared = most.shared // max(self.shared + most.reserved, 1)
        return min(by_registers, by_shared, most.blocks, most.warps // warps) * warps / most.warps

    def breaches(self) -> list[str]:
        """In what it is not as it should be."""
        limits = self.kernel.limits
        major, minor = self.capability
        divisions = re.findall(r"\b(?:div|rem)\.[su]64", self.ptx)
        found = {
            "another target": f".target sm_{major}{minor}" not in self.ptx,
            "float64": ".f64" in self.ptx and not limits.double,
            "a division of 64 bits": bool(divisions) and not limits.long_division,
            "local memory": (".local" in self.ptx or self.stack > 0) and not limits.local,
            "spilled registers": self.spills > 0,
            f"{self.registers} registers, more than {limits.registers}": (
                self.registers > limits.registers
            ),
            "more registers than there are": self.registers * self.kernel.threads > REGISTERS,
            f"{self.shared} bytes of shared memory": self.shared > SHARED_BYTES,
        }
        return [what for what, holds in found.items() if holds]


def examples() -> Iterator[tuple[str, Kernel]]:
    """Every kernel there is, in the variants that its factory names, with a name for each."""
    for path in sorted(Path(kernels.__path__[0]).glob("*.py")):
        importlib.import_module(f"{kernels.__name__}.{path.stem}")
    for name, factory in sorted(FACTORIES.items()):
        keys = {f"{name}({', '.join(map(_text, key))})": key for key in factory.examples()}
        for text, key in sorted(keys.items()):
            yield text, factory.make(*key)


def _text(value: Any) -> str:
    if isinstance(value, tuple) and hasattr(value, "rows"):
        return f"{value.rows}x{value.columns}"
    if isinstance(value, tuple):
        return "x".join(map(_text, value)) or "none"
    return str(value)


def assemble(kernel: Kernel, capability: tuple[int, int]) -> Code:
    """Compile a kernel to machine code."""
    from cuda.bindings import nvjitlink

    ptx = compile_ptx(kernel, capability)
    source = ptx.encode()
    options = [f"-arch=sm_{capability[0]}{capability[1]}", "-verbose", "-Xptxas=-v"]
    handle = nvjitlink.create(len(options), options)
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, source, len(source), "kernel.ptx")
        nvjitlink.complete(handle)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
    finally:
        nvjitlink.destroy(handle)
    text = log.decode(errors="replace")

    def number(pattern: str) -> int:
        return sum(map(int, re.findall(pattern, text)))

    if "Used" not in text:
        raise RuntimeError(f"the assembler reports nothing of {kernel.name}: {text!r}")
    return Code(
        kernel,
        capability,
        ptx,
        bytes(cubin),
        registers=number(r"Used (\d+) registers"),
        shared=number(r"(\d+) bytes smem"),
        stack=number(r"(\d+) bytes stack frame"),
        spills=number(r"(\d+) bytes spill (?:stores|loads)"),
    )


def compiled(kernel: Kernel) -> list[Code]:
    """A kernel's machine code for every GPU."""
    return [assemble(kernel, capability) for capability in CAPABILITIES]


def tools() -> str:
    """What the numbers depend on beside the kernels."""
    packages = "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink"
    return ", ".join(f"{name} {version(name)}" for name in packages)


def row(name: str, codes: list[Code]) -> str:
    """A kernel's line in the table."""

    def each(values: list[str]) -> str:
        return values[0] if len(set(values)) == 1 else " ".join(values)

    cells = [
        str(codes[0].kernel.threads),
        each([str(c.registers) for c in codes]),
        each([f"{c.shared:,}" for c in codes]),
        each([f"{c.occupancy:.0%}" for c in codes]),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def rows() -> dict[str, str]:
    """The table's lines as they are written, by kernel."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    return {line.split(" | ")[0][2:]: line for line in lines if re.match(r"\| \w+\.", line)}


def page(lines: dict[str, str]) -> str:
    """KERNELS.md with these lines."""
    listed = "\n".join(lines[name] for name, _ in examples() if name in lines)
    return f"""\
# What the CUDA kernels take

Of every kernel, in the variants that tests compile: threads of a block and, as NVIDIA's assembler
reports them, registers of a thread and bytes of shared memory of a block; and the bound that both
set on occupancy, the share of a multiprocessor's threads that can be there at once. Four numbers
are those for sm_75, sm_80, sm_90 and sm_100; one is all of theirs. No kernel spills registers.
No GPU was asked: these are the assembler's figures, not measurements.

`python -m tests.cuda_report --update` writes this page; `tests/test_cuda_compile.py` compares it.
The numbers are those of {tools()}.

| kernel | threads | registers | shared bytes | occupancy at most |
|---|---:|---:|---:|---:|
{listed}
"""


def main(arguments: list[str]) -> int:
    """Print what is not as it should be; returns how much that is."""
    parser = argparse.ArgumentParser("python -m tests.cuda_report")
    parser.add_argument("families", nargs="*", help="order, scan and so on; all if none is named")
    parser.add_argument("--update", action="store_true", help="write KERNELS.md")
    asked = parser.parse_args(arguments)
    lines, count, wrong = rows(), 0, 0
    for name, kernel in examples():
        if asked.families and name.partition(".")[0] not in asked.families:
            continue
        codes = compiled(kernel)
        lines[name] = row(name, codes)
        for code in codes:
            breaches = code.breaches()
            count, wrong = count + 1, wrong + len(breaches)
            for breach in breaches:
                print(f"{name} for sm_{code.capability[0]}{code.capability[1]}: {breach}")
    print(f"{count} kernels compiled, {wrong} breaches")
    if asked.update:
        PAGE.write_text(page(lines))
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
