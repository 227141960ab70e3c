"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .. import record
from ..autograd import no_grad
from ..ops.arrange import stack
from ..tensor import Tensor
from .optimizer import Optimizer, check_number

__all__ = ["Muon"]

_STRUCTURE = ("nesterov", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn")
"""Options by which steps take other ways: a compiled step holds those that it was recorded with."""


class Muon(Optimizer):
    """Momentum whose steps are made orthogonal: p = (1 - lr * w) * p - lr * s * O, for matrices.

    With momentum mu, b = mu * b + (1 - mu) * g, and with `nesterov` u = mu * b + (1 - mu) * g, else
    u = b. O is the orthogonal matrix nearest to u, roughly: `ns_steps` of Newton and Schulz's
    iteration bring all of its singular values near 1 (`orthogonalized`). So a step changes a layer
    in all directions alike, where plain momentum follows a few. w is `weight_decay`. For r rows and
    c columns s is sqrt(max(1, r / c)), or 0.2 * sqrt(max(r, c)) where `adjust_lr_fn` is
    "match_rms_adamw": with it, learning rates and weight decays of AdamW fit.

    A convolution's weight `(out, in, kh, kw)` counts as a matrix of `out` rows, as in the source;
    PyTorch's optimizer refuses it. Biases and a normalization's parameters are no matrices, and
    the source leaves the last layer out, too: give them to another optimizer.

    Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon/. Options and defaults are those of
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html, which computes O in
    bfloat16; here it has the parameters' type.

    Raises ValueError for negative options, for coefficients that are not three, for 100 or more
    `ns_steps` and for parameters of fewer than two dimensions; RuntimeError in a compiled step
    where options other than `lr`, `weight_decay` and `momentum` have changed.

    >>> import minitorch_cnn as torch
    >>> w = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    >>> optimizer = torch.optim.Muon([w], lr=0.1, weight_decay=0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> torch.round(w.detach(), decimals=1)
    tensor([[2.9000, 0.0000],
            [0.0000, 3.9000]])
    """

    hyper = ("lr", "momentum", "weight_decay")
    moments = ("momentum_buffer",)
    numbers = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay", "momentum", "eps"):
            check_number(self, name, options[name])
        check_number(self, "ns_steps", options["ns_steps"], below=100)
        if len(options["ns_coefficients"]) != 3:
            raise ValueError(
                f"Muon: ns_coefficients must be three numbers, got {options['ns_coefficients']}"
            )
        if options["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                "Muon: adjust_lr_fn must be None, 'original' or 'match_rms_adamw', "
                f"got {options['adjust_lr_fn']!r}"
            )
        for p in options.get("params", ()):
            if p.ndim < 2:
                raise ValueError(
                    "Muon: parameters must be matrices or have more dimensions, "
                    f"got one of shape {tuple(p.shape)}"
                )

    def _hyper(self, group: dict[str, Any]) -> tuple[float, ...]:
        # SGD's kernel reads it: lr, momentum, dampening, weight decay, nesterov, maximize.
        return group["lr"], group["momentum"], 0.0, group["weight_decay"], 0.0, 0.0

    def _update(self, params: list[Tensor], group: dict[str, Any], memory: Any) -> None:
        self._prepare(params, group)
        self._check_shapes(params)
        memory.set_hyper(self, group, params[0])
        self._hold_structure(group)
        with no_grad():
            directions = _directions(self._smoothed(params, group, memory), group)
        # Without momentum SGD's kernel computes p - lr (d + w p).
        self._launch("optim.sgd", params, [[]], [], group, memory, directions)

    def _check_shapes(self, params: list[Tensor]) -> None:
        for p in params:
            g: Any = p._grad
            b = self.state[p]["momentum_buffer"]
            if not p.shape == g.shape == b.shape:
                raise RuntimeError(
                    f"Muon: a parameter of shape {tuple(p.shape)} has a gradient of shape "
                    f"{tuple(g.shape)} and a momentum of shape {tuple(b.shape)}; its shape has "
                    "changed since they were computed"
                )

    def _smoothed(self, params: list[Tensor], group: dict[str, Any], memory: Any) -> list[Tensor]:
        """The gradients with their momentum, u."""
        # From a buffer, that compiled steps follow its changes.
        momentum = memory.options[1].to(params[0].dtype)
        toward = 1 - momentum
        smoothed = []
        for p in params:
            g: Any = p._grad
            b = self.state[p]["momentum_buffer"]
            b.lerp_(g, toward)
            smoothed.append(g.lerp(b, momentum) if group["nesterov"] else b)
        return smoothed

    def _hold_structure(self, group: dict[str, Any]) -> None:
        """Have a step that is being recorded refuse to be repeated with another structure."""
        if not record.is_recording():
            return
        held = {name: group[name] for name in _STRUCTURE}

        def check() -> None:
            for name, value in held.items():
                if group[name] != value:
                    raise RuntimeError(
                        f"Muon: {name} changed from {value} to {group[name]} after a step with it "
                        "was compiled; compile a step of its own"
                    )

        record.repeat(check)


def _directions(updates: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """s * O for each u: those of equal shape are orthogonalized together."""
    alike: dict[tuple[int, int], list[int]] = {}
    for i, u in enumerate(updates):
        alike.setdefault((u.shape[0], math.prod(u.shape[1:])), []).append(i)
    directions = list(updates)
    for shape, numbers in alike.items():
        matrices = stack([updates[i].reshape(shape) for i in numbers])
        found = orthogonalized(matrices, group["ns_coefficients"], group["ns_steps"], group["eps"])
        found = found * _scale(group["adjust_lr_fn"], *shape)
        for i, direction in zip(numbers, found.unbind()):
            directions[i] = direction.reshape(updates[i].shape)
    return directions


def orthogonalized(
    matrices: Tensor, coefficients: Sequence[float], steps: int, eps: float
) -> Tensor:
    """Matrices U S V^T, a stack `(n, r, c)` of them, brought near U V^T: singular values near 1.

    Newton and Schulz's iteration, from X = G / max(|G|, eps), with coefficients (a, b, c):
    X = a X + (b A + c A A) X, A = X X^T. It moves each singular value s to a s + b s^3 + c s^5.
    Muon's coefficients are steep at 0 instead of converging: after five steps values from 1/100 of
    the norm on lie between 0.68 and 1.14.
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x * x).sum((1, 2), keepdim=True).sqrt().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


def _scale(adjust: str | None, rows: int, columns: int) -> float:
    """The factor that makes steps of matrices of different shapes alike."""
    if adjust == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / max(columns, 1)))
