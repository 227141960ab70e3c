"""The vector registers of the processor that Numba compiles for."""

import platform

import llvmlite.binding as llvm
from numba.core.registry import cpu_target

_PROBE = """
define void @probe(ptr %x) {
  %a = load <16 x float>, ptr %x
  %b = fadd <16 x float> %a, %a
  store <16 x float> %b, ptr %x
  ret void
}
"""


def _processor():
    """The width in bytes and the number of the vector registers that Numba compiles for.

    Read off the code that LLVM makes of a sum of sixteen floats for Numba's processor, which
    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES may narrow: a name alone implies features that no list
    tells.
    """
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(processor, features)
    code = machine.emit_assembly(llvm.parse_assembly(_PROBE))
    if "zmm" in code:  # AVX-512
        return 64, 32
    if "ymm" in code:  # AVX, AVX2
        return 32, 16
    return 16, 32 if platform.machine().lower() in ("aarch64", "arm64") else 16


VECTOR_BYTES, REGISTERS = _processor()
