"""What several tests of data need and is slow to make."""

from __future__ import annotations

import pytest
from tests.data.faulty import Faulty, plant_faults


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    """The sample set with planted faults."""
    return plant_faults(tmp_path_factory.mktemp("faulty"))
