"""A tiny world for recipes: coloured pictures, an encoder that sees their colour, and one trained run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cutline.records import Run

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


def write_table(
    folder: Path, images: int = 24, header: str = "image,caption", last: str = "", other: bool = False
) -> Path:
    """Draw pictures in ``folder/photos`` and write ``folder/captions.csv``, two captions for each.

    ``last`` is appended to every row, for a third column; ``other`` pictures have the same names but are not
    the same images.
    """
    (folder / "photos").mkdir(parents=True)
    rows = [header]
    for number in range(images):
        name = list(COLOURS)[number % 3]
        # One corner differs, so that no two files are equal.
        picture = Image.new("RGB", (16, 16), COLOURS[name])
        picture.putpixel((0, 0), (number, int(other), 0))
        picture.save(folder / "photos" / f"{number:02}.png")
        rows += [
            f"photos/{number:02}.png,{caption}{last}" for caption in (f"a {name} square", f"{name} all over")
        ]
    table = folder / "captions.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


@dataclass(frozen=True)
class World:
    """A table of pictures and options under which training takes a second or two."""

    folder: Path
    table: Path
    options: dict[str, Any]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Features go to a cache of their own."""
    import keras

    folder = tmp_path_factory.mktemp("world")
    image = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    keras.Model(image, mean).save(folder / "mean_colour.keras")
    options = {
        "encoder.name": str(folder / "mean_colour.keras"),
        "encoder.features": "pooled",
        "decoder.embedding_units": 8,
        "decoder.lstm_units": 24,
        "decoder.dropout": 0.1,
        "decoder.feature_dropout": 0.1,
        "training.epochs": 3,
        "training.batch_size": 5,
        "training.learning_rate": 0.03,
        "training.schedule": "constant",
        "text.min_count": 2,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUTLINE_CACHE", str(folder / "cache"))
        yield World(folder, write_table(folder / "data"), options)


@pytest.fixture(scope="session")
def trained(world: World) -> Run:
    """A run of three epochs that nothing interrupted."""
    from cutline.recipes.train import train

    return train(world.table, "show_tell", world.folder / "trained", overrides=world.options)
