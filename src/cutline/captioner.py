"""The captioner: a trained model that writes captions for images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecodingOptions, validate
from cutline.data.reading_ahead import batch_sizes, read_ahead
from cutline.decoding import StepModel, agreement, rescore, sample
from cutline.ensembles import EnsembleSession, Pixels, encode_images, read_image, together, voters_of
from cutline.errors import ConfigError, ImageError
from cutline.explaining import explain
from cutline.records import CaptionedImage, Explanation, Hypothesis
from cutline.runtime import Bundle, Session, load_bundle
from cutline.runtime.bundle import find_bundle
from cutline.runtime.confidence import Confidence, TrainingFeatures
from cutline.runtime.sessions import load_with_session
from cutline.text.vocabulary import END_ID, START_ID
from cutline.wishes import NEVER_WRITTEN, NO_WISHES, Wishes, filters_of
from cutline.writing import Writer, check_n_best

_SAMPLES: Final = 4
# An end marker that the model thinks impossible must not turn a mean into infinity.
_LEAST: Final = -30.0

Image = Any
"""A path, the bytes of an image file, a Pillow image, or an array (H, W, 3) of uint8."""


def measure_signals(
    model: StepModel[Any],
    features: NDArray[Any],
    captions: Sequence[Sequence[int]],
    training: TrainingFeatures,
    max_length: int,
) -> NDArray[np.float64]:
    """Measure what tells good captions from bad ones.

    The model reads each caption and draws four of its own, always the same four for the same image; neither
    depends on how the caption was found nor on the images beside it.

    Args:
        model: The step model.
        features: (B, ...), float.
        captions: Token ids of one caption per image, without markers.
        training: Summary of the training images' features.
        max_length: Most tokens in the captions that are drawn.

    Returns:
        (B, 5), columns as in :data:`cutline.runtime.confidence.SIGNALS`.
    """
    features = np.asarray(features, np.float32)
    read = rescore(model, features, captions, START_ID, END_ID)
    drawn = sample(model, features, START_ID, END_ID, max_length, samples=_SAMPLES, forbidden=NEVER_WRITTEN)
    likeness = [
        agreement(caption, [other.token_ids for other in others])
        for caption, others in zip(captions, drawn, strict=True)
    ]
    return np.column_stack(
        [
            [np.maximum(scores.log_probabilities, _LEAST).mean() for scores in read],
            [scores.entropies.mean() for scores in read],
            likeness,
            *training.measure(features),
        ]
    )


def with_confidence(
    model: StepModel[Any],
    features: NDArray[Any],
    hypotheses: Sequence[Sequence[Hypothesis]],
    confidence: Confidence,
    max_length: int,
) -> list[list[Hypothesis]]:
    """Say of the best hypothesis of each image how probable it is that it is acceptable.

    Args:
        model: The step model.
        features: (B, ...), float, from which the hypotheses were written.
        hypotheses: At least one per image, best first.
        confidence: From the model's bundle.
        max_length: As in :func:`measure_signals`.

    Returns:
        The same hypotheses, the first of each image with its ``confidence``.
    """
    captions = [found[0].token_ids for found in hypotheses]
    signals = measure_signals(model, features, captions, confidence.training, max_length)
    return [
        [replace(found[0], confidence=probability), *found[1:]]
        for found, probability in zip(hypotheses, confidence.probabilities(signals).tolist(), strict=True)
    ]


def with_domain(
    hypotheses: Sequence[Sequence[Hypothesis]], features: NDArray[Any], bundle: Bundle
) -> list[list[Hypothesis]]:
    """Say of each image whether it is unlike the training images, as far as the bundle can tell.

    Args:
        hypotheses: At least one per image, best first.
        features: (B, ...), float, from which the hypotheses were written.
        bundle: The model's.

    Returns:
        The same hypotheses, the first of each image with its ``unlike_training``.
    """
    if bundle.domain is None:
        return [list(found) for found in hypotheses]
    flags = bundle.domain.unlike(features).tolist()
    return [
        [replace(found[0], unlike_training=unlike), *found[1:]]
        for found, unlike in zip(hypotheses, flags, strict=True)
    ]


def require_voters(bundle: Bundle, options: DecodingOptions) -> None:
    """Raise ConfigError where options ask for a consensus and the bundle carries nobody to vote."""
    if not options.consensus:
        return
    if not bundle.has_voters:
        raise ConfigError(
            f"decoding.consensus is {options.consensus}, but the model carries no captions of training "
            "images, and nothing learned from them; train it with training.keep_captions=true (--resume adds "
            "them to a run), or set it to 0"
        )
    if options.consensus_by == "neighbours" and bundle.neighbours is None:
        raise ConfigError(
            "decoding.consensus_by is 'neighbours', but the model carries no captions of training images; "
            "train it with training.keep_captions=true (--resume adds them to a run), or set it to 'learned'"
        )
    if options.consensus_by == "learned" and bundle.expected is None:
        raise ConfigError(
            "decoding.consensus_by is 'learned', but the model carries nothing learned from its training "
            "captions; cutline train --resume adds it to a run of enough images, or set it to 'neighbours'"
        )


def with_its_voters(bundle: Bundle, options: DecodingOptions) -> DecodingOptions:
    """Return options that say which voters a bundle carries of those asked for; no consensus without any."""
    if not bundle.has_voters:
        # As the bundle of a run that was stopped before its end: captions are then the most probable ones.
        return options.model_copy(update={"consensus": 0})
    if bundle.expected is None or bundle.neighbours is None:
        carried = "learned" if bundle.neighbours is None else "neighbours"
        return options.model_copy(update={"consensus_by": carried})
    return options


class Captioner:
    """Writes captions for images with a trained model.

    Example (with a run folder at hand)::

        captioner = Captioner.load("runs/first")
        captioner.caption("new.jpg")[0].text
    """

    def __init__(self, bundle: Bundle, session: Session, wishes: Wishes = NO_WISHES) -> None:
        """Take a loaded bundle and a session that computes with it; :meth:`load` does both."""
        self.bundle = bundle
        self.session = session
        self.vocabulary = bundle.vocabulary
        self.wishes = wishes
        self.writer = Writer(session, bundle.vocabulary, voters_of(bundle, session))

    @classmethod
    def load(cls, model: str | Path | Sequence[str | Path]) -> Captioner:
        """Load a run folder, a bundle or a model that comes along, or several that caption together.

        Args:
            model: One model, a path or a name that ``cutline models`` lists; or models that share a
                vocabulary: their probabilities are averaged at every step, each looks with its own encoder,
                the options are those of the first, and captions have no confidence.

        Raises:
            BundleError: There is no bundle, it is damaged, or vocabularies differ.
            MissingDependencyError: The runtime's package is not installed.
            ConfigError: The list of models is empty.
        """
        models = [model] if isinstance(model, (str, Path)) else model
        folders = [find_bundle(Path(one)) for one in models]
        if len(folders) == 1:
            return cls(*load_with_session(folders[0]))
        bundles = [load_bundle(folder, weights=False) for folder in folders]
        session = EnsembleSession.open(bundles)
        return cls(together(bundles), session)

    def without_confidence(self) -> Captioner:
        """Return one that writes the same captions and does not say how sure it is, which is faster."""
        return self._changed(replace(self.bundle, confidence=None), self.wishes)

    def with_wishes(self, wishes: Wishes) -> Captioner:
        """Return one that writes captions as they are wished for.

        Raises:
            ConfigError: The wishes contradict each other, a required word is not known, or a consensus is
                wished for and the model carries no captions of training images.
        """
        options = wishes.options(self.bundle.decoding)
        if wishes.decoding.get("consensus") or "consensus_by" in wishes.decoding:
            require_voters(self.bundle, options)
        filters_of(options, self.vocabulary, wishes)
        return self._changed(self.bundle, wishes)

    def _changed(self, bundle: Bundle, wishes: Wishes) -> Captioner:
        changed = Captioner(bundle, self.session, wishes)
        # What the voters have counted is counted once.
        changed.writer = self.writer
        return changed

    def caption(self, image: Image, beam_size: int | None = None, n_best: int = 1) -> list[Hypothesis]:
        """Caption one image.

        Args:
            image: Path, bytes, Pillow image, or uint8 array (H, W, 3).
            beam_size: Beams kept; the bundle's default when None (at least ``n_best``).
            n_best: Hypotheses wanted, 1 to ``beam_size``.

        Returns:
            ``n_best`` hypotheses, best first; the best with a confidence, and whether the image is unlike the
            training images, as far as the bundle can tell.

        Raises:
            ImageError: The image cannot be read.
            ConfigError: ``beam_size`` or ``n_best`` is out of range.
        """
        options = self._options(beam_size, n_best)
        features = encode_images(self.session, [read_image(self.session, image)])
        return self._write(features, options, n_best)[0]

    def explain(self, image: Image, beam_size: int | None = None) -> Explanation:
        """Caption one image and say why: word by word what else was possible and where the model looked.

        Args:
            image: As for :meth:`caption`.
            beam_size: As for :meth:`caption`.

        Returns:
            The caption that :meth:`caption` gives, with its steps; training images like this one when the
            bundle carries them.

        Raises:
            ImageError: The image cannot be read.
            ConfigError: ``beam_size`` is out of range, or several models caption together.
        """
        if isinstance(self.session, EnsembleSession):
            raise ConfigError("several models look at different things; explain the caption of one of them")
        options = self._options(beam_size, 1)
        size = self.session.input_size
        features = encode_images(self.session, [read_image(self.session, image)])
        ((hypothesis,),) = self._write(features, options, 1)
        return explain(
            self.session,
            features,
            hypothesis,
            self.vocabulary,
            size,
            image=str(image) if isinstance(image, str | Path) else "",
            neighbours=self.bundle.neighbours,
        )

    def caption_all(
        self, images: Iterable[str], beam_size: int | None = None, n_best: int = 1
    ) -> Iterator[CaptionedImage]:
        """Caption many image files, in order; threads decode what comes next.

        A batch for each core, eight at the most, is captioned at the same time where the session allows it;
        images of one batch more are decoded ahead. One image that cannot be read gives a record with its
        error and never stops the others. Memory does not grow with the number of images.

        Args:
            images: Paths.
            beam_size: As for :meth:`caption`.
            n_best: As for :meth:`caption`.

        Raises:
            ConfigError: ``beam_size`` or ``n_best`` is out of range; at once, not with the first record.
        """
        count = len(images) if isinstance(images, Sized) else None
        return self._caption_batches(iter(images), count, self._options(beam_size, n_best), n_best)

    def _caption_batches(
        self, paths: Iterator[str], count: int | None, options: DecodingOptions, n_best: int
    ) -> Iterator[CaptionedImage]:
        # A product of a few rows keeps one core busy and a second one waiting.
        at_once = getattr(self.session, "side_by_side", 1)
        sizes = batch_sizes(count, options.batch_size, at_once)
        caption = partial(self._caption_batch, options=options, n_best=n_best)
        # Closed at once when a caller stops early, so that no thread works on.
        with closing(read_ahead(partial(read_image, self.session), paths, options.batch_size)) as images:
            batches = iter(lambda: list(islice(images, next(sizes, options.batch_size))), [])
            with closing(read_ahead(caption, batches, at_once - 1, at_once)) as captioned:
                for _, records in captioned:
                    yield from records.result()

    def _caption_batch(
        self, batch: Sequence[tuple[str, Future[Pixels]]], options: DecodingOptions, n_best: int
    ) -> list[CaptionedImage]:
        pixels: dict[int, Pixels] = {}
        errors: dict[int, str] = {}
        for index, (_, decoding) in enumerate(batch):
            try:
                pixels[index] = decoding.result()
            except ImageError as error:
                errors[index] = str(error)
        written: dict[int, list[Hypothesis]] = {}
        if pixels:
            features = encode_images(self.session, list(pixels.values()))
            written = dict(zip(pixels, self._write(features, options, n_best), strict=True))
        return [
            CaptionedImage(path, tuple(written.get(index, ())), errors.get(index))
            for index, (path, _) in enumerate(batch)
        ]

    def _write(self, features: NDArray[Any], options: DecodingOptions, n_best: int) -> list[list[Hypothesis]]:
        found = with_domain(self.writer.write(features, options, n_best, self.wishes), features, self.bundle)
        confidence = self.bundle.confidence
        if confidence is None:
            return found
        # Signals are measured as when the confidence was fitted, however captions are searched for today.
        return with_confidence(self.session, features, found, confidence, self.bundle.decoding.max_length)

    def _options(self, beam_size: int | None, n_best: int) -> DecodingOptions:
        # A run that was stopped wants a consensus and has no voters yet: its search is the plain one.
        defaults = with_its_voters(self.bundle, self.wishes.options(self.bundle.decoding))
        size = beam_size
        if size is None and not defaults.temperature and n_best > defaults.searched_beams:
            size = -(-n_best // defaults.groups) * defaults.groups
        # Who names a beam size has it, whatever a consensus would search.
        asked = {} if size is None else {"beam_size": size, "consensus_beams": 0}
        options = validate(DecodingOptions, {**defaults.model_dump(), **asked})
        check_n_best(n_best, options)
        return options
