"""The whole table of functions under test, a family a file."""

from . import op_table, rows_layers, rows_math, rows_spatial, rows_tensor

ROWS = [
    *op_table.ROWS,
    *rows_math.ROWS,
    *rows_tensor.ROWS,
    *rows_spatial.ROWS,
    *rows_layers.ROWS,
]
