"""Rows of elementwise functions, reductions, sorting and products of matrices."""

from .op_table import Row

ROWS: list[Row] = []
