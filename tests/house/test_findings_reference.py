"""The list of findings in the documentation is the one that the doctor has."""

from __future__ import annotations

import runpy
from pathlib import Path

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_the_list_of_findings_is_up_to_date() -> None:
    script = runpy.run_path(str(REFERENCE / "make_findings.py"))
    written = (REFERENCE / "findings.md").read_text(encoding="utf-8")
    assert written == script["findings_page"](), "run: python docs/reference/make_findings.py"
