"""Large images are made small in bands: nearly the same pixels as at once, in far less memory."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutline.data import pixels
from cutline.data.images import decode_image

SIZE = (16, 12)
LAYER = 40_000_000 * 4


def waves(height: int = 301, width: int = 403) -> np.ndarray:
    """Return four channels that change slowly, each in its own direction."""
    rows, columns = np.mgrid[0 : 6 : height * 1j, 0 : 6 : width * 1j]
    channels = [np.sin(rows), np.cos(columns), np.sin(rows + columns), np.cos(rows - columns)]
    return np.rint(127.5 + 127.5 * np.stack(channels, axis=-1)).astype(np.uint8)


def image_of(mode: str) -> Image.Image:
    colours = Image.fromarray(waves())
    if mode in ("I", "F", "I;16"):
        kind = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        return Image.fromarray(waves()[..., 0].astype(kind) * kind(200))
    return colours.convert(mode) if mode in ("RGBA", "LA") else colours.convert("RGB").convert(mode)


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "LARGE", 100)
    monkeypatch.setattr(pixels, "_BAND_PIXELS", 5_000)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "RGBA", "LA", "I", "F", "I;16"])
def test_a_large_image_comes_out_as_if_scaled_at_once(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = decode_image(image_of(mode), SIZE)
    monkeypatch.setattr(pixels, "LARGE", 100)
    monkeypatch.setattr(pixels, "_BAND_PIXELS", 5_000)
    in_bands = decode_image(image_of(mode), SIZE)
    assert np.abs(in_bands.astype(int) - at_once).max() <= 4
    np.testing.assert_array_equal(in_bands, decode_image(image_of(mode), SIZE))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_image_is_turned_upright(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image_of("RGB").save(stream, "PNG", exif=exif)
    at_once = decode_image(stream.getvalue(), SIZE)
    monkeypatch.setattr(pixels, "LARGE", 100)
    assert np.abs(decode_image(stream.getvalue(), SIZE).astype(int) - at_once).max() <= 4


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("size", [(301, 403), (250, 403), (600, 900)])
def test_a_large_image_wanted_nearly_as_large_is_not_averaged(size: tuple[int, int]) -> None:
    picture = image_of("RGB")
    expected = picture if size == (301, 403) else picture.resize(size[::-1], Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_image(picture, size), np.asarray(expected))


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_large_image_may_be_a_single_row_or_column(size: tuple[int, int]) -> None:
    assert (decode_image(np.full((*size, 3), 9, np.uint8), SIZE) == 9).all()


def test_an_image_of_the_largest_usual_size_is_scaled_at_once() -> None:
    photo = np.zeros((3000, 4000, 3), np.uint8)
    photo[::7] = 255
    expected = Image.fromarray(photo).resize((12, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_image(photo, SIZE), np.asarray(expected))


def test_a_large_image_takes_little_more_memory_than_its_pixels(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the highest memory use of a process is read from /proc")
    path = tmp_path / "large.png"
    Image.new("RGBA", (8000, 5000), (10, 20, 30, 40)).save(path, compress_level=1)
    program = (
        "import re\nfrom pathlib import Path\nfrom cutline.data.images import decode_image\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        f"before = peak()\ndecode_image({str(path)!r}, (224, 224))\nprint((peak() - before) * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert LAYER * 0.9 < int(done.stdout) < LAYER * 1.5
