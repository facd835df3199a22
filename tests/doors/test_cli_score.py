"""``cutline score`` over the real command line: the table, the comparison, JSON and exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import made_up_captions
from typer.testing import CliRunner, Result

from cutline.cli.app import app
from cutline.metrics import Scorer

HYPOTHESES, REFERENCES = made_up_captions(30)
SCORES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr", "CIDEr-D")


@pytest.fixture(autouse=True)
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dump("h.json", HYPOTHESES)
    dump("r.json", REFERENCES)
    dump("best.json", {image: captions[0] for image, captions in REFERENCES.items()})
    dump("fewer.json", {image: text for image, text in HYPOTHESES.items() if image != "3.jpg"})


def dump(name: str, value: Any) -> None:
    Path(name).write_text(json.dumps(value), encoding="utf-8")


def run(*arguments: str) -> Result:
    environment = {"NO_COLOR": "1", "COLUMNS": "200"}
    return CliRunner(env=environment).invoke(app, ["score", *arguments], prog_name="cutline")


def test_scores_are_set_in_a_table_with_intervals_and_a_signature() -> None:
    result = run("h.json", "r.json")
    assert result.exit_code == 0, result.stderr
    head, titles, *lines = result.stdout.splitlines()
    count = sum(map(len, REFERENCES.values()))
    assert head == f"30 images, {count} references, tokenizer ptb; scores ×100"
    assert titles.split() == ["score", "95", "%", "interval"]
    scores = Scorer(REFERENCES).score(HYPOTHESES, intervals=True)
    interval = scores.intervals["cider_d"]
    expected = ["CIDEr-D", f"{scores.cider_d:.1f}", f"{interval.low:.1f}", "to", f"{interval.high:.1f}"]
    assert lines[6].split() == expected
    assert [line.split()[0] for line in lines[:7]] == list(SCORES)
    assert re.fullmatch(r"METEOR +not computed: .+", lines[7])
    assert re.fullmatch(r"SPICE +not computed: .+", lines[8])
    assert lines[9].startswith("diversity: ")
    assert lines[-1].startswith("signature: cutline:1|tokenizer:ptb|case:lower|markers:stripped|")


def test_two_files_are_compared_score_by_score() -> None:
    result = run("h.json", "r.json", "--against", "best.json", "--quiet")
    assert result.exit_code == 0, result.stderr
    compared = result.stdout.partition("A: h.json\nB: best.json\n")[2].splitlines()[1:]
    verdict = r"B is better by \d+\.\d ± \d+\.\d {}, p < 0.001"
    assert len(compared) == len(SCORES)
    for name, line in zip(SCORES, compared, strict=True):
        assert re.fullmatch(rf"{name} +\d+\.\d +\d+\.\d   {verdict.format(name)}", line), line


def test_the_worse_file_is_not_called_better_and_equal_ones_are_not_told_apart() -> None:
    worse = run("best.json", "r.json", "--against", "h.json").stdout
    assert worse.count("A is better by ") == len(SCORES)
    equal = run("h.json", "r.json", "--against", "h.json").stdout
    assert equal.count("no clear difference: B − A is +0.0 ± 0.0 ") == len(SCORES)
    assert equal.count("p = 1.000") == len(SCORES)


def test_json_has_all_but_the_scores_of_single_images_which_are_in_the_file() -> None:
    result = run("h.json", "r.json", "--against", "best.json", "--json", "--output", "scores.json")
    printed = json.loads(result.stdout)
    saved = json.loads(Path("scores.json").read_text(encoding="utf-8"))
    assert printed["hypotheses"]["image_scores"] == printed["against"]["image_scores"] == {}
    assert set(saved["against"]["image_scores"]) == set(REFERENCES)
    assert printed["hypotheses"]["scores"] == saved["hypotheses"]["scores"]
    assert printed["comparisons"] == saved["comparisons"]
    assert result.stderr.splitlines()[-1] == "scores of every image: scores.json"
    assert saved["hypotheses"]["scores"]["not_computed"].keys() == {"meteor", "spice"}


def test_missing_images_are_an_error_that_lists_them() -> None:
    result = run("fewer.json", "r.json")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: fewer.json: no hypothesis for 1 of the 30 images of r.json (3.jpg); give")
    listed = run("fewer.json", "r.json", "--json")
    assert (listed.exit_code, json.loads(listed.stdout)) == (2, {"missing": ["3.jpg"], "extra": []})


def test_missing_images_can_be_allowed() -> None:
    result = run("fewer.json", "r.json", "--allow-missing", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == "warning: images left out: 1 without a hypothesis; scored: 29\n"
    assert result.stdout.startswith("29 images, ")


def test_rows_that_could_not_be_used_end_with_code_1() -> None:
    dump(
        "r.json", [{"image": i, "caption": c} for i, c in REFERENCES.items()] + [{"image": "x", "caption": 5}]
    )
    result = run("h.json", "r.json", "--quiet")
    assert result.exit_code == 1
    assert result.stderr.startswith("warning: broken row: r.json item 31: x: a caption must be a text, found")


def test_captions_are_never_overwritten() -> None:
    before = Path("h.json").read_bytes()
    result = run("h.json", "r.json", "--output", "h.json")
    assert result.exit_code == 2
    assert "--output h.json: exists already and does not hold scores" in result.stderr
    assert Path("h.json").read_bytes() == before


def test_captions_cannot_write_on_the_terminal() -> None:
    dump("h.json", {**HYPOTHESES, "0.jpg": "a\x1b[31m dog", "1.jpg": "a\x1b[31m dog"})
    result = run("h.json", "r.json")
    assert "\x1b" not in result.stdout
    assert r"most repeated: a\x1b[31m dog (2)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.json", "r.json"), "error: gone.json: no such file; give a file with images and captions"),
        (
            ("h.json", "r.json", "--split", "val"),
            "error: r.json: no image of split 'val'; it names no splits",
        ),
        (("h.json", "r.json", "--tokenizer", "moses"), "error: --tokenizer 'moses': allowed are auto, ptb"),
        (("r.json", "h.json"), "error: r.json: image '0.jpg' has"),
        (("h.json",), "error: Missing argument 'REFERENCES'; see cutline score --help"),
        (
            ("h.json", "r.json", "--document-frequencies", "no.npz"),
            "error: --document-frequencies no.npz: no such file; name one",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(message)


def test_scoring_needs_no_framework() -> None:
    program = (
        "import sys\n"
        "from cutline.cli.app import app\n"
        "try: app(args=['score', 'h.json', 'r.json'], prog_name='cutline')\n"
        "except SystemExit as ended: code = ended.code\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code or bool(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
