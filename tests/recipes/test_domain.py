"""Images unlike the training images: learnt when training ends, flagged when captioning and evaluating."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import ActingProgress

from cutline.captioner import Captioner
from cutline.progress import Silent
from cutline.recipes import domain as recipe
from cutline.recipes.evaluate import evaluate
from cutline.recipes.export import export
from cutline.recipes.export_bundle import BundleContent
from cutline.recipes.train import train
from cutline.records import Dataset
from cutline.runtime import load_bundle
from cutline.runtime.saving import update_bundle


@pytest.fixture
def finished(world, trained, tmp_path: Path) -> Path:
    """A copy of a run that ended, whose images are too few."""
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "FEWEST_TRAIN", 2)
    monkeypatch.setattr(recipe, "FEWEST_VAL", 2)


@pytest.fixture(scope="module")
def telling(world, trained, tmp_path_factory) -> Path:
    """The same run, gone on with when few images were enough; not to be changed."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("telling") / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "FEWEST_TRAIN", 2)
        patch.setattr(recipe, "FEWEST_VAL", 2)
        train(world.table, run=folder, resume=True)
    return folder


def test_with_few_images_nothing_is_kept_and_that_is_told(world, finished):
    progress = ActingProgress()
    train(world.table, run=finished, resume=True, progress=progress)
    assert load_bundle(finished / "bundle").domain is None
    (note,) = [note for note in progress.notes if "unlike" in note]
    assert "takes 100 train and 66 val images, found " in note
    (best,) = Captioner.load(finished).caption(world.folder / "data/photos/00.png")
    assert best.unlike_training is None
    result = evaluate(finished, world.table, split="val")
    assert result.unlike_training is None
    assert any(
        note.startswith("images unlike the training images are not told apart") for note in result.notes
    )


@pytest.mark.usefixtures("few_are_enough")
def test_the_end_of_a_run_keeps_it_once_and_nothing_else_changes(telling, trained):
    before, bundle = (load_bundle(Path(run) / "bundle") for run in (trained.folder, telling))
    assert bundle.domain is not None
    assert bundle.details == before.details
    assert {name: array.tolist() for name, array in bundle.decoder_arrays.items()} == {
        name: array.tolist() for name, array in before.decoder_arrays.items()
    }
    nothing = Dataset((), "captions.csv", "table")
    written = (telling / "bundle" / "manifest.json").stat().st_mtime_ns
    recipe.keep_domain(telling, nothing, lambda digests: pytest.fail("read"), Silent())
    assert (telling / "bundle" / "manifest.json").stat().st_mtime_ns == written


def test_captioning_and_evaluating_flag_the_same_images(world, telling, tmp_path):
    finished = Path(shutil.copytree(telling, tmp_path / "run"))
    bundle = load_bundle(finished / "bundle")
    assert bundle.domain is not None
    captioner = Captioner.load(finished)
    table = {number: f"{number:02}.png" for number in range(3)}
    photos = [world.folder / "data" / "photos" / name for name in table.values()]
    # A limit between the colours, so that some are above it.
    residuals = [
        float(bundle.domain.residuals(captioner.session.encode(decoded(photo, captioner)[None]))[0])
        for photo in photos
    ]
    between = (min(residuals) + max(residuals)) / 2
    changed = replace(bundle.domain, limit=between, chosen_on=frozenset())
    update_bundle(replace(bundle, domain=changed), finished / "bundle")
    result = evaluate(finished, world.table, split="all")
    assert result.unlike_training is not None
    captioner = Captioner.load(finished)
    flagged = {
        image_id for image_id, path in result.images.items() if captioner.caption(path)[0].unlike_training
    }
    assert set(result.unlike_training.image_ids) == flagged
    assert 0 < result.unlike_training.share == len(flagged) / len(result.images) < 1
    records = list(captioner.without_confidence().caption_all(result.images.values()))
    assert {record.image for record in records if record.unlike_training} == {
        result.images[image_id] for image_id in flagged
    }


def decoded(photo: Path, captioner: Captioner) -> np.ndarray:
    from cutline.data.images import decode_image

    return decode_image(photo, captioner.session.input_size)


def test_of_several_captions_the_best_is_flagged_and_several_models_flag_none(world, telling):
    photo = world.folder / "data/photos/00.png"
    first, second = Captioner.load(telling).caption(photo, n_best=2)
    assert first.unlike_training in (True, False)
    assert second.unlike_training is None
    (together,) = Captioner.load([telling, telling]).caption(photo)
    assert together.unlike_training is None


def test_an_exported_bundle_flags_without_captions_and_weights(telling, tmp_path):
    content = BundleContent(captions=False, weights=False)
    copy = load_bundle(export(telling, tmp_path / "copy.zip", "bundle", content=content).out)
    own = load_bundle(telling / "bundle")
    assert copy.neighbours is None
    assert copy.domain is not None
    assert own.domain is not None
    features = np.random.default_rng(0).random((9, *own.feature_shape))
    assert copy.domain.unlike(features).tolist() == own.domain.unlike(features).tolist()
    assert copy.domain.limit == own.domain.limit


@pytest.mark.usefixtures("few_are_enough")
def test_ctrl_c_meanwhile_leaves_the_run_as_it_was(world, finished):
    def interrupt() -> None:
        raise KeyboardInterrupt

    progress = ActingProgress("learning what training images look like", 1, interrupt)
    assert train(world.table, run=finished, resume=True, progress=progress).interrupted
    assert load_bundle(finished / "bundle").domain is None
