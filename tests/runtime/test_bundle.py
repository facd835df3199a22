from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutline.config import DecoderOptions, DecodingOptions
from cutline.errors import BundleError, CutlineError
from cutline.files import replacing_folder
from cutline.runtime import Bundle, bundle_files, load_bundle, save_bundle
from cutline.runtime import bundle as bundles
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.bundle import find_bundle, fingerprint_of, require_weights
from cutline.runtime.bundle_files import checksum_of
from cutline.runtime.confidence import Confidence, TrainingFeatures
from cutline.runtime.saving import save_encoder, update_bundle
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

FILES = ("card.md", "decoder.npz", "encoder.npz", "vocabulary.json")


def bundle(word: str = "dog") -> Bundle:
    chance = np.random.default_rng(0)
    return Bundle(
        encoder_spec={"name": "toy", "features": "pooled"},
        encoder_arrays={"0000/kernel": chance.random((3, 4), np.float32)},
        decoder=DecoderOptions(lstm_units=5),
        decoder_arrays={"lstm/kernel": chance.random((4, 5), np.float32), "steps": np.arange(3)},
        feature_shape=(2, 4),
        vocabulary=Vocabulary((*SPECIALS, "a", word, "कुत्ता"), Tokenizer()),
        decoding=DecodingOptions(beam_size=3, length_penalty=0.7),
        details={"cutline": "0.1.0", "validation": {"cider_d": 41.5}},
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "model"
    save_bundle(bundle(), path)
    return path


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as error:
        load_bundle(folder)
    message = str(error.value)
    assert "\n" not in message
    return message


def what_loading_says(folder: Path) -> str | None:
    try:
        load_bundle(folder)
    except CutlineError as error:
        return str(error)
    return None


def edit_manifest(folder: Path, **changes: Any) -> None:
    """Change the manifest and its checksum; keys are dotted with two underscores; None removes."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for dotted, value in changes.items():
        *groups, key = dotted.split("__")
        group = manifest
        for name in groups:
            group = group[name]
        if value is None:
            del group[key]
        else:
            group[key] = value
    path.write_text(json.dumps(manifest))
    checksum = folder / "manifest.sha256"
    if checksum.exists():
        checksum.write_text(checksum_of(path.read_bytes()))


def test_a_bundle_comes_back_as_it_was(folder):
    saved, loaded = bundle(), load_bundle(folder)
    for name in ("encoder_arrays", "decoder_arrays"):
        before, after = getattr(saved, name), getattr(loaded, name)
        assert list(before) == list(after)
        for key, array in before.items():
            np.testing.assert_array_equal(after[key], array)
            assert after[key].dtype == array.dtype
    for field in ("encoder_spec", "decoder", "feature_shape", "vocabulary", "decoding", "details"):
        assert getattr(loaded, field) == getattr(saved, field)
    assert (loaded.folder, loaded.vocabulary_size) == (str(folder), 7)


def test_a_bundle_is_six_files_and_nothing_else(folder):
    found = sorted(path.name for path in folder.iterdir())
    assert found == sorted((*FILES, "manifest.json", "manifest.sha256"))
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_bundle_may_be_moved(folder, tmp_path):
    moved = folder.rename(tmp_path / "elsewhere")
    assert load_bundle(moved).vocabulary == bundle().vocabulary


def test_the_encoder_is_linked_and_outlives_the_file_it_came_from(tmp_path):
    encoder = tmp_path / "encoder.npz"
    save_encoder(encoder, bundle().encoder_arrays)
    without = dataclasses.replace(bundle(), encoder_arrays={})
    save_bundle(without, tmp_path / "model", encoder)
    assert (tmp_path / "model" / "encoder.npz").stat().st_ino == encoder.stat().st_ino
    encoder.unlink()
    loaded = load_bundle(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.encoder_arrays["0000/kernel"], bundle().encoder_arrays["0000/kernel"]
    )


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refused(folder) == f"{folder}: the bundle is incomplete: {name} is missing; copy the bundle again"


def test_a_bundle_without_a_manifest_is_none(folder):
    (folder / "manifest.json").unlink()
    assert refused(folder) == f"{folder}: not a bundle: manifest.json is missing"


def test_a_file_that_does_not_belong_is_named(folder):
    (folder / "run_me.py").write_text("print('no')")
    assert refused(folder) == f"{folder}: run_me.py does not belong to the bundle; remove it"


@pytest.mark.parametrize("name", [".DS_Store", "._decoder.npz", ".nfs0001", "Thumbs.db"])
def test_what_file_managers_leave_behind_is_ignored(folder, name):
    (folder / name).write_bytes(b"x")
    assert load_bundle(folder).vocabulary == bundle().vocabulary


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_anywhere_is_noticed(folder, name):
    path, chance = folder / name, random.Random(name)
    whole = path.read_bytes()
    for _ in range(12):
        broken = bytearray(whole)
        broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        assert refused(folder) == f"{path}: damaged: it differs from the manifest; copy the bundle again"
    for cut in (0, 1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert refused(folder).startswith(f"{path}: damaged")


def test_a_damaged_manifest_is_refused_also_where_there_is_no_checksum(folder):
    """As in format versions 1 and 2: whatever is noticed is told in one line."""
    edit_manifest(folder, format_version=2)
    (folder / "manifest.sha256").unlink()
    path, chance = folder / "manifest.json", random.Random(1)
    whole = path.read_bytes()
    refusals = 0
    for _ in range(250):
        broken = bytearray(whole)
        broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken[: chance.choice([len(whole), chance.randrange(len(whole))])])
        found = what_loading_says(folder)
        assert found is None or (str(folder) in found and "\n" not in found)
        refusals += found is not None
    assert refusals > 150


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format_version": 99},
            "bundle format version 99, this cutline reads 1, 2 and 3; .* it .0.1.0.",
        ),
        ({"format_version": None}, "bundle format version None"),
        ({"format": "another"}, "not the manifest of a cutline bundle"),
        ({"decoding__beam_size": 1000}, "beam_size: .*less than or equal to 100 .found 1000."),
        ({"decoding__length_penalty": -1}, "length_penalty: .*found -1"),
        ({"decoding__warmth": 1}, "unknown option warmth"),
        ({"decoder__lstm_units": "many"}, "lstm_units: .*found 'many'"),
        ({"decoder": None}, "has no 'decoder'"),
        ({"decoder": 5}, "expected a group of options"),
        ({"encoder": None}, "has no 'encoder'"),
        ({"encoder": ["toy"]}, "encoder"),
        ({"feature_shape": None}, "has no 'feature_shape'"),
        ({"feature_shape": 1280}, "feature_shape is 1280, expected"),
        ({"feature_shape": ["1280"]}, "feature_shape is .*expected"),
        ({"feature_shape": []}, "feature_shape is .*expected"),
        ({"feature_shape": [-1]}, "feature_shape is .*expected"),
        ({"files": []}, "does not list the bundle's files"),
        ({"files": {}}, "does not list the bundle's files"),
        ({"files__encoder.npz": None}, "does not list the bundle's files"),
        ({"files__encoder.npz": 5}, "does not list the bundle's files"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(folder, changes, message):
    edit_manifest(folder, **changes)
    found = refused(folder)
    assert found.startswith(f"{folder / 'manifest.json'}: ")
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "sub/decoder.npz", "..", ""])
def test_a_manifest_cannot_name_files_outside(folder, name):
    (folder.parent / "secret.txt").write_text("secret")
    edit_manifest(folder, **{f"files__{name}": {"bytes": 6, "sha256": ""}})
    assert refused(folder) == (
        f"{folder / 'manifest.json'}: refused the file name {name!r}: it leaves the bundle"
    )


def test_a_manifest_that_is_no_json_or_not_text_is_refused(folder):
    for content in (b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000):
        (folder / "manifest.json").write_bytes(content)
        (folder / "manifest.sha256").write_text(checksum_of(content))
        assert refused(folder).startswith(str(folder / "manifest.json"))


def test_weights_with_pickles_are_never_read(folder, tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match=r"pickled\.npz: cannot be read"):
        load_arrays(path)


def test_numbers_that_fit_float16_are_packed_without_loss(tmp_path):
    chance = np.random.default_rng(0)
    halves = chance.standard_normal((64, 64)).astype(np.float16).astype(np.float32)
    arrays = {
        "halves": halves,
        "singles": halves + np.float32(1e-6),
        "wide": np.array([1e6, -1e-30, 70000.0], np.float32),
        "odd": np.array([np.inf, -np.inf, 0.0, -0.0, 65504.0], np.float32),
        "nan": np.array([np.nan, 1.0], np.float32),
        "integers": np.array([1, 2**40]),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(0.5, np.float32),
    }
    save_arrays(tmp_path / "a.npz", arrays)
    loaded = load_arrays(tmp_path / "a.npz")
    assert list(loaded) == list(arrays)
    for key, array in arrays.items():
        assert loaded[key].dtype == array.dtype
        assert loaded[key].tobytes() == array.tobytes()
    with np.load(tmp_path / "a.npz") as stored:
        assert stored["halves"].dtype == np.float16
        assert stored["singles"].dtype == stored["wide"].dtype == np.float32


def test_arrays_that_are_not_there_or_broken_are_one_line(tmp_path):
    for content in (None, b"", b"PK\x03\x04 and then nothing", b"text"):
        path = tmp_path / "a.npz"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(BundleError, match=r"a\.npz: cannot be read .*; copy the bundle again") as error:
            load_arrays(path)
        assert "\n" not in str(error.value)


def test_the_bundle_of_a_run_and_a_bundle_itself_are_found(tmp_path):
    save_bundle(bundle(), tmp_path / "run" / "bundle")
    assert find_bundle(tmp_path / "run") == tmp_path / "run" / "bundle"
    assert find_bundle(tmp_path / "run" / "bundle") == tmp_path / "run" / "bundle"


def test_what_is_no_model_is_said_to_be_none(tmp_path):
    expected = r"none: no such model; expected a run folder, a bundle, or a name that cutline models lists"
    with pytest.raises(BundleError, match=expected):
        find_bundle(tmp_path / "none")
    (tmp_path / "photos").mkdir()
    with pytest.raises(BundleError, match=r"photos: neither a run folder nor a bundle \(no manifest\.json\)"):
        find_bundle(tmp_path / "photos")
    (tmp_path / "photos" / "config.toml").touch()
    with pytest.raises(BundleError, match=r"no epoch of this run was finished; .*--resume"):
        find_bundle(tmp_path / "photos")
    (tmp_path / "a.jpg").touch()
    with pytest.raises(BundleError, match=r"a\.jpg: neither a run folder nor a bundle"):
        find_bundle(tmp_path / "a.jpg")


def test_a_bundle_that_was_set_aside_when_a_kill_came_is_found_again(tmp_path):
    """Between the two renames of a replacement there is no folder of that name."""
    run = tmp_path / "run"
    save_bundle(bundle("old"), run / "bundle")
    (run / "bundle").rename(run / ".bundle.old")
    assert find_bundle(run) == run / "bundle"
    assert load_bundle(find_bundle(run)).vocabulary == bundle("old").vocabulary
    (run / "bundle").rename(run / ".bundle.old")
    assert load_bundle(run / "bundle").vocabulary == bundle("old").vocabulary


class Trainer:
    """Replaces a bundle whenever a reader asks for the checksum, or for the arrays, of its decoder."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder, self.words = folder, words

    def beside(self, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def reading(path: Path) -> Any:
            if path == self.folder / "decoder.npz" and self.words:
                self.replace(self.words.pop(0))
            return read(path)

        return reading

    def replace(self, word: str) -> None:
        changed = {"lstm/kernel": np.full((4, 5), len(self.words), np.float32)}
        save_bundle(dataclasses.replace(bundle(word), decoder_arrays=changed), self.folder)


@pytest.mark.parametrize("step", ["sha256_of", "load_arrays"])
def test_a_bundle_that_is_replaced_while_it_is_read_is_read_again(folder, monkeypatch, step):
    trainer = Trainer(folder, ["cat", "cow"])
    if step == "load_arrays":
        monkeypatch.setattr(bundles, "load_arrays", trainer.beside(load_arrays))
    else:
        monkeypatch.setattr(bundle_files, "sha256_of", trainer.beside(bundle_files.sha256_of))
    loaded = load_bundle(folder)
    assert trainer.words == []
    assert "cow" in loaded.vocabulary.tokens
    assert loaded.decoder_arrays["lstm/kernel"].max() == 0


def test_a_bundle_that_is_replaced_all_the_time_is_said_to_be(folder, monkeypatch):
    trainer = Trainer(folder, ["ant", "bee", "cat", "cow", "eel"])
    monkeypatch.setattr(bundles, "load_arrays", trainer.beside(load_arrays))
    assert refused(folder) == f"{folder}: was replaced each of the 3 times it was read; try again"


def test_a_bundle_that_is_set_aside_while_it_is_read_is_put_back(folder, monkeypatch):
    """The writer is killed between its two renames, in the middle of a read."""
    moves = [folder.with_name(".model.old")]

    def reading(path: Path) -> Any:
        if moves:
            folder.rename(moves.pop())
        return load_arrays(path)

    monkeypatch.setattr(bundles, "load_arrays", reading)
    # The manifest is the same as before, so that what went wrong is told; the next reader finds all of it.
    assert "cannot be read" in refused(folder)
    assert load_bundle(folder).vocabulary == bundle().vocabulary


def test_a_bundle_replaced_after_a_kill_is_the_new_one(tmp_path):
    save_bundle(bundle("old"), tmp_path / "bundle")
    (tmp_path / "bundle").rename(tmp_path / ".bundle.old")
    save_bundle(bundle("new"), tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").vocabulary == bundle("new").vocabulary


def test_a_bundle_that_fails_half_way_leaves_the_old_one(tmp_path):
    save_bundle(bundle("old"), tmp_path / "bundle")
    with pytest.raises(TypeError):
        save_bundle(dataclasses.replace(bundle("new"), details={"x": object()}), tmp_path / "bundle")
    assert load_bundle(tmp_path / "bundle").vocabulary == bundle("old").vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    with replacing_folder(tmp_path / "bundle") as target:
        assert target.is_dir()


def with_confidence() -> Bundle:
    axes = np.eye(4, 2, dtype=np.float32)
    training = TrainingFeatures(np.zeros(4, np.float32), axes, np.eye(2, dtype=np.float32))
    numbers = (np.zeros(4), np.ones(4), np.zeros(4), 0.5, 0.1, 0.2)
    return dataclasses.replace(
        bundle(), confidence=Confidence("good", 30.0, *numbers, training, frozenset({"0" * 16}))
    )


def test_a_confidence_comes_back_and_is_covered_by_the_manifest(tmp_path):
    folder = tmp_path / "model"
    save_bundle(with_confidence(), folder)
    loaded = load_bundle(folder).confidence
    assert loaded is not None
    assert (loaded.definition, loaded.bias) == ("good", 0.5)
    for name in ("confidence.json", "confidence.npz"):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(before + b" ")
        assert "damaged" in refused(folder)
        (folder / name).unlink()
        assert f"{name} is missing" in refused(folder)
        (folder / name).write_bytes(before)


def test_a_bundle_without_confidence_has_none_and_drops_an_old_one(tmp_path):
    folder = tmp_path / "model"
    save_bundle(with_confidence(), folder)
    save_bundle(bundle(), folder)
    assert load_bundle(folder).confidence is None
    assert not (folder / "confidence.json").exists()


GRAPHS = {name: name.encode() * 3 for name in ("encoder.onnx", "decoder_start.onnx", "decoder_step.onnx")}


def with_graphs() -> Bundle:
    return dataclasses.replace(bundle(), graphs=GRAPHS)


def test_graphs_come_back_as_files_of_the_folder(tmp_path):
    save_bundle(with_graphs(), tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    assert loaded.graphs == {name: tmp_path / "model" / name for name in GRAPHS}
    assert {name: path.read_bytes() for name, path in loaded.graphs.items()} == GRAPHS
    assert loaded.decoder_arrays.keys() == bundle().decoder_arrays.keys()


def test_captioning_leaves_weights_where_they_are_when_there_are_graphs(tmp_path):
    save_bundle(with_graphs(), tmp_path / "with")
    save_bundle(bundle(), tmp_path / "without")
    loaded = load_bundle(tmp_path / "with", weights=False)
    assert (loaded.encoder_arrays, loaded.decoder_arrays) == ({}, {})
    assert load_bundle(tmp_path / "without", weights=False).decoder_arrays.keys() == {"lstm/kernel", "steps"}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_flipped_bit_of_a_graph_is_refused_with_its_name(tmp_path, name):
    folder = tmp_path / "model"
    save_bundle(with_graphs(), folder)
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert refused(folder).startswith(f"{folder / name}: damaged")


def test_some_graphs_without_the_others_are_refused(tmp_path):
    folder = tmp_path / "model"
    save_bundle(dataclasses.replace(bundle(), graphs={"encoder.onnx": b"alone"}), folder)
    assert "lists some graphs, not all" in refused(folder)


def test_an_update_without_weights_at_hand_keeps_those_of_the_folder(tmp_path):
    folder = tmp_path / "model"
    save_bundle(with_graphs(), folder)
    light = load_bundle(folder, weights=False)
    update_bundle(dataclasses.replace(light, decoding=DecodingOptions(beam_size=5)), folder)
    updated = load_bundle(folder)
    assert updated.decoding.beam_size == 5
    assert {name: array.tolist() for name, array in updated.decoder_arrays.items()} == {
        name: array.tolist() for name, array in bundle().decoder_arrays.items()
    }
    assert {name: path.read_bytes() for name, path in updated.graphs.items()} == GRAPHS


def test_weights_may_be_left_out_where_there_are_graphs(tmp_path):
    folder = tmp_path / "model"
    save_bundle(dataclasses.replace(with_graphs(), encoder_arrays={}, decoder_arrays={}), folder)
    assert not {"encoder.npz", "decoder.npz"} & {path.name for path in folder.iterdir()}
    update_bundle(dataclasses.replace(load_bundle(folder), licence="MIT"), folder)
    loaded = load_bundle(folder)
    assert (loaded.licence, loaded.decoder_arrays) == ("MIT", {})
    with pytest.raises(BundleError, match="model: has graphs and no weights: it captions"):
        require_weights(loaded)
    save_bundle(with_graphs(), folder)
    assert require_weights(load_bundle(folder)).decoder_arrays
    edit_manifest(folder, **{"files__decoder.npz": None})
    assert "does not list the bundle's files" in refused(folder)


@pytest.mark.parametrize("name", ["model", "model.zip"])
def test_the_encoder_may_be_a_graph_alone_and_stays_one(tmp_path, name):
    place = tmp_path / name
    save_bundle(dataclasses.replace(with_graphs(), encoder_arrays={}, encoder_weights=False), place)
    for weights in (True, False):
        update_bundle(dataclasses.replace(load_bundle(place, weights), licence="MIT"), place)
        loaded = load_bundle(place)
        assert (loaded.licence, loaded.encoder_weights, loaded.encoder_arrays) == ("MIT", False, {})
        assert (
            require_weights(loaded, encoder=False).decoder_arrays.keys()
            == with_graphs().decoder_arrays.keys()
        )
    with pytest.raises(BundleError, match=f"{name}: has its encoder as a graph, without weights: Keras"):
        require_weights(loaded)
    before = fingerprint_of(place)
    update_bundle(dataclasses.replace(loaded, licence="BSD"), place)
    assert fingerprint_of(place) != before
