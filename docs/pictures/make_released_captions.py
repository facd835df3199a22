"""Make the picture on the page of the model that comes along: photos that anybody may show, and its captions.

    pip install 'cutline[demo]'
    python docs/pictures/make_released_captions.py

The photos are all that the demo captions; none is picked by how good its caption is.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from cutline.progress import Silent
from cutline.recipes.demo_photos import caption_photos

SIDE, GAP, TEXT_HEIGHT = 190, 12, 84
LETTERS_PER_LINE = 27
INK, PAPER, FAINT = "#1f2328", "#ffffff", "#656d76"


def main() -> None:
    """Caption the photos and write the picture."""
    parser = argparse.ArgumentParser(description="Make the picture of photos with their captions.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("released_captions.jpg"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        photos = caption_photos(Path(scratch), Silent()).photos
    sheet = Image.new("RGB", (len(photos) * (SIDE + GAP) + GAP, SIDE + TEXT_HEIGHT + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for number, photo in enumerate(photos):
        left = GAP + number * (SIDE + GAP)
        with Image.open(photo.path) as image:
            sheet.paste(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)), (left, GAP))
        text = textwrap.fill(photo.caption, LETTERS_PER_LINE)
        middle, below = left + SIDE / 2, GAP + SIDE + 6
        draw.multiline_text((middle, below), text, INK, font, anchor="ma", align="center")
        known = "unlike its training photos" if photo.unlike_training else f"{photo.confidence:.0%} sure"
        draw.text((middle, below + 60), known, FAINT, font, anchor="ma")
        print(f"{photo.name}\t{photo.caption}\t{known}")
    sheet.save(arguments.out, quality=85, optimize=True)


if __name__ == "__main__":
    main()
