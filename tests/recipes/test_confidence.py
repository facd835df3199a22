"""The confidence of a run: fitted when training ends, kept in the bundle, there when captioning."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import ActingProgress

from cutline.captioner import Captioner
from cutline.data.readers import read_dataset
from cutline.data.splits import load_splits
from cutline.errors import ConfigError
from cutline.recipes import confidence as recipe
from cutline.recipes.evaluate import evaluate
from cutline.recipes.train import train
from cutline.runtime import load_bundle, save_bundle
from cutline.wishes import Wishes


@pytest.fixture
def finished(world, trained, tmp_path: Path) -> Path:
    """A copy of a run that ended, without confidence, since its val images are few."""
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "FEWEST_IMAGES", 2)


def test_with_few_val_images_nothing_is_fitted_and_that_is_told(world, finished):
    progress = ActingProgress()
    train(world.table, run=finished, resume=True, progress=progress)
    assert load_bundle(finished / "bundle").confidence is None
    (note,) = [note for note in progress.notes if "confidence" in note]
    found = val_images(finished)
    assert note == f"captions have no confidence: fitting it takes 60 val images, found {found}"


def val_images(run: Path) -> int:
    count: int = json.loads((run / "data.json").read_text())["images_per_split"]["val"]
    return count


@pytest.mark.usefixtures("few_are_enough")
def test_the_end_of_a_run_fits_the_confidence_once_and_captions_have_it(world, finished):
    before = load_bundle(finished / "bundle")
    train(world.table, run=finished, resume=True)
    bundle = load_bundle(finished / "bundle")
    assert bundle.confidence is not None
    assert len(bundle.confidence.fitted_on) == val_images(finished) // 2
    assert {name: array.tolist() for name, array in bundle.decoder_arrays.items()} == {
        name: array.tolist() for name, array in before.decoder_arrays.items()
    }
    assert bundle.details == before.details
    (best,) = Captioner.load(finished).caption(world.folder / "data/photos/00.png")
    assert 0 < best.confidence < 1
    written = (finished / "bundle" / "manifest.json").stat().st_mtime_ns
    train(world.table, run=finished, resume=True)
    assert (finished / "bundle" / "manifest.json").stat().st_mtime_ns == written


@pytest.mark.usefixtures("few_are_enough")
def test_ctrl_c_while_it_is_fitted_leaves_the_run_as_it_was(world, finished):
    def interrupt() -> None:
        raise KeyboardInterrupt

    progress = ActingProgress("measuring confidence", 1, interrupt)
    assert train(world.table, run=finished, resume=True, progress=progress).interrupted
    assert load_bundle(finished / "bundle").confidence is None
    assert Captioner.load(finished).caption(world.folder / "data/photos/00.png")[0].confidence is None


@pytest.mark.usefixtures("few_are_enough")
def test_an_evaluation_says_of_each_caption_what_captioning_says(world, finished):
    train(world.table, run=finished, resume=True)
    result = evaluate(finished, world.table, split="all")
    assert set(result.confidences) == set(result.captions)
    assert result.calibration is None, "there are fewer than 20 images that it was not trained on"
    captioner = Captioner.load(finished)
    for image_id, path in result.images.items():
        (best,) = captioner.caption(path)
        assert result.confidences[image_id] == pytest.approx(best.confidence, abs=1e-4)


def test_an_evaluation_with_a_model_without_confidence_has_none(world, finished):
    bundle = load_bundle(finished / "bundle")
    save_bundle(replace(bundle, confidence=None), finished / "bundle")
    result = evaluate(finished, world.table, split="all")
    assert result.confidences == {}
    assert result.calibration is None


def test_a_run_keeps_the_captions_of_its_training_images_once(world, finished):
    neighbours = load_bundle(finished / "bundle").neighbours
    assert neighbours is not None
    written = {example.image_id: example.captions for example in read_dataset(world.table).examples}
    assert neighbours.captions == tuple(written[image_id] for image_id in neighbours.image_ids)
    splits = load_splits(finished / "split.csv", key="image_id")
    assert set(neighbours.image_ids) == {name for name, split in splits.items() if split == "train"}
    written = (finished / "bundle" / "manifest.json").stat().st_mtime_ns
    train(world.table, run=finished, resume=True)
    assert (finished / "bundle" / "manifest.json").stat().st_mtime_ns == written


def test_captions_that_shall_not_be_kept_are_not(world, tmp_path):
    options = {**world.options, "training.keep_captions": False, "training.epochs": 1}
    run = train(world.table, "show_tell", tmp_path / "run", overrides=options)
    assert load_bundle(tmp_path / "run" / "bundle").neighbours is None
    with pytest.raises(ConfigError, match=r"consensus is 3, but the model carries no captions"):
        evaluate(run.folder, world.table, split="val", overrides={"decoding.consensus": 3})
    with pytest.raises(ConfigError, match="carries no captions"):
        Captioner.load(run.folder).with_wishes(Wishes(decoding={"consensus": 3}))
    asked = {**options, "decoding.consensus": 3, "decoding.consensus_by": "neighbours"}
    with pytest.raises(ConfigError, match=r"decoding\.consensus_by=neighbours needs"):
        train(world.table, "show_tell", tmp_path / "other", overrides=asked)


def test_what_people_write_is_learned_where_there_are_enough_images(world, tmp_path, monkeypatch):
    options = {**world.options, "training.keep_captions": False, "training.epochs": 1}
    monkeypatch.setattr(recipe, "FEWEST_EXPECTED", 5)
    folder = tmp_path / "run"
    train(world.table, "show_tell", folder, overrides={**options, "decoding.consensus": 3})
    assert load_bundle(folder / "bundle").expected is not None
    written = (folder / "bundle" / "manifest.json").stat().st_mtime_ns
    result = evaluate(folder, world.table, split="val")
    assert "by what was learned of the training captions, likelihood" in result.decoding
    with pytest.raises(ConfigError, match=r"consensus_by is 'neighbours', but"):
        evaluate(folder, world.table, split="val", overrides={"decoding.consensus_by": "neighbours"})
    train(world.table, run=folder, resume=True)
    assert (folder / "bundle" / "manifest.json").stat().st_mtime_ns == written


def test_an_evaluation_by_consensus_gives_the_captions_that_captioning_gives(world, finished):
    chosen = {"decoding.consensus": 3, "decoding.beam_size": 2, "decoding.consensus_draws": 4}
    result = evaluate(finished, world.table, split="all", overrides=chosen)
    assert "captions of the 3 nearest training images" in result.decoding
    wishes = Wishes(decoding={key.partition(".")[2]: value for key, value in chosen.items()})
    captioner = Captioner.load(finished).with_wishes(wishes)
    for image_id, path in result.images.items():
        assert captioner.caption(path)[0].text == result.captions[image_id]


def test_a_run_stopped_before_the_voters_were_kept_says_that_nobody_voted(world, finished):
    bundle = load_bundle(finished / "bundle")
    asked = bundle.decoding.model_copy(update={"consensus": 3})
    save_bundle(replace(bundle, decoding=asked, neighbours=None), finished / "bundle")
    result = evaluate(finished, world.table, split="val")
    assert "nearest training images" not in result.decoding
    assert any(note.startswith("no consensus: the model carries no captions") for note in result.notes)
    # What has nothing to do with the consensus can be asked for all the same.
    evaluate(finished, world.table, split="val", overrides={"decoding.beam_size": 2})
    wishes = Wishes(forbid=("dot",))
    found = Captioner.load(finished).with_wishes(wishes).caption(world.folder / "data/photos/00.png")
    assert "dot" not in found[0].tokens
