"""How many pictures a model calls unlike its training photos: drawings, scanned text, noise, "X-rays", val.

    python benchmarks/out_of_domain.py MODEL captions.csv --images photos [--pictures 200] [--compare]

MODEL is a run folder or a bundle, captions.csv the table that it was trained on: its val photos are counted
but for the half on which the limit was chosen. The other pictures are made by code. A model that was trained
before bundles could tell gets what it lacks first, in memory, by the function that training calls at its end.
All pictures go through the encoder as in `cutline caption`; --compare adds what the distance to the
nearest training photos would flag, and --sheet FILE writes some of the pictures into one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.odd_pictures import KINDS, odd_picture
from benchmarks.tables import Table

from cutline.data.images import decode_image
from cutline.ensembles import encode_images
from cutline.evaluation import ReadFeatures
from cutline.evaluation.training_features import summarise_features
from cutline.progress import Silent
from cutline.recipes.domain import domain_of
from cutline.recipes.evaluate import load_for_model
from cutline.recipes.extract import extract_features, feature_reader
from cutline.records import Dataset, Example
from cutline.runtime import Session
from cutline.runtime.bundle import find_bundle
from cutline.runtime.domain import TrainingDomain
from cutline.runtime.sessions import load_with_session

_AT_ONCE = 32


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    if asked.sheet is not None:
        draw_sheet(asked.sheet)
    print(
        measure(
            Examined.load(asked.model, asked.table, asked.images, asked.compare), asked.pictures
        ).markdown()
    )


@dataclass(frozen=True)
class Examined:
    """A model and the photos it is asked about.

    Attributes:
        session: Encodes.
        domain: What tells images unlike the training images.
        photos: Val photos on which no limit was chosen.
        rules: What calls features unlike the training photos, by name; the first is what cutline uses.
    """

    session: Session
    domain: TrainingDomain
    photos: Sequence[Example]
    rules: Mapping[str, Callable[[NDArray[Any]], NDArray[np.bool_]]]

    @classmethod
    def load(cls, model: Path, table: Path, images: Path | None, compare: bool) -> Examined:
        """Load a model, and make what it lacks."""
        bundle, session = load_with_session(find_bundle(model))
        dataset = load_for_model(model, table, images, {}, bundle, "val", Silent())
        domain, rules = bundle.domain, {}
        if domain is None or compare:
            store, dataset = extract_features(session.encoder, dataset, Silent())
            with store:
                read = feature_reader(store)
                domain = domain or domain_of(bundle, dataset, read, Silent())
                if domain is None:
                    raise SystemExit(f"{table}: too few train or val images")
                if compare:
                    rules["by distance to the nearest"] = _by_distance(domain, dataset, read)
        photos = [example for example in dataset.of_split("val") if not domain.knows(example.digest)]
        return cls(session, domain, photos, {"unlike the training photos": domain.unlike, **rules})


def _by_distance(
    domain: TrainingDomain, dataset: Dataset, read: ReadFeatures
) -> Callable[[NDArray[Any]], NDArray[np.bool_]]:
    """Return the rule by the distance to the nearest training photos, with a limit chosen likewise."""
    training = summarise_features(read, [example.digest for example in dataset.of_split("train")])
    chosen = [example.digest for example in dataset.of_split("val") if domain.knows(example.digest)]
    limit = np.quantile(training.measure(read(chosen))[0], 1 - domain.share, method="higher")
    return lambda features: training.measure(features)[0] > limit


def measure(examined: Examined, pictures: int) -> Table:
    """Return the share of pictures of each kind that each rule calls unlike the training photos."""
    size = examined.session.input_size
    made: dict[str, tuple[int, Iterator[NDArray[np.uint8]]]] = {
        "val photos": (len(examined.photos), (decode_image(one.image, size) for one in examined.photos))
    }
    for kind in KINDS:
        made[kind] = pictures, (decode_image(odd_picture(kind, number), size) for number in range(pictures))
    rows, values = [], {}
    for kind, (count, pixels) in made.items():
        flags = _flags(examined, pixels)
        rows.append([kind, f"{count:,}", *(f"{share:.1%}" for share in flags)])
        values[kind] = float(flags[0])
    domain = examined.domain
    note = f"Limit {domain.limit:.3f}, chosen on {len(domain.chosen_on):,} other val photos."
    return Table("", ("pictures", "number", *examined.rules), rows, note, values)


def _flags(examined: Examined, pixels: Iterator[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the share of images that each rule flags."""
    found = []
    for batch in _batches(pixels):
        features = encode_images(examined.session, [(one,) for one in batch])
        found.append(np.stack([rule(features) for rule in examined.rules.values()], axis=1))
    shares: NDArray[np.float64] = np.concatenate(found).mean(axis=0)
    return shares


def _batches(pixels: Iterator[NDArray[np.uint8]]) -> Iterator[Sequence[NDArray[np.uint8]]]:
    batch = []
    for one in pixels:
        batch.append(one)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def draw_sheet(path: Path, columns: int = 8, side: int = 128) -> None:
    """Write the first pictures of each kind into one, a row for each kind."""
    sheet = Image.new("RGB", (columns * side, len(KINDS) * side))
    for row, kind in enumerate(KINDS):
        for column in range(columns):
            sheet.paste(odd_picture(kind, column).resize((side, side)), (column * side, row * side))
    sheet.save(path)


if __name__ == "__main__":
    main()
