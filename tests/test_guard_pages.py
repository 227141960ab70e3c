"""No kernel touches memory beside its buffers: beyond their ends lie pages that must not be."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .guarded import Guard, all_kernels, described, missing, moved

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="protects pages by mprotect, which Windows has not"
)

ROOT = Path(__file__).parents[1]


def run(tmp_path, *planted):
    """What a process that tries kernels printed, or the reason why it failed."""
    report = tmp_path / "report"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.guarded", str(report), *planted],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # Threads with a share of their own, whatever the machine.
        env={**os.environ, "NUMBA_NUM_THREADS": "3"},
    )
    if done.returncode == 0:
        return done.stdout
    fault = "a stray access" if done.returncode < 0 else f"exit code {done.returncode}"
    last = report.read_text().strip() if report.exists() else "nothing"
    return f"{fault} in {last}\n{done.stderr}"


def test_no_kernel_strays(tmp_path):
    text = run(tmp_path)
    assert text.endswith(f"launches of {len(all_kernels())} kernels\n"), text


@pytest.mark.parametrize(
    ("planted", "fault", "place"),
    [
        ("reads_before", "a stray access", "start"),
        ("reads_behind", "a stray access", "end"),
        ("writes_before", "a kernel wrote beside a buffer", "end"),
        ("writes_behind", "a stray access", "end"),
    ],
)
def test_kernels_that_stray_by_one_element_are_caught(tmp_path, planted, fault, place):
    text = run(tmp_path, planted)
    assert fault in text
    call = f"tests.planted_kernels.{planted}(float64[5], float64[5]), serial"
    assert f"{call}, buffers at the {place} of pages" in text.splitlines()[0]


def test_a_kernel_that_nothing_calls_is_told(tmp_path):
    with (tmp_path / "report").open("w") as report:
        left = missing(Guard(report))
    assert len({line.partition(",")[0] for line in left}) == len(all_kernels())


def test_arguments_keep_their_layout_where_they_are_moved():
    whole = np.arange(24.0).reshape(4, 6)
    args = (whole, whole[::2, ::-1], (whole.T, 3), whole[:0], np.broadcast_to(whole[0], (3, 6)))
    sizes = []

    def place(nbytes):
        sizes.append(nbytes)
        return np.empty(nbytes, np.uint8), 0

    there = moved(args, place)
    assert described(there) == described(args)
    assert sizes == [whole.nbytes, 0]
    np.testing.assert_array_equal(there[1], args[1])
    there[0][0] = 7
    assert np.all(there[1][0] == 7)
    assert np.all(there[2][0][:, 0] == 7)
    assert np.all(there[4] == 7)
    assert not there[4].flags.writeable
    assert np.all(whole[0] == np.arange(6))
