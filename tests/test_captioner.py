"""The captioner over a scripted session: no framework, readable words."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fakes import ScriptedStepModel
from tests.golden.make_bundles import FOLDER

from cutline.captioner import Captioner, measure_signals, with_its_voters
from cutline.config import DecoderOptions, DecodingOptions
from cutline.data.feature_store import FeatureStore
from cutline.errors import BundleError, ConfigError, ImageError
from cutline.runtime import Bundle, load_bundle
from cutline.runtime.confidence import Confidence, TrainingFeatures
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.wishes import Wishes
from cutline.writing import Writer

WORDS = Vocabulary((*SPECIALS, "red", "green", "dot", "big"), Tokenizer())
END, RED, GREEN, DOT, BIG = 3, 4, 5, 6, 7


def colours(image: int, written: tuple[int, ...]) -> Sequence[float]:
    """Image 0 is green and image 1 red; every token but the words is tempting and must not be written."""
    chances = np.full(len(WORDS), 1e-4)
    chances[:3] = 0.2  # padding, unknown, start
    if not written:
        chances[[RED, GREEN]] = (0.2, 0.15) if image else (0.15, 0.2)
        chances[BIG] = 0.05
    elif written[-1] in (RED, GREEN):
        chances[DOT] = 0.3
    elif written[-1] == BIG:
        chances[RED] = 0.3
    else:
        chances[END] = 0.3
    return list(chances / chances.sum())


class Session(ScriptedStepModel):
    """Sees whether the upper left pixel is more red than green."""

    input_size = (4, 6)

    def __init__(self, script: Callable[[int, tuple[int, ...]], Sequence[float]] = colours) -> None:
        super().__init__(script, start_id=2)
        self.encoded: list[int] = []

    def encode(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (4, 6, 3)
        self.encoded.append(len(images))
        return (images[:, 0, 0, :1] > images[:, 0, 0, 1:2]).astype(np.float32)


def captioner(session: Session, **decoding: int | float) -> Captioner:
    bundle = Bundle({}, {}, DecoderOptions(), {}, (1,), WORDS, DecodingOptions(**decoding))
    return Captioner(bundle, session)


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Red, green, red, a file that is no image, and a red one."""
    paths = []
    for number, colour in enumerate(["red", "green", "red", None, "red"]):
        path = tmp_path / f"{number}.png"
        if colour is None:
            path.write_text("this is not an image")
        else:
            Image.new("RGB", (20, 10), colour).save(path)
        paths.append(str(path))
    return paths


def test_an_image_is_captioned_from_path_bytes_picture_or_pixels(files):
    picture = Image.new("RGB", (9, 9), "green")
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    for source in (files[1], Path(files[1]), stream.getvalue(), picture, np.asarray(picture)):
        (hypothesis,) = captioner(Session()).caption(source)
        assert hypothesis.text == "green dot"
        assert hypothesis.tokens == ("green", "dot")
        assert hypothesis.token_ids == (GREEN, DOT)
        assert hypothesis.log_probability < 0


def test_markers_and_unknown_are_never_written(files):
    for beam_size in (1, 2, 5):
        for hypothesis in captioner(Session()).caption(files[0], beam_size=beam_size, n_best=beam_size):
            assert not set(hypothesis.tokens) & set(SPECIALS)


def test_n_best_hypotheses_differ_and_come_best_first(files):
    found = captioner(Session()).caption(files[0], beam_size=4, n_best=3)
    assert [hypothesis.text for hypothesis in found[:2]] == ["red dot", "green dot"]
    assert len({hypothesis.text for hypothesis in found}) == 3
    logs = [hypothesis.log_probability for hypothesis in found]
    assert logs == sorted(logs, reverse=True)


def test_asking_for_more_hypotheses_alone_widens_the_beam(files):
    assert len(captioner(Session()).caption(files[0], n_best=3)) == 3
    assert len(captioner(Session(), beam_size=2).caption(files[0])) == 1


def test_a_beam_size_that_is_named_counts_with_a_consensus_too(files):
    voted = captioner(Session(), beam_size=2, consensus=3, consensus_beams=5)
    with pytest.raises(ConfigError, match=r"n_best is 3, allowed is 1 to the beam size \(2\)"):
        voted.caption(files[0], beam_size=2, n_best=3)
    with pytest.raises(ConfigError, match=r"n_best is 4, allowed is 1 to the beam size \(3\)"):
        voted.caption(files[0], beam_size=3, n_best=4)


def test_asking_for_more_hypotheses_widens_the_beam_where_voters_are_missing(files):
    stopped = captioner(Session(), beam_size=2, consensus=3, consensus_beams=5)
    assert len(stopped.caption(files[0], n_best=4)) == 4


@pytest.mark.parametrize(
    ("beam_size", "n_best", "message"),
    [
        (0, 1, "beam_size: .*greater than or equal to 1 .found 0"),
        (101, 1, "beam_size: .*less than or equal to 100 .found 101"),
        (2, 3, r"n_best is 3, allowed is 1 to the beam size \(2\); raise --beam-size"),
        (None, 0, r"n_best is 0, allowed is 1 to the beam size \(1\)"),
        (None, 101, "beam_size: .*found 101"),
    ],
)
def test_numbers_out_of_range_are_refused_before_any_image_is_read(beam_size, n_best, message):
    session = Session()
    with pytest.raises(ConfigError, match=message):
        captioner(session).caption("there-is-no-such.png", beam_size, n_best)
    with pytest.raises(ConfigError, match=message):
        captioner(session).caption_all(["there-is-no-such.png"], beam_size, n_best)
    with pytest.raises(ConfigError, match="n_best"):
        Writer(session, WORDS).write(np.zeros((1, 1)), DecodingOptions(), n_best=2)
    assert session.encoded == []


def test_the_longest_caption_is_as_long_as_allowed(files):
    (hypothesis,) = captioner(Session(), max_length=1).caption(files[0])
    assert hypothesis.tokens == ("red",)


def test_one_bad_image_among_many_is_reported_in_its_place(files):
    session = Session()
    missing = str(Path(files[0]).parent / "none.png")
    records = list(captioner(session, batch_size=2).caption_all([missing, *files]))
    assert [record.image for record in records] == [missing, *files]
    assert [record.hypotheses[0].text if record.hypotheses else None for record in records] == [
        None, "red dot", "green dot", "red dot", None, "red dot",
    ]  # fmt: skip
    assert [bool(record.error) for record in records] == [True, False, False, False, True, False]
    assert "3.png" in str(records[4].error)
    assert session.encoded == [1, 2, 1]


def test_a_bad_image_alone_raises_and_in_a_batch_of_its_own_reaches_no_encoder(files):
    session = Session()
    with pytest.raises(ImageError, match=r"3\.png"):
        captioner(session).caption(files[3])
    (record,) = captioner(session).caption_all([files[3]])
    assert record.error
    assert session.encoded == []


def test_images_are_taken_at_most_two_batches_ahead(files):
    taken: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(files[0])
            yield files[0]

    records = captioner(Session(), batch_size=3).caption_all(endless())
    assert taken == []
    for count in range(1, 8):
        next(records)
        assert len(taken) <= count + 5


def test_batches_are_captioned_at_the_same_time_where_a_session_allows_it(files):
    both = threading.Barrier(2, timeout=20)

    class Patient(Session):
        side_by_side = 2

        def encode(self, images: np.ndarray) -> np.ndarray:
            both.wait()  # until the other batch is there, too
            return super().encode(images)

    good = [files[0], files[1], files[2], files[0]]
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two cores")
    records = list(captioner(Patient(), batch_size=2).caption_all(good))
    assert [record.hypotheses[0].text for record in records] == ["red dot", "green dot", "red dot", "red dot"]


class Together(Session):
    side_by_side = 3


def test_side_by_side_records_come_in_order_and_bad_images_keep_their_places(files):
    missing = str(Path(files[0]).parent / "none.png")
    images = [missing, *files, *files[:2]]
    alone = list(captioner(Session(), batch_size=2).caption_all(images))
    assert list(captioner(Together(), batch_size=2).caption_all(images)) == alone


@pytest.mark.parametrize(
    ("photos", "batches"), [(2, [1, 1]), (7, [1, 2, 2, 2]), (6, [2, 2, 2]), (13, [1] + [2] * 6)]
)
def test_side_by_side_the_last_images_are_shared_evenly(files, photos, batches):
    session = Together()
    records = list(captioner(session, batch_size=2).caption_all([files[0]] * photos))
    assert len(records) == photos
    assert sorted(session.encoded) == batches


def test_images_that_nobody_has_counted_come_in_full_batches(files):
    session = Together()
    assert len(list(captioner(session, batch_size=2).caption_all(iter([files[0]] * 3)))) == 3
    assert sorted(session.encoded) == [1, 2]


def test_a_wrong_count_loses_no_image(files):
    class Short(list):
        def __len__(self) -> int:
            return 2

    assert len(list(captioner(Together(), batch_size=2).caption_all(Short([files[0]] * 5)))) == 5


def test_side_by_side_no_more_is_taken_than_the_batches_at_work_and_one(files):
    taken: list[str] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(files[0])
            yield files[0]

    before = threading.active_count()
    records = captioner(Together(), batch_size=2).caption_all(endless())
    for count in range(1, 12):
        next(records)
        assert len(taken) <= count + 2 * (Together.side_by_side + 1)
    assert isinstance(records, Generator)
    records.close()
    assert threading.active_count() <= before


def test_side_by_side_an_error_comes_after_the_records_before_it(files):
    class Failing(Together):
        def encode(self, images: np.ndarray) -> np.ndarray:
            if images.mean() > 0:  # decided by the picture, not by the moment
                raise RuntimeError("out of memory")
            return super().encode(images)

    black = Path(files[0]).parent / "black.png"
    Image.new("RGB", (8, 8)).save(black)
    records = captioner(Failing(), batch_size=1).caption_all([str(black), files[0], str(black)])
    assert next(records).image == str(black)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(records)


def test_hypotheses_of_a_batch_equal_those_of_images_alone(files):
    good = [path for index, path in enumerate(files) if index != 3]
    together = [record.hypotheses for record in captioner(Session()).caption_all(good, 2, 2)]
    assert together == [tuple(captioner(Session()).caption(path, 2, 2)) for path in good]


def test_features_are_rounded_as_those_of_a_store_are(files, tmp_path):
    """Evaluation decodes stored features: captioning the same image must see the same numbers."""
    sharp = np.array([[0.1, 1 / 3, 1e9, -1e9, 1e-9]], np.float32)
    seen: list[np.ndarray] = []

    class Sharp(Session):
        def encode(self, images: np.ndarray) -> np.ndarray:
            return np.repeat(sharp, len(images), axis=0)

        def start(self, features: np.ndarray) -> Any:
            seen.append(features)
            return super().start(np.zeros((len(features), 1), np.float32))

    digest = hashlib.sha256(b"image").hexdigest()
    with FeatureStore.open(tmp_path / "store", {}, (5,)) as store:
        store.append([digest], sharp)
        stored = store.read([0])
    Writer(Sharp(), WORDS).write(stored, DecodingOptions())
    captioner(Sharp()).caption(files[0])
    list(captioner(Sharp()).caption_all([files[0]]))
    assert len(seen) == 3
    for features in seen:
        np.testing.assert_array_equal(features, seen[0])
        assert features.dtype == np.float32
    assert not np.array_equal(seen[0], sharp)


def test_no_model_no_captioner(tmp_path):
    with pytest.raises(BundleError, match="no such model"):
        Captioner.load(tmp_path / "none")


TRAINING = TrainingFeatures(np.zeros(1, np.float32), np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
CONFIDENCE = Confidence(
    definition="good",
    threshold=30.0,
    means=np.zeros(4),
    scales=np.ones(4),
    weights=np.array([1.0, -0.5, 1.0, -0.25]),
    bias=0.5,
    usual_residual=0.1,
    largest_residual=0.2,
    training=TRAINING,
    fitted_on=frozenset(),
)


def sure_captioner(session: Session, **decoding: int | float) -> Captioner:
    bundle = Bundle(
        {}, {}, DecoderOptions(), {}, (1,), WORDS, DecodingOptions(**decoding), confidence=CONFIDENCE
    )
    return Captioner(bundle, session)


def test_without_a_confidence_in_the_bundle_hypotheses_have_none(files):
    assert captioner(Session()).caption(files[0])[0].confidence is None


def test_the_best_hypothesis_alone_gets_the_confidence_of_its_signals(files):
    best, second = sure_captioner(Session()).caption(files[0], beam_size=4, n_best=2)
    features = np.array([[1.0]], np.float32)
    signals = measure_signals(Session(), features, [best.token_ids], TRAINING, DecodingOptions().max_length)
    assert best.confidence == CONFIDENCE.probabilities(signals)[0]
    assert 0 < best.confidence < 1
    assert second.confidence is None


def test_signals_are_those_of_the_caption():
    caption = (RED, DOT)
    ((log_probability, entropy, agreement, distance, residual),) = measure_signals(
        Session(), np.array([[1.0]]), [caption], TRAINING, 8
    )
    steps = [colours(1, caption[:length]) for length in range(3)]
    chosen = [steps[0][RED], steps[1][DOT], steps[2][END]]
    assert log_probability == pytest.approx(np.log(chosen).mean(), rel=1e-5)
    assert entropy == pytest.approx(np.mean([-np.dot(step, np.log(step)) for step in steps]), rel=1e-5)
    assert 0 < agreement < 1
    assert (distance, residual) == pytest.approx((0, 0), abs=1e-3)


def test_an_impossible_ending_keeps_signals_finite():
    def never_ends(image, written):
        return [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]

    signals = measure_signals(Session(never_ends), np.array([[1.0]]), [(RED, RED)], TRAINING, 2)
    assert np.isfinite(signals).all()


def test_confidences_do_not_depend_on_the_batch(files):
    alone = [sure_captioner(Session(), batch_size=1).caption(path)[0].confidence for path in files[:3]]
    together = sure_captioner(Session(), batch_size=8).caption_all(files[:3])
    found = [record.hypotheses[0].confidence for record in together]
    assert found == pytest.approx(alone, rel=1e-6)


def test_the_same_captions_come_without_confidence(files):
    sure = sure_captioner(Session())
    (with_it,), (without,) = sure.caption(files[0]), sure.without_confidence().caption(files[0])
    assert without == replace(with_it, confidence=None)


class LookingSession(Session):
    """Looks at the left half of the image before the first word, then at the right."""

    def attention_weights(self, state: list[tuple[int, ...]]) -> np.ndarray:
        return np.array([[0.7, 0.3] if len(row) == 2 else [0.2, 0.8] for row in state])


def test_an_explanation_is_of_the_caption_that_is_written(files):
    explained = captioner(LookingSession(), beam_size=2).explain(files[0])
    (hypothesis,) = captioner(Session(), beam_size=2).caption(files[0])
    assert explained.hypothesis == hypothesis
    assert explained.image == files[0]
    assert [step.token for step in explained.steps] == ["red", "dot", "<end>"]
    assert np.log([step.probability for step in explained.steps]).sum() == pytest.approx(
        hypothesis.log_probability, rel=1e-4
    )


def test_an_explanation_names_what_else_was_possible_but_never_padding_or_start(files):
    first, *_, last = captioner(LookingSession()).explain(files[0]).steps
    assert [one.token for one in first.alternatives] == ["<unk>", "red", "green", "big", "<end>"]
    assert first.alternatives[0].text == "unknown word"
    assert last.text == "end of caption"


def test_where_it_looked_has_the_shape_of_the_image(files):
    explained = captioner(LookingSession()).explain(files[0])
    assert [step.attention.shape for step in explained.steps] == [(1, 2)] * 3
    assert [float(step.attention.argmax()) for step in explained.steps] == [0, 1, 1]
    assert explained.has_attention
    assert not captioner(Session()).explain(files[0]).has_attention


def test_wishes_hold_for_what_is_explained(files):
    wished = captioner(Session()).with_wishes(Wishes(require=("big",)))
    assert "big" in [step.token for step in wished.explain(files[0]).steps]


def test_a_picture_without_a_file_is_explained_too(files):
    assert captioner(Session()).explain(np.zeros((4, 6, 3), np.uint8)).image == ""


@pytest.mark.parametrize("asked", ["both", "learned", "neighbours"])
def test_the_voters_that_are_named_are_those_that_are_carried(asked):
    options = DecodingOptions(consensus=3, consensus_by=asked)
    whole = load_bundle(FOLDER / "version_3.zip")
    assert whole.neighbours is not None
    assert with_its_voters(whole, options).consensus_by == "neighbours"
    assert with_its_voters(replace(whole, neighbours=None), options).consensus == 0
