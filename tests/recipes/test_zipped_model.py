"""Every recipe that takes a MODEL takes a zip file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutline.captioner import Captioner
from cutline.errors import RunError
from cutline.recipes import confidence, decoding_choice
from cutline.recipes import tune as tuning
from cutline.recipes.check import check
from cutline.recipes.evaluate import evaluate
from cutline.recipes.explain import explain
from cutline.recipes.report import write_report
from cutline.recipes.tune import tune
from cutline.runtime import load_bundle, save_bundle


@pytest.fixture
def packed(trained, tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    save_bundle(load_bundle(Path(trained.folder) / "bundle"), path)
    return path


def test_it_is_evaluated_as_the_folder_is(world, trained, packed, tmp_path):
    folder = evaluate(Path(trained.folder) / "bundle", world.table, out=tmp_path / "folder")
    found = evaluate(packed, world.table, out=tmp_path / "packed", split="all")
    assert {name: found.captions[name] for name in folder.captions} == folder.captions
    page = (tmp_path / "packed" / "report.html").read_text(encoding="utf-8")
    assert "model.zip: all split" in page
    assert "data fingerprint" in page


def test_it_is_tuned_in_its_place(world, packed, tmp_path, monkeypatch):
    for module in (confidence, decoding_choice, tuning):
        monkeypatch.setattr(module, "FEWEST_IMAGES", 2)
    before = load_bundle(packed)
    tune(packed, world.table)
    after = load_bundle(packed)
    assert "decoding_choice" in after.details
    assert before.decoder_arrays.keys() == after.decoder_arrays.keys()
    assert after.graphs == before.graphs
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


def test_it_captions_explains_and_checks(world, trained, packed, tmp_path):
    photo = str(world.folder / "data" / "photos" / "00.png")
    expected = Captioner.load(trained.folder).caption(photo)
    assert Captioner.load(packed).caption(photo) == expected
    found = explain([photo], packed, tmp_path / "page.html")
    assert found.explanations[0].hypothesis.text == expected[0].text
    assert check(world.table, model=packed).findings is not None


def test_it_is_no_run_to_report(packed):
    with pytest.raises(RunError, match=r"model\.zip: no such run folder"):
        write_report(packed)
