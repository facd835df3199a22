"""Which continuations a beam search follows.

Plainly, the most probable ones. With required words, beginnings compete only with those that hold as many
tokens of these words (grid beam search: Hokamp and Liu, 2017): without such *banks* the words would be
written at the last moment, where nothing else is allowed any more. With groups, each looks away from the
tokens that the groups before it have just written (diverse beam search: Vijayakumar and others, 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import ConfigError


@dataclass(frozen=True)
class Groups:
    """Beams in groups that avoid each other's words.

    Attributes:
        count: Groups, each with an equal share of the beams; 1 for a plain search.
        diversity: What a token costs a group, in nats, for each beam of the groups before it that writes the
            same token at the same place. Only the choice depends on it: log-probabilities are the model's.
    """

    count: int = 1
    diversity: float = 0.5

    def check(self, beam_size: int) -> None:
        """Raise ConfigError unless the beams can be shared out.

        Example:
            >>> Groups(2).check(6)
        """
        if self.count < 1 or beam_size % self.count:
            raise ConfigError(
                f"groups is {self.count}; it must be 1 or more and divide the beam size, which is {beam_size}"
            )
        if not self.diversity >= 0:
            raise ConfigError(f"diversity is {self.diversity}; it must be 0 or more")


ONE_GROUP: Final = Groups()
"""A plain search."""


@dataclass(frozen=True)
class Choice:
    """The choice of continuations.

    Attributes:
        width: Continuations followed in each lane and bank.
        end_id: The end marker.
        groups: Lane i belongs to image i // count and group i % count.
        banks: Number of banks.
        always: Ids that may lead into another bank than other tokens do, and the end marker, (P + 1,).
    """

    width: int
    end_id: int
    groups: Groups
    banks: int
    always: NDArray[np.int64]

    @property
    def plain(self) -> bool:
        """Whether the most probable continuations are followed."""
        return self.banks == 1 and self.groups.count == 1

    def pools(
        self, lanes: NDArray[np.int64], totals: NDArray[np.float64], banks: NDArray[np.int64]
    ) -> list[NDArray[np.int64]]:
        """Return for each bank the places of its best continuations, best first.

        At most one end marker comes with each beam: twice as many places as are followed always hold enough
        that go on.

        Args:
            lanes: Numbers of the lanes, (A,).
            totals: Log-probability of each continuation, (A, W, V).
            banks: The bank of each, (A, W, V); anything when there is only one.

        Returns:
            Places in W x V, each (A, M) with M at most twice the width; where a bank holds fewer, the
            last ones are of other banks.
        """
        if self.groups.count == 1:
            return self._best(totals, banks)
        images, of_lane = np.unique(lanes // self.groups.count, return_inverse=True)
        written = np.zeros((len(images), totals.shape[2]))
        most = min(2 * self.width, totals.shape[1] * totals.shape[2])
        pools = [np.zeros((len(lanes), most), np.int64) for _ in range(self.banks)]
        for group in range(self.groups.count):
            mine = np.flatnonzero(lanes % self.groups.count == group)
            if not len(mine):
                continue
            ranking = totals[mine] - self.groups.diversity * written[of_lane[mine], None]
            for pool, chosen in zip(pools, self._best(ranking, banks[mine]), strict=True):
                pool[mine] = chosen
                followed = chosen[:, : self.width]
                real = np.take_along_axis(ranking.reshape(len(mine), -1), followed, axis=1) > -np.inf
                rows, ranks = np.nonzero(real)
                np.add.at(written, (of_lane[mine][rows], followed[rows, ranks] % totals.shape[2]), 1)
            # All captions end alike, and none should go on only to be different.
            written[:, self.end_id] = 0
        return pools

    def _best(self, ranking: NDArray[np.float64], banks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        if self.banks == 1:
            return [best_first(ranking.reshape(len(ranking), -1), 2 * self.width)]
        count, width, size = ranking.shape
        most = min(2 * self.width, width * size)
        tokens = self._promising(ranking)
        few = np.take_along_axis(ranking, tokens, axis=2)
        # A token that is there twice counts where it is among those that always are.
        doubled = np.isin(tokens, self.always)
        doubled[:, :, tokens.shape[2] - len(self.always) :] = False
        few[doubled] = -np.inf
        of_few = np.take_along_axis(banks, tokens, axis=2)
        places = (np.arange(width)[:, None] * size + tokens).reshape(count, -1)
        found = []
        for bank in range(self.banks):
            held = np.where(of_few == bank, few, -np.inf).reshape(count, -1)
            found.append(np.take_along_axis(places, best_first(held, most), axis=1))
        return found

    def _promising(self, ranking: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the tokens of each beam that may be chosen in some bank, (A, W, M), ``always`` last.

        All other tokens of a beam are in the same bank: the best of them are enough.
        """
        count, width, size = ranking.shape
        always = np.broadcast_to(self.always, (count, width, len(self.always)))
        enough = 2 * self.width + len(self.always)
        if enough >= size:
            best = np.broadcast_to(np.arange(size), ranking.shape)
        else:
            best = np.sort(np.argpartition(ranking, size - enough, axis=2)[:, :, size - enough :], axis=2)
        return np.concatenate([best, always], axis=2)


def best_first(totals: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
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
