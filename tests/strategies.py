"""Hypothesis strategies: shapes, arrays in every layout, and valid configurations of windows."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from . import reference

FLOATS = (np.float32, np.float64)
LAYOUTS = ("contiguous", "transposed", "strided", "reversed")


def shapes(min_dims=0, max_dims=4, min_side=0, max_side=5):
    """Shapes, also with dimensions of size 0 unless min_side forbids it."""
    sides = st.integers(min_side, max_side)
    return st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)


@st.composite
def broadcastable_shapes(draw, max_dims=4, min_side=0, max_side=4):
    """Two shapes that broadcast together."""
    whole = draw(shapes(0, max_dims, min_side, max_side))
    both = []
    for _ in range(2):
        kept = draw(st.integers(0, len(whole)))
        shape = whole[len(whole) - kept :]
        both.append(tuple(1 if draw(st.booleans()) else side for side in shape))
    return tuple(both)


@st.composite
def arrays(draw, shape=None, dtypes=FLOATS, layouts=LAYOUTS, scale=1.0):
    """Arrays of random values, in any of the dtypes and layouts; shape may be a strategy."""
    if shape is None or isinstance(shape, st.SearchStrategy):
        shape = draw(shapes() if shape is None else shape)
    dtype, layout = draw(st.sampled_from(dtypes)), draw(st.sampled_from(layouts))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return in_layout(random_values(generator, shape, dtype, scale), layout)


def random_values(generator, shape, dtype=np.float64, scale=1.0):
    """Normal numbers of a float dtype, -9 to 9 (0 to 9) of an integer one, or booleans."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return np.asarray(generator.normal(0, scale, shape), dtype)
    low, high = {"b": (0, 2), "u": (0, 10), "i": (-9, 10)}[dtype.kind]
    return np.asarray(generator.integers(low, high, shape), dtype)


def in_layout(values, layout):
    """The same values with other strides."""
    if values.ndim == 0 or layout == "contiguous":
        return values
    if layout == "transposed":
        return np.ascontiguousarray(values.T).T
    if layout == "reversed":
        return np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
    wide[..., 1::2] = values
    return wide[..., 1::2]


@dataclass(frozen=True)
class Conv:
    """A valid convolution: its sizes and options."""

    n: int
    c: int
    o: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def x_shape(self):
        return (self.n, self.c, *self.size)

    @property
    def w_shape(self):
        return (self.o, self.c // self.groups, *self.kernel)

    @property
    def y_shape(self):
        sides = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return (self.n, self.o, *(reference.conv_output_size(*side) for side in sides))

    @property
    def options(self):
        """Keyword arguments of conv2d."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


@st.composite
def convs(draw, max_batch=2, max_channels=3, max_size=9, max_groups=3, max_kernel=5):
    """Valid convolutions, empty batches included; the kernel fits into the padded input."""
    groups = draw(st.integers(1, max_groups))
    sides = [draw(_sides(max_size, max_kernel, max_padding=3)) for _ in range(2)]
    size, kernel, stride, padding, dilation = zip(*sides, strict=True)
    return Conv(
        n=draw(_batches(max_batch)),
        c=groups * draw(st.integers(1, max_channels)),
        o=groups * draw(st.integers(1, max_channels)),
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@dataclass(frozen=True)
class Pool:
    """A valid pooling: its sizes and options. Average pooling knows no dilation."""

    n: int
    c: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    ceil_mode: bool

    @property
    def x_shape(self):
        return (self.n, self.c, *self.size)

    @property
    def y_shape(self):
        sides = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        ceil = self.ceil_mode
        return (self.n, self.c, *(reference.pool_output_size(*side, ceil) for side in sides))


@st.composite
def pools(draw, max_batch=2, max_channels=3, max_size=9, max_kernel=5, dilated=True):
    """Valid poolings: padding at most half the kernel, as PyTorch asks, and output not empty."""
    sides = [draw(_sides(max_size, max_kernel, dilated=dilated)) for _ in range(2)]
    size, kernel, stride, padding, dilation = zip(*sides, strict=True)
    return Pool(
        n=draw(_batches(max_batch)),
        c=draw(st.integers(1, max_channels)),
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=draw(st.booleans()),
    )


def _batches(max_batch):
    """Batch sizes, seldom 0: an empty batch shows little else."""
    return st.sampled_from([*range(1, max_batch + 1)] * 4 + [0])


@st.composite
def _sides(draw, max_size, max_kernel, max_padding=None, dilated=True):
    """(size, kernel, stride, padding, dilation) of one axis, the window inside the padded input."""
    kernel = draw(st.integers(1, max_kernel))
    padding = draw(st.integers(0, kernel // 2 if max_padding is None else max_padding))
    dilation = draw(st.integers(1, 3)) if dilated else 1
    reach = dilation * (kernel - 1) + 1
    size = draw(st.integers(max(1, reach - 2 * padding), max(max_size, reach)))
    return size, kernel, draw(st.integers(1, 4)), padding, dilation
