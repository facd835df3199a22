"""Runs whose second phase trains the encoder, and whose third goes on with what it has become."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fakes import ActingProgress
from tests.recipes.conftest import World

from cutline.captioner import Captioner
from cutline.errors import ConfigError
from cutline.recipes import epoch_keeper, phases
from cutline.recipes.evaluate import evaluate
from cutline.recipes.train import train
from cutline.records import Run, best_epoch
from cutline.runtime import load_bundle
from cutline.training.history import load_history


@pytest.fixture(scope="module")
def options(world: World) -> dict[str, Any]:
    """A network of two stages with batch normalisation, and two epochs of each objective."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for depth in (4, 6):
        x = keras.layers.Conv2D(depth, 3, 2, padding="same")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    path = world.folder / "two_stages.keras"
    keras.Model(image, x).save(path)
    return world.options | {
        "encoder.name": str(path),
        "encoder.features": "grid",
        "encoder.batch_size": 4,
        "decoder.attention_units": 8,
        "training.epochs": 2,
        "training.weight_average": 0.9,
        "training.precision": "float32",
        "fine_tune.epochs": 2,
        "fine_tune.images": 5,
        "fine_tune.learning_rate": 0.02,
        "fine_tune.decoder_learning_rate": 0.02,
        "fine_tune.batch_norm": "trained",
        "self_critical.epochs": 1,
        "self_critical.images": 20,
        "decoding.beam_size": 2,
        "decoding.consensus": 0,
    }


@pytest.fixture(scope="module")
def tuned(world: World, options: dict[str, Any]) -> Run:
    return train(world.table, "attend", world.folder / "tuned", overrides=options)


def weights_of(folder: Path | str) -> dict[str, np.ndarray]:
    with np.load(Path(folder) / "bundle" / "encoder.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def same(one: Run, other: Run) -> None:
    stripped = [[replace(record, seconds=0.0) for record in run.history] for run in (one, other)]
    assert stripped[0] == stripped[1]
    assert one.best_epoch == other.best_epoch
    first, second = (load_bundle(Path(run.folder) / "bundle") for run in (one, other))
    for name in ("encoder_arrays", "decoder_arrays"):
        arrays, others = getattr(first, name), getattr(second, name)
        assert arrays.keys() == others.keys()
        assert all(np.array_equal(arrays[key], others[key]) for key in arrays)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_phases_follow_each_other_and_the_loss_falls(world, tuned):
    history = tuned.history
    assert [record.objective for record in history] == [
        *["cross_entropy"] * 2,
        *["fine_tune"] * 2,
        "self_critical",
    ]
    assert history[3].train_loss < history[2].train_loss
    assert tuned.best_epoch > 2
    assert load_history(world.folder / "tuned" / "history.csv") == history
    assert (world.folder / "tuned" / "curves.png").exists()
    assert not list((world.folder / "tuned").glob(".*.partial"))


def test_the_bundle_carries_the_tuned_encoder_and_says_so(world, tuned):
    folder = Path(tuned.folder)
    with np.load(folder / "encoder.npz") as before:
        after = weights_of(folder)
        changed = {name: not np.array_equal(before[name], after[name]) for name in after}
    # The last of the two stages and its statistics, and nothing else.
    assert list(changed.values()) == [False] * 6 + [True] * 6
    begun = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    now = load_bundle(folder / "bundle").details["encoder_fingerprint"]
    assert now["weights_sha256"] != begun["weights_sha256"]
    assert now["weights_sha256"] == Captioner.load(folder).session.encoder.fingerprint()["weights_sha256"]


def evaluates_to_its_best_epoch(run: Run, world: World, out: Path) -> None:
    result = evaluate(run.folder, world.table, split="val", out=out)
    best = run.history[run.best_epoch - 1]
    assert result.scores.cider_d == pytest.approx(best.cider_d)
    assert result.loss == pytest.approx(best.val_loss, rel=1e-5)
    assert (out / "report.html").exists()


def test_an_evaluation_gives_the_figures_of_the_best_epoch(world, tuned, tmp_path):
    evaluates_to_its_best_epoch(tuned, world, tmp_path / "out")


@pytest.mark.slow
def test_the_bundle_captions_alike_in_a_fresh_process(world, tuned):
    photo = world.table.parent / "photos" / "01.png"
    here = Captioner.load(tuned.folder).caption(photo)[0]
    script = (
        "import sys; from cutline.captioner import Captioner; "
        "found = Captioner.load(sys.argv[1]).caption(sys.argv[2])[0]; "
        "print(found.text, found.log_probability)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(Path(tuned.folder) / "bundle"), str(photo)],
        capture_output=True,
        text=True,
        check=True,
    )
    text, _, log_probability = done.stdout.strip().rpartition(" ")
    assert text == here.text
    assert float(log_probability) == pytest.approx(here.log_probability, rel=1e-5)


@pytest.mark.slow
def test_a_run_interrupted_in_every_phase_ends_like_one_that_was_not(world, options, tuned, tmp_path):
    folder = tmp_path / "run"
    stopped = ActingProgress("epoch 4", 2, interrupt)
    part = train(world.table, "attend", folder, overrides=options, progress=stopped)
    assert (part.interrupted, len(part.history)) == (True, 3)
    stopped = ActingProgress("epoch 5", 1, interrupt)
    part = train(world.table, run=folder, resume=True, progress=stopped)
    assert (part.interrupted, len(part.history)) == (True, 4)
    evaluates_to_its_best_epoch(part, world, tmp_path / "out")
    same(train(world.table, run=folder, resume=True), tuned)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [3, 5])
def test_a_kill_between_bundle_and_checkpoint_changes_nothing(
    world, options, tuned, tmp_path, monkeypatch, epoch
):
    folder = tmp_path / "run"
    save = epoch_keeper.save_checkpoint

    def killed(path: Path, checkpoint: Any) -> None:
        if len(checkpoint.history) == epoch:
            raise KeyboardInterrupt
        save(path, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr(epoch_keeper, "save_checkpoint", killed)
        part = train(world.table, "attend", folder, overrides=options)
    assert len(part.history) == epoch - 1
    same(train(world.table, run=folder, resume=True), tuned)


@pytest.mark.slow
def test_a_kill_while_images_are_encoded_again_changes_nothing(world, options, tuned, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(phases, "with_best_encoder", lambda *_: interrupt())
        assert train(world.table, "attend", folder, overrides=options).interrupted
    same(train(world.table, run=folder, resume=True), tuned)


@pytest.mark.slow
def test_an_encoder_that_got_worse_is_not_kept(world, options, tmp_path):
    spoiling = {"fine_tune.learning_rate": 100.0, "fine_tune.decoder_learning_rate": 100.0}
    run = train(world.table, "attend", tmp_path / "run", overrides=options | spoiling)
    before = np.load(Path(run.folder) / "encoder.npz")
    assert run.history[2].cider_d < run.history[1].cider_d
    assert all(np.array_equal(before[name], array) for name, array in weights_of(run.folder).items())
    # The last phase starts from the best epoch, with the encoder that it had.
    assert run.history[4].val_loss < run.history[3].val_loss


@pytest.mark.slow
@pytest.mark.parametrize("passes", [0, 1])
def test_who_waited_for_the_encoder_is_told_that_it_is_the_old_one(world, options, tmp_path, passes):
    spoiling = {"fine_tune.learning_rate": 100.0, "fine_tune.decoder_learning_rate": 100.0}
    progress = ActingProgress()
    own = options | spoiling | {"self_critical.epochs": passes}
    run = train(world.table, "attend", tmp_path / "run", overrides=own, progress=progress)
    best = best_epoch(run.history[:4])
    told = f"better than epoch {best}: the model has the encoder as it came"
    assert best <= 2
    assert [note.endswith(told) for note in progress.notes if "encoder as it came" in note] == [True]


@pytest.mark.slow
def test_one_vector_per_image_is_tuned_as_well(world, options, tmp_path):
    changes = {"encoder.features": "pooled", "self_critical.epochs": 0, "fine_tune.stages": "all"}
    run = train(world.table, "show_tell", tmp_path / "run", overrides=options | changes)
    assert run.history[3].train_loss < run.history[2].train_loss


def test_an_encoder_without_weights_is_refused_before_anything_is_written(world, tmp_path):
    with pytest.raises(ConfigError, match=r"mean_colour\.keras has no weights to train"):
        train(world.table, "show_tell", tmp_path / "run", overrides=world.options | {"fine_tune.epochs": 1})
    assert not (tmp_path / "run").exists()
