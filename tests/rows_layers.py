"""Rows of activations, normalisation, dropout, losses and embeddings."""

import numpy as np
from hypothesis import strategies as st

from .op_table import (
    Row,
    cases,
    fractional,
    functional,
    normal,
    shapes,
    sized,
    tiny,
)

# Activations

ACTIVATIONS = {
    # name: its options. Numbers are drawn away from multiples of 1/2, where kinks are.
    "relu6": {},
    "hardtanh": {"min_val": st.sampled_from([-1.0, -2.5]), "max_val": st.sampled_from([1.0, 2])},
    "hardswish": {},
    "elu": {"alpha": st.sampled_from([1.0, 0.3])},
    "celu": {"alpha": st.sampled_from([1.0, 0.25])},  # PyTorch holds 1/alpha as a float32
    "selu": {},
    "mish": {},
    "threshold": {"threshold": st.sampled_from([0.5, -1]), "value": st.sampled_from([3, -0.5])},
    "rrelu": {"lower": st.sampled_from([0.1, 0.25])},
    "softplus": {"beta": st.sampled_from([1, 2.0]), "threshold": st.sampled_from([20, 2.0])},
    "logsigmoid": {},
    "softsign": {},
    "tanhshrink": {},
    "hardshrink": {"lambd": st.sampled_from([0.5, 1])},
    "softshrink": {"lambd": st.sampled_from([0.5, 0])},
}
IN_PLACE = ["relu6", "hardtanh", "hardswish", "elu", "celu", "selu", "mish"]
IN_PLACE += ["threshold", "rrelu"]
WRITING = ["hardtanh_", "elu_", "celu_", "selu_", "leaky_relu_", "rrelu_"]

activations = [
    *[
        Row(name, functional(name), cases(tiny, fractional, **options), batched=(0,))
        for name, options in ACTIVATIONS.items()
    ],
    *[
        Row(
            f"{name} inplace",
            lambda t, x, name=name, **options: getattr(t.nn.functional, name)(
                x * 1, inplace=True, **options
            ),
            cases(tiny, fractional, **ACTIVATIONS[name]),
        )
        for name in IN_PLACE
    ],
    *[
        Row(
            name,
            lambda t, x, name=name: getattr(t.nn.functional, name)(x * 1),
            cases(tiny, fractional),
        )
        for name in WRITING
    ],
    Row(
        "threshold_",
        lambda t, x: t.nn.functional.threshold_(x * 1, 0.5, 2.0),
        cases(tiny, fractional),
    ),
    Row(
        "hardsigmoid",
        functional("hardsigmoid"),
        cases(tiny, fractional),
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        peer=False,  # PyTorch holds the slope of 1/6 as a float32, for float64 too
    ),
    Row(
        "hardsigmoid inplace",
        lambda t, x: t.nn.functional.hardsigmoid(x.detach() * 1, inplace=True),
        cases(tiny, fractional),
    ),
    Row("prelu", functional("prelu"), cases(sized((2, 3, 2), (3,)), fractional, normal)),
    Row("prelu of one weight", functional("prelu"), cases(sized((4, 2), (1,)), fractional, normal)),
    Row("prelu of numbers", functional("prelu"), cases(sized((4,), ()), fractional, normal)),
    Row(
        "rrelu training",
        lambda t, x: t.nn.functional.rrelu(x, 0.25, 0.25, training=True),
        cases(tiny, fractional),
    ),
    Row(
        "glu",
        lambda t, x, dim: t.nn.functional.glu(t.cat([x, 2 * x], dim), dim),
        cases(shapes(2, 3, 0, 3), normal, dim=st.sampled_from([0, -1])),
    ),
]

ROWS: list[Row] = [*activations]
