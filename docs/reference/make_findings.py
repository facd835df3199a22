"""Writes findings.md from the kinds of fault that the doctor knows; a test fails when the two differ.

python docs/reference/make_findings.py
"""

from __future__ import annotations

from pathlib import Path

from cutline.data.checks import KINDS

TARGET = Path(__file__).with_name("findings.md")

HEAD = """# Findings of check

Every kind of fault that [`cutline check`](cli.md#cutline-check) knows; [Check your data](../how_to/check_your_data.md)
shows how to use them. Written by `python docs/reference/make_findings.py`; edit
`src/cutline/data/checks/kinds.py` instead.

An error loses images or rows, or stops training; a warning makes captions or scores worse than they need be; a
note is worth a look.

| kind | severity | what it is | what to do |
| --- | --- | --- | --- |
"""  # noqa: E501 (lines as they stand in the page)


def findings_page() -> str:
    """Return the page."""
    rows = [f"| {kind.name} | {kind.severity} | {kind.meaning} | {kind.to_do} |\n" for kind in KINDS.values()]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    TARGET.write_text(findings_page(), encoding="utf-8")
