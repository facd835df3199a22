"""The check counts truly, finds broken images, and says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutline.config import TextOptions
from cutline.data.checks import CheckReport, Spread, check_dataset
from cutline.progress import Silent
from cutline.records import Dataset, Example, Problem


def picture(folder: Path, name: str, size: tuple[int, int] = (100, 80)) -> str:
    path = folder / name
    Image.new("RGB", size, "teal").save(path)
    return str(path)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    captions = {
        "a.png": ("a dog runs", "a brown dog", "A dog  runs"),
        "b.png": ("a dog runs",),
        "c.png": ("a cat sleeps on a mat",),
        "d.png": ("a cat jumps",),
    }
    splits = dict(zip(captions, ("train", "train", "val", "test"), strict=True))
    examples = [
        Example(name, picture(tmp_path, name, (100 + 50 * number, 80)), texts, splits[name], name)
        for number, (name, texts) in enumerate(captions.items())
    ]
    return Dataset(
        tuple(examples), "pets.csv", "table", (Problem("empty caption", "pets.csv row 9", "left out"),)
    )


def test_images_captions_and_splits_are_counted(data: Dataset) -> None:
    report = check_dataset(data)
    assert (report.images, report.captions, report.level) == (4, 6, "word")
    assert report.captions_per_image == Spread(1, 1.5, 1.0, 3)
    assert report.splits == {"train": (2, 4), "val": (1, 1), "test": (1, 1)}


def test_tokens_and_vocabulary_are_counted_by_the_rules_of_training(data: Dataset) -> None:
    report = check_dataset(data)
    assert report.tokens == Spread(3, 3.5, 3.0, 6)
    assert report.token_histogram == {3: 5, 6: 1}
    assert (report.distinct_tokens, report.vocabulary_size) == (4, 3 + 4)
    assert report.coverage == {"val": 2 / 6, "test": 1 / 3}
    strict = check_dataset(data, text=TextOptions(min_count=9))
    assert (strict.vocabulary_size, strict.coverage) == (0, {})
    (finding,) = (each for each in strict.findings if each.kind == "no vocabulary")
    assert finding.message == "no token occurs 9 times in the train captions"


def test_repeated_captions_are_found_whatever_their_case_and_spacing(data: Dataset) -> None:
    report = check_dataset(data)
    assert report.common_captions == (("a dog runs", 3),)
    assert (report.distinct_captions, report.shared_captions) == (4, 1)


def test_upright_sizes_are_measured(data: Dataset, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 90)).save(tmp_path / "a.png", exif=exif)
    report = check_dataset(data)
    assert report.widths == Spread(90, 172.5, 175.0, 250)
    assert report.heights == Spread(80, 135.0, 80.0, 300)


def test_broken_images_are_listed_behind_the_readers_problems(data: Dataset) -> None:
    good = Path(data.examples[1].image).read_bytes()
    Path(data.examples[1].image).write_bytes(good[: len(good) // 2])
    Path(data.examples[2].image).write_text("no image")
    report = check_dataset(data)
    assert [(problem.kind, problem.where) for problem in report.problems] == [
        ("empty caption", "pets.csv row 9"),
        ("unreadable image", "b.png"),
        ("unreadable image", "c.png"),
    ]
    assert report.problems[1].message.startswith("damaged or truncated (")
    assert report.problems[2].message.startswith("not an image of a known format (it looks like text)")
    assert report.widths.maximum == 250


def test_broken_images_are_left_out_of_the_counts_but_not_of_the_vocabulary(data: Dataset) -> None:
    whole = check_dataset(data)
    Path(data.examples[1].image).write_text("no image")
    lost = Problem("missing image", "e.png", "no such file")
    report = check_dataset(Dataset(data.examples, "pets.csv", "table", (*data.problems, lost)))
    assert (report.images, report.captions, report.images_left_out) == (3, 5, 2)
    assert report.splits == {"train": (1, 3), "val": (1, 1), "test": (1, 1)}
    assert sum(report.token_histogram.values()) == 5
    assert report.vocabulary_size == whole.vocabulary_size == 7
    assert report.lines()[0] == (
        "pets.csv (format table): 3 images, 5 captions; 2 more images and 1 row left out"
    )
    assert report.as_dict()["rows_left_out"] == 1


def test_the_lines_are_what_a_person_needs(data: Dataset) -> None:
    lines = check_dataset(data).lines()
    assert lines[: next(at for at, line in enumerate(lines) if line.startswith("Findings"))] == [
        "pets.csv (format table): 4 images, 6 captions; 1 row left out",
        "Captions per image: 1 to 3, mean 1.5",
        "Images (captions) by split: train 2 (4), val 1 (1), test 1 (1)",
        "Tokens per caption (word level): 3 to 6, mean 3.5",
        "        3 ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇ 5",
        "        4  0",
        "        5  0",
        "        6 ▇▇▇▇▇▇ 1",
        "Vocabulary: 7 (4 markers and 3 of 4 different tokens of the train captions, those frequent enough); "
        "it knows 33.3 % of the val tokens and 33.3 % of the test tokens",
        "Image sizes: width 100 to 250 (median 175), height 80 to 80 (median 80)",
        "Different captions: 4, of which 1 describe more than one image",
        "  3 × a dog runs",
        "Language: English",
        "Words of most images: cat 2, dog 2, runs 2",
    ]


def test_findings_are_told_with_places_and_what_to_do(data: Dataset) -> None:
    lines = check_dataset(data).lines()
    start = lines.index("Findings: 1 error, 2 warnings, 2 notes")
    assert lines[start + 4] == "warning: plain image (4): one colour all over"
    assert lines[start + 1 : start + 4] == [
        "error: empty caption (1): no text",
        "  pets.csv row 9: left out",
        "  to do: write a caption, or remove the row",
    ]
    assert lines[start + 10] == "warning: few images: images to train on: 2"


def test_many_problems_of_a_kind_are_cut_short(data: Dataset) -> None:
    problems = tuple(Problem("missing image", f"{number}.png", "no such file") for number in range(12))
    lines = check_dataset(Dataset(data.examples, "pets.csv", "table", problems)).lines()
    assert "error: missing image (12): named in the table, but there is no such file" in lines
    assert "  4.png: no such file" in lines
    assert "  5.png: no such file" not in lines
    assert "  and 7 more" in lines


def test_the_report_is_plain_json(data: Dataset) -> None:
    read_back = json.loads(json.dumps(check_dataset(data).as_dict()))
    assert read_back["splits"]["train"] == {"images": 2, "captions": 4}
    assert read_back["token_histogram"] == {"3": 5, "6": 1}
    assert read_back["problems"] == [
        {"kind": "empty caption", "where": "pets.csv row 9", "message": "left out"}
    ]
    assert set(read_back) == {*CheckReport.__dataclass_fields__, "advice", "rows_left_out"}
    (empty,) = (each for each in read_back["findings"] if each["kind"] == "empty caption")
    assert empty["occurrences"] == [
        {"where": "pets.csv row 9", "detail": "left out", "caption": "", "images": []}
    ]


def test_each_finding_gives_advice(data: Dataset) -> None:
    report = check_dataset(data)
    assert len(report.advice) == len(report.findings)
    assert "few images: collect more: 500 or more give better captions" in report.advice


def test_undecided_splits_and_an_empty_data_set_are_reported_not_refused(tmp_path: Path) -> None:
    example = Example("a.png", picture(tmp_path, "a.png"), ("a dog",), None, "d")
    report = check_dataset(Dataset((example,), "x.csv", "table"))
    assert report.splits["none"] == (1, 1)
    assert (report.vocabulary_size, report.coverage) == (0, {})
    empty = check_dataset(Dataset((), "x.csv", "table"))
    assert empty.tokens == Spread(0, 0.0, 0, 0)
    assert empty.lines()[0] == "x.csv (format table): 0 images, 0 captions"


def test_captions_without_spaces_are_counted_by_character(tmp_path: Path) -> None:
    example = Example("a.png", picture(tmp_path, "a.png"), ("两只狗在草地上。",), "train", "d")
    report = check_dataset(Dataset((example,), "x.csv", "table"))
    assert (report.level, report.tokens.maximum) == ("character", 7)


def test_wide_histograms_are_gathered_into_at_most_ten_bars(tmp_path: Path) -> None:
    path = picture(tmp_path, "a.png")
    captions = tuple(" ".join(["word"] * count) for count in (1, 12, 38))
    report = check_dataset(Dataset((Example("a.png", path, captions, "train", "d"),), "x.csv", "table"))
    bars = [line for line in report.lines() if line.endswith((" 0", " 1")) and line.startswith("   ")]
    assert len(bars) == 10
    assert bars[0].split() == ["1-4", "▇" * 30, "1"]
    assert bars[-1].split() == ["37-38", "▇" * 30, "1"]


def test_features_are_read_a_few_at_a_time(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutline.data.checks.doctor._READ_AT_ONCE", 3, raising=False)
    asked: list[int] = []

    def read(digests: Sequence[str]) -> np.ndarray:
        asked.append(len(digests))
        return np.ones((len(digests), 2, 4), np.float16)

    assert check_dataset(data, read_features=read).images == 4
    assert asked == [3, 1]
    check_dataset(Dataset((), "x.csv", "table"), read_features=read)


class Recorder(Silent):
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None, str]] = []
        self.done = 0

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Recorder]:
        self.stages.append((name, total, unit))
        yield self

    def advance(self, count: int = 1, **values: float) -> None:
        self.done += count


def test_progress_counts_every_image_broken_ones_too(data: Dataset) -> None:
    Path(data.examples[2].image).write_text("no image")
    progress = Recorder()
    check_dataset(data, progress)
    assert (progress.stages, progress.done) == ([("checking images", 4, "images")], 4)


@pytest.mark.parametrize(("times", "suspected"), [(29, 0), (35, 1)])
def test_a_rare_word_is_suspected_beside_thirty_of_the_right_one(
    times: int, suspected: int, data: Dataset
) -> None:
    texts = (*(f"a young man {number}" for number in range(times)), "a yuong man", "in teh wood")
    example = replace(data.examples[0], captions=texts)
    findings = check_dataset(replace(data, examples=(example,), problems=())).findings
    found = [each for each in findings if each.kind == "likely misspelling"]
    assert [place.detail for each in found for place in each.occurrences] == ["'yuong': 'young'?"] * suspected
