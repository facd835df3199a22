"""What the presets have in common, and which of them trains a decoder."""

from __future__ import annotations

from typing import Any

import pytest

from cutline.config import resolve
from cutline.models.decoders import DECODERS
from cutline.models.presets import (
    DEFAULT_PRESET,
    FROZEN_PRESET,
    GRID_PRESET,
    PRESETS,
    preset_of,
    preset_values,
)


def options(preset: str) -> dict[str, Any]:
    found = resolve(preset, preset_values(preset)).model_dump(exclude={"preset"})
    return {f"{group}.{key}": value for group, own in found.items() for key, value in own.items()}


@pytest.mark.parametrize("preset", ["attend", "up_down"])
def test_attention_is_all_that_the_frozen_one_lacks_of_the_presets_with_it(preset: str) -> None:
    one, other = options(FROZEN_PRESET), options(preset)
    assert {key for key in one if one[key] != other[key]} == {"decoder.name", "encoder.features"}


def test_the_default_differs_from_the_frozen_one_in_what_follows_on_fewer_epochs() -> None:
    one, other = options(FROZEN_PRESET), options(DEFAULT_PRESET)
    changed = {"training.epochs", "fine_tune.epochs", "fine_tune.stages"}
    assert {key for key in one if one[key] != other[key]} == changed
    assert one["fine_tune.epochs"] == one["self_critical.epochs"] == 0
    assert [other[f"{phase}.epochs"] for phase in ("training", "fine_tune", "self_critical")] == [6, 8, 0]


def test_the_default_goes_with_pooled_features_and_another_with_a_grid() -> None:
    assert options(DEFAULT_PRESET)["encoder.features"] == "pooled"
    assert options(GRID_PRESET)["encoder.features"] == "grid"


def test_the_classic_recipe_is_that_of_the_notebooks() -> None:
    found = options("show_tell")
    assert (found["decoder.name"], found["decoder.embedding_units"], found["decoder.lstm_units"]) == (
        "show_tell",
        256,
        512,
    )
    assert (
        found["training.epochs"],
        found["training.label_smoothing"],
        found["training.weight_average"],
    ) == (
        5,
        0,
        0,
    )
    assert (found["decoding.beam_size"], found["decoding.consensus"]) == (1, 0)


@pytest.mark.parametrize("decoder", DECODERS.names())
def test_every_decoder_has_a_preset_of_its_name(decoder: str) -> None:
    assert preset_of(decoder) == decoder
    assert PRESETS[decoder]["decoder"]["name"] == decoder


def test_where_two_presets_have_a_decoder_votes_tell_them_apart() -> None:
    assert preset_of("show_tell", votes=True) == "pooled"
    assert preset_of("show_tell", votes=False) == "show_tell"
    assert preset_of("merge", votes=True) == "merge"


@pytest.mark.parametrize("decoder", DECODERS.names())
@pytest.mark.parametrize("votes", [None, True, False])
def test_no_order_of_the_presets_makes_a_decoder_train_an_encoder(
    decoder: str, votes: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutline.models.presets.PRESETS", dict(reversed(PRESETS.items())))
    found = preset_of(decoder, votes=votes)
    assert found is not None
    assert not {"fine_tune", "self_critical"} & PRESETS[found].keys()


def test_an_unknown_decoder_has_none() -> None:
    assert preset_of("transformer") is None
