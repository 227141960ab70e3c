"""Calls of functions and methods that the table of rows has no room for, here and in PyTorch: their
spellings, what they return, and what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import minitorch_cnn as mt


@pytest.fixture(scope="module", autouse=True)
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def x(t, *shape, dtype="float32"):
    """The numbers from 0 on, in a shape."""
    shape = shape or (2, 3)
    return t.arange(float(np.prod(shape))).to(getattr(t, dtype)).reshape(shape)


CALLS = {
    # Sizes by keyword, as ints and as sequences
    "reshape": lambda t: x(t).reshape(shape=(3, 2)),
    "reshape ints": lambda t: x(t).reshape(3, -1),
    "reshape function": lambda t: t.reshape(x(t), shape=[6]),
    "view size": lambda t: x(t).view(size=(3, 2)),
    "view dtype": lambda t: x(t).view(t.int32),
    "view dtype keyword": lambda t: x(t).view(dtype=t.int16),
    "view wider": lambda t: x(t, 2, 4).view(t.int64).shape,
    "view same": lambda t: x(t).view(t.float32),
    "permute": lambda t: t.permute(x(t), dims=(1, 0)),
    "expand": lambda t: x(t, 1, 3).expand(size=(2, -1)),
    "repeat": lambda t: x(t).repeat(repeats=(1, 2)),
    "repeat list": lambda t: x(t).repeat([2, 1, 1]),
    "tile": lambda t: t.tile(x(t), dims=(2,)),
    "flip": lambda t: t.flip(x(t), dims=[0]),
    "flip none": lambda t: t.flip(x(t), dims=()),
    "roll": lambda t: x(t).roll(shifts=1, dims=1),
    "zeros": lambda t: t.zeros(size=(2, 1)),
    "ones": lambda t: t.ones(size=[2], dtype=t.int8),
    "empty": lambda t: t.empty(size=(0, 3)),
    "rand": lambda t: t.rand(size=(2,)).shape,
    "randn": lambda t: t.randn(size=(2, 0)),
    "randint": lambda t: t.randint(low=3, high=4, size=(2,)),
    "new_zeros": lambda t: x(t).new_zeros(size=(2,)),
    "new_full": lambda t: x(t).new_full(size=(2,), fill_value=7),
    "arange": lambda t: t.arange(end=3),
    "arange step": lambda t: t.arange(start=1, end=6, step=2),
    "arange of tensors": lambda t: t.arange(t.tensor(1), t.tensor(4)),
    "linspace": lambda t: t.linspace(start=0, end=1, steps=3),
    "linspace of tensors": lambda t: t.linspace(t.tensor(0.0), t.tensor(2.0), 3),
    "linspace of integers": lambda t: t.linspace(0, 10, 4, dtype=t.int64),
    "logspace": lambda t: t.logspace(0, 2, 3),
    "logspace of 2": lambda t: t.logspace(0, 3, 4, base=2, dtype=t.int64),
    "full": lambda t: t.full(size=(2,), fill_value=t.tensor(2.5)),
    "full_like": lambda t: t.full_like(x(t), fill_value=3),
    "zeros_like": lambda t: t.zeros_like(x(t), memory_format=t.preserve_format),
    "scalar_tensor": lambda t: t.scalar_tensor(3),
    "scalar_tensor dtype": lambda t: t.scalar_tensor(3, dtype=t.int64),
    "randint_like": lambda t: t.randint_like(x(t), 1),
    "randint_like low": lambda t: t.randint_like(x(t), low=4, high=5, dtype=t.uint8),
    "randperm": lambda t: t.randperm(1, dtype=t.int32),
    "tril_indices": lambda t: t.tril_indices(3, 4, 1),
    "triu_indices": lambda t: t.triu_indices(row=3, col=4, offset=-1, dtype=t.int32),
    "tril_indices none": lambda t: t.tril_indices(0, 4),
    # New tensors from others
    "asarray": lambda t: t.asarray([1, 2]),
    "asarray number": lambda t: t.asarray(3.0),
    "asarray array": lambda t: t.asarray(np.ones(2)),
    "asarray grad": lambda t: t.asarray([1.0], requires_grad=True).requires_grad,
    "asarray itself": lambda t: is_itself(x(t), t.asarray),
    "asarray copy": lambda t: shares(t, lambda a: t.asarray(a, copy=True)),
    "asarray shared": lambda t: shares(t, lambda a: t.asarray(a, copy=False)),
    "from_dlpack": lambda t: shares(t, t.from_dlpack),
    "to numpy by dlpack": lambda t: np.from_dlpack(x(t)),
    "dlpack device": lambda t: tuple(int(n) for n in x(t).__dlpack_device__()),
    "new": lambda t: x(t).new([1, 2]),
    "new size": lambda t: x(t).new(2, 0),
    "new nothing": lambda t: x(t).new(),
    "FloatTensor": lambda t: t.FloatTensor([1, 2]),
    "LongTensor": lambda t: t.LongTensor([[1], [2]]),
    "LongTensor size": lambda t: t.LongTensor(2, 0),
    "Tensor size": lambda t: t.Tensor(x(t, 0, 3).shape),
    "isinstance": lambda t: (isinstance(x(t), t.FloatTensor), isinstance(x(t), t.LongTensor)),
    "type": lambda t: x(t).type(t.LongTensor),
    "type name": lambda t: x(t).type("torch.IntTensor"),
    "type dtype": lambda t: x(t).type(t.float64),
    "type_as": lambda t: x(t).type_as(t.ones(1, dtype=t.int16)),
    # Conversions
    "to copy": lambda t: is_itself(x(t), lambda y: y.to(t.float32, copy=True)),
    "to same": lambda t: is_itself(x(t), lambda y: y.to("cpu", t.float32, True)),
    "to other": lambda t: x(t).to(t.ones(1, dtype=t.int64)),
    "to channels_last": lambda t: x(t, 1, 2, 3, 4).to(memory_format=t.channels_last).stride(),
    "to double channels_last": lambda t: (
        x(t, 2, 2, 3, 4).to(t.float64, memory_format=t.channels_last).stride()
    ),
    "contiguous channels_last": lambda t: (
        x(t, 2, 3, 4, 5).contiguous(memory_format=t.channels_last).stride()
    ),
    "clone channels_last": lambda t: x(t, 2, 3, 4, 5).clone(memory_format=t.channels_last),
    "is_contiguous": lambda t: [
        x(t, *shape).is_contiguous(memory_format=t.channels_last)
        for shape in [(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (2, 3)]
    ],
    "is channels_last": lambda t: [
        x(t, 2, 3, 4, 5).contiguous(memory_format=t.channels_last).is_contiguous(memory_format=m)
        for m in (t.channels_last, t.contiguous_format)
    ],
    "channels_last again": lambda t: is_itself(
        x(t, 2, 3, 4, 5).contiguous(memory_format=t.channels_last),
        lambda y: y.contiguous(memory_format=t.channels_last),
    ),
    "memory formats": lambda t: [
        repr(f) for f in (t.channels_last, t.contiguous_format, t.preserve_format)
    ],
    "numpy force": lambda t: x(t).requires_grad_().numpy(force=True),
    "storage_offset": lambda t: [
        y.storage_offset() for y in (x(t), x(t)[1], x(t)[:, 1:], x(t)[1].view(3, 1)[2])
    ],
    "ufuncs": lambda t: (np.sqrt(x(t)), np.add(x(t), 1), np.floor(x(t))),
    "apply_": lambda t: x(t).apply_(lambda v: v * v + 1),
    "map_": lambda t: x(t).map_(x(t, 3), lambda a, b: a - 2 * b),
    "copies": lambda t: shared_copies(t),
    "retains_grad": lambda t: retaining(t),
    "post hooks": lambda t: post_hooks(t),
    "detach": lambda t: t.detach(x(t).requires_grad_()).requires_grad,
    "detach_": lambda t: t.detach_(x(t).requires_grad_() * 2).is_leaf,
    "sum_to_size": lambda t: x(t).sum_to_size(1, 3),
    "sum_to_size front": lambda t: x(t, 2, 3, 1).sum_to_size((1,)),
    "__reversed__": lambda t: reversed(x(t)),
    "fill_": lambda t: t.fill_(x(t), 3),
    "zero_": lambda t: t.zero_(x(t)),
    # In-place views
    "unsqueeze_": lambda t: x(t).unsqueeze_(0),
    "squeeze_": lambda t: x(t, 1, 2, 1).squeeze_(),
    "squeeze_ dims": lambda t: x(t, 1, 2, 1).squeeze_((0, 1)),
    "t_": lambda t: x(t).t_(),
    "transpose_": lambda t: x(t, 2, 3, 1).transpose_(0, -1),
    "swapaxes_": lambda t: x(t).swapaxes_(0, 1),
    "in place with history": lambda t: in_place_views(t),
    "in place of a view": lambda t: in_place_view_of_view(t),
    # Cutting and joining, in further forms
    "split": lambda t: x(t).split(split_size=2, dim=1),
    "split function": lambda t: t.split(x(t), split_size_or_sections=[1, 2], dim=1),
    "split nothing": lambda t: x(t, 0, 2).split(3),
    "split_with_sizes": lambda t: x(t).split_with_sizes(split_sizes=(1, 1)),
    "chunk nothing": lambda t: x(t, 0, 2).chunk(3),
    "chunk more": lambda t: x(t).chunk(5, 1),
    "tensor_split indices": lambda t: t.tensor_split(x(t), t.tensor([1, 2]), dim=1),
    "tensor_split number": lambda t: x(t).tensor_split(t.tensor(2), dim=1),
    "atleast": lambda t: t.atleast_2d(x(t), t.tensor(1.0)),
    "atleast list": lambda t: t.atleast_1d([x(t), t.tensor(1.0)]),
    "hstack mixed": lambda t: t.hstack((x(t), t.ones(2, 1, dtype=t.int64))),
    "vstack vectors": lambda t: t.row_stack([x(t, 3), x(t, 3)]),
    "column_stack mixed": lambda t: t.column_stack((x(t, 2), x(t))),
    "cat nothing": lambda t: t.cat([x(t), t.ones(0)]),
    "repeat_interleave counts": lambda t: t.repeat_interleave(t.tensor([2, 0, 1])),
    "repeat_interleave": lambda t: x(t).repeat_interleave(t.tensor([2]), dim=1, output_size=6),
    "narrow": lambda t: x(t).narrow(1, t.tensor(1), 2),
    "unflatten": lambda t: x(t).unflatten(dim=1, sizes=(3, 1)),
    "movedim": lambda t: t.movedim(x(t, 2, 3, 4), (0, 2), (1, 0)),
    "broadcast_shapes": lambda t: t.broadcast_shapes((2, 1), (3,), (1, 1, 1)),
    "broadcast_shapes int": lambda t: t.broadcast_shapes(3, (2, 1)),
    "meshgrid one": lambda t: t.meshgrid(x(t, 3), indexing="ij"),
    "combinations none": lambda t: t.combinations(x(t, 3), r=4),
    "combinations 0": lambda t: t.combinations(x(t, 3), r=0),
    "cartesian_prod one": lambda t: t.cartesian_prod(x(t, 3)),
    "unfold number": lambda t: t.tensor(3.0).unfold(0, 1, 1),
    "as_strided": lambda t: t.as_strided(x(t), size=[2], stride=[1], storage_offset=2),
    "as_strided of a row": lambda t: x(t)[1].as_strided((2,), (1,)),
    # Under NumPy's name for a dimension
    "axis": lambda t: [
        t.cat([x(t), x(t)], axis=1),
        t.stack([x(t), x(t)], axis=-1),
        x(t, 1, 2, 1).squeeze(axis=0),
        x(t).unsqueeze(axis=1),
        x(t).chunk(2, axis=1),
        x(t).unbind(axis=1),
        t.tensor_split(x(t), 2, axis=1),
        t.repeat_interleave(x(t), 2, axis=0),
        x(t).narrow(axis=1, start=1, length=1),
        x(t).select(axis=1, index=2),
        x(t).gather(axis=0, index=t.tensor([[1]])),
        t.index_select(x(t), axis=1, index=t.tensor([0])),
        x(t).scatter(axis=0, index=t.tensor([[0]]), value=7),
        t.take_along_dim(x(t), t.tensor([[0]]), axis=0),
        t.concatenate((x(t), x(t)), axis=1),
    ],
    # Indexing functions, in further forms
    "index_select number": lambda t: t.index_select(t.tensor(2.0), 0, t.tensor([0])),
    "index_select one": lambda t: x(t).index_select(dim=0, index=t.tensor(1)),
    "index_select int32": lambda t: x(t).index_select(0, t.tensor([1, 1]).int()),
    "index_fill tensor": lambda t: x(t).index_fill(0, t.tensor([-1]), t.tensor(9.0)),
    "index_add": lambda t: x(t).index_add(dim=1, index=t.tensor([0, 0]), source=x(t, 2, 2)),
    "index_add integers": lambda t: x(t, dtype="int64").index_add_(
        0, t.tensor([1]), t.ones(1, 3).long()
    ),
    "gather number": lambda t: t.tensor(2.0).gather(0, t.tensor([0, 0])),
    "gather int32": lambda t: x(t).gather(dim=0, index=t.tensor([[1, 0]]).int()),
    "scatter number": lambda t: t.tensor(2.0).scatter(0, t.tensor([0]), t.tensor([3.0])),
    "scatter value": lambda t: x(t).scatter(1, t.tensor([[2]]), value=5),
    "scatter_ value": lambda t: x(t).scatter_(dim=0, index=t.tensor([[1, 0]]), value=-1.0),
    "scatter_ integers": lambda t: t.zeros(2, 3).long().scatter_(1, t.tensor([[1], [2]]), 1),
    "scatter_add": lambda t: x(t).scatter_add(dim=0, index=t.tensor([[1, 1, 1]] * 2), src=x(t)),
    "scatter_reduce integers": lambda t: [
        x(t, dtype="int64").scatter_reduce(
            0, t.tensor([[1, 1, 0], [1, 0, 0]]), x(t, dtype="int64") - 3, how, include_self=own
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    ],
    "index_put": lambda t: x(t).index_put(
        (t.tensor([0, 1]), t.tensor([2, 2])), t.tensor([7.0, 8.0])
    ),
    "index_put_ one": lambda t: x(t).index_put_([t.tensor(1)], t.tensor(5.0), accumulate=True),
    "index_put_ function": lambda t: t.index_put_(x(t), (x(t) > 2,), t.tensor(0.0)),
    "masked_select wider": lambda t: x(t).masked_select(t.tensor([True, False, True])),
    "masked_select number": lambda t: t.tensor(3.0).masked_select(t.tensor(True)),
    "masked_scatter number": lambda t: t.tensor(3.0).masked_scatter(t.tensor(True), x(t)),
    "masked_fill": lambda t: x(t).masked_fill(mask=x(t) > 1, value=t.tensor(9)),
    "take": lambda t: t.take(x(t), index=t.tensor([[0, -1]])),
    "take_along_dim": lambda t: t.take_along_dim(x(t), t.tensor([[0]]), dim=0),
    "take_along_dim all": lambda t: x(t).take_along_dim(t.tensor([5, 0])),
    "unravel_index": lambda t: t.unravel_index(t.tensor([[0, 5], [7, 23]]), (2, 3, 4)),
    "put": lambda t: x(t).put(t.tensor([0, -1]), t.tensor([5.0, 6.0])),
    "fill_diagonal_ wrap": lambda t: t.zeros(7, 3).fill_diagonal_(1, wrap=True),
    "diagonal": lambda t: x(t, 2, 3, 4).diagonal(offset=-1, dim1=2, dim2=0),
    "one_hot": lambda t: t.nn.functional.one_hot(t.tensor([[1, 2]]), num_classes=4),
    "one_hot none": lambda t: t.nn.functional.one_hot(t.empty(0).long(), 3),
    "one_hot number": lambda t: t.nn.functional.one_hot(t.tensor(1)),
    "nonzero as_tuple": lambda t: t.nonzero(x(t), as_tuple=True),
    # Draws whose outcome is certain
    "bernoulli": lambda t: t.bernoulli(t.tensor([0.0, 1.0])),
    "bernoulli p": lambda t: t.bernoulli(t.zeros(2).long(), p=1),
    "bernoulli_": lambda t: t.zeros(3).bernoulli_(t.tensor([0.0, 1.0, 1.0])),
    "bernoulli_ integers": lambda t: t.zeros(2).long().bernoulli_(1.0),
    "bernoulli gradient": lambda t: zero_gradient(t, lambda p: t.bernoulli(p)),
    "normal": lambda t: t.normal(t.tensor([1.0, 2.0]), 0.0),
    "normal stds": lambda t: t.normal(2.0, t.zeros(3, 1)),
    "normal both": lambda t: t.normal(x(t, 2, 1), t.zeros(3).double()),
    "normal size": lambda t: t.normal(3.0, 0.0, size=(2,)),
    "normal gradient": lambda t: zero_gradient(t, lambda m: t.normal(m, 1.0)),
    "multinomial": lambda t: t.multinomial(t.tensor([[0.0, 3.0], [2.0, 0.0]]), 1),
    "multinomial often": lambda t: t.multinomial(
        input=t.tensor([0.0, 0.0, 1.0]), num_samples=4, replacement=True
    ),
    "random_": lambda t: t.zeros(2, dtype=t.int16).random_(3, to=4),
    "random_ to": lambda t: t.zeros(2).random_(1),
    # Facts
    "finfo": lambda t: [
        (f.bits, f.eps, f.max, f.min, f.tiny, f.smallest_normal, f.resolution, f.dtype, repr(f))
        for f in (t.finfo(t.float32), t.finfo(t.float64), t.finfo())
    ],
    "iinfo": lambda t: [
        (i.bits, i.max, i.min, i.dtype, repr(i))
        for i in (t.iinfo(t.int8), t.iinfo(t.uint8), t.iinfo(t.int64))
    ],
    "equal infos": lambda t: (
        t.finfo(t.float32) == t.finfo(),
        t.iinfo(t.int8) == t.iinfo(t.uint8),
    ),
    "can_cast": lambda t: [t.can_cast(a, b) for a in dtypes(t) for b in dtypes(t)],
    "promote_types": lambda t: [
        str(t.promote_types(type1=a, type2=b)) for a in dtypes(t) for b in dtypes(t)
    ],
    "typename": lambda t: [t.typename(x(t)), t.typename(x(t).long()), t.typename(3)],
    "predicates": lambda t: [
        f(y)
        for f in (t.is_floating_point, t.is_complex, t.is_signed, t.numel)
        for y in (x(t), t.ones(2, dtype=t.uint8))
    ],
    "is_tensor": lambda t: (t.is_tensor(x(t)), t.is_tensor([1])),
    "is_nonzero": lambda t: (t.is_nonzero(t.tensor([2])), t.is_nonzero(t.tensor(0.0))),
    "flags": lambda t: [
        (
            y.is_sparse,
            y.is_quantized,
            y.is_meta,
            y.is_inference(),
            y.is_same_size(x(t)),
            y.output_nr,
        )
        for y in (x(t), x(t, 3))
    ],
    "constants": lambda t: (t.pi, t.e, t.inf, t.isnan(t.tensor(t.nan)), t.newaxis, x(t)[t.newaxis]),
    "Size": lambda t: [
        (type(s).__name__, repr(s))
        for size in [x(t, 2, 3, 4).shape]
        for s in (size[1:], size + (1,), (1,) + size, size * 2, pickle.loads(pickle.dumps(size)))
    ],
    "Generator": lambda t: generators(t),
    "fork_rng": lambda t: forked(t),
}


def dtypes(t):
    return t.bool, t.uint8, t.int8, t.int32, t.int64, t.float32, t.float64


def is_itself(y, function):
    return function(y) is y


def shares(t, function):
    """Whether a write to an array is seen in what a function made of it."""
    array = np.zeros(2)
    made = function(array)
    array[0] = 1
    return made.tolist()


def shared_copies(t):
    y = x(t).requires_grad_()
    shallow, deep = copy.copy(y), copy.deepcopy(y)
    with t.no_grad():
        y.add_(1)
    return shallow, deep, shallow.requires_grad, deep.requires_grad, shallow.is_leaf


def retaining(t):
    leaf = x(t).requires_grad_()
    y = leaf * 2
    before = y.retains_grad
    y.retain_grad()
    (y * y).sum().backward()
    return before, y.retains_grad, leaf.retains_grad, y.grad


def post_hooks(t):
    leaf, seen = x(t).requires_grad_(), []
    first = leaf.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.sum().item()))
    leaf.register_hook(lambda g: g * 3)
    for _ in range(2):
        (leaf * 2).sum().backward()
    first.remove()
    leaf.sum().backward()
    return seen, leaf.grad


def in_place_views(t):
    leaf = x(t).requires_grad_()
    y = leaf * 2
    y.unsqueeze_(0).mul_(3)
    y.transpose_(0, 2)[1].add_(leaf[0, 0])
    y.squeeze_()
    (y * y).sum().backward()
    return y.detach(), leaf.grad


def in_place_view_of_view(t):
    leaf, base = t.tensor(3.0, requires_grad=True), x(t)
    row = base[1]
    row.unsqueeze_(1).mul_(leaf)
    (base * base).sum().backward()
    return base.detach(), row.detach(), leaf.grad


def zero_gradient(t, draw):
    p = t.full((2,), 0.5, requires_grad=True)
    draw(p).sum().backward()
    return p.grad


def generators(t):
    g = t.Generator(device="cpu").manual_seed(3)
    state, first = g.get_state(), t.rand(2, generator=g).tolist()
    again = t.rand(2, generator=g.set_state(state)).tolist() == first
    return g.initial_seed(), again, str(g.device), type(g.seed()), state.dtype == t.uint8


def forked(t):
    t.manual_seed(4)
    with t.random.fork_rng():
        inside = t.rand(2).tolist()
    with t.random.fork_rng(enabled=False):
        return t.rand(2).tolist() == inside, t.rand(2).tolist() == inside


def plain(value):
    """What a call returned, in terms that both libraries share."""
    if hasattr(value, "requires_grad"):
        array = value.detach().numpy()
        return str(value.dtype), tuple(value.shape), value.requires_grad, array.tolist()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.tolist()
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return value


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # PyTorch's
@pytest.mark.parametrize("name", CALLS)
def test_calls_return_what_pytorchs_do(torch, name):
    assert plain(CALLS[name](mt)) == plain(CALLS[name](torch))


INDEX = [[0]]

REFUSED = {
    "reshape keyword": (TypeError, lambda t: x(t).reshape(size=(6,))),
    "reshape both": (TypeError, lambda t: x(t).reshape(6, shape=(6,))),
    "view float64": (RuntimeError, lambda t: x(t).view(t.float64)),
    "view turned": (RuntimeError, lambda t: x(t, 4, 4).t().view(t.float64)),
    "movedim lengths": (RuntimeError, lambda t: t.movedim(x(t), (0, 1), (0,))),
    "movedim twice": (RuntimeError, lambda t: t.movedim(x(t), (0, 0), (0, 1))),
    "adjoint of a vector": (RuntimeError, lambda t: x(t, 3).adjoint()),
    "mT of a vector": (RuntimeError, lambda t: x(t, 3).mT),
    "H of a batch": (RuntimeError, lambda t: x(t, 2, 2, 2).H),
    "repeat few": (RuntimeError, lambda t: x(t).repeat(2)),
    "repeat -1": (RuntimeError, lambda t: x(t).repeat(2, -1)),
    "hstack nothing": (RuntimeError, lambda t: t.hstack([])),
    "vstack sizes": (RuntimeError, lambda t: t.vstack([x(t), x(t, 2)])),
    "tensor_split 0": (RuntimeError, lambda t: t.tensor_split(x(t), 0)),
    "tensor_split dim": (IndexError, lambda t: t.tensor_split(x(t), 2, dim=5)),
    "tensor_split number": (RuntimeError, lambda t: t.tensor_split(t.tensor(1.0), 2)),
    "hsplit": (RuntimeError, lambda t: t.hsplit(x(t), 2)),
    "hsplit number": (RuntimeError, lambda t: t.hsplit(t.tensor(1.0), 2)),
    "vsplit vector": (RuntimeError, lambda t: t.vsplit(x(t, 2), 2)),
    "dsplit matrix": (RuntimeError, lambda t: t.dsplit(x(t), 1)),
    "repeat_interleave counts": (RuntimeError, lambda t: x(t).repeat_interleave(t.tensor([1, 2]))),
    "repeat_interleave -1": (RuntimeError, lambda t: x(t).repeat_interleave(-1)),
    "repeat_interleave size": (
        RuntimeError,
        lambda t: x(t).repeat_interleave(t.tensor([1, 2]), dim=0, output_size=4),
    ),
    "roll lengths": (RuntimeError, lambda t: x(t).roll(1, (0, 1))),
    "roll no dims": (RuntimeError, lambda t: x(t).roll((1, 2))),
    "rot90 same": (RuntimeError, lambda t: x(t).rot90(1, (0, -2))),
    "rot90 one": (RuntimeError, lambda t: x(t).rot90(1, [0])),
    "rot90 vector": (RuntimeError, lambda t: x(t, 3).rot90()),
    "fliplr vector": (RuntimeError, lambda t: x(t, 3).fliplr()),
    "flipud number": (RuntimeError, lambda t: t.tensor(1.0).flipud()),
    "meshgrid matrix": (RuntimeError, lambda t: t.meshgrid(x(t), indexing="ij")),
    "meshgrid indexing": (RuntimeError, lambda t: t.meshgrid(x(t, 2), indexing="a")),
    "meshgrid types": (
        RuntimeError,
        lambda t: t.meshgrid(x(t, 2), x(t, 2).int(), indexing="ij"),
    ),
    "cartesian_prod": (RuntimeError, lambda t: t.cartesian_prod(x(t), x(t, 2))),
    "combinations": (RuntimeError, lambda t: t.combinations(x(t))),
    "combinations -1": (RuntimeError, lambda t: t.combinations(x(t, 3), r=-1)),
    "block_diag": (RuntimeError, lambda t: t.block_diag(x(t, 2, 2, 2))),
    "tril vector": (RuntimeError, lambda t: x(t, 3).tril()),
    "diag cube": (RuntimeError, lambda t: x(t, 2, 2, 2).diag()),
    "diagonal vector": (IndexError, lambda t: x(t, 2).diagonal()),
    "diagonal same": (RuntimeError, lambda t: x(t).diagonal(0, 1, -1)),
    "diag_embed same": (RuntimeError, lambda t: x(t).diag_embed(0, 1, 1)),
    "diagonal_scatter": (RuntimeError, lambda t: t.diagonal_scatter(x(t), x(t, 3))),
    "fill_diagonal_ vector": (RuntimeError, lambda t: x(t, 3).fill_diagonal_(1)),
    "fill_diagonal_ cube": (RuntimeError, lambda t: x(t, 2, 2, 3).fill_diagonal_(1)),
    "tril_indices -1": (RuntimeError, lambda t: t.tril_indices(-1, 2)),
    "unfold large": (RuntimeError, lambda t: x(t).unfold(1, 4, 1)),
    "unfold step": (RuntimeError, lambda t: x(t).unfold(1, 2, 0)),
    "unfold -1": (RuntimeError, lambda t: x(t).unfold(1, -1, 1)),
    "as_strided far": (RuntimeError, lambda t: x(t).as_strided((3, 3), (3, 1))),
    "as_strided back": (RuntimeError, lambda t: x(t).as_strided((2,), (-1,), 1)),
    "as_strided lengths": (RuntimeError, lambda t: x(t).as_strided((2,), (1, 1))),
    "as_strided shown twice": (
        RuntimeError,
        lambda t: x(t).as_strided((2, 2), (0, 1)).add_(1),
    ),
    "sum_to_size": (RuntimeError, lambda t: x(t).sum_to_size(3, 3)),
    "unsqueeze_ leaf": (RuntimeError, lambda t: x(t).requires_grad_().unsqueeze_(0)),
    "t_ cube": (RuntimeError, lambda t: x(t, 2, 2, 2).t_()),
    "index_select -1": (IndexError, lambda t: x(t).index_select(0, t.tensor([-1]))),
    "index_select far": (IndexError, lambda t: x(t).index_select(0, t.tensor([2]))),
    "index_select matrix": (IndexError, lambda t: x(t).index_select(0, t.tensor(INDEX))),
    "index_select bool": (RuntimeError, lambda t: x(t).index_select(0, t.tensor([True]))),
    "index_add sizes": (
        RuntimeError,
        lambda t: x(t).index_add(0, t.tensor([0]), t.ones(1, 2)),
    ),
    "index_add far": (RuntimeError, lambda t: x(t).index_add(0, t.tensor([2]), t.ones(1, 3))),
    "index_add count": (RuntimeError, lambda t: x(t).index_add(0, t.tensor([0]), t.ones(2, 3))),
    "index_add types": (
        RuntimeError,
        lambda t: x(t).index_add(0, t.tensor([0]), t.ones(1, 3).double()),
    ),
    "index_copy types": (
        RuntimeError,
        lambda t: x(t).index_copy(0, t.tensor([0]), t.ones(1, 3).long()),
    ),
    "index_copy -1": (IndexError, lambda t: x(t).index_copy(0, t.tensor([-1]), t.ones(1, 3))),
    "index_copy sizes": (
        RuntimeError,
        lambda t: x(t).index_copy(0, t.tensor([0]), t.ones(1, 2)),
    ),
    "index_copy count": (IndexError, lambda t: x(t).index_copy(0, t.tensor([0]), t.ones(2, 3))),
    "index_fill far": (IndexError, lambda t: x(t).index_fill(0, t.tensor([4]), 9)),
    "index_fill vector": (
        RuntimeError,
        lambda t: x(t).index_fill(0, t.tensor([0]), t.ones(1)),
    ),
    "gather float": (RuntimeError, lambda t: x(t).gather(0, t.tensor([[0.0]]))),
    "scatter far": (RuntimeError, lambda t: x(t).scatter(1, t.tensor([[3]]), 2)),
    "scatter -1": (RuntimeError, lambda t: x(t).scatter(1, t.tensor([[-1]]), 2)),
    "scatter rank": (RuntimeError, lambda t: x(t).scatter(1, t.tensor([0]), 2)),
    "scatter large": (RuntimeError, lambda t: x(t).scatter(1, t.tensor([[0]] * 3), 2)),
    "scatter types": (
        RuntimeError,
        lambda t: x(t).scatter(1, t.tensor(INDEX), t.ones(1, 1).double()),
    ),
    "scatter small": (RuntimeError, lambda t: x(t).scatter(1, t.tensor(INDEX), t.ones(1, 0))),
    "scatter reduce": (
        RuntimeError,
        lambda t: x(t).scatter(1, t.tensor(INDEX), 2, reduce="mean"),
    ),
    "select_scatter": (RuntimeError, lambda t: t.select_scatter(x(t), x(t, 2), 0, 0)),
    "slice_scatter": (RuntimeError, lambda t: t.slice_scatter(x(t), x(t, 2, 2), 1, 0, 1)),
    "scatter nothing": (TypeError, lambda t: x(t).scatter(1, t.tensor(INDEX))),
    "scatter_add number": (TypeError, lambda t: x(t).scatter_add(1, t.tensor(INDEX), 1)),
    "scatter_reduce name": (
        RuntimeError,
        lambda t: x(t).scatter_reduce(1, t.tensor(INDEX), t.ones(1, 1), "median"),
    ),
    "index_put number": (TypeError, lambda t: x(t).index_put((t.tensor([0]),), 5.0)),
    "index_put types": (
        RuntimeError,
        lambda t: x(t).index_put((t.tensor([0]),), t.tensor(5)),
    ),
    "index_put None": (
        TypeError,
        lambda t: x(t).index_put((None, t.tensor([0])), t.tensor(5.0)),
    ),
    "masked_select integers": (RuntimeError, lambda t: x(t).masked_select(t.tensor([1, 0, 1]))),
    "masked_scatter short": (RuntimeError, lambda t: x(t).masked_scatter(x(t) > 1, t.ones(1))),
    "masked_scatter types": (
        RuntimeError,
        lambda t: x(t).masked_scatter(x(t) > 1, t.ones(9).double()),
    ),
    "take far": (IndexError, lambda t: x(t).take(t.tensor([6]))),
    "take int32": (RuntimeError, lambda t: x(t).take(t.tensor([0]).int())),
    "put count": (IndexError, lambda t: x(t).put(t.tensor([0, 1]), t.ones(1))),
    "put far": (IndexError, lambda t: x(t).put(t.tensor([7]), t.ones(1))),
    "unravel_index floats": (TypeError, lambda t: t.unravel_index(t.tensor([1.0]), (2, 3))),
    "unravel_index -1": (
        (ValueError, RuntimeError),
        lambda t: t.unravel_index(t.tensor([1]), (-2, 3)),
    ),
    "take_along_dim rank": (
        RuntimeError,
        lambda t: t.take_along_dim(x(t), t.tensor([0]), 0),
    ),
    "one_hot large": (
        RuntimeError,
        lambda t: t.nn.functional.one_hot(t.tensor([2]), 2),
    ),
    "one_hot -1": (RuntimeError, lambda t: t.nn.functional.one_hot(t.tensor([-1]))),
    "one_hot int32": (RuntimeError, lambda t: t.nn.functional.one_hot(t.tensor([1]).int())),
    "one_hot nothing": (RuntimeError, lambda t: t.nn.functional.one_hot(t.empty(0).long())),
    "asarray copy": (ValueError, lambda t: t.asarray([1.0], copy=False)),
    "asarray cast": (ValueError, lambda t: t.asarray(x(t), dtype=t.float64, copy=False)),
    "from_dlpack": ((RuntimeError, AttributeError), lambda t: t.from_dlpack(3)),
    "dlpack of a leaf": (BufferError, lambda t: np.from_dlpack(x(t).requires_grad_())),
    "channels_last rank": (
        RuntimeError,
        lambda t: x(t).contiguous(memory_format=t.channels_last),
    ),
    "numpy of a leaf": (RuntimeError, lambda t: x(t).requires_grad_().numpy()),
    "type name": (ValueError, lambda t: x(t).type("FloatTensor")),
    "apply_ of a leaf": (RuntimeError, lambda t: x(t).requires_grad_().apply_(abs)),
    "post hook of no leaf": (
        RuntimeError,
        lambda t: (x(t).requires_grad_() * 1).register_post_accumulate_grad_hook(print),
    ),
    "post hook without grad": (
        RuntimeError,
        lambda t: x(t).register_post_accumulate_grad_hook(print),
    ),
    "finfo of integers": (TypeError, lambda t: t.finfo(t.int8)),
    "iinfo of floats": (TypeError, lambda t: t.iinfo(t.float32)),
    "is_nonzero of two": (RuntimeError, lambda t: t.is_nonzero(x(t))),
    "bernoulli 1.5": (RuntimeError, lambda t: t.bernoulli(t.tensor([1.5]))),
    "bernoulli nan": (RuntimeError, lambda t: t.bernoulli(t.tensor([float("nan")]))),
    "bernoulli integers": (
        (RuntimeError, NotImplementedError),
        lambda t: t.bernoulli(t.zeros(2).long()),
    ),
    "bernoulli_ -1": (RuntimeError, lambda t: t.zeros(2).bernoulli_(-1.0)),
    "normal size": (TypeError, lambda t: t.normal(0.0, 1.0)),
    "normal std": (RuntimeError, lambda t: t.normal(0.0, -1.0, (2,))),
    "normal stds": (RuntimeError, lambda t: t.normal(t.zeros(2), -t.ones(2))),
    "normal sizes": (RuntimeError, lambda t: t.normal(t.zeros(2), t.ones(3))),
    "normal integers": (
        (RuntimeError, NotImplementedError),
        lambda t: t.normal(t.zeros(2).long(), 1.0),
    ),
    "multinomial many": (RuntimeError, lambda t: t.multinomial(t.ones(2), 3)),
    "multinomial none": (RuntimeError, lambda t: t.multinomial(t.ones(2), 0)),
    "multinomial -1": (RuntimeError, lambda t: t.multinomial(t.tensor([-1.0, 2.0]), 1)),
    "multinomial nan": (RuntimeError, lambda t: t.multinomial(t.tensor([float("nan"), 1.0]), 1)),
    "multinomial zeros": (RuntimeError, lambda t: t.multinomial(t.zeros(2), 1)),
    "multinomial cube": (RuntimeError, lambda t: t.multinomial(t.ones(1, 1, 1), 1)),
    "multinomial integers": (RuntimeError, lambda t: t.multinomial(t.ones(2).long(), 1)),
    "random_ order": (RuntimeError, lambda t: t.zeros(2).random_(3, 3)),
    "random_ far": (RuntimeError, lambda t: t.zeros(2, dtype=t.uint8).random_(0, 300)),
    "exponential_": (RuntimeError, lambda t: t.zeros(2).exponential_(0.0)),
    "exponential_ integers": (
        (RuntimeError, NotImplementedError),
        lambda t: t.zeros(2).long().exponential_(),
    ),
    "log_normal_": (RuntimeError, lambda t: t.zeros(2).log_normal_(0.0, -1.0)),
    "cauchy_": (RuntimeError, lambda t: t.zeros(2).cauchy_(0.0, -1.0)),
    "geometric_": (RuntimeError, lambda t: t.zeros(2).geometric_(1.5)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_calls_that_pytorch_refuses_are_refused(torch, name):
    error, call = REFUSED[name]
    for t in (torch, mt):
        with pytest.raises(error):
            call(t)


@pytest.mark.parametrize(
    ("error", "call"),
    [  # what PyTorch, against its own word, computes something of
        (RuntimeError, lambda: mt.take_along_dim(x(mt), mt.tensor([[9]]), 0)),
        (RuntimeError, lambda: mt.multinomial(mt.tensor([0.0, 1.0]), 2)),
    ],
)
def test_calls_that_are_refused_here_alone(error, call):
    with pytest.raises(error):
        call()


def test_a_view_of_what_got_another_shape_is_not_written():
    w = mt.ones(2, 2, requires_grad=True)
    y = w * 2
    row = y[0]
    y.unsqueeze_(0)
    with pytest.raises(RuntimeError, match="another shape in place"):
        row.mul_(2)


def test_without_a_graph_a_leaf_may_get_another_shape():
    w = mt.ones(2, 2, requires_grad=True)
    with mt.no_grad():
        w.unsqueeze_(0)
    assert w.shape == (1, 2, 2)
    assert w.is_leaf
    (w * 2).sum().backward()
    assert w.grad.shape == (1, 2, 2)


def test_tensors_and_dlpack_share_memory_with_pytorch(torch):
    theirs = torch.zeros(2, 3)
    ours = mt.from_dlpack(theirs)
    ours[0, 1] = 5
    assert theirs[0, 1] == 5
    back = torch.from_dlpack(ours)
    back[1, 2] = 7
    assert ours[1, 2] == 7
