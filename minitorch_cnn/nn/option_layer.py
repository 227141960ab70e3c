"""Layers that are a function of `nn.functional` and its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .module import Module

__all__ = ["OptionLayer"]


class OptionLayer(Module):
    """A function whose options are the module's attributes, some of which `repr` shows."""

    function: ClassVar[Callable[..., Any]]
    """Static method: function(input, **options)"""
    shown: ClassVar[tuple[str, ...]]

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.__dict__.update(options)
        self._options = tuple(options)

    def forward(self, input: Any) -> Any:
        return self.function(input, **self._values(*self._options))

    def extra_repr(self) -> str:
        return ", ".join([f"{name}={getattr(self, name)}" for name in self.shown])
