"""Runs what the documentation shows: commands in ``console`` blocks, files in blocks with a ``file=`` name.

A ``console`` block holds commands after ``$`` and what they print. Printed lines are compared when there are
any; ``...`` stands for anything. A command must succeed, unless ``$ echo $?`` asks for its exit code.
"""

from __future__ import annotations

import contextlib
import doctest
import glob
import io
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sybil import Document, Example, Region
from sybil.document import PythonDocStringDocument
from sybil.example import NotEvaluated
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from cutline.models.presets import PRESETS

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
IMAGES = 60
_SMALL_DECODER = {"embedding_units": 16, "lstm_units": 32, "attention_units": 16}
# Enough to learn that captions have words, in a few epochs of few images.
_LEARNS_FAST = {"batch_size": 16, "learning_rate": 0.02}
_SHORT = {"training.epochs": 3, "self_critical.epochs": 0}
_REAL_ENCODER = "<!--- encoder: real -->"
_TRAINS_ITSELF = re.compile(r"""(--run\s+|run=["'])runs/first""")


class Workshop:
    """Folders in which examples run: one per document, each with a small drawn data set.

    ``captions.csv`` and ``photos/`` are the data, ``new.jpg`` and ``holiday/`` unseen images, and
    ``runs/first`` a small trained run, except where a document trains it before its readers' eyes. What
    examples train is smaller than it is for readers: see :meth:`presets_for`.
    """

    def __init__(self, folder: Path) -> None:
        """Work below ``folder``."""
        self._folder = folder
        self._folders: dict[Path, Path] = {}

    def folder_of(self, document: Path) -> Path:
        """Return the folder of a document's examples, made when they start."""
        if document not in self._folders:
            text = document.read_text(encoding="utf-8")
            made = self._folder / f"{len(self._folders)}-{document.stem}"
            shutil.copytree(self._data(), made)
            if "runs/first" in text and not _TRAINS_ITSELF.search(text):
                shutil.copytree(
                    self._run("real" if _REAL_ENCODER in text else "small"), made / "runs" / "first"
                )
            self._folders[document] = made
        return self._folders[document]

    def presets_for(self, document: Path) -> dict[str, Mapping[str, Any]]:
        """Return all presets with few units, and with an encoder that sees 16 mean colours.

        A document that speaks of the default encoder has ``<!--- encoder: real -->`` in it.
        """
        if _REAL_ENCODER in document.read_text(encoding="utf-8"):
            return {name: _smaller(values) for name, values in PRESETS.items()}
        name = str(self._small_encoder())
        return {
            preset: {**_smaller(values), "encoder": {**values.get("encoder", {}), "name": name}}
            for preset, values in PRESETS.items()
        }

    def _data(self) -> Path:
        folder = self._folder / "data"
        if not folder.exists():
            _draw(folder)
        return folder

    def _run(self, encoder: str) -> Path:
        """Train a run once; the presets are those of the document that asks for it."""
        run = self._folder / f"run-{encoder}"
        if not run.exists():
            from cutline import train

            data = self._data()
            train(data / "captions.csv", run=run, images=data / "photos", overrides=_SHORT)
        return run

    def _small_encoder(self) -> Path:
        path = self._folder / "mean_colours.keras"
        if not path.exists():
            import keras
            import numpy as np

            image = keras.Input((32, 32, 3))
            regions = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(image))
            # Changes nothing, and can be trained.
            learns = keras.layers.Conv2D(3, 1, use_bias=False)
            network = keras.Model(image, learns(regions))
            learns.set_weights([np.eye(3)[None, None]])
            path.parent.mkdir(parents=True, exist_ok=True)
            network.save(path)
        return path


def _smaller(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give a preset few units that learn fast, and epochs of one step in the phases behind the first."""
    changes = {
        "decoder": _SMALL_DECODER,
        "training": _LEARNS_FAST,
        "fine_tune": {"images": IMAGES},
        "self_critical": {"images": IMAGES},
    }
    return {**values, **{group: {**values.get(group, {}), **own} for group, own in changes.items()}}


def _draw(folder: Path) -> None:
    from PIL import Image

    from cutline.data.sample import draw_sample

    drawn = draw_sample(folder, IMAGES)
    (folder / "images").rename(folder / "photos")
    (folder / "boxes.json").unlink()
    # Readers have neither splits nor folders in their tables.
    rows = drawn.read_text(encoding="utf-8").replace("images/scene-", "scene-").splitlines()
    drawn.write_text("\n".join(re.sub(r",[^,]*,[^,]*$", "", row) for row in rows) + "\n", encoding="utf-8")
    (folder / "holiday").mkdir()
    for source, name in (("0001", "new.jpg"), ("0002", "holiday/beach.jpg"), ("0003", "holiday/hill.jpg")):
        with Image.open(folder / "photos" / f"scene-{source}.png") as image:
            image.convert("RGB").save(folder / name)


@dataclass(frozen=True)
class Command:
    """One command of a console block and the output shown below it."""

    line: str
    expected: str


def commands(block: str) -> Iterator[Command]:
    """Cut a console block into commands; a backslash at the end of a line continues it.

    Example:
        >>> list(commands("$ cutline --version\\ncutline 0.1.0\\n"))
        [Command(line='cutline --version', expected='cutline 0.1.0\\n')]
    """
    joined = block.replace("\\\n", " ")
    for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        yield Command(line.strip(), expected.rstrip() + "\n" if expected.strip() else "")


def run_console(example: Example) -> str | None:
    """Run a console block; return what went differently from what is shown, None when nothing did."""
    code = 0
    todo = list(commands(example.parsed))
    assert todo, "a console block without a command: put $ before it"
    for index, command in enumerate(todo):
        if command.line == "echo $?":
            printed = f"{code}\n"
        else:
            printed, code = _run(command.line)
            asked = index + 1 < len(todo) and todo[index + 1].line == "echo $?"
            if code and not asked:
                return f"$ {command.line}\nended with exit code {code} and printed:\n{printed}"
        wanted = doctest.Example("", command.expected)
        checker = doctest.OutputChecker()
        if command.expected and not checker.check_output(command.expected, printed, FLAGS):
            return f"$ {command.line}\n{checker.output_difference(wanted, printed, FLAGS)}"
    return None


def _run(line: str) -> tuple[str, int]:
    """Return what a command prints, standard error included, and its exit code."""
    words = shlex.split(line, comments=True)
    if words[0] != "cutline":
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, done.returncode
    return _run_here([expanded for word in words[1:] for expanded in _expand(word)])


def _expand(word: str) -> list[str]:
    """Do as a shell does with a pattern."""
    return sorted(glob.glob(word)) or [word]  # noqa: PTH207 (words may be anything, not only paths)


def _run_here(arguments: list[str]) -> tuple[str, int]:
    """Run cutline in this process: starting TensorFlow anew takes longer than most examples."""
    from cutline.cli.app import app

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            app(args=arguments, prog_name="cutline")
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    return printed.getvalue(), code


class Docstrings(PythonDocStringDocument):
    """The docstrings of a module, each with the module's names and none of another docstring's."""

    def import_document(self, example: Example) -> None:
        """Import the module, and begin anew wherever a docstring begins."""
        try:
            super().import_document(example)
        except NotEvaluated:
            module_names = dict(self.namespace)
        starts = sorted(start for start, _, _ in self.extract_docstrings(self.text))
        seen: set[int] = set()

        def begin_anew(example: Example) -> None:
            docstring = max(start for start in starts if start <= example.region.start)
            if docstring not in seen:
                seen.add(docstring)
                self.namespace.clear()
                self.namespace.update(module_names)
            raise NotEvaluated

        self.push_evaluator(begin_anew)
        begin_anew(example)


class NamedFileParser:
    """Writes blocks such as ```` ```csv file=dogs.csv ```` to the file they are called after."""

    def __init__(self) -> None:
        """Find the blocks by their info line."""
        info = re.compile(r"\w+ file=(?P<name>\S+)$\n", re.MULTILINE)
        self._lexer = RawFencedCodeBlockLexer(info)

    def __call__(self, document: Document) -> Iterator[Region]:
        """Yield one region per block."""
        for region in self._lexer(document):
            region.parsed = (region.lexemes["name"], region.lexemes["source"])
            region.evaluator = self._write
            yield region

    @staticmethod
    def _write(example: Example) -> None:
        name, text = example.parsed
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def console_parser() -> CodeBlockParser:
    """Return the parser of console blocks."""
    return CodeBlockParser(language="console", evaluator=run_console)


def trains(document: Path) -> bool:
    """Tell whether examples of a document train, or use a trained run."""
    text = document.read_text(encoding="utf-8")
    return bool(re.search(r"^\$ cutline train|cutline\.train\(|runs/first", text, re.MULTILINE))


def prepare_environment(cache: Path) -> dict[str, str]:
    """Return the environment of examples: features in a folder of their own, text without colours."""
    return {"CUTLINE_CACHE": str(cache), "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
