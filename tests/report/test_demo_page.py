"""The page of the demo's photos: each with its caption, credit and licence; it loads nothing."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from PIL import Image

from cutline.report import CaptionedPhoto, render_demo_photos


@pytest.fixture
def photos(tmp_path: Path) -> list[CaptionedPhoto]:
    Image.new("L", (60, 40), 90).save(tmp_path / "grey.png")
    return [
        CaptionedPhoto(
            "grey.png", str(tmp_path / "grey.png"), "a <b>dog</b>", 0.875, "by A & B", "CC0", True
        ),
        CaptionedPhoto("gone.png", str(tmp_path / "gone.png"), "", None, "by C", "public domain"),
    ]


def test_each_photo_has_its_caption_credit_and_licence(photos: list[CaptionedPhoto]) -> None:
    page = render_demo_photos(photos, "flickr8k-lite0", "some-package 1.2")
    first, second = (html.unescape(card) for card in re.findall(r"<figure.*?</figure>", page, re.DOTALL))
    for told in (
        'src="data:image/webp;base64,',
        ">a <b>dog</b></p>",
        "by A & B; CC0",
        "88",
        "grey.",
        "unlike its",
    ):
        assert told in first
    for told in ("no caption", "by C; public domain", "gone."):
        assert told in second
    assert "<img" not in second
    assert "sure" not in second
    assert "unlike" not in second
    assert "&lt;b&gt;dog" in page
    assert "sample photos of some-package 1.2" in page
    assert "Captioned by flickr8k-lite0" in page


def test_it_loads_nothing_and_runs_no_script(photos: list[CaptionedPhoto]) -> None:
    page = render_demo_photos(photos, "flickr8k-lite0", "some-package 1.2")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert {source[:5] for source in re.findall(r'(?:src|href)="([^"]*)', page)} == {"data:"}
