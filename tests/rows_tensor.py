"""Rows of shapes, indexing and Tensor's own methods."""

from .op_table import Row

ROWS: list[Row] = []
