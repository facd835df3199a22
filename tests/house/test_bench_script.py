"""``scripts/bench`` with a made-up Python: what it hands on, and when it makes an environment for peers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench"
# Tells what it was called with; where it is to make an environment, it puts itself there.
PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
if [ "$2" = pip ]; then exit "${PIP_ENDS:-0}"; fi
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    for place in (folder / ".venv" / "bin" / "python", tmp_path / "bin" / "python3"):
        place.parent.mkdir(parents=True)
        place.write_text(PYTHON)
        place.chmod(0o755)
    (folder / "scripts").mkdir()
    shutil.copy(SCRIPT, folder / "scripts" / "bench")
    return folder


def run(checkout: Path, *arguments: str, **changes: str) -> tuple[int, list[str]]:
    """Run the script; return its code and the first words of what Python was called with."""
    calls = checkout / "calls"
    calls.write_text("")
    path = f"{checkout.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHON": "", "PATH": path, "CALLS": str(calls), **changes}
    command = [checkout / "scripts" / "bench", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    return done.returncode, calls.read_text().splitlines()


def test_arguments_are_handed_on(checkout: Path) -> None:
    assert run(checkout, "--only", "growth") == (0, ["benchmarks/bench.py --only growth"])
    assert not (checkout / ".venv-peers").exists()


def test_other_captioners_are_installed_once_and_into_an_environment_of_their_own(checkout: Path) -> None:
    measure = "benchmarks/bench.py --peers .venv-peers/bin/python --quick"
    code, calls = run(checkout, "--quick", PEERS="1")
    assert (code, calls[0], calls[-1]) == (0, "-m venv .venv-peers", measure)
    assert calls[1].startswith("-m pip install")
    assert calls[1].endswith(".[bench]")
    assert run(checkout, "--quick", PEERS="1") == (0, [measure])


def test_an_installation_that_failed_is_tried_again(checkout: Path) -> None:
    assert run(checkout, PEERS="1", PIP_ENDS="1")[0] == 1
    code, calls = run(checkout, PEERS="1")
    assert (code, len(calls)) == (0, 3)
