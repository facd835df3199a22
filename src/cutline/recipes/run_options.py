"""Which options a run has, new or resumed, and that resuming does not change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutline.config import RunConfig, asked_values, named_preset, resolve
from cutline.models.decoders import DECODERS
from cutline.models.encoder_specs import find_spec, is_own_file
from cutline.models.presets import CLASSIC_PRESET, DEFAULT_PRESET, PRESETS, preset_values
from cutline.recipes import run_folder as layout


@dataclass(frozen=True)
class Asked:
    """What somebody asked for.

    Attributes:
        preset: Named options to start from; None for the file's, the resumed run's or the default.
        config: TOML file of options.
        assignments: ``"group.key=value"`` items, over the file.
        overrides: ``{"group.key": value}``, over everything.
    """

    preset: str | None = None
    config: Path | None = None
    assignments: Sequence[str] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)


def new_options(asked: Asked) -> RunConfig:
    """Return the options of a new run.

    Raises:
        ConfigError: Options are unknown, out of range, or name two presets.
    """
    preset = named_preset(asked.preset, asked.config, asked.assignments) or _default_preset(asked)
    options = resolve(preset, preset_values(preset), asked.config, asked.assignments, asked.overrides)
    # Misspelt names are told before thousands of images are read.
    DECODERS.get(options.decoder.name)
    if not is_own_file(options.encoder.name):
        find_spec(options.encoder.name)
    return _with_whole_paths(options)


def _default_preset(asked: Asked) -> str:
    """Return the preset where none is named: that of the decoder or features asked for, or the default."""
    values = asked_values(asked.config, asked.assignments, asked.overrides)
    decoder = values.get("decoder.name")
    if isinstance(decoder, str) and decoder in PRESETS:
        return decoder
    return CLASSIC_PRESET if values.get("encoder.features") == "pooled" else DEFAULT_PRESET


def resumed_options(folder: Path, asked: Asked) -> RunConfig:
    """Return the options of the run in ``folder``.

    Raises:
        RunError: There is no run, or what was asked for differs from what it has.
        ConfigError: What was asked for is unknown or out of range.
    """
    before = layout.require_run(folder)
    preset = named_preset(asked.preset, asked.config, asked.assignments) or before.preset
    # Naming the preset that the run has asks for nothing new, whatever else the run was started with.
    base = before.model_dump() if preset == before.preset else preset_values(preset)
    after = resolve(preset, base, asked.config, asked.assignments, asked.overrides)
    layout.require_same(folder, before, _with_whole_paths(after))
    return before


def _with_whole_paths(options: RunConfig) -> RunConfig:
    """Write files without regard to where the command was started: a run may be resumed from elsewhere."""
    encoder = options.encoder
    weights = encoder.weights
    if weights not in ("imagenet", "random"):
        weights = str(Path(weights).expanduser().absolute())
    name = str(Path(encoder.name).absolute()) if is_own_file(encoder.name) else encoder.name
    return options.model_copy(
        update={"encoder": encoder.model_copy(update={"name": name, "weights": weights})}
    )
