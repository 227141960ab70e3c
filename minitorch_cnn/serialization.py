"""Saving and loading: a state becomes one file, written whole or not at all, and never a pickle.

A file is, in this order:

    head        magic number, version, length of the text, length of the data
    text        JSON: the state, and a table each of its arrays and its tensors
    data        the elements of the arrays, one array after the other, each in C order
    checksum    CRC-32 of everything before it

What JSON cannot say is an object with one key, the type: `{"tuple": [1, 2]}`, `{"tensor": 0}`.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import shutil
import struct
import uuid
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np

from .device import Device, as_device
from .dtypes import DType, dtype_of
from .nn.parameter import Parameter
from .ops.creation import from_numpy
from .tensor import Size, Tensor

__all__ = ["load", "save"]

_VERSION = 1
_MAGIC = b"\x89MTCNN\r\n"
_HEAD = struct.Struct("<8sIQQ")
_CHECKSUM = struct.Struct("<I")
_CHUNK = 1 << 20
_MAX_DEPTH = 100
_NUMERIC = "biuf"  # the kinds of NumPy types
_MALFORMED = (ValueError, TypeError, LookupError, OverflowError, RuntimeError, struct.error)
_CONTAINERS = (list, tuple, Size, set, frozenset, dict, OrderedDict)

FilePath = str | os.PathLike[str]


def save(obj: Any, f: FilePath | BinaryIO) -> None:
    """Save a state to a file.

    A state is made of dicts, OrderedDicts, lists, tuples, sets, numbers, strings, bytes, None,
    tensors, parameters, sizes, dtypes, devices, and numeric NumPy arrays and scalars, and comes
    back equal, type for type. Of a tensor, its elements and `requires_grad` are kept; a view is
    saved without the rest of its memory. Tensors that are the same object, or have the same
    memory and shape, come back so; other containers are saved as often as they are met.

    A path is written aside, in the same folder, and then takes the place of the file that was
    there, which no failure harms.

    Args:
        obj: the state.
        f: a path, or a binary file open for writing.

    Raises:
        TypeError: something in the state cannot be saved; the message says where. Nothing has
            been written then.
        ValueError: a container holds itself, or more than 100 lie in one another.
        RuntimeError: the folder does not exist, or the path is not that of a regular file.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.save.html

    Example:
        >>> import io
        >>> import minitorch_cnn as torch
        >>> file = io.BytesIO()
        >>> torch.save({"weight": torch.ones(2), "epoch": 3}, file)
        >>> _ = file.seek(0)
        >>> torch.load(file)
        {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    _expect_file("save", f, "write")
    encoder = _Encoder()
    tree = {"state": encoder.encode(obj), "tensors": encoder.tensors}
    arrays = [np.asarray(array, order="C") for array in encoder.arrays]
    tree["arrays"] = [{"dtype": a.dtype.str, "shape": a.shape} for a in arrays]
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    head = _HEAD.pack(_MAGIC, _VERSION, len(text), sum(a.nbytes for a in arrays))
    parts = [memoryview(head), memoryview(text), *map(_bytes_of, arrays)]
    if isinstance(f, str | os.PathLike):
        with _replacing(f) as file:
            _write(parts, file)
    else:
        _write(parts, f)


def load(
    f: FilePath | BinaryIO, map_location: str | Device | None = None, *, weights_only: bool = True
) -> Any:
    """Load a state that `save` wrote.

    Nothing in a file is ever run: files of unknown origin can at worst be refused.

    Args:
        f: a path, or a binary file open for reading, which is left behind the state's end.
        map_location: the device that all tensors are put on; None for those they were on.
        weights_only: accepted for PyTorch's sake. There are no files for which it matters.

    Raises:
        RuntimeError: the file is damaged, cut short, of another kind, or of a later version.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.load.html

    Example: see `save`.
    """
    _expect_file("load", f, "read", "seek")
    device = None if map_location is None else as_device(map_location)
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            return _read(file, os.fspath(f), device, to_the_end=True)
    return _read(f, getattr(f, "name", f), device, to_the_end=False)


def _expect_file(caller: str, f: Any, *methods: str) -> None:
    is_binary = all(hasattr(f, method) for method in methods) and not isinstance(f, io.TextIOBase)
    if not is_binary and not isinstance(f, str | os.PathLike):
        needs = " and ".join(methods)
        raise TypeError(f"{caller}: f must be a path or a binary file with {needs}, not {f!r}")


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


# ---------------------------------------------------------------------------------- writing


class _Encoder:
    """Turns a state into JSON, and gathers its arrays and tensors into tables."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.tensors: list[dict[str, Any]] = []
        self._array_at: dict[tuple[Any, ...], int] = {}
        self._tensor_at: dict[int, int] = {}
        self._keys: list[Any] = []  # where in the state we are
        self._open: set[int] = set()  # the containers around us

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind in _CONTAINERS:
            items = self._items(value)
            return items if kind is list else {kind.__name__: items}
        if kind is Tensor or kind is Parameter:
            return {"tensor": self._tensor(value)}
        if kind is np.ndarray and value.dtype.kind in _NUMERIC:
            return {"array": self._array(value)}
        if isinstance(value, np.generic) and value.dtype.kind in _NUMERIC:
            return {"scalar": [value.dtype.str, _to_text(value.tobytes())]}
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**63 else {"int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"float": struct.pack("<d", value).hex()}
        if kind is str:
            # A lone surrogate is legal in Python alone.
            return value if _is_unicode(value) else {"str": [ord(letter) for letter in value]}
        if kind is bytes:
            return {"bytes": _to_text(value)}
        if kind is DType:
            return {"dtype": value.name}
        if kind is Device:
            return {"device": str(value)}
        raise TypeError(f"save: {self._path()}: {_refusal(value)}")

    def _path(self) -> str:
        return "state" + "".join(f"[{key!r}]" for key in self._keys)

    def _items(self, container: Any) -> list[Any]:
        if id(container) in self._open:
            raise ValueError(f"save: {self._path()}: the {type(container).__name__} holds itself")
        if len(self._keys) == _MAX_DEPTH:
            raise ValueError(f"save: {self._path()}: more than {_MAX_DEPTH} nested containers")
        self._open.add(id(container))
        is_mapping = isinstance(container, dict)
        encoded = []
        for key, item in container.items() if is_mapping else enumerate(container):
            self._keys.append(key)
            value = self.encode(item)
            encoded.append([self.encode(key), value] if is_mapping else value)
            self._keys.pop()
        self._open.remove(id(container))
        if isinstance(container, set | frozenset):
            # Strings are hashed anew in each process; equal states make equal files.
            encoded.sort(key=json.dumps)
        return encoded

    def _tensor(self, tensor: Tensor) -> int:
        index = self._tensor_at.setdefault(id(tensor), len(self.tensors))
        if index == len(self.tensors):
            entry = {
                "array": self._array(tensor.detach().cpu().numpy()),
                "requires_grad": tensor.requires_grad,
                "parameter": isinstance(tensor, Parameter),
                "device": str(tensor.device),
            }
            self.tensors.append(entry)
        return index

    def _array(self, array: np.ndarray[Any, Any]) -> int:
        address = array.__array_interface__["data"][0]
        memory = (address, array.shape, array.strides, array.dtype.str)
        index = self._array_at.setdefault(memory, len(self.arrays))
        if index == len(self.arrays):
            self.arrays.append(array)
        return index


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refusal(value: Any) -> str:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    if isinstance(value, np.ndarray):
        name += f" of {value.dtype}"
    if hasattr(value, "state_dict"):
        return f"{name} cannot be saved; save its state_dict() instead"
    for base in kind.__mro__[1:]:
        if base in (*_CONTAINERS, int, float, str, bytes, np.ndarray, Tensor):
            return f"{name} cannot be saved; make it a {base.__name__} first"
    return f"{name} cannot be saved"


@contextmanager
def _replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A new file that takes the place of the one at `path` once all is well."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise RuntimeError(f"save: folder {folder} of {os.fspath(path)} does not exist")
    if os.path.exists(target) and not os.path.isfile(target):
        raise RuntimeError(f"save: {os.fspath(path)} is not a regular file")
    aside = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, aside)
        os.replace(aside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise


def _write(parts: list[memoryview], file: BinaryIO) -> None:
    checksum = 0
    for part in parts:
        for start in range(0, len(part), _CHUNK):
            # A copy: another thread may go on training, and the checksum must fit what is written.
            chunk = bytes(part[start : start + _CHUNK])
            checksum = zlib.crc32(chunk, checksum)
            _write_all(chunk, file)
    _write_all(_CHECKSUM.pack(checksum), file)


def _write_all(data: bytes, file: BinaryIO) -> None:
    while data:
        # An unbuffered file may take less than it is given.
        data = data[file.write(data) or len(data) :]


# ---------------------------------------------------------------------------------- reading


def _read(file: BinaryIO, name: Any, device: Device | None, to_the_end: bool) -> Any:
    start = file.tell()
    try:
        text_length, data_length = _check(file, to_the_end)
    except ValueError as error:
        raise RuntimeError(f"load: {name}: {error}") from None
    file.seek(start + _HEAD.size)
    try:
        tree = json.loads(_take(file, text_length))
        arrays = _read_arrays(file, tree["arrays"], data_length)
        tensors = [_rebuild(entry, arrays, device) for entry in tree["tensors"]]
        state = _Decoder(arrays, tensors).decode(tree["state"])
    except _MALFORMED as error:
        # The checksum is right: the file was made by hand, or for a device that is not here.
        raise RuntimeError(f"load: {name}: it cannot be rebuilt: {error!r}") from error
    file.seek(_CHECKSUM.size, os.SEEK_CUR)
    return state


def _check(file: BinaryIO, to_the_end: bool) -> tuple[int, int]:
    """The lengths of text and data, once all of the file has proved whole."""
    start = file.tell()
    present = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    head = _take(file, min(present, _HEAD.size))
    if not head.startswith(_MAGIC):
        raise ValueError(
            f"it begins with {bytes(head[: len(_MAGIC)])!r}, so save did not write it"
            " (PyTorch's own files are pickles, which are not read)"
        )
    if present < _HEAD.size:
        raise ValueError(f"it is cut short, after {present} bytes")
    _, version, text_length, data_length = _HEAD.unpack(head)
    if version != _VERSION:
        raise ValueError(f"it has format version {version}; only version {_VERSION} is known")
    announced = _HEAD.size + text_length + data_length + _CHECKSUM.size
    if present < announced or (to_the_end and present > announced):
        raise ValueError(f"it has {present} bytes where its head announces {announced}")
    checksum = zlib.crc32(head)
    left = text_length + data_length
    while left:
        chunk = _take(file, min(left, _CHUNK))
        checksum = zlib.crc32(chunk, checksum)
        left -= len(chunk)
    (expected,) = _CHECKSUM.unpack(_take(file, _CHECKSUM.size))
    if checksum != expected:
        raise ValueError(f"it is damaged: its checksum is {checksum:08x}, not {expected:08x}")
    return text_length, data_length


def _take(file: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    _fill(memoryview(data), file)
    return data


def _fill(view: memoryview, file: BinaryIO) -> None:
    while len(view):
        chunk = file.read(min(len(view), _CHUNK))
        if not chunk:
            raise ValueError(f"it ended {len(view)} bytes early, while it was read")
        view[: len(chunk)] = chunk
        view = view[len(chunk) :]


def _read_arrays(
    file: BinaryIO, table: list[dict[str, Any]], data_length: int
) -> list[np.ndarray[Any, Any]]:
    layouts = [(_numeric(entry["dtype"]), entry["shape"]) for entry in table]
    sizes = [dtype.itemsize * math.prod(map(_length, shape)) for dtype, shape in layouts]
    # Checked before memory is asked for: shapes may claim any size, the data is really there.
    if sum(sizes) != data_length:
        raise ValueError(f"arrays of {sum(sizes)} bytes in {data_length} bytes of data")
    arrays = []
    for dtype, shape in layouts:
        array = np.empty(shape, dtype)
        _fill(_bytes_of(array), file)
        arrays.append(array)
    return arrays


def _numeric(code: str) -> np.dtype[Any]:
    dtype = np.dtype(code)
    if dtype.kind not in _NUMERIC or dtype.str != code:
        raise ValueError(f"unknown dtype {code!r}")
    return dtype


def _length(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no length or index")
    return value


def _rebuild(
    entry: dict[str, Any], arrays: list[np.ndarray[Any, Any]], device: Device | None
) -> Tensor:
    tensor = from_numpy(arrays[_length(entry["array"])])
    tensor = tensor.to(as_device(entry["device"]) if device is None else device)
    if entry["parameter"]:
        return Parameter(tensor, entry["requires_grad"])
    return tensor.requires_grad_(entry["requires_grad"])


class _Decoder:
    """Turns the JSON of a state back into it."""

    def __init__(self, arrays: list[np.ndarray[Any, Any]], tensors: list[Tensor]) -> None:
        self.arrays = arrays
        self.tensors = tensors

    def decode(self, node: Any) -> Any:
        match node:
            case None | bool() | int() | float() | str():
                return node
            case list():
                return [self.decode(item) for item in node]
            case {"dict": list(pairs)}:
                return self._mapping(pairs, {})
            case {"OrderedDict": list(pairs)}:
                return self._mapping(pairs, OrderedDict())
            case {"tensor": index}:
                return self.tensors[_length(index)]
            case {"array": index}:
                return self.arrays[_length(index)]
            case {"tuple": list(items)}:
                return tuple(self.decode(items))
            case {"Size": list(items)}:
                return Size(map(_length, items))
            case {"set": list(items)}:
                return set(self.decode(items))
            case {"frozenset": list(items)}:
                return frozenset(self.decode(items))
            case {"int": str(digits)}:
                return int(digits, 16)
            case {"float": str(bits)}:
                return struct.unpack("<d", bytes.fromhex(bits))[0]
            case {"str": list(letters)}:
                return "".join(map(chr, letters))
            case {"bytes": str(text)}:
                return base64.b64decode(text, validate=True)
            case {"scalar": [str(code), str(text)]}:
                (scalar,) = np.frombuffer(base64.b64decode(text, validate=True), _numeric(code))
                return scalar
            case {"dtype": str(name)}:
                return dtype_of(np.empty(0, name))
            case {"device": str(name)}:
                return as_device(name)
        raise ValueError(f"unknown value {node!r:.80}")

    def _mapping(self, pairs: list[Any], into: dict[Any, Any]) -> dict[Any, Any]:
        for key, value in pairs:
            into[self.decode(key)] = self.decode(value)
        if len(into) != len(pairs):
            raise ValueError("a key occurs twice in one dict")
        return into
