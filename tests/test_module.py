"""Module: registration, traversal, state, hooks, text, and the containers."""

import copy
from collections import OrderedDict

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import nn


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(mt.ones(1))
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        self.head = nn.Linear(2, 3)
        self.register_buffer("mean", mt.zeros(1))
        self.register_buffer("scratch", mt.zeros(1), persistent=False)

    def forward(self, x):
        return self.scale * self.head(self.features(x - self.mean).mean((2, 3)))


def pytorch_net(pytorch):
    """The same network, its class made from the same source."""

    class Net(pytorch.nn.Module):
        def __init__(self):
            nn = pytorch.nn
            super().__init__()
            self.scale = nn.Parameter(pytorch.ones(1))
            self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
            self.head = nn.Linear(2, 3)
            self.register_buffer("mean", pytorch.zeros(1))
            self.register_buffer("scratch", pytorch.zeros(1), persistent=False)

    return Net()


# ---------------------------------------------------------------------- registration


def test_names_order_and_text_are_pytorchs(pytorch):
    ours, theirs = Net(), pytorch_net(pytorch)
    for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        found, expected = getattr(ours, walk)(), getattr(theirs, walk)()
        assert [n for n, _ in found] == [n for n, _ in expected], walk
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.state_dict(prefix="net.")) == list(theirs.state_dict(prefix="net."))
    assert [n for n, _ in ours.named_parameters("a", recurse=False)] == ["a.scale"]
    assert repr(ours) == repr(theirs)


def test_attributes_are_registered_by_kind_and_move_between_kinds():
    net = nn.Module()
    net.a = 3
    net.a = nn.Parameter(mt.ones(1))
    assert "a" not in net.__dict__
    assert [n for n, _ in net.named_parameters()] == ["a"]
    net.a = None
    assert net.a is None
    assert not list(net.parameters())
    net.b = nn.ReLU()
    net.b = nn.Parameter(mt.ones(1))
    assert not list(net.children())
    assert [n for n, _ in net.named_parameters()] == ["b"]
    net.register_buffer("c", mt.zeros(2), persistent=False)
    net.c = mt.ones(2)
    assert net.get_buffer("c").tolist() == [1.0, 1.0]
    assert "c" not in net.state_dict()
    net.c = nn.ReLU()
    assert not list(net.buffers())
    assert isinstance(net.c, nn.ReLU)
    net.c = None
    assert net.c is None
    assert not list(net.children())


def test_a_replaced_member_keeps_its_place():
    net = Net()
    before = list(net.state_dict())
    net.scale = nn.Parameter(mt.zeros(1))
    net.features = nn.Sequential(nn.Conv2d(1, 2, 5), nn.BatchNorm2d(2), nn.ReLU())
    assert list(net.state_dict()) == before


def test_deleting_members():
    net = Net()
    for name in ("scale", "features", "mean", "scratch"):
        delattr(net, name)
        assert not hasattr(net, name)
        assert name not in dir(net)
    assert list(net.state_dict()) == ["head.weight", "head.bias"]
    with pytest.raises(AttributeError):
        del net.scale


def test_dir_lists_members_that_can_be_written_with_a_dot():
    names = dir(Net())
    assert {"scale", "features", "mean", "forward", "training"} <= set(names)
    assert "0" not in dir(Net().features)


def assign_before_init(framework, value):
    class Early(framework.nn.Module):
        def __init__(self):
            self.value = value

    Early()


REFUSED = {
    "parameter before init": lambda t: assign_before_init(t, t.nn.Parameter(t.ones(1))),
    "module before init": lambda t: assign_before_init(t, t.nn.ReLU()),
    "tensor over parameter": lambda t: setattr(t.nn.Linear(1, 1), "weight", t.ones(1, 1)),
    "tensor over module": lambda t: setattr(t.nn.Sequential(t.nn.ReLU()), "0", t.ones(1)),
    "number over buffer": lambda t: setattr(t.nn.BatchNorm2d(1), "running_mean", 3),
    "number as buffer": lambda t: t.nn.Module().register_buffer("a", 3),
    "tensor as parameter": lambda t: t.nn.Module().register_parameter("a", t.ones(1)),
    "number as module": lambda t: t.nn.Module().add_module("a", 3),
    "dot in parameter": lambda t: t.nn.Module().register_parameter("a.b", None),
    "dot in buffer": lambda t: t.nn.Module().register_buffer("a.b", None),
    "dot in module": lambda t: t.nn.Module().register_module("a.b", None),
    "empty name": lambda t: t.nn.Module().register_buffer("", None),
    "name is no string": lambda t: t.nn.Module().register_buffer(3, None),
    "name is taken": lambda t: t.nn.Linear(1, 1).register_buffer("weight", None),
    "parameter name is taken": lambda t: t.nn.BatchNorm2d(1).register_parameter(
        "running_mean", None
    ),
    "name is a method": lambda t: t.nn.Module().add_module("forward", t.nn.ReLU()),
    "no such attribute": lambda t: t.nn.Module().nonsense,
    "no such submodule": lambda t: t.nn.Module().get_submodule("a.b"),
    "parameter as submodule": lambda t: t.nn.Linear(1, 1).get_submodule("weight"),
    "no such parameter": lambda t: t.nn.Linear(1, 1).get_parameter("nonsense"),
    "buffer as parameter": lambda t: t.nn.BatchNorm2d(1).get_parameter("running_mean"),
    "parameter as buffer": lambda t: t.nn.BatchNorm2d(1).get_buffer("weight"),
    "no forward": lambda t: t.nn.Module()(t.ones(1)),
    "mode is a word": lambda t: t.nn.Module().train("off"),
    "integer type": lambda t: t.nn.Linear(1, 1).to(t.int64),
    "state is a list": lambda t: t.nn.Linear(1, 1).load_state_dict([1]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_pytorch_refuses(pytorch, case):
    with pytest.raises(Exception, match=r"\S") as theirs:
        REFUSED[case](pytorch)
    with pytest.raises(theirs.type, match=r"\S"):
        REFUSED[case](mt)


def test_a_parameter_must_be_a_leaf():
    grown = nn.Parameter(mt.ones(1)) * 2
    with pytest.raises(TypeError, match="Parameter"):
        nn.Module().register_parameter("a", grown)
    parameter = nn.Parameter(mt.ones(1))
    with mt.no_grad():
        assert nn.Parameter(parameter * 2).is_leaf


# ---------------------------------------------------------------------- traversal


def test_shared_members_are_visited_once_unless_asked():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.parameters())) == 2
    assert len(list(net.modules())) == 3
    assert len(list(net.children())) == 2
    names = [n for n, _ in net.named_parameters(remove_duplicate=False)]
    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "0", "1", "2"]
    assert list(net.state_dict()) == names


def test_members_by_path():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("features.1") is net.features[1]
    assert net.get_parameter("features.0.weight") is net.features[0].weight
    assert net.get_buffer("features.1.running_var") is net.features[1].running_var


def test_apply_train_and_requires_grad_reach_every_module():
    net, seen = Net(), []
    assert net.apply(seen.append) is net
    assert seen == [*net.features, net.features, net.head, net]
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none):
    net = Net()
    net(mt.ones(2, 1, 4, 4)).sum().backward()
    assert any(p.grad.abs().sum() > 0 for p in net.parameters())
    net.zero_grad(set_to_none=set_to_none)
    assert all(p.grad is None if set_to_none else p.grad.abs().sum() == 0 for p in net.parameters())


@pytest.mark.parametrize(
    "convert",
    [
        lambda net: net.double(),
        lambda net: net.to(mt.float64),
        lambda net: net.to("cpu", mt.float64),
        lambda net: net.to(device="cpu", dtype=mt.float64, non_blocking=True),
        lambda net: net.to(mt.zeros(1, dtype=mt.float64)),
    ],
)
def test_to_changes_floating_members_in_place(convert):
    net = Net()
    net(mt.ones(2, 1, 4, 4)).sum().backward()
    before = list(net.parameters())
    assert convert(net) is net
    assert all(p is q for p, q in zip(net.parameters(), before))
    assert all(p.dtype is p.grad.dtype is mt.float64 for p in net.parameters())
    assert all(p.is_leaf and p.requires_grad for p in net.parameters())
    assert net.features[1].running_mean.dtype is mt.float64
    assert net.features[1].num_batches_tracked.dtype is mt.int64
    assert net(mt.ones(2, 1, 4, 4, dtype=mt.float64)).dtype is mt.float64
    assert net.cpu().float().head.weight.dtype is mt.float32


def test_to_refuses_unknown_arguments():
    with pytest.raises(TypeError, match="layout"):
        Net().to(layout="strided")


# ---------------------------------------------------------------------- state


def test_state_shares_memory_and_loads_into_another():
    first, second = Net(), Net()
    first(mt.ones(2, 1, 4, 4))
    state = first.state_dict()
    assert not any(t.requires_grad for t in state.values())
    assert first.state_dict(keep_vars=True)["scale"] is first.scale
    result = second.load_state_dict(state)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert repr(result) == "<All keys matched successfully>"
    for key, value in second.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key].numpy())
    state["scale"].fill_(7)
    assert first.scale.item() == 7
    assert second.scale.item() == 1


def test_loading_casts_and_assign_takes_over():
    net, state = nn.Linear(2, 1), nn.Linear(2, 1).double().state_dict()
    net.weight.requires_grad_(False)
    net.load_state_dict(state)
    assert net.weight.dtype is mt.float32
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype is mt.float64
    assert isinstance(net.weight, nn.Parameter)
    assert not net.weight.requires_grad
    assert net.bias.requires_grad
    state["weight"].fill_(3)
    assert net.weight.tolist() == [[3.0, 3.0]]
    norm = nn.BatchNorm2d(1)
    mean = mt.full((1,), 5.0)
    norm.load_state_dict({**norm.state_dict(), "running_mean": mean}, assign=True)
    assert norm.running_mean is mean


def test_all_that_does_not_fit_is_named_and_nothing_copied(pytorch):
    def refused(framework, model):
        state = OrderedDict(model.state_dict())
        for key in ("head.weight", "features.1.running_mean"):
            del state[key]
        state["features.0.weight"] = framework.zeros(2, 1, 5, 5)
        state["features.0.bias"] = framework.full((2,), 9.0)
        state["head.bias"] = framework.zeros(4)
        state["extra"] = state["head.scale"] = framework.zeros(1)
        with pytest.raises(RuntimeError) as error:
            model.load_state_dict(state)
        return str(error.value)

    net = Net()
    before = copy.deepcopy(net.state_dict())
    message = refused(mt, net)
    assert message == refused(pytorch, pytorch_net(pytorch))
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key].numpy())
    with pytest.raises(RuntimeError, match=r'named "bias".*received.*list'):
        nn.Linear(1, 1).load_state_dict({"weight": mt.zeros(1, 1), "bias": [0.0]})


def test_loading_leniently_reports_keys_but_still_refuses_shapes():
    net = nn.Linear(2, 1)
    result = net.load_state_dict({"weight": mt.ones(1, 2), "x": mt.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["x"]
    assert repr(result) == "_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['x'])"
    assert net.weight.tolist() == [[1.0, 1.0]]
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        net.load_state_dict({"weight": mt.ones(2, 2)}, strict=False)


def test_deepcopy_is_independent_and_keeps_what_is_shared():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    net(mt.ones(1, 2)).sum().backward()
    twin = copy.deepcopy(net)
    assert twin[0] is twin[1]
    assert twin[0] is not layer
    assert isinstance(twin[0].weight, nn.Parameter)
    assert twin[0].weight.grad is None
    with mt.no_grad():
        twin[0].weight.fill_(0)
    assert layer.weight.abs().sum() > 0


def test_parameter(pytorch):
    assert repr(nn.Parameter(mt.ones(2))) == repr(pytorch.nn.Parameter(pytorch.ones(2)))
    data = mt.ones(2)
    parameter = nn.Parameter(data, requires_grad=False)
    assert repr(parameter) == "Parameter containing:\ntensor([1., 1.])"
    data.fill_(3)
    assert parameter.tolist() == [3.0, 3.0]
    assert nn.Parameter().shape == (0,)
    assert type(parameter + 1) is mt.Tensor
    with mt.no_grad():
        assert nn.Parameter(mt.ones(1)).requires_grad
    with pytest.raises(TypeError, match="list"):
        nn.Parameter([1.0])
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(mt.ones(1, dtype=mt.int64))


# ---------------------------------------------------------------------- hooks


def test_forward_hooks_see_and_replace_in_order():
    layer, seen = nn.Identity(), []

    def note(name, change):
        def hook(module, *values):
            assert module is layer
            seen.append((name, float(values[-1] if name > "p" else values[0][0])))
            return change

        return hook

    layer.register_forward_pre_hook(note("b", mt.tensor(2.0)))
    layer.register_forward_pre_hook(note("a", None), prepend=True)
    layer.register_forward_pre_hook(note("c", (mt.tensor(3.0),)))
    layer.register_forward_hook(note("z", mt.tensor(5.0)))
    layer.register_forward_hook(note("y", mt.tensor(4.0)), prepend=True)
    assert layer(mt.tensor(1.0)).item() == 5
    assert seen == [("a", 1), ("b", 1), ("c", 2), ("y", 3), ("z", 4)]


def test_forward_hooks_with_keywords_and_their_removal():
    class Power(nn.Module):
        def forward(self, x, exponent=1):
            return x**exponent

    layer = Power()
    pre = layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {**kwargs, "exponent": 3}), with_kwargs=True
    )
    post = layer.register_forward_hook(
        lambda m, args, kwargs, y: y + kwargs["exponent"], with_kwargs=True
    )
    x = mt.tensor(2.0)
    assert layer(x, exponent=2).item() == 11
    pre.remove()
    assert layer(x, exponent=2).item() == 6
    post.remove()
    assert layer(x, exponent=2).item() == 4
    with layer.register_forward_pre_hook(lambda m, a, k: None, with_kwargs=True):
        assert layer(x).item() == 2
    nonsense = layer.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    with nonsense, pytest.raises(RuntimeError, match="new_args, new_kwargs"):
        layer(x)
    assert layer(x).item() == 2


def through_hooks(framework):
    """What backward hooks of a two-input, two-output module see, and the gradients they leave."""

    class Both(framework.nn.Module):
        def forward(self, x, n, y):
            return x * y, x + n

    seen = []

    def pre_hook(module, grad_output):
        seen.append([g.tolist() for g in grad_output])
        return tuple(2 * g for g in grad_output)

    def hook(module, grad_input, grad_output):
        seen.append([None if g is None else g.tolist() for g in (*grad_input, *grad_output)])
        return tuple(None if g is None else g + 1 for g in grad_input)

    both = Both()
    both.register_full_backward_hook(hook)
    both.register_full_backward_hook(hook, prepend=True)
    both.register_full_backward_pre_hook(pre_hook)
    x = framework.tensor([2.0], requires_grad=True)
    y = framework.tensor([3.0], requires_grad=True)
    product, total = both(x, 5, y)
    (product + 10 * total).sum().backward()
    return seen, x.grad.tolist(), y.grad.tolist()


def test_full_backward_hooks_are_pytorchs(pytorch):
    assert through_hooks(mt) == through_hooks(pytorch)
    assert through_hooks(mt)[1:] == ([28.0], [6.0])  # 2 * (3 + 10) + 2 and 2 * 2 + 2


def test_backward_hooks_of_a_first_layer_warn_that_no_input_has_a_gradient():
    layer, seen = nn.Linear(1, 1), []
    layer.register_full_backward_hook(lambda m, i, o: seen.append((i, o[0].tolist())))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        layer(mt.ones(1, 1)).sum().backward()
    assert seen == [((None,), [[1.0]])]
    with mt.no_grad():
        assert layer(mt.ones(1, 1)).grad_fn is None


def test_backward_hooks_that_return_or_see_nonsense():
    layer = nn.Identity()
    with layer.register_full_backward_hook(lambda m, i, o: (i[0], i[0])):
        y = layer(mt.ones(1, requires_grad=True))
        with pytest.raises(RuntimeError, match="got 2, but expected 1"):
            y.backward()
    layer.register_full_backward_pre_hook(lambda m, o: None)
    with pytest.warns(UserWarning, match="Tensor or a tuple of Tensors"):
        layer([mt.ones(1)])


# ---------------------------------------------------------------------- containers


def test_sequential_by_number_name_and_slice():
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
    net = nn.Sequential(*layers)
    assert len(net) == 3
    assert list(net) == layers
    assert net[0] is layers[0]
    assert net[-1] is layers[2]
    assert isinstance(net[:2], nn.Sequential)
    assert list(net[:2]) == layers[:2]
    named = nn.Sequential(OrderedDict(first=layers[0], then=layers[1]))
    assert named.first is named[0]
    assert list(named[1:]._modules) == ["then"]
    for index in (3, -4):
        with pytest.raises(IndexError):
            net[index]
    x = mt.ones(4, 2)
    np.testing.assert_array_equal(
        net(x).detach().numpy(), layers[2](layers[1](layers[0](x))).detach().numpy()
    )
    with pytest.raises(TypeError, match="not a Module"):
        nn.Sequential(nn.ReLU(), 3)


def test_changing_a_row():
    for kind in (nn.Sequential, lambda *m: nn.ModuleList(m)):
        a, b, c, d = (nn.Linear(i, i) for i in range(1, 5))
        row = kind(a, b)
        assert row.append(c) is row
        assert list(row) == [a, b, c]
        row.insert(1, d)
        assert list(row) == [a, d, b, c]
        assert [n for n, _ in row.named_children()] == list("0123")
        assert row.pop(1) is d
        assert list(row) == [a, b, c]
        row[-1] = d
        assert list(row) == [a, b, d]
        del row[:2]
        assert list(row) == [d]
        assert row[0] is d
        assert list(row.extend([a, b])) == [d, a, b]
        row += kind(c)
        assert list(row) == [d, a, b, c]
        assert list(row + kind(a)) == [d, a, b, c, a]
        assert list(row.pop(slice(0, 3))) == [d, a, b]
        assert list(row) == [c]
        row.insert(-1, a)
        assert list(row) == [a, c]
        with pytest.raises(IndexError):
            row.insert(4, a)
        with pytest.raises(TypeError):
            row.insert(0, "a")
        with pytest.raises(TypeError):
            row.extend(3)
    with pytest.raises(ValueError, match="Sequential"):
        nn.Sequential() + [a]


def test_module_list_and_its_text(pytorch):
    def made(nn):
        block = [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(2)]
        return nn.ModuleList([nn.ReLU(), *block, nn.ReLU(), nn.ReLU(), nn.Linear(2, 2)])

    assert repr(made(nn)) == repr(made(pytorch.nn))
    assert repr(nn.ModuleList()) == "ModuleList()"
    assert repr(nn.Sequential()) == "Sequential()"
    assert isinstance(made(nn)[1:3], nn.ModuleList)
    assert len(list(made(nn).parameters())) == 6
    with pytest.raises(NotImplementedError):
        nn.ModuleList()(1)


def test_module_dict(pytorch):
    def made(nn):
        heads = nn.ModuleDict({"a": nn.Linear(1, 2)})
        heads.update([("b", nn.ReLU()), ["c", nn.Tanh()]])
        heads.update(nn.ModuleDict({"a": nn.Linear(3, 4)}))
        heads["d"] = nn.Identity()
        del heads["b"]
        return heads

    heads = made(nn)
    assert repr(heads) == repr(made(pytorch.nn))
    assert list(heads) == list(heads.keys()) == ["a", "c", "d"]
    assert len(heads) == 3
    assert list(heads.items()) == list(zip(heads.keys(), heads.values()))
    assert "a" in heads
    assert "b" not in heads
    assert list(heads.state_dict()) == ["a.weight", "a.bias"]
    assert isinstance(heads.pop("c"), nn.Tanh)
    assert "c" not in heads
    with pytest.raises(KeyError):
        heads["c"]
    heads.clear()
    assert len(heads) == 0
    for wrong in (
        lambda nn: 3,
        lambda nn: [3],
        lambda nn: [(1, 2, 3)],
        lambda nn: {"a": 3},
        lambda nn: {"forward": nn.ReLU()},
    ):
        with pytest.raises(Exception, match=r"\S") as theirs:
            pytorch.nn.ModuleDict(wrong(pytorch.nn))
        with pytest.raises(theirs.type, match=r"\S"):
            nn.ModuleDict(wrong(nn))
