"""Runs the scripts of the page in Node; skipped where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

PAGE = files("cutline.exporting") / "web_page"


def run_node(script: str, given: Any) -> Any:
    """Run a script that has ``given`` and ``page(name)``; returns what it passes to ``answer``."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node, which is not installed")
    with as_file(PAGE) as folder:
        head = (
            f"const page = (name) => require({json.dumps(str(Path(folder)))} + '/' + name);"
            "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
            "const answer = (value) => process.stdout.write(JSON.stringify(value));"
        )
        done = subprocess.run(
            [program, "-e", head + script],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
