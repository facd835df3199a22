"""Image files become the same pixels in TensorFlow as with Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cutline.data.images import decode_image
from cutline.exporting.tf_photos import pixels_of

SIZE = (24, 32)
GENERATOR = np.random.default_rng(0)


@pytest.fixture(scope="module")
def decode() -> Callable[[bytes], Any]:
    """Content of a file to pixels, traced once."""
    traced = tf.function(lambda content: pixels_of(content, SIZE))
    return lambda content: traced(tf.constant(content)).numpy()


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Draw blurred blocks: what photos look like to a filter."""
    channels = len(mode)
    blocks = GENERATOR.integers(0, 256, (7, 5, channels), dtype=np.uint8)
    image = Image.fromarray(blocks[..., 0] if channels == 1 else blocks)
    assert image.mode == mode
    return image.resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, format: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **how)
    return stream.getvalue()


def require_same(decode: Callable[[bytes], Any], content: bytes) -> None:
    expected, found = decode_image(content, SIZE), decode(content)
    assert found.dtype == np.uint8
    apart = np.abs(expected.astype(int) - found.astype(int))
    # Sums of the same numbers in another order may round differently.
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01
    assert expected.std() > 20


@pytest.mark.parametrize("size", [(32, 24), (31, 90), (200, 24), (9, 7), (300, 180), (777, 555), (520, 900)])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_photos_of_any_size_are_decoded_and_scaled_as_pillow_does(decode, size, format):
    require_same(decode, saved(photo(*size), format))


@pytest.mark.parametrize(
    ("mode", "format"), [("L", "JPEG"), ("L", "PNG"), ("RGBA", "PNG"), ("RGB", "GIF"), ("RGB", "BMP")]
)
def test_other_modes_and_formats_are_decoded_as_well(decode, mode, format):
    require_same(decode, saved(photo(120, 80, mode), format))


def test_progressive_jpeg_and_coloured_fully_is_the_same(decode):
    require_same(decode, saved(photo(120, 80), "JPEG", progressive=True, subsampling=0, quality=60))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(decode, orientation):
    exif = Image.Exif()
    exif[0x010F] = "a maker"  # stands before the orientation
    exif[0x0112] = orientation
    content = saved(photo(120, 80), "JPEG", exif=exif)
    require_same(decode, content)


def test_both_orders_of_bytes_are_read(decode):
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    block = b"Exif\0\0MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    content = saved(photo(120, 80), "JPEG", exif=block)
    assert not np.array_equal(decode(content), decode(saved(Image.open(io.BytesIO(content)), "PNG")))
    require_same(decode, content)


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II", b"Exif\0\0II\x2a\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40]
)
def test_a_damaged_exif_block_turns_nothing(decode, block):
    image = photo(120, 80)
    plain, damaged = saved(image, "JPEG"), saved(image, "JPEG", exif=block)
    np.testing.assert_array_equal(decode(plain), decode(damaged))


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 cut off"])
def test_what_is_no_image_is_refused(decode, content):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content)
