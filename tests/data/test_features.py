"""Stored features survive kills, full disks and Ctrl-C; nothing stale or damaged is ever used."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutline.data.feature_store import FeatureStore
from cutline.data.features import extract
from cutline.errors import FeatureStoreError
from cutline.records import Example

FINGERPRINT = {"encoder": "toy", "size": (8, 8)}


def digest(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def row_for(name: object, width: int = 4) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(str(name).encode()).digest()[:width], np.uint8).astype(np.float16)


def fill(store: FeatureStore, names: range) -> None:
    store.append([digest(name) for name in names], np.stack([row_for(name) for name in names]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "features"


@pytest.fixture
def store(folder: Path) -> Iterator[FeatureStore]:
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as opened:
        yield opened


def assert_holds(store: FeatureStore, names: range) -> None:
    assert len(store) == len(names)
    found = store.read(store.rows(digest(name) for name in names))
    np.testing.assert_array_equal(found, [row_for(name) for name in names])


# Keeping and finding rows.


def test_rows_come_back_after_closing_and_opening(folder: Path) -> None:
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as store:
        fill(store, range(5))
        fill(store, range(5, 9))
    for mode in ("r", "a"):
        with FeatureStore.open(folder, FINGERPRINT, (4,), mode) as store:
            assert_holds(store, range(9))


def test_grid_features_keep_their_shape(folder: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float16)
    with FeatureStore.open(folder, FINGERPRINT, (5, 2)) as store:
        store.append([digest(name) for name in range(3)], values)
        np.testing.assert_array_equal(store.read([2, 0]), values[[2, 0]])


def test_read_keeps_the_order_asked_for_and_repeats(store: FeatureStore) -> None:
    fill(store, range(20))
    asked = [7, 3, 4, 5, 19, 3, 0, 7]
    np.testing.assert_array_equal(store.read(np.array(asked)), [row_for(name) for name in asked])
    assert store.read([]).shape == (0, 4)


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_outside_the_store_is_refused(store: FeatureStore, row: int) -> None:
    fill(store, range(3))
    with pytest.raises(IndexError, match="of a store with 3 rows"):
        store.read([0, row])


def test_missing_names_each_absent_digest_once_in_order(store: FeatureStore) -> None:
    fill(store, range(3))
    assert store.missing([digest(9), digest(1), digest(8), digest(9)]) == [digest(9), digest(8)]
    assert digest(1) in store
    assert "no digest" not in store
    with pytest.raises(FeatureStoreError, match=rf"no features of 2 images \(first digest '{digest(9)}'\)"):
        store.rows([digest(9), digest(1), digest(8)])


def test_a_digest_already_stored_keeps_its_row(store: FeatureStore) -> None:
    fill(store, range(3))
    store.append([digest(1), digest(7), digest(7)], np.stack([row_for(5), row_for(7), row_for(5)]))
    np.testing.assert_array_equal(store.read(store.rows([digest(1), digest(7)])), [row_for(1), row_for(7)])
    assert len(store) == 4


def test_values_beyond_float16_are_clipped(store: FeatureStore) -> None:
    store.append([digest(0)], np.array([[1e9, -np.inf, np.inf, 65504.0]]))
    assert store.read([0]).tolist() == [[65504.0, -65504.0, 65504.0, 65504.0]]


def test_nan_is_refused_with_the_image_and_nothing_is_stored(store: FeatureStore) -> None:
    values = np.zeros((3, 4))
    values[2, 1] = np.nan
    with pytest.raises(FeatureStoreError) as caught:
        store.append([digest(name) for name in range(3)], values)
    expected = f"the encoder gave NaN for the image with digest {digest(2)}; check the encoder's weights"
    assert str(caught.value) == f"{store.folder}: {expected}"
    assert len(store) == 0


def test_wrong_shapes_digests_and_modes_are_mistakes_of_the_caller(folder: Path, store: FeatureStore) -> None:
    with pytest.raises(ValueError, match=r"features of shape \(1, 5\) for 1 rows of \(4,\)"):
        store.append([digest(0)], np.zeros((1, 5)))
    with pytest.raises(ValueError, match="'abc' is not a SHA-256"):
        store.append(["abc"], np.zeros((1, 4)))
    with (
        FeatureStore.open(folder, FINGERPRINT, (4,), "r") as reader,
        pytest.raises(ValueError, match="for reading"),
    ):
        reader.append([digest(0)], np.zeros((1, 4)))


def test_threads_reading_while_rows_are_added_see_their_own_rows(store: FeatureStore) -> None:
    fill(store, range(50))
    wrong: list[int] = []

    def read_often(seed: int) -> None:
        for row in np.random.default_rng(seed).integers(0, 50, 200):
            if not np.array_equal(store.read([row])[0], row_for(row)):
                wrong.append(int(row))

    readers = [threading.Thread(target=read_often, args=(seed,)) for seed in range(4)]
    for reader in readers:
        reader.start()
    for start in range(50, 90, 10):
        fill(store, range(start, start + 10))
    for reader in readers:
        reader.join()
    assert wrong == []
    assert_holds(store, range(90))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_reading_a_store_many_times_its_batch_does_not_grow_memory(folder: Path) -> None:
    program = """
import hashlib, os, sys, numpy as np
from cutline.data.feature_store import FeatureStore
def resident(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
with FeatureStore.open(sys.argv[1], {}, (65536,)) as store:
    for batch in range(20):
        names = [hashlib.sha256(b"%d %d" % (batch, row)).hexdigest() for row in range(32)]
        store.append(names, np.zeros((32, 65536), np.float16))
    store.read(range(32))
    before = resident()
    for batch in range(20): store.read(range(batch * 32, batch * 32 + 32))
    print(resident() - before)
"""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, folder], capture_output=True, text=True, check=True
    )
    assert float(finished.stdout) < 20, "80 MiB were read"


# Stores that must not be used.


def test_a_second_writer_is_told_to_wait_and_a_reader_is_not(folder: Path, store: FeatureStore) -> None:
    fill(store, range(3))
    with pytest.raises(FeatureStoreError) as caught:
        FeatureStore.open(folder, FINGERPRINT, (4,))
    advice = "wait until it has finished or choose another folder"
    assert str(caught.value) == f"{folder}: another process is writing to this feature store; {advice}"
    with FeatureStore.open(folder, FINGERPRINT, (4,), "r") as reader:
        assert_holds(reader, range(3))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock")
def test_a_second_writer_can_wait_and_then_holds_what_the_first_one_wrote(
    folder: Path, store: FeatureStore
) -> None:
    fill(store, range(3))
    told: list[str] = []

    def finish_the_first() -> None:
        told.append("waiting")
        fill(store, range(3, 5))
        threading.Timer(0.2, store.close).start()

    with FeatureStore.open(folder, FINGERPRINT, (4,), wait=finish_the_first) as second:
        assert_holds(second, range(5))
        fill(second, range(5, 7))
    with FeatureStore.open(folder, FINGERPRINT, (4,), wait=finish_the_first) as third:
        assert_holds(third, range(7))
    assert told == ["waiting"], "nobody waits for a lock that is free"


def test_the_lock_is_free_after_closing_and_after_a_refused_open(folder: Path) -> None:
    FeatureStore.open(folder, FINGERPRINT, (4,)).close()
    with pytest.raises(FeatureStoreError, match="stale"):
        FeatureStore.open(folder, {"encoder": "other"}, (4,))
    FeatureStore.open(folder, FINGERPRINT, (4,)).close()


def test_a_stale_store_names_what_differs(folder: Path) -> None:
    FeatureStore.open(folder, FINGERPRINT, (4,)).close()
    with pytest.raises(FeatureStoreError) as caught:
        FeatureStore.open(folder, {"encoder": "other", "size": (8, 8)}, (5,))
    differing = "encoder 'toy' there, 'other' now, shape [4] there, [5] now"
    expected = (
        f"stale: made by another encoder or setting ({differing}); choose another folder or delete this one"
    )
    assert str(caught.value) == f"{folder}: {expected}"


def test_reading_where_there_is_no_store_says_so(folder: Path) -> None:
    with pytest.raises(FeatureStoreError, match="no feature store here; encode the images first"):
        FeatureStore.open(folder, FINGERPRINT, (4,), "r")


def test_an_inaccessible_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FeatureStoreError, match=r"cannot open the feature store \(Not a directory: "):
        FeatureStore.open(tmp_path / "file" / "features", FINGERPRINT, (4,))


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "damaged: manifest.json is not readable; delete the folder to encode the images again"),
        ("[]", "damaged: manifest.json is not readable; delete the folder to encode the images again"),
        (
            json.dumps({"format": 9, "fingerprint": {}}),
            "feature store of format 9, this version reads 1; delete the folder to encode the images again",
        ),
        (None, "damaged: manifest.json is missing; delete the folder to encode the images again"),
    ],
)
def test_a_damaged_manifest_says_what_to_do(folder: Path, manifest: str | None, message: str) -> None:
    FeatureStore.open(folder, FINGERPRINT, (4,)).close()
    path = folder / "manifest.json"
    path.unlink() if manifest is None else path.write_text(manifest)
    with pytest.raises(FeatureStoreError) as caught:
        FeatureStore.open(folder, FINGERPRINT, (4,))
    assert str(caught.value) == f"{folder}: {message}"


@pytest.mark.parametrize("mode", ["a", "r"])
def test_rows_that_vanished_are_noticed(folder: Path, mode: str) -> None:
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as store:
        fill(store, range(3))
    os.truncate(folder / "features.bin", 20)
    with pytest.raises(FeatureStoreError) as caught:
        FeatureStore.open(folder, FINGERPRINT, (4,), mode)
    expected = (
        "damaged: features.bin has 20 bytes, 3 rows need 24; delete the folder to encode the images again"
    )
    assert str(caught.value) == f"{folder}: {expected}"


def test_rows_that_vanish_while_reading_are_noticed(folder: Path, store: FeatureStore) -> None:
    fill(store, range(3))
    os.truncate(folder / "features.bin", 20)
    with pytest.raises(FeatureStoreError, match=r"features.bin became shorter; delete the folder"):
        store.read([2])


def test_repeated_digests_are_damage(folder: Path) -> None:
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as store:
        fill(store, range(3))
    (folder / "digests.bin").write_bytes(bytes(96))
    with pytest.raises(FeatureStoreError, match=r"damaged: digests.bin repeats a digest; delete the folder"):
        FeatureStore.open(folder, FINGERPRINT, (4,))


# Writers that were interrupted.


@pytest.mark.parametrize(
    ("extra_rows", "extra_digests"), [(b"abc", b""), (bytes(8), b"abc"), (bytes(17), b"")]
)
def test_torn_tails_are_ignored_by_readers_and_cut_by_the_writer(
    folder: Path, extra_rows: bytes, extra_digests: bytes
) -> None:
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as store:
        fill(store, range(3))
    for name, extra in (("features.bin", extra_rows), ("digests.bin", extra_digests)):
        with (folder / name).open("ab") as stream:
            stream.write(extra)
    with FeatureStore.open(folder, FINGERPRINT, (4,), "r") as store:
        assert_holds(store, range(3))
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as store:
        fill(store, range(3, 6))
        assert_holds(store, range(6))
    assert (folder / "features.bin").stat().st_size == 6 * 8


def test_a_full_disk_is_one_line_and_costs_no_row(
    folder: Path, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, range(3))
    write = os.write

    def write_half_then_fail(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data[: len(data) // 2]))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half_then_fail)
        with pytest.raises(FeatureStoreError) as caught:
            fill(store, range(3, 7))
    expected = (
        "cannot write features (No space left on device); 160 bytes are needed for the next 4 images; "
        "make room and run again: the first 3 rows are kept"
    )
    assert str(caught.value) == f"{folder}: {expected}"
    fill(store, range(3, 5))
    store.close()
    with FeatureStore.open(folder, FINGERPRINT, (4,)) as reopened:
        assert_holds(reopened, range(5))


@pytest.mark.parametrize("write_that_fails", [1, 2])
def test_ctrl_c_between_two_writes_never_puts_a_row_under_another_digest(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, write_that_fails: int
) -> None:
    fill(store, range(3))
    write, calls = os.write, []

    def interrupted(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        written = write(descriptor, data)
        if len(calls) == write_that_fails:
            raise KeyboardInterrupt
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(store, range(3, 6))
    fill(store, range(7, 9))
    np.testing.assert_array_equal(store.read(store.rows([digest(7)])), [row_for(7)])
    store.close()
    with FeatureStore.open(store.folder, FINGERPRINT, (4,)) as reopened:
        np.testing.assert_array_equal(reopened.read(reopened.rows([digest(8)])), [row_for(8)])
        assert len(reopened) == 5


APPENDING = """
import hashlib, itertools, sys
import numpy as np
from cutline.data.feature_store import FeatureStore
with FeatureStore.open(sys.argv[1], {}, (500,)) as store:
    print("ready", flush=True)
    for start in itertools.count(len(store), 7):
        names = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(start, start + 7)]
        store.append(names, np.stack([np.full(500, n % 2048, np.float16) for n in range(start, start + 7)]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_store_whose_writer_was_killed_holds_only_true_rows(folder: Path) -> None:
    chance = random.Random(0)
    counts = [0]
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", APPENDING, folder], stdout=subprocess.PIPE, text=True
        )
        with writer, writer.stdout as lines:
            assert lines.readline() == "ready\n"
            time.sleep(0.02 + chance.random() / 5)
            writer.send_signal(signal.SIGKILL)
        with FeatureStore.open(folder, {}, (500,)) as store:
            counts.append(len(store))
            rows = store.rows(digest(name) for name in range(len(store)))
            np.testing.assert_array_equal(
                store.read(rows), np.arange(len(store))[:, None].repeat(500, axis=1) % 2048
            )
    assert counts == sorted(counts)
    assert counts[-1] > 0


# Filling a store with images.


class Recorder:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None, str]] = []
        self.done = 0

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Recorder]:
        self.stages.append((name, total, unit))
        yield self

    def advance(self, count: int = 1, **values: float) -> None:
        self.done += count


class CountingEncoder:
    """Mean colour of each image, and what it was called with."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.shapes.append(pixels.shape)
        return pixels.mean(axis=(1, 2))


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    found = []
    for number in range(11):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (12, 9), (number * 20, 5, 9)).save(path)
        found.append(Example(path.name, str(path), ("a colour",), "train", digest(path.name)))
    return found


@pytest.fixture
def colours(folder: Path) -> Iterator[FeatureStore]:
    with FeatureStore.open(folder, FINGERPRINT, (3,)) as opened:
        yield opened


def red_of(store: FeatureStore, examples: list[Example]) -> list[float]:
    return store.read(store.rows(example.digest for example in examples))[:, 0].tolist()


def test_every_image_is_encoded_once_in_batches_of_one_shape(examples, colours: FeatureStore) -> None:
    encode, progress = CountingEncoder(), Recorder()
    twins = [*examples, Example("twin.png", examples[0].image, ("again",), "train", examples[0].digest)]
    assert extract(twins, colours, encode, (6, 8), 4, progress) == []
    assert encode.shapes == [(4, 6, 8, 3)] * 3
    assert red_of(colours, examples) == [number * 20.0 for number in range(11)]
    assert progress.stages == [("encoding images", 11, "images")]
    assert progress.done == 11


def test_a_partial_store_is_continued(examples, colours: FeatureStore) -> None:
    extract(examples[:5], colours, CountingEncoder(), (6, 8), 4)
    encode, progress = CountingEncoder(), Recorder()
    extract(examples, colours, encode, (6, 8), 4, progress)
    assert len(encode.shapes) == 2
    assert progress.done == 11
    extract(examples, colours, encode, (6, 8), 4)
    assert len(encode.shapes) == 2


def test_a_broken_image_is_reported_and_the_others_go_on(examples, colours: FeatureStore) -> None:
    Path(examples[3].image).write_bytes(b"no image")
    Path(examples[10].image).unlink()
    progress = Recorder()
    problems = extract(examples, colours, CountingEncoder(), (6, 8), 4, progress)
    assert [(problem.kind, problem.where) for problem in problems] == [
        ("unreadable image", examples[3].image_id),
        ("unreadable image", examples[10].image_id),
    ]
    assert problems[0].message.startswith(f"{examples[3].image}: not an image of a known format")
    assert problems[1].message == (
        f"{examples[10].image}: no such file; check the path and the images folder"
    )
    assert colours.missing(example.digest for example in examples) == [
        examples[3].digest,
        examples[10].digest,
    ]
    assert progress.done == 11


def test_all_images_broken_leaves_an_empty_store(examples, colours: FeatureStore) -> None:
    for example in examples:
        Path(example.image).write_bytes(b"no image")
    assert len(extract(examples, colours, CountingEncoder(), (6, 8), 4)) == 11
    assert len(colours) == 0


def test_ctrl_c_leaves_the_finished_batches_and_no_thread(examples, colours: FeatureStore) -> None:
    encode = CountingEncoder()

    def interrupted(pixels: np.ndarray) -> np.ndarray:
        if len(encode.shapes) == 2:
            raise KeyboardInterrupt
        return encode(pixels)

    with pytest.raises(KeyboardInterrupt):
        extract(examples, colours, interrupted, (6, 8), 4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
    assert red_of(colours, examples[:8]) == [number * 20.0 for number in range(8)]
    extract(examples, colours, encode, (6, 8), 4)
    assert red_of(colours, examples) == [number * 20.0 for number in range(11)]


def test_decoding_stays_at_most_two_batches_ahead(examples, colours: FeatureStore, monkeypatch) -> None:
    from cutline.data import features

    decoded, ahead = [], []
    decode = features.decode_image

    def counted(path: str, size: tuple[int, int]) -> np.ndarray:
        decoded.append(path)
        return decode(path, size)

    def slow(pixels: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        ahead.append(len(decoded) - len(colours))
        return pixels.mean(axis=(1, 2))

    monkeypatch.setattr(features, "decode_image", counted)
    extract(examples, colours, slow, (6, 8), 2)
    assert max(ahead) <= 2 + 2 * 2


def test_an_example_without_digest_is_a_mistake_of_the_caller(colours: FeatureStore) -> None:
    with pytest.raises(ValueError, match=r"a\.png has no digest: identify the data set first"):
        extract([Example("a.png", "a.png", ("a",))], colours, CountingEncoder(), (6, 8), 4)
