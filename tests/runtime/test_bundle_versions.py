"""A bundle of every format version that there was is read for ever; see tests/golden/make_bundles.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.golden.make_bundles import FOLDER, PICTURES, picture

from cutline.captioner import Captioner
from cutline.errors import BundleError
from cutline.runtime import load_bundle
from cutline.runtime.manifest import READ_VERSIONS

KEPT = sorted(path for path in FOLDER.iterdir() if path.suffix != ".json")


def test_there_is_one_of_every_version() -> None:
    assert {path.stem for path in KEPT} == {f"version_{version}" for version in READ_VERSIONS}
    assert [path.name for path in KEPT if path.is_file()] == ["version_3.zip"]


@pytest.mark.parametrize("place", KEPT, ids=lambda place: place.name)
def test_it_is_read_and_captions_as_it_did(place: Path) -> None:
    bundle = load_bundle(place)
    assert bundle.details["epoch"] == 3
    assert bool(bundle.graphs) == (place.stem != "version_1")
    if not bundle.graphs:
        pytest.importorskip("tensorflow", reason="captions without graphs need cutline[train]")
    captioner = Captioner.load(place)
    expected = json.loads((FOLDER / f"{place.stem}.json").read_text(encoding="utf-8"))
    assert len(expected) == PICTURES
    for number, facts in enumerate(expected):
        found = captioner.caption(picture(number))[0]
        assert found.text == facts["caption"]
        assert found.confidence == pytest.approx(facts["confidence"], abs=2e-3)


def test_a_version_of_the_future_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER / "version_2", tmp_path / "model")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "format_version": 4, "cutline": "9.9"}), encoding="utf-8")
    with pytest.raises(BundleError) as error:
        load_bundle(folder)
    assert str(error.value) == (
        f"{path}: bundle format version 4, this cutline reads 1, 2 and 3; use the cutline that wrote it (9.9)"
    )
