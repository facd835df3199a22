from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from cutline.report.thumbnails import LARGEST, Thumbnail, make_thumbnail


def opened(thumbnail: Thumbnail | None) -> Image.Image:
    assert thumbnail is not None
    head, _, content = thumbnail.uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content, validate=True)))


@pytest.mark.parametrize(("size", "expected"), [((400, 200), (LARGEST, LARGEST // 2)), ((50, 30), (50, 30))])
def test_large_images_shrink_and_small_ones_stay(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    Image.new("RGB", size, "teal").save(tmp_path / "a.png")
    thumbnail = make_thumbnail(str(tmp_path / "a.png"))
    assert opened(thumbnail).size == expected
    assert thumbnail is not None
    assert (thumbnail.width, thumbnail.height) == expected


def test_a_very_long_image_keeps_a_side_of_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 2)).save(tmp_path / "a.png")
    assert opened(make_thumbnail(str(tmp_path / "a.png"))).size == (LARGEST, 1)


def test_a_photo_taken_sideways_is_shown_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert opened(make_thumbnail(str(tmp_path / "a.jpg"))).size == (20, 60)


def test_transparent_and_grey_images_become_rgb(tmp_path: Path) -> None:
    Image.new("LA", (8, 8), (0, 0)).save(tmp_path / "a.png")
    image = opened(make_thumbnail(str(tmp_path / "a.png")))
    assert image.mode == "RGB"
    pixel = image.getpixel((4, 4))
    assert isinstance(pixel, tuple)
    assert min(pixel) > 250


def test_a_missing_or_damaged_image_gives_none(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    assert make_thumbnail(str(tmp_path / "text.jpg")) is None
    assert make_thumbnail(str(tmp_path / "gone.jpg")) is None


def test_sixty_of_the_busiest_thumbnails_stay_below_five_megabytes(tmp_path: Path) -> None:
    Image.effect_noise((640, 640), 120).convert("RGB").save(tmp_path / "noise.png")
    thumbnail = make_thumbnail(str(tmp_path / "noise.png"))
    assert thumbnail is not None
    assert 60 * len(thumbnail.uri) < 4_000_000
