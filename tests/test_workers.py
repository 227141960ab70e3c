"""Iterable and combined datasets, weighted samplers, and all that concerns a loader's workers."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn.utils import data as ours

try:
    from torch.utils import data as pytorch_data
except ImportError:
    pytorch_data = None

needs_pytorch = pytest.mark.skipif(pytorch_data is None, reason="PyTorch is not installed")
BOTH = pytest.mark.parametrize(
    "data", [ours, pytest.param(pytorch_data, marks=needs_pytorch)], ids=["ours", "PyTorch"]
)


def seeded(seed):
    return mt.Generator().manual_seed(seed)


def plain(batches):
    return [batch.tolist() for batch in batches]


def counting(data, size, shared=False):
    """An iterable dataset of the numbers below `size`, of which each worker hands out a share."""

    class Counting(data.IterableDataset):
        def __iter__(self):
            worker = data.get_worker_info()
            first, workers = (worker.id, worker.num_workers) if worker and not shared else (0, 1)
            return iter(range(first, size, workers))

        def __len__(self):
            return size

    return Counting()


# ---------------------------------------------------------------------- datasets


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize(("size", "batch"), [(10, 3), (7, 2), (0, 2), (5, 8), (9, 1), (4, None)])
def test_iterable_datasets_come_as_from_pytorch(size, batch, workers, drop_last):
    def walked(data, workers):
        options = {"drop_last": drop_last} if batch else {}
        loader = data.DataLoader(counting(data, size), batch, num_workers=workers, **options)
        found = [x if batch is None else x.tolist() for x in loader]
        return found, len(loader)

    found = walked(ours, workers)
    if workers == 0:
        if pytorch_data is not None:
            assert found == walked(pytorch_data, 0)
    else:  # as PyTorch's workers take turns; its processes would take a minute here
        turns = [list(range(first, size, workers)) for first in range(workers)]
        step = batch or 1
        chunks = [[t[i : i + step] for i in range(0, len(t), step)] for t in turns]
        expected = []
        for turn in range(max(map(len, chunks))):
            expected += [c[turn] for c in chunks if turn < len(c)]
        if drop_last and batch:
            expected = [c for c in expected if len(c) == batch]
        if batch is None:
            expected = [c[0] for c in expected]
        assert found[0] == expected


def test_an_iterable_dataset_is_asked_anew_for_each_epoch():
    loader = ours.DataLoader(counting(ours, 4, shared=True), 2, num_workers=2)
    for _ in range(2):
        assert sorted(plain(loader)) == [[0, 1], [0, 1], [2, 3], [2, 3]]


@BOTH
def test_iterable_datasets_refuse_an_order(data):
    for options, match in (
        ({"shuffle": True}, "shuffle"),
        ({"sampler": [0]}, "sampler"),
        ({"batch_sampler": [[0]]}, "batch_sampler"),
    ):
        with pytest.raises(ValueError, match=f"expected unspecified {match}"):
            data.DataLoader(counting(data, 3), **options)


@BOTH
def test_chained_and_concatenated(data):
    chain = counting(data, 2) + counting(data, 3)
    assert isinstance(chain, data.ChainDataset)
    assert (list(chain), len(chain)) == ([0, 1, 0, 1, 2], 5)
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        list(data.ChainDataset(["ab"]))
    parts = data.Subset([1, 2], [0, 1]) + data.Subset([3], [0])
    assert isinstance(parts, data.ConcatDataset)
    assert [parts[i] for i in range(-3, 3)] == [1, 2, 3, 1, 2, 3]
    assert (len(parts), parts.cumulative_sizes) == (3, [2, 3])
    with pytest.raises(ValueError, match="should not exceed dataset length"):
        parts[-4]
    with pytest.raises(IndexError):
        parts[3]
    with pytest.raises(AssertionError, match="empty"):
        data.ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        data.ConcatDataset([counting(data, 2)])
    assert plain(data.DataLoader(parts, 2)) == [[1, 2], [3]]


@BOTH
def test_stacked(data):
    pairs, named = data.StackDataset("abc", [1, 2, 3]), data.StackDataset(x="abc", y=[1, 2, 3])
    assert (pairs[1], len(pairs)) == (("b", 2), 3)
    assert (named[-1], len(named)) == ({"x": "c", "y": 3}, 3)
    assert pairs.__getitems__([0, 2]) == [("a", 1), ("c", 3)]
    assert named.__getitems__([2]) == [{"x": "c", "y": 3}]
    for arguments, options in ((["ab", "abc"], {}), ([], {"x": "ab", "y": "a"})):
        with pytest.raises(ValueError, match="Size mismatch"):
            data.StackDataset(*arguments, **options)
    for arguments, options in ((["ab"], {"x": "ab"}), ([], {})):
        with pytest.raises(ValueError, match=r"both types|At least one"):
            data.StackDataset(*arguments, **options)


# ---------------------------------------------------------------------- samplers


def test_weights_decide_how_often_a_number_comes():
    weights = np.array([0.0, 1.0, 0.0, 3.0, 4.0])
    sampler = ours.WeightedRandomSampler(weights.tolist(), 8000, generator=seeded(1))
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 8000
    expected = weights / weights.sum() * 8000
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=5), expected, atol=4 * np.sqrt(8000) / 2
    )
    assert list(sampler) != drawn
    assert list(ours.WeightedRandomSampler(weights, 8000, generator=seeded(1))) == drawn


def test_weights_without_replacement():
    weights = [0.0, 1.0, 2.0, 7.0]
    firsts = np.zeros(4)
    for seed in range(400):
        sampler = ours.WeightedRandomSampler(weights, 3, replacement=False, generator=seeded(seed))
        drawn = list(sampler)
        assert sorted(drawn) == [1, 2, 3]
        firsts[drawn[0]] += 1
    np.testing.assert_allclose(firsts / 400, np.array(weights) / 10, atol=0.1)
    with pytest.raises(ValueError, match="only 3 of 4"):
        list(ours.WeightedRandomSampler(weights, 4, replacement=False))


@BOTH
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1.0], 0), "num_samples"),
        (([1.0], True), "num_samples"),
        (([1.0], 1.5), "num_samples"),
        (([1.0], 1, 1), "replacement"),
        (([[1.0]], 1), r"1d sequence.*\(1, 1\)"),
    ],
)
def test_weighted_samplers_refuse(data, arguments, match):
    with pytest.raises(ValueError, match=match):
        data.WeightedRandomSampler(*arguments)


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [float("nan")], [float("inf")]])
def test_weights_that_make_no_sense(weights):
    with pytest.raises(ValueError, match="finite, not negative and not all zero"):
        list(ours.WeightedRandomSampler(weights, 1))


def test_subsets_in_random_order():
    sampler = ours.SubsetRandomSampler([7, 3, 5, 9], generator=seeded(0))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == [3, 5, 7, 9]
    assert len(sampler) == 4
    assert list(ours.SubsetRandomSampler([7, 3, 5, 9], generator=seeded(0))) == first
    assert sorted(
        b for batch in ours.DataLoader(range(10), 2, sampler=sampler) for b in batch.tolist()
    ) == [3, 5, 7, 9]


# ---------------------------------------------------------------------- workers


def test_workers_know_who_they_are_and_are_told_to_begin():
    begun, infos = [], {}

    class Asking(ours.Dataset):
        def __getitem__(self, index):
            infos[index] = ours.get_worker_info()
            return index

        def __len__(self):
            return 6

    dataset = Asking()
    loader = ours.DataLoader(dataset, num_workers=2, worker_init_fn=begun.append)
    assert plain(loader) == [[i] for i in range(6)]
    assert sorted(begun) == [0, 1]
    assert ours.get_worker_info() is None
    assert [infos[i].id for i in range(6)] == [0, 1] * 3
    assert all(info.num_workers == 2 and info.dataset is dataset for info in infos.values())
    assert infos[1].seed == infos[0].seed + 1
    before = infos[0].seed
    list(loader)
    assert infos[0].seed != before


def test_what_a_beginning_raises_arrives():
    def fails(worker):
        raise LookupError(f"worker {worker} fails")

    with pytest.raises(LookupError, match="worker 0 fails"):
        list(ours.DataLoader(range(4), num_workers=2, worker_init_fn=fails))


def names():
    return {t.name for t in threading.enumerate() if t.name.startswith("DataLoader")}


def test_persistent_workers_stay_for_the_next_epoch_and_end_with_the_loader():
    begun = []
    loader = ours.DataLoader(
        range(7), 2, num_workers=2, persistent_workers=True, worker_init_fn=begun.append
    )
    for _ in range(3):
        assert plain(loader) == [[0, 1], [2, 3], [4, 5], [6]]
        assert names() == {"DataLoader_0", "DataLoader_1"}
    batches = iter(loader)
    next(batches)
    batches.close()  # what was prepared for this walk does not appear in the next one
    assert plain(loader) == [[0, 1], [2, 3], [4, 5], [6]]
    assert plain(zip_tensors(loader, loader)) == [[0, 1, 0, 1], [2, 3, 2, 3], [4, 5, 4, 5], [6, 6]]
    assert begun.count(0) == 2  # one for the walk that found the others at work
    del loader, batches
    assert names() == set()


def zip_tensors(*loaders):
    return [mt.cat(batches) for batches in zip(*loaders, strict=True)]


def test_persistent_workers_walk_iterable_datasets_anew():
    loader = ours.DataLoader(counting(ours, 5), 2, num_workers=2, persistent_workers=True)
    for _ in range(2):
        assert plain(loader) == [[0, 2], [1, 3], [4]]


def test_a_batch_that_takes_too_long_is_not_waited_for():
    goes_on = threading.Event()

    class Slow(ours.Dataset):
        def __getitem__(self, index):
            goes_on.wait(timeout=30)
            return index

        def __len__(self):
            return 2

    batches = iter(ours.DataLoader(Slow(), num_workers=1, timeout=0.05))
    threading.Timer(0.3, goes_on.set).start()
    with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds"):
        next(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_pinning_without_a_gpu_warns_as_in_pytorch_and_does_nothing(workers):
    if pytorch_data is not None:
        with pytest.warns(UserWarning, match="no accelerator is found"):
            next(iter(pytorch_data.DataLoader(range(2), pin_memory=True)))
    with pytest.warns(UserWarning, match="no accelerator is found"):
        assert plain(ours.DataLoader(range(2), pin_memory=True, num_workers=workers)) == [[0], [1]]


@BOTH
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        ({"timeout": -1}, "timeout option should be non-negative"),
    ],
)
def test_options_that_contradict_each_other(data, options, match):
    with pytest.raises(ValueError, match=match):
        data.DataLoader(range(2), **options)


def test_a_timeout_needs_workers():
    with pytest.raises(ValueError, match="needs workers"):
        iter(ours.DataLoader(range(2), timeout=1))


def test_a_program_ends_while_persistent_workers_are_busy():
    program = (
        "import time\n"
        "from minitorch_cnn.utils.data import DataLoader, Dataset\n"
        "class Slow(Dataset):\n"
        "    def __getitem__(self, index):\n"
        "        if index: time.sleep(60)\n"
        "        return index\n"
        "    def __len__(self): return 9\n"
        "loader = DataLoader(Slow(), num_workers=1, persistent_workers=True)\n"
        "batches = iter(loader)\n"
        "print(next(batches).item(), flush=True)\n"
        "del batches\n"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")
