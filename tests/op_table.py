"""One row for each differentiable function: how to call it, in PyTorch or here, and with what.

The numbers drawn are float32's, so that a function of them has the same exact value whatever type
it is computed in. They keep a distance from the kinks of the function they are for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from . import reference
from .strategies import broadcastable_shapes, convs, pools, shapes

INF = math.inf


@dataclass(frozen=True)
class Case:
    """The arguments of a call. Gradients are asked for of the arrays of float64; arrays among the
    options become tensors too, without."""

    arrays: list[np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A function under test."""

    name: str
    call: Callable[..., Any]
    """call(torch, *tensors, **options)"""
    cases: st.SearchStrategy[Case]
    reference: Callable[..., Any] | None = None
    """reference(*arrays, **options), a slow one in float64"""
    peer: bool = True
    """Whether PyTorch computes the same."""
    infinite: bool = True
    """Whether the first array may hold infinity and NaN."""
    batched: tuple[int, ...] = ()
    """Which arrays have the batch as their first dimension."""
    condition: float = 1.0
    """How many times the rounding of one operation the function may magnify."""


# What numbers are drawn from


def exact(values):
    """Rounded to float32, as float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def normal(generator, shape):
    """At least 0.1 away from 0."""
    values = generator.normal(size=shape)
    return exact(values + np.copysign(0.1, values))


def positive(generator, shape):
    return exact(generator.uniform(0.2, 3, shape))


def unit(generator, shape):
    return exact(generator.uniform(0.1, 0.9, shape))


def distinct(generator, shape):
    """All different, by 1/8 at least, and none of them 0."""
    count = math.prod(shape)
    return np.asarray((generator.permutation(count).reshape(shape) - count // 2 + 0.25) / 8)


def fractional(generator, shape):
    """Away from multiples of 1/2."""
    return exact(generator.integers(-6, 6, shape) / 2 + generator.uniform(0.1, 0.4, shape))


def repeating(generator, shape):
    """Few different numbers, so that some are equal."""
    return generator.integers(-2, 3, shape).astype(np.float64)


def whole(generator, shape):
    return np.asarray(generator.integers(-9, 10, shape))


def flags(generator, shape):
    return np.asarray(generator.integers(0, 2, shape), bool)


# How cases are drawn

seeds = st.integers(0, 2**32 - 1)
booleans = st.booleans()
tiny = shapes(0, 3, 0, 3)
filled = shapes(0, 3, 1, 3)
lists = shapes(1, 3, 1, 3)
images = st.tuples(*[st.integers(1, 3)] * 4)


def sized(*shapes):
    """Always these shapes."""
    return st.just(list(shapes))


@st.composite
def cases(draw, sizes, *domains, **options):
    """Arrays from domains. `sizes` draws one shape for all of them, or a list with a shape each."""
    drawn = draw(sizes)
    shapes_drawn = drawn if isinstance(drawn, list) else [drawn] * len(domains)
    generator = np.random.default_rng(draw(seeds))
    arrays = [domain(generator, shape) for domain, shape in zip(domains, shapes_drawn, strict=True)]
    return Case(arrays, {name: draw(option) for name, option in options.items()})


@st.composite
def along(draw, sizes, domain=normal, **options):
    """An array and one of its dimensions."""
    case = draw(cases(sizes, domain, **options))
    rank = max(case.arrays[0].ndim, 1)
    case.options["dim"] = draw(st.integers(-rank, rank - 1))
    return case


@st.composite
def over(draw, sizes, domain=normal, **options):
    """An array and one, some or all of its dimensions; and whether to keep them."""
    case = draw(cases(sizes, domain, keepdim=booleans, **options))
    dims = draw(st.lists(st.integers(0, max(case.arrays[0].ndim - 1, 0)), unique=True, min_size=1))
    dims = dims[0] if draw(booleans) else tuple(dims)
    case.options["dim"] = draw(st.sampled_from([None, dims]))
    return case


pairs = broadcastable_shapes(3, 0, 3).map(list)
small_pairs = broadcastable_shapes(2, 1, 3).map(list)


@st.composite
def triples(draw):
    """Three shapes, the first of which the others can be broadcast to."""
    first, second = draw(small_pairs)
    return [np.broadcast_shapes(first, second), first, second]


@st.composite
def indexed(draw, *domains):
    """An array, a basic index for it and, from further domains, values to be written there."""
    shape = draw(lists)
    index = []
    for n in shape[: draw(st.integers(1, len(shape)))]:
        start = draw(st.integers(0, n - 1))
        step = draw(st.integers(1, 2))
        index.append(draw(st.sampled_from([start, start - n, slice(start, None, step), slice(n)])))
    index.insert(draw(st.integers(0, len(index))), draw(st.sampled_from([None, Ellipsis])))
    generator = np.random.default_rng(draw(seeds))
    x = normal(generator, shape)
    written = x[tuple(index)].shape
    values = [d(generator, written[draw(st.integers(0, len(written))) :]) for d in domains]
    return Case([x, *values], {"index": tuple(index)})


@st.composite
def gathered(draw, many=False):
    """An array and indices for its first dimension, or for its first and third."""
    shape = draw(shapes(3, 3, 1, 3))
    generator = np.random.default_rng(draw(seeds))
    size = draw(shapes(1, 2, 0, 3))
    arrays = [normal(generator, shape)]
    arrays += [generator.integers(-shape[d], shape[d], size) for d in ((0, 2) if many else (0,))]
    return Case(arrays)


@st.composite
def gathers(draw):
    """What gather takes: indices for each element, along a dimension."""
    shape = draw(lists)
    dim = draw(st.integers(0, len(shape) - 1))
    size = [draw(st.integers(0, n)) for n in shape]
    size[dim] = draw(st.integers(0, 4))
    generator = np.random.default_rng(draw(seeds))
    return Case([normal(generator, shape), generator.integers(0, shape[dim], size)], {"dim": dim})


@st.composite
def products(draw):
    """Two arrays that matmul takes."""
    b, c, m, k, n = (draw(st.integers(0, 3)) for _ in range(5))
    sizes = [
        [(k,), (k,)],
        [(m, k), (k,)],
        [(k,), (k, n)],
        [(m, k), (k, n)],
        [(b, m, k), (k, n)],
        [(b, m, k), (k,)],
        [(m, k), (b, k, n)],
        [(k,), (b, k, n)],
        [(b, m, k), (b, k, n)],
        [(b, 1, m, k), (c, k, n)],
    ]
    return draw(cases(st.sampled_from(sizes), normal, normal))


@st.composite
def sums(draw):
    """Arrays that fit an equation of einsum."""
    equation = draw(
        st.sampled_from(
            [
                "ij,jk->ik",
                "ij,kj",
                "ij->ji",
                "i,i->",
                "i,j->ij",
                "bij,bjk->bik",
                "ij,jk,kl->il",
                "ij->i",
                "ij,k->",
                "nchw,ocij->nohw",
            ]
        )
    )
    size = {letter: draw(st.integers(1, 2)) for letter in "bcijklnohw"}
    terms = equation.partition("->")[0].split(",")
    sizes = [tuple(size[letter] for letter in term) for term in terms]
    case = draw(cases(sized(*sizes), *[normal] * len(terms)))
    return Case(case.arrays, {"equation": equation})


@st.composite
def linears(draw):
    rows, inputs, outputs = draw(shapes(0, 2, 0, 3)), *(draw(st.integers(1, 3)) for _ in range(2))
    sizes = [(*rows, inputs), (outputs, inputs)] + draw(st.sampled_from([[], [(outputs,)]]))
    return draw(cases(sized(*sizes), *[normal] * len(sizes)))


@st.composite
def convolutions(draw):
    config = draw(convs(max_channels=2, max_size=5, max_groups=2, max_kernel=3))
    sizes = [config.x_shape, config.w_shape] + draw(st.sampled_from([[], [(config.o,)]]))
    case = draw(cases(sized(*sizes), *[normal] * len(sizes)))
    options = config.options
    padding = draw(st.sampled_from(["same", "valid", options["padding"]]))
    if padding == "same":
        options["stride"] = 1
    reach = [d * (k - 1) + 1 for d, k in zip(config.dilation, config.kernel, strict=True)]
    if padding != "valid" or all(r <= n for r, n in zip(reach, config.size, strict=True)):
        options["padding"] = padding
    return Case(case.arrays, options)


def slow_conv2d(x, w, b=None, *, stride, padding, dilation, groups):
    """The six loops, for paddings with names too."""
    if padding == "valid":
        padding = 0
    size = None
    if padding == "same":  # of an odd number of rows the last goes below
        size = x.shape[2:]
        reach = [d * (k - 1) for d, k in zip(reference.pair(dilation), w.shape[2:], strict=True)]
        padding = tuple(r // 2 for r in reach)
    return reference.conv2d(x, w, b, stride, padding, dilation, groups, size)


@st.composite
def true_convolutions(draw):
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    size = tuple(k + draw(st.integers(0, 2)) for k in kernel)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    case = draw(cases(sized(size, kernel), normal, normal))
    return Case(case.arrays, {"padding": padding})


@st.composite
def poolings(draw, dilated, **options):
    config = draw(pools(max_size=6, max_kernel=3, dilated=dilated))
    case = draw(cases(st.just(config.x_shape), distinct, **options))
    names = ["stride", "padding", "ceil_mode"] + ["dilation"] * dilated
    case.options.update({name: getattr(config, name) for name in names})
    case.options["kernel_size"] = config.kernel
    if draw(booleans) and config.stride == config.kernel:
        case.options["stride"] = None
    return case


@st.composite
def adaptive_poolings(draw):
    case = draw(cases(images, normal))
    sides = st.one_of(st.none(), st.integers(1, 4))
    return Case(case.arrays, {"output_size": (draw(sides), draw(sides))})


@st.composite
def normalisations(draw, training):
    """Batch normalisation with or without scale and shift, with or without running statistics."""
    n, c = draw(st.integers(2, 3)), draw(st.integers(1, 2))
    shape = (n, c, *draw(shapes(0, 2, 1, 3)))
    generator = np.random.default_rng(draw(seeds))
    tracked = draw(booleans) or not training
    arrays = [normal(generator, shape)]
    if draw(booleans):
        arrays += [normal(generator, (c,)), normal(generator, (c,))]
    options = {"training": training, "momentum": draw(unit_numbers), "eps": 1e-3}
    if tracked:
        options |= {"mean": normal(generator, (c,)), "var": positive(generator, (c,))}
    return Case(arrays, options)


unit_numbers = st.sampled_from([0.0, 0.1, 0.5, 1.0])


def normalise(t, x, weight=None, bias=None, *, mean=None, var=None, **options):
    """The output and what became of the running statistics."""
    if mean is None:
        return t.nn.functional.batch_norm(x, None, None, weight, bias, **options)
    mean, var = mean.clone(), var.clone()
    y = t.nn.functional.batch_norm(x, mean, var, weight, bias, **options)
    return y, mean, var


def slow_normalise(x, weight=None, bias=None, *, training, momentum, eps, mean=None, var=None):
    """As normalise."""
    channels = [-1 if d == 1 else 1 for d in range(x.ndim)]
    if not training:
        y = (x - mean.reshape(channels)) / np.sqrt(var.reshape(channels) + eps)
        if weight is not None:
            y = y * weight.reshape(channels) + bias.reshape(channels)
        return y, mean, var
    y, batch_mean, batch_var = reference.batch_norm(x, weight, bias, eps)
    if mean is None:
        return y
    count = x.size // x.shape[1]
    unbiased = batch_var * count / (count - 1)
    return (
        y,
        (1 - momentum) * mean + momentum * batch_mean,
        (1 - momentum) * var + momentum * unbiased,
    )


reductions = st.sampled_from(["none", "mean", "sum"])


@st.composite
def labelled(draw, logarithms, **options):
    """Scores or their logarithms, labels of which one class may be ignored, weights of classes."""
    batch, classes = draw(st.integers(1, 3)), draw(st.integers(2, 3))
    spots = draw(shapes(0, 2, 1, 2))
    unbatched = draw(booleans) and not spots
    shape = (classes,) if unbatched else (batch, classes, *spots)
    generator = np.random.default_rng(draw(seeds))
    target = generator.integers(0, classes, () if unbatched else (batch, *spots))
    ignored = draw(st.sampled_from([-100, 1]))
    if ignored == -100 and draw(booleans) and target.size > 1:
        target.flat[0] = -100
    target.flat[-1] = 0  # the mean over no labels at all is another test's matter
    x = normal(generator, shape)
    case = Case([-np.abs(x) if logarithms else x, np.asarray(target)])
    case.options.update(reduction=draw(reductions), ignore_index=ignored)
    case.options.update({name: draw(option) for name, option in options.items()})
    if draw(booleans):
        case.options["weight"] = positive(generator, (classes,))
    return case


@st.composite
def distributed(draw):
    """Scores and probabilities of classes."""
    shape = draw(st.sampled_from([(3,), (2, 3), (2, 3, 2)]))
    generator = np.random.default_rng(draw(seeds))
    target = generator.dirichlet(np.ones(3), size=shape[:1] + shape[2:] if shape[1:] else ())
    target = exact(np.moveaxis(target, -1, min(1, len(shape) - 1)))
    options = {"reduction": draw(reductions), "label_smoothing": draw(smoothings)}
    if draw(booleans):
        options["weight"] = positive(generator, (3,))
    return Case([normal(generator, shape), target], options)


smoothings = st.sampled_from([0.0, 0.1, 1.0])


@st.composite
def binary(draw, domain, **weights):
    """Numbers, targets between 0 and 1, and weights of the given domains for the last dimension."""
    shape = draw(shapes(2, 3, 1, 3))
    case = draw(cases(st.just(shape), domain, unit, reduction=reductions))
    for name, weight in weights.items():
        if draw(booleans):
            case.options[name] = weight(np.random.default_rng(draw(seeds)), shape[-1:])
    return case


def weighted(loss):
    """A reference with its weight in the input's shape."""

    def call(x, target, reduction, weight=1.0):
        return loss(x, target, np.broadcast_to(weight, x.shape), reduction)

    return call


def batch_of_one(loss):
    """A reference for batches of scores, for a single line of scores too."""

    def call(x, target, reduction="mean", **options):
        if x.ndim > 1:
            return loss(x, target, reduction=reduction, **options)
        losses = loss(x[None], np.asarray(target)[None], reduction=reduction, **options)
        return losses[0] if reduction == "none" else losses

    return call


# How functions are called


def function(name):
    """torch.name(*tensors, **options)"""
    return lambda t, *tensors, **options: getattr(t, name)(*tensors, **options)


def functional(name):
    """torch.nn.functional.name(*tensors, **options)"""
    return lambda t, *tensors, **options: getattr(t.nn.functional, name)(*tensors, **options)


def method(name):
    """x.name(*tensors, **options)"""
    return lambda t, x, *tensors, **options: getattr(x, name)(*tensors, **options)


def in_place(name):
    """The name_ form, on a tensor that has a history."""
    return lambda t, x, *tensors: getattr(x * 1, f"{name}_")(*tensors)


def write(t, x, value, index):
    y = x * 1
    y[index] = value
    return y


def write_at(t, x, i, j):
    y = x * 1
    y[i, :, j] = 2.0
    y[i.reshape(-1)[:1]] = x[:1] * 3
    return y


def write_through_a_view(t, x):
    y = x * 1
    y.reshape(-1)[1:] *= 2
    return y * y


def seeded_dropout(t, x):
    t.manual_seed(0)
    return t.nn.functional.dropout(x, 0.5)


UNARY = {
    normal: [
        "abs",
        "neg",
        "reciprocal",
        "square",
        "exp",
        "expm1",
        "sin",
        "cos",
        "atan",
        "erf",
        "sigmoid",
        "tanh",
        "relu",
        "sign",
    ],
    positive: ["sqrt", "rsqrt", "log", "log1p", "log2", "log10"],
    fractional: ["floor", "ceil", "round", "trunc"],
}
WITHOUT_IN_PLACE = ["square", "rsqrt"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"]
BITWISE = ["bitwise_and", "bitwise_or", "bitwise_xor"]

ROWS = [
    # Functions of one number
    *[
        Row(name, function(name), cases(tiny, domain), batched=(0,))
        for domain, names in UNARY.items()
        for name in names
    ],
    *[
        Row(f"{name}_", in_place(name), cases(tiny, domain))
        for domain, names in UNARY.items()
        for name in names
        if name not in WITHOUT_IN_PLACE
    ],
    *[
        Row(f"{name} of integers", function(name), cases(tiny, whole))
        for name in ["abs", "neg", "sign", "exp", "relu", "sigmoid", "bitwise_not", "floor"]
    ],
    *[
        Row(name, function(name), cases(tiny, repeating))
        for name in ["logical_not", "isnan", "isinf", "isfinite"]
    ],
    *[
        Row(
            f"gelu {form}",
            functional("gelu"),
            cases(tiny, normal, approximate=st.just(form)),
            reference=reference.gelu,
            batched=(0,),
        )
        for form in ["none", "tanh"]
    ],
    Row("silu", functional("silu"), cases(tiny, normal), batched=(0,)),
    *[
        Row(
            f"{name} inplace",
            lambda t, x, name=name: getattr(t.nn.functional, name)(x * 1, inplace=True),
            cases(tiny, normal),
        )
        for name in ["relu", "leaky_relu", "silu"]
    ],
    Row(
        "leaky_relu",
        lambda t, x, slope: t.nn.functional.leaky_relu(x, slope),
        cases(tiny, normal, slope=st.sampled_from([0.01, 0.3, 0.0])),
        batched=(0,),
    ),
    Row("dropout nothing", lambda t, x: t.nn.functional.dropout(x, 0.0), cases(tiny, normal)),
    Row("dropout all", lambda t, x: t.nn.functional.dropout(x, 1.0), cases(tiny, normal)),
    Row("dropout eval", lambda t, x: t.nn.functional.dropout(x, 0.5, False), cases(tiny, normal)),
    Row("dropout", seeded_dropout, cases(tiny, normal), peer=False),
    # Functions of two
    *[Row(name, function(name), cases(pairs, normal, normal)) for name in BINARY],
    *[
        Row(f"{name}_", in_place(name), cases(tiny, normal, normal))
        for name in ["add", "sub", "mul", "div"]
    ],
    *[Row(name, function(name), cases(pairs, repeating, repeating)) for name in COMPARISONS],
    *[Row(name, function(name), cases(pairs, whole, whole)) for name in BITWISE],
    *[Row(f"{name} of flags", function(name), cases(pairs, flags, flags)) for name in BITWISE],
    *[Row(f"{name} of integers", function(name), cases(pairs, whole, whole)) for name in BINARY],
    Row("integers and floats", lambda t, x, n: x * n - n / 4, cases(pairs, normal, whole)),
    Row("pow", function("pow"), cases(pairs, positive, normal), condition=4),
    Row("add alpha", lambda t, x, y: t.add(x, y, alpha=3), cases(pairs, normal, normal)),
    Row("sub alpha", lambda t, x, y: t.sub(x, y, alpha=0.5), cases(pairs, normal, normal)),
    Row("with numbers", lambda t, x: (2 - x) / 3 + 2 / x + (-x) % 2, cases(tiny, fractional)),
    Row("powers", lambda t, x: x**3 + 2**x + x**-1 + x**0, cases(tiny, normal), condition=8),
    Row("remainder", function("remainder"), cases(pairs, fractional, normal)),
    Row(
        "div rounded",
        function("div"),
        cases(pairs, normal, normal, rounding_mode=st.sampled_from(["floor", "trunc"])),
    ),
    Row("floor_divide", lambda t, x, y: x.detach() // y.detach(), cases(pairs, normal, normal)),
    Row("where", function("where"), cases(triples(), flags, normal, normal)),
    Row("where number", lambda t, c, x: t.where(c, x, 2.0), cases(pairs, flags, normal)),
    Row("clamp", lambda t, x: t.clamp(x, -0.5, 0.75), cases(tiny, fractional)),
    Row("clamp below", lambda t, x: x.clamp(min=0.0), cases(tiny, normal)),
    Row("clamp above", lambda t, x: x.clamp(max=0.0), cases(tiny, normal)),
    Row("clamp tensors", function("clamp"), cases(triples(), normal, normal, normal)),
    Row("masked_fill", lambda t, x, m: x.masked_fill(m, 3.0), cases(tiny, normal, flags)),
    Row("copy_", lambda t, x, y: (x * 1).copy_(y), cases(tiny, normal, normal)),
    Row("double", lambda t, x: x.double() * 2, cases(tiny, normal)),
    # Reductions
    *[
        Row(name, function(name), over(filled, domain))
        for name, domain in [
            ("sum", normal),
            ("mean", normal),
            ("amax", distinct),
            ("amin", distinct),
        ]
    ],
    Row("sum empty", function("sum"), over(tiny)),
    Row("sum of integers", function("sum"), over(tiny, whole)),
    Row("any", function("any"), over(filled, repeating)),
    Row("all", function("all"), over(filled, repeating)),
    *[
        Row(
            name,
            function(name),
            over(shapes(1, 3, 2, 3), correction=st.sampled_from([0, 1])),
            condition=8,
        )
        for name in ["var", "std"]
    ],
    Row(
        "logsumexp",
        function("logsumexp"),
        over(lists).filter(lambda case: case.options["dim"] is not None),
        reference=lambda x, dim, keepdim: reference.logsumexp(x, dim, keepdim),
    ),
    *[
        Row(f"norm {p}", function("norm"), over(filled, distinct, p=st.just(p)), condition=8)
        for p in [0, 1, 2, 3, 0.5, INF, -INF, "fro"]
    ],
    *[
        Row(f"{name} along", function(name), along(filled, distinct, keepdim=booleans))
        for name in ["max", "min"]
    ],
    *[Row(f"{name} of all", function(name), cases(filled, distinct)) for name in ["max", "min"]],
    *[
        Row(name, function(name), along(filled, repeating, keepdim=booleans))
        for name in ["argmax", "argmin"]
    ],
    Row("prod", function("prod"), along(filled, keepdim=booleans), condition=4),
    Row("prod of all", function("prod"), cases(tiny, normal), condition=4),
    # Shapes
    Row("reshape", lambda t, x: x.reshape(-1, x.shape[0]) * 2, cases(lists, normal)),
    Row("view", lambda t, x: (x * 1).view(-1), cases(tiny, normal)),
    Row("flatten", lambda t, x: t.flatten(x, 1), cases(shapes(2, 4, 0, 2), normal)),
    Row("unflatten", lambda t, x: t.unflatten(t.cat([x, x]), 0, (2, -1)), cases(lists, normal)),
    Row("squeeze", function("squeeze"), along(lists)),
    Row("squeeze all", function("squeeze"), cases(tiny, normal)),
    Row("unsqueeze", function("unsqueeze"), along(tiny)),
    Row("permute", lambda t, x: x.permute(2, 0, 1), cases(shapes(3, 3, 0, 3), normal)),
    Row("transpose", lambda t, x: x.transpose(-1, 0), cases(lists, normal)),
    Row("t", lambda t, x: x.t(), cases(shapes(0, 2, 0, 3), normal)),
    Row("T", lambda t, x: x.T, cases(shapes(2, 2, 0, 3), normal)),
    Row("movedim", lambda t, x: t.movedim(x, 0, -1), cases(lists, normal)),
    Row("expand", lambda t, x: x.unsqueeze(0).expand(2, *x.shape), cases(tiny, normal)),
    Row("broadcast_to", lambda t, x: t.broadcast_to(x, (2, *x.shape)), cases(tiny, normal)),
    Row("broadcast_tensors", function("broadcast_tensors"), cases(pairs, normal, normal)),
    Row("clone", function("clone"), cases(tiny, normal)),
    Row("contiguous", lambda t, x: x.T.contiguous(), cases(shapes(2, 2, 0, 3), normal)),
    Row("flip", lambda t, x: t.flip(x, (0, -1)), cases(shapes(2, 3, 0, 3), normal)),
    Row("cat", lambda t, *xs, dim: t.cat([*xs, xs[0]], dim), along(lists)),
    Row("cat two", lambda t, x, y: t.cat((x, y), -1), cases(lists, normal, normal)),
    Row("stack", lambda t, x, y: t.stack([x, y], -1), cases(tiny, normal, normal)),
    Row("narrow", lambda t, x: t.narrow(x, 0, 1, 2), cases(st.just((4, 2)), normal)),
    Row("split", lambda t, x, dim: t.split(x, 2, dim), along(lists)),
    Row("split sizes", lambda t, x: x.split([1, 0, 2], 1), cases(st.just((2, 3)), normal)),
    Row("chunk", lambda t, x, dim: t.chunk(x, 2, dim), along(lists)),
    Row("unbind", function("unbind"), along(lists)),
    Row("select", lambda t, x, dim: t.select(x, dim, -1), along(lists)),
    # Indices
    Row("index", lambda t, x, index: x[index], indexed()),
    Row("index by tensor", lambda t, x, i: x[i], gathered()),
    Row("index by tensors", lambda t, x, i, j: x[i, :, j], gathered(many=True)),
    Row("index by mask", lambda t, x, m: x[m], cases(lists, normal, flags)),
    Row("write", write, indexed(normal)),
    Row("write at", write_at, gathered(many=True)),
    Row("write masked", lambda t, x, m: write(t, x, 2.0, m), cases(lists, normal, flags)),
    Row("write a view", write_through_a_view, cases(lists, normal)),
    Row("gather", lambda t, x, index, dim: t.gather(x, dim, index), gathers()),
    # Products
    Row("matmul", function("matmul"), products()),
    Row("matmul of integers", function("matmul"), cases(sized((2, 3), (3, 2)), whole, whole)),
    Row("mm", lambda t, x, y: t.mm(x.t(), y), cases(sized((3, 2), (3, 4)), normal, normal)),
    Row("mm turned", lambda t, x, y: t.mm(x, y.t()), cases(sized((3, 2), (4, 2)), normal, normal)),
    Row("mm both", lambda t, x, y: x.t() @ y.t(), cases(sized((3, 2), (4, 3)), normal, normal)),
    Row("bmm", function("bmm"), cases(sized((2, 3, 2), (2, 2, 1)), normal, normal)),
    Row("dot", function("dot"), cases(shapes(1, 1, 0, 4), normal, normal)),
    Row("einsum", lambda t, *xs, equation: t.einsum(equation, *xs), sums()),
    Row("linear", functional("linear"), linears()),
    # Convolution and pooling
    Row("conv2d", functional("conv2d"), convolutions(), slow_conv2d, batched=(0,)),
    Row(
        "conv2d of one image",
        lambda t, x, w: t.nn.functional.conv2d(x, w, padding=1),
        cases(sized((2, 3, 3), (1, 2, 2, 2)), normal, normal),
    ),
    Row(
        "convolve2d",
        functional("convolve2d"),
        true_convolutions(),
        reference.convolve2d,
        peer=False,
    ),
    Row(
        "max_pool2d",
        functional("max_pool2d"),
        poolings(dilated=True, return_indices=booleans),
        reference=lambda x, kernel_size, return_indices, **options: reference.max_pool2d(
            x, kernel_size, **options
        )[: 1 + return_indices],
        batched=(0,),
    ),
    Row(
        "avg_pool2d",
        functional("avg_pool2d"),
        poolings(
            dilated=False,
            count_include_pad=booleans,
            divisor_override=st.sampled_from([None, 1, 5]),
        ),
        reference=lambda x, kernel_size, **options: reference.avg_pool2d(x, kernel_size, **options),
        batched=(0,),
    ),
    Row(
        "adaptive_avg_pool2d",
        functional("adaptive_avg_pool2d"),
        adaptive_poolings(),
        reference=lambda x, output_size: reference.adaptive_avg_pool2d(
            x, tuple(n or m for n, m in zip(output_size, x.shape[2:], strict=True))
        ),
        batched=(0,),
    ),
    Row(
        "pool one image",
        lambda t, x: t.nn.functional.max_pool2d(x, 2),
        cases(st.just((2, 4, 4)), distinct),
    ),
    # Normalisation and losses
    *[
        Row(f"batch_norm {mode}", normalise, normalisations(training), slow_normalise, condition=64)
        for mode, training in [("training", True), ("eval", False)]
    ],
    *[
        Row(name, function(name), along(filled), slow, batched=())
        for name, slow in [
            ("softmax", lambda x, dim: reference.softmax(np.atleast_1d(x), dim).reshape(x.shape)),
            (
                "log_softmax",
                lambda x, dim: reference.log_softmax(np.atleast_1d(x), dim).reshape(x.shape),
            ),
        ]
    ],
    Row("softmax rows", lambda t, x: t.softmax(x, -1), cases(images, normal), batched=(0,)),
    Row("log_softmax rows", lambda t, x: t.log_softmax(x, 1), cases(images, normal), batched=(0,)),
    Row(
        "nll_loss",
        functional("nll_loss"),
        labelled(logarithms=True),
        batch_of_one(reference.nll_loss),
    ),
    Row(
        "cross_entropy",
        functional("cross_entropy"),
        labelled(logarithms=False, label_smoothing=smoothings),
        batch_of_one(reference.cross_entropy),
    ),
    Row(
        "cross_entropy of probabilities",
        functional("cross_entropy"),
        distributed(),
        batch_of_one(reference.cross_entropy),
    ),
    *[
        Row(
            name,
            functional(name),
            cases(tiny, normal, normal, reduction=reductions),
            lambda x, y, reduction, power=power: reference.reduce_loss(
                np.abs(x - y) ** power, reduction
            ),
            batched=(0, 1),
        )
        for name, power in [("mse_loss", 2), ("l1_loss", 1)]
    ],
    Row(
        "binary_cross_entropy",
        functional("binary_cross_entropy"),
        binary(unit, weight=positive),
        weighted(reference.binary_cross_entropy),
        infinite=False,
        batched=(0, 1),
    ),
    Row(
        "binary_cross_entropy_with_logits",
        functional("binary_cross_entropy_with_logits"),
        binary(normal, weight=positive),
        reference.binary_cross_entropy_with_logits,
        batched=(0, 1),
    ),
    Row(
        "binary_cross_entropy_with_logits pos_weight",
        functional("binary_cross_entropy_with_logits"),
        binary(normal, weight=positive, pos_weight=positive),
        reference.binary_cross_entropy_with_logits,
        infinite=False,
        batched=(0, 1),
    ),
]
