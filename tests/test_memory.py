"""The pool of memory: blocks come back when the last array on them dies, and are used again."""

import gc
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch_cnn as torch
from minitorch_cnn import memory
from minitorch_cnn.device import cpu
from minitorch_cnn.memory import ALIGNMENT, LEAST, Pool

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
MB = 1 << 20


@pytest.fixture
def pool():
    return Pool()


@pytest.fixture
def bounds(monkeypatch):
    """Sets the pool's bounds, in megabytes."""

    def to(slack, most_idle):
        monkeypatch.setattr(memory, "SLACK", slack * MB)
        monkeypatch.setattr(memory, "MOST_IDLE", most_idle * MB)

    return to


def megabytes(pool, count):
    return pool.empty((count * MB,), np.dtype(np.uint8))


@given(
    shape=st.lists(st.integers(1, 60), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from([F4, F8, np.dtype(np.int8), np.dtype(bool)]),
)
def test_arrays_are_as_numpys(shape, dtype):
    pool = Pool()
    array = pool.empty(shape, dtype)
    wanted = np.empty(shape, dtype)
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype, array.strides) == (shape, dtype, wanted.strides)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.nbytes <= pool.bytes < max(array.nbytes * 9 / 8, array.nbytes + 1025)
    array[...] = 1


@given(st.integers(LEAST, 1 << 40))
def test_sizes_are_rounded_up_by_less_than_an_eighth(nbytes):
    assert nbytes <= Pool()._new_shelf(nbytes).size < nbytes * 9 / 8


def test_memory_is_used_again_for_arrays_of_about_its_size(pool):
    first = pool.empty((100, 1000), F4)
    address = first.ctypes.data
    del first
    assert pool.idle_bytes == pool.bytes > 0
    again = pool.empty((50_100,), F8)
    assert again.ctypes.data == address
    other = pool.empty((50_100,), F8)
    assert other.ctypes.data != address
    assert pool.idle_bytes == 0


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[3:],
        lambda a: a.reshape(-1)[5::2],
        lambda a: a.T.reshape(10, -1, 100)[::-1],
        lambda a: np.frombuffer(a, np.uint8),
        lambda a: memoryview(a),
        lambda a: a.view(np.int32)[0].view(np.uint8),
    ],
)
def test_memory_is_not_used_again_while_a_view_lives(pool, view):
    array = pool.empty((100, 1000), F4)
    array[...] = np.arange(1000)
    part = view(array)
    del array
    assert pool.idle_bytes == 0
    values = np.array(part)
    pool.empty((100, 1000), F4)[...] = 7
    np.testing.assert_array_equal(np.asarray(part), values)
    del part
    assert pool.idle_bytes == pool.bytes


def test_arrays_in_cycles_come_back_when_these_are_collected(pool):
    array = pool.empty((100, 1000), F4)
    cycle = [array]
    cycle.append(cycle)
    del array, cycle
    gc.collect()
    assert pool.idle_bytes == pool.bytes > 0


def test_idle_memory_is_bounded(pool, bounds):
    bounds(slack=0, most_idle=16)
    arrays = [megabytes(pool, 1) for _ in range(40)]
    assert pool.bytes == 40 * MB
    arrays.clear()
    assert pool.idle_bytes == pool.bytes <= 16 * MB


def test_all_memory_is_bounded_by_what_arrays_have_needed(pool, bounds):
    bounds(slack=2, most_idle=1000)
    for size in range(1, 30):  # each of another size: none is used again
        live = [megabytes(pool, size), megabytes(pool, size)]
        assert pool.bytes <= 2 * size * MB * 9 / 8 + 2 * MB
        del live


def test_sizes_that_are_no_longer_asked_for_go_first(pool, bounds):
    bounds(slack=0, most_idle=1000)
    old, new = [megabytes(pool, 5) for _ in range(2)], [megabytes(pool, 4) for _ in range(2)]
    kept = [a.ctypes.data for a in new]
    old.clear()
    new.clear()
    new = [megabytes(pool, 4) for _ in range(2)]
    del new
    large = megabytes(pool, 8)
    again = [megabytes(pool, 4) for _ in range(2)]
    assert sorted(a.ctypes.data for a in again) == sorted(kept)
    del large, again


def test_empty_cache_frees_what_is_idle_and_nothing_else(pool):
    live, dead = pool.empty((100, 1000), F4), pool.empty((200, 1000), F4)
    live[...] = 3
    del dead
    pool.empty_cache()
    assert pool.idle_bytes == 0
    assert live.nbytes <= pool.bytes < live.nbytes * 9 / 8
    assert np.all(live == 3)


def test_what_the_system_refuses_leaves_the_pool_whole(pool):
    idle = megabytes(pool, 1)
    del idle
    with pytest.raises(MemoryError):
        pool.empty((1 << 60,), F4)
    assert pool.idle_bytes == pool.bytes == 0
    assert megabytes(pool, 1).nbytes == MB


def test_threads_get_memory_of_their_own(pool):
    wrong = []

    def work(number):
        held = []
        for i in range(2000):
            array = pool.empty((LEAST + 1000 * (i % 7),), F4)
            array[::999] = number
            held.append(array)
            if len(held) > 5:
                wrong.extend([a for a in held if not np.all(a[::999] == number)])
                del held[:: 1 + i % 3]

    started = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert not wrong
    assert pool.idle_bytes == pool.bytes
    pool.empty_cache()
    assert pool.bytes == 0


def test_a_busy_pool_gives_fresh_memory(pool):
    with pool._lock:
        array = megabytes(pool, 1)
        assert array.base is None
        pool.empty_cache()  # does not wait either
    assert pool.bytes == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own():
    x = torch.ones(300, 300)
    with memory._pool._lock:  # as if another thread were at it
        child = os.fork()
        if child == 0:
            y = torch.full((300, 300), 2.0)
            x.fill_(5)
            z = torch.full((500, 500), 3.0)
            fine = memory._pool._lock.acquire(False) and y.sum() == 180_000 and z.sum() == 750_000
            os._exit(0 if fine else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert x.sum() == 90_000


def test_tensors_live_in_the_pool():
    torch.memory.empty_cache()
    x = torch.zeros(1000, 1000)
    address = x.data_ptr()
    y = x.t()[1:]
    del x
    assert torch.zeros(1000, 1000).data_ptr() != address
    del y
    assert torch.ones(1000, 1000).data_ptr() == address


def test_gradients_that_nobody_else_sees_are_not_copied():
    seen = []
    x = torch.ones(200, 200, requires_grad=True)
    y = x * 2
    x.register_hook(lambda g: seen.append(g.data_ptr()))
    y.sum().backward()
    assert seen == [x.grad.data_ptr()]


def test_owners():
    large, small = cpu.empty((LEAST,), F4), cpu.empty((LEAST - 1,), F4)
    assert large.base is not None
    assert small.base is None
    assert cpu.owns(large)
    assert cpu.owns(small)
    assert not cpu.owns(large[1:])
    assert not cpu.owns(small.reshape(-1, 1))
