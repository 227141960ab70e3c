"""Functions inside kernels count no references to arrays: what would have to does not compile."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import NumbaError

from minitorch_cnn.kernels.jit import allocating, inner


@inner
def sum_of_rest(x, i):
    """x[i] + ... + x[n-1]"""
    total = 0.0
    rest = x[i:]
    for k in range(rest.size):
        total += rest[k]
    return total


@inner
def allocates(x):
    """A buffer of its own, which nothing would free."""
    return np.empty(x.size)[0]


@inner
def returns(x):
    """Its argument, of which the caller would take itself to be an owner."""
    return x


@allocating
def owns(x):
    """An array, of which the caller is an owner."""
    return np.zeros(x.size)


@inner
def forgets(x):
    """What an array that it never gives back begins with."""
    return owns(x)[0]


def calling(function):
    """What is compiled like a kernel, and calls a function inside."""
    return njit(lambda x: function(x))


def test_slices_are_not_counted():
    x = np.arange(5.0)
    assert njit(lambda x: sum_of_rest(x, 2))(x) == 9
    assert calling(owns)(x).tolist() == [0] * 5


@pytest.mark.parametrize("function", [allocates, returns, forgets])
def test_what_would_need_counting_does_not_compile(function):
    with pytest.raises((NumbaError, RuntimeError), match=r"reference|NRT"):
        calling(function)(np.ones(3))
