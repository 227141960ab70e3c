"""Module's hooks, state and members: each story is played here and in PyTorch, and told alike."""

import copy
import importlib
import pickle
from collections import OrderedDict

import pytest

import minitorch_cnn as mt

STORIES = {}


def story(tell):
    """A function of the framework that returns what it saw."""
    STORIES[tell.__name__] = tell
    return tell


@pytest.mark.parametrize("name", STORIES)
def test_stories_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert STORIES[name](mt) == STORIES[name](torch)


@pytest.mark.parametrize("name", STORIES)
def test_stories_can_be_told(name):
    assert STORIES[name](mt)


def refused(call, *texts):
    """The kind of error; whether its sentence holds the texts."""
    try:
        call()
    except Exception as error:
        return type(error).__name__, [text in str(error) for text in texts]
    return None


def net(t):
    layers = [("first", t.nn.Linear(2, 3)), ("norm", t.nn.BatchNorm1d(3)), ("act", t.nn.ReLU())]
    return t.nn.Sequential(OrderedDict(layers))


# ---------------------------------------------------------------------- forward hooks


@story
def always_called_hooks(t):
    seen = []

    class Broken(t.nn.Module):
        def forward(self, x):
            raise KeyError("broken")

    module = Broken()
    module.register_forward_hook(lambda m, args, out: seen.append("never"))
    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    module.register_forward_hook(
        lambda m, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True, always_call=True
    )
    seen.append(refused(lambda: module(x=t.ones(1))))
    fine = t.nn.Identity()
    fine.register_forward_hook(lambda m, args, out: seen.append(out.item()), always_call=True)
    fine(t.ones(1))
    return seen


@story
def a_silenced_hook_warns(t):
    class Broken(t.nn.Module):
        def forward(self, x):
            raise KeyError("broken")

    def hook(*_):
        raise ValueError("worse")

    module = Broken()
    module.register_forward_hook(hook, always_call=True)
    with pytest.warns(UserWarning, match="silenced as another error was raised in forward: worse"):
        return refused(lambda: module(1))


@story
def global_hooks(t):
    seen = []
    module = t.nn.modules.module
    handles = [
        module.register_module_forward_pre_hook(lambda m, args: seen.append(type(m).__name__)),
        module.register_module_forward_hook(lambda m, args, out: out * 2),
        module.register_module_forward_hook(
            lambda m, args, kwargs, out: seen.append(len(kwargs)), with_kwargs=True
        ),
        module.register_module_full_backward_pre_hook(lambda m, gy: seen.append(gy[0].tolist())),
        module.register_module_full_backward_hook(
            lambda m, gx, gy: seen.append((gx[0].tolist(), gy[0].tolist()))
        ),
    ]
    layer = t.nn.ReLU()
    layer.register_forward_pre_hook(lambda m, args: seen.append("own"))
    x = t.tensor([1.0, -2.0], requires_grad=True)
    y = t.nn.Sequential(layer)(x)
    seen.append(y.tolist())
    y.sum().backward()
    for handle in handles:
        handle.remove()
    seen.append(layer(x).tolist())
    return seen


# ---------------------------------------------------------------------- state


@story
def state_hooks(t):
    seen = []
    module = net(t)
    module.first.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
    module.register_state_dict_post_hook(
        lambda m, state, prefix, metadata: seen.append((prefix, sorted(metadata)))
    )
    module.norm.register_state_dict_post_hook(
        lambda m, state, prefix, metadata: state.__delitem__(prefix + "running_mean")
    )
    seen.append(list(module.state_dict(prefix="net.", keep_vars=True)))
    return seen


@story
def state_metadata(t):
    state = net(t).state_dict()
    destination = OrderedDict()
    given = net(t).state_dict(destination=destination)
    return [dict(state._metadata), given is destination, hasattr(destination, "_metadata")]


@story
def loading_hooks(t):
    seen = []
    module = net(t)

    def rename(state, prefix, metadata, strict, missing, unexpected, errors):
        seen.append((prefix, metadata.get("version"), strict))
        for key in list(state):
            if key.startswith(prefix + "old_"):
                state[key.replace("old_", "")] = state.pop(key)

    module.first._register_load_state_dict_pre_hook(rename)
    module.first.register_load_state_dict_pre_hook(
        lambda m, state, prefix, *rest: seen.append((type(m).__name__, sorted(state)))
    )
    module.register_load_state_dict_post_hook(
        lambda m, keys: seen.append((keys.missing_keys, keys.unexpected_keys))
    )
    state = net(t).state_dict()
    state["first.old_weight"] = state.pop("first.weight") * 0 + 7
    seen.append(str(module.load_state_dict(state)))
    seen.append(module.first.weight.tolist())
    return seen


@story
def a_post_hook_forgives(t):
    module = t.nn.Linear(2, 1)
    module.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    found = module.load_state_dict({"weight": t.ones(1, 2)})
    return [str(found), module.weight.tolist()]


@story
def hooks_that_return_something(t):
    module = t.nn.Linear(2, 1)
    handle = module.register_state_dict_post_hook(lambda *_: 1)
    seen = [refused(module.state_dict)[0]]
    handle.remove()
    state = module.state_dict()
    module.register_load_state_dict_post_hook(lambda *_: 1)
    return [*seen, len(state)]


@story
def extra_state(t):
    class Counter(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 3

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    outer = t.nn.Sequential(Counter())
    state = outer.state_dict()
    outer[0].count = 8
    outer.load_state_dict(state)
    strict = refused(lambda: outer.load_state_dict({}), '"0._extra_state"')
    lost = refused(lambda: t.nn.Sequential(t.nn.ReLU()).load_state_dict(state), "_extra_state")
    return [dict(state), outer[0].count, strict, lost]


@story
def state_without_counts(t):
    """Normalisation's count of batches may be missing from states that tell no version."""
    module = net(t)
    state = OrderedDict(net(t).state_dict())
    state.pop("norm.num_batches_tracked")
    seen = [str(module.load_state_dict(state))]
    state._metadata = OrderedDict({"norm": {"version": 2}})
    seen.append(refused(lambda: module.load_state_dict(state), "num_batches_tracked"))
    return seen


@story
def an_overridden_loader(t):
    class Old(t.nn.Linear):
        _version = 3

        def _load_from_state_dict(self, state, prefix, metadata, *rest):
            if metadata.get("version", 0) < 3:
                state[prefix + "weight"] = state.pop(prefix + "w")
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    module = t.nn.Sequential(Old(2, 1, bias=False))
    module.load_state_dict({"0.w": t.full((1, 2), 5.0)})
    return [module[0].weight.tolist(), dict(module.state_dict()._metadata)]


# ---------------------------------------------------------------------- members


@story
def submodules_are_set_by_path(t):
    module = t.nn.Sequential(t.nn.Sequential(t.nn.ReLU()))
    module.set_submodule("0.0", t.nn.Tanh())
    module.set_submodule("0.new", t.nn.Sigmoid())
    return [
        repr(module),
        refused(lambda: module.set_submodule("", t.nn.ReLU())),
        refused(lambda: module.set_submodule("0.0", 3)),
        refused(lambda: module.set_submodule("0.other", t.nn.ReLU(), strict=True), "`other`"),
        refused(lambda: module.set_submodule("1.other", t.nn.ReLU())),
        refused(lambda: module.set_submodule("0.training", t.nn.ReLU()), "`training`"),
    ]


@story
def buffers(t):
    module = t.nn.Module()
    module.seen = t.nn.Buffer(t.ones(2))
    module.scratch = t.nn.Buffer(t.zeros(1), persistent=False)
    names = [name for name, _ in module.named_buffers()]
    module.seen = t.zeros(3)
    module.register_buffer("nothing", None)
    return [names, list(module.state_dict()), module.seen.tolist(), module.nothing]


@story
def types(t):
    module = net(t).double()
    module.first.weight.grad = t.ones_like(module.first.weight)
    module.float()
    seen = [str(module.first.weight.grad.dtype), str(module.norm.num_batches_tracked.dtype)]
    module.type(t.float64)
    seen.append([str(v.dtype) for v in module.state_dict().values()])
    empty = net(t).to_empty(device="cpu")
    seen.append([tuple(v.shape) for v in empty.state_dict().values()])
    return seen


@story
def copies_keep_hooks(t):
    seen = []
    module = t.nn.ReLU()
    module.register_forward_hook(lambda m, args, out: seen.append(out.tolist()))
    copy.deepcopy(module)(t.tensor([-1.0, 1.0]))
    return seen


# ---------------------------------------------------------------------- lists of parameters


@story
def parameter_lists(t):
    values = t.nn.ParameterList([t.ones(2), t.nn.Parameter(t.zeros(1)), "text"])
    values += [t.full((1, 2), 2.0)]
    values.append(None)
    values[-1] = t.zeros(0)
    outer = t.nn.Sequential(values)
    return [
        repr(outer),
        repr(t.nn.ParameterList()),
        repr(t.nn.ParameterList([t.ones(1)])),
        len(values),
        [name for name, _ in outer.named_parameters()],
        [type(v).__name__ for v in values[1:]],
        values[-2].tolist(),
        refused(lambda: values[5], "index 5"),
        refused(lambda: values.extend(t.ones(2)), "but got Tensor"),
        refused(lambda: values.extend(3)),
        refused(lambda: values()),
    ]


@story
def parameter_dicts(t):
    values = t.nn.ParameterDict({"b": t.ones(2), "a": t.nn.Parameter(t.zeros(1)), "text": "x"})
    values["c"] = t.ones(1, 2)
    seen = [list(values), repr(values), [name for name, _ in values.named_parameters()]]
    seen.append([list(values | t.nn.ParameterDict({"z": t.ones(1)})), list(reversed(values))])
    values |= t.nn.ParameterDict([("q", t.ones(1))])
    seen.append([values.pop("b").tolist(), values.popitem()[0], len(values), "b" in values])
    seen.append([values.get("none", 5), values.setdefault("new", 7), list(values.keys())])
    seen.append([list(values.copy()), list(values.fromkeys(["x", "y"], 1).values())])
    seen.append([key for key, _ in values.items()])
    seen.append(refused(lambda: values["missing"], "missing"))
    seen.append(refused(lambda: t.nn.ParameterDict().__setitem__(3, t.ones(1)), "int"))
    seen.append(refused(lambda: values.update(3)))
    seen.append(refused(lambda: values.update([3])))
    seen.append(refused(lambda: values.update([("a", 1, 2)]), "length 3"))
    seen.append(refused(lambda: values(1)))
    values.clear()
    return [*seen, len(values), repr(values)]


# ---------------------------------------------------------------------- lazy layers


@story
def lazy_layers(t):
    nn = t.nn
    found = []
    for make, *shape in [
        (lambda: nn.LazyLinear(3), 2, 5),
        (lambda: nn.LazyLinear(3, bias=False, dtype=t.float64), 2, 5),
        (lambda: nn.LazyConv1d(4, 3, padding=1), 2, 3, 7),
        (lambda: nn.LazyConv2d(4, 3, 2, groups=2), 2, 6, 7, 7),
        (lambda: nn.LazyConv2d(4, kernel_size=(1, 2), bias=False), 6, 7, 7),
        (lambda: nn.LazyConvTranspose1d(4, 3), 2, 3, 7),
        (lambda: nn.LazyConvTranspose2d(4, 3, stride=2, groups=2), 2, 6, 3, 3),
        (lambda: nn.LazyBatchNorm1d(), 4, 5),
        (lambda: nn.LazyBatchNorm2d(0.1, 0.2, False), 2, 3, 4, 4),
        (lambda: nn.LazyBatchNorm2d(track_running_stats=False, bias=False), 2, 3, 4, 4),
        (lambda: nn.LazyInstanceNorm2d(affine=True), 2, 3, 4, 4),
    ]:
        layer = make()
        lazy = [repr(p) for p in [*layer.parameters(), *layer.buffers()] if "Un" in repr(p)]
        found.append((repr(layer), lazy, list(layer.state_dict())))
        dtype = t.float64 if "False, dtype" in repr(make) else None
        y = layer(t.zeros(*shape, dtype=dtype or layer_type(layer)))
        found.append((tuple(y.shape), repr(layer), type(layer).__name__))
        found.append([(k, tuple(v.shape), str(v.dtype)) for k, v in layer.state_dict().items()])
        found.append([p.requires_grad for p in layer.parameters()])
    return found


def layer_type(layer):
    return next((p.dtype for p in layer.parameters()), None)


@story
def lazy_networks(t):
    net = t.nn.Sequential(t.nn.LazyConv2d(2, 3), t.nn.Flatten(), t.nn.LazyLinear(3)).double()
    other = copy.deepcopy(net)
    seen = [repr(net), len(list(net.parameters()))]
    net(t.zeros(1, 2, 5, 5).double())
    seen.append([(k, tuple(v.shape), str(v.dtype)) for k, v in net.state_dict().items()])
    seen.append(str(other.load_state_dict(net.state_dict())))
    seen.append([(k, tuple(v.shape)) for k, v in other.state_dict().items()])
    other(t.zeros(1, 2, 5, 5).double())
    seen.append(repr(other[2]))
    fresh = t.nn.LazyLinear(3)
    seen.append(str(fresh.load_state_dict(t.nn.LazyLinear(3).state_dict())))
    seen.append(refused(lambda: t.nn.Linear(2, 3).load_state_dict(fresh.state_dict())))
    return seen


@story
def a_lazy_layer_of_ones_own(t):
    class Scale(t.nn.modules.lazy.LazyModuleMixin, t.nn.Module):
        cls_to_become = t.nn.Identity

        def __init__(self, ready=True):
            super().__init__()
            self.ready = ready
            self.factor = t.nn.UninitializedParameter()

        def initialize_parameters(self, x):
            if self.ready:
                self.factor.materialize(x.shape[-1:])

        def forward(self, x):
            return x

    layer = Scale()
    layer(t.zeros(2, 3))
    return [
        type(layer).__name__,
        tuple(layer.factor.shape),
        refused(lambda: Scale(ready=False)(t.zeros(1)), "has not been fully initialized"),
    ]


# ---------------------------------------------------------------------- tables


@story
def embeddings(t):
    layer = t.nn.Embedding(5, 3, padding_idx=-2)
    seen = [repr(layer), layer.weight[3].tolist(), [n for n, _ in layer.named_parameters()]]
    table = t.arange(10.0).reshape(5, 2).double()
    numbers = t.tensor([[1, 4], [1, 3]])
    for options in [{}, {"padding_idx": 1}, {"scale_grad_by_freq": True}, {"max_norm": 3.0}]:
        layer = t.nn.Embedding.from_pretrained(table.clone(), freeze=False, **options)
        y = layer(numbers)
        (y * y).sum().backward()
        seen.append([repr(layer), exact(y), exact(layer.weight), exact(layer.weight.grad)])
    frozen = t.nn.Embedding.from_pretrained(table)
    return [*seen, frozen.weight.requires_grad, repr(t.nn.Embedding(2, 2, None, 1.0, 1.0, True))]


def exact(tensor):
    return [round(x, 9) for x in tensor.detach().reshape(-1).tolist()]


@story
def bilinear_layers(t):
    layer = t.nn.Bilinear(2, 3, 4, bias=False)
    state = [(k, tuple(v.shape)) for k, v in t.nn.Bilinear(2, 3, 4).state_dict().items()]
    bound = bool((layer.weight.abs() <= 2**-0.5).all())
    return [repr(layer), state, bound, tuple(layer(t.zeros(5, 2), t.zeros(5, 3)).shape)]


def test_gumbel_softmax_draws_in_proportion():
    mt.manual_seed(0)
    logits = mt.tensor([0.0, 1.0, 2.0]).expand(20_000, 3)
    draws = mt.nn.functional.gumbel_softmax(logits, hard=True)
    assert mt.equal(draws.sum(1), mt.ones(20_000))
    expected = logits[0].softmax(0)
    assert bool(((draws.mean(0) - expected).abs() < 0.02).all())
    soft = mt.nn.functional.gumbel_softmax(logits[:3].clone().requires_grad_(), tau=0.5)
    assert mt.allclose(soft.sum(1), mt.ones(3))


def test_files_of_nn_have_pytorchs_names():
    torch = pytest.importorskip("torch")
    for name, file in mt.nn.modules.FILES.items():
        assert importlib.import_module(f"minitorch_cnn.nn.modules.{name}") is file
        for member in getattr(getattr(torch.nn.modules, name), "__all__", []):
            if hasattr(mt.nn, member) and not member.startswith("Lazy"):
                assert getattr(file, member) is getattr(mt.nn, member)
    for name in ("_single", "_pair", "_triple", "_quadruple"):
        for value in (3, (1, 2), [4, 5], "same"):
            ours, theirs = (getattr(t.nn.modules.utils, name)(value) for t in (mt, torch))
            assert ours == theirs
    assert issubclass(mt.nn.Conv2d, mt.nn.modules.conv._ConvNd)
    assert issubclass(mt.nn.BatchNorm2d, mt.nn.modules.batchnorm._BatchNorm)


@pytest.mark.parametrize(
    "make",
    [
        lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU(), nn.Dropout2d()),
        lambda nn: nn.CrossEntropyLoss(mt.ones(3)),
        lambda nn: nn.ParameterDict({"a": mt.ones(2), "b": 3}),
        lambda nn: nn.LazyLinear(3, dtype=mt.float64),
        lambda nn: nn.utils.spectral_norm(nn.Linear(2, 2)),
    ],
)
def test_modules_can_be_pickled(make):
    module = make(mt.nn)
    other = pickle.loads(pickle.dumps(module))
    assert repr(other) == repr(module)
    assert list(other.state_dict()) == list(module.state_dict())
    for found, wanted in zip(other.parameters(), module.parameters(), strict=True):
        assert found.dtype is wanted.dtype
        assert repr(found) == repr(wanted)


def test_a_bad_state_changes_nothing_even_with_hooks():
    module = net(mt)
    module.register_load_state_dict_post_hook(lambda m, keys: None)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = net(mt).state_dict()
    state["norm.weight"] = mt.ones(4)
    with pytest.raises(RuntimeError, match=r"norm.weight.*Size\(\[4\]\).*Size\(\[3\]\)"):
        module.load_state_dict(state)
    assert all(mt.equal(before[k], v) for k, v in module.state_dict().items())
