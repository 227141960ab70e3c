"""Activations and their slopes, element by element."""

import math

from ..jit import kernel, prange
from . import functions

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
        above = gy[i]  # read for every element: a read that depends on y is no vector's
        gx[i] = zero if y[i] <= zero else above


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


@kernel(work=_elements, flat=True)
def hardtanh(x, y, low, high):
    """y = min(max(x, low), high), NaN for NaN"""
    low, high = y.dtype.type(low), y.dtype.type(high)
    for i in prange(y.size):
        y[i] = low if x[i] < low else (high if x[i] > high else x[i])


@kernel(work=_elements, flat=True)
def hardtanh_grad(gy, x, gx, low, high):
    """gx = gy unless x <= low or x >= high, else 0"""
    zero, low, high = gx.dtype.type(0), gx.dtype.type(low), gx.dtype.type(high)
    for i in prange(gx.size):
        inside = gy[i]  # read for every element: a read that depends on x is no vector's
        gx[i] = zero if (x[i] <= low) | (x[i] >= high) else inside


@kernel(work=_elements, flat=True)
def hardsigmoid(x, y):
    """y = min(max(x + 3, 0), 6) / 6, NaN for NaN"""
    zero, three, six = y.dtype.type(0), y.dtype.type(3), y.dtype.type(6)
    for i in prange(y.size):
        t = x[i] + three
        y[i] = (zero if t < zero else (six if t > six else t)) / six


@kernel(work=_elements, flat=True)
def hardswish(x, y):
    """y = x min(max(x + 3, 0), 6) / 6"""
    zero, three, six = y.dtype.type(0), y.dtype.type(3), y.dtype.type(6)
    for i in prange(y.size):
        t = x[i] + three
        y[i] = x[i] * (zero if t < zero else (six if t > six else t)) / six


@kernel(work=_elements, flat=True)
def hardswish_grad(gy, x, gx):
    """gx = gy times 0 up to -3, 1 from 3 on, between them x / 3 + 1/2"""
    zero, three, half = gx.dtype.type(0), gx.dtype.type(3), gx.dtype.type(0.5)
    for i in prange(gx.size):
        slope = gy[i] * (x[i] / three + half)
        gx[i] = zero if x[i] <= -three else (gy[i] if x[i] >= three else slope)


@kernel(work=_hard_elements, flat=True)
def elu(x, y, alpha, scale, rate):
    """y = scale x above 0, scale alpha (e^(rate x) - 1) below"""
    zero, factor = y.dtype.type(0), y.dtype.type(alpha * scale)
    scale, rate = y.dtype.type(scale), y.dtype.type(rate)
    for i in prange(y.size):
        below = factor * functions.expm1(rate * x[i])
        y[i] = below if x[i] <= zero else scale * x[i]


@kernel(work=_hard_elements, flat=True)
def elu_grad(gy, x, gx, alpha, scale, rate):
    """gx = scale gy above 0, scale alpha rate e^(rate x) gy below"""
    zero, factor = gx.dtype.type(0), gx.dtype.type(alpha * scale * rate)
    scale, rate = gx.dtype.type(scale), gx.dtype.type(rate)
    for i in prange(gx.size):
        below = factor * functions.exp(rate * x[i])
        gx[i] = gy[i] * (below if x[i] <= zero else scale)


@kernel(work=_hard_elements, flat=True)
def softplus(x, y, beta, threshold):
    """y = ln(1 + e^z) / beta = (max(z, 0) + ln(1 + e^-|z|)) / beta, x if z = beta x > threshold"""
    zero, beta, threshold = y.dtype.type(0), y.dtype.type(beta), y.dtype.type(threshold)
    for i in prange(y.size):
        z = beta * x[i]
        smooth = (zero if z < zero else z) + functions.log1p(functions.exp(-abs(z)))
        y[i] = x[i] if z > threshold else smooth / beta


@kernel(work=_hard_elements, flat=True)
def mish(x, y):
    """y = x tanh(ln(1 + e^x))"""
    for i in prange(y.size):
        y[i] = x[i] * functions.tanh(functions.log1p(functions.exp(x[i])))


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
def erfc(x, y):
    """y = 1 - erf(x)"""
    for i in prange(y.size):
        y[i] = math.erfc(x[i])


@kernel(work=_hard_elements, flat=True)
def gelu(x, y):
    """y = x Phi(x), Phi the normal distribution"""
    for i in prange(y.size):
        y[i] = functions.gelu(x[i])


@kernel(work=_hard_elements, flat=True)
def gelu_grad(gy, x, gx):
    """gx = gy (Phi(x) + x phi(x)), phi = Phi'"""
    for i in prange(gx.size):
        gx[i] = gy[i] * functions.gelu_slope(x[i])


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
