"""Rows of what works on images: convolutions, pooling, padding, resizing."""

from .op_table import Row

ROWS: list[Row] = []
