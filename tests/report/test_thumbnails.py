from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from cutline.report.thumbnails import LARGEST, Album, Thumbnail, make_thumbnail


def opened(thumbnail: Thumbnail | None) -> Image.Image:
    assert thumbnail is not None
    head, _, content = thumbnail.uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content, validate=True)))


@pytest.fixture
def noise(tmp_path: Path) -> str:
    """Draw a picture that no format can make small."""
    Image.effect_noise((640, 640), 120).convert("RGB").save(tmp_path / "noise.png")
    return str(tmp_path / "noise.png")


@pytest.mark.parametrize(("size", "expected"), [((480, 240), (LARGEST, LARGEST // 2)), ((50, 30), (50, 30))])
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


def test_a_picture_gives_up_quality_and_then_size_to_fit(noise: str) -> None:
    lengths, sides = [], []
    for most in (100_000, 12_000, 6_000, 1_000):
        thumbnail = make_thumbnail(noise, 160, most)
        assert thumbnail is not None
        assert len(thumbnail.uri) <= most
        lengths.append(len(thumbnail.uri))
        sides.append(thumbnail.width)
    assert lengths == sorted(lengths, reverse=True)
    assert sides[0] == 160 > sides[-1]


def test_where_not_even_a_speck_fits_there_is_no_picture(noise: str) -> None:
    assert make_thumbnail(noise, 160, 50) is None


@pytest.mark.parametrize("allowed", [20_000, 100_000, 1_000_000])
def test_an_album_stays_within_its_bytes_whatever_the_pictures_show(noise: str, allowed: int) -> None:
    album = Album(allowed, pictures=16, large=2)
    taken = [album.take(noise, large=number < 2) for number in range(18)]
    assert all(taken)
    assert sum(len(thumbnail.uri) for thumbnail in taken if thumbnail) <= allowed


def test_what_a_plain_picture_leaves_goes_to_those_after_it(tmp_path: Path, noise: str) -> None:
    Image.new("RGB", (640, 640), "teal").save(tmp_path / "plain.png")
    mixed, busy = Album(20_000, 2), Album(20_000, 2)
    mixed.take(str(tmp_path / "plain.png"))
    busy.take(noise)
    after_plain, after_busy = mixed.take(noise), busy.take(noise)
    assert after_plain is not None
    assert after_busy is not None
    assert len(after_plain.uri) > len(after_busy.uri)


def test_large_pictures_are_larger_than_the_others_of_a_full_page(noise: str) -> None:
    album = Album(4_000_000, 1000, 24)
    large, ordinary = album.take(noise, large=True), album.take(noise)
    assert large is not None
    assert ordinary is not None
    assert large.width > ordinary.width
