"""Activations and their slopes, element by element."""

import math

from ..jit import kernel, prange
from . import functions

INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def _elements(*args):
    return args[0].size


def _hard_elements(*args):
    return 10 * args[0].size  # an exponential costs about ten multiply-adds


@kernel(work=_elements, flat=True)
def relu(x, y):
    """y = max(x, 0), NaN for NaN"""
    zero = y.dtype.type(0)
    for i in prange(y.size):
        y[i] = zero if x[i] <= zero else x[i]


@kernel(work=_elements, flat=True)
def relu_grad(gy, y, gx):
    """gx = gy where y > 0, else 0"""
    zero = gx.dtype.type(0)
    for i in prange(gx.size):
        gx[i] = zero if y[i] <= zero else gy[i]


@kernel(work=_elements, flat=True)
def leaky_relu(x, y, slope):
    """y = x above 0, slope x below"""
    slope = y.dtype.type(slope)
    for i in prange(y.size):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@kernel(work=_elements, flat=True)
def leaky_relu_grad(gy, x, gx, slope):
    """gx = gy where x > 0, else slope gy"""
    slope = gx.dtype.type(slope)
    for i in prange(gx.size):
        gx[i] = gy[i] if x[i] > 0 else slope * gy[i]


@kernel(work=_hard_elements, flat=True)
def sigmoid(x, y):
    """y = 1 / (1 + e^-x)"""
    for i in prange(y.size):
        y[i] = functions.sigmoid(x[i])


@kernel(work=_elements, flat=True)
def sigmoid_grad(gy, y, gx):
    """gx = gy y (1 - y)"""
    one = gx.dtype.type(1)
    for i in prange(gx.size):
        gx[i] = gy[i] * y[i] * (one - y[i])


@kernel(work=_hard_elements, flat=True)
def tanh(x, y):
    """y = tanh x"""
    for i in prange(y.size):
        y[i] = functions.tanh(x[i])


@kernel(work=_elements, flat=True)
def tanh_grad(gy, y, gx):
    """gx = gy (1 - y^2)"""
    one = gx.dtype.type(1)
    for i in prange(gx.size):
        gx[i] = gy[i] * (one - y[i] * y[i])


@kernel(work=_hard_elements, flat=True)
def erf(x, y):
    """y = 2/sqrt(pi) integral from 0 to x of e^(-t^2)"""
    for i in prange(y.size):
        y[i] = functions.erf(x[i])


@kernel(work=_hard_elements, flat=True)
def gelu(x, y):
    """y = x Phi(x), Phi the normal distribution"""
    for i in prange(y.size):
        probability, _ = functions.normal(x[i])
        y[i] = x[i] * probability


@kernel(work=_hard_elements, flat=True)
def gelu_grad(gy, x, gx):
    """gx = gy (Phi(x) + x phi(x)), phi = Phi'"""
    c = gx.dtype.type(INV_SQRT_2PI)
    for i in prange(gx.size):
        probability, e = functions.normal(x[i])
        gx[i] = gy[i] * (probability + x[i] * c * e)


@kernel(work=_hard_elements, flat=True)
def gelu_tanh(x, y):
    """y = x/2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)"""
    one, c, cube = y.dtype.type(1), y.dtype.type(2 * SQRT_2_OVER_PI), y.dtype.type(0.044715)
    for i in prange(y.size):
        t = x[i]
        y[i] = t * functions.sigmoid(c * t * (one + cube * t * t))


@kernel(work=_hard_elements, flat=True)
def gelu_tanh_grad(gy, x, gx):
    """gx = gy s (1 + x (1 - s) 2u'), s = sigmoid(2u), u' = sqrt(2/pi) (1 + 3 0.044715 x^2)"""
    one, c = gx.dtype.type(1), gx.dtype.type(2 * SQRT_2_OVER_PI)
    cube, thrice = gx.dtype.type(0.044715), gx.dtype.type(3 * 0.044715)
    for i in prange(gx.size):
        t = x[i]
        s, rest = functions.sigmoids(c * t * (one + cube * t * t))
        gx[i] = gy[i] * s * (one + t * rest * c * (one + thrice * t * t))


@kernel(work=_hard_elements, flat=True)
def silu(x, y):
    """y = x / (1 + e^-x)"""
    for i in prange(y.size):
        y[i] = x[i] * functions.sigmoid(x[i])


@kernel(work=_hard_elements, flat=True)
def silu_grad(gy, x, gx):
    """gx = gy s (1 + x (1 - s)), s = sigmoid(x)"""
    one = gx.dtype.type(1)
    for i in prange(gx.size):
        s, rest = functions.sigmoids(x[i])
        gx[i] = gy[i] * s * (one + x[i] * rest)
