"""`nn.utils.weight_norm` and `spectral_norm`, by hooks before `forward`, for older code and states.

PyTorch has them too, and recommends the same functions of `nn.utils.parametrizations`.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from ...autograd import no_grad
from ...ops.distance import normalize
from ...ops.reduce import sum as total
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter
from .parametrizations import as_matrix, norm_except_dim, outputs_dim, weight_of

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


class _Hook:
    """Computes, before each `forward`, an attribute of the module from other members."""

    kind: str

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module))

    def compute(self, module: Module) -> Tensor:
        """The attribute's value."""
        raise NotImplementedError

    def check_first(self, module: Module) -> None:
        """Refuse to be the second for the same attribute."""
        if self.find(module, self.name) is not None:
            raise RuntimeError(
                f"Cannot register two {self.kind} hooks on the same parameter {self.name}"
            )

    @classmethod
    def find(cls, module: Module, name: str) -> int | None:
        """The key of the module's hook for an attribute."""
        for key, hook in module._forward_pre_hooks.items():
            if isinstance(hook.call, cls) and hook.call.name == name:
                return key
        return None

    @classmethod
    def remove(cls, module: M, name: str, suffixes: str) -> M:
        """Make the attribute a parameter again."""
        key = cls.find(module, name)
        if key is None:
            raise ValueError(f"{cls.kind} of '{name}' not found in {module}")
        hook: Any = module._forward_pre_hooks[key].call
        with no_grad():
            weight = hook.compute(module).detach()
        for member in (name, *[f"{name}_{suffix}" for suffix in suffixes.split()]):
            delattr(module, member)
        del module._forward_pre_hooks[key]
        module.register_parameter(name, Parameter(weight))
        return module


class _WeightNorm(_Hook):
    kind = "weight_norm"

    def __init__(self, name: str, dim: int) -> None:
        super().__init__(name)
        self.dim = dim

    def compute(self, module: Module) -> Tensor:
        v, g = getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g")
        return weight_of(v, g, self.dim)


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Learn a weight's length, `weight_g`, and direction, `weight_v`, apart; returns the module.

    Warns that `nn.utils.parametrizations.weight_norm` is newer.
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of "
        "`torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    hook = _WeightNorm(name, -1 if dim is None else dim)
    hook.check_first(module)
    weight = getattr(module, name)
    delattr(module, name)
    length = norm_except_dim(weight.detach(), hook.dim)
    module.register_parameter(f"{name}_g", Parameter(length))
    module.register_parameter(f"{name}_v", Parameter(weight.data))
    setattr(module, name, hook.compute(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight one parameter again; ValueError if it was not normalised so."""
    return _WeightNorm.remove(module, name, "g v")


class _SpectralNorm(_Hook):
    kind = "spectral_norm"

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but "
                f"got n_power_iterations={n_power_iterations}"
            )
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute(self, module: Module) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        return weight / total(u.clone() * (matrix @ v.clone()))

    def __call__(self, module: Module, args: Any) -> None:
        if module.training:
            with no_grad():
                weight, u, v = (getattr(module, f"{self.name}_{p}") for p in ("orig", "u", "v"))
                matrix = as_matrix(weight, self.dim)
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(matrix.T @ u, dim=0, eps=self.eps))
                    u.copy_(normalize(matrix @ v, dim=0, eps=self.eps))
        super().__call__(module, args)


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divide a weight, `weight_orig`, by its largest singular value; returns the module.

    As `nn.utils.parametrizations.spectral_norm`; `weight_u` and `weight_v` are buffers.
    """
    hook = _SpectralNorm(name, n_power_iterations, outputs_dim(module, dim), eps)
    hook.check_first(module)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    for part, size in zip("uv", as_matrix(weight.detach(), hook.dim).shape):
        vector = weight.new_empty((size,)).normal_()
        module.register_buffer(f"{name}_{part}", normalize(vector, dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter of its own again; ValueError if it was not normalised so."""
    return _SpectralNorm.remove(module, name, "u v orig")
