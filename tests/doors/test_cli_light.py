"""Each command that does not train works where TensorFlow, Keras and onnx are not installed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.golden.make_bundles import picture

MODEL = Path(__file__).parents[1] / "golden" / "bundles" / "version_3"
ZIP = MODEL.with_name("version_3.zip")
WORDS = ("a dog runs", "two dog in snow", "the red ball", "a ball on the grass")

# A module that is None cannot be imported: to cutline it is as if it were not installed.
_WITHOUT = """
import importlib.util, sys
absent = ("tensorflow", "keras", "onnx", "matplotlib", "tensorboard", "jax", "torch")
for name in absent:
    sys.modules[name] = None
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else found(name, package)
from cutline.cli import main
sys.exit(main())
"""


def light(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a fresh interpreter of a light install."""
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, *arguments], capture_output=True, text=True, cwd=folder, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some pictures with captions, and a model."""
    folder = tmp_path_factory.mktemp("light")
    shutil.copytree(MODEL, folder / "model")
    shutil.copytree(MODEL.with_name("version_1"), folder / "older")
    (folder / "photos").mkdir()
    with (folder / "captions.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["image", "caption", "split"])
        for number in range(66):
            Image.fromarray(picture(number)).save(folder / "photos" / f"{number}.png")
            split = "train" if number < 4 else "val"
            table.writerows([f"{number}.png", f"{words} {number}", split] for words in WORDS)
    return folder


DATA = ("captions.csv", "--images", "photos")


@pytest.mark.parametrize(
    "arguments",
    [
        ("caption", "photos/1.png", "--model", "model"),
        ("caption", "photos", "--model", "model", "--output", "out.jsonl", "--overwrite"),
        ("caption", "photos/1.png", "--model", str(ZIP)),
        ("check", *DATA),
        ("evaluate", "model", *DATA, "--split", "val", "--out", "evaluated"),
        ("explain", "photos/1.png", "--model", "model", "--out", "why.html"),
        ("tune", "model", *DATA),
        ("export", "model", "--format", "bundle", "--out", "given.zip"),
        ("models",),
        ("encoders",),
        ("--help",),
        ("--version",),
    ],
    ids=lambda arguments: " ".join(Path(part).name for part in arguments[:2]),
)
def test_a_command_that_does_not_train_needs_no_framework(folder: Path, arguments: tuple[str, ...]) -> None:
    done = light(folder, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


_TOLD = """
import os, sys

class WhenImported:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            print("threads", os.environ.get("OPENBLAS_NUM_THREADS"), file=sys.stderr)

sys.meta_path.insert(0, WhenImported())
from cutline.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(("asked", "found"), [(None, "1"), ("3", "3")])
def test_products_get_one_thread_before_numpy_is_there_unless_another_number_is_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, found: str
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", asked)
    command = [sys.executable, "-c", _TOLD, "caption", "photos/1.png", "--model", "model"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0
    assert f"threads {found}" in done.stderr.splitlines()


def test_captions_are_scored_and_reported_without_a_framework(folder: Path) -> None:
    found = {f"{number}.png": WORDS[number % 4] for number in range(4, 66)}
    (folder / "found.json").write_text(json.dumps(found))
    done = light(folder, "score", "found.json", "captions.csv", "--split", "val")
    assert done.returncode == 0, done.stderr
    assert "CIDEr-D" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", *DATA),
        ("export", "model", "--out", "out", "--format", "saved_model"),
        ("explain", "photos/1.png", "--model", "model", "--out", "why.png"),
        (
            "export",
            "model",
            "--format",
            "bundle",
            "--out",
            "b.zip",
            "--decoder-precision",
            "int8",
            "--data",
            DATA[0],
        ),
        ("export", "older", "--format", "bundle", "--out", "c.zip"),
    ],
    ids=["train", "saved_model", "explain", "int8", "a bundle without graphs"],
)
def test_what_needs_a_framework_says_how_to_install_it(folder: Path, arguments: tuple[str, ...]) -> None:
    done = light(folder, *arguments)
    assert done.returncode == 2
    *_, told = done.stderr.splitlines()
    assert told.startswith("error: ")
    assert "pip install 'cutline[train]'" in told


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--set", "training.epoch=3"), "unknown option training.epoch; did you mean training.epochs?"),
        (("--set", "decoding.beam_size=0"), "decoding.beam_size: input should be greater than or equal to 1"),
        (("--preset", "atend"), "unknown preset 'atend'"),
        (("--encoder", "resnet5"), "unknown encoder 'resnet5'; did you mean 'resnet50'?"),
    ],
    ids=["option", "value", "preset", "encoder"],
)
def test_a_slip_in_what_training_is_asked_for_is_told_before_a_framework_is_needed(
    folder: Path, asked: tuple[str, ...], message: str
) -> None:
    done = light(folder, "train", *DATA, *asked)
    assert done.returncode == 2
    (told,) = done.stderr.splitlines()
    assert message in told
