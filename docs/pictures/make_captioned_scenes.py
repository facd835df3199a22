"""Make the picture of the README: scenes that a demo model never saw, under each the caption it gives.

    cutline demo --out cutline-demo
    python docs/pictures/make_captioned_scenes.py cutline-demo/run

The scenes are the first of the test split whose combination of attributes never occurs in training; none is
picked by how good its caption is.
"""

from __future__ import annotations

import argparse
import csv
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cutline import Captioner

COLUMNS, ROWS = 3, 2
SIDE, GAP, TEXT_HEIGHT = 240, 16, 52
LETTERS_PER_LINE = 34
INK, PAPER = "#1f2328", "#ffffff"


def main() -> None:
    """Read the run folder from the command line and write the picture."""
    parser = argparse.ArgumentParser(description="Make the picture of captioned scenes for the README.")
    parser.add_argument("run", type=Path, help="run folder of cutline demo")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("captioned_scenes.png"))
    arguments = parser.parse_args()
    scenes = unseen_scenes(arguments.run.parent / "data" / "captions.csv")[: COLUMNS * ROWS]
    captioner = Captioner.load(arguments.run)
    captions = [captioner.caption(scene)[0].text for scene in scenes]
    sheet = draw_sheet(scenes, captions)
    # Flat colours: a palette makes the file a third of the size, and nobody can tell.
    sheet.quantize(128).save(arguments.out, optimize=True)
    for scene, caption in zip(scenes, captions, strict=True):
        print(f"{scene.name}\t{caption}")


def unseen_scenes(table: Path) -> list[Path]:
    """Return the test scenes with combinations that training never sees, in the order of the table."""
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    names = dict.fromkeys(row["image"] for row in rows if row["combination"] == "held-out")
    return [table.parent / name for name in names]


def draw_sheet(scenes: list[Path], captions: list[str]) -> Image.Image:
    """Lay scenes out in a grid with their captions below."""
    width = COLUMNS * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, ROWS * (SIDE + TEXT_HEIGHT + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for number, (scene, caption) in enumerate(zip(scenes, captions, strict=True)):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * (SIDE + GAP), GAP + row * (SIDE + TEXT_HEIGHT + GAP)
        with Image.open(scene) as image:
            sheet.paste(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
        draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline="#d0d7de")
        text = textwrap.fill(caption, LETTERS_PER_LINE)
        draw.multiline_text((left + SIDE / 2, top + SIDE + 8), text, INK, font, anchor="ma", align="center")
    return sheet


if __name__ == "__main__":
    main()
