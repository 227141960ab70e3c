"""compile: record the launches of a function once, then repeat them without its Python code.

The first call with arguments of some shapes runs the function and notes every launch, instead of
making it: the kernel's name, and of each buffer which piece of memory it shows. Memory that nobody
holds after that is laid out anew, pieces that are never needed at the same time in the same place,
and the launches are compiled into one call. It is made, and later calls repeat it. So kernels that
only the unfused step would need are never compiled.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import record
from ..autograd.graph import is_grad_enabled
from ..device import Device, launch, observed
from ..dtypes import get_default_dtype
from ..kernels import helper, precision, threads
from ..memory import Foreign, address
from ..printing import aligned
from ..tensor import Tensor
from .again import made_again
from .fuse import fuse
from .halves import Entrances, Halves, Recorder
from .layout import keep_held, lay_out, placed
from .order import independent_first
from .recorder import (
    Conditions,
    Launch,
    StepRecorder,
    arrays_of,
    bytes_of,
    recording,
    shown_shapes,
)
from .results import Made, with_tensors

__all__ = ["compile"]

MOST_PLANS = 16
"""Plans that are kept for one function."""


class Plan(Conditions):
    """The recorded launches of a function for arguments of some shapes."""

    free, unfit = True, False

    def __init__(self, recorder: StepRecorder, result: Any, inputs: Sequence[Tensor]) -> None:
        super().__init__(recorder)
        self._result = with_tensors(result, lambda t: Made(t, inputs, recorder))
        self._repeated = recorder.repeated
        self._leaves = [(t, t._grad) for t, _, _ in recorder.leaves.values()]
        roots = recorder.roots
        self.launches, self.nbytes = settled(recorder)
        """Bytes of the memory that launches pass on to each other."""

        self._roots = roots
        self._home = inputs[0].device if inputs else None
        stand_ins = [root.memory for root in roots if root.input]
        self._steps = [
            self._bind(device, [*launches], stand_ins)
            for device, launches in itertools.groupby(self.launches, lambda launch: launch.device)
        ]

    def _bind(
        self, device: Device, launches: Sequence[Launch], inputs: Sequence[Any]
    ) -> Callable[[Sequence[Any]], None]:
        """A function of inputs that makes launches, which follow each other on a device."""
        calls = [(name, placed(args, self._roots)) for _, name, args in launches]
        if self._home is device or not any([isinstance(b, Foreign) for b in inputs]):
            return device.bind(calls, inputs)
        step = device.bind(calls, ())  # it can't look at another device's memory
        return lambda buffers: step(())

    def explain(self, inputs: Sequence[Tensor], repeats: int) -> str:
        """Run the launches one by one so many times; a table of them and of what each took."""
        buffers = [t._buffer for t in inputs]
        steps = [self._bind(launch.device, [launch], buffers) for launch in self.launches]
        times = np.empty((repeats, len(steps)))
        for row in times:
            for action in self._repeated:
                action()
            for i, step in enumerate(steps):
                start = time.perf_counter()
                step(buffers)
                self.launches[i].device.synchronize()
                row[i] = time.perf_counter() - start
        spent = np.median(times, 0) * 1e6
        rows = [("kernel", "shapes", "bytes", "us", "share")]
        for (_, name, args), us in zip(self.launches, spent):
            arrays = arrays_of(args)
            shapes, nbytes = shown_shapes([a.shape for a in arrays]), bytes_of(arrays)
            rows.append((name, shapes, f"{nbytes:,}", f"{us:.1f}", f"{us / spent.sum():.1%}"))
        total = f"{len(steps)} launches, {self.nbytes:,} bytes passed on"
        rows.append(("together", total, "", f"{spent.sum():.1f}", ""))
        return aligned(rows, left=2)

    def run(self, inputs: Sequence[Tensor], reuse: bool) -> Any:
        """Repeat the launches on other inputs; the result, in memory of its own unless `reuse`."""
        for action in self._repeated:
            action()
        self.launch(inputs)
        for t, g in self._leaves:
            t._grad = g
        return self.result(inputs, reuse)

    def launch(self, inputs: Sequence[Tensor]) -> None:
        """Make the launches."""
        buffers = [t._buffer for t in inputs]
        for step in self._steps:
            step(buffers)

    def result(self, inputs: Sequence[Tensor], reuse: bool) -> Any:
        """What they made, in memory of its own unless `reuse`."""
        result = self._result
        if type(result) is Made:
            return result.tensor(inputs, reuse)
        return with_tensors(result, lambda made: made.tensor(inputs, reuse), Made)


def settled(recorder: StepRecorder) -> tuple[list[Launch], int]:
    """The launches that repeat what was recorded, and bytes of the memory, laid out now, that they
    pass on to each other."""
    roots = recorder.roots
    keep_held(roots)
    launches = made_again(independent_first(fuse(recorder.launches, roots)), roots)
    return launches, lay_out(roots, launches)


def repeating_launches(
    function: Callable[..., Any], args: Sequence[Tensor]
) -> list[tuple[Callable[..., None], tuple[Any, ...]]]:
    """The kernels, with their arguments, that would repeat a function, of which none is launched
    now."""
    recorder = StepRecorder([t._buffer for t in args], puts_off=True)
    with recording(recorder):
        function(*args)
    launches, _ = settled(recorder)
    return [(on.kernel(name), placed(given, recorder.roots)) for on, name, given in launches]


# ---------------------------------------------------------------------- arguments and results


def signature(value: Any, inputs: list[Tensor]) -> Any:
    """What of arguments decides which launches there are; their tensors are added to `inputs`.

    Raises TypeError for what can't be compared.
    """
    if isinstance(value, Tensor):
        number = next((i for i, t in enumerate(inputs) if t is value), len(inputs))
        if number == len(inputs):
            inputs.append(value)
        return number, value._buffer.shape, value.dtype, value.device, value.requires_grad
    if isinstance(value, (tuple, list)):
        return type(value), tuple([signature(part, inputs) for part in value])
    if isinstance(value, dict):
        return dict, tuple([(key, signature(part, inputs)) for key, part in value.items()])
    hash(value)
    return type(value), value


def surroundings() -> tuple[Any, ...]:
    """What else does, besides the structure of modules and optimizers."""
    return (
        is_grad_enabled(),
        get_default_dtype(),
        threads.get_num_threads(),
        precision.get_winograd_tile(),
    )


def overlap(inputs: Sequence[Tensor]) -> bool:
    """Whether any two show the same memory."""
    if len(inputs) < 2:
        return False
    if len(inputs) == 2:
        a, b = inputs[0]._buffer, inputs[1]._buffer
        start, other = address(a), address(b)
        return start < other + b.nbytes and other < start + a.nbytes
    ranges = sorted([(address(t._buffer), t._buffer.nbytes) for t in inputs])
    return any([a + size > b for (a, size), (b, _) in itertools.pairwise(ranges)])


def unfit(inputs: Sequence[Tensor]) -> str:
    """What stands in the way of repeating calls with such arguments, if anything does."""
    if any([not t._buffer.flags.c_contiguous for t in inputs]):
        return "an argument is not contiguous"
    if any([t.device is not inputs[0].device for t in inputs]):
        return "arguments are on several devices"
    if any([t.requires_grad and t._origin is not None for t in inputs]):
        return "an argument that requires grad is a view"
    return "arguments share memory" if overlap(inputs) else ""


def has_history(t: Tensor) -> bool:
    """Whether somebody could still call `backward` on a tensor: a node before it that let go of
    what its rule needs would raise. One that needs nothing, such as a sum's, does not tell."""
    if not t.requires_grad or t._node is None:
        return False
    nodes, seen = [t._node], {id(t._node)}
    for node in nodes:
        if getattr(node, "saved", ()) is None:
            return False
        for edge in node.edges:
            if edge is not None and not isinstance(edge[0], Tensor) and id(edge[0]) not in seen:
                seen.add(id(edge[0]))
                nodes.append(edge[0])
    return True


# ---------------------------------------------------------------------- the first call


def catch_up(recorder: Recorder) -> None:
    """Make the launches that were put off, one by one, as the function would have; from now on
    none is."""
    if not recorder.puts_off:
        return
    recorder.puts_off = False
    roots = recorder.roots
    keep_held(roots)
    lay_out(roots, recorder.launches)
    with unchanged_if_it_fails(recorder):
        for device, name, args in recorder.launches:
            launch(device, name, *placed(args, roots))
    for root in roots:
        if not root.input:
            root.memory = None


@contextlib.contextmanager
def unchanged_if_it_fails(recorder: Recorder) -> Iterator[None]:
    """If what was put off raises, leaves have the gradients that they had: no others were made."""
    try:
        yield
    except BaseException:
        for leaf, _, before in recorder.leaves.values():
            leaf._grad = before
        raise


# ---------------------------------------------------------------------- the public function


class Familiar:
    """The plan that ran last, and its arguments' kinds: where arguments are of these again, nothing
    else need be asked."""

    __slots__ = ("_kinds", "_surroundings", "plan")

    def __init__(
        self, plan: Plan | Halves, inputs: Sequence[Tensor], around: tuple[Any, ...]
    ) -> None:
        self.plan, self._surroundings = plan, around
        self._kinds = [(t._buffer.shape, t._buffer.strides, t.dtype, t.device) for t in inputs]

    def takes(self, args: tuple[Any, ...]) -> bool:
        """Whether arguments are tensors alike, each with memory of its own."""
        if len(args) != len(self._kinds) or surroundings() != self._surroundings:
            return False
        for t, (shape, strides, dtype, device) in zip(args, self._kinds):
            if not isinstance(t, Tensor) or t.requires_grad:
                return False
            buffer = t._buffer
            if buffer.shape != shape or buffer.strides != strides:
                return False
            if t.dtype is not dtype or t.device is not device:
                return False
        return not overlap(args)


class Compiled:
    """A function or module that repeats what it did for arguments of the same shapes.

    What `compile` returns. Attributes are those of the function or module.
    """

    def __init__(self, function: Callable[..., Any], reuse_results: bool) -> None:
        self._function = function
        self._reuse = reuse_results
        self._plans: dict[Any, list[Plan | Halves | None]] = {}
        self._latest: Familiar | None = None
        self._lock = threading.RLock()
        for name in ("__doc__", "__module__", "__name__", "__qualname__"):
            if hasattr(function, name):
                self.__dict__[name] = getattr(function, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_function"], name)

    def __get__(self, instance: Any, kind: type | None = None) -> Any:
        if instance is None:
            return self
        method = Method(self, instance)
        method.__doc__ = self.__doc__
        return method

    def __repr__(self) -> str:
        return f"compile({self._function!r})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        latest = self._latest
        if latest is not None and not kwargs and record.recorder is None and latest.takes(args):
            with self._lock:
                if latest.plan.free and latest.plan.fits():
                    return latest.plan.run(args, self._reuse)
        inputs: list[Tensor] = []
        try:
            key = signature((args, kwargs), inputs), surroundings()
        except TypeError:
            return self._function(*args, **kwargs)
        if record.is_recording() or unfit(inputs):
            return self._function(*args, **kwargs)
        with self._lock:
            forgotten = 0
            for plan in [*self._plans.get(key, ())]:
                if plan is None:
                    return self._function(*args, **kwargs)
                if not plan.fits():
                    continue
                if plan.unfit or not plan.free:
                    return self._function(*args, **kwargs)
                if isinstance(plan, Halves) and plan.is_forgotten:
                    self._plans[key].remove(plan)
                    forgotten = plan.forgotten + 1
                else:
                    if len(inputs) == len(args) and not kwargs:
                        self._latest = Familiar(plan, inputs, key[1])
                    return plan.run(inputs, self._reuse)
            return self._record(key, args, kwargs, inputs, forgotten)

    def explain(self, *args: Any, repeats: int = 20, **kwargs: Any) -> str:
        """A table of the launches for these arguments: shapes, bytes, microseconds, shares.

        It calls the function, and again `repeats` times launch by launch: a training step trains.
        """
        self(*args, **kwargs)
        self(*args, **kwargs)  # the first may be unlike the others
        inputs: list[Tensor] = []
        why = "what decides the launches, a module's structure, say, changes in each of them"
        try:
            key = signature((args, kwargs), inputs), surroundings()
        except TypeError as error:
            why = f"an argument can't be compared with those of other calls ({error})"
        else:
            for plan in self._plans.get(key, ()):
                if not isinstance(plan, Plan):
                    why = "arguments or results have history; compile a step with its backward"
                elif plan.fits():
                    return plan.explain(inputs, repeats)
            why = unfit(inputs) or why
        raise RuntimeError(
            f"explain: calls with these arguments are not repeated but run anew: {why}"
        )

    def _record(
        self,
        key: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: list[Tensor],
        forgotten: int,
    ) -> Any:
        # Who observes launches is to see those that the function makes.
        recorder = Recorder([t._buffer for t in inputs], puts_off=not observed())
        before, entrances = record.structure, Entrances(inputs)
        args, kwargs = entrances.inside((args, kwargs))
        try:
            with recording(recorder):
                result = self._function(*args, **kwargs)
        except BaseException:
            catch_up(recorder)
            raise
        results: list[Tensor] = []
        with_tensors(result, results.append)
        plan: Plan | Halves | None = None
        differentiable = any([has_history(t) for t in results])
        goes_another_way = record.structure != before + recorder.foreseen
        if differentiable or entrances.aliases or goes_another_way:
            catch_up(recorder)
        if goes_another_way:  # the next time
            return entrances.outside(result)
        if differentiable:
            plan = Halves.of(recorder, result, entrances)
            result = entrances.outside(result) if plan is None else plan.first(forgotten)
        elif entrances.aliases:
            result = entrances.outside(result)
        else:
            helper.steps_are_repeated()
            with unchanged_if_it_fails(recorder):
                plan = Plan(recorder, result, inputs)
                if recorder.puts_off:
                    plan.launch(inputs)
            result = plan.result(inputs, self._reuse)
        for other, plans in [*self._plans.items()]:  # those that can never fit again
            plans[:] = [p for p in plans if p is None or p.structure == record.structure]
            if not plans:
                del self._plans[other]
        if sum([len(plans) for plans in self._plans.values()]) >= MOST_PLANS:
            del self._plans[next(iter(self._plans))]
        self._plans.setdefault(key, []).append(plan)
        return result


class Method(functools.partial[Any]):
    """A compiled method of an object, which comes first among its arguments."""

    func: Compiled

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Method):
            return NotImplemented
        return self.func is other.func and self.args[0] is other.args[0]

    def __hash__(self) -> int:
        return hash((id(self.func), id(self.args[0])))

    def explain(self, *args: Any, repeats: int = 20, **kwargs: Any) -> str:
        """A table of the launches for these arguments, as of `Compiled.explain`."""
        return self.func.explain(*self.args, *args, repeats=repeats, **kwargs)


def compile(model: Any = None, *, reuse_results: bool = False, disable: bool = False) -> Any:
    """Make a function of tensors faster: a training step, a module, or anything else.

    The first call with arguments of certain shapes and types runs the function, notes which
    kernels it launches, and launches them once it has returned; later calls launch the same
    kernels on the new arguments, without the function's Python code: no graph is built, nothing
    allocated. A whole training step, with `zero_grad`, `backward` and the optimizer's `step` in
    it, gains most. What a kernel refuses, such as a label that is no class, is raised then, and
    gradients are what they were before the call.

    What changes from step to step is honoured: learning rates and other options of optimizers,
    counts of steps, random numbers, running statistics. So are other shapes, other modes of
    modules, new parameter groups and changed parameters: then the function runs, and is noted,
    anew. Other values that its Python code looks at are taken to be the same in each call, and
    what it does besides launching kernels, such as printing, happens in the first call only.

    Results are tensors of their own; with `reuse_results` the next call overwrites them. Gradients
    that the function itself asks for are found in `.grad` as ever, and the next call overwrites
    them, too.

    Results that depend on parameters, or on arguments that require grad, can be differentiated: a
    module is compiled and trained in an ordinary loop. The first call in which that is done records
    the way back, too. Both ways share memory. So as long as gradients of a call may still be asked
    for, other calls run as if the function were not compiled. So they do where hooks were put on
    what is computed inside, or where it is not made of this package's own operations; and calls
    whose arguments lie on several devices or, with gradients, not on the CPU; and with `disable`.

    `compile(f).explain(*args)` runs `f` and returns a table of its launches and of what they took.
    Used as `torch.compile` is: https://docs.pytorch.org/docs/stable/generated/torch.compile.html.

    Raises RuntimeError where gradients of a call are to be differentiated in turn (`create_graph`),
    are asked for twice, `retain_graph` or not, or are asked for after a parameter or an argument
    was written to; and, in the first call, where a function reads a tensor's value (`item`, `bool`,
    `print`, `numpy`), which later calls could not do, or replaces a module's buffer.

    >>> import minitorch_cnn as torch
    >>> net = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> @torch.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = torch.nn.functional.mse_loss(net(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = torch.ones(4, 2), torch.ones(4, 1)
    >>> losses = [step(x, y).item() for _ in range(20)]
    >>> losses[-1] < 1e-3 < losses[0]
    True
    """
    if model is None:
        return functools.partial(compile, reuse_results=reuse_results, disable=disable)
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, not {type(model).__name__}")
    return model if disable else Compiled(model, reuse_results)
