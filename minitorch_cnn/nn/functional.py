"""Functions behind the layers, as `torch.nn.functional`."""

from __future__ import annotations

from ..ops.activation import gelu as gelu
from ..ops.activation import leaky_relu as _leaky_relu
from ..ops.activation import leaky_relu_, relu_, silu_
from ..ops.activation import relu as _relu
from ..ops.activation import sigmoid as sigmoid
from ..ops.activation import silu as _silu
from ..ops.activation import tanh as tanh
from ..ops.conv import conv2d as conv2d
from ..ops.conv import convolve2d as convolve2d
from ..ops.dropout import dropout as dropout
from ..ops.loss import binary_cross_entropy as binary_cross_entropy
from ..ops.loss import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from ..ops.loss import cross_entropy as cross_entropy
from ..ops.loss import l1_loss as l1_loss
from ..ops.loss import log_softmax as log_softmax
from ..ops.loss import mse_loss as mse_loss
from ..ops.loss import nll_loss as nll_loss
from ..ops.loss import softmax as softmax
from ..ops.matmul import linear as linear
from ..ops.norm import batch_norm as batch_norm
from ..ops.pool import adaptive_avg_pool2d as adaptive_avg_pool2d
from ..ops.pool import avg_pool2d as avg_pool2d
from ..ops.pool import max_pool2d as max_pool2d
from ..tensor import Tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html
    """
    return relu_(input) if inplace else _relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x above zero, negative_slope x below.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html
    """
    write = leaky_relu_ if inplace else _leaky_relu
    return write(input, negative_slope)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x)

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.silu.html
    """
    return silu_(input) if inplace else _silu(input)
