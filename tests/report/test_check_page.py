"""The page of a check shows what was found, loads nothing, and fits a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.browser import DESKTOP, PHONE, Browser, browser
from tests.data.faulty import Faulty, plant_faults

from cutline.data.checks import CheckReport, Finding, Occurrence, check_dataset
from cutline.data.checks.report import with_findings
from cutline.progress import Silent
from cutline.recipes.check import check
from cutline.records import Dataset, Example
from cutline.report.check_page import MARK, render_check


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    return plant_faults(tmp_path_factory.mktemp("faulty"))


@pytest.fixture(scope="module")
def page(faulty: Faulty) -> Path:
    path = faulty.table.with_name("check.html")
    check(faulty.table, html=path)
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_every_kind_that_was_found_is_on_the_page(faulty: Faulty, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = set(re.findall(r'<a href="#finding-\d+">([^<]+)</a>', text))
    assert links == faulty.planted.keys()
    assert MARK in text[:2000]
    assert page.stat().st_size < 5_000_000


def test_every_picture_has_a_text(page: Path) -> None:
    pictures = re.findall(r"<img [^>]*>", page.read_text(encoding="utf-8"))
    assert len(pictures) > 30
    assert [tag for tag in pictures if not re.search(r' alt="[^"]+"', tag)] == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_loaded_and_nothing_runs_over(
    tab: Browser, page: Path, size: tuple[int, int], dark: bool
) -> None:
    tab.open(page, size, dark=dark)
    assert tab.requests == [page.as_uri()]
    assert tab.complaints == []
    assert tab.ask("document.documentElement.scrollWidth") == size[0]
    # Words in tables wrap; what is wider than its frame would have to be scrolled sideways.
    wide = "[...document.querySelectorAll('.scroll')].filter(it => it.scrollWidth > it.clientWidth + 1)"
    assert tab.ask(f"{wide}.map(it => it.getAttribute('aria-labelledby'))") == []


def empty_report() -> CheckReport:
    return check_dataset(Dataset((), "none.csv", "table"))


def test_what_people_wrote_is_escaped() -> None:
    place = Occurrence("<b>.png", "<i>odd</i>", "<script>alert(1)</script>")
    finding = Finding("placeholder", "warning", "a word", "write a caption", (place,))
    text = render_check(with_findings(empty_report(), [finding]), [], Silent())
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<i>odd" not in text


def test_a_picture_that_is_gone_leaves_a_gap() -> None:
    place = Occurrence("gone.png", "ends in 'the'", "a dog in the", ("gone.png",))
    finding = Finding("unfinished caption", "warning", "ends early", "finish it", (place,))
    example = Example("gone.png", "/nowhere/gone.png", ("a dog in the",), "train")
    text = render_check(with_findings(empty_report(), [finding]), [example], Silent())
    assert "no picture to show" in text
    assert "a dog in the" in text


def test_a_long_list_is_cut_and_says_so() -> None:
    places = tuple(Occurrence(f"row {number}", "no text") for number in range(50))
    finding = Finding("empty caption", "warning", "no text", "write one", places)
    text = render_check(with_findings(empty_report(), [finding]), [], Silent())
    assert 'The first 20 of 50; all of them with <span class="whole">--json</span>.' in text
    assert "row 19<" in text
    assert "row 20<" not in text


def render(places: list[Occurrence], examples: list[Example], kind: str = "placeholder") -> str:
    finding = Finding(kind, "warning", "a word", "write a caption", tuple(places))
    return render_check(with_findings(empty_report(), [finding]), examples, Silent())


def test_small_findings_share_a_row() -> None:
    one = Occurrence("1.png", "", "x", ("1.png",))
    pair = Occurrence("1.png", "alike", "", ("1.png", "2.png"))
    for places, size in (([one], "one"), ([one] * 2, "two"), ([one] * 3, "all"), ([pair], "two")):
        assert f'class="finding {size}"' in render(places, [])
    assert 'class="finding all"' in render([pair] * 2, [])
    assert 'class="finding two"' in render([Occurrence("row 1")], [])


def test_small_findings_are_side_by_side_on_a_desk_and_below_each_other_on_a_phone(
    tab: Browser, page: Path
) -> None:
    lefts = (
        "new Set([...document.querySelectorAll('.finding')].map(it => it.getBoundingClientRect().left)).size"
    )
    tab.open(page, DESKTOP)
    assert tab.ask(lefts) > 2
    tab.open(page, PHONE)
    assert tab.ask(lefts) == 1


@pytest.mark.parametrize("image_id", ["cats/1.png", "/anns own disk/photos/cats/1.png"])
def test_folders_of_the_machine_are_not_told(image_id: str) -> None:
    path = "/anns own disk/photos/cats/1.png"
    places = [
        Occurrence(image_id, f"{path}: damaged", "", (image_id,)),
        Occurrence("gone", "/srv/data/photos/gone.png: no such file, see https://example.org/a/b/c"),
    ]
    text = render(places[:1], [Example(image_id, path, ("a dog",))]) + render(places[1:], [])
    assert "disk" not in text
    assert "anns" not in text
    assert "cats/<wbr>1.png" in text
    assert "/srv" not in text
    assert re.search(r"photos/(<wbr>)?gone(<wbr>)?\.png: no such file", text)
    assert "example.org/a/b/c" in text.replace("<wbr>", "")


def test_foreign_letters_in_a_word_are_named() -> None:
    place = Occurrence("1.png", "d\u043eg, \u0441ats", "a d\u043eg and \u0441ats", ("1.png",))
    text = render([place], [], "scripts mixed in a word")
    assert "d\u043eg: Cyrillic \u043e as letter 2; \u0441ats: Cyrillic \u0441 as letter 1" in text


def test_a_very_long_caption_is_cut_on_its_card() -> None:
    text = render([Occurrence("1.png", "", "very " * 100, ("1.png",))], [])
    assert "very\N{NO-BREAK SPACE}…" in text
    assert "very " * 50 not in text


def test_a_sound_data_set_is_told_so() -> None:
    sound = render_check(replace(empty_report(), findings=()), [], Silent())
    assert sound.count("Nothing wrong was found") == 2
