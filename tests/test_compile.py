"""Recorded launches, repeated, against the function that they were recorded from."""

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import minitorch_cnn as mt
import minitorch_cnn.nn.functional as F
from minitorch_cnn import nn, optim
from minitorch_cnn.device import observe
from minitorch_cnn.plan import fuse

from .rows import ROWS
from .test_ops import gradients, results


@pytest.fixture(autouse=True)
def only_rules_that_keep_bits(monkeypatch):
    """Replayed steps are compared with eager ones to the bit."""
    monkeypatch.setattr("minitorch_cnn.plan.fuse.REORDERING", ())


def same(actual, expected):
    """Equal to the bit, NaN and the sign of zero included."""
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert a.dtype is b.dtype
            a, b = a.detach().numpy(), b.detach().numpy()
            np.testing.assert_array_equal(np.ascontiguousarray(a), np.ascontiguousarray(b))


def images(batch, seed=0, channels=3, size=32):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, channels, size, size), np.float32)
    return mt.from_numpy(x), mt.from_numpy(rng.integers(0, 10, batch))


# Every function in the table


def check_repeating(row, reached):
    """Compare a row's calls and gradients with their repetition, if they reach new kernels."""

    @settings(max_examples=3, phases=[Phase.generate], database=None)
    @given(row.cases, st.sampled_from([np.float32, np.float64]))
    def check(case, dtype):
        def drawn(scale):
            return [
                mt.from_numpy(np.array(a * scale, dtype) if a.dtype == np.float64 else a.copy())
                for a in case.arrays
            ]

        def run(*given_tensors):
            inputs = [
                t.clone().requires_grad_(array.dtype == np.float64)
                for array, t in zip(case.arrays, given_tensors)
            ]
            outputs = results(mt, row, case, inputs, dtype)
            return [y.detach() for y in outputs], gradients(mt, outputs, inputs)

        launched = set()
        before = observe(lambda device, name, *_: launched.add(name))
        try:
            run(*drawn(1.0))
        finally:
            observe(before)
        if launched <= reached:
            return
        repeated = mt.compile(run)
        try:
            for scale in (1.0, 1.0, 0.5):
                found, grads = repeated(*drawn(scale))
                expected, expected_grads = run(*drawn(scale))
                same(found, expected)
                same(grads, expected_grads)
        except RuntimeError as error:
            if "the value of a tensor is read" not in str(error):  # then it can't be recorded
                raise
        reached.update(launched)

    check()


def test_every_kernel_in_the_table_repeats():
    reached = set()
    for row in ROWS:
        try:
            check_repeating(row, reached)
        except Exception as error:
            raise AssertionError(f"{row.name}: repeated, it differs") from error
    assert len(reached) > 150


# Training steps


class Net(nn.Module):
    """The notebook's kind of network, with other sizes and layers as asked for."""

    def __init__(
        self, channels=6, kernel=5, pool=nn.MaxPool2d, norm=False, dropout=0.0, act=F.relu
    ):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, channels, kernel), nn.Conv2d(channels, 16, kernel)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.pool, self.drop, self.act = pool(2, 2), nn.Dropout(dropout), act
        side = ((32 - kernel + 1) // 2 - kernel + 1) // 2
        self.fc1, self.fc2 = nn.Linear(16 * side**2, 40), nn.Linear(40, 10)

    def forward(self, x):
        x = self.pool(self.act(self.norm(self.conv1(x))))
        x = self.pool(self.act(self.conv2(x)))
        return self.fc2(self.drop(F.gelu(self.fc1(mt.flatten(x, 1)))))


class Trainer:
    """A network in training; `step` is one step of it."""

    def __init__(self, make=Net, optimizer=optim.Adam, seed=0, **options):
        mt.manual_seed(seed)
        self.net = make()
        self.optimizer = optimizer(self.net.parameters(), **(options or {"lr": 1e-3}))

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        tensors = [*self.net.state_dict().values()]
        tensors += [p.grad for p in self.net.parameters()]
        for entries in self.optimizer.state.values():
            tensors += [v for v in entries.values() if isinstance(v, mt.Tensor)]
        return tensors


def assert_same_training(make_trainer, batches, after_step=None):
    """Trains twice, step by step and repeated; all state must agree to the bit."""
    found = []
    for compiled in (False, True):
        trainer = make_trainer()
        mt.manual_seed(1)
        step = mt.compile(trainer.step) if compiled else trainer.step
        losses = []
        for i, (x, y) in enumerate(batches):
            losses.append(step(x, y))
            if after_step:
                after_step(trainer, i)
        found.append([*losses, *trainer.state()])
    same(*found)


NETS = {
    "notebook": {},
    "average pooling": {"pool": nn.AvgPool2d},
    "batch norm": {"norm": True, "channels": 8, "kernel": 3},
    "dropout": {"dropout": 0.5},
    "tanh": {"act": mt.tanh},
    "pool before relu": {
        "pool": lambda k, s: nn.Sequential(nn.MaxPool2d(k, s), nn.ReLU()),
        "act": lambda x: x,
    },
    "relu in place": {"act": lambda x: F.relu(x, inplace=True)},
}


@pytest.mark.parametrize("options", NETS.values(), ids=NETS)
def test_training_repeats_to_the_bit(options):
    batches = [images(4, seed) for seed in range(5)]
    assert_same_training(lambda: Trainer(lambda: Net(**options)), batches)


OPTIMIZERS = {
    "sgd": (optim.SGD, {"lr": 0.1}),
    "momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 1e-4}),
    "nesterov": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": (optim.Adam, {"lr": 1e-3, "amsgrad": True}),
    "adamw": (optim.AdamW, {"lr": 1e-3}),
}


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_repeats(kind, options):
    batches = [images(3, seed) for seed in range(6)]
    assert_same_training(lambda: Trainer(optimizer=kind, **options), batches)


@pytest.mark.parametrize("batch", [1, 7, 33])
def test_short_last_batches_have_plans_of_their_own(batch):
    batches = [images(n, seed) for seed, n in enumerate([8, 8, 8, batch, 8, batch])]
    assert_same_training(Trainer, batches)


def test_threads_do_not_change_bits():
    batches = [images(32, seed) for seed in range(4)]
    found = []
    before = mt.get_num_threads()
    try:
        for count in (1, 2):
            mt.set_num_threads(count)
            trainer = Trainer()
            step = mt.compile(trainer.step)
            found.append([step(x, y) for x, y in batches] + trainer.state())
    finally:
        mt.set_num_threads(before)
    same(*found)


def test_schedulers_work_unchanged():
    batches = [images(4, seed) for seed in range(6)]
    schedulers = {}

    def schedule(trainer, i):
        if i == 0:
            schedulers[trainer] = optim.lr_scheduler.StepLR(trainer.optimizer, 2, 0.1)
        schedulers[trainer].step()

    assert_same_training(Trainer, batches, schedule)
    rates = [s.get_last_lr() for s in schedulers.values()]
    assert rates[0] == rates[1]
    assert rates[0][0] == pytest.approx(1e-6)


def test_losses_follow_pytorch():
    torch = pytest.importorskip("torch")
    trainer = Trainer()
    step = mt.compile(trainer.step)

    class Peer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = torch.nn.Conv2d(3, 6, 5), torch.nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2 = torch.nn.Linear(400, 40), torch.nn.Linear(40, 10)

        def forward(self, x):
            g = torch.nn.functional
            x = g.max_pool2d(g.relu(self.conv1(x)), 2)
            x = g.max_pool2d(g.relu(self.conv2(x)), 2)
            return self.fc2(g.gelu(self.fc1(torch.flatten(x, 1))))

    peer = Peer()
    peer.load_state_dict(
        {k: torch.from_numpy(v.numpy().copy()) for k, v in trainer.net.state_dict().items()}
    )
    adam = torch.optim.Adam(peer.parameters(), lr=1e-3)
    for seed in range(20):
        x, y = images(16, seed)
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            peer(torch.from_numpy(x.numpy())), torch.from_numpy(y.numpy())
        )
        loss.backward()
        adam.step()
        assert abs(step(x, y).item() - loss.item()) < 1e-4


# What the plan is made of


def plans(compiled):
    return [plan for some in compiled._plans.values() for plan in some]


def test_relu_and_pooling_become_one_launch():
    trainer = Trainer()
    step = mt.compile(trainer.step)
    x, y = images(4)
    for _ in range(2):
        step(x, y)
    names = [launch.name for launch in plans(step)[0].launches]
    assert names.count("pool_pairs.max_pool_pairs") == 2
    assert names.count("pool_pairs.max_pool_pairs_grad") == 2
    assert not {"activation.relu", "activation.relu_grad", "pool.max_pool2d"} & {*names}


@pytest.mark.parametrize("inplace", [False, True])
def test_maxima_come_before_relu(inplace):
    """Of windows that overlap, with ties, NaN, and whole windows at or under 0."""
    numbers = np.float32([-1, -0.0, 0, 1, 1, np.nan, np.inf, -np.inf])

    def f(x, g):
        x.requires_grad_(False)
        w = mt.ones(1, requires_grad=True)
        h = x * w
        y = F.max_pool2d(F.relu(h, inplace=inplace), 3, stride=2, padding=1)
        return y.detach(), mt.autograd.grad(y, h if not inplace else w, g)[0]

    repeated = mt.compile(f)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.choice(numbers, (2, 3, 9, 8), p=[0.4, 0.1, 0.1, 0.3, 0.04, 0.02, 0.02, 0.02])
        g = rng.choice(numbers[:5], (2, 3, 5, 4))
        same(repeated(mt.from_numpy(x), mt.from_numpy(g)), f(mt.from_numpy(x), mt.from_numpy(g)))
    names = [launch.name for launch in plans(repeated)[0].launches]
    assert names.index("pool.max_pool2d") < names.index("activation.relu")
    assert names.index("activation.relu_grad") < names.index("pool.max_pool2d_grad")


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("size", "behind", "expected"),
    [
        ((9, 8), lambda y, x: y * x, (1, 0, 1)),
        ((9, 20), lambda y, x: F.avg_pool2d(y, 2), (1, 0, 1)),
        ((9, 7), lambda y, x: F.avg_pool2d(y, (2, 3)), (1, 0, 1)),
        ((9, 8), lambda y, x: F.avg_pool2d(y, 3, 2), (1, 0, 1)),  # windows overlap
        ((9, 8), lambda y, x: F.avg_pool2d(y, 2).sum() + y, (1, 0, 1)),  # y is needed
        ((1, 1), lambda y, x: y * x, (0, 0, 0)),
    ],
)
def test_batch_norm_and_relu_become_one_launch(size, behind, expected, inplace):
    norm = nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)

    def f(x):
        norm.zero_grad()
        x = x.clone().requires_grad_()
        y = behind(F.relu(norm(x * 1.0), inplace=inplace), x)
        (y * y).sum().backward()
        return [y.detach(), *[p.grad.clone() for p in (x, *norm.parameters())]]

    check_norms(f, (5, 3, *size), expected)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_batch_norm_and_a_sum_become_one_launch(inplace, late):
    """With that which is made later, where both operands come from one."""
    norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])

    def f(x):
        norms.zero_grad()
        x = x.clone().requires_grad_()
        other = mt.tanh(x)
        y = norms[0](x * 2.0)
        if late:
            other = norms[1](other)
        if inplace:
            y += other
        y = F.relu(y if inplace else y + other, inplace=inplace)
        (y * y).sum().backward()
        return [y.detach(), x.grad.clone(), *[p.grad.clone() for p in norms[0].parameters()]]

    check_norms(f, (5, 3, 7, 9), (0, 1, 0))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("change", ["nothing", "bias", "input", "held", "narrow", "small"])
def test_what_relu_left_of_batch_norm_is_made_again_for_a_convolution(change, affine, monkeypatch):
    width, size = (56 if change == "narrow" else 64), (24 if change == "small" else 48)
    norm, convs = nn.BatchNorm2d(64, affine=affine), nn.ModuleList([])
    convs.extend([nn.Conv2d(3, 64, 1), nn.Conv2d(64, width, 3, padding=1)])
    parameters = [*norm.parameters(), *convs.parameters()]

    def f(x):
        h = convs[0](x)
        y = F.relu(norm(h))
        z = convs[1](y)
        if change == "bias" and affine:
            with mt.no_grad():
                norm.bias.fill_(0.7)
        if change == "input":
            z = z + h
        result = mt.autograd.grad((z * z).mean(), parameters)
        return [*result, y.detach()] if change == "held" else [*result]

    def repetition():
        repeated = mt.compile(f)
        for seed in range(3):
            mt.manual_seed(seed)
            x, found = mt.randn(2, 3, size, size), []
            for function in (repeated, f):
                if affine:
                    nn.init.uniform_(norm.bias, generator=mt.Generator().manual_seed(seed))
                found.append(function(x))
            same(*found)
        return plans(repeated)[0]

    plan = repetition()
    kernels = [launch.name for launch in plan.launches]
    again = change in ("nothing", "input") or (change == "bias" and not affine)
    assert kernels.count("norm_relu.relu_of_normalised") == again
    if again:
        assert kernels[kernels.index("norm_relu.relu_of_normalised") + 1] == (
            "conv.conv2d_weight_grad"
        )
        monkeypatch.setattr(
            "minitorch_cnn.plan.compiled.made_again", lambda launches, roots: launches
        )
        assert plan.nbytes < repetition().nbytes


def test_batch_norm_whose_bias_changes_keeps_what_relu_saw():
    norm = nn.BatchNorm2d(3)

    def f(x):
        norm.zero_grad()
        with mt.no_grad():
            norm.bias.fill_(0.1)
        x = x.clone().requires_grad_()
        y = F.relu(norm(x * 1.0))
        with mt.no_grad():
            norm.bias.fill_(0.7)
        (y * y).sum().backward()
        return [y.detach(), x.grad.clone()]

    check_norms(f, (5, 3, 7, 9), (1, 0, 0))


def check_norms(f, shape, expected):
    """Compare a function with its repetition, and count the launches with batch norm in them."""
    repeated = mt.compile(f)
    for seed in range(3):
        mt.manual_seed(seed)
        x = mt.randn(*shape)
        same(repeated(x), f(x))
    names = [launch.name for launch in plans(repeated)[0].launches]
    kernels = "batch_norm_relu", "batch_norm_add_relu", "batch_norm_relu_grad"
    assert tuple([names.count(f"norm_relu.{k}") for k in kernels]) == expected


def test_sums_and_relu_write_over_what_nobody_reads(monkeypatch):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

    def f(x):
        h = net(x)
        y = F.relu(h + F.relu(h * 2))
        return mt.autograd.grad((y * y).sum(), [*net.parameters()])

    taken = []
    for change in (fuse.in_place, lambda program: None):
        monkeypatch.setattr(fuse, "in_place", change)
        repeated = mt.compile(f)
        for seed in range(3):
            x, _ = images(2, seed)
            same(repeated(x), f(x))
        (plan,) = plans(repeated)
        taken.append((plan.nbytes, len({a.root for x in plan.launches for a in fuse.slots(x)})))
    assert taken[0][0] < taken[1][0]
    assert taken[0][1] < taken[1][1] - 2


def test_maxima_that_are_written_stay_behind_relu():
    def f(x):
        w = mt.ones(1, requires_grad=True)
        h = x * w
        y = F.max_pool2d(F.relu(h), 3)
        with mt.no_grad():
            y.add_(1)
        return mt.autograd.grad((y * 2).sum(), h)[0]

    repeated = mt.compile(f)
    for seed in range(3):
        x, _ = images(2, seed)
        same([repeated(x)], [f(x)])
    names = [launch.name for launch in plans(repeated)[0].launches]
    assert names.index("activation.relu") < names.index("pool.max_pool2d")


def test_what_counts_batches_does_not_part_a_step():
    norm = nn.BatchNorm2d(3)

    @mt.compile
    def step(x):
        return norm(F.relu(x))

    expected = nn.BatchNorm2d(3)
    with mt.no_grad():
        for seed in range(3):
            x, _ = images(2, seed)
            same([step(x)], [expected(F.relu(x))])
    counts = [n.num_batches_tracked for n in (norm, expected)]
    same([norm.running_var, counts[0]], [expected.running_var, counts[1]])
    names = [launch.name for launch in plans(step)[0].launches]
    assert names.index("elementwise.add") < names.index("activation.relu")


def test_what_somebody_else_needs_is_not_fused_away():
    def f(x):
        r = F.relu(x)
        y, indices = F.max_pool2d(r, 2, return_indices=True)
        return r * 2, y, indices

    repeated = mt.compile(f)
    for seed in range(3):
        x, _ = images(2, seed)
        same(repeated(x), f(x))


@given(
    st.tuples(*[st.integers(1, 3)] * 2, st.integers(1, 9), st.integers(1, 20)),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_fused_pooling_equals_its_parts(shape, relu_first, seed):
    rng = np.random.default_rng(seed)
    shape = (*shape[:2], shape[2] + 1, 2 * shape[3])

    def f(x):
        x = x.clone().requires_grad_()
        z = x * 1.0
        y = F.max_pool2d(F.relu(z), 2) if relu_first else F.relu(F.max_pool2d(z, 2))
        (g,) = mt.autograd.grad((y * y).sum(), x)
        return y.detach(), g

    repeated = mt.compile(f)
    for _ in range(3):
        values = rng.integers(-3, 3, shape).astype(np.float32)  # with equal ones
        values[rng.random(shape) < 0.05] = math.nan
        values[rng.random(shape) < 0.05] = -math.inf
        x = mt.from_numpy(values)
        same(repeated(x), f(x))
    assert any(["max_pool_pairs" in launch.name for launch in plans(repeated)[0].launches])


@given(
    st.tuples(st.integers(1, 20), st.integers(1, 8), st.integers(1, 20)),
    st.sampled_from([3, 5]),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_a_pooled_convolution_has_its_gradients(sizes, kernel, padding, bias, seed):
    batch, channels, outputs = sizes
    height, width = (2 * seed % 9 + 6 + edge for edge in (seed % 2, 0))
    conv = nn.Conv2d(channels, outputs, kernel, padding=padding, bias=bias).double()
    shift = mt.zeros(height, 1, dtype=mt.float64, requires_grad=True)

    def f(x):
        conv.zero_grad()
        shift.grad = None
        y = F.max_pool2d(F.relu(conv(x + shift)), 2)
        (y * y + y).sum().backward()  # of which something reaches what relu cut off, too
        return [p.grad.clone() for p in (*conv.parameters(), shift)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuse, "REORDERING", (fuse.gradients_of_a_pooled_convolution,))
        repeated = mt.compile(f)
        for i in range(3):
            mt.manual_seed(100 * seed + i)
            width += (width + 2 * padding - kernel + 1) % 2
            x = mt.randn(batch, channels, height, width, dtype=mt.float64)
            for ours, theirs in zip(repeated(x), f(x), strict=True):
                np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 1e-12, 1e-12)
    names = [launch.name for launch in plans(repeated)[0].launches]
    if 4 <= channels * kernel <= 64:
        many = outputs >= fuse.SHARING
        assert "conv_sparse.weight_grad" in names
        assert ("conv_sparse.input_grad" in names) == many
        assert ("pool_pairs.max_pool_pairs_grad" in names) == (not many)


def test_memory_is_laid_out_anew_and_less_than_eager_keeps():
    def f(x):
        for _ in range(20):
            x = mt.tanh(x) + 1
        return x

    repeated = mt.compile(f)
    x = mt.randn(100, 100)
    same([repeated(x), repeated(x)], [f(x), f(x)])
    assert plans(repeated)[0].nbytes <= 2 * (x.nbytes + 64)


def test_steps_leave_memory_where_it_was():
    trainer = Trainer()
    step = mt.compile(trainer.step)
    x, y = images(2)
    for _ in range(5):
        step(x, y)
    tracemalloc.start()  # knows arrays' memory, too
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            step(x, y)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200 * 8  # less than a number each step


def test_explain_lists_launches():
    trainer = Trainer()
    step = mt.compile(trainer.step)
    text = step.explain(*images(2), repeats=2)
    lines = text.splitlines()
    assert lines[0].split() == ["kernel", "shapes", "bytes", "us", "share"]
    assert lines[-1].startswith("together")
    launches = plans(step)[0].launches
    assert [line.split()[0] for line in lines[1:-1]] == [launch.name for launch in launches]
    shares = [float(line.split()[-1].rstrip("%")) for line in lines[1:-1]]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


class Changing(nn.Module):
    def forward(self, x):
        self.scale = nn.Parameter(mt.ones(3))
        return (x * self.scale).detach()


LINE = mt.ones(3)
NOT_REPEATED = {
    "what decides the launches, a module's structure, say, changes": (Changing(), [LINE]),
    "arguments or results have history": (nn.Linear(3, 2), [LINE]),
    "an argument is not contiguous": (mt.add, [mt.ones(2, 3).t(), 1]),
    "an argument that requires grad is a view": (mt.neg, [mt.ones(3).requires_grad_().view(3)]),
    "arguments share memory": (mt.add, [LINE[:2], LINE[1:]]),
    "an argument can't be compared": (lambda x, other: x + 1, [LINE, bytearray()]),
}


@pytest.mark.parametrize(("why", "call"), NOT_REPEATED.items(), ids=list(NOT_REPEATED))
def test_explain_says_why_a_call_is_not_repeated(why, call):
    function, arguments = call
    with pytest.raises(RuntimeError, match=f"not repeated but run anew: {why}"):
        mt.compile(function).explain(*arguments, repeats=1)
