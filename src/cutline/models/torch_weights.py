"""Read the tensors of a PyTorch weights file without PyTorch, and nothing but the tensors.

A ``torch.save`` file is a pickle, and a pickle is a program. This reader therefore

1. scans each pickle's instructions before running any: only those a dictionary of tensors needs are let
   through, and no instruction may ask for more memory than the file has bytes;
2. resolves no name except the five or so a tensor is made of, and those to inert stand-ins of its own;
3. compares every size with the bytes that are really there before an array is made. Tensors are views of
   the bytes read, so a small file cannot become a large array.

Two layouts exist. Legacy: five pickles (magic number, protocol, system, tensors, storage keys), then per
storage an element count (int64) and raw little-endian data. Since PyTorch 1.6: an uncompressed zip with
``data.pkl`` and one ``data/KEY`` per storage. https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import WeightsError

LARGEST_FILE: Final = 4 * 1024**3
"""Files above this many bytes are refused before they are read."""

_MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_MOST_DIMENSIONS: Final = 16
_STORAGES: Final = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
}  # fmt: skip
_INSTRUCTION_OF: Final = {instruction.code: instruction for instruction in pickletools.opcodes}
_INSTRUCTIONS: Final = frozenset((
    "PROTO", "FRAME", "STOP", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "BINPERSID",
    "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "MARK",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT",
    "APPEND", "APPENDS", "SETITEM", "SETITEMS", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
))  # fmt: skip


class _FileError(Exception):
    """What is wrong with the file, still without the file's name."""


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _StateDict(dict[Any, Any]):
    """Stands in for OrderedDict; the attributes PyTorch hangs on it (``_metadata``) are dropped."""

    def __setstate__(self, state: object) -> None:
        """Ignore the attributes."""


def read_state_dict(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read every tensor of a ``.pth`` file written by ``torch.save(model.state_dict(), path)``.

    Args:
        path: The file, in the legacy or the zip layout.

    Returns:
        Tensor name → read-only array in the file's dtype and shape, in the file's order.

    Raises:
        WeightsError: The file is missing, is no PyTorch file, is truncated, has bytes after its end, asks
            for anything but tensors, or declares sizes that do not fit the bytes it has.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _FileError(f"larger than {LARGEST_FILE} bytes, which no encoder here is")
        data = path.read_bytes()
        return _read_zip(data) if data.startswith(b"PK\x03\x04") else _read_legacy(data)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file; expected a PyTorch .pth file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights file: {error.strerror or error}") from None
    except _FileError as fault:
        raise WeightsError(f"{path}: {fault}") from None


def _read_legacy(data: bytes) -> dict[str, NDArray[Any]]:
    if not data.startswith(b"\x80"):
        raise _FileError(f"not a PyTorch weights file: starts with {data[:8]!r}")
    stream = io.BytesIO(data)
    magic, protocol, system = (_load_pickle(stream, {}) for _ in range(3))
    if magic != _MAGIC_NUMBER or protocol != _PROTOCOL:
        raise _FileError("not a PyTorch weights file: wrong magic number")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _FileError("written on a big-endian machine; only little-endian files are read")
    wanted: dict[str, _Storage] = {}
    tensors = _load_pickle(stream, wanted)
    keys = _load_pickle(stream, {})
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _FileError("damaged: its storage keys are no list of names")
    if sorted(keys) != sorted(wanted):
        raise _FileError("damaged: its storage keys do not fit its tensors")
    position = stream.tell()
    storages = {}
    for key in keys:
        storages[key], position = _legacy_storage(data, position, wanted[key])
    if position != len(data):
        raise _FileError(f"damaged: {len(data) - position} unexpected bytes after the last tensor")
    return _build_arrays(tensors, storages)


def _legacy_storage(data: bytes, position: int, storage: _Storage) -> tuple[NDArray[Any], int]:
    if len(data) < position + 8:
        raise _FileError(f"truncated at byte {len(data)}: storage {storage.key} is missing")
    (count,) = struct.unpack_from("<q", data, position)
    if count != storage.count:
        raise _FileError(f"damaged: storage {storage.key} has {count} elements, declared {storage.count}")
    start = position + 8
    end = start + count * np.dtype(storage.dtype).itemsize
    if end > len(data):
        raise _FileError(f"truncated at byte {len(data)}: storage {storage.key} ends at byte {end}")
    return np.frombuffer(data[start:end], storage.dtype), end


def _read_zip(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(archive, len(data))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _FileError(f"damaged or truncated zip: {error}") from None


def _read_members(archive: zipfile.ZipFile, size: int) -> dict[str, NDArray[Any]]:
    members = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
    if "data.pkl" not in members:
        raise _FileError("not a PyTorch weights file: a zip without data.pkl")
    # PyTorch never compresses, so whatever unpacks to more than the file holds is a bomb.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in members.values()):
        raise _FileError("forbidden compressed entry; PyTorch stores tensors uncompressed")
    if sum(entry.file_size for entry in members.values()) > size:
        raise _FileError("damaged: entries declare more bytes than the file has")
    if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
        raise _FileError("written on a big-endian machine; only little-endian files are read")
    wanted: dict[str, _Storage] = {}
    tensors = _load_pickle(io.BytesIO(archive.read(members["data.pkl"])), wanted)
    storages = {}
    for key, storage in wanted.items():
        if f"data/{key}" not in members:
            raise _FileError(f"truncated: storage {key} is missing")
        content = archive.read(members[f"data/{key}"])
        if len(content) != storage.count * np.dtype(storage.dtype).itemsize:
            raise _FileError(f"damaged: storage {key} has {len(content)} bytes for {storage.count} elements")
        storages[key] = np.frombuffer(content, storage.dtype)
    return _build_arrays(tensors, storages)


def _load_pickle(stream: io.BytesIO, wanted: dict[str, _Storage]) -> object:
    """Run the next pickle of the stream, noting in ``wanted`` the storages it refers to."""
    start = stream.tell()
    _check_instructions(stream)
    program = stream.getbuffer()[start : stream.tell()]
    try:
        return _TensorUnpickler(io.BytesIO(program), wanted).load()
    except _FileError:
        raise
    except Exception as error:
        raise _FileError(f"damaged: {type(error).__name__} in its pickle") from None


def _check_instructions(stream: io.BytesIO) -> None:
    """Read to the end of the next pickle, refusing what no dictionary of tensors needs."""
    size = stream.getbuffer().nbytes
    while True:
        instruction = _INSTRUCTION_OF.get(stream.read(1).decode("latin-1"))
        if instruction is None:
            raise _FileError(f"truncated or damaged near byte {stream.tell()}: its pickle does not end")
        if instruction.name not in _INSTRUCTIONS:
            raise _FileError(f"forbidden pickle instruction {instruction.name}; only tensors are read")
        if instruction.name == "STOP":
            return
        argument = _read_argument(instruction, stream)
        # A memo slot or frame beyond the file's size would be allocated before it is found missing.
        if instruction.name in ("LONG_BINPUT", "FRAME") and argument > size:
            raise _FileError(f"forbidden {instruction.name} {argument}: larger than the file")


def _read_argument(instruction: pickletools.OpcodeInfo, stream: io.BytesIO) -> Any:
    if instruction.name == "GLOBAL":
        # Two lines: module and name. They are judged when they are resolved.
        return stream.readline() + stream.readline()
    try:
        return instruction.arg.reader(stream) if instruction.arg else None
    except (ValueError, EOFError, struct.error):
        raise _FileError(
            f"truncated or damaged near byte {stream.tell()}: {instruction.name} is cut"
        ) from None


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, wanted: dict[str, _Storage]) -> None:
        super().__init__(stream)
        self._wanted = wanted

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the few names a tensor is made of, to stand-ins."""
        if (module, name) == ("collections", "OrderedDict"):
            return _StateDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return name
        raise _FileError(f"forbidden {module[:80]}.{name[:80]}; only tensors are read")

    def persistent_load(self, pid: Any) -> _Storage:
        """Note a storage by its key; its data follow later in the file."""
        match pid:
            case ("storage", str(kind), str(key), _, int(count)) if kind in _STORAGES:
                pass
            case ("storage", str(kind), str(key), _, int(count), None) if kind in _STORAGES:
                pass
            case _:
                raise _FileError("forbidden reference to something that is no storage of a known type")
        storage = _Storage(key, _STORAGES[kind], count)
        if count < 0 or self._wanted.setdefault(key, storage) != storage:
            raise _FileError(f"damaged: storage {key} is declared with {count} elements")
        return storage


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage) or not _are_counts((offset,)):
        raise _FileError("damaged: a tensor without storage or offset")
    if not _are_counts(size) or not _are_counts(stride) or len(size) != len(stride):  # type: ignore[arg-type]
        raise _FileError("damaged: a tensor whose size and stride are no matching tuples of counts")
    return _Tensor(storage, offset, size, stride)  # type: ignore[arg-type]


def _are_counts(values: object) -> bool:
    fits = isinstance(values, tuple) and len(values) <= _MOST_DIMENSIONS
    return fits and all(type(value) is int and 0 <= value < 2**62 for value in values)  # type: ignore[attr-defined]


def _build_arrays(tensors: object, storages: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    if not isinstance(tensors, dict):
        raise _FileError(f"expected a dictionary of tensors, found {type(tensors).__name__}")
    arrays = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _FileError(f"expected only tensors under names, found a {type(tensor).__name__}")
        arrays[name] = _view(name, tensor, storages[tensor.storage.key])
    return arrays


def _view(name: str, tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    count = 1
    for length in tensor.size:
        count *= length
    spans = ((length - 1) * step for length, step in zip(tensor.size, tensor.stride, strict=True))
    last = tensor.offset + sum(spans)
    # A stride of 0 may repeat one element without end: no tensor has more elements than its storage.
    if count > storage.size or (count and last >= storage.size) or max(tensor.size, default=0) > 2**31:
        where = f"tensor {name[:80]!r} of size {tensor.size}"
        raise _FileError(f"damaged: {where} does not fit its {storage.size} elements")
    if count == 0:
        return np.empty(tensor.size, storage.dtype)
    steps = tuple(step * storage.itemsize for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.size, steps, writeable=False)
