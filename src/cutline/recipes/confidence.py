"""Fit the confidence of a trained model, keep it in its bundle, and see whether it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutline.captioner import Captioner
from cutline.decoding import StepModel
from cutline.evaluation import ReadFeatures, caption_examples, references_of, scoring_tokens, texts_of
from cutline.evaluation.acceptable import define_acceptable
from cutline.evaluation.adapted_ngrams import LearnedBefore, adapt_expected
from cutline.evaluation.calibration import measure_calibration
from cutline.evaluation.confidence import FEWEST_IMAGES, confidences_of, fit_confidence, halves, read_signals
from cutline.evaluation.expected_ngrams import FEWEST_EXPECTED, learn_expected
from cutline.evaluation.training_features import collect_neighbours, summarise_features
from cutline.metrics import Scorer
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.records import Dataset, EvaluationResult, Example, Hypothesis
from cutline.runtime import Bundle, load_bundle, open_session
from cutline.runtime.confidence import Confidence, TrainingFeatures
from cutline.runtime.expected_ngrams import ExpectedNgrams
from cutline.runtime.saving import update_bundle
from cutline.text import Tokenizer
from cutline.voters import Voters
from cutline.writing import Writer


def keep_neighbours(folder: Path, dataset: Dataset, read: ReadFeatures, progress: Progress) -> None:
    """Keep the captions of the training images in the best bundle of a run, with where these images lie.

    A bundle that carries them, with their n-grams counted, is left as it is.

    Args:
        folder: The run.
        dataset: All examples, with splits and digests.
        read: Their features.
        progress: Told about the work.

    Raises:
        BundleError: The bundle is missing or damaged.
    """
    bundle = load_bundle(folder / layout.BUNDLE)
    if bundle.neighbours is not None and bundle.neighbours.frequencies:
        return
    with progress.stage("keeping captions of training images", 1, "bundle") as stage:
        neighbours = collect_neighbours(read, dataset.of_split("train"), bundle.vocabulary.tokenizer)
        update_bundle(replace(bundle, neighbours=neighbours), folder / layout.BUNDLE)
        stage.advance(1)


def keep_expected(
    folder: Path,
    dataset: Dataset,
    read: ReadFeatures,
    progress: Progress,
    before: LearnedBefore | None = None,
) -> None:
    """Learn what people would write about an image, and keep it in the best bundle of a run.

    A bundle that carries it is left as it is; so is one of too few train images, unless there is something
    to go on from. Images that were learned from before are not learned from again. Where it changes which
    captions are written, a confidence that was fitted to others goes, to be fitted again.

    Args:
        folder: The run.
        dataset: All examples, with splits and digests.
        read: Their features.
        progress: Told about the work, of too few images where nothing else votes, and of a start that is no
            help.
        before: What the model learned that training started from, with the same encoder.

    Raises:
        BundleError: The bundle is missing or damaged.
    """
    bundle = load_bundle(folder / layout.BUNDLE)
    if bundle.expected is not None:
        return
    train, asked = dataset.of_split("train"), bundle.decoding.consensus
    expected = None
    if before is not None:
        expected = _gone_on(before, train, read, bundle.vocabulary.tokenizer, progress)
    if expected is None and len(train) >= FEWEST_EXPECTED:
        expected = learn_expected(read, train, bundle.vocabulary.tokenizer, progress)
    if expected is not None:
        confidence = None if asked and bundle.decoding.consensus_by != "neighbours" else bundle.confidence
        update_bundle(replace(bundle, expected=expected, confidence=confidence), folder / layout.BUNDLE)
    elif asked and bundle.neighbours is None:
        progress.note(
            f"no consensus: learning what votes takes {FEWEST_EXPECTED} train images with words in common, "
            f"found {len(train):,}, and captions were not to be kept"
        )


def _gone_on(
    before: LearnedBefore,
    train: Sequence[Example],
    read: ReadFeatures,
    tokenizer: Tokenizer,
    progress: Progress,
) -> ExpectedNgrams | None:
    new = [example for example in train if example.digest not in before.digests]
    if not new:
        return before.expected
    expected = adapt_expected(before.expected, read, new, tokenizer, progress)
    if expected is None:
        progress.note(
            "what the model had learned of captions is left out: those of these images stand out more without"
        )
    return expected


def keep_confidence(folder: Path, dataset: Dataset, read: ReadFeatures, progress: Progress) -> None:
    """Fit how sure the best bundle of a run is of its captions, on half of the val images.

    A bundle that carries a confidence is left as it is; so is one with too few val images.

    Args:
        folder: The run.
        dataset: All examples, with splits and digests.
        read: Their features.
        progress: Told about every image, and when nothing is fitted.

    Raises:
        BundleError: The bundle is missing or damaged.
    """
    bundle = load_bundle(folder / layout.BUNDLE)
    if bundle.confidence is not None:
        return
    val = dataset.of_split("val")
    if len(val) < FEWEST_IMAGES:
        progress.note(
            f"captions have no confidence: fitting it takes {FEWEST_IMAGES} val images, found {len(val):,}"
        )
        return
    confidence = fit_on_val(bundle, open_session(bundle), dataset, read, progress)
    update_bundle(replace(bundle, confidence=confidence), folder / layout.BUNDLE)


def add_confidences(
    result: EvaluationResult,
    captioner: Captioner,
    read: ReadFeatures,
    examples: Sequence[Example],
    hypotheses: Mapping[str, Hypothesis],
    progress: Progress,
) -> EvaluationResult:
    """Return an evaluation with the confidence of each caption and how far confidences can be believed.

    It comes back as it is when the bundle carries no confidence. Calibration is measured on images that were
    neither trained on nor used for the fit, and left out when fewer than 20 of these were captioned.

    Args:
        result: Of the captions, ``image_scores`` included.
        captioner: That wrote them.
        read: The examples' features.
        examples: The images.
        hypotheses: image_id → best hypothesis.
        progress: Told about every image.
    """
    confidence = captioner.bundle.confidence
    if confidence is None:
        return result
    pairs = [(example, hypotheses[example.image_id]) for example in examples]
    confidences = confidences_of(
        confidence, captioner.session, read, pairs, captioner.bundle.decoding, progress
    )
    calibration = measure_calibration(confidence, examples, confidences, result.image_scores)
    return replace(result, confidences=confidences, calibration=calibration)


def fit_on_val(
    bundle: Bundle,
    session: StepModel[Any],
    dataset: Dataset,
    read: ReadFeatures,
    progress: Progress,
    training: TrainingFeatures | None = None,
) -> Confidence:
    """Fit the confidence of a bundle's captions on half of the val images.

    Args:
        bundle: Whose decoding options are used; what it carries as confidence is not looked at.
        session: Its step model.
        dataset: With train and val images and their digests.
        read: Their features.
        progress: Told about every image.
        training: Summary of the training images' features; made from the train images when None.
    """
    val, options, vocabulary = dataset.of_split("val"), bundle.decoding, bundle.vocabulary
    references = references_of(val)
    tokens = scoring_tokens(
        vocabulary.tokenizer, (text for captions in references.values() for text in captions)
    )
    # All of val is captioned, so that scores are those which the evaluation of val gives.
    hypotheses = caption_examples(
        Writer(session, vocabulary, Voters.of(bundle)), read, val, options, progress
    )
    image_scores = Scorer(references, tokens.tokenise, tokens.name).cider_d_per_image(texts_of(hypotheses))
    if training is None:
        training = summarise_features(read, [example.digest for example in dataset.of_split("train")])
    chosen = halves(val)[0]
    pairs = [(example, hypotheses[example.image_id]) for example in chosen]
    signals = read_signals(session, read, pairs, training, options, progress)
    acceptable = define_acceptable(references, tokens.tokenise)
    return fit_confidence(signals, chosen, image_scores, acceptable, training)
