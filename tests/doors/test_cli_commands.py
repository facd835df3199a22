"""Each command but ``caption``: what it asks its recipe for and what it prints."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image
from tests.fakes import StubRecipe, made_up_evaluation, made_up_history, made_up_whole_evaluation
from typer.testing import CliRunner, Result

from cutline.cli.app import app
from cutline.evaluation.decoding_choice import DecodingChoice, DecodingTrial
from cutline.recipes.report import RunReport
from cutline.records import Interval, LearningCurve, LearningPoint, LookingTest, Problem, Run

LOST = Problem("missing image", "gone.jpg", "no such file; left out")
IN_TWO_SPLITS = (("dog", "train"), ("cat", "test"))
MENDED = Problem("duplicate row", "captions.csv row 3", "kept once")


def run(*arguments: str) -> Result:
    return CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"}).invoke(
        app, list(arguments), prog_name="cutline"
    )


def trained(**changes: object) -> Run:
    values = {"folder": "runs/first", "history": made_up_history(), "best_epoch": 3, **changes}
    return Run(**values)  # type: ignore[arg-type]


def test_train_hands_every_option_on(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = StubRecipe.put(monkeypatch, "train", "train", trained())
    options = (
        "--images photos --run runs/first --preset merge --from runs/big --encoder resnet50 "
        "--encoder-weights w.h5 --epochs 7"
    )
    more = "--config my.toml --set training.seed=1 --set decoder.dropout=0.1 --resume --format coco"
    columns = "--image-column file --caption-column words --group-column place"
    result = run("train", "captions.csv", *options.split(), *more.split(), *columns.split())
    assert result.exit_code == 0, result.stderr
    ((arguments, keywords),) = recipe.calls
    assert arguments == ("captions.csv", "merge", Path("runs/first"))
    assert keywords == {
        "start": "runs/big",
        "images": Path("photos"),
        "config": Path("my.toml"),
        "assignments": ["training.seed=1", "decoder.dropout=0.1"],
        "overrides": {
            "encoder.name": "resnet50",
            "encoder.weights": "w.h5",
            "training.epochs": 7,
            "data.format": "coco",
            "data.image_column": "file",
            "data.caption_column": "words",
            "data.group_column": "place",
        },
        "resume": True,
    }


def test_train_without_options_leaves_everything_to_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = StubRecipe.put(monkeypatch, "train", "train", trained())
    result = run("train", "captions.csv")
    ((arguments, keywords),) = recipe.calls
    assert arguments == ("captions.csv", None, None)
    assert set(keywords.pop("overrides").values()) == {None}
    assert keywords == {"start": None, "images": None, "config": None, "assignments": (), "resume": False}
    assert result.stdout == "runs/first: best epoch 3 of 4, val CIDEr-D 30.0, BLEU-4 12.0, val loss 1.400\n"
    assert result.stderr.splitlines() == [
        "next: cutline evaluate runs/first captions.csv",
        "then: cutline caption PHOTO... --model runs/first",
    ]


@pytest.mark.parametrize(("test_images", "told"), [(0, " --split val"), (3, "")])
def test_without_test_images_the_val_split_is_named_to_be_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, test_images: int, told: str
) -> None:
    (tmp_path / "data.json").write_text(json.dumps({"images_per_split": {"val": 9, "test": test_images}}))
    StubRecipe.put(monkeypatch, "train", "train", trained(folder=str(tmp_path)))
    result = run("train", "captions.csv")
    assert result.stderr.splitlines()[0] == f"next: cutline evaluate {tmp_path} captions.csv{told}"


def test_what_comes_next_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(folder="my run"))
    result = run("train", "captions.csv", "--images", "my photos")
    assert result.stderr.splitlines() == [
        "next: cutline evaluate 'my run' captions.csv --images 'my photos'",
        "then: cutline caption PHOTO... --model 'my run'",
    ]


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ({"unique_captions": 0.049, "cider_d": 30.0}, True),
        ({"unique_captions": 0.3, "cider_d": 4.9}, True),
        ({"unique_captions": 0.05, "cider_d": 5.0}, False),
    ],
)
def test_captions_that_hardly_differ_are_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, scores: dict[str, float], told: bool
) -> None:
    first, *rest = made_up_history()
    history = (replace(first, **scores), *rest)
    StubRecipe.put(monkeypatch, "train", "train", trained(history=history, best_epoch=1))
    result = run("train", "captions.csv")
    assert ("the captions hardly differ from each other" in result.stderr) == told
    assert len(result.stderr.splitlines()) == 2 + told


def test_train_lists_lost_images_and_says_so_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(problems=(MENDED, LOST)))
    result = run("train", "captions.csv", "--quiet")
    assert result.exit_code == 1
    assert result.stderr == "warning: missing image: gone.jpg: no such file; left out\n"


def test_rows_that_were_only_mended_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(problems=(MENDED,)))
    assert run("train", "captions.csv").exit_code == 0


@pytest.mark.parametrize(
    ("count", "more", "told"),
    [
        (10, [], ["missing image: gone.jpg: no such file; left out"] * 10),
        (1050, [], ["1,050 images or rows were left out; see runs/first/problems.csv"]),
        (1, ["--resume"], ["1 image or row was left out; see runs/first/problems.csv"]),
        (0, ["--resume"], []),
    ],
)
def test_few_lost_images_are_listed_once_and_many_counted(
    monkeypatch: pytest.MonkeyPatch, count: int, more: list[str], told: list[str]
) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(problems=(LOST,) * count))
    result = run("train", "captions.csv", "--quiet", *more)
    assert result.exit_code == bool(count)
    assert result.stderr.splitlines() == [f"warning: {line}" for line in told]


def test_an_interrupted_training_tells_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(interrupted=True, epochs=6))
    result = run("train", "captions.csv", "--images", "my photos")
    assert result.exit_code == 130
    command = "cutline train captions.csv --images 'my photos' --run runs/first --resume"
    assert result.stdout.startswith(
        "runs/first: stopped after 4 of 6 epochs, best epoch 3, val CIDEr-D 30.0,"
    )
    assert result.stderr.splitlines()[-1] == f"error: interrupted; go on with: {command}"


def test_a_training_interrupted_at_once_has_no_scores_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(interrupted=True, history=(), best_epoch=0))
    result = run("train", "captions.csv")
    assert result.exit_code == 130
    assert "no epoch was finished" in result.stdout


def test_train_as_json_is_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "train", "train", trained(problems=(MENDED,)))
    document = json.loads(run("train", "captions.csv", "--json").stdout)
    assert document["folder"] == "runs/first"
    assert [record["epoch"] for record in document["history"]] == [1, 2, 3, 4]
    assert document["problems"][0]["kind"] == "duplicate row"


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StubRecipe:
    return StubRecipe.put(monkeypatch, "evaluate", "evaluate", made_up_evaluation(tmp_path))


def test_evaluate_hands_its_options_on(evaluate: StubRecipe) -> None:
    run("evaluate", "runs/first", "captions.csv", "--images", "photos", "--split", "val", "--out", "here")
    ((arguments, keywords),) = evaluate.calls
    assert arguments == ("runs/first", "captions.csv")
    assert keywords.pop("overrides")["data.format"] is None
    assert not keywords.pop("learning_curve")
    assert not keywords.pop("together_with")
    assert keywords == {"images": Path("photos"), "split": "val", "out": Path("here")}
    run("evaluate", "runs/first", "captions.csv", "--learning-curve", "--group-column", "people")
    keywords = evaluate.calls[-1][1]
    assert keywords["learning_curve"]
    assert keywords["overrides"]["data.group_column"] == "people"


def test_evaluate_prints_the_learning_curve_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    points = (
        LearningPoint(0.25, 150, 700, 20.0, Interval(18.5, 21.5)),
        LearningPoint(1.0, 600, 2800, 31.0),
    )
    curve = LearningCurve(points, 1.4, 500, "500 more captions buy about +1.4 CIDEr-D (between …)")
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", made_up_evaluation(tmp_path, learning_curve=curve))
    lines = run("evaluate", "runs/first", "captions.csv", "--learning-curve").stdout.splitlines()
    at = lines.index("learning curve: CIDEr-D after training on")
    assert lines[at + 1].split() == [
        "25%,",
        "150",
        "images,",
        "700",
        "captions",
        "20.0",
        "(18.5",
        "to",
        "21.5)",
    ]
    assert lines[at + 2].split() == ["100%,", "600", "images,", "2,800", "captions", "31.0"]
    assert lines[at + 3] == curve.forecast


def test_evaluate_sets_scores_beside_the_most_common_caption(evaluate: StubRecipe) -> None:
    result = run("evaluate", "runs/first", "captions.csv")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["BLEU-4"] == ["21.1"]
    assert rows["CIDEr-D"] == ["142.3"]
    others = {line[:26].strip(): line[26:].split() for line in lines}
    assert others["this model"] == ["21.1", "142.3"]
    assert others["most common caption"] == ["2.1", "12.3"]
    assert "METEOR, SPICE: not computed; cutline score --java computes them" in lines
    for words in ("6 references", "tokenizer ptb", "a most common dog", "teacher forcing", "1.734", "61.2%"):
        assert words in result.stdout
    assert "report: evaluation-test/report.html" in result.stdout


def test_evaluate_prints_everybody_with_intervals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = made_up_whole_evaluation(tmp_path, notes=("no score of cats: there are none",))
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", whole)
    printed = run("evaluate", "runs/first", "captions.csv").stdout
    lines = printed.splitlines()
    assert max(map(len, lines[:20])) <= 80
    at = lines.index(next(line for line in lines if line.startswith("on the same images")))
    names = [line[:26].strip() for line in lines[at + 1 : at + 6]]
    assert names == ["this model", "consensus of neighbours", "nearest neighbour", "most common caption",
                     "random training caption"]  # fmt: skip
    assert lines[at + 2].split()[3:] == ["14.4", "12.4", "to", "16.4", "36.1", "34.1", "to", "38.1"]
    assert "against the other 4 of its image" in lines[at + 6]
    assert lines[at + 7].split()[0:2] == ["human", "33.2"]
    assert lines[at + 8].split()[0:3] == ["this", "model", "18.0"]
    assert "with the features of other images 9.1: it looks at the pictures" in printed
    assert "expected calibration error 0.031" in printed
    assert "captions not seen in training 61%" in printed
    assert f"signature: {whole.scores.signature}" in printed
    assert "note: no score of cats: there are none" in printed


def test_a_model_that_does_not_look_is_told_so_with_what_may_be_the_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blind = LookingTest(40.0, 39.0, looking=False, causes=("trained too short", "features alike"))
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", made_up_evaluation(tmp_path, looking=blind))
    lines = run("evaluate", "runs/first", "captions.csv").stdout.splitlines()
    at = lines.index(
        "looking test: CIDEr-D 40.0, with the features of other images 39.0: NOT LOOKING AT THE PICTURE"
    )
    assert lines[at + 1 : at + 3] == ["  likely cause: trained too short", "  likely cause: features alike"]


def test_evaluate_as_json_has_the_figures_and_not_every_caption(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", made_up_whole_evaluation(tmp_path))
    document = json.loads(run("evaluate", "runs/first", "captions.csv", "--json", "--out", "here").stdout)
    assert document["scores"]["cider_d"] == 48.2
    assert document["scores"]["intervals"]["cider_d"]["low"] == 46.2
    assert document["baselines"][0]["name"] == "human"
    assert document["looking"]["shuffled_cider_d"] == 9.1
    assert document["report"] == "here/report.html"
    assert not {"captions", "references", "images", "image_scores", "confidences"} & set(document)
    assert "0.jpg" not in json.dumps(document)


def test_an_evaluation_that_lost_images_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    StubRecipe.put(monkeypatch, "evaluate", "evaluate", made_up_evaluation(tmp_path, problems=(LOST,)))
    result = run("evaluate", "runs/first", "captions.csv")
    assert result.exit_code == 1
    assert "gone.jpg" in result.stderr


@dataclass(frozen=True)
class Looked:
    """As a check's report."""

    problems: tuple[Problem, ...]
    in_two_splits: tuple[str, ...] = ()
    source: str = "captions.csv"
    lists_all_lost: bool = False

    def lines(self) -> list[str]:
        return ["1,200 images", "the caption 'a\tdog'"]

    def as_dict(self) -> dict[str, object]:
        return {"images": 1200, "coverage": float("nan"), "problems": self.problems}


@pytest.mark.parametrize(("problem", "code"), [(MENDED, 0), (LOST, 1)])
def test_check_tells_what_it_found_and_counts_what_was_lost(
    monkeypatch: pytest.MonkeyPatch, problem: Problem, code: int
) -> None:
    recipe = StubRecipe.put(monkeypatch, "check", "check", Looked((problem,)))
    result = run("check", "captions.csv", "--images", "photos", "--format", "table")
    assert result.exit_code == code
    assert result.stdout == "1,200 images\nthe caption 'a\\tdog'\n"
    told = "warning: 1 image or row was left out; see the output with --json\n"
    assert result.stderr == (told if code else "")
    ((arguments, keywords),) = recipe.calls
    assert arguments == ("captions.csv",)
    assert keywords["images"] == Path("photos")
    assert keywords["overrides"]["data.format"] == "table"


def test_check_as_json_has_the_problems_too(monkeypatch: pytest.MonkeyPatch) -> None:
    StubRecipe.put(monkeypatch, "check", "check", Looked((MENDED,)))
    document = json.loads(run("check", "captions.csv", "--json").stdout)
    assert document["images"] == 1200
    assert document["coverage"] is None
    assert document["problems"][0]["where"] == "captions.csv row 3"


def test_check_lists_every_image_in_two_splits(tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    rows = [f"{number}.jpg,a {animal},{split}" for number in range(60) for animal, split in IN_TWO_SPLITS]
    table.write_text("\n".join(["image,caption,split", *rows]) + "\n", encoding="utf-8")
    for result in (run("check", str(table)), run("check", str(table), "--json")):
        assert result.exit_code == 2
        assert "60 images are in two splits" in result.stderr
        assert "and 55 more" in result.stderr
    expected = [
        f"{number}.jpg (train in captions.csv row {row}, test in captions.csv row {row + 1})"
        for number, row in enumerate(range(2, 122, 2))
    ]
    assert json.loads(result.stdout) == {"images_in_two_splits": expected}
    printed = run("check", str(table)).stdout.splitlines()
    assert printed == ["Images in two splits: 60", *(f"  {line}" for line in expected)]


@pytest.mark.parametrize(("flags", "shown"), [((), 0), (("--debug",), 1)])
def test_what_pillow_warns_of_is_for_debugging(
    monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], shown: int
) -> None:
    class Odd(Looked):
        def lines(self) -> list[str]:
            warnings.warn_explicit("odd metadata", UserWarning, "Image.py", 1, module="PIL.Image")
            return []

    StubRecipe.put(monkeypatch, "check", "check", Odd(()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert run("check", "captions.csv", *flags).exit_code == 0
    assert len(caught) == shown


def test_tune_prints_every_setting_and_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = DecodingTrial(1, 0.0, 45.04, 46.0, 5.0, 1.0)
    chosen = DecodingTrial(3, 0.7, 50.0, 49.0, 0.04, 0.3, chosen=True)
    choice = DecodingChoice((greedy, chosen), greedy, 500, 501)
    recipe = StubRecipe.put(monkeypatch, "tune", "tune", choice)
    done = run("tune", "runs/first", "captions.csv", "--images", "photos")
    lines = done.stdout.splitlines()
    assert " ".join(lines[0].split()) == (
        "beam size length penalty CIDEr-D on 500 behind the best on 501 others"
    )
    assert lines[1].split() == ["1", "0", "45.0", "5.0", "±", "1.0", "46.0"]
    assert lines[2].split() == ["*", "3", "0.7", "50.0", "0.0", "±", "0.3", "49.0"]
    assert lines[-1] == (
        "decoding: beam size 3, length penalty 0.7, chosen on 500 val images; CIDEr-D on 501 others 49.0, "
        "before 46.0"
    )
    ((arguments, keywords),) = recipe.calls
    assert arguments == ("runs/first", "captions.csv")
    assert keywords["images"] == Path("photos")
    found = json.loads(run("tune", "runs/first", "captions.csv", "--json").stdout)
    assert [trial["beam_size"] for trial in found["trials"]] == [1, 3]


def test_report_prints_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    written = RunReport(Path("runs/first/report.html"))
    recipe = StubRecipe.put(monkeypatch, "report", "report_run", written)
    assert run("report", "runs/first").stdout == "runs/first/report.html\n"
    assert recipe.calls == [(("runs/first",), {})]
    unread = replace(written, unread=(Path("runs/first/evaluation-val/evaluation.json"),))
    StubRecipe.put(monkeypatch, "report", "report_run", unread)
    assert run("report", "runs/first").exit_code == 1


@dataclass(frozen=True)
class Shown:
    """As a demo's record."""

    lines: tuple[str, ...]
    report: str


def test_demo_prints_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = StubRecipe.put(monkeypatch, "demo", "demo", Shown(("Drew scenes", "Report: r.html"), "r.html"))
    assert run("demo").stdout == "Drew scenes\nReport: r.html\n"
    assert recipe.calls == [((Path("cutline-demo"),), {})]
    assert json.loads(run("demo", "--json", "--out", "elsewhere").stdout)["report"] == "r.html"


def test_notes_go_to_standard_error_and_quiet_leaves_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    written = RunReport(Path("r.html"))
    StubRecipe.put(monkeypatch, "report", "report_run", written, note="reading", warning="odd")
    assert run("report", "runs/first").stderr == "reading\nwarning: odd\n"
    quiet = run("report", "runs/first", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("r.html\n", "warning: odd\n")


def test_what_a_check_leaves_out_is_counted_once_and_the_same_everywhere(tmp_path: Path) -> None:
    rows = ["0.png,a dog,train", "0.png,a dog,train", "0.png,,train", "0.png,...,train", "1.png,,val"]
    table = tmp_path / "captions.csv"
    table.write_text("\n".join(["image,caption,split", *rows]) + "\n", encoding="utf-8")
    for number in range(2):
        Image.new("RGB", (70, 70), (90 * number, 0, 9)).save(tmp_path / f"{number}.png")
    result = run("check", str(table))
    assert result.exit_code == 1
    head = f"{table} (format table): 1 images, 1 captions; 1 more image and 3 rows left out"
    assert result.stdout.splitlines()[0] == head
    assert "4 images or rows were left out; see the output" in result.stderr.splitlines()[-1]
    assert not result.stderr.splitlines()[-1].endswith("--json")
    duplicate = ["image,caption,split", *rows[:2]]
    table.write_text("\n".join(duplicate) + "\n", encoding="utf-8")
    assert run("check", str(table)).exit_code == 0


def test_a_table_that_was_mended_is_named_in_the_error_about_splits(tmp_path: Path) -> None:
    table, clean = tmp_path / "leak.csv", tmp_path / "clean.csv"
    table.write_text("image,caption,split\n0.png,a dog,train\n0.png,a cat,test\n", encoding="utf-8")
    Image.new("RGB", (70, 70), "teal").save(tmp_path / "0.png")
    result = run("check", str(table), "--fix", str(clean))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith(
        f"; give each image one split, or use {clean}, in which each has one"
    )
    assert run("check", str(clean)).exit_code == 0
