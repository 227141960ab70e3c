"""What the mathematical functions refuse, as PyTorch does, with the offending values."""

import math

import pytest

import minitorch_cnn as mt

NAN, INF = math.nan, math.inf


def ones(t, *shape, dtype="float32"):
    return t.ones(*shape, dtype=getattr(t, dtype))


def whole(t, *shape):
    return t.ones(*shape, dtype=t.int64)


REFUSED = {
    # Elementwise
    "maximum number": (lambda t: t.maximum(ones(t, 2), 1), TypeError, "1"),
    "atan2 number": (lambda t: t.atan2(ones(t, 2), 1.0), TypeError, "1.0"),
    "logical_and number": (lambda t: t.logical_and(ones(t, 2), 1), TypeError, "1"),
    "hypot integers": (
        lambda t: t.hypot(whole(t, 2), whole(t, 2)),
        NotImplementedError,
        "int64",
    ),
    "logaddexp integers": (
        lambda t: t.logaddexp(whole(t, 2), whole(t, 2)),
        NotImplementedError,
        "int64",
    ),
    "fmod zero": (lambda t: t.fmod(whole(t, 2), 0), RuntimeError, "zero|Zero"),
    "frac integers": (lambda t: t.frac(whole(t, 2)), NotImplementedError, "int64"),
    "positive bool": (lambda t: t.positive(ones(t, 2, dtype="bool")), RuntimeError, "bool"),
    "shift floats": (
        lambda t: t.bitwise_left_shift(ones(t, 2), ones(t, 2)),
        NotImplementedError,
        "float32",
    ),
    "lerp types": (lambda t: t.lerp(ones(t, 2), ones(t, 2).double(), 0.5), RuntimeError, "float64"),
    "lerp weight": (
        lambda t: t.lerp(ones(t, 2), ones(t, 2), ones(t, 2).double()),
        RuntimeError,
        "float64",
    ),
    "lerp sizes": (lambda t: t.lerp(ones(t, 2), ones(t, 3), 0.5), RuntimeError, "2 and 3"),
    "addcdiv integers": (
        lambda t: t.addcdiv(*[whole(t, 2)] * 3),
        RuntimeError,
        "int64",
    ),
    "isclose types": (
        lambda t: t.isclose(ones(t, 2), ones(t, 2).double()),
        RuntimeError,
        "float64",
    ),
    "isclose rtol": (lambda t: t.isclose(ones(t, 2), ones(t, 2), rtol=-1.0), RuntimeError, "-1.0"),
    "square_ of a leaf": (
        lambda t: ones(t, 2).requires_grad_().square_(),
        RuntimeError,
        "leaf Variable",
    ),
    "rsqrt_ of a leaf": (
        lambda t: ones(t, 2).requires_grad_().rsqrt_(),
        RuntimeError,
        "leaf Variable",
    ),
    "exp2_ of integers": (
        lambda t: whole(t, 2).exp2_(),
        RuntimeError,
        "can't be cast",
    ),
    "logit_ of integers": (
        lambda t: whole(t, 2).logit_(),
        RuntimeError,
        "can't be cast",
    ),
    "hypot_ shape": (lambda t: ones(t, 2).hypot_(ones(t, 3, 2)), RuntimeError, r"\[3, 2\]"),
    "addmm_ shape": (
        lambda t: ones(t, 2).addmm_(ones(t, 2, 2), ones(t, 2, 2)),
        (RuntimeError, IndexError),
        r"\[2, 2\]",
    ),
    # Reductions and scans
    "nanmean integers": (
        lambda t: t.nanmean(whole(t, 2)),
        RuntimeError,
        "int64",
    ),
    "max of nothing": (lambda t: t.max(ones(t, 0)), RuntimeError, "max"),
    "aminmax of nothing": (lambda t: t.aminmax(ones(t, 0)), RuntimeError, "amin"),
    "cumsum dim": (lambda t: t.cumsum(ones(t, 2), 1), IndexError, "1"),
    "cummax dim": (lambda t: t.cummax(ones(t, 2), -2), IndexError, "-2"),
    "diff order": (lambda t: t.diff(ones(t, 2), n=-1), RuntimeError, "-1"),
    "diff number": (lambda t: t.diff(t.tensor(1.0)), RuntimeError, "at least one"),
    # Order
    "sort dim": (lambda t: t.sort(ones(t, 2, 2), 2), IndexError, "2"),
    "topk 3": (lambda t: t.topk(ones(t, 2), 3), RuntimeError, "k"),
    "topk -1": (lambda t: t.topk(ones(t, 2), -1), RuntimeError, "k"),
    "kthvalue 0": (lambda t: t.kthvalue(ones(t, 2), 0), (RuntimeError, IndexError), "k"),
    "kthvalue 3": (lambda t: t.kthvalue(ones(t, 2), 3), (RuntimeError, IndexError), "k"),
    "median of nothing": (lambda t: t.median(ones(t, 2, 0), 1), IndexError, "1"),
    "mode of nothing": (lambda t: t.mode(ones(t, 2, 0), 1), (RuntimeError, IndexError), "1"),
    "quantile 2": (lambda t: t.quantile(ones(t, 2), 2.0), RuntimeError, "0 and 1|range"),
    "quantiles 2": (lambda t: t.quantile(ones(t, 2), ones(t, 2) * 2), RuntimeError, "2|range"),
    "quantile nan": (lambda t: t.quantile(ones(t, 2), NAN), RuntimeError, "nan|range"),
    "quantile integers": (
        lambda t: t.quantile(whole(t, 2), 0.5),
        RuntimeError,
        "float",
    ),
    "quantile name": (
        lambda t: t.quantile(ones(t, 2), 0.5, interpolation="cubic"),
        RuntimeError,
        "cubic|interpolation",
    ),
    "quantile q": (lambda t: t.quantile(ones(t, 2), ones(t, 1, 1)), RuntimeError, "q"),
    "quantile of nothing": (lambda t: t.quantile(ones(t, 0), 0.5), RuntimeError, "elements|empty"),
    "searchsorted rows": (
        lambda t: t.searchsorted(ones(t, 2, 2), ones(t, 3, 2)),
        RuntimeError,
        r"\[2, 2\]",
    ),
    "searchsorted side": (
        lambda t: t.searchsorted(ones(t, 2), ones(t, 2), side="middle"),
        RuntimeError,
        "middle",
    ),
    "searchsorted sides": (
        lambda t: t.searchsorted(ones(t, 2), ones(t, 2), side="left", right=True),
        RuntimeError,
        "left",
    ),
    "bucketize rank": (lambda t: t.bucketize(ones(t, 2), ones(t, 2, 2)), RuntimeError, "2"),
    "bincount negative": (lambda t: t.bincount(t.tensor([-1])), RuntimeError, "negative"),
    "bincount floats": (lambda t: t.bincount(ones(t, 2)), RuntimeError, "float32|Float"),
    "bincount weights": (
        lambda t: t.bincount(t.tensor([1]), ones(t, 2)),
        RuntimeError,
        r"\[2\]|length",
    ),
    "histc integers": (lambda t: t.histc(t.tensor([1])), NotImplementedError, "int64|Long"),
    "histc bins": (lambda t: t.histc(ones(t, 2), 0), RuntimeError, "bins"),
    "histc order": (lambda t: t.histc(ones(t, 2), 2, 3, 1), RuntimeError, "max"),
    "histc nan": (lambda t: t.histc(ones(t, 2) * NAN, 2), RuntimeError, "nan"),
    # Products
    "mv rank": (lambda t: t.mv(ones(t, 2), ones(t, 2)), RuntimeError, "2|matrix"),
    "outer rank": (lambda t: t.outer(ones(t, 2, 2), ones(t, 2)), RuntimeError, "1D|1-D"),
    "inner sizes": (lambda t: t.inner(ones(t, 2), ones(t, 3)), RuntimeError, "2.*3"),
    "trace rank": (lambda t: t.trace(ones(t, 2)), RuntimeError, "2D|matrix"),
    "cross size": (lambda t: t.cross(ones(t, 2, 3), ones(t, 2, 3), dim=0), RuntimeError, "0"),
    "addmm sizes": (
        lambda t: t.addmm(ones(t, 3), ones(t, 2, 2), ones(t, 2, 2)),
        RuntimeError,
        "3|expanded",
    ),
    "addmm mixed": (
        lambda t: t.addmm(ones(t, 2).double(), ones(t, 2, 2), ones(t, 2, 2)),
        RuntimeError,
        "float64|dtype",
    ),
    "tensordot sizes": (
        lambda t: t.tensordot(ones(t, 2, 3), ones(t, 2, 4), 1),
        RuntimeError,
        "2.*3|3",
    ),
    "tensordot dims": (lambda t: t.tensordot(ones(t, 2), ones(t, 2), 2), RuntimeError, "2"),
    "einsum twice": (
        lambda t: t.einsum("ij->ii", ones(t, 2, 2)),
        RuntimeError,
        "ii|more than once",
    ),
    "einsum number": (lambda t: t.einsum(ones(t, 2), [60]), (ValueError, RuntimeError), "60|52"),
    "multi_dot one": (lambda t: t.linalg.multi_dot([ones(t, 2, 2)]), RuntimeError, "1"),
    "multi_dot stacks": (
        lambda t: t.linalg.multi_dot([ones(t, 2, 2), ones(t, 2, 2, 2), ones(t, 2, 2)]),
        RuntimeError,
        "1|2",
    ),
    "matrix_norm dims": (
        lambda t: t.linalg.matrix_norm(ones(t, 2, 2), dim=(0, 0)),
        RuntimeError,
        "0",
    ),
    "matrix_norm vector": (lambda t: t.linalg.matrix_norm(ones(t, 2)), RuntimeError, "2"),
    "matrix_norm name": (lambda t: t.linalg.matrix_norm(ones(t, 2, 2), 3), RuntimeError, "3"),
    "matrix_norm integers": (
        lambda t: t.linalg.matrix_norm(whole(t, 2, 2), 1),
        RuntimeError,
        "int64|Long",
    ),
    "norm of stacks": (lambda t: t.linalg.norm(ones(t, 2, 2, 2), 1), RuntimeError, "2|1-D"),
    "matrix_power": (lambda t: t.linalg.matrix_power(ones(t, 2, 3), 2), RuntimeError, "3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_arguments_are_refused_with_their_values(name):
    call, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        call(mt)


@pytest.mark.parametrize("name", REFUSED)
def test_pytorch_refuses_them_too(name):
    torch = pytest.importorskip("torch")
    call, error, _ = REFUSED[name]
    with pytest.raises(error):
        call(torch)


@pytest.mark.parametrize("order", ["nuc", 2, -2])
def test_norms_of_singular_values_are_named_as_missing(order):
    with pytest.raises(NotImplementedError, match="singular values"):
        mt.linalg.matrix_norm(mt.ones(2, 2), order)


def test_negative_powers_of_matrices_are_named_as_missing():
    with pytest.raises(NotImplementedError, match="-1 needs an inverse"):
        mt.linalg.matrix_power(mt.eye(2), -1)


def test_an_in_place_form_leaves_its_tensor_alone_when_it_refuses():
    x = mt.tensor([1, 2])
    for write in (lambda: x.exp2_(), lambda: x.logit_(), lambda: x.float_power_(2)):
        with pytest.raises(RuntimeError, match="can't be cast"):
            write()
    assert x.tolist() == [1, 2]
    y = mt.tensor([4.0, 9.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        y.rsqrt_()
    assert y.tolist() == [4.0, 9.0]


def test_a_composed_in_place_form_has_the_gradient_of_what_it_wrote():
    x = mt.tensor([4.0, 0.25], requires_grad=True)
    y = x * 1
    y.rsqrt_()
    y.sum().backward()
    expected = [-0.5 * v**-1.5 for v in (4.0, 0.25)]
    assert x.grad.tolist() == pytest.approx(expected)


def test_a_composed_in_place_form_keeps_what_another_argument_needs():
    x, power = mt.tensor([2.0, 3.0]).double(), mt.tensor([3.0, 2.0], requires_grad=True)
    x.float_power_(power)
    x.sum().backward()
    expected = [2**3 * math.log(2), 3**2 * math.log(3)]
    assert power.grad.tolist() == pytest.approx(expected, rel=1e-6)


def test_results_have_names_and_print_as_pytorchs():
    torch = pytest.importorskip("torch")
    values = [[3.0, 1.0], [2.0, 5.0]]
    for name in ["max", "min", "sort", "median", "nanmedian", "mode", "cummax", "cummin"]:
        found = [getattr(t, name)(t.tensor(values), 1) for t in (mt, torch)]
        assert repr(found[0]) == repr(found[1])
        assert found[0].values is found[0][0]
        assert found[0].indices is found[0][1]
        assert isinstance(found[0], getattr(mt.return_types, name))
    for call in (
        lambda t, x: t.topk(x, 1),
        lambda t, x: t.kthvalue(x, 2),
        lambda t, x: t.aminmax(x),
    ):
        assert repr(call(mt, mt.tensor(values))) == repr(call(torch, torch.tensor(values)))
