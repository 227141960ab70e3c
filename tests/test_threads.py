"""How many threads kernels run on; Python threads and forked children that run them."""

import os
import subprocess
import sys
import textwrap

import pytest

import minitorch_cnn as torch
from minitorch_cnn.kernels import threads

LAYERS = ["omp", "workqueue"]

# A network whose kernels are large enough for threads, and its training as a list of numbers.
TRAINING = """
    import os, sys, threading, warnings
    import numpy as np
    import minitorch_cnn as torch
    from minitorch_cnn import nn

    def training(seed, steps=3):
        rng = np.random.default_rng(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(864, 10)
        )
        for p in net.parameters():
            p.data.copy_(torch.from_numpy(rng.normal(0, 0.05, p.shape).astype(np.float32)))
        x = torch.from_numpy(rng.normal(size=(40, 3, 28, 28)).astype(np.float32))
        labels = torch.from_numpy(rng.integers(0, 10, 40))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert np.isfinite(losses).all() and losses[-1] < losses[0]
        return losses
"""


def run(program, **env):
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(autouse=True)
def unchanged(monkeypatch):
    monkeypatch.setattr(threads, "chosen", threads.chosen)


def test_a_number_is_kept_up_to_what_there_is():
    most = torch.get_num_threads()
    for number in (1, most):
        torch.set_num_threads(number)
        assert torch.get_num_threads() == number
    torch.set_num_threads(10_000)
    assert torch.get_num_threads() == most


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (0, "set_num_threads expects a positive integer, but got 0"),
        (-2, "set_num_threads expects a positive integer, but got -2"),
        (2.0, "set_num_threads expects an int, but got float"),
        (True, "set_num_threads expects an int, but got bool"),
        (None, "set_num_threads expects an int, but got NoneType"),
    ],
)
def test_no_number_of_threads(number, message):
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match=message):
        torch.set_num_threads(number)
    assert torch.get_num_threads() == before


def test_errors_are_of_pytorchs_kinds():
    pytorch = pytest.importorskip("torch")
    for number in (0, -2, 2.0, True, None):
        with pytest.raises(RuntimeError, match=r"set_num_threads expects an? "):
            pytorch.set_num_threads(number)


def test_the_environment_says_how_many_before_and_after_numba_is_there():
    program = """
        import sys
        import minitorch_cnn as torch
        print(torch.get_num_threads(), "numba" in sys.modules)
        torch.relu(torch.ones(3))
        print(torch.get_num_threads(), "numba" in sys.modules)
    """
    assert run(program, NUMBA_NUM_THREADS="3") == ["3", "False", "3", "True"]


# Counts the system's threads that a kernel's iterations run on.
COUNTING = """
    import sys, threading
    import numpy as np
    import minitorch_cnn as torch
    {before}
    assert "numba" not in sys.modules
    import numba
    from minitorch_cnn.kernels.jit import kernel, prange
    sys.path.insert(0, {folder!r})
    from counting import who

    def count():
        seen = np.full(64, -1)
        who(seen)
        return len(set(seen.tolist()))

    {after}
"""

KERNEL = """
from numba import get_thread_id
from minitorch_cnn.kernels.jit import kernel, prange

@kernel(work=lambda y: 1 << 30)
def who(y):
    '''y[i] = which thread wrote it'''
    for i in prange(y.size):
        y[i] = get_thread_id()
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_kernels_run_on_so_many_threads(tmp_path, layer):
    (tmp_path / "counting.py").write_text(KERNEL)

    def counted(before, after):
        program = textwrap.dedent(COUNTING).format(before=before, after=after, folder=str(tmp_path))
        found = run(program, NUMBA_NUM_THREADS="4", NUMBA_THREADING_LAYER=layer)
        return [int(n) for n in found]

    assert counted("", "print(count())") == [4]
    assert counted("torch.set_num_threads(2)", "print(count())") == [2]
    # In threads that are started later too, and up again.
    switching = "torch.set_num_threads(3); print(count()); "
    switching += "t = threading.Thread(target=lambda: print(count())); t.start(); t.join(); "
    switching += "torch.set_num_threads(4); print(count())"
    assert counted("torch.set_num_threads(1)", f"print(count()); {switching}") == [1, 3, 3, 4]


def test_results_do_not_depend_on_the_number_of_threads():
    program = (
        TRAINING
        + """
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        print(*training(0))
    """
    )
    found = run(program, NUMBA_NUM_THREADS="3")
    assert found[:3] == found[3:6] == found[6:]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's list of threads")
@pytest.mark.skipif(torch.get_num_threads() < 2, reason="needs several threads")
@pytest.mark.parametrize("first", ["", "torch"])
def test_kernels_of_both_kinds_share_one_team(first):
    # Softmax spreads over threads as Numba does it, a sum of all asks OpenMP itself. With another
    # library in the process, PyTorch's, these could be threads of two.
    if first:
        pytest.importorskip(first)
    counts = run(
        f"""
        import os
        {f"import {first}; {first}.ones(1 << 20).exp_()" if first else ""}
        import minitorch_cnn as mt

        def threads():
            return len(os.listdir("/proc/self/task"))

        x, before = mt.ones(64, 1000), threads()
        mt.softmax(x, 1)
        after_softmax = threads()
        mt.ones(1 << 20).sum()
        print(before, after_softmax, threads())
        """,
        OPENBLAS_NUM_THREADS="1",  # libraries that Numba loads to compile start threads, too
    )
    before, after_softmax, after_sum = map(int, counts)
    assert after_softmax == after_sum >= 2
    assert first or before < after_softmax, "softmax started no threads: this shows nothing"


@pytest.mark.parametrize("layer", LAYERS)
def test_models_train_in_two_python_threads_at_once(layer):
    program = (
        TRAINING
        + """
    sys.setswitchinterval(1e-5)
    expected = [training(seed, 20) for seed in range(3)]
    found = [None] * 3

    def go(seed):
        found[seed] = training(seed, 20)

    started = [threading.Thread(target=go, args=(seed,)) for seed in range(3)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert found == expected
    """
    )
    run(program, NUMBA_NUM_THREADS="3", NUMBA_THREADING_LAYER=layer)


forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

CHILD = """
    warnings.simplefilter("ignore", DeprecationWarning)  # fork among threads: the very point

    def right_in_a_child():
        child = os.fork()
        if child == 0:
            try:
                assert torch.get_num_threads() == 1
                torch.set_num_threads(2)
                assert torch.get_num_threads() == 1
                np.testing.assert_allclose(training(0), expected, rtol=1e-5)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@forking
@pytest.mark.parametrize("layer", LAYERS)
def test_a_child_forked_while_other_threads_run_kernels_trains(layer):
    program = (
        TRAINING
        + CHILD
        + """
    expected = training(0)
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            training(1)

    others = [threading.Thread(target=busy) for _ in range(2)]
    for other in others:
        other.start()
    try:
        assert all([right_in_a_child() for _ in range(5)])
    finally:
        stop.set()
    for other in others:
        other.join()
    assert training(0) == expected
    """
    )
    run(program, NUMBA_NUM_THREADS="3", NUMBA_THREADING_LAYER=layer)


@forking
def test_a_child_forked_while_another_thread_compiles_trains(tmp_path):
    program = (
        TRAINING
        + CHILD
        + """
    from minitorch_cnn.kernels.cpu import activation
    compiling = threading.Event()
    load = type(activation.tanh.serial._cache).load_overload

    def load_and_tell(self, *args):  # called under the compiler's lock
        compiling.set()
        return load(self, *args)

    type(activation.tanh.serial._cache).load_overload = load_and_tell
    x = np.linspace(-1, 1, 9, dtype=np.float64)
    other = threading.Thread(target=lambda: activation.tanh(x, x.copy()))
    other.start()
    compiling.wait()
    child = os.fork()
    if child == 0:
        y = x.copy()
        activation.sigmoid(x, y)
        np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.join()
    """
    )
    run(program, NUMBA_CACHE_DIR=str(tmp_path))
