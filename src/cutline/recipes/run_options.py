"""Which options a run has, new or resumed, and that resuming does not change them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutline.config import RunConfig
from cutline.errors import ConfigError
from cutline.models.decoders import DECODERS
from cutline.models.encoder_specs import JOIN, KNOWN_WEIGHTS, is_own_file, weights_of
from cutline.models.presets import FROZEN_PRESET, preset_values
from cutline.recipes import run_folder as layout
from cutline.recipes.asked import Asked
from cutline.recipes.starting import Values, require_fixed, start_values


def new_options(asked: Asked) -> RunConfig:
    """Return the options of a new run.

    Raises:
        ConfigError: Options are unknown, out of range, name two presets, or do not go with the model that
            training is to start from.
        BundleError: There is no such model, or it is damaged.
    """
    values = asked.values()
    if values.get("start.model"):
        model = str(_at_home(str(values["start.model"])))
        return _with_whole_paths(_options_with_start(model, values, asked))
    options = asked.from_nothing()
    DECODERS.get(options.decoder.name)
    return _with_whole_paths(options)


def _options_with_start(model: str, values: Mapping[str, object], asked: Asked) -> RunConfig:
    """Return the options of a run that starts from a model: what that brings along stands over the preset."""
    of_kind, brought = start_values(model)
    decoder = brought["decoder"]["name"]
    preset = asked.named_preset() or of_kind or FROZEN_PRESET
    of_preset = preset_values(preset)
    if "decoder.name" not in values and of_preset["decoder"]["name"] != decoder:
        raise ConfigError(
            f"{model}: its decoder is {decoder}, which the preset {preset!r} is not for; leave the preset "
            "out, or train without --from"
        )
    options = asked.over(preset, _merged(of_preset, brought))
    require_fixed(model, brought, options, values)
    return options


def _merged(one: Mapping[str, Any], other: Values) -> dict[str, Any]:
    """Return groups of options, those of ``other`` over those of ``one``."""
    return {key: {**one.get(key, {}), **other.get(key, {})} for key in {**one, **other}}


def resumed_options(folder: Path, asked: Asked) -> RunConfig:
    """Return the options of the run in ``folder``.

    Raises:
        RunError: There is no run, or what was asked for differs from what it has.
        ConfigError: What was asked for is unknown or out of range.
    """
    before = layout.require_run(folder)
    preset = asked.named_preset() or before.preset
    # Naming the preset that the run has asks for nothing new, whatever else the run was started with.
    base = before.model_dump() if preset == before.preset else preset_values(preset)
    after = asked.over(preset, base)
    layout.require_same(folder, before, _with_whole_paths(after))
    return before


def _at_home(path: str) -> Path:
    """Replace a ``~`` at the beginning by the home it stands for; one that stands for none stays."""
    # Path.expanduser ends in an error there.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _with_whole_paths(options: RunConfig) -> RunConfig:
    """Write files without regard to where the command was started: a run may be resumed from elsewhere."""
    if model := options.start.model:
        # A name may stand for a model, too.
        place = _at_home(model)
        start = {"model": str(place.absolute())} if place.exists() else {}
        return options.model_copy(update={"start": options.start.model_copy(update=start)})
    encoder = options.encoder
    weights = _whole_weights(encoder.name, encoder.weights)
    name = str(Path(encoder.name).absolute()) if is_own_file(encoder.name) else encoder.name
    return options.model_copy(
        update={"encoder": encoder.model_copy(update={"name": name, "weights": weights})}
    )


def _whole_weights(name: str, weights: str) -> str:
    """Write weights files without regard to where the command was started."""
    if weights in KNOWN_WEIGHTS:
        return weights
    found = weights_of(name, weights)
    whole = [own if own in KNOWN_WEIGHTS else str(_at_home(own).absolute()) for own in found]
    for own in whole:
        if len(whole) > 1 and JOIN in own:
            raise ConfigError(
                f"encoder.weights: {own} has a {JOIN!r} in its path, which stands between weights where "
                "encoders are joined; move or link the file to a folder without one"
            )
    return JOIN.join(whole)
