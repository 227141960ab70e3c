"""What depends on a number's type: a choice by it, a number in it, its bits, its range.

With `isinstance` Numba compiles what stands on either side of the question before it knows the
answer, whole functions of float64 among it where there is none.
"""

from typing import Any

import numpy as np
from numba import types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic as numba_intrinsic

__all__ = ["bits_of", "chosen", "like", "real_of", "tiny_of"]

intrinsic: Any = numba_intrinsic  # as it is called: without the typing context

_INTEGERS = {types.float32: types.int32, types.float64: types.int64}
_REALS = {integer: real for real, integer in _INTEGERS.items()}


@intrinsic
def chosen(typingctx, x, single, double):
    """The first of two things where x is a number of 32 bits, the second where it has 64."""
    number = {32: 1, 64: 2}[x.bitwidth]

    def codegen(context, builder, signature, args):
        return args[number]

    return (single, double)[number - 1](x, single, double), codegen


@intrinsic
def like(typingctx, value, x):
    """The value as a number of x's type."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[0], value, x)

    return types.unliteral(x)(value, x), codegen


@intrinsic
def bits_of(typingctx, x):
    """The bits of x as an integer of its size."""
    return _recast(x, _INTEGERS)


@intrinsic
def real_of(typingctx, bits):
    """The number of as many bits that has these."""
    return _recast(bits, _REALS)


@intrinsic
def tiny_of(typingctx, x):
    """The smallest positive number of x's type that is not denormal."""

    def codegen(context, builder, signature, args):
        return context.get_constant(x, np.finfo(str(x)).tiny)

    return x(x), codegen


def _recast(kind, others):
    """An intrinsic's type and code: its argument, unchanged, as of another type."""
    if kind not in others:
        raise NumbaTypeError(f"no other number has the bits of a {kind}")
    other = others[kind]

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(other))

    return other(kind), codegen
