"""Checks of gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import cpu
from ..dtypes import float64
from ..tensor import Tensor, wrap
from .graph import grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient is not what finite differences say."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of func(*inputs) agree with central differences.

    Every output is followed along every element of each float64 input that requires grad. A
    disagreement raises `GradcheckError` with both numbers, or returns False. As
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html.

    >>> import minitorch_cnn as torch
    >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(lambda x: (x * x).sum(), x)
    True
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wanted = [t for t in given if isinstance(t, Tensor) and t.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: expected at least one input that requires grad")
    for t in wanted:
        if t.dtype is not float64:
            raise ValueError(
                f"gradcheck: expected float64 inputs, as differences need, not {t.dtype}"
            )
    try:
        for number, output in enumerate(_outputs(func, given)):
            if output.requires_grad:
                _check_output(func, given, wanted, number, output, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _outputs(func: Callable[..., Any], inputs: Sequence[Any]) -> list[Tensor]:
    """The differentiable outputs."""
    result = func(*inputs)
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return [t for t in outputs if isinstance(t, Tensor) and t.dtype.is_floating_point]


def _check_output(
    func: Callable[..., Any],
    inputs: Sequence[Any],
    wanted: Sequence[Tensor],
    number: int,
    output: Tensor,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    analytical = [np.zeros((t.numel(), output.numel())) for t in wanted]
    for j in range(output.numel()):
        seed = np.zeros(output.numel())
        seed[j] = 1
        one = wrap(seed.reshape(output.shape), float64, cpu)
        for i, g in enumerate(grad(output, wanted, one, retain_graph=True, allow_unused=True)):
            if g is not None:
                analytical[i][:, j] = g.detach().numpy().reshape(-1)
    for i, t in enumerate(wanted):
        numerical = np.zeros_like(analytical[i])
        values = t.detach().numpy()
        for place, k in zip(np.ndindex(values.shape), range(values.size)):
            before = values[place]
            ends = []
            for step in (eps, -eps):
                values[place] = before + step
                ends.append(_outputs(func, inputs)[number].detach().numpy().copy().reshape(-1))
            values[place] = before
            numerical[k] = (ends[0] - ends[1]) / (2 * eps)
        close = np.isclose(analytical[i], numerical, rtol, atol)
        if not close.all():
            k, j = (int(n) for n in np.argwhere(~close)[0])
            raise GradcheckError(
                f"gradcheck: the gradient of output {number}'s element {j} for input {i}'s element "
                f"{k} is {analytical[i][k, j]:.6g}, but differences give {numerical[k, j]:.6g}"
            )


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of func's gradients agree with central differences.

    `grad_outputs` are the directions in which func's outputs are differentiated first, by default
    fixed random ones. As
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html.
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = [t for t in _outputs(func, given) if t.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [
            wrap(np.array(rng.standard_normal(t.shape)), float64, cpu).requires_grad_()
            for t in outputs
        ]
    count = len(given)

    def first(*args: Any) -> tuple[Tensor, ...]:
        wanted = [t for t in args[:count] if isinstance(t, Tensor) and t.requires_grad]
        ys = [t for t in _outputs(func, args[:count]) if t.requires_grad]
        found = grad(ys, wanted, list(args[count:]), create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        first,
        (*given, *grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
    )
