"""Rows of activations, normalisation, dropout, losses and embeddings."""

import numpy as np
from hypothesis import strategies as st

from .op_table import (
    Case,
    Row,
    booleans,
    cases,
    fractional,
    functional,
    lists,
    normal,
    positive,
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

# Normalisation and dropout


def seeded(t, drop, x):
    t.manual_seed(0)
    return drop(x, 0.5, training=True)


@st.composite
def normed(draw, shape_of_weights, sizes, bias=True, **options):
    """An array that is normalised, with or without weights and biases in a shape of its own."""
    shape = draw(sizes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays = [normal(generator, shape)]
    if draw(booleans):
        vectors = 2 if bias else 1
        arrays += [normal(generator, shape_of_weights(shape)) for _ in range(vectors)]
    return Case(arrays, {name: draw(option) for name, option in options.items()})


wide = st.tuples(st.integers(1, 3), st.just(4), st.integers(2, 3))
images = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 3), st.integers(1, 3))
epsilons = st.sampled_from([1e-3, 0.1])


def over_groups(x, weight=1.0, bias=0.0, *, num_groups, eps):
    groups = x.reshape(x.shape[0], num_groups, -1)
    variance = groups.var(-1, keepdims=True)
    unit = ((groups - groups.mean(-1, keepdims=True)) / np.sqrt(variance + eps)).reshape(x.shape)
    along = (-1,) + (1,) * (x.ndim - 2)
    return unit * np.reshape(weight, along) + np.reshape(bias, along)


def instances(t, x, weight=None, bias=None, *, mean=None, var=None, **options):
    """The output and what became of the running statistics."""
    if mean is None:
        return t.nn.functional.instance_norm(x, None, None, weight, bias, **options)
    mean, var = mean.clone(), var.clone()
    y = t.nn.functional.instance_norm(x, mean, var, weight, bias, **options)
    return y, mean, var


@st.composite
def tracked(draw):
    case = draw(normed(lambda shape: shape[1:2], images, eps=epsilons))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = case.arrays[0].shape[1]
    case.options["mean"] = normal(generator, (channels,))
    case.options["var"] = positive(generator, (channels,))
    case.options["use_input_stats"] = draw(booleans)
    case.options["momentum"] = draw(st.sampled_from([0.1, 0.5]))
    return case


normalisation = [
    Row(
        "group_norm",
        lambda t, x, *vectors, num_groups, eps: t.nn.functional.group_norm(
            x, num_groups, *vectors, eps=eps
        ),
        normed(lambda s: s[1:2], wide, eps=epsilons, num_groups=st.sampled_from([1, 2, 4])),
        over_groups,
        batched=(0,),
        condition=64,
    ),
    Row(
        "layer_norm",
        lambda t, x, *vectors, eps: t.nn.functional.layer_norm(x, x.shape[-2:], *vectors, eps=eps),
        normed(lambda s: s[-2:], shapes(2, 4, 1, 3), eps=epsilons),
        condition=64,
    ),
    Row(
        "rms_norm",
        lambda t, x, *vectors, eps: t.nn.functional.rms_norm(x, x.shape[-1:], *vectors, eps=eps),
        normed(lambda s: s[-1:], lists, bias=False, eps=st.sampled_from([None, 0.1])),
        condition=64,
    ),
    Row(
        "instance_norm",
        instances,
        normed(lambda s: s[1:2], images, eps=epsilons),
        condition=64,
    ),
    Row("instance_norm tracked", instances, tracked(), condition=64),
    Row(
        "local_response_norm",
        functional("local_response_norm"),
        cases(
            st.sampled_from([(1, 4, 2), (2, 3, 1, 2), (1, 2, 1, 2, 2)]),
            normal,
            size=st.sampled_from([1, 2, 3, 5]),
            alpha=st.sampled_from([1e-4, 0.5]),
            k=st.sampled_from([1.0, 2.0]),
        ),
        batched=(0,),
    ),
    *[
        Row(
            f"{name} of all or nothing",
            lambda t, x, p, name=name: getattr(t.nn.functional, name)(x, p, training=True),
            cases(sizes, normal, p=st.sampled_from([0.0, 1.0])),
        )
        for name, sizes in [
            ("dropout1d", st.sampled_from([(2, 3), (1, 2, 3)])),
            ("dropout2d", st.just((2, 2, 2, 1))),
            ("alpha_dropout", tiny),
            ("feature_alpha_dropout", st.just((2, 2, 2))),
        ]
    ],
    *[
        Row(
            f"{name} seeded",
            lambda t, x, name=name: seeded(t, getattr(t.nn.functional, name), x),
            cases(st.just((2, 3, 1, 2)), normal),
            peer=False,
        )
        for name in ["dropout2d", "alpha_dropout", "feature_alpha_dropout"]
    ],
]

ROWS: list[Row] = [*activations, *normalisation]
