"""From a list of samples to one batch: the same nesting, with tensors for leaves."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ... import Tensor, as_tensor, from_numpy, stack


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples of equal structure into one structure of tensors with a leading batch dimension.

    Tensors and arrays are stacked; Python and NumPy numbers become a tensor of shape `(n,)`, floats
    in float64; strings and bytes stay as they are. Mappings, lists and named tuples keep their type
    and are joined entry by entry; a plain tuple becomes a list, as in PyTorch.

    Raises TypeError for a leaf of any other type, RuntimeError where samples differ in shape or
    length, and IndexError for an empty batch.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> from minitorch_cnn.utils.data import default_collate
    >>> default_collate([{"label": 3, "name": "cat"}, {"label": 5, "name": "dog"}])
    {'label': tensor([3, 5]), 'name': ['cat', 'dog']}
    """
    if len(batch) == 0:
        raise IndexError("default_collate: the batch holds no samples")
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray) and first.dtype.kind not in "SUO":
        return stack([as_tensor(array) for array in batch])
    if isinstance(first, (np.bool_, np.number, int, float)):
        return from_numpy(np.array(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([s[key] for s in batch]) for key in first})
    if isinstance(first, Sequence):
        lengths = [len(sample) for sample in batch]
        if len(set(lengths)) > 1:
            raise RuntimeError(
                "default_collate: each element in list of batch should be of equal size, "
                f"but the sizes are {lengths}"
            )
        return _like(first, [default_collate(entries) for entries in zip(*batch, strict=True)])
    found = f"an array of {first.dtype}" if isinstance(first, np.ndarray) else type(first)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {found}"
    )


def default_convert(data: Any) -> Any:
    """Turn every NumPy array and NumPy number in a structure into a tensor; the rest stays.

    This is what a loader with `batch_size=None` does to each sample.

    See https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_convert

    >>> import numpy as np
    >>> from minitorch_cnn.utils.data import default_convert
    >>> default_convert({"pixels": np.array([0, 255]), "name": "cat"})
    {'pixels': tensor([  0, 255]), 'name': 'cat'}
    """
    if isinstance(data, np.ndarray) and data.dtype.kind not in "SUO":
        return as_tensor(data)
    if isinstance(data, (np.bool_, np.number)):
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def pin(data: Any) -> Any:
    """A batch with its tensors, and what else has a method `pin_memory`, in pinned memory."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        return _like(data, {key: pin(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [pin(value) for value in data])
    return data


def _like(original: Any, items: Any) -> Any:
    """`items`, a dict or a list, in a container of the original's type where that takes them."""
    if isinstance(original, tuple):
        return type(original)(*items) if hasattr(original, "_fields") else items
    try:
        if not isinstance(original, (MutableMapping, MutableSequence)):
            return type(original)(items)
        clone: Any = copy.copy(original)  # with what the type holds besides its items
        for key, item in items.items() if isinstance(items, dict) else enumerate(items):
            clone[key] = item
        return clone
    except TypeError:
        return items
