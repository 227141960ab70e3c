"""Helpers around training: the loading of data, and memory shared with other libraries."""

from . import data, dlpack

__all__ = ["data", "dlpack"]
