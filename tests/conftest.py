"""Settings and fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# What takes long on a busy machine is not wrong for it.
settings.register_profile("cutline", deadline=None)
settings.load_profile("cutline")

# TensorFlow reads both when it is imported, which the first heavy test does.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Photos and weights that lie beside the project on some machines and are never committed."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared photos and weights in {SHARED}, which is not there")
    return SHARED
