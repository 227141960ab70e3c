"""Kernels that work element by element: a result may take an operand's place."""

import ast
import importlib
import inspect
import pkgutil
import textwrap

import numpy as np
import pytest

import minitorch_cnn.kernels.cpu
from minitorch_cnn.kernels.jit import Kernel
from minitorch_cnn.kernels.tasks import on_parts

OPTIONS = {"slope": 0.1, "low": 0.25, "high": 0.75, "alpha": 1.5, "scale": 1.2, "rate": 0.5}
OPTIONS |= {"beta": 2.0, "threshold": 1.0, "value": 3.0, "p": 0.25}


def flat_kernels():
    package = minitorch_cnn.kernels.cpu
    for name in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{package.__name__}.{name}")
        for function in vars(module).values():
            here = getattr(function, "__module__", None) == module.__name__
            if here and isinstance(function, Kernel) and function.flat:
                yield pytest.param(function, id=f"{name}.{function.__name__}")


FLAT = list(flat_kernels())


def arrays_of(kernel, dtype, n):
    """Numbers between 0 and 1 for a kernel's arrays, the last of them its result; and options."""
    names = list(inspect.signature(kernel.serial.py_func).parameters)
    rng = np.random.default_rng(0)
    arrays = [rng.random(n).astype(dtype) for name in names if name not in OPTIONS]
    if "mask" in names:
        arrays[names.index("mask")] = rng.integers(0, 2, n).astype(np.uint8)
    return arrays, [OPTIONS[name] for name in names if name in OPTIONS]


@pytest.mark.parametrize("kernel", FLAT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 1003])
def test_a_result_in_the_place_of_an_operand_is_the_same(kernel, dtype, n):
    arrays, options = arrays_of(kernel, dtype, n)
    *operands, apart = arrays
    kernel(*operands, apart, *options)
    for place, operand in enumerate(operands):
        if operand.dtype != dtype:
            continue
        both = operand.copy()
        given = [both if k == place else a for k, a in enumerate(operands)]
        kernel(*given, both, *options)
        np.testing.assert_array_equal(both, apart)


def test_so_it_is_where_threads_work_on_parts():
    for kernel in (param.values[0] for param in FLAT):
        (*operands, apart), options = arrays_of(kernel, np.float32, 40_000)
        if not operands:
            continue
        kernel.serial(*operands, apart, *options)
        both = operands[0].copy()
        on_parts(kernel.serial, 2, (both, *operands[1:], both, *options))(
            both, *operands[1:], both, *options
        )
        np.testing.assert_array_equal(both, apart, err_msg=kernel.__name__)


@pytest.mark.parametrize("kernel", FLAT)
def test_it_is_the_only_one_and_written_last(kernel):
    """As LLVM is told, which may read operands again after it has written another result."""
    source = textwrap.dedent(inspect.getsource(kernel.serial.py_func))
    names = list(inspect.signature(kernel.serial.py_func).parameters)
    result = [name for name in names if name not in OPTIONS][-1]
    written = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    ]
    assert {ast.unparse(node) for node in written} == {f"{result}[i]"}
    read = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript)
        and isinstance(node.ctx, ast.Load)
        and ast.unparse(node.value) in names
    ]
    assert {ast.unparse(node.slice) for node in read} <= {"i"}
    last = max(node.lineno for node in written)
    assert all(node.lineno <= last for node in read)
