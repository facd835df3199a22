"""Which preset a run starts from when none is named, and what is told before a data set is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutline.errors import ConfigError, CutlineError
from cutline.recipes.asked import Asked
from cutline.recipes.run_options import new_options


@pytest.mark.parametrize(
    ("assignments", "preset"),
    [
        ((), "fine_tuned"),
        (("training.seed=3",), "fine_tuned"),
        (("encoder.name=efficientnet_lite0",), "fine_tuned"),
        (("training.epochs=3",), "pooled"),
        (("encoder.weights=imagenet", "encoder.input_size=0"), "fine_tuned"),
        (("preset=fine_tuned", "training.epochs=3"), "fine_tuned"),
        (("fine_tune.epochs=2",), "fine_tuned"),
        (("self_critical.epochs=1",), "fine_tuned"),
        (("fine_tune.epochs=0",), "pooled"),
        (("encoder.name=resnet50",), "pooled"),
        (("encoder.name=efficientnet_lite0+resnet50",), "pooled"),
        (("encoder.name=mine.keras",), "pooled"),
        (("encoder.weights=random",), "pooled"),
        (("encoder.input_size=224",), "fine_tuned"),
        (("encoder.input_size=320",), "pooled"),
        (("decoder.name=merge",), "merge"),
        (("decoder.name=up_down",), "up_down"),
        (('decoder={name="merge"}',), "merge"),
        (("decoder.name=show_tell",), "show_tell"),
        (("encoder.features=pooled",), "fine_tuned"),
        (("encoder.features=grid",), "attend"),
        (("preset=show_tell", "decoder.lstm_units=8"), "show_tell"),
    ],
)
def test_what_is_asked_for_chooses_the_preset(assignments, preset):
    assert new_options(Asked(assignments=assignments)).preset == preset


def test_a_file_chooses_as_well(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text('[decoder]\nname = "show_tell"\n')
    assert new_options(Asked(config=file)).preset == "show_tell"


def test_a_file_that_says_how_many_epochs_wants_no_others_behind_them(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nepochs = 2\n")
    assert new_options(Asked(config=file)).preset == "pooled"


def test_a_flag_that_was_not_given_asks_for_nothing():
    asked = {"encoder.name": None, "encoder.weights": None, "training.epochs": None}
    assert new_options(Asked(overrides=asked)).preset == "fine_tuned"


def test_a_decoder_that_is_no_name_is_told_in_one_line():
    with pytest.raises(ConfigError, match=r"decoder\.name"):
        new_options(Asked(assignments=("decoder.name=[1]",)))


def test_weights_files_are_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "mine"))
    asked = {"encoder.name": "resnet50+efficientnet_lite0", "encoder.weights": "one.h5+~/two.pth"}
    found = new_options(Asked(overrides=asked)).encoder.weights
    assert found == f"{tmp_path}/one.h5+{tmp_path}/mine/two.pth"
    asked["encoder.weights"] = "imagenet+two.pth"
    assert new_options(Asked(overrides=asked)).encoder.weights == f"imagenet+{tmp_path}/two.pth"


@pytest.mark.parametrize(
    ("name", "weights", "told"),
    [
        (
            "resnet50+efficientnet_lite0",
            "a.h5+imagenet",
            r"c\+\+/a\.h5 has a '\+' in its path, .* move or link",
        ),
        ("resnet50+efficientnet_lite0", "a.h5", "found weights 'a.h5'; expected 2 joined"),
        ("resnet50+own.keras", "imagenet", r"own\.keras is a file, and only encoders with a name"),
    ],
)
def test_what_cannot_be_joined_is_told_at_once(tmp_path: Path, monkeypatch, name, weights, told):
    folder = tmp_path / "c++"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(CutlineError, match=told) as refused:
        new_options(Asked(overrides={"encoder.name": name, "encoder.weights": weights}))
    assert "\n" not in str(refused.value)


def test_a_plus_in_a_path_is_nothing_special_where_nothing_is_joined(tmp_path: Path, monkeypatch):
    folder = tmp_path / "c++"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "own.keras").touch()
    own = new_options(Asked(overrides={"encoder.name": f"{folder}/own.keras"})).encoder
    assert own.name == f"{folder}/own.keras"
    named = {"encoder.name": "resnet50", "encoder.weights": "a.h5"}
    assert new_options(Asked(overrides=named)).encoder.weights == f"{folder}/a.h5"


def test_a_size_for_a_file_that_has_its_own_is_told_at_once():
    asked = {"encoder.name": "own.keras", "encoder.input_size": 64}
    with pytest.raises(
        ConfigError, match=r"encoder\.input_size is 64, and own\.keras takes images of its own"
    ):
        new_options(Asked(overrides=asked))


@pytest.mark.parametrize("size", [1, 63])
def test_a_size_at_which_nothing_is_seen_is_refused(size: int):
    with pytest.raises(ConfigError, match=r"input_size must be 0, for the usual one, or 64 to 1024 pixels"):
        new_options(Asked(overrides={"encoder.input_size": size}))
