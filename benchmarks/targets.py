"""What is wanted of the figures, and whether a run has it: for a machine of two cores with AVX-512."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.tables import Table, spelt


@dataclass(frozen=True)
class Target:
    """A bound for one figure.

    Attributes:
        what: The figure, for people.
        place: Piece, or ``piece/title of a table``, and the figure's name.
        bound: The bound.
        least: Whether it is the least that is wanted; else it is the most.
    """

    what: str
    place: tuple[str, str]
    bound: float
    least: bool = True


TARGETS = (
    Target("one photo, cold: seconds", ("cold_start", "seconds"), 1.3, least=False),
    Target("one photo, cold: peak memory, MiB", ("cold_start", "peak"), 260, least=False),
    Target("one photo, cold: TensorFlow imported", ("cold_start", "tensorflow_imported"), 0, least=False),
    Target("one photo, cold: times as fast as through Keras", ("cold_start", "times"), 6),
    Target("folder, Lite0 int8: images/s", ("folder", "efficientnet_lite0_int8"), 200),
    Target(
        "folder, Lite0 int8: share of the encoder alone", ("folder", "efficientnet_lite0_int8_share"), 0.85
    ),
    Target("folder, ResNet-50 int8: images/s", ("folder", "resnet50_int8"), 60),
    Target("times BLIP-base", ("peers", "BLIP-base"), 300),
    *(
        Target(f"decoding, {way}, {precision}: images/s", ("decoding", f"{beams} cores {precision}"), bound)
        for way, beams, bound in (("3 beams", 3, 400), ("greedy", 1, 1200))
        for precision in ("float32", "int8")
    ),
    Target("growth of time with beams: exponent", ("growth", "beams"), 1.0, least=False),
    Target("training `attend`: times the plain loop", ("training", "times"), 2.8),
    Target("training `attend`: useful share of the ceiling", ("training", "share"), 0.6),
    Target("extraction with Keras: share of the encoder alone", ("extraction", "Keras_share"), 0.95),
    Target("light install, MiB", ("install", "alone"), 200, least=False),
)


def targets_table(values: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the targets whose figures were measured."""
    rows = []
    for target in TARGETS:
        piece, name = target.place
        found = values.get(piece, {}).get(name)
        if found is None:
            continue
        met = found >= target.bound if target.least else found <= target.bound
        sign = "≥" if target.least else "≤"
        rows.append([target.what, f"{sign} {spelt(target.bound)}", spelt(found), "yes" if met else "no"])
    return Table("", ["what", "wanted", "found", "met"], rows)
