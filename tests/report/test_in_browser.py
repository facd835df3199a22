"""The report as a browser shows it: nothing asked for, nothing cut off, and the filters work by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.browser import DESKTOP, PHONE, Browser, browser
from tests.fakes import made_up_history, made_up_whole_evaluation

from cutline.records import LookingTest, Problem
from cutline.report import render_report

IMAGES = 150
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2

OVERFLOWING = """
[...document.querySelectorAll('main *')].filter(one => {
  if (one.closest('.scroll') || one.closest('svg') || one.closest('.unseen, .skip')) return false;
  const box = one.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map(one => one.outerHTML.slice(0, 120))
"""
CUT_OFF = """
[...document.querySelectorAll('p, li, dd, dt, th, td, figcaption, label, h1, h2, h3')].filter(one =>
  !one.closest('.scroll, .unseen, .skip') && one.scrollWidth > one.clientWidth + 1
  && getComputedStyle(one).display !== 'inline'
).map(one => one.outerHTML.slice(0, 120))
"""
OVERLAPPING = """
(() => {
  const boxes = [...document.querySelectorAll('main section > *, main > nav, main > dl, main > h1')]
    .filter(one => one.offsetHeight).map(one => [one, one.getBoundingClientRect()]);
  return boxes.slice(1).filter(([one, box], at) => box.top < boxes[at][1].bottom - 1
    && !boxes[at][0].contains(one)).map(([one]) => one.outerHTML.slice(0, 120));
})()
"""
VISIBLE = "[...document.querySelectorAll('#photos-1 > li')].filter(card => card.offsetHeight)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with everything in it, and with words that are hard to place."""
    folder = tmp_path_factory.mktemp("report")
    result = made_up_whole_evaluation(folder, IMAGES)
    captions = {**result.captions, "0.jpg": LONG, "1.jpg": "كلب بني يجري في الماء", "2.jpg": "zebra crossing"}
    blind = LookingTest(48.2, 40.1, looking=False, causes=("All features are nearly equal.", LONG))
    html = render_report(
        title=LONG,
        history=made_up_history(30),
        evaluations=[replace(result, captions=captions, looking=blind)],
        summary={"data": LONG, "encoder.name": "efficientnet_lite0"},
        problems=[Problem("broken row", f"{LONG}.csv row 7", f"left out: {LONG}")],
    )
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE, (320, 640)], ids=["desktop", "phone", "small phone"])
def test_nothing_runs_over_the_edge_or_over_its_neighbour(
    tab: Browser, page: Path, size: tuple[int, int], dark: bool
) -> None:
    tab.open(page, size, dark=dark)
    assert tab.ask("document.documentElement.scrollWidth") <= size[0]
    for finding in (OVERFLOWING, CUT_OFF, OVERLAPPING):
        assert tab.ask(finding) == []


def test_the_page_asks_for_nothing_but_itself_and_breaks_no_rule_of_its_own(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.ask("new Promise(done => { scrollTo(0, 1e6); setTimeout(done, 200); })")
    assert tab.requests == [page.as_uri()]
    assert tab.complaints == []


def test_the_learning_curve_stands_beside_its_table_uncut(tab: Browser, page: Path) -> None:
    tab.open(page)
    assert (
        tab.ask("(one => one.scrollWidth - one.clientWidth)(document.querySelector('.beside > .scroll'))")
        <= 1
    )


def test_the_policy_keeps_out_what_would_be_asked_for(tab: Browser, page: Path, tmp_path: Path) -> None:
    (tmp_path / "inside.png").write_bytes(b"")
    html = page.read_text(encoding="utf-8").replace("<h1>", '<img src="inside.png" alt=""><h1>')
    (tmp_path / "opened.html").write_text(html, encoding="utf-8")
    tab.open(tmp_path / "opened.html")
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)


def test_letters_stand_out_from_what_is_behind_them(tab: Browser, page: Path) -> None:
    contrast = """
    (() => {
      const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = one => {
        for (; one; one = one.parentElement) {
          const colour = getComputedStyle(one).backgroundColor;
          if (colour !== 'rgba(0, 0, 0, 0)') return colour;
        }
      };
      const pairs = [...document.querySelectorAll('p, li, a, dt, th, td, .badge, .range, summary, .answer')]
        .filter(one => one.offsetHeight).map(one => [light(getComputedStyle(one).color), light(behind(one))]);
      return Math.min(...pairs.map(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)));
    })()
    """
    for dark in (False, True):
        tab.open(page, dark=dark)
        # The bar for small letters of the Web Content Accessibility Guidelines, level AA.
        assert tab.ask(contrast) >= 4.5


def test_without_the_script_all_images_are_there_and_no_dead_controls(tab: Browser, page: Path) -> None:
    tab.open(page, script=False)
    # What is hidden is not in the tree that a screen reader walks.
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if "role" in node]
    assert roles.count("listitem") >= IMAGES + 24
    assert not {"searchbox", "combobox", "button"} & set(roles)


def test_words_filter_the_images_and_the_number_is_told(tab: Browser, page: Path) -> None:
    tab.open(page)
    told = "document.getElementById('photos-1-shown').textContent"
    assert tab.ask(told) == f"60 of {IMAGES} images"
    tab.ask("document.querySelector('.search').focus()")
    for letter in "Zebra CROSS":
        tab.call("Input.insertText", text=letter)
    assert tab.ask(told) == "1 image"
    assert tab.ask(f"{VISIBLE}.map(card => card.querySelector('.image-id').textContent)") == ["2.jpg"]
    tab.call("Input.insertText", text=" nowhere")
    assert tab.ask(told) == "No image fits."


def test_images_are_ordered_and_chosen_by_what_is_known_of_them(tab: Browser, page: Path) -> None:
    tab.open(page)
    choose = """(name, value) => {
      const one = document.querySelector(name);
      one.value = value;
      one.dispatchEvent(new Event('input'));
    }"""
    tab.ask(f"({choose})('.order', 'score up')")
    scores = tab.ask(f"{VISIBLE}.map(card => Number(card.dataset.score))")
    assert scores == sorted(scores)
    tab.ask(f"({choose})('.order', 'confidence down')")
    tab.ask(f"({choose})('.sure', 'below 0.25')")
    confidences = tab.ask(f"{VISIBLE}.map(card => Number(card.dataset.confidence))")
    assert confidences == sorted(confidences, reverse=True)
    assert 0 < len(confidences) < 60
    assert max(confidences) < 0.25
    below = len(confidences)
    tab.ask(f"({choose})('.sure', 'above 0.75')")
    confidences = tab.ask(f"{VISIBLE}.map(card => Number(card.dataset.confidence))")
    assert len(confidences) > 0
    assert min(confidences) >= 0.75
    tab.ask(f"({choose})('.sure', 'below 0.25')")
    tab.ask(f"({choose})('select.part', '2')")
    parts = tab.ask(f"{VISIBLE}.map(card => card.dataset.parts)")
    assert 0 < len(parts) < below
    assert set(parts) == {"2"}


def test_more_images_are_asked_for_with_the_keyboard(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.ask("document.getElementById('photos-1-more').focus()")
    tab.press("Enter", 13, "\r")
    assert tab.ask(f"{VISIBLE}.length") == 120
    assert tab.ask(f"{VISIBLE}.indexOf(document.activeElement)") == 60
    tab.ask("document.getElementById('photos-1-more').focus()")
    tab.press("Enter", 13, "\r")
    assert tab.ask(f"{VISIBLE}.length") == IMAGES
    assert tab.ask("document.getElementById('photos-1-more').offsetHeight") == 0


def test_the_first_key_offers_to_skip_to_the_images(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.press("Tab", 9)
    assert tab.ask("document.activeElement.textContent") == "Skip to the images"
    assert tab.ask("document.activeElement.getBoundingClientRect().left") >= 0


def test_it_can_be_printed(tab: Browser, page: Path) -> None:
    tab.open(page)
    pdf = tab.print()
    assert pdf.startswith(b"%PDF")
    pages = pdf.count(b"/Type /Page\n")
    # Sixty of the images, and not a page for each of them.
    assert 8 <= pages <= 40
