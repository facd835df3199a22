"""``cutline explain`` from arguments to lines, with a recipe that needs no model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import StubRecipe, made_up_explanation
from typer.testing import CliRunner, Result

from cutline.cli.app import app
from cutline.recipes.explain import Explained
from cutline.records import CaptionedImage, Explanation
from cutline.wishes import Wishes


def run(*arguments: str) -> Result:
    return CliRunner(env={"NO_COLOR": "1"}).invoke(
        app, ["explain", "a.jpg", "--model", "m", *arguments], prog_name="cutline"
    )


@pytest.fixture
def explanation(tmp_path: Path) -> Explanation:
    return replace(made_up_explanation(tmp_path), image="a.jpg")


def explained(*explanations: Explanation, failed: tuple[CaptionedImage, ...] = ()) -> Explained:
    return Explained(explanations, failed, Path("explain.html"))


def test_the_words_are_printed_with_what_else_was_possible(
    monkeypatch: pytest.MonkeyPatch, explanation: Explanation
) -> None:
    recipe = StubRecipe.put(monkeypatch, "explain", "explain", explained(explanation))
    result = run()
    assert result.exit_code == 0, result.stderr
    assert result.stdout == (
        "a.jpg: a brown dog runs\n"
        "confidence 0.62\n"
        "  word            probability  looked most at   instead\n"
        "  a                      40 %   50 % left       the 10 %, two 10 %, unknown word 10 %, grass 10 %\n"
        "  brown                  50 %   50 % left       the 10 %, two 10 %, unknown word 10 %, grass 10 %\n"
        "  dog                    60 %   50 % top right  the 10 %, two 10 %, unknown word 10 %, grass 10 %\n"
        "  runs                   70 %   50 % left       the 10 %, two 10 %, unknown word 10 %, grass 10 %\n"
        "  end of caption         80 %   50 % left       the 10 %, two 10 %, unknown word 10 %, grass 10 %\n"
        "  like train/0.jpg (0.91): a dog in snow\n"
        "  like train/1.jpg (0.82): two dogs run\n"
        "\n"
        "explain.html\n"
    )
    assert recipe.calls == [
        (
            (["a.jpg"], "m", Path("explain.html")),
            {"images": None, "beam_size": None, "wishes": Wishes(), "overwrite": False},
        )
    ]


def test_every_option_is_handed_on(monkeypatch: pytest.MonkeyPatch, explanation: Explanation) -> None:
    recipe = StubRecipe.put(monkeypatch, "explain", "explain", explained(explanation))
    options = "--out why.png --images photos --beam-size 5 --require cat --forbid dog --overwrite"
    assert run(*options.split()).exit_code == 0
    ((arguments, keywords),) = recipe.calls
    assert arguments[-1] == Path("why.png")
    assert keywords == {
        "images": Path("photos"),
        "beam_size": 5,
        "wishes": Wishes(require=("cat",), forbid=("dog",)),
        "overwrite": True,
    }


def test_a_model_without_attention_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, explanation: Explanation
) -> None:
    steps = tuple(replace(step, attention=None) for step in explanation.steps)
    blind = replace(explanation, steps=steps, similar=None)
    StubRecipe.put(monkeypatch, "explain", "explain", explained(blind))
    lines = run().stdout.splitlines()
    assert sum("sees the picture as a whole" in line for line in lines) == 1
    assert "looked" not in lines[3]


def test_images_that_failed_are_told_and_change_the_code(
    monkeypatch: pytest.MonkeyPatch, explanation: Explanation
) -> None:
    failed = (CaptionedImage("b.jpg", error="b.jpg: damaged; copy it again"),)
    StubRecipe.put(monkeypatch, "explain", "explain", explained(explanation, failed=failed))
    result = run("--quiet")
    assert result.exit_code == 1
    assert result.stderr == "warning: b.jpg: damaged; copy it again\n"


def test_json_has_every_weight(monkeypatch: pytest.MonkeyPatch, explanation: Explanation) -> None:
    StubRecipe.put(monkeypatch, "explain", "explain", explained(explanation))
    document = json.loads(run("--json").stdout)
    (found,) = document["explanations"]
    assert document["out"] == "explain.html"
    assert [step["token"] for step in found["steps"]][-1] == "<end>"
    assert found["steps"][2]["attention"][0][6] == 0.5
    assert found["steps"][0]["alternatives"]["<unk>"] == 0.1
    assert found["similar"][0]["captions"] == ["a dog in snow", "a brown dog"]


def test_an_image_unlike_the_training_images_is_told(
    monkeypatch: pytest.MonkeyPatch, explanation: Explanation
) -> None:
    for unlike in (True, False, None):
        hypothesis = replace(explanation.hypothesis, unlike_training=unlike)
        found = explained(replace(explanation, hypothesis=hypothesis))
        StubRecipe.put(monkeypatch, "explain", "explain", found)
        told = "unlike the training images: the caption means little" in run().stdout.splitlines()
        assert told == bool(unlike)
        assert json.loads(run("--json").stdout)["explanations"][0]["unlike_training"] is unlike
