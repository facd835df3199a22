"""``scripts/install`` with a made-up Python: what it sets up again, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install"
# Knows just enough: its version, making an environment of itself, and telling whether it has pip.
PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$1 $2" in
    "-c "*print*) echo {version} ;;
    "-c "*) exit 0 ;;
    "-m venv") mkdir -p .venv/bin && cp "{itself}" .venv/bin/python && touch .venv/has_pip ;;
    "-m pip") [ -e .venv/has_pip ] ;;
esac
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, folder / "scripts" / "install")
        for name in ("pyproject.toml", "requirements.lock"):
            (folder / name).write_text(name)

    def install(self, version: str = "3.11") -> list[str]:
        """Run the script; return what it did: ``venv`` and ``install``, in order."""
        python, calls = self.folder / f"python{version}", self.folder / "calls"
        python.write_text(PYTHON.format(version=version, itself=python))
        python.chmod(0o755)
        calls.write_text("")
        environment = {**os.environ, "PYTHON": str(python), "CALLS": str(calls)}
        subprocess.run(
            [self.folder / "scripts" / "install"],
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
        done = [line.split()[1:3] for line in calls.read_text().splitlines() if line.startswith("-m ")]
        return [
            words[-1] if words[0] == "pip" else words[0] for words in done if words != ["pip", "--version"]
        ]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


def test_it_is_done_once(checkout: Checkout) -> None:
    assert checkout.install() == ["venv", "install", "install"]
    assert checkout.install() == []


def test_other_locked_packages_are_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.install()
    (checkout.folder / "requirements.lock").write_text("other packages")
    assert checkout.install() == ["install", "install"]


def test_a_half_made_environment_is_made_anew(checkout: Checkout) -> None:
    checkout.install()
    (checkout.folder / ".venv" / "has_pip").unlink()
    (checkout.folder / ".venv" / "installed").unlink()
    (checkout.folder / ".venv" / "left over").touch()
    assert checkout.install() == ["venv", "install", "install"]
    assert not (checkout.folder / ".venv" / "left over").exists()


def test_another_python_gets_an_environment_of_its_own(checkout: Checkout) -> None:
    checkout.install("3.11")
    assert checkout.install("3.12") == ["venv", "install", "install"]
    assert checkout.install("3.12") == []
