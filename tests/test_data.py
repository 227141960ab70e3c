"""Datasets, samplers, collation and the loader, compared with PyTorch's and with plain loops."""

import gc
import subprocess
import sys
import threading
import traceback
from collections import Counter, OrderedDict, UserDict, UserList, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch_cnn as torch
from minitorch_cnn.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    batch_generator,
    default_collate,
    default_convert,
    random_split,
)

Point = namedtuple("Point", ["x", "y"])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def plain(structure):
    """A structure of tensors with (dtype, nested list) for each tensor, comparable with ==."""
    if type(structure).__name__ == "Tensor":
        return str(structure.dtype), tuple(structure.shape), structure.tolist()
    if isinstance(structure, (dict, UserDict)):
        return {key: plain(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple, UserList)):
        return type(structure).__name__, [plain(value) for value in structure]
    return structure


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("DataLoader")]


class Counting(Dataset):
    """Sample i is i; remembers what it was asked for."""

    def __init__(self, size):
        self.size = size
        self.asked = []

    def __getitem__(self, index):
        self.asked.append(index)
        return index

    def __len__(self):
        return self.size


class Noise(Dataset):
    """Every sample is its index and a random number."""

    def __getitem__(self, index):
        return index, torch.rand(1, generator=batch_generator()).item()

    def __len__(self):
        return 30


class PlainNoise(Noise):
    """Draws from the default generator, as code for PyTorch does."""

    def __getitem__(self, index):
        return index, torch.rand(1).item()


class Batched(Dataset):
    """Hands out whole batches that tell where they come from."""

    def __getitem__(self, index):
        return "one by one", index

    def get_batch(self, indices):
        assert isinstance(indices, np.ndarray)
        assert indices.dtype == np.int64
        return ["whole batch", torch.from_numpy(indices)]

    def __len__(self):
        return 10


class TestSamplers:
    def test_sequential(self):
        assert list(SequentialSampler("abc")) == [0, 1, 2]
        assert len(SequentialSampler("abc")) == 3

    @given(size=st.integers(1, 50), draws=st.integers(1, 120), seed=st.integers(0, 2**40))
    def test_random_without_replacement_uses_all_before_any_comes_again(self, size, draws, seed):
        sampler = RandomSampler(range(size), num_samples=draws, generator=seeded(seed))
        drawn = list(sampler)
        assert len(drawn) == len(sampler) == draws
        for start in range(0, draws, size):
            part = drawn[start : start + size]
            assert len(set(part)) == len(part)
            assert set(part) <= set(range(size))

    def test_random_with_replacement_is_uniform(self):
        drawn = list(RandomSampler(range(4), True, 20_000, generator=seeded(1)))
        counts = Counter(drawn)
        assert sorted(counts) == [0, 1, 2, 3]
        # Six standard deviations of a binomial count with p = 1/4.
        assert all(abs(count - 5000) < 6 * (20_000 * 3 / 16) ** 0.5 for count in counts.values())

    def test_random_follows_its_generator(self):
        one, same = (RandomSampler(range(100), generator=seeded(5)) for _ in range(2))
        assert list(one) == list(same)
        assert list(one) != list(range(100))

    def test_random_without_generator_follows_the_global_seed(self):
        sampler = RandomSampler(range(100))
        torch.manual_seed(7)
        first, second = list(sampler), list(sampler)
        torch.manual_seed(7)
        assert list(sampler) == first
        assert first != second

    def test_random_draws_one_number_from_the_global_generator_however_far_it_is_walked(self):
        states = []
        for steps in (1, 50):
            torch.manual_seed(7)
            walk = iter(RandomSampler(range(100), replacement=True, num_samples=5000))
            for _ in range(steps):
                next(walk)
            states.append(torch.rand(3).tolist())
        assert states[0] == states[1]

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"replacement": 1}, TypeError, "replacement=1"),
            ({"num_samples": 0}, ValueError, "num_samples=0"),
            ({"num_samples": -3}, ValueError, "num_samples=-3"),
            ({"num_samples": 2.5}, ValueError, "num_samples=2.5"),
        ],
    )
    def test_random_refuses(self, arguments, error, words):
        with pytest.raises(error, match=words):
            RandomSampler(range(5), **arguments)

    def test_random_refuses_an_empty_source(self):
        with pytest.raises(ValueError, match="num_samples=0"):
            RandomSampler([])
        with pytest.raises(ValueError, match="empty data source"):
            list(RandomSampler([], num_samples=3))

    @given(size=st.integers(0, 40), batch_size=st.integers(1, 12), drop_last=st.booleans())
    def test_batches(self, size, batch_size, drop_last):
        sampler = BatchSampler(range(size), batch_size, drop_last)
        batches = list(sampler)
        starts = range(0, size, batch_size)
        expected = [list(range(size))[start : start + batch_size] for start in starts]
        if drop_last:
            expected = [batch for batch in expected if len(batch) == batch_size]
        assert batches == expected
        assert len(sampler) == len(expected)

    @pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, None])
    def test_batch_size_is_checked(self, batch_size):
        with pytest.raises(ValueError, match=f"batch_size={batch_size}"):
            BatchSampler(range(5), batch_size, False)

    def test_drop_last_is_checked(self):
        with pytest.raises(ValueError, match="drop_last=1"):
            BatchSampler(range(5), 2, 1)

    def test_base_class_says_what_is_missing(self):
        with pytest.raises(NotImplementedError, match="Half does not define __iter__"):
            iter(type("Half", (Sampler,), {})())


class TestDatasets:
    def test_base_class_says_what_is_missing(self):
        with pytest.raises(NotImplementedError, match="Half does not define __getitem__"):
            type("Half", (Dataset,), {})()[0]

    def test_tensor_dataset(self):
        rows, labels = torch.arange(12).reshape(6, 2), torch.arange(6)
        dataset = TensorDataset(rows, labels)
        assert len(dataset) == 6
        assert plain(dataset[4]) == plain((rows[4], labels[4]))
        assert plain(dataset[1:3]) == plain((rows[1:3], labels[1:3]))

    @given(indices=st.lists(st.integers(-6, 5), min_size=1, max_size=8))
    def test_tensor_dataset_batch_equals_collated_samples(self, indices):
        dataset = TensorDataset(torch.arange(12.0).reshape(6, 2), torch.arange(6))
        batch = dataset.get_batch(np.array(indices))
        assert plain(batch) == plain(default_collate([dataset[i] for i in indices]))

    def test_tensor_dataset_refuses(self):
        with pytest.raises(AssertionError, match=r"\[3, 4\]"):
            TensorDataset(torch.zeros(3), torch.zeros(4))
        with pytest.raises(IndexError, match="at least one"):
            TensorDataset()

    def test_subset(self):
        subset = Subset("abcdef", [5, 0, 3])
        assert len(subset) == 3
        assert [subset[i] for i in range(3)] == ["f", "a", "d"]
        assert subset.__getitems__([2, 0]) == ["d", "f"]

    def test_subset_takes_a_list_where_its_dataset_does(self):
        subset = Subset(np.arange(10) * 10, [5, 0, 3])
        assert subset[[2, 0]].tolist() == [30, 50]

    def test_subset_of_subset_forwards_batches(self):
        inner = Subset(Batched(), [9, 8, 7, 6])
        batch = Subset(inner, [3, 1]).get_batch(np.array([0, 1]))
        assert batch[0] == "whole batch"
        assert batch[1].tolist() == [6, 8]

    def test_subset_collates_where_its_dataset_has_no_batches(self):
        batch = Subset(Counting(10), [4, 5, 6]).get_batch(np.array([2, 0]))
        assert batch.tolist() == [6, 4]

    @given(
        lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(lambda x: sum(x) != 1),
        seed=st.integers(0, 2**40),
    )
    def test_random_split_by_lengths(self, lengths, seed):
        size = sum(lengths)
        parts = random_split(range(100, 100 + size), lengths, seeded(seed))
        assert [len(part) for part in parts] == lengths
        assert sorted(sample for part in parts for sample in part) == list(range(100, 100 + size))
        again = random_split(range(size), lengths, seeded(seed))
        assert [part.indices for part in parts] == [part.indices for part in again]

    @pytest.mark.parametrize(
        ("size", "fractions"),
        [(10, [0.75, 0.25]), (30, [0.3, 0.3, 0.4]), (11, [0.25] * 4), (7, [1])],
    )
    def test_random_split_by_fractions_counts_as_pytorch_does(self, size, fractions):
        peer = pytest.importorskip("torch").utils.data
        expected = [len(part) for part in peer.random_split(range(size), fractions)]
        parts = random_split(range(size), fractions, seeded(0))
        assert [len(part) for part in parts] == expected
        assert sorted(sample for part in parts for sample in part) == list(range(size))

    def test_random_split_shuffles(self):
        (part,) = random_split(range(100), [100], seeded(0))
        assert part.indices != list(range(100))

    def test_random_split_warns_of_an_empty_part(self):
        with pytest.warns(UserWarning, match="index 1 is empty"):
            parts = random_split(range(3), [0.9, 0.1])
        assert [len(part) for part in parts] == [3, 0]

    @pytest.mark.parametrize(
        ("lengths", "words"),
        [
            ([3, 3], r"\[3, 3\].*length 10"),
            ([11, -1], r"\[11, -1\]"),
            ([9.5, 0.5], r"\[9.5, 0.5\]"),
            ([0.5, 0.4], r"fractions that add up to 1"),
            ([1.5, -0.5], "fraction 1.5 at index 0"),
        ],
    )
    def test_random_split_refuses(self, lengths, words):
        with pytest.raises(ValueError, match=words):
            random_split(range(10), lengths)


def samples(framework):
    """Batches of every kind of sample, with tensors of the given framework."""
    t = framework.tensor
    return {
        "tensors": [t([1.5, 2.0]), t([3.0, 4.0])],
        "arrays": [np.array([[1, 2]], np.uint8), np.array([[3, 4]], np.uint8)],
        "double arrays": [np.array(1.5), np.array(2.5)],
        "numpy numbers": [np.float32(1.5), np.float32(2.5)],
        "numpy integers": [np.int16(3), np.int16(-4)],
        "floats": [0.1, 0.2],
        "integers": [2**40, -1],
        "booleans": [True, False],
        "strings": ["a", "b"],
        "bytes": [b"a", b"b"],
        "tuples": [(1, "a", t(0.5)), (2, "b", t(1.5))],
        "lists": [[1, 2], [3, 4]],
        "named tuples": [Point(1, 2.0), Point(3, 4.0)],
        "dictionaries": [{"a": 1, "b": [1.0]}, {"a": 2, "b": [2.0]}],
        "ordered": [OrderedDict(a=1), OrderedDict(a=2)],
        "user dictionaries": [UserDict(a=1), UserDict(a=2)],
        "user lists": [UserList([1, 2]), UserList([3, 4])],
        "ranges": [range(2), range(2, 4)],
        "nested": [{"x": (Point(1, [2.0, "s"]), np.ones(2))}] * 3,
    }


class TestCollate:
    @pytest.mark.parametrize("kind", samples(torch))
    def test_as_pytorch(self, kind):
        peer = pytest.importorskip("torch")
        expected = peer.utils.data.default_collate(samples(peer)[kind])
        assert plain(default_collate(samples(torch)[kind])) == plain(expected)

    @pytest.mark.parametrize("kind", samples(torch))
    def test_convert_as_pytorch(self, kind):
        peer = pytest.importorskip("torch")
        # PyTorch turns every tuple that has no names into a list, as default_collate does.
        expected = [peer.utils.data.default_convert(sample) for sample in samples(peer)[kind]]
        actual = [default_convert(sample) for sample in samples(torch)[kind]]
        assert plain(actual) == plain(expected)

    def test_integers_floats_and_bytes_by_hand(self):
        batch = default_collate([(1, 0.5, b"x", np.ones(2, np.float32))] * 2)
        assert isinstance(batch, list)
        assert [part.dtype for part in (batch[0], batch[1], batch[3])] == [
            torch.int64,
            torch.float64,
            torch.float32,
        ]
        assert batch[2] == (b"x", b"x")
        assert batch[3].tolist() == [[1, 1], [1, 1]]

    def test_a_mapping_keeps_its_type_and_what_it_holds_besides(self):
        class Tagged(dict):
            tag = "none"

        first = Tagged(a=1)
        first.tag = "kept"
        batch = default_collate([first, Tagged(a=2)])
        assert type(batch) is Tagged
        assert batch.tag == "kept"
        assert batch["a"].tolist() == [1, 2]
        assert first["a"] == 1

    def test_a_mapping_that_takes_no_items_becomes_a_dict(self):
        class Fixed(dict):
            def __setitem__(self, key, value):
                raise TypeError("fixed")

        batch = default_collate([Fixed(a=1), Fixed(a=1)])
        assert type(batch) is dict
        assert batch["a"].tolist() == [1, 1]

    @pytest.mark.parametrize("leaf", [None, object(), {1, 2}, np.array(["a"]), np.array([None])])
    def test_refuses_other_types(self, leaf):
        with pytest.raises(TypeError, match="batch must contain tensors, numpy arrays, numbers"):
            default_collate([leaf, leaf])

    def test_refuses_samples_that_differ(self):
        with pytest.raises(RuntimeError, match=r"equal size, but the sizes are \[2, 3\]"):
            default_collate([[1, 2], [1, 2, 3]])
        with pytest.raises(RuntimeError):
            default_collate([np.zeros(2), np.zeros(3)])
        with pytest.raises(KeyError, match="b"):
            default_collate([{"a": 1, "b": 2}, {"a": 1}])

    def test_refuses_an_empty_batch(self):
        with pytest.raises(IndexError, match="no samples"):
            default_collate([])


class TestLoader:
    @given(
        size=st.integers(1, 40),
        batch_size=st.integers(1, 12),
        drop_last=st.booleans(),
        shuffle=st.booleans(),
        num_workers=st.integers(0, 3),
    )
    def test_covers_each_index_once(self, size, batch_size, drop_last, shuffle, num_workers):
        loader = DataLoader(
            Counting(size), batch_size, shuffle, num_workers=num_workers, drop_last=drop_last
        )
        batches = [batch.tolist() for batch in loader]
        assert len(loader) == len(batches)
        seen = [index for batch in batches for index in batch]
        kept = size - size % batch_size if drop_last else size
        assert len(seen) == len(set(seen)) == kept
        assert set(seen) <= set(range(size))
        assert all(len(batch) == batch_size for batch in batches[:-1])
        if not shuffle:
            assert seen == list(range(kept))

    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_shuffles_anew_each_time_and_alike_for_equal_seeds(self, num_workers):
        def epochs(seed):
            loader = DataLoader(range(50), 7, True, num_workers=num_workers, generator=seeded(seed))
            return [[batch.tolist() for batch in loader] for _ in range(3)]

        first, second, third = epochs(3)
        assert first != second != third
        assert epochs(3) == [first, second, third]
        assert epochs(4)[0] != first

    @pytest.mark.parametrize("kind", [Noise, PlainNoise])
    @pytest.mark.parametrize("generator", ["own", "global"])
    def test_random_samples_do_not_depend_on_the_number_of_workers(self, generator, kind):
        runs = []
        for workers, prefetch in ((0, None), (1, 1), (2, 2), (5, 3)):
            torch.manual_seed(11)
            loader = DataLoader(
                kind(),
                4,
                shuffle=True,
                num_workers=workers,
                prefetch_factor=prefetch,
                generator=seeded(8) if generator == "own" else None,
            )
            runs.append([plain(batch) for _ in range(2) for batch in loader])
        assert all(run == runs[0] for run in runs)
        numbers = {number for batch in runs[0] for number in batch[1][1][2]}
        assert len(numbers) == 60  # no two samples of the two epochs share a number

    def test_batch_generator_exists_only_while_a_batch_is_prepared(self):
        inside = []
        list(DataLoader(range(2), collate_fn=lambda batch: inside.append(batch_generator())))
        assert inside[0] is not None
        assert batch_generator() is None

    def test_making_batches_leaves_the_default_generator_where_it_was(self):
        torch.manual_seed(1)
        batches = iter(DataLoader(PlainNoise(), 10))
        state = torch.get_rng_state()
        next(batches)
        assert torch.equal(torch.get_rng_state(), state)
        list(DataLoader(range(2), collate_fn=lambda batch: torch.manual_seed(5)))
        assert torch.initial_seed() == 1

    def test_loader_within_a_loader_keeps_both_batches_generators(self):
        class Outer(Noise):
            def __getitem__(self, index):
                before = batch_generator()
                list(DataLoader(Noise(), 30, generator=seeded(1)))
                assert batch_generator() is before
                return super().__getitem__(index)

        batches = []
        for dataset in (Noise(), Outer()):
            torch.manual_seed(0)
            batches.append(plain(next(iter(DataLoader(dataset, 10)))))
        assert batches[0] == batches[1]

    def test_samplers_of_ones_own(self):
        assert plain(list(DataLoader("abcd", 2, sampler=[3, 1, 0]))) == plain([["d", "b"], ["a"]])
        loader = DataLoader("abcd", batch_sampler=[[3], [1, 0]], num_workers=2)
        assert list(loader) == [["d"], ["b", "a"]]
        assert len(loader) == 2
        assert loader.batch_size is None

    def test_keys_need_not_be_numbers(self):
        assert list(DataLoader({"x": "one", "y": "two"}, sampler=["y", "x"])) == [["two"], ["one"]]

    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_without_batches(self, num_workers):
        loader = DataLoader([np.ones(2), "text", 3], batch_size=None, num_workers=num_workers)
        assert len(loader) == 3
        array, text, number = loader
        assert array.tolist() == [1, 1]
        assert isinstance(array, torch.Tensor)
        assert (text, number) == ("text", 3)

    def test_collate_fn(self):
        assert list(DataLoader(range(5), 2, collate_fn=tuple)) == [(0, 1), (2, 3), (4,)]

    def test_list_of_samples_at_once(self):
        class AtOnce(Counting):
            def __getitems__(self, indices):
                return [-index for index in indices]

        assert next(iter(DataLoader(AtOnce(4), 4))).tolist() == [0, -1, -2, -3]

    def test_empty_dataset(self):
        assert list(DataLoader([], 4)) == []
        assert list(DataLoader([], 4, num_workers=2)) == []
        with pytest.raises(ValueError, match="num_samples=0"):
            DataLoader([], 4, shuffle=True)


class TestWholeBatches:
    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_dataset_hands_them_out(self, num_workers):
        loader = DataLoader(Batched(), 4, num_workers=num_workers)
        batches = list(loader)
        assert [batch[0] for batch in batches] == ["whole batch"] * 3
        assert [batch[1].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    def test_not_for_a_collate_fn_of_ones_own(self):
        (batch,) = DataLoader(Batched(), 10, collate_fn=lambda batch: batch)
        assert batch[3] == ("one by one", 3)

    def test_not_where_a_subclass_overrides_the_samples(self):
        class Doubled(Batched):
            def __getitem__(self, index):
                return "doubled", 2 * index

        class Both(Doubled):
            def get_batch(self, indices):
                return "both"

        assert next(iter(DataLoader(Doubled(), 2)))[1].tolist() == [0, 2]
        assert next(iter(DataLoader(Subset(Doubled(), [4, 5]), 2)))[1].tolist() == [8, 10]
        assert next(iter(DataLoader(Both(), 2))) == "both"

    def test_of_a_dataset_without_samples(self):
        class OnlyBatches:
            def get_batch(self, indices):
                return indices.sum()

            def __len__(self):
                return 4

        assert list(DataLoader(OnlyBatches(), 2)) == [1, 5]


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"num_workers": -1}, "num_workers option should be non-negative, but got -1"),
            ({"prefetch_factor": 2}, "prefetch_factor=2 needs workers"),
            ({"num_workers": 1, "prefetch_factor": 0}, "positive, but got 0"),
            ({"sampler": [0], "shuffle": True}, "mutually exclusive with shuffle"),
            ({"batch_sampler": [[0]], "batch_size": 2}, "batch_size=2"),
            ({"batch_sampler": [[0]], "shuffle": True}, "shuffle=True"),
            ({"batch_sampler": [[0]], "sampler": [0]}, r"sampler=\[0\]"),
            ({"batch_sampler": [[0]], "drop_last": True}, "drop_last=True"),
            ({"batch_size": None, "drop_last": True}, "batch_size=None option disables"),
            ({"batch_size": 0}, "batch_size=0"),
            ({"batch_size": 2.5}, "batch_size=2.5"),
            ({"drop_last": 1}, "drop_last=1"),
        ],
    )
    def test_refused_as_by_pytorch(self, arguments, words):
        with pytest.raises(ValueError, match=words):
            DataLoader(range(5), **arguments)

    @pytest.mark.parametrize("arguments", [{"num_workers": 1.5}, {"num_workers": "2"}])
    def test_workers_are_counted_in_whole_numbers(self, arguments):
        with pytest.raises(TypeError):
            DataLoader(range(5), **arguments)

    @pytest.mark.parametrize(
        "name", ["batch_size", "batch_sampler", "sampler", "drop_last", "dataset"]
    )
    def test_what_cannot_be_changed_later(self, name):
        loader = DataLoader(range(5))
        with pytest.raises(ValueError, match=f"{name} attribute should not be set"):
            setattr(loader, name, None)

    def test_what_can(self):
        loader = DataLoader(range(4), 2)
        loader.collate_fn, loader.num_workers, loader.prefetch_factor = tuple, 2, 1
        assert list(loader) == [(0, 1), (2, 3)]

    def test_defaults(self):
        loader = DataLoader(range(5), num_workers=3)
        assert loader.prefetch_factor == 2
        assert DataLoader(range(5)).prefetch_factor is None
        assert isinstance(loader.sampler, SequentialSampler)
        assert isinstance(DataLoader(range(5), shuffle=True).sampler, RandomSampler)


class Trap(Counting):
    """Sample 5 raises."""

    def __getitem__(self, index):
        if index == 5:
            raise LookupError("sample five is a trap")
        return super().__getitem__(index)


class TestWorkers:
    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_exception_arrives_in_its_place_with_its_traceback(self, num_workers):
        loader = DataLoader(Trap(20), 2, num_workers=num_workers)
        batches = iter(loader)
        assert [next(batches).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
        with pytest.raises(LookupError, match="sample five is a trap") as caught:
            next(batches)
        frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert frames[-1] == "__getitem__"
        assert next(batches, None) is None
        assert loader_threads() == []

    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_stop_iteration_in_a_dataset_does_not_end_the_epoch_silently(self, num_workers):
        class Stops(Counting):
            def __getitem__(self, index):
                raise StopIteration

        with pytest.raises(RuntimeError, match="StopIteration"):
            list(DataLoader(Stops(4), num_workers=num_workers))

    def test_batches_are_made_ahead_in_other_threads_but_not_further_than_asked(self):
        # The first two batches wait for each other, so each has a thread of its own.
        meet = threading.Barrier(2, timeout=30)

        class Meeting(Counting):
            def __getitem__(self, index):
                if index < 2:
                    meet.wait()
                return super().__getitem__(index), threading.current_thread().name

        dataset = Meeting(100)
        batches = iter(DataLoader(dataset, num_workers=2, prefetch_factor=3))
        _, names = next(batches)
        assert names[0].startswith("DataLoader")
        batches.close()
        # Six at the start, and one for the one taken.
        assert len(dataset.asked) <= 7

    def test_samplers_run_in_the_callers_thread(self):
        threads = set()

        class Watched(Sampler):
            def __iter__(self):
                for index in range(10):
                    threads.add(threading.current_thread())
                    yield index

        list(DataLoader(range(10), sampler=Watched(), num_workers=2))
        assert threads == {threading.current_thread()}

    def test_order_is_kept_when_later_batches_are_ready_first(self):
        later = threading.Event()

        class Slow(Counting):
            def __getitem__(self, index):
                if index == 0:
                    assert later.wait(timeout=30)
                elif index == 1:
                    later.set()
                return index

        batches = DataLoader(Slow(8), num_workers=2)
        assert [batch.item() for batch in batches] == list(range(8))

    def test_threads_end_with_the_epoch(self):
        assert len(list(DataLoader(range(20), num_workers=3))) == 20
        assert loader_threads() == []

    def test_threads_end_when_the_epoch_is_broken_off(self):
        for number, _ in enumerate(DataLoader(range(100), num_workers=3)):
            if number == 2:
                break
        assert loader_threads() == []

    def test_threads_end_when_the_iterator_is_dropped(self):
        batches = iter(DataLoader(range(100), num_workers=3))
        next(batches)
        assert loader_threads() != []
        del batches
        assert loader_threads() == []

    def test_iterator_in_a_cycle_may_be_collected_by_its_own_worker(self):
        """Garbage collection runs in whichever thread allocates: the worker must not hang."""

        class Collecting(Counting):
            def __getitem__(self, index):
                if index == 1:
                    dropped.wait(timeout=30)
                    gc.collect()
                return index

        dropped = threading.Event()
        holder = {"batches": iter(DataLoader(Collecting(50), num_workers=1, prefetch_factor=2))}
        holder["self"] = holder
        next(holder["batches"])
        workers = loader_threads()
        gc.disable()
        try:
            del holder
            dropped.set()
            for worker in workers:
                worker.join(timeout=30)
                assert not worker.is_alive()
        finally:
            gc.enable()

    def test_several_epochs_of_one_loader_at_once(self):
        loader = DataLoader(range(10), num_workers=2)
        assert [(a.item(), b.item()) for a, b in zip(loader, loader, strict=True)] == [
            (i, i) for i in range(10)
        ]
        assert loader_threads() == []

    def test_program_ends_with_an_epoch_half_way(self):
        program = (
            "from minitorch_cnn.utils.data import DataLoader\n"
            "batches = iter(DataLoader(range(1000), num_workers=2))\n"
            "print(next(batches).item())"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")
