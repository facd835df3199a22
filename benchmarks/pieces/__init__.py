"""The topics of ``make bench``: one module each, with a function ``run`` that returns tables.

A module here measures one topic in a process of its own. What all need is in :mod:`benchmarks.measuring`,
:mod:`benchmarks.tables` and :mod:`benchmarks.made_up`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class Skipped(Exception):  # noqa: N818 (nothing is wrong)
    """A piece cannot be measured here; the message says why, in one line."""


@dataclass(frozen=True)
class Asked:
    """What a piece is asked to measure.

    Attributes:
        work: Folder of this whole run, for models and pictures that pieces share.
        model: A trained run or bundle, or None for one with random weights.
        images: A folder of photos, or None for pictures that are made up.
        encoder_weights: Weights of ResNet-50, or None for random ones.
        peers: A Python that has torch and transformers, or None.
        rounds: How often contestants are measured in turn.
        quick: Whether tiny sizes do: to see that a piece runs, not how fast.
        tell: Told one line about what goes on.
    """

    work: Path
    model: Path | None = None
    images: Path | None = None
    encoder_weights: Path | None = None
    peers: Path | None = None
    rounds: int = 5
    quick: bool = False
    tell: Callable[[str], None] = field(default=print, compare=False)

    def size(self, full: int, quick: int) -> int:
        """Return how many of something to measure with."""
        return quick if self.quick else full


PIECES = {
    "ceilings": "What this machine can do",
    "install": "The light install",
    "cold_start": "Cold start",
    "folder": "A folder of photos, from files to captions",
    "encoders": "Encoders by precision",
    "decoding": "Decoding from features",
    "training": "Training",
    "extraction": "Extraction of features",
    "scoring": "Scoring",
    "confidence": "Confidence",
    "parity": "Graphs beside Keras",
    "peers": "Other captioners",
    "growth": "Growth",
}
"""Name of a module → its heading, in the order in which they are run."""
