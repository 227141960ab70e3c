"""How functions are compiled that only kernels call: as far as code that can be linked into theirs.

Numba makes of every function optimised machine code, ready to run, also of one whose code is then
copied into its callers, optimised there again and never run by itself. Without that a first
training step compiles in three quarters of the time.
"""

from typing import Any

from numba import _dynfunc  # type: ignore[attr-defined]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering

__all__ = ["LinkedCompiler"]


class _Linked(JITCodeLibrary):  # Numba's word for what it compiles together
    """Code that is to be linked into other code."""

    def _optimize_final_module(self) -> None:
        """Left to whom it is linked into."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(NativeLowering):
    _name = "linked_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = library = _Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        library.enable_object_caching()
        state.flags.no_compile = True
        super().run_pass(state)
        library.finalize()
        described, environment = state.cr.fndesc, state.cr.env
        # By this object the function's callers know it. There is nothing behind it to be called.
        name = described.qualname.split(".")[-1]
        entry = _dynfunc.make_function(
            described.lookup_module(), name, "", 0, environment, (library,)
        )
        state.targetctx.insert_user_function(entry, described, [library])
        state.reload_init.extend(library._reload_init)
        state.cr = state.cr._replace(cfunc=entry)
        return True


class LinkedCompiler(CompilerBase):
    """Numba's compiler but for the last of its steps."""

    def define_pipelines(self) -> list[PassManager]:
        steps = PassManager("linked")
        for step, told in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            steps.add_pass(_LinkedLowering if step is NativeLowering else step, told)
        steps.finalize()
        return [steps]
