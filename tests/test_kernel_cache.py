"""The disk cache of compiled kernels: what it keeps, when it forgets, and who may share it."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import minitorch_cnn
from minitorch_cnn import ahead, compile
from minitorch_cnn.kernels import helper, threads
from minitorch_cnn.kernels.claim import Claim, Elsewhere
from minitorch_cnn.kernels.jit import KernelCache
from minitorch_cnn.kernels.tasks import compile_call

PACKAGE = Path(minitorch_cnn.__file__).parent

# Runs small kernels in both variants and prints what was compiled, not found on disk.
PROGRAM = """
import json, sys
import numpy as np
from {package}.kernels.cpu import activation, loss
from {package}.kernels.jit import KernelCache
for size in (8, 200_000):
    x = np.linspace(-1, 1, size, dtype=np.float32)
    y = np.empty_like(x)
    loss._softmax_grad_rows(*[a.reshape(-1, 4) for a in (x, x, y)])
    activation.relu(x, y)
kernels = [(n, v) for n, v, _ in KernelCache.compiled if n.startswith(("activation", "loss"))]
print(json.dumps([sorted(kernels), float(y.min())]))
"""


def run(folder, cache, program=PROGRAM, package="minitorch_cnn"):
    """What a new process compiled, and the smallest of the results."""
    path = os.pathsep.join([str(folder), str(PACKAGE.parent)])
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program.format(package=package))],
        capture_output=True,
        text=True,
        env=env,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RELU = [["activation.relu", "serial"]]
ALL = [*RELU, ["loss._softmax_grad_rows", "parallel"], ["loss._softmax_grad_rows", "serial"]]
OTHERS = 2  # what starts threads, and what gives them parts of arrays


@pytest.fixture
def copy(tmp_path):
    """A copy of the kernels, to be edited."""
    package = tmp_path / "copied" / "minitorch_copy"
    shutil.copytree(
        PACKAGE / "kernels", package / "kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "__init__.py").touch()
    return package


def test_a_second_process_compiles_nothing(tmp_path):
    assert run(tmp_path, tmp_path / "cache") == [ALL, 0.0]
    assert run(tmp_path, tmp_path / "cache") == [[], 0.0]


def test_a_process_that_compiles_nothing_imports_nothing_for_it(tmp_path):
    program = """
    import json, sys
    from {package} import ones, optim
    x = ones(8, requires_grad=True)
    x.sum().backward()
    optim.SGD([x], lr=1).step()
    heavy = ["numba.np.arrayobj", "numba.np.npyimpl"]
    print(json.dumps([name for name in heavy if name in sys.modules]))
    """
    assert run(tmp_path, tmp_path / "cache", program) != []
    assert run(tmp_path, tmp_path / "cache", program) == []


def test_an_edit_of_a_kernel_or_of_what_it_imports_is_noticed(copy, tmp_path):
    def go():
        return run(copy.parent, tmp_path / "cache", package="minitorch_copy")

    def edit(name, old="", new="\n# edited\n"):
        file = copy / "kernels" / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1) if old else text + new)

    assert go() == [ALL, 0.0]
    assert go() == [[], 0.0]
    edit("cpu/conv.py")  # of no concern to the kernel that runs
    assert go() == [[], 0.0]
    for imported in ("cpu/functions.py", "jit.py", "threads.py"):  # the last by way of jit.py
        edit(imported)
        assert go() == [ALL, 0.0]
    edit("cpu/activation.py", "y[i] = zero if x[i] <= zero else x[i]", "y[i] = x[i]")
    assert go() == [RELU, -1.0]
    left = list((tmp_path / "cache").rglob("*.nbc"))
    assert len(left) == len(ALL) + OTHERS  # what the earlier sources compiled is gone


def test_damaged_entries_are_compiled_again(tmp_path):
    cache = tmp_path / "cache"
    run(tmp_path, cache)
    for entry in cache.rglob("*.nbc"):
        entry.write_bytes(entry.read_bytes()[:100])
    assert run(tmp_path, cache) == [ALL, 0.0]
    assert run(tmp_path, cache) == [[], 0.0]


def test_processes_that_start_at_once_share_one_cache(tmp_path):
    cache = tmp_path / "cache"
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    program = PROGRAM.format(package="minitorch_cnn")
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=env)
        for _ in range(3)
    ]
    for process in started:
        out, _ = process.communicate()
        assert process.returncode == 0
        assert json.loads(out)[1] == 0.0
    assert run(tmp_path, cache) == [[], 0.0]
    assert not [p for p in cache.rglob("*") if p.is_file() and p.suffix != ".nbc"]


def test_an_install_that_cannot_be_written_uses_the_users_cache(copy, tmp_path):
    # A file in the place of the folder: even the superuser can't write into it.
    (copy / "kernels" / "__pycache__").write_text("")
    home = tmp_path / "home"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    env |= {"HOME": str(home), "PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("XDG_CACHE_HOME", None)
    program = PROGRAM.format(package="minitorch_copy")
    for expected in (ALL, []):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True
        )
        assert json.loads(done.stdout)[0] == expected
    assert len(list((home / ".cache").rglob("*.nbc"))) == len(ALL) + OTHERS


def test_a_forked_child_computes_rather_than_hangs(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    program = """
        import os, sys, warnings
        import numpy as np
        from {package}.kernels.cpu import activation
        x = np.linspace(-1, 1, 200_000, dtype=np.float32)
        y = np.empty_like(x)
        activation.relu(x, y)  # starts the threads
        sys.stdout.flush()
        warnings.simplefilter("ignore", DeprecationWarning)  # fork among threads: the very point
        child = os.fork()
        if child == 0:
            z = np.empty_like(x)
            activation.relu(x, z)
            os._exit(0 if np.array_equal(y, z) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(tmp_path, tmp_path / "cache", program) == 0


needs_locks = pytest.mark.skipif(os.name != "posix", reason="no locks that end with a process")


@needs_locks
def test_one_process_at_a_time_compiles_an_entry(tmp_path):
    entry = tmp_path / "kernel.nbc"
    claim = Claim(entry, waits=False)
    with pytest.raises(Elsewhere):
        Claim(entry, waits=False)
    claim.release()
    Claim(entry, waits=False).release()
    assert not list(tmp_path.iterdir())


@needs_locks
def test_a_claim_ends_with_its_process(tmp_path):
    program = (
        "import sys; from pathlib import Path; from minitorch_cnn.kernels.claim import Claim\n"
        "claim = Claim(Path(sys.argv[1]), True); print(flush=True); input()"
    )
    entry = tmp_path / "kernel.nbc"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", program, str(entry)]
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.readline()
        with pytest.raises(Elsewhere):
            Claim(entry, waits=False)
        process.kill()
        process.wait()
        Claim(entry, waits=False).release()


def test_without_locks_each_process_compiles(tmp_path, monkeypatch):
    monkeypatch.setattr("minitorch_cnn.kernels.claim.fcntl", None)
    for _ in range(2):
        Claim(tmp_path / "kernel.nbc", waits=False)
    Claim(tmp_path / "none" / "kernel.nbc", waits=False).release()


@needs_locks
def test_the_helper_ends_with_its_input():
    program = (
        "import threading; from minitorch_cnn import ahead\n"
        "ahead.training_step = threading.Event().wait; ahead.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL)
    assert done.returncode == 0


@needs_locks
def test_the_helper_compiles_into_the_cache(tmp_path):
    program = """
        import json, sys
        from minitorch_cnn import ahead, relu, ones
        ahead.training_step = lambda: (relu, [ones(8)])
        ahead.main()
    """
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, env=env
    ) as process:
        assert process.wait() == 0
    (entry,) = tmp_path.rglob("*.nbc")
    assert entry.name.startswith("activation.relu-serial")


@pytest.mark.parametrize("repeated", [False, True])
def test_the_helper_knows_all_that_a_training_step_needs(repeated, monkeypatch):
    for call in ahead.repeated_calls() if repeated else ahead.plain_calls():
        compile_call(call, chained=repeated)
    monkeypatch.setattr(KernelCache, "load_overload", None)  # nothing asks for more
    step, batch = ahead.training_step()
    if repeated:
        step = compile(step)
    step(*batch)


@needs_locks
@pytest.mark.parametrize("told", [False, True])
def test_the_helper_compiles_for_repeated_steps_once_told(told, tmp_path):
    program = """
        from minitorch_cnn import ahead, ones, relu, tanh
        from minitorch_cnn.nn.functional import gelu
        from minitorch_cnn.kernels.jit import captured

        def calls(act, x=ones(8)):
            with captured() as noted:
                act(gelu(x))
            return noted

        ahead.plain_calls, ahead.repeated_calls = lambda: calls(relu), lambda: calls(tanh)
        ahead.main()
    """
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, env=env
    ) as process:
        if told:
            process.stdin.write(b"r")
            process.stdin.flush()
        assert process.wait() == 0
    kernels = {entry.name.split("-")[0].split(".")[1] for entry in tmp_path.rglob("*.nbc")}
    assert kernels == {"gelu", "tanh" if told else "relu"}


@pytest.mark.parametrize("first", ["told", "started"])
def test_the_helper_is_told_once(first, monkeypatch):
    read, line = os.pipe()
    monkeypatch.setattr(helper, "_line", None)
    monkeypatch.setattr(helper, "_repeated", False)
    if first == "started":
        helper._connect(line)
    helper.steps_are_repeated()
    if first == "told":
        helper._connect(line)
    helper.steps_are_repeated()
    assert os.read(read, 8) == b"r"
    os.close(read)
    helper._tell()  # nobody is there any more
    os.close(line)


@needs_locks
def test_the_helper_leaves_nobody_to_wait_for():
    program = """
        import os
        from minitorch_cnn.kernels import helper
        helper.SWITCH = "NO_SWITCH"
        helper.threads.set_num_threads(2)
        helper.start()
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("none")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "none\n", "")


@pytest.mark.parametrize("reason", ["switched off", "one thread", "forked", "frozen", "embedded"])
def test_there_is_no_helper_without_a_use_for_it(reason, monkeypatch):
    monkeypatch.setenv(helper.SWITCH, "0" if reason == "switched off" else "1")
    monkeypatch.setattr(threads, "launched", 1 if reason == "one thread" else 2)
    monkeypatch.setattr(threads, "chosen", None)
    monkeypatch.setattr(threads, "forked", reason == "forked")
    monkeypatch.setattr(sys, "frozen", reason == "frozen", raising=False)
    monkeypatch.setattr(sys, "executable", "" if reason == "embedded" else sys.executable)
    monkeypatch.setattr(subprocess, "Popen", None)
    helper.start.__wrapped__()
