"""Layers under test: how to make one, in PyTorch or here, and the shape of its input."""

IMAGES, FEATURES, SEQUENCES = (2, 4, 9, 8), (5, 6), (3, 6, 4)

ACTIVATIONS = {
    "relu6": (lambda t: t.nn.ReLU6(), IMAGES),
    "in place": (
        lambda t: t.nn.Sequential(t.nn.Linear(6, 3), t.nn.Hardtanh(-2, 2, True), t.nn.SELU(True)),
        FEATURES,
    ),
    "mish": (lambda t: t.nn.Mish(), IMAGES),
    "hardswish": (lambda t: t.nn.Hardswish(), IMAGES),
    "selu": (lambda t: t.nn.SELU(), IMAGES),
    "rrelu eval": (lambda t: t.nn.RReLU().eval(), IMAGES),
    "rrelu": (lambda t: t.nn.RReLU(0.25, upper=0.25), IMAGES),
    "elu": (lambda t: t.nn.ELU(), IMAGES),
    "elu alpha": (lambda t: t.nn.ELU(0.5, inplace=False), IMAGES),
    "celu": (lambda t: t.nn.CELU(alpha=0.5), IMAGES),
    "hardtanh": (lambda t: t.nn.Hardtanh(), IMAGES),
    "hardtanh bounds": (lambda t: t.nn.Hardtanh(-0.5, max_val=0.25), IMAGES),
    "threshold": (lambda t: t.nn.Threshold(0.1, 20), IMAGES),
    "softplus": (lambda t: t.nn.Softplus(), IMAGES),
    "softplus options": (lambda t: t.nn.Softplus(2, threshold=1.5), IMAGES),
    "hardshrink": (lambda t: t.nn.Hardshrink(), IMAGES),
    "softshrink": (lambda t: t.nn.Softshrink(lambd=0.25), IMAGES),
    "log sigmoid": (lambda t: t.nn.LogSigmoid(), IMAGES),
    "tanhshrink": (lambda t: t.nn.Tanhshrink(), IMAGES),
    "softsign": (lambda t: t.nn.Softsign(), IMAGES),
    "glu": (lambda t: t.nn.GLU(), IMAGES),
    "glu channels": (lambda t: t.nn.GLU(dim=1), IMAGES),
    "softmin": (lambda t: t.nn.Softmin(dim=1), FEATURES),
    "softmax 2d": (lambda t: t.nn.Softmax2d(), IMAGES),
    "prelu": (lambda t: t.nn.PReLU(), IMAGES),
    "prelu channels": (lambda t: t.nn.PReLU(4, init=0.1), IMAGES),
}

LAYERS = {**ACTIVATIONS}

TEXTS = [
    lambda nn: nn.ReLU6(True),
    lambda nn: nn.Mish(inplace=True),
    lambda nn: nn.Hardswish(True),
    lambda nn: nn.Hardsigmoid(True),
    lambda nn: nn.SELU(True),
    lambda nn: nn.RReLU(inplace=True),
    lambda nn: nn.ELU(2, True),
    lambda nn: nn.CELU(2.0, True),
    lambda nn: nn.Hardtanh(-2, 2, True),
    lambda nn: nn.Threshold(0.1, 20, True),
    lambda nn: nn.LogSoftmax(),
    lambda nn: nn.Softmin(),
    lambda nn: nn.PReLU(3),
]

REFUSED = [
    lambda t: t.nn.Hardtanh(1.0, 1.0),
    lambda t: t.nn.functional.hardtanh(t.zeros(2), 1.0, 0.5),
    lambda t: t.nn.CELU(0)(t.zeros(2)),
    lambda t: t.nn.Softshrink(-1)(t.zeros(2)),
    lambda t: t.nn.RReLU(0.5, 0.25)(t.zeros(2)),
    lambda t: t.nn.GLU()(t.zeros(2, 3)),
    lambda t: t.nn.GLU()(t.tensor(1.0)),
    lambda t: t.nn.GLU(2)(t.zeros(2, 4)),
    lambda t: t.nn.PReLU(3)(t.zeros(2, 4)),
    lambda t: t.nn.PReLU(3)(t.zeros(3)),
    lambda t: t.nn.functional.prelu(t.zeros(2, 4), t.zeros(1, 4)),
    lambda t: t.nn.Softmax2d()(t.zeros(2, 4)),
    lambda t: t.nn.Threshold(1),
    lambda t: t.nn.ELU()(t.zeros(2, dtype=t.int64)),
    lambda t: t.nn.Mish()(t.zeros(2, dtype=t.int64)),
]
