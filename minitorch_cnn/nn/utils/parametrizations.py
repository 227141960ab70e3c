"""Weights as direction and length, and weights whose largest singular value is 1."""

from __future__ import annotations

from typing import Any

from ...autograd import no_grad
from ...ops.distance import normalize
from ...ops.reduce import norm
from ...ops.reduce import sum as total
from ...tensor import Tensor
from ..module import Module
from .parametrize import register_parametrization

__all__ = ["spectral_norm", "weight_norm"]


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The norm over all dimensions but one, or over all if that is -1; dimensions are kept."""
    if dim == -1:
        return norm(v, 2)
    others = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return norm(v, 2, others, keepdim=True)


def weight_of(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """The direction of v, of length g."""
    return v * (g / norm_except_dim(v, dim))


class _WeightNorm(Module):
    """w = g v / |v|"""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_of(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight's length and direction apart: w = g v / |v|; returns the module.

    g is `parametrizations.weight.original0`, v is `original1`; the length is over all dimensions
    but `dim`, or over all if it is None. States of the older `nn.utils.weight_norm` can be loaded.
    From Salimans and Kingma, Weight normalization (2016). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html.

    >>> from minitorch_cnn import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([40, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def load_old(state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                new = f"{prefix}parametrizations.{name}.original{i}"
                state_dict[new] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(load_old)
    return module


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The dimension in front, all others as one."""
    return weight.movedim(dim, 0).flatten(1)


def outputs_dim(module: Module, dim: int | None) -> int:
    """The dimension of a weight's outputs, unless another is asked for."""
    if dim is not None:
        return dim
    return 1 if getattr(module, "transposed", False) else 0


class _SpectralNorm(Module):
    """w / sigma, sigma = u^T w v by the power method"""

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but "
                f"got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape):
                vector = matrix.new_empty((size,)).normal_()
                self.register_buffer(name, normalize(vector, dim=0, eps=eps))
            self._iterate(matrix, 15)

    @no_grad()
    def _iterate(self, matrix: Tensor, iterations: int) -> None:
        for _ in range(iterations):
            self._u.copy_(normalize(matrix @ self._v, dim=0, eps=self.eps))
            self._v.copy_(normalize(matrix.T @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        # Copies, for the next call writes over the vectors, and this one's gradient needs them.
        u, v = self._u.clone(), self._v.clone()
        return weight / total(u * (matrix @ v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight, as a matrix, by its largest singular value; returns the module.

    That is found by the power method, which in training each call takes up where the last one
    stopped, for `n_power_iterations`. `dim` is that of the outputs: 0, for transposed convolutions
    1. Raises ValueError for no iterations and if there is no such tensor. From Miyato et al.,
    Spectral normalization for generative adversarial networks (2018). As
    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html.

    >>> import minitorch_cnn as torch
    >>> from minitorch_cnn import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original.shape
    torch.Size([40, 20])
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    norm = _SpectralNorm(weight, n_power_iterations, outputs_dim(module, dim), eps)
    return register_parametrization(module, name, norm)
