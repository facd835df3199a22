"""What was learned of n-grams comes back from a bundle, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutline.errors import BundleError
from cutline.runtime.arrays import load_arrays, save_arrays
from cutline.runtime.expected_ngrams import ExpectedNgrams, load_expected, save_expected

DEPTH, NGRAMS, AXES = 6, 5, 3


def expected() -> ExpectedNgrams:
    generator = np.random.default_rng(0)
    return ExpectedNgrams(
        generator.normal(size=DEPTH).astype(np.float32),
        generator.uniform(1, 2, DEPTH).astype(np.float32),
        generator.integers(-127, 128, (DEPTH, AXES)).astype(np.int8),
        generator.integers(-127, 128, (NGRAMS, AXES)).astype(np.int8),
        generator.uniform(0, 1, AXES).astype(np.float32),
        {"counts_1": np.arange(1, 4), "counts_2": np.array([2, 1])},
    )


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    save_expected(expected(), tmp_path)
    found = load_expected(tmp_path, DEPTH)
    images = np.random.default_rng(1).normal(size=(4, DEPTH))
    assert found.places(images).tolist() == expected().places(images).tolist()
    assert found.weights.tolist() == expected().weights.tolist()
    assert found.frequencies["counts_2"].tolist() == [2, 1]


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    save_expected(expected(), tmp_path)
    arrays = load_arrays(tmp_path / "ngrams.npz")
    del arrays["steps"]
    save_arrays(tmp_path / "ngrams.npz", arrays)
    with pytest.raises(BundleError, match=r"ngrams\.npz: has no 'steps'; copy the bundle again"):
        load_expected(tmp_path, DEPTH)


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_expected(expected(), tmp_path)
    with pytest.raises(BundleError, match=r"5 n-grams and features of depth 7"):
        load_expected(tmp_path, 7)
    arrays = load_arrays(tmp_path / "ngrams.npz")
    save_arrays(tmp_path / "ngrams.npz", {**arrays, "weights": arrays["weights"][1:]})
    with pytest.raises(BundleError, match="do not fit 5 n-grams"):
        load_expected(tmp_path, DEPTH)
