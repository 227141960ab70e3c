"""Module: what all layers and networks are, with their parameters, children, state and hooks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from ..autograd import no_grad
from ..autograd.graph import RemovableHandle
from ..device import Device, as_device
from ..dtypes import DType, float32, float64
from ..tensor import Tensor
from .backward_hook import BackwardHook
from .parameter import Parameter, clear_grad

__all__ = ["IncompatibleKeys", "Module"]

Self = TypeVar("Self", bound="Module")


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
    _transient_buffers: set[str]
    _forward_pre_hooks: OrderedDict[int, tuple[Callable[..., Any], bool]]
    _forward_hooks: OrderedDict[int, tuple[Callable[..., Any], bool]]
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _transient_buffers=set(),
            _forward_pre_hooks=OrderedDict(),
            _forward_hooks=OrderedDict(),
            _backward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
        )

    def _forward_unimplemented(self, *args: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # Assigned, not defined, so that subclasses may take whatever arguments they need.
    forward: Callable[..., Any] = _forward_unimplemented

    # ------------------------------------------------------------------ the call and its hooks

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
        ):
            return self.forward(*args, **kwargs)
        return self._call_with_hooks(args, kwargs)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook, with_kwargs in list(self._forward_pre_hooks.values()):
            if with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple of "
                            f"(new_args, new_kwargs), but got {changed}."
                        )
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        backward = None
        if self._backward_hooks or self._backward_pre_hooks:
            backward = BackwardHook(
                self,
                list(self._backward_pre_hooks.values()),
                list(self._backward_hooks.values()),
            )
            args = backward.watch_inputs(args)
        result = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(self._forward_hooks.values()):
            changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            if changed is not None:
                result = changed
        return result if backward is None else backward.watch_outputs(result)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each `forward`; what it returns replaces `args`.

        With `with_kwargs`, it is `hook(module, args, kwargs)` and may return both.
        """
        return _add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each `forward`; what it returns is the output.

        With `with_kwargs`, it is `hook(module, args, kwargs, output)`.
        """
        return _add_hook(self._forward_hooks, (hook, with_kwargs), prepend)

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
        elif name in self._buffers:
            if not isinstance(value, Tensor):
                _check_none("buffer", "torch.Tensor or None expected", name, value)
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for members in (self._parameters, self._buffers, self._modules):
            if name in members:
                members.pop(name)
                self._transient_buffers.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        members = [*self._parameters, *self._buffers, *self._modules]
        names = {*dir(type(self)), *self.__dict__, *members}
        return sorted(name for name in names if not name[0].isdigit())

    def _forget(self, name: str, but: dict[str, Any]) -> None:
        """Make room for a new member; one of its own kind it replaces in its place."""
        self.__dict__.pop(name, None)
        self._transient_buffers.discard(name)
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
            self._transient_buffers.discard(name)
        else:
            self._transient_buffers.add(name)

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

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
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

        with no_grad():
            for module in self.modules():
                for parameter in module._parameters.values():
                    if parameter is not None:
                        grad, parameter.grad = parameter.grad, None
                        parameter.data = convert(parameter.data)
                        parameter.grad = None if grad is None else convert(grad)
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = convert(buffer)
        return self

    def float(self: Self) -> Self:
        """Make floating-point parameters and buffers float32; returns the module itself."""
        return self.to(dtype=float32)

    def double(self: Self) -> Self:
        """Make floating-point parameters and buffers float64; returns the module itself."""
        return self.to(dtype=float64)

    def cpu(self: Self) -> Self:
        """Move parameters and buffers to the CPU; returns the module itself."""
        return self.to(device="cpu")

    # ------------------------------------------------------------------ state

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by path.

        They share the module's memory. They are detached unless `keep_vars`. Given a
        `destination`, adds to it and returns it.
        """
        state = OrderedDict() if destination is None else destination
        for path, _, _, tensor in self._state(prefix):
            state[path] = tensor if keep_vars else tensor.detach()
        return state

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
        places = {path: (owner, name, present) for path, owner, name, present in self._state("")}
        missing = [path for path in places if path not in state_dict]
        unexpected = [path for path in state_dict if path not in places]
        errors = []
        if strict and missing:
            errors.append(f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if strict and unexpected:
            errors.append(f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        found = [path for path in places if path in state_dict]
        for path in found:
            value, present = state_dict[path], places[path][2]
            if not isinstance(value, Tensor):
                errors.append(
                    f'While copying the parameter named "{path}", expected torch.Tensor from '
                    f"checkpoint but received {type(value)}"
                )
            elif value.shape != present.shape:
                errors.append(
                    f"size mismatch for {path}: copying a param with shape {value.shape} from "
                    f"checkpoint, the shape in current model is {present.shape}."
                )
        if errors:
            heading = f"Error(s) in loading state_dict for {self._get_name()}:"
            raise RuntimeError("\n\t".join([heading, *errors]))
        with no_grad():
            for path in found:
                owner, name, present = places[path]
                value = state_dict[path]
                if not assign:
                    present.copy_(value)
                elif isinstance(present, Parameter):
                    owner._parameters[name] = Parameter(value, present.requires_grad)
                else:
                    owner._buffers[name] = value
        return IncompatibleKeys(missing, unexpected)

    def _state(self, prefix: str) -> Iterator[tuple[str, Module, str, Tensor]]:
        """Path, owner, name and tensor of everything that `state_dict` holds."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield prefix + name, self, name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._transient_buffers:
                yield prefix + name, self, name, buffer
        for name, module in self._modules.items():
            if module is not None:
                yield from module._state(f"{prefix}{name}.")

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


def _add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
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
