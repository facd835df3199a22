"""The page that says why: everything of the explanation is on it, it loads nothing, and it fits a phone."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.browser import DESKTOP, PHONE, Browser, browser
from tests.fakes import made_up_explanation

from cutline.records import Alternative, Explanation
from cutline.report import render_explanations
from cutline.report.explain_page import MARK, choices_of

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    return made_up_explanation(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def page(explanation: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Explain one image that is easy to lay out, and one that is not."""
    first = explanation.steps[0]
    hard = replace(
        explanation,
        hypothesis=replace(explanation.hypothesis, text=f"{LONG} {LONG}", confidence=None),
        steps=(replace(first, token=LONG, alternatives=(Alternative(LONG, 0.5),)), *explanation.steps),
    )
    path = tmp_path_factory.mktemp("page") / "explain.html"
    find_image = {"train/0.jpg": explanation.image}.get
    path.write_text(render_explanations([explanation, hard], find_image=find_image), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_an_image_unlike_the_training_images_is_told(explanation: Explanation) -> None:
    strange = replace(explanation, hypothesis=replace(explanation.hypothesis, unlike_training=True))
    told = "The image is unlike the training images"
    assert told in render_explanations([strange])
    assert told not in render_explanations([explanation])


def test_every_word_is_there_with_its_probability_and_what_else_was_possible(
    explanation: Explanation,
) -> None:
    text = html.unescape(render_explanations([explanation]))
    cards = re.findall(r"<li><figure.*?</figure>", text, re.DOTALL)[: len(explanation.steps)]
    assert len(cards) == len(explanation.steps)
    for card, step in zip(cards, explanation.steps, strict=True):
        assert [one.text for one in step.alternatives] == re.findall(r'class="choice"[^>]*>([^<]+)<', card)
        assert f"most at the {'top right' if step.token == 'dog' else 'left'}" in card
    assert MARK in text[:2000]


def test_what_was_written_is_marked_even_where_it_was_not_probable(explanation: Explanation) -> None:
    step = replace(explanation.steps[0], token="rare", probability=0.001)
    *others, own = choices_of(step)
    assert (own.text, own.own) == ("rare", True)
    assert len(others) == 5
    assert not any(choice.own for choice in others)
    assert [choice.own for choice in choices_of(explanation.steps[0])] == [True, False, False, False, False]


def test_a_model_that_sees_the_picture_as_a_whole_has_no_maps(explanation: Explanation) -> None:
    blind = replace(
        explanation, steps=tuple(replace(step, attention=None) for step in explanation.steps), similar=None
    )
    text = render_explanations([blind])
    assert "sees the picture as a whole" in text
    assert text.count("<img") == 1
    assert "Training images" not in text


def test_training_images_come_with_pictures_where_they_are_found(explanation: Explanation) -> None:
    without = render_explanations([explanation])
    found = render_explanations([explanation], find_image={"train/0.jpg": explanation.image}.get)
    assert found.count("<img") == without.count("<img") + 1
    assert "--images" in without
    assert "--images" not in found
    for one in explanation.similar or ():
        assert all(caption in without for caption in one.captions)


def test_captions_are_escaped(explanation: Explanation) -> None:
    evil = replace(explanation.hypothesis, text="<script>alert(1)</script>")
    assert "<script>" not in render_explanations([replace(explanation, hypothesis=evil)])


def test_an_image_that_is_gone_leaves_the_words(explanation: Explanation) -> None:
    text = render_explanations([replace(explanation, image="gone.jpg")])
    assert "<img" not in text
    assert "dog" in text


def test_pictures_share_the_bytes_of_the_page(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    noisy = replace(explanation, image=str(tmp_path / "noise.png"))
    bare = len(render_explanations([replace(explanation, image="gone.jpg")] * 2))
    monkeypatch.setattr("cutline.report.explain_page.MOST_BYTES", 60_000)
    pictures = len(render_explanations([noisy] * 2)) - bare
    assert 20_000 < pictures < 65_000


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE, (320, 640)], ids=["desktop", "phone", "small phone"])
def test_nothing_is_loaded_and_nothing_runs_over(
    tab: Browser, page: Path, size: tuple[int, int], dark: bool
) -> None:
    tab.open(page, size, dark=dark)
    assert tab.requests == [page.as_uri()]
    assert tab.complaints == []
    assert tab.ask("document.documentElement.scrollWidth") <= size[0]
    cut_off = """
    [...document.querySelectorAll('main p, main li, main h2, .choice, .odds')].filter(one =>
      !one.closest('.unseen') && one.offsetHeight && getComputedStyle(one).display !== 'inline'
      && one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 120))
    """
    assert tab.ask(cut_off) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_long_word_that_has_room_is_not_broken(
    tab: Browser, explanation: Explanation, tmp_path: Path, size: tuple[int, int]
) -> None:
    others = (Alternative("skateboarder", 0.2), Alternative("snowboarder's", 0.1), Alternative("a", 0.1))
    steps = tuple(
        replace(step, token="skateboard", alternatives=(Alternative("skateboard", 0.6), *others))
        for step in explanation.steps
    )
    (tmp_path / "page.html").write_text(
        render_explanations([replace(explanation, steps=steps)]), encoding="utf-8"
    )
    tab.open(tmp_path / "page.html", size)
    heights = tab.ask("[...document.querySelectorAll('.choice')].map(one => one.offsetHeight)")
    assert len(heights) == 4 * len(steps)
    assert len(set(heights)) == 1
    assert min(tab.ask("[...document.querySelectorAll('.chance')].map(one => one.clientWidth)")) >= 15


def test_pictures_of_words_have_the_shape_of_the_photo(tab: Browser, page: Path) -> None:
    tab.open(page)
    shapes = tab.ask("[...document.querySelectorAll('.seen img')].map(one => one.width / one.height)")
    assert shapes == pytest.approx([4 / 3] * len(shapes), rel=0.03)
