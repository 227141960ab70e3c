"""Views and writes in place: memory is shared where PyTorch shares it, gradients are PyTorch's, and
what PyTorch refuses is refused."""

import operator

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import minitorch_cnn as mt


@pytest.fixture(scope="module", autouse=True)
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


# Which functions return views

VIEWS = {
    "view": lambda x: x.view(6, 4),
    "view -1": lambda x: x.view(-1),
    "view_as": lambda x: x.view_as(x.reshape(4, 6)),
    "reshape": lambda x: x.reshape(4, -1),
    "reshape same": lambda x: x.reshape(2, 3, 4),
    "reshape turned": lambda x: x.transpose(0, 1).reshape(3, 8),
    "reshape turned, viewable": lambda x: x.transpose(0, 1).reshape(3, 2, 2, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "transpose": lambda x: x.transpose(0, -1),
    "t": lambda x: x[0].t(),
    "T": lambda x: x[0].T,
    "mT": lambda x: x.mT,
    "movedim": lambda x: x.movedim(0, -1),
    "flatten": lambda x: x.flatten(1),
    "flatten turned": lambda x: x.transpose(0, 1).flatten(),
    "unflatten": lambda x: x.unflatten(2, (2, -1)),
    "squeeze": lambda x: x[:, :1].squeeze(),
    "squeeze 1": lambda x: x[:, :1].squeeze(1),
    "squeeze none": lambda x: x.squeeze(0),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "expand": lambda x: x[:, :1].expand(2, 5, 4),
    "expand front": lambda x: x.expand(3, -1, -1, -1),
    "expand_as": lambda x: x[:1].expand_as(x),
    "broadcast_to": lambda x: x[..., :1].broadcast_to((2, 3, 7)),
    "chunk": lambda x: x.chunk(2, 1)[1],
    "split": lambda x: x.split(3, 2)[1],
    "split sizes": lambda x: x.split([1, 3], -1)[1],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "unbind": lambda x: x.unbind(1)[2],
    "select": lambda x: x.select(2, 1),
    "index int": lambda x: x[1],
    "index slices": lambda x: x[:, ::2, None, 1:],
    "index ellipsis": lambda x: x[..., 0],
    "index tensor": lambda x: x[[0, 1]],
    "index mask": lambda x: x[x > 3],
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "contiguous": lambda x: x.contiguous(),
    "contiguous turned": lambda x: x.transpose(0, 1).contiguous(),
    "clone": lambda x: x.clone(),
    "to same": lambda x: x.to(x.dtype),
    "flip": lambda x: x.flip(0),
}


@pytest.mark.parametrize("name", VIEWS)
def test_memory_is_shared_where_pytorch_shares_it(torch, name):
    pair = []
    for t in (torch, mt):
        x = t.arange(24.0).reshape(2, 3, 4)
        y = VIEWS[name](x)
        before = (tuple(y.shape), y.stride(), y.is_contiguous(), y.tolist())
        x.add_(100)
        pair.append((*before, y.tolist(), y._base is not None))
    ours, theirs = pair[1], pair[0]
    assert ours[0] == theirs[0]
    assert ours[2:5] == theirs[2:5]
    for n, a, b in zip(ours[0], ours[1], theirs[1], strict=True):
        assert n == 1 or a == b, "strides"


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (RuntimeError, lambda x: x.view(5, 5)),
        (RuntimeError, lambda x: x.view(-1, -1)),
        (RuntimeError, lambda x: x.view(-1, 7)),
        (RuntimeError, lambda x: x.view(-2, 12)),
        (RuntimeError, lambda x: x.transpose(0, 1).view(-1)),
        (RuntimeError, lambda x: x.reshape(23)),
        (RuntimeError, lambda x: x.permute(0, 1)),
        (RuntimeError, lambda x: x.permute(0, 1, 1)),
        (IndexError, lambda x: x.permute(0, 1, 3)),
        (IndexError, lambda x: x.transpose(0, 3)),
        (RuntimeError, lambda x: x.t()),
        (RuntimeError, lambda x: x.flatten(2, 1)),
        (IndexError, lambda x: x.flatten(3)),
        (IndexError, lambda x: x.squeeze(3)),
        (IndexError, lambda x: x.unsqueeze(4)),
        (RuntimeError, lambda x: x.expand(2, 3, 5)),
        (RuntimeError, lambda x: x.expand(3, 4)),
        (RuntimeError, lambda x: x.expand(-1, 2, 3, 4)),
        (RuntimeError, lambda x: x.split([1, 1], 1)),
        (RuntimeError, lambda x: x.split(-1)),
        (RuntimeError, lambda x: x.chunk(0)),
        (IndexError, lambda x: x.chunk(2, 3)),
        (RuntimeError, lambda x: x.narrow(0, 1, 2)),
        (IndexError, lambda x: x.unbind(3)),
        (IndexError, lambda x: x.select(0, 2)),
        (RuntimeError, lambda x: x.unflatten(2, (3, -1))),
    ],
)
def test_shapes_that_do_not_fit_are_errors(torch, error, call):
    for t in (torch, mt):
        with pytest.raises(error):
            call(t.arange(24.0).reshape(2, 3, 4))


# Random programs

SHAPE = (2, 3, 4)


def first_half(x, k):
    """A chunk; PyTorch forbids writes to those, so there a part that is none."""
    if isinstance(x, mt.Tensor):
        return x.chunk(2, k % x.ndim)[0]
    return x.narrow(k % x.ndim, 0, (x.shape[k % x.ndim] + 1) // 2)


SHAPED = {
    "narrow": lambda x, k: x.narrow(k % x.ndim, 1, x.shape[k % x.ndim] - 1),
    "step": lambda x, k: x[(slice(None),) * (k % x.ndim) + (slice(k % 2, None, 2),)],
    "select": lambda x, k: x.select(k % x.ndim, -1),
    "transpose": lambda x, k: x.transpose(0, k % x.ndim),
    "unsqueeze": lambda x, k: x.unsqueeze(k % (x.ndim + 1)),
    "squeeze": lambda x, k: x.squeeze(),
    "reshape": lambda x, k: x.reshape(-1),
    "new row": lambda x, k: x[None, ...],
    "chunk": first_half,
}
WRITES = {
    "mul_": lambda x, y: x.mul_(y),
    "add_": lambda x, y: x.add_(y, alpha=0.5),
    "div_": lambda x, y: x.div_(y * y + 1),
    "copy_": lambda x, y: x.copy_(y),
    "fill_": lambda x, y: x.fill_(0.25),
    "zero_": lambda x, y: x.zero_(),
    "exp_": lambda x, y: x.clamp_(max=1).exp_(),
    "sin_": lambda x, y: x.sin_(),
    "sigmoid_": lambda x, y: x.sigmoid_(),
    "relu_": lambda x, y: x.relu_(),
    "clamp_": lambda x, y: x.clamp_(-0.4, 0.6),
    "setitem": lambda x, y: x.__setitem__(..., y),
    "setitem part": lambda x, y: x.__setitem__(slice(0, 1), y if x.ndim == 0 else y[:1] * 2),
    "mask": lambda x, y: x.__setitem__(x.detach() > 0.3, -0.1),
    "masked_fill_": lambda x, y: x.masked_fill_(y.detach() > 0.3, 0.7),
    "iadd": lambda x, y: operator.iadd(x, y),
}

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("view"), st.sampled_from(sorted(SHAPED)), st.integers(0, 9), st.integers(0, 5)
        ),
        st.tuples(
            st.just("write"), st.sampled_from(sorted(WRITES)), st.integers(0, 9), st.integers(0, 9)
        ),
        st.tuples(
            st.just("op"), st.sampled_from(["mul", "sin"]), st.integers(0, 9), st.integers(0, 9)
        ),
        st.tuples(st.just("no_grad write"), st.just("mul_"), st.integers(0, 9), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=9,
)


def run(t, program, arrays, recorded):
    """Every tensor of a program and the gradients of its leaves, or the error that ended it."""
    leaves = [t.tensor(a, dtype=t.float64, requires_grad=r) for a, r in zip(arrays, recorded)]
    # The first two are leaves, not to be written to where they require grad: their copies are.
    pool = [leaf * 1 for leaf in leaves]
    for kind, name, i, j in program:
        x, other = pool[i % len(pool)], pool[j % len(pool)]
        if kind == "view":
            if x.ndim and x.numel():
                pool.append(SHAPED[name](x, j))
        elif kind == "op":
            pool.append(x * x if name == "mul" else x.sin())
        else:
            value = other.reshape(-1)[:1].sum() + leaves[0].reshape(-1)[: x.numel()].sum()
            value = value.expand(x.shape) if x.ndim else value
            if kind == "write":
                WRITES[name](x, value)
            else:
                with t.no_grad():
                    x.mul_(0.5)
    loss = sum([(x * (k + 1)).sin().sum() for k, x in enumerate(pool) if x.numel()])
    values = [x.detach().tolist() for x in pool]
    flags = [x.requires_grad for x in pool]
    try:
        if loss.requires_grad:
            loss.backward()
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        return values, flags, "modified"
    return values, flags, [None if leaf.grad is None else leaf.grad.tolist() for leaf in leaves]


@settings(max_examples=200)
@given(steps, st.integers(0, 2**32 - 1), st.tuples(st.booleans(), st.booleans()))
def test_random_programs_of_views_and_writes_have_pytorchs_gradients(program, seed, recorded):
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(seed)
    arrays = [generator.normal(size=SHAPE) for _ in range(2)]
    try:
        theirs = run(torch, program, arrays, recorded)
    except RuntimeError as error:
        # It takes a view for a leaf whose base came to require gradients after the view was made.
        if "a leaf Variable that requires grad" not in str(error):
            raise
        reject()
    ours = run(mt, program, arrays, recorded)
    for a, b in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert ours[1] == theirs[1]
    if theirs[2] == "modified" or ours[2] == "modified":
        # PyTorch refuses some that are right here: what an op reads of its own target is kept.
        assert theirs[2] == "modified"
        return
    for a, b in zip(ours[2], theirs[2], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_writes_to_one_of_several_views_reach_the_whole():
    """PyTorch forbids them where gradients are wanted; here they are as any others."""
    x = mt.ones(4, requires_grad=True)
    y = x * 1
    first, second = y.split(2)
    first.mul_(3)
    y.unbind()[3].mul_(5)
    (y.sum() + second.sum()).backward()
    assert y.tolist() == [3, 3, 1, 5]
    assert x.grad.tolist() == [3, 3, 2, 10]


def test_a_long_chain_of_views_follows_a_write():
    x = mt.ones(2, requires_grad=True)
    y = x * 1
    view = y
    for _ in range(5000):
        view = view.view(2)
    y.mul_(3)
    view.sum().backward()
    assert x.grad.tolist() == [3, 3]


# What is refused


def refused_writes(t):
    x = t.ones(3, requires_grad=True)
    w = t.full((3,), 2.0, requires_grad=True)
    plain = t.zeros(3)
    made = x * 1
    with t.no_grad():
        unrecorded, of_plain, of_made = x[:2], plain[:2], made[:2]
    wide = t.ones(1).expand(3)

    def write_the_base():
        base = t.zeros(3)
        with t.no_grad():
            view = base[:2]
        base.mul_(w)
        return view.sum() + view.grad_fn  # where PyTorch notices

    return {
        "leaf": lambda: x.mul_(2),
        "leaf, operator": lambda: operator.iadd(x, 1),
        "leaf, setitem": lambda: x.__setitem__(0, 1.0),
        "leaf, copy_": lambda: x.copy_(w),
        "leaf, zero_": lambda: x.zero_(),
        "leaf, relu_": lambda: x.relu_(),
        "leaf, uniform_": lambda: x.uniform_(),
        "view of leaf": lambda: x[:2].mul_(2),
        "view of view of leaf": lambda: x[:2].view(2, 1).mul_(2),
        "view of leaf, setitem": lambda: x.view(3, 1).__setitem__(0, 1.0),
        "no_grad view of leaf": lambda: unrecorded.mul_(2),
        "no_grad view of plain": lambda: of_plain.mul_(w[:2]),
        "no_grad view of result": lambda: of_made.mul_(2),
        "base of no_grad view": write_the_base,
        "expanded": lambda: wide.add_(1),
        "expanded part": lambda: wide[:2].mul_(2),
        "float into int": lambda: t.arange(3).add_(0.5),
        "float tensor into int": lambda: t.arange(3).mul_(plain),
        "int into bool": lambda: t.ones(3, dtype=t.bool).add_(1),
        "true division of ints": lambda: t.arange(3).div_(2),
        "exp_ of ints": lambda: t.arange(3).exp_(),
        "growing": lambda: t.ones(1, 3).add_(t.ones(2, 3)),
        "copy_ growing": lambda: plain.copy_(t.ones(2, 3)),
        "detach_ of view": lambda: made[:2].detach_(),
        "fill_ with vector": lambda: plain.fill_(t.ones(3)),
        "fill_ beyond range": lambda: t.zeros(2, dtype=t.uint8).fill_(300),
        "masked_fill_ with numbers": lambda: plain.masked_fill_(t.arange(3), 1),
    }


@pytest.mark.parametrize("name", refused_writes(mt))
def test_writes_that_pytorch_refuses_are_refused(torch, name):
    for t in (torch, mt):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            refused_writes(t)[name]()
        if t is mt:
            assert isinstance(caught.value, RuntimeError)


def allowed_writes(t):
    x = t.ones(3, requires_grad=True)
    plain = t.zeros(3)
    with t.no_grad():
        x.mul_(2)
        x[0] = 5.0
        x[1:].add_(1)
        plain[:2].add_(1)
    x.detach().mul_(2)
    x.data[2] = 1.0
    wide = t.zeros(1).expand(3)
    wide[1:2].add_(1)
    wide[0] = wide[0] + 2
    row = t.zeros(1, 3).expand(1, 3)
    row.add_(1)
    return [y.tolist() for y in (x, plain, wide, row)], x.is_leaf, x.requires_grad


def test_writes_that_pytorch_allows_are_allowed(torch):
    assert allowed_writes(mt) == allowed_writes(torch)


SPOILT = {
    "exp's output": lambda x: (x.exp(), 0),
    "product's factor": lambda x: (x * x, 1),
    "division's divisor": lambda x: (x.detach() / x, 1),
    "sqrt's output": lambda x: (x.sqrt(), 0),
    "log's input": lambda x: (x.log(), 1),
    "matmul's factor": lambda x: (x.reshape(2, 2) @ x.reshape(2, 2), 1),
    "relu's output": lambda x: (x.relu(), 0),
    "amax's input": lambda x: (x.amax(0), 1),
    "norm's input": lambda x: (x.norm(), 1),
    "sigmoid's output": lambda x: (x.sigmoid(), 0),
}


@pytest.mark.parametrize("through", ["itself", "a view", "a detached tensor", "no_grad"])
@pytest.mark.parametrize("name", SPOILT)
def test_what_backward_needs_must_not_be_written(torch, name, through):
    for t in (torch, mt):
        x = t.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
        copy = x * 1
        y, which = SPOILT[name](copy)
        target = (y, copy)[which]
        if through == "itself":
            target.add_(1)
        elif through == "a view":
            target[:1].add_(1)
        elif through == "a detached tensor":
            target.detach().add_(1)
        else:
            with t.no_grad():
                target.mul_(2)
        with pytest.raises(RuntimeError, match="inplace operation"):
            y.sum().backward()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x + 1,
        lambda x: x - x,
        lambda x: x * 2,
        lambda x: x.sum(),
        lambda x: x.mean(),
        lambda x: x / 2,
        lambda x: 1 + x.exp().neg(),
        lambda x: x.reshape(2, 2).t(),
        lambda x: x.clone(),
        lambda x: x[[0, 1]],
    ],
)
def test_what_backward_does_not_need_may_be_written(torch, call):
    grads = []
    for t in (torch, mt):
        x = t.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
        copy = x * 1
        y = call(copy)
        y.mul_(3)
        copy.add_(1)
        y.sum().backward()
        grads.append(x.grad.tolist())
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-6)
