"""Model, objective and optimizer are written for Keras, not for one of its backends."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("ten_steps.py")
DECODERS = (
    "attend",
    "show_tell",
    pytest.param("merge", marks=pytest.mark.slow),
    pytest.param("up_down", marks=pytest.mark.slow),
)
FASTER_TO_COMPILE = "--xla_backend_optimization_level=0"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="JAX is not installed; pip install 'cutline[dev]'"
    ),
    pytest.mark.timeout(600),
]


def asked_for(session: pytest.Session) -> list[str]:
    """Name the decoders of the tests that will be run."""
    chosen = (getattr(item, "callspec", None) for item in session.items if item.path == Path(__file__))
    return sorted({call.params["name"] for call in chosen if call is not None})


@pytest.fixture(scope="module")
def under(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """What ten steps showed under each backend, each in a process of its own, side by side."""
    started = {
        backend: subprocess.Popen(
            [sys.executable, PROGRAM, *asked_for(request.session)],
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "JAX_PLATFORMS": "cpu",
                "XLA_FLAGS": FASTER_TO_COMPILE,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in ("tensorflow", "jax")
    }
    try:
        said = {backend: process.communicate() for backend, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
    for backend, process in started.items():
        assert process.returncode == 0, said[backend][1][-3000:]
    return {backend: json.loads(out.splitlines()[-1]) for backend, (out, _) in said.items()}


def test_each_process_has_the_backend_that_it_was_given(under):
    assert [found["backend"] for found in under.values()] == ["tensorflow", "jax"]


@pytest.mark.parametrize("name", DECODERS)
def test_ten_steps_have_the_same_losses_under_tensorflow_and_jax(under, name):
    one, other = (under[backend]["decoders"][name] for backend in ("tensorflow", "jax"))
    assert len(one["losses"]) == 10
    # The steps did something that could have differed.
    assert one["losses"][-1] < one["losses"][0] - 0.02
    np.testing.assert_allclose(one["losses"], other["losses"], rtol=0, atol=1e-4)
    assert one["averaged"] == pytest.approx(other["averaged"], abs=1e-4)
