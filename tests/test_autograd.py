"""The graph: backward and grad, hooks, modes, users' own operations, checks, depth and memory."""

import gc
import threading
import weakref

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import autograd
from minitorch_cnn.autograd.function import once_differentiable
from minitorch_cnn.autograd.gradcheck import GradcheckError
from minitorch_cnn.device import observe


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def leaf(*values, t=mt, dtype="float64"):
    return t.tensor(values, dtype=getattr(t, dtype), requires_grad=True)


# backward


def test_gradients_accumulate_until_they_are_cleared(torch):
    for t in (mt, torch):
        x = leaf(1.0, 2.0, t=t)
        (x * x).sum().backward()
        first = x.grad
        (x * 3).sum().backward()
        assert x.grad is first
        assert x.grad.tolist() == [5, 7]
        x.grad = None
        x.sum().backward()
        assert x.grad.tolist() == [1, 1]


def test_a_tensor_used_twice_receives_both_gradients(torch):
    for t in (mt, torch):
        x = leaf(2.0, t=t)
        y = x * x
        (y * x + y + x.sum()).backward()
        assert x.grad.tolist() == [3 * 4 + 2 * 2 + 1]


def test_backward_of_vectors_takes_the_gradient_of_the_result(torch):
    for t in (mt, torch):
        x = leaf(1.0, 2.0, t=t)
        (x * x).backward(t.tensor([1.0, 10.0]))  # of another type, which is cast
        assert x.grad.tolist() == [2, 40]
        assert x.grad.dtype is t.float64
        autograd_of = mt.autograd if t is mt else torch.autograd
        autograd_of.backward([x * 2, x.sum()], [t.ones(2, dtype=t.float64), None])
        assert x.grad.tolist() == [5, 43]


def test_the_graph_serves_once_unless_retained(torch):
    for t in (mt, torch):
        x = leaf(1.0, 2.0, t=t)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.tolist() == [4, 8]
        with pytest.raises(RuntimeError, match="second time"):
            y.backward()
        with pytest.raises(RuntimeError, match="second time"):
            t.autograd.grad(y, x)


def test_backward_with_inputs_leaves_others_alone(torch):
    for t in (mt, torch):
        x, w = leaf(1.0, t=t), leaf(2.0, t=t)
        y = x * w
        (y * y).sum().backward(inputs=[w, y])
        assert x.grad is None
        assert w.grad.tolist() == [4]
        assert y.grad.tolist() == [4]
        with pytest.raises(RuntimeError):
            (x * w).sum().backward(inputs=[])
        with pytest.raises(RuntimeError):
            (x * w).sum().backward(inputs=[t.ones(1)])


def backward_errors(t):
    x = leaf(1.0, 2.0, t=t)
    return {
        "no gradient for a vector": lambda: (x * 2).backward(),
        "nothing requires grad": lambda: t.ones(()).backward(),
        "wrong shape": lambda: (x * 2).backward(t.ones(3)),
        "integers": lambda: t.tensor(1).backward(),
        "too few": lambda: t.autograd.backward([x * 2, x], [t.ones(2)]),
        "grad of a constant": lambda: t.autograd.grad(x.sum(), t.ones(2)),
        "grad of something unused": lambda: t.autograd.grad(x.sum(), leaf(1.0, t=t)),
        "hook on a constant": lambda: t.ones(2).register_hook(print),
        "retain_grad of a constant": lambda: t.ones(2).retain_grad(),
        "own grad": lambda: setattr(x, "grad", x),
        "grad of another shape": lambda: setattr(x, "grad", t.ones(3, dtype=t.float64)),
        "grad of another type": lambda: setattr(x, "grad", t.ones(2)),
    }


@pytest.mark.parametrize("name", backward_errors(mt))
def test_what_backward_refuses(torch, name):
    for t in (torch, mt):
        with pytest.raises(RuntimeError):
            backward_errors(t)[name]()


# grad


def test_grad_returns_gradients_and_changes_none(torch):
    for t in (mt, torch):
        x, w, unused = leaf(3.0, t=t), leaf(2.0, t=t), leaf(1.0, t=t)
        y = x * x * w
        gx, gw = t.autograd.grad(y.sum(), [x, w], retain_graph=True)
        assert (gx.tolist(), gw.tolist()) == ([12], [9])
        assert x.grad is None
        assert not gx.requires_grad
        assert t.autograd.grad(y.sum(), [unused], allow_unused=True, retain_graph=True) == (None,)
        (g,) = t.autograd.grad(y, [unused], t.ones(1), materialize_grads=True)
        assert g.tolist() == [0]
        with pytest.raises(ValueError, match="allow_unused"):
            t.autograd.grad(y, x, allow_unused=False, materialize_grads=True)


@pytest.mark.parametrize(
    ("asked", "launched"),
    [
        ("x", ["relu_grad", "conv2d_input_grad", "conv2d_input_grad"]),
        ("w", ["relu_grad", "conv2d_weight_grad"]),
        ("v", ["relu_grad", "conv2d_input_grad", "conv2d_weight_grad"]),
        ("xv", ["relu_grad", "conv2d_input_grad", "conv2d_input_grad", "conv2d_weight_grad"]),
    ],
)
def test_of_gradients_only_those_that_lead_to_what_is_asked_for_are_computed(asked, launched):
    shapes = {"x": (2, 3, 5, 5), "v": (4, 3, 3, 3), "w": (2, 4, 3, 3)}
    leaves = {name: mt.randn(*shape, requires_grad=True) for name, shape in shapes.items()}
    hidden = mt.nn.functional.conv2d(leaves["x"], leaves["v"])
    y = mt.relu(mt.nn.functional.conv2d(hidden, leaves["w"]))
    g = mt.randn(*y.shape)
    every = dict(zip("xvw", mt.autograd.grad(y, leaves.values(), g, retain_graph=True)))
    names = []
    before = observe(lambda device, name, *_: names.append(name.partition(".")[2]))
    try:
        found = mt.autograd.grad(y, [leaves[name] for name in asked], g)
    finally:
        observe(before)
    assert names == launched
    for name, gradient in zip(asked, found, strict=True):
        assert mt.equal(gradient, every[name])


def test_grad_of_a_result_neither_runs_nor_frees_what_made_it(torch):
    for t in (mt, torch):
        x = leaf(2.0, t=t)
        y = x * x
        (g,) = t.autograd.grad(y.exp().sum(), y)
        np.testing.assert_allclose(g.tolist(), np.exp([4.0]))
        y.sum().backward()
        assert x.grad.tolist() == [4]


def test_grad_of_the_output_itself_and_of_a_result_behind_another(torch):
    for t in (mt, torch):
        x = leaf(2.0, t=t)
        y = x * 3
        z = y * y
        assert t.autograd.grad(z, z, t.ones(1))[0].tolist() == [1]
        gx, gy = t.autograd.grad(z.sum(), [x, y])
        assert (gx.tolist(), gy.tolist()) == ([36], [12])


def test_create_graph_gives_higher_derivatives(torch):
    for t in (mt, torch):
        x = leaf(2.0, t=t)
        derivatives, y = [], x**4
        for _ in range(4):
            (y,) = t.autograd.grad(y.sum(), x, create_graph=True)
            derivatives.append(y.item())
        assert derivatives == [32, 48, 48, 24]


@pytest.mark.filterwarnings("ignore:Using backward")
def test_backward_with_create_graph_can_be_differentiated(torch):
    for t in (mt, torch):
        x = leaf(3.0, t=t)
        (x**3).sum().backward(create_graph=True)
        first = x.grad
        assert first.requires_grad
        x.grad = None
        (first * first).sum().backward()
        assert x.grad.tolist() == [2 * 27 * 18]


# Whose memory a gradient is


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("create_graph", [False, True])
def test_no_two_gradients_share_memory(create_graph):
    a, b, c = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    total = a + b
    total.retain_grad()
    c_view = c.view(2, 1).t()[0]
    given = mt.ones(2, dtype=mt.float64)
    (total + c_view).backward(given, create_graph=create_graph)
    grads = [given, a.grad, b.grad, c.grad, total.grad]
    for i, g in enumerate(grads):
        for other in grads[i + 1 :]:
            assert not np.shares_memory(g.detach().numpy(), other.detach().numpy())
    a.backward(given, create_graph=create_graph)
    assert given.tolist() == [1, 1]


def test_gradients_of_sums_can_be_written():
    x = leaf(1.0, 2.0)
    x.sum().backward()
    x.grad.mul_(2)
    x.grad[0] = 7.0
    assert x.grad.tolist() == [7, 2]


def test_what_a_hook_kept_is_not_changed_by_later_gradients():
    x, kept = leaf(1.0, 2.0), []
    x.register_hook(kept.append)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert [g.tolist() for g in kept] == [[2, 2], [3, 3]]
    assert x.grad.tolist() == [5, 5]


def test_a_gradient_the_user_assigned_is_added_to():
    x, mine = leaf(1.0), mt.full((1,), 10.0, dtype=mt.float64)
    x.grad = mine
    (x * 2).sum().backward()
    assert x.grad is mine
    assert mine.tolist() == [12]


# Leaves, detach, retain_grad, hooks


def test_what_is_a_leaf(torch):
    for t in (mt, torch):
        x, plain = leaf(1.0, t=t), t.ones(1)
        y = x * 2
        flags = [z.is_leaf for z in (x, plain, plain * 2, y, y.detach(), x.detach(), y.data)]
        assert flags == [True, True, True, False, True, True, True]
        assert y.grad_fn is not None
        assert x.grad_fn is None
        assert y.detach().requires_grad is False
        y.detach_()
        assert y.is_leaf
        assert not y.requires_grad


def test_retain_grad_keeps_the_gradient_of_a_result(torch):
    for t in (mt, torch):
        x = leaf(1.0, 2.0, t=t)
        y = x * 3
        y.retain_grad()
        (y * y).sum().backward(retain_graph=True)
        assert y.grad.tolist() == [6, 12]
        (y * y).sum().backward()
        assert y.grad.tolist() == [12, 24]
        x.retain_grad()


def test_hooks_see_and_replace_gradients(torch):
    for t in (mt, torch):
        x, seen = leaf(1.0, 2.0, t=t), []
        y = x * 3
        y.register_hook(lambda g, seen=seen: seen.append(g.tolist()))
        y.register_hook(lambda g: g * 10)
        handle = y.register_hook(lambda g: g + 1)
        x.register_hook(lambda g: -g)
        y.sum().backward(retain_graph=True)
        assert seen == [[1, 1]]
        assert x.grad.tolist() == [-33, -33]
        handle.remove()
        handle.remove()
        x.grad = None
        y.sum().backward()
        assert x.grad.tolist() == [-30, -30]


def test_hooks_of_leaves_see_the_whole_gradient_once(torch):
    for t in (mt, torch):
        x, seen = leaf(2.0, t=t), []
        x.register_hook(lambda g, seen=seen: seen.append(g.tolist()))
        (x * x + x).sum().backward()
        assert seen == [[5]]
        t.autograd.grad((x * x).sum(), x)
        assert seen == [[5], [4]]


def test_hooks_that_return_nonsense(torch):
    for t in (mt, torch):
        x = leaf(1.0, 2.0, t=t)
        for error, hook in ((RuntimeError, lambda g: g[:1]), (TypeError, lambda g: 1.0)):
            y = x * 2
            y.register_hook(hook)
            with pytest.raises(error):
                y.sum().backward()


# Modes


def modes_seen(t):
    x, seen = leaf(1.0, t=t), []
    note = lambda: seen.append((t.is_grad_enabled(), (x * 2).requires_grad))  # noqa: E731

    @t.no_grad()
    def unrecorded():
        note()

    @t.no_grad
    def unrecorded_too():
        note()

    @t.enable_grad()
    def recorded():
        note()

    @t.inference_mode()
    def inferred():
        note()

    @t.set_grad_enabled(False)
    def disabled():
        note()

    for function in (note, unrecorded, unrecorded_too, recorded, inferred, disabled, note):
        function()
    with t.no_grad():
        note()
        recorded()
        with t.enable_grad():
            note()
            unrecorded()
        note()
        with t.set_grad_enabled(True):
            note()
        with t.inference_mode():
            note()
        note()
    t.set_grad_enabled(False)
    note()
    t.set_grad_enabled(True)
    guard = t.no_grad()
    for _ in range(2):
        with guard:
            note()
    note()
    with pytest.raises(ZeroDivisionError), t.no_grad():
        raise ZeroDivisionError
    note()
    assert unrecorded.__name__ == "unrecorded"
    return seen


def test_modes_nest_and_decorate_as_pytorchs(torch):
    assert modes_seen(mt) == modes_seen(torch)


def test_modes_decorate_generators(torch):
    for t in (mt, torch):
        seen = []

        @t.no_grad()
        def generator(t=t, seen=seen):
            try:
                got = yield t.is_grad_enabled()
                seen.append((got, t.is_grad_enabled()))
                yield t.is_grad_enabled()
            except KeyError:
                seen.append(("thrown", t.is_grad_enabled()))
                yield t.is_grad_enabled()
            finally:
                seen.append(("closed", t.is_grad_enabled()))
            return "end"

        running = generator()
        assert next(running) is False
        assert t.is_grad_enabled()
        assert running.send("sent") is False
        assert t.is_grad_enabled()
        assert running.throw(KeyError("thrown")) is False
        with pytest.raises(StopIteration) as end:
            next(running)
        assert end.value.value == "end"
        assert seen == [("sent", False), ("thrown", False), ("closed", False)]
        other = generator()
        next(other)
        other.close()
        assert seen[-1] == ("closed", False)
        assert t.is_grad_enabled()


def test_modes_are_of_one_thread():
    seen = []
    with mt.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mt.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_may_walk_separate_graphs_at_once():
    def train(results, k):
        x = leaf(*range(1, 50))
        for _ in range(20):
            (x * x * k).sum().backward()
        results[k] = x.grad.tolist()

    results = {}
    threads = [threading.Thread(target=train, args=(results, k)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: [40.0 * k * v for v in range(1, 50)] for k in range(4)}


# Users' own operations


def functions(t):
    base = t.autograd.Function

    class Cube(base):
        @staticmethod
        def forward(ctx, x):
            assert not t.is_grad_enabled()
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

    class Affine(base):
        """With a context set up apart, constants, and gradients that nobody needs."""

        @staticmethod
        def forward(x, w, shift):
            return x * w + shift

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, w, _ = inputs
            ctx.save_for_backward(x, w, None)

        @staticmethod
        def backward(ctx, g):
            x, w, nothing = ctx.saved_tensors
            assert nothing is None
            gx = g * w if ctx.needs_input_grad[0] else None
            gw = g * x if ctx.needs_input_grad[1] else None
            return gx, gw, None

    class SortedTwice(base):
        """Several outputs, one of them without a gradient."""

        @staticmethod
        def forward(ctx, x):
            order = (x * 0).long()
            ctx.mark_non_differentiable(order)
            return x * 2, order, "text", x * 5

        @staticmethod
        def backward(ctx, g2, g_order, g_text, g5):
            assert g_text is None
            return g2 * 2 + g5 * 5

    class Sparse(base):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 1

        @staticmethod
        def backward(ctx, g1, g2):
            assert g2 is None
            return g1

    class Same(base):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    class Once(base):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        @(once_differentiable if t is mt else t.autograd.function.once_differentiable)
        def backward(ctx, g):
            return g * 2

    return Cube, Affine, SortedTwice, Sparse, Same, Once


def test_own_operations_are_pytorchs(torch):
    results = []
    for t in (mt, torch):
        cube, affine, several, sparse, same, once = functions(t)
        x, w = leaf(1.0, 2.0, t=t), leaf(3.0, 4.0, t=t)
        found = []
        y = cube.apply(x)
        (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
        (h,) = t.autograd.grad(g.sum(), x)
        found += [y.tolist(), g.tolist(), h.tolist()]
        affine.apply(x, w, 1.0).sum().backward()
        affine.apply(x.detach(), w, 1.0).sum().backward()
        found += [x.grad.tolist(), w.grad.tolist()]
        double, order, text, quintuple = several.apply(x)
        assert text == "text"
        assert not order.requires_grad
        (double + quintuple).sum().backward()
        found.append(x.grad.tolist())
        several.apply(x)[0].sum().backward()
        sparse.apply(x)[0].sum().backward()
        passed = same.apply(x)
        assert passed is not x
        assert x.is_leaf
        passed.sum().backward()
        once.apply(x).sum().backward()
        found.append(x.grad.tolist())
        assert not cube.apply(x.detach()).requires_grad
        with t.no_grad():
            assert not cube.apply(x).requires_grad
        results.append(found)
    assert results[0] == results[1]


def test_own_operations_pass_gradcheck():
    cube, affine, *_ = functions(mt)
    x, w = leaf(1.0, -2.0), leaf(3.0, 0.5)
    assert autograd.gradcheck(cube.apply, x)
    assert autograd.gradgradcheck(cube.apply, x)
    assert autograd.gradcheck(lambda x, w: affine.apply(x, w, 0.5), (x, w))
    assert autograd.gradgradcheck(lambda x, w: affine.apply(x, w, 0.5), (x, w))


def one_function(t, backward, forward=lambda ctx, x: x * 1):
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Wrong", (t.autograd.Function,), members)


@pytest.mark.parametrize(
    ("error", "backward"),
    [
        (RuntimeError, lambda ctx, g: g[:1].expand(1)),
        (RuntimeError, lambda ctx, g: (g, g)),
        (RuntimeError, lambda ctx, g: ()),
        (TypeError, lambda ctx, g: 1.0),
    ],
)
def test_wrong_gradients_of_own_operations_are_errors(torch, error, backward):
    for t in (torch, mt):
        x = leaf(1.0, 2.0, 3.0, t=t)
        with pytest.raises((error, RuntimeError) if t is torch else error):
            one_function(t, backward).apply(x).sum().backward()
        assert x.grad is None


def test_gradients_of_own_operations_are_fitted_to_their_arguments(torch):
    for t in (torch, mt):
        x = leaf(1.0, 2.0, t=t, dtype="float32")
        wide = one_function(t, lambda ctx, g, t=t: t.ones(3, 2, dtype=t.float64))
        wide.apply(x).sum().backward()
        assert x.grad.tolist() == [3, 3]
        assert x.grad.dtype is t.float32


def test_what_own_operations_saved_is_guarded(torch):
    for t in (torch, mt):
        cube, *_, once = functions(t)
        x = leaf(1.0, 2.0, t=t)
        copy = x * 1
        y = cube.apply(copy)
        copy.add_(1)
        with pytest.raises(RuntimeError, match="inplace"):
            y.sum().backward()
        z = cube.apply(x)
        z.sum().backward()
        with pytest.raises(RuntimeError, match="second time"):
            z.sum().backward()
        (g,) = t.autograd.grad((once.apply(x) ** 2).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            g.sum().backward()
        saver = one_function(t, None, lambda ctx, x: ctx.save_for_backward(1.0))
        with pytest.raises(TypeError):
            saver.apply(x)


# gradcheck


def test_gradcheck_finds_a_planted_error():
    x = leaf(1.0, -2.0, 0.5)
    wrong_slope = one_function(mt, lambda ctx, g: g * 1.001)
    with pytest.raises(GradcheckError, match="differences give 1"):
        autograd.gradcheck(wrong_slope.apply, x, rtol=1e-4)
    assert not autograd.gradcheck(wrong_slope.apply, x, rtol=1e-4, raise_exception=False)
    assert autograd.gradcheck(wrong_slope.apply, x, rtol=1e-2)

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    forgetful = one_function(mt, lambda ctx, g: g * 2 * ctx.saved_tensors[0].detach(), forward)
    assert autograd.gradcheck(forgetful.apply, x)
    with pytest.raises(GradcheckError):
        autograd.gradgradcheck(forgetful.apply, x)
    crossed = one_function(mt, lambda ctx, g: g.flip(0))
    with pytest.raises(GradcheckError):
        autograd.gradcheck(lambda x: crossed.apply(x * x), x)


def test_gradcheck_passes_what_is_right_and_refuses_what_it_cannot_judge():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert autograd.gradcheck(lambda x, w, k: (x * w * k, x.exp().sum()), (x, w, 2.0))
    assert autograd.gradgradcheck(lambda x, w: (x * w).sin(), (x, w))
    assert x.grad is None
    assert x.tolist() == [1, 2]
    with pytest.raises(ValueError, match="float64"):
        autograd.gradcheck(lambda x: x * 2, leaf(1.0, dtype="float32"))
    with pytest.raises(ValueError, match="requires grad"):
        autograd.gradcheck(lambda x: x * 2, mt.ones(2))


# Depth and memory


def test_chains_of_ten_thousand_operations():
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y + 1e-3
    y.sum().backward()
    assert x.grad.tolist() == [1]
    del y
    z = x
    for _ in range(10_000):
        z = z * 1.0
    del z  # without backward
    v = x
    for _ in range(10_000):
        v = v.view(1)
    del v
    w = x * 1
    for _ in range(10_000):
        w[0:1].add_(1e-3)
    w.sum().backward()
    assert x.grad.tolist() == [2]
    y = x
    for _ in range(10_000):
        y = y * 1.0
    (g,) = mt.autograd.grad(y.sum(), x, create_graph=True)
    del y, g


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


OPERATIONS = {
    "products": lambda x: (x * 2) * (x * 3),
    "outputs": lambda x: (x * 2).exp().sqrt(),
    "views": lambda x: (x * 2).view(1, -1).t()[0:1] * 3,
    "in place": lambda x: (x * 2).mul_(x).exp_(),
    "writes to views": lambda x: (x * 2)[0:1].mul_(3),
    "indexing": lambda x: (x * 2)[[0, 0]],
    "reductions": lambda x: (x * 2).amax(0) + (x * x).logsumexp(0) + (x * 3).norm(),
    "several outputs": lambda x: (x * 2).max(0).values,
    "own operation": lambda x: functions(mt)[0].apply(x * 2),
    "matmul": lambda x: (x * 2).reshape(1, -1) @ (x * 3),
    "relu": lambda x: (x * 2).relu(),
}


@pytest.mark.parametrize("ending", ["backward", "dropped", "grad", "create_graph"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_graphs_die_without_the_garbage_collector(no_collector, name, ending):
    # What compiles a kernel keeps, for the collector, the frames in which it was called for.
    first, x = leaf(1.0, 2.0), leaf(1.0, 2.0)
    mt.autograd.grad(OPERATIONS[name](first).sum(), first, create_graph=True)
    y = OPERATIONS[name](x).sum()
    nodes, stack = [], [y.grad_fn]
    while stack:
        node = stack.pop()
        nodes.append(weakref.ref(node))
        stack += [n for n, _ in node.next_functions if n is not None]
    del node, stack
    assert len(nodes) >= 3
    if ending == "backward":
        y.backward()
    elif ending == "grad":
        mt.autograd.grad(y, x)
    elif ending == "create_graph":
        mt.autograd.grad(y, x, create_graph=True)
    del y
    assert [node() for node in nodes] == [None] * len(nodes)


def test_backward_lets_go_of_what_was_saved_though_the_result_lives(no_collector):
    x = leaf(1.0, 2.0)
    factor = x * 2
    saved = weakref.ref(factor)
    y = (factor * factor).exp().sum()
    del factor
    assert saved() is not None
    y.backward()
    assert saved() is None
    assert y.requires_grad


def test_retained_gradients_do_not_keep_results_alive(no_collector):
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    gone = weakref.ref(y)
    z = (y * 3).sum()
    del y
    z.backward()
    assert gone() is None
    assert x.grad.tolist() == [6]


def test_second_gradients_of_batch_norm_count_every_path_once():
    """Where batch_norm's own gradient depends on its input by another path, too: differences of
    first gradients say what the second ones are, and so on up to the third."""
    generator = np.random.default_rng(0)
    values, way = generator.normal(size=(2, 4, 3, 5))
    weight = mt.tensor([1.5, -0.5, 2.0], dtype=mt.float64, requires_grad=True)

    def losses(x):
        y = mt.nn.functional.batch_norm(x * x + x, None, None, weight, None, True)
        loss = (y * y * (x * x + x)).sum()
        yield loss
        for _ in range(2):
            (g,) = mt.autograd.grad(loss, x, create_graph=True)
            loss = (g * g).sum()
            yield loss

    x = mt.tensor(values, dtype=mt.float64, requires_grad=True)
    step = 1e-6
    ends = [losses(mt.tensor(values + s * way).requires_grad_()) for s in (step, -step)]
    for loss, up, down in zip(losses(x), *ends, strict=True):
        (g,) = mt.autograd.grad(loss, x, retain_graph=True)
        expected = (up.item() - down.item()) / (2 * step)
        assert (g.numpy() * way).sum() == pytest.approx(expected, rel=1e-6)
