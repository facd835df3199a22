"""The layout of the house: names, sizes, and nothing in it that belongs to one machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "src" / "cutline").rglob("*.py"))
LONGEST_MODULE = 350
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "core", "base_utils"}
PLACES = re.compile(
    r"(?<![\w.])/(?:home|root|work|Users|mnt)/\w"
    r"|[A-Z]:\\Users"
    r"|https?://[^\s/]*(?:pypi|pythonhosted|artifactory|nexus|jfrog|proxy\.)[^\s/]*"
    r"|--(?:extra-)?index-url",
    re.ASCII,
)

UNFINISHED = re.compile(r"\bTO[D]O\b")  # in brackets, so that this file does not contain what it forbids


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_named_for_what_they_do(path: Path) -> None:
    assert path.stem not in SAYS_NOTHING
    assert path.parent.name not in SAYS_NOTHING


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def _found(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in _tracked():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        matches = [
            (number, match) for number, line in enumerate(lines, 1) for match in pattern.finditer(line)
        ]
        found += [f"{name}:{number}: {match[0]}" for number, match in matches]
    return found


def test_no_tracked_file_names_a_place_on_one_machine_or_an_index() -> None:
    assert _found(PLACES) == []


def test_no_tracked_file_is_left_unfinished() -> None:
    assert _found(UNFINISHED) == []


def test_what_is_unfinished_is_found_where_it_is() -> None:
    # Spelled with ~ so that this file does not contain what it forbids.
    spelled = ["# TO~DO: later", "TO~DO(me)", "(TO~DO)", "todos", "To do: more images", "TO~DOS"]
    assert [bool(UNFINISHED.search(text.replace("~", ""))) for text in spelled] == [True] * 3 + [False] * 3


def test_places_are_found_where_they_are() -> None:
    # Spelled with ~ so that this file does not contain what it forbids.
    spelled = ["see ~home~ann~x", "open('~work~data')", "https:~~pypi.example~simple", "-~index-url"]
    found = [text.replace("~", "-" if text.startswith("-") else "/") for text in spelled]
    free = ["a/home/b", "https://keras.io/api", "/photos/dog.jpg", "pip install cutline"]
    assert [bool(PLACES.search(text)) for text in found + free] == [True] * 4 + [False] * 4


def test_every_test_module_lies_in_the_room_it_tests() -> None:
    rooms = {path.stem for path in (ROOT / "src" / "cutline").iterdir()} | {"doors", "house", "golden"}
    folders = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")} - {"tests"}
    assert folders <= rooms


def test_how_to_contribute_fits_on_a_page() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60
