"""What the machine code of the CUDA kernels takes, found without a GPU or CUDA's tools.

    python -m tests.cuda_report            # a table for one GPU, sm_90
    python -m tests.cuda_report 80         # another
    python -m tests.cuda_report check      # every kernel for every GPU; some minutes

PTX is assembled by nvJitLink, which comes with numba-cuda.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minitorch_cnn.kernels import cuda as kernels
from minitorch_cnn.kernels.cuda.registry import FACTORIES, Kernel

from .ptx_device import compile_ptx

CAPABILITIES = [(7, 5), (8, 0), (9, 0), (10, 0)]

REGISTERS = 65_536
"""Of a multiprocessor, and so the most of a block."""
SHARED_BYTES = 48 * 1024
"""Of a block, unless it asks for more in a way that these don't."""
MOST_WARPS = {(7, 5): 32, (8, 0): 64, (9, 0): 64, (10, 0): 64}


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
        warps = -(-self.kernel.threads // 32)
        each = -(-self.registers * 32 // 256) * 256
        by_registers = REGISTERS // (each * warps)
        by_shared = 100 * 1024 // max(self.shared, 1)
        most = MOST_WARPS[self.capability]
        return min(by_registers, by_shared, most // warps) * warps / most

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
        for key in factory.examples():
            yield f"{name}({', '.join(map(_text, key))})", factory.make(*key)


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


def table(capability: tuple[int, int]) -> str:
    """What each kernel takes, as Markdown."""
    lines = [
        f"| kernel, for sm_{capability[0]}{capability[1]} | threads | registers | shared bytes "
        "| occupancy at most |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, kernel in examples():
        code = assemble(kernel, capability)
        lines.append(
            f"| {name} | {kernel.threads} | {code.registers} | {code.shared} "
            f"| {code.occupancy:.0%} |"
        )
    return "\n".join(lines)


def check() -> int:
    """Print what is not as it should be; returns how much that is."""
    count = wrong = 0
    for name, kernel in examples():
        for capability in CAPABILITIES:
            breaches = assemble(kernel, capability).breaches()
            count, wrong = count + 1, wrong + len(breaches)
            for breach in breaches:
                print(f"{name} for sm_{capability[0]}{capability[1]}: {breach}")
    print(f"{count} kernels compiled, {wrong} breaches")
    return wrong


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "90"
    if asked == "check":
        sys.exit(bool(check()))
    print(table((int(asked[:-1]), int(asked[-1]))))
