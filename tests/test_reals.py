"""What kernels make depend on a number's type, against NumPy."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from minitorch_cnn.kernels.cpu.reals import bits_of, chosen, like, real_of, tiny_of

NUMBERS = [np.float32(-1.5), np.float64(-1.5), np.int32(7), np.int64(7)]
REALS = [
    kind(x)
    for kind in (np.float32, np.float64)
    for x in (0.0, -0.0, 1.0, -3.7, 1e-42, np.inf, -np.inf, np.nan)
]


@njit
def half(x):
    return x / 2


@njit
def for_no_number(x):
    return x.nothing


@pytest.mark.parametrize("x", NUMBERS, ids=repr)
def test_chosen_by_size(x):
    one = njit(lambda x: chosen(x, (1, 2.5), "double"))
    assert one(x) == ((1, 2.5) if x.itemsize == 4 else "double")


def test_a_function_not_chosen_is_not_compiled():
    call = njit(lambda x: chosen(x, half, for_no_number)(x))
    assert call(np.float32(3)) == 1.5
    with pytest.raises(TypingError):
        call(np.float64(3))


@pytest.mark.parametrize("x", NUMBERS, ids=repr)
@pytest.mark.parametrize("value", [2, 0.1, 2.0**-64, np.float32(0.1), 2**31 + 5], ids=repr)
def test_like_has_the_others_type(value, x):
    # Compared where it is made: a number's type is lost on the way out.
    found = np.zeros(1, x.dtype)

    @njit
    def write(value, x, found):
        found[0] = like(value, x)
        return like(value, x) == found[0]  # nothing was left for the assignment to round

    assert write(value, x, found)
    expected = value if x.dtype.kind == "f" else int(value)
    assert found[0] == np.array(expected).astype(x.dtype)


def test_like_of_a_literal_is_no_literal():
    assert [str(s.return_type) for s in _signatures(lambda x: like(1, x), np.float32(2))] == [
        "float32"
    ]


@pytest.mark.parametrize("x", REALS, ids=repr)
def test_bits_there_and_back(x):
    integer = np.int32 if x.itemsize == 4 else np.int64
    assert njit(lambda x: bits_of(x))(x) == x.view(integer)
    back = njit(lambda x: real_of(bits_of(x)))
    assert np.asarray(back(x), x.dtype).view(integer) == x.view(integer)
    assert [s.return_type.bitwidth for s in _signatures(back, x)] == [8 * x.itemsize]


@pytest.mark.parametrize("x", [np.int16(3), True, 1j], ids=repr)
def test_no_bits_of_others(x):
    with pytest.raises(TypingError, match="no other number has the bits"):
        njit(lambda x: bits_of(x))(x)


def _signatures(function, x):
    compiled = function if hasattr(function, "nopython_signatures") else njit(function)
    compiled(x)
    return compiled.nopython_signatures


@pytest.mark.parametrize("x", [np.float32(0), np.float64(-3)], ids=repr)
def test_tiny_is_the_last_before_denormals(x):
    @njit
    def write(x, found):
        found[0] = tiny_of(x)
        return tiny_of(x) == found[0]

    found = np.zeros(1, x.dtype)
    assert write(x, found)
    assert found[0] == np.ldexp(x.dtype.type(1), -126 if x.itemsize == 4 else -1022)
