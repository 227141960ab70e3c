"""Rows of what works on images: convolutions, pooling, padding, resizing."""

import dataclasses
import itertools
import warnings

import numpy as np
from hypothesis import strategies as st

from . import reference
from .op_table import (
    Case,
    Row,
    booleans,
    cases,
    distinct,
    exact,
    functional,
    images,
    normal,
    poolings,
    positive,
    sized,
    slow_conv2d,
    whole,
)
from .strategies import convs, pools


def lines(images_drawn):
    """Cases for sequences from cases for images: what is said of one dimension."""

    def of_one_dimension(case):
        arrays = [x[..., 0, :] if x.ndim == 4 else x for x in case.arrays]
        options = {
            name: value[1] if isinstance(value, tuple) else value
            for name, value in case.options.items()
        }
        return Case(arrays, options)

    return images_drawn.map(of_one_dimension)


def of_images(slow):
    """The reference for sequences: that of images of one row."""

    def call(x, *rest, **options):
        rest = [a[..., None, :] if a.ndim == 3 else a for a in rest]
        options = {
            name: value if name == "groups" else (int("padding" not in name), value)
            for name, value in options.items()
        }
        return slow(x[..., None, :], *rest, **options)[..., 0, :]

    return call


@st.composite
def convolutions(draw):
    config = draw(convs(max_channels=2, max_size=5, max_groups=2, max_kernel=3))
    sizes = [config.x_shape, config.w_shape] + draw(st.sampled_from([[], [(config.o,)]]))
    case = draw(cases(sized(*sizes), *[normal] * len(sizes)))
    return Case(case.arrays, config.options)


@st.composite
def transposed(draw):
    """Transposed convolutions, with every output padding that they take."""
    n, groups, c, o = (draw(st.integers(1, 2)) for _ in range(4))
    options = {"groups": groups}
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    two = st.tuples(st.integers(1, 3), st.integers(1, 3))
    options["stride"], options["dilation"] = stride, dilation = draw(two), draw(two)
    most = [d * (k - 1) // 2 for d, k in zip(dilation, kernel)]
    options["padding"] = tuple(draw(st.integers(0, m)) for m in most)
    options["output_padding"] = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation)
    )
    size = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    sizes = [(n, c * groups, *size), (c * groups, o, *kernel)]
    sizes += draw(st.sampled_from([[], [(o * groups,)]]))
    return Case(draw(cases(sized(*sizes), *[normal] * len(sizes))).arrays, options)


def slow_transposed(x, w, b=None, *, stride, padding, output_padding, groups, dilation):
    """Every number of the input stamps its kernel onto the result."""
    (n, c, h, width), (_, o, kh, kw) = x.shape, w.shape
    (sh, sw), (ph, pw), (dh, dw) = (reference.pair(v) for v in (stride, padding, dilation))
    eh, ew = reference.pair(output_padding)
    oh = (h - 1) * sh - 2 * ph + dh * (kh - 1) + eh + 1
    ow = (width - 1) * sw - 2 * pw + dw * (kw - 1) + ew + 1
    y = np.zeros((n, o * groups, oh, ow))
    for i, j, u, v in np.ndindex(h, width, kh, kw):
        r, s = i * sh + u * dh - ph, j * sw + v * dw - pw
        if not (0 <= r < oh and 0 <= s < ow):
            continue
        for channel in range(c):
            first = channel // (c // groups) * o
            for k in range(o):
                y[:, first + k, r, s] += x[:, channel, i, j] * w[channel, k, u, v]
    return y if b is None else y + b[:, None, None]


@st.composite
def paddings(draw, mode, dims):
    """Tensors with or without a batch, and margins for their last dimensions."""
    leading = draw(st.sampled_from([(2,), (1, 2)]))
    size = tuple(draw(st.integers(2, 4)) for _ in range(dims))
    case = draw(cases(sized((*leading, *size)), normal))
    limit = {"reflect": -1, "circular": 0, "replicate": 2}[mode]
    margins = []
    for n in reversed(size):
        before = draw(st.integers(-1, n + limit))
        margins += [before, draw(st.integers(0, n + min(before, 0) * (limit == 0) + limit))]
    return Case(case.arrays, {"pad": tuple(margins), "mode": mode})


def slow_pad(x, pad, mode):
    """NumPy's padding, of what is left after the cuts; by hand it is the same thing again."""
    dims = len(pad) // 2
    margins = [(0, 0)] * (x.ndim - dims) + list(zip(pad[-2::-2], pad[::-2]))
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, margins))
    if mode == "reflect":  # mirrors what was cut off, too: pad first
        whole = np.pad(x, [(max(a, 0), max(b, 0)) for a, b in margins], "reflect")
        return whole[
            tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(whole.shape, margins))
        ]
    return np.pad(x[cut], [(max(a, 0), max(b, 0)) for a, b in margins], names[mode])


@st.composite
def constant_paddings(draw, domain=normal, values=(None, 0.0, 1.5, -2.0)):
    case = draw(cases(images, domain))
    margins = draw(st.lists(st.integers(-1, 2), max_size=8).map(lambda m: m[: len(m) // 2 * 2]))
    cuts = zip(margins[::2], margins[1::2], case.arrays[0].shape[::-1])
    margins = [m for a, b, n in cuts for m in ((a, b) if a + b >= -n else (a, 0))]
    return Case(case.arrays, {"pad": tuple(margins), "value": draw(st.sampled_from(values))})


@st.composite
def adaptive_poolings(draw, **options):
    case = draw(cases(st.tuples(*[st.integers(1, n) for n in (2, 2, 7, 7)]), distinct, **options))
    case.options["output_size"] = (draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    return case


def slow_adaptive_max_pool2d(x, output_size, return_indices):
    size, windows = reference.adaptive_avg_pool2d_windows(x.shape[2:], output_size)
    places = np.zeros((*x.shape[:2], *size), np.int64)
    for n, c, i, j in np.ndindex(places.shape):
        r, s = max(windows[i, j][0], key=lambda at: x[(n, c, *at)])
        places[n, c, i, j] = r * x.shape[3] + s
    y = np.take_along_axis(x.reshape(*x.shape[:2], -1), places.reshape(*x.shape[:2], -1), 2)
    return (y.reshape(places.shape), places)[: 1 + return_indices]


@st.composite
def fractional_poolings(draw):
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    output = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    size = tuple(k + m - 1 + draw(st.integers(0, 4)) for k, m in zip(kernel, output))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    case = draw(cases(sized((n, c, *size)), distinct, return_indices=booleans))
    samples = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 64, (n, c, 2)) / 64
    return Case(
        case.arrays,
        {**case.options, "kernel_size": kernel, "output_size": output, "_random_samples": samples},
    )


def pool_and_undo(dims):
    """Pooling and the inverse, whose output is what the pooling was given, in size."""

    def call(t, x, **options):
        f = t.nn.functional
        pool, undo = (getattr(f, f"max_{what}{dims}d") for what in ("pool", "unpool"))
        y, places = pool(x, return_indices=True, **options)
        return undo(y * y, places, **options, output_size=x.shape[2:])

    return call


@st.composite
def invertible_poolings(draw):
    """Windows that do not overlap, so that none writes where another does."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(k + draw(st.integers(0, 4)) for k in kernel)
    case = draw(cases(sized((draw(st.integers(1, 2)), 2, *size)), distinct))
    return Case(case.arrays, {"kernel_size": kernel, "padding": padding})


@st.composite
def resizings(draw, mode, dims, corners=False, least=1, **options):
    """Images and their new size, or by what to multiply the old."""
    most = 9 if dims < 3 else 4
    size = tuple(draw(st.integers(least, most * 2 // 3)) for _ in range(dims))
    case = draw(cases(sized((draw(st.integers(1, 2)), 2, *size)), normal, **options))
    found = {**case.options, "mode": mode}
    if draw(booleans):
        found["size"] = tuple(draw(st.integers(least, most)) for _ in range(dims))
    else:
        factors = st.sampled_from([1.0, 1.3, 2, 2.5, 3.0])
        found["scale_factor"] = tuple(draw(factors) for _ in range(dims))
        found["recompute_scale_factor"] = draw(st.sampled_from([None, True, False]))
    if corners:
        found["align_corners"] = draw(st.sampled_from([None, True, False]))
    return Case(case.arrays, found)


def slow_resize(x, mode, size=None, scale_factor=None, align_corners=None, **options):
    """Bilinear resizing of an image, pixel by pixel, from where each falls in the input."""
    ratios = scale_factor
    if size is None:
        size = tuple(int(n * f) for n, f in zip(x.shape[2:], scale_factor))
    if ratios is None or options.get("recompute_scale_factor"):
        ratios = [m / n for m, n in zip(size, x.shape[2:])]
    y = np.zeros((*x.shape[:2], *size))
    for at in np.ndindex(size):
        sides = []
        for i, n, m, ratio in zip(at, x.shape[2:], size, ratios):
            place = i * (n - 1) / max(m - 1, 1) if align_corners else (i + 0.5) / ratio - 0.5
            place = min(max(place, 0), n - 1) if n != m else i
            low = min(int(place), n - 1)
            sides.append([(low, 1 - place + low), (min(low + 1, n - 1), place - low)])
        for (r, weight), (s, other) in itertools.product(*sides):
            y[(..., *at)] += weight * other * x[..., r, s]
    return y


@st.composite
def unfoldings(draw):
    config = draw(pools(max_size=5, max_kernel=3))
    case = draw(cases(st.just(config.x_shape), normal))
    names = ("stride", "padding", "dilation")
    options = {name: getattr(config, name) for name in names}
    return Case(case.arrays, {**options, "kernel_size": config.kernel})


def slow_unfold(x, kernel_size, stride, padding, dilation):
    """A convolution with a kernel for each element of the window, which holds one 1."""
    taps = kernel_size[0] * kernel_size[1]
    w = np.tile(np.eye(taps).reshape(taps, 1, *kernel_size), (x.shape[1], 1, 1, 1))
    y = reference.conv2d(x, w, None, stride, padding, dilation, x.shape[1])
    return y.reshape(*y.shape[:2], y.shape[2] * y.shape[3])


@st.composite
def foldings(draw):
    config = draw(pools(max_size=5, max_kernel=3))
    config = dataclasses.replace(config, ceil_mode=False)
    windows = config.y_shape[2] * config.y_shape[3]
    rows = config.c * config.kernel[0] * config.kernel[1]
    case = draw(cases(sized((config.n, rows, windows)), normal))
    names = ("stride", "padding", "dilation")
    options = {name: getattr(config, name) for name in names}
    return Case(case.arrays, {**options, "kernel_size": config.kernel, "output_size": config.size})


@st.composite
def sampled_grids(draw):
    """Images, and places in and around them."""
    n, c, h, w, oh, ow = (draw(st.integers(1, m)) for m in (2, 2, 4, 4, 2, 3))
    x, grid = draw(cases(sized((n, c, h, w), (n, oh, ow, 2)), normal, around)).arrays
    return Case(
        [x, grid],
        {
            "mode": draw(st.sampled_from(["bilinear", "nearest", "bicubic"])),
            "padding_mode": draw(st.sampled_from(["zeros", "border", "reflection"])),
            "align_corners": draw(booleans),
        },
    )


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*args, **options)


def around(generator, shape):
    return exact(generator.uniform(-1.8, 1.8, shape))


@st.composite
def affine_maps(draw):
    size = tuple(draw(st.integers(1, 4)) for _ in range(4))
    case = draw(cases(sized((size[0], 2, 3)), normal, align_corners=booleans))
    return Case(case.arrays, {**case.options, "size": size})


ROWS: list[Row] = [
    # Convolutions
    Row(
        "conv1d", functional("conv1d"), lines(convolutions()), of_images(slow_conv2d), batched=(0,)
    ),
    Row(
        "conv1d named padding",
        lambda t, x, w, padding: t.nn.functional.conv1d(x, w, None, (1,), padding, [2]),
        cases(sized((2, 6), (3, 2, 2)), normal, normal, padding=st.sampled_from(["same", "valid"])),
    ),
    Row(
        "conv_transpose2d",
        functional("conv_transpose2d"),
        transposed(),
        slow_transposed,
        batched=(0,),
    ),
    Row(
        "conv_transpose1d",
        functional("conv_transpose1d"),
        lines(transposed()),
        of_images(slow_transposed),
        batched=(0,),
    ),
    Row(
        "conv_transpose2d of one image",
        lambda t, x, w, b: t.nn.functional.conv_transpose2d(x, w, b, 2, 1, 1, 1, 1),
        cases(sized((2, 3, 3), (2, 1, 3, 3), (1,)), normal, normal, normal),
    ),
    # Padding
    *[
        Row(f"pad {mode} {dims}", functional("pad"), paddings(mode, dims), slow_pad)
        for mode in ["reflect", "replicate", "circular"]
        for dims in [1, 2, 3]
    ],
    Row("pad constant", functional("pad"), constant_paddings()),
    Row("pad constant of integers", functional("pad"), constant_paddings(whole, (None, 3, 1.5))),
    Row(
        "pad circular of integers",
        lambda t, x: t.nn.functional.pad(x, (1, 2), "circular"),
        cases(sized((2, 3, 3)), whole),
    ),
    Row(
        "pad circular of truth values",
        lambda t, x: t.nn.functional.pad(x > 0, (1, 2), "circular"),
        cases(sized((2, 3, 3)), whole),
    ),
    Row(
        "pad infinity",
        lambda t, x: 1 / t.nn.functional.pad(x, (1, 2), value=float("-inf")),
        cases(images, normal),
    ),
    # Pooling
    *[
        Row(f"{name}1d", functional(f"{name}1d"), lines(drawn), batched=(0,))
        for name, drawn in [
            ("max_pool", poolings(dilated=True, return_indices=booleans)),
            ("avg_pool", poolings(dilated=False, count_include_pad=booleans)),
            ("adaptive_avg_pool", adaptive_poolings()),
            ("adaptive_max_pool", adaptive_poolings(return_indices=booleans)),
        ]
    ],
    Row(
        "adaptive_max_pool2d",
        functional("adaptive_max_pool2d"),
        adaptive_poolings(return_indices=booleans),
        slow_adaptive_max_pool2d,
        batched=(0,),
    ),
    Row(
        "adaptive_max_pool2d keeping a size",
        lambda t, x: t.nn.functional.adaptive_max_pool2d(x, (None, 2)),
        cases(sized((2, 3, 5)), distinct),
    ),
    *[
        Row(
            f"lp_pool{dims}d",
            lambda t, x, p, dims=dims: getattr(t.nn.functional, f"lp_pool{dims}d")(x, p, 2, 1),
            cases(sized((2, 2, 3, 3)[: dims + 2]), positive, p=st.sampled_from([1, 2, 3.5])),
            infinite=False,
            condition=16,
        )
        for dims in [1, 2]
    ],
    *[
        Row(
            f"lp_pool2d {p}",
            lambda t, x, p=p: t.nn.functional.lp_pool2d(x, p, (2, 1), ceil_mode=True),
            cases(sized((2, 5, 3)), distinct),
        )
        for p in [float("inf"), -float("inf")]
    ],
    Row("fractional_max_pool2d", functional("fractional_max_pool2d"), fractional_poolings()),
    Row("max_unpool2d", pool_and_undo(2), invertible_poolings()),
    Row("max_unpool1d", pool_and_undo(1), lines(invertible_poolings())),
    # Resizing
    *[
        Row(f"interpolate {mode} {dims}", functional("interpolate"), resizings(mode, dims))
        for mode, dims in [
            ("nearest", 1),
            ("nearest", 2),
            ("nearest-exact", 2),
            ("nearest-exact", 3),
            ("area", 1),
            ("area", 2),
        ]
    ],
    *[
        Row(f"interpolate {mode}", functional("interpolate"), resizings(mode, dims, True))
        for mode, dims in [("linear", 1), ("bicubic", 2), ("trilinear", 3)]
    ],
    Row(
        "interpolate bilinear",
        functional("interpolate"),
        resizings("bilinear", 2, True),
        slow_resize,
        batched=(0,),
    ),
    *[
        Row(
            f"interpolate {mode} antialiased",
            functional("interpolate"),
            # Of a single column PyTorch, 2.13 at least, makes columns of one number each.
            resizings(mode, 2, corners, least=2, antialias=st.just(True)),
        )
        for mode, corners in [("bilinear", True), ("bicubic", True), ("lanczos", False)]
    ],
    Row(
        "interpolate bytes",
        lambda t, x: t.nn.functional.interpolate(x.to(t.uint8), scale_factor=1.5),
        cases(sized((1, 2, 3, 4)), whole),
    ),
    *[
        Row(
            f"pad nothing {mode}",
            lambda t, x, mode=mode: t.nn.functional.pad(x, (0, 0), mode),
            cases(sized((2, 3)), normal),
        )
        for mode in ["constant", "reflect"]
    ],
    # Windows and channels
    Row("unfold images", functional("unfold"), unfoldings(), slow_unfold, batched=(0,)),
    Row("fold images", functional("fold"), foldings(), batched=(0,)),
    Row(
        "unfold one image",
        lambda t, x: t.nn.functional.fold(t.nn.functional.unfold(x, 2), (3, 4), 2),
        cases(sized((2, 3, 4)), normal),
    ),
    *[
        Row(
            name,
            lambda t, x, name=name: getattr(t.nn.functional, name)(x, 2),
            cases(st.sampled_from(drawn), normal),
        )
        for name, drawn in [
            ("pixel_shuffle", [(2, 4, 3, 2), (8, 1, 2), (1, 2, 4, 2, 2)]),
            ("pixel_unshuffle", [(2, 2, 4, 2), (1, 2, 4), (2, 1, 1, 2, 4)]),
            ("channel_shuffle", [(2, 6, 1, 2), (1, 4, 3), (1, 2, 1, 2, 2)]),
        ]
    ],
    # Sampling
    Row("grid_sample", functional("grid_sample"), sampled_grids(), condition=256),
    Row(
        "affine_grid",
        # PyTorch explains what became of grids of one pixel.
        lambda t, theta, **options: quietly(t.nn.functional.affine_grid, theta, **options),
        affine_maps(),
    ),
]
