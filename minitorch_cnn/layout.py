"""In which order elements lie in memory, as `torch.memory_format`.

New tensors and results are contiguous. A tensor can be asked for in `channels_last`, by
`contiguous`, `clone` or `to`: it then lies in memory with the channels of each pixel side by side,
and its shape and values are what they were. Kernels take any order; what they give back is
contiguous. So `preserve_format`, PyTorch's word for the input's order, asks for nothing here.
"""

from __future__ import annotations

__all__ = ["MemoryFormat", "channels_last", "contiguous_format", "preserve_format"]


class MemoryFormat:
    """An order of elements in memory. The few that exist are compared with `is`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = MemoryFormat("contiguous_format")
channels_last = MemoryFormat("channels_last")
preserve_format = MemoryFormat("preserve_format")
