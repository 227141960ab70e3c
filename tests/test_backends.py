"""Settings and questions about libraries that are not here, as in PyTorch without a GPU."""

import pytest

import minitorch_cnn as mt
import minitorch_cnn.backends.cudnn as cudnn


def test_what_is_available_and_how_settings_stand_at_first():
    torch = pytest.importorskip("torch")

    def told(t):
        flags = t.backends.cudnn
        return (
            (flags.enabled, flags.benchmark, flags.deterministic, flags.is_available()),
            t.backends.mps.is_available(),
            t.backends.cuda.matmul.allow_tf32,
            t.are_deterministic_algorithms_enabled(),
            t.get_float32_matmul_precision(),
        )

    assert told(mt) == told(torch)
    assert cudnn.version() is None
    assert not mt.backends.mps.is_built()


def test_settings_can_be_made(monkeypatch):
    monkeypatch.setattr(cudnn, "benchmark", True)
    assert mt.backends.cudnn.benchmark
    try:
        mt.use_deterministic_algorithms(True, warn_only=True)
        mt.set_float32_matmul_precision("high")
        assert mt.are_deterministic_algorithms_enabled()
        assert mt.get_float32_matmul_precision() == "high"
    finally:
        mt.use_deterministic_algorithms(False)
        mt.set_float32_matmul_precision("highest")
    with pytest.raises(RuntimeError, match="'low'"):
        mt.set_float32_matmul_precision("low")


def test_without_a_gpu_seeds_for_it_change_nothing():
    if mt.cuda.is_available():
        pytest.skip("there is a GPU")
    state = mt.get_rng_state()
    mt.cuda.manual_seed(3)
    mt.cuda.manual_seed_all(3)
    assert mt.equal(mt.get_rng_state(), state)
