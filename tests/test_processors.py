"""Kernels compute their definitions on processors with shorter vectors than this one's too."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minitorch_cnn.kernels.cpu.processor import VECTOR_BYTES

HERE = Path(__file__).parent

# Names that LLVM knows, and the bytes of their vectors. With no list of features the name decides.
NARROWER = {"x86-64": 16, "haswell": 32}

# Of the tests that compare kernels with definitions, few: each kernel is compiled once more.
FILES = ["simd", "kernels_activation", "kernels_matmul", "kernels_conv_pool", "ops"]
TESTS = (
    "test_simd or kernels_activation or kernels_matmul "
    "or conv2d_kernels_compute or max_pool2d_kernels_compute "
    "or (slow_references and gelu) "
    "or (agree_with_differences and (matmul or linear or sigmoid or tanh))"
)


def forced(processor, *command):
    """What a Python process prints that compiles for another processor."""
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env={**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="knows narrower ones of x86 only"
)
@pytest.mark.parametrize("processor", NARROWER)
def test_kernels_are_right_on_narrower_processors(processor):
    width = NARROWER[processor]
    if width >= VECTOR_BYTES:
        pytest.skip(f"this processor's vectors are of {VECTOR_BYTES} bytes: no wider than those")
    told = "from minitorch_cnn.kernels.cpu.processor import VECTOR_BYTES; print(VECTOR_BYTES)"
    assert int(forced(processor, "-c", told)) == width
    files = [str(HERE / f"test_{name}.py") for name in FILES]
    files = [file for file in files if Path(file).exists()]
    text = forced(processor, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", TESTS)
    assert int(re.search(r"(\d+) passed", text)[1]) >= 8, text
