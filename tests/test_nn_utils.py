"""nn.utils: each story is played here and in PyTorch, and told alike."""

import copy

import numpy as np
import pytest

import minitorch_cnn as mt

STORIES = {}


def story(tell):
    """A function of the framework that returns what it saw: text, numbers and arrays."""
    STORIES[tell.__name__] = tell
    return tell


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.filterwarnings("ignore:.*deprecated in favor of:FutureWarning")
def test_stories_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert_alike(STORIES[name](mt), STORIES[name](torch))


def assert_alike(found, expected):
    assert type(found) is type(expected)
    if isinstance(found, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(found, np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    else:
        assert found == expected


def refused(call):
    """The kind of error, which must come with a sentence."""
    with pytest.raises(Exception, match=r"\S") as caught:
        call()
    return caught.type.__name__


def filled(module):
    """The module in double, its floating-point state the same numbers in both frameworks."""
    module.double()
    rng = np.random.default_rng(2)
    for value in module.state_dict().values():
        if value.is_floating_point():
            array = rng.uniform(0.5, 1.5, tuple(value.shape))
            value.copy_(value.new_tensor(array) if value.dim() else value.new_tensor(float(array)))
    return module


def state(module):
    return [(name, value.numpy().copy()) for name, value in module.state_dict().items()]


def step(t, module, *shape):
    """Output and gradients of a call."""
    x = t.tensor(np.random.default_rng(3).standard_normal(shape))
    y = module(x)
    (y * y).sum().backward()
    grads = [(n, p.grad.numpy().copy()) for n, p in module.named_parameters() if p.grad is not None]
    return [y.detach().numpy(), grads]


# ---------------------------------------------------------------------- weight and spectral norm


def weight_norms(t, make, **options):
    module = filled(make(t.nn.Linear(3, 2), **options))
    return [state(module), step(t, module, 4, 3)]


@story
def weight_norm(t):
    norm = t.nn.utils.parametrizations.weight_norm
    module = norm(t.nn.Linear(3, 2))
    conv = filled(norm(t.nn.Conv2d(2, 3, 2), dim=1))
    seen = [repr(module), list(module.state_dict()), [n for n, _ in module.named_parameters()]]
    seen += [weight_norms(t, norm, dim=d) for d in (0, 1, None)]
    return [*seen, step(t, conv, 1, 2, 3, 3), refused(lambda: norm(t.nn.ReLU()))]


@story
def old_weight_norm(t):
    module = t.nn.utils.weight_norm(t.nn.Linear(3, 2))
    seen = [repr(module), list(module.state_dict()), weight_norms(t, t.nn.utils.weight_norm)]
    seen.append(refused(lambda: t.nn.utils.weight_norm(module)))
    filled(module)
    module(t.zeros(1, 3).double())
    t.nn.utils.remove_weight_norm(module)
    seen += [state(module), refused(lambda: t.nn.utils.remove_weight_norm(module))]
    return seen


@story
def old_states_load_into_the_new_weight_norm(t):
    old = filled(t.nn.utils.weight_norm(t.nn.Linear(3, 2)))
    new = t.nn.utils.parametrizations.weight_norm(t.nn.Linear(3, 2)).double()
    return [str(new.load_state_dict(old.state_dict())), state(new), step(t, new, 2, 3)]


@story
def spectral_norm(t):
    norm = t.nn.utils.parametrizations.spectral_norm
    module = norm(t.nn.Linear(3, 2))
    seen = [repr(module), list(module.state_dict())]
    filled(module)
    seen += [step(t, module, 4, 3), state(module), step(t, module.eval(), 4, 3), state(module)]
    conv = filled(norm(t.nn.Conv2d(2, 3, 2), n_power_iterations=3, dim=1))
    seen += [step(t, conv, 1, 2, 3, 3), state(conv)]
    vector = filled(norm(t.nn.BatchNorm1d(3)))
    seen += [step(t, vector, 4, 3)]
    seen.append(refused(lambda: norm(t.nn.Linear(2, 2), n_power_iterations=0)))
    seen.append(refused(lambda: norm(t.nn.Linear(2, 2), dim=2)))
    seen.append(refused(lambda: norm(t.nn.Linear(2, 2), name="nothing")))
    return seen


@story
def spectral_norm_starts_near_its_end(t):
    t.manual_seed(0)
    weight = t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(5, 4)).eval().weight
    return bool(abs(np.linalg.norm(weight.detach().numpy(), 2) - 1) < 0.05)


@story
def old_spectral_norm(t):
    norm = t.nn.utils.spectral_norm
    module = norm(t.nn.Linear(3, 2), n_power_iterations=2)
    seen = [repr(module), list(module.state_dict()), refused(lambda: norm(module))]
    filled(module)
    seen += [step(t, module, 4, 3), state(module), step(t, module.eval(), 4, 3)]
    t.nn.utils.remove_spectral_norm(module)
    seen += [state(module), refused(lambda: t.nn.utils.remove_spectral_norm(module))]
    seen.append(refused(lambda: norm(t.nn.Linear(2, 2), n_power_iterations=0)))
    seen.append(refused(lambda: norm(t.nn.Linear(2, 2, bias=False), name="bias")))
    return seen


# ---------------------------------------------------------------------- parametrizations


def kinds(t):
    class Doubled(t.nn.Module):
        def forward(self, x):
            return x * 2

        def right_inverse(self, x):
            return x / 2

    class Shifted(t.nn.Module):
        def forward(self, x):
            return x + 1

    class Summed(t.nn.Module):
        def forward(self, x, y):
            return x + y

        def right_inverse(self, z):
            return z / 4, z * 3 / 4

    class Widened(t.nn.Module):
        def forward(self, x):
            return t.cat([x, x])

    class Typed(t.nn.Module):
        def forward(self, x):
            return x.float()

    return Doubled, Shifted, Summed, Widened, Typed


@story
def parametrizing(t):
    p = t.nn.utils.parametrize
    doubled, shifted, summed, *_ = kinds(t)
    module = filled(t.nn.Linear(2, 2))
    weight = module.weight
    p.register_parametrization(module, "weight", doubled())
    seen = [repr(module), type(module).__name__, p.is_parametrized(module)]
    seen += [p.is_parametrized(module, "weight"), p.is_parametrized(module, "bias")]
    seen += [module.parametrizations.weight.original is weight, state(module)]
    p.register_parametrization(module, "weight", doubled())
    seen += [step(t, module, 3, 2), list(module.state_dict())]
    module.weight = t.full((2, 2), 8.0).double()
    seen += [state(module), module.weight.detach().numpy()]
    p.register_parametrization(module, "bias", summed())
    seen += [state(module), step(t, module, 3, 2), [n for n, _ in module.named_parameters()]]
    seen.append(p.type_before_parametrizations(module).__name__)
    other = copy.deepcopy(module)
    other.bias = t.zeros(2).double()
    seen += [state(module), state(other)]
    p.remove_parametrizations(module, "weight")
    p.remove_parametrizations(module, "bias")
    seen += [type(module).__name__, list(module.state_dict()), state(module), repr(module)]
    p.register_parametrization(module, "weight", shifted())
    p.remove_parametrizations(module, "weight", leave_parametrized=False)
    return [*seen, state(module), module.weight is weight]


@story
def parametrizing_a_buffer(t):
    module = t.nn.Module()
    module.register_buffer("seen", t.ones(2).double())
    p = t.nn.utils.parametrize
    p.register_parametrization(module, "seen", kinds(t)[1]())
    found = [module.seen.numpy(), [n for n, _ in module.named_buffers()]]
    p.remove_parametrizations(module, "seen")
    return [*found, [n for n, _ in module.named_buffers()], state(module)]


@story
def what_cannot_be_parametrized(t):
    p = t.nn.utils.parametrize
    doubled, shifted, summed, widened, typed = kinds(t)

    def new():
        return t.nn.Linear(2, 2).double()

    shifted_already = p.register_parametrization(new(), "weight", shifted())
    summed_already = p.register_parametrization(new(), "weight", summed())
    return [
        refused(lambda: p.register_parametrization(new(), "nothing", doubled())),
        refused(lambda: p.register_parametrization(new(), "weight", widened())),
        refused(lambda: p.register_parametrization(new(), "weight", typed())),
        refused(lambda: p.register_parametrization(shifted_already, "weight", widened())),
        refused(lambda: setattr(shifted_already, "weight", t.zeros(2, 2).double())),
        refused(lambda: p.remove_parametrizations(new(), "weight")),
        refused(lambda: p.remove_parametrizations(summed_already, "weight", False)),
        refused(lambda: copy.copy(shifted_already).__reduce_ex__(2)),
        refused(lambda: p.ParametrizationList([], t.zeros(1))),
        tuple(p.register_parametrization(new(), "bias", widened(), unsafe=True).bias.shape),
    ]


@story
def caching(t):
    p = t.nn.utils.parametrize
    module = p.register_parametrization(t.nn.Linear(2, 2), "weight", kinds(t)[1]())
    with p.cached():
        same = module.weight is module.weight
        with p.cached():
            kept = module.weight
        same_still = module.weight is kept
    return [same, same_still, module.weight is module.weight]


# ---------------------------------------------------------------------- fusing, vectors, norms


@story
def fusing(t):
    found = []
    for bias in (True, False):
        for affine in (True, False):
            conv = filled(t.nn.Conv2d(2, 4, 3, groups=2, bias=bias)).eval()
            norm = filled(t.nn.BatchNorm2d(4, affine=affine)).eval()
            fused = t.nn.utils.fuse_conv_bn_eval(conv, norm)
            found += [state(fused), state(conv), fused.bias.requires_grad]
        linear = filled(t.nn.Linear(2, 4, bias=bias)).eval()
        norm = filled(t.nn.BatchNorm1d(4)).eval()
        found.append(state(t.nn.utils.fuse_linear_bn_eval(linear, norm)))
    found.append(refused(lambda: t.nn.utils.fuse_conv_bn_eval(conv, norm.train())))
    found.append(
        refused(lambda: t.nn.utils.fuse_linear_bn_eval(linear, t.nn.BatchNorm1d(3).eval()))
    )
    return found


@story
def vectors(t):
    module = filled(t.nn.Linear(2, 3))
    vector = t.nn.utils.parameters_to_vector(module.parameters())
    t.nn.utils.vector_to_parameters(t.arange(9.0).double(), module.parameters())
    refusal = refused(lambda: t.nn.utils.vector_to_parameters([1.0], module.parameters()))
    return [vector.detach().numpy(), vector.requires_grad, state(module), refusal]


@story
def total_norms(t):
    module = filled(t.nn.Linear(2, 3))
    step(t, module, 4, 2)
    grads = [p.grad for p in module.parameters()]
    found = [t.nn.utils.get_total_norm(grads, p).numpy() for p in (1, 2.0, float("inf"))]
    found.append(t.nn.utils.get_total_norm([]).numpy())
    t.nn.utils.clip_grads_with_norm_(module.parameters(), 0.5, t.tensor(3.0).double())
    return [*found, *[g.numpy() for g in grads]]


def test_too_short_a_vector_changes_nothing():
    module = mt.nn.Linear(2, 3)
    before = [p.tolist() for p in module.parameters()]
    with pytest.raises(RuntimeError, match="8 elements are too few for 9"):
        mt.nn.utils.vector_to_parameters(mt.zeros(8), module.parameters())
    assert [p.tolist() for p in module.parameters()] == before
