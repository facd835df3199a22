from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.fakes import ActingProgress, made_up_evaluation, made_up_history, made_up_whole_evaluation

from cutline.config import RunConfig, resolve, to_toml
from cutline.errors import RunError
from cutline.files import write_json, write_text
from cutline.recipes.report import (
    evaluation_folder,
    report_run,
    summarise,
    write_evaluation_report,
    write_report,
)
from cutline.recipes.results import save_evaluation
from cutline.recipes.run_folder import write_problems
from cutline.records import EvaluationResult, Problem
from cutline.training.history import save_history


@pytest.fixture
def evaluation(tmp_path: Path) -> EvaluationResult:
    return made_up_evaluation(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    folder.mkdir()
    weights = tmp_path / "resnet.weights.h5"
    config = resolve("merge", {}, assignments=[f"encoder.weights={weights}"])
    write_text(folder / "config.toml", to_toml(config))
    facts = {
        "source": "captions.csv",
        "format": "table",
        "images": 1200,
        "captions": 6000,
        "fingerprint": "f00",
    }
    write_json(folder / "data.json", {**facts, "images_per_split": {"train": 1000, "val": 200}})
    write_json(
        folder / "environment.json", {"cutline": "0.1.0", "python": "3.11", "packages": {"keras": "3.15"}}
    )
    write_problems(folder / "problems.csv", [Problem("broken row", "captions.csv row 7", "left out")])
    save_history(folder / "history.csv", made_up_history())
    return folder


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_a_report_holds_history_settings_and_problems_of_the_run(run: Path) -> None:
    path = write_report(run)
    assert path == run / "report.html"
    for words in (
        "<title>first",
        "Figures of every epoch",
        "captions.csv row 7",
        "1,200 images",
        "keras 3.15",
    ):
        assert words in text_of(path)
    assert "not been evaluated yet" in text_of(path)


def test_every_evaluation_of_the_run_is_in_it_unseen_images_first(run: Path, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        save_evaluation(run / f"evaluation-{split}", made_up_evaluation(tmp_path, split=split))
    page = text_of(write_report(run))
    places = [page.index(f"Scores on the {split} split") for split in ("test", "val", "train")]
    assert places == sorted(places)


def test_a_damaged_evaluation_is_told_and_left_out(run: Path, evaluation: EvaluationResult) -> None:
    save_evaluation(run / "evaluation-test", evaluation)
    (run / "evaluation-val").mkdir()
    (run / "evaluation-val" / "evaluation.json").write_text("{")
    heard = ActingProgress()
    page = text_of(write_report(run, progress=heard))
    assert "Scores on the test split" in page
    assert len(heard.warnings) == 1
    assert "evaluation-val" in heard.warnings[0]


def test_an_evaluation_of_another_version_is_told_so_without_jargon(
    run: Path, evaluation: EvaluationResult
) -> None:
    save_evaluation(run / "evaluation-val", evaluation)
    path = run / "evaluation-val" / "evaluation.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    del saved["baselines"]
    write_json(path, saved)
    heard = ActingProgress()
    assert report_run(run, progress=heard).unread == (path,)
    (warning,) = heard.warnings
    assert warning.startswith(f"{path}: written by another version of cutline")
    assert warning.endswith("cutline evaluate makes it anew")


def test_a_report_is_made_anew(run: Path, evaluation: EvaluationResult) -> None:
    first = text_of(write_report(run))
    save_evaluation(run / "evaluation-test", evaluation)
    assert text_of(write_report(run)) != first


def test_where_files_lie_on_this_machine_is_not_told(run: Path, tmp_path: Path) -> None:
    settings = summarise(run)
    assert settings["encoder.weights"] == "resnet.weights.h5"
    assert str(tmp_path) not in json.dumps(settings)


def test_all_options_of_the_run_are_listed(run: Path) -> None:
    settings = summarise(run)
    assert settings["preset"] == "merge"
    groups = RunConfig().model_dump()
    asked = {
        f"{group}.{key}"
        for group, values in groups.items()
        if isinstance(values, dict)
        for key, value in values.items()
        if value is not None
    }
    assert asked <= set(settings)


def test_a_bundle_alone_tells_what_its_manifest_knows(tmp_path: Path, evaluation: EvaluationResult) -> None:
    bundle = tmp_path / "moved"
    write_json(
        bundle / "manifest.json",
        {
            "encoder": {"name": "efficientnet_lite0"},
            "decoder": {"name": "show_tell"},
            "data": {"source": "captions.csv", "format": "table", "images": 3, "captions": 15},
            "cutline": "0.1.0",
        },
    )
    path = write_evaluation_report(tmp_path / "evaluation-test", evaluation, model=bundle)
    page = text_of(path)
    for words in ("moved: test split", "efficientnet_lite0", "show_tell", "0123456789abcdef", "142.3"):
        assert words in page
    assert "Figures of every epoch" not in page


def test_an_evaluation_of_a_run_shows_its_curves(run: Path, evaluation: EvaluationResult) -> None:
    folder = run / "evaluation-test"
    assert "Figures of every epoch" in text_of(write_evaluation_report(folder, evaluation, model=run))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such run folder"),
        (lambda folder: folder.mkdir(), "nothing to report yet"),
        (lambda folder: write_json(folder / "manifest.json", {}), "a bundle, not a run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, make: object, message: str) -> None:
    folder = tmp_path / "folder"
    make(folder)  # type: ignore[operator]
    with pytest.raises(RunError, match=message):
        write_report(folder)


def test_evaluations_go_into_the_run_and_those_of_a_bundle_alone_here(run: Path, tmp_path: Path) -> None:
    assert evaluation_folder(run, "val") == run / "evaluation-val"
    assert evaluation_folder(run / "bundle", "val") == run / "evaluation-val"
    assert evaluation_folder(tmp_path / "bundle", "val") == Path("evaluation-val")


def test_what_is_saved_and_read_back_gives_the_same_page(run: Path, evaluation: EvaluationResult) -> None:
    save_evaluation(run / "evaluation-test", evaluation)
    saved = json.loads((run / "evaluation-test" / "evaluation.json").read_text(encoding="utf-8"))
    assert saved["captions"] == asdict(evaluation)["captions"]
    assert all(caption in text_of(write_report(run)) for caption in evaluation.captions.values())


def test_all_that_an_evaluation_found_survives_on_disk_and_is_shown(run: Path, tmp_path: Path) -> None:
    save_evaluation(run / "evaluation-test", made_up_whole_evaluation(tmp_path))
    page = re.sub(r"</?span[^>]*>", "", text_of(write_report(run)))
    for words in (
        "of what people score",
        "falls by 81 %",
        "off by 3.1 percentage points",
        "up to 8 words",
        "+0.4 CIDEr-D",
    ):
        assert words in page
