"""Choosing beam size and length penalty by the captions they lead to.

Settings are compared on the same images, so what matters is the difference from the best setting, image by
image, and its standard error. A cheaper setting is taken as soon as the best one is no more than one standard
error ahead of it: the rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees"
(1984), for choosing the simplest of models that are about as good. Without it a wide beam would often be
chosen for a gain that other images do not show.

The best of many is better on the images it was chosen by than on others. So settings are compared on one half
of the images, the one that a confidence is fitted on, and both the chosen setting and the one from before are
told on the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecodingOptions, validate
from cutline.decoding.beam import Settings, beam_per_penalty
from cutline.decoding.choosing import Groups
from cutline.evaluation.captioning import ReadFeatures, caption_examples
from cutline.evaluation.confidence import halves
from cutline.evaluation.scoring import make_scorer, texts_of
from cutline.metrics import standard_error, strip_markers
from cutline.progress import Progress
from cutline.records import Example
from cutline.text.vocabulary import END_ID, START_ID
from cutline.wishes import NEVER_WRITTEN, filters_of
from cutline.writing import Writer

BEAM_SIZES: Final = (1, 2, 3, 5, 8)
VOTED_SIZES: Final = (5, 10, 20, 40)
"""Beam sizes where the captions found are voted on."""

LENGTH_PENALTIES: Final = (0.0, 0.5, 0.7, 0.9, 1.0, 1.2)
_ROUNDING: Final = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DecodingTrial:
    """One setting, and how its captions scored.

    Attributes:
        beam_size: Beams kept; 1 is greedy decoding.
        length_penalty: Exponent of the length; 0 where there is one beam.
        cider_d: Of the images that settings are compared on, ×100.
        other_cider_d: Of the images that they are not compared on, ×100.
        behind: By how much the best setting is ahead on the images compared on; 0 for the best.
        standard_error: Of ``behind``.
        chosen: Whether this is the setting that was taken.
    """

    beam_size: int
    length_penalty: float
    cider_d: float
    other_cider_d: float
    behind: float
    standard_error: float
    chosen: bool = False


@dataclass(frozen=True)
class DecodingChoice:
    """What was tried and chosen.

    Attributes:
        trials: Cheapest first; exactly one is chosen.
        before: The setting the model had; it is among the trials.
        images: Images that settings were compared on.
        other_images: Images that they were not compared on.
    """

    trials: tuple[DecodingTrial, ...]
    before: DecodingTrial
    images: int
    other_images: int

    @property
    def chosen(self) -> DecodingTrial:
        """The setting that was taken."""
        return next(trial for trial in self.trials if trial.chosen)


def choose_decoding(
    writer: Writer,
    read_features: ReadFeatures,
    examples: Sequence[Example],
    options: DecodingOptions,
    progress: Progress,
    named: frozenset[str] = frozenset(),
) -> DecodingChoice:
    """Caption images with every beam size and length penalty of a grid, and choose.

    Each beam size is searched once for all length penalties, which gives exactly the captions of a search for
    each. The setting of ``options`` is tried as well. With groups of beams only beam sizes that they divide
    are tried. With a consensus it is the beams that are put to the vote, whatever their length, so only
    beam sizes are tried, larger ones.

    Args:
        writer: The model, with those who vote where there is to be a consensus.
        read_features: Gives features by digest.
        examples: Images with references, at least 4; half of them are chosen by.
        options: Everything else about decoding; no ``temperature``.
        progress: Told about every image of each beam size.
        named: Options that are not to be chosen; with those of both, one setting is left to try.
    """
    scorer = make_scorer(examples, writer.vocabulary.tokenizer)
    asked: tuple[int, ...] = VOTED_SIZES if options.consensus else BEAM_SIZES
    if setting_of(options, 1).keys() <= named:
        asked = ()
    sizes = sorted({*(size for size in asked if size % options.groups == 0), options.searched_beams})
    scores: dict[tuple[int, float], Mapping[str, float]] = {}
    for size in sizes:
        penalties = _penalties(size, options, named)
        own = validate(DecodingOptions, {**options.model_dump(), **setting_of(options, size)})
        texts = _texts(writer, read_features, examples, own, penalties, progress)
        for penalty, captions in zip(penalties, texts, strict=True):
            scores[size, penalty] = scorer.cider_d_per_image(captions)
    fit, other = halves(examples)
    size = options.searched_beams
    before = (size, _penalties(1, options, named)[0] if size == 1 else options.length_penalty)
    trials = _compare(
        {setting: _of(found, fit) for setting, found in scores.items()},
        {setting: _of(found, other) for setting, found in scores.items()},
    )
    own_trial = next(trial for trial in trials if (trial.beam_size, trial.length_penalty) == before)
    return DecodingChoice(trials, own_trial, len(fit), len(other))


def setting_of(options: DecodingOptions, beam_size: int) -> dict[str, int]:
    """Return the options that make a search keep ``beam_size`` beams.

    Example:
        >>> setting_of(DecodingOptions(), 3), setting_of(DecodingOptions(consensus=40), 20)
        ({'beam_size': 3}, {'consensus_beams': 20})
    """
    return {"consensus_beams" if options.consensus else "beam_size": beam_size}


def _penalties(beam_size: int, options: DecodingOptions, named: frozenset[str] = frozenset()) -> list[float]:
    if options.consensus or "length_penalty" in named:
        return [options.length_penalty]
    return sorted({*LENGTH_PENALTIES, options.length_penalty}) if beam_size > 1 else [0.0]


def in_words(choice: DecodingChoice) -> str:
    """Say in one line what was chosen, and what it brings on the images it was not chosen by."""
    chosen, before = choice.chosen, choice.before
    told = f"beam size {chosen.beam_size}, length penalty {chosen.length_penalty:g}"
    if len(choice.trials) == 1:
        return f"decoding: {told}; there was nothing else to try"
    line = f"decoding: {told}, chosen on {choice.images:,} val images"
    if chosen == before:
        return f"{line}, as it was"
    return (
        f"{line}; CIDEr-D on {choice.other_images:,} others {chosen.other_cider_d:.1f}, "
        f"before {before.other_cider_d:.1f}"
    )


def _of(scores: Mapping[str, float], examples: Sequence[Example]) -> Floats:
    return np.array([scores[example.image_id] for example in examples])


def _compare(
    scores: Mapping[tuple[int, float], Floats], others: Mapping[tuple[int, float], Floats]
) -> tuple[DecodingTrial, ...]:
    """Compare settings by their scores per image, (N,) each; cheapest first."""
    settings = sorted(scores)
    best = max(settings, key=lambda setting: scores[setting].mean())
    behind = {setting: scores[best] - scores[setting] for setting in settings}
    errors = {setting: standard_error(gap) for setting, gap in behind.items()}
    good = [setting for setting in settings if behind[setting].mean() <= errors[setting] + _ROUNDING]
    # Penalties cost the same: of those of the smallest beam that is good enough, the best.
    smallest = [setting for setting in good if setting[0] == good[0][0]]
    chosen = max(smallest, key=lambda setting: scores[setting].mean())
    return tuple(
        DecodingTrial(
            *setting,
            cider_d=float(scores[setting].mean()),
            other_cider_d=float(others[setting].mean()),
            behind=float(behind[setting].mean()),
            standard_error=errors[setting],
            chosen=setting == chosen,
        )
        for setting in settings
    )


def _texts(
    writer: Writer,
    read_features: ReadFeatures,
    examples: Sequence[Example],
    options: DecodingOptions,
    penalties: Sequence[float],
    progress: Progress,
) -> list[dict[str, str]]:
    """Return for each penalty image_id → caption, as it is scored."""
    if options.beam_size == 1 or options.consensus:
        return [texts_of(caption_examples(writer, read_features, examples, options, progress))]
    vocabulary = writer.vocabulary
    texts: list[dict[str, str]] = [{} for _ in penalties]
    groups = Groups(options.groups, options.diversity)
    settings = Settings(options.beam_size, 1, NEVER_WRITTEN, filters_of(options, vocabulary), groups)
    ids = (START_ID, END_ID, options.max_length)
    with progress.stage(f"captioning with {options.beam_size} beams", len(examples), "images") as stage:
        for at in range(0, len(examples), options.batch_size):
            batch = examples[at : at + options.batch_size]
            features = np.asarray(read_features([example.digest for example in batch]), np.float32)
            found = beam_per_penalty(writer.model, features, *ids, penalties, settings)
            for captions, results in zip(texts, found, strict=True):
                for example, (best,) in zip(batch, results, strict=True):
                    captions[example.image_id] = strip_markers(vocabulary.text(best.token_ids))
            stage.advance(len(batch))
    return texts
