"""How CPU kernels are compiled and kept: the compile flags, the two variants, the disk cache.

A kernel is a module-level function under `@kernel`. It is compiled at its first call for the
argument types at hand, serially; and, at the first call that its work spreads over threads, once
more with `prange`, unless it works element by element: then threads run the serial code on parts.
Compiled code is kept on disk, so that later processes load it.
"""

import functools
import hashlib
import os
import pickle
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import llvmlite.binding as llvm
import numba
from numba import njit, prange
from numba.core import caching
from numba.core.compiler_lock import global_compiler_lock
from numba.core.runtime import rtsys
from numpy import ndarray

from . import drivers, helper, threads
from .claim import Claim, Elsewhere
from .drivers import Call, capture, captured, driver, on_host
from .linked import FlatCompiler, KernelCompiler, LinkedCompiler
from .workspace import kept

__all__ = [
    "Call",
    "Elsewhere",
    "KernelCache",
    "allocating",
    "capture",
    "captured",
    "compiled_for",
    "driver",
    "exact",
    "inner",
    "kernel",
    "on_host",
    "prange",
    "run_on_threads",
    "threads_for",
]

# OpenMP's threads spin for milliseconds between launches unless told to sleep, which beside other
# busy processes makes a training step many times slower. To wake a sleeping one costs as much as a
# small launch: a step of many took twice the time. So they spin for about the time from one launch
# to the next.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

# The whole of fastmath but "nnan" and "ninf": NaN and infinity must pass through.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Of what Numba can spread over threads only the loops that say so: a sum of an array, say, must
# keep its order.
PRANGE_ONLY = {
    "prange": True,
    "comprehension": False,
    "fusion": False,
    "numpy": False,
    "reduction": False,
    "setitem": False,
    "stencil": False,
}

# Multiply-adds under which waking the threads costs more than it brings.
PARALLEL_WORK = 200_000

# The same for a call in a chain, whose threads are awake.
CHAIN_WORK = 20_000

COMPILED: dict[str, Any] = {
    "fastmath": FASTMATH,
    "error_model": "numpy",
    "nogil": True,
    "no_cfunc_wrapper": True,  # no C calls it
    "pipeline_class": KernelCompiler,
}

_inner: dict[str, Any] = {
    **COMPILED,
    "no_cpython_wrapper": True,
    "pipeline_class": LinkedCompiler,
    "_nrt": False,
}


class Inner:
    """A function that only kernels call. Numba is told of it where it compiles one that does.

    To tell it of all, some hundreds, takes a twentieth of the time to a first training step whose
    kernels are found on disk.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self._function, self._options = function, options

    @functools.cached_property
    def _dispatcher(self) -> Any:
        return njit(**self._options)(self._function)

    @property
    def _numba_type_(self) -> Any:  # where Numba asks for a value's type
        return self._dispatcher._numba_type_


inner: Any = functools.partial(Inner, options=_inner)
"""For a function that kernels call; its code is compiled into theirs.

It counts no references to arrays. Every slice would, on a line of memory that the threads' caches
would hand to and fro. So it neither allocates nor returns an array: it would not compile.
"""

allocating: Any = functools.partial(Inner, options={**_inner, "_nrt": True})
"""For an `inner` function that allocates memory or returns an array."""

exact: Any = functools.partial(
    Inner, options={**_inner, "fastmath": {"contract"}, "forceinline": True}
)
"""For an `inner` function whose roundings are part of its formula: no sum in it is reordered."""


def kernel(
    *, work: Callable[..., int] | None = None, flat: bool = False
) -> Callable[[Callable[..., None]], "Kernel"]:
    """Compile a module-level function as a kernel.

    `work(*args)` estimates a call's multiply-adds; the call runs on several threads if that pays.
    It may look at shapes only, so that equal shapes take the same path and give the same bits.
    Without it, the kernel is serial. With `flat`, array arguments arrive with one dimension, the
    last is written, and if they are of one size, each element depends on those in its place alone.
    """
    return lambda function: Kernel(function, work, flat)


_ravel = ndarray.ravel


class Kernel:
    """A compiled function in two variants, of which each call runs the one that suits its size."""

    native = True

    def __init__(
        self, function: Callable[..., None], work: Callable[..., int] | None, flat: bool
    ) -> None:
        functools.update_wrapper(self, function)
        self.work, self.flat = work, flat
        compiler = FlatCompiler if flat else KernelCompiler
        self.serial = _compile(function, parallel=False, compiler=compiler)
        self.parallel = _compile(function, parallel=True) if work is not None else self.serial
        self._by_parts: dict[Any, Callable[..., None]] = {}

    def __call__(self, *args: Any) -> None:
        if drivers.capturing is not None and drivers.capturing.here():
            drivers.capturing.note(self, args)
            return
        given: Sequence[Any] = args
        if self.flat:
            given = self._flat(args)
        if not self._spreads(given):
            self.serial(*given)
        elif self._in_parts(given):
            self._on_parts(given)(*given)
        else:
            run_on_threads(self.parallel, *given)

    def _spreads(self, given: Sequence[Any]) -> bool:
        work = self.work
        return work is not None and not threads.forked and work(*given) >= PARALLEL_WORK

    def _on_parts(self, given: Sequence[Any]) -> Callable[..., None]:
        """What has each thread work on its part of arrays of these types."""
        count = threads.get_num_threads()
        key = count, *[a.dtype if type(a) is ndarray else type(a) for a in given]
        run = self._by_parts.get(key)
        if run is None:
            from .tasks import on_parts  # which needs this module

            run = self._by_parts[key] = on_parts(self.serial, count, given)
        return run

    def _in_parts(self, given: Sequence[Any]) -> bool:
        """Whether parts of the arrays can be worked on by themselves."""
        return self.flat and len({a.size for a in given if type(a) is ndarray}) == 1

    def resolved(self, args: Sequence[Any]) -> Callable[..., None]:
        """What calls come to whose arrays have the shapes of these."""
        given = self._flat(args) if self.flat else args
        spreads = self._spreads(given)
        if spreads and self._in_parts(given):
            return self._on_parts(given)
        # To find out types again takes as long as a small kernel.
        run: Any = compiled_for(self.parallel if spreads else self.serial, given).entry_point
        if spreads:
            run = functools.partial(run_on_threads, run)
        if not self.flat or all([type(a) is not ndarray or a.ndim == 1 for a in args]):
            return run
        arrays = len([a for a in args if type(a) is ndarray])  # which come before the options
        if arrays == len(args) == 2:  # in fewer steps: each takes its part of a small kernel's time
            return lambda x, y: run(_ravel(x), _ravel(y))
        return lambda *given: run(*map(_ravel, given[:arrays]), *given[arrays:])

    def call(self, *args: Any) -> Call:
        """The call that it comes to in a chain."""
        given = tuple(self._flat(args)) if self.flat else args
        work = 0 if self.work is None else self.work(*given)
        if self._in_parts(given):
            count = threads_for(work)
            return Call(self.serial, given, threads=count if count > 1 else 0, flat=True)
        spreads = work >= PARALLEL_WORK and not threads.forked
        return Call(self.parallel if spreads else self.serial, given, spreads)

    @staticmethod
    def _flat(args: Sequence[Any]) -> list[Any]:
        given = []
        for a in args:
            given.append(a.ravel() if type(a) is ndarray else a)
        return given


def compiled_for(function: Any, args: Sequence[Any]) -> Any:
    """What Numba compiles of a function for arguments of these types."""
    signature = tuple([numba.typeof(a) for a in args])
    function.compile(signature)
    return function.overloads[signature]


def threads_for(work: int) -> int:
    """Over how many threads a kernel with so much work is spread, for whom it gets workspaces."""
    capturing = drivers.capturing
    chained = capturing is not None and capturing.chained and capturing.here()
    return 1 if work < (CHAIN_WORK if chained else PARALLEL_WORK) else threads.get_num_threads()


# Held by the call that has the threads. Two at once would share the processors badly; and Numba's
# own threads, which it takes where there is neither OpenMP nor TBB, then end the process.
team = threading.RLock()

_here = threading.local()


def run_on_threads(compiled: Any, *args: Any) -> Any:
    """Call what spreads over threads, once nobody else has them."""
    with team:
        if threads.chosen is not None:
            _limit_threads()
        return compiled(*args)


def _limit_threads() -> None:
    """Tell Numba, which keeps a number for each calling thread, how many were asked for."""
    count = threads.get_num_threads()
    if getattr(_here, "count", None) != count:
        numba.set_num_threads(count)
        _here.count = count


def _compile(
    function: Callable[..., None], parallel: bool, compiler: type[KernelCompiler] = KernelCompiler
) -> Any:
    spread = PRANGE_ONLY if parallel else False
    options = {**COMPILED, "parallel": spread, "pipeline_class": compiler}
    dispatcher: Any = njit(**options)(function)
    # Numba's own cache cannot be used: its key knows neither `parallel` nor the functions that a
    # kernel calls, and processes that write it at once can mix up each other's code.
    dispatcher._cache = KernelCache(function, "parallel" if parallel else "serial")
    return dispatcher


class KernelCache(caching._Cache):
    """Compiled code on disk, one file an entry, found by a hash of all that it was made from.

    The hash covers the kernel's source file and all that it imports from this folder, Numba's
    version, the processor, the variant and the argument types; not what a closure holds, so kernels
    are functions of a module. An entry is never stale, and processes that write at once write
    different files or the same one; each file is written aside and renamed.
    """

    compiled: ClassVar[list[tuple[str, str, float]]] = []
    """What this process compiled, not finding it on disk: kernel, variant, seconds."""

    waits: ClassVar[bool] = True
    """Whether it waits for what another process is compiling, or raises Elsewhere."""

    def __init__(self, function: Callable[..., None], variant: str) -> None:
        self._file = Path(function.__code__.co_filename)
        self._name = f"{self._file.stem}.{function.__name__}"
        self._variant = variant
        self._started = 0.0
        self._claim: Claim | None = None

    @property
    def cache_path(self) -> str:
        return str(_folder())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        path = self._path(sig, target_context.codegen())
        payload = self._read(path)
        if payload is None:
            if _lasting_folder() is not None:
                helper.start()
            self._release()  # of an attempt that failed
            self._claim = Claim(path, self.waits)
            payload = self._read(path)  # what another process compiled in the meantime
        if payload is None:
            self._started = time.perf_counter()
            _announce()
            return None
        self._release()
        # Compiled code needs this of Numba. What only compiling needs takes a third of a second,
        # and is loaded when something is compiled.
        rtsys.initialize(target_context)
        return caching.CompileResult._rebuild(target_context, *payload)

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    @staticmethod
    def _read(path: Path) -> Any:
        try:
            return pickle.loads(path.read_bytes())
        except Exception:  # none is there, or a damaged one, which may raise anything
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        seconds = time.perf_counter() - self._started
        self.compiled.append((self._name, self._variant, seconds))
        (name, kind, (code, _)), *parts, environments = data._reduce()
        # Of linked functions, but for the constants in them of no use. To load them would import
        # the modules that they come from.
        environments = [environment for environment in environments if environment.consts]
        for environment in environments:
            data.codegen.set_env(environment.env_name, environment)
        # Numba keeps all of the code for LLVM as well, which nothing is to be linked with: the
        # names in it are enough.
        described = data.fndesc
        names = _defining(described.llvm_func_name, described.llvm_cpython_wrapper_name)
        path = self._path(sig, data.codegen)
        try:
            self._forget_other_sources(path.parent)
            handle, aside = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(caching.dumps(((name, kind, (code, names)), *parts, environments)))
            os.replace(aside, path)
        except OSError:
            pass  # a full disk, say: this process goes on with what it has in memory
        self._release()

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...

    def _path(self, sig: Any, codegen: Any) -> Path:
        made_from = repr((numba.__version__, sys.version, codegen.magic_tuple(), sig))
        key = hashlib.sha256(made_from.encode()).hexdigest()[:24]
        return _folder() / f"{self._name}-{self._variant}-{_sources(self._file)}-{key}.nbc"

    def _forget_other_sources(self, folder: Path) -> None:
        """Delete what earlier versions of the kernel left."""
        current = f"{self._name}-{self._variant}-{_sources(self._file)}-"
        for path in folder.glob(f"{self._name}-{self._variant}-*.nbc"):
            if not path.name.startswith(current):
                path.unlink(missing_ok=True)


def _defining(*names: str) -> bytes:
    """LLVM's bitcode of functions with these names, and nothing in them."""
    text = "\n".join([f'define void @"{name}"() {{ ret void }}' for name in names])
    return bytes(llvm.parse_assembly(text).as_bitcode())


IMPORT = re.compile(r"^from (\.+)([\w.]*) import (\([\w,\s]*|[\w, ]*)", re.MULTILINE)


@functools.cache
def _sources(file: Path) -> str:
    """A hash of a kernel file and of those it imports, directly or not.

    A kernel holds the code and the constants of all of them, so an edit of one outdates it.
    """
    digest, waiting, seen = hashlib.sha256(), [file], {file}
    while waiting:
        text, imported = _source(waiting.pop())
        digest.update(text)
        new = [path for path in dict.fromkeys(imported) if path not in seen]
        seen.update(new)
        waiting += new
    return digest.hexdigest()[:16]


@functools.cache
def _source(path: Path) -> tuple[bytes, list[Path]]:
    """A file's name and text, and the files of this package that it may import."""
    text = path.read_bytes()
    imported = []
    for dots, module, names in IMPORT.findall(text.decode()):
        folder = path.parents[len(dots) - 1].joinpath(*module.split("."))
        # `from .b import c` may mean a name in b.py or the file c.py of a folder b.
        inside = [folder / f"{name}.py" for name in re.findall(r"\w+", names)]
        imported += [file for file in (folder.with_suffix(".py"), *inside) if file.is_file()]
    return path.name.encode() + text, imported


@functools.cache
def _folder() -> Path:
    """Where compiled code lies, if only for this process."""
    return _lasting_folder() or Path(tempfile.mkdtemp(prefix="minitorch_cnn-"))


@functools.cache
def _lasting_folder() -> Path | None:
    """The first that can be written: one asked for, beside the sources, the user's."""
    here = Path(__file__).resolve().parent
    checkout = f"minitorch_cnn-{hashlib.sha256(str(here).encode()).hexdigest()[:12]}"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    asked = [Path(chosen) / checkout] if chosen else []
    for folder in (*asked, here / "__pycache__", user / checkout):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
        except OSError:
            continue
    return None


@functools.cache
def _announce() -> None:
    """Tell a person who waits for the first compilation why."""
    if sys.stderr.isatty():
        print(
            "minitorch_cnn: compiling kernels for this processor; "
            f"later runs load them from {_folder()}",
            file=sys.stderr,
        )


threads.launched = vars(numba.config)["NUMBA_NUM_THREADS"]  # of no declared type


def _in_child() -> None:
    threads.forked = True
    kept.forget()
    global_compiler_lock.release()


# A child forked while another thread compiles could never compile: so a fork waits until it has.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=_in_child,
    )
