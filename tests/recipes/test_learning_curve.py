"""Learning curves end to end: what is trained on, what is kept, what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import ActingProgress
from tests.recipes.conftest import World, write_table

from cutline.data.splits import load_splits
from cutline.errors import RunError
from cutline.recipes.evaluate import evaluate
from cutline.recipes.results import load_evaluation
from cutline.records import EvaluationResult, Run
from cutline.training.history import load_history


def copied(trained: Run, folder: Path) -> Path:
    """Copy a run, as learning curves are kept inside."""
    return Path(shutil.copytree(trained.folder, folder / "run"))


@pytest.fixture(scope="module")
def run(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(trained, tmp_path_factory.mktemp("learning"))


@pytest.fixture(scope="module")
def interrupted(world: World, run: Path) -> tuple[EvaluationResult, list[str]]:
    """What is there after Ctrl-C in the second epoch of the first part, and what was noted until then."""
    progress = ActingProgress("epoch 2", 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, world.table, learning_curve=True, progress=progress)
    assert not (run / "learning-curve" / "50").exists()
    # Hours of training may have been ahead: what was measured before them can be read.
    assert "CIDEr-D" in (run / "evaluation-test" / "report.html").read_text()
    assert "drawing the report" in [name for name, _ in progress.stages]
    return load_evaluation(run / "evaluation-test"), progress.notes


@pytest.fixture(scope="module")
def result(world: World, run: Path, interrupted: object) -> EvaluationResult:
    """The same command again."""
    return evaluate(run, world.table, learning_curve=True)


def images_of(run: Path, split: str) -> set[str]:
    return {key for key, name in load_splits(run / "split.csv").items() if name == split}


def interrupt() -> None:
    raise KeyboardInterrupt


def refused(model: Path, table: Path, out: Path) -> str:
    with pytest.raises(RunError) as error:
        evaluate(model, table, out=out, learning_curve=True)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_whole_run_is_the_last_point(run, result):
    curve = result.learning_curve
    assert [point.share for point in curve.points] == [0.25, 0.5, 1.0]
    last = curve.points[-1]
    assert (last.images, last.captions) == (len(images_of(run, "train")), 2 * len(images_of(run, "train")))
    assert last.cider_d == pytest.approx(result.scores.cider_d)
    assert last.interval is not None
    assert curve.forecast.startswith(f"{curve.more_captions} more captions")


def test_parts_are_nested_and_have_the_val_images_and_the_options_of_the_run(run, result):
    quarter, half = (run / "learning-curve" / name for name in ("25", "50"))
    trained_on = [images_of(folder, "train") for folder in (quarter, half, run)]
    assert trained_on[0] < trained_on[1] < trained_on[2]
    assert [len(images) for images in trained_on] == [point.images for point in result.learning_curve.points]
    for folder in (quarter, half):
        assert images_of(folder, "val") == images_of(run, "val")
        assert not images_of(folder, "test")
        assert (folder / "config.toml").read_text() == (run / "config.toml").read_text()


def test_the_curve_is_saved_with_the_evaluation(run, result):
    assert load_evaluation(run / "evaluation-test").learning_curve == result.learning_curve


def test_finished_parts_are_scored_on_any_split_without_training_again(world, run, result, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("checkpoint.npz")}
    progress = ActingProgress()
    again = evaluate(
        run / "bundle", world.table, split="val", out=tmp_path / "out", learning_curve=True, progress=progress
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("checkpoint.npz")} == before
    assert len(before) == 3
    assert not [name for name, _ in progress.stages if name.startswith("epoch")]
    assert sum(note.endswith("is trained already") for note in progress.notes) == 2
    half = again.learning_curve.points[1]
    assert half.captions == result.learning_curve.points[1].captions
    alone = evaluate(run / "learning-curve" / "50", world.table, split="val", out=tmp_path / "half")
    assert half.cider_d == pytest.approx(alone.scores.cider_d)


def test_what_is_ahead_is_told(run, interrupted):
    (note,) = (note for note in interrupted[1] if "for about" in note)
    count = len(images_of(run, "train"))
    assert note == f"learning curve: training on 25% and 50% of the {count} train images, for about 1 min"


def test_an_interrupted_curve_leaves_the_evaluation_and_goes_on(run, interrupted, result):
    assert interrupted[0] == replace(result, learning_curve=None)
    for name in ("25", "50"):
        assert len(load_history(run / "learning-curve" / name / "history.csv")) == 3


def test_a_bundle_alone_does_not_know_its_images(world, trained, tmp_path):
    shutil.copytree(f"{trained.folder}/bundle", tmp_path / "model")
    message = refused(tmp_path / "model", world.table, tmp_path / "out")
    assert "this is no run folder; name the folder that cutline train made" in message
    assert not (tmp_path / "out").exists()


def test_a_table_without_the_training_images_is_refused_before_anything_is_written(trained, tmp_path):
    table = write_table(tmp_path / "data", 4, "image,caption,split", ",test", other=True)
    run = copied(trained, tmp_path)
    count = len(images_of(run, "train"))
    message = refused(run, table, tmp_path / "out")
    assert f"holds 0 of the {count} train images of {run}" in message
    assert not (tmp_path / "out").exists()
    assert not (run / "learning-curve").exists()


def test_a_run_on_very_few_images_is_refused(world, trained, tmp_path):
    run = copied(trained, tmp_path)
    header, *rows = (run / "split.csv").read_text().splitlines()
    few = [row for row in rows if ",train," in row][:7]
    (run / "split.csv").write_text("\n".join([header, *few, *(r for r in rows if ",train," not in r)]))
    message = refused(run, world.table, tmp_path / "out")
    assert message.endswith("was trained on 7 images, too few to take a quarter of; a learning curve needs 8")


def test_captions_that_changed_are_told_and_finished_parts_refuse_them(world, run, result, tmp_path):
    table = Path(shutil.copytree(world.table.parent, tmp_path / "data")) / "captions.csv"
    table.write_text(table.read_text().replace("a red square", "a crimson square"))
    progress = ActingProgress()
    with pytest.raises(RunError, match=r"learning-curve/25, and it is trained anew\)$"):
        evaluate(run, table, out=tmp_path / "out", learning_curve=True, progress=progress)
    (warning,) = progress.warnings
    assert warning.startswith(f"{table}: its captions are not those that {run} was trained on")
