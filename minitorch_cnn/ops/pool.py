"""Pooling: the largest or the mean of each window, and what undoes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.graph import no_grad
from ..autograd.op import Op, Result
from ..tensor import Tensor
from .activation import relu
from .compare import where
from .creation import arange, rand, tensor, zeros
from .elementwise import abs, pow, sign
from .index import Put, Take, TakeAlong
from .shape import cat, expand, reshape
from .sides import Pair, Single, as_images, integer, lifted, lowered, pair, sides


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """floor, or ceil, of (size + 2 padding - dilation (kernel - 1) - 1) / stride, and 1.

    Rounded up, the last window must still start inside the input or the padding before it.
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    n = -(-room // stride) + 1
    return n - 1 if (n - 1) * stride >= size + padding else n


class MaxPool2d(Op):
    """y[n,c,i,j] = max_{k,l} x[n, c, i s + k d - p, j s + l d - p], and its place in the image"""

    kernel = "pool.max_pool2d"
    parameters = ("kernel_size", "stride", "padding", "dilation")
    results_named = ("y", "indices")

    @staticmethod
    def outputs(
        x: Tensor, *, size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
    ) -> list[Result]:
        shape = (*x._buffer.shape[:2], *size)
        return [(shape, x.dtype), (shape, dtypes.int64)]

    def grad_x(self, gy: Tensor, indices: Tensor) -> Tensor:
        return MaxPool2dGrad.apply(gy, indices, size=self.shapes[0])


class MaxPool2dGrad(Op):
    """gx = 0, then gy added at the indices"""

    kernel = "pool.max_pool2d_grad"

    @staticmethod
    def outputs(gy: Tensor, indices: Tensor, *, size: tuple[int, ...]) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor, indices: Tensor) -> Tensor:
        return MaxPool2dGather.apply(g, indices)


class MaxPool2dGather(Op):
    """y = x at the indices of each image"""

    kernel = "pool.max_pool2d_gather"

    @staticmethod
    def outputs(x: Tensor, indices: Tensor) -> Result:
        return indices._buffer.shape, x.dtype

    def grad_x(self, gy: Tensor, indices: Tensor) -> Tensor:
        return MaxPool2dGrad.apply(gy, indices, size=self.shapes[0])


class MaxPoolPairs(Op):
    """y[n,c,i,j] = max_{u,v<2} x[n,c,2i+u,2j+v], code = 2u+v of the first of them: one byte"""

    kernel = "pool_pairs.max_pool_pairs"
    parameters = ("relu",)
    results_named = ("y", "code")

    @staticmethod
    def outputs(x: Tensor, *, relu: bool) -> list[Result]:
        n, c, h, w = x._buffer.shape
        shape = (n, c, h // 2, w // 2)
        return [(shape, x.dtype), (shape, dtypes.uint8)]

    def grad_x(self, gy: Tensor, code: Tensor) -> Tensor:
        return MaxPoolPairsGrad.apply(gy, code, size=self.shapes[0])


class MaxPoolPairsGrad(Op):
    """gx[n,c,2i+u,2j+v] = gy[n,c,i,j] where code = 2u+v, else 0"""

    kernel = "pool_pairs.max_pool_pairs_grad"

    @staticmethod
    def outputs(gy: Tensor, code: Tensor, *, size: tuple[int, ...]) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor, code: Tensor) -> Tensor:
        rows, columns = 2 * code._buffer.shape[2], 2 * code._buffer.shape[3]
        found = g[:, :, :rows:2, :columns:2]
        for k in (1, 2, 3):
            found = where(code == k, g[:, :, k // 2 : rows : 2, k % 2 : columns : 2], found)
        return found


class AvgPool2d(Op):
    """y[n,c,i,j] = sum_{k,l} x[n, c, i s + k - p, j s + l - p] / divisor"""

    kernel = "pool.avg_pool2d"
    parameters = ("kernel_size", "stride", "padding", "count_include_pad", "divisor_override")

    @staticmethod
    def outputs(
        x: Tensor,
        *,
        size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        count_include_pad: bool,
        divisor_override: int,
    ) -> Result:
        return (*x._buffer.shape[:2], *size), x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return AvgPool2dGrad.apply(gy, **{**self.attrs, "size": self.shapes[0]})


class AvgPool2dGrad(Op):
    """gx = the adjoint of avg_pool2d"""

    kernel = "pool.avg_pool2d_grad"
    parameters = AvgPool2d.parameters

    @staticmethod
    def outputs(
        gy: Tensor,
        *,
        size: tuple[int, ...],
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        count_include_pad: bool,
        divisor_override: int,
    ) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor) -> Tensor:
        return AvgPool2d.apply(g, **{**self.attrs, "size": self.shapes[0][2:]})


class AdaptiveAvgPool2d(Op):
    """y[n,c,i,j] = the mean of x over rows floor(i h / oh) to ceil((i+1) h / oh), columns alike"""

    kernel = "pool.adaptive_avg_pool2d"

    @staticmethod
    def outputs(x: Tensor, *, size: Pair) -> Result:
        return (*x._buffer.shape[:2], *size), x.dtype

    def grad_x(self, gy: Tensor) -> Tensor:
        return AdaptiveAvgPool2dGrad.apply(gy, size=self.shapes[0])


class AdaptiveAvgPool2dGrad(Op):
    """gx = the adjoint of adaptive_avg_pool2d"""

    kernel = "pool.adaptive_avg_pool2d_grad"

    @staticmethod
    def outputs(gy: Tensor, *, size: tuple[int, ...]) -> Result:
        return size, gy.dtype

    def grad_gy(self, g: Tensor) -> Tensor:
        return AdaptiveAvgPool2d.apply(g, size=self.shapes[0][2:])


# ---------------------------------------------------------------------- what all of them check


def _images(name: str, input: Tensor, dims: int) -> Tensor:
    """Images, or sequences as images of one row, as (n, c, h, w)."""
    shape = input._buffer.shape
    if len(shape) not in (dims + 1, dims + 2) or 0 in shape[-dims - 1 :]:
        what = "images (c, h, w) or (n, c, h, w)" if dims == 2 else "sequences (c, l) or (n, c, l)"
        raise RuntimeError(
            f"{name}: expected {what} with no size but n zero, got {list(input.shape)}"
        )
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point tensor, not {input.dtype}")
    return lifted(input, dims)


def _windows(
    name: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> dict[str, Any]:
    """The checked attributes of a pooling op."""
    kernel = sides(f"{name}: kernel_size", kernel_size, dims)
    step = kernel if stride in (None, ()) else sides(f"{name}: stride", stride, dims)
    pad = sides(f"{name}: padding", padding, dims)
    dilated = sides(f"{name}: dilation", dilation, dims)
    return _fitting(name, input._buffer.shape[-dims:], kernel, step, pad, dilated, bool(ceil_mode))


@lru_cache(maxsize=512)
def _fitting(
    name: str,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    step: tuple[int, ...],
    pad: tuple[int, ...],
    dilated: tuple[int, ...],
    ceil_mode: bool,
) -> dict[str, Any]:
    for what, value in (("kernel size", kernel), ("stride", step), ("dilation", dilated)):
        if min(value) < 1:
            raise RuntimeError(f"{name}: {what} must be greater than zero, not {value}")
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilated)]
    if any(not 0 <= p <= n // 2 for p, n in zip(pad, extents)):
        raise RuntimeError(
            f"{name}: padding should be at least 0 and at most half of the kernel's extent, "
            f"but got padding {pad}, kernel {kernel} and dilation {dilated}"
        )
    size = tuple(
        [
            pooled_size(n, k, s, p, d, ceil_mode)
            for n, k, s, p, d in zip(shape, kernel, step, pad, dilated)
        ]
    )
    if min(size) < 1:
        raise RuntimeError(
            f"{name}: kernel {kernel} with dilation {dilated} does not fit input {shape} "
            f"with padding {pad}: the output would be {size}"
        )
    return as_images(size=size, kernel_size=kernel, stride=step, padding=pad, dilation=dilated)


# ---------------------------------------------------------------------- windows at equal distances


def max_pool1d(
    input: Tensor,
    kernel_size: int | Single,
    stride: int | Single | None = None,
    padding: int | Single = 0,
    dilation: int | Single = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` of sequences (n, c, l) or (c, l).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.max_pool1d(torch.tensor([[3.0, 1.0, 2.0, 5.0]]), 2, return_indices=True)
    (tensor([[3., 5.]]), tensor([[0, 3]]))
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool1d", 1, input, options, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of every window; of equal ones the first gets the gradient.

    Shapes: (n, c, h, w) or (c, h, w) to the same with oh = floor((h + 2 padding -
    dilation (kernel - 1) - 1) / stride) + 1, rounded up with `ceil_mode`. The stride is the kernel
    size unless given. With `return_indices` also each maximum's place h * w in its image.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.max_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    options = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool2d", 2, input, options, return_indices)


def _max_pool(
    name: str, dims: int, input: Tensor, options: tuple[Any, ...], return_indices: bool
) -> Any:
    x = _images(name, input, dims)
    attrs = _windows(name, dims, input, *options)
    if not return_indices and _in_pairs(x._buffer.shape, **attrs):
        return lowered(MaxPoolPairs.apply(x, relu=False)[0], input, dims)
    y, indices = MaxPool2d.apply(x, **attrs)
    y = lowered(y, input, dims)
    return (y, lowered(indices, input, dims)) if return_indices else y


def _in_pairs(
    shape: tuple[int, ...],
    size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> bool:
    """Whether the windows are pairs of rows and of columns, and no column is left over."""
    twos = kernel_size == stride == (2, 2)
    plain = padding == (0, 0) and dilation == (1, 1) and size[0] == shape[2] // 2
    return twos and plain and shape[3] % 2 == 0


def avg_pool1d(
    input: Tensor,
    kernel_size: int | Single,
    stride: int | Single | None = None,
    padding: int | Single = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`avg_pool2d` of sequences (n, c, l) or (c, l).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.avg_pool1d(torch.tensor([[3.0, 1.0, 2.0, 5.0]]), 2)
    tensor([[2.0000, 3.5000]])
    """
    options = (kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool("avg_pool1d", 1, input, options, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of every window.

    Shapes as in `max_pool2d`. The sum is divided by the window's size, with `count_include_pad`
    the padding's zeros counted too, or by `divisor_override`.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.avg_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    options = (kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool("avg_pool2d", 2, input, options, count_include_pad, divisor_override)


def _avg_pool(
    name: str,
    dims: int,
    input: Tensor,
    options: tuple[Any, ...],
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    if divisor_override == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    x = _images(name, input, dims)
    windows = _windows(name, dims, input, *options)
    y = AvgPool2d.apply(
        x,
        **{key: value for key, value in windows.items() if key != "dilation"},
        count_include_pad=bool(count_include_pad),
        divisor_override=integer(f"{name}: divisor_override", divisor_override or 0),
    )
    return lowered(y, input, dims)


def lp_pool1d(
    input: Tensor,
    norm_type: int | float,
    kernel_size: int,
    stride: int | Single | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool2d` of sequences (n, c, l) or (c, l).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.lp_pool1d(torch.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, kernel_size=2)
    tensor([[ 5., 10.]])
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: int | float,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """(sum of x^p)^(1/p) over every window, p being `norm_type`; of |x| if p is infinite.

    Shapes as in `max_pool2d`, without padding. As in PyTorch a sum of 0 gets no gradient, or NaN,
    and a negative sum that has no root is NaN.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.lp_pool2d(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]]), 2, kernel_size=2)
    tensor([[[5.]]])
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(
    name: str, dims: int, input: Tensor, p: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    options = (kernel_size, stride, 0, 1, ceil_mode)
    if math.isinf(p):
        pooled = _max_pool(name, dims, abs(input) * math.copysign(1, p), options, False)
        return pooled * math.copysign(1, p)
    mean = _avg_pool(name, dims, pow(input, p), options, True, None)
    count = math.prod(sides(f"{name}: kernel_size", kernel_size, dims))
    return pow(sign(mean) * relu(abs(mean)) * count, 1.0 / p)


# ---------------------------------------------------------------------- as many windows as asked


def adaptive_avg_pool1d(input: Tensor, output_size: int | Single) -> Tensor:
    """Means of as many windows as the output is to have; (n, c, l) or (c, l) to (.., c, ol).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 3.0, 5.0]]), 3)
    tensor([[1.5000, 2.5000, 4.0000]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of as many windows as the output is to have; None keeps a size.

    Shapes: (n, c, h, w) or (c, h, w) to (.., c, oh, ow).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.adaptive_avg_pool2d(torch.arange(6.0).reshape(1, 2, 3), (1, None))
    tensor([[[1.5000, 2.5000, 3.5000]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive_avg_pool(name: str, dims: int, input: Tensor, output_size: Any) -> Tensor:
    x = _images(name, input, dims)
    y = AdaptiveAvgPool2d.apply(x, size=_wanted(name, dims, x, output_size))
    return lowered(y, input, dims)


def _wanted(name: str, dims: int, x: Tensor, output_size: Any) -> Pair:
    """The output's height and width; for images None keeps one."""
    if type(output_size) is int and output_size >= 0:
        return (1 if dims == 1 else output_size), output_size
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    if len(given) != dims:
        wanted = "two output sizes" if dims == 2 else "an output size"
        raise RuntimeError(f"{name}: expected {wanted}, not {output_size!r}")
    size = [
        n if wanted is None and dims == 2 else integer(f"{name}: output_size", wanted)
        for n, wanted in zip(x._buffer.shape[-dims:], given)
    ]
    if min(size) < 0:
        raise RuntimeError(f"{name}: output size must not be negative: {tuple(size)}")
    return (1, size[0]) if dims == 1 else (size[0], size[1])


def adaptive_max_pool1d(
    input: Tensor, output_size: int | Single, return_indices: bool = False
) -> Any:
    """The largest elements of as many windows as the output is to have; (n, c, l) or (c, l) to
    (.., c, ol), and their places if `return_indices`.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.adaptive_max_pool1d(torch.tensor([[1.0, 9.0, 2.0, 5.0]]), 3, return_indices=True)
    (tensor([[9., 9., 5.]]), tensor([[1, 1, 3]]))
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of as many windows as the output is to have; None keeps a size.

    Shapes: (n, c, h, w) or (c, h, w) to (.., c, oh, ow); the windows are `adaptive_avg_pool2d`'s.
    With `return_indices` also each maximum's place h * w in its image.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.adaptive_max_pool2d(torch.arange(6.0).reshape(1, 2, 3), (1, 2))
    tensor([[[4., 5.]]])
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def _adaptive_max_pool(
    name: str, dims: int, input: Tensor, output_size: Any, return_indices: bool
) -> Any:
    x = _images(name, input, dims)
    size = _wanted(name, dims, x, output_size)
    shape = x._buffer.shape[2:]
    if all([m == 0 or n % m == 0 for n, m in zip(shape, size)]):  # all windows are alike
        kernel = (shape[0] // max(size[0], 1), shape[1] // max(size[1], 1))
        y, indices = _max_side_by_side(x, size, kernel)
    else:
        taps = [_adaptive_taps(n, m) for n, m in zip(shape, size)]
        rows, columns = [tensor(t, device=x.device) for t in taps]
        rows, columns = rows.unsqueeze(0), columns.unsqueeze(0)
        kernel = (rows.shape[1] // max(size[0], 1), columns.shape[1] // max(size[1], 1))
        y, indices = _max_of_taps(x, rows, columns, size, kernel)
    y = lowered(y, input, dims)
    return (y, lowered(indices, input, dims)) if return_indices else y


def _adaptive_taps(n: int, m: int) -> np.ndarray[Any, Any]:
    """The places that each of m windows takes from n, one window after the other: as many of each,
    for which a shorter window has its last place twice."""
    i = np.arange(m)
    first, stop = i * n // m, -(-(i + 1) * n // m)
    taps = first[:, None] + np.arange((stop - first).max(initial=1))
    return np.minimum(taps, stop[:, None] - 1).ravel()


def _max_side_by_side(x: Tensor, size: Pair, kernel: Pair) -> tuple[Tensor, Tensor]:
    """The maxima of so many windows that do not overlap, and their places in the planes."""
    options: Any = {"kernel_size": kernel, "stride": kernel, "padding": (0, 0), "dilation": (1, 1)}
    y, indices = MaxPool2d.apply(x, size=size, **options)
    return y, indices


def _max_of_taps(
    x: Tensor, rows: Tensor, columns: Tensor, size: Pair, kernel: Pair
) -> tuple[Tensor, Tensor]:
    """The maxima of windows that stand anywhere, and their places in the planes.

    The windows' rows and columns, one window after the other, are given for each plane, (n c, ..),
    or once for all, (1, ..). Picked out, they make images whose windows stand side by side.
    """
    n, c, h, w = x._buffer.shape
    planes = arange(n * c, device=x.device).reshape(-1, 1, 1)
    with no_grad():
        at = (planes, rows.unsqueeze(2), columns.unsqueeze(1))
        picked = Take.apply(reshape(x, n * c, h, w), *at, dims=(0, 1, 2))
        _, places = _max_side_by_side(picked.unsqueeze(0), size, kernel)
        places = reshape(places, n * c, size[0] * size[1])
        width = max(picked.shape[2], 1)
        row, column = _at(rows, places // width), _at(columns, places % width)
        indices = reshape(row * w + column, n, c, *size)
    return MaxPool2dGather.apply(x, indices), indices


def _at(table: Tensor, places: Tensor) -> Tensor:
    """For each plane, the numbers of its table, or of the one for all, at some places."""
    return TakeAlong.apply(expand(table, places.shape[0], -1), places, dim=1)


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    output_size: int | Pair | None = None,
    output_ratio: tuple[float, float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest elements of windows at random, nearly equal distances.

    Benjamin Graham, Fractional max-pooling (2014). Shapes: (n, c, h, w) or (c, h, w) to
    (.., c, oh, ow), either an `output_size` or an `output_ratio` of the input's. The windows of
    each plane follow from two numbers of `_random_samples` (n, c, 2), from 0 to 1, for the columns
    and for the rows; they are drawn if not given. With `return_indices` also each maximum's place
    h * w in its image.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.fractional_max_pool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> F.fractional_max_pool2d(torch.zeros(2, 9, 9), 2, output_ratio=(0.7, 0.5)).shape
    torch.Size([2, 6, 4])
    """
    name = "fractional_max_pool2d"
    x = _images(name, input, 2)
    n, c, h, w = x._buffer.shape
    if output_size is not None:
        size = pair(f"{name}: output_size", output_size)
    elif output_ratio is not None:
        if not isinstance(output_ratio, (tuple, list)):
            raise TypeError(f"{name}: output_ratio must be a tuple, not {output_ratio!r}")
        if len(output_ratio) > 2:
            raise ValueError(f"{name}: output_ratio must be one or two numbers, not {output_ratio}")
        size = (int(h * output_ratio[0]), int(w * output_ratio[-1]))
    else:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = pair(f"{name}: kernel_size", kernel_size)
    if (
        min(kernel) < 1
        or min(size) < 0
        or any(m + k - 1 > d for m, k, d in zip(size, kernel, (h, w)))
    ):
        raise RuntimeError(
            f"{name}: kernel {kernel} is too large, or empty, for an output of size {size} "
            f"from an input of size {(h, w)}"
        )
    if _random_samples is None:
        _random_samples = rand(n, c, 2, dtype=x.dtype, device=x.device)
    if _random_samples.dtype is not x.dtype or _random_samples._buffer.shape != (n, c, 2):
        raise RuntimeError(
            f"{name}: _random_samples must be of shape {[n, c, 2]} and {x.dtype}, "
            f"not {list(_random_samples.shape)} and {_random_samples.dtype}"
        )
    samples = reshape(_random_samples.detach(), n * c, 2)
    rows = _fractional_taps(samples[:, 1:], h, size[0], kernel[0])
    columns = _fractional_taps(samples[:, :1], w, size[1], kernel[1])
    y, indices = _max_of_taps(x, rows, columns, size, kernel)
    y = lowered(y, input, 2)
    return (y, lowered(indices, input, 2)) if return_indices else y


def _fractional_taps(samples: Tensor, n: int, m: int, kernel: int) -> Tensor:
    """The places of m windows among n, for samples (planes, 1): window i begins at
    floor((i + s) a) - floor(s a), where a is the mean distance, and the last one ends at n."""
    device = samples.device
    last = zeros(samples.shape[0], min(m, 1), dtype=dtypes.int64, device=device) + (n - kernel)
    starts = last
    if m > 1:
        distance = (n - kernel) / tensor(m - 1, dtype=samples.dtype, device=device)
        steps = arange(m - 1, dtype=samples.dtype, device=device)
        moved = ((steps + samples) * distance).long() - (samples * distance).long()
        starts = cat([moved, last], 1)
    taps = starts.unsqueeze(2) + arange(kernel, device=device)
    return reshape(taps, samples.shape[0], m * kernel)


# ---------------------------------------------------------------------- back to where they were


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: int | Single,
    stride: int | Single | None = None,
    padding: int | Single = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """`max_unpool2d` of sequences (n, c, l) or (c, l).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool1d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> y, indices = F.max_pool1d(torch.tensor([[3.0, 1.0, 2.0, 5.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(y, indices, 2)
    tensor([[3., 0., 0., 5.]])
    """
    options = (kernel_size, stride, padding, output_size)
    return _max_unpool("max_unpool1d", 1, input, indices, *options)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros, but the maxima that `max_pool2d` found at the places where it found them.

    Shapes: input and indices (n, c, h, w) or (c, h, w), the result (.., c, oh, ow) with
    oh = (h - 1) stride + kernel_size - 2 padding, or `output_size`, which may differ by less than
    the stride. Of several numbers for one place the last stays.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool2d.html

    >>> import minitorch_cnn as torch
    >>> import minitorch_cnn.nn.functional as F
    >>> x = torch.tensor([[[1.0, 2.0], [4.0, 3.0]]])
    >>> F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    options = (kernel_size, stride, padding, output_size)
    return _max_unpool("max_unpool2d", 2, input, indices, *options)


def _max_unpool(
    name: str,
    dims: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Sequence[int] | None,
) -> Tensor:
    x = _images(name, input, dims)
    if indices.dtype is not dtypes.int64 or indices._buffer.shape != input._buffer.shape:
        raise RuntimeError(
            f"{name}: indices must be of int64 and the input's shape {list(input.shape)}, "
            f"not {indices.dtype} and {list(indices.shape)}"
        )
    kernel = sides(f"{name}: kernel_size", kernel_size, dims)
    step = kernel if stride is None else sides(f"{name}: stride", stride, dims)
    pad = sides(f"{name}: padding", padding, dims)
    usual = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(input.shape[-dims:], kernel, step, pad)]
    size = usual
    if output_size is not None:
        size = [*output_size]
        size = size[2:] if len(size) == dims + 2 else size
        if len(size) != dims:
            raise ValueError(
                f"{name}: output_size must have {dims} or {dims + 2} elements, not {output_size}"
            )
        if any([not -s < m - n < s for m, n, s in zip(size, usual, step)]):
            raise ValueError(
                f"{name}: output_size {tuple(size)} must be nearer to {tuple(usual)} "
                f"than the stride {step}"
            )
    n, c, h, w = x._buffer.shape
    places, values = reshape(indices, n * c, h * w), reshape(x, n * c, h * w)
    area = math.prod(size)
    low, high = (int(places.amin()), int(places.amax())) if places.numel() else (0, 0)
    if places.numel() and not 0 <= low <= high < area:
        raise RuntimeError(
            f"{name}: found an invalid max index: {low if low < 0 else high} (output volumes are "
            f"of size {'x'.join(map(str, size))})"
        )
    planes = arange(n * c, device=x.device).unsqueeze(1)
    nothing = zeros(n * c, area, dtype=x.dtype, device=x.device)
    y = Put.apply(nothing, values, planes, places, dims=(0, 1))
    return reshape(y, *input.shape[:-dims], *size)
