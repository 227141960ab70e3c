"""Rows of elementwise functions, reductions, sorting and products of matrices."""

import numpy as np
from hypothesis import strategies as st

from .op_table import (
    Row,
    booleans,
    cases,
    exact,
    flags,
    fractional,
    function,
    in_place,
    normal,
    pairs,
    positive,
    repeating,
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

ROWS: list[Row] = [*ELEMENTWISE]
