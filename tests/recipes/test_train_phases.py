"""Runs with attention, and with a second phase that trains on the score of the run's own captions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.fakes import ActingProgress
from tests.recipes.conftest import World

from cutline.captioner import Captioner
from cutline.errors import ConfigError
from cutline.recipes.evaluate import evaluate
from cutline.recipes.train import train
from cutline.records import Run
from cutline.training.history import load_history


@pytest.fixture(scope="module")
def options(world: World) -> dict[str, Any]:
    """Four regions per picture, two epochs of each objective, and everything that can be mixed in."""
    import keras

    image = keras.Input((8, 8, 3))
    regions = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(image))
    path = world.folder / "quarters.keras"
    keras.Model(image, regions).save(path)
    return world.options | {
        "encoder.name": str(path),
        "encoder.features": "grid",
        "decoder.attention_units": 8,
        "training.epochs": 2,
        "training.weight_average": 0.9,
        "training.label_smoothing": 0.05,
        "training.precision": "float32",
        "decoder.word_dropout": 0.2,
        "decoder.sentinel": True,
        "training.scheduled_sampling": 0.5,
        "training.attention_penalty": 1.0,
        "training.captions_together": 2,
        "training.flip": "auto",
        "self_critical.epochs": 2,
        "self_critical.images": 20,
        "self_critical.max_length": 6,
        "self_critical.learning_rate": 0.003,
        "self_critical.neighbours": 3,
        "self_critical.bleu_4": 1.0,
        "decoding.beam_size": 2,
    }


@pytest.fixture(scope="module")
def attending(world: World, options: dict[str, Any]) -> Run:
    return train(world.table, "attend", world.folder / "attending", overrides=options)


def same(one: Run, other: Run) -> None:
    stripped = [[replace(record, seconds=0.0) for record in run.history] for run in (one, other)]
    assert stripped[0] == stripped[1]
    assert one.best_epoch == other.best_epoch


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_run_has_both_phases_and_captions(world, attending):
    assert [record.objective for record in attending.history] == ["cross_entropy"] * 2 + ["self_critical"] * 2
    assert [record.epoch for record in attending.history] == [1, 2, 3, 4]
    assert attending.epochs == 4
    assert attending.history[-1].reward > attending.history[0].reward == 0
    assert load_history(world.folder / "attending" / "history.csv") == attending.history
    captioner = Captioner.load(world.folder / "attending")
    assert captioner.caption(world.table.parent / "photos" / "00.png")[0].tokens


def test_a_run_with_both_phases_is_evaluated(world, attending, tmp_path):
    result = evaluate(attending.folder, world.table, split="val", out=tmp_path / "out")
    assert result.scores.cider_d >= 0
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    "option", ["decoder.sentinel=true", "training.attention_penalty=0.5"], ids=lambda option: option
)
def test_options_of_attention_are_refused_without_it_before_anything_is_written(world, tmp_path, option):
    with pytest.raises(
        ConfigError, match=f"{option.partition('=')[0]} needs attention, and decoder show_tell"
    ):
        train(world.table, "show_tell", tmp_path / "run", overrides=world.options, assignments=[option])
    assert not (tmp_path / "run").exists()


def test_a_run_interrupted_in_both_phases_ends_like_one_that_was_not(world, options, attending, tmp_path):
    folder = tmp_path / "run"
    for epoch, steps in ((2, 2), (4, 1)):
        begun = {"resume": True} if folder.exists() else {"preset": "attend", "overrides": options}
        stopped = ActingProgress(f"epoch {epoch}", steps, interrupt)
        part = train(world.table, run=folder, progress=stopped, **begun)
        assert (part.interrupted, len(part.history)) == (True, epoch - 1)
    same(train(world.table, run=folder, resume=True), attending)


def test_attention_with_one_vector_per_image_is_refused_before_anything_is_written(world, options, tmp_path):
    with pytest.raises(ConfigError, match=r"encoder\.features=grid"):
        train(world.table, "attend", tmp_path / "run", overrides=options | {"encoder.features": "pooled"})
