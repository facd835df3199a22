"""What others score on the same images: captions that cost nothing, and people's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.consensus import Consensus
from cutline.evaluation.neighbours import nearest
from cutline.evaluation.scoring import ScoringTokens, plain_captions, references_of
from cutline.metrics import DocumentFrequencies, Scorer, most_common, strip_markers
from cutline.metrics.contributions import BLEU_STATISTICS, METRICS, corpus_scores
from cutline.metrics.significance import intervals_of_scores
from cutline.progress import Progress
from cutline.records import (
    CONSENSUS,
    HUMAN,
    MOST_COMMON,
    NEAREST,
    RANDOM,
    Baseline,
    Example,
    Scores,
)
from cutline.text import Tokenizer

Floats = NDArray[np.float64]

NEIGHBOURS: Final = 40
"""Most similar training images whose captions vote, in large data sets; the paper took 90 of 80,000."""
_AT_MOST: Final = 20  # and no more than one image in so many


@dataclass(frozen=True)
class Setting:
    """The images on which everybody is compared.

    Attributes:
        examples: The N images that are scored.
        training: The training images, whose features can be read; may be empty.
        read: Gives features by digest.
        tokens: How captions are cut for scoring.
        scorer: Holds the references of the examples.
        facts: For the signatures: decoding, split, data.
    """

    examples: Sequence[Example]
    training: Sequence[Example]
    read: ReadFeatures
    tokens: ScoringTokens
    scorer: Scorer
    facts: Mapping[str, str]

    @property
    def references_per_image(self) -> float:
        """Mean number of references."""
        return len(self.scorer.references.image_of) / len(self.examples)


def most_common_caption(examples: Iterable[Example], tokenizer: Tokenizer) -> str:
    """Return the caption that occurs most often in the examples, compared token by token.

    It is the baseline that looks at nothing: a model that is not far above it has learned the language
    and not the pictures. Equally frequent captions are taken in alphabetical order.
    """
    captions = (
        tokenizer.detokenise(tokenizer.tokenise(caption))
        for example in examples
        for caption in plain_captions(example)
    )
    return most_common(captions, 1)[0][0]


def compare_with_others(
    setting: Setting, texts: Mapping[str, str], common: str, progress: Progress
) -> tuple[Baseline, ...]:
    """Score what people and simpler ways of captioning give for the same images, with intervals.

    Args:
        setting: Images, references and training images.
        texts: The model's hypotheses, image_id → text.
        common: The most common training caption.
        progress: Told about the search for similar images.

    Returns:
        People where images have two references or more; the most common caption, always; and, where
        training images are at hand, a random training caption, the nearest neighbour and the consensus of
        neighbours.
    """
    human = human_baseline(setting, texts)
    found = [human] if human else []
    common = strip_markers(common)
    found.append(_scored(setting, MOST_COMMON, dict.fromkeys(texts, common), common))
    if setting.training:
        found.append(_random_caption(setting))
        found += _copied_captions(setting, progress)
    return tuple(found)


def human_baseline(setting: Setting, texts: Mapping[str, str]) -> Baseline | None:
    """Score each reference against the others of its image.

    There are as many rounds as an image has references; in each one the next reference is the hypothesis. The
    model is scored against exactly the same references, because fewer references give lower scores. Document
    frequencies are those of all references in every round, so that the same words count for everybody. BLEU
    adds its counts up over all rounds, the other scores are means over rounds, then over images.

    Returns:
        The baseline, or None when no image has two references.
    """
    references = references_of(setting.examples)
    several = [image_id for image_id, captions in references.items() if len(captions) > 1]
    if not several:
        return None
    row_of = {image_id: row for row, image_id in enumerate(several)}
    human, model = np.zeros((2, len(several), BLEU_STATISTICS + 3))
    rounds = np.array([len(references[image_id]) for image_id in several])
    frequencies = DocumentFrequencies.of(setting.scorer.references)
    for left_out in range(int(rounds.max())):
        taking_part = {i: references[i] for i in several if left_out < len(references[i])}
        rows = [row_of[image_id] for image_id in taking_part]
        others = {i: captions[:left_out] + captions[left_out + 1 :] for i, captions in taking_part.items()}
        scorer = Scorer(others, setting.tokens.tokenise, setting.tokens.name, frequencies)
        human[rows] += scorer.contributions({i: captions[left_out] for i, captions in taking_part.items()})
        model[rows] += scorer.contributions({image_id: texts[image_id] for image_id in taking_part})
    human[:, BLEU_STATISTICS:] /= rounds[:, None]
    model[:, BLEU_STATISTICS:] /= rounds[:, None]
    facts = {**setting.facts, "references": "each left out in turn"}
    count = int(rounds.sum())
    return Baseline(
        HUMAN,
        _pooled(human, count, setting.scorer.score(texts, facts={**facts, "decoding": HUMAN})),
        # An image with n references takes part n times, each time with n - 1 of them.
        float((rounds * (rounds - 1)).sum() / count),
        model_scores=_pooled(model, count, setting.scorer.score(texts, facts=facts)),
        note="each reference against the others of its image; the model against the same references"
        + ("" if len(several) == len(setting.examples) else f"; {len(several):,} images have two or more"),
    )


def _pooled(contributions: Floats, references: int, like: Scores) -> Scores:
    scores = corpus_scores(contributions.sum(0), len(contributions)).tolist()
    return replace(
        like,
        **dict(zip(METRICS, scores, strict=True)),
        images=len(contributions),
        references=references,
        intervals=intervals_of_scores(contributions),
    )


def _scored(
    setting: Setting, name: str, captions: Mapping[str, str], caption: str = "", note: str = ""
) -> Baseline:
    facts = {**setting.facts, "decoding": name}
    scores = setting.scorer.score(captions, intervals=True, facts=facts)
    return Baseline(name, scores, setting.references_per_image, caption, note=note)


def _random_caption(setting: Setting) -> Baseline:
    pool = [(example.digest, caption) for example in setting.training for caption in plain_captions(example)]
    captions = {example.image_id: _drawn(pool, example.digest) for example in setting.examples}
    note = f"drawn for each image among all {len(pool):,} training captions"
    return _scored(setting, RANDOM, captions, note=note)


def _drawn(pool: Sequence[tuple[str, str]], digest: str) -> str:
    """Draw a caption of another image, by the digest alone: whatever else is evaluated changes nothing."""
    start = int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8]) % len(pool)
    others = (pool[(start + step) % len(pool)] for step in range(len(pool)))
    return next((caption for owner, caption in others if owner != digest), pool[start][1])


def _copied_captions(setting: Setting, progress: Progress) -> list[Baseline]:
    """Copy captions of the training images that look most alike to the encoder."""
    found = nearest(
        setting.read,
        [example.digest for example in setting.examples],
        [example.digest for example in setting.training],
        max(1, min(NEIGHBOURS, len(setting.training) // _AT_MOST)),
        progress,
    )
    if not found.shape[1]:
        return []
    # Captions of images that are nobody's neighbour need not be compared with any other.
    captions = {str(at): plain_captions(setting.training[at]) for at in np.unique(found).tolist()}
    consensus = Consensus(captions, setting.tokens.tokenise)
    first, voted = {}, {}
    with progress.stage("letting neighbours vote", len(setting.examples), "images") as stage:
        for example, neighbours in zip(setting.examples, found.tolist(), strict=True):
            first[example.image_id] = consensus.choose([str(neighbours[0])])
            voted[example.image_id] = consensus.choose([str(at) for at in neighbours])
            stage.advance()
    images = f"{len(setting.training):,} training images"
    near = f"of the most similar of {images}, the caption that its others agree with most"
    vote = f"of the {found.shape[1]} most similar of {images}, the caption that the others agree with most"
    return [
        _scored(setting, NEAREST, first, note=near),
        _scored(setting, CONSENSUS, voted, note=vote),
    ]
