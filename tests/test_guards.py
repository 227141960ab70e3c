"""Habits that the project keeps, read off its own sources."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import minitorch_cnn
from minitorch_cnn.autograd.op import Op, View
from minitorch_cnn.device import cpu
from minitorch_cnn.kernels.jit import Kernel

PACKAGE = Path(minitorch_cnn.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
CPU = PACKAGE / "kernels" / "cpu"
# All but what kernels are built from, and called by: these are no kernels, and must know Numba.
BUILT_FROM = (
    "processor",
    "instructions",
    "reals",
    "simd",
    "simd_tiles",
    "windows",
    "chain",
    "team",
)
KERNELS = sorted(set(CPU.glob("*.py")) - {CPU / f"{name}.py" for name in BUILT_FROM})

# Who may import whom: a room those below it, never one above.
FLOORS = [
    {"dlpack", "kernels", "memory", "record"},
    {"device", "dtypes", "layout", "printing"},
    {"tensor"},
    {"random", "autograd"},
    {"ops"},
    {"nn"},
    {"optim", "utils", "serialization", "backends", "cuda", "linalg", "plan", "profiler"},
    {"vision"},
    {"ahead"},
]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}


def room(path: Path) -> str:
    """The first part of a module's name inside the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path, source: str) -> set[str]:
    """The rooms of the package that a module imports, wherever in it the imports stand."""
    found = set()
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if isinstance(node, ast.ImportFrom) and node.level:
                found.add(parts[0])
            elif parts[0] == "minitorch_cnn":
                found.add(parts[1] if len(parts) > 1 else "minitorch_cnn")
    return found


def wrong_imports(path: Path, source: str) -> set[str]:
    """Imports that run up the house. Utilities and vision are users: they take the public face."""
    here = room(path)
    above = set()
    for other in imported_rooms(path, source):
        if other == here or (other not in FLOOR and FLOOR[here] >= FLOOR["utils"]):
            continue
        if other not in FLOOR or FLOOR[other] > FLOOR[here]:
            above.add(other)
    return above


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    if path == PACKAGE / "__init__.py":
        return
    assert not wrong_imports(path, _without_typing_imports(path.read_text()))


def _without_typing_imports(source: str) -> str:
    """The source less what only a type checker imports: it makes no order at run time."""
    tree = ast.parse(source)

    class Drop(ast.NodeTransformer):
        def visit_If(self, node):
            if "TYPE_CHECKING" in ast.unparse(node.test):
                return ast.Pass()
            return self.generic_visit(node)

    return ast.unparse(ast.fix_missing_locations(Drop().visit(tree)))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("device.py", "from .tensor import Tensor"),
        ("kernels/cpu/conv.py", "from ...device import launch"),
        ("ops/conv.py", "def f():\n    from ..nn import functional"),
        ("ops/conv.py", "import minitorch_cnn.optim"),
        ("ops/conv.py", "from .. import nn"),
        ("nn/conv.py", "from minitorch_cnn import optim"),
        ("autograd/graph.py", "from ..ops.conv import conv2d"),
    ],
)
def test_the_import_guard_sees_planted_imports(file, source):
    assert wrong_imports(PACKAGE / file, source)


def test_every_room_has_a_floor():
    rooms = {room(path) for path in SOURCES} - {"__init__"}
    assert rooms == set(FLOOR)


def arrays_freed_early(source: str) -> set[str]:
    """Arrays that a function makes and uses by address, and does not mention at its end.

    Numba frees an array after the last statement that names it.
    """
    found = set()
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        given = {argument.arg for argument in function.args.args}
        ends = {node.id for node in ast.walk(function.body[-1]) if isinstance(node, ast.Name)}
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and node.attr == "ctypes":
                found.update({node.value.id} - given - ends)
    return found


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.name)
def test_arrays_used_by_address_live_to_the_end(path):
    assert not arrays_freed_early(path.read_text())


def test_the_guard_sees_an_array_that_is_freed_early():
    source = """
def f(x, n):
    room = np.empty(n)
    start, other = room.ctypes.data, x.ctypes.data
    g(start, other)
"""
    assert arrays_freed_early(source) == {"room"}
    assert not arrays_freed_early(source + "    room[0] = 0\n")


def test_numba_is_imported_by_kernels_alone():
    for path in SOURCES:
        if room(path) == "kernels":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            assert not [n for n in names if n.split(".")[0] in ("numba", "llvmlite")], path


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, minitorch_cnn, minitorch_cnn.vision, minitorch_cnn.utils.data; "
        "heavy = 'numba llvmlite tqdm PIL matplotlib sklearn torch http.client urllib.request'; "
        "print([m for m in heavy.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------- kernels


def kernel_rule_breaches(source: str) -> list[str]:
    """What a kernel file must not do: each of these costs the disk cache, or right numbers."""
    breaches = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if module and module.split(".")[0] == "numba":
                breaches.append("imports numba: compile flags live in jit.py")
        if isinstance(node, ast.FunctionDef):
            decorators = [ast.unparse(d) for d in node.decorator_list]
            jitted = any(d.startswith(("kernel", "inner")) for d in decorators)
            if jitted and node not in tree.body:
                breaches.append(f"{node.name} is not at module level: the cache would mix it up")
            if jitted:
                breaches += _accumulations(node)
    return breaches


def _accumulations(function: ast.FunctionDef) -> list[str]:
    """A plain name added to across a prange: a sum whose order depends on the threads."""
    found = []
    for loop in ast.walk(function):
        parallel = (
            isinstance(loop, ast.For)
            and isinstance(loop.iter, ast.Call)
            and ast.unparse(loop.iter.func) == "prange"
        )
        if not parallel:
            continue
        assigned = {
            target.id
            for node in ast.walk(loop)
            if isinstance(node, ast.Assign)
            for full in node.targets
            for target in ast.walk(full)
            if isinstance(target, ast.Name)
        }
        found += [
            f"{function.name} sums {node.target.id} across prange: its bits depend on the threads"
            for node in ast.walk(loop)
            if isinstance(node, ast.AugAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id not in assigned
        ]
    return found


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.name)
def test_kernels_keep_numba_rules(path):
    assert not kernel_rule_breaches(path.read_text())


@pytest.mark.parametrize(
    "source",
    [
        "from numba import njit",
        "import numba",
        "def make(n):\n    @kernel()\n    def f(x, y):\n        y[0] = n\n    return f",
        "@kernel()\ndef f(x, y):\n    s = 0\n    for i in prange(9):\n        s += x[i]",
    ],
)
def test_the_kernel_guard_sees_planted_breaches(source):
    assert kernel_rule_breaches(source)


def all_ops() -> list[type[Op]]:
    for module in pkgutil.iter_modules([str(PACKAGE / "ops")]):
        importlib.import_module(f"minitorch_cnn.ops.{module.name}")
    found, stack = [], [Op]
    while stack:
        for op in stack.pop().__subclasses__():
            stack.append(op)
            if op.__module__.startswith("minitorch_cnn") and "kernel" in vars(op):
                found.append(op)
    return found


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.__name__)
def test_every_op_has_its_kernel(op):
    function = cpu.kernel(op.kernel)
    assert not issubclass(op, View)
    body = function.__wrapped__ if isinstance(function, Kernel) else function
    names = list(inspect.signature(body).parameters)
    if not {"args", "buffers"} & set(names):
        assert tuple(names[len(names) - len(op.parameters) :]) == op.parameters


def test_ops_name_no_device():
    for path in sorted((PACKAGE / "ops").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in ("cuda", "gpu"), path


def test_every_kernel_carries_its_formula():
    for path in KERNELS:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(d).startswith("kernel") for d in node.decorator_list
            ):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
