"""Every differentiable function against PyTorch, slow references and finite differences."""

import importlib
import math
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn.autograd.op import Op, View, ZeroView
from minitorch_cnn.device import observe
from minitorch_cnn.kernels import cpu as cpu_kernels
from minitorch_cnn.kernels.jit import Kernel

from . import rows_layers
from .op_table import Case, normal
from .rows import ROWS
from .strategies import LAYOUTS, in_layout


def over(rows):
    """A test of each of the rows."""
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


PEERS = [row for row in ROWS if row.peer]

# What PyTorch says of an even number of rows to add: it copies its input then.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

EXACT = 1e-9
INF = math.inf


@pytest.fixture(scope="module")
def pytorch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


# Calling rows


def tensors(t, case, dtype, layout="contiguous"):
    """The arrays of a case as tensors of PyTorch or of this package."""
    made = []
    for array in case.arrays:
        real = array.dtype == np.float64
        array = in_layout(array.astype(dtype) if real else array, layout)
        made.append(t.from_numpy(array).requires_grad_(real))
    return made


def results(t, row, case, inputs, dtype):
    """The outputs of a call, as a list."""
    options = {
        name: t.from_numpy(np.array(value, dtype if value.dtype == np.float64 else None))
        if isinstance(value, np.ndarray)
        else value
        for name, value in case.options.items()
    }
    outputs = row.call(t, *inputs, **options)
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def gradients(t, outputs, inputs, create_graph=False):
    """Those of the outputs, each times fixed numbers, for the inputs that require them; None where
    an output does not depend on an input."""
    outputs = [y for y in outputs if y.requires_grad]
    inputs = [x for x in inputs if x.requires_grad]
    if not outputs or not inputs:
        return []
    weights = []
    for i, y in enumerate(outputs):
        weight = t.from_numpy(normal(np.random.default_rng(i), tuple(y.shape))).to(
            y.device, y.dtype
        )
        weights.append(weight.requires_grad_(create_graph))
    return list(
        t.autograd.grad(outputs, inputs, weights, create_graph=create_graph, allow_unused=True)
    )


def values(found):
    return [None if t is None else t.detach().numpy() for t in found]


def evaluate(t, row, case, dtype=np.float64, layout="contiguous"):
    """(outputs, gradients) of a call."""
    inputs = tensors(t, case, dtype, layout)
    outputs = results(t, row, case, inputs, dtype)
    return outputs, gradients(t, outputs, inputs)


def assert_close(actual, expected, tolerance=EXACT):
    """Equal but for rounding, measured by the largest of the numbers; NaN equals NaN."""
    assert actual.shape == expected.shape
    finite = np.abs(expected[np.isfinite(expected)])
    size = max(finite.max(initial=0.0), 1.0)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * size)


def tolerance(row, case, output):
    """What float32's roundings can come to: each output is at most a sum over all numbers given."""
    if output.dtype != np.float32:
        return EXACT
    terms = max(array.size for array in case.arrays) + 1
    return 8 * float(np.finfo(np.float32).eps) * terms * row.condition


def compare_with_pytorch(pytorch, row, case, layout="contiguous"):
    """Values, gradients, shapes and types of a call here and in PyTorch, for both float types."""
    expected = evaluate(pytorch, row, case)
    single = results(pytorch, row, case, tensors(pytorch, case, np.float32), np.float32)
    compare(row, case, evaluate(mt, row, case, np.float64, layout), expected, expected[0])
    compare(row, case, evaluate(mt, row, case, np.float32, layout), expected, single)


def compare(row, case, found, wanted, typed):
    """Outputs and gradients with those wanted, and their types with those of `typed`."""
    (actual, actual_gradients), (expected, expected_gradients) = found, wanted
    assert [str(y.dtype) for y in actual] == [str(y.dtype) for y in typed]
    for y, wanted in zip(values(actual), values(expected), strict=True):
        assert_close(y, wanted, tolerance(row, case, y))
    assert len(actual_gradients) == len(expected_gradients)
    for g, wanted in zip(values(actual_gradients), values(expected_gradients), strict=True):
        if g is None or wanted is None:  # the same as zeros
            assert g is wanted or not np.any(wanted if g is None else g)
        else:
            assert_close(g, wanted, tolerance(row, case, g))


# Over the whole table


@over(PEERS)
@given(data=st.data())
@settings(max_examples=15)
def test_values_and_gradients_are_pytorchs(row, data, pytorch):
    case = data.draw(row.cases)
    layout = data.draw(st.sampled_from(LAYOUTS))
    compare_with_pytorch(pytorch, row, case, layout)


@over([row for row in ROWS if row.reference])
@given(data=st.data())
def test_values_are_the_slow_references(row, data):
    case = data.draw(row.cases)
    outputs = results(mt, row, case, tensors(mt, case, np.float64), np.float64)
    expected = row.reference(*case.arrays, **case.options)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for y, wanted in zip(values(outputs), expected, strict=True):
        assert_close(y, np.asarray(wanted))


@over(ROWS)
@given(data=st.data())
@settings(max_examples=6)
def test_gradients_of_both_orders_agree_with_differences(row, data):
    case = data.draw(row.cases)
    inputs = tensors(mt, case, np.float64)
    wanted = [x for x in inputs if x.requires_grad]
    if not wanted:
        return

    def call(*wanted):
        rest = iter(wanted)
        given = [next(rest) if x.requires_grad else x for x in inputs]
        return tuple(results(mt, row, case, given, np.float64))

    assert mt.autograd.gradcheck(call, wanted)
    assert mt.autograd.gradgradcheck(call, wanted)


@over(ROWS)
@given(data=st.data())
@settings(max_examples=3)
def test_layout_makes_no_difference(row, data):
    case = data.draw(row.cases)
    expected = evaluate(mt, row, case)
    for layout in LAYOUTS[1:]:
        actual = evaluate(mt, row, case, layout=layout)
        for found, wanted in zip(actual, expected, strict=True):
            for y, z in zip(values(found), values(wanted), strict=True):
                assert (y is None) == (z is None)
                if y is not None:
                    np.testing.assert_allclose(y, z, rtol=1e-13, atol=1e-13)


@over([row for row in PEERS if row.infinite])
@given(data=st.data())
@settings(max_examples=6)
def test_nan_and_infinity_pass_through_as_in_pytorch(row, data, pytorch):
    case = data.draw(row.cases)
    x = case.arrays[0].copy()
    if x.dtype != np.float64:
        pytest.skip("takes integers first, which are finite")
    assume(x.size)
    spots = data.draw(st.permutations(range(x.size)))
    for spot, value in zip(spots, (np.nan, np.inf, -np.inf)):
        x.flat[spot] = value
    odd = Case([x, *case.arrays[1:]], case.options)
    for dtype in (np.float64, np.float32):
        actual = results(mt, row, odd, tensors(mt, odd, dtype), dtype)
        expected = results(pytorch, row, odd, tensors(pytorch, odd, np.float64), np.float64)
        for y, wanted in zip(values(actual), values(expected), strict=True):
            assert_close(y, wanted, tolerance(row, case, y))


@over([row for row in ROWS if row.batched])
@given(data=st.data())
@settings(max_examples=5)
def test_empty_batches_are_as_in_pytorch(row, data, pytorch):
    case = data.draw(row.cases)
    assume(all(case.arrays[i].ndim for i in row.batched))
    arrays = [x[:0] if i in row.batched else x for i, x in enumerate(case.arrays)]
    compare_with_pytorch(pytorch, row, Case(arrays, case.options))


# Is the table complete?


def concrete_ops(base=Op):
    """The classes under Op that compute something themselves."""
    found = set()
    for cls in base.__subclasses__():
        found |= concrete_ops(cls)
        of_the_package = cls.__module__.startswith("minitorch_cnn.")
        if of_the_package and (hasattr(cls, "kernel") or not cls.__subclasses__()):
            found.add(cls)
    return found


TESTED_ELSEWHERE = {
    "random.choose": "test_random.py",
    "random.choose_distinct": "test_random.py",
    "random.normal": "test_random.py",
    "random.integers": "test_random.py",
    "random.streams": "test_transforms.py",
    "optim.sgd": "test_optim.py",
    "optim.adam": "test_optim.py",
    "shape.send": "test_cuda_staging.py",
    "matmul.product": "test_conv_paths.py",  # what conv2d has of it
}


def kernels():
    """The names of all kernels for the CPU that ops launch. What these are made of, in files of its
    own, is reached through them; that all of it is, tests/test_guard_pages.py looks after."""
    families = {op.kernel.split(".")[0] for op in concrete_ops() if hasattr(op, "kernel")}
    found = set()
    for info in pkgutil.iter_modules(cpu_kernels.__path__):
        if info.name not in families | {"random", "optim"}:
            continue
        module = importlib.import_module(f"{cpu_kernels.__name__}.{info.name}")
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            is_kernel = isinstance(value, Kernel) or type(value) is type(kernels)
            if own and is_kernel and not name.startswith("_"):
                found.add(f"{info.name}.{name}")
    return found


def run_table(ran, launched, monkeypatch):
    """Run every row with its first and second derivatives; note the ops and kernels it took."""

    def noting(original):
        def apply(cls, *args, **kwargs):
            ran.add(cls)
            return original(cls, *args, **kwargs)

        return classmethod(apply)

    for owner in (Op, View, ZeroView):
        monkeypatch.setattr(owner, "apply", noting(vars(owner)["apply"].__func__))
    describe = Op._describe

    def noting_describe(self, *args):
        ran.add(type(self))
        describe(self, *args)

    monkeypatch.setattr(Op, "_describe", noting_describe)

    before = observe(lambda device, name, *_: launched.add(name))
    try:
        for row in ROWS:
            run_row(row)
    finally:
        observe(before)


def run_row(row):
    @given(row.cases)
    @settings(max_examples=6, phases=[Phase.generate])
    def run(case):
        inputs = tensors(mt, case, np.float32)
        outputs = results(mt, row, case, inputs, np.float32)
        for g in gradients(mt, outputs, inputs, create_graph=True):
            if g is not None and g.requires_grad:
                (g * g).sum().backward(retain_graph=True)

    run()


def test_the_table_runs_every_op_and_kernel(monkeypatch):
    ran, launched = set(), set()
    run_table(ran, launched, monkeypatch)
    missing = {cls.__name__ for cls in concrete_ops() - ran} - {"Transfer"}  # test_cuda_device.py
    assert not missing, f"ops that no row of the table runs: {sorted(missing)}"
    missing = kernels() - launched - set(TESTED_ELSEWHERE)
    assert not missing, f"kernels that no row of the table launches: {sorted(missing)}"
    assert all((Path(__file__).parent / name).exists() for name in TESTED_ELSEWHERE.values())
    needless = launched & set(TESTED_ELSEWHERE)
    assert not needless, f"kernels that are said to be tested elsewhere only: {sorted(needless)}"


# Where functions have kinks, and other corners

KINKS = {
    "abs": (lambda t, x: x.abs(), [0.0, -1.0]),
    "sign": (lambda t, x: x.sign(), [0.0, -1.0]),
    "relu": (lambda t, x: t.relu(x), [0.0, -0.0, 1.0]),
    "leaky_relu": (lambda t, x: t.nn.functional.leaky_relu(x), [0.0, -0.0]),
    "clamp": (lambda t, x: x.clamp(-1, 1), [-1.0, 1.0, 2.0]),
    "clamp turned": (lambda t, x: x.clamp(1, -1), [-1.0, 0.0, 2.0]),
    "clamp below": (lambda t, x: x.clamp(min=0), [0.0, 1.0]),
    "maximum": (lambda t, x: t.maximum(x, x.detach()), [1.0, 2.0]),
    "minimum": (lambda t, x: t.minimum(x, x.detach() * 0), [0.0, 2.0]),
    "amax": (lambda t, x: x.amax(), [2.0, 1.0, 2.0]),
    "amin": (lambda t, x: x.amin(0), [2.0, 1.0, 1.0]),
    "max of all": (lambda t, x: x.max(), [2.0, 1.0, 2.0]),
    "max along": (lambda t, x: x.max(0)[0], [2.0, 1.0, 2.0]),
    "min along": (lambda t, x: x.min(0)[0], [1.0, 1.0, 2.0]),
    "max_pool2d": (lambda t, x: t.nn.functional.max_pool2d(x[None, None], (1, 2)), [3.0, 3.0]),
    "norm": (lambda t, x: x.norm(), [0.0, 0.0]),
    "norm 1": (lambda t, x: x.norm(1), [0.0, 2.0]),
    "norm 3": (lambda t, x: x.norm(3), [0.0, 2.0]),
    "norm inf": (lambda t, x: x.norm(INF), [2.0, -2.0, 1.0]),
    "prod": (lambda t, x: x.prod(), [0.0, 2.0, 3.0]),
    "prod twice": (lambda t, x: x.prod(), [0.0, 0.0, 3.0]),
    "pow 0": (lambda t, x: x**0, [0.0, 2.0]),
    "pow 1": (lambda t, x: x**1, [0.0, 2.0]),
    "pow 2": (lambda t, x: x**2, [0.0, -2.0]),
    "0 pow": (lambda t, x: 0**x, [0.0, 2.0]),
    "sqrt": (lambda t, x: x.sqrt(), [0.0, 4.0]),
    "l1_loss": (lambda t, x: t.nn.functional.l1_loss(x, x.detach()), [1.0, 2.0]),
    "binary_cross_entropy": (
        lambda t, x: t.nn.functional.binary_cross_entropy(x, 1 - x.detach()),
        [0.0, 1.0],
    ),
    "logsumexp": (lambda t, x: x.logsumexp(0), [-INF, 0.0, 1.0]),
    "softmax": (lambda t, x: x.softmax(0), [1e30, 0.0, -INF]),
    "log_softmax": (lambda t, x: x.log_softmax(0), [1e30, 0.0, -1e30]),
    "cross_entropy": (
        lambda t, x: t.nn.functional.cross_entropy(x[None], t.tensor([1])),
        [1e4, -1e4, 0.0],
    ),
    "all ignored": (
        lambda t, x: t.nn.functional.cross_entropy(x[None], t.tensor([1]), ignore_index=1),
        [1.0, 2.0],
    ),
    "sigmoid": (lambda t, x: x.sigmoid(), [1e4, -1e4]),
    "tanh": (lambda t, x: x.tanh(), [1e4, -1e4]),
    "gelu": (lambda t, x: t.nn.functional.gelu(x), [1e4, -1e4, 0.0]),
    "silu": (lambda t, x: t.nn.functional.silu(x), [1e4, -1e2, 0.0]),
    "binary_cross_entropy_with_logits": (
        lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x, t.ones(3).to(x.dtype)),
        [1e4, -1e4, 0.0],
    ),
    **rows_layers.KINKS,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", KINKS)
def test_corners_are_as_in_pytorch(name, dtype, pytorch):
    call, x = KINKS[name]
    found = []
    for t in (mt, pytorch):
        x_in = t.from_numpy(np.array(x, dtype)).requires_grad_()
        y = call(t, x_in)
        y.sum().backward()
        found.append([y.detach().numpy(), x_in.grad.numpy()])
    for actual, expected in zip(*found, strict=True):
        # PyTorch holds its bound of 1e-12 for binary cross-entropy as a float32.
        # Where e^x overflows, PyTorch gives 0 for what is denormal.
        relative = max(4 * np.finfo(dtype).eps, 1e-8)
        np.testing.assert_allclose(actual, expected, rtol=relative, atol=np.finfo(dtype).tiny)


@given(st.floats(0.1, 0.9), st.integers(0, 2**32))
def test_dropout_keeps_or_drops_each_element(p, seed):
    mt.manual_seed(seed)
    x = mt.randn(50, 40, requires_grad=True)
    y = F.dropout(x, p)
    y.backward(mt.ones(50, 40))
    kept = y.detach().numpy() != 0
    scale = np.float32(1 / (1 - p))
    np.testing.assert_array_equal(y.detach().numpy(), np.where(kept, x.detach().numpy() * scale, 0))
    np.testing.assert_array_equal(x.grad.numpy(), np.where(kept, scale, 0))
    deviation = (p * (1 - p) / kept.size) ** 0.5
    assert abs(kept.mean() - (1 - p)) < 6 * deviation
    mt.manual_seed(seed)
    mt.randn(50, 40)
    assert mt.equal(F.dropout(x, p), y)


@pytest.mark.parametrize("loss", ["mse_loss", "l1_loss"])
def test_a_loss_of_two_shapes_is_broadcast_with_a_warning(loss, pytorch):
    found = []
    for t in (mt, pytorch):
        x = t.arange(6).reshape(2, 3).float()
        with pytest.warns(UserWarning, match=r"target size \(torch.Size\(\[3\]\)\).*different"):
            found.append(getattr(t.nn.functional, loss)(x, t.ones(3)).item())
    assert found[0] == found[1]


# Bad arguments

X, W = mt.ones(1, 4, 5, 5), mt.ones(6, 4, 3, 3)
ROWS_OF_3, LABELS = mt.ones(2, 3), mt.tensor([0, 1])
INTEGERS, DOUBLES = mt.ones(2, 3, dtype=mt.int64), mt.ones(2, 3, dtype=mt.float64)
NAN = float("nan")

REFUSED = {
    # Convolution
    "conv2d rank": (lambda: F.conv2d(mt.ones(5, 5), W), RuntimeError, r"\[5, 5\]"),
    "conv2d weight rank": (lambda: F.conv2d(X, mt.ones(6, 4, 3)), RuntimeError, r"\[6, 4, 3\]"),
    "conv2d channels": (lambda: F.conv2d(X[:, :3], W), RuntimeError, r"3 channels.*expects 4"),
    "conv2d bias": (lambda: F.conv2d(X, W, mt.ones(4)), RuntimeError, r"\[4\].*6"),
    "conv2d groups": (lambda: F.conv2d(X, W, groups=3), RuntimeError, r"4 .* 6 .* 3 groups"),
    "conv2d no groups": (lambda: F.conv2d(X, W, groups=0), RuntimeError, "0 groups"),
    "conv2d groups -2": (lambda: F.conv2d(X, W, groups=-2), RuntimeError, "-2 groups"),
    "conv2d groups 1.5": (lambda: F.conv2d(X, W, groups=1.5), TypeError, "1.5"),
    "conv2d large kernel": (
        lambda: F.conv2d(X[..., :2, :2], W),
        RuntimeError,
        r"kernel \(3, 3\).*input \(2, 2\).*padding 0",
    ),
    "conv2d dilated": (lambda: F.conv2d(X, W, dilation=3), RuntimeError, r"dilation \(3, 3\)"),
    "conv2d no kernel": (lambda: F.conv2d(X, W[..., :0]), RuntimeError, r"\(3, 0\)"),
    "conv2d stride 0": (lambda: F.conv2d(X, W, stride=0), RuntimeError, r"stride.*\(0, 0\)"),
    "conv2d stride -1": (lambda: F.conv2d(X, W, stride=(1, -1)), RuntimeError, r"\(1, -1\)"),
    "conv2d stride 1.5": (lambda: F.conv2d(X, W, stride=1.5), TypeError, "stride.*1.5"),
    "conv2d stride nan": (lambda: F.conv2d(X, W, stride=NAN), TypeError, "nan"),
    "conv2d stride inf": (lambda: F.conv2d(X, W, stride=(INF, 1)), TypeError, "inf"),
    "conv2d stride true": (lambda: F.conv2d(X, W, stride=True), TypeError, "True"),
    "conv2d stride none": (lambda: F.conv2d(X, W, stride=None), TypeError, "None"),
    "conv2d stride text": (lambda: F.conv2d(X, W, stride="2"), TypeError, "'2'"),
    "conv2d three strides": (lambda: F.conv2d(X, W, stride=(1, 2, 3)), RuntimeError, "1, 2, 3"),
    "conv2d dilation 0": (lambda: F.conv2d(X, W, dilation=0), RuntimeError, r"\(0, 0\)"),
    "conv2d padding -1": (lambda: F.conv2d(X, W, padding=-1), RuntimeError, r"\(-1, -1\)"),
    "conv2d padding 0.5": (lambda: F.conv2d(X, W, padding=(0, 0.5)), TypeError, "0.5"),
    "conv2d padding full": (lambda: F.conv2d(X, W, padding="full"), RuntimeError, "'full'"),
    "conv2d same strided": (
        lambda: F.conv2d(X, W, stride=2, padding="same"),
        RuntimeError,
        r"same.*\(2, 2\)",
    ),
    "conv2d integers": (lambda: F.conv2d(X.long(), W.long()), RuntimeError, "int64"),
    "conv2d mixed": (lambda: F.conv2d(X, W.double()), RuntimeError, "float32.*float64"),
    "conv2d mixed bias": (
        lambda: F.conv2d(X, W, mt.ones(6).double()),
        RuntimeError,
        "float64",
    ),
    "convolve2d ranks": (lambda: F.convolve2d(X, W[0, 0]), RuntimeError, r"\[3, 3\]"),
    # Pooling
    "max_pool2d rank": (lambda: F.max_pool2d(X[0, 0], 2), RuntimeError, r"\[5, 5\]"),
    "max_pool2d nothing": (lambda: F.max_pool2d(X[..., :0], 2), RuntimeError, r"\[1, 4, 5, 0\]"),
    "max_pool2d integers": (lambda: F.max_pool2d(X.long(), 2), RuntimeError, "int64"),
    "max_pool2d kernel 0": (lambda: F.max_pool2d(X, 0), RuntimeError, r"\(0, 0\)"),
    "max_pool2d kernel 1.5": (lambda: F.max_pool2d(X, 1.5), TypeError, "1.5"),
    "max_pool2d three": (lambda: F.max_pool2d(X, (1, 2, 3)), RuntimeError, r"\(1, 2, 3\)"),
    "max_pool2d large": (lambda: F.max_pool2d(X, 7), RuntimeError, r"\(7, 7\).*\(5, 5\)"),
    "max_pool2d stride 0": (lambda: F.max_pool2d(X, 2, 0), RuntimeError, r"stride.*\(0, 0\)"),
    "max_pool2d stride -2": (lambda: F.max_pool2d(X, 2, -2), RuntimeError, r"\(-2, -2\)"),
    "max_pool2d padding": (lambda: F.max_pool2d(X, 2, padding=2), RuntimeError, r"\(2, 2\)"),
    "max_pool2d padding -1": (lambda: F.max_pool2d(X, 2, padding=-1), RuntimeError, r"\(-1, -1\)"),
    "max_pool2d dilation": (lambda: F.max_pool2d(X, 2, dilation=0), RuntimeError, r"\(0, 0\)"),
    "avg_pool2d divisor": (
        lambda: F.avg_pool2d(X, 2, divisor_override=0),
        RuntimeError,
        "not zero",
    ),
    "avg_pool2d divisor 1.5": (
        lambda: F.avg_pool2d(X, 2, divisor_override=1.5),
        TypeError,
        "1.5",
    ),
    "avg_pool2d stride": (lambda: F.avg_pool2d(X, 2, 0), RuntimeError, r"\(0, 0\)"),
    "adaptive -1": (lambda: F.adaptive_avg_pool2d(X, -1), RuntimeError, r"\(-1, -1\)"),
    "adaptive 1.5": (lambda: F.adaptive_avg_pool2d(X, 1.5), TypeError, "1.5"),
    "adaptive three": (lambda: F.adaptive_avg_pool2d(X, (1, 2, 3)), RuntimeError, "1, 2, 3"),
    "adaptive rank": (lambda: F.adaptive_avg_pool2d(ROWS_OF_3, 1), RuntimeError, r"\[2, 3\]"),
    # Products
    "matmul sizes": (lambda: ROWS_OF_3 @ ROWS_OF_3, RuntimeError, "2x3 and 2x3"),
    "matmul stacks": (lambda: mt.ones(2, 2, 3) @ mt.ones(3, 3, 2), RuntimeError, "2.*3"),
    "matmul number": (lambda: mt.tensor(1.0) @ ROWS_OF_3, RuntimeError, "0D and 2D"),
    "matmul mixed": (lambda: ROWS_OF_3 @ DOUBLES.T, RuntimeError, "float32.*float64"),
    "matmul array": (lambda: mt.matmul(ROWS_OF_3, np.ones(3)), TypeError, "ndarray"),
    "mm rank": (lambda: mt.mm(ROWS_OF_3, mt.ones(3)), RuntimeError, "2D and 1D"),
    "bmm stacks": (lambda: mt.bmm(mt.ones(2, 1, 3), mt.ones(3, 3, 1)), RuntimeError, r"\[3, 3, 1"),
    "dot rank": (lambda: mt.dot(ROWS_OF_3, ROWS_OF_3), RuntimeError, "2D and 2D"),
    "dot sizes": (lambda: mt.dot(mt.ones(2), mt.ones(3)), RuntimeError, "2 and 3"),
    "linear features": (lambda: F.linear(ROWS_OF_3, mt.ones(2, 4)), RuntimeError, "4 features"),
    "linear bias": (lambda: F.linear(ROWS_OF_3, ROWS_OF_3, mt.ones(3)), RuntimeError, r"\[3\].*2"),
    "linear weight": (lambda: F.linear(ROWS_OF_3, mt.ones(3)), RuntimeError, r"\[3\]"),
    "linear mixed": (lambda: F.linear(DOUBLES, ROWS_OF_3), RuntimeError, "float64.*float32"),
    "einsum sizes": (
        lambda: mt.einsum("ij,jk->ik", ROWS_OF_3, ROWS_OF_3),
        RuntimeError,
        "j has size 2.*3",
    ),
    "einsum operands": (lambda: mt.einsum("ij,jk", ROWS_OF_3), RuntimeError, "2 operands, got 1"),
    "einsum rank": (lambda: mt.einsum("ijk->i", ROWS_OF_3), RuntimeError, "'ijk'.*2 dimensions"),
    "einsum result": (lambda: mt.einsum("ij->k", ROWS_OF_3), RuntimeError, "'k'"),
    "einsum signs": (lambda: mt.einsum("i.j->j", ROWS_OF_3), RuntimeError, "'i.j->j'"),
    "einsum diagonal": (lambda: mt.einsum("ii->i", ROWS_OF_3), RuntimeError, "i has size 3.*2"),
    "einsum mixed": (lambda: mt.einsum("ij,ij->", ROWS_OF_3, DOUBLES), RuntimeError, "float64"),
    # Activations, normalisation, dropout
    "gelu form": (lambda: F.gelu(X, "erf"), RuntimeError, "'erf'"),
    "gelu integers": (lambda: F.gelu(INTEGERS), RuntimeError, "int64"),
    "silu integers": (lambda: F.silu(INTEGERS), RuntimeError, "int64"),
    "leaky_relu integers": (lambda: F.leaky_relu(INTEGERS), RuntimeError, "int64"),
    "relu bool": (lambda: F.relu(mt.ones(2, dtype=mt.bool)), RuntimeError, "bool"),
    "softmax dim": (lambda: F.softmax(X, 4), IndexError, "4"),
    "softmax no dim": (lambda: F.softmax(X), TypeError, "dim"),
    "softmax dim 0.5": (lambda: F.softmax(X, 0.5), TypeError, "0.5"),
    "softmax integers": (lambda: F.softmax(INTEGERS, 1), RuntimeError, "int64"),
    "dropout 1.5": (lambda: F.dropout(X, 1.5), ValueError, "1.5"),
    "dropout -1": (lambda: F.dropout(X, -1), ValueError, "-1"),
    "dropout nan": (lambda: F.dropout(X, NAN), ValueError, "nan"),
    "dropout integers": (lambda: F.dropout(INTEGERS), RuntimeError, "int64"),
    "batch_norm rank": (
        lambda: F.batch_norm(mt.ones(3), None, None, training=True),
        RuntimeError,
        r"\[3\]",
    ),
    "batch_norm channels": (
        lambda: F.batch_norm(ROWS_OF_3, mt.ones(2), mt.ones(2)),
        RuntimeError,
        r"running_mean.*\[2\].*3 channels",
    ),
    "batch_norm weight": (
        lambda: F.batch_norm(ROWS_OF_3, None, None, mt.ones(4), training=True),
        RuntimeError,
        r"weight.*\[4\]",
    ),
    "batch_norm untracked": (
        lambda: F.batch_norm(ROWS_OF_3, None, None),
        RuntimeError,
        "running_mean",
    ),
    "batch_norm of one": (
        lambda: F.batch_norm(mt.ones(1, 3), None, None, training=True),
        ValueError,
        r"\[1, 3\]",
    ),
    "batch_norm eps": (
        lambda: F.batch_norm(ROWS_OF_3, None, None, training=True, eps=-1.0),
        ValueError,
        "-1.0",
    ),
    "batch_norm integers": (
        lambda: F.batch_norm(INTEGERS, None, None, training=True),
        RuntimeError,
        "int64",
    ),
    "batch_norm mixed": (
        lambda: F.batch_norm(ROWS_OF_3, DOUBLES[0], DOUBLES[0]),
        RuntimeError,
        "float32.*float64",
    ),
    # Losses
    "label 3": (lambda: F.cross_entropy(ROWS_OF_3, mt.tensor([0, 3])), IndexError, "3.*3 classes"),
    "label -1": (lambda: F.nll_loss(ROWS_OF_3, mt.tensor([-1, 0])), IndexError, "-1"),
    "label types": (lambda: F.nll_loss(ROWS_OF_3, LABELS.int()), RuntimeError, "int32"),
    "label floats": (lambda: F.nll_loss(ROWS_OF_3, LABELS.float()), RuntimeError, "float32"),
    "label count": (lambda: F.cross_entropy(ROWS_OF_3, mt.tensor([0, 1, 2])), ValueError, r"\[3\]"),
    "scores integers": (lambda: F.cross_entropy(INTEGERS, LABELS), RuntimeError, "int64"),
    "class weights": (
        lambda: F.cross_entropy(ROWS_OF_3, LABELS, mt.ones(2)),
        RuntimeError,
        r"3 classes.*\[2\]",
    ),
    "class weights mixed": (
        lambda: F.nll_loss(ROWS_OF_3, LABELS, DOUBLES[0]),
        RuntimeError,
        "float64",
    ),
    "class weights of probabilities": (
        lambda: F.cross_entropy(ROWS_OF_3, ROWS_OF_3, mt.ones(1)),
        RuntimeError,
        r"3 classes.*\[1\]",
    ),
    "probabilities": (lambda: F.cross_entropy(ROWS_OF_3, mt.ones(2, 4)), RuntimeError, r"\[2, 4\]"),
    "ignore_index": (
        lambda: F.nll_loss(ROWS_OF_3, LABELS, ignore_index=1.5),
        TypeError,
        "1.5",
    ),
    "label_smoothing": (
        lambda: F.cross_entropy(ROWS_OF_3, LABELS, label_smoothing=2.0),
        RuntimeError,
        "2.0",
    ),
    "label_smoothing nan": (
        lambda: F.cross_entropy(ROWS_OF_3, LABELS, label_smoothing=NAN),
        RuntimeError,
        "nan",
    ),
    **{
        f"{name} reduction": (
            lambda name=name: getattr(F, name)(ROWS_OF_3, ROWS_OF_3, reduction="average"),
            ValueError,
            "average",
        )
        for name in [
            "mse_loss",
            "l1_loss",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "cross_entropy",
            "nll_loss",
        ]
    },
    "mse_loss sizes": (lambda: F.mse_loss(ROWS_OF_3, mt.ones(2)), RuntimeError, "3 and 2"),
    "mse_loss integers": (lambda: F.mse_loss(INTEGERS, INTEGERS), RuntimeError, "int64"),
    "l1_loss mixed": (lambda: F.l1_loss(ROWS_OF_3, DOUBLES), RuntimeError, "float64"),
    "binary_cross_entropy sizes": (
        lambda: F.binary_cross_entropy(ROWS_OF_3, mt.ones(3)),
        ValueError,
        r"\[3\]",
    ),
    "binary_cross_entropy range": (
        lambda: F.binary_cross_entropy(2 * ROWS_OF_3, ROWS_OF_3),
        RuntimeError,
        "between 0 and 1",
    ),
    "binary_cross_entropy nan": (
        lambda: F.binary_cross_entropy(NAN * ROWS_OF_3, ROWS_OF_3),
        RuntimeError,
        "between 0 and 1",
    ),
    "binary_cross_entropy integers": (
        lambda: F.binary_cross_entropy(INTEGERS, INTEGERS),
        RuntimeError,
        "int64",
    ),
    "binary_cross_entropy_with_logits sizes": (
        lambda: F.binary_cross_entropy_with_logits(ROWS_OF_3, mt.ones(2, 1)),
        ValueError,
        r"\[2, 1\]",
    ),
    # Reductions, shapes, indices
    "sum dim": (lambda: X.sum(4), IndexError, "4"),
    "sum dims": (lambda: X.sum((1, -3)), RuntimeError, "1"),
    "sum dim 0.5": (lambda: X.sum(0.5), TypeError, "0.5"),
    "mean integers": (lambda: INTEGERS.mean(), RuntimeError, "int64"),
    "norm integers": (lambda: INTEGERS.norm(), RuntimeError, "int64"),
    "amax nothing": (lambda: mt.ones(0).amax(), (IndexError, RuntimeError), "amax"),
    "argmax nothing": (lambda: mt.ones(2, 0).argmax(1), IndexError, "argmax"),
    "add sizes": (lambda: ROWS_OF_3 + mt.ones(2), RuntimeError, "3 and 2"),
    "where numbers": (lambda: mt.where(INTEGERS, X, X), RuntimeError, "int64"),
    "reshape": (lambda: ROWS_OF_3.reshape(4, 2), RuntimeError, r"\[4, 2\].*6"),
    "permute": (lambda: ROWS_OF_3.permute(0, 0), RuntimeError, "0, 0"),
    "expand": (lambda: ROWS_OF_3.expand(3, 3), RuntimeError, r"\[2, 3\].*\[3, 3\]"),
    "cat sizes": (lambda: mt.cat([ROWS_OF_3, mt.ones(3, 2)]), RuntimeError, r"\[3, 2\]"),
    "stack sizes": (lambda: mt.stack([ROWS_OF_3, mt.ones(3)]), RuntimeError, r"\[3\]"),
    "index range": (lambda: ROWS_OF_3[2], IndexError, "2"),
    "index float": (lambda: ROWS_OF_3[1.0], (TypeError, IndexError), "float"),
    "gather range": (lambda: mt.gather(ROWS_OF_3, 1, INTEGERS * 3), RuntimeError, "3"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:.*target size:UserWarning")
def test_bad_arguments_are_refused_with_their_values(name):
    call, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        call()
