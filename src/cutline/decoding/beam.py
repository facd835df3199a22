"""Beam search: the K most probable beginnings of a caption are kept at every step.

A beam that writes the end marker leaves the beam for the finished captions, and its place is taken by the
next best beginning, so that K beginnings are followed until the search stops.

When it stops. Without length penalty the search for an image stops as soon as its ``n_best`` finished
captions are all at least as probable as the best beginning: log-probabilities only fall, so going on could
not change the result. With a length penalty a longer caption may overtake; the search then goes on until K
captions are finished and the best beginning, divided by its present length ** penalty, is no better than the
worst of them. That is a rule of thumb: a much longer caption could in principle still overtake.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.filters import NO_FILTERS, Filters
from cutline.decoding.rules import Rules
from cutline.decoding.step_model import DecodeResult, State, StepModel
from cutline.errors import ConfigError


def beam(
    model: StepModel[State],
    features: NDArray[Any],
    start_id: int,
    end_id: int,
    max_length: int,
    beam_size: int = 3,
    length_penalty: float = 0.0,
    n_best: int = 1,
    forbidden: Sequence[int] = (),
    filters: Filters = NO_FILTERS,
) -> list[list[DecodeResult]]:
    """Write the best captions for each image, all images and beams side by side.

    Args:
        model: Gives log-probabilities; see :class:`StepModel`.
        features: What the encoder gave for B images, (B, ...); B may be 0.
        start_id: The token a caption starts from.
        end_id: The token that ends a caption.
        max_length: Most tokens in a caption; one that gets there is returned as it is, without the end
            marker in its log-probability, and competes with the finished ones.
        beam_size: Beginnings kept, K; 1 is greedy decoding.
        length_penalty: Captions are ranked by log-probability / length ** penalty, the end marker counted
            in the length; 0 ranks by log-probability, 1 by its mean over tokens.
        n_best: Captions returned for each image, 1 to K; fewer when the model allows fewer.
        forbidden: Ids never written.
        filters: Further limits; every caption keeps to them.

    Returns:
        For each image, in order, distinct captions, best first.

    Raises:
        ConfigError: A number is out of range, the end marker is forbidden, or filters contradict each other.
    """
    rules = Rules(filters, end_id, max_length, forbidden)
    _check_beams(beam_size, length_penalty, n_best)
    images = len(features)
    if images == 0:
        return []
    finished = [_Finished(beam_size, n_best, length_penalty) for _ in range(images)]
    search = _Search(end_id, beam_size, rules, finished)
    beams = _Beams.begin(images)
    state = model.start(features)
    for length in range(1, max_length + 1):
        log_probabilities, state = model.step(beams.last_tokens(start_id), state)
        beams, rows = search.advance(beams, log_probabilities)
        if length == max_length:
            search.collect(beams, range(len(beams.images)))
            break
        still_open = search.still_open(beams)
        if not still_open:
            break
        # Images whose search is over cost nothing from here on.
        beams = beams.take_images(still_open)
        state = model.reorder(state, rows[still_open].reshape(-1))
    return [captions.best() for captions in finished]


@dataclass
class _Finished:
    """The best captions of one image so far, best first; as many as there are beams."""

    beam_size: int
    n_best: int
    length_penalty: float
    ranked: list[tuple[float, DecodeResult]] = field(default_factory=list)

    def rank(self, log_probability: float, length: int) -> float:
        return log_probability / float(max(length, 1) ** self.length_penalty)

    def add(self, token_ids: NDArray[np.int32], logs: NDArray[np.float64]) -> None:
        result = DecodeResult.of(token_ids.tolist(), logs.tolist())
        if any(result == known for _, known in self.ranked):
            return  # cut back to the same words
        self.ranked.append((self.rank(result.log_probability, len(logs)), result))
        self.ranked.sort(key=lambda entry: -entry[0])
        del self.ranked[self.beam_size :]

    def settled(self, best_beginning: float, length: int) -> bool:
        """Whether the search may stop; see the head of the module."""
        wanted = self.beam_size if self.length_penalty else self.n_best
        if best_beginning == -np.inf:
            return True
        return len(self.ranked) >= wanted and self.rank(best_beginning, length) <= self.ranked[wanted - 1][0]

    def best(self) -> list[DecodeResult]:
        return [result for _, result in self.ranked[: self.n_best]]


@dataclass
class _Beams:
    """Beginnings of captions: A images that are not done, W beams each, T tokens written."""

    images: NDArray[np.int64]  # (A,) place in the features
    totals: NDArray[np.float64]  # (A, W) log-probability, best first; -inf where there is no beam
    tokens: NDArray[np.int32]  # (A, W, T)
    logs: NDArray[np.float64]  # (A, W, T)

    @classmethod
    def begin(cls, images: int) -> _Beams:
        empty = np.zeros((images, 1, 0))
        return cls(np.arange(images), np.zeros((images, 1)), empty.astype(np.int32), empty)

    def last_tokens(self, start_id: int) -> NDArray[np.int32]:
        if self.tokens.shape[2]:
            return self.tokens[:, :, -1].reshape(-1)
        return np.full(self.totals.size, start_id, np.int32)

    def grown(
        self,
        parents: NDArray[np.int64],
        tokens: NDArray[np.int64],
        logs: NDArray[np.float32],
        totals: NDArray[np.float64],
    ) -> _Beams:
        """Return beams that are one token longer; all arguments are (A, W')."""
        rows = np.arange(len(self.images))[:, None]
        return _Beams(
            self.images,
            totals,
            np.concatenate([self.tokens[rows, parents], tokens[:, :, None].astype(np.int32)], axis=2),
            np.concatenate([self.logs[rows, parents], logs[:, :, None]], axis=2),
        )

    def take_images(self, places: list[int]) -> _Beams:
        return _Beams(self.images[places], self.totals[places], self.tokens[places], self.logs[places])

    def take_beams(self, ranks: NDArray[np.int64]) -> _Beams:
        rows = np.arange(len(self.images))[:, None]
        return _Beams(self.images, self.totals[rows, ranks], self.tokens[rows, ranks], self.logs[rows, ranks])


@dataclass(frozen=True)
class _Search:
    """One search over many images: what may be written, and where finished captions go."""

    end_id: int
    beam_size: int
    rules: Rules
    finished: list[_Finished]

    def advance(
        self, beams: _Beams, log_probabilities: NDArray[np.float32]
    ) -> tuple[_Beams, NDArray[np.int64]]:
        """Write one token in every beam; returns the new beams and the old row of each, (A, W)."""
        count, width = beams.totals.shape
        steps = log_probabilities.reshape(count, width, -1)
        totals = beams.totals[:, :, None] + steps
        self.rules.strike(totals.reshape(count * width, -1), beams.tokens.reshape(count * width, -1))
        # At most one end marker per beam: twice K candidates always hold K that go on.
        chosen = _best_first(totals.reshape(count, -1), 2 * self.beam_size)
        rows = np.arange(count)[:, None]
        parents, tokens = np.divmod(chosen, steps.shape[2])
        longer = beams.grown(parents, tokens, steps[rows, parents, tokens], totals[rows, parents, tokens])
        self._give_up(beams, np.flatnonzero(longer.totals[:, 0] == -np.inf))
        ends = tokens == self.end_id
        for place, rank in np.argwhere(ends[:, : self.beam_size]):
            self._add(longer, place, rank, written=-1)
        longer.totals[ends] = -np.inf
        going_on = np.argsort(ends, axis=1, kind="stable")[:, : self.beam_size]
        return longer.take_beams(going_on), rows * width + parents[rows, going_on]

    def still_open(self, beams: _Beams) -> list[int]:
        """Return the places of the images whose search must go on."""
        length = beams.tokens.shape[2]
        best = zip(beams.images, beams.totals[:, 0], strict=True)
        return [
            place
            for place, (image, total) in enumerate(best)
            if not self.finished[image].settled(total, length)
        ]

    def collect(self, beams: _Beams, places: Iterable[int]) -> None:
        """Take the beams of some images as captions although they have no end marker."""
        for place in places:
            for rank in range(beams.totals.shape[1]):
                self._add(beams, place, rank)

    def _give_up(self, beams: _Beams, places: Iterable[int]) -> None:
        """Take beams that cannot go on as captions, cut back to where they may end."""
        for place in places:
            captions = self.finished[beams.images[place]]
            # What had to be cut back was not meant to end there: only where there is nothing better.
            unwanted = bool(captions.ranked)
            for rank in np.flatnonzero(beams.totals[place] > -np.inf):
                written = beams.tokens[place, rank]
                if self.rules.may_end(written[None])[0]:
                    captions.add(written, beams.logs[place, rank])
                elif not unwanted:
                    kept = self.rules.cut_back(written.tolist())
                    captions.add(written[:kept], beams.logs[place, rank, :kept])

    def _add(self, beams: _Beams, place: int, rank: int, written: int | None = None) -> None:
        if beams.totals[place, rank] > -np.inf:
            captions = self.finished[beams.images[place]]
            captions.add(beams.tokens[place, rank, :written], beams.logs[place, rank])


def _best_first(totals: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """Return, per row, the places of the highest totals, best first; of equal ones the first places."""
    size = totals.shape[1]
    if wanted >= size:
        return np.argsort(-totals, axis=1, kind="stable")
    chosen = np.sort(np.argpartition(totals, size - wanted, axis=1)[:, size - wanted :], axis=1)
    values = np.take_along_axis(totals, chosen, axis=1)
    best = np.take_along_axis(chosen, np.argsort(-values, axis=1, kind="stable"), axis=1)
    # Which of several equal totals a partition keeps depends on the processor: decide those rows anew.
    least = values.min(axis=1, keepdims=True)
    for row in np.flatnonzero(((totals >= least).sum(axis=1) > wanted) & (least[:, 0] > -np.inf)):
        best[row] = np.argsort(-totals[row], kind="stable")[:wanted]
    return best


def _check_beams(beam_size: int, length_penalty: float, n_best: int) -> None:
    if beam_size < 1:
        raise ConfigError(f"beam_size is {beam_size}; it must be 1 (greedy decoding) or more")
    if not 1 <= n_best <= beam_size:
        raise ConfigError(f"n_best is {n_best}; it must be 1 to beam_size, which is {beam_size}")
    if not length_penalty >= 0:
        raise ConfigError(f"length_penalty is {length_penalty}; it must be 0 or more")
