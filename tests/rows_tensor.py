"""Rows of shapes, indexing and Tensor's own methods."""

import numpy as np
from hypothesis import strategies as st

from .op_table import (
    Case,
    Row,
    along,
    booleans,
    cases,
    distinct,
    flags,
    function,
    gathers,
    lists,
    method,
    normal,
    repeating,
    seeds,
    sized,
    tiny,
    whole,
)
from .strategies import shapes

matrices = shapes(2, 3, 0, 3)
offsets = st.integers(-2, 2)


@st.composite
def planes(draw, sizes, **options):
    """An array, two of its dimensions and an offset."""
    case = draw(cases(sizes, normal, offset=offsets, **options))
    case.options["dim1"], case.options["dim2"] = draw(st.permutations(range(case.arrays[0].ndim)))[
        :2
    ]
    return case


@st.composite
def windows(draw):
    """A dimension of an array, and windows that fit it."""
    case = draw(along(shapes(1, 3, 1, 4)))
    n = case.arrays[0].shape[case.options["dim"]]
    size, step = draw(st.integers(0, n)), draw(st.integers(1, 3))
    return Case(case.arrays, {"dimension": case.options.pop("dim"), "size": size, "step": step})


@st.composite
def repeats(draw):
    """How often each slice of a dimension stands there."""
    case = draw(along(lists))
    n = case.arrays[0].shape[case.options["dim"]]
    case.options["repeats"] = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    return case


@st.composite
def selections(draw, source, unique=False, along_first=False):
    """An array, a dimension, a vector of indices and as many slices."""
    case = draw(cases(lists, normal) if along_first else along(lists))
    x, dim = case.arrays[0], case.options.get("dim", 0)
    n = x.shape[dim]
    places = draw(st.lists(st.integers(0, n - 1), max_size=4, unique=unique))
    shape = list(x.shape)
    shape[dim] = len(places)
    arrays = [x, np.array(places, np.int64)]
    if source:
        arrays.append(normal(np.random.default_rng(draw(seeds)), shape))
    return Case(arrays, case.options)


@st.composite
def scatters(draw, source=normal, unique=False):
    """What scatter takes: an array, indices along a dimension, and a source of their shape."""
    case = draw(gathers())
    dim, index = case.options["dim"], case.arrays[1]
    x = case.arrays[0]
    generator = np.random.default_rng(draw(seeds))
    if unique:
        order = np.argsort(generator.random(x.shape), dim)
        index = order[tuple(slice(n) for n in index.shape)]
    return Case([x, index, source(generator, index.shape)], case.options)


@st.composite
def reductions(draw, domain):
    """What scatter_reduce takes."""
    case = draw(scatters(domain))
    return Case(case.arrays, {**case.options, "include_self": draw(booleans)})


@st.composite
def flat_places(draw, source=False):
    """An array, and indices that count all its elements as one row."""
    case = draw(cases(lists, normal))
    n = case.arrays[0].size
    places = draw(st.lists(st.integers(-n, n - 1), max_size=5, unique_by=lambda i: i % n))
    arrays = [*case.arrays, np.array(places, np.int64)]
    if source:
        arrays.append(normal(np.random.default_rng(draw(seeds)), len(places)))
    return Case(arrays)


@st.composite
def masked(draw):
    """An array, a mask that may be broadcast with it, and enough numbers."""
    case = draw(cases(lists, normal))
    shape = case.arrays[0].shape
    generator = np.random.default_rng(draw(seeds))
    mask = flags(generator, shape[draw(st.integers(0, len(shape))) :])
    return Case([*case.arrays, mask, normal(generator, 27 + draw(st.integers(0, 2)))])


def written(name):
    """The name_ form, on a tensor that has a history, with options."""
    return lambda t, x, *tensors, **options: getattr(x * 1, f"{name}_")(*tensors, **options)


def with_dim(name, form=function):
    """f(input, dim, *tensors), PyTorch's order where an index follows the dimension."""
    call = form(name)
    return lambda t, x, *tensors, dim, **options: call(t, x, dim, *tensors, **options)


def scattered(name, form=function):
    """scatter or a relative of it, with a source."""
    call = form(name)

    def run(t, x, index, src, dim, **options):
        return call(t, x, dim, index, src, **options)

    return run


SHAPES = [
    Row("view as dtype", lambda t, x: x.contiguous().view(t.uint8).sum(), cases(lists, whole)),
    *[
        Row(name, function(name), cases(tiny, normal), batched=(0,))
        for name in ["ravel", "diagflat", "atleast_1d", "atleast_2d", "atleast_3d"]
    ],
    *[
        Row(name, function(name), cases(shapes(2, 4, 0, 3), normal))
        for name in ["fliplr", "flipud", "adjoint", "tril", "triu"]
    ],
    *[
        Row(
            f"{name} joins",
            lambda t, x, y, name=name: getattr(t, name)([x, y]),
            cases(sizes, normal, normal),
        )
        for name in ["hstack", "vstack", "dstack", "column_stack"]
        for sizes in [tiny]
    ],
    Row(
        "block_diag", function("block_diag"), cases(sized((2, 3), (2,), (), (1, 0)), *[normal] * 4)
    ),
    Row("concatenate", lambda t, x, y: t.concatenate([x, y]), cases(lists, normal, normal)),
    Row(
        "tensor_split",
        lambda t, x, parts, dim: t.tensor_split(x, parts, dim),
        along(lists, parts=st.sampled_from([1, 2, 4, (1,), (0, 2), (-1,), (2, 1)])),
    ),
    Row("hsplit", lambda t, x: t.hsplit(x, [1, 2]), cases(lists, normal)),
    Row("vsplit", lambda t, x: t.vsplit(x, [1]), cases(shapes(2, 3, 0, 3), normal)),
    Row("dsplit", lambda t, x: t.dsplit(x, 2), cases(sized((2, 3, 4)), normal)),
    Row(
        "split_with_sizes",
        lambda t, x: t.split_with_sizes(x, [1, 0, 2], -1),
        cases(sized((2, 3)), normal),
    ),
    Row(
        "repeat",
        method("repeat"),
        cases(shapes(0, 2, 0, 3), normal, repeats=shapes(2, 3, 0, 3)),
    ),
    Row("tile", function("tile"), cases(tiny, normal, dims=shapes(0, 3, 0, 3))),
    Row("repeat_interleave", function("repeat_interleave"), repeats()),
    Row(
        "repeat_interleave of all",
        function("repeat_interleave"),
        cases(tiny, normal, repeats=st.integers(0, 3)),
    ),
    Row("roll", function("roll"), cases(tiny, normal, shifts=st.integers(-4, 4))),
    Row(
        "roll along",
        lambda t, x, shifts: t.roll(x, shifts, (0, -1)),
        cases(shapes(2, 3, 0, 3), normal, shifts=st.tuples(*[st.integers(-4, 4)] * 2)),
    ),
    Row(
        "rot90",
        function("rot90"),
        cases(shapes(2, 3, 0, 3), normal, k=st.integers(-4, 5), dims=st.permutations([0, 1])),
    ),
    Row(
        "meshgrid",
        function("meshgrid"),
        cases(sized((2,), (3,), (), (1,)), *[normal] * 4, indexing=st.sampled_from(["ij", "xy"])),
    ),
    Row("meshgrid list", lambda t, x: t.meshgrid([x], indexing="xy"), cases(sized((2,)), normal)),
    Row("cartesian_prod", function("cartesian_prod"), cases(sized((2,), (3,)), normal, normal)),
    Row(
        "combinations",
        function("combinations"),
        cases(shapes(1, 1, 0, 4), normal, r=st.integers(1, 3), with_replacement=booleans),
    ),
    Row("swapaxes", lambda t, x: t.swapaxes(x, 0, -1), cases(lists, normal)),
    Row("moveaxis", lambda t, x: t.moveaxis(x, (0, 1), (-1, 0)), cases(matrices, normal)),
    Row("mH", lambda t, x: x.mH, cases(matrices, normal)),
    Row("H", lambda t, x: x.H, cases(shapes(2, 2, 0, 3), normal)),
    Row("reversed", lambda t, x: reversed(x), cases(tiny, normal)),
    Row("unfold", method("unfold"), windows()),
    Row(
        "as_strided",
        lambda t, x, **options: t.as_strided(x.contiguous(), **options),
        cases(
            sized((3, 4)),
            normal,
            size=st.just((2, 3)),
            stride=st.tuples(st.integers(0, 4), st.integers(0, 3)),
            storage_offset=st.sampled_from([None, 1]),
        ),
    ),
    Row("write windows", lambda t, x: write_windows(x * 1), cases(sized((5, 2)), normal)),
    # Diagonals and triangles
    Row("diagonal", function("diagonal"), planes(shapes(2, 3, 0, 4))),
    Row("diag", function("diag"), cases(shapes(1, 2, 0, 4), normal, diagonal=offsets)),
    Row(
        "diag_embed",
        function("diag_embed"),
        cases(
            shapes(1, 3, 0, 3),
            normal,
            offset=offsets,
            dim1=st.just(0),
            dim2=st.sampled_from([1, -1]),
        ),
    ),
    Row(
        "write a diagonal",
        lambda t, x, y: write_diagonal(x * 1, y),
        cases(sized((3, 4), (3,)), normal, normal),
    ),
    Row(
        "fill_diagonal_",
        written("fill_diagonal"),
        cases(
            st.sampled_from([(3, 3), (7, 3), (2, 5), (2, 2, 2)]),
            normal,
            fill_value=st.just(2.5),
            wrap=booleans,
        ),
    ),
    Row(
        "diagonal_scatter",
        lambda t, x, y: t.diagonal_scatter(x, y, 1),
        cases(sized((3, 4), (3,)), normal, normal),
    ),
    Row(
        "select_scatter",
        lambda t, x, y: t.select_scatter(x, y, 1, -1),
        cases(sized((3, 4), (3,)), normal, normal),
    ),
    Row(
        "slice_scatter",
        lambda t, x, y: x.slice_scatter(y, dim=1, start=1, end=9, step=2),
        cases(sized((3, 4), (3, 2)), normal, normal),
    ),
    *[
        Row(f"{name} offset", function(name), cases(matrices, domain, diagonal=offsets))
        for name in ["tril", "triu"]
        for domain in [normal]
    ],
    *[
        Row(f"{name}_", written(name), cases(matrices, normal, diagonal=offsets))
        for name in ["tril", "triu"]
    ],
    *[
        Row(f"{name} of integers", function(name), cases(matrices, whole))
        for name in ["tril", "triu"]
    ],
]


def write_diagonal(x, y):
    x.diagonal(1).copy_(y)
    return x * x


def write_windows(x):
    x.unfold(0, 2, 2).mul_(3)
    return x * x


INDICES = [
    Row("index_select", with_dim("index_select"), selections(source=False)),
    Row("index_add", with_dim("index_add"), selections(source=True)),
    Row(
        "index_add alpha",
        lambda t, x, i, y, dim: x.index_add(dim, i, y, alpha=-2),
        selections(source=True),
    ),
    Row("index_add_", with_dim("index_add", written), selections(source=True)),
    Row("index_copy", with_dim("index_copy"), selections(source=True, unique=True)),
    Row("index_copy_", with_dim("index_copy", written), selections(source=True, unique=True)),
    Row("index_fill", lambda t, x, i, dim: t.index_fill(x, dim, i, 2.5), selections(source=False)),
    Row(
        "index_fill_",
        lambda t, x, i, dim: (x * 1).index_fill_(dim, i, 2.5),
        selections(source=False),
    ),
    Row("gather negative dim", lambda t, x, i, dim: x.gather(dim - x.ndim, i), gathers()),
    Row("scatter", scattered("scatter"), scatters(unique=True)),
    Row("scatter_", scattered("scatter", written), scatters(unique=True)),
    Row(
        "scatter_add of more",  # PyTorch has no gradient for it
        lambda t, x, i, s, dim: x.detach().scatter_add(dim, i, t.cat([s.detach()] * 2, -1)),
        scatters(),
    ),
    Row("scatter value", lambda t, x, i, dim: t.scatter(x, dim, i, 1.5), gathers()),
    Row(
        "scatter add",
        lambda t, x, i, dim: x.detach().scatter(dim, i, 3, reduce="add"),
        gathers(),
    ),
    Row(
        "scatter multiply",
        lambda t, x, i, dim: x.detach().scatter(dim, i, 3, reduce="multiply"),
        gathers(),
    ),
    Row("scatter_add", scattered("scatter_add"), scatters()),
    Row("scatter_add_", scattered("scatter_add", written), scatters()),
    *[
        Row(
            f"scatter_reduce {how}",
            lambda t, x, i, s, dim, how=how, **options: x.scatter_reduce(dim, i, s, how, **options),
            reductions(domain),
            condition=8,
        )
        for how, domain in {
            "sum": normal,
            "mean": normal,
            "prod": normal,
            "amax": distinct,
            "amin": distinct,
        }.items()
    ],
    Row("take", function("take"), flat_places()),
    Row("put", function("put"), flat_places(source=True)),
    Row("put_ added", lambda t, x, i, y: (x * 1).put_(i, y, True), flat_places(source=True)),
    Row(
        "take_along_dim",
        lambda t, x, i: t.take_along_dim(x, i, 1),
        st.builds(
            lambda seed: Case(
                [
                    normal(np.random.default_rng(seed), (3, 4)),
                    np.random.default_rng(seed).integers(-4, 4, (1, 5)),
                ]
            ),
            seeds,
        ),
    ),
    Row(
        "index_put",
        lambda t, x, i, y: t.index_put(x, (i,), y),
        selections(source=True, unique=True, along_first=True),
    ),
    Row(
        "index_put added",
        lambda t, x, i, y: t.index_put(x, (i,), y, accumulate=True),
        selections(source=True, along_first=True),
    ),
    Row(
        "index_put_ masked",
        lambda t, x, m, y: (x * 1).index_put_((m,), y.sum(), accumulate=True),
        cases(lists, normal, flags, normal),
    ),
    Row("masked_select", lambda t, x, m, s: x.masked_select(m), masked()),
    Row("masked_scatter", function("masked_scatter"), masked()),
    Row("masked_scatter_", written("masked_scatter"), masked()),
    Row(
        "masked_fill wider",
        lambda t, x, m, s: m.new_zeros(()).to(x.dtype).masked_fill(m, 2.0),
        masked(),
    ),
    Row("argwhere", function("argwhere"), cases(tiny, repeating)),
    Row("one_hot", lambda t, x: t.nn.functional.one_hot(abs(x), 10), cases(tiny, whole)),
]

ROWS = [*SHAPES, *INDICES]
