"""A trained decoder with another vocabulary: what it has learned is kept, new tokens get a beginning.

New rows begin at the mean of the old ones, with a little noise: so new tokens take their share of the
probability, and the old ones keep their proportions (Hewitt, "Initializing New Word Embeddings for Pretrained
Language Models", 2021). Where it is known which old tokens a new one is like, its row is a blend of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.text.vocabulary import SPECIALS, UNK_ID

_EMBEDDINGS: Final = "embedding/embeddings"
_KERNEL: Final = "predict_token/kernel"
_BIAS: Final = "predict_token/bias"

_NOISE: Final = 0.1
"""Of new rows, as a share of what old ones differ by."""


def with_new_tokens(
    arrays: Mapping[str, NDArray[Any]], counts: Sequence[int], seed: int = 0
) -> dict[str, NDArray[Any]]:
    """Return the weights of a decoder whose vocabulary was extended.

    Args:
        arrays: Weights by name, as in a bundle, for the first of the tokens.
        counts: Occurrences of each of the V tokens, old and new, as a target in the captions to be learned.
        seed: Of the noise.

    Returns:
        All weights; only those that know tokens are longer: embeddings (V, E), and the output layer's kernel
        (units, V) and bias (V,). Their old parts are what they were, so that among old tokens nothing is
        more or less probable than before. A new token's bias is its log-frequency, on the scale of the old
        ones.

    Example:
        >>> old = {"embedding/embeddings": np.ones((6, 2)), "predict_token/kernel": np.ones((3, 6))}
        >>> old["predict_token/bias"] = np.zeros(6)
        >>> new = with_new_tokens(old, [0, 1, 0, 4, 4, 4, 2, 2])
        >>> [new[name].shape for name in old]
        [(8, 2), (3, 8), (8,)]
    """
    known, added = len(arrays[_EMBEDDINGS]), len(counts) - len(arrays[_EMBEDDINGS])
    if added <= 0:
        return dict(arrays)
    chance = np.random.default_rng(seed)
    rows = _more(arrays[_EMBEDDINGS], added, chance)
    columns = _more(arrays[_KERNEL].T, added, chance)
    bias = np.concatenate([arrays[_BIAS], _biases(arrays[_BIAS], np.asarray(counts, np.float64), known)])
    return {
        **arrays,
        _EMBEDDINGS: rows,
        _KERNEL: np.ascontiguousarray(columns.T),
        _BIAS: bias.astype(arrays[_BIAS].dtype),
    }


def with_blended_tokens(
    arrays: Mapping[str, NDArray[Any]], ids: NDArray[np.int64], shares: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Return the weights of a decoder some of whose tokens are blends of others.

    Args:
        arrays: Weights by name, as in a bundle.
        ids: int64 (N,), the tokens that become blends.
        shares: (N, M), of each of the first M tokens; those of a blend need not sum to 1.

    Example:
        >>> old = {"embedding/embeddings": np.array([[0.0], [2.0], [9.0]])}
        >>> old["predict_token/kernel"] = np.array([[1.0, 5.0, 9.0]])
        >>> old["predict_token/bias"] = np.array([0.0, 2.0, 9.0])
        >>> new = with_blended_tokens(old, np.array([2]), np.array([[1.0, 3.0]]))
        >>> [array.ravel().tolist() for array in new.values()]
        [[0.0, 2.0, 1.5], [1.0, 5.0, 4.0], [0.0, 2.0, 1.5]]
    """
    weights = shares / shares.sum(axis=1, keepdims=True)
    first = shares.shape[1]
    rows, kernel, bias = (np.array(arrays[name]) for name in (_EMBEDDINGS, _KERNEL, _BIAS))
    rows[ids] = weights @ rows[:first]
    kernel[:, ids] = kernel[:, :first] @ weights.T
    bias[ids] = weights @ bias[:first]
    return {**arrays, _EMBEDDINGS: rows, _KERNEL: kernel, _BIAS: bias}


def with_first_tokens(arrays: Mapping[str, NDArray[Any]], size: int) -> dict[str, NDArray[Any]]:
    """Return the weights of a decoder that knows the first ``size`` tokens alone.

    What they have in common with each other stays: among them nothing is more or less probable than before.

    Example:
        >>> old = {"embedding/embeddings": np.ones((6, 2)), "predict_token/kernel": np.ones((3, 6))}
        >>> old["predict_token/bias"] = np.zeros(6)
        >>> [array.shape for array in with_first_tokens(old, 5).values()]
        [(5, 2), (3, 5), (5,)]
    """
    return {
        **arrays,
        _EMBEDDINGS: arrays[_EMBEDDINGS][:size],
        _KERNEL: np.ascontiguousarray(arrays[_KERNEL][:, :size]),
        _BIAS: arrays[_BIAS][:size],
    }


def _more(rows: NDArray[Any], added: int, chance: np.random.Generator) -> NDArray[Any]:
    """Append rows that begin where the rows of words, markers aside, have their mean."""
    words = rows[len(SPECIALS) :].astype(np.float64)
    noise = chance.standard_normal((added, rows.shape[1])) * (_NOISE * words.std(axis=0))
    return np.concatenate([rows, (words.mean(axis=0) + noise).astype(rows.dtype)])


def _biases(old: NDArray[Any], counts: NDArray[np.float64], known: int) -> NDArray[np.float64]:
    """Return the biases of new tokens: what old ones have more than their log-frequency, and their own."""
    logs = np.log((counts + 1) / (counts + 1).sum())
    seen = np.flatnonzero(counts[:known])
    # Unknown tokens are now those of fewer captions than before.
    seen = seen[seen != UNK_ID]
    above = float(np.median(old[seen] - logs[seen])) if len(seen) else 0.0
    return logs[known:] + above
