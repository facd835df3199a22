"""References, and how captions are cut for scoring."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cutline.metrics import Scorer, strip_markers
from cutline.records import Example, Hypothesis
from cutline.text import Tokenizer

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


def plain_captions(example: Example) -> tuple[str, ...]:
    """Return the captions of an example without start, end and padding markers, as they are scored.

    Example:
        >>> plain_captions(Example("a.png", "/a.png", ("<start> a dog <end>", "one dog")))
        ('a dog', 'one dog')
    """
    return tuple(map(strip_markers, example.captions))


def references_of(examples: Iterable[Example]) -> dict[str, tuple[str, ...]]:
    """Return image_id → references, without markers."""
    return {example.image_id: plain_captions(example) for example in examples}


def fingerprint_of(examples: Iterable[Example]) -> str:
    """Hash image contents (ids where these are not known) and references: what scores depend on.

    Returns:
        16 hexadecimal digits, independent of the order of images and captions, of splits and of markers; for
        training, to which these matter, see :meth:`Dataset.fingerprint`.
    """
    lines = sorted(
        "\x1f".join((example.digest or example.image_id, *sorted(plain_captions(example))))
        for example in examples
    )
    return hashlib.sha256("\x1e".join(lines).encode()).hexdigest()[:16]


def make_scorer(examples: Sequence[Example], tokenizer: Tokenizer) -> Scorer:
    """Prepare the references of examples for scoring many sets of hypotheses."""
    references = references_of(examples)
    tokens = scoring_tokens(tokenizer, (caption for captions in references.values() for caption in captions))
    return Scorer(references, tokens.tokenise, tokens.name)


def texts_of(hypotheses: Mapping[str, Hypothesis]) -> dict[str, str]:
    """Return image_id → text, without markers: a model that was trained on captions with them writes them."""
    return {image_id: strip_markers(hypothesis.text) for image_id, hypothesis in hypotheses.items()}
