"""Every layer against PyTorch's: outputs, gradients, state, text and errors."""

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import nn

from . import layer_cases


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


IMAGES, FEATURES = (2, 4, 9, 8), (5, 6)

LAYERS = {
    "conv": (lambda t: t.nn.Conv2d(4, 6, 3), IMAGES),
    "conv rectangular": (lambda t: t.nn.Conv2d(4, 6, (5, 3), (2, 1), (1, 2), (1, 2)), IMAGES),
    "conv grouped": (lambda t: t.nn.Conv2d(4, 6, 2, groups=2, bias=False), IMAGES),
    "conv same": (lambda t: t.nn.Conv2d(4, 6, 4, padding="same", dilation=(1, 2)), IMAGES),
    "conv valid": (lambda t: t.nn.Conv2d(4, 6, 3, 2, "valid", 1, 1, True, "zeros"), IMAGES),
    "conv one image": (lambda t: t.nn.Conv2d(4, 6, 3), IMAGES[1:]),
    "conv no images": (lambda t: t.nn.Conv2d(4, 6, 3), (0, 4, 9, 8)),
    "max pool": (lambda t: t.nn.MaxPool2d(2), IMAGES),
    "max pool options": (lambda t: t.nn.MaxPool2d((3, 2), 2, 1, (1, 2), ceil_mode=True), IMAGES),
    "avg pool": (lambda t: t.nn.AvgPool2d(3), IMAGES),
    "avg pool options": (lambda t: t.nn.AvgPool2d((3, 2), 2, 1, True, False), IMAGES),
    "avg pool divisor": (lambda t: t.nn.AvgPool2d(3, divisor_override=5), IMAGES),
    "adaptive pool": (lambda t: t.nn.AdaptiveAvgPool2d((5, 3)), IMAGES),
    "adaptive pool none": (lambda t: t.nn.AdaptiveAvgPool2d((None, 3)), IMAGES),
    "linear": (lambda t: t.nn.Linear(6, 3), FEATURES),
    "linear without bias": (lambda t: t.nn.Linear(8, 3, bias=False), IMAGES),
    "relu": (lambda t: t.nn.ReLU(), IMAGES),
    "leaky relu": (lambda t: t.nn.LeakyReLU(), IMAGES),
    "leaky relu slope": (lambda t: t.nn.LeakyReLU(0.2), IMAGES),
    "gelu": (lambda t: t.nn.GELU(), IMAGES),
    "gelu tanh": (lambda t: t.nn.GELU("tanh"), IMAGES),
    "silu": (lambda t: t.nn.SiLU(), IMAGES),
    "sigmoid": (lambda t: t.nn.Sigmoid(), IMAGES),
    "tanh": (lambda t: t.nn.Tanh(), IMAGES),
    "softmax": (lambda t: t.nn.Softmax(1), IMAGES),
    "log softmax": (lambda t: t.nn.LogSoftmax(dim=-1), FEATURES),
    "dropout nothing": (lambda t: t.nn.Dropout(0.0), FEATURES),
    "dropout everything": (lambda t: t.nn.Dropout(1.0), FEATURES),
    "dropout eval": (lambda t: t.nn.Dropout(0.7).eval(), FEATURES),
    "batch norm 2d": (lambda t: t.nn.BatchNorm2d(4), IMAGES),
    "batch norm 2d eval": (lambda t: t.nn.BatchNorm2d(4, eps=0.1).eval(), IMAGES),
    "batch norm plain": (lambda t: t.nn.BatchNorm2d(4, affine=False), IMAGES),
    "batch norm no shift": (lambda t: t.nn.BatchNorm2d(4, bias=False), IMAGES),
    "batch norm untracked": (
        lambda t: t.nn.BatchNorm2d(4, track_running_stats=False).eval(),
        IMAGES,
    ),
    "batch norm 1d": (lambda t: t.nn.BatchNorm1d(6, momentum=0.3), FEATURES),
    "batch norm 1d sequence": (lambda t: t.nn.BatchNorm1d(6, momentum=None), (3, 6, 4)),
    "flatten": (lambda t: t.nn.Flatten(), IMAGES),
    "flatten some": (lambda t: t.nn.Flatten(0, 2), IMAGES),
    "unflatten": (lambda t: t.nn.Unflatten(1, (2, 3)), FEATURES),
    "unflatten rest": (lambda t: t.nn.Unflatten(-1, [-1, 2]), FEATURES),
    "identity": (lambda t: t.nn.Identity(3, anything=True), FEATURES),
    **layer_cases.LAYERS,
}


def copied(pytorch, ours, theirs):
    """Give both layers the same, random parameters and buffers."""
    rng = np.random.default_rng(3)
    state = {
        key: rng.uniform(0.5, 1.5, tuple(value.shape))
        for key, value in theirs.state_dict().items()
        if value.is_floating_point()
    }
    ours.load_state_dict({k: mt.tensor(v) for k, v in state.items()}, strict=False)
    theirs.load_state_dict({k: pytorch.tensor(v) for k, v in state.items()}, strict=False)
    return ours.double(), theirs.double()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("case", LAYERS)
def test_outputs_and_gradients_are_pytorchs(pytorch, case):
    make, shape = LAYERS[case]
    ours, theirs = copied(pytorch, make(mt), make(pytorch))
    rng = np.random.default_rng(4)
    values = rng.standard_normal(shape)
    x = mt.tensor(values, requires_grad=True)
    their_x = pytorch.tensor(values, requires_grad=True)
    y, their_y = ours(x), theirs(their_x)
    assert tuple(y.shape) == tuple(their_y.shape)
    direction = rng.standard_normal(tuple(y.shape))
    y.backward(mt.tensor(direction))
    their_y.backward(pytorch.tensor(direction))
    pairs = [(y.detach(), their_y.detach()), (x.grad, their_x.grad)]
    pairs += [(p.grad, q.grad) for p, q in zip(ours.parameters(), theirs.parameters())]
    pairs += list(zip(ours.buffers(), theirs.buffers()))
    for found, expected in pairs:
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", LAYERS)
def test_text_and_state_are_pytorchs(pytorch, case):
    ours, theirs = LAYERS[case][0](mt), LAYERS[case][0](pytorch)
    assert repr(ours) == repr(theirs)
    state, their_state = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(their_state)
    for key, value in their_state.items():
        assert tuple(state[key].shape) == tuple(value.shape)
        assert str(state[key].dtype) == str(value.dtype)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


TEXTS = [
    lambda nn: nn.Conv2d(2, 4, 3, dilation=2, padding=(0, 1)),
    lambda nn: nn.Conv2d(2, 4, 3, padding="same", groups=2),
    lambda nn: nn.MaxPool2d(2, return_indices=True),
    lambda nn: nn.AdaptiveAvgPool2d(7),
    lambda nn: nn.ReLU(inplace=True),
    lambda nn: nn.LeakyReLU(inplace=True),
    lambda nn: nn.SiLU(True),
    lambda nn: nn.Softmax(),
    lambda nn: nn.Dropout(inplace=True),
    lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1),
    lambda nn: nn.NLLLoss(),
    lambda nn: nn.MSELoss(),
    lambda nn: nn.L1Loss(),
    lambda nn: nn.BCELoss(),
    lambda nn: nn.BCEWithLogitsLoss(),
    *layer_cases.TEXTS,
]


def test_other_options_in_text(pytorch):
    for make in TEXTS:
        assert repr(make(nn)) == repr(make(pytorch.nn))


def test_max_pool_returns_indices(pytorch):
    values = np.random.default_rng(0).standard_normal((2, 3, 6, 7))
    y, indices = nn.MaxPool2d(3, 2, return_indices=True)(mt.tensor(values))
    their_y, their_indices = pytorch.nn.MaxPool2d(3, 2, return_indices=True)(pytorch.tensor(values))
    np.testing.assert_array_equal(y.numpy(), their_y.numpy())
    np.testing.assert_array_equal(indices.numpy(), their_indices.numpy())
    assert indices.dtype is mt.int64


@pytest.mark.parametrize(
    "make", [lambda: nn.ReLU(True), lambda: nn.LeakyReLU(inplace=True), lambda: nn.SiLU(True)]
)
def test_in_place_layers_write_over_their_input(make):
    x = mt.tensor([-2.0, 3.0])
    before = x.tolist()
    y = make()(x)
    assert y is x
    assert x.tolist() != before


def test_dropout_scales_what_it_keeps_and_only_in_training():
    mt.manual_seed(0)
    layer, n = nn.Dropout(0.3), 20_000
    y = layer(mt.ones(n)).numpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    assert abs(kept.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / n)
    assert (layer.eval()(mt.ones(n)).numpy() == 1).all()


@pytest.mark.parametrize(
    ("kind", "shape"), [("Dropout1d", (200, 50, 3)), ("Dropout2d", (200, 50, 3, 2))]
)
def test_channels_are_dropped_as_one(kind, shape):
    mt.manual_seed(1)
    y = getattr(nn, kind)(0.3)(mt.ones(shape)).numpy().reshape(200 * 50, -1)
    assert (y == y[:, :1]).all()
    kept = y[:, 0] != 0
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    assert abs(kept.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / kept.size)


@pytest.mark.parametrize("kind", ["AlphaDropout", "FeatureAlphaDropout"])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(kind, p):
    mt.manual_seed(2)
    x = mt.randn(500, 400, 2)
    y = getattr(nn, kind)(p)(x).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.03
    values, counts = np.unique(y, return_counts=True)
    share = counts.max() / y.size  # of the one value that is often there
    assert abs(share - p) < 0.01
    a = ((1.7580993408473766**2 * p + 1) * (1 - p)) ** -0.5
    np.testing.assert_allclose(
        values[counts.argmax()], -a * 1.7580993408473766 * (1 - p), rtol=1e-5
    )
    if kind == "FeatureAlphaDropout":
        low = y == values[counts.argmax()]
        assert (low[..., 0] == low[..., 1]).all()


def test_rrelu_draws_slopes_from_its_range():
    mt.manual_seed(3)
    x = mt.full((10_000,), -2.0, requires_grad=True)
    y = nn.RReLU(0.2, 0.6)(x)
    y.sum().backward()
    slopes = y.detach().numpy() / -2
    assert slopes.min() >= 0.2 * (1 - 1e-6)
    assert slopes.max() <= 0.6 * (1 + 1e-6)
    assert abs(slopes.mean() - 0.4) < 0.01
    np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=1e-6)
    assert nn.RReLU(0.2, 0.6).eval()(mt.tensor([-2.0])).item() == pytest.approx(-0.8)


@pytest.mark.parametrize("momentum", [0.1, 1.0, 0.0, None])
def test_batch_norm_tracks_running_statistics(pytorch, momentum):
    ours, theirs = nn.BatchNorm2d(3, momentum=momentum), None
    theirs = pytorch.nn.BatchNorm2d(3, momentum=momentum)
    rng = np.random.default_rng(1)
    for i in range(4):
        values = (i + rng.standard_normal((5, 3, 2, 2))).astype(np.float32)
        ours(mt.tensor(values))
        theirs(pytorch.tensor(values))
    for name, expected in theirs.named_buffers():
        np.testing.assert_allclose(ours.get_buffer(name).numpy(), expected.numpy(), rtol=1e-5)
    assert ours.num_batches_tracked.item() == 4
    values = rng.standard_normal((5, 3, 2, 2)).astype(np.float32)
    found = ours.eval()(mt.tensor(values)).detach().numpy()
    expected = theirs.eval()(pytorch.tensor(values)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    ours.reset_running_stats()
    assert ours.running_mean.tolist() == [0] * 3
    assert ours.running_var.tolist() == [1] * 3
    assert ours.num_batches_tracked.item() == 0


def test_cumulative_batch_norm_means_all_batches_alike():
    norm = nn.BatchNorm1d(1, momentum=None)
    batches = np.random.default_rng(2).standard_normal((7, 10, 1))
    for batch in batches:
        norm(mt.tensor(batch, dtype=mt.float32))
    np.testing.assert_allclose(norm.running_mean.item(), batches.mean(), rtol=1e-5)
    variance = batches.var(axis=1, ddof=1).mean()
    np.testing.assert_allclose(norm.running_var.item(), variance, rtol=1e-5)


CLASS_WEIGHT = [0.5, 1.0, 2.0, 0.1]
LOSSES = {
    "cross entropy": (lambda t: t.nn.CrossEntropyLoss(), "classes"),
    "cross entropy options": (
        lambda t: t.nn.CrossEntropyLoss(
            t.tensor(CLASS_WEIGHT), ignore_index=1, label_smoothing=0.2
        ),
        "classes",
    ),
    "cross entropy sum": (lambda t: t.nn.CrossEntropyLoss(reduction="sum"), "classes"),
    "cross entropy of probabilities": (lambda t: t.nn.CrossEntropyLoss(), "probabilities"),
    "nll": (lambda t: t.nn.NLLLoss(), "classes"),
    "nll options": (
        lambda t: t.nn.NLLLoss(t.tensor(CLASS_WEIGHT), ignore_index=1, reduction="none"),
        "classes",
    ),
    "mse": (lambda t: t.nn.MSELoss(), "probabilities"),
    "mse none": (lambda t: t.nn.MSELoss(reduction="none"), "probabilities"),
    "l1": (lambda t: t.nn.L1Loss(reduction="sum"), "probabilities"),
    "bce": (lambda t: t.nn.BCELoss(), "probabilities"),
    "bce weight": (
        lambda t: t.nn.BCELoss(t.tensor(CLASS_WEIGHT), reduction="sum"),
        "probabilities",
    ),
    "bce logits": (
        lambda t: t.nn.BCEWithLogitsLoss(
            t.tensor(CLASS_WEIGHT), pos_weight=t.tensor(CLASS_WEIGHT), reduction="none"
        ),
        "probabilities",
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_losses_are_pytorchs(pytorch, case):
    make, kind = LOSSES[case]
    ours, theirs = make(mt).double(), make(pytorch).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(6)
    values = rng.uniform(0.1, 0.9, (5, 4))
    target = {
        "classes": np.array([0, 3, 1, 2, 2]),
        "probabilities": rng.dirichlet(np.ones(4), 5),
    }[kind]
    x, their_x = (t.tensor(values, requires_grad=True) for t in (mt, pytorch))
    loss, their_loss = ours(x, mt.tensor(target)), theirs(their_x, pytorch.tensor(target))
    loss.sum().backward()
    their_loss.sum().backward()
    np.testing.assert_allclose(loss.detach().numpy(), their_loss.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(x.grad.numpy(), their_x.grad.numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    "case",
    [
        lambda t: t.nn.Conv2d(3, 4, 3, groups=2),
        lambda t: t.nn.Conv2d(4, 3, 3, groups=2),
        lambda t: t.nn.Conv2d(4, 4, 3, groups=0),
        lambda t: t.nn.Conv2d(4, 4, 3, padding="full"),
        lambda t: t.nn.Conv2d(4, 4, 3, stride=2, padding="same"),
        lambda t: t.nn.Conv2d(4, 4, 3, padding_mode="nonsense"),
        lambda t: t.nn.Conv2d(4, 4, 3)(t.zeros(1, 3, 9, 9)),
        lambda t: t.nn.Conv2d(4, 4, 3)(t.zeros(1, 4, 2, 9)),
        lambda t: t.nn.Conv2d(4, 4, 3)(t.zeros(4, 9)),
        lambda t: t.nn.Conv2d(4, 4, 3, stride=-1)(t.zeros(1, 4, 9, 9)),
        lambda t: t.nn.Linear(3, 4)(t.zeros(2, 4)),
        lambda t: t.nn.MaxPool2d(2, padding=2)(t.zeros(1, 1, 4, 4)),
        lambda t: t.nn.AvgPool2d(5)(t.zeros(1, 1, 4, 4)),
        lambda t: t.nn.Dropout(1.5),
        lambda t: t.nn.Dropout(-0.1),
        lambda t: t.nn.BatchNorm2d(3)(t.zeros(2, 3)),
        lambda t: t.nn.BatchNorm1d(3)(t.zeros(2, 3, 4, 4)),
        lambda t: t.nn.BatchNorm2d(3)(t.zeros(2, 4, 4, 4)),
        lambda t: t.nn.BatchNorm2d(3)(t.zeros(1, 3, 1, 1)),
        lambda t: t.nn.GELU("nonsense")(t.zeros(2)),
        lambda t: t.nn.Unflatten(1, 3),
        lambda t: t.nn.Unflatten(1, (2, "a")),
        lambda t: t.nn.Unflatten(1, (2, 2))(t.zeros(1, 6)),
        lambda t: t.nn.MSELoss(reduction="nonsense")(t.zeros(2), t.zeros(2)),
        lambda t: t.nn.CrossEntropyLoss()(t.zeros(2, 3), t.tensor([0, 3])),
        lambda t: t.nn.BCELoss()(t.tensor([1.5]), t.tensor([1.0])),
        *layer_cases.REFUSED,
    ],
)
def test_refuses_what_pytorch_refuses(pytorch, case):
    with pytest.raises(Exception, match=r"\S") as theirs:
        case(pytorch)
    with pytest.raises(theirs.type, match=r"\S"):
        case(mt)


@pytest.mark.parametrize(("case", "text"), layer_cases.SENTENCES)
def test_errors_hold_what_is_wrong(case, text):
    with pytest.raises(Exception, match=text):
        case(mt)


def test_layers_take_a_type():
    for layer in (
        nn.Linear(2, 3, dtype=mt.float64, device="cpu"),
        nn.Conv2d(2, 3, 1, dtype=mt.float64),
        nn.BatchNorm2d(2, dtype=mt.float64),
    ):
        floating = [t for t in layer.state_dict().values() if t.is_floating_point()]
        assert floating
        assert all(t.dtype is mt.float64 for t in floating)


@pytest.mark.parametrize("norm_type", [1, 2.0, 3, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_gradients_are_clipped_by_norm_as_in_pytorch(pytorch, norm_type, max_norm):
    rng = np.random.default_rng(8)
    gradients = [rng.standard_normal(shape) for shape in ((2, 3), (4,), ())]

    def clipped(framework):
        parameters = [framework.zeros(g.shape).double().requires_grad_() for g in gradients]
        for p, g in zip(parameters, gradients):
            p.grad = framework.tensor(g)
        parameters.append(framework.zeros(3, requires_grad=True))  # has no gradient
        clip = framework.nn.utils.clip_grad_norm_
        norm = clip(iter(parameters), max_norm, norm_type)
        return [norm.item(), *[p.grad.numpy() for p in parameters[:-1]]]

    for found, expected in zip(clipped(mt), clipped(pytorch)):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_clipping_by_norm_without_gradients_or_with_infinite_ones():
    assert nn.utils.clip_grad_norm_([mt.zeros(1, requires_grad=True)], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        nn.utils.clip_grad_norm_((p for p in ()), 1.0)
    p = mt.zeros(1, requires_grad=True)
    p.grad = mt.tensor([float("inf")])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.item() == float("inf")


def test_gradients_are_clipped_by_value():
    p = mt.zeros(4, requires_grad=True)
    p.grad = mt.tensor([-3.0, -0.5, 0.25, 7.0])
    nn.utils.clip_grad_value_([p], 0.5)
    assert p.grad.tolist() == [-0.5, -0.5, 0.25, 0.5]
