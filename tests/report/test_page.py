from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.fakes import made_up_evaluation, made_up_history

from cutline.records import Problem, Scores
from cutline.report.page import MOST_IMAGES, render_report, verdict


class Page(HTMLParser):
    """What a browser would find in a page."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append((self._open[-1] if self._open else "", " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(words for tag, words in self.words if tag != "style")


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(
        render_report(
            title="first run",
            history=made_up_history(),
            evaluations=[made_up_evaluation(tmp_path)],
            summary={"encoder.name": "efficientnet_lite0"},
            problems=[Problem("duplicate row", "captions.csv row 3", "kept once")],
        )
    )


def test_the_page_refers_to_nothing_outside_itself(page: Page) -> None:
    assert "://" not in page.html
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "srcset", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#"))
    (style,) = [words for tag, words in page.words if tag == "style"]
    assert "url(" not in style
    assert "@import" not in style


def test_its_policy_allows_its_own_style_and_embedded_images_only(page: Page) -> None:
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    match = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert match is not None
    digest = base64.b64encode(hashlib.sha256(match.group(1).encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["style-src"] == f"'sha256-{digest}'"


def test_the_opening_says_what_was_trained_and_how_good_it_is(page: Page) -> None:
    opening = page.text[: page.text.index("Scores on")]
    assert "trained for 4 epochs" in opening
    assert "epoch 3" in opening
    assert "3 images of the test split, which it was not trained on" in opening
    assert "142.3" in opening
    assert "12.3" in opening
    assert "a most common dog" in opening
    assert "11.6 times as good" in opening


def test_scores_stand_beside_those_of_the_most_common_caption_with_their_terms(page: Page) -> None:
    cells = [words for tag, words in page.words if tag in ("th", "td")]
    at = cells.index("BLEU-4")
    assert cells[at : at + 3] == ["BLEU-4", "21.1", "2.1"]
    assert [name for name in cells if name.startswith(("BLEU", "ROUGE", "CIDEr"))][:6] == [
        "BLEU-1",
        "BLEU-2",
        "BLEU-3",
        "BLEU-4",
        "ROUGE-L",
        "CIDEr-D",
    ]
    for term in ("6 references of 3 images", "×100", "tokenizer ptb", "markers stripped", "greedy"):
        assert term in page.text


def test_teacher_forced_figures_are_named_so(page: Page) -> None:
    apart = page.text[page.text.index("(teacher forcing)") :]
    assert "Loss 1.734 nats per token; word accuracy 61.2 %" in apart[:400]


def test_every_picture_has_a_text_and_a_caption_its_direction(page: Page, tmp_path: Path) -> None:
    pictures = page.all("img")
    assert len(pictures) == 3 + 3
    assert all(picture["alt"] for picture in pictures)
    assert {f"hypothesis for {number}.jpg" for number in range(3)} <= {p["alt"] for p in pictures}
    directed = [attributes for tag, attributes in page.tags if attributes.get("dir") == "auto"]
    # The most common caption, three hypotheses, six references, settings and problems.
    assert len(directed) >= 1 + 3 + 6


def test_settings_and_problems_are_listed(page: Page) -> None:
    for words in ("encoder.name", "efficientnet_lite0", "duplicate row", "captions.csv row 3", "kept once"):
        assert words in page.text


def test_markup_in_captions_paths_and_settings_is_shown_not_run(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    result = made_up_evaluation(tmp_path, 1, captions={"0.jpg": attack}, references={"0.jpg": (attack,)})
    result = replace(result, baselines=(replace(result.most_common, caption=attack),))
    html = render_report(
        title=attack,
        evaluations=[result],
        summary={attack: attack},
        problems=[Problem(attack, attack, attack)],
    )
    page = Page(html)
    assert "<script" not in html
    assert not page.all("script")
    assert [picture["alt"] for picture in page.all("img")] == [attack]
    assert page.text.count("alert(1)") >= 7


def test_captions_in_any_script_survive(tmp_path: Path) -> None:
    captions = {"0.jpg": "كلب بني يجري", "1.jpg": "一只狗在草地上奔跑", "2.jpg": "एक कुत्ता 🐕"}
    page = Page(render_report(title="x", evaluations=[made_up_evaluation(tmp_path, captions=captions)]))
    assert all(caption in page.text for caption in captions.values())


def test_a_run_that_was_not_evaluated_says_how_to_do_it() -> None:
    page = Page(render_report(title="x", history=made_up_history()))
    assert "not been evaluated yet" in page.text
    assert "cutline evaluate" in page.text
    assert len(page.all("img")) == 3


def test_a_bundle_without_history_has_scores_and_no_curves(tmp_path: Path) -> None:
    page = Page(render_report(title="x", evaluations=[made_up_evaluation(tmp_path)]))
    assert "142.3" in page.text
    assert "Figures of every epoch" not in page.text
    assert "trained for" not in page.text


def test_history_without_a_single_score_is_shown_with_dashes() -> None:
    history = [replace(r, cider_d=float("nan"), bleu_4=float("nan")) for r in made_up_history()]
    page = Page(render_report(title="x", history=history))
    assert "nan" not in page.text.lower()
    assert "–" in page.text


def test_images_that_are_gone_and_empty_captions_are_said_to_be_so(tmp_path: Path) -> None:
    result = made_up_evaluation(
        tmp_path, 2, captions={"0.jpg": "", "1.jpg": "a dog"}, images={"0.jpg": str(tmp_path / "0.jpg")}
    )
    page = Page(render_report(title="x", evaluations=[result]))
    assert [picture["alt"] for picture in page.all("img")] == ["no caption"]
    assert "the image is no longer there" in page.text


def test_of_many_images_a_fixed_choice_is_shown(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, 200)
    html = render_report(title="x", evaluations=[result])
    page = Page(html)
    assert len(page.all("figure")) == MOST_IMAGES
    assert "60 images, drawn from 200 by lot" in page.text
    assert html == render_report(title="x", evaluations=[result])
    assert len(html) < 5_000_000


def test_several_evaluations_share_the_images_and_have_ids_of_their_own(tmp_path: Path) -> None:
    results = [made_up_evaluation(tmp_path, 100, split) for split in ("test", "val")]
    page = Page(render_report(title="x", evaluations=results))
    assert len(page.all("figure")) <= MOST_IMAGES
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for reference in ("aria-labelledby", "aria-describedby"):
        assert {attributes[reference] for _, attributes in page.tags if reference in attributes} <= set(ids)


def test_images_that_were_trained_on_are_not_called_unseen(tmp_path: Path) -> None:
    page = Page(render_report(title="x", evaluations=[made_up_evaluation(tmp_path, split="train")]))
    assert "that it was trained on" in page.text
    assert "Unseen" not in page.text


def test_wide_tables_can_be_scrolled_with_the_keyboard(page: Page) -> None:
    scrolled = [attributes for tag, attributes in page.tags if attributes.get("class") == "scroll"]
    assert scrolled
    assert all(
        attributes.get("tabindex") == "0" and attributes.get("role") == "region" for attributes in scrolled
    )


def test_the_style_has_a_dark_a_narrow_and_a_printed_form(page: Page) -> None:
    (style,) = [words for tag, words in page.words if tag == "style"]
    for condition in ("prefers-color-scheme: dark", "max-width", "@media print"):
        assert condition in style
    (viewport,) = [meta for meta in page.all("meta") if meta.get("name") == "viewport"]
    assert viewport["content"] == "width=device-width, initial-scale=1"


def test_a_long_list_of_problems_is_cut_and_counted(tmp_path: Path) -> None:
    problems = [Problem("broken row", f"row {number}", "left out") for number in range(300)]
    page = Page(render_report(title="x", history=made_up_history(), problems=problems))
    assert "300 rows or images were" in page.text
    assert "first 200" in page.text
    assert "row 299" not in page.text


def test_problems_of_training_and_evaluation_are_listed_once(tmp_path: Path) -> None:
    lost = Problem("missing image", "a.jpg", "left out")
    page = Page(
        render_report(
            title="x", evaluations=[made_up_evaluation(tmp_path, problems=(lost,))], problems=[lost]
        )
    )
    assert page.text.count("missing image") == 1
    assert "1 row or image was" in page.text


@pytest.mark.parametrize(
    ("model", "baseline", "expected"),
    [
        (5.0, 8.0, "no better"),
        (9.0, 8.0, "hardly better"),
        (40.0, 8.0, "5.0 times as good"),
        (40.0, 0.1, "far better"),
    ],
)
def test_the_verdict_follows_the_distance(model: float, baseline: float, expected: str) -> None:
    scores = Scores(0, 0, 0, 0, 0, model, model, 10, 50, "ptb")
    assert verdict(scores, replace(scores, cider_d=baseline)).startswith(expected)
