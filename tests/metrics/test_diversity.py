from __future__ import annotations

import pytest

from cutline.metrics import most_common, unique_share


@pytest.mark.parametrize(
    ("captions", "share"),
    [(["a", "b", "c", "d"], 1.0), (["a", "a", "a", "a"], 0.25), (["a", "A"], 1.0), ([], 0.0)],
)
def test_unique_share_is_distinct_captions_over_all(captions, share):
    assert unique_share(captions) == share


def test_most_common_are_sorted_by_count_then_alphabet():
    assert most_common(["b", "c", "a", "c", "b", "d"], 3) == [("b", 2), ("c", 2), ("a", 1)]
    assert most_common([], 3) == []
