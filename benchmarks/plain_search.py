"""Beam search as tutorials write it: correct, and as slow as a loop in Python over single steps is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.text.vocabulary import END_ID, START_ID
from cutline.wishes import NEVER_WRITTEN


def plain_search(decoder: Any, features: NDArray[Any], beams: int, longest: int = 40) -> list[int]:
    """Return the most probable caption that is found for one image, as token ids without markers.

    Args:
        decoder: A :class:`cutline.models.decoders.Decoder`; each step is called for one beam, as it is.
        features: (R, D).
        beams: Beams kept; 1 is greedy.
        longest: Most words.
    """
    import keras

    first = decoder.start(keras.ops.convert_to_tensor(features[None]))
    open_beams: list[tuple[float, list[int], Any]] = [(0.0, [START_ID], first)]
    ended: list[tuple[float, list[int]]] = []
    for _ in range(longest):
        candidates = []
        for score, ids, state in open_beams:
            logits, after = decoder.step(keras.ops.convert_to_tensor([ids[-1]], "int32"), state)
            logs = np.array(keras.ops.log_softmax(logits))[0]
            logs[list(NEVER_WRITTEN)] = -np.inf
            candidates += [
                (score + logs[token], [*ids, int(token)], after) for token in np.argsort(logs)[-beams:]
            ]
        candidates.sort(key=lambda candidate: -candidate[0])
        open_beams = []
        for score, ids, state in candidates[:beams]:
            if ids[-1] == END_ID:
                ended.append((score, ids[1:-1]))
            else:
                open_beams.append((score, ids, state))
        if not open_beams or (ended and max(ended)[0] >= open_beams[0][0]):
            break
    ended += [] if ended else [(score, ids[1:]) for score, ids, _ in open_beams]
    return max(ended)[1]
