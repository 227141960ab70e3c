"""Saved states come back as they were; damaged, foreign and hostile files are refused."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import re
import stat
import struct
import zipfile
import zlib
from collections import OrderedDict, defaultdict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch_cnn as torch
from minitorch_cnn import nn

NUMERIC = ["<f4", "<f8", "<f2", ">f4", "|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<u8"]
TENSOR_DTYPES = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]

STATE = {"w": np.arange(6, dtype="f4").reshape(2, 3), "big": 2**70, "tags": ("a", None, math.inf)}


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def loaded(data, **options):
    return torch.load(io.BytesIO(data), **options)


def round_trip(state):
    return loaded(saved(state))


def assert_same(ours, expected):
    """Equal in type and in every bit, all the way down."""
    assert type(ours) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert ours.dtype is expected.dtype
        assert ours.requires_grad == expected.requires_grad
        assert_same(ours.detach().numpy(), expected.detach().numpy())
    elif isinstance(expected, np.ndarray | np.generic):
        assert ours.dtype == expected.dtype
        assert ours.shape == expected.shape
        assert ours.tobytes() == expected.tobytes()
    elif isinstance(expected, dict):
        assert_same(list(ours), list(expected))
        assert_same(list(ours.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(ours) == len(expected)
        for ours_item, expected_item in zip(ours, expected, strict=True):
            assert_same(ours_item, expected_item)
    elif isinstance(expected, float):
        assert struct.pack("<d", ours) == struct.pack("<d", expected)
    else:
        assert ours == expected


# --------------------------------------------------------------------------- round trips


def numeric_arrays(dtypes):
    return st.sampled_from(dtypes).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
    )


plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**60).map(lambda value: -(value**9))
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.binary(max_size=8)
)
keys = plain | st.tuples(st.integers(), st.text(max_size=2))
leaves = (
    plain
    | numeric_arrays(NUMERIC)
    | numeric_arrays(NUMERIC).filter(lambda array: array.size > 0).map(lambda a: a.flat[0])
    | numeric_arrays(TENSOR_DTYPES).map(torch.from_numpy)
    | st.sets(st.integers() | st.text(max_size=3), max_size=5)
    | st.frozensets(st.binary(max_size=3), max_size=5)
)
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=12,
)


@given(states)
def test_round_trip(state):
    assert_same(round_trip(state), state)


@pytest.mark.parametrize(
    "value",
    [
        10**5000,
        -(2**63),
        2**63,
        -0.0,
        5e-324,
        math.inf,
        struct.unpack("<d", bytes.fromhex("010000000000f8ff"))[0],  # a NaN with sign and payload
        "\ud83d\ude00",  # two surrogates that are no pair, though JSON would make them one
        "\x00\n\u2028",
        torch.Size([2, 3]),
        torch.device("cpu"),
        torch.float64,
        np.float32(0.1),
        np.bool_(True),
        {1: "int", "1": "str", None: 0, (1, b"x"): 2.5, False: 3},
    ],
    ids=lambda value: type(value).__name__,
)
def test_exact_values(value):
    assert_same(round_trip(value), value)


def test_equal_sets_make_equal_files():
    ascending, descending = {0, 8}, {8, 0}
    assert list(ascending) != list(descending)
    assert saved(ascending) == saved(descending)


def test_order_of_dicts_is_kept():
    assert list(round_trip({"b": 0, "a": 1, 3: 2, -1: 3})) == ["b", "a", 3, -1]


@pytest.mark.parametrize("dtype", TENSOR_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (2, 3, 4)])
def test_tensors_of_every_dtype(dtype, shape):
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    tensor = torch.from_numpy(array)
    assert_same(round_trip(tensor), tensor)


def test_requires_grad_and_parameters():
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    state = [leaf, nn.Parameter(leaf.detach()), nn.Parameter(leaf.detach(), requires_grad=False)]
    back = round_trip(state)
    assert_same(back, state)
    assert back[0].is_leaf


def test_result_of_an_op_comes_back_as_a_leaf():
    product = torch.tensor([1.0, 2.0], requires_grad=True) * 3
    back = round_trip(product)
    assert_same(back, product)
    assert back.is_leaf


def test_loaded_tensors_own_writable_memory():
    data = saved(torch.tensor([1.0, 2.0]))
    first, second = loaded(data), loaded(data)
    first.numpy()[0] = 5
    assert second.tolist() == [1.0, 2.0]


def test_views_are_saved_without_their_origin():
    origin = torch.from_numpy(np.arange(100_000.0).reshape(100, 1000))
    for view in (origin[3], origin[:, 5], origin[::20, 10:20], origin.t()[:2]):
        data = saved(view)
        assert len(data) < view.numpy().nbytes + 400
        assert_same(loaded(data), view)


def test_models_and_optimizers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model(torch.ones(2, 1, 5, 5)).sum().backward()
    optimizer.step()
    checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    assert_same(round_trip(checkpoint), checkpoint)


# --------------------------------------------------------------------------- shared memory


def test_one_tensor_stays_one_tensor():
    weight = nn.Parameter(torch.zeros(2, 2))
    back = round_trip({"encoder": weight, "decoder": [weight], "other": torch.zeros(2, 2)})
    assert back["encoder"] is back["decoder"][0]
    assert back["encoder"] is not back["other"]


def test_tied_tensors_share_memory():
    weight = torch.zeros(1000)
    state = {"encoder": weight.detach(), "decoder": weight.detach(), "array": weight.numpy()}
    data = saved(state)
    assert len(data) < weight.numpy().nbytes + 500
    back = loaded(data)
    assert back["encoder"] is not back["decoder"]
    back["encoder"].numpy()[7] = 1
    assert back["decoder"][7].item() == 1
    assert back["array"][7] == 1


def test_equal_address_alone_does_not_tie():
    matrix = torch.from_numpy(np.arange(9.0).reshape(3, 3))
    state = [matrix, matrix.t(), matrix[0], matrix[:, 0], torch.from_numpy(np.arange(9.0))]
    back = round_trip(state)
    assert_same(back, state)
    back[0].numpy()[:] = -1
    assert_same(back[1:], state[1:])


def test_tied_parameters_of_a_model():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    back = round_trip(nn.Sequential(first, second).state_dict())
    back["0.weight"].numpy()[0, 0] = 9
    assert back["1.weight"][0, 0].item() == 9
    assert back["0.bias"].data_ptr() != back["1.bias"].data_ptr()


# ------------------------------------------------------------------------------- refusals

Point = namedtuple("Point", "x y")


class Label(str):
    pass


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"layers": [1, 2, 3, 1j]}, "state['layers'][3]: complex cannot be saved"),
        (object(), "state: object cannot be saved"),
        ({"f": len}, "state['f']: builtin_function_or_method cannot be saved"),
        ({(1, Decimal(1)): 0}, "state[(1, Decimal('1'))][1]: decimal.Decimal cannot be saved"),
        ({"a": {Decimal(1)}}, "state['a'][0]: decimal.Decimal cannot be saved"),
        ([bytearray(b"x")], "state[0]: bytearray cannot be saved"),
        ([Point(1, 2)], "Point cannot be saved; make it a tuple first"),
        ([defaultdict(int)], "state[0]: collections.defaultdict cannot be saved; make it a dict"),
        ({"name": Label("x")}, "Label cannot be saved; make it a str first"),
        ([np.array(["a"])], "state[0]: numpy.ndarray of <U1 cannot be saved"),
        ([np.array([None])], "state[0]: numpy.ndarray of object cannot be saved"),
        ([np.ma.zeros(2)], "of float64 cannot be saved; make it a ndarray first"),
        ([np.complex64(1)], "state[0]: numpy.complex64 cannot be saved"),
        ({"net": nn.Linear(1, 1)}, "Linear cannot be saved; save its state_dict() instead"),
    ],
)
def test_refused_types_are_named_before_anything_is_written(state, message, tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"old")
    file = io.BytesIO()
    for f in (path, file):
        with pytest.raises(TypeError, match="^save: .*" + re.escape(message)):
            torch.save(state, f)
    assert os.listdir(tmp_path) == ["state"]
    assert path.read_bytes() == b"old"
    assert file.getvalue() == b""


def test_containers_that_hold_themselves():
    state = {"a": [1]}
    state["a"].append((2, state))
    with pytest.raises(ValueError, match=r"state\['a'\]\[1\]\[1\]: the dict holds itself"):
        saved(state)


def test_containers_met_twice_are_fine():
    inner = [1, torch.zeros(1)]
    assert_same(round_trip([inner, inner]), [inner, inner])


def nested(depth, container=lambda inner: [inner]):
    state = 0
    for _ in range(depth):
        state = container(state)
    return state


def test_depth_is_limited():
    for container in (lambda inner: [inner], lambda inner: {"key": inner}, lambda inner: (inner,)):
        state = nested(100, container)
        assert_same(round_trip(state), state)
    for depth in (101, 100_000):
        with pytest.raises(ValueError, match="more than 100 nested containers"):
            saved(nested(depth))


@pytest.mark.parametrize("f", [3, None, io.StringIO(), object()])
def test_what_is_no_file(f):
    with pytest.raises(TypeError, match="save: f must be a path or a binary file with write"):
        torch.save({}, f)
    with pytest.raises(TypeError, match="load: f must be a path or a binary file with read"):
        torch.load(f)


# ---------------------------------------------------------------------------------- files


def test_paths(tmp_path):
    for path in (tmp_path / "a", str(tmp_path / "b")):
        torch.save([1], path)
        torch.save([2], path)
        assert torch.load(path) == [2]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "none")
    with pytest.raises(RuntimeError, match=r"folder .*none of .* does not exist"):
        torch.save({}, tmp_path / "none" / "state")
    with pytest.raises(RuntimeError, match="is not a regular file"):
        torch.save({}, tmp_path)
    assert os.listdir(tmp_path) == []


def test_several_states_in_one_file():
    file = io.BytesIO()
    file.write(b"prefix")
    torch.save({"a": torch.tensor([1.0])}, file)
    torch.save(torch.tensor([2]), file)
    file.seek(len(b"prefix"))
    assert torch.load(file)["a"].item() == 1
    assert torch.load(file).item() == 2
    assert file.read() == b""


class Trickle(io.BytesIO):
    """Takes and gives fewer bytes than asked for, as unbuffered files may."""

    def write(self, data):
        return super().write(data[:7])

    def read(self, size=-1):
        return super().read(min(size, 5))


def test_partial_writes_and_reads():
    file = Trickle()
    state = {"w": torch.from_numpy(np.arange(100.0)), "name": "x" * 50}
    torch.save(state, file)
    assert file.getvalue() == saved(state)
    file.seek(0)
    assert_same(torch.load(file), state)


def test_writers_that_report_no_count():
    chunks = []

    class Sink:
        write = chunks.append

    torch.save(STATE, Sink())
    assert b"".join(chunks) == saved(STATE)


def test_arrays_of_several_megabytes():
    array = np.random.default_rng(0).random((3, 111_111))
    assert_same(round_trip([array, array[:, ::2]]), [array, array[:, ::2].copy()])


def test_map_location():
    data = saved({"w": torch.tensor([1.0])})
    for location in (None, "cpu", torch.device("cpu")):
        assert loaded(data, map_location=location)["w"].device.type == "cpu"
    assert_same(loaded(data, weights_only=True), loaded(data, weights_only=False))
    with pytest.raises(RuntimeError, match="'tpu'"):
        loaded(data, map_location="tpu")
    with pytest.raises(TypeError):
        loaded(data, map_location={"cuda": "cpu"})


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
def test_permissions_and_links_survive(tmp_path):
    plain_file, link = tmp_path / "plain", tmp_path / "link"
    plain_file.write_bytes(b"")
    usual = stat.S_IMODE(plain_file.stat().st_mode)
    torch.save([1], tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == usual
    plain_file.chmod(0o640)
    link.symlink_to(plain_file)
    torch.save([2], link)
    assert link.is_symlink()
    assert torch.load(plain_file) == [2]
    assert stat.S_IMODE(plain_file.stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", ["fsync", "replace", "write"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("had_file", [True, False])
def test_failures_leave_the_old_file_and_no_litter(tmp_path, monkeypatch, failing, error, had_file):
    path = tmp_path / "state"
    if had_file:
        torch.save("old", path)

    def fail(*args):
        raise error

    def write_all(data, file):
        if file.tell() > 0:
            raise error
        file.write(data)

    if failing == "write":
        monkeypatch.setattr("minitorch_cnn.serialization._write_all", write_all)
    else:
        monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        torch.save({"new": torch.zeros(10)}, path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["state"] * had_file
    if had_file:
        assert torch.load(path) == "old"


def test_readers_beside_writers_see_whole_states(tmp_path):
    path = tmp_path / "state"

    def write(value):
        torch.save(torch.from_numpy(np.full(5000, value)), path)

    def read(_):
        values = torch.load(path).numpy()
        return values.min() == values.max()

    write(-1)
    with ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(write, value) for value in range(20)]
        assert all(pool.map(read, range(60)))
        for task in writes:
            task.result()
    assert os.listdir(tmp_path) == ["state"]


# -------------------------------------------------------------------- damaged, foreign, hostile


def refuses(path, data, message=""):
    path.write_bytes(data)
    for f in (path, io.BytesIO(data)):
        with pytest.raises(RuntimeError, match=r"^load: .*" + message) as caught:
            torch.load(f)
    assert "BytesIO" in str(caught.value)
    with pytest.raises(RuntimeError) as caught:
        torch.load(str(path))
    assert str(caught.value).startswith(f"load: {path}: it")


def test_every_flipped_byte_is_noticed(tmp_path):
    data = saved(STATE)
    for position in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= mask
            with pytest.raises(RuntimeError, match=r"^load: "):
                loaded(bytes(damaged))
    refuses(tmp_path / "state", data[:-20] + b"?" + data[-19:], "it is damaged: its checksum is ")


def test_every_truncation_is_noticed(tmp_path):
    data = saved(STATE)
    for length in range(len(data)):
        with pytest.raises(RuntimeError, match=r"^load: "):
            loaded(data[:length])
    refuses(tmp_path / "state", data[:20], "it is cut short, after 20 bytes")
    refuses(tmp_path / "state", data[:-1], f"it has {len(data) - 1} bytes where .* {len(data)}$")


def test_trailing_bytes_in_a_path_are_noticed(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(saved(STATE) + b"\n")
    with pytest.raises(RuntimeError, match=r"it has \d+ bytes where its head announces"):
        torch.load(path)


@given(st.binary(max_size=200))
def test_random_bytes(data):
    with pytest.raises(RuntimeError, match=r"^load: .*(so save did not write it|cut short)"):
        loaded(data)


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


def test_pickles_and_zips_are_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../archive/data.pkl", pickle.dumps(Bomb()))
    for data in (pickle.dumps(Bomb()), pickle.dumps([Bomb()], 0), archive.getvalue(), b""):
        refuses(tmp_path / "state", data, "it begins with .*own files are pickles")
    assert os.listdir(tmp_path) == ["state"]


def test_pytorch_files(tmp_path):
    theirs = pytest.importorskip("torch")
    theirs.save({"w": theirs.ones(2)}, tmp_path / "model.pt")
    with pytest.raises(RuntimeError, match=r"model.pt: it begins with b'PK.*so save did not"):
        torch.load(tmp_path / "model.pt")


def forged(text, data=b"", version=1, text_length=None, data_length=None):
    """A file made by hand from the description of the format."""
    if not isinstance(text, bytes):
        text = json.dumps({"state": None, "tensors": [], "arrays": [], **text}).encode()
    text_length = len(text) if text_length is None else text_length
    data_length = len(data) if data_length is None else data_length
    head = struct.pack("<8sIQQ", b"\x89MTCNN\r\n", version, text_length, data_length)
    body = head + text + data
    return body + struct.pack("<I", zlib.crc32(body))


def test_the_format_is_as_described():
    text = {"state": {"tuple": [{"array": 0}, 1]}, "arrays": [{"dtype": "<i2", "shape": [2]}]}
    array, one = loaded(forged(text, b"\x01\x00\x02\x01"))
    assert (array.tolist(), array.dtype, one) == ([1, 258], np.int16, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 2}, "format version 2; only version 1 is known"),
        ({"text_length": 2**63}, "its head announces"),
        ({"data_length": 2**64 - 1}, "its head announces"),
    ],
)
def test_forged_heads(tmp_path, options, message):
    refuses(tmp_path / "state", forged({}, **options), "it.*" + message)


def array_of(dtype, shape):
    return {"arrays": [{"dtype": dtype, "shape": shape}]}


def tensor_of(dtype, **entry):
    defaults = {"array": 0, "requires_grad": False, "parameter": False, "device": "cpu"}
    return {**array_of(dtype, [1]), "tensors": [{**defaults, **entry}]}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"", b""),
        (b"\xff\xfe", b""),
        (b"null", b""),
        (b"{}", b""),
        (b'{"state":' + b"[" * 10**6, b""),
        (b'{"state":' + b'{"tuple":[' * 10**5 + b"]}" * 10**5 + b',"tensors":[],"arrays":[]}', b""),
        (b'{"state":' + b"9" * 10**5 + b',"tensors":0,"arrays":[]}', b""),
        (array_of("<f4", [2**62]), b""),
        (array_of("<f4", [2**40, 2**40]), b"1234"),
        (array_of("<f4", [0, 2**63]), b""),
        (array_of("<f4", [0] * 1000), b""),
        (array_of("<f4", [-1, -1]), b"1234"),
        (array_of("<f4", [True]), b"1234"),
        (array_of("<f4", 1), b"1234"),
        (array_of("<f4", []), b"12345678"),
        (array_of("|O", [1]), b"12345678"),
        (array_of("O,O", [0]), b""),
        (array_of("<c8", [1]), b"12345678"),
        (array_of("nonsense", [1]), b"1"),
        (array_of(None, [1]), b"12345678"),
        ({"state": {"array": 0}}, b""),
        ({"state": {"array": -1}, **array_of("<f4", [1])}, b"1234"),
        ({"state": {"tensor": False}, **tensor_of("<f4")}, b"1234"),
        (tensor_of("<f4", array=1), b"1234"),
        (tensor_of("<f4", device="moon"), b"1234"),
        (tensor_of("<u8"), b"12345678"),
        (tensor_of("<i4", requires_grad=True), b"1234"),
        (tensor_of("<i4", parameter=True, requires_grad=True), b"1234"),
        ({"tensors": [{}]}, b""),
        ({"tensors": None}, b""),
        ({"state": {}}, b""),
        ({"state": {"pickle": "gASVAAAA"}}, b""),
        ({"state": {"tuple": "abc"}}, b""),
        ({"state": {"set": [[]]}}, b""),
        ({"state": {"dict": [1]}}, b""),
        ({"state": {"dict": [["a", 1], ["a", 2]]}}, b""),
        ({"state": {"dict": [[{"dict": []}, 1]]}}, b""),
        ({"state": {"int": "zz"}}, b""),
        ({"state": {"float": "00"}}, b""),
        ({"state": {"str": [2**40]}}, b""),
        ({"state": {"bytes": "?"}}, b""),
        ({"state": {"scalar": ["<f4", "AAAAAAAAAAA="]}}, b""),
        ({"state": {"scalar": ["|O", "AAAAAAAAAAA="]}}, b""),
        ({"state": {"Size": [-1]}}, b""),
        ({"state": {"dtype": "object"}}, b""),
        ({"state": {"device": "moon"}}, b""),
    ],
)
def test_forged_texts(tmp_path, text, data):
    refuses(tmp_path / "state", forged(text, data), "it cannot be rebuilt: ")
