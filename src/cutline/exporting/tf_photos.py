"""Image files to pixels inside a TensorFlow function, as :mod:`cutline.data.images` does it with Pillow.

JPEG is decoded with the accurate transform and, where it is large, at the same reduced scale; photos are
turned upright by their EXIF block; transparent PNGs are laid on white. Scaling is bicubic with antialiasing
in two passes with whole grey levels between them, as Pillow's is: what is left is rounding.
"""

from __future__ import annotations

from typing import Any, Final

import tensorflow as tf

_HEAD: Final = 1 << 16
"""Bytes in which the EXIF block begins, and its first directory lies."""
_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_ENTRY: Final = 12
_PNG: Final = b"\x89PNG"
_SCALES: Final = (1, 2, 4, 8)
"""By which JPEG can be decoded smaller."""


def pixels_of(content: Any, size: tuple[int, int]) -> Any:
    """Content of an image file, string (), to pixels uint8 (H, W, 3).

    JPEG and PNG, of GIF the first frame, and BMP. TensorFlow raises InvalidArgumentError for anything else.

    Args:
        content: The file.
        size: (H, W).
    """
    image = tf.cond(
        tf.io.is_jpeg(content),
        lambda: _upright(_jpeg(content, 2 * max(size)), _orientation(content)),
        lambda: _other(content),
    )
    image.set_shape((None, None, 3))
    image = _in_two_passes(image, *size)
    image.set_shape((*size, 3))
    return image


def _jpeg(content: Any, wanted: int) -> Any:
    """Decode at the smallest scale at which both sides are at least ``wanted``, if there is one."""
    sides = tf.image.extract_jpeg_shape(content)[:2]
    times = tf.reduce_min(sides // wanted)

    def at(scale: int) -> Any:
        return lambda: tf.io.decode_jpeg(content, channels=3, ratio=scale, dct_method="INTEGER_ACCURATE")

    index = tf.reduce_sum([tf.cast(times >= scale, tf.int32) for scale in _SCALES[1:]])
    return tf.switch_case(index, [at(scale) for scale in _SCALES])


def _other(content: Any) -> Any:
    is_png = tf.equal(tf.strings.substr(content, 0, len(_PNG)), _PNG)
    return tf.cond(
        is_png,
        lambda: _on_white(tf.io.decode_png(content, channels=4)),
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )


def _on_white(image: Any) -> Any:
    pixels = tf.cast(image, tf.float32)
    share = pixels[..., 3:] / 255.0
    return _bytes(pixels[..., :3] * share + 255.0 * (1 - share))


def _in_two_passes(image: Any, height: int, width: int) -> Any:
    """Scale as Pillow 13 does: first down, where so many more rows than columns have to go."""
    rows, columns = tf.shape(image)[0], tf.shape(image)[1]
    down_first = (rows > height) & (rows - height > 2 * (columns - width))
    between = tf.where(down_first, tf.stack([height, columns]), tf.stack([rows, width]))
    return _scaled(_scaled(image, between), (height, width))


def _scaled(image: Any, size: Any) -> Any:
    return _bytes(tf.image.resize(image, size, tf.image.ResizeMethod.BICUBIC, antialias=True))


def _bytes(pixels: Any) -> Any:
    # Half a grey level goes up, as in Pillow.
    return tf.cast(tf.clip_by_value(tf.floor(pixels + 0.5), 0, 255), tf.uint8)


def _orientation(content: Any) -> Any:
    """Return what the EXIF block of a JPEG says about its orientation, 1 to 8; 1 where it says nothing."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, _HEAD), tf.uint8), tf.int32)
    # So many zeros behind it that no number read below lies outside.
    head = tf.concat([head, tf.zeros((_ENTRY,), tf.int32)], axis=0)
    last = tf.size(head) - 1
    found = tf.ones_like(head[: -len(_EXIF)], tf.bool)
    for place, byte in enumerate(_EXIF):
        found &= tf.equal(head[place : place - len(_EXIF)], byte)
    block = tf.cast(tf.argmax(tf.cast(found, tf.int32)), tf.int32) + len(_EXIF)
    little = tf.equal(tf.gather(head, tf.minimum(block, last)), ord("I"))

    def number(places: Any, count: int) -> Any:
        places = tf.maximum(places, 0)
        parts = [tf.gather(head, tf.minimum(places + offset, last)) for offset in range(count)]
        of_little = sum(part * 256**power for power, part in enumerate(parts))
        of_big = sum(part * 256**power for power, part in enumerate(reversed(parts)))
        return tf.where(little, of_little, of_big)

    # The places of a directory that was never written lead to zeros: 24 bits are enough for those that were.
    directory = block + tf.where(little, number(block + 4, 3), number(block + 5, 3))
    entries = directory + 2 + _ENTRY * tf.range(number(directory, 2))
    values = tf.boolean_mask(number(entries + 8, 2), tf.equal(number(entries, 2), _ORIENTATION))
    value = tf.reduce_sum(values[:1])
    return tf.where(tf.reduce_any(found) & (value >= 1) & (value <= 8), value, 1)


def _upright(image: Any, orientation: Any) -> Any:
    turned = orientation >= 5
    image = tf.cond(turned, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    across, down = tf.constant((2, 3, 6, 7)), tf.constant((3, 4, 7, 8))
    image = tf.cond(tf.reduce_any(tf.equal(across, orientation)), lambda: image[:, ::-1], lambda: image)
    return tf.cond(tf.reduce_any(tf.equal(down, orientation)), lambda: image[::-1], lambda: image)
