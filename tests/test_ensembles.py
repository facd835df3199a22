"""Bundles that caption together, over scripted sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutline import ensembles
from cutline.captioner import Captioner
from cutline.config import DecoderOptions, DecodingOptions
from cutline.ensembles import EnsembleSession, encoding_sessions, require_same_vocabulary, together
from cutline.errors import BundleError, ConfigError
from cutline.runtime import Bundle
from cutline.runtime.confidence import TrainingFeatures
from cutline.runtime.neighbours import Neighbours
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

WORDS = Vocabulary((*SPECIALS, "red", "green", "dot"), Tokenizer())


class Eyes:
    """Says the colour of the upper left pixel, as sure as it was told to, and then "dot"."""

    def __init__(self, size: tuple[int, int], features: int, sureness: float = 0.6) -> None:
        self.input_size, self.features, self.sureness = size, features, sureness
        self.seen: list[tuple[int, ...]] = []

    def encode(self, images: np.ndarray) -> np.ndarray:
        self.seen.append(images.shape)
        redder = (images[:, 0, 0, 0] > images[:, 0, 0, 1]).astype(np.float32)
        return np.repeat(redder[:, None], self.features, axis=1)

    def start(self, features: np.ndarray) -> list[tuple[float, int]]:
        assert features.shape[1:] == (self.features,)
        return [(float(row[0]), 0) for row in features]

    def step(self, token_ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        chances = np.full((len(state), len(WORDS)), 1e-3)
        for row, (redder, place) in enumerate(state):
            sure = self.sureness if redder else 1 - self.sureness
            chances[row] += [(0, 0, 0, 0, sure, 1 - sure, 0), (0, 0, 0, 0, 0, 0, 1), (0, 0, 0, 1, 0, 0, 0)][
                place
            ]
        logs = np.log(chances / chances.sum(axis=1, keepdims=True))
        return logs.astype(np.float32), [(redder, min(place + 1, 2)) for redder, place in state]

    def reorder(self, state: Any, rows: np.ndarray) -> Any:
        return [state[row] for row in rows]


def bundle(vocabulary: Vocabulary = WORDS, features: int = 2, encoder: str | None = None, **more) -> Bundle:
    details = {} if encoder is None else {"encoder_fingerprint": {"weights": encoder}}
    options = DecodingOptions(**more)
    return Bundle(
        {}, {}, DecoderOptions(), {}, (features,), vocabulary, options, details=details, folder="runs/a"
    )


def captioner(bundles: list[Bundle], sessions: list[Eyes]) -> Captioner:
    return Captioner(together(bundles), EnsembleSession(bundles, sessions))


@pytest.fixture
def red(tmp_path: Path) -> str:
    Image.new("RGB", (20, 10), "red").save(tmp_path / "red.png")
    return str(tmp_path / "red.png")


def test_each_member_sees_the_image_at_its_own_size_and_gets_its_own_features(red):
    eyes = [Eyes((4, 6), 2), Eyes((8, 8), 3)]
    (hypothesis,) = captioner([bundle(), bundle(features=3)], eyes).caption(red)
    assert hypothesis.text == "red dot"
    assert [one.seen for one in eyes] == [[(1, 4, 6, 3)], [(1, 8, 8, 3)]]


def test_members_with_the_same_encoder_encode_an_image_once(red):
    eyes = [Eyes((4, 6), 2), Eyes((4, 6), 2), Eyes((4, 6), 3)]
    bundles = [bundle(encoder="x"), bundle(encoder="x"), bundle(features=3, encoder="y")]
    model = captioner(bundles, eyes)
    assert model.caption(red)[0].text == "red dot"
    assert [len(one.seen) for one in eyes] == [1, 0, 1]
    assert encoding_sessions(model.session) == (eyes[0], eyes[2])


def test_the_surer_member_decides_and_many_images_are_captioned_like_one(red):
    bundles = [bundle(encoder="x")] * 2
    for order in ((0.9, 0.3), (0.3, 0.9)):
        model = captioner(bundles, [Eyes((4, 6), 2, sureness) for sureness in order])
        (best, _) = model.caption(red, n_best=2)
        assert best.text == "red dot"
        records = list(model.caption_all([red, "none.png", red], n_best=2))
        assert [record.hypotheses[0] for record in records if record.hypotheses] == [best, best]
        assert records[1].error


def test_those_who_vote_look_with_the_first_encoder(red, monkeypatch):
    training = TrainingFeatures(
        np.zeros(2, np.float32), np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)
    )
    neighbours = Neighbours(("a.png", "b.png"), (("green dot",), ("two cats",)), training)
    bundles = [
        replace(bundle(consensus=1, consensus_likelihood=0, beam_size=2), neighbours=neighbours),
        bundle(features=3),
    ]
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(Neighbours, "nearest", _remembering(seen, Neighbours.nearest))
    model = captioner(bundles, [Eyes((4, 6), 2), Eyes((8, 8), 3)])
    assert model.caption(red)[0].text == "green dot", "the picture is red, the voters say green"
    assert seen == [(1, 2)]


def _remembering(seen, nearest):
    def remember(self, features, count):
        seen.append(features.shape)
        return nearest(self, features, count)

    return remember


def test_options_are_those_of_the_first_and_there_is_no_confidence():
    model = together([bundle(beam_size=4), bundle(beam_size=2)])
    assert model.decoding.beam_size == 4
    assert model.confidence is None
    assert model.folder == "runs/a + runs/a"
    alone = bundle()
    assert together([alone]) is alone


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (Vocabulary((*SPECIALS, "red", "blue", "dot"), Tokenizer()), "token 5 is 'green' and 'blue'"),
        (Vocabulary((*SPECIALS, "red", "green"), Tokenizer()), "token 6 is 'dot' and none"),
        (
            Vocabulary(WORDS.tokens, Tokenizer(lowercase=False)),
            "lowercase of the tokenizer is True and False",
        ),
    ],
)
def test_the_first_difference_of_two_vocabularies_is_named_with_both_folders(other, difference):
    with pytest.raises(BundleError) as caught:
        require_same_vocabulary(bundle(), bundle(other))
    assert str(caught.value).startswith(f"runs/a and runs/a have different vocabularies: {difference};")


def test_vocabularies_are_compared_before_any_network_is_built(monkeypatch):
    monkeypatch.setattr(ensembles, "open_session", lambda bundle: pytest.fail("built"))
    with pytest.raises(BundleError, match="different vocabularies"):
        EnsembleSession.open([bundle(), bundle(Vocabulary((*SPECIALS, "x"), Tokenizer()))])
    with pytest.raises(ConfigError, match="no model was named"):
        Captioner.load([])


def test_what_several_models_wrote_is_not_explained(red):
    model = captioner([bundle(encoder="x")] * 2, [Eyes((4, 6), 2), Eyes((4, 6), 2)])
    with pytest.raises(ConfigError, match="explain the caption of one of them"):
        model.explain(red)
