"""A seeded data set with one of nearly every fault planted in it, and a list of where they are.

The scenes of the sample set are sound, so whatever is found beside the planted faults is a false alarm.
Faults that concern a data set as a whole cannot all be in one, so they have small sets of their own.
"""

from __future__ import annotations

import csv
import io
import random
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from cutline.data.sample import draw_sample

SEED = 0
HEADER = ("image", "split", "caption")


@dataclass
class Faulty:
    """A table with planted faults.

    Attributes:
        table: The CSV file.
        planted: Kind → where it must be found: image ids, or rows of the table.
    """

    table: Path
    planted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class Planter:
    """Takes the sample set apart, puts faults into it, one image each, and writes it down again."""

    def __init__(self, folder: Path) -> None:
        drawn = draw_sample(folder)
        self.folder = folder
        self.faulty = Faulty(folder / "faulty.csv")
        self.captions: dict[str, list[str]] = {}
        self.splits: dict[str, str] = {}
        with drawn.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                self.captions.setdefault(row["image"], []).append(row["caption"])
                self.splits[row["image"]] = row["split"]
        self.rows_at_the_end: list[str] = []
        chance = random.Random(f"faults {SEED}")
        train = [name for name, split in self.splits.items() if split == "train"]
        self._free = iter(chance.sample(train, 200))

    def image(self) -> str:
        """Return a train image that has no fault yet."""
        return next(self._free)

    def expect(self, kind: str, *where: str) -> None:
        self.faulty.planted[kind].update(where)

    def caption(self, kind: str, text: str, *also: str) -> None:
        """Put a faulty caption in the place of the first of an image."""
        name = self.image()
        self.captions[name][0] = text
        for each in (kind, *also):
            self.expect(each, name)

    def add(self, name: str, captions: Iterable[str], split: str = "train") -> Path:
        """Add an image to the table; return where its file belongs."""
        self.captions[name], self.splits[name] = list(captions), split
        return self.folder / name

    def row(self, kind: str, line: str) -> None:
        """Add a faulty line behind all others."""
        self.rows_at_the_end.append(line)
        self.expect(kind, *self.last_row())

    def last_row(self) -> set[str]:
        """Name the last row of the table as it will be."""
        rows = 1 + sum(map(len, self.captions.values())) + len(self.rows_at_the_end)
        return {f"{self.faulty.table.name} row {rows}"}

    def write(self) -> Faulty:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        for name, captions in self.captions.items():
            for caption in captions:
                writer.writerow((name, self.splits[name], caption))
        stream.writelines(line + "\n" for line in self.rows_at_the_end)
        self.faulty.table.write_text(stream.getvalue(), encoding="utf-8")
        return self.faulty


def photo(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Make up something with as many colours and forms as a photo."""
    chance = np.random.default_rng((SEED, seed))
    coarse = chance.integers(0, 256, (7, 9, 3), np.uint8)
    fine = chance.integers(-20, 21, (size[1], size[0], 3))
    large = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.int64)
    return Image.fromarray(np.clip(large + fine, 0, 255).astype(np.uint8))


def sentences(number: int) -> list[str]:
    """Return five sound captions that no other image has."""
    things = ("star", "circle", "square", "heart", "triangle")
    return [f"a picture of {number} small red {thing}s on the left" for thing in things]


def plant_faults(folder: Path) -> Faulty:
    """Write the sample set with faults of rows, captions and pictures to ``folder``."""
    planter = Planter(folder)
    _plant_captions(planter)
    _plant_sets_of_captions(planter)
    _plant_pictures(planter)
    _plant_rows(planter)
    return planter.write()


def _plant_captions(planter: Planter) -> None:
    plant = planter.caption
    plant("caption without a letter", "12 345")
    plant("placeholder", "N/A")
    plant("placeholder", "Lorem ipsum dolor sit amet")
    plant("file name as caption", "IMG_2041.JPG")
    plant("file name as caption", "dsc 0042")
    plant("marker in a caption", "startseq a small red star at the top endseq")
    plant("marker in a caption", "a small red star at the top <end>")
    plant("marker in a caption", "[CLS] a small blue star at the top [SEP]")
    plant("wrongly decoded text", "a small cafÃ© sign at the top of the picture")
    plant("wrongly decoded text", "a large red star â€“ at the bottom of the picture")
    plant("lost character", "a small caf\ufffd sign at the top of the picture")
    plant("lost character", "a small ca?on at the top of the picture")
    plant("HTML in a caption", "a red star &amp; a blue heart in the picture")
    plant("HTML in a caption", "a red <b>star</b> at the top of the picture")
    plant("escape in a caption", "a red star\\nat the top of the picture")
    plant("escape in a caption", "a caf\\u00e9 at the top of the picture")
    plant("escape in a caption", "a%20red%20star at the top of the picture")
    plant("invisible character", "a red\u200b star at the top of the picture")
    plant("invisible character", "a red\x07 star at the top of the picture")
    plant("link or address", "a red star, see https://example.org/star for more")
    plant("link or address", "a red star at the top #shapes")
    plant("link or address", "a red star at the top, ask ann@example.org")
    plant("repeated words", "a red red star at the top of the picture")
    plant("repeated words", "there is a there is a heart at the top")
    plant("unfinished caption", "a small red star in the corner of the")
    plant("unfinished caption", "a small red star in the corner...")
    plant("very short caption", "star")
    # Far longer than the others, and longer than what training keeps.
    plant("very long caption", "a red star " + " ".join(["on the left of a blue heart"] * 5))
    long = " ".join(f"{colour} star, and a" for colour in ("red", "blue", "green", "pink", "black") * 3)
    plant("cut caption", f"a {long} yellow heart", "very long caption")
    plant("other script", "красная звезда в верхнем углу картины")
    plant("other script", "一颗红色的星星", "very short caption")
    plant("other language", "ein kleiner roter Stern auf dem Bild")
    plant("other language", "une petite étoile rouge dans le coin")
    plant("scripts mixed in a word", "a red stаr at the top of the picture")  # with a Cyrillic а
    plant("likely misspelling", "a red traingle at the top of the picture")
    plant("likely misspelling", "a small red circcle at the top of the picture")
    name = planter.image()
    planter.captions[name][1] = planter.captions[name][0].upper() + "!"
    planter.expect("same caption twice", name)


def _plant_sets_of_captions(planter: Planter) -> None:
    shared = [planter.image() for _ in range(12)]
    for name in shared:
        planter.captions[name][2] = "this is the same for everything"
    planter.expect("caption of many images", min(shared))
    lonely = planter.image()
    del planter.captions[lonely][1:]
    planter.expect("one-caption image", lonely)
    crowded = planter.image()
    colours = ("red", "blue", "green", "pink")
    planter.captions[crowded] += [
        f"a {colour} {thing} with {number} more of them"
        for number, colour in enumerate(colours, 2)
        for thing in ("star", "heart", "circle")
    ]
    planter.expect("image of many captions", crowded)


def _plant_pictures(planter: Planter) -> None:
    folder = planter.folder
    gone = planter.image()
    (folder / gone).unlink()
    planter.expect("missing image", gone)
    cut, text = planter.image(), planter.image()
    (folder / cut).write_bytes((folder / cut).read_bytes()[:300])
    (folder / text).write_text("no picture at all")
    planter.expect("unreadable image", cut, text)
    original = planter.image()
    # Of equal files the one with the first name stays.
    shutil.copy(folder / original, planter.add("images/a-copy.png", planter.captions[original]))
    planter.expect("same image twice", "images/a-copy.png")
    original = planter.image()
    leaked = "images/a-leaked.png"
    shutil.copy(folder / original, planter.add(leaked, planter.captions[original], "test"))
    planter.expect("image in two splits", leaked)
    _plant_near_duplicates(planter)
    Image.new("RGB", (120, 90), "teal").save(planter.add("images/plain.png", sentences(11)))
    photo(1, (60, 50)).save(planter.add("images/small.png", sentences(12)))
    photo(2, (500, 90)).save(planter.add("images/thin.png", sentences(13)))
    for kind, name in (("plain image", "plain"), ("small image", "small"), ("long thin image", "thin")):
        planter.expect(kind, f"images/{name}.png")


def _plant_near_duplicates(planter: Planter) -> None:
    picture = photo(3)
    picture.save(planter.add("images/near-1.png", sentences(14)))
    small = picture.resize((120, 90))
    small.save(planter.add("images/near-2.jpg", sentences(15), "val"), quality=40)
    planter.expect("near-duplicates across splits", "images/near-1.png")
    picture = photo(4)
    picture.save(planter.add("images/near-3.png", sentences(16)))
    brighter = picture.point(lambda shade: min(255, int(shade * 1.15)))
    brighter.save(planter.add("images/near-4.png", sentences(17)))
    photo(5).save(planter.add("images/near-5.png", sentences(18)))
    photo(5).convert("L").save(planter.add("images/near-6.png", sentences(19)))
    # A drawing, which has few colours, written again by another program.
    drawn = planter.image()
    with Image.open(planter.folder / drawn) as scene:
        scene.convert("RGB").save(planter.add("images/near-7.jpg", sentences(20)), quality=90)
    planter.expect("near-duplicates", "images/near-3.png", "images/near-5.png", "images/near-7.jpg")


def _plant_rows(planter: Planter) -> None:
    sound = planter.image()
    planter.row("broken row", sound)
    planter.row("no image named", ",train,a red star without a picture")
    planter.row("empty caption", f"{sound},train,")
    planter.row("caption of only punctuation", f"{sound},train,...")
    planter.row("duplicate row", f"{sound},train,{planter.captions[sound][0]}")
    planter.row("mended row", f"{sound},train,a red star, a blue one and more of them")
    planter.row("empty caption", "images/never.png,train,")
    planter.expect("image without caption", *planter.last_row())
