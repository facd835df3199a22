"""``scripts/demo`` with a made-up command: its last line, and the command's exit code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "demo"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


def run_script(checkout: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Run the script in a checkout whose ``cutline`` prints its arguments and exits with ``code``."""
    (checkout / "scripts").mkdir(parents=True)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    script, command = checkout / "scripts" / "demo", checkout / ".venv" / "bin" / "cutline"
    shutil.copy(SCRIPT, script)
    command.write_text(f'#!/bin/sh\necho "$*"\nexit {code}\n')
    command.chmod(0o755)
    return subprocess.run(
        [script, "--out", "my demo"], capture_output=True, text=True, check=False, timeout=60
    )


def test_it_ends_with_how_to_have_the_command_at_hand(tmp_path: Path) -> None:
    done = run_script(tmp_path / "a checkout", 0)
    assert (done.returncode, done.stdout) == (0, "demo --out my demo\n")
    assert done.stderr == "for the commands above: source .venv/bin/activate\n"


@pytest.mark.parametrize("code", [2, 130])
def test_a_demo_that_failed_keeps_its_code_and_has_no_next_step(tmp_path: Path, code: int) -> None:
    done = run_script(tmp_path, code)
    assert (done.returncode, done.stderr) == (code, "")
