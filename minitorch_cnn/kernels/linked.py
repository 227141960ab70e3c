"""How Numba compiles here: what only kernels call as far as code that is linked into theirs.

Numba optimises every function by itself, makes machine code of it, ready to run, then copies its
code into its callers and optimises there again. A function that only kernels call never runs by
itself; and what is done to a function before all is linked need only make it small. So a first
training step compiles in two thirds of the time.
"""

import gc
from typing import Any

import llvmlite.binding as llvm
from numba import _dynfunc, types  # type: ignore[attr-defined]
from numba.core import ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.errors import NumbaTypeError
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.untyped_passes import (
    InlineClosureLikes,
    InlineInlinables,
    LiteralUnroll,
    MakeFunctionToJitFunction,
    WithLifting,
)

__all__ = ["FlatCompiler", "KernelCompiler", "LinkedCompiler"]


class _Library(JITCodeLibrary):  # Numba's word for what it compiles together
    """Code that is optimised once all is linked, and before only lightly."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout
        lightly = llvm.create_pipeline_tuning_options(speed_level=1)
        for function in ll_module.functions:
            if not function.is_declaration:
                builder = llvm.create_pass_builder(self._codegen._tm, lightly)
                passes = builder.getFunctionPassManager()
                passes.add_refprune_pass()
                passes.run(function, builder)


class _Linked(_Library):
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
        if not state.flags.nrt:
            _refuse_arrays(state)
        state.flags.no_compile = True
        super().run_pass(state)
        state.library.finalize()
        described, environment = state.cr.fndesc, state.cr.env
        # By this object the function's callers know it. There is nothing behind it to be called.
        name = described.qualname.split(".")[-1]
        entry = _dynfunc.make_function(
            described.lookup_module(), name, "", 0, environment, (state.library,)
        )
        state.targetctx.insert_user_function(entry, described, [state.library])
        state.cr = state.cr._replace(cfunc=entry)
        return True


def _refuse_arrays(state: Any) -> None:
    """Raise NumbaTypeError if a function that counts no references would have to.

    A result's count is its caller's to lower, as this one is not told of. Numba itself refuses to
    allocate.
    """
    kinds = [state.return_type]
    for call, signature in state.calltypes.items():
        is_call = isinstance(call, ir.Expr) and call.op == "call"
        if is_call and isinstance(state.typemap[call.func.name], types.Dispatcher):
            kinds.append(signature.return_type)
    models = state.targetctx.data_model_manager
    if any([models[kind].contains_nrt_meminfo() for kind in kinds]):
        name = state.func_id.func_qualname
        raise NumbaTypeError(f"{name} counts no references, but has an array for a result")


# What works on functions in functions, on `with`, and on sums and literals of whole arrays. Kernels
# have none of them, and to look for them takes a twentieth of the time.
_IDLE = {
    InlineClosureLikes,
    InlineInlinables,
    LiteralUnroll,
    MakeFunctionToJitFunction,
    NopythonRewrites,
    WithLifting,
}


class KernelCompiler(CompilerBase):
    """Numba's compiler, for kernels."""

    library: type[_Library] = _Library

    def compile_extra(self, function: Any) -> Any:
        """Compile a function, and have Python collect the garbage afterwards: to look for it time
        and again, among a million objects that stay, takes a fifth of the time."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile_extra(function)
        finally:
            if collects:
                gc.enable()

    def define_pipelines(self) -> list[PassManager]:
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        steps = PassManager("kernel")
        for step, told in DefaultPassBuilder.define_nopython_pipeline(state).passes:
            if step not in _IDLE:
                steps.add_pass(step, told)
        steps.finalize()
        return [steps]


class FlatCompiler(KernelCompiler):
    """The same for kernels of which each element of one result is made of those in its place.

    The result may be an operand, too. LLVM has vectors only for arrays that it knows to be apart,
    and to test them, one by one for others. It is told that they are: what is read in a place is
    needed for what is written there, so that it cannot be read later, also if they are the same.
    """

    def define_pipelines(self) -> list[PassManager]:
        self.state.flags.noalias = True
        return super().define_pipelines()


class LinkedCompiler(KernelCompiler):
    """The same for what only kernels call."""

    library = _Linked

    def define_pipelines(self) -> list[PassManager]:
        steps = PassManager("linked")
        (numbas,) = super().define_pipelines()
        for step, told in numbas.passes:
            steps.add_pass(_LinkedLowering if step is NativeLowering else step, told)
        steps.finalize()
        return [steps]
