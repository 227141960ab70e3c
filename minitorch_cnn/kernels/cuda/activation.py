"""Activations and their slopes, element by element."""

import math
from typing import Any

from . import functions
from .elementwise import operation, run
from .registry import device_function

INV_SQRT_2 = 1 / math.sqrt(2)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def _sigmoid(kind):
    return lambda x: kind(1) / (kind(1) + functions.exp(-x))


def _sigmoid_grad(kind):
    return lambda gy, y: gy * y * (kind(1) - y)


def _tanh_grad(kind):
    return lambda gy, y: gy * (kind(1) - y * y)


def _gelu(kind):
    return lambda x: x * kind(0.5) * (kind(1) + kind(functions.erf(x * kind(INV_SQRT_2))))


def _gelu_grad(kind):
    def slope(gy, x):
        probability = kind(0.5) * (kind(1) + kind(functions.erf(x * kind(INV_SQRT_2))))
        e = functions.exp(kind(-0.5) * x * x)
        # At infinity x e is 0, where the product would be NaN.
        return gy * (probability + (x * e * kind(INV_SQRT_2PI) if e > kind(0) else kind(0)))

    return slope


def _gelu_tanh(kind):
    def f(x):
        u = kind(SQRT_2_OVER_PI) * (x + kind(0.044715) * x * x * x)
        return x / (kind(1) + functions.exp(kind(-2) * u))

    return f


def _gelu_tanh_grad(kind):
    def slope(gy, x):
        u = kind(SQRT_2_OVER_PI) * (x + kind(0.044715) * x * x * x)
        s = kind(1) / (kind(1) + functions.exp(kind(-2) * u))
        rest = kind(1) / (kind(1) + functions.exp(kind(2) * u))
        du = kind(2 * SQRT_2_OVER_PI) * (kind(1) + kind(3 * 0.044715) * x * x)
        return gy * s * (kind(1) + (x * du * rest if rest > kind(0) else kind(0)))

    return slope


def _silu(kind):
    return lambda x: x / (kind(1) + functions.exp(-x))


def _silu_grad(kind):
    def slope(gy, x):
        s = kind(1) / (kind(1) + functions.exp(-x))
        rest = kind(1) / (kind(1) + functions.exp(x))
        return gy * s * (kind(1) + (x * rest if rest > kind(0) else kind(0)))

    return slope


def _leaky_relu(kind):
    return lambda x, c: x if x > kind(0) else c[0] * x


def _leaky_relu_grad(kind):
    return lambda gy, x, c: gy if x > kind(0) else c[0] * gy


def _hardtanh(kind):
    return lambda x, c: c[0] if x < c[0] else (c[1] if x > c[1] else x)


def _hardtanh_grad(kind):
    return lambda gy, x, c: kind(0) if x <= c[0] or x >= c[1] else gy


def _ramp(kind):
    """min(max(x + 3, 0), 6)"""

    def ramp(x):
        t = x + kind(3)
        return kind(0) if t < kind(0) else (kind(6) if t > kind(6) else t)

    return device_function(ramp)


def _hardsigmoid(kind):
    ramp = _ramp(kind)
    return lambda x: ramp(x) / kind(6)


def _hardswish(kind):
    ramp = _ramp(kind)
    return lambda x: x * ramp(x) / kind(6)


def _hardswish_grad(kind):
    def slope(gy, x):
        if x <= kind(-3):
            return kind(0)
        return gy if x >= kind(3) else gy * (x / kind(3) + kind(0.5))

    return slope


# The numbers: alpha scale, scale, rate; then alpha scale rate in the first's place.
def _elu(kind):
    return lambda x, c: c[0] * functions.expm1(c[2] * x) if x <= kind(0) else c[1] * x


def _elu_grad(kind):
    return lambda gy, x, c: gy * (c[0] * functions.exp(c[2] * x) if x <= kind(0) else c[1])


def _softplus(kind):
    def f(x, c):
        z = c[0] * x
        smooth = max(z, kind(0)) + functions.log1p(functions.exp(-abs(z)))
        return x if z > c[1] else smooth / c[0]

    return f


def _mish(kind):
    return lambda x: x * functions.tanh(functions.log1p(functions.exp(x)))


operation("hardtanh", _hardtanh, constant=True)
operation("hardtanh_grad", _hardtanh_grad, constant=True)
operation("hardsigmoid", _hardsigmoid)
operation("hardswish", _hardswish)
operation("hardswish_grad", _hardswish_grad)
operation("elu", _elu, constant=True)
operation("elu_grad", _elu_grad, constant=True)
operation("softplus", _softplus, constant=True)
operation("mish", _mish)
operation("relu", lambda kind: lambda x: kind(0) if x <= kind(0) else x)
operation("relu_grad", lambda kind: lambda gy, y: kind(0) if y <= kind(0) else gy)
operation("leaky_relu", _leaky_relu, constant=True)
operation("leaky_relu_grad", _leaky_relu_grad, constant=True)
operation("sigmoid", _sigmoid)
operation("sigmoid_grad", _sigmoid_grad)
operation("tanh", lambda kind: lambda x: functions.tanh(x))
operation("tanh_grad", _tanh_grad)
operation("erf", lambda kind: lambda x: functions.erf(x))
operation("erfc", lambda kind: lambda x: functions.erfc(x))
operation("gelu", _gelu)
operation("gelu_grad", _gelu_grad)
operation("gelu_tanh", _gelu_tanh)
operation("gelu_tanh_grad", _gelu_tanh_grad)
operation("silu", _silu)
operation("silu_grad", _silu_grad)


def relu(x: Any, y: Any) -> None:
    """y = max(x, 0), NaN for NaN"""
    run("relu", x, y)


def relu_grad(gy: Any, y: Any, gx: Any) -> None:
    """gx = gy where y > 0, else 0"""
    run("relu_grad", gy, y, gx)


def leaky_relu(x: Any, y: Any, slope: float) -> None:
    """y = x above 0, slope x below"""
    run("leaky_relu", x, y, constants=(slope,))


def leaky_relu_grad(gy: Any, x: Any, gx: Any, slope: float) -> None:
    """gx = gy where x > 0, else slope gy"""
    run("leaky_relu_grad", gy, x, gx, constants=(slope,))


def hardtanh(x: Any, y: Any, low: float, high: float) -> None:
    """y = min(max(x, low), high), NaN for NaN"""
    run("hardtanh", x, y, constants=(low, high))


def hardtanh_grad(gy: Any, x: Any, gx: Any, low: float, high: float) -> None:
    """gx = gy unless x <= low or x >= high, else 0"""
    run("hardtanh_grad", gy, x, gx, constants=(low, high))


def hardsigmoid(x: Any, y: Any) -> None:
    """y = min(max(x + 3, 0), 6) / 6, NaN for NaN"""
    run("hardsigmoid", x, y)


def hardswish(x: Any, y: Any) -> None:
    """y = x min(max(x + 3, 0), 6) / 6"""
    run("hardswish", x, y)


def hardswish_grad(gy: Any, x: Any, gx: Any) -> None:
    """gx = gy times 0 up to -3, 1 from 3 on, between them x / 3 + 1/2"""
    run("hardswish_grad", gy, x, gx)


def elu(x: Any, y: Any, alpha: float, scale: float, rate: float) -> None:
    """y = scale x above 0, scale alpha (e^(rate x) - 1) below"""
    run("elu", x, y, constants=(alpha * scale, scale, rate))


def elu_grad(gy: Any, x: Any, gx: Any, alpha: float, scale: float, rate: float) -> None:
    """gx = scale gy above 0, scale alpha rate e^(rate x) gy below"""
    run("elu_grad", gy, x, gx, constants=(alpha * scale * rate, scale, rate))


def softplus(x: Any, y: Any, beta: float, threshold: float) -> None:
    """y = ln(1 + e^z) / beta = (max(z, 0) + ln(1 + e^-|z|)) / beta, x if z = beta x > threshold"""
    run("softplus", x, y, constants=(beta, threshold))


def mish(x: Any, y: Any) -> None:
    """y = x tanh(ln(1 + e^x))"""
    run("mish", x, y)


def sigmoid(x: Any, y: Any) -> None:
    """y = 1 / (1 + e^-x)"""
    run("sigmoid", x, y)


def sigmoid_grad(gy: Any, y: Any, gx: Any) -> None:
    """gx = gy y (1 - y)"""
    run("sigmoid_grad", gy, y, gx)


def tanh(x: Any, y: Any) -> None:
    """y = tanh x"""
    run("tanh", x, y)


def tanh_grad(gy: Any, y: Any, gx: Any) -> None:
    """gx = gy (1 - y^2)"""
    run("tanh_grad", gy, y, gx)


def erf(x: Any, y: Any) -> None:
    """y = 2/sqrt(pi) integral from 0 to x of e^(-t^2)"""
    run("erf", x, y)


def erfc(x: Any, y: Any) -> None:
    """y = 1 - erf(x)"""
    run("erfc", x, y)


def gelu(x: Any, y: Any) -> None:
    """y = x Phi(x), Phi the normal distribution"""
    run("gelu", x, y)


def gelu_grad(gy: Any, x: Any, gx: Any) -> None:
    """gx = gy (Phi(x) + x phi(x)), phi = Phi'"""
    run("gelu_grad", gy, x, gx)


def gelu_tanh(x: Any, y: Any) -> None:
    """y = x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3)"""
    run("gelu_tanh", x, y)


def gelu_tanh_grad(gy: Any, x: Any, gx: Any) -> None:
    """gx = gy s (1 + x (1 - s) 2u'), s = sigmoid(2u), u' = sqrt(2/pi) (1 + 3 0.044715 x^2)"""
    run("gelu_tanh_grad", gy, x, gx)


def silu(x: Any, y: Any) -> None:
    """y = x / (1 + e^-x)"""
    run("silu", x, y)


def silu_grad(gy: Any, x: Any, gx: Any) -> None:
    """gx = gy s (1 + x (1 - s)), s = sigmoid(x)"""
    run("silu_grad", gy, x, gx)
