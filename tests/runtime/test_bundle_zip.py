"""A bundle in one zip file: the same as in a folder, and nothing that a zip file could do beside."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.golden.make_bundles import FOLDER, picture

from cutline.captioner import Captioner
from cutline.errors import BundleError
from cutline.runtime import Bundle, bundle_files, load_bundle, save_bundle
from cutline.runtime.bundle import find_bundle, is_current, read_manifest
from cutline.runtime.bundle_files import checksum_of
from cutline.runtime.saving import update_bundle


@pytest.fixture(scope="module")
def whole(golden_copy: Path) -> Bundle:
    return load_bundle(golden_copy)


@pytest.fixture
def packed(whole, tmp_path) -> Path:
    path = tmp_path / "model.zip"
    save_bundle(whole, path)
    return path


def refused(path: Path) -> str:
    with pytest.raises(BundleError) as error:
        load_bundle(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def add(path: Path, name: str, content: bytes = b"x", **attributes: Any) -> None:
    entry = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(entry, attribute, value)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, content)


def test_a_zip_file_has_what_the_folder_has(whole, packed, tmp_path):
    save_bundle(whole, tmp_path / "model")
    folder, file = load_bundle(tmp_path / "model"), load_bundle(packed)
    for name in ("encoder_spec", "decoder", "feature_shape", "vocabulary", "decoding", "details"):
        assert getattr(folder, name) == getattr(file, name)
    for name in ("confidence", "neighbours"):
        assert repr(getattr(folder, name)) == repr(getattr(file, name))
    assert {name: array.tobytes() for name, array in folder.decoder_arrays.items()} == {
        name: array.tobytes() for name, array in file.decoder_arrays.items()
    }
    assert {name: path.read_bytes() for name, path in folder.graphs.items()} == file.graphs
    assert file.folder == str(packed)
    assert is_current(file)
    assert read_manifest(packed) == read_manifest(tmp_path / "model")
    light = load_bundle(packed, weights=False)
    assert (light.encoder_arrays, light.decoder_arrays) == ({}, {})


def test_a_zip_file_captions_as_the_folder_does_and_nothing_appears_beside_it(packed, tmp_path):
    expected = Captioner.load(FOLDER / "version_2").caption(picture(1))
    assert Captioner.load(packed).caption(picture(1)) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]
    together = Captioner.load([packed, FOLDER / "version_2"])
    assert together.caption(picture(1))[0].text == expected[0].text


def test_equal_bundles_are_equal_zip_files(whole, packed, tmp_path):
    save_bundle(replace(whole, folder="elsewhere"), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == sorted(archive.namelist())
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_deflated_files_are_read_too(whole, packed):
    pack(packed, files_of(packed), zipfile.ZIP_DEFLATED)
    assert load_bundle(packed).vocabulary == whole.vocabulary


def test_a_zip_file_is_updated_as_a_folder_is(packed):
    light = load_bundle(packed, weights=False)
    update_bundle(replace(light, licence="MIT"), packed)
    updated = load_bundle(packed)
    assert updated.licence == "MIT"
    assert updated.decoder_arrays
    assert updated.graphs == light.graphs
    assert [path.name for path in packed.parent.iterdir()] == ["model.zip"]


def test_a_zip_file_is_found_whatever_its_name(packed, tmp_path):
    assert find_bundle(packed) == packed
    other = packed.rename(tmp_path / "model.bundle")
    assert find_bundle(other) == other
    assert load_bundle(other).graphs


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and then nothing"])
def test_what_is_no_zip_file_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    assert refused(path).startswith(": not a zip file, or a damaged one (")
    with pytest.raises(BundleError, match=r"model\.zip: not a zip file, or a damaged one \(.*; copy"):
        find_bundle(path)


def test_a_zip_file_of_something_else_is_said_to_be(tmp_path):
    path = tmp_path / "photos.zip"
    pack(path, {"a.jpg": b"x"})
    assert refused(path) == ": not a bundle: manifest.json is missing"


def test_a_zipped_folder_is_told_how_it_should_be_packed(packed):
    pack(packed, {f"bundle/{name}": content for name, content in files_of(packed).items()})
    assert "its files lie in a folder ('bundle/" in refused(packed)
    pack(packed, {"bundle/": b"", "manifest.json": b"{}"})
    assert "--format bundle --out FILE.zip" in refused(packed)


@pytest.mark.parametrize(
    "name", ["../card.md", "/etc/hostname", "..", "a/../../b", "..\\card.md", "C:\\card.md", "sub/a/b"]
)
def test_names_that_leave_the_bundle_are_refused(packed, name):
    add(packed, name)
    assert refused(packed) == f": refused the file name {name!r}: it leaves the bundle"


def test_a_missing_an_extra_and_a_doubled_file_are_refused(packed):
    files = files_of(packed)
    pack(packed, {name: content for name, content in files.items() if name != "encoder.npz"})
    assert refused(packed) == ": the bundle is incomplete: encoder.npz is missing; copy the bundle again"
    pack(packed, {**files, "run_me.py": b"print('no')"})
    assert refused(packed) == ": run_me.py does not belong to the bundle; remove it"
    pack(packed, {**files, ".DS_Store": b"x"})
    load_bundle(packed)
    pack(packed, files)
    with pytest.warns(UserWarning, match="Duplicate name"):
        add(packed, "card.md", files["card.md"])
    assert refused(packed) == "/card.md: refused: it is there twice; copy the bundle again"


def test_links_and_unusual_methods_are_refused(packed):
    files = files_of(packed)
    del files["card.md"]
    pack(packed, files)
    add(packed, "card.md", b"/etc/hostname", external_attr=(stat.S_IFLNK | 0o777) << 16)
    assert refused(packed) == "/card.md: refused: it is a link; copy the bundle again"
    pack(packed, files, zipfile.ZIP_BZIP2)
    assert "is packed with method 12, allowed are stored (0) and deflated (8)" in refused(packed)


def test_encrypted_files_are_refused(packed):
    with zipfile.ZipFile(packed) as archive:
        listed = archive.start_dir
    content = bytearray(packed.read_bytes())
    content[listed + 8] |= 1
    packed.write_bytes(content)
    assert refused(packed) == "/card.md: refused: it is encrypted; copy the bundle again"


def test_a_file_larger_than_the_manifest_says_is_not_unpacked(packed, monkeypatch):
    files = files_of(packed)
    files["decoder.npz"] = b"\0" * 1_000_000
    pack(packed, files, zipfile.ZIP_DEFLATED)
    read: list[str] = []
    unpack = bundle_files.ZipFiles._unpacked

    def noted(self: Any, entry: zipfile.ZipInfo) -> bytes:
        read.append(entry.filename)
        return unpack(self, entry)

    monkeypatch.setattr(bundle_files.ZipFiles, "_unpacked", noted)
    assert refused(packed).startswith("/decoder.npz: damaged")
    assert "decoder.npz" not in read


def test_a_file_that_unpacks_to_much_more_than_it_is_is_refused_though_the_manifest_agrees(packed):
    files = files_of(packed)
    files["decoder.npz"] = b"\0" * 5_000_000
    manifest = json.loads(files["manifest.json"])
    manifest["files"]["decoder.npz"]["bytes"] = 5_000_000
    files["manifest.json"] = json.dumps(manifest).encode()
    files["manifest.sha256"] = checksum_of(files["manifest.json"]).encode()
    pack(packed, files, zipfile.ZIP_DEFLATED)
    assert "decoder.npz: refused: it would unpack 4,8" in refused(packed)


def test_a_file_that_holds_more_than_its_zip_file_says_is_refused(packed):
    """The list at the end of the zip file is made to fit the manifest; what is packed goes on."""
    files = files_of(packed)
    card = files["card.md"]
    files["card.md"] = card + b"x" * 100
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    content = bytearray(stream.getvalue())
    listed = content.index(b"PK\x01\x02")
    content[listed + 24 : listed + 28] = len(card).to_bytes(4, "little")
    packed.write_bytes(content)
    assert refused(packed).startswith("/card.md: damaged")
