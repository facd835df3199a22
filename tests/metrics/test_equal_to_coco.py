"""The scores are those of COCO's own evaluation code, image by image."""

from __future__ import annotations

import csv
import json
import random
import runpy
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import made_up_captions

from cutline.metrics import Scorer, bleu, cider_d, rouge_l, score, tokenise_ptb

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE.parent / "golden" / "caption_scores.json").read_text(encoding="utf-8"))
PERTURBED = json.loads((HERE.parent / "golden" / "perturbed_scores.json").read_text(encoding="utf-8"))


def coco_scores(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, list]:
    """Score with pycocoevalcap, which reads tokens joined by blanks; in its own units."""
    pytest.importorskip("pycocoevalcap")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    joined = {key: [" ".join(tokenise_ptb(text)) for text in references[key]] for key in references}
    single = {key: [" ".join(tokenise_ptb(hypotheses[key]))] for key in references}
    bleu_corpus, bleu_images = Bleu(4).compute_score(joined, single, verbose=0)
    rouge_mean, rouge_images = Rouge().compute_score(joined, single)
    cider_mean, cider_images = Cider().compute_score(joined, single)
    return {
        "bleu": bleu_corpus,
        "bleu_images": bleu_images,
        "rouge_l": float(rouge_mean),
        "rouge_l_images": rouge_images.tolist(),
        "cider_d": float(cider_mean),
        "cider_d_images": cider_images.tolist(),
    }


def assert_equal(
    hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]], expected: Mapping
) -> None:
    corpus, images = bleu(hypotheses, references)
    close(corpus, expected["bleu"])
    close(images, expected["bleu_images"])
    for own, name in ((rouge_l, "rouge_l"), (cider_d, "cider_d")):
        mean, images = own(hypotheses, references)
        close(mean, expected[name])
        close(images, expected[f"{name}_images"])


def close(own: object, expected: object) -> None:
    np.testing.assert_allclose(own, 100 * np.array(expected), rtol=1e-9, atol=1e-12)


def test_golden_scores_are_met():
    assert_equal(GOLDEN["hypotheses"], GOLDEN["references"], GOLDEN["scores"])
    scores = score(GOLDEN["hypotheses"], GOLDEN["references"])
    close([scores.bleu_1, scores.bleu_2, scores.bleu_3, scores.bleu_4], GOLDEN["scores"]["bleu"])
    close([scores.rouge_l, scores.cider_d], [GOLDEN["scores"]["rouge_l"], GOLDEN["scores"]["cider_d"]])


def test_golden_scores_are_those_of_coco():
    expected = coco_scores(GOLDEN["hypotheses"], GOLDEN["references"])
    for name, value in GOLDEN["scores"].items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-12)


@pytest.mark.parametrize("name", PERTURBED["sets"])
def test_perturbed_captions_score_as_with_coco_and_its_java_tokenizer(name):
    hypotheses, expected = PERTURBED["sets"][name]["hypotheses"], PERTURBED["sets"][name]["scores"]
    scorer = Scorer(PERTURBED["references"])
    corpus, images = scorer.score(hypotheses), scorer.per_image(hypotheses)
    for metric, (mean, *values) in expected.items():
        np.testing.assert_allclose(getattr(corpus, metric), mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(images[metric], values, rtol=1e-9, atol=1e-12)


def test_the_benchmark_finds_no_difference_in_perturbed_captions_and_finds_a_planted_one(monkeypatch):
    benchmark = runpy.run_path(str(HERE.parents[1] / "benchmarks" / "score_equality.py"))
    compare_all = benchmark["compare_all"]
    rows = compare_all(PERTURBED["references"], seed=1, java=False)
    assert len(rows) == 5
    assert all(row["tokens differ"] == 0 for row in rows)
    assert max(value for row in rows for value in row.values() if isinstance(value, float)) <= 1e-9
    monkeypatch.setitem(compare_all.__globals__, "Scorer", lambda given: Scorer(given, str.split))
    planted = compare_all(PERTURBED["references"], seed=1, java=False)
    assert min(row["bleu_4"] for row in planted) > 1e-3


@pytest.mark.slow
@pytest.mark.shared
def test_all_real_captions_score_as_with_coco(shared_folder):
    pytest.importorskip("pycocoevalcap")
    benchmark = runpy.run_path(str(HERE.parents[1] / "benchmarks" / "score_equality.py"))
    captions = benchmark["read_captions"](shared_folder / "flickr8k" / "captions.csv")
    assert sum(map(len, captions.values())) >= 35_000
    # Where there is Java, its tokenizer is compared with, too; equal tokens leave nothing else to compare.
    for row in benchmark["compare_all"](captions, seed=0, java=shutil.which("java") is not None):
        assert row["tokens differ"] == 0
        assert max(value for value in row.values() if isinstance(value, float)) <= 1e-9
    if not shutil.which("java"):
        pytest.skip("all scores are equal; the tokenizer could not be compared, which needs java")


@pytest.mark.parametrize("length", [63, 64, 65, 130])
def test_long_captions_score_as_with_coco(length):
    rng = random.Random(length)
    words = ["a", "red", "dog", "runs", "on", "the", "wet", "grass"]
    references = {
        str(image): [" ".join(rng.choices(words, k=rng.randint(1, 2 * length))) for _ in range(3)]
        for image in range(4)
    }
    hypotheses = {image: " ".join(rng.choices(words, k=length)) for image in references}
    hypotheses["0"] = "a dog"
    assert_equal(hypotheses, references, coco_scores(hypotheses, references))


@pytest.mark.parametrize("seed", range(20))
def test_made_up_captions_score_as_with_coco(seed):
    hypotheses, references = made_up_captions(3 + 4 * seed, seed)
    assert_equal(hypotheses, references, coco_scores(hypotheses, references))


def test_a_single_image_scores_as_with_coco():
    hypotheses, references = made_up_captions(1)
    assert_equal(hypotheses, references, coco_scores(hypotheses, references))


def test_blank_hypotheses_score_as_with_coco():
    hypotheses, references = made_up_captions(9)
    hypotheses.update({"0.jpg": "", "3.jpg": " . ", "5.jpg": "dog"})
    assert_equal(hypotheses, references, coco_scores(hypotheses, references))


@pytest.fixture(scope="module")
def real_captions(shared_folder) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = defaultdict(list)
    with (shared_folder / "flickr8k" / "captions.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["split"] == "val":
                captions[row["image"]].append(row["caption"])
    return dict(captions)


@pytest.mark.shared
def test_real_captions_score_as_with_coco(real_captions):
    references = {image_id: captions[:4] for image_id, captions in real_captions.items()}
    hypotheses = {image_id: captions[4] for image_id, captions in real_captions.items()}
    assert len(references) >= 1000
    assert_equal(hypotheses, references, coco_scores(hypotheses, references))


@pytest.mark.shared
def test_a_scorer_used_again_gives_the_same_scores(real_captions):
    scorer = Scorer({image_id: captions[:4] for image_id, captions in real_captions.items()})
    hypotheses = {image_id: captions[4] for image_id, captions in real_captions.items()}
    blank = dict.fromkeys(hypotheses, "")
    first = scorer.score(hypotheses)
    assert scorer.score(blank).cider_d == 0
    assert scorer.score(hypotheses) == first
