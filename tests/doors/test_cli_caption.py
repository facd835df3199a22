"""``cutline caption`` from arguments to lines and files, with a captioner that needs no network."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.fakes import FakeCaptioner
from typer.testing import CliRunner, Result

from cutline.captioner import Captioner
from cutline.cli.app import app
from cutline.records import CaptionedImage
from cutline.wishes import Wishes


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "broken.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.fixture(autouse=True)
def captioner(monkeypatch: pytest.MonkeyPatch) -> FakeCaptioner:
    fake = FakeCaptioner()
    monkeypatch.setattr(Captioner, "load", lambda model: fake)
    return fake


def run(*arguments: str) -> Result:
    return CliRunner(env={"NO_COLOR": "1"}).invoke(app, ["caption", *arguments], prog_name="cutline")


def test_one_line_per_image_path_tab_caption() -> None:
    result = run("a.jpg", "b.jpg", "--model", "runs/first")
    assert result.exit_code == 0
    assert result.stdout == "a.jpg\ta picture called a\nb.jpg\ta picture called b\n"


def test_several_captions_have_their_log_probability(captioner: FakeCaptioner) -> None:
    result = run("a.jpg", "--model", "m", "--n-best", "2", "--beam-size", "4")
    assert result.stdout.splitlines() == [
        "a.jpg\ta picture called a\t-1.2500",
        "a.jpg\ta picture called a 1\t-2.2500",
    ]
    assert captioner.asked == [(4, 2)]


def test_what_is_asked_of_captions_reaches_the_captioner(captioner: FakeCaptioner, here: Path) -> None:
    (here / "terms.csv").write_text("word,preferred\ndog,Labrador\n")
    asked = [*("--require", "dog", "--require", "red ball", "--forbid", "cat", "--characters", "60")]
    more = [*("--min-length", "3", "--no-repeat-ngram", "2", "--glossary", "terms.csv")]
    assert run("a.jpg", "--model", "m", *asked, *more).exit_code == 0
    assert captioner.wishes == Wishes(("dog", "red ball"), ("cat",), 3, 2, 60, {"dog": "Labrador"})
    assert (
        run("a.jpg", "--model", "m", "--glossary", "none.csv").stderr == "error: none.csv: no such glossary\n"
    )


def test_an_image_that_cannot_be_read_is_listed_and_the_rest_captioned() -> None:
    result = run("a.jpg", "broken.jpg", "b.jpg", "--model", "m")
    assert result.exit_code == 1
    assert [line.partition("\t")[0] for line in result.stdout.splitlines()] == ["a.jpg", "b.jpg"]
    assert "warning: broken.jpg: damaged; copy it again" in result.stderr


def test_a_path_without_images_is_listed_and_the_rest_captioned() -> None:
    result = run("gone.jpg", "a.jpg", "none/*.png", "b.jpg", "--model", "m")
    assert result.exit_code == 1
    assert [line.partition("\t")[0] for line in result.stdout.splitlines()] == ["a.jpg", "b.jpg"]
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert [line.split(": ")[1:3] for line in warnings] == [
        ["gone.jpg", warnings[0].split(": ")[2]],
        ["none/*.png", warnings[0].split(": ")[2]],
    ]


def test_a_path_without_images_has_its_line_of_json() -> None:
    result = run("gone.jpg", "a.jpg", "--model", "m", "--json")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["image"] for line in lines] == ["gone.jpg", "a.jpg"]
    assert lines[0]["error"].startswith("gone.jpg: no such file")


def test_paths_of_which_none_has_an_image_are_bad_data() -> None:
    result = run("gone.jpg", "none/*.png", "--model", "m")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: gone.jpg: no such file")


@pytest.mark.parametrize("asked", [["--output", "-"], ["--json"]])
def test_jsonl_on_standard_output_has_a_line_for_every_image(asked: list[str]) -> None:
    result = run("a.jpg", "broken.jpg", "--model", "m", *asked)
    assert result.exit_code == 1
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "image": "a.jpg",
            "caption": "a picture called a",
            "log_probability": -1.25,
            "tokens": ["a", "picture", "called", "a"],
        },
        {"image": "broken.jpg", "error": "broken.jpg: damaged; copy it again"},
    ]


def test_a_file_is_written_and_told(here: Path) -> None:
    result = run("a.jpg", "broken.jpg", "--model", "m", "--output", "out.jsonl")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len((here / "out.jsonl").read_text().splitlines()) == 2
    assert "1 image captioned: out.jsonl" in result.stderr


def test_a_file_and_json_give_a_summary(here: Path) -> None:
    result = run("a.jpg", "broken.jpg", "--model", "m", "--output", "out.csv", "--json")
    assert json.loads(result.stdout) == {"output": "out.csv", "captioned": 1, "failed": 1}


def test_a_file_name_is_judged_before_the_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Captioner, "load", lambda model: pytest.fail("loaded"))
    result = run("a.jpg", "--model", "m", "--output", "out.txt")
    assert result.exit_code == 2
    assert "allowed: .jsonl, .csv, .parquet" in result.stderr


def test_a_file_that_exists_is_kept_unless_asked_otherwise(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = here / "captions.csv"
    table.write_text("image,caption\na.jpg,a dog\n")
    with monkeypatch.context() as patched:
        patched.setattr(Captioner, "load", lambda model: pytest.fail("loaded"))
        result = run("a.jpg", "--model", "m", "--output", "captions.csv")
    assert (result.exit_code, result.stdout, result.stderr) == (
        2,
        "",
        "error: --output captions.csv: exists already; choose another name, or replace it with --overwrite\n",
    )
    assert table.read_text() == "image,caption\na.jpg,a dog\n"
    assert run("a.jpg", "--model", "m", "--output", "captions.csv", "--overwrite").exit_code == 0
    assert "a picture called a" in table.read_text()


def test_fewer_than_one_caption_is_refused() -> None:
    result = run("a.jpg", "--model", "m", "--n-best", "0")
    assert result.exit_code == 2
    assert "--n-best 0" in result.stderr


def test_without_a_model_the_newest_run_is_taken_and_named_once(here: Path) -> None:
    (here / "runs" / "first" / "bundle").mkdir(parents=True)
    (here / "runs" / "first" / "bundle" / "manifest.json").write_text("{}")
    result = run("a.jpg")
    assert result.exit_code == 0
    assert result.stderr.count("runs/first") == 1


def test_without_a_model_and_a_run_the_one_that_comes_along_is_taken_and_named_once(
    here: Path,
) -> None:
    result = run("a.jpg")
    assert result.exit_code == 0
    assert result.stderr.count("flickr8k-lite0, which comes with cutline") == 1


def test_odd_names_stay_in_their_line_and_column(here: Path) -> None:
    name = "new\nline\tand tab\x1b[31m.jpg"
    (here / name).write_bytes(b"x")
    result = run(name, "--model", "m")
    (line,) = result.stdout.splitlines()
    assert line.startswith("new\\nline\\tand tab\\x1b[31m.jpg\t")
    assert line.count("\t") == 1


def test_names_with_brackets_are_not_taken_for_markup(here: Path) -> None:
    (here / "[bold]dog :smile:.jpg").write_bytes(b"x")
    assert run("[bold]dog :smile:.jpg", "--model", "m").stdout.startswith("[bold]dog :smile:.jpg\t")


def test_right_to_left_captions_are_printed_as_they_are(captioner: FakeCaptioner) -> None:
    captioner.caption = "كلب بني 🐕"
    assert run("a.jpg", "--model", "m").stdout == "a.jpg\tكلب بني 🐕\n"


DRIVER = """
import sys
sys.path.insert(0, {root!r})
from tests.fakes import FakeCaptioner
from cutline.captioner import Captioner
Captioner.load = lambda model: FakeCaptioner({caption!r})
sys.argv = ["cutline", "caption", *sys.argv[1:]]
from cutline.cli import main
main()
"""


def command(*arguments: str, caption: str = "a picture called {}") -> list[str]:
    root = str(Path(__file__).resolve().parents[2])
    return [sys.executable, "-c", DRIVER.format(root=root, caption=caption), *arguments]


def test_a_reader_that_leaves_early_ends_it_quietly(here: Path) -> None:
    folder = here / "many"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number:05}{'x' * 60}.jpg").write_bytes(b"x")
    process = subprocess.Popen(
        command("many", "--model", "m"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert first.startswith("many/00000")
    assert not [line for line in complaints.splitlines() if not line.startswith("captioning:")]


def test_a_terminal_without_unicode_gets_escapes_and_json_stays_json() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    seen = [
        subprocess.run(
            command("a.jpg", "--model", "m", "--quiet", *more, caption="كلب 🐕"),
            capture_output=True,
            env=environment,
            timeout=60,
            check=True,
        ).stdout.decode("ascii")
        for more in ([], ["--json"])
    ]
    assert seen[0].startswith("a.jpg\t\\u0643")
    assert json.loads(seen[1])["caption"] == "كلب 🐕"


class SureCaptioner(FakeCaptioner):
    """As sure of the caption of a.jpg as of nothing else."""

    bundle = SimpleNamespace(confidence="something")

    def caption_all(
        self, images: Iterable[str], beam_size: int | None = None, n_best: int = 1
    ) -> Iterator[CaptionedImage]:
        for record in super().caption_all(images, beam_size, n_best):
            best = [
                replace(h, confidence=0.4996 - 0.25 * ("b" in record.image)) for h in record.hypotheses[:1]
            ]
            yield replace(record, hypotheses=(*best, *record.hypotheses[1:]))


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Captioner, "load", lambda model: SureCaptioner())


@pytest.mark.usefixtures("sure")
def test_the_confidence_stands_behind_the_caption_and_is_not_rounded_up() -> None:
    result = run("a.jpg", "b.jpg", "--model", "m")
    assert result.stdout == "a.jpg\ta picture called a\t0.49\nb.jpg\ta picture called b\t0.24\n"


@pytest.mark.usefixtures("sure")
def test_of_several_captions_the_best_has_a_confidence() -> None:
    result = run("a.jpg", "--model", "m", "--n-best", "2")
    assert [line.split("\t")[2:] for line in result.stdout.splitlines()] == [["-1.2500", "0.49"], ["-2.2500"]]


@pytest.mark.usefixtures("sure")
def test_captions_below_the_least_confidence_are_marked_and_nothing_fails() -> None:
    result = run("a.jpg", "b.jpg", "--model", "m", "--min-confidence", "0.4")
    assert result.exit_code == 0
    assert [line.split("\t")[2:] for line in result.stdout.splitlines()] == [
        ["0.49"],
        ["0.24", "needs a person"],
    ]
    assert "1 of 2 captions needs a person (confidence below 0.4)" in result.stderr


@pytest.mark.usefixtures("sure")
def test_marks_are_in_files_too(here: Path) -> None:
    arguments = ("a.jpg", "broken.jpg", "b.jpg", "--model", "m", "--min-confidence", "0.4", "--output")
    assert run(*arguments, "out.csv").exit_code == 1
    with (here / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["confidence"] for row in rows] == ["0.4996", "", "0.2496"]
    assert [row["needs_person"] for row in rows] == ["false", "", "true"]
    lines = [json.loads(line) for line in run(*arguments, "-").stdout.splitlines()]
    assert [line.get("confidence") for line in lines] == [0.4996, None, 0.2496]
    assert [line.get("needs_person") for line in lines] == [False, None, True]
    summary = json.loads(run(*arguments, "out.jsonl", "--json").stdout)
    assert summary["need_person"] == 1


class StrangerCaptioner(FakeCaptioner):
    """Knows which images are unlike the training images: those with "scan" in their name."""

    def caption_all(
        self, images: Iterable[str], beam_size: int | None = None, n_best: int = 1
    ) -> Iterator[CaptionedImage]:
        """As of the other, the first hypothesis flagged."""
        for record in super().caption_all(images, beam_size, n_best):
            first = (replace(one, unlike_training="scan" in record.image) for one in record.hypotheses[:1])
            yield replace(record, hypotheses=(*first, *record.hypotheses[1:]))


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Captioner, "load", lambda model: StrangerCaptioner())


@pytest.mark.usefixtures("stranger")
def test_images_unlike_the_training_images_are_marked_and_counted(here: Path) -> None:
    arguments = ("a.jpg", "scan.png", "broken.jpg", "--model", "m")
    for name in arguments[:3]:
        (here / name).write_bytes(b"x")
    result = run(*arguments)
    assert result.stdout.splitlines() == [
        "a.jpg\ta picture called a",
        "scan.png\ta picture called scan\tunlike the training images",
    ]
    assert "1 of 2 images is unlike those the model was trained on" in result.stderr
    lines = [
        json.loads(line) for line in run(*arguments, "--n-best", "2", "--output", "-").stdout.splitlines()
    ]
    assert [line.get("unlike_training") for line in lines] == [False, True, None]
    assert not [one for line in lines for one in line.get("hypotheses", ()) if "unlike_training" in one]
    summary = json.loads(run(*arguments, "--n-best", "2", "--output", "out.csv", "--json").stdout)
    assert summary["unlike_training"] == 1
    with (here / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["unlike_training"] for row in rows] == ["false", "", "true", "", ""]


@pytest.mark.usefixtures("sure")
def test_a_model_that_cannot_tell_strangers_marks_none(here: Path) -> None:
    assert "unlike_training" not in json.loads(run("a.jpg", "--model", "m", "--json").stdout)
    assert "unlike_training" not in json.loads(
        run("a.jpg", "--model", "m", "--output", "out.jsonl", "--json").stdout
    )
    assert "unlike_training" not in (here / "out.jsonl").read_text()


@pytest.mark.usefixtures("sure")
def test_without_a_least_confidence_nothing_is_marked() -> None:
    (line,) = run("b.jpg", "--model", "m", "--json").stdout.splitlines()
    assert json.loads(line)["confidence"] == 0.2496
    assert "needs_person" not in json.loads(line)


def test_a_least_confidence_needs_a_model_that_has_one(captioner: FakeCaptioner) -> None:
    captioner.bundle = SimpleNamespace(confidence=None)  # type: ignore[attr-defined]
    result = run("a.jpg", "--model", "old", "--min-confidence", "0.5")
    assert result.exit_code == 2
    assert "error: old: carries no confidence to compare with 0.5" in result.stderr


@pytest.mark.usefixtures("sure")
def test_confidence_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SureCaptioner, "without_confidence", lambda self: FakeCaptioner(), raising=False)
    assert run("a.jpg", "--model", "m", "--no-confidence").stdout == "a.jpg\ta picture called a\n"
    result = run("a.jpg", "--model", "m", "--no-confidence", "--min-confidence", "0.5")
    assert result.exit_code == 2
    assert "min_confidence is 0.5, but no confidence is to be measured" in result.stderr


@pytest.mark.parametrize("value", ["abc", "-0.1", "1.5", "nan"])
def test_a_confidence_that_is_no_probability_is_told_by_its_flag(value: str) -> None:
    result = run("a.jpg", "--model", "m", "--min-confidence", value)
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: --min-confidence {value}: a probability from 0 to 1 is allowed, such as 0.5\n"
    )


def test_models_that_are_named_caption_together(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(Captioner, "load", lambda model: loaded.append(model) or FakeCaptioner())
    assert run("a.jpg", "--model", "m", "--model", "runs/second").exit_code == 0
    assert loaded == [["m", "runs/second"]]
