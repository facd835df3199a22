"""The benchmark that tells encoders apart: a row for each, from a table of captions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks import encoder_choice
from PIL import Image

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of three colours, and two encoders: one that sees colours, and one that sees nothing."""
    import keras

    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rows = ["image,caption,split"]
    for number in range(60):
        name = list(COLOURS)[number % 3]
        picture = Image.new("RGB", (8, 8), COLOURS[name])
        picture.putpixel((0, 0), (number, 0, 0))
        picture.save(tmp_path / f"{number}.png")
        split = "val" if number % 4 == 0 else "train"
        rows += [f"{number}.png,{caption},{split}" for caption in (f"a {name} square", f"{name} all over")]
    image = keras.Input((8, 8, 3))
    scaled = keras.layers.Rescaling(1 / 255)(image)
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(scaled)).save("colours.keras")
    edge = keras.layers.Cropping2D(((0, 7), (0, 7)))(scaled)
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(edge)).save("corner.keras")
    path = tmp_path / "captions.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["encoder_choice.py", *arguments])
    encoder_choice.main()


def test_an_encoder_that_sees_more_finds_more(table: Path, monkeypatch, capsys) -> None:
    run(monkeypatch, str(table), "--encoder", "colours.keras", "--encoder", "corner.keras")
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:3] for row in rows] == [["colours.keras", "8 × 8", "3"], ["corner.keras", "8 × 8", "3"]]
    (seeing, blind) = ([float(cell.rstrip(" %")) for cell in row[3:]] for row in rows)
    assert seeing[1] >= blind[1]
    assert seeing[2] > 2 * blind[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--encoder", "resnet50@x"), "--encoder resnet50@x: expected NAME or NAME@PIXELS"),
        (("--weights", "a.h5", "--encoder", "resnet50"), "--weights: name an --encoder before them"),
    ],
)
def test_what_is_asked_wrongly_is_told(monkeypatch, capsys, arguments, told) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "captions.csv", *arguments)
    assert told in capsys.readouterr().err
