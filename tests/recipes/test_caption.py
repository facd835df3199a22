from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import FakeCaptioner

from cutline.errors import BundleError, ConfigError, DataError
from cutline.recipes import caption as recipe
from cutline.records import CaptionedImage, Hypothesis


@pytest.fixture
def captioner(monkeypatch: pytest.MonkeyPatch) -> FakeCaptioner:
    fake = FakeCaptioner()
    monkeypatch.setattr(recipe.Captioner, "load", lambda model: fake)
    return fake


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    for name in ("a.jpg", "broken.jpg", "inner/b.png", "notes.txt"):
        (folder / name).write_bytes(b"x")
    return folder


def hypothesis(text: str, log_probability: float = -1.5) -> Hypothesis:
    tokens = tuple(text.split())
    return Hypothesis(text, tokens, (5,) * len(tokens), log_probability)


RECORDS = (
    CaptionedImage("a,1.jpg", (hypothesis('two "red" dots'), hypothesis("كلب", -2.0))),
    CaptionedImage("gone.jpg", error="gone.jpg: no such file"),
)


def test_folders_are_searched_and_failures_keep_their_place(photos: Path, captioner: FakeCaptioner) -> None:
    found = list(recipe.caption([str(photos)], "runs/first", beam_size=3, n_best=2))
    assert [Path(record.image).name for record in found] == ["a.jpg", "broken.jpg", "b.png"]
    assert found[0].hypotheses[0].text == "a picture called a"
    assert found[1].error is not None
    assert captioner.asked == [(3, 2)]


def test_a_path_without_images_is_told_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe.Captioner, "load", lambda model: pytest.fail("loaded"))
    with pytest.raises(DataError, match=r"gone\.jpg"):
        recipe.caption([str(tmp_path / "gone.jpg")], "runs/first")


def test_a_path_without_images_among_others_fails_in_its_place(
    photos: Path, captioner: FakeCaptioner
) -> None:
    given = [str(photos / name) for name in ("gone.jpg", "a.jpg", "none/*.png", "inner", "gone.jpg")]
    found = list(recipe.caption(given, "runs/first"))
    assert [Path(record.image).name for record in found] == ["gone.jpg", "a.jpg", "*.png", "b.png"]
    assert [len(record.hypotheses) for record in found] == [0, 1, 0, 1]
    for record in (found[0], found[2]):
        assert str(record.error).startswith(f"{record.image}: no such file, folder or pattern match; give")
    assert found[1].error is found[3].error is None


def test_no_path_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no images were named"):
        recipe.caption([], "runs/first")


def test_a_missing_model_is_told_before_the_first_caption(photos: Path) -> None:
    with pytest.raises(BundleError, match="no such model"):
        recipe.caption([str(photos)], photos / "nothing")


def test_jsonl_has_one_line_per_image(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert recipe.write_captions(RECORDS, output) == (1, 1)
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    best = {"caption": 'two "red" dots', "log_probability": -1.5, "tokens": ["two", '"red"', "dots"]}
    second = {"caption": "كلب", "log_probability": -2.0, "tokens": ["كلب"]}
    assert lines == [
        {"image": "a,1.jpg", **best, "hypotheses": [best, second]},
        {"image": "gone.jpg", "error": "gone.jpg: no such file"},
    ]
    assert "كلب" in output.read_text(encoding="utf-8"), "scripts stay readable"


def test_one_hypothesis_needs_no_list() -> None:
    record = CaptionedImage("a.jpg", (hypothesis("a dog"),))
    assert list(recipe.as_json(record)) == ["image", "caption", "log_probability", "tokens"]


def test_csv_has_one_row_per_hypothesis(tmp_path: Path) -> None:
    output = tmp_path / "out.CSV"
    assert recipe.write_captions(RECORDS, output) == (1, 1)
    with output.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["image"], row["rank"], row["caption"], row["tokens"]) for row in rows] == [
        ("a,1.jpg", "1", 'two "red" dots', 'two "red" dots'),
        ("a,1.jpg", "2", "كلب", "كلب"),
        ("gone.jpg", "", "", ""),
    ]
    assert [row["error"] for row in rows] == ["", "", "gone.jpg: no such file"]
    assert float(rows[1]["log_probability"]) == -2.0


def test_parquet_has_the_same_rows_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "out.parquet"
    assert recipe.write_captions(RECORDS, output) == (1, 1)
    rows = parquet.read_table(output).to_pylist()
    assert [(row["rank"], row["tokens"]) for row in rows] == [
        (1, ["two", '"red"', "dots"]),
        (2, ["كلب"]),
        (None, None),
    ]
    assert rows[2]["error"] == "gone.jpg: no such file"


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_no_image_at_all_gives_a_file_without_rows(tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    assert recipe.write_captions([], output) == (0, 0)
    assert output.exists()


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    output.write_text("old")

    def records() -> Iterator[CaptionedImage]:
        yield RECORDS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe.write_captions(records(), output)
    assert output.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_an_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ending '\.txt'; allowed: \.jsonl, \.csv, \.parquet, or -"):
        recipe.write_captions([], tmp_path / "out.txt")


def test_a_folder_is_no_output_file(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        recipe.check_output(tmp_path / "out.csv")


def test_a_file_that_exists_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    output = tmp_path / "captions.csv"
    recipe.check_output(output)
    output.touch()
    with pytest.raises(ConfigError, match=r"captions\.csv: exists already; .*--overwrite"):
        recipe.check_output(output)
    recipe.check_output(output, overwrite=True)


def test_a_name_that_is_not_unicode_can_be_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    record = CaptionedImage(name, (hypothesis("a dog"),))
    for ending in (".jsonl", ".csv"):
        output = tmp_path / f"out{ending}"
        assert recipe.write_captions([record], output) == (1, 0)
        assert "caf" in output.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["image"].startswith("caf")


def test_records_are_taken_one_by_one(tmp_path: Path) -> None:
    waiting: list[int] = []

    def records() -> Iterator[CaptionedImage]:
        for number in range(100):
            waiting.append(number)
            yield CaptionedImage(f"{number}.jpg", (hypothesis("a dog"),))

    found = recipe._followed(records(), 100, recipe.Silent())
    next(found)
    assert waiting == [0]


def test_the_newest_run_is_the_one_whose_bundle_was_written_last(tmp_path: Path) -> None:
    for name, age in (("first", 10.0), ("second", 30.0), ("third", 20.0)):
        manifest = tmp_path / name / "bundle" / "manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text("{}")
        os.utime(manifest, (age, age))
    (tmp_path / "without a bundle").mkdir()
    assert recipe.newest_run(tmp_path) == tmp_path / "second"


def test_without_a_run_there_is_no_newest_one(tmp_path: Path) -> None:
    assert recipe.newest_run(tmp_path) is None
    assert recipe.newest_run(tmp_path / "nothing") is None


def test_log_probabilities_are_rounded_but_stay_numbers() -> None:
    line = recipe.as_json(CaptionedImage("a.jpg", (hypothesis("a dog", -math.pi),)))
    assert line["log_probability"] == pytest.approx(-math.pi, abs=1e-6)


def test_several_models_have_no_confidence_to_compare_with(photos: Path) -> None:
    with pytest.raises(ConfigError, match="captions of several models have no confidence; name one model"):
        recipe.caption([str(photos)], ["a", "b"], min_confidence=0.5)
