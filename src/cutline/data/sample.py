"""The sample data set: small drawn scenes, so that everything can be tried without own photos.

Some combinations of colour, shape and count never occur in training: captions of such scenes show
whether a model has learnt what the words mean or only which sentences there are.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Final

from cutline.data.scene_captions import describe_scene
from cutline.data.scene_pictures import box_of, draw_scene
from cutline.data.scenes import Imagination, Scene
from cutline.errors import ConfigError
from cutline.files import replacing, write_text
from cutline.progress import Progress, Silent

FEWEST_IMAGES: Final = 40
"""Below this a split would hold hardly any image."""

_SHARES: Final = {("val", True): 0.025, ("val", False): 0.075, ("test", True): 0.05, ("test", False): 0.05}


def draw_sample(
    folder: str | Path,
    images: int = 720,
    seed: int = 0,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
) -> Path:
    """Draw the sample data set.

    Writes ``images/scene-0001.png`` and so on, ``boxes.json`` (image → list of ``{"name", "box"}``, a box
    being left, top, right, bottom in pixels) and at last ``captions.csv`` with the columns image, caption,
    split and combination ("seen" or "held-out"), five rows per image. Splits are 80 : 10 : 10 by image;
    a quarter of val and half of test are held-out combinations, of train none. Equal arguments give equal
    files. Other files in the folder are left alone.

    Args:
        folder: Where to write; made when absent.
        images: How many scenes, at least :data:`FEWEST_IMAGES`.
        seed: Of everything random.
        progress: Shown as "drawing scenes".

    Returns:
        Path of ``captions.csv``.

    Raises:
        ConfigError: Too few images.
        OSError: The folder cannot be written to.
    """
    if images < FEWEST_IMAGES:
        raise ConfigError(f"images: {images} is too few for three splits; draw at least {FEWEST_IMAGES}")
    folder = Path(folder)
    table = folder / "captions.csv"
    # The table comes last and goes first: where it is, everything it names is complete.
    table.unlink(missing_ok=True)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    chance = random.Random(f"cutline sample {seed}")
    rows, boxes = [["image", "caption", "split", "combination"]], {}
    with progress.stage("drawing scenes", images, "images") as stage:
        for number, (split, scene) in enumerate(_plan(images, chance), start=1):
            name = f"images/scene-{number:04}.png"
            draw_scene(scene).save(folder / name, compress_level=4)
            boxes[name] = [
                {"name": f"{thing.colour} {thing.shape}", "box": box_of(thing)} for thing in scene.things
            ]
            combination = "held-out" if scene.held_out else "seen"
            rows += [[name, caption, split, combination] for caption in describe_scene(scene, chance)]
            stage.advance()
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(things)}" for name, things in boxes.items())
    write_text(folder / "boxes.json", f"{{\n{lines}\n}}\n")
    with replacing(table) as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return table


def _plan(images: int, chance: random.Random) -> list[tuple[str, Scene]]:
    """Make up all scenes with their splits, in mixed order."""
    counts = {key: round(images * share) for key, share in _SHARES.items()}
    counts["train", False] = images - sum(counts.values())
    imagination = {held_out: Imagination(held_out, chance) for held_out in (False, True)}
    planned = [
        (split, imagination[held_out].imagine())
        for (split, held_out), count in counts.items()
        for _ in range(count)
    ]
    chance.shuffle(planned)
    return planned
