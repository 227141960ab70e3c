"""Every mathematical function in all its spellings: the function, the method, the forms that write
in place, the operators; each is here just if PyTorch has it, and does what PyTorch's does."""

import inspect
import operator
import re

import numpy as np
import pytest

import minitorch_cnn as mt

torch = pytest.importorskip("torch")

X = np.array([[0.2, 0.7, 0.4], [0.9, 0.3, 0.6]])
Y = np.array([[0.5, 0.1, 0.8], [0.35, 0.65, 0.15]])
N = np.array([[3, -5, 7], [2, 9, -4]])
M = np.array([[2, 3, -2], [1, 4, 3]])
C = X > 0.5
V = np.array([0.5, -1.0, 2.0])


def words(text):
    return text.split()


ONE = words(
    "abs absolute neg negative positive exp exp2 expm1 log log1p log2 log10 sqrt rsqrt square "
    "reciprocal sigmoid logit tanh sin cos tan asin arcsin acos arccos atan arctan sinh cosh asinh "
    "arcsinh atanh arctanh erf erfc floor ceil round trunc fix frac sign sgn signbit isnan isinf "
    "isposinf isneginf isfinite isreal nan_to_num logical_not deg2rad rad2deg"
)
TWO = words(
    "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow "
    "float_power atan2 arctan2 hypot logaddexp logaddexp2 xlogy copysign maximum minimum fmax fmin "
    "eq ne not_equal lt less le less_equal gt greater ge greater_equal logical_and logical_or "
    "logical_xor isclose allclose equal clamp_min clamp_max"
)
WITH_NUMBER = words(
    "add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow "
    "float_power xlogy copysign eq ne not_equal lt less le less_equal gt greater ge greater_equal "
    "clamp_min clamp_max clamp clip rsub"
)
BITS = words("bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift")

WHOLE = words(
    "sum mean var std var_mean std_mean prod max min amax amin aminmax argmax argmin median "
    "nanmedian nansum nanmean norm count_nonzero any all unique unique_consecutive sort argsort "
    "msort mode"
)
KEPT = words(
    "sum mean prod max min amax amin argmax argmin median nanmedian mode nansum nanmean logsumexp "
    "any all"
)
ALONG = words("count_nonzero cumsum cumprod cummax cummin logcumsumexp sort argsort") + KEPT

CALLS = {
    **dict.fromkeys(ONE, (X,)),
    "acosh": (X + 1,),
    "arccosh": (X + 1,),
    **dict.fromkeys(TWO, (X, Y)),
    **{f"{name} number": (X, 2.0) for name in WITH_NUMBER},
    **dict.fromkeys(BITS, (N, abs(M))),
    "bitwise_not": (N,),
    "clamp": (X, 0.3, 0.5),
    "clip": (X, 0.3, 0.5),
    "rsub": (X, Y),
    "lerp": (X, Y, 0.25),
    "addcmul": (X, Y, Y),
    "addcdiv": (X, Y, Y),
    "isin": (X, Y),
    **dict.fromkeys(WHOLE, (X,)),
    **{f"{name} along": (X, 1) for name in ALONG},
    **{f"{name} kept": (X, 1, True) for name in KEPT},
    **{f"{name} by name": (X, {"dim": -1, "keepdim": True}) for name in KEPT},
    "var_mean unbiased": (X, {"dim": 1, "unbiased": False, "keepdim": True}),
    "max other": (X, Y),
    "min other": (X, {"other": Y}),
    "norm": (X, 3, 1),
    "dist": (X, Y, 3),
    "aminmax along": (X, {"dim": 1}),
    "topk": (X, 2),
    "kthvalue": (X, 2),
    "quantile": (X, 0.3),
    "nanquantile": (X, 0.3, 1, True),
    "searchsorted": (np.sort(X), Y),
    "bucketize": (X, np.array([0.3, 0.5])),
    "bincount": (abs(N).ravel(), X.ravel(), 12),
    "histc": (X, 4, 0.2, 0.8),
    "diff": (X, 1, 0),
    "matmul": (X, Y.T),
    "mm": (X, Y.T),
    "bmm": (X[None], Y.T[None]),
    "mv": (X, V),
    "dot": (V, V),
    "vdot": (V, V),
    "inner": (X, Y),
    "outer": (V, X[0]),
    "ger": (V, X[0]),
    "addmm": (X @ Y.T, X, Y.T),
    "addmv": (X[:, 0].copy(), X, V),
    "addr": (X, X[:, 0].copy(), V),
    "addbmm": (X @ Y.T, X[None], Y.T[None]),
    "baddbmm": ((X @ Y.T)[None], X[None], Y.T[None]),
    "einsum": ("ij,ij->j", X, Y),
    "tensordot": (X, Y),
    "kron": (X, Y),
    "cross": (X, Y, 1),
    "trace": (X,),
}


def tensors(t, arguments):
    return [t.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in arguments]


def plain(result):
    """A result's numbers, to be compared."""
    if isinstance(result, (tuple, list)):
        return [plain(r) for r in result]
    return (str(result.dtype), result.tolist()) if hasattr(result, "tolist") else result


def compare(actual, expected):
    if isinstance(expected, list):
        for a, e in zip(actual, expected, strict=True):
            compare(a, e)
    elif isinstance(expected, tuple):
        assert actual[0] == expected[0]
        np.testing.assert_allclose(actual[1], expected[1], rtol=1e-12)
    else:
        assert actual == expected


def spelled(t, name, spelling, arguments):
    """What a spelling gives; the tensor it wrote, if it writes. A dict holds arguments by name."""
    by_name = arguments[-1] if isinstance(arguments[-1], dict) else {}
    if by_name:
        arguments = arguments[:-1]
    by_name = dict(zip(by_name, tensors(t, by_name.values())))
    arguments = tensors(t, arguments)
    if spelling == "function":
        return plain(getattr(t, name)(*arguments, **by_name))
    if spelling == "function_":
        return plain([getattr(t, f"{name}_")(*arguments, **by_name), arguments[0]])
    if spelling == "method":
        return plain(getattr(arguments[0], name)(*arguments[1:], **by_name))
    return plain([getattr(arguments[0], f"{name}_")(*arguments[1:], **by_name), arguments[0]])


def exists(t, name, spelling):
    owner = t if spelling.startswith("function") else t.Tensor
    return hasattr(owner, f"{name}_" if spelling.endswith("_") else name)


@pytest.mark.parametrize("spelling", ["function", "method", "function_", "method_"])
@pytest.mark.parametrize("call", CALLS)
def test_each_spelling_is_pytorchs(call, spelling):
    name = call.split()[0]
    assert exists(mt, name, spelling) == exists(torch, name, spelling)
    if not exists(torch, name, spelling):
        return
    try:
        expected = spelled(torch, name, spelling, CALLS[call])
    except RuntimeError:  # a result of another type than what it is written to
        with pytest.raises(RuntimeError, match="can't be cast"):
            spelled(mt, name, spelling, CALLS[call])
        return
    compare(spelled(mt, name, spelling, CALLS[call]), expected)


OPERATORS = {
    **dict.fromkeys(words("add sub mul truediv floordiv mod pow eq ne lt le gt ge"), (X, Y)),
    **dict.fromkeys(words("and_ or_ xor lshift rshift"), (N, abs(M))),
    "matmul": (X, Y.T),
    "neg": (X,),
    "pos": (X,),
    "abs": (X,),
    "invert": (N,),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_pytorchs(name):
    function = getattr(operator, name)
    arguments = OPERATORS[name]
    compare(plain(function(*tensors(mt, arguments))), plain(function(*tensors(torch, arguments))))
    if len(arguments) == 1 or name == "matmul":
        return
    number = 2 if arguments[0] is N else 2.0
    for pair in [(arguments[0], number), (number, arguments[0])]:
        if pair[0] is number and name in ("lshift", "rshift"):
            pair = (number, abs(M))
        compare(plain(function(*tensors(mt, pair))), plain(function(*tensors(torch, pair))))
    if name in ("eq", "ne", "lt", "le", "gt", "ge"):
        return
    written = getattr(operator, f"i{name.rstrip('_')}")
    for other in (arguments[1], number):
        found = [tensors(t, (arguments[0], other)) for t in (mt, torch)]
        results = [written(*pair) for pair in found]
        assert results[0] is found[0][0]
        compare(plain(results[0]), plain(results[1]))


def test_where_takes_the_condition_first_as_a_function_and_second_as_a_method():
    found = []
    for t in (mt, torch):
        c, x, y = tensors(t, (C, X, Y))
        found.append(plain([t.where(c, x, y), x.where(c, y), t.where(c, x, 2.0), t.where(c)]))
    compare(*found)


NUMPY_NAMES = {
    **dict.fromkeys(
        words("sum mean max min amax amin argmax argmin prod any all median mode"), (X,)
    ),
    **dict.fromkeys(words("cumsum cumprod cummax sort argsort count_nonzero diff"), (X,)),
    **dict.fromkeys(words("squeeze unsqueeze unbind"), (X,)),
    "topk": (X, 1),
    "chunk": (X, 2),
}


@pytest.mark.parametrize("name", NUMPY_NAMES)
def test_dimensions_may_be_called_axes(name):
    for options in ({"axis": 1}, {"axis": 0, "keepdims": True}):
        if "keepdims" in options and name not in KEPT:
            continue
        found = []
        for t in (mt, torch):
            x, *rest = tensors(t, NUMPY_NAMES[name])
            found.append(plain([getattr(t, name)(x, *rest, **options)]))
            found[-1] += plain([getattr(x, name)(*rest, **options)])
        compare(*found)


def test_tensors_are_joined_along_an_axis():
    for name in ("cat", "stack"):
        compare(*[plain(getattr(t, name)(tensors(t, (X, Y)), axis=1)) for t in (mt, torch)])


# Arguments by name


def documented(name):
    """The parameters of PyTorch's function as its documentation lists them: {name: default}, those
    behind "*" to be given by name; None if it lists none."""
    text = re.search(rf"^{name}\((.*?)\)\s*->", getattr(torch, name).__doc__ or "", re.M | re.S)
    if not text:
        return None
    found = {}
    for part in re.split(r",\s*(?![^(\[]*[)\]])", text[1]):
        declared, _, default = part.partition("=")
        declared = declared.partition(":")[0].strip()
        found[declared] = default.strip() or None
    found.pop("out", None)
    if [*found][-1] == "*":
        del found["*"]
    return found


DOCUMENTED_OTHERWISE = {
    **dict.fromkeys(
        words("sum mean prod max min any all median nanmedian nansum argmax norm"),
        "several forms are documented, of which one function takes the arguments of all",
    ),
    **dict.fromkeys(
        words("var std var_mean std_mean"), "PyTorch also takes `unbiased`, which it does not list"
    ),
    "amax": "PyTorch documents dim=None and has ()",
    "amin": "PyTorch documents dim=None and has ()",
    "searchsorted": "PyTorch documents `values` and takes `input`",
    "einsum": "the equation may also stand in lists behind the operands",
    "true_divide": "PyTorch documents (dividend, divisor) and takes (input, other)",
}


@pytest.mark.parametrize("name", sorted({call.split()[0] for call in CALLS}))
def test_arguments_have_pytorchs_names_and_order(name):
    expected = documented(name)
    if expected is None or name in DOCUMENTED_OTHERWISE:
        return
    parameters = dict(inspect.signature(getattr(mt, name)).parameters)
    parameters.pop("into", None)  # by which the in-place forms are made
    actual = {}
    for argument, parameter in parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in actual:
            actual["*"] = None
        empty = parameter.default is parameter.empty
        actual[argument] = None if empty else parameter.default
    assert [*actual] == [*expected]
    for argument, default in expected.items():
        assert actual[argument] == (default and eval(default))
