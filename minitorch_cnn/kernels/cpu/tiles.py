"""The shapes of tiles that kernels share: rows x columns vectors, and what of a tile stays near.

A tile's vectors, those of one row and one more must fit in the registers.
"""

from math import lcm

from .processor import REGISTERS, VECTOR_BYTES

WIDE = (REGISTERS - 3) // 2  # rows of tiles of two vectors
BROAD = 8 if REGISTERS >= 32 else WIDE  # the same, for channels: often a multiple of 8
SLIM = 8  # rows of tiles of one vector, held down by the addresses of as many rows
LONG = REGISTERS // 2 - 1  # columns of tiles of one row
NINE = 9  # columns of tiles of one row if they are terms: as many as a filter of 3 x 3 has
# Columns of tiles of three, of four and of six rows.
THREE, FOUR, SIX = (REGISTERS - 1) // 4, (REGISTERS - 1) // 5, (REGISTERS - 1) // 7

TALL = (REGISTERS - 4) // 3  # rows of tiles of three columns

# Whether channels that fill a vector and a half are summed so: of short vectors they seldom do.
HALVES = VECTOR_BYTES == 64

WHOLE = lcm(WIDE, SLIM)  # a multiple of the rows of either tile
NEAR = 4096  # elements that stay in the fastest memory
