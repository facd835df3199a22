"""The reference of options and of the command line says what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import typer

from cutline.cli.app import app

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
_EVERYWHERE = {"--help", "--debug", "--quiet", "--json"}


def test_the_reference_of_options_is_up_to_date() -> None:
    script = runpy.run_path(str(REFERENCE / "make_config.py"))
    written = (REFERENCE / "config.md").read_text(encoding="utf-8")
    assert written == script["config_reference"](), "run: python docs/reference/make_config.py"


def documented_flags() -> dict[str, set[str]]:
    """Return command → flags, from the sections of cli.md."""
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    sections = re.split(r"^## cutline ", text, flags=re.MULTILINE)[1:]
    return {
        section.split()[0]: set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE)) for section in sections
    }


def actual_flags() -> dict[str, set[str]]:
    """Return command → flags, from the commands themselves; those that all have are left out."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
        - _EVERYWHERE
        for name, command in commands.items()
    }


def test_every_command_and_flag_is_in_the_reference_and_no_other() -> None:
    assert documented_flags() == actual_flags()


def test_flags_of_all_commands_are_in_the_reference() -> None:
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    assert {flag for flag in _EVERYWHERE if f"`{flag}`" in text} == _EVERYWHERE
