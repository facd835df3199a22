"""Everything an evaluation measures on the images of one split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from cutline.captioner import Captioner
from cutline.config import DataOptions, DecodingOptions, TextOptions
from cutline.data.feature_store import FeatureStore
from cutline.decoding.ensemble import pack
from cutline.ensembles import EnsembleSession
from cutline.evaluation import (
    Circumstances,
    Setting,
    caption_lists,
    compare_with_others,
    fingerprint_of,
    looking_test,
    make_scorer,
    most_common_caption,
    plain_captions,
    references_of,
    scoring_tokens,
    texts_of,
)
from cutline.evaluation.slices import slices
from cutline.evaluation.teacher_forcing import teacher_forced
from cutline.metrics import measure_diversity, strip_markers
from cutline.progress import Progress
from cutline.recipes.confidence import add_confidences
from cutline.recipes.domain import add_unlike
from cutline.recipes.extract import feature_reader
from cutline.records import (
    HUMAN,
    Dataset,
    Diversity,
    EvaluationResult,
    Example,
    Hypothesis,
    LookingTest,
    Slice,
)


@dataclass(frozen=True)
class ModelOptions:
    """The option groups that matter to an evaluation: as the model was trained with, plus overrides."""

    data: DataOptions
    text: TextOptions
    decoding: DecodingOptions


@dataclass(frozen=True)
class Subject:
    """What is evaluated on what.

    Attributes:
        captioner: The model.
        options: Its options.
        split: Name of the split.
        dataset: The images of the split, readable and encoded, at least one.
        training: The images the model was trained on with their captions, encoded; empty when they are
            not at hand.
        stores: Hold the features of both: one for each different encoder of the model.
        notes: What could not be measured and why, as far as it is known.
    """

    captioner: Captioner
    options: ModelOptions
    split: str
    dataset: Dataset
    training: Sequence[Example]
    stores: Sequence[FeatureStore]
    notes: tuple[str, ...] = ()

    def read(self, digests: Sequence[str]) -> NDArray[Any]:
        """Return the features of images, those of the first encoder."""
        return feature_reader(self.stores[0])(digests)

    def read_all(self, digests: Sequence[str]) -> NDArray[Any]:
        """Return the features of images as the model's session takes them."""
        parts = [feature_reader(store)(digests) for store in self.stores]
        return parts[0] if len(parts) == 1 else pack(parts)

    def caption(self, examples: Sequence[Example], progress: Progress) -> dict[str, list[Hypothesis]]:
        """Return image_id → hypotheses, best first."""
        return caption_lists(self.captioner.writer, self.read_all, examples, self.options.decoding, progress)

    def training_captions(self) -> list[str]:
        """Return the captions the model was trained on, without markers."""
        return [caption for example in self.training for caption in plain_captions(example)]


def measure(subject: Subject, progress: Progress) -> EvaluationResult:
    """Caption the images, score the captions, and measure all that says what the scores mean.

    Args:
        subject: Model and images.
        progress: Told about every stage.

    Returns:
        Scores with intervals, baselines, looking test, slices, diversity, teacher-forced figures, and
        confidences and images unlike the training images where the model can tell; no learning curve.
    """
    examples = subject.dataset.examples
    lists = subject.caption(examples, progress)
    result = _measure_captions(subject, lists, progress)
    best = {image_id: found[0] for image_id, found in lists.items()}
    result = add_confidences(result, subject.captioner, subject.read, examples, best, progress)
    result = add_unlike(result, subject.captioner.bundle, subject.read, examples)
    ensemble = isinstance(subject.captioner.session, EnsembleSession)
    return replace(result, notes=(*subject.notes, *_notes(result, ensemble)))


def _measure_captions(
    subject: Subject, lists: Mapping[str, Sequence[Hypothesis]], progress: Progress
) -> EvaluationResult:
    """Measure all but the confidences."""
    dataset, setting, texts = subject.dataset, _setting(subject), _best(lists)
    loss, accuracy = _teacher_forced(subject)
    diversity = measure_diversity(
        list(texts.values()), setting.tokens.tokenise, subject.training_captions() or None, _several(lists)
    )
    return EvaluationResult(
        split=subject.split,
        scores=setting.scorer.score(texts, intervals=True, facts=setting.facts),
        baselines=compare_with_others(setting, texts, _common_caption(subject), progress),
        diversity=diversity,
        looking=_looking(subject, setting, texts, diversity, loss, progress),
        slices=_slices(subject, setting, texts),
        loss=loss,
        word_accuracy=accuracy,
        captions=texts,
        references=references_of(dataset.examples),
        images={example.image_id: example.image for example in dataset.examples},
        model=subject.captioner.bundle.folder,
        data_fingerprint=dataset.fingerprint(),
        image_scores=setting.scorer.cider_d_per_image(texts),
        decoding=setting.facts["decoding"],
        problems=dataset.problems,
    )


def _common_caption(subject: Subject) -> str:
    known = subject.captioner.bundle.details.get("most_common_caption")
    examples = subject.training or subject.dataset.examples
    return str(known or most_common_caption(examples, subject.captioner.vocabulary.tokenizer))


def _looking(
    subject: Subject,
    setting: Setting,
    texts: Mapping[str, str],
    diversity: Diversity,
    loss: float,
    progress: Progress,
) -> LookingTest | None:
    epoch = subject.captioner.bundle.details.get("epoch", 0)
    return looking_test(
        subject.dataset.examples,
        texts,
        lambda some: _best(subject.caption(some, progress)),
        setting.scorer,
        subject.read,
        Circumstances(diversity, epoch, _share_of_worst(loss, subject)),
    )


def _slices(subject: Subject, setting: Setting, texts: Mapping[str, str]) -> tuple[Slice, ...]:
    return slices(
        subject.dataset.examples,
        texts,
        setting.scorer,
        subject.captioner.vocabulary,
        training=subject.training_captions(),
        group_name=subject.dataset.group_column,
    )


def _setting(subject: Subject) -> Setting:
    examples, tokenizer = subject.dataset.examples, subject.captioner.vocabulary.tokenizer
    facts = {
        "decoding": ", ".join([*_members(subject), describe_decoding(subject.options.decoding)]),
        "split": subject.split,
        "data": fingerprint_of(examples),
    }
    tokens = scoring_tokens(tokenizer, (caption for e in examples for caption in plain_captions(e)))
    return Setting(examples, subject.training, subject.read, tokens, make_scorer(examples, tokenizer), facts)


def _members(subject: Subject) -> list[str]:
    session = subject.captioner.session
    return [f"{len(session.members)} models together"] if isinstance(session, EnsembleSession) else []


def _best(lists: Mapping[str, Sequence[Hypothesis]]) -> dict[str, str]:
    return texts_of({image_id: found[0] for image_id, found in lists.items()})


def _several(lists: Mapping[str, Sequence[Hypothesis]]) -> dict[str, list[str]]:
    return {image_id: [strip_markers(one.text) for one in found] for image_id, found in lists.items()}


def _share_of_worst(loss: float, subject: Subject) -> float:
    return loss / math.log(subject.captioner.bundle.vocabulary_size)


def _notes(result: EvaluationResult, ensemble: bool) -> list[str]:
    """Say what is missing and why."""
    notes = []
    if result.baseline(HUMAN) is None:
        notes.append("no score of people: every image has a single reference")
    if result.looking is None:
        notes.append("no looking test: there is only one image, so none to exchange its features with")
    if not result.confidences and ensemble:
        notes.append("no confidence: it is fitted to the captions of one model and holds for no others")
    elif not result.confidences:
        notes.append(
            "no confidence: the model carries none; training fits it at its end, on 60 val images or more"
        )
    if result.unlike_training is None and not ensemble:
        notes.append(
            "images unlike the training images are not told apart: the model carries nothing to do it with; "
            "training makes it at its end, of 100 train and 66 val images or more"
        )
    return notes


def _teacher_forced(subject: Subject) -> tuple[float, float]:
    """Return loss (nats per token) and word accuracy with the reference token as the next input."""
    length, vocabulary = subject.options.text.max_length, subject.captioner.vocabulary
    session = subject.captioner.session
    return teacher_forced(session, subject.read_all, subject.dataset.examples, vocabulary, length)


def describe_decoding(options: DecodingOptions) -> str:
    """Name the way of decoding and everything that is not at its default."""
    parts = [*_way(options), *_consensus(options), f"at most {options.max_length} tokens"]
    if options.min_length:
        parts.append(f"at least {options.min_length}")
    if options.no_repeat_ngram:
        parts.append(f"no {options.no_repeat_ngram} tokens in a row twice")
    if not options.end_in_function_word:
        parts.append("no English function word at the end")
    return ", ".join(parts)


def _way(options: DecodingOptions) -> list[str]:
    if options.temperature:
        parts = ["sampling", f"temperature {options.temperature:g}", f"seed {options.seed}"]
        parts += [f"top {options.top_k}"] if options.top_k else []
        return parts + ([f"top share {options.top_p:g}"] if options.top_p < 1 else [])
    if options.searched_beams == 1:
        return ["greedy"]
    parts = ["beam search", f"beam size {options.searched_beams}"]
    if options.groups > 1:
        parts.append(f"{options.groups} groups of diversity {options.diversity:g}")
    return [*parts, f"length penalty {options.length_penalty:g}"]


def _consensus(options: DecodingOptions) -> list[str]:
    if not options.consensus:
        return []
    learned = "what was learned of the training captions"
    asked = f"the captions of the {options.consensus} nearest training images"
    by = {"learned": learned, "neighbours": asked, "both": f"{learned} and {asked}"}[options.consensus_by]
    draws = f" and {options.consensus_draws} draws" if options.consensus_draws else ""
    weights = (
        f"likelihood {options.consensus_likelihood:g} (length penalty {options.consensus_length_penalty:g})"
    )
    if options.consensus_own and options.consensus_draws:
        weights += f", the draws {options.consensus_own:g}"
    if options.consensus_rarity:
        weights += f", rarest word {options.consensus_rarity:g}"
    return [f"chosen from these{draws} by {by}, {weights}"]
