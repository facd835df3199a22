"""Extraction: image files to a feature store, beside the encoder alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.made_up import model, photos, pixels_of, what_photos
from benchmarks.measuring import in_turn
from benchmarks.pieces import Asked
from benchmarks.tables import Table, spelt


def run(asked: Asked) -> list[Table]:
    """Extract the same images with both runtimes in turn."""
    from cutline.runtime import load_bundle, open_session

    paths = photos(asked, asked.size(256, 8))
    bundle = load_bundle(model(asked))
    sessions = {"Keras": open_session(bundle, "keras"), "ONNX Runtime": open_session(bundle, "onnx")}
    pixels = pixels_of(paths, sessions["Keras"].input_size)
    works: dict[str, Callable[[], object]] = {}
    for name, session in sessions.items():
        works[f"{name} whole"] = partial(_extract, session.encoder, paths)
        works[f"{name} alone"] = partial(session.encode, pixels)
    asked.tell(f"extracting features of {len(paths)} images")
    found = in_turn(works, asked.rounds)
    rows, values = [], {}
    for name in sessions:
        rates = [len(paths) / found.median(f"{name} {what}") for what in ("whole", "alone")]
        share = found.times_as_fast(f"{name} whole", f"{name} alone")
        values[f"{name}_share"] = share
        rows.append([name, *map(spelt, rates), f"{share:.0%}"])
    note = (
        f"{what_photos(asked, len(paths))}, efficientnet_lite0 in float32; median of {asked.rounds} "
        "rounds, in turn. Training encodes with Keras. The encoder alone is given decoded pixels."
    )
    return [
        Table("", ["by", "files to store, images/s", "encoder alone, images/s", "share"], rows, note, values)
    ]


def _extract(encoder: Any, paths: list[str]) -> None:
    from cutline.data.features import FeatureStore, extract
    from cutline.records import Example

    # Digests are made up: reading files to hash them is part of identifying a data set.
    examples = [
        Example(Path(path).name, path, ("a",), digest=f"{place:064x}") for place, path in enumerate(paths)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        FeatureStore.open(Path(folder) / "store", {"encoder": "measured"}, encoder.feature_shape) as store,
    ):
        extract(examples, store, encoder.encode, encoder.input_size, encoder.batch_size)
