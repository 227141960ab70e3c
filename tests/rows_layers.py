"""Rows of activations, normalisation, dropout, losses and embeddings."""

import numpy as np
from hypothesis import strategies as st

from .op_table import (
    Case,
    Row,
    booleans,
    cases,
    distinct,
    fractional,
    functional,
    lists,
    normal,
    positive,
    reductions,
    seeds,
    shapes,
    sized,
    tiny,
    unit,
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
    generator = np.random.default_rng(draw(seeds))
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
    generator = np.random.default_rng(draw(seeds))
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

# Distances and losses


def signs(generator, shape):
    """1 and -1, which no gradient is asked for of."""
    return np.asarray(generator.integers(0, 2, shape) * 2 - 1)


def counts(generator, shape):
    return np.asarray(generator.integers(0, 5, shape) + 0.25)


def named(name, **fixed):
    """torch.nn.functional.name(*tensors, **options), and options of every call."""
    return lambda t, *tensors, **options: getattr(t.nn.functional, name)(
        *tensors, **options, **fixed
    )


vectors = st.tuples(st.integers(1, 3), st.integers(1, 3))
margins = st.sampled_from([0.5, 1.05])


@st.composite
def classed(draw, **options):
    """Scores, labels and weights of classes."""
    shape = draw(st.sampled_from([(3,), (2, 3), (1, 4)]))
    generator = np.random.default_rng(draw(seeds))
    target = generator.integers(0, shape[-1], shape[:-1])
    case = Case([fractional(generator, shape), np.asarray(target)])
    case.options.update({name: draw(option) for name, option in options.items()})
    if draw(booleans):
        case.options["weight"] = positive(generator, shape[-1:])
    return case


@st.composite
def many_labels(draw):
    """Scores, and labels up to the first -1."""
    shape = draw(st.sampled_from([(3,), (2, 3), (1, 4)]))
    generator = np.random.default_rng(draw(seeds))
    target = np.stack(
        [generator.permutation(shape[-1]) for _ in range(shape[0] if shape[1:] else 1)]
    )
    target = np.where(generator.random(target.shape) < 0.3, -1, target).reshape(shape)
    return Case([fractional(generator, shape), target], {"reduction": draw(reductions)})


def sets(generator, shape):
    return np.asarray(generator.integers(0, 2, shape), np.int64)


distances = [
    Row(
        "normalize",
        functional("normalize"),
        cases(
            shapes(2, 3, 1, 3), distinct, p=st.sampled_from([1, 2.0]), dim=st.sampled_from([0, 1])
        ),
        batched=(),
        condition=8,
    ),
    Row(
        "normalize nothing",
        lambda t, x: t.nn.functional.normalize(x * 1e-20),
        cases(st.just((2, 2)), normal),
        infinite=False,
        condition=1e4,
        peer=False,
    ),
    Row(
        "cosine_similarity",
        functional("cosine_similarity"),
        cases(sized((2, 3), (1, 3)), normal, normal, dim=st.sampled_from([0, -1])),
        condition=8,
    ),
    Row(
        "pairwise_distance",
        functional("pairwise_distance"),
        cases(
            st.sampled_from([[(2, 3), (2, 3)], [(3,), (3,)], [(2, 3), (3,)]]),
            normal,
            lambda generator, shape: 3 + unit(generator, shape),
            p=st.sampled_from([1.0, 2.0]),
            keepdim=booleans,
        ),
        condition=8,
    ),
]

losses = [
    *[
        Row(
            f"{name} weighted",
            functional(name),
            cases(vectors, normal, normal, positive, reduction=reductions).map(
                lambda case: Case(case.arrays[:2], {**case.options, "weight": case.arrays[2]})
            ),
        )
        for name in ["mse_loss", "l1_loss", "huber_loss"]
    ],
    Row(
        "huber_loss",
        functional("huber_loss"),
        cases(tiny, fractional, fractional, reduction=reductions, delta=margins),
        batched=(0, 1),
    ),
    Row(
        "smooth_l1_loss",
        functional("smooth_l1_loss"),
        cases(
            tiny, fractional, fractional, reduction=reductions, beta=st.sampled_from([0, 0.5, 1.05])
        ),
        batched=(0, 1),
    ),
    Row(
        "kl_div",
        functional("kl_div"),
        cases(vectors, normal, positive, reduction=st.sampled_from(["none", "sum", "batchmean"])),
        batched=(0, 1),
    ),
    Row(
        "kl_div of logarithms",
        named("kl_div", log_target=True, reduction="batchmean"),
        cases(vectors, normal, normal),
    ),
    Row(
        "kl_div of no chance",
        lambda t, x, y: t.nn.functional.kl_div(x, y.detach() * 0, reduction="sum"),
        cases(vectors, normal, positive),
    ),
    Row(
        "soft_margin_loss",
        functional("soft_margin_loss"),
        cases(tiny, normal, signs, reduction=reductions),
        infinite=False,  # PyTorch's overflows
    ),
    Row(
        "poisson_nll_loss",
        functional("poisson_nll_loss"),
        cases(tiny, positive, counts, log_input=booleans, full=booleans, reduction=reductions),
        batched=(0, 1),
        condition=4,
    ),
    Row(
        "gaussian_nll_loss",
        functional("gaussian_nll_loss"),
        cases(
            st.sampled_from([[(2, 3)] * 3, [(2, 3), (2, 3), (2,)], [(2, 3), (2, 3), (2, 1)]]),
            *[normal, normal, positive],
            full=booleans,
            reduction=reductions,
        ),
        condition=4,
    ),
    Row(
        "gaussian_nll_loss of one variance",
        named("gaussian_nll_loss", var=0.5),
        cases(tiny, normal, normal),
    ),
    Row(
        "margin_ranking_loss",
        functional("margin_ranking_loss"),
        cases(tiny, fractional, distinct, signs, margin=margins, reduction=reductions),
    ),
    Row(
        "hinge_embedding_loss",
        functional("hinge_embedding_loss"),
        cases(tiny, fractional, signs, margin=margins, reduction=reductions),
        batched=(0, 1),
    ),
    Row(
        "cosine_embedding_loss",
        functional("cosine_embedding_loss"),
        cases(
            st.sampled_from([[(2, 3), (2, 3), (2,)], [(3,), (3,), ()]]),
            *[normal, normal, signs],
            margin=st.sampled_from([0, 0.05]),
            reduction=reductions,
        ),
        condition=8,
    ),
    Row(
        "triplet_margin_loss",
        functional("triplet_margin_loss"),
        cases(
            st.sampled_from([(2, 3), (3,)]),
            *[normal, fractional, distinct],
            margin=st.sampled_from([0.5, 5.0]),
            p=st.sampled_from([1, 2]),
            swap=booleans,
            reduction=reductions,
        ),
        condition=8,
    ),
    Row(
        "triplet_margin_with_distance_loss",
        lambda t, *xs, **options: t.nn.functional.triplet_margin_with_distance_loss(
            *xs, distance_function=lambda a, b: ((a - b) * (a - b)).sum(1), **options
        ),
        cases(
            st.just((2, 3)),
            *[normal, normal, normal],
            margin=st.sampled_from([0.5, 5.0]),
            swap=booleans,
        ),
        condition=8,
    ),
    Row(
        "multi_margin_loss",
        functional("multi_margin_loss"),
        classed(p=st.sampled_from([1, 2]), margin=margins, reduction=reductions),
        infinite=False,  # PyTorch takes NaN for no excess
    ),
    Row(
        "multilabel_margin_loss",
        functional("multilabel_margin_loss"),
        many_labels(),
        infinite=False,
    ),
    Row(
        "multilabel_soft_margin_loss",
        functional("multilabel_soft_margin_loss"),
        cases(vectors, normal, sets, reduction=reductions),
        batched=(0, 1),
    ),
    Row(
        "multilabel_soft_margin_loss weighted",
        functional("multilabel_soft_margin_loss"),
        cases(sized((2, 3), (2, 3)), normal, sets, weight=st.just(np.array([0.5, 1.0, 2.0]))),
    ),
]

# Tables, pairs of features, draws


@st.composite
def lookups(draw, **options):
    """Numbers of rows, and a table."""
    generator = np.random.default_rng(draw(seeds))
    table = normal(generator, (4, draw(st.integers(1, 3))))
    numbers = generator.integers(0, 4, draw(shapes(0, 2, 0, 3)))
    case = Case([np.asarray(numbers), table])
    case.options.update({name: draw(option) for name, option in options.items()})
    return case


def seeded_gumbel(t, x):
    t.manual_seed(0)
    return t.nn.functional.gumbel_softmax(x, tau=2.0, dim=0)


others = [
    Row("embedding", functional("embedding"), lookups(), batched=(0,)),
    Row(  # of rows asked for once: only then is it the gradient
        "embedding by frequency",
        lambda t, w: t.nn.functional.embedding(
            t.tensor([[3, 1], [0, 2]]), w, scale_grad_by_freq=True
        ),
        cases(sized((4, 2)), normal),
    ),
    Row(
        "embedding cut down",
        lambda t, n, w, norm_type: t.nn.functional.embedding(
            n, w.detach() * 1, None, 0.75, norm_type
        ),
        lookups(norm_type=st.sampled_from([1.0, 2.0])).filter(lambda case: case.arrays[0].size),
    ),
    Row(
        "bilinear",
        functional("bilinear"),
        cases(
            st.sampled_from(
                [
                    [(2, 3), (2, 2), (4, 3, 2)],
                    [(3,), (1,), (2, 3, 1), (2,)],
                    [(1, 2, 2), (1, 2, 3), (1, 2, 3), (1,)],
                ]
            ).map(lambda sizes: sizes if len(sizes) == 4 else [*sizes, (sizes[2][0],)]),
            *[normal] * 4,
        ),
        batched=(),
    ),
    Row("gumbel_softmax", seeded_gumbel, cases(st.just((3, 2)), normal), peer=False),
]

ROWS: list[Row] = [*activations, *normalisation, *distances, *losses, *others]


# Where functions have kinks, and far out: numbers at which gradients are compared, as in test_ops


def at(name, *args, **options):
    return lambda t, x: getattr(t.nn.functional, name)(x, *args, **options)


KINKS = {
    "relu6": (at("relu6"), [0.0, 6.0, -0.0, 7.0]),
    "hardtanh": (at("hardtanh"), [-1.0, 1.0, 0.0]),
    "hardswish": (at("hardswish"), [-3.0, 3.0, 0.0, -3.5]),
    "elu": (at("elu", 0.5), [0.0, -1e3, 1e4]),
    "selu": (at("selu"), [0.0, -1e3]),
    "celu": (at("celu", 2.0), [0.0, -1e3]),
    "leaky_relu in rrelu": (at("rrelu", 0.25, 0.25), [0.0, -1.0]),
    "threshold": (at("threshold", 1.0, 5.0), [1.0, 2.0]),
    "hardshrink": (at("hardshrink"), [0.5, -0.5, 0.75]),
    "softshrink": (at("softshrink"), [0.5, -0.5, 0.75]),
    "softplus": (at("softplus", 2.0, 3.0), [1.5, 1.75, -1e4, 1e4]),
    "logsigmoid": (at("logsigmoid"), [0.0, -1e4, 1e4]),
    "softsign": (at("softsign"), [0.0, 1e4]),
    "mish": (at("mish"), [0.0, -1e2, 1e3]),
    "prelu": (lambda t, x: t.nn.functional.prelu(x, x.detach()[:1] * 0 + 0.5), [0.0, -2.0]),
    "huber_loss": (lambda t, x: t.nn.functional.huber_loss(x, x.detach() * 0), [1.0, -1.0, 0.0]),
    "smooth_l1_loss": (
        lambda t, x: t.nn.functional.smooth_l1_loss(x, x.detach() * 0, beta=0.5),
        [0.5, -0.5, 0.0, 1e30],
    ),
    "hinge_embedding_loss": (
        lambda t, x: t.nn.functional.hinge_embedding_loss(x, t.tensor([-1, -1, 1])),
        [1.0, 2.0, 3.0],
    ),
    "margin_ranking_loss": (
        lambda t, x: t.nn.functional.margin_ranking_loss(x, x.detach() * 0, t.tensor([1, -1])),
        [0.0, 0.0],
    ),
    "multi_margin_loss": (
        lambda t, x: t.nn.functional.multi_margin_loss(x, t.tensor(0)),
        [1.0, 0.0, 2.0],
    ),
    "normalize": (lambda t, x: t.nn.functional.normalize(x, dim=0), [0.0, 0.0]),
    "cosine_similarity": (
        lambda t, x: t.nn.functional.cosine_similarity(x, x.detach() + 1, dim=0),
        [0.0, 0.0],
    ),
    "pairwise_distance": (
        lambda t, x: t.nn.functional.pairwise_distance(x, x.detach(), eps=0.0),
        [1.0, 2.0],
    ),
}
