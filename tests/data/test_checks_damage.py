"""Damage to captions is told from sound text in any script, and undone where that needs no guess."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import CAPTIONS_IN_MANY_SCRIPTS

from cutline.data.checks.damage import damage_in, mended, redecode
from cutline.data.checks.languages import main_language, other_language

SOUND = (
    *(caption for captions in CAPTIONS_IN_MANY_SCRIPTS.values() for caption in captions),
    "Ein Straßencafé in Köln, “sehr” schön – für 5 €",
    "Un garçon naïf près d’une forêt",
    "Señor ¿cómo está?",
    "a man & a woman, 100% sure; is it <3 or >2?",
    "fish&notes, R&copy and &section",
    "fish &notes; and &chips;",
    "at 5 o'clock (or 6) she's #1",
    "می‌خواهم",
)


@pytest.mark.parametrize("caption", SOUND)
def test_sound_captions_have_no_damage_and_stay_as_they_are(caption: str) -> None:
    assert damage_in(caption) == {}
    assert mended(caption) == caption


LETTERS = st.text(st.characters(categories=("L",), max_codepoint=0x2FFF), min_size=1, max_size=12)


@given(LETTERS)
def test_text_that_was_decoded_wrongly_is_recovered(text: str) -> None:
    try:
        wrong = text.encode("utf-8").decode("cp1252")
    except UnicodeDecodeError:
        return
    if not text.isascii() and redecode(text) == text:
        assert redecode(wrong) == text


def test_text_that_was_decoded_wrongly_twice_is_recovered() -> None:
    once = "é".encode().decode("cp1252")
    twice = once.encode().decode("cp1252")
    assert mended(f"a caf{twice}") == "a café"


@given(st.text(st.sampled_from("ab &<>\"'é"), max_size=20))
def test_escaped_html_comes_back(text: str) -> None:
    text = " ".join(text.split())
    escaped = html.escape(text)
    if escaped != text and "&" in escaped:
        assert "HTML in a caption" in damage_in(escaped)


@given(st.text(max_size=40))
def test_mending_ends_and_leaves_no_line_ends(text: str) -> None:
    if damage_in(text):
        assert "\n" not in mended(text)


@pytest.mark.parametrize(
    ("caption", "after"),
    [
        ("two dogs &amp; a cat", "two dogs & a cat"),
        ("fish&notes &amp; chips", "fish&notes & chips"),
        ("a&nbsp;caf&eacute; &#38; a &#x1F600;", "a café & a 😀"),
        ("a <b>red</b> bus", "a red bus"),
        ("<start> a red bus <end>", "a red bus"),
        ("a red\\nbus", "a red bus"),
        ('say \\"hi\\"', 'say "hi"'),
        ("an \\ud83d\\ude00 emoji", "an 😀 emoji"),
        ("a%20red%20bus", "a red bus"),
        ("a red bus, http://x.org", "a red bus,"),
        ("a\u200b red\ufeff bus", "a red bus"),
        ("a red\x00bus", "a red bus"),
    ],
)
def test_damage_is_mended(caption: str, after: str) -> None:
    assert damage_in(caption)
    assert mended(caption) == after
    assert damage_in(after) == {}


ENGLISH = ["two dogs run in the snow", "a man on a bike", "the girl is at the beach"]


@pytest.mark.parametrize(
    ("caption", "language"),
    [
        ("ein mann mit einem hund auf der wiese", "German"),
        ("un homme et une femme sont dans la rue", "French"),
        ("dos perros en la nieve con una pelota", "Spanish"),
        ("un uomo con il cane sulla spiaggia di sabbia", "Italian"),
        ("a man in la plaza de toros", ""),
        ("a man plays el dorado at las vegas", ""),
        ("dogs", ""),
    ],
)
def test_other_languages_are_told_by_their_function_words(caption: str, language: str) -> None:
    usual = main_language(text.split() for text in ENGLISH)
    assert usual == "English"
    assert other_language(caption.split(), usual) == language
