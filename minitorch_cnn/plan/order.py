"""In which order a recorded step's launches are made, where it makes no difference to results."""

from __future__ import annotations

from collections.abc import Sequence

from ..memory import Foreign, address, owner
from .recorder import Launch, Slot, arrays_of, bytes_of

__all__ = ["independent_first"]

FEW_BYTES = 1 << 12
"""Of launches that are worth moving: those that count something, say."""


def independent_first(launches: Sequence[Launch]) -> list[Launch]:
    """The launches, those first that share no memory with the rest.

    Batch norm counts its batches by launches that compute in Python. Between others, of which a
    device makes one call, they would part it.
    """
    arrays = [arrays_of(launch.args) for launch in launches]
    held = [a for some in arrays for a in some if not isinstance(a, Slot)]
    if any([isinstance(a, Foreign) or not owner(a).flags.c_contiguous for a in held]):
        return [*launches]  # what they share can't be told by their beginnings and sizes
    group = [*range(len(launches))]

    def first_of(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    def join(i: int, k: int) -> None:
        group[first_of(i)] = first_of(k)

    by_root: dict[int, int] = {}
    spans = []
    for i, some in enumerate(arrays):
        for a in some:
            if isinstance(a, Slot):
                join(i, by_root.setdefault(a.root, i))
            elif a.nbytes:
                whole = owner(a)
                spans.append((address(whole), address(whole) + whole.nbytes, i))
    end, before = 0, 0
    for start, stop, i in sorted(spans):
        if start < end:
            join(i, before)
        end, before = max(end, stop), i
    groups: dict[int, list[int]] = {}
    for i in range(len(launches)):
        groups.setdefault(first_of(i), []).append(i)
    most = max(groups.values(), key=len, default=[])
    moved = {
        i
        for members in groups.values()
        if members is not most and sum([bytes_of(arrays[i]) for i in members]) <= FEW_BYTES
        for i in members
    }
    order = sorted(range(len(launches)), key=lambda i: i not in moved)
    return [launches[i] for i in order]
