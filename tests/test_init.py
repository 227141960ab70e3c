"""Initial values: bounds and moments by their formulas, exact patterns, errors."""

import math

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import nn
from minitorch_cnn.nn import init


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


def drawn(fill, shape=(64, 32, 3, 3), dtype=mt.float64):
    """The values that `fill` leaves in a tensor."""
    tensor = mt.full(shape, math.nan, dtype=dtype, requires_grad=True)
    assert fill(tensor, mt.Generator().manual_seed(7)) is tensor
    assert tensor.requires_grad
    assert tensor.grad_fn is None
    return tensor.detach().numpy()


def assert_uniform(values, low, high):
    values = np.sort(values.ravel())
    assert low <= values[0]
    assert values[-1] <= high
    assert_follows(values, lambda x: (x - low) / (high - low))


def assert_normal(values, mean, std):
    cdf = np.vectorize(lambda x: (1 + math.erf((x - mean) / std / math.sqrt(2))) / 2)
    assert_follows(np.sort(values.ravel()), cdf)


def assert_follows(values, cdf):
    """Kolmogorov and Smirnov: the distance of two distribution functions, of order 1/sqrt(n).

    It is above 2.2 / sqrt(n) once in 8,000 draws; these are seeded.
    """
    n = len(values)
    steps = np.arange(n + 1) / n
    theirs = cdf(values)
    distance = max((steps[1:] - theirs).max(), (theirs - steps[:-1]).max())
    assert distance < 2.2 / math.sqrt(n)


FAN_IN, FAN_OUT = 32 * 9, 64 * 9


@pytest.mark.parametrize(
    ("fill", "low", "high"),
    [
        (lambda t, g: init.uniform_(t, generator=g), 0, 1),
        (lambda t, g: init.uniform_(t, -3.0, -1.0, g), -3, -1),
        (
            lambda t, g: init.xavier_uniform_(t, 2.0, g),
            *(sign * 2 * math.sqrt(6 / (FAN_IN + FAN_OUT)) for sign in (-1, 1)),
        ),
        (
            lambda t, g: init.kaiming_uniform_(t, generator=g),
            *(sign * math.sqrt(6 / FAN_IN) for sign in (-1, 1)),
        ),
        (
            lambda t, g: init.kaiming_uniform_(t, math.sqrt(5), "fan_in", "leaky_relu", g),
            *(sign / math.sqrt(FAN_IN) for sign in (-1, 1)),
        ),
        (
            lambda t, g: init.kaiming_uniform_(t, 0, "fan_out", "linear", g),
            *(sign * math.sqrt(3 / FAN_OUT) for sign in (-1, 1)),
        ),
    ],
    ids=["unit", "interval", "xavier", "kaiming", "kaiming leaky", "kaiming fan_out"],
)
def test_uniform_distributions(fill, low, high):
    assert_uniform(drawn(fill), low, high)


@pytest.mark.parametrize(
    ("fill", "mean", "std"),
    [
        (lambda t, g: init.normal_(t, generator=g), 0, 1),
        (lambda t, g: init.normal_(t, 3.0, 0.5, g), 3, 0.5),
        (lambda t, g: init.xavier_normal_(t, 2.0, g), 0, 2 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda t, g: init.kaiming_normal_(t, generator=g), 0, math.sqrt(2 / FAN_IN)),
        (
            lambda t, g: init.kaiming_normal_(t, 0, "fan_out", "tanh", g),
            0,
            5 / 3 / math.sqrt(FAN_OUT),
        ),
    ],
    ids=["standard", "moved", "xavier", "kaiming", "kaiming fan_out"],
)
def test_normal_distributions(fill, mean, std):
    assert_normal(drawn(fill), mean, std)


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0, 1, -2, 2), (0, 0.02, -2, 2), (1, 2, 0, math.inf), (0, 1, 1.5, 3.0), (2, 1, -0.1, 0.1)],
)
def test_truncated_normal_distributions(mean, std, a, b):
    values = np.sort(drawn(lambda t, g: init.trunc_normal_(t, mean, std, a, b, g)).ravel())
    assert a <= values[0]
    assert values[-1] <= b
    whole = np.vectorize(lambda x: (1 + math.erf((x - mean) / std / math.sqrt(2))) / 2)
    assert_follows(values, lambda x: (whole(x) - whole(a)) / (whole(b) - whole(a)))


def test_truncation_far_from_the_mean_warns_and_stays_inside():
    with pytest.warns(UserWarning, match="more than 2 std"):
        values = drawn(lambda t, g: init.trunc_normal_(t, 0, 1, 4, 5, g), (100,))
    assert values.min() >= 4
    assert values.max() <= 5


def test_constants_and_patterns():
    assert (drawn(lambda t, g: init.constant_(t, 0.3)) == 0.3).all()
    assert (drawn(lambda t, g: init.ones_(t)) == 1).all()
    assert (drawn(lambda t, g: init.zeros_(t)) == 0).all()
    for shape in ((3, 5), (5, 3), (4, 4)):
        np.testing.assert_array_equal(drawn(lambda t, g: init.eye_(t), shape), np.eye(*shape))


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((4, 3, 3, 3), 1), ((2, 5, 4, 3), 1), ((6, 2, 3, 5), 2), ((4, 1, 5), 4), ((3, 3, 1, 2, 3), 3)],
)
def test_dirac_kernels(pytorch, shape, groups):
    found = drawn(lambda t, g: init.dirac_(t, groups), shape)
    expected = pytorch.nn.init.dirac_(pytorch.empty(shape), groups)
    np.testing.assert_array_equal(found, expected.numpy())


def test_a_dirac_convolution_passes_its_input_on():
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
    init.dirac_(conv.weight, groups=2)
    x = mt.randn(2, 4, 5, 6)
    np.testing.assert_array_equal(conv(x).detach().numpy(), x.numpy())


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (8, 3), (6, 2, 3, 3), (20, 2, 3)])
@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_orthogonal_rows_or_columns(shape, dtype):
    values = drawn(lambda t, g: init.orthogonal_(t, 3, g), shape, dtype)
    matrix = values.reshape(shape[0], -1).astype(np.float64)
    square = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    tolerance = 9 * 100 * np.finfo(values.dtype).eps
    np.testing.assert_allclose(square, 9 * np.eye(len(square)), atol=tolerance)


def test_orthogonal_matrices_have_no_preferred_direction():
    generator = mt.Generator().manual_seed(3)
    first = [init.orthogonal_(mt.empty(3, 3), generator=generator)[0, 0].item() for _ in range(400)]
    # A coordinate of a random unit vector in three dimensions is uniform on [-1, 1].
    assert_uniform(np.array(first), -1 - 1e-6, 1 + 1e-6)


def test_the_generator_decides_the_values():
    def values(seed):
        return init.normal_(mt.empty(9), generator=mt.Generator().manual_seed(seed)).tolist()

    assert values(1) == values(1) != values(2)
    mt.manual_seed(5)
    first = init.uniform_(mt.empty(9)).tolist()
    second = init.uniform_(mt.empty(9)).tolist()
    mt.manual_seed(5)
    assert init.uniform_(mt.empty(9)).tolist() == first != second


@pytest.mark.parametrize(
    "arguments",
    [
        ("linear",), ("conv2d",), ("sigmoid",), ("tanh",), ("relu",), ("selu",), ("leaky_relu",),
        ("leaky_relu", 0.2), ("leaky_relu", 3),
    ],
)  # fmt: skip
def test_gains(pytorch, arguments):
    assert init.calculate_gain(*arguments) == pytorch.nn.init.calculate_gain(*arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, init: init.calculate_gain("nonsense"),
        lambda t, init: init.calculate_gain("leaky_relu", "steep"),
        lambda t, init: init.calculate_gain("leaky_relu", True),
        lambda t, init: init.eye_(t.empty(2, 2, 2)),
        lambda t, init: init.dirac_(t.empty(2, 2)),
        lambda t, init: init.dirac_(t.empty(3, 2, 2), groups=2),
        lambda t, init: init.xavier_uniform_(t.empty(3)),
        lambda t, init: init.xavier_normal_(t.empty(())),
        lambda t, init: init.kaiming_uniform_(t.empty(3)),
        lambda t, init: init.kaiming_normal_(t.empty(3, 3), mode="fan"),
        lambda t, init: init.orthogonal_(t.empty(3)),
    ],
)
def test_refuses_what_pytorch_refuses(pytorch, call):
    with pytest.raises(ValueError, match=r"\S"):
        call(pytorch, pytorch.nn.init)
    with pytest.raises(ValueError, match=r"\S"):
        call(mt, init)


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"), [(0, 0, -1, 1), (0, -1, -1, 1), (0, 1, 2, 1), (math.nan, 1, 0, 1)]
)
def test_truncations_that_no_draw_satisfies_are_refused(mean, std, a, b):
    with pytest.raises(ValueError, match="trunc_normal_"):
        init.trunc_normal_(mt.empty(2), mean, std, a, b)


def test_tensors_without_elements():
    for fill in (init.kaiming_uniform_, init.kaiming_normal_):
        with pytest.warns(UserWarning, match="zero-element"):
            assert fill(mt.empty(0, 3)).shape == (0, 3)
    assert init.orthogonal_(mt.empty(0, 3)).shape == (0, 3)
    assert init.trunc_normal_(mt.empty(0)).shape == (0,)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: nn.Conv2d(8, 64, (3, 5)), 8 * 15),
        (lambda: nn.Conv2d(16, 64, 3, groups=4), 4 * 9),
        (lambda: nn.Linear(100, 300), 100),
    ],
    ids=["conv", "grouped", "linear"],
)
def test_layers_start_uniform_as_in_pytorch(layer, fan_in):
    mt.manual_seed(11)
    layer = layer()
    bound = 1 / math.sqrt(fan_in)
    for parameter in (layer.weight, layer.bias):
        # float32 rounds the bound itself by up to half an ulp.
        edge = bound * (1 + 2**-24)
        assert_uniform(parameter.detach().numpy().astype(np.float64), -edge, edge)
    before = layer.weight.tolist()
    layer.reset_parameters()
    assert layer.weight.tolist() != before


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 1.0])
def test_sparse_columns(sparsity):
    mt.manual_seed(3)
    w = nn.init.sparse_(mt.empty(10, 500), sparsity, std=2.0).numpy()
    zeros = math.ceil(10 * sparsity)
    np.testing.assert_array_equal((w == 0).sum(0), zeros)
    if zeros < 10:
        assert abs(w[w != 0].std() - 2.0) < 0.2
    if 0 < zeros < 10:  # which rows they are differs
        assert len({tuple(column) for column in (w == 0).T}) > 10


@pytest.mark.parametrize("name", ["uniform", "eye", "kaiming_normal", "xavier_uniform", "sparse"])
def test_names_without_their_underscore_warn(pytorch, name):
    arguments = {"sparse": (0.5,)}.get(name, ())
    for t in (mt, pytorch):
        x = t.zeros(4, 3)
        with pytest.warns(FutureWarning, match=f"`nn.init.{name}` .* favor of `nn.init.{name}_`"):
            assert getattr(t.nn.init, name)(x, *arguments) is x
        assert bool((x != 0).any())
