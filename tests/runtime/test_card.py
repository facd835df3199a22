"""The card of a bundle says what is known, and that the rest is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cutline.config import DecodingOptions
from cutline.runtime import Bundle, load_bundle, save_bundle
from cutline.runtime.card import card_of

KNOWN = {
    "name": "first",
    "cutline": "0.1.0",
    "created": "2026-11-23T20:05:27+00:00",
    "data": {
        "source": "photos.csv",
        "images": 1200,
        "captions": 6000,
        "images_per_split": {"train": 1000, "val": 200},
        "fingerprint": "0123456789abcdef",
    },
    "validation": {"cider_d": 53.604, "bleu_4": 21.3},
    "scores": {
        "test": {
            "images": 1000,
            "cider_d": 57.26,
            "cider_d_interval": {"low": 55.1, "high": 59.4},
            "bleu_4": 22.0,
            "signature": "cutline:1|tokenizer:ptb",
        }
    },
    "precision": {
        "encoder": "int8",
        "decoder": "float32",
        "measured": {"encoder": {"images": 200, "cider_d": {"float32": 53.5, "int8": 53.4}}},
    },
}


@pytest.fixture(scope="module")
def bundle(golden_copy: Path) -> Bundle:
    return load_bundle(golden_copy)


def test_it_says_what_is_known(bundle: Bundle) -> None:
    card = card_of(replace(bundle, details=KNOWN, licence="MIT", data_notes="Photos of\nour garden."))
    for line in (
        "# first",
        "Made with cutline 0.1.0 on 2026-11-23.",
        "| encoder | means.keras, 4 regions of 3 numbers, int8 |",
        "| decoder | attend, 4 LSTM units, float32 |",
        "| captions | of 11 words, lower case; the most frequent are: a, dog, on, the, grass, runs, in, snow",
        "| decoding | beam_size 2, max_length 6, min_length 2, no_repeat_ngram 1 |",
        "captions of training images, word by word |",
        "photos.csv: 1,200 images (train 1,000, val 200), 6,000 captions; fingerprint 0123456789abcdef.",
        "Licence: MIT",
        "Photos of\nour garden.",
        "- val, in training: CIDEr-D 53.6, BLEU-4 21.3 (in float32)",
        "CIDEr-D 57.3 (55.1 to 59.4), BLEU-4 22.0 (in float32); `cutline:1|tokenizer:ptb`",
        "- encoder by precision: CIDEr-D on 200 val images 53.5 with float32, 53.4 with int8",
    ):
        assert line in card, line


def test_it_says_what_nobody_stated(bundle: Bundle) -> None:
    small = replace(bundle, details={}, confidence=None, neighbours=None, decoding=DecodingOptions())
    card = card_of(small)
    assert card.startswith("# means.keras with attend\n")
    assert "Licence: nobody stated one; ask whoever gave you the model." in card
    assert "Nothing is known of the images it was trained on." in card
    assert "Nothing was measured." in card
    assert "| decoding | greedy |" in card
    assert "| carries | graphs to caption with |" in card
    assert "$" not in card


def test_details_of_another_shape_do_not_stop_it(bundle: Bundle) -> None:
    odd = {
        "name": ["a|b\nc"], "created": 5, "data": {"images": "many"}, "validation": [], "scores": {"val": 3},
        "precision": {"measured": {"encoder": {"cider_d": {"int8": None}}}},
    }  # fmt: skip
    card = card_of(replace(bundle, details=odd))
    assert "an unknown number of images" in card
    assert "unknown with int8" in card


def test_it_is_saved_and_covered_by_the_manifest(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_bundle(replace(bundle, licence="MIT"), folder)
    assert "Licence: MIT" in (folder / "card.md").read_text(encoding="utf-8")
    assert load_bundle(folder).licence == "MIT"
    assert '"card.md": {' in (folder / "manifest.json").read_text(encoding="utf-8")


def test_it_names_the_model_that_training_started_from_and_scores_of_its_int8_encoder(bundle: Bundle) -> None:
    start = {"name": "flickr8k", "licence": "for\nresearch", "manifest_sha256": "0" * 64}
    details = {"started_from": start, "precision": {"encoder": "int8"}, "validation": KNOWN["validation"]}
    card = card_of(replace(bundle, details=details))
    assert "Training started from flickr8k (its licence: for research)." in card
    # It was scored with that encoder.
    assert "- val, in training: CIDEr-D 53.6, BLEU-4 21.3\n" in card
    for odd in (3, {"name": None}):
        assert "None" not in card_of(replace(bundle, details={"started_from": odd}))
