"""Where the memory lies that launches pass on to each other: pieces that are never needed at the
same time in the same place."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..memory import address, part
from .recorder import Launch, Root, Slot, slots, with_arrays

__all__ = ["keep_held", "lay_out", "lifetimes", "placed"]

ALIGNMENT = 64


def keep_held(roots: Sequence[Root]) -> None:
    """Leave what somebody holds where it is; the others have no place yet."""
    for root in roots:
        if not root.input:
            root.memory = root.weak()


def lay_out(roots: Sequence[Root], launches: Sequence[Launch]) -> int:
    """Give places to the roots that nobody holds, one on another if their uses do not overlap.

    Returns the bytes needed for them.
    """
    first, last = lifetimes(roots, launches)
    return sum(
        [
            _place(device, [*numbers], roots, first, last)
            for device, numbers in itertools.groupby(
                sorted(first, key=lambda n: str(roots[n].device)), lambda n: roots[n].device
            )
        ]
    )


def placed(args: tuple[Any, ...], roots: Sequence[Root]) -> tuple[Any, ...]:
    """A launch's arguments with the arrays that its slots are, once all is laid out."""

    def array(a: Any) -> Any:
        return part(roots[a.root].memory, *a[1:]) if isinstance(a, Slot) else a

    return with_arrays(args, array)


def _place(device: Any, numbers: list[int], roots: Sequence[Root], first: Any, last: Any) -> int:
    """Lay roots out in memory of their device, of which each is used from a first launch to a
    last; the bytes needed."""
    placed: list[tuple[int, int, int]] = []  # begin, end, root; by begin
    for number in sorted(numbers, key=lambda n: -roots[n].nbytes):
        begin, size = 0, -(-max(roots[number].nbytes, 1) // ALIGNMENT) * ALIGNMENT
        for other_begin, other_end, other in placed:
            if first[other] <= last[number] and first[number] <= last[other]:
                if other_begin - begin >= size:
                    break
                begin = max(begin, other_end)
        bisect.insort(placed, (begin, begin + size, number))
    total = max([end for _, end, _ in placed], default=0)
    bytes_ = np.dtype(np.uint8)
    arena = device.empty((total + ALIGNMENT,), bytes_)
    shift = -address(arena) % ALIGNMENT
    for begin, end, number in placed:
        roots[number].memory = part(arena, shift + begin, (end - begin,), (1,), bytes_)
    return total


def lifetimes(
    roots: Sequence[Root], launches: Sequence[Launch]
) -> tuple[dict[int, int], dict[int, int]]:
    """The first and the last launch that look at each root that nobody holds, by its number."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, entry in enumerate(launches):
        for slot in slots(entry):
            if roots[slot.root].memory is None:
                first.setdefault(slot.root, i)
                last[slot.root] = i
    return first, last
