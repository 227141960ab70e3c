"""Both devices export the same kernels, but for those named here."""

import ast
import importlib
import inspect
from pathlib import Path

from minitorch_cnn.kernels.jit import Kernel

from .test_guards import CPU, PACKAGE, SOURCES, all_ops

CUDA = PACKAGE / "kernels" / "cuda"

# What has no kernel for CUDA: to launch it raises a sentence that names it. Nothing, at present.
NOT_ON_CUDA: set[str] = set()


def launchers(folder: Path, family: str) -> dict[str, tuple[str, ...]]:
    """The kernels that a device exports in a family, with their parameters."""
    device = folder.name
    module = importlib.import_module(f"minitorch_cnn.kernels.{device}.{family}")
    found = {}
    for name, value in vars(module).items():
        body = value.__wrapped__ if isinstance(value, Kernel) else value
        if inspect.isfunction(body) and body.__module__ == module.__name__:
            found[f"{family}.{name}"] = tuple(inspect.signature(body).parameters)
    return found


def launched() -> set[str]:
    """The names of kernels that the package launches, read off its sources and ops."""
    names = {op.kernel for op in all_ops()}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                family, dot, name = node.value.partition(".")
                if dot and name.isidentifier() and (CPU / f"{family}.py").exists():
                    names.add(node.value)
    return {n for n in names if n in launchers(CPU, n.partition(".")[0])}


def test_both_devices_export_the_same_kernels_with_the_same_parameters():
    names = launched()
    assert len(names) > 100
    missing = set()
    for name in names:
        family = name.partition(".")[0]
        there = launchers(CUDA, family) if (CUDA / f"{family}.py").exists() else {}
        if name not in there:
            missing.add(name)
            continue
        here = launchers(CPU, family)[name]
        # Where NumPy's ufuncs do the work, their names for parameters are none.
        if here != ("args",):
            assert there[name] == here, name
    assert missing == NOT_ON_CUDA, (
        "write a kernel in kernels/cuda, or name it in NOT_ON_CUDA: "
        f"{sorted(missing - NOT_ON_CUDA)}; no gaps any more: {sorted(NOT_ON_CUDA - missing)}"
    )
