"""One flipped byte anywhere in a bundle, folder or zip file, is refused with its name, or changes nothing."""

from __future__ import annotations

import dataclasses
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cutline.errors import BundleError
from cutline.runtime import Bundle, load_bundle, save_bundle
from cutline.runtime.bundle import read_manifest
from cutline.runtime.bundle_files import write_zip
from cutline.runtime.domain import TrainingDomain

FLIPS = 1_000


def content_of(bundle: Bundle) -> dict[str, object]:
    """Return all that was loaded in a form that can be compared."""
    facts = {field.name: getattr(bundle, field.name) for field in dataclasses.fields(bundle)}
    for name in ("encoder_arrays", "decoder_arrays"):
        facts[name] = {key: (array.dtype, array.tobytes()) for key, array in facts[name].items()}
    facts["confidence"] = repr(facts["confidence"])
    facts["domain"] = repr(facts["domain"])
    facts["neighbours"] = repr(facts["neighbours"])
    graphs = facts["graphs"].items()
    facts["graphs"] = {
        name: graph.read_bytes() if isinstance(graph, Path) else graph for name, graph in graphs
    }
    return facts


@pytest.fixture(scope="module")
def whole(golden_copy: Path) -> Bundle:
    """A tiny bundle with everything that a bundle may have."""
    bundle = load_bundle(golden_copy)
    depth = bundle.feature_shape[-1]
    domain = TrainingDomain(
        np.zeros(depth, np.float32), np.eye(depth, 1, dtype=np.float32), 0.5, 0.03, frozenset({"0" * 16})
    )
    return dataclasses.replace(bundle, licence="Apache-2.0", data_notes="Drawn pictures.", domain=domain)


def flips(size: int, count: int) -> list[tuple[int, int]]:
    """Return places and what to flip there: one bit, or several."""
    chance = np.random.default_rng(7)
    return list(
        zip(chance.integers(0, size, count).tolist(), chance.integers(1, 256, count).tolist(), strict=True)
    )


def refusal(place: Path) -> str | None:
    try:
        load_bundle(place)
    except BundleError as error:
        return str(error)
    return None


def test_a_flipped_byte_in_any_file_of_a_folder_is_refused_with_its_name(whole, tmp_path):
    folder = tmp_path / "model"
    save_bundle(whole, folder)
    files = sorted(folder.iterdir())
    assert len(files) == 15
    for path in files:
        content = path.read_bytes()
        for at, bits in flips(len(content), FLIPS // len(files) + 1):
            broken = bytearray(content)
            broken[at] ^= bits
            path.write_bytes(broken)
            found = refusal(folder)
            assert found is not None, (path, at, bits)
            assert str(path) in found or path.name == "manifest.sha256", found
            assert path.name in found
            assert "damaged" in found
            assert "\n" not in found
        path.write_bytes(content)
    assert refusal(folder) is None


def test_a_flipped_byte_of_a_zip_file_is_refused_or_changes_nothing(whole, tmp_path):
    path = tmp_path / "model.zip"
    save_bundle(whole, path)
    content, expected = path.read_bytes(), content_of(load_bundle(path))
    outcomes: Counter[bool] = Counter()
    for at, bits in flips(len(content), FLIPS):
        broken = bytearray(content)
        broken[at] ^= bits
        path.write_bytes(broken)
        found = refusal(path)
        outcomes[found is not None] += 1
        if found is None:
            # The byte belongs to what the zip file says beside the files, such as their dates.
            assert content_of(load_bundle(path)) == expected
        else:
            assert str(path) in found
            assert "\n" not in found
    assert outcomes[True] > 0.9 * FLIPS


def test_a_flipped_byte_in_the_content_of_a_zip_file_is_refused_with_the_file_s_name(whole, tmp_path):
    path = tmp_path / "model.zip"
    save_bundle(whole, path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    for file in entries:
        # Behind the entry's own header, which has no extra field.
        begin = file.header_offset + 30 + len(file.filename)
        # The last byte may hold bits that mean nothing.
        for at, bits in flips(file.compress_size - 1, 12):
            broken = bytearray(content)
            broken[begin + at] ^= bits
            path.write_bytes(broken)
            found = refusal(path)
            assert found is not None
            assert found.startswith(f"{path}/{file.filename}: damaged")


@pytest.mark.parametrize("packed", [False, True])
def test_a_manifest_without_its_checksum_is_refused(whole, tmp_path, packed):
    place = tmp_path / "model"
    save_bundle(whole, place)
    (place / "manifest.sha256").unlink()
    if packed:
        place = tmp_path / "model.zip"
        with place.open("wb") as stream:
            write_zip(tmp_path / "model", stream)
    message = f"{place}: the bundle is incomplete: manifest.sha256 is missing; copy the bundle again"
    assert refusal(place) == message
    with pytest.raises(BundleError, match=r"manifest\.sha256 is missing"):
        read_manifest(place)
