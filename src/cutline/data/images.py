"""The one image decoder: training and captioning see the same pixels because both call this module.

TensorFlow's own JPEG decoder differs from Pillow's by up to 17 grey levels, ignores EXIF orientation
and has no limit on pixels, so it is used nowhere but in a SavedModel that was exported, which has no other.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cutline.data.image_paths import IMAGE_SUFFIXES, list_images
from cutline.data.pixels import to_rgb
from cutline.errors import ImageError

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ImageError",
    "ImageSource",
    "decode_image",
    "digest_file",
    "list_images",
    "measure_image",
]

ImageSource: TypeAlias = str | Path | bytes | Image.Image | NDArray[Any]

MAX_PIXELS: Final = 89_478_485
"""Largest image decoded, in pixels (width × height): Pillow's own default, 256 MiB as RGB."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Formats that are tried. Phone photos of type MPO are opened by the JPEG reader."""

_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED: Final = (5, 6, 7, 8)
_HEIC_BRANDS: Final = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")


def decode_image(source: ImageSource, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode an image, turn it upright and scale it to one size.

    The image is squashed to ``size`` rather than cropped, so that every pixel takes part: captions
    speak of what stands at the borders, too. Scaling is bicubic with antialiasing; an image that has
    the size already keeps its pixels as they are. Transparent pixels are laid on white; greyscale and
    CMYK become RGB; 16-bit greyscale is scaled to 8 bits; of an animation the first frame is taken.

    JPEG files more than four times as large as ``size`` are decoded at a reduced scale (still at least
    twice ``size``), which is several times faster and deterministic; the same photo handed over as an
    already opened Pillow image is decoded in full and may differ by a grey level or two. Other images of
    more than 16.8 million pixels are averaged to at least four times ``size`` first, to save memory.

    Pillow warns of odd metadata, and of images above its limit before they are refused here; whether such
    warnings are shown is up to the program.

    Args:
        source: A path, the bytes of an image file, a Pillow image, or an array of uint8 with shape
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        size: (height, width) wanted, in pixels.

    Returns:
        uint8 array (height, width, 3), RGB, 0..255.

    Raises:
        ImageError: The image is missing, unreadable, damaged, truncated, of an unknown format, or has
            more than :data:`MAX_PIXELS` pixels.

    Example:
        >>> decode_image(np.full((4, 6), 7, np.uint8), (2, 3)).tolist()[0][0]
        [7, 7, 7]
    """
    height, width = size
    with _opened(source) as image:
        image.draft(None, (2 * max(size), 2 * max(size)))
        # Loaded first: Pillow turns TIFF while loading, and PNG may keep EXIF behind the pixels.
        image.load()
        orientation = _orientation(image)
        colours = to_rgb(image, (height, width) if orientation in _TURNED else (width, height))
        if orientation in _UPRIGHT:
            colours = colours.transpose(_UPRIGHT[orientation])
        if colours.size != (width, height):
            colours = colours.resize((width, height), Image.Resampling.BICUBIC)
        # The copy gives the caller an array that owns its memory and can be written to.
        return np.array(colours, dtype=np.uint8)


def measure_image(source: ImageSource) -> tuple[int, int]:
    """Return an image's (height, width) in pixels as seen upright, from its header where possible.

    Raises:
        ImageError: As for :func:`decode_image`, except that damage behind the header goes unseen.

    Example:
        >>> measure_image(np.zeros((4, 6, 3), np.uint8))
        (4, 6)
    """
    with _opened(source) as image:
        width, height = image.size
        # Pillow turns TIFF by itself and reports the size after that.
        turned = image.format != "TIFF" and _orientation(image) in _TURNED
        return (width, height) if turned else (height, width)


def digest_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits.

    Raises:
        ImageError: The file is missing, empty, a folder or cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.jpg").write_bytes(b"abc")
        ...     digest_file(Path(folder, "a.jpg"))[:8]
        'ba7816bf'
    """
    with _explained(str(path)), _file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _opened(source: ImageSource) -> Iterator[Image.Image]:
    if isinstance(source, np.ndarray):
        with _explained("image array"):
            yield _from_array(source)
    elif isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "")) or "image"
        with _explained(name):
            # A copy, because reducing the scale would change the caller's image.
            yield _within_limit(source, name).copy()
    elif isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        if not data:
            raise ImageError("image bytes: empty (0 bytes); pass the contents of an image file")
        with _explained("image bytes"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield _within_limit(image, "image bytes")
    else:
        name = str(source)
        with _explained(name), _file(source) as stream, Image.open(stream, formats=FORMATS) as image:
            yield _within_limit(image, name)


@contextlib.contextmanager
def _file(path: str | Path) -> Iterator[io.BufferedReader]:
    # Asked before opening, because opening a named pipe would wait for ever.
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path}: a folder, not an image file; name a file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: not a regular file; give an image file")
    if status.st_size == 0:
        raise ImageError(f"{path}: the file is empty (0 bytes); copy it again or leave it out")
    with Path(path).open("rb") as stream:
        yield stream


def _within_limit(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, width * height))
    return image


def _too_large(name: str, pixels: int) -> str:
    return f"{name}: {pixels:,} pixels, more than the limit of {MAX_PIXELS:,}; make the image smaller"


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn whatever Pillow or the system raises into one line about the image."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        # Pillow raises SyntaxError, ValueError, EOFError, struct.error and more on damaged files.
        raise ImageError(_explanation(name, error)) from error


def _explanation(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        pixels = re.search(r"\d+", reason)
        return _too_large(name, int(pixels.group()) if pixels else MAX_PIXELS + 1)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{name}: no such file; check the path and the images folder"
    if isinstance(error, PermissionError):
        return f"{name}: no permission to read it; change its permissions or leave it out"
    if isinstance(error, UnidentifiedImageError):
        return f"{name}: not an image of a known format{_beginning(name)}; known: {', '.join(FORMATS)}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: cannot be read ({error.strerror}); check the path and the disk"
    return f"{name}: damaged or truncated ({reason}); copy it again or leave it out"


def _beginning(name: str) -> str:
    try:
        with Path(name).open("rb") as stream:
            start = stream.read(16)
    except OSError:
        return ""
    if start[8:12] in _HEIC_BRANDS:
        return " (it is a HEIC photo: convert it to JPEG)"
    return " (it looks like text)" if _is_text(start) else f" (it starts with the bytes {start.hex(' ')})"


def _is_text(start: bytes) -> bool:
    try:
        # A character that is cut in two at the end is no reason to doubt.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(letter.isprintable() or letter in "\t\r\n" for letter in text)


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if pixels.dtype != np.uint8 or not fits or pixels.size == 0:
        raise ImageError(
            f"image array: dtype {pixels.dtype} with shape {pixels.shape}; "
            "allowed: uint8 with shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    return _within_limit(
        Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels), "image array"
    )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # A photo whose EXIF block is damaged is still a photo.
        return 1
