"""Models that come with cutline are listed, shown, and captioned with by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.golden.make_bundles import picture
from typer.testing import CliRunner, Result

from cutline.captioner import Captioner
from cutline.cli.app import app
from cutline.errors import BundleError
from cutline.recipes.report import summarise
from cutline.recipes.tune import tune
from cutline.runtime import load_bundle, released, save_bundle

BUNDLE = Path(__file__).parents[1] / "golden" / "bundles" / "version_3.zip"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a picture, for a cutline that comes with one model."""
    folder = tmp_path / "released"
    folder.mkdir()
    shutil.copy(BUNDLE, folder / f"{released.DEFAULT}.zip")
    monkeypatch.setattr(released, "folder_of_released", lambda: folder)
    Image.fromarray(picture(1)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scored(folder: Path) -> None:
    """Put a model there that was measured and may be used."""
    scores = {
        "val": {"cider_d": 57.25, "cider_d_interval": {"low": 54.7, "high": 60.02}, "bleu_4": 22.0},
        "test": {"cider_d": 56.0},
    }
    bundle = load_bundle(BUNDLE)
    details = {**bundle.details, "scores": scores}
    save_bundle(
        replace(bundle, licence="for research,\nnot for sale", details=details), folder / "scored.zip"
    )


def test_models_that_come_along_are_listed_with_size_scores_and_licence(box: Path) -> None:
    scored(box / "released")
    first, second = run("models").stdout.splitlines()
    assert first.endswith("MiB, means.keras; no scores; no licence was stated")
    assert second.startswith("scored: 0.0 MiB, means.keras; ")
    assert second.endswith("; val CIDEr-D 57.2 (54.7 to 60.0), test CIDEr-D 56.0; for research, not for sale")
    _, facts = json.loads(run("models", "--json").stdout)
    assert facts["scores"]["val"]["bleu_4"] == 22.0


def test_models_that_come_along_are_listed_by_name(box: Path) -> None:
    found = run("models")
    assert found.exit_code == 0
    (line,) = found.stdout.splitlines()
    assert line.startswith(f"{released.DEFAULT}: ")
    assert "MiB" in line
    (facts,) = json.loads(run("models", "--json").stdout)
    assert facts["name"] == released.DEFAULT
    assert facts["bytes"] == BUNDLE.stat().st_size


def test_the_card_of_a_model_is_shown(box: Path) -> None:
    found = run("models", "show", released.DEFAULT)
    assert found.exit_code == 0
    assert "## What it is not for" in found.stdout


def test_the_card_of_any_model_is_shown(box: Path) -> None:
    shutil.copytree(BUNDLE.with_suffix(""), box / "runs" / "mine" / "bundle")
    of_name = run("models", "show", released.DEFAULT).stdout
    for model in (BUNDLE, BUNDLE.with_suffix(""), "runs/mine"):
        assert run("models", "show", str(model)).stdout == of_name
    found = json.loads(run("models", "show", "runs/mine", "--json").stdout)
    assert found == {"model": "runs/mine", "card": (BUNDLE.with_suffix("") / "card.md").read_text("utf-8")}


def test_a_card_that_was_changed_or_never_written_is_told(box: Path) -> None:
    shutil.copytree(BUNDLE.with_suffix(""), box / "mine")
    (box / "mine" / "card.md").write_text("The best model there is.", encoding="utf-8")
    found = run("models", "show", "mine")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "mine/card.md: damaged" in found.stderr
    before_cards = BUNDLE.parent / "version_2"
    found = run("models", "show", str(before_cards))
    assert found.exit_code == 2
    assert f"{before_cards}: has no card, since it was written before bundles had one" in found.stderr


def test_a_damaged_one_is_told(box: Path) -> None:
    (box / "released" / f"{released.DEFAULT}.zip").write_bytes(BUNDLE.read_bytes()[:1000])
    for arguments in (("models",), ("models", "show", released.DEFAULT), ("caption", "photo.png")):
        found = run(*arguments)
        assert found.exit_code == 2
        assert f"{released.DEFAULT}.zip: not a zip file, or a damaged one" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("show", "flickr9k"),
            "flickr9k: no such model; expected a run folder, a bundle, or a name that cutline models lists "
            f"({released.DEFAULT})",
        ),
        (("show",), "say cutline models show MODEL"),
        (("list",), "cutline models list: to see a card, say cutline models show MODEL"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(box: Path, arguments: tuple[str, ...], message: str) -> None:
    found = run("models", *arguments)
    assert found.exit_code == 2
    assert message in found.stderr


@pytest.mark.parametrize("folder", ["released", "a folder that is absent"])
def test_without_any_it_says_so(box: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    (box / "released" / f"{released.DEFAULT}.zip").unlink()
    monkeypatch.setattr(released, "folder_of_released", lambda: box / folder)
    assert "no model comes with this cutline" in run("models").stdout
    assert run("models", "show", released.DEFAULT).exit_code == 2
    found = run("caption", "photo.png")
    assert found.exit_code == 2
    assert "no --model given and no trained run in ./runs" in found.stderr


def test_a_photo_is_captioned_by_the_model_that_comes_along_and_that_is_said_once(box: Path) -> None:
    found = run("caption", "photo.png", "photo.png", "--no-confidence")
    assert found.exit_code == 0, found.stderr
    assert found.stderr.count(f"model: {released.DEFAULT}, which comes with cutline") == 1
    named = run("caption", "photo.png", "photo.png", "--no-confidence", "--model", released.DEFAULT)
    assert found.stdout == named.stdout
    assert "comes with cutline" not in named.stderr


def test_python_and_other_commands_know_it_by_name(box: Path) -> None:
    assert Captioner.load(released.DEFAULT).caption("photo.png") == Captioner.load(BUNDLE).caption(
        "photo.png"
    )
    found = run("export", released.DEFAULT, "--format", "bundle", "--out", "mine.zip")
    assert found.exit_code == 0, found.stderr
    assert Captioner.load("mine.zip").caption("photo.png") == Captioner.load(BUNDLE).caption("photo.png")


def test_a_page_about_it_says_what_it_was_made_from(box: Path) -> None:
    facts = summarise(Path(released.DEFAULT))
    assert facts["versions"].startswith("cutline 0.1.0")
    assert facts == summarise(BUNDLE)


def test_it_is_never_changed(box: Path) -> None:
    found = run("tune", released.DEFAULT, "captions.csv")
    assert found.exit_code == 2
    assert (
        "comes with cutline and is not changed; change a copy, written with: cutline export" in found.stderr
    )
    with pytest.raises(BundleError, match="comes with cutline"):
        tune(released.DEFAULT, "captions.csv")


def test_a_run_of_ones_own_comes_first(box: Path) -> None:
    shutil.copytree(BUNDLE.with_suffix(""), box / "runs" / "mine" / "bundle")
    (box / "runs" / "mine" / "config.toml").touch()
    found = run("caption", "photo.png", "--no-confidence")
    assert found.exit_code == 0, found.stderr
    assert "the newest run in runs/" in found.stderr


def test_a_run_without_a_finished_epoch_is_not_passed_over_in_silence(box: Path) -> None:
    assert "finished an epoch" not in run("caption", "photo.png", "--no-confidence").stderr
    (box / "runs" / "begun").mkdir(parents=True)
    (box / "runs" / "begun" / "config.toml").touch()
    found = run("caption", "photo.png", "--no-confidence")
    assert found.exit_code == 0, found.stderr
    assert f"{released.DEFAULT}, which comes with cutline" in found.stderr
    assert "no run in runs/ has finished an epoch yet" in found.stderr


def test_a_folder_of_that_name_comes_first(box: Path) -> None:
    (box / released.DEFAULT).mkdir()
    found = run("caption", "photo.png", "--model", released.DEFAULT)
    assert found.exit_code == 2
    assert "neither a run folder nor a bundle" in found.stderr
