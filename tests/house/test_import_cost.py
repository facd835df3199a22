"""``import cutline`` is cheap, and the light rooms never load TensorFlow, not even by way of a parent."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 0.3
REPEATS = 5
LIGHT_ROOMS = (
    "captioner",
    "cli",
    "config",
    "decoding",
    "ensembles",
    "errors",
    "evaluation",
    "explaining",
    "files",
    "metrics",
    "progress",
    "records",
    "registry",
    "report",
    "runtime",
    "text",
    "wishes",
)
_IS_HEAVY = "any(name.partition('.')[0] in ('tensorflow', 'keras', 'matplotlib') for name in sys.modules)"


def _print_from_fresh_interpreter(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_takes_less_than_a_third_of_a_second() -> None:
    program = "import time; t = time.perf_counter(); import cutline; print(time.perf_counter() - t)"
    seconds = [float(_print_from_fresh_interpreter(program)) for _ in range(REPEATS)]
    assert statistics.median(seconds) < SECONDS, seconds


def test_import_of_the_package_loads_no_framework() -> None:
    assert _print_from_fresh_interpreter(f"import sys, cutline; print({_IS_HEAVY})") == "False"


def test_light_rooms_load_no_framework() -> None:
    # One after the other: a room that loads a framework is the first behind which one is there.
    program = f"""
import importlib, sys
for room in {LIGHT_ROOMS!r}:
    importlib.import_module(f"cutline.{{room}}")
    print(room, {_IS_HEAVY})
"""
    found = dict(line.split() for line in _print_from_fresh_interpreter(program).splitlines())
    assert found == dict.fromkeys(LIGHT_ROOMS, "False")


@pytest.mark.parametrize(
    "recipe", ["caption", "check", "evaluate", "explain", "export", "report", "score", "tune"]
)
def test_recipes_that_do_not_train_load_no_framework(recipe: str) -> None:
    program = f"import sys, cutline.recipes.{recipe}; print({_IS_HEAVY})"
    assert _print_from_fresh_interpreter(program) == "False"


def test_the_check_itself_notices_a_framework() -> None:
    program = f"import sys; sys.modules['keras.layers'] = sys; print({_IS_HEAVY})"
    assert _print_from_fresh_interpreter(program) == "True"


def test_reading_a_table_loads_no_framework(tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("image,caption\na.jpg,a dog\nb.jpg,a cat\n", encoding="utf-8")
    program = f"import sys, cutline; print(len(cutline.read_dataset({str(table)!r})), {_IS_HEAVY})"
    assert _print_from_fresh_interpreter(program) == "2 False"


def test_printing_help_loads_no_framework() -> None:
    program = (
        "import sys\n"
        "from cutline.cli.app import app\n"
        "try: app(args=['train', '--help'], prog_name='cutline')\n"
        "except SystemExit: pass\n"
        f"print({_IS_HEAVY})"
    )
    printed = _print_from_fresh_interpreter(program)
    assert "--encoder-weights" in printed
    assert printed.splitlines()[-1] == "False"


@pytest.mark.parametrize("name", ["score", "Captioner", "EvaluationResult"])
def test_asking_for_what_is_light_loads_no_framework(name: str) -> None:
    assert (
        _print_from_fresh_interpreter(f"import sys, cutline; cutline.{name}; print({_IS_HEAVY})") == "False"
    )
