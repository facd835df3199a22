"""The pointing game: how often a model looks at the object that it names, on drawn scenes.

    .venv/bin/python benchmarks/pointing_game.py --write-encoder fine.keras
    .venv/bin/python -c "from cutline.data.sample import draw_sample; draw_sample('sample')"
    .venv/bin/cutline train sample/captions.csv --preset attend --encoder fine.keras --run runs/scenes OPTIONS
    .venv/bin/python benchmarks/pointing_game.py runs/scenes sample/captions.csv [--split test]

The encoder written first is EfficientNet-Lite0 cut in its middle: 14 × 14 regions that know little of what
lies outside them. At its end each of 7 × 7 regions has seen the whole picture, and attention need not go
where the object is to learn of it.

The scenes are those of `cutline.data.sample.draw_sample`, which writes `boxes.json` beside the table; the
model must have attention. Every scene of the split is captioned, and every colour or shape in the caption
that names an object of the scene is played: a hit when the middle of the region with the highest weight lies
in the box of an object it names (Zhang et al., 2016, arXiv:1608.00507, allow 15 pixels around the box; that
figure is given beside it). Chance is the share of regions that would hit, the middle that of the picture;
mass is the share of the attention that lies in the boxes.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cutline import Captioner, Explanation
from cutline.data.scene_pictures import SIDE
from cutline.data.scenes import COLOURS, SHAPES

TOLERANCE = 15
Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Play:
    """One word that names objects: where the model looked, and what would have been hits.

    Attributes:
        hit: The strongest region's middle lies in a box.
        near: The same with 15 pixels around the boxes.
        chance: Share of all regions whose middle lies in a box.
        middle: The middle of the picture lies in a box.
        mass: Share of the attention on regions whose middle lies in a box.
    """

    hit: bool
    near: bool
    chance: float
    middle: bool
    mass: float


def named_boxes(word: str, objects: Sequence[dict[str, object]]) -> list[Box]:
    """Return the boxes of the objects that a word names by colour or shape, also in the plural."""
    singular = word.removesuffix("s")
    if word not in COLOURS and singular not in SHAPES:
        return []
    return [tuple(one["box"]) for one in objects if {word, singular} & set(str(one["name"]).split())]


def inside(point: Point, boxes: Sequence[Box], tolerance: float = 0) -> bool:
    """Tell whether a point lies in one of the boxes (left, top, right, bottom)."""
    return any(
        left - tolerance <= point[0] < right + tolerance and top - tolerance <= point[1] < bottom + tolerance
        for left, top, right, bottom in boxes
    )


def middles(shape: tuple[int, int], side: float = SIDE) -> list[Point]:
    """Return the middles of the regions of a grid, row by row, in pixels."""
    rows, columns = shape
    return [
        ((column + 0.5) * side / columns, (row + 0.5) * side / rows)
        for row in range(rows)
        for column in range(columns)
    ]


def plays(explanation: Explanation, objects: Sequence[dict[str, object]]) -> Iterator[Play]:
    """Yield one play per word that names an object of the scene."""
    for step in explanation.steps:
        boxes = named_boxes(step.token, objects)
        if not boxes or step.attention is None:
            continue
        points = middles(step.attention.shape)
        weights = step.attention.ravel()
        hits = np.array([inside(point, boxes) for point in points])
        strongest = int(weights.argmax())
        yield Play(
            bool(hits[strongest]),
            inside(points[strongest], boxes, TOLERANCE),
            float(hits.mean()),
            inside((SIDE / 2, SIDE / 2), boxes),
            float(weights[hits].sum()),
        )


def play_all(model: str, table: Path, split: str) -> dict[str, list[Play]]:
    """Play all scenes of a split, those with one and with two kinds of things also apart."""
    captioner = Captioner.load(model).without_confidence()
    objects = json.loads((table.parent / "boxes.json").read_text(encoding="utf-8"))
    with table.open(encoding="utf-8", newline="") as stream:
        images = dict.fromkeys(row["image"] for row in csv.DictReader(stream) if row["split"] == split)
    found: dict[str, list[Play]] = defaultdict(list)
    for image in images:
        played = list(plays(captioner.explain(table.parent / image), objects[image]))
        kinds = len({one["name"] for one in objects[image]})
        found["all scenes"] += played
        found["two kinds of things" if kinds > 1 else "one kind of thing"] += played
    return found


def write_encoder(path: Path) -> None:
    """Write EfficientNet-Lite0 up to its eighth block as an encoder file: features (14, 14, 672)."""
    # TensorFlow takes seconds to import, and playing alone does not need this part of it.
    import keras

    from cutline.models.efficientnet_lite import build_network, find_weights, load_state_dict
    from cutline.models.torch_weights import read_state_dict

    network, weights = build_network("efficientnet_lite0"), find_weights("efficientnet_lite0")
    load_state_dict(network, read_state_dict(weights), str(weights))
    keras.Model(network.input, network.get_layer("block8_expand_relu").output).save(path)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--split", default="test")
    parser.add_argument("--write-encoder", type=Path, metavar="FILE.keras")
    arguments = parser.parse_args()
    if arguments.write_encoder:
        write_encoder(arguments.write_encoder)
        return
    if not arguments.model or not arguments.table:
        parser.error("give a model and the table of its scenes, or --write-encoder FILE.keras")
    print(f"{'':24}{'words':>8}{'hits':>9}{'± 15 px':>9}{'chance':>9}{'middle':>9}{'mass':>9}")
    for name, played in sorted(play_all(arguments.model, arguments.table, arguments.split).items()):
        shares = [
            float(np.mean([getattr(one, column) for one in played]))
            for column in ("hit", "near", "chance", "middle", "mass")
        ]
        print(f"{name:24}{len(played):>8}" + "".join(f"{share:>9.1%}" for share in shares))


if __name__ == "__main__":
    main()
