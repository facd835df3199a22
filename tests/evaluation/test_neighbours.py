from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.evaluation import neighbours
from cutline.evaluation.neighbours import nearest
from cutline.progress import Silent
from cutline.runtime.confidence import directions


def reader(features):
    return lambda digests: np.stack([features[digest] for digest in digests])


def made_up(count: int, seed: int, shape: tuple[int, ...] = (6,)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"{number:03}": rng.normal(size=shape).astype(np.float16) for number in range(count)}


@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 5))
def test_neighbours_are_those_of_a_full_sort_whatever_the_block(count, k, seed):
    features = made_up(count, seed)
    digests = list(features)
    queries, among = digests[: count // 2 + 1], digests[count // 3 :]
    vectors = directions(np.stack([features[d] for d in digests]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_ROWS_READ", 7)
        patch.setattr(neighbours, "_QUERIES", 5)
        found = nearest(reader(features), queries, among, k, Silent())
    for row, query in enumerate(queries):
        cosine = {at: vectors[digests.index(d)] @ vectors[digests.index(query)] for at, d in enumerate(among)}
        others = [at for at in cosine if among[at] != query]
        assert query not in [among[at] for at in found[row]]
        best = sorted((cosine[at] for at in others), reverse=True)[: found.shape[1]]
        assert [cosine[at] for at in found[row]] == pytest.approx(best, abs=1e-5)


def test_an_image_that_is_among_the_choices_alone_has_no_neighbour():
    features = made_up(1, 0)
    assert nearest(reader(features), ["000"], ["000"], 3, Silent()).shape == (1, 0)


def test_grid_features_are_compared_by_their_mean():
    features = made_up(9, 1, shape=(4, 6))
    pooled = {digest: values.astype(np.float32).mean(axis=0) for digest, values in features.items()}
    digests = list(features)
    found = nearest(reader(features), digests, digests, 3, Silent())
    assert found.tolist() == nearest(reader(pooled), digests, digests, 3, Silent()).tolist()
