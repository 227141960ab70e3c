"""How a tensor is written as text: the layout of PyTorch's `repr`, character for character.

Source: https://docs.pytorch.org/docs/stable/generated/torch.set_printoptions.html
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["aligned", "set_printoptions", "tensor_repr"]


@dataclass(frozen=True)
class _PrintOptions:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _PrintOptions(),
    "short": _PrintOptions(precision=2, edgeitems=2),
    "full": _PrintOptions(threshold=math.inf),
}

_options = _PROFILES["default"]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Choose how tensors are printed; what is left at None stays as it was.

    Args:
        precision: digits after the point (4 at first).
        threshold: tensors of more elements are summarised (1000 at first; may be `inf`).
        edgeitems: elements shown at each end of a summarised dimension (3 at first).
        linewidth: characters in a line before it is broken (80 at first).
        profile: `"default"`, `"short"` or `"full"` sets the four above, before they are
            looked at.
        sci_mode: True or False turns scientific notation on or off. None lets the values
            decide, and, as in PyTorch, each call without `sci_mode` returns to that.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is negative or not a number, the line width is zero, or the
            profile is unknown.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.set_printoptions.html

    Example:
        >>> import minitorch_cnn as torch
        >>> torch.set_printoptions(precision=2)
        >>> torch.tensor([1.12345])
        tensor([1.12])
        >>> torch.set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(
            f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}"
        )
    if sci_mode is not None and not isinstance(sci_mode, bool):
        raise TypeError(f"set_printoptions: sci_mode must be True, False or None, got {sci_mode!r}")
    if threshold is not None and not threshold >= 0:
        raise ValueError(f"set_printoptions: threshold must be 0 or more, got {threshold!r}")
    counts = {
        "precision": _count("precision", precision, least=0),
        "edgeitems": _count("edgeitems", edgeitems, least=0),
        "linewidth": _count("linewidth", linewidth, least=1),
        "threshold": threshold,
    }
    given: dict[str, Any] = {name: value for name, value in counts.items() if value is not None}
    start = _options if profile is None else _PROFILES[profile]
    _options = replace(start, **given, sci_mode=sci_mode)


def _count(name: str, value: int | None, least: int) -> int | None:
    if value is None:
        return None
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"set_printoptions: {name} must be an integer, got {value!r}") from None
    if count < least:
        raise ValueError(f"set_printoptions: {name} must be {least} or more, got {count}")
    return count


def tensor_repr(
    array: np.ndarray[Any, Any],
    *,
    dtype: str,
    default_dtype: str = "float32",
    requires_grad: bool = False,
    grad_fn: str | None = None,
    prefix: str = "tensor(",
) -> str:
    """The text of a tensor that holds the elements of `array`.

    Args:
        array: the elements, in any strides.
        dtype: the name of their type.
        default_dtype: the floating type that goes unmentioned, as int64 and bool do.
        requires_grad: mentioned where there is no `grad_fn`.
        grad_fn: the name of the op that the tensor came from.
        prefix: what stands before the elements; later lines are indented by its length.

    Example:
        >>> import numpy as np
        >>> from minitorch_cnn.printing import tensor_repr
        >>> tensor_repr(np.array([0.5, 2.0]), dtype="float64", grad_fn="MulBackward0")
        'tensor([0.5000, 2.0000], dtype=torch.float64, grad_fn=<MulBackward0>)'
    """
    suffixes = []
    unmentioned = {default_dtype, "int64", "bool"}
    if array.size == 0:
        # No element shows the type or the shape, so they are told, but for a plain `[]`.
        text = "[]"
        unmentioned = {default_dtype}
        if array.ndim != 1:
            suffixes.append(f"size={array.shape}")
    else:
        text = _elements(array, len(prefix))
        if _options.edgeitems == 0:
            suffixes.append(f"size={array.shape}")
    if dtype not in unmentioned:
        suffixes.append(f"dtype=torch.{dtype}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + text, suffixes, len(prefix))


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    # The 1 makes room for the closing bracket.
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def _elements(array: np.ndarray[Any, Any], indent: int) -> str:
    """The nested brackets, with the elements of all rows aligned."""
    summarize = array.size > _options.threshold
    element, width = _element_format(_shown(array) if summarize else array)
    per_line = max(1, (_options.linewidth - indent - array.ndim + 1) // (width + 2))

    def brackets(part: np.ndarray[Any, Any], indent: int) -> str:
        if part.ndim == 0:
            return element(part.item())
        cut = summarize and len(part) > 2 * _options.edgeitems
        head = part[: _options.edgeitems] if cut else part
        tail = part[len(part) - _options.edgeitems :] if cut else part[:0]
        if part.ndim > 1:
            rows = [brackets(row, indent + 1) for row in head]
            rows += ["..."] * cut
            rows += [brackets(row, indent + 1) for row in tail]
            break_line = ",".ljust(part.ndim, "\n") + " " * (indent + 1)
            return "[" + break_line.join(rows) + "]"
        cells = [element(value) for value in head.tolist()]
        cells += [" ..." if _options.edgeitems else "..."] * cut
        cells += [element(value) for value in tail.tolist()]
        lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"

    return brackets(array, indent)


def _shown(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The elements that a summary keeps."""
    edge = _options.edgeitems
    for axis, length in enumerate(array.shape):
        if length > 2 * edge:
            array = np.take(array, [*range(edge), *range(length - edge, length)], axis)
    return array


def _element_format(shown: np.ndarray[Any, Any]) -> tuple[Callable[[Any], str], int]:
    """The function that writes one element, and the width it gives to each."""
    if shown.dtype.kind != "f":
        return _aligned(str, shown.ravel().tolist())
    # Zeros, infinities and NaNs have no say in the notation or in the width.
    values = shown[np.isfinite(shown) & (shown != 0)]
    whole = bool(np.all(values == np.ceil(values)))
    if _is_scientific(values):
        form = f".{_options.precision}e"
    elif not whole:
        form = f".{_options.precision}f"
    else:
        return _aligned(_whole_number, values.tolist())
    return _aligned(lambda value: format(value, form), values.tolist())


def _is_scientific(values: np.ndarray[Any, Any]) -> bool:
    if values.size == 0:
        return False
    if _options.sci_mode is not None:
        return _options.sci_mode
    magnitudes = np.abs(values)
    least, most = magnitudes.min().item(), magnitudes.max().item()
    return most / least > 1000 or most > 1e8 or least < 1e-4


def _whole_number(value: float) -> str:
    return f"{value:.0f}." if math.isfinite(value) else str(value)


def _aligned(write: Callable[[Any], str], measured: list[Any]) -> tuple[Callable[[Any], str], int]:
    width = max((len(write(value)) for value in measured), default=1)
    return lambda value: write(value).rjust(width), width


def aligned(rows: Sequence[Sequence[str]], left: int) -> str:
    """A table of text: so many columns stand at the left of their room, the others at the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    sides = ["<" if i < left else ">" for i in range(len(widths))]
    return "\n".join(
        ["  ".join([f"{c:{s}{w}}" for c, s, w in zip(row, sides, widths)]) for row in rows]
    )
