"""Rows of elementwise functions, reductions, sorting and products of matrices."""

import numpy as np
from hypothesis import strategies as st

from .op_table import (
    Case,
    Row,
    along,
    booleans,
    cases,
    distinct,
    exact,
    filled,
    flags,
    fractional,
    function,
    in_place,
    lists,
    normal,
    over,
    pairs,
    positive,
    repeating,
    shapes,
    sized,
    small_pairs,
    tiny,
    triples,
    unit,
    whole,
)


def above_one(generator, shape):
    return exact(generator.uniform(1.1, 3, shape))


def gentle(generator, shape):
    """Away from 0 and not above 1.5, where tan has its poles."""
    return exact(np.copysign(generator.uniform(0.1, 1.2, shape), generator.normal(size=shape)))


def powers(generator, shape):
    return np.asarray(generator.integers(0, 5, shape))


UNARY = {
    normal: ["exp2", "erfc", "sinh", "cosh", "asinh", "positive", "deg2rad", "rad2deg"],
    gentle: ["tan"],
    unit: ["asin", "acos", "atanh", "logit"],
    above_one: ["acosh"],
    fractional: ["frac", "fix"],
}
IN_PLACE = {
    normal: ["exp2", "square", "deg2rad"],
    positive: ["rsqrt", "float_power"],
    unit: ["logit", "asin"],
    fractional: ["frac"],
}
BINARY = ["fmax", "fmin", "atan2", "hypot", "logaddexp", "logaddexp2", "copysign"]

numbers = st.sampled_from([-2, 0.5, 1, 3])
weights = st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0])

ELEMENTWISE = [
    *[
        Row(name, function(name), cases(tiny, domain), batched=(0,))
        for domain, names in UNARY.items()
        for name in names
    ],
    *[
        Row(
            f"{name}_",
            in_place(name)
            if name != "float_power"
            else lambda t, x: (x * 1).double().float_power_(2),
            cases(tiny, domain),
        )
        for domain, names in IN_PLACE.items()
        for name in names
    ],
    *[
        Row(f"{name} of integers", function(name), cases(tiny, whole))
        for name in ["exp2", "tan", "asinh", "square", "sgn", "signbit", "nan_to_num", "isreal"]
    ],
    *[
        Row(name, function(name), cases(tiny, repeating))
        for name in ["isposinf", "isneginf", "isreal", "signbit"]
    ],
    Row("sgn", lambda t, x: t.sgn(x.detach()), cases(tiny, normal)),
    Row("nan_to_num", function("nan_to_num"), cases(tiny, normal), infinite=False),
    Row(
        "nan_to_num given",
        lambda t, x: t.nan_to_num(x, 1.5, posinf=7, neginf=-8.0),
        cases(tiny, normal),
    ),
    Row(
        "round decimals",
        lambda t, x, decimals: t.round(x, decimals=decimals),
        cases(tiny, normal, decimals=st.sampled_from([-1, 1, 2])),
    ),
    Row("logit eps", lambda t, x: t.logit(x, eps=0.3), cases(tiny, unit)),
    *[Row(name, function(name), cases(pairs, normal, normal), condition=4) for name in BINARY],
    *[
        Row(f"{name} of integers", function(name), cases(pairs, whole, whole))
        for name in ["fmax", "fmin", "atan2", "copysign"]
    ],
    Row("fmod", function("fmod"), cases(pairs, fractional, normal)),
    Row("fmod of integers", lambda t, x: t.fmod(x, 3) + t.fmod(x, -2), cases(tiny, whole)),
    Row("xlogy", function("xlogy"), cases(pairs, normal, positive)),
    Row("addcmul of integers", lambda t, x: t.addcmul(x, x, x, value=1.9), cases(tiny, whole)),
    Row(
        "searchsorted mixed",
        function("bucketize"),
        cases(sized((3,), (2,)), normal, lambda *_: np.array([0, 1])),
    ),
    Row("xlogy of zeros", function("xlogy"), cases(pairs, whole, positive)),
    Row("xlogy number", lambda t, x: t.xlogy(2.5, x) + t.xlogy(x, 2), cases(tiny, positive)),
    Row("rsub", lambda t, x, y: t.rsub(x, y, alpha=2), cases(pairs, normal, normal)),
    Row("float_power", function("float_power"), cases(pairs, positive, normal), condition=4),
    Row("clamp_min", function("clamp_min"), cases(pairs, normal, normal)),
    Row("clamp_max", function("clamp_max"), cases(pairs, normal, normal)),
    Row("bitwise_left_shift", function("bitwise_left_shift"), cases(pairs, whole, powers)),
    Row("bitwise_right_shift", function("bitwise_right_shift"), cases(pairs, whole, powers)),
    Row("shifts", lambda t, x: (x << 2) + (x >> 1) + (2 << x.abs()), cases(tiny, whole)),
    Row(
        "lerp",
        lambda t, x, y, weight: t.lerp(x, y, weight),
        cases(pairs, normal, normal, weight=weights),
    ),
    Row("lerp tensors", function("lerp"), cases(triples(), normal, normal, normal)),
    Row(
        "lerp_",
        lambda t, x, y, weight: (x * 1).lerp_(y, weight),
        cases(tiny, normal, normal, weight=weights),
    ),
    *[
        Row(
            name,
            lambda t, *xs, value, name=name: getattr(t, name)(*xs, value=value),
            cases(triples(), normal, normal, normal, value=numbers),
            condition=4,
        )
        for name in ["addcmul", "addcdiv"]
    ],
    *[
        Row(
            f"{name}_",
            lambda t, x, y, z, name=name: getattr(x * 1, f"{name}_")(y, z, value=2),
            cases(tiny, normal, normal, normal),
            condition=4,
        )
        for name in ["addcmul", "addcdiv"]
    ],
    Row("isclose", lambda t, x, y: t.isclose(x, y, rtol=0.5), cases(pairs, normal, normal)),
    Row(
        "isclose nan",
        lambda t, x, equal_nan: t.isclose(x, x * 1, equal_nan=equal_nan),
        cases(tiny, normal, equal_nan=booleans),
    ),
    Row(
        "isin",
        lambda t, x, y, invert: t.isin(x, y, invert=invert),
        cases(pairs, repeating, repeating, invert=booleans),
    ),
    Row("where condition", lambda t, c: t.where(c), cases(tiny, flags)),
]


def with_nan(generator, shape):
    """Some numbers, the others NaN."""
    return np.where(generator.integers(0, 2, shape) > 0, normal(generator, shape), np.nan)


@st.composite
def over_some(draw, domain=distinct, **options):
    """An array and one or none of its dimensions."""
    case = draw(along(filled, domain, keepdim=booleans, **options))
    if draw(booleans):
        case.options["dim"] = None
    return case


def over_one(name, sizes=filled, domain=normal, **options):
    """A function of an array along one of its dimensions."""
    return Row(name, function(name), along(sizes, domain, **options))


REDUCTIONS = [
    *[
        Row(
            name,
            function(name),
            over(shapes(1, 3, 2, 3), correction=st.sampled_from([0, 1])),
            condition=8,
            infinite=False,  # PyTorch's mean is NaN then, unlike that of its `mean`
        )
        for name in ["var_mean", "std_mean"]
    ],
    Row(
        "aminmax",
        lambda t, x, dim, keepdim: tuple(t.aminmax(x, dim=dim, keepdim=keepdim)),
        along(filled, distinct, keepdim=booleans),
    ),
    Row("aminmax of all", lambda t, x: tuple(t.aminmax(x)), cases(filled, distinct)),
    Row("nansum", function("nansum"), over(tiny, with_nan)),
    Row("nanmean", function("nanmean"), over(filled)),
    Row(
        "nanmean with nan",
        lambda t, x, **options: t.nanmean(x.detach(), **options),
        over(filled, with_nan),
    ),
    Row("count_nonzero", lambda t, x, dim, keepdim: t.count_nonzero(x, dim), over(tiny, repeating)),
    *[
        Row(f"dist {p}", lambda t, x, y, p=p: t.dist(x, y, p), cases(small_pairs, normal, normal))
        for p in [1, 2, np.inf]
    ],
    Row(
        "sum as another type",
        lambda t, x, dim, keepdim: t.sum(x, dim, keepdim, dtype=t.float64),
        over(filled),
    ),
    Row(
        "norm as another type", lambda t, x: t.norm(x, 3, dtype=t.float64), cases(filled, distinct)
    ),
    Row("max of two", lambda t, x, y: t.max(x, other=y), cases(pairs, normal, normal)),
    Row(
        "named as in NumPy",
        lambda t, x: x.sum(axis=0, keepdims=True) - t.mean(x, axis=-1, keepdims=True),
        cases(lists, normal),
    ),
]

SCANS = [
    *[over_one(name, tiny) for name in ["cumsum", "cumprod", "logcumsumexp"]],
    *[
        Row(f"{name} of integers", function(name), along(tiny, whole))
        for name in ["cumsum", "cumprod"]
    ],
    Row("cumsum as", lambda t, x, dim: t.cumsum(x, dim, dtype=t.float32), along(tiny, whole)),
    *[
        Row(f"{name}_", lambda t, x, dim, name=name: getattr(x * 1, f"{name}_")(dim), along(tiny))
        for name in ["cumsum", "cumprod"]
    ],
    *[over_one(name, tiny, distinct) for name in ["cummax", "cummin"]],
    *[
        Row(
            f"{name} of equals",
            lambda t, x, dim, name=name: getattr(t, name)(x.detach(), dim),
            along(tiny, repeating),
        )
        for name in ["cummax", "cummin"]
    ],
    *[
        Row(f"{name} of integers", function(name), along(tiny, whole))
        for name in ["cummax", "cummin"]
    ],
    Row("diff", function("diff"), along(lists, n=st.integers(0, 4))),
    Row(
        "diff joined",
        lambda t, x, y, z: t.diff(x, prepend=y, append=z),
        cases(sized((2, 3), (2, 1), (2, 2)), normal, normal, normal),
    ),
]

descents = {"descending": booleans}

ORDER = [
    over_one("sort", tiny, distinct, **descents),
    over_one("argsort", tiny, distinct, **descents),
    Row(
        "sort stable",
        lambda t, x, **options: t.sort(x.detach(), stable=True, **options),
        along(tiny, repeating, **descents),
    ),
    Row("sort integers", function("sort"), along(filled, flags, stable=st.just(True), **descents)),
    Row("msort", function("msort"), cases(lists, distinct)),
    Row("topk", function("topk"), along(filled, distinct, k=st.just(1), largest=booleans)),
    Row(
        "topk of many",
        lambda t, x, k, largest: t.topk(x, k, 1, largest),
        cases(sized((2, 13, 2)), distinct, k=st.integers(0, 13), largest=booleans),
    ),
    Row("kthvalue", function("kthvalue"), along(filled, distinct, k=st.just(1), keepdim=booleans)),
    Row(
        "kthvalue of many",
        lambda t, x, k: t.kthvalue(x, k),
        cases(sized((2, 5)), distinct, k=st.integers(1, 5)),
    ),
    over_one("mode", filled, distinct, keepdim=booleans),
    Row(
        "mode of equals",
        lambda t, x, dim: t.mode(x.detach(), dim),
        along(filled, repeating),
        infinite=False,  # in PyTorch, NaN may come before a number that is as frequent
    ),
    *[over_one(name, filled, distinct, keepdim=booleans) for name in ["median", "nanmedian"]],
    *[
        Row(f"{name} of all", function(name), cases(filled, distinct))
        for name in ["median", "nanmedian"]
    ],
    Row("nanmedian with nan", lambda t, x: t.nanmedian(x.detach()), cases(filled, with_nan)),
    Row(
        "nanmedian along with nan",
        lambda t, x, dim: t.nanmedian(x.detach(), dim)[0],
        along(filled, with_nan),
    ),
    Row(
        "median along with nan",
        lambda t, x, dim: t.median(x.detach(), dim),
        along(filled, with_nan),
    ),
    Row("median of integers", function("median"), cases(filled, whole)),
    *[
        Row(
            name,
            lambda t, x, q, name=name, **options: getattr(t, name)(
                x, t.tensor(q, dtype=x.dtype) if isinstance(q, list) else q, **options
            ),
            over_some(
                q=st.sampled_from([0.0, 0.3, 0.5, 1.0, [0.25, 0.9]]),
                interpolation=st.sampled_from(["linear", "lower", "higher", "midpoint", "nearest"]),
            ),
            condition=4,
        )
        for name in ["quantile", "nanquantile"]
    ],
    Row(
        "nanquantile with nan",
        lambda t, x, dim, keepdim: t.nanquantile(x.detach(), 0.3, dim, keepdim),
        over_some(with_nan),
        condition=4,
    ),
    Row(
        "searchsorted",
        lambda t, x, y, right: t.searchsorted(t.sort(x)[0], y, right=right),
        cases(sized((2, 4), (2, 3)), repeating, repeating, right=booleans),
        infinite=False,  # where NaN stands in a sorted row is nowhere said
    ),
    Row(
        "searchsorted in one row",
        lambda t, x, y: t.searchsorted(x, y, side="right", sorter=t.argsort(x), out_int32=True),
        cases(sized((4,), (2, 3)), distinct, repeating),
        infinite=False,
    ),
    Row(
        "bucketize",
        lambda t, x, y, right: t.bucketize(x, t.sort(y)[0], right=right),
        cases(sized((2, 3), (3,)), repeating, repeating, right=booleans),
    ),
    Row(
        "bincount",
        lambda t, x, least: t.bincount(x, minlength=least),
        cases(shapes(1, 1, 0, 5), powers, least=st.sampled_from([0, 3, 7])),
    ),
    Row(
        "bincount weighted",
        lambda t, x, y: t.bincount(x, y.detach()),
        cases(shapes(1, 1, 0, 5), powers, normal),
    ),
    Row(
        "histc",
        lambda t, x, bins, ends: t.histc(x.detach(), bins, *ends),
        cases(tiny, normal, bins=st.integers(1, 4), ends=st.sampled_from([(-1, 1), (0, 0), ()])),
        infinite=False,
    ),
    Row(
        "unique",
        lambda t, x, dim: t.unique(x.detach(), return_inverse=True, return_counts=True, dim=dim),
        cases(lists, repeating, dim=st.sampled_from([None, 0, -1])),
    ),
    Row("unique alone", lambda t, x: t.unique(x.detach()), cases(tiny, repeating)),
    Row(
        "unique_consecutive",
        lambda t, x, dim: t.unique_consecutive(
            x.detach(), return_inverse=True, return_counts=True, dim=dim
        ),
        cases(lists, repeating, dim=st.sampled_from([None, 0, -1])),
    ),
]


@st.composite
def sums(draw):
    """What einsum takes beyond plain letters: "...", letters twice, sizes of 1, other spellings."""
    equation, *sizes = draw(
        st.sampled_from(
            [
                ("ii->i", (3, 3)),
                ("ii", (2, 2)),
                ("iji->j", (2, 3, 2)),
                ("iij,jk->ik", (2, 2, 3), (3, 2)),
                ("...ij,...jk->...ik", (2, 2, 3), (1, 3, 2)),
                ("...ij,jk", (2, 1, 2, 3), (3, 2)),
                ("b...,b...->b", (2, 3, 1), (2, 1, 2)),
                ("...->", (2, 3)),
                ("i...->...i", (2, 3, 2)),
                ("...a,...a,...b->...b", (2, 3), (3,), (2, 2)),
                ("ij,jk->ik", (2, 1), (3, 2)),
                ("ij,ij->ij", (2, 3), (1, 3)),
                (" i j , j -> i ", (2, 3), (3,)),
                ("Ab,bA->bA", (2, 3), (3, 2)),
                ("bA,bA", (2, 3), (2, 3)),
                ("bhqd,bhkd->bhqk", (2, 1, 2, 3), (2, 1, 3, 3)),
                ("ijk,jkl,li->", (2, 2, 3), (2, 3, 2), (2, 2)),
                ("ij,kl->ijkl", (2, 1), (2, 2)),
            ]
        )
    )
    case = draw(cases(sized(*sizes), *[normal] * len(sizes)))
    return Case(case.arrays, {"equation": equation})


def linalg(name):
    """torch.linalg.name(*tensors, **options)"""
    return lambda t, *tensors, **options: getattr(t.linalg, name)(*tensors, **options)


factors = {"beta": st.sampled_from([0, 1, 0.5]), "alpha": st.sampled_from([1, -2])}

PRODUCTS = [
    Row("einsum widely", lambda t, *xs, equation: t.einsum(equation, *xs), sums(), condition=4),
    Row(
        "einsum by numbers",
        lambda t, x, y: t.einsum(x, [0, 1], y, [1, 2], [0, 2]) + t.einsum(x, [..., 27], y, [27, 3]),
        cases(sized((2, 3), (3, 2)), normal, normal),
    ),
    Row(
        "einsum of a list",
        lambda t, x, y: t.einsum("i,j", [x, y]),
        cases(sized((2,), (3,)), normal, normal),
    ),
    Row(
        "einsum of integers",
        lambda t, x, y: t.einsum("ij,jk->ik", x, y) + t.einsum("ij->i", x)[:, None],
        cases(sized((2, 3), (3, 2)), whole, whole),
    ),
    *[
        Row(name, function(name), cases(sized(*sizes), *[normal] * len(sizes)))
        for name, sizes in {
            "mv": [(2, 3), (3,)],
            "vdot": [(3,), (3,)],
            "outer": [(2,), (3,)],
            "ger": [(2,), (0,)],
            "inner": [(2, 3), (2, 2, 3)],
            "kron": [(2, 3), (2, 1, 2)],
            "trace": [(3, 2)],
        }.items()
    ],
    Row("inner of numbers", function("inner"), cases(sized((), (2, 3)), normal, normal)),
    *[
        Row(name, function(name), cases(sized(*sizes), *[normal] * 3, **factors), condition=4)
        for name, sizes in {
            "addmm": [(3,), (2, 2), (2, 3)],
            "addmv": [(2,), (2, 3), (3,)],
            "addr": [(2, 1), (2,), (3,)],
            "addbmm": [(2, 3), (2, 2, 2), (2, 2, 3)],
            "baddbmm": [(1, 3), (2, 2, 2), (2, 2, 3)],
        }.items()
    ],
    Row(
        "addmm_",
        lambda t, x, y, z, **options: (x * 1).addmm_(y, z, **options),
        cases(sized((2, 3), (2, 2), (2, 3)), *[normal] * 3, **factors),
    ),
    *[
        Row(
            f"tensordot {dims}",
            lambda t, x, y, dims=dims: t.tensordot(x, y, dims=dims),
            cases(sized(*sizes), normal, normal),
        )
        for dims, sizes in [
            (0, [(2,), (3,)]),
            (1, [(2, 3), (3, 2)]),
            (2, [(1, 2, 3), (2, 3)]),
            (([0, -1], [1, 0]), [(2, 2, 3), (3, 2, 2)]),
        ]
    ],
    Row(
        "cross",
        lambda t, x, y: t.cross(x, y, dim=1),
        cases(sized((2, 3), (2, 3)), normal, normal),
    ),
    # PyTorch warns of these two forms.
    Row(
        "cross anywhere",
        function("cross"),
        cases(sized((3, 3), (3, 3)), normal, normal),
        lambda x, y: np.cross(x, y, axis=0),
        peer=False,
    ),
    Row(
        "chain_matmul",
        function("chain_matmul"),
        cases(sized((2, 3), (3, 1), (1, 4), (4, 2)), *[normal] * 4),
        lambda *xs: np.linalg.multi_dot(xs),
        peer=False,
    ),
    Row("linalg.cross", linalg("cross"), cases(sized((2, 1, 3), (1, 2, 3)), normal, normal)),
    Row("linalg.vecdot", linalg("vecdot"), cases(lists, normal, normal)),
    *[
        Row(
            f"linalg.vector_norm {p}",
            linalg("vector_norm"),
            over(filled, distinct, ord=st.just(p)),
        )
        for p in [2, 1, np.inf, 3]
    ],
    *[
        Row(
            f"linalg.matrix_norm {p}",
            linalg("matrix_norm"),
            cases(
                sized((2, 3, 2)),
                normal,
                ord=st.just(p),
                dim=st.sampled_from([(-2, -1), (0, 1), (2, 0)]),
                keepdim=booleans,
            ),
            condition=4,
        )
        for p in ["fro", 1, -1, np.inf, -np.inf]
    ],
    *[
        Row(
            f"linalg.norm {p} {dim}",
            lambda t, x, p=p, dim=dim: t.linalg.norm(x, p, dim),
            cases(sized((3, 2)), distinct),
        )
        for p, dim in [(None, None), ("fro", None), (1, None), (1, 0), (3, 1), (np.inf, (1, 0))]
    ],
    Row(
        "linalg.multi_dot",
        lambda t, *xs: t.linalg.multi_dot(xs),
        cases(sized((3,), (3, 2), (2, 4), (4,)), *[normal] * 4),
    ),
    Row(
        "linalg.matrix_power",
        linalg("matrix_power"),
        cases(sized((2, 2, 2)), normal, n=st.integers(1, 5)),
        condition=32,
    ),
    Row("linalg.diagonal", linalg("diagonal"), cases(sized((2, 3, 2)), normal)),
    Row("linalg.matmul", linalg("matmul"), cases(sized((2, 3), (3, 2)), normal, normal)),
]

ROWS: list[Row] = [*ELEMENTWISE, *REDUCTIONS, *SCANS, *ORDER, *PRODUCTS]
