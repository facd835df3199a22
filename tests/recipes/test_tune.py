"""Choosing how to decode: at the end of a run and for a finished model."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import ActingProgress

from cutline.errors import ConfigError, DataError
from cutline.evaluation.decoding_choice import LENGTH_PENALTIES, DecodingChoice, DecodingTrial
from cutline.recipes import confidence, decoding_choice
from cutline.recipes import tune as recipe
from cutline.recipes.train import train
from cutline.recipes.tune import tune
from cutline.runtime import load_bundle, save_bundle

WON = DecodingTrial(3, 0.7, 50.0, 49.0, 0.0, 0.0, True)
GREEDY = DecodingTrial(1, 0.0, 45.0, 46.0, 5.0, 1.0)


@pytest.fixture
def finished(world, trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (confidence, decoding_choice, recipe):
        monkeypatch.setattr(module, "FEWEST_IMAGES", 2)


def stub(monkeypatch: pytest.MonkeyPatch, chosen: DecodingTrial = WON) -> None:
    trials = (replace(GREEDY, chosen=chosen is GREEDY), *((WON,) if chosen is WON else ()))
    choice = DecodingChoice(trials, trials[0], 2, 2)
    monkeypatch.setattr(decoding_choice, "choose_decoding", lambda *arguments: choice)


@pytest.mark.usefixtures("few_are_enough")
def test_what_is_chosen_is_kept_in_the_bundle_and_listed(world, finished, monkeypatch):
    stub(monkeypatch)
    before = load_bundle(finished / "bundle")
    tune(finished, world.table)
    bundle = load_bundle(finished / "bundle")
    assert bundle.decoding == before.decoding.model_copy(update={"beam_size": 3, "length_penalty": 0.7})
    assert bundle.details["decoding_choice"] == {
        "beam_size": 3, "length_penalty": 0.7, "images": 2, "cider_d": 50.0, "other_images": 2,
        "other_cider_d": 49.0,
    }  # fmt: skip
    rows = list(csv.DictReader((finished / "decoding.csv").read_text().splitlines()))
    assert [(row["beam_size"], row["cider_d"], row["chosen"]) for row in rows] == [
        ("1", "45.0", ""),
        ("3", "50.0", "yes"),
    ]


@pytest.mark.usefixtures("few_are_enough")
def test_a_real_choice_is_the_same_each_time(world, finished):
    assert tune(finished / "bundle", world.table).trials == tune(finished, world.table).trials


@pytest.mark.usefixtures("few_are_enough")
def test_options_that_are_named_are_kept_and_what_they_leave_open_is_chosen(world, finished):
    before = load_bundle(finished / "bundle")
    choice = tune(finished, world.table, overrides={"decoding.min_length": 2, "decoding.beam_size": 3})
    assert {trial.beam_size for trial in choice.trials} == {3}
    assert len(choice.trials) == len(LENGTH_PENALTIES)
    bundle = load_bundle(finished / "bundle")
    kept = {"beam_size": 3, "min_length": 2, "length_penalty": choice.chosen.length_penalty}
    assert bundle.decoding == before.decoding.model_copy(update=kept)
    named = {"decoding.beam_size": 2, "decoding.length_penalty": 0.5}
    (only,) = tune(finished, world.table, overrides=named).trials
    assert (only.beam_size, only.length_penalty, only.chosen) == (2, 0.5, True)
    assert load_bundle(finished / "bundle").decoding.beam_size == 2


@pytest.mark.usefixtures("few_are_enough")
def test_a_named_option_fits_the_confidence_anew(world, finished, monkeypatch):
    train(world.table, run=finished, resume=True)
    fitted = load_bundle(finished / "bundle").confidence
    assert fitted is not None
    seen = []
    monkeypatch.setattr(recipe, "fit_on_val", lambda bundle, *rest: seen.append(bundle.decoding) or fitted)
    one = {"decoding.beam_size": 1, "decoding.length_penalty": 0.0}
    tune(finished, world.table, overrides=one)
    assert seen == [], "the model searched greedily before"
    tune(finished, world.table, overrides={**one, "decoding.min_length": 2})
    assert [(options.beam_size, options.min_length) for options in seen] == [(1, 2)]


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize(
    "wrong",
    [
        {"decoding.beam_width": 3},
        {"decoding.beam_size": 0},
        {"decoding.consensus": 3, "decoding.consensus_by": "learned"},
    ],
)
def test_a_wrong_option_changes_nothing(world, finished, wrong):
    before = (finished / "bundle" / "manifest.json").read_bytes()
    with pytest.raises(ConfigError):
        tune(finished, world.table, overrides=wrong)
    assert (finished / "bundle" / "manifest.json").read_bytes() == before


@pytest.mark.usefixtures("few_are_enough")
def test_a_run_chooses_once_before_the_confidence_is_fitted(world, tmp_path, monkeypatch):
    stub(monkeypatch)
    options = {**world.options, "training.choose_decoding": True, "training.epochs": 1}
    progress = ActingProgress()
    run = train(world.table, "show_tell", tmp_path / "run", overrides=options, progress=progress)
    bundle = load_bundle(Path(run.folder) / "bundle")
    assert bundle.decoding.beam_size == 3
    assert bundle.confidence is not None
    told = "decoding: beam size 3, length penalty 0.7, chosen on 2 val images; CIDEr-D on 2 others 49.0, "
    assert told + "before 46.0" in progress.notes
    monkeypatch.setattr(decoding_choice, "choose_decoding", lambda *arguments: pytest.fail("chosen again"))
    train(run=run.folder, data=world.table, resume=True)
    assert load_bundle(Path(run.folder) / "bundle").decoding == bundle.decoding


@pytest.mark.usefixtures("few_are_enough")
def test_the_confidence_is_fitted_anew_when_the_setting_changes(world, finished, monkeypatch):
    train(world.table, run=finished, resume=True)
    fitted = load_bundle(finished / "bundle").confidence
    assert fitted is not None
    stub(monkeypatch, GREEDY)
    tune(finished, world.table)
    assert load_bundle(finished / "bundle").confidence.threshold == fitted.threshold
    seen = []
    monkeypatch.setattr(recipe, "fit_on_val", lambda bundle, *rest: seen.append(bundle.decoding) or fitted)
    stub(monkeypatch)
    tune(finished, world.table)
    assert [options.beam_size for options in seen] == [3]


@pytest.mark.usefixtures("few_are_enough")
def test_ctrl_c_while_choosing_leaves_the_model_as_it_was(world, finished):
    def interrupt() -> None:
        raise KeyboardInterrupt

    before = (finished / "bundle" / "manifest.json").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        tune(finished, world.table, progress=ActingProgress("captioning with 3 beams", 1, interrupt))
    assert (finished / "bundle" / "manifest.json").read_bytes() == before
    assert not (finished / "decoding.csv").exists()


def test_too_few_val_images_and_drawn_captions_are_refused(world, finished):
    with pytest.raises(DataError, match="choosing takes 60 val images, found 3; add some"):
        tune(finished, world.table)
    bundle = load_bundle(finished / "bundle")
    drawing = bundle.decoding.model_copy(update={"temperature": 1.0})
    save_bundle(replace(bundle, decoding=drawing), finished / "bundle")
    with pytest.raises(ConfigError, match="draws captions, with a temperature"):
        tune(finished, world.table)
