"""Types of results: PyTorch's promotion for each pair of types, form of operand and op."""

import operator

import numpy as np
import pytest

import minitorch_cnn as mt

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
FORMS = ["vectors", "left scalar", "right scalar"]
NUMBERS = [True, 3, -2, 2.5]

OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and_",
    "or_",
    "xor",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
]
FUNCTIONS = ["maximum", "minimum", "logical_and", "logical_or", "logical_xor"]
CALLS = {
    **{name: lambda t, a, b, name=name: getattr(operator, name)(a, b) for name in OPERATORS},
    **{name: lambda t, a, b, name=name: getattr(t, name)(a, b) for name in FUNCTIONS},
    "div floor": lambda t, a, b: t.div(a, b, rounding_mode="floor"),
    "div trunc": lambda t, a, b: t.div(a, b, rounding_mode="trunc"),
    "clamp": lambda t, a, b: t.clamp(a, min=b),
    "where": lambda t, a, b: t.where(t.tensor([True, False, True]), a, b),
    "add alpha": lambda t, a, b: t.add(a, b, alpha=2),
}
IN_PLACE = ["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "iand", "ior", "ixor"]

LEFT, RIGHT = [5, 0, 2], [2, 3, 1]


def is_quirk(name, left, right):
    """Where PyTorch accepts truth values by accident of its dispatch: True to the power True, but
    not a tensor of it, and tensors of them as bounds, but not True itself."""
    truths = left == "bool" and (right == "bool" or right is True)
    return name in ("pow", "ipow", "clamp") and truths


@pytest.fixture(scope="module", autouse=True)
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def outcome(call, *arguments):
    """The type and values of what a call returns, or that it refuses."""
    try:
        y = call(*arguments)
    except (RuntimeError, TypeError):
        return "refused", None
    return str(y.dtype), y.tolist()


def assert_same(ours, theirs, what):
    assert ours[0] == theirs[0], what
    if theirs[1] is not None:
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, err_msg=str(what))


def operands(t, form, left, right):
    a = t.tensor(LEFT, dtype=getattr(t, left))
    b = t.tensor(RIGHT, dtype=getattr(t, right))
    return {"vectors": (a, b), "left scalar": (a[0], b), "right scalar": (a, b[0])}[form]


@pytest.mark.parametrize("name", CALLS)
def test_types_and_values_of_pairs_are_pytorchs(torch, name):
    for form in FORMS:
        for left in DTYPES:
            for right in DTYPES:
                theirs = outcome(CALLS[name], torch, *operands(torch, form, left, right))
                ours = outcome(CALLS[name], mt, *operands(mt, form, left, right))
                if not is_quirk(name, left, right):
                    assert_same(ours, theirs, (name, form, left, right))


@pytest.mark.parametrize("name", [name for name in CALLS if name not in FUNCTIONS])
def test_types_and_values_with_python_numbers_are_pytorchs(torch, name):
    for dtype in DTYPES:
        for values in (LEFT, 5):
            for number in NUMBERS:
                sides = [False, True] if name in OPERATORS else [False]
                for swapped in sides:
                    results = []
                    for t in (torch, mt):
                        x = t.tensor(values, dtype=getattr(t, dtype))
                        pair = (number, x) if swapped else (x, number)
                        results.append(outcome(CALLS[name], t, *pair))
                    theirs, ours = results
                    if not is_quirk(name, dtype, number):
                        assert_same(ours, theirs, (name, dtype, values, number, swapped))


@pytest.mark.parametrize("name", IN_PLACE)
def test_writes_keep_the_type_or_are_refused(torch, name):
    call = getattr(operator, name)
    for left in DTYPES:
        for right in [*DTYPES, *NUMBERS]:
            results = []
            for t in (torch, mt):
                a = t.tensor(LEFT, dtype=getattr(t, left))
                b = t.tensor(RIGHT, dtype=getattr(t, right)) if isinstance(right, str) else right
                results.append(outcome(call, a, b))
                if results[-1][0] == "refused":
                    kept = np.array(LEFT, left).tolist()
                    assert a.tolist() == kept, (name, left, right, "was written and then refused")
            if not is_quirk(name, left, right):
                assert_same(results[1], results[0], (name, left, right))


def test_result_type_and_promote_types_are_pytorchs(torch):
    for left in DTYPES:
        for right in DTYPES:
            pair = [str(t.promote_types(getattr(t, left), getattr(t, right))) for t in (torch, mt)]
            assert pair[0] == pair[1], (left, right)
            for form in FORMS:
                types = [str(t.result_type(*operands(t, form, left, right))) for t in (torch, mt)]
                assert types[0] == types[1], (form, left, right)


@pytest.mark.parametrize(
    "name",
    [
        "neg",
        "abs",
        "sign",
        "floor",
        "ceil",
        "round",
        "trunc",
        "square",
        "sqrt",
        "exp",
        "log",
        "log1p",
        "expm1",
        "sin",
        "cos",
        "reciprocal",
        "rsqrt",
        "isnan",
        "isinf",
        "isfinite",
        "logical_not",
        "bitwise_not",
        "sigmoid",
        "tanh",
        "sum",
        "prod",
        "mean",
        "amax",
        "any",
        "all",
        "std",
    ],
)
def test_types_and_values_of_functions_are_pytorchs(torch, name):
    for dtype in DTYPES:
        pair = []
        for t in (torch, mt):
            x = t.tensor([1, 0, 3], dtype=getattr(t, dtype))
            pair.append(outcome(lambda x, t=t: getattr(t, name)(x), x))
        assert_same(pair[1], pair[0], (name, dtype))


def test_python_numbers_wrap_around_as_in_c(torch):
    for t in (torch, mt):
        x = t.tensor([44, 1], dtype=t.uint8)
        assert (x + 300).tolist() == [88, 45]
        assert (x == 300).tolist() == [True, False]


def test_the_default_type_decides_what_floats_become():
    x = mt.arange(3)
    try:
        mt.set_default_dtype(mt.float64)
        assert (x * 0.5).dtype is mt.float64
        assert (x / x).dtype is mt.float64
        assert mt.tensor([0.5]).dtype is mt.float64
        assert (mt.ones(2, dtype=mt.float32) * 0.5).dtype is mt.float32
    finally:
        mt.set_default_dtype(mt.float32)
    assert (x * 0.5).dtype is mt.float32
    with pytest.raises(TypeError, match="floating-point"):
        mt.set_default_dtype(mt.int64)


def test_integer_division_by_zero_and_negative_powers(torch):
    for t in (torch, mt):
        x = t.tensor([3, -7])
        zero = t.tensor([1, 0])
        for call in (operator.floordiv, operator.mod):
            for divisor in (0, zero):
                with pytest.raises(RuntimeError):
                    call(x, divisor)
        with pytest.raises(RuntimeError):
            t.div(x, zero, rounding_mode="trunc")
        with pytest.raises(RuntimeError):
            x**-1
        assert (t.tensor([2, 1, -1, -1, 0]) ** t.tensor([-1, -3, -3, -2, -1])).tolist() == [
            0,
            1,
            -1,
            1,
            0,
        ]


def test_truncated_division_of_large_integers_is_exact(torch):
    for t in (torch, mt):
        x = t.tensor([2**53 + 1, -(2**53) - 1, 7, -7, -6])
        divided = t.div(x, t.tensor([1, 1, 2, 2, 2]), rounding_mode="trunc")
        assert divided.tolist() == [2**53 + 1, -(2**53) - 1, 3, -3, -3]


def test_floor_and_remainder_at_infinity_and_nan(torch):
    a = [1.0, -1.0, 0.0, np.inf, -np.inf, np.nan, 7.5, -7.5]
    for b in (0.0, 2.0, -2.0, np.inf, np.nan):
        for call in (operator.floordiv, operator.mod, operator.truediv, operator.pow):
            theirs = call(torch.tensor(a), b).tolist()
            np.testing.assert_array_equal(call(mt.tensor(a), b).tolist(), theirs)
