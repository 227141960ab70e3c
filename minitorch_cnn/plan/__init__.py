"""compile: record what a function launches, and repeat it. `backward` does so by itself."""

from . import backward as backward
from .compiled import compile as compile
