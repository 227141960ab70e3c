"""Optimizer: parameter groups, state and the step that every optimizer shares."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from math import inf
from operator import is_not
from typing import Any, ClassVar

from .. import record
from ..autograd import enable_grad, no_grad
from ..autograd.graph import RemovableHandle
from ..device import launch
from ..dtypes import float32, float64
from ..nn.parameter import clear_grad
from ..ops.creation import full_like, tensor
from ..tensor import Tensor

__all__ = ["Optimizer"]


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A method `step` that calls the hooks of its optimizer, and is known to have been called."""

    @wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:  # a step that calls the one of its base class is one step
            return step(self, *args, **kwargs)
        given: tuple[Any, ...] = (self, *args)
        for hook in self._hooks["step_pre"].values():
            changed = hook(self, given, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        "a hook before step must return None or a tuple of (new_args, "
                        f"new_kwargs), but got {changed}"
                    )
                given, kwargs = changed
        self._step_called = self._stepping = True
        try:
            result = step(*given, **kwargs)
        finally:
            self._stepping = False
        for hook in self._hooks["step_post"].values():
            hook(self, given, kwargs)
        return result

    return hooked


_HOOKS = (
    "step_pre",
    "step_post",
    "state_dict_pre",
    "state_dict_post",
    "load_state_dict_pre",
    "load_state_dict_post",
)


class Optimizer:
    """What all optimizers share: groups of parameters, each with its options, and their state.

    An optimizer of this package says which options there are (`defaults`), which of their values
    make sense (`_check`), which kernel updates the parameters (`kernel`), what it reads of the
    options (`hyper`), and what it keeps for each parameter: tensors of its shape (`moments`) and
    single numbers (`numbers`). One that overrides `step` alone works too.

    PyTorch's options `foreach`, `fused` and `capturable`, which choose between ways to compute one
    result, are left out: a step takes all parameters of a type at once, always. So is
    `differentiable`.

    `params` is an iterable of tensors, of (name, tensor) pairs, or of dicts with a `params` entry
    and options that differ from `defaults`. See https://docs.pytorch.org/docs/stable/optim.html.

    Raises TypeError for parameters that are not tensors or have no order, ValueError for empty
    parameters, non-leaf tensors, a tensor in two groups and options out of their range.
    """

    kernel: ClassVar[str] = ""
    hyper: ClassVar[tuple[str, ...]] = ()
    """Options in the order in which the kernel reads them, pairs one after the other."""
    moments: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ("step",)
    _stepping = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "step" in vars(cls):
            cls.step = _hooked(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                "but got one Tensor"
            )
        self._check(defaults)
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._memories: list[dict[Any, _Memory]] = []
        self._step_called = False
        self._hooks: dict[str, OrderedDict[int, Any]] = {name: OrderedDict() for name in _HOOKS}
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def _check(self, options: dict[str, Any]) -> None:
        """Refuse options that make no sense."""

    def _hyper(self, group: dict[str, Any]) -> tuple[float, ...]:
        """A group's options as the kernel reads them."""
        values: list[float] = []
        for name in self.hyper:
            value = group[name]
            if isinstance(value, (tuple, list)):
                values += value
            else:
                values.append(value)
        return tuple(values)

    def _moments(self, group: dict[str, Any]) -> Sequence[str]:
        """The names of the moments in the kernel's order, empty where the options need none."""
        return self.moments

    def _start(self, name: str, group: dict[str, Any]) -> float:
        """What a moment or number holds before the first step."""
        return 0.0

    def _prepare(self, params: Iterable[Tensor], group: dict[str, Any]) -> None:
        """Make the state of parameters that have none."""
        for p in params:
            if state := self.state[p]:
                continue
            with record.apart():  # a recorded step finds it there
                for name in self.numbers:
                    state[name] = tensor(self._start(name, group), dtype=float32, device=p.device)
                for name in filter(None, self._moments(group)):
                    state[name] = full_like(p, self._start(name, group)).contiguous()

    def _update(self, params: list[Tensor], group: dict[str, Any], memory: _Memory) -> None:
        """Update parameters of one type, on one device, that have gradients."""
        if not self.kernel:
            raise NotImplementedError(f"{type(self).__name__} has neither a kernel nor a step")
        self._prepare(params, group)
        states = [self.state[p] for p in params]
        moments = [[s[name] for s in states] if name else [] for name in self._moments(group)]
        numbers = [[s[name] for s in states] for name in self.numbers]
        self._launch(self.kernel, params, moments, numbers, group, memory)

    @_hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        `closure`, if given, is called first: it computes the loss anew, with its gradients, and
        returns it. Returns what it returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group, memories in zip(self.param_groups, self._memories, strict=True):
            kinds: dict[Any, list[Tensor]] = {}
            for p in group["params"]:
                if record.recorder is not None:
                    record.leaf(p, read=True)
                if p._grad is not None:
                    kinds.setdefault((p.device, p.dtype), []).append(p)
            for kind, params in kinds.items():
                if kind not in memories:
                    memories[kind] = _Memory()
                if len({id(p) for p in params}) == len(params):
                    self._update(params, group, memories[kind])
                else:  # one that is there twice takes two steps
                    for p in params:
                        self._update([p], group, _Memory())
        return loss

    def _launch(
        self,
        kernel: str,
        params: list[Tensor],
        moments: Sequence[list[Tensor]],
        steps: Sequence[list[Tensor]],
        group: dict[str, Any],
        memory: _Memory,
        directions: Sequence[Any] | None = None,
    ) -> None:
        """Run a kernel on all of the parameters, their gradients, their moments, of their shapes,
        and their counts of steps. An empty list stands for moments that are absent; `directions`,
        if given, take the gradients' place."""
        tensors = [params, *moments, *steps]
        buffers = [t._buffer for column in tensors for t in column]
        if len(buffers) != len(memory.buffers) or any(map(is_not, buffers, memory.buffers)):
            self._refuse(params, moments, steps)
            record.restructured(foreseen=True)
            memory.adopt(tensors)
        values, columns = params, memory.columns
        if not memory.contiguous:
            values = [p.detach().contiguous() for p in params]
            columns = [Buffers([v._buffer for v in values]), *columns[1:]]
            record.restructured()
        gradients = tuple([_contiguous(g) for g in directions or [p._grad for p in params]])
        if [g.nbytes for g in gradients] != memory.bytes:
            raise RuntimeError(
                f"{type(self).__name__}: a parameter's gradient is not of its shape and type; "
                "they were changed after it was computed"
            )
        memory.set_hyper(self, group, params[0])
        if record.recorder is not None and record.is_recording():
            params_of = [g["params"] for g in self.param_groups]
            number = next(i for i, some in enumerate(params_of) if some is group["params"])
            record.repeat(lambda: memory.set_hyper(self, self.param_groups[number], params[0]))
        hyper = memory.hyper
        launch(params[0].device, kernel, columns[0], gradients, *columns[1:], hyper)
        for p, value in zip(params, values):
            if value._buffer is p._buffer:
                p._counter[0] += 1
            else:
                with no_grad():
                    p.copy_(value)

    def _refuse(
        self, params: list[Tensor], moments: Sequence[list[Tensor]], steps: Sequence[list[Tensor]]
    ) -> None:
        """Raise RuntimeError for what a kernel can't read."""
        kind = type(self).__name__
        for p in params:
            if not p.dtype.is_floating_point:
                raise RuntimeError(f"{kind}: can't update a parameter of type {p.dtype}")
        for moment in moments:
            for p, m in zip(params, moment):
                if m.shape != p.shape or m.dtype is not p.dtype or not m.is_contiguous():
                    raise RuntimeError(
                        f"{kind}: a parameter of shape {tuple(p.shape)} and type {p.dtype} has "
                        f"state of shape {tuple(m.shape)} and type {m.dtype}; "
                        "it has changed since its first step, so make a new optimizer"
                    )
        for step in [step for some in steps for step in some]:
            if step.shape != () or step.dtype is not float32:
                raise RuntimeError(
                    f"{kind}: a count of steps must be one float32, but it has the shape "
                    f"{tuple(step.shape)} and the type {step.dtype}"
                )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    if record.recorder is not None:
                        record.leaf(p, read=False)
                    p._grad = None
                else:
                    clear_grad(p, set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters, with options of their own where `param_group` has them."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        members = [params] if isinstance(params, Tensor) else list(params)
        names = [member[0] for member in members if isinstance(member, tuple)]
        if names and len(names) != len(members):
            raise ValueError(
                "all optimizer params should be with/without names. Some param names are missing"
            )
        tensors = [member[1] if isinstance(member, tuple) else member for member in members]
        for p in tensors:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p)}"
                )
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        group = {**self.defaults, **param_group, "params": tensors}
        if names:
            group["param_names"] = names
        self._check(group)
        if len({id(p) for p in tensors}) != len(tensors):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters", stacklevel=3
            )
        for other in self.param_groups:
            if ("param_names" in other) != ("param_names" in group):
                raise ValueError("all optimizer param groups should be with/without names")
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if not known.isdisjoint([id(p) for p in tensors]):
            raise ValueError("some parameters appear in more than one parameter group")
        record.restructured()
        self.param_groups.append(group)
        self._memories.append({})

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return other arguments."""
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[[Optimizer], None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` at the beginning of `state_dict`."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[[Optimizer, dict[str, Any]], Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` at its end; what it returns takes the dict's place."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[[Optimizer, dict[str, Any]], Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict` reads a shallow copy of the
        dict; what it returns takes its place."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[[Optimizer], None], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return self._register("load_state_dict_post", hook, prepend)

    def _register(self, when: str, hook: Any, prepend: bool = False) -> RemovableHandle:
        hooks = self._hooks[when]
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, with numbers in place of the parameters.

        The tensors in it are the optimizer's own, not copies.
        """
        for hook in self._hooks["state_dict_pre"].values():
            hook(self)
        numbers: dict[int, int] = {}
        count = 0
        packed_groups = []
        for group in self.param_groups:
            for i, p in enumerate(group["params"], count):
                numbers.setdefault(id(p), i)
            count += len(group["params"])
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            packed_groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: value
            for key, value in self.state.items()
        }
        packed_all: dict[str, Any] = {"state": state, "param_groups": packed_groups}
        for hook in self._hooks["state_dict_post"].values():
            changed = hook(self, packed_all)
            if changed is not None:
                packed_all = changed
        return packed_all

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` of an optimizer of the same parameters returned, as copies.

        Raises ValueError, with nothing changed, if groups or shapes of state do not match.
        """
        state_dict = state_dict.copy()
        for hook in self._hooks["load_state_dict_pre"].values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved_groups = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved_groups]
        if len(sizes) != len(saved_sizes):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved_sizes)}, the optimizer has {len(sizes)}"
            )
        if sizes != saved_sizes:
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: {saved_sizes} parameters, the optimizer has {sizes}"
            )
        groups = []
        parameters: dict[Any, Tensor] = {}
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            parameters.update(zip(saved["params"], group["params"], strict=True))
            names = {"param_names": group["param_names"]} if "param_names" in group else {}
            groups.append({**self.defaults, **names, **saved, "params": group["params"]})
            self._check(groups[-1])
        state: defaultdict[Any, Any] = defaultdict(dict)
        for number, entries in state_dict["state"].items():
            if number in parameters:
                p = parameters[number]
                state[p] = {
                    name: self._adopted(name, value, p, number) for name, value in entries.items()
                }
            else:
                state[number] = entries
        record.restructured()
        self.state, self.param_groups = state, groups
        for hook in self._hooks["load_state_dict_post"].values():
            hook(self)

    def _adopted(self, name: str, value: Any, p: Tensor, number: Any) -> Any:
        """A copy of a loaded state entry, in the type and on the device of its parameter."""
        if name in self.numbers:
            return tensor(float(value), dtype=float32, device=p.device)
        if not isinstance(value, Tensor):
            return value
        if value.shape != p.shape:
            raise ValueError(
                f"loaded state dict has {name} of shape {tuple(value.shape)} for parameter "
                f"{number} of shape {tuple(p.shape)}"
            )
        return value.detach().to(device=p.device, dtype=p.dtype).clone().contiguous()

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            options = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            text += f"\nParameter Group {i}\n" + "".join(options)
        return text + ")"


class Buffers(tuple[Any, ...]):
    """Buffers of a launch that are the same from step to step."""

    known: dict[str, Any]
    """Where a device keeps what it found out about them."""

    def __new__(cls, buffers: Iterable[Any]) -> Buffers:
        self = super().__new__(cls, buffers)
        self.known = {}
        return self


class _Memory:
    """What stays from step to step of the launches for some parameters of a group."""

    def __init__(self) -> None:
        self.buffers: list[Any] = []
        self.columns: list[Buffers] = []
        """The buffers of the parameters, of each moment, of each number."""
        self.bytes: list[int] = []
        """Of each parameter."""
        self.contiguous = True
        self._options: list[Any] = []
        self._values: tuple[float, ...] | None = None
        self._hyper: Any = None

    def adopt(self, tensors: Sequence[Sequence[Tensor]]) -> None:
        """Take other tensors than before."""
        self.columns = [Buffers([t._buffer for t in column]) for column in tensors]
        self.buffers = [buffer for column in self.columns for buffer in column]
        self.bytes = [buffer.nbytes for buffer in self.columns[0]]
        self.contiguous = all([buffer.flags.c_contiguous for buffer in self.columns[0]])

    def set_hyper(self, optimizer: Optimizer, group: dict[str, Any], p: Tensor) -> None:
        """Write a group's options where kernels read them, if one changed."""
        options = [group[name] for name in optimizer.hyper]
        if options == self._options:
            return
        values = optimizer._hyper(group)
        if values != self._values:
            with no_grad(), record.apart():
                new = tensor(values, dtype=float64, device=p.device)
                if self._hyper is None:
                    self._hyper = new
                else:
                    self._hyper.copy_(new)
        self._values = values
        # A list may change and stay itself: so it is kept as what no list equals.
        self._options = [tuple(o) if isinstance(o, list) else o for o in options]

    @property
    def options(self) -> Tensor:
        """The group's options as kernels read them."""
        return self._hyper

    @property
    def hyper(self) -> Any:
        """The buffer in which they are."""
        return self._hyper._buffer

    def __reduce__(self) -> tuple[Any, ...]:
        return _Memory, ()  # a copy of an optimizer has buffers of its own


def _contiguous(gradient: Any) -> Any:
    buffer = gradient._buffer
    return buffer if buffer.flags.c_contiguous else gradient.contiguous()._buffer


def check_number(optimizer: Optimizer, name: str, value: float, below: float = inf) -> None:
    """Refuse an option outside [0, below), NaN included."""
    if not 0 <= value < below:
        limit = "a finite number" if below == inf else f"less than {below}"
        raise ValueError(
            f"{type(optimizer).__name__}: {name} must be {limit} and not negative, got {value}"
        )


def check_betas(optimizer: Optimizer, betas: Sequence[float]) -> None:
    """Refuse what is not two factors of running means."""
    if len(betas) != 2:
        raise ValueError(f"{type(optimizer).__name__}: betas must be two, got {betas}")
    for i, beta in enumerate(betas):
        check_number(optimizer, f"betas[{i}]", beta, below=1)
