"""Every CUDA kernel compiled to machine code for four generations of GPUs, on a machine that has
none, and what that code takes, which KERNELS.md lists."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from minitorch_cnn.kernels.cuda import registry
from minitorch_cnn.kernels.cuda.registry import Kernel, Limits, f32, i32, vector

from . import cuda_report
from .cuda_device import needs_compiler
from .cuda_report import PAGE, assemble, compiled, examples, page, tools
from .ptx_device import compile_ir, compile_ptx

sys.path.append(str(Path(__file__).resolve().parents[1]))  # benchmarks are not installed
from bench import cuda_roofline

pytestmark = [needs_compiler, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MAIN = (9, 0)


WRITTEN = cuda_report.rows()


@pytest.mark.parametrize(("name", "kernel"), [pytest.param(*e, id=e[0]) for e in examples()])
def test_compiles_within_its_limits_and_as_listed(name, kernel):
    codes = compiled(kernel)
    for code in codes:
        assert not code.breaches(), code.capability
        assert code.cubin[:4] == b"\x7fELF"
        assert 0 < code.occupancy <= 1
    if tools() in PAGE.read_text():  # with others, the numbers are others
        assert WRITTEN.get(name) == cuda_report.row(name, codes), (
            "python -m tests.cuda_report --update"
        )


def test_the_list_is_of_the_kernels_there_are():
    assert list(WRITTEN) == [name for name, _ in examples()]
    assert page(WRITTEN).splitlines()[-len(WRITTEN) :] == list(WRITTEN.values())


def test_all_gpus_share_what_numba_makes_of_a_kernel():
    seen = {}
    for name, kernel in examples():
        seen.setdefault(name.partition(".")[0], kernel)
    for kernel in seen.values():
        alone = compile_ir.__wrapped__(kernel, (7, 5)).get_asm_strs(cc=(7, 5))[0]
        # Names count how many functions and arrays there were before.
        names = r"_ZN\w+|smem_\d+"
        texts = [re.sub(names, "name", ptx) for ptx in (alone, compile_ptx(kernel, (7, 5)))]
        assert texts[0] == texts[1], kernel.name


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
