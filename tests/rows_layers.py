"""Rows of activations, normalisation, dropout, losses and embeddings."""

from .op_table import Row

ROWS: list[Row] = []
