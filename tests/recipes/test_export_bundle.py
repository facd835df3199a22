"""A bundle that is given away: whole, checked, and no more in it than was asked for."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import ActingProgress, made_up_evaluation, photos_with_captions
from tests.golden.make_bundles import FOLDER, WORDS, picture

from cutline.captioner import Captioner
from cutline.config import DecodingOptions
from cutline.errors import BundleError, ConfigError, ExportError, RunError
from cutline.files import write_json
from cutline.recipes import export_bundle, quantising
from cutline.recipes.evaluate import evaluate
from cutline.recipes.export import export
from cutline.recipes.export_bundle import BundleContent
from cutline.recipes.measure import describe_decoding
from cutline.records import Dataset
from cutline.runtime import load_bundle, open_session, save_bundle
from cutline.text.vocabulary import START_ID

MODEL = FOLDER / "version_2"


def photos(folder: Path) -> Dataset:
    return photos_with_captions(folder, WORDS, blocks=(2, 2), size=(8, 8))


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_it_captions_as_the_model_does(tmp_path, name):
    out = tmp_path / name
    found = export(MODEL, out, "bundle")
    assert found.log_probability is None
    assert found.encoder.name == "float32"
    before, after = Captioner.load(MODEL), Captioner.load(out)
    for number in range(3):
        assert after.caption(picture(number)) == before.caption(picture(number))
    bundle = load_bundle(out)
    assert bundle.details["name"] == "copy"
    assert bundle.decoder_arrays
    assert sum(found.files.values()) == (
        out.stat().st_size if out.is_file() else sum(path.stat().st_size for path in out.iterdir())
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_it_shares_no_file_with_the_model(tmp_path):
    model = shutil.copytree(MODEL, tmp_path / "model")
    export(model, tmp_path / "copy", "bundle")
    assert {path.stat().st_nlink for path in (tmp_path / "copy").iterdir()} == {1}


def test_equal_models_give_equal_zip_files_and_a_second_export_keeps_all(tmp_path):
    content = BundleContent(licence="MIT", data_notes="Photos of our garden.")
    first = export(MODEL, tmp_path / "garden.zip", "bundle", content=content).out
    bytes_before = first.read_bytes()
    again = export(first, tmp_path / "again.zip", "bundle").out
    assert again.read_bytes() == bytes_before
    bundle = load_bundle(again)
    assert (bundle.licence, bundle.data_notes) == ("MIT", "Photos of our garden.")
    with zipfile.ZipFile(again) as archive:
        card = archive.read("card.md").decode()
    assert card.startswith("# garden\n")
    assert "Licence: MIT" in card
    assert "Photos of our garden." in card


def test_captions_of_training_images_may_stay_at_home(tmp_path):
    bundle = load_bundle(shutil.copytree(MODEL, tmp_path / "golden"))
    choosy = DecodingOptions(beam_size=2, max_length=6, consensus=2)
    save_bundle(replace(bundle, decoding=choosy), tmp_path / "model")
    out = export(tmp_path / "model", tmp_path / "copy", "bundle", content=BundleContent(captions=False)).out
    assert not [path.name for path in out.iterdir() if path.name.startswith("neighbours")]
    copy = load_bundle(out)
    assert copy.neighbours is None
    assert copy.decoding == choosy.model_copy(update={"consensus": 0})
    assert copy.confidence is not None
    assert Captioner.load(out).caption(picture(0))[0].text
    assert "captions of training images" not in (out / "card.md").read_text(encoding="utf-8")


def test_without_weights_it_captions_and_says_so_of_everything_else(tmp_path):
    out = export(MODEL, tmp_path / "small.zip", "bundle", content=BundleContent(weights=False)).out
    with zipfile.ZipFile(out) as archive:
        assert not {"encoder.npz", "decoder.npz"} & set(archive.namelist())
    assert Captioner.load(out).caption(picture(1)) == Captioner.load(MODEL).caption(picture(1))
    only_captions = r"small\.zip: has graphs and no weights: it captions and does nothing else; for training"
    with pytest.raises(BundleError, match=only_captions):
        open_session(load_bundle(out), "keras")
    with pytest.raises(BundleError, match=only_captions):
        export(out, tmp_path / "saved", "saved_model")
    # Again, and as a folder.
    again = export(out, tmp_path / "small", "bundle").out
    assert not (again / "decoder.npz").exists()
    export(out, tmp_path / "graphs")


def test_rare_tokens_may_stay_at_home(tmp_path):
    pytest.importorskip("tensorflow")
    whole = load_bundle(MODEL)
    size = whole.vocabulary_size - 2
    out = export(MODEL, tmp_path / "few.zip", "bundle", content=BundleContent(vocabulary_size=size)).out
    few = load_bundle(out)
    assert few.vocabulary.tokens == whole.vocabulary.tokens[:size]
    before, after = (Captioner.load(path).session for path in (MODEL, out))
    features = before.encode(np.stack([picture(0), picture(1)]))
    token_ids = np.full(2, START_ID, np.int32)
    wanted, _ = before.step(token_ids, before.start(features))
    found, _ = after.step(token_ids, after.start(features))
    # What the others had is shared among those that are left, in proportion.
    differences = np.asarray(found) - np.asarray(wanted)[:, :size]
    assert np.ptp(differences, axis=1) == pytest.approx(0, abs=1e-4)
    assert Captioner.load(out).caption(picture(0))[0].text
    kept = export(MODEL, tmp_path / "all.zip", "bundle", content=BundleContent(vocabulary_size=10**6)).out
    assert load_bundle(kept).vocabulary == whole.vocabulary


def test_the_scores_of_an_evaluation_that_was_named_are_told(tmp_path):
    bundle = load_bundle(MODEL)
    result = replace(made_up_evaluation(tmp_path), split="val", decoding=describe_decoding(bundle.decoding))
    write_json(tmp_path / "found" / "evaluation.json", asdict(result))
    content = BundleContent(evaluations=(tmp_path / "found",))
    out = export(MODEL, tmp_path / "told", "bundle", content=content).out
    scores = load_bundle(out).details["scores"]["val"]
    assert scores["cider_d"] == result.scores.cider_d
    assert scores["exact"]
    assert f"CIDEr-D {result.scores.cider_d:.1f}" in (out / "card.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="--evaluation is of the model as it is"):
        export(MODEL, tmp_path / "other", "bundle", content=replace(content, vocabulary_size=5))
    write_json(tmp_path / "found" / "evaluation.json", asdict(replace(result, decoding="by lot")))
    with pytest.raises(ConfigError, match=r"captions were made by by lot, the model's own way is"):
        export(MODEL, tmp_path / "other", "bundle", content=content)


def test_scores_do_not_travel_to_another_model(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    bundle = load_bundle(MODEL)
    result = replace(made_up_evaluation(tmp_path), split="val", decoding=describe_decoding(bundle.decoding))
    write_json(tmp_path / "found" / "evaluation.json", asdict(result))
    told = export(
        MODEL, tmp_path / "told", "bundle", content=BundleContent(evaluations=(tmp_path / "found",))
    ).out
    again = export(told, tmp_path / "again", "bundle").out
    assert load_bundle(again).details["scores"]["val"]["exact"]
    few = export(told, tmp_path / "few", "bundle", content=BundleContent(vocabulary_size=5)).out
    assert "scores" not in load_bundle(few).details
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: 50.0)
    data = photos_with_captions(tmp_path, WORDS)
    small = export(told, tmp_path / "small", "bundle", decoder_precision="int8", data=data).out
    found = load_bundle(small).details["scores"]["val"]
    assert "exact" not in found
    assert found["cider_d"] == result.scores.cider_d
    with pytest.raises(ExportError, match="its decoder is int8 already"):
        export(small, tmp_path / "fewer", "bundle", content=BundleContent(vocabulary_size=5))


def test_a_vocabulary_of_markers_alone_is_refused():
    with pytest.raises(ConfigError, match="--vocabulary-size is 4, allowed is 5 or more"):
        BundleContent(vocabulary_size=4)


def test_graphs_are_added_where_there_are_none(tmp_path):
    pytest.importorskip("tensorflow")
    out = export(FOLDER / "version_1", tmp_path / "copy", "bundle").out
    assert load_bundle(out).graphs
    expected = json.loads((FOLDER / "version_1.json").read_text())
    captioner = Captioner.load(out)
    assert [captioner.caption(picture(number))[0].text for number in range(4)] == [
        one["caption"] for one in expected
    ]


def test_a_network_that_cannot_be_a_graph_travels_with_its_weights(tmp_path, monkeypatch):
    exporting = pytest.importorskip("cutline.exporting")

    def refuse(bundle):
        raise ExportError("encoder odd: cannot be written as a graph")

    monkeypatch.setattr(exporting, "with_graphs", refuse)
    progress = ActingProgress()
    out = export(FOLDER / "version_1", tmp_path / "copy", "bundle", progress=progress).out
    assert load_bundle(out).graphs == {}
    assert progress.warnings == [
        "the bundle captions through Keras, for it has no graphs: encoder odd: cannot be written as a graph"
    ]
    with pytest.raises(ExportError, match="without weights there is then nothing to caption with"):
        export(FOLDER / "version_1", tmp_path / "b", "bundle", content=BundleContent(weights=False))
    with pytest.raises(ExportError, match="has no graph of its encoder"):
        export(
            FOLDER / "version_1", tmp_path / "b", "bundle", encoder_precision="int8", data=photos(tmp_path)
        )
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(("after", "kept"), [(49.6, "int8"), (49.4, "float32")])
def test_the_precision_of_the_encoder_is_told_in_manifest_and_card(tmp_path, monkeypatch, after, kept):
    scores = iter([50.0, after])
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: next(scores))
    data = photos(tmp_path)
    out = tmp_path / "small.zip"
    found = export(MODEL, out, "bundle", encoder_precision="int8", data=data)
    assert found.encoder.name == kept
    bundle = load_bundle(out)
    assert bundle.details["precision"] == {
        "encoder": kept,
        "measured": {"encoder": {"images": 6, "cider_d": {"float32": 50.0, "int8": after}}},
    }
    same = bundle.graphs["encoder.onnx"] == (MODEL / "encoder.onnx").read_bytes()
    assert same == (kept == "float32")
    assert open_session(bundle).encoder.encode(np.stack([picture(0)])).shape == (1, 4, 3)
    with zipfile.ZipFile(out) as archive:
        card = archive.read("card.md").decode()
    assert f"50.0 with float32, {after} with int8" in card
    # Features of the two are never mixed.
    before = open_session(load_bundle(MODEL)).encoder.fingerprint()
    assert (open_session(bundle).encoder.fingerprint() == before) == same


def test_an_int8_encoder_stays_one_and_is_not_made_twice(tmp_path, monkeypatch):
    scores = iter([50.0, 50.0])
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: next(scores))
    data = photos(tmp_path)
    first = export(MODEL, tmp_path / "a.zip", "bundle", encoder_precision="int8", data=data).out
    again = export(first, tmp_path / "b.zip", "bundle", encoder_precision="int8", data=data)
    assert again.encoder.reason == "int8 encoder: the model's own is one already"
    assert again.out.read_bytes() == first.read_bytes()
    graphs = export(first, tmp_path / "graphs", encoder_precision="int8", data=data)
    assert graphs.encoder.name == "int8"
    assert (graphs.out / "encoder.onnx").read_bytes() == load_bundle(first).graphs["encoder.onnx"]


def test_a_bundle_with_both_parts_in_int8_says_so_and_captions(tmp_path, monkeypatch):
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: 50.0)
    out, both = tmp_path / "small.zip", {"encoder_precision": "int8", "decoder_precision": "int8"}
    export(MODEL, out, "bundle", **both, data=photos(tmp_path), content=BundleContent(weights=False))
    bundle = load_bundle(out)
    assert {part: bundle.details["precision"][part] for part in ("encoder", "decoder")} == {
        "encoder": "int8",
        "decoder": "int8",
    }
    assert Captioner.load(out).caption(picture(1))[0].text
    # Its decoder is one already: nothing is left to make it from, and nothing has to be made.
    again = export(out, tmp_path / "again.zip", "bundle", **both, data=photos(tmp_path))
    assert again.decoder.reason == "int8 decoder: the model's own is one already"
    assert again.out.read_bytes() == out.read_bytes()


def test_without_weights_no_decoder_can_be_made_smaller(tmp_path):
    light = export(MODEL, tmp_path / "light.zip", "bundle", content=BundleContent(weights=False)).out
    with pytest.raises(BundleError, match="weights"):
        export(light, tmp_path / "b.zip", "bundle", decoder_precision="int8", data=photos(tmp_path))


def test_an_int8_bundle_is_evaluated_like_any_other(world, trained, tmp_path, monkeypatch):
    scores = iter([50.0, 50.0])
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: next(scores))
    out = tmp_path / "small.zip"
    export(trained.folder, out, "bundle", encoder_precision="int8", data=world.table)
    result = evaluate(out, world.table, out=tmp_path / "results")
    captioner = Captioner.load(out)
    for image_id, text in result.captions.items():
        assert captioner.caption(result.images[image_id])[0].text == text
    stores = {json.dumps(json.loads(path.read_text())) for path in (world.folder / "cache").rglob("*.json")}
    assert any("graph_sha256" in store for store in stores)


def test_scores_of_the_run_travel_along_if_they_are_of_what_the_bundle_writes(trained, tmp_path):
    run = Path(shutil.copytree(trained.folder, tmp_path / "garden"))
    for folder in run.glob("evaluation-*"):
        shutil.rmtree(folder)
    bundle = load_bundle(run / "bundle")
    same = {
        "decoding": describe_decoding(bundle.decoding),
        "data_fingerprint": bundle.details["data"]["fingerprint"],
    }
    for split, changes in (
        ("val", same),
        ("test", same),
        ("train", {**same, "decoding": "greedy, of another kind"}),
        ("all", {**same, "data_fingerprint": "of other data"}),
    ):
        result = made_up_evaluation(tmp_path, 3, split, **changes)
        write_json(run / f"evaluation-{split}" / "evaluation.json", asdict(result))
    os.utime(run / "evaluation-val" / "evaluation.json", (0, 0))
    out = export(run, tmp_path / "copy", "bundle").out
    details = load_bundle(out).details
    assert list(details["scores"]) == ["test"]
    assert details["scores"]["test"]["cider_d"] == 142.3
    assert details["name"] == Path(trained.folder).name
    assert "- test, 3 images: CIDEr-D 142.3" in (out / "card.md").read_text(encoding="utf-8")


def test_what_an_export_wrote_is_replaced_and_nothing_else_is(tmp_path):
    for name in ("copy", "copy.zip"):
        out = tmp_path / name
        export(MODEL, out, "bundle")
        export(MODEL, out, "bundle", content=BundleContent(licence="MIT"))
        assert load_bundle(out).licence == "MIT"
    # A model that was trained, and a damaged one.
    model = shutil.copytree(MODEL, tmp_path / "model")
    with pytest.raises(RunError, match="no bundle that an export wrote; choose another --out"):
        export(MODEL, model, "bundle")
    (tmp_path / "copy" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="no bundle that an export wrote"):
        export(MODEL, tmp_path / "copy", "bundle")
    assert (tmp_path / "copy" / "mine.txt").exists()
    export(MODEL, tmp_path / "copy", "bundle", overwrite=True)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"x")
    with pytest.raises(RunError, match=r"a file; name a folder, or a file that ends in \.zip"):
        export(MODEL, photo, "bundle", overwrite=True)
    other = tmp_path / "photos.zip"
    other.write_bytes(b"x")
    with pytest.raises(RunError, match="no bundle that an export wrote"):
        export(MODEL, other, "bundle")
    with pytest.raises(RunError, match="choose another --out"):
        export(tmp_path / "copy.zip", tmp_path / "copy.zip", "bundle", overwrite=True)


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_what_reads_back_otherwise_is_not_kept(tmp_path, monkeypatch, name):
    monkeypatch.setattr(export_bundle, "_same", lambda *_: False)
    with pytest.raises(ExportError, match="nothing was kept"):
        export(MODEL, tmp_path / name, "bundle")
    assert not list(tmp_path.iterdir())


def test_options_of_a_bundle_are_refused_for_other_formats(tmp_path):
    with pytest.raises(ConfigError, match="--licence and --data-notes are for --format bundle alone, found"):
        export(MODEL, tmp_path / "out", "onnx", content=BundleContent(licence="MIT"))
