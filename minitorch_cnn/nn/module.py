"""Module: what all layers and networks are, with their parameters, children, state and hooks."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeVar

from .. import record
from ..autograd import no_grad
from ..autograd.graph import RemovableHandle
from ..device import Device, as_device
from ..dtypes import DType, float32, float64
from ..ops.creation import empty_like
from ..tensor import Tensor
from .backward_hook import BackwardHook
from .parameter import Buffer, Parameter, clear_grad, is_lazy

__all__ = [
    "IncompatibleKeys",
    "Module",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]

Self = TypeVar("Self", bound="Module")

_ABSENT = object()


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find in the module or in the loaded state."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class ForwardHook(NamedTuple):
    """A function to call before or after `forward`."""

    call: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False


EXTRA_STATE = "_extra_state"
_global_hooks: dict[str, OrderedDict[int, Any]] = {}
"""Hooks of all modules, by the name of the members in which a module keeps its own."""


class Module:
    """The base of all layers and networks.

    A subclass calls `super().__init__()`, assigns parameters, tensors (`register_buffer`) and
    other modules as attributes, and defines `forward`. Names, arguments and errors are those of
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(4, 3)
    ...         self.scale = nn.Parameter(torch.ones(1))
    ...     def forward(self, x):
    ...         return self.scale * self.hidden(x).relu()
    >>> net = Net()
    >>> [name for name, _ in net.named_parameters()]
    ['scale', 'hidden.weight', 'hidden.bias']
    >>> net(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _forward_pre_hooks: OrderedDict[int, ForwardHook]
    _forward_hooks: OrderedDict[int, ForwardHook]
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, tuple[Callable[..., Any], bool]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    _version: ClassVar[int] = 1
    """Noted with the state, for classes that change what is in it."""

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _non_persistent_buffers_set=set(),
            _forward_pre_hooks=OrderedDict(),
            _forward_hooks=OrderedDict(),
            _backward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
            _state_dict_pre_hooks=OrderedDict(),
            _state_dict_hooks=OrderedDict(),
            _load_state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_post_hooks=OrderedDict(),
        )

    def _forward_unimplemented(self, *args: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # Assigned, not defined, so that subclasses may take whatever arguments they need.
    forward: Callable[..., Any] = _forward_unimplemented

    # ------------------------------------------------------------------ the call and its hooks

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if record.recorder is not None:
            record.called(self)
        if not (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or _global_hooks
        ):
            return self.forward(*args, **kwargs)
        return self._call_with_hooks(args, kwargs)

    def _hooks(self, members: str) -> dict[int, Any]:
        """The hooks of all modules, then its own."""
        return {**_global_hooks.get(members, {}), **getattr(self, members)}

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = None
        hooks = self._hooks("_forward_hooks")
        waiting = {key: hook for key, hook in hooks.items() if hook.always_call}
        try:
            for hook in self._hooks("_forward_pre_hooks").values():
                args, kwargs = _before_forward(hook, self, args, kwargs)
            backward = None
            before, after = self._hooks("_backward_pre_hooks"), self._hooks("_backward_hooks")
            if before or after:
                backward = BackwardHook(self, list(before.values()), list(after.values()))
                args = backward.watch_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in hooks.items():
                waiting.pop(key, None)
                changed = _after_forward(hook, self, args, kwargs, result)
                if changed is not None:
                    result = changed
            return result if backward is None else backward.watch_outputs(result)
        except Exception:
            for hook in waiting.values():
                try:
                    _after_forward(hook, self, args, kwargs, result)
                except Exception as error:
                    warnings.warn(
                        "module forward hook with `always_call=True` raised an exception that was "
                        f"silenced as another error was raised in forward: {error}",
                        stacklevel=3,
                    )
            raise

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each `forward`; what it returns replaces `args`.

        With `with_kwargs`, it is `hook(module, args, kwargs)` and may return both.
        """
        return _add_hook(self._forward_pre_hooks, ForwardHook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each `forward`; what it returns is the output.

        With `with_kwargs`, it is `hook(module, args, kwargs, output)`. With `always_call` it is
        called after an exception too, with the output None; one of its own is then but warned of.
        """
        return _add_hook(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before gradients go back through the module.

        `grad_output` is a tuple; a tuple or tensor that the hook returns replaces it.
        """
        return _add_hook(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` once the inputs' gradients are known.

        Both are tuples, with None for positional arguments that have no gradient; a tuple or
        tensor that the hook returns replaces `grad_input`.
        """
        return _add_hook(self._backward_hooks, hook, prepend)

    # ------------------------------------------------------------------ members

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__
        if "_parameters" in attributes:
            if name in (members := attributes["_parameters"]):
                return members[name]
            if name in (members := attributes["_modules"]):
                return members[name]
            if name in (members := attributes["_buffers"]):
                return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _values(self, *names: str) -> dict[str, Any]:
        """Attributes by name. Parameters and buffers come several times as fast as one by one: by
        dot they are searched everywhere else first."""
        own = self.__dict__
        parameters, buffers = own["_parameters"], own["_buffers"]
        values = {}
        for name in names:
            if name in own:
                values[name] = own[name]
            elif name in parameters:
                values[name] = parameters[name]
            elif name in buffers:
                values[name] = buffers[name]
            else:
                values[name] = getattr(self, name)
        return values

    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                kind = "parameters" if isinstance(value, Parameter) else "module"
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            _check_parameter(name, value)
            self._forget(name, but=self._parameters)
            self._parameters[name] = value
        elif name in self._parameters:
            _check_none("parameter", "torch.nn.Parameter or None expected", name, value)
            self._parameters[name] = None
        elif isinstance(value, Module):
            _check_name("module", name)
            self._forget(name, but=self._modules)
            self._modules[name] = value
        elif name in self._modules:
            _check_none("child module", "torch.nn.Module or None expected", name, value)
            self._modules[name] = None
        elif isinstance(value, Buffer):
            self.register_buffer(name, value, value.persistent)
        elif name in self._buffers:
            if not isinstance(value, Tensor):
                _check_none("buffer", "torch.Tensor or None expected", name, value)
            if record.is_recording():
                raise RuntimeError(
                    f"a compiled function replaces the buffer {name!r}; its launches, repeated, "
                    "would go on reading the old one: write into it in place"
                )
            self._buffers[name] = value
        elif self.__dict__.get(name, _ABSENT) is value:
            return
        else:
            object.__setattr__(self, name, value)
            if name == "training":
                record.switched()
                return
        record.restructured()

    def __delattr__(self, name: str) -> None:
        record.restructured()
        for members in (self._parameters, self._buffers, self._modules):
            if name in members:
                members.pop(name)
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        members = [*self._parameters, *self._buffers, *self._modules]
        names = {*dir(type(self)), *self.__dict__, *members}
        return sorted(name for name in names if not name[0].isdigit())

    def _forget(self, name: str, but: dict[str, Any]) -> None:
        """Make room for a new member; one of its own kind it replaces in its place."""
        self.__dict__.pop(name, None)
        self._non_persistent_buffers_set.discard(name)
        for members in (self._parameters, self._buffers, self._modules):
            if members is not but:
                members.pop(name, None)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or note that there is none of this name."""
        self._check_free("parameter", name, self.__dict__.get("_parameters"))
        if param is not None:
            _check_parameter(name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not learnt: a running mean, say.

        Unless `persistent`, `state_dict` leaves it out.
        """
        self._check_free("buffer", name, self.__dict__.get("_buffers"))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_free("module", name, self.__dict__.get("_modules"))
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a child module."""
        self.add_module(name, module)

    def _check_free(self, kind: str, name: str, members: Mapping[str, Any] | None) -> None:
        if members is None:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        _check_name(kind, name)
        if name not in members and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "features.0"; AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a path such as "features.0"; if `strict`, only in another's place."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if not isinstance(getattr(parent, name, module), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "features.0.weight"; AttributeError if there is none."""
        return self._get_member(target, "_parameters", "nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as "norm.running_mean"; AttributeError if there is none."""
        return self._get_member(target, "_buffers", "buffer")

    def _get_member(self, target: str, members: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if getattr(module, members).get(name) is None:
            raise AttributeError(f"`{name}` is not an {kind}")
        return getattr(module, members)[name]

    # ------------------------------------------------------------------ traversal

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Path and module, for this module and all below it; each once if `remove_duplicate`."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once if `remove_duplicate`."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Name and module, for each child once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The child modules, each once."""
        for _, module in self.named_children():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Path and parameter, of this module and, if `recurse`, of all below it."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, if `recurse`, of all below it, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Path and buffer, of this module and, if `recurse`, of all below it."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, if `recurse`, of all below it, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(
        self, members: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules: Any = [(prefix, self)]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in modules:
            for name, member in getattr(module, members).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield _join(path, name), member

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below this one, then on this one; returns the module itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------------ mode, type and gradients

    def train(self: Self, mode: bool = True) -> Self:
        """Put this module and all below it into training mode; returns the module itself."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Put this module and all below it into evaluation mode; returns the module itself."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Say whether the parameters are learnt; returns the module itself."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for parameter in self.parameters():
            clear_grad(parameter, set_to_none)

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move parameters and buffers to a device, change the type of floating-point ones, or both.

        `to(device)`, `to(dtype)`, `to(device, dtype)` or `to(tensor)`, positions or names; returns
        the module itself. TypeError if the type is not a floating-point one.
        """
        device, dtype = _parse_to(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            target = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
            return tensor.to(device=device or tensor.device, dtype=target)

        return self._apply(convert)

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace every parameter's data, gradient and every buffer by what `fn` makes of it."""
        with no_grad():
            for module in self.modules() if recurse else [self]:
                for parameter in module._parameters.values():
                    if parameter is not None:
                        grad, parameter.grad = parameter.grad, None
                        parameter.data = fn(parameter.data)
                        parameter.grad = None if grad is None else fn(grad)
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = fn(buffer)
        return self

    def to_empty(self: Self, *, device: str | Device | None, recurse: bool = True) -> Self:
        """Move parameters and buffers to a device without their values."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def type(self: Self, dst_type: DType | str) -> Self:
        """Make all parameters and buffers `dst_type`; returns the module itself."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self: Self) -> Self:
        """Make floating-point parameters and buffers float32; returns the module itself."""
        return self.to(dtype=float32)

    def double(self: Self) -> Self:
        """Make floating-point parameters and buffers float64; returns the module itself."""
        return self.to(dtype=float64)

    def cpu(self: Self) -> Self:
        """Move parameters and buffers to the CPU; returns the module itself."""
        return self.to(device="cpu")

    def cuda(self: Self, device: int | str | Device | None = None) -> Self:
        """Move parameters and buffers to a GPU; returns the module itself."""
        if isinstance(device, int):
            device = f"cuda:{device}"
        return self.to(device="cuda" if device is None else device)

    # ------------------------------------------------------------------ state

    def state_dict(
        self,
        *,
        destination: Any = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by path.

        They share the module's memory. They are detached unless `keep_vars`. Given a
        `destination`, adds to it and returns it. Its `_metadata` says the version of each module.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for before in self._state_dict_pre_hooks.values():
            before(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for after in self._state_dict_hooks.values():
            if after(self, destination, prefix, metadata) is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        """Name and tensor of everything of its own that `state_dict` holds."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, tensor in self._own_state():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def get_extra_state(self) -> Any:
        """What a subclass wants in the state beside tensors."""
        raise NotImplementedError(f"{self._get_name()} defines no get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise NotImplementedError(f"{self._get_name()} defines no set_extra_state")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of `state_dict` into the parameters and buffers of the same paths.

        With `assign`, take over the tensors themselves, with their types. Returns the paths that
        are missing from `state_dict` and those that the module has no use for.

        Raises a RuntimeError that names every missing and unexpected path (if `strict`), every
        wrong shape and everything that is not a Tensor, before anything is copied; TypeError if
        `state_dict` is no mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata: Mapping[str, Any] = getattr(state_dict, "_metadata", {})
        incompatible = IncompatibleKeys([], [])
        errors: list[str] = []
        copies: list[Callable[[], Any]] = []
        seen: list[Module] = []

        def check(module: Module, state: dict[str, Any], prefix: str) -> None:
            own = dict(metadata.get(prefix[:-1], {}))
            own.update(assign_to_params_buffers=assign, copies=copies)
            module._load_from_state_dict(state, prefix, own, True, *incompatible, errors)
            for name, child in module._modules.items():
                if child is not None:
                    path = f"{prefix}{name}."
                    part = {key: v for key, v in state.items() if key.startswith(path)}
                    check(child, part, path)
            seen.append(module)

        def wrong() -> bool:
            return bool(errors or (strict and any(incompatible)))

        check(self, OrderedDict(state_dict), "")
        if not wrong():
            _run(copies)
        for module in seen:  # these may say that nothing is wrong after all
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, incompatible) is not None:
                    raise RuntimeError("load_state_dict post-hook must return None")
        if wrong():
            missing, unexpected = incompatible
            heads = [
                f"{kind} key(s) in state_dict: {_quoted(keys)}. "
                for kind, keys in (("Missing", missing), ("Unexpected", unexpected))
                if keys and strict
            ]
            heading = f"Error(s) in loading state_dict for {self._get_name()}:"
            raise RuntimeError("\n\t".join([heading, *heads, *errors]))
        _run(copies)
        return incompatible

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Check what a state holds for this module alone, and note in `local_metadata["copies"]`
        what is to be done; PyTorch's name and arguments, for subclasses that prepare old states."""
        arguments = (state_dict, prefix, local_metadata, strict)
        lists = (missing_keys, unexpected_keys, error_msgs)
        for hook, with_module in self._load_state_dict_pre_hooks.values():
            hook(*(self,) * with_module, *arguments, *lists)
        own, extra = dict(self._own_state()), prefix + EXTRA_STATE
        assign = local_metadata.get("assign_to_params_buffers", False)
        copies = local_metadata["copies"]
        for name, present in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            value = state_dict[key]
            if not isinstance(value, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected torch.Tensor from '
                    f"checkpoint but received {type(value)}"
                )
            elif is_lazy(present) and is_lazy(value):
                continue
            elif value.shape != present.shape:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {value.shape} from "
                    f"checkpoint, the shape in current model is {present.shape}."
                )
            elif assign:
                copies.append(partial(self._take_over, name, present, value))
            else:
                copies.append(partial(present.copy_, value))
        if type(self).set_extra_state is not Module.set_extra_state:
            if extra in state_dict:
                copies.append(partial(self.set_extra_state, state_dict[extra]))
            else:
                missing_keys.append(extra)
        elif extra in state_dict:
            unexpected_keys.append(extra)
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, dot, _ = key[len(prefix) :].partition(".")
                if name not in (self._modules if dot else own):
                    unexpected_keys.append(key)

    def _take_over(self, name: str, present: Tensor, value: Tensor) -> None:
        """Make a loaded tensor the member in the place of another."""
        if isinstance(present, Parameter):
            self._parameters[name] = Parameter(value, present.requires_grad)
        else:
            self._buffers[name] = value

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` gathers from this module."""
        return _add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after it; it may change the
        state but returns None."""
        return _add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)` before a state is loaded; it may change all of them."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        return _add_hook(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after a state was loaded; it may change the lists
        of keys, before those that are left are errors, but returns None."""
        return _add_hook(self._load_state_dict_post_hooks, hook)

    # ------------------------------------------------------------------ text

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What `repr` shows of the module beside its children."""
        return ""

    def __repr__(self) -> str:
        own = self.extra_repr()
        lines = own.split("\n") if own else []
        if len(lines) == 1 and not self._modules:
            return f"{self._get_name()}({own})"
        lines += [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        return f"{self._get_name()}({listed(lines)})"


def indented(text: str) -> str:
    """The text with all lines but the first moved in."""
    return text.replace("\n", "\n  ")


def listed(lines: list[str]) -> str:
    """The lines, each moved in and on its own, for between brackets."""
    return "\n  " + "\n  ".join(lines) + "\n" if lines else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _before_forward(
    hook: ForwardHook, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that a hook leaves to `forward`."""
    if not hook.with_kwargs:
        changed = hook.call(module, args)
        if changed is None:
            return args, kwargs
        return changed if isinstance(changed, tuple) else (changed,), kwargs
    changed = hook.call(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(
            "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
            f"but got {changed}."
        )
    return changed


def _after_forward(hook: ForwardHook, module: Module, args: Any, kwargs: Any, result: Any) -> Any:
    if hook.with_kwargs:
        return hook.call(module, args, kwargs, result)
    return hook.call(module, args, result)


def _run(copies: list[Callable[[], Any]]) -> None:
    """Do, once, what loading a state noted."""
    with no_grad():
        for copy in copies:
            copy()
    copies.clear()


class _GlobalHandle(RemovableHandle):
    """Leaves no empty dict behind, for whose absence every call of a module looks."""

    def __init__(self, members: str, hook: Any) -> None:
        super().__init__(_global_hooks.setdefault(members, OrderedDict()))
        self.members = members
        self.hooks[self.id] = hook

    def remove(self) -> None:
        super().remove()
        if not self.hooks:
            _global_hooks.pop(self.members, None)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_forward_pre_hook` for all modules, before their own."""
    return _GlobalHandle("_forward_pre_hooks", ForwardHook(hook))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`Module.register_forward_hook` for all modules, before their own."""
    return _GlobalHandle("_forward_hooks", ForwardHook(hook, with_kwargs, always_call))


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_pre_hook` for all modules, before their own."""
    return _GlobalHandle("_backward_pre_hooks", hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`Module.register_full_backward_hook` for all modules, before their own."""
    return _GlobalHandle("_backward_hooks", hook)


def _add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _check_name(kind: str, name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')


def _check_parameter(name: str, value: Any) -> None:
    _check_name("parameter", name)
    if not isinstance(value, Parameter):
        raise TypeError(
            f"cannot assign '{type(value).__name__}' object to parameter '{name}' "
            "(torch.nn.Parameter or None required)"
        )
    if value.grad_fn is not None:
        raise ValueError(
            f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
            f"created explicitly. To express '{name}' as a function of another Tensor, compute "
            "the value in the forward() method."
        )


def _check_none(kind: str, expected: str, name: str, value: Any) -> None:
    if value is not None:
        raise TypeError(f"cannot assign '{type(value).__name__}' as {kind} '{name}' ({expected})")


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Device | None, DType | None]:
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)  # every copy is done when `to` returns
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, DType):
            dtype = value
        elif value is not None:
            device = value
    return None if device is None else as_device(device), dtype
