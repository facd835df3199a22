from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.config import (
    DataOptions,
    DecodingOptions,
    RunConfig,
    TrainingOptions,
    asked_values,
    differences,
    read_toml,
    resolve,
    to_toml,
    validate,
)
from cutline.errors import ConfigError


def one_line(error: pytest.ExceptionInfo[ConfigError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_later_sources_win(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("[training]\nepochs = 3\nseed = 3\nbatch_size = 3\n")
    config = resolve(
        "show_tell",
        {"training": {"epochs": 2, "patience": 2}},
        file,
        ["training.epochs=4", "training.seed=4"],
        {"training.epochs": 5, "training.batch_size": None},
    )
    training = config.training
    assert (training.epochs, training.seed, training.batch_size, training.patience) == (5, 4, 3, 2)
    assert config.preset == "show_tell"


def test_a_preset_is_not_changed_by_what_is_laid_over_it():
    preset = {"training": {"epochs": 2}}
    resolve("p", preset, assignments=["training.epochs=9"])
    assert preset == {"training": {"epochs": 2}}


@pytest.mark.parametrize(
    ("assignment", "group", "key", "value"),
    [
        ("training.epochs=7", "training", "epochs", 7),
        ("training.learning_rate = 1e-3", "training", "learning_rate", 0.001),
        ("text.lowercase=false", "text", "lowercase", False),
        ("encoder.name=resnet50", "encoder", "name", "resnet50"),
        ('encoder.name="resnet50"', "encoder", "name", "resnet50"),
        ("encoder.weights=C:\\a=b.h5", "encoder", "weights", "C:\\a=b.h5"),
        ("data.caption_column=", "data", "caption_column", ""),
    ],
)
def test_assigned_values_have_their_type(assignment, group, key, value):
    found = getattr(getattr(resolve("p", {}, assignments=[assignment]), group), key)
    assert found == value
    assert type(found) is type(value)


def test_every_fault_is_reported_at_once():
    with pytest.raises(ConfigError) as error:
        resolve(
            "p",
            {},
            assignments=[
                "training.epochs=-1",
                "training.epochz=3",
                "text.level=letters",
                "decoding.beam_size=x",
            ],
        )
    message = one_line(error)
    assert "training.epochs: input should be greater than or equal to 0 (found -1)" in message
    assert "unknown option training.epochz; did you mean training.epochs?" in message
    assert "text.level: input should be 'auto', 'word' or 'character' (found 'letters')" in message
    assert "decoding.beam_size" in message
    assert "(found 'x')" in message


def test_an_unknown_option_suggests_the_nearest():
    with pytest.raises(
        ConfigError, match=r"unknown option decoder\.lstm_unit; did you mean decoder\.lstm_units\?"
    ):
        resolve("p", {}, assignments=["decoder.lstm_unit=3"])


def test_an_unknown_group_suggests_the_nearest_group():
    with pytest.raises(ConfigError, match=r"unknown option trainig; did you mean training\?"):
        resolve("p", {}, assignments=["trainig.epochs=3"])


def test_an_option_like_no_other_lists_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"unknown option 12345; known: preset, data\.format, data\.image_column"
    ):
        resolve("p", {}, assignments=["12345=3"])


@pytest.mark.parametrize("assignment", ["training.epochs", "=3", " =3"])
def test_an_assignment_has_a_key_and_a_value(assignment):
    with pytest.raises(ConfigError, match=r"expected group\.key=value, e\.g\. decoding\.beam_size=5"):
        resolve("p", {}, assignments=[assignment])


def test_a_group_is_not_an_option():
    with pytest.raises(ConfigError, match="training: "):
        resolve("p", {}, assignments=["training=3"])
    with pytest.raises(ConfigError, match=r"training\.epochs: 'training' is an option, not a group"):
        resolve("p", {}, assignments=["training=3", "training.epochs=3"])


def test_contradictions_are_refused():
    with pytest.raises(ConfigError, match=r"data: train_fraction \+ val_fraction must be at most 1"):
        resolve("p", {}, assignments=["data.train_fraction=0.8", "data.val_fraction=0.3"])
    assert resolve("p", {}, assignments=["data.train_fraction=0.8", "data.val_fraction=0.2"])
    too_long = ["self_critical.min_length=9", "self_critical.max_length=8"]
    with pytest.raises(ConfigError, match="self_critical: min_length must be at most max_length, which is 8"):
        resolve("p", {}, assignments=too_long)
    # Without a limit of its own the longest draw is found later, and is never below the shortest.
    assert resolve("p", {}, assignments=too_long[:1]).self_critical.max_length == 0


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (DecodingOptions, {"beam_size": 0}),
        (DecodingOptions, {"beam_size": 101}),
        (DecodingOptions, {"length_penalty": 2.5}),
        (TrainingOptions, {"learning_rate": 0}),
        (TrainingOptions, {"learning_rate": float("nan")}),
        (DataOptions, {"train_fraction": 1}),
    ],
)
def test_numbers_out_of_range_are_named_with_the_value_found(options, values):
    ((key, value),) = values.items()
    with pytest.raises(ConfigError, match=f"^{key}: .*found {value}"):
        validate(options, values)


def test_a_missing_file_and_broken_toml_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: no such configuration file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("[training]\nepochs = = 3\n")
    with pytest.raises(
        ConfigError, match=r"broken\.toml: not a readable TOML file: .*line 2, column 10"
    ) as error:
        read_toml(tmp_path / "broken.toml")
    one_line(error)
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"\n')
    with pytest.raises(ConfigError, match=r"latin\.toml: not a readable TOML file"):
        read_toml(tmp_path / "latin.toml")


def test_options_survive_toml():
    config = resolve(
        "show_tell",
        {},
        assignments=[
            "training.learning_rate=1e-5",
            "text.lowercase=false",
            'data.caption_column=say "it"\\n',
        ],
    )
    assert validate(RunConfig, tomllib.loads(to_toml(config))) == config


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_survives_toml(text):
    config = resolve("p", {}, overrides={"data.image_column": text, "encoder.weights": text})
    assert validate(RunConfig, tomllib.loads(to_toml(config))) == config


def test_differences_name_key_and_both_values():
    before = resolve("p", {}, overrides={"training.epochs": 2, "data.format": "coco"})
    after = resolve("p", {}, overrides={"training.epochs": 3})
    assert differences(before, after) == [
        "data.format was 'coco', is now None",
        "training.epochs was 2, is now 3",
    ]
    assert differences(before, before) == []


def test_options_are_frozen():
    config = RunConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.training.epochs = 3  # type: ignore[misc]


def test_what_is_asked_for_is_named_by_group_and_key_however_it_is_written():
    assert asked_values(
        None, ['decoder={name="merge"}', "training.epochs=3"], {"encoder": {"name": "x"}}
    ) == {
        "decoder.name": "merge",
        "training.epochs": 3,
        "encoder.name": "x",
    }
