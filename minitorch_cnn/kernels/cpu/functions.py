"""Elementary functions of one number, for kernels to call in their loops.

They have no branches and call nothing that has, so a loop over them becomes vector code. They share
one plan: the argument is reduced to a small interval, where a polynomial of least maximal error
(found by Remez' algorithm) stands for the function, and the reduction is undone in the bits of the
exponent. The reductions are those of Cody and Waite, Software Manual for the Elementary Functions,
1980: a multiple of ln 2 is subtracted in two parts, of which the first has so few digits that no
product with it is rounded.

Each works in the precision of its argument, float32 or float64. Signed zeros, denormal numbers,
infinities and NaN give what they give in C. Errors are in units in the last place (ulp) of the
exact result, the largest that were found: for exp, tanh, erf in float32 over all numbers, for the
rest over many million; without fused multiply-adds, exp comes to 1.3.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..jit import exact
from .reals import bits_of, chosen, like, real_of


class Exp(NamedTuple):
    """What exp and its kin need, in one precision."""

    lowest: Any  # below it, e^x is 0
    highest: Any  # above it, e^x is infinite
    saturated: Any  # above it, e^x + 1 is rounded to e^x
    log2e: Any
    ln2_high: Any
    ln2_low: Any
    shifter: Any  # 1.5 times 2 to the number of binary digits: a sum with it is an integer
    polynomial: Any  # e^r, |r| < ln(2)/2, the last coefficients 1 and 1
    tanh: Any  # (tanh x - x) / x^3 in x^2, |x| < 0.8


class Log(NamedTuple):
    """What log and log1p need, in one precision."""

    ulp: Any  # 2^digits, which makes a denormal number a normal one
    digits: Any
    ln2_high: Any
    ln2_low: Any
    polynomial: (
        Any  # (ln((1+s)/(1-s)) - 2s) / s^3 in s^2, (1+s)/(1-s) between sqrt(1/2) and sqrt(2)
    )


class Erf(NamedTuple):
    """What erf needs, in one precision."""

    near: Any  # erf(x)/x - 1 in x^2, |x| < 0.93
    even: Any  # e^(t^2) erfc(t) / v in u = 1 - 2v, v = 1 / (1 + 0.3 t), t > 0: the even powers
    odd: Any


class Normal(NamedTuple):
    """What gelu needs, in one precision; in float64 the rest comes from Erf."""

    farthest: Any  # there the probability of a number below -t is 0
    density: Any  # 1 / sqrt(2 pi)
    numerator: Any = ()  # of that probability times e^(t^2/2), 0 < t < farthest
    denominator: Any = ()
    power: Any = ()  # 2^r, |r| < 1/2


class Bits(NamedTuple):
    """Where in a number's bits what stands, in one precision."""

    digits: int  # of the fraction, which is last; before it stands the exponent
    sign: int  # the place of the first bit
    rest: int  # all bits but the first
    fraction: int
    one: int  # the bits of 1
    root: int  # the bits of sqrt(1/2)
    ulp: int  # the bits of 2^digits
    offset: float  # 2^digits and the exponent's number for 2^0


def _as(real: Any, values: Any) -> Any:
    """The values, and those of tuples among them, in one precision."""
    typed = [tuple(map(real, v)) if isinstance(v, tuple) else real(v) for v in values]
    return type(values)(*typed)


# Coefficients stand in order of falling powers.
EXP32 = _as(
    np.float32,
    Exp(
        lowest=-104,
        highest=89,
        saturated=20,
        log2e=1 / math.log(2),
        ln2_high=0.693359375,
        ln2_low=-2.12194440e-4,
        shifter=1.5 * 2**23,
        polynomial=(
            *(0.0013808038784191012, 0.008368133567273617, 0.04166839271783829),
            *(0.16666527092456818, 0.5, 1.0, 1.0),
        ),
        tanh=(
            *(0.001657719723880291, -0.007551279384642839, 0.021405870094895363),
            *(-0.053886596113443375, 0.13332727551460266, -0.33333322405815125),
        ),
    ),
)
EXP64 = _as(
    np.float64,
    Exp(
        lowest=-746,
        highest=710,
        saturated=40,
        log2e=1 / math.log(2),
        ln2_high=6.93147180369123816490e-01,
        ln2_low=1.90821492927058770002e-10,
        shifter=1.5 * 2**52,
        polynomial=(
            *(2.091813816945801e-09, 2.5110049895858716e-08, 2.755726431433642e-07),
            *(2.7557242336680357e-06, 2.4801587333953088e-05, 0.00019841269886591),
            *(0.0013888888888880944, 0.008333333333322207, 0.04166666666666667),
            *(0.16666666666666674, 0.5, 1.0, 1.0),
        ),
        tanh=(
            *(-1.2986437571114104e-06, 8.821947208683314e-06, -3.2563195406628066e-05),
            *(9.24893638478749e-05, -0.0002370718975032802, 0.0005893511092204813),
            *(-0.0014556784335734104, 0.0035921033653930914, -0.008863232958636738),
            *(0.021869488371452635, -0.05396825396252488, 0.13333333333324945),
            -0.3333333333333331,
        ),
    ),
)
LOG32 = _as(
    np.float32,
    Log(
        ulp=2**23,
        digits=23,
        ln2_high=EXP32.ln2_high,
        ln2_low=EXP32.ln2_low,
        polynomial=(0.2980862855911255, 0.3998042047023773, 0.6666674613952637),
    ),
)
LOG64 = _as(
    np.float64,
    Log(
        ulp=2**52,
        digits=52,
        ln2_high=EXP64.ln2_high,
        ln2_low=EXP64.ln2_low,
        polynomial=(
            *(0.14721239131835942, 0.15321853710355546, 0.18183244020262446),
            *(0.22222205085338936, 0.2857142867481405, 0.3999999999974145, 0.6666666666666681),
        ),
    ),
)
ERF32 = _as(
    np.float32,
    Erf(
        near=(
            *(-0.0005980239948257804, 0.004991763737052679, -0.026766231283545494),
            *(0.11281827092170715, -0.3761249780654907, 0.12837915122509003),
        ),
        even=(
            *(-0.0005059483228251338, 0.004383322317153215, 0.05695517361164093),
            *(0.19878152012825012, 0.3249799311161041),
        ),
        odd=(
            *(0.0002541292633395642, -0.020419754087924957, -0.11871673166751862),
            -0.276523619890213,
        ),
    ),
)
ERF64 = _as(
    np.float64,
    Erf(
        near=(
            *(-8.290015562956751e-10, 1.3961900304124533e-08, -1.6259572752628957e-07),
            *(1.645351969119586e-06, -1.4925187986325428e-05, 0.00012055316322538614),
            *(-0.0008548326627395231, 0.005223977619464503, -0.026866170644598456),
            *(0.11283791670952671, -0.3761263890318371, 0.1283791670955126),
        ),
        even=(
            *(-1.2027370318285187e-09, 5.119155958057959e-09, -1.0499576124846254e-08),
            *(7.182922795290437e-08, -1.7498530947065414e-06, 3.27322510323335e-05),
            *(-0.00048134814848124405, 0.004356100081152303, 0.056961638043092344),
            *(0.19878107804432993, 0.32497992185979685),
        ),
        odd=(
            *(4.331423550386987e-10, -8.865199436217467e-09, 6.928835831427014e-08),
            *(-4.4105186544391613e-07, 2.8578248580751625e-06, -1.9100042968081228e-05),
            *(0.000107000775504205, 0.00018173755819605528, -0.02040144693116211),
            *(-0.1187186747088997, -0.27652355675606566),
        ),
    ),
)
BEND = 0.3  # of v in Erf
NORMAL32 = _as(
    np.float32,
    Normal(
        farthest=15.3,
        density=2.0**-64 / math.sqrt(2 * math.pi),
        numerator=tuple(
            2.0**-64 * n
            for n in (
                *(0.004143031809473261, 0.040828710914250096, 0.18383747524900268),
                *(0.43914275009208814, 0.5),
            )
        ),
        denominator=(
            *(0.01038493093668309, 0.10234845653470319, 0.471053802929291),
            *(1.2050611382969698, 1.6761703730199042, 1.0),
        ),
        power=(
            *(0.0001535336114069256, 0.00133988745348774, 0.00961843735879737),
            *(0.05550332470739216, 0.24022647913656278, 0.6931472028553929, 1.0),
        ),
    ),
)
NORMAL64 = _as(np.float64, Normal(farthest=40, density=1 / math.sqrt(2 * math.pi)))

TINY32, TINY64 = np.float32(2.0**-126), np.float64(2.0**-1022)


def _bits(real: Any, integer: Any, digits: int, sign: int) -> Bits:
    one, root, ulp = [int(real(x).view(integer)) for x in (1, math.sqrt(0.5), 2**digits)]
    offset = float(2**digits + (one >> digits))
    return Bits(digits, sign, (1 << sign) - 1, (1 << digits) - 1, one, root, ulp, offset)


BITS32 = _bits(np.float32, np.int32, 23, 31)
BITS64 = _bits(np.float64, np.int64, 52, 63)


@exact
def exp(x):
    """e^x = 2^n e^r, n = round(x / ln 2), r = x - n ln 2; 1.01 ulp in float32, 1.3 in float64"""
    c = chosen(x, EXP32, EXP64)
    # A comparison with NaN is false, so NaN stays.
    x = c.highest if x > c.highest else x
    x = c.lowest if x < c.lowest else x
    n, r = _reduced_exp(x, c)
    # 2^n may lie outside of the range of exponents, where its halves do not. Of the products only
    # the last can be rounded: once, also to a denormal number.
    half = (n - c.shifter) * like(0.5, x) + c.shifter
    rest = n - (half - c.shifter)
    return _polynomial(r, c.polynomial) * _power(half, 0) * _power(rest, 0)


@exact
def decay(t):
    """e^-t for t >= 0, cheaper than exp: the power of 2 is only too small, never too large"""
    c = chosen(t, EXP32, EXP64)
    n, r = _reduced_exp(-t, c)
    y = _polynomial(r, c.polynomial) * _power(n, 64) * like(2.0**-64, t)
    # Chosen last, it also keeps the compiler from moving 2^-64 into a product with y.
    return like(0, t) if t > -c.lowest else y


@exact
def expm1(x):
    """e^x - 1 = 2^n (e^r - 1) + 2^n - 1, n and r as in exp; 1.7 ulp in float32, 2.0 in float64"""
    c = chosen(x, EXP32, EXP64)
    y = c.highest if x > c.highest else x
    y = -c.saturated if y < -c.saturated else y
    # By way of 2^n / 2 a zero would lose its sign, and a denormal number its last bit.
    return x if abs(x) < _tiny(x) else _expm1(y, c)


@exact
def tanh(x):
    """x + x^3 P(x^2) if |x| < 0.8, else 1 - 2/(e^2|x| + 1); 1.04 ulp in float32, 1.5 in float64"""
    c = chosen(x, EXP32, EXP64)
    one, two = like(1, x), like(2, x)
    near = x + x * (x * x) * _polynomial(x * x, c.tanh)
    y = two * abs(x)
    n, r = _reduced_exp(c.saturated if y > c.saturated else y, c)
    far = one - two / (_polynomial(r, c.polynomial) * _power(n, 0) + one)
    return math.copysign(near if abs(x) < like(0.8, x) else far, x)


@exact
def sigmoid(x):
    """1 / (1 + e^-x), below 0 as e^x / (1 + e^x); 2.4 ulp in float32, 2.4 in float64"""
    one = like(1, x)
    e = decay(abs(x))
    return (e if x < 0 else one) / (one + e)


@exact
def sigmoids(x):
    """sigmoid(x) and 1 - sigmoid(x) = sigmoid(-x), neither less exact for being small"""
    one = like(1, x)
    e = decay(abs(x))
    more = one / (one + e)
    less = e * more
    return (less, more) if x < 0 else (more, less)


@exact
def log(x):
    """ln x = k ln 2 + ln(1+f), 1+f = x / 2^k about 1; 0.9 ulp in float32, 1.0 in float64"""
    c = chosen(x, LOG32, LOG64)
    denormal = x < _tiny(x)
    k, m = _split(x * c.ulp if denormal else x)
    y = _reduced_log(k - c.digits if denormal else k, m - like(1, x), c)
    return _log_at_ends(x, x, y)


@exact
def log1p(x):
    """ln(1+x) = k ln 2 + ln(1+f), 1+f = (1+x) / 2^k about 1; 1.5 ulp in float32, 1.6 in float64"""
    c = chosen(x, LOG32, LOG64)
    one, quarter = like(1, x), like(0.25, x)
    u = one + x
    k, _ = _split(u)
    # f = 2^-k x + 2^-k - 1, from 4 2^-k lest that be denormal; so the digits of x below 1 count.
    s = _power(like(1.5, x) * c.ulp - k, 2)
    y = _reduced_log(k, quarter * (s * x) + (quarter * s - one), c)
    return _log_at_ends(u, x, x if x == 0 else y)


@exact
def erf(x):
    """x + x P(x^2) if |x| < 0.93, else 1 - e^-x^2 erfcx|x|; 1.64 ulp in float32, 2.5 in float64"""
    c = chosen(x, ERF32, ERF64)
    t = abs(x)
    near = x + x * _polynomial(x * x, c.near)
    far = math.copysign(like(1, x) - decay(x * x) * _erfcx(like(BEND, x) * t, c), x)
    return near if t < like(0.93, x) else far


@exact
def gelu(x):
    """x P(x) = max(x, 0) - t P(-t), t = |x|, P(x) the probability of a normal number below x

    Above -1 it has errors of 3.1 ulp in float32 and 7.1 in float64. Further out the exponential
    loses digits as x^2/2 grows, but no more than these: at -12.5 float32 has 17 bits left.
    """
    t, bell, tail, _ = _normal(x)
    # 0 x: x P(x), as it is written, is NaN at -infinity, and -0 in front of it.
    return (like(0, x) * x if x < 0 else x) - t * (bell * tail)


@exact
def gelu_slope(x):
    """P(x) + x P'(x): 1 for x > 0, and with the sign of x the sum t P'(t) - P(-t)

    Where it is 0, at -0.75, its digits are right to 1e-7 or 2e-16 alone.
    """
    t, bell, tail, density = _normal(x)
    bend = bell * (density * t - tail)
    return -bend if x < 0 else like(1, x) + bend


@exact
def ordered(x):
    """The bits of x as an integer, and these in the order of the numbers; NaN above all

    The compiler makes vector code of a maximum of integers, where of floats it must mind NaN.
    """
    bits, c = bits_of(x), chosen(x, BITS32, BITS64)
    return like(bits ^ ((bits >> c.sign) & c.rest), bits)


@exact
def unordered(k):
    """The number that `ordered` made k of"""
    c = chosen(k, BITS32, BITS64)
    return real_of(like(k ^ ((k >> c.sign) & c.rest), k))


@exact
def _reduced_exp(x, c):
    """shifter + n and r for x = n ln 2 + r, n an integer, |r| < ln(2)/2"""
    shifted = x * c.log2e + c.shifter
    n = shifted - c.shifter
    return shifted, (x - n * c.ln2_high) - n * c.ln2_low


@exact
def _expm1(x, c):
    """e^x - 1 for x in -saturated:highest, by way of 2^n / 2, for 2^n may be too large a number"""
    n, r = _reduced_exp(x, c)
    p = r + r * r * _polynomial(r, c.polynomial[:-2])
    s = _power(n, -1)
    return (s * p + (s - like(0.5, x))) * like(2, x)


@exact
def _reduced_log(k, f, c):
    """k ln 2 + ln(1+f): ln(1+f) = 2s + s R(s^2) = f - (f^2/2 - s (f^2/2 + R)) for s = f/(2+f)"""
    s, h = f / (like(2, f) + f), like(0.5, f) * f * f
    z = s * s
    r = z * _polynomial(z, c.polynomial)
    return k * c.ln2_high + (f - (h - (s * (h + r) + k * c.ln2_low)))


@exact
def _log_at_ends(u, x, y):
    """ln u = y, but x where u is infinite or NaN, -inf where it is 0, NaN below"""
    y = y if u < like(math.inf, u) else x
    y = like(-math.inf, u) if u == 0 else y
    return like(math.nan, u) if u < 0 else y


@exact
def _erfcx(bent, c):
    """e^(t^2) erfc(t) = v (E(u^2) + u O(u^2)), u = 1 - 2v, v = 1 / (1 + bent), bent = 0.3 t >= 0"""
    one = like(1, bent)
    v = one / (one + bent)
    u = one - (v + v)
    return v * (_polynomial(u * u, c.even) + u * _polynomial(u * u, c.odd))


@exact
def _normal(x):
    """t = |x|, b = e^(-t^2/2), P(-t) / b and P'(t) / b; in float32 b times 2^64 and the others
    divided by it, or b would be denormal before its product with them is"""
    return chosen(x, _normal32, _normal64)(x)


@exact
def _normal32(x):
    """_normal in float32"""
    c, t = NORMAL32, abs(x)
    t = c.farthest if t > c.farthest else t
    rate, shifter = like(-0.5 / math.log(2), x), EXP32.shifter + like(64, x)
    # In this order, and the next in that, both are multiply-adds, which round once.
    shifted = (t * rate) * t + shifter
    r = (t * t) * rate - (shifted - shifter)
    bell = _times_power(_polynomial(r, c.power), shifted)
    return t, bell, _polynomial(t, c.numerator) / _polynomial(t, c.denominator), c.density


@exact
def _normal64(x):
    """_normal in float64"""
    c, t = NORMAL64, abs(x)
    t = c.farthest if t > c.farthest else t
    tail = like(0.5, x) * _erfcx(like(BEND * math.sqrt(0.5), x) * t, ERF64)
    return t, decay(like(0.5, x) * t * t), tail, c.density


@exact
def _polynomial(x, coefficients):
    """The sum of coefficients times powers of x, by Horner's rule"""
    y = coefficients[0]
    for k in range(1, len(coefficients)):
        y = y * x + coefficients[k]
    return y


@exact
def _tiny(x):
    """The least number that is not denormal"""
    return chosen(x, TINY32, TINY64)


@exact
def _power(shifted, k):
    """2^(n+k) for shifter + n: its last bits are n, and are put where the exponent stands"""
    bits, c = bits_of(shifted), chosen(shifted, BITS32, BITS64)
    return real_of(like((bits << c.digits) + (c.one + (k << c.digits)), bits))


@exact
def _times_power(y, shifted):
    """y 2^n for shifter + n and y and the product normal numbers of float32"""
    bits = bits_of(y)
    return real_of(like((bits_of(shifted) << BITS32.digits) + bits, bits))


@exact
def _split(x):
    """k and m for x = 2^k m, m between sqrt(1/2) and sqrt(2), x > 0 and not denormal

    Bits of positive numbers are in order, and the exponent's are the highest: those of x less those
    of sqrt(1/2) hold k on top. Added to 2^digits in its last bits, k becomes a float.
    """
    bits, c = bits_of(x), chosen(x, BITS32, BITS64)
    above = bits + (c.one - c.root)
    k = real_of(like(((above & c.rest) >> c.digits) + c.ulp, bits))
    m = real_of(like((above & c.fraction) + c.root, bits))
    return k - like(c.offset, x), m
