"""What the profiler says of launches."""

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn.device import observe, observed
from minitorch_cnn.profiler import ProfilerActivity, profile


def work():
    x = mt.ones(8, 4, requires_grad=True)
    for rows in (8, 8, 2):
        (x[:rows] @ mt.ones(4, 3)).relu().sum().backward()


def test_launches_are_counted_by_kernel_and_by_shape():
    with profile(record_shapes=True) as prof:
        work()
    assert not observed()
    relus = [e for e in prof.events() if e.key == "activation.relu"]
    assert [e.input_shapes for e in relus] == [((8, 3),) * 2, ((8, 3),) * 2, ((2, 3),) * 2]
    assert [e.nbytes for e in relus] == [8 * 3 * 4 * 2, 8 * 3 * 4 * 2, 2 * 3 * 4 * 2]
    (together,) = [e for e in prof.key_averages() if e.key == "activation.relu"]
    assert (together.count, together.nbytes) == (3, sum(e.nbytes for e in relus))
    apart = [e for e in prof.key_averages(group_by_input_shape=True) if e.key == "activation.relu"]
    assert [e.count for e in apart] == [2, 1]
    total = prof.key_averages().total_average()
    assert total.count == len(prof.events())
    np.testing.assert_allclose(total.cpu_time_total, sum(e.cpu_time_total for e in prof.events()))
    assert min(e.cpu_time for e in prof.events()) > 0


def test_the_table_is_sorted_and_cut():
    with profile() as prof:
        work()
    events = prof.key_averages()
    lines = events.table(sort_by="cpu_time_total", row_limit=2).splitlines()
    assert lines[0].split() == ["kernel", "shapes", "launches", "bytes", "us", "share"]
    longest = sorted(events, key=lambda e: -e.cpu_time_total)[:2]
    assert [line.split()[0] for line in lines[1:]] == [*[e.key for e in longest], "together"]
    assert len(events.table(row_limit=-1).splitlines()) == len(events) + 2
    with pytest.raises(ValueError, match="sort_by must be one of"):
        events.table(sort_by="beauty")
    with pytest.raises(ValueError, match=r"profile\(record_shapes=True\)"):
        prof.key_averages(group_by_input_shape=True)


def test_it_looks_at_the_devices_asked_for_and_ends_with_its_block():
    seen = []
    before = observe(lambda device, name, function, args, seconds: seen.append(name))
    try:
        prof = profile(activities=[ProfilerActivity.CUDA])
        with pytest.raises(RuntimeError, match="grad can be implicitly created"), prof:
            (mt.ones(3, requires_grad=True) * 2).backward()
        inside = len(seen)
        mt.ones(3)
        assert len(seen) == inside + 1  # who looked on before looks on, inside and after
    finally:
        observe(before)
    assert inside
    assert not prof.events()
    assert prof.key_averages().table().split()[-4:] == ["together", "0", "0", "0.0"]
