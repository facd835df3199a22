"""The confidence of a run: fitted when training ends, kept in the bundle, there when captioning."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import ActingProgress

from cutline.captioner import Captioner
from cutline.recipes import confidence as recipe
from cutline.recipes.evaluate import evaluate
from cutline.recipes.train import train
from cutline.runtime import load_bundle, save_bundle


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
