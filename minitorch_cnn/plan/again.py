"""What a recorded step makes a second time rather than keep from its forward to its backward.

A step needs most memory where it turns: all that gradients will ask for is there. Of batch norm
with relu that is what goes in, for its own gradient, and what comes out, for that of the weight of
the convolution behind it. The second can be made again of the first, in a small part of the time
that the convolution takes.

T. Chen et al., Training deep nets with sublinear memory cost (2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .fuse import Program, may_change
from .layout import lifetimes
from .recorder import Launch, Root, Slot, arrays_of, bytes_of

__all__ = ["made_again"]

LEAST_BYTES = 1 << 20
"""Of what is worth another launch."""

LEAST_WORK = 512
"""Multiply-adds for each element in the convolution that reads it."""


def made_again(launches: Sequence[Launch], roots: list[Root]) -> list[Launch]:
    """The launches, and others among them that make anew what was dropped before; `roots` grow by
    what these make."""
    full = _fullest(launches, roots)
    program = Program(launches, roots)
    inserted: dict[int, Launch] = {}
    for i, launch in program.named("norm_relu.batch_norm_relu"):
        x, weight, bias, y, mean, invstd, _, kernel_size = launch.args
        k = next(iter(program.users(y, after=max(i, full))), -1)
        if i >= full or kernel_size != (1, 1) or not _is_worth_it(program, y, k):
            continue
        if not isinstance(x, Slot) or not program.users(x, after=k) or not _stay(program, i, k):
            continue
        old = roots[y.root]
        roots.append(Root(old.device, 0, old.nbytes))
        for later in program.users(y, after=full):
            program.show(later, y.root, len(roots) - 1)
        again = y._replace(root=len(roots) - 1)
        args = x, weight, bias, mean, invstd, again
        inserted[k] = Launch(launch.device, "norm_relu.relu_of_normalised", args)
    order: list[Launch] = []
    for i, entry in enumerate(program.launches):
        assert entry is not None
        order += [inserted[i], entry] if i in inserted else [entry]
    return order


def _is_worth_it(program: Program, y: Any, k: int) -> bool:
    """Whether a buffer is large, and launch k the gradient of a convolution's weight to whose work
    it adds little to make that anew."""
    if not program.is_private(y) or program.name(k) != "conv.conv2d_weight_grad":
        return False
    _, x, weight, _, stride, *_ = program.args(k)
    work = weight.shape[0] * math.prod(weight.shape[2:]) // math.prod(stride)
    whole = y.offset == 0 and bytes_of([y]) == program.roots[y.root].nbytes
    return x == y and whole and bytes_of([y]) >= LEAST_BYTES and work >= LEAST_WORK


def _stay(program: Program, i: int, k: int) -> bool:
    """Whether what launch i read and made is the same until launch k."""
    for array in arrays_of(program.args(i)):
        if isinstance(array, Slot):
            changed = may_change(program, array, i, before=k)
        else:
            changed = program.touched(array, i, k)
        if changed:
            return False
    return True


def _fullest(launches: Sequence[Launch], roots: Sequence[Root]) -> int:
    """The launch at which most memory is in use."""
    first, last = lifetimes(roots, launches)
    change = np.zeros(len(launches) + 1, np.int64)
    for number, i in first.items():
        change[i] += roots[number].nbytes
        change[last[number] + 1] -= roots[number].nbytes
    return int(np.cumsum(change).argmax())
