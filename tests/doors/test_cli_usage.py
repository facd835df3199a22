"""Help, version, bad usage and errors: what every command has in common."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes import StubRecipe
from typer.testing import CliRunner, Result

from cutline import __version__
from cutline.cli.app import app
from cutline.errors import DataError
from cutline.models.presets import DEFAULT_PRESET, PRESETS
from cutline.recipes.report import RunReport

COMMANDS = (
    *("demo", "check", "train", "tune", "evaluate"),
    *("caption", "explain", "export", "models", "encoders", "report", "score"),
)
PLAIN = {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}


def run(*arguments: str) -> Result:
    return CliRunner(env=PLAIN).invoke(app, list(arguments), prog_name="cutline")


def fresh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **PLAIN, **environment},
        timeout=120,
        check=False,
    )


def one_error(result: Result) -> str:
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert result.stdout == ""
    return line


def test_the_version_is_told() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"cutline {__version__}\n")


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(re.search(rf"\b{command}\b", result.stdout) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_and_the_common_options(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: cutline {command}" in result.stdout
    assert all(option in result.stdout for option in ("--debug", "--quiet", "--json"))


@pytest.mark.parametrize("command", [[], ["caption"]])
def test_help_has_a_short_name(command: list[str]) -> None:
    result = run(*command, "-h")
    assert result.exit_code == 0
    assert result.stdout == run(*command, "--help").stdout


def test_help_and_reference_of_train_name_every_preset() -> None:
    told = " ".join(run("train", "--help").stdout.split())
    reference = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text(encoding="utf-8")
    row = next(line for line in reference.splitlines() if line.startswith("| `--preset NAME`"))
    listed = told.split("Named options to start from:")[1].split(".")[0]
    assert set(re.findall(r"[a-z]+_?[a-z]+", listed)) >= set(PRESETS)
    assert set(re.findall(r"`(\w+)`", row)) >= set(PRESETS)
    assert f"{DEFAULT_PRESET} (default)" in listed
    assert f"`{DEFAULT_PRESET}` (default)" in row


PUBLIC_OPTIONS = {
    "demo": ["--out"],
    "check": [
        *("--images", "--html", "--fix", "--overwrite", "--encoder", "--model"),
        *("--format", "--image-column", "--caption-column", "--group-column"),
    ],
    "train": [
        *(
            "--images",
            "--run",
            "--preset",
            "--from",
            "--encoder",
            "--encoder-weights",
            "--epochs",
            "--config",
        ),
        *("--set", "--resume", "--format", "--image-column", "--caption-column", "--group-column"),
    ],
    "tune": ["--images", "--format", "--image-column", "--caption-column", "--set"],
    "evaluate": [
        *("--images", "--split", "--out", "--format", "--image-column", "--caption-column"),
        *("--group-column", "--learning-curve", "--set", "--with"),
    ],
    "caption": [
        "--model",
        "--set",
        "--beam-size",
        "--n-best",
        "--min-confidence",
        "--no-confidence",
        *("--require", "--forbid", "--min-length", "--no-repeat-ngram", "--characters", "--glossary"),
        "--output",
        "--overwrite",
    ],
    "explain": [
        *("--model", "--out", "--images", "--beam-size", "--require", "--forbid", "--overwrite"),
    ],
    "export": [
        *("--out", "--format", "--onnxruntime-web", "--encoder-precision", "--decoder-precision"),
        *("--most-lost", "--data", "--images", "--overwrite"),
        *("--no-captions", "--no-weights", "--vocabulary-size", "--evaluation", "--licence", "--data-notes"),
    ],
    "models": [],
    "encoders": [],
    "report": [],
    "score": [
        *("--output", "--against", "--allow-missing", "--split", "--image-column", "--caption-column"),
        *("--tokenizer", "--document-frequencies", "--java"),
    ],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_public_options_keep_their_names(command: str) -> None:
    found = re.findall(r"^\W*(--[a-z-]+)", run(command, "--help").stdout, re.MULTILINE)
    assert sorted(found) == sorted([*PUBLIC_OPTIONS[command], "--debug", "--quiet", "--json", "--help"])


def test_without_a_command_the_help_goes_to_standard_error() -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: cutline" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian", "x.csv"], "error: No such command 'trian'. Did you mean 'train'? see cutline --help"),
        (
            ["train", "x.csv", "--epoch", "3"],
            "error: No such option: --epoch (Possible options: --epochs); see cutline train --help",
        ),
        (["train"], "error: Missing argument 'DATA'; see cutline train --help"),
    ],
)
def test_bad_usage_is_one_line_with_the_nearest_name(arguments: list[str], expected: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert one_error(result) == expected


def test_a_value_of_the_wrong_type_is_bad_usage() -> None:
    result = run("train", "x.csv", "--epochs", "many")
    assert result.exit_code == 2
    assert "--epochs" in one_error(result)


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (DataError("x.csv: no such\nfile"), 2, "error: x.csv: no such file"),
        (DataError("run: cutline train 'my  photos'"), 2, "error: run: cutline train 'my  photos'"),
        (BrokenPipeError(32, "Broken pipe"), 2, "error: broken pipe"),
        (PermissionError(13, "Permission denied", "out"), 2, "error: out: permission denied"),
        (OSError(28, "No space left on device"), 2, "error: no space left on device"),
        (MemoryError(), 2, "error: out of memory"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (
            ZeroDivisionError("division by zero"),
            2,
            "error: this is a bug in cutline: ZeroDivisionError: division",
        ),
        (
            ModuleNotFoundError("No module named 'keras'", name="keras"),
            2,
            "error: keras is not installed; install it with: pip install 'cutline[train]'",
        ),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, expected: str
) -> None:
    StubRecipe.put(monkeypatch, "check", "check", error)
    result = run("check", "x.csv")
    assert result.exit_code == code
    assert one_error(result).startswith(expected)


@pytest.mark.parametrize("arguments", [["--debug", "check", "x.csv"], ["check", "x.csv", "--debug"]])
def test_debug_shows_the_traceback_before_the_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    StubRecipe.put(monkeypatch, "check", "check", ZeroDivisionError("division by zero"))
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: this is a bug")


def test_a_recipe_that_is_not_installed_is_told_with_its_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "keras", None)
    for name in [name for name in sys.modules if name.startswith("cutline.recipes.train")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(("cutline.models", "cutline.training"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "cutline.data.batches", raising=False)
    monkeypatch.delitem(sys.modules, "cutline.data.text_vectorization", raising=False)
    result = run("train", "x.csv")
    assert result.exit_code == 2
    assert "pip install 'cutline[train]'" in one_error(result)


@pytest.mark.parametrize("flag", ["--quiet", "--json"])
def test_common_options_may_stand_before_or_after_the_command(
    monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    written = RunReport(Path("runs/first/report.html"))
    StubRecipe.put(monkeypatch, "report", "report_run", written, note="read")
    before, after = run(flag, "report", "runs/first"), run("report", "runs/first", flag)
    assert (before.stdout, before.stderr) == (after.stdout, after.stderr)
    as_json = '{\n  "report": "runs/first/report.html",\n  "unread": []\n}\n'
    assert before.stdout == (as_json if flag == "--json" else "runs/first/report.html\n")
    assert before.stderr == ("" if flag == "--quiet" else "read\n")


MEASURE = """
import sys, time
from cutline.cli import main
sys.argv = ["cutline", *sys.argv[1:]]
try:
    main()
finally:
    print(time.process_time(), *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["train", "--help"]])
def test_version_and_help_are_quick_and_load_no_framework(arguments: list[str]) -> None:
    seen = fresh("-c", MEASURE, *arguments)
    assert seen.returncode == 0, seen.stderr
    seconds, *modules = seen.stderr.split()
    assert not {"tensorflow", "keras", "matplotlib", "PIL", "numpy", "pyarrow"} & set(modules)
    # Processor time, because a busy machine makes a quick command wait; importing TensorFlow takes several.
    assert float(seconds) < 1.5


def test_an_error_in_a_fresh_process_is_one_line_and_code_2(tmp_path: Path) -> None:
    seen = fresh("-m", "cutline", "caption", str(tmp_path / "gone.jpg"), "--model", str(tmp_path / "nothing"))
    assert seen.returncode == 2
    assert seen.stdout == ""
    (line,) = seen.stderr.splitlines()
    assert line.startswith("error: ")
    assert "gone.jpg" in line


def test_the_installed_command_is_the_same() -> None:
    seen = fresh(
        "-c", "import sys; sys.argv = ['cutline', '--version']; from cutline.cli import main; main()"
    )
    assert (seen.returncode, seen.stdout) == (0, f"cutline {__version__}\n")


TRAINING = """
import sys, types
from pathlib import Path
from cutline.records import Run

def train(*arguments, progress, **options):
    with progress.stage("epoch 1/1", 500, "batches") as stage:
        for batch in range(500):
            progress.note("x" * 1000)
            stage.advance()
    Path("trained").touch()
    return Run("runs/first", (), 0)

sys.modules["cutline.recipes.train"] = types.SimpleNamespace(train=train)
sys.argv = ["cutline", "train", "x.csv"]
from cutline.cli import main
main()
"""


@pytest.mark.parametrize("left", ["stdout", "stderr", "both"])
def test_training_goes_on_when_nobody_reads_what_it_tells(tmp_path: Path, left: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    for stream in (process.stdout, process.stderr):
        if left == "both" or stream is getattr(process, left):
            stream.close()
    seen, told = process.communicate(timeout=120)
    assert process.returncode == 0
    assert (tmp_path / "trained").exists()
    if left == "stderr":
        assert seen == b"runs/first: no epoch was finished\n"
    if left == "stdout":
        assert told.endswith(b"then: cutline caption PHOTO... --model runs/first\n")
