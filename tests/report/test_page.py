from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tests.fakes import (
    ActingProgress,
    made_up_calibration,
    made_up_evaluation,
    made_up_history,
    made_up_learning_curve,
    made_up_whole_evaluation,
)

from cutline.records import Interval, LookingTest, Problem, Slice
from cutline.report import page as page_module
from cutline.report.figures import learning_chart
from cutline.report.gallery import MOST_IMAGES
from cutline.report.page import render_report


class Page(HTMLParser):
    """What a browser would find in a page."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, str]] = []
        self._open: list[str] = []
        # A word stays one word where it may or must not be broken.
        self.feed(re.sub(r'<wbr>|<span class="whole">([^<]*)</span>', r"\1", html))
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.words += [(tag, value) for name, value in attrs if name in ("aria-label", "label") and value]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append((self._open[-1] if self._open else "", " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(words for tag, words in self.words if tag not in ("style", "script"))

    def inside(self, start: str, end: str) -> str:
        """Return the words between two."""
        return self.text.split(start, 1)[1].split(end, 1)[0]


@pytest.fixture
def whole(tmp_path: Path) -> Page:
    evaluation = made_up_whole_evaluation(tmp_path)
    return Page(render_report(title="first run", history=made_up_history(), evaluations=[evaluation]))


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
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert page.all("script") == [{}]
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href", "srcset", "action", "poster", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#"))
    (style,) = [words for tag, words in page.words if tag == "style"]
    assert "url(" not in style
    assert "@import" not in style


def test_its_policy_allows_its_own_style_script_and_embedded_images_only(page: Page) -> None:
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    for tag in ("style", "script"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", page.html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert rules == {"base-uri": "'none'", "form-action": "'none'"}


def test_a_page_without_images_has_no_script() -> None:
    html = render_report(title="x", history=made_up_history())
    assert "<script" not in html
    assert "script-src" not in html


def test_the_opening_says_what_was_trained_and_how_good_it_is(page: Page) -> None:
    opening = page.inside("A report by cutline", "How good are the captions?")
    assert opening.strip().startswith("11.6 times the score of one sentence for every picture")
    for words in (
        "trained for 4 epochs",
        "epoch 3",
        "3 images of the test split, which it was not trained on",
        "142.3",
        "12.3",
        "a most common dog",
        "With 3 images all figures are rough",
    ):
        assert words in opening


def test_the_three_questions_are_answered_before_anything_else(whole: Page) -> None:
    places = [
        whole.text.index(words)
        for words in ("How good are", "Does it look", "know when it is sure", "Scores")
    ]
    assert places == sorted(places)


def test_scores_stand_beside_those_of_people_and_simpler_ways_with_their_terms(whole: Page) -> None:
    cells = [words for tag, words in whole.words if tag in ("th", "td", "span")]
    heads = cells[cells.index("BLEU-1") - 2 :][:7]
    assert heads == ["CIDEr-D", "BLEU-4", "BLEU-1", "BLEU-2", "BLEU-3", "ROUGE-L", "CIDEr"]
    at = cells.index("people", cells.index("BLEU-1"))
    assert cells[at : at + 3] == ["people", "83.0", "81.0 to 85.0"]
    for term in (
        "200 references of 40 images",
        "×100",
        "tokenizer ptb",
        "markers stripped",
        "greedy",
        "95 % interval",
    ):
        assert term in whole.text
    assert "metrics:1|tok:ptb|case:lower" in whole.text
    assert "each caption by a person against the four others" in whole.text


def test_bars_are_as_long_as_their_scores(whole: Page) -> None:
    widths = [
        float(str(rect["width"]).rstrip("%")) for rect in whole.all("rect") if rect.get("class") == "fill"
    ]
    model, consensus, *_, people, beside_people = widths[:7]
    assert people > model > beside_people > consensus
    assert model / people == pytest.approx(48.2 / 83.0, rel=1e-3)


def test_scores_that_were_not_computed_have_no_column(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path)
    page = Page(render_report(title="x", evaluations=[result]))
    assert ("th", "METEOR") not in page.words
    told = "METEOR, SPICE: not computed; cutline score --java computes them"
    assert told in page.inside("Not measured:", "teacher forcing")
    scored = replace(result, scores=replace(result.scores, meteor=20.5))
    page = Page(render_report(title="x", evaluations=[scored]))
    assert ("th", "METEOR") in page.words
    assert "20.5" in page.text
    assert "SPICE: not computed" in page.inside("Not measured:", "teacher forcing")
    words = replace(result, scores=replace(result.scores, tokenizer="character"))
    page = Page(render_report(title="x", evaluations=[words]))
    assert "METEOR, SPICE: not computed; they are for English" in page.text
    both = replace(result, scores=replace(result.scores, meteor=20.5, not_computed={"spice": "no Java"}))
    assert "not computed;" not in render_report(title="x", evaluations=[both])


def test_teacher_forced_figures_are_named_so(page: Page) -> None:
    apart = page.text[page.text.index("(teacher forcing)") :]
    assert "Loss 1.734 nats per token; perplexity 5.7; word accuracy 61.2 %" in apart[:400]
    assert [label for tag, label in page.words if tag == "svg" and "teacher-forced" in label]


def test_every_picture_and_chart_has_a_text_and_a_caption_its_direction(whole: Page) -> None:
    pictures = whole.all("img")
    # Forty cards, the twelve best and the twelve worst; thirty of the files are not there.
    assert len(pictures) + whole.text.count("the image is no longer there") == 40 + 24
    assert all(picture["alt"] for picture in pictures)
    for drawing in whole.all("svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing["role"] == "img" and drawing["aria-label"])
    directed = [tag for tag, attributes in whole.tags if attributes.get("dir") == "auto"]
    assert directed.count("p") >= 40 + 24
    assert directed.count("q") >= 2


def test_confidence_is_told_with_its_definition_error_and_charts(whole: Page) -> None:
    section = whole.inside("Measured on 40 images, fitted on 40 other images.", "Parts of the images By")
    assert "3.1 percentage points" in section
    assert "at least that of the lower quarter" in whole.text
    labels = [label for tag, label in whole.words if tag == "svg"]
    for title in (
        "Is it right when it is sure?",
        "Acceptable among those kept",
        "Score of the captions kept",
    ):
        assert [label for label in labels if label.startswith(title)]


def test_a_definition_that_names_the_threshold_is_not_followed_by_it_again(tmp_path: Path) -> None:
    old = replace(made_up_calibration(), definition="CIDEr-D of at least 38.4, which 3 of 4 references reach")
    text = Page(
        render_report(title="x", evaluations=[made_up_whole_evaluation(tmp_path, calibration=old)])
    ).text
    assert text.count("at least 38.4") == 1
    assert "(CIDEr-D of at least" not in text


def test_the_forecast_is_drawn_where_there_is_one(tmp_path: Path) -> None:
    drawn = learning_chart(made_up_whole_evaluation(tmp_path).learning_curve)
    assert drawn is not None
    assert drawn.ahead is None
    curve = replace(made_up_learning_curve(), gain=5.0, more_captions=30000, interval=Interval(1.0, 8.0))
    drawn = learning_chart(curve)
    assert drawn is not None
    assert drawn.ahead is not None
    name, line, band = drawn.ahead
    assert name == "forecast"
    assert line.startswith(f"M{' '.join(drawn.lines[0].marks[-1])}L")
    assert "53.2 at 60,000" in drawn.description
    assert band.endswith("Z")


def test_a_final_mark_that_is_parted_does_not_stand_alone(tmp_path: Path) -> None:
    captions = {"0.jpg": "a dog runs ."}
    page = render_report(title="x", evaluations=[made_up_evaluation(tmp_path, 1, captions=captions)])
    assert "a dog runs\N{NO-BREAK SPACE}." in page


def test_slices_are_bars_and_choices_of_the_filter(whole: Page) -> None:
    for words in (
        "by caption length",
        "up to 8 words",
        "20 images · BLEU-4 20.0",
        "by rare words",
        "50.0 to 60.0",
    ):
        assert words in whole.text
    offered = [option["value"] for option in whole.all("option")]
    # The third slice does not say which images are in it.
    assert [value for value in offered if value and value.isdigit()] == ["1", "2"]
    assert {"score down", "confidence up", "below 0.5", "above 0.5"} <= set(offered)


def test_variety_and_forecast_are_told(whole: Page) -> None:
    for words in (
        "different captions 75.0 %",
        "Self-CIDEr 0.55",
        "a dog runs 7 times",
        "+0.4 CIDEr-D",
        "15,000",
    ):
        assert words in whole.text


def test_images_unlike_the_training_images_are_counted_and_marked(tmp_path: Path) -> None:
    evaluation = made_up_whole_evaluation(tmp_path, 4)
    page = Page(render_report(title="x", evaluations=[evaluation]))
    assert "Images unlike the training images" in page.text
    assert "50.0 % of 4 images are of another kind" in page.text
    cards = page.html.split('<figure class="card">')[1:]
    flagged = {
        card.split('class="hypothesis"')[1].split("</p>")[0] for card in cards if "unlike training" in card
    }
    assert len(flagged) == 2
    without = Page(render_report(title="x", evaluations=[replace(evaluation, unlike_training=None)]))
    assert "nlike training" not in without.text


def test_what_was_not_measured_says_how_to_get_it_or_is_left_out(page: Page) -> None:
    assert "cutline evaluate --learning-curve" in page.text
    assert "There are no confidences in this evaluation" in page.text
    for words in (
        "Parts of the images",
        "Self-CIDEr",
        "least sure",
        "95 % interval",
        "same signature",
        "None",
    ):
        assert words not in page.text.replace("None: every row", "")
    # Best and worst: one each of three images.
    assert len(page.all("img")) == 3 + 2


def test_settings_and_problems_are_listed(page: Page) -> None:
    for words in ("encoder.name", "efficientnet_lite0", "duplicate row", "captions.csv row 3", "kept once"):
        assert words in page.text


def test_markup_in_captions_paths_and_settings_is_shown_not_run(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    result = made_up_evaluation(tmp_path, 1, captions={"0.jpg": attack}, references={"0.jpg": (attack,)})
    result = replace(
        result,
        baselines=(replace(result.most_common, caption=attack, note=attack),),
        slices=(Slice(attack, attack, 1, 1.0, 1.0, None, ("0.jpg",)),),
        looking=LookingTest(1.0, 1.0, looking=False, causes=(attack,)),
        calibration=replace(made_up_calibration(), definition=attack),
        learning_curve=replace(made_up_learning_curve(), forecast=attack),
    )
    html = render_report(
        title=attack,
        evaluations=[result],
        summary={attack: attack},
        problems=[Problem(attack, attack, attack)],
    )
    page = Page(html)
    assert page.all("script") == [{}]
    assert [picture["alt"] for picture in page.all("img")] == [attack]
    assert page.text.count("alert(1)") >= 12


def test_captions_in_any_script_survive(tmp_path: Path) -> None:
    captions = {"0.jpg": "كلب بني يجري", "1.jpg": "一只狗在草地上奔跑", "2.jpg": "एक कुत्ता 🐕"}
    page = Page(render_report(title="x", evaluations=[made_up_evaluation(tmp_path, captions=captions)]))
    assert all(caption in page.text for caption in captions.values())


def test_a_run_that_was_not_evaluated_says_how_to_do_it() -> None:
    page = Page(render_report(title="x", history=made_up_history()))
    assert "not been evaluated yet" in page.text
    assert "cutline evaluate" in page.text
    assert len([drawing for drawing in page.all("svg") if drawing.get("role") == "img"]) == 5


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
    assert {picture["alt"] for picture in page.all("img")} == {"no caption"}
    assert "the image is no longer there" in page.text


def test_all_images_are_shown_within_the_bytes_of_the_page_however_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_module.MOST_BYTES == 5_000_000
    monkeypatch.setattr(page_module, "MOST_BYTES", 500_000)
    Image.effect_noise((200, 150), 120).convert("RGB").save(tmp_path / "noise.png")
    result = made_up_whole_evaluation(tmp_path, 120)
    result = replace(result, images=dict.fromkeys(result.images, str(tmp_path / "noise.png")))
    progress = ActingProgress()
    html = render_report(title="x", evaluations=[result], progress=progress)
    assert 400_000 < len(html.encode()) <= 500_000
    assert html.count('<img loading="lazy"') == 120 + 24
    assert progress.stages == [("drawing the report", 144)]


def test_what_could_not_be_measured_is_told_with_the_reason(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, notes=("no nearest neighbour: the training images are not there",))
    result = replace(result, scores=replace(result.scores, not_computed={"spice": "no Java was found"}))
    page = Page(render_report(title="x", evaluations=[result]))
    missing = page.inside("Not measured:", "teacher forcing")
    assert "SPICE: no Java was found" in missing
    assert "no nearest neighbour: the training images are not there" in missing


def test_of_more_images_a_fixed_choice_is_shown(tmp_path: Path) -> None:
    result = made_up_evaluation(tmp_path, MOST_IMAGES + 200)
    html = render_report(title="x", evaluations=[result])
    assert len(re.findall('<figure class="card">', html)) == MOST_IMAGES + 24
    assert "1,000 images, drawn from 1,200 by lot" in html
    assert html == render_report(title="x", evaluations=[result])


def test_several_evaluations_have_ids_of_their_own(tmp_path: Path) -> None:
    results = [made_up_whole_evaluation(tmp_path, 30, split) for split in ("test", "val")]
    page = Page(render_report(title="x", history=made_up_history(), evaluations=results))
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for reference in ("aria-labelledby", "aria-describedby", "data-photos"):
        assert {attributes[reference] for _, attributes in page.tags if reference in attributes} <= set(ids)
    assert {str(link["href"]).removeprefix("#") for link in page.all("a")} <= set(ids)
    assert page.text.count("How good are the captions?") == 2


def test_one_evaluation_of_one_image_can_be_shown(tmp_path: Path) -> None:
    page = Page(render_report(title="x", evaluations=[made_up_whole_evaluation(tmp_path, 1)]))
    assert "Best and worst" not in page.text
    assert len(page.all("img")) == 1


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
