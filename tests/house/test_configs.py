"""Experiments: each file begins with the command that runs it, and holds options that cutline takes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cutline.config import named_preset, resolve
from cutline.models.presets import preset_values

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def test_there_are_experiments() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_an_experiment_begins_with_its_command_and_its_options_are_known(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    words = shlex.split(first.removeprefix("# "))
    assert words[:2] == ["cutline", "train"]
    assert words[words.index("--config") + 1] == path.relative_to(ROOT).as_posix()
    assert Path(words[words.index("--run") + 1]).name == path.stem
    preset = named_preset(None, path)
    assert preset is not None, "the default may change, an experiment may not"
    assert resolve(preset, preset_values(preset), path).preset == preset


def test_what_is_compared_with_and_without_attention_differs_in_nothing_else() -> None:
    options = []
    for name in ("flickr8k_resnet50", "flickr8k_pooled"):
        path = ROOT / "configs" / f"{name}.toml"
        preset = named_preset(None, path)
        assert preset is not None
        found = resolve(preset, preset_values(preset), path).model_dump(exclude={"preset"})
        options.append(
            {f"{group}.{key}": value for group, own in found.items() for key, value in own.items()}
        )
    one, other = options
    assert {key for key in one if one[key] != other[key]} == {"decoder.name", "encoder.features"}
