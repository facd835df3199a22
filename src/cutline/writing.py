"""Writing captions for features: the way that the options and wishes ask for, then text.

Greedily, by beam search or by drawing the most probable caption is taken, or, by consensus, the one among
several that the captions of training images agree with most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecodingOptions
from cutline.decoding import DecodeResult, Filters, Groups, Narrowing, StepModel, beam, greedy, sample
from cutline.errors import ConfigError
from cutline.records import Hypothesis
from cutline.text import Vocabulary
from cutline.text.glossary import Glossary
from cutline.text.vocabulary import END_ID, START_ID
from cutline.voters import Voters
from cutline.wishes import NEVER_WRITTEN, NO_WISHES, Wishes, filters_of

# Rows of a state that stand side by side at the most: in some models each holds the regions of its image.
_ROWS: Final = 640


@dataclass(frozen=True)
class Writer:
    """A model with what it needs to write, beside the features.

    Attributes:
        model: The step model.
        vocabulary: Turns ids into text.
        voters: Captions of training images, for choosing by consensus; None when they are not at hand: then
            the most probable caption is taken whatever the options say.
    """

    model: StepModel[Any]
    vocabulary: Vocabulary
    voters: Voters | None = None

    def write(
        self,
        features: NDArray[Any],
        options: DecodingOptions,
        n_best: int = 1,
        wishes: Wishes = NO_WISHES,
    ) -> list[list[Hypothesis]]:
        """Write captions.

        Args:
            features: (B, ...), float.
            options: Drawn at random with a ``temperature``; else greedy for ``beam_size`` 1, beam search
                above; with ``consensus``, what was found so and what was drawn beside it is put to the vote.
            n_best: Hypotheses per image, best first; at most ``beam_size`` where they are searched for. Drawn
                ones may be the same.
            wishes: What else is asked of captions. A preferred term is in a hypothesis' text alone.

        Returns:
            One list per image. Markers and ``<unk>`` are never written.

        Raises:
            ConfigError: ``n_best`` is below 1 or above the beam size, or the wishes cannot be fulfilled.
        """
        options = wishes.options(options)
        if self.voters is None:
            options = options.model_copy(update={"consensus": 0})
        check_n_best(n_best, options)
        filters = filters_of(options, self.vocabulary, wishes)
        glossary = Glossary(wishes.glossary, self.vocabulary.tokenizer)
        found: list[list[Hypothesis]] = []
        for at in range(0, len(features), options.batch_size):
            batch = np.asarray(features[at : at + options.batch_size], np.float32)
            found += [
                [self._hypothesis(result, glossary) for result in results]
                for results in self._results(batch, options, filters, n_best)
            ]
        return found

    def _results(
        self, features: NDArray[Any], options: DecodingOptions, filters: Filters, n_best: int
    ) -> list[list[DecodeResult]]:
        ids = (START_ID, END_ID, options.max_length)
        if options.temperature:
            narrowing = Narrowing(options.temperature, options.top_k, options.top_p)
            drawn = sample(
                self.model, features, *ids, n_best, options.seed, NEVER_WRITTEN, filters, narrowing
            )
            return [sorted(results, key=lambda result: -result.log_probability) for results in drawn]
        if options.consensus:
            return self._by_consensus(features, options, filters, n_best)
        return self._searched(features, options, filters, n_best)

    def _searched(
        self, features: NDArray[Any], options: DecodingOptions, filters: Filters, n_best: int
    ) -> list[list[DecodeResult]]:
        ids = (START_ID, END_ID, options.max_length)
        # Required words need a search even where one beam is wanted: greedily they would come last.
        if options.searched_beams == 1 and not filters.required:
            return [[result] for result in greedy(self.model, features, *ids, NEVER_WRITTEN, filters)]
        return [
            results
            for part in _parts(features, options.searched_beams)
            for results in beam(
                self.model,
                part,
                *ids,
                beam_size=options.searched_beams,
                length_penalty=options.length_penalty,
                n_best=n_best,
                forbidden=NEVER_WRITTEN,
                filters=filters,
                groups=Groups(options.groups, options.diversity),
            )
        ]

    def _by_consensus(
        self, features: NDArray[Any], options: DecodingOptions, filters: Filters, n_best: int
    ) -> list[list[DecodeResult]]:
        """Take every beam and some draws, and sort them by votes, by probability and by their rarest word."""
        searched = self._searched(features, options, filters, options.searched_beams)
        drawn = self._drawn(features, options, filters)
        candidates = [_different([*own, *more]) for own, more in zip(searched, drawn, strict=True)]
        texts = [list(map(self._text, results)) for results in candidates]
        assert self.voters is not None
        votes = self.voters.votes(features, texts, options.consensus, options.consensus_by)
        if options.consensus_own:
            own_texts = [[self._text(result) for result in results if result.finished] for results in drawn]
            votes = _plus(votes, options.consensus_own, self.voters.agreement(texts, own_texts))
        if options.consensus_rarity:
            votes = _plus(votes, options.consensus_rarity, self.voters.rarity(texts))
        likelihoods = [_likelihoods(results, options.consensus_length_penalty) for results in candidates]
        votes = _plus(votes, options.consensus_likelihood, likelihoods)
        return [_sorted(results, own)[:n_best] for results, own in zip(candidates, votes, strict=True)]

    def _drawn(
        self, features: NDArray[Any], options: DecodingOptions, filters: Filters
    ) -> list[list[DecodeResult]]:
        draws = options.consensus_draws
        # Drawing cannot steer towards a word: hardly any draw would hold it.
        if not draws or filters.required:
            return [[] for _ in features]
        return [
            results
            for part in _parts(features, draws)
            for results in sample(
                self.model,
                part,
                START_ID,
                END_ID,
                options.max_length,
                draws,
                options.seed,
                NEVER_WRITTEN,
                filters,
            )
        ]

    def _text(self, result: DecodeResult) -> str:
        return " ".join(self.vocabulary.decode(result.token_ids))

    def _hypothesis(self, result: DecodeResult, glossary: Glossary) -> Hypothesis:
        tokens = tuple(self.vocabulary.decode(result.token_ids))
        return Hypothesis(
            text=self.vocabulary.tokenizer.detokenise(glossary.apply(tokens)),
            tokens=tokens,
            token_ids=result.token_ids,
            log_probability=result.log_probability,
        )


def _parts(features: NDArray[Any], rows: int) -> list[NDArray[Any]]:
    """Part images so that not too many rows stand side by side, ``rows`` of each image."""
    images = max(1, _ROWS // rows)
    return [features[at : at + images] for at in range(0, len(features), images)]


def check_n_best(n_best: int, options: DecodingOptions) -> None:
    """Raise ConfigError unless so many hypotheses can be asked for."""
    if n_best >= 1 and options.temperature:
        return
    beams = options.searched_beams
    if not 1 <= n_best <= beams:
        raise ConfigError(f"n_best is {n_best}, allowed is 1 to the beam size ({beams}); raise --beam-size")


def _different(results: Sequence[DecodeResult]) -> list[DecodeResult]:
    """Return the first result of each caption, in order; unfinished ones only where nothing else is left."""
    different = list({result.token_ids: result for result in reversed(results)}.values())[::-1]
    return [result for result in different if result.finished] or different


def _plus(
    values: Sequence[NDArray[np.float64]], weight: float, others: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    return [own + weight * other for own, other in zip(values, others, strict=True)]


def _likelihoods(results: Sequence[DecodeResult], length_penalty: float) -> NDArray[np.float64]:
    return np.array(
        [
            result.log_probability / max(len(result.token_log_probabilities), 1) ** length_penalty
            for result in results
        ]
    )


def _sorted(results: Sequence[DecodeResult], values: NDArray[np.float64]) -> list[DecodeResult]:
    # Equal values may differ in their last digits by the order of adding.
    order = np.argsort(-values.round(9), kind="stable")
    return [results[place] for place in order.tolist()]
