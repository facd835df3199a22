"""METEOR and SPICE, which exist as Java programs alone: asked where they are installed, never needed.

Denkowski and Lavie, "Meteor Universal" (2014); Anderson et al., "SPICE: Semantic Propositional Image Caption
Evaluation" (2016). Both come with pycocoevalcap (``pip install "cutline[coco]"``) and are for English. SPICE
also needs two jars of CoreNLP 3.6.0 that are not in that package; nothing is downloaded here.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_SECONDS: Final = 900.0
_INSTALL: Final = 'install it with: pip install "cutline[coco]"'
_CORENLP: Final = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


@dataclass(frozen=True)
class JavaScores:
    """What Java answered.

    Attributes:
        meteor: METEOR over all images, ×100, or None.
        spice: SPICE, mean over images, ×100, or None.
        notes: ``"meteor"`` or ``"spice"`` → why it is None, one line.
    """

    meteor: float | None = None
    spice: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


class _NotComputedError(Exception):
    """Why there is no score."""


def java_scores(
    hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]], *, seconds: float = _SECONDS
) -> JavaScores:
    """Ask the reference programs for METEOR and SPICE; what goes wrong becomes a note, never an error.

    Args:
        hypotheses: image_id → tokens joined by blanks.
        references: image_id → the same for each reference; same images.
        seconds: Limit for each of the two programs, which are ended when it has passed.
    """
    found: dict[str, float] = {}
    notes: dict[str, str] = {}
    for name, compute in (("meteor", _meteor), ("spice", _spice)):
        try:
            found[name] = 100.0 * compute(hypotheses, references, seconds)
        except _NotComputedError as reason:
            notes[name] = str(reason)
        except (OSError, ValueError, KeyError, TypeError) as error:
            notes[name] = f"the program gave no usable answer ({_first_line(str(error))})"
    return JavaScores(found.get("meteor"), found.get("spice"), notes)


def _meteor(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]], seconds: float) -> float:
    """Compute the statistics of each image, then the score of all of them together."""
    jar = _installed("meteor/meteor-1.5.jar")
    command = [_java(), "-Xmx2G", "-jar", jar.name, "-", "-", "-stdio", "-l", "en", "-norm"]
    with _conversation(command, jar.parent, seconds) as ask:
        statistics = []
        for image_id, hypothesis in hypotheses.items():
            parts = (*references[image_id], hypothesis)
            statistics.append(ask(" ||| ".join(("SCORE", *(" ".join(p.split()) for p in parts)))))
        # the answers are one score per image, then that of the corpus
        score = ask(" ||| ".join(("EVAL", *statistics)), answers=len(statistics) + 1)
    return float(score)


def _spice(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]], seconds: float) -> float:
    jar = _installed("spice/spice-1.0.jar")
    missing = [name for name in _CORENLP if not (jar.parent / "lib" / name).exists()]
    if missing:
        raise _NotComputedError(f"{' and '.join(missing)} of CoreNLP must be put into {jar.parent / 'lib'}")
    images = [
        {"image_id": image_id, "test": hypothesis, "refs": list(references[image_id])}
        for image_id, hypothesis in hypotheses.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "captions.json"), Path(folder, "scores.json")
        asked.write_text(json.dumps(images), encoding="utf-8")
        command = [_java(), "-Xmx8G", "-jar", str(jar), str(asked), "-out", str(answered), "-silent"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise _NotComputedError(_too_slow(seconds)) from None
        if done.returncode or not answered.exists():
            raise _NotComputedError(f"the program failed: {_first_line(done.stderr)}")
        scores = [image["scores"]["All"]["f"] for image in json.loads(answered.read_text(encoding="utf-8"))]
    if len(scores) != len(images):
        raise _NotComputedError(f"the program scored {len(scores)} of {len(images)} images")
    return math.fsum(map(float, scores)) / len(scores)


class _Ask:
    """Sends lines to a program and reads as many back."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, line: str, answers: int = 1) -> str:
        """Send a line; return the last of its answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = ""
        for _ in range(answers):
            answer = self._process.stdout.readline()
            if not answer:
                raise BrokenPipeError("it ended early")
        return answer.strip()


@contextmanager
def _conversation(command: list[str], folder: Path, seconds: float) -> Iterator[_Ask]:
    """Start a program that answers lines with lines; it is ended afterwards or when time is up."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    watch = threading.Timer(seconds, end)
    watch.start()
    try:
        yield _Ask(process)
    except (OSError, ValueError):
        if late.is_set():
            raise _NotComputedError(_too_slow(seconds)) from None
        raise
    finally:
        watch.cancel()
        process.kill()
        process.communicate()


def _installed(part: str) -> Path:
    """Return a file of pycocoevalcap, without importing it."""
    package = find_spec("pycocoevalcap")
    folders = list(package.submodule_search_locations or ()) if package else []
    if not folders:
        raise _NotComputedError(f"pycocoevalcap is not installed; {_INSTALL}")
    path = Path(folders[0]) / part
    if not path.exists():
        raise _NotComputedError(f"{path} is missing; {_INSTALL}")
    return path


def _java() -> str:
    found = shutil.which("java")
    if found is None:
        raise _NotComputedError("Java is not installed, or not on the path")
    return found


def _too_slow(seconds: float) -> str:
    return f"the program was ended after {seconds:g} seconds"


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:200] if lines else "without a message"
