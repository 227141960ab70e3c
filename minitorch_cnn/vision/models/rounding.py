"""How scaled numbers of channels are rounded."""

from __future__ import annotations


def make_divisible(value: float, divisor: int, minimum: int | None = None) -> int:
    """The multiple of `divisor` next to `value`, not below `minimum` nor 0.9 of the value.

    >>> make_divisible(37.5, 8), make_divisible(11, 8)
    (40, 16)
    """
    rounded = max(minimum or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
