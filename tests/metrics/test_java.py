"""METEOR and SPICE: programs that may be missing, slow or broken, here played by a script."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import made_up_captions

from cutline.metrics import JavaScores, Scorer, java_scores

HYPOTHESES = {"b": "a red dot", "a": "two dogs run"}
REFERENCES = {"b": ["a red dot", "one dot"], "a": ["two dogs run fast"]}

posix = pytest.mark.skipif(os.name == "nt", reason="plays java with a script")

ANSWER = """
if "-stdio" in sys.argv:
    for line in sys.stdin:
        parts = line.rstrip("\\n").split(" ||| ")
        if parts[0] == "SCORE":  # counts what it was given
            print(len(parts), flush=True)
        else:
            print("\\n".join(["0.5"] * (len(parts) - 1) + [str(sum(map(int, parts[1:])) / 100)]), flush=True)
else:
    images = json.load(open(sys.argv[4]))
    found = [{"scores": {"All": {"f": len(image["refs"]) / 10}}} for image in images]
    json.dump(found, open(sys.argv[sys.argv.index("-out") + 1], "w"))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that installs empty jars, and a script for java."""

    def installed(script: str) -> Path:
        package = tmp_path / "site with blanks" / "pycocoevalcap"
        for part in (
            "meteor/meteor-1.5.jar",
            "spice/spice-1.0.jar",
            "spice/lib/stanford-corenlp-3.6.0.jar",
            "spice/lib/stanford-corenlp-3.6.0-models.jar",
        ):
            (package / part).parent.mkdir(parents=True, exist_ok=True)
            (package / part).touch()
        java = tmp_path / "bin" / "java"
        java.parent.mkdir()
        java.write_text(f"#!{sys.executable}\nimport json, sys, time\n{script}\n")
        java.chmod(0o755)
        monkeypatch.delitem(sys.modules, "pycocoevalcap", raising=False)
        monkeypatch.syspath_prepend(package.parent)
        monkeypatch.setenv("PATH", str(java.parent))
        return package

    return installed


@posix
def test_what_the_programs_answer_is_given_times_100(install):
    install(ANSWER)
    # SCORE, its references and the hypothesis: 4 and 3 parts
    assert java_scores(HYPOTHESES, REFERENCES) == JavaScores(pytest.approx(7.0), pytest.approx(15.0), {})


@posix
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sys.exit('no heap')", "no heap"),
        ("print('what?')", "no usable answer"),
        (
            "print('{'); open(sys.argv[-2], 'w').write('{') if '-out' in sys.argv else None",
            "no usable answer",
        ),
        ("time.sleep(60)", "the program was ended after 0.5 seconds"),
    ],
)
def test_programs_that_fail_become_one_line(install, script, reason):
    install(script)
    found = java_scores(HYPOTHESES, REFERENCES, seconds=0.5)
    assert (found.meteor, found.spice) == (None, None)
    assert reason in found.notes["spice"] or reason in found.notes["meteor"]
    assert all(note and "\n" not in note for note in found.notes.values())


@posix
def test_missing_jars_of_spice_are_named_and_meteor_goes_on(install):
    package = install(ANSWER)
    (package / "spice" / "lib" / "stanford-corenlp-3.6.0-models.jar").unlink()
    found = java_scores(HYPOTHESES, REFERENCES)
    assert (found.meteor, found.spice) == (pytest.approx(7.0), None)
    assert "stanford-corenlp-3.6.0-models.jar of CoreNLP must be put into" in found.notes["spice"]


def test_without_java_nothing_is_computed_and_nothing_fails(monkeypatch, tmp_path):
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java_scores(HYPOTHESES, REFERENCES).notes["meteor"] == "Java is not installed, or not on the path"


def test_without_the_package_the_line_to_install_it_is_given(monkeypatch):
    monkeypatch.delitem(sys.modules, "pycocoevalcap", raising=False)
    monkeypatch.setattr(sys, "path", [])
    notes = java_scores(HYPOTHESES, REFERENCES).notes
    assert set(notes) == {"meteor", "spice"}
    assert all('pip install "cutline[coco]"' in note for note in notes.values())


def test_a_scorer_asks_only_when_told_to_and_only_for_english(monkeypatch):
    asked = []
    module = sys.modules[Scorer.__module__]
    monkeypatch.setattr(module, "java_scores", lambda *given: asked.append(given) or JavaScores(12.5))
    hypotheses, references = {"x": "A dog, there!"}, {"x": ["The DOG.", "a dog"]}
    assert Scorer(references).score(hypotheses).meteor is None
    assert Scorer(references, list, "character").score(hypotheses, java=True).not_computed["meteor"] == (
        "it is for English; these captions were tokenised as 'character'"
    )
    assert asked == []
    assert Scorer(references).score(hypotheses, java=True).meteor == 12.5
    assert asked == [({"x": "a dog there"}, {"x": ["the dog", "a dog"]})]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the wrapper closes nothing
def test_meteor_is_that_of_cocos_wrapper():
    if not shutil.which("java"):
        pytest.skip("needs java")
    meteor = pytest.importorskip("pycocoevalcap.meteor.meteor")
    hypotheses, references = made_up_captions(30)
    hypotheses["0.jpg"] = ""
    prepared = Scorer(references).references
    joined, joined_references = prepared.joined(hypotheses), prepared.joined_references()
    expected = meteor.Meteor().compute_score(joined_references, {key: [joined[key]] for key in joined})[0]
    assert java_scores(joined, joined_references).meteor == pytest.approx(100 * expected, rel=1e-12)
    assert expected > 0
