"""Which images are unlike the training images, and on disk and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cutline.errors import BundleError
from cutline.runtime.domain import TrainingDomain, load_domain, save_domain

DEPTH = 6


def domain() -> TrainingDomain:
    """Training images that differ along two directions of six."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(DEPTH, 2)))[0]
    mean = np.full(DEPTH, 0.25)
    stored = [array.astype(np.float16).astype(np.float32) for array in (mean, axes)]
    digits = frozenset({"00000000000000ab", "ffffffffffffffff"})
    return TrainingDomain(stored[0], stored[1], 0.5, 0.03, digits)


def test_the_residual_is_what_the_axes_leave_over():
    known = domain()
    images = np.random.default_rng(1).normal(size=(7, DEPTH)).astype(np.float32)
    for image, residual in zip(images, known.residuals(images), strict=True):
        offset = image / np.linalg.norm(image) - known.mean
        left_over = offset - known.axes @ (known.axes.T @ offset)
        assert residual == pytest.approx(np.linalg.norm(left_over), abs=1e-3)


def test_only_images_above_the_limit_are_unlike():
    images = np.random.default_rng(2).normal(size=(30, DEPTH))
    residuals = np.sort(domain().residuals(images))
    known = replace(domain(), limit=float(residuals[20]))
    assert known.unlike(images).sum() == 9
    assert known.unlike(images).tolist() == (known.residuals(images) > known.limit).tolist()


def test_regions_are_averaged_and_the_length_of_features_does_not_matter():
    grid = np.random.default_rng(3).normal(size=(3, 5, DEPTH)).astype(np.float16)
    pooled = grid.mean(axis=1, dtype=np.float32)
    assert domain().residuals(grid) == pytest.approx(domain().residuals(8 * pooled), abs=1e-5)


def test_features_of_zeros_are_measured():
    assert np.isfinite(domain().residuals(np.zeros((2, DEPTH)))).all()


def test_it_knows_the_images_that_the_limit_was_chosen_on():
    assert domain().knows("00000000000000ab" + "c" * 48)
    assert not domain().knows("00000000000000ac" + "c" * 48)


def saved(folder: Path) -> Path:
    save_domain(domain(), folder)
    return folder


def test_what_is_saved_comes_back_and_people_can_read_the_limit(tmp_path):
    loaded = load_domain(saved(tmp_path), DEPTH)
    images = np.random.default_rng(4).normal(size=(9, DEPTH))
    assert loaded.residuals(images).tolist() == domain().residuals(images).tolist()
    assert (loaded.limit, loaded.share, loaded.chosen_on) == (0.5, 0.03, domain().chosen_on)
    told = json.loads((tmp_path / "domain.json").read_text())
    assert (told["limit"], told["expected_share"], told["chosen_on"]) == (0.5, 0.03, 2)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text.pop("limit"), "'limit'"),
        (lambda text: text.update(limit="high"), "'high'"),
        (lambda text: text.update(limit=float("nan")), "limit nan"),
        (lambda text: text.update(limit=-0.5), "limit -0.5"),
        (lambda text: text.update(expected_share=3), "expected_share 3"),
    ],
)
def test_numbers_that_were_changed_are_refused_in_one_line(tmp_path, change, found):
    path = saved(tmp_path) / "domain.json"
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))
    with pytest.raises(BundleError, match=r"domain\.json: .*; copy the bundle again") as error:
        load_domain(tmp_path, DEPTH)
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_arrays_of_another_model_and_missing_ones_are_refused(tmp_path):
    saved(tmp_path)
    with pytest.raises(BundleError, match="does not fit the features of depth 7"):
        load_domain(tmp_path, 7)
    save_domain(replace(domain(), axes=np.zeros(DEPTH, np.float32)[:, None][:3]), tmp_path)
    with pytest.raises(BundleError, match="does not fit the features of depth 6"):
        load_domain(tmp_path, DEPTH)
    (tmp_path / "domain.npz").unlink()
    with pytest.raises(BundleError, match=r"domain\.npz: cannot be read"):
        load_domain(tmp_path, DEPTH)
