"""Scoring files: equal to COCO's code, only over the same images, and saved beside nobody's captions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fakes import ActingProgress, made_up_captions

from cutline.errors import ConfigError, DataError, ImageMismatchError
from cutline.metrics import DocumentFrequencies, Scorer, compare
from cutline.recipes.score import ScoreOptions, score_files
from cutline.recipes.score_output import check_score_output, save_scores
from cutline.records import ScoreReport

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden" / "caption_scores.json").read_text(encoding="utf-8")
)
ALLOWED = ScoreOptions(allow_missing=True)


def dump(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def table(
    path: Path, references: Mapping[str, Sequence[str]], splits: Mapping[str, str] | None = None
) -> Path:
    rows = ["image,caption,split"]
    for image, captions in references.items():
        rows += [f'{image},"{caption}",{(splits or {}).get(image, "")}' for caption in captions]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


class World:
    """Hypotheses and references in files."""

    def __init__(self, folder: Path, images: int = 12) -> None:
        self.folder = folder
        self.hypotheses, self.references = made_up_captions(images)
        self.h = dump(folder / "h.json", self.hypotheses)
        self.r = table(folder / "r.csv", self.references)

    def without(self, *images: str) -> Path:
        """Write the hypotheses of the other images."""
        left = {image: text for image, text in self.hypotheses.items() if image not in images}
        return dump(self.folder / "fewer.json", left)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_golden_files_score_as_with_coco_per_image_and_over_all(tmp_path: Path) -> None:
    hypotheses, references, expected = (GOLDEN[name] for name in ("hypotheses", "references", "scores"))
    results = [{"image_id": image, "caption": text} for image, text in reversed(hypotheses.items())]
    annotations = [{"image_id": i, "caption": c} for i, captions in references.items() for c in captions]
    images = [{"id": image} for image in references]
    scored = score_files(
        dump(tmp_path / "results.json", results),
        dump(tmp_path / "captions.json", {"images": images, "annotations": annotations}),
    ).hypotheses
    own = [scored.scores.bleu_1, scored.scores.bleu_2, scored.scores.bleu_3, scored.scores.bleu_4]
    np.testing.assert_allclose(own, 100 * np.array(expected["bleu"]), rtol=1e-9)
    for order, values in enumerate(expected["bleu_images"], 1):
        own = [scored.image_scores[image][f"bleu_{order}"] for image in references]
        np.testing.assert_allclose(own, 100 * np.array(values), rtol=1e-9, atol=1e-12)
    for name in ("rouge_l", "cider_d"):
        np.testing.assert_allclose(getattr(scored.scores, name), 100 * expected[name], rtol=1e-9)
        own = [scored.image_scores[image][name] for image in references]
        np.testing.assert_allclose(own, 100 * np.array(expected[f"{name}_images"]), rtol=1e-9, atol=1e-12)


def test_scores_have_intervals_and_say_how_they_came_about(world: World) -> None:
    report = score_files(world.h, world.r)
    scores = report.hypotheses.scores
    expected = Scorer(world.references).score(
        world.hypotheses, intervals=True, facts={"data": scores.signature.rpartition(":")[2]}
    )
    assert scores == replace(expected, not_computed=scores.not_computed)
    assert scores.intervals["cider_d"].low <= scores.cider_d <= scores.intervals["cider_d"].high
    assert (scores.meteor, scores.spice) == (None, None)
    assert scores.not_computed == dict.fromkeys(("meteor", "spice"), "it needs Java; ask for it with --java")
    assert (report.split, report.missing, report.extra, report.notes) == ("all", (), (), ())


def test_the_fingerprint_is_that_of_the_references_alone(world: World, tmp_path: Path) -> None:
    def fingerprint(hypotheses: Path, references: Path) -> str:
        return score_files(hypotheses, references).hypotheses.scores.signature.rpartition("data:")[2]

    first = fingerprint(world.h, world.r)
    reordered = table(tmp_path / "other.csv", dict(reversed(world.references.items())))
    blank = dump(tmp_path / "blank.json", dict.fromkeys(world.hypotheses, ""))
    assert fingerprint(blank, reordered) == first
    changed = {**world.references, "0.jpg": ["something else"]}
    assert fingerprint(world.h, table(tmp_path / "changed.csv", changed)) != first


def test_markers_gain_nothing_and_are_told(world: World, tmp_path: Path) -> None:
    marked = {image: f"<start> {text} <end>" for image, text in world.hypotheses.items()}
    closed = {image: [f"{text} endseq" for text in texts] for image, texts in world.references.items()}
    plain = score_files(world.h, world.r)
    told = ActingProgress()
    files = dump(tmp_path / "marked.json", marked), table(tmp_path / "closed.csv", closed)
    report = score_files(*files, progress=told)
    assert report.hypotheses.scores == plain.hypotheses.scores
    assert "markers:stripped" in report.hypotheses.scores.signature
    count = sum(map(len, closed.values()))
    assert report.notes == (
        f"start and end markers were stripped from {count} references",
        f"{files[0]}: start and end markers were stripped from 12 captions",
    )
    assert told.warnings == list(report.notes)


def test_an_unknown_end_marker_is_suspected(tmp_path: Path) -> None:
    texts = {f"{number}.jpg": f"{number} dogs run xeos" for number in range(30)}
    references = {image: ["dogs run"] for image in texts}
    files = dump(tmp_path / "h.json", texts), table(tmp_path / "r.csv", references)
    (note,) = score_files(*files).notes
    assert "nearly all captions end in 'xeos'; if that is an end marker, remove it" in note


def test_blank_captions_and_single_images_are_told(tmp_path: Path) -> None:
    files = dump(tmp_path / "h.json", {"a": ""}), table(tmp_path / "r.csv", {"a": ["a dog"]})
    report = score_files(*files)
    assert report.hypotheses.blank == 1
    assert report.notes[0].endswith("h.json: 1 caption without words; it scores 0")
    assert "with a single image CIDEr and CIDEr-D are 0" in report.notes[1]


def test_files_of_different_images_are_refused_with_all_of_them(world: World) -> None:
    gone = [f"{number}.jpg" for number in range(7)]
    fewer = world.without(*gone)
    with pytest.raises(ImageMismatchError) as caught:
        score_files(fewer, world.r)
    assert str(caught.value) == (
        f"{fewer}: no hypothesis for 7 of the 12 images of {world.r} (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and "
        "2 more); give both files the same images, or score those in both with --allow-missing"
    )
    assert (caught.value.missing, caught.value.extra) == (tuple(gone), ())
    some = table(world.folder / "some.csv", {i: c for i, c in world.references.items() if i not in gone})
    with pytest.raises(ImageMismatchError, match=r"no references for 7 images of it \(0.jpg, ") as caught:
        score_files(world.h, some)
    assert (caught.value.missing, caught.value.extra) == ((), tuple(gone))


def test_allowed_to_it_scores_the_images_in_common_and_says_so(world: World) -> None:
    fewer = world.without("0.jpg", "5.jpg")
    some = table(world.folder / "some.csv", {i: c for i, c in world.references.items() if i != "7.jpg"})
    report = score_files(fewer, some, options=ALLOWED)
    left = [image for image in world.references if image not in ("0.jpg", "5.jpg", "7.jpg")]
    expected = Scorer({image: world.references[image] for image in left}).score(
        {image: world.hypotheses[image] for image in left}
    )
    assert report.hypotheses.scores.cider_d == expected.cider_d
    assert (report.missing, report.extra) == (("0.jpg", "5.jpg"), ("7.jpg",))
    assert report.notes == ("images left out: 2 without a hypothesis, 1 without references; scored: 9",)
    assert "|images:9 of 11" in report.hypotheses.scores.signature


def test_files_without_a_common_image_are_refused_even_so(world: World, tmp_path: Path) -> None:
    other = dump(tmp_path / "other.json", {"x.jpg": "a dog"})
    with pytest.raises(
        DataError, match=r"no image in common with .*; images are called x.jpg here and 0.jpg"
    ):
        score_files(other, world.r, options=ALLOWED)


SPLITS = {f"{number}.jpg": "train" if number < 5 else "val" for number in range(12)}


def test_hypotheses_of_one_split_are_told_how_to_score_it(world: World, tmp_path: Path) -> None:
    references = table(tmp_path / "split.csv", world.references, SPLITS)
    val = world.without(*(image for image, split in SPLITS.items() if split == "train"))
    with pytest.raises(ImageMismatchError, match="they are those of one split: --split val scores it alone"):
        score_files(val, references)
    report = score_files(val, references, options=ScoreOptions(split="val"))
    assert report.hypotheses.scores.images == 7
    assert "|split:val|" in report.hypotheses.scores.signature


def test_captions_of_the_train_split_are_known_as_such(world: World, tmp_path: Path) -> None:
    references = table(tmp_path / "split.csv", world.references, SPLITS)
    known = world.references["0.jpg"][0]
    val = [image for image, split in SPLITS.items() if split == "val"]
    texts = {image: known if number < 2 else f"new {image}" for number, image in enumerate(val)}
    options = ScoreOptions(split="val")
    report = score_files(dump(tmp_path / "some.json", texts), references, options=options)
    assert report.hypotheses.diversity.novel_captions == pytest.approx(5 / 7)
    assert score_files(world.h, references).hypotheses.diversity.novel_captions is None


def test_n_best_lists_are_measured_for_variety_and_their_best_is_scored(world: World) -> None:
    lines = [
        {"image": image, "caption": text, "hypotheses": [{"caption": text}, {"caption": f"two {text}s"}]}
        for image, text in world.hypotheses.items()
    ]
    path = world.folder / "n.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    found, best = score_files(path, world.r).hypotheses, score_files(world.h, world.r).hypotheses
    assert found.scores == best.scores
    assert 0 < (found.diversity.self_cider or 0) < 1
    assert 0 < (found.diversity.mbleu_4 or 0) < 100
    assert (best.diversity.self_cider, best.diversity.mbleu_4) == (None, None)


def test_without_java_the_reason_is_told_and_nothing_else_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    scores = score_files(world.h, world.r, options=ScoreOptions(java=True)).hypotheses.scores
    assert (scores.meteor, scores.spice) == (None, None)
    assert set(scores.not_computed) == {"meteor", "spice"}
    assert scores.cider_d == score_files(world.h, world.r).hypotheses.scores.cider_d


def test_a_second_file_is_compared_image_by_image(world: World, tmp_path: Path) -> None:
    best = {image: captions[0] for image, captions in world.references.items()}
    other = dump(tmp_path / "best.json", {f"photos/{image}": text for image, text in best.items()})
    report = score_files(world.h, world.r, other)
    assert report.against is not None
    assert report.against.scores.cider_d == Scorer(world.references).score(best).cider_d
    expected = compare(Scorer(world.references), world.hypotheses, best)
    assert {one.metric: one for one in report.comparisons} == expected
    assert score_files(world.h, world.r).comparisons == ()


def test_all_files_must_have_the_same_images(world: World) -> None:
    fewer = world.without("3.jpg")
    with pytest.raises(ImageMismatchError, match=r"fewer.json: no hypothesis for 1 of the 12 images"):
        score_files(world.h, world.r, fewer)
    report = score_files(world.h, world.r, fewer, options=ALLOWED)
    assert report.against is not None
    assert report.hypotheses.scores.images == report.against.scores.images == 11


@pytest.mark.parametrize(
    ("caption", "name", "bleu_1"),
    [("两只狗在草地上", "character", 100), ("два пса бегут", "word", 100), ("zwei Hunde", "ptb", 100)],
)
def test_the_tokenizer_goes_by_the_script(caption: str, name: str, bleu_1: float, tmp_path: Path) -> None:
    files = dump(tmp_path / "h.json", {"a": caption}), table(tmp_path / "r.csv", {"a": [f"{caption}!"]})
    scores = score_files(*files).hypotheses.scores
    assert scores.tokenizer == name
    assert round(scores.bleu_1) == bleu_1
    assert f"tokenizer:{name}|" in scores.signature


def test_a_tokenizer_can_be_named(world: World) -> None:
    for name in ("ptb", "word", "character"):
        scores = score_files(world.h, world.r, options=ScoreOptions(tokenizer=name)).hypotheses.scores
        assert scores.tokenizer == name
    with pytest.raises(ConfigError, match="'words': allowed are auto, ptb, word, character"):
        ScoreOptions(tokenizer="words")


def test_document_frequencies_of_a_larger_corpus_count(world: World, tmp_path: Path) -> None:
    _, corpus = made_up_captions(40, seed=1)
    frequencies = DocumentFrequencies.from_references(corpus)
    frequencies.save(tmp_path / "f.npz")
    options = ScoreOptions(document_frequencies=tmp_path / "f.npz")
    scores = score_files(world.h, world.r, options=options).hypotheses.scores
    expected = Scorer(world.references, frequencies=frequencies).score(world.hypotheses)
    assert scores.cider_d == expected.cider_d
    assert scores.cider_d != score_files(world.h, world.r).hypotheses.scores.cider_d
    assert "document frequencies:40 images" in scores.signature


def test_everything_is_saved_scores_of_each_image_included(world: World, tmp_path: Path) -> None:
    report = score_files(world.h, world.r, world.h)
    output = tmp_path / "scores.json"
    save_scores(report, output)
    saved = json.loads(output.read_text(encoding="utf-8"))
    assert saved["hypotheses"]["image_scores"] == report.hypotheses.image_scores
    assert saved["hypotheses"]["scores"]["intervals"].keys() == report.hypotheses.scores.intervals.keys()
    assert len(saved["comparisons"]) == len(report.comparisons)
    assert saved.keys() - {"format", "version"} == ScoreReport.__dataclass_fields__.keys()
    save_scores(report, output)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("h.json", "exists already and does not hold scores; choose another name"),
        ("scores.csv", "unknown ending '.csv'; scores are written as .json"),
        ("folder.json", "is a folder; name a file"),
    ],
)
def test_nothing_but_scores_is_replaced(name: str, message: str, world: World) -> None:
    (world.folder / "folder.json").mkdir()
    before = world.h.read_bytes()
    with pytest.raises(ConfigError, match=message):
        check_score_output(world.folder / name)
    assert world.h.read_bytes() == before


def test_a_large_file_in_the_way_is_refused_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "captions.json"
    with output.open("wb") as stream:
        stream.truncate(1 << 30)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(ConfigError, match="does not hold scores"):
        check_score_output(output)


def test_rows_that_cannot_be_used_are_kept_as_problems(world: World, tmp_path: Path) -> None:
    listed = [{"image": image, "caption": texts} for image, texts in world.references.items()]
    references = dump(tmp_path / "r.json", [*listed, {"image": "0.jpg", "caption": 5}])
    (problem,) = score_files(world.h, references).problems
    assert (problem.kind, problem.where) == ("broken row", "r.json item 13")


def test_a_column_that_no_file_has_is_refused_and_one_that_some_have_is_not(tmp_path: Path) -> None:
    ours = tmp_path / "a.csv"
    ours.write_text("image,caption,words\nx.jpg,a dog,a cat\n", encoding="utf-8")
    theirs = table(tmp_path / "ref.csv", {"x.jpg": ["a dog"]})
    with pytest.raises(DataError) as caught:
        score_files(ours, theirs, options=ScoreOptions(image_column="imgae"))
    assert str(caught.value) == (
        f"--image-column imgae: no file has it; {ours}: its columns are 'image', 'caption', 'words'; "
        f"{theirs}: its columns are 'image', 'caption', 'split'; name one that is there, or "
        "leave the option out: usual names are known"
    )
    with pytest.raises(DataError, match="--caption-column capton: no file has it"):
        score_files(ours, theirs, options=ScoreOptions(image_column="image", caption_column="capton"))
    report = score_files(ours, theirs, options=ScoreOptions(image_column="image", caption_column="words"))
    assert report.hypotheses.scores.rouge_l < 100
    coco = dump(tmp_path / "c.json", {"images": [], "annotations": [{"image_id": "x.jpg", "caption": "a"}]})
    indexed = dump(tmp_path / "i.json", {"x.jpg": "a dog"})
    for path in (coco, indexed):
        with pytest.raises(DataError, match=r"json: its format has no columns to name; name one"):
            score_files(path, path, options=ScoreOptions(image_column="imgae"))


def test_a_broken_row_is_named_where_its_hypothesis_is_lacking(tmp_path: Path) -> None:
    references = table(tmp_path / "r.csv", {"a.jpg": ["a dog"], "b.jpg": ["a cat"]})
    ours = tmp_path / "h.csv"
    ours.write_text("image,caption,model\na.jpg,a dog,m\nb.jpg\n", encoding="utf-8")
    with pytest.raises(ImageMismatchError) as caught:
        score_files(ours, references)
    assert str(caught.value) == (
        f"{ours}: no hypothesis for 1 of the 2 images of {references} (b.jpg); rows that could not be used: "
        "h.csv row 3 (1 cell where the header has 3; left out; add what is missing); correct these rows, or "
        "score the images in both files with --allow-missing"
    )


def test_a_mended_row_is_a_warning(tmp_path: Path) -> None:
    references = table(tmp_path / "r.csv", {"a.jpg": ["a dog"], "b.jpg": ["a cat"]})
    ours = tmp_path / "h.csv"
    ours.write_text("image,caption\na.jpg,a dog, running\nb.jpg,a cat\n", encoding="utf-8")
    told = ActingProgress()
    report = score_files(ours, references, progress=told)
    assert told.warnings == list(report.notes)
    assert report.notes[0] == (
        "mended row: h.csv row 2: 3 cells where the header has 2; read as 'a.jpg | a dog, running'"
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("DOG.JPG", "names differ in upper and lower case ('DOG.JPG', 'dog.jpg'): write them alike"),
        ("7", "an image is known by its id, its file name, or the last part of its path: name images alike"),
    ],
)
def test_files_without_an_image_in_common_are_told_how_images_are_known(
    name: str, advice: str, tmp_path: Path
) -> None:
    ours, theirs = dump(tmp_path / "h.json", {name: "a dog"}), table(tmp_path / "r.csv", {"dog.jpg": ["a"]})
    for options in (ScoreOptions(), ALLOWED):
        with pytest.raises(DataError) as caught:
            score_files(ours, theirs, options=options)
        assert str(caught.value) == (
            f"{ours}: no image in common with {theirs}; images are called {name} here and dog.jpg there; "
            f"{advice}"
        )
    both = dump(tmp_path / "both.json", {"DOG.jpg": "a dog", "cat.jpg": "a cat"})
    two = table(tmp_path / "two.csv", {"dog.jpg": ["a dog"], "cat.jpg": ["a cat"]})
    with pytest.raises(ImageMismatchError, match=r"names differ in upper and lower case \('DOG.jpg', 'dog"):
        score_files(both, two)


def test_what_is_no_file_of_document_frequencies_is_told_plainly(world: World) -> None:
    for path, words in ((world.folder / "gone.npz", "no such file; name one"), (world.r, "no archive of")):
        with pytest.raises(DataError, match=words) as caught:
            score_files(world.h, world.r, options=ScoreOptions(document_frequencies=path))
        assert str(caught.value).startswith(f"--document-frequencies {path}: ")
        assert "pickle" not in str(caught.value)


def test_a_split_that_is_not_there_is_answered_with_those_that_are(world: World, tmp_path: Path) -> None:
    def refused(splits: Mapping[str, str]) -> str:
        path = table(tmp_path / "s.csv", world.references, splits)
        with pytest.raises(DataError) as caught:
            score_files(world.h, path, options=ScoreOptions(split="val"))
        return str(caught.value).partition("'val'; ")[2]

    assert refused({}) == "it names no splits; leave --split out"
    assert refused({"0.jpg": "part A"}) == (
        "it names 'part A', which are no splits of cutline; leave --split out"
    )
    assert refused({"0.jpg": "test"}) == (
        "it has test 1, and 11 without; choose one of these, or leave --split out"
    )
