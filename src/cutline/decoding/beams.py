"""What a beam search keeps: beginnings of captions, and captions that are finished.

A *lane* is a search of its own: one for each image, or with groups one for each group of each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.step_model import DecodeResult


@dataclass
class Finished:
    """The best captions of one lane so far, best first; as many as there are beams."""

    beam_size: int
    n_best: int
    length_penalty: float
    ranked: list[tuple[float, DecodeResult]] = field(default_factory=list)

    def rank(self, log_probability: float, length: int) -> float:
        """Return what captions are ranked by: log-probability / length ** penalty."""
        return log_probability / float(max(length, 1) ** self.length_penalty)

    def add(self, token_ids: NDArray[np.int32], logs: NDArray[np.float64]) -> None:
        """Take a caption (T,) with the log-probabilities of its tokens and, if it has one, its end marker."""
        result = DecodeResult.of(token_ids.tolist(), logs.tolist())
        if any(result == known for _, known in self.ranked):
            return  # cut back to the same words
        self.ranked.append((self.rank(result.log_probability, len(logs)), result))
        self.ranked.sort(key=lambda entry: -entry[0])
        del self.ranked[self.beam_size :]

    def settled(self, best_beginning: float, length: int) -> bool:
        """Whether the search may stop; see :mod:`cutline.decoding.beam`."""
        wanted = self.beam_size if self.length_penalty else self.n_best
        if best_beginning == -np.inf:
            return True
        return len(self.ranked) >= wanted and self.rank(best_beginning, length) <= self.ranked[wanted - 1][0]

    def best(self) -> list[DecodeResult]:
        """Return the captions that were asked for, best first."""
        return [result for _, result in self.ranked[: self.n_best]]


class PerPenalty:
    """The best captions of one lane for each of several length penalties.

    Attributes:
        each: For each penalty.
    """

    def __init__(self, each: Sequence[Finished]) -> None:
        """Take one for each penalty, all empty."""
        self.each = tuple(each)
        self._open = list(each)

    def add(self, token_ids: NDArray[np.int32], logs: NDArray[np.float64]) -> None:
        """Take a caption for those penalties whose search would still go on."""
        for captions in self._open:
            captions.add(token_ids, logs)

    def any_yet(self) -> bool:
        """Whether there is a caption."""
        return any(captions.ranked for captions in self.each)

    def settled(self, best_beginning: float, length: int) -> bool:
        """Whether the search may stop for all; see :meth:`Finished.settled`."""
        self._open = [captions for captions in self._open if not captions.settled(best_beginning, length)]
        return not self._open


def in_turn(groups: Sequence[Sequence[DecodeResult]], n_best: int) -> list[DecodeResult]:
    """Return the best caption of each group, then the second of each, and so on, none of them twice.

    Args:
        groups: Captions of each group, best first.
        n_best: Most captions returned.

    Example:
        >>> one, two = DecodeResult.of([4], [-1.0, -1.0]), DecodeResult.of([5], [-0.5, -0.5])
        >>> [result.token_ids for result in in_turn([[one], [one, two]], 2)]
        [(4,), (5,)]
    """
    found: dict[tuple[int, ...], DecodeResult] = {}
    for turn in range(max(map(len, groups), default=0)):
        captions = [group[turn] for group in groups if turn < len(group)]
        for result in sorted(captions, key=lambda result: -result.log_probability):
            found.setdefault(result.token_ids, result)
    return list(found.values())[:n_best]


@dataclass
class Beams:
    """Beginnings of captions: A lanes that are not done, W beams each, T tokens written."""

    lanes: NDArray[np.int64]  # (A,) number of the lane
    totals: NDArray[np.float64]  # (A, W) log-probability; -inf where there is no beam
    tokens: NDArray[np.int32]  # (A, W, T)
    logs: NDArray[np.float64]  # (A, W, T)
    greedy: NDArray[
        np.int64
    ]  # (A,) rank of the beam that greedy decoding would write; -1 where there is none

    @classmethod
    def begin(cls, lanes: int) -> Beams:
        """Begin one caption per lane."""
        empty = np.zeros((lanes, 1, 0))
        return cls(
            np.arange(lanes), np.zeros((lanes, 1)), empty.astype(np.int32), empty, np.zeros(lanes, np.int64)
        )

    def last_tokens(self, start_id: int) -> NDArray[np.int32]:
        """Return the token written last in each row, (A x W,)."""
        if self.tokens.shape[2]:
            return self.tokens[:, :, -1].reshape(-1)
        return np.full(self.totals.size, start_id, np.int32)

    def grown(
        self,
        parents: NDArray[np.int64],
        tokens: NDArray[np.int64],
        logs: NDArray[np.float32],
        totals: NDArray[np.float64],
    ) -> Beams:
        """Return beams that are one token longer; all arguments are (A, W')."""
        rows = np.arange(len(self.lanes))[:, None]
        return Beams(
            self.lanes,
            totals,
            np.concatenate([self.tokens[rows, parents], tokens[:, :, None].astype(np.int32)], axis=2),
            np.concatenate([self.logs[rows, parents], logs[:, :, None]], axis=2),
            self.greedy,
        )

    def best(self) -> NDArray[np.float64]:
        """Return the log-probability of the best beginning of each lane, (A,)."""
        best: NDArray[np.float64] = self.totals.max(axis=1)
        return best

    def take_lanes(self, places: list[int]) -> Beams:
        """Return the beams of some lanes."""
        return Beams(
            self.lanes[places],
            self.totals[places],
            self.tokens[places],
            self.logs[places],
            self.greedy[places],
        )

    def take_beams(self, ranks: NDArray[np.int64]) -> Beams:
        """Return some beams of each lane, (A, W')."""
        rows = np.arange(len(self.lanes))[:, None]
        return Beams(
            self.lanes,
            self.totals[rows, ranks],
            self.tokens[rows, ranks],
            self.logs[rows, ranks],
            self.greedy,
        )


def side_by_side(
    parts: Sequence[tuple[Beams, NDArray[np.int64]]],
) -> tuple[Beams, NDArray[np.int64]]:
    """Put the beams of the same lanes, with the old row of each (A, W), beside each other, best first."""
    if len(parts) == 1:
        return parts[0]
    beams = [one for one, _ in parts]
    together = Beams(
        beams[0].lanes,
        np.concatenate([one.totals for one in beams], axis=1),
        np.concatenate([one.tokens for one in beams], axis=1),
        np.concatenate([one.logs for one in beams], axis=1),
        beams[0].greedy,
    )
    rows = np.concatenate([of_part for _, of_part in parts], axis=1)
    order = np.argsort(-together.totals, axis=1, kind="stable")
    # Places where no lane has a beam would cost a step each.
    used = int((together.totals > -np.inf).sum(axis=1).max(initial=1))
    order = order[:, :used]
    return together.take_beams(order), np.take_along_axis(rows, order, axis=1)
