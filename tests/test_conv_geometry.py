"""The tables of a convolution against its definition: who meets whom, and where."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_cnn.kernels.cpu import conv_geometry as g

from .strategies import Conv, convs


def meetings(adjoint, config):
    """The source row and column for all (r, s, u, v) that meet inside of the source.

    A target's (r, s) and a tap (u, v), by the definition of a convolution or of its adjoint.
    """
    source, target = config.size, config.y_shape[2:]
    if adjoint:
        source, target = target, source
    found = {}
    for r, s, u, v in np.ndindex(*target, *config.kernel):
        place = []
        for at, tap, axis in ((r, u, 0), (s, v, 1)):
            reach = tap * config.dilation[axis] - config.padding[axis]
            if not adjoint:
                place.append(at * config.stride[axis] + reach)
            elif (at - reach) % config.stride[axis] == 0:
                place.append((at - reach) // config.stride[axis])
        if len(place) == 2 and 0 <= place[0] < source[0] and 0 <= place[1] < source[1]:
            found[r, s, u, v] = tuple(place)
    return found


def table(tables, name):
    """What lies from a table's start on."""
    return tables[tables[name] :]


def tabled(plan, adjoint, config, channels, weight_step, lanes):
    """The same by the tables, for the first channel and for the last.

    Everything that the tables lead to is checked to be inside the source.
    """
    t = plan.tables
    source, target = config.size, config.y_shape[2:]
    if adjoint:
        source, target = target, source
    block, width = t[g.BLOCK], target[1]
    if t[g.COPIED]:
        shape = channels, t[g.DOWN], t[g.ACROSS], t[g.ROWS], t[g.COLUMNS]
        assert plan.source_size >= np.prod(shape)
    else:
        shape = (channels, 1, 1, *source)
    starts, weights = table(t, g.STARTS), table(t, g.WEIGHTS)
    places, targets, seen = (table(t, name) for name in (g.PLACES, g.TARGETS, g.SEEN))
    found = [{}, {}]
    for part in range(t[g.BLOCKS]):
        rows = min(block, target[0] - part * block)
        first = part * t[g.ADVANCE]
        for f in range(t[g.PHASES]):
            count = table(t, g.ROW_ENDS)[f * (block + 1) + rows]
            p0, p1 = table(t, g.PLACE_ENDS)[f : f + 2]
            assert count <= min(p1 - p0, t[g.POSITIONS])
            valid = table(t, g.VALID)[f]
            terms = range(*table(t, g.TERM_ENDS)[f : f + 2])
            for p in range(p0, p0 + count):
                r, s = divmod(part * block * width + targets[p], width)
                for term in terms:
                    c, tap = divmod(weights[term], weight_step)
                    u, v = divmod(tap, config.kernel[1])
                    at = starts[term] + places[p]
                    # A whole vector is read, whatever of it counts.
                    below = plan.source_size if t[g.COPIED] else np.prod(shape) - first * source[1]
                    assert 0 <= at <= below - lanes
                    if c not in (0, channels - 1):
                        continue
                    for lane in range(seen[p], valid):
                        here = np.unravel_index(at + lane, shape)
                        assert here[0] == c
                        i, j = here[3] + first, here[4]
                        if t[g.COPIED]:
                            i = i * t[g.ROW_STEP] + here[1] - t[g.TOP]
                            j = j * t[g.COLUMN_STEP] + here[2] - t[g.LEFT]
                        meeting = r, s + lane * t[g.APART], u, v
                        for k in {0, 1} if channels == 1 else {int(c == channels - 1)}:
                            assert meeting not in found[k]
                            found[k][meeting] = i, j
    return [
        {at: (i, j) for at, (i, j) in one.items() if 0 <= i < source[0] and 0 <= j < source[1]}
        for one in found
    ]


@given(
    convs(max_channels=2),
    st.booleans(),
    st.sampled_from([1, 4, 8]),
    st.integers(1, 12),
)
@example(Conv(1, 2, 2, (9, 7), (1, 1), (2, 3), (0, 0), (1, 1), 1), True, 1, 4)
@example(Conv(1, 2, 2, (9, 20), (2, 3), (4, 2), (1, 0), (1, 1), 1), True, 4, 5)
@example(Conv(1, 1, 1, (12, 40), (3, 3), (1, 1), (0, 0), (1, 1), 1), False, 8, 5)
@example(Conv(1, 1, 1, (12, 40), (3, 3), (1, 2), (0, 1), (2, 1), 1), False, 8, 3)
@settings(max_examples=60)
def test_tables_lead_to_every_term_of_the_definition_once(config, adjoint, lanes, block):
    channels = config.c // config.groups
    source, target = config.size, config.y_shape[2:]
    if adjoint:
        source, target = target, source
    taps = config.kernel[0] * config.kernel[1]
    options = config.kernel, config.stride, config.padding, config.dilation
    plan = g.geometry(adjoint, channels, taps, source, target, *options, lanes, block)
    assert plan.terms == channels * taps
    expected = meetings(adjoint, config)
    for found in tabled(plan, adjoint, config, channels, taps, lanes):
        assert found == expected


def test_the_source_is_used_in_place_unless_a_vector_could_leave_it():
    def copied(kernel, padding, stride, size, lanes):
        target = tuple(n + 2 * padding - kernel + 1 for n in size)
        pairs = [(value, value) for value in (kernel, stride, padding, 1)]
        return g.geometry(False, 2, kernel**2, size, target, *pairs, lanes, 4).copied

    assert not copied(3, 0, 1, (8, 12), 8)
    assert copied(3, 0, 1, (8, 9), 8)  # rows of seven: less than a vector
    assert not copied(3, 0, 1, (8, 9), 1)
    assert copied(3, 1, 1, (8, 12), 8)
    assert copied(3, 1, 1, (8, 12), 1)
    assert not copied(1, 0, 1, (8, 12), 8)
