"""What may come next: all tokens, or a list of the most probable ones where a search needs no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.decoding.rules import Rules
from cutline.decoding.step_model import Shortlisting, StepModel


@dataclass(frozen=True)
class NextTokens:
    """What a step said, row by row.

    Attributes:
        logs: Log-probabilities (R, M), of all tokens by id or of the listed ones.
        listed: Ids (R, M), the most probable first; None when ``logs`` is of all tokens.
    """

    logs: NDArray[np.float32]
    listed: NDArray[np.int64] | None = None

    def strike(self, rules: Rules, scores: NDArray[Any], tokens: NDArray[np.int32]) -> None:
        """Set to -inf, in place, what may not be written next.

        Args:
            rules: What may be written.
            scores: (R, M), of the same tokens as ``logs``.
            tokens: What is written in each row, (R, T).
        """
        if self.listed is None:
            rules.strike(scores, tokens)
        else:
            rules.strike_listed(scores, self.listed, tokens)

    def tokens_at(self, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids that stand at places of rows, all of one shape."""
        return places if self.listed is None else self.listed[rows, places]


def next_tokens(
    model: StepModel[Any],
    state: Any,
    last: NDArray[np.int32],
    rules: Rules,
    written: int,
    wanted: int | None,
) -> tuple[NextTokens, Any]:
    """Let a model read the last tokens.

    Args:
        model: Asked for the most probable tokens only when it offers that and ``wanted`` of them are left
            whatever the rules strike out.
        state: R rows.
        last: Ids (R,).
        rules: What may be written.
        written: Tokens written so far.
        wanted: Tokens that have to be left in each row; None for all.

    Returns:
        What may come next, and the next state.
    """
    struck = rules.most_struck(written)
    if wanted is None or struck is None or not isinstance(model, Shortlisting):
        logs, state = model.step(last, state)
        return NextTokens(logs), state
    listed, logs, state = model.step_best(last, state, wanted + struck)
    return NextTokens(logs, listed), state
