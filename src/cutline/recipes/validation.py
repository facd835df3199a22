"""Captioning val images between epochs, and scoring what comes out."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from cutline.evaluation import ReadFeatures, caption_examples, make_scorer, texts_of
from cutline.metrics import standard_error, unique_share
from cutline.models.decoders import Decoder
from cutline.models.sessions import DecoderSession
from cutline.progress import Progress
from cutline.recipes.corridor import Corridor
from cutline.recipes.extract import feature_reader
from cutline.recipes.starting import keep_score_of_start, score_of_start
from cutline.records import EpochRecord, Example
from cutline.training.loop import Validation
from cutline.writing import Writer

_SAMPLES = 3


class Validator:
    """Scores the captions that a decoder writes for val images.

    Args:
        corridor: Data, vocabulary and options; its features are not looked at.
        decoder: Its weights are read when it is asked.
        progress: Told about every image.
    """

    def __init__(self, corridor: Corridor, decoder: Decoder, progress: Progress) -> None:
        """Choose the images, at most ``training.validation_images``."""
        self._corridor = corridor
        self._progress = progress
        self._examples = _validation_examples(corridor)
        self._scorer = make_scorer(self._examples, corridor.vocabulary.tokenizer)
        # Without voters: an epoch is judged by what the model itself finds most probable.
        self._writer = Writer(DecoderSession(decoder), corridor.vocabulary)

    def validate(self, read: ReadFeatures) -> Validation:
        """Caption and score, with features from ``read``."""
        options = self._corridor.options.decoding
        hypotheses = caption_examples(self._writer, read, self._examples, options, self._progress)
        texts = texts_of(hypotheses)
        samples = [(example.image_id, texts[example.image_id]) for example in self._examples[:_SAMPLES]]
        error = standard_error(np.array(list(self._scorer.cider_d_per_image(texts).values())))
        return Validation(self._scorer.score(texts), error, unique_share(list(texts.values())), samples)


def validate_start(corridor: Corridor, validator: Validator, progress: Progress) -> float | None:
    """Score the model that a run starts from, once, before its first epoch.

    Args:
        corridor: Its features are those of the model's encoder.
        validator: Over the decoder, with the model's weights.
        progress: Told the scores.

    Returns:
        Val CIDEr-D; None for a run that starts from initial weights.
    """
    if corridor.start is None:
        return None
    known = score_of_start(corridor.folder)
    if known is None:
        scores = validator.validate(feature_reader(corridor.store)).scores
        known = scores.cider_d
        keep_score_of_start(corridor.folder, known)
        told = f"val captions BLEU-4 {scores.bleu_4:.1f}, CIDEr-D {known:.1f}"
        progress.note(f"the model that training starts from: {told}")
    return known


def tell_gain(before: float | None, history: Sequence[EpochRecord], progress: Progress) -> None:
    """Say when no epoch was better than the model that training started from."""
    best = max((record.cider_d for record in history), default=0.0)
    # A start that knew nothing of these captions has nothing to keep.
    if before and history and best <= before:
        progress.note(
            "no epoch wrote better val captions than the model that training started from (CIDEr-D "
            f"{before:.1f}, now {best:.1f}): a lower training.learning_rate or fewer epochs keep more of it"
        )


def _validation_examples(corridor: Corridor) -> list[Example]:
    examples = list(corridor.dataset.of_split("val"))
    limit = corridor.options.training.validation_images
    if len(examples) > limit:
        examples = random.Random(corridor.options.training.seed).sample(examples, limit)
    return examples
