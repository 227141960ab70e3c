"""The optimizers' formulas in NumPy, and how a test takes steps."""

import numpy as np

import minitorch_cnn as mt

STEPS = 100


def leaf(values, dtype=mt.float64):
    return mt.tensor(values, dtype=dtype, requires_grad=True)


def take_steps(framework, optimizer, parameter, gradients):
    """The parameter after each step with the given gradients."""
    values = []
    for gradient in gradients:
        parameter.grad = framework.tensor(gradient)
        optimizer.step()
        values.append(parameter.detach().numpy().copy())
    return np.array(values)


def sgd_formula(p, gradients, lr, momentum, dampening, weight_decay, nesterov, maximize):
    buffer = None
    for g in gradients:
        d = (-g if maximize else g) + weight_decay * p
        if momentum:
            buffer = d if buffer is None else momentum * buffer + (1 - dampening) * d
            d = d + momentum * buffer if nesterov else buffer
        p = p - lr * d
        yield p


def adam_formula(
    p, gradients, lr, betas, weight_decay, amsgrad, maximize, decoupled=False, eps=1e-8
):
    m = v = largest = 0
    for t, g in enumerate(gradients, 1):
        d = -g if maximize else g
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            d = d + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * d
        v = betas[1] * v + (1 - betas[1]) * d**2
        largest = np.maximum(largest, v) if amsgrad else v
        m_hat, v_hat = m / (1 - betas[0] ** t), largest / (1 - betas[1] ** t)
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield p


def random_problem(dtype="float64", steps=STEPS):
    rng = np.random.default_rng(5)
    start = rng.standard_normal((3, 4)).astype(dtype)
    scale = 10.0 ** rng.integers(-3, 3, (3, 4))
    return start, (scale * rng.standard_normal((steps, 3, 4))).astype(dtype)


def assert_tracks(found, expected):
    """Each step may round a few times at the size of the parameter or of its largest change."""
    size = np.abs(expected).max(initial=1.0, axis=(0,))
    step = np.arange(1, len(expected) + 1).reshape(-1, *[1] * (expected.ndim - 1))
    allowed = 8 * step * np.finfo(expected.dtype).eps * size
    assert (np.abs(found - expected) <= allowed).all()
