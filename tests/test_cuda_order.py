"""Sorting, counts and running totals on the device "cuda", without a GPU, in the shapes that decide
how rows are cut: empty, of one element, several to a block, and of several blocks."""

import math

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn.kernels.cuda import geometry
from minitorch_cnn.kernels.cuda.registry import TILE

from .cuda_device import needs_numba_cuda, stand_in

pytestmark = [needs_numba_cuda, pytest.mark.filterwarnings("ignore::RuntimeWarning")]

SHAPES = [
    (0,),
    (1,),
    (3, 0),
    (0, 4),
    (5, 7),
    (3, 2, 4),
    (2, TILE),
    (1, TILE + 1),
    (2, 2 * TILE + 9),
]
KINDS = [(shape, kind) for shape in SHAPES for kind in ("float32", "int64")]
KINDS += [((5, 7), kind) for kind in ("float64", "int32", "uint8", "bool")]


@pytest.fixture(autouse=True)
def device():
    with stand_in():
        yield


def pair(array):
    here = torch.from_numpy(np.ascontiguousarray(array))
    return here, here.to("cuda")


def numbers(shape, kind, special=True):
    """Few different ones, so that many are equal, with NaN, infinities and zeros of both signs."""
    rng = np.random.default_rng(math.prod(shape))
    x = rng.integers(-3, 4, shape).astype(kind)
    if special and x.dtype.kind == "f":
        for value, every in ((np.nan, 5), (np.inf, 7), (-np.inf, 11), (-0.0, 3)):
            x.reshape(-1)[every - 1 :: every] = value
    return x


def assert_same(call, *tensors):
    """The call's results on both devices, each of which may be several, are equal to the bit."""
    expected, actual = [call(*[t[i] for t in tensors]) for i in (0, 1)]
    if not isinstance(expected, (tuple, list)):
        expected, actual = [expected], [actual]
    for e, a in zip(expected, actual, strict=True):
        assert a.dtype is e.dtype
        np.testing.assert_array_equal(a.cpu().numpy(), e.numpy())


@pytest.mark.parametrize(("shape", "kind"), KINDS, ids=str)
def test_order_along_each_dimension(shape, kind):
    x = pair(numbers(shape, kind))
    for d, n in enumerate(shape):
        for descending in (False, True):
            assert_same(lambda x: torch.sort(x, d, descending), x)  # noqa: B023
            # Of equal ones it is nowhere said which are chosen.
            k = (n + 1) // 2
            assert_same(lambda x: torch.topk(x, k, d, descending).values, x)  # noqa: B023
        assert_same(lambda x: torch.cummax(x, d), x)  # noqa: B023
        assert_same(lambda x: torch.cummin(x, d), x)  # noqa: B023
        if n:
            assert_same(lambda x: torch.kthvalue(x, n, d).values, x)  # noqa: B023
            assert_same(lambda x: torch.mode(x, d), x)  # noqa: B023
            assert_same(lambda x: torch.median(x, d).values, x)  # noqa: B023
            assert_same(lambda x: torch.nanmedian(x, d).values, x)  # noqa: B023
    if kind != "bool":
        assert_same(torch.median, x)
        assert_same(torch.nanmedian, x)


@pytest.mark.parametrize(("shape", "kind"), KINDS, ids=str)
def test_running_sums(shape, kind):
    x = numbers(shape, kind)  # sums of small integers are exact
    for d in range(len(shape)):
        assert_same(lambda x: torch.cumsum(x, d), pair(x))  # noqa: B023


def roundings(n):
    """How many additions follow one another in a total of n numbers."""
    here = math.ceil(math.log2(min(n, TILE)))
    return here if n <= TILE else here + 1 + roundings(-(-n // TILE))


@pytest.mark.parametrize("n", [2, 9, TILE, 2 * TILE + 9])
def test_running_sums_round_as_often_as_their_tree_is_high(n):
    x = np.random.default_rng(n).standard_normal((2, n)).astype(np.float32)
    exact, size = np.cumsum(x, 1, np.float64), np.cumsum(np.abs(x), 1, np.float64)
    found = torch.cumsum(torch.from_numpy(x).to("cuda"), 1).cpu().numpy()
    bound = roundings(n) * 2.0**-24 * size
    assert (np.abs(found - exact) <= bound * (1 + 1e-5)).all()


@pytest.mark.parametrize("kind", ["float32", "int64"])
@pytest.mark.parametrize("count", [0, 1, 7, TILE + 5])
def test_places_in_sorted_rows(count, kind):
    values = pair(numbers((3, 5), kind))
    for shape in ((count,), (3, count)):
        rows = pair(np.sort(numbers(shape, kind), -1))
        for right in (False, True):
            assert_same(lambda r, v: torch.searchsorted(r, v, right=right), rows, values)  # noqa: B023


@pytest.mark.parametrize("count", [0, 1, 50, TILE + 5])
def test_how_often_values_occur(count):
    rng = np.random.default_rng(count)
    for kind in ("int64", "uint8"):
        x = pair(rng.integers(0, 9, count).astype(kind))
        assert_same(lambda x: torch.bincount(x, minlength=12), x)
        for weights in ("float32", "float64", "int32"):  # whose sums are exact
            w = pair(rng.integers(-9, 9, count).astype(weights))
            assert_same(lambda x, w: torch.bincount(x, w, 12), x, w)
    for kind in ("float32", "float64"):
        x = pair(numbers((count,), kind) + rng.random(count).astype(kind))
        for bins in (1, 10, TILE + 1):
            assert_same(lambda x: torch.histc(x, bins, -1.5, 2.25), x)  # noqa: B023


def test_rows_are_cut_so_that_each_element_is_in_one_block():
    for rows, length, room in [
        (1, 1, 8),
        (5, 3, 8),
        (1000, 3, 8),
        (2, 8, 8),
        (3, 9, 8),
        (2, 17, 8),
    ]:
        cut = geometry.cut_rows(rows, length, room)
        owners = np.zeros(rows * length, int)
        for b in range(cut.blocks):
            above, into = b // cut.parts, b % cut.parts * room
            start = above * cut.line + into
            owners[start : start + min(room, cut.line - into)] += 1
        assert (owners == 1).all()
        assert cut.parts == 1 or cut.line == length
    assert geometry.cut_rows(0, 3, 8).blocks == geometry.cut_rows(3, 0, 8).blocks == 0
