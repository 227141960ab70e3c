"""Rules that make one launch of several, over the recorded launches of a step.

A rule finds launches that pass on a buffer which nobody else looks at, and puts a launch in their
place that never writes it. Results stay the same to the bit unless the rule says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..memory import Foreign, address
from .recorder import Launch, Root, Slot, arrays_of, bytes_of, slots, with_arrays

__all__ = ["Program", "fuse", "may_change"]


class Program:
    """Recorded launches, and which of them look at which piece of memory."""

    def __init__(self, launches: Sequence[Launch], roots: list[Root]) -> None:
        self.launches: list[Launch | None] = list(launches)
        self.roots = roots
        self._users: dict[int, list[int]] = {}
        self._held: list[tuple[int, int, int]] | None = None
        for i, launch in enumerate(launches):
            self._note(i, launch)

    def _note(self, i: int, launch: Launch) -> None:
        for slot in slots(launch):
            users = self._users.setdefault(slot.root, [])
            if i not in users:
                users.append(i)

    def users(self, slot: Any, after: int = -1) -> list[int]:
        """The launches behind one that look at a buffer, if it is the step's own."""
        if not isinstance(slot, Slot):
            return []
        return sorted([i for i in self._users[slot.root] if i > after])

    def is_private(self, slot: Any) -> bool:
        """Whether only launches look at a buffer, and nobody holds it when they are done."""
        return isinstance(slot, Slot) and self.roots[slot.root].is_free

    def touched(self, array: Any, after: int, before: int) -> bool:
        """Whether launches between two others may look at an array, the step's own or not."""
        if isinstance(array, Slot):
            return any([k < before for k in self.users(array, after)])
        if self._held is None:
            self._held = [
                (*_span(a), i)
                for i, launch in enumerate(self.launches)
                if launch is not None
                for a in arrays_of(launch.args)
                if not isinstance(a, Slot)
            ]
        start, stop = _span(array)
        return any([a < stop and start < b and after < k < before for a, b, k in self._held])

    def neighbour(self, i: int, step: int) -> int:
        """The next launch, or with a step of -1 the one before; if there is none, -1."""
        i += step
        while 0 <= i < len(self.launches) and self.launches[i] is None:
            i += step
        return i if i < len(self.launches) else -1

    def named(self, *names: str) -> Iterator[tuple[int, Launch]]:
        """The launches of these kernels, with their places."""
        for i, launch in enumerate(self.launches):
            if launch is not None and launch.name in names:
                yield i, launch

    def name(self, i: int) -> str | None:
        """The kernel of a launch."""
        launch = self.launches[i]
        return None if launch is None else launch.name

    def args(self, i: int) -> tuple[Any, ...]:
        """The arguments of a launch that is there."""
        launch = self.launches[i]
        assert launch is not None
        return launch.args

    def replace(self, i: int, name: str, *args: Any) -> None:
        """Put another launch in the place of one."""
        before = self.launches[i]
        assert before is not None
        self.remove(i)
        self.launches[i] = Launch(before.device, name, args)
        self._note(i, Launch(before.device, name, args))

    def rename(self, root: int, other: int) -> None:
        """Have all launches look at another buffer in the place of one."""
        for i in [*self._users.get(root, ())]:
            self.show(i, root, other)

    def show(self, i: int, root: int, other: int) -> None:
        """Have a launch look at another buffer in the place of one."""
        launch = self.launches[i]
        assert launch is not None
        self._users[root].remove(i)
        args = with_arrays(launch.args, lambda a: _renamed(a, root, other))
        self.launches[i] = changed = launch._replace(args=args)
        self._note(i, changed)

    def remove(self, i: int) -> None:
        """Take a launch away."""
        self.launches[i] = None
        for users in self._users.values():
            if i in users:
                users.remove(i)


def fuse(launches: Sequence[Launch], roots: list[Root], reorder: bool = True) -> list[Launch]:
    """The launches after all rules, or after those that keep every bit."""
    program = Program(launches, roots)
    # The last gives several launches one buffer; the others look for buffers of their own.
    for rule in (*RULES, *(REORDERING if reorder else ()), in_place):
        rule(program)
    return [launch for launch in program.launches if launch is not None]


def _renamed(slot: Any, root: int, other: int) -> Any:
    return slot._replace(root=other) if isinstance(slot, Slot) and slot.root == root else slot


def _span(array: Any) -> tuple[int, int]:
    """From where to where an array lies in memory, about: one with gaps may lie anywhere."""
    if not isinstance(array, Foreign) and not array.flags.c_contiguous:
        return 0, 1 << 64
    start = address(array)
    return start, start + bytes_of([array])


def relu_and_max_pool(program: Program) -> None:
    """relu, then the maxima of 2 x 2, or the other way round: in one pass, and back in one."""
    for i, launch in [*program.named("pool_pairs.max_pool_pairs")]:
        x, y, code, _ = launch.args
        # What remembers the places: the gradient, if there is one.
        if not program.is_private(code):
            continue
        back = program.users(code, after=i)
        if [program.name(k) for k in back] not in ([], ["pool_pairs.max_pool_pairs_grad"]):
            continue
        gy, _, gx = program.args(back[0]) if back else (None, None, None)
        before = _relu_before(program, i, x, gx)
        behind = None if before else _relu_behind(program, i, y, gy)
        if before is not None:
            relu, slope = before
            source = program.args(relu)[0]
            program.remove(relu)
            program.replace(i, "pool_pairs.max_pool_pairs", source, y, code, True)
            if slope is not None:
                gx = program.args(slope)[2]
                program.remove(slope)
        elif behind is not None:
            relu, slope = behind
            program.replace(i, "pool_pairs.max_pool_pairs", x, program.args(relu)[1], code, True)
            program.remove(relu)
            if slope is not None:
                gy = program.args(slope)[0]
                program.remove(slope)
        if back:
            program.replace(back[0], "pool_pairs.max_pool_pairs_grad", gy, code, gx)


def relu_and_max_of_windows(program: Program) -> None:
    """relu, then the maxima of any windows: the maxima first, of which there are fewer.

    The largest of numbers that are at least 0 is the largest number, if that is. Where it is not,
    no gradient passes, whichever comes first.
    """
    for i, launch in [*program.named("pool.max_pool2d")]:
        h, y, indices, *options = launch.args
        if not program.is_private(indices) or may_change(program, y, i):
            continue
        back = program.users(indices, after=i)
        if [program.name(k) for k in back] not in ([], ["pool.max_pool2d_grad"]):
            continue
        gy, _, gh = program.args(back[0]) if back else (None, None, None)
        found = _relu_before(program, i, h, gh)
        if found is None or (back and bytes_of([gy]) > bytes_of([gh])):
            continue
        relu, slope = found
        program.replace(relu, "pool.max_pool2d", program.args(relu)[0], y, indices, *options)
        program.replace(i, "activation.relu", y, y)
        if slope is not None:
            gx = program.args(slope)[2]
            passed = Slot(gh.root, gh.offset, gy.shape, gy.strides, gy.dtype)
            program.replace(back[0], "activation.relu_grad", gy, y, passed)
            program.replace(slope, "pool.max_pool2d_grad", passed, indices, gx)


def may_change(program: Program, slot: Any, made: int, before: float = math.inf) -> bool:
    """Whether a buffer may be written again after the launch that makes it, and before another.

    A launch's results stand behind what it reads; one that writes in place names it twice.
    """
    if not isinstance(slot, Slot):
        return True
    for k in program.users(slot, after=made):
        if k >= before:
            break
        arrays = arrays_of(program.args(k))
        shown = [a for a in arrays if isinstance(a, Slot) and a.root == slot.root]
        if len(shown) > 1 or shown[0] is arrays[-1]:
            return True
    return False


def _relu_before(program: Program, pool: int, x: Any, gx: Any) -> tuple[int, int | None] | None:
    """The relu that makes what a pooling reads, and its gradient, if nobody else needs either."""
    if not program.is_private(x):
        return None
    relu = next((k for k in reversed(program.users(x)) if k < pool), None)
    if relu is None or program.name(relu) != "activation.relu" or program.args(relu)[1] != x:
        return None
    others = [k for k in program.users(x, after=relu) if k != pool]
    if gx is None:
        return (relu, None) if not others else None
    if [program.name(k) for k in others] != ["activation.relu_grad"]:
        return None
    slope = others[0]
    if program.args(slope)[0] != gx or not _passed_once(program, gx):
        return None
    return relu, slope


def _relu_behind(program: Program, pool: int, y: Any, gy: Any) -> tuple[int, int | None] | None:
    """The relu that reads what a pooling makes, and its gradient, if nobody else needs either."""
    if not program.is_private(y):
        return None
    users = program.users(y, after=pool)
    if not users or program.name(users[0]) != "activation.relu" or program.args(users[0])[0] != y:
        return None
    relu = users[0]
    if program.args(relu)[1] == y:  # in place: what follows reads relu's result there
        return None
    if users[1:]:
        return None
    out = program.args(relu)[1]
    slopes = [
        k
        for k in program.users(out, after=relu)
        if program.name(k) == "activation.relu_grad" and program.args(k)[2] == gy
    ]
    if gy is None:
        return relu, None
    if len(slopes) != 1 or not _passed_once(program, gy):
        return None
    return relu, slopes[0]


def _passed_once(program: Program, slot: Any) -> bool:
    """Whether a buffer is written by one launch and read by one, and that is all."""
    return program.is_private(slot) and len(program.users(slot)) == 2


def batch_norm_and_relu(program: Program) -> None:
    """Batch norm, relu, and averages of windows side by side if they follow: in one, and back in
    one.

    The gradient finds from what came in which numbers relu cut off, as it scaled and shifted them.
    """
    for i, launch in [*program.named("norm.batch_norm")]:
        x, weight, bias, h, mean, invstd, eps = launch.args
        relu = _only_reader(program, i, h, "activation.relu")
        if relu is None or not isinstance(x, Slot) or len(x.shape) != 4 or x.shape[2:] == (1, 1):
            continue
        y = program.args(relu)[1]
        if not _begins(program, y, relu, h):
            continue
        back, kernel_size = _slopes(program, i, relu), (1, 1)
        gy, results = (program.args(back[0])[0], program.args(back[1])[5:8]) if back else (None, ())
        pool, pool_grad = _averages(program, relu, back)
        if pool is not None:
            _, y, kernel_size, *_ = program.args(pool)
            program.remove(pool)
            if pool_grad is not None:
                gy = program.args(pool_grad)[0]
                program.remove(pool_grad)
        given = x, weight, bias, y, mean, invstd, eps, kernel_size
        program.remove(relu)
        program.replace(i, "norm_relu.batch_norm_relu", *given)
        if back:
            given = gy, x, weight, bias, mean, invstd, *results, kernel_size
            program.remove(back[0])
            program.replace(back[1], "norm_relu.batch_norm_relu_grad", *given)


def batch_norm_and_sum(program: Program) -> None:
    """Batch norm, the sum with what goes round it, and relu: in one."""
    for i, launch in [*program.named("elementwise.add")]:
        relu = _only_reader(program, i, launch.args[2], "activation.relu")
        shapes = [(len(a.shape), a.shape, a.dtype) for a in launch.args]
        if relu is None or shapes != [shapes[0]] * 3 or shapes[0][0] != 4:
            continue
        for h, other in (launch.args[:2], launch.args[1::-1]):
            norm = max([k for k in program.users(h) if k < i], default=-1)
            if program.name(norm) != "norm.batch_norm" or program.args(norm)[3] != h:
                continue
            x, weight, bias, _, mean, invstd, eps = program.args(norm)
            y = program.args(relu)[1]
            alone = _only_reader(program, norm, h, "elementwise.add") == i
            ready = isinstance(other, Slot) and other.root != h.root
            ready = ready and not program.touched(other, norm, i)
            if alone and ready and _begins(program, y, relu, h, other) and x.shape[2:] != (1, 1):
                program.remove(i)
                program.remove(relu)
                given = x, other, weight, bias, y, mean, invstd, eps
                program.replace(norm, "norm_relu.batch_norm_add_relu", *given)
                break


def _only_reader(program: Program, made: int, slot: Any, name: str) -> int | None:
    """The launch that alone looks at what another made, or writes its result over it, by name."""
    users = program.users(slot, after=made)
    if not users or program.name(users[0]) != name:
        return None
    *given, result = program.args(users[0])
    over = isinstance(result, Slot) and result == slot
    alone = program.is_private(slot) and len(users) == 1
    return users[0] if (over or alone) and any([a == slot for a in given]) else None


def _begins(program: Program, slot: Any, made: int, *before: Any) -> bool:
    """Whether a result is made by a launch, and not looked at sooner but as one of some others."""
    return isinstance(slot, Slot) and (slot in before or program.users(slot)[0] == made)


def _slopes(program: Program, norm: int, relu: int) -> tuple[int, int] | None:
    """The gradients of relu and of the batch norm before it, if nobody needs what is between."""
    x, weight, bias, _, mean, invstd, _ = program.args(norm)
    y = program.args(relu)[1]
    for slope in program.users(y, after=relu):
        back = program.neighbour(slope, 1)
        if [program.name(k) for k in (slope, back)] != [
            "activation.relu_grad",
            "norm.batch_norm_grad",
        ]:
            continue
        _, mask, g = program.args(slope)
        gy, source, _, *statistics, _, _, _, training = program.args(back)
        same = (mask, gy, source, *statistics) == (y, g, x, mean, invstd)
        changed = [program.touched(a, norm, slope) for a in (weight, bias)]
        if same and training and _passed_once(program, g) and not any(changed):
            return slope, back
    return None


def _averages(
    program: Program, relu: int, slopes: tuple[int, int] | None
) -> tuple[int | None, int | None]:
    """The averages of windows side by side of what relu makes, and their gradient, if nobody else
    needs either."""
    y = program.args(relu)[1]
    pool, *others = program.users(y, after=relu) or [-1]
    if program.name(pool) != "pool.avg_pool2d" or not program.is_private(y):
        return None, None
    _, out, kernel_size, stride, padding, _, divisor = options = program.args(pool)
    inside = [n * k <= size for n, k, size in zip(out.shape[2:], kernel_size, y.shape[2:])]
    plain = stride == kernel_size and padding == (0, 0) and not divisor and max(kernel_size) <= 8
    if not (plain and all(inside) and _begins(program, out, pool)):
        return None, None
    if slopes is None:
        return (None, None) if others else (pool, None)
    back = program.neighbour(slopes[0], -1)
    if others != [slopes[0]] or program.name(back) != "pool.avg_pool2d_grad":
        return None, None
    _, gx, *same = program.args(back)
    fits = gx == program.args(slopes[0])[0] and tuple(same) == options[2:]
    return (pool, back) if fits and _passed_once(program, gx) else (None, None)


IN_PLACE: dict[str, tuple[tuple[int, ...], int]] = {
    "activation.relu": ((0,), 1),
    "activation.relu_grad": ((0,), 2),
    "elementwise.add": ((0, 1), 2),
    "elementwise.mul": ((0, 1), 2),
}
"""Of kernels that may write over what they read: the places of that, and of the result."""


def in_place(program: Program) -> None:
    """What nobody reads any more is written over: less memory, and what is in the cache."""
    for i, launch in [*program.named(*IN_PLACE)]:
        sources, target = IN_PLACE[launch.name]
        out = program.args(i)[target]
        for source in [program.args(i)[place] for place in sources]:
            if _gives_way(program, source, out, i):
                program.rename(source.root, out.root)
                break


def _gives_way(program: Program, source: Any, out: Any, i: int) -> bool:
    """Whether the buffer that a launch reads ends with it, and the one that it writes begins."""
    if not program.is_private(source) or not isinstance(out, Slot) or source.root == out.root:
        return False
    old, new = program.roots[source.root], program.roots[out.root]
    fits = old.nbytes == new.nbytes and old.device is new.device
    ends, begins = program.users(source)[-1] == i, program.users(out)[0] == i
    return fits and ends and begins and source._replace(root=out.root) == out


FROM_POOLED = "conv_sparse.weight_grad", "conv_sparse.input_grad"

SHARING = 12
"""Outputs that share what a window costs besides them, from which on the gradient of the input is
sooner made of the numbers that count."""


def gradients_of_a_pooled_convolution(program: Program) -> None:
    """The gradients of a convolution that is pooled in pairs, from the numbers that count.

    The gradient of all the convolution's results, three of four of them 0, is not made unless
    somebody else needs it.
    """
    for i, launch in [*program.named("pool_pairs.max_pool_pairs_grad")]:
        gy, code, gx = launch.args
        for k in program.users(gx, after=i):
            if program.name(k) not in ("conv.conv2d_weight_grad", "conv.conv2d_input_grad"):
                continue
            dense, *given, stride, padding, dilation, groups = program.args(k)
            weight = given[1] if len(given) == 3 else given[0]
            plain = stride == dilation == (1, 1) and groups == 1 and max(padding) <= 4
            few = weight.shape[2] in (3, 5) and weight.shape[1] * weight.shape[3] in range(4, 65)
            shared = len(given) == 3 or weight.shape[0] >= SHARING
            if dense != gx or not (plain and few and shared):
                continue
            between = [j for slot in (gy, code) for j in program.users(slot, after=i) if j < k]
            if any([program.name(j) not in FROM_POOLED for j in between]):
                continue  # what was in them may be gone
            kernel = "weight_grad" if len(given) == 3 else "input_grad"
            program.replace(k, f"conv_sparse.{kernel}", gy, code, *given, padding)
        if program.is_private(gx) and program.users(gx) == [i]:
            program.remove(i)


Rule = Callable[[Program], None]

RULES: tuple[Rule, ...] = (
    relu_and_max_pool,
    relu_and_max_of_windows,
    batch_norm_and_relu,
    batch_norm_and_sum,
)
"""Rules that keep every bit."""

REORDERING: tuple[Rule, ...] = (gradients_of_a_pooled_convolution,)
"""Rules after which sums are made in another order: their results differ by roundings."""
