"""Every CUDA kernel compiled to machine code, on a machine without a GPU, and what that code takes.

All kernels for one generation of GPUs, and one variant of each for the others; all of them for all:
`python -m tests.cuda_report check`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from minitorch_cnn.kernels.cuda import registry
from minitorch_cnn.kernels.cuda.registry import FACTORIES, Kernel, Limits, f32, i32, vector

from .cuda_device import needs_compiler
from .cuda_report import CAPABILITIES, assemble, examples, table

sys.path.append(str(Path(__file__).resolve().parents[1]))  # benchmarks are not installed
from bench import cuda_roofline

pytestmark = [needs_compiler, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MAIN = (9, 0)


def named(kernels):
    return [pytest.param(kernel, id=name) for name, kernel in kernels]


def one_of_each():
    seen = set()
    for name, kernel in examples():
        factory = name.partition("(")[0]
        if factory not in seen:
            seen.add(factory)
            yield name, kernel


@pytest.mark.parametrize("kernel", named(examples()))
def test_compiles_within_its_limits(kernel):
    code = assemble(kernel, MAIN)
    assert not code.breaches()
    assert code.cubin[:4] == b"\x7fELF"
    assert 0 < code.occupancy <= 1


@pytest.mark.parametrize("capability", [c for c in CAPABILITIES if c != MAIN])
@pytest.mark.parametrize("kernel", named(one_of_each()))
def test_compiles_for_other_gpus(kernel, capability):
    assert not assemble(kernel, capability).breaches()


def test_the_table_names_every_factory(monkeypatch):
    few = {"matmul.strided": FACTORIES["matmul.strided"]}
    monkeypatch.setattr("tests.cuda_report.FACTORIES", few)
    lines = table(MAIN).splitlines()
    assert len(lines) == 2 + 3
    assert lines[2].startswith("| matmul.strided(float32, 64x64) | 256 |")


def test_the_roofline_is_an_estimate_of_every_pass(tmp_path, capsys):
    cuda_roofline.main(["--quick", "--json", str(tmp_path / "rows.json")])
    assert "none of it has run on a GPU" in capsys.readouterr().out
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert len(rows) == 2 * 2 * 3  # GPUs, layers, passes
    for row in rows:
        assert 0 < row["of_peak"] <= row["fused_share"] < 1 or row["bound"] == "memory"
    conv2 = rows[0]
    assert conv2["gflop"] == 2 * 64 * 10 * 10 * 16 * 6 * 25 / 1e9


# What the gate must see


def kernel(function, *signature, threads=64, registers=64):
    return Kernel(function, signature, threads, Limits(registers, False, False, False, False))


def test_a_double_number_is_seen():
    def body(x, y):
        i = registry.cuda.threadIdx.x
        y[i] = x[i] / x.size

    assert "float64" in assemble(kernel(body, vector(f32), vector(f32)), MAIN).breaches()


def test_a_long_division_is_seen():
    def body(y, n):
        i = registry.cuda.grid(1)
        y[i // n] = 0

    breaches = assemble(kernel(body, vector(f32), registry.i64), MAIN).breaches()
    assert "a division of 64 bits" in breaches


def test_local_memory_is_seen():
    def body(x, y, n):
        part = registry.cuda.local.array(64, f32)
        for i in range(64):
            part[(i * n) % 64] = x[i]
        y[0] = part[n]

    assert "local memory" in assemble(kernel(body, vector(f32), vector(f32), i32), MAIN).breaches()


def test_too_many_registers_are_seen():
    def body(x, y):
        i = registry.cuda.threadIdx.x
        y[i] = x[i] + np.float32(1)

    breaches = assemble(kernel(body, vector(f32), vector(f32), registers=4), MAIN).breaches()
    assert any("registers, more than 4" in b for b in breaches)


def test_too_much_shared_memory_is_refused():
    nvjitlink = pytest.importorskip("cuda.bindings.nvjitlink")

    def body(x, y):
        part = registry.cuda.shared.array(12_500, f32)
        i = registry.cuda.threadIdx.x
        part[i] = x[i]
        registry.cuda.syncthreads()
        y[i] = part[i + 1]

    with pytest.raises(nvjitlink.nvJitLinkError):  # the assembler refuses it
        assemble(kernel(body, vector(f32), vector(f32)), MAIN)
