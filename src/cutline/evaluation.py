"""Captioning a split and scoring what came out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.captioner import decode
from cutline.config import DecodingOptions
from cutline.decoding import StepModel
from cutline.metrics import Scorer, most_common
from cutline.progress import Progress
from cutline.records import Example, Hypothesis
from cutline.text import Tokenizer, Vocabulary

ReadFeatures = Callable[[Sequence[str]], NDArray[Any]]
"""Digests of N images to their features (N, ...)."""

_LATIN_ENOUGH: Final = 0.5


@dataclass(frozen=True)
class ScoringTokens:
    """How captions are cut for scoring.

    Attributes:
        name: Stated beside every score: ``"ptb"``, ``"word"`` or ``"character"``.
        tokenise: The function, None for COCO's own.
    """

    name: str
    tokenise: Callable[[str], list[str]] | None


def scoring_tokens(tokenizer: Tokenizer, captions: Iterable[str]) -> ScoringTokens:
    """Choose COCO's tokenisation for captions in Latin script, the vocabulary's own rules for others.

    COCO's rules are made for English: they keep Chinese text in one piece and cut Hindi words.

    Example:
        >>> scoring_tokens(Tokenizer(level="word", lowercase=True), ["a dog"]).name
        'ptb'
    """
    latin = letters = 0
    for caption in captions:
        for character in caption:
            if character.isalpha():
                letters += 1
                latin += character.isascii() or "LATIN" in unicodedata.name(character, "")
    if tokenizer.level == "word" and latin >= _LATIN_ENOUGH * letters:
        return ScoringTokens("ptb", None)
    return ScoringTokens(tokenizer.level, tokenizer.tokenise)


def references_of(examples: Iterable[Example]) -> dict[str, tuple[str, ...]]:
    """Return image_id → references."""
    return {example.image_id: example.captions for example in examples}


def make_scorer(examples: Sequence[Example], tokenizer: Tokenizer) -> Scorer:
    """Prepare the references of examples for scoring many sets of hypotheses."""
    references = references_of(examples)
    tokens = scoring_tokens(tokenizer, (caption for captions in references.values() for caption in captions))
    return Scorer(references, tokens.tokenise, tokens.name)


def caption_examples(
    model: StepModel[Any],
    read_features: ReadFeatures,
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    options: DecodingOptions,
    progress: Progress,
) -> dict[str, Hypothesis]:
    """Caption examples from stored features, a batch at a time.

    Returns:
        image_id → best hypothesis, for every example, in order.
    """
    hypotheses: dict[str, Hypothesis] = {}
    with progress.stage("captioning", len(examples), "images") as stage:
        for at in range(0, len(examples), options.batch_size):
            batch = examples[at : at + options.batch_size]
            features = read_features([example.digest for example in batch])
            for example, found in zip(
                batch, decode(model, np.asarray(features), vocabulary, options), strict=True
            ):
                hypotheses[example.image_id] = found[0]
            stage.advance(len(batch))
    return hypotheses


def most_common_caption(examples: Iterable[Example], tokenizer: Tokenizer) -> str:
    """Return the caption that occurs most often in the examples, compared token by token.

    It is the baseline that looks at nothing: a model that is not far above it has learned the language
    and not the pictures. Equally frequent captions are taken in alphabetical order.
    """
    captions = (
        tokenizer.detokenise(tokenizer.tokenise(caption))
        for example in examples
        for caption in example.captions
    )
    return most_common(captions, 1)[0][0]


def texts_of(hypotheses: Mapping[str, Hypothesis]) -> dict[str, str]:
    """Return image_id → text."""
    return {image_id: hypothesis.text for image_id, hypothesis in hypotheses.items()}
