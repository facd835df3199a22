"""Every format, orientation and mode becomes the same RGB pixels; every broken file becomes one line."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutline.data import images
from cutline.data.image_paths import match_images
from cutline.data.images import decode_image, digest_file, list_images, measure_image
from cutline.errors import DataError, ImageError

TALL = (40, 30)


def smooth_picture(height: int = 40, width: int = 30) -> np.ndarray:
    """Return a picture that lossy formats keep well and that looks different from every side."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([rows * 255, columns * 255, (rows + columns) * 60], axis=-1).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, file_format: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_formats_keep_every_pixel_at_their_own_size(file_format: str) -> None:
    pixels = (smooth_picture() // 64 * 64).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(encoded(pixels, file_format), TALL), pixels)


def test_lossless_webp_keeps_every_pixel() -> None:
    pixels = smooth_picture()
    np.testing.assert_array_equal(decode_image(encoded(pixels, "WEBP", lossless=True), TALL), pixels)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_come_out_close(file_format: str) -> None:
    pixels = smooth_picture()
    decoded = decode_image(encoded(pixels, file_format, quality=95), TALL)
    assert np.abs(decoded.astype(int) - pixels).mean() < 4


def test_a_phone_photo_with_a_second_picture_inside_opens_as_jpeg() -> None:
    first, second = Image.fromarray(smooth_picture()), Image.new("RGB", (30, 40), "red")
    stream = io.BytesIO()
    first.save(stream, "MPO", save_all=True, append_images=[second])
    assert np.abs(decode_image(stream.getvalue(), TALL).astype(int) - smooth_picture()).mean() < 6


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(file_format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(decode_image(data, (8, 8))[0, 0], (255, 0, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_exif_orientation_is_applied(file_format: str, orientation: int) -> None:
    upright = smooth_picture()
    # How a camera held that way stores the picture: the inverse of what a viewer has to do.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(stored), file_format, exif=exif, quality=95)
    assert measure_image(data) == TALL
    assert np.abs(decode_image(data, TALL).astype(int) - upright).mean() < 4
    opened = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(decode_image(opened, TALL), decode_image(data, TALL))
    assert measure_image(opened) == TALL


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_cost_the_photo() -> None:
    data = encoded(smooth_picture(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x09\x00broken")
    assert decode_image(data, TALL).shape == (40, 30, 3)


def test_path_bytes_pillow_image_and_array_give_the_same_pixels(tmp_path: Path) -> None:
    data = encoded(smooth_picture(100, 80), "PNG")
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    expected = decode_image(path, (64, 64))
    for source in (str(path), data, Image.open(io.BytesIO(data)), smooth_picture(100, 80)):
        np.testing.assert_array_equal(decode_image(source, (64, 64)), expected)


def test_a_large_photo_decoded_at_reduced_scale_stays_close_to_the_full_decode() -> None:
    data = encoded(smooth_picture(1200, 1600), "JPEG")
    reduced, full = decode_image(data, (64, 64)), decode_image(Image.open(io.BytesIO(data)), (64, 64))
    assert np.abs(reduced.astype(int) - full).max() <= 3
    np.testing.assert_array_equal(reduced, decode_image(data, (64, 64)))


def test_a_pillow_image_is_left_as_it_was() -> None:
    opened = Image.open(io.BytesIO(encoded(smooth_picture(800, 800), "JPEG")))
    decode_image(opened, (32, 32))
    assert opened.size == (800, 800)


def test_the_result_can_be_written_to() -> None:
    decoded = decode_image(smooth_picture(), TALL)
    decoded[:] = 0
    assert decoded.dtype == np.uint8


def test_scaling_down_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(decode_image(stripes, (16, 16)).astype(int) - 127).max() <= 12


def test_the_whole_image_is_squashed_not_cropped() -> None:
    wide = np.zeros((10, 100, 3), np.uint8)
    wide[:, :20], wide[:, -20:] = (255, 0, 0), (0, 0, 255)
    squashed = decode_image(wide, (10, 10))
    np.testing.assert_array_equal(squashed[5, 0], (255, 0, 0))
    np.testing.assert_array_equal(squashed[5, -1], (0, 0, 255))


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "P", "YCbCr", "HSV", "LAB"])
def test_white_is_white_in_every_mode(mode: str) -> None:
    image = Image.new("RGB", (4, 4), "white")
    image = Image.new("LAB", (4, 4), (255, 128, 128)) if mode == "LAB" else image.convert(mode)
    assert decode_image(image, (4, 4)).min() >= 254


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_files_become_rgb(file_format: str) -> None:
    data = encoded(Image.new("RGB", (8, 8), (250, 10, 10)).convert("CMYK"), file_format)
    red, green, blue = decode_image(data, (8, 8))[4, 4].tolist()
    assert red > 240
    assert max(green, blue) < 20


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_lie_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert decode_image(clear.convert(mode), (4, 4)).min() == 255
    assert decode_image(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), (4, 4))[0, 0].tolist() == [127, 127, 127]


def test_transparency_of_palette_and_plain_png_is_honoured() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    assert decode_image(encoded(palette, "PNG", transparency=1), (4, 4)).min() == 255
    assert decode_image(encoded(palette, "PNG"), (4, 4)).max() == 0
    keyed = encoded(Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert decode_image(keyed, (4, 4)).min() == 255


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_greyscale_is_scaled_not_clipped(file_format: str) -> None:
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    decoded = decode_image(encoded(Image.fromarray(deep), file_format), (1, 4))
    assert decoded[0].tolist() == [[0, 0, 0], [1, 1, 1], [128, 128, 128], [255, 255, 255]]


def test_the_transparent_value_of_sixteen_bit_greyscale_lies_on_white() -> None:
    deep = Image.fromarray(np.array([[0, 257, 258, 65535]], np.uint16))
    decoded = decode_image(encoded(deep, "PNG", transparency=257), (1, 4))
    assert decoded[0, :, 0].tolist() == [0, 255, 1, 255]


def test_deep_greyscale_of_unknown_range_is_scaled_to_the_narrowest_usual_one() -> None:
    for brightest, expected in ((1.0, 255), (255.0, 255), (65535.0, 255), (100.0, 100), (1e6, 255)):
        image = Image.fromarray(np.array([[0.0, brightest]], np.float32))
        assert decode_image(image, (1, 2))[0, :, 0].tolist() == [0, expected]
    whole = Image.fromarray(np.array([[0, 65535]], np.int32))
    assert decode_image(whole, (1, 2))[0, :, 0].tolist() == [0, 255]
    with pytest.raises(ImageError, match="not finite"):
        decode_image(Image.fromarray(np.array([[0.0, np.nan]], np.float32)), (1, 2))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3), (5, 4, 4)])
def test_arrays_of_uint8_are_taken(shape: tuple[int, ...]) -> None:
    assert decode_image(np.full(shape, 255, np.uint8), (5, 4)).tolist() == np.full((5, 4, 3), 255).tolist()


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_arrays_are_refused_with_what_is_allowed(array: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"^image array: dtype \w+ with shape \(.*; allowed: uint8 with"):
        decode_image(array, (4, 4))


# Bad input: each file on its own, with its message.


@pytest.mark.parametrize("read", [lambda path: decode_image(path, (8, 8)), digest_file, measure_image])
def test_missing_empty_folder_and_pipe_are_refused_by_every_function(read, tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, message in {
        "missing.jpg": "no such file; check the path and the images folder",
        "folder.jpg": "a folder, not an image file; name a file inside it",
        "empty.jpg": "the file is empty (0 bytes); copy it again or leave it out",
        "pipe.jpg": "not a regular file; give an image file",
        "folder.jpg/x.jpg": "no such file; check the path and the images folder",
    }.items():
        path = tmp_path / name
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("read", [lambda path: decode_image(path, (8, 8)), digest_file])
def test_a_file_without_read_permission_is_refused(read, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "private.jpg"
    path.write_bytes(encoded(smooth_picture(), "JPEG"))

    def forbid(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", forbid)  # Tests may run as root, who may read everything.
    with pytest.raises(ImageError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: no permission to read it; change its permissions or leave it out"


@pytest.mark.parametrize(
    ("content", "beginning"),
    [
        (b"hello, I am no image", "it looks like text"),
        ("hello, I am a\r\nßß".encode(), "it looks like text"),
        (b"%PDF\x00\x01", "it starts with the bytes 25 50 44 46 00 01"),
        (b"no image \xff", "it starts with the bytes 6e 6f 20 69 6d 61 67 65 20 ff"),
    ],
)
def test_a_foreign_file_renamed_to_jpg_is_refused_with_how_it_begins(
    tmp_path: Path, content: bytes, beginning: str
) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        decode_image(path, (8, 8))
    expected = f"not an image of a known format ({beginning}); known: JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF"
    assert str(caught.value) == f"{path}: {expected}"


def test_a_heic_photo_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    with pytest.raises(ImageError, match=r"it is a HEIC photo: convert it to JPEG"):
        decode_image(path, (8, 8))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_truncated_file_is_refused_not_padded(file_format: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = encoded(noise, file_format)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(len(data) * 0.7)])
    with pytest.raises(ImageError) as caught:
        decode_image(path, (64, 64))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    if file_format in ("JPEG", "PNG", "WEBP"):
        assert "damaged or truncated (" in str(caught.value)


def test_a_png_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(20_000, 20_000, chunk(b"IDAT", zlib.compress(bytes(100)))))
    with pytest.raises(ImageError) as caught:
        decode_image(path, (8, 8))
    expected = "400,000,000 pixels, more than the limit of 89,478,485; make the image smaller"
    assert str(caught.value) == f"{path}: {expected}"
    with pytest.raises(ImageError, match="400,000,000 pixels"):
        measure_image(path)


def test_an_image_just_over_the_limit_is_refused_although_pillow_only_warns(monkeypatch) -> None:
    data = png_of(10_000, 9_000, chunk(b"IDAT", zlib.compress(bytes(100))))
    with pytest.raises(ImageError, match="90,000,000 pixels, more than the limit of 89,478,485"):
        decode_image(data, (8, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="90,000,000 pixels, more than the limit of 89,478,485"):
        decode_image(data, (8, 8))


@pytest.mark.parametrize("action", ["ignore", "default", "error"])
def test_an_image_over_the_limit_is_refused_whatever_becomes_of_pillows_warning(action: str) -> None:
    data = png_of(10_000, 9_000, chunk(b"IDAT", zlib.compress(bytes(100))))
    with warnings.catch_warnings(record=True):
        warnings.simplefilter(action)  # type: ignore[arg-type]
        with pytest.raises(ImageError) as caught:
            decode_image(data, (8, 8))
    expected = "90,000,000 pixels, more than the limit of 89,478,485; make the image smaller"
    assert str(caught.value) == f"image bytes: {expected}"


def test_importing_leaves_the_programs_warnings_alone() -> None:
    program = (
        "import warnings, numpy, PIL.Image\nbefore = list(warnings.filters)\n"
        "import cutline.data.images\nassert warnings.filters == before"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_compressed_text_that_unfolds_to_megabytes_is_refused() -> None:
    text = chunk(b"zTXt", b"note\x00\x00" + zlib.compress(bytes(80_000_000)))
    data = png_of(4, 4, text, chunk(b"IDAT", zlib.compress(bytes(4 * 13))))
    with pytest.raises(ImageError, match="damaged or truncated"):
        decode_image(data, (4, 4))


def outcome_of(data: bytes) -> str:
    try:
        return str(decode_image(data, (8, 8)).shape)
    except ImageError as error:
        return str(error)


def test_flipped_bytes_give_pixels_or_an_image_error_and_nothing_else() -> None:
    random = np.random.default_rng(1)
    for file_format in images.FORMATS:
        data = encoded(smooth_picture(), file_format)
        for position in random.integers(0, len(data), 40):
            flipped = data[:position] + bytes([data[position] ^ 0x5A]) + data[position + 1 :]
            assert outcome_of(flipped).startswith(("(8, 8, 3)", "image bytes: "))


def test_empty_bytes_are_refused() -> None:
    with pytest.raises(ImageError, match=r"^image bytes: empty \(0 bytes\)"):
        decode_image(b"", (8, 8))


def test_the_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"pixels" * 100_000)
    assert digest_file(tmp_path / "a.bin") == hashlib.sha256(b"pixels" * 100_000).hexdigest()


# Which images a list of paths stands for.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.webp", "sub/[1].gif", ".cache/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(found: list[str], root: Path) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in found]


def test_a_folder_stands_for_all_images_below_it_but_hidden_ones(tree: Path) -> None:
    assert names(list_images(tree), tree) == ["a.JPG", "b.png", "sub/[1].gif", "sub/c.webp"]


def test_patterns_files_and_folders_mix_and_no_image_comes_twice(tree: Path) -> None:
    given = [tree / "sub", tree / "*.png", f"{tree}/**/*.gif", tree / "notes.txt", str(tree)]
    expected = ["sub/[1].gif", "sub/c.webp", "b.png", "notes.txt", "a.JPG"]
    assert names(list_images(given), tree) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tree: Path) -> None:
    assert names(list_images(tree / "sub" / "[1].gif"), tree) == ["sub/[1].gif"]


def test_a_pattern_may_match_folders(tree: Path) -> None:
    assert names(list_images(f"{tree}/s*"), tree) == ["sub/[1].gif", "sub/c.webp"]


@pytest.mark.parametrize("name", ["nowhere", "*.tiff", "missing.jpg"])
def test_a_path_that_stands_for_nothing_is_named(tree: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        list_images([tree, tree / name])
    assert str(caught.value).startswith(
        f"{tree / name}: no such file, folder or pattern match; give image files"
    )


def test_a_folder_without_images_is_named(tree: Path) -> None:
    (tree / "bare").mkdir()
    with pytest.raises(DataError, match=r"bare: holds no images; give image files, a folder or a pattern"):
        list_images(tree / "bare")


def test_paths_that_stand_for_nothing_keep_their_place_among_the_images(tree: Path) -> None:
    (tree / "bare").mkdir()
    given = [tree / "gone.jpg", tree / "b.png", tree / "bare", tree / "sub", tree / "gone.jpg"]
    found = match_images(given)
    assert names(list(found), tree) == ["gone.jpg", "b.png", "bare", "sub/[1].gif", "sub/c.webp"]
    told = [error and error.removeprefix(f"{path}: ").partition(";")[0] for path, error in found.items()]
    assert told == ["no such file, folder or pattern match", None, "holds no images", None, None]
    assert match_images([]) == {}
