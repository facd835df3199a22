"""Beam search: the K most probable beginnings of a caption are kept at every step.

A beam that writes the end marker leaves the beam for the finished captions, and its place is taken by the
next best beginning, so that K beginnings are followed until the search stops.

The beginning that greedy decoding would write is always one of the K, in the last place if it would have no
other: so the best caption is never less probable than the greedy one, where captions are ranked by their
log-probability. ``benchmarks/beam_on_photos.py`` counts on photos. Required words and groups leave no such
place.

When it stops. Without length penalty the search for an image stops as soon as its ``n_best`` finished
captions are all at least as probable as the best beginning: log-probabilities only fall, so going on could
not change the result. With a length penalty a longer caption may overtake; the search then goes on until K
captions are finished and the best beginning, divided by its present length ** penalty, is no better than the
worst of them. That is a rule of thumb: a much longer caption could in principle still overtake.

How beginnings are chosen with required words and in groups: :mod:`cutline.decoding.choosing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.beams import Beams, Finished, PerPenalty, in_turn, side_by_side
from cutline.decoding.choosing import ONE_GROUP, Choice, Groups
from cutline.decoding.filters import NO_FILTERS, Filters
from cutline.decoding.next_tokens import NextTokens, next_tokens
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
    groups: Groups = ONE_GROUP,
) -> list[list[DecodeResult]]:
    """Write the best captions for each image, all images and beams side by side.

    Args:
        model: Gives log-probabilities; see :class:`StepModel`.
        features: What the encoder gave for B images, (B, ...); B may be 0.
        start_id: The token a caption starts from.
        end_id: The token that ends a caption.
        max_length: Most tokens in a caption; one that gets there is returned as it is, without the end
            marker in its log-probability, and competes with the finished ones.
        beam_size: Beginnings kept, K; 1 is greedy decoding. With required words K are kept for each number
            of their tokens that may be written, so each token required costs as much again.
        length_penalty: Captions are ranked by log-probability / length ** penalty, the end marker counted
            in the length; 0 ranks by log-probability, 1 by its mean over tokens.
        n_best: Captions returned for each image, 1 to K; fewer when the model allows fewer.
        forbidden: Ids never written.
        filters: Further limits; every caption keeps to them.
        groups: Beams in groups that avoid each other's words.

    Returns:
        For each image, in order, distinct captions, best first; with groups the best of each group, then the
        second of each, and so on.

    Raises:
        ConfigError: A number is out of range, the end marker is forbidden, or filters contradict each other.
    """
    settings = Settings(beam_size, n_best, forbidden, filters, groups)
    return beam_per_penalty(model, features, start_id, end_id, max_length, (length_penalty,), settings)[0]


@dataclass(frozen=True)
class Settings:
    """What :func:`beam` is given beside model, markers and length penalty; its defaults are those of beam."""

    beam_size: int = 3
    n_best: int = 1
    forbidden: Sequence[int] = ()
    filters: Filters = NO_FILTERS
    groups: Groups = ONE_GROUP


def beam_per_penalty(
    model: StepModel[State],
    features: NDArray[Any],
    start_id: int,
    end_id: int,
    max_length: int,
    length_penalties: Sequence[float],
    settings: Settings,
) -> list[list[list[DecodeResult]]]:
    """Search once for several length penalties.

    The beginnings that are followed do not depend on the penalty, only the ranking of finished captions and
    the moment at which a search stops do. So one search that goes on until none of the penalties needs it any
    more gives exactly what one search for each of them gives, at about the cost of the longest.

    Args:
        model: As for :func:`beam`, and so are the next four.
        features: (B, ...).
        start_id: The token a caption starts from.
        end_id: The token that ends a caption.
        max_length: Most tokens in a caption.
        length_penalties: P of them, at least one.
        settings: All else.

    Returns:
        For each penalty what :func:`beam` returns.

    Raises:
        ConfigError: As for :func:`beam`.
    """
    width, n_best, groups = settings.beam_size, settings.n_best, settings.groups
    rules = Rules(settings.filters, end_id, max_length, settings.forbidden)
    for penalty in length_penalties:
        _check_beams(width, penalty, n_best)
    groups.check(width)
    images = len(features)
    if images == 0:
        return [[] for _ in length_penalties]
    width, lanes = width // groups.count, images * groups.count
    # The best captions of two groups may be the same, so each group needs more than its share.
    wanted = n_best if groups.count == 1 else width
    finished = [
        PerPenalty([Finished(width, wanted, penalty) for penalty in length_penalties]) for _ in range(lanes)
    ]
    always = np.append(rules.required.token_ids, end_id)
    choice = Choice(width, end_id, groups, 1 + rules.required.size, always)
    search = _Search(end_id, choice, rules, finished)
    beams = Beams.begin(lanes)
    state = model.start(features)
    if groups.count > 1:
        state = model.reorder(state, beams.lanes // groups.count)
    for length in range(1, max_length + 1):
        following, state = search.step(model, state, beams, start_id)
        beams, rows = search.advance(beams, following)
        if length == max_length:
            search.collect(beams)
            break
        still_open = search.still_open(beams)
        if not still_open:
            break
        # Images whose search is over cost nothing from here on.
        beams = beams.take_lanes(still_open)
        state = model.reorder(state, rows[still_open].reshape(-1))
    return [
        _of_images([captions.each[at].best() for captions in finished], groups.count, n_best)
        for at in range(len(length_penalties))
    ]


def _of_images(lanes: list[list[DecodeResult]], groups: int, n_best: int) -> list[list[DecodeResult]]:
    if groups == 1:
        return lanes
    return [in_turn(lanes[at : at + groups], n_best) for at in range(0, len(lanes), groups)]


@dataclass(frozen=True)
class _Search:
    """One search in many lanes: what may be written, what is followed, where finished captions go."""

    end_id: int
    choice: Choice
    rules: Rules
    finished: list[PerPenalty]

    def step(self, model: StepModel[Any], state: Any, beams: Beams, start_id: int) -> tuple[NextTokens, Any]:
        """Ask the model what may come next: for the most probable tokens where those are enough."""
        last = beams.last_tokens(start_id)
        # At most one end marker comes with each beam, so twice as many tokens hold enough that go on.
        wanted = 2 * self.choice.width if self.choice.plain else None
        return next_tokens(model, state, last, self.rules, beams.tokens.shape[2], wanted)

    def advance(self, beams: Beams, following: NextTokens) -> tuple[Beams, NDArray[np.int64]]:
        """Write one token in every beam; returns the new beams and the old row of each, (A, W)."""
        count, width = beams.totals.shape
        steps = following.logs.reshape(count, width, -1)
        totals = beams.totals[:, :, None] + steps
        written = beams.tokens.reshape(count * width, -1)
        following.strike(self.rules, totals.reshape(count * width, -1), written)
        banks = np.zeros((count, 1, 1), np.int64)
        if self.choice.banks > 1:
            banks = self.rules.banks(written, steps.shape[2]).reshape(steps.shape)
        going_on = []
        stuck = np.ones(count, np.bool_)
        rows = np.arange(count)[:, None]
        pools = self.choice.pools(beams.lanes, totals, banks)
        greedy = self._greedy_among(pools[0], beams, totals)
        for bank, chosen in enumerate(pools):
            parents, places = np.divmod(chosen, steps.shape[2])
            tokens = following.tokens_at(rows * width + parents, places)
            longer = beams.grown(parents, tokens, steps[rows, parents, places], totals[rows, parents, places])
            if self.choice.banks > 1:
                # A bank that holds too few is filled up from the others: those are not followed here.
                longer.totals[banks[rows, parents, places] != bank] = -np.inf
            stuck &= longer.totals[:, 0] == -np.inf
            followed = self._finish(longer, tokens, greedy)
            longer.greedy = _keep(greedy & (tokens != self.end_id), followed)
            going_on.append((longer.take_beams(followed), rows * width + parents[rows, followed]))
        self._give_up(beams, np.flatnonzero(stuck))
        return side_by_side(going_on)

    def still_open(self, beams: Beams) -> list[int]:
        """Return the places of the lanes whose search must go on."""
        length = beams.tokens.shape[2]
        best = zip(beams.lanes, beams.best(), strict=True)
        return [
            place
            for place, (lane, total) in enumerate(best)
            if not self.finished[lane].settled(total, length)
        ]

    def collect(self, beams: Beams) -> None:
        """Take all beams as captions although they have no end marker."""
        for place, rank in np.argwhere(beams.totals > -np.inf):
            self.finished[beams.lanes[place]].add(beams.tokens[place, rank], beams.logs[place, rank])

    def _greedy_among(
        self, chosen: NDArray[np.int64], beams: Beams, totals: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Put what greedy decoding would write among the chosen places, (A, M), and tell where it is."""
        if not self.choice.plain:
            return np.zeros(chosen.shape, np.bool_)
        lanes, size = np.arange(len(chosen)), totals.shape[2]
        best = totals[lanes, beams.greedy].argmax(axis=1)
        real = (beams.greedy >= 0) & (totals[lanes, beams.greedy, best] > -np.inf)
        places = np.where(real, beams.greedy * size + best, -1)
        out = real & ~(chosen == places[:, None]).any(axis=1)
        # Of 2 K places, K and one more can do without the last.
        chosen[out, -1] = places[out]
        return np.equal(chosen, places[:, None])

    def _finish(
        self, longer: Beams, tokens: NDArray[np.int64], greedy: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Take the captions that were ended just now; returns the ranks of the beams that go on, (A, W)."""
        ends, width = tokens == self.end_id, self.choice.width
        heard = greedy | (np.arange(tokens.shape[1]) < width)
        for place, rank in np.argwhere(ends & heard & (longer.totals > -np.inf)):
            captions = self.finished[longer.lanes[place]]
            captions.add(longer.tokens[place, rank, :-1], longer.logs[place, rank])
        longer.totals[ends] = -np.inf
        return np.argsort(ends, axis=1, kind="stable")[:, :width]

    def _give_up(self, beams: Beams, places: Iterable[int]) -> None:
        """Take beams that cannot go on as captions, cut back to where they may end."""
        for place in places:
            captions = self.finished[beams.lanes[place]]
            # What had to be cut back was not meant to end there: only where there is nothing better.
            unwanted = captions.any_yet()
            for rank in np.flatnonzero(beams.totals[place] > -np.inf):
                written = beams.tokens[place, rank]
                if self.rules.may_end(written[None])[0]:
                    captions.add(written, beams.logs[place, rank])
                elif not unwanted:
                    kept = self.rules.cut_back(written.tolist())
                    captions.add(written[:kept], beams.logs[place, rank, :kept])


def _keep(wanted: NDArray[np.bool_], followed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put wanted places, at most one of each row (A, M), into ``followed`` (A, K): their ranks there."""
    rows, places = np.nonzero(wanted)
    missing = ~(followed[rows] == places[:, None]).any(axis=1)
    followed[rows[missing], -1] = places[missing]
    ranks = np.full(len(wanted), -1)
    ranks[rows] = (followed[rows] == places[:, None]).argmax(axis=1)
    return ranks


def _check_beams(beam_size: int, length_penalty: float, n_best: int) -> None:
    if beam_size < 1:
        raise ConfigError(f"beam_size is {beam_size}; it must be 1 (greedy decoding) or more")
    if not 1 <= n_best <= beam_size:
        raise ConfigError(f"n_best is {n_best}; it must be 1 to beam_size, which is {beam_size}")
    if not length_penalty >= 0:
        raise ConfigError(f"length_penalty is {length_penalty}; it must be 0 or more")
