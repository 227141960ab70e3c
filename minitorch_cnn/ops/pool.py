"""Pooling: the largest or the mean of each window."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .. import dtypes
from ..autograd.op import Op, Result
from ..tensor import Tensor
from .sides import Pair, integer, pair


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


def _images(name: str, input: Tensor) -> Tensor:
    """The input as (n, c, h, w)."""
    shape = input._buffer.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            f"{name}: expected images (c, h, w) or (n, c, h, w) with none of c, h, w zero, "
            f"got {list(input.shape)}"
        )
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point tensor, not {input.dtype}")
    return input.unsqueeze(0) if len(shape) == 3 else input


def _windows(
    name: str,
    x: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None,
    padding: int | Pair,
    dilation: int | Pair,
    ceil_mode: bool,
) -> dict[str, Any]:
    """The checked attributes of a pooling op."""
    kernel = pair(f"{name}: kernel_size", kernel_size)
    step = kernel if stride is None or stride == () else pair(f"{name}: stride", stride)
    pad, dilated = pair(f"{name}: padding", padding), pair(f"{name}: dilation", dilation)
    return _fitting(name, x._buffer.shape[2:], kernel, step, pad, dilated, bool(ceil_mode))


@lru_cache(maxsize=512)
def _fitting(
    name: str,
    shape: tuple[int, ...],
    kernel: Pair,
    step: Pair,
    pad: Pair,
    dilated: Pair,
    ceil_mode: bool,
) -> dict[str, Any]:
    for what, value in (("kernel size", kernel), ("stride", step), ("dilation", dilated)):
        if min(value) < 1:
            raise RuntimeError(f"{name}: {what} must be greater than zero, not {value}")
    if any(not 0 <= p <= (d * (k - 1) + 1) // 2 for p, k, d in zip(pad, kernel, dilated)):
        raise RuntimeError(
            f"{name}: padding should be at least 0 and at most half of the kernel's extent, "
            f"but got padding {pad}, kernel {kernel} and dilation {dilated}"
        )
    h, w = [
        pooled_size(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(shape, kernel, step, pad, dilated)
    ]
    if min(h, w) < 1:
        raise RuntimeError(
            f"{name}: kernel {kernel} with dilation {dilated} does not fit input {shape} "
            f"with padding {pad}: the output would be {(h, w)}"
        )
    return {
        "size": (h, w),
        "kernel_size": kernel,
        "stride": step,
        "padding": pad,
        "dilation": dilated,
    }


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
    x = _images("max_pool2d", input)
    windows = _windows("max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode)
    y, indices = MaxPool2d.apply(x, **windows)
    if input.ndim == 3:
        y, indices = y.squeeze(0), indices.squeeze(0)
    return (y, indices) if return_indices else y


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
    if divisor_override == 0:
        raise RuntimeError("avg_pool2d: divisor must be not zero")
    x = _images("avg_pool2d", input)
    windows = _windows("avg_pool2d", x, kernel_size, stride, padding, 1, ceil_mode)
    y = AvgPool2d.apply(
        x,
        **{key: value for key, value in windows.items() if key != "dilation"},
        count_include_pad=bool(count_include_pad),
        divisor_override=integer("avg_pool2d: divisor_override", divisor_override or 0),
    )
    return y.squeeze(0) if input.ndim == 3 else y


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of as many windows as the output is to have; None keeps a size.

    Shapes: (n, c, h, w) or (c, h, w) to (.., c, oh, ow).

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html
    """
    x = _images("adaptive_avg_pool2d", input)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(wanted) != 2:
        raise RuntimeError(f"adaptive_avg_pool2d: expected two output sizes, not {output_size!r}")
    oh, ow = [
        n if size is None else integer("adaptive_avg_pool2d: output_size", size)
        for n, size in zip(x._buffer.shape[2:], wanted)
    ]
    if min(oh, ow) < 0:
        raise RuntimeError(f"adaptive_avg_pool2d: output size must not be negative: {(oh, ow)}")
    y = AdaptiveAvgPool2d.apply(x, size=(oh, ow))
    return y.squeeze(0) if input.ndim == 3 else y
