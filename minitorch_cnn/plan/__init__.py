"""compile: record what a function launches, and repeat it."""

from .compiled import compile as compile
