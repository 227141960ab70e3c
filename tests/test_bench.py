"""Benchmarks: each runs, with PyTorch and without, and says what it found; none is timed here."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # benchmarks are not installed with the package

from bench import conv_layers, harness, layers, loader, memory, startup, train_step  # noqa: E402
from bench.harness import Comparison, Row  # noqa: E402

QUICK = {
    "train_step": ["--batches", "4"],
    "train_step of a module": ["--batches", "4", "--ways", "module"],
    "conv_layers": ["--only", "4x6x14"],
    "loader": ["--batches", "4", "--workers", "0"],
    "layers": ["--batches", "4", "--only", "batch norm 1d"],
    "layers optimizers": ["--batches", "4", "--only", "SGD, momentum, 10"],
}


def numbers(rows):
    for row in rows:
        yield from (row["ours"], row["theirs"], row["ratio"], *row["quartiles"], *row["extremes"])


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs_and_writes_json(name, tmp_path, capsys):
    path = tmp_path / "found.json"
    benchmarks = {
        "train_step": train_step,
        "conv_layers": conv_layers,
        "layers": layers,
        "loader": loader,
    }
    benchmark = benchmarks[name.split()[0]]
    benchmark.main([*QUICK[name], "--quick", "--json", str(path)])
    found = json.loads(path.read_text())
    assert found["machine"]["threads"] >= 1
    assert min(found["limits"].values()) > 0
    assert found["rows"]
    if harness.pytorch is not None:
        assert all(number > 0 for number in numbers([*found["rows"], found["control"]]))
        assert min(found["geometric_means"].values()) > 0
    table = capsys.readouterr().out
    assert all(row["name"] in table for row in found["rows"])


def test_without_pytorch_our_times_stand_alone(tmp_path):
    path = tmp_path / "found.json"
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from bench import layers; layers.main(sys.argv[1:])"
    )
    options = ["--quick", "--batches", "4", "--only", "relu (4, 120), forward", "--json", str(path)]
    command = [sys.executable, "-c", code, *options]
    subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    found = json.loads(path.read_text())
    assert found["machine"]["torch"] is None
    assert found["geometric_means"] == {}
    (row,) = found["rows"]
    assert row["ours"] > 0
    assert row["theirs"] is row["ratio"] is None


def test_startup_imports_and_trains(tmp_path):
    path = tmp_path / "found.json"
    startup.main(["--quick", "--json", str(path)])
    assert json.loads(path.read_text())["import"]["imported"] > 0
    # The step itself, with whatever is compiled already.
    found = startup.measure(None, 2)
    assert found["first_step"] > found["imported"] > found["python"] > 0
    assert found["second_step"] > 0


def test_memory_is_measured_in_processes_of_their_own(tmp_path, capsys):
    path = tmp_path / "found.json"
    memory.main(["--quick", "--json", str(path)])
    found = json.loads(path.read_text())
    assert found["ours"]["peak"] > found["ours"]["before"] > 0
    assert ("PyTorch" in found) == (harness.pytorch is not None)
    table = capsys.readouterr().out
    assert all(name in table for name in found)


@pytest.fixture
def quick(monkeypatch):
    """Options, and functions that PyTorch's and ours are made of."""
    monkeypatch.setattr(harness, "measure_limits", lambda quick: harness.Limits(100.0, 10.0))
    monkeypatch.setattr(harness, "pytorch", harness.pytorch or harness.minitorch_cnn)
    return argparse.Namespace(rounds=4, sample=0.01, quick=False, only="", json=None, threads=None)


def test_functions_that_disagree_are_not_timed(quick):
    ours, theirs = [1.0, 2.0], [1.0, 2.1]
    made = iter([ours, theirs])
    different = Comparison("different", lambda torch: next(made).copy)
    with pytest.raises(SystemExit, match="different: the results differ"):
        harness.report([different], quick)


def test_rows_are_chosen_by_name_and_none_is_an_error(quick):
    both = [Comparison(name, lambda torch: lambda: 1.0) for name in ("one", "two")]
    quick.only = "tw"
    assert [row.name for row in harness.report(both, quick)] == ["two"]
    quick.only = "three"
    with pytest.raises(SystemExit, match="'three'"):
        harness.report(both, quick)


def test_samples_are_taken_in_turns(quick, monkeypatch):
    monkeypatch.setattr(harness, "SPIN", 0.0)
    calls = []
    names = iter(["ours", "theirs"])

    def make(torch):
        name = next(names)
        return lambda: calls.append(name)

    comparison = Comparison("turns", make, check=lambda ours, theirs: None)
    quick.sample = 0.0
    harness.measure(comparison, harness.Limits(1.0, 1.0), quick)
    assert calls[-8:] == ["ours", "theirs", "theirs", "ours"] * 2


def test_rates_and_fractions_of_the_limits(quick):
    quick.sample, times = 0.0, 1e-3
    clock = iter([i * times for i in range(100)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "SPIN", 0.0)
        patch.setattr(harness.time, "perf_counter", lambda: next(clock))
        work = Comparison("work", lambda torch: lambda: 0.0, flop=5e7, bytes=4e7)
        row = harness.measure(work, harness.Limits(100.0, 80.0), quick)
    assert (row.ours, row.theirs) == pytest.approx((1000, 1000))
    assert (row.ratio, row.quartiles) == (pytest.approx(1), pytest.approx((1, 1)))
    assert (row.gflops, row.gbytes) == pytest.approx((50, 40))
    assert row.of_limit == pytest.approx(0.5)


def test_threads_of_the_other_get_time_to_sleep(monkeypatch):
    clock, calls = iter(range(100)), []
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(harness, "SPIN", 5)
    harness.settle(lambda: calls.append(1))
    assert len(calls) == 4


def test_geometric_means_are_by_group_and_of_all():
    rows = [Row("a", "x", 1.0, ratio=2.0), Row("b", "x", 1.0, ratio=8.0), Row("c", "", 1.0)]
    rows.append(Row("d", "y", 1.0, ratio=4.0))
    assert harness.geometric_means(rows) == pytest.approx({"all": 4.0, "x": 4.0, "y": 4.0})
