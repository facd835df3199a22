"""Bundles that tests may break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.golden.make_bundles import FOLDER


@pytest.fixture(scope="module")
def golden_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kept bundle of format version 2.

    Saved bundles are linked to the graphs that they were loaded from: what a test breaks in place would be
    broken under the eyes of the tests beside it, in the repository.
    """
    return Path(shutil.copytree(FOLDER / "version_2", tmp_path_factory.mktemp("golden") / "version_2"))
