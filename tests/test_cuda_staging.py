"""Pinned memory, and that no step waits for the GPU. Without a GPU."""

import collections
import gc

import numpy as np
import pytest

import minitorch_cnn as torch
from minitorch_cnn import memory
from minitorch_cnn.kernels.cuda import buffer, driver
from minitorch_cnn.utils.data import DataLoader, TensorDataset

from .cuda_device import needs_numba_cuda, stand_in
from .test_cuda_plan import Trainer, batches

pytestmark = [needs_numba_cuda, pytest.mark.filterwarnings("ignore::RuntimeWarning")]


@pytest.fixture(autouse=True)
def device():
    with stand_in():
        yield


@pytest.fixture
def asked(monkeypatch):
    """How often the driver was asked for something, by name."""
    counts = collections.Counter()

    def counted(name):
        before = getattr(driver, name)

        def ask(*args):
            counts[name] += 1
            return before(*args)

        monkeypatch.setattr(driver, name, ask)

    for name in ("allocate", "download", "finish", "pinned", "send", "synchronize", "upload"):
        counted(name)
    return counts


@pytest.mark.parametrize("compiled", [False, True])
def test_no_step_waits(asked, compiled):
    """What a step asks of the driver, besides launches, is to copy from pinned memory some time:
    where the gradients are, and of a compiled step nothing."""
    trainer = Trainer()
    step = torch.compile(trainer.step) if compiled else trainer.step
    data = batches(2, 2, 2, 2)
    for x, y in data[:3]:
        step(x, y)
    asked.clear()
    loss = step(*data[3])
    assert set(asked) == (set() if compiled else {"send"})
    assert loss.item() > 0
    assert asked["download"] == 1


def test_a_rate_that_changes_does_not_wait(asked):
    trainer = Trainer()
    step = torch.compile(trainer.step)
    ((x, y),) = batches(2)
    for _ in range(3):
        step(x, y)
    asked.clear()
    trainer.optimizer.param_groups[0]["lr"] = 0.5
    step(x, y)
    assert asked == {"send": 1}


def test_tensors_are_pinned():
    x = torch.arange(6.0).reshape(2, 3)
    assert not x.is_pinned()
    pinned = x.t().pin_memory()
    assert pinned.is_pinned()
    assert pinned[1:].is_pinned()
    assert pinned.pin_memory() is pinned
    assert pinned.device.type == "cpu"
    np.testing.assert_array_equal(pinned.numpy(), x.numpy().T)
    assert not (pinned + 1).is_pinned()
    assert torch.empty(0, 3).pin_memory().shape == (0, 3)
    with pytest.raises(RuntimeError, match="cannot pin a tensor on 'cuda:0'"):
        x.to("cuda").pin_memory()


def test_pinned_memory_is_used_again(asked, monkeypatch):
    monkeypatch.setattr(buffer, "staging", buffer.Staging(4096))
    x = torch.ones(100).pin_memory()
    address, view = x.data_ptr(), x[3:]
    del x
    gc.collect()
    assert torch.ones(100).pin_memory().data_ptr() != address  # a view holds it
    del view
    gc.collect()
    assert address in [torch.ones(100).pin_memory().data_ptr() for _ in range(2)]
    assert asked["pinned"] == 2


def test_only_pinned_memory_is_copied_later(asked):
    x = torch.arange(1 << 19).reshape(2, -1)  # more than is staged by itself
    pinned = x.pin_memory()
    for source, options, way in (
        (pinned, {"non_blocking": True}, "send"),
        (pinned, {}, "upload"),
        (x, {"non_blocking": True}, "upload"),
        (pinned.t(), {"non_blocking": True}, "upload"),
    ):
        asked.clear()
        there = source.to("cuda", **options)
        assert asked[way] == 1
        assert asked["send"] + asked["upload"] == 1
        np.testing.assert_array_equal(there.cpu().numpy(), source.numpy())
    asked.clear()
    back = pinned.cuda(non_blocking=True).to("cpu", non_blocking=True)
    assert asked["download"] == 1
    np.testing.assert_array_equal(back.numpy(), x.numpy())


def test_memory_stays_until_the_gpu_has_read_it(monkeypatch):
    """An event tells when; until then the copy may still be to come."""

    class Event:
        done = False

        def query(self):
            return self.done

    events, sent = [], []

    def send(there, array):
        events.append(Event())
        sent.append((there, array))
        return events[-1]

    monkeypatch.setattr(driver, "send", send)
    monkeypatch.setattr(buffer, "staging", buffer.Staging())
    monkeypatch.setattr(buffer, "_under_way", collections.deque())
    x = torch.ones(4).pin_memory()
    address = x.data_ptr()
    y = x.to("cuda", non_blocking=True)
    sent.clear()
    del x
    gc.collect()
    other = torch.zeros(4).pin_memory()
    assert other.data_ptr() != address
    events[0].done = True
    z = other.to("cuda", non_blocking=True)  # looks what has been read by now
    assert len(buffer._under_way) == 1
    assert torch.ones(4).pin_memory().data_ptr() == address
    assert y.shape == z.shape


def test_a_copy_in_a_compiled_step_is_made_each_time():
    weight = torch.ones(3, device="cuda")

    @torch.compile
    def step(x):
        return x.to("cuda", non_blocking=True) + weight

    for value in (1.0, 2.0, 3.0):
        y = step(torch.full((3,), value).pin_memory())
        assert y.tolist() == [value + 1] * 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_pins_its_batches(workers):
    class Named(dict):
        """What a collate function may return."""

    data = TensorDataset(torch.arange(6.0), torch.arange(6))
    for collate in (None, lambda samples: Named(x=samples[0][0], names=["a"], y=(samples[1][1],))):
        loader = DataLoader(
            data, batch_size=2, pin_memory=True, num_workers=workers, collate_fn=collate
        )
        found = list(loader)
        assert len(found) == 3
        for i, batch in enumerate(found):
            if collate is None:
                x, y = batch
                assert x.tolist() == y.tolist() == [2 * i, 2 * i + 1]
            else:
                assert type(batch) is Named
                x, (y,) = batch["x"], batch["y"]
                assert batch["names"] == ["a"]
            assert x.is_pinned()
            assert y.is_pinned()
    (x, _), *_ = DataLoader(data, batch_size=2)
    assert not x.is_pinned()


def test_who_owns_pinned_memory():
    x = torch.ones(3).pin_memory()
    assert memory.is_pinned(x._buffer)
    assert not memory.owns(x._buffer)
    assert not memory.is_pinned(torch.ones(3, device="cuda")._buffer)
