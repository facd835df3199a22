"""Captioning val images between epochs, and scoring what comes out."""

from __future__ import annotations

import random

from cutline.evaluation import ReadFeatures, caption_examples, make_scorer, texts_of
from cutline.metrics import unique_share
from cutline.models.decoders import Decoder
from cutline.models.sessions import DecoderSession
from cutline.progress import Progress
from cutline.recipes.corridor import Corridor
from cutline.records import Example
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
        return Validation(self._scorer.score(texts), unique_share(list(texts.values())), samples)


def _validation_examples(corridor: Corridor) -> list[Example]:
    examples = list(corridor.dataset.of_split("val"))
    limit = corridor.options.training.validation_images
    if len(examples) > limit:
        examples = random.Random(corridor.options.training.seed).sample(examples, limit)
    return examples
