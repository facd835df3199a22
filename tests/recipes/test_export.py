"""Exports are read back, compared, and appear whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.browser import PHONE, browser
from tests.fakes import ActingProgress, photos_with_captions, pooling_encoder
from tests.golden.make_bundles import FOLDER

from cutline.captioner import Captioner
from cutline.config import DecoderOptions, DecodingOptions
from cutline.data.feature_store import as_stored
from cutline.errors import (
    ConfigError,
    DataError,
    ExportError,
    MissingDependencyError,
    RunError,
    UnknownNameError,
)
from cutline.exporting import with_graphs
from cutline.models.decoders import build_decoder
from cutline.models.sessions import KerasSession, decoder_arrays
from cutline.recipes import export_formats, quantising
from cutline.recipes.export import export
from cutline.runtime import Bundle, load_bundle, save_bundle
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.wishes import Wishes
from cutline.writing import Writer

WORDS = [*("a", "dog", "on", "the", "grass", "runs", "in", "snow", "two", "dogs", "play", "red", "ball")]
VOCABULARY = Vocabulary((*SPECIALS, *WORDS), Tokenizer())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with graphs, whose captions depend much on the picture."""
    encoder = pooling_encoder((32, 24), 8, 1 / 64)
    options = DecoderOptions(name="attend", embedding_units=8, lstm_units=12, attention_units=6)
    decoder = build_decoder(options, len(VOCABULARY), encoder.feature_shape)
    generator = np.random.default_rng(3)
    arrays = {
        name: generator.normal(0, 2.0, array.shape).astype(np.float32)
        for name, array in decoder_arrays(decoder).items()
    }
    decoding = DecodingOptions(beam_size=3, max_length=8, end_in_function_word=False, no_repeat_ngram=1)
    bundle = Bundle(
        encoder.spec(), encoder.weights(), options, arrays, encoder.feature_shape, VOCABULARY, decoding
    )
    path = tmp_path_factory.mktemp("model") / "bundle"
    save_bundle(with_graphs(bundle), path)
    return path


def test_graphs_are_exported_with_what_a_program_needs_to_caption(model, tmp_path):
    found = export(model, tmp_path / "out")
    assert found.log_probability == 0.0
    assert sorted(found.files) == ["decoder_start.onnx", "decoder_step.onnx", "encoder.onnx", "settings.json"]
    assert {path.name: path.stat().st_size for path in found.out.iterdir()} == dict(found.files)
    settings = json.loads((found.out / "settings.json").read_text(encoding="utf-8"))
    assert settings["tokens"][4:] == WORDS
    assert settings["input_size"] == {"height": 32, "width": 24}


def test_an_export_is_replaced_and_nothing_else_is(model, tmp_path):
    out = tmp_path / "out"
    export(model, out)
    export(model, out)
    (out / "settings.json").unlink()
    with pytest.raises(RunError, match="something else than an export"):
        export(model, out)
    export(model, out, overwrite=True)
    assert (out / "settings.json").exists()
    mine = out / "caption.py"
    mine.write_text("print('mine')")
    with pytest.raises(RunError, match="something else than an export"):
        export(model, out)
    assert mine.exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "settings.json").write_text("{}")
    with pytest.raises(RunError, match="something else than an export"):
        export(model, other)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(RunError, match="a file; name a folder"):
        export(model, file)


def test_what_is_read_is_never_replaced(model, tmp_path):
    for out in (model, model.parent, model / "inside"):
        with pytest.raises(RunError, match="choose another --out"):
            export(model, out, overwrite=True)
    data = photos_with_captions(tmp_path, WORDS)
    photos = tmp_path / "photos"
    photos.mkdir()
    with pytest.raises(RunError, match="choose another --out"):
        export(model, photos, encoder_precision="int8", data=data, images=photos, overwrite=True)
    assert (model / "manifest.json").exists()


def test_names_that_are_not_known_are_refused(model, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown format"):
        export(model, tmp_path / "out", "Web")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="unknown encoder precision"):
        export(model, tmp_path / "out", encoder_precision="int4")  # type: ignore[arg-type]


def test_int8_without_train_images_says_so(model, tmp_path):
    data = photos_with_captions(tmp_path, WORDS)
    val = replace(data, examples=data.of_split("val"))
    with pytest.raises(DataError, match="no train images"):
        export(model, tmp_path / "out", encoder_precision="int8", data=val)


def test_without_the_runtime_a_page_is_refused_with_how_to_get_it(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="npm pack onnxruntime-web"):
        export(model, tmp_path / "out", "web")
    assert not list(tmp_path.iterdir())


def test_an_export_that_disagrees_with_the_model_is_not_kept(model, tmp_path, monkeypatch):
    write = export_formats._write_onnx

    def other_step(bundle: Any, size: Any, folder: Path) -> Any:
        graphs = write(bundle, size, folder)
        changed = {name: array * 1.1 for name, array in bundle.decoder_arrays.items()}
        from cutline.exporting.bundles import decoder_files

        return graphs | decoder_files(bundle.decoder, changed, bundle.feature_shape)

    monkeypatch.setattr(export_formats, "_write_onnx", other_step)
    with pytest.raises(ExportError, match="gives other log-probabilities"):
        export(model, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def onnxruntime_web() -> Path:
    """Return where the npm package is, or skip the test."""
    named = os.environ.get("ONNXRUNTIME_WEB")
    places = (
        [Path(named)]
        if named
        else [Path("node_modules/onnxruntime-web"), *Path(".cache").glob("onnxruntime-web-*.tgz")]
    )
    found = next((place for place in places if place.exists()), None)
    if found is None:
        pytest.skip(
            "needs the npm package onnxruntime-web: npm pack onnxruntime-web --pack-destination .cache, or "
            "name it in ONNXRUNTIME_WEB"
        )
    return found.absolute()


def test_the_page_captions_photos_in_a_browser_without_a_network_as_python_does(model, tmp_path):
    out = export(model, tmp_path / "page", "web", runtime=onnxruntime_web()).out
    photos = []
    generator = np.random.default_rng(0)
    for number in range(20):
        size = (24, 32) if number < 5 else (int(generator.integers(20, 90)), int(generator.integers(20, 90)))
        blocks = generator.integers(0, 256, (4, 3, 3), dtype=np.uint8)
        photo = Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)
        path = tmp_path / f"{number:02}.{'jpg' if number % 2 else 'png'}"
        photo.save(path, **({"quality": 95} if number % 2 else {}))
        photos.append(str(path))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    captioner = Captioner.load(model)
    expected = [captioner.caption(photo)[0].text for photo in photos]
    assert len(set(expected)) > 3
    with browser(tmp_path / "profile") as tab:
        tab.call(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )
        tab.open(out / "index.html")
        tab.ask("cutline.ready.then(() => 1)")
        assert all(address.startswith(("file:", "blob:")) for address in tab.requests)
        tab.call("DOM.enable")
        root = tab.call("DOM.getDocument")["root"]["nodeId"]
        field = tab.call("DOM.querySelector", nodeId=root, selector="#input")["nodeId"]
        tab.call("DOM.setFileInputFiles", files=[*photos, str(broken)], nodeId=field)
        tab.ask("cutline.captionAll([]).then(() => 1)")
        shown = tab.ask("[...document.querySelectorAll('.caption')].map(line => line.textContent)")[::-1]
        assert shown[:-1] == expected
        assert shown[-1] == "This is not a photo that the browser can read."
        # On a phone nothing is wider than the screen.
        tab.open(out / "index.html", PHONE, dark=True)
        assert tab.ask("document.documentElement.scrollWidth") <= PHONE[0]
        assert not tab.complaints


def test_a_saved_model_is_exported_with_the_options_it_was_made_with(model, tmp_path):
    import tensorflow as tf

    progress = ActingProgress()
    found = export(model, tmp_path / "out", "saved_model", progress=progress)
    assert found.log_probability < 1e-4
    assert progress.notes == ["a SavedModel captions greedily, without the model's decoding.beam_size=3"]
    files = {path.relative_to(found.out): path for path in found.out.rglob("*") if path.is_file()}
    assert {str(name): path.stat().st_size for name, path in files.items()} == dict(found.files)
    assert json.loads((found.out / "settings.json").read_text(encoding="utf-8"))["tokens"][4:] == WORDS
    photo = tmp_path / "photo.jpg"
    blocks = np.random.default_rng(0).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((90, 70)).save(photo)
    loaded = tf.saved_model.load(str(found.out))
    (caption,) = loaded.signatures["serving_default"](images=tf.constant([photo.read_bytes()]))["captions"]
    greedily = Captioner.load(model).with_wishes(Wishes(decoding={"beam_size": 1}))
    assert caption.numpy().decode("utf-8") == greedily.caption(photo)[0].text
    # What is in the folders of an export belongs to it, too.
    mine = found.out / "variables" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(RunError, match="something else than an export"):
        export(model, found.out)
    mine.unlink()
    export(model, found.out)
    assert not (found.out / "variables").exists()


@pytest.mark.parametrize("consensus", [0, 40])
def test_a_page_tells_that_it_has_no_votes_where_the_model_has(model, tmp_path, monkeypatch, consensus):
    monkeypatch.setitem(export_formats.WRITERS, "web", lambda *_: lambda: 0.0)
    bundle = load_bundle(model)
    decoding = bundle.decoding.model_copy(update={"consensus": consensus})
    save_bundle(replace(bundle, decoding=decoding), tmp_path / "model")
    progress = ActingProgress()
    export(tmp_path / "model", tmp_path / "page", "web", progress=progress)
    told = "the page takes the most probable caption of 3 beams; it has no votes, by which the model chooses "
    assert progress.notes == ([f"{told}elsewhere (decoding.consensus=40)"] if consensus else [])


def test_files_for_litert_are_exported_with_what_a_program_needs_to_caption(model, tmp_path):
    out = tmp_path / "out"
    export(model, out)
    found = export(model, out, "litert")
    assert found.log_probability < 1e-4
    assert sorted(found.files) == [
        "decoder_start.tflite",
        "decoder_step.tflite",
        "encoder.tflite",
        "settings.json",
    ]
    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert settings["input_size"] == {"height": 32, "width": 24}


@pytest.mark.parametrize("format", [pytest.param("saved_model", marks=pytest.mark.slow), "litert"])
def test_a_bundle_of_version_1_which_has_no_graphs_is_exported_from_its_weights(tmp_path, format):
    found = export(FOLDER / "version_1", tmp_path / "out", format)
    assert found.log_probability < 1e-4


def test_what_is_made_of_weights_is_float32_also_if_graphs_are_not(model, tmp_path, monkeypatch):
    monkeypatch.setattr(quantising, "precision_of", lambda *_: "int8")
    monkeypatch.setitem(export_formats.WRITERS, "litert", lambda *_: lambda: 0.0)
    assert export(model, tmp_path / "weights", "litert").encoder.name == "float32"
    assert export(model, tmp_path / "graphs").encoder.name == "int8"


@pytest.mark.parametrize(
    ("more", "message"), [(0.01, "other log-probabilities"), (0.0, "captions a made-up image as 'a cat'")]
)
def test_a_saved_model_that_disagrees_with_the_model_is_not_kept(model, tmp_path, monkeypatch, more, message):
    class Disagreeing:
        def __init__(self, folder: Path) -> None:
            bundle = load_bundle(model)
            self._session, self._bundle = KerasSession(bundle), bundle

        def caption(self, images: np.ndarray) -> tuple[list[str], np.ndarray]:
            features = as_stored(self._session.encode(images)).astype(np.float32)
            greedily = self._bundle.decoding.model_copy(update={"beam_size": 1})
            own = [found[0] for found in Writer(self._session, VOCABULARY).write(features, greedily)]
            logs = np.array([hypothesis.log_probability + more for hypothesis in own])
            return [hypothesis.text if more else "a cat" for hypothesis in own], logs

    monkeypatch.setattr(export_formats, "write_saved_model", lambda *_: None)
    monkeypatch.setattr(export_formats, "SavedCaptioner", Disagreeing)
    with pytest.raises(ExportError, match=message):
        export(model, tmp_path / "out", "saved_model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["onnx", "web", "saved_model", "litert"])
def test_a_folder_is_not_called_like_a_zip_file(model, tmp_path, format):
    with pytest.raises(ConfigError, match=rf"only a bundle is written as a zip file, found .* {format};"):
        export(model, tmp_path / "small.zip", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "given", "message"),
    [
        ("onnx", {"runtime": "ort.tgz"}, "--onnxruntime-web is for --format web alone, found --format onnx"),
        ("litert", {"runtime": "ort.tgz"}, "--onnxruntime-web is for --format web alone"),
        ("saved_model", {"encoder_precision": "int8"}, "int8 is for --format bundle, onnx, web"),
        ("litert", {"encoder_precision": "int8", "data": "x.csv"}, "int8 is for --format bundle, onnx, web"),
        ("onnx", {"data": "x.csv"}, "--data is read for an int8 encoder or decoder alone; add --encoder"),
        ("web", {"images": "photos"}, "--images is read for an int8 encoder or decoder alone"),
        ("saved_model", {"data": "x.csv"}, "--data is read for an int8 encoder or decoder alone"),
    ],
)
def test_options_that_would_change_nothing_are_refused(model, tmp_path, format, given, message):
    with pytest.raises(ConfigError, match=message):
        export(model, tmp_path / "out", format, **given)
    assert not list(tmp_path.iterdir())


def test_without_tensorflow_the_line_that_installs_it_is_told(model, tmp_path, monkeypatch):
    monkeypatch.setattr(quantising, "find_spec", lambda name: None if name == "tensorflow" else object())
    with pytest.raises(
        MissingDependencyError, match=r"litert needs TensorFlow.*pip install 'cutline\[train\]'"
    ):
        export(model, tmp_path / "out", "litert")


def test_an_int8_encoder_is_measured_on_photos_and_exported(model, tmp_path):
    data = photos_with_captions(tmp_path, WORDS)
    plain = export(model, tmp_path / "plain")
    found = export(model, tmp_path / "small", encoder_precision="int8", data=data)
    precision = found.encoder
    assert precision.images == 6
    assert precision.name == ("int8" if precision.cider_d - precision.cider_d_int8 <= 0.5 else "float32")
    assert f"{precision.cider_d:.1f} with float32" in precision.reason
    same = found.files["encoder.onnx"] == plain.files["encoder.onnx"]
    assert same == (precision.name == "float32")
    assert plain.encoder.reason == ""


@pytest.mark.parametrize(
    ("after", "allowed", "kept"),
    [
        (49.6, {}, "int8"),
        (49.4, {}, "float32"),
        (48.1, {"most_lost": 2}, "int8"),
        (49.9, {"most_lost": 0}, "float32"),
    ],
)
def test_an_int8_encoder_is_kept_if_captions_lose_little(model, tmp_path, monkeypatch, after, allowed, kept):
    scores = iter([50.0, after])
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: next(scores))
    data = photos_with_captions(tmp_path, WORDS)
    found = export(model, tmp_path / "out", encoder_precision="int8", data=data, **allowed).encoder
    assert found.name == kept
    assert (found.cider_d, found.cider_d_int8) == (50.0, after)
    assert found.reason.startswith("int8 encoder" if kept == "int8" else "the encoder stays in float32")


@pytest.mark.parametrize("most_lost", [-0.1, float("nan")])
def test_what_may_be_lost_is_a_number_of_points(model, tmp_path, most_lost):
    with pytest.raises(ConfigError, match=r"--most-lost is .*, allowed is 0 or more"):
        export(model, tmp_path / "out", most_lost=most_lost)


def test_an_int8_decoder_is_measured_with_the_encoder_that_was_kept(model, tmp_path, monkeypatch):
    scores, judged = iter([50.0, 49.0, 50.0, 50.2]), []

    def score(bundle, *_):
        judged.append(bundle)
        return next(scores)

    monkeypatch.setattr(quantising, "_cider_d", score)
    data, small = (
        photos_with_captions(tmp_path, WORDS),
        {"encoder_precision": "int8", "decoder_precision": "int8"},
    )
    plain = export(model, tmp_path / "plain")
    found = export(model, tmp_path / "out", **small, data=data)
    assert (found.encoder.name, found.decoder.name) == ("float32", "int8")
    assert found.decoder.reason.startswith(
        "int8 decoder: CIDEr-D on 6 val images 50.0 with float32, 50.2 with"
    )
    encoders = [bundle.graphs["encoder.onnx"] for bundle in judged]
    assert encoders[0] == encoders[2] == encoders[3] != encoders[1]
    one, other = ((folder / "decoder_step.onnx").read_bytes() for folder in (plain.out, found.out))
    assert one != other


def test_an_int8_encoder_needs_photos_to_be_measured_on(model, tmp_path):
    with pytest.raises(ConfigError, match="--data"):
        export(model, tmp_path / "out", encoder_precision="int8")
    assert not list(tmp_path.iterdir())
